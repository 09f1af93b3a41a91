"""What a mail that came back says, what it proves, and what follows: decisions, without a database."""

from __future__ import annotations

import base64
import tomllib
import unicodedata
from datetime import timedelta
from functools import partial
from pathlib import Path

import hearing
import pytest
from conftest import MONDAY
from hypothesis import example, given, settings
from hypothesis import strategies as st

from digest import hear, sign, subscribe
from digest.hear import policy, proof, understand
from digest.hear.policy import Act, Heard, Past, Trouble
from digest.hear.report import Kind, Reason
from digest.hear.words import bare

KEY = "a key for tests, long enough"
LETTER = hearing.Sent(
    sign.verp(71, key=KEY, domain="news.example"),
    "ada@example.org",
    "From: Daily <news@news.example>\nTo: ada@example.org\nMessage-ID: "
    + sign.message_id(71, key=KEY, domain="news.example")
    + "\nSubject: News\nList-Id: <daily.news.example>\nFeedback-ID: 3:daily:edition:newsexample"
    + f"\nList-Unsubscribe: <https://digest.example/unsubscribe/{sign.token(sign.Purpose.UNSUBSCRIBE, 9, key=KEY)}>",
)


def text(words: str, *, subject: str = "failure notice", sender: str = "MAILER-DAEMON@mx.example.org") -> bytes:
    return hearing.person(words, sender=sender, subject=subject, to=LETTER.mail_from)


# ---------------------------------------------------------------- what it says

SAID = {
    "a report": (hearing.bounce(LETTER), Kind.HARD, Reason.NO_MAILBOX),
    "a full mailbox": (hearing.bounce(LETTER, status="5.2.2", words="552 5.2.2 over quota"), Kind.SOFT, Reason.FULL),
    "a full mailbox with the number of none": (
        hearing.bounce(LETTER, status="5.1.1", words="550 5.1.1 mailbox is full"),
        Kind.SOFT,
        Reason.FULL,
    ),
    "a block list": (hearing.bounce(LETTER, status="5.7.1", words="554 5.7.1 on an rbl"), Kind.POLICY, Reason.POLICY),
    "policy behind the number of no mailbox": (
        hearing.bounce(LETTER, status="5.1.1", words="550 5.1.1 blocked as spam"),
        Kind.POLICY,
        Reason.POLICY,
    ),
    "too large": (hearing.bounce(LETTER, status="5.3.4", words="552 message too large"), Kind.POLICY, Reason.SIZE),
    "a delay": (hearing.bounce(LETTER, action="delayed", status="4.4.1", words="timed out"), Kind.DELAYED, None),
    "given up": (hearing.bounce(LETTER, status="4.4.7", words="delivery time expired"), Kind.SOFT, Reason.EXPIRED),
    "delivered": (hearing.bounce(LETTER, action="delivered", status="2.0.0", words="250 ok"), Kind.DELIVERED, None),
    "an unknown user after the letter was read": (
        hearing.bounce(LETTER, status="5.0.0", words="550 User unknown (in reply to end of DATA command)"),
        Kind.SOFT,
        Reason.FILTERED,
    ),
    "qmail": (
        text("Hi. This is the program.\n\n<ada@example.org>:\n192.0.2.1 failed after I sent RCPT TO.\n"
             "Remote host said: 550 5.1.1 no such mailbox\n\n--- Below this line is a copy of the message.\n\n"
             f"Return-Path: <{LETTER.mail_from}>\nReceived: from a by b\n{LETTER.head}\n"),
        Kind.HARD,
        Reason.NO_MAILBOX,
    ),
    "exim": (
        text("A message could not be delivered to one or more of its recipients. The following address(es) failed:\n\n"
             "  ada@example.org\n    SMTP error after RCPT TO:<ada@example.org>: 550 Unknown user\n"),
        Kind.HARD,
        Reason.NO_MAILBOX,
    ),
    "exim's warning": (
        text("The address to which the message has not yet been delivered is:\n\n  ada@example.org\n    Delay reason: "
             "connection timed out\n\nDelivery attempts will continue.", subject="Warning: message delayed 24 hours"),
        Kind.DELAYED,
        Reason.EXPIRED,
    ),
    "German": (
        text("Ihre Nachricht konnte nicht zugestellt werden an:\n\nada@example.org\n550 5.1.1 Unbekannter Empfänger\n",
             subject="Unzustellbar: News"),
        Kind.HARD,
        Reason.NO_MAILBOX,
    ),
    "a server that gives no reason": (
        text("Delivery to the following recipients failed.\n\n     ada@example.org\n"), Kind.HARD, Reason.UNSAID
    ),
    "SES by mail": (
        text('{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":'
             '"ada@example.org","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"}]},"mail":{}}'),
        Kind.HARD,
        Reason.NO_MAILBOX,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "kind", "reason"), SAID.values(), ids=SAID)
