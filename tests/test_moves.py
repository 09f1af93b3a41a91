"""Another address: by the operator, or by the reader with a mail that proves it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from conftest import MONDAY
from people import SECRET, enrol
from sqlmodel import select
from starlette.testclient import TestClient

from digest import sign, subscribe
from digest.errors import BadInput, NotFound, UserError
from digest.models import Edition, Notice, OutboxRow, Variant
from digest.store import history, newsletters, outbox, people
from digest.subscribe import Evidence, moves
from digest.web import application

SAID = Evidence("command line", MONDAY)
LEASE = {"lease": timedelta(hours=1), "lifetime": timedelta(days=2), "hold_doubtful": False}


def move(database, old, new):
    with database.write() as session:
        return moves.move(session, old, new, secret=SECRET, evidence=SAID)


def owe(session, email):
    """A letter of an edition to one reader; the edition's id."""
    paper = newsletters.find(session, "daily")
    edition = Edition(newsletter_id=paper.id, number=1, composed_at=MONDAY, upto_seq=1, sender="x@example.com")
    session.add(edition)
    session.flush()
    mail = {"subject": "", "html": "", "text": "", "story_count": 1, "more_count": 0}
    variant = Variant(edition_id=edition.id, key="k", since_seq=0, **mail)
    session.add(variant)
    session.flush()
    person, ours = subscribe.find(session, email, "daily")
    owed = {"edition_id": edition.id, "variant_id": variant.id, "due_at": MONDAY, "created_at": MONDAY}
    session.add(OutboxRow(subscriber_id=person.id, subscription_id=ours.id, **owed))
    return edition.id


def test_who_moves_keeps_choices_and_history_and_gets_what_is_owed_at_the_new_address_once(database):
    with database.write() as session:
        enrol(session, "Ada@example.org", known_topics=["ai"], topics=["ai"], tags=["vip"])
        edition_id = owe(session, "ada@example.org")
    assert move(database, "ADA@example.org", "ada@example.net")
    assert not move(database, "ada@example.net", "ada@example.net")
    with database.write() as session:
        person, ours = subscribe.find(session, "ada@example.net", "daily")
        assert (person.tags, ours.topics, people.find(session, "ada@example.org")) == (["vip"], ["ai"], None)
        said = [(m.event, m.detail) for m in history.moments(session, person)]
        assert said == [("subscribed", ""), ("moved", "Ada@example.org is ada@example.net now")]
        claim = outbox.claim(session, outbox.Wanted(edition_id, 9), now=MONDAY, **LEASE)
        assert [letter.email for letter in claim.letters] == ["ada@example.net"]
        with pytest.raises(UserError, match="or moved, and is not to be brought back"):
            enrol(session, "ada@example.org")  # a list that is imported again brings nobody two letters
    assert move(database, "ada@example.net", "ada@example.org")  # and back, since it was theirs
    with database.write() as session:
        assert enrol(session, "Ada@Example.org").outcome == "unchanged"


def test_an_address_that_is_not_free_is_not_moved_to(database):
    with database.write() as session:
        for email in ("ada@example.org", "bob@example.org", "gone@example.org"):
            enrol(session, email)
        subscribe.erase(session, "gone@example.org", secret=SECRET, now=MONDAY)
        subscribe.suppress(session, "stop@example.net", reason="asked", evidence=SAID)
        subscribe.suppress(session, "@blocked.example", reason="asked", evidence=SAID)
    for new, kind, says in (
        ("BOB@example.org", UserError, "is a subscriber already"),
        ("stop@example.net", UserError, "is suppressed: asked"),
        ("x@blocked.example", UserError, "is suppressed: asked"),
        ("gone@example.org", UserError, "was erased"),
        ("a@b@c", BadInput, "two @"),
    ):
        with pytest.raises(kind, match=says):
            move(database, "ada@example.org", new)
    with pytest.raises(NotFound, match="is not a subscriber"):
        move(database, "nobody@example.org", "new@example.org")
    with database.read() as session:
        assert [m.event for m in history.moments(session, people.find(session, "ada@example.org"))] == ["subscribed"]


# ---------------------------------------------------------------- by the reader


@pytest.fixture
def page(box, config, clock):
    """The pages, with ada's own; and the mails that are owed, as (address, link)."""
    with box.write() as session:
        enrol(session, "ada@example.org", secret=config.lasting_key)
        enrol(session, "bob@example.org", secret=config.lasting_key)
        _person, ours = subscribe.find(session, "ada@example.org", "daily")
        token = sign.token(sign.Purpose.PREFERENCES, ours.id, key=config.keys[0])
    client = TestClient(application(box, config, clock=clock), client=("198.51.100.7", 4711))
    client.here = f"/preferences/{token}"
    return client


def mails(box):
    with box.read() as session:
        rows = session.exec(select(Notice).order_by(Notice.id)).all()
        links = [re.search(r"/move/\S+", row.text) for row in rows]
        return [(row.email, link[0] if link else "") for row, link in zip(rows, links, strict=True)]


def ask(page, email):
    return page.post(f"{page.here}/move", data={"email": email})


def address_of(box):
    with box.read() as session:
        return [email for email in ("ada@example.org", "Ada@new.example") if people.find(session, email)]


