"""What a command keeps of itself: its log, and its row in the history of runs."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from digest.cli import terminal
from digest.errors import Exit, UserError

if TYPE_CHECKING:
    from digest.cli.common import Options
    from digest.config import Config
    from digest.deliver import Report
    from digest.line import Tell, Told
    from digest.observe.deeds import Deeds
    from digest.observe.log import Level, Log
    from digest.observe.traces import Traces
    from digest.store import Database
    from digest.web.logged import Asked


class Record:
    """A command under way, by a name that its log and its row in the history share."""

    def __init__(self, options: Options, command: str, clock: Callable[[], datetime]) -> None:
        self.name = secrets.token_hex(4)
        self.on_stderr = False
        self._options, self._command, self._clock = options, command, clock
        self._file: str | None = None
        self._form: str | None = None
        self._config: Config | None = None
        self._log: Log | None = None
        self._early: list[tuple[Level, str]] = []  # said before the settings were read
        self._deeds: Deeds | None = None
        self._traces: Traces | None = None
        self._heard = ExitStack()
        self._code: int | None = None
        self._trouble = ""

    # ------------------------------------------------------------ its log

    def wants(self, file: str | None, form: str | None) -> None:
        """What the options of the command say of its log. UserError for a form that there is not."""
        if form not in (None, "text", "json"):
            raise UserError(f"there is no log format {form!r}", hint="--log-format text, or --log-format json")
        self._file, self._form = file, form

    def knows(self, config: Config) -> None:
        """The settings are read: open the log as they and the options say, and note what was said before."""
        self._config = config
        self._open()

    def _open(self) -> None:
        from digest.observe.log import Log
        from digest.observe.masks import Mask, secrets_of

        config = self._config
        path = config.log.file if config else None
        if self._file is not None:
            path = None if self._file == "-" else Path(self._file).absolute()
        self.on_stderr = self._file == "-" or (path is None and self._form is not None)
        if self._log is not None or (path is None and not self.on_stderr):
            return
        mask = Mask(secrets_of(config), config.log.addresses) if config else Mask()
        form = self._form or (config.log.format if config else "text")
        self._log = Log(self.name, self._command, self._clock, _complain, _aloud, path, form == "json", mask)
        self.note("info", f"{self._command} begins", event="begins")
        for level, words in () if self.on_stderr else self._early:
            self._log.note(level, words)

    def note(self, level: Level, words: str, *, event: str = "", **facts: Any) -> bool:
        """Log what is said; is it to be printed as well?"""
        if self._log is None:
            self._early.append((level, words))
            return True
        if not (self.on_stderr and self._options.quiet and level == "info"):
            self._log.note(level, words, event=event, **facts)
        return not self.on_stderr

    def note_request(self, asked: Asked) -> bool:
        """Log a request of `digest serve`; is it to be printed as well?"""
        if self._log is None:
            return True
        client = self._log.mask.addresses
        facts = {name: getattr(asked, name) for name in ("method", "path", "status", "seconds")}
        more = {"client": asked.client} if client else {}
        return self.note("info", asked.words(client=client), event="request", **facts, **more)

    def sent(self, database: Database, report: Report) -> None:
        """Log and count the letters of one pass of many, which has no row of its own."""
        from digest.store import runs

        letters = {name: getattr(report, name) for name in runs.TALLIED}
        if not any(letters.values()):
            return
        with suppress(UserError), database.write() as session:
            runs.tally(session, letters)
        if self._log is not None:
            said = ", ".join(f"{number:,} {name}" for name, number in letters.items() if number)
            self.note("info", f"deliver: {said}", event="report", **letters)

    def listening(self, put: Tell) -> Tell:
        """What the steps tell goes to who `put`s it in words, and into this record."""
        from digest.observe.deeds import Deeds

        deeds = self._deeds = self._deeds or Deeds()
        self._trace()

        def tell(told: Told) -> None:
            deeds.take(told)
            with ExitStack() as about:
                if self._log is not None:
                    about.enter_context(self._log.about(told))
                put(told)

        return tell

    # ------------------------------------------------------------ its spans

    def _trace(self) -> None:
        """Hear of spans from here on, where the settings name a collector."""
        if self._config is None or not self._config.log.otlp or self._traces is not None:
            return
        from digest import spans
        from digest.observe.traces import Traces

        self._traces = Traces(self._config.log, self._command, self.name)
        self._heard.enter_context(spans.heard_by(self._traces, self._traces.root))

    def hand_over_spans(self) -> None:
        """At its end: all is done, and this alone may wait a moment for somebody else."""
        if self._traces is None:
            return
        self._heard.close()
        steps = self._deeds.steps if self._deeds else {}
        facts = {f"{step}.{name}": number for step, counts in steps.items() for name, number in counts.items()}
        code = Exit.SOFTWARE if self._code is None else self._code
        if why := self._traces.finish(facts, exit_code=int(code)):
            self._options.warn(why)

    # ------------------------------------------------------------ its row, and its end

    @contextmanager
    def stored(self, database: Database) -> Iterator[None]:
        """A row in the history of runs. Where that cannot be written, the command goes on without."""
        from digest.store import runs

        with suppress(UserError), database.write() as session:
            runs.begin(session, name=self.name, command=self._command, process=runs.this_process(), now=self._clock())
        try:
            yield
        except BaseException as error:
            self.broke(error)
            raise
        finally:
            with suppress(UserError), database.write() as session:
                now = self._clock()
                runs.end(session, self.name, self._deed(), now=now)
                if self._config is not None:
                    runs.forget(session, keep=self._config.log.history, now=now)

    def _deed(self) -> Any:
        from digest.observe.masks import Mask, secrets_of
        from digest.store.runs import Deed

        mask = Mask(secrets_of(self._config)) if self._config else Mask()
        code = Exit.SOFTWARE if self._code is None else self._code
        if self._deeds is None:
            return Deed(int(code), mask(self._trouble))
        deeds = self._deeds
        return Deed(int(code), mask(self._trouble), deeds.steps, mask.of(deeds.newsletters), deeds.letters)

    def ends(self, code: int) -> None:
        """It comes to its end, with this exit code."""
        self._code = int(code)

    def broke(self, error: BaseException) -> None:
        """It is broken off, or asks to be ended."""
        self._code, self._trouble = _in_words(error)

    def tell_end(self, began: datetime) -> None:
        """The last line of its log; without settings, of one that the options name."""
        if self._log is None and (self._file or self._form):
            self._open()
        if self._log is None:
            return
        code = Exit.SOFTWARE if self._code is None else self._code
        if self._trouble:
            self._log.note("error", self._trouble, event="error")
        seconds = round((self._clock() - began).total_seconds(), 3)
        self.note("info", f"{self._command} ends, exit {int(code)}", event="ends", exit_code=int(code), seconds=seconds)


@contextmanager
def recorded(options: Options, command: str, clock: Callable[[], datetime], *log: str | None) -> Iterator[Record]:
    """A command from its begin to its end; `log` are the values of --log and --log-format."""
    record = options.record = Record(options, command, clock)
    began = clock()
    record.wants(*log)
    try:
        yield record
    except BaseException as error:
        record.broke(error)
        raise
    finally:
        record.hand_over_spans()
        record.tell_end(began)


def _in_words(error: BaseException) -> tuple[int, str]:
    """The exit code that an error leads to, and what there is to say of it."""
    if isinstance(error, typer.Exit):
        return error.exit_code, ""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None), ""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return 130, "stopped"
    told = terminal.in_words(error)
    if told is None:
        return Exit.SOFTWARE, f"a mistake of ours: {type(error).__name__}"
    return told.exit_code, str(told)


def _aloud(line: str) -> None:
    print(line, end="", file=sys.stderr, flush=True)


def _complain(words: str) -> None:
    print(f"digest: {words}", file=sys.stderr)
