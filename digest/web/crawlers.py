"""For who comes by themselves: which pages there are, which are nobody's business, and the sign in a browser's tab."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from digest.colours import ACCENT
from digest.store import archive
from digest.web.archive import papers_of
from digest.web.public import public
from digest.web.site import site_of, visited

_PRIVATE_PATHS = ("/api/", "/confirm/", "/editions/", "/hear/", "/preferences/", "/unsubscribe/", "/websub/")
_MOST_PAGES = 45_000  # sitemaps.org: 50,000 in one file


def robots(request: Request) -> Response:
    """RFC 9309. Pages of one reader are not forbidden to be known, only useless to search."""
    site = site_of(request)
    lines = ["User-agent: *", *(f"Disallow: {site.root}{path}" for path in _PRIVATE_PATHS)]
    lines += [f"Disallow: {site.root}/newsletters/*/search", "", f"Sitemap: {site.base_url}/sitemap.xml", ""]
    return public(request, "\n".join(lines).encode(), media_type="text/plain; charset=utf-8")


def sitemap(request: Request) -> Response:
    """sitemaps.org 0.9: the newest pages first, where there are too many for one file."""
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n']
    for number, (address, at) in enumerate(_pages(request)):
        if number == _MOST_PAGES:
            break
        changed = f"<lastmod>{at.date().isoformat()}</lastmod>" if at else ""
        parts.append(f"<url><loc>{escape(address)}</loc>{changed}</url>\n")
    return public(request, ("".join(parts) + "</urlset>\n").encode(), media_type="application/xml")


def _pages(request: Request) -> Iterator[tuple[str, datetime | None]]:
    site = site_of(request)
    yield f"{site.base_url}/", None
    with site.database.read() as session:
        papers = papers_of(site, session)
        editions = []
        for paper in papers:
            home = site.base_of(paper.name)
            yield home + paper.path, paper.latest
            if paper.settings.signup:
                yield f"{home}/subscribe/{paper.name}", None
            for slug in archive.topics_told(session, paper.id, list(paper.topics), upto=paper.upto):
                yield f"{home}{paper.path}/topics/{slug}", paper.latest
            editions += [(at, f"{home}{paper.path}/editions/{n}") for n, at in archive.numbers(session, paper.id)]
    for at, address in sorted(editions, reverse=True):
        yield address, at


def favicon(request: Request) -> Response:
    """A letter in the colour of the one newsletter that is here, or of ours."""
    site = site_of(request)
    with site.database.read() as session:
        papers = papers_of(site, session)
    colour = papers[0].settings.accent if len(papers) == 1 else ACCENT
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f'<rect width="32" height="32" rx="6" fill="{escape(colour)}"/>'
        '<path d="M8 10h16M8 16h16M8 22h10" stroke="#fff" stroke-width="3" stroke-linecap="round"/></svg>\n'
    )
    return public(request, svg.encode(), media_type="image/svg+xml")


ROUTES = [
    Route("/robots.txt", visited(robots)),
    Route("/sitemap.xml", visited(sitemap)),
    Route("/favicon.svg", visited(favicon)),
    Route("/favicon.ico", visited(favicon)),
]
