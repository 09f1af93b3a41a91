"""What a command did, in counts by step and by newsletter, gathered from what its steps tell."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from digest import collect, deliver, hear, line
from digest.collect.report import CollectReport
from digest.dataclass import dataclass
from digest.deliver.report import EventsTold, Report
from digest.edition.report import Composed

_COLLECTED = ("asked", "unchanged", "updated", "failed", "held", "new", "edited", "set_aside")
_CURATED = ("stories", "joined", "muted", "held")
_DELIVERED = ("sent", "refused", "deferred", "dropped", "held", "in_doubt", "owed")
_OF_NEWSLETTER = ("sent", "refused", "deferred", "held", "left")


@dataclass
class Deeds:
    """Counts that stand for what was done by now, whatever comes after. No addresses, no titles."""

    steps: dict[str, dict[str, int]] = field(default_factory=dict)
    newsletters: dict[str, dict[str, Any]] = field(default_factory=dict)
    letters: dict[str, int] = field(default_factory=dict)

    def take(self, told: line.Told) -> None:
        match told:
            case line.Begins() | line.Clock() | collect.Progress() | deliver.Progress():
                pass
            case CollectReport():
                self._add("collect", **{name: getattr(told, name) for name in _COLLECTED})
            case line.Taken():
                counts = {name: getattr(told.admitted, name) for name in _CURATED}
                self._add("curate", **counts)
                self._of(told.newsletter).update(stories=told.admitted.stories)
            case line.Texts():
                self._add("pages", asked=told.report.asked, taken=told.report.taken)
            case line.Pictures():
                self._add("pictures", asked=told.report.asked, taken=told.report.taken)
            case line.Summaries():
                self._add("summaries", asked=told.report.asked, taken=told.report.taken)
            case Composed():
                if not told.why:
                    counts = {"stories": told.stories, "variants": told.variants, "letters": told.letters}
                    self._add("compose", editions=1, **counts)
                    self._of(told.newsletter).update(edition=told.number, letters=told.letters)
            case line.Unfit():
                self._of(told.newsletter).update(trouble=told.words)
            case Report():
                self._delivered(told)
            case line.BrokeOff():
                self._delivered(told.report)
            case EventsTold():
                self._add("webhooks", sent=told.sent, failed=told.failed)
            case hear.Readings():  # last: asking for it brings all that reads mail
                self._add("mail", read=told.read, copies=told.copies, changed=told.changed)
            case _:
                pass  # words

    def _delivered(self, report: Report) -> None:
        counts = {name: max(0, getattr(report, name)) for name in _DELIVERED}
        self._add("deliver", **counts)
        for name in ("sent", "refused", "deferred"):
            self.letters[name] = self.letters.get(name, 0) + counts[name]
        for name, done in report.newsletters.items():
            if name:
                self._of(name).update({key: getattr(done, key) for key in _OF_NEWSLETTER})
                if done.trouble:
                    self._of(name).update(trouble=done.trouble)

    def _add(self, step: str, **counts: int) -> None:
        sums = self.steps.setdefault(step, {})
        for name, number in counts.items():
            sums[name] = sums.get(name, 0) + number

    def _of(self, newsletter: str) -> dict[str, Any]:
        return self.newsletters.setdefault(newsletter, {})
