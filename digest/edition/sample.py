"""An edition of made-up stories: what mails of a newsletter look like while it has none."""

from __future__ import annotations

from datetime import datetime, timedelta

from digest import curate
from digest.config import Config
from digest.edition.variants import Matter, drafts
from digest.render import Rendered
from digest.store import recipients
from digest.values import Source, Story

_STORIES = (
    ("A sample story comes first", "The one that is told by most, is newest, or was pinned stands here, alone."),
    ("A second one stands under a heading", "Each story has its title as a link, where it is from, and a beginning."),
    ("A third is told by two sources", "Where several tell the same, it is one story, and all of them are named."),
    ("A fourth has a longer title, as titles have that want to say all of it in one line and then do not stop", ""),
)


def sample(name: str, config: Config, *, now: datetime) -> Rendered:
    """The mail of a newsletter as its settings and templates make it, of stories that lead nowhere."""
    settings = config.newsletters[name].model_copy(update={"min_stories": 1})
    topics = [*curate.headings(settings.topics)][:2] or [curate.OTHER]
    stories = tuple(
        Story(
            id=number,
            seq=number,
            topic=topics[number % len(topics)],
            url=f"https://www.example.org/{number}",
            title=title,
            source="Example",
            author="",
            excerpt=words,
            language="en",
            image_url="",
            reading_minutes=2,
            published_at=now - timedelta(hours=number),
            rank=float(len(_STORIES) - number),
            pinned=False,
            feed_id=number,
            also=(Source("Another example", "https://www.example.net/"),) if number == 3 else (),
        )
        for number, (title, words) in enumerate(_STORIES, 1)
    )
    note = "This is a sample: no story waits for this newsletter yet."
    [(_choices, draft)] = drafts(
        name, settings, config, Matter(0, 0, stories, note, now), [recipients.VariantKey(0, frozenset())], {}
    )
    assert draft is not None
    return draft.rendered
