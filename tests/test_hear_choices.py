"""Choices by mail: plain words are done and answered once, nothing else is, and the signed address proves whose."""

from __future__ import annotations

import email
import json
from dataclasses import replace
from datetime import date, timedelta

import hearing
import pytest
import sqlalchemy as sa
from conftest import MONDAY, on_sqlite
from editions import demo_feeds, page_of
from mailing import MARKS, send
from sqlmodel import col, select

from digest import hear, line, render, sign
from digest.models import Notice, OutboxRow, SubscriptionState, Variant
from digest.render.speech import speech
from digest.store import history, hooks, people, reports
from digest.store.api_tables import WebhookEvent
from digest.store.consent_tables import Consent
from digest.subscribe import by_mail
from digest.subscribe.plain_words import own_lines, understood

ADA = "ada@example.org"
TOPICS = {"ai": "Artificial intelligence", "security": "Security", "web-dev": "Web development"}


@pytest.mark.parametrize(
    ("words", "choices", "state"),
    [
        ("weekly", {"cadence": "weekly mon"}, ""),
        ("Weekly on Friday, please!", {"cadence": "weekly fri"}, ""),
        ("daily", {"cadence": "daily"}, ""),
        ("every 2 weeks", {"cadence": "fortnightly mon"}, ""),
        ("monthly 15", {"cadence": "monthly 15"}, ""),
        ("every edition", {"cadence": ""}, ""),
        ("topics ai security", {"topics": ("ai", "security")}, ""),
        ("topics: Web Development and AI, weekly", {"topics": ("ai", "web-dev"), "cadence": "weekly mon"}, ""),
        ("all topics", {"topics": ()}, ""),
        ("language de\nat 8 pm\ntext", {"language": "de", "hour": 20, "plain": True}, ""),
        ("html", {"plain": False}, ""),
        ("I'm back!", {}, "back"),
        ("stop", {}, "leave"),
        ("Unsubscribe me please", {}, "leave"),
        ("wöchentlich, Themen AI und Security", {"cadence": "weekly mon", "topics": ("ai", "security")}, ""),
        ("Sprache Deutsch", {"language": "de"}, ""),
        ("Abmelden", {}, "leave"),
        ("hebdomadaire, à 8h, en français", {"cadence": "weekly mon", "hour": 8, "language": "fr"}, ""),
        ("desabonner", {}, "leave"),
        ("temas ai y security, a las 20", {"topics": ("ai", "security"), "hour": 20}, ""),
        ("darme de baja", {}, "leave"),
        ("每周，主题 ai，语言 中文", {"cadence": "weekly mon", "topics": ("ai",), "language": "zh"}, ""),
        ("退订", {}, "leave"),
        ("أسبوعيا، مواضيع ai، الساعة ٨", {"cadence": "weekly mon", "topics": ("ai",), "hour": 8}, ""),
        ("إلغاء الاشتراك", {}, "leave"),
        ("settimanale, argomenti ai e security, alle 20", {
            "cadence": "weekly mon", "topics": ("ai", "security"), "hour": 20}, ""),
        ("disiscrivimi", {}, "leave"),
        ("toda semana, temas ai, idioma português", {"cadence": "weekly mon", "topics": ("ai",), "language": "pt"}, ""),
        ("cancelar inscrição", {}, "leave"),
        ("раз в неделю, по пятницам, в 8 часов", {"cadence": "weekly fri", "hour": 8}, ""),
        ("Отпишите меня, пожалуйста", {}, "leave"),
        ("co dwa tygodnie w środę, tylko tekst", {"cadence": "fortnightly wed", "plain": True}, ""),
        ("wypisz mnie", {}, "leave"),
        ("haftalık, dil Türkçe", {"cadence": "weekly mon", "language": "tr"}, ""),
        ("Abonelikten çık", {}, "leave"),
        ("毎週、トピック ai、8時に", {"cadence": "weekly mon", "topics": ("ai",), "hour": 8}, ""),
        ("配信停止お願いします", {}, "leave"),
        ("פעם בשבוע, נושאים ai, שפה עברית", {"cadence": "weekly mon", "topics": ("ai",), "language": "he"}, ""),
        ("הסירו אותי בבקשה", {}, "leave"),
        ("साप्ताहिक, विषय ai, भाषा हिन्दी", {"cadence": "weekly mon", "topics": ("ai",), "language": "hi"}, ""),
        ("सदस्यता छोड़ें।", {}, "leave"),
    ],
)  # fmt: skip
def test_plain_words_are_understood_in_every_language(words, choices, state):
    found = understood(words, topics=TOPICS)
    assert (dict(found.choices), found.state, found.strange) == (choices, state, [])


