"""What was decided about entries, and the stories made of them: what composition asks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from hashlib import blake2b
from operator import itemgetter
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest import recordings, values, writers
from digest.models import Feed, Variant
from digest.store import pictures, undecided
from digest.store.database import batched
from digest.store.feed_tables import FullText
from digest.store.story_tables import Admission, Entry, Story, VariantStory
from digest.untracked import page_key, untracked


def to_take_back(session: Session, newsletter_id: int, *, upto: int) -> list[tuple[int, int, bool]]:
    """Decisions about entries that were withdrawn since, of whose stories no edition had the choice.

    Entry, story, and whether the entry stands for it; `upto` is the last story seq that an edition had.
    """
    rows = session.execute(
        sa.select(col(Admission.entry_id), col(Admission.story_id), col(Story.entry_id) == col(Admission.entry_id))
        .join(Entry, col(Entry.id) == col(Admission.entry_id))
        .join(Story, col(Story.id) == col(Admission.story_id))
        .where(
            col(Story.newsletter_id) == newsletter_id,
            col(Story.seq) > upto,
            col(Story.dropped).is_(False),
            col(Entry.withdrawn_at).is_not(None),
        )
    )
    return [(row[0], row[1], bool(row[2])) for row in rows]


def take_back(session: Session, newsletter_id: int, *, upto: int) -> None:
    """Undo the decisions `to_take_back`.

    An entry that comes back is decided about anew, and so are the others that told a story for which it stood.
    """
    rows = to_take_back(session, newsletter_id, upto=upto)
    stories = {story_id for _entry, story_id, stands in rows if stands}
    for some in batched(sorted(stories)):
        undecided.taken_back(session, col(Admission.story_id).in_(some))
        session.execute(sa.delete(Story).where(col(Story.id).in_(some)))
    for some in batched(sorted(entry_id for entry_id, story_id, _stands in rows if story_id not in stories)):
        ours = (col(Admission.newsletter_id) == newsletter_id, col(Admission.entry_id).in_(some))
        undecided.taken_back(session, *ours)


def withdrawn_of(session: Session, variant: Variant) -> list[tuple[str, str]]:
    """Title and source of the stories in a variant that everyone who told them took back since."""
    told = sa.select(col(Admission.entry_id)).join(Entry, col(Entry.id) == col(Admission.entry_id))
    told = told.where(col(Admission.story_id) == col(Story.id))
    rows = session.execute(
        sa.select(col(Story.title), col(Story.source))
        .join(VariantStory, col(VariantStory.story_id) == col(Story.id))
        .where(
            col(VariantStory.variant_id) == variant.id,
            told.where(col(Entry.withdrawn_at).is_not(None)).exists(),
            ~told.where(col(Entry.withdrawn_at).is_(None)).exists(),
        )
        .order_by(col(VariantStory.position))
    )
    return [(row[0], row[1]) for row in rows]


_AT_ONCE = 1000  # rows of what was told


class Told(NamedTuple):
    """An entry that made or joined a story."""

    story_id: int
    entry_id: int
    feed_id: int
    title: str
    url: str
    link: str
    shown_at: datetime  # when it was published, or seen where that cannot be believed
    page_link: str = ""  # where its page was found to be
    author: str = ""
    excerpt: str = ""  # of its story, where it represents that


def told_lately(
    session: Session, newsletter_id: int, *, since: datetime, links: Iterable[str], believed: datetime
) -> list[Told]:
    """What told the stories decided about from `since` on, and whatever had one of these links, however long ago.

    By the ids of the entries. Publishers' dates before `believed` are not.
    """
    published, seen = col(Entry.published_at), col(Entry.seen_at)
    query = (
        sa.select(
            col(Admission.story_id),
            col(Admission.entry_id),
            col(Entry.feed_id),
            col(Entry.title),
            col(Entry.url),
            col(Admission.link),
            sa.case(((published >= believed) & (published < seen), published), else_=seen),
            sa.func.coalesce(col(FullText.link), ""),
            col(Entry.author),
            sa.func.coalesce(col(Story.excerpt), ""),
        )
        .join(Entry, col(Entry.id) == col(Admission.entry_id))
        .outerjoin(Story, (col(Story.id) == col(Admission.story_id)) & (col(Story.entry_id) == col(Entry.id)))
        .outerjoin(FullText, col(FullText.entry_id) == col(Entry.id))
        .where(col(Admission.newsletter_id) == newsletter_id, col(Admission.story_id).is_not(None))
    )
    session.flush()
    core = session.connection()  # what a session does to each row beside is of use to objects alone
    found = list[Told]()
    for rows in core.execute(query.where(col(Admission.decided_at) >= since)).partitions(_AT_ONCE):
        found += map(_told, rows)
    known = {told.entry_id for told in found}
    for some in batched(sorted(links)):
        led = sa.select(col(FullText.entry_id)).where(col(FullText.link).in_(some))
        for such in (col(Admission.link).in_(some), col(Admission.entry_id).in_(led)):
            others = [told for told in map(_told, core.execute(query.where(such))) if told.entry_id not in known]
            known.update(told.entry_id for told in others)
            found += others
    return sorted(found, key=itemgetter(1))


_told = cast(Callable[[Any], Told], partial(tuple.__new__, Told))  # as `_make`: thousands are, and it takes a third


def addresses(session: Session, entry_ids: Iterable[int]) -> dict[int, str]:
    """Where these entries lead, by their ids."""
    found: dict[int, str] = {}
    for some in batched(sorted(entry_ids)):
        rows = session.execute(sa.select(col(Entry.id), col(Entry.url)).where(col(Entry.id).in_(some)))
        found |= {row[0]: row[1] for row in rows}
    return found


def by_seq(session: Session, newsletter_id: int, seqs: Iterable[int]) -> dict[int, int]:
    """Ids of the stories with these places in the order of admission, by place."""
    found: dict[int, int] = {}
    for some in batched(sorted(set(seqs))):
        query = sa.select(col(Story.seq), col(Story.id))
        rows = session.execute(query.where(col(Story.newsletter_id) == newsletter_id, col(Story.seq).in_(some)))
        found |= {row[0]: row[1] for row in rows}
    return found


def topic_counts(session: Session, newsletter_id: int) -> dict[str, int]:
    """How many stories there are under each topic."""
    rows = session.execute(
        sa.select(col(Story.topic), sa.func.count())
        .where(col(Story.newsletter_id) == newsletter_id)
        .group_by(col(Story.topic))
    )
    return {row[0]: row[1] for row in rows}


def by_id(session: Session, ids: Iterable[int | None]) -> dict[int, Story]:
    """The rows of these stories."""
    found: dict[int, Story] = {}
    for some in batched(sorted(id_ for id_ in ids if id_ is not None)):
        found |= {cast(int, story.id): story for story in session.exec(select(Story).where(col(Story.id).in_(some)))}
    return found


def add(session: Session, newsletter_id: int, rows: Iterable[dict[str, Any]]) -> dict[int, int]:
    """Write a newsletter's stories, one row of values each, a batch at a time; the new ids by `seq`."""
    seqs: list[int] = []
    for some in batched(rows):  # what is bound is a copy of it
        session.connection().execute(sa.insert(Story), some)
        seqs += [row["seq"] for row in some]
    if not seqs:
        return {}
    found = session.execute(
        sa.select(col(Story.seq), col(Story.id)).where(
            col(Story.newsletter_id) == newsletter_id, col(Story.seq) >= min(seqs)
        )
    )
    return {row[0]: row[1] for row in found}


