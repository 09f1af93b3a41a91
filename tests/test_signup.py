"""Joining by the web: the form, one mail, the confirmation, and what strangers cannot do with them."""

from __future__ import annotations

import email
import email.policy
import io
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import postgres
import pytest
import sqlalchemy as sa
from conftest import MONDAY, Clock, on_sqlite
from people import enrol
from sqlmodel import Session, select
from starlette.testclient import TestClient

from digest import deliver, sign, subscribe
from digest.config import Config
from digest.demo.catcher import Catcher
from digest.errors import UserError
from digest.models import Notice, OutboxRow, Subscriber, Subscription
from digest.store import Database, erasures, history, letters, newsletters, people, renames
from digest.store import signup as stored_signup
from digest.store.consent_tables import Consent
from digest.store.signup_tables import SignupMail, SignupWait
from digest.subscribe import Evidence, signup
from digest.web import application

NEWS = {
    "title": "Daily",
    "from": "Daily <news@news.example>",
    "about": "What the town talks of.",
    "topics": {"world": {"title": "World"}, "art": {"title": "Art"}},
}

KEY = "a key for tests, long enough"


class Door:
    """The pages as a visitor meets them; mails that are owed go out at once."""

    def __init__(self, database: Database, config: Config, clock: Clock, inbox: Catcher) -> None:
        self.inbox, self.config = inbox, config

        def mail_now() -> None:
            signup.answer_all(database, config, now=clock())
            deliver.run(database, config, clock=clock, rng=random.Random(1), share=deliver.NOTICES)

        self._app = application(database, config, clock=clock, mail_now=mail_now)
        self.client = self.at("198.51.100.7")

    def at(self, ip: str) -> TestClient:
        return TestClient(self._app, client=(ip, 4711))

    def ask(self, address: str, **fields: Any) -> str:
        """The text of the page one is led to."""
        answer = self.client.post("/subscribe/daily", data={"email": address, **fields})
        assert answer.status_code == 200 and answer.url.path == "/subscribe/daily/sent"
        return answer.text

    def mail(self) -> EmailMessage:
        """The last one that came."""
        return email.message_from_bytes(self.inbox.messages[-1].content, policy=email.policy.default)

    def link(self) -> str:
        text = self.mail().get_body(("plain",)).get_content()
        return re.search(r"https://digest\.example(/\S+)", text)[1]


@pytest.fixture
def config(configure: Callable[..., Config], inbox: Catcher) -> Config:
    return configure(newsletters={"daily": NEWS}, smtp={"url": inbox.url})


@pytest.fixture
def door(database: Database, config: Config, clock: Clock, inbox: Catcher) -> Iterator[Door]:
    yield Door(database, config, clock, inbox)


def standing(database: Database, address: str = "ada@example.org") -> str | None:
    with database.read() as session:
        person = people.find(session, address)
        found = history.standings(session, person) if person else []
    return found[0].state if found else None


def rows(database: Database) -> dict[str, list[Any]]:
    with database.read() as session:
        tables = (Subscriber, Subscription, Consent, Notice, OutboxRow, SignupMail, SignupWait)
        return {t.__tablename__: sorted(map(repr, session.execute(sa.select(t.__table__)))) for t in tables}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", '{"email": "new@example.org"}'),
        ("application/problem+json; charset=utf-8", '{"email": "new@example.org"}'),
        (
            "multipart/form-data; boundary=x",
            '--x\r\nContent-Disposition: form-data; name="email"\r\n\r\nnew@example.org\r\n--x--\r\n',
        ),
        ("text/xml", "<email>new@example.org</email>"),
    ],
)
def test_what_is_no_form_of_ours_is_called_that_and_no_bad_address(door, kind, body):
    answer = door.client.post("/subscribe/daily", content=body, headers={"content-type": kind})
    assert answer.status_code == 400 and "not what our form sends" in answer.text


def test_who_signs_up_gets_one_mail_and_is_subscribed_by_its_button(door, database):
    form = door.client.get("/subscribe/daily").text
    assert "What the town talks of." in form and 'value="world"' in form and "other" not in form
    door.ask("Ada@Example.org", name="Ada", topic="world")
    assert standing(database) == "pending" and door.inbox.recipients == ["Ada@example.org"]
    mail = door.mail()
    assert mail["Subject"] == "Please confirm: Daily" and mail["Auto-Submitted"] and not mail["List-Id"]
    page = door.client.get(door.link())
    assert 'method="post"' in page.text and standing(database) == "pending"
    assert "You are subscribed" in door.client.post(door.link()).text
    assert standing(database) == "active"
    with database.read() as session:
        person = people.find(session, "ada@example.org")
        events = [(m.event, m.how, m.ip) for m in history.moments(session, person)]
        assert history.standings(session, person)[0].topics == ("world",) and person.name == "Ada"
    assert events == [
        ("pending", "sign-up page", "198.51.100.7"),
        ("subscribed", "sign-up page, confirmed by mail", "198.51.100.7"),
    ]


