"""What is told to the witness outside the database, and how a database that was put back is known by it.

A transaction that composes an edition, marks letters, or ends somebody's consent notes so (`note_…`). It then raises
the database's tick by one, and once it is committed the journal is told, before a letter of it is on the wire. So the
journal never knows of less than what went out; and a database whose tick is less than the journal's was put back.
"""

from __future__ import annotations

import logging
import socket
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest import identity
from digest.dataclass import dataclass
from digest.errors import ConfigError, PutBack, StorageError, Unwitnessed
from digest.models import Edition, Feed, Newsletter, OutboxState, Subscriber, address_key
from digest.store.journal import Journal, Record, Top, Written, compact, ranges

if TYPE_CHECKING:
    from digest.store.outbox import Claimed, Outcome

COMMAND = "digest restore accept"
KEPT_DAYS = 400  # how long the journal is kept where nothing else is said
_KEY = "witness"  # of `Session.info`
_MOST_MACHINES = 20
_SENT = OutboxState.SENT  # for every letter, and a member of an enumeration is looked for
_log = logging.getLogger("digest.witness")


@dataclass
class Notes:
    """What one transaction has to tell. `numbered` once it has its tick."""

    witness: Witness
    records: list[Record] = field(default_factory=list)
    guarded: bool = False  # not in a database that was put back
    installation: str = ""


class Standing(NamedTuple):
    """How a database stands to its witness: "ok", "new" (both), "lost" (the witness), "older" or "another"."""

    is_: str
    tick: int  # of the database
    installation: str
    seen: int = 0  # the tick that the witness has seen
    witness: str = ""  # whose it is


