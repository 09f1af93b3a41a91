"""Where letters go while no mail server is set: `.eml` files in a Maildir, readable by any mail program."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from digest.deliver.ledger import Batch, Committed, Ledger, Wish
from digest.deliver.replies import Reply
from digest.deliver.report import Progress, Report
from digest.errors import RelayDown
from digest.letter import Letter
from digest.models import OutboxState
from digest.store import outbox

AT_ONCE = 100  # letters in one commit; written twice after a crash, they are the same files


class Maildir:
    """A relay that keeps. A letter written twice is one file: its name comes from its content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = str(folder)

    def __enter__(self) -> Maildir:
        try:
            for name in ("tmp", "new", "cur"):
                (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise RelayDown(f"cannot write to the Maildir {self.folder}: {error.strerror}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def keep(
        self,
        ledger: Ledger,
        report: Report,
        *,
        progress: Callable[[Progress], None] | None,
        stop: Callable[[], bool],
        due: int,
    ) -> None:
        """Write every letter that is due and has no relay. RelayDown where the folder cannot be written."""
        found = ledger.commit(Batch(look=True)).sources or ()
        sources = [source for source in found if not ledger.papers.smtp(source.newsletter_id).servers]
        settled = 0
        with self:
            while sources:
                done = ledger.commit(Batch(wish=Wish(sources[0], AT_ONCE)))
                assert done.claim is not None
                report.count(done)
                if stop():
                    report.stopped, report.interrupted = "asked to", True
                    ledger.commit(Batch(unclaimed=list(done.claim.letters)))
                    return
                kept, all_marked = self._keep(ledger, report, done)
                if report.full:
                    return
                settled += done.claim.settled + kept
                if all_marked and len(done.claim.letters) + done.claim.settled < AT_ONCE:
                    del sources[0]
                if progress is not None:
                    progress(Progress(settled, max(due, settled)))

    def _keep(self, ledger: Ledger, report: Report, claimed: Committed) -> tuple[int, bool]:
        """How many letters were settled, and whether all that were claimed could be marked."""
        assert claimed.claim is not None
        letters = list(claimed.claim.letters)
        marking = ledger.commit(Batch(marks=letters))
        marked = marking.marked
        if marking.full:
            report.stopped, report.full = marking.why_full, True
        batch = Batch(unclaimed=[letter for letter in letters if letter.id not in marked])
        under_way = 0  # whose file there may be, should we be broken off
        try:
            for letter_id, number in marked.items():
                try:
                    letter = claimed.fillers[letter_id].fill(marking.dated.get(letter_id))
                except ValueError as error:
                    words = f"the letter could not be written: {error}"
                    batch.outcomes.append(outbox.Outcome(letter_id, number, OutboxState.HELD, reply=words))
                    report.refusals.append(f"{claimed.fillers[letter_id].claimed.email}: {words}")
                else:
                    under_way = letter_id
                    reply = self.write(letter)
                    batch.outcomes.append(
                        outbox.Outcome(letter_id, number, OutboxState.SENT, reply.code, reply.words, relay="maildir")
                    )
                owner = ledger.papers.name(claimed.fillers[letter_id].claimed.newsletter_id)
                report.of(owner).count(batch.outcomes[-1].state)
        except RelayDown:
            under_way = 0
            raise
        finally:
            done = {outcome.letter_id for outcome in batch.outcomes}
            left = [attempt for attempt in marked.items() if attempt[0] not in done]
            batch.shown = [attempt for attempt in left if attempt[0] == under_way]
            batch.unmarked = [attempt for attempt in left if attempt[0] != under_way]
            settled = ledger.commit(batch)
            report.count(settled)
        return settled.settled.total(), not batch.unclaimed

    def write(self, letter: Letter) -> Reply:
        envelope = f"Return-Path: <{letter.mail_from}>\r\nDelivered-To: {letter.rcpt_to}\r\n".encode()
        content = envelope + letter.content
        name = hashlib.sha256(content).hexdigest()[:32] + ".eml"
        try:
            with (self.folder / "tmp" / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            (self.folder / "tmp" / name).replace(self.folder / "new" / name)
        except OSError as error:
            raise RelayDown(f"cannot write to the Maildir {self.folder}: {error.strerror}") from None
        return Reply(250, "2.0.0", f"kept as {name}")