def test_looking_changes_nothing_and_confirming_twice_is_once(door, database):
    door.ask("ada@example.org")
    link, before = door.link(), rows(database)
    for path in ("/subscribe/daily", "/subscribe/daily/sent", link):
        for method in ("GET", "HEAD"):
            assert door.client.request(method, path).status_code == 200
    assert rows(database) == before
    door.client.post(link)
    after = rows(database)
    assert "You are subscribed" in door.client.post(link).text and "You are subscribed" in door.client.get(link).text
    assert rows(database) == after


def test_known_and_unknown_addresses_are_answered_alike(door, database, config):
    with database.write() as session:
        for address in ("here@example.org", "left@example.org", "barred@example.org", "gone@example.org"):
            enrol(
                session, address, newsletter="daily", how="test", now=MONDAY, secret=config.lasting_key,
                known_topics=(),
            )  # fmt: skip
        subscribe.remove(session, "left@example.org", newsletter="daily", evidence=Evidence("test", MONDAY))
        subscribe.suppress(session, "barred@example.org", reason="test", evidence=Evidence("test", MONDAY))
        subscribe.erase(session, "gone@example.org", secret=config.lasting_key, now=MONDAY)
    people = ["here@example.org", "left@example.org", "barred@example.org", "gone@example.org", "new@example.org"]
    assert len({door.ask(address) for address in [*people, "here@example.org"]}) == 1
    assert door.inbox.recipients == ["here@example.org", "left@example.org", "gone@example.org", "new@example.org"]
    assert standing(database, "left@example.org") == "unsubscribed", "until they confirm"
    subjects = [email.message_from_bytes(m.content)["Subject"] for m in door.inbox.messages]
    assert subjects[0] == "Daily: you are subscribed" and set(subjects[1:]) == {"Please confirm: Daily"}


def test_who_left_or_was_erased_comes_back_by_their_own_word(door, database, config, clock):
    door.ask("ada@example.org")
    first = door.link()
    door.client.post(first)
    with database.write() as session:
        subscribe.remove(
            session, "ada@example.org", newsletter="daily", evidence=Evidence("test", clock.pass_(hours=1))
        )
    assert door.client.post(first).status_code == 410 and standing(database) == "unsubscribed"
    clock.pass_(days=1)
    door.ask("ada@example.org")
    door.client.post(door.link())
    assert standing(database) == "active"
    with database.write() as session:
        subscribe.erase(session, "ada@example.org", secret=config.lasting_key, now=clock())
    assert door.client.get(door.link()).status_code == 404
    clock.pass_(days=1)
    door.ask("ada@example.org")
    door.client.post(door.link())
    with database.read() as session:
        assert erasures.find(session, subscribe.erasure_mark("ada@example.org", config.lasting_key)) is None
    assert standing(database) == "active"


def test_who_is_suppressed_between_asking_and_confirming_is_told_the_truth(door, database, config, clock):
    door.ask("ada@example.org")
    with database.write() as session:
        subscribe.suppress(
            session, "ada@example.org", reason="complaint", evidence=Evidence("test", clock.pass_(hours=1))
        )
    for answer in (door.client.get(door.link()), door.client.post(door.link())):
        assert answer.status_code == 409 and "We cannot write to your address" in answer.text
        assert 'href="mailto:news@news.example"' in answer.text
    assert standing(database) == "pending"
    with database.write() as session:
        subscribe.unsuppress(session, "ada@example.org", secret=config.lasting_key, evidence=Evidence("test", clock()))
    assert "You are subscribed" in door.client.post(door.link()).text and standing(database) == "active"


def test_a_link_is_good_for_seven_days_and_the_row_for_no_longer(door, database, config, clock):
    door.ask("ada@example.org")
    clock.pass_(days=7, minutes=1)
    assert door.client.post(door.link()).status_code == 410 and standing(database) == "pending"
    with database.write() as session:
        assert signup.tidy(session, now=clock()) == 1
        assert signup.tidy(session, now=clock()) == 0
    assert standing(database) is None and not rows(database)["subscriber"] and not rows(database)["notice"]
    assert "ada" not in str(rows(database)["signup_mail"])


