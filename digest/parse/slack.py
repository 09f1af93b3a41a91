"""JSON as people write it or cut it short, made strict: commas, comments, quotes, escapes, what stands around it."""

from __future__ import annotations

import json
import re

MOST = 1_000_000  # signs, words and texts that are read
_TOKEN = re.compile(
    r"\"(?:[^\"\\]|\\.)*+(\"|\Z)|'(?:[^'\\]|\\.)*+('|\Z)|//[^\n]*+|#[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)"
    r"|\s++|[{}\[\],:]|[^\s\"'{}\[\],:/#]++|.",
    re.S,
)
_ESCAPE = re.compile(r"\\(?:([\"\\/bfnrt]|u[0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.S)
_BARE = re.compile(r"true|false|null|-?(?:0|[1-9]\d{0,400})(?:\.\d{1,400})?(?:[eE][+-]?\d{1,3})?")
_SAID = {"True": "true", "False": "false"} | dict.fromkeys(
    ("NaN", "Infinity", "-Infinity", "undefined", "None"), "null"
)
_CLOSES = {"{": "}", "[": "]"}


def strict(text: str) -> tuple[str, bool]:
    """The first object of a text, as JSON ("" where there is none), and whether it is cut short.

    Of what is cut short it has the items that are whole.

    It is JSON5, JSONP, or stands behind a server's warning; whether JSON came of it the caller sees.
    """
    made: list[str] = []
    open_: list[str] = []
    whole = 0  # how much of `made` holds items that are whole
    begin = text.find("{")
    for number, match in enumerate(_TOKEN.finditer(text, begin) if begin >= 0 else ()):
        token, sign = match[0], match[0][0]
        if number > MOST or token in ('"', "'"):
            break
        if sign.isspace() or sign == "#" or token[:2] in ("//", "/*"):
            continue
        if sign in "\"'" and not (match[1] or match[2]):
            break
        after = made[-1][-1] if made else "["
        if sign in "}]":
            if after in ",:":
                made[-1] = ":null" if after == ":" else ""
                made = made if made[-1] else made[:-1]
            if _CLOSES[open_[-1]] != sign:
                if len(open_) < 2 or _CLOSES[open_[-2]] != sign:
                    continue
                made.append(_CLOSES[open_.pop()])
            made.append(sign)
            open_.pop()
            if not open_:
                return "".join(made), False
            whole = len(made) if open_ == ["{", "["] else whole
        elif sign == ",":
            made += [] if after in ",:{[" else [","]
        elif sign == ":":
            made[-1] = made[-1] if after == '"' else json.dumps(made[-1])
            made.append(":")
        else:
            made += [] if after in ",:{[" else [","]
            made.append(_word(token))
            open_ += [sign] if sign in "{[" else []
    return "".join(made[:whole]) + "]}" if whole else "", True


def _word(token: str) -> str:
    """A text, a number, a word or an opening bracket as JSON has it."""
    if token in _CLOSES or _BARE.fullmatch(token):
        return token
    if token[0] not in "\"'":
        return _SAID.get(token) or json.dumps(token)
    inside = _ESCAPE.sub(_escaped, token[1:-1])
    return '"' + (inside if token[0] == '"' else inside.replace('"', '\\"')) + '"'


def _escaped(match: re.Match[str]) -> str:
    if match[1] == '"':
        return "\\u0022"
    return f"\\{match[1]}" if match[1] else f"\\u00{match[2]}" if match[2] else match[3].strip("\n")
