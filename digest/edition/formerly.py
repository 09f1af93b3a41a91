"""Entries that a restored database has forgotten: told as they were before, so that nobody is offered them twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from sqlmodel import Session

from digest.curate import urls
from digest.store import entries, witness


class _Telling(Protocol):
    """What told a story: an entry, read."""

    @property
    def entry(self) -> entries.Waiting: ...


_T = TypeVar("_T", bound=_Telling)


def of(
    session: Session, newsletter_id: int, settled: Iterable[entries.Waiting], *, now: datetime
) -> tuple[Iterable[entries.Waiting], dict[int, int]]:
    """What is to be decided about, and of whom it is known from before: the seq of their story, 0 for what was held.

    These need not settle once more, as the `settled` ones did: who had not read them would be past them by then.
    """
    if not witness.remembers(session, newsletter_id):
        return settled, {}
    every = list(entries.waiting(session, newsletter_id, settle=None, now=now))
    feeds = entries.readings(session, newsletter_id)
    found, names = {}, {}
    keys = entries.keys(session, [entry.id for entry in every])
    for entry in every:
        feed = feeds[entry.feed_id]
        link = urls.normalise(entry.original_url or entry.url) if feed.links_tell else ""
        names[entry.id] = witness.marks(feed.url, keys[entry.id], link)
    seqs = witness.seqs(session, newsletter_id, (mark for marks in names.values() for mark in marks))
    for entry in every:
        seq = next((seqs[mark] for mark in names[entry.id] if mark in seqs), None)
        if seq is not None:
            found[entry.id] = seq
    ready = {entry.id for entry in settled} | found.keys()
    return [entry for entry in every if entry.id in ready], found


def apart(
    groups: Iterable[tuple[Sequence[_T], int | None]], former: Mapping[int, int], there: Mapping[int, int]
) -> list[tuple[list[_T], int | None]]:
    """What tells one story, and the story if it is known: those with a former seq each by itself.

    Who was offered one of these was not offered what is like it. `there` are those which have been admitted again
    already, by seq. What is told for the first time goes with the others of its group.
    """
    new: list[tuple[list[_T], int | None]] = []
    before: defaultdict[int, list[_T]] = defaultdict(list)
    for reads, known in groups:
        mine = {former[read.entry.id] for read in reads if read.entry.id in former}
        rest = [read for read in reads if read.entry.id not in former]
        for read in reads:
            if read.entry.id in former:
                before[former[read.entry.id]].append(read)
        if rest and (known is not None or not mine):
            new.append((rest, known))
        elif rest:
            before[min(mine)] += rest
    return [*new, *((reads, there.get(seq)) for seq, reads in before.items())]