@pytest.mark.parametrize(
    ("words", "days"),
    [
        ("pause 2 weeks", 14), ("stop for a month", 30), ("Pause 3 Tage", 3), ("pause deux semaines", 14),
        ("pausa 2 semanas", 14), ("暂停2周", 14), ("إيقاف مؤقت أسبوعين", 14), ("pause", None),
        ("休止2週間", 14), ("пауза на 3 дня", 3), ("pauza 2 tygodnie", 14), ("ara 2 hafta", 14), ("השהיה שבועיים", 14),
        ("विराम 2 सप्ताह", 14), ("pausa 10 giorni", 10), ("pausa 2 meses", 60),
    ],
)  # fmt: skip
def test_a_pause_lasts_as_long_as_is_said(words, days):
    found = understood(words, topics=TOPICS)
    assert (found.state, found.days, found.strange) == ("pause", days, [])
    assert understood("pause until 2026-12-24", topics={}).until == date(2026, 12, 24)


@pytest.mark.parametrize(
    "words",
    [
        "please don't stop", "I want to stop smoking", "not weekly", "pause 99 years", "pause 2000 weeks",
        "daily weekly",
        "stop weekly", "back, stop", "8:30", "2 weeks", "pause 0 days", "text html", "topics astrology",
        "never back down", "http://evil.example/stop", "weekly " * 300 + "x", "kein Stopp", "ne pas arrêter",
        "不要停止", "停止しないで", "не отписывайте меня", "nie wypisuj mnie", "non disiscrivimi", "não cancelar",
        "beni çıkarma", "אל תסירו אותי", "बंद मत करें", "no weekly",
        "I would like to talk to somebody about a text", "pause until 2026-02-31", "٩" * 300,
    ],
)  # fmt: skip
def test_what_is_not_understood_whole_asks_for_nothing(words):
    found = understood(words, topics=TOPICS)
    assert not found.any and found.strange
    assert not any(sign in piece for piece in found.strange for sign in "/@<>")


def test_what_is_understood_in_part_says_which_part():
    found = understood("weekly\ntopics ai astrology\nand send me a pony", topics=TOPICS)
    assert dict(found.choices) == {"cadence": "weekly mon", "topics": ("ai",)}
    assert found.strange == ["astrology", "send me a pony"]


@pytest.mark.parametrize(
    "below",
    [
        "> stop\n> daily", "On Mon, 23 Nov 2026 at 07:00, Daily <news@news.example> wrote:\nstop", "-- \nstop",
        "Am 23.11.2026 um 07:00 schrieb Daily:\nstop", "-----Original Message-----\nstop", "From: Daily\nstop",
        "Best regards\nstop", "Sent from my phone\nstop", "_____\nstop",
        "Le 23 nov. 2026 à 07:00, Daily a écrit :\nstop",
    ],
)  # fmt: skip
def test_only_the_writers_own_lines_count(below):
    assert own_lines(f"Hello,\n\nweekly\n\n{below}") == ["weekly"]


def test_the_subject_counts_where_it_is_no_answer_and_the_mail_is_empty():
    assert understood("", "weekly", topics={}).choices == {"cadence": "weekly mon"}
    for subject in ("Re: weekly", "AW: weekly", "回复：weekly", "Odp: weekly", "YNT: weekly", "השב: weekly"):
        assert not understood("\n> old", subject, topics={}).any


