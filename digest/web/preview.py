"""The editor's page: the edition to come (or a past one) in every guise, with checks and reasons. Loopback only.

The first part of each address is a secret made at the start, so that no other user and no web site can look or post.
Looking renders in a database that forgets; only the buttons change something, by POST.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from digest import curate, edition, render
from digest.config import Config
from digest.errors import UserError
from digest.store import Database
from digest.web import editing
from digest.web.guises import GUISES, guise

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    # Not "no-referrer": browsers then post our own forms with `Origin: null`, as a stranger's would be.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
# The mail itself: nothing runs in it, and its links open elsewhere.
_MAIL = _HEADERS | {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox",
    "Referrer-Policy": "no-referrer",
}
_MAX_BODY = 64_000
_TEMPLATES = Path(__file__).parent / "templates" / "preview"
_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
)

Look = Callable[..., edition.Shown]


@dataclass(frozen=True)
class Wish:
    """What the editor wants to see. No number means the edition to come, no moment means now.

    With `mail` it is no edition but a mail of that kind, in a language or (none) that of the newsletter.
    """

    newsletter: str
    number: int | None = None
    reader: str = ""
    at: str = ""
    mail: str = ""
    language: str = ""

    @property
    def query(self) -> str:
        asked = {"edition": self.number or "", "as": self.reader, "at": self.at}
        asked |= {"mail": self.mail, "language": self.language}
        return urlencode({name: value for name, value in asked.items() if value})


@dataclass(frozen=True)
class Preview:
    """What the editor's pages need. `wish` is what is shown to who asks for nothing else."""

    database: Database
    load: Callable[[], Config]
    look: Look
    wish: Wish
    token: str
    clock: Callable[[], datetime]
    moment: Callable[[str], datetime]
    one_at_a_time: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))  # each look renders a mail

    def asked(self, request: Request) -> Wish:
        query = request.query_params
        number = self.wish.number
        if "edition" in query:
            words = query["edition"]
            number = int(words) if words.isdecimal() and len(words) < 10 else None
        return replace(
            self.wish,
            number=number,
            reader=query.get("as", self.wish.reader),
            at=query.get("at", self.wish.at),
            mail=query.get("mail", self.wish.mail),
            language=query.get("language", self.wish.language),
        )

    def shown(self, one: Wish) -> edition.Shown:
        try:
            at = self.moment(one.at).astimezone() if one.at else self.clock()
        except (ValueError, OverflowError):
            raise UserError(f"{one.at!r} is no moment", hint="write it as 2026-11-23T07:00") from None
        return self.look(
            self.database,
            self.load(),
            one.newsletter,
            number=one.number,
            reader=one.reader or None,
            at=at,
            mail=one.mail,
            language=one.language,
        )


def show(preview: Preview, request: Request) -> Response:
    one = preview.asked(request)
    values: dict[str, Any] = {"wish": one, "guises": GUISES, "shown": None, "error": "", "hint": "", "topics": {}}
    values["mails"] = tuple(render.MAILS)
    try:
        found = preview.shown(one)
        config = preview.load()
        findings = render.check(found.rendered, note=bool(one.mail))
        levels = Counter(finding.level for finding in findings)
        values |= {
            "shown": found,
            "findings": findings,
            "troubles": [
                f"{levels[name]} {name}{'s'[: levels[name] - 1]}" for name in ("error", "warning") if levels[name]
            ],
            "topics": {**curate.headings(config.newsletters[one.newsletter].topics), curate.OTHER: None},
            "editable": not one.mail and (one.number is None or found.held),
        }
    except UserError as error:
        values |= {"error": str(error), "hint": error.hint}
    return HTMLResponse(_PAGES.get_template("page.html").render(values), headers=_HEADERS)


