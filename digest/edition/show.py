"""An edition to look at: rendered, with the reason for each of its stories."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from digest import render
from digest.config import Config
from digest.dataclass import dataclass
from digest.edition import pictures
from digest.edition.chosen import Choice, choices
from digest.edition.full_text import use_full_texts
from digest.edition.summaries import use_summaries
from digest.edition.variants import Draft, Press, matter_of, variants_of
from digest.edition.why import explain
from digest.errors import NotFound
from digest.models import EditionState
from digest.render import Rendered
from digest.store import Database, archive, edition_stories, editions, newsletters, recipients, stories
from digest.store.story_tables import Story


@dataclass(frozen=True)
class ShownStory:
    """A story in its place, and why it is there."""

    id: int
    seq: int  # the same in a rehearsal as when it is admitted, which an id need not be
    title: str
    topic: str
    source: str
    pinned: bool
    why: str
    excerpt: str = ""
    edited: bool = False
    bare: bool = False  # its picture was taken away
    chosen: bool = False  # it has a picture that an editor chose
    pictures: tuple[Choice, ...] = ()  # that it may have
    words: tuple[tuple[str, float], ...] = ()  # that counted for its topic, and how much
    parts: tuple[tuple[str, float], ...] = ()  # of its rank
    also: int = 0  # how many others tell it
    placed: int = 0  # among what is pinned, see `edition.arrange`


@dataclass(frozen=True)
class Shown:
    """What an editor looks at. `held` is true while it waits for approval."""

    number: int
    at: datetime
    rendered: Rendered
    stories: tuple[ShownStory, ...]
    left: tuple[tuple[int, str, str], ...]  # (seq, title, why) of what did not fit
    note: str
    held: bool = False


def use_known_texts(database: Database, name: str, config: Config, *, now: datetime) -> None:
    """Give what waits the pages and summaries that are known by now, as the next run does. Nobody is asked for any."""
    use_full_texts(database, name, config.curate)
    if config.curate.summarizer:
        use_summaries(database, name, config, now=now)


def preview(
    session: Session, name: str, config: Config, *, now: datetime, choices: recipients.Group | None = None
) -> Draft | None:
    """The edition that would be composed at this moment, due or not, for `choices` or for most readers.

    None where there are not enough stories. Where nobody subscribes yet, what the first reader would get.
    """
    settings = config.newsletters[name]
    row = newsletters.find(session, name)
    assert row.id is not None
    everything = recipients.Group(editions.composed_upto(session, row.id), "[]", "", plain=False)
    groups = [choices] if choices is not None else recipients.all_groups(session, row.id) or [everything]
    matter = matter_of(session, row, groups, config=config, now=now)
    press = Press(name, settings, config, pictures.pictured(session, matter, settings.images))
    shared = variants_of(groups, matter.stories, settings, press.cut(session, row.id, groups))
    if not shared:
        return None
    commonest = max(shared, key=lambda one: sum(group.readers for group in shared[one]))
    return press.draft(commonest)


def coming(session: Session, name: str, draft: Draft, *, at: datetime) -> Shown:
    """The edition that a draft would become."""
    return Shown(
        draft.page.number,
        at,
        draft.rendered,
        _by_hand(_stories(session, [story.id for story in draft.stories])),
        tuple((left.story.seq, left.story.title, left.why) for left in draft.left),
        draft.page.note,
    )


def shown(session: Session, name: str, number: int, *, email: str | None = None) -> Shown:
    """A composed edition, as `email` got it or in its fullest variant; NotFound where there is none."""
    edition = editions.row(session, name, number)
    if edition is None or edition.id is None:
        raise NotFound(f"{name} has no edition {number}", hint="`digest edition list` shows what there is")
    variant = (
        editions.variant_of(session, edition.id, email) if email else editions.fullest_variant(session, edition.id)
    )
    if variant is None:
        raise NotFound(f"{email} did not get No. {number}", hint="without --as it is the variant with most stories")
    if edition.pruned and not variant.text:
        kept = archive.shown(session, edition.id)
        if email or kept is None:
            raise NotFound(
                f"{name} No. {number} is pruned: its mails are kept no longer"
                + (", but for the one that the archive shows" if kept else ""),
                hint="without --as it is that one" if kept else "`mails_days` in [keep] says for how long they are",
            )
        variant = editions.variant(session, kept)
    carried = _stories(session, edition_stories.story_ids(session, variant.id or 0))
    is_held = edition.state is EditionState.HELD and not edition.laying_out
    titles = stories.by_id(session, [int(id_) for id_, _why in variant.left_out])
    return Shown(
        number,
        edition.composed_at,
        Rendered(variant.subject, variant.html, variant.text, marks=render.marks(variant.marks)),
        _by_hand(carried) if is_held else carried,
        tuple((titles[int(i)].seq, titles[int(i)].title, str(why)) for i, why in variant.left_out if int(i) in titles),
        edition.note,
        is_held,
    )


def _stories(session: Session, ids: list[int]) -> tuple[ShownStory, ...]:
    rows = stories.by_id(session, ids)
    return tuple(_shown(session, row) for id_ in ids if (row := rows.get(id_)) is not None)


def _by_hand(some: tuple[ShownStory, ...]) -> tuple[ShownStory, ...]:
    """First what an editor pinned, as it was arranged, then the others as they stand in the mail.

    The mail has them under their topics: the order decides who leads, who comes second, and who is first in a topic.
    """
    return tuple(sorted(some, key=lambda story: (not story.pinned, story.placed)))


def _shown(session: Session, row: Story) -> ShownStory:
    told = explain(session, row)
    return ShownStory(
        told["id"],
        row.seq,
        row.title,
        row.topic,
        row.source,
        row.pinned,
        str(told["topic_why"]),
        excerpt=row.excerpt,
        edited=bool(row.reasons.get("edited")),
        bare=bool(row.reasons.get("bare")),
        chosen=bool(row.reasons.get("picture")),
        pictures=choices(session, row),
        words=tuple(told["topic_words"].items()),
        parts=tuple((part, float(worth)) for part, worth in told["rank_parts"].items() if worth),
        placed=row.reasons.get("placed", 0),
        also=max(0, len(told["told_by"]) - 1),
    )
