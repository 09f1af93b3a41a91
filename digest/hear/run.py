"""Reading a mailbox: mails in small batches, each batch one transaction, and marked as read only after it.

Killed at any moment, read twice or by two at once: each mail is one row, and what follows from it happens once.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from digest.config import Config
from digest.errors import UserError
from digest.hear import mime, policy, proof
from digest.hear.addresses import address_in
from digest.hear.for_feeds import mailed
from digest.hear.forward import forward
from digest.hear.happened import Happened, happened
from digest.hear.policy import Act, Decision, Heard, Past, Trouble
from digest.hear.report import BOUNCES, Failed, Kind, Reason, Report
from digest.hear.sources import Incoming, Source
from digest.hear.understand import understand
from digest.hear.wishes import wants_to_leave
from digest.models import Subscriber, Subscription, address_key
from digest.store import Database, doubts, refusals, reports, suppressions
from digest.store.reports import Letter
from digest.values import Evidence, Followed, Mailed, Wished

BATCH, BATCH_BYTES = 50, 5_000_000
KEPT_BYTES = 300_000  # of a raw mail
_SPEAKING = {Kind.COMPLAINT, Kind.VACATION, Kind.CHALLENGE, Kind.REPLY, Kind.UNKNOWN, Kind.UNSUBSCRIBE}
_TRACE = tuple(
    name.encode()
    for name in (
        "return-path:", "delivered-to:", "x-original-to:", "envelope-to:", "delivery-date:", "received:",
        "received-spf:",
        "authentication-results:", "arc-", "x-spam", "x-virus", "dkim-filter:", "x-envelope", "status:", "x-status:",
        "x-uid:", "x-keywords:", "content-length:", "lines:",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """A mail that was understood, and not stored yet."""

    mail: Incoming
    report: Report
    clues: proof.Clues
    hash: str
    posted: Any = None  # of a mail for a feed, what the room of feeds read in it

    @property
    def understood(self) -> bool:
        return self.report.kind not in (Kind.UNKNOWN, Kind.REPLY)


class CameBefore(Exception):
    """A word that may come once came with another mail; nothing of the batch is stored."""


@dataclass
class Readings:
    """What was read: mails, those known before, and what followed by `policy.Act`."""

    source: str = ""
    read: int = 0
    copies: int = 0
    cut: int = 0  # larger than what is read of one
    kinds: dict[str, int] = field(default_factory=dict)
    acts: dict[str, int] = field(default_factory=dict)
    more: bool = False  # a bound was reached before the end

    @property
    def changed(self) -> int:
        return sum(self.acts.get(act, 0) for act in (Act.SUPPRESS, Act.COMPLAINT, Act.PAUSE, Act.LEAVE, Act.CHOSE))

    def count(self, mails: list[Prepared], acts: list[Act | None]) -> None:
        """Add a batch that is stored."""
        for one, act in zip(mails, acts, strict=True):
            self.read += 1
            self.cut += one.report.cut
            if act is None:
                self.copies += 1
                continue
            self.kinds[one.report.kind] = self.kinds.get(one.report.kind, 0) + 1
            self.acts[act] = self.acts.get(act, 0) + 1


@dataclass(frozen=True)
class Rooms:
    """What others do with mails that are no answer to a letter; `line` knows these rooms, and we do not.

    `choose` does what a reader asks for, in our transaction. `read` reads mails for feeds, outside of one and within
    bounds, and `keep` stores one of them; `admit` takes its writer for a sender of the feed, and says who that is.
    """

    choose: Callable[[Session, Config, Wished, datetime], Followed]
    read: Callable[[Config, list[Mailed]], list[Any]]
    keep: Callable[[Session, Mailed, Any, datetime], Followed]
    admit: Callable[[Session, Mailed], str]


@dataclass
class Storms:
    """Editions of which so many readers are said to have no mailbox that nobody is barred: what one reading knows.

    Counted once, and those who were barred before are freed once: a hundred thousand such reports may wait.
    """

    seen: dict[int, tuple[int, int]] = field(default_factory=dict)  # edition: of how many readers, of how many letters
    there: dict[int, dict[str, set[int]]] = field(default_factory=dict)  # edition: who is said so, by domain
    readers: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)  # at a domain: of how many, of all
    freed: set[tuple[int, str]] = field(default_factory=set)  # edition and domain; "" all of them


@dataclass(frozen=True)
class Bounds:
    """How much one reading takes on; None: all there is."""

    mails: int | None = None
    seconds: float | None = None


def read(
    database: Database,
    config: Config,
    source: Source,
    *,
    clock: Callable[[], datetime],
    bounds: Bounds = Bounds(),
    progress: Callable[[Readings], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    rooms: Rooms | None = None,
) -> Readings:
    """Read what a source has, up to the bounds, and let follow what follows.

    Without `rooms` choices and mails for feeds are left to a person.
    UserError where it cannot be read; what was read by then is stored.
    """
    done, storms = Readings(source.name), Storms()
    until = clock() + timedelta(seconds=bounds.seconds) if bounds.seconds is not None else None
    with database.read() as session:
        mark = reports.mark(session, source.name)
    for batch in _batches(source.mails(mark)):
        some = batch if bounds.mails is None else batch[: bounds.mails - done.read]
        if some:
            _take(database, config, source, some, done, clock=clock, rooms=rooms, storms=storms)
            if progress is not None:
                progress(done)
        full = bounds.mails is not None and done.read >= bounds.mails
        if full or stop() or (until is not None and clock() >= until):
            done.more = True
            break
    return done


def _take(
    database: Database,
    config: Config,
    source: Source,
    batch: list[Incoming],
    done: Readings,
    *,
    clock: Callable[[], datetime],
    rooms: Rooms | None,
    storms: Storms,
) -> None:
    """One transaction, and what it means for the mailbox and for the figures."""
    some = _for_feeds([prepare(mail, config) for mail in batch], config, rooms, clock())
    with database.write() as session:
        acts = _store(session, config, source.name, some, clock(), rooms, storms)
    done.count(some, acts)
    for one, act in zip(some, acts, strict=True):
        source.done(one.mail, understood=one.understood and act is not Act.UNPROVEN)


def _batches(mails: Iterator[Incoming | None]) -> Iterator[list[Incoming]]:
    """Mails by the batch: so many, or so many bytes, are held at a time; perhaps none, where a while has passed."""
    batch: list[Incoming] = []
    try:
        for mail in mails:
            if mail is not None:
                batch.append(mail)
            if mail is None or len(batch) >= BATCH or sum(len(one.raw) for one in batch) > BATCH_BYTES:
                yield batch
                batch = []
    except UserError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def prepare(mail: Incoming, config: Config) -> Prepared:
    """Understand a mail, outside of any transaction."""
    try:
        report = mail.report or understand(mail.raw, mail.envelope_to)
    except Exception:  # a stranger's bytes met a mistake of ours: the mail is kept, counted, and stops no other
        report = Report(Kind.UNKNOWN)
    return Prepared(mail, report, proof.clues(report, mail.envelope_to, keys=config.all_keys), fingerprint(mail.raw))


def _for_feeds(some: list[Prepared], config: Config, rooms: Rooms | None, now: datetime) -> list[Prepared]:
    """Have the mails for feeds read where feeds are read: all of a batch at once, as a process is started for it."""
    mails = {at: _mailed(one, now) for at, one in enumerate(some) if one.report.kind is Kind.FEED and one.clues.feed}
    if rooms is None or not mails:
        return some
    read = dict(zip(mails, rooms.read(config, list(mails.values())), strict=True))
    return [replace(one, posted=read.get(at)) for at, one in enumerate(some)]


def _mailed(one: Prepared, now: datetime) -> Mailed:
    return mailed(one.mail.raw, feed=one.clues.feed or "", hash=one.hash, now=now)


def fingerprint(raw: bytes) -> str:
    """What makes two mails copies of one: what was written, without what servers put above it and how lines end."""
    data = mime.lined(raw)
    if data.startswith((b"From ", b">From ")):
        data = data.partition(b"\n")[2]
    head, _, body = data.partition(b"\n\n")
    kept, keep = [], True
    for line in head.split(b"\n"):
        if line[:1] not in (b" ", b"\t"):
            keep = not line.lower().startswith(_TRACE)
        if keep:
            kept.append(line.rstrip())
    return hashlib.sha256(b"\n".join(kept) + b"\n\n" + body.rstrip()).hexdigest()


# ---------------------------------------------------------------- one transaction


def _store(
    session: Session,
    config: Config,
    source: str,
    some: list[Prepared],
    now: datetime,
    rooms: Rooms | None,
    storms: Storms,
) -> list[Act | None]:
    """What follows from each mail; None for one that was known before."""
    refused: Counter[int] = Counter()
    acts: list[Act | None] = []
    for one in some:
        letter, how = _letter(session, one, config)
        row = _row(one, source, letter, how, now=now)
        report_id = reports.take(session, row)
        if report_id is None:
            acts.append(None)
            continue
        if one.mail.once and not reports.spend(session, one.mail.once, now=now):
            raise CameBefore
        if one.report.kind in (Kind.CHOICES, Kind.FEED) and (one.clues.choices or one.clues.feed):
            act = _elsewhere(session, config, one, report_id, now, rooms)
        else:
            act = _follow(session, one, letter, how, report_id, now, storms)
        acts.append(act)
        if one.report.kind is Kind.REPLY and not wants_to_leave(one.report):
            _pass_on(session, config, one.report, report_id, now)
        if act is Act.OURS and letter is not None and letter.edition_id is not None:
            refused[letter.edition_id] += 1
    if some and some[-1].mail.mark:
        reports.set_mark(session, source, some[-1].mail.mark, now=now)
    # Last, since on PostgreSQL senders of the same edition wait from here to the end.
    for edition_id, number in sorted(refused.items()):
        refusals.count(session, edition_id, refusals.Refusals(content=number))
    return acts


def _letter(session: Session, one: Prepared, config: Config) -> tuple[Letter | None, str]:
    """The letter that a mail proves to be about, and how."""
    clues = one.clues
    if one.report.kind is Kind.UNSUBSCRIBE and one.mail.report is None:
        if clues.leaves is None:
            return None, ""
        return reports.letter_of(session, clues.leaves, None), "leave"
    if one.report.kind not in BOUNCES | _SPEAKING:
        return None, ""
    if clues.letter_id is not None:
        letter = reports.letter(session, clues.letter_id)
        return (letter, "verp") if letter is not None and letter.tried else (None, "")
    if clues.message_id and clues.readers:
        letters = [proof.Candidate(*row) for row in reports.letters_to(session, clues.readers)]
        found = proof.by_message_id(clues, letters, keys=config.keys)
        if found is not None:
            return reports.letter(session, found), "message-id"
    if clues.subscription_id is not None:
        letter = reports.letter_of(session, clues.subscription_id, clues.edition)
        if letter is not None and letter.tried:
            return letter, "link"
    return None, ""


def about(report: Report, email: str) -> Failed | None:
    """What a report says of one reader: by address, else what it says of its only recipient, else the mildest."""
    key = address_key(email)
    for one in report.recipients:
        if key and key in (address_key(one.email), address_key(one.original)):
            return one
    mild = (Kind.DELIVERED, Kind.DELAYED, Kind.POLICY, Kind.SOFT, Kind.HARD, Kind.COMPLAINT)
    return min(report.recipients, key=lambda one: mild.index(one.kind), default=None)


def _row(one: Prepared, source: str, letter: Letter | None, how: str, *, now: datetime) -> dict[str, Any]:
    report = one.report
    part = about(report, letter.email if letter else "")
    email = (letter.email if letter else "") or (part.email if part else "")
    return {
        "hash": one.hash,
        "source": source,
        "read_at": now,
        "said_at": report.sent_at,
        "kind": str(part.kind if part and report.kind in BOUNCES else report.kind),
        "reason": str(part.reason) if part else "",
        "status": part.status if part else "",
        "feedback": report.feedback,
        "proof": how,
        "outbox_id": letter.id if letter and not letter.rolled else None,
        "edition_id": letter.edition_id if letter else None,
        "subscriber_id": letter.subscriber_id if letter else None,
        "subscription_id": (letter.subscription_id if letter else None) or one.clues.leaves or one.clues.choices,
        "written_at": letter.at if letter else None,
        "address": address_key(email or _from(report))[:320],
        "domain": address_key(email).rpartition("@")[2][:255],
        "act": "",
        "why": "",
        "sender": report.sender[:300],
        "subject": report.subject[:300],
        "text": report.text[:1000]
        if report.kind in (Kind.REPLY, Kind.UNKNOWN, Kind.CHOICES)
        else (part.diagnostic if part else "")[:1000],
        "raw": zlib.compress(one.mail.raw[:KEPT_BYTES], 6),
    }


def _from(report: Report) -> str:
    return address_in(report.sender)


def _follow(
    session: Session, one: Prepared, letter: Letter | None, how: str, report_id: int, now: datetime, storms: Storms
) -> Act:
    """What follows from a mail that is stored: decided, done, and put down."""
    report = one.report
    if report.kind is Kind.UNSUBSCRIBE and one.clues.leaves is not None:
        return _leave(session, one.clues.leaves, letter, report_id, now)
    if report.kind is Kind.UNSUBSCRIBE and how and letter is not None and letter.subscription_id is not None:
        return _leave(session, letter.subscription_id, letter, report_id, now)  # at a service that sends for us
    if report.kind is Kind.REPLY:
        why = "they seem to want to leave" if wants_to_leave(report) else "a person wrote"
        reports.finish(session, report_id, act=Act.ASK, why=why)
        return Act.ASK
    if not how or letter is None:
        bounced = report.kind in BOUNCES | {Kind.COMPLAINT, Kind.UNSUBSCRIBE, Kind.CHOICES, Kind.FEED}
        act = Act.UNPROVEN if bounced else Act.NONE
        why = "nothing in it proves a letter of ours" if bounced else str(report.kind)
        reports.finish(session, report_id, act=act, why=why)
        return act
    decision, person = _decide(session, report, letter, now, storms)
    before = _carry_out(session, decision, letter, person, report_id, now, storms)
    _put_down(session, decision, before, letter, report_id, now)
    return decision.act


def _pass_on(session: Session, config: Config, report: Report, report_id: int, now: datetime) -> None:
    """What a person wrote goes to whom the settings name, and is no ask any more."""
    if to := forward(session, config, report, report_id, now=now):
        reports.finish(session, report_id, why=f"a person wrote; passed on to {to}", done_at=now)


def _elsewhere(
    session: Session, config: Config, one: Prepared, report_id: int, now: datetime, rooms: Rooms | None
) -> Act:
    """A mail to a signed address that is for a reader's choices, or for a feed: done by the room that knows how."""
    clues, report = one.clues, one.report
    if rooms is None:
        reports.finish(session, report_id, act=Act.ASK, why="nobody here knows what to do with it")
        return Act.ASK
    if report.kind is Kind.CHOICES and clues.choices is not None:
        wish = Wished(report_id, clues.choices, report.subject[:300], report.text, report.robot)
        done = rooms.choose(session, config, wish, now)
        proven = {"proof": "choices", "subscriber_id": done.subscriber_id}
    else:
        done = rooms.keep(session, _mailed(one, now), one.posted, now)
        proven = {"proof": "" if done.act == Act.ASIDE else "feed", "address": f"mail:{clues.feed}"}
        if done.act == Act.ASK:
            proven["kind"] = Kind.CONFIRMATION
    reports.finish(session, report_id, act=done.act, why=done.why[:500], before=done.before, **proven)
    return Act(done.act)


