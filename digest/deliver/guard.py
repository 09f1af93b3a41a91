"""When an edition must not go on: its first letters are refused, or too many people refuse what it says. Pure."""

from __future__ import annotations

import math

from digest.store import Tally

UNLIMITED = 1_000_000_000
ENOUGH = 10  # people that refuse the content before it is more than a coincidence


class Guard:
    """Watches one edition in one pass."""

    def __init__(self, tally: Tally, *, canary: float, max_refused: float) -> None:
        # So many at least that one dead mailbox among them says nothing about the edition.
        least = math.ceil(1 / max_refused) if max_refused else 1
        self.canary = max(math.ceil(tally.letters * canary), least) if canary else 0
        if self.canary >= tally.letters:
            self.canary = 0  # there is no rest to follow
        self.out = 0  # letters claimed and not settled
        self._max_refused = max_refused
        self._tried = tally.tried
        self._sent = tally.sent
        self._refused = tally.refused
        self._content = 0
        self._passed = not self.canary or tally.tried > self.canary

    def room(self) -> int:
        """How many letters may be claimed that nobody has tried."""
        return UNLIMITED if self._passed else max(0, self.canary - self._tried)

    def claimed(self, *, first: int, again: int) -> None:
        self.out += first + again
        self._tried += first

    def returned(self, *, first: bool) -> None:
        """A claimed letter was not tried after all."""
        self.out -= 1
        self._tried -= first

    def sent(self) -> None:
        self.out -= 1
        self._sent += 1

    def refused(self, *, content: bool) -> None:
        self.out -= 1
        self._refused += 1
        self._content += content

    def deferred(self) -> None:
        self.out -= 1

    def objection(self) -> str:
        """Why the edition must be paused now, or ""."""
        settled = self._sent + self._refused
        if self._content >= ENOUGH and self._content > self._max_refused * settled:
            return f"{self._content} of {settled} letters were refused for their content or their sender"
        if self._canary_done() and self._refused > self._max_refused * settled:
            return f"canary: {self._refused} of the first {settled} letters were refused"
        return ""

    def settle_canary(self) -> bool:
        """Let the rest follow if the first letters fared well; False while that is not known."""
        if not self._passed and self._canary_done():
            self._passed = self._refused <= self._max_refused * (self._sent + self._refused)
        return self._passed

    def _canary_done(self) -> bool:
        """All of the first are tried, and at least half of them settled: the deferred cannot hold up the rest."""
        if self._passed or self.out or self._tried < self.canary:
            return False
        return self._sent + self._refused >= max(1, self.canary // 2)
