"""What the server says (RFC 5321 §4.2), and what one reply means for its letter and connection. Pure.

Whose trouble a refusal is, one reply can only make one suspect: `judge`, which sees many, decides.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache

from digest.dataclass import dataclass
from digest.errors import DigestError

LONGEST_LINE = 4096  # bytes of one that are kept: RFC 5321 §4.5.3.1.5 says 512; some put a whole page into one
ENDLESS = 65_536  # bytes after which it has none
MOST_LINES = 200
FIRST_DELAY = timedelta(minutes=5)
LONGEST_DELAY = timedelta(hours=1)
_LINE = re.compile(rb"([2-5]\d\d)([ -]?)(.*)", re.DOTALL)
_CODE = re.compile(rb"[2-5]\d\d(?!\d)")
_ENHANCED = re.compile(r"#?([245]\.\d{1,3}\.\d{1,3})(?=\s|$)\s*")  # some write it as qmail does


class Garbled(DigestError):
    """What came is no SMTP; the connection is of no use any more."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer: code, enhanced status (RFC 3463) or "", and the words."""

    code: int
    status: str
    text: str
    lines: tuple[str, ...] = ()  # the text, line by line

    @property
    def words(self) -> str:
        return f"{self.status} {self.text}".strip()

    def __str__(self) -> str:
        return f"{self.code or ''} {self.words}".strip()  # no code: what we say in place of a server


class Step(StrEnum):
    """Which of our commands a reply answers. BODY is the end of the data."""

    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BODY = "BODY"


class Verdict(StrEnum):
    """What a reply means for its letter."""

    OK = "ok"
    REFUSED = "refused"  # for good
    DEFERRED = "deferred"  # for now
    BUSY = "busy"  # nothing, but the connection is of no use any more


# Of an enumeration each member that is named is looked for; these are named several times for each letter.
MAIL, RCPT, DATA, BODY = Step
OK, REFUSED, DEFERRED, BUSY = Verdict


class ReplyReader:
    """Cuts what arrives, in whatever pieces, into replies; never holds more than one reply's bytes."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[Reply]:
        """The replies that are complete now; after the last good one, Garbled where no reply, or no end, follows."""
        text = self._rest + data
        lines = text.split(b"\n")
        self._rest = lines.pop()
        if self._lines or b"-" in text or len(text) > LONGEST_LINE:
            return self._join(lines)
        return map(_read, filter(bytes.strip, lines))  # of one line each, as nearly all are

    def _join(self, lines: list[bytes]) -> Iterator[Reply]:
        for line in lines:
            # Some wrap their words without a code, which stands in the last line; and send empty lines in between.
            if line[3:4] == b"-" or (self._lines and not _CODE.match(line)):
                self._lines.append(line[:LONGEST_LINE])
                if len(self._lines) > MOST_LINES:
                    raise Garbled("a reply without end")
            elif self._lines:
                lines_before, self._lines = self._lines, []
                yield _joined([*lines_before, line[:LONGEST_LINE]])
            elif line.strip():
                yield _read(line[:LONGEST_LINE])
        if len(self._rest) > ENDLESS:
            raise Garbled("a line without end")

    @property
    def empty(self) -> bool:
        return not (self._rest or self._lines)


@lru_cache(maxsize=256)  # servers say the same three things all day
def _read(line: bytes) -> Reply:
    return _joined([line])


def _joined(lines: list[bytes]) -> Reply:
    """The code is that of the last line, as Postfix and others have it where lines differ, which RFC 5321 §4.2.1
    forbids; but a yes after a no is neither.
    """
    words, status, worst = [], "", b""
    matches = [_LINE.fullmatch(line.rstrip(b"\r")) for line in lines]
    last = matches[-1]
    if last is None:
        raise Garbled(f"no SMTP reply: {lines[-1].strip()[:80]!r}")
    for line, match in zip(lines, matches, strict=True):
        text = (match[3] if match else line).decode("utf-8", "replace")
        worst = max(worst, match[1][:1]) if match else worst
        enhanced = _ENHANCED.match(text)
        if enhanced:
            # Of a reply that speaks of several things, what goes with its code.
            same = enhanced[1].encode()[:1] == last[1][:1]
            status = enhanced[1] if same and status[:1] != enhanced[1][:1] else status or enhanced[1]
            text = text[enhanced.end() :]
        words.append("".join(c if c.isprintable() else " " for c in text).strip())
    if worst >= b"4" > last[1][:1]:
        raise Garbled(f"no SMTP reply, but yes and no: {lines[-1].strip()[:80]!r}")
    return Reply(int(last[1]), status, " ".join(word for word in words if word), tuple(words))


def verdict(reply: Reply, step: Step) -> Verdict:
    """What `reply` to `step` of a letter's transaction means for that letter."""
    code = reply.code
    if code == 354 if step is DATA else 200 <= code < 300:
        return OK
    if code in (421, 503) or code < 400:
        return BUSY  # closing, or we no longer agree about where we are: a new connection mends both
    if code == 552 and step is RCPT and (reply.status == "5.5.3" or "too many recipients" in reply.text.lower()):
        return DEFERRED  # RFC 5321 §4.5.3.1.10
    return REFUSED if code >= 500 else DEFERRED


