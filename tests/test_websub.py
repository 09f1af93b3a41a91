"""Hubs that tell us of feeds: subscribed, verified, renewed and left; what they say counts only when it is signed."""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from urllib.parse import parse_qs

import pytest
import test_collect
from starlette.testclient import TestClient
from test_collect import MONDAY, Reply, Site, add, at_home, feed, rss, run

from digest import collect, line, parse
from digest.collect import websub as asking
from digest.config import Config
from digest.errors import Unreachable
from digest.models import Feed, FeedState
from digest.store import Database, healing, websub
from digest.store.feed_tables import WebSub
from digest.web import application

site, database, digest = test_collect.site, test_collect.database, test_collect.digest

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
OURS = "https://letter.example/news"


class Hub:
    """A hub on loopback that remembers what was posted, and answers as a test tells it to."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.status, self.headers = 202, dict[str, str]()
        self.headers_sent: list[dict[str, str]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                hub.headers_sent.append({name.lower(): value for name, value in self.headers.items()})
                hub.asked.append({"path": self.path} | {name: values[0] for name, values in said.items()})
                status = 202 if self.path == "/other" else hub.status
                self.send_response(status)
                for name, value in hub.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hub"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


def settings(**values: Any) -> Config:
    return Config.model_validate(
        {
            "secret_key": "0123456789abcdef",
            "base_url": OURS,
            "collect": {"allow_private_addresses": True, "websub": True, "contact": "https://n.example/", **values},
            "newsletters": {"daily": {"title": "Daily", "from": "news@example.org"}},
        }
    )


class Scene:
    """One feed at a site that names a hub, our pages, and a clock that only a test moves."""

    def __init__(self, database: Database, site: Site, hub: Hub, config: Config | None = None) -> None:
        self.database, self.site, self.hub, self.config = database, site, hub, config or settings()
        self.now = MONDAY
        self.topic = f"{site.base}/feed"
        self.publish("One")
        [self.feed] = add(database, self.topic)
        web = application(database, self.config, clock=lambda: self.now)
        self.hub_client = TestClient(web, base_url=OURS)

    def publish(self, *titles: str) -> None:
        link = '<a:link xmlns:a="http://www.w3.org/2005/Atom" rel="{}" href="{}"/>'
        head = link.format("self", self.topic) + link.format("hub", self.hub.url)
        self.site.pages["/feed"] = Reply(rss(*titles, head=head))

    def collect(self, **options: Any) -> collect.CollectReport:
        return run(self.database, self.config, now=self.now, resolve=at_home, **options)

    def ask(self, **options: Any) -> int:
        options = {"clock": lambda: self.now, "resolve": at_home, "rng": Random(1), **options}
        return asyncio.run(collect.ask_hubs(self.database, self.config, **options))

    @property
    def state(self) -> WebSub:
        with self.database.read() as session:
            found = session.get(WebSub, self.feed)
            assert found is not None
            return found

    def verify(self, **said: str) -> Any:
        """What a hub asks back, as it should, but for what is `said` otherwise."""
        usual = {"mode": "subscribe", "topic": self.topic, "challenge": "c-1", "lease_seconds": "864000"}
        query = {f"hub.{name}": value for name, value in (usual | said).items()}
        return self.hub_client.get(f"/websub/{said.pop('token', '') or self.state.token}", params=query)

    def ping(self, body: bytes = b"<rss/>", *, signature: str = "", method: str = "sha256", token: str = "") -> int:
        state = self.state
        signed = hmac.new(state.secret.encode(), body, method).hexdigest()
        headers = {"X-Hub-Signature": signature or f"{method}={signed}"}
        return self.hub_client.post(f"/websub/{token or state.token}", content=body, headers=headers).status_code

    def subscribed(self) -> None:
        self.collect()
        assert self.ask() == 1
        assert self.verify().text == "c-1"


@pytest.fixture
def scene(database: Database, site: Site, hub: Hub) -> Scene:
    return Scene(database, site, hub)


# ---------------------------------------------------------------- finding hubs


@pytest.mark.parametrize("how", ["rss", "atom", "json", "header"])
def test_the_hub_of_a_feed_is_found_in_it_or_in_its_header(database: Database, site: Site, how: str) -> None:
    hub, topic = "https://hub.example/", "https://site.example/feed"
    header = {"Link": f'<{hub}>; rel="hub", <{topic}>; rel=self, </x>; rel="next"'}
    link = f'<link xmlns="http://www.w3.org/2005/Atom" rel="hub" href="{hub}"/>'
    link += f'<link xmlns="http://www.w3.org/2005/Atom" rel="self" href="{topic}"/>'
    site.pages["/feed"] = {
        "rss": Reply(rss("a", head=link)),
        "atom": Reply(f'<feed xmlns="http://www.w3.org/2005/Atom"><title>T</title>{link}</feed>'.encode()),
        "json": Reply(
            b'{"version": "https://jsonfeed.org/version/1.1", "title": "T", "items": [], "hubs": [{"type": "rssCloud",'
            b' "url": "https://no.example/"}, {"type": "WebSub", "url": "https://hub.example/"}],'
            b' "feed_url": "https://site.example/feed"}'
        ),
        "header": Reply(rss("a"), headers=header),
    }[how]
    [number] = add(database, f"{site.base}/feed")
    run(database, settings(), resolve=at_home)
    with database.read() as session:
        found = session.get_one(WebSub, number)
    assert (found.hub, found.topic) == (hub, topic)
    assert len(found.token) > 40 and len(found.secret) > 40 and found.token != found.secret


def test_a_feed_with_a_login_and_one_that_does_not_name_itself_are_not_told_to_a_hub(
    database: Database, site: Site
) -> None:
    header = {"Link": "<https://hub.example/>; rel=hub"}
    site.pages["/mine"] = Reply(rss("a"), headers=header)
    site.pages["/secret"] = Reply(rss("a"), headers={"Link": header["Link"] + ", </secret>; rel=self"})
    _mine, secret = add(database, f"{site.base}/mine", f"{site.base}/secret")
    with database.write() as session:
        session.get_one(Feed, secret).headers = {"Authorization": "Basic eDp5"}
    assert run(database, settings(), resolve=at_home).updated == 2
    with database.read() as session:
        assert not websub.all_of_them(session)


def test_no_hub_is_looked_for_unless_the_settings_want_it(database: Database, site: Site, hub: Hub) -> None:
    scene = Scene(database, site, hub, settings(websub=False))
    scene.collect()
    assert scene.ask() == 0 and not hub.asked
    with database.read() as session:
        assert session.get(WebSub, scene.feed) is None


@pytest.mark.parametrize("base", ["http://localhost:8000", "http://192.168.1.2", "http://news.local", "http://[::1]"])
def test_hubs_are_wanted_only_where_they_can_reach_us(base: str) -> None:
    with pytest.raises(ValueError, match="no hub reaches base_url"):
        Config.model_validate(
            {
                "secret_key": "0123456789abcdef",
                "base_url": base,
                "collect": {"websub": True},
                "newsletters": {"daily": {"title": "Daily", "from": "news@example.org"}},
            }
        )


def test_a_feed_with_another_hub_is_another_subscription_and_one_without_is_none(scene: Scene) -> None:
    scene.subscribed()
    before = scene.state
    first = scene.hub.url
    scene.hub.url, scene.now = first + "/new", MONDAY + DAY
    scene.publish("Two")
    scene.collect()
    after = scene.state
    assert after.hub.endswith("/new") and after.lease_until is None
    assert before.token != after.token and before.secret != after.secret
    assert scene.ping(token=before.token) == 410
    scene.site.pages["/feed"] = Reply(rss("Three"))
    scene.now += DAY
    scene.collect(force=True)
    with scene.database.read() as session:
        assert session.get(WebSub, scene.feed) is None


def test_the_command_line_tells_how_it_stands_with_a_hub(scene: Scene, digest: Any) -> None:
    scene.subscribed()
    with scene.database.write() as session:
        session.get_one(WebSub, scene.feed).lease_until = datetime(2099, 1, 1, tzinfo=UTC)
    words = f"told by {scene.hub.url} until 2099-01-01 00:00 UTC, asked once a day"
    shown = digest("feed", "show", str(scene.feed), "--json").stdout
    assert json.loads(shown)["hub"] == words
    assert scene.state.token not in shown and scene.state.secret not in shown
    [row] = json.loads(digest("feed", "list", "--health", "--json").stdout)
    assert words in row["remarks"]


def test_a_rehearsal_tells_hubs_nothing_and_a_run_does(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "deliver", lambda *_, **__: None)
    asked: dict[str, Any] = {"clock": lambda: scene.now}
    with scene.database.rehearse() as rehearsal:
        line.all_but_sending(rehearsal, scene.config, **asked)
    assert not scene.hub.asked
    line.run(scene.database, scene.config, rng=Random(1), **asked)
    assert [said["hub.mode"] for said in scene.hub.asked] == ["subscribe"]


# ---------------------------------------------------------------- subscribing


def test_a_hub_is_asked_once_with_a_secret_and_believed_when_it_has_asked_back(scene: Scene) -> None:
    scene.collect()
    assert scene.ask() == 1
    [said], state = scene.hub.asked, scene.state
    assert said == {
        "path": "/hub",
        "hub.mode": "subscribe",
        "hub.topic": scene.topic,
        "hub.callback": f"{OURS}/websub/{state.token}",
        "hub.secret": state.secret,
        "hub.lease_seconds": "864000",
    }
    assert not websub.live(state, scene.now)
    assert scene.ask() == 0 and len(scene.hub.asked) == 1
    answer = scene.verify(challenge="<b>echo</b>")
    assert (answer.status_code, answer.text) == (200, "<b>echo</b>")
    assert answer.headers["content-type"].startswith("text/plain")
    assert websub.live(scene.state, scene.now) and scene.state.lease_until == MONDAY + timedelta(days=10)


@pytest.mark.parametrize(
    "said",
    [
        {"topic": "https://other.example/feed"},
        {"mode": "unsubscribe"},
        {"mode": "publish"},
        {"challenge": ""},
        {"challenge": "x" * 5_000},
        {"token": "nobody-has-this"},
    ],
)
def test_what_was_not_asked_for_is_not_confirmed(scene: Scene, said: dict[str, str]) -> None:
    scene.collect()
    scene.ask()
    assert scene.verify(**said).status_code == 404
    assert scene.state.lease_until is None and scene.state.pending == "subscribe"


def test_a_confirmation_counts_once_and_none_that_nobody_waits_for(scene: Scene) -> None:
    scene.collect()
    assert scene.verify().status_code == 404, "the hub was not asked yet"
    scene.ask()
    assert scene.hub_client.head(f"/websub/{scene.state.token}?hub.mode=subscribe").status_code == 404
    assert scene.verify().status_code == 200
    scene.now += 9 * DAY
    assert scene.verify(lease_seconds="99999999").status_code == 404
    assert scene.state.lease_until == MONDAY + timedelta(days=10)


@pytest.mark.parametrize(
    ("seconds", "lease"),
    [("1", websub.SHORTEST_LEASE), ("9" * 12, websub.LONGEST_LEASE), ("soon", websub.LEASE), ("3600", HOUR)],
)
def test_a_lease_is_kept_within_bounds(scene: Scene, seconds: str, lease: timedelta) -> None:
    scene.collect()
    scene.ask()
    scene.verify(lease_seconds=seconds)
    assert scene.state.lease_until == MONDAY + lease


def test_a_lease_is_renewed_before_it_ends_under_the_same_address_and_secret(scene: Scene) -> None:
    scene.subscribed()
    scene.now = MONDAY + timedelta(days=7)
    assert scene.ask() == 0
    scene.now = MONDAY + timedelta(days=8)
    assert scene.ask() == 1
    first, second = scene.hub.asked
    assert first == second
    assert websub.live(scene.state, scene.now), "the old lease holds meanwhile"
    scene.verify()
    assert scene.state.lease_until == MONDAY + timedelta(days=18)


def test_a_hub_that_is_down_is_asked_later_each_time_and_the_feed_as_before(scene: Scene) -> None:
    scene.hub.status = 500
    scene.collect()
    assert feed(scene.database).next_at < MONDAY + 7 * HOUR
    waits = []
    for _ in range(4):
        assert scene.ask() == 0
        assert scene.state.error == "answers 500 (server error)"
        waits.append(scene.state.due_at - scene.now)
        scene.now = scene.state.due_at
    assert waits == sorted(waits) and waits[-1] > 3 * HOUR
    scene.hub.status = 202
    assert scene.ask() == 1
    scene.verify()
    assert (scene.state.failures, scene.state.error) == (0, "")


def test_a_hub_that_never_asks_back_is_asked_later_each_time(scene: Scene) -> None:
    scene.collect()
    waits = []
    for _ in range(4):
        assert scene.ask() == 1
        waits.append(scene.state.due_at - scene.now)
        scene.now = scene.state.due_at
    assert waits == sorted(waits) and waits[-1] > 3 * HOUR
    assert "did not ask back" in websub.in_words(scene.state, now=scene.now)


def test_two_runs_at_once_ask_a_hub_once(scene: Scene) -> None:
    scene.collect()

    async def both() -> list[int]:
        options: dict[str, Any] = {"clock": lambda: scene.now, "resolve": at_home}
        runs = (asking.ask_hubs(scene.database, scene.config, rng=Random(n), **options) for n in range(2))
        return await asyncio.gather(*runs)

    assert sorted(asyncio.run(both())) == [0, 1]
    assert len(scene.hub.asked) == 1


def test_a_run_asks_a_bounded_number_of_hubs(scene: Scene) -> None:
    for n in range(3):
        scene.site.pages[f"/{n}"] = scene.site.pages["/feed"]
        add(scene.database, f"{scene.site.base}/{n}")
    scene.collect()
    assert [scene.ask(most=3), scene.ask(most=3)] == [3, 1]


@pytest.mark.parametrize(("status", "followed"), [(307, True), (308, True), (301, False), (302, False), (303, False)])
def test_what_is_posted_goes_where_a_hub_moved_only_if_it_says_that_it_may(
    scene: Scene, status: int, followed: bool
) -> None:
    scene.hub.status, scene.hub.headers = status, {"Location": "/other"}
    scene.collect()
    assert scene.ask() == followed
    assert [said["path"] for said in scene.hub.asked] == ["/hub", "/other"][: 1 + followed]
    assert followed or "redirects what is posted" in scene.state.error


def test_a_hub_at_a_private_address_is_not_asked(database: Database, site: Site, hub: Hub) -> None:
    scene = Scene(database, site, hub)
    scene.collect()
    scene.config = settings(allow_private_addresses=False)
    assert scene.ask() == 0 and not hub.asked
    assert scene.state.error == "leads to a private address (127.0.0.1), which is not asked"


def test_a_hub_that_wants_rest_gets_it(scene: Scene) -> None:
    scene.hub.url = scene.hub.url.replace("127.0.0.1", "hub.example")
    scene.publish("One")
    scene.hub.status, scene.hub.headers = 429, {"Retry-After": "7200"}
    scene.collect()
    assert scene.ask() == 0
    assert scene.state.due_at >= MONDAY + 2 * HOUR
    scene.now = MONDAY + HOUR
    assert scene.ask() == 0 and len(scene.hub.asked) == 1


def test_a_hub_that_refuses_is_asked_again_after_a_week_and_its_reason_is_shown(scene: Scene) -> None:
    scene.subscribed()
    assert scene.verify(mode="denied", topic="https://other.example/", reason="no").status_code == 404
    assert scene.verify(mode="denied", reason="too <many>\n feeds").status_code == 200
    assert not websub.live(scene.state, scene.now)
    assert websub.in_words(scene.state, now=scene.now).endswith("the hub refused: too <many> feeds")
    scene.now += 6 * DAY
    assert scene.ask() == 0
    scene.now += 2 * DAY
    assert scene.ask() == 1


def test_the_hub_of_a_retired_feed_is_left_and_so_are_all_when_none_is_wanted(scene: Scene) -> None:
    scene.subscribed()
    with scene.database.write() as session:
        session.get_one(Feed, scene.feed).state = FeedState.RETIRED
    assert scene.ask() == 1
    said = scene.hub.asked[-1]
    assert said["hub.mode"] == "unsubscribe" and "hub.secret" not in said
    assert scene.verify(mode="subscribe").status_code == 404
    assert scene.verify(mode="unsubscribe").status_code == 200
    assert scene.state.lease_until is None and scene.ask() == 0
    with scene.database.write() as session:
        session.get_one(Feed, scene.feed).state = FeedState.ACTIVE
        session.get_one(WebSub, scene.feed).lease_until = scene.now + DAY
    scene.config = settings(websub=False)
    assert scene.ask() == 1 and scene.hub.asked[-1]["hub.mode"] == "unsubscribe"
    assert scene.ask() == 0


# ---------------------------------------------------------------- being told


@pytest.mark.parametrize("method", ["sha1", "sha256", "sha384", "sha512", "SHA256"])
def test_a_feed_is_due_when_its_hub_says_so_with_a_signature(scene: Scene, method: str) -> None:
    scene.subscribed()
    scene.now += HOUR
    scene.collect(force=True)
    assert feed(scene.database).next_at > scene.now + 20 * HOUR, "asked once a day"
    scene.publish("Two")
    scene.now += HOUR
    body = b"<rss/>" * 1_000
    signed = hmac.new(scene.state.secret.encode(), body, method.lower()).hexdigest()
    assert scene.ping(body, signature=f"{method}={signed.upper()}") == 200
    assert feed(scene.database).next_at <= scene.now
    assert scene.collect().new == 1
    assert feed(scene.database).next_at > scene.now + 20 * HOUR


@pytest.mark.parametrize(
    "signature", ["sha256=" + "0" * 64, "sha256=", "md5={md5}", "sha256", "=", "sha256={sha1}", "sha256=\xe9", "none="]
)
def test_what_is_not_signed_is_acknowledged_and_ignored(scene: Scene, signature: str) -> None:
    scene.subscribed()
    scene.now += HOUR
    scene.collect(force=True)
    secret = scene.state.secret.encode()
    words = signature.format(**{name: hmac.new(secret, b"<rss/>", name).hexdigest() for name in ("md5", "sha1")})
    path = f"/websub/{scene.state.token}"
    due = feed(scene.database).next_at
    headers = [(b"x-hub-signature", words.encode("latin-1"))]
    assert scene.hub_client.post(path, content=b"<rss/>", headers=headers).is_success
    assert scene.hub_client.post(path, content=b"<rss/>").is_success
    assert feed(scene.database).next_at == due and scene.state.pinged_at is None


def test_a_stranger_and_a_lease_that_is_over_say_nothing(scene: Scene) -> None:
    assert scene.hub_client.post("/websub/nobody-has-this", content=b"x").status_code == 410
    scene.subscribed()
    scene.now += timedelta(days=11)
    assert scene.ping() == 410
    assert scene.hub_client.put(f"/websub/{scene.state.token}").status_code == 405


def test_what_is_larger_than_a_feed_may_be_is_not_read_to_its_end(database: Database, site: Site, hub: Hub) -> None:
    scene = Scene(database, site, hub, settings(max_bytes=10_000))
    scene.subscribed()
    assert scene.ping(b"x" * 10_000) == 200
    scene.now += HOUR
    assert scene.ping(b"x" * 10_001) == 413
    assert scene.state.pinged_at == MONDAY


def test_a_flood_of_words_makes_one_asking_and_few_writes(scene: Scene) -> None:
    scene.subscribed()
    scene.now += HOUR
    scene.collect(force=True)
    asked = len(scene.site.asked)
    for _ in range(5):
        scene.ping()
    assert scene.state.pinged_at == scene.now
    assert feed(scene.database).next_at == scene.now + websub.PING_GAP, "not within a minute of the last asking"
    scene.now += 5 * MINUTE
    for _ in range(5):
        scene.ping()
        scene.collect()
    assert len(scene.site.asked) == asked + 1


def test_a_feed_that_fails_is_not_asked_sooner_for_its_hub(scene: Scene) -> None:
    scene.subscribed()
    scene.site.pages["/feed"] = Reply(status=500)
    scene.now += HOUR
    scene.collect(force=True)
    due = feed(scene.database).next_at
    scene.now += MINUTE
    scene.ping()
    assert feed(scene.database).next_at == due


def test_a_word_that_comes_while_the_feed_is_asked_is_not_lost(scene: Scene) -> None:
    scene.subscribed()
    scene.now += HOUR
    scene.collect(force=True)

    def meanwhile(handler: Any) -> None:
        scene.now += MINUTE
        scene.ping()
        body = rss("Two")
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Link", f'<{scene.hub.url}>; rel=hub, <{scene.topic}>; rel="self"')
        handler.end_headers()
        handler.wfile.write(body)

    scene.site.pages["/feed"] = meanwhile
    scene.now += HOUR
    began = scene.now
    scene.collect(force=True)
    assert feed(scene.database).next_at == began + websub.PING_GAP


def test_without_a_lease_a_feed_has_its_usual_rhythm_again(scene: Scene) -> None:
    scene.subscribed()
    scene.now = MONDAY + timedelta(days=9, hours=23)
    scene.collect(force=True)
    assert feed(scene.database).next_at == MONDAY + timedelta(days=10), "not later than the lease ends"
    scene.now = MONDAY + timedelta(days=10, hours=1)
    scene.collect()
    assert feed(scene.database).next_at <= scene.now + 7 * HOUR


def test_a_hub_that_is_silent_where_there_is_news_is_not_relied_on_until_it_speaks(scene: Scene) -> None:
    scene.subscribed()
    for number in range(3):
        scene.now += DAY
        scene.publish(*(f"News {n}" for n in range(number + 1)))
        scene.collect(force=True)
    assert scene.state.missed >= websub.SILENT_AFTER
    assert feed(scene.database).next_at <= scene.now + 7 * HOUR
    assert "silent" in websub.in_words(scene.state, now=scene.now)
    scene.now += HOUR
    scene.ping()
    scene.collect()
    assert scene.state.missed == 0 and feed(scene.database).next_at > scene.now + 20 * HOUR


def test_an_interval_of_a_feed_of_its_own_holds_also_with_a_hub(scene: Scene) -> None:
    scene.subscribed()
    with scene.database.write() as session:
        session.get_one(Feed, scene.feed).interval_minutes = 60
    scene.now += HOUR
    scene.collect(force=True)
    assert feed(scene.database).next_at <= scene.now + HOUR * 1.1


def test_what_a_wrong_clock_stored_of_hubs_is_put_back(scene: Scene) -> None:
    scene.subscribed()
    with scene.database.write() as session:
        state = session.get_one(WebSub, scene.feed)
        state.lease_until = state.due_at = state.pinged_at = MONDAY + timedelta(days=4_000)
    assert healing.heal(scene.database, healing.Scene.of(scene.config), now=scene.now)["hubs"] == 1
    assert scene.state.lease_until is None and scene.state.due_at <= MONDAY + DAY


def test_a_removed_feed_takes_its_hub_along(scene: Scene) -> None:
    scene.subscribed()
    token = scene.state.token
    with scene.database.write() as session:
        session.delete(session.get_one(Feed, scene.feed))
    assert scene.hub_client.post(f"/websub/{token}", content=b"x").status_code == 410


def test_header_links_to_hubs_are_read_relative_and_by_relation() -> None:
    said = '</hub>; rel="alternate hub", <https://two.example/>; rel=hub, <#self>; rel=next'
    assert parse.hub_links(said, url="https://site.example/a") == ("https://site.example/hub", "")
    assert parse.hub_links("", url="https://site.example/a") == ("", "")


def test_a_hub_is_asked_as_its_feed_is_and_gets_no_secret_of_it(scene: Scene, digest: Any) -> None:
    scene.collect()
    ours = ("--proxy", f"{scene.hub.url.removesuffix('/hub')}", "--user-agent", "Mine/1")
    assert digest("feed", "set", "1", *ours).exit_code == 0
    with scene.database.write() as session:
        session.get_one(WebSub, scene.feed).hub = "http://hub.example/hub"
        feed = session.get_one(Feed, scene.feed)
        feed.headers = feed.headers | {"Authorization": "Basic eDp5"}
    assert scene.ask() == 1
    [asked], [sent] = scene.hub.asked, scene.hub.headers_sent
    assert (asked["path"], sent["user-agent"]) == ("http://hub.example/hub", "Mine/1")
    assert "authorization" not in sent


def test_a_feed_that_calls_us_otherwise_is_told_of_and_one_that_gets_a_secret_is_told_of_no_more(
    scene: Scene, digest: Any
) -> None:
    assert digest("feed", "set", "1", "--user-agent", "Mine/1").exit_code == 0
    scene.subscribed()
    token = scene.state.token
    assert digest("feed", "set", "1", "--cookie", stdin="id=1\n").exit_code == 0
    with scene.database.read() as session:
        assert not websub.all_of_them(session)
    assert scene.hub_client.post(f"/websub/{token}", content=b"x").status_code == 410


@pytest.mark.parametrize("between", ["verified", "refused", "asked anew"])
def test_an_answer_that_comes_late_changes_nothing_that_a_hub_has_said_meanwhile(scene: Scene, between: str) -> None:
    scene.collect()

    def claimed() -> websub.Claim:
        with scene.database.write() as session:
            options: Any = {"now": scene.now, "limit": 9, "wait": lambda _failures: HOUR, "wanted": True}
            return websub.claim(session, **options)[0]

    claim = claimed()
    if between == "verified":
        assert scene.verify().text == "c-1"
    elif between == "refused":
        scene.verify(mode="denied", reason="no")
    else:
        scene.now += HOUR
        claimed()
    before = scene.state.model_dump()
    with scene.database.write() as session:
        late: Any = {"until": scene.now + 9 * DAY, "failures": 9, "error": "late", "unheard": False}
        websub.put_off(session, claim, **late)
    assert scene.state.model_dump() == before


def test_a_hub_whose_answer_does_not_come_may_still_ask_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(*_args: Any, **_options: Any) -> None:
        raise Unreachable("http://hub.example/", "does not answer")

    scene.collect()
    monkeypatch.setattr(asking.Fetcher, "post", slow)
    assert scene.ask() == 0 and scene.state.error == "does not answer"
    assert scene.verify().text == "c-1"
    assert websub.live(scene.state, scene.now)
