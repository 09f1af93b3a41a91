"""What somebody wrote in an answer to our mail, apart from what it quotes: with marks, below a headline, or bare."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

from digest.render.speech import catalogue, languages

MOST_LINES = 60  # that are looked at
MOST_TEXT = 4_000  # characters
_DIVIDER = re.compile(r"(?:-{3,}+|_{3,}+|\*{3,}+)\s*$|-{4}|_{4}")  # "*** stop ***" is somebody's own
_REPLY = re.compile(
    r"\s*+(?:re|aw|sv|antw|rif|res|rép|tr|fwd?|wg|odp|ynt|回复|答复|返信|رد|השב|תגובה)\s*+(?:\[\d{1,3}\]\s*+)?[:：]",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"<?(?:https?://|mailto:)\S")
# Lines by which a mail of ours is known where its quote has no mark: they stand in its head and its foot, and no
# person begins a line so.
_OURS = (
    "A beginning: the sources have been quiet, and these are their newest stories.",
    "Just reply to this mail to write to us.",
    "You get this because you subscribed to %(title)s.", "Topics, frequency, or a pause",
    "Or by mail, in plain words: pause 2 weeks, weekly, stop, help",
    "Write to %(address)s, as in: pause 2 weeks, back, weekly, %(topics)stext, language de, at 8, stop, help.",
    "There you choose topics and days, pause, or leave.",
    "Should the button not work, this is its address:",
    "The link works for seven days. If it was not you, do nothing, and nothing more will come.",
    "If it was a mistake, or somebody else, you can come back there.",
)  # fmt: skip
_NUMBER = "No. %(number)s"  # beside the date
_LINKS = ("Unsubscribe", "Subscribe", "Pause")  # ours where an address follows
_WHOLE = (
    "Topics and frequency",
    "Were you forwarded this?",
    "Share this edition",
    "View in browser",
)  # and these alone
_STOPS = ".:!?\u2026\u3002\uff01\uff1f\u061f\u0964"
_WRAPPED = 40  # letters of a line that may have been wrapped; a shorter one ends where it was meant to
_PADDING = "\u034f"  # unseen; below the first words of our HTML, which inboxes show beside the subject
_CLOCK = re.compile(r"\d[:.h時点]\d\d")
_PLACE = re.compile(r"%\(\w+\)s")
_LEAST, _LEAST_WIDE, _MOST = 12, 5, 60  # letters by which a line is known; at least in Chinese and Japanese; at most


def own_lines(text: str) -> Iterator[str]:
    """The lines that are the writer's own, without blank ones; none below a quote that has no end, or a signature.

    Below a quote with marks somebody may go on, as those do who answer at the bottom.
    """
    lines = [line for line in _looked_at(text) if _PADDING in line or folded(line)]
    at = 0
    while at < len(lines):
        line, after = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
        if _marked(line):
            at += 1
        elif taken := _says_who(line, after):
            at += taken
            if at < len(lines) and not _marked(lines[at]):
                return
        elif _begins(line) or _ours(line, after):
            return
        else:
            yield line
            at += 1


def _looked_at(text: str) -> list[str]:
    """The first lines of a text; where they end within a quote with marks, also what stands below it."""
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for above, line in pairwise(["", *lines]) if not (_marked(above) and _goes_on(above, line))]
    size = most = 0
    while most < min(len(lines), MOST_LINES) and size < MOST_TEXT:
        size += len(lines[most]) + 1
        most += 1
    head, rest = lines[:most], lines[most:]
    if not rest or not _marked(next((line for line in reversed(head) if line), "")):
        return head
    end = max((at + 1 for at, line in enumerate(rest) if _marked(line)), default=0)
    return head + rest[end : end + MOST_LINES]


def _goes_on(quoted: str, line: str) -> bool:
    """Is a line the end of one of ours above it that was wrapped, and lost its mark by that?"""
    above = quoted.lstrip("> |")
    wrapped = bool(line) and not _marked(line) and len(above) > _WRAPPED and above[-1] not in _STOPS
    return wrapped and _ours(above, line)


def below(text: str) -> list[str]:
    """The lines below a mail of ours that is quoted without marks: some write there, and nothing shows where.

    They are those after the last that is known as ours; where none is and nothing stands above, the last three.
    """
    lines = [line.strip() for line in text.split("\n") if folded(line)]
    if any(map(_marked, lines)):
        return []
    quoted = [_ours(line, after) for line, after in pairwise([*lines, ""])]
    end = max((at + 1 for at, ours in enumerate(quoted) if ours), default=0)
    if end and end < len(lines) and _goes_on(lines[end - 1], lines[end]):
        end += 1
    if not end:
        end = max(0, len(lines) - 3) if next(own_lines(text), None) is None else len(lines)
    return [line for line in lines[end:] if not _begins(line)][:MOST_LINES]


def answered(subject: str) -> str:
    """What an answer's subject answers; any other as it is."""
    while match := _REPLY.match(subject):
        subject = subject[match.end() :]
    return subject