def mail(preview: Preview, request: Request) -> Response:
    name = request.path_params["guise"]
    if name not in GUISES:
        raise HTTPException(404)
    try:
        found = preview.shown(preview.asked(request)).rendered
    except UserError as error:
        return PlainTextResponse(f"{error}\n{error.hint}\n", headers=_MAIL)
    if name in ("text", "source"):
        return PlainTextResponse(found.text if name == "text" else found.html, headers=_MAIL)
    return HTMLResponse(edition.seen(preview.database, guise(found, name)), headers=_MAIL)


def version(preview: Preview, request: Request) -> Response:
    """A mark that changes when settings, templates or stories do."""
    one = preview.asked(request)
    try:
        found = preview.shown(one)
        state = f"{found.rendered.subject}\0{found.rendered.html}\0{found.rendered.text}"
        # Ages in words move by themselves: with them, the page would reload under the editor's hands.
        state = re.sub(r">[^<>]*&middot;[^<>]*<", "><", state) if not one.at and one.number is None else state
    except UserError as error:
        state = str(error)
    return JSONResponse({"version": hashlib.sha256(state.encode()).hexdigest()[:16]}, headers=_HEADERS)


def script(preview: Preview, request: Request) -> Response:
    source = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    return Response(source, media_type="text/javascript", headers=_HEADERS)


async def gently(do: Callable[[Preview, Request], Response], request: Request) -> Response:
    preview: Preview = request.app.state.preview
    async with preview.one_at_a_time:
        return await run_in_threadpool(do, preview, request)


async def press(request: Request) -> Response:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            return PlainTextResponse("too much\n", 413, headers=_HEADERS)
    form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    preview: Preview = request.app.state.preview
    one = preview.asked(request)
    try:
        await run_in_threadpool(_pressed, preview, one, request.path_params["verb"], form)
    except UserError as error:
        return PlainTextResponse(f"{error}\n{error.hint}\n", 409, headers=_HEADERS)
    return RedirectResponse(f"/{preview.token}/?{one.query}", 303, headers=_HEADERS)


def _pressed(preview: Preview, one: Wish, verb: str, form: dict[str, str]) -> None:
    config = preview.load()
    editing.act(verb, editing.Edit(preview.database, config, one.newsletter, one.number, form, preview.clock()))


async def _not_here(request: Request, *_: object) -> Response:
    return PlainTextResponse("not here\n", 404, headers=_HEADERS)


ROUTES = [
    Route("/", partial(gently, show)),
    Route("/mail/{guise}", partial(gently, mail)),
    Route("/version", partial(gently, version)),
    Route("/page.js", partial(gently, script)),
    Route("/do/{verb}", press, methods=["POST"]),
]


def application(
    database: Database,
    *,
    load: Callable[[], Config],
    look: Look,
    wish: Wish,
    token: str,
    clock: Callable[[], datetime],
    moment: Callable[[str], datetime] = datetime.fromisoformat,
) -> Starlette:
    """The ASGI application; `load` reads the settings anew, so that a change shows at once.

    `moment` reads what the editor writes as one; UserError or ValueError where it is none.
    """
    inner = Starlette(routes=ROUTES, exception_handlers={404: _not_here})
    inner.state.preview = Preview(database, load, look, wish, token, clock, moment)
    return _Guard(Starlette(routes=[Mount(f"/{token}", inner)], exception_handlers={404: _not_here}), token)


class _Guard(Starlette):
    """Lets in who asks for this machine by its own name: a page elsewhere cannot be led here by its DNS."""

    def __init__(self, inner: Starlette, token: str) -> None:
        super().__init__()
        self._inner = inner
        self._token = token

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
            host = headers.get(b"host", "").rpartition(":")[0] or headers.get(b"host", "")
            origin = headers.get(b"origin", "")
            first = scope["path"].removeprefix("/").partition("/")[0]  # of `OPTIONS *` it is the star
            known = secrets.compare_digest(first.encode("utf-8", "replace"), self._token.encode())
            if (
                not known
                or host not in ("127.0.0.1", "localhost")
                or origin not in ("", f"http://{headers.get(b'host', '')}")
            ):
                await PlainTextResponse("not here\n", 404)(scope, receive, send)
                return
        await self._inner(scope, receive, send)
