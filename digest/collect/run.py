"""The pass over due feeds: claim, fetch, parse, store; a bad feed costs nobody else anything."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from sqlmodel import Session

from digest import parse, spans
from digest.collect import gathering, kinship, rhythm, rows
from digest.collect.addresses import host_of
from digest.collect.fetch import Answer, Fetcher
from digest.collect.guard import Resolve, resolve
from digest.collect.hosts import Held, Hosts
from digest.collect.leases import Shared
from digest.collect.manner import Manner
from digest.collect.report import Change, CollectReport, Failure, Progress
from digest.collect.rhythm import Health, Vitals
from digest.config import Collect, Config
from digest.dataclass import dataclass
from digest.errors import FetchError, UserError
from digest.means import fitting
from digest.models import FeedState
from digest.origin import open_part, same
from digest.store import Database, feed_claims, hosts
from digest.values import Saved

if TYPE_CHECKING:
    from digest.collect.workers import Parsers
    from digest.parse import ParsedFeed
    from digest.store.feed_tables import WebSub

# What parses, and what stores what is new, is imported where it is used: mostly nothing is new.

T = TypeVar("T")


MOMENT, HEAVY = 0.1, 1_000_000  # seconds that an outcome waits for others, and bytes of answers that wait at most


@dataclass(frozen=True)
class Batch:
    """Which of the feeds that are due one pass asks; the rest is anybody's."""

    most: int | None = None  # None: as many as there are
    part: feed_claims.Part = feed_claims.WHOLE


ALL = Batch()


@dataclass(frozen=True)
class _Outcome:
    """One feed's result on its way to the database."""

    feed: feed_claims.Due
    at: datetime
    answer: Answer | None = None
    body_hash: str = ""
    parsed: ParsedFeed | None = None
    error: FetchError | None = None
    held_until: datetime | None = None


_Done = tuple[_Outcome, dict[str, Any], Saved, Change | None]  # with the feed's row, its entries, and what to tell


async def run(
    database: Database,
    config: Config,
    *,
    clock: Callable[[], datetime],
    force: bool = False,
    progress: Callable[[Progress], None] | None = None,
    resolve: Resolve = resolve,
    rng: Random | None = None,
    batch: Batch = ALL,
) -> CollectReport:
    """Ask every due feed and store what is new; with `force`, every feed that is not retired; or a batch of them.

    Feeds are claimed a few at a time by a lease, so that two runs share the work and a killed one delays its feeds
    by minutes. Entries and validators of a feed are stored in one transaction. Feeds fail one by one, into the
    report; what this raises concerns all of them (StorageError).
    """
    return await _Run(database, config, clock, force, progress, resolve, rng or Random(), batch).run()  # noqa: S311


def _fitting(settings: Collect) -> Collect:
    """With no more connections than there are files for: a socket each, and a name look-up now and then."""
    beside = 16 + 8 * settings.workers  # the database, the loop; pipes of a worker and what its start takes
    connections = fitting(settings.connections, each=2, beside=beside, what="asking feeds")
    return settings.model_copy(update={"connections": connections})


