"""`digest doctor` on an installation of real parts: DNS, mail and web servers on loopback, a database, files.

Twenty faults are planted at once; each is named, its cure is typed as it stands there, and the fault is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import people
import pytest
import trustme
import uvicorn
from conftest import Done
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dns.resolver import LifetimeTimeout
from dnsserver import DnsServer
from imapserver import ImapServer
from mailserver import MailServer
from people import enrol
from sqlmodel import select

from digest import sign
from digest.cli import checks, looked
from digest.cli.checks import _started_twice as started_twice
from digest.cli.doctor import ONLINE
from digest.cli.run import barren_words
from digest.config import load
from digest.doctor import Check, Finding, Level, dkim_key, links, rules
from digest.doctor import run as run_checks
from digest.errors import FetchError, Unreachable
from digest.models import (
    Edition,
    EditionState,
    Feed,
    FeedState,
    NewsletterFeed,
    OutboxRow,
    OutboxState,
    Subscription,
    Variant,
)
from digest.store import Database, looking, newsletters, open_database
from digest.store.run_tables import RunDay
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


def test_a_good_installation_has_no_fault_and_is_not_changed(installation):
    def stored() -> dict[str, list[Any]]:
        with installation.database.read() as session:
            ask = session.connection().exec_driver_sql
            names = [name for (name,) in ask("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {name: ask(f"SELECT * FROM {name}").fetchall() for name in names}

    before = stored()
    (installation.folder / "box" / "new" / "1.mail").write_bytes(b"From: a@b.example\n\nHi\n")
    rows = installation.doctor()
    assert stored() == before and installation.mail.taken == []
    assert [path.name for path in (installation.folder / "box" / "new").iterdir()] == ["1.mail"]
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
    Fault(
        "settings",
        "pictures of weekly",
        _settings("\n[newsletters.weekly.smtp]\n", '\nimage_source = "served"\n[newsletters.weekly.smtp]\n'),
    ),
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


# ---------------------------------------------------------------- one fault, or one door, at a time


def test_a_check_that_breaks_is_a_row_and_ends_none_of_the_others(installation, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("what nobody thought of")

    monkeypatch.setattr("digest.doctor.spf.survey", broken)
    monkeypatch.setattr("digest.store.looking.stuck", broken)
    found = installation.faults()
    assert installation.code == 69
    assert {key for key in found if "rules" not in key} == {
        ("dns", "spf news.example"), ("dns", "spf bounces.weekly.example"), ("letters", "letters"),
    }  # fmt: skip
    assert "RuntimeError: what nobody thought of" in found["letters", "letters"]["seen"]


def test_a_check_that_takes_too_long_is_a_row():
    async def ask() -> list[Finding]:
        await asyncio.Event().wait()
        return []

    async def quick() -> list[Finding]:
        return [Finding("a", "b", Level.OK, "well")]

    told: list[tuple[int, int]] = []
    checks = [Check("links", "slow", ask, 0.01), Check("a", "b", quick, 30)]
    slow, fine = asyncio.run(run_checks(checks, told=lambda done, total: told.append((done, total))))
    assert (slow.level, slow.seen, fine.level) == (Level.FAIL, "no answer within 0.01 seconds", Level.OK)
    assert told == [(1, 2), (2, 2)]


def test_a_thread_that_hangs_keeps_nobody():
    hanging = threading.Event()
    check = Check.working("a", "b", lambda: [] * hanging.wait(), 0.01)
    (found,) = asyncio.run(run_checks([check]))
    hanging.set()
    assert found.level is Level.FAIL


def test_sections_are_chosen_and_nothing_is_asked_offline(installation):
    rows = installation.doctor("--only", "letters,disk", "--only", "clock")
    assert {row["section"] for row in rows} == {"letters", "disk", "clock"}
    asked = len(installation.dns.asked), installation.mail.connections
    rows = installation.doctor("--offline")
    assert "dns" not in {row["section"] for row in rows}
    assert installation.doctor(command="config check")
    assert (len(installation.dns.asked), installation.mail.connections) == asked
    assert installation.run("doctor", "--only", "everything").returncode == 64
    assert installation.run("doctor", "--only", "dns", "--offline").returncode == 64
    rules = installation.doctor("--only", "rules")
    assert {row["section"] for row in rules} == {"rules"}
    assert {row["name"].split(" ")[0] for row in rules} == {"Gmail", "Yahoo", "Microsoft"}


def test_a_rule_that_is_not_met_is_told_of_those_who_ask_for_it(installation):
    _zone("_dmarc.news.example", "TXT")(installation)
    found = installation.faults("--only", "rules")
    assert {name for _, name in found} == {f"{whose} dmarc" for whose in ("Gmail", "Yahoo", "Microsoft")}


def test_what_is_not_there_at_all_is_said_with_its_cure(installation):
    database, settings = installation.folder / "digest.db", installation.settings.read_text()
    for path in installation.folder.glob("digest.db*"):
        path.rename(path.with_name(f"kept-{path.name}"))
    found = installation.faults("--only", "settings,database")
    row = found["database", "database"]
    assert "there is no database" in row["seen"] and row["cure"]["text"] == "digest init" and installation.code == 69
    database.write_text("this is no database, and never was one, however long it may be")
    assert "is not a database" in installation.faults("--only", "settings,database")["database", "database"]["seen"]
    installation.settings.write_text("base_url = ")
    (row,) = installation.faults("--only", "settings").values()
    assert "is not valid TOML" in row["seen"] and installation.code == 78
    installation.settings.write_text(settings.replace('url = "smtp://', 'url = "smpt://'))
    assert installation.faults("--only", "settings") and installation.code == 78
    installation.settings.write_text(settings + '[newsletters.third]\ntitle = "x"\nfrom = "nobody"\n')
    assert ("settings", "newsletter third") in installation.faults(
        "--only", "settings,database"
    ) and installation.code == 78


def test_an_older_or_newer_database_is_looked_at_and_left_alone(installation):
    def revision(text: str) -> None:
        with installation.database.write() as session:
            session.connection().exec_driver_sql(f"UPDATE alembic_version SET version_num = '{text}'")

    revision("9999")
    row = installation.faults("--only", "settings,database")["database", "revision"]
    assert row["level"] == "fail" and "newer digest" in row["seen"]
    revision("0001")
    row = installation.faults("--only", "settings,database")["database", "revision"]
    assert row["level"] == "warn" and row["cure"]["text"] == "digest db upgrade"


def test_settings_that_are_named_are_named_in_the_cures_too(installation, tmp_path_factory, monkeypatch):
    _paused_there = in_database(_paused)
    _paused_there(installation)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    done = installation.run("-c", installation.settings, "doctor", "--only", "letters", "--json")
    (row,) = json.loads(done.stdout)
    installation.type(row["cure"])
    done = installation.run("-c", installation.settings, "doctor", "--only", "letters", "--json")
    assert [row["level"] for row in json.loads(done.stdout)] == ["ok"]


def test_letters_that_nobody_sends_are_told_and_sent_by_what_is_typed(installation):
    def overdue(session: Any, paper: Any) -> None:
        letter(session, paper, 4, state=OutboxState.OWED, due=NOW - timedelta(hours=30), how=EditionState.OPEN)

    in_database(overdue)(installation)
    row = installation.faults("--only", "letters")["letters", "No. 4 of daily, overdue"]
    assert (row["level"], installation.code) == ("fail", 69)
    installation.type(row["cure"])
    found = installation.faults("--only", "letters")
    if found:  # so late that its edition was held: which is said, with its own cure
        ((_, name),) = found
        assert name == "No. 4 of daily, stopped"
        installation.type(found["letters", name]["cure"])
        installation.run("deliver")
    assert installation.faults("--only", "letters") == {}


def test_a_database_that_grows_too_fast_or_lies_empty_is_told(installation, monkeypatch):
    monkeypatch.setattr("digest.cli.checks.shutil.disk_usage", lambda path: SimpleNamespace(free=10))
    assert installation.faults("--only", "disk")["disk", "disk"]["level"] == "warn"
    in_database(_held)(installation)
    row = installation.faults("--only", "disk")["disk", "disk"]
    assert row["level"] == "fail" and installation.code == 69 and row["cure"]["text"].startswith("du ")
    with installation.database.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE waste (x)")
        session.connection().exec_driver_sql("INSERT INTO waste VALUES (zeroblob(3000000))")
    with installation.database.write() as session:
        session.connection().exec_driver_sql("DROP TABLE waste")
    monkeypatch.setattr("digest.cli.checks.LARGE", 1_000_000)
    found = installation.faults("--only", "database")
    for name in ("size", "wal"):
        if ("database", name) in found:
            installation.type(found["database", name]["cure"])
    assert ("database", "size") in found and installation.faults("--only", "database") == {}


def test_damage_is_told(installation, monkeypatch):
    monkeypatch.setattr("digest.store.looking.damage", lambda session: "row 3 missing from index ix_x")
    assert installation.faults("--only", "database")["database", "integrity"]["level"] == "fail"


def test_what_is_left_of_names_that_are_gone_is_told_too(installation):
    newsletters.keep(installation.database, ["evening"], now=NOW)
    with installation.database.write() as session:
        evening, daily = newsletters.find(session, "evening"), newsletters.find(session, "daily")
        feed = Feed(url="http://127.0.0.1:9/evening.xml", host="127.0.0.1", added_at=NOW, next_at=NOW, ok_at=NOW)
        session.add(feed)
        session.flush()
        session.add(NewsletterFeed(newsletter_id=evening.id, feed_id=feed.id, topic="", added_at=NOW))
        session.exec(select(NewsletterFeed).where(NewsletterFeed.newsletter_id == daily.id)).one().topic = "database"
    found = installation.faults("--only", "names")
    assert set(found) == {("names", "feeds of evening"), ("names", "feeds about database of daily")}
    assert found["names", "feeds about database of daily"]["cure"]["text"] == (
        "digest topic merge database databases -n daily"
    )
    for row in found.values():
        installation.type(row["cure"])
    assert installation.faults("--only", "names") == {}


def test_a_newsletter_that_nobody_knows_any_more_is_ended_only_by_who_says_so(installation):
    newsletters.keep(installation.database, ["evening"], now=NOW)
    with installation.database.write() as session:
        enrol(session, "bob@reader.example", newsletter="evening", now=NOW)
    row = installation.faults("--only", "names")["names", "newsletter evening"]
    assert row["cure"]["text"] == "digest newsletter end evening", "no --yes: it asks"


def test_what_the_database_says_of_itself_is_the_same_on_both_kinds(database):
    with database.write() as session:
        paper = newsletters.find(session, "daily")
        enrol(session, "ada@reader.example", now=NOW)
        letter(session, paper, 1, state=OutboxState.OWED, due=NOW - timedelta(days=2), how=EditionState.OPEN)
        letter(session, paper, 2, state=OutboxState.HELD, due=NOW, how=EditionState.OPEN)
        letter(session, paper, 3, state=OutboxState.OWED, due=NOW, how=EditionState.PAUSED)
        letter(session, paper, 4, state=OutboxState.OWED, due=NOW, how=EditionState.OPEN)
    with database.read() as session:
        assert looking.stuck(session, now=NOW) == [
            looking.Stuck("daily", 1, 0, 0, 1, False),
            looking.Stuck("daily", 2, 1, 0, 0, False),
            looking.Stuck("daily", 3, 0, 0, 0, True),
        ]
        size = looking.size(database, session, now=NOW)
        assert size.all > 100_000 and 0 < size.growth < size.all
        assert looking.last_sign(session, now=NOW) == NOW and looking.at_work(session, now=NOW) == 0
        assert looking.damage(session) == "" and looking.feeds_of_nobody(session, {"daily"}) == {}


def test_cron_that_starts_the_same_twice_is_told(installation, monkeypatch):
    table = installation.folder / "table"
    table.write_text("# digest\n*/5 * * * * digest run\n*/5 * * * * digest run\n@daily other\n")
    program = installation.folder / "bin" / "crontab"
    program.write_text(f'#!/bin/sh\n[ "$1" = -l ] && exec cat {table}\ncat > {table}.new && mv {table}.new {table}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("digest.cli.checks._started_twice", started_twice)
    row = installation.faults("--only", "cron")["cron", "crontab"]
    installation.type(row["cure"])
    assert installation.faults("--only", "cron") == {}
    assert table.read_text() == "# digest\n*/5 * * * * digest run\n@daily other\n"


def test_a_newsletter_with_a_file_of_its_own_is_mended_there(installation):
    (installation.folder / "newsletters").mkdir()
    own = installation.folder / "newsletters" / "third.toml"
    own.write_text(
        'title = "Third"\nfrom = "Third <third@third.example>"\n[topics.a]\nkeywords = ["!!!", "a"]\n'
        f'[smtp]\nurl = "{installation.mail.url}"\nenvelope_domain = "elsewhere.example"\n'
        '[[smtp.dkim]]\nselector = "digest"\nkey_file = "../dkim.pem"\ndomain = "elsewhere.example"\n'
    )
    found = installation.faults("--only", "topics,dns")
    cure = found["topics", "third: keyword '!!!' of a"]["cure"]
    assert cure == {"place": "settings", "text": 'keywords = ["a"]', "under": "topics.a", "file": str(own)}
    cure = found["dns", "alignment third.example"]["cure"]
    assert (cure["text"], cure["under"], cure["file"]) == ('envelope_domain = "third.example"', "smtp", str(own))


# ---------------------------------------------------------------- relays


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_the_end_of_a_relay_s_certificate_is_told(installation, scheme):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(installation.folder / "mail-ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", not_after=NOW.replace(tzinfo=None) + timedelta(days=9)).configure_cert(context)
    installation.mail.context, installation.mail.implicit_tls = context, scheme == "smtps"
    url = f"{scheme}://localhost:{installation.mail.port}"
    installation.change(f'url = "{installation.mail.url}"', f'url = "{url}"\nca_file = "mail-ca.pem"')
    rows = {row["name"]: row for row in installation.doctor("--only", "relays")}
    assert "by TLS" in rows[f"relay localhost:{installation.mail.port}"]["seen"]
    ends = rows[f"certificate localhost:{installation.mail.port}"]
    assert ends["level"] == "warn" and "in 8 days" in ends["seen"]


def test_each_relay_is_tried_as_a_letter_would_and_one_letter_is_sent(installation):
    done = installation.run("relay", "test", "--json")
    (row,) = json.loads(done.stdout)
    assert row["level"] == "ok" and "PIPELINING" in row["seen"] and "10,000,000 bytes" in row["seen"]
    assert installation.mail.taken == [] and installation.mail.log[-1:] in ([], ["QUIT"])
    name = installation.mail.url.removeprefix("smtp://")
    done = installation.run("relay", "test", "--send", "you@there.example", "--relay", name, "-n", "weekly")
    assert done.returncode == 0 and "250 2.0.0" in done.stderr, done
    (taken,) = installation.mail.taken
    assert taken.recipient == "you@there.example" and b"List-Unsubscribe-Post" in taken.content
    assert installation.run("relay", "test", "--relay", "nowhere:25").returncode == 66


def test_a_letter_that_nobody_took_is_not_called_sent(installation):
    installation.change(f'url = "{installation.mail.url}"', "")
    done = installation.run("relay", "test", "--send", "you@there.example")
    assert "not sent to you@there.example" in done.stderr and "\nsent" not in done.stderr, done


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"banner": "554 5.7.1 go away"}, "does not let us in"),
        ({"extensions": ("SIZE 20000",)}, "20,000 bytes only"),
    ],
)
def test_a_relay_that_does_not_do_is_told(installation, change, words):
    for name, value in change.items():
        setattr(installation.mail, name, value)
    (row,) = installation.faults("--only", "relays").values()
    assert words in row["seen"]
    code = installation.run("relay", "test").returncode
    assert code == (69 if row["level"] == "fail" else 0)


def test_a_relay_that_is_gone_or_refuses_the_login_fails(installation):
    installation.mail.login = lambda words: False
    installation.change(
        'hello = "mail.news.example"', 'hello = "mail.news.example"\nuser = "me"\npassword = "s3cret-word"'
    )
    (row,) = installation.faults("--only", "relays").values()
    assert "refuses the login of me" in row["seen"] and "s3cret" not in json.dumps(row)
    installation.mail.vanish()
    (row,) = installation.faults("--only", "relays").values()
    assert "no connection to" in row["seen"] and installation.code == 69


def test_no_relay_is_told_and_not_judged_by_the_dns(installation):
    installation.change(f'url = "{installation.mail.url}"\n', "")
    found = installation.faults("--only", "relays", "--only", "dns")
    assert set(found) == {("relays", "relays")}


@pytest.mark.parametrize(("days", "level"), [(40, "ok"), (20, "warn"), (2, "fail"), (-1, "fail")])
def test_the_end_of_a_certificate_is_told_in_time(days, level):
    found = links.certificate("links", "certificate x", NOW + timedelta(days=days, minutes=5), now=NOW, cure=None)
    assert found.level == level


# ---------------------------------------------------------------- links


def asked(*answers: tuple[int, bytes] | FetchError) -> list[Any]:
    """What is said of a site that answers the look and then the click so."""
    left = list(answers)

    async def ask(method: str, url: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        answer = left.pop(0)
        if isinstance(answer, FetchError):
            raise answer
        assert (method, body) in (("GET", b""), ("POST", b"List-Unsubscribe=One-Click"))
        return answer

    site = links.Site("http://news.example", "/unsubscribe/x", b"nobody's", domain="news.example")
    (_, found) = asyncio.run(run_checks(links.checks([site], ask, now=NOW, seconds=30)))
    return [found.level, found.seen]


def test_a_link_that_does_not_take_one_click_is_told_why():
    good = (200, b"a link of nobody's")
    assert asked(good, good)[0] == "ok"
    for answers, words in (
        ((good, (302, b"")), "redirect"),
        (((301, b""), good), "redirect"),
        (((404, b""), (404, b"")), "does not know a link"),
        ((good, (403, b"")), "wants a login"),
        ((good, (405, b"")), "answered 405"),
        ((good, (500, b"")), "answered 500"),
        (((200, b"parked"), (200, b"parked")), "something else than this digest"),
        ((Unreachable("", "does not answer"),), "is digest serve running"),
        ((FetchError("", "has a certificate that has expired"),), "expired"),
    ):
        level, seen = asked(*answers)
        assert level == "fail" and words in seen, (answers, seen)


def test_a_link_of_nobody_works_and_does_nothing(box, config):
    from starlette.testclient import TestClient

    with box.write() as session:
        enrol(session, "ada@reader.example", now=NOW)
    client = TestClient(application(box, config, clock=lambda: NOW))
    token = sign.token(sign.Purpose.UNSUBSCRIBE, sign.NOBODY, key=config.keys[0])
    for form in ({"data": {"List-Unsubscribe": "One-Click"}}, {"files": {"List-Unsubscribe": (None, "One-Click")}}):
        said = client.post(f"/unsubscribe/{token}", **form)
        assert (said.status_code, said.text) == (200, sign.NOBODYS)
    assert client.post(f"/unsubscribe/{token}").status_code == 400
    assert client.get(f"/unsubscribe/{token}").text == sign.NOBODYS
    foreign = sign.token(sign.Purpose.UNSUBSCRIBE, sign.NOBODY, key="another key, long enough")
    assert client.post(f"/unsubscribe/{foreign}", data={"List-Unsubscribe": "One-Click"}).status_code == 404
    with box.read() as session:
        assert [row.state for row in session.exec(select(Subscription))] == ["active"]


def test_links_that_lead_to_this_machine_are_told(installation):
    done = installation.run("doctor", "--only", "links", "--json", DIGEST_COLLECT__ALLOW_PRIVATE_ADDRESSES="false")
    row = next(row for row in json.loads(done.stdout) if row["name"].startswith("address"))
    assert row["level"] == "fail" and "which no reader reaches" in row["seen"]


# ---------------------------------------------------------------- what runs look at, and what they need not load


def test_a_run_tells_in_one_line_what_can_never_match(installation):
    assert barren_words(load(installation.settings)) == ""
    installation.change('"sqlite"]', '"sqlite", "+++", "---"]')
    done = installation.run("run")
    assert "digest: 2 keywords or rules never match; `digest config check` names them\n" in done.stderr


def test_status_and_an_idle_run_load_nothing_that_asks_the_network_for_the_doctor(digest, tmp_path, monkeypatch):
    (tmp_path / "digest.toml").write_text(people.SETTINGS)
    assert digest("init").returncode == 0
    for name in ("dns", "digest.doctor.dns", "digest.doctor.senders", "digest.doctor.links", "digest.doctor.results"):
        monkeypatch.setitem(sys.modules, name, None)  # to import it is an error now
    for command in ("status", "run"):
        assert digest(command).returncode == 0
    with pytest.raises(ImportError):
        digest("doctor", "--only", "dns")


def test_rows_are_a_table_for_people_and_a_line_each_in_a_pipe(installation):
    _zone("_dmarc.news.example", "TXT")(installation)
    done = installation.run("doctor", "--only", "dns")
    row = next(line for line in done.stdout.splitlines() if line.startswith("dns\tdmarc news.example"))
    assert row.split("\t")[2] == "fail" and row.endswith(
        'in the DNS zone: _dmarc.news.example. IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@news.example"'
    )
    assert "1 fail" in done.stderr and done.returncode == 69


def test_offline_checks_answer_on_both_kinds_of_database(database, config):
    url = database.engine.url
    if database.engine.name == "postgresql":
        there = url.set(drivername="postgresql").render_as_string(hide_password=False)
        config = config.model_copy(update={"database": there})
    with database.write() as session:
        session.add(RunDay(day=NOW.replace(hour=0, minute=0, second=0)))
    opened, trouble = checks.opened(config)
    assert opened is not None and trouble == ()
    with closing(opened):
        scene = checks.Scene(Path("digest.toml"), config, opened, NOW)
        asked = [one for one in checks.checks(scene, seconds=60) if one.section != "templates"]
        found = asyncio.run(run_checks(asked))
    assert {one.section for one in found} == {*checks.OFFLINE, *checks.HERE} - {"templates"}
    assert {one.name: one.level.value for one in found if one.is_fault} == {"feeds": "warn"}


@pytest.mark.parametrize("password", ["a pass word", "an0ther"])
def test_the_mailbox_is_logged_in_to_and_nothing_is_read(installation, password):
    with ImapServer() as server:
        server.add(b"From: a@b.example\n\nHi\n")
        place = f'source = "imap://127.0.0.1:{server.port}"\nuser = "back"\npassword = "{password}"'
        installation.change('source = "box"', place)
        (row,) = installation.doctor("--only", "mailbox")
        good = password == server.password
        assert (row["level"], installation.code) == (("ok", 0) if good else ("fail", 69)), row
        assert ("1 mails, 1 of them to read" in row["seen"]) == good and "an0ther" not in row["seen"]
        assert server.flags == [""]


def test_a_website_whose_certificate_nobody_trusts_is_told(installation, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    found = installation.faults("--only", "links")
    assert {name.split(" ")[0] for _, name in found} == {"certificate", "one-click"}
    assert all(row["level"] == "fail" for row in found.values()) and installation.code == 69


def test_a_name_server_that_is_none_is_refused_and_a_silent_one_is_told(installation, monkeypatch):
    done = installation.run("doctor", "--only", "dns", "--nameserver", "dns.example")
    assert done.returncode == 64 and "must be the address of a name server" in done.stderr

    async def waited_in_vain(*_: object, **__: object) -> None:
        raise LifetimeTimeout(timeout=5, errors=[])

    # How long is waited for one is asked of a real one, where the DNS has its tests.
    monkeypatch.setattr("dns.asyncresolver.Resolver.resolve", waited_in_vain)
    rows = installation.doctor("--only", "dns", "--nameserver", "127.0.0.1:9")
    assert {row["level"] for row in rows} == {"fail", "unknown"} and installation.code == 69
    assert [row["name"] for row in rows if row["level"] == "fail"] == ["name server"]


# ---------------------------------------------------------------- alerts, which look at the same


def told(installation: Installation) -> list[str]:
    done = installation.run("alerts", "check", "--json")
    assert done.returncode == 0, done
    return sorted(re.sub("/[^/]*/", "/", name) for name in json.loads(done.stdout)["told"])


def by_tls(installation: Installation, *, days: float) -> str:
    """The relay by TLS from now on, with a certificate that ends in so many days; its name."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(installation.folder / "mail-ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", not_after=NOW.replace(tzinfo=None) + timedelta(days=days)).configure_cert(context)
    installation.mail.context, installation.mail.implicit_tls = context, True
    url = f"smtps://localhost:{installation.mail.port}"
    text = re.sub(
        r"^url = .*(\nca_file = .*)?",
        f'url = "{url}"\nca_file = "mail-ca.pem"',
        installation.settings.read_text(),
        count=1,
        flags=re.M,
    )
    installation.settings.write_text(text)
    return f"localhost:{installation.mail.port}"