@pytest.mark.parametrize("language", render.languages())
def test_the_words_that_an_answer_offers_are_understood(language):
    said = speech(language)
    offered = said.gettext(
        "Write to %(address)s, as in: pause 2 weeks, back, weekly, %(topics)stext, language de, at 8, stop, help."
    )
    words = offered % {"address": "\0", "topics": f"{said.gettext('topics')} ai security, "}
    after = words.partition("\0")[2].partition(":" if ":" in words else "：")[2]
    assert after.strip()
    kinds = set()
    for piece in after.replace("，", ",").replace("、", ",").replace("،", ",").strip(" .。").split(","):
        found = understood(piece, topics=TOPICS)
        assert not found.strange, piece
        kinds |= {found.state, *found.choices} | ({"help"} if found.help else set())
    assert kinds - {""} == {"pause", "back", "leave", "help", "cadence", "topics", "plain", "language", "hour"}


# ---------------------------------------------------------------- a mail that is read


@pytest.fixture
def config(configure):
    paper = {"title": "Daily", "from": "Daily <news@news.example>", "topics": {"ai": {"title": "AI"}}}
    return configure(mail={"address": "bounces@news.example"}, newsletters={"daily": paper})


@pytest.fixture
def address(database, config, clock):
    """Ada's, for choices."""
    hearing.letters(database, config, clock, ADA, "bob@example.org")
    return sign.choices_address(ada(database).id, key=config.keys[0], domain="", mailbox=config.mail.address)


def ada(database, email=ADA):
    with database.read() as session:
        one = people.subscriptions_of(session, people.find(session, email))[0][0]
        session.expunge_all()
        return one


def wrote(database, config, address, text, *, now=MONDAY, **more):
    """Read what somebody wrote; the row that it left."""
    raw = hearing.person(text, to=address, **more)
    source = hear.Given("test", [hear.Incoming(raw)])
    hear.read(database, config, source, clock=lambda: now, rooms=line.rooms())
    with database.read() as session:
        return reports.find(session, reports.Which())[0]


def answers(database):
    with database.read() as session:
        found = session.exec(select(Notice).where(col(Notice.key).startswith("choices:")).order_by(col(Notice.id)))
        return [(one.email, one.subject, one.text) for one in found]


def said(database):
    with database.read() as session:
        return [(m.event, m.how) for m in history.moments(session, people.find(session, ADA))][1:]


def test_choices_are_done_answered_once_and_undone(database, config, address):
    row = wrote(database, config, address, "pause 2 weeks\nweekly, text\n\n> daily", sender="eve@elsewhere.example")
    one = ada(database)
    assert (one.state, one.cadence, one.plain) == (SubscriptionState.PAUSED, "weekly mon", True)
    assert one.paused_until == MONDAY + timedelta(days=14)
    assert (row.kind, row.act, row.proof) == ("choices", "chose", "choices")
    assert {how for _, how in said(database)} == {f"mail {row.id}"}
    ((to, subject, text),) = answers(database)
    assert to == ADA and subject == "Your choices: Daily"
    assert "Paused until" in text and "Once a week, on Monday" in " ".join(text.split()) and address in text
    wrote(database, config, address, "pause 2 weeks\nweekly, text\n\n> daily", sender="eve@elsewhere.example")
    assert len(answers(database)) == 1  # a copy

    assert hear.undo(database, [row.id], how="test", now=MONDAY) == [row.id]
    one = ada(database)
    assert (one.state, one.cadence, one.plain, one.paused_until) == (SubscriptionState.ACTIVE, "", False, None)


@on_sqlite
def test_undoing_keeps_what_was_chosen_since(database, config, address):
    row = wrote(database, config, address, "weekly, topics ai")
    wrote(database, config, address, "daily", now=MONDAY + timedelta(hours=1))
    hear.undo(database, [row.id], how="test", now=MONDAY)
    assert (ada(database).cadence, ada(database).topics) == ("daily", [])


