"""What readers choose for themselves behind the links in their mail."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from conftest import MONDAY, fill_once
from people import enrol
from starlette.testclient import TestClient

from digest import sign, subscribe
from digest.store import history, people
from digest.store.schema import tables as all_tables
from digest.subscribe import Evidence
from digest.web import application

NEWS = {
    "daily": {
        "title": "Daily",
        "from": "Daily <news@news.example>",
        "schedule": "daily 07:00 Europe/Berlin",
        "topics": {"world": {"title": "World"}, "art": {"title": "Art"}},
    },
    "weekly": {"title": "Weekly", "from": "Weekly <news@news.example>", "schedule": "weekly mon 08:00"},
    "inner": {"title": "Inner", "from": "Inner <news@news.example>", "signup": False},
}
FORM = {"topic": ["art"], "cadence": "weekly", "day": "thu", "hour": "18", "zone": "America/New_York",
        "language": "de", "format": "text"}  # fmt: skip


@pytest.fixture
def config(configure):
    return configure(newsletters=NEWS)


@pytest.fixture
def client(database, config, clock):
    fill_once(database, f"two with {config.lasting_key}", lambda: fill(database, config))
    return TestClient(application(database, config, clock=clock), client=("198.51.100.7", 4711))


def fill(database, config):
    with database.write() as session:
        for email in ("ada@example.org", "bob@example.org"):
            enrol(
                session, email, newsletter="daily", name="Ada", how="test", now=MONDAY,
                secret=config.lasting_key, known_topics=NEWS["daily"]["topics"],
            )  # fmt: skip


def link(database, config, purpose=sign.Purpose.PREFERENCES, email="ada@example.org", newsletter="daily") -> str:
    with database.read() as session:
        _person, subscription = subscribe.find(session, email, newsletter)
        return f"/{purpose}/{sign.token(purpose, subscription.id, key=config.keys[0])}"


def standing(database, email="ada@example.org", newsletter="daily"):
    with database.read() as session:
        return subscribe.find(session, email, newsletter)[1]


def events_of(database, email="ada@example.org"):
    with database.read() as session:
        return [(m.event, m.how, m.ip, m.detail) for m in history.moments(session, people.find(session, email))]


def everything(database):
    with database.read() as session:
        tables = all_tables().sorted_tables
        return {table.name: sorted(map(repr, session.execute(sa.select(table)))) for table in tables}


def test_choices_are_saved_and_shown_again(client, database, config):
    page = link(database, config)
    answer = client.post(page, data=FORM)
    assert answer.history[0].status_code == 303 and str(answer.url).endswith("?done=saved")
    kept = standing(database)
    assert (kept.topics, kept.cadence, kept.hour, kept.zone) == (["art"], "weekly thu", 18, "America/New_York")
    assert (kept.language, kept.plain) == ("de", True)
    assert "Gespeichert" in answer.text and answer.text.count(" checked") == 3 and answer.text.count(" selected") == 4
    event, how, ip, detail = events_of(database)[-1]
    assert (event, how, ip) == ("chose", "preference page", "198.51.100.7") and "weekly thu" in detail
    before = everything(database)
    client.post(page, data=FORM)
    assert everything(database) == before, "the same again changes nothing"


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({"cadence": "fortnightly", "fortnight": "tue"}, "fortnightly tue"),
        ({"cadence": "fortnightly", "fortnight": "tue from 2026-12-01"}, "fortnightly tue from 2026-01-13"),
        ({"cadence": "monthly", "month": "31"}, "monthly 31"),
        ({"cadence": "monthly", "month": "last fri"}, "monthly last fri"),
    ],
)
def test_a_rare_day_is_saved_and_shown_again(client, database, config, fields, stored):
    page = client.post(link(database, config), data=FORM | fields).text
    assert standing(database).cadence == stored
    day = stored.partition(" ")[2]
    assert f'value="{fields["cadence"]}" checked' in page and page.count(f'value="{day}" selected') == 1
    client.post(link(database, config), data=FORM | {"cadence": fields["cadence"], "month": day, "fortnight": day})
    assert standing(database).cadence == stored


def test_looking_changes_nothing(client, database, config):
    before = everything(database)
    for path in ("", "/data", "/erase", "?done=saved", "?done=<script>"):
        for method in ("GET", "HEAD"):
            answer = client.request(method, link(database, config) + path)
            assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
            assert "<script" not in answer.text and not answer.cookies
    assert everything(database) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [("topic", "no-such"), ("cadence", "hourly"), ("day", "xyz"), ("cadence", "monthly"),
     ("cadence", "fortnightly"), ("hour", "24"), ("hour", "x"), ("zone", "Mars/Base"),
     ("language", "tlh"), ("format", "pdf"), ("zone", "{{7*7}}"), ("language", "<b>")],
)  # fmt: skip
def test_what_cannot_be_chosen_is_said_beside_its_field_and_nothing_is_saved(client, database, config, field, value):
    before = everything(database)
    answer = client.post(link(database, config), data=FORM | {field: value})
    assert answer.status_code == 422 and 'role="alert"' in answer.text
    assert field == "hour" or 'value="18" selected' in answer.text, "what was entered stands there still"
    assert "<b>" not in answer.text and ">49<" not in answer.text
    assert everything(database) == before


def test_a_pause_is_begun_and_ended(client, database, config, clock):
    page = link(database, config)
    client.post(f"{page}/pause", data={"weeks": "2"})
    assert standing(database).state == "paused" and (standing(database).paused_until - clock()).days == 13
    assert "Paused until" in client.get(page).text
    client.post(f"{page}/resume")
    assert standing(database).state == "active"
    client.post(f"{page}/pause", data={"weeks": ""})
    assert standing(database).paused_until is None and standing(database).state == "paused"
    assert client.post(f"{page}/pause", data={"weeks": "3"}).status_code == 400


def test_one_leaves_comes_back_and_joins_others(client, database, config):
    page = link(database, config)
    assert "Inner" not in client.get(page).text
    client.post(f"{page}/join", data={"newsletter": "weekly"})
    assert standing(database, newsletter="weekly").state == "active"
    assert client.post(f"{page}/join", data={"newsletter": "inner"}).status_code == 404
    client.post(f"{page}/leave-all")
    assert {standing(database, newsletter=name).state.value for name in ("daily", "weekly")} == {"unsubscribed"}
    assert "Subscribe again" in client.get(page).text
    client.post(f"{page}/return")
    assert standing(database).state == "active"
    assert standing(database, "bob@example.org").state == "active", "nobody else's"


def test_who_left_by_mistake_comes_back_by_a_button(client, database, config):
    page = link(database, config, sign.Purpose.UNSUBSCRIBE)
    assert "/preferences/" in client.get(page).text
    left = client.post(page)
    assert "Subscribe again" in left.text and standing(database).state == "unsubscribed"
    assert "You are subscribed again" in client.post(f"{page}/undo").text and standing(database).state == "active"


def test_nobody_comes_back_to_a_suppressed_address(client, database, config):
    with database.write() as session:
        subscribe.suppress(session, "ada@example.org", reason="no such mailbox", evidence=Evidence("test", MONDAY))
        subscribe.remove(session, "ada@example.org", newsletter="daily", evidence=Evidence("test", MONDAY))
    client.post(f"{link(database, config)}/return")
    assert standing(database).state == "unsubscribed"


def test_ones_data_is_downloaded_and_erased(client, database, config):
    page = link(database, config)
    leave = link(database, config, sign.Purpose.UNSUBSCRIBE)
    data = client.get(f"{page}/data")
    assert "attachment" in data.headers["content-disposition"] and data.json()["email"] == "ada@example.org"
    assert "bob" not in data.text
    assert client.post(f"{page}/erase").status_code == 422 and standing(database)
    assert "Your data is erased" in client.post(f"{page}/erase", data={"sure": "yes"}).text
    assert "ada@" not in str(everything(database)) and "bob@" in str(everything(database))
    for path in (page, f"{page}/data", f"{page}/erase"):
        shown = client.get(path)
        assert shown.status_code == 410 and "Nothing about you is stored here any more" in shown.text
    assert client.post(page, data=FORM).status_code == 410
    assert client.get(leave).status_code == 410 and "Your data is erased" in client.get(leave).text
    clicked = client.post(leave, data={"List-Unsubscribe": "One-Click"})
    assert clicked.status_code == 200, "a mail program is told of no failure: they get nothing any more"
    assert client.get(f"{page[:-4]}AAAA").status_code == 404, "one that we did not make"


def test_a_link_is_good_for_what_it_was_made_for_only(client, database, config):
    leave = link(database, config, sign.Purpose.UNSUBSCRIBE).rpartition("/")[2]
    choose = link(database, config).rpartition("/")[2]
    for path in (f"/preferences/{leave}", f"/unsubscribe/{choose}", f"/confirm/{choose}", f"/preferences/{leave}/data"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
        ({"Origin": "https://digest.example"}, 200),
        ({}, 200),
    ],
)
def test_another_site_cannot_make_its_visitor_choose(client, database, config, headers, status):
    page = link(database, config)
    assert client.post(page, data=FORM, headers=headers).status_code == status
    assert client.post(f"{page}/leave-all", headers=headers).status_code == status
    # A mail client's own click comes from wherever it likes (RFC 8058).
    one_click = link(database, config, sign.Purpose.UNSUBSCRIBE)
    assert client.post(one_click, data={"List-Unsubscribe": "One-Click"}, headers=headers).status_code == 200


def test_a_body_beyond_its_bound_is_refused(client, database, config):
    assert client.post(link(database, config), content=b"topic=" + b"x" * 70_000).status_code == 413
    assert client.post(link(database, config), content=b"&".join([b"topic=art"] * 1000)).status_code == 400
