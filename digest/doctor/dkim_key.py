"""The public half of a DKIM key as the DNS has it (RFC 6376 §3.6.1; Ed25519 by RFC 8463), against the private one."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SHORT, LEAST = 2048, 1024  # bits of an RSA key: receivers ask for the latter, and better have the former (RFC 8301)


@dataclass(frozen=True)
class Published:
    """A record. `key` is the public key as DER; "" in `p` says that it was revoked."""

    kind: str  # "rsa" or "ed25519"
    key: bytes
    hashes: tuple[str, ...] = ()  # () for all
    services: tuple[str, ...] = ("*",)
    testing: bool = False

    @property
    def revoked(self) -> bool:
        return not self.key


@dataclass(frozen=True)
class Private:
    """What a PEM file holds, as much as is compared: its kind, its bits, and the public half as it is published."""

    kind: str
    bits: int
    public: str  # base64, for p=

    @property
    def record(self) -> str:
        return f"v=DKIM1; k={self.kind}; p={self.public}"


def tags(text: str) -> dict[str, str]:
    """The tags of a list (§3.2), their names in small letters. ValueError where it is none."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise ValueError(f"has something that is no tag: {part.strip()[:40]}")
        if name in found:
            raise ValueError(f"says {name}= twice")
        found[name] = value.strip()
    return found


def parse(text: str) -> Published:
    """Read a record. ValueError says what is wrong with it."""
    found = tags(text)
    if found.get("v", "DKIM1") != "DKIM1" or ("v" in found and next(iter(found)) != "v"):
        raise ValueError("does not begin with v=DKIM1")
    kind = found.get("k", "rsa").lower()
    if kind not in ("rsa", "ed25519"):
        raise ValueError(f"has a kind of key that nobody knows: k={kind[:20]}")
    if "p" not in found:
        raise ValueError("has no p=, where the key would stand")
    try:
        key = base64.b64decode(re.sub(r"\s", "", found["p"]), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("has a p= that is no base64") from None
    return Published(
        kind,
        key,
        tuple(one.strip().lower() for one in found.get("h", "").split(":") if one.strip()),
        tuple(one.strip().lower() for one in found.get("s", "*").split(":")),
        "y" in [one.strip() for one in found.get("t", "").split(":")],
    )


def private(pem: bytes) -> Private:
    """ValueError where it is no private key of use."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise ValueError("is not a private key in PEM form without a passphrase") from None
    if isinstance(key, RSAPrivateKey):
        return Private("rsa", key.key_size, base64.b64encode(_der(key.public_key())).decode("ascii"))
    if isinstance(key, Ed25519PrivateKey):
        return Private("ed25519", 256, base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii"))
    raise ValueError("is neither an RSA nor an Ed25519 key")


def _der(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    made: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return made


def _rsa(der: bytes) -> Any:
    """Also of the bare RSAPublicKey (RFC 8017) that some publish; receivers read both."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("has a p= that is no public key") from None
    if not isinstance(key, RSAPublicKey):
        raise ValueError("has k=rsa and a key that is none of RSA")
    return key


def same(published: Published, ours: Private) -> bool:
    """Is it the other half of ours? ValueError where it is no key."""
    if published.kind != ours.kind:
        return False
    if published.kind == "ed25519":
        return published.key == base64.b64decode(ours.public)
    return bool(_der(_rsa(published.key)) == base64.b64decode(ours.public))


def faults(texts: Sequence[str], ours: Private) -> str:
    """Why receivers cannot check our signatures by these TXT records, or ""."""
    if not texts:
        return "is not there"
    if len(texts) > 1:
        return f"is there {len(texts)} times, and receivers may take any of them"
    try:
        found = parse(texts[0])
        if found.revoked:
            return "is revoked (an empty p=)"
        if not same(found, ours):
            return "is another key than the one that we sign with"
    except ValueError as error:
        return f"cannot be used: it {error}"
    if found.hashes and "sha256" not in found.hashes:
        return "does not allow SHA-256 (h=), with which we sign"
    if not {"*", "email"} & set(found.services):
        return "is not for mail (s=)"
    return ""


def zone_line(name: str, text: str) -> str:
    """A TXT record as a line of a zone: pieces of 255 bytes at the most (RFC 1035 §3.3.14)."""
    raw = text.replace("\\", "\\\\").replace('"', '\\"')
    pieces = [raw[at : at + 250] for at in range(0, len(raw), 250)] or [""]
    return f"{name}. IN TXT " + " ".join(f'"{piece}"' for piece in pieces)
