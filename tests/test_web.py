from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from conftest import MONDAY

from digest import sign, store, subscribe
from digest.web import application


@pytest.fixture
def reader(box, config) -> str:
    """A subscriber's unsubscribe token."""
    key = config.secret_key.get_secret_value()
    with box.write() as session:
        subscribe.add(
            session,
            "ada@example.org",
            newsletter="daily",
            consent="test",
            now=MONDAY,
            secret=key,
            known_topics=(),
        )
        _person, subscription = subscribe.find(session, "ada@example.org", "daily")
        return sign.token(sign.Purpose.UNSUBSCRIBE, subscription.id, key=key)


@pytest.fixture
def site(box, config, clock) -> Iterator[httpx.Client]:
    """The pages, served by a real server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(application(box, config, clock=clock), log_level="error"))
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
        person = store.subscriber(session, "ada@example.org")
        assert [m.event for m in store.moments(session, person)].count("unsubscribed") == 1


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
