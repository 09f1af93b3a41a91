"""Addresses that nobody writes to: barred, lifted, and what the lifted have missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlmodel import Session, col, select

from digest.dataclass import dataclass
from digest.models import (
    Edition,
    EditionState,
    Newsletter,
    OutboxRow,
    OutboxState,
    Subscriber,
    Suppression,
    address_key,
)
from digest.store import witness
from digest.store.database import batched, insert_into
from digest.values import Evidence

BOUNCED = "no such mailbox"  # the reason of a suppression that a mail server's answer to a letter made


SUPPRESSED = "suppressed"  # the state shown for an address in `find`, whatever its subscription says


class at_domain(sa.sql.expression.ColumnElement[str]):
    """Of a column with keys of addresses: the domain and the @ before it, `@example.org`, as a domain is barred."""

    inherit_cache = True
    type = sa.String()

    def __init__(self, key: Any) -> None:
        self.key = key

    _traverse_internals = [("key", sa.sql.visitors.InternalTraversal.dp_clauseelement)]  # noqa: RUF012


# What finds a sign in a text goes by two names. Written out where SQL is, see `outbox`.
FIND = {"sqlite": "instr", "postgresql": "strpos"}


@compiles(at_domain)
def _at_domain(element: at_domain, compiler: Any, **options: Any) -> str:
    key = compiler.process(element.key, **options)
    return f"substr({key}, {FIND[compiler.dialect.name]}({key}, '@'))"


def bars(key: Any) -> Any:
    """That the suppression at hand bars the address whose key is in this column, by itself or by its domain."""
    return col(Suppression.key).in_((key, at_domain(key)))


def barred(key: Any) -> Any:
    """That an address is suppressed, or its domain; `key` is a column of another table."""
    return sa.exists().where(bars(key))


def find(session: Session, email: str) -> Suppression | None:
    """Why nothing goes to an address, or to a domain with its @: its own suppression, else its domain's."""
    key = address_key(email)
    return session.get(Suppression, key) or session.get(Suppression, key[key.rfind("@") :])


def own(session: Session, email: str) -> Suppression | None:
    """The suppression of an address itself, or of a domain with its @."""
    return session.get(Suppression, address_key(email))


def of_domain(key: str) -> bool:
    """Is it a domain that this key bars, `@example.org`?"""
    return key.startswith("@")


def at(session: Session, domain: str) -> int:
    """How many people have an address of a domain (with its @)."""
    theirs = select(sa.func.count()).select_from(Subscriber)
    return session.exec(theirs.where(col(Subscriber.key).endswith(domain, autoescape=True))).one()


def add(session: Session, email: str, *, reason: str, now: datetime, status: str = "") -> bool:
    """Write to this address no more; the first reason stands. False where it was so."""
    key = address_key(email)
    made = {"key": key, "reason": reason, "status": status, "created_at": now}
    insert = insert_into(session, Suppression).values(made).on_conflict_do_nothing()
    added = session.connection().execute(insert.returning(col(Suppression.key))).first() is not None
    witness.note_person(session, "suppressed", key, reason=reason, status=status)
    return added


def lift(session: Session, email: str, *, mark: str) -> bool:
    """Let this address be written to and subscribed again, also after an erasure; False where nothing barred it."""
    from digest.store.consent_tables import Erasure

    barred = own(session, email) or session.get(Erasure, mark)
    session.exec(sa.delete(Suppression).where(col(Suppression.key) == address_key(email)))
    session.exec(sa.delete(Erasure).where(col(Erasure.mark) == mark))
    witness.note_person(session, "lifted", address_key(email), mark=mark)
    return barred is not None


def lift_some(session: Session, keys: Sequence[str]) -> dict[str, str]:
    """Let these addresses be written to again: why they were not, by key, of those that were suppressed themselves."""
    gone = sa.delete(Suppression).where(col(Suppression.key).in_(keys))
    rows = session.connection().execute(gone.returning(*map(col, (Suppression.key, Suppression.reason))))
    found = {str(row[0]): str(row[1]) for row in rows}
    for key in found:
        witness.note_person(session, "lifted", key)
    return found


@dataclass(frozen=True)
class Stops:
    """Which suppressions: made from `since` on and before `until`, for `reason`; what else is empty narrows nothing."""

    since: datetime
    until: datetime | None = None
    reason: str = BOUNCED
    status: str = ""  # the enhanced status code that decided it
    domain: str = ""  # of the address, as `subscribe.address` has it


class Lifted(NamedTuple):
    """A suppression that was taken away. `key` is of `address_key`."""

    key: str
    reason: str
    status: str
    suppressed_at: datetime


def lift_all(session: Session, which: Stops, evidence: Evidence) -> list[Lifted]:
    """Let all these addresses be written to again, by address; whose they are, their history says so."""
    from digest.store.consent_tables import Consent, ConsentEvent

    stop, connection = Suppression, session.connection()
    these = [col(stop.created_at) >= which.since, col(stop.reason) == which.reason, ~col(stop.key).startswith("@")]
    if which.reason == BOUNCED:
        these.append(col(stop.status) != "")  # else a person said so, in the same words
    if which.until is not None:
        these.append(col(stop.created_at) < which.until)
    if which.status:
        these.append(col(stop.status) == which.status)
    if which.domain:
        these.append(col(stop.key).endswith(f"@{which.domain}", autoescape=True))
    gone = sa.delete(stop).where(*these).returning(*map(col, (stop.key, stop.reason, stop.status, stop.created_at)))
    lifted = sorted(Lifted._make(row) for row in connection.execute(gone))
    said = asdict(evidence) | {"event": ConsentEvent.UNSUPPRESSED}
    details = {one.key: f"{one.reason} {one.status}".strip() for one in lifted}
    for key in details:
        witness.note_person(session, "lifted", key)
    for some in batched(list(details)):
        known = sa.select(col(Subscriber.id), col(Subscriber.key)).where(col(Subscriber.key).in_(some))
        rows = [said | {"subscriber_id": id_, "detail": details[key]} for id_, key in connection.execute(known)]
        if rows:
            connection.execute(sa.insert(Consent), rows)
    return lifted


def missed_editions(session: Session, keys: Sequence[str]) -> list[tuple[str, int, int]]:
    """(newsletter, number, letters) of what these addresses did not get, as it was refused or they were suppressed."""
    found: dict[tuple[str, int], int] = {}
    for some in batched(list(keys)):
        query = (
            sa.select(col(Newsletter.name), col(Edition.number), sa.func.count())
            .select_from(OutboxRow)
            .join(Edition, col(Edition.id) == OutboxRow.edition_id)
            .join(Newsletter, col(Newsletter.id) == Edition.newsletter_id)
            .join(Subscriber, col(Subscriber.id) == OutboxRow.subscriber_id)
            .where(col(Subscriber.key).in_(some), col(Edition.state) != EditionState.CANCELLED, not_had())
            .group_by(col(Newsletter.name), col(Edition.number))
        )
        for name, number, letters in session.execute(query):
            found[name, number] = found.get((name, number), 0) + letters
    return sorted((name, number, letters) for (name, number), letters in found.items())


def not_had() -> Any:
    """That a letter was refused, or dropped since an earlier one of its reader was: what a resend is for."""
    dropped = (col(OutboxRow.state) == OutboxState.DROPPED) & (col(OutboxRow.reply) == f"{SUPPRESSED}: {BOUNCED}")
    return (col(OutboxRow.state) == OutboxState.REFUSED) | dropped
