"""Topics to begin with, by field, as they are packaged; and topics as they stand in settings."""

from __future__ import annotations

import json
import textwrap
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from digest.curate.topics import Heading

_FOLDER = Path(__file__).parent / "fields"


def fields() -> tuple[str, ...]:
    """The fields that there are topics for."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.toml")))


def field_topics(field: str) -> Mapping[str, Heading]:
    """The topics of one of `fields()` by their slugs, in the order of the mail. KeyError for another."""
    if field not in fields():
        raise KeyError(field)
    told = tomllib.loads((_FOLDER / f"{field}.toml").read_text(encoding="utf-8"))
    return {slug: Heading(topic["title"], tuple(topic["keywords"])) for slug, topic in told.items()}


def as_table(under: str, slug: str, title: str, keywords: Sequence[str], *, notes: Iterable[str] = ()) -> str:
    """A topic as a table of the settings, `under` what stands before its slug; `notes` stand in it as comments."""
    lines = [f"[{under}.{slug}]", f"title = {_quoted(title)}", "keywords = ["]
    # Words of one keyword stay on one line.
    joined = ", ".join(_quoted(keyword).replace(" ", "\x00") for keyword in keywords)
    wrapped = textwrap.wrap(joined, 112, break_long_words=False, break_on_hyphens=False)
    lines += [f"    {line}".replace("\x00", " ") for line in wrapped]
    # No line end, and nothing that TOML wants in no comment (toml.io, "Comment").
    said = ["# " + " ".join("".join(c if c.isprintable() else " " for c in note).split()) for note in notes]
    return "\n".join([*said, *lines, "]", ""])


def _quoted(text: str) -> str:
    """A basic string of TOML; JSON writes the same but for U+007F."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
