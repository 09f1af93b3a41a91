"""Joining: the form, the answer that is the same for everybody, and the link that proves an address."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from digest import curate, letter, sign, subscribe, taste
from digest.colours import on_dark
from digest.config import Newsletter, address_as_read
from digest.errors import BadInput
from digest.render.speech import Speech, speech
from digest.store import archive
from digest.subscribe import signup
from digest.web.archive import named
from digest.web.site import PRIVATE, Form, Site, body_of, fields_of, site_of

_SHOWN = 400  # characters of a field that is shown again, since something was wrong with it
_SAMPLE = 5  # stories of the last edition that the form shows
_HOW = "sign-up page"
TRAP = "website"  # a field that people do not see, and programs fill in; it is shown where it was filled in


def show(request: Request) -> Response:
    return _form(request, {})


def take(request: Request, body: bytes) -> Response:
    site = site_of(request)
    name, settings = _asked(request)
    given = fields_of(request, body)
    known = curate.headings(settings.topics)
    if wrong := _wrong(given, known, speech(settings.language)):
        return _form(request, given, wrong=wrong)
    choices: subscribe.Changes = {
        "topics": tuple(given.get("topic", [])),
        "cadence": given.get("cadence", [""])[0],
    }
    if most := _most(given):  # who comes back without saying so keeps theirs
        choices["max_stories"] = int(most)
    with site.database.write() as session:
        taken = signup.ask(
            session,
            given.get("email", [""])[0],
            newsletter=name,
            config=site.config,
            evidence=subscribe.Evidence(_HOW, site.clock(), ip=site.client(request)),
            known_topics=known,
            name=given.get("name", [""])[0],
            choices=choices,
        )
    if taken == "full":
        answer = _page(site, "subscribe_full.html", name, settings, 429)
        answer.headers["Retry-After"] = "3600"
        return answer
    site.mail_now()
    # 303, so that going back and forth posts nothing again.
    there = f"{site.root}/subscribe/{name}/sent" + ("?later=1" if taken == "later" else "")
    return RedirectResponse(there, 303, headers=PRIVATE)


async def join(request: Request) -> Response:
    if request.method != "POST":
        return await run_in_threadpool(show, request)
    return await site_of(request).change(take, request, await body_of(request))


def sent(request: Request) -> Response:
    later = request.query_params.get("later") == "1"
    return _page(site_of(request), "subscribe_sent.html", *_asked(request), later=later)


def answer(request: Request, *, do: bool) -> Response:
    """What the link of a mail says about itself, or (`do`) what came of confirming it."""
    site, token = site_of(request), request.path_params["token"]
    if do:
        with site.database.write() as session:
            said = subscribe.Evidence(f"{_HOW}, confirmed by mail", site.clock(), ip=site.client(request))
            found = signup.confirm(session, token, config=site.config, evidence=said)
        if found is not None and site.config.newsletters[found.newsletter].welcome_mail:
            site.mail_now()
    else:
        with site.database.read() as session:
            found = signup.about(session, token, config=site.config, now=site.clock())
    if found is None:
        return site.unknown(request)
    name, settings = found.newsletter, site.config.newsletters[found.newsletter]
    if found.outcome in ("expired", "left"):
        return _page(site, "confirm_late.html", name, settings, 410, left=found.outcome == "left")
    if found.outcome == "suppressed":
        tell = settings.reply_to or settings.sender
        return _page(site, "confirm_suppressed.html", name, settings, 409, tell=address_as_read(letter.address(tell)))
    if not do and found.outcome == "confirmed":
        return _page(site, "confirm.html", name, settings)
    choices = site.path_of(sign.Purpose.PREFERENCES, found.subscription_id, name)
    return _page(site, "confirmed.html", name, settings, choices=choices)


async def confirm(request: Request) -> Response:
    if request.method != "POST":
        return await run_in_threadpool(answer, request, do=False)
    await body_of(request)
    return await site_of(request).change(answer, request, do=True)


def _asked(request: Request) -> tuple[str, Newsletter]:
    """The newsletter of the address; 404 for one that cannot be joined here."""
    name = request.path_params["newsletter"]
    site = site_of(request)
    settings = site.config.newsletters.get(name)
    if settings is None or not settings.signup or not site.shows(name):
        raise HTTPException(404)
    return name, settings


def _page(site: Site, template: str, name: str, settings: Newsletter, status: int = 200, **values: object) -> Response:
    around = {"settings": settings, "title": settings.title, "accents": (settings.accent, on_dark(settings.accent))}
    here = {"newsletter": name, "root": site.root if site.shows(name) else site.base_of(name)}
    return site.spoken(speech(settings.language), template, status, **around, **here, **values)


def _form(request: Request, given: Form, *, wrong: Mapping[str, str] | None = None) -> Response:
    name, settings = _asked(request)
    titles = curate.titles(settings.topics, speech(settings.language).gettext)
    site = site_of(request)
    return _page(
        site,
        "subscribe.html",
        name,
        settings,
        422 if wrong else 200,
        topics=[(slug, title) for slug, title in titles.items() if slug != curate.OTHER],
        chosen=given.get("topic", []),
        email=given.get("email", [""])[0][:_SHOWN],
        person=given.get("name", [""])[0][:_SHOWN],
        wrong=wrong or {},
        cadence=given.get("cadence", [""])[0][:_SHOWN],
        max_stories=_most(given)[:_SHOWN],
        trap=TRAP,
        caught=given.get(TRAP, [""])[0][:_SHOWN],
        sample=_sample(site, name),
    )


def _sample(site: Site, name: str) -> tuple[str, list[str]] | None:
    """Where the last edition is and what it told first, so that nobody joins in the dark; None where none is public."""
    with site.database.read() as session:
        paper = named(site, session, name)
        last = archive.editions(session, paper.id, limit=1) if paper else []
        told = archive.headlines(session, last, first=_SAMPLE)
    if paper is None or not last:
        return None
    return f"{site.root}{paper.path}/editions/{last[0].number}", [one.title for one in told.get(last[0].id, [])]


def _most(given: Form) -> str:
    """How many stories in a letter, which only a form of the publisher's own asks for."""
    return given.get("max_stories", [""])[0].strip()


def _wrong(given: Form, known_topics: Mapping[str, object], said: Speech) -> dict[str, str]:
    """The fields that hold what `signup.ask` would refuse, each with a sentence in the language of the page."""
    t = said.gettext
    wrong = {}
    try:
        subscribe.address(given.get("email", [""])[0])
    except BadInput:
        wrong["email"] = t("This is no address that we can write to. Please check it.")
    try:
        subscribe.display_name(given.get("name", [""])[0])
    except BadInput:
        wrong["name"] = t("This name is too long.")
    try:
        subscribe.checked(subscribe.Preferences(cadence=given.get("cadence", [""])[0]), ())
    except BadInput:
        wrong["cadence"] = t("This cannot be chosen. Please choose again.")
    if _most(given) not in ("", *map(str, range(1, taste.MOST + 1))):
        wrong["max_stories"] = t("Please enter a number from 1 to 100.")
    if TRAP in given:  # a program; or somebody whose browser filled it in, who must not go away in good faith
        wrong[TRAP] = t("This field is for programs, and must be empty. Please clear it and send the form again.")
    if not known_topics.keys() >= set(given.get("topic", [])):
        wrong["topic"] = t("This cannot be chosen. Please choose again.")
    return wrong


ROUTES = [
    Route("/subscribe/{newsletter}", join, methods=["GET", "POST"]),
    Route("/subscribe/{newsletter}/sent", sent),
    Route("/confirm/{token}", confirm, methods=["GET", "POST"]),
]
