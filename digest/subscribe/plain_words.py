"""What a reader asks for in a mail of a few plain words: "pause 2 weeks", "weekly, topics ai security". Pure.

Only what is understood whole counts: a piece of a line with one word too many asks for nothing, and is told as strange.
"I want to stop" ends a subscription; "stop the war" does not, nor does "please don't stop".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from digest.render import quotes
from digest.render.quotes import folded
from digest.subscribe.preferences import Changes

MOST_LINES = 6  # that are read: below are signatures, and what was quoted
LONGEST = 200  # characters of a line that is read
MOST_DAYS = 366  # of a pause
MOST_STRANGE = 5  # pieces that are told as not understood
_CUT = ',;.!?،；。，、！？؟।\n\t ()[]"“”„«»*:：'
_ENDS = ",;.!?،；。，、！？؟।\n"
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?!\d)")
_CLOCK = re.compile(r"(\d{1,2})(?:[:.h](\d{2}))?(?!\d)")
_NUMBER = re.compile(r"\d{1,4}(?![\d:.])")
_WORD = re.compile(r"\w[\w'’-]{0,60}|\S")
_HAN = re.compile("[\u3040-\u30ff\u3400-\u9fff]")  # and kana


@dataclass
class Wishes:
    """What was understood: choices, what becomes of the subscription, and the pieces that were not.

    `state` is "pause", "back", "leave" or "" for neither; a pause without `days` and `until` has no end.
    """

    choices: Changes = field(default_factory=Changes)
    state: str = ""
    days: int | None = None
    until: date | None = None
    help: bool = False
    strange: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return bool(self.choices or self.state)


class _Item(NamedTuple):
    """Something in a line: what it is, its value, and where the line goes on."""

    kind: str
    value: Any
    end: int


def understood(text: str, subject: str = "", *, topics: Mapping[str, str], weekday: str = "mon") -> Wishes:
    """What a mail asks for; `topics` are titles by slug. `weekday`: of who says "weekly" alone."""
    found = Wishes()
    lines = own_lines(text)
    if not lines and quotes.answered(subject) == subject:
        lines = [subject.strip()[:LONGEST]]
    known = _topics(topics)
    said: list[_Item] = []
    for line in lines:
        for piece, items in _pieces(line, known):
            if items is None:
                _strange(found, piece)
            else:
                said += items
    _put_together(found, said, weekday, "; ".join(folded(line) for line in lines))
    return found


def own_lines(text: str) -> list[str]:
    """The first lines that are the writer's own: of what is not quoted, above how a mail ends."""
    own: list[str] = []
    for line in quotes.own_lines(text):
        plain = folded(line)
        if own and _begins(plain, "closings"):
            break
        if not own and _begins(plain, "greetings") and plain.endswith((",", "!", "，", "！", "،")):
            continue
        own.append(line[:LONGEST])
        if len(own) >= MOST_LINES:
            break
    return own


# ---------------------------------------------------------------- a line


def _pieces(line: str, topics: Mapping[str, str]) -> list[tuple[str, list[_Item] | None]]:
    """The pieces of a line, each with what it says, or None where it is not understood whole.

    After "topics" names follow, over commas and "and", until something else that is known begins.
    """
    text = folded(line)
    found: list[tuple[str, list[_Item] | None]] = []
    items: list[_Item] = []
    at = start = 0
    whole, naming = True, False

    def end(here: int) -> None:
        nonlocal items, whole, start
        piece = text[start:here].strip(_CUT)
        if not whole:
            found.append((piece, None))
        elif items:
            found.append((piece, items))
        items, whole, start = [], True, here

    while at < len(text):
        if text[at] in _CUT:
            if text[at] in _ENDS and not naming:
                end(at)
            at += 1
            continue
        join = _match(text, at, "joins")
        if join:
            at += join
            if not naming:
                end(at)
            continue
        if naming and (name := _first(text, at, topics)):
            items.append(_Item("topic", topics[name], at + len(name)))
            at += len(name)
            continue
        if (item := _item(text, at)) is not None:
            if naming:
                end(at)
            naming = item.kind == "topics"
            items.append(item)
            at = item.end
        elif filler := _match(text, at, "fillers"):
            at += filler
        else:
            word = _WORD.match(text, at)
            length = len(word[0]) if word else 1
            if naming:
                found.append((text[at : at + length], None))
            else:
                whole = False
            at += length
    end(at)
    return found


