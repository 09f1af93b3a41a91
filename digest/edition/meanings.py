"""What entries mean: of which it is not known yet, and keeping it with them; only where `curate.scorer` asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import cast

from sqlmodel import Session

from digest import config
from digest.curate import excerpts
from digest.dataclass import dataclass
from digest.edition.judge import Gists
from digest.parse import gist, meaning
from digest.parse.gist import Gist
from digest.store import Database, entries, newsletters

MOST = 5_000  # texts that are read for one admission; what is beyond is judged by its words


@dataclass(frozen=True)
class Unread:
    """An entry whose meaning is not known: its gist, also as it is stored, and what is to be read."""

    entry_id: int
    stored: bytes | None
    said: Gist
    text: str


def wanting_meanings(database: Database, name: str, settings: config.Curate, *, now: datetime) -> list[Unread]:
    """Entries that wait for a newsletter, and those that its topics are learnt from, without a vector of the model."""
    with database.read() as session:
        newsletter_id = cast(int, newsletters.find(session, name).id)
        waiting = entries.waiting(session, newsletter_id, settle=settings.settle, now=now)
        titles = {entry.id: entry.title for entry in islice(waiting, MOST)}
        titles |= {row.entry_id: row.title for row in entries.labelled(session, newsletter_id)}
        return list(_unread(session, titles, settings.scorer))[:MOST]


def _unread(session: Session, titles: Mapping[int, str], model: str) -> Sequence[Unread]:
    stored = dict(entries.gists(session, titles))
    known = meaning.MODELS[model].name
    return [
        Unread(id_, stored[id_], said, meaning.said(titles[id_], excerpts.prose_of(said, title=titles[id_])))
        for id_, said in Gists(session).of(titles)
        if said.meaning.partition(":")[0] != known
    ]


def keep_meanings(
    database: Database, unread: Sequence[Unread], vectors: Sequence[bytes], settings: config.Curate
) -> None:
    """Store what was read of the first of these entries, each with its gist as far as that is still the same."""
    made = {
        one.entry_id: (one.stored, gist.pack(one.said._replace(meaning=meaning.noted(settings.scorer, vector))))
        for one, vector in zip(unread, vectors, strict=False)
    }
    if made:
        with database.write() as session:
            entries.change_gists(session, made)
