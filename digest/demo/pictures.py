"""The pictures of the demo's stories: drawn, not stored, each another by its name."""

from __future__ import annotations

import hashlib
from io import BytesIO

SIZE = (1200, 675)


def drawn(name: str) -> bytes:
    """A JPEG: hills before a sky, in colours of their own."""
    from PIL import Image, ImageDraw

    seed = hashlib.sha256(name.encode()).digest()
    hue = seed[0] * 360 // 256
    width, height = SIZE

    def colour(turn: int, strong: int, light: int) -> str:
        return f"hsl({(hue + turn) % 360}, {strong}%, {light}%)"

    warm, cool = Image.new("RGB", SIZE, colour(0, 55, 78)), Image.new("RGB", SIZE, colour(40, 55, 52))
    picture = Image.composite(cool, warm, Image.linear_gradient("L").resize(SIZE))
    draw = ImageDraw.Draw(picture)
    sun, at = 90 + seed[1] // 3, 150 + seed[2] * 3
    draw.ellipse((at, 90, at + sun, 90 + sun), fill=colour(180, 70, 88))
    for row in range(4):
        base = height * (5 + row) // 9
        rises = (seed[(row * 7 + step + 3) % 32] * (5 - row) // 8 for step in range(10))
        ridge = [(150 * step, base - rise) for step, rise in enumerate(rises)]
        draw.polygon([(0, height), *ridge, (width, height)], fill=colour(40 + 12 * row, 38, 44 - 9 * row))
    out = BytesIO()
    picture.save(out, "JPEG", quality=82)
    return out.getvalue()
