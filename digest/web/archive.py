"""What was sent, for everybody: newsletters, their editions as they were frozen, topics as an aggregator shows them.

The archive never runs ahead of the mail: it knows open editions, and stories that one of them had to choose from.
Its pages are public and the same for everybody, so whoever stands between may keep them for some minutes.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import partial
from urllib.parse import quote

from markupsafe import Markup
from sqlmodel import Session
from starlette.convertors import IntegerConvertor, StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from digest import curate, render
from digest.colours import on_dark
from digest.config import Newsletter
from digest.render import Marks, direction
from digest.render.speech import Speech, speech
from digest.store import archive
from digest.values import Story
from digest.web import feeds
from digest.web.site import PRIVATE, Site

PAGE_OF_EDITIONS = 20
PAGE_OF_STORIES = 30
FEED_OF_STORIES = 50

PUBLIC = PRIVATE | {"Cache-Control": "public, max-age=300"}
# A frozen mail may show pictures.
_IMAGES = PRIVATE["Content-Security-Policy"] + "; img-src https:"
_HTML = "text/html; charset=utf-8"


class _Number(IntegerConvertor):
    """What both databases take for a number; any other is of no edition."""

    regex = "[0-9]{1,9}"


class _Word(StringConvertor):
    """Without NUL, which PostgreSQL has no text with."""

    regex = "[^/\0]+"


register_url_convertor("number", _Number())
register_url_convertor("word", _Word())


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


def routes(site: Site) -> list[Route]:
    root = site.config.base_path

    def paper(session: Session, request: Request) -> Paper:
        """The newsletter that is asked for; 404 for one without a public archive."""
        found = paper_named(session, request.path_params["newsletter"])
        if found is None:
            raise HTTPException(404)
        return found

    def paper_named(session: Session, name: str) -> Paper | None:
        settings = site.config.newsletters.get(name)
        id_ = archive.newsletter_id(session, name) if settings and settings.archive else None
        if settings is None or id_ is None:
            return None
        upto, latest = archive.newest(session, id_)
        return Paper(id_, name, settings, upto, latest)

    def listed(one: Paper, edition: archive.OpenEdition) -> Listed:
        path = f"{root}{one.path}/editions/{edition.number}"
        headline = edition.subject.removeprefix(f"{one.settings.title}: ") or one.settings.title
        return Listed(edition, path, one.said.date(one.on(edition.at)), headline)

    def page(name: str, said: Speech, canonical: str, **values: object) -> bytes:
        values |= {
            "said": said,
            "t": said.gettext,
            "nt": said.ngettext,
            "root": root,
            "canonical": site.config.base_url + canonical,
            "lang": said.language,
            "dir": direction(said.language),
        }
        return site.html(name, **values).encode()

    def home(request: Request) -> Response:
        with site.database.read() as session:
            papers = [p for name in site.config.newsletters if (p := paper_named(session, name)) is not None]
            latest = {p.name: archive.editions(session, p.id, limit=1) for p in papers}
        languages = {p.settings.language for p in papers}
        said = speech(languages.pop() if len(languages) == 1 else "en")
        rows = [(p, listed(p, latest[p.name][0]) if latest[p.name] else None) for p in papers]
        return public(request, page("home.html", said, "/", rows=rows))

    def editions(request: Request) -> Response:
        before = _number(request, "before")
        with site.database.read() as session:
            one = paper(session, request)
            found = archive.editions(session, one.id, before=before, limit=PAGE_OF_EDITIONS + 1)
            told = archive.headlines(session, found, first=4)
            topics = archive.topics_told(session, one.id, list(one.topics), upto=one.upto)
        rows = [listed(one, edition) for edition in found[:PAGE_OF_EDITIONS]]
        older = rows[-1].edition.number if len(found) > PAGE_OF_EDITIONS else None
        return public(
            request,
            page(
                "editions.html",
                one.said,
                one.path + (f"?before={before}" if before else ""),
                paper=one,
                rows=rows,
                told=told,
                topics=[(slug, one.topics[slug]) for slug in topics],
                before=before,
                older=older,
                feed=f"{root}{one.path}",
            ),
        )

    def edition(request: Request) -> Response:
        number = request.path_params["number"]
        with site.database.read() as session:
            one = paper(session, request)
            found = archive.edition(session, one.id, number)
            if found is None:
                raise HTTPException(404)
            previous, following = archive.neighbours(session, one.id, number)
            frozen = archive.frozen(session, found.variant_id) if found.variant_id else None
            stories = [] if frozen else archive.told_in(session, found)
        path = f"{one.path}/editions/{number}"
        around = {
            "paper": one,
            "row": listed(one, found),
            "previous": previous,
            "following": following,
            "feed": f"{root}{one.path}",
        }
        if frozen is None:
            return public(request, page("edition.html", one.said, path, **around, stories=stories, now=found.at))
        parts = {
            name: page(f"around/{name}.html", one.said, path, **around).decode() for name in ("head", "top", "bottom")
        }
        html = _in_browser(site, one.name, number, frozen)
        html = html.replace("</head>", parts["head"] + "</head>", 1).replace(
            "</body>", f"</main>{parts['bottom']}</body>", 1
        )
        html = re.sub(r"<body\b[^>]*>", lambda tag: f"{tag[0]}{parts['top']}<main>", html, count=1)
        return public(request, html.encode(), csp=_IMAGES)

    def keyed(request: Request) -> Response:
        """What a letter's own link leads to, for as long as somebody keeps the letter."""
        asked = request.path_params
        with site.database.read() as session:
            found = archive.variant_in_browser(session, asked["newsletter"], asked["number"], asked["key"])
        if found is None:
            return site.unknown(request)
        headers = PRIVATE | {"Content-Security-Policy": _IMAGES, "X-Robots-Tag": "noindex"}
        return HTMLResponse(_in_browser(site, asked["newsletter"], asked["number"], found), headers=headers)

    def on_topic(session: Session, request: Request, *, limit: int) -> tuple[Paper, str, list[Story]]:
        """The newsletter, the topic's title, and its stories; 404 for a topic that it neither has nor had."""
        one, slug = paper(session, request), request.path_params["topic"]
        stories = archive.told_on(session, one.id, slug, upto=one.upto, before=_number(request, "before"), limit=limit)
        if slug not in one.topics and not stories:
            raise HTTPException(404)
        return one, one.topics.get(slug, slug), stories

    def topic(request: Request) -> Response:
        with site.database.read() as session:
            one, title, found = on_topic(session, request, limit=PAGE_OF_STORIES + 1)
            topics = archive.topics_told(session, one.id, list(one.topics), upto=one.upto)
        stories = found[:PAGE_OF_STORIES]
        before, slug = _number(request, "before"), request.path_params["topic"]
        return public(
            request,
            page(
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
                feed=f"{root}{one.path}/topics/{slug}",
            ),
        )

    def edition_feed(session: Session, request: Request) -> feeds.Feed:
        one = paper(session, request)
        home = site.config.base_url + one.path
        items = []
        rows = archive.editions(session, one.id, limit=PAGE_OF_EDITIONS)
        told = archive.headlines(session, rows)
        for row in rows:
            address = f"{home}/editions/{row.number}"
            html = site.html("feed/edition.html", stories=told.get(row.id, []))
            title = row.subject or one.settings.title
            items.append(feeds.Item(address, address, title, html, row.at, one.settings.title, one.settings.language))
        return _feed(one, one.settings.title, home, request, items)

    def topic_feed(session: Session, request: Request) -> feeds.Feed:
        one, title, stories = on_topic(session, request, limit=FEED_OF_STORIES)
        items = [
            feeds.Item(
                id=uuid.uuid5(uuid.NAMESPACE_URL, f"{site.config.base_url}{one.path}/stories/{story.seq}").urn,
                url=story.url,
                title=story.title,
                html=site.html("feed/story.html", story=story, t=one.said.gettext, nt=one.said.ngettext),
                published=story.published_at,
                author=story.author or story.source,
                language=story.language or one.settings.language,
                tags=(title,),
            )
            for story in stories
        ]
        home = f"{site.config.base_url}{one.path}/topics/{request.path_params['topic']}"
        return _feed(one, f"{one.settings.title}: {title}", home, request, items)

    def feed(make: Callable[[Session, Request], feeds.Feed]) -> Callable[[Request], Response]:
        def serve(request: Request) -> Response:
            with site.database.read() as session:
                made = make(session, request)
            if request.url.path.endswith(".json"):
                return public(request, feeds.json_feed(made), media_type=feeds.JSON, modified=made.updated)
            return public(request, feeds.atom(made), media_type=feeds.ATOM, modified=made.updated)

        return serve

    def up(request: Request) -> Response:
        """Where a shortened address means to go."""
        name = request.path_params.get("newsletter")
        return RedirectResponse(f"{root}/newsletters/{quote(name)}" if name else f"{root}/", 302)

    one = "/newsletters/{newsletter:word}"
    return [
        Route("/", home),
        Route("/newsletters", up),
        Route(one, editions),
        *(Route(f"{one}/{part}", up) for part in ("editions", "topics")),
        *(Route(f"{one}/feed.{kind}", feed(edition_feed)) for kind in ("atom", "json")),
        Route(one + "/editions/{number:number}", edition),
        Route(one + "/topics/{topic:word}", topic),
        *(Route(f"{one}/topics/{{topic:word}}/feed.{kind}", feed(topic_feed)) for kind in ("atom", "json")),
        Route("/editions/{newsletter:word}/{number:number}/{key:word}", keyed),
    ]


