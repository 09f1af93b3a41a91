"""Reading a feed, whatever its format."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from digest.parse import documents, jsonfeed, recipes, sitemaps, xmlfeed
from digest.parse.entries import NotAFeed, ParsedFeed, Watch, known_again

_UNWATCHED = Watch()
# A JSON Feed behind a comment, a function's name or a warning.
_JSON = re.compile(
    rb"(?!\s*+<\?xml|\s*+<(?:rss|feed|rdf)\b)[^{]{0,1500}+\{[^{}<]{0,400}?[\"']?version[\"']?\s*+:\s*+[\"']https?:[\\/]{2,4}(?:www\.)?jsonfeed\.org",
    re.I,
)


def feed(
    body: bytes,
    *,
    url: str,
    content_type: str = "",
    now: datetime,
    watch: Watch = _UNWATCHED,
    recipe: recipes.Recipe | None = None,
) -> ParsedFeed:
    """Read the document that `url` answered with. Raises NotAFeed with the reason in words.

    `url` is the base of relative links, `content_type` the header as it came; dates that `now` shows to be
    impossible are left out. `watch` keeps its entries apart. With a `recipe` it is a page that is read by it.
    """
    if recipe is not None:
        return known_again(recipes.read(body, recipe, url=url, content_type=content_type, now=now, watch=watch))
    body, trouble = documents.as_utf8(body, content_type)
    head = body[:2000].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head:
        raise NotAFeed("is empty")
    read = jsonfeed.read if head[:1] in (b"{", b"[") or _JSON.match(head) else xmlfeed.read
    if sitemaps.is_one(body):
        read = sitemaps.read
    found = known_again(read(body, url=url, now=now, watch=watch))
    return replace(found, trouble=(*found.trouble, *trouble)) if trouble else found