def wants_less(reply: Reply) -> bool:
    """May a server put a letter off because of how many they are, and not because of its reader? (4.3, 4.4, 4.7)"""
    if not 400 <= reply.code < 500:
        return False
    return reply.code == 421 or not reply.status or reply.status.startswith(("4.3.", "4.4.", "4.7."))


def retry_delay(attempt: int, rng: random.Random) -> timedelta:
    """How long a deferred letter waits: from 5 minutes, doubling to an hour, jittered by a fifth.

    Without jitter all the letters that a server put off would come back to it in the same second.
    """
    doubled: timedelta = FIRST_DELAY * 2 ** min(attempt - 1, 10)
    return min(doubled, LONGEST_DELAY) * rng.uniform(0.8, 1.2)


# ---------------------------------------------------------------- whose trouble one reply speaks of

# The mailbox or its domain does not exist (RFC 3463 §3.2, RFC 7505): nothing will arrive there, ever.
_GONE = {"1.1", "1.2", "1.3", "1.6", "1.10"}
# Some give that number for what comes and goes, or for what another server answered them, and say so beside it.
_NOT_GONE = (
    "quota", "is full", "mailbox full", "out of storage", "relay access", "relaying", "greylist", "spam", "blocked",
    "blacklist", "policy", "undeliverable address", "temporar", "try again",
)  # fmt: skip
_BAD_SENDER = {"1.7", "1.8"}
_LOGIN = {530, 534, 535, 538}


# What relays say for good where we have sent as much as they let us have in an hour or a day.
_LIMITS = (
    "sending limit", "send limit", "daily limit", "hourly limit", "sending quota", "sending rate", "sending activity",
    "credits exceeded", "emails per hour", "message quota exceeded",
)  # fmt: skip


class Blame(StrEnum):
    """Whose trouble one reply speaks of."""

    LETTER = "letter"  # it says nothing about others
    GONE = "gone"  # there is no such mailbox
    MAILBOX = "mailbox"  # full, disabled, or wants no mail
    DOMAIN = "domain"  # the recipients' server
    RELAY = "relay"
    EDITION = "edition"  # what the letter says
    OURS = "ours"  # login or sender


_READERS = frozenset({Blame.MAILBOX, Blame.DOMAIN, Blame.LETTER})


def suspect(reply: Reply, step: Step) -> Blame:
    """Whose trouble a 4yz or 5yz reply speaks of: by its enhanced status (RFC 3463 §3), else by its code and step.

    For good, at MAIL, it is no reader's, whatever its number: none has been named.
    """
    if reply.code >= 500:
        if any(one in reply.text.lower() for one in _LIMITS):
            return Blame.OURS
        if step is Step.MAIL and reply.status[2:] != "6.7" and _suspect(reply, step) in _READERS:
            return Blame.OURS
    return _suspect(reply, step)


def _suspect(reply: Reply, step: Step) -> Blame:
    permanent = reply.code >= 500
    if reply.status:
        kind = reply.status.partition(".")[2]
        subject = kind.partition(".")[0]
        if kind in _BAD_SENDER or kind in ("7.8", "7.9", "7.11"):  # RFC 4954 §6
            return Blame.OURS
        if subject == "1":
            gone = permanent and reply.status[0] == "5" and step is Step.RCPT and kind in _GONE
            return Blame.GONE if gone and not any(one in reply.text.lower() for one in _NOT_GONE) else Blame.MAILBOX
        if subject == "7" and permanent:
            if reply.code in _LOGIN or step is Step.MAIL:
                return Blame.OURS
            return Blame.RELAY if step is Step.RCPT else Blame.EDITION
        if kind == "4.1" and permanent and step is Step.RCPT:
            return Blame.MAILBOX  # "no answer from host", says the host: Exchange Online, of whom it does not know
        if kind in ("3.4", "6.7"):
            return Blame.EDITION if kind == "3.4" else Blame.LETTER
        by_subject = {"2": Blame.MAILBOX, "3": Blame.RELAY, "4": Blame.DOMAIN, "6": Blame.EDITION, "7": Blame.DOMAIN}
        if subject in by_subject:
            return by_subject[subject]
    if reply.code in _LOGIN:
        return Blame.OURS
    if not permanent:
        return Blame.RELAY if step is Step.MAIL or reply.code == 421 else Blame.DOMAIN
    if reply.code == 552:
        return Blame.MAILBOX if step is Step.RCPT else Blame.EDITION
    if step is Step.MAIL:
        return Blame.OURS
    if step is Step.RCPT:
        return Blame.RELAY if reply.code == 554 else Blame.LETTER
    return Blame.EDITION if reply.code in (550, 554) else Blame.LETTER
