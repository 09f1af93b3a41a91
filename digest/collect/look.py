"""Looking before adding: what is at an address, and which repair an ailing feed needs. Nothing is stored here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from urllib.parse import urljoin, urlsplit, urlunsplit

from digest import parse
from digest.collect import gathering, kinship, places, rhythm
from digest.collect.addresses import address, has_scheme, host_of, known_address, without_login
from digest.collect.fetch import Answer, Fetcher
from digest.collect.guard import Resolve, resolve
from digest.collect.hosts import Held, Hosts
from digest.collect.leases import Shared
from digest.collect.manner import Manner, elsewhere
from digest.collect.places import Place
from digest.collect.rhythm import Health
from digest.collect.wire import Way
from digest.collect.workers import Parsers
from digest.config import Config
from digest.dataclass import dataclass
from digest.errors import FetchError, Unreachable
from digest.models import FeedState
from digest.origin import downgrades, same
from digest.parse import Candidate, Listed, ParsedFeed
from digest.parse.recipes import Recipe
from digest.store import Database, feed_entries, feeds

_AS_SET = Way()
AT_ONCE = 10  # ailing feeds that are looked at
MAX_REFRESHES = 2  # pages that send their visitors on, one after another
CHOICES = 4  # of the feeds that a page names, those looked at
HOPELESS_AFTER = timedelta(days=30)  # of failures, with nothing found in its place


@dataclass(frozen=True)
class Found:
    """What is at an address: a feed (at `url`, with how it was answered), or a page that names several."""

    url: str
    feed: ParsedFeed | None = None
    answer: Answer | None = None
    choices: tuple[Candidate, ...] = ()
    became: str = ""  # what a name turned out to be, in words


@dataclass(frozen=True)
class Wish:
    """What is looked for besides a feed: the entries of a page by a recipe, or the news in a site's sitemaps.

    `bases` are where the places of `collect.places` are asked.
    """

    recipe: Recipe | None = None
    sitemap: bool = False
    bases: Mapping[str, str] = field(default_factory=lambda: places.BASES)


_FEED = Wish()


class Looker:
    """One visit to a few strangers' pages, as politely as `run` is. An async context manager.

    With a `database`, no other process asks the same host meanwhile.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], datetime],
        resolve: Resolve = resolve,
        database: Database | None = None,
    ) -> None:
        self._clock = clock
        shared = Shared(database) if database is not None else None
        hosts = Hosts(config.collect, clock=clock, by_hand=True, shared=shared)
        self._fetcher = Fetcher(config, hosts, resolve=resolve)
        self._parsers = Parsers(workers=1, seconds=config.collect.parse_seconds)

    async def __aenter__(self) -> Looker:
        return self

    async def __aexit__(self, *error: object) -> None:
        self._parsers.__exit__(*error)
        await self._fetcher.__aexit__(*error)

    async def read(self, url: str, recipe: Recipe, headers: Mapping[str, str] | None = None) -> Found:
        """The page at `url`, read by a recipe. Raises FetchError."""
        answer = await self._fetch(url, headers, _AS_SET)
        return Found(url, await self._parse(answer, recipe), answer)

    async def at(self, place: Place, given: str = "", headers: Mapping[str, str] | None = None) -> Found:
        """The feed of a place that a name means. Raises FetchError with what the likeliest address answered.

        `headers` go to the origin of the address that was `given`, where one was.
        """
        feeds, first = place.feeds, None
        try:
            if place.ask:
                feeds = (*places.named(place.reader, (await self._fetch(place.ask, None, _AS_SET)).body), *feeds)
        except FetchError as error:
            first = error
        for url in dict.fromkeys(feeds):
            try:
                return replace(await self.find(url, headers if same(url, given) else None), became=place.what)
            except FetchError as error:
                if error.challenge or isinstance(error, Held):
                    raise
                first = first or error
        raise first or FetchError(place.ask, "names no feed")

    async def list(self, url: str, form: str, headers: Mapping[str, str] | None = None) -> tuple[str, Listed]:
        """A list of feeds on the web, and the address that it came from in the end. Raises FetchError."""
        answer = await self._fetch(url, headers, _AS_SET)
        return answer.url, await self._parsers.read_list(answer.body, form, url=answer.url, now=self._clock())

    async def news(self, url: str, headers: Mapping[str, str] | None = None) -> Found:
        """The first sitemap of news that a site's robots.txt names; `headers` are for its origin. Raises FetchError."""
        robots = await self._fetch(urljoin(url, "/robots.txt"), headers, _AS_SET)
        why = "its robots.txt names none"
        for place in parse.sitemaps.of_robots(robots.body):
            try:
                own = headers if same(place, url) else None
                answer = await self._fetch(place, own, _AS_SET)
                return Found(place, await self._parse(answer, None, place, own), answer)
            except FetchError as error:
                if error.challenge or isinstance(error, Held):
                    raise
                why = f"{place} {error.reason}"
        raise FetchError(url, f"has no sitemap of news: {why}")

    async def find(self, url: str, headers: Mapping[str, str] | None = None, way: Way = _AS_SET) -> Found:
        """The feed at `url`, or the one its page declares, or else one of the usual places; several come as a choice.

        `headers` go to the origin of `url` only. Raises FetchError where there is none.
        """
        place, answer = url, await self._fetch(url, headers, way)
        for hop in range(MAX_REFRESHES + 1):
            try:
                return Found(place, await self._parse(answer, None, place, headers, way), answer)
            except FetchError as error:
                if error.reason != parse.WEB_PAGE:
                    raise
            if not same(answer.url, url):
                # As with redirects: who led us away does not choose a path for secrets, not even back.
                headers, way = None, elsewhere(way)
            named = parse.feed_links(answer.body, url=answer.url, content_type=answer.content_type, link=answer.link)
            onwards = "" if named else parse.refreshed(answer.body, url=answer.url, content_type=answer.content_type)
            if hop == MAX_REFRESHES or onwards in ("", place, answer.url) or downgrades(answer.url, onwards):
                break
            if not same(onwards, url):
                headers, way = None, elsewhere(way)
            place, answer = onwards, await self._fetch(onwards, headers, way)
        choices = parse.choices(named)
        if len(choices) > 1:
            return Found(answer.url, choices=tuple(forms[0] for forms in choices))
        roots = dict.fromkeys((urljoin(answer.url, "./"), urljoin(answer.url, "/")))
        for place in [c.url for forms in choices for c in forms] or [
            root + path for root in roots for path in parse.COMMON_PATHS
        ]:
            try:
                there = same(place, url)
                found = await self._fetch(place, headers if there else None, way if there else elsewhere(way))
                return Found(place, await self._parse(found, None, place, headers if there else None, way), found)
            except FetchError as error:
                if error.challenge or isinstance(error, Held):
                    raise  # who stands there looks at each request, and guesses do not make us more welcome
                continue
        raise FetchError(url, "is a web page, and no feed was found there", status=answer.status)

    async def _fetch(self, url: str, headers: Mapping[str, str] | None, way: Way) -> Answer:
        async with AsyncExitStack() as hold:
            return await self._fetcher.fetch(url, now=self._clock(), hold=hold, headers=headers, way=way)

    async def _parse(
        self,
        answer: Answer,
        recipe: Recipe | None = None,
        asked: str = "",
        headers: Mapping[str, str] | None = None,
        way: Way = _AS_SET,
    ) -> ParsedFeed:
        """What an answer is; `headers` and `way` are those of the address `asked`, and of its origin."""
        parsed = await self._parsers.parse(
            answer.body, url=answer.url, content_type=answer.content_type, now=self._clock(), recipe=recipe
        )
        if parsed.format != parse.sitemaps.INDEX:
            return parsed
        return (await gathering.whole(parsed, answer.url, partial(self._part, asked, headers, way)))[1]

    async def _part(
        self, asked: str, headers: Mapping[str, str] | None, way: Way, url: str
    ) -> tuple[bytes, ParsedFeed]:
        own = same(url, asked)
        answer = await self._fetch(url, headers if own else None, way if own else elsewhere(way))
        parsed = await self._parsers.parse(
            answer.body, url=answer.url, content_type=answer.content_type, now=self._clock()
        )
        return answer.body, parsed


