"""What readers choose for themselves: topics, days and hour, time zone, language, format, and which stories not.

This page and those that it leads to hang on the signed link in the mail; nobody logs in. GET changes nothing, and a
form that was posted leads back to the page (303), so that going back and forth posts nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from digest import curate, schedule, sign, subscribe, taste
from digest.errors import BadInput
from digest.models import Subscription
from digest.render import languages
from digest.render.speech import Speech
from digest.store import people, suppressions, tastes
from digest.taste import Taste
from digest.web.leanings import said_by, to_say
from digest.web.readers import Reader, form_of, page, reader_of
from digest.web.site import PRIVATE, Form, Site, site_of

HOW = "preference page"
PREFERENCES = sign.Purpose.PREFERENCES
WEEKS = (1, 2, 4, 8)  # that a pause can be chosen to take
_DAY_OF = {"weekly": "day", "fortnightly": "fortnight", "monthly": "month"}  # the field that says which day
_LONGEST = 200  # characters of a field
_LISTS = ("muted_words", "muted_sources", "muted_topics", "story_languages")
_FORM = ("topics", "cadence", "hour", "zone", "language", "plain", "max_stories", *_LISTS)
_FEW = 60  # sources to tick; more are written
_DONE = ("saved", "paused", "resumed", "left", "joined", "refused", "asked", "no-address", "full")
_REGIONS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


@dataclass(frozen=True)
class Other:
    """Another newsletter of the installation, and how the person stands to it."""

    name: str
    title: str
    about: str
    state: str  # "" where they never had it
    path: str  # of its preference page, "" where there is nothing to choose


def show(request: Request) -> Response:
    site, done = site_of(request), request.query_params.get("done", "")
    with site.database.read() as session:
        reader = reader_of(site, session, PREFERENCES, request)
        if reader is None:
            return site.unknown(request)
        chosen = _stored(reader.subscription)
        return _shown(site, session, reader, chosen, wrong={}, done=done if done in _DONE else "")


def save(request: Request, form: Form) -> Response:
    site, chosen = site_of(request), _entered(form)
    with site.database.write() as session:
        reader = reader_of(site, session, PREFERENCES, request)
        if reader is None:
            return site.unknown(request)
        if not reader.receives:
            return back(site, reader, "")
        known = _topics(reader)
        if wrong := _wrong(chosen, known, reader.said):
            return _shown(site, session, reader, chosen, wrong=wrong)
        subscribe.choose_all(
            session,
            reader.id,
            _preferences(chosen),
            known_topics=known,
            evidence=subscribe.Evidence(HOW, site.clock(), ip=site.client(request)),
            only=_FORM,  # what they want more of was said elsewhere, and perhaps while this form was open
        )
    return back(site, reader, "saved")


async def choices(request: Request) -> Response:
    if request.method != "POST":
        return await run_in_threadpool(show, request)
    return await site_of(request).change(save, request, await form_of(request))


def back(site: Site, reader: Reader, done: str) -> Response:
    """To the page again, which says what was done: one of `_DONE`, or nothing."""
    there = f"{site.path_of(PREFERENCES, reader.id, reader.newsletter)}?done={done}"
    return RedirectResponse(there, 303, headers=PRIVATE)


def _shown(
    site: Site,
    session: Session,
    reader: Reader,
    chosen: Mapping[str, Any],
    *,
    wrong: Mapping[str, str],
    done: str = "",
) -> Response:
    said, settings = reader.said, reader.settings
    slots = settings.slots if settings else None
    until = reader.subscription.paused_until
    return page(
        site,
        reader,
        "preferences.html",
        422 if wrong else 200,
        here=site.path_of(PREFERENCES, reader.id, reader.newsletter),
        leave=site.path_of(sign.Purpose.UNSUBSCRIBE, reader.id, reader.newsletter),
        done=done,
        wrong=wrong,
        chosen=chosen,
        stopped=suppressions.find(session, reader.person.email) is not None,
        until=said.day(until.astimezone(reader.zone)) if until else "",
        topics=_topics(reader),
        gone=_gone(reader),
        rhythm=said.rhythm(slots, reader.title),
        days=_days(said),
        months=_months(said),
        hours=_hours(said),
        own_zone=str(slots.zone) if slots else "UTC",
        zones=_zones(chosen["zone"]),
        languages=_languages(chosen["language"]),
        own_language=_name_of(settings.language if settings else "en"),
        weeks=_spans(said),
        offered=_offered(session, reader, chosen),
        others=_others(site, session, reader),
        held=said_by(session, reader),
        can_say=to_say(session, reader, most=_FEW),
        asks=reader.settings is not None and site.config.asks_taste(reader.newsletter),
    )


def _preferences(chosen: Mapping[str, Any]) -> subscribe.Preferences:
    """What was entered, once nothing about it is `_wrong`."""
    return subscribe.Preferences(
        topics=tuple(chosen["topics"]),
        cadence=chosen["cadence"],
        hour=int(chosen["hour"]) if chosen["hour"] else None,
        zone=chosen["zone"],
        language=chosen["language"],
        plain=chosen["format"] == "text",
        max_stories=int(chosen["max_stories"]) if chosen["max_stories"] else None,
        **{field: tuple(chosen[field]) for field in _LISTS},
    )


def _stored(subscription: Subscription) -> dict[str, Any]:
    """A subscription's choices as the form has them."""
    own = vars(Taste.of(subscription.taste))
    return {
        "topics": subscription.topics,
        "cadence": subscription.cadence,
        "hour": "" if subscription.hour is None else str(subscription.hour),
        "zone": subscription.zone,
        "language": subscription.language,
        "format": "text" if subscription.plain else "html",
        "max_stories": str(own["max_stories"] or ""),
        **{field: list(own[field]) for field in _LISTS},
    }


