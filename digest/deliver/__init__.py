"""Deliver: claim a letter, hand it to the mail server, settle the reply. Nobody twice, nobody lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from digest import letter, sign, store
from digest.config import Config
from digest.deliver.maildir import Maildir
from digest.deliver.smtp import Relay, Reply
from digest.errors import Deferred, Refused, RelayDown
from digest.models import OutboxState
from digest.render import Rendered
from digest.store import Claimed, Database, Outcome

FIRST_DELAY = timedelta(minutes=5)
LONGEST_DELAY = timedelta(hours=1)
# The mailbox or its domain does not exist (RFC 3463 §3.2, RFC 7505): nothing will arrive there, ever.
NO_SUCH_MAILBOX = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"}


class Carrier(Protocol):
    """What letters are handed to: a mail server, or a folder."""

    def send(self, letter: letter.Letter) -> Reply: ...


@dataclass
class Report:
    """What a delivery pass did. `owed` counts what is left, due or not; `stopped` says why it ended early."""

    sent: int = 0
    refused: int = 0
    deferred: int = 0
    dropped: int = 0
    held: int = 0
    owed: int = 0
    in_doubt: int = 0
    where: str = ""
    stopped: str = ""
    refusals: list[str] = field(default_factory=list)  # the first few, in words


@dataclass
class Progress:
    """Told after each letter."""

    settled: int
    due: int


def run(
    database: Database,
    config: Config,
    *,
    clock: Callable[[], datetime],
    rng: random.Random,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Send every letter that is due, one at a time, and record each reply before the next is claimed.

    The relay is opened first, so that a wrong password stops the run with no letter touched. A letter is
    claimed alone: a process killed at any point leaves at most one in doubt. `stop` is asked between two.
    """
    report = Report()
    with database.write() as session:
        store.open_held(session, now=clock())
        due = store.due_count(session, now=clock())
    carrier = Relay(config.smtp) if config.smtp.url else Maildir(config.maildir)
    report.where = carrier.name
    if due:
        try:
            with carrier:
                sender = _Sender(database, config, carrier, report, clock=clock, rng=rng)
                sender.send_all(due=due, progress=progress, stop=stop)
        except RelayDown as error:
            report.stopped = str(error)
    with database.read() as session:
        report.owed = store.unsettled_count(session)
    return report


