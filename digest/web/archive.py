"""What was sent, for everybody: newsletters, their editions as they were frozen, topics as an aggregator shows them.

The archive never runs ahead of the mail: it knows open editions, and stories that one of them had to choose from.
Its pages are public and the same for everybody, so whoever stands between may keep them for some minutes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
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
from digest.web import cards
from digest.web.earlier import with_earlier
from digest.web.frozen import in_browser, in_main, page_of
from digest.web.public import public
from digest.web.site import NUMBER, Site, site_of, visited
from digest.web.told import Told

PAGE_OF_EDITIONS = 20
PAGE_OF_STORIES = 30
_TOLD = 6  # stories by which an edition is described

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

    def accents_of(self, topic: str) -> tuple[str, str]:
        """Those of a topic's own, or else the newsletter's."""
        own = self.settings.topics.get(topic)
        return (own.accent, on_dark(own.accent)) if own is not None and own.accent else self.accents

    @property
    def topics(self) -> dict[str, str]:
        """Titles by slug, in the order of the settings; what has no heading comes last."""
        titles = curate.titles(self.settings.topics, self.said.gettext)
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
        papers = papers_of(site, session)
        newest = {p.name: archive.editions(session, p.id, limit=1) for p in papers}
    languages = {p.settings.language for p in papers}
    said = speech(languages.pop() if len(languages) == 1 else "en")
    rows = [(p, _listed(site, p, newest[p.name][0]) if newest[p.name] else None) for p in papers]
    title = papers[0].settings.title if len(papers) == 1 else said.gettext("Newsletters")
    about = papers[0].settings.about if len(papers) == 1 else ", ".join(p.settings.title for p in papers)
    told = Told(title, f"{site.base_url}/", about)
    return public(request, shown(site, "home.html", said, "/", rows=rows, about=told))


def editions(request: Request) -> Response:
    site, before = site_of(request), _number(request, "before")
    with site.database.read() as session:
        one = paper_of(site, session, request)
        found = archive.editions(session, one.id, before=before, limit=PAGE_OF_EDITIONS + 1)
        told = archive.headlines(session, found, first=4)
        topics = archive.topics_told(session, one.id, list(one.topics), upto=one.upto)
    rows = [_listed(site, one, edition) for edition in found[:PAGE_OF_EDITIONS]]
    html = shown(
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
        about=_told_of_paper(site, one, rows[0] if rows else None),
    )
    return public(request, html)


def edition(request: Request) -> Response:
    """The mail as it was frozen, between head and foot of the archive; its stories, where no mail was kept."""
    site, number, page = site_of(request), request.path_params["number"], page_of(request)
    with site.database.read() as session:
        one = paper_of(site, session, request)
        found = archive.edition(session, one.id, number)
        if found is None:
            # What has it may forget it (RFC 9110 §15.5.11).
            raise HTTPException(410 if archive.cancelled(session, one.id, number) else 404)
        previous, following = archive.neighbours(session, one.id, number)
        frozen = archive.frozen(session, found.variant_id, page=page) if found.variant_id else None
        start = (page - 1) * archive.PAGE
        stories = [] if frozen else archive.told_in(session, found, start=start, limit=archive.PAGE)
        stories = with_earlier(site, session, one, stories)
        told = archive.headlines(session, [found], first=_TOLD).get(found.id, []) if page == 1 else []
    pages = frozen.pages if frozen else math.ceil(found.stories / archive.PAGE)
    if page > max(1, pages):
        raise HTTPException(404)
    path = f"{one.path}/editions/{number}" + (f"?more={page}" if page > 1 else "")
    row = _listed(site, one, found)
    around = {
        "paper": one,
        "row": row,
        "about": _told_of_edition(site, one, row, told),
        "previous": previous,
        "following": following,
        "feed": f"{site.root}{one.path}",
    }
    if frozen is None:
        around |= {"stories": stories, "now": found.at, "page": page, "last": pages}
        return public(request, shown(site, "edition.html", one.said, path, **around))
    head, top, bottom = (
        shown(site, f"around/{name}.html", one.said, path, **around).decode() for name in ("head", "top", "bottom")
    )
    html = in_browser(site, one.name, number, frozen, page=page)
    html = in_main(html.replace("</head>", head + "</head>", 1), top=top, bottom=bottom)
    return public(request, html.encode())


def topic(request: Request) -> Response:
    site = site_of(request)
    with site.database.read() as session:
        one, title, found = on_topic(site, session, request, limit=PAGE_OF_STORIES + 1)
        topics = archive.topics_told(session, one.id, list(one.topics), upto=one.upto)
        stories = with_earlier(site, session, one, found[:PAGE_OF_STORIES])
    before, slug = _number(request, "before"), request.path_params["topic"]
    html = shown(
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
        about=Told(
            f"{title} · {one.settings.title}",
            f"{site.base_of(one.name)}{one.path}/topics/{slug}",
            " · ".join(story.title for story in stories[:_TOLD]),
            one.settings.title,
        ),
    )
    return public(request, html)


def up(request: Request) -> Response:
    """Where a shortened address means to go."""
    root, name = site_of(request).root, request.path_params.get("newsletter")
    return RedirectResponse(f"{root}/newsletters/{quote(name)}" if name else f"{root}/", 302)


def latest(request: Request) -> Response:
    """The newest edition, wherever it is by now; where several newsletters are at home, or none has one, their list."""
    site = site_of(request)
    with site.database.read() as session:
        papers = [paper_of(site, session, request)] if "newsletter" in request.path_params else papers_of(site, session)
        there = f"{site.root}{papers[0].path}" if len(papers) == 1 else f"{site.root}/"
        if len(papers) == 1 and (number := archive.latest(session, papers[0].id)) is not None:
            there += f"/editions/{number}"
    return RedirectResponse(quote(there), 302, headers={"Cache-Control": "public, max-age=300"})


def card(request: Request) -> Response:
    """The picture of an edition, for where its address is shared."""
    site, number = site_of(request), request.path_params["number"]
    with site.database.read() as session:
        one = paper_of(site, session, request)
        found = archive.edition(session, one.id, number)
    if found is None:
        raise HTTPException(404)
    row = _listed(site, one, found)
    about = f"{_numbered(one, number)} · {row.day}"
    rtl = direction(one.said.language) == "rtl"
    picture = cards.card(one.settings.title, row.headline, about, one.settings.accent, rtl=rtl)
    return public(request, picture, media_type="image/png")


def papers_of(site: Site, session: Session) -> list[Paper]:
    """Those whose archive is open here."""
    return [paper for name in site.config.newsletters if (paper := named(site, session, name)) is not None]


def paper_of(site: Site, session: Session, request: Request) -> Paper:
    """The newsletter that is asked for; 404 for one without a public archive."""
    found = named(site, session, request.path_params["newsletter"])
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


def named(site: Site, session: Session, name: str) -> Paper | None:
    """A newsletter whose archive is open here."""
    settings = site.config.newsletters.get(name)
    id_ = archive.newsletter_id(session, name) if settings and settings.archive else None
    if settings is None or id_ is None or not site.shows(name):
        return None
    upto, latest = archive.newest(session, id_)
    return Paper(id_, name, settings, upto, latest)


def _told_of_paper(site: Site, one: Paper, newest: Listed | None) -> Told:
    home = site.base_of(one.name)
    picture = f"{home}{one.path}/editions/{newest.edition.number}/card.png" if newest else ""
    data = {"@type": "Periodical", "publisher": {"@type": "Organization", "name": one.settings.title}}
    about = one.settings.about or (
        one.said.rhythm(one.settings.slots, one.settings.title) if one.settings.slots else ""
    )
    return Told(one.settings.title, home + one.path, about, one.settings.title, picture=picture, data=data)


def _told_of_edition(site: Site, one: Paper, row: Listed, headlines: Sequence[archive.Headline]) -> Told:
    home = f"{site.base_of(one.name)}{one.path}"
    address = f"{home}/editions/{row.edition.number}"
    data = {
        "@type": "Article",
        "headline": row.headline[:110],
        "isPartOf": {"@type": "Periodical", "name": one.settings.title, "url": home},
        "author": {"@type": "Organization", "name": one.settings.title},
        "mentions": [
            {"@type": "CreativeWork", "name": one.title, "url": one.url}
            for one in headlines
            if one.url.startswith(("https://", "http://"))
        ],
    }
    words = " · ".join(headline.title for headline in headlines[1:]) or _numbered(one, row.edition.number)
    picture = f"{address}/card.png"
    return Told(row.headline, address, words, one.settings.title, "article", row.edition.at, picture, data)


def _listed(site: Site, one: Paper, edition: archive.OpenEdition) -> Listed:
    path = f"{site.root}{one.path}/editions/{edition.number}"
    headline = edition.subject.removeprefix(f"{one.settings.title}: ") or one.settings.title
    return Listed(edition, path, one.said.date(one.on(edition.at)), headline)


def _numbered(one: Paper, number: int) -> str:
    return one.said.gettext("No. %(number)s").replace("%(number)s", str(number))


def shown(site: Site, name: str, said: Speech, canonical: str, **values: object) -> bytes:
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
    Route("/latest", visited(latest)),
    Route("/newsletters", up),
    Route(NEWSLETTER, visited(editions)),
    Route(f"{NEWSLETTER}/editions", up),
    Route(f"{NEWSLETTER}/topics", up),
    Route(f"{NEWSLETTER}/latest", visited(latest)),
    Route(f"{NEWSLETTER}/editions/{{number:number}}", visited(edition)),
    Route(f"{NEWSLETTER}/editions/{{number:number}}/card.png", visited(card)),
    Route(TOPIC, visited(topic)),
]