def _gone(session: Session, edition_id: int, storms: Storms) -> tuple[int, int]:
    """Readers of an edition who are said to have no mailbox, counted as far as it matters, and all of them."""
    if edition_id not in storms.seen:
        sent = doubts.letters_of(session, edition_id)
        gone = doubts.gone(session, edition_id, most=policy.doubted_from(sent))
        if gone < policy.doubted_from(sent):
            return gone, sent
        storms.seen[edition_id] = gone, sent
    return storms.seen[edition_id]


def _gone_there(session: Session, edition_id: int, letter: Letter, storms: Storms, few: int) -> tuple[int, int]:
    """Of the readers at the domain of a letter's, how many are said to have no mailbox, and all; (0, 0) below `few`.

    To count all of them is to look through the list, so it is done for domains at which it can matter.
    """
    domain = _domain(letter)
    if edition_id not in storms.there:
        storms.there[edition_id] = doubts.gone_by_domain(session, edition_id)
    said = storms.there[edition_id].setdefault(domain, set())
    if letter.subscriber_id is not None:
        said.add(letter.subscriber_id)
    if len(said) < few:
        return 0, 0
    before, readers = storms.readers.get((edition_id, domain), (0, 0))
    if len(said) >= 2 * before:  # until then twice as many as now are not half of those that were counted
        readers = doubts.readers_at(session, edition_id, domain, most=4 * len(said) + 1)
        storms.readers[edition_id, domain] = len(said), readers
    return len(said), readers


