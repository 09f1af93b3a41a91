"""Is a request really a service's? What each of them signs, and how. Pure: certificates and the time come in.

| service | what is signed | how long it holds |
| --- | --- | --- |
| Amazon SNS | the message, by RSA of a certificate of theirs | 75 minutes: they try again for an hour |
| SendGrid | the whole body and a moment, by ECDSA | a day: they try again for as long; each event counts once |
| Mailgun | a moment and a token, not the body: so each token counts once | 9 hours: they try again for 8 |
| Postmark | nothing: a password of ours | |
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

_SNS_HOST = re.compile(r"sns\.([a-z0-9-]{1,40})\.amazonaws\.com(?:\.cn)?")
_CERTIFICATE = re.compile(r"/[A-Za-z0-9-]{1,100}\.pem")
_AHEAD = timedelta(minutes=5)  # that clocks may differ
_SNS, _SENDGRID, _MAILGUN = timedelta(minutes=75), timedelta(hours=24), timedelta(hours=9)
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


class Untrue(Exception):
    """It is not the service's, or not of now; why, for the operator."""


def sendgrid(headers: Mapping[str, str], body: bytes, *, key: str, now: datetime) -> None:
    """Raise Untrue unless the Event Webhook signed this."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    moment = headers.get("x-twilio-email-event-webhook-timestamp", "")
    _timely(moment, _SENDGRID, now)
    if not is_public_key(key):
        raise Untrue("sendgrid_key in the settings is no key")
    public = load_der_public_key(base64.b64decode(key))
    signature = _decoded(headers.get("x-twilio-email-event-webhook-signature", ""))
    try:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(signature, moment.encode() + body, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Untrue("wrong signature") from None


def is_public_key(key: str) -> bool:
    """Can SendGrid's signatures be told by it?"""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return isinstance(load_der_public_key(base64.b64decode(key)), ec.EllipticCurvePublicKey)
    except Exception:  # whatever the library says of what is no key
        return False


def mailgun(signature: Mapping[str, Any], *, key: str, now: datetime) -> str:
    """The token, which may come once; Untrue unless Mailgun signed it."""
    moment, token, said = (str(signature.get(name, ""))[:200] for name in ("timestamp", "token", "signature"))
    ours = hmac.new(key.encode(), f"{moment}{token}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()
    if not token or not hmac.compare_digest(ours.encode(), said.encode("utf-8", "replace")):
        raise Untrue("wrong signature")
    _timely(moment, _MAILGUN, now)
    return hashlib.sha256(token.encode()).hexdigest()


def postmark(headers: Mapping[str, str], *, secret: str) -> None:
    """Untrue unless our password comes along: by basic authentication, or as X-Digest-Secret."""
    given = headers.get("x-digest-secret", "")
    way, _, packed = headers.get("authorization", "").partition(" ")
    if way.lower() == "basic":
        try:
            given = base64.b64decode(packed, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            given = ""
    if not hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode()):
        raise Untrue("wrong password")


# ---------------------------------------------------------------- Amazon SNS


def sns_topic(message: Mapping[str, Any], *, topics: tuple[str, ...], now: datetime) -> None:
    """Untrue where a message is of another topic, of long ago, or names a certificate that is not Amazon's."""
    topic = message.get("TopicArn")
    if topic not in topics:
        raise Untrue("a topic that is not in ses_topics")
    if str(message.get("Type")) not in _SIGNED:
        raise Untrue("no message of SNS")
    try:
        at = datetime.fromisoformat(str(message.get("Timestamp", ""))[:40].replace("Z", "+00:00"))
    except ValueError:
        raise Untrue("no time") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if not -_AHEAD <= now - at <= _SNS:
        raise Untrue("old, or of another time")
    region = str(topic).split(":")[3]
    if not amazons(str(message.get("SigningCertURL", "")), region=region, path=_CERTIFICATE):
        raise Untrue("a certificate that is not Amazon's")


def amazons(url: str, *, region: str, path: re.Pattern[str] | None = None) -> bool:
    """Is it an address of SNS in a region? With `path`: of that alone, so that one thing has one address."""
    try:
        parts = urlsplit(url)
        host = _SNS_HOST.fullmatch(parts.netloc)  # with a port, a user or capitals it is none
    except ValueError:
        return False
    plain = len(url) <= 2000 and url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    there = path is None or path.fullmatch(url.removeprefix(f"https://{parts.netloc}")) is not None
    return parts.scheme == "https" and host is not None and host[1] == region and plain and there


def sns(message: Mapping[str, Any], certificate: bytes, *, now: datetime) -> None:
    """Untrue unless the holder of the certificate, which is SNS, signed the message."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        found = x509.load_pem_x509_certificate(certificate)
        public = found.public_key()
        names = [str(one.value) for one in found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    except ValueError:
        raise Untrue("a certificate that cannot be read") from None
    if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
        raise Untrue("a certificate that is out of date")
    if not isinstance(public, rsa.RSAPublicKey) or not any(_amazon(name) for name in names):
        raise Untrue("a certificate that is not of SNS")
    version = str(message.get("SignatureVersion", ""))
    way = {"1": hashes.SHA1(), "2": hashes.SHA256()}.get(version)  # noqa: S303  (what SNS signs with, by default)
    if way is None:
        raise Untrue("a signature of another version")
    try:
        public.verify(_decoded(str(message.get("Signature", ""))), sns_text(message), padding.PKCS1v15(), way)
    except InvalidSignature:
        raise Untrue("wrong signature") from None


def _amazon(name: str) -> bool:
    return name == "sns.amazonaws.com" or _SNS_HOST.fullmatch(name) is not None


def sns_text(message: Mapping[str, Any]) -> bytes:
    """What SNS signs: names and values of some fields, a line each."""
    names = _SIGNED[str(message["Type"])]
    lines = [f"{name}\n{message[name]}\n" for name in names if isinstance(message.get(name), str)]
    return "".join(lines).encode("utf-8", "replace")


def _timely(moment: str, holds: timedelta, now: datetime) -> None:
    if not re.fullmatch(r"[0-9]{1,11}", moment):
        raise Untrue("no time")
    if not -_AHEAD <= timedelta(seconds=now.timestamp() - int(moment)) <= holds:
        raise Untrue("old, or of another time")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Untrue("wrong signature") from None
