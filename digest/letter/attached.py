"""Pictures that a letter brings along (RFC 2387, RFC 2392): encoded once, and the same bytes in all letters."""

from __future__ import annotations

import base64
from functools import cached_property

from digest.dataclass import dataclass

MOST = 500_000  # bytes of a letter with its pictures
_AT = "pictures"
_PNG = b"\x89PNG\r\n"


def media_type(data: bytes) -> str:
    """Of a copy of ours: pictures of stories are JPEG, logos PNG."""
    return "image/png" if data.startswith(_PNG) else "image/jpeg"


def cid(name: str) -> str:
    """What a mail calls a picture of this name, behind `cid:`."""
    return f"{name}@{_AT}"


@dataclass(frozen=True, eq=False)
class Attached:
    """A JPEG or PNG, and the name by which the mail shows it."""

    name: str
    data: bytes

    @cached_property
    def part(self) -> bytes:
        """The part of a multipart/related, from its headers to its last line end, without boundaries.

        Shown where the mail says, and nowhere else: no name, so that no client lists it as a file.
        """
        encoded = base64.b64encode(self.data)
        lines = b"\r\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))
        return (
            b"Content-Type: " + media_type(self.data).encode() + b"\r\nContent-Transfer-Encoding: base64\r\n"
            b"Content-Disposition: inline\r\nContent-ID: <" + cid(self.name).encode() + b">\r\n\r\n" + lines + b"\r\n"
        )
