"""Admission: each entry of a newsletter's feeds is decided about once, and the decision is kept with its reason."""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple, cast

from sqlmodel import Session

from digest import config, store
from digest.curate import excerpts, flood, rank, rules, stories, topics, urls
from digest.errors import ConfigError
from digest.models import Decision, Story
from digest.store.stories import Reading, Told, Waiting

_JUDGED = 320  # characters of prose by which a topic is judged; more is shown only where it is set so


@dataclass(frozen=True)
class Admitted:
    """What became of the entries that waited."""

    stories: int = 0
    joined: int = 0
    muted: int = 0
    held: int = 0


@dataclass(frozen=True)
class _Read:
    """An entry read: what it says, where it leads, and what was judged of it."""

    entry: Waiting
    feed: Reading
    url: str
    link: str
    prose: str
    minutes: int
    image: str
    verdict: rules.Verdict
    shown_at: datetime

    @property
    def site(self) -> str:
        """The site of the feed; several feeds of one site tell a story once."""
        return urls.site(urls.normalise(self.feed.site_url or self.feed.url)).partition("/")[0]

    @property
    def own(self) -> bool:
        """Whether the feed tells what its own site wrote, and does not only point at it."""
        return urls.site(self.link).partition("/")[0] in (
            self.site,
            urls.site(urls.normalise(self.feed.url)).partition("/")[0],
        )


class _Group(NamedTuple):
    """What told one story: entries just read, and the story that had been told before, if any."""

    reads: list[_Read]
    known: int | None


def admit(
    session: Session, name: str, settings: config.Newsletter, curate_settings: config.Curate, *, now: datetime
) -> Admitted:
    """Decide about every entry that waits, in the caller's transaction, alone with this newsletter.

    Stories get increasing `seq`. Whoever comes second finds nothing waiting: killed half way, nothing is
    decided and the next call does it all. Raises ConfigError where `curate.scorer` cannot be loaded.
    """
    newsletter = store.lock_newsletter(session, name)
    newsletter_id = cast(int, newsletter.id)
    waiting = store.waiting_entries(session, newsletter_id)
    if not waiting:
        return Admitted()
    feeds = store.readings(session, newsletter_id)
    minutes = _Minutes(newsletter_id, now)
    fresh = _muted_and_held(waiting, feeds, settings, curate_settings, minutes, now=now)
    judge = Judge(session, newsletter_id, settings, curate_settings)
    reads = []
    for read in _read(session, fresh, feeds, judge, curate_settings, now=now):
        if read.entry.title or read.prose:
            reads.append(read)
        else:
            minutes.decide(read.entry, Decision.HELD, "there is neither title nor text to show")
    told = store.told_lately(
        session, newsletter_id, since=now - 2 * stories.WINDOW, links={r.link for r in reads} - {""}
    )
    grouping, groups = _group(reads, told)
    sent_upto = store.composed_upto(session, newsletter_id)

    why = {join.two: join.why for join in grouping.joins} | {
        join.one: join.why for join in grouping.joins if join.one not in {j.two for j in grouping.joins}
    }
    rows: list[dict[str, Any]] = []
    pending: list[tuple[int, _Group, _Read]] = []
    known_stories = store.stories_by_id(session, {group.known for group in groups if group.known is not None})
    for group in groups:
        best = min(group.reads, key=_representative)
        if group.known is not None:
            story = known_stories[group.known]
            _told_again(story, group.reads, best, sent=story.seq <= sent_upto, settings=curate_settings)
            session.add(story)
            for read in group.reads:
                minutes.decide(read.entry, Decision.JOINED, why.get(read.entry.id, "same link"), read.link, group.known)
            continue
        newsletter.seq += 1
        rows.append(
            _story(best, group.reads, settings, curate_settings, now=now)
            | {"newsletter_id": newsletter_id, "seq": newsletter.seq}
        )
        pending.append((newsletter.seq, group, best))
    _relate(rows, pending, grouping, told)
    ids = store.add_stories(session, rows)
    for seq, group, best in pending:
        for read in group.reads:
            if read is best:
                minutes.decide(read.entry, Decision.STORY, read.verdict.why, read.link, ids[seq])
            else:
                minutes.decide(read.entry, Decision.JOINED, why.get(read.entry.id, "same link"), read.link, ids[seq])
    session.add(newsletter)
    store.add_admissions(session, minutes.rows)
    return minutes.count()


