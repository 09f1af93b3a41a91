"""`newsletters/*.toml` beside `digest.toml`: a newsletter in each file, with what may stand in `[newsletters.NAME]`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from digest.config.value_types import SLUG
from digest.dataclass import dataclass
from digest.errors import ConfigError

FOLDER = "newsletters"
_TABLE = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


@dataclass(frozen=True)
class Sheet:
    """A file of the folder. `error` is what is wrong with it as a whole, "" where its values can be judged."""

    name: str
    path: Path
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    text: str = field(default="", repr=False)
    error: ConfigError | None = None


def sheets(settings: Path) -> list[Sheet]:
    """What the folder beside the settings file holds, by name. ConfigError where two are called the same.

    Hidden files and what editors leave behind (`x.toml~`, `x.toml.bak`, `#x.toml#`) do not count.
    """
    folder = settings.parent / FOLDER
    try:
        paths = sorted(
            path
            for path in folder.iterdir()
            if path.suffix == ".toml" and not path.name.startswith((".", "#", "~"))
            if path.is_file() or not path.exists()  # a link to nowhere is told of; folders and pipes are no files
        )
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(
            f"cannot read the folder {folder}: {error.strerror}", hint="let the user who runs digest read it"
        ) from None
    found: dict[str, Sheet] = {}
    for sheet in map(_read, paths):
        if sheet.name in found:
            other = found[sheet.name].path
            raise ConfigError(
                f"the newsletter {sheet.name} is in both {other} and {sheet.path}", hint="take one of the two away"
            )
        found[sheet.name] = sheet
    return [found[name] for name in sorted(found)]


def read(path: Path) -> tuple[str, dict[str, Any]]:
    """A file of settings: its text, and what TOML makes of it.

    ConfigError says what is wrong with it and where; FileNotFoundError where there is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        raise
    except OSError as error:
        words, hint = f"cannot read {path}: {error.strerror}", "let the user who runs digest read it"
    except UnicodeDecodeError as error:
        words, hint = f"{path} is not UTF-8 text (byte {error.start})", "save it as UTF-8"
    except tomllib.TOMLDecodeError as error:
        words, hint = f"{path} is not valid TOML: {error}", "see the line named; text wants quotes"
    except RecursionError:
        words, hint = f"{path} has lists or tables in each other too deep to be read", "no setting needs more than five"
    except ValueError as error:  # of Python's own: a number of thousands of digits
        words, hint = f"{path} is not valid TOML: {error}", "no setting is a number so long"
    raise ConfigError(words, hint=hint)


def _read(path: Path) -> Sheet:
    name = path.stem
    try:
        text, values = read(path)
    except OSError as error:  # gone since the folder was looked at
        words = f"cannot read {path}: {error.strerror}"
        return Sheet(name, path, error=ConfigError(words, hint="let the user who runs digest read it"))
    except ConfigError as error:
        return Sheet(name, path, error=error)
    name = values.pop("name", name)
    if not (isinstance(name, str) and re.fullmatch(SLUG, name)):
        words = f"{path}: no newsletter can be called {str(name)!r}; a name has small letters, digits, '-' and '_' only"
        return Sheet(path.stem, path, error=ConfigError(words, hint='rename the file, or say name = "…" in it'))
    if isinstance(values.get("newsletters"), dict):
        words = f"{path}: newsletters is not a setting here: the whole file is one newsletter, {name}"
        return Sheet(name, path, error=ConfigError(words, hint="write its settings without [newsletters.NAME]"))
    return Sheet(name, path, _placed(values, path.parent), text)


def _placed(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """With paths that begin at the file's own folder."""

    def at(owner: object, key: str) -> None:
        if isinstance(owner, dict) and isinstance(owner.get(key), str) and not owner[key].startswith("~"):
            owner[key] = str(folder / owner[key])

    for key in ("templates", "logo", "logo_dark"):
        at(values, key)
    smtp = values.get("smtp")
    at(smtp, "ca_file")
    if isinstance(smtp, dict) and isinstance(smtp.get("dkim"), list):
        for dkim in smtp["dkim"]:
            at(dkim, "key_file")
    return values


def line_of(text: str, where: Sequence[str | int]) -> int | None:
    """The line on which a key stands, or the table that it is missing in; None where neither can be told.

    By the look of the lines, since what reads TOML keeps none: good enough to lead somebody's eye.
    """
    wanted, best = tuple(str(part) for part in where), (0, None)
    tables: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.fullmatch(line):
            table = _parts(header[2])
            if header[1] == "[[":
                tables[table] = tables.get(table, -1) + 1
                table = (*table, str(tables[table]))
            path = table
        elif key := _KEY.match(line):
            path = (*table, *_parts(key[1]))
        else:
            continue
        if path == wanted[: len(path)] and len(path) > best[0]:
            best = (len(path), number)  # type: ignore[assignment]
    return best[1]


def _parts(words: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(words))