class _Run:
    def __init__(
        self,
        database: Database,
        config: Config,
        clock: Callable[[], datetime],
        force: bool,
        progress: Callable[[Progress], None] | None,
        resolve: Resolve,
        rng: Random,
        batch: Batch,
    ) -> None:
        self._database = database
        self._config = config
        self._settings = _fitting(config.collect)
        self._clock = clock
        self._started = clock()
        self._force = force
        self._progress = progress
        self._resolve = resolve
        self._rng = rng
        self._due = 0
        self._mine = batch.part
        self._left = sys.maxsize if batch.most is None else batch.most  # feeds that may still be claimed
        self._report = CollectReport()
        self._released: set[int] = set()  # not asked for their host's sake, and not claimed by us again
        self._unasked = 0  # of these, whose place in `most` another may have
        self._claims: set[int] = set()  # feeds in hand, whose outcome is not stored yet
        # Until their COMMIT is answered: where the answer is lost they may be claimed, or stored, all the same.
        self._claiming: list[feed_claims.Due] = []
        self._saving: tuple[int, list[_Done]] = (0, [])  # feeds that are held, and the others
        self._broke: UserError | None = None  # why no more are claimed, while what is in hand is still stored
        # Feeds that wait for a turn at one busy host must not keep the others from starting.
        self._in_hand = asyncio.Semaphore(self._settings.connections * 4)
        self._outcomes: asyncio.Queue[_Outcome | None] = asyncio.Queue(maxsize=self._settings.connections)
        # One thread for the database: its calls wait for the disk, and come one after the other.
        self._storing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._lease = timedelta(seconds=2 * self._settings.timeout_seconds + self._settings.parse_seconds) + timedelta(
            minutes=10
        )

    async def run(self) -> CollectReport:
        # Name look-ups wait in the loop's threads, and there should be one for each connection.
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(max_workers=self._settings.connections))
        with self._storing:
            self._due, known = await self._store(self._count)
            if not self._due:
                return self._report
            before = self._started if self._force else None  # holds of before do not bind who asks by force
            shared = Shared(self._database, self._storing)
            self._hosts = Hosts(self._settings, clock=self._clock, known=known, shared=shared, before=before)
            connections = self._settings.connections
            async with Fetcher(
                self._config, self._hosts, resolve=self._resolve, connections=connections
            ) as self._fetcher:
                with ExitStack() as self._ends:
                    try:
                        async with asyncio.TaskGroup() as tasks:
                            tasks.create_task(self._write())
                            await self._claim_all()
                            await self._outcomes.put(None)
                    except BaseExceptionGroup as group:
                        if isinstance(error := _first(group), UserError):
                            await self._store(self._give_back)
                        raise error from group
            if self._broke is not None:
                raise self._broke
        return self._report

    @cached_property
    def _parsers(self) -> Parsers:
        from digest.collect.workers import Parsers

        parsers = Parsers(workers=self._settings.workers, seconds=self._settings.parse_seconds)
        return self._ends.enter_context(parsers)

    async def _store(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._storing, function, *args)

    async def _store_surely(self, function: Callable[..., T], *args: Any) -> T:
        """What is stored, or not at all, has another try: it was locked, say, or two had waited for each other."""
        try:
            return await self._store(function, *args)
        except UserError:
            return await self._store(function, *args)

    # ------------------------------------------------------------ claim

    def _count(self) -> tuple[int, list[hosts.Record]]:
        """How many feeds are due, and what is known of servers."""
        now = self._started
        with self._database.read() as session:
            due = feed_claims.count_due(session, now=now, asked_before=now, regardless=self._force, part=self._mine)
            known = hosts.records(session, now=now)
        return min(due, self._left), known

    async def _claim_all(self) -> None:
        """Claim and ask until none is left to claim; where `most` was spent on feeds that were held, others come in."""
        while True:
            async with asyncio.TaskGroup() as tasks:
                while feeds := await self._claimed():
                    for feed in feeds:
                        await self._in_hand.acquire()
                        tasks.create_task(self._collect(feed))
            if not self._unasked or self._broke is not None:
                return
            self._left, self._unasked = self._left + self._unasked, 0

    async def _claimed(self) -> list[feed_claims.Due]:
        try:
            feeds, known = await self._store_surely(self._claim)
        except UserError as error:  # of the database: what was asked already is stored where it can be
            self._broke = error
            return []
        self._hosts.hear(known)
        return feeds

    def _claim(self) -> tuple[list[feed_claims.Due], list[hosts.Record]]:
        """Some feeds, and what others heard of servers since we began."""
        with self._hosts.learnt() as learnt, self._database.write() as session:
            hosts.keep(session, learnt)
            known = hosts.records(session, now=self._clock())
            left = feed_claims.lock(session, [feed.id for feed in self._claiming]) if self._claiming else {}
            claimed = [feed for feed in self._claiming if _ours(feed, left.get(feed.id))] or feed_claims.claim(
                session,
                now=self._clock(),
                limit=min(self._settings.connections, self._left),
                lease=self._lease,
                asked_before=self._started,
                regardless=self._force,
                among=feed_claims.Among(self._hosts.held(), self._released, self._mine),
            )
            self._claiming = claimed
        self._claiming = []
        self._left -= len(claimed)
        self._claims.update(feed.id for feed in claimed)  # here, as the run may be breaking off meanwhile
        return claimed, known

    # ------------------------------------------------------------ fetch and parse

    async def _collect(self, feed: feed_claims.Due) -> None:
        try:
            async with AsyncExitStack() as hold:
                with spans.span("feed", feed=feed.id) as facts:
                    outcome = await self._ask(feed, hold)
                    facts |= _facts(outcome)
                await self._outcomes.put(outcome)
        finally:
            self._in_hand.release()

    async def _ask(self, feed: feed_claims.Due, hold: AsyncExitStack) -> _Outcome:
        now = self._clock()
        try:
            headers, way = _manner(feed).to(feed.url)
            answer = await self._fetcher.fetch(
                feed.url,
                now=now,
                hold=hold,
                etag=feed.etag,
                last_modified=feed.last_modified,
                headers=headers,
                way=way,
            )
            if answer.status == 304:
                return _Outcome(feed, now, answer, feed.body_hash)
            body_hash = hashlib.sha256(answer.body).hexdigest()
            if body_hash == feed.body_hash:
                return _Outcome(feed, now, answer, body_hash)
            recipe = parse.Recipe.of(feed.recipe) if feed.recipe else None
            parsed = await self._parsers.parse(
                answer.body, url=answer.url, content_type=answer.content_type, now=now, recipe=recipe
            )
            if parsed.cut:  # whoever asks only for what is new since would never hear the rest
                answer = replace(answer, etag="", last_modified="")
            if parsed.format == parse.sitemaps.INDEX:
                # It may stay the same when what it names does not: it has no validators, nor a hash of its own.
                answer = replace(answer, etag="", last_modified="")
                body_hash, parsed = await gathering.whole(parsed, answer.url, lambda url: self._part(feed, url, now))
                if body_hash == feed.body_hash:
                    return _Outcome(feed, now, answer, body_hash)
            if self._settings.points:
                parsed = await self._voted(feed, parsed, now)
            return _Outcome(feed, now, answer, body_hash, parsed)
        except Held as held:
            self._released.add(feed.id)
            self._unasked += 1
            return _Outcome(feed, now, held_until=held.until)
        except FetchError as error:
            return _Outcome(feed, now, error=error)

    async def _part(self, feed: feed_claims.Due, url: str, now: datetime) -> tuple[bytes, ParsedFeed]:
        """One of the documents that make up a feed."""
        headers, way = _manner(feed).to(url)
        async with AsyncExitStack() as hold:
            answer = await self._fetcher.fetch(url, now=now, hold=hold, headers=headers, way=way)
            parsed = await self._parsers.parse(answer.body, url=answer.url, content_type=answer.content_type, now=now)
            return answer.body, parsed

    async def _voted(self, feed: feed_claims.Due, parsed: ParsedFeed, now: datetime) -> ParsedFeed:
        """With the votes of the entries that are new, where their site tells them and the feed does not."""
        wanted = {e.key: place for e in parsed.entries if (place := gathering.discussion(e, feed.host))}
        if not wanted:
            return parsed
        known = await self._store(self._known, feed.id, list(wanted))
        wanted = {key: place for key, place in wanted.items() if key not in known}

        async def get(url: str) -> bytes:
            _, way = _manner(feed).to(url)
            async with AsyncExitStack() as hold:
                return (await self._fetcher.fetch(url, now=now, hold=hold, way=way)).body

        return await gathering.voted(parsed, wanted, get, seconds=self._settings.timeout_seconds)

    def _known(self, feed_id: int, keys: list[str]) -> frozenset[str]:
        from digest.store import feed_entries

        with self._database.read() as session:
            return feed_entries.keys(session, feed_id, keys)

    # ------------------------------------------------------------ store

    async def _write(self) -> None:
        """Store outcomes, as many in one transaction as come within a moment."""
        outcome = await self._outcomes.get()
        while outcome is not None:
            batch, weight = [outcome], _weight(outcome)
            with suppress(TimeoutError):
                async with asyncio.timeout(MOMENT):
                    while len(batch) < self._settings.connections and weight < HEAVY:
                        if (outcome := await self._outcomes.get()) is None:
                            break
                        batch.append(outcome)
                        weight += _weight(outcome)
            await self._store_surely(self._save, batch)
            if self._progress:
                report = self._report
                done = report.asked + report.held
                self._progress(Progress(max(self._due, done), done, report.new, report.failed))
            if outcome is not None:
                outcome = await self._outcomes.get()

    def _give_back(self) -> None:
        """The feeds whose outcome could not be stored are due for the next run; or else when their lease is over."""
        with suppress(UserError), self._database.write() as session:
            feed_claims.release(session, self._claims, next_at=self._started)

    def _save(self, outcomes: list[_Outcome]) -> None:
        asked = [outcome.feed.id for outcome in outcomes]
        with self._hosts.learnt() as servers, self._database.write() as session:
            # A feed may have been removed, retired, given another address or a way of being read while it was asked;
            # and where that took longer than its lease, another run may have asked it since.
            left = feed_claims.lock(session, asked)
            outcomes = [_retitled(o, left[o.feed.id]) for o in outcomes if _ours(o.feed, left.get(o.feed.id))]
            outcomes = [self._doubted(session, outcome) for outcome in outcomes]
            hubs = self._hubs(session, left)
            came = rows.save(session, [(o.feed, o.parsed, o.at) for o in outcomes if o.parsed is not None])
            settled = [outcome for outcome in outcomes if outcome.held_until is None]
            done = [
                (one, *self._settle(session, one, hubs.get(one.feed.id), came.get(one.feed.id, rows.NOTHING)))
                for one in settled
            ]
            changes = [rows.changing(row, one.feed, read=one.parsed is not None) for one, row, _, _ in done]
            feed_claims.settle(session, changes)
            for outcome in outcomes:
                if outcome.held_until is not None:
                    feed_claims.release(session, [outcome.feed.id], next_at=outcome.held_until)
            hosts.keep(session, servers)
            if servers:
                hosts.forget(session, now=self._started)
            if outcomes:  # of a second try none is ours any more where the first was stored, and its answer lost
                self._saving = (len(outcomes) - len(done), done)
        # Counted after the commit: the report says what is stored.
        self._claims.difference_update(asked)
        (held, counted), self._saving = self._saving, (0, [])
        self._report.held += held
        for one, row, saved, change in counted:
            self._count_in(one, row, saved, change)

    def _hubs(self, session: Session, ids: Collection[int]) -> Mapping[int, WebSub]:
        """How we stand with who tells us of feeds."""
        if not self._settings.websub:
            return {}
        from digest.store import websub

        return websub.of_feeds(session, ids)

    def _count_in(self, outcome: _Outcome, row: dict[str, Any], saved: Saved, change: Change | None) -> None:
        report, feed = self._report, outcome.feed
        report.asked += 1
        report.new += saved.new - saved.set_aside
        report.set_aside += saved.set_aside
        report.edited += saved.edited
        if change is not None:
            report.changes.append(change)
        if outcome.error is not None:
            report.failed += 1
            report.failures.append(
                Failure(feed.id, feed.title or feed.url, feed.url, outcome.error.reason, row["failures"])
            )
        elif outcome.parsed is None:
            report.unchanged += 1
        else:
            report.updated += 1

    def _settle(
        self, session: Session, outcome: _Outcome, hub: WebSub | None, saved: Saved
    ) -> tuple[dict[str, Any], Saved, Change | None]:
        """The feed's row after this outcome, its entries `saved`; `hub` is how we stand with who tells us of it."""
        feed, at = outcome.feed, outcome.at
        row: dict[str, Any] = {name: getattr(feed, name) for name in rows.SETTLED}
        row |= {"state": FeedState.ACTIVE, "checked_at": at}
        notes = []
        if outcome.error is not None:
            error = outcome.error
            row |= {
                "answered_by": error.answered_by or feed.answered_by,
                "failures": feed.failures + 1,
                "failing_since": feed.failing_since or at,
                "error": error.reason,
                "next_at": rhythm.after_failure(at, feed.failures + 1, error, rng=self._rng),
            }
            if error.status == 410:
                row["state"] = FeedState.RETIRED
            if outcome.answer is not None:
                row["moved_to"] = outcome.answer.moved_to  # there `digest feed doctor` looks, from now on
        else:
            assert outcome.answer is not None
            there = outcome.answer.url
            row |= {"answered_by": feed.host if there == feed.url else host_of(there)}
            row |= {"ok_at": at, "failures": 0, "failing_since": None, "error": ""}
            row |= {
                "etag": outcome.answer.etag or (feed.etag if outcome.answer.status == 304 else ""),
                "last_modified": outcome.answer.last_modified
                or (feed.last_modified if outcome.answer.status == 304 else ""),
                "body_hash": outcome.body_hash,
            }
            if outcome.parsed is not None:
                row |= rows.told_of_itself(feed, outcome.parsed, at, new=bool(saved.new))
            said = outcome.parsed.new_url if outcome.parsed is not None else feed.moved_to
            notes.append(self._move(session, feed, outcome.answer, row, at, said))
            told = self._told_by(session, outcome, hub, news=bool(saved.new))
            row["next_at"] = rhythm.next_at(
                at,
                rhythm.of_feed(self._settings, feed.interval_minutes or (rhythm.PUSHED_MINUTES if told else 0)),
                rng=self._rng,
                max_age=outcome.answer.max_age,
                ttl=timedelta(seconds=row["ttl_seconds"]),
                gap=timedelta(seconds=row["gap_seconds"]) or None,
                skip=row["skip"],
            )
            if told is not None and told.lease_until is not None:
                row["next_at"] = min(row["next_at"], told.lease_until)
            if hub is not None and hub.pinged_at is not None and hub.pinged_at > at:  # while we asked
                from digest.store import websub

                row["next_at"] = min(row["next_at"], at + websub.PING_GAP)
        return row, saved, changed(feed, row, at, [note for note in notes if note])

    def _told_by(self, session: Session, outcome: _Outcome, hub: WebSub | None, *, news: bool) -> WebSub | None:
        """The hub that tells us of this feed, where it can be relied on; what the feed says of it now is kept."""
        if not self._settings.websub:
            return None
        from digest.store import websub

        feed, at = outcome.feed, outcome.at
        if hub is not None:
            websub.polled(session, hub, news=news, before=feed.checked_at)
        if outcome.parsed is not None and outcome.answer is not None:
            there, itself = parse.hub_links(outcome.answer.link, url=outcome.answer.url)
            there, itself = there or outcome.parsed.hub, itself or outcome.parsed.topic
            if dict(feed.headers) != open_part(feed.headers) or not itself:
                there = ""  # a feed with a login is nobody else's business, nor is an address that it does not give
            websub.discovered(session, feed.id, hub, there, itself, now=at)
            if hub is not None and (hub.hub, hub.topic) != (there, itself):
                return None
        return hub if websub.live(hub, at) else None

    def _doubted(self, session: Session, outcome: _Outcome) -> _Outcome:
        """A permanent redirect to a feed that is not the one collected so far is a failure: a person follows it.

        Domains are parked and sold, and sites redirect what they no longer have to their front page's feed.
        """
        feed, answer = outcome.feed, outcome.answer
        if outcome.parsed is None:
            return outcome
        from digest.store import feed_entries

        emptied = feed.recipe and not outcome.parsed.entries
        if emptied and feed_entries.remembered(session, feed.id, limit=1).marks:
            # A page that was redesigned answers as it always did.
            reason = f"has nothing any more where {feed.recipe.get('item')!r} looks for it: the page has changed"
            return _Outcome(feed, outcome.at, answer, error=FetchError(feed.url, reason))
        target = answer.moved_to if answer is not None else ""
        if target in ("", feed.url):
            return outcome
        lost = feed_entries.remembered(session, feed.id)
        if not lost.marks:
            return outcome  # nothing was collected that could be mixed up
        kin = kinship.judge(lost, target, outcome.parsed)
        if kin.sure:
            return outcome
        words = f"leads for good to {target}, which seems another feed (score {kin.score:g}: it shares {kin.why})"
        error = FetchError(feed.url, f"{words}; `digest feed doctor --accept {feed.id}` follows it", status=301)
        return _Outcome(feed, outcome.at, answer, error=error)

    def _move(
        self, session: Session, feed: feed_claims.Due, answer: Answer, row: dict[str, Any], at: datetime, said: str = ""
    ) -> str:
        """Follow a permanent redirect for good once two runs saw the same one (RFC 9110 §15.4.2); what to tell."""
        target = answer.moved_to
        if not target and said and said != feed.url:
            row["moved_to"] = said  # its own word alone is not followed: `digest feed doctor` looks there, and judges
            return ""
        if not target or target == feed.url:
            row["moved_to"] = ""
            return ""
        if feed.moved_to != target:
            row["moved_to"] = target
            return ""
        row["moved_to"] = ""
        from digest.store import feeds

        other = feeds.by_url(session, [target]).get(target)
        if other is not None and other.recipe != feed.recipe:
            row["moved_to"] = target  # a page that is read in two ways is two feeds
            return ""
        if other is not None:
            feeds.hand_over(session, feed.id, other.id or 0, now=at)
            row["state"] = FeedState.RETIRED
            words = f"moved to {target}, which is feed {other.id} already"
            row["error"] = words
            return words
        feeds.move(session, feed.id, url=target, host=host_of(target), now=at)
        left = "; its login stays behind, `digest feed add ADDRESS --login` gives it to the new address"
        return f"moved to {target}{left if feed.headers and not same(target, feed.url) else ''}"