def add_admissions(session: Session, rows: Iterable[dict[str, Any]]) -> None:
    """Write a newsletter's decisions, one row of values each: made as they are taken, a batch at a time."""
    for some in batched(rows):
        session.connection().execute(sa.insert(Admission), some)
        undecided.decided(session, some[0]["newsletter_id"], [row["entry_id"] for row in some])


def since(session: Session, newsletter_id: int, *, since: int, upto: int) -> list[values.Story]:
    """The stories with `since < seq <= upto` that no editor dropped and nobody took back, in that order.

    With who else tells them.
    """
    # As columns: an edition may have thousands to choose from, and an object of each would be kept and never changed.
    rows = session.execute(
        sa.select(*(col(getattr(Story, name)) for name in _TOLD), col(Entry.feed_id))
        .join(Entry, col(Entry.id) == col(Story.entry_id))
        .where(
            col(Story.newsletter_id) == newsletter_id,
            col(Story.seq) > since,
            col(Story.seq) <= upto,
            col(Story.dropped).is_(False),
        )
        .order_by(col(Story.seq))
    )
    told: list[values.Story] = []
    # The reasons kept with a story are many times as large as what is told of them; `partitions` alone makes all rows.
    for some in rows.yield_per(500).partitions():
        told += as_told(session, [(cast(Story, row), row.feed_id) for row in some])
    return [story for story in told if not story.withdrawn]


def decided(session: Session, newsletter_id: int, *, since: int, upto: int) -> bytes:
    """The same as long as nobody decides anything about what `since` tells: an editor, a source that takes it back.

    Not the other way round: it is another one too where a source more tells one of them. Nothing is read into values.
    """
    ours = col(Story.newsletter_id) == newsletter_id, col(Story.seq) > since, col(Story.seq) <= upto
    names: list[Any] = [col(one) for one in (Story.seq, Story.topic, Story.pinned, Story.title, Story.excerpt)]
    rows = sa.select(*names, sa.cast(col(Story.reasons), sa.Text)).where(*ours, col(Story.dropped).is_(False))
    back = sa.select(col(Entry.id)).join(Admission, col(Admission.entry_id) == col(Entry.id))
    back = back.join(Story, col(Story.id) == col(Admission.story_id)).where(*ours, col(Entry.withdrawn_at).is_not(None))
    mark = blake2b(digest_size=16)
    for query in (rows.order_by(col(Story.seq)), back.order_by(col(Entry.id))):
        for row in session.execute(query).yield_per(500):
            mark.update(repr(tuple(row)).encode())
    return mark.digest()