def folded(text: str, most: int = 800) -> str:
    """Small letters without accents, wide forms as narrow ones, one apostrophe, one blank."""
    text = unicodedata.normalize("NFKD", text[:most].replace("\u2019", "'")).casefold()
    return " ".join("".join(c for c in text if unicodedata.category(c) not in ("Mn", "Cf")).split())


def _marked(line: str) -> bool:
    return line.startswith((">", "|"))


def _says_who(line: str, after: str) -> int:
    """ "On 3 Nov 2026 at 07:00, Daily <news@news.example> wrote:", how many lines long; 0 for something else."""
    first, both = folded(line), folded(f"{line} {after}", 400)
    if _wrote(first):
        return 1
    return 2 if _CLOCK.search(first) and not first.endswith(":") and _wrote(both) else 0


def _wrote(plain: str) -> bool:
    if not plain.endswith(":"):
        return False
    said = plain.rstrip(": ")
    if _CLOCK.search(said) and ("@" in said or any(word in said for word in _words("wrote"))):
        return True
    return said.endswith(_words("wrote")) and any(c.isdigit() for c in said)


def _begins(line: str) -> bool:
    """Does what is quoted begin with this line, or a signature?"""
    if line == "--" or _DIVIDER.match(line):
        return True
    plain = folded(line.replace("*", "")).strip("-—–_: ")
    return plain in _words("divided") or folded(line.replace("*", "")).startswith(_words("headers"))


def _ours(line: str, after: str) -> bool:
    """Is it a line of our own mail: by its words, or a link's name with its address after it?"""
    if _PADDING in after:
        return True
    plain = folded(line)
    known, inner, links = _printed()
    if len(plain) > _LEAST and folded(f"{line} {after}").startswith(known):  # it was wrapped
        return True
    pieces = [piece.strip() for piece in re.split(r"[·|]", plain)]
    if any(piece.startswith(known) for piece in pieces) or any(words in plain for words in inner):
        return True
    if len(pieces) > 1 and any(re.sub(r"\d{1,9}", "%", piece) in _numbered() for piece in pieces):
        return True
    name, address = plain, _ADDRESS.match(after) is not None
    if (match := _ADDRESS.search(plain)) is not None:
        name, address = plain[: match.start()], True
    name = name.strip(" :[](<")
    return (address and name in links) or name in _whole()


@cache
def _words(name: str) -> tuple[str, ...]:
    listed = tomllib.loads((Path(__file__).parent / "quotes.toml").read_text(encoding="utf-8"))[name]
    return tuple(folded(word) for word in listed)


@cache
def _printed() -> tuple[tuple[str, ...], tuple[str, ...], frozenset[str]]:
    """How lines of our mails begin, in all languages; what stands in those that begin with a name; links' names."""
    begin, inner = set[str](), set[str]()
    for said in _said(_OURS):
        head, *others = (folded(piece) for piece in _PLACE.split(said))
        if _known_by(head):
            begin.add(head[:_MOST])
        elif others and _known_by(longest := max(others, key=len)):
            inner.add(longest[:_MOST])
    links = frozenset(folded(said).strip(" :") for said in _said(_LINKS))
    return tuple(sorted(begin)), tuple(sorted(inner)), links


@cache
def _whole() -> frozenset[str]:
    return frozenset(folded(said).strip(" :") for said in _said(_WHOLE))


@cache
def _numbered() -> frozenset[str]:
    """ "No. 12", the number as %."""
    return frozenset(folded(_PLACE.sub("%", said)) for said in _said((_NUMBER,)))


def _said(messages: tuple[str, ...]) -> set[str]:
    spoken = [catalogue(language) for language in languages()]
    return {words.gettext(message) for words in spoken for message in messages}


def _known_by(words: str) -> bool:
    wide = any("\u3040" <= c <= "\u9fff" for c in words)
    return len(words) >= (_LEAST_WIDE if wide else _LEAST)
