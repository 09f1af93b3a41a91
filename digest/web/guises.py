"""The HTML part of a mail as one kind of client shows it: in the dark, without images, without styles."""

from __future__ import annotations

import re

from digest import render

GUISES = ("desktop", "phone", "dark", "no-images", "no-style", "text", "source")
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_IMAGE_SOURCE = re.compile(r'(<img\b[^>]*?)\ssrc="[^"]*"')
_DARK = re.compile(r"@media \(prefers-color-scheme: dark\)")


def guise(mail: render.Rendered, name: str) -> str:
    """The HTML part as one kind of client shows it."""
    if name == "no-style":
        return _STYLE.sub("", _IMAGE_SOURCE.sub(r"\1", mail.html))
    if name == "no-images":
        return _IMAGE_SOURCE.sub(r"\1", mail.html)
    if name == "dark":
        return _in_sheets(mail.html, "@media all")
    return _in_sheets(mail.html, "@media not all")


def _in_sheets(html: str, dark: str) -> str:
    return _STYLE.sub(lambda sheet: _DARK.sub(dark, sheet[0]), html)