class _Minutes:
    """The decisions of one admission, as rows to write."""

    def __init__(self, newsletter_id: int, now: datetime) -> None:
        self._common = {"newsletter_id": newsletter_id, "decided_at": now}
        self.rows: list[dict[str, Any]] = []

    def decide(
        self, entry: Waiting, decision: Decision, reason: str, link: str = "", story_id: int | None = None
    ) -> None:
        self.rows.append(
            self._common
            | {"entry_id": entry.id, "decision": decision, "reason": reason, "link": link, "story_id": story_id}
        )

    def count(self) -> Admitted:
        decisions = [row["decision"] for row in self.rows]
        return Admitted(
            stories=decisions.count(Decision.STORY),
            joined=decisions.count(Decision.JOINED),
            muted=decisions.count(Decision.MUTED),
            held=decisions.count(Decision.HELD),
        )


class Judge:
    """Rules, category maps and the words of a newsletter. It learns when it is first asked about words."""

    def __init__(
        self, session: Session, newsletter_id: int, settings: config.Newsletter, curate_settings: config.Curate
    ) -> None:
        self._session = session
        self._newsletter_id = newsletter_id
        self._settings = settings
        self._curate = curate_settings

    @cached_property
    def placer(self) -> topics.Placer:
        headings = topics.headings(self._settings.topics)
        labels = [
            topics.Label(
                topics.Text.of(row.title, excerpts.prose(row.summary, row.content, title=row.title)[:_JUDGED], row.url),
                row.topic,
                urls.site(urls.normalise(row.url)),
            )
            for row in store.labelled_entries(self._session, self._newsletter_id)
            if row.topic in headings or row.topic == config.OTHER
        ]
        trainer = scorer(self._curate.scorer)
        return topics.train(headings, labels, precision=self._curate.precision, trainer=trainer)

    def place(self, title: str, prose: str, url: str) -> topics.Placement:
        """Where the words alone would put an entry."""
        return self.placer.place(topics.Text.of(title, prose[:_JUDGED], url))

    def judge(self, entry: Waiting, feed: Reading, url: str, prose: str) -> rules.Verdict:
        text = topics.Text.of(entry.title, prose[:_JUDGED], url)
        return rules.judge(subject(entry, feed, url), text, settings=self._settings, placer=self.placer)


def scorer(name: str) -> topics.Trainer:
    """The scorer of the settings, "package.module:train", or ours. ConfigError where it cannot be loaded."""
    if not name:
        return topics.NaiveBayes
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
        if not callable(found):
            raise TypeError(f"{function} is no function")
    except Exception as error:  # it is the operator's code: whatever is wrong with it, they read of it here
        raise ConfigError(
            f"curate.scorer {name!r} cannot be loaded: {error}",
            hint="write 'package.module:function', of a package installed beside digest",
        ) from None
    return cast(topics.Trainer, found)


def subject(entry: Waiting, feed: Reading, url: str) -> rules.Subject:
    """What rules look at."""
    return rules.Subject(
        feed.title, feed.url, feed.topic, url, entry.author, entry.title, tuple(map(str, entry.categories or ()))
    )


