"""Files that are heard or watched: which they are, by what feeds say of them. Pure."""

from __future__ import annotations

import re

LEAST_SIZE = 100_000  # bytes; what is said to be smaller is a number that somebody had to write
_KINDS = ("audio", "video")
_ENDS = re.compile(r"\.(?:(mp3|m4a|m4b|aac|ogg|oga|opus|flac|wav)|(?:mp4|m4v|webm|ogv|mov))(?:[?#]|\Z)", re.I)
_NO_TYPE = frozenset(("", "application/octet-stream", "binary/octet-stream", "application/x-download"))


def kind(type_: str, url: str) -> str:
    """ "audio" or "video"; "" for a picture, a page or a document, and what is at no web address."""
    if not url.startswith(("https://", "http://")):
        return ""
    said = type_.strip().lower()
    for one in _KINDS:
        if said.partition("/")[0] == one:
            return one
    ends = _ENDS.search(url) if said in _NO_TYPE else None
    return "" if ends is None else "audio" if ends[1] else "video"


_CLOCK = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,4}):)?(\d{1,8})(?:[.,]\d{1,9})?").fullmatch
_ISO = re.compile(r"PT(?:(\d{1,3})H)?(?:(\d{1,4})M)?(?:(\d{1,6})(?:\.\d{1,9})?S)?", re.I).fullmatch
_LONGEST = 24 * 3600


def seconds(words: str) -> int:
    """How long it lasts, as `itunes:duration` has it: seconds, or "1:02:03"; 0 where it says nothing that can be.

    Some write minutes, seconds and hundredths.
    """
    said = words.strip()
    found = _CLOCK(said) or (_ISO(said) if len(said) > 2 else None)
    if found is None:
        return 0
    hours, minutes, rest = (int(part or 0) for part in found.groups())
    lasts = hours * 3600 + minutes * 60 + rest
    if lasts > _LONGEST and hours:
        lasts = hours * 60 + minutes
    return lasts if lasts <= _LONGEST else 0