def test_alerts_tell_of_relays_that_cannot_be_used_and_of_certificates_that_end(installation):
    installation.settings.write_text(installation.settings.read_text() + '[alerts]\nmail = "ops@news.example"\n')
    name = by_tls(installation, days=9)
    assert told(installation) == [f"certificate:{name}/trouble"]
    assert told(installation) == []  # once
    known = json.loads(installation.run("alerts", "list", "--json").stdout)
    assert known[0]["cure"] == f"digest relay test --relay {name}"
    assert installation.run(*shlex.split(known[0]["cure"])[1:]).returncode == 0
    secure, installation.mail.context = installation.mail.context, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(installation.mail.context)  # which nobody trusts
    assert told(installation) == ["relay/trouble"]  # and of its certificate nobody knows more
    installation.mail.context = secure
    assert told(installation) == ["relay/well"]
    by_tls(installation, days=300)
    assert told(installation) == [f"certificate:{name}/well"]


def test_a_website_whose_certificate_is_over_is_told_and_so_is_its_end(installation, monkeypatch):
    installation.settings.write_text(installation.settings.read_text() + '[alerts]\nmail = "ops@news.example"\n')
    ends = NOW + timedelta(days=100)

    async def end(host: str, port: int) -> datetime:
        if ends < NOW:
            raise ssl.SSLCertVerificationError("certificate has expired")
        return ends

    async def over(place: tuple[str, int]) -> datetime | None:
        return ends

    monkeypatch.setattr(links, "certificate_end", end)
    monkeypatch.setattr("digest.cli.looked._ended", over)
    assert told(installation) == []
    ends = NOW - timedelta(days=1)
    site = f"localhost:{installation.port}"
    assert told(installation) == [f"certificate:{site}/trouble"]
    ends = NOW + timedelta(days=100)
    assert told(installation) == [f"certificate:{site}/well"]


