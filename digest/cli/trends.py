"""`digest topic trends` in words: what rises and what falls, each with some of its stories."""

from __future__ import annotations

from collections.abc import Iterator

from digest.cli import terminal
from digest.curate.trends import Trend, Trends


def in_words(name: str, found: Trends, weeks: int) -> Iterator[str]:
    """Line by line, harmless on a terminal."""
    recent = max(1, weeks // 4)
    if found.begun is None:
        yield f"{name}: nothing was told in these {weeks} weeks"
        return
    yield f"{name}: from {found.begun:%Y-%m-%d} to {found.until:%Y-%m-%d}, as far as it is kept"
    if not found.past:
        yield f"nothing to compare with: all {found.recent:,} stories are of the last {_weeks(recent)}"
        return
    yield (
        f"the last {_weeks(recent)} ({found.recent:,} stories, since {found.since:%Y-%m-%d}) against what was before "
        f"({found.past:,})"
    )
    for title, trends in (("Rising", found.rising), ("Falling", found.falling)):
        yield ""
        yield title if trends else f"{title}: nothing that numbers are sure of"
        for trend in trends:
            yield f"  {trend.kind:<6}  {terminal.inert(trend.name)}: {_numbers(trend)}"
            for example in trend.examples:
                yield f"            {example.id}  {terminal.inert(example.title)}"


def _weeks(number: int) -> str:
    return "week" if number == 1 else f"{number} weeks"


def _numbers(trend: Trend) -> str:
    return (
        f"{trend.recent:,} ({trend.share:.1%} of all), before {trend.past:,} ({trend.past_share:.1%}): "
        f"{trend.ratio:g} times as much"
    )
