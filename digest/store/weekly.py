"""What a week was, in figures: for the operator's own letter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import Edition, Feed, FeedState
from digest.origin import shown
from digest.store.consent_tables import Consent, ConsentEvent
from digest.store.mail_tables import MailReport
from digest.store.refusal_tables import RefusalCount
from digest.store.story_tables import Admission, Story


@dataclass(frozen=True)
class Week:
    """Letters that went out, people who came and went, letters that came back, stories that most tell, feeds gone."""

    sent: int
    joined: int
    left: int
    bounced: int
    stories: tuple[tuple[str, int], ...]  # title, and how many entries tell it
    died: tuple[str, ...]


def figures(session: Session, *, since: datetime, until: datetime) -> Week:
    """Of the days from `since` to `until`."""

    def events(event: ConsentEvent) -> int:
        query = sa.select(sa.func.count()).where(col(Consent.event) == event, _within(col(Consent.at), since, until))
        return int(session.execute(query).scalar() or 0)

    counts = sa.select(sa.func.sum(col(RefusalCount.sent)), sa.func.sum(col(RefusalCount.refused))).join(
        Edition, col(Edition.id) == col(RefusalCount.edition_id)
    )
    sent, refused = session.execute(counts.where(_within(col(Edition.composed_at), since, until))).one()
    back = sa.select(sa.func.count()).where(
        col(MailReport.kind) == "hard", col(MailReport.proof) != "", _within(col(MailReport.read_at), since, until)
    )
    told = sa.func.count()
    best = (
        sa.select(col(Story.title), told)
        .join(Admission, col(Admission.story_id) == col(Story.id))
        .where(_within(col(Story.admitted_at), since, until))
        .group_by(col(Story.id), col(Story.title))
        .having(told > 1)
        .order_by(told.desc(), col(Story.id))
        .limit(5)
    )
    dead = select(Feed).where(
        sa.or_(
            _within(col(Feed.failing_since), since, until),
            sa.and_(col(Feed.state) == FeedState.RETIRED, _within(col(Feed.checked_at), since, until)),
        )
    )
    return Week(
        sent=int(sent or 0),
        joined=events(ConsentEvent.SUBSCRIBED),
        left=events(ConsentEvent.UNSUBSCRIBED),
        bounced=int(refused or 0) + int(session.execute(back).scalar() or 0),
        stories=tuple((title, number) for title, number in session.execute(best)),
        died=tuple(feed.title or shown(feed.url) for feed in session.exec(dead.order_by(col(Feed.id)).limit(10))),
    )


def _within(column: Any, since: datetime, until: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(column >= since, column < until)
