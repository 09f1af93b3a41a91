"""The picture by which an edition is shown where its address is shared: its headline, in the newsletter's colour.

Drawn with the fonts that the machine has; where none of them can write the words, or put them in the right order, the
picture has the newsletter's colour and the number alone, rather than boxes.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

WIDTH, HEIGHT = 1200, 630  # what Open Graph is shown in
_MARGIN = 80
_GROUND, _INK, _SOFT = "#fffdf8", "#1d1b16", "#625e55"
_FONTS = (
    "NotoSerif-Bold.ttf",
    "DejaVuSerif-Bold.ttf",
    "LiberationSerif-Bold.ttf",
    "NotoSans-Bold.ttf",
    "DejaVuSans-Bold.ttf",
    "NotoSerifCJK-Bold.ttc",
    "NotoSansCJK-Bold.ttc",
    "wqy-zenhei.ttc",
    "NotoNaskhArabic-Bold.ttf",
    "NotoSansDevanagari-Bold.ttf",
    "Georgia Bold.ttf",
    "Arial Unicode.ttf",
    "",  # Pillow's own, which has Latin letters
)
_MOST = 160  # characters of a headline
_LINES = 4


@lru_cache(maxsize=64)
def card(title: str, headline: str, about: str, accent: str, *, rtl: bool = False) -> bytes:
    """A PNG of 1,200 × 630: the newsletter's title, a headline below it, and a line about the edition."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (WIDTH, HEIGHT), _GROUND)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, WIDTH, 24), fill=accent)
    edge = WIDTH - _MARGIN - 96 if rtl else _MARGIN
    draw.rectangle((edge, HEIGHT - 150, edge + 96, HEIGHT - 144), fill=accent)
    _line(draw, title, 34, 80, accent, rtl)
    words = " ".join(headline.split())[:_MOST]
    for size in (76, 64, 54, 46):
        lines = _lines(draw, words, size)
        if (len(lines) <= _LINES and all(lines)) or size == 46:
            break
    for number, line in enumerate(lines[:_LINES]):
        cut = line + "…" if number == _LINES - 1 and len(lines) > _LINES else line
        _line(draw, cut, size, 150 + number * int(size * 1.22), _INK, rtl)
    _line(draw, about, 30, HEIGHT - 110, _SOFT, rtl)
    out = BytesIO()
    picture.quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()


def _lines(draw: ImageDraw, words: str, size: int) -> list[str]:
    """The words in lines that fit; a script without spaces breaks anywhere."""
    font = _font_for(words, size)
    if font is None:
        return []
    room, lines, line = WIDTH - 2 * _MARGIN, list[str](), ""
    for piece in _pieces(words):
        if line and draw.textlength((line + piece).strip(), font=font) > room:
            lines.append(line.strip())
            line = ""
        line += piece
    return [*lines, line.strip()]


def _pieces(words: str) -> list[str]:
    """What stays on one line: words with the space after them, or single wide characters."""
    pieces = [""]
    for sign, following in zip(words, [*words[1:], " "], strict=False):
        pieces[-1] += sign
        ends = unicodedata.category(following) in ("Pe", "Pf", "Po")  # which begins no line
        if sign == " " or (unicodedata.east_asian_width(sign) in "WF" and not ends):
            pieces.append("")
    return pieces


def _line(draw: ImageDraw, words: str, size: int, top: int, colour: str, rtl: bool) -> None:
    font = _font_for(words, size)
    if font is not None:
        at, anchor = ((WIDTH - _MARGIN, top), "ra") if rtl else ((_MARGIN, top), "la")
        draw.text(at, _writable(words), font=font, fill=colour, anchor=anchor)


def _writable(words: str) -> str:
    """Without pictures among the letters, which fonts of letters do not have."""
    return "".join(sign for sign in words if unicodedata.category(sign) not in ("So", "Cs", "Co", "Cn", "Cc"))


def _font_for(words: str, size: int) -> FreeTypeFont | None:
    """The first font that has every letter of these words; None where there is none, or where nobody can order them."""
    from PIL import features

    written = _writable(words)
    if any(unicodedata.bidirectional(sign) in ("R", "AL") for sign in written) and not features.check("raqm"):
        return None
    wanted = "".join(sorted(set(written) - {" "}))
    return next((font for name in _FONTS if (font := _font(name, size)) is not None and _has(name, wanted)), None)


@lru_cache(maxsize=64)
def _font(name: str, size: int) -> FreeTypeFont | None:
    from PIL import ImageFont

    try:
        found = ImageFont.truetype(name, size) if name else ImageFont.load_default(size)
    except OSError:
        return None
    return found if isinstance(found, ImageFont.FreeTypeFont) else None


@lru_cache(maxsize=256)
def _has(name: str, signs: str) -> bool:
    font = _font(name, 24)
    assert font is not None
    missing = bytes(font.getmask("\uffff"))
    return all(bytes(font.getmask(sign)) != missing or sign == "\uffff" for sign in signs)
