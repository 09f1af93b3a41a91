"""Where mail is read: a Maildir, an mbox, standard input; and what any other place (`imap`) has to give.

A source never deletes. What was read is marked only after it is stored: killed in between, it is read again, and known.
"""

from __future__ import annotations

import fcntl
import hashlib
import heapq
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from digest.errors import NotFound, StorageError, UserError
from digest.hear.mime import MOST_BYTES
from digest.hear.report import Report

_CHUNK = 65_536
_LISTED = 5000  # names of a Maildir that are held at a time
_BEGIN = 4096  # bytes of an mbox by which it is known again


@dataclass(frozen=True)
class Incoming:
    """A mail as a source gives it. `raw` may be cut at `MOST_BYTES` + 1; what is beyond is not read.

    A source that knows what a mail is without reading it (a service's notification) says so in `report`; `raw` then is
    what it was made of, by which a copy is known. `mark` says how far the source was read with it, for one that keeps
    no flags itself: it is stored in the same
    transaction as the mail, and handed to the next `mails`. "" for a source that has flags.
    """

    raw: bytes
    envelope_to: tuple[str, ...] = ()
    handle: object = None
    mark: str = ""
    report: Report | None = None
    once: str = ""  # a word that must not have come before with another mail


class Source(Protocol):
    """A place with mails.

    `name` is what their rows are kept under, without secrets. `mails` gives those that were not read, in their order,
    holding one at a time, and None where a while has passed, so that the reader can look at its bounds; UserError
    where the place cannot be read. `done` is called for each after it was stored,
    perhaps by another reader: it marks it as read, and as `understood` or not, and must not mind that it is gone.
    `close` once; UserError where what was read could not be marked, which the next reader does. `look` says what is
    there, and changes nothing.
    """

    name: str

    def mails(self, mark: str) -> Iterator[Incoming | None]: ...

    def done(self, mail: Incoming, *, understood: bool) -> None: ...

    def close(self) -> None: ...

    def look(self, mark: str) -> str: ...


@dataclass
class Given:
    """Mails that are at hand: standard input, a test, the body of a webhook."""

    name: str
    given: list[Incoming]

    def mails(self, mark: str) -> Iterator[Incoming]:
        yield from self.given

    def done(self, mail: Incoming, *, understood: bool) -> None:
        pass

    def close(self) -> None:
        pass

    def look(self, mark: str) -> str:
        return f"{len(self.given):,} mails to read"


def stdin(stream: IO[bytes], *, envelope_to: tuple[str, ...] = ()) -> Given:
    """One mail from a pipe, as an MTA's alias gives it. BadInput where there is none."""
    from digest.errors import BadInput

    raw = stream.read(MOST_BYTES + 1)
    while stream.read(_CHUNK):  # an MTA whose pipe breaks would say that the mail was not taken
        pass
    if not raw.strip():
        raise BadInput("there is no mail on standard input", hint="pipe one: digest mail read - < mail.eml")
    return Given("stdin", [Incoming(raw, envelope_to)])


@dataclass
class Maildir:
    """A Maildir (cr.yp.to/proto/maildir.html): what lies in `new`, or in `cur` without the flag for "seen".

    What was read moves to `cur` as seen; what was not understood is flagged besides, so that a mail program shows it.
    """

    folder: Path
    name: str = ""
    _cur: Path = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.name or str(self.folder)
        self._cur = self.folder / "cur"

    def mails(self, mark: str) -> Iterator[Incoming]:
        trouble: StorageError | None = None
        after = ("", "")
        while some := heapq.nsmallest(_LISTED, (one for one in self._unread() if one > after)):
            after = some[-1]
            for file_name, folder in some:
                path = self.folder / folder / file_name
                try:
                    with path.open("rb") as file:
                        raw = file.read(MOST_BYTES + 1)
                except FileNotFoundError:
                    continue  # another reader was quicker
                except OSError as error:
                    trouble = trouble or _unreadable(path, error)  # told when the others are read
                    continue
                yield Incoming(raw, handle=path)
        if trouble is not None:
            raise trouble

    def _unread(self) -> Iterator[tuple[str, str]]:
        """(name, folder) of each, in no order. Sorted by name they are as they came; a hundred thousand may wait."""
        try:
            for folder in ("new", "cur"):
                with os.scandir(self.folder / folder) as entries:
                    for entry in entries:
                        if not entry.name.startswith(".") and not _seen(entry.name):
                            yield entry.name, folder
        except OSError as error:
            raise _unreadable(self.folder, error) from None

    def done(self, mail: Incoming, *, understood: bool) -> None:
        path = mail.handle
        assert isinstance(path, Path)
        base, _, flags = path.name.partition(":2,")
        flags = "".join(sorted({*flags, "S"} | (set() if understood else {"F"})))
        with suppress(FileNotFoundError):
            path.rename(self._cur / f"{base}:2,{flags}")

    def close(self) -> None:
        pass

    def look(self, mark: str) -> str:
        return f"{sum(1 for _ in self._unread()):,} mails to read"