def _muted_and_held(
    waiting: Sequence[Waiting],
    feeds: Mapping[int, Reading],
    settings: config.Newsletter,
    curate_settings: config.Curate,
    minutes: _Minutes,
    *,
    now: datetime,
) -> list[Waiting]:
    """What is left of the entries after the rules that mute, and after what a new or flooding feed brings at once."""
    fresh: list[Waiting] = []
    for feed_id, group in groupby(waiting, key=lambda entry: entry.feed_id):
        entries = []
        for entry in group:
            reason = rules.muted(settings.rules, subject(entry, feeds[feed_id], entry.original_url or entry.url))
            if reason:
                minutes.decide(entry, Decision.MUTED, reason)
            else:
                entries.append(entry)
        held = flood.held(
            [flood.Arrival(entry.id, entry.published_at) for entry in entries],
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
    fresh: Sequence[Waiting],
    feeds: Mapping[int, Reading],
    judge: Judge,
    settings: config.Curate,
    *,
    now: datetime,
) -> Iterator[_Read]:
    """Feed by feed, so that the texts of one feed only are in memory."""
    for feed_id, group in groupby(fresh, key=lambda entry: entry.feed_id):
        entries = list(group)
        lately = store.latest_texts(session, feed_id, limit=excerpts.RESIDUE_ENTRIES)
        known = excerpts.residue(text.summary for text in lately) | excerpts.residue(text.content for text in lately)
        repeated = excerpts.repeated_images([text.image_url for text in lately])
        for entry, summary, content in store.with_texts(session, entries):
            url = urls.real_link(entry.url, entry.original_url, summary or content)
            prose = excerpts.prose(summary, content, title=entry.title, known=known)
            yield _Read(
                entry=entry,
                feed=feeds[feed_id],
                url=url,
                link=urls.normalise(url),
                prose=prose[: max(_JUDGED, 2 * settings.excerpt_length)],
                minutes=excerpts.reading_minutes(content or summary),
                image=excerpts.image(entry.image_url, repeated=repeated),
                verdict=judge.judge(entry, feeds[feed_id], url, prose),
                shown_at=flood.shown_date(entry.published_at, seen_at=min(entry.seen_at, now)),
            )


def _group(reads: Sequence[_Read], told: Sequence[Told]) -> tuple[stories.Grouping, list[_Group]]:
    """Entries by story. An entry that tells a known story joins it, whatever else it is like."""
    before = [
        stories.Telling(
            ("told", t.story_id, t.entry_id),
            t.title,
            tuple(dict.fromkeys(filter(None, (t.link, urls.normalise(t.url))))),
            t.feed_id,
            flood.shown_date(t.published_at, seen_at=t.seen_at),
        )
        for t in told
    ]
    ordered = sorted(reads, key=lambda read: (read.shown_at, read.entry.id))
    now = [
        stories.Telling(
            read.entry.id,
            read.entry.title,
            tuple(dict.fromkeys(filter(None, (read.link, urls.normalise(read.entry.url))))),
            read.entry.feed_id,
            read.shown_at,
        )
        for read in ordered
    ]
    grouping = stories.group([*before, *now], settled=len(before))
    by_id = {read.entry.id: read for read in reads}
    groups = []
    for ids in grouping.groups:
        mine = [by_id[id_] for id_ in ids if isinstance(id_, int)]
        if mine:
            known = [id_[1] for id_ in ids if isinstance(id_, tuple)]
            groups.append(_Group(mine, min(known, default=None)))
    return grouping, groups


def _representative(read: _Read) -> tuple[bool, int, datetime, int]:
    """The original site before an aggregator, the longest excerpt, the earliest."""
    return not read.own, -len(read.prose), read.shown_at, read.entry.id


