"""Types of columns that both databases keep alike: moments in UTC, compressed text, JSON, states; and their fields."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Enum, Integer, LargeBinary, TextClause, text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field


def _from_text(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value + "+00:00")  # a fifth of what it takes to give it its zone afterwards
    except ValueError:  # it has one
        moment = datetime.fromisoformat(value)
    if moment.tzinfo is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets zones, so one is demanded on the way in and given back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}; every time is stored with its zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Thousands are read at a time: of SQLite's text the moment is made at once, with its zone."""
        return _from_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def bare(attribute: Any) -> Any:
    """The column of a table that a model's attribute stands for.

    For what every command asks: the first statement with an attribute sets up the mappers of all tables, which takes
    longer than the statements of most commands.
    """
    return attribute.class_.__table__.c[attribute.key]


def read_json(words: str) -> Any:
    """As `json.loads`, quickly where there is nothing in it."""
    return {} if words == "{}" else [] if words == "[]" else json.loads(words)


_ZLIB = b"x\x9c"  # how zlib begins at its usual level, and no text in UTF-8 does


def packed(words: str) -> bytes:
    """Text as a `Packed` column keeps it: mails of many variants are much alike and large, a seventh of it then."""
    return zlib.compress(words.encode(), 6)


def unpacked(content: bytes) -> bytes:
    """What a `Packed` column holds, in UTF-8. What an older release stored as it was is given as it is."""
    return zlib.decompress(content) if content.startswith(_ZLIB) else content


class Packed(TypeDecorator[str]):
    """Compressed text. What an older release stored as it was is read as it is; `packed` text may be given."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | bytes | None, dialect: Dialect) -> bytes | None:
        return packed(value) if isinstance(value, str) else value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return unpacked(bytes(value)).decode()


class PackedJson(TypeDecorator[Any]):
    """The same for lists and numbers."""

    impl = Packed
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value if isinstance(value, bytes) else packed(json.dumps(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return json.loads(value)


def time_field(**options: Any) -> Any:
    """A moment in UTC."""
    return Field(sa_type=UtcTime, **options)


def letter_field(**options: Any) -> Any:
    """The number of a letter: ten million a day are more than 32 bits hold, after seven months.

    All of SQLite's have 64 bits, and it gives them by itself only where the type is called INTEGER.
    """
    return Field(sa_type=BigInteger().with_variant(Integer(), "sqlite"), **options)


def json_field(**options: Any) -> Any:
    """Lists, mappings, numbers and words."""
    return Field(sa_type=JSON, **options)


def state_field(kind: type[StrEnum], **options: Any) -> Any:
    """A `StrEnum` kept as its value in a plain text column, so a new state needs no change of type."""
    return Field(
        sa_type=Enum(
            kind, native_enum=False, create_constraint=False, length=20, values_callable=lambda k: [m.value for m in k]
        ),
        **options,
    )


def only(where: str | TextClause = "", *, hashed: bool = False) -> dict[str, Any]:
    """The `info` of an index: the rows that it has, where not all; and whether PostgreSQL is to hash them.

    `Index(…, sqlite_where=…, postgresql_where=…)` would load both dialects into every process, to judge these words.
    Who makes or compares tables gets them from `store.schema`, which says it to the dialects.
    """
    return {"where": text(where) if isinstance(where, str) and where else where, "hashed": hashed}
