"""Admission: each entry of a newsletter's feeds is decided about once, and the decision is kept with its reason."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import chain, groupby
from typing import Any, NamedTuple, cast

from sqlmodel import Session

from digest import config
from digest.curate import central, excerpts, feed_rules, flood, leading, rank, rules, stubs, tongues, urls
from digest.curate import stories as same_story
from digest.curate.tellings import Telling, Tellings
from digest.dataclass import dataclass
from digest.edition import cited, formerly, sent
from digest.edition.full_text import Texts
from digest.edition.judge import JUDGED, Gists, Judge, Meanings, relearn, subject
from digest.edition.report import Admitted
from digest.edition.tellings import Again, Read, family, representative, story_of, told_again, told_of
from digest.parse.gist import Gist
from digest.store import Database, editions, entries, learned, newsletters, seen, stories
from digest.store.story_tables import Decision

ENTRIES = 1_000  # about so many at a time are in memory, before it is known which are held
FEEDS = 20  # whose texts are asked for together
TRIES = 3  # to decide about entries that others decide about meanwhile


class _Group(NamedTuple):
    """What told one story: entries just read, and the story that had been told before, if any."""

    reads: list[Read]
    known: int | None


@dataclass(frozen=True)
class Proposal:
    """What is to be decided about the entries that wait: all that needs their texts, worked out in no transaction.

    `after` is the newsletter's `seq` that it was worked out for; `gists` are those made on the way and `learnt` is what
    labels taught, both to be stored. `stale`: what labels taught before is to be learnt anew afterwards.
    """

    after: int
    entries: Sequence[int]
    minutes: _Minutes
    new: tuple[_New, ...]
    again: tuple[Again, ...]
    linked: Mapping[int, frozenset[str]]  # known stories to which sites link now
    gists: Mapping[int, bytes]
    learnt: bytes
    stale: bool = False


@dataclass(frozen=True)
class _New:
    """A story to be: its values but for `seq`, and who tells it; the first of them represents it."""

    row: dict[str, Any]
    told: tuple[_Teller, ...]
    seq: int | None = None  # the one it had before the database was put back


class _Teller(NamedTuple):
    """An entry that tells a story: why, and the link by which another is known to tell the same."""

    entry_id: int
    why: str
    link: str


class Moved(Exception):
    """What was proposed is true no more: others decided meanwhile."""


def take_in(
    database: Database,
    name: str,
    settings: config.Newsletter,
    curate_settings: config.Curate,
    *,
    now: datetime,
    meanings: Meanings | None = None,
) -> Admitted:
    """Decide about every entry that waits. Strangers' texts are worked on before the transaction, never within it.

    Raises ConfigError where `curate.scorer` cannot be loaded.
    """
    _take_back(database, name)
    for _ in range(TRIES):
        with database.read() as session:
            proposal = propose(session, name, settings, curate_settings, now=now, meanings=meanings)
        if proposal.gists or proposal.learnt:  # of entries that an older release stored, of labels that came: made once
            with database.write() as session:
                entries.keep_gists(session, proposal.gists)
                learned.keep(session, newsletters.find(session, name), proposal.learnt)
        try:
            with database.write() as session:
                admitted = admit(session, name, settings, curate_settings, now=now, proposal=proposal)
        except Moved:
            continue
        if proposal.stale and database.rehearsing is None:
            relearn(database, name, settings, curate_settings, meanings)
        return admitted
    return Admitted()  # somebody else decides about them, again and again


def _take_back(database: Database, name: str) -> None:
    """Undo what was decided about entries that were withdrawn before any edition had them to choose from."""
    with database.read() as session:
        newsletter_id = cast(int, newsletters.find(session, name).id)
        if not stories.to_take_back(session, newsletter_id, upto=editions.composed_upto(session, newsletter_id)):
            return
    with database.write() as session:
        newsletters.lock(session, name)
        stories.take_back(session, newsletter_id, upto=editions.composed_upto(session, newsletter_id))


def admit(
    session: Session,
    name: str,
    settings: config.Newsletter,
    curate_settings: config.Curate,
    *,
    now: datetime,
    proposal: Proposal | None = None,
) -> Admitted:
    """Decide about entries as proposed, in the caller's transaction, alone with this newsletter.

    Without a proposal one is worked out here, for a database that nobody else writes to (a rehearsal). Stories get
    increasing `seq`. Whoever comes second finds nothing waiting: killed half way, nothing is decided and the next call
    does it all. Raises Moved where the proposal is true no more.
    """
    newsletter = newsletters.lock(session, name)
    newsletter_id = cast(int, newsletter.id)
    if proposal is None:
        stories.take_back(session, newsletter_id, upto=editions.composed_upto(session, newsletter_id))
        proposal = propose(session, name, settings, curate_settings, now=now)
    if not proposal.entries:
        return Admitted()
    known = stories.by_id(session, {again.story for again in proposal.again} | proposal.linked.keys())
    former = {new.seq for new in proposal.new if new.seq}
    if (
        newsletter.seq != proposal.after
        or stories.by_seq(session, newsletter_id, former)
        or not {again.story for again in proposal.again} <= known.keys()
        or not entries.still_waiting(session, newsletter_id, proposal.entries)
    ):
        raise Moved
    joined = []
    sent_upto = editions.composed_upto(session, newsletter_id)
    for again in proposal.again:
        story = known[again.story]
        told_again(story, again, sent=story.seq <= sent_upto, settings=curate_settings)
        session.add(story)
        joined += [(_Teller(read.entry.id, why, read.link), again.story) for read, why in again.reads]
    for story_id, sites in proposal.linked.items():
        if (linked_to := known.get(story_id)) and linked_to.seq > sent_upto:
            for field, value in cited.credit(linked_to.reasons, sites, curate_settings).items():
                setattr(linked_to, field, value)
            session.add(linked_to)
    seqs = []
    for new in proposal.new:
        newsletter.seq += new.seq is None
        seqs.append(new.seq or newsletter.seq)
    made = zip(seqs, proposal.new, strict=True)
    ids = stories.add(
        session, newsletter_id, (new.row | {"newsletter_id": newsletter_id, "seq": seq} for seq, new in made)
    )
    best = []
    for seq, new in zip(seqs, proposal.new, strict=True):
        best.append((new.told[0], ids[seq]))
        joined += [(teller, ids[seq]) for teller in new.told[1:]]
    session.add(newsletter)
    common = {"newsletter_id": newsletter_id, "decided_at": now}
    stories.add_admissions(session, (common | row for row in _decisions(proposal.minutes, best, joined)))
    muted, held = (proposal.minutes.count(decision) for decision in (Decision.MUTED, Decision.HELD))
    return Admitted(stories=len(best), joined=len(joined), muted=muted, held=held)


def propose(
    session: Session,
    name: str,
    settings: config.Newsletter,
    curate_settings: config.Curate,
    *,
    now: datetime,
    meanings: Meanings | None = None,
) -> Proposal:
    """Work out what is to be decided about every entry that waits; nothing is stored. Raises as `take_in`."""
    newsletter = newsletters.find(session, name)
    newsletter_id = cast(int, newsletter.id)
    settled = entries.waiting(session, newsletter_id, settle=curate_settings.settle, now=now)
    waiting, former = formerly.of(session, newsletter_id, settled, now=now)
    minutes, ids, fresh = _Minutes(), array("q"), list[entries.Waiting]()
    gists = Gists(session)
    parts = _whole_feeds(waiting)
    if not (first := next(parts, [])):
        return Proposal(newsletter.seq, (), minutes, (), (), {}, {}, b"")
    stored = entries.readings(session, newsletter_id)
    before = seen.of(session, newsletter_id)
    feeds = sent.known(before, stored)
    for some in chain([first], parts):  # most of an archive is held, and only that it is has to be remembered
        ids.extend(entry.id for entry in some)
        some = sent.hold(
            session, newsletter_id, some, stored, before, lambda entry, why: minutes.decide(entry, Decision.HELD, why)
        )
        fresh += _muted_and_held(some, feeds, settings, curate_settings, minutes, former, now=now)
    judge = Judge(session, newsletter_id, settings, curate_settings, gists, meanings)
    reads: list[Read] = []
    for read in _read(session, fresh, feeds, judge, gists, curate_settings, now=now):
        if not (read.entry.title or read.prose):
            minutes.decide(read.entry, Decision.HELD, "there is neither title nor text to show")
        elif fault := leading.no_story(read.entry.title, read.url):
            minutes.decide(read.entry, Decision.HELD, f"it {fault}")
        else:
            reads.append(read)
    learnt, stale = judge.learnt, judge.stale
    del judge, fresh  # what was learnt is no more asked for, and comparing titles takes as much
    links_tell = {id_: feed.links_tell for id_, feed in feeds.items()}
    told, tellings = _told(session, newsletter_id, reads, links_tell, now=now)
    grouping, groups = _group(reads, tellings, links_tell)
    if former:
        there = stories.by_seq(session, newsletter_id, former.values())
        groups = [_Group(*group) for group in formerly.apart(groups, former, there)]
    why = {join.two: join.why for join in grouping.joins} | {
        join.one: join.why for join in grouping.joins if join.one not in {j.two for j in grouping.joins}
    }
    again, new = list[Again](), list[_New]()
    linked = _linked(session, groups, told, tellings, feeds)
    del reads
    groups.reverse()
    while groups:  # what was read is gone once it is a story: it is as large as that
        group = groups.pop()
        best = min(group.reads, key=representative)
        if group.known is not None:
            joined = tuple((read, why.get(read.entry.id, "same link")) for read in group.reads)
            again.append(Again(group.known, joined, best, told_of(best, curate_settings)))
        else:
            row = story_of(best, group.reads, settings, curate_settings, now=now)
            row |= cited.credit(row["reasons"], linked.get(("new", len(new) + len(again)), ()), curate_settings)
            seq = max(former.get(read.entry.id, 0) for read in group.reads) or None
            others = (read for read in group.reads if read is not best)
            tellers = (_Teller(read.entry.id, why.get(read.entry.id, "same link"), read.link) for read in others)
            new.append(_New(row, (_Teller(best.entry.id, best.verdict.why, best.link), *tellers), seq))
    _relate(session, new, grouping, told)
    known = {story[1]: frozenset(sites) for story, sites in linked.items() if story[0] == "told"}
    return Proposal(newsletter.seq, ids, minutes, tuple(new), tuple(again), known, gists.made, learnt, stale)


class _Minutes:
    """The decisions against entries. An archive of thousands is held for a few reasons: each has the ids of its own."""

    def __init__(self) -> None:
        self.of: dict[tuple[Decision, str], array[int]] = {}

    def decide(self, entry: entries.Waiting, decision: Decision, reason: str) -> None:
        self.of.setdefault((decision, reason), array("q")).append(entry.id)

    def count(self, decision: Decision) -> int:
        return sum(len(ids) for (other, _reason), ids in self.of.items() if other == decision)


def _decisions(
    minutes: _Minutes, best: Iterable[tuple[_Teller, int]], joined: Iterable[tuple[_Teller, int]]
) -> Iterator[dict[str, Any]]:
    """Rows of values, but for what all have in common; those who tell a story come with its id."""
    for (decision, reason), ids in minutes.of.items():
        for id_ in ids:
            yield {"entry_id": id_, "decision": decision, "reason": reason, "link": "", "story_id": None}
    for decision, tellers in ((Decision.STORY, best), (Decision.JOINED, joined)):
        for (id_, why, link), story_id in tellers:
            yield {"entry_id": id_, "decision": decision, "reason": why, "link": link, "story_id": story_id}


def _whole_feeds(waiting: Iterable[entries.Waiting]) -> Iterator[list[entries.Waiting]]:
    """All that waits, some feeds at a time."""
    some: list[entries.Waiting] = []
    for _feed_id, group in groupby(waiting, key=lambda entry: entry.feed_id):
        some += group
        if len(some) >= ENTRIES:
            yield some
            some = []
    if some:
        yield some


def _muted_and_held(
    waiting: Sequence[entries.Waiting],
    feeds: Mapping[int, entries.Reading],
    settings: config.Newsletter,
    curate_settings: config.Curate,
    minutes: _Minutes,
    former: Mapping[int, int],
    *,
    now: datetime,
) -> list[entries.Waiting]:
    """What is left of the entries after the rules that mute, and after what a new or flooding feed brings at once."""
    fresh: list[entries.Waiting] = []
    for feed_id, group in groupby(waiting, key=lambda entry: entry.feed_id):
        entries = []
        for entry in group:
            if entry.fault:
                minutes.decide(entry, Decision.HELD, f"set aside: {entry.fault}")
                continue
            about = subject(entry, feeds[feed_id], entry.original_url or entry.url)
            reason = rules.muted(settings.rules, about)
            reason = reason or tongues.kept_out(entry.language, settings)
            reason = reason or feed_rules.dropped(feeds[feed_id].keep, feeds[feed_id].drop, about)
            if reason:
                minutes.decide(entry, Decision.MUTED, reason)
            elif former.get(entry.id) == 0:
                minutes.decide(entry, Decision.HELD, "it was held before the database was put back")
            else:
                entries.append(entry)
        held = flood.held(
            [flood.Arrival(entry.id, entry.published_at) for entry in entries if entry.id not in former],
            new=not feeds[feed_id].known,
            settings=curate_settings,
            now=now,
        )
        for entry in entries:
            if entry.id in held:
                minutes.decide(entry, Decision.HELD, held[entry.id])
            else:
                fresh.append(entry)
    return fresh


def _read(
    session: Session,
    fresh: Sequence[entries.Waiting],
    feeds: Mapping[int, entries.Reading],
    judge: Judge,
    gists: Gists,
    settings: config.Curate,
    *,
    now: datetime,
) -> Iterator[Read]:
    """Some feeds at a time, so that the texts of these only are in memory."""
    texts = Texts(session)
    by_feed = [
        (feed_id, {entry.id: entry for entry in group}) for feed_id, group in groupby(fresh, key=lambda e: e.feed_id)
    ]
    for start in range(0, len(by_feed), FEEDS):
        arrived = dict(by_feed[start : start + FEEDS])
        waiting = {id_: entry for some in arrived.values() for id_, entry in some.items()}
        lately = _lately(session, arrived, gists)
        told_in_full = [id_ for id_, entry in waiting.items() if feeds[entry.feed_id].full_text]
        pages = texts.of(told_in_full) if told_in_full else {}
        voted = {entry.feed_id for entry in waiting.values() if entry.points is not None}
        most = entries.most_points(session, voted)
        had = {id_: said for told in lately.values() for id_, said in told.said.items()}
        for id_, said in gists.of(waiting, had):
            entry = waiting[id_]
            feed_id = entry.feed_id
            known, repeated = lately[feed_id].lines, lately[feed_id].images
            url = urls.leads_to(entry.url, entry.original_url, said.links)
            meant, page = said.meaning, pages.get(id_)
            page = page if page is not None and stubs.reason(said, title=entry.title) else None
            prose = excerpts.prose_of(said, title=entry.title, known=known)
            if page is not None:
                said, known = page.said, texts.repeated(feed_id)
                prose = excerpts.prose_of(said, title=entry.title, known=known) or prose
            yield Read(
                entry=entry,
                feed=feeds[feed_id],
                url=url,
                link=urls.normalise(url),
                prose=prose[: max(JUDGED, 2 * settings.excerpt_length)],
                minutes=said.minutes,
                image=excerpts.image(entry.image_url, repeated=repeated),
                verdict=judge.judge(entry, feeds[feed_id], url, prose, meant=meant),
                shown_at=flood.shown_date(entry.published_at, seen_at=min(entry.seen_at, now)),
                page=page,
                central=central.wanted(said, entry.title, entry.language, settings, known),
                points=None if entry.points is None else rank.share(entry.points, most=most.get(feed_id, 0)),
            )


class _Lately(NamedTuple):
    """What a feed's last entries repeat, lines and pictures; and what those say that are to be decided about."""

    lines: frozenset[str]
    images: frozenset[str]
    said: dict[int, Gist]


