"""Is a mail fit to be sent? The same questions before each send, for `digest preview --check` and in its page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from digest.colours import contrast
from digest.dataclass import dataclass
from digest.graphemes import width
from digest.render.marks import Marker
from digest.render.page import Rendered
from digest.render.templates import HTML_LIMIT, size

if TYPE_CHECKING:
    from lxml.html import HtmlElement

STYLE_BYTES = 8_192
_HOME = "https://n.example"  # as short as homes are: nobody tells us which, and there may be two links for each story
# What Gmail, Outlook for Windows, Apple Mail and Yahoo all know, or what does no harm where it is left out
# (caniemail.com, as of late 2026): Outlook keeps to the width of its own table and needs no word-break, …
_KNOWN = re.compile(
    r"(?:background-)?color|font(?:-family|-size|-style|-weight)?|line-height|letter-spacing|direction|vertical-align"
    r"|text-(?:align|decoration|indent|transform)|white-space|word-break|(?:padding|margin)(?:-(?:top|right|bottom|left))?"
    r"|border(?:-(?:top|right|bottom|left))?(?:-(?:color|style|width))?|border-(?:collapse|radius|spacing)"
    r"|(?:max-|min-)?(?:width|height)|display|overflow|list-style(?:-type|-position)?"
    r"|(?:-webkit-)?hyphens|mso-[\w-]+|-(?:webkit|ms)-text-size-adjust|(?:supported-)?color-schemes?"
)
_DECLARED = re.compile(r"(?:^|[;{])\s*([\w-]+)\s*:")
# What some of them leave out, and a reader would miss.
_UNSUPPORTED = re.compile(
    r"(?<![\w-])(?:position|float|grid[\w-]*|flex[\w-]*|background-image|transform|animation|filter|object-fit)\s*:"
    r"|display\s*:\s*(?:inline-)?(?:flex|grid)|@import|@font-face|url\(|\brem\b|\bvar\(|\bcalc\("
)
_VAGUE = re.compile(r"(?:read|learn|find out|see) more|more|click here|here|link", re.IGNORECASE)
_LOOKS_LIKE_URL = re.compile(r"(?:https?://)?(?:[\w-]+\.)+[a-z]{2,}(?:/\S*)?", re.IGNORECASE)
_BIDI = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
_HEX = re.compile(r"(?<![\w-])(color|background-color)\s*:\s*(#[0-9a-fA-F]{6})")
_FONT = re.compile(r"font(?:-size)?:([^;]*+)")
_PIXELS = re.compile(r"(?<!\d)(\d++(?:\.\d++)?)px")
_RULE = re.compile(r"(?<![^{}])([^{}]++)\{([^{}]*+)\}")


@dataclass(frozen=True)
class Finding:
    """The answer to one question. An error is what readers would suffer from, a warning what could be better."""

    check: str
    level: Literal["ok", "warning", "error"]
    words: str


def findings_in_words(findings: Sequence[Finding]) -> str:
    """The errors as one sentence."""
    return "; ".join(f"{f.check}: {f.words}" for f in findings if f.level == "error")


def check(mail: Rendered, *, note: bool = False) -> list[Finding]:
    """One finding for each question, whatever its answer. A `note` to one person is asked fewer."""
    from lxml import html as parser

    tree = parser.document_fromstring(mail.html)
    elements = _elements(tree)
    return [
        _size(mail),
        _style(mail),
        _subject(mail),
        *([] if note else [_preheader(mail, tree)]),
        _structure(mail, tree),
        _links(mail, tree),
        _images(tree),
        _contrast(elements, {}, "contrast, light"),
        _contrast(elements, _dark_rules(mail.html), "contrast, dark"),
        _css(mail, elements),
        _text(mail),
        *([] if note else [_leaving(mail)]),
    ]


def _found(name: str, errors: Sequence[str], fine: str, *, warnings: Sequence[str] = ()) -> Finding:
    said = list(dict.fromkeys(errors)) or list(dict.fromkeys(warnings))
    if not said:
        return Finding(name, "ok", fine)
    more = f", and {len(said) - 3} more" if len(said) > 3 else ""
    return Finding(name, "error" if errors else "warning", ", ".join(said[:3]) + more)


def _size(mail: Rendered) -> Finding:
    bytes_ = size(mail.html, mail.marks, _HOME) if mail.marks else len(mail.html.encode())
    words = f"{bytes_:,} of {HTML_LIMIT:,} bytes, {bytes_ * 100 // HTML_LIMIT} % full"
    dropped = f", {len(mail.dropped)} stories fell to the bound" if mail.dropped else ""
    # What is bounded by its own home is never more than this: it may be reached, not passed.
    return Finding("size", "error" if bytes_ > HTML_LIMIT else "ok", words + dropped)


def _style(mail: Rendered) -> Finding:
    blocks = _sheets(mail.html)
    bytes_ = sum(len(block.encode()) for block in blocks)
    errors = [f"{bytes_:,} bytes of style, and {STYLE_BYTES:,} are safe"] if bytes_ > STYLE_BYTES else []
    needed = ("prefers-color-scheme", "[data-ogsc]")
    errors += [f"no {name}: the dark mail is left to chance" for name in needed if name not in "".join(blocks)]
    return _found("style block", errors, f"{bytes_:,} bytes")


def _subject(mail: Rendered) -> Finding:
    length = width(mail.subject)
    errors = ["it has bidi controls"] if _BIDI.search(mail.subject) else []
    if not mail.subject.strip():
        errors.append("it is empty")
    warnings = [f"{length} columns, 30 to 70 are best"] if not 30 <= length <= 70 else []
    return _found("subject", errors, f"{length} columns", warnings=warnings)


def _preheader(mail: Rendered, tree: HtmlElement) -> Finding:
    found = tree.xpath("//*[contains(concat(' ', @class, ' '), ' preheader ')]")
    text = " ".join(found[0].text_content().split()) if found else ""
    if not text:
        return Finding("preheader", "warning", "there is none: the inbox shows whatever comes first")
    warnings = [f"{len(text)} characters, 40 to 130 are best"] if not 40 <= len(text) <= 130 else []
    if text == mail.subject:
        warnings.append("it repeats the subject")
    return _found("preheader", [], f"{len(text)} characters", warnings=warnings)


def _structure(mail: Rendered, tree: HtmlElement) -> Finding:
    errors = [] if mail.html.lstrip().lower().startswith("<!doctype html>") else ["no doctype"]
    errors += [f"no {name} on <html>" for name in ("lang", "dir") if not tree.get(name)]
    if not (tree.findtext(".//title") or "").strip():
        errors.append("no title")
    levels = [int(str(h.tag)[1]) for h in tree.iter("h1", "h2", "h3", "h4", "h5", "h6")]
    if levels.count(1) != 1:
        errors.append(f"{levels.count(1)} h1 headings instead of one")
    errors += [f"h{b} after h{a}" for a, b in pairwise(levels) if b > a + 1]
    errors += ["an empty heading" for h in tree.iter("h1", "h2", "h3") if not _says(h)]
    errors += [
        "a layout table without role=presentation" for t in tree.iter("table") if t.get("role") != "presentation"
    ]
    errors += [f"<{e.tag!s}>" for e in tree.iter("script", "form", "iframe", "object", "embed", "link", "input")]
    ids = [e.get("id") for e in tree.iter() if e.get("id")]
    errors += [f"the id {id_!r} twice" for id_ in ids if ids.count(id_) > 1]
    if "<!--[if mso]>" not in mail.html:
        errors.append("no table for Outlook")
    return _found("structure", errors, f"{len(levels)} headings")


def _links(mail: Rendered, tree: HtmlElement) -> Finding:
    errors, warnings, count = [], [], 0
    ids = {e.get("id") for e in tree.iter() if e.get("id")}
    told = {link.get("href") for link in tree.iter("a") if link.text_content().strip()}
    for link in tree.iter("a"):
        count += 1
        href = link.get("href") or ""
        text = " ".join(link.text_content().split())
        if href.startswith("#"):
            errors += [f"{href} leads nowhere"] if href[1:] not in ids else []
        elif urlsplit(href).scheme not in ("http", "https") or not urlsplit(href).hostname:
            errors.append(f"{href or 'an empty address'} is not absolute")
        elif urlsplit(href).scheme == "http":
            warnings.append(f"{urlsplit(href).hostname} without https")
        if not text and not link.xpath(".//img[@alt!='']"):
            # A picture beside the words that lead to the same is no stop for who listens.
            if link.get("aria-hidden") == "true" and href in told:
                continue
            errors.append(f"a link without words to {href[:60]}")
        elif _VAGUE.fullmatch(text.strip(" .…»→")):
            errors.append(f"“{text}” does not say where it leads")
        elif "//" in text and _LOOKS_LIKE_URL.fullmatch(text):
            shown = urlsplit(text).hostname or ""
            if shown.removeprefix("www.") != (urlsplit(href).hostname or "").removeprefix("www."):
                errors.append(f"shows {shown} and leads to {urlsplit(href).hostname}")
    return _found("links", errors, f"{count} links", warnings=warnings)


def _says(element: HtmlElement) -> bool:
    """In words, or in those of a picture."""
    return bool(element.text_content().strip() or any((img.get("alt") or "").strip() for img in element.iter("img")))


def _images(tree: HtmlElement) -> Finding:
    errors, count = [], 0
    for image in tree.iter("img"):
        count += 1
        if image.get("alt") is None:
            errors.append("an image without alt")
        if not image.get("width"):
            errors.append("an image without a width attribute, which Outlook shows at its full size")
        if not (image.get("src") or "").startswith(("https://", "cid:")):
            errors.append(f"an image that is neither https nor in the mail: {(image.get('src') or '')[:60]}")
    return _found("images", errors, f"{count} image{'s' if count > 1 else ''}" if count else "none, and none needed")


class _Element(NamedTuple):
    """What of an element says how its own text looks, and whose child it is, by its place among them all."""

    parent: int  # -1: nobody's
    styles: tuple[str, str, str]  # tag, class, style: of hundreds of elements there are some dozens
    text: str  # its own before its first child, "" for what nobody sees


class _Look(NamedTuple):
    ink: str | None = None
    ground: str | None = None
    pixels: float = 0.0
    bold: bool | None = None


def _contrast(elements: Sequence[_Element], over: dict[str, dict[str, str]], name: str) -> Finding:
    """Every text against the ground it stands on: 4.5, or 3 where it is large (WCAG 2.2, 1.4.3)."""
    errors, lowest = [], 21.0
    known: dict[tuple[_Look, tuple[str, str, str]], tuple[_Look, float]] = {}
    looks: list[_Look] = []
    for parent, styles, text in elements:
        around = looks[parent] if parent >= 0 else _Look()
        found = known.get((around, styles))
        if found is None:
            look = _look(around, styles, over)
            ratio = contrast(look.ink, look.ground) if look.ink and look.ground else 21.0
            found = known[around, styles] = look, ratio
        look, ratio = found
        looks.append(look)
        if not text:
            continue
        lowest = min(lowest, ratio)
        if ratio < (3.0 if look.pixels >= 24 or (look.bold and look.pixels >= 18.66) else 4.5):
            errors.append(f"“{text[:24]}” {look.ink} on {look.ground} is {ratio:.1f}")
    return _found(name, errors, f"at least {lowest:.1f}")


def _elements(tree: HtmlElement) -> list[_Element]:
    """All elements, each after the one that it stands in."""
    found: list[_Element] = []
    places: dict[HtmlElement, int] = {}
    for element in tree.iter():
        if not isinstance(element.tag, str):
            continue
        class_ = element.get("class") or ""
        hidden = element.tag in ("style", "title") or "preheader" in class_
        text = "" if hidden else " ".join((element.text or "").replace("\xa0", " ").split())
        parent = element.getparent()
        places[element] = len(found)
        place = -1 if parent is None else places[parent]
        found.append(_Element(place, (element.tag, class_, element.get("style") or ""), text))
    return found


def _look(around: _Look, styles: tuple[str, str, str], over: dict[str, dict[str, str]]) -> _Look:
    """Text colour, ground, size in pixels and weight: an element's own, or those `around` it."""
    tag, class_, style = styles
    colours, pixels, bold = _styled(style)
    if over:
        for name in (tag, *(f".{name}" for name in class_.split())):
            colours = colours | over.get(name, {})
    return _Look(
        colours.get("color") or around.ink,
        colours.get("background-color") or around.ground,
        pixels or around.pixels,
        around.bold if bold is None else bold,
    )


