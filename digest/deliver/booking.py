"""What becomes of each letter, put down for the next commit and in words for the report."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime

from digest.deliver.attempt import Attempt
from digest.deliver.judge import Case, Judge, Ruling
from digest.deliver.ledger import Committed
from digest.deliver.papers import Papers
from digest.deliver.replies import Blame, Reply, retry_delay, suspect
from digest.deliver.report import Done, Report
from digest.deliver.writer import Writer
from digest.models import OutboxState
from digest.store import outbox, refusals

MOST_WORDS = 5  # refusals that the report quotes
SENT = OutboxState.SENT  # for every letter, and a member of an enumeration is looked for


class Book:
    """One method for each way that an attempt ends."""

    def __init__(
        self,
        writer: Writer,
        judge: Judge,
        report: Report,
        papers: Papers,
        *,
        clock: Callable[[], datetime],
        rng: random.Random,
    ) -> None:
        self._writer = writer
        self._judge = judge
        self._report = report
        self._papers = papers
        self._done: dict[int | None, Done] = {}  # what the report says, by newsletter
        self._owners: dict[int | None, int | None] = {}  # newsletter, by edition of which letters were refused
        self._clock = clock
        self._rng = rng
        self._out: set[tuple[int, int]] = set()  # letters marked, whose end is not committed yet
        self._last: dict[int | None, Reply] = {}  # refusal, by edition

    def committed(self, done: Committed) -> None:
        """Which letters are out from now on, and no longer."""
        self._out.update(done.marked.items())
        self._out.difference_update((outcome.letter_id, outcome.attempt) for outcome in done.batch.outcomes)
        self._out.difference_update(done.batch.given_back)
        self._report.twice = len(self._out)
        for edition_id, counted in done.refusals.items():
            self._judge.heard(edition_id, counted, self._writer.batch.refusals.get(edition_id, refusals.Refusals()))

    def sent(self, attempt: Attempt, reply: Reply, *, relay: str) -> None:
        claimed, batch = attempt.claimed, self._writer.batch
        outcome = outbox.Outcome(claimed.id, attempt.number, SENT, reply.code, reply.words, None, False, relay)
        batch.outcomes.append(outcome)
        batch.used[relay] += 1
        self._of(claimed.newsletter_id).sent += 1
        edition_id = claimed.edition_id
        if edition_id is not None:  # in place, as it is done for every letter
            counted = batch.refusals.get(edition_id)
            if counted is None:
                counted = batch.refusals[edition_id] = refusals.Refusals()
            counted.sent += 1

    def refused(self, attempt: Attempt, reply: Reply, ruling: Ruling, *, relay: str = "") -> None:
        claimed = attempt.claimed
        self._say(claimed, reply)
        self._last[claimed.edition_id] = reply
        self._owners[claimed.edition_id] = claimed.newsletter_id
        if ruling.held:
            self._end(claimed, attempt.number, OutboxState.HELD, reply, words=f"quarantined: {reply.words}")
            return
        self._end(claimed, attempt.number, OutboxState.REFUSED, reply, relay=relay)
        self._count(claimed.edition_id, _refusal(ruling.blame))
        if ruling.suppress:
            self._writer.batch.suppressions.append((claimed, reply.status))

    def pardon(self, case: Case, *, at_once: bool) -> None:
        """It was refused in this pass for what is not its fault: owed again, its attempt counted."""
        due_at = self._clock()
        if not at_once:
            due_at += retry_delay(case.attempt, self._rng)
        self._writer.batch.owed_again.append((case.letter_id, case.attempt, due_at))
        self._count(case.edition_id, -_refusal(suspect(case.reply, case.step)))
        done = self._of(self._owners.get(case.edition_id))
        done.count(OutboxState.REFUSED, -1)
        done.count(OutboxState.OWED)

    def deferred(self, attempt: Attempt, reply: Reply, *, relay: str = "") -> None:
        claimed = attempt.claimed
        self._say(claimed, reply)
        if self._expired(claimed):
            words = f"{reply.words} (given up: its lifetime is over)"
            self._end(claimed, attempt.number, OutboxState.REFUSED, reply, words=words, relay=relay)
            self._count(claimed.edition_id, refusals.Refusals(refused=1))
        else:
            due_at = self._clock() + retry_delay(attempt.number, self._rng)
            self._end(claimed, attempt.number, OutboxState.OWED, reply, due_at=due_at)

    def doubtful(self, attempt: Attempt, why: str) -> None:
        """The body went out and no answer came (RFC 1047)."""
        claimed = attempt.claimed
        reply = Reply(0, "", f"no reply to the end of the data: {why}")
        hold = self._papers.smtp(claimed.newsletter_id).after_crash == "hold" or self._expired(claimed)
        self._report.in_doubt += not claimed.in_doubt
        self._say(claimed, reply)
        self._end(
            claimed,
            attempt.number,
            OutboxState.HELD if hold else OutboxState.OWED,
            reply,
            due_at=self._clock() + retry_delay(attempt.number, self._rng),
            in_doubt=True,
        )

    def too_large(self, attempt: Attempt, reply: Reply) -> None:
        """No relay can carry it, and none was asked: nor any other of its variant. A person finds one that can."""
        claimed = attempt.claimed
        self._say(claimed, reply)
        if claimed.variant_id is None:
            self._end(claimed, attempt.number, OutboxState.HELD, reply)
        else:
            self.returned(attempt)
            self._writer.batch.too_large[claimed.variant_id] = reply

    def unwritable(self, claimed: outbox.Claimed, number: int, error: ValueError) -> None:
        """Its subject, sender or address cannot stand in a message: for a person to look at, the others go on."""
        reply = Reply(0, "", f"the letter could not be written: {error}")
        self._say(claimed, reply)
        self._end(claimed, number, OutboxState.HELD, reply)

    def returned(self, attempt: Attempt) -> None:
        """Marked, and no server took it: owed as before, and where one had its body, as that server saw it."""
        batch = self._writer.batch
        (batch.shown if attempt.shown else batch.unmarked).append((attempt.claimed.id, attempt.number))

    def last_words(self, edition_id: int, objection: str) -> str:
        """An objection with the last refusal that led to it."""
        reply = self._last.get(edition_id)
        return f"{objection}, the last with “{reply}”" if reply is not None else objection

    def _end(
        self,
        claimed: outbox.Claimed,
        number: int,
        state: OutboxState,
        reply: Reply,
        *,
        words: str = "",
        due_at: datetime | None = None,
        in_doubt: bool = False,
        relay: str = "",
    ) -> None:
        words = words or reply.words
        outcome = outbox.Outcome(claimed.id, number, state, reply.code, words, due_at, in_doubt, relay)
        self._writer.batch.outcomes.append(outcome)
        self._of(claimed.newsletter_id).count(state)

    def _of(self, newsletter_id: int | None) -> Done:
        done = self._done.get(newsletter_id)
        if done is None:
            done = self._done[newsletter_id] = self._report.of(self._papers.name(newsletter_id))
        return done

    def _count(self, edition_id: int | None, more: refusals.Refusals) -> None:
        if edition_id is not None:
            counts = self._writer.batch.refusals
            known = counts.get(edition_id)
            counts[edition_id] = more if known is None else known + more
            self._judge.count(edition_id, more)

    def _say(self, claimed: outbox.Claimed, reply: Reply) -> None:
        if len(self._report.refusals) < MOST_WORDS:
            self._report.refusals.append(
                f"{claimed.email}: {reply}" if reply.code else f"{claimed.email}: {reply.text}"
            )

    def _expired(self, claimed: outbox.Claimed) -> bool:
        lifetime = self._papers.smtp(claimed.newsletter_id).lifetime
        return claimed.tried_at is not None and self._clock() - claimed.tried_at >= lifetime


def _refusal(blame: Blame) -> refusals.Refusals:
    """One, as it is counted."""
    content = blame in (Blame.EDITION, Blame.OURS, Blame.RELAY)
    return refusals.Refusals(refused=1, gone=int(blame is Blame.GONE), content=int(content))
