"""Rows that were not written as CSV is: quotes behind backslashes, blanks before quotes, whole rows within quotes."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

MOST_LINES = 20  # of a row that is read again

_NULL = re.compile(r"(^|[,;\t|])\\N(?=[,;\t|\r\n]|$)")  # as MySQL writes it where nothing stands
_BLANK_QUOTE = re.compile(r"\s+\"")


def rewritten(lines: Sequence[str], separator: str, width: int) -> tuple[list[str], int] | None:
    """The cells of the row that begins these lines, and how many lines it has, where CSV's own rules tear it apart.

    A quote within quotes is doubled (RFC 4180 §2); databases put a backslash before it instead, and some programs a
    blank between separator and quote. Another reading counts only where no quote stands amiss in it, and where it has
    `width` cells (0: any number). None where CSV's own rules are right, or no others are.
    """
    usual = _read(lines, separator, "", blanks=False)
    if usual is not None and not any(map(_BLANK_QUOTE.match, usual[0])):
        return None
    for escape, blanks in (("", True), ("\\", False), ("\\", True)):
        found = _read(lines, separator, escape, blanks=blanks)
        if found is not None and len(found[0]) == (width or len(found[0])):
            return found
    return None


def _read(lines: Sequence[str], separator: str, escape: str, *, blanks: bool) -> tuple[list[str], int] | None:
    for count in range(1, min(len(lines), MOST_LINES) + 1):
        some = [_NULL.sub(r"\1", line) for line in lines[:count]] if escape else lines[:count]
        try:
            rows = list(
                csv.reader(some, delimiter=separator, escapechar=escape or None, skipinitialspace=blanks, strict=True)
            )
        except csv.Error:
            continue
        return (rows[0], count) if len(rows) == 1 else None
    return None


def unwrapped(cells: Sequence[str], separator: str) -> list[str]:
    """The cells of a row that stands in one cell as a whole; empty where it is none."""
    if not cells or separator not in cells[0] or any(cells[1:]):
        return []
    inner = cells[0].rstrip(";") if separator != ";" else cells[0]
    try:
        return next(csv.reader([inner], delimiter=separator), [])
    except csv.Error:
        return []


def unfinished(lines: Sequence[str], separator: str) -> bool:
    """Whether a quote is still open behind these lines, where backslashes are heeded."""
    try:
        for _row in csv.reader(lines, delimiter=separator, escapechar="\\", strict=True):
            pass
    except csv.Error as error:
        return "end of data" in str(error)
    return False
