"""What a database's refusal means for the operator, and whether what it refused may be stored all the same."""

from __future__ import annotations

import sqlalchemy as sa

from digest.errors import ConfigError, NotFound, StorageError, TryAgain, UserError

# What a refusal means and what helps: by what SQLite says, and by the SQLSTATE of PostgreSQL (its appendix A).
_SQLITE = {
    "not a database": ("is not a database", "is `database` the right path? A backup can take its place"),
    "malformed": ("is damaged", "`sqlite3 FILE '.recover'` saves what can be read; then use a backup"),
    "readonly": ("cannot be written", "let the user who runs digest write the file and its folder"),
    "unable to open": ("cannot be opened", "let the user who runs digest read and write the file and its folder"),
    "locked": ("is locked by another program", "it kept it for a minute; try again when that one is done"),
    "disk is full": ("cannot grow: the disk is full", "make room; nothing stored is lost"),
    "disk I/O error": ("cannot be read or written (disk I/O error)", "look at the disk and its mount"),
}
_POSTGRES = {
    "25006": ("cannot be written", "it is a standby, or was made read-only; name the one that is written to"),
    "42501": ("is not ours to use", "its owner can GRANT the user of the URL what is missing, or be that user"),
    "53100": ("cannot grow: the disk is full", "make room; nothing stored is lost"),
    "53300": ("has no connection left", "raise its max_connections, or run fewer workers at a time"),
}


def too_large(error: sa.exc.DBAPIError | OverflowError) -> UserError | None:
    """That somebody asked for a number which no column can hold: PostgreSQL does not look for it, nor does sqlite3."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    if state != "22003" and "SQLite INTEGER" not in str(error):
        return None
    return NotFound("there is nothing of a number that large", hint="the lists show the numbers that there are")


def bars_writing(error: StorageError) -> bool:
    """Was it SQLite that cannot write to the file, or keep beside it what it wants? Then it may still be read."""
    cause = error.__cause__
    return isinstance(cause, sa.exc.DBAPIError) and any(
        sign in str(cause.orig) for sign in ("disk", "readonly", "unable to open")
    )


def first_line(error: sa.exc.DBAPIError) -> str:
    said = str(error.orig).strip()
    return said.splitlines()[0] if said else type(error.orig).__name__


def undecided(error: sa.exc.DBAPIError) -> bool:
    """Can a COMMIT that failed like this have been carried out all the same?

    PostgreSQL says no with an SQLSTATE, but for those of a lost connection and of a server that shuts down;
    SQLite says that it is locked or full before it writes the end of a transaction.
    """
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return bool(state.startswith("08") or state in ("57P01", "57P02", "57P03", "40003"))
    if not isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        return False
    return not any(sign in str(error.orig) for sign in ("locked", "disk is full", "readonly"))


def place(url: sa.engine.URL) -> str:
    """Where a PostgreSQL is, without who logs in: also by a socket, or as options of the URL, as libpq takes them."""

    def option(name: str) -> str:
        said = url.query.get(name, "")
        return said if isinstance(said, str) else ",".join(said)

    host, port = url.host or option("host"), url.port or option("port") or 5432
    return f"{host}:{port}/{url.database}" if host else f"{url.database}"


def in_words(error: sa.exc.DBAPIError | OverflowError, url: sa.engine.URL) -> UserError | None:
    """What a database's refusal means for the operator, or None where it is our own mistake."""
    if isinstance(error, OverflowError):
        return None
    said = first_line(error)
    if url.drivername.startswith("sqlite"):
        known = next((words for sign, words in _SQLITE.items() if sign in said), None)
        return StorageError(f"the database {url.database} {known[0]}", hint=known[1]) if known else None
    where = place(url)
    state = getattr(error.orig, "sqlstate", None)
    if state in ("40P01", "40001"):
        return TryAgain(
            f"the database {where} stopped one of two that waited for each other, and it was us",
            hint="nothing of this step is stored, and nothing is lost: do it again",
        )
    if state in _POSTGRES:
        what, hint = _POSTGRES[state]
        return StorageError(f"the database {where} {what}: {said}", hint=hint)
    if state is None and "connection option" in said:
        return ConfigError(f"the URL of the database {where} has an option that PostgreSQL does not know", hint=said)
    if isinstance(error, sa.exc.OperationalError):
        return StorageError(f"the database {where} does not answer: {said}", hint="is the server up, is the URL right?")
    return None
