"""What admission and a newsletter's turn come to: values, light enough for whoever only tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.dataclass import dataclass

if TYPE_CHECKING:
    from digest.render import Finding


@dataclass(frozen=True)
class Admitted:
    """What became of the entries that waited."""

    stories: int = 0
    joined: int = 0
    muted: int = 0
    held: int = 0


@dataclass(frozen=True)
class Composed:
    """What a newsletter's turn came to. Without an edition `why` says so in words."""

    newsletter: str
    number: int = 0
    subject: str = ""
    stories: int = 0
    more: int = 0
    variants: int = 0
    letters: int = 0
    why: str = ""
    held: bool = False  # until the editor lets it go
    findings: tuple[Finding, ...] = ()  # what preflight had to say
