"""Letters that somebody waits for at the screen: sent when they are owed, not when cron comes round."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

from digest.errors import DigestError

PATIENCE = 20.0  # seconds that a letter in flight gets when we are asked to stop
AGAIN = 300.0  # seconds after which who had to wait is looked after once more

_log = logging.getLogger("digest.web")


class Courier:
    """Calls `send` in a thread of its own, once for all who called `wake` meanwhile, and `again` while somebody waits.

    `send` says whether somebody has to wait (sign-ups have limits by the hour). It is given a function that says when
    to stop, to be asked often. What it cannot deliver stays owed, and is the next `digest run`'s. A mistake of ours
    ends its thread with a traceback; the next call begins another.
    """

    def __init__(
        self,
        send: Callable[[Callable[[], bool]], object],
        *,
        again: float = AGAIN,
        what: str = "a mail that somebody waits for was not sent",
    ) -> None:
        self._what = what
        self._send = send
        self._again = again
        self._timer: threading.Timer | None = None
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
            if self._timer is not None:
                self._timer.cancel()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _work(self) -> None:
        while self._more():
            try:
                if self._send(lambda: self._closing):
                    self._come_back()
            except DigestError as error:
                _log.error("%s, `digest run` tries again: %s", self._what, error)

    def _come_back(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if not self._closing:
                self._timer = threading.Timer(self._again, self.wake)
                self._timer.daemon = True
                self._timer.start()

    def _more(self) -> bool:
        with self._lock:
            go_on = self._wanted and not self._closing
            self._wanted = False
            if not go_on:
                self._thread = None  # decided under the lock: whoever wakes us now begins another
            return go_on