def test_a_report_says_of_its_recipient(raw, kind, reason):
    report = understand(raw)
    (one,) = report.recipients
    assert (one.email, one.kind) == ("ada@example.org", kind)
    assert reason is None or one.reason is reason
    assert report.kind is kind


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        ("5.1.1", "550 5.1.1 <spam.policy.full@quota.example> does not exist", Kind.HARD),
        ("5.0.0", "550 <user.unknown@no-such-user.example> try another day", Kind.SOFT),
        ("5.0.0", "550 sender domain does not exist", Kind.POLICY),
        ("5.1.8", "553 5.1.8 your domain does not exist", Kind.POLICY),
        ("5.4.4", "host not found", Kind.HARD),
        ("4.4.3", "host not found, try again", Kind.SOFT),
        ("4.2.2", "452 4.2.2 over quota", Kind.SOFT),
        ("5.7.1", "550 5.7.1 user unknown", Kind.POLICY),
        ("5.4.1", "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", Kind.HARD),
        ("4.4.1", "450 4.4.1 Recipient address rejected: Access denied", Kind.POLICY),
        ("5.7.1", "554 5.7.1 Recipient address rejected: Access denied", Kind.POLICY),
        ("5.4.1", "550 5.4.1 Relay access denied", Kind.POLICY),
        ("5.0.0", "something happened", Kind.SOFT),
        ("5.0.0", "550 non-existent user", Kind.HARD),
        ("5.0.0", "550 utente inesistente", Kind.HARD),
        ("5.0.0", "550 Benutzer unbekannt", Kind.HARD),
        ("5.0.0", "550 존재하지 않는 사용자", Kind.HARD),
        ("5.7.1", "553 sorry, no mailbox here by that name (#5.7.1)", Kind.HARD),
        ("5.0.0", "550 helo name does not exist", Kind.POLICY),
        ("5.0.0", "550 your IP has no PTR; host unknown", Kind.POLICY),
        ("5.0.0", "554 unacceptable mail content", Kind.POLICY),
        ("5.4.4", "550 5.4.4 unable to route: temporary lookup failure", Kind.SOFT),
        ("5.1.1", "550 5.1.1 undeliverable address: host b said: 554 5.7.1 Relay access denied", Kind.POLICY),
        ("5.1.1", "550 5.1.1 undeliverable address: mail for example.org loops back to myself", Kind.SOFT),
        ("5.1.1", "550 5.1.1 undeliverable address: host b said: 550 5.1.1 User unknown", Kind.HARD),
        ("5.1.351", "550 5.1.351 unknown recipient or mailbox unavailable -> 554 5.7.1 spam refused", Kind.POLICY),
        ("5.1.351", "550 5.1.351 unknown recipient or mailbox unavailable -> 550 user unknown", Kind.HARD),
        ("5.1.1", "550 5.1.1 <news@news.example>: Sender address rejected: User unknown", Kind.POLICY),
        ("5.0.0", "550 the recipient may contain a non-existent account", Kind.HARD),
        ("5.0.0", "554-No SMTP service 554-Bad DNS PTR resource record", Kind.POLICY),
    ],
)
def test_words_are_weighed_with_the_number_beside_them(status, words, kind):
    assert understand(hearing.bounce(LETTER, status=status, words=words)).recipients[0].kind is kind


@pytest.mark.parametrize("ends", [b"\r\n", b"\r", b"\r\r\n"])
def test_line_ends_change_nothing(ends):
    assert understand(hearing.bounce(LETTER).replace(b"\n", ends)).recipients[0].kind is Kind.HARD


STATUS = (
    "Reporting-MTA: dns; {}mx.example.org\n\nAction: failed\nStatus: 5.1.1\nFinal-Recipient: rfc822; ada@example.org"
)