def test_a_run_looks_at_certificates_once_a_day(installation, at):
    installation.settings.write_text(installation.settings.read_text() + '[alerts]\ncommand = ["true"]\n')
    by_tls(installation, days=300)
    config = load(installation.settings)
    asked = []
    real = looked.look
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looked, "look", lambda config, **how: asked.append(how) or real(config, **how))
        for moment in (NOW, NOW + timedelta(hours=23), NOW + timedelta(hours=25)):
            at(moment)
            found = looked.daily(config)
            assert (found is None) == (moment == NOW + timedelta(hours=23))
    assert asked == [{"certificates_only": True}] * 2


def test_no_fault_is_without_a_line_to_type(digest):
    """Where nothing mends it by one line, the page of the guide that says what does; and that page is there."""
    for section in (*checks.OFFLINE, *checks.HERE, *ONLINE, "mail"):
        for level in (Level.WARN, Level.FAIL):
            cure = Finding(section, "x", level, "seen").mended.cure
            assert cure is not None and digest(*shlex.split(cure.text)[1:]).returncode == 0, section
    assert Finding("dns", "x", Level.OK, "seen").mended.cure is None
    bad = Finding("dns", "spf news.example", Level.FAIL, "no record")
    for one in rules.judge([bad], domains=["gmail.com"]):
        assert not one.is_fault or one.mended.cure is not None
        assert one.name != "Gmail spf" or one.cure.text == "digest doctor --only dns"
