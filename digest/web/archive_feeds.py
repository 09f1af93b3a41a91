"""What was sent, for feed readers: the editions of a newsletter, and the stories of a topic, as Atom and JSON Feed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from digest.store import archive, lasting
from digest.web import feeds
from digest.web.archive import NEWSLETTER, PAGE_OF_EDITIONS, TOPIC, Paper, on_topic, paper_of
from digest.web.earlier import earlier_of, with_earlier
from digest.web.public import public
from digest.web.site import Site, site_of, visited

FEED_OF_STORIES = 50

Make = Callable[[Site, Session, Request], feeds.Feed]


def of_editions(site: Site, session: Session, request: Request) -> feeds.Feed:
    one = paper_of(site, session, request)
    ids, home = _ids(site, session, one), site.config.page_of(one.name)
    items = []
    rows = archive.editions(session, one.id, limit=PAGE_OF_EDITIONS)
    told = archive.headlines(session, rows)
    before = earlier_of(site, session, one, (line.follows for lines in told.values() for line in lines))
    for row in rows:
        address = f"{home}/editions/{row.number}"
        html = site.html("feed/edition.html", stories=told.get(row.id, []), earlier=before, said=one.said, at=row.at)
        title = row.subject or one.settings.title
        known = ids.edition(row.number)
        items.append(feeds.Item(known, address, title, html, row.at, one.settings.title, one.settings.language))
    return _feed(one, ids.feed, one.settings.title, home, request, items)


def of_topic(site: Site, session: Session, request: Request) -> feeds.Feed:
    one, title, stories = on_topic(site, session, request, limit=FEED_OF_STORIES)
    ids, slug = _ids(site, session, one), request.path_params["topic"]
    stories = with_earlier(site, session, one, stories)
    words = {"t": one.said.gettext, "nt": one.said.ngettext, "said": one.said, "at": site.clock()}
    items = [
        feeds.Item(
            id=ids.story(story.seq),
            url=story.url,
            title=story.title,
            html=site.html("feed/story.html", story=story, **words),
            published=story.published_at,
            author=story.writer or story.source,
            language=story.language or one.settings.language,
            tags=(title,),
            dated=story.dated,
            recording=story.recording,
        )
        for story in stories
    ]
    home = f"{site.config.page_of(one.name)}/topics/{slug}"
    return _feed(one, ids.topic(slug), f"{one.settings.title}: {title}", home, request, items)


def feed(make: Make, request: Request) -> Response:
    site = site_of(request)
    with site.database.read() as session:
        made = make(site, session, request)
    if request.url.path.endswith(".json"):
        return public(request, feeds.json_feed(made), media_type=feeds.JSON, modified=made.updated)
    return public(request, feeds.atom(made), media_type=feeds.ATOM, modified=made.updated)


def _ids(site: Site, session: Session, one: Paper) -> lasting.Ids:
    return lasting.of(session, one.id, lasting.Home(site.config.page_of(one.name), one.settings.domain))


def _feed(one: Paper, id_: str, title: str, page: str, request: Request, items: Sequence[feeds.Item]) -> feeds.Feed:
    address = f"{page}/feed.{request.url.path.rpartition('.')[2]}"
    author, language = one.settings.title, one.settings.language
    return feeds.Feed(id_, title, page, address, author, language, tuple(items), one.latest)


ROUTES = [
    Route(f"{NEWSLETTER}/feed.atom", visited(partial(feed, of_editions))),
    Route(f"{NEWSLETTER}/feed.json", visited(partial(feed, of_editions))),
    Route(f"{TOPIC}/feed.atom", visited(partial(feed, of_topic))),
    Route(f"{TOPIC}/feed.json", visited(partial(feed, of_topic))),
]
