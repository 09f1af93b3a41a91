"""Which pictures an entry may have, by what its feed and its page say of them. Pure; none of them is looked at."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import unescape
from typing import Any
from urllib.parse import urlsplit

MOST = 6  # addresses of an entry
MAX_LINK = 1_000  # characters; an index of PostgreSQL takes no more than 2,700 bytes
_FIRST = 3  # pictures of a text
_MARKUP = 100_000  # characters of a text that are looked through
_IMG = re.compile(r"<img\b([^<>]{0,4000}+)>", re.I)
_SRC = re.compile(r"\bsrc=\"(https?://[^\"]{4,2000})\"", re.I)
_SIDE = re.compile(r"\b(?:width|height)=\"(\d{1,5})(?:px)?\"", re.I)
_LEAST = 96  # pixels that a side must have, where that is said
# What shows nothing wherever it stands: counters, spacers, faces of authors, buttons, smileys.
_BEACON = re.compile(
    r"(?:^|[/_.\-+?&=])(?:pixel|beacon|spacer|blank|transparent|tracking|tracker|counter|stat|stats|count|1x1|clear|dot|"
    r"avatars?|gravatar|emoji|emoticons?|smil(?:ey|ies)|sprite)(?=[/_.\-+?&=\d]|$)",
    re.I,
)
_BEACON_HOST = re.compile(
    r"(?:^|\.)(?:feedburner\.com|doubleclick\.net|google-analytics\.com|googlesyndication\.com|gravatar\.com|"
    r"feedsportal\.com|pixel\.wp\.com|stats\.wordpress\.com|scorecardresearch\.com|list-manage\.com|quantserve\.com|"
    r"facebook\.com|feeds\.[a-z0-9-]+\.[a-z]+|pi\.[a-z0-9-]+\.[a-z]+|twemoji\.maxcdn\.com|addtoany\.com|sharethis\.com)$",
    re.I,
)
_NO_PICTURE = re.compile(r"\.(?:svgz?|ico|mp[34]|m4[av]|webm|ogg|pdf|php3?|aspx?|cgi)$", re.I)


def candidates(
    declared: str,
    enclosures: Sequence[Mapping[str, Any]],
    texts: Iterable[str],
    page: str = "",
    *,
    repeated: Collection[str] = (),
) -> tuple[str, ...]:
    """Addresses of what may be an entry's picture, as they are to be asked for; without what its feed repeats.

    `declared`: media:thumbnail and the like. `page`: what its page names (og:image). `texts` is clean HTML.
    """
    enclosed = [
        str(one.get("url") or "") for one in enclosures if str(one.get("type") or "").lower().startswith("image")
    ]
    found = dict.fromkeys([*enclosed, page, declared])
    for text in texts:
        found |= dict.fromkeys(_in_text(text))
    return tuple(url for url in found if url not in repeated and possible(url))[:MOST]


def possible(url: str) -> bool:
    """Whether an address may be that of a story's picture."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host or len(url) > MAX_LINK:
        return False
    if _BEACON_HOST.search(host) or _NO_PICTURE.search(parts.path):
        return False
    return not _BEACON.search(f"{parts.path}")


def _in_text(markup: str) -> list[str]:
    found = []
    for match in _IMG.finditer(markup[:_MARKUP]):
        src = _SRC.search(match[1])
        if src is not None and all(int(side[1]) >= _LEAST for side in _SIDE.finditer(match[1])):
            found.append(unescape(src[1]))
        if len(found) == _FIRST:
            break
    return found
