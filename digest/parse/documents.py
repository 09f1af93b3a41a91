"""A feed's document before a parser sees it: what it is, in which characters, and whether it keeps within bounds."""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Mapping
from itertools import pairwise
from xml.parsers import expat

from digest.parse import characters, text
from digest.parse.entries import MAX_ENTRIES, NotAFeed

MAX_DEPTH = 10_000  # nested tags of the document
MAX_ENTITY_CHARACTERS = 1_000_000  # what a document's own entities may unfold to
XML = "application/xml; charset=utf-8"  # the type to hand to feedparser
WEB_PAGE = "is a web page, not a feed"
_DECLARATION = re.compile(r"\A\s*+<\?xml[^>]*+>")


def as_utf8(body: bytes, content_type: str) -> tuple[bytes, tuple[str, ...]]:
    """A feed's document in UTF-8, and in words what was wrong with its characters."""
    body = characters.with_whole_characters(body)
    decoded = characters.feed_text(body, content_type)
    label = characters.xml_label(body)
    said = characters.codec(label) if label else "utf-8"
    if (decoded.encoding, decoded.broken, said) == ("utf-8", 0, "utf-8") and body[:1] not in (b"\xff", b"\xfe"):
        return body, decoded.trouble
    # What the XML declaration says of the encoding is not true, or not any more; parsers would believe it.
    return _DECLARATION.sub("", decoded.text).encode("utf-8", "replace"), decoded.trouble


_DECLARED = re.compile(rb"\A<\?[^>]{0,1000}+>")
_FIRST_ELEMENT = re.compile(rb"<\w")


def with_short_lines(document: bytes) -> bytes:
    """The same document for feedparser, whose patterns take the square (and more) of two lengths.

    One is that of the line on which an XML declaration stands, the other that of empty lines before the first element.
    """
    document = document.removeprefix(codecs.BOM_UTF8)  # behind another line it would be a character that is no XML
    element = _FIRST_ELEMENT.search(document)
    start = element.start() if element else len(document)
    declared = _DECLARED.match(document[:start])
    first = declared[0] if declared else b""
    if not first and not document.startswith(b"<?"):
        return document
    return first + b"\n" + re.sub(rb"\s{2,}+", b"\n", document[len(first) : start]) + document[start:]


_SLIPS = re.compile(
    rb"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|[\x00-\x08\x0b\x0c\x0e-\x1f]|&([A-Za-z][A-Za-z0-9]{1,31};|#\d{1,7};|#[xX][0-9a-fA-F]{1,6};)?",
    re.S,
)

_SLIPS_ALONE = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|&([A-Za-z][A-Za-z0-9]{1,31};|#\d{1,7};|#[xX][0-9a-fA-F]{1,6};)?"
)


_BEFORE_DECLARATION = re.compile(rb"\A(?:\xef\xbb\xbf)?\s++(?=<\?xml\s)")


def slip(body: bytes) -> str:
    """What keeps a document from being well-formed, or "". Unheard-of encodings count; to mend them harms nothing."""
    try:
        expat.ParserCreate().Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError, TypeError) as error:  # the latter from codecs
        return str(error)
    return ""


def mended(body: bytes) -> bytes:
    """A document without the slips that most often keep it from being well-formed.

    Bare ampersands, HTML's named characters, characters that XML forbids (some generators write half an emoji as
    `&#55357;`), empty lines before the XML declaration. feedparser's second, forgiving parser makes "R&D;" of "R&D",
    and gives up on some of these.
    """

    def mend(match: re.Match[bytes]) -> bytes:
        slip = match[0]
        if slip[:1] == b"<":
            # One that is never closed hides nothing: what comes after it is mended too.
            return slip if slip.endswith((b"-->", b"]]>")) else slip[:4] + _SLIPS_ALONE.sub(mend, slip[4:])
        if slip[:1] != b"&":
            return b""
        if not match[1]:
            return b"&amp;"
        name = match[1].decode("ascii")
        if name[0] == "#":
            code = int(name[2:-1], 16) if name[1] in "xX" else int(name[1:-1])
            allowed = (
                code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0xFFFF < code < 0x110000
            )
            return slip if allowed else b""
        if name in ("amp;", "lt;", "gt;", "quot;", "apos;"):
            return slip
        meant = html.unescape(f"&{name}")
        return "".join(f"&#{ord(c)};" for c in meant).encode() if meant != f"&{name}" else b"&amp;" + match[1]

    return _SLIPS.sub(mend, _BEFORE_DECLARATION.sub(b"", body))


