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
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import jinja2
from sqlmodel import Session
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from digest import curate, edition, render
from digest.config import Config
from digest.errors import UserError
from digest.store import Database, editions, newsletters

GUISES = ("desktop", "phone", "dark", "no-images", "no-style", "text", "source")
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
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src https:; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox",
    "Referrer-Policy": "no-referrer",
}
_MAX_BODY = 64_000
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_IMAGE_SOURCE = re.compile(r'(<img\b[^>]*?)\ssrc="[^"]*"')
_DARK = re.compile(r"@media \(prefers-color-scheme: dark\)")

Look = Callable[..., edition.Shown]


@dataclass(frozen=True)
class Wish:
    """What the editor wants to see. No number means the edition to come, no moment means now."""

    newsletter: str
    number: int | None = None
    reader: str = ""
    at: str = ""

    @property
    def query(self) -> str:
        asked = {"edition": self.number or "", "as": self.reader, "at": self.at}
        return urlencode({name: value for name, value in asked.items() if value})


def guise(mail: render.Rendered, name: str) -> str:
    """The HTML part as one kind of client shows it."""
    if name == "no-style":
        return _STYLE.sub("", _IMAGE_SOURCE.sub(r"\1", mail.html))
    if name == "no-images":
        return _IMAGE_SOURCE.sub(r"\1", mail.html)
    if name == "dark":
        return _in_sheets(mail.html, "@media all")
    return _in_sheets(mail.html, "@media not all")


def _in_sheets(html: str, dark: str) -> str:
    return _STYLE.sub(lambda sheet: _DARK.sub(dark, sheet[0]), html)


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
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates" / "preview"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )

    def asked(request: Request) -> Wish:
        query = request.query_params
        number = query.get("edition", "")
        return replace(
            wish,
            number=int(number)
            if number.isdecimal() and len(number) < 10
            else wish.number
            if "edition" not in query
            else None,
            reader=query.get("as", wish.reader),
            at=query.get("at", wish.at),
        )

    def shown(one: Wish) -> edition.Shown:
        try:
            at = moment(one.at).astimezone() if one.at else clock()
        except (ValueError, OverflowError):
            raise UserError(f"{one.at!r} is no moment", hint="write it as 2026-11-23T07:00") from None
        return look(database, load(), one.newsletter, number=one.number, reader=one.reader or None, at=at)

    def show(request: Request) -> Response:
        one = asked(request)
        values: dict[str, Any] = {"wish": one, "guises": GUISES, "shown": None, "error": "", "hint": "", "topics": {}}
        try:
            found = shown(one)
            config = load()
            findings = render.check(found.rendered)
            levels = Counter(finding.level for finding in findings)
            values |= {
                "shown": found,
                "findings": findings,
                "troubles": [
                    f"{levels[name]} {name}{'s'[: levels[name] - 1]}" for name in ("error", "warning") if levels[name]
                ],
                "topics": {**curate.headings(config.newsletters[one.newsletter].topics), curate.OTHER: None},
                "editable": one.number is None or found.held,
            }
        except UserError as error:
            values |= {"error": str(error), "hint": error.hint}
        return HTMLResponse(pages.get_template("page.html").render(values), headers=_HEADERS)

    def mail(request: Request) -> Response:
        name = request.path_params["guise"]
        if name not in GUISES:
            raise HTTPException(404)
        try:
            found = shown(asked(request)).rendered
        except UserError as error:
            return PlainTextResponse(f"{error}\n{error.hint}\n", headers=_MAIL)
        if name in ("text", "source"):
            return PlainTextResponse(found.text if name == "text" else found.html, headers=_MAIL)
        return HTMLResponse(guise(found, name), headers=_MAIL)

    def version(request: Request) -> Response:
        """A mark that changes when settings, templates or stories do."""
        one = asked(request)
        try:
            found = shown(one)
            state = f"{found.rendered.subject}\0{found.rendered.html}\0{found.rendered.text}"
            # Ages in words move by themselves: with them, the page would reload under the editor's hands.
            state = re.sub(r">[^<>]*&middot;[^<>]*<", "><", state) if not one.at and one.number is None else state
        except UserError as error:
            state = str(error)
        return JSONResponse({"version": hashlib.sha256(state.encode()).hexdigest()[:16]}, headers=_HEADERS)

    def act(one: Wish, verb: str, form: dict[str, str]) -> None:
        config = load()
        name = one.newsletter
        if verb == "note":
            edition.annotate(database, name, config, form.get("note", ""), number=one.number)
            return
        if verb == "approve":
            with database.write() as session:
                edition.approve(session, name, one.number or 0, now=clock())
            return

        def change(session: Session) -> None:
            if one.number is not None:
                edition.held_edition(session, name, one.number)
            seq = int(form["seq"]) if form.get("seq", "").isdecimal() and len(form["seq"]) < 19 else 0
            paper = newsletters.find(session, name)
            story = editions.story_id_at(session, paper.id or 0, seq, title=form.get("title", ""))
            if story is None:
                raise UserError("that story is no longer where it was", hint="look again, and choose it there")
            if verb in ("pin", "unpin"):
                edition.pin(session, name, story, pinned=verb == "pin")
            elif verb in ("drop", "undrop"):
                edition.drop(session, name, story, dropped=verb == "drop")
            elif verb == "move":
                topics = curate.headings(config.newsletters[name].topics)
                edition.move(session, name, story, form.get("topic", ""), topics=topics)
            else:
                raise HTTPException(404)

        if one.number is not None:
            edition.recompose(database, name, config, one.number, change)
            return
        # What is seen may not be admitted yet: a story has its number only then.
        edition.take_in(database, name, config.newsletters[name], config.curate, now=clock())
        with database.write() as session:
            change(session)

    async def post(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY:
                return PlainTextResponse("too much\n", 413, headers=_HEADERS)
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        one = asked(request)
        try:
            await run_in_threadpool(act, one, request.path_params["verb"], form)
        except UserError as error:
            return PlainTextResponse(f"{error}\n{error.hint}\n", 409, headers=_HEADERS)
        return RedirectResponse(f"/{token}/?{one.query}", 303, headers=_HEADERS)

    def script(request: Request) -> Response:
        source = (Path(__file__).parent / "templates" / "preview" / "page.js").read_text(encoding="utf-8")
        return Response(source, media_type="text/javascript", headers=_HEADERS)

    one_at_a_time = asyncio.Semaphore(2)  # each look renders a mail

    async def gentle(request: Request, do: Callable[[Request], Response]) -> Response:
        async with one_at_a_time:
            return await run_in_threadpool(do, request)

    def route(path: str, do: Callable[[Request], Response]) -> Route:
        async def serve(request: Request) -> Response:
            return await gentle(request, do)

        return Route(path, serve)

    async def guarded(request: Request, *_: object) -> Response:
        return PlainTextResponse("not here\n", 404, headers=_HEADERS)

    inner = Starlette(
        routes=[
            route("/", show),
            route("/mail/{guise}", mail),
            route("/version", version),
            route("/page.js", script),
            Route("/do/{verb}", post, methods=["POST"]),
        ],
        exception_handlers={404: guarded},
    )
    return _Guard(Starlette(routes=[Mount(f"/{token}", inner)], exception_handlers={404: guarded}), token)


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
