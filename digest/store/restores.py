"""Going on with a database that was put back: what its witness knows is worked in, in one transaction.

Who surely had a letter gets none again, who surely had none gets it, who is in doubt is treated as after a crash. What
was composed since is gone, but its number, its slot and how far its readers have read are not; who left stays gone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.dataclass import dataclass
from digest.models import (
    Edition,
    EditionState,
    Feed,
    Newsletter,
    Notice,
    OutboxRow,
    OutboxState,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
)
from digest.store import alerts, erasures, people, suppressions, tallies, witness
from digest.store.consent_tables import Consent, ConsentEvent
from digest.store.database import batched, insert_into
from digest.store.journal import Record, numbers_of
from digest.store.witness import Standing
from digest.store.witness_tables import Installation, WitnessedEntry

HOW = "known from the witness"
SENT = "sent before the database was put back, as its witness knows"
GIVEN_UP = "its stories went out with another edition, before the database was put back"
PASSED_BY = "it went out before the database was put back, which does not have it"
IN_DOUBT = "in doubt: it was under way when its witness heard of it last"
GAP = 1_000  # numbers (and ticks) that are passed over beyond the highest known one: of some nothing was heard
_NO_SYNC = {"synchronize_session": False}
_BOX = OutboxRow.__table__  # type: ignore[attr-defined]


class Rest(StrEnum):
    """What becomes of letters in doubt, and of the rest of editions that went out in part."""

    RESEND = "resend"  # in doubt: once more
    HOLD = "hold"  # in doubt: held, a person decides
    DROP = "drop"  # neither those in doubt nor those that did not go out


@dataclass
class _Issue:
    """What the witness knows of the letters of one edition since the copy was made, by subscription; or of notices."""

    key: str
    number: int
    line: int | None = None  # the last edition of the copy that was there, where it was composed; None: all of them
    composed: Record | None = None
    had: set[int] = field(default_factory=set)
    out: set[int] = field(default_factory=set)  # marked, and no end was heard of
    doubted: set[int] = field(default_factory=set)
    back: set[int] = field(default_factory=set)  # marked, and surely not sent
    marks: Counter[int] = field(default_factory=Counter)  # how often they were
    dates: dict[int, str] = field(default_factory=dict)  # the Date that each had at the last of these

    @property
    def doubtful(self) -> set[int]:
        return (self.out | self.doubted) - self.had

    @property
    def went_out(self) -> bool:
        return bool(self.had or self.doubtful)

    def marked(self, ids: Iterable[int]) -> None:
        for id_ in ids:
            if id_ in self.out:
                self.doubted.add(id_)  # its sender died, and it was taken up again
            self.out.add(id_)
            self.back.discard(id_)
            self.marks[id_] += 1

    def sent(self, ids: Iterable[int]) -> None:
        for id_ in ids:
            self.out.discard(id_)
            self.had.add(id_)

    def numbered(self, known: Mapping[int, int]) -> _Issue:
        """The same, of those of which another number is known, by that."""
        found = _Issue(self.key, self.number)
        for name in ("had", "out", "doubted", "back"):
            setattr(found, name, {known[id_] for id_ in getattr(self, name) & known.keys()})
        for id_ in sorted(known.keys() & self.marks.keys()):
            found.marks[known[id_]] += self.marks[id_]
        found.dates = {known[id_]: self.dates[id_] for id_ in sorted(known.keys() & self.dates.keys())}
        return found

    def given_back(self, ids: Iterable[int]) -> None:
        for id_ in ids:
            self.out.discard(id_)
            self.back.add(id_)


@dataclass
class Known:
    """All that journals tell of after a tick."""

    tick: int = 0  # the highest
    issues: dict[str, _Issue] = field(default_factory=dict)
    composed: dict[str, Record] = field(default_factory=dict)  # all editions, also of before
    names: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # of newsletters, by number
    notices: _Issue = field(default_factory=lambda: _Issue("", 0))
    notice_marks: dict[int, str] = field(default_factory=dict)
    left: list[Record] = field(default_factory=list)
    alerts: alerts.Heard = field(default_factory=alerts.Heard)
    # What of the copy was there too from a tick on, at which another copy was gone on with: the last edition of each
    # newsletter.
    lines: list[tuple[int, dict[str, int] | None]] = field(default_factory=list)
    box: int = 0  # the highest number of a letter
    subscription: int = 0

    def issue(self, key: str) -> _Issue:
        if key not in self.issues:
            newsletter_id, _, number = key.partition("/")
            line = self.lines[-1][1] if self.lines else None
            line_end = None if line is None else line.get(newsletter_id, 0)
            self.issues[key] = _Issue(key, int(number), line_end, self.composed.get(key))
        return self.issues[key]

    def hear(self, record: Record, *, after: int) -> None:
        """One record. Of those that the copy knows itself only names and numbers count."""
        self.tick = max(self.tick, record["t"])
        kind, new = record["k"], record["t"] > after
        if kind == "edition":
            self.names[record["key"].partition("/")[0]].add(record["name"])
            self.composed[record["key"]] = record
            if new:
                self.issue(record["key"]).composed = record
        elif kind == "letters" and new:
            self._hear_letters(record)
        elif kind == "left" and new:
            self.left += record["who"]
        elif kind == "alerts" and new:
            self.alerts.hear(record)
        elif kind == "accepted" and new:
            self.lines.append((record["t"], self._line(record, after=after)))

    def _line(self, record: Record, *, after: int) -> dict[str, int] | None:
        """What of the copy was there in another one, which was gone on with; None: all, or a release before said it."""
        if "ends" not in record:
            return None
        copied: int = record["copied"]
        ends: dict[str, int] = record["ends"]
        if copied <= after:
            return ends
        # That one was made later: of the line that this copy is of, or of one that had left it before.
        lines = (line for tick, line in reversed(self.lines) if tick <= copied)
        return next((line and {key: min(ends.get(key, 0), line[key]) for key in line} for line in lines), None)

    def _hear_letters(self, record: Record) -> None:
        self.box = max(self.box, record.get("box", 0))
        # An end that is told with marks is of letters that were marked before them.
        steps = (("sent", "sent"), ("back", "given_back"), ("marked", "marked"))
        for what, do in steps:
            for key, text in record.get(what, {}).items():
                ids = list(numbers_of(text))
                self.subscription = max(self.subscription, max(ids, default=0))
                self._hear_some(self.issue(key), do, ids, record)
            told = record.get("notices", {}).get(what, ())
            self.notice_marks |= dict(told)
            self._hear_some(self.notices, do, [id_ for id_, _mark in told], record)
        for date, theirs in record.get("dates", {}).items():  # other than that of the record
            for key, text in theirs.items():
                (self.issue(key) if key else self.notices).dates.update((id_, date) for id_ in numbers_of(text))

    @staticmethod
    def _hear_some(issue: _Issue, do: str, ids: Sequence[int], record: Record) -> None:
        getattr(issue, do)(ids)
        if do == "marked" and "dated" in record:  # which releases before did not tell
            issue.dates.update((id_, record["dated"]) for id_ in ids)


def known(journals: Iterable[Iterable[Record]], *, after: int) -> Known:
    """What journals tell, in the order in which it happened."""
    found = Known()
    records = [record for journal in journals for record in journal if record["t"] > after or record["k"] == "edition"]
    for record in sorted(records, key=lambda record: record["t"]):
        found.hear(record, after=after)
    return found


@dataclass
class Paper:
    """What becomes of one newsletter."""

    newsletter: str
    editions: list[int] = field(default_factory=list)  # that went out and are not in the copy
    settled: int = 0  # letters of editions in it that had gone out
    doubtful: int = 0
    dropped: int = 0
    moved: int = 0  # readers who had an edition that is not in it
    stories: int = 0  # entries that are known again


@dataclass
class Accepted:
    """What was worked in, for people."""

    papers: list[Paper] = field(default_factory=list)
    gone: dict[str, int] = field(default_factory=dict)  # how often consent ended, by how
    unknown_readers: int = 0  # of letters, who are not in the copy: they joined after it
    unknown_newsletters: list[str] = field(default_factory=list)
    tick: int = 0


@dataclass(frozen=True)
class Terms:
    """What the settings and the operator say: what becomes of the rest, by newsletter's name; "" is of all others."""

    rest: Mapping[str, Rest]
    now: datetime

    def of(self, name: str) -> Rest:
        return self.rest.get(name, self.rest.get("", Rest.RESEND))


