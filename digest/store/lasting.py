"""Ids that outlive addresses: a feed reader shows an entry again whose id is another, and base URLs change."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.dataclass import dataclass
from digest.errors import StorageError
from digest.models import Edition, Newsletter
from digest.store.database import Database, insert_into

if TYPE_CHECKING:
    from digest.store.lasting_tables import LastingId

# Asked in words: to import the table takes longer than to ask it, and each command asks.
_UNKNOWN = sa.text(
    "SELECT name FROM newsletter LEFT JOIN lasting_id ON newsletter_id = newsletter.id"
    " WHERE tag IS NULL OR tag = '' OR home = ''"
)


class Home(NamedTuple):
    """Where a newsletter is at home by its settings."""

    page: str  # its address in the archive
    domain: str  # of its sender, which is the operator's


@dataclass(frozen=True)
class Ids:
    """Of one newsletter. What is known by its address is known by that of `home`."""

    tag: str
    home: str
    number: int = 0
    seq: int = 0

    @property
    def feed(self) -> str:
        return self.home if self.number else self.tag

    def topic(self, slug: str) -> str:
        return f"{self.feed}/topics/{slug}"

    def edition(self, number: int) -> str:
        return f"{self.home if number <= self.number else self.tag}/editions/{number}"

    def story(self, seq: int) -> str:
        if seq <= self.seq:
            return uuid.uuid5(uuid.NAMESPACE_URL, f"{self.home}/stories/{seq}").urn
        return f"{self.tag}/stories/{seq}"


def keep(database: Database, homes: Mapping[str, Home], *, now: datetime) -> None:
    """Write down by what the feeds of these newsletters know what they show, once and for all."""
    with database.read() as session:
        if homes.keys().isdisjoint(session.execute(_UNKNOWN).scalars()):
            return
    from digest.store.lasting_tables import LastingId

    # Where nothing can be written now, the next command does: until then ids are made as they will be written.
    with suppress(StorageError), database.write() as session:
        for row, known in _unknown(session, homes):
            home = homes[row.name]
            since = _first(session, row.id or 0) or now
            values = {"tag": _tag(session, row.id or 0, home.domain, since), "home": home.page}
            if known is None:
                statement = insert_into(session, LastingId).values(newsletter_id=row.id, number=0, seq=0, **values)
                session.execute(statement.on_conflict_do_nothing())
            else:
                for name, value in values.items():
                    setattr(known, name, getattr(known, name) or value)
                session.add(known)


def of(session: Session, newsletter_id: int, home: Home) -> Ids:
    """By what a newsletter's feeds know what they show; `home` is where it is now."""
    from digest.store.lasting_tables import LastingId

    known = session.get(LastingId, newsletter_id)
    tag = known.tag if known else ""
    if not tag:
        first = _first(session, newsletter_id)
        tag = _tag(session, newsletter_id, home.domain, first) if first else home.page
    if known is None:
        return Ids(tag, home.page)
    return Ids(tag, known.home or home.page, known.number, known.seq)


def known_by_address(session: Session) -> None:
    """All that is published comes from a former release, where addresses were ids."""
    from digest.store.lasting_tables import LastingId

    of_former = sa.select(
        col(Newsletter.id), sa.literal(""), sa.literal(""), col(Newsletter.edition_number), col(Newsletter.seq)
    ).where(col(Newsletter.edition_number) > 0)
    names = ["newsletter_id", "tag", "home", "number", "seq"]
    session.execute(sa.insert(LastingId).from_select(names, of_former))


def _unknown(session: Session, homes: Mapping[str, Home]) -> list[tuple[Newsletter, LastingId | None]]:
    from digest.store.lasting_tables import LastingId

    rows = session.exec(
        select(Newsletter, LastingId)
        .join(LastingId, col(LastingId.newsletter_id) == col(Newsletter.id), isouter=True)
        .where(sa.or_(col(LastingId.tag).is_(None), col(LastingId.tag) == "", col(LastingId.home) == ""))
        .order_by(col(Newsletter.id))
    )
    return [(row, known) for row, known in rows if row.name in homes]


def _first(session: Session, newsletter_id: int) -> datetime | None:
    """When its first edition was composed."""
    query = sa.select(sa.func.min(col(Edition.composed_at))).where(col(Edition.newsletter_id) == newsletter_id)
    found: datetime | None = session.execute(query).scalar()
    return found


def _tag(session: Session, newsletter_id: int, domain: str, at: datetime) -> str:
    """A tag URI (RFC 4151): who owned which domain when, and what of theirs it is."""
    installation = session.execute(sa.text("SELECT id FROM installation")).scalar_one()
    return f"tag:{domain},{at:%Y-%m-%d}:{installation}/{newsletter_id}"
