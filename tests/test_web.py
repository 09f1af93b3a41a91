from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from conftest import MONDAY
from people import enrol
from starlette.applications import Starlette
from starlette.testclient import TestClient

from digest import sign, subscribe
from digest.store import history, people
from digest.web import application
from digest.web.site import preferred


@pytest.fixture
def reader(box, config) -> str:
    """A subscriber's unsubscribe token."""
    key = config.secret_key.get_secret_value()
    with box.write() as session:
        enrol(
            session,
            "ada@example.org",
            newsletter="daily",
            how="test",
            now=MONDAY,
            secret=key,
            known_topics=(),
        )
        _person, subscription = subscribe.find(session, "ada@example.org", "daily")
        return sign.token(sign.Purpose.UNSUBSCRIBE, subscription.id, key=key)


@pytest.fixture
def site(box, config, clock) -> Iterator[httpx.Client]:
    """The pages, served by a real server."""
    with serving(application(box, config, clock=clock)) as client:
        yield client


@contextmanager
def serving(app: Starlette) -> Iterator[httpx.Client]:
    """A real server on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            base = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=base, timeout=30, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def state(box) -> str:
    with box.read() as session:
        return subscribe.find(session, "ada@example.org", "daily")[1].state.value


def test_looking_at_an_unsubscribe_link_changes_nothing(site, box, reader):
    for method in ("GET", "HEAD"):
        answer = site.request(method, f"/unsubscribe/{reader}")
        assert answer.status_code == 200
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert state(box) == "active"


def test_the_button_unsubscribes_and_twice_is_once(site, box, reader):
    for _ in range(2):
        answer = site.post(f"/unsubscribe/{reader}")
        assert answer.status_code == 200 and "You are unsubscribed" in answer.text
    assert state(box) == "unsubscribed"
    with box.read() as session:
        person = people.find(session, "ada@example.org")
        assert [m.event for m in history.moments(session, person)].count("unsubscribed") == 1


@pytest.mark.parametrize(
    "form", [{"data": {"List-Unsubscribe": "One-Click"}}, {"files": {"List-Unsubscribe": (None, "One-Click")}}]
)
def test_a_mail_client_unsubscribes_in_one_click(site, box, reader, form):
    answer = site.post(f"/unsubscribe/{reader}", **form)
    assert answer.status_code == 200 and not answer.history
    assert state(box) == "unsubscribed"


@pytest.mark.parametrize("token", ["x", "MQ.abc", "1", "%00", "a" * 2000])
def test_a_link_that_is_not_ours_says_so_and_changes_nothing(site, box, reader, token):
    assert site.post(f"/unsubscribe/{token}").status_code == 404
    assert "does not work" in site.get(f"/unsubscribe/{token}").text
    assert state(box) == "active"


def test_a_body_beyond_its_bound_is_refused(site, box, reader):
    assert site.post(f"/unsubscribe/{reader}", content=b"x" * 70_000).status_code == 413
    assert state(box) == "active"


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("", "en"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("ko, en;q=0.5, fr ; q=0.7", "fr"),
        ("EN-GB;q=0.1, AR", "ar"),
        ("ar;q=0", "en"),
        ("*", "en"),
        ("de;q=nan, es;q=0.2;x, zh;q=2", "en"),
        ("../../etc/passwd, \xe4", "en"),
        ("x," * 20_000 + "de", "en"),
    ],
)
def test_a_browser_is_told_in_its_own_language_what_went_wrong(asked, language):
    assert preferred(asked) == language


def test_what_went_wrong_is_told_in_the_language_of_the_newsletter_or_the_browser(box, configure, clock):
    open_, closed = {"title": "D", "from": "d@news.example", "language": "ar"}, {"archive": False, "signup": False}
    config = configure(newsletters={"daily": open_, "inner": open_ | closed})
    client = TestClient(application(box, config, clock=clock), headers={"Accept-Language": "de-DE, en;q=0.5"})
    german, arabic = '<html lang="de" dir="ltr">', '<html lang="ar" dir="rtl">'
    for path in ("/unsubscribe/x", "/preferences/x", "/confirm/x", "/newsletters/inner", "/newsletters/none", "/none"):
        answer = client.get(path)
        assert answer.status_code == 404 and german in answer.text
        assert "funktioniert nicht" in answer.text or "Diese Seite gibt es nicht" in answer.text
    assert client.get("/newsletters/inner").text == client.get("/newsletters/none").text
    answers = [client.get("/newsletters/daily/editions/1"), client.post("/newsletters/daily")]
    answers.append(client.post("/subscribe/daily", content=b"\xff"))
    assert [answer.status_code for answer in answers] == [404, 405, 400]
    assert all(arabic in answer.text for answer in answers)
    assert german in client.post("/unsubscribe/x", content=b"x" * 70_000).text