def accept(session: Session, heard: Known, standing: Standing, terms: Terms) -> Accepted:
    """Work in what the witness knows, as one transaction: of the caller, who commits it or tries it out."""
    done = Accepted()
    rows = {row.id: row for row in session.exec(select(Newsletter).with_for_update())}
    ends = {row.id or 0: row.edition_number for row in rows.values()}
    for newsletter_id, issues in sorted(_by_newsletter(heard).items()):
        row = _resolved(rows, int(newsletter_id), heard.names[newsletter_id])
        if row is None:
            done.unknown_newsletters += sorted(heard.names[newsletter_id]) or [f"number {newsletter_id}"]
            continue
        done.papers.append(_newsletter(session, row, issues, terms))
        done.unknown_readers += _missing(session, {id_ for issue in issues for id_ in issue.had | issue.doubtful})
    for row in rows.values():
        row.seq += GAP  # stories that were gathered since, and of which nobody heard, may come back with another copy
    # All of what went out has to be there again before something else does: each feed is asked in the next run.
    session.execute(sa.update(Feed).where(col(Feed.next_at) > terms.now).values(next_at=terms.now))
    _notices(session, heard, terms)
    alerts.work_in(session, heard.alerts, now=terms.now)
    for what, number in _leave(session, heard.left, terms.now):
        if number:
            done.gone[what] = done.gone.get(what, 0) + number
    _pass_numbers(session, OutboxRow, heard.box)
    _pass_numbers(session, Subscription, heard.subscription)
    done.tick = max(standing.tick, standing.seen, heard.tick) + GAP
    session.execute(sa.update(Installation).values(id=standing.witness or standing.installation, tick=done.tick))
    witness.note_accepted(session, copied=standing.tick, ends=ends)
    return done


