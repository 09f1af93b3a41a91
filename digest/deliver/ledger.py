"""The one place that writes while letters go out: a batch of decisions becomes one transaction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import field
from datetime import datetime, timedelta

from sqlmodel import Session

from digest.dataclass import dataclass
from digest.deliver.attempt import Lease
from digest.deliver.canary import Look, look
from digest.deliver.content import Contents, Filler, Loaded
from digest.deliver.judge import Quarantine
from digest.deliver.papers import Papers, hold_late
from digest.deliver.replies import Reply
from digest.deliver.shares import ALL, Share
from digest.errors import CommitUnknown, PutBack, StorageError, Unwitnessed, UserError
from digest.models import EditionState, OutboxState
from digest.store import Database, edition_states, outbox, refusals, relays, suppressions, witness
from digest.store import clock as clock_days
from digest.store.database import shared_now
from digest.store.disk_space import Room

CLAIM_LEASE = timedelta(seconds=45)  # for letters that are about to be marked; of who is killed they rest so long
PUT_OFF = timedelta(minutes=5)
LATE_AGAIN = timedelta(minutes=10)
PUT_OFF_WHY = "not tried yet: the mail server of its domain asked for patience"


@dataclass(frozen=True)
class Wish:
    """Letters to claim."""

    source: outbox.Source
    limit: int
    canary: bool = False  # whether the first letters let the rest follow is to be asked


@dataclass
class Batch:
    """What one commit does, in this order."""

    outcomes: list[outbox.Outcome] = field(default_factory=list)
    suppressions: list[tuple[outbox.Claimed, str]] = field(default_factory=list)  # whom, by which status
    refusals: dict[int, refusals.Refusals] = field(default_factory=dict)  # of these outcomes, by edition
    quarantines: list[Quarantine] = field(default_factory=list)
    owed_again: list[tuple[int, int, datetime]] = field(default_factory=list)  # refused on suspicion: due when
    unmarked: list[tuple[int, int]] = field(default_factory=list)  # letter, attempt; nothing of it went out
    shown: list[tuple[int, int]] = field(default_factory=list)  # the same, of which a server had the body
    too_large: dict[int, Reply] = field(default_factory=dict)  # variants that no relay can carry, and why
    unclaimed: list[outbox.Claimed] = field(default_factory=list)
    # Claimed, and not begun when the claim ended, by that moment.
    lapsed: defaultdict[datetime, list[outbox.Claimed]] = field(default_factory=lambda: defaultdict(list))
    put_off: list[outbox.Claimed] = field(default_factory=list)
    pauses: list[tuple[int, str]] = field(default_factory=list)  # edition, why
    used: Counter[str] = field(default_factory=Counter)  # letters taken, by relay
    marks: list[outbox.Claimed] = field(default_factory=list)
    wish: Wish | None = None
    look: bool = False  # for editions with letters due
    at: float = 0.0  # when it was handed over, in seconds of the event loop

    @property
    def given_back(self) -> list[tuple[int, int]]:
        """Marked, and owed again at once."""
        return self.unmarked + self.shown

    def __bool__(self) -> bool:
        return any(value for name, value in vars(self).items() if name != "at")


@dataclass
class Committed:
    """What a commit came to."""

    batch: Batch
    settled: Counter[OutboxState] = field(default_factory=Counter)
    marked: dict[int, int] = field(default_factory=dict)
    dated: dict[int, datetime] = field(default_factory=dict)  # the Date: of each of these
    marks_lease: Lease | None = None
    marked_until: datetime | None = None  # the same, as the rows say it
    claim: outbox.Claim | None = None
    claim_lease: Lease | None = None
    canary: Look | None = None
    loaded: Loaded | None = None
    fillers: dict[int, Filler] = field(default_factory=dict)  # by letter
    sources: list[outbox.Source] | None = None
    refusals: dict[int, refusals.Refusals] = field(default_factory=dict)  # of all senders, by edition
    hours: dict[str, dict[datetime, int]] | None = None
    paused: list[tuple[str, int, str]] = field(default_factory=list)  # newsletter, number, why
    quarantined: list[tuple[str, int, int, str]] = field(default_factory=list)  # newsletter, number, letters, why
    pardoned: int = 0  # refusals that were taken back
    late: list[tuple[str, int]] = field(default_factory=list)  # newsletter, number of editions held now
    full: bool = False  # nothing was marked, since the disk has no room to settle it
    why_full: str = "the disk with the database has no room left"
    left_out: list[outbox.Claimed] = field(default_factory=list)  # not marked, since the database was in the way
    notes: witness.Notes | None = None


class Ledger:
    """Commits batches to the outbox."""

    def __init__(
        self,
        database: Database,
        contents: Contents,
        papers: Papers,
        *,
        clock: Callable[[], datetime],
        share: Share = ALL,
    ) -> None:
        self.database = database
        self.contents = contents
        self.clock = clock
        self.notices_only = share.notices_only
        self.gives_way = share.gives_way
        self.papers = papers
        self._lease = papers.lease
        self._numbers = frozenset(papers.numbers)
        self._count_hours = papers.counts_hours
        self._late_asked_at = clock()
        self._day = clock_days.utc_day(self._late_asked_at)
        self.room = Room(database)
        self._unknown: Committed | None = None
        self._out: dict[int, outbox.Claimed] = {}  # letters that we marked, and that are not settled
        self._until: dict[int, datetime] = {}  # until when these are ours, as their rows say
        # Letters claimed of which nothing is written down, and by what moment they were due. So it is on SQLite, whose
        # one writer decides at the mark who has a letter: each row is changed twice then, and not three times.
        self._found: dict[int, datetime] = {}
        self._alone = database.engine.dialect.name == "sqlite"
        self._last: dict[outbox.Source, outbox.Place] = {}  # where the last claim ended
        self._most = share.most  # letters that may still be claimed; None: all

    def left(self, wanted: int) -> int:
        """How many of so many letters may still be claimed."""
        return wanted if self._most is None else min(wanted, self._most)

    def commit(self, batch: Batch) -> Committed:
        """All of it or nothing. Where the answer to the COMMIT was lost, the rows are asked which of the two it was.

        Raises CommitUnknown where they cannot be asked now: the next call, with the same batch, asks again. Other
        errors of storage mean that nothing was stored.
        """
        if self._unknown is None:
            done = Committed(batch)
            try:
                with self.database.write() as session:
                    self._write(session, batch, done)
            except CommitUnknown:
                self._unknown = done
            except Unwitnessed as error:
                self._take_back(done, str(error))
            except UserError:
                raise
            except Exception as error:
                # A copy may have taken the database's place meanwhile, in which what we know of is not.
                if (put_back := self._put_back()) is not None:
                    raise put_back from error
                raise
        if self._unknown is not None:
            done = self._unknown
            try:
                with self.database.read() as session:
                    stored = outbox.landed(
                        session,
                        marked={letter: (number, done.marked_until) for letter, number in done.marked.items()},
                        outcomes=batch.outcomes,
                        given_back={letter: (number, self._until.get(letter)) for letter, number in batch.given_back},
                        claim=done.claim,
                    )
            except StorageError as error:
                raise CommitUnknown(str(error), hint=error.hint) from error
            self._unknown = None
            if not stored:
                raise StorageError(f"{self.database.name} lost what was being written", hint="nothing is lost by it")
            if done.notes is not None:
                try:
                    done.notes.witness.tell(done.notes)
                except Unwitnessed as error:
                    self._take_back(done, str(error))
        if done.claim is not None and done.claim.last is not None and batch.wish is not None:
            self._last[batch.wish.source] = done.claim.last
        if self._most is not None and done.claim is not None:
            self._most -= len(done.claim.letters) + done.claim.settled
        self._out.update({letter.id: letter for letter in batch.marks if letter.id in done.marked})
        if done.marked_until is not None:
            self._until.update(dict.fromkeys(done.marked, done.marked_until))
        for letter_id in (*done.marked, *self._let_go(batch)):
            self._found.pop(letter_id, None)
        if done.claim is not None and done.claim_lease is not None:
            self._found |= dict.fromkeys(done.claim.unwritten, done.claim_lease.moment)
        for letter_id in (*(outcome.letter_id for outcome in batch.outcomes), *(one for one, _ in batch.given_back)):
            self._out.pop(letter_id, None)
            self._until.pop(letter_id, None)
        if done.loaded is not None and done.claim is not None:
            done.fillers = self.contents.fillers(done.loaded, done.claim.letters)
        return done

    def _put_back(self) -> PutBack | None:
        if self.database.witness is None:
            return None
        with self.database.read() as session:
            return self.database.witness.trouble(session)

    @staticmethod
    def _let_go(batch: Batch) -> set[int]:
        """Letters that were claimed, and given back before they were marked."""
        lapsed = (letter for letters in batch.lapsed.values() for letter in letters)
        return {letter.id for letter in (*batch.unclaimed, *lapsed, *batch.put_off)}

    def _written(self, letters: Iterable[outbox.Claimed]) -> list[outbox.Claimed]:
        """Those of which the rows say that they are claimed."""
        return [letter for letter in letters if letter.id not in self._found]

    def _found_at(self, letters: Iterable[outbox.Claimed]) -> datetime | None:
        return max((self._found[letter.id] for letter in letters if letter.id in self._found), default=None)

    def _write(self, session: Session, batch: Batch, done: Committed) -> None:
        now = self.clock()
        if clock_days.utc_day(now) > self._day:
            # Where this is the clock that leapt ahead, the day bears witness that what we put off or give back now is
            # due too late: by its moment alone it could be a letter that waits for its reader's own day.
            clock_days.note_day(session, now=shared_now(session, now))
        if batch.outcomes:
            done.settled = outbox.settle(session, batch.outcomes, now=now)
        for letter, status in batch.suppressions:
            if outbox.has_reader(session, letter):
                suppressions.add(session, letter.email, reason=suppressions.BOUNCED, status=status, now=now)
        done.pardoned = refusals.pardon(session, batch.owed_again, now=now)
        outbox.unmark(session, batch.unmarked, now=now)
        outbox.unmark(session, batch.shown, now=now, shown=True)
        for variant_id, reply in batch.too_large.items():
            self._stop_variant(session, done, variant_id, reply)
        if unclaimed := self._written(batch.unclaimed):
            outbox.unclaim(session, unclaimed, due_at=now, now=now)
        for lease_end, letters in batch.lapsed.items():
            if lapsed := self._written(letters):
                outbox.unclaim(session, lapsed, due_at=now, now=now, lease_end=lease_end)
        if batch.put_off:
            found_at = self._found_at(batch.put_off)
            outbox.unclaim(session, batch.put_off, due_at=now + PUT_OFF, why=PUT_OFF_WHY, now=now, found_at=found_at)
        for found in batch.quarantines:
            held = refusals.quarantine(
                session, found.edition_id, domain=found.domain, reason=suppressions.BOUNCED, now=now
            )
            done.settled[OutboxState.HELD] += held
            done.settled[OutboxState.REFUSED] -= held
            done.quarantined.append((*edition_states.edition_named(session, found.edition_id), held, found.why))
            if not found.domain:
                self._pause(session, done, found.edition_id, found.why)
        for edition_id, why in batch.pauses:
            self._pause(session, done, edition_id, why)
        if self._count_hours:
            relays.add_letters(session, batch.used, now=now)
            done.hours = relays.hours(session, now=now)
        at = batch.at
        if batch.marks:
            done.marks_lease = Lease(at, now, self._lease)
            found_at = self._found_at(batch.marks)
            marks = outbox.mark_dated(session, batch.marks, now=now, lease=self._lease, found_at=found_at)
            done.marked = {letter_id: mark.attempt for letter_id, mark in marks.items()}
            done.dated = {letter_id: mark.dated_at for letter_id, mark in marks.items()}
            done.marked_until = next((mark.until for mark in marks.values()), None)
        if batch.look:
            done.sources = [source for source in outbox.due_sources(session, now=now) if self._ours(source)]
        if batch.wish is not None:
            if abs(now - self._late_asked_at) > LATE_AGAIN:  # a machine may have slept for days
                self._late_asked_at = now
                done.late = hold_late(session, self.papers, now=now)
            self._claim(session, batch.wish, done, Lease(at, now, CLAIM_LEASE))
        # Last, since on PostgreSQL other senders wait from here to the end.
        for edition_id in sorted(batch.refusals):
            done.refusals[edition_id] = refusals.count(session, edition_id, batch.refusals[edition_id])
        done.notes = witness.noted(session)
        if done.notes is not None:
            self._note(session, batch, done)

    def _note(self, session: Session, batch: Batch, done: Committed) -> None:
        """Tell the witness what is about to go out, and what became of what went."""
        out = self._out
        ended: list[tuple[outbox.Claimed, outbox.Outcome | None]]
        ended = [(out[one.letter_id], one) for one in batch.outcomes if one.letter_id in out]
        ended += [(out[letter_id], None) for letter_id, _attempt in batch.given_back if letter_id in out]
        marked = [(letter, done.dated[letter.id]) for letter in batch.marks if letter.id in done.marked]
        told = [letter.id for letter, _ in (*marked, *ended) if letter.notice_id is not None]
        witness.note_letters(session, marked, ended, outbox.notice_keys(session, told))

    def _take_back(self, done: Committed, why: str) -> None:
        """It is stored, and the witness could not be told: nothing of what was marked goes out.

        Where not even this can be written they are in doubt once their lease is over.
        """
        attempts, done.marked = done.marked, {}
        done.left_out = [letter for letter in done.batch.marks if letter.id in attempts]
        done.batch.marks = [letter for letter in done.batch.marks if letter.id not in attempts]
        done.full, done.why_full = True, why
        alone = Database(self.database.engine)  # of which the witness need not hear
        with suppress(StorageError), alone.write() as session:
            outbox.unmark(session, attempts.items(), now=self.clock())

    def _ours(self, source: outbox.Source) -> bool:
        """May this pass have them? What belongs to a newsletter that nobody knows goes as what belongs to none."""
        if self.notices_only and source.edition_id is not None:
            return False
        return source.newsletter_id in self._numbers or (
            source.newsletter_id is not None and source.newsletter_id not in self.papers.names
        )

    def _claim(self, session: Session, wish: Wish, done: Committed, lease: Lease) -> None:
        limit, tried_only = self.left(wish.limit), False
        edition_id, newsletter_id = wish.source
        settings = self.papers.smtp(newsletter_id)
        if wish.canary and edition_id is not None:
            tally = edition_states.tally(session, edition_id, now=lease.moment)
            done.canary = look(tally, share=settings.canary, max_refused=settings.max_refused)
            limit, tried_only = min(limit, done.canary.room), done.canary.tried_only
        done.claim_lease = lease
        done.claim = outbox.Claim()
        if limit > 0:
            # What this batch gives back is owed again before it is asked, and nobody else may look for it later.
            ended = {outcome.letter_id for outcome in done.batch.outcomes}
            ours = self._out.keys() - ended - {letter_id for letter_id, _ in done.batch.given_back}
            # Where all senders count letters before they are marked, or we do, it is written down who has them.
            written = not self._alone or self._most is not None or not (done.canary is None or done.canary.passed)
            ours |= self._found.keys() - self._let_go(done.batch)
            after = None if tried_only else self._last.get(wish.source)
            wanted = outbox.Wanted(edition_id, limit, tried_only, ours, newsletter_id, written, after)
            done.claim = outbox.claim(
                session,
                wanted,
                now=lease.moment,
                lease=CLAIM_LEASE,
                lifetime=settings.lifetime,
                hold_doubtful=settings.after_crash == "hold",
            )
        done.loaded = self.contents.load(session, done.claim.letters)

    def _stop_variant(self, session: Session, done: Committed, variant_id: int, reply: Reply) -> None:
        """Hold a variant's letters, or pause the edition where it has no other."""
        edition_id = edition_states.edition_of_only_variant(session, variant_id)
        if edition_id is not None:
            self._pause(session, done, edition_id, reply.text)
            return
        held = edition_states.hold_variant(session, variant_id, code=reply.code, reply=reply.words, now=self.clock())
        done.settled[OutboxState.HELD] += held

    @staticmethod
    def _pause(session: Session, done: Committed, edition_id: int, why: str) -> None:
        if edition_states.set_state(session, edition_id, EditionState.PAUSED, why):
            done.paused.append((*edition_states.edition_named(session, edition_id), why))
