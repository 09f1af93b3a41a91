"""Cleaning a stranger's text: plain text without markup and tricks, HTML without script, http links only."""

from __future__ import annotations

import html
import re
from functools import cache
from typing import Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from digest.graphemes import unheaped
from digest.parse import seen
from digest.parse.seen import unescape as unescape

# Characters that reorder or hide the text around them (Trojan Source, CVE-2021-42574), with what no reader needs:
# soft hyphen, zero-width space, byte order mark, interlinear and tag characters. U+200C and U+200D stay: Persian
# and emoji need them.
_UNSEEN = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffc\U000e0000-\U000e007f]"
)
# PostgreSQL refuses NUL, and a lone surrogate cannot be written as UTF-8.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)[^>]*+(?:>|\Z)")
_ANY_TAG = re.compile(r"<[^>]*+(?:>|\Z)")
_OPEN_ENDED = "area base br col embed hr img input link meta param source track wbr p li dd dt option"
_VOID = frozenset(_OPEN_ENDED.split())

# Most addresses need no repair, and an address costs more than a title.
_SIMPLE_URL = re.compile(r"https?://[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[1-9]\d{1,3})?/[\w/.~%+=&?;,@!-]*", re.A).fullmatch

# What search services and writing tools mark in a title: a whole element of these, with nothing but words in it.
_EMPHASIS = re.compile(
    r"<(b|i|em|strong|u|mark|font|span)\b(?:\s[^<>]{0,300}+)?>([^<>]{1,300}+)</\1\s?>", re.IGNORECASE
)

_BLOCK = re.compile(r"(?=</?(?:br|p|div|li|ul|ol|h[1-6]|t[dhr]|table|hr|d[dt]|blockquote|section|article)\b)", re.I)
_BREAK = re.compile(r"(?<=\S)<br ?/?>|<br ?/?>(?=\w)")  # of lines; "the <br> tag" speaks of one

MAX_HTML = 1_000_000  # characters of one text; a novel is 500,000
MAX_DEPTH = 500  # of tags in one text: html5ever takes half a minute for 100,000
MAX_URL = 2_000
_SPARE = 20


def plain(text: str, *, markup: bool = False, limit: int = 1_000) -> str:
    """One line of text at most `limit` characters long, without control, bidi or invisible characters.

    With `markup` its tags are dropped and the text in them kept; entities are resolved either way, since many
    generators escape titles once too often. So what is emphasised in a title that was escaped loses its tags as well; a
    tag that a title speaks of stands alone, and stays.
    """
    text = text[: _SPARE * limit]  # tags and entities are longer than what they come to
    if markup and "<" in text:
        import nh3  # a megabyte and a half, and whoever stores, ranks and sends meets no markup

        text = _BLOCK.sub(" ", text)  # without its tag its words would be one with those before
        text = nh3.clean(seen.spoken(seen.shown(text)), tags=set(), link_rel=None)
        text = unescape(text)  # nh3 answers in HTML
    text = unescape(text)
    if "</" in text:
        text = _EMPHASIS.sub(r"\2", text)
    if "<br" in text:
        text = _BREAK.sub(" ", text)
    text = tidy(text)
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def tidy(text: str) -> str:
    """Text on one line, without control, bidi or invisible characters, and without marks heaped upon letters."""
    if not (text.isascii() and text.isprintable()):  # else there is none of them, and spaces are all that parts words
        text = unheaped(_UNSEEN.sub("", _CONTROL.sub(" ", text)))
    return " ".join(text.split())


def clean_html(markup: str, *, base: str) -> str:
    """HTML that cannot do anything: no script, style, form or frame, http(s) and mailto links only, made absolute.

    Tags nested deeper than `MAX_DEPTH` are dropped and their text kept.
    """
    markup = _bounded(_CONTROL.sub("", markup))
    if "<" not in markup and "&" not in markup:
        return markup.strip()
    markup = seen.shown(markup)
    import nh3

    tags, attributes = _allowed()

    def clean(relative: Any) -> str:
        return nh3.clean(
            markup,
            tags=set() if deeper(markup, MAX_DEPTH) else tags,
            attributes=attributes,
            url_schemes={"http", "https", "mailto"},
            url_relative=relative,
            link_rel="noopener noreferrer",
        ).strip()

    try:
        found = clean(("rewrite_with_base", base))
    except ValueError:  # the base is no address by the browsers' rules, which are stricter than Python's
        found = clean("deny")
    # Nothing but one text that is markup once more: it was escaped once too often.
    if found.startswith("&lt;") and "<" not in found and _MARKUP.match(once := unescape(found)):
        return clean_html(once, base=base)
    return found