def _lately(session: Session, arrived: Mapping[int, Mapping[int, entries.Waiting]], gists: Gists) -> dict[int, _Lately]:
    """Of each of these feeds."""
    latest = entries.latest(session, arrived.keys(), limit=excerpts.RESIDUE_ENTRIES)
    owner = {id_: feed_id for feed_id, some in latest.items() for id_, _image in some}
    found = {
        feed_id: _Lately(frozenset(), excerpts.repeated_images([image for _id, image in some]), {})
        for feed_id, some in latest.items()
    }
    for feed_id, group in groupby(gists.of(owner), key=lambda one: owner[one[0]]):
        told = list(group)
        lines = excerpts.repeated_lines(said.summary for _id, said in told)
        lines |= excerpts.repeated_lines(said.content for _id, said in told)
        mine = {id_: said for id_, said in told if id_ in arrived[feed_id]}
        found[feed_id] = found[feed_id]._replace(lines=lines, said=mine)
    return found


def _links(told: stories.Told) -> tuple[str, ...]:
    """Where it led, of more than one address."""
    url = told.link if told.url == told.link else urls.normalise(told.url)
    return tuple(dict.fromkeys(filter(None, (told.link, url, told.page_link))))


def _told(
    session: Session,
    newsletter_id: int,
    reads: Sequence[Read],
    links_tell: Mapping[int, bool],
    *,
    now: datetime,
) -> tuple[list[stories.Told], Tellings]:
    """What was told before and may be told again, by age; the `id` of each telling is "told", story and entry."""
    rows = stories.told_lately(
        session,
        newsletter_id,
        since=now - 2 * same_story.WINDOW,
        links={link for r in reads for link in (r.link, r.page.link if r.page else "")} - {""},
        believed=flood.OLDEST,
    )

    def one(i: int, links: tuple[str, ...]) -> Telling:
        row = rows[i]
        id_, tell = ("told", row.story_id, row.entry_id), links_tell.get(row.feed_id, True)
        return Telling(id_, row.title, links, row.feed_id, row.shown_at, tell, row.excerpt, row.author)

    return rows, Tellings(
        one,
        titles=[row.title for row in rows],
        links=[row.link for row in rows],
        several={i: _links(row) for i, row in enumerate(rows) if row.url != row.link or row.page_link},
        moments=[row.shown_at for row in rows],
        texts=[row.excerpt for row in rows],
    )