class Witness:
    """The journal of one database. `warn` is told what an operator has to know, once."""

    def __init__(
        self,
        journal: Journal,
        *,
        clock: Callable[[], datetime],
        warn: Callable[[str], None] = _log.warning,
        days: int = KEPT_DAYS,
        command: str = COMMAND,
    ) -> None:
        self.journal = journal
        self.clock = clock
        self.warn = warn
        self.command = command
        self._days = days
        self._editions: set[str] | None = None  # of which the journal has a record
        self._keys: dict[int, str] = {}  # of editions, by id

    # ------------------------------------------------------------ around a transaction

    def attend(self, session: Session) -> None:
        """From here on what this session does may be noted."""
        session.info[_KEY] = Notes(self)

    def number(self, session: Session) -> bool:
        """Give what was noted its tick, as the last thing before the COMMIT. PutBack where letters may not go out.

        Where something was noted the database was also seen not to be moved elsewhere; ConfigError where it was.
        """
        notes: Notes = session.info[_KEY]
        if not notes.records:
            return False
        session.flush()
        standing = self._ticked(session)
        if standing.is_ == "older" and notes.guarded:
            raise self.objection(session, standing)
        if standing.is_ == "another":
            self._set_aside(standing)
        if standing.is_ == "lost":
            self._tell_lost()
        put_back = standing.is_ == "older"
        tick = max(standing.tick, standing.seen) if put_back else standing.tick + 1
        if put_back:  # it stays as old as it is until somebody goes on with it
            from digest.store.witness_tables import Installation

            session.execute(sa.update(Installation).values(tick=standing.tick))
        notes.installation = standing.witness if put_back else standing.installation
        for record in notes.records:
            record["t"] = tick
        return True

    def keep(self, session: Session) -> None:
        """Tell the journal what was committed. Unwitnessed where it cannot be told and letters wait for it."""
        notes: Notes = session.info.pop(_KEY)
        session.info[_KEY] = Notes(self)
        self.tell(notes)

    def tell(self, notes: Notes, *, sync: bool | None = None) -> None:
        if not notes.records:
            return
        if sync is None:
            sync = any(record["k"] != "letters" or record.get("marked") for record in notes.records)
        try:
            self.journal.append(notes.records, installation=notes.installation, at=self.clock(), sync=sync)
        except StorageError as error:
            if notes.guarded:
                raise Unwitnessed(str(error), hint=error.hint) from error
            self.warn(f"{error}; who left meanwhile would come back by a restore")
            return
        if self._editions is not None:
            self._editions.update(record["key"] for record in notes.records if record["k"] == "edition")

    # ------------------------------------------------------------ is this the database that it was?

    def standing(self, session: Session) -> Standing:
        """Of a session that has read nothing yet: an older view would seem put back."""
        top = self.journal.top()  # first: what it says was committed before, so the row that is read now knows of it
        installation, tick, _moved_to = _row(session, _STANDS)
        return self._stands(session, top, installation, tick)

    def _ticked(self, session: Session) -> Standing:
        """How it stood before its tick was raised by one, by the statement that raises it: others wait from here on."""
        top = self.journal.top()
        installation, tick, to = _row(session, _TICKS)
        if to:
            raise moved(to)
        if session.get_bind().dialect.name == "postgresql":
            self._sign(session, tick - 1)
        return self._stands(session, top, installation, tick - 1)

    @staticmethod
    def _stands(session: Session, top: Top | None, installation: str, tick: int) -> Standing:
        if top is None:
            return Standing("lost" if tick else "new", tick, installation)
        found = Standing("ok", tick, installation, top.tick, top.installation)
        if top.installation != installation:
            # A copy made by a release that knew no witness has no tick, and a new name from its upgrade.
            return found._replace(is_="older" if tick == 0 and _in_use(session) else "another")
        return found._replace(is_="older") if tick < top.tick else found

    def _sign(self, session: Session, tick: int) -> None:
        """Write down that letters go out from this machine, too. The row is locked."""
        from digest.store.witness_tables import Installation

        (known,) = session.execute(sa.select(col(Installation.witnesses))).one()
        if self.machine not in known:
            latest = sorted(known.items(), key=lambda item: -item[1])[: _MOST_MACHINES - 1]
            session.execute(sa.update(Installation).values(witnesses=dict([*latest, (self.machine, tick)])))

    @property
    def machine(self) -> str:
        return f"{socket.gethostname()}:{self.journal.folder}"

    def trouble(self, session: Session) -> PutBack | None:
        """What `require` would raise, and nothing is changed."""
        standing = self.standing(session)
        return self.objection(session, standing) if standing.is_ == "older" else None

    def others(self, session: Session) -> list[str]:
        """Other machines that letters went out from. A SQLite file is one machine's, whatever that was called."""
        if session.get_bind().dialect.name == "sqlite":
            return []
        from digest.store.witness_tables import Installation

        return sorted(session.exec(select(Installation)).one().witnesses.keys() - {self.machine})

    def require(self, session: Session) -> None:
        """Go on only where nothing was put back: PutBack, which says what is known and what to do.

        Where the witness was lost it begins anew, and where it is another installation's it is set aside; both are
        told once.
        """
        standing = self.standing(session)
        match standing.is_:
            case "older":
                raise self.objection(session, standing)
            case "another":
                self._set_aside(standing)
                self._begin(standing)
            case "lost":
                self._tell_lost()
                self._begin(standing)
            case "new":
                self._begin(standing)

    def _tell_lost(self) -> None:
        self.warn(
            f"the witness of what was sent is gone and begins anew in {self.journal.folder}\n"
            "  if this database was put back from a copy meanwhile: what was sent after it nobody knows"
        )

    def _begin(self, standing: Standing) -> None:
        record = {"k": "known", "t": standing.tick}
        self.journal.append([record], installation=standing.installation, at=self.clock())

    def _set_aside(self, standing: Standing) -> None:
        other = self.journal.set_aside(f"of-{standing.witness[:8]}")
        self._editions = None
        self.warn(f"the witness {self.journal.folder} is of another installation: set aside as {other.name}")

    def objection(self, session: Session, standing: Standing) -> PutBack:
        """What is known of a database that was put back, in one sentence."""
        hint = f"to go on from here, so that nobody gets a letter twice: {self.command} (first with --dry-run)"
        if standing.witness != standing.installation:
            hint += f"\n  where it never was the database of this witness: move {self.journal.folder} away"
        return PutBack(f"nothing is composed or sent: {self.words(session, standing)}", hint=hint)

    def words(self, session: Session, standing: Standing) -> str:
        ends = {row.name: row.edition_number for row in session.exec(select(Newsletter))}
        editions: dict[str, set[int]] = {}
        names: dict[str, str] = {}
        last, left = "", 0
        for record in self.journal.read():
            if record["k"] == "edition":
                names[record["key"]] = record["name"]
            if record["t"] <= standing.tick and standing.witness == standing.installation:
                continue
            if record["k"] == "letters":
                last = record.get("at", last)
                for key in record.get("marked", {}):
                    if key in names:
                        editions.setdefault(names[key], set()).add(int(key.partition("/")[2]))
            left += len(record.get("who", ())) if record["k"] == "left" else 0
        parts = []
        for name, numbers in sorted(editions.items()):
            listed = sorted(numbers)
            which = f"{listed[0]} to {listed[-1]}" if len(listed) > 2 else " and ".join(map(str, listed))
            parts.append(f"it ends at edition {ends.get(name, 0)} of {name}, and letters of {which} went out since")
        if left:
            parts.append(f"{left:,} {'reader has' if left == 1 else 'readers have'} left or come back since")
        if last:
            parts.append(f"the last on {last[:16].replace('T', ' ')} UTC")
        return f"the database is older than what was sent: {'; '.join(parts) or 'other things happened since'}"

    def forget(self, *, now: datetime) -> int:
        """Remove what is older than is kept. Not to be asked while the clock may have leapt."""
        return self.journal.forget(now - timedelta(days=self._days)) if self._days else 0

    # ------------------------------------------------------------ editions

    def knows(self, key: str) -> bool:
        """Has the journal the record of an edition? What was written long ago is written once more."""
        if self._editions is None:
            self._editions = {record["key"] for record in self.journal.latest("edition")}
        return key in self._editions

    def key_of(self, session: Session, edition_id: int) -> str:
        """An edition by what lasts: the number of its newsletter, and its own."""
        if edition_id not in self._keys:
            query = sa.select(col(Edition.newsletter_id), col(Edition.number)).where(col(Edition.id) == edition_id)
            newsletter_id, number = session.execute(query).one()
            self._keys[edition_id] = f"{newsletter_id}/{number}"
        return self._keys[edition_id]


