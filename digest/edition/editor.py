"""The editor's hand: pin, drop, move, arrange and reword stories, and take that back."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from sqlmodel import Session

from digest.config import OTHER
from digest.dataclass import dataclass
from digest.errors import BadInput, NotFound
from digest.store import newsletters, pictures, why
from digest.store.story_tables import Story

_MOST = {"title": 300, "excerpt": 2_000}  # characters
_OURS = ("pinned", "dropped", "topic", "topic_step", "title", "excerpt", "reasons")
_CONTROLS = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # without which Persian and emoji fall apart


def find(session: Session, name: str, story_id: int) -> Story:
    """A story of newsletter `name`; NotFound says how to find others."""
    newsletter = newsletters.find(session, name)
    assert newsletter.id is not None
    found = why.find(session, newsletter.id, story_id)
    if found is None:
        raise NotFound(
            f"{name} has no story {story_id}",
            hint="`digest story list` shows those there are; the old ones are pruned (`entries_days` in [keep])",
        )
    return found


def pin(session: Session, name: str, story_id: int, *, pinned: bool) -> Story:
    """Put a story before all others, whatever its rank and whatever is capped, or no longer."""
    story = find(session, name, story_id)
    story.pinned = pinned
    story.reasons = {name: value for name, value in story.reasons.items() if name != "placed"}
    session.add(story)
    return story


def arrange(session: Session, name: str, story_ids: Sequence[int]) -> list[Story]:
    """Let these stories stand first, in this order, all pinned; what was pinned besides keeps its pin, after them.

    BadInput where one is named twice.
    """
    if len(set(story_ids)) != len(story_ids):
        raise BadInput("a story is named twice", hint="each has one place")
    found = [find(session, name, story_id) for story_id in story_ids]
    for place, story in enumerate(found, 1):
        story.pinned = True
        story.reasons = story.reasons | {"placed": place}
        session.add(story)
    for story in why.pinned(session, found[0].newsletter_id if found else 0):
        if story.id not in story_ids:
            after = len(found) + int(story.reasons.get("placed", 0)) + 1
            story.reasons = story.reasons | {"placed": after}
            session.add(story)
    return found


@dataclass(frozen=True)
class Rewording:
    """What an editor wants a story to say: None leaves it, "" gives back what its source said."""

    title: str | None = None
    excerpt: str | None = None
    picture: pictures.Found | Literal["none", "auto"] | None = None  # one that was had, no one, or what is found
    earlier: int | None = None  # the story that it continues, 0 for none, -1 for what is found by itself


def reword(session: Session, name: str, story_id: int, wanted: Rewording) -> Story:
    """Give a story another title, excerpt or picture, or take that away. What its sources say later does not undo it.

    BadInput where the words are too long for a mail.
    """
    story = find(session, name, story_id)
    edited: dict[str, str] = dict(story.reasons.get("edited", {}))  # what its source said
    for field, words in (("title", wanted.title), ("excerpt", wanted.excerpt)):
        if words is None:
            continue
        said = _plain(words)
        if len(said) > _MOST[field]:
            raise BadInput(f"that {field} has {len(said)} characters", hint=f"at most {_MOST[field]:,} fit")
        if said == getattr(story, field):
            continue
        original = edited.pop(field, getattr(story, field))
        setattr(story, field, said or original)
        if said and said != original:
            edited[field] = original
    reasons = {key: value for key, value in story.reasons.items() if key != "edited"}
    if wanted.earlier is not None:
        reasons = _following(session, name, story, wanted.earlier, reasons)
    if wanted.picture is not None:
        reasons = {key: value for key, value in reasons.items() if key not in ("bare", "picture")}
    if wanted.picture == "none":
        reasons["bare"] = True
    elif isinstance(wanted.picture, pictures.Found):
        reasons["picture"] = wanted.picture._asdict()
    story.reasons = reasons | ({"edited": edited} if edited else {})
    session.add(story)
    return story


def _following(session: Session, name: str, story: Story, earlier: int, reasons: dict[str, Any]) -> dict[str, Any]:
    """The reasons with what a story continues by the editor's word; what was found by itself is kept beside."""
    said = reasons.pop("earlier", None)
    found = said.get("found") if said and "found" in said else said
    if earlier < 0:
        return reasons | ({"earlier": found} if found else {})
    if earlier and find(session, name, earlier).seq >= story.seq:
        raise BadInput(f"story {earlier} came no earlier than {story.id}", hint="`digest story list` has the numbers")
    why = "an editor said so" if earlier else "an editor took it away"
    return reasons | {"earlier": {"story": earlier, "why": why, "found": found}}


def _plain(words: str) -> str:
    """One line without controls: a title with a line's end or a turn of direction in it breaks what stands around."""
    kept = (sign if unicodedata.category(sign) not in _CONTROLS or sign in _JOINERS else " " for sign in words)
    return " ".join("".join(kept).split())


@dataclass(frozen=True)
class Standing:
    """How stories stood at a moment, by their ids, in all that an editor changes."""

    stories: Mapping[int, Mapping[str, Any]]


def standing(session: Session, name: str, story_ids: Iterable[int]) -> Standing:
    """How these stories stand now."""
    found = {story_id: find(session, name, story_id) for story_id in story_ids}
    return Standing({id_: {field: getattr(story, field) for field in _OURS} for id_, story in found.items()})


def stand_again(session: Session, name: str, before: Standing, after: Standing) -> None:
    """Let stories stand as they did `before`; BadInput where they no longer stand as `after`, by somebody else."""
    if standing(session, name, after.stories) != after:
        raise BadInput("these stories were changed since by somebody else", hint="look again, and change them there")
    for story_id, fields in before.stories.items():
        story = find(session, name, story_id)
        for field, value in fields.items():
            setattr(story, field, value)
        session.add(story)


def drop(session: Session, name: str, story_id: int, *, dropped: bool) -> Story:
    """Leave a story out of every edition to come, or take it back; what was sent is sent."""
    story = find(session, name, story_id)
    story.dropped = dropped
    session.add(story)
    return story


def move(session: Session, name: str, story_id: int, topic: str, *, topics: Collection[str]) -> Story:
    """Put a story under another topic. It teaches: the words of what was moved count from the next admission on."""
    if topic != OTHER and topic not in topics:
        raise BadInput(f"{topic!r} is no topic of {name}", hint="one of " + ", ".join((*topics, OTHER)))
    story = find(session, name, story_id)
    if story.topic_step == "moved":
        was = story.reasons["topic"].get("was", "")
    else:
        was = f"{story.topic} ({story.topic_step})"
    story.reasons = story.reasons | {
        "topic": story.reasons.get("topic", {}) | {"step": "moved", "why": f"before, it was under {was}", "was": was}
    }
    story.topic, story.topic_step = topic, "moved"
    session.add(story)
    return story
