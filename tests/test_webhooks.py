"""Webhooks: what is told of a change is owed in its transaction, signed, tried again, and told to nobody else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import re
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import MONDAY, Clock
from mailing import owe
from people import enrol
from starlette.testclient import TestClient

from digest import line, sign, subscribe
from digest.collect.posting import Poster
from digest.config import Config
from digest.deliver import hooks as mail
from digest.errors import BadInput, FetchError, Unreachable
from digest.models import Edition, EditionState, OutboxRow, OutboxState
from digest.store import Database, hooks, renames
from digest.store import newsletters as papers
from digest.store.api_tables import Webhook, WebhookEvent
from digest.store.search import Search
from digest.subscribe import Evidence, many, moves, signup
from digest.web import application
from digest.web.courier import Courier

SECRET = "a key for tests, long enough"
ALL = tuple(hooks.OFFERED)
SAID = Evidence("test", MONDAY)


class Shop:
    """Somebody who is told: keeps what came, and answers what a test says."""

    def __init__(self) -> None:
        self.answers: list[int] = []  # the next ones; then 204
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.came = threading.Event()
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                shop.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status = shop.answers.pop(0) if shop.answers else 204
                shop.came.set()
                self.send_response(status)
                if status in (301, 302, 307):
                    self.send_header("Location", shop.url + "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 64  # with five, who comes sixth at once is let wait for a second

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def events(self) -> list[tuple[str, Any, Any]]:
        """(type, address, state) of what came."""
        told = [json.loads(body) for _headers, body in self.got]
        return [(one["type"], one["data"].get("email"), one["data"].get("state")) for one in told]


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.close()


@pytest.fixture
def config(configure: Callable[..., Config]) -> Config:
    news = {"title": "Daily", "from": "Daily <news@news.example>"}
    web = {"webhook_private_addresses": True}
    return configure(newsletters={"daily": news, "weekly": news | {"title": "Weekly"}}, web=web)


@pytest.fixture
def tell(config: Config, clock: Clock) -> Callable[[Database], mail.Told]:
    """One pass, as `digest run` and `digest serve` do it."""
    return lambda database: line.tell_webhooks(database, config, clock=clock, rng=random.Random(1))


def hook(database: Database, url: str, *events: str, newsletters: tuple[str, ...] = ()) -> str:
    """A webhook that is told; its secret."""
    secret = mail.new_secret()
    with database.write() as session:
        hooks.add(session, url, events=events or ALL, newsletters=newsletters, secret=secret, now=MONDAY)
    return secret


def owed(database: Database) -> list[dict[str, Any]]:
    with database.read() as session:
        rows = session.execute(sa.select(WebhookEvent).order_by(WebhookEvent.id)).scalars()
        return [row.model_dump() for row in rows]


def standing(database: Database) -> hooks.Standing:
    with database.read() as session:
        return hooks.listed(session)[0]


# ---------------------------------------------------------------- what is told


def test_what_happens_to_a_person_is_told_signed_and_once(database, shop, tell, config, clock):
    secret = hook(database, shop.url, "subscribed", "confirmed", "left")
    with database.write() as session:
        signup.ask(session, "bob@example.org", newsletter="daily", config=config, evidence=SAID, known_topics=())
    signup.answer_all(database, config, now=clock())
    with database.write() as session:
        link = session.scalar(sa.text("SELECT text FROM notice"))
        proof = re.search(r"/confirm/(\S+)", link)[1]
        signup.confirm(session, proof, config=config, evidence=SAID)
        signup.confirm(session, proof, config=config, evidence=SAID)
        enrol(session, "ada@example.org")
        subscribe.remove(session, "ada@example.org", newsletter="daily", evidence=SAID)
        subscribe.remove(session, "ada@example.org", newsletter="daily", evidence=SAID)
    told = tell(database)
    assert (told.sent, told.failed, told.waiting) == (4, 0, False) and tell(database).sent == 0
    assert sorted(shop.events) == [
        ("confirmed", "bob@example.org", "active"),
        ("left", "ada@example.org", "unsubscribed"),
        ("subscribed", "ada@example.org", "active"),
        ("subscribed", "bob@example.org", "pending"),
    ]
    for headers, body in shop.got:
        signed = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body))
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}" and len(key) == 32
        assert (
            headers["webhook-timestamp"] == str(int(MONDAY.timestamp()))
            and headers["content-type"] == "application/json"
        )
        assert json.loads(body)["data"]["newsletter"] == "daily"
    assert len({headers["webhook-id"] for headers, _body in shop.got}) == 4
    assert all(not row["body"] and not row["person"] and row["settled_at"] for row in owed(database))


def test_the_signature_is_that_of_standard_webhooks():
    """The example of their specification's libraries."""
    headers = mail.signed(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        at=MONDAY.fromtimestamp(1614265330, tz=MONDAY.tzinfo),
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_verbs_for_many_and_pages_tell_it_too(box, shop, tell, config, clock):
    with box.write() as session:
        for number in range(3):
            enrol(session, f"r{number}@example.org")
    hook(box, shop.url)
    many.each(box, many.remove(Search(newsletter="daily"), evidence=SAID))
    told: list[int] = []
    page = TestClient(application(box, config, clock=clock, tell_now=lambda: told.append(1)))
    page.post("/subscribe/daily", data={"email": "bob@example.org"})
    assert told == [1]
    assert tell(box).sent == 3 and {event for event, *_ in shop.events} == {"left"}


def test_the_server_tells_what_its_pages_change_at_once(box, shop, config, clock):
    hook(box, shop.url, "left")
    with box.write() as session:
        enrol(session, "ada@example.org")
    with Courier(lambda stop: line.tell_webhooks(box, config, clock=clock, rng=random.Random(1), stop=stop)) as herald:
        client = TestClient(application(box, config, clock=clock, tell_now=herald.wake))
        client.post(f"/unsubscribe/{sign.token(sign.Purpose.UNSUBSCRIBE, 1, key=SECRET)}")
        assert shop.came.wait(20)
    assert shop.events == [("left", "ada@example.org", "unsubscribed")]


def test_only_what_is_wanted_is_owed_and_of_the_newsletters_that_are(box, shop):
    hook(box, shop.url, "left", newsletters=("weekly",))
    with box.write() as session:
        for paper in ("daily", "weekly"):
            enrol(session, "ada@example.org", newsletter=paper)
            subscribe.remove(session, "ada@example.org", newsletter=paper, evidence=SAID)
    assert [json.loads(row["body"])["data"]["newsletter"] for row in owed(box)] == ["weekly"]
    with box.write() as session:
        renames.rename_newsletter(session, papers.lock(session, "weekly"), papers.lock(session, "daily"))
    assert standing(box).newsletters == ("daily",)


def test_an_event_is_stored_with_what_it_tells_or_not_at_all(database, shop):
    hook(database, shop.url)
    with pytest.raises(RuntimeError), database.write() as session:
        enrol(session, "ada@example.org")
        session.flush()
        raise RuntimeError
    assert owed(database) == []


def test_who_is_erased_is_told_of_once_more_and_then_in_no_row(database, shop, tell):
    hook(database, shop.url)
    with database.write() as session:
        enrol(session, "ada@example.org")
        enrol(session, "bob@example.org")
        subscribe.remove(session, "bob@example.org", newsletter="daily", evidence=SAID)
        moves.move(session, "ada@example.org", "eve@example.org", secret=SECRET, evidence=SAID)
        for who in ("eve", "bob"):
            subscribe.erase(session, f"{who}@example.org", secret=SECRET, now=MONDAY)
    assert [json.loads(row["body"])["data"]["state"] for row in owed(database)] == ["erased"]
    tell(database)
    assert shop.events == [("left", "eve@example.org", "erased")]
    assert "example.org" not in str(owed(database))


def test_an_edition_is_told_once_when_no_letter_of_it_is_owed(database, shop, tell, config):
    owe(database, config, "old@example.org")
    hook(database, shop.url, "sent")
    owe(database, config, "ada@example.org", "bob@example.org")
    assert tell(database).sent == 0
    with database.write() as session:
        session.execute(sa.update(OutboxRow).values(state=OutboxState.SENT, settled_at=MONDAY))
        last = session.scalar(sa.select(sa.func.max(OutboxRow.id)))
        session.execute(sa.update(OutboxRow).where(OutboxRow.id == last).values(state=OutboxState.REFUSED))
    assert (tell(database).sent, tell(database).sent) == (1, 0)
    (told,) = (json.loads(body) for _headers, body in shop.got)
    assert told["data"]["letters"] == {"sent": 2, "refused": 1, "dropped": 0, "held": 0}
    assert told["data"]["edition"] == 2 and told["data"]["newsletter"] == "daily"


def test_an_edition_that_is_held_is_not_told(box, shop, tell, config):
    hook(box, shop.url, "sent")
    owe(box, config, "ada@example.org")
    with box.write() as session:
        session.execute(sa.update(OutboxRow).values(state=OutboxState.SENT, settled_at=MONDAY))
        session.execute(sa.update(Edition).values(state=EditionState.HELD))
    assert tell(box).sent == 0


# ---------------------------------------------------------------- what is not taken


def test_what_is_not_taken_is_tried_again_with_the_same_id_and_bytes(database, shop, tell, clock):
    hook(database, shop.url, "subscribed")
    with database.write() as session:
        enrol(session, "ada@example.org")
    shop.answers = [500, 302, 429]
    for _ in range(3):
        told = tell(database)
        assert (told.sent, told.failed, told.waiting) == (0, 1, True)
        assert tell(database).failed == 0  # not before its time
        clock.pass_(hours=1, minutes=20)
    assert tell(database).sent == 1
    assert len(shop.got) == 4 and len({(h["webhook-id"], body) for h, body in shop.got}) == 1
    assert len({headers["webhook-timestamp"] for headers, _body in shop.got}) == 4
    assert standing(database).failing_since is None and standing(database).ok_at == clock()


def test_one_that_is_never_taken_keeps_no_other_waiting(box, shop, tell, clock):
    hook(box, shop.url, "subscribed")
    with box.write() as session:
        for number in range(mail.BATCH + 1):
            enrol(session, f"r{number}@example.org")
    shop.answers = [500]
    assert (tell(box).sent, len(shop.got)) == (mail.BATCH, mail.BATCH + 1)


def test_a_webhook_that_takes_nothing_is_left_alone_until_the_next_pass(box, shop, tell):
    hook(box, shop.url, "subscribed")
    hook(box, shop.url + "/other", "subscribed")
    with box.write() as session:
        for number in range(mail.BATCH + 1):
            enrol(session, f"r{number}@example.org")
    with box.write() as session:
        session.execute(sa.update(Webhook).where(Webhook.id == 1).values(url="http://127.0.0.1:9/"))
    told = tell(box)
    assert (told.failed, told.sent) == (mail.BATCH, mail.BATCH + 1) and "refused" in standing(box).error


def test_a_webhook_that_fails_for_days_is_disabled_and_a_test_brings_it_back(database, shop, tell, clock):
    hook(database, shop.url, "subscribed")
    shop.answers = [500] * 200
    for day in range(7):
        with database.write() as session:
            enrol(session, f"r{day}@example.org", now=clock())
        tell(database)
        clock.pass_(days=1)
    assert standing(database).disabled_at == MONDAY + timedelta(days=6)
    tries = len(shop.got)
    with database.write() as session:
        enrol(session, "later@example.org", now=clock())
    tell(database)
    assert len(shop.got) == tries and "later" not in str(owed(database))
    clock.pass_(days=3)
    tell(database)
    assert standing(database).waiting == 0 and standing(database).given_up > 0
    shop.answers.clear()
    with database.write() as session:
        message = hooks.test(session, 1, now=clock())
    assert tell(database).sent == 1 and standing(database).disabled_at is None
    with database.read() as session:
        assert hooks.answer_to(session, 1, message) == (204, "")


def test_an_address_that_is_gone_is_told_nothing_more(box, shop, tell):
    hook(box, shop.url, "subscribed")
    with box.write() as session:
        enrol(session, "ada@example.org")
    shop.answers = [410]
    tell(box)
    assert standing(box).disabled_at is not None and owed(box)[0]["error"] == "answers 410"


# ---------------------------------------------------------------- kills, and two at once


def test_of_two_who_deliver_one_has_an_event_and_after_a_kill_the_other(database, shop, clock):
    hook(database, shop.url, "subscribed")
    with database.write() as session:
        for number in range(3):
            enrol(session, f"r{number}@example.org")

    def claim() -> list[hooks.Claimed]:
        with database.write() as session:
            return hooks.claim(session, 1, now=clock(), lease=mail.LEASE, limit=2)

    first, second = claim(), claim()
    assert [len(first), len(second), len(claim())] == [2, 1, 0]
    clock.pass_(seconds=mail.LEASE.total_seconds())  # nobody heard of them again
    again = claim()
    assert [one.message for one in again] == [one.message for one in first] and again[0].attempt == 2
    with database.write() as session:  # who slept past its lease settles nothing
        hooks.settle(session, 1, [hooks.Outcome(first[0].id, first[0].attempt, 204)], now=clock())
    assert owed(database)[0]["settled_at"] is None


def test_what_was_posted_and_not_settled_is_posted_again(box, shop, tell, clock, monkeypatch):
    hook(box, shop.url, "subscribed")
    with box.write() as session:
        enrol(session, "ada@example.org")
    with monkeypatch.context() as killed:
        killed.setattr(hooks, "settle", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tell(box)
    assert tell(box).sent == 0  # the lease
    clock.pass_(minutes=2)
    assert tell(box).sent == 1
    assert len(shop.got) == 2 and len({headers["webhook-id"] for headers, _body in shop.got}) == 1


def test_who_is_asked_to_stop_leaves_the_rest_owed(box, shop, config, clock):
    hook(box, shop.url, "subscribed")
    with box.write() as session:
        for number in range(mail.BATCH + 1):
            enrol(session, f"r{number}@example.org")
    told = line.tell_webhooks(box, config, clock=clock, rng=random.Random(1), stop=lambda: bool(shop.got))
    assert told.sent == mail.BATCH and told.waiting


def test_what_is_due_is_found_by_its_index(box, shop, clock):
    hook(box, shop.url)
    statements: list[tuple[str, Any]] = []
    sa.event.listen(box.engine, "before_cursor_execute", lambda *a: statements.append((a[2], a[3])))
    with box.write() as session:
        hooks.note_sent(session, now=clock())
        hooks.tidy(session, now=clock())
        hooks.due(session, now=clock())
        hooks.waiting(session)
        hooks.claim(session, 1, now=clock(), lease=mail.LEASE, limit=2)
        for statement, values in [one for one in statements if "webhook_event" in one[0]]:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            scanned = [row[3] for row in plan if row[3].startswith(("SCAN webhook_event", "SCAN outbox"))]
            assert not scanned, (statement, scanned)


# ---------------------------------------------------------------- where it may go


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://shop.example/h", "in clear"),
        ("ftp://shop.example/", "no web address"),
        ("https://", "no web address"),
        ("https://u:secret@shop.example/", "holds a login"),
        ("https://shop.example/a b", "no web address"),
        ("https://shop.example:99999/", "no web address"),
        ("https://[::1/", "no web address"),
        ("https://shop.example/" + "a" * 500, "no web address"),
    ],
)
def test_an_address_that_cannot_be_told_is_refused(url, why):
    with pytest.raises(BadInput, match=why) as refused:
        mail.checked_url(url, private=False)
    assert "secret" not in str(refused.value)