def _entered(form: Form) -> dict[str, Any]:
    """What was entered, as it was; `cadence` as `schedule` says it."""

    def one(field: str, unsaid: str = "") -> str:
        # What could be chosen is short, and nothing is made of what is longer.
        return form.get(field, [unsaid])[0][:_LONGEST]

    cadence = one("cadence")
    if field := _DAY_OF.get(cadence):
        cadence = f"{cadence} {one(field)}".strip()
    return {
        "topics": [topic[:_LONGEST] for topic in form.get("topic", [])],
        "cadence": cadence,
        "hour": one("hour"),
        "zone": one("zone"),
        "language": one("language"),
        "format": one("format", "html"),
        "max_stories": one("max_stories").strip(),
        **{field: _lines(form.get(field, [])) for field in _LISTS},
    }


def _lines(said: list[str]) -> list[str]:
    """What was ticked, or written a line each."""
    return [line.strip()[: taste.WORD * 20] for one in said for line in one.splitlines() if line.strip()]


def _wrong(chosen: Mapping[str, Any], known_topics: Mapping[str, str], said: Speech) -> dict[str, str]:
    """The fields that hold what cannot be chosen, each with a word about it."""
    wrong, t = {}, said.gettext
    for field in ("topics", "cadence", "zone", "language", *_LISTS):
        try:
            subscribe.checked(subscribe.Preferences(**{field: chosen[field]}), known_topics)
        except BadInput:
            wrong[field] = t("This cannot be chosen. Please choose again.")
    if "muted_words" in wrong:
        words = t("At most %(number)s words or phrases of %(length)s characters, each with a letter or number.")
        wrong["muted_words"] = words % {"number": taste.WORDS, "length": taste.WORD}
    if "muted_sources" in wrong:
        wrong["muted_sources"] = t("At most %(number)s sites, each as in example.org.") % {"number": taste.SOURCES}
    if chosen["max_stories"] not in ("", *map(str, range(1, taste.MOST + 1))):
        wrong["max_stories"] = said.gettext("Please enter a number from 1 to 100.")
    if chosen["cadence"] in ("weekly", "fortnightly"):
        wrong["cadence"] = said.gettext("Please choose a day of the week.")
    if chosen["hour"] not in ("", *map(str, range(24))):
        wrong["hour"] = said.gettext("This cannot be chosen. Please choose again.")
    if chosen["format"] not in ("html", "text"):
        wrong["format"] = said.gettext("This cannot be chosen. Please choose again.")
    return wrong


@dataclass(frozen=True)
class Offered:
    """What a newsletter has that can be left out, beside what is left out already: (value, name)."""

    sources: list[tuple[str, str]]  # none: there are too many to be shown
    languages: list[tuple[str, str]]  # none: there is one, and nothing to choose


