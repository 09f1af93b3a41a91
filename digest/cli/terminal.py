"""What stands between the commands and whoever reads: streams on which a stranger's text does nothing, and errors as
sentences with the exit codes of sysexits.h."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from digest import means
from digest.errors import BadInput, StorageError, UserError

# Control characters but tab and line ends, and those that turn the direction of text around: they move the cursor,
# set the window's title, answer as if typed, or make a line look like another.
_ACTS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|\r(?!\n)")
_PLAIN = {"“": '"', "”": '"', "’": "'", "‘": "'", "…": "...", "–": "-", "—": "-", "·": "-", "×": "x", "→": "->"}
_UNWRITABLE = "digest.plain"


class OutputLost(StorageError):
    """Standard output takes no more; what the command had to do is done."""


class Inert:
    """A stream that passes text on without the characters that act on a terminal.

    Where nobody reads any more (`| head`), the rest is left out in silence. `lenient`: so it is where it cannot be
    written, which is for the talk on stderr; else OutputLost.
    """

    def __init__(self, stream: TextIO, *, lenient: bool) -> None:
        self.stream = stream
        self._lenient = lenient
        self._lost: OutputLost | None = None  # told anew at each write, and at the end: libraries try and catch
        # A terminal that is no UTF-8 gets what it can show; a name that is no text does not end the command.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors=_UNWRITABLE)  # type: ignore[attr-defined]

    def write(self, text: str) -> int:
        safe = inert(text)
        with self._kept():
            self.stream.write(safe)
        return len(text)

    def write_bytes(self, content: bytes) -> None:
        """For what is no text of ours, a whole mail."""
        self.flush()
        with self._kept():
            self.stream.buffer.write(content)
            self.stream.buffer.flush()

    def flush(self) -> None:
        with self._kept():
            self.stream.flush()

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        if self._lost is not None:
            raise self._lost
        try:
            yield
        except OSError as error:
            self._let_go()
            if self._lenient or error.errno == errno.EPIPE:
                return
            self._lost = OutputLost(
                f"cannot write to standard output: {(error.strerror or '').lower()}",
                hint="what was to be done is done all the same",
            )
            raise self._lost from None

    def _let_go(self) -> None:
        """Python flushes once more at its end: give that somewhere to go."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def inert(text: str) -> str:
    """Text that does nothing to a terminal but stand there."""
    return _ACTS.sub(" ", text)


def inert_json(text: str) -> str:
    """JSON that says the same and does nothing to a terminal."""
    return _ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write_bytes(content: bytes) -> None:
    """To standard output as they are."""
    assert isinstance(sys.stdout, Inert)
    sys.stdout.write_bytes(content)


def raw(stream: Any) -> Any:
    """The stream below, for rich, which has colours and a cursor of its own."""
    return getattr(stream, "stream", stream)


def speaks_utf8(stream: Any) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in wrong), error.end


codecs.register_error(_UNWRITABLE, _plainly)


@contextlib.contextmanager
def streams() -> Iterator[None]:
    """Both streams inert for the length of a command; SystemExit at its end where standard output could not be had."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Inert(before[0], lenient=False), Inert(before[1], lenient=True)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OutputLost as error:
        tell(error)
        raise SystemExit(error.exit_code) from None
    finally:
        sys.stdout, sys.stderr = before


def tell(error: UserError) -> None:
    print(f"digest: {error}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)


def open_standard_streams() -> None:
    """What was closed (`>&-`) leads nowhere: else the next file opened, the database perhaps, would take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 (for the life of the process)


def in_words(error: BaseException) -> UserError | None:
    """The sentence for what the system refused; None for what is a mistake of ours."""
    if isinstance(error, UserError):
        return error
    if (lack := means.lacking(error)) is not None:
        return lack
    if isinstance(error, UnicodeError):
        return BadInput("something in the command or the settings is no text in UTF-8", hint="see its accents")
    if not isinstance(error, OSError) or error.errno is None:
        return None
    if isinstance(error, FileNotFoundError) and "temporary directory" in str(error):
        return StorageError("there is no folder for temporary files", hint="name one that can be written in TMPDIR")
    what = f"cannot use {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else "cannot go on"
    return StorageError(f"{what}: {(error.strerror or 'the system refuses').lower()}", hint=_CURES.get(error.errno, ""))


_CURES = {
    errno.ENOSPC: "make room; what was stored is kept",
    errno.EDQUOT: "make room; what was stored is kept",
    errno.EROFS: "name a place that can be written",
    errno.EACCES: "let the user who runs digest read and write there",
    errno.EPERM: "let the user who runs digest read and write there",
}
