"""Letters that somebody waits for at the screen: sent when they are owed, not when cron comes round."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

PATIENCE = 20.0  # seconds that a letter in flight gets when we are asked to stop

_log = logging.getLogger("digest.web")


class Courier:
    """Calls `send` in a thread of its own, once for all who called `wake` meanwhile.

    `send` is given a function that says when to stop, to be asked often. What it cannot deliver stays owed, and is
    the next `digest run`'s.
    """

    def __init__(self, send: Callable[[Callable[[], bool]], object]) -> None:
        self._send = send
        self._called = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="courier", daemon=True)

    def wake(self) -> None:
        self._called.set()

    def __enter__(self) -> Courier:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for the letters in flight, but not for a mail server that does not speak: a lease keeps its letter."""
        self._closing = True
        self._called.set()
        self._thread.join(PATIENCE)

    def _work(self) -> None:
        while True:
            self._called.wait()
            self._called.clear()
            if self._closing:
                return
            try:
                self._send(lambda: self._closing)
            except Exception:
                _log.exception("a mail that somebody waits for could not be sent; `digest run` tries again")
