"""Asking who has not confirmed: at the operator's wish, and once more by ourselves some days later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from digest.config import Config
from digest.errors import UserError
from digest.models import Subscription, SubscriptionState
from digest.store import Database, reminders, search
from digest.store.consent_tables import ConsentEvent
from digest.store.search import Search
from digest.subscribe import notes, signup
from digest.subscribe.many import STEP, Verb
from digest.subscribe.people import find, record
from digest.values import Evidence

_APART = timedelta(days=1)  # that two mails to one person are, where the operator has them asked


def ask(whom: Search, *, config: Config, evidence: Evidence) -> Verb:
    """Owe all who are pending a mail that asks them to confirm; not to who had one within a day."""
    newsletter = whom.newsletter

    def step(session: Session, whom: Search, some: Sequence[str]) -> int:
        rows = search.subscriptions(session, whom, some)
        return sum(_ask(session, ours, person.email, newsletter, config, evidence) for person, ours in rows)

    pending = whom.narrowed("subscription", "=", SubscriptionState.PENDING)
    return Verb(pending.narrowed("barred", "!=", "yes"), step)


def ask_one(session: Session, email: str, *, newsletter: str, config: Config, evidence: Evidence) -> bool:
    """The same for one; False where they had such a mail within a day. UserError for who is not pending."""
    person, ours = find(session, email, newsletter)
    if ours.state is not SubscriptionState.PENDING:
        raise UserError(
            f"{person.email} is {ours.state.value}, and needs not confirm {newsletter}",
            hint=f"digest subscriber show {person.email}",
        )
    return _ask(session, ours, person.email, newsletter, config, evidence)


def _ask(session: Session, ours: Subscription, email: str, newsletter: str, config: Config, evidence: Evidence) -> bool:
    assert ours.id is not None
    _number, last = signup.caused(session, email, config)
    asked = reminders.asked_since(session, ours.id, evidence.at - _APART)
    if asked or (last is not None and evidence.at - _APART < last <= evidence.at):
        return False
    key = f"ask:{ours.id}:{evidence.at.isoformat()}"
    notes.owe(session, "confirm", ours, newsletter, config, key=key, now=evidence.at)
    signup.count(session, email, config, now=evidence.at)
    record(session, ours, ConsentEvent.PENDING, evidence, detail="asked to confirm")
    return True


def remind(database: Database, newsletter: str, *, config: Config, now: datetime) -> int:
    """Owe who was asked `remind_days` ago, and did not confirm, one more mail, once; how many. 0 days is never."""
    settings = config.newsletters[newsletter]
    if not settings.remind_days:
        return 0
    asked = reminders.Span(after=now - signup.VALID_FOR, before=now - timedelta(days=settings.remind_days))
    said, reminded, beyond = Evidence("reminder", now), 0, 0
    while True:
        with database.write() as session:
            some = reminders.unanswered(session, newsletter, asked, beyond=beyond, limit=STEP)
            for ours, email in some:
                assert ours.id is not None
                beyond = ours.id
                if not signup.apart(session, email, config, now=now):
                    continue  # another mail of a sign-up came lately: the reminder waits
                notes.owe(session, "reminder", ours, newsletter, config, key=reminders.key_of(ours.id), now=now)
                signup.count(session, email, config, now=now)
                record(session, ours, ConsentEvent.PENDING, said, detail="reminded to confirm")
                reminded += 1
        if len(some) < STEP:
            return reminded
