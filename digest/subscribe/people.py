"""One person's consent and choices: added, changed, ended. Every step leaves a row in their history."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlmodel import Session

from digest.errors import BadInput, NotFound, UserError
from digest.models import Subscriber, Subscription, SubscriptionState, Suppression, address_key
from digest.store import erasures, history, hooks, newsletters, people, recipients, signup, suppressions, witness
from digest.store.consent_tables import Consent, ConsentEvent
from digest.subscribe.address import address, display_name, domain_of, erasure_mark, tags_of
from digest.subscribe.preferences import Changes, Preferences, checked, keep
from digest.values import Evidence

UNSAID = Preferences()
# What webhooks are told of a line of history, where nothing else is said.
_TOLD = {ConsentEvent.SUBSCRIBED: hooks.Event.SUBSCRIBED, ConsentEvent.UNSUBSCRIBED: hooks.Event.LEFT}


@dataclass(frozen=True)
class Added:
    """What became of an `add`: a new subscription, one that was pending or had ended, or the one there was."""

    email: str
    outcome: Literal["added", "confirmed", "returned", "unchanged"]


@dataclass(frozen=True)
class Joining:
    """What the settings say to whoever joins a newsletter."""

    newsletter: str
    known_topics: Collection[str]  # slugs
    secret: str  # the settings' key, see `erasure_mark`
    welcome: bool = False  # the latest edition comes to them too


def add(
    session: Session,
    email: str,
    joining: Joining,
    *,
    evidence: Evidence,
    preferences: Preferences = UNSAID,
    name: str = "",
    tags: Iterable[str] = (),
    again: bool = False,
) -> Added:
    """Subscribe a person from the next edition of a newsletter on; who is subscribed stays as they are.

    What `preferences` leave unsaid is as the newsletter has it or, for who returns, as they had it. Raises BadInput for
    an address or a choice that is none, UserError for who may not be added: suppressed, erased, or gone, unless
    `again` says that they asked to come back.
    """
    email = address(email)
    key = address_key(email)
    name = display_name(name)
    chosen = checked(preferences, joining.known_topics)
    labels = tags_of(tags)
    suppression = suppressions.find(session, email)
    if suppression is not None:
        lifted = suppression.key if suppressions.of_domain(suppression.key) else email
        raise UserError(
            f"{email} is suppressed since {suppression.created_at:%Y-%m-%d}: {_why(suppression)}",
            hint=f"if they can get mail again and want it: digest subscriber unsuppress {lifted}",
        )
    if erasures.find(session, erasure_mark(key, joining.secret)):
        raise UserError(
            f"{email} was erased at their own wish or moved, and is not to be brought back",
            hint=f"if they asked to come back themselves: digest subscriber unsuppress {email}",
        )
    paper = newsletters.lock(session, joining.newsletter)
    person = people.keep(session, email, name=name, tags=labels, now=evidence.at)
    before = people.subscription(session, person, paper)
    if before is not None and before.state is SubscriptionState.UNSUBSCRIBED and not again:
        raise UserError(
            f"{email} left {joining.newsletter} on {before.changed_at:%Y-%m-%d}",
            hint="if they asked to come back, say so with --again",
        )
    outcome: Literal["added", "confirmed", "returned", "unchanged"]
    if before is None:
        outcome = "added"
        subscription = people.subscribe(session, person, paper, consent=evidence.how, now=evidence.at)
    elif before.state in (SubscriptionState.ACTIVE, SubscriptionState.PAUSED):
        return Added(person.email, "unchanged")
    else:
        outcome = "returned" if before.state is SubscriptionState.UNSUBSCRIBED else "confirmed"
        subscription = before
        witness.note_subscriptions(session, "returned", [before.id or 0])
        subscription.state, subscription.changed_at = SubscriptionState.ACTIVE, evidence.at
        subscription.consent = evidence.how
        people.rejoin(session, subscription)
    person.name = person.name or name
    keep(subscription, chosen, only=chosen.said)
    told = hooks.Event.CONFIRMED if outcome == "confirmed" else None
    record(session, subscription, ConsentEvent.SUBSCRIBED, evidence, told=told)
    if joining.welcome:
        subscription.awaits_welcome = True  # see `edition.welcome`, which renders it
    return Added(person.email, outcome)


def change(
    session: Session,
    email: str,
    *,
    newsletter: str,
    evidence: Evidence,
    known_topics: Collection[str],
    name: str | None = None,
    tags: Iterable[str] | None = None,
    choices: Changes | None = None,
) -> bool:
    """Set a person's name and tags where they are not None, and what stands in `choices` for `newsletter`.

    True where something changed. Raises NotFound for who has no subscription to it, BadInput like `add`.
    """
    person, subscription = find(session, email, newsletter)
    before = person.name, person.tags
    if name is not None:
        person.name = display_name(name)
    if tags is not None:
        person.tags = tags_of(tags)
    choices = choices or {}
    chosen = checked(Preferences(**choices), known_topics)
    chose = choose_one(session, subscription, chosen, evidence, only=choices)
    return chose or (person.name, person.tags) != before


def choose_all(
    session: Session,
    subscription_id: int,
    preferences: Preferences,
    *,
    known_topics: Collection[str],
    evidence: Evidence,
    only: Iterable[str] | None = None,
) -> bool:
    """Put all choices of a subscription (or `only` those) to what is given, as a form does; True where some changed.

    What changed stands in the person's history; the same again changes nothing. Raises BadInput for what cannot be
    chosen, NotFound where there is no such subscription.
    """
    found = people.subscription_by_id(session, subscription_id, lock=True)
    if found is None:
        raise NotFound("there is no such subscription", hint="it may have been erased meanwhile")
    return choose_one(session, found[0], checked(preferences, known_topics), evidence, only=only)


def choose_one(
    session: Session,
    subscription: Subscription,
    chosen: Preferences,
    evidence: Evidence,
    *,
    only: Iterable[str] | None = None,
) -> bool:
    """Store choices that were `checked` of a subscription that is ours alone; False where they were so."""
    former = subscription.topics
    changed = keep(subscription, chosen, only=only)
    if changed:
        recipients.widen(session, subscription, former)
        record(session, subscription, ConsentEvent.CHOSE, evidence, detail=changed)
    return bool(changed)


def remove(session: Session, email: str, *, newsletter: str, evidence: Evidence) -> bool:
    """End a subscription: no letter from now on, history kept. False where it had ended before.

    Letters that are owed and not claimed yet are dropped at the claim, which reads the state.
    Raises NotFound for who has no subscription to `newsletter`.
    """
    _person, subscription = find(session, email, newsletter)
    return leave_one(session, subscription, evidence)


def leave(session: Session, subscription_id: int, *, evidence: Evidence) -> str | None:
    """End the subscription that a signed link names; the newsletter's name, or None where there is none (any more).

    Twice is once: who has left before gets the same answer.
    """
    found = people.subscription_by_id(session, subscription_id, lock=True)
    if found is None:
        return None
    subscription, newsletter = found
    leave_one(session, subscription, evidence)
    return newsletter


def leave_all(session: Session, person: Subscriber, *, evidence: Evidence) -> int:
    """End all subscriptions of a person; how many there were to end."""
    ours = people.subscriptions_of(session, person, lock=True)
    return sum(leave_one(session, subscription, evidence) for subscription, _newsletter in ours)


def leave_one(session: Session, subscription: Subscription, evidence: Evidence) -> bool:
    """End a subscription that is ours alone; False where it had ended."""
    if subscription.state is SubscriptionState.UNSUBSCRIBED:
        return False
    enter(subscription, SubscriptionState.UNSUBSCRIBED, now=evidence.at)
    witness.note_subscriptions(session, "unsubscribed", [subscription.id or 0])
    record(session, subscription, ConsentEvent.UNSUBSCRIBED, evidence)
    return True


def come_back(session: Session, subscription_id: int, *, evidence: Evidence) -> bool:
    """Make active again the subscription that a signed link names, at the wish of whoever left it.

    Choices stay as they were, and the next edition comes with all others'. False where it had not ended, or is gone.
    Raises UserError for an address that is suppressed.
    """
    found = people.subscription_by_id(session, subscription_id, lock=True)
    if found is None or found[0].state is not SubscriptionState.UNSUBSCRIBED:
        return False
    subscription = found[0]
    person = session.get_one(Subscriber, subscription.subscriber_id)
    if suppressions.find(session, person.email) is not None:
        raise UserError(f"{person.email} is suppressed")
    witness.note_subscriptions(session, "returned", [subscription_id])
    enter(subscription, SubscriptionState.ACTIVE, now=evidence.at)
    subscription.consent = evidence.how
    people.rejoin(session, subscription)
    record(session, subscription, ConsentEvent.SUBSCRIBED, evidence)
    return True


def pause(session: Session, email: str, *, newsletter: str, until: datetime | None, evidence: Evidence) -> bool:
    """Send nothing until `until`, or until `resume`; False where it was so. UserError for who does not get it."""
    _person, subscription = find(session, email, newsletter)
    _must_receive(subscription, email, newsletter)
    return pause_one(session, subscription, until, evidence)


def pause_one(session: Session, subscription: Subscription, until: datetime | None, evidence: Evidence) -> bool:
    """Pause a subscription that is ours alone, and active or paused. UserError for a pause that is over."""
    if subscription.state is SubscriptionState.PAUSED and subscription.paused_until == until:
        return False
    if until is not None and until <= evidence.at:
        raise UserError(f"{until:%Y-%m-%d %H:%M %Z} is over already", hint="a pause ends in the future")
    enter(subscription, SubscriptionState.PAUSED, now=evidence.at)
    witness.note_pause(session, subscription.id or 0, until)
    subscription.paused_until = until
    detail = f"until {until:%Y-%m-%d %H:%M %Z}" if until else "until they say so"
    record(session, subscription, ConsentEvent.PAUSED, evidence, detail=detail)
    return True


def resume(session: Session, email: str, *, newsletter: str, evidence: Evidence) -> bool:
    """End a pause: they get the next edition with all others. False where there was none. UserError like `pause`."""
    _person, subscription = find(session, email, newsletter)
    _must_receive(subscription, email, newsletter)
    return resume_one(session, subscription, evidence)


def resume_one(session: Session, subscription: Subscription, evidence: Evidence) -> bool:
    """End the pause of a subscription that is ours alone, and active or paused."""
    if subscription.state is SubscriptionState.ACTIVE:
        return False
    enter(subscription, SubscriptionState.ACTIVE, now=evidence.at)
    witness.note_subscriptions(session, "returned", [subscription.id or 0])
    people.rejoin(session, subscription)
    record(session, subscription, ConsentEvent.RESUMED, evidence)
    return True


def suppress(session: Session, email: str, *, reason: str, evidence: Evidence) -> bool:
    """Write to an address no more, subscriber or not, whatever its subscriptions say; False where it was so.

    `@example.org` is the whole domain: nobody there is added, asked or written to.
    """
    email = address_or_domain(email)
    if not suppressions.add(session, email, reason=display_name(reason), now=evidence.at):
        return False
    _record_person(session, email, ConsentEvent.SUPPRESSED, evidence, detail=display_name(reason))
    return True


def unsuppress(session: Session, email: str, *, secret: str, evidence: Evidence) -> bool:
    """Let an address be written to, or an erased person be added, again; False where nothing barred them.

    `@example.org` lifts the block of a domain. UserError for an address that only such a block bars.
    """
    email = address_or_domain(email)
    if not suppressions.lift(session, email, mark=erasure_mark(address_key(email), secret)):
        stop = suppressions.find(session, email)
        if stop is not None:
            raise UserError(f"all of {stop.key[1:]} is suppressed", hint=f"digest subscriber unsuppress {stop.key}")
        return False
    _record_person(session, email, ConsentEvent.UNSUPPRESSED, evidence)
    return True


def address_or_domain(text: str) -> str:
    """An address in its one form, or a domain with the @ before it; BadInput for what is neither."""
    text = text.strip()
    return f"@{domain_of(text)}" if text.startswith("@") else address(text)


def unsuppress_all(
    session: Session,
    *,
    since: datetime,
    until: datetime | None = None,
    reason: str = suppressions.BOUNCED,
    status: str = "",
    domain: str = "",
    evidence: Evidence,
) -> list[suppressions.Lifted]:
    """Undo suppressions in bulk: those that mail servers' answers made, or those of another `reason`.

    Raises BadInput for a domain or a span of time that is none.
    """
    if until is not None and until <= since:
        raise BadInput(f"{until:%Y-%m-%d %H:%M %Z} is not after {since:%Y-%m-%d %H:%M %Z}", hint="--since comes first")
    which = suppressions.Stops(since, until, reason, status, domain_of(domain) if domain else "")
    return suppressions.lift_all(session, which, evidence)


def erase(session: Session, email: str, *, secret: str, now: datetime) -> people.Erased | None:
    """Forget a person; None where they were erased before. Raises NotFound where nothing is known of them.

    A keyed hash stays, so that neither an import nor `add` brings them back.
    """
    email = address(email)
    mark = erasure_mark(address_key(email), secret)
    gone = people.erase(session, email, mark=mark, now=now)
    if gone is None and erasures.find(session, mark) is None:
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
    paper = newsletters.find(session, newsletter)
    subscription = people.subscription(session, person, paper)
    if subscription is None:
        raise NotFound(
            f"{person.email} has no subscription to {newsletter}", hint=f"digest subscriber show {person.email}"
        )
    return person, subscription


def known(session: Session, email: str) -> Subscriber:
    """The person with this address, or NotFound."""
    person = people.find(session, address(email))
    if person is None:
        raise NotFound(f"{address(email)} is not a subscriber", hint="digest subscriber list --search PART")
    return person


def everything(session: Session, person: Subscriber) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """All that is stored on a person: single facts, and lists: subscriptions, history, letters, what waits."""
    stop = suppressions.find(session, person.email)
    facts = {
        "email": person.email,
        "name": person.name,
        "tags": person.tags,
        "fields": dict(sorted(person.fields.items())),
        "since": person.created_at,
        "suppressed": _why(stop) if stop else "",
    }
    if before := people.former_names(session, person):
        facts["called_before"] = before
    lists = {
        "subscriptions": [asdict(s) for s in history.standings(session, person)],
        "history": [asdict(m) for m in history.moments(session, person)],
        "letters": [asdict(p) for p in history.posts(session, person)],
        "waiting": [
            {"newsletter": one.newsletter, "name": one.name, "choices": one.choices, **asdict(one.evidence)}
            for one in signup.waiting_of(session, person.email)
        ],
    }
    return facts, lists


def _why(stop: Suppression) -> str:
    """Why nothing goes to an address; a domain that is barred is named."""
    return f"{stop.key}: {stop.reason}" if suppressions.of_domain(stop.key) else f"{stop.reason} {stop.status}".strip()


def enter(subscription: Subscription, state: SubscriptionState, *, now: datetime) -> None:
    """From now on this is the state of it."""
    subscription.state, subscription.changed_at, subscription.paused_until = state, now, None


def record(
    session: Session,
    subscription: Subscription,
    event: ConsentEvent,
    evidence: Evidence,
    *,
    detail: str = "",
    told: hooks.Event | None = None,
) -> None:
    """A line of history about one subscription, and what webhooks are `told` of it: else what follows from the line."""
    told = told or _TOLD.get(event)
    if told is not None:
        hooks.note_person(session, told, subscription, how=evidence.how, now=evidence.at)
    session.add(
        Consent(
            subscriber_id=subscription.subscriber_id,
            newsletter_id=subscription.newsletter_id,
            event=event,
            detail=detail,
            **asdict(evidence),
        )
    )


def _record_person(session: Session, email: str, event: ConsentEvent, evidence: Evidence, *, detail: str = "") -> None:
    """A line of history about all newsletters, for an address that is a subscriber's."""
    person = people.find(session, email)
    if person is not None and person.id is not None:
        session.add(Consent(subscriber_id=person.id, event=event, detail=detail, **asdict(evidence)))