def _item(text: str, at: int) -> _Item | None:
    """What begins here: the longest that is known."""
    kind, length = _longest(text, at)
    after = at + length
    if kind == "until":
        match = _DATE.match(text, _past(text, after))
        try:
            return _Item("until", date(*map(int, match.groups())), match.end()) if match else None
        except ValueError:
            return None
    if kind == "hour":
        return _hour(text, _past(text, after), said=True) or _span(text, at)
    if kind == "language":
        return _language(text, _past(text, after))
    if kind == "monthly":
        match = _NUMBER.match(text, _past(text, after))
        day = int(match[0]) if match and 1 <= int(match[0]) <= 31 else 1
        return _Item(kind, day, match.end() if match and day == int(match[0]) else after)
    if kind:
        return _Item(kind, None, after)
    return _span(text, at) or _hour(text, at, said=False) or _weekday(text, at) or _named_language(text, at)


def _span(text: str, at: int) -> _Item | None:
    """ "2 weeks", "a month": days."""
    for days in _table("spans"):
        if length := _match_table(text, at, "spans", days):
            return _Item("days", int(days), at + length)
    match = _NUMBER.match(text, at)
    number, after = (int(match[0]), match.end()) if match else _numbered(text, at)
    after = _past(text, after)
    for days in _table("units"):
        if number is not None and (length := _match_table(text, after, "units", days)):
            return _Item("days", number * int(days), after + length)
    return None


def _numbered(text: str, at: int) -> tuple[int | None, int]:
    sizes = ((_match_table(text, at, "numbers", number), number) for number in _table("numbers"))
    length, number = max(sizes)
    return (int(number), at + length) if length else (None, at)


def _hour(text: str, at: int, *, said: bool) -> _Item | None:
    """An hour of the day, where `said` that it is one, or where what follows the number does."""
    match = _CLOCK.match(text, at)
    if match is None or int(match[2] or 0):
        return None
    hour, after = int(match[1]), _past(text, match.end())
    if length := _match_table(text, after, "after_hours", "pm") or _match_table(text, after, "after_hours", "am"):
        pm = text[after] == "p"
        return _Item("at", hour % 12 + (12 if pm else 0), after + length) if 1 <= hour <= 12 else None
    length = _match_table(text, after, "after_hours", "words")
    if hour > 23 or not (said or length or match[2]):
        return None
    return _Item("at", hour, after + length if length else match.end())


def _weekday(text: str, at: int) -> _Item | None:
    found = ((length, day) for day in _table("weekdays") if (length := _match_table(text, at, "weekdays", day)))
    length, day = max(found, default=(0, ""))
    return _Item("weekday", day, at + length) if length else None


def _named_language(text: str, at: int) -> _Item | None:
    for tag in _table("languages"):
        if length := _match_table(text, at, "languages", tag):
            return _Item("in", tag, at + length)
    return None


def _language(text: str, at: int) -> _Item | None:
    while filler := _match(text, at, "fillers"):
        if re.compile(r"[a-z]{2}(?![\w-])").match(text, at) and text[at : at + 2] in _table("languages"):
            break  # "de" is a word in between, and German
        at = _past(text, at + filler)
    if (item := _named_language(text, at)) is not None:
        return item
    tag = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,2}(?![\w-])").match(text, at)
    if tag is None:
        return None
    from digest.render import spoken

    found = spoken(tag[0])
    return _Item("in", found, tag.end()) if found else None


# ---------------------------------------------------------------- put together


def _put_together(found: Wishes, said: list[_Item], weekday: str, words: str) -> None:
    kinds = {item.kind: item.value for item in said}
    found.help = "help" in kinds
    choices: dict[str, Any] = {}
    _topics_wish(found, choices, said)
    cadences = [item.kind for item in said if item.kind in _CADENCES]
    if "weekday" in kinds and not cadences:
        cadences = ["weekly"]
    if len(set(cadences)) > 1:
        _strange(found, words)
    elif cadences:
        own = {"weekly": f" {kinds.get('weekday', weekday)}", "monthly": f" {kinds.get('monthly', 1)}"}
        own["fortnightly"] = own["weekly"]
        choices["cadence"] = "" if cadences[0] == "every" else cadences[0] + own.get(cadences[0], "")
    if "at" in kinds or "any_hour" in kinds:
        choices["hour"] = kinds.get("at")
    if "in" in kinds:
        choices["language"] = kinds["in"]
    if "text" in kinds and "html" in kinds:
        _strange(found, words)
    elif "text" in kinds or "html" in kinds:
        choices["plain"] = "text" in kinds
    if "leave" in kinds and choices:  # to go, and to choose? Neither is done
        _strange(found, words)
        return
    found.choices = Changes(**choices)  # type: ignore[typeddict-item]
    _state_wish(found, kinds, words)