def _by_newsletter(heard: Known) -> dict[str, list[_Issue]]:
    found: dict[str, list[_Issue]] = defaultdict(list)
    for key, issue in heard.issues.items():
        found[key.partition("/")[0]].append(issue)
    return {key: sorted(issues, key=lambda issue: issue.number) for key, issues in found.items()}


def _resolved(rows: Mapping[Any, Newsletter], newsletter_id: int, names: Collection[str]) -> Newsletter | None:
    """The newsletter that had this number and these names, one after the other."""
    there = rows.get(newsletter_id)
    if there is not None and (there.name in names or not names):
        return there
    return next((row for row in rows.values() if row.name in names), None)


def _newsletter(session: Session, row: Newsletter, issues: Iterable[_Issue], terms: Terms) -> Paper:
    assert row.id is not None
    done = Paper(row.name)
    marks: dict[str, int] = {}
    torn: set[str] = set()
    before = row.seq
    for issue in issues:
        there = session.exec(
            select(Edition).where(Edition.newsletter_id == row.id, Edition.number == issue.number)
        ).one_or_none()
        if there is not None and there.state_reason != PASSED_BY and _same(there, issue):
            _settle(session, there, issue, terms, done)
        elif issue.composed is not None or issue.went_out:
            _pass_by(session, row, issue, terms, done)
            for seq, *names in issue.composed["tape"] if issue.composed else ():
                for name in names:
                    if marks.setdefault(name, seq) != seq:
                        torn.add(name)
                    before = max(before, seq)
    row.seq = max(row.seq, before)
    done.stories = len({seq for seq in marks.values() if seq})
    values = [{"newsletter_id": row.id, "mark": mark, "seq": seq} for mark, seq in marks.items() if mark not in torn]
    for some in batched(values):
        insert = insert_into(session, WitnessedEntry).values(some)
        session.execute(
            insert.on_conflict_do_update(index_elements=["newsletter_id", "mark"], set_={"seq": insert.excluded.seq})
        )
    session.add(row)
    session.flush()
    return done


def _same(edition: Edition, issue: _Issue) -> bool:
    """Is it the edition that the witness knows? One composed anew may have been given the number."""
    said = issue.composed
    return said is None or datetime.fromisoformat(said["composed"]) == edition.composed_at