class _Sender:
    """One pass over the due letters, through one open carrier."""

    def __init__(
        self,
        database: Database,
        config: Config,
        carrier: Carrier,
        report: Report,
        *,
        clock: Callable[[], datetime],
        rng: random.Random,
    ) -> None:
        self.database = database
        self.config = config
        self.carrier = carrier
        self.report = report
        self.clock = clock
        self.rng = rng
        self.key = config.secret_key.get_secret_value()
        # Thousands of letters share a few variants.
        self.attempts: dict[int, int] = {}
        self._variants: dict[int, tuple[Rendered, letter.Sender]] = {}

    def send_all(self, *, due: int, progress: Callable[[Progress], None] | None, stop: Callable[[], bool]) -> None:
        tried = 0
        with self.database.read() as session:
            editions = store.due_editions(session, now=self.clock())
        while editions:
            if stop():
                self.report.stopped = "asked to"
                return
            claim = self._claim(editions[0])
            self.report.dropped += claim.dropped
            self.report.held += claim.held
            if not claim.letters and not claim.dropped:
                del editions[0]
            tried += claim.dropped + len(claim.letters)
            for mine in claim.letters:
                self.report.in_doubt += mine.in_doubt
                self._send(mine)
            if progress is not None:
                progress(Progress(tried, max(due, tried)))

    def _claim(self, edition_id: int | None) -> store.Claim:
        lease = self.config.smtp.lease
        hold = self.config.smtp.after_crash == "hold"
        with self.database.write() as session:
            claim = store.claim(
                session, edition_id=edition_id, now=self.clock(), limit=1, lease=lease, hold_doubtful=hold
            )
            self.attempts = store.mark(session, claim.letters, now=self.clock(), lease=lease) if claim.letters else {}
        return claim

    def _send(self, mine: Claimed) -> None:
        attempt = self.attempts[mine.id]
        try:
            reply = self.carrier.send(self._letter(mine))
        except RelayDown:
            with self.database.write() as session:
                store.unmark(session, [(mine.id, attempt)], now=self.clock())
            raise
        except (Refused, Deferred) as error:
            self._settle_refusal(mine, attempt, error)
        else:
            self._settle(Outcome(mine.id, attempt, OutboxState.SENT, reply.code, reply.text))

    def _settle(self, outcome: Outcome, *, suppress: tuple[str, str] | None = None) -> None:
        now = self.clock()
        with self.database.write() as session:
            settled = store.settle(session, [outcome], now=now)
            if suppress is not None:
                store.suppress(session, suppress[0], reason="no such mailbox", status=suppress[1], now=now)
        self.report.sent += settled[OutboxState.SENT]
        self.report.refused += settled[OutboxState.REFUSED]
        self.report.deferred += settled[OutboxState.OWED]
        self.report.held += settled[OutboxState.HELD]

    def _settle_refusal(self, mine: Claimed, attempt: int, error: Refused | Deferred) -> None:
        now = self.clock()
        words = f"{error.status} {error.text}".strip()
        suppress = None
        if isinstance(error, Deferred) and error.in_doubt and self.config.smtp.after_crash == "hold":
            outcome = Outcome(mine.id, attempt, OutboxState.HELD, error.code, words, in_doubt=True)
        elif isinstance(error, Deferred) and now - (mine.tried_at or now) < self.config.smtp.lifetime:
            due_at = now + retry_delay(attempt, self.rng)
            outcome = Outcome(mine.id, attempt, OutboxState.OWED, error.code, words, due_at, error.in_doubt)
        else:
            given_up = " (given up: its lifetime is over)" if isinstance(error, Deferred) else ""
            outcome = Outcome(mine.id, attempt, OutboxState.REFUSED, error.code, words + given_up)
            if isinstance(error, Refused) and error.at == "RCPT" and error.status in NO_SUCH_MAILBOX:
                suppress = (mine.email, error.status)
        self._settle(outcome, suppress=suppress)
        if len(self.report.refusals) < 5:
            self.report.refusals.append(f"{mine.email}: {error.code} {words}")

    def _letter(self, mine: Claimed) -> letter.Letter:
        if mine.notice_id is not None:
            return self._notice(mine, mine.notice_id)
        assert mine.variant_id is not None and mine.subscription_id is not None
        if mine.variant_id not in self._variants:
            with self.database.read() as session:
                variant, edition, newsletter = store.variant_to_send(session, mine.variant_id)
                self._variants[mine.variant_id] = (
                    Rendered(variant.subject, variant.html, variant.text),
                    letter.Sender(edition.sender, edition.reply_to, newsletter.name, edition.composed_at),
                )
        rendered, sender = self._variants[mine.variant_id]
        token = sign.token(sign.Purpose.UNSUBSCRIBE, mine.subscription_id, key=self.key)
        return letter.build(
            rendered,
            sender,
            letter.Recipient(mine.email, mine.name, f"{self.config.base_url}/unsubscribe/{token}"),
            mail_from=sign.verp(mine.id, key=self.key, domain=self.config.smtp.envelope_domain or sender.domain),
            message_id=sign.message_id(mine.id, key=self.key, domain=sender.domain),
        )

    def _notice(self, mine: Claimed, notice_id: int) -> letter.Letter:
        with self.database.read() as session:
            notice = store.notice_to_send(session, notice_id)
        domain = letter.domain(notice.sender)
        return letter.notice(
            Rendered(notice.subject, notice.html, notice.text),
            notice.sender,
            to=mine.email,
            name=mine.name,
            date=notice.created_at,
            mail_from=sign.verp(mine.id, key=self.key, domain=self.config.smtp.envelope_domain or domain),
            message_id=sign.message_id(mine.id, key=self.key, domain=domain),
        )


def retry_delay(attempt: int, rng: random.Random) -> timedelta:
    """How long a deferred letter waits: from 5 minutes, doubling to an hour, jittered by a fifth.

    Without jitter all the letters that a server put off would come back to it in the same second.
    """
    doubled: timedelta = FIRST_DELAY * 2 ** min(attempt - 1, 10)
    return min(doubled, LONGEST_DELAY) * rng.uniform(0.8, 1.2)
