"""`digest doctor` on an installation of real parts: DNS, mail and web servers on loopback, a database, files.

Twenty faults are planted at once; each is named, its cure is typed as it stands there, and the fault is gone.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import socket
import subprocess
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvicorn
from conftest import Done
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dnsserver import DnsServer
from mailserver import MailServer
from people import enrol
from sqlmodel import select

from digest.config import load
from digest.doctor import dkim_key
from digest.models import (
    Edition,
    EditionState,
    Feed,
    FeedState,
    NewsletterFeed,
    OutboxRow,
    OutboxState,
    RunDay,
    Subscription,
    Variant,
)
from digest.store import Database, newsletters, open_database
from digest.web import application

US = "192.0.2.25"
NOW = datetime.now(UTC).replace(microsecond=0)


def pem() -> bytes:
    return generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="module")
def pems() -> tuple[bytes, bytes]:
    """Two keys: they take a while to make."""
    return pem(), pem()


@dataclass
class Installation:
    """A folder with settings, and everything that they name."""

    folder: Path
    run: Callable[..., Done]
    dns: DnsServer
    mail: MailServer
    key: bytes
    other_key: bytes
    port: int
    values: dict[str, Any] = field(default_factory=dict)
    database: Any = None

    @property
    def settings(self) -> Path:
        return self.folder / "digest.toml"

    def change(self, old: str, new: str) -> None:
        text = self.settings.read_text()
        assert old in text, old
        self.settings.write_text(text.replace(old, new))

    def change_of_weekly(self) -> None:
        """Its own address, in clear, as somebody writes it who has not thought of it."""
        self.change(
            f'from = "Weekly <weekly@weekly.example>"\nbase_url = "https://localhost:{self.port}"',
            f'from = "Weekly <weekly@weekly.example>"\nbase_url = "http://localhost:{self.port}"',
        )

    def doctor(self, *options: str, command: str = "doctor") -> list[dict[str, Any]]:
        done = self.run(*command.split(), "--json", *options)
        assert "Traceback" not in done.stderr, done.stderr
        self.code = done.returncode
        return json.loads(done.stdout)

    def faults(self, *options: str, command: str = "doctor") -> dict[tuple[str, str], dict[str, Any]]:
        rows = self.doctor(*options, command=command)
        return {(row["section"], row["name"]): row for row in rows if row["level"] in ("warn", "fail")}

    def type(self, cure: dict[str, Any]) -> None:
        """As a person would: in the shell, in the settings, in the zone."""
        text = cure["text"]
        if cure["place"] == "dns":
            self.dns.put(text)
        elif cure["place"] == "settings":
            assert Path(cure["file"]).resolve() == self.settings.resolve() or cure["file"] == "digest.toml"
            self.settings.write_text(with_line(self.settings.read_text(), cure["under"], text))
            tomllib.loads(self.settings.read_text())
        elif text.startswith("digest "):
            done = self.run(*shlex.split(text)[1:])
            assert done.returncode in (0, 69), (text, done)  # 69: what was in doubt may come twice
        else:
            subprocess.run(text, shell=True, cwd=self.folder, check=True, timeout=60)


def with_line(text: str, under: str, line: str) -> str:
    """Settings with a line in a table, in place of that key's where it is there; `rules 2` is the second of them."""
    table, _, number = under.partition(" ")
    key = line.split(" = ")[0]
    heads = {f"[{table}]", f"[[{table}]]"}
    lines, at = text.splitlines(), 0
    starts = [n for n, one in enumerate(lines) if one.strip() in heads] if table else [-1]
    at = starts[int(number or 1) - 1] + 1
    end = next((n for n in range(at, len(lines)) if lines[n].startswith("[")), len(lines))
    kept = [one for one in lines[at:end] if not re.match(rf"{key}\s*=", one)]
    return "\n".join([*lines[:at], line, *kept, *lines[end:]]) + "\n"


