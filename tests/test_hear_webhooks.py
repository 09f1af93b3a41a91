"""Services that tell what came back: heard where they prove who they are, and of a letter of ours; once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count

import hearing
import pytest
from conftest import MONDAY, on_sqlite
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from mailing import owe, send
from starlette.testclient import TestClient
from test_hear_reading import ADA, BOB, kept, standing

from digest import hear
from digest.errors import ConfigError, FetchError, StorageError
from digest.hear import services, signatures
from digest.store import reports, suppressions
from digest.web import application

TOPIC = "arn:aws:sns:eu-west-1:123456789012:bounces"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
SECRET, SIGNING = "a secret for postmark", "a signing key of mailgun"
SNS_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
GRID_KEY = ec.generate_private_key(ec.SECP256R1())
BARRED = ("active", suppressions.BOUNCED)
UNTOUCHED = ("active", "")


def public(key):
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, info)).decode()


def certificate(key=SNS_KEY, name="sns.amazonaws.com", days=30):
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(MONDAY - timedelta(days=60))
    signed = made.not_valid_after(MONDAY + timedelta(days=days)).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def config(configure):
    hooks = {
        "ses_topics": [TOPIC], "sendgrid_key": public(GRID_KEY), "postmark_secret": SECRET, "mailgun_key": SIGNING
    }  # fmt: skip
    return configure(mail={"address": "bounces@news.example", "webhooks": hooks})


@pytest.fixture
def letters(database, config, clock):
    return hearing.letters(database, config, clock, ADA, BOB)


@pytest.fixture
def asked():
    """What was fetched; `pem` is what a certificate's address has."""

    class Asked(list):
        pem = certificate()

    return Asked()


@pytest.fixture
def site(database, config, clock, asked):
    async def ask(url, most):
        asked.append(url)
        if asked.pem is None:
            raise FetchError(url, "answers 500")
        return asked.pem

    return TestClient(application(database, config, clock=clock, ask=ask), raise_server_exceptions=False)


def refused(database):
    with database.read() as session:
        return reports.refused(session, since=MONDAY - timedelta(days=1))


# ---------------------------------------------------------------- how each of them speaks


def sns(message, *, topic=TOPIC, at=MONDAY, kind="Notification", key=SNS_KEY, version="1", pem=CERTIFICATE, **more):
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    said = {"Type": kind, "MessageId": "1", "TopicArn": topic, "Message": message, "Timestamp": stamp, **more}
    way = hashes.SHA1() if version == "1" else hashes.SHA256()
    signature = key.sign(signatures.sns_text(said), padding.PKCS1v15(), way)
    said |= {"SignatureVersion": version, "Signature": base64.b64encode(signature).decode(), "SigningCertURL": pem}
    return {"content": json.dumps(said)}


