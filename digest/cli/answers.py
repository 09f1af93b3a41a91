"""What `digest init` is told by options, put into the settings that it writes."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from digest.errors import ConfigError, UserError

_NAME = "daily"  # of the newsletter in init.toml
# Each option's place in init.toml: section and key. `{}` is the newsletter's name.
PLACES = {
    "database": ("", "database"),
    "base_url": ("", "base_url"),
    "relay": ("smtp", "url"),
    "contact": ("collect", "contact"),
    "title": ("newsletters.{}", "title"),
    "sender": ("newsletters.{}", "from"),
    "reply_to": ("newsletters.{}", "reply_to"),
    "schedule": ("newsletters.{}", "schedule"),
    "language": ("newsletters.{}", "language"),
    "postal_address": ("newsletters.{}", "postal_address"),
}


def settings(text: str, answers: Mapping[str, str], path: Path) -> str:
    """The text of init.toml with these answers in it, by the names of PLACES and `newsletter`.

    Raises UserError for a password in the relay's URL, and ConfigError for what could not be read again as settings.
    """
    from digest import config

    if re.match(r"\w[\w+]*://[^/@]*:[^/@]*@", answers.get("relay", "")):
        raise UserError(
            "a password in an option is seen by everybody on this machine",
            hint="leave it out here: it stands in `password` of [smtp] in digest.toml, or in DIGEST_SMTP__PASSWORD",
        )
    if field := answers.get("field"):
        text = _with_topics(text, field)
    name = answers.get("newsletter", _NAME)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise UserError(
            f"a newsletter cannot be called {name!r}", hint="small letters, digits and hyphens, as in `daily`"
        )
    text = text.replace(f"[newsletters.{_NAME}", f"[newsletters.{name}")
    for option, value in answers.items():
        if option not in ("newsletter", "field"):
            section, key = PLACES[option]
            text = _set(text, section.format(name), key, value)
    try:
        config.from_values(tomllib.loads(text), path, environment=False)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"an answer cannot be written as TOML: {error}", hint="leave out signs that do not print"
        ) from None
    return text


def _with_topics(text: str, field: str) -> str:
    """The text with the topics of a field in place of those that stand in it. UserError for a field that is none."""
    from digest.curate import fields

    if field not in fields.fields():
        raise UserError(f"there is no field {field!r}", hint="one of " + ", ".join(fields.fields()))
    begin, last = text.index(_HEADINGS), text.rindex(f"[newsletters.{_NAME}.topics.")
    end = text.find("\n\n", last)
    tables = [
        fields.as_table(f"newsletters.{_NAME}.topics", slug, heading.title, heading.keywords)
        for slug, heading in fields.field_topics(field).items()
    ]
    about = f"""{_HEADINGS}; an entry goes under the one that its words fit best, or under none. These are a beginning:
# `digest topic suggest` proposes others by what your feeds bring, `digest topic lint` looks at their keywords.
"""
    return text[:begin] + about + "\n".join(tables) + (text[end + 1 :] if end >= 0 else "")


_HEADINGS = "# Headings, in this order"


def _set(text: str, section: str, key: str, value: str) -> str:
    """The text with this value in place of the key's, which may stand in it as a comment."""
    begin = text.index(f"\n[{section}]\n") + 1 if section else 0
    end = text.find("\n[", begin + 1)
    end = len(text) if end < 0 else end
    line = re.compile(rf'^(?:# )?{key} = "[^"\n]*"(?P<gap> +(?=#))?', re.MULTILINE)
    written = f"{key} = {json.dumps(value, ensure_ascii=False)}"

    def put(old: re.Match[str]) -> str:
        # A comment after it stays where it stood, if there is room.
        return f"{written:<{len(old[0]) - 1}} " if old["gap"] else written

    part, found = line.subn(put, text[begin:end], count=1)
    if not found:
        raise LookupError(f"init.toml has no line for {key}")
    return text[:begin] + part + text[end:]
