"""Who has not confirmed: asked by the operator, and reminded once by ourselves."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from conftest import MONDAY
from people import enrol
from sqlmodel import select
from test_many import whom

from digest import line, sign, subscribe
from digest.errors import UserError
from digest.models import Notice, OutboxRow
from digest.store import history, people
from digest.store.run_tables import RunDay
from digest.subscribe import Evidence, asks, many, signup

SAID = Evidence("sign-up page", MONDAY)


@pytest.fixture
def asked(database, config):
    """Three who were asked on Monday, whose mails were sent, and one whose was not."""
    with database.write() as session:
        for who in ("ada@example.org", "bob@example.org", "eve@stop.example", "lost@example.org"):
            signup.ask(session, who, newsletter="daily", config=config, evidence=SAID, known_topics=())
            signup.answer_waiting(session, config=config, now=SAID.at)
        for notice in session.exec(select(Notice).where(Notice.email != "lost@example.org")):
            session.exec(
                sa.update(OutboxRow).where(OutboxRow.notice_id == notice.id).values(state="sent", settled_at=MONDAY)
            )
        subscribe.suppress(session, "@stop.example", reason="asked", evidence=SAID)
    return database


def mails(database, after=MONDAY):
    with database.read() as session:
        return list(session.exec(select(Notice).where(Notice.created_at > after).order_by(Notice.id)))


def test_who_did_not_confirm_is_reminded_once_and_only_once(asked, config):
    with asked.write() as session:
        token = sign.confirm_token(
            subscribe.find(session, "bob@example.org", "daily")[1].id, at=MONDAY, key=config.keys[0]
        )
        signup.confirm(session, token, config=config, evidence=SAID)
    early, due = MONDAY + timedelta(days=3, seconds=-1), MONDAY + timedelta(days=3)
    assert asks.remind(asked, "daily", config=config, now=early) == 0
    assert asks.remind(asked, "daily", config=config, now=due) == 1
    assert asks.remind(asked, "daily", config=config, now=due + timedelta(days=3)) == 0
    (mail,) = mails(asked)
    assert (mail.email, mail.subject) == ("ada@example.org", "A reminder, please confirm: Daily")
    with asked.write() as session:
        said = history.moments(session, people.find(session, "ada@example.org"))
        assert [(m.event, m.detail) for m in said] == [("pending", ""), ("pending", "reminded to confirm")]
        token = mail.text.partition("/confirm/")[2].split()[0]
        at = MONDAY + timedelta(days=9)  # the reminder's own seven days
        answer = signup.confirm(session, token, config=config, evidence=Evidence("web", at))
        assert answer.outcome == "confirmed"


def test_nobody_is_reminded_where_the_settings_say_never_or_too_late(asked, config):
    never = config.newsletters["daily"].model_copy(update={"remind_days": 0})
    silent = config.model_copy(update={"newsletters": {"daily": never}})
    assert asks.remind(asked, "daily", config=silent, now=MONDAY + timedelta(days=3)) == 0
    assert asks.remind(asked, "daily", config=config, now=MONDAY + timedelta(days=7)) == 0
    assert line.remind(asked, config, "daily", now=MONDAY + timedelta(days=3)) == 0  # a clock that nothing bears out
    with asked.write() as session:
        session.add(RunDay(day=MONDAY.replace(hour=0, minute=0) + timedelta(days=2)))
    assert line.remind(asked, config, "daily", now=MONDAY + timedelta(days=3)) == 2
    assert {mail.email for mail in mails(asked)} == {"ada@example.org", "bob@example.org"}


def test_an_operator_has_those_asked_who_are_pending_once_a_day(asked, config):
    now = MONDAY + timedelta(days=2)
    said = Evidence("command line", now)
    with asked.write() as session:
        enrol(session, "kim@example.org", now=MONDAY)
        with pytest.raises(UserError, match=r"kim@example.org is active, and needs not confirm daily"):
            asks.ask_one(session, "kim@example.org", newsletter="daily", config=config, evidence=said)
        assert asks.ask_one(session, "ada@example.org", newsletter="daily", config=config, evidence=said)
        assert not asks.ask_one(session, "ada@example.org", newsletter="daily", config=config, evidence=said)
    verb = asks.ask(whom(), config=config, evidence=said)
    assert (many.count(asked, verb.whom), many.each(asked, verb)) == (3, 2)
    assert many.each(asked, verb) == 0
    assert [mail.email for mail in mails(asked)] == ["ada@example.org", "bob@example.org", "lost@example.org"]
    assert {mail.subject for mail in mails(asked)} == {"Please confirm: Daily"}


def test_a_reminder_keeps_its_distance_from_other_mails_of_sign_ups_and_they_from_it(asked, config):
    due = MONDAY + timedelta(days=3)
    with asked.write() as session:  # another newsletter's mail went to bob an hour ago
        signup.count(session, "bob@example.org", config, now=due - timedelta(hours=1))
    assert asks.remind(asked, "daily", config=config, now=due) == 1
    assert [mail.email for mail in mails(asked)] == ["ada@example.org"]
    with asked.write() as session:
        assert not signup.apart(session, "ada@example.org", config, now=due + timedelta(days=6))  # the second: a week
        assert signup.apart(session, "ada@example.org", config, now=due + timedelta(days=7))
        assert not asks.ask_one(
            session, "bob@example.org", newsletter="daily", config=config, evidence=Evidence("command line", due)
        )


def test_those_who_must_wait_for_their_reminder_keep_nobody_else_from_it(asked, config, monkeypatch):
    monkeypatch.setattr(asks, "STEP", 1)
    due = MONDAY + timedelta(days=3)
    with asked.write() as session:
        signup.count(session, "ada@example.org", config, now=due)
    assert asks.remind(asked, "daily", config=config, now=due) == 1
    assert [mail.email for mail in mails(asked)] == ["bob@example.org"]