async def look(
    words: str,
    config: Config,
    *,
    clock: Callable[[], datetime],
    headers: Mapping[str, str] | None = None,
    resolve: Resolve = resolve,
    wish: Wish = _FEED,
    database: Database | None = None,
) -> Found:
    """What is at an address, or a place, as a person writes it. Raises FetchError, BadInput.

    A name that may mean several places comes as their choice, and nobody is asked.
    """
    named = [] if wish.recipe is not None else places.places(words, wish.bases)
    if len(named) > 1:
        return Found(words, choices=tuple(Candidate(p.feeds[0], p.what) for p in named if p.feeds))
    async with Looker(config, clock=clock, resolve=resolve, database=database) as looker:
        if named:
            try:
                return await looker.at(named[0], address(words), headers)
            except FetchError as error:
                shut = error.status in (401, 403, 429, 503) or error.challenge or isinstance(error, Held)
                if shut or not address(words):
                    raise  # else the address may have a feed that is told otherwise
        url, login = without_login(known_address(words))
        secrets = login | dict(headers or {})

        async def there(url: str) -> Found:
            if wish.recipe is not None:
                return await looker.read(url, wish.recipe, secrets)
            try:
                return await looker.find(url, secrets)
            except FetchError as error:
                if not wish.sitemap or error.challenge or isinstance(error, Held | Unreachable):
                    raise
            return await looker.news(url, secrets)

        try:
            return await there(url)
        except Unreachable as error:
            # A secret is not told in clear because of a missing scheme; nor is trouble with TLS a reason to do without.
            if not error.refused or has_scheme(words) or secrets:
                raise
            return await there(f"http{url.removeprefix('https')}")


