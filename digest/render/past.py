"""A past issue that another service sent, as a page of the archive: its words, nothing of its looks."""

from __future__ import annotations

from html import escape

from digest.render.marks import Marks
from digest.render.page import Rendered
from digest.render.words import direction

_STYLE = (
    "body { margin: 0; background: #fffdf8; color: #22201c; font: 17px/28px Georgia, 'Times New Roman', serif; } "
    "article { box-sizing: border-box; max-width: 640px; margin: 0 auto; padding: 24px 20px; } "
    "article { overflow-wrap: anywhere; } "
    "h1 { font-size: 28px; line-height: 36px; } img { max-width: 100%; height: auto; } pre { white-space: pre-wrap; } "
    "table { max-width: 100%; } .when { color: #625e55; font-size: 15px; } "
    "@media (prefers-color-scheme: dark) { body { background: #191816; color: #e6e2d9; } a { color: #f08a5d; } "
    ".when { color: #b0ada5; } }"
)


def past(title: str, when: str, html: str, text: str, *, language: str) -> Rendered:
    """`html` is clean. Nothing in it stands for a reader's own link."""
    said = escape(title)
    marks = Marks.drawn()
    page = (
        f'<!DOCTYPE html>\n<html lang="{escape(language)}" dir="{direction(language)}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{said}</title><style>{_STYLE}</style></head>"
        f'<body><article><h1 dir="auto">{said}</h1><p class="when">{escape(when)}</p><div dir="auto">{html}</div>'
        "</article></body></html>\n"
    )
    return Rendered(title, page, f"{title}\n{when}\n\n{text}\n", marks=marks)
