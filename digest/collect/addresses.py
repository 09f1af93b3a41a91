"""Addresses as people write them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from digest.errors import BadInput
from digest.origin import shown
from digest.origin import without_login as without_login
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
    return http_url(words, login=True)


def has_scheme(words: str) -> bool:
    """Whether a person said how to ask, `http:` or `https:`, and not only whom."""
    return re.search(r"https?://", words[:20], re.I) is not None


def known_address(words: str) -> str:
    """The same, or BadInput where there is none."""
    found = address(words)
    if not found:
        raise BadInput(
            f"{plain(shown(words), limit=100)!r} is not a web address",
            hint="write e.g. https://example.org/feed.xml; --login asks for a user and password",
        )
    return found


def host_of(url: str) -> str:
    """The host of an address as `Hosts` knows it: small letters, no port."""
    return (urlsplit(http_url(url)).hostname or "").lower()
