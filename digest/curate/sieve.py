"""What single readers are spared, and what they want more and less of: the stories of an edition, as tastes see them.

Each story is looked at once. A word that no story has costs one look into a dictionary, so that ten thousand readers
who mute what is not there cost next to nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from digest import taste
from digest.dataclass import dataclass
from digest.taste import Taste
from digest.values import Story


@dataclass(frozen=True)
class Cut:
    """What a taste comes to: the seqs of stories that go, and how many of the others may stay (0: all).

    And which stories move: (seq, level), from `taste.STEPS` down to as much below none. What does not is not in it.
    """

    muted: frozenset[int] = frozenset()
    max_stories: int = 0
    moved: frozenset[tuple[int, int]] = frozenset()


WHOLE = Cut()
_NONE: frozenset[tuple[int, int]] = frozenset()


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
        self._by_author: defaultdict[str, set[int]] = defaultdict(set)
        self._feeds: dict[int, frozenset[int]] = {}
        self._told: defaultdict[int, set[int]] = defaultdict(set)
        for story in stories:
            self._by_topic[story.topic].add(story.seq)
            self._by_language[taste.spoken(story.language)].add(story.seq)
            # Also as the feed says it: by that readers knew them before names were told from addresses.
            for author in {taste.folded(story.writer), taste.folded(story.author)}:
                self._by_author[author].add(story.seq)
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
        found = Cut(frozenset(muted), wanted.max_stories or 0, self._moved(wanted))
        return self._cuts.setdefault(found, found)

    def _moved(self, wanted: Taste) -> frozenset[tuple[int, int]]:
        if not (wanted.more_of or wanted.less_of):
            return _NONE
        levels: Counter[int] = Counter()
        for sign, some in ((1, wanted.more_of), (-1, wanted.less_of)):
            for one in some:
                for seq in self.leant_on(one):
                    levels[seq] += sign
        return frozenset((seq, max(-taste.STEPS, min(taste.STEPS, n))) for seq, n in levels.items() if n)

    def leant_on(self, leaning: str) -> Collection[int]:
        """The seqs of the stories that there is to be more or less of by a `taste.leaning`.

        Of a source, also those that others tell as well: who wants more of it wants these.
        """
        kind, _, what = leaning.partition(":")
        match kind:
            case "source":
                return set().union(*(self._told[feed] for feed in self._feeds_at(what)))
            case "topic":
                return self._by_topic.get(what, set())
            case "author":
                return self._by_author.get(taste.folded(what), set())
            case _:
                return self.having(what)

    def moves(self, wanted: Taste, seq: int) -> tuple[list[str], list[str]]:
        """By what of all that they want more of, and less, a story moves."""
        more, less = ([one for one in some if seq in self.leant_on(one)] for some in (wanted.more_of, wanted.less_of))
        return more, less

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