SETTINGS = """\
secret_key = "a key for tests, long enough"
base_url = "https://localhost:{port}"
[smtp]
url = "{relay}"
hello = "mail.news.example"
[[smtp.dkim]]
selector = "digest"
key_file = "dkim.pem"
[mail]
source = "box"
[doctor]
nameserver = "{nameserver}"
addresses = ["192.0.2.25"]
[newsletters.daily]
title = "Daily"
from = "Daily <daily@news.example>"
templates = "ours"
[newsletters.daily.topics.databases]
keywords = ["postgres*", "sqlite"]
[newsletters.daily.topics.storage]
keywords = ["disk", "tape drive"]
[[newsletters.daily.rules]]
title = "sponsored*"
mute = true
[newsletters.weekly]
title = "Weekly"
from = "Weekly <weekly@weekly.example>"
base_url = "https://localhost:{port}"
[newsletters.weekly.smtp]
envelope_domain = "bounces.weekly.example"
[[newsletters.weekly.smtp.dkim]]
selector = "digest"
key_file = "dkim.pem"
domain = "mail.weekly.example"
"""


def zone(key: bytes) -> list[str]:
    record = dkim_key.private(key).record
    return [
        'news.example. IN TXT "v=spf1 ip4:192.0.2.25 ~all"',
        'news.example. IN TXT "some-other-service=1"',
        "news.example. IN MX 10 mail.news.example.",
        "mail.news.example. IN A 192.0.2.25",
        dkim_key.zone_line("digest._domainkey.news.example", record),
        '_dmarc.news.example. IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@news.example"',
        "25.2.0.192.in-addr.arpa. IN PTR mail.news.example.",
        'bounces.weekly.example. IN TXT "v=spf1 include:_spf.news.example -all"',
        '_spf.news.example. IN TXT "v=spf1 ip4:192.0.2.0/24 -all"',
        "bounces.weekly.example. IN MX 10 mail.news.example.",
        "weekly.example. IN MX 10 mail.news.example.",
        dkim_key.zone_line("digest._domainkey.mail.weekly.example", record),
        '_dmarc.weekly.example. IN TXT "v=DMARC1; p=quarantine; rua=mailto:postmaster@weekly.example"',
    ]