_MARKUP = re.compile(
    r"<(?:p|div|span|a|img|h[1-6]|ul|ol|table|b|i|em|strong|br|figure|blockquote|article|section)\b[^<>]*+>"
    r"(?s:.*)</[a-zA-Z0-9]{1,10}>\s*+\Z",
    re.IGNORECASE,
)


@cache
def _allowed() -> tuple[set[str], dict[str, set[str]]]:
    """The tags that may stay, and the attributes of each."""
    import nh3

    tags = nh3.ALLOWED_TAGS - {"map", "area"}
    off = {"align", "char", "charoff", "valign"}
    return tags, {tag: names - off for tag, names in nh3.ALLOWED_ATTRIBUTES.items() if tag in tags}


def escape(text: str) -> str:
    """Plain text as HTML; its paragraphs stay paragraphs."""
    return html.escape(_CONTROL.sub("", text[:MAX_HTML]), quote=False).strip()


def words(markup: str, *, limit: int = 10_000) -> str:
    """The text of (clean) HTML, for guessing at it."""
    markup = markup[: 4 * limit]
    closed = markup.rfind(">") + 1  # what is opened after it is no tag
    return plain(_ANY_TAG.sub(" ", markup[:closed]) + markup[closed:], limit=limit)


def deeper(markup: str, limit: int) -> bool:
    """Whether tags are nested more than `limit` deep, counted roughly: unclosed ones count too."""
    if markup.count("<") <= limit:
        return False
    level = 0
    for match in _TAG.finditer(markup):
        if match[0].endswith("/>") or match[2].lower() in _VOID:
            continue
        level = max(0, level - 1) if match[1] else level + 1
        if level > limit:
            return True
    return False


# A host without its scheme, which no page has for a path: "www.example.org/news".
_SCHEMELESS = re.compile(r"www\.(?:[\w-]{1,63}\.){1,9}(?!html?\b|php\b|aspx?\b)[^\W\d_]{2,24}(?=[/?#:]|\Z)", re.I)


# What people put around an address: quotes, brackets, a tag, signs that nobody sees.
_AROUND = re.compile(
    r"(?:<a\s[^<>]{0,200}?href=)?[\"'“”‘’„«»<(\[\u200b-\u200f\u2060\ufeff\xa0][\s\"'\u200b-\u200f\u2060\ufeff]{0,9}"
    r"(https?:/{1,3}[^\s\"“”«»<>]+)",
    re.I,
)
_ONE_SLASH = re.compile(r"(https?):/?(?=(?:[\w-]{1,63}\.){1,9}[^\W\d_]{2,24}(?:[/:?#]|\Z))", re.I)


def meant(address: str) -> str:
    """An address before it is joined with any: without what is around it, and a host's with its slashes."""
    if address.startswith(("https://", "http://")):  # most
        return address
    address = address.strip()
    if around := _AROUND.match(address):
        address = around[1].rstrip("'’‘)]" if "(" not in around[1] else "'’‘]")
    if _SCHEMELESS.match(address):
        return "//" + address
    return _ONE_SLASH.sub(r"\1://", address, count=1) if _ONE_SLASH.match(address) else address


def http_url(value: str, base: str = "", *, login: bool = False) -> str:
    """An absolute http(s) address on one line, or "" where there is none in `value`.

    Without the user and password in it, unless `login` is wanted: of a link they are a secret, or the name of another
    site in front of where it leads (RFC 3986 §7.6).
    """
    if len(value) <= MAX_URL and _SIMPLE_URL(value):
        return value
    value = meant(_CONTROL.sub("", _UNSEEN.sub("", value[: 2 * MAX_URL].strip())).strip())
    if not value or len(value) > MAX_URL:
        return ""
    if value.startswith("//") and not base:
        value = "http:" + value
    try:
        parts = urlsplit(urljoin(base, "".join(value.split("\n"))))
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host or port == 0 or re.search(r"[\s<>\"'\\^`{|}]", host):
        return ""
    user, at, place = parts.netloc.replace(" ", "").rpartition("@")
    netloc = f"{user}{at}{place}" if login else place
    # What would end an attribute or a header is written in its percent form; what is in that form already stays.
    safe = "%/:;=@!$&'()*+,?~-._[]#"
    return urlunsplit(
        (
            parts.scheme,
            netloc,
            quote(parts.path, safe=safe) or "/",
            quote(parts.query, safe=safe),
            quote(parts.fragment, safe=safe),
        )
    )


def _bounded(markup: str) -> str:
    return markup if len(markup) <= MAX_HTML else markup[:MAX_HTML]
