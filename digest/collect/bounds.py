"""How much pages and pictures may take of a run: light enough for whoever only reckons with it."""

from __future__ import annotations

from digest.collect.report import FullTextReport, PictureReport
from digest.config import Config
from digest.dataclass import dataclass


@dataclass(frozen=True)
class Bounds:
    """How long pages or pictures may be asked for in a run, and how many, in all newsletters together."""

    seconds: float
    most: int

    @classmethod
    def of(cls, config: Config) -> Bounds:
        """Of pages."""
        return cls(config.collect.full_text_seconds, config.collect.full_text_pages)

    @classmethod
    def of_pictures(cls, config: Config) -> Bounds:
        return cls(config.pictures.seconds, config.pictures.per_run)

    def without(self, report: FullTextReport | PictureReport) -> Bounds:
        return Bounds(self.seconds - report.seconds, self.most - report.asked)