def _domain(letter: Letter) -> str:
    return address_key(letter.email).rpartition("@")[2]


def _decide(
    session: Session, report: Report, letter: Letter, now: datetime, storms: Storms
) -> tuple[Decision, Subscriber | None]:
    person = session.get(Subscriber, letter.subscriber_id) if letter.subscriber_id is not None else None
    part = about(report, letter.email) or Failed(letter.email, report.kind)
    heard = Heard(
        kind=part.kind if report.kind in BOUNCES else report.kind,
        reason=part.reason,
        status=part.status,
        feedback=report.feedback,
        letter_at=letter.at,
        edition=letter.edition_id,
        of_another=address_key(letter.email) not in (address_key(part.email), address_key(part.original)),
    )
    past = Past()
    if person is not None and person.id is not None and heard.kind in (Kind.HARD, Kind.SOFT):
        known = reports.known(session, person.id, now=now, arrived=policy.ARRIVED)
        troubles = tuple(Trouble(Kind(kind), Reason(reason), row, at) for kind, reason, row, at in known.troubles)
        past = Past(troubles, known.pauses, known.paused_at, known.came_back_at)
    elif person is not None and person.id is not None:
        past = Past(came_back_at=reports.came_back(session, person.id))
    decision = policy.decide(heard, past, now=now)
    if decision.act is Act.SUPPRESS and heard.kind is Kind.HARD and letter.edition_id is not None:
        gone, sent = _gone(session, letter.edition_id, storms)
        there, readers = _gone_there(session, letter.edition_id, letter, storms, policy.enough_there(heard))
        past = replace(past, gone=gone, sent=sent, gone_there=there, readers_there=readers, domain=_domain(letter))
        decision = policy.decide(heard, past, now=now)
    if person is None and decision.act is not Act.OURS:
        decision = Decision(Act.NONE, f"about nobody who is subscribed: {decision.why}")
    return decision, person


