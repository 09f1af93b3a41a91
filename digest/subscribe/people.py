"""One person's consent and choices: added, changed, ended. Every step leaves a row in their history."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlmodel import Session

from digest import store
from digest.errors import BadInput, NotFound, UserError
from digest.models import Consent, ConsentEvent, Subscriber, Subscription, SubscriptionState, address_key
from digest.subscribe.address import address, display_name, erasure_mark, tag


@dataclass(frozen=True)
class Added:
    """What became of an `add`: a new subscription, one that was pending or had ended, or the one there was."""

    email: str
    outcome: Literal["added", "confirmed", "returned", "unchanged"]


def add(
    session: Session,
    email: str,
    *,
    newsletter: str,
    consent: str,
    now: datetime,
    secret: str,
    known_topics: Collection[str],
    name: str = "",
    topics: Iterable[str] = (),
    tags: Iterable[str] = (),
    vouched_by: str = "",
    again: bool = False,
) -> Added:
    """Subscribe a person from the next edition of `newsletter` on; who is subscribed stays as they are.

    `consent` says how we know that they want it, `vouched_by` who says so in their place. `topics` are slugs
    out of `known_topics`, none means all. Raises BadInput for an address or a topic that is none, UserError
    for who may not be added: suppressed, erased (`secret` is the settings' key, see `erasure_mark`), or
    gone, unless `again` says that they asked to come back.
    """
    email = address(email)
    key = address_key(email)
    name = display_name(name)
    chosen = choose(topics, known_topics)
    labels = sorted({tag(t) for t in tags} - {""})
    suppression = store.suppression(session, email)
    if suppression is not None:
        raise UserError(
            f"{email} is suppressed since {suppression.created_at:%Y-%m-%d}: {suppression.reason}",
            hint=f"if they can get mail again and want it: digest subscriber unsuppress {email}",
        )
    if store.erased(session, erasure_mark(key, secret)):
        raise UserError(
            f"{email} was erased at their own wish, and is not to be brought back",
            hint=f"if they asked to come back themselves: digest subscriber unsuppress {email}",
        )
    paper = store.lock_newsletter(session, newsletter)
    person = store.keep_subscriber(session, email, name=name, tags=labels, now=now)
    before = store.subscription(session, person, paper)
    if before is not None and before.state is SubscriptionState.UNSUBSCRIBED and not again:
        raise UserError(
            f"{email} left {newsletter} on {before.changed_at:%Y-%m-%d}",
            hint="if they asked to come back, say so with --again",
        )
    outcome: Literal["added", "confirmed", "returned", "unchanged"]
    if before is None:
        outcome = "added"
        subscription = store.subscribe_to(session, person, paper, topics=chosen, consent=consent, now=now)
    elif before.state in (SubscriptionState.ACTIVE, SubscriptionState.PAUSED):
        return Added(person.email, "unchanged")
    else:
        outcome = "returned" if before.state is SubscriptionState.UNSUBSCRIBED else "confirmed"
        subscription = before
        subscription.state, subscription.changed_at, subscription.consent = SubscriptionState.ACTIVE, now, consent
        subscription.topics = chosen or subscription.topics
        store.rejoin(session, subscription)
    _record(session, subscription, ConsentEvent.SUBSCRIBED, how=consent, vouched_by=vouched_by, now=now)
    return Added(person.email, outcome)


def change(
    session: Session,
    email: str,
    *,
    newsletter: str,
    how: str,
    now: datetime,
    known_topics: Collection[str],
    name: str | None = None,
    topics: Iterable[str] | None = None,
    tags: Iterable[str] | None = None,
) -> bool:
    """Set what is not None: a person's name and tags, and their topics in `newsletter` (none is all).

    True where something changed. Raises NotFound for who has no subscription to it, BadInput like `add`.
    """
    person, subscription = find(session, email, newsletter)
    before = person.name, person.tags, subscription.topics
    if name is not None:
        person.name = display_name(name)
    if tags is not None:
        person.tags = sorted({tag(t) for t in tags} - {""})
    if topics is not None:
        subscription.topics = choose(topics, known_topics)
    if subscription.topics != before[2]:
        said = ", ".join(subscription.topics) or "all topics"
        _record(session, subscription, ConsentEvent.CHOSE, how=how, detail=said, now=now)
    return (person.name, person.tags, subscription.topics) != before


def remove(session: Session, email: str, *, newsletter: str, how: str, now: datetime) -> bool:
    """End a subscription: no letter from now on, history kept. False where it had ended before.

    Letters that are owed and not claimed yet are dropped at the claim, which reads the state.
    Raises NotFound for who has no subscription to `newsletter`.
    """
    _person, subscription = find(session, email, newsletter)
    return _leave(session, subscription, how=how, now=now)


def leave(session: Session, subscription_id: int, *, how: str, now: datetime) -> str | None:
    """End the subscription that a signed link names; the newsletter's name, or None where there is none (any more).

    Twice is once: who has left before gets the same answer.
    """
    found = store.subscription_by_id(session, subscription_id)
    if found is None:
        return None
    subscription, newsletter = found
    _leave(session, subscription, how=how, now=now)
    return newsletter


def _leave(session: Session, subscription: Subscription, *, how: str, now: datetime) -> bool:
    if subscription.state is SubscriptionState.UNSUBSCRIBED:
        return False
    _enter(subscription, SubscriptionState.UNSUBSCRIBED, now=now)
    _record(session, subscription, ConsentEvent.UNSUBSCRIBED, how=how, now=now)
    return True


def pause(session: Session, email: str, *, newsletter: str, until: datetime | None, how: str, now: datetime) -> bool:
    """Send nothing until `until`, or until `resume`; False where it was so. UserError for who does not get it."""
    _person, subscription = find(session, email, newsletter)
    if subscription.state is SubscriptionState.PAUSED and subscription.paused_until == until:
        return False
    _must_receive(subscription, email, newsletter)
    if until is not None and until <= now:
        raise UserError(f"{until:%Y-%m-%d %H:%M %Z} is over already", hint="a pause ends in the future")
    _enter(subscription, SubscriptionState.PAUSED, now=now)
    subscription.paused_until = until
    detail = f"until {until:%Y-%m-%d %H:%M %Z}" if until else "until they say so"
    _record(session, subscription, ConsentEvent.PAUSED, how=how, detail=detail, now=now)
    return True


def resume(session: Session, email: str, *, newsletter: str, how: str, now: datetime) -> bool:
    """End a pause: they get the next edition with all others. False where there was none. UserError like `pause`."""
    _person, subscription = find(session, email, newsletter)
    _must_receive(subscription, email, newsletter)
    if subscription.state is SubscriptionState.ACTIVE:
        return False
    _enter(subscription, SubscriptionState.ACTIVE, now=now)
    store.rejoin(session, subscription)
    _record(session, subscription, ConsentEvent.RESUMED, how=how, now=now)
    return True


def suppress(session: Session, email: str, *, reason: str, how: str, now: datetime) -> bool:
    """Write to an address no more, subscriber or not, whatever its subscriptions say; False where it was so."""
    email = address(email)
    if store.suppression(session, email) is not None:
        return False
    store.suppress(session, email, reason=display_name(reason), now=now)
    _record_person(session, email, ConsentEvent.SUPPRESSED, how=how, detail=display_name(reason), now=now)
    return True


def unsuppress(session: Session, email: str, *, secret: str, how: str, now: datetime) -> bool:
    """Let an address be written to, or an erased person be added, again; False where nothing barred them."""
    email = address(email)
    if not store.unsuppress(session, email, mark=erasure_mark(address_key(email), secret)):
        return False
    _record_person(session, email, ConsentEvent.UNSUPPRESSED, how=how, now=now)
    return True


def erase(session: Session, email: str, *, secret: str, now: datetime) -> store.Erased | None:
    """Forget a person; None where they were erased before. Raises NotFound where nothing is known of them.

    A keyed hash stays, so that neither an import nor `add` brings them back.
    """
    email = address(email)
    mark = erasure_mark(address_key(email), secret)
    gone = store.erase(session, email, mark=mark, now=now)
    if gone is None and store.erased(session, mark) is None:
        raise NotFound(f"nothing is known of {email}", hint="digest subscriber list --search PART")
    return gone


def _must_receive(subscription: Subscription, email: str, newsletter: str) -> None:
    if subscription.state is SubscriptionState.UNSUBSCRIBED:
        raise UserError(
            f"{email} left {newsletter} on {subscription.changed_at:%Y-%m-%d}",
            hint=f"if they asked to come back: digest subscriber add {email} --again",
        )
    if subscription.state is SubscriptionState.PENDING:
        raise UserError(
            f"{email} has not confirmed {newsletter} yet",
            hint=f"if you know that they want it: digest subscriber add {email}",
        )


def find(session: Session, email: str, newsletter: str) -> tuple[Subscriber, Subscription]:
    """A person and their subscription to `newsletter`, ours alone until the transaction ends, or NotFound."""
    person = known(session, email)
    paper = store.newsletter(session, newsletter)
    subscription = store.subscription(session, person, paper)
    if subscription is None:
        raise NotFound(
            f"{person.email} has no subscription to {newsletter}", hint=f"digest subscriber show {person.email}"
        )
    return person, subscription


def known(session: Session, email: str) -> Subscriber:
    """The person with this address, or NotFound."""
    person = store.subscriber(session, address(email))
    if person is None:
        raise NotFound(f"{address(email)} is not a subscriber", hint="digest subscriber list --search PART")
    return person


def search(*, part: str = "", state: str = "", topic: str = "", tag: str = "", newsletter: str = "") -> store.Search:
    """What to list; BadInput for a state that is none."""
    states = [*SubscriptionState, store.SUPPRESSED]
    if state and state not in states:
        raise BadInput(f"{state!r} is not a state", hint="states are: " + ", ".join(states))
    return store.Search(part=part, state=state, topic=topic, tag=tag, newsletter=newsletter)


def choose(topics: Iterable[str], known_topics: Collection[str]) -> list[str]:
    """Topic slugs, sorted and without doubles; BadInput names the first that is not known, and all that are."""
    chosen = sorted(set(topics))
    for topic in chosen:
        if topic not in known_topics:
            raise BadInput(
                f"there is no topic {topic!r}", hint="the settings know: " + (", ".join(sorted(known_topics)) or "none")
            )
    return chosen


def _enter(subscription: Subscription, state: SubscriptionState, *, now: datetime) -> None:
    subscription.state, subscription.changed_at, subscription.paused_until = state, now, None


def _record(
    session: Session,
    subscription: Subscription,
    event: ConsentEvent,
    *,
    how: str,
    now: datetime,
    vouched_by: str = "",
    detail: str = "",
) -> None:
    session.add(
        Consent(
            subscriber_id=subscription.subscriber_id,
            newsletter_id=subscription.newsletter_id,
            at=now,
            event=event,
            how=how,
            vouched_by=vouched_by,
            detail=detail,
        )
    )


def _record_person(
    session: Session, email: str, event: ConsentEvent, *, how: str, now: datetime, detail: str = ""
) -> None:
    """A line of history about all newsletters, for an address that is a subscriber's."""
    person = store.subscriber(session, email)
    if person is not None and person.id is not None:
        session.add(Consent(subscriber_id=person.id, at=now, event=event, how=how, detail=detail))
