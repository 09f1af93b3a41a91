"""What every page needs: the database, the settings, the clock, the look, and the headers that keep it private."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import jinja2
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.convertors import IntegerConvertor, StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from digest import sign
from digest.config import Config
from digest.edition import logos
from digest.errors import FetchError
from digest.models import Subscription
from digest.render import direction, languages
from digest.render.speech import Speech, speech
from digest.store import Database, people
from digest.store.replica import Replica
from digest.web.houses import House, Houses
from digest.web.rates import Rates
from digest.web.shelf import Shelf
from digest.web.turns import Turns

# Nothing is loaded from anywhere else, framed anywhere, or told about the token in the address.
PRIVATE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

MAX_BODY = 64_000
NUMBER = "[0-9]{1,9}"
_WRITERS = 8  # at a time, of the 15 connections and 40 threads that all share
_VISITORS = 4  # of the archive at a time, so that who wants to leave, or to choose, never waits behind them
_MOST_WAITING = 200  # of these; who comes then is asked to come again
_MOST_FIELDS = 400
_MAX_ACCEPT = 500
_COPY = "digest.copy"  # in the scope of a request that is answered from the replica
_QUALITY = re.compile(r"[qQ]\s*=\s*([01](?:\.[0-9]{0,3})?)")
_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
)
_PAGES.globals["brand_of"] = logos.on_page


_T = TypeVar("_T")
Form = Mapping[str, list[str]]  # what was posted, by field


class _Number(IntegerConvertor):
    """What both databases take for a number; any other is of no edition."""

    regex = NUMBER


class _Word(StringConvertor):
    """Without NUL, which PostgreSQL has no text with."""

    regex = "[^/\0]+"


register_url_convertor("number", _Number())
register_url_convertor("word", _Word())


class TooLarge(Exception):
    """A request's body is beyond what it may have."""


async def _nobody(url: str, most: int) -> bytes:
    raise FetchError(url, "is not asked")


@dataclass(frozen=True)
class Site:
    database: Database
    config: Config
    clock: Callable[[], datetime]
    mail_now: Callable[[], None]  # to be called when a mail is owed that somebody waits for
    tell_now: Callable[[], None]  # when something changed of which webhooks may be told
    houses: Houses
    house: House | None = None  # where a request came to; None: not of a request
    rates: Rates = field(default_factory=Rates)  # of the API's keys, and of who presses buttons
    ask: Callable[[str, int], Awaitable[bytes]] = _nobody  # what an address has, so many bytes at most; FetchError
    ears: Any = None  # of `hear`
    replica: Replica | None = None  # a copy of the database, for what is the same for everybody
    stops: threading.Event = field(default_factory=threading.Event)  # set: visitors are to go to another process
    shelf: Shelf = field(default_factory=Shelf)  # pages of mails as they were frozen
    _writers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_WRITERS))
    _visitors: Turns = field(default_factory=lambda: Turns(_VISITORS, most=_MOST_WAITING))

    async def change(self, do: Callable[..., _T], /, *given: object, **named: object) -> _T:
        """What `do` answers, which writes to the database.

        Writers wait for each other, for long while a large edition is composed; they leave room for who only reads.
        """
        async with self._writers:
            answer = await run_in_threadpool(do, *given, **named)
        self.tell_now()
        return answer

    async def show(self, do: Callable[[Request], Response], request: Request) -> Response:
        """What `do` answers about what everybody may read; 503 where too many wait for that already.

        It is asked of the replica, if there is one, and else of the database. So is what the replica does not have yet:
        links in a mail, and its pictures, may be asked for before it has them.
        """
        async with self._visitors.turn():
            if self.replica is not None:
                found = await run_in_threadpool(self.replica.read, lambda copy: _if_there(do, request, copy))
                if found is not None:
                    return found
            return await run_in_threadpool(do, request)

    @property
    def here(self) -> House:
        return self.house or self.houses.common

    @property
    def base_url(self) -> str:
        return self.here.base_url

    @property
    def root(self) -> str:
        """What paths of our own begin with here."""
        return self.here.root

    def shows(self, newsletter: str) -> bool:
        """Is a newsletter of the settings at home here?"""
        return newsletter in self.here.newsletters

    def base_of(self, newsletter: str) -> str:
        """Where a newsletter is at home, whose ever this address is."""
        return self.config.imprint(newsletter).base_url

    def subscription_of(self, purpose: sign.Purpose, token: str, session: Session) -> tuple[Subscription, str] | None:
        """Whom a link is of, and of which newsletter: signed by a key of that newsletter, and no other's."""
        number = sign.read_token(purpose, token, keys=self.config.all_keys)
        found = people.subscription_by_id(session, number) if number else None
        if found is None or sign.read_token(purpose, token, keys=self.config.imprint(found[1]).keys) != number:
            return None
        return found

    def path_of(self, purpose: sign.Purpose, subscription_id: int, newsletter: str) -> str:
        """The page of a subscription, as in `/preferences/TOKEN`: at any address of ours, so that old links work."""
        key = self.config.imprint(newsletter).key
        return f"{self.root}/{purpose}/{sign.token(purpose, subscription_id, key=key)}"

    def link_to(self, purpose: sign.Purpose, subscription_id: int, newsletter: str) -> str:
        """The same page at the newsletter's own address, where that is not here."""
        away = newsletter in self.config.newsletters and not self.shows(newsletter)
        path = self.path_of(purpose, subscription_id, newsletter).removeprefix(self.root)
        return f"{self.base_of(newsletter) if away else self.root}{path}"

    def client(self, request: Request) -> str:
        """The address a request came from, told by a proxy where it is one of ours; "" where nobody knows."""
        return request.client.host if request.client else ""

    def refuse_strangers(self, request: Request) -> None:
        """Answer 403 to a form that another site made its visitor post (Fetch Metadata, RFC 6454).

        Our pages send no referrer, so their forms say `Origin: null`, like those of old browsers; the proof is the
        token in the address then.
        """
        fetched, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "null")
        ours = urlsplit(self.base_url)
        here = (f"{ours.scheme}://{ours.netloc}".lower(), f"{request.url.scheme}://{request.headers.get('host', '')}")
        if fetched not in (None, "same-origin", "none") or (fetched is None and origin not in ("null", *here)):
            raise HTTPException(403)

    def page(self, name: str, status: int = 200, **values: object) -> Response:
        return HTMLResponse(self.html(name, **values), status_code=status, headers=PRIVATE)

    def html(self, name: str, **values: object) -> str:
        return _PAGES.get_template(name).render(values)

    def unknown(self, request: Request, *, gone: int = 410) -> Response:
        """That a link is none of ours; or, with the status `gone`, that nobody is behind it any more."""
        if self._was_ours(request.path_params.get("token", "")):
            return self.spoken(self.said_to(request), "gone.html", gone)
        return self.spoken(self.said_to(request), "unknown.html", 404)

    def _was_ours(self, token: str) -> bool:
        """Did we make this link to a reader's pages, for one who was erased since?"""
        purposes = (sign.Purpose.UNSUBSCRIBE, sign.Purpose.PREFERENCES)
        numbers = [sign.read_token(purpose, token, keys=self.config.all_keys) for purpose in purposes]
        if not any(numbers):
            return False
        with self.database.read() as session:
            return all(people.subscription_by_id(session, number) is None for number in numbers if number)

    def spoken(self, said: Speech, name: str, status: int, **values: object) -> Response:
        """A page in a language."""
        around = {"said": said, "t": said.gettext, "lang": said.language, "dir": direction(said.language)}
        return self.page(name, status, **around, **values)

    def said_to(self, request: Request) -> Speech:
        """The words for who is told that something went wrong: the newsletter's, or those that their browser asks for.

        A newsletter that shows nothing to strangers does not show that it is there either.
        """
        name = request.scope.get("path_params", {}).get("newsletter", "")
        settings = self.config.newsletters.get(name)
        if settings is not None and self.shows(name) and (settings.archive or settings.signup):
            return speech(settings.language)
        return speech(preferred(request.headers.get("accept-language", "")))

    def title(self, newsletter: str) -> str:
        """Of a newsletter, also of one that has left the settings."""
        settings = self.config.newsletters.get(newsletter)
        return settings.title if settings else newsletter