@on_sqlite
def test_coming_back_and_leaving_by_words_are_told_to_webhooks_and_undone(database, config, address):
    with database.write() as session:
        events = [event.value for event in hooks.OFFERED]
        hooks.add(session, "https://shop.example/", events=events, newsletters=[], secret="x", now=MONDAY)
    left = wrote(database, config, address, "stop")
    assert ada(database).state is SubscriptionState.UNSUBSCRIBED
    assert "no letters of Daily any more" in answers(database)[-1][2]
    back = wrote(database, config, address, "back")
    assert ada(database).state is SubscriptionState.ACTIVE
    hear.undo(database, [back.id], how="test", now=MONDAY)
    assert ada(database).state is SubscriptionState.UNSUBSCRIBED
    assert hear.undo(database, [left.id], how="test", now=MONDAY) == [left.id]
    assert ada(database).state is SubscriptionState.ACTIVE
    with database.read() as session:
        told = [json.loads(one.body) for one in session.exec(select(WebhookEvent).order_by(col(WebhookEvent.id)))]
    assert [one["type"] for one in told] == ["left", "subscribed", "left", "subscribed"]


ROBOTS = [
    "Auto-Submitted: auto-replied\n", "Precedence: bulk\n", "List-Id: <a.b.example>\n",
    "X-Auto-Response-Suppress: All\n",
    "Return-Path: <>\n", "X-Autoreply: yes\n", "X-Auto-Response-Suppress: OOF, AutoReply\n",
]  # fmt: skip


@pytest.mark.parametrize("header", ROBOTS)
@on_sqlite
def test_a_robot_changes_nothing_and_gets_no_answer(database, config, address, header):
    row = wrote(database, config, address, "back in two weeks\nstop", more=header)
    assert (row.act, ada(database).state, answers(database)) == ("none", SubscriptionState.ACTIVE, [])


@pytest.mark.parametrize("sender", ["MAILER-DAEMON@mx.example", ""])
@on_sqlite
def test_a_server_and_nobody_change_nothing(database, config, address, sender):
    row = wrote(database, config, address, "stop", sender=sender)
    assert (row.act, ada(database).state, answers(database)) == ("none", SubscriptionState.ACTIVE, [])


@on_sqlite
def test_without_the_right_token_nobody_is_changed(database, config, address):
    local, _, domain = address.partition("@")
    leave = sign.mail_token(sign.Purpose.LEAVE, ada(database).id, key=config.keys[0])
    other = sign.choices_address(1, key="another key, long enough too", domain="", mailbox=config.mail.address)
    forged = f"{local[:-1]}{'a' if local[-1] != 'a' else 'b'}@{domain}"
    for to in (forged, other, f"bounces+prefs+{leave}@{domain}"):
        row = wrote(database, config, to, "stop")
        assert (row.kind, row.act, row.proof) == ("choices", "unproven", "")
    assert ada(database).state is SubscriptionState.ACTIVE and answers(database) == []


@on_sqlite
def test_an_upcased_address_proves_as_well(database, config, address):
    assert wrote(database, config, address.upper(), "daily").act == "chose"
    assert len(address.partition("@")[0]) <= 64


@on_sqlite
def test_strange_words_get_the_help_and_change_nothing(database, config, address):
    row = wrote(database, config, address, "Tell me about your company\nhttps://evil.example/x")
    assert (row.act, row.before) == ("none", None)
    ((_, _, text),) = answers(database)
    words = " ".join(text.split())
    assert "Nothing was changed." in words and "“tell me about your company”" in words and "pause 2 weeks" in words
    assert "evil" not in words
    assert said(database) == []


@on_sqlite
def test_answers_are_bounded_by_day_and_choices_are_not(database, config, address):
    for number in range(by_mail.ANSWERS + 2):
        wrote(database, config, address, f"at {number}")
    assert len(answers(database)) == by_mail.ANSWERS and ada(database).hour == by_mail.ANSWERS + 1
    wrote(database, config, address, "daily", now=MONDAY + timedelta(days=2))
    assert len(answers(database)) == by_mail.ANSWERS + 1


