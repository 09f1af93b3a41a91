"""What a picture is, and copies of it for a mail: made of a stranger's bytes by Pillow, in a worker process.

Copies are JPEG, since one file has to do for every client and Outlook for Windows shows no WebP. They are pixels
alone: turned as the camera said, in sRGB, with no word of who took them and where.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from digest.dataclass import dataclass
from digest.parse.article import NotTaken

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 12_000_000  # of what is decoded whole: beside its copies that much fits into a worker's memory
MAX_PIXELS_JPEG = 100_000_000  # which can be decoded at an eighth of its size
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
HERO, HERO_SHOWN = 1040, 520  # pixels wide: as it is made, for dense screens, and as it is shown
HERO_LEAST = 520  # that a picture must have to be shown over the column
WIDEST, TALLEST = 21 / 9, 4 / 3  # width by height: what is wider or taller is cut to that
THUMB, SMALL, THUMB_SHOWN = 192, 96, 96
HERO_BYTES, THUMB_BYTES, SMALL_BYTES = 120_000, 18_000, 7_000
_QUALITIES = (78, 68, 56, 44, 32)
_STRIP = 4  # times as wide as high, or as high as wide: a banner, a rule
_FLAT = 0.97  # share of one colour
_CUT_OUT = 0.5  # share that is transparent
_NAMED = re.compile(
    r"(?:^|[/_.\-+])(?:logo\w{0,8}|(?:fav|apple-touch-)?icons?|placeholder|no[-_]?(?:image|photo|thumb\w{0,8})|"
    r"default[-_](?:image|img|thumb\w{0,8}|og|share|post)|(?:image|img|thumb|og)[-_]default|missing|badge)"
    r"(?=[/_.\-+\d]|$)",
    re.I,
)
_LARGE = 600  # pixels wide; what is called a logo and is smaller is one


@dataclass(frozen=True)
class Raw:
    """A picture as it came from `url`."""

    body: bytes
    url: str


@dataclass(frozen=True)
class File:
    """A JPEG of ours, of so many pixels."""

    data: bytes
    width: int
    height: int

    @cached_property
    def name(self) -> str:
        """By what it is: the SHA-256 of its bytes."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Made:
    """What a picture was, and its copies; no `hero` where it has too few pixels for one.

    `print` is alike for the same picture at any size. `ground` is its colour in all, as in "#a1b2c3".
    """

    format: str
    width: int
    height: int
    ground: str
    print: str
    thumb: File
    small: File
    hero: File | None = None


class NotPicture(NotTaken):
    """What came is no picture of a story's. `reason` is the end of a sentence that begins with it."""


def read(raw: Raw) -> Made:
    """Judge a picture and make its copies. Raises NotPicture."""
    from PIL import Image, ImageFile, UnidentifiedImageError

    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS_JPEG
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _read(raw)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise NotPicture(f"has more than {MAX_PIXELS_JPEG / 1e6:g} million pixels") from None
    except UnidentifiedImageError:
        raise NotPicture(f"is no picture that can be shown ({_kind(raw.body)})") from None
    except MemoryError:
        raise NotPicture("takes too much memory to read") from None
    except (OSError, SyntaxError, ValueError, TypeError, EOFError, KeyError, IndexError, ArithmeticError) as error:
        raise NotPicture(f"is broken ({str(error)[:60] or type(error).__name__})") from None  # as Pillow tells it


def _read(raw: Raw) -> Made:
    from PIL import AvifImagePlugin, Image, ImageOps, WebPImagePlugin  # noqa: F401 (so that no others are loaded)

    with Image.open(BytesIO(raw.body), formats=_FORMATS) as opened:
        width, height = opened.size
        kind = opened.format or ""
        _check_shape(width, height, urlsplit(raw.url).path)
        if kind != "JPEG" and width * height > MAX_PIXELS:
            raise NotPicture(f"has more than {MAX_PIXELS / 1e6:g} million pixels")
        opened.draft("RGB", (HERO, round(HERO / WIDEST)))  # a JPEG is decoded as small as will do
        opened.seek(0)
        if opened.size[0] * opened.size[1] > MAX_PIXELS:
            raise NotPicture(f"has more than {MAX_PIXELS / 1e6:g} million pixels")
        opened.load()
        profile = opened.info.get("icc_profile")
        turned = ImageOps.exif_transpose(opened)
        if (turned.width > turned.height) != (width > height):
            width, height = height, width
        picture = _flat(_reduced(turned), profile)
    _check_content(picture, named=_NAMED.search(urlsplit(raw.url).path) is not None and width < _LARGE)
    hero = _hero(picture) if width >= HERO_LEAST and height * 2 >= HERO_LEAST * 9 / 21 else None
    square = _square(picture)
    thumb, small = _jpeg(square, THUMB, THUMB_BYTES), _jpeg(square, SMALL, SMALL_BYTES)
    return Made(kind, width, height, _ground(picture), _print(picture), thumb, small, hero)


def _check_shape(width: int, height: int, path: str) -> None:
    if min(width, height) <= 3:
        raise NotPicture(f"is a tracking dot, {width} × {height}")
    if max(width, height) > _STRIP * min(width, height):
        raise NotPicture(f"is a strip, {width} × {height}")
    if min(width, height) < SMALL:
        raise NotPicture(f"is an icon, {width} × {height}")


