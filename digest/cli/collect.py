"""`digest collect`: ask the feeds that are due."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from digest.cli import terminal
from digest.cli.common import Options, heed_clock, now, print_json
from digest.cli.options import Force, Json
from digest.errors import Exit

if TYPE_CHECKING:
    from digest.collect import CollectReport, Progress


def collect(context: typer.Context, force: Force = False, as_json: Json = False) -> None:
    """Ask the feeds that are due and store what is new.

    Example: digest collect --force
    """
    from digest import collect as room
    from digest import loop

    options: Options = context.obj
    with options.open() as (config, database):
        healed = heed_clock(options, config, database)
        with progress_bar(options, "collect") as progress:
            report = loop.run(lambda: room.run(database, config, clock=now, force=force, progress=progress))
    if as_json:
        print_json(
            {
                **{name: getattr(report, name) for name in ("asked", "unchanged", "updated", "failed", "held")},
                **{name: getattr(report, name) for name in ("new", "edited")},
                "failures": [vars(failure) for failure in report.failures],
                "changes": [vars(change) for change in report.changes],
                "healed": healed,
            }
        )
    tell(options, report)
    if report.failed and report.failed == report.asked:
        raise typer.Exit(Exit.UNAVAILABLE)


def tell(options: Options, report: CollectReport) -> None:
    """One line for the run, and one for each feed whose state changed; bad news even when quiet."""
    from digest.collect import Health

    options.say(summary(report))
    for change in report.changes:
        line = f"  feed {change.feed_id}, {_shown(change.feed)}, {_shown(change.words)}"
        if change.health in (Health.FAILING, Health.RETIRED):
            print(line, file=sys.stderr)
        else:
            options.say(line)


def summary(report: CollectReport) -> str:
    """`collect: 257 feeds asked, 7,721 new entries, 3 failed (2 × answers 404 (not found), …)`"""
    if not report.asked and not report.held:
        return "collect: no feed is due"
    words = [f"{report.asked:,} {'feed' if report.asked == 1 else 'feeds'} asked"]
    words.append(f"{report.new:,} new {'entry' if report.new == 1 else 'entries'}")
    if report.set_aside:
        words.append(f"{report.set_aside:,} set aside (`digest status` says of which feed)")
    if report.edited:
        words.append(f"{report.edited:,} edited")
    if report.unchanged:
        words.append(f"{report.unchanged:,} unchanged")
    if report.held:
        words.append(f"{report.held:,} not asked, as their host wishes")
    if report.failed:
        common = [f"{count} × {_shown(reason)}" for reason, count in report.reasons.most_common(3)]
        more = ", …" if len(report.reasons) > 3 else ""
        words.append(f"{report.failed:,} failed ({', '.join(common)}{more})")
    return "collect: " + ", ".join(words)


@contextmanager
def progress_bar(options: Options, title: str) -> Iterator[Callable[[Progress], None] | None]:
    """A bar while stderr is a terminal, else nothing: cron wants one line, which comes at the end."""
    if options.quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        TimeElapsedColumn(),
        console=Console(file=terminal.raw(sys.stderr)),
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=None, said="")

        def show(progress: Progress) -> None:
            failed = f", {progress.failed} failed" if progress.failed else ""
            bar.update(task, total=progress.due, completed=progress.done, said=f"{progress.new} new{failed}")

        yield show


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
