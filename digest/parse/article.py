"""The text of a web page, where its feed gives only a stub of it; and whether it is what the feed speaks of.

Found by trafilatura (the extra `fulltext`; Apache-2.0): of the two that were looked at it finds the text more often,
and readability-lxml 0.9 cannot be installed beside the chardet that feeds are read with. Judged by us: what is
extracted of a challenge, a wall or another page is text as well. Run in a worker, since a stranger wrote the page, and
since a large one takes trafilatura more memory than a worker may have.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from digest.dataclass import dataclass
from digest.errors import DigestError
from digest.parse import characters, gist
from digest.parse.text import escape, http_url, plain, tidy

MAX_TEXT = 200_000  # characters that are kept
_LARGE = 500_000  # characters of markup from which on one way of looking for the text must do
LEAST_WORDS = 40
FREE = 250  # words; a page that says so much shows more than what stands before a paywall
MOST_LINKS = 0.5  # share of the text
_WALLED = re.compile(r"[\"']isAccessibleForFree[\"']\s{0,9}:\s{0,9}[\"']?false", re.I)
_PAY = re.compile(
    r"\b(?:subscribe (?:now|today|to (?:continue|read|unlock|get access))|subscribers? only|for subscribers|"
    r"already (?:a )?(?:subscriber|subscribed|member)|sign in to (?:continue|read)|log ?in to (?:continue|read)|"
    r"create (?:a free|an) account to|become a member to|unlock (?:this|the full)|start your (?:free )?trial|"
    r"this (?:article|post|content|story) is (?:for|only|exclusively|reserved)|remaining (?:free )?articles?|"
    r"jetzt (?:abonnieren|weiterlesen)|mit .{1,30} weiterlesen|nur für abonnent|abonnieren sie|bereits abonnent|"
    r"réservé aux abonnés|abonnez-vous|déjà abonné|para suscriptores|suscríbete|contenuto riservato|abbonati)",
    re.I,
)
_CONSENT = re.compile(
    r"\b(?:cookies?|consent\w*|privacy|partners?|datenschutz\w*|einwilligung\w*|zustimm\w*|zwecke?n?|vendors?|"
    r"confidentialité|consentement|personali[sz]ed ads?|tracking|gdpr|dsgvo)\b",
    re.I,
)
_WORD = re.compile(r"\w+")
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_SIDE = re.compile(r"[\x00\ud800-\udfff]")
_DECLARATION = re.compile(r"\s{0,99}<\?xml[^>]{0,500}>")


@dataclass(frozen=True)
class Page:
    """A page as it came from `url`, and what a feed said of it: title, and words of its stub (there may be none)."""

    body: bytes
    url: str
    content_type: str
    title: str
    said: str


@dataclass(frozen=True)
class Article:
    """What a page says: plain `text`, a paragraph a line, with its packed `gist`; where it says that it is, or "".

    `image_url` is the picture that it names for itself (og:image), or "".
    """

    text: str
    gist: bytes
    canonical: str = ""
    image_url: str = ""


class NotTaken(DigestError):
    """What a page has is not the entry's text. `reason` is the end of a sentence that begins with the page."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __reduce__(self) -> tuple[type[NotTaken], tuple[str]]:
        return type(self), (self.reason,)  # it travels from a worker process