def _reduced(picture: Image) -> Image:
    """No larger than its copies need."""
    from PIL import Image

    least = max(1, min(picture.width / HERO, picture.height / (HERO / WIDEST)))
    if least >= 2:
        picture = picture.convert("RGBA") if "A" in picture.getbands() or "transparency" in picture.info else picture
        picture = picture if picture.mode in ("RGB", "RGBA", "L", "CMYK") else picture.convert("RGB")
        size = (round(picture.width / least), round(picture.height / least))
        return picture.resize(size, Image.Resampling.BOX if least > 4 else Image.Resampling.LANCZOS)
    return picture


def _flat(picture: Image, profile: object) -> Image:
    """In sRGB and on white. Raises NotPicture for what is cut out of its ground, as logos are."""
    from PIL import Image

    if "A" in picture.getbands() or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        alpha = layered.getchannel("A")
        if alpha.histogram()[0] > _CUT_OUT * alpha.width * alpha.height:
            raise NotPicture("is mostly transparent, as logos are")
        white = Image.new("RGB", layered.size, "#ffffff")
        white.paste(layered, mask=alpha)
        return white
    return _in_srgb(picture, profile).convert("RGB")


def _in_srgb(picture: Image, profile: object) -> Image:
    if not isinstance(profile, bytes) or picture.mode not in ("RGB", "CMYK"):
        return picture
    from PIL import ImageCms

    try:
        theirs = ImageCms.ImageCmsProfile(BytesIO(profile))
        done = ImageCms.profileToProfile(picture, theirs, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture  # a profile that is none
    return done or picture


def _check_content(picture: Image, *, named: bool) -> None:
    """Raises NotPicture for what shows nothing, and for small ones that are called a logo."""
    from PIL import Image

    tiny = picture.resize((64, 64), Image.Resampling.BOX).quantize(16, method=Image.Quantize.MEDIANCUT)
    counts = sorted((count for count, _ in tiny.getcolors(256) or [(0, 0)]), reverse=True)
    grey = picture.resize((64, 64), Image.Resampling.BOX).convert("L")
    low, high = grey.getextrema()
    if high - low <= 12 or counts[0] >= _FLAT * 64 * 64:  # type: ignore[operator]
        raise NotPicture("is of one colour, as placeholders are")
    if named:
        raise NotPicture("is a logo or placeholder, by its name")


def _hero(picture: Image) -> File:
    width, height = picture.size
    if width > WIDEST * height:
        wanted = round(WIDEST * height)
        left = _busiest(picture, wanted, height)[0]
        picture = picture.crop((left, 0, left + wanted, height))
    elif width < TALLEST * height:
        wanted = round(width / TALLEST)
        top = _busiest(picture, width, wanted)[1]
        picture = picture.crop((0, top, width, top + wanted))
    return _jpeg(picture, HERO, HERO_BYTES)


def _square(picture: Image) -> Image:
    side = min(picture.size)
    left, top = _busiest(picture, side, side)
    return picture.crop((left, top, left + side, top + side))


def _busiest(picture: Image, width: int, height: int) -> tuple[int, int]:
    """Where to cut so much out of a picture: of five places that which shows most, the middle where they are alike."""
    from PIL import Image

    room = max(picture.width - width, picture.height - height)
    if room <= 0:
        return 0, 0
    scale = max(1.0, max(picture.size) / 200)
    small = picture.convert("L").resize(
        (max(1, round(picture.width / scale)), max(1, round(picture.height / scale))), Image.Resampling.BOX
    )

    def shows(share: float) -> float:
        left, top = (picture.width - width) * share, (picture.height - height) * share
        box = (round(left / scale), round(top / scale), round((left + width) / scale), round((top + height) / scale))
        return small.crop(box).entropy() - abs(share - 0.45) * 0.2

    best = max((0.5, 0.25, 0.75, 0.0, 1.0), key=shows)
    return round((picture.width - width) * best), round((picture.height - height) * best)


def _jpeg(picture: Image, width: int, most: int) -> File:
    """At most so wide, and so many bytes."""
    from PIL import Image

    size = picture.size
    for again in (1.0, 0.7, 0.5):
        wide = min(width, size[0]) if again == 1 else max(SMALL, round(min(width, size[0]) * again))
        copy = picture.resize((wide, max(1, round(wide * size[1] / size[0]))), Image.Resampling.LANCZOS)
        copy.info = {}  # of which Pillow would write the comment
        for quality in _QUALITIES:
            out = BytesIO()
            copy.save(out, "JPEG", quality=quality, optimize=True, progressive=True)
            if out.tell() <= most:
                return File(out.getvalue(), *copy.size)
    return File(out.getvalue(), *copy.size)


def _ground(picture: Image) -> str:
    from PIL import Image

    red, green, blue = picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))  # type: ignore[misc]
    return f"#{red:02x}{green:02x}{blue:02x}"


def _print(picture: Image) -> str:
    """Whether each of 8 × 8 parts is darker than the next one (dHash), and the shape."""
    from PIL import Image

    grey = picture.convert("L").resize((9, 8), Image.Resampling.BOX).tobytes()
    bits = "".join("1" if grey[9 * y + x] < grey[9 * y + x + 1] else "0" for y in range(8) for x in range(8))
    return f"{int(bits, 2):016x}-{round(10 * picture.width / picture.height)}"


def _kind(body: bytes) -> str:
    start = body[:600].lstrip().lower()
    if b"<svg" in start:
        return "SVG"
    return "a web page" if start.startswith((b"<!doctype", b"<html")) else f"{len(body):,} bytes"
