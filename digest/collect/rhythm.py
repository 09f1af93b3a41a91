"""When to ask a feed again, and how it is doing: decisions only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from random import Random
from statistics import median

from digest.config import Collect
from digest.dataclass import dataclass
from digest.errors import FetchError
from digest.models import FeedState

FIRST_BACKOFF = timedelta(minutes=30)
MAX_BACKOFF = timedelta(days=7)
FAILING_AFTER = 3  # failures in a row; one or two are weather
QUIET_GAPS = 3
QUIET_AT_LEAST = timedelta(days=7)
PUSHED_MINUTES = 24 * 60  # between two requests to a feed whose hub tells us what is new
_UNKNOWN = timedelta(hours=1)  # between two requests while a feed's rhythm is not known


class Health(StrEnum):
    """How a feed is doing, the worst first that applies."""

    RETIRED = "retired"
    FAILING = "failing"
    WAITING = "new"  # never answered yet
    QUIET = "quiet"
    OK = "ok"


def next_at(
    now: datetime,
    settings: Collect,
    *,
    rng: Random,
    max_age: timedelta | None = None,
    ttl: timedelta | None = None,
    gap: timedelta | None = None,
    skip: Sequence[str] = (),
) -> datetime:
    """When to ask a healthy feed again.

    The longest of what the server (`max_age`) and the publisher (`ttl`) ask for and a twelfth of the usual `gap`
    between entries, within the bounds of the settings, with a little jitter, and not within skipped
    hours or days. With `interval_minutes = 0` cron is the schedule and the answer is `now`.
    """
    if not settings.interval:
        return now
    rhythm = (gap / 12 if gap else _UNKNOWN) * rng.uniform(0.9, 1.1)
    wish = max(rhythm, max_age or timedelta(0), ttl or timedelta(0))
    # A cron job every 15 minutes starts some seconds early or late, and must not find every second feed not yet due.
    moment = now + min(max(wish, settings.interval * 0.95), settings.max_interval)
    for _ in range(7 * 24):
        if f"h{moment.hour}" not in skip and f"d{moment.weekday()}" not in skip:
            break
        moment = moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return moment


def of_feed(settings: Collect, interval_minutes: int) -> Collect:
    """The settings for a feed with an interval of its own: it is asked that often, whatever its rhythm."""
    if not interval_minutes:
        return settings
    own = {"interval_minutes": interval_minutes, "max_interval_hours": interval_minutes / 60}
    return settings.model_copy(update=own)


def backoff(now: datetime, failures: int, *, rng: Random, retry_after: timedelta | None = None) -> datetime:
    """When to ask again after the `failures`-th failure in a row: twice as long each time, at most a week."""
    doubled: int = 2 ** min(failures - 1, 20)
    wait = min(FIRST_BACKOFF * doubled * rng.uniform(0.8, 1.2), MAX_BACKOFF)
    return now + max(wait, retry_after or timedelta(0))


def after_failure(now: datetime, failures: int, error: FetchError, *, rng: Random) -> datetime:
    """When to ask a feed again that failed. 429 is a word about how fast a host is asked, which its ledger heeds.

    A feed that gets it again and again all the same backs off as from any other trouble.
    """
    if error.status == 429 and error.retry_after and failures < FAILING_AFTER:
        return now + error.retry_after
    return backoff(now, failures, rng=rng, retry_after=error.retry_after)


def usual_gap(moments: Iterable[datetime]) -> timedelta | None:
    """The usual time between two entries: the median over the last twenty; None with fewer than three."""
    times = sorted(moments)[-20:]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    return timedelta(seconds=median(gaps)) if len(gaps) >= 2 else None


@dataclass(frozen=True)
class Vitals:
    """What health is judged by."""

    state: FeedState
    failures: int
    ok_at: datetime | None
    entry_at: datetime | None
    gap: timedelta | None


def health(feed: Vitals, *, now: datetime) -> Health:
    if feed.state == FeedState.RETIRED:
        return Health.RETIRED
    if feed.failures >= FAILING_AFTER:
        return Health.FAILING
    if feed.ok_at is None:
        return Health.WAITING
    if feed.gap and feed.entry_at and now - feed.entry_at > max(feed.gap * QUIET_GAPS, QUIET_AT_LEAST):
        return Health.QUIET
    return Health.OK
