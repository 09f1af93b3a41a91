"""feedparser, made quicker without changing what it says, but for ids: a third of its time was work done twice.

It knows feedparser's insides; nothing else does. Where they are not as we know them, feedparser is left as it is.
"""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.expatreader import ExpatParser
from xml.sax.xmlreader import AttributesNSImpl

import feedparser

from digest import versions
from digest.parse.text import meant

BUFFER = 64 * 1024
LONGEST_AUTHOR = 1_000  # characters: we keep 200
_NO_ATTRIBUTES = AttributesNSImpl({}, {})
_JOINS = ("_urljoin", "make_safe_absolute_uri")
_log = logging.getLogger("digest.parse")

# What the overriding below needs to know of feedparser, and of the parser that Python gives it.
INSIDES = {
    "feedparser.api": ("PREFERRED_XML_PARSERS",),
    "feedparser.datetimes": ("_date_handlers",),
    "feedparser.mixin": _JOINS,
    "feedparser.mixin:_FeedParserMixin": (
        "_sync_author_detail",
        "_get_context",
        "can_be_relative_uri",
        "push",
        "pop",
        "resolve_uri",
    ),
    "feedparser.namespaces.mediarss:Namespace": (  # for `parse.media`
        "_start_media_content",
        *(f"_{edge}_media_{name}" for edge in ("start", "end") for name in ("title", "description")),
    ),
    "feedparser.util:FeedParserDict": ("keymap", "get"),
    "xml.sax.expatreader:ExpatParser": ("_parser", "start_element_ns", "end_element_ns"),
    "xml.sax.xmlreader:XMLReader": ("_cont_handler",),
}

Name = tuple[str | None, str]


@functools.cache  # once for each process
def quicken() -> bool:
    """Give feedparser the parser below, and let it remember how addresses are joined; whether it was as we know it."""
    if why := versions.misfit("feedparser", insides=INSIDES):
        _log.warning("%s: feeds are read by its own parser, more slowly, and long names of authors for very long", why)
        return False
    from feedparser import api, datetimes, mixin
    from feedparser.util import FeedParserDict

    api.PREFERRED_XML_PARSERS.insert(0, __name__)
    # It joins the base with itself at each tag. Both are functions of their arguments alone.
    for name in _JOINS:
        setattr(mixin, name, functools.lru_cache(maxsize=256)(getattr(mixin, name)))
    datetimes._date_handlers.clear()  # `parse.dates` reads dates: here they would be read for nothing
    FeedParserDict.get, FeedParserDict.__deepcopy__ = _straight(FeedParserDict), _deep_copy
    author = mixin._FeedParserMixin
    author._sync_author_detail = _for_people(author._sync_author_detail)
    # An id is a name (RFC 4287 §4.2.6) and is joined with no address: it would be another where the feed moves.
    author.can_be_relative_uri = author.can_be_relative_uri - {"id"}
    author.resolve_uri = _resolved
    return True


def _resolved(self: Any, uri: str) -> str:
    from feedparser import mixin

    return str(mixin._urljoin(self.baseuri or "", meant(uri)))


def _straight(kind: Any) -> Callable[..., Any]:
    """`FeedParserDict.get`, straight for the keys that stand for themselves: nearly all."""
    slowly, odd = kind.get, {*kind.keymap, "category", "enclosures", "license", "updated", "updated_parsed"}

    def get(self: Any, key: str, default: Any = None) -> Any:
        return slowly(self, key, default) if key in odd else dict.get(self, key, default)

    return get


def _deep_copy(self: Any, memo: dict[int, Any]) -> Any:
    """For `copy.deepcopy`, which asks each value how it is copied; most are a string."""
    copied = {k: v if isinstance(v, str) else copy.deepcopy(v, memo) for k, v in self.items()}
    return feedparser.FeedParserDict(copied)


def _for_people(really: Callable[..., None]) -> Callable[..., None]:
    """`_sync_author_detail`, whose pattern for addresses takes the square of a name's length, for names of people."""

    def sync_author(self: Any, key: str = "author") -> None:
        if len(self._get_context().get(key) or "") <= LONGEST_AUTHOR:
            really(self, key)

    return sync_author


def create_parser() -> ExpatParser:
    """What `xml.sax.make_parser` asks a driver module for."""
    return _Quick()


class _Quick(ExpatParser):
    """Expat, told to hand over text in one piece: else every line and entity is a call of its own into feedparser.

    A document has some dozen names, and most of its tags no attributes: neither is taken apart each time.
    """

    def reset(self) -> None:
        super().reset()
        parser: Any = self._parser  # type: ignore[attr-defined]
        parser.buffer_text = True
        parser.buffer_size = BUFFER

    def start_element_ns(self, name: str, attributes: Mapping[str, str]) -> None:
        if attributes:
            super().start_element_ns(name, attributes)
        else:
            self._cont_handler.startElementNS(_pair(name), None, _NO_ATTRIBUTES)  # type: ignore[attr-defined]

    def end_element_ns(self, name: str) -> None:
        self._cont_handler.endElementNS(_pair(name), None)  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=1024)
def _pair(name: str) -> Name:
    """Namespace and local name of what expat calls "namespace name prefix", "namespace name" or "name"."""
    space, _, rest = name.partition(" ")
    return (space, rest.partition(" ")[0]) if rest else (None, name)
