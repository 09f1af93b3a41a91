"""Plays a plan to its end, and on, until all is well again and nobody should be owed anything."""

from __future__ import annotations

import gc
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from . import keep, oracles
from .hub import Endless, Hub, Killed
from .mail import Relay, Session
from .plan import FOREVER, Deed, Plan, Start, draw
from .world import Run, Stage, Theatre, settings

LATER = 80 * 60.0  # after which a deferred letter is due again: the longest delay, and its jitter
MOST_RUNS = 4  # once all is well, for every letter that somebody will take


@dataclass
class Verdict:
    """What is wrong with a history: nothing, or what was promised and was not so."""

    plan: Plan
    wrong: list[str] = field(default_factory=list)
    log: list[tuple[float, str]] = field(default_factory=list)
    letters: int = 0
    runs: int = 0
    taken: int = 0

    def words(self) -> list[str]:
        lines = self.plan.words()
        lines += [f"{at:12.3f}  {words}" for at, words in self.log]
        lines += [f"WRONG: {words}" for words in self.wrong] or ["all promises were kept"]
        return lines


def play(theatre: Theatre, seed: int, family: str) -> Verdict:
    """One history. `world.installed()` has to be around it."""
    if family == "keep":
        history = keep.History(theatre, seed)
        history.play()
        wrong, letters = list(dict.fromkeys(history.wrong)), len(history.model.letters)
        return Verdict(draw(seed, family), wrong, history.log, letters=letters, runs=history.runs)
    return Player(theatre, draw(seed, family)).play()