@pytest.mark.long
@on_sqlite
def test_an_address_gets_such_mails_at_growing_distances(door, database, clock):
    came = []
    for day in range(110):
        if day > 10 and min(abs(day - due) for due in (38, 68, 98)) > 1 and day % 10:
            clock.pass_(days=1)  # of the days between, some will do
            continue
        before = len(door.inbox.messages)
        door.ask("ada@example.org")
        door.ask("ADA@example.org")
        came += [day] * (len(door.inbox.messages) - before)
        with database.write() as session:
            signup.tidy(session, now=clock.pass_(days=1))
    assert came == [0, 1, 8, 38, 68, 98], "also when its row is long gone"


def small(database, configure, clock, inbox, *, network: int = 3) -> Door:
    few = {"signups_per_network": network, "signups_per_hour": 5}
    return Door(database, configure(newsletters={"daily": NEWS}, smtp={"url": inbox.url}, web=few), clock, inbox)


def test_who_asks_beyond_the_limits_waits_and_nobody_is_lost(database, configure, clock, inbox):
    door = small(database, configure, clock, inbox)
    pages = [door.ask(f"a{number}@example.org") for number in range(7)]
    assert len(inbox.messages) == 3 and len(rows(database)["signup_wait"]) == 4
    assert len(set(pages[:3])) == len(set(pages[3:])) == 1 and "within a day" in pages[3] != pages[0]
    elsewhere = [door.at(f"2001:db8:{number}::1") for number in range(3)]
    for number, client in enumerate(elsewhere):
        client.post("/subscribe/daily", data={"email": f"b{number}@example.org"})
    assert len(inbox.messages) == 5, "all together have a share, too"
    for hours, came in ((1, 9), (2, 10)):
        clock.now = MONDAY + timedelta(hours=hours, minutes=hours)
        signup.answer_all(database, door.config, now=clock())
        deliver.run(database, door.config, clock=clock, rng=random.Random(1))
        assert len(inbox.messages) == came
    assert sorted(inbox.recipients) == [
        *(f"a{n}@example.org" for n in range(7)),
        *(f"b{n}@example.org" for n in range(3)),
    ]
    assert not rows(database)["signup_wait"] and "You are subscribed" in door.client.post(door.link()).text


@pytest.mark.long
@on_sqlite
def test_whoever_could_not_be_written_to_within_a_day_is_turned_away_by_network(database, configure, clock, inbox):
    door = small(database, configure, clock, inbox, network=1)
    answers = [door.client.post("/subscribe/daily", data={"email": f"a{n}@example.org"}) for n in range(1 + 23)]
    assert {answer.status_code for answer in answers} == {200}
    before = rows(database)
    for address in ("a0@example.org", "new@example.org"):
        refused = door.client.post("/subscribe/daily", data={"email": address})
        assert refused.status_code == 429 and refused.headers["retry-after"] and "from your network" in refused.text
    assert rows(database) == before
    assert door.at("2001:db8::1").post("/subscribe/daily", data={"email": "b@example.org"}).status_code == 200
    with database.read() as session:
        assert stored_signup.refused(session, since=clock() - timedelta(days=1)) == 2
        assert stored_signup.waiting(session).all == 23
    for _ in range(23):
        signup.answer_all(database, door.config, now=clock.pass_(hours=1, seconds=1))
    assert not rows(database)["signup_wait"] and len(rows(database)["subscriber"]) == 23 + 1 + 1


def test_an_address_is_asked_about_without_a_look_at_whose_it_is(database, configure, clock, inbox, monkeypatch):
    """Neither what is stored while somebody waits for the page nor what comes to others tells who is known."""
    door = small(database, configure, clock, inbox)
    kinds = ("here", "left", "barred", "new")
    with database.write() as session:
        for kind in kinds[:3]:
            enrol(session, f"{kind}@example.org", secret=door.config.lasting_key)
        subscribe.remove(session, "left@example.org", newsletter="daily", evidence=Evidence("test", MONDAY))
        subscribe.suppress(session, "barred@example.org", reason="test", evidence=Evidence("test", MONDAY))
    said, statements = [], []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    monkeypatch.setattr(signup, "answer_all", lambda *_, **__: 0)  # the courier's, while nobody waits
    for kind in kinds:
        statements.clear()
        door.ask(f"{kind}@example.org")
        said.append([words for words in statements if "signup_mail" not in words or "SELECT" in words])
    assert all(words == said[0] for words in said) and len(said[0]) < 20
    monkeypatch.undo()
    # Each has its place in the line, whatever it is answered with: so the fourth of three waits.
    signup.answer_all(database, door.config, now=clock())
    assert [row.split(",")[2] for row in rows(database)["signup_wait"]] == [" 'new@example.org'"]


