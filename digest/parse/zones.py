"""Time zones by the names that people write. Some are used at several places: there the feed's language tells."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_WEST, _EAST = -12 * 60, 14 * 60  # minutes: there is nothing beyond

# Hours east of Greenwich, then the names. Of a name used twice, this is what most feeds mean by it.
_NAMES = """
0 utc gmt ut z zulu utz wet wez uct cut
+1 cet mez met wat bst west wesz dft
+2 cest mesz mest eet oez cat sast kalt
+3 eest oesz msk eat trt idt fet tsk
+3:30 irst
+4 msd gst samt get azt amt mut ret sct
+4:30 irdt aft
+5 pkt uzt tjt tmt mvt yekt
+5:30 ist slst lkt
+5:45 npt
+6 btt bdt almt kgt omst
+6:30 mmt
+7 ict wib novt krat hovt
+8 hkt sgt myt awst pht wita bnt irkt ulat cnt bjt
+8:45 acwst
+9 jst kst wit yakt awdt tlt
+9:30 acst
+10 aest chst pgt vlat chut
+10:30 acdt lhst
+11 aedt lhdt sbt vut nct magt sakt
+12 nzst fjt pett gilt tvt wakt
+12:45 chast
+13 nzdt tot phot
+13:45 chadt
+14 lint
-1 cvt azot egt
-2 brst fnt
-2:30 ndt
-3 brt art adt uyt clst gft pyst pmst rott had hadt
-3:30 nst
-4 ast edt hae hat clt bot vet gyt pyt
-5 est cdt hne cot pet ect act
-6 cst mdt hnc galt
-7 mst pdt hnr
-8 pst akdt hnp
-9 akst hdt gamt
-10 hst hast taht ckt tkt
-11 sst nut
-12 bit aoe
"""

# RFC 822 §5.1, which RSS refers to: its letters count to the west. RFC 5322 takes them for nothing.
_LETTERS = {c: -n for n, c in enumerate("abcdefghiklm", 1)} | {c: n for n, c in enumerate("nopqrstuvwxy", 1)}

# What a name means in feeds of a language (or of a language and country), minutes east of Greenwich.
_ELSEWHERE = {
    "ist": {"he": 120, "iw": 120, "ga": 60, "en-ie": 60},
    "cst": {"zh": 480, "es-cu": -300},
    "bst": {"bn": 360},
    "est": {"en-au": 600},
    "edt": {"en-au": 660},
    "ast": {"ar": 180},
    "amt": {"pt": -240},
    "gst": {"es": -120},
    "wst": {"en-au": 480, "sm": 780},
    "pst": {"fil": 480, "tl": 480, "en-ph": 480},
    "mst": {"ms": 480},
    "sst": {"en-sg": 480},
    "ect": {"pt": -300},
}

# Names that say no season: the date does.
_SEASONAL = {
    "et": "America/New_York",
    "ct": "America/Chicago",
    "mt": "America/Denver",
    "pt": "America/Los_Angeles",
    "at": "America/Halifax",
    "akt": "America/Anchorage",
    "aet": "Australia/Sydney",
    "nzt": "Pacific/Auckland",
    "est5edt": "America/New_York",
    "uk": "Europe/London",
}
KOREA = timezone(timedelta(hours=9))


def _table() -> dict[str, int]:
    found = {}
    for line in _NAMES.split("\n"):
        hours, *names = line.split() or [""]
        hour, _, minute = hours.lstrip("+-").partition(":")
        for name in names:
            found[name] = (int(hour) * 60 + int(minute or 0)) * (-1 if hours[0] == "-" else 1)
    return found


_MINUTES = _table()


def is_name(word: str) -> bool:
    """Whether a word (in small letters) names a zone, wherever it may be."""
    return word in _MINUTES or word in _ELSEWHERE or word in _SEASONAL


def named(words: Iterable[str], language: str) -> tzinfo | None:
    """The zone that the last of these words names, or None. A single letter counts where it is the only one."""
    words = list(words)
    said = language.lower()
    for word in reversed(words):
        if (places := _ELSEWHERE.get(word)) is not None:
            minutes = places.get(said, places.get(said.partition("-")[0]))
            if minutes is not None:
                return _fixed(minutes)
        if word in _MINUTES:
            return _fixed(_MINUTES[word])
        if word in _SEASONAL and word == words[-1]:
            return ZoneInfo(_SEASONAL[word])
    if len(words) == 1 and words[0] in _LETTERS:
        return _fixed(60 * _LETTERS[words[-1]])
    return None


def offset(sign: str, hours: str, minutes: str) -> tzinfo | None:
    """A zone in numbers; None for one that is nowhere on earth."""
    east = (int(hours) * 60 + int(minutes or 0)) * (-1 if sign == "-" else 1)
    return _fixed(east) if _WEST <= east <= _EAST and int(minutes or 0) < 60 else None


def _fixed(minutes: int) -> tzinfo:
    return timezone(timedelta(minutes=minutes)) if minutes else UTC