def packed(status: bytes, *, whole: bool = False) -> bytes:
    """A report whose part for machines is in Base64, or all of it is."""
    body = b"--b\nContent-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n" + status + b"\n--b--\n"
    head = b'From: MAILER-DAEMON@mx.example.org\nContent-Type: multipart/report; boundary="b"\n'
    if whole:
        return head + b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(body)
    return head + b"\n" + body


@pytest.mark.parametrize("more", ["", "a", "ab"])
@pytest.mark.parametrize("whole", [False, True])
def test_base64_is_read_to_its_last_letter_wherever_it_ends(more, whole):
    some = base64.b64encode(STATUS.format(more).encode())
    reports = [
        some,
        some.rstrip(b"="),
        b"\n".join(map(base64.b64encode, STATUS.format(more).encode().partition(b"\n\n"))),
    ]
    for one in reports:  # with its end, without, and in pieces that end each
        found = understand(packed(one, whole=whole)).recipients
        assert [(part.email, part.kind) for part in found] == [("ada@example.org", Kind.HARD)]


@pytest.mark.parametrize("turn", [1, -1])
def test_what_was_late_and_failed_then_has_failed_in_whatever_order_it_is_told(turn):
    late = "Final-Recipient: rfc822; ada@example.org\nAction: delayed\nStatus: 4.4.1\nDiagnostic-Code: smtp; timeout"
    gone = (
        "Final-Recipient: rfc822; Ada@example.org\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no"
    )
    both = "\n\n".join([STATUS.partition("\n\n")[0], *[late, gone][::turn]])
    found = understand(packed(base64.b64encode(both.encode()))).recipients
    assert [(one.kind, one.status) for one in found] == [(Kind.HARD, "5.1.1")]


@pytest.mark.parametrize("hidden", ["rfc822;", "unknown; undisclosed", "rfc822; <redacted>"])
def test_whom_a_report_hides_is_whom_its_letter_was_to(hidden):
    raw = hearing.bounce(LETTER).replace(b"rfc822; ada@example.org", hidden.encode())
    assert hidden.encode() in raw
    found = understand(raw).recipients
    assert [(one.email, one.kind, one.reason) for one in found] == [(LETTER.to, Kind.HARD, Reason.NO_MAILBOX)]


def test_recipients_of_one_report_are_told_apart():
    raw = hearing.bounce(LETTER).replace(
        b"\n--parts\nContent-Type: text/rfc822-headers",
        b"\nFinal-Recipient: rfc822; bob@example.org\nOriginal-Recipient: rfc822; robert@example.org\n"
        b"Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 mailbox full\n"
        b"\n--parts\nContent-Type: text/rfc822-headers",
    )
    found = {one.email: (one.kind, one.original) for one in understand(raw).recipients}
    assert found == {"ada@example.org": (Kind.HARD, ""), "bob@example.org": (Kind.SOFT, "robert@example.org")}


def test_an_international_report_names_its_recipient():
    raw = hearing.bounce(LETTER, who="x").replace(b"rfc822; x", rb"utf-8; \x{00E4}da@example.org")
    raw = raw.replace(b"message/delivery-status", b"message/global-delivery-status")
    raw = raw.replace(b"text/rfc822-headers", b"message/global-headers")
    report = understand(raw)
    assert report.recipients[0].email == "äda@example.org"
    assert report.returned.get("list-id") == "<daily.news.example>"


def test_a_notification_of_ses_has_the_address_that_we_sent_from():
    raw = text(
        '{"notificationType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"a\\u0000\\ud800@example.org"}]},'
        f'"mail":{{"source":"{LETTER.mail_from}"}}}}'
    )
    report = understand(raw)
    assert report.kind is Kind.COMPLAINT
    assert report.recipients[0].email == "a?@example.org"
    assert proof.clues(report, (), keys=[KEY]).letter_id == 71


