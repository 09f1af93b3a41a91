"""Deliver: claim a letter, hand it to the mail server, settle the reply. Nobody twice, nobody lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from sqlmodel import Session

from digest import letter, sign, store
from digest.config import Config
from digest.deliver.maildir import Maildir
from digest.deliver.smtp import Relay, Reply
from digest.errors import Deferred, Refused, RelayDown
from digest.models import OutboxState
from digest.render import Rendered
from digest.store import Claimed, Database

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
    with database.read() as session:
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
        self._variants: dict[int, tuple[Rendered, letter.Sender]] = {}

    def send_all(self, *, due: int, progress: Callable[[Progress], None] | None, stop: Callable[[], bool]) -> None:
        hold = self.config.smtp.after_crash == "hold"
        tried = 0
        while True:
            if stop():
                self.report.stopped = "asked to"
                return
            with self.database.write() as session:
                claim = store.claim(
                    session, now=self.clock(), limit=1, lease=self.config.smtp.lease, hold_doubtful=hold
                )
            self.report.dropped += claim.dropped
            self.report.held += claim.held
            if not claim.letters and not claim.dropped:
                return
            for mine in claim.letters:
                self.report.in_doubt += mine.in_doubt
                self._send(mine)
            tried += claim.dropped + len(claim.letters)
            if progress is not None:
                progress(Progress(tried, max(due, tried)))

    def _send(self, mine: Claimed) -> None:
        try:
            reply = self.carrier.send(self._letter(mine))
        except RelayDown as error:
            now = self.clock()
            with self.database.write() as session:
                store.settle(
                    session, mine, state=OutboxState.OWED, now=now, due_at=now, reply=str(error), attempted=False
                )
            raise
        except (Refused, Deferred) as error:
            with self.database.write() as session:
                self._settle_refusal(session, mine, error)
        else:
            with self.database.write() as session:
                self.report.sent += store.settle(
                    session, mine, state=OutboxState.SENT, now=self.clock(), code=reply.code, reply=reply.text
                )

    def _settle_refusal(self, session: Session, mine: Claimed, error: Refused | Deferred) -> None:
        now = self.clock()
        words = f"{error.status} {error.text}".strip()
        expired = now - mine.created_at >= self.config.smtp.lifetime
        if isinstance(error, Deferred) and error.in_doubt and self.config.smtp.after_crash == "hold":
            self.report.held += store.settle(
                session, mine, state=OutboxState.HELD, now=now, code=error.code, reply=words, in_doubt=True
            )
        elif isinstance(error, Deferred) and not expired:
            self.report.deferred += store.settle(
                session,
                mine,
                state=OutboxState.OWED,
                now=now,
                code=error.code,
                reply=words,
                due_at=now + retry_delay(mine.attempt, self.rng),
                in_doubt=True if error.in_doubt else None,
            )
        else:
            given_up = " (given up: its lifetime is over)" if isinstance(error, Deferred) else ""
            self.report.refused += store.settle(
                session, mine, state=OutboxState.REFUSED, now=now, code=error.code, reply=words + given_up
            )
            if isinstance(error, Refused) and error.at == "RCPT" and error.status in NO_SUCH_MAILBOX:
                store.suppress(session, mine.email, reason="no such mailbox", status=error.status, now=now)
        if len(self.report.refusals) < 5:
            self.report.refusals.append(f"{mine.email}: {error.code} {words}")

    def _letter(self, mine: Claimed) -> letter.Letter:
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


def retry_delay(attempt: int, rng: random.Random) -> timedelta:
    """How long a deferred letter waits: from 5 minutes, doubling to an hour, jittered by a fifth.

    Without jitter all the letters that a server put off would come back to it in the same second.
    """
    doubled: timedelta = FIRST_DELAY * 2 ** min(attempt - 1, 10)
    return min(doubled, LONGEST_DELAY) * rng.uniform(0.8, 1.2)
