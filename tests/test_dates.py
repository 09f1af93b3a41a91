"""Dates as feeds write them: every row of docs/reading.md, and what decides where a date alone does not."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.dates import NOW, table
from digest import parse
from digest.parse.dates import Dates, _readings

TABLE = table()


@pytest.mark.parametrize("section", dict.fromkeys(row.section for row in TABLE))
def test_every_date_of_the_table_is_read_as_it_is_meant(section: str) -> None:
    wrong = []
    for row in TABLE:
        if row.section == section:
            found = Dates(NOW, row.language, lambda row=row: (*row.elsewhere, row.written)).read(row.written)
            if found != row.meant:
                wrong.append((row.written, row.language, str(found), str(row.meant)))
    assert wrong == []


def test_the_table_has_what_feeds_were_seen_to_write() -> None:
    assert len(TABLE) >= 300
    languages = {row.language.partition("-")[0] for row in TABLE if row.section == "In other languages"}
    assert len(languages - {""}) >= 30


@pytest.mark.parametrize("moment", [datetime(2026, 1, 2, 23, 5, 7), datetime(1999, 12, 31), datetime(2024, 2, 29, 12)])
def test_every_day_is_read_in_every_language_that_has_names_for_its_month(moment: datetime) -> None:
    from babel.dates import format_datetime

    from digest.parse.months import LANGUAGES

    # Two have calendars of their own, and one has names of two words.
    for language in set(LANGUAGES) - {"fa", "th", "ga"}:
        for form in ("d MMMM y HH:mm", "EEE, d MMM y HH:mm"):
            written = format_datetime(moment, form, locale=language)
            found = Dates(NOW, language).read(written)
            assert found is not None and abs(found.replace(tzinfo=None) - moment) < timedelta(days=1), (
                written,
                language,
            )


def test_a_month_that_languages_call_differently_is_that_of_the_feeds_or_none() -> None:
    assert Dates(NOW, "pl").read("14 listopada 2025") == datetime(2025, 11, 14, tzinfo=UTC)
    assert Dates(NOW, "hr").read("14 listopada 2025") == datetime(2025, 10, 14, tzinfo=UTC)
    assert Dates(NOW).read("14 listopada 2025") is None


def test_a_feed_whose_dates_go_both_ways_is_not_believed_either_way() -> None:
    assert Dates(NOW, "", lambda: ["27/03/2026", "03/27/2026"]).read("03/04/2026") is None


def test_the_fourth_of_april_says_nothing_of_the_order() -> None:
    assert Dates(NOW, "", lambda: ["04/04/2026", "04/04/2026"]).read("03/04/2026") is None


def test_habits_are_asked_once_and_only_where_a_date_leaves_a_doubt() -> None:
    asked = []

    def elsewhere() -> list[str]:
        asked.append(1)
        return ["27/03/2026 10:15 +0200"]

    dates = Dates(NOW, "", elsewhere)
    dates.read("Fri, 27 Nov 2026 10:15:30 GMT")
    assert not asked
    assert dates.read("03/04/2026 10:15") == datetime(2026, 4, 3, 8, 15, tzinfo=UTC)
    dates.read("03/05/2026")
    assert len(asked) == 1


def test_what_was_guessed_or_not_read_is_told() -> None:
    dates = Dates(NOW)
    for said in (
        "27 Nov 2026",
        "soon\x1b[2J",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        None,
        True,
        1795774530,
        1795774530000.0,
    ):
        dates.read(said)
    assert dates.trouble() == [
        "has dates without a time zone, read as UTC: 1",
        'has dates that cannot be read: 1 ("soon?[2J")',
    ]


RSS = """<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/">
<channel><title>T</title><language>{language}</language>{items}</channel></rss>"""
URL = "https://example.org/feed"


def dates_of(body: str) -> list[datetime | None]:
    return [entry.published_at for entry in parse.feed(body.encode(), url=URL, now=NOW).entries]


def rss(*dates: str, language: str = "en") -> str:
    items = "".join(f"<item><title>{n}</title>{date}</item>" for n, date in enumerate(dates))
    return RSS.format(language=language, items=items)


def test_every_element_that_holds_a_date_is_read_by_the_same_reader() -> None:
    meant = datetime(2026, 11, 27, 9, 15, tzinfo=UTC)
    for element in ("pubDate", "dc:date", "dcterms:issued", "dcterms:modified", "dcterms:created"):
        assert dates_of(rss(f"<{element}>27. November 2026, 10:15 MEZ</{element}>", language="de")) == [meant], element
    for element in ("published", "updated", "issued", "modified"):
        atom = (
            f'<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>a</title>'
            f"<{element}>27 nov. 2026 10h15 +0100</{element}></entry></feed>"
        )
        assert dates_of(atom) == [meant], element
    for value in ('"Fri, 27 Nov 2026 10:15:00 CET"', "1795770900", "1795770900000", '"2026-11-27T10:15:00+01:00"'):
        body = f'{{"version":"https://jsonfeed.org/version/1.1","items":[{{"id":1,"title":"a","date_published":{value}}}]}}'
        assert dates_of(body) == [meant], value


def test_what_a_feed_does_elsewhere_is_seen_also_when_its_entries_are_read_apart() -> None:
    body = rss("<pubDate>03/04/2026</pubDate>", "<pubDate><![CDATA[ 27/03/2026 10:15 +0200 ]]></pubDate>")
    meant = [datetime(2026, 4, 2, 22, tzinfo=UTC), datetime(2026, 3, 27, 8, 15, tzinfo=UTC)]
    assert dates_of(body) == meant
    apart = parse.feed(body.encode(), url=URL, now=NOW, watch=parse.Watch(apart=True))
    assert [entry.published_at for entry in apart.entries] == meant


def test_the_same_bytes_give_the_same_dates_whatever_the_machine_s_clock_and_zone_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = [row.written for row in TABLE]
    before = [Dates(NOW).read(one) for one in written]
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        _readings.cache_clear()
        assert [Dates(NOW).read(one) for one in written] == before
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


PIECES = st.sampled_from(sorted({piece for row in TABLE for piece in re.split(r"(\W)", row.written) if piece}))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=16).map("".join), st.floats(), st.integers()))
@example("9" * 19)
@example("9999-12-31T23:59:59-12:00")
@example("0001-01-01T00:00:00+14:00")
@example("24:00 31 Dec 9999")
def test_anything_is_a_date_in_utc_or_none_and_never_a_crash(said: object) -> None:
    found = Dates(NOW).read(said)
    assert found is None or (found.utcoffset() == timedelta(0) and found.year >= 1900)


def test_a_date_beyond_all_reason_costs_nothing() -> None:
    assert Dates(NOW).read("Fri, " * 100_000 + "27 Nov 2026") is None


@pytest.mark.parametrize(
    ("written", "language", "meant"),
    [
        # A word that counts a number: in numbers alone nobody can say which is the day.
        ("M03 4, 2026", "ht", None),
        ("3-р сар 4, 2026", "mn", None),
        ("J5, 4 Mar 2026", "luy", None),
        ("04.03.2026г.", "ru", datetime(2026, 3, 4)),
        # Of two words around the day the first is one of the week.
        ("şen, 30 awg 2025", "", None),
        ("ara, 4 mar 2026", "", datetime(2026, 3, 4)),
        ("mäc., 24 de dex. 2025", "", None),
        ("Nov 27, 2026 CET", "", datetime(2026, 11, 26, 23)),
        # A language that others are not asked about.
        ("7 Mar 2026", "teo", datetime(2026, 5, 7)),
        ("7 Kas 2026", "dav", datetime(2026, 5, 7)),
        ("29 Yan 2024", "ts-ZA", datetime(2024, 2, 29)),
        ("4 KST 2026", "nyn", datetime(2026, 3, 4)),
        ("7 Mar 2026", "../de", datetime(2026, 3, 7)),
        ("03/04/2026", "es-PA", datetime(2026, 3, 4)),
        # A letter is a zone after a time only.
        ("2026 m. lapkričio 27 d.", "lt", datetime(2026, 11, 27)),
        ("2026년 11월 27일 오전 10시", "ko", datetime(2026, 11, 27, 1)),
        ("2026年11月27日 15時", "ja", datetime(2026, 11, 27, 15)),
        # What programs write that have no date.
        ("1970-01-01T00:00:00Z", "", None),
        ("Thu, 01 Jan 1970 01:00:00 +0100", "", None),
        ("1969-12-31T16:00:00-08:00", "", None),
        ("1900-01-01T00:00:00", "", None),
    ],
)
def test_a_date_that_may_be_another_day_is_none_and_one_that_its_language_tells_is_read(
    written: str, language: str, meant: datetime | None
) -> None:
    found = Dates(NOW, language).read(written)
    assert found == (meant.replace(tzinfo=UTC) if meant else None)
