"""Full texts in place of stubs: of which stories they are wished for, and what they change while nobody was sent them.

A page is read for a story that stands for an edition, so after admission: what comes later than that changes excerpt,
reading time and rank of a story that no edition has had to choose from, and never which entries tell one story. Where
the text is there before admission (another newsletter reads the feed too, or the story was taken back and comes again)
it is what the entry is judged by. Where the page is (`FullText.link`) tells later entries that they tell the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlmodel import Session

from digest import config, curate, identity, values
from digest.config import OTHER
from digest.curate import central, excerpts, rank, stubs, urls
from digest.dataclass import dataclass
from digest.identity import Evidence
from digest.parse import article, gist
from digest.parse.gist import Gist
from digest.store import Database, editions, full_texts, newsletters, stories
from digest.store.story_tables import Story

_SAID = 2_000  # characters of a feed's own words by which its page is known


def wanting(database: Database, name: str, settings: config.Config, *, now: datetime) -> list[values.Stub]:
    """The stubs among the stories that the next edition may carry, whose pages may be read now: the best stories first.

    What it may carry is what somebody would get of what no edition has had: who reads all topics, or one alone.
    """
    with database.read() as session:
        paper = newsletters.find(session, name)
        paper_id = cast(int, paper.id)
        if not full_texts.wished_for(session, paper_id):
            return []
        new = stories.since(session, paper_id, since=editions.composed_upto(session, paper_id), upto=paper.seq)
        wanted = likely(new, settings.newsletters[name], settings.curate, now=now)
        found = []
        for one in full_texts.candidates(session, wanted, now=now):
            said = gist.unpack(one.gist)
            if said is None:
                continue  # of an older release: admission makes it
            url = urls.leads_to(one.url, one.original_url, said.links)
            if urls.bare(urls.normalise(url)) or not identity.links_tell(Evidence.of(one.evidence), one.identity):
                continue  # one page for many entries is none of theirs
            if why := stubs.reason(said, title=one.title):
                words = " ".join(line.kept for line in (*said.summary, *said.content) if line.kept)[:_SAID]
                place = (one.feed_url, one.headers, one.proxy, one.ca_file)
                found.append(values.Stub(one.entry_id, url, one.title, words, why, *place))
        return found


def likely(
    new: Sequence[values.Story],
    settings: config.Newsletter,
    curate_settings: config.Curate,
    *,
    now: datetime,
    first: int | None = None,
) -> list[int]:
    """The stories that the next edition may carry (the `first` of each choice), by their ids: the best first."""
    found: dict[int, None] = {}
    paper = curate.Paper(rhythm=settings.slots.rhythm(now) if settings.slots else timedelta(days=1))
    for topics in ((), *((slug,) for slug in (*settings.known_topics, OTHER))):
        chosen = curate.pick(
            new, topics=frozenset(topics), limit=settings.max_stories, curate=curate_settings, now=now, paper=paper
        )
        found |= dict.fromkeys(story.id for story in chosen.stories[:first])
    return list(found)


@dataclass(frozen=True)
class Change:
    """What its page makes of a story that stands for an edition."""

    story_id: int
    entry_id: int
    excerpt: str
    minutes: int
    central: central.Central | None = None


def use_full_texts(database: Database, name: str, settings: config.Curate) -> int:
    """Give the stories that no edition has had the excerpts and reading times of their pages; how many there were.

    Texts are worked on in no transaction; a story that an edition takes meanwhile stays as it is.
    """
    with database.read() as session:
        paper_id = cast(int, newsletters.find(session, name).id)
        if not full_texts.wished_for(session, paper_id):
            return 0
        rows = full_texts.standing(session, paper_id, after=editions.composed_upto(session, paper_id))
        rows = [(story, feed_id) for story, feed_id in rows if not from_page(story.reasons)]
        changes = list(_changes(session, rows, settings))
    if not changes:
        return 0
    done = 0
    with database.write() as session:
        paper_id = cast(int, newsletters.lock(session, name).id)
        had = editions.composed_upto(session, paper_id)
        known = stories.by_id(session, [change.story_id for change in changes])
        for change in changes:
            story = known.get(change.story_id)
            if story is not None and story.seq > had and story.entry_id == change.entry_id:
                _change(story, change, settings)
                session.add(story)
                done += 1
    return done


def _changes(session: Session, rows: Sequence[tuple[Story, int]], settings: config.Curate) -> Iterable[Change]:
    texts = Texts(session)
    pages = texts.of([story.entry_id for story, _feed in rows])
    for story, feed_id in rows:
        page = pages[story.entry_id]
        known = texts.repeated(feed_id)
        prose = excerpts.prose_of(page.said, title=story.title, known=known)
        excerpt = excerpts.cut(prose, settings.excerpt_length)
        chosen = central.wanted(page.said, story.title, story.language, settings, known)
        excerpt = chosen.text if chosen is not None and chosen.text else excerpt
        yield Change(cast(int, story.id), story.entry_id, excerpt, page.said.minutes, chosen)


def _change(story: Story, change: Change, settings: config.Curate) -> None:
    reasons: dict[str, Any] = dict(story.reasons)
    edited: dict[str, str] = reasons.get("edited", {})
    if change.excerpt and change.excerpt != edited.get("title", story.title):
        reasons.pop("summary", None)  # what was there before is gone, whoever chose or wrote it
        reasons |= central.kept(change.central) if change.central is not None else {}
        if "excerpt" in edited:  # what they get back who take their own away
            reasons["edited"] = edited | {"excerpt": change.excerpt}
        else:
            worth = dict(reasons.get("rank", {}))
            worth["excerpt"] = rank.of_excerpt(settings, change.excerpt)
            story.excerpt = change.excerpt
            story.rank = round(sum(worth.values()), 3)
            reasons["rank"] = worth
    story.reading_minutes = change.minutes
    story.reasons = reasons | {"excerpt": "page"}


def from_page(reasons: Mapping[str, Any]) -> bool:
    """Whether a story's excerpt is of its entry's page, by the reasons kept with it."""
    return reasons.get("excerpt") == "page"


@dataclass(frozen=True)
class PageText:
    """What a page says in place of what its feed gives, and where it is, normalised ("": where the entry said)."""

    said: Gist
    link: str


class Texts:
    """The texts of pages that were taken, and what the pages of a feed repeat."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._repeated: dict[int, frozenset[str]] = {}

    def of(self, entry_ids: Iterable[int]) -> dict[int, PageText]:
        """By entry; of one whose page was not taken there is none."""
        found = full_texts.taken(self._session, entry_ids)
        return {one.entry_id: PageText(self._said(one), one.link) for one in found.values()}

    def _said(self, one: full_texts.Taken) -> Gist:
        said = gist.unpack(one.gist)  # None: of another release
        return said or cast(Gist, gist.unpack(article.gist_of(full_texts.text(self._session, one.entry_id))))

    def repeated(self, feed_id: int) -> frozenset[str]:
        """Lines that stand in several of a feed's last pages: they are the site's, not an entry's."""
        if feed_id not in self._repeated:
            packed = full_texts.lately(self._session, feed_id, limit=excerpts.RESIDUE_ENTRIES)
            said = [found.content for found in map(gist.unpack, packed) if found is not None]
            self._repeated[feed_id] = excerpts.repeated_lines(said)
        return self._repeated[feed_id]
