"""Every exception raised on purpose, and the exit codes they end in.

DigestError
├── UserError        the person at the keyboard can mend it: one sentence, a hint, an exit code
│   ├── ConfigError  a setting is missing or wrong                                        78
│   ├── NotFound     a file, feed, subscriber or edition that is not there                66
│   ├── BadInput     a file or address that cannot be read as what it should be           65
│   ├── Unavailable  a server that had to answer did not                                  69
│   ├── WrongClock   this machine's clock cannot be right                                 69
│   ├── PutBack      the database is older than what was sent                             69
│   ├── OutOfMeans   no more open files, memory or processes (in `means`)                 71
│   ├── StorageError the database, a file or the output cannot be opened, read or written 74
│   │   ├── CommitUnknown  the answer to a COMMIT was lost: done or not, the rows will tell
│   │   └── Unwitnessed    it is in the database, and the witness could not be told
│   └── TryAgain     work is left; the same command later will finish it                  75
├── FetchError       one feed could not be fetched or read: recorded, the others go on
│   └── Unreachable  its host is not known or does not answer
├── Refused          the mail server said no to one letter for good (5yz)
├── Deferred         the mail server said not now to one letter (4yz)
└── RelayDown        the mail server cannot be used at all: stop, every letter stays owed
"""

from __future__ import annotations

from datetime import timedelta
from enum import IntEnum


class Exit(IntEnum):
    """The codes of sysexits.h that we use."""

    OK = 0
    USAGE = 64
    DATAERR = 65
    NOINPUT = 66
    UNAVAILABLE = 69
    SOFTWARE = 70
    OSERR = 71
    IOERR = 74
    TEMPFAIL = 75
    CONFIG = 78


class DigestError(Exception):
    """Base of what this package raises on purpose; anything else is a bug and shows its traceback."""


class UserError(DigestError):
    """Something the person at the keyboard can put right. The CLI prints it and exits."""

    exit_code = Exit.USAGE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(UserError):
    exit_code = Exit.CONFIG


class NotFound(UserError):
    exit_code = Exit.NOINPUT


class BadInput(UserError):
    exit_code = Exit.DATAERR


class Unavailable(UserError):
    exit_code = Exit.UNAVAILABLE


class WrongClock(UserError):
    exit_code = Exit.UNAVAILABLE
    cure = "set it (NTP); where it is right and was wrong before, `digest clock --right` goes on by it"


class PutBack(UserError):
    exit_code = Exit.UNAVAILABLE


class StorageError(UserError):
    exit_code = Exit.IOERR


class CommitUnknown(StorageError):
    """The database may have stored the transaction, or not."""


class Unwitnessed(StorageError):
    """The transaction is stored, and the witness outside the database could not be told of it."""


class TryAgain(UserError):
    exit_code = Exit.TEMPFAIL


class FetchError(DigestError):
    """One feed could not be fetched or read.

    `status` is the HTTP status where there was an answer; `retry_after` is how long the server asked us to
    stay away. A `challenge` names who made the page that stands before it, and is no reason to look elsewhere.
    """

    def __init__(
        self,
        url: str,
        reason: str,
        *,
        status: int | None = None,
        retry_after: timedelta | None = None,
        challenge: str = "",
    ) -> None:
        super().__init__(reason)
        self.challenge = challenge
        self.answered_by = ""  # the host after redirects
        self.url = url
        self.reason = reason
        self.status = status
        self.retry_after = retry_after


class Unreachable(FetchError):
    """No answer came: the host is not known, refuses the connection (`refused`: nothing listens), or is silent."""

    def __init__(self, url: str, reason: str, *, refused: bool = False) -> None:
        super().__init__(url, reason)
        self.refused = refused


class Refused(DigestError):
    """The server refused a letter for good (5yz, RFC 5321 §4.2.1)."""


class Deferred(DigestError):
    """The server put a letter off (4yz), or the connection was lost before it answered."""


class RelayDown(DigestError):
    """The relay cannot be used: no connection, no TLS, login or sender refused. No letter is to blame."""