def _seen(name: str) -> bool:
    return "S" in name.rpartition(":2,")[2] if ":2," in name else False


@dataclass
class Mbox:
    """An mbox (RFC 4155) that others append to: read up to where it ended when we had its lock, a line at a time.

    It is not written to. How far it was read is kept as `mark`: the place, what the file began with, and how the
    mail before the place begins; where that is otherwise (it was emptied, rotated, or mails were taken out of it), it
    is read from its beginning, and what is known is known.
    """

    path: Path
    name: str = ""

    def __post_init__(self) -> None:
        self.name = self.name or str(self.path)

    def mails(self, mark: str) -> Iterator[Incoming]:
        try:
            with self.path.open("rb") as file:
                with _locked(file):
                    end = os.fstat(file.fileno()).st_size
                    begin = file.read(_BEGIN)
                yield from self._read(file, mark, begin, end)
        except OSError as error:
            raise _unreadable(self.path, error) from None

    def _read(self, file: IO[bytes], mark: str, begin: bytes, end: int) -> Iterator[Incoming]:
        start = _resume(mark, file, begin, end)
        file.seek(start)
        for raw, upto in _messages(file, start, end):
            known, here = begin[: min(upto, _BEGIN)], file.tell()
            last = f"{start} {_digest(_piece(file, start, upto))}"
            yield Incoming(raw, mark=f"{upto} {len(known)} {_digest(known)} {last}")
            file.seek(here)
            start = upto

    def done(self, mail: Incoming, *, understood: bool) -> None:
        pass

    def close(self) -> None:
        pass

    def look(self, mark: str) -> str:
        return f"{sum(1 for _ in self.mails(mark)):,} mails to read"


def _resume(mark: str, file: IO[bytes], begin: bytes, end: int) -> int:
    """Where to go on: where it was left, if it is the same file."""
    try:
        upto, length, began, last, had = [*mark.split(" "), "0", ""][:5]  # marks of former releases have three
        same = int(upto) <= end and _digest(begin[: int(length)]) == began[:32]
        return int(upto) if same and had in ("", "0", _digest(_piece(file, int(last), int(upto)))) else 0
    except ValueError:
        return 0


def _piece(file: IO[bytes], start: int, upto: int) -> bytes:
    """How the mail that was read last begins."""
    file.seek(start)
    return file.read(min(upto - start, _BEGIN))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _messages(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Each message between two places of a file, and where it ends. Lines that were given a > lose it again."""
    at, kept, size, blank = start, list[bytes](), 0, True
    begun = False
    while at < end:
        line = file.readline(min(_CHUNK, end - at))
        if not line:
            break
        if blank and line.startswith(b"From ") and (begun or at == start):
            if begun:
                yield b"".join(kept), at
            kept, size, begun = [], 0, True
        elif size <= MOST_BYTES:
            begun = begun or bool(line.strip())
            if line.startswith(b">") and line.lstrip(b">").startswith(b"From "):
                line = line[1:]
                at += 1
            kept.append(line)
            size += len(line)
        at += len(line)
        blank = not line.strip(b"\r\n")
    if begun:
        yield b"".join(kept), at


@contextmanager
def _locked(file: IO[bytes]) -> Iterator[None]:
    """While nobody appends: waits for whoever holds it, as mail servers do."""
    fcntl.lockf(file.fileno(), fcntl.LOCK_SH)
    try:
        yield
    finally:
        fcntl.lockf(file.fileno(), fcntl.LOCK_UN)


def opened(place: str) -> Source:
    """The source of a name: a Maildir or an mbox. UserError for any other."""
    if "://" in place:
        raise UserError(
            f"{place.partition('://')[0]}:// cannot be read here",
            hint="name a Maildir, an mbox, imaps://user@host/INBOX, or - for standard input",
        )
    path = Path(place).expanduser()
    if path.is_dir():
        if not (path / "new").is_dir() or not (path / "cur").is_dir():
            raise NotFound(f"{path} is no Maildir: it has no new and cur", hint="name the folder that has them")
        return Maildir(path)
    if not path.exists():
        raise NotFound(
            f"there is no mailbox at {path}", hint="is [mail] source right? Mail servers make it with the first mail"
        )
    return Mbox(path)


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"the mailbox {path} cannot be read: {error.strerror}", hint="let the user who runs digest read it"
    )
