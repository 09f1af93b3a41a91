"""Addresses as people write them."""

from __future__ import annotations

import re
from base64 import b64encode
from urllib.parse import unquote, urlsplit, urlunsplit

from digest.errors import BadInput
from digest.parse.text import http_url, plain


def address(words: str) -> str:
    """What a person means by an address: `feed:` in front and a missing `https://` are forgiven; "" for none."""
    words = words.strip()
    for prefix in ("feed://", "feed:"):
        if words.lower().startswith(prefix):
            words = words[len(prefix) :]
            break
    if re.fullmatch(r"[^\s/:@]+\.[^\s/:@]+(:\d+)?(/\S*)?", words):
        words = f"https://{words}"
    return http_url(words)


def known_address(words: str) -> str:
    """The same, or BadInput where there is none."""
    found = address(words)
    if not found:
        raise BadInput(
            f"{plain(words, limit=100)!r} is not a web address", hint="write e.g. https://example.org/feed.xml"
        )
    return found


def without_login(url: str) -> tuple[str, dict[str, str]]:
    """An address without the user and password in it, and the header that says them instead (RFC 7617)."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, {}
    user, _, host = parts.netloc.rpartition("@")
    login = b64encode(unquote(user).encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {login}"}


def host_of(url: str) -> str:
    """The host of an address as `Hosts` knows it: small letters, no port."""
    return (urlsplit(http_url(url)).hostname or "").lower()
