"""`digest history`: what runs did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from digest.cli.common import Options, count, print_json, print_rows
from digest.cli.options import Json, Limit

if TYPE_CHECKING:
    from digest.store.run_tables import Run

_SHOWN = {
    "collect": ("asked", "new", "failed"),
    "curate": ("stories",),
    "compose": ("editions", "letters"),
    "deliver": ("sent", "refused", "deferred", "held", "in_doubt"),
    "mail": ("read",),
    "webhooks": ("sent", "failed"),
}


def history(context: typer.Context, limit: Limit = 20, as_json: Json = False) -> None:
    """Show the last runs, and how they ended.

    Those of `run`, `collect` and `deliver`: when, with which exit code, and what each step did.
    One that was killed did not end. How long runs are remembered is history_days in [log].

    Example: digest history --limit 50
    """
    from digest.store import runs

    options: Options = context.obj
    with options.open(partly=True) as (_config, database), database.read() as session:
        found = [(run, runs.standing(run)) for run in runs.latest(session, limit=limit)]
    if as_json:
        print_json([_machine(run, standing) for run, standing in found])
        return
    print_rows(
        ("run", "command", "began", "seconds", "exit", "what_it_did"),
        [
            (
                run.name,
                run.command,
                run.began_at,
                _seconds(run),
                standing if run.exit_code is None else run.exit_code,
                _words(run),
            )
            for run, standing in found
        ],
    )


def _seconds(run: Run) -> float | None:
    return None if run.ended_at is None else round((run.ended_at - run.began_at).total_seconds(), 1)


def _words(run: Run) -> str:
    """`collect: 12 asked, 3 new; deliver: 40 sent`, and what broke it off."""
    parts = [f"broke off: {run.trouble}"] if run.trouble else []
    for step, names in _SHOWN.items():
        counts = [
            _counted(number, name.replace("_", " ")) for name in names if (number := run.steps.get(step, {}).get(name))
        ]
        if counts:
            parts.append(f"{step}: {', '.join(counts)}")
    parts += [f"{name}: {done['trouble']}" for name, done in run.newsletters.items() if done.get("trouble")]
    return "; ".join(parts) or ("nothing was due" if run.ended_at is not None else "")


def _counted(number: int, name: str) -> str:
    """`3 sent`, and of nouns one is not many: `1 edition`."""
    one = {"stories": "story", "editions": "edition", "letters": "letter"}.get(name)
    return count(number, one, name) if one else f"{number:,} {name}"


def _machine(run: Run, standing: str) -> dict[str, Any]:
    same = ("name", "command", "began_at", "ended_at", "exit_code", "trouble", "steps", "newsletters")
    return {"id": run.id, **{name: getattr(run, name) for name in same}, "standing": standing, "seconds": _seconds(run)}