def _settle(session: Session, edition: Edition, issue: _Issue, terms: Terms, done: Paper) -> None:
    """An edition that is in the copy: its letters that went out since are settled, the others stay owed."""
    rest, box, whole = terms.of(done.newsletter), _BOX.c, not edition.laying_out
    tallies.reopen(session, editions=[edition.id or 0])
    settled, doubtful = _end_letters(
        session, box.edition_id == edition.id, box.subscription_id, issue, rest, now=terms.now
    )
    done.settled, done.doubtful = done.settled + settled, done.doubtful + doubtful
    if rest is Rest.DROP and issue.went_out:
        drop = {
            "state": OutboxState.DROPPED,
            "settled_at": terms.now,
            "reply": "not sent before the database was put back",
        }
        statement = sa.update(_BOX).where(box.edition_id == edition.id, box.settled_at.is_(None)).values(**drop)
        done.dropped += session.execute(statement, execution_options=_NO_SYNC).rowcount  # type: ignore[attr-defined]
        if edition.laying_out:  # nor is the rest of it written
            edition.laying_out, edition.state = False, EditionState.CANCELLED
            edition.state_reason = "it went out before the database was put back, which has not all of it"
            session.add(edition)
    # Who came after the copy was made, and was welcomed with it; or whose letter it did not have yet.
    have = set(issue.had) | (issue.doubtful if rest is not Rest.RESEND else set())
    _move(session, have, upto=edition.upto_seq, offered={}, at=edition.composed_at, only_new=whole)


def _end_letters(
    session: Session,
    whose: sa.ColumnElement[bool],
    number: sa.ColumnElement[Any],
    issue: _Issue,
    rest: Rest,
    *,
    now: datetime,
) -> tuple[int, int]:
    """What became of letters that the copy has, by their `number` there: how many are settled, and in doubt.

    Each that was shown to a server since has the Date that it had then, so that it is the same letter if it goes again.
    """
    box = _BOX.c

    def update(where: Iterable[Any], ids: Iterable[int], **values: Any) -> int:
        changed = 0
        for some in batched(sorted(ids)):
            statement = sa.update(_BOX).where(whose, *where, number.in_(some)).values(**values)
            changed += session.execute(statement, execution_options=_NO_SYNC).rowcount  # type: ignore[attr-defined]
        return changed

    shown: dict[tuple[str, int], list[int]] = defaultdict(list)
    for id_, date in issue.dates.items():
        shown[date, issue.marks[id_]].append(id_)
    for (date, times), ids in shown.items():
        # No attempt of these has the number of one that somebody may still settle, who does not know of the copy.
        update((), ids, dated_at=datetime.fromisoformat(date), attempts=box.attempts + times)
    # What the copy shows as sent it knew itself; another end was undone by hand, if the letter was marked since.
    unsent, under_way = box.state != OutboxState.SENT, box.state == OutboxState.SENDING
    sent = {"state": OutboxState.SENT, "settled_at": now, "code": 250, "reply": SENT}
    again = issue.had & issue.marks.keys()  # of these, one that was under way in the copy may have been had before
    settled = update((unsent,), issue.had & issue.doubted, **sent, in_doubt=True)
    settled += update((unsent,), again - issue.doubted, **sent, in_doubt=sa.or_(box.in_doubt, under_way))
    settled += update((unsent,), issue.had - again - issue.doubted, **sent)
    if rest is Rest.RESEND:
        then: dict[str, Any] = {"state": OutboxState.OWED, "due_at": now, "settled_at": None}
    else:
        then = {"state": OutboxState.HELD, "settled_at": now}
    doubtful = update((unsent,), issue.doubtful, **then, in_doubt=True, reply=IN_DOUBT)
    back = issue.back - issue.had - issue.doubtful
    update((box.settled_at.is_(None),), back, state=OutboxState.OWED, due_at=now)
    return settled, doubtful


def _pass_by(session: Session, row: Newsletter, issue: _Issue, terms: Terms, done: Paper) -> None:
    """An edition that is not in the copy: a row says that it was, and who had it has read on."""
    row.edition_number = max(row.edition_number, issue.number)
    said = issue.composed
    if not issue.went_out:
        return  # nobody had it: it is composed anew, under another number
    done.editions.append(issue.number)
    rest = terms.of(done.newsletter)
    have = set(issue.had) | (issue.doubtful if rest is not Rest.RESEND else set())
    done.doubtful += len(issue.doubtful)
    done.dropped += _give_up(session, row, issue, have, terms.now)
    if said is None:  # the power failed between the letters and what they are of; readers begin where they were
        return
    composed = datetime.fromisoformat(said["composed"])
    slot = datetime.fromisoformat(said["slot"]) if said["slot"] else None
    row.slot_at = max(row.slot_at, slot or composed)
    row.seq = max(row.seq, said["upto"])
    clash = select(Edition.id).where(Edition.newsletter_id == row.id)
    clash = clash.where((col(Edition.number) == issue.number) | (col(Edition.slot_at) == slot))
    if session.exec(clash).first() is None:
        session.add(
            Edition(
                newsletter_id=row.id or 0,
                number=issue.number,
                slot_at=slot,
                composed_at=composed,
                upto_seq=said["upto"],
                state=EditionState.CANCELLED,
                state_reason=PASSED_BY,
                sender="",
            )
        )
        session.flush()
    offered: dict[tuple[str, int | None, str], datetime] = {}
    for cadence, hour, zone, moment in said["turns"]:
        own, at = (cadence, hour, zone), datetime.fromisoformat(moment)
        offered[own] = max(at, offered.get(own, at))
    done.moved += _move(session, have, upto=said["upto"], offered=offered, at=composed)


