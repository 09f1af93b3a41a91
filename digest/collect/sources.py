"""Which feeds there are: add, remove, import and export. Nobody is asked anything here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from sqlmodel import Session

from digest import parse
from digest.collect.addresses import address, host_of, known_address, without_login
from digest.config import Newsletter
from digest.curate import feed_rules
from digest.dataclass import dataclass
from digest.errors import BadInput, NotFound
from digest.models import Feed, FeedState
from digest.origin import open_part, shown
from digest.parse import Outline
from digest.parse.recipes import Recipe
from digest.parse.text import plain
from digest.store import Database, feeds, newsletters, websub
from digest.store.feed_tables import FeedList

__all__ = [
    "Added",
    "ImportReport",
    "add",
    "add_feed",
    "ask_so",
    "export_feeds",
    "exported",
    "import_feeds",
    "read_by",
    "remove_feed",
]


@dataclass(frozen=True)
class Added:
    """What became of one address: `created` when it is new to the database, `read` when new to the newsletter, `woken`
    when it was retired."""

    feed_id: int
    url: str
    created: bool
    read: bool
    woken: bool = False


@dataclass
class ImportReport:
    """What an import did. `bad` names the entries of the list that are no feed address, `left` says why others are not
    taken."""

    created: int = 0
    read: int = 0
    known: int = 0
    bad: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    topics: dict[str, int] = field(default_factory=dict)  # feeds by the topic their folder stands for


def add_feed(
    database: Database,
    url: str,
    *,
    newsletter: str,
    now: datetime,
    title: str = "",
    topic: str = "",
    headers: dict[str, str] | None = None,
    recipe: Recipe | None = None,
) -> Added:
    """`add` in a transaction of its own."""
    with database.write() as session:
        return add(
            session, url, newsletter=newsletter, now=now, title=title, topic=topic, headers=headers, recipe=recipe
        )


def add(
    session: Session,
    url: str,
    *,
    newsletter: str,
    now: datetime,
    title: str = "",
    topic: str = "",
    headers: dict[str, str] | None = None,
    recipe: Recipe | None = None,
) -> Added:
    """Let a newsletter read a feed; twice is safe, and adding a retired one wakes it. `title` is what it calls itself.

    With a `recipe` it is a page that is read by it. Raises BadInput where `url` is no http(s) address.
    """
    url, login = without_login(known_address(url))
    headers = login | (headers or {})
    reader = newsletters.find(session, newsletter)
    feed = feeds.by_url(session, [url]).get(url)
    created = feed is None
    if feed is None:
        feed = _new(url, title=title, headers=headers, now=now)
        feed.published_title = feed.title
        session.add(feed)
    woken = feed.state == FeedState.RETIRED
    feeds.wake(feed, now=now)
    if recipe is not None:
        read_by(feed, recipe, now=now)
    session.flush()
    assert feed.id is not None and reader.id is not None
    if headers:
        ask_so(session, feed, now=now, headers=headers, without=tuple(feed.headers))
    read = feeds.read(session, reader.id, feed.id, topic=topic, folder="", now=now)
    return Added(feed.id, url, created, read, woken)


def read_by(feed: Feed, recipe: Recipe | None, *, now: datetime) -> None:
    """Let a feed be read by a recipe, or as a feed again: at once, although its page is as it was."""
    feed.recipe = recipe.stored() if recipe else {}
    feed.etag = feed.last_modified = feed.body_hash = ""
    _anew(feed, now)


def _anew(feed: Feed, now: datetime) -> None:
    """Have a feed asked now, also where it is being asked: what comes of that is of the feed as it was."""
    feed.next_at, feed.claimed_at = now if feed.claimed_at else min(feed.next_at, now), None


def ask_so(
    session: Session,
    feed: Feed,
    *,
    now: datetime,
    headers: Mapping[str, str] | None = None,
    without: Collection[str] = (),
    proxy: str | None = None,
    ca_file: str | None = None,
    interval_minutes: int | None = None,
) -> None:
    """Change how a feed is asked; None leaves as it is, "" or 0 goes back to the settings.

    `headers` replace those of the same name, `without` names those to drop. It is asked at the next run. One that has
    secrets from now on is nobody else's business: the hub that tells of it does so no more.
    """
    dropped = {name.lower() for name in (*without, *(headers or {}))}
    feed.headers = {n: v for n, v in feed.headers.items() if n.lower() not in dropped} | dict(headers or {})
    feed.proxy = feed.proxy if proxy is None else proxy
    feed.ca_file = feed.ca_file if ca_file is None else ca_file
    feed.interval_minutes = feed.interval_minutes if interval_minutes is None else interval_minutes
    _anew(feed, now)
    session.add(feed)
    session.flush()
    if feed.id is not None and feed.headers != open_part(feed.headers):
        hub = websub.of_feeds(session, [feed.id]).get(feed.id)
        websub.discovered(session, feed.id, hub, "", "", now=now)


def import_feeds(
    database: Database,
    outlines: Iterable[Outline],
    *,
    name: str,
    newsletter: Newsletter,
    now: datetime,
    lists: Iterable[FeedList] = (),
    also: Callable[[Session, int, dict[str, int]], None] = lambda session, newsletter_id, ids: None,
) -> ImportReport:
    """Add every feed of a list to the newsletter `name`, in one transaction; those it reads already stay as they are.

    `lists` are those on the web which they came from, to be read again; remembered with their feeds, or not at all.
    A folder whose name is that of a topic in the settings gives its feeds that topic; others are kept as folders
    and curation decides. The first topic of a feed that stands in several folders wins. Titles are the operator's:
    a feed that calls itself otherwise keeps the name it has in the list. `also` is done in the same transaction, with
    the newsletter's number and those of the feeds by address.
    """
    report = ImportReport()
    wanted: dict[str, tuple[Outline, str]] = {}
    places: dict[str, list[dict[str, Any]]] = {}
    logins: dict[str, dict[str, str]] = {}
    for outline in outlines:
        url, login = without_login(address(outline.url))
        if not url:
            report.bad.append(f"{outline.title or 'untitled'}: {plain(shown(outline.url), limit=100)}")
            continue
        if why := outline.why_not or _clash(outline, wanted.get(url)):
            report.left.append(f"{outline.title or 'untitled'}: {plain(shown(outline.url), limit=100)}: {why}")
            continue
        topic = topic_of(outline, newsletter)
        place = {"folders": outline.folders, "topics": outline.topics, "description": outline.description}
        places.setdefault(url, []).append(place)
        if url not in wanted or (topic and not wanted[url][1]):
            wanted[url] = outline, topic
            logins[url] = login
    with database.write() as session:
        reader_id = newsletters.find(session, name).id
        assert reader_id is not None
        ids = feeds.ids(session, wanted)
        paged = [url for url, (outline, _) in wanted.items() if outline.recipe and url in ids]
        for url, known in feeds.by_url(session, paged).items():
            if Recipe.of(known.recipe) != wanted[url][0].recipe:
                how = (
                    f"is feed {known.id} already, and read otherwise; `digest feed set {known.id} --select` changes it"
                )
                report.left.append(f"{wanted[url][0].title or 'untitled'}: {shown(url)} {how}")
        blank = _new("", title="", headers={}, now=now).model_dump(exclude={"id"})
        fresh = [
            {
                **blank,
                "url": url,
                "host": host_of(url),
                "title": plain(outline.title),
                "site_url": _open_part(outline.site_url),
                "headers": logins[url],
                "recipe": outline.recipe.stored() if outline.recipe else {},
            }
            for url, (outline, _) in wanted.items()
            if url not in ids
        ]
        feeds.add(session, fresh)
        ids |= feeds.ids(session, [feed["url"] for feed in fresh])
        read = feeds.ids_read(session, reader_id)
        new = []
        for url, (outline, topic) in wanted.items():
            reading: dict[str, Any] = {"topic": topic, "folder": outline.folder, "places": places[url]}
            if ids[url] in read:
                feeds.read(session, reader_id, ids[url], **reading, now=now)
            else:
                new.append({"feed_id": ids[url], **reading})
            if topic:
                report.topics[topic] = report.topics.get(topic, 0) + 1
        feeds.add_readings(session, reader_id, new, now=now)
        report.created, report.read, report.known = len(fresh), len(new), len(wanted) - len(new)
        for one in lists:
            session.merge(FeedList(newsletter_id=reader_id, url=one.url, format=one.format, folders=list(one.folders)))
        also(session, reader_id, {url: ids[url] for url in wanted})
    return report


def _clash(outline: Outline, before: tuple[Outline, str] | None) -> str:
    """Why an outline cannot be taken beside one with the same address, which is one feed."""
    if before is None or before[0].recipe == outline.recipe:
        return ""
    return "the same page is read in another way already; give one of them an address of its own, with #two after it"


def topic_of(outline: Outline, newsletter: Newsletter) -> str:
    """The topic that a folder (the innermost first) or a category of an outline names, or ""."""
    known = newsletter.known_topics
    names = {_plain_name(title): slug for slug, title in known.items()} | {_plain_name(slug): slug for slug in known}
    for name in (*reversed(outline.folders), *outline.topics):
        if (plain_name := _plain_name(name)) and plain_name in names:
            return names[plain_name]
    return ""


def _plain_name(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def remove_feed(database: Database, feed: str, *, newsletter: str | None) -> str:
    """Take a feed, given by number or address, from a newsletter, or from all when `newsletter` is None.

    A feed that nobody reads any more is not asked any more: it goes, with its entries and stories, unless
    a letter was made of one of them; then it retires. Returns what was done, in words. Raises NotFound.
    """
    with database.write() as session:
        found = feeds.find(session, feed)
        assert found.id is not None
        reader_id = newsletters.find(session, newsletter).id if newsletter else None
        if newsletter and not feeds.reads(session, reader_id or 0, found.id):
            raise NotFound(
                f"{newsletter} does not read feed {shown(feed)}", hint="`digest feed list` shows who reads which"
            )
        if not feeds.stop_reading(session, found.id, newsletter_id=reader_id):
            return f"{newsletter} no longer reads {found.title or found.url}; others do"
        if feeds.retire(session, found):
            return f"{found.title or found.url} is retired; its published stories stay"
        return f"{found.title or found.url} is removed"


def export_feeds(database: Database, *, newsletter: str | None, title: str, now: datetime, form: str = "opml") -> str:
    """The feeds as a list of one of `parse.lists.FORMATS`, in all their folders. Secrets stay here.

    A topic without a folder becomes one in OPML. Raises BadInput for a format that is not written.
    """
    if form not in ("opml", "csv", "text"):
        raise BadInput(f"lists are not written as {form!r}", hint="opml, csv, text")
    outlines = exported(database, newsletter=newsletter)
    return parse.write_opml(outlines, title=title, now=now) if form == "opml" else parse.lists.write(outlines, form)


def exported(database: Database, *, newsletter: str | None) -> list[Outline]:
    """The feeds that are not retired, once for each place in which they stand."""
    outlines = []
    with database.read() as session:
        for feed, readers in feeds.listed(session, newsletters=None if newsletter is None else [newsletter]):
            if feed.state == FeedState.RETIRED or feed.url.startswith("mail:"):  # nobody else could read it
                continue
            reader = next((r for r in readers if newsletter in (None, r.newsletter)), feeds.Reader(""))
            url, site, recipe = _open_part(feed.url), _open_part(feed.site_url), Recipe.of(feed.recipe)
            filters = tuple(filter(None, map(feed_rules.as_search, feed.drop)))
            outlines += [Outline(url, feed.title, site, *place, recipe, filters=filters) for place in _places(reader)]
    return outlines


def _places(reader: feeds.Reader) -> list[tuple[tuple[str, ...], tuple[str, ...], str]]:
    """Folders, categories and description of a feed, for each place in which it stands in a list."""
    topics = [reader.topic] if reader.topic else []
    if not reader.places:
        folder = reader.folder or reader.topic
        return [(tuple(name.replace("∕", "/") for name in folder.split("/")) if folder else (), tuple(topics), "")]
    found = []
    for place in reader.places:
        said = {_plain_name(name) for name in (*place["folders"], *place["topics"])}
        unsaid = [topic for topic in topics if _plain_name(topic) not in said]
        found.append((tuple(place["folders"]), (*unsaid, *place["topics"]), place["description"]))
    return found


def _open_part(url: str) -> str:
    """An address without a login in it; "" where it cannot be read."""
    try:
        return without_login(url)[0]
    except ValueError:
        return ""


def _new(url: str, *, title: str, headers: dict[str, str], now: datetime) -> Feed:
    return Feed(
        url=url,
        host=host_of(url),
        title=plain(title),
        headers=headers,
        added_at=now,
        next_at=now,
    )