def _facts(outcome: _Outcome) -> dict[str, int | float | bool | str]:
    """What a span tells of it."""
    answer, parsed = outcome.answer, outcome.parsed
    found: dict[str, int | float | bool | str] = {"failed": outcome.error is not None}
    if answer is not None:
        found |= {"status": answer.status, "bytes": len(answer.body)}
    return found | ({"entries": len(parsed.entries)} if parsed is not None else {})


def _weight(outcome: _Outcome) -> int:
    return len(outcome.answer.body) if outcome.answer is not None else 0


def _manner(feed: feed_claims.Due) -> Manner:
    return Manner(feed.url, feed.headers, feed.proxy, feed.ca_file)


def _ours(feed: feed_claims.Due, left: feed_claims.Left | None) -> bool:
    return left is not None and (left.url, left.claimed_at) == (feed.url, feed.claimed_at)


def _retitled(outcome: _Outcome, left: feed_claims.Left) -> _Outcome:
    """An operator may have given the feed another title while it was asked."""
    if left.title == outcome.feed.title:
        return outcome
    return replace(outcome, feed=replace(outcome.feed, title=left.title))


def changed(feed: feed_claims.Due, row: dict[str, Any], now: datetime, notes: list[str]) -> Change | None:
    """What to tell the operator, and `row["told"]` set so that it is told once."""
    health = rhythm.health(
        Vitals(
            row["state"],
            row["failures"],
            row["ok_at"],
            row["entry_at"],
            timedelta(seconds=row["gap_seconds"]) or None,
        ),
        now=now,
    )
    before = feed.told
    words = {
        Health.RETIRED: f"is retired: {row['error']}",
        Health.FAILING: f"fails since {row['failing_since'] or now:%Y-%m-%d %H:%M}: it {row['error']}",
        Health.QUIET: f"is quiet since {row['entry_at'] or now:%Y-%m-%d}, three times its usual gap",
        Health.OK: "has new entries again" if before == Health.QUIET else "works again",
    }.get(health, "")
    if health != Health.WAITING:
        row["told"] = health.value
    # Good news is news only after bad ones; and a feed that was quiet when it was added was never otherwise.
    first = before == "" and health in (Health.OK, Health.QUIET)
    if words and row["told"] != before and not first:
        notes = [words, *notes] if health != Health.RETIRED else [words]
    return Change(feed.id, row["title"] or feed.url, health, "; ".join(notes)) if notes else None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a task group: the rest are its consequences, and callers know it by its own class."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
