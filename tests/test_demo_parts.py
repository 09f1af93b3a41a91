"""The parts of `digest demo`: its feeds, the site that serves them and the server that catches the mail."""

from __future__ import annotations

import json
import re
import smtplib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import feedparser
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from digest.demo.catcher import EVERYBODY, Catcher, Message
from digest.demo.site import FEEDS, FeedSite, render, sample

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
NAMES = [name for name, _title, _topic in FEEDS]
LETTER = b"Subject: Hello\r\n\r\nGood morning.\r\n"


def entries(name: str, now: datetime = NOW) -> list[dict[str, Any]]:
    """What a feed holds, whatever its format: title, html and date (None where it has none) of each item."""
    text = sample(name, now=now)
    if name.endswith(".json"):
        items = json.loads(text)["items"]
        return [
            {
                "title": item.get("title", ""),
                "html": item.get("content_html") or item["content_text"],
                "date": datetime.fromisoformat(item["date_published"]),
            }
            for item in items
        ]
    feed = feedparser.parse(text.encode(), sanitize_html=False)
    assert not feed.bozo, feed.get("bozo_exception")
    return [
        {
            "title": entry.get("title", ""),
            "html": entry.content[0].value if "content" in entry else entry.get("summary", ""),
            "date": date_of(entry["published"] if "published" in entry else entry.get("updated", "")),
        }
        for entry in feed.entries
    ]


def date_of(words: str) -> datetime | None:
    """Not by feedparser: where a feed was parsed in this process before, it reads dates no more."""
    if not words:
        return None
    return datetime.fromisoformat(words) if words[:4].isdecimal() else parsedate_to_datetime(words)


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_feed_can_be_read_and_has_something_to_say(name: str) -> None:
    found = entries(name)
    assert 7 <= len(found) <= 10
    assert all(entry["html"] for entry in found)
    assert "{{ ago" not in sample(name, now=NOW)
    assert "{{ in" not in sample(name, now=NOW)


def test_the_sample_feeds_are_fresh_whenever_they_are_read() -> None:
    for now in (NOW, datetime(2031, 2, 28, 23, 59, tzinfo=timezone(timedelta(hours=-7)))):
        dates = [entry["date"] for name in NAMES for entry in entries(name, now)]
        assert len(dates) == 62
        assert dates.count(None) == 1
        ages = [now - date for date in dates if date]
        assert sum(age < timedelta() for age in ages) == 1
        assert sum(timedelta() < age <= timedelta(hours=36) for age in ages) >= 48
        assert max(ages) < timedelta(days=17)


def test_the_sample_feeds_hold_what_a_digest_has_to_cope_with() -> None:
    found = [entry for name in NAMES for entry in entries(name)]
    titles, bodies = [entry["title"] for entry in found], [entry["html"] for entry in found]
    assert sum("checkpoint" in title.lower() for title in titles) == 4
    assert sum("built a realtime AI feature" in body for body in bodies) == 5
    assert titles.count("") == 1
    assert any("<script>" in title for title in titles)
    assert any("\N{HEBREW LETTER ALEF}" in title for title in titles)
    assert any("\N{HIRAGANA LETTER NO}" in title for title in titles)
    for residue in ("appeared first on", "published: false", "Article URL:", "submitted by", "Continue reading"):
        assert any(residue in body for body in bodies), residue


def test_braces_that_are_not_a_moment_stay_as_they_are() -> None:
    text = render("{{ 7 * 7 }} {{ ago 1d2h3m }} {{ago 5h}} {{ in 90m }}", now=NOW, form=datetime.isoformat)
    assert text == "{{ 7 * 7 }} 2026-11-22T05:27:00+00:00 {{ago 5h}} 2026-11-23T09:00:00+00:00"


@pytest.fixture(scope="module")
def site() -> Iterator[FeedSite]:
    with FeedSite(NOW) as site:
        yield site


def test_the_site_serves_each_feed_and_answers_304_to_who_has_it(site: FeedSite) -> None:
    for url, _title, _topic in site.urls[:-1]:
        first = httpx.get(url)
        name = url.rpartition("/")[2]
        elsewhere = re.findall(r"https://[a-z]+\.example/[a-z/]+/[a-z0-9-]+\.(?:jpg|png)", first.text)
        assert (first.status_code, elsewhere) == (200, [])
        words = re.sub(r"\S*/[a-z0-9-]+\.(?:jpg|png)\S*", "", sample(name, now=NOW))
        assert re.sub(r"\S*/[a-z0-9-]+\.(?:jpg|png)\S*", "", first.text) == words
        again = httpx.get(url, headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]


def test_each_picture_of_a_story_is_another_and_of_this_machine(site: FeedSite) -> None:
    base = site.urls[0][0].rpartition("/")[0]
    one, other = (httpx.get(f"{base}/img/{name}.jpg") for name in ("canary", "letters"))
    assert one.headers["content-type"] == "image/jpeg" and one.content != other.content
    assert httpx.get(f"{base}/img/").status_code == 404