@on_sqlite
def test_the_answer_speaks_the_readers_language(database, config, address):
    wrote(database, config, address, "Sprache Deutsch")
    ((_, subject, text),) = answers(database)
    assert (
        subject == "Ihre Auswahl: Daily" and "Sprache: Deutsch" in text and "Pause 2 Wochen" in " ".join(text.split())
    )


@on_sqlite
def test_who_is_suppressed_is_not_answered_and_cannot_come_back(database, config, address):
    from digest import subscribe

    with database.write() as session:
        subscribe.suppress(session, ADA, reason="test", evidence=subscribe.Evidence("test", MONDAY))
    wrote(database, config, address, "stop")
    wrote(database, config, address, "back")
    assert ada(database).state is SubscriptionState.UNSUBSCRIBED and answers(database) == []


@on_sqlite
def test_bounces_and_complaints_are_told_in_the_transaction_of_their_report(database, config, address):
    letters = hearing.sent(config)
    with database.write() as session:
        hooks.add(session, "https://shop.example/", events=list(hooks.OFFERED), newsletters=[], secret="x", now=MONDAY)
    policy = hearing.bounce(letters[ADA], status="5.7.1", words="550 5.7.1 spam")
    wanted = hearing.complaint(letters[ADA], to=letters[ADA].mail_from, feedback="not-spam")
    complained = hearing.complaint(letters["bob@example.org"], to=letters["bob@example.org"].mail_from)
    bounced = hearing.bounce(letters[ADA])
    hearing.hears(database, config, policy, wanted, complained, bounced, bounced)
    with database.read() as session:
        told = [json.loads(one.body) for one in session.exec(select(WebhookEvent).order_by(col(WebhookEvent.id)))]
    data = [(one["type"], one["data"]["email"], one["data"].get("act")) for one in told]
    assert sorted(data, key=str) == [
        ("bounced", ADA, "suppress"), ("complained", "bob@example.org", "complaint"), ("left", "bob@example.org", None)
    ]  # fmt: skip


@on_sqlite
def test_figures_are_kept_by_relay(database, config, address):
    hearing.hears(database, config, hearing.bounce(hearing.sent(config)[ADA]))
    with database.read() as session:
        (one,) = reports.figures(session, by="relay", since=MONDAY - timedelta(days=1))
    assert one.name and (one.delivered, one.hard) == (2, 1)


def test_letters_offer_the_address_only_where_somebody_reads(config, configure, tmp_path):
    page = page_of(tmp_path, demo_feeds())
    for offered in (True, False):
        mail = render.Templates().render(replace(page, by_mail=offered), subject="News")
        found = mail.marks.cut(mail.text)[1]
        assert (render.Marker.CHOICES in found) is offered and render.Marker.UNSUBSCRIBE in found


@on_sqlite
def test_the_address_in_a_letter_is_the_readers_own(database, config, address, clock):
    with database.write() as session:
        for variant in session.exec(select(Variant)):
            variant.text += MARKS.address(render.Marker.CHOICES) + "\n"
        session.execute(sa.update(OutboxRow).values(state="owed", settled_at=None, due_at=MONDAY))
    send(database, config, clock)
    letters = [path.read_bytes() for path in (config.maildir / "new").iterdir()]
    assert any(address in email.message_from_bytes(raw).as_string().replace("=\n", "") for raw in letters)


@on_sqlite
def test_erasure_takes_the_words_along(database, config, address):
    from digest import subscribe

    row = wrote(database, config, address, "weekly", sender=ADA)
    with database.write() as session:
        subscribe.erase(session, ADA, secret=config.lasting_key, now=MONDAY)
    with database.read() as session:
        kept = reports.get(session, row.id)
        assert (kept.text, kept.raw, kept.before, kept.why) == ("", None, None, "")
        assert (
            session.execute(
                sa.select(sa.func.count()).select_from(Consent).where(col(Consent.how) == f"mail {row.id}")
            ).scalar()
            == 0
        )
    assert hear.undo(database, [row.id], how="test", now=MONDAY) == []
