"""The editor's hand: pin, drop and move stories."""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import Session

from digest.config import OTHER
from digest.errors import BadInput, NotFound
from digest.models import Story
from digest.store import newsletters, why


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
    session.add(story)
    return story


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
