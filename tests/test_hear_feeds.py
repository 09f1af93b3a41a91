"""Newsletters as feeds: what comes to a signed address is an entry, cleaned and unwrapped, and its sender is bound."""

from __future__ import annotations

import base64
import json
import zlib
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import quote, urlencode

import pytest
from conftest import MONDAY, on_sqlite
from sqlmodel import col, select

from digest import collect, hear, line
from digest.collect import mailed
from digest.errors import BadInput, UserError
from digest.hear.for_feeds import mailed as taken_apart
from digest.models import Feed
from digest.parse.mailed import read
from digest.parse.unwrap import unwrap
from digest.store import feeds, reports
from digest.store.story_tables import Entry

TARGET = "https://example.org/a?x=1&y=2"
WEEKLY = {"From": "The Weekly <hi@weekly.example>", "List-Id": "The Weekly <weekly.weekly.example>"}


def coded(data: str | bytes) -> str:
    raw = data if isinstance(data, bytes) else data.encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


IN_PERCENT = quote(TARGET, safe="")
WRAPPED = [
    f"https://www.google.com/url?rct=j&sa=t&url={IN_PERCENT}&ct=ga",
    f"https://www.google.com/url?q={quote(f'https://www.google.com/url?q={IN_PERCENT}', safe='')}",
    f"https://nam02.safelinks.protection.outlook.com/?url={IN_PERCENT}&data=05",
    f"https://www.linkedin.com/comm/redir/redirect?url={IN_PERCENT}",
    f"https://example.com/redirect/{TARGET}",
    f"https://x.r.us-east-1.awstrack.me/L0/{quote(TARGET, safe=':')}/1/0100/seal=1",
    f"https://tracking.news.example/CL0/{quote(TARGET, safe=':')}/1/0100/seal=1",
    f"https://substack.com/redirect/2/{coded(json.dumps({'e': TARGET, 'p': 1}))}.c2VhbA",
    f"https://click.kit-mail.example/abc/def/{coded(TARGET)}",
    f"https://e.customeriomail.com/e/c/{coded(json.dumps({'email_id': 'x', 'href': TARGET}))}/seal",
    f"https://mandrillapp.com/track/click/1/example.org?p={coded(json.dumps({'p': json.dumps({'url': TARGET})}))}",
    f"https://email.mg.example.com/c/{coded(zlib.compress(urlencode({'h': '1', 'l': TARGET}).encode()))}",
    "https://urldefense.proofpoint.com/v2/url?u=https-3A__example.org_a-3Fx-3D1-26y-3D2&d=Dw",
    f"https://urldefense.com/v3/__{TARGET}__;!!abc$",
]
LEFT = [
    "https://example.us1.list-manage.com/track/click?u=abc&id=1&e=2",
    "https://u1.ct.sendgrid.net/ls/click?upn=u001.abc",
    f"https://www.facebook.com/sharer/sharer.php?u={IN_PERCENT}",
    f"https://web.archive.org/web/2020/{TARGET}",
    f"https://example.com/search?text={IN_PERCENT}",
    "https://example.com/redirect?url=javascript:alert(1)",
    f"https://click.example.com/{coded('file:///etc/passwd and more')}",
    f"https://email.example.com/c/{coded(zlib.compress(b'l=' + b'x' * 10_000_000))}",
    f"https://e.example.com/e/{coded('{' * 5000)}",
    "https://[broken/redirect?url=https://example.org",
]


@pytest.mark.parametrize("url", WRAPPED)
def test_a_tracking_link_leads_where_it_says(url):
    assert unwrap(url) == TARGET


@pytest.mark.parametrize("url", LEFT)
def test_a_link_that_says_nothing_stays_as_it_is(url):
    assert unwrap(url) == url


# ---------------------------------------------------------------- an entry of a mail


