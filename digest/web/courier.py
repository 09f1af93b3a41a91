"""Letters that somebody waits for at the screen: sent when they are owed, not when cron comes round."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

from digest.errors import DigestError

PATIENCE = 20.0  # seconds that a letter in flight gets when we are asked to stop

_log = logging.getLogger("digest.web")


class Courier:
    """Calls `send` in a thread of its own, once for all who called `wake` meanwhile.

    `send` is given a function that says when to stop, to be asked often. What it cannot deliver stays owed, and is
    the next `digest run`'s. A mistake of ours ends its thread with a traceback; the next call begins another.
    """

    def __init__(self, send: Callable[[Callable[[], bool]], object]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._wanted = False
        self._closing = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        with self._lock:
            self._wanted = True
            if not self._closing and (self._thread is None or not self._thread.is_alive()):
                # A daemon, so that a mail server that does not speak keeps no process from ending.
                self._thread = threading.Thread(target=self._work, name="courier", daemon=True)
                self._thread.start()

    def __enter__(self) -> Courier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for the letters in flight, but not for a mail server that does not speak: a lease keeps its letter."""
        with self._lock:
            self._closing = True
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _work(self) -> None:
        while self._more():
            try:
                self._send(lambda: self._closing)
            except DigestError as error:
                _log.error("a mail that somebody waits for was not sent, `digest run` tries again: %s", error)

    def _more(self) -> bool:
        with self._lock:
            go_on = self._wanted and not self._closing
            self._wanted = False
            if not go_on:
                self._thread = None  # decided under the lock: whoever wakes us now begins another
            return go_on
