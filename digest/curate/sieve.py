"""What single readers are spared: the stories of an edition, as their mutes see them.

Each story is looked at once. A word that no story has costs one look into a dictionary, so that ten thousand readers
who mute what is not there cost next to nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from digest import taste
from digest.taste import Taste
from digest.values import Story


@dataclass(frozen=True)
class Cut:
    """What a taste comes to: the seqs of stories that go, and how many of the others may stay (0: all)."""

    muted: frozenset[int] = frozenset()
    max_stories: int = 0


WHOLE = Cut()


class Sieve:
    """Stories, and where the feeds are that tell them (`places`, by id)."""

    def __init__(self, stories: Sequence[Story], places: Mapping[int, Sequence[str]]) -> None:
        # A line cannot be in a word: no phrase is found half in the title and half in the excerpt.
        self._texts = {s.seq: "\n".join(map(taste.folded, (s.title, s.excerpt))) for s in stories}
        self._having: defaultdict[str, set[int]] = defaultdict(set)
        for seq, text in self._texts.items():
            for word in taste.tokens(text):
                self._having[word].add(seq)
        self._by_topic: defaultdict[str, set[int]] = defaultdict(set)
        self._by_language: defaultdict[str, set[int]] = defaultdict(set)
        self._feeds: dict[int, frozenset[int]] = {}
        self._told: defaultdict[int, set[int]] = defaultdict(set)
        for story in stories:
            self._by_topic[story.topic].add(story.seq)
            self._by_language[taste.spoken(story.language)].add(story.seq)
            self._feeds[story.seq] = frozenset(story.feeds or (story.feed_id,))
            for feed in self._feeds[story.seq]:
                self._told[feed].add(story.seq)
        self._places = {feed: places.get(feed, ()) for feed in self._told}
        self._hits: dict[str, frozenset[int]] = {}
        self._at: dict[str, frozenset[int]] = {}
        self._cuts: dict[Cut, Cut] = {}

    def cut(self, wanted: Taste) -> Cut:
        """What this taste comes to; the same value for all to whom the same happens."""
        muted = set().union(*(self.having(word) for word in wanted.muted_words))
        muted |= set().union(*(self._by_topic.get(topic, ()) for topic in wanted.muted_topics))
        if wanted.muted_sources:
            feeds = frozenset().union(*(self._feeds_at(source) for source in wanted.muted_sources))
            told = set().union(*(self._told[feed] for feed in feeds))
            muted |= {seq for seq in told if self._feeds[seq] <= feeds}
        if wanted.story_languages:
            known = {"", *wanted.story_languages}  # a story of a language that nobody knows may be in one of them
            muted |= set().union(*(seqs for spoken, seqs in self._by_language.items() if spoken not in known))
        found = Cut(frozenset(muted), wanted.max_stories or 0)
        return self._cuts.setdefault(found, found)

    def having(self, word: str) -> frozenset[int]:
        """The seqs of the stories with this word or phrase in their title or excerpt."""
        plain = taste.folded(word)
        if plain in self._hits:
            return self._hits[plain]
        borders = taste.tokens(plain)
        some = set.intersection(*(self._having.get(one, set()) for one in borders)) if borders else set(self._texts)
        found = frozenset(seq for seq in some if taste.says(self._texts[seq], plain))
        if found:  # what hits nothing is different for everybody, and quickly asked again
            self._hits[plain] = found
        return found

    def _feeds_at(self, muted: str) -> frozenset[int]:
        if muted not in self._at:
            found = (f for f, places in self._places.items() if any(taste.within(place, muted) for place in places))
            self._at[muted] = frozenset(found)
        return self._at[muted]

    def why(self, wanted: Taste, seq: int) -> str:
        """Which of their mutes takes a story away, in words; "" where none does."""
        for word in wanted.muted_words:
            if seq in self.having(word):
                return f"the word {word!r}"
        for topic in wanted.muted_topics:
            if seq in self._by_topic.get(topic, ()):
                return f"the topic {topic}"
        if seq in self.cut(Taste(muted_sources=wanted.muted_sources)).muted:
            mine = [m for m in wanted.muted_sources if not self._feeds_at(m).isdisjoint(self._feeds[seq])]
            return f"the {'source' if len(mine) == 1 else 'sources'} {', '.join(mine)}"
        if seq in self.cut(Taste(story_languages=wanted.story_languages)).muted:
            return f"all stories but those in {', '.join(wanted.story_languages)}"
        return ""
