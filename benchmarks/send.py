"""How fast letters go out: digest with its outbox against Postfix's smtp-source and aiosmtplib.

    python benchmarks/send.py [--quick] [--json] [--letters N] [--connections N] [--rounds N]
    python benchmarks/send.py --memory 1000000 [--variants 4000]
    python benchmarks/send.py --variants 1,60,500,4096 [--letters N] [--rounds N]
    python benchmarks/send.py --against CHECKOUT [--letters N] [--rounds N] [--variants N]

With `--against` it is this digest and another checkout's, in turns, and nothing else. With `--variants` it is this
digest alone, with so many different mails among its letters, in turns; they differ in a line and lie as badly as they
can, each letter beside one of another variant. The rate and the processor's time of each are told as ratios to the
first.

All send the same 39 KB message to Postfix's smtp-sink on loopback, in turns, so that a busy machine is busy for
all of them. digest sends personalised letters from a real outbox (SQLite, WAL, synchronous=FULL) and records
every reply; "unrecorded" is the same pass with the outbox kept in memory, and "bare" the dialogue alone, in Python on
the same event loop: one letter that was made before, no rows, no judgement of replies. The delay proxy adds 10 ms
each way. smtp-source and smtp-sink come with Debian's package postfix, whose daemon need not run.

smtp-sink is one process and takes some 190 us of its core for a letter of 39 KB, so nobody can send it more than
5,200 letters a second; a bare loop of sendmsg in C, which personalises and records nothing, gets 5,200 (and takes
25 us a letter). Against that, the ceilings below say what could be reached at most in this run: on the machine
where this was written 1.35 x smtp-source and 4 x aiosmtplib, so that the goal of 6 x aiosmtplib is out of reach
with this server. Of the memory, 66 MB are imports, 50 of them SQLModel's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent.parent.absolute()
sys.path.insert(0, str(HERE))

SIZE = 39_000
KEY = "a key for the benchmark, long enough"
NONCE = "a nonce for the benchmark"
GOALS = {
    "times_smtp_source": 1.2,
    "times_aiosmtplib": 6.0,
    "times_smtp_source_20ms": 3.5,
    "times_aiosmtplib_20ms": 3.5,
    "cpu_of_smtp_source": 1.0,  # at most
    "recording_costs": 0.07,  # at most
    "memory_mb": 60,  # at most
    "rate_at_500_variants": 0.85,
    "rate_at_4096_variants": 0.7,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer letters, less than a minute")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--letters", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, metavar="LETTERS", help="only send so many, and tell the peak memory")
    parser.add_argument("--variants", default="", metavar="N,N…", help="so many different mails among the letters")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="compare with this other digest alone")
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    if options.quick:
        options.letters, options.rounds = 4_000, 2
    with tempfile.TemporaryDirectory(prefix="digest-benchmark-") as folder:
        several = by_variants if options.variants else compare
        what = memory if options.memory else against if options.against else several
        figures = what(Path(folder), options)
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<28}{value}")


def compare(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    (folder / "letter.eml").write_bytes(sample())
    few = max(200, options.letters // 10)
    with sink(folder) as (port, pid), proxy(port) as slow:
        seen: dict[str, list[tuple[float, float]]] = {}
        ceilings = []
        for turn in range(options.rounds):
            runs = {
                "digest": (own, port, options.letters, "record"),
                "smtp_source": (source, port, options.letters),
                "unrecorded": (own, port, options.letters, "memory"),
                "bare": (bare, port, options.letters),
                "aiosmtplib": (library, port, options.letters // 4),
                "digest_20ms": (own, slow, options.letters // 4, "record"),
                "smtp_source_20ms": (source, slow, few),
                "aiosmtplib_20ms": (library, slow, few),
            }
            for name, (run, *arguments) in runs.items():
                before = cpu_seconds(pid)
                rate, cpu = run(folder, options.connections, *arguments)
                if name == "digest":
                    ceilings.append(options.letters / (cpu_seconds(pid) - before))
                seen.setdefault(name, []).append((rate, cpu))
                if not options.json:
                    print(f"  round {turn + 1}: {name:<18}{rate:8.0f} letters/s  {cpu * 1e6:6.0f} us CPU", flush=True)
        peak = peak_memory(folder, port, options.connections, options.letters)

    def ratio(one: str, other: str, index: int = 0) -> float:
        """The median over the rounds, each measured side by side."""
        return round(statistics.median(a[index] / b[index] for a, b in zip(seen[one], seen[other], strict=True)), 3)

    def ceiling(other: str) -> float:
        """What a sender would reach that always had smtp-sink at work."""
        return round(statistics.median(c / rate for c, (rate, _) in zip(ceilings, seen[other], strict=True)), 3)

    return {
        "letters": options.letters,
        "load_average": round(os.getloadavg()[1], 1),
        "connections": options.connections,
        "times_smtp_source": ratio("digest", "smtp_source"),
        "times_aiosmtplib": ratio("digest", "aiosmtplib"),
        "ceiling_times_smtp_source": ceiling("smtp_source"),
        "ceiling_times_aiosmtplib": ceiling("aiosmtplib"),
        "times_smtp_source_20ms": ratio("digest_20ms", "smtp_source_20ms"),
        "times_aiosmtplib_20ms": ratio("digest_20ms", "aiosmtplib_20ms"),
        "cpu_of_smtp_source": ratio("digest", "smtp_source", 1),
        "cpu_of_smtp_source_unrecorded": ratio("unrecorded", "smtp_source", 1),
        "cpu_of_bare": ratio("digest", "bare", 1),
        "cpu_of_bare_unrecorded": ratio("unrecorded", "bare", 1),
        "recording_costs": round(1 - ratio("digest", "unrecorded"), 3),
        "memory_mb": peak,
        "goals": GOALS,
    }


def by_variants(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """What it costs that letters are of many variants, side by side."""
    numbers = [int(number) for number in options.variants.split(",")]
    seen: dict[int, list[tuple[float, float]]] = {number: [] for number in numbers}
    peaks: dict[str, float] = {}
    with sink(folder) as (port, _):
        for turn in range(options.rounds):
            for number in numbers[:: -1 if turn % 2 else 1]:
                found = own(folder, options.connections, port, options.letters, "record", variants=number)
                seen[number].append(found)
                peaks[f"memory_mb_at_{number}"] = float((folder / "peak").read_text())
                if not options.json:
                    words = "  round {}: {:>6} variants {:8.0f} letters/s {:6.0f} us CPU"
                    print(words.format(turn + 1, number, found[0], found[1] * 1e6), flush=True)
    first, figures = seen[numbers[0]], {}
    for number in numbers[1:]:
        pairs = list(zip(seen[number], first, strict=True))
        figures[f"rate_at_{number}_variants"] = round(statistics.median(a[0] / b[0] for a, b in pairs), 3)
        figures[f"rate_by_cpu_at_{number}"] = round(statistics.median(b[1] / a[1] for a, b in pairs), 3)
    load = round(os.getloadavg()[1], 1)
    return {"letters": options.letters, "load_average": load, **figures, **peaks, "goals": GOALS}


def memory(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    options.variants = int(options.variants or 1)
    with sink(folder) as (port, _):
        rate, _ = own(folder, options.connections, port, options.memory, "record", variants=options.variants)
        peak = float((folder / "peak").read_text())
    return {
        "letters": options.memory,
        "variants": options.variants,
        "letters_per_second": round(rate),
        "memory_mb": peak,
        "goal": GOALS["memory_mb"],
    }


def against(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    seen: list[tuple[float, float]] = []
    variants = int(options.variants or 1)
    with sink(folder) as (port, _):
        for turn in range(options.rounds):
            checkouts = [HERE, options.against.absolute()]
            if turn % 2:
                checkouts.reverse()
            rates = {
                top: own(folder, options.connections, port, options.letters, "record", variants=variants, top=top)[0]
                for top in checkouts
            }
            seen.append((rates[HERE], rates[options.against.absolute()]))
            if not options.json:
                print("  round {}: {:8.0f} and {:8.0f} letters/s".format(turn + 1, *seen[-1]), flush=True)
    ratio = statistics.median(ours / theirs for ours, theirs in seen)
    return {
        "letters": options.letters,
        "load_average": round(os.getloadavg()[1], 1),
        "rounds": options.rounds,
        "times_the_other": round(ratio, 3),
        "goal": 1.0,
    }


def peak_memory(folder: Path, port: int, connections: int, letters: int) -> float:
    own(folder, connections, port, letters, "record")
    return float((folder / "peak").read_text())


# ---------------------------------------------------------------- the four senders


def source(folder: Path, connections: int, port: int, letters: int) -> tuple[float, float]:
    words = ["smtp-source", "-s", connections, "-m", letters, "-F", folder / "letter.eml"]
    words += ["-f", "news@news.example", "-t", "reader@example.org", f"127.0.0.1:{port}"]
    return timed([str(word) for word in words], letters)


def own(
    folder: Path, connections: int, port: int, letters: int, how: str, *, variants: int = 1, top: Path = HERE
) -> tuple[float, float]:
    # A process of its own: its memory is not the sender's.
    python("fill", folder, connections, port, letters, *([variants] if variants > 1 else []), top=top)
    return python("digest", folder, connections, port, letters, how, top=top)


def library(folder: Path, connections: int, port: int, letters: int) -> tuple[float, float]:
    return python("aiosmtplib", folder, connections, port, letters)


def bare(folder: Path, connections: int, port: int, letters: int) -> tuple[float, float]:
    return python("bare", folder, connections, port, letters)


def python(*words: object, top: Path = HERE) -> tuple[float, float]:
    """A sender in a process of its own, which tells its rate and CPU time without its start."""
    ran = subprocess.run(
        [sys.executable, top / "benchmarks" / "send.py", "--child", *map(str, words)],
        check=True,
        capture_output=True,
        text=True,
    )
    rate, cpu = json.loads(ran.stdout.splitlines()[-1])
    return rate, cpu


def timed(words: list[str], letters: int) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([found(words[0]), *words[1:]], check=True, capture_output=True)
    took = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return letters / took, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / letters


def child(who: str, folder: str, connections: str, port: str, letters: str, how: str = "") -> None:
    took = cpu = 1.0
    if who == "fill":
        fill(Path(folder), int(connections), int(port), int(letters), int(how or 1))
    elif who == "aiosmtplib":
        took, cpu = asyncio.run(library_child(Path(folder), int(connections), int(port), int(letters)))
    elif who == "bare":
        from digest import event_loop

        took, cpu = event_loop.run(lambda: bare_child(Path(folder), int(connections), int(port), int(letters)))
    else:
        took, cpu = own_child(Path(folder), int(connections), int(port), int(letters), how)
    print(json.dumps([int(letters) / took, cpu / int(letters)]))


async def bare_child(folder: Path, connections: int, port: int, letters: int) -> tuple[float, float]:
    """The dialogue and nothing else: one letter, made before, by the same writes as ours; replies are only counted."""
    content = (folder / "letter.eml").read_bytes()
    body = content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
    envelope = b"MAIL FROM:<news@news.example>\r\nRCPT TO:<reader@example.org>\r\nDATA\r\n"
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    left = {"to begin": letters, "to end": letters}

    class Bare(asyncio.Protocol):
        def __init__(self) -> None:
            self.rest, self.under_way = b"", False

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def begin(self) -> bytes:
            if not left["to begin"]:
                return b""
            left["to begin"] -= 1
            return envelope

        def data_received(self, data: bytes) -> None:
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                if line[:3] == b"354":
                    self.under_way = True
                    self.transport.writelines((body, self.begin()))
                elif self.under_way:
                    self.under_way = False
                    left["to end"] -= 1
                    if not left["to end"]:
                        done.set()

    pairs = [await loop.create_connection(Bare, "127.0.0.1", port) for _ in range(connections)]
    for transport, _ in pairs:
        transport.write(b"EHLO bench.example\r\n")
    await asyncio.sleep(0.2)
    start, cpu = time.perf_counter(), time.process_time()
    for transport, bare in pairs:
        transport.write(bare.begin())
    await done.wait()
    took, used = time.perf_counter() - start, time.process_time() - cpu
    for transport, _ in pairs:
        transport.abort()
    return took, used


async def library_child(folder: Path, connections: int, port: int, letters: int) -> tuple[float, float]:
    import aiosmtplib

    content = (folder / "letter.eml").read_bytes()
    clients = [aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) for _ in range(connections)]
    await asyncio.gather(*(client.connect() for client in clients))
    numbers = iter(range(letters))

    async def work(client: aiosmtplib.SMTP) -> None:
        for number in numbers:
            await client.sendmail("news@news.example", f"reader{number}@example.org", content)

    start, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work(client) for client in clients))
    took, used = time.perf_counter() - start, time.process_time() - cpu
    await asyncio.gather(*(client.quit() for client in clients))
    return took, used


def own_child(folder: Path, connections: int, port: int, letters: int, how: str) -> tuple[float, float]:
    from digest import deliver
    from digest.store import open_database

    config = settings(folder, connections, port)
    database = open_database(config.database_url)
    if how == "memory":
        from digest.deliver import ledger

        ledger.Ledger = deliver.Ledger = unrecorded(letters)  # type: ignore[attr-defined,misc]  (where releases have it)
    elif how != "unwitnessed":
        with contextlib.suppress(ImportError):  # of a release without a witness
            from digest.store.journal import Journal
            from digest.store.witness import Witness

            database.witness = Witness(Journal(folder / f"witness{time.time_ns()}"), clock=lambda: datetime.now(UTC))
    as_the_command_does()
    start, cpu = time.perf_counter(), time.process_time()
    report = deliver.run(database, config, clock=lambda: datetime.now(UTC), rng=random.Random(1))
    took, used = time.perf_counter() - start, time.process_time() - cpu
    assert (report.sent, report.stopped) == (letters, ""), report
    assert how == "memory" or report.owed == 0
    # VmHWM and not ru_maxrss: the latter begins with the size of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    (folder / "peak").write_text(str(round(peak / 1024, 1)))
    return took, used


def as_the_command_does() -> None:
    """Look for garbage as seldom as `digest` does: by itself Python would do so every few hundred letters."""
    with contextlib.suppress(ImportError):  # of a release that did not
        from digest.cli import garbage

        garbage.start()
        garbage.work()


def unrecorded(letters: int) -> type:
    """A ledger that records nothing: what the outbox costs is the difference."""
    from digest.deliver.attempt import Lease
    from digest.deliver.ledger import CLAIM_LEASE, Batch, Committed, Ledger
    from digest.models import OutboxState
    from digest.store import outbox

    class Unrecorded(Ledger):
        given = 0

        def commit(self, batch: Batch) -> Committed:
            done = Committed(batch)
            now = self.clock()
            done.settled[OutboxState.SENT] = len(batch.outcomes)
            done.marked = {letter.id: 1 for letter in batch.marks}
            done.marks_lease = Lease(batch.at, now, CLAIM_LEASE * 30)
            if batch.look:
                done.sources = [outbox.Source(1, 1)] if self.given < letters else []
            if batch.wish is not None:
                numbers = range(self.given + 1, min(letters, self.given + batch.wish.limit) + 1)
                self.given = numbers[-1] if numbers else self.given
                made = [
                    outbox.Claimed(n, 1, 1, None, n, f"reader{n}@example.org", f"Reader {n}", 0, None, False, now, 1)
                    for n in numbers
                ]
                done.claim, done.claim_lease = outbox.Claim(tuple(made)), Lease(batch.at, now, CLAIM_LEASE)
                with self.database.read() as session:
                    loaded = self.contents.load(session, made)
                done.fillers = self.contents.fillers(loaded, made)
            return done

    return Unrecorded


def settings(folder: Path, connections: int, port: int):
    from digest.config import from_values

    values = {
        "database": "digest.db",
        "base_url": "https://digest.example",
        "secret_key": KEY,
        "smtp": {"url": f"smtp://127.0.0.1:{port}", "connections": connections},
        "newsletters": {"daily": {"title": "Daily", "from": "The Daily <news@news.example>"}},
    }
    return from_values(values, folder / "digest.toml")


def fill(folder: Path, connections: int, port: int, letters: int, variants: int = 1) -> None:
    """An outbox with `letters` letters of one edition, of so many variants in turn."""
    import sqlalchemy as sa

    from digest.models import Edition, Subscriber, Subscription, SubscriptionState, Variant
    from digest.schedule import Turn
    from digest.store import newsletters, open_database, recipients

    for old in folder.glob("digest.db*"):
        old.unlink()
    config = settings(folder, connections, port)
    database = open_database(config.database_url, create=True)
    now = datetime.now(UTC)
    newsletters.keep(database, config.newsletters, now=now)
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        for start in range(0, letters, 10_000):
            numbers = range(start + 1, min(letters, start + 10_000) + 1)
            session.connection().execute(
                sa.insert(Subscriber),
                [
                    {"id": n, "email": f"reader{n}@example.org", "name": f"Reader {n}", "tags": [], "created_at": now}
                    for n in numbers
                ],
            )
            session.connection().execute(
                sa.insert(Subscription),
                [
                    {
                        "id": n,
                        "subscriber_id": n,
                        "newsletter_id": paper.id,
                        "state": SubscriptionState.ACTIVE,
                        "topics": [],
                        "read_until": 0,
                        "consent": "benchmark",
                        "created_at": now,
                        "changed_at": now,
                    }
                    for n in numbers
                ],
            )
        text, html = sample_parts()
        edition = Edition(
            newsletter_id=paper.id, number=1, composed_at=now, upto_seq=1, sender="The Daily <news@news.example>"
        )
        session.add(edition)
        session.flush()
        variant = Variant(
            edition_id=edition.id,
            key="all",
            since_seq=0,
            subject="What is new",
            html=html,
            text=text,
            marks=NONCE,
            story_count=1,
            more_count=0,
        )
        session.add(variant)
        session.flush()
        with recipients.laid_out(session, edition.newsletter_id, {("", None, ""): [Turn(now, now)]}):
            all_ = {recipients.Group(0, "[]", "", False): variant.id}
            recipients.owe(session, edition.newsletter_id, all_, edition=edition, upto=0, marks=False, now=now)
        if variants > 1:
            values = variant.model_dump(exclude={"id", "key", "text"})
            others = [Variant(**values, key=f"{n}", text=f"{text}\nVariant {n}.\n") for n in range(1, variants)]
            session.add_all(others)
            session.flush()
            first = variant.id
            session.execute(
                sa.text("UPDATE outbox SET variant_id = :first + id % :all"), {"first": first, "all": variants}
            )
    database.close()


# ---------------------------------------------------------------- what they send, and where


def sample_parts() -> tuple[str, str]:
    """Text and HTML that make a letter of about `SIZE` bytes, as premailer would leave them."""
    from digest.render import Marker, Marks

    story = (
        '<tr><td style="font-family:Arial,sans-serif;font-size:16px;padding:12px 24px"><a href="https://example.org/{n}"'
        ' style="color:#1a4f8b">A story with a title, number {n}</a><br>An excerpt that says – in about a hundred '
        "and fifty characters – what the story is about and why it is worth reading.</td></tr>\n"
    )
    text = "".join(f"A story with a title, number {n}\nhttps://example.org/{n}\n\n" for n in range(80))
    html = "<html><body><table>" + "".join(story.format(n=n) for n in range(90)) + "</table>"
    links = "".join(f'<a href="{Marks(NONCE).address(marker)}">{marker}</a>\n' for marker in Marker)
    return text + "\n".join(map(Marks(NONCE).address, Marker)) + "\n", f"{html}{links}</body></html>"


def sample() -> bytes:
    from digest.letter import Recipient, Sender, Template
    from digest.render import Marker, Marks, Rendered

    text, html = sample_parts()
    sender = Sender("The Daily <news@news.example>", datetime.now(UTC), newsletter="daily", number=1)
    links = dict.fromkeys(Marker, f"https://digest.example/page/{'t' * 60}")
    letter = Template(Rendered("What is new", html, text, marks=Marks(NONCE)), sender).fill(
        Recipient("reader@example.org", "Reader", links), mail_from="b-x@news.example", message_id="<x@news.example>"
    )
    return letter.content


@contextlib.contextmanager
def sink(folder: Path) -> Iterator[tuple[int, int]]:
    """Its port, and its process."""
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([found("smtp-sink"), *user, f"127.0.0.1:{port}", "1000"], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def proxy(port: int, delay: float = 0.010) -> Iterator[int]:
    """A way to `port` on which each byte takes `delay` seconds, in each direction."""
    own = free_port()
    code = [sys.executable, "-c", PROXY, str(own), str(port), str(delay)]
    process = subprocess.Popen(code)
    try:
        wait_for(own)
        yield own
    finally:
        process.terminate()
        process.wait()


PROXY = """
import asyncio, sys
try:
    import uvloop
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
except ImportError:
    pass
own, port, delay = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])

class Side(asyncio.Protocol):
    other = None
    def __init__(self):
        self.early = []
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        asyncio.get_running_loop().call_later(delay, self.pass_on, data)
    def pass_on(self, data):
        if self.other is None:
            self.early.append(data)
        elif not self.other.transport.is_closing():
            self.other.transport.write(data)
    def connection_lost(self, error):
        if self.other is not None:
            asyncio.get_running_loop().call_later(delay, self.other.transport.close)

class Front(Side):
    def connection_made(self, transport):
        super().connection_made(transport)
        self.task = asyncio.ensure_future(self.connect())
    async def connect(self):
        _, back = await asyncio.get_running_loop().create_connection(Side, "127.0.0.1", port)
        back.other, self.other = self, back
        for data in back.early:
            back.pass_on(data)
        for data in self.early:
            self.pass_on(data)

async def main():
    server = await asyncio.get_running_loop().create_server(Front, "127.0.0.1", own, backlog=500)
    await server.serve_forever()
asyncio.run(main())
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(port: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing answers at port {port}")


def found(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/libexec/postfix")
    if path is None:
        raise SystemExit(f"{name} is not installed; Debian's package postfix brings it")
    return path


if __name__ == "__main__":
    main()