def _offered(session: Session, reader: Reader, chosen: Mapping[str, Any]) -> Offered:
    paper = reader.subscription.newsletter_id
    sources = tastes.sources(session, paper)
    sources |= {source: source for source in chosen["muted_sources"] if source not in sources}
    spoken = sorted({*tastes.languages(session, paper), *chosen["story_languages"]})
    return Offered(
        list(sources.items()) if len(sources) <= _FEW else [],
        [(tag, _name_of(tag)) for tag in spoken] if len(spoken) > 1 or chosen["story_languages"] else [],
    )


def _topics(reader: Reader) -> dict[str, str]:
    """Titles by slug."""
    if reader.settings is None:
        return {}
    return curate.titles(reader.settings.topics, reader.said.gettext)


def _gone(reader: Reader) -> str:
    """What is to be said of topics that they chose and that are no more; "" where there are none, or some are left."""
    chosen, known, t = reader.subscription.topics, _topics(reader), reader.said.gettext
    if reader.settings is None or not chosen or not set(chosen).isdisjoint(known):
        return ""
    if reader.settings.wanted(chosen):
        return t("The topics that you chose are no more, and you get nothing. Please choose others.")
    return t("The topics that you chose are no more. Until you choose others you get all of them.")


def _others(site: Site, session: Session, reader: Reader) -> list[Other]:
    """The person's other newsletters, then those they could have."""
    theirs = {name: subscription for subscription, name in people.subscriptions_of(session, reader.person)}
    found = []
    for name, settings in site.config.newsletters.items():
        held = theirs.get(name)
        if name == reader.newsletter or (held is None and not joinable(site, reader, name)):
            continue
        state = held.state.value if held else ""
        path = site.link_to(PREFERENCES, held.id, name) if held and held.id else ""
        found.append(Other(name, settings.title, settings.about, state, path))
    return sorted(found, key=lambda other: other.state not in ("active", "paused"))


def joinable(site: Site, reader: Reader, name: str) -> bool:
    """May they join another newsletter by a button? One at the same address as theirs: others are not shown here."""
    settings = site.config.newsletters.get(name)
    return bool(settings and settings.signup) and site.base_of(name) == site.base_of(reader.newsletter)


def _days(said: Speech) -> list[tuple[str, str]]:
    from babel.dates import get_day_names

    names = get_day_names("wide", "stand-alone", locale=said.locale)
    return [(day, str(names[number])) for number, day in enumerate(schedule.DAYS)]


def _months(said: Speech) -> list[tuple[str, str]]:
    """The days of a month that can be chosen: by number, and by weekday."""
    numbers = [str(number) for number in range(1, 32)]
    by_day = [f"{nth} {day}" for nth in schedule.NTH for day in schedule.DAYS]
    return [(value, said.day_of_month(schedule.days(f"monthly {value}"))) for value in numbers + by_day]


def _hours(said: Speech) -> list[tuple[str, str]]:
    from babel.dates import format_time

    return [(str(hour), format_time(time(hour), "short", locale=said.locale)) for hour in range(24)]


def _spans(said: Speech) -> list[tuple[int, str]]:
    from babel.units import format_unit

    return [(weeks, format_unit(weeks, "duration-week", locale=said.locale)) for weeks in WEEKS]


def _zones(chosen: str) -> dict[str, list[tuple[str, str]]]:
    """Time zones by region, the chosen one among them even where it goes by an old name."""
    found = dict(_all_zones())
    if chosen and not any(chosen == name for zones in found.values() for name, _city in zones):
        found = {"": [(chosen, chosen)], **found}
    return found


@lru_cache(maxsize=1)
def _all_zones() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {"": [("UTC", "UTC")]}
    for name in sorted(available_timezones()):
        region, _, city = name.partition("/")
        if region in _REGIONS:
            found.setdefault(region, []).append((name, city.replace("_", " ").replace("/", ", ")))
    return found


def _languages(chosen: str) -> list[tuple[str, str]]:
    tags = list(languages())
    return [(tag, _name_of(tag)) for tag in (tags if chosen in ("", *tags) else [chosen, *tags])]


def _name_of(tag: str) -> str:
    """A language as it calls itself."""
    from babel import Locale, UnknownLocaleError

    try:
        name = Locale.parse(tag, sep="-").get_display_name() or tag
    except (UnknownLocaleError, ValueError):
        return tag
    return name[:1].upper() + name[1:]


ROUTES = [
    Route("/preferences/{token}", choices, methods=["GET", "POST"]),
]