OTHERS = {
    "a complaint": (hearing.complaint(LETTER), Kind.COMPLAINT),
    "a complaint of nobody": (hearing.complaint(LETTER, redacted=True), Kind.COMPLAINT),
    "a vacation": (hearing.person("I am away.", more="Auto-Submitted: auto-replied\n"), Kind.VACATION),
    "a vacation by its subject": (hearing.person("Bin weg.", subject="Automatische Antwort: News"), Kind.VACATION),
    "a challenge": (
        hearing.person("Please verify that you are not a robot.", more="X-TMDA-Fingerprint: x\n"),
        Kind.CHALLENGE,
    ),
    "a person": (hearing.person("Nice issue, thank you!"), Kind.REPLY),
    "a person about a vacation": (hearing.person("Yes!", subject="Re: Ten vacation spots"), Kind.REPLY),
    "a person about bounces": (hearing.person("How come?", subject="Why did it bounce?"), Kind.REPLY),
    "a person who asks of a bounce": (
        hearing.person("What is this?\nFinal-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.1.1"),
        Kind.REPLY,
    ),
    "a person who asks of a bounce without its address": (
        hearing.person("Mine said:\n\nFinal-Recipient:\nAction: failed", subject="Undelivered mail?"),
        Kind.REPLY,
    ),
    "a person about failures": (hearing.person("My delivery failed last week, by the post."), Kind.REPLY),
    "our own letter": (LETTER.head.encode() + b"\n\nHello\n", Kind.LOOP),
    "TLS-RPT": (hearing.person("x", more="TLS-Report-Domain: news.example\n"), Kind.TLS_REPORT),
    "DMARC": (
        hearing.person("x", subject="Report Domain: news.example Submitter: mx.example Report-ID: 1"),
        Kind.DMARC_REPORT,
    ),
    "to the address to leave by": (
        hearing.person("", to=f"leave+{sign.mail_token(sign.Purpose.LEAVE, 9, key=KEY)}@news.example"),
        Kind.UNSUBSCRIBE,
    ),
    "a server that says nothing": (text("Good morning.", subject="hm"), Kind.UNKNOWN),
    "nothing": (b"", Kind.UNKNOWN),
}


@pytest.mark.parametrize(("raw", "kind"), OTHERS.values(), ids=OTHERS)
def test_other_mails_are_told_apart(raw, kind):
    assert understand(raw).kind is kind


RAW = [raw for raw, *_ in [*SAID.values(), *OTHERS.values()]]


@settings(max_examples=80)
@given(
    raw=st.sampled_from(RAW),
    cuts=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 60), st.binary(max_size=40)), max_size=4),
)
@example(
    b"Content-Type: multipart/report; boundary=a\n\n" + b"--a\nContent-Type: multipart/x; boundary=a\n\n" * 400, []
)
@example(b"Content-Type: message/rfc822\n\n" * 500, [])
@example(
    b"Subject: =?utf-8?b?////?=\nContent-Transfer-Encoding: base64\nContent-Type: text/plain; charset=rot13\n\nx", []
)
def test_any_damage_is_a_report_and_never_a_crash(raw, cuts):
    for at, length, noise in cuts:
        raw = raw[:at] + noise + raw[at + length :]
    report = understand(raw)
    proof.clues(report, (), keys=[KEY])
    assert report.kind in Kind
    assert len(report.recipients) <= 100


AWAY = [
    "Absence : News", "Automatiskt svar: News", "Automatisk svar: News", "Automaattinen vastaus: News",
    "Automatyczna odpowiedź: News", "Automatikus válasz: News", "Răspuns automat: News", "Αυτόματη απάντηση: News",
    "Автоматична відповідь: News", "תשובה אוטומטית: News", "الرد التلقائي: News", "Automatski odgovor: News",
]  # fmt: skip


@pytest.mark.parametrize("subject", AWAY)
def test_who_is_away_is_neither_a_bounce_nor_an_ask_in_any_language(subject):
    words = "User unknown to me; my mailbox is full.\n\n> unsubscribe me\nunsubscribe"
    report = understand(hearing.person(words, subject=subject, to="bounces+b-x@news.example"))
    assert (report.kind, report.robot, report.recipients) == (Kind.VACATION, True, ())


@pytest.mark.parametrize("name", ["punycode", "PunyCode", "idna", "unicode_escape", "raw-unicode-escape", "x" * 500])
def test_what_is_no_character_set_of_mails_is_read_as_letters(name):
    """Of a megabyte in punycode each letter shifts all others: half a minute, for one mail."""
    raw = f"Subject: =?{name[:20]}?q?a-9a?=\nContent-Type: text/plain; charset={name}\n\nab-9a \\u0041\n"
    report = understand(raw.encode())
    assert (report.text, report.subject) == ("ab-9a \\u0041", "a-9a")


