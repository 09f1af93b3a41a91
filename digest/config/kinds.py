"""Kinds of values that settings have: names, lines, addresses, shares, networks."""

from __future__ import annotations

import ipaddress
from email.utils import parseaddr
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

# The topics of the package (`curate/topics.toml`), and the name of what has none.
TOPICS = (
    "ai",
    "security",
    "databases",
    "distributed",
    "devops",
    "web",
    "languages",
    "systems",
    "mobile",
    "hardware",
    "games",
    "practices",
)
OTHER = "other"
SLUG = r"^[a-z0-9][a-z0-9_-]{0,39}$"
Slug = Annotated[str, Field(pattern=SLUG)]


def _mailbox(value: str) -> str:
    """`Name <address>` or `address`, on one line (RFC 5322 §3.4)."""
    if any(c in value for c in "\r\n\0"):
        raise ValueError("has a line break in it")
    _name, address = parseaddr(value)
    local, at, domain = address.rpartition("@")
    if not (local and at and domain):
        raise ValueError("is not an address; write e.g. 'Daily <news@example.org>'")
    return value


def _one_line(value: str) -> str:
    if any(c in value for c in "\r\n\0"):
        raise ValueError("has a line break in it")
    return value


Mailbox = Annotated[str, AfterValidator(_mailbox)]
Line = Annotated[str, AfterValidator(_one_line)]


def _smtp_url(value: SecretStr) -> SecretStr:
    url = urlsplit(value.get_secret_value())
    if url.scheme not in ("smtp", "smtp+starttls", "smtps") or not url.hostname:
        raise ValueError("must look like smtp+starttls://user:password@mail.example.org:587 (or smtp://, smtps://)")
    try:
        _ = url.port
    except ValueError:
        raise ValueError("has a port that is not a number from 1 to 65535") from None
    return value


def _share(value: object) -> object:
    """0.01 or "1%"."""
    if isinstance(value, str) and value.rstrip().endswith("%"):
        try:
            return float(value.rstrip()[:-1]) / 100
        except ValueError:
            raise ValueError('must be a share like "1%" or 0.01') from None
    return value


SmtpUrl = Annotated[SecretStr, AfterValidator(_smtp_url)]
Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