def _carry_out(
    session: Session,
    decision: Decision,
    letter: Letter,
    person: Subscriber | None,
    report_id: int,
    now: datetime,
    storms: Storms,
) -> dict[str, Any]:
    """Do to the reader's rows what was decided; what it takes to undo it."""
    said = Evidence(f"mail {report_id}", now)
    if person is None:
        return {}
    if decision.act is Act.SUPPRESS:
        status = decision.why.rpartition(" ")[2]
        status = status if status[:2] in ("5.", "4.") else "5.0.0"
        return reports.suppress(session, person, reason=suppressions.BOUNCED, status=status, evidence=said)
    if decision.act is Act.DOUBTED and letter.edition_id is not None:
        all_of_it = letter.edition_id, "" if letter.edition_id in storms.seen else _domain(letter)
        if all_of_it in storms.freed:
            return {}
        storms.freed.add(all_of_it)
        for earlier in doubts.barred_of(session, letter.edition_id, domain=all_of_it[1]):
            if (row := reports.get(session, earlier)) is not None and reports.undo(session, row, evidence=said):
                reports.finish(session, earlier, act=Act.DOUBTED, undone_at=None, before=None)
        return {}
    if decision.act is Act.COMPLAINT:
        before = reports.suppress(session, person, reason=reports.COMPLAINED, status="", evidence=said)
        if letter.subscription_id is not None:
            before |= reports.leave(session, letter.subscription_id, evidence=said)
        return before
    if decision.act is Act.PAUSE and letter.subscription_id is not None and decision.until is not None:
        return reports.pause(session, letter.subscription_id, until=decision.until, why=decision.why, evidence=said)
    return {}


