"""What follows from a report that is proven, and why. Pure: the only place that decides it.

- **There is no such mailbox** (5.1.1, 5.1.2, 5.1.3, 5.1.6, 5.1.10): believed at once, as delivery does. Not of ten
  readers and more than a tenth of an edition: then a server has a bad day, nobody is barred, and a person decides.
- **For good, and not said so plainly**, or of another address behind the reader's: believed when another edition says
  so again a week later. Not where half of the readers at a domain, and three at least, are said so: a company whose
  mail was set up wrongly denies them all ("5.4.1 Access denied"). Where it is said plainly it takes ten.
- **Content, reputation, policy** (5.7.x, block lists): ours to mend. It is counted for the edition, where the judge of
  delivery sees it, and never held against a reader.
- **Full**: three editions over two weeks, then a pause; each month one edition goes out to see. Half a year ends it.
- **Soft**: four points over two weeks, where each letter is a point that is halved in thirty days: the same pause. A
  letter that arrives, one of which nothing came back for five days, begins anew.
- **A complaint** ends the subscription and bars the address: a second one would be about all of our letters.
- **Old**: a letter of more than ninety days, or of before the reader came back, says nothing about today.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from digest.hear.report import Kind, Reason

STALE = timedelta(days=90)
AT_ONCE = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10")
AGAIN, AGAIN_OVER = 2, timedelta(days=6)  # editions that say "for good", not plainly: those of two weeks, say
FEW = 3  # readers at a domain who are denied, not plainly, before it may be all of them
FULL_EDITIONS, SOFT_POINTS, OVER = 3, 4.0, timedelta(days=14)
HALVED = timedelta(days=30)
PAUSE = timedelta(days=30)
PAUSES = 6  # in a row, before nobody tries any more
ARRIVED = timedelta(days=5)  # mail servers give up by then: what did not come back has arrived
ENOUGH, TOO_MANY = 10, 0.10  # as the judge of delivery has it
NO_COMPLAINT = ("not-spam", "auth-failure", "dmarc", "authentication-failure")


class Act(StrEnum):
    """What follows."""

    NONE = "none"  # counted
    UNPROVEN = "unproven"  # counted, and changes nobody
    OURS = "ours"
    SUPPRESS = "suppress"
    COMPLAINT = "complaint"  # unsubscribed and suppressed
    PAUSE = "pause"
    LEAVE = "leave"
    DOUBTED = "doubted"  # a person decides
    ASK = "ask"  # a person wrote, or a newsletter wants to be confirmed
    CHOSE = "chose"  # a reader's choices
    ENTRY = "entry"  # of a feed
    ASIDE = "aside"  # to the address of a feed, from somebody else than its sender


@dataclass(frozen=True)
class Heard:
    """What is proven: one reader's part of a report, and the letter that it is about."""

    kind: Kind
    reason: Reason = Reason.NONE
    status: str = ""
    feedback: str = ""
    letter_at: datetime | None = None  # when a mail server took the letter
    edition: int | None = None  # of which edition it is; None: a notice
    of_another: bool = False  # it names somebody else: a forwarder's target, or one of a list behind the address


@dataclass(frozen=True)
class Trouble:
    """An earlier report about the same reader, since a letter last arrived."""

    kind: Kind
    reason: Reason
    letter_id: int | None
    at: datetime  # when the letter was taken


@dataclass(frozen=True)
class Past:
    """What is known of the reader, and of the edition."""

    troubles: Sequence[Trouble] = ()
    pauses: int = 0  # for such troubles, in a row
    paused_at: datetime | None = None  # the last of these
    came_back_at: datetime | None = None
    gone: int = 0  # readers of the edition said to have no mailbox, with this one
    sent: int = 0  # letters of the edition that were taken
    gone_there: int = 0  # readers at the reader's own domain, with this one, by the same edition
    readers_there: int = 0  # of all who have the newsletter there
    domain: str = ""


@dataclass(frozen=True)
class Decision:
    """What follows, in a word for machines and a sentence for people; of a pause, until when."""

    act: Act
    why: str
    until: datetime | None = None