def ses(letter, *, source=None, email=None, kind="Bounce", headers=()):
    sent = {"source": letter.mail_from if source is None else source, "headers": list(headers)}
    who = {"emailAddress": email or letter.to, "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}
    told = {
        "Bounce": {"bounce": {"bounceType": "Permanent", "bouncedRecipients": [who]}},
        "Complaint": {"complaint": {"complainedRecipients": [who], "complaintFeedbackType": "abuse"}},
        "Delivery": {"delivery": {"recipients": [letter.to]}},
    }[kind]
    return json.dumps({"notificationType": kind, "mail": sent, **told})


def sendgrid(*events, at=MONDAY, key=GRID_KEY, spoil=b""):
    body, moment = json.dumps(list(events)).encode(), str(int(at.timestamp()))
    signature = key.sign(moment.encode() + body, ec.ECDSA(hashes.SHA256()))
    name = "X-Twilio-Email-Event-Webhook"
    headers = {f"{name}-Signature": base64.b64encode(signature).decode(), f"{name}-Timestamp": moment}
    return {"content": body + spoil, "headers": headers}


def grid_event(letter, **more):
    event = {"event": "bounce", "type": "bounce", "email": letter.to, "sg_event_id": "x", "status": "5.1.1"}
    return event | {"smtp-id": letter.header("Message-ID"), "reason": "550 5.1.1 no such user here"} | more


def postmark(letter, *, secret=SECRET, given=None, **more):
    event = {"RecordType": "Bounce", "Type": "HardBounce", "Email": letter.to, "Details": "550 5.1.1 no such user"}
    metadata = {"digest": letter.header("X-PM-Metadata-digest")} if given is None else given
    return {"json": event | {"Metadata": metadata} | more, "auth": ("postmark", secret)}


TOKENS = count()


def mailgun(letter, *, at=MONDAY, key=SIGNING, token=None, message_id=None, **more):
    stamp, token = str(int(at.timestamp())), token or f"token{next(TOKENS)}"
    signature = hmac.new(key.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    event = {
        "event": "failed", "severity": "permanent", "recipient": letter.to, "reason": "bounce", "id": "x",
        "delivery-status": {"code": 550, "message": "no such user here", "enhanced-code": "5.1.1"},
        "message": {"headers": {"message-id": message_id or letter.header("Message-ID").strip("<>")}},
    }  # fmt: skip
    said = {"timestamp": stamp, "token": token, "signature": signature}
    return {"json": {"signature": said, "event-data": event | more}}


ALL = {
    "ses": lambda letter, **more: sns(ses(letter), **more),
    "sendgrid": lambda letter, **more: sendgrid(grid_event(letter), **more),
    "postmark": lambda letter, **more: postmark(letter, **more),
    "mailgun": lambda letter, **more: mailgun(letter, **more),
}


# ---------------------------------------------------------------- what is theirs


@pytest.mark.parametrize("service", ALL)
def test_what_a_service_tells_of_a_letter_of_ours_counts_once_and_is_taken_back(database, site, letters, service):
    for _ in range(2):
        assert site.post(f"/hear/{service}", **ALL[service](letters[ADA])).status_code == 200
    assert standing(database, ADA) == BARRED
    assert standing(database, BOB) == UNTOUCHED
    (row,) = kept(database)
    assert (row.source, row.status, row.copies) == (
        f"/hear/{service}",
        "5.1.1",
        1,
    )
    assert row.proof == ("verp" if service in ("ses", "postmark") else "message-id")
    assert hear.undo(database, [row.id], how="test", now=MONDAY) == [row.id]
    assert standing(database, ADA) == UNTOUCHED
    assert refused(database) == []


@pytest.mark.parametrize(
    ("service", "given"),
    [
        ("ses", lambda letter: sns(ses(letter, source="news@news.example"))),
        ("ses", lambda letter: sns(ses(letter, headers=[{"name": "Message-ID", "value": "<\ud800@x>"}], source="a"))),
        ("sendgrid", lambda letter: sendgrid(grid_event(letter, **{"smtp-id": "<0@news.example>"}))),
        ("postmark", lambda letter: postmark(letter, given={"digest": "b-0123456789abcdef1", "n": 7})),
        ("mailgun", lambda letter: mailgun(letter, message_id="0@news.example")),
    ],
)  # fmt: skip
@on_sqlite
def test_an_address_alone_proves_nothing_whoever_says_it(database, site, letters, service, given):
    assert site.post(f"/hear/{service}", **given(letters[ADA])).status_code == 200
    assert standing(database, ADA) == UNTOUCHED
    assert [row.act for row in kept(database)] == ["unproven"]


@on_sqlite
def test_a_message_id_is_of_its_own_reader_only(database, site, letters):
    site.post("/hear/sendgrid", **sendgrid(grid_event(letters[BOB], email=ADA)))
    assert (standing(database, ADA), standing(database, BOB)) == (UNTOUCHED, UNTOUCHED)


@pytest.mark.parametrize(
    ("service", "given"),
    [
        ("ses", lambda letter: sns(ses(letter, kind="Complaint"), version="2")),
        ("sendgrid", lambda letter: sendgrid(grid_event(letter, event="spamreport"))),
        ("postmark", lambda letter: postmark(letter, RecordType="SpamComplaint", Type="SpamComplaint")),
        ("mailgun", lambda letter: mailgun(letter, event="complained")),
        ("mailgun", lambda letter: mailgun(letter, reason="suppress-complaint")),
        ("sendgrid", lambda letter: sendgrid(grid_event(letter, event="dropped", reason="Spam Reporting Address"))),
    ],
)
@on_sqlite
def test_complaints_end_a_subscription(database, site, letters, service, given):
    assert site.post(f"/hear/{service}", **given(letters[ADA])).status_code == 200
    assert standing(database, ADA) == ("unsubscribed", "complaint")


@pytest.mark.parametrize(
    ("service", "given"),
    [
        ("sendgrid", lambda letter: sendgrid(grid_event(letter, event="group_unsubscribe"))),
        ("sendgrid", lambda letter: sendgrid(grid_event(letter, event="dropped", reason="Unsubscribed Address"))),
        ("mailgun", lambda letter: mailgun(letter, reason="suppress-unsubscribe")),
        (
            "postmark",
            lambda letter: postmark(
                letter,
                RecordType="SubscriptionChange",
                SuppressSending=True,
                Origin="Recipient",
                SuppressionReason="ManualSuppression",
            ),
        ),
        ("mailgun", lambda letter: mailgun(letter, event="unsubscribed")),
    ],
)
@on_sqlite
def test_who_leaves_at_a_service_has_left(database, site, letters, service, given):
    assert site.post(f"/hear/{service}", **given(letters[ADA])).status_code == 200
    assert standing(database, ADA) == ("unsubscribed", "")
    (row,) = kept(database)
    assert hear.undo(database, [row.id], how="test", now=MONDAY)
    assert standing(database, ADA) == UNTOUCHED


UNPLAIN = [
    ("sendgrid", lambda letter: sendgrid(grid_event(letter, type="blocked")), "soft"),
    ("sendgrid", lambda letter: sendgrid(grid_event(letter, event="dropped", reason="Bounced Address")), "hard"),
    (
        "sendgrid",
        lambda letter: sendgrid(grid_event(letter, event="dropped", reason="Invalid SMTPAPI header")),
        "policy",
    ),
    ("sendgrid", lambda letter: sendgrid(grid_event(letter, event="deferred")), "delayed"),
    ("sendgrid", lambda letter: sendgrid(grid_event(letter, reason="552 5.2.2 mailbox full")), "soft"),
    ("postmark", lambda letter: postmark(letter, Type="SoftBounce"), "soft"),
    ("postmark", lambda letter: postmark(letter, Type="Blocked"), "policy"),
    ("postmark", lambda letter: postmark(letter, Type="AutoResponder"), "vacation"),
    ("mailgun", lambda letter: mailgun(letter, severity="temporary"), "delayed"),
    ("mailgun", lambda letter: mailgun(letter, reason="suppress-bounce"), "hard"),
]


@on_sqlite
def test_what_is_not_said_plainly_bars_nobody_at_once(database, site, letters):
    for service, given, kind in UNPLAIN:
        assert site.post(f"/hear/{service}", **given(letters[ADA])).status_code == 200
        assert kept(database)[0].kind == kind
    assert len(kept(database)) == len(UNPLAIN)
    assert standing(database, ADA) == UNTOUCHED


@on_sqlite
def test_what_tells_of_no_trouble_is_not_kept(database, site, letters):
    ada = letters[ADA]
    site.post("/hear/ses", **sns(ses(ada, kind="Delivery")))
    site.post("/hear/sendgrid", **sendgrid(grid_event(ada, event="open"), grid_event(ada, event="delivered")))
    site.post("/hear/postmark", **postmark(ada, RecordType="Open", Type=""))
    assert site.post("/hear/mailgun", **mailgun(ada, event="clicked")).status_code == 200
    assert kept(database) == []


# ---------------------------------------------------------------- what is not


SPOILT = [
    ("ses", {"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)}, "wrong signature"),
    ("ses", {"at": MONDAY - timedelta(hours=2)}, "old"),
    ("ses", {"at": MONDAY + timedelta(hours=2)}, "old"),
    ("ses", {"topic": "arn:aws:sns:eu-west-1:123456789012:others"}, "a topic that is not"),
    ("ses", {"version": "3"}, "a signature of another version"),
    ("ses", {"pem": "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem"}, "certificate that is not Amazon's"),
    ("ses", {"pem": "http://sns.eu-west-1.amazonaws.com/x.pem"}, "certificate that is not Amazon's"),
    ("ses", {"pem": "https://sns.eu-west-1.amazonaws.com:8443/x.pem"}, "certificate that is not Amazon's"),
    ("ses", {"pem": "https://a@sns.eu-west-1.amazonaws.com/x.pem"}, "certificate that is not Amazon's"),
    ("ses", {"pem": "https://evil.example/sns.eu-west-1.amazonaws.com/x.pem"}, "certificate that is not Amazon's"),
    ("ses", {"pem": "https://s3.eu-west-1.amazonaws.com/x.pem"}, "certificate that is not Amazon's"),
    ("ses", {"pem": "https://sns.us-east-1.amazonaws.com/x.pem"}, "certificate that is not Amazon's"),
    ("ses", {"pem": f"{CERTIFICATE}?again=1"}, "certificate that is not Amazon's"),
    ("ses", {"pem": f"{CERTIFICATE}#again"}, "certificate that is not Amazon's"),
    ("ses", {"pem": "https://sns.eu-west-1.amazonaws.com/../1.pem"}, "certificate that is not Amazon's"),
    ("ses", {"pem": "https://sns.eu-west-1.amazonaws.com/?Action=Publish&x=.pem"}, "certificate that is not Amazon's"),
    ("sendgrid", {"key": ec.generate_private_key(ec.SECP256R1())}, "wrong signature"),
    ("sendgrid", {"spoil": b" "}, "wrong signature"),
    ("sendgrid", {"at": MONDAY - timedelta(hours=25)}, "old"),
    ("postmark", {"secret": "another secret of nobody"}, "wrong password"),
    ("postmark", {"secret": ""}, "wrong password"),
    ("mailgun", {"key": "another signing key"}, "wrong signature"),
    ("mailgun", {"at": MONDAY - timedelta(hours=10)}, "old"),
    ("mailgun", {"at": MONDAY + timedelta(minutes=6)}, "old"),
]


@on_sqlite
def test_what_is_not_the_services_own_or_old_is_refused_and_counted(database, site, letters, asked):
    for service, spoilt, why in SPOILT:
        answer = site.post(f"/hear/{service}", **ALL[service](letters[ADA], **spoilt))
        assert (answer.status_code, why in answer.text) == (403, True), (service, spoilt, answer.text)
    assert (kept(database), standing(database, ADA)) == ([], UNTOUCHED)
    assert [(name, number) for name, number, _ in refused(database)] == [
        ("mailgun", 1), ("postmark", 1), ("sendgrid", 1), ("ses", 1)
    ]  # fmt: skip
    assert set(asked) == {CERTIFICATE}


@pytest.mark.parametrize(
    "pem",
    [
        certificate(name="sns.amazonaws.com.evil.example"),
        certificate(days=-1),
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"",
    ],
)
@on_sqlite
def test_a_certificate_that_is_not_of_sns_or_not_of_today_proves_nothing(database, site, letters, asked, pem):
    asked.pem = pem
    assert site.post("/hear/ses", **sns(ses(letters[ADA]))).status_code == 403
    assert kept(database) == []


@on_sqlite
def test_a_certificate_is_fetched_once_and_so_many_an_hour(site, letters, asked):
    for _ in range(3):
        site.post("/hear/ses", **sns(ses(letters[ADA])))
    assert asked == [CERTIFICATE]
    codes = [
        site.post("/hear/ses", **sns("{}", pem=CERTIFICATE.replace("1.pem", f"{number}.pem"))).status_code
        for number in range(2, 30)
    ]
    assert (codes.count(200), codes.count(503), len(asked)) == (19, 9, 20)


@on_sqlite
def test_names_that_strangers_make_up_neither_displace_nor_starve_the_certificate_in_use(
    database, config, letters, clock, asked
):
    async def ask(url, most):
        asked.append(url)
        if asked.pem is None:
            raise FetchError(url, "answers 500")
        return asked.pem

    app = application(database, config, clock=clock, ask=ask)
    amazon, stranger = (TestClient(app, client=(host, 1)) for host in ("203.0.113.1", "198.51.100.1"))
    assert amazon.post("/hear/ses", **sns(ses(letters[BOB], kind="Delivery"))).status_code == 200
    forged = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for number in range(30):
        stranger.post("/hear/ses", **sns("{}", key=forged, pem=CERTIFICATE.replace("1.pem", f"x{number}.pem")))
    assert len(asked) == 21
    other = CERTIFICATE.replace("1.pem", "2.pem")  # Amazon has another one from today
    assert amazon.post("/hear/ses", **sns(ses(letters[BOB]), pem=other)).status_code == 200
    clock.pass_(hours=25)
    asked.pem = None  # and for a while gives none
    again = sns(ses(letters[ADA]), at=clock())
    assert amazon.post("/hear/ses", **again).status_code == 200
    assert standing(database, ADA) == BARRED


@on_sqlite
def test_sns_is_told_to_come_back_while_its_certificate_cannot_be_had(database, site, letters, asked):
    asked.pem = None
    assert site.post("/hear/ses", **sns(ses(letters[ADA]))).status_code == 503
    asked.pem = certificate()
    assert site.post("/hear/ses", **sns(ses(letters[ADA]))).status_code == 200
    assert standing(database, ADA) == BARRED


@on_sqlite
def test_only_topics_of_the_settings_are_subscribed_to(site, asked):
    there = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=1"
    more = {"kind": "SubscriptionConfirmation", "Token": "1"}
    foreign = sns("", topic=TOPIC + "2", SubscribeURL=there, **more)
    assert site.post("/hear/ses", **foreign).status_code == 403
    assert site.post("/hear/ses", **sns("", SubscribeURL="https://evil.example/", **more)).status_code == 403
    assert asked == [CERTIFICATE]
    assert site.post("/hear/ses", **sns("", SubscribeURL=there, **more)).status_code == 200
    assert asked == [CERTIFICATE, there]


@on_sqlite
def test_a_token_of_mailgun_says_one_thing_only(database, site, letters):
    assert site.post("/hear/mailgun", **mailgun(letters[BOB], token="t", severity="temporary")).status_code == 200
    again = site.post("/hear/mailgun", **mailgun(letters[BOB], token="t", severity="temporary"))
    assert again.status_code == 200  # as it was: known
    assert site.post("/hear/mailgun", **mailgun(letters[BOB], token="t")).status_code == 403
    assert standing(database, BOB) == UNTOUCHED
    assert [row.kind for row in kept(database)] == ["delayed"]
    assert refused(database) == [("mailgun", 1, "a token that came before")]


def test_what_comes_in_two_requests_at_once_counts_once(database, site, letters):
    event = sendgrid(grid_event(letters[ADA]))
    soft, hard = (mailgun(letters[BOB], token="at once", severity=word) for word in ("temporary", "permanent"))
    with ThreadPoolExecutor() as pool:
        answers = list(
            pool.map(
                lambda one: site.post(f"/hear/{one[0]}", **one[1]).status_code,
                [("sendgrid", event), ("sendgrid", event), ("mailgun", soft), ("mailgun", hard)],
            )
        )
    assert (answers[:2], sorted(answers[2:])) == ([200, 200], [200, 403])
    assert [row.copies for row in kept(database) if row.address == ADA] == [1]
    assert len(kept(database)) == 2


@on_sqlite
def test_many_that_are_refused_make_few_writes_and_are_all_counted(database, site, letters, clock):
    for _ in range(3):
        site.post("/hear/mailgun", **mailgun(letters[ADA], key="another signing key"))
    assert refused(database) == [("mailgun", 1, "wrong signature")]
    clock.pass_(minutes=2)
    site.post("/hear/mailgun", **mailgun(letters[ADA], key="another signing key"))
    assert refused(database) == [("mailgun", 4, "wrong signature")]


@on_sqlite
def test_bodies_are_bounded_and_nonsense_is_no_crash(site, letters):
    assert site.post("/hear/ses", content=b"x" * 1_000_001).status_code == 413
    deep = b"[" * 100_000
    odd_type = json.dumps({"TopicArn": TOPIC, "Type": ["Notification"]}).encode()
    for service in ALL:
        for body in (
            b"",
            b"\xff\xfe",
            b"[]",
            b"{}",
            b'{"signature": []}',
            b'{"TopicArn": ["x"]}',
            odd_type,
            deep,
            b"[" + deep,
        ):
            assert site.post(f"/hear/{service}", content=body).status_code == 403
        assert site.get(f"/hear/{service}").status_code == 405
    for body in (b"", b"{}", b"\xff", deep, b"7"):
        assert site.post("/hear/postmark", content=body, auth=("x", SECRET)).status_code in (200, 400)
    odd = {"event": ["x"], "email": 7}, {"event": "bounce", "email": None, "reason": {}, "timestamp": 1e308}, [], 7
    assert site.post("/hear/sendgrid", **sendgrid(*odd)).status_code == 200
    odd = {"delivery-status": 7, "message": [], "envelope": "x", "recipient": "a\0b\ud800@example.org"}
    assert (
        site.post("/hear/mailgun", **{"content": json.dumps(mailgun(letters[ADA], **odd)["json"])}).status_code == 200
    )


@on_sqlite
def test_of_ten_thousand_events_with_nonsense_among_them_the_last_counts(database, site, letters):
    nothing = {"event": "open", "email": ADA}
    odd = [
        "x",
        None,
        {"event": ["bounce"], "timestamp": 1e400},
        {"event": "bounce", "email": "\ud800\0", "status": "9" * 999},
    ]
    events = [nothing] * 5000 + odd + [nothing] * 4994 + [grid_event(letters[ADA]), grid_event(letters[ADA])]
    assert site.post("/hear/sendgrid", **sendgrid(*events)).status_code == 200
    assert standing(database, ADA) == BARRED
    assert [row.copies for row in kept(database, acts=("suppress",))] == [1]


@on_sqlite
def test_what_a_service_tries_again_for_hours_still_counts_once(database, site, letters):
    late = mailgun(letters[ADA], at=MONDAY - timedelta(hours=8), token="late")
    for _ in range(2):
        assert site.post("/hear/mailgun", **late).status_code == 200
    assert (
        site.post("/hear/mailgun", **mailgun(letters[BOB], at=MONDAY - timedelta(hours=8), token="late")).status_code
        == 403
    )
    assert (standing(database, ADA), standing(database, BOB)) == (BARRED, UNTOUCHED)


@on_sqlite
def test_a_large_bounce_of_postmark_is_taken_from_whom_it_is_known_and_from_nobody_else(database, site, letters):
    large = postmark(letters[ADA], Content="x" * 3_000_000)
    assert site.post("/hear/postmark", **(large | {"auth": ("postmark", "another secret")})).status_code == 403
    assert standing(database, ADA) == UNTOUCHED
    assert site.post("/hear/postmark", **large).status_code == 200
    assert standing(database, ADA) == BARRED


@on_sqlite
def test_a_mark_of_byte_order_hides_no_event(database, site, letters):
    for service in ("ses", "mailgun"):
        given = ALL[service](letters[ADA])
        body = given.get("content") or json.dumps(given["json"])
        assert site.post(f"/hear/{service}", content=b"\xef\xbb\xbf" + body.encode()).status_code == 200
    assert len(kept(database)) == 2


@on_sqlite
def test_a_letter_that_is_late_at_ses_is_told_as_late(database, site, letters):
    late = {"delayType": "MailboxFull", "delayedRecipients": [{"emailAddress": ADA, "status": "4.2.2"}]}
    event = {"eventType": "DeliveryDelay", "mail": {"source": letters[ADA].mail_from}, "deliveryDelay": late}
    assert site.post("/hear/ses", **sns(json.dumps(event))).status_code == 200
    assert [(row.kind, row.proof) for row in kept(database)] == [("delayed", "verp")]


@on_sqlite
def test_a_database_that_others_hold_is_told_and_what_came_meanwhile_counts_later(database, site, letters, monkeypatch):
    def held(*_args, **_named):
        raise StorageError("the database is locked by another program")

    for service, given in ALL.items():
        told = given(letters[ADA])
        with monkeypatch.context() as patch:
            patch.setattr(type(database), "write", held)
            answer = site.post(f"/hear/{service}", **told)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "60"), service
        assert site.post(f"/hear/{service}", **told).status_code == 200
    assert len(kept(database)) == len(ALL)


@on_sqlite
def test_what_is_not_set_is_not_there(database, configure, clock):
    site = TestClient(application(database, configure(), clock=clock))
    for service in (*ALL, "other"):
        assert site.post(f"/hear/{service}", content=b"{}").status_code == 404


@on_sqlite
def test_a_failure_to_store_is_told_so_that_the_service_comes_back(database, site, letters, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(reports, "take", lambda *_: 1 / 0)
        assert site.post("/hear/sendgrid", **sendgrid(grid_event(letters[ADA]))).status_code == 500
    assert site.post("/hear/sendgrid", **sendgrid(grid_event(letters[ADA]))).status_code == 200
    assert standing(database, ADA) == BARRED


@on_sqlite
def test_letters_have_what_postmark_gives_back_only_where_it_is_set(database, configure, clock):
    config = configure(mail={"address": "bounces@news.example"})
    owe(database, config, ADA)
    send(database, config, clock)
    assert "X-PM" not in hearing.sent(config)[ADA].head


@pytest.mark.parametrize(
    ("hooks", "says"),
    [
        ({"ses_topics": ["bounces"]}, "must be ARNs"),
        ({"sendgrid_key": "x"}, "verification key"),
        ({"postmark_secret": "short"}, "at least 16"),
        ({"mailgun_key": "short"}, "at least 16"),
    ],
)
def test_settings_of_webhooks_that_cannot_be_meant_are_told(configure, hooks, says):
    with pytest.raises(ConfigError, match=says) as error:
        configure(mail={"webhooks": hooks})
    assert "short" not in str(error.value)


def test_a_bounce_that_postmark_gives_whole_proves_what_a_mail_would():
    raw = b"To: x\n\n--\n".decode() + "x"
    assert services.postmark(json.dumps({"Type": "HardBounce", "Email": "a@b.example", "Content": raw}).encode())
