"""What comes with us and is no code: the pages of the guide, and files for the machine that digest runs on."""

from __future__ import annotations

from pathlib import Path

import digest

_PACKAGE = Path(digest.__file__).parent
_CHECKOUT = _PACKAGE.parent
_EXAMPLES = Path(__file__).parent / "examples"


def pages() -> dict[str, Path]:
    """The pages by topic, in the order of the alphabet: in a wheel inside the package, in a checkout beside it."""
    inside = _PACKAGE / "docs"
    files = (
        inside.glob("*.md")
        if inside.is_dir()
        else (*(_CHECKOUT / "docs").glob("*.md"), _CHECKOUT / "README.md", _CHECKOUT / "CHANGELOG.md")
    )
    return {path.stem.lower(): path for path in sorted(files, key=lambda path: path.stem.lower()) if path.is_file()}


def example(name: str) -> str:
    """The text of one file for the machine: `crontab.example`, `digest.service`, `nginx.conf`, `nginx-below.conf`."""
    places = (_EXAMPLES / name, _CHECKOUT / name)
    return next(path for path in places if path.is_file()).read_text(encoding="utf-8")