def _group(
    reads: Sequence[Read], told: Tellings, links_tell: Mapping[int, bool]
) -> tuple[same_story.Grouping, list[_Group]]:
    """Entries by story. An entry that tells a known story joins it, whatever else it is like."""
    ordered = sorted(reads, key=lambda read: (read.shown_at, read.entry.id))
    now = [
        Telling(
            read.entry.id,
            read.entry.title,
            read.links,
            read.entry.feed_id,
            read.shown_at,
            links_tell.get(read.entry.feed_id, True),
            read.prose,
            read.entry.author,
        )
        for read in ordered
    ]
    grouping = same_story.group(told.followed_by(Tellings.of(now)), settled=len(told))
    by_id = {read.entry.id: read for read in reads}
    groups = []
    for ids in grouping.groups:
        mine = [by_id[id_] for id_ in ids if isinstance(id_, int)]
        if mine:
            known = [id_[1] for id_ in ids if isinstance(id_, tuple)]
            groups.append(_Group(mine, min(known, default=None)))
    return grouping, groups


def _linked(
    session: Session,
    groups: Sequence[_Group],
    told: Sequence[stories.Told],
    tellings: Tellings,
    feeds: Mapping[int, entries.Reading],
) -> dict[tuple[str, int], set[str]]:
    """Sites that link to a story from a text on something else, by ("new", place among the groups) or ("told", id)."""
    stories_of = [("new", at) if group.known is None else ("told", group.known) for at, group in enumerate(groups)]
    reads = [(story, read) for story, group in zip(stories_of, groups, strict=True) for read in group.reads]
    whose = {read.entry.id: (story, read.family) for story, read in reads}
    tell: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for story, family_ in whose.values():
        tell[story].add(family_)
    texts = [cited.Text(*whose[id_], cited.links_in(text)) for id_, text in entries.linking(session, whose)]
    wanted = {link for text in texts for link in text.links}
    if not wanted:
        return {}
    leads: dict[str, tuple[str, int]] = {}
    # Of two stories with one address the first has it, and what was told is before what is new.
    place = {("told", told[i].story_id): i for i in range(len(told) - 1, -1, -1)}

    def lead(links: Iterable[str], story: tuple[str, int]) -> None:
        at = place.setdefault(story, len(told) + len(place))
        for link in wanted.intersection(links):
            if link not in leads or at < place[leads[link]]:
                leads[link] = story

    for i in tellings.having(wanted):
        lead(tellings.links(i), ("told", told[i].story_id))
    for story, read in reads:
        lead(read.links, story)

    @cache
    def families(story: tuple[str, int]) -> set[str]:
        before = {one.feed_id for one in told if story == ("told", one.story_id)}
        return tell[story] | {family(feeds[feed]) for feed in before & feeds.keys()}

    return cited.witnesses(leads, families, texts)


