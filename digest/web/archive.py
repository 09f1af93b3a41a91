"""What was sent, for everybody: newsletters, their editions as they were frozen, topics as an aggregator shows them.

The archive never runs ahead of the mail: it knows open editions, and stories that one of them had to choose from.
Its pages are public and the same for everybody, so whoever stands between may keep them for some minutes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from sqlmodel import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from digest import curate
from digest.colours import on_dark
from digest.config import Newsletter
from digest.render import direction
from digest.render.speech import Speech, speech
from digest.store import archive
from digest.values import Story
from digest.web.frozen import IMAGES, in_browser, page_of
from digest.web.public import public
from digest.web.site import NUMBER, Site, site_of, visited

PAGE_OF_EDITIONS = 20
PAGE_OF_STORIES = 30

NEWSLETTER = "/newsletters/{newsletter:word}"
TOPIC = NEWSLETTER + "/topics/{topic:word}"


@dataclass(frozen=True)
class Paper:
    """A newsletter whose archive is open, and up to where it may be shown."""

    id: int
    name: str
    settings: Newsletter
    upto: int
    latest: datetime | None  # of the latest open edition

    @property
    def path(self) -> str:
        return f"/newsletters/{self.name}"

    @property
    def said(self) -> Speech:
        return speech(self.settings.language)

    @property
    def accents(self) -> tuple[str, str]:
        """Its colour on light and on dark ground."""
        return self.settings.accent, on_dark(self.settings.accent)

    @property
    def topics(self) -> dict[str, str]:
        """Titles by slug, in the order of the settings; what has no heading comes last."""
        titles = {slug: heading.title for slug, heading in curate.headings(self.settings.topics).items()}
        return titles | {curate.OTHER: self.said.gettext("More stories")}

    def on(self, moment: datetime) -> datetime:
        """A moment as the newsletter's own clock has it."""
        return moment.astimezone(self.settings.slots.zone) if self.settings.slots else moment


@dataclass(frozen=True)
class Listed:
    """An edition in a list."""

    edition: archive.OpenEdition
    path: str
    day: str
    headline: str  # its subject, without the newsletter's name before it


def home(request: Request) -> Response:
    site = site_of(request)
    with site.database.read() as session:
        papers = [p for name in site.config.newsletters if (p := _named(site, session, name)) is not None]
        latest = {p.name: archive.editions(session, p.id, limit=1) for p in papers}
    languages = {p.settings.language for p in papers}
    said = speech(languages.pop() if len(languages) == 1 else "en")
    rows = [(p, _listed(site, p, latest[p.name][0]) if latest[p.name] else None) for p in papers]
    return public(request, _page(site, "home.html", said, "/", rows=rows))


def editions(request: Request) -> Response:
    site, before = site_of(request), _number(request, "before")
    with site.database.read() as session:
        one = paper_of(site, session, request)
        found = archive.editions(session, one.id, before=before, limit=PAGE_OF_EDITIONS + 1)
        told = archive.headlines(session, found, first=4)
        topics = archive.topics_told(session, one.id, list(one.topics), upto=one.upto)
    rows = [_listed(site, one, edition) for edition in found[:PAGE_OF_EDITIONS]]
    html = _page(
        site,
        "editions.html",
        one.said,
        one.path + (f"?before={before}" if before else ""),
        paper=one,
        rows=rows,
        told=told,
        topics=[(slug, one.topics[slug]) for slug in topics],
        before=before,
        older=rows[-1].edition.number if len(found) > PAGE_OF_EDITIONS else None,
        feed=f"{site.root}{one.path}",
    )
    return public(request, html)


def edition(request: Request) -> Response:
    """The mail as it was frozen, between head and foot of the archive; its stories, where no mail was kept."""
    site, number, page = site_of(request), request.path_params["number"], page_of(request)
    with site.database.read() as session:
        one = paper_of(site, session, request)
        found = archive.edition(session, one.id, number)
        if found is None:
            raise HTTPException(404)
        previous, following = archive.neighbours(session, one.id, number)
        frozen = archive.frozen(session, found.variant_id, page=page) if found.variant_id else None
        start = (page - 1) * archive.PAGE
        stories = [] if frozen else archive.told_in(session, found, start=start, limit=archive.PAGE)
    pages = frozen.pages if frozen else math.ceil(found.stories / archive.PAGE)
    if page > max(1, pages):
        raise HTTPException(404)
    path = f"{one.path}/editions/{number}" + (f"?more={page}" if page > 1 else "")
    around = {
        "paper": one,
        "row": _listed(site, one, found),
        "previous": previous,
        "following": following,
        "feed": f"{site.root}{one.path}",
    }
    if frozen is None:
        around |= {"stories": stories, "now": found.at, "page": page, "last": pages}
        return public(request, _page(site, "edition.html", one.said, path, **around))
    head, top, bottom = (
        _page(site, f"around/{name}.html", one.said, path, **around).decode() for name in ("head", "top", "bottom")
    )
    html = in_browser(site, one.name, number, frozen, page=page)
    html = html.replace("</head>", head + "</head>", 1).replace("</body>", f"</main>{bottom}</body>", 1)
    html = re.sub(r"<body\b[^>]*>", lambda tag: f"{tag[0]}{top}<main>", html, count=1)
    return public(request, html.encode(), csp=IMAGES)


