from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.letter import Recipient, Sender, build
from digest.render import Marker, Rendered

SENDER = Sender('"Daily, the" <news@news.example>', "", "daily", datetime(2026, 11, 23, 7, tzinfo=UTC))
VARIANT = Rendered(
    "Grüße: was neu ist",
    f'<html><body><p>Žluťoučký {"long " * 300}</p><a href="{Marker.UNSUBSCRIBE}">Unsubscribe</a></body></html>',
    f"Hello.\n.\n..dots\nFrom here\n{Marker.UNSUBSCRIBE}\n",
)
LINK = "https://digest.example/unsubscribe/" + "t0ken" * 12


def letter(email="ada@example.org", name="Ada", variant=VARIANT):
    return build(
        variant, SENDER, Recipient(email, name, LINK), mail_from="b-1@news.example", message_id="<1@news.example>"
    )


def parsed(content: bytes):
    return message_from_bytes(content, policy=policy.default)


def content(part) -> str:
    return part.get_content().replace("\r\n", "\n")


def test_a_letter_reads_back_as_what_was_meant():
    message = parsed(letter(name="Zoë “Z” Müller").content)
    assert str(message["subject"]) == "Grüße: was neu ist"
    assert message["to"].addresses[0].display_name == "Zoë “Z” Müller"
    assert message["from"].addresses[0].addr_spec == "news@news.example"
    assert message["date"].datetime == SENDER.date
    assert message["message-id"] == "<1@news.example>"
    assert message["list-id"] == "<daily.news.example>"
    plain, html = message.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert content(plain) == VARIANT.text.replace(Marker.UNSUBSCRIBE, LINK)
    assert content(html).rstrip("\n") == VARIANT.html.replace(Marker.UNSUBSCRIBE, LINK)


def test_one_click_unsubscribe_stands_as_rfc_8058_wants_it():
    raw = letter().content
    assert f"List-Unsubscribe: <{LINK}>,\r\n <mailto:news@news.example?subject=unsubscribe>\r\n".encode() in raw
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw


def test_every_attempt_has_the_same_bytes():
    assert letter() == letter()


def test_lines_end_in_crlf_and_stay_short():
    raw = letter(name="N" * 300).content
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert max(map(len, body.split(b"\r\n"))) <= 76
    # A header with one unbreakable word may be longer than 78, never longer than 998 (RFC 5322 §2.1.1).
    assert max(map(len, head.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("name", ["x\r\nBcc: eve@example.org", "x\nSubject: free", "\0null", "‮evil"])
def test_a_name_never_becomes_a_header(name):
    message = parsed(letter(name=name).content)
    assert message["bcc"] is None
    assert len(message.get_all("subject")) == 1


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_name_and_any_text_make_a_letter_that_reads_back(name, text):
    text = "".join(c for c in text if c == "\n" or c.isprintable())
    raw = letter(name=name, variant=Rendered("s", "<p>x</p>", text)).content
    assert raw.count(b"\n") == raw.count(b"\r\n")
    assert content(next(parsed(raw).iter_parts())).rstrip("\n") == text.rstrip("\n")


def test_an_address_beyond_ascii_asks_for_smtputf8():
    assert letter(email="zoë@example.org").smtputf8
    assert not letter().smtputf8
