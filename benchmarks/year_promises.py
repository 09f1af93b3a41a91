"""What a reader may hold us to, whatever comes between: asked of the letters that came, in terms of their own day.

`year_oracle` says of each edition who gets it and when. This knows nothing of that: only of clocks, of what was closed
when, and of what somebody has. Who changed something in the middle of it all has a day that can be read either way;
such days are not judged, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from benchmarks.year_oracle import Clock, Planned, Reader, Tale

Hour = Literal["right", "made up for", "open", "wrong"]


def hour(reader: Reader, planned: Planned, *, ran: datetime, now: datetime) -> Hour:
    """Is this the first run since `ran` that comes upon a time of theirs?

    "made up for": a weekly or monthly reader had nothing since their day, and has it now. "open": they changed
    something since the letter was planned, and it keeps the hour it had.
    """
    own = reader.clock
    if planned.welcome or own is None:
        return "right"
    if reader.settled > planned.made or planned.choices != reader.choices:
        return "open"
    last = own.upto(now)
    if ran < last:
        return "right"
    nothing_since = not any(at >= own.begin(own.day(last)) for at, _planned in reader.letters)
    if own.rare and nothing_since:
        return "made up for"
    in_the_day = reader.paper.clock is None and reader.choices.hour is None and own.day(now) == own.day(last)
    return "right" if in_the_day and nothing_since else "wrong"


def second_of_its_day(reader: Reader, planned: Planned) -> bool:
    """Had they a letter for this day of theirs, and changed nothing since?

    A letter is for the last time of theirs that has passed when it goes out: one that should have come at 23:00, and
    comes an hour past midnight because nothing ran, is still the one of the day before.
    """
    own = reader.clock
    if own is None or planned.welcome or not reader.letters:
        return False
    at, last = reader.letters[-1]
    unchanged = last.choices == planned.choices == reader.choices and reader.settled < at
    return unchanged and not last.welcome and own.day(own.upto(last.due)) == own.day(own.upto(planned.due))


def outstanding(reader: Reader, *, ran: datetime, now: datetime) -> Sequence[Tale] | None:
    """What they lack after a run that came upon a time of theirs: all that was closed by then is to be with them.

    None where they changed something since that day of theirs began, or a letter of before waits for its hour.
    """
    paper, own = reader.paper, reader.clock
    if reader.state != "active" or not paper.closed:
        return ()
    time = own.upto(now) if own else now
    if time <= ran:
        return ()
    closed = [upto for slot, upto in paper.closed if slot <= (time if paper.clock else now)]
    if not closed or (own is None and paper.closed[-1][0] <= ran):
        return ()
    if own and not _a_whole_day(reader, own, time, now):
        return None
    wanted = reader.choices.topics or paper.topics
    made_up = _made_up_today(reader, own, now) if own and own.rare else []
    had = reader.had | {tale.seq for planned in made_up for tale in planned.tales}
    full_upto = max([reader.full_upto, *map(reader.filled, made_up)])
    begin = next((number for number, tale in enumerate(paper.tales) if tale.at > reader.settled), len(paper.tales))
    return [
        tale
        for tale in paper.tales[max(begin, full_upto) : closed[-1]]
        if tale.topic in wanted and not reader.choices.muted(tale) and tale.seq not in had
    ]


def _made_up_today(reader: Reader, own: Clock, now: datetime) -> list[Planned]:
    """What a weekly or monthly reader's day missed comes on the day of the next edition, at their hour where that is
    still to be (docs/subscribers.md). A letter planned for that very hour brings it; where it does not come then,
    `readers_year` says so.
    """
    hour = Clock("daily", own.times, own.zone).from_(now)
    return [planned for planned in reader.planned.values() if planned.due == hour and own.day(hour) == own.day(now)]


def _a_whole_day(reader: Reader, own: Clock, time: datetime, now: datetime) -> bool:
    begin = own.begin(own.day(time))
    # One that was planned before they changed something keeps its hour, and is the letter of that day of theirs; also
    # where it comes in this very run, which may be hours after.
    former = any(planned.made < reader.settled for planned in reader.planned.values())
    came = any(begin <= at and (at < now or planned.made < reader.settled) for at, planned in reader.letters)
    return begin > reader.settled and not former and not came