# What `_value` asks of a story.
_TOLD = (
    *("id", "seq", "topic", "url", "title", "source", "author", "excerpt", "language", "image_url", "reading_minutes"),
    *("published_at", "rank", "pinned", "reasons", "entry_id"),
)


def as_told(session: Session, rows: Sequence[tuple[Story, int]]) -> list[values.Story]:
    """Stories, each with the id of the feed it is told by, as values that say who else tells them."""
    tellers = _tellers(session, [story.id for story, _ in rows if story.id is not None])
    return [_value(story, feed_id=feed_id, tellers=tellers[cast(int, story.id)]) for story, feed_id in rows]


def told(session: Session, story: Story) -> values.Story:
    """One story as a value that says who else tells it."""
    return as_told(session, [(story, session.get_one(Entry, story.entry_id).feed_id)])[0]


def summary_of(reasons: Mapping[str, Any]) -> Literal["", "central", "machine"]:
    """Whether a story's excerpt is a summary, by the reasons kept with it: an editor's words are none of that."""
    how = (reasons.get("summary") or {}).get("how", "")
    return how if how in ("central", "machine") and "excerpt" not in reasons.get("edited", {}) else ""


class _ToldBy(NamedTuple):
    entry_id: int
    feed_id: int
    feed_title: str
    feed_url: str
    site_url: str
    url: str
    withdrawn: bool
    enclosures: Sequence[dict[str, Any]]

    @property
    def host(self) -> str:
        """A site with several feeds tells a story once."""
        return (urlsplit(self.site_url or self.feed_url).hostname or "").removeprefix("www.")


def _value(story: Story, *, feed_id: int, tellers: Sequence[_ToldBy]) -> values.Story:
    """A row as a value, with each site that tells it besides the one it is told by here, at a page of its own."""
    told = {teller.host for teller in tellers if teller.entry_id == story.entry_id}
    pages = {page_key(story.url)} if len(tellers) > 1 else set()
    also = []
    for teller in tellers if len(tellers) > 1 else ():
        page = page_key(teller.url)
        if teller.host not in told and page not in pages:
            told.add(teller.host)
            pages.add(page)
            also.append(
                values.Source(
                    writers.source(teller.feed_title, teller.site_url or teller.feed_url), untracked(teller.url)
                )
            )
    return values.Story(
        id=cast(int, story.id),
        seq=story.seq,
        topic=story.topic,
        url=story.url,
        title=story.title,
        source=story.source,
        author=story.author,
        excerpt=story.excerpt,
        language=story.language,
        image_url=story.image_url,
        reading_minutes=story.reading_minutes,
        published_at=story.published_at,
        rank=story.rank,
        pinned=story.pinned,
        feed_id=feed_id,
        also=tuple(also),
        related=tuple(values.Source(r["title"], untracked(r["url"])) for r in story.reasons.get("related", ())),
        dated=not story.reasons.get("rank", {}).get("undated"),
        withdrawn=bool(tellers) and all(teller.withdrawn for teller in tellers),
        feeds=tuple(dict.fromkeys(teller.feed_id for teller in tellers if not teller.withdrawn)),
        recording=_recording(story.entry_id, tellers),
        placed=story.reasons.get("placed", 0),
        edited=bool(story.reasons.get("edited")),
        summary=summary_of(story.reasons),
        bare=bool(story.reasons.get("bare")),
        follows=story.reasons["earlier"]["story"] if "earlier" in story.reasons else None,
        picture=pictures.chosen(story.reasons),
        chosen=(story.reasons.get("picture") or {}).get("url", ""),
    )


def _recording(entry_id: int, tellers: Sequence[_ToldBy]) -> values.Recording | None:
    """The file that whoever stands for a story encloses, else another who tells it and did not take it back."""
    for teller in sorted(tellers, key=lambda one: one.entry_id != entry_id) if len(tellers) > 1 else tellers:
        for file in () if teller.withdrawn else teller.enclosures:
            if kind := recordings.kind(file.get("type", ""), file.get("url", "")):
                seconds, size = file.get("seconds", 0), file.get("size_bytes", 0)
                return values.Recording(file["url"], kind, file.get("type", ""), seconds, size)
    return None


def _tellers(session: Session, story_ids: Iterable[int]) -> defaultdict[int, list[_ToldBy]]:
    found: defaultdict[int, list[_ToldBy]] = defaultdict(list)
    for chunk in batched(story_ids):
        for story_id, *teller in session.execute(
            sa.select(
                col(Admission.story_id),
                col(Entry.id),
                col(Feed.id),
                col(Feed.title),
                col(Feed.url),
                col(Feed.site_url),
                col(Entry.url),
                col(Entry.withdrawn_at).is_not(None),
                col(Entry.enclosures),
            )
            .join(Entry, col(Entry.id) == col(Admission.entry_id))
            .join(Feed, col(Feed.id) == col(Entry.feed_id))
            .where(col(Admission.story_id).in_(chunk))
            .order_by(col(Entry.id))
        ):
            found[story_id].append(_ToldBy(*teller))
    return found
