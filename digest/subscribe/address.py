"""An address in its one form, a name that is harmless in a header, and the mark an erased person leaves."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from digest.errors import BadInput
from digest.models import address_key

MAX_OCTETS = 254  # of a whole address, so that it fits a path of 256 with its angle brackets (RFC 5321 §4.5.3.1.3)
MAX_LOCAL_OCTETS = 64  # RFC 5321 §4.5.3.1.1
MAX_NAME = 200
MAX_TAG = 60
_MOST = 1_000  # characters of anything that may come to an address, with what pasting leaves around it
_MOST_OF_NAME = 10 * MAX_NAME  # before what is not shown of it is taken off

# Spaces and marks that pasting and spreadsheets leave around an address, where nobody sees them.
AROUND = (
    " \t\u00a0\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u202f\u2060"
    "\u2066\u2067\u2068\u2069\u3000\ufeff"
)
# What keyboards of East Asia type in place of ASCII, as in ａ＠ｅｘａｍｐｌｅ．ｃｏｍ.
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_NO_TAG = re.compile(r'[,"\[\]]')
_SPACES = re.compile(r"\s+")


def address(text: str) -> str:
    """The one form of an address: NFC, the domain in small letters and IDNA (RFC 5891), the local part as given.

    A domain comes back as letters go to it, `xn--…`; a local part may be UTF-8 (RFC 6531). Its case is kept,
    since the mailbox may mind, but `models.address_key` makes one person of both. Raises BadInput, in words,
    for what is not an address we can write to: no @ or two, line breaks, comments, quoted local parts,
    domain literals, domains that cannot get mail, more than 64 octets before the @ or 254 in all.
    """
    # Its length is asked before anything else: what NFC and IDNA do takes steps by its square.
    if len(text) > _MOST:
        raise BadInput(f"{_shown(text)} is too long: more than {MAX_OCTETS} octets")
    if "\n" in text or "\r" in text or "\0" in text:
        raise BadInput(f"{_shown(text)} is not an address: there is a line break (or NUL) in it")
    trimmed = text.strip(AROUND)
    if not trimmed.isascii():
        trimmed = trimmed.translate(_FULL_WIDTH)
    local, at, domain = trimmed.rpartition("@")
    if not at:
        raise BadInput(f"{_shown(text)} is not an address: there is no @ in it" if trimmed else "the address is empty")
    if not local or not domain:
        raise BadInput(f"{_shown(text)} is not an address: nothing stands {'after' if local else 'before'} the @")
    if len(local) > _MOST // 4:
        raise BadInput(f"{_shown(text)} is too long: more than {MAX_LOCAL_OCTETS} octets before the @")
    if len(domain) > MAX_OCTETS:
        raise BadInput(f"{_shown(text)} is too long: more than {MAX_OCTETS} octets")
    if not _DOT_ATOM.fullmatch(local):
        local = _local_part(local, text)
    try:
        ace = _domain(domain)
    except ValueError as error:
        raise BadInput(f"{_shown(text)} is not an address: {error}") from None
    if len(local.encode()) > MAX_LOCAL_OCTETS:
        raise BadInput(f"{_shown(text)} is too long: more than {MAX_LOCAL_OCTETS} octets before the @")
    if len(local.encode()) + 1 + len(ace) > MAX_OCTETS:
        raise BadInput(f"{_shown(text)} is too long: more than {MAX_OCTETS} octets")
    return f"{local}@{ace}"


def domain_of(text: str) -> str:
    """A domain, with an @ before it or not, as addresses are stored with it; BadInput for what is none."""
    return address(f"x@{text.strip(AROUND).removeprefix('@')}").rpartition("@")[2]


def _local_part(local: str, text: str) -> str:
    """A local part beyond plain ASCII atoms, in NFC (RFC 6532 §3.1)."""
    from email_validator import EmailNotValidError, validate_email

    if "@" in local:
        raise BadInput(f"{_shown(text)} is not an address: there are two @ in it, or two addresses in one")
    if local.startswith('"'):
        raise BadInput(f"{_shown(text)} has a quoted local part, which we do not write to")
    if "(" in local or ")" in local:
        raise BadInput(f"{_shown(text)} has a comment in it; write the bare address")
    if "\ufffd" in local:
        raise BadInput(f"{_shown(text)} is not an address: a letter of it was lost where it was read as UTF-8")
    try:
        return validate_email(f"{local}@example.com", check_deliverability=False).local_part
    except EmailNotValidError as error:
        raise BadInput(f"{_shown(text)} is not an address: {_reason(error)}") from None


@lru_cache(maxsize=10_000)  # few domains hold most of the addresses
def _domain(domain: str) -> str:
    """The A-labels of a domain; ValueError says what is wrong with it."""
    from email_validator import EmailNotValidError, validate_email

    if domain.startswith("["):
        raise ValueError("a domain literal gets no letters from us; give the domain's name")
    if "(" in domain or ")" in domain:
        raise ValueError("there is a comment in it; write the bare address")
    try:
        return validate_email(f"x@{domain}", check_deliverability=False).ascii_domain
    except EmailNotValidError as error:
        raise ValueError(_reason(error)) from None


def _reason(error: Exception) -> str:
    sentence = str(error).rstrip(".")
    return sentence[:1].lower() + sentence[1:]


def _shown(text: str) -> str:
    """A stranger's text, safe and short enough for one line of a message."""
    short = text if len(text) <= 80 else text[:77] + "…"
    return "'" + "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in short) + "'"


