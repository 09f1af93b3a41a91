"""Frozen values that one step hands to the next, where both ends must know them."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Source:
    """Another place that tells a story: "also covered by"."""

    title: str
    url: str


@dataclass(frozen=True)
class Story:
    """A story as it is chosen and rendered. `topic` is a slug of the newsletter's settings, or "other"."""

    id: int
    seq: int
    topic: str
    url: str
    title: str
    source: str
    author: str
    excerpt: str
    language: str
    image_url: str
    reading_minutes: int
    published_at: datetime
    rank: float  # without freshness, see `curate.pick`
    pinned: bool
    feed_id: int
    also: tuple[Source, ...] = ()  # who else tells it
    related: tuple[Source, ...] = ()  # other stories that are alike, not the same
    dated: bool = True  # else `published_at` is when we saw it, which says nothing about its age


def contrast(one: str, two: str) -> float:
    """How well two six-digit hex colours stand apart, 1 to 21 (WCAG 2.2, relative luminance)."""
    light, dark = sorted((_luminance(one), _luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lightened(colour: str, ground: str, ratio: float) -> str:
    """The colour in the same hue, only as light as it must be to stand apart from a dark ground."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    for step in range(101):
        parts = colorsys.hls_to_rgb(hue, light + (1 - light) * step / 100, saturation)
        lighter = "#" + "".join(f"{round(part * 255):02x}" for part in parts)
        if contrast(lighter, ground) >= ratio:
            return lighter
    return "#ffffff"


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