@pytest.fixture
def installation(
    digest: Callable[..., Done],
    tmp_path: Path,
    pems: tuple[bytes, bytes],
    upgraded_sqlite: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Installation]:
    """One on which there is nothing to be said."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setattr("digest.cli.checks._started_twice", lambda settings: "")
    (tmp_path / "bin").mkdir()
    with ExitStack() as running:
        dns = running.enter_context(DnsServer(zone(pems[0])))
        mail = running.enter_context(MailServer())
        listener = running.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        made = Installation(tmp_path, digest, dns, mail, *pems, port)
        made.settings.write_text(SETTINGS.format(port=port, relay=mail.url, nameserver=dns.address))
        (tmp_path / "dkim.pem").write_bytes(pems[0])
        for name in ("new", "cur", "tmp"):
            (tmp_path / "box" / name).mkdir(parents=True)
        (tmp_path / "ours").mkdir()
        (tmp_path / "ours" / "confirm.txt").write_text("{% extends 'note.txt' %}")
        shutil.copy(upgraded_sqlite, tmp_path / "digest.db")
        config = load(made.settings)
        made.database = running.enter_context(closing(open_database(config.database_url)))
        fill(made.database, list(config.newsletters))
        leaf = authority.issue_cert("localhost")
        leaf.private_key_pem.write_to_path(tmp_path / "leaf.key")
        for number, blob in enumerate(leaf.cert_chain_pems):
            blob.write_to_path(tmp_path / "leaf.pem", append=number > 0)
        server = uvicorn.Server(
            uvicorn.Config(
                application(made.database, config, clock=lambda: NOW),
                lifespan="off",
                log_level="critical",
                ssl_keyfile=str(tmp_path / "leaf.key"),
                ssl_certfile=str(tmp_path / "leaf.pem"),
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield made
        finally:
            server.should_exit = True
            thread.join()


class closing:
    def __init__(self, database: Database) -> None:
        self.database = database

    def __enter__(self) -> Database:
        return self.database

    def __exit__(self, *_: object) -> None:
        self.database.close()


def fill(database: Database, papers: list[str]) -> None:
    """A feed, two readers, an edition that was sent, and a run of today."""
    newsletters.keep(database, papers, now=NOW - timedelta(days=9))
    with database.write() as session:
        paper = newsletters.find(session, "daily")
        paper.edition_number, paper.seq = 1, 1
        feed = Feed(
            url="http://127.0.0.1:9/feed.xml", host="127.0.0.1", title="Feed", added_at=NOW - timedelta(days=9),
            next_at=NOW + timedelta(minutes=10), checked_at=NOW, ok_at=NOW,
        )  # fmt: skip
        session.add(feed)
        session.flush()
        session.add(NewsletterFeed(newsletter_id=paper.id, feed_id=feed.id, topic="", added_at=NOW))
        enrol(session, "ada@reader.example", now=NOW)
        session.add(RunDay(day=NOW.replace(hour=0, minute=0, second=0)))
        session.add(edition(paper.id, 1, session))


def edition(paper: int | None, number: int, session: Any, **changed: Any) -> Edition:
    """An edition that waits, with its variant."""
    made = Edition(
        newsletter_id=paper, number=number, composed_at=NOW, upto_seq=0, sender="Daily <daily@news.example>", **changed
    )
    session.add(made)
    session.flush()
    return made


def letter(session: Any, paper: Any, number: int, *, state: OutboxState, due: datetime, how: EditionState) -> None:
    """An edition with one letter to the reader, in a state that nobody wants."""
    made = edition(paper.id, number, session, state=how)
    paper.edition_number = max(paper.edition_number, number)
    reader = session.exec(select(Subscription).where(Subscription.newsletter_id == paper.id)).first()
    variant = Variant(
        edition_id=made.id, key=f"k{number}", since_seq=0, subject="S", html="<p>x</p>", text="x", story_count=0,
        more_count=0, letters=1,
    )  # fmt: skip
    session.add(variant)
    session.flush()
    session.add(
        OutboxRow(
            edition_id=made.id, variant_id=variant.id, subscriber_id=reader.subscriber_id, subscription_id=reader.id,
            state=state, due_at=due, created_at=NOW, settled_at=NOW if state is OutboxState.HELD else None,
            in_doubt=state is OutboxState.HELD,
        )
    )  # fmt: skip


def test_a_good_installation_has_no_fault(installation):
    rows = installation.doctor()
    assert installation.code == 0
    assert [row for row in rows if row["level"] in ("warn", "fail")] == []
    sections = list(dict.fromkeys(row["section"] for row in rows))
    assert sections == [
        "settings", "clock", "names", "topics", "database", "templates", "feeds", "cron", "letters", "disk", "relays",
        "dns", "links", "mailbox", "rules",
    ]  # fmt: skip
    unknown = {row["name"] for row in rows if row["level"] == "unknown"}
    assert all(name.split(" ", 1)[1] in ("tls", "spam rate", "reputation") for name in unknown), unknown


# ---------------------------------------------------------------- twenty faults at once


@dataclass(frozen=True)
class Fault:
    """What is planted, and the row that must name it."""

    section: str
    name: str
    plant: Callable[[Installation], None]


def in_database(change: Callable[[Any, Any], None]) -> Callable[[Installation], None]:
    """`change` gets a session, and the row of `daily`."""

    def plant(there: Installation) -> None:
        with there.database.write() as session:
            change(session, newsletters.find(session, "daily"))

    return plant


def _renamed_newsletter(there: Installation) -> None:
    newsletters.keep(there.database, ["week"], now=NOW)
    with there.database.write() as session:
        enrol(session, "bob@reader.example", newsletter="week", now=NOW)


def _renamed_topic(session: Any, paper: Any) -> None:
    session.exec(select(Subscription).where(Subscription.newsletter_id == paper.id)).first().topics = ["storages"]


def _clock_was_wrong(session: Any, paper: Any) -> None:
    session.exec(select(Feed)).first().next_at = NOW + timedelta(days=400)


def _no_run(session: Any, paper: Any) -> None:
    for row in session.exec(select(RunDay)).all():
        session.delete(row)
    session.add(RunDay(day=(NOW - timedelta(days=6)).replace(hour=0, minute=0, second=0)))
    for feed in session.exec(select(Feed)).all():
        feed.checked_at = NOW - timedelta(days=5)
    for one in session.exec(select(Edition)).all():
        one.composed_at = NOW - timedelta(days=7)


def _gone_feed(session: Any, paper: Any) -> None:
    feed = Feed(
        url="http://127.0.0.1:9/gone.xml", host="127.0.0.1", title="Gone", state=FeedState.RETIRED, error="410 Gone",
        added_at=NOW, next_at=NOW, checked_at=NOW - timedelta(days=9),
    )  # fmt: skip
    session.add(feed)
    session.flush()
    session.add(NewsletterFeed(newsletter_id=paper.id, feed_id=feed.id, topic="", added_at=NOW))


def _paused(session: Any, paper: Any) -> None:
    letter(session, paper, 2, state=OutboxState.OWED, due=NOW, how=EditionState.PAUSED)


def _held(session: Any, paper: Any) -> None:
    letter(session, paper, 3, state=OutboxState.HELD, due=NOW, how=EditionState.OPEN)


def _mode(name: str) -> Callable[[Installation], None]:
    return lambda there: (there.folder / name).chmod(0o644)


def _settings(old: str, new: str) -> Callable[[Installation], None]:
    return lambda there: there.change(old, new)


def _zone(name: str, kind: str, *lines: str) -> Callable[[Installation], None]:
    """Other records in place of those."""

    def plant(there: Installation) -> None:
        there.dns.records.pop((f"{name}.", kind), None)
        for line in lines:
            there.dns.add(f"{name}. IN {kind} {line}")

    return plant


def _other_key(there: Installation) -> None:
    name = "digest._domainkey.news.example"
    there.dns.records.pop((f"{name}.", "TXT"))
    there.dns.add(dkim_key.zone_line(name, dkim_key.private(there.other_key).record))


FAULTS = [
    Fault("clock", "clock", in_database(_clock_was_wrong)),
    Fault("settings", "mode digest.db", _mode("digest.db")),
    Fault("settings", "smtp.dkim key_file", _mode("dkim.pem")),
    Fault("names", "newsletter week", _renamed_newsletter),
    Fault("names", "topic storages of daily", in_database(_renamed_topic)),
    Fault("topics", "daily: keyword '+++' of databases", _settings('"sqlite"]', '"sqlite", "+++"]')),
    Fault("topics", "daily: keyword 'tape.*drives?' of storage", _settings('"tape drive"', '"tape.*drives?"')),
    Fault("topics", "daily: rule 1, title '^Sponsored:'", _settings('"sponsored*"', '"^Sponsored:"')),
    Fault(
        "templates",
        "newsletters.daily",
        lambda there: (there.folder / "ours" / "confirm.txt").write_text("{% if %}"),
    ),
    Fault("feeds", "feed 2", in_database(_gone_feed)),
    Fault("letters", "No. 2 of daily, stopped", in_database(_paused)),
    Fault("letters", "No. 3 of daily, held", in_database(_held)),
    Fault("cron", "last run", in_database(_no_run)),
    Fault("dns", "spf news.example", _zone("news.example", "TXT", '"some-other-service=1"')),
    Fault(
        "dns",
        "spf bounces.weekly.example",
        _zone("bounces.weekly.example", "TXT", '"v=spf1 mx -all"', '"v=spf1 ip4:198.51.100.1 -all"'),
    ),
    Fault("dns", "dkim digest._domainkey.news.example", _other_key),
    Fault("dns", "dmarc news.example", _zone("_dmarc.news.example", "TXT")),
    Fault(
        "dns",
        "alignment weekly.example",
        _zone("_dmarc.weekly.example", "TXT", '"v=DMARC1; p=reject; adkim=s; aspf=s; rua=mailto:x@weekly.example"'),
    ),
    Fault("dns", "mx weekly.example", _zone("weekly.example", "MX")),
    Fault("dns", "ptr 192.0.2.25", _zone("25.2.0.192.in-addr.arpa", "PTR")),
    Fault("dns", "hello mail.news.example", _zone("mail.news.example", "A", "198.51.100.7")),
    Fault("links", "address localhost", lambda there: there.change_of_weekly()),
    Fault("mailbox", "mailbox", lambda there: shutil.rmtree(there.folder / "box")),
    Fault("settings", "mode digest.toml", _mode("digest.toml")),
]


def test_twenty_faults_at_once_are_all_named_and_each_cure_works_when_it_is_typed(installation):
    for fault in FAULTS:
        fault.plant(installation)
    found = installation.faults()
    assert installation.code == 78
    missing = [fault for fault in FAULTS if named(found, fault) is None]
    assert not missing, (missing, list(found))
    assert len(FAULTS) >= 20
    for fault in FAULTS:
        row = named(found, fault)
        assert row is not None and row["cure"], row
        installation.type(row["cure"])
    assert installation.faults() == {}
    assert installation.code == 0


def named(found: dict[tuple[str, str], dict[str, Any]], fault: Fault) -> dict[str, Any] | None:
    return next((row for key, row in found.items() if key[0] == fault.section and key[1].startswith(fault.name)), None)