def test_the_ninth_feed_is_broken_and_a_page_nobody_wrote_is_not_found(site: FeedSite) -> None:
    assert httpx.get(site.urls[8][0]).status_code == 500
    assert httpx.get(site.urls[0][0] + "x").status_code == 404


def test_the_opml_lists_every_feed_in_the_folder_of_its_topic(site: FeedSite) -> None:
    body = etree.fromstring(httpx.get(site.opml_url).content).find("body")
    assert body is not None
    listed = [
        (outline.get("xmlUrl"), outline.get("text"), None if parent is body else parent.get("text"))
        for outline in body.iter("outline")
        if outline.get("xmlUrl") and (parent := outline.getparent()) is not None
    ]
    assert listed == site.urls


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    with Catcher() as catcher:
        yield catcher


def send(catcher: Catcher, *recipients: str, content: bytes = LETTER) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP("127.0.0.1", catcher.port, timeout=10) as client:
        return client.sendmail("news@example.org", recipients, content)


def test_a_message_is_kept_with_its_envelope(catcher: Catcher) -> None:
    send(catcher, "ada@example.org", "bob@example.org")
    assert catcher.messages == [
        Message("news@example.org", "ada@example.org", LETTER),
        Message("news@example.org", "bob@example.org", LETTER),
    ]


def test_dots_that_begin_a_line_arrive_as_they_were_sent(catcher: Catcher) -> None:
    letter = b"Subject: dots\r\n\r\n.\r\n..\r\n...three\r\n. \r\nend.\r\n"
    send(catcher, "ada@example.org", content=letter)
    assert catcher.messages[0].content == letter


LINES = st.lists(st.binary(max_size=998).filter(lambda line: not set(line) & set(b"\r\n")), min_size=1)


@settings(max_examples=25, deadline=None)
@given(lines=LINES)
def test_any_lines_are_kept_byte_for_byte(lines: list[bytes]) -> None:
    letter = b"".join(line + b"\r\n" for line in lines)
    with Catcher() as catcher:
        send(catcher, "ada@example.org", content=letter)
        assert catcher.messages[0].content == letter


def test_the_server_offers_8bitmime_and_smtputf8(catcher: Catcher) -> None:
    with smtplib.SMTP("127.0.0.1", catcher.port, timeout=10) as client:
        client.ehlo()
        assert client.has_extn("8bitmime")
        assert client.has_extn("smtputf8")
        client.sendmail("news@example.org", ["jörg@bücher.example"], LETTER, ["SMTPUTF8"])
    assert catcher.recipients == ["jörg@bücher.example"]


def test_a_refused_recipient_is_told_why_and_the_other_is_served(catcher: Catcher) -> None:
    catcher.refuse["gone@example.org"] = "550 5.1.1 no such mailbox"
    assert send(catcher, "gone@example.org", "ada@example.org") == {"gone@example.org": (550, b"5.1.1 no such mailbox")}
    assert catcher.recipients == ["ada@example.org"]


def test_a_body_can_be_refused_for_one_or_for_everybody(catcher: Catcher) -> None:
    catcher.refuse_data["ada@example.org"] = "554 5.7.1 not this one"
    catcher.refuse_data[EVERYBODY] = "451 4.7.0 later"
    for recipient, code in (("ada@example.org", 554), ("bob@example.org", 451)):
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            send(catcher, recipient)
        assert refusal.value.smtp_code == code
    assert catcher.messages == []


def test_a_connection_can_be_lost_before_the_body_and_after_it(catcher: Catcher) -> None:
    catcher.drop_before_data.add("bob@example.org")
    catcher.drop_after_data.add("cyd@example.org")
    for recipient in ("bob@example.org", "cyd@example.org"):
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
            send(catcher, recipient)
    send(catcher, "ada@example.org")
    assert catcher.recipients == ["cyd@example.org", "ada@example.org"]


def test_messages_are_written_as_received_under_safe_names(catcher: Catcher, tmp_path: Path) -> None:
    catcher.messages += [
        Message("news@example.org", recipient, LETTER)
        for recipient in ("Ada@example.org", "ada@example.org", "../../etc/cron@example.org", '"a b"@x.org', "x" * 300)
    ]
    paths = catcher.write(tmp_path / "new" / "mails")
    assert [path.name for path in paths] == [
        "ada@example.org.eml",
        "ada@example.org-2.eml",
        "_.._etc_cron@example.org.eml",
        "_a_b_@x.org.eml",
        "x" * 100 + ".eml",
    ]
    assert all(path.parent == tmp_path / "new" / "mails" and path.read_bytes() == LETTER for path in paths)