def moved(to: str) -> ConfigError:
    """What is said of a database that was copied elsewhere, and is nobody's since."""
    return ConfigError(
        f"this database was moved to {to}: nothing is done with it any more",
        hint="name that one as `database` in the settings; to go on with this one after all: digest db unmove",
    )


_STANDS = "SELECT id, tick, moved_to FROM installation"
_TICKS = "UPDATE installation SET tick = tick + 1 RETURNING id, tick, moved_to"


def _row(session: Session, statement: str) -> Any:
    """What one of these says. Each commit asks it while letters go out: SQLAlchemy's own way takes longer than it."""
    for row in session.connection().exec_driver_sql(statement).cursor.fetchall():
        return row
    raise StorageError("the database does not say whose it is", hint="its table `installation` is empty")


def _in_use(session: Session) -> bool:
    return any(session.execute(sa.select(col(table.id)).limit(1)).first() for table in (Edition, Subscriber))


def noted(session: Session) -> Notes | None:
    """What this transaction tells the witness; None where there is none."""
    found: Notes | None = session.info.get(_KEY)
    return found


def note_accepted(session: Session, *, copied: int, ends: Mapping[int, int]) -> None:
    """That a copy of a tick goes on, which ends at an edition of each newsletter, by numbers: others are given up."""
    notes = noted(session)
    if notes is not None:
        at = notes.witness.clock().isoformat(timespec="seconds")
        said = {str(newsletter_id): number for newsletter_id, number in ends.items()}
        notes.records.append({"k": "accepted", "at": at, "copied": copied, "ends": said})


# ---------------------------------------------------------------- what is noted


def note_edition(session: Session, edition_id: int, turns: Iterable[Sequence[Any]] = ()) -> None:
    """That an edition was composed, for which slots of which schedules: (cadence, hour, zone, slot)."""
    notes = noted(session)
    if notes is not None:
        notes.records.append(_edition_record(session, edition_id, turns))
        notes.guarded = True


def _edition_record(session: Session, edition_id: int, turns: Iterable[Sequence[Any]] = ()) -> Record:
    query = select(Edition, Newsletter.name).join(Newsletter).where(Edition.id == edition_id)
    edition, name = session.exec(query).one()
    return {
        "k": "edition",
        "key": f"{edition.newsletter_id}/{edition.number}",
        "name": name,
        "slot": _moment(edition.slot_at),
        "composed": _moment(edition.composed_at),
        "upto": edition.upto_seq,
        "turns": [[cadence, hour, zone, _moment(slot)] for cadence, hour, zone, slot in turns],
        "tape": _tape(session, edition),
    }


