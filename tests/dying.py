"""What a process does that is killed in the midst of it, always at one place: for `forked`, so little is imported."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import forked


def killed(what: Callable[..., None], *words: Any) -> None:
    """Let a process do something, which ends in `kill -9`."""
    process = forked.context().Process(target=what, args=words)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def copying(source: str, target: str, folder: Path, now: datetime, where: str, number: int) -> None:
    """Copy a database, some rows at a time, and die at the nth call of a function of ours."""
    from digest.store import copied_rows, copies

    copied_rows._MOST_ROWS = 1
    holder: Any = {"write": copied_rows, "finish": copies._Work}.get(where, copies)
    real, calls = getattr(holder, where), [0]

    def fatal(*words: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words)

    setattr(holder, where, fatal)
    copies.copy(copies.Ends(source, target, folder / "one.witness", folder / "two.witness"), now=now)


def upgrading(url: str, number: int) -> None:
    """Open a database, and die before the nth statement that changes something of it."""
    import sqlalchemy as sa
    from sqlalchemy.engine import Engine

    from digest.store import open_database

    seen = [0]

    def fatal(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen[0] += statement.lstrip().startswith(("ALTER", "CREATE", "UPDATE", "DROP", "INSERT"))
        if seen[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(Engine, "before_cursor_execute", fatal)
    open_database(url)
