"""The bounds of moments in tables that many an installation has nothing in: see `healing`, which asks for them last."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from digest.column_types import UtcTime
from digest.column_types import bare as col
from digest.store import websub
from digest.store.api_tables import ApiAnswer, Webhook, WebhookEvent
from digest.store.feed_tables import FullText, Robots, WebSub
from digest.store.healing import RETRY, Bound, Rule
from digest.store.signup_tables import SignupMail, SignupWait

if TYPE_CHECKING:
    from digest.store.healing import Bearings

_DAY = timedelta(days=1)


def urgent(at: Bearings) -> Iterator[Rule]:
    """What decides what is due."""
    now, late, tomorrow = (sa.literal(one, UtcTime) for one in (at.now, at.late, at.late + _DAY))
    yesterday = sa.literal(at.now - _DAY, UtcTime)
    lease = sa.literal(at.late + websub.LONGEST_LEASE, UtcTime)
    yield Rule(
        "hubs",
        (
            Bound(col(WebSub.due_at), lease, now),
            Bound(col(WebSub.lease_until), lease, None),
            Bound(col(WebSub.verified_at), late, None),
            Bound(col(WebSub.pinged_at), late, None),
        ),
    )
    pages = (Bound(col(FullText.next_at), tomorrow, now), Bound(col(FullText.asked_at), late, now))
    yield Rule("pages of entries", pages)
    yield Rule("rules of robots", (Bound(col(Robots.read_at), late, yesterday),))
    yield Rule("webhooks", (Bound(col(Webhook.failing_since), late, now),))
    due = Bound(col(WebhookEvent.due_at), sa.literal(at.late + RETRY, UtcTime), now)
    told = (Bound(col(WebhookEvent.created_at), late, now), Bound(col(WebhookEvent.settled_at), late, now))
    yield Rule("events of webhooks", (due, *told))
    yield Rule("answers of the API", (Bound(col(ApiAnswer.at), late, now),))
    # As if it were a day ago: neither does it keep anybody out, nor is it forgotten.
    yield Rule("sign-ups that wait", (Bound(col(SignupWait.at), late, now),))
    yield Rule("sign-up mails", (Bound(col(SignupMail.at), late, yesterday),))
