"""Asking who has not confirmed: at the operator's wish, and once more by ourselves some days later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session

from digest import sign
from digest.config import Config
from digest.errors import UserError
from digest.models import ConsentEvent, Subscription, SubscriptionState
from digest.render.speech import speech
from digest.store import Database, reminders, search
from digest.store.search import Search
from digest.subscribe import notes
from digest.subscribe.many import STEP, Verb
from digest.subscribe.people import find, record
from digest.subscribe.signup import VALID_FOR
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
    if reminders.asked_since(session, ours.id, evidence.at - _APART):
        return False
    key = f"ask:{ours.id}:{evidence.at.isoformat()}"
    _owe(session, ours, email, newsletter, config, key=key, now=evidence.at)
    record(session, ours, ConsentEvent.PENDING, evidence, detail="asked to confirm")
    return True


def remind(database: Database, newsletter: str, *, config: Config, now: datetime) -> int:
    """Owe who was asked `remind_days` ago, and did not confirm, one more mail, once; how many. 0 days is never."""
    settings = config.newsletters[newsletter]
    if not settings.remind_days:
        return 0
    before, after, reminded = now - timedelta(days=settings.remind_days), now - VALID_FOR, 0
    said = Evidence("reminder", now)
    while True:
        with database.write() as session:
            some = reminders.unanswered(session, newsletter, after=after, before=before, limit=STEP)
            for ours, email in some:
                assert ours.id is not None
                key = reminders.key_of(ours.id)
                _owe(session, ours, email, newsletter, config, key=key, now=now, again=True)
                record(session, ours, ConsentEvent.PENDING, said, detail="reminded to confirm")
        reminded += len(some)
        if len(some) < STEP:
            return reminded


def _owe(
    session: Session,
    ours: Subscription,
    email: str,
    newsletter: str,
    config: Config,
    *,
    key: str,
    now: datetime,
    again: bool = False,
) -> None:
    assert ours.id is not None
    settings, imprint = config.newsletters[newsletter], config.imprint(newsletter)
    t, facts = speech(settings.language).gettext, {"title": settings.title, "email": email}
    note = notes.in_look(settings)(
        subject=t("Please confirm: %(title)s") % facts,
        heading=t("Confirm your subscription"),
        words=t("Somebody, hopefully you, asked for %(title)s at %(email)s.") % facts,
        act=t("Confirm"),
        url=f"{imprint.base_url}/confirm/{sign.confirm_token(ours.id, at=now, key=imprint.key)}",
        after=t("The link works for seven days. If it was not you, do nothing, and nothing more will come."),
    )
    if again:
        words = t("Somebody, hopefully you, asked for %(title)s at %(email)s some days ago. This is the only reminder.")
        note = replace(note, subject=t("A reminder, please confirm: %(title)s") % facts, words=words % facts)
    notes.owe(session, settings, note, to=email, key=key, subscription_id=ours.id, now=now)