# ---------------------------------------------------------------- repairs


class Remedy(StrEnum):
    MOVE = "move"
    JOIN = "join"  # its newsletters read the feed that has its new address already
    RETIRE = "retire"


@dataclass(frozen=True)
class Repair:
    """What would help an ailing feed. `url` is where it moves to, or the address of the feed that it joins."""

    feed_id: int
    feed: str
    trouble: str
    remedy: Remedy
    url: str = ""
    score: float = 1.0  # how surely it is the same feed (see `collect.kinship`), and by what
    why: str = ""

    @property
    def sure(self) -> bool:
        """Else it is a question that only a person answers."""
        return self.score >= kinship.SURE


@dataclass(frozen=True)
class _Patient:
    id: int
    state: FeedState
    title: str
    url: str
    site_url: str
    moved_to: str
    error: str
    failing_since: datetime | None
    headers: dict[str, str]
    proxy: str
    ca_file: str
    remembered: feed_entries.Remembered


async def diagnose(
    database: Database, config: Config, *, clock: Callable[[], datetime], resolve: Resolve = resolve
) -> list[Repair]:
    """A repair for each ailing feed that has one: its new address, the feed its site declares now, or retirement.

    A feed that is read over https is not led to http. Ailing is what fails, what the server retired with 410, and what
    was redirected for good.
    """
    patients = []
    with database.read() as session:
        known = {feed.url for feed, _ in feeds.listed(session)}
        for feed, readers in feeds.listed(session):
            ailing = feed.failures >= rhythm.FAILING_AFTER or (feed.state == FeedState.RETIRED and bool(readers))
            if ailing or feed.moved_to:
                known_of_it = {n: getattr(feed, n) for n in _Patient.__dataclass_fields__ if n != "remembered"}
                patients.append(_Patient(**known_of_it, remembered=feed_entries.remembered(session, feed.id or 0)))
    seats = asyncio.Semaphore(AT_ONCE)

    async def visit(patient: _Patient) -> Repair | None:
        async with seats:
            return await _repair(looker, patient, known, clock())

    async with Looker(config, clock=clock, resolve=resolve, database=database) as looker:
        repairs = await asyncio.gather(*map(visit, patients))
    return [repair for repair in repairs if repair is not None]


