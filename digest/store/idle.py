"""What there is to do at all, asked in few statements: where there is nothing, a run imports and asks no more.

Each answer may say that there is work where there turns out to be none, and never the other way round.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from digest.column_types import UtcTime


class Waits(NamedTuple):
    """What waits for the steps of one newsletter."""

    unconfirmed: bool
    entries: bool  # to be decided about, or decided about and withdrawn since
    texts: bool  # feeds whose stubs are followed
    stories: bool  # that stand for the next edition
    welcomes: bool


_PAUSES = "SELECT EXISTS (SELECT 1 FROM subscription WHERE state = 'paused' AND paused_until <= :now)"
_ROLLS = "SELECT EXISTS (SELECT 1 FROM letter_roll WHERE edition_id IN (SELECT id FROM edition WHERE tally IS NULL))"
_OPENS = """
SELECT EXISTS (SELECT 1 FROM edition WHERE state = 'held' AND open_at <= :now)
  OR EXISTS (SELECT 1 FROM edition WHERE state = 'open' AND tally IS NULL AND coalesce(open_at, composed_at) < :late)
  OR EXISTS (SELECT 1 FROM relay_hour WHERE hour < :hours)
"""
_OLD_MAILS = """
SELECT EXISTS (SELECT 1 FROM mail_report WHERE raw IS NOT NULL AND read_at < :before)
  OR EXISTS (SELECT 1 FROM mail_report WHERE proof = '')
"""
_UNFOUND = "SELECT EXISTS (SELECT 1 FROM edition WHERE NOT findable AND state = 'open')"
_STORIES = "SELECT count(*) FROM story WHERE newsletter_id = :newsletter AND seq > :after AND NOT dropped"
_FEEDS_BY_MAIL = "SELECT EXISTS (SELECT 1 FROM feed WHERE url LIKE 'mail:%')"
_UNCONFIRMED = """
SELECT EXISTS (SELECT 1 FROM signup_mail) OR EXISTS (SELECT 1 FROM signup_wait) OR EXISTS (SELECT 1 FROM signup_refusal)
  OR EXISTS (SELECT 1 FROM newsletter n JOIN subscription s ON s.newsletter_id = n.id AND s.state = 'pending')
"""
_CHOSEN = """
SELECT EXISTS (
  SELECT 1 FROM subscription s JOIN newsletter n ON n.id = s.newsletter_id
  WHERE s.state <> 'unsubscribed' AND (CAST(s.topics AS TEXT) <> '[]' OR n.name NOT IN :names))
"""
_RARE = """
SELECT EXISTS (SELECT 1 FROM websub) OR EXISTS (SELECT 1 FROM full_text) OR EXISTS (SELECT 1 FROM robots)
  OR EXISTS (SELECT 1 FROM webhook) OR EXISTS (SELECT 1 FROM webhook_event) OR EXISTS (SELECT 1 FROM api_answer)
  OR EXISTS (SELECT 1 FROM signup_wait) OR EXISTS (SELECT 1 FROM signup_mail)
"""
_IN_USE = """
SELECT EXISTS (SELECT 1 FROM signup_wait) OR EXISTS (SELECT 1 FROM signup_refusal),
  EXISTS (SELECT 1 FROM entry WHERE fault <> ''),
  EXISTS (SELECT 1 FROM mail_report) OR EXISTS (SELECT 1 FROM mail_source),
  EXISTS (SELECT 1 FROM alert_telling WHERE error <> ''),
  EXISTS (SELECT 1 FROM webhook)
"""
_WAITS = """
SELECT EXISTS (SELECT 1 FROM subscription WHERE newsletter_id = n.id AND state = 'pending'),
  EXISTS (SELECT 1 FROM undecided WHERE newsletter_id = n.id)
    OR EXISTS (
      SELECT 1 FROM story JOIN admission ON admission.story_id = story.id JOIN entry ON entry.id = admission.entry_id
      WHERE story.newsletter_id = n.id AND entry.withdrawn_at IS NOT NULL
        AND story.seq > coalesce((SELECT max(upto_seq) FROM edition WHERE newsletter_id = n.id), 0)),
  EXISTS (
    SELECT 1 FROM newsletter_feed JOIN feed ON feed.id = newsletter_feed.feed_id
    WHERE newsletter_feed.newsletter_id = n.id AND feed.full_text),
  n.seq > coalesce((SELECT max(upto_seq) FROM edition WHERE newsletter_id = n.id), 0),
  EXISTS (SELECT 1 FROM subscription WHERE newsletter_id = n.id AND awaits_welcome)
