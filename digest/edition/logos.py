"""The logos that settings name: read and judged once for as long as a file stays as it is.

Mails and pages show copies that are known by what they are, as pictures of stories are. A copy is stored with the first
mail that shows it; before, this process has it.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from digest.colours import PALETTES, contrast
from digest.config import Newsletter
from digest.dataclass import dataclass
from digest.letter.attached import cid
from digest.parse.logo import MAX_BYTES, Logo, NotLogo, read
from digest.values import Shot

_OWN = {"plain": "white", "magazine": "white"}  # the palette of a theme, where it is not that of `paper`
_SLIM = 40  # pixels of height in a masthead of one line
_STANDS_OUT = 2.0  # contrast by which a shape is seen
_data: dict[str, bytes] = {}  # of this process, by name


@dataclass(frozen=True)
class Brand:
    """What stands in the place of a title: on light ground and on dark. `plated`: there it needs a light ground."""

    light: Shot | None = None
    dark: Shot | None = None
    plated: bool = False


def brand(settings: Newsletter, *, home: str, attached: bool) -> Brand:
    """The logos of a newsletter, as a mail or a page shows them; none where a file is none (see `fault`)."""
    light, dark = _had(settings.logo), _had(settings.logo_dark)
    if light is None:
        return Brand()
    palette = PALETTES[settings.palette or _OWN.get(settings.theme, "paper")]

    def lost(one: Logo, ground: str) -> bool:
        return one.cut_out and contrast(one.ink, ground) < _STANDS_OUT

    def shot(one: Logo) -> Shot:
        src = f"cid:{cid(one.name)}" if attached else f"{home}/p/{one.name}.png"
        times = min(1.0, _SLIM / one.height) if settings.masthead == "slim" else 1.0
        size = round(one.width * times), round(one.height * times)
        return Shot(one.name, *size, "", settings.title, src, bytes=len(one.data))

    if settings.masthead == "banner":  # the ground is the accent, by day and by night
        best = max((light, dark or light), key=lambda one: contrast(one.ink, settings.accent))
        return Brand(shot(best), plated=lost(best, settings.accent))
    return Brand(shot(light), shot(dark) if dark else None, dark is None and lost(light, palette.dark_sheet))


def on_page(settings: Newsletter, home: str) -> Brand:
    """The same for a page, which has colours of its own, and no masthead."""
    plain = settings.model_copy(update={"masthead": "standard", "palette": "paper"})
    return brand(plain, home=home, attached=False)


def data(names: Collection[str]) -> dict[str, bytes]:
    """The bytes of those of these logos that this process has read."""
    return {name: _data[name] for name in names if name in _data}


def fault(path: Path) -> str:
    """Why a file is no logo, as the end of a sentence that begins with it; "" where it is one."""
    try:
        _read(path, *_mark(path))
    except NotLogo as error:
        return error.reason
    except OSError as error:
        return f"cannot be read: {(error.strerror or 'the system refuses').lower()}"
    return ""


def _had(path: Path | None) -> Logo | None:
    if path is None:
        return None
    try:
        found = _read(path, *_mark(path))
    except (NotLogo, OSError):
        return None
    _data[found.name] = found.data
    return found


def _mark(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_mtime_ns, about.st_size


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int, size: int) -> Logo:
    if size > MAX_BYTES:
        raise NotLogo(f"has {size:,} bytes: at most {MAX_BYTES:,}")
    return read(path.read_bytes())
