"""What each job does: the steps of the line, for what its numbers say, as far as the rows say that it is still due."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from digest import alerts, line
from digest.config import Config
from digest.deliver import NOTICES
from digest.deliver.report import Report
from digest.deliver.shares import Share
from digest.store import Database, feed_claims, letters, newsletters, runs, workers
from digest.told import nobody
from digest.workers import wanted
from digest.workers.wanted import Job

if TYPE_CHECKING:
    from digest.told import Tell

SENDING = Share(gives_way=True)
SLICE = timedelta(minutes=1)  # that a share is sent by, before others have a turn


@dataclass(frozen=True)
class Work:
    """The jobs by their names. Each returns those that it wakes in turn, and may be done twice, or at once."""

    database: Database
    config: Config
    clock: Callable[[], datetime]
    rng: random.Random
    stop: Callable[[], bool] = lambda: False  # asked between two letters
    broken: Mapping[str, str] = field(default_factory=dict)  # newsletters that cannot be composed, and why
    tell: Tell = nobody

    def do(self, name: str, numbers: Mapping[str, int]) -> list[Job]:
        """The job of this name. KeyError for one that this release does not know."""
        deeds: dict[str, Callable[..., list[Job]]] = {
            "notices": self._notices,
            "signups": self._signups,
            "listen": self._listen,
            "collect": self._collect,
            "newsletter": self._newsletter,
            "webhooks": self._webhooks,
            "deliver": self._deliver,
            "alerts": self._alerts,
            "upkeep": self._upkeep,
        }
        return deeds[name](**numbers)

    def before(self, name: str, numbers: Mapping[str, int]) -> list[Job]:
        """The jobs that are woken before this one is begun: the first share of the relays wakes the others."""
        if name != "deliver" or numbers.get("share") or wanted.shares(self.config) == 1:
            return []
        with self.database.read() as session:
            due = letters.any_due(session, now=self.clock(), notices=False)
        return [wanted.share_of_relays(number) for number in range(1, wanted.shares(self.config))] if due else []

    def look(self) -> list[Job]:
        """What there is to do at all, by a clock that is right: else WrongClock."""
        line.heal(self.database, self.config, now=self.clock(), tell=self.tell)
        with self.database.write() as session:
            workers.forget(session)
        return wanted.wanted(self.database, self.config, now=self.clock())

    def _notices(self) -> list[Job]:
        self._sent(self._send(NOTICES, self.stop))
        return []

    def _signups(self) -> list[Job]:
        line.answer_signups(self.database, self.config, now=self.clock())
        return [wanted.NOTICES]

    def _listen(self) -> list[Job]:
        line.listen(self.database, self.config, clock=self.clock, tell=self.tell)
        return []

    def _collect(self, part: int) -> list[Job]:
        if part < wanted.PARTS:  # else woken by another release
            mine = feed_claims.Part(part, wanted.PARTS)
            line.collect(self.database, self.config, clock=self.clock, part=mine, tell=self.tell)
        return []

    def _newsletter(self, newsletter: int) -> list[Job]:
        """Nothing where the settings do not know it any more."""
        with self.database.read() as session:
            names = {row.id: row for row in newsletters.by_name(session).values()}
            row = names.get(newsletter)
            if row is None or row.name not in self.config.turn:
                return []
            due = wanted.may_compose(session, self.config, row, now=self.clock())
        line.to_letters(
            self.database,
            self.config,
            row.name,
            clock=self.clock,
            broken=self.broken.get(row.name, ""),
            due=due,
            tell=self.tell,
        )
        return [wanted.share_of_relays(number) for number in range(wanted.shares(self.config))] if due else []

    def _webhooks(self) -> list[Job]:
        line.tell_webhooks(self.database, self.config, clock=self.clock, rng=self.rng, stop=self.stop, tell=self.tell)
        return []

    def _deliver(self, share: int) -> list[Job]:
        """Send for a while; where letters are left then, wake the share anew."""
        ends = self.clock() + SLICE
        if share >= wanted.shares(self.config):
            return []  # woken by other settings
        with self.database.read() as session:
            if share and not letters.any_due(session, now=self.clock(), notices=False):
                return []  # others were quicker; the first share holds what is late, and opens what was held
        report = self._send(SENDING, lambda: self.stop() or self.clock() >= ends)
        self._sent(report)
        return [wanted.share_of_relays(share)] if report.interrupted and report.left.due.letters else []

    def _send(self, share: Share, stop: Callable[[], bool]) -> Report:
        return line.deliver(
            self.database, self.config, clock=self.clock, rng=self.rng, stop=stop, share=share, tell=self.tell
        )

    def _sent(self, report: Report) -> None:
        """Count the letters, for the sums."""
        done = {name: getattr(report, name) for name in runs.TALLIED}
        if any(done.values()):
            with self.database.write() as session:
                runs.tally(session, done)

    def _alerts(self) -> list[Job]:
        seen = line.seen(self.database, self.config, now=self.clock())
        if self.config.alerts.channels:
            line.alert(self.database, self.config, clock=self.clock, rng=self.rng, seen=seen)
        alerts.beat(self.config.alerts, 0, line.alert_means(self.config))
        return []

    def _upkeep(self) -> list[Job]:
        line.tidy(self.database, self.config, now=self.clock())
        line.make_findable(self.database)
        line.prune(self.database, self.config, clock=self.clock, stop=self.stop)
        line.ask_hubs(self.database, self.config, clock=self.clock)
        return []
