from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from digest.letter import Recipient, Sender, Signer, Template
from digest.render import Marker, Marks, Rendered

DATE = datetime(2025, 11, 24, 7, tzinfo=UTC)
SENDER = Sender('"Daily, the" <news@news.example>', DATE, newsletter="daily", number=7)
MARKS = Marks("0123456789abcdef")
LEAVE = MARKS.address(Marker.UNSUBSCRIBE)
VARIANT = Rendered(
    "Grüße: was neu ist",
    f'<html><body><p>Žluťoučký {"long " * 300}</p><a href="{LEAVE}">Unsubscribe</a></body></html>',
    f"Hello.\n.\n..dots\nFrom here\n{LEAVE}\n",
    marks=MARKS,
)
LINK = "https://digest.example/unsubscribe/" + "t0ken" * 12


def letter(email="ada@example.org", name="Ada", variant=VARIANT, sender=SENDER, signers=()):
    recipient = Recipient(email, name, {Marker.UNSUBSCRIBE: LINK})
    template = Template(variant, sender, signers=signers)
    return template.fill(recipient, mail_from="b-1@news.example", message_id="<1@news.example>")


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
    assert content(plain) == VARIANT.text.replace(LEAVE, LINK)
    assert content(html).rstrip("\n") == VARIANT.html.replace(LEAVE, LINK)


def test_one_click_unsubscribe_stands_as_rfc_8058_wants_it():
    raw = letter().content
    assert f"List-Unsubscribe: <{LINK}>\r\n".encode() in raw
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


@given(st.lists(st.text('abc éß東…=?_.,:"', min_size=1, max_size=30), max_size=12))
def test_a_subject_and_a_name_of_any_length_read_back_as_they_were(words):
    said = " ".join(" ".join(words).split())
    raw = letter(name=said, variant=Rendered(said, "<p>x</p>", "x")).content
    assert str(parsed(raw)["subject"]).strip() == said
    # The older parser: the newer one puts a space between the encoded words of a phrase (RFC 2047 §6.2 forbids it).
    to = str(message_from_bytes(raw)["to"])
    name, address = parseaddr(re.sub(r"\r\n(?= )", "", to))
    assert str(make_header(decode_header(name))) == said and address == "ada@example.org"


def test_an_address_beyond_ascii_asks_for_smtputf8():
    assert letter(email="zoë@example.org").smtputf8
    assert not letter().smtputf8


def test_what_goes_over_the_wire_is_the_message_with_its_dots_doubled_and_its_end_marked():
    made = letter(variant=Rendered("s", "<p>x</p>", "...\n.\n.. dots\n"))
    assert made.wire.endswith(b"\r\n.\r\n")
    inner = made.wire.removesuffix(b".\r\n")
    assert b"\r\n.\r\n" not in inner
    assert all(line[:2] == b".." for line in inner.split(b"\r\n") if line.startswith(b"."))
    assert made.size == len(made.content) < len(inner)
    assert content(parsed(made.content).get_body(("plain",))) == "...\n.\n.. dots\n"


@given(st.text(alphabet=".x =\n\u00e9", max_size=300), st.text(alphabet=".=-_aZ", max_size=200))
@example("x", "." * 200)
def test_a_personal_address_survives_wherever_it_stands(text, tail):
    text = text.replace("x", LEAVE)
    link = "https://digest.example/" + tail
    made = Template(Rendered("s", f"<p>{text}</p>", text, marks=MARKS), SENDER).fill(
        Recipient("ada@example.org", "", {Marker.UNSUBSCRIBE: link}), mail_from="b@x.example", message_id="<1@x>"
    )
    plain, html = parsed(made.content).iter_parts()
    meant = text.replace(LEAVE, link)
    assert content(plain).rstrip("\n") == meant.rstrip("\n")
    assert content(html).rstrip("\n") == f"<p>{meant}</p>"
    _, _, body = made.content.partition(b"\r\n\r\n")
    assert max(map(len, body.split(b"\r\n"))) <= 76
    lines = made.wire.removesuffix(b".\r\n").split(b"\r\n")
    assert all(line.startswith(b"..") for line in lines if line.startswith(b"."))
    assert made.content.count(b"\n") == made.content.count(b"\r\n") == made.content.count(b"\r")


def test_a_letter_of_no_newsletter_has_no_list_headers_and_wants_no_answer():
    message = parsed(letter(variant=Rendered("Hello", "", "Hi\n"), sender=Sender("n@news.example", DATE)).content)
    assert message["auto-submitted"] == "auto-generated"
    assert not any(name.lower().startswith("list-") for name in message)
    assert message.get_content_type() == "text/plain" and content(message) == "Hi\n"


@pytest.mark.parametrize("email", ["ada@example.org>\r\nRCPT TO:<eve@example.org", "a b@example.org", "a\n@x.example"])
def test_an_address_never_becomes_a_command(email):
    with pytest.raises(ValueError, match="address"):
        letter(email=email)


def rsa_key() -> tuple[bytes, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _pem(key), b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def ed25519_key() -> tuple[bytes, bytes]:
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return _pem(key), b"v=DKIM1; k=ed25519; p=" + base64.b64encode(public)


def _pem(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("make", [rsa_key, ed25519_key])
@pytest.mark.parametrize("variant", [VARIANT, Rendered("Hello", "", "Hi\n\n\n")])
def test_a_signature_holds_and_covers_what_one_click_needs(make, variant):
    pem, record = make()
    signer = Signer(pem, domain="news.example", selector="s1")
    made = letter(variant=variant, signers=[signer], name="Zoë " * 20).content
    assert dkim.verify(made, dnsfunc=lambda name, timeout=5: record if name == b"s1._domainkey.news.example." else b"")
    signed = re.sub(r"\s", "", str(parsed(made)["dkim-signature"]))
    assert "list-unsubscribe:list-unsubscribe-post" in signed
    assert letter(variant=variant, signers=[signer], name="Zoë " * 20).content == made
    broken = made.replace(b"Hello", b"Hullo").replace(b"News", b"Nows").replace(b"ist", b"isst")
    assert not dkim.verify(broken, dnsfunc=lambda name, timeout=5: record)


def test_two_signatures_both_hold():
    (rsa_pem, rsa_record), (ed_pem, ed_record) = rsa_key(), ed25519_key()
    records = {b"r._domainkey.news.example.": rsa_record, b"e._domainkey.news.example.": ed_record}
    signers = [
        Signer(rsa_pem, domain="news.example", selector="r"),
        Signer(ed_pem, domain="news.example", selector="e"),
    ]
    made = dkim.DKIM(letter(signers=signers).content)
    assert made.verify(0, dnsfunc=lambda name, timeout=5: records[name])
    assert made.verify(1, dnsfunc=lambda name, timeout=5: records[name])


def test_a_key_that_is_none_is_refused_in_words():
    with pytest.raises(ValueError, match="not a private key"):
        Signer(b"nonsense", domain="news.example", selector="s1")
