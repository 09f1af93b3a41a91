"""One verb for many people: who is meant by `--where` and `--file`, how many they are, and whether to go on."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any

from digest.cli.common import Options, agree, moment
from digest.cli.options import DryRun, FromFile, NewsletterName, Where, Yes

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store import Database
    from digest.store.search import Search
    from digest.subscribe.many import Verb


@dataclass(frozen=True)
class Whom:
    """Who is meant by a command, where it is not one address."""

    where: list[str] | None
    file: str | None
    newsletter: str | None = None  # as it was typed, see `of`
    yes: bool = False
    dry_run: bool = False

    def of(self, newsletter: str) -> Whom:
        """Those of this newsletter; "" is all."""
        return replace(self, newsletter=newsletter)

    def of_any(self, config: Config) -> Whom:
        """Those of the newsletter that was typed, if one was."""
        return self.of(config.newsletter(self.newsletter)[0] if self.newsletter else "")

    @property
    def many(self) -> bool:
        return bool(self.where or self.file)


_OPTIONS = {
    "newsletter": (NewsletterName, None),
    "where": (Where, None),
    "file": (FromFile, None),
    "yes": (Yes, False),
    "dry_run": (DryRun, False),
}


def for_many(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes `whom` as one that has the options which say it."""
    signature = inspect.signature(command, eval_str=True)
    kept = [one for one in signature.parameters.values() if one.name != "whom"]
    more = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kind)
        for name, (kind, default) in _OPTIONS.items()
    ]

    @wraps(command)
    def run(**said: Any) -> None:
        whom = Whom(**{name: said.pop(name) for name in _OPTIONS})
        command(**said, whom=whom)

    run.__signature__ = signature.replace(parameters=[*kept, *more])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*kept, *more)}
    return run


def one(email: str | None, whom: Whom) -> str | None:
    """The one address that is meant, or None where there are many; UserError where it is neither or both."""
    from digest.errors import UserError

    if bool(email) == whom.many:
        raise UserError("say whom", hint="an address, or --where, or --file")
    return email or None


def days(text: str) -> tuple[datetime, datetime]:
    """The beginning and the end of a day; of a moment with its hour, that moment twice."""
    return moment(text), moment(text, end=True)


@contextmanager
def found(options: Options, database: Database, whom: Whom) -> Iterator[tuple[Database, Search]]:
    """Whom to look for, and the database to look in: for as long as this lasts, a list from a file lies beside it."""
    from digest import subscribe
    from digest.subscribe import many

    search = subscribe.search(where=whom.where or (), newsletter=whom.newsletter or "", moments=days)
    if not whom.file:
        yield database, search
        return
    with database.pinned() as private:
        given = many.lay_down(private, addresses(whom.file))
        options.say(f"{given:,} {'address' if given == 1 else 'addresses'} in {whom.file}")
        yield private, replace(search, given=True)


def do(options: Options, database: Database, whom: Whom, make: Callable[[Search], Verb], done: str) -> None:
    """Count, ask, and do it to all who are meant; `done` says what became of them: "3 people: paused"."""
    from digest.errors import UserError
    from digest.subscribe import many

    with found(options, database, whom) as (private, search):
        verb = make(search)
        number = many.count(private, verb.whom)
        all_found = many.count(private, replace(search, among=verb.whom.among))
        already = f", of {all_found:,} found" if all_found != number else ""
        options.say(f"{_people(number)} to be {done}{already}")
        if whom.dry_run:
            for key in many.first(private, verb.whom):
                options.say(f"  {key}")
            if number > many.SHOWN:
                options.say(f"  … and {number - many.SHOWN:,} more; nothing was changed")
            return
        if not number:
            return
        if not whom.yes:
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise UserError("nobody is here to be asked, and nothing was changed", hint="say --yes, or --dry-run")
            agree("Go on?")
        with options.progress(done) as bar:
            changed = many.each(private, verb, progress=lambda seen: bar(seen, number))
    options.say(f"{_people(changed)}: {done}")


def _people(number: int) -> str:
    return f"{number:,} {'person' if number == 1 else 'people'}"


def addresses(file: str) -> Iterator[str]:
    """The addresses of a file, the first on each line: what follows a comma, semicolon or tab is not read.

    A first line without an @ is a heading. BadInput names the first line that has none.
    """
    from pathlib import Path

    from digest.errors import BadInput, NotFound
    from digest.subscribe import address

    name = "standard input" if file == "-" else file
    try:
        lines = sys.stdin.buffer if file == "-" else Path(file).open("rb")  # noqa: SIM115  (closed below)
    except FileNotFoundError:
        raise NotFound(f"there is no file {file}") from None
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror}") from None
    with lines:
        number = 0
        while line := lines.readline(_LONGEST):
            number += 1
            try:
                text = line.decode("utf-8-sig").strip()
            except UnicodeDecodeError:
                raise BadInput(
                    f"{name}, line {number} is not UTF-8", hint="save it as UTF-8; nothing was done"
                ) from None
            for mark in ",;\t":
                text = text.partition(mark)[0]
            text = text.strip(" \"'")
            if not text or text.startswith("#") or (number == 1 and "@" not in text):
                continue
            try:
                yield address(text)
            except BadInput as error:
                raise BadInput(f"{name}, line {number}: {error}", hint="mend it; nothing was done") from None


_LONGEST = 10_000  # bytes of a line