def test_a_mail_beyond_all_bounds_is_read_as_far_as_it_goes():
    raw = hearing.bounce(LETTER).replace(b"\n--parts--", b"x" * 3_000_000 + b"\n--parts--")
    report = understand(raw)
    assert report.cut
    assert report.recipients[0].kind is Kind.HARD


# ---------------------------------------------------------------- what it proves

OURS = LETTER.mail_from
LOCAL = OURS.partition("@")[0]
STILL = {
    "as it was": OURS,
    "upcased": OURS.upper(),
    "behind a plus": f"bounces+{LOCAL}@news.example",
    "at another domain": f"{LOCAL}@relay.example",
    "SRS0": f"SRS0=HHHH=TT=news.example={LOCAL}@forwarder.example",
    "SRS1": f"SRS1=GGGG=forwarder.example==HHHH=TT=news.example={LOCAL}@second.example",
    "SRS0 in capitals": f"SRS0+HHHH+TT+news.example+{LOCAL}@forwarder.example".upper(),
    "BATV": f"prvs=0123abcdef={OURS}",
    "BATV, the other way": f"prvs={LOCAL}/0123abcdef@news.example",
    "a forwarder's": f"fwd-{LOCAL}=news.example@forwarder.example",
}
NO_MORE = {
    "the plus and what follows lost": "bounces@news.example",
    "cut": f"{LOCAL[:-1]}@news.example" if len(LOCAL) > 20 else "",
    "another number": OURS.replace("47@", "48@"),
    "another key": sign.verp(71, key="another key, long enough", domain="news.example"),
    "digits before it": f"0{OURS}",
    "a person": "ada@example.org",
}


@pytest.mark.parametrize("address", STILL.values(), ids=STILL)
def test_our_bounce_address_proves_its_letter_whatever_became_of_it(address):
    raw = hearing.bounce(LETTER, to=address, returned="")
    assert proof.clues(understand(raw), (), keys=["new key, long enough", KEY]).letter_id == 71
    assert proof.clues(understand(hearing.bounce(LETTER, to="x", returned="")), (address,), keys=[KEY]).letter_id == 71


@pytest.mark.parametrize("address", NO_MORE.values(), ids=NO_MORE)
def test_another_address_proves_nothing(address):
    assert proof.clues(understand(hearing.bounce(LETTER, to=address, returned="")), (), keys=[KEY]).letter_id is None


def test_the_letter_that_came_back_has_clues_of_its_own():
    clues = proof.clues(understand(hearing.bounce(LETTER, to="bounces@news.example")), (), keys=[KEY])
    assert (clues.letter_id, clues.subscription_id, clues.edition) == (None, 9, ("daily", 3))
    assert clues.readers == ("ada@example.org",)
    letters = [proof.Candidate(70, None), proof.Candidate(71, None)]
    assert proof.by_message_id(clues, letters, keys=[KEY]) == 71
    assert proof.by_message_id(clues, letters[:1], keys=[KEY]) is None


@pytest.mark.parametrize(
    "raw",
    [
        hearing.bounce(LETTER, to="bounces@news.example", returned=f"Return-Path: <{OURS}>"),
        hearing.bounce(LETTER, to="bounces@news.example", returned="").replace(
            b"Reporting-MTA", f"X-Postfix-Sender: rfc822; {OURS}\nReporting-MTA".encode()
        ),
        hearing.complaint(LETTER, redacted=True)
        .partition(b"--parts\nContent-Type: message/rfc822")[0]
        .replace(b"Version: 1", f"Version: 1\nOriginal-Mail-From: <{OURS}>".encode()),
    ],
    ids=["Return-Path", "X-Postfix-Sender", "Original-Mail-From"],
)
def test_our_bounce_address_proves_its_letter_where_only_the_report_has_it(raw):
    assert proof.clues(understand(raw), (), keys=[KEY]).letter_id == 71


@given(st.integers(1, 2**63 - 1), st.booleans())
def test_the_address_to_leave_by_survives_a_change_of_case(number, upcased):
    address = sign.at_mailbox(
        f"leave+{sign.mail_token(sign.Purpose.LEAVE, number, key=KEY)}", domain="", mailbox="b@news.example"
    )
    assert len(address.partition("@")[0]) <= 64
    assert proof.leaving(address.upper() if upcased else address, keys=["other key, long enough", KEY]) == number
    assert proof.leaving(address, keys=["other key, long enough"]) is None


