"""The manual page digest(1), made of the help texts: `python packaging/manual.py > digest.1`."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import typer.main

from digest import __version__
from digest.cli import app
from digest.errors import Exit

CODES = {
    Exit.OK: "All is done.",
    Exit.USAGE: "The command was not understood.",
    Exit.DATAERR: "What was given to it cannot be read.",
    Exit.NOINPUT: "A file is not there.",
    Exit.UNAVAILABLE: "No feed, relay or mailbox can be had, or the clock cannot be right.",
    Exit.SOFTWARE: "A mistake of ours.",
    Exit.OSERR: "The system refuses something.",
    Exit.IOERR: "A file or the database cannot be written.",
    Exit.TEMPFAIL: "Letters wait for their next try, which is daily business.",
    Exit.CONFIG: "The settings are wrong.",
}


def page() -> str:
    """The whole page, in the macros of man(7)."""
    root = typer.main.get_command(app)
    date = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC)
    lines = [
        f'.TH DIGEST 1 "{date:%Y-%m-%d}" "digest {__version__}" "User Commands"',
        ".SH NAME",
        "digest \\- one readable mail a day from many feeds",
        ".SH SYNOPSIS",
        "\\fBdigest\\fR [\\fB\\-c\\fR \\fIFILE\\fR] [\\fB\\-q\\fR] \\fICOMMAND\\fR ...",
        ".SH DESCRIPTION",
        _text(root.help or ""),
        ".PP",
        "\\fBdigest help\\fR names the pages of the guide, and shows them.",
        ".SH OPTIONS",
        *_options(root, "digest"),
        ".SH COMMANDS",
        *_commands(root, ""),
        ".SH EXIT STATUS",
    ]
    for code, words in CODES.items():
        lines += [".TP", f"\\fB{int(code)}\\fR", _text(words)]
    lines += [
        ".SH ENVIRONMENT",
        ".TP",
        "\\fBDIGEST_CONFIG\\fR",
        "The settings file.",
        ".TP",
        "\\fBDIGEST_\\fR\\fISETTING\\fR",
        "Goes before that setting in the file: \\fBDIGEST_SMTP__PASSWORD\\fR is \\fIpassword\\fR of [smtp].",
        ".SH FILES",
        ".TP",
        "\\fI./digest.toml\\fR, \\fI~/.config/digest/digest.toml\\fR",
        "Settings, where neither \\fB\\-c\\fR nor \\fBDIGEST_CONFIG\\fR names them.",
        ".TP",
        "\\fI/etc/digest/digest.toml\\fR, \\fI/var/lib/digest\\fR",
        "Settings and database of the Debian package, whose services run as the user \\fIdigest\\fR:",
        "\\fBrunuser \\-u digest \\-\\- digest \\-c /etc/digest/digest.toml status\\fR.",
    ]
    return "\n".join(lines) + "\n"


def _commands(group: Any, name: str) -> Iterator[str]:
    for word, command in sorted(group.commands.items()):
        if command.hidden:
            continue
        full = f"{name} {word}".strip()
        if hasattr(command, "commands"):
            yield from _commands(command, full)
            continue
        usage = " ".join(command.collect_usage_pieces(command.make_context(full, [], resilient_parsing=True)))
        yield f".SS digest {_escaped(full)} {_escaped(usage)}"
        for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
            if paragraph.startswith("Example:"):
                yield from (".PP", f"Example: \\fB{_escaped(paragraph.removeprefix('Example:').strip())}\\fR")
            else:
                yield from (".PP", _text(paragraph))
        yield from _options(command, full)


def _options(command: Any, name: str) -> Iterator[str]:
    context = command.make_context(name, [], resilient_parsing=True)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield from (".TP", f"\\fB{_escaped(record[0])}\\fR", _text(record[1]) or "\\&")


def _text(words: str) -> str:
    escaped = _escaped(" ".join(words.split()))
    return re.sub(r"`([^`]+)`", r"\\fB\1\\fR", escaped)


def _escaped(words: str) -> str:
    """Text as roff has it: nothing in it is a request, and a hyphen is what people type."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    print(page(), end="")