def _give_up(session: Session, row: Newsletter, issue: _Issue, have: Iterable[int], now: datetime) -> int:
    """Who had this edition had the stories of those that the copy has, and that were not there where it was composed.

    So the letters of these that the copy still owes them are not sent; how many. What else these told comes later.
    """
    if issue.line is None:
        return 0
    box, dropped = _BOX.c, 0
    there = select(Edition).where(Edition.newsletter_id == row.id, col(Edition.number) > issue.line)
    doubt = sa.or_(box.in_doubt, box.state == OutboxState.SENDING)
    values = {"state": OutboxState.DROPPED, "settled_at": now, "reply": GIVEN_UP, "in_doubt": doubt}
    for edition in session.exec(there).all():
        for some in batched(sorted(have)):
            statement = sa.update(_BOX).where(box.edition_id == edition.id, box.settled_at.is_(None))
            statement = statement.where(box.subscription_id.in_(some)).values(**values)
            gone = list(session.scalars(statement.returning(box.subscription_id), execution_options=_NO_SYNC))
            dropped += len(gone)
            if gone and issue.composed is not None:  # as if that had not been the last that they were given
                last = (col(Subscription.id).in_(gone), col(Subscription.read_until) == edition.upto_seq)
                back = {"read_until": issue.composed["upto"], "chosen_from": {}}
                session.execute(sa.update(Subscription).where(*last).values(**back), execution_options=_NO_SYNC)
    return dropped


def _move(
    session: Session,
    ids: Iterable[int],
    *,
    upto: int,
    offered: Mapping[tuple[str, int | None, str], datetime],
    at: datetime,
    only_new: bool = False,
) -> int:
    """These readers had an edition: its stories, in the slot of theirs that it was for; how many there are."""
    number = 0
    for some in batched(sorted(ids)):
        query = select(Subscription).where(col(Subscription.id).in_(some))
        for one in session.exec(query.where(col(Subscription.awaits_welcome)) if only_new else query):
            number += 1
            if one.read_until < upto:
                one.read_until, one.chosen_from = upto, {}
            moment = offered.get((one.cadence, one.hour, one.zone), at)
            one.offered_at = max(moment, one.offered_at or moment)
            one.awaits_welcome = False
            session.add(one)
        session.flush()
    return number


def _missing(session: Session, ids: Collection[int]) -> int:
    there = 0
    for some in batched(sorted(ids)):
        query = select(sa.func.count()).select_from(Subscription).where(col(Subscription.id).in_(some))
        there += session.exec(query).one()
    return len(ids) - there


def _notices(session: Session, heard: Known, terms: Terms) -> None:
    """Notices that went out are settled, and are not owed again under the same key."""
    said, rest, now = heard.notices, terms.of(""), terms.now
    marks = heard.notice_marks
    query = sa.select(col(OutboxRow.id), col(Notice.key)).join(Notice, col(Notice.id) == OutboxRow.notice_id)
    owed = {witness.notice_mark(key): id_ for id_, key in session.execute(query)} if marks else {}
    # By what they are for: another copy that was gone on with gave them other numbers.
    own = said.numbered({id_: owed[mark] for id_, mark in marks.items() if mark in owed})
    _end_letters(session, _BOX.c.notice_id.is_not(None), _BOX.c.id, own, rest, now=now)
    for some in batched(sorted(said.had | (said.doubtful if rest is not Rest.RESEND else set()))):
        rows = [{"newsletter_id": 0, "mark": marks[id_], "seq": 1} for id_ in some]
        session.connection().execute(insert_into(session, WitnessedEntry).on_conflict_do_nothing(), rows)


# ---------------------------------------------------------------- who left