# ---------------------------------------------------------------- what follows


def troubles(
    number: int, *, kind: Kind = Kind.SOFT, reason: Reason = Reason.EXPIRED, every: int = 7
) -> tuple[Trouble, ...]:
    return tuple(Trouble(kind, reason, n, MONDAY - timedelta(days=n * every)) for n in range(number))


GONE = Heard(Kind.HARD, Reason.NO_MAILBOX, "5.1.1", letter_at=MONDAY)
VAGUE = Heard(Kind.HARD, Reason.UNSAID, "5.0.0", letter_at=MONDAY)
FULL = Heard(Kind.SOFT, Reason.FULL, "5.2.2", letter_at=MONDAY)
LATE = Heard(Kind.SOFT, Reason.EXPIRED, "4.4.7", letter_at=MONDAY)
SPAM = Heard(Kind.COMPLAINT, feedback="abuse", letter_at=MONDAY)
FOLLOWS = {
    "no mailbox: at once": (GONE, Past(), Act.SUPPRESS),
    "no mailbox of many readers": (GONE, Past(gone=11, sent=100), Act.DOUBTED),
    "no mailbox of a few among many": (GONE, Past(gone=11, sent=1000), Act.SUPPRESS),
    "for good, who knows why: not yet": (VAGUE, Past(troubles(1, kind=Kind.HARD)), Act.NONE),
    "and again": (VAGUE, Past(troubles(2, kind=Kind.HARD)), Act.SUPPRESS),
    "and again of the same letter": (VAGUE, Past(troubles(1, kind=Kind.HARD) * 2), Act.NONE),
    "policy is ours": (Heard(Kind.POLICY, Reason.POLICY, "5.7.1", letter_at=MONDAY), Past(troubles(9)), Act.OURS),
    "full once": (FULL, Past(troubles(1, reason=Reason.FULL)), Act.NONE),
    "full for weeks": (FULL, Past(troubles(3, reason=Reason.FULL)), Act.PAUSE),
    "full thrice in a day": (FULL, Past(troubles(3, reason=Reason.FULL, every=0)), Act.NONE),
    "full after a pause": (FULL, Past(troubles(1, reason=Reason.FULL), pauses=1), Act.PAUSE),
    "full for half a year": (FULL, Past(troubles(1, reason=Reason.FULL), pauses=6), Act.SUPPRESS),
    "full, of before the pause": (
        FULL,
        Past(troubles(5, reason=Reason.FULL), pauses=6, paused_at=MONDAY + timedelta(hours=1)),
        Act.NONE,
    ),
    "soft, a few": (LATE, Past(troubles(3)), Act.NONE),
    "soft, many": (LATE, Past(troubles(8)), Act.PAUSE),
    "soft, many and long ago": (LATE, Past(troubles(8, every=60)), Act.NONE),
    "a complaint": (SPAM, Past(), Act.COMPLAINT),
    "a complaint that is none": (Heard(Kind.COMPLAINT, feedback="not-spam", letter_at=MONDAY), Past(), Act.NONE),
    "delayed": (Heard(Kind.DELAYED, letter_at=MONDAY), Past(troubles(9)), Act.NONE),
    "ancient": (Heard(Kind.HARD, Reason.NO_MAILBOX, "5.1.1", letter_at=MONDAY - timedelta(days=91)), Past(), Act.NONE),
    "ancient complaint": (Heard(Kind.COMPLAINT, letter_at=MONDAY - timedelta(days=800)), Past(), Act.NONE),
    "before they came back": (GONE, Past(came_back_at=MONDAY + timedelta(hours=1)), Act.NONE),
}


@pytest.mark.parametrize(("heard", "past", "act"), FOLLOWS.values(), ids=FOLLOWS)
def test_what_follows_from_a_proven_report(heard, past, act):
    decision = policy.decide(heard, past, now=MONDAY)
    assert decision.act is act
    assert decision.why


@pytest.mark.parametrize(
    ("words", "subject", "leaves"),
    [
        ("stop", "", True),
        ("Please unsubscribe", "Re: News", True),
        ("Abmelden bitte", "", True),
        ("désabonner", "", True),
        ("baja", "", True),
        ("cancellami", "", True),
        ("descadastrar", "", True),
        ("I would like it if you'd remove me from this list.", "", True),
        ("", "STOP", True),
        ("When does the bus stop here?", "", False),
        ("Thank you!", "", False),
        ("Good read.\n> unsubscribe me here", "", False),
    ],
)
def test_people_who_want_to_leave_are_seen(words, subject, leaves):
    assert hear.run.wants_to_leave(understand(hearing.person(words, subject=subject))) is leaves