def test_who_is_erased_waits_no_more(database, configure, clock, inbox):
    door = small(database, configure, clock, inbox)
    for number in range(4):
        door.ask(f"a{number}@example.org")
    with database.write() as session:
        enrol(session, "a3@example.org", secret=door.config.lasting_key)
        waiting = subscribe.everything(session, subscribe.known(session, "a3@example.org"))[1]["waiting"]
        assert [(one["newsletter"], one["at"]) for one in waiting] == [("daily", clock())], "and is told what does"
        subscribe.erase(session, "a3@example.org", secret=door.config.lasting_key, now=clock())
    assert not rows(database)["signup_wait"]


def test_a_cadence_may_be_asked_for_at_once(door, database):
    door.ask("ada@example.org", cadence="Monthly last Friday")
    with database.read() as session:
        assert subscribe.find(session, "ada@example.org", "daily")[1].cadence == "monthly last fri"
    answer = door.client.post("/subscribe/daily", data={"email": "bob@example.org", "cadence": "hourly"})
    assert answer.status_code == 422 and 'id="wrong-cadence"' in answer.text


def test_a_form_of_ones_own_may_ask_for_a_number_of_stories(door, database):
    answer = door.client.post("/subscribe/daily", data={"email": "a@b@c", "max_stories": "7"})
    assert '<input type="hidden" name="max_stories" value="7">' in answer.text
    door.ask("ada@example.org", max_stories="7")
    with database.read() as session:
        assert subscribe.find(session, "ada@example.org", "daily")[1].taste == {"max_stories": 7}


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        *(("max_stories", {"email": "ada@example.org", "max_stories": n}) for n in ("0", "101", "٣", "9" * 5000)),
        ("email", {"email": ""}),
        ("email", {"email": "a@b@c"}),
        ("email", {"email": "ada@example.org\r\nBcc: eve@example.org"}),
        ("email", {"email": "ada@[127.0.0.1]"}),
        ("topic", {"email": "ada@example.org", "topic": "no such"}),
        ("name", {"email": "ada@example.org", "name": "x" * 300}),
    ],
)
def test_what_cannot_be_taken_is_said_beside_its_field(door, database, field, fields):
    answer = door.client.post("/subscribe/daily", data=fields)
    assert answer.status_code == 422 and answer.text.count('role="alert"') == 1 and "<form" in answer.text
    assert f'id="wrong-{field}"' in answer.text
    assert not rows(database)["subscriber"] and not door.inbox.messages


def test_what_cannot_be_taken_is_said_in_the_language_of_the_page(database, configure, clock, inbox):
    config = configure(newsletters={"daily": NEWS | {"language": "de"}}, smtp={"url": inbox.url})
    fields = {"email": "a@b@c", "name": "x" * 300, "topic": "no such"}
    page = Door(database, config, clock, inbox).client.post("/subscribe/daily", data=fields).text
    assert "An diese Adresse können wir nicht schreiben." in page
    assert "Dieser Name ist zu lang." in page and "Bitte wählen Sie noch einmal." in page
    assert " is " not in re.sub("<style>.*?</style>", "", page, flags=re.DOTALL)


@pytest.mark.parametrize(
    "name", ["{{7*7}}", "<script>alert(1)</script>", "Ada\r\nBcc: eve@example.org", "=cmd|' /C'!A0"]
)
def test_a_name_is_never_more_than_a_name(door, name):
    door.ask("ada@example.org", name=name)
    mail = door.mail()
    assert mail["Bcc"] is None and door.inbox.recipients == ["ada@example.org"]
    raw = door.inbox.messages[-1].content
    assert b"<script>" not in raw and b"49" not in mail["To"].encode()
    page = door.client.post("/subscribe/daily", data={"email": "no", "name": name})
    assert "<script>" not in page.text and "49" not in page.text


def test_programs_that_fill_in_everything_get_nothing_and_people_are_told_why(door, database):
    before = rows(database)
    fields = {"email": "ada@example.org", "website": "https://spam.example"}
    answer = door.client.post("/subscribe/daily", data=fields)
    assert answer.status_code == 422 and rows(database) == before and not door.inbox.messages
    assert 'class="trap"' not in answer.text and 'id="wrong-website"' in answer.text
    assert 'value="https://spam.example" aria-invalid="true"' in answer.text, "it is shown to be cleared"
    assert 'class="trap"' in door.client.get("/subscribe/daily").text


