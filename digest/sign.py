"""Proofs: links and bounce addresses that only we can have made, each bound to a purpose.

Pure: the key comes in, text goes out; who may do what with a proven row is decided by the caller.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from enum import StrEnum
from functools import lru_cache

from itsdangerous import BadSignature, URLSafeSerializer
from itsdangerous.encoding import base64_encode

VERP_PREFIX = "b-"
_MAC_BYTES = 8
_VERP = re.compile(rf"{VERP_PREFIX}(?P<mac>[0-9a-f]{{{2 * _MAC_BYTES}}})(?P<row>[1-9a-f][0-9a-f]{{0,15}})", re.ASCII)


class Purpose(StrEnum):
    """What a link may be used for; a token made for one is nothing for another."""

    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"


def token(purpose: Purpose, subscription_id: int, *, key: str) -> str:
    """A URL-safe proof for one subscription. It does not expire: a link in an old mail must still let people out."""
    # What `URLSafeSerializer.dumps` makes of a number, without compressing it and deriving the key each time.
    value = base64_encode(str(subscription_id))
    return (value + b"." + base64_encode(_link_mac(purpose, key).digest(value))).decode("ascii")


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
    return f"{VERP_PREFIX}{_mac(row_id, key).hex()}{row_id:x}@{domain}"


def read_verp(address: str, *, key: str) -> int | None:
    """The outbox row of a bounce address, or None for one that is not ours."""
    match = _VERP.fullmatch(address.partition("@")[0].lower())
    if match is None:
        return None
    row_id = int(match["row"], 16)
    return row_id if row_id < 2**63 and hmac.compare_digest(bytes.fromhex(match["mac"]), _mac(row_id, key)) else None


def message_id(row_id: int, *, key: str, domain: str) -> str:
    """The Message-ID of a letter: the same at every attempt, and telling nobody how many there are."""
    mac = _keyed(key.encode()).digest(b"message-id" + row_id.to_bytes(8, "big"))
    return f"<{mac[:15].hex()}@{domain}>"


def _mac(row_id: int, key: str) -> bytes:
    return _keyed(key.encode()).digest(b"verp" + row_id.to_bytes(8, "big"))[:_MAC_BYTES]


class _Keyed:
    """HMAC-SHA256 (RFC 2104) whose key is hashed once; `hmac.digest` does it for each letter, at thrice the cost."""

    def __init__(self, key: bytes) -> None:
        block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


_keyed = lru_cache(maxsize=16)(_Keyed)


@lru_cache(maxsize=16)
def _link_mac(purpose: Purpose, key: str) -> _Keyed:
    return _Keyed(_serializer(purpose, key).make_signer().derive_key())


def _serializer(purpose: Purpose, key: str) -> URLSafeSerializer:
    return URLSafeSerializer(key, salt=f"digest.{purpose}", signer_kwargs={"digest_method": hashlib.sha256})
