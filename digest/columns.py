"""Kinds of columns that neither database has: moments with their zone, and compressed text."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, LargeBinary
from sqlalchemy.types import TypeDecorator


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


_ZLIB = b"x\x9c"  # how zlib begins at its usual level, and no text in UTF-8 does


def packed(text: str) -> bytes:
    """Text as a `Packed` column keeps it: mails of many variants are much alike and large, a seventh of it then."""
    return zlib.compress(text.encode(), 6)


class Packed(TypeDecorator[str]):
    """Compressed text. What an older release stored as it was is read as it is; `packed` text may be given."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | bytes | None, dialect: Dialect) -> bytes | None:
        return packed(value) if isinstance(value, str) else value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        content = bytes(value)
        return (zlib.decompress(content) if content.startswith(_ZLIB) else content).decode()


class PackedJson(TypeDecorator[Any]):
    """The same for lists and numbers."""

    impl = Packed
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value if isinstance(value, bytes) else packed(json.dumps(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return json.loads(value)
