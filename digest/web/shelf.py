"""Pages that were made already, by all that they were made of: the latest asked for, within a bound of memory."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable

_MOST = 16 * 1024 * 1024  # characters


class Shelf:
    """Keeps what was made under a hash of its whole content, so that nothing on it can be out of date."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._size = 0
        self._made: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()  # asked from several threads; held for a look-up only

    def get(self, content: object, make: Callable[[], str]) -> str:
        """What `make` gives for this content, which must have a `repr` that tells all of it."""
        mark = hashlib.sha256(repr(content).encode("utf-8", "backslashreplace")).digest()
        with self._lock:
            if (found := self._made.get(mark)) is not None:
                self._made.move_to_end(mark)
                return found
        made = make()
        with self._lock:
            if mark not in self._made and len(made) <= self._most:
                self._made[mark] = made
                self._size += len(made)
            while self._size > self._most:
                self._size -= len(self._made.popitem(last=False)[1])
        return made

    @property
    def size(self) -> int:
        """Characters that are kept."""
        return self._size
