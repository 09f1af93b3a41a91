"""What readers do by themselves, behind the links in their mail."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from digest import sign, store, subscribe
from digest.web import application

ADA = "ada@example.org"
CHOICES = {
    "topic": ["ai", "security"],
    "cadence": "weekly",
    "day": "tue",
    "hour": "18",
    "zone": "America/New_York",
    "language": "de",
    "format": "text",
}


@pytest.fixture
def config(configure):
    return configure(
        newsletters={name: {"title": name.title(), "from": "N <n@news.example>"} for name in ("daily", "weekly")}
    )


@pytest.fixture
def page(database, config, clock):
    client = TestClient(application(database, config, clock=clock), follow_redirects=False)
    with database.write() as session:
        subscribe.add(
            session,
            ADA,
            newsletter="daily",
            consent="test",
            now=clock(),
            secret=config.lasting_key,
            known_topics=(),
        )
        client.id = subscribe.find(session, ADA, "daily")[1].id
    client.here = "/preferences/" + sign.token(sign.Purpose.PREFERENCES, client.id, key=config.keys[0])
    client.leave = "/unsubscribe/" + sign.token(sign.Purpose.UNSUBSCRIBE, client.id, key=config.keys[0])
    return client


def known(database):
    """The subscriptions and the history of Ada."""
    with database.read() as session:
        person = store.subscriber(session, ADA)
        return {s.newsletter: s for s in store.standings(session, person)}, store.moments(session, person)


def test_looking_changes_nothing(page, database):
    before = known(database)
    for path in (page.here, f"{page.here}/data", f"{page.here}/erase", page.leave, f"{page.leave}/undo"):
        for method in ("GET", "HEAD"):
            answer = page.request(method, path)
            assert answer.status_code == 200 and "set-cookie" not in answer.headers
            assert answer.headers["cache-control"] == "no-store"
    assert page.get(f"{page.here}/pause").status_code == 405
    assert known(database) == before


def test_choices_are_saved_once_and_shown(page, database):
    for _ in range(2):
        answer = page.post(page.here, data=CHOICES)
        assert answer.status_code == 303
    daily = known(database)[0]["daily"]
    assert (daily.topics, daily.cadence, daily.hour) == (("ai", "security"), "weekly tue", 18)
    assert (daily.zone, daily.language, daily.format) == ("America/New_York", "de", "text")
    chose = [m for m in known(database)[1] if m.event == "chose"]
    assert len(chose) == 1 and chose[0].how == "preference page" and "weekly tue" in chose[0].detail
    shown = page.get(answer.headers["location"]).text
    assert re.search(r'value="security" checked', shown) and 'value="America/New_York" selected' in shown
    page.post(page.here, data={})
    assert known(database)[0]["daily"].topics == () and known(database)[0]["daily"].hour is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("topic", "{{7*7}}"),
        ("cadence", "<b>hourly</b>"),
        ("day", "x\r\ny"),
        ("hour", "24"),
        ("zone", "../../etc/passwd"),
        ("language", "tlh"),
        ("format", "pdf"),
    ],
)
def test_what_cannot_be_chosen_is_said_beside_the_field_and_the_rest_stays_entered(page, database, field, value):
    answer = page.post(page.here, data=CHOICES | {field: value})
    assert answer.status_code == 422 and 'class="error"' in answer.text
    assert "<b>hourly" not in answer.text and "49" not in re.sub(r"<style>.*?</style>", "", answer.text, flags=re.S)
    if field != "hour":
        assert 'value="18" selected' in answer.text
    assert [m.event for m in known(database)[1]] == ["subscribed"]


def test_a_pause_lasts_to_a_day_or_until_resumed(page, database, clock):
    for _ in range(2):
        assert page.post(f"{page.here}/pause", data={"weeks": "2"}).status_code == 303
        clock.pass_(minutes=1)
    daily = known(database)[0]["daily"]
    assert daily.state == "paused" and (daily.paused_until.date() - clock().date()).days == 14
    assert "Paused until" in page.get(page.here).text
    page.post(f"{page.here}/resume")
    assert known(database)[0]["daily"].state == "active"
    page.post(f"{page.here}/pause", data={"weeks": ""})
    assert known(database)[0]["daily"].paused_until is None
    assert [m.event for m in known(database)[1]] == ["subscribed", "paused", "resumed", "paused"]
    assert page.post(f"{page.here}/pause", data={"weeks": "99999"}).status_code == 400


def test_another_newsletter_is_joined_by_a_button_and_all_are_left_by_one(page, database):
    assert page.post(f"{page.here}/join", data={"newsletter": "weekly"}).status_code == 303
    standings, history = known(database)
    assert standings["weekly"].state == "active" and history[-1].how == "preference page" and history[-1].ip == ""
    other = re.search(r'class="link" href="(/preferences/[^"]+)"', page.get(page.here).text)[1]
    assert other != page.here and "Weekly" in page.get(other).text
    assert page.post(f"{page.here}/join", data={"newsletter": "nothing"}).status_code == 404
    page.post(f"{page.here}/leave-all")
    assert {s.state for s in known(database)[0].values()} == {"unsubscribed"}
    assert "Subscribe again" in page.get(page.here).text
    page.post(f"{page.here}/return")
    assert known(database)[0]["daily"].state == "active"


def test_leaving_can_be_undone(page, database):
    assert page.here.split("/")[1] in page.get(page.leave).text
    assert "Subscribe again" in page.post(page.leave).text
    assert page.post(f"{page.leave}/undo").status_code == 303
    assert known(database)[0]["daily"].state == "active"
    assert [m.event for m in known(database)[1]] == ["subscribed", "unsubscribed", "subscribed"]


def test_a_suppressed_address_does_not_come_back(page, database, clock):
    page.post(page.leave)
    with database.write() as session:
        subscribe.suppress(session, ADA, reason="complaint", how="test", now=clock())
    page.post(f"{page.leave}/undo")
    page.post(f"{page.here}/return")
    assert known(database)[0]["daily"].state == "unsubscribed"
    assert "stopped writing" in page.get(page.here).text and "Subscribe again" not in page.get(page.leave).text


def test_my_data_is_a_file_with_all_of_it(page):
    page.post(page.here, data=CHOICES)
    answer = page.get(f"{page.here}/data")
    assert answer.headers["content-disposition"].startswith("attachment")
    data = answer.json()
    assert data["email"] == ADA and data["subscriptions"][0]["hour"] == 18 and data["letters"] == []
    assert [m["event"] for m in data["history"]] == ["subscribed", "chose"]


def test_erasing_asks_first_and_then_no_link_works(page, database):
    assert page.post(f"{page.here}/erase").status_code == 422
    assert known(database)
    assert "erased" in page.post(f"{page.here}/erase", data={"sure": "yes"}).text
    with database.read() as session:
        assert store.subscriber(session, ADA) is None
    strange = page.get("/preferences/x").text
    for path in (page.here, f"{page.here}/data", f"{page.here}/erase", page.leave):
        answer = page.get(path)
        assert answer.status_code == 404 and answer.text == strange


def test_a_token_is_nothing_on_another_page(page):
    swapped = page.leave.replace("unsubscribe", "preferences"), page.here.replace("preferences", "unsubscribe")
    for path in swapped:
        assert page.get(path).status_code == page.post(path).status_code == 404


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_a_form_on_another_site_changes_nothing_but_one_click_works_from_anywhere(page, database, headers):
    for path in (page.here, f"{page.here}/pause", f"{page.here}/erase", page.leave, f"{page.leave}/undo"):
        assert page.post(path, data={"sure": "yes"}, headers=headers).status_code == 403
    assert [m.event for m in known(database)[1]] == ["subscribed"]
    assert page.post(page.here, headers={"origin": "null", "sec-fetch-site": "same-origin"}).status_code == 303
    assert page.post(page.leave, data={"List-Unsubscribe": "One-Click"}, headers=headers).status_code == 200
    assert known(database)[0]["daily"].state == "unsubscribed"


def test_a_body_beyond_its_bound_is_refused(page):
    assert page.post(page.here, content=b"x" * 70_000).status_code == 413
    assert page.post(page.here, content=b"topic=%ff\xff").status_code == 400