HOSTS = ("127.0.0.1", "localhost", "2130706433", "[::1]", "10.0.0.1", "169.254.169.254", "inner.example")


def test_no_private_address_is_told_unless_the_settings_say_so(shop):
    async def resolve(name: str, port: int) -> list[str]:
        return {"inner.example": ["10.1.2.3"], "2130706433": ["127.0.0.1"], "localhost": ["127.0.0.1"]}[name]

    port = shop.url.rpartition(":")[2]
    for host in HOSTS:
        with pytest.raises(FetchError, match="private address"):
            asyncio.run(Poster(allow_private=False, resolve=resolve)(f"http://{host}:{port}/", {}, b"x"))
    with pytest.raises(FetchError, match="private address"):  # never: cloud machines hand out their secrets there
        asyncio.run(Poster(allow_private=True)(f"http://169.254.169.254:{port}/", {}, b"x"))
    assert shop.got == []


def test_a_redirect_is_not_followed(shop):
    shop.answers = [307]
    assert asyncio.run(Poster(allow_private=True)(shop.url, {}, b"x")) == 307 and len(shop.got) == 1


def test_who_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("digest.collect.posting.SECONDS", 0.05)

    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unreachable, match="does not answer"):
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        asyncio.run(Poster(allow_private=True)(url, {}, b"x"))


