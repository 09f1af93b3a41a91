"""What there can be more or less of, and what a reader said of it, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session

from digest import curate, taste
from digest.render.speech import Speech
from digest.store import tastes
from digest.subscribe.leanings import Way
from digest.taste import Taste
from digest.values import Story
from digest.web.readers import Reader

_SOURCES = 3  # of a story that many tell


@dataclass(frozen=True)
class Choice:
    """Something that there can be more or less of, in words, and what they said of it."""

    value: str  # see `taste.leaning`
    words: str
    way: Way = ""


def choices(session: Session, reader: Reader, story: Story) -> list[Choice]:
    """What there can be more or less of by a story: its sources, topic, author, and the words of its title."""
    said = reader.said
    feeds = (story.feed_id, *(feed for feed in story.feeds if feed != story.feed_id))
    found = [f"source:{place}" for place in tastes.shown_places(session, feeds)[:_SOURCES]]
    known = reader.settings.known_topics if reader.settings else {}
    if story.topic in known and len(known) > 1:
        found.append(f"topic:{story.topic}")
    found.append(f"author:{story.writer}")
    others = tastes.titles_of_late(session, reader.subscription.newsletter_id)
    found += [f"word:{word}" for word in curate.telling(story.title, others)]
    good = []
    for one in found:
        try:
            good.append(taste.leaning(one))
        except ValueError:  # nobody is named, or at too great length
            continue
    names = _names(session, reader)
    return [Choice(one, in_words(one, names, said)) for one in dict.fromkeys(good)]


def best(offered: list[Choice], story: Story | None) -> str:
    """Which of these is most likely meant: its source; of what several tell, its topic."""
    if not offered or story is None:
        return ""
    topic = next((one.value for one in offered if one.value.startswith("topic:")), "")
    return topic if topic and len(story.feeds) > 1 else offered[0].value


def to_say(session: Session, reader: Reader, *, most: int) -> list[Choice]:
    """The topics and sources of a newsletter, of which nothing is said yet; no sources where there are more."""
    theirs = Taste.of(reader.subscription.taste)
    names = _names(session, reader)
    sources = [one for one in names if one.startswith("source:")]
    topics = [one for one in names if one.startswith("topic:")]
    found = (topics if len(topics) > 1 else []) + (sources if 1 < len(sources) <= most else [])
    return [Choice(o, in_words(o, names, reader.said)) for o in found if o not in (*theirs.more_of, *theirs.less_of)]


def said_by(session: Session, reader: Reader) -> list[Choice]:
    """All that a reader said, in words."""
    theirs = Taste.of(reader.subscription.taste)
    if not (theirs.more_of or theirs.less_of):
        return []
    names = _names(session, reader)
    more = [Choice(one, in_words(one, names, reader.said), "more") for one in theirs.more_of]
    return more + [Choice(one, in_words(one, names, reader.said), "less") for one in theirs.less_of]


def _names(session: Session, reader: Reader) -> dict[str, str]:
    """What topics and sources are called, by how a leaning has them."""
    names = {
        f"source:{place}": name for place, name in tastes.sources(session, reader.subscription.newsletter_id).items()
    }
    titles = curate.titles(reader.settings.topics, reader.said.gettext) if reader.settings else {}
    return names | {f"topic:{slug}": title for slug, title in titles.items()}


def in_words(leaning: str, names: Mapping[str, str], said: Speech) -> str:
    """A `taste.leaning` as readers are told it."""
    t = said.gettext
    kind, _, what = leaning.partition(":")
    name = names.get(leaning, what)
    match kind:
        case "source":
            source = name if name == what else f"{name} ({what})"
            return t("Stories from %(source)s") % {"source": source}
        case "topic":
            return t("Stories about %(topic)s") % {"topic": name}
        case "author":
            return t("Stories by %(name)s") % {"name": name}
        case _:
            return t("Stories with the word %(word)s") % {"word": said.quoted(what)}