def site_of(request: Request) -> Site:
    """Of the application that a request came to, at the address by which it came, with what it is answered from."""
    site = request.app.state.site
    assert isinstance(site, Site)
    return replace(site, house=request.scope.get("house"), database=request.scope.get(_COPY, site.database))


def _if_there(do: Callable[[Request], Response], request: Request, copy: Database) -> Response | None:
    """What `do` answers by a copy of the database; None for what is not in it."""
    try:
        found = do(Request({**request.scope, _COPY: copy}))
    except HTTPException as error:
        if error.status_code != 404:
            raise
        return None
    return found if found.status_code != 404 else None


def visited(do: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint for what everybody may read: it takes turns, and may be answered from a copy of the database."""

    async def endpoint(request: Request) -> Response:
        return await site_of(request).show(do, request)

    return endpoint


def preferred(accept: str) -> str:
    """The language of ours that an Accept-Language wants most (RFC 9110 §12.5.4), "en" where it wants none of them."""
    ours, wanted = languages(), dict[str, float]()
    for word in accept[:_MAX_ACCEPT].split(","):
        tag, _, weight = word.partition(";")
        language = tag.strip().lower().partition("-")[0]
        quality = _QUALITY.fullmatch(weight.strip() or "q=1")
        if quality and language in ours:
            wanted[language] = max(float(quality[1]), wanted.get(language, 0.0))
    best = max(wanted, key=wanted.__getitem__, default="en")
    return best if wanted.get(best) else "en"


async def body_of(request: Request, *, most: int = MAX_BODY) -> bytes:
    """What was posted; TooLarge as soon as it is too much."""
    pieces, size = list[bytes](), 0
    async for chunk in request.stream():
        pieces.append(chunk)
        size += len(chunk)
        if size > most:
            raise TooLarge
    return b"".join(pieces)


def fields_of(request: Request, body: bytes) -> dict[str, list[str]]:
    """What a form says, by field.

    400 where it has too many of them, is not UTF-8 behind its percent signs, or calls itself something else (JSON, the
    multipart of a script), in which we would find no field and blame the reader for it.
    """
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and (said.startswith("multipart/") or said.endswith(("/json", "+json", "/xml", "+xml"))):
        raise HTTPException(400)
    try:
        return parse_qs(body.decode(), max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise HTTPException(400) from None
