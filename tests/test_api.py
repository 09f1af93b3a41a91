"""The API: keys and what they are for, subscribers, editions, idempotency keys, rates, and its document."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa
from conftest import MONDAY, Clock, on_sqlite
from people import enrol
from postgres import wait_until_somebody_waits
from starlette.testclient import TestClient
from test_web import serving

from digest import subscribe
from digest.config import Config
from digest.models import Subscriber, Subscription
from digest.store import Database, history, keys, newsletters, once, open_database, people, renames
from digest.store.api_tables import ApiAnswer, ApiKey
from digest.store.consent_tables import Consent
from digest.store.signup_tables import SignupWait
from digest.subscribe import Preferences, signup
from digest.web import api, api_calls, application
from digest.web.api_shapes import CHOICES

NEWS = {"title": "Daily", "from": "Daily <news@news.example>", "topics": {"world": {"title": "W"}, "art": {}}}
ALL = tuple(keys.VERBS)
DAILY = "/api/v1/newsletters/daily"
ADA = f"{DAILY}/subscribers/ada@example.org"


@pytest.fixture
def config(configure: Callable[..., Config]) -> Config:
    web = {"api_origins": ["https://site.example"]}
    return configure(newsletters={"daily": NEWS, "weekly": NEWS | {"title": "Weekly"}}, web=web)


def token(database: Database, *verbs: str, name: str = "shop", papers: tuple[str, ...] = (), **more: Any) -> str:
    with database.write() as session:
        made = {"newsletters": papers, "verbs": verbs or ALL, "expires_at": None, "now": MONDAY}
        return keys.add(session, name, **made | more)[1]


@dataclass
class Asker:
    """Who has a key."""

    client: TestClient
    token: str

    def __call__(self, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | request.pop("headers", {})
        return self.client.request(method, path, headers=headers, **request)


@pytest.fixture
def ask(box: Database, config: Config, clock: Clock) -> Callable[..., Asker]:
    """Whoever asks with a key for these verbs and newsletters."""
    app = application(box, config, clock=clock)
    numbers = iter(range(100))

    def make(*verbs: str, papers: tuple[str, ...] = (), ip: str = "198.51.100.7", **more: Any) -> Asker:
        made = token(box, *verbs, papers=papers, **{"name": f"shop{next(numbers)}"} | more)
        return Asker(TestClient(app, client=(ip, 4711)), made)

    return make


@pytest.fixture
def ada(box: Database) -> None:
    with box.write() as session:
        enrol(session, "ada@example.org", name="Ada", tags=["vip"], known_topics=("world", "art"), topics=("art",))


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The body of an answer that is a problem, and is one (RFC 9457)."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = answer.json()
    assert said["status"] == status and said["title"] and said["detail"]
    return said


def moments(database: Database, email: str = "ada@example.org") -> list[tuple[str, str, str]]:
    with database.read() as session:
        person = people.find(session, email)
        return [(m.event, m.how, m.detail) for m in history.moments(session, person)] if person else []


# ---------------------------------------------------------------- keys


def test_a_key_works_until_it_is_revoked_or_expires_and_only_its_hash_is_kept(box, ask, clock, ada):
    asker = ask("subscribers:read", expires_at=MONDAY + timedelta(days=1))
    assert asker("GET", ADA).json()["topics"] == ["art"]
    with box.read() as session:
        row = session.exec(sa.select(ApiKey)).scalars().one()
        assert row.used_at == MONDAY and asker.token.startswith(row.prefix + "_")
        assert asker.token not in str(row.model_dump()) and asker.token[13:] not in str(row.model_dump())
    clock.pass_(days=1)
    problem(asker("GET", ADA), 401)
    other = ask("subscribers:read")
    assert other("GET", ADA).status_code == 200
    with box.write() as session:
        keys.revoke(session, "shop1", now=clock())
    assert problem(other("GET", ADA), 401)["detail"] == "the key is unknown, revoked or expired"


BAD_KEYS = (
    None,
    "",
    "Bearer",
    "Bearer x",
    "Basic eDp5",
    f"Bearer dgk_00000000_{'a' * 43}",
    "Bearer " + "a" * 5000,
    "\xe4",
)


def test_without_a_key_nothing_answers_but_the_document_and_health(ask, ada):
    client = ask().client
    for said in BAD_KEYS:
        headers = {} if said is None else {"Authorization": said.encode("latin-1")}
        answer = client.get(ADA, headers=headers)
        assert problem(answer, 401) and answer.headers["www-authenticate"].startswith('Bearer realm="digest"')
    paths = [route.path for route in api.ROUTES if "{" not in route.path]
    paths += [ADA, f"{DAILY}/editions/1", "/api", "/api/nothing", f"{DAILY}/subscribers/x", "/api/v1/a%00%0Ab"]
    for path in [*paths, "/api/v1/newsletters/none/subscribers"]:
        for method in ("GET", "POST", "OPTIONS"):
            answer = client.request(method, path)
            if path.endswith(("health", "openapi.json")):
                assert answer.status_code == (200 if method == "GET" else 405)
            else:
                problem(answer, 401)


def test_each_endpoint_wants_one_of_its_verbs_and_names_it(ask, ada):
    for endpoint in api.ENDPOINTS:
        path = "/api/v1" + endpoint.path.format(newsletter="daily", email="ada@example.org", number=1)
        others = [verb for verb in ALL if verb not in endpoint.verbs]
        answer = ask(*others)(endpoint.method, path)
        if endpoint.verbs:
            assert problem(answer, 403)["scope"] in endpoint.verbs, path
        else:
            assert answer.status_code == 200, path


def test_a_key_learns_nothing_of_other_newsletters(box, ask):
    with box.write() as session:
        enrol(session, "ada@example.org", newsletter="weekly")
    asker = ask(papers=("daily",))
    there, absent = ADA, ADA.replace("ada", "nobody")
    for method, tail in (("GET", ""), ("PATCH", ""), ("POST", "/leave")):
        body = {"json": {}} if method != "GET" else {}
        one, other = asker(method, there + tail, **body), asker(method, absent + tail, **body)
        assert problem(one, 404) == problem(other, 404)
    for papers in ("weekly", "none"):
        answers = [asker("GET", f"/api/v1/newsletters/{papers}/subscribers/{who}@example.org") for who in ("ada", "x")]
        answers.append(asker("GET", f"/api/v1/newsletters/{papers}/editions"))
        assert len({answer.text for answer in answers}) == 1 and problem(answers[0], 404)
    assert [one["name"] for one in asker("GET", "/api/v1/newsletters").json()["items"]] == ["daily"]
    assert asker("GET", f"{DAILY}/subscribers").json() == {"items": [], "next": None}
    for who in ("ada", "nobody"):
        said = problem(asker("DELETE", f"/api/v1/subscribers/{who}@example.org"), 403)
        assert said["scope"] == "subscribers:erase"


# ---------------------------------------------------------------- subscribers


def test_whoever_is_signed_up_is_asked_by_mail_and_the_answer_is_the_same_for_all(box, ask, config, clock, ada):
    asker = ask("subscribers:write")
    client = {"ip": "203.0.113.9", "page": "https://shop.example/checkout", "at": "2026-11-23T06:59:00Z"}
    body = {"name": "N", "topics": ["world"], "cadence": "daily", "hour": 7, "format": "text", "client": client}
    answers = [
        asker("POST", f"{DAILY}/subscribers", json=body | {"email": f"{who}@example.org"}) for who in ("ada", "bob")
    ]
    assert [(a.status_code, a.json()) for a in answers] == [(202, {"status": "asked", "mail": "now"})] * 2
    assert (
        answers[0].headers == answers[1].headers or answers[0].headers["ratelimit"] != answers[1].headers["ratelimit"]
    )
    signup.answer_all(box, config, now=clock())
    with box.read() as session:
        person, ours = people.find(session, "bob@example.org"), session.get(Subscription, 2)
        assert (ours.state, ours.topics, ours.hour, ours.plain) == ("pending", ["world"], 7, True)
        (moment,) = history.moments(session, person)
    assert moment.ip == "203.0.113.9" and moment.how == (
        "API key shop0, https://shop.example/checkout, 2026-11-23T06:59:00+00:00"
    )
    assert len(moments(box)) == 1  # ada is as she was


def test_the_limits_of_sign_ups_hold_for_the_api_too(box, configure, clock):
    config = configure(newsletters={"daily": NEWS}, web={"signups_per_network": 1})
    asker = Asker(TestClient(application(box, config, clock=clock)), token(box))
    said = []
    for number in range(24):
        body = {"email": f"{number}@example.org", "client": {"ip": f"203.0.113.{number}"}}
        said.append(asker("POST", f"{DAILY}/subscribers", json=body))
    assert [one.status_code for one in said] == [202] * 23 + [429]
    assert [one.json().get("mail") for one in said[:2]] == ["now", "later"]
    assert said[-1].headers["retry-after"] == "3600" and problem(said[-1], 429)


def test_only_who_may_vouch_subscribes_without_a_mail(box, ask):
    body = {"email": "bob@example.org", "confirmed": True, "tags": ["shop"], "name": "Bob"}
    assert (
        problem(ask("subscribers:write")("POST", f"{DAILY}/subscribers", json=body), 403)["scope"]
        == "subscribers:vouch"
    )
    asker = ask("subscribers:write", "subscribers:vouch")
    made = asker("POST", f"{DAILY}/subscribers", json=body)
    assert made.status_code == 201 and made.json()["state"] == "active" and made.json()["tags"] == ["shop"]
    assert asker("POST", f"{DAILY}/subscribers", json=body).status_code == 200
    with box.read() as session:
        (moment,) = history.moments(session, people.find(session, "bob@example.org"))
    assert moment.vouched_by == "API key shop1"
    asker("POST", f"{DAILY}/subscribers/bob@example.org/leave")
    problem(asker("POST", f"{DAILY}/subscribers", json=body), 409)
    assert asker("POST", f"{DAILY}/subscribers", json=body | {"again": True}).status_code == 201


def test_who_is_barred_or_erased_is_not_told_apart(box, ask):
    with box.write() as session:
        enrol(session, "eve@example.org", newsletter="weekly")
        subscribe.suppress(session, "bad@example.org", reason="by hand", evidence=subscribe.Evidence("test", MONDAY))
        subscribe.erase(session, "eve@example.org", secret="a key for tests, long enough", now=MONDAY)
    asker = ask(papers=("daily",))
    answers = [
        asker("POST", f"{DAILY}/subscribers", json={"email": f"{who}@example.org", "confirmed": True})
        for who in ("bad", "eve")
    ]
    assert problem(answers[0], 409) == problem(answers[1], 409)


def test_choices_names_and_tags_change_with_a_line_each_in_the_history(box, ask, ada):
    asker = ask("subscribers:read", "subscribers:write")
    change = {"topics": ["world"], "cadence": "weekly mon", "hour": None, "zone": "Europe/Berlin", "language": "de"}
    answer = asker("PATCH", ADA, json=change | {"format": "text", "name": "A. L.", "tags": ["x", "VIP"]})
    assert answer.status_code == 200 and answer.json() == asker("GET", ADA).json()
    assert {name: answer.json()[name] for name in change} == change
    assert (answer.json()["name"], answer.json()["tags"], answer.json()["format"]) == ("A. L.", ["VIP", "x"], "text")
    events = [(event, how) for event, how, _detail in moments(box)]
    assert events == [("subscribed", "test"), ("chose", "API key shop0"), ("tagged", "API key shop0")]
    assert asker("PATCH", ADA, json=change).status_code == 200 and len(moments(box)) == 3  # the same again


NO_CHOICES: list[dict[str, Any]] = [
    {"topics": ["none"]},
    {"topics": "world"},
    {"cadence": "hourly"},
    {"hour": 24},
    {"hour": 10**30},
    {"hour": "7"},
    {"hour": True},
    {"zone": "Mars/One"},
    {"zone": None},
    {"language": "xx"},
    {"format": "pdf"},
    {"name": "a" * 201},
    {"tags": ["a" * 61]},
    {"tags": ["t"] * 101},
    {"state": "active"},
    {"email": "bob@example.org"},
]


def test_what_cannot_be_chosen_is_refused_and_nothing_is_stored(box, ask, ada):
    asker = ask("subscribers:read", "subscribers:write")
    before = asker("GET", ADA).json()
    for change in NO_CHOICES:
        problem(asker("PATCH", ADA, json={"name": "New"} | change), 422)
    assert asker("GET", ADA).json() == before and len(moments(box)) == 1


def test_a_change_of_what_has_changed_meanwhile_is_refused(ask, ada):
    asker = ask("subscribers:read", "subscribers:write")
    seen = asker("GET", ADA).headers["etag"]
    assert asker("GET", ADA, headers={"If-None-Match": seen}).status_code == 304
    assert asker("PATCH", ADA, json={"hour": 8}, headers={"If-Match": seen}).status_code == 200
    problem(asker("PATCH", ADA, json={"hour": 9}, headers={"If-Match": seen}), 412)
    problem(asker("POST", f"{ADA}/leave", headers={"If-Match": f'W/{seen}, "x"'}), 412)
    assert asker("PATCH", ADA, json={"hour": 9}, headers={"If-Match": "*"}).json()["hour"] == 9


def test_of_two_changes_of_what_both_read_one_is_refused_on_postgres(upgraded_postgres_url, configure, clock):
    """One waits for the subscription while the other changes the person, by this newsletter or by another."""
    database, config = open_database(upgraded_postgres_url), configure(newsletters={"daily": NEWS, "weekly": NEWS})
    newsletters.keep(database, config.newsletters, now=MONDAY)
    asker = Asker(TestClient(application(database, config, clock=clock)), token(database))
    with database.write() as session:
        enrol(session, "ada@example.org", tags=["vip"])
    said = {"json": {"tags": ["mine"]}, "headers": {"If-Match": asker("GET", ADA).headers["etag"]}}
    with ThreadPoolExecutor(1) as other:
        with database.write() as session:
            person, _ours = subscribe.find(session, "ada@example.org", "daily")
            answer = other.submit(asker, "PATCH", ADA, **said)
            wait_until_somebody_waits(database)
            person.tags = ["theirs"]
        problem(answer.result(), 412)
        seen = asker("GET", ADA)
        assert seen.json()["tags"] == ["theirs"]
        with database.write() as session:
            person = session.exec(sa.select(Subscriber).with_for_update(key_share=True)).scalar_one()
            said["headers"]["If-Match"] = seen.headers["etag"]
            answer = other.submit(asker, "PATCH", ADA, **said)
            wait_until_somebody_waits(database)
            person.tags = ["of weekly"]
        problem(answer.result(), 412)
    database.close()


def test_a_key_that_is_revoked_while_its_request_comes_in_changes_nothing(box, config, clock, ada, monkeypatch):
    asker = Asker(TestClient(application(box, config, clock=clock)), token(box))
    really = api_calls.body_of

    async def slowly(request: Any) -> bytes:
        with box.write() as session:
            keys.revoke(session, "shop", now=clock())
        return await really(request)

    monkeypatch.setattr(api_calls, "body_of", slowly)
    for headers in ({}, {"Idempotency-Key": "k"}):
        problem(asker("PATCH", ADA, json={"hour": 8}, headers=headers), 401)
        with box.write() as session:
            session.exec(sa.update(ApiKey).values(revoked_at=None))
    assert len(moments(box)) == 1


def test_leaving_twice_is_once(box, ask, ada):
    asker = ask("subscribers:write")
    for body in ({}, {"json": {"client": {"ip": "2001:db8::1"}}}):
        assert asker("POST", f"{ADA}/leave", **body).json()["state"] == "unsubscribed"
    assert [event for event, _how, _detail in moments(box)] == ["subscribed", "unsubscribed"]


def test_who_is_forgotten_is_in_no_table(box, ask, ada):
    asker = ask()
    once_ = {"Idempotency-Key": '"a"'}
    assert asker("PATCH", ADA, json={"name": "Ada L."}, headers=once_).status_code == 200
    assert asker("DELETE", "/api/v1/subscribers/ada@example.org").status_code == 204
    problem(asker("GET", ADA), 404)
    problem(asker("DELETE", "/api/v1/subscribers/nobody@example.org"), 404)
    with box.read() as session:
        for table in (Subscriber, Consent, SignupWait, ApiAnswer):
            assert "ada" not in str(session.execute(sa.select(table.__table__)).all()).lower(), table


def test_a_list_goes_on_where_it_ended_whoever_comes_and_goes(box, ask):
    with box.write() as session:
        for number in range(7):
            enrol(session, f"R{number}@example.org")
        enrol(session, "r3@example.net", newsletter="weekly")
        evidence = subscribe.Evidence("test", MONDAY)
        subscribe.suppress(session, "r6@example.org", reason="by hand", evidence=evidence)
        subscribe.remove(session, "r5@example.org", newsletter="daily", evidence=evidence)
    asker, found, cursor = ask("subscribers:read"), [], ""
    while cursor is not None:
        page = asker("GET", f"{DAILY}/subscribers", params={"limit": 2, "after": cursor}).json()
        found += [(one["email"], one["state"]) for one in page["items"]]
        cursor = page["next"]
        if len(found) == 2:
            asker_all = ask()
            asker_all("DELETE", "/api/v1/subscribers/r1@example.org")
    states = ["active"] * 5 + ["unsubscribed", "suppressed"]
    assert found == [(f"R{number}@example.org", state) for number, state in enumerate(states)]
    for state, many in (("active", 4), ("suppressed", 1), ("unsubscribed", 1), ("paused", 0)):
        assert len(asker("GET", f"{DAILY}/subscribers", params={"state": state}).json()["items"]) == many
    for email, many in (("r0@EXAMPLE.org", 1), ("x@example.org", 0), ("no address", 0)):
        assert len(asker("GET", f"{DAILY}/subscribers", params={"email": email}).json()["items"]) == many


def test_a_query_that_is_none_is_refused(ask):
    asker, bad = ask(), "limit=0 limit=1000 limit=x limit=1_0 after=%00 after=! state=x who=a limit=1&limit=2"
    for query in bad.split():
        problem(asker("GET", f"{DAILY}/subscribers?{query}"), 422)


ODD = ["o/hara@example.org", "a+b%c@example.org", "j\u00f6rg@b\u00fccher.example", "x/leave@example.org"]


def test_any_address_is_found_percent_encoded(box, ask):
    asker = ask()
    for email in ODD:
        with box.write() as session:
            enrol(session, email)
        path = f"{DAILY}/subscribers/{quote(email, safe='')}"
        assert asker("GET", path).json()["state"] == "active"
        assert asker("POST", f"{path}/leave").json()["state"] == "unsubscribed"
        assert (
            asker("GET", f"{DAILY}/subscribers", params={"email": email}).json()["items"][0]["state"] == "unsubscribed"
        )


NOBODY = ["x", "@", "a@", "a@b@c", "%00@example.org", "a%0A@example.org", "a" * 300 + "@example.org", "\u202e@x"]


def test_what_is_no_address_is_nobody(ask):
    asker = ask()
    for email in NOBODY:
        problem(asker("GET", f"{DAILY}/subscribers/{email}"), 404)


def test_choices_that_readers_get_are_choices_of_the_api(ask, ada):
    """A new field of `Preferences` is taken, judged, stored and shown without a word here."""
    names = {"format" if name == "plain" else name for name in Preferences.__dataclass_fields__}
    assert names == CHOICES.keys() <= ask()("GET", ADA).json().keys()
    schemas = api.document(api.ENDPOINTS, home="")["components"]["schemas"]
    for shape in ("SignUp", "Change", "Subscriber"):
        assert names <= schemas[shape]["properties"].keys()


# ---------------------------------------------------------------- a site's own form


def test_a_form_on_a_site_may_ask_for_a_sign_up_and_nothing_else(box, ask, ada):
    form = ask("signup")
    browser = {"Origin": "https://site.example"}
    before = form.client.options(f"{DAILY}/subscribers", headers=browser | {"Access-Control-Request-Method": "POST"})
    assert before.status_code == 204 and before.headers["access-control-allow-origin"] == "https://site.example"
    answers = [
        form("POST", f"{DAILY}/subscribers", json={"email": f"{who}@example.org"}, headers=browser)
        for who in ("ada", "bob")
    ]
    assert answers[0].text == answers[1].text and {a.status_code for a in answers} == {202}
    assert answers[0].headers["access-control-allow-origin"] == "https://site.example"
    with box.read() as session:
        assert {row.ip for row in session.execute(sa.select(SignupWait)).scalars()} == {"198.51.100.7"}
    problem(form("GET", f"{DAILY}/subscribers"), 403)
    # What everybody could send is no evidence, and would be a way round the limits.
    asked = {"email": "cyd@example.org", "client": {"ip": "203.0.113.9"}}
    assert problem(form("POST", f"{DAILY}/subscribers", json=asked), 403)["scope"] == "subscribers:write"
    for other in ("https://evil.example", "null", "https://site.example.evil.example"):
        asked_before = {"Origin": other, "Access-Control-Request-Method": "POST"}
        problem(form.client.options(f"{DAILY}/subscribers", headers=asked_before), 401)
        answer = form("POST", f"{DAILY}/subscribers", json={"email": "d@example.org"}, headers={"Origin": other})
        assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-origin" not in form("GET", "/api/v1/newsletters", headers=browser).headers


def test_a_form_is_not_kept_from_others_by_one_who_asks_too_often(box, configure, clock):
    config = configure(newsletters={"daily": NEWS}, web={"api_per_minute": 2})
    app, made = application(box, config, clock=clock), token(box, "signup")
    one, other = (Asker(TestClient(app, client=(ip, 1)), made) for ip in ("198.51.100.7", "192.0.2.1"))
    body = {"json": {"email": "ada@example.org"}}
    assert [one("POST", f"{DAILY}/subscribers", **body).status_code for _ in range(3)] == [202, 202, 429]
    assert other("POST", f"{DAILY}/subscribers", **body).status_code == 202


# ---------------------------------------------------------------- how it is asked


def test_what_is_sent_and_wanted_is_judged_by_its_type(ask, ada):
    asker = ask()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=latin-1"):
        problem(asker("PATCH", ADA, content="{}", headers={"Content-Type": kind}), 415)
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    problem(asker("PATCH", ADA, content="{}", headers=packed), 415)
    for body in ("", "{", "[]", '{"name": "\\ud800"}', "\xff", "1" * 5000, "[" * 5000, '{"hour": NaN}', "null"):
        answer = asker("PATCH", ADA, content=body.encode("latin-1"), headers={"Content-Type": "application/json"})
        assert problem(answer, answer.status_code) and answer.status_code in (400, 422), body
    big = asker("PATCH", ADA, content=b"x" * 70_000, headers={"Content-Type": "application/json"})
    problem(big, 413)
    for accept in ("text/html", "application/json;q=0", "*/*;q=0", "image/*"):
        problem(asker("GET", ADA, headers={"Accept": accept}), 406)
    for accept in ("*/*", "text/html, application/*;q=0.1", "application/json", "application/json;q=1, */*;q=0", "?"):
        assert asker("GET", ADA, headers={"Accept": accept}).status_code == 200, accept
    for method, allow in (("PUT", "DELETE"), ("TRACE", "PATCH")):
        answer = asker(method, ADA)
        assert problem(answer, 405) and answer.headers["allow"] == "GET, HEAD, PATCH" and allow
    assert asker("HEAD", ADA).status_code == 200
    problem(asker("GET", "/api/v1/none"), 404)
    problem(asker("GET", f"{ADA}?x=1"), 422)


def test_what_is_wrong_is_told_by_where_it_stands_and_without_what_was_sent(ask):
    body = {"email": 7, "client": {"ip": "my-secret"}, "topics": ["a", 1], "a/b~c": 1}
    said = problem(ask()("POST", f"{DAILY}/subscribers", json=body), 422)
    assert {one["pointer"] for one in said["errors"]} == {"/email", "/client/ip", "/topics/1", "/a~1b~0c"}
    assert "my-secret" not in str(said)
    for at in (
        "2026-11-23T09:00:00Z",
        "2025-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
    ):
        problem(ask()("POST", f"{DAILY}/subscribers", json={"email": "a@example.org", "client": {"at": at}}), 422)


def test_a_key_may_ask_so_often_a_minute(box, configure, clock, ada):
    app = application(box, configure(newsletters={"daily": NEWS}, web={"api_per_minute": 2}), clock=clock)
    one, other = (Asker(TestClient(app), token(box, name=name)) for name in ("one", "other"))
    answers = [one("GET", ADA)]
    clock.pass_(seconds=10)
    answers += [one("GET", ADA), one("GET", ADA)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert [a.headers["ratelimit"] for a in answers] == ['"key";r=1;t=60', '"key";r=0;t=50', '"key";r=0;t=50']
    assert answers[0].headers["ratelimit-policy"] == '"key";q=2;w=60' and "retry-after" not in answers[1].headers
    assert problem(answers[2], 429) and answers[2].headers["retry-after"] == "50"
    assert other("GET", ADA).status_code == 200
    clock.pass_(seconds=50)
    assert one("GET", ADA).status_code == 200


def test_nothing_of_keys_and_addresses_is_logged(box, config, clock, ada):
    lines: list[str] = []
    client = TestClient(application(box, config, clock=clock, log=lambda asked: lines.append(str(asked))))
    made = token(box)
    for path in (ADA, f"{DAILY}/subscribers?email=ada@example.org", "/api/v1/subscribers/ada@example.org"):
        client.get(path, headers={"Authorization": f"Bearer {made}"})
    assert len(lines) == 3 and "ada" not in "".join(lines) and "dgk_" not in "".join(lines)


# ---------------------------------------------------------------- once


def test_the_same_request_is_done_once_and_answered_alike_for_a_day(box, ask, clock, ada):
    asker = ask()
    said = {"headers": {"Idempotency-Key": '"8e03978e"'}}
    body = {"email": "bob@example.org", "confirmed": True}
    first = asker("POST", f"{DAILY}/subscribers", json=body, **said)
    asker("POST", f"{DAILY}/subscribers/bob@example.org/leave")
    again = asker("POST", f"{DAILY}/subscribers", json=body, **said)
    assert (first.status_code, first.text) == (again.status_code, again.text) == (201, first.text)
    assert first.headers["location"] == again.headers["location"] and again.headers["idempotency-replayed"] == "true"
    assert len(moments(box, "bob@example.org")) == 2
    problem(asker("POST", f"{DAILY}/subscribers", json=body | {"name": "B"}, **said), 422)
    problem(asker("PATCH", ADA, json={}, **said), 422)
    assert ask()("PATCH", ADA, json={}, **said).status_code == 200  # another key's own
    clock.pass_(hours=24, seconds=1)
    assert problem(asker("POST", f"{DAILY}/subscribers", json=body, **said), 409)  # done anew: they left
    for bad in ("", '"', '"a" "b"', "a b", "\xe4", '"' + "a" * 256 + '"'):
        answer = asker("PATCH", ADA, json={}, headers={"Idempotency-Key": bad.encode("latin-1")})
        problem(answer, 400)


def test_what_was_refused_may_be_asked_again(ask, ada):
    asker, said = ask(), {"headers": {"Idempotency-Key": "k1"}}
    problem(asker("PATCH", ADA, json={"zone": "Mars/One"}, **said), 422)
    assert asker("PATCH", ADA, json={"zone": "Europe/Berlin"}, **said).status_code == 200


def test_old_answers_go_in_small_steps(box, clock):
    made = token(box)
    assert made
    with box.write() as session:
        for number in range(250):
            session.add(ApiAnswer(key_id=1, mark=f"{number}", fingerprint="", at=MONDAY - timedelta(days=2)))
    with box.write() as session:
        once.begin(session, once.Request(1, "new", "f"), now=MONDAY)
    with box.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ApiAnswer)) == 151


def test_a_request_that_is_under_way_is_not_done_twice_and_one_that_died_is_taken_over(database, config, clock):
    """Two processes meet in the row: what one begins, the other sees at once."""
    made = token(database)
    with database.write() as session:
        enrol(session, "ada@example.org")
    asked = once.Request(1, "mark", "print")
    with database.write() as session:
        assert once.begin(session, asked, now=clock()) == 1
    with database.write() as session, pytest.raises(once.UnderWay):
        once.begin(session, asked, now=clock.pass_(seconds=119))
    with database.write() as session, pytest.raises(once.Different):
        once.begin(session, once.Request(1, "mark", "other"), now=clock())
    with database.write() as session:
        assert once.begin(session, asked, now=clock.pass_(seconds=1)) == 2
    kept = once.Kept(200, {}, "{}")
    with database.write() as session:
        assert not once.finish(session, asked, 1, kept)  # who was thought dead comes back: it does nothing
        assert once.finish(session, asked, 2, kept)
    with database.write() as session:
        assert once.begin(session, asked, now=clock()) == kept
    assert made


@on_sqlite
def test_of_two_at_once_one_is_done_and_the_other_is_told(database, config, clock, monkeypatch):
    made, arrived, go_on = token(database), threading.Event(), threading.Event()
    with database.write() as session:
        enrol(session, "ada@example.org")
    really = api_calls._done

    def slowly(call: Any, session: Any) -> Any:
        """As if its transaction had not begun: on SQLite there is one at a time."""
        session.rollback()
        arrived.set()
        assert go_on.wait(20)
        return really(call, session)

    # Two applications, as two processes have them.
    askers = [Asker(TestClient(application(database, config, clock=clock)), made) for _ in range(2)]
    said = {"json": {"hour": 8}, "headers": {"Idempotency-Key": '"k"'}}
    answers: list[httpx.Response] = []
    monkeypatch.setattr(api_calls, "_done", slowly)
    first = threading.Thread(target=lambda: answers.append(askers[0]("PATCH", ADA, **said)))
    first.start()
    try:
        assert arrived.wait(20)
        answer = askers[1]("PATCH", ADA, **said)
        assert problem(answer, 409) and answer.headers["retry-after"] == "1"
    finally:
        go_on.set()
        first.join()
    assert answers[0].status_code == 200
    assert askers[1]("PATCH", ADA, **said).text == answers[0].text


# ---------------------------------------------------------------- editions, document, a real server


def test_the_document_is_of_the_same_table_as_the_routes(ask):
    said = ask().client.get("/api/v1/openapi.json").json()
    assert said["openapi"].startswith("3.1")
    paths = {(path, method.upper()) for path, item in said["paths"].items() for method in item}
    plain = {re.sub(r":\w+}", "}", r.path).removeprefix("/api/v1"): r for r in api.ROUTES if "anything" not in r.path}
    routed = {(path, method) for path, route in plain.items() for method in route.app._by_method}
    assert paths == routed == {(one.path, one.method) for one in api.ENDPOINTS}
    names = [item["operationId"] for path in said["paths"].values() for item in path.values()]
    assert len(set(names)) == len(names)
    refs = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(said)))
    assert refs <= said["components"]["schemas"].keys()
    for one in api.ENDPOINTS:
        item = said["paths"][one.path][one.method.lower()]
        assert [need["key"] for need in item["security"]] == ([] if one.public else [[v] for v in one.verbs] or [[]])
        assert {str(status) for status in one.answers} <= item["responses"].keys()


def test_a_real_server_speaks_it(box, config, clock, ada):
    made = {"Authorization": f"Bearer {token(box)}"}
    with serving(application(box, config, clock=clock)) as client:
        assert client.get("/api/v1/health").json() == {"status": "ok", "detail": ""}
        answer = client.get(ADA, headers=made)
        assert answer.json()["email"] == "ada@example.org" and answer.headers["cache-control"] == "no-store"
        assert client.head(ADA, headers=made).content == b""
        problem(client.get(ADA), 401)
        problem(client.post(f"{ADA}/leave", headers=made, content=iter([b"x" * 40_000] * 2)), 413)
        assert client.patch(ADA, headers=made, json={"hour": 7}).json()["hour"] == 7


def test_health_says_what_is_wrong(box, config, clock):
    clock.now = MONDAY - timedelta(days=4000)
    answer = TestClient(application(box, config, clock=clock)).get("/api/v1/health")
    assert answer.status_code == 503 and "was not made then" in answer.json()["detail"]


def test_a_key_follows_a_newsletter_to_its_new_name(box, config, clock):
    token(box, papers=("daily", "weekly"))
    with box.write() as session:
        renames.rename_newsletter(session, newsletters.lock(session, "daily"), newsletters.lock(session, "weekly"))
    with box.read() as session:
        assert [row.newsletters for row in keys.listed(session)] == [["weekly"]]
