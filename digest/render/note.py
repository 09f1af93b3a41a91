"""Mails to one person: what their templates are given, and what no template of an operator's own may leave out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from digest.dataclass import dataclass
from digest.render.words import direction, plain_line

if TYPE_CHECKING:
    from lxml.html import HtmlElement

# The kinds, each with what its link does; where there is nothing, a template may do without the link.
MAILS: Mapping[str, str] = {
    "confirm": "that confirms the subscription",
    "reminder": "that confirms the subscription",
    "welcome": "to the reader's choices",
    "goodbye": "by which they can come back",
    "already": "to the reader's choices",
    "move": "that confirms the new address",
    "moved": "",
}
_SAID = 500  # characters of a field that a mail shows
# Mail programs make links of such words, and a stranger fills in whose name it is: `Win at evil.example`.
_LINKED = re.compile(r"[/@\\]|(?<![^\W_])[^\W_]++\.[^\W_]{2}")
_ADDRESSES = {"href": ("http", "https", "mailto", "tel"), "src": ("http", "https"), "background": ("http", "https")}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")
_BLANK = re.compile(r"[\x00-\x20\x7f-\x9f]+")
_ACTIVE = ("script", "iframe", "object", "embed", "form", "base", "svg", "math")


class Fields:
    """The operator's own fields of a person: `reader.fields.plan`, or `reader.fields["plan name"]`.

    Capitals and small letters are one; what they do not have is "". One line each, of text and nothing else.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = {name: plain_line(value, _SAID) for name, value in (values or {}).items()}
        self._folded = {name.casefold(): value for name, value in self._values.items()}

    def __getitem__(self, name: object) -> str:
        return self._values.get(str(name), "") or self._folded.get(str(name).casefold(), "")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return str(name).casefold() in self._folded

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self._values == other._values

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __str__(self) -> str:
        return ", ".join(f"{name}: {value}" for name, value in self._values.items())


@dataclass(frozen=True)
class Reader:
    """Who a mail goes to, as templates are told. All of it is data: it may come from strangers."""

    email: str = ""
    called: str = ""
    fields: Fields = field(default_factory=Fields)
    topics: tuple[str, ...] = ()  # titles; () is all
    cadence: str = ""  # "daily", "weekly mon", …; "" is every edition
    hour: int | None = None
    language: str = ""
    format: str = "html"  # or "text"

    @property
    def name(self) -> str:
        """What they are called; "" where it would be a link: whoever signs up a stranger could write to them by it."""
        name = plain_line(self.called, _SAID)
        return "" if _LINKED.search(name) else name


@dataclass(frozen=True)
class Note:
    """A mail with one thing to do, to one person: what `note.html`, `note.txt` and those of its kind are given."""

    title: str  # of the newsletter
    language: str  # BCP 47, of our words
    subject: str
    heading: str
    words: str
    act: str  # what the button says
    url: str  # where it leads
    after: str  # in small letters
    postal_address: str = ""
    accent: str = "#a03a12"
    accent_dark: str = "#f08a5d"
    kind: str = ""  # of MAILS, or "" for another
    asked: str = ""  # the language that was wanted, of which there may be templates and no words of ours
    home: str = ""  # base URL of the web pages
    reader: Reader = field(default_factory=Reader)

    @property
    def dir(self) -> str:
        return direction(self.language)

    def templates(self, end: str) -> list[str]:
        """Which templates it is made of, the first of them that there is; `end` is html or txt."""
        return [f"{name}.{end}" for name in (self.kind, "note") if name]

    @property
    def values(self) -> dict[str, Any]:
        return {"note": self, "reader": self.reader, "newsletter": {"title": self.title, "url": self.home}}


def fault(note: Note, html: str) -> str:
    """What is wrong with the HTML part of somebody's own template, as the end of a sentence; "" for nothing."""
    from lxml import html as parser

    if not html.strip():
        return "is empty"
    tree = parser.document_fromstring(html)
    if active := tree.xpath("|".join(f"//{name}" for name in _ACTIVE)):
        return f"has a <{active[0].tag}> in it, which no mail may have"
    for element in tree.iter():
        if element.tag == "meta" and (element.get("http-equiv") or "").strip().lower() == "refresh":
            return "leads elsewhere by itself (<meta http-equiv>), which no mail may do"
        for name, value in element.attrib.items():
            if str(name).startswith("on"):
                return f"has an attribute {name} in it, which no mail may have"
            if (known := _ADDRESSES.get(str(name))) and not _leads(str(value), known):
                return f"has a link that leads nowhere a mail may lead: {plain_line(str(value), 60) or 'an empty one'}"
    if (wanted := MAILS.get(note.kind, "")) and not any(_same(a, note.url) for a in tree.iter("a") if _seen(a)):
        return f'has no link {wanted}: write <a href="{{{{ note.url }}}}">…</a> into it'
    texts: list[Any] = tree.xpath("//text()")
    said = [text for text in texts if _seen(text.getparent().getparent() if text.is_tail else text.getparent())]
    return _address(note, " ".join(map(str, said)))


def text_fault(note: Note, text: str) -> str:
    """The same of the text part."""
    if not text.strip():
        return "is empty"
    if (wanted := MAILS.get(note.kind, "")) and not re.search(re.escape(note.url) + r"(?![\w/%-])", text):
        return f"has no link {wanted}: write {{{{ note.url }}}} into it"
    return _address(note, text)


def _address(note: Note, words: str) -> str:
    if "".join(note.postal_address.split()) in "".join(words.split()):
        return ""
    return "has no postal address, and the settings have one: write {{ note.postal_address }} into it"


def _leads(address: str, known: tuple[str, ...]) -> bool:
    """Does an address lead somewhere a mail may lead? Browsers leave out blanks in it, and so do we."""
    address = _BLANK.sub("", address).lower()
    scheme = _SCHEME.match(address)
    return scheme[1] in known if scheme else address.startswith("#")


def _same(link: HtmlElement, url: str) -> bool:
    href = (link.get("href") or "").strip()
    shown = link.text_content().strip() or link.xpath(".//img[@alt!='']")
    return bool(shown) and (href == url or href.startswith((f"{url}#", f"{url}?")))


def _seen(element: HtmlElement | None) -> bool:
    """Is it shown to people? By its own style and those around it."""
    while element is not None:
        style = "".join((element.get("style") or "").lower().split())
        if not isinstance(element.tag, str) or element.tag in ("style", "title", "head"):
            return False
        if "display:none" in style or "visibility:hidden" in style or "hidden" in element.attrib:
            return False
        element = element.getparent()
    return True
