"""Proofs: links and bounce addresses that only we can have made, each bound to a purpose.

Pure: the key comes in, text goes out; who may do what with a proven row is decided by the caller.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32decode, b32encode, urlsafe_b64encode
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache

from itsdangerous import BadData, BadSignature, URLSafeSerializer
from itsdangerous.encoding import base64_decode

from digest.dataclass import dataclass

VERP_PREFIX = "b-"
NOBODY = 0  # the number of no subscription: a link for it shows whether links work
NOBODYS = "This link is nobody's. It works: digest doctor asks by it.\n"
_MAC_BYTES = 8
_TAG, _NUMBER = 16, 8  # bytes of a token
TOKEN = 32  # letters of it
_MAIL_TAG = 12  # with the number 20 bytes: 32 letters of base32
# Wherever forwarders put it: SRS0=…=b-…, prvs=…=b-…, bounces+b-…, b-…=news.example
_VERP = re.compile(
    rf"(?<![0-9a-z]){VERP_PREFIX}(?P<mac>[0-9a-f]{{{2 * _MAC_BYTES}}})(?P<row>[1-9a-f][0-9a-f]{{0,15}})(?![0-9a-z])",
    re.ASCII,
)

_FEED = re.compile(r"(?<![a-z0-9])feed[+=-]([a-z0-9](?:[a-z0-9-]{0,18}[a-z0-9])?)-([a-z2-7]{12})(?![a-z0-9])")


# What mail programs and people take along with a link that ends a sentence or stands in brackets; no token ends so.
_BEHIND_LINKS = " \t\r\n.,;:!?)]}>'\"*»”’…。"


class Purpose(StrEnum):
    """What a link may be used for; a token made for one is nothing for another."""

    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"
    CONFIRM = "confirm"
    MOVE = "move"
    LEAVE = "leave"  # by mail
    CHOICES = "choices"  # by mail


def token(purpose: Purpose, subscription_id: int, *, key: str) -> str:
    """A URL-safe proof for one subscription, which tells nobody its number.

    It does not expire: a link in an old mail must still let people out. Made as in RFC 5297 (SIV), with
    HMAC-SHA-256 for its cipher: the tag is the MAC of the number, and of the tag is made what hides the number.
    """
    mac, pad = _link_keys(purpose, key)
    number = subscription_id.to_bytes(_NUMBER, "big")
    tag = mac.digest(number)[:_TAG]
    return urlsafe_b64encode(tag + _xor(number, pad.digest(tag))).decode("ascii")


def read_token(purpose: Purpose, text: str, *, keys: Sequence[str]) -> int | None:
    """The subscription a token was made for with one of `keys`, or None for anything else."""
    text = text.rstrip(_BEHIND_LINKS)
    try:
        data = base64_decode(text)
    except BadData:
        data = b""
    for key in keys if len(data) == _TAG + _NUMBER else ():
        mac, pad = _link_keys(purpose, key)
        tag = data[:_TAG]
        number = _xor(data[_TAG:], pad.digest(tag))
        if hmac.compare_digest(mac.digest(number)[:_TAG], tag):
            return int.from_bytes(number, "big")
    # Links as they were made at first are in people's mail.
    value = _loaded(purpose, text, keys) if purpose is Purpose.UNSUBSCRIBE else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class Asked:
    """What a link to confirm proves: that its subscription's address was asked, and when."""

    subscription_id: int
    at: datetime


def confirm_token(subscription_id: int, *, at: datetime, key: str) -> str:
    """A proof that says when it was made, so that it can grow too old."""
    number = token(Purpose.CONFIRM, subscription_id, key=key)
    return _serializer(Purpose.CONFIRM, [key]).dumps([number, int(at.timestamp())])


def read_confirm(text: str, *, keys: Sequence[str]) -> Asked | None:
    """What `confirm_token` made with one of `keys`, however old, or None for anything else."""
    match _loaded(Purpose.CONFIRM, text, keys):
        case [str(number), int(seconds)]:
            subscription_id = read_token(Purpose.CONFIRM, number, keys=keys)
            return Asked(subscription_id, datetime.fromtimestamp(seconds, UTC)) if subscription_id else None
    return None


@dataclass(frozen=True)
class Move:
    """What a link to a new address proves: for which subscription it was asked, by the holder of which, and when."""

    subscription_id: int
    email: str  # the new address, which got the link
    holder: str  # a mark of the old one
    at: datetime


