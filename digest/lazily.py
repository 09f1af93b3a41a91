"""What a room offers is imported when somebody asks for it, and not with the room: a start pays for what it uses.

A room lists what it offers in its `__init__`, each as `from digest.room.file import Name as Name`, under
`if TYPE_CHECKING:`, where readers and mypy find it. `offer(__name__)` reads that list and makes it true.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_OFFER = re.compile(r"^    from ([\w.]+) import (\w+) as (\w+)$", re.MULTILINE)


class _Room(ModuleType):
    """A room: `_offers` has where each thing that it offers is, and what it is called there."""

    _offers: dict[str, tuple[str, str]]

    def __getattr__(self, name: str) -> Any:
        place, theirs = self.__dict__["_offers"].get(name, (self.__name__, name))
        if place != self.__name__:
            found = self.__dict__[name] = getattr(import_module(place), theirs)
            return found
        if name.startswith("__") or find_spec(f"{place}.{name}") is None:
            raise AttributeError(f"module {place!r} has no attribute {name!r}")
        return import_module(f"{place}.{name}")  # one of its files

    def __setattr__(self, name: str, value: Any) -> None:
        # Python puts each file into its room once it is imported: also `collect.run` in the place of its function.
        offered = self.__dict__["_offers"].get(name)
        if offered is None or not isinstance(value, ModuleType) or offered[0] == self.__name__:
            super().__setattr__(name, value)


def offer(room: str) -> None:
    """Let what the source of this room lists be found in it. To be called once, from there."""
    module = sys.modules[room]
    loader: Any = module.__loader__
    source = loader.get_source(room)
    module.__dict__["_offers"] = {name: (place, theirs) for place, theirs, name in _OFFER.findall(source)}
    module.__class__ = _Room