class Player:
    def __init__(self, theatre: Theatre, plan: Plan) -> None:
        self.plan, self.hub = plan, Hub()
        name = f"{plan.family} {plan.seed}"
        self.relays = [
            Relay(server.host, server.port, hub=self.hub, seed=name, **server.offers) for server in plan.servers
        ]
        self.stage = Stage(theatre, plan.shape, self.relays, self.hub, name)
        self.stage.leaps = list(plan.leaps)
        self.stage.shared = plan.shared
        self.stage.written = plan.written
        self.stage.server = plan.server
        self.copies: set[int] = set()
        self.poured = 0  # a copy, into the database in which somebody was at work
        self.done: list[tuple[float, Deed]] = []
        if plan.restores:
            self.stage.witness = theatre.folder / "witness"
            shutil.rmtree(self.stage.witness, ignore_errors=True)
        self.verdict = Verdict(plan, log=self.stage.log)
        self.healed_at = FOREVER
        self.cured_at: list[float] = []
        self.let_go: list[tuple[float, set[str]]] = []  # whose letters are owed anew, with a lifetime that starts over
        self._smtp = dict(plan.smtp)
        self._counts: Counter[tuple[int, str]] = Counter()
        self._rcpts = 0
        for relay, server in zip(self.relays, plan.servers, strict=True):
            relay.rules = [*server.rules, *plan.fates]
            relay.watch = self._watch

    def play(self) -> Verdict:
        stage, verdict = self.stage, self.verdict
        automatic = gc.isenabled()
        gc.disable()
        try:
            with stage.playing():
                self._trouble()
                self._well_again()
                oracles.judge(self)
        except Endless as endless:
            verdict.wrong.append(f"P9 {endless}")
        finally:
            self._strike_set()
            if automatic:
                gc.enable()
        verdict.letters = len(stage.letters())
        verdict.runs = len(stage.runs)
        verdict.taken = sum(seen.taken for relay in self.relays for seen in relay.log)
        # What one wrong thing is followed by is not news.
        verdict.wrong = list(dict.fromkeys(verdict.wrong))
        return verdict

    # ------------------------------------------------------------

    def _trouble(self) -> None:
        for deed in self.plan.deeds:
            if deed.at >= 0:
                self.hub.at(deed.at, self._do, deed)
        together = [start for start in self.plan.starts if start.at is not None]
        runs = [self._start(n, start) for n, start in enumerate(self.plan.starts) if start.at is not None]
        if together:
            self._await(runs)
        for n, start in enumerate(self.plan.starts):
            if start.at is None:
                self._pass(start.gap if n else 0.0)
                if start.put_back in self.copies:
                    self._put_back(start)
                self._await([self._start(n, start)])
            last = n + 1 == len(self.plan.starts)
            if self.plan.bound == n + 1 or (together and last and 0 < self.plan.bound <= n + 1):
                oracles.served(self)

    def _put_back(self, start: Start) -> None:
        self._go_on(self.stage.put_back(start.put_back), unaware=start.unaware)

    def _go_on(self, older: bool, *, unaware: bool) -> None:
        self._pass(1.0)
        if older:
            if unaware:
                run = self._start(-1, Start())
                self._await([run])
                oracles.held_back(self, run)
            self.stage.accept()
            self._pass(1.0)

    def _well_again(self) -> None:
        """Relays, clocks and disks are as they should be, and somebody looks after what waits for a person."""
        plan, stage = self.plan, self.stage
        if plan.skip:
            self._pass(plan.skip)
            stage.say(f"{plan.skip / 86_400:g} days have passed")
        for relay, server in zip(self.relays, plan.servers, strict=True):
            relay.rules = list(plan.fates)
            relay.most = 0
            if plan.mass:
                relay.size = None
            if plan.family != "clocks":
                server.settings = {k: v for k, v in server.settings.items() if not k.startswith("per_")}
        if stage.leaps:
            stage.leaps.append((self.hub.now, 0.0))
        self.healed_at = self.hub.now
        stage.say("all is well again")
        if plan.shape.line:
            self._news()
        for _ in range(MOST_RUNS):
            counts = self.stage.count()
            held = counts.get("held") and not plan.skip
            if not (self._owed() or held or (plan.mass and counts.get("refused"))):
                break
            self._await([self._start(-1, Start())])
            if not plan.skip:
                self._cure()
            if self._owed():
                self._pass(LATER)
        if self._owed() and any("per_day" in server.settings for server in plan.servers):
            for _ in range(2):
                self._pass(26 * 3600.0)
                self._await([self._start(-1, Start())])
                self._cure()
            self._await([self._start(-1, Start())])
        oracles.settled(self)
        if self._owed():
            self._give_up()

    def _give_up(self) -> None:
        """What nobody takes comes to its end.

        Also what was let go on last, whose lifetime begins with its next attempt and not before.
        """
        half = float(self._smtp["lifetime_hours"]) * 1800
        for _ in range(3):
            self._pass(half)
            self._await([self._start(-1, Start())])  # an attempt that must not make its life longer
            self._pass(half + LATER)
            for _ in range(2):  # soon, or an edition that was let go on would be late once more
                self._await([self._start(-1, Start())])
                self._cure(letters=False)
                if not self._owed():
                    return
                self._pass(LATER)

    def _news(self) -> None:
        """One more story for each newsletter, and runs until its next slot is over."""
        for n, name in enumerate(self.plan.shape.names):
            self._do(Deed("publish", paper=name, number=900 + n))
        self._pass(1.0)
        left = runs = 16 if self.plan.shape.weekly else 3
        while left:
            before, left = self.stage.accepted, left - 1
            self._await([self._start(-1, Start())])
            self._pass(13 * 3600.0)
            if self.stage.accepted > before:  # what was to be told in one that went out from another copy
                left = runs

    def _owed(self) -> bool:
        counts = self.stage.count()
        waiting = self.stage.rows("SELECT 1 FROM edition WHERE state IN ('held', 'paused')")
        return bool(waiting or any(counts.get(state) for state in ("owed", "claimed", "sending")))

    def _cure(self, *, letters: bool = True) -> None:
        ended = self._ended()
        if self.stage.rows(
            "SELECT 1 FROM edition WHERE state IN ('held', 'paused') UNION ALL"
            " SELECT 1 FROM outbox WHERE state = 'held' LIMIT 1"
        ):
            self.cured_at.append(self.hub.now)
            self.stage.cure(held_letters=letters)
        if self.plan.mass and self.stage.count().get("refused"):
            self.stage.owe_again_refused()
        self._pass(1.0)
        if anew := ended - self._ended():
            rows = self.stage.letters()
            self.let_go.append((self.hub.now, {rows[number][0][2] for number in anew}))

    def _ended(self) -> set[int]:
        return {row["id"] for row in self.stage.rows("SELECT id FROM outbox WHERE settled_at IS NOT NULL")}

    def _pass(self, seconds: float) -> None:
        end = self.hub.now + seconds
        over: list[bool] = []
        self.hub.at(end, lambda: over.append(True))
        self.hub.run(lambda: bool(over))

    def _start(self, number: int, start: Start) -> Run:
        self._smtp |= start.smtp
        name = f"run {len(self.stage.runs)}"
        smtp = dict(self._smtp)
        plan, folder = self.plan, self.stage.theatre.folder
        relays = [{"url": server.url} | server.settings | start.smtp for server in plan.servers]
        own = {name: {"smtp": {"relays": [relays[n] for n in numbers]}} for name, numbers in plan.own.items()}
        common = relays if plan.common is None else [relays[n] for n in plan.common]
        smtp.pop("connections", None)
        config = settings(plan.shape, smtp | {"relays": common}, folder, own, **plan.paper)
        now = self.hub.now if start.at is None else start.at
        run = Run(
            now, config, name, start.slot, self.plan.shape.line, tuple(_later(f, now) for f in start.faults),
            stop_at=now + start.stop_after, offset=start.offset, data_first=start.data_first,
            commit_time=start.commit_time,
        )  # fmt: skip
        run.number = number
        process = self.stage.start(run)
        if start.kill_after < FOREVER:
            self.hub.at(now + start.kill_after, self._kill, run)
        if start.freeze_for:
            self.hub.at(now + start.freeze_at, self._freeze, run, start.freeze_for, start.freeze_within)
        process.watchers.append(lambda _: self.stage.ended(run))
        return run

    def _await(self, runs: list[Run]) -> None:
        self.hub.run(lambda: all(run.process.ended or run.process.dead for run in runs))
        for run in runs:
            if run.process.dead:
                self._pass(0.0)
                self.stage.ended(run)
        if self.poured:
            self.poured, unaware = 0, self.poured % 2 == 0
            self._pass(1.0)
            self._go_on(self.stage.was_put_back(), unaware=unaware)

    def _kill(self, run: Run) -> None:
        if not (run.process.ended or run.process.dead):
            self.stage.say(f"{run.name} is killed")
            run.process.finished = self.hub.now
            run.process.kill()

    def _freeze(self, run: Run, seconds: float, within: int) -> None:
        if not (run.process.ended or run.process.dead):
            self.stage.say(f"{run.name} freezes for {seconds:g} s")
            run.frozen += seconds
            run.process.freeze(seconds, within=within)

    def _watch(self, what: str, session: Session) -> None:
        run = self.stage.run_of(session.wire.process)
        if run is None:
            return
        self._counts[run.number, what] += 1
        for trigger in self.plan.triggers:
            if (trigger.run, trigger.what) != (run.number, what) or self._counts[run.number, what] != trigger.number:
                continue
            if trigger.act == "kill":
                self._kill(run)
            else:
                self._freeze(run, trigger.seconds, trigger.within)
        if what == "RCPT":
            self._rcpts += 1
            for deed in self.plan.deeds:
                if deed.after_rcpt == self._rcpts:
                    self._do(deed)

    def _do(self, deed: Deed) -> None:
        stage = self.stage
        self.done.append((self.hub.now, deed))
        if deed.what == "copy":
            self.copies.add(deed.number)
        if deed.what == "pour":
            if deed.number not in self.copies:
                return
            self.poured = deed.number
        todo: dict[str, Callable[[], None]] = {
            "unsubscribe": lambda: stage.unsubscribe(deed.who, deed.paper),
            "lean": lambda: stage.lean(deed.who, deed.paper, deed.number),
            "suppress": lambda: stage.suppress(deed.who),
            "block": lambda: stage.block(deed.who),
            "move": lambda: stage.move(deed.who),
            "rename": lambda: stage.rename(deed.who),
            "erase": lambda: stage.erase(deed.who),
            "return": lambda: stage.come_back(deed.who, deed.paper),
            "pause": lambda: stage.pause(deed.number),
            "resume": lambda: stage.resume(deed.number),
            "cancel": lambda: stage.cancel(deed.number),
            "publish": lambda: stage.publish(deed.paper, deed.number),
            "copy": lambda: stage.copy(deed.number),
            "pour": lambda: stage.pour(deed.number),
        }
        todo[deed.what]()

    def _strike_set(self) -> None:
        """Unwind what is left of processes, so that nothing of them lives on into the next history."""
        for run in self.stage.runs:
            if run.process is not None and not run.process.ended:
                run.process.kill()
        try:
            self.hub.run(lambda: all(a.done for r in self.stage.runs if r.process for a in r.process.actors))
        except (Endless, Killed):
            pass


def _later(fault: object, now: float) -> object:
    from dataclasses import replace

    return replace(fault, start=fault.start + now, end=fault.end + now) if not fault.first else fault  # type: ignore
