"""Files of an export, and those in its ZIPs: a stranger's, so what they unpack to is bounded."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping

from digest.errors import BadInput


def unpacked(
    files: Mapping[str, bytes], matters: Callable[[str], bool], *, members: int, size: int
) -> Iterator[tuple[str, bytes]]:
    """Files by name, and of each ZIP among them those whose names matter.

    BadInput for a ZIP that is broken or locked, has more than so many `members`, or where all of them unpack to more
    than `size` bytes, whatever their headers say.
    """
    room = size
    for name, content in files.items():
        if not content.startswith(b"PK\x03\x04"):
            yield name, content
            continue
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                wanted = [one for one in archive.infolist() if not one.is_dir() and matters(one.filename)]
                if len(wanted) > members:
                    raise BadInput(f"{name} holds more than {members:,} files")
                for member in wanted:
                    with archive.open(member) as stream:
                        inside = stream.read(room + 1)
                    room -= len(inside)
                    if room < 0:
                        raise BadInput(f"{name} unpacks to more than {size // 1_000_000} MB")
                    yield f"{name}: {member.filename}"[-300:], inside
        # All that `zipfile` raises at what is broken, locked or packed in a way that it does not know.
        except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError):
            raise BadInput(f"{name} is a broken or locked archive", hint="export it again, or give its files") from None