def letter(html="<p>Hello.</p>", *, subject="Issue 3", to="", at=MONDAY, number=1, text="", **headers) -> bytes:
    message = EmailMessage()
    given = {"Subject": subject, "To": to, "Date": format_datetime(at), "Message-ID": f"<{number}@weekly.example>"}
    given |= WEEKLY | {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in given.items():
        if value:
            message[name] = value
    message.set_content(text or "Hello, as text.")
    if html:
        message.add_alternative(html, subtype="html")
    return message.as_bytes()


def posted(*args, now=MONDAY, **more):
    return read(taken_apart(letter(*args, **more), feed="weekly", hash="abc", now=now))


def test_the_html_is_cleaned_unwrapped_and_cannot_end_our_subscription():
    found = posted(
        f'<script>alert(1)</script><img src="https://t.example/p.gif" width="1" height="1"><form action="/x"></form>'
        f'<p onclick="x()"><a href="{WRAPPED[0].replace("&", "&amp;")}">More</a> <a href="javascript:x()">x</a></p>'
        f'<p><a href="https://weekly.example/u?who=us">Unsubscribe</a></p>'
    )
    content = found.entry.content
    assert 'href="https://example.org/a?x=1&amp;y=2"' in content
    for bad in ("script", "onclick", "form", "p.gif", "google", "who=us"):
        assert bad not in content
    assert (found.entry.title, found.entry.author, found.title) == ("Issue 3", "The Weekly", "The Weekly")


@pytest.mark.parametrize(
    ("html", "headers", "url"),
    [
        ('<a href="https://weekly.example/3?e=me&amp;id=7">View in browser</a>', {}, "https://weekly.example/3?id=7"),
        ('<a href="https://weekly.example/3">Im Browser ansehen</a>', {}, "https://weekly.example/3"),
        ("<p>x</p>", {"Archived_At": "<https://lists.example/3>"}, "https://lists.example/3"),
        ('<a href="https://x.us1.list-manage.com/track/click?u=1">View in browser</a>',
         {"Archived_At": "<https://lists.example/3>"}, "https://lists.example/3"),
        ('<h1><a href="https://weekly.example/p/3?token=me">Issue 3</a></h1>', {}, "https://weekly.example/p/3"),
        ('<h1><a href="https://weekly.example/other">Another thing</a></h1><p><a href="https://b.example/">B</a></p>',
         {}, ""),
        ("", {}, ""),
    ],
)  # fmt: skip
def test_the_link_is_where_the_mail_stands_or_none(html, headers, url):
    assert posted(html, **headers).entry.url == url


def test_its_date_is_never_after_it_was_read():
    assert posted(at=MONDAY + timedelta(days=400)).entry.published_at == MONDAY
    assert posted(at=MONDAY - timedelta(days=2)).entry.published_at == MONDAY - timedelta(days=2)
    assert posted(Date="nonsense").entry.published_at == MONDAY


def test_a_mail_of_text_alone_has_paragraphs_and_links():
    found = posted("", text="One <b>.\n\nTwo: https://example.org/2 there")
    assert "<p>One &lt;b&gt;.</p>" in found.entry.content and 'href="https://example.org/2"' in found.entry.content


@pytest.mark.parametrize(
    "raw", [b"", b"\x00\xff" * 5000, b"From: a@b\n\n" + b"<div>" * 30_000, b"Subject: =?x?q?=\n\n"]
)
def test_any_bytes_are_read(raw):
    assert read(taken_apart(raw, feed="weekly", hash="abc", now=MONDAY)).entry.key


CONFIRM = (
    '<p>Please confirm your subscription.</p><a href="https://weekly.example/c/1">Yes, confirm</a>'
    '<a href="https://weekly.example/about">About</a>'
)


@pytest.mark.parametrize(
    "subject", ["Please confirm", "Bitte bestätigen Sie Ihre Anmeldung", "Confirmez votre inscription",
    "Confirme su correo", "请确认"]
)  # fmt: skip
def test_a_mail_that_wants_to_be_confirmed_is_known_with_its_link(subject):
    found = posted(CONFIRM, subject=subject)
    assert found.asks and found.confirm == "https://weekly.example/c/1"
    assert not posted("<p>" + "News about the world. " * 100 + "</p>").asks


# ---------------------------------------------------------------- a mailbox that is read


@pytest.fixture
def config(configure):
    return configure(mail={"address": "bounces@news.example"})


@pytest.fixture
def address(database, config):
    mailed.add(database, config, "mail:weekly", newsletter="daily", topic="", now=MONDAY)
    return mailed.address(config, "mail:weekly")


def comes(database, config, *mails, now=MONDAY):
    source = hear.Given("test", [hear.Incoming(raw) for raw in mails])
    return hear.read(database, config, source, clock=lambda: now, rooms=line.rooms()).acts


def entries(database):
    with database.read() as session:
        return [(one.title, one.guid) for one in session.exec(select(Entry).order_by(col(Entry.id)))]


def feed(database):
    with database.read() as session:
        one = feeds.find(session, "mail:weekly")
        known = feeds.senders(session, one.id)
        session.expunge_all()
        return one, known


def rows(database):
    with database.read() as session:
        found = reports.find(session, reports.Which())
        session.expunge_all()
        return found


def test_mails_to_the_address_become_entries_each_once(database, config, address):
    one, two = letter(to=address, number=1), letter(to="list@weekly.example", number=2, Delivered_To=address)
    assert comes(database, config, one, two, one) == {"entry": 2}
    assert comes(database, config, b"Received: again\n" + one) == {}
    assert [guid for _, guid in entries(database)] == [
        "list:weekly.weekly.example <1@weekly.example>", "list:weekly.weekly.example <2@weekly.example>"
    ]  # fmt: skip
    found, known = feed(database)
    assert found.title == "The Weekly" and found.ok_at == MONDAY and known == {"list:weekly.weekly.example"}
    assert {row.address for row in rows(database)} == {"mail:weekly"}


@on_sqlite
def test_the_same_title_each_week_is_an_entry_each_week(database, config, address):
    for week in range(4):
        now = MONDAY + timedelta(weeks=week)
        comes(database, config, letter(f"<p>Week {week}</p>", to=address, number=week, at=now), now=now)
    assert len(entries(database)) == 4
    with database.read() as session:
        assert not [one for one in session.exec(select(Entry)) if one.withdrawn_at]
    found, _ = feed(database)
    assert found.gap_seconds == 7 * 86_400


@on_sqlite
def test_another_sender_is_set_aside_and_accepted_by_a_person(database, config, address):
    comes(database, config, letter(to=address))
    spam = letter(to=address, number=9, subject="Buy", From="Spam <a@spam.example>", List_Id="<x.spam.example>")
    unlisted = letter(to=address, number=10, subject="Buy", From="hi@weekly.example", List_Id="")
    assert comes(database, config, spam, unlisted) == {"aside": 2}
    assert len(entries(database)) == 1
    with database.read() as session:
        assert feeds.set_aside_mails(session, "mail:weekly") == 2
    (_, report, *_) = rows(database)
    assert report.proof == ""
    sender, done = hear.accept(database, config, report.id, line.rooms(), now=MONDAY)
    assert (sender, done.act) == ("list:x.spam.example", "entry") and len(entries(database)) == 2
    assert hear.accept(database, config, report.id, line.rooms(), now=MONDAY) is None


@on_sqlite
def test_a_confirmation_is_shown_and_binds_nobody(database, config, address):
    asks = letter(CONFIRM, to=address, subject="Please confirm", From="no-reply@sender.example", List_Id="")
    assert comes(database, config, asks) == {"ask": 1}
    (row,) = rows(database)
    assert row.kind == "confirmation" and row.why.endswith("https://weekly.example/c/1")
    assert feed(database)[1] == set() and entries(database) == []
    comes(database, config, letter(to=address))
    assert comes(database, config, asks.replace(b"Please", b"PLEASE")) == {"aside": 1}  # a flood of strangers' lists


@on_sqlite
def test_a_forged_address_and_a_feed_that_is_gone_make_nothing(database, config, address):
    assert comes(database, config, letter(to=mailed.address(config, "mail:other"))) == {"none": 1}
    assert comes(database, config, letter(to=address.replace("weekly-", "weekli-"), number=3)) == {"unproven": 1}
    assert entries(database) == []


@on_sqlite
def test_a_bounce_to_the_address_is_none_of_its_senders(database, config, address):
    daemon = letter(to=address, From="MAILER-DAEMON@mx.example", List_Id="", subject="Undelivered")
    assert "entry" not in comes(database, config, daemon)
    assert feed(database)[1] == set()


@on_sqlite
def test_collecting_never_asks_it_and_tells_of_its_silence_once(database, config, address):
    for week in range(4):
        now = MONDAY + timedelta(weeks=week)
        comes(database, config, letter(to=address, number=week, at=now), now=now)
    assert line.collect(database, config, clock=lambda: MONDAY + timedelta(weeks=4), force=True).asked == 0
    told = [line.collect(database, config, clock=lambda: MONDAY + timedelta(weeks=9)).changes for _ in range(2)]
    assert [[change.health for change in changes] for changes in told] == [["quiet"], []]
    comes(database, config, letter(to=address, number=9), now=MONDAY + timedelta(weeks=10))
    (change,) = line.collect(database, config, clock=lambda: MONDAY + timedelta(weeks=10)).changes
    assert change.words == "has new entries again"


@on_sqlite
def test_it_is_listed_set_and_removed_as_any_feed(database, config, address):
    comes(database, config, letter(to=address))
    assert not mailed.add(database, config, "mail:weekly", newsletter="daily", topic="", now=MONDAY).created
    assert "mail:weekly" not in collect.export_feeds(database, newsletter=None, title="x", now=MONDAY)
    assert "removed" in collect.remove_feed(database, "mail:weekly", newsletter=None)
    with database.read() as session:
        assert session.exec(select(Feed)).all() == []
    assert comes(database, config, letter(to=address, number=5)) == {"none": 1}


@on_sqlite
def test_a_name_that_cannot_be_and_a_mailbox_that_nobody_reads_are_told(database, config, configure):
    for name in ("mail:", "mail:Big", "mail:a_b", "mail:" + "a" * 21, "mail:-a", "mail:a@b"):
        with pytest.raises(BadInput):
            mailed.add(database, config, name, newsletter="daily", topic="", now=MONDAY)
    with pytest.raises(UserError, match="nobody reads mail"):
        mailed.add(database, configure(), "mail:weekly", newsletter="daily", topic="", now=MONDAY)
    longest = mailed.address(config, "mail:" + "a" * 20)
    assert len(longest.partition("@")[0]) <= 64
