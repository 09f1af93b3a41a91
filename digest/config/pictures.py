"""`[pictures]`: the bounds of looking for pictures, and of what is kept of them."""

from __future__ import annotations

from pydantic import Field

from digest.config.section import Section


class Pictures(Section):
    """How stories' pictures are looked for; which are shown is a newsletter's `images` and `image_source`."""

    seconds: float = Field(20, ge=0, le=600)  # in a run, for all newsletters together
    per_run: int = Field(60, ge=0, le=1000)  # requests; 0: none
    keep_days: float = Field(180, ge=7, le=36500)  # our copies, since they stood in a mail last
    keep_mb: float = Field(500, ge=10, le=1_000_000)  # and all of them together; the oldest go first