def move_token(asked: Move, *, key: str) -> str:
    number = token(Purpose.MOVE, asked.subscription_id, key=key)
    return _serializer(Purpose.MOVE, [key]).dumps([number, asked.email, asked.holder, int(asked.at.timestamp())])


def read_move(text: str, *, keys: Sequence[str]) -> Move | None:
    """What `move_token` made with one of `keys`, however old, or None for anything else."""
    match _loaded(Purpose.MOVE, text, keys):
        case [str(number), str(email), str(holder), int(seconds)]:
            subscription_id = read_token(Purpose.MOVE, number, keys=keys)
            at = datetime.fromtimestamp(seconds, UTC)
            return Move(subscription_id, email, holder, at) if subscription_id else None
    return None


def _loaded(purpose: Purpose, text: str, keys: Sequence[str]) -> object:
    try:
        return _serializer(purpose, keys).loads(text.rstrip(_BEHIND_LINKS))
    except BadSignature:
        return None


def _xor(one: bytes, other: bytes) -> bytes:
    """As long as `one` is."""
    mixed = int.from_bytes(one, "big") ^ int.from_bytes(other[: len(one)], "big")
    return mixed.to_bytes(len(one), "big")


def mail_token(purpose: Purpose, subscription_id: int, *, key: str) -> str:
    """The same as `token` for the local part of an address: in letters and digits whose case may be lost."""
    mac, pad = _link_keys(purpose, key)
    number = subscription_id.to_bytes(_NUMBER, "big")
    tag = mac.digest(number)[:_MAIL_TAG]
    return b32encode(tag + _xor(number, pad.digest(tag))).decode("ascii").lower()


def read_mail_token(purpose: Purpose, text: str, *, keys: Sequence[str]) -> int | None:
    """The subscription that `mail_token` was made for with one of `keys`, or None for anything else."""
    try:
        data = b32decode(text.upper()) if len(text) == 32 else b""
    except ValueError:
        data = b""
    for key in keys if data else ():
        mac, pad = _link_keys(purpose, key)
        tag = data[:_MAIL_TAG]
        number = _xor(data[_MAIL_TAG:], pad.digest(tag))
        if hmac.compare_digest(mac.digest(number)[:_MAIL_TAG], tag):
            return int.from_bytes(number, "big")
    return None


def at_mailbox(word: str, *, domain: str, mailbox: str = "") -> str:
    """An address of ours for one purpose: `word@domain`, or where there is one mailbox for all, `mailbox+word@…`."""
    local, _, place = mailbox.rpartition("@")
    return f"{local}+{word}@{place}" if mailbox else f"{word}@{domain}"


def choices_address(subscription_id: int, *, key: str, domain: str, mailbox: str = "") -> str:
    """Where a reader says by mail what they choose. A short word, for a local part has 64 letters at most."""
    return at_mailbox(f"prefs+{mail_token(Purpose.CHOICES, subscription_id, key=key)}", domain=domain, mailbox=mailbox)


def feed_address(name: str, *, key: str, domain: str, mailbox: str = "") -> str:
    """Where a newsletter sends its mails for the feed `mail:name`, which has at most 20 letters."""
    return at_mailbox(f"feed+{name}-{_feed_mark(name, key)}", domain=domain, mailbox=mailbox)


def feed_in(address: str, *, keys: Sequence[str]) -> str | None:
    """The name of the feed that an address is for, or None for any that we did not make."""
    match = _FEED.search(address[:1000].lower())
    if match is None:
        return None
    return match[1] if any(hmac.compare_digest(match[2], _feed_mark(match[1], key)) for key in keys) else None


def _feed_mark(name: str, key: str) -> str:
    return b32encode(_keyed(key).digest(b"feed" + name.encode())).decode("ascii").lower()[:12]


def verp(row_id: int, *, key: str, domain: str, mailbox: str = "") -> str:
    """The MAIL FROM of one letter (VERP): a bounce to it names the outbox row without trusting the report.

    Small letters and digits only, since relays change the case of a local part.
    """
    return at_mailbox(f"{VERP_PREFIX}{_mac(row_id, key).hex()}{row_id:x}", domain=domain, mailbox=mailbox)


def verp_in(address: str, *, keys: Sequence[str]) -> int | None:
    """The outbox row of a bounce address wherever it stands in a rewritten one (SRS, BATV, a forwarder's), or None."""
    for match in _VERP.finditer(address[:1000].lower()):
        row_id = int(match["row"], 16)
        for key in keys if row_id < 2**63 else ():
            if hmac.compare_digest(bytes.fromhex(match["mac"]), _mac(row_id, key)):
                return row_id
    return None


