"""What every command shares: settings, database, clock, and the three ways to show rows."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digest.cli import garbage, terminal
from digest.dataclass import dataclass

if TYPE_CHECKING:
    from digest.cli.record import Record
    from digest.config import Config
    from digest.store import Database, letters
    from digest.store.renames import Renamed
    from digest.store.upgrades import Keeper
    from digest.store.witness import Witness


@dataclass
class Options:
    """The options before the noun: `digest --config FILE -q …`."""

    config: str | None = None
    quiet: bool = False
    warned: bool = False  # of a settings file that everybody can read
    record: Record | None = None  # of a command that keeps one

    @property
    def path(self) -> Path:
        """The settings file. NotFound where there is none."""
        from digest import config

        return config.find(Path(self.config) if self.config else None, os.environ).absolute()

    def load(self, *, partly: bool = False) -> Config:
        """The settings. With `partly`, what is wrong with single newsletters is told, and stops none of the others."""
        from digest import config

        path = self.path
        settings = config.load(path, partly=partly)
        for file in (path, *settings.files.values()) if not self.warned else ():
            if config.exposed(file):
                self.warn(
                    f"everybody on this machine can read the secrets in {file}\n  chmod 600 {shlex.quote(str(file))}"
                )
        self.warned = True
        return settings

    def judge(
        self, config: Config, *, newsletter: str = "", templates: bool = True, writes: bool = True
    ) -> dict[str, str]:
        """What the settings name, judged before work begins; what is wrong with single newsletters, by their name.

        ConfigError for what would stop all, or `newsletter`; the rest is warned of.
        """
        from digest.cli import files

        broken: dict[str, str] = {}
        for finding in files.require(config, newsletter=newsletter, templates=templates, writes=writes):
            words = str(finding) + (f"\n  {finding.hint}" if finding.hint else "")
            if finding.newsletter and not finding.warning:
                broken.setdefault(finding.newsletter, words)
            else:
                self.warn(words)
        return broken

    @contextmanager
    def open(
        self, only: Sequence[str] | None = None, *, every: bool = False, partly: bool = False
    ) -> Iterator[tuple[Config, Database]]:
        """The settings and the open database, with a row for each newsletter of the settings.

        `only` are those to work for, as `-n a,b` names them, and `every` is `--all`. With `partly` one with which
        something is wrong is told of and left out, and stops no other.
        """
        from digest.store import lasting, newsletters, open_database

        config = self.load(partly=partly)
        if self.record is not None:
            self.record.knows(config)
        config = config.only(config.chosen(only, every=every))
        for name, words in config.broken.items():
            self.warn(f"{name} is left out: {words}")
        keeper = self.keeper(config)
        database = open_database(config.database_url, before=keeper)
        self.tell_upgrade(keeper)
        database.witness = self.witness(config)
        garbage.work()
        try:
            newsletters.keep(database, config.newsletters, now=now())
            homes = {name: lasting.Home(config.page_of(name), one.domain) for name, one in config.newsletters.items()}
            lasting.keep(database, homes, now=now())
            yield config, database
        finally:
            database.close()

    def keeper(self, config: Config) -> Keeper:
        """Who backs the database up before it is upgraded."""
        from digest.cli.backup import material
        from digest.store.upgrades import Keeper

        folder, most = config.upgrade_folder(self.path), config.keep.upgrade_backups
        return Keeper(folder, most, lambda: material(self, config, now()), lambda: self.progress("backup"))

    def tell_upgrade(self, keeper: Keeper) -> None:
        """Where the backup lies, where there was an upgrade."""
        from digest.store import upgrades

        if keeper.found:
            self.say(upgrades.words(keeper, keeper.found))

    def witness(self, config: Config) -> Witness | None:
        """Who is told what goes out, outside the database."""
        from digest.store.journal import Journal
        from digest.store.witness import Witness

        folder = config.witness(self.path)
        if folder is None:
            return None
        return Witness(Journal(folder), clock=now, warn=self.warn, days=config.keep.witness_days)

    def say(self, words: str) -> None:
        """Talk goes to stderr, data to stdout."""
        if (self.record is None or self.record.note("info", words)) and not self.quiet:
            print(words, file=sys.stderr)

    def warn(self, words: str, *, sign: str = "digest: ") -> None:
        """Trouble is told also to those who want quiet: cron mails what is printed."""
        if self.record is None or self.record.note("warning", words):
            print(f"{sign}{words}", file=sys.stderr)

    @contextmanager
    def progress(self, step: str, *, elapsed: bool = False) -> Iterator[Callable[..., None]]:
        """A bar on a terminal, told `(done, total)` and `words`, if any; silence elsewhere and with --quiet.

        Its time is what is left by a forecast, or what has `elapsed`.
        """
        if self.quiet or not sys.stderr.isatty() or (self.record is not None and self.record.on_stderr):
            yield lambda done, total, words="": None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        title = TextColumn("{task.description:<8}", markup=False)
        time = TimeElapsedColumn() if elapsed else TimeRemainingColumn()
        bar = (title, BarColumn(), MofNCompleteColumn(), time)
        words_column = TextColumn("{task.fields[words]}", markup=False)
        console = Console(file=terminal.raw(sys.stderr))
        with Progress(*bar, words_column, console=console, transient=True) as bars:
            task = bars.add_task(step, total=None, words="")
            yield lambda done, total, words="": bars.update(task, completed=done, total=total, words=words)


def now() -> datetime:
    """The clock, read here and nowhere below."""
    return datetime.now(UTC)


def myself() -> str:
    """Who is at the keyboard: they vouch for whom they add."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return "the operator"


