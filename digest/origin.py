"""Whose an address is, and what of it is secret: user and password before the host."""

from __future__ import annotations

import re
import string
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

_SCHEME = string.ascii_letters + string.digits + "+.-:"
_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


def origin(url: str) -> Origin | None:
    """Scheme, host and port (RFC 6454), to which a secret is given and beyond which it does not go; None for none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname.lower(), port) if parts.hostname else None


def same(one: str, other: str) -> bool:
    """Are both addresses of one origin? False where either has none."""
    found = origin(one)
    return found is not None and (one == other or found == origin(other))


def open_part(headers: Mapping[str, str]) -> dict[str, str]:
    """Of headers that were given for one origin those that are no secret, and go with a feed: what it calls us."""
    return {name: value for name, value in headers.items() if name.lower() == "user-agent"}


def downgrades(old: str, new: str) -> bool:
    """Does the way from one address to the other lose the encryption?"""
    return old.lower().startswith("https:") and not new.lower().startswith("https:")


def without_login(url: str) -> tuple[str, dict[str, str]]:
    """An address without the user and password in it, and the header that says them instead (RFC 7617)."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, {}
    user, _, host = parts.netloc.rpartition("@")
    login = b64encode(unquote(user).encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {login}"}


def shown(words: str) -> str:
    """Words of any kind for people: what may be a user and a password in an address is left out."""
    return re.sub(r"\S+", lambda word: _without(word[0]), words) if "@" in words and "//" in words else words


def _without(word: str) -> str:
    before, slashes, rest = word.partition("//")
    if not slashes or "@" not in rest:
        return word
    start = len(before.rstrip(_SCHEME))  # what an address begins with may stand in brackets or quotes
    return before[:start] + _shown(before[start:] + slashes + rest)


def _shown(url: str) -> str:
    scheme, _, rest = url.partition("//")
    found = origin(url)
    if found is not None and "@" not in rest.partition("/")[0] and ("." in found[1] or found[1] == "localhost"):
        return url  # the @ is one of its path
    # Up to the last @, since a password with an unescaped / or # in it is no less a secret.
    return f"{scheme}//…@{rest.rpartition('@')[2]}"