def message_id(row_id: int, *, key: str, domain: str, written_at: datetime | None = None) -> str:
    """The Message-ID of a letter: the same at every attempt, and telling nobody how many there are.

    `written_at` tells apart letters whose rows may be deleted, for SQLite gives the number of the last one again.
    """
    when = written_at.isoformat().encode() if written_at else b""
    mac = _keyed(key).digest(b"message-id" + row_id.to_bytes(8, "big") + when)
    return f"<{mac[:15].hex()}@{domain}>"


def same_message_id(text: str, row_id: int, *, keys: Sequence[str], written_at: datetime | None = None) -> bool:
    """Is it the Message-ID of this letter, whatever a relay made of its domain or of the case of its letters?"""
    said = text.strip().strip("<>").partition("@")[0].lower()
    ours = (message_id(row_id, key=key, domain="x", written_at=written_at)[1:].partition("@")[0] for key in keys)
    return any(hmac.compare_digest(said.encode(), one.encode()) for one in ours)


def _mac(row_id: int, key: str) -> bytes:
    return _keyed(key).digest(b"verp" + row_id.to_bytes(8, "big"))[:_MAC_BYTES]


class _Keyed:
    """HMAC-SHA256 (RFC 2104) whose key is hashed once; `hmac.digest` does it for each letter, at thrice the cost.

    `prefix` is what each message begins with, hashed once too.
    """

    def __init__(self, key: bytes, prefix: bytes = b"") -> None:
        block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
        self.inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + prefix).copy
        self.outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block)).copy

    def digest(self, message: bytes) -> bytes:
        inner, outer = self.inner(), self.outer()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


class Stamps:
    """What `token`, `verp` and `message_id` make, for who makes very many of them with the same keys."""

    def __init__(self, *, links: str, letters: str) -> None:
        """The key that links are made with, and the one of bounce addresses and Message-IDs."""
        self._links = links
        self._verp = _Keyed(letters.encode(), b"verp")
        self._message_id = _Keyed(letters.encode(), b"message-id")

    def tokens(self, purpose: Purpose) -> Callable[[int], bytes]:
        """`token`, in ASCII. Written out: it is called twice for each letter."""
        mac, pad = _link_keys(purpose, self._links)
        mac_inner, mac_outer, pad_inner, pad_outer = mac.inner, mac.outer, pad.inner, pad.outer
        as_number = int.from_bytes

        def make(number: int) -> bytes:
            inner, outer = mac_inner(), mac_outer()
            inner.update(number.to_bytes(_NUMBER, "big"))
            outer.update(inner.digest())
            tag = outer.digest()[:_TAG]
            inner, outer = pad_inner(), pad_outer()
            inner.update(tag)
            outer.update(inner.digest())
            hidden = number ^ as_number(outer.digest()[:_NUMBER], "big")
            return b2a_base64(tag + hidden.to_bytes(_NUMBER, "big"), newline=False).translate(_URL_SAFE)

        return make

    def verp(self, row_id: int) -> str:
        """The local part of `verp`."""
        return f"{VERP_PREFIX}{self._verp.digest(row_id.to_bytes(8, 'big'))[:_MAC_BYTES].hex()}{row_id:x}"

    def message_id(self, row_id: int, when: bytes = b"") -> str:
        """The part of `message_id` before its domain."""
        return self._message_id.digest(row_id.to_bytes(8, "big") + when)[:15].hex()


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


@lru_cache(maxsize=256)
def _keyed(key: str) -> _Keyed:
    return _Keyed(key.encode())


@lru_cache(maxsize=1024)
def _link_keys(purpose: Purpose, key: str) -> tuple[_Keyed, _Keyed]:
    """What makes the tag of a token, and what hides its number."""
    return _Keyed(f"digest.{purpose}.tag:{key}".encode()), _Keyed(f"digest.{purpose}.pad:{key}".encode())


def _serializer(purpose: Purpose, keys: Sequence[str]) -> URLSafeSerializer:
    """itsdangerous signs with the last of its keys and reads with any."""
    return URLSafeSerializer(
        list(reversed(keys)), salt=f"digest.{purpose}", signer_kwargs={"digest_method": hashlib.sha256}
    )
