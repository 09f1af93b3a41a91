"""`digest help`: the pages of the guide, of the release that is installed."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from digest.cli import shipped, terminal
from digest.cli.common import print_rows, while_read
from digest.errors import NotFound


def help_command(
    topic: Annotated[str | None, typer.Argument(metavar="TOPIC", help="Which page; without it, all are named.")] = None,
) -> None:
    """Show a page of the guide. What a command's options are, `digest NOUN VERB -h` tells.

    Example: digest help delivering
    """
    pages = shipped.pages()
    if topic is None:
        print_rows(("topic", "about"), [(name, _title(path)) for name, path in pages.items()])
        return
    page = pages.get(topic.lower().removeprefix("docs/").removesuffix(".md"))
    if page is None:
        raise NotFound(
            f"there is no page {topic!r}",
            hint=f"pages: {', '.join(pages)}; the options of a command are told by `digest COMMAND -h`",
        )
    text = page.read_text(encoding="utf-8")
    with while_read():
        if sys.stdout.isatty():
            _show(text)
        else:
            print(text, end="")


def _title(page: Path) -> str:
    found = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def _show(text: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(file=terminal.raw(sys.stdout))
    console.print(Markdown(text, hyperlinks=False), width=min(console.width, 100))
