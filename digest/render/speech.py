"""The mail's own words in the reader's language: gettext catalogues, and dates and lists by Babel.

The catalogues are the .po files in `languages/`, read as they are, so there is no build step to forget.
"""

from __future__ import annotations

import gettext
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from digest.recordings import LEAST_SIZE
from digest.render.scripts import quotation_marks
from digest.schedule import Days, Schedule
from digest.values import Earlier, Recording

FOLDER = Path(__file__).parent / "languages"
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")  # as catalogues have them


class Speech:
    """One language. Where there is no catalogue for it the words are English and the dates are its own."""

    def __init__(self, language: str) -> None:
        from babel import Locale, UnknownLocaleError

        try:
            self.locale = Locale.parse(language, sep="-")
        except (UnknownLocaleError, ValueError):
            self.locale = Locale("en")
        self._catalogue = catalogue(self.locale.language)
        # The language that the words are in, which need not be the one asked for.
        self.language = language if self._catalogue.info() else "en"
        self.gettext = self._catalogue.gettext
        self.ngettext = self._catalogue.ngettext

    def ago(self, moment: datetime, now: datetime) -> str:
        """How old: "5 h ago", "yesterday", "3 days ago", then the date."""
        hours = max(0.0, (now - moment).total_seconds()) / 3600
        days = round(hours / 24)
        if hours < 1:
            return self.gettext("%(n)s min ago") % {"n": max(1, round(hours * 60))}
        if hours < 23.5:
            return self.gettext("%(n)s h ago") % {"n": round(hours)}
        if days <= 1:
            return self.gettext("yesterday")
        if days < 14:
            return self.ngettext("%(n)s day ago", "%(n)s days ago", days) % {"n": days}
        from babel.dates import format_skeleton

        return str(format_skeleton("yMMMd", moment, locale=self.locale))

    def earlier(self, before: Earlier, now: datetime) -> str:
        """Where a story is that another continues: "Earlier: No. 41, 12 May", with the year where it is another."""
        from babel.dates import format_skeleton

        at = before.at.astimezone(now.tzinfo)
        date = str(format_skeleton("MMMd" if at.year == now.year else "yMMMd", at, locale=self.locale))
        if not before.number:
            return self.gettext("Earlier: %(date)s") % {"date": date}
        return self.gettext("Earlier: No. %(number)s, %(date)s") % {"number": before.number, "date": date}

    def length(self, recording: Recording) -> str:
        """How long it lasts, "42 min", or how large it is where nobody says; "" where that is no better known."""
        from babel.units import format_unit

        kind, number = "duration-minute", max(1, round(recording.seconds / 60))
        if not recording.seconds:
            kind, number = "digital-megabyte", max(1, round(recording.size_bytes / 1_000_000))
            if recording.size_bytes < LEAST_SIZE:
                return ""
        return str(format_unit(number, kind, "short", locale=self.locale))

    def day(self, moment: datetime) -> str:
        """The date in words."""
        from babel.dates import format_date

        return str(format_date(moment, format="full", locale=self.locale))

    def date(self, moment: datetime) -> str:
        """The date in few words."""
        from babel.dates import format_date

        return str(format_date(moment, format="medium", locale=self.locale))

    def listed(self, words: Sequence[str]) -> str:
        """ "A, B and C" """
        from babel.lists import format_list

        return str(format_list(list(words), locale=self.locale))

    def quoted(self, text: str) -> str:
        """A text between the quotation marks of the language (CLDR, "delimiters")."""
        begin, end = quotation_marks(self.language)
        return f"{begin}{text}{end}"

    def upper(self, text: str) -> str:
        """In capitals; a Turkish "i" keeps its dot."""
        return (text.replace("i", "İ") if self.locale.language in ("tr", "az") else text).upper()

    def zone(self, zone: ZoneInfo) -> str:
        """A time zone as people call it. One of no place, such as UTC, is called what it is."""
        from babel.dates import get_timezone_name

        if "/" not in zone.key or zone.key.startswith("Etc/"):
            return zone.key.removeprefix("Etc/")
        return str(get_timezone_name(zone, locale=self.locale))

    def rhythm(self, schedule: Schedule | None, title: str) -> str:
        """When a newsletter comes, as a sentence; "" where cron is the schedule."""
        if schedule is None:
            return ""
        from babel.dates import format_time

        days = schedule.days
        hours = self.listed([format_time(at, "short", locale=self.locale) for at in schedule.times])
        facts: dict[str, Any] = {"title": title, "time": hours, "zone": self.zone(schedule.zone)}
        if days.number or days.nth:
            facts["day"] = self.day_of_month(days)
            return self.gettext("%(title)s comes every month %(day)s at %(time)s (%(zone)s).") % facts
        if len(days.weekdays) == 7:
            return self.gettext("%(title)s comes every day at %(time)s (%(zone)s).") % facts
        if days.weekdays == frozenset(range(5)):
            return self.gettext("%(title)s comes on weekdays at %(time)s (%(zone)s).") % facts
        facts["day"] = self.listed([self.weekday(day) for day in sorted(days.weekdays)])
        if days.fortnight:
            return self.gettext("%(title)s comes every second week on %(day)s at %(time)s (%(zone)s).") % facts
        return self.gettext("%(title)s comes every %(day)s at %(time)s (%(zone)s).") % facts

    def weekday(self, day: int) -> str:
        """A weekday (0 is Monday) as it stands in a sentence; by its name alone where the catalogue has no more."""
        from babel.dates import get_day_names

        said = self._catalogue.pgettext("on", _WEEKDAYS[day])
        return said if said != _WEEKDAYS[day] else str(get_day_names("wide", locale=self.locale)[day])

    def day_of_month(self, days: Days) -> str:
        """Which day of a month, as it stands in a sentence: "on the last Friday"."""
        from babel.dates import get_day_names

        if days.number:
            last, day = self.gettext("on its last day"), self.gettext("on day %(number)s")
            return last if days.number == 31 else day % {"number": days.number}
        (weekday,) = days.weekdays

        def t(message: str) -> str:
            # Where "first" follows the gender of the day it stands in the context of that day.
            said = self._catalogue.pgettext(_WEEKDAYS[weekday], message)
            return said if said != message else self.gettext(message)

        words = {
            1: t("on the first %(day)s"),
            2: t("on the second %(day)s"),
            3: t("on the third %(day)s"),
            4: t("on the fourth %(day)s"),
            -1: t("on the last %(day)s"),
        }
        return words[days.nth] % {"day": get_day_names("wide", locale=self.locale)[weekday]}


@lru_cache(maxsize=64)
def speech(language: str) -> Speech:
    return Speech(language)


def languages() -> tuple[str, ...]:
    """The languages that the mail's own words are in."""
    return tuple(sorted({"en", *(path.stem for path in FOLDER.glob("*.po"))}))


def spoken(tag: str) -> str:
    """A language of `languages()`, perhaps as a country has it ("de-AT"), in its one form; "" where it is none."""
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(tag.strip().replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        return ""
    return str(locale).replace("_", "-") if locale.language in languages() else ""


@lru_cache(maxsize=64)
def catalogue(language: str) -> gettext.NullTranslations:
    """The words of a language; English, in which the templates are written, needs none."""
    path = FOLDER / f"{language}.po"
    if not path.is_file():
        return gettext.NullTranslations()
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
