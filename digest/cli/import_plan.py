"""The plan of an import in words, and what is asked of whoever stands before it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import typer

from digest.cli.common import Options, in_words

if TYPE_CHECKING:
    from digest.subscribe import Imported, Plan, Terms

_T = TypeVar("_T")
_OUTCOMES = ("added", "pending", "left", "ended", "confirmed", "known", "stays_gone", "stays_suppressed",
             "stays_erased", "no_letters", "duplicates", "refused")  # fmt: skip


def attended() -> bool:
    """Whether somebody is there who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def told(plan: Plan) -> Iterator[str]:
    """The plan, line by line."""
    shown = f" (in it: {', '.join(plan.words)}; --encoding says another)" if plan.words else ""
    service = f", an export of {plan.service}," if plan.service else ""
    yield f"{plan.name}{service} is read as {plan.encoding}{shown}, separated by {_separator(plan.separator)}"
    width = min(30, max((len(column.title) for column in plan.columns), default=0))
    for column in plan.columns:
        meaning = f"→ {column.field}" if column.field else "ignored"
        why = f": {column.why}" if column.why and not column.field else f" ({column.why})" if column.why else ""
        yield f"  {_inert(column.title):<{width}} {meaning}{why}"
        for value, count, effect in column.values:
            yield f"  {'':<{width}}   {_inert(value)!r} ×{count:,}: {effect}"
    counts = {name.replace("_", " "): number for name in _OUTCOMES if (number := getattr(plan.counts, name))}
    rows = plan.counts.rows
    yield f"{rows:,} {'row' if rows == 1 else 'rows'}; {in_words(counts) or 'nothing comes of them'}"
    if plan.counts.suppressed:
        many = plan.counts.suppressed
        yield f"{many:,} {'address gets' if many == 1 else 'addresses get'} no letters from now on"
    for row in plan.sample:
        since = f"{row.since:%Y-%m-%d}" if row.since else ""
        parts = (row.email, row.state, row.name, ", ".join(row.tags), since, row.outcome)
        yield f"  line {row.line}: " + " | ".join(_inert(part) for part in parts if part)
    yield from (f"{plan.name}, {_inert(words)}" for words in plan.unread)
    if plan.counts.unread > len(plan.unread):
        yield f"… and {plan.counts.unread - len(plan.unread)} more"


def _separator(separator: str) -> str:
    return {"none": "nothing: a list of addresses", "tab": "tabs"}.get(separator, repr(separator))


def _inert(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:80])


def agree(options: Options, plan: Plan, *, yes: bool, dry_run: bool) -> None:
    """Show the plan, and ask where it changes much; UserError where nobody can be asked."""
    from digest.errors import UserError

    for line in told(plan):
        options.say(line)
    if not plan.large:
        return
    much = f"{plan.name} would {', '.join(plan.large)}, where the list has {plan.listed:,}"
    if dry_run:
        options.say(f"{much}: without --dry-run it wants --yes")
    elif not yes:
        if not attended():
            raise UserError(much, hint="if that is what you want, say so with --yes; --dry-run only looks")
        if not typer.confirm(f"{much}. Go on?", err=True):
            raise UserError(f"nothing of {plan.name} was stored")


def asking(terms: Terms, work: Callable[[Terms], _T]) -> _T:
    """Do the work; where a file leaves something open and somebody is there, ask and do it again."""
    from digest.subscribe import MEANINGS, Ambiguous, MeaningWanted

    while True:
        try:
            return work(terms)
        except Ambiguous as error:
            if not attended():
                raise
            answer = typer.prompt(f"{error}. Is it day/month? [day/month/stop]", err=True).strip().lower()
            if answer not in ("day", "month"):
                raise
            terms = replace(terms, dates=f"{answer}-first")
        except MeaningWanted as error:
            if not attended():
                raise
            answer = typer.prompt(f"{error}. What are they? [{'/'.join(MEANINGS)}/stop]", err=True).strip().lower()
            if answer not in MEANINGS:
                raise
            terms = replace(terms, meaning=answer)


def facts(done: Imported, plan: Plan | None, *, as_json: bool) -> dict[str, object]:
    """The counts of an import, for people those that are not 0; for machines with the plan."""
    from dataclasses import asdict

    counts = asdict(done)
    refused, number = counts.pop("refused_first"), counts.pop("number")
    if not as_json:
        return {"import": number or "", **{name: value for name, value in counts.items() if value}} if number else {
            name: value for name, value in counts.items() if value
        }  # fmt: skip
    shown = asdict(plan) if plan is not None else {}
    for known in ("counts", "encoding", "separator", "unread"):
        shown.pop(known, None)
    return {"import": number or None, **counts, "refused_rows": refused, "plan": shown}