def _tape(session: Session, edition: Edition) -> Written:
    """What was decided about entries since the edition before, a row each: seq of their story (0: held), and marks."""
    from digest.store.story_tables import Admission, Decision, Entry, Story

    newsletter_id = edition.newsletter_id
    before = select(sa.func.max(Edition.upto_seq))
    before = before.where(Edition.newsletter_id == newsletter_id, Edition.number < edition.number)
    new = (
        col(Story.newsletter_id) == newsletter_id,
        col(Story.seq) > (session.exec(before).one() or 0),
        col(Story.seq) <= edition.upto_seq,
    )
    told = sa.select(sa.func.min(col(Admission.entry_id))).join(Story, col(Story.id) == Admission.story_id).where(*new)
    first = session.execute(told).scalar()
    if first is None:
        return Written("[]")
    query = (
        sa.select(col(Story.seq), col(Feed.url), col(Entry.key), col(Admission.link), col(Feed.id))
        .select_from(Admission)
        .join(Entry, col(Entry.id) == Admission.entry_id)
        .join(Feed, col(Feed.id) == Entry.feed_id)
        .outerjoin(Story, col(Story.id) == Admission.story_id)
        .where(col(Admission.newsletter_id) == newsletter_id, col(Admission.entry_id) >= first)
        .where(col(Story.id).is_not(None) | (col(Admission.decision) == Decision.HELD))
        .order_by(col(Admission.entry_id))
    )
    tell = _feeds_whose_links_tell(session, newsletter_id, first)
    rows = (
        compact([seq or 0, *marks(url, key, link if seq and feed_id in tell else "")])
        for seq, url, key, link, feed_id in session.execute(query).yield_per(500)
    )
    return Written(f"[{','.join(rows)}]")


def _feeds_whose_links_tell(session: Session, newsletter_id: int, first: int) -> set[int]:
    """Of the feeds whose entries, from the `first` on, a newsletter decided about. Their evidence is large."""
    from digest.store.story_tables import Admission, Entry

    theirs = sa.select(col(Entry.feed_id)).join(Admission, col(Admission.entry_id) == col(Entry.id))
    theirs = theirs.where(col(Admission.newsletter_id) == newsletter_id, col(Admission.entry_id) >= first)
    query = sa.select(col(Feed.id), col(Feed.evidence), col(Feed.identity)).where(col(Feed.id).in_(theirs))
    rows = session.execute(query).yield_per(100)
    return {id_ for id_, evidence, chosen in rows if identity.links_tell(identity.Evidence.of(evidence), chosen)}


def marks(feed_url: str, key: str, link: str) -> list[str]:
    """By what an entry is known again: its name within its feed, and its normalised link, if any tells."""
    return [_hash("entry", feed_url, key), *([_hash("link", link)] if link else [])]


def notice_mark(key: str) -> str:
    return _hash("notice", key)


def _hash(*parts: str) -> str:
    return urlsafe_b64encode(blake2b("\0".join(parts).encode(), digest_size=9).digest()).decode()


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def note_letters(
    session: Session,
    marked: Sequence[tuple[Claimed, datetime]],
    ended: Sequence[tuple[Claimed, Outcome | None]],
    notices: Mapping[int, str],
) -> None:
    """That letters are about to go out, with the Date that each has, and what became of others; None: nothing went out.

    Of an end in doubt nothing is said: so it stays.
    """
    notes = noted(session)
    if notes is None or not (marked or ended):
        return
    notes.guarded = True
    record: Record = {"k": "letters"}
    found: dict[str, dict[str, str]] = {}
    said: dict[str, list[Any]] = {}

    def add(what: str, letters: Sequence[Claimed]) -> None:
        told = [letter for letter in letters if letter.edition_id is None]
        if told:
            said[what] = [[letter.id, notice_mark(notices.get(letter.id, ""))] for letter in told]
        theirs = _by_edition(notes.witness, session, letters)
        for key, (edition_id, listed) in theirs.items():
            if not notes.witness.knows(key) and all(one.get("key") != key for one in notes.records):
                notes.records.append(_edition_record(session, edition_id))
            found.setdefault(what, {})[key] = ranges(listed)

    add("marked", [letter for letter, _ in marked])
    add("sent", [letter for letter, end in ended if end is not None and end.state is _SENT and not end.in_doubt])
    add("back", [letter for letter, end in ended if end is None or not (end.state is _SENT or end.in_doubt)])
    record |= found
    if marked:
        box = max([letter.id for letter, _ in marked])
        record |= {"at": notes.witness.clock().isoformat(timespec="seconds"), "box": box}
        record |= _dates(notes.witness, session, marked)
        record.setdefault("marked", {})
    if said:
        record["notices"] = said
    notes.records.append(record)


def _by_edition(witness: Witness, session: Session, letters: Sequence[Claimed]) -> dict[str, tuple[int, list[int]]]:
    """Letters of editions by what lasts: {key: (edition, subscriptions)}."""
    found: dict[str, tuple[int, list[int]]] = {}
    for edition_id in dict.fromkeys([letter.edition_id for letter in letters]):  # of one, as a rule
        listed = [one.subscription_id for one in letters if one.edition_id == edition_id]
        known = [subscription_id for subscription_id in listed if subscription_id is not None]
        if edition_id is not None and known:
            found[witness.key_of(session, edition_id)] = edition_id, known
    return found


