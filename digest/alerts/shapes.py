"""What services want to be sent, each in its own shape. Pure: a word in, a request out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.header import Header
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from digest.errors import BadInput
from digest.values import AlertWord

_MOST = 1_900  # characters: Discord takes 2,000, and nobody reads more on a telephone
_SIGNS = {"trouble": "[!]", "still": "[!]", "well": "[ok]", "test": "[test]"}


@dataclass(frozen=True)
class Request:
    """What is sent where."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


def title(word: AlertWord) -> str:
    """One line that says it all."""
    return f"{_SIGNS.get(word.state, '')} digest: {' '.join(word.title.split())}".strip()


def text(word: AlertWord) -> str:
    """The rest, with the command that mends it."""
    mends = f"\n\nWhat mends it: {word.cure}" if word.cure else ""
    since = f"\nSince {word.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC." if word.state in ("trouble", "still") else ""
    return f"{word.words}{since}{mends}"


def values(word: AlertWord) -> dict[str, Any]:
    """All of a word, for programs: `id` is the same however often it comes."""
    return {
        "id": word.name,
        "key": word.key,
        "state": word.state,
        "title": word.title,
        "text": word.words,
        "cure": word.cure,
        "since": word.since.astimezone(UTC).isoformat(timespec="seconds"),
        "at": word.at.astimezone(UTC).isoformat(timespec="seconds"),
    }


def request(word: AlertWord, url: str, shape: str, template: str = "") -> Request:
    """The request by which a service is told. BadInput where a template fails."""
    if template:
        return Request(url, _filled(template, word), _json())
    whole = f"{title(word)}\n{text(word)}"
    short = whole if len(whole) <= _MOST else whole[:_MOST] + "…"
    match shape:
        case "ntfy":
            urgent = word.state in ("trouble", "still")
            headers = {
                "Title": _latin(title(word)),
                "Priority": "4" if urgent else "3",
                "Tags": "warning" if urgent else "white_check_mark",
            }
            return Request(url, text(word).encode()[:4000], headers)
        case "slack":
            plain = short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            return _of(url, {"text": plain})
        case "discord":
            return _of(url, {"content": short, "allowed_mentions": {"parse": []}})
        case "matrix":
            # The name of a transaction, by which a server knows what it has already.
            there = f"{url.rstrip('/')}/{quote(word.name, safe='')}"
            return _of(there, {"msgtype": "m.text", "body": short}, method="PUT")
    return _of(url, values(word))


def _of(url: str, content: Mapping[str, Any], method: str = "POST") -> Request:
    return Request(url, json.dumps(content, ensure_ascii=False).encode(), _json(), method)


def _json() -> dict[str, str]:
    return {"Content-Type": "application/json"}


def _latin(words: str) -> str:
    """A header field's value: other than ASCII as RFC 2047 has it, which ntfy reads."""
    return words if words.isascii() else Header(words, "utf-8", maxlinelen=10_000).encode()


def _safe(value: object) -> object:
    """What stands between the quotes of a JSON string; what `tojson` made is whole already."""
    if isinstance(value, Markup):
        return value
    return json.dumps(value, ensure_ascii=False)[1:-1] if isinstance(value, str) else value


def _filled(template: str, word: AlertWord) -> bytes:
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    room = ImmutableSandboxedEnvironment(autoescape=False, undefined=StrictUndefined, finalize=_safe)
    given = values(word) | {"line": title(word), "message": text(word)}
    try:
        return room.from_string(template).render(given).encode()
    except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise BadInput(f"the template of [alerts] fails: {error}") from None