_CADENCES = ("every", "daily", "weekdays", "weekly", "fortnightly", "monthly")


def _topics_wish(found: Wishes, choices: dict[str, Any], said: list[_Item]) -> None:
    topics = tuple(sorted({item.value for item in said if item.kind == "topic"}))
    if any(item.kind == "all_topics" for item in said):
        choices["topics"] = ()
    elif topics:
        choices["topics"] = topics


def _state_wish(found: Wishes, kinds: Mapping[str, Any], words: str) -> None:
    """A pause, a return, or an end; "stop for two weeks" is a pause. What contradicts itself is not done."""
    lasting = "days" in kinds or "until" in kinds
    states = [state for state in ("pause", "back", "leave") if state in kinds]
    if lasting and states == ["leave"]:
        states = ["pause"]
    too_long = kinds.get("days") is not None and not 1 <= kinds["days"] <= MOST_DAYS
    if len(states) > 1 or (lasting and states != ["pause"]) or too_long:
        _strange(found, words)
    elif states:
        found.state, found.days, found.until = states[0], kinds.get("days"), kinds.get("until")


def _strange(found: Wishes, piece: str) -> None:
    """Told to the reader later, who need not be the writer: words alone, and nothing that leads anywhere."""
    safe = piece[:60] if piece and not re.search(r"[@/\\<>]|www|\w\.\w", piece) else "…"
    if len(found.strange) < MOST_STRANGE and safe not in found.strange:
        found.strange.append(safe)


# ---------------------------------------------------------------- words


@cache
def _all() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((Path(__file__).parent / "plain_words.toml").read_text(encoding="utf-8"))


def _table(section: str) -> dict[str, list[str]]:
    return _all()[section]


@cache
def _folded(section: str, name: str) -> tuple[str, ...]:
    """The words of a list, the longest first."""
    return tuple(sorted({folded(word) for word in _all()[section][name]}, key=lambda word: (-len(word), word)))


def _fits(text: str, at: int, word: str) -> bool:
    """Does the word stand here, and end here? Chinese and Japanese have no blanks between words."""
    after = at + len(word)
    if not text.startswith(word, at):
        return False
    if after >= len(text) or _HAN.match(word[-1]) or _HAN.match(text[after]) or word.endswith("'"):
        return True
    if word[-1].isdigit() or not word[-1].isalnum():
        return True
    return not (
        text[after].isalnum() or text[after] in "_'" or (text[after] == "-" and text[after + 1 : after + 2].isalnum())
    )


def _match(text: str, at: int, name: str) -> int:
    """How long the word of a list of [rest] is that stands here; 0 for none."""
    return _match_table(text, at, "rest", name)


def _match_table(text: str, at: int, section: str, name: str) -> int:
    return next((len(word) for word in _folded(section, name) if _fits(text, at, word)), 0)


def _longest(text: str, at: int) -> tuple[str, int]:
    found = ((_match_table(text, at, "says", kind), kind) for kind in _table("says"))
    length, kind = max(found, key=lambda one: one[0])
    return (kind, length) if length else ("", 0)


def _begins(plain: str, name: str) -> bool:
    return bool(_match(plain, 0, name))


def _first(text: str, at: int, topics: Mapping[str, str]) -> str:
    return next((name for name in topics if _fits(text, at, name)), "")


def _topics(titles: Mapping[str, str]) -> dict[str, str]:
    """Slugs by all that a topic may be called, the longest first."""
    return dict(_named(tuple(sorted(titles.items()))))


@lru_cache(maxsize=16)
def _named(titles: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    names: dict[str, str] = {}
    for slug, title in titles:
        names[folded(title)] = slug
    for slug, _title in titles:
        names[folded(slug.replace("-", " ").replace("_", " "))] = slug
        names[folded(slug)] = slug
    return tuple(sorted(((name, slug) for name, slug in names.items() if name), key=lambda one: (-len(one[0]), one[0])))


def _past(text: str, at: int) -> int:
    """Where a line goes on after blanks."""
    while at < len(text) and text[at] == " ":
        at += 1
    return at
