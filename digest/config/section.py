"""What all sections of the settings have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    # Sections are checked as parts of all settings, by what `Config` builds once: what checks one alone is made where
    # one is made alone, which is seldom.
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False, defer_build=True)


def unsaid() -> Any:
    """The default of a field that is a section: one of which nothing is said, checked with the rest."""
    return Field(default_factory=dict, validate_default=True)