def _leave(session: Session, subscription_id: int, letter: Letter | None, report_id: int, now: datetime) -> Act:
    said = Evidence(f"unsubscribe mail {report_id}", now)
    before = reports.leave(session, subscription_id, evidence=said)
    decision = policy.decide(Heard(Kind.UNSUBSCRIBE), Past(), now=now)
    reports.finish(session, report_id, act=decision.act, why=decision.why, before=before or None, proof="leave")
    subscription = session.get(Subscription, subscription_id)
    if subscription is not None:
        what = Happened(
            report_id,
            Kind.UNSUBSCRIBE,
            decision.act,
            decision.why,
            now,
            subscription.subscriber_id,
            subscription_id,
            letter.edition_id if letter else None,
        )
        reports.finish(session, report_id, subscriber_id=subscription.subscriber_id)
        happened(session, what)
    return decision.act


def _put_down(
    session: Session, decision: Decision, before: dict[str, Any], letter: Letter, report_id: int, now: datetime
) -> None:
    reports.finish(session, report_id, act=decision.act, why=decision.why, before=before or None)
    row = reports.get(session, report_id)
    if row is None or letter.subscriber_id is None or row.kind not in ("hard", "soft", "policy", "complaint"):
        return
    happened(
        session,
        Happened(
            report_id=report_id,
            kind=Kind(row.kind),
            act=decision.act,
            why=decision.why,
            at=now,
            subscriber_id=letter.subscriber_id,
            subscription_id=letter.subscription_id,
            edition_id=letter.edition_id,
        ),
    )