def test_a_form_on_another_site_leads_here(door):
    answer = door.client.post(
        "/subscribe/daily", data={"email": "ada@example.org"}, headers={"Origin": "https://blog.example"}
    )
    assert answer.status_code == 200 and door.inbox.recipients == ["ada@example.org"]
    assert not answer.cookies and answer.headers["referrer-policy"] == "no-referrer"


def test_a_newsletter_without_sign_up_has_no_form(database, configure, clock):
    closed = configure(newsletters={"daily": NEWS | {"signup": False}})
    client = TestClient(application(database, closed, clock=clock))
    assert client.get("/subscribe/daily").status_code == client.post("/subscribe/daily").status_code == 404
    assert client.get("/subscribe/no-such").status_code == 404


def test_a_body_beyond_its_bound_or_of_nonsense_is_refused(door, database):
    assert door.client.post("/subscribe/daily", content=b"email=" + b"x" * 70_000).status_code == 413
    assert door.client.post("/subscribe/daily", content=b"&".join(b"topic=a" for _ in range(500))).status_code == 400
    nonsense = door.client.post("/subscribe/daily", content=b"\xff\xfe")
    assert nonsense.status_code == 400 and "cannot be read" in nonsense.text
    assert door.client.post("/subscribe/daily", content=b"email=%ff@example.org").status_code == 400
    assert not rows(database)["subscriber"]


@pytest.mark.parametrize("token", ["x", "MQ.abc", "%00", "a" * 2000])
def test_a_link_to_confirm_that_is_not_ours_does_nothing(door, token):
    assert door.client.get(f"/confirm/{token}").status_code == 404
    assert door.client.post(f"/confirm/{token}").status_code == 404


def test_a_mail_that_cannot_go_out_now_stays_owed(door, database, inbox, config, clock):
    inbox.refuse["ada@example.org"] = "451 4.7.1 later"
    door.ask("ada@example.org")
    assert not inbox.messages
    inbox.refuse.clear()
    clock.pass_(hours=2)
    deliver.run(database, config, clock=clock, rng=random.Random(1))
    assert inbox.recipients == ["ada@example.org"]


@pytest.mark.parametrize("welcome", [True, False])
def test_who_confirms_awaits_the_latest_edition_if_the_settings_say_so(database, configure, clock, inbox, welcome):
    config = configure(newsletters={"daily": NEWS | {"welcome": welcome}}, smtp={"url": inbox.url})
    door = Door(database, config, clock, inbox)
    door.ask("ada@example.org")
    door.client.post(door.link())
    with database.read() as session:
        assert session.exec(select(Subscription)).one().awaits_welcome == welcome


def test_the_pages_speak_the_language_of_the_newsletter(database, configure, clock, inbox):
    config = configure(newsletters={"daily": NEWS | {"language": "ar"}}, smtp={"url": inbox.url})
    door = Door(database, config, clock, inbox)
    form = door.client.get("/subscribe/daily").text
    assert '<html lang="ar" dir="rtl">' in form and "Email address" not in form
    door.ask("ada@example.org")
    assert "أكّد" in door.mail().get_body(("html",)).get_content()


def test_pending_people_of_a_list_are_asked_once(door, database, config, clock):
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        for address in ("ada@example.org", "bob@example.org", "eve@stop.example", "stop@example.org"):
            person = people.keep(session, address, name="", tags=(), now=MONDAY)
            people.subscribe(session, person, paper, consent="import list.csv", now=MONDAY).state = "pending"
        for address in ("@stop.example", "stop@example.org"):  # nobody writes there, so nothing is owed
            subscribe.suppress(session, address, reason="asked", evidence=Evidence("test", MONDAY))
    with database.write() as session:
        assert signup.ask_imported(session, "daily", config=config, now=clock()) == 2
        assert signup.ask_imported(session, "daily", config=config, now=clock()) == 0
    deliver.run(database, config, clock=clock, rng=random.Random(1))
    door.client.post(door.link())
    with database.write() as session:
        signup.tidy(session, now=clock.pass_(days=8))
    assert {standing(database, "ada@example.org"), standing(database, "bob@example.org")} == {"active", None}