def edition_words(config: Config, newsletter: str, number: int) -> str:
    """An edition as commands take it: its number, and whose it is where there are several newsletters."""
    return f"{number} -n {newsletter}" if len(config.newsletters) > 1 else str(number)


def agree(question: str) -> None:
    """Ask a person before something is done. UserError where they say no, or nobody is there to say anything."""
    import typer

    from digest.errors import UserError

    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        if sys.stdin.isatty():
            raise  # Ctrl-C
        sys.stderr.write("\n")
        raise UserError("nobody is here to be asked, and nothing was changed", hint="say it with --yes") from None
    if not agreed:
        raise UserError("nothing was changed")


def count(number: int, one: str, many: str = "") -> str:
    """A number and what it counts: `1 letter`, `2,000 letters`; `many` is the plural where it is not `one` and an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def uses_words(uses: Renamed) -> str:
    """What a name that changes takes along."""
    counts = (count(uses.readers, "reader"), count(uses.stories, "story", "stories"), count(uses.feeds, "feed"))
    return ", ".join(counts)


def in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{kind}: {number:,}" for kind, number in counts.items())


def moment(text: str, *, end: bool = False) -> datetime:
    """A moment as it is typed, on the clock of this machine where no zone is said; of a day alone its `end`, or begin.

    BadInput where it is none, or out of reach. Years near the ends of the calendar are: what is worked out from such a
    moment would lie beyond it.
    """
    from datetime import timedelta

    from digest.errors import BadInput

    text = text.strip()
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text[:60]!r} is no moment", hint="write it as 2026-11-23 or 2026-11-23T07:00+01:00") from None
    if not 1980 <= found.year <= 2200:
        raise BadInput(f"the year {found.year} is out of reach", hint="take one from 1980 to 2200")
    if end and len(text) <= len("2026-11-23"):
        found += timedelta(days=1)
    return found if found.tzinfo else found.astimezone()


def reply_status(text: str, *, enhanced: bool = False) -> str:
    """What `--status` says: "", an enhanced status code (RFC 3463), or else an SMTP code. Raises UserError."""
    import re

    from digest.errors import UserError

    if text and not re.fullmatch(r"[45]\.[0-9]{1,3}\.[0-9]{1,3}" + ("" if enhanced else "|[45][0-9]{2}"), text):
        hint = "write it as in --status 5.1.1" + ("" if enhanced else ", or 550")
        raise UserError(f"{text!r} is no status of a mail server", hint=hint)
    return text


@contextmanager
def while_read() -> Iterator[None]:
    """For what prints: where the reader of stdout has seen enough (`| head`), the rest is left out.

    The command goes on, so that its exit code tells what it did and not who read about it.
    """
    try:
        yield
    except BrokenPipeError:
        # Python flushes stdout once more at exit; give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: Any) -> None:
    with while_read():
        print(terminal.inert_json(json.dumps(value, default=_plain, ensure_ascii=not terminal.speaks_utf8(sys.stdout))))


@while_read()
def print_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, as_json: bool = False) -> None:
    """Rows as JSON objects in one array, as a table on a terminal, else as tab-separated lines with a heading."""
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif sys.stdout.isatty():
        _print_table(columns, rows)
    else:
        print("\t".join(columns))
        for row in rows:
            print("\t".join(_cell(value) for value in row))


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table as wide as the terminal, without columns in which nothing stands; where too narrow, a block a row."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=terminal.raw(sys.stdout))
    shown = [
        (column.replace("_", " "), [_cell(row[at], local=True) for row in rows])
        for at, column in enumerate(columns)
        if not rows or any(row[at] not in (None, "", [], ()) for row in rows)
    ]
    # What a column would like, and what it can do with: words in one piece, but for long ones.
    natural = [max(map(cell_len, (*name.split(), *cells))) for name, cells in shown]
    widths = [
        min(10 if width > 20 else width, max(map(cell_len, " ".join((name, *cells)).split())))
        for width, (name, cells) in zip(natural, shown, strict=True)
    ]
    room = console.width - sum(widths) - 2 * (len(widths) - 1)
    if room < 0:
        for row in rows:
            print_facts(dict(zip(columns, row, strict=True)))
            print()
        return
    wants = sorted(range(len(widths)), key=lambda at: natural[at] - widths[at])
    for number, at in enumerate(wants):  # the smallest wish first, so that what is left goes to the longest
        more = min(natural[at] - widths[at], room // (len(wants) - number))
        widths[at] += more
        room -= more
    table = Table(box=None, header_style="bold", pad_edge=False)
    for (name, _), width in zip(shown, widths, strict=True):
        table.add_column(name, overflow="fold", width=width)
    for line in zip(*(cells for _, cells in shown), strict=True):
        table.add_row(*map(Text, line))
    console.print(table)


def left_words(left: letters.Left) -> list[str]:
    """What is still owed, and what it waits for."""

    def said(later: letters.Later, one: str, many: str, until: str = "") -> list[str]:
        if not later.letters:
            return []
        when = f", {until} {later.until:%Y-%m-%d %H:%M} UTC" if until else ""
        return [f"{later.letters:,} {one if later.letters == 1 else many}{when}"]

    return [
        *said(left.due, "still owed", "still owed"),
        *said(left.hour, "waits for its reader's hour", "wait for their readers' hour", "until"),
        *said(left.put_off, "put off by a mail server", "put off by mail servers", "the last until"),
        *said(left.in_hand, "in another sender's hands", "in another sender's hands", "or due again, if it died, at"),
        *said(left.stopped, "waits for an edition held or paused", "wait for editions held or paused"),
    ]


@while_read()
def print_facts(facts: dict[str, Any], *, as_json: bool = False) -> None:
    """One thing, a line per fact."""
    if as_json:
        print_json(facts)
        return
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):<{width}}  {_cell(value, local=sys.stdout.isatty())}".rstrip())


def _cell(value: Any, *, local: bool = False) -> str:
    if value is None or value == "":
        return "-" if local else ""
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M}" if local else value.isoformat(timespec="seconds")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    # A stranger's text must not move the cursor, nor break a line of the listing.
    return "".join(c if c.isprintable() else " " for c in str(value))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