def _relate(session: Session, new: Sequence[_New], grouping: same_story.Grouping, told: Sequence[stories.Told]) -> None:
    """Write into each new story which others are like it, the likest first."""
    place: dict[Any, int] = {teller.entry_id: i for i, one in enumerate(new) for teller in one.told}

    alike = {id_ for join in grouping.related for id_ in (join.one, join.two) if isinstance(id_, tuple)}
    addresses = stories.addresses(session, (entry_id for _told, _story, entry_id in alike))
    earlier = (one for one in told if one.entry_id in addresses)
    before: dict[Any, tuple[str, str]] = {
        ("told", one.story_id, one.entry_id): (one.title, addresses[one.entry_id]) for one in earlier
    }
    found: defaultdict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
    for join in sorted(grouping.related, key=lambda join: -join.alike):
        for mine, other in ((join.one, join.two), (join.two, join.one)):
            if mine not in place or place[mine] == place.get(other):
                continue
            if other in place:
                title, url = new[place[other]].row["title"], new[place[other]].row["url"]
            elif other in before:
                title, url = before[other]
            else:
                continue
            found[place[mine]].setdefault(url, {"title": title, "url": url, "why": join.why})
    for i, related in found.items():
        new[i].row["reasons"]["related"] = list(related.values())[:3]