def public(
    request: Request,
    body: bytes,
    *,
    media_type: str = _HTML,
    csp: str = PRIVATE["Content-Security-Policy"],
    modified: datetime | None = None,
) -> Response:
    """An answer that anybody may keep, or 304 for who has it already (RFC 9110 §13.2.2)."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    headers = PUBLIC | {"Content-Security-Policy": csp, "ETag": tag}
    if modified is not None:
        headers["Last-Modified"] = format_datetime(modified.astimezone(UTC), usegmt=True)
    if _has_it(request, tag, modified):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def _has_it(request: Request, tag: str, modified: datetime | None) -> bool:
    known = request.headers.get("if-none-match")
    if known is not None:
        tags = [one.strip().removeprefix("W/") for one in known.split(",")]
        return tag in tags or "*" in tags
    since = request.headers.get("if-modified-since")
    if since is None or modified is None:
        return False
    try:
        return modified.replace(microsecond=0) <= parsedate_to_datetime(since).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return False


def _number(request: Request, name: str) -> int | None:
    """A number of the query; what is none asks for the first page."""
    words = request.query_params.get(name, "")
    return int(words) if re.fullmatch(_Number.regex, words) else None


def _feed(one: Paper, title: str, page: str, request: Request, items: Sequence[feeds.Item]) -> feeds.Feed:
    address = f"{page}/feed.{request.url.path.rpartition('.')[2]}"
    return feeds.Feed(title, page, address, one.settings.title, one.settings.language, tuple(items), one.latest)


def _in_browser(site: Site, name: str, number: int, frozen: archive.Frozen) -> str:
    """A frozen mail as a page of nobody: without personal links and without the way to where we are already."""
    html = _impersonal(frozen.html, render.marks(frozen.marks), site.config.base_url)
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
