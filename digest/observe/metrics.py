"""Figures for Prometheus, by its own library, which is imported only here: the extra `metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from digest import DISTRIBUTION, __version__
from digest.collect import Health, Vitals, health
from digest.config import Config
from digest.errors import ConfigError, StorageError
from digest.models import OutboxState, SubscriptionState
from digest.store import Database
from digest.store.figures import Figures, figures
from digest.store.replica import Standing

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

Copy: TypeAlias = Callable[[], Standing | None]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_UP = "Whether the database could be read: where it is 0, there is nothing else."
_TOTALS = {
    "sent": "Letters that a mail server took, or that were kept where none is set.",
    "refused": "Letters that a mail server refused for good.",
    "deferred": "Times that a letter was put off by a mail server.",
}


def registry(
    database: Database, config: Config, *, clock: Callable[[], datetime], copy: Copy = lambda: None
) -> CollectorRegistry:
    """What is asked for its figures anew at each scrape; `copy`: how the replica stands, None where there is none.

    ConfigError where the library is not there.
    """
    try:
        from prometheus_client import CollectorRegistry
    except ImportError:
        raise ConfigError(
            "figures for Prometheus need a package that is not installed beside digest",
            hint=f"pip install '{DISTRIBUTION}[metrics]'",
        ) from None
    found = CollectorRegistry(auto_describe=False)
    found.register(_Collector(database, config, clock, copy))
    return found


def exposition(
    database: Database, config: Config, *, clock: Callable[[], datetime], copy: Copy = lambda: None
) -> bytes:
    """All figures in Prometheus' text format."""
    found = registry(database, config, clock=clock, copy=copy)
    from prometheus_client import generate_latest

    return generate_latest(found)


def write(
    path: Path, database: Database, config: Config, *, clock: Callable[[], datetime], copy: Copy = lambda: None
) -> None:
    """Put the figures in a file, which is the old one or the whole new one whenever somebody reads it."""
    found = registry(database, config, clock=clock, copy=copy)
    from prometheus_client import write_to_textfile

    try:
        write_to_textfile(str(path), found)
        path.chmod(0o644)  # node_exporter runs as somebody else, and no address is in it
    except OSError as error:
        why = (error.strerror or "the system refuses").lower()
        raise StorageError(f"cannot write {path}: {why}", hint="name a file in the folder of the collector") from None


class _Collector:
    def __init__(self, database: Database, config: Config, clock: Callable[[], datetime], copy: Copy) -> None:
        self._database, self._config, self._clock, self._copy = database, config, clock, copy

    def collect(self) -> Iterator[Metric]:
        now = self._clock()
        yield from _replica(self._copy())
        try:
            found = figures(self._database, tuple(self._config.newsletters), now=now)
        except StorageError:
            yield _family("up", _UP, (), {(): 0})
            return
        yield _family("up", _UP, (), {(): 1})
        yield from _metrics(found, tuple(self._config.newsletters), now)


def _replica(standing: Standing | None) -> Iterator[Metric]:
    if standing is None:
        return
    yield _family("replica_read", "Whether pages are read from the replica.", (), {(): float(not standing.trouble)})
    if standing.behind is not None:
        yield _family("replica_lag_seconds", "How far it is behind at most.", (), {(): standing.behind})


def _metrics(found: Figures, names: tuple[str, ...], now: datetime) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, InfoMetricFamily

    yield InfoMetricFamily("digest", "The release.", {"version": __version__})
    states = Counter(
        health(Vitals(one.state, one.failures, one.ok_at, one.entry_at, one.gap), now=now) for one in found.feeds
    )
    yield _family("feeds", "Feeds by health.", ("health",), {(one.value,): states[one] for one in Health})
    waiting = {(name,): number for name, number in found.stories_waiting.items()}
    yield _family("stories_waiting", "Stories that no edition has yet.", ("newsletter",), waiting)
    readers: dict[tuple[str, ...], float] = {(name, state.value): 0 for name in names for state in SubscriptionState}
    readers |= {(name, state): number for (name, state), number in found.subscribers.items()}
    yield _family("subscribers", "Subscriptions by newsletter and state.", ("newsletter", "state"), readers)
    letters = {(state.value,): found.letters.get(state.value, 0) for state in OutboxState}
    yield _family("letters", "Letters that are stored, by state.", ("state",), letters)
    for name, words in _TOTALS.items():
        yield CounterMetricFamily(f"digest_letters_{name}", words, found.totals[name])
    age = found.oldest_due.total_seconds() if found.oldest_due else 0
    yield _family("queue_age_seconds", "How long the letter waits that was due first; 0: none is due.", (), {(): age})
    yield _family("database_size_bytes", "Size of the database.", (), {(): found.database_bytes})
    if found.workers:
        silent = {(one.worker.name, one.worker.release): one.silent for one in found.workers}
        yield _family("worker_silent_seconds", "Since a worker was heard of last.", ("worker", "release"), silent)
        jobs = CounterMetricFamily("digest_worker_jobs", "Jobs that a worker did.", labels=("worker", "job"))
        for one in found.workers:
            for job, number in one.worker.done.items():
                jobs.add_metric((one.worker.name, job), number)
        yield jobs
    if (last := found.last_run) is not None:
        seconds = (last.ended_at - last.began_at).total_seconds()
        ended = last.ended_at.timestamp()
        yield _family("last_run_timestamp_seconds", "When the last `digest run` ended.", (), {(): ended})
        yield _family("last_run_duration_seconds", "How long it took.", (), {(): seconds})
        yield _family("last_run_exit_code", "How it ended (sysexits.h).", (), {(): last.exit_code})


def _family(name: str, words: str, labels: tuple[str, ...], values: Any) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"digest_{name}", words, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return family