def test_a_changed_key_leaves_old_links_good(door, database, configure, clock, inbox, config):
    door.ask("ada@example.org")
    old = config.secret_key.get_secret_value()
    rotated = configure(
        newsletters={"daily": NEWS}, secret_key="another key, and long enough", former_secret_keys=[old]
    )
    after = Door(database, rotated, clock, inbox)
    assert "You are subscribed" in after.client.post(door.link()).text
    assert rotated.lasting_key == old
    forgotten = Door(
        database, configure(newsletters={"daily": NEWS}, secret_key="a third key, long enough"), clock, inbox
    )
    assert forgotten.client.get(door.link()).status_code == 404


def test_a_second_mail_is_another_mail_though_the_first_one_s_row_is_gone(door, database, clock):
    door.ask("ada@example.org")
    with database.write() as session:
        signup.tidy(session, now=clock.pass_(days=8))
    door.ask("ada@example.org")
    one, two = (email.message_from_bytes(message.content)["Message-ID"] for message in door.inbox.messages)
    assert one != two
    with database.read() as session:
        (line,) = letters.lines(session)
        _sender, written_at = letters.sender(session, line.id)
    assert sign.message_id(line.id, key=KEY, domain="news.example", written_at=written_at) == two


def test_no_link_of_who_was_erased_is_ever_a_link_of_somebody_else(door, database):
    door.ask("ada@example.org")
    confirm = door.link()
    choices = re.search(r'href="(/preferences/[^"]+)"', door.client.post(confirm).text)[1]
    assert door.client.post(f"{choices}/erase", data={"sure": "yes"}).status_code == 200
    door.ask("eve@example.org")
    door.client.post(door.link())
    assert [door.client.get(path).status_code for path in (choices, f"{choices}/data", confirm)] == [410, 410, 404]


def test_a_stranger_gives_no_name_to_whom_we_know(door, database, config):
    with database.write() as session:
        enrol(
            session, "ada@example.org", newsletter="daily", how="test", now=MONDAY, secret=config.lasting_key,
            known_topics=(),
        )  # fmt: skip
    door.ask("ada@example.org", name="You have won")
    with database.read() as session:
        assert people.find(session, "ada@example.org").name == ""


def test_mails_to_an_imported_list_do_not_close_the_form(door, database, config, clock):
    with database.write() as session:
        for number in range(config.web.signups_per_hour):
            stored_signup.note_answer(session, address=f"imported {number}", network="", now=clock())
    door.ask("ada@example.org")
    assert door.inbox.recipients == ["ada@example.org"]


def test_what_the_page_says_is_gone_is_not_confirmed(door, database, configure, clock):
    door.ask("ada@example.org")
    pages = TestClient(application(database, configure(newsletters={"weekly": NEWS}), clock=clock))
    assert pages.get(door.link()).status_code == pages.post(door.link()).status_code == 404
    assert standing(database) == "pending"


def test_an_old_link_to_confirm_leads_nobody_to_the_choices(door, database, clock):
    door.ask("ada@example.org")
    link = door.link()
    assert "/preferences/" in door.client.post(link).text
    clock.now += signup.VALID_FOR + timedelta(seconds=1)
    for answer in (door.client.get(link), door.client.post(link)):
        assert answer.status_code == 410 and "/preferences/" not in answer.text
    assert standing(database) == "active"


@contextmanager
def meanwhile(database: Database, act: Callable[[Any], Any]) -> Iterator[Callable[[], None]]:
    """Somebody acts in a transaction of their own; goes on when they wait for ours or are done.

    What comes of it is known when the function is called that is handed out, after ours has ended.
    """
    if database.engine.dialect.name == "sqlite":
        pytest.skip("has one writer at a time")
    trouble: list[Exception] = []

    def do() -> None:
        try:
            with database.write() as session:
                act(session)
        except Exception as error:
            trouble.append(error)

    thread = threading.Thread(target=do)

    def ended() -> None:
        thread.join()
        assert not trouble, trouble

    thread.start()
    try:
        with database.read() as watch:
            while thread.is_alive() and not postgres.waiting_for_us(watch):
                watch.rollback()
        yield ended
    finally:
        thread.join(0)


@pytest.fixture
def two_papers(database: Database, configure: Callable[..., Config], clock: Clock) -> Config:
    config = configure(newsletters={"daily": NEWS, "weekly": NEWS}, web={"signups_per_network": 2})
    newsletters.keep(database, config.newsletters, now=clock())
    return config


