"""What a mail that came back says: the values, and nothing that decides about anybody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What a mail is, or what it says of one recipient."""

    HARD = "hard"  # there is no such mailbox, or no such domain
    SOFT = "soft"  # not delivered, and it may be another time: full, suspended, expired, or not said why
    DELAYED = "delayed"  # not yet
    POLICY = "policy"  # refused for what we sent, or for who we are: ours, never the reader's
    DELIVERED = "delivered"  # it arrived
    COMPLAINT = "complaint"
    VACATION = "vacation"  # a robot answers for somebody
    CHALLENGE = "challenge"  # a robot asks whether we are a person
    UNSUBSCRIBE = "unsubscribe"  # to the signed address for it
    CHOICES = "choices"  # to the signed address for them
    FEED = "feed"  # to the address of a feed: a newsletter's mail
    CONFIRMATION = "confirmation"  # the same, and it asks whether we want that newsletter
    REPLY = "reply"  # a person wrote, as far as can be seen
    TLS_REPORT = "tls-report"
    DMARC_REPORT = "dmarc-report"
    LOOP = "loop"  # a letter of our own
    UNKNOWN = "unknown"


BOUNCES = frozenset({Kind.HARD, Kind.SOFT, Kind.DELAYED, Kind.POLICY, Kind.DELIVERED})
_NOT_YET = (Kind.DELAYED, Kind.DELIVERED)
_WORST_FIRST = (Kind.HARD, Kind.POLICY, Kind.SOFT, Kind.DELAYED, Kind.DELIVERED)


class Reason(StrEnum):
    """Why a letter was not delivered, in one word or two."""

    NO_MAILBOX = "no such mailbox"
    NO_DOMAIN = "no such domain"
    MOVED = "moved away"
    FULL = "mailbox full"
    FILTERED = "called unknown, and not plainly"
    SUSPENDED = "mailbox suspended"
    POLICY = "content, reputation or policy"
    SIZE = "letter too large"
    EXPIRED = "could not be delivered in time"
    SERVER = "trouble of their server"
    UNSAID = "not said why"
    NONE = ""


@dataclass(frozen=True)
class Failed:
    """What a report says of one recipient. `email` is as the report has it, the final one of RFC 3464."""

    email: str
    kind: Kind
    reason: Reason = Reason.NONE
    status: str = ""  # enhanced status code (RFC 3463), "" unsaid
    code: int = 0  # of SMTP, 0 unsaid
    action: str = ""
    diagnostic: str = ""  # their server's words, or the paragraph about this recipient
    original: str = ""  # the address that we wrote to, where a forwarder says so


@dataclass(frozen=True)
class Returned:
    """The letter that came back, as far as it did: headers, names in small letters, in their order."""

    headers: tuple[tuple[str, str], ...] = ()

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value for key, value in self.headers if key == name)

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    @property
    def message_id(self) -> str:
        return self.get("message-id").strip()


@dataclass(frozen=True)
class Report:
    """What a mail is. Nothing in it is proven: that is `proof`'s."""

    kind: Kind
    recipients: tuple[Failed, ...] = ()
    headers: Returned = Returned()  # of the mail itself
    returned: Returned = Returned()
    sent_at: datetime | None = None  # its own Date:
    text: str = ""  # what a person would read of it, cut
    feedback: str = ""  # of a complaint: abuse, fraud, not-spam, auth-failure, …
    robot: bool = False  # nobody must answer it (RFC 3834 §2)
    cut: bool = False  # it was larger than what is read

    @property
    def subject(self) -> str:
        return self.headers.get("subject")

    @property
    def sender(self) -> str:
        return self.headers.get("from")

    @property
    def kinds(self) -> frozenset[Kind]:
        """What it says of any of its recipients; of a mail without, what it is."""
        return frozenset(one.kind for one in self.recipients) or frozenset({self.kind})


def worst(recipients: tuple[Failed, ...]) -> Kind:
    """What a report with these recipients is called."""
    kinds = {one.kind for one in recipients}
    return next((kind for kind in _WORST_FIRST if kind in kinds), Kind.UNKNOWN)


def merged(recipients: list[Failed]) -> tuple[Failed, ...]:
    """Each address once, what is known of it together; the order stays. What was only late may have failed since."""
    found: dict[str, Failed] = {}
    for one in recipients:
        key = one.email.lower()
        before = found.get(key)
        if before is None:
            found[key] = one
        elif before.kind in _NOT_YET and one.kind not in _NOT_YET:
            found[key] = replace(one, original=one.original or before.original)
        elif not before.diagnostic and one.diagnostic and (before.kind in _NOT_YET or one.kind not in _NOT_YET):
            found[key] = replace(one, original=before.original or one.original)
    return tuple(found.values())