def decide(heard: Heard, past: Past, *, now: datetime) -> Decision:
    """What follows from a proven report."""
    if heard.kind is Kind.UNSUBSCRIBE:
        return Decision(Act.LEAVE, "they wrote to the signed address to leave by")
    if heard.letter_at is not None:
        if now - heard.letter_at > STALE:
            return Decision(Act.NONE, f"its letter of {heard.letter_at:%Y-%m-%d} is older than {STALE.days} days")
        if past.came_back_at is not None and heard.letter_at < past.came_back_at:
            return Decision(Act.NONE, f"they came back on {past.came_back_at:%Y-%m-%d}, after its letter")
    match heard.kind:
        case Kind.COMPLAINT if heard.feedback in NO_COMPLAINT:
            return Decision(Act.NONE, f"a report of {heard.feedback} is no complaint")
        case Kind.COMPLAINT:
            return Decision(Act.COMPLAINT, f"they complained ({heard.feedback or 'abuse'})")
        case Kind.POLICY:
            return Decision(Act.OURS, f"{heard.reason}: ours to mend, not the reader's")
        case Kind.HARD:
            return _hard(heard, past)
        case Kind.SOFT:
            return _soft(heard, past, now)
    return Decision(Act.NONE, str(heard.kind))


def _plainly(heard: Heard) -> bool:
    return not heard.of_another and heard.status in AT_ONCE and heard.reason in (Reason.NO_MAILBOX, Reason.NO_DOMAIN)


def enough_there(heard: Heard) -> int:
    """Of how many readers at one domain the same must be said before it may be the domain's trouble."""
    return ENOUGH if _plainly(heard) or heard.reason is Reason.NO_DOMAIN else FEW


def _hard(heard: Heard, past: Past) -> Decision:
    if not _plainly(heard):
        at = {one.letter_id: one.at for one in past.troubles if one.kind is Kind.HARD}
        if len(at) < AGAIN or max(at.values()) - min(at.values()) < AGAIN_OVER:
            return Decision(Act.NONE, f"{heard.reason}: believed when another edition says so again, a week later")
    if past.gone_there >= enough_there(heard) and 2 * past.gone_there >= past.readers_there:
        said = f"{past.gone_there} of {past.readers_there} readers at {past.domain} are said to have no mailbox"
        return Decision(Act.DOUBTED, said)
    if past.gone >= doubted_from(past.sent):
        return Decision(
            Act.DOUBTED, f"at least {past.gone} of {past.sent} readers of one edition are said to have no mailbox"
        )
    return Decision(Act.SUPPRESS, f"{heard.reason} {heard.status}".strip())


def doubted_from(sent: int) -> int:
    """How many readers of an edition with so many letters must be said to have no mailbox, that nobody is barred."""
    return max(ENOUGH, int(TOO_MANY * sent) + 1)


def _soft(heard: Heard, past: Past, now: datetime) -> Decision:
    if past.paused_at is not None and heard.letter_at is not None and heard.letter_at <= past.paused_at:
        return Decision(Act.NONE, f"{heard.reason}: its letter is of before the pause")
    points, span = score(past.troubles, now=now)
    full = heard.reason is Reason.FULL
    letters = len({one.letter_id for one in past.troubles if not full or one.reason is Reason.FULL})
    enough = letters >= FULL_EDITIONS if full else points >= SOFT_POINTS
    if not past.pauses and not (enough and span >= OVER):
        return Decision(Act.NONE, f"{heard.reason}: {points:.1f} points of {SOFT_POINTS:.0f}, over {span.days} days")
    if past.pauses >= PAUSES:
        return Decision(Act.SUPPRESS, f"{heard.reason} at {past.pauses} letters, a month apart")
    return Decision(Act.PAUSE, f"{heard.reason} for {max(span.days, 1)} days: one letter a month, to see", now + PAUSE)


def score(troubles: Sequence[Trouble], *, now: datetime) -> tuple[float, timedelta]:
    """Points for each letter, halved with time; and from the first letter to the last."""
    latest: dict[int | None, datetime] = {}
    for one in troubles:
        latest[one.letter_id] = max(one.at, latest.get(one.letter_id, one.at))
    if not latest:
        return 0.0, timedelta()
    points = sum(0.5 ** max(0.0, (now - at) / HALVED) for at in latest.values())
    return points, max(latest.values()) - min(latest.values())