def ask_in(session: Session, config: Config, clock: Clock, address: str, paper: str) -> None:
    said = Evidence("sign-up page", clock(), ip="192.0.2.1")
    signup.ask(session, address, newsletter=paper, config=config, evidence=said, known_topics=())
    signup.answer_waiting(session, config=config, now=clock())


@pytest.mark.parametrize("second", ["ada@example.org", "bob@example.org"])
def test_two_who_sign_up_at_once_for_two_newsletters_keep_the_limits(database, two_papers, clock, second):
    with database.write() as session:
        if second == "bob@example.org":
            ask_in(session, two_papers, clock, "eve@example.org", "daily")
    with database.write() as session:
        ask_in(session, two_papers, clock, "ada@example.org", "daily")
        with meanwhile(database, lambda other: ask_in(other, two_papers, clock, second, "weekly")) as ended:
            session.commit()
            ended()
    people = [person.split("'")[1] for person in rows(database)["subscriber"]]
    assert second == "ada@example.org" or "bob@example.org" not in people
    assert len(rows(database)["notice"]) == len(people)


@pytest.mark.parametrize("paper", ["daily", "weekly"])
def test_who_asks_again_while_the_unconfirmed_are_forgotten_is_kept(database, two_papers, clock, paper):
    with database.write() as session:
        ask_in(session, two_papers, clock, "ada@example.org", "daily")
    clock.pass_(days=8)
    with database.write() as session:
        ask_in(session, two_papers, clock, "ada@example.org", paper)
        with meanwhile(database, lambda other: signup.tidy(other, now=clock())) as ended:
            session.commit()
            ended()
    with database.read() as session:
        person = people.find(session, "ada@example.org")
        assert paper in [one.newsletter for one in history.standings(session, person)]
    assert len(rows(database)["notice"]) == 2


@pytest.mark.parametrize("paper", ["daily", "weekly"])
def test_who_is_forgotten_while_they_ask_again_is_stored_anew(database, two_papers, clock, paper):
    with database.write() as session:
        ask_in(session, two_papers, clock, "ada@example.org", "daily")
    clock.pass_(days=8)
    with database.write() as session:
        person = session.exec(select(Subscriber).with_for_update()).one()  # as whoever forgets does first
        with meanwhile(database, lambda other: ask_in(other, two_papers, clock, "ada@example.org", paper)) as ended:
            session.delete(person)
            session.commit()
            ended()
    with database.read() as session:
        person = people.find(session, "ada@example.org")
        assert [one.newsletter for one in history.standings(session, person)] == [paper]


def test_who_is_written_in_by_hand_while_the_unconfirmed_are_forgotten_is_kept(database, config, clock):
    with database.write() as session:
        ask_in(session, config, clock, "ada@example.org", "daily")
    clock.pass_(days=8)
    forgotten: list[int] = []
    with database.write() as session:
        enrol(
            session, "ada@example.org", newsletter="daily", how="by hand", now=clock(), secret=config.lasting_key,
            known_topics=(),
        )  # fmt: skip
        with meanwhile(database, lambda other: forgotten.append(signup.tidy(other, now=clock()))) as ended:
            session.commit()
            ended()
    assert standing(database) == "active" and forgotten == [0]


@pytest.mark.parametrize("paper", ["daily", "weekly"])
def test_who_is_in_a_list_while_the_unconfirmed_are_forgotten_comes_in(database, two_papers, clock, paper):
    with database.write() as session:
        ask_in(session, two_papers, clock, "ada@example.org", "daily")
    terms = subscribe.Terms("list.csv", clock.pass_(days=8), (), secret=two_papers.lasting_key, vouched_by="the editor")

    def take_in(_other: Session) -> None:
        subscribe.import_csv(database, io.BytesIO(b"email,state\nada@example.org,active\n"), terms, newsletter=paper)

    with database.write() as session:
        # As whoever forgets does first.
        found = session.exec(select(Subscription, Subscriber).join(Subscriber).with_for_update()).one()
        with meanwhile(database, take_in) as ended:
            for row in found:
                session.delete(row)
                session.flush()
            session.commit()
            ended()
    with database.read() as session:
        person = people.find(session, "ada@example.org")
        assert [(one.newsletter, one.state) for one in history.standings(session, person)] == [(paper, "active")]
        assert [moment.event for moment in history.moments(session, person)] == ["subscribed"]


