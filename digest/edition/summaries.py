"""Summaries by a machine: of which stories they are wished for, and what they change while nobody was sent them.

As with `full_text`: a text is worked on in no transaction, and a story that an edition took meanwhile stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

from sqlmodel import Session

from digest import config
from digest.curate import summaries
from digest.dataclass import dataclass
from digest.edition.full_text import Texts, likely
from digest.edition.judge import Gists
from digest.store import Database, editions, newsletters, stories
from digest.store import summaries as stored
from digest.store.story_tables import Story


@dataclass(frozen=True)
class Wanted:
    """A summary that is wished for: by its mark, of this matter."""

    mark: str
    matter: summaries.Matter


def by_whom(settings: config.Config) -> str:
    """Who writes summaries, as operators know them: a model, or a function of theirs."""
    return settings.summarizer.model if settings.curate.summarizer == "openai" else settings.curate.summarizer


def wanting_summaries(database: Database, name: str, settings: config.Config, *, now: datetime) -> list[Wanted]:
    """Those that the next edition may show and nobody was asked for yet, of the best stories first."""
    with database.read() as session:
        wanted = [one for _story, one in _standing(session, name, settings, now=now)]
        known = stored.known(session, [one.mark for one in wanted])
    return [one for one in wanted if one.mark not in known]


def use_summaries(database: Database, name: str, settings: config.Config, *, now: datetime) -> int:
    """Give stories that no edition has had the summaries that are known by now; how many.

    Of one whose answer is not believed the excerpt stays, and why is kept with it.
    """
    with database.read() as session:
        wanted = {cast(int, story.id): (story, one) for story, one in _standing(session, name, settings, now=now)}
        known = stored.known(session, [one.mark for _story, one in wanted.values()])
    todo = {
        id_: one.mark
        for id_, (story, one) in wanted.items()
        if one.mark in known and (story.reasons.get("summary") or {}).get("mark") != one.mark
    }
    if not todo:
        return 0
    done = 0
    with database.write() as session:
        paper = newsletters.lock(session, name)
        had = editions.composed_upto(session, cast(int, paper.id))
        for id_, story in stories.by_id(session, list(todo)).items():
            same = story.entry_id == wanted[id_][0].entry_id and "excerpt" not in story.reasons.get("edited", {})
            if story.seq > had and same:
                done += _change(story, known[todo[id_]], todo[id_])
                session.add(story)
    return done


def _change(story: Story, said: stored.Known, mark: str) -> bool:
    """Its rank stays: what a machine says of a story makes it no better."""
    before: dict[str, Any] = dict(story.reasons.get("summary") or {})
    if said.text:
        story.excerpt = said.text
        how, why = "machine", f"a machine wrote it ({said.model}, {said.made_at:%Y-%m-%d %H:%M} UTC) of the text alone"
    else:
        how, own = before.get("how", ""), before.get("why") or "the first words"
        why = f"{own}; what a machine wrote ({said.model}) was dropped: it {said.why}"
    story.reasons = story.reasons | {"summary": {"how": how, "why": why, "mark": mark}}
    return bool(said.text)


def _standing(session: Session, name: str, settings: config.Config, *, now: datetime) -> Iterator[tuple[Story, Wanted]]:
    """The stories that the next edition may carry and that have a text for a summary, the best first."""
    paper = newsletters.find(session, name)
    since = editions.composed_upto(session, cast(int, paper.id))
    if paper.seq <= since:
        return
    new = stories.since(session, cast(int, paper.id), since=since, upto=paper.seq)
    first = settings.summarizer.stories
    ids = likely(new, settings.newsletters[name], settings.curate, now=now, first=first)
    told = stored.standing(session, ids)
    entry_ids = [one.entry_id for one in told]
    pages = Texts(session).of(entry_ids)
    said = dict(Gists(session).of(entry_ids))
    for one in told:
        gist = pages[one.entry_id].said if one.entry_id in pages else said.get(one.entry_id)
        if gist is None or "excerpt" in one.story.reasons.get("edited", {}):
            continue
        matter = summaries.matter(gist, title=one.title, language=one.language, length=settings.curate.excerpt_length)
        if matter is not None and one.title:
            yield one.story, Wanted(summaries.mark(matter, by=by_whom(settings)), matter)