_OPENED = re.compile(rb"<([\w:.-]{1,60})(?:\s[^<>]{0,200}+)?>\s*+<!\[CDATA\[")
_BOUNDARIES = (b"</item>", b"<item>", b"<item ", b"</entry>", b"<entry>", b"<entry ")
_MOST_NAMES = 30  # of elements with such sections


def closed(body: bytes) -> bytes:
    """A document whose CDATA sections end with their elements, where some never end, or end in another entry."""
    opened = body.count(b"<![CDATA[") - body.count(b"]]>")
    if opened <= 0:
        return body
    known: dict[bytes, int] = {}  # where something comes next: it is looked for once, not from each section anew

    def following(words: bytes, start: int) -> int:
        if 0 <= known.get(words, 0) < start:
            known[words] = body.find(words, start)
        return known[words] if known[words] >= 0 else len(body)

    made, at = [], 0
    for match in _OPENED.finditer(body):
        start, close = match.end(), b"</" + match[1] + b">"
        if start < at or (close not in known and len(known) > _MOST_NAMES):
            continue
        end, tag = following(b"]]>", start), following(close, start)
        other = min(following(words, start) for words in _BOUNDARIES)
        if tag < other <= end and tag < end:
            made += [body[at:tag], b"]]>"]
            at = tag
            opened -= 1
            if not opened:
                break
    return b"".join([*made, body[at:]]) if made else body


_ENTRY = re.compile(rb"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<((?:[\w.-]{1,100}:)?(?:item|entry))[\s>]", re.S)


def shortened(document: bytes) -> tuple[bytes, int]:
    """A document with `MAX_ENTRIES` entries at most, from both its ends, and how many it has (0: not too many).

    They are taken out before feedparser takes half a minute over them. Raises NotAFeed where that cannot be done.
    """
    if document.count(b"item>") + document.count(b"entry>") <= MAX_ENTRIES:
        return document, 0
    starts, _name = _entry_starts(document)
    if len(starts) <= MAX_ENTRIES:
        return document, 0
    half = MAX_ENTRIES // 2
    shortened = document[: starts[half]] + document[starts[-half] :]
    if slip(shortened) and not slip(document):  # entries in entries
        raise NotAFeed(f"has more than {MAX_ENTRIES:,} entries, one in another")
    return shortened, len(starts)


def _entry_starts(document: bytes) -> tuple[list[int], bytes]:
    """Where its entries begin, and what they are called."""
    found = [match for match in _ENTRY.finditer(document) if match[1]]
    # What an extension puts into an entry may be called so too, with a prefix.
    plain = min({match[1] for match in found}, key=len, default=b"")
    return [match.start() for match in found if match[1] == plain], plain


def entries(document: bytes) -> int:
    """How many entries a document has, by where they begin."""
    return len(_entry_starts(document)[0])


def parted(document: bytes) -> tuple[bytes, list[bytes], bytes]:
    """A document in pieces: what stands before its entries, each entry, and what comes after the last."""
    starts, name = _entry_starts(document)
    if not starts:
        return document, [], b""
    close = document.rfind(b"</" + name)
    end = document.find(b">", close) + 1 if close > starts[-1] else 0
    end = end or len(document)
    return document[: starts[0]], [document[a:b] for a, b in pairwise([*starts, end])], document[end:]


def what_it_is(body: bytes) -> str:
    """Why this is no feed, as well as can be told."""
    head = body[:4000].replace(b"\0", b"").lower()
    if b"<opml" in head:
        return "is an OPML list, not a feed; `digest feed import` reads it"
    if re.search(rb"<!doctype\s+html|<html[\s>]|<head[\s>]", head):
        return WEB_PAGE
    if b"<sitemapindex" in head or b"<urlset" in head:
        return "is a sitemap, not a feed"
    if b"<?xml" in head or re.search(rb"<[a-z]+(:[a-z]+)?[\s>]", head):
        return "is XML, but of no feed format"
    return "is not a feed: neither XML nor JSON"


