"""`[keep]`: what is kept, how long, and where what must outlive the database lies."""

from __future__ import annotations

from pydantic import Field, model_validator

from digest.config.settings import Section
from digest.config.value_types import Line


class Keep(Section):
    """What is kept, how long, and where what must outlive the database is kept."""

    witness: Line = ""  # a folder, or "none"; "": beside the database
    witness_days: int = Field(400, ge=7, le=36500)
    upgrade_backups: int = Field(3, ge=0, le=1000)  # how many, each made before an upgrade; 0: none are made
    upgrade_folder: Line = ""  # where they lie; "": beside the database
    # Days that digest ran, after which is let go of what nobody needs any more; 0: never. See `store.pruning`.
    mails_days: int = Field(14, ge=0, le=1000)
    letters_days: int = Field(45, ge=0, le=1000)
    texts_days: int = Field(7, ge=0, le=1000)
    entries_days: int = Field(45, ge=0, le=1000)
    notices_days: int = Field(90, ge=0, le=1000)
    reports_days: int = Field(400, ge=0, le=1000)
    entries_least: int = Field(3000, ge=0)  # the newest entries, which are kept whole however old
    prune_seconds: float = Field(10, ge=0, le=3600)  # of a run

    @model_validator(mode="after")
    def _long_enough(self) -> Keep:
        # Letters are tried for days, and what tells the same story is looked for among those of three weeks.
        for name, least in (("mails", 7), ("letters", 14), ("texts", 7), ("entries", 30), ("notices", 30)):
            days = getattr(self, f"{name}_days")
            if 0 < days < least:
                raise ValueError(f"has {name}_days = {days}; it takes {least} at least, or 0 to keep all")
        if 0 < self.reports_days < 100:
            raise ValueError(f"has reports_days = {self.reports_days}; it takes 100 at least, or 0 to keep all")
        return self
