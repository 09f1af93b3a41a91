"""A newsletter's logo: an operator's file, judged and made small enough for each letter. Pure; Pillow does the work.

It stays a PNG, since it may be cut out of its ground, and is stored at twice the size at which it is shown.
"""

from __future__ import annotations

import hashlib
import warnings
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING

from digest.dataclass import dataclass
from digest.parse.article import NotTaken

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 5_000_000
MAX_PIXELS = 12_000_000
WIDE, HIGH = 300, 72  # pixels of the page in which it is shown, at most
LEAST = 16  # pixels of its shorter side
MOST = 60_000  # bytes of it in a letter
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
_SEEN = 128  # of 255: how opaque a pixel is that counts


class NotLogo(NotTaken):
    """`reason` is the end of a sentence that begins with the file."""


@dataclass(frozen=True)
class Logo:
    """A PNG of ours, and as how many pixels of a page it is shown. `ink`: its colour in all, without its ground.

    `cut_out`: one sees through it, so that it needs a ground that it stands out from.
    """

    data: bytes
    width: int
    height: int
    ink: str
    cut_out: bool

    @cached_property
    def name(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def read(body: bytes) -> Logo:
    """Raises NotLogo where it is none that mail programs show."""
    from PIL import Image, ImageFile, UnidentifiedImageError

    start = body[:2_000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        raise NotLogo(f"is SVG, which most mail programs do not show: export it as PNG, {2 * WIDE} pixels wide")
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _read(body)
    except UnidentifiedImageError:
        raise NotLogo("is no PNG, JPEG, GIF or WebP") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError):
        raise NotLogo(f"has more than {MAX_PIXELS / 1e6:g} million pixels") from None
    except (OSError, SyntaxError, ValueError, TypeError, EOFError, KeyError, IndexError, ArithmeticError) as error:
        raise NotLogo(f"is broken ({str(error)[:60] or type(error).__name__})") from None  # as Pillow tells it


def _read(body: bytes) -> Logo:
    from PIL import Image, ImageOps

    with Image.open(BytesIO(body), formats=_FORMATS) as opened:
        width, height = opened.size
        if width * height > MAX_PIXELS:
            raise NotLogo(f"has more than {MAX_PIXELS / 1e6:g} million pixels")
        if min(width, height) < LEAST:
            raise NotLogo(f"is {width} × {height}: both sides must have {LEAST} pixels at least")
        opened.seek(0)
        opened.load()
        picture = _cropped(ImageOps.exif_transpose(opened).convert("RGBA"))
    shown = min(1.0, WIDE / picture.width, HIGH / picture.height)
    size = max(1, round(picture.width * shown)), max(1, round(picture.height * shown))
    if min(size) < LEAST // 2:
        raise NotLogo(f"is {picture.width} × {picture.height}: too long to be shown in {WIDE} × {HIGH} pixels")
    ink, cut_out = _ink(picture)
    return Logo(_png(picture, size), *size, ink, cut_out)


def _cropped(picture: Image) -> Image:
    """Without what is empty around it, so that it stands where words would begin."""
    box = picture.getchannel("A").point(lambda value: 255 if value > 8 else 0).getbbox()
    if box is None:
        raise NotLogo("shows nothing: all of it is transparent")
    return picture.crop(box)


def _png(picture: Image, size: tuple[int, int]) -> bytes:
    """At twice its size, where it has that, in as many colours as the bytes allow."""
    from PIL import Image

    for times in (2, 1):
        wide, high = min(picture.width, size[0] * times), min(picture.height, size[1] * times)
        copy = picture.resize((wide, high), Image.Resampling.LANCZOS)
        for made in (copy, copy.quantize(256, method=Image.Quantize.FASTOCTREE)):
            made.info = {}
            out = BytesIO()
            made.save(out, "PNG", optimize=True)
            if out.tell() <= MOST:
                return out.getvalue()
    return out.getvalue()


def _ink(picture: Image) -> tuple[str, bool]:
    from PIL import Image

    small = picture.resize((64, 64), Image.Resampling.BOX)
    pixels = [small.getpixel((x, y)) for x in range(64) for y in range(64)]
    seen = [pixel[:3] for pixel in pixels if pixel[3] >= _SEEN] or [pixel[:3] for pixel in pixels if pixel[3]]  # type: ignore[index]
    red, green, blue = (round(sum(one[at] for one in seen) / max(1, len(seen))) for at in range(3))
    cut_out = sum(pixel[3] < _SEEN for pixel in pixels) > len(pixels) // 50  # type: ignore[index]
    return f"#{red:02x}{green:02x}{blue:02x}", cut_out