FROM newsletter n WHERE n.name = :name
"""


def old_mails(session: Session, *, before: datetime) -> bool:
    """Are there mails that came back by then, or prove nothing? These may have to be forgotten."""
    return _says(session, _OLD_MAILS, before=before)


def opens(session: Session, *, now: datetime, late: datetime, hours: datetime) -> bool:
    """Is there an edition to open, one of before `late` that may have to be held, or a count of before `hours`?"""
    return _says(session, _OPENS, now=now, late=late, hours=hours)


def pauses(session: Session, *, now: datetime) -> bool:
    """Is there a reader whose pause is over, and who is not active again?"""
    return _says(session, _PAUSES, now=now)


def pictures(session: Session) -> bool:
    """Are there copies of pictures that may have to go?"""
    return _says(session, "SELECT EXISTS (SELECT 1 FROM picture_file)")


def summaries(session: Session) -> bool:
    """Are there summaries by a machine, which may have to go?"""
    return _says(session, "SELECT EXISTS (SELECT 1 FROM summary)")


def unfound(session: Session) -> bool:
    """Is there an open edition whose stories cannot be found by their words yet?"""
    return _says(session, _UNFOUND)


def feeds_by_mail(session: Session) -> bool:
    return _says(session, _FEEDS_BY_MAIL)


def stories(session: Session, newsletter_id: int, *, after: int) -> int:
    """How many stories of a newsletter stand for its next edition, admitted later than number `after`."""
    values = {"newsletter": newsletter_id, "after": after}
    return int(session.execute(sa.text(_STORIES), values).scalar_one())


def signups(session: Session) -> bool:
    """Does a sign-up wait for its answer?"""
    return _says(session, "SELECT EXISTS (SELECT 1 FROM signup_wait)")


def unconfirmed(session: Session) -> bool:
    """Is there anybody who has not confirmed, or a limit that sign-ups left?"""
    return _says(session, _UNCONFIRMED)


def chosen(session: Session, names: Collection[str]) -> bool:
    """Has anybody chosen topics, or a newsletter that is not among these?"""
    asked = sa.text(_CHOSEN).bindparams(sa.bindparam("names", list(names), expanding=True))
    return bool(session.execute(asked).scalar_one())


class InUse(NamedTuple):
    """What there is to tell of."""

    signups: bool
    faults: bool  # entries that could not be read
    mails: bool  # that came back
    alerts: bool  # that could not be told
    webhooks: bool


def in_use(session: Session) -> InUse:
    return InUse(*map(bool, session.execute(sa.text(_IN_USE)).one()))


def rare(session: Session) -> bool:
    """Has any of the tables rows whose bounds are in `healing_rare`?"""
    return _says(session, _RARE)


def rolls(session: Session) -> bool:
    """Are there rolls of an edition that is not counted?"""
    return _says(session, _ROLLS)


def answers(session: Session) -> bool:
    """Are there answers of the API that are kept?"""
    return _says(session, "SELECT EXISTS (SELECT 1 FROM api_answer)")


def hubs(session: Session) -> bool:
    """Is there a feed of which a hub is known?"""
    return _says(session, "SELECT EXISTS (SELECT 1 FROM websub)")


def webhooks(session: Session) -> bool:
    return _says(session, "SELECT EXISTS (SELECT 1 FROM webhook)")


def _says(session: Session, asked: str, **moments: datetime) -> bool:
    values = [sa.bindparam(name, moment, UtcTime) for name, moment in moments.items()]
    return bool(session.execute(sa.text(asked).bindparams(*values)).scalar_one())


def waits(session: Session, name: str) -> Waits:
    """For a newsletter; of one that is not stored yet nothing does."""
    row = session.execute(sa.text(_WAITS), {"name": name}).first()
    return Waits(*map(bool, row)) if row else Waits(False, False, False, False, False)