def _leave(session: Session, left: Iterable[Record], now: datetime) -> Iterator[tuple[str, int]]:
    """End again what had ended; the last word of each counts. What was done, and for how many."""
    consents: dict[int, Record] = {}
    bars: dict[str, Record] = {}
    for said in left:
        for id_ in numbers_of(said.get("subscriptions", "")):
            consents[id_] = said
        if "subscriptions" not in said:
            kind = "erased" if said.get("mark") else "barred"
            whom = said.get("mark") or said.get("domain") or f"{said.get('reader')} {said.get('since')}"
            bars[f"{kind} {whom}"] = said
            if said["what"] == "lifted":
                bars.pop(f"barred {said.get('reader')} {said.get('since')}", None)
    for some in batched(sorted(consents)):
        query = select(Subscription).where(col(Subscription.id).in_(some)).with_for_update()
        for one in session.exec(query):
            if _end(session, one, consents[one.id or 0], now):
                yield consents[one.id or 0]["what"], 1
    session.flush()
    for said in bars.values():
        yield said["what"], _bar(session, said, now)


_ENDS = {"unsubscribed": SubscriptionState.UNSUBSCRIBED, "paused": SubscriptionState.PAUSED}


def _end(session: Session, one: Subscription, said: Record, now: datetime) -> bool:
    """Unsubscribed or paused again. Who came back is left as the copy has them: that they did only they can say."""
    state = _ENDS.get(said["what"])
    if state is None or one.state in (state, SubscriptionState.UNSUBSCRIBED):
        return False
    if state is SubscriptionState.PAUSED and one.state is not SubscriptionState.ACTIVE:
        return False
    one.state, one.changed_at, one.paused_until = state, now, None
    if said.get("until"):
        one.paused_until = datetime.fromisoformat(said["until"])
    session.add(one)
    event = ConsentEvent.UNSUBSCRIBED if state is SubscriptionState.UNSUBSCRIBED else ConsentEvent.PAUSED
    _say(session, one.subscriber_id, one.newsletter_id, event, now)
    return True


def _bar(session: Session, said: Record, now: datetime) -> int:
    """Suppressed or erased again; how many."""
    if domain := said.get("domain"):
        if said["what"] != "suppressed" or suppressions.own(session, domain) is not None:
            return 0
        suppressions.add(session, domain, reason=said.get("reason", ""), now=now)
        return 1
    person = session.get(Subscriber, said["reader"]) if said.get("reader") else None
    if person is not None and person.created_at != datetime.fromisoformat(said["since"]):
        person = None  # another, who was given the number
    if said["what"] == "erased":
        if person is not None:
            people.erase(session, person.email, mark=said["mark"], now=now)
        erasures.note(session, said["mark"], now=now)
        return int(person is not None)
    if said["what"] == "suppressed" and person is not None:
        if session.get(Suppression, person.key) is not None:
            return 0
        suppressions.add(session, person.email, reason=said.get("reason", ""), status=said.get("status", ""), now=now)
        _say(session, person.id or 0, None, ConsentEvent.SUPPRESSED, now)
        return 1
    return 0


def _say(session: Session, subscriber_id: int, newsletter_id: int | None, event: ConsentEvent, now: datetime) -> None:
    session.add(Consent(subscriber_id=subscriber_id, newsletter_id=newsletter_id, event=event, how=HOW, at=now))


# ---------------------------------------------------------------- numbers that stand in links


def _pass_numbers(session: Session, table: Any, seen: int) -> None:
    """Give no number to anybody that another had, whose links and bounces would be theirs."""
    highest = session.execute(sa.select(sa.func.max(table.id))).scalar() or 0
    wanted = max(seen, highest) + GAP
    connection, name = session.connection(), table.__tablename__
    if connection.dialect.name == "postgresql":
        sequence = sa.select(sa.func.pg_get_serial_sequence(name, "id"))
        connection.execute(sa.text("SELECT setval(CAST(:name AS regclass), :to)"), {
            "name": connection.execute(sequence).scalar_one(), "to": wanted,
        })  # fmt: skip
        return
    changed = connection.execute(
        sa.text("UPDATE sqlite_sequence SET seq = max(seq, :to) WHERE name = :name"), {"name": name, "to": wanted}
    )
    if not changed.rowcount:
        connection.execute(sa.text("INSERT INTO sqlite_sequence VALUES (:name, :to)"), {"name": name, "to": wanted})
