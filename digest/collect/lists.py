"""Lists of feeds with all that they name: other lists, and places that must be asked where their feed is."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import NamedTuple

from digest import parse
from digest.collect import places
from digest.collect.addresses import address, known_address, without_login
from digest.collect.guard import Resolve, resolve
from digest.collect.look import Looker
from digest.config import Config
from digest.dataclass import dataclass
from digest.errors import FetchError, NotFound
from digest.origin import same, shown
from digest.parse import Listed, Outline
from digest.parse.outlines import MAX_FEEDS
from digest.parse.text import http_url, plain
from digest.store import Database, feeds
from digest.store.feed_tables import FeedList

MAX_DEPTH = 5  # lists in lists
MAX_LISTS = 50  # in all
MAX_ASKED = 100  # places that are asked about
AT_ONCE = 5


@dataclass
class Plan:
    """What a list comes to. `left` is what is not taken, each in words; `became` names and what they turned out to be.

    `lists` are those on the web, to be read again: their address, format and folders.
    """

    format: str
    outlines: list[Outline] = field(default_factory=list)
    lists: list[FeedList] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    became: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Asking:
    """Who asks, and for which addresses of places."""

    looker: Looker
    bases: Mapping[str, str]
    seen: set[str]


async def gather(
    source: str | bytes,
    config: Config,
    *,
    clock: Callable[[], datetime],
    form: str = "",
    resolve: Resolve = resolve,
    bases: Mapping[str, str] = places.BASES,
    database: Database | None = None,
) -> Plan:
    """All that a list (its bytes, or its address) comes to. Nothing is stored.

    Raises NotFound where a list on the web cannot be had, BadInput where one of bytes cannot be read.
    """
    async with Looker(config, clock=clock, resolve=resolve, database=database) as looker:
        asking = _Asking(looker, bases, set())
        if isinstance(source, bytes):
            listed, base = parse.lists.read(source, form), ""
            plan = Plan(listed.format)
        else:
            url, login = without_login(known_address(source))
            try:
                base, listed = await looker.list(url, form, login)
            except FetchError as error:
                raise NotFound(
                    f"the list {shown(url)} {error.reason}", hint="save it as a file and import that"
                ) from None
            plan = Plan(listed.format)
            plan.lists.append(FeedList(newsletter_id=0, url=url, format=form, folders=[]))
            asking.seen.update((url, base))
        await _take(plan, listed, base, (), asking)
        await _resolve(plan, asking, only_names=plan.format == "opml")
    return plan


async def refresh(
    database: Database,
    config: Config,
    newsletter_id: int,
    *,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    bases: Mapping[str, str] = places.BASES,
) -> Plan:
    """What the lists on the web that a newsletter took come to now. One that cannot be had is left out, and told."""
    with database.read() as session:
        known = [_copy(one) for one in feeds.lists(session, newsletter_id)]
    plan = Plan("lists on the web")
    async with Looker(config, clock=clock, resolve=resolve, database=database) as looker:
        asking = _Asking(looker, bases, {one.url for one in known})
        for one in known:
            try:
                base, listed = await looker.list(one.url, one.format)
            except FetchError as error:
                plan.left.append(f"the list {shown(one.url)} {error.reason}")
                continue
            its = Plan(listed.format)
            await _take(its, listed, base, tuple(one.folders), asking)
            await _resolve(its, asking, only_names=listed.format == "opml")
            plan.lists.append(one)
            plan.outlines += its.outlines
            plan.left += its.left
            plan.became += its.became
    return plan


def _copy(one: FeedList) -> FeedList:
    """The same row, of no session."""
    return FeedList(newsletter_id=one.newsletter_id, url=one.url, format=one.format, folders=list(one.folders))


async def _take(plan: Plan, listed: Listed, base: str, folders: tuple[str, ...], asking: _Asking) -> None:
    """Put what a list has into the plan, and what the lists have that it includes: the nearest first, each once."""
    waiting = deque(_put(plan, listed, base, folders, 0))
    while waiting:
        one = waiting.popleft()
        if one.url in asking.seen:
            continue
        if one.depth >= MAX_DEPTH or len(asking.seen) >= MAX_LISTS:
            plan.left.append(
                f"the list {shown(one.url)} is not read: they are read {MAX_DEPTH} deep, {MAX_LISTS} in all"
            )
            continue
        asking.seen.add(one.url)
        url, login = without_login(one.url)
        try:
            # Another's list names no login for others; what was given to us may.
            there, inside = await asking.looker.list(
                url, "opml", login if not one.base or same(one.base, url) else None
            )
        except FetchError as error:
            plan.left.append(f"the list {shown(url)} {error.reason}")
            continue
        asking.seen.add(there)
        if not one.base:  # else the list that names it is read again, and it with that
            plan.lists.append(FeedList(newsletter_id=0, url=url, format="opml", folders=list(one.folders)))
        waiting.extend(_put(plan, inside, there, one.folders, one.depth + 1))


class _Waits(NamedTuple):
    """A list that another one, at `base` ("" for a file), includes."""

    url: str
    folders: tuple[str, ...]
    base: str
    depth: int


def _put(plan: Plan, listed: Listed, base: str, folders: tuple[str, ...], depth: int) -> Iterator[_Waits]:
    room = MAX_FEEDS - len(plan.outlines)
    plan.outlines += [replace(one, folders=(*folders, *one.folders)) for one in listed.outlines[:room]]
    if len(listed.outlines) > room:
        plan.left.append(f"{len(listed.outlines) - room:,} feeds: all these lists have more than {MAX_FEEDS:,}")
    plan.left += listed.left
    for include in listed.includes:
        if url := http_url(include.url, base, login=True):
            yield _Waits(url, (*folders, *include.folders), base, depth)
        else:
            plan.left.append(f"the list {plain(shown(include.url), limit=100)!r} is not on the web")


# ---------------------------------------------------------------- places


async def _resolve(plan: Plan, asking: _Asking, *, only_names: bool) -> None:
    """Put the addresses of feeds in the place of names; `only_names` leaves addresses of pages as they are."""
    seats, asked = asyncio.Semaphore(AT_ONCE), 0

    async def one(outline: Outline, place: places.Place) -> Outline | str:
        async with seats:
            try:
                found = await asking.looker.at(place)
            except FetchError as error:
                return f"{plain(shown(outline.url), limit=100)}: {shown(error.url)} {error.reason}"
        if found.feed is None:
            return f"{plain(shown(outline.url), limit=100)}: names several feeds; add one of them"
        return replace(outline, url=found.url, title=outline.title or found.feed.title)

    waiting: list[tuple[int, Outline, asyncio.Task[Outline | str]]] = []
    settled: list[Outline | None] = []
    async with asyncio.TaskGroup() as tasks:
        for outline in plan.outlines:
            found = (
                []
                if outline.recipe or (only_names and address(outline.url))
                else places.places(outline.url, asking.bases)
            )
            settled.append(outline)
            if len(found) == 1 and found[0].sure:
                settled[-1] = replace(outline, url=found[0].feeds[0])
                plan.became.append(f"{plain(shown(outline.url), limit=100)} is {found[0].what}: {found[0].feeds[0]}")
            elif len(found) > 1 and not address(outline.url):
                choices = "; ".join(f"{place.what}: {place.feeds[0]}" for place in found if place.feeds)
                plan.left.append(f"{plain(shown(outline.url), limit=100)!r} may be {choices}")
                settled[-1] = None
            elif len(found) == 1 and asked >= MAX_ASKED:
                plan.left.append(
                    f"{plain(shown(outline.url), limit=100)}: more than {MAX_ASKED} names are not asked about"
                )
                settled[-1] = None
            elif len(found) == 1:
                asked += 1
                waiting.append((len(settled) - 1, outline, tasks.create_task(one(outline, found[0]))))
    for number, outline, task in waiting:
        answer = task.result()
        if isinstance(answer, str):
            plan.left.append(answer)
            settled[number] = None
        else:
            settled[number] = answer
            plan.became.append(f"{plain(shown(outline.url), limit=100)} is {answer.url}")
    plan.outlines = [outline for outline in settled if outline is not None]