def topic(request: Request) -> Response:
    site = site_of(request)
    with site.database.read() as session:
        one, title, found = on_topic(site, session, request, limit=PAGE_OF_STORIES + 1)
        topics = archive.topics_told(session, one.id, list(one.topics), upto=one.upto)
    stories = found[:PAGE_OF_STORIES]
    before, slug = _number(request, "before"), request.path_params["topic"]
    html = _page(
        site,
        "topic.html",
        one.said,
        f"{one.path}/topics/{slug}" + (f"?before={before}" if before else ""),
        paper=one,
        slug=slug,
        title=title,
        # Admission decides which page a story is on; on the page a reader expects the newest first.
        stories=sorted(stories, key=lambda story: story.published_at, reverse=True),
        topics=[(s, one.topics[s]) for s in topics],
        before=before,
        older=stories[-1].seq if len(found) > PAGE_OF_STORIES else None,
        now=site.clock(),
        feed=f"{site.root}{one.path}/topics/{slug}",
    )
    return public(request, html)


def up(request: Request) -> Response:
    """Where a shortened address means to go."""
    root, name = site_of(request).root, request.path_params.get("newsletter")
    return RedirectResponse(f"{root}/newsletters/{quote(name)}" if name else f"{root}/", 302)


def paper_of(site: Site, session: Session, request: Request) -> Paper:
    """The newsletter that is asked for; 404 for one without a public archive."""
    found = _named(site, session, request.path_params["newsletter"])
    if found is None:
        raise HTTPException(404)
    return found


def on_topic(site: Site, session: Session, request: Request, *, limit: int) -> tuple[Paper, str, list[Story]]:
    """The newsletter, the topic's title, and its stories; 404 for a topic that it neither has nor had."""
    one, slug = paper_of(site, session, request), request.path_params["topic"]
    stories = archive.told_on(session, one.id, slug, upto=one.upto, before=_number(request, "before"), limit=limit)
    if slug not in one.topics and not stories:
        raise HTTPException(404)
    return one, one.topics.get(slug, slug), stories


def _named(site: Site, session: Session, name: str) -> Paper | None:
    settings = site.config.newsletters.get(name)
    id_ = archive.newsletter_id(session, name) if settings and settings.archive else None
    if settings is None or id_ is None or not site.shows(name):
        return None
    upto, latest = archive.newest(session, id_)
    return Paper(id_, name, settings, upto, latest)


def _listed(site: Site, one: Paper, edition: archive.OpenEdition) -> Listed:
    path = f"{site.root}{one.path}/editions/{edition.number}"
    headline = edition.subject.removeprefix(f"{one.settings.title}: ") or one.settings.title
    return Listed(edition, path, one.said.date(one.on(edition.at)), headline)


def _page(site: Site, name: str, said: Speech, canonical: str, **values: object) -> bytes:
    paper = values.get("paper")
    values |= {
        "said": said,
        "t": said.gettext,
        "nt": said.ngettext,
        "root": site.root,
        "canonical": (site.base_of(paper.name) if isinstance(paper, Paper) else site.base_url) + canonical,
        "lang": said.language,
        "dir": direction(said.language),
    }
    return site.html(name, **values).encode()


def _number(request: Request, name: str) -> int | None:
    """A number of the query; what is none asks for the first page."""
    words = request.query_params.get(name, "")
    return int(words) if re.fullmatch(NUMBER, words) else None


ROUTES = [
    Route("/", visited(home)),
    Route("/newsletters", up),
    Route(NEWSLETTER, visited(editions)),
    Route(f"{NEWSLETTER}/editions", up),
    Route(f"{NEWSLETTER}/topics", up),
    Route(f"{NEWSLETTER}/editions/{{number:number}}", visited(edition)),
    Route(TOPIC, visited(topic)),
]
