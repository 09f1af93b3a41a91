"""What a reader chooses of a newsletter: the value, the one place that checks it, and how their history tells it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, TypedDict

from digest import schedule
from digest.errors import BadInput
from digest.models import Subscription


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


def checked(preferences: Preferences, known_topics: Collection[str]) -> Preferences:
    """The same in their one form; BadInput says which one cannot be chosen, and what could be."""
    topics = tuple(sorted(set(preferences.topics)))
    for topic in topics:
        if topic not in known_topics:
            raise BadInput(
                f"there is no topic {topic!r}", hint="the settings know: " + (", ".join(sorted(known_topics)) or "none")
            )
    hour = preferences.hour
    if hour is not None and hour not in range(24):
        raise BadInput(f"{hour} is not an hour", hint="hours are 0 to 23")
    try:
        cadence, zone = schedule.cadence(preferences.cadence), schedule.zone(preferences.zone)
    except ValueError as error:
        raise BadInput(str(error)) from None
    return Preferences(topics, cadence, hour, zone, _language(preferences.language), preferences.plain)


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
    for name in vars(preferences) if only is None else only:
        value = getattr(preferences, name)
        stored = list(value) if name == "topics" else value
        if getattr(subscription, name) != stored:
            setattr(subscription, name, stored)
            told.append(_in_words(name, value))
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
        case _:
            return f"{choice} {value or 'of the newsletter'}"
