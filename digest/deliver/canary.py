"""The first letters of an edition go out alone; how they fare decides about the rest. Pure."""

from __future__ import annotations

import math

from digest.dataclass import dataclass
from digest.store import edition_states

UNLIMITED = 1_000_000_000


@dataclass(frozen=True)
class Look:
    """What may be claimed of an edition now: `room` letters that nobody has tried, or only those that were tried."""

    room: int = UNLIMITED
    tried_only: bool = False
    passed: bool = True
    objection: str = ""


def look(tally: edition_states.Tally, *, share: float, max_refused: float) -> Look:
    """Where the canary of an edition stands, by what all senders on the database did since it was opened."""
    # So many at least that one dead mailbox among them says nothing about the edition.
    size = max(math.ceil(tally.letters * share), math.ceil(1 / max_refused) if max_refused else 1)
    if not share or size >= tally.letters or tally.begun > size:
        return Look()  # there is no rest to follow, or somebody let it follow
    if tally.begun < size:
        return Look(room=size - tally.begun, passed=False)
    if tally.out:
        return Look(room=0, passed=False)
    settled = tally.sent + tally.refused
    if settled < max(1, size // 2):  # the deferred cannot hold up the rest, but too few answers say nothing
        return Look(tried_only=True, passed=False)
    if tally.refused > max_refused * settled:
        return Look(
            room=0, passed=False, objection=f"canary: {tally.refused} of the first {settled} letters were refused"
        )
    return Look()
