"""How a newsletter looks, and how it is known again in an inbox."""

from __future__ import annotations

import re
from email.utils import parseaddr
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from digest.colours import PALETTES, contrast
from digest.config.section import Section
from digest.config.value_types import FilePath, Line, Mailbox

SUBJECT = "{{ lead.title }}"
NAMED_SUBJECT = "{{ newsletter.title }}: {{ lead.title }}"
SUBJECTS = (SUBJECT, NAMED_SUBJECT)  # of ours: no template of somebody else


def readable(value: str, sheet: str = PALETTES["paper"].sheet) -> str:
    """A colour in six hex digits that can be read on a light `sheet` (WCAG 2.2, 1.4.3); else ValueError."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        raise ValueError("is not a colour; write six hex digits, as in '#a03a12'")
    if (ratio := contrast(value, sheet)) < 4.5:
        raise ValueError(f"is too pale to be read on paper: contrast {ratio:.1f}, and 4.5 is needed")
    return value.lower()


Tint = Annotated[Line, AfterValidator(lambda value: readable(value, _PALEST) if value else value)]
# What can be read on the darkest of the light sheets can be read on all of them.
_PALEST = min((palette.sheet for palette in PALETTES.values()), key=lambda sheet: contrast(sheet, "#000000"))


def _subject(values: dict[str, Any]) -> str:
    """The lead's title, and the newsletter's before it only where From does not say whose mail it is."""
    return SUBJECT if parseaddr(values.get("sender", ""))[0] else NAMED_SUBJECT


def _accent(values: dict[str, Any]) -> str:
    return PALETTES[values.get("palette") or "paper"].accent


class Look(Section):
    """Theme, colours and words of identity. `from` stands here, since the subject goes by it."""

    sender: Mailbox = Field(alias="from")
    subject: Line = Field(default_factory=_subject)
    theme: Literal["paper", "plain", "compact", "magazine"] = "paper"
    palette: Literal["", "paper", "white", "slate", "sage", "rose", "strong"] = ""  # "": the theme's own
    accent: Line = Field(default_factory=_accent)
    masthead: Literal["standard", "centred", "banner", "slim"] = "standard"
    tagline: Line = Field("", max_length=120)  # under the title
    logo: FilePath | None = None  # in the title's place
    logo_dark: FilePath | None = None  # the same in dark mode
    share: bool = True  # a line for who wants to pass an edition on, and for who was forwarded one

    @field_validator("accent")
    @classmethod
    def _readable(cls, value: str, info: ValidationInfo) -> str:
        return readable(value, PALETTES[info.data.get("palette") or "paper"].sheet)