def display_name(text: str) -> str:
    """A name on one line, in NFC: runs of white space become one space, other control characters vanish.

    So it stands in a To: header and on a terminal as it is. Joiners stay (Persian and Indic names need them),
    marks that turn the writing direction go. Raises BadInput beyond 200 characters.
    """
    if text.isascii() and text.isprintable() and "  " not in text and len(text) <= MAX_NAME:  # most names, quickly
        return text.strip()
    if len(text) > _MOST_OF_NAME:  # asked first: long runs of marks take NFC steps by their square
        raise BadInput(f"the name {_shown(text)} is longer than {MAX_NAME} characters")
    shown = "".join(c for c in text if c.isprintable() or c.isspace() or c in "\u200c\u200d")
    kept = _SPACES.sub(" ", unicodedata.normalize("NFC", shown)).strip()
    if len(kept) > MAX_NAME:
        raise BadInput(f"the name {_shown(kept)} is longer than {MAX_NAME} characters")
    return kept


def tag(text: str) -> str:
    """A tag as it is kept, at most 60 characters: one line, nothing that makes a list of it in a cell of CSV.

    Raises BadInput for what is longer.
    """
    kept = display_name(_NO_TAG.sub(" ", text))
    if len(kept) > MAX_TAG:
        raise BadInput(f"the tag {_shown(kept)} is longer than {MAX_TAG} characters")
    return kept


def tags_of(words: Iterable[str]) -> list[str]:
    """Tags as they are kept with a person, sorted; VIP and vip are one, as it was written first."""
    found: dict[str, str] = {}
    for one in map(tag, words):
        found.setdefault(one.casefold(), one)
    found.pop("", None)
    return sorted(found.values())


def erasure_mark(key: str, secret: str) -> str:
    """What stays of an erased person: HMAC-SHA-256 of their `address_key` under the settings' secret key.

    It answers "is this them?" to whoever has the secret, and nothing else. The key is the
    `lasting_key` of the settings: a new one would make the old marks mute.
    """
    return hmac.digest(secret.encode(), b"erased\0" + key.encode(), hashlib.sha256).hex()


def key(text: str) -> str:
    """The key of an address as somebody typed it; raises BadInput like `address`."""
    return address_key(address(text))
