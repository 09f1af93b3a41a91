"""Reading entries where there is no feed: a page by CSS selectors or XPath, XML by XPath, JSON by paths with dots."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from digest.dataclass import dataclass
from digest.errors import BadInput
from digest.parse import documents, language, pages, text
from digest.parse.dates import Dates
from digest.parse.entries import (
    Described,
    NotAFeed,
    Notes,
    ParsedEntry,
    ParsedFeed,
    Shown,
    Watch,
    parsed_entry,
    set_aside,
)

MAX_ITEMS = 2_000  # a page that lists more entries at once is not read by the right selector
MAX_EXPRESSION = 1_000  # characters of one selector
MAX_NODES = 50  # that are looked at for one part of an entry
MAX_PIECES = 2_000  # of text in one element
KINDS = ("html", "xml", "json")
PARTS = ("title", "link", "date", "text", "author", "image", "tags", "id")


@dataclass(frozen=True)
class Recipe:
    """Where the entries of a page are, and in each of them its parts; "" is not said.

    What `item` and the parts say is a CSS selector (`a.more`, with `@name` after it for an attribute), an XPath behind
    `xpath:`, or in JSON the names on the way, with dots between them. `date_format` is as PHP's, "" any.
    """

    item: str
    title: str = ""
    link: str = ""
    date: str = ""
    text: str = ""
    author: str = ""
    image: str = ""
    tags: str = ""
    id: str = ""
    date_format: str = ""
    kind: str = "html"

    @staticmethod
    def of(stored: Mapping[str, Any] | None) -> Recipe | None:
        """The recipe that `stored` made such a mapping of, None where there is none in it."""
        known = {k: v for k, v in (stored or {}).items() if k in Recipe.__dataclass_fields__ and isinstance(v, str)}
        return Recipe(**known) if known.get("item") else None

    def stored(self) -> dict[str, str]:
        """What is said, for a column of JSON."""
        return {name: value for name, value in asdict(self).items() if value}

    def told(self) -> dict[str, str]:
        """What is said, for people: that it is a page goes without saying."""
        return {name: value for name, value in self.stored().items() if (name, value) != ("kind", "html")}

    def check(self) -> None:
        """Raise BadInput where something in it cannot be read as what it should be."""
        if self.kind not in KINDS:
            raise BadInput(f"{self.kind!r} is no kind of page that is read", hint=", ".join(KINDS))
        for name in ("item", *PARTS):
            expression = getattr(self, name)
            try:
                if expression and self.kind == "json":
                    _steps(expression)
                elif expression:
                    _evaluator(expression, self.kind)
            except ValueError as error:
                told = text.plain(expression, limit=100)
                raise BadInput(
                    f"the selector of the {name}, {told!r}, cannot be read: {error}",
                    hint="CSS as in 'article h2 a', 'time@datetime' for an attribute, or XPath behind xpath:",
                ) from None


def read(body: bytes, recipe: Recipe, *, url: str, content_type: str, now: datetime, watch: Watch) -> ParsedFeed:
    """What `parse.feed` does, by a recipe. Without entries where nothing is found. Raises NotAFeed."""
    if recipe.kind == "json":
        return _read_json(body, recipe, url, now, watch)
    if recipe.kind == "xml":
        body, _ = documents.as_utf8(body, content_type)
        documents.refuse_bombs(body)
        root = _xml(body)
    else:
        root = pages.tree(body, content_type, limit=len(body))
    if root is None:
        raise NotAFeed("is empty")
    items = [node for node in _nodes(recipe.item, root, recipe.kind) if not isinstance(node, str)]
    _refuse_many(items, recipe)
    base = pages.base(root, url) if recipe.kind == "html" else url
    titles = (" ".join(islice(e.itertext(), MAX_PIECES)) for e in root.iter("title"))
    spoken = language.tag(str(root.get("lang") or ""))
    found = [_Found(item, recipe) for item in items]
    return _feed(found, recipe, next(titles, ""), spoken, base, url, now, watch)


class _Found:
    """One element of a page, and how its parts are had."""

    def __init__(self, item: Any, recipe: Recipe) -> None:
        self._item, self._recipe = item, recipe

    def nodes(self, part: str) -> list[Any]:
        said = getattr(self._recipe, part)
        if said:
            return _nodes(said, self._item, self._recipe.kind)[:MAX_NODES]
        for usual in usual_places(self._recipe, part):
            if nodes := _nodes(usual, self._item, self._recipe.kind):
                return nodes[:MAX_NODES]
        return []

    def words(self, part: str) -> str:
        return next(filter(None, (_words(node) for node in self.nodes(part))), "")

    def address(self, part: str) -> str:
        names = _PICTURES if part == "image" else _ADDRESSES
        said = (_attribute(node, *names) for node in self.nodes(part))
        return next((address for address in said if address and not address.startswith("data:")), "")

    def date(self) -> str:
        said = (_attribute(node, "datetime", "content") or _words(node) for node in self.nodes("date"))
        return next(filter(None, said), "")

    def markup(self) -> str:
        return "".join(_markup(node) for node in self.nodes("text"))[: text.MAX_HTML]

    def list(self, part: str) -> list[str]:
        return [_words(node) for node in self.nodes(part)]


class _FoundInJson(_Found):
    def nodes(self, part: str) -> list[Any]:
        said = getattr(self._recipe, part)
        found = _got(self._item, said) if said else None
        found = found if isinstance(found, list) else [found]
        return [_string(value) for value in found[:MAX_NODES] if isinstance(value, str | int | float)]

    def markup(self) -> str:
        return "".join(self.nodes("text"))[: text.MAX_HTML]


def _feed(
    found: Sequence[_Found],
    recipe: Recipe,
    title: str,
    spoken: str,
    base: str,
    url: str,
    now: datetime,
    watch: Watch,
) -> ParsedFeed:
    notes = Notes(Dates(now, spoken, lambda: (one.date() for one in found)))
    seen = dict.fromkeys(("title", "link"), False)

    def one(item: _Found) -> list[ParsedEntry]:
        said = {part: item.words(part) if part == "title" else item.address(part) for part in seen}
        for part, value in said.items():
            seen[part] |= bool(value)
        entry = _entry(item, said["title"], text.http_url(said["link"], base), recipe, base, spoken, notes)
        return [entry] if entry else []

    def rough(item: _Found, reason: str) -> ParsedEntry:
        return set_aside(reason, identity=repr(found.index(item)).encode())

    entries = watch.each(found, one, rough)
    for part, any_ in seen.items():
        said = getattr(recipe, part)
        if found and said and not any_ and not any(entry.fault for entry in entries):
            raise NotAFeed(
                f"has {len(found):,} × {recipe.item!r}, and in none of them a {part} where {said!r} looks for it: "
                "the page has changed, or the selector is not right"
            )
    return ParsedFeed(
        format=f"{recipe.kind} by selectors",
        title=text.plain(title, limit=200),
        site_url=url,
        language=spoken,
        entries=entries,
        trouble=tuple(notes.trouble()),
    )


def _entry(
    item: _Found, title: str, link: str, recipe: Recipe, base: str, spoken: str, notes: Notes
) -> ParsedEntry | None:
    markup, said = item.markup(), item.date()
    title, content = text.plain(title), text.clean_html(markup, base=link or base)
    if not (title or link or text.words(content)):
        return None
    mend = notes.repairs.shown
    return parsed_entry(
        Described(
            guid=text.plain(item.words("id"), limit=10_000) if recipe.id else "",
            url=link,
            original_url="",
            title=title,
            author=text.plain(item.words("author"), limit=200),
            summary="",
            content=content,
            categories=item.list("tags"),
            declared=spoken,
            image_url=text.http_url(item.address("image"), base),
            enclosures=(),
            published=(_by_format(said, recipe.date_format) if recipe.date_format else None) or notes.dates.read(said),
            updated=None,
        ),
        notes,
        Shown(
            mend(title, title, text.plain),
            "",
            mend(markup, content, lambda value: text.clean_html(value, base=link or base)),
        ),
    )


def _refuse_many(items: Sequence[Any], recipe: Recipe) -> None:
    if len(items) > MAX_ITEMS:
        raise NotAFeed(
            f"has {len(items):,} × {text.plain(recipe.item, limit=100)!r}, and a list of entries has {MAX_ITEMS:,} at "
            "most: the selector is too wide"
        )


# ---------------------------------------------------------------- elements

_HEADING = " or ".join(f"self::h{n}" for n in range(1, 7))
# Where the parts are, when a selector says where the entries are and no more: the likeliest place first.
_USUAL = {
    "title": (
        f"xpath:descendant-or-self::*[{_HEADING}][normalize-space()]",
        "xpath:descendant-or-self::*[@itemprop='headline' or @itemprop='name']",
        "xpath:descendant-or-self::a[@href][normalize-space()]",
    ),
    "link": (
        "xpath:self::a/@href",
        f"xpath:descendant::*[{_HEADING}]/descendant::a/@href",
        f"xpath:descendant::a[descendant::*[{_HEADING}]]/@href",
        f"xpath:descendant::*[{_HEADING}]/ancestor::a/@href",
        "xpath:descendant::a[normalize-space()]/@href",
        "xpath:descendant::a/@href",
    ),
    "date": ("xpath:descendant::time/@datetime", "xpath:descendant::time", "xpath:descendant::*[@datetime]/@datetime"),
    "text": ("xpath:descendant::p",),
    "image": ("xpath:descendant::img",),
}
_ADDRESSES = ("href", "src", "content")
_PICTURES = ("data-src", "src", "content", "href")  # what is loaded later has a dot in its place at first
_ATTRIBUTE = re.compile(r"(.*?)@([A-Za-z_][\w.:-]{0,60})", re.S)


def usual_places(recipe: Recipe, part: str) -> tuple[str, ...]:
    """Where a part is looked for that a recipe of CSS does not name; XPath says all that it means."""
    return _USUAL.get(part, ()) if recipe.kind == "html" and not recipe.item.startswith("xpath:") else ()


def as_xpath(expression: str, kind: str = "html") -> str:
    """An expression of a recipe as XPath 1.0. Raises ValueError with what is wrong with it."""
    from cssselect import GenericTranslator, HTMLTranslator, SelectorError

    if len(expression) > MAX_EXPRESSION:
        raise ValueError(f"it has more than {MAX_EXPRESSION:,} characters")
    if expression.startswith("xpath:"):
        return expression.removeprefix("xpath:").strip()
    css, attribute = expression.strip(), ""
    if (match := _ATTRIBUTE.fullmatch(css)) is not None:
        css, attribute = match[1].strip(), match[2]
    if not css:
        return f"@{attribute}"
    translator = HTMLTranslator() if kind == "html" else GenericTranslator()
    try:
        paths = translator.css_to_xpath(css).split(" | ") if attribute else [translator.css_to_xpath(css)]
    except (SelectorError, RecursionError, ValueError) as error:
        raise ValueError(text.plain(str(error), limit=150) or type(error).__name__) from None
    return " | ".join(f"{path}/@{attribute}" for path in paths) if attribute else paths[0]


def foreign(recipe: Recipe, part: str) -> str:
    """A part as FreshRSS understands it: XPath that gives the text, address or date itself; "" where it is not said."""
    said = getattr(recipe, part) or next(iter(usual_places(recipe, part)), "")
    if not said or recipe.kind == "json":
        return str(said)
    path = as_xpath(said, recipe.kind)
    if getattr(recipe, part).startswith("xpath:") or _ATTRIBUTE.fullmatch(path):
        return path
    if part == "link":
        return f"({path})/descendant-or-self::*/@href"
    if part == "image":
        return f"({path})/descendant-or-self::*/@*[name()='data-src' or name()='src'][not(starts-with(., 'data:'))]"
    if part == "date":
        return f"({path})/@datetime | ({path})[not(@datetime)]"
    return path


@lru_cache(maxsize=256)
def _evaluator(expression: str, kind: str) -> Any:
    from lxml import etree

    path = as_xpath(expression, kind)
    try:
        # No functions but those of XPath 1.0 itself: EXSLT's patterns have no bounds.
        compiled = etree.XPath(path, regexp=False, smart_strings=False)
        compiled(etree.Element("nothing"))
    except (etree.XPathError, ValueError, RecursionError) as error:
        raise ValueError(text.plain(str(error), limit=150) or "it is no XPath") from None
    return compiled


def _nodes(expression: str, element: Any, kind: str) -> list[Any]:
    """Elements and strings, in the order of the document."""
    from lxml import etree

    try:
        found = _evaluator(expression, kind)(element)
    except (etree.XPathError, ValueError) as error:
        told = text.plain(str(error), limit=150)
        raise NotAFeed(f"cannot be read by {text.plain(expression, limit=100)!r}: {told}") from None
    if not isinstance(found, list):
        return [] if isinstance(found, bool) else [_string(found)]
    nodes = (node if isinstance(node, str) or hasattr(node, "itertext") else None for node in found)
    return [node for node in nodes if node is not None]


def _string(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.15g}" if isinstance(value, float) else str(value)


def _words(node: Any) -> str:
    words = node if isinstance(node, str) else "".join(islice(node.itertext(), MAX_PIECES))
    return " ".join(words[:20_000].split())


def _attribute(node: Any, *names: str) -> str:
    """What a string says; of an element an attribute by these names, its own or of what is in it."""
    if isinstance(node, str):
        return node.strip()
    for one in islice(node.iter(), MAX_PIECES):
        for name in names:
            if isinstance(one.tag, str) and (value := one.get(name)):
                return str(value).strip()
    return ""


def _markup(node: Any) -> str:
    from lxml import etree

    if isinstance(node, str):
        return node
    return str(etree.tostring(node, method="html", encoding="unicode", with_tail=False))


def _xml(body: bytes) -> Any:
    from lxml import etree

    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, huge_tree=False)
    try:
        return etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise NotAFeed(f"is not readable XML: {text.plain(str(error), limit=120)}") from None


# ---------------------------------------------------------------- JSON


def _read_json(body: bytes, recipe: Recipe, url: str, now: datetime, watch: Watch) -> ParsedFeed:
    try:
        document = json.loads(body.decode("utf-8-sig", "replace"), strict=False)
    except (ValueError, RecursionError) as error:
        raise NotAFeed(f"is not readable JSON: {text.plain(str(error), limit=120)}") from None
    items = _got(document, recipe.item)
    items = items if isinstance(items, list) else list(items.values()) if isinstance(items, dict) else []
    _refuse_many(items, recipe)
    found = [_FoundInJson(item, recipe) for item in items if isinstance(item, dict | list)]
    return _feed(found, recipe, "", "", url, url, now, watch)


def _steps(path: str) -> list[str]:
    """The names on a way: `data.items[0].x` and `data.items.0.x` are one, `$` is where it begins."""
    if len(path) > MAX_EXPRESSION:
        raise ValueError(f"it has more than {MAX_EXPRESSION:,} characters")
    steps = re.sub(r"\[\s?[\"']?([^\[\]\"']{1,200})[\"']?\s?\]", r".\1", path.strip()).removeprefix("$").strip(".")
    if "[" in steps or "]" in steps:
        raise ValueError("its brackets do not close, or have nothing in them")
    return steps.split(".") if steps else []


def _got(thing: Any, path: str) -> Any:
    if isinstance(thing, dict) and path in thing:
        return thing[path]
    for step in _steps(path):
        if isinstance(thing, dict):
            thing = thing.get(step)
        elif isinstance(thing, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(thing):
            thing = thing[int(step[:9])]
        else:
            return None
    return thing


# ---------------------------------------------------------------- dates

# The letters of PHP's `DateTime::createFromFormat`, which FreshRSS takes, and Python's for them.
_LETTERS = {
    **{"d": "%d", "j": "%d", "m": "%m", "n": "%m", "Y": "%Y", "y": "%y", "D": "%a", "l": "%A", "M": "%b", "F": "%B"},
    **{"H": "%H", "G": "%H", "h": "%I", "g": "%I", "i": "%M", "s": "%S", "A": "%p", "a": "%p", "u": "%f", "z": "%j"},
    **{"O": "%z", "P": "%z", "p": "%z", "%": "%%", "!": "", "|": ""},
}


def _by_format(said: str, php: str) -> datetime | None:
    if php == "U":
        return datetime.fromtimestamp(int(said), UTC) if said.isascii() and said.isdigit() and len(said) < 12 else None
    letters = re.sub(r"\\(.)|(.)", lambda m: m[1] or _LETTERS.get(m[2], m[2]), php[:100], flags=re.S)
    try:
        found = datetime.strptime(said.strip()[:200], letters)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, re.error):
        return None
