"""How often Python looks for garbage: not while a command starts, which makes none, and not when it ends."""

from __future__ import annotations

import gc

# Objects made since the last look. Nearly all that commands make goes with its last use: a look at what a preview holds
# takes a tenth of a second and frees a thousand. At 400,000 a run held 7 MB more, at 50,000 it holds no less.
_START, _WORK = 200_000, 150_000


def start() -> None:
    """What is imported stays: to look through it again and again was a tenth of a start."""
    gc.set_threshold(_START)


def work() -> None:
    """The start is over, if there was one: all that it made stays, and need not be looked through later either."""
    if gc.get_threshold()[0] == _START:
        gc.freeze()
        gc.set_threshold(_WORK)


def end() -> None:
    """The memory goes back as a whole: Python, while it ends, would look through all of it several times."""
    gc.freeze()
