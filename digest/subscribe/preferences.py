"""What a reader chooses of a newsletter: the value, the one place that checks it, and how their history tells it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, TypedDict

from digest import schedule, taste
from digest.errors import BadInput
from digest.models import Subscription
from digest.store import tastes
from digest.taste import Taste

_TOLD = 5  # words of a list that a line of history names


@dataclass(frozen=True)
class Preferences:
    """A reader's choices for one newsletter. What is unsaid is as the newsletter has it.

    Whoever takes them from outside passes them through `checked`, which gives them their one form.
    """

    topics: tuple[str, ...] = ()  # slugs of the settings' topics; none is all
    cadence: str = ""  # as `schedule.cadence` says it: "daily", "weekly mon", "monthly 1"; "" is every edition
    hour: int | None = None  # 0 to 23 on the clock of `zone`; None is when the edition comes
    zone: str = ""  # IANA name, as in Europe/Berlin
    language: str = ""  # one of `render.languages()`, perhaps with a country
    plain: bool = False  # text without HTML
    # What they want of it, see `taste.Taste`.
    max_stories: int | None = None  # in a letter, 1 to 100; None is all
    muted_words: tuple[str, ...] = ()
    muted_sources: tuple[str, ...] = ()
    muted_topics: tuple[str, ...] = ()
    story_languages: tuple[str, ...] = ()  # none is all
    more_of: tuple[str, ...] = ()  # see `taste.leaning`
    less_of: tuple[str, ...] = ()

    @property
    def taste(self) -> Taste:
        return Taste(**{name: getattr(self, name) for name in taste.NAMES})

    @property
    def said(self) -> tuple[str, ...]:
        """The names of those that are not left to the newsletter."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) != field.default)


class Changes(TypedDict, total=False):
    """Some of the fields of `Preferences`: those that a reader changes. What is not in it stays."""

    topics: tuple[str, ...]
    cadence: str
    hour: int | None
    zone: str
    language: str
    plain: bool
    max_stories: int | None
    muted_words: tuple[str, ...]
    muted_sources: tuple[str, ...]
    muted_topics: tuple[str, ...]
    story_languages: tuple[str, ...]
    more_of: tuple[str, ...]
    less_of: tuple[str, ...]


def checked(preferences: Preferences, known_topics: Collection[str]) -> Preferences:
    """The same in their one form; BadInput says which one cannot be chosen, and what could be."""
    topics = tuple(sorted(set(preferences.topics)))
    for topic in (*topics, *preferences.muted_topics, *_leant_on(preferences)):
        if topic not in known_topics:
            raise BadInput(
                f"there is no topic {topic!r}", hint="the settings know: " + (", ".join(sorted(known_topics)) or "none")
            )
    hour = preferences.hour
    if hour is not None and hour not in range(24):
        raise BadInput(f"{hour} is not an hour", hint="hours are 0 to 23")
    try:
        cadence, zone = schedule.cadence(preferences.cadence), schedule.zone(preferences.zone)
        wanted = preferences.taste if preferences.taste == _UNSAID else taste.checked(preferences.taste)
    except ValueError as error:
        raise BadInput(str(error)) from None
    language = _language(preferences.language)
    return Preferences(topics, cadence, hour, zone, language, preferences.plain, **vars(wanted))


def _leant_on(preferences: Preferences) -> list[str]:
    """The topics that they want more or less of."""
    found = (said.partition(":") for said in (*preferences.more_of, *preferences.less_of))
    return [what.strip() for kind, _, what in found if kind.strip().lower() == "topic" and what.strip()]


_UNSAID = Taste()


@lru_cache(maxsize=1_000)
def _language(said: str) -> str:
    if not said:
        return ""
    from digest import render  # which is heavy, and seldom asked

    found = render.spoken(said)
    if not found:
        raise BadInput(f"{said!r} is not a language we have words in", hint="one of " + ", ".join(render.languages()))
    return found


def keep(subscription: Subscription, preferences: Preferences, *, only: Iterable[str] | None = None) -> str:
    """Store choices that were `checked`, or `only` those of these names; what changed, as a history tells it, or ""."""
    told = []
    before = Taste.of(subscription.taste)
    after = dict(vars(before))
    names = list(vars(preferences) if only is None else only)
    for name in names:
        value = getattr(preferences, name)
        stored = list(value) if name == "topics" else value
        if name in after:
            if after[name] != value:
                after[name] = value
                told.append(_in_words(name, value))
        elif getattr(subscription, name) != stored:
            setattr(subscription, name, stored)
            told.append(_in_words(name, value))
    for said, other in (("more_of", "less_of"), ("less_of", "more_of")):
        if said in names and other not in names:  # what is said last holds
            after[other] = taste.without(after[other], after[said])
    if after != vars(before):
        tastes.put(subscription, Taste(**after))
    return ", ".join(told)


def _in_words(choice: str, value: Any) -> str:
    match choice:
        case "topics":
            return f"topics {' '.join(value)}" if value else "all topics"
        case "cadence":
            return value or "every edition"
        case "hour":
            return "whenever it comes" if value is None else f"at {value}:00"
        case "plain":
            return "as text" if value else "as HTML"
        case "max_stories":
            return f"at most {value} {'story' if value == 1 else 'stories'}" if value else "no maximum of stories"
        case "muted_words" | "muted_sources" | "muted_topics":
            what, some = choice.removeprefix("muted_"), [*value[:_TOLD], *["…"][: len(value[_TOLD:])]]
            return f"{what} muted: {' | '.join(some)}" if value else f"no {what} muted"
        case "story_languages":
            return f"stories in {' '.join(value)}" if value else "stories in all languages"
        case "more_of" | "less_of":
            which, some = choice.removesuffix("_of"), [*value[:_TOLD], *["…"][: len(value[_TOLD:])]]
            return f"{which} of {' | '.join(some)}" if value else f"{which} of nothing"
        case _:
            return f"{choice} {value or 'of the newsletter'}"