_NO_TAGS = re.compile(rb"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)", re.S)
_ENTITY = re.compile(rb"<!ENTITY\s+(%\s+)?([^\s>]+)\s+(?:\"([^\"]*)\"|'([^']*)'|(SYSTEM|PUBLIC)\b)", re.I)
_REFERENCE = re.compile(rb"&([A-Za-z_][\w.-]*);")


def refuse_bombs(body: bytes) -> None:
    """Raise NotAFeed for a document that would unfold or nest beyond its bounds, before any parser sees it.

    Entities that the document declares may unfold to `MAX_ENTITY_CHARACTERS` in all, counted without unfolding
    them; external ones are never read. Tags may nest `MAX_DEPTH` deep.
    """
    if b"<!ENTITY" in body or b"<!entity" in body:
        values: dict[bytes, bytes] = {}
        for m in _ENTITY.finditer(body):  # which of several counts is for parsers to say
            values[m[2]] = values.get(m[2], b"") + (m[3] or m[4] or b"")
        sizes: dict[bytes, int] = {}
        # What looks like a declaration below the document's own is text, as `unfolded` has it, and may name some.
        for outside in (_ENTITY.sub(b"", body), _undeclared(body)):
            if sum(_unfolded(name, values, sizes) for name in _REFERENCE.findall(outside)) <= MAX_ENTITY_CHARACTERS:
                continue
            raise NotAFeed("declares entities that would unfold without end (an entity bomb)")
    if body.count(b"<") > MAX_DEPTH and text.deeper(_NO_TAGS.sub(b"", body).decode("latin-1"), MAX_DEPTH):
        raise NotAFeed(f"has tags nested more than {MAX_DEPTH:,} deep")


_DOCTYPE = re.compile(rb"<!DOCTYPE\s[^\[<>]{0,1000}+\[")
_SUBSET_ENDS = re.compile(rb"\]\s*+>")
_NAMED = re.compile(rb"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|&([A-Za-z_][\w.-]*);", re.S)


def unfolded(body: bytes) -> bytes:
    """A document without entities of its own, each put where it is named; one that stands elsewhere is nothing.

    feedparser knows some of them in some lines only. For a document that `refuse_bombs` took.
    """
    start, end = _subset(body)
    if not end:
        return body
    declared = [found for found in _ENTITY.finditer(body, start, end) if not found[1]]
    values = {found[2]: found[3] or found[4] or b"" for found in reversed(declared)}  # the first of a name counts

    def named(match: re.Match[bytes]) -> bytes:
        return _NAMED.sub(named, values[match[1]]) if match[1] in values else match[0]

    return body[:start] + _NAMED.sub(named, body[end:])


def _undeclared(body: bytes) -> bytes:
    """A document without its own declarations."""
    start, end = _subset(body)
    return body[:start] + body[end:]


def _subset(body: bytes) -> tuple[int, int]:
    """Where a document's own declarations begin and end; 0, 0 where it has none."""
    opened = _DOCTYPE.search(body) if b"<!ENTITY" in body else None
    closed = _SUBSET_ENDS.search(body, opened.end()) if opened else None
    return (opened.start(), closed.end()) if opened and closed else (0, 0)


def _unfolded(name: bytes, values: Mapping[bytes, bytes], sizes: dict[bytes, int], level: int = 0) -> int:
    """How many bytes an entity stands for; more than any bound where it contains itself."""
    if name not in values:
        return 0
    if name not in sizes:
        if level > 50:
            return MAX_ENTITY_CHARACTERS + 1
        sizes[name] = MAX_ENTITY_CHARACTERS + 1  # what it is worth inside itself
        inside = sum(_unfolded(n, values, sizes, level + 1) for n in _REFERENCE.findall(values[name]))
        sizes[name] = len(values[name]) + inside
    return sizes[name]
