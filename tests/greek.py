"""A typeface that is the same on every machine: a bar for each letter, about as wide as the letter would be.

What printers call greeked text. Lines break and boxes stand where they would with real letters, and no picture hangs on
which fonts are installed, or on how a library draws a curve. It knows every character, as a last resort does.
"""

from __future__ import annotations

import base64
import struct
from functools import cache

UNITS, ASCENT, DESCENT = 1000, 860, 240
# No form of Arabic letters: of letters that all have one glyph, a shaper would make ligatures.
# What a kind of character is: width, height of its bar (0: nothing is drawn). Of an em of 1000.
KINDS = {
    "blank": (250, 0), "none": (0, 0), "thin": (290, 640), "small": (520, 470), "broad": (800, 470),
    "tall": (650, 690), "mark": (270, 120), "square": (1000, 760), "joined": (430, 420),
}  # fmt: skip
NAMES = tuple(KINDS)
ABOUT = (
    ("\x20", "\x20", "blank"), ("!", "!", "thin"), ('"', "/", "mark"), ("0", "9", "small"), (":", ";", "mark"),
    ("<", "@", "small"), ("A", "H", "tall"), ("I", "I", "thin"), ("J", "Z", "tall"), ("[", "`", "mark"),
    ("a", "e", "small"), ("f", "f", "thin"), ("g", "h", "small"), ("i", "j", "thin"), ("k", "k", "small"),
    ("l", "l", "thin"), ("m", "m", "broad"), ("n", "q", "small"), ("r", "r", "thin"), ("s", "s", "small"),
    ("t", "t", "thin"), ("u", "v", "small"), ("w", "w", "broad"), ("x", "z", "small"), ("{", "~", "mark"),
    ("\xa0", "\xa0", "blank"), ("\xa1", "\xbf", "mark"), ("\xc0", "\xde", "tall"), ("\xdf", "\u02ff", "small"),
    ("\u0300", "\u036f", "none"), ("\u0370", "\u0590", "small"), ("\u0591", "\u05c7", "none"),
    ("\u05d0", "\u060b", "joined"), ("\u060c", "\u061f", "mark"), ("\u0620", "\u064a", "joined"),
    ("\u064b", "\u0652", "none"), ("\u0653", "\u08ff", "joined"), ("\u0900", "\u1fff", "small"),
    ("\u2000", "\u200a", "blank"), ("\u200b", "\u200f", "none"), ("\u2010", "\u2027", "mark"),
    ("\u2028", "\u202e", "none"), ("\u202f", "\u202f", "blank"), ("\u2030", "\u205f", "mark"),
    ("\u2060", "\u206f", "none"), ("\u2070", "\u2e7f", "small"), ("\u2e80", "\ud7ff", "square"),
    ("\uf900", "\ufaff", "square"), ("\ufe00", "\ufe0f", "none"), ("\ufe10", "\ufe6f", "square"),
    ("\uff00", "\uffef", "square"),
    ("\U0001f000", "\U0003ffff", "square"),
)  # fmt: skip


@cache
def face(*, wider: float = 1.0, bold: bool = False) -> bytes:
    """A TrueType file (OpenType 1.9): with the ten tables without which browsers take none."""
    widths = [600, *(round(width * wider * (1.08 if bold else 1)) for width, _ in KINDS.values())]
    heights = [700, *(height for _, height in KINDS.values())]
    shapes = [_bar(width, height, 0.86 if bold else 0.74) for width, height in zip(widths, heights, strict=True)]
    places = [0]
    for shape in shapes:
        places.append(places[-1] + len(shape))
    count, most = len(widths), max(widths)
    tables = {
        b"OS/2": struct.pack(
            ">HhHHHhhhhhhhhhhh10sIIII4sHHHhhhHHIIhhHHH", 4, 520, 700 if bold else 400, 5, 0, 650, 600, 0, 75, 650, 600,
            0, 350, 50, 300, 0, bytes(10), 1, 0, 0, 0, b"OURS", 0x20 if bold else 0x40, 32, 0xFFFF, ASCENT, -DESCENT, 0,
            ASCENT, DESCENT, 1, 0, 470, 690, 0, 32, 1,
        ),
        b"cmap": _characters(),
        b"glyf": b"".join(shapes),
        b"head": struct.pack(
            ">IIIIHHqqhhhhHHhhh", 0x10000, 0x10000, 0, 0x5F0F3CF5, 3, UNITS, 0, 0, 0, 0, most, ASCENT,
            1 if bold else 0, 8, 2, 1, 0,
        ),
        b"hhea": struct.pack(">IhhhHhhhhhhhhhhhH", 0x10000, ASCENT, -DESCENT, 0, most, 0, 0, most, 1, *[0] * 7, count),
        b"hmtx": b"".join(struct.pack(">Hh", width, 0) for width in widths),
        b"loca": struct.pack(f">{count + 1}I", *places),
        b"maxp": struct.pack(">IHHHHHHHHHHHHHH", 0x10000, count, 4, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
        b"name": struct.pack(">HHH", 0, 0, 6),
        b"post": struct.pack(">IIhhIIIII", 0x30000, 0, -100, 50, 0, 0, 0, 0, 0),
    }  # fmt: skip
    return _file(tables)


def sheet() -> str:
    """Style rules that name the faces: `Lab Serif`, `Lab Sans`, and `Lab Lost` for text that has no font of its own."""
    rules = []
    for name, wider in (("Lab Serif", 1.0), ("Lab Sans", 1.04), ("Lab Lost", 1.25)):
        for weight, bold in (("1 599", False), ("600 1000", True)):
            data = base64.b64encode(face(wider=wider, bold=bold)).decode()
            rules.append(
                f"@font-face{{font-family:'{name}';font-weight:{weight};src:url(data:font/ttf;base64,{data})}}"
            )
    return "".join(rules)


def _bar(width: int, height: int, share: float) -> bytes:
    """A glyph of four points, and nothing where it has no height."""
    if not height or not width:
        return b""
    edge = round(width * (1 - share) / 2)
    right = width - edge
    head = struct.pack(">hhhhhHH", 1, edge, 0, right, height, 3, 0)
    across = struct.pack(">hhhh", edge, 0, right - edge, 0)
    up = struct.pack(">hhhh", 0, height, 0, -height)
    data = head + bytes([1] * 4) + across + up
    return data + bytes(-len(data) % 4)


def _characters() -> bytes:
    """Ranges, each of one glyph (format 13, as of fonts of last resort)."""
    groups = [(ord(first), ord(last), NAMES.index(kind) + 1) for first, last, kind in ABOUT]
    table = struct.pack(">HHIII", 13, 0, 16 + 12 * len(groups), 0, len(groups))
    table += b"".join(struct.pack(">III", *group) for group in groups)
    return struct.pack(">HHHHI", 0, 1, 3, 10, 12) + table


def _file(tables: dict[bytes, bytes]) -> bytes:
    head = struct.pack(">IHHHH", 0x10000, len(tables), 128, 3, 16 * len(tables) - 128)
    at, rows, bodies = 12 + 16 * len(tables), [], []
    for name, body in sorted(tables.items()):
        padded = body + bytes(-len(body) % 4)
        total = sum(struct.unpack(f">{len(padded) // 4}I", padded)) & 0xFFFFFFFF
        rows.append(struct.pack(">4sIII", name, total, at, len(body)))
        bodies.append(padded)
        at += len(padded)
    return head + b"".join(rows) + b"".join(bodies)
