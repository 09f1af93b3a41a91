"""What stands around the mail on the editor's page: inbox rows, headers, where findings are, and the edition before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.utils import parseaddr
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from digest import edition
from digest.graphemes import clamp
from digest.render import Finding

if TYPE_CHECKING:
    from lxml.html import HtmlElement

FOUND = "found-here"  # the id of the element that a finding is about
_INVISIBLE = re.compile("[\u00ad\u034f\u061c\u115f\u2007\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_SAID = 240  # characters of a mail that an inbox looks at
_QUOTED = re.compile("“([^“”]*+)”")
# Findings that another tab, or another part of the page, shows better than the mail itself.
_ELSEWHERE = {"text part": "text", "size": "source", "style block": "source", "subject": "inbox", "preheader": "inbox"}


@dataclass(frozen=True)
class Row:
    """A mail in the list of an inbox, cut as that client cuts it."""

    client: str
    sender: str
    subject: str
    snippet: str
    lines: int  # of the snippet; 0: behind the subject


def inbox(sender: str, subject: str, html: str) -> tuple[Row, Row]:
    """As Gmail shows a mail in a wide window, and as Apple Mail does on a phone. `sender` is a From: header.

    Widths are of the usual window and text size; a reader's own may differ by a third.
    """
    name, address = parseaddr(sender)
    said = snippet(html)
    name = name or address
    gmail = clamp(subject, 90)
    room = max(0, 110 - len(gmail))
    return (
        Row("Gmail", clamp(name, 20), gmail, clamp(said, room) if room > 8 else "", 0),
        Row("Apple Mail", clamp(name, 28), clamp(subject, 40), clamp(said, 88), 2),
    )


def snippet(html: str) -> str:
    """What an inbox shows after the subject: the first words of the body, signs that nobody sees counted as it does."""
    from lxml import html as parser

    tree = parser.document_fromstring(html)
    said: list[str] = []
    for text in tree.xpath("//body//text()[not(parent::style or parent::script or parent::title)]"):
        said.append(str(text))
        if len(said) > 40 and sum(map(len, said)) > _SAID * 2:
            break
    return " ".join(_INVISIBLE.sub("", " ".join("".join(said).split())[:_SAID]).split())


def headers(content: bytes) -> list[tuple[str, str]]:
    """The headers of a message in their order, as they go over the wire, unfolded."""
    message = message_from_bytes(content, policy=policy.compat32)
    return [(name, " ".join(str(value).split())) for name, value in message.items()]


def place(url: str) -> str:
    """An address as it is known again: its host, and the end of its path."""
    parts = urlsplit(url)
    folder, _, name = parts.path.rpartition("/")
    return clamp(f"{parts.hostname}{'/…' if folder else ''}/{name}", 60)


def addresses(html: str, *, home: str) -> list[str]:
    """The pages that a mail links to, each once, without the newsletter's own: those may not be there yet."""
    from lxml import html as parser

    links = dict.fromkeys(link.get("href") or "" for link in parser.document_fromstring(html).iter("a"))
    return [link for link in links if link.startswith(("https://", "http://")) and not _ours(link, home)]


def _ours(link: str, home: str) -> bool:
    host = urlsplit(link).hostname or ""
    return host == urlsplit(home).hostname or host.endswith(".invalid")


@dataclass(frozen=True)
class Placed:
    """A finding, and where it is: a tab of the page, and whether something in the mail is marked there."""

    finding: Finding
    tab: str
    marked: bool


def placed(findings: Sequence[Finding], html: str) -> list[Placed]:
    """Each finding with the place to look at it."""
    found = []
    for finding in findings:
        tab = _ELSEWHERE.get(finding.check, "dark" if finding.check == "contrast, dark" else "desktop")
        marked = finding.level != "ok" and tab in ("desktop", "dark") and _spot(html, finding)[1] is not None
        found.append(Placed(finding, tab, marked))
    return found


def pointing(html: str, finding: Finding) -> str:
    """The mail with what a finding is about framed, and named `FOUND` before it; as it is, where nothing is found."""
    from lxml import html as parser

    tree, spot = _spot(html, finding)
    if spot is None:
        return html
    anchor = parser.Element("span", id=FOUND)
    anchor.tail, spot.text = spot.text, None
    if spot.tag == "img":
        anchor.tail = None
        spot.addprevious(anchor)
    else:
        spot.insert(0, anchor)
    spot.set("style", f"{spot.get('style') or ''};outline:3px solid #d0021b;outline-offset:2px;scroll-margin:80px")
    return str(parser.tostring(tree, encoding="unicode", doctype="<!DOCTYPE html>"))


def _spot(html: str, finding: Finding) -> tuple[HtmlElement, HtmlElement | None]:
    """The mail as a tree, and the first element in it that the words of a finding speak of."""
    from lxml import html as parser

    tree = parser.document_fromstring(html)
    body = tree.find("body")
    words = finding.words
    quoted = [part for part in _QUOTED.findall(words) if part]
    for element in () if body is None else body.iter():
        if not isinstance(element.tag, str) or element.tag in ("style", "title"):
            continue
        if _spoken_of(element, finding.check, words, quoted):
            return tree, element
    return tree, None


def _spoken_of(element: HtmlElement, check: str, words: str, quoted: Sequence[str]) -> bool:
    text = " ".join((element.text or "").replace("\xa0", " ").split())
    if check.startswith("contrast"):
        return bool(text) and any(text[:24] == part for part in quoted)
    if check == "links":
        if element.tag != "a":
            return False
        href = element.get("href") or ""
        said = " ".join(element.text_content().split())
        host = re.sub(r"^http://([^/:?#]*).*", r"\1 without https", href)
        return said in quoted or (not said and href[:60] in words) or host in words or f"{href} leads nowhere" in words
    if check == "images":
        wrong = element.get("alt") is None or not element.get("width")
        return element.tag == "img" and (wrong or not (element.get("src") or "").startswith(("https://", "cid:")))
    if check == "structure":
        return element.tag in ("h1", "h2", "h3", "h4", "h5", "h6") or f"<{element.tag!s}>" in words
    if check == "css":
        style = element.get("style") or ""
        return any(name in words for name in re.findall(r"(?:^|;)\s*([\w-]{3,})\s*:", style))
    return False


@dataclass(frozen=True)
class Compared:
    """An edition beside the one before it."""

    number: int  # of that before
    rows: tuple[tuple[str, str, str], ...]  # what, then, now
    again: tuple[str, ...]  # titles that both have


def compared(now: edition.Shown, before: edition.Shown) -> Compared:
    """What is other, in figures, and what is told twice."""

    def facts(shown: edition.Shown) -> dict[str, str]:
        topics = Counter(story.topic for story in shown.stories)
        sources = Counter(story.source for story in shown.stories)
        return {
            "subject": shown.rendered.subject,
            "stories": str(len(shown.stories)),
            "left out": str(len(shown.left)),
            "sources": str(len(sources)),
            "most of one source": ", ".join(f"{name} {count}" for name, count in sources.most_common(1)),
            "topics": ", ".join(f"{name} {count}" for name, count in topics.most_common()),
            "bytes of HTML": f"{len(shown.rendered.html.encode()):,}",
            "note": "yes" if shown.note else "no",
        }

    then, today = facts(before), facts(now)
    had = {story.title for story in before.stories}
    again = tuple(story.title for story in now.stories if story.title in had)
    return Compared(before.number, tuple((what, then[what], today[what]) for what in today), again)