def _story(
    best: _Read, reads: Sequence[_Read], settings: config.Newsletter, curate_settings: config.Curate, *, now: datetime
) -> dict[str, Any]:
    """The values of a new story. Its topic is the surest of those that its entries were given."""
    surest = max(reads, key=lambda read: (_STEPS.index(read.verdict.step), read.verdict.fit, read is best))
    verdict = surest.verdict
    told = _told(best, curate_settings)
    worth = rank.parts(
        curate_settings,
        sources=len({read.site for read in reads}),
        feed=rules.weight(subject(best.entry, best.feed, best.url), settings.feed_weights),
        fit=verdict.fit,
        excerpt=told["excerpt"],
        boost=sum(read.verdict.boost for read in reads),
        age_unknown=not best.feed.known and not flood.usable(best.entry.published_at, now=now),
    )
    return told | {
        "topic": verdict.topic,
        "topic_step": verdict.step,
        "admitted_at": now,
        "rank": round(sum(worth.values()), 3),
        "pinned": any(read.verdict.pinned for read in reads),
        "dropped": False,
        "reasons": {
            "topic": {
                "step": verdict.step,
                "why": verdict.why,
                "fit": round(verdict.fit, 3),
                "words": [[word, round(worth_, 2)] for word, worth_ in verdict.words],
            },
            "rules": sorted({rule for read in reads for rule in read.verdict.rules}),
            "rank": worth,
            "own": best.own,
            "told_by": sorted({read.site for read in reads}),
            "related": [],
        },
    }


_STEPS = ("none", "keywords", "words", "category", "feed", "rule")  # the surest last


def _told(best: _Read, settings: config.Curate) -> dict[str, Any]:
    """The part of a story's values that is its representative's."""
    # What has no title, as notes on a microblog have none, is called by its first words.
    title = best.entry.title or excerpts.cut(best.prose, 80)
    excerpt = excerpts.cut(best.prose, settings.excerpt_length)
    return {
        "entry_id": best.entry.id,
        "url": best.url or best.feed.site_url or best.feed.url,
        "title": title,
        "source": best.feed.title or best.feed.url,
        "author": best.entry.author,
        "excerpt": "" if excerpt == title else excerpt,
        "language": best.entry.language,
        "image_url": best.image,
        "reading_minutes": best.minutes,
        "published_at": best.shown_at,
    }


def _told_again(story: Story, reads: Sequence[_Read], best: _Read, *, sent: bool, settings: config.Curate) -> None:
    """A known story is told by more: it gains rank and perhaps a better telling, unless it has gone out already."""
    if sent:
        return
    reasons = dict(story.reasons)
    worth = dict(reasons["rank"])
    told_by = sorted({*reasons["told_by"], *(read.site for read in reads)})
    if best.own and not reasons["own"]:
        for field, value in _told(best, settings).items():
            setattr(story, field, value)
        reasons["own"] = True
    again = rank.parts(
        settings,
        sources=len(told_by),
        feed=worth["feed"],
        fit=reasons["topic"]["fit"],
        excerpt=story.excerpt,
        boost=worth["boost"] + sum(read.verdict.boost for read in reads),
        age_unknown=worth["undated"] < 0,
    )
    story.rank = round(sum(again.values()), 3)
    story.pinned = story.pinned or any(read.verdict.pinned for read in reads)
    story.reasons = reasons | {"rank": again, "told_by": told_by}


def _relate(
    rows: Sequence[dict[str, Any]],
    pending: Sequence[tuple[int, _Group, _Read]],
    grouping: stories.Grouping,
    told: Sequence[Told],
) -> None:
    """Write into each new story which others are like it, the likest first."""
    place: dict[Any, int] = {read.entry.id: i for i, (_seq, group, _best) in enumerate(pending) for read in group.reads}
    before: dict[Any, Told] = {("told", t.story_id, t.entry_id): t for t in told}
    found: defaultdict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
    for join in sorted(grouping.related, key=lambda join: -join.alike):
        for mine, other in ((join.one, join.two), (join.two, join.one)):
            if mine not in place or place[mine] == place.get(other):
                continue
            if other in place:
                title, url = rows[place[other]]["title"], rows[place[other]]["url"]
            elif other in before:
                title, url = before[other].title, before[other].url
            else:
                continue
            found[place[mine]].setdefault(url, {"title": title, "url": url, "why": join.why})
    for i, related in found.items():
        rows[i]["reasons"]["related"] = list(related.values())[:3]
