from __future__ import annotations

import base64
import quopri
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from digest.letter import Encoder, Own, Recipient, Said, Sender, Signer, Template, leave_line
from digest.letter.quoted import unstuffed
from digest.render import Marker, Marks, Rendered, marks

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
    assert message["list-id"] == '"Daily, the" <daily.news.example>'
    plain, html = message.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert content(plain) == VARIANT.text.replace(LEAVE, LINK)
    assert content(html).rstrip("\n") == VARIANT.html.replace(LEAVE, LINK)


def test_one_click_unsubscribe_stands_as_rfc_8058_wants_it():
    raw = letter().content
    assert f"List-Unsubscribe:\r\n <{LINK}>\r\n".encode() in raw, "folded, since it is longer than a line may be"
    assert leave_line("https://d.example/u/t", "leave@d.example") == (
        "List-Unsubscribe: <https://d.example/u/t>,\r\n <mailto:leave@d.example>\r\n"
    )
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


NAMES = (
    "The Daily",
    'News, "the" best (so far)',
    "a <b.example> c",
    "=?utf-8?q?not_encoded?=",
    "日本のニュース",
    "نشرة الأخبار اليومية",
    "👨‍👩‍👧 Семья",
    "می‌خواهم",
    "A very long name " * 5 + "of all",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_told_by_its_name_and_known_by_what_stands_in_the_brackets(name):
    raw = letter(sender=replace(SENDER, title=name)).content
    head = raw.partition(b"\r\n\r\n")[0]
    (found,) = re.findall(rb"(?i)\r\nlist-id:((?:[^\r]|\r\n )*)", head)
    assert found.count(b"<") == found.count(b">") == 1 and found.endswith(b" <daily.news.example>")
    assert max(len(line) for line in f"List-Id:{found.decode()}".split("\r\n")) <= 78
    phrase, address = parseaddr(re.sub(r"\r\n(?= )", "", found.decode()))
    assert str(make_header(decode_header(phrase))) == name and address == "daily.news.example"


def test_a_list_of_an_endless_name_is_told_by_how_it_begins():
    raw = letter(sender=replace(SENDER, title="endless " * 1000)).content
    head = raw.partition(b"\r\n\r\n")[0]
    assert raw.count(b"endless") < 20 and max(map(len, head.split(b"\r\n"))) < 120


def test_a_list_without_a_title_has_the_name_of_its_sender_or_none():
    assert parsed(letter().content)["list-id"] == '"Daily, the" <daily.news.example>'
    bare = replace(SENDER, mailbox="news@news.example")
    assert parsed(letter(sender=bare).content)["list-id"] == "<daily.news.example>"
    unseen = replace(bare, title="\u202e \0\ud800")
    assert parsed(letter(sender=unseen).content)["list-id"] == "<daily.news.example>"


@pytest.mark.parametrize("newsletter", ["daily", ""])
def test_no_letter_is_answered_by_a_robot_and_bounces_still_come(newsletter):
    message = parsed(letter(sender=replace(SENDER, newsletter=newsletter)).content)
    quiet = message["x-auto-response-suppress"].split(", ")
    assert {"OOF", "AutoReply", "DR", "RN", "NRN"} == set(quiet), "All, and NDR, would keep back what bounces tell"
    assert (message["precedence"] == "bulk") != (message["auto-submitted"] == "auto-generated")


def test_a_letter_has_the_date_that_it_is_given_and_a_signature_of_that_moment():
    pem, _ = ed25519_key()
    template = Template(VARIANT, SENDER, signers=[Signer(pem, domain="news.example", selector="s1")])
    late = DATE + timedelta(hours=22, microseconds=7)
    slots = {Marker.UNSUBSCRIBE: b"x=\r\n"}
    own = Own("ada@example.org", "", "b@x.example", "Message-ID: <1@x>\r\n", "", slots, late)
    message = parsed(template.join(own).content)
    assert message["date"].datetime == late.replace(microsecond=0)
    assert f"t={int(late.timestamp())};" in str(message["dkim-signature"])
    assert len(message.get_all("date")) == 1


@given(st.text(st.sampled_from("From >.=x\né")))
@example("From here\n>From there\n>>From everywhere\nfrom\nFrom\n")
@example("x" * 75 + "From the middle of a line " + "y" * 49 + "From " + "z" * 70)
@example("x" * 74 + "=" + "From " * 40)
@example("From " + "=" * 40 + "From \n")
def test_no_line_begins_as_an_mbox_would_stuff_it(text):
    written = unstuffed(Encoder().encode(text.encode())[0])
    assert not re.search(rb"(?m)^>{0,3}From ", written)
    assert max(map(len, written.split(b"\r\n"))) <= 76
    assert quopri.decodestring(written).replace(b"\r\n", b"\n") == text.encode()


def test_a_piece_after_an_address_does_not_begin_so_either():
    raw = letter(variant=Rendered("s", f"<p>{LEAVE}From x", f"{LEAVE}From x", marks=MARKS)).content
    assert raw.count(b"=46rom x") == 2


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


LETTERS = {
    "edition": letter,
    "notice": lambda **more: letter(sender=replace(SENDER, newsletter="", reply_to="Ed <ed@news.example>"), **more),
    "ends with an address": lambda **more: letter(variant=Rendered("s", "", f"x  y\n{LEAVE}\n", marks=MARKS), **more),
    "empty": lambda **more: letter(variant=Rendered("s", "", ""), **more),
}


@pytest.fixture(scope="module")
def signed():
    """Makes a letter of a kind, signed by a key; and says whether what became of it holds."""
    pem, record = ed25519_key()
    signer = Signer(pem, domain="news.example", selector="s1")
    made = {kind: make(signers=[signer], name="Zoë  Ada " * 9).content for kind, make in LETTERS.items()}
    return made, lambda message: dkim.verify(message, dnsfunc=lambda name, timeout=5: record)


def _unfolded(head: bytes, body: bytes) -> bytes:
    """Each header on one line, names in small letters, as some gateways write them anew."""
    lines = re.sub(rb"\r\n[ \t]+", b"  ", head).split(b"\r\n")
    small = [b":\t".join((name.lower(), value.strip())) for name, _, value in (line.partition(b":") for line in lines)]
    return b"\r\n".join(small) + b"\r\n\r\n" + body


def _refolded(head: bytes, body: bytes) -> bytes:
    """A header folded at each space, but within quotes."""
    lines = re.sub(rb"\r\n[ \t]+", b" ", head).split(b"\r\n")
    return b"\r\n".join(re.sub(rb"(?<=[;,>=?]) ", b"\r\n\t ", line) for line in lines) + b"\r\n\r\n" + body


def _through_mbox(head: bytes, body: bytes) -> bytes:
    """Stored as mboxo, which puts a ">" before lines like its own, and read again by who does not take it away."""
    stored = re.sub(rb"(?m)^From ", b">From ", (head + b"\r\n\r\n" + body).replace(b"\r\n", b"\n"))
    return stored.replace(b"\n", b"\r\n")


def _through_mboxrd(head: bytes, body: bytes) -> bytes:
    stored = re.sub(rb"(?m)^(>*From )", rb">\1", (head + b"\r\n\r\n" + body).replace(b"\r\n", b"\n"))
    return stored.replace(b"\n", b"\r\n")


MIDDLE = {
    "as it left": lambda head, body: head + b"\r\n\r\n" + body,
    "traced": lambda head, body: (
        b"Return-Path: <b@x.example>\r\nReceived: from a by b; Mon, 24 Nov 2025 07:00:09 +0000\r\n"
        b"Authentication-Results: b; dkim=pass\r\nX-Spam-Status: No\r\nARC-Seal: i=1; a=rsa-sha256\r\n"
        + head
        + b"\r\nList-Help: <https://h.example/>\r\nList-Archive: <https://a.example/>\r\nX-Loop: a\r\n\r\n"
        + body
    ),
    "unfolded": _unfolded,
    "refolded": _refolded,
    "spaces at the ends of lines": lambda head, body: head + b"\r\n\r\n" + body.replace(b"\r\n", b" \t\r\n"),
    "spaces made one": lambda head, body: head + b"\r\n\r\n" + re.sub(rb" +", b" ", body),
    "empty lines at the end": lambda head, body: head + b"\r\n\r\n" + body + b"\r\n \r\n\r\n",
    "no empty line at the end": lambda head, body: head + b"\r\n\r\n" + body.rstrip(b"\r\n") + b"\r\n",
    "mbox": _through_mbox,
    "mboxrd": _through_mboxrd,
}


@pytest.mark.parametrize("kind", LETTERS)
@pytest.mark.parametrize("box", MIDDLE)
def test_a_signature_holds_through_what_stands_on_the_way(signed, kind, box):
    made, holds = signed
    head, _, body = made[kind].partition(b"\r\n\r\n")
    assert holds(MIDDLE[box](head, body))


def _names(message: bytes) -> list[str]:
    found = re.search(r";h=([^;]*);", re.sub(r"\s", "", str(parsed(message)["dkim-signature"])))
    return found[1].split(":")


@pytest.mark.parametrize("kind", ["edition", "notice"])
@pytest.mark.parametrize("end", ["first", "last"])
def test_no_second_header_of_those_that_are_signed_can_be_added(signed, kind, end):
    """RFC 6376 §8.15: what is shown may be the first or the last of two, and the signature covers one."""
    made, holds = signed
    head, _, body = made[kind].partition(b"\r\n\r\n")
    listed = set(_names(made[kind]))
    ours = {line.partition(b":")[0].decode().lower() for line in re.sub(rb"\r\n[ \t]", b"", head).split(b"\r\n")}
    shown = ours - {"dkim-signature", "precedence", "auto-submitted", "x-auto-response-suppress"}
    assert shown <= listed and {"reply-to", "cc", "content-transfer-encoding"} <= listed
    for name in listed:
        line = name.title().encode() + b": x <eve@evil.example>"
        parts = (line, head) if end == "first" else (head, line)
        assert not holds(b"\r\n".join(parts) + b"\r\n\r\n" + body), name


@pytest.mark.parametrize("kind", ["edition", "notice"])
def test_no_header_that_is_signed_can_be_changed_or_left_out(signed, kind):
    made, holds = signed
    head, _, body = made[kind].partition(b"\r\n\r\n")
    lines = re.split(rb"\r\n(?![ \t])", head)
    for at, line in enumerate(lines):
        if line.partition(b":")[0].decode().lower() in _names(made[kind]):
            for changed in ([], [line + b"x"]):
                some = [*lines[:at], *changed, *lines[at + 1 :]]
                assert not holds(b"\r\n".join(some) + b"\r\n\r\n" + body), line


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


@given(
    st.lists(
        st.sampled_from(
            [
                *map(MARKS.address, Marker), *map(marks("").address, Marker),
                MARKS.address(Marker.CHOICES)[:-1], "\n-- \n", '<td class="pad footer">', '"', "<", "é", "\n",
            ]
        )
    ).map("".join)
)  # fmt: skip
def test_what_is_stored_is_cut_in_utf8_as_it_would_be_as_text(text):
    for one in (MARKS, marks("")):
        pieces, found = one.cut(text)
        assert one.cut_encoded(text.encode()) == ([piece.encode() for piece in pieces], found)


def test_of_a_rendering_and_of_what_is_stored_of_it_the_same_letter_is_made():
    stored = Said(VARIANT.subject, VARIANT.html.encode(), VARIANT.text.encode(), VARIANT.marks)
    assert letter(variant=stored) == letter()
