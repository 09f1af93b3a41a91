"""The log: a line for each thing that is told, as text or as JSON, with when it was and of which run it is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from digest.dataclass import dataclass
from digest.observe.masks import Mask

Level = Literal["info", "warning", "error"]
_MOST_OF_A_LIST = 100
_MOST_OF_WORDS = 4_000
_DEEP = 6


@dataclass
class Log:
    """Where lines go: to a file, or with none said `aloud`, in place of the talk.

    A file is opened for each line, so that one that was moved away is made anew; a line is one write at its end. What
    cannot be written stops nothing: `complain` is told of it, once.
    """

    run: str
    command: str
    clock: Callable[[], datetime]
    complain: Callable[[str], None]
    aloud: Callable[[str], None]
    path: Path | None = None
    as_json: bool = False
    mask: Mask = field(default_factory=Mask)
    _about: tuple[str, Mapping[str, Any]] | None = None
    _complained: bool = False

    @contextmanager
    def about(self, value: Any) -> Iterator[None]:
        """What is noted within is said of this value: its name and figures go with it."""
        before = self._about
        self._about = (_snake(type(value).__name__), _facts(value))
        try:
            yield
        finally:
            self._about = before

    def note(self, level: Level, words: str, *, event: str = "", **facts: Any) -> None:
        """Write one line. `event` and `facts` are those of `about`, where they are not said; the facts once."""
        about = self._about
        if not event and about is not None:
            event, facts = about[0], {**about[1], **facts}
            self._about = (event, {})
        try:
            self._write(self._line(level, words, event, facts))
        except (OSError, ValueError) as error:
            if not self._complained:
                self._complained = True
                why = (getattr(error, "strerror", "") or "it is no path").lower()
                self.complain(f"the log {self.path} cannot be written: {why}; digest goes on without it")

    def _line(self, level: Level, words: str, event: str, facts: Mapping[str, Any]) -> str:
        at = f"{self.clock().astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        words = " ".join(self.mask(words).split())[:_MOST_OF_WORDS]
        if not self.as_json:
            inert = "".join(c if c.isprintable() else " " for c in words)
            return f"{at} {self.run} {self.command} {level.upper()} {inert}\n"
        head = {"time": at, "level": level, "run": self.run, "command": self.command, "event": event or "said"}
        told = self.mask.of(_plain(dict(facts)))
        return json.dumps({**head, "message": words, **({"facts": told} if told else {})}) + "\n"

    def _write(self, line: str) -> None:
        data = line.encode("utf-8", "backslashreplace")
        if self.path is None:
            self.aloud(line)
            return
        # A pipe that nobody reads must not keep us waiting.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(self.path, flags, 0o600)
        try:
            os.write(file, data)
        finally:
            os.close(file)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and at else c.lower() for at, c in enumerate(name))


def _facts(value: Any) -> dict[str, Any]:
    if not is_dataclass(value):
        return {}
    return {one.name: getattr(value, one.name) for one in fields(value) if one.name not in ("words", "report")}


def _plain(value: Any, depth: int = 0) -> Any:
    """What JSON has a form for, bounded."""
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if depth >= _DEEP:
        return "…"
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name), depth + 1) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(one, depth + 1) for key, one in list(value.items())[:_MOST_OF_A_LIST]}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one, depth + 1) for one in list(value)[:_MOST_OF_A_LIST]]
    return str(value)
