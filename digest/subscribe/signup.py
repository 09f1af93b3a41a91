"""Joining by the web: a request, one mail that proves the address, and a confirmation (double opt-in).

Whoever asks learns nothing about the address: what differs, differs in the mail.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlmodel import Session

from digest import sign
from digest.config import Config
from digest.errors import ConfigError
from digest.models import Subscriber, Subscription, SubscriptionState, address_key
from digest.store import Database, clock, erasures, hooks, newsletters, people, signup, suppressions, witness
from digest.store.consent_tables import ConsentEvent
from digest.subscribe import notes
from digest.subscribe.address import address, display_name, erasure_mark
from digest.subscribe.people import enter, record
from digest.subscribe.preferences import Changes, Preferences, checked, keep
from digest.values import Evidence

VALID_FOR = timedelta(days=7)  # a link to confirm, and what nobody confirms
# How long after the first, the second and each further mail that sign-ups caused an address gets no other: strangers
# can neither fill a mailbox, nor keep its owner out for long.
_APART = (timedelta(days=1), timedelta(days=7), timedelta(days=30))
_REMEMBERED = timedelta(days=365)
_HOURS = 23  # as many sign-ups wait as these can answer: none for longer than a day


Taken = Literal["now", "later", "full"]


def ask(
    session: Session,
    email: str,
    *,
    newsletter: str,
    config: Config,
    evidence: Evidence,
    known_topics: Collection[str],
    name: str = "",
    choices: Changes | None = None,
) -> Taken:
    """Somebody wants `newsletter` at this address: keep it until it is answered, see `answer_waiting`.

    "now" is as soon as somebody answers, "later" within a day, since this network or all together asked for as much
    as the settings allow within an hour; "full" where not even that can be promised, and nothing is kept. Whose
    address it is makes no difference here: neither in words nor in what is stored, nor in the time it takes. Raises
    BadInput for an address, a name or a choice that is none.
    """
    email, name, choices = address(email), display_name(name), choices or {}
    chosen = checked(Preferences(**choices), known_topics)
    place, web = _mark(network_of(evidence.ip), config), config.web
    signup.lock(session)
    waiting = signup.waiting(session, network=place)
    if waiting.network >= _HOURS * web.signups_per_network or waiting.all >= _HOURS * web.signups_per_hour:
        signup.note_refusal(session, now=evidence.at)
        return "full"
    paper = newsletters.find(session, newsletter)
    assert paper.id is not None
    kept = {choice: getattr(chosen, choice) for choice in choices}
    signup.wait(session, paper.id, signup.Asked(newsletter, email, name, kept, evidence, place))
    had = signup.answered(session, network=place, now=evidence.at)
    here, everywhere = had.network + waiting.network, had.all + waiting.all
    return "now" if here < web.signups_per_network and everywhere < web.signups_per_hour else "later"


class Unanswerable(ConfigError):
    """The mails of a newsletter cannot be made."""

    def __init__(self, newsletter: str, error: ConfigError) -> None:
        super().__init__(str(error), hint=error.hint)
        self.newsletter = newsletter


def answer_waiting(
    session: Session, *, config: Config, now: datetime, limit: int = 20, apart: Collection[str] = ()
) -> int:
    """Answer up to `limit` of those who asked, as the limits allow, who waited longest first; how many they were.

    Each counts for its network, whatever the answer was: else a stranger could learn from their own mail, which
    comes or waits, what became of somebody else's. Who wants a newsletter that is put `apart` waits on. Raises
    Unanswerable where templates or settings of a newsletter are wrong: nothing may be stored then.
    """
    signup.lock(session)
    web, counts = config.web, signup.answered_by_network(session, now=now)
    room = min(limit, web.signups_per_hour - sum(counts.values()))
    done = 0
    while done < room:
        full = [network for network, number in counts.items() if number >= web.signups_per_network]
        found = signup.take_waiting(session, set(config.newsletters) - set(apart), full=full, limit=1)
        if not found:
            break
        (asked,) = found
        counts[asked.network] = counts.get(asked.network, 0) + 1
        try:
            mailed = _answer(session, asked, config, now=now)
        except ConfigError as error:
            raise Unanswerable(asked.newsletter, error) from error
        mark = _mark(address_key(asked.email), config) if mailed else ""
        signup.note_answer(session, address=mark, network=asked.network, now=now)
        session.flush()
        done += 1
    return done


def answer_all(database: Database, config: Config, *, now: datetime) -> int:
    """`answer_waiting` until nobody is left to whom the limits allow a mail; how many wait on.

    Who asked for a newsletter with which something is wrong waits until that is mended; the others do not.
    """
    apart = set(config.broken)
    while True:
        try:
            with database.write() as session:
                if not answer_waiting(session, config=config, now=now, apart=apart):
                    return signup.waiting(session).all
        except Unanswerable as error:
            apart.add(error.newsletter)


def _answer(session: Session, asked: signup.Asked, config: Config, *, now: datetime) -> bool:
    """Owe an address the mail it is to have; False where it may have none.

    A new address is stored as pending, and asked to confirm; one that left is asked too, and stays away until it
    confirms; one that is subscribed is told so. None of it where it is suppressed, or had such a mail a short while
    ago.
    """
    paper = newsletters.lock(session, asked.newsletter)
    email, name = asked.email, asked.name
    if suppressions.find(session, email) is not None or not apart(session, email, config, now=now):
        return False
    if people.find(session, email) is not None:
        name = ""  # a stranger names nobody whom we know
    person = people.keep(session, email, name=name, tags=(), now=now)
    subscription = people.subscription(session, person, paper)
    told = hooks.Event.SUBSCRIBED if subscription is None else None
    if subscription is None:
        subscription = people.subscribe(session, person, paper, consent=asked.evidence.how, now=now)
        enter(subscription, SubscriptionState.PENDING, now=now)
    if subscription.state is SubscriptionState.PENDING:
        said: dict[str, Any] = {c: tuple(v) if isinstance(v, list) else v for c, v in asked.choices.items()}
        wish = Preferences(**said)
        keep(subscription, wish, only=asked.choices)
        session.add(subscription)
        record(session, subscription, ConsentEvent.PENDING, asked.evidence, told=told)
    session.flush()
    assert subscription.id is not None
    here = subscription.state in (SubscriptionState.ACTIVE, SubscriptionState.PAUSED)
    key = f"signup:{subscription.id}:{now.isoformat()}"
    notes.owe(session, "already" if here else "confirm", subscription, asked.newsletter, config, key=key, now=now)
    return True


def ask_imported(session: Session, newsletter: str, *, config: Config, now: datetime, limit: int = 500) -> int:
    """Owe a mail that asks to confirm to up to `limit` pending subscriptions that none has asked; how many they were.

    They come from a list, so no network caused them; an address that was asked before is not asked again.
    """
    signup.lock(session)  # two at once would both find that nobody asked
    found = signup.never_asked(session, newsletter, limit=limit)
    for subscription, email in found:
        key = f"signup:{subscription.id}:{now.isoformat()}"
        notes.owe(session, "confirm", subscription, newsletter, config, key=key, now=now)
        count(session, email, config, now=now)
    return len(found)


Outcome = Literal["confirmed", "unchanged", "expired", "left", "suppressed"]


@dataclass(frozen=True)
class Answer:
    """What became of a link to confirm, and the newsletter it is for."""

    outcome: Outcome
    newsletter: str
    subscription_id: int


def about(session: Session, token: str, *, config: Config, now: datetime, lock: bool = False) -> Answer | None:
    """What `confirm` would do; None for a link that is not ours, or whose subscription or newsletter is gone."""
    asked = sign.read_confirm(token, keys=config.all_keys)
    found = people.subscription_by_id(session, asked.subscription_id, lock=lock) if asked else None
    if asked is None or found is None or found[1] not in config.newsletters:
        return None
    subscription, newsletter = found
    if sign.read_confirm(token, keys=config.imprint(newsletter).keys) != asked:
        return None  # signed by the key of another newsletter
    outcome: Outcome = "confirmed"
    if now - asked.at > VALID_FOR or asked.at - now > clock.TOLERANCE:  # asked by a clock that was wrong
        outcome = "expired"  # also for who is subscribed: what follows is the way to their choices
    elif suppressions.find(session, session.get_one(Subscriber, subscription.subscriber_id).email) is not None:
        outcome = "suppressed"  # since they were asked: their word cannot undo what a mail server or the operator said
    elif subscription.state in (SubscriptionState.ACTIVE, SubscriptionState.PAUSED):
        outcome = "unchanged"
    elif subscription.state is SubscriptionState.UNSUBSCRIBED and subscription.changed_at >= asked.at:
        outcome = "left"  # since they were asked, which is the later word
    return Answer(outcome, newsletter, asked.subscription_id)


def confirm(session: Session, token: str, *, config: Config, evidence: Evidence) -> Answer | None:
    """Make active what a link to confirm names, from the latest edition on; twice is once. None as in `about`."""
    answer = about(session, token, config=config, now=evidence.at, lock=True)
    if answer is None or answer.outcome != "confirmed":
        return answer
    subscription = session.get_one(Subscription, answer.subscription_id)
    person = session.get_one(Subscriber, subscription.subscriber_id)
    witness.note_subscriptions(session, "returned", [answer.subscription_id])
    enter(subscription, SubscriptionState.ACTIVE, now=evidence.at)
    subscription.consent = evidence.how
    session.add(subscription)
    people.rejoin(session, subscription)
    record(session, subscription, ConsentEvent.SUBSCRIBED, evidence, told=hooks.Event.CONFIRMED)
    # Their own word undoes what kept lists from bringing them back, and ends what the limits remember.
    erasures.lift(session, erasure_mark(person.key, config.lasting_key))
    signup.forget_mails(session, address=_mark(person.key, config))
    settings = config.newsletters[answer.newsletter]
    subscription.awaits_welcome = settings.welcome
    if settings.welcome_mail:
        key = f"welcome:{subscription.id}:{evidence.at.isoformat()}"
        notes.owe(session, "welcome", subscription, answer.newsletter, config, key=key, now=evidence.at)
    return answer


def untidy(session: Session, *, now: datetime) -> bool:
    """Is there anything that `tidy` would forget?"""
    return signup.overdue(session, mails=now - _REMEMBERED, asked=now - VALID_FOR, now=now)


def tidy(session: Session, *, now: datetime) -> int:
    """Forget who did not confirm in time, and limits of long ago; how many subscriptions."""
    signup.forget_mails(session, before=now - _REMEMBERED)
    signup.forget_waiting(session, before=now - VALID_FOR)
    return signup.forget_unconfirmed(session, asked_before=now - VALID_FOR, now=now)


def may_mail(session: Session, email: str, *, config: Config, network: str, now: datetime) -> bool:
    """Within the limits, in which case this mail counts: for what a reader asks for, who waits at the page."""
    signup.lock(session)
    place, web = _mark(network, config), config.web
    had = signup.answered(session, network=place, now=now)
    if had.network >= web.signups_per_network or had.all >= web.signups_per_hour:
        return False
    if not apart(session, email, config, now=now):
        return False
    signup.note_answer(session, address=_mark(address_key(email), config), network=place, now=now)
    return True


def caused(session: Session, email: str, config: Config) -> tuple[int, datetime | None]:
    """How many mails sign-ups caused for an address, and when the last one."""
    return signup.mails(session, _mark(address_key(email), config))


def count(session: Session, email: str, config: Config, *, now: datetime) -> None:
    """One more went there, that no network caused."""
    signup.note_answer(session, address=_mark(address_key(email), config), network="", now=now)


def apart(session: Session, email: str, config: Config, *, now: datetime) -> bool:
    """Was the last mail that sign-ups caused for this address long enough ago?"""
    number, last = caused(session, email, config)
    return last is None or now - last >= _APART[min(number, len(_APART)) - 1]


def _mark(text: str, config: Config) -> str:
    return hmac.digest(config.lasting_key.encode(), b"signup\0" + text.encode(), hashlib.sha256).hex()


def network_of(ip: str) -> str:
    """What one person can be presumed to have: 256 addresses of IPv4, a /64 of IPv6."""
    if not ip:
        return ""
    address = ipaddress.ip_address(ip)
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False))