def test_two_who_ask_a_list_at_once_ask_each_person_once(database, config, clock):
    with database.write() as session:
        person = people.keep(session, "ada@example.org", name="", tags=(), now=MONDAY)
        paper = newsletters.lock(session, "daily")
        people.subscribe(session, person, paper, consent="import list.csv", now=MONDAY).state = "pending"
    asked: list[int] = []
    with database.write() as session:
        assert signup.ask_imported(session, "daily", config=config, now=clock()) == 1
        second = clock.pass_(seconds=1)
        with meanwhile(
            database, lambda other: asked.append(signup.ask_imported(other, "daily", config=config, now=second))
        ) as ended:
            session.commit()
            ended()
    assert asked == [0] and len(rows(database)["notice"]) == 1


def test_two_who_act_at_once_act_one_after_the_other(door, database, config, clock):
    if database.engine.dialect.name == "sqlite":
        pytest.skip("has one writer at a time")
    door.ask("ada@example.org")
    token = door.link().rpartition("/")[2]
    id_ = sign.read_confirm(token, keys=config.keys).subscription_id
    said = Evidence("sign-up page, confirmed by mail", clock())
    with database.write() as late:
        seen = people.subscription_by_id(late, id_)
        with database.write() as session:
            assert signup.confirm(session, token, config=config, evidence=said).outcome == "confirmed"
        assert signup.confirm(late, token, config=config, evidence=said).outcome == "unchanged"
        assert seen[0].state == "active"
    with database.write() as late:
        seen = people.subscription_by_id(late, id_)
        with database.write() as session:
            subscribe.leave(session, id_, evidence=Evidence("test", clock()))
        with pytest.raises(UserError, match="left daily"):
            subscribe.pause(late, "ada@example.org", newsletter="daily", until=None, evidence=Evidence("test", clock()))
        assert seen[0].state == "unsubscribed"


def test_a_sign_up_for_a_name_that_is_not_known_waits_for_the_name_it_gets(database, config, configure, clock):
    renamed = configure(newsletters={"morning": NEWS})
    with database.write() as session:
        said = Evidence("sign-up page", clock(), ip="192.0.2.1")
        signup.ask(session, "ada@example.org", newsletter="daily", config=config, evidence=said, known_topics=())
    assert signup.answer_all(database, renamed, now=clock()) == 1  # waits on, and holds nobody up
    newsletters.keep(database, renamed.newsletters, now=clock())
    with database.write() as session:
        stored_signup.lock(session)
        renames.rename_newsletter(session, *(newsletters.lock(session, name) for name in ("daily", "morning")))
    assert signup.answer_all(database, renamed, now=clock()) == 0
    with database.read() as session:
        assert session.exec(select(Notice.email)).all() == ["ada@example.org"]


@pytest.mark.parametrize("which", ["erase", "topic", "newsletter"])
def test_who_changes_many_and_who_answers_sign_ups_do_not_wait_for_each_other_in_a_circle(
    database, config, digest, tmp_path, clock, monkeypatch, which
):
    """The one who answers begins when the other has taken its first locks, as far as it comes."""
    said = Evidence("sign-up page", clock(), ip="192.0.2.1")
    with database.write() as session:
        enrol(session, "ada@example.org", known_topics=("old",), topics=("old",))
        signup.ask(session, "ada@example.org", newsletter="daily", config=config, evidence=said, known_topics=())
    topics = "\n".join(f"[newsletters.NAME.topics.{name}]" for name in ("new", "world"))
    name = "morning" if which == "newsletter" else "daily"
    (tmp_path / "digest.toml").write_text(
        f'secret_key = "{KEY}"\n[newsletters.{name}]\ntitle = "D"\nfrom = "d@news.example"\n'
        + topics.replace("NAME", name)
    )
    later: list[Callable[[], None]] = []

    def while_answered(do: Callable[..., Any]) -> Callable[..., Any]:
        def done(*args: Any, **named: Any) -> Any:
            with meanwhile(database, lambda other: signup.answer_waiting(other, config=config, now=clock())) as ended:
                later.append(ended)
            return do(*args, **named)

        return done

    monkeypatch.setattr(people, "erase", while_answered(people.erase))
    for rename in ("rename_topic", "rename_newsletter"):
        monkeypatch.setattr(renames, rename, while_answered(getattr(renames, rename)))
    words = {
        "erase": ("subscriber", "erase", "--where", "state=active", "--yes"),
        "topic": ("topic", "rename", "old", "new"),
        "newsletter": ("newsletter", "rename", "daily", "morning"),
    }[which]
    url = database.engine.url.render_as_string(hide_password=False)
    assert digest(*words, DIGEST_DATABASE=url).returncode == 0
    for ended in later:
        ended()
    assert len(later) == 1