# ---------------------------------------------------------------- by a person's word


def undo(database: Database, ids: list[int], *, how: str, now: datetime) -> list[int]:
    """Put back what followed from these reports, each as far as nobody changed it since; those that were."""
    undone = []
    for at in range(0, len(ids), BATCH):
        with database.write() as session:
            for report_id in ids[at : at + BATCH]:
                row = reports.get(session, report_id)
                if row is not None and reports.undo(session, row, evidence=Evidence(how, now)):
                    undone.append(report_id)
    return undone


def believe(session: Session, report_id: int, *, how: str, now: datetime) -> bool:
    """Do what a doubted report says, at an operator's word. False where there is nothing to do."""
    row = reports.get(session, report_id)
    if row is None or row.act != Act.DOUBTED or row.subscriber_id is None:
        return False
    person = session.get(Subscriber, row.subscriber_id)
    if person is None:
        return False
    said = Evidence(how, now)
    before = reports.suppress(session, person, reason=suppressions.BOUNCED, status=row.status or "5.0.0", evidence=said)
    reports.finish(session, report_id, act=Act.SUPPRESS, before=before or None, done_at=now)
    return True


def accept(
    database: Database, config: Config, report_id: int, rooms: Rooms, *, now: datetime
) -> tuple[str, Followed | None] | None:
    """Accept the sender of a mail for a feed that was set aside, and take the mail up again.

    The sender, "" where the mail is not kept, and what followed. None for any other mail.
    """
    with database.read() as session:
        row = reports.get(session, report_id)
        if row is None or row.act != Act.ASIDE:
            return None
        raw, feed, mark = row.raw, row.address.partition(":")[2], row.hash
    if raw is None:
        return "", None
    mail = mailed(zlib.decompress(raw), feed=feed, hash=mark, now=now)
    posted = rooms.read(config, [mail])[0]
    with database.write() as session:
        sender = rooms.admit(session, mail)
        done = rooms.keep(session, mail, posted, now)
        reports.finish(session, report_id, act=done.act, why=done.why[:500], proof="feed", done_at=now)
    return sender, done


def prune(database: Database, config: Config, *, now: datetime, steps: int = 20) -> int:
    """Forget the mails themselves once they are older than the settings say; some hundreds in each step."""
    gone = 0
    for _ in range(steps):
        with database.write() as session:
            some = reports.prune(session, before=now - timedelta(days=config.mail.keep_days))
        gone += some
        if not some:
            break
    return gone