@lru_cache(maxsize=256)  # a mail has some dozens, each many times
def _styled(style: str) -> tuple[dict[str, str], float, bool | None]:
    """Colours, size in pixels (0.0 where it says none) and whether it is bold."""
    sizes = [size for said in _FONT.findall(style) if (size := _PIXELS.search(said))]
    weight = re.search(r"font-weight:\s*(\d+|bold)", style)
    bold = None if weight is None else weight[1] == "bold" or int(weight[1]) >= 700
    return dict(_HEX.findall(style)), float(sizes[0][1]) if sizes else 0.0, bold


def _dark_rules(html: str) -> dict[str, dict[str, str]]:
    """What the dark scheme makes of each class."""
    rules: dict[str, dict[str, str]] = {}
    sheets = "\n".join(_sheets(html))
    for start in re.finditer(r"@media\s*\(prefers-color-scheme:\s*dark\)\s*\{", sheets):
        depth, end = 1, start.end()
        while depth and end < len(sheets):
            depth += {"{": 1, "}": -1}.get(sheets[end], 0)
            end += 1
        for selectors, body in _RULE.findall(sheets[start.end() : end - 1]):
            for selector in selectors.split(","):
                rules.setdefault(selector.strip(), {}).update(_HEX.findall(body))
    return rules


