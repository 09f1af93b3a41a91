"""DKIM signatures (RFC 6376; Ed25519 by RFC 8463), for senders whose relay does not sign. Pure.

relaxed/relaxed: on the way headers may be refolded, and spaces at the ends of lines and empty lines at the end be lost.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime

# Both List-Unsubscribe headers must be signed for one-click to count (RFC 8058 §4). Each is named once more than it
# is there, so that no second one can be added (RFC 6376 §8.15).
SIGNED = (
    b"from", b"to", b"reply-to", b"subject", b"date", b"message-id", b"mime-version", b"content-type",
    b"content-transfer-encoding", b"list-id", b"list-unsubscribe", b"list-unsubscribe-post", b"feedback-id",
)  # fmt: skip
# Those of which there may be one though we write none: an added one would be shown, answered, or read by.
_NEVER_ADDED = (b"reply-to", b"cc", b"content-transfer-encoding")
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_SPACES = re.compile(rb"\t[ \t]*| [ \t]+")
_SPACE = re.compile(rb"[ \t]+")


class Signer:
    """One key under one selector of one domain. ValueError where `pem` holds no RSA or Ed25519 key of use."""

    def __init__(self, pem: bytes, *, domain: str, selector: str) -> None:
        # Heavy, and needed only where we sign ourselves.
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        self._sign: Callable[[bytes], bytes]
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            raise ValueError("is not a private key in PEM form without a passphrase") from None
        if isinstance(key, RSAPrivateKey):
            if key.key_size < 1024:
                raise ValueError(f"has {key.key_size} bits; receivers ask for 1024 at least, better 2048")
            rsa = key
            self._algorithm = "rsa-sha256"
            self._sign = lambda text: rsa.sign(text, PKCS1v15(), hashes.SHA256())
        elif isinstance(key, Ed25519PrivateKey):
            ed25519 = key
            self._algorithm = "ed25519-sha256"
            self._sign = lambda text: ed25519.sign(hashlib.sha256(text).digest())
        else:
            raise ValueError("is neither an RSA nor an Ed25519 key")
        self.domain = domain
        self.selector = selector

    def sign(self, head: bytes, body_hash: bytes, at: datetime) -> bytes:
        """The DKIM-Signature header, to stand before `head`.

        `head` holds the message's headers, each ended by CRLF, and may end with the empty line; `body_hash` is
        the SHA-256 of the body, relaxed. `at` is the letter's own date, so that every attempt has the same bytes.
        """
        found = dict(_headers(head))
        names = [name for name in SIGNED if name in found]
        absent = [name for name in _NEVER_ADDED if name not in found]
        listed = b":".join([*names, *names, *absent]).decode("ascii")
        value = (
            f"v=1; a={self._algorithm}; c=relaxed/relaxed; d={self.domain}; s={self.selector};\r\n"
            f" t={int(at.timestamp())}; bh={base64.b64encode(body_hash).decode('ascii')};\r\n"
            f" h={_wrapped(listed, ':')};\r\n b="
        ).encode("ascii")
        own = _relaxed(b"dkim-signature", value)
        text = b"".join(_relaxed(name, found[name]) + b"\r\n" for name in names) + own
        signature = self._sign(text)
        encoded = base64.b64encode(signature).decode("ascii")
        lines = "\r\n ".join(encoded[at : at + 72] for at in range(0, len(encoded), 72))
        return b"DKIM-Signature: " + value + lines.encode("ascii") + b"\r\n"


def relaxed_body(pieces: Sequence[bytes]) -> list[bytes]:
    """A body in relaxed form (RFC 6376 §3.4.4), in the pieces that it is given in: each begins and ends a line."""
    found = [_SPACES.sub(b" ", piece).replace(b" \r\n", b"\r\n") for piece in pieces]
    last = found[-1].rstrip(b"\r\n")
    found[-1] = last + b"\r\n" if last else b""
    return found


def _headers(head: bytes) -> list[tuple[bytes, bytes]]:
    """(name in small letters, value) of each header."""
    unfolded = _FOLD.sub(b"", head)
    pairs = [line.partition(b":") for line in unfolded.split(b"\r\n") if line]
    return [(name.strip().lower(), value) for name, _, value in pairs]


def _relaxed(name: bytes, value: bytes) -> bytes:
    """RFC 6376 §3.4.2, without the line's end."""
    return name + b":" + _SPACE.sub(b" ", _FOLD.sub(b"", value)).strip(b" \t")


def _wrapped(text: str, at: str, *, width: int = 70) -> str:
    lines = [""]
    for word in re.findall(f"[^{at}]+{at}?", text):
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word
    return "\r\n  ".join(lines)