def available() -> bool:
    """Whether the extra `fulltext` is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("trafilatura", "lxml_html_clean"))


def read(page: Page) -> Article:
    """The text of a page. Raises NotTaken."""
    markup = _markup(page)
    root = _tree(markup)
    canonical, image = _canonical(root, page.url), _image(root, page.url)
    heads = [*root.iter("title"), *root.iter("h1")][:5]
    heading = " ".join(plain("".join(head.itertext())[:2_000], limit=300) for head in heads)
    lines, links = _extracted(root, size=len(markup))
    text = "\n".join(lines)[:MAX_TEXT]
    walled = _WALLED.search(markup) is not None
    if why := refusal(text, title=page.title, said=page.said, heading=heading, links=links, walled=walled):
        raise NotTaken(why)
    return Article(text, gist_of(text), canonical, image)


def refusal(text: str, *, title: str, said: str, heading: str = "", links: float = 0.0, walled: bool = False) -> str:
    """Why a text is not that of an entry, as the end of a sentence that begins with its page; "" where it is.

    `said` are words of the feed's stub, `heading` the page's title and headings, `links` the share of the text that
    is link, `walled` what the page says itself.
    """
    words = gist.count([text])
    if words < LEAST_WORDS:
        return f"has too little text, {words} words"
    if links > MOST_LINKS:
        return f"is mostly links, {links:.0%} of its text"
    asks = len(_CONSENT.findall(text[:5_000]))
    if asks * 20 > gist.count([text[:5_000]]) and asks > 3 * len(_CONSENT.findall(f"{title} {said}")) + 3:
        return "asks for consent"
    if words < FREE and (walled or _PAY.search(text)):
        return f"shows only its beginning to who has not paid, {words} words"
    if words <= gist.count([said]):
        return "says no more than the feed"
    if not _speaks_of(text, title, said, heading):
        return "is another page: neither the title nor the words of the feed are in it"
    return ""


def _speaks_of(text: str, title: str, said: str, heading: str) -> bool:
    found = _telling(text)
    stub, name = _telling(said[:600]), _telling(title)
    if len(stub) >= 4 and len(stub & found) >= (0.6 if len(stub) > 6 else 1.0) * len(stub):
        return True
    if len(name) >= 3 and len(name & found) >= 0.6 * len(name):
        return True
    # A title need not be in its text; then it stands above it, in whole.
    return bool(name) and len(name & _telling(heading)) >= 0.8 * len(name)


def _telling(text: str) -> frozenset[str]:
    """Words of four letters and more, numbers, and pairs of letters of scripts without spaces."""
    found: set[str] = set()
    for word in _WORD.findall(text.casefold()):
        if _UNSPACED.search(word):
            found.update(word[at : at + 2] for at in range(len(word) - 1))
        elif len(word) >= 4 or word.isdigit():
            found.add(word)
    return frozenset(found)


def _markup(page: Page) -> str:
    kind = page.content_type.partition(";")[0].strip().lower()
    if kind not in ("", "text/html", "application/xhtml+xml") and not page.body[:500].lstrip().lower().startswith(
        (b"<!doctype html", b"<html")
    ):
        raise NotTaken(f"is no web page but {tidy(kind)[:60]}")
    said = (characters.header_label(page.content_type), characters.page_label(page.body))
    text = _SIDE.sub("", characters.decode(page.body, said).text)
    if declared := _DECLARATION.match(text):
        text = text[declared.end() :]
    if not text.strip():
        raise NotTaken("is empty")
    return text


def _tree(markup: str) -> Any:
    from lxml import html

    # Of lxml's own kind, which trafilatura wants.
    parser = html.HTMLParser(encoding="utf-8", no_network=True, recover=True, remove_comments=True)
    return html.document_fromstring(markup.encode(), parser=parser)


def _extracted(root: Any, *, size: int) -> tuple[list[str], float]:
    """The paragraphs of a page's text, and the share of their letters that are in links. Raises NotTaken."""
    import trafilatura

    found = trafilatura.bare_extraction(
        root, fast=size > _LARGE, include_comments=False, include_links=True, with_metadata=False
    )
    body = getattr(found, "body", None)
    if body is None:
        raise NotTaken("has no text that could be told from the rest")
    lines, length = [], 0
    for element in _paragraphs(body):
        if line := tidy("".join(element.itertext())[:MAX_TEXT]):
            lines.append(line)
            length += len(line)
        if length > MAX_TEXT:
            break
    return lines, sum(len("".join(link.itertext()).strip()) for link in body.iter("ref")) / max(1, length)


def _paragraphs(body: Any) -> Iterator[Any]:
    """What stands one below the other in the text; headings are no part of it, as in what feeds give."""
    for element in body:
        if element.tag in ("list", "table", "quote", "div") and len(element) and not (element.text or "").strip():
            yield from element
        elif element.tag not in ("head", "graphic"):
            yield element


def _canonical(root: Any, url: str) -> str:
    for element in root.iter("link"):
        if "canonical" in str(element.get("rel") or "").lower().split():
            return http_url(str(element.get("href") or ""), url)
    return ""


_IMAGES = ("og:image", "og:image:url", "og:image:secure_url", "twitter:image", "twitter:image:src")


def _image(root: Any, url: str) -> str:
    """The picture that a page names for who links to it (Open Graph, Twitter cards)."""
    for element in islice(root.iter("meta"), 300):
        if str(element.get("property") or element.get("name") or "").strip().lower() in _IMAGES:
            found = http_url(str(element.get("content") or ""), url)
            if found:
                return found
    return ""


def gist_of(text: str) -> bytes:
    """The packed gist of a text that was taken, a paragraph a line."""
    return gist.pack(gist.of("", "".join(f"<p>{escape(line)}</p>" for line in text.split("\n"))))