def _dates(witness: Witness, session: Session, marked: Sequence[tuple[Claimed, datetime]]) -> Record:
    """The Date of most of these letters, which is that of now, and of the others; by "" notices, by their numbers."""
    if len({moment for _, moment in marked}) == 1:
        return {"dated": marked[0][1].isoformat(timespec="seconds")}
    by_moment: dict[datetime, list[Claimed]] = {}
    for letter, moment in marked:
        by_moment.setdefault(moment, []).append(letter)
    by_date: dict[str, list[Claimed]] = {}
    for moment, letters in by_moment.items():
        by_date.setdefault(moment.isoformat(timespec="seconds"), []).extend(letters)
    most = max(by_date, key=lambda date: len(by_date[date]))
    others: dict[str, dict[str, str]] = {}
    for date, letters in by_date.items():
        if date != most:
            theirs = _by_edition(witness, session, letters)
            others[date] = {key: ranges(listed) for key, (_, listed) in theirs.items()}
            others[date] |= {"": told} if (told := ranges(one.id for one in letters if one.edition_id is None)) else {}
    return {"dated": most} | ({"dates": others} if others else {})


def note_left(session: Session, what: str, **who: Any) -> None:
    """That somebody's consent ended, or came back: "unsubscribed", "suppressed", "erased", "returned", "lifted"."""
    notes = noted(session)
    if notes is not None:
        if not notes.records or notes.records[-1]["k"] != "left":
            notes.records.append({"k": "left", "at": notes.witness.clock().isoformat(timespec="seconds"), "who": []})
        notes.records[-1]["who"].append({"what": what, **who})


def note_alerts(session: Session, **told: Any) -> None:
    """How alerts stand, what of them is owed to whom, and what was said: see `store.alerts`."""
    notes = noted(session)
    if notes is not None:
        notes.records.append({"k": "alerts", **told})


def note_person(session: Session, what: str, key: str, **more: Any) -> None:
    """The same of an address, or a domain with its @: known by the reader that has it, and never written down."""
    if noted(session) is None:
        return
    if key.startswith("@"):
        note_left(session, what, domain=key, **more)
        return
    query = sa.select(col(Subscriber.id), col(Subscriber.created_at)).where(col(Subscriber.key) == address_key(key))
    found = session.execute(query).first()
    if found is not None:
        note_left(session, what, reader=found[0], since=_moment(found[1]), **more)
    elif more.get("mark"):
        note_left(session, what, **more)


def note_subscriptions(session: Session, what: str, ids: Iterable[int | None]) -> None:
    """The same of many subscriptions at once."""
    if noted(session) is not None and (listed := ranges(id_ for id_ in ids if id_)):
        note_left(session, what, subscriptions=listed)


def note_pause(session: Session, subscription_id: int, until: datetime | None) -> None:
    """That somebody wants nothing until then, or until they say so."""
    note_left(session, "paused", subscriptions=f"{subscription_id}", until=_moment(until))


# ---------------------------------------------------------------- what a restored database has forgotten


def remembers(session: Session, newsletter_id: int) -> bool:
    """Was this database put back, and is something of a newsletter's entries known from the witness?"""
    from digest.store.witness_tables import WitnessedEntry

    mine = sa.select(col(WitnessedEntry.mark)).where(col(WitnessedEntry.newsletter_id) == newsletter_id)
    return session.execute(mine.limit(1)).first() is not None


def seqs(session: Session, newsletter_id: int, wanted: Iterable[str]) -> dict[str, int]:
    """The former seqs of entries by their marks."""
    from digest.store.witness_tables import WitnessedEntry

    mine = sa.select(col(WitnessedEntry.mark), col(WitnessedEntry.seq))
    mine = mine.where(col(WitnessedEntry.newsletter_id) == newsletter_id)
    found: dict[str, int] = {}
    rest = list(wanted)
    for start in range(0, len(rest), 500):
        rows = session.execute(mine.where(col(WitnessedEntry.mark).in_(rest[start : start + 500])))
        found |= {row[0]: row[1] for row in rows}
    return found


def notice_went_out(session: Session, key: str) -> bool:
    """Did a notice with this key go out before the database was put back?"""
    from digest.store.witness_tables import WitnessedEntry

    return session.get(WitnessedEntry, (0, notice_mark(key))) is not None
