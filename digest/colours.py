"""Colours that can be read: how two stand apart, and an accent as light as a dark ground needs it."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping

from digest.dataclass import dataclass

ACCENT = "#a03a12"  # where a newsletter has chosen none, on light ground
DARK_SHEET = "#1c1f23"  # behind the words of our mails and pages in dark mode


@dataclass(frozen=True)
class Palette:
    """The colours of a mail but for its accent, six-digit hex; `dark_…` are those of dark mode.

    Every text stands out from sheet and band by 4.5 at least, in the dark too (WCAG 2.2, 1.4.3).
    """

    accent: str  # where the settings name none
    ground: str  # around the sheet
    sheet: str
    band: str  # behind headings
    ink: str
    text: str  # of excerpts
    soft: str
    line: str
    dark_ground: str = "#131518"
    dark_sheet: str = DARK_SHEET
    dark_band: str = "#272b30"
    dark_ink: str = "#eceae4"
    dark_text: str = "#d9d6ce"
    dark_soft: str = "#b0ada5"
    dark_line: str = "#383d43"


PALETTES: Mapping[str, Palette] = {
    "paper": Palette("#a03a12", "#f4f2ec", "#fffdf8", "#f4f0e6", "#1d1b16", "#33302a", "#625e55", "#e3dfd3"),
    "white": Palette("#a03a12", "#ffffff", "#ffffff", "#f5f5f3", "#1a1a1a", "#303030", "#5e5e5c", "#e2e2df"),
    "slate": Palette(
        *("#1f5c99", "#eaeef2", "#fcfdfe", "#eef2f6", "#16202a", "#2b3743", "#55616d", "#d6dde4"),
        *("#10151a", "#182027", "#222c35", "#e8edf2", "#d0d8df", "#a5b0ba", "#33404b"),
    ),
    "sage": Palette(
        *("#2f6b3f", "#edf1ea", "#fdfefb", "#eff4ec", "#182019", "#2d372e", "#566157", "#d9e1d5"),
        *("#121612", "#191f1a", "#232b24", "#e8ede6", "#d2dacf", "#a8b2a6", "#364038"),
    ),
    "rose": Palette(
        *("#a02a55", "#f7eeef", "#fffcfc", "#faf0f2", "#241619", "#3a2a2e", "#6a5a5e", "#ecdcdf"),
        *("#181315", "#201a1c", "#2d2427", "#f1e8ea", "#dfd3d6", "#b9abae", "#443739"),
    ),
    "strong": Palette(
        *("#7a1f00", "#ffffff", "#ffffff", "#f0f0f0", "#000000", "#111111", "#404040", "#8c8c8c"),
        *("#0e0e0e", "#161616", "#222222", "#fafafa", "#f0f0f0", "#d0d0d0", "#707070"),
    ),
}


def contrast(one: str, two: str) -> float:
    """How well two six-digit hex colours stand apart, 1 to 21 (WCAG 2.2, relative luminance)."""
    light, dark = sorted((_luminance(one), _luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def on_dark(colour: str) -> str:
    """The colour in the same hue, only as light as it must be to be read on `DARK_SHEET`, with some room to spare."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    for step in range(101):
        parts = colorsys.hls_to_rgb(hue, light + (1 - light) * step / 100, saturation)
        lighter = "#" + "".join(f"{round(part * 255):02x}" for part in parts)
        if contrast(lighter, DARK_SHEET) >= 5.5:
            return lighter
    return "#ffffff"


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
