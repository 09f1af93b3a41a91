"""How much of what a feed gives at once goes into the mail; the rest is marked seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from digest import config
from digest.dataclass import dataclass

OLDEST = datetime(1990, 1, 1, tzinfo=UTC)  # before it there was no web: year 1 and 1970 are no dates
_AHEAD = timedelta(days=1)  # clocks and zones differ; beyond it a date is a mistake or a wish


def usable(published_at: datetime | None, *, now: datetime) -> bool:
    """Whether a publisher's date can be believed at all."""
    return published_at is not None and OLDEST <= published_at <= now + _AHEAD


def shown_date(published_at: datetime | None, *, seen_at: datetime) -> datetime:
    """The date to show and to weigh freshness by: the publisher's, never later than when we saw it."""
    if published_at is None or not usable(published_at, now=seen_at):
        return seen_at
    return min(published_at, seen_at)


@dataclass(frozen=True, slots=True)
class Arrival:
    """As much of an entry as decides whether it is held. `id` grows in the order of the feed's document."""

    id: int
    published_at: datetime | None


def held(arrivals: Sequence[Arrival], *, new: bool, settings: config.Curate, now: datetime) -> dict[int, str]:
    """Which arrivals of one feed are held back, by id, and why.

    A feed that is new to the newsletter brings its archive: only its newest few, of the last days, are
    taken, or its newest one where it has been quiet for longer. A known feed that suddenly has more than
    `flood` entries (moved, re-numbered, back from a long outage) gives its newest few. Where a feed has no
    usable dates its own order counts, newest first.
    """
    if new:
        most, why = settings.newest_of_new_feed, "the feed is new here"
    elif len(arrivals) > settings.flood:
        most, why = settings.newest_of_flood, f"the feed brought {len(arrivals)} entries at once"
    else:
        return {}
    oldest = now - timedelta(days=settings.new_feed_days)
    dated = [a for a in arrivals if usable(a.published_at, now=now)]
    if dated:
        # Entries without a date stand behind those with one; a date to come is no reason to be first.
        order = sorted(arrivals, key=lambda a: (-_moment(a, now=now), a.id))
        # One that is dated ahead (by a wrong clock, theirs or ours) is no archive, though it stands last.
        recent = {a.id for a in arrivals if a.published_at is not None and a.published_at >= oldest} if new else None
    else:
        order = sorted(arrivals, key=lambda a: a.id)
        recent = None
    if recent is not None and not recent:
        recent, most = {order[0].id}, min(most, 1)
    found = {}
    taken = 0
    for arrival in order:
        if recent is not None and arrival.id not in recent:
            found[arrival.id] = f"{why} and this is older than {settings.new_feed_days:g} days: marked seen"
        elif taken >= most:
            found[arrival.id] = f"{why} and only its newest {most} are taken: marked seen"
        else:
            taken += 1
    return found


def _moment(arrival: Arrival, *, now: datetime) -> float:
    if arrival.published_at is None or not usable(arrival.published_at, now=now):
        return 0.0
    return min(arrival.published_at, now).timestamp()
