"""What a person seems to ask for in a mail of their own. It is shown to the operator, and never done by guess. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import islice, pairwise

from digest.hear.report import Report
from digest.hear.words import bare, listed_bare
from digest.render.quotes import answered, below, own_lines

_LINES = 12  # of the beginning; below are signatures
_CLAUSE = re.compile(r"[.,;:!?…()、。，！？；।،؟–—]|\s-+\s")
_ASKED = ("?", "？", "؟")
_ADDRESS = re.compile(r"(?<![^\s@])[^\s@]++@[^\s@]+")
_LONGEST = 12  # words of a clause that asks and says no more
_SHORT = 50  # letters of a line that was not wrapped


def wants_to_leave(report: Report) -> bool:
    """Does a person seem to want no more letters, in one of the languages that letters are written in?

    What they quote of our mail asks for nothing, nor does the subject of our mail that they answer, unless it says
    that alone; nor does a wish that they say they do not have. In doubt it is one, so that a person looks.
    """
    subject, answers = _subject(report.subject)
    own = list(islice(own_lines(report.text), _LINES))
    if _alone(subject) or _wish(own, "" if answers else subject):
        return True
    return _wish(below(report.text)[:_LINES], "")


def _wish(written: list[str], subject: str) -> bool:
    """Do lines of somebody's own, or a subject, have a wish in them?"""
    own = [_ended(_plain(line)) for line in written]
    if any(_alone(line) and not _turned(before) for before, line in pairwise(["", *own[:3]])):
        return True
    if any(_asks(line) and not _turned(before) for before, line in pairwise(["", *own])):
        return True
    said = " ".join([*own, ".", subject])
    return _asks(said) or any(_wished(said, phrase) for phrase in listed_bare("wishes", "phrases"))


def _subject(subject: str) -> tuple[str, bool]:
    """A subject in plain letters without "Re:", and whether it had that."""
    rest = answered(subject)
    return _plain(rest), rest != subject


def _wished(said: str, phrase: str) -> bool:
    """Does a phrase stand in a text where nothing turns it round: "do not …", "I do not want to …", "…しないで"?

    What says no by itself is turned by no other no, and whoever asks "why don't you …?" has the wish.
    """
    itself = any(f" {one} " in f" {phrase} " for one in _sorted("nots")) or phrase.startswith(_sorted("nots_joined"))
    at = said.find(phrase)
    while at >= 0:
        after = said[at + len(phrase) :].lstrip()
        end = _CLAUSE.search(after)
        turned = _turned(said[:at]) or after.startswith(_sorted("nots_after"))
        if itself or not turned or (end is not None and end[0] in _ASKED):
            return True
        at = said.find(phrase, at + 1)
    return False


def _turned(before: str) -> bool:
    """Does what stands before a wish say that it is none? Only words of wanting may stand between.

    "If you don't …", "why do you not …", "you don't …" and "won't you …" say no such thing.
    """
    clause = _CLAUSE.split(before)[-1]
    words = _words(clause)
    if not listed_bare("wishes", "doubts").isdisjoint(words) or any(one in clause for one in _sorted("doubts_joined")):
        return False
    between, wanted = listed_bare("wishes", "wanting"), list[str]()
    while words and words[-1] in between:
        wanted.append(words.pop())
    rest = " ".join(words)
    said = max((one for one in _sorted("nots") if f" {rest}".endswith(f" {one}")), key=len, default="")
    if not said:
        return rest.endswith(_sorted("nots_joined"))
    if wanted[-1:] == ["you"]:
        return False
    refuses = said in listed_bare("wishes", "refusals") and {"need", "have"}.isdisjoint(wanted)
    return not (refuses and re.search(r"\b(?:you|they)(?: still| just| simply)?$", rest.removesuffix(said).strip()))


def _ended(line: str) -> str:
    """A line; where it is a short one that ends with "no", with a stop: the next one does not go on with it."""
    words = _words(line)
    return f"{line}." if len(line) < _SHORT and words[-1:] and words[-1] in listed_bare("wishes", "answers") else line


def _sorted(name: str) -> tuple[str, ...]:
    return tuple(sorted(listed_bare("wishes", name)))


def _plain(line: str) -> str:
    return bare(line.strip().replace("\u2019", "'"))


def _alone(line: str) -> bool:
    """Does a line say that and no more: words of the list, or one of its pieces as a whole, and courtesies?"""
    words = _words(_ADDRESS.sub(" ", line[:80]))
    courtesies, alone = listed_bare("wishes", "courtesies"), listed_bare("wishes", "alone")
    rest = [word for word in words if word not in courtesies]
    if not 0 < len(words) <= 4:
        return False
    return " ".join(words) in alone or (bool(rest) and (" ".join(rest) in alone or alone.issuperset(rest)))


def _asks(text: str) -> bool:
    """Does a clause say no more than that something of ours is to end: "stop these mails", "please delete my address"?

    One word that is no such, and it is about something else: "stop the war", "cancel the sports part".
    """
    return any(_ends_all(clause) for clause in _CLAUSE.split(text))


def _ends_all(clause: str) -> bool:
    words = [word for piece in _words(clause) for word in piece.split("'") if word]
    if not 0 < len(words) <= _LONGEST:
        return False
    rest, ends = f" {' '.join(words)} ", False
    for two in _pairs():
        if f" {two} " in rest:
            rest, ends = rest.replace(f" {two} ", " "), True
    said = set(rest.split())
    letters, ends_them = said & listed_bare("wishes", "letters"), said & listed_bare("wishes", "ends_them")
    alone = said & listed_bare("wishes", "ends")
    little = listed_bare("wishes", "little") | listed_bare("wishes", "courtesies")
    return said <= letters | ends_them | alone | little and bool(ends or alone or (letters and ends_them))


@cache
def _pairs() -> tuple[str, ...]:
    """What ends something and is more than one word."""
    return tuple(one for one in _sorted("ends") if " " in one)


def _words(line: str) -> list[str]:
    """Runs of letters and the marks that go with them (of Hindi, whose vowels are marks), and ' inside."""
    parts = "".join(c if c == "'" or unicodedata.category(c)[0] in "LM" else " " for c in line).split()
    return [word for part in parts if (word := part.strip("'"))]