# ---------------------------------------------------------------- commands


def test_keys_and_webhooks_are_made_listed_tested_and_ended(digest, shop):
    assert digest("init", ".").returncode == 0
    private = {"DIGEST_WEB__WEBHOOK_PRIVATE_ADDRESSES": "true"}
    made = digest("key", "add", "shop", "--verb", "subscribers:read", "--expires", "2199-01-01")
    assert re.fullmatch(r"dgk_[0-9a-f]{8}_[\w-]{43}\n", made.stdout) and "shown this once" in made.stderr
    (key,) = json.loads(digest("key", "list", "--json").stdout)
    assert made.stdout.startswith(key["prefix"]) and made.stdout.strip() not in str(key)
    assert key["verbs"] == ["subscribers:read"] and key["used_at"] is None
    for words in (("shop", "--verb", "signup"), ("b", "--verb", "x"), ("b",), ("b/c", "--verb", "signup")):
        assert digest("key", "add", *words).returncode == 64
    assert digest("key", "add", "b", "--verb", "signup", "--expires", "2020-01-01").returncode == 64
    assert digest("key", "add", "b", "--verb", "signup", "-n", "none").returncode == 66
    assert [digest("key", "revoke", "shop").returncode, digest("key", "revoke", "x").returncode] == [0, 66]

    assert digest("webhook", "add", shop.url).returncode == 65  # http
    for place in (
        "https://127.0.0.1/",
        "https://localhost:8443/h",
        "https://[::1]/",
        "https://0x7f.1/",
        "https://10.0.0.7/",
    ):
        refused = digest("webhook", "add", place)
        assert refused.returncode == 65 and "private address" in refused.stderr, place
    added = digest("webhook", "add", shop.url, "--event", "left", **private)
    assert re.fullmatch(r"whsec_\S{44}\n", added.stdout)
    assert digest("webhook", "add", shop.url, "--event", "opened", **private).returncode == 64
    assert digest("webhook", "test", 1, **private).returncode == 0 and shop.events[0][0] == "test"
    shop.answers = [500]
    failed = digest("webhook", "test", 1, **private)
    assert failed.returncode == 69 and "answers 500" in failed.stderr
    assert "webhook 1 fails since" in digest("status").stderr
    shown = json.loads(digest("webhook", "show", 1, "--json").stdout)
    assert shown["events"] == ["left"] and "secret" not in shown
    (listed,) = json.loads(digest("webhook", "list", "--json").stdout)
    assert listed["url"] == shop.url and listed["given_up"] == 1
    assert digest("webhook", "remove", 1).returncode == 0 and digest("webhook", "show", 1).returncode == 66
