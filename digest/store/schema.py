"""All tables that there are, whoever imported what; and where a database's own tables are not as they should be."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import SQLModel

from digest import store
from digest.dataclass import dataclass

OURS = "alembic_version"  # is Alembic's, and not among the models
# SQLite: an FTS5 table over `archive_words` and what it keeps itself in; PostgreSQL: a GIN index. Made by a migration,
# filled by triggers, and no model's.
INDEX = "archive_index"


def tables() -> sa.MetaData:
    """The tables of `models` and of every `store.…_tables`."""
    importlib.import_module("digest.models")
    for module in pkgutil.iter_modules(store.__path__):
        if module.name.endswith("_tables"):
            importlib.import_module(f"digest.store.{module.name}")
    for table in SQLModel.metadata.tables.values():
        for index in table.indexes:
            _say(index)
    return SQLModel.metadata


def _say(index: sa.Index) -> None:
    """Say to both dialects what `column_types.only` said of an index."""
    if (where := index.info.get("where", "")) != "":
        index.dialect_options["sqlite"]["where"] = index.dialect_options["postgresql"]["where"] = where
    if index.info.get("hashed"):
        index.dialect_options["postgresql"]["using"] = "hash"


@dataclass(frozen=True)
class Drift:
    """One thing that is not as this release makes it."""

    what: str  # a sentence
    table: str
    index: str = ""  # the name of an index that is missing: it can be made
    extra: bool = False  # it is there besides: somebody's own


def drift(connection: Connection) -> list[Drift]:
    """How the tables of a database of our revision differ from those that this release makes."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    metadata = tables()
    options = {"compare_type": _other_type, "include_name": lambda name, kind, _parents: is_of_models(name)}
    context = MigrationContext.configure(connection, opts=options)
    changes = compare_metadata(context, metadata)
    found = [_told(change) for one in changes for change in (one if isinstance(one, list) else [one])]
    gone = {one.table for one in found if one.what.startswith("the table") and not one.extra}
    look = sa.inspect(connection)
    for table in metadata.sorted_tables:
        if table.name not in gone:
            found += _rules(connection, look, table)
    return found


def is_of_models(name: str | None) -> bool:
    """Whether a table or index is neither Alembic's nor one in which SQLite's FTS5 keeps what it knows."""
    return name != OURS and not (name or "").startswith(INDEX)


def _told(change: Any) -> Drift:
    """What Alembic would do, as what is the matter."""
    verb, kind = str(change[0]).partition("_")[::2]
    if verb == "modify":
        _, _, table, column, _, old, new = change
        of = {"type": "type", "nullable": "rule about NULL", "default": "default"}.get(kind, kind)
        return Drift(f"the {of} of {table}.{column} is {old}, and should be {new}", table)
    thing, extra = change[-1], verb == "remove"
    has = "is there besides" if extra else "is missing"
    if kind == "table":
        return Drift(f"the table {thing.name} {has}", thing.name, extra=extra)
    if kind == "column":
        return Drift(f"the column {change[2]}.{thing.name} {has}", change[2], extra=extra)
    name, table = str(thing.name or "?"), str(thing.table.name)
    if kind == "index":
        return Drift(f"the index {name} of {table} {has}", table, "" if extra else name, extra)
    kinds = {"fk": "foreign key", "constraint": "constraint"}
    return Drift(f"the {kinds.get(kind, kind)} {name} of {table} {has}", table, extra=extra)


def _other_type(_context: Any, _seen: Any, _wanted: Any, is_: Any, should: Any) -> bool:
    """Of another kind than it should be; how a kind is spelt differs between the two databases."""
    return kind(is_) != kind(should)


def kind(type_: Any) -> str:
    """What a column holds: "bool", "int", "float", "time", "bytes", "json" or "text"."""
    while isinstance(type_, sa.types.TypeDecorator):
        type_ = type_.impl_instance
    for name, types in _KINDS.items():
        if isinstance(type_, types):
            return name
    return "text"


_KINDS: dict[str, Any] = {
    "bool": sa.Boolean,
    "int": sa.Integer,
    "float": (sa.Float, sa.Numeric),
    "time": (sa.DateTime, sa.TIMESTAMP),
    "bytes": sa.LargeBinary,
    "json": sa.JSON,
}


def _rules(connection: Connection, look: Any, table: sa.Table) -> Iterator[Drift]:
    """What Alembic does not compare: CHECKs, which rows an index has, and whether numbers are never given twice."""
    name = table.name
    there = {rule["name"] for rule in look.get_check_constraints(name)}
    for rule in table.constraints:
        if isinstance(rule, sa.CheckConstraint) and rule.name is not None and str(rule.name) not in there:
            yield Drift(f"the constraint {rule.name} of {name} is missing", name)
    dialect = connection.dialect.name
    where = f"{dialect}_where"
    partial = {i["name"]: i.get("dialect_options", {}).get(where) is not None for i in look.get_indexes(name)}
    for index in table.indexes:
        wanted = index.dialect_options[dialect]["where"] is not None
        if index.name in partial and partial[index.name] is not wanted:
            has = "all rows, and should have some" if wanted else "some rows, and should have all"
            yield Drift(f"the index {index.name} of {name} has {has}", name, str(index.name))
    if dialect == "sqlite" and table.dialect_options["sqlite"]["autoincrement"]:
        made = sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")
        if "AUTOINCREMENT" not in str(connection.execute(made, {"name": name}).scalar()).upper():
            yield Drift(f"the table {name} may give numbers twice (AUTOINCREMENT is missing)", name)


def mend_index(connection: Connection, name: str) -> None:
    """Make an index as it should be."""
    for table in tables().sorted_tables:
        for index in table.indexes:
            if index.name == name:
                index.drop(connection, checkfirst=True)
                index.create(connection)
