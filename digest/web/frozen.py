"""Mails that were sent, as pages of nobody: without personal links, and with the stories that had no room in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from urllib.parse import urlsplit

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from digest import render
from digest.render import Marks, direction
from digest.render.shown import at_home
from digest.render.speech import speech
from digest.store import archive
from digest.web.moved import led_on
from digest.web.site import NUMBER, PRIVATE, Site, site_of, visited

# A title that was cut for the mail, with the whole of it beside.
_CUT = re.compile(r'(<a class="(?:story|line)" [^<>]*?) title="([^"<>]*+)"([^<>]*+)>[^<>]*+<')
_IN_SHORT = re.compile(r'(?s)<td class="pad list short".*?</td>')

# What stories look like that had no room in a mail: like those that had, whatever their place.
_LOOKS = {
    "sheet": "sheet",
    "pad item": "pad item|pad list|pad lead",
    "name": "name|deck|headline",
    "story": "story",
    "meta": "meta",
}


def keyed(request: Request) -> Response:
    """What a letter's own link leads to, for as long as somebody keeps the letter."""
    site, asked = site_of(request), request.path_params
    if (elsewhere := led_on(request)) is not None:
        return elsewhere
    page = page_of(request)
    with site.database.read() as session:
        found = archive.variant_in_browser(session, asked["newsletter"], asked["number"], asked["key"], page=page)
    if found is None or page > max(1, found.pages):
        return site.unknown(request)
    headers = PRIVATE | {"X-Robots-Tag": "noindex"}
    html = in_browser(site, asked["newsletter"], asked["number"], found, page=page)
    return HTMLResponse(in_main(html), headers=headers)


def in_main(html: str, *, top: str = "", bottom: str = "") -> str:
    """A mail as the main part of a page, by which screen readers find it, between what stands around it there."""
    html = html.replace("</body>", f"</main>{bottom}</body>", 1)
    return re.sub(r"<body\b[^>]*>", lambda tag: f"{tag[0]}{top}<main>", html, count=1)


def page_of(request: Request) -> int:
    """Which page of what had no room is asked for; what is no number asks for the first."""
    words = request.query_params.get("more", "")
    return max(1, int(words)) if re.fullmatch(NUMBER, words) else 1


def in_browser(site: Site, name: str, number: int, frozen: archive.Frozen, *, page: int = 1) -> str:
    """A frozen mail as a page of nobody: without personal links and without the way to where we are already.

    From the second page on it is only what had no room in the mail, looking like it. Made once for the same content.
    """
    paper = site.config.newsletters.get(name)
    language, home = paper.language if paper else "en", site.base_of(name)
    return site.shelf.get(
        (name, number, page, language, home, frozen), lambda: _made(site, name, number, frozen, page, language)
    )


def _made(site: Site, name: str, number: int, frozen: archive.Frozen, page: int, language: str) -> str:
    home = site.base_of(name)
    html = at_home(_impersonal(frozen.html, render.marks(frozen.marks), home), urlsplit(home).path)
    html = named(whole(html), frozen.places)
    html = re.sub(r'(?s)<span class="yours".*?</span>|<p class="also asks".*?</p>', "", html)
    here = f'[^"]*/editions/{re.escape(name)}/{number}/{re.escape(frozen.key)}'
    html = re.sub(_anchor(here), "", html)
    html = re.sub(rf'href="{here}#more"', 'href="#more"', html)
    linked = [story for story in frozen.rest if story.url.startswith(("https://", "http://"))]
    said = speech(language)
    rest = site.html(
        "more.html",
        stories=linked,
        look={name: _look(html, of) for name, of in _LOOKS.items()},
        page=page,
        pages=frozen.pages,
        t=said.gettext,
    )
    if page > 1:
        html = re.sub(r"(?s)(<body\b[^>]*>).*</body>", r"\1</body>", html, count=1)
    html = html.replace("</body>", rest + "</body>", 1)
    if not frozen.withdrawn:
        return html
    note = site.html("withdrawn.html", stories=frozen.withdrawn, said=said, dir=direction(said.language))
    return re.sub(r"<body\b[^>]*>", lambda tag: tag[0] + note, html, count=1)


def whole(html: str) -> str:
    """A mail with the titles whole that were cut for it: here is room."""
    return _CUT.sub(r"\1\3>\2<", html)


def named(html: str, places: Iterable[tuple[int, str]]) -> str:
    """A mail with a name at the first link to each story (id, address), so that another page can point to it.

    What leads to it from the head of the mail is not where it is told.
    """
    for story_id, address in places:
        link, head = f'href="{escape(address)}"', _IN_SHORT.search(html)
        at = html.find(link, head.end() if head else 0)
        at = html.find(link) if at < 0 else at
        tag = html.rfind("<", 0, at) if at >= 0 else -1
        if tag >= 0 and html.startswith("<a ", tag) and ' id="' not in html[tag:at]:
            html = f'{html[:tag]}<a id="story-{story_id}" {html[tag + 3 :]}'
    return html


def as_text(site: Site, name: str, number: int, frozen: archive.Frozen) -> str:
    """The same mail in plain text, of nobody: lines with a link that is one reader's own go, and what names them."""
    pieces, _ = render.marks(frozen.marks).cut(frozen.text)
    own = "\0"  # which stands in no text
    lines: list[str] = []
    here = f"/editions/{name}/{number}/{frozen.key}"  # wherever the newsletter was at home when it was written
    for line in own.join(pieces).split("\n"):
        if own not in line and here not in line:
            lines.append(line)
        elif lines and lines[-1].rstrip().endswith(":"):
            lines.pop()
    return "\n".join(lines)


def _impersonal(html: str, marks: Marks, home: str) -> str:
    """A mail without its personal links; an address that is no link's becomes our start page's."""
    pieces, _ = marks.cut(html)
    kept, inside = pieces[0], False
    for piece in pieces[1:]:
        if not inside:
            tag = kept.rfind("<")
            inside = re.match(r"<a\b", kept[tag:]) is not None
            kept = kept[:tag] if inside else kept + home
        if inside:
            _, ended, piece = piece.partition("</a>")
            inside = not ended
        kept += piece
    return kept


def _anchor(address: str) -> str:
    return rf'(?s)<a\b[^>]*href="{address}"[^>]*>.*?</a>'


def _look(html: str, names: str) -> Markup:
    """The style of the first element of these classes in a mail, the first of them before the others (`|`)."""
    for name in names.split("|"):
        if found := re.search(rf'<[a-z0-9]+\b[^>]*\sclass="{name}"[^>]*?(\sstyle="[^"]*")', html):
            return Markup(found[1])  # noqa: S704 (our own frozen HTML)
    return Markup("")


ROUTES = [
    Route("/editions/{newsletter:word}/{number:number}/{key:word}", visited(keyed)),
]
