"""What a run leaves for the operator to hear, however it ends: alerts, their own letter, and the heartbeat."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from digest.cli.common import Options, now
from digest.cli.looked import daily
from digest.errors import Exit, StorageError, UserError, WrongClock

if TYPE_CHECKING:
    from digest.alerts import Means
    from digest.config import Config
    from digest.line import Outcome
    from digest.store import Database

_DAY = timedelta(days=1)


def after(options: Options, config: Config, database: Database, outcome: Outcome) -> None:
    """After a run: nothing that happens here changes how it ended."""
    from digest import alerts, line

    if not config.alerts.channels and config.alerts.heartbeat is None:
        return
    means = line.alert_means(config)
    code = int(outcome.exit_code)
    try:
        _recovered(config, means)
        looked = daily(config) if config.alerts.channels else None
        seen = line.seen(database, config, now=now(), outcome=outcome, looked=looked)
        rng = random.Random()  # noqa: S311  (jitter, not a secret)
        told = line.alert(database, config, clock=now, rng=rng, seen=seen)
        for channel, why in told.failed.items():
            options.warn(f"alerts cannot be told by {channel}: {why}\n  the next run tries again")
    except UserError as error:
        options.warn(f"alerts were not told: {error}")
    if why := alerts.beat(config.alerts, code, means):
        options.warn(f"the heartbeat was not heard: {why}")


@contextmanager
def when_it_breaks(options: Options, config: Config, database: Database) -> Iterator[None]:
    """A run that ends by an error: the heartbeat hears of it, and what the database or the clock is to blame for is
    told."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if config.alerts.channels or config.alerts.heartbeat is not None:
            _broke(options, config, database, error)
        raise


def _broke(options: Options, config: Config, database: Database, error: BaseException) -> None:
    from digest import alerts, line

    means = line.alert_means(config)
    try:
        if isinstance(error, WrongClock):
            wrong = alerts.Seen(clock=str(error))
            alerts.tell(database, config, wrong, clock=now, means=means)
        elif isinstance(error, StorageError):
            _without_database(config, str(error), means)
    except UserError as also:
        options.warn(f"alerts were not told: {also}")
    if isinstance(error, KeyboardInterrupt):
        return
    code = int(error.exit_code) if isinstance(error, UserError) else int(Exit.SOFTWARE)
    if why := alerts.beat(config.alerts, code, means):
        options.warn(f"the heartbeat was not heard: {why}")


def _mark(config: Config) -> Path:
    """That trouble with the database was told stands beside it: it cannot stand in it."""
    return config.maildir.parent / "digest-alert-database"


def _without_database(config: Config, words: str, means: Means, at: datetime | None = None) -> None:
    """Tell of the database by the channels that need none, at most once a day; where that cannot be kept, never."""
    at, mark = at or now(), _mark(config)
    try:
        if mark.exists() and abs(at.timestamp() - mark.stat().st_mtime) < _DAY.total_seconds():
            return
        mark.touch(mode=0o600)
        os.utime(mark, (at.timestamp(), at.timestamp()))
    except OSError:
        return
    _say(config, means, "trouble", f"database/{at:%Y%m%d}/trouble", words, at)


def _recovered(config: Config, means: Means) -> None:
    mark = _mark(config)
    try:
        since = datetime.fromtimestamp(mark.stat().st_mtime, now().tzinfo)
        mark.unlink()
    except OSError:
        return
    _say(config, means, "well", f"database/{since:%Y%m%d}/well", "It can be read and written again.", since)


def _say(config: Config, means: Means, state: str, name: str, words: str, since: datetime) -> None:
    from digest.alerts import channels
    from digest.values import AlertWord

    cure = "digest status" if state == "trouble" else ""
    word = AlertWord(name, "database", state, "the database is in trouble", words, cure, since, now())
    for channel in config.alerts.channels:
        if channel != "mail":
            channels.say(word, channel, config.alerts, means)