def _sheets(html: str) -> list[str]:
    found: list[str] = re.findall(r"<style[^>]*>(.*?)</style>", html, re.DOTALL)
    return found


def _css(mail: Rendered, elements: Sequence[_Element]) -> Finding:
    css = [*dict.fromkeys(element.styles[2] for element in elements), *_sheets(mail.html)]
    found = [match[0].rstrip(" :") for sheet in css for match in _UNSUPPORTED.finditer(sheet)]
    declared = {name for sheet in css for name in _DECLARED.findall(sheet)}
    unknown = sorted(f"{name} is not known to every client" for name in declared if not _KNOWN.fullmatch(name))
    return _found("css", found, "only what mail clients know", warnings=unknown)


def _text(mail: Rendered) -> Finding:
    lines = mail.text.splitlines()
    errors = []
    if not mail.text.strip():
        errors.append("it is empty")
    long = [line for line in lines if width(line) > 78 and "://" not in line]
    if long:
        errors.append(f"{len(long)} lines of more than 78 columns")
    if any(line != line.rstrip() and line != "-- " for line in lines):  # which is the mark of a signature
        errors.append("blanks at the ends of lines")
    return _found("text part", errors, f"{len(lines)} lines")


def _leaving(mail: Rendered) -> Finding:
    html, text = _markers(mail, mail.html), _markers(mail, mail.text)
    missing = [part for part, found in (("HTML", html), ("text", text)) if Marker.UNSUBSCRIBE not in found]
    warnings = [] if Marker.PREFERENCES in html else ["no link to topics, frequency and a pause"]
    errors = [f"no link in the {part} part" for part in missing]
    return _found("unsubscribe", errors, "a link in both parts", warnings=warnings)


def _markers(mail: Rendered, body: str) -> list[Marker]:
    return mail.marks.cut(body)[1] if mail.marks else []
