"""Mails that were sent, as pages of nobody: without personal links, and with the stories that had no room in them."""

from __future__ import annotations

import re
from functools import partial

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from digest import render
from digest.render import Marks, direction
from digest.render.speech import speech
from digest.store import archive
from digest.web.moved import led_on
from digest.web.site import PRIVATE, Site, site_of

# A frozen mail may show pictures.
IMAGES = PRIVATE["Content-Security-Policy"] + "; img-src https:"


def keyed(request: Request) -> Response:
    """What a letter's own link leads to, for as long as somebody keeps the letter."""
    site, asked = site_of(request), request.path_params
    if (elsewhere := led_on(request)) is not None:
        return elsewhere
    with site.database.read() as session:
        found = archive.variant_in_browser(session, asked["newsletter"], asked["number"], asked["key"])
    if found is None:
        return site.unknown(request)
    headers = PRIVATE | {"Content-Security-Policy": IMAGES, "X-Robots-Tag": "noindex"}
    return HTMLResponse(in_browser(site, asked["newsletter"], asked["number"], found), headers=headers)


def in_browser(site: Site, name: str, number: int, frozen: archive.Frozen) -> str:
    """A frozen mail as a page of nobody: without personal links and without the way to where we are already."""
    html = _impersonal(frozen.html, render.marks(frozen.marks), site.base_of(name))
    html = re.sub(r'(?s)<span class="yours".*?</span>', "", html)
    here = f'[^"]*/editions/{re.escape(name)}/{number}/{re.escape(frozen.key)}'
    html = re.sub(_anchor(here), "", html)
    html = re.sub(rf'href="{here}#more"', 'href="#more"', html)
    linked = [story for story in frozen.rest if story.url.startswith(("https://", "http://"))]
    rest = site.html("more.html", stories=linked, look=partial(_look, html))
    html = html.replace("</body>", rest + "</body>", 1)
    if not frozen.withdrawn:
        return html
    paper = site.config.newsletters.get(name)
    said = speech(paper.language if paper else "en")
    note = site.html("withdrawn.html", stories=frozen.withdrawn, said=said, dir=direction(said.language))
    return re.sub(r"<body\b[^>]*>", lambda tag: tag[0] + note, html, count=1)


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
    """The style of the first element of these classes in a mail, so that what follows it looks like it."""
    found = re.search(rf'<[a-z0-9]+\b[^>]*\sclass="{names}"[^>]*?(\sstyle="[^"]*")', html)
    return Markup(found[1]) if found else Markup("")  # noqa: S704 (our own frozen HTML)


ROUTES = [
    Route("/editions/{newsletter:word}/{number:number}/{key:word}", keyed),
]
