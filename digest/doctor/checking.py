"""Checks run beside each other, each within its time; one that breaks is a finding, and ends none of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from digest.doctor.findings import Cure, Finding, Level
from digest.errors import DigestError

_T = TypeVar("_T")
Ask = Callable[[], Awaitable[Iterable[Finding]]]


@dataclass(frozen=True)
class Check:
    """One question, which gives its findings within `seconds`."""

    section: str
    name: str
    ask: Ask
    seconds: float

    @classmethod
    def working(cls, section: str, name: str, look: Callable[[], Iterable[Finding]], seconds: float) -> Check:
        """One that does not await: it works in a thread of its own."""
        return cls(section, name, lambda: in_thread(lambda: list(look())), seconds)


async def run(checks: Sequence[Check], *, told: Callable[[int, int], None] = lambda done, total: None) -> list[Finding]:
    """The findings of all, in the order of the checks; `told` hears (done, total) as they end."""
    done = 0

    async def one(check: Check) -> list[Finding]:
        nonlocal done
        found = await _asked(check)
        done += 1
        told(done, len(checks))
        return found

    each = await asyncio.gather(*(one(check) for check in checks))
    return [finding for some in each for finding in some]


async def _asked(check: Check) -> list[Finding]:
    again = Cure(f"digest doctor --only {check.section}")
    try:
        async with asyncio.timeout(check.seconds):
            return list(await check.ask())
    except TimeoutError:
        words, cure = f"no answer within {check.seconds:g} seconds", again
    except DigestError as error:
        words, cure = str(error), again
        if hint := getattr(error, "hint", ""):
            words = f"{words}; {hint}"
    except Exception as error:
        words, cure = f"the check itself broke, which is a mistake of ours: {type(error).__name__}: {error}", again
    return [Finding(check.section, check.name, Level.FAIL, words, cure)]


async def in_thread(work: Callable[[], _T]) -> _T:
    """What `work` gives. A thread that nobody waits for: one that hangs keeps no command from ending."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_T] = loop.create_future()

    def settle(value: _T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(value)  # type: ignore[arg-type]

    def begin() -> None:
        value: _T | None = None
        error: BaseException | None = None
        try:
            value = work()
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(settle, value, error)
        except RuntimeError:
            pass  # the loop has ended meanwhile

    threading.Thread(target=begin, daemon=True).start()
    return await answer
