"""Nobody holds a transaction open while they wait for another machine: it would hold up VACUUM, locks and claims."""

from __future__ import annotations

import random
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import postgres
import pytest
import sqlalchemy as sa
import test_collect
from conftest import MONDAY
from imapserver import ImapServer
from mailserver import MailServer
from people import enrol
from test_collect import Reply
from test_full_text import page
from test_webhooks import Shop
from test_websub import Hub

from digest import collect
from digest.deliver import hooks as events
from digest.store import Database, hooks, newsletters, open_database
from digest.workers.work import Work

site = test_collect.site
HERE = str(Path(__file__).parent.parent / "digest")


@dataclass
class Watch:
    """Whatever is said over the network waits until the database has no transaction open; what never has is told.

    Others may be in the midst of a transaction, which then ends. One that is open around what is said does not.
    """

    url: str
    patience: float = 2.0  # seconds
    said: int = 0
    held: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT")

    def before(self, it: socket.socket) -> None:
        if it.family not in (socket.AF_INET, socket.AF_INET6):
            return  # a loop that wakes itself
        self.said += 1
        end = time.monotonic() + (0.1 if self.held else self.patience)
        with self._engine.connect() as connection:
            while postgres.others_at_work(connection):
                if time.monotonic() > end:
                    ours = [one for one in traceback.extract_stack() if one.filename.startswith(HERE)]
                    self.held.add(" > ".join(f"{Path(one.filename).name}:{one.name}" for one in ours[-4:]))
                    return

    def end(self) -> None:
        self._engine.dispose()


@pytest.fixture
def database(upgraded_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr("digest.store.database.server_ahead", lambda session, now: timedelta())
    opened = open_database(upgraded_postgres_url)
    yield opened
    opened.close()


@pytest.fixture
def watch(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    watch = Watch(database.engine.url.render_as_string(hide_password=False))
    monkeypatch.setitem(sys.modules, "uvloop", None)  # its sockets are not Python's

    def watched(name: str) -> Any:
        does = getattr(socket.socket, name)

        def do(self: socket.socket, *args: Any) -> Any:
            watch.before(self)
            return does(self, *args)

        return do

    for name in ("connect", "send", "sendall"):
        monkeypatch.setattr(socket.socket, name, watched(name))
    yield watch
    watch.end()


def test_a_transaction_that_is_open_while_something_is_said_is_seen(database, watch, site):
    watch.patience = 0.05
    with database.write() as session:
        session.execute(sa.text("SELECT count(*) FROM outbox"))
        socket.create_connection(("127.0.0.1", site.port)).close()
    assert watch.held


@pytest.mark.long
def test_all_that_is_asked_of_others_is_asked_in_no_transaction(database, watch, site, configure, clock):
    shop, hub = Shop(), Hub()
    with MailServer() as server, ImapServer() as mailbox:
        config = configure(
            newsletters={"daily": {"title": "Daily", "from": "Daily <news@news.example>", "images": "all"}},
            smtp={"url": server.url, "connections": 2},
            mail={"source": mailbox.url()},
            web={"webhook_private_addresses": True},
            alerts={"webhook": shop.url, "heartbeat": f"{shop.url}/beat", "private_addresses": True},
            collect={
                "allow_private_addresses": True,
                "websub": True,
                "host_gap_seconds": 0,
                "contact": "https://n.example/",
            },
            curate={"newest_of_new_feed": 12},
        )
        items = "".join(
            f"<item><title>The council decides about {what}</title><guid>{what}</guid><link>{site.base}/{what}</link>"
            "<description>The council of the town met on Tuesday and decided […]</description></item>"
            for what in ("bridges", "trees")
        )
        links = f'<a:link rel="hub" href="{hub.url}"/><a:link rel="self" href="{site.base}/feed"/>'
        site.pages["/feed"] = Reply(
            f'<rss version="2.0" xmlns:a="http://www.w3.org/2005/Atom"><channel><title>Gazette</title>{links}{items}'
            "</channel></rss>".encode()
        )
        head = f'<meta property="og:image" content="{site.base}/p.jpg">'
        for what in ("bridges", "trees"):
            site.pages[f"/{what}"] = Reply(page(head=head), headers={"Content-Type": "text/html"})
        newsletters.keep(database, config.newsletters, now=MONDAY)
        collect.add_feed(database, f"{site.base}/feed", newsletter="daily", now=MONDAY)
        with database.write() as session:
            session.execute(sa.text("UPDATE feed SET full_text = true"))
            hooks.add(
                session, shop.url, events=tuple(hooks.OFFERED), newsletters=(), secret=events.new_secret(), now=MONDAY
            )
            for name in ("ada", "bob"):
                enrol(session, f"{name}@example.org", newsletter="daily", secret=config.lasting_key)
        mailbox.add(b"From: a@example.org\nSubject: hello\n\nhello\n")
        work = Work(database, config, clock=clock, rng=random.Random(1))
        with database.read() as session:
            number = newsletters.find(session, "daily").id
        for part in range(4):
            work.do("collect", {"part": part})
        work.do("listen", {})
        clock.pass_(hours=1)
        work.do("newsletter", {"newsletter": number})
        work.do("deliver", {"share": 0})
        for name in ("webhooks", "alerts", "upkeep"):
            work.do(name, {})
        sent = sorted(server.recipients)
    shop.close()
    hub.close()
    assert sent == ["ada@example.org", "bob@example.org"]
    assert {"/feed", "/robots.txt", "/bridges", "/p.jpg"} <= set(site.paths())
    assert hub.asked and mailbox.log and any("webhook-id" in headers for headers, _ in shop.got)
    assert watch.held == set()
