"""Proofs: links and bounce addresses that only we can have made, each bound to a purpose.

Pure: the key comes in, text goes out; who may do what with a proven row is decided by the caller.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from enum import StrEnum

from itsdangerous import BadSignature, URLSafeSerializer

VERP_PREFIX = "b-"
_MAC_BYTES = 8


class Purpose(StrEnum):
    """What a link may be used for; a token made for one is nothing for another."""

    UNSUBSCRIBE = "unsubscribe"


def token(purpose: Purpose, subscription_id: int, *, key: str) -> str:
    """A URL-safe proof for one subscription. It does not expire: a link in an old mail must still let people out."""
    return _serializer(purpose, key).dumps(subscription_id)


def read_token(purpose: Purpose, text: str, *, key: str) -> int | None:
    """The subscription a token was made for, or None for anything else."""
    try:
        value = _serializer(purpose, key).loads(text)
    except BadSignature:
        return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def verp(row_id: int, *, key: str, domain: str) -> str:
    """The MAIL FROM of one letter (VERP): a bounce to it names the outbox row without trusting the report.

    Small letters and digits only, since relays change the case of a local part.
    """
    packed = row_id.to_bytes(8, "big")
    text = base64.b32encode(packed.lstrip(b"\0") + _mac(packed, key)).decode().rstrip("=").lower()
    return f"{VERP_PREFIX}{text}@{domain}"


def read_verp(address: str, *, key: str) -> int | None:
    """The outbox row of a bounce address, or None for one that is not ours."""
    local = address.partition("@")[0].lower()
    if not local.startswith(VERP_PREFIX):
        return None
    text = local.removeprefix(VERP_PREFIX).upper()
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:
        return None
    packed = raw[:-_MAC_BYTES].rjust(8, b"\0")
    if len(packed) != 8 or not hmac.compare_digest(raw[-_MAC_BYTES:], _mac(packed, key)):
        return None
    return int.from_bytes(packed, "big")


def message_id(row_id: int, *, key: str, domain: str) -> str:
    """The Message-ID of a letter: the same at every attempt, and telling nobody how many there are."""
    packed = row_id.to_bytes(8, "big")
    digest = hmac.new(key.encode(), b"message-id" + packed, hashlib.sha256).digest()
    return f"<{base64.b32encode(digest[:15]).decode().lower()}@{domain}>"


def _mac(packed: bytes, key: str) -> bytes:
    return hmac.new(key.encode(), b"verp" + packed, hashlib.sha256).digest()[:_MAC_BYTES]


def _serializer(purpose: Purpose, key: str) -> URLSafeSerializer:
    return URLSafeSerializer(key, salt=f"digest.{purpose}", signer_kwargs={"digest_method": hashlib.sha256})
