"""What shall happen in a history, drawn from a seed: who reads, which servers there are and how they behave, what goes
wrong and when. Each family of histories dwells on one kind of trouble."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from .mail import Move, Rule, say
from .world import Fault, Shape

FOREVER = float("inf")
DAY = 86_400.0
GONE = "550 5.1.1 no such user"

# A mailbox's or its domain's own troubles, as (step, words).
PERMANENT = (
    ("RCPT", "550 5.7.1 we do not want this"),
    ("RCPT", "552 5.2.2 mailbox full"),
    ("RCPT", "550 5.2.1 mailbox disabled"),
    ("RCPT", "554 5.7.1 blocked"),
    ("RCPT", "550 no"),
    ("BODY", "554 5.7.1 this is spam"),
    ("BODY", "552 5.2.2 mailbox full"),
    ("BODY", "550 5.6.0 bad content"),
)
ODD = (
    ("RCPT", "550 5.1.8 sender address rejected"),
    ("RCPT", "550 5.1.7 bad sender"),
    ("RCPT", "530 5.7.0 authentication required"),
    ("RCPT", "530 must issue STARTTLS first"),
    ("RCPT", "535 5.7.8 authentication failed"),
    ("RCPT", "534 5.7.9 mechanism too weak"),
    ("RCPT", "538 5.7.11 encryption required"),
    ("RCPT", "503 5.5.1 bad sequence"),
    ("RCPT", "501 5.1.3 bad syntax"),
    ("RCPT", "554 5.3.0 too many connections"),
    ("RCPT", "571 5.7.1 go away"),
    ("BODY", "550 5.1.8 sender rejected"),
    ("BODY", "503 5.5.1 bad sequence"),
    ("BODY", "530 5.7.0 login first"),
)
TEMPORARY = (
    ("RCPT", "450 4.2.2 mailbox full"),
    ("RCPT", "451 4.3.0 internal error"),
    ("RCPT", "450 4.7.1 try later"),
    ("RCPT", "452 4.5.3 too many"),
    ("RCPT", "421 4.7.0 too much from you"),
    ("RCPT", "450 later"),
    ("BODY", "451 4.3.0 internal error"),
    ("BODY", "452 4.3.1 insufficient storage"),
    ("BODY", "450 4.4.1 no answer from host"),
)
# A relay's own troubles.
OUTAGES = (
    ("CONNECT", Move("cut")),
    ("CONNECT", Move("silent")),
    ("BANNER", Move("silent")),
    ("BANNER", Move("cut")),
    ("BANNER", Move("drip", "220 mail.example at last")),
    ("BANNER", say("554 5.3.2 no service")),
    ("BANNER", say("421 4.3.2 too busy")),
    ("BANNER", say("HTTP/1.1 400 Bad Request")),
    ("EHLO", say("550 5.7.1 go away")),
    ("EHLO", Move("silent")),
    ("AUTH", say("535 5.7.8 authentication failed")),
    ("AUTH", say("454 4.7.0 temporary failure")),
    ("MAIL", say("421 4.3.2 closing")),
    ("MAIL", say("451 4.3.0 queue full")),
    ("MAIL", say("530 5.7.0 authentication required")),
    ("MAIL", say("550 5.7.1 sender not allowed")),
    ("MAIL", Move("cut")),
    ("MAIL", Move("silent")),
    ("RCPT", Move("cut")),
    ("RCPT", Move("silent")),
    ("RCPT", say("451 4.3.0 internal error")),
    ("DATA", say("451 4.3.0 no room")),
    ("DATA", Move("cut")),
    ("DATA", Move("silent")),
    ("BODY", Move("cut")),
    ("BODY", Move("cut", taken=True)),
    ("BODY", Move("silent")),
    ("BODY", Move("silent", taken=True)),
    ("BODY", say("451 4.3.0 internal error")),
    ("BODY", say("421 4.3.2 closing")),
    ("BODY", Move("drip", "250 2.0.0 queued", taken=True, pace=0.2)),
    ("BODY", say("\x16\x03\x01 what?")),
    ("BODY", Move("say", "250 2.0.0 queued", taken=True, wait=4.0)),
)
MASS = (
    ("RCPT", say(GONE)),
    ("RCPT", say("550 5.7.1 relay access denied")),
    ("RCPT", say("554 5.7.1 relay access denied")),
    ("RCPT", say("550 relay access denied")),
    ("SIZE", say("")),
)


@dataclass
class Server:
    """A relay as a plan has it."""

    host: str = "127.0.0.1"
    port: int = 2525
    login: bool = False
    settings: dict[str, Any] = field(default_factory=dict)  # order, weight, connections, limits
    offers: dict[str, Any] = field(default_factory=dict)  # pipelining, size, smtputf8, latency, think, most
    rules: list[Rule] = field(default_factory=list)  # until all is well

    @property
    def url(self) -> str:
        return f"smtp://{'me:secret@' if self.login else ''}{self.host}:{self.port}"


@dataclass
class Trigger:
    """Done to a process when a server sees something of it for the n-th time."""

    run: int
    what: str  # RCPT, DATA, BODY, ANSWERED
    number: int
    act: str  # kill, freeze
    seconds: float = 0.0
    within: int = 0  # frozen not where it waits but so many callbacks later, in the midst of them

    def __str__(self) -> str:
        time = f" for {self.seconds:g} s" if self.seconds else ""
        time += f", {self.within} callbacks later," if self.within else ""
        return f"run {self.run} meets {self.act}{time} at {self.what} {self.number}"


@dataclass
class Deed:
    """Something an operator or a reader does, at a moment, or when a server sees the n-th RCPT."""

    # Of a reader: unsubscribe, lean, suppress, block (a domain), move, rename, erase, return; of an edition: pause,
    # resume, cancel; and publish, copy, pour (a copy, in the place of the database in which somebody is at work).
    what: str
    who: str = ""
    paper: str = ""
    number: int = 0
    at: float = -1.0
    after_rcpt: int = 0

    def __str__(self) -> str:
        when = f"after RCPT {self.after_rcpt}" if self.after_rcpt else f"at {self.at:.2f} s"
        return f"{self.what} {self.who or self.number or ''} {when}"


@dataclass
class Start:
    """A run of a plan. `at` None: once the one before it has ended, `gap` seconds later."""

    at: float | None = None
    gap: float = 60.0
    slot: str = "A"
    faults: list[Fault] = field(default_factory=list)
    stop_after: float = FOREVER  # seconds
    kill_after: float = FOREVER
    freeze_at: float = FOREVER  # seconds after its beginning
    freeze_for: float = 0.0
    freeze_within: int = 0
    data_first: bool = True
    smtp: dict[str, Any] = field(default_factory=dict)  # settings changed from here on
    commit_time: float = 0.001
    offset: float = 0.0  # seconds by which the clock of its host is ahead
    put_back: int = 0  # the copy that takes the database's place before it
    unaware: bool = False  # and somebody starts it before that was accepted


@dataclass
class Plan:
    seed: int
    family: str
    shape: Shape = field(default_factory=Shape)
    smtp: dict[str, Any] = field(default_factory=dict)
    paper: dict[str, Any] = field(default_factory=dict)
    servers: list[Server] = field(default_factory=lambda: [Server()])
    fates: list[Rule] = field(default_factory=list)  # of mailboxes and domains, at every relay, and they stay
    starts: list[Start] = field(default_factory=lambda: [Start()])
    triggers: list[Trigger] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    leaps: list[tuple[float, float]] = field(default_factory=list)  # when, by how many seconds clocks are ahead
    skip: float = 0.0  # seconds that pass before all is well
    # Newsletters with relays of their own, by the numbers of servers; the rest and the notices go by the common ones.
    own: dict[str, tuple[int, ...]] = field(default_factory=dict)
    common: tuple[int, ...] | None = None  # None: all
    sick: frozenset[str] = frozenset()  # of these, whose servers are in trouble
    # What may be asked of it:
    bound: int = 0  # after so many runs every healthy letter is with its reader
    mass: bool = False  # a relay says of everybody what should be said of one
    restores: bool = False  # copies of the database are put back
    shared: bool = False  # relays are shared by rows, as on PostgreSQL
    written: bool = False  # who has a letter that is claimed, too
    server: bool = False  # the database has a clock of its own, which is right
    pace: bool = False  # compare it with the same without trouble

    @property
    def touched(self) -> set[str]:
        """Addresses and domains with a fate of their own."""
        return {one for rule in self.fates for one in rule.who or ()}

    def healthy(self, email: str) -> bool:
        touched = self.touched | {deed.who for deed in self.deeds}
        return email not in touched and email.rpartition("@")[2] not in touched and email.isascii()

    def words(self) -> list[str]:
        s = self.shape
        lines = [
            f"history {self.seed} of the family {self.family}: {s.readers} readers, {s.variants} variants, "
            f"{s.newsletters} newsletters with {s.editions} editions each, {s.notices} notices",
            f"settings: {self.smtp}" + (f", newsletter {self.paper}" if self.paper else ""),
        ]
        for server in self.servers:
            lines.append(f"server {server.url.rpartition('@')[2]}: {server.settings} {server.offers}")
            lines += [f"  {rule}" for rule in server.rules]
        lines += [f"{name} goes by servers {numbers} alone" for name, numbers in self.own.items()]
        lines += [f"fate {rule}" for rule in self.fates]
        for n, start in enumerate(self.starts):
            parts = [f"run {n} " + (f"at {start.at:g} s" if start.at is not None else f"{start.gap:g} s later")]
            parts += [str(fault) for fault in start.faults]
            if start.stop_after < FOREVER:
                parts.append(f"SIGTERM after {start.stop_after:.2f} s")
            if start.kill_after < FOREVER:
                parts.append(f"kill -9 after {start.kill_after:.3f} s")
            if start.freeze_for:
                moment = f"{start.freeze_at:.3f} s and {start.freeze_within} callbacks"
                parts.append(f"freezes after {moment} for {start.freeze_for:g} s")
            if start.put_back:
                parts.append(f"after copy {start.put_back} was put back" + (", unaware" if start.unaware else ""))
            if start.offset:
                parts.append(f"by a clock that is {start.offset:g} s ahead")
            if start.smtp:
                parts.append(f"with settings {start.smtp}")
            lines.append("; ".join(parts) + ("" if start.data_first else "; timers before data"))
        lines += [str(one) for one in (*self.triggers, *self.deeds)]
        lines += [f"from {at:g} s on clocks are {ahead:g} s ahead" for at, ahead in self.leaps]
        if self.written:
            lines.append("it is written down who has a letter that is claimed")
        if self.skip:
            lines.append(f"{self.skip / DAY:.2f} days pass")
        return lines


# ---------------------------------------------------------------- drawing


def draw(seed: int, family: str) -> Plan:
    """The plan of a seed: the same each time."""
    rng = random.Random(f"{family} {seed}")
    plan = Plan(seed, family)
    plan.smtp = {
        "timeout_seconds": rng.choice([2, 5, 10]),
        "data_timeout_seconds": rng.choice([3, 5, 10, 20]),
        "lifetime_hours": rng.choice([6, 24, 48]),
        "max_lateness_hours": rng.choice([24, 48]),
        "after_crash": "hold" if rng.random() < 0.15 else "resend",
    }
    plan.servers = [_server(rng, 0)]
    FAMILIES[family](plan, rng)
    return plan


def _server(rng: random.Random, number: int, *, plain: bool = False) -> Server:
    server = Server(port=2525 + number)
    server.settings = {"connections": rng.choice([1, 2, 3, 4, 8])}
    server.offers = {
        "pipelining": rng.random() < 0.75,
        "latency": rng.choice([0.0005, 0.0005, 0.002, 0.002, 0.01, 0.05]),
        "think": rng.choice([0.0, 0.001, 0.001, 0.01, 0.05, 0.3]),
    }
    if plain:
        return server
    if rng.random() < 0.5:
        server.offers["size"] = rng.choice([0, 10_000_000])
    if rng.random() < 0.5:
        server.offers["smtputf8"] = True
    server.login = rng.random() < 0.25
    return server


def _shape(rng: random.Random) -> Shape:
    """Out of few, since each has to be made once."""
    return rng.choice(
        [
            Shape(readers=4),
            Shape(readers=7, variants=3),
            Shape(readers=6, notices=2),
            Shape(readers=4, newsletters=2, variants=2),
            Shape(readers=5, editions=2, notices=1),
            Shape(readers=14, variants=4, foreign=1),
        ]
    )


def _runs(rng: random.Random, fewest: int, most: int) -> list[Start]:
    gaps = [10.0, 60.0, 300.0, 900.0, 3600.0]
    return [
        Start(gap=rng.choice(gaps) if n else 0.0, data_first=rng.random() < 0.5, commit_time=_commit_time(rng))
        for n in range(rng.randint(fewest, most))
    ]


def _commit_time(rng: random.Random) -> float:
    return rng.choice([0.0005, 0.001, 0.005, 0.05])


def _variants(plan: Plan, rng: random.Random) -> None:
    plan.shape = rng.choices(
        [
            Shape(readers=4, variants=2),
            Shape(readers=12, variants=12),
            Shape(readers=30, variants=10, newsletters=2, notices=5),
            Shape(readers=66, variants=64, notices=4),
            Shape(readers=70, variants=65),
            Shape(readers=90, variants=80, notices=10),
            Shape(readers=40, variants=40, newsletters=2),
            Shape(readers=220, variants=200),
            Shape(readers=500, variants=500),
        ],
        [40, 25, 15, 4, 5, 2, 4, 0.7, 0.1],
    )[0]
    plan.bound = 1


def _some(rng: random.Random, shape: Shape, most: int) -> list[str]:
    return rng.sample([email for email in shape.emails if email.isascii()], rng.randint(1, most))


def _odd_replies(plan: Plan, rng: random.Random) -> None:
    plan.shape = rng.choice([Shape(readers=14), Shape(readers=20), Shape(readers=9, variants=3, newsletters=2)])
    plan.starts = _runs(rng, 1, 2)
    if rng.random() < 0.3:
        _mass(plan, rng)
        return
    kinds = rng.choice([ODD, ODD, PERMANENT, TEMPORARY, (("RCPT", GONE),), ODD + PERMANENT + TEMPORARY])
    odd = _some(rng, plan.shape, 3)
    if rng.random() < 0.6:  # of one domain
        domain = odd[0].rpartition("@")[2]
        odd = [email for email in plan.shape.emails if email.endswith(domain)][: len(odd)]
    for email in odd:
        step, words = rng.choice(kinds)
        end = rng.choice([FOREVER, FOREVER, 3600.0])
        plan.fates.append(Rule(step, say(words), frozenset({email}), end=end))
    if rng.random() < 0.2:
        domain = rng.choice(["beta.example", "gamma.example"])
        plan.fates.append(Rule("RCPT", say("451 4.7.1 greylisted"), frozenset({domain}), grey=rng.choice([60, 600])))
    while len(plan.starts) < 5 and len({one.rpartition("@")[2] for one in odd}) > 1:
        plan.starts.append(Start(gap=300.0))
    plan.bound = len(plan.starts)
    if rng.random() < 0.4:
        plan.deeds.append(Deed("rename", rng.choice(odd), after_rcpt=rng.randint(1, 20)))


def _mass(plan: Plan, rng: random.Random) -> None:
    """A relay says to all what should be said of one, for some time."""
    plan.mass = True
    plan.shape = rng.choice([Shape(readers=20), Shape(readers=30)])
    step, move = rng.choice(MASS)
    if step == "SIZE":
        plan.servers[0].offers["size"] = 300
    else:
        plan.servers[0].rules.append(Rule(step, move))
    if rng.random() < 0.3:
        plan.starts = plan.starts[:1]


def _clocks(plan: Plan, rng: random.Random) -> None:
    plan.shape = rng.choice([Shape(readers=6), Shape(readers=8, newsletters=2), Shape(readers=6, notices=3)])
    plan.starts = _runs(rng, 1, 3)
    plan.smtp["after_crash"] = "resend"
    kind = rng.choice(["ahead", "ahead", "behind", "old", "old", "leap", "leap"])
    some = frozenset(_some(rng, plan.shape, 5))
    if kind in ("ahead", "behind"):
        wrong = {"ahead": rng.choice([400 * DAY, 30 * DAY, 3600.0]), "behind": -rng.choice([400 * DAY, 3600.0])}[kind]
        plan.leaps = [(0.0, wrong)]
        plan.servers[0].rules = [Rule("RCPT", say("450 4.2.1 not now"), some)]
        if rng.random() < 0.5:
            plan.starts[-1].kill_after = rng.uniform(0.01, 0.3)
        if rng.random() < 0.3:
            letters = plan.shape.readers * plan.shape.newsletters + plan.shape.notices
            plan.servers[0].settings["per_day"] = letters // 2 + 1
    elif kind == "leap":
        plan.leaps = [(rng.uniform(0.02, 0.4), rng.choice([-7200.0, -60.0, 20.0, 90.0, 3600.0, 30 * DAY]))]
        plan.servers[0].offers["think"] = 0.2
        if rng.random() < 0.5:
            plan.servers[0].rules = [Rule("RCPT", say("450 4.2.1 not now"), some)]
    else:
        plan.skip = rng.choice([3 * DAY, 20 * DAY, 30 * DAY])
        rules = [
            [Rule("RCPT", say("450 4.2.1 not now"), some)],
            [Rule("BODY", Move("cut", taken=rng.random() < 0.5), some)],
            [Rule("BODY", Move("silent", taken=rng.random() < 0.5), some)],
        ]
        plan.servers[0].rules = rng.choice(rules)
        if rng.random() < 0.3:
            plan.starts[-1].kill_after = rng.uniform(0.01, 0.3)


def _kills(plan: Plan, rng: random.Random) -> None:
    plan.shape = _shape(rng)
    plan.starts = _runs(rng, 1, 2)
    for n, start in enumerate(plan.starts):
        way = rng.randrange(4)
        if way == 0:
            start.faults = [Fault(rng.choice(["kill before", "kill after"]), first=rng.randint(1, 12))]
        elif way == 1:
            start.kill_after = rng.uniform(0.001, 0.5)
        else:
            what = rng.choice(["RCPT", "DATA", "BODY", "BODY", "ANSWERED"])
            plan.triggers.append(Trigger(n, what, rng.randint(1, 8), "kill"))
        start.smtp = {} if rng.random() < 0.7 else {"connections": rng.choice([1, 8])}


def _freezes(plan: Plan, rng: random.Random) -> None:
    plan.shape = _shape(rng)
    plan.starts = _runs(rng, 1, 2)
    for n, start in enumerate(plan.starts):
        seconds = rng.choice([1.0, 4.0, 11.0, 25.0, 130.0, 900.0])
        within = rng.choice([0, 1, 1, 2, 3, 5, rng.randint(1, 60)])
        if rng.random() < 0.5:
            start.freeze_at, start.freeze_for = rng.uniform(0.001, 0.3), seconds
            start.freeze_within = within
        else:
            what = rng.choice(["RCPT", "BODY", "BODY", "ANSWERED"])
            plan.triggers.append(Trigger(n, what, rng.randint(1, 8), "freeze", seconds, within))
    plan.bound = len(plan.starts) + 1


def _consent(plan: Plan, rng: random.Random) -> None:
    plan.shape = rng.choice(
        [Shape(readers=7, notices=3), Shape(readers=6, editions=2), Shape(readers=6, newsletters=2)]
    )
    plan.starts = _runs(rng, 1, 3)
    plan.servers[0].offers |= {"think": rng.choice([0.05, 0.5, 1.0]), "latency": 0.02}
    plan.servers[0].settings = {"connections": rng.choice([1, 1, 2])}
    if rng.random() < 0.3:
        plan.servers[0].settings["per_second"] = rng.choice([1, 5])
    editions = plan.shape.editions * plan.shape.newsletters
    for _ in range(rng.randint(1, 6)):
        what = rng.choice(["unsubscribe", "unsubscribe", "suppress", "erase", "pause", "cancel", "resume"])
        if plan.shape.notices and rng.random() < 0.1:
            what = "erase"
        deed = Deed(what, paper=rng.choice(plan.shape.names))
        if what in ("unsubscribe", "suppress", "erase"):
            deed.who = rng.choice(plan.shape.emails + (plan.shape.notified if what != "unsubscribe" else []))
        else:
            deed.number = rng.randint(1, editions)
        if rng.random() < 0.6:
            deed.after_rcpt = rng.randint(1, 10)
        else:
            deed.at = rng.uniform(0.0, 5.0)
        plan.deeds.append(deed)
    if rng.random() < 0.3:
        plan.starts[0].stop_after = rng.uniform(0.05, 4)
    if rng.random() < 0.4:
        plan.deeds.append(
            Deed("block", who=rng.choice(("alpha.example", "beta.example")), after_rcpt=rng.randint(1, 6))
        )


def _storage(plan: Plan, rng: random.Random) -> None:
    plan.shape = _shape(rng)
    plan.starts = _runs(rng, 1, 2)
    for start in plan.starts:
        kind = rng.choice(["locked", "full", "eio", "eio", "eio after", "eio after", "deadlock", "deadlock"])
        if kind == "full" and rng.random() < 0.6:
            start.faults = [Fault(kind, first=rng.randint(3, 10), count=rng.choice([1, 3, 300]))]
        elif kind in ("locked", "full"):
            begin = rng.uniform(0.0, 0.3)
            start.faults = [
                Fault(kind, start=begin, end=begin + rng.choice([0.1, 5.0, 20.0, 20.0 if kind == "locked" else 200.0]))
            ]
        elif kind == "eio" and rng.random() < 0.4:
            start.faults = [Fault(kind, first=rng.randint(2, 12), count=300)]
        else:
            start.faults = [Fault(kind, first=rng.randint(2, 12), count=rng.choice([1, 1, 2]))]
    plan.written = rng.random() < 0.5


def _two_processes(plan: Plan, rng: random.Random) -> None:
    plan.shape = rng.choice(
        [Shape(readers=9, variants=3), Shape(readers=7, newsletters=2), Shape(readers=8, notices=3)]
    )
    begin = rng.choice([0.0, 0.01, 0.1])
    plan.starts = [
        Start(at=0.0, slot="A", data_first=rng.random() < 0.5, commit_time=_commit_time(rng)),
        Start(at=begin, slot="B", data_first=rng.random() < 0.5, commit_time=_commit_time(rng)),
    ]
    kind = rng.choice(["calm", "calm", "kill", "freeze", "odd", "outage", "sleeper", "sleeper"])
    if kind == "kill":
        plan.starts[rng.randrange(2)].kill_after = rng.uniform(0.005, 0.5)
    elif kind == "freeze":
        start = rng.choice(plan.starts)
        start.freeze_at, start.freeze_for = rng.uniform(0.005, 0.3), rng.choice([1.0, 5.0, 12.0])
    elif kind == "sleeper":  # past its lease, and wakes while the other has its letters
        one, other = plan.starts
        plan.smtp["data_timeout_seconds"] = 3
        plan.servers[0].offers["think"] = rng.choice([0.01, 0.3, 1.0])
        if rng.random() < 0.5:
            other.at = 121.0
            seconds = other.at + rng.uniform(0.0, rng.choice([0.05, 0.5, 1.5]))
            one.faults = [Fault("sleep after", first=rng.randint(3, 7), seconds=seconds)]
        else:
            other.at = 15.0
            seconds = other.at + rng.uniform(0.0, rng.choice([0.2, 1.5, 6.0]))
            what = rng.choice(["RCPT", "RCPT", "BODY"])
            plan.triggers.append(Trigger(0, what, rng.randint(1, 6), "freeze", seconds, rng.randint(0, 4)))
            plan.servers[0].rules = [Rule("RCPT", say("450 4.7.1 greylisted"), grey=10)]
        for email in _some(rng, plan.shape, 4):
            plan.fates.append(Rule("RCPT", say("450 4.7.1 greylisted"), frozenset({email}), grey=10))
    elif kind == "odd":
        for email in _some(rng, plan.shape, 3):
            plan.fates.append(Rule(*_as_move(rng.choice(PERMANENT + TEMPORARY)), frozenset({email})))
    elif kind == "outage":
        step, move = rng.choice(OUTAGES)
        plan.servers[0].rules = [Rule(step, move, chance=0.3)]
    if rng.random() < 0.3:
        plan.smtp["canary"] = 0.2
    if kind == "calm":
        plan.bound = 2


def _as_move(pair: tuple[str, str]) -> tuple[str, Move]:
    return pair[0], say(pair[1])


def _relays(plan: Plan, rng: random.Random) -> None:
    """Several relays, and outages of them."""
    plan.shape = _shape(rng)
    plan.starts = _runs(rng, 1, 3)
    plan.servers = [_server(rng, n) for n in range(rng.randint(1, 3))]
    for server in plan.servers:
        server.settings |= {"order": rng.choice([1, 1, 2]), "weight": rng.choice([1, 1, 3])}
        if rng.random() < 0.2:
            server.settings["per_hour"] = rng.choice([3, 10])
        if rng.random() < 0.15:
            server.settings["per_second"] = rng.choice([2, 10])
        if rng.random() < 0.2:
            server.offers |= {"most": rng.choice([1, 2])}
            server.offers["most_words"] = rng.choice(
                ["554 5.7.0 too many connections", "421 4.7.0 too many connections"]
            )
    troubled = rng.sample(plan.servers, rng.randint(1, len(plan.servers)))
    for server in troubled:
        for _ in range(rng.randint(1, 2)):
            step, move = rng.choice(OUTAGES)
            chance = rng.choice([1.0, 0.5, 0.1]) if step not in ("CONNECT", "BANNER") else rng.choice([1.0, 0.5])
            begin = rng.choice([0.0, 0.0, rng.uniform(0, 0.3)])
            end = rng.choice([FOREVER, begin + 2.0, begin + 400.0])
            after = rng.choice([0, 0, 0, 3]) if step == "MAIL" else 0
            server.rules.append(Rule(step, move, start=begin, end=end, chance=chance, after=after))
    if rng.random() < 0.2:
        plan.starts[0].stop_after = rng.uniform(0.05, 3)


def _hung(plan: Plan, rng: random.Random) -> None:
    """A backup or a peer hangs, and SIGTERM comes while somebody is silent."""
    plan.shape = _shape(rng)
    plan.servers = [_server(rng, 0, plain=True), _server(rng, 1, plain=True)]
    plan.servers[0].settings["order"], plan.servers[1].settings["order"] = rng.choice([(1, 1), (1, 2), (1, 2), (2, 1)])
    plan.smtp["timeout_seconds"] = rng.choice([5, 20])
    step, move = rng.choice([o for o in OUTAGES if o[0] in ("CONNECT", "BANNER", "EHLO") and o[1].kind != "say"])
    plan.servers[1].rules = [Rule(step, move)]
    if rng.random() < 0.4:
        plan.servers[0].rules = [Rule(step, move)]
        plan.starts[0].stop_after = rng.uniform(0.05, 3)
        plan.smtp["timeout_seconds"] = 20
    else:
        plan.bound = 1


def _line(plan: Plan, rng: random.Random) -> None:
    """Stories come, editions are composed and delivered, in run after run."""
    one = Shape(readers=4, line=True)
    picky = Shape(readers=6, newsletters=rng.choice([1, 2]), line=True, tastes=rng.randint(1, 9))
    plan.shape = rng.choice([one, picky, picky, Shape(readers=4, variants=3, newsletters=2, line=True)])
    if rng.random() < 0.5:
        plan.paper["schedule"] = "daily 07:30"
    plan.starts = [Start(at=None, gap=rng.choice([900.0, 3600.0, 43_200.0])) for _ in range(rng.randint(1, 3))]
    number = 0
    for name in plan.shape.names:
        for _ in range(rng.randint(2, 5)):
            number += 1
            plan.deeds.append(Deed("publish", paper=name, number=number, at=rng.uniform(0, 3000.0)))
    kind = rng.choice(["calm", "ahead", "ahead", "kill", "kill", "odd"])
    start = rng.choice(plan.starts)
    if kind == "ahead":
        plan.leaps = [(0.0, 400 * DAY)]
    elif kind == "kill":
        start.faults = [Fault(rng.choice(["kill before", "kill after"]), first=rng.randint(1, 14))]
    elif kind == "odd":
        plan.fates.append(Rule(*_as_move(rng.choice(PERMANENT + TEMPORARY)), frozenset(_some(rng, plan.shape, 1))))
    if rng.random() < 0.3:
        plan.deeds.append(Deed("unsubscribe", rng.choice(plan.shape.emails), "paper0", at=rng.uniform(0, 8000.0)))
    for _ in range(rng.choice([0, 0, 1, 3])):  # the same may say this and then that, also while it is composed
        who, paper = rng.choice(plan.shape.emails), rng.choice(plan.shape.names)
        when = {"after_rcpt": rng.randint(1, 10)} if rng.random() < 0.3 else {"at": rng.uniform(0, 8000.0)}
        plan.deeds.append(Deed("lean", who, paper, rng.randrange(15), **when))


def _pace(plan: Plan, rng: random.Random) -> None:
    plan.shape = Shape(readers=150)
    plan.servers = [_server(rng, 0, plain=True)]
    plan.servers[0].settings = {"connections": rng.choice([2, 4, 8])}
    plan.servers[0].offers |= {"latency": rng.choice([0.002, 0.02]), "think": rng.choice([0.01, 0.05])}
    chance = rng.choice([0.02, 0.05, 0.1, 0.18])
    words = rng.choice(["421 4.7.0 too fast", "421 4.3.2 closing", "421 come back"])
    plan.servers[0].rules = [Rule(rng.choice(["MAIL", "MAIL", "RCPT"]), say(words), chance=chance)]
    plan.smtp |= {"timeout_seconds": 5, "data_timeout_seconds": 20}
    plan.pace = True


def _mixed(plan: Plan, rng: random.Random) -> None:
    """Several kinds of trouble in one history."""
    _relays(plan, rng)
    other = Plan(plan.seed, plan.family, smtp=plan.smtp)
    other.shape = plan.shape
    _consent(other, rng)
    plan.shape, plan.deeds = other.shape, other.deeds[:3]
    for n, start in enumerate(plan.starts):
        way = rng.randrange(6)
        if way == 0:
            start.faults = [Fault(rng.choice(["kill before", "kill after", "deadlock"]), first=rng.randint(1, 12))]
        elif way == 1:
            plan.triggers.append(
                Trigger(n, "BODY", rng.randint(1, 8), "freeze", rng.choice([1.0, 15.0]), rng.randint(0, 3))
            )
        elif way == 2:
            plan.triggers.append(Trigger(n, rng.choice(["RCPT", "BODY", "ANSWERED"]), rng.randint(1, 8), "kill"))
    for email in _some(rng, plan.shape, 2):
        plan.fates.append(Rule(*_as_move(rng.choice(PERMANENT + TEMPORARY)), frozenset({email})))


def _lanes(plan: Plan, rng: random.Random) -> None:
    """Three newsletters: one by a server in trouble, one by two others, one by the second of these."""
    plan.shape = rng.choice([Shape(readers=6, newsletters=3), Shape(readers=4, newsletters=3, variants=2, notices=2)])
    plan.servers = [_server(rng, number, plain=True) for number in range(3)]
    plan.own, plan.common = {"paper0": (0,), "paper1": (1, 2)}, (2,)
    plan.sick, plan.bound = frozenset({"paper0"}), 1
    step, move = rng.choice(OUTAGES)
    plan.servers[0].rules = [Rule(step, move)]
    plan.starts = _runs(rng, 1, 3)
    if rng.random() < 0.3:
        plan.servers[rng.choice([1, 2])].settings["per_second"] = 5


def _restores(plan: Plan, rng: random.Random) -> None:
    """Days of editions, copies of the database made at any moment, and put back at others."""
    plan.shape = rng.choice(
        [Shape(readers=5, line=True, weekly=2), Shape(readers=4, line=True, weekly=1), Shape(readers=9, line=True)]
    )
    plan.smtp["after_crash"], plan.restores = "resend", True
    plan.smtp |= {"lifetime_hours": 48, "max_lateness_hours": 48}
    plan.paper["schedule"] = "daily 07:30"
    plan.servers = [_server(rng, 0, plain=True)]
    days = rng.randint(4, 9)
    plan.starts = [Start(gap=DAY / rng.choice([1, 1, 2, 3]), slot="A") for _ in range(days)]
    span = sum(start.gap for start in plan.starts)
    for number in range(1, days + rng.randint(2, 6)):
        plan.deeds.append(Deed("publish", paper="paper0", number=number, at=rng.uniform(0, span * 0.9)))
    places = sorted(rng.sample(range(1, days), rng.randint(1, min(3, days - 1))))
    for made, place in enumerate(places, 1):
        if rng.random() < 0.5:  # while letters go out
            plan.deeds.append(Deed("copy", number=made, after_rcpt=rng.randint(1, 3 * place)))
        else:
            plan.deeds.append(Deed("copy", number=made, at=rng.uniform(0, span * place / days * 0.9)))
        plan.starts[place].put_back, plan.starts[place].unaware = rng.randint(1, made), rng.random() < 0.3
        if rng.random() < 0.4:  # the machine died, that is why
            before = plan.starts[place - 1]
            before.faults = [Fault(rng.choice(["kill before", "kill after"]), first=rng.randint(1, 16))]
    if rng.random() < 0.5:
        what = rng.choice(["unsubscribe", "unsubscribe", "erase", "suppress"])
        plan.deeds.append(Deed(what, plan.shape.emails[0], "paper0", at=rng.uniform(0, span * 0.8)))
    if rng.random() < 0.3:
        plan.fates.append(Rule("RCPT", say("450 4.7.1 greylisted"), frozenset(_some(rng, plan.shape, 2)), grey=600))
    if rng.random() < 0.4:  # what a server has seen whole, and did not take
        some = frozenset([*_some(rng, plan.shape, 3), "beta.example"])
        plan.fates.append(Rule("BODY", say("451 4.7.1 greylisted"), some, grey=600))
    if rng.random() < 0.4:  # of the first run, which dies at it
        plan.shape = replace(plan.shape, notices=rng.choice([1, 3]))
        plan.deeds.append(Deed("copy", number=9, at=0.0))
        plan.starts[0].faults = [Fault(rng.choice(["kill before", "kill after"]), first=rng.randint(1, 5))]
        plan.starts[1].put_back = 9


def _shared(plan: Plan, rng: random.Random) -> None:
    """Trouble of other families, where all who send share relays by rows."""
    rng.choice([_two_processes, _kills, _freezes, _clocks, _mixed, _lanes])(plan, rng)
    plan.shared = plan.written = True
    for server in plan.servers:
        if rng.random() < 0.3:
            server.settings["per_second"] = rng.choice([2, 20])
    if rng.random() < 0.2:
        plan.smtp["per_domain"] = rng.choice([1, 3])


def _hosts(plan: Plan, rng: random.Random) -> None:
    """Several hosts on one PostgreSQL, whose clocks are as far apart as two that are both believed."""
    rng.choice([_two_processes, _kills, _freezes, _odd_replies, _mixed])(plan, rng)
    plan.shared = plan.written = plan.server = True
    plan.bound = 0
    for start in plan.starts:
        start.offset = rng.choice([-3300.0, -1200.0, -60.0, 0.0, 60.0, 1200.0, 3300.0])


def _laying_out(plan: Plan, rng: random.Random) -> None:
    """Editions laid out in many steps, by one process or two, killed between them; readers change their minds."""
    _line(plan, rng)
    plan.shape = Shape(readers=rng.choice([5, 9]), line=True, tastes=rng.randint(1, 9), at_once=rng.choice([1, 2, 3]))
    plan.deeds = [deed for deed in plan.deeds if deed.paper == "paper0"]
    first = Start(at=3600.0)
    plan.starts = [
        first,
        *([Start(at=3600.0 + rng.uniform(0.0, 2.0), slot="B")] if rng.random() < 0.5 else []),
        Start(),
    ]
    for start in plan.starts:
        if rng.random() < 0.7:
            start.faults = [Fault(rng.choice(["kill before", "kill after"]), first=rng.randint(2, 24))]
    for _ in range(rng.randint(0, 6)):
        act = rng.choice(["unsubscribe", "lean", "lean"])
        at = 3600.0 + rng.uniform(0.0, 2.5)
        plan.deeds.append(Deed(act, rng.choice(plan.shape.emails), "paper0", number=rng.randint(0, 20), at=at))


def _poured(plan: Plan, rng: random.Random) -> None:
    """Copies of the database take its place while letters go out, and whoever sends notices it by itself."""
    _restores(plan, rng)
    plan.deeds = [deed for deed in plan.deeds if deed.what != "copy"]
    plan.servers[0].offers["think"] = rng.choice([0.001, 0.05, 0.3, 1.0])
    for start in plan.starts:
        start.put_back, start.unaware = 0, False
        start.faults = start.faults if rng.random() < 0.2 else []
    letters = plan.shape.readers * (len(plan.starts) - 1)
    for number in range(1, rng.randint(2, 3)):
        made = rng.randint(1, letters - 1)
        plan.deeds.append(Deed("copy", number=number, after_rcpt=made))
        plan.deeds.append(Deed("pour", number=number, after_rcpt=made + rng.randint(1, letters)))


def _returns(plan: Plan, rng: random.Random) -> None:
    """Readers leave, or are erased or suppressed, and subscribe again at once: between a claim and its letter, say."""
    rng.choice([_consent, _line, _laying_out])(plan, rng)
    plan.deeds = [deed for deed in plan.deeds if deed.what in ("publish", "pause", "resume")]
    begin, span = (3600.0, 2.5) if any(start.at for start in plan.starts) else (0.0, 8000.0 if plan.shape.line else 5.0)
    for who in _some(rng, plan.shape, 3):
        paper, what = rng.choice(plan.shape.names), rng.choice(["unsubscribe", "unsubscribe", "erase", "suppress"])
        if rng.random() < 0.6:
            rcpt = rng.randint(1, 10)
            plan.deeds.append(Deed(what, who, paper, after_rcpt=rcpt))
            plan.deeds.append(Deed("return", who, paper, after_rcpt=rcpt + rng.choice([0, 0, 1, 2])))
        else:
            at = begin + rng.uniform(0.0, span)
            plan.deeds.append(Deed(what, who, paper, at=at))
            plan.deeds.append(Deed("return", who, paper, at=at + rng.choice([0.001, 0.02, 0.3, 5.0, 4000.0])))


def _keep(_plan: Plan, _rng: random.Random) -> None:
    """Days of feeds and letters, and of letting go: see `simulation.keep`, which draws it all."""


FAMILIES: dict[str, Callable[[Plan, random.Random], None]] = {
    "variants": _variants,
    "odd-replies": _odd_replies,
    "clocks": _clocks,
    "kills": _kills,
    "freezes": _freezes,
    "consent": _consent,
    "storage": _storage,
    "two-processes": _two_processes,
    "relays": _relays,
    "hung": _hung,
    "lanes": _lanes,
    "mixed": _mixed,
    "shared": _shared,
    "hosts": _hosts,
    "keep": _keep,
    "line": _line,
    "laying-out": _laying_out,
    "restores": _restores,
    "poured": _poured,
    "returns": _returns,
    "pace": _pace,
}