LEAVE = tomllib.loads((Path(subscribe.__file__).parent / "plain_words.toml").read_text("utf-8"))["says"]["leave"]


@pytest.mark.parametrize("shape", [str, str.upper, partial(unicodedata.normalize, "NFD"), bare])
def test_whatever_ends_a_subscription_by_mail_is_seen_as_a_wish_to_leave(shape):
    missed = [one for one in LEAVE if not hear.run.wants_to_leave(understand(hearing.person(shape(one))))]
    assert missed == []


@pytest.mark.parametrize(
    ("words", "leaves"),
    [
        ("Отпишите меня, пожалуйста, от этой рассылки", True),
        ("Proszę mnie wypisać", True),
        ("Abonelikten çıkmak istiyorum, teşekkürler", True),
        ("अब मुझे ये मेल नहीं चाहता", True),
        ("今後のメール配信停止をお願いいたします。", True),
        ("我想退订这份邮件", True),
        ("أرجو إلغاء اشتراكي", True),
        ("נא להסיר אותי מהרשימה", True),
        ("Je ne souhaite plus recevoir vos lettres", True),
        ("退会についての記事は良かった", False),
        ("取消订阅的按钮在哪里都找不到", False),
        ("Спасибо за статью про стоп-сигналы", False),
        ("Çok güzel, teşekkürler", False),
        ("Me gusta", False),
        ("お願いします", False),
        ("धन्यवाद", False),
        ("شكرا", False),
    ],
)
def test_a_wish_to_leave_is_told_from_a_word_about_leaving_in_every_language(words, leaves):
    assert hear.run.wants_to_leave(understand(hearing.person(words, subject="Re: News"))) is leaves


AWAY = [
    "On vacation - Re: News", "Nicht im Büro: News", "On holiday (until 5 March)", "Fuera de oficina: News",
    "Ausente: News", "Fuori sede: News", "Fora de escritório", "Buiten kantoor: News", "Inte på kontoret",
    "Nieobecność: News", "Autoodpowiedź: News", "Mimo kancelář: News", "Házon kívül: News", "Absent de la birou",
    "Εκτός γραφείου: News", "Автовідповідь: News", "Вне офиса: News", "Ofis dışında: News", "OTOMATİK YANIT: News",
    "מחוץ למשרד: News", "خارج المكتب: News", "कार्यालय से बाहर: News", "自动答复: News", "自動回應：News", "부재중: News",
    "자동 응답: News", unicodedata.normalize("NFD", "Réponse automatique : News"),
]  # fmt: skip


@pytest.mark.parametrize("subject", AWAY)
def test_who_is_away_is_no_person_who_answers_in_any_language(subject):
    assert understand(hearing.person("…", subject=subject)).kind is Kind.VACATION


WRITTEN = [
    "Pause during my vacation", "I am away in June, pause please", "On holiday from Monday: please send no mail",
    "Vacation stop", "Anrufe: im Urlaub bis Juli pausieren?", "Nicht im Büro lesen", "в отпуске до июня, приостановите",
    "休暇中の配信停止について", "不在のときの配信", "부재중 배송 문의", "otomatik ödeme sorusu", "Ausente en junio",
]  # fmt: skip


@pytest.mark.parametrize("subject", WRITTEN)
def test_who_writes_of_being_away_is_a_person_who_is_to_be_read(subject):
    assert understand(hearing.person("Please let it wait until then.", subject=subject)).kind is Kind.REPLY


@pytest.mark.parametrize("sign", ["RE :", "Re[2]:", "回复：", "Odp:", "Ynt:", "R:", "Vs:", "رد:", "Fwd:", "RV:"])
@pytest.mark.parametrize("subject", ["Out of office, a story", "Automatic reply", "Mail delivery failed: its history"])
def test_who_answers_or_passes_on_a_letter_is_a_person_whatever_its_subject(sign, subject):
    mail = hearing.person("A good one! ada@example.org: user unknown", subject=f"{sign} {subject}")
    assert understand(mail).kind is Kind.REPLY
