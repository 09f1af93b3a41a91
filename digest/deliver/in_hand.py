"""What is claimed: the letters at hand, and which editions have more of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from digest.dataclass import dataclass
from digest.deliver.attempt import Waiting, domain_of
from digest.deliver.ledger import Committed, Wish
from digest.store import outbox

MOST = 500  # letters at hand


@dataclass
class _Source:
    """An edition that has letters due, or notices."""

    source: outbox.Source
    canary: bool  # its first letters still have to let the rest follow
    exhausted: bool = False
    waits: bool = False  # for answers to the letters that are out
    out: int = 0  # letters claimed and not done with


class Claims:
    """Letters of one newsletter at hand, the oldest claim first, and what to claim next."""

    def __init__(self, *, canary: bool) -> None:
        self.waiting: deque[Waiting] = deque()
        self.asking = False  # a claim is under way
        self.looking = False  # for editions with letters due
        self.looked = False
        self._again = False  # what the look under way finds may have changed meanwhile
        self._canary = canary
        self._sources: dict[outbox.Source, _Source] = {}
        self._fruitless: set[outbox.Source] = set()
        self.stopped: set[int] = set()  # editions that must not go on

    @property
    def exhausted(self) -> bool:
        """Is there nothing more to claim, as far as was looked?"""
        return all(source.exhausted for source in self._sources.values())

    @property
    def nothing_more(self) -> bool:
        """Is nothing at hand, and nothing to be claimed before some of what is out is answered?"""
        return not (self.waiting or self.asking) and all(s.exhausted or s.waits for s in self._sources.values())

    def wish(self, wanted: int, *, crowd: int) -> Wish | None:
        """What to claim now, so that the relays, which want so many letters, do not run out of them."""
        if self.asking or self.looking or len(self.waiting) >= wanted or crowd >= MOST:
            return None
        for source in self._sources.values():
            if not source.exhausted and not source.waits:
                self.asking = True
                return Wish(source.source, min(max(16, 4 * wanted), MOST), source.canary)
        return None

    def should_look(self) -> bool:
        if self.asking or self.looking or self.looked or not self.exhausted:
            return False
        self.looking = True
        return True

    def look_again(self) -> None:
        """Letters are due that were in hand: what was found empty before may not be so any more."""
        self.looked = False
        self._again = self.looking
        self._fruitless.clear()

    def found(self, sources: Iterable[outbox.Source]) -> None:
        """Editions and notices with letters due."""
        self.looking, self.looked, self._again = False, not self._again, False
        for source in sources:
            if source in self._fruitless or source.edition_id in self.stopped:
                continue
            canary = self._canary and source.edition_id is not None
            known = self._sources.setdefault(source, _Source(source, canary))
            known.exhausted = known.waits = self.looked = False

    def take(self, done: Committed, wish: Wish) -> None:
        """The letters that a wish brought."""
        assert done.claim is not None and done.claim_lease is not None
        self.asking = False
        source, claim, look = self._sources[wish.source], done.claim, done.canary
        if look is not None:
            source.canary = not look.passed
        brought = len(claim.letters) + claim.settled
        limited = look is not None and not look.passed
        if limited and brought == 0:
            # Its first letters are out: with us, whose answers we wait for, or with another sender, who will go on.
            source.waits, source.exhausted = source.out > 0, source.out == 0
        elif not limited:
            source.exhausted = brought < wish.limit
        if not brought:
            self._fruitless.add(wish.source)
        source.out += len(claim.letters)
        self.waiting.extend(
            Waiting(done.fillers[letter.id], done.claim_lease, domain_of(letter.email))
            # Variant by variant: each is made where its first letter goes out, and not many are kept.
            for letter in sorted(claim.letters, key=lambda letter: letter.variant_id or 0)
        )

    def over(self, claimed: outbox.Claimed) -> None:
        """A claimed letter is done with, or given back."""
        source = self._sources.get(claimed.source)
        if source is not None:
            source.out -= 1
            source.waits = source.waits and source.out > 0

    def stop(self, edition_id: int) -> list[Waiting]:
        """An edition must not go on: its letters that were at hand."""
        self.stopped.add(edition_id)
        for source in self._sources.values():
            if source.source.edition_id == edition_id:
                source.exhausted = True
        mine = [waiting for waiting in self.waiting if waiting.claimed.edition_id == edition_id]
        self.waiting = deque(waiting for waiting in self.waiting if waiting.claimed.edition_id != edition_id)
        return mine

    def take_all(self) -> list[Waiting]:
        found = list(self.waiting)
        self.waiting.clear()
        return found