def test_a_reader_moves_by_a_mail_to_the_new_address_and_a_button_and_looking_changes_nothing(page, box, clock):
    assert "on its way to the new address" in ask(page, "Ada@New.example").text
    ((to, link),) = mails(box)
    assert to == "Ada@new.example" and address_of(box) == ["ada@example.org"]
    for _ in range(2):
        shown = page.get(link)
        assert shown.status_code == 200 and "All your letters come to Ada@new.example then." in shown.text
    assert address_of(box) == ["ada@example.org"]
    assert "Your letters come to Ada@new.example from now on." in page.post(link).text
    assert address_of(box) == ["Ada@new.example"]
    assert page.post(link).status_code == 200  # twice is once
    with box.read() as session:
        moved = history.moments(session, people.find(session, "ada@new.example"))[-1]
        assert (moved.event, moved.how, moved.ip) == ("moved", "preference page, confirmed by mail", "198.51.100.7")
    assert [to for to, _ in mails(box)] == ["Ada@new.example", "ada@example.org"]  # the old one is told
    assert "Ada@new.example" in page.get(page.here).text  # the links in old mail stay good


def test_a_link_is_for_one_address_one_purpose_and_seven_days(page, box, clock, config):
    ask(page, "ada@new.example")
    ((_to, link),) = mails(box)
    token = link.removeprefix("/move/")
    assert sign.read_confirm(token, keys=config.keys) is None and page.get(f"/confirm/{token}").status_code == 404
    assert page.get(f"/move/{page.here.removeprefix('/preferences/')}").status_code == 404
    clock.pass_(days=8)
    assert page.post(link).status_code == 410
    assert address_of(box) == ["ada@example.org"]


def test_an_older_link_is_void_once_they_have_moved_elsewhere(page, box, config):
    ask(page, "ada@new.example")
    ((_to, link),) = mails(box)
    with box.write() as session:
        moves.move(session, "ada@example.org", "ada@work.example", secret=config.lasting_key, evidence=SAID)
    assert page.post(link).status_code == 410


def test_the_page_says_the_same_of_every_address_and_an_address_that_is_taken_is_not_given(page, box):
    with box.write() as session:
        subscribe.suppress(session, "stop@example.net", reason="asked", evidence=SAID)
    told = {ask(page, email).text for email in ("stop@example.net", "bob@example.org", "ada@new.example")}
    assert len(told) == 1
    assert "no address that we can write to" in ask(page, "nobody").text
    assert [to for to, _ in mails(box)] == ["bob@example.org", "ada@new.example"]
    assert page.post(mails(box)[0][1]).status_code == 409
    with box.write() as session:
        subscribe.suppress(session, "@new.example", reason="asked", evidence=SAID)
    assert page.post(mails(box)[1][1]).status_code == 409
    assert "on its way" in ask(page, "bob@example.org").text
    assert len(mails(box)) == 2  # one mail a day to one address
    assert address_of(box) == ["ada@example.org"]


def test_who_reads_in_another_language_is_asked_in_mail_that_says_so(page, box):
    with box.write() as session:
        subscribe.find(session, "ada@example.org", "daily")[1].language = "de"
    ask(page, "ada@new.example")
    with box.read() as session:
        assert 'lang="de"' in session.exec(select(Notice.html)).one()


def waits_at(session, email, *papers):
    """Somebody has not confirmed what a stranger may have asked for."""
    for paper in papers or ("daily",):
        person = people.keep(session, email, name="", tags=(), now=MONDAY)
        made = people.subscribe(session, person, newsletters.find(session, paper), consent="web", now=MONDAY)
        made.state = "pending"


def test_who_has_confirmed_nothing_keeps_no_address_from_a_reader(page, box):
    with box.write() as session:
        waits_at(session, "ada@new.example")
    ask(page, "Ada@new.example")
    link = mails(box)[0][1]
    assert page.get(link).status_code == 200 and page.post(link).status_code == 200
    assert address_of(box) == ["Ada@new.example"]
    with box.read() as session:
        person = people.find(session, "ada@new.example")
        assert [ours.state for ours, _ in people.subscriptions_of(session, person)] == ["active"]
        assert [m.event for m in history.moments(session, person)] == ["subscribed", "moved"]


@pytest.mark.parametrize("state", ["active", "paused", "unsubscribed"])
def test_who_has_confirmed_or_left_there_keeps_it(page, box, state):
    with box.write() as session:
        waits_at(session, "ada@new.example")
        subscribe.find(session, "ada@new.example", "daily")[1].state = state
    ask(page, "ada@new.example")
    assert page.post(mails(box)[0][1]).status_code == 409
    with pytest.raises(UserError, match="is a subscriber already"):
        move(box, "ada@example.org", "ada@new.example")


@pytest.mark.parametrize("who", ["operator", "reader"])
def test_what_nobody_confirmed_does_not_go_along_whoever_moves_them(page, box, config, who):
    newsletters.keep(box, ["daily", "weekly"], now=MONDAY)
    with box.write() as session:
        waits_at(session, "ada@example.org", "weekly")
        weekly = subscribe.find(session, "ada@example.org", "weekly")[1].id
    if who == "operator":
        assert move(box, "ada@example.org", "ada@new.example")
    else:
        ask(page, "ada@new.example")
        assert page.post(mails(box)[0][1]).status_code == 200
    with box.read() as session:
        person = people.find(session, "ada@new.example")
        assert [paper for _ours, paper in people.subscriptions_of(session, person)] == ["daily"]
        assert people.subscription_by_id(session, weekly) is None


def test_who_has_confirmed_nothing_at_all_is_not_moved(box):
    with box.write() as session:
        waits_at(session, "new@example.org")
    with pytest.raises(UserError, match="has not confirmed anything yet"):
        move(box, "new@example.org", "other@example.org")
