"""Colours that can be read: how two stand apart, and an accent as light as a dark ground needs it."""

from __future__ import annotations

import colorsys

ACCENT = "#a03a12"  # where a newsletter has chosen none, on light ground
DARK_SHEET = "#1c1f23"  # behind the words of our mails and pages in dark mode


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
