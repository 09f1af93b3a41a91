"""Summaries by a machine, as a step of the line: only where the settings want them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from digest import edition, spans
from digest.collect import summaries as machine
from digest.collect.report import SummaryReport
from digest.collect.summaries import Spending as Spending
from digest.config import Config
from digest.errors import ConfigError
from digest.store import Database
from digest.told import Summaries, nobody

if TYPE_CHECKING:
    from digest.told import Tell


def write(
    database: Database,
    config: Config,
    newsletter: str,
    *,
    clock: Callable[[], datetime],
    left: Spending | None = None,
    tell: Tell = nobody,
) -> Spending:
    """Have a machine write of what the next edition may carry, within what is `left` of a run and in no transaction.

    What is left after it. What is not there in time, or not believed, is not shown: the edition is as it is without.
    """
    left = left or Spending.of(config)
    try:
        wanted = edition.wanting_summaries(database, newsletter, config, now=clock())
        with spans.span("summaries", newsletter=newsletter):
            report = machine.ask_for(database, config, wanted, clock=clock, left=left)
    except ConfigError as error:  # its function or key: told, and no reason for no edition
        report = SummaryReport(trouble=str(error))
    if report.asked or report.trouble:
        tell(Summaries(newsletter, report))
    edition.use_summaries(database, newsletter, config, now=clock())
    return left.without(report)