async def _repair(looker: Looker, feed: _Patient, known: set[str], now: datetime) -> Repair | None:
    """The likeliest of the places where it may be, with how likely it is."""
    name = feed.title or feed.url
    trouble = f"moved to {feed.moved_to}" if feed.moved_to and not feed.error else feed.error
    best: Repair | None = None
    for place in _places(feed):
        try:
            likely = await _feeds_at(looker, place, feed)
        except FetchError:  # a challenge, whose maker looks at each request; or a host that is held: nothing is known
            return None
        for url, parsed in likely:
            if url == feed.url:
                return None  # it works again
            if downgrades(feed.url, url):
                continue  # that is for a person to decide, feed by feed
            kin = kinship.judge(feed.remembered, url, parsed)
            remedy = Remedy.JOIN if url in known else Remedy.MOVE
            if best is None or kin.score > best.score:
                best = Repair(feed.id, name, trouble, remedy, url, kin.score, f"shares {kin.why}")
        if best is not None and best.sure:
            return best
    hopeless = feed.failing_since is not None and now - feed.failing_since > HOPELESS_AFTER
    if best is None and hopeless and feed.state != FeedState.RETIRED:
        return Repair(feed.id, name, trouble, Remedy.RETIRE, why="nothing was found in its place")
    return best


async def _feeds_at(looker: Looker, place: str, feed: _Patient) -> list[tuple[str, ParsedFeed]]:
    """The feeds that a place has or names, each with its address. FetchError at a challenge, and Held."""
    seen: list[Found] = []
    places = [place]
    while places:
        there = places.pop(0)
        headers, way = Manner(feed.url, feed.headers, feed.proxy, feed.ca_file).to(there)
        try:
            found = await looker.find(there, headers, way)
        except FetchError as error:
            if error.challenge or isinstance(error, Held):
                raise
            continue
        if not seen:
            places = [choice.url for choice in found.choices[:CHOICES]]
        seen.append(found)
    return [((one.answer.moved_to if one.answer else "") or one.url, one.feed) for one in seen if one.feed is not None]


def _places(feed: _Patient) -> list[str]:
    """Where a feed may be found, the likeliest first: itself, where it moved, over TLS, its site, its host."""
    parts = urlsplit(feed.url)
    places = [feed.moved_to, feed.url]
    if parts.scheme == "http":
        places.append(urlunsplit(parts._replace(scheme="https")))
    places += [feed.site_url, urlunsplit((parts.scheme, parts.netloc, "/", "", ""))]
    return list(dict.fromkeys(place for place in places if place))


def repair(database: Database, repair: Repair, *, now: datetime) -> None:
    """Do what a repair proposes: the feed is asked at its new address at the next run, or not any more."""
    with database.write() as session:
        feed = feeds.find(session, str(repair.feed_id))
        other = feeds.by_url(session, [repair.url]).get(repair.url)
        if other is not None:
            feeds.hand_over(session, repair.feed_id, other.id or 0, now=now)
        if other is not None or repair.remedy == Remedy.RETIRE:
            feed.state, feed.told = FeedState.RETIRED, Health.RETIRED
            feed.error = f"{repair.trouble}; {repair.url} is read instead" if other is not None else repair.trouble
            return
        feeds.move(session, repair.feed_id, url=repair.url, host=host_of(repair.url), now=now)
        feed.recipe = {}  # what was found there is a feed
        feed.state, feed.next_at, feed.failures, feed.failing_since = FeedState.ACTIVE, now, 0, None
        feed.claimed_at = None
        feed.error = feed.etag = feed.last_modified = feed.body_hash = ""
