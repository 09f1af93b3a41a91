"""Runs as they are remembered: begun, ended, shown, and forgotten after a while; and sums that only grow."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.dataclass import dataclass
from digest.store import clock
from digest.store.database import insert_into
from digest.store.run_tables import Run, Tally

TALLIED = ("sent", "refused", "deferred")
_FORGOTTEN_AT_ONCE = 1_000
_RUN = Run.__table__  # type: ignore[attr-defined]
_NO_SYNC = {"synchronize_session": False}


@dataclass(frozen=True)
class Deed:
    """What a run came to: its exit code, what broke it off in words, and counts by step and by newsletter."""

    exit_code: int
    trouble: str = ""
    steps: Mapping[str, Any] = field(default_factory=dict)
    newsletters: Mapping[str, Any] = field(default_factory=dict)
    letters: Mapping[str, int] = field(default_factory=dict)  # of TALLIED


def begin(session: Session, *, name: str, command: str, process: str, now: datetime) -> None:
    row = {"name": name, "command": command, "process": process, "began_at": now}
    nothing: dict[str, Any] = {"trouble": "", "steps": {}, "newsletters": {}}
    session.connection().execute(sa.insert(_RUN).values(row | nothing))


def end(session: Session, name: str, deed: Deed, *, now: datetime) -> None:
    """A run that was forgotten meanwhile has no row to fill in, and is counted all the same."""
    values = {"ended_at": now, "exit_code": deed.exit_code, "trouble": deed.trouble}
    values |= {"steps": dict(deed.steps), "newsletters": dict(deed.newsletters)}
    session.execute(sa.update(_RUN).where(_RUN.c.name == name).values(values))
    tally(session, deed.letters)


def tally(session: Session, letters: Mapping[str, int]) -> None:
    """Add to the sums, in the order of their names, so that two who do it wait for each other and not in a circle."""
    for name in sorted(set(TALLIED) & letters.keys()):
        if letters[name] > 0:
            row = insert_into(session, Tally).values(name=name, total=letters[name])
            more = Tally.__table__.c.total + row.excluded.total  # type: ignore[attr-defined]
            session.connection().execute(row.on_conflict_do_update(index_elements=["name"], set_={"total": more}))


def totals(session: Session) -> dict[str, int]:
    """The sums by their names, those of which there was none yet included."""
    return dict.fromkeys(TALLIED, 0) | {row.name: row.total for row in session.exec(select(Tally))}


def forget(session: Session, *, keep: timedelta, now: datetime) -> int:
    """Forget runs that began longer ago; how many. Not by a clock that may have leapt."""
    if not clock.ran_lately(session, now=now):
        return 0
    old = sa.select(_RUN.c.id).where(_RUN.c.began_at < now - keep).order_by(_RUN.c.id).limit(_FORGOTTEN_AT_ONCE)
    found = session.connection().execute(sa.delete(_RUN).where(_RUN.c.id.in_(old)))
    return found.rowcount


def latest(session: Session, *, limit: int) -> list[Run]:
    """The newest first."""
    return list(session.exec(select(Run).order_by(col(Run.id).desc()).limit(limit)))


def last_ended(session: Session, command: str) -> Run | None:
    """The newest run of a command that came to its end, whatever that was."""
    query = select(Run).where(Run.command == command, col(Run.ended_at).is_not(None))
    return session.exec(query.order_by(col(Run.id).desc()).limit(1)).first()


def standing(run: Run) -> str:
    """How a run stands, in words: "ended", "under way", or, of one that was killed, "did not end"."""
    if run.ended_at is not None:
        return "ended"
    host, _, number = run.process.partition(" ")
    if host != socket.gethostname():
        return f"did not end, or is under way on {host}"
    alive = number.partition(" ")[0].isdigit() and run.process == process(int(number.partition(" ")[0]))
    return "under way" if alive else "did not end"


def this_process() -> str:
    return process(os.getpid())


def process(number: int) -> str:
    """Host, number and start of a process, by which it is told from a later one of the same number.

    Where there is no /proc, only whether there is one of that number.
    """
    try:
        # After the name, which is in brackets and may hold anything: the 22nd field of all (proc_pid_stat(5)).
        start = Path(f"/proc/{number}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        start = "" if Path("/proc/self").exists() else _lives(number)
    return f"{socket.gethostname()} {number} {start}"


def _lives(number: int) -> str:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return "gone"
    except OSError:
        pass  # of somebody else
    return "there"
