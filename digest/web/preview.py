"""The editor's page: the edition to come (or a past one) in every guise, with checks and reasons. Loopback only.

The first part of each address is a secret made at the start, so that no other user and no web site can look or post.
Looking renders in a database that forgets; only the buttons change something, by POST.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import secrets
from collections import Counter, deque
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
from digest.store import Database, edition_stories, newsletters
from digest.store.pictures import Found
from digest.values import Pictured
from digest.web import bench, clients, editing
from digest.web.guises import GUISES, guise

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
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
_WRITTEN = {"note": "Note", "new_title": "Title", "excerpt": "Excerpt", "other": "Picture", "to": "Address"}
_TEMPLATES = Path(__file__).parent / "templates" / "preview"
_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
)
_PAGES.filters["place"] = bench.place

Look = Callable[..., edition.Shown]


@dataclass(frozen=True)
class Tools:
    """What the page asks of the machine; what is None is not offered.

    message   the whole message: (config, database, newsletter, shown, to=ADDRESS or None, note=BOOL) -> bytes
    send      (config, database, newsletter, shown, ADDRESS) -> what the server said; UserError where it refuses
    lookup    (config, addresses) -> for each that does not answer, why
    spam      (message) -> (points, most allowed, names of rules), or None where no spamd is there
    picture   (config, database, what is to be asked for) -> what it is; UserError where it is none for a story
    """

    message: Callable[..., bytes] | None = None
    send: Callable[[Config, Database, str, edition.Shown, str], str] | None = None
    lookup: Callable[[Config, list[str]], dict[str, str]] | None = None
    spam: Callable[[bytes], tuple[float, float, tuple[str, ...]] | None] | None = None
    picture: Callable[[Config, Database, Pictured], Found] | None = None


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
    tools: Tools = Tools()
    done: editing.History = field(default_factory=lambda: deque(maxlen=50))
    told: deque[str] = field(default_factory=lambda: deque(maxlen=20))  # sentences to be shown once
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
    values: dict[str, Any] = {"wish": one, "guises": GUISES, "shown": None, "error": "", "hint": "", "undo": ""}
    tabs = (*GUISES, "headers") if preview.tools.message else GUISES
    wanted = request.query_params.get("show", "")
    values |= {"mails": tuple(render.MAILS), "tools": preview.tools, "told": _told(preview)}
    values |= {"tabs": tabs, "tab_shown": wanted if wanted in tabs else "desktop", "found_id": bench.FOUND}
    values |= {"find": request.query_params.get("find", "")[:40]}
    try:
        found = preview.shown(one)
        config = preview.load()
        findings = bench.placed(render.check(found.rendered, note=bool(one.mail)), found.rendered.html)
        levels = Counter(placed.finding.level for placed in findings)
        settings = config.newsletters[one.newsletter]
        editable = not one.mail and (one.number is None or found.held)
        values |= {
            "shown": found,
            "inbox": bench.inbox(settings.sender, found.rendered.subject, found.rendered.html),
            "findings": findings,
            "troubles": [
                f"{levels[name]} {name}{'s'[: levels[name] - 1]}" for name in ("error", "warning") if levels[name]
            ],
            "topics": {**curate.headings(settings.topics), curate.OTHER: None},
            "editable": editable,
            "undo": editing.undoable(preview.done, one.newsletter, found.number) if editable else "",
            "order": ",".join(str(story.seq) for story in found.stories),
            "lost": clients.lost(found.rendered.html),
            "clients_as_of": clients.AS_OF,
            "numbers": _numbers(preview, one.newsletter, found),
            "thumbs": _thumbs(preview, found) if editable else {},
            "compared": None if one.mail else _compared(preview, one, found),
        }
    except UserError as error:
        values |= {"error": str(error), "hint": error.hint}
    return HTMLResponse(_PAGES.get_template("page.html").render(values), headers=_HEADERS)


def _numbers(preview: Preview, name: str, found: edition.Shown) -> dict[int, int]:
    """By what `digest story` calls these stories: a story has no such number before it is admitted."""
    with preview.database.read() as session:
        paper = newsletters.find(session, name)
        return edition_stories.story_ids_at(session, paper.id or 0, [story.seq for story in found.stories])


def _thumbs(preview: Preview, found: edition.Shown) -> dict[str, str]:
    """Our copies of the pictures that stories may have, as addresses that hold them."""
    names = [one.thumb for story in found.stories for one in story.pictures]
    data = edition.thumbs(preview.database, names)
    return {name: f"data:image/jpeg;base64,{base64.b64encode(copy).decode()}" for name, copy in data.items()}


def _told(preview: Preview) -> list[str]:
    told = list(preview.told)
    preview.told.clear()
    return told


def _compared(preview: Preview, one: Wish, found: edition.Shown) -> bench.Compared | None:
    """The same beside the edition before it; None where there is none, or where its mails are kept no longer."""
    if found.number < 2:
        return None
    try:
        return bench.compared(found, preview.shown(Wish(one.newsletter, found.number - 1)))
    except UserError:
        return None


def message(preview: Preview, request: Request) -> Response:
    """The whole message, as it would be sent: to be kept as a file, or its headers alone."""
    if preview.tools.message is None:
        raise HTTPException(404)
    one = preview.asked(request)
    try:
        content = _message(preview, one, preview.shown(one))
    except UserError as error:
        return PlainTextResponse(f"{error}\n{error.hint}\n", headers=_MAIL)
    if request.path_params["part"] == "headers":
        lines = (f"{name}: {value}\n" for name, value in bench.headers(content))
        return PlainTextResponse("".join(lines), headers=_MAIL)
    name = re.sub(r"[^A-Za-z0-9_-]", "-", f"{one.newsletter}-{one.mail or one.number or 'next'}")
    attached = {"Content-Disposition": f'attachment; filename="{name}.eml"'}
    return Response(content, media_type="message/rfc822", headers=_HEADERS | attached)


def _message(preview: Preview, one: Wish, found: edition.Shown) -> bytes:
    if preview.tools.message is None:
        raise HTTPException(404)
    config = preview.load()
    return preview.tools.message(
        config, preview.database, one.newsletter, found, to=one.reader or None, note=bool(one.mail)
    )


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
    seen = guise(found, name)
    if wanted := request.query_params.get("find", ""):
        findings = render.check(found, note=bool(preview.asked(request).mail))
        finding = next((one for one in findings if one.check == wanted), None)
        seen = seen if finding is None else bench.pointing(seen, finding)
    return HTMLResponse(edition.seen(preview.database, seen), headers=_MAIL)


def version(preview: Preview, request: Request) -> Response:
    """A mark that changes when settings, templates or stories do."""
    one = preview.asked(request)
    try:
        found = preview.shown(one)
        state = f"{found.rendered.subject}\0{found.rendered.html}\0{found.rendered.text}"
        # Ages in words move by themselves: with them, the page would reload under the editor's hands.
        state = re.sub(r">[^<>]*&middot;[^<>]*<", "><", state) if not one.at and one.number is None else state
        # On PostgreSQL each rehearsal gives its stories other numbers, and so its links other marks.
        if found.rendered.marks is not None:
            state = state.replace(found.rendered.marks.nonce, "")
        state = re.sub(r"/story/\d+", "/story/", state)
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
    form = {
        name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True).items()
    }
    preview: Preview = request.app.state.preview
    one = preview.asked(request)
    try:
        await run_in_threadpool(_pressed, preview, one, request.path_params["verb"], form)
    except UserError as error:
        # What was written is shown again: nobody has to write it anew because a run was quicker.
        written = [(label, form[name]) for name, label in _WRITTEN.items() if form.get(name, "").strip()]
        values = {"wish": one, "error": str(error), "hint": error.hint, "written": written}
        seen = form.get("to_come", "")
        values["made"] = seen if seen.isdecimal() and f"No. {seen} " in str(error) else ""
        return HTMLResponse(_PAGES.get_template("stopped.html").render(values), 409, headers=_HEADERS)
    return RedirectResponse(f"/{preview.token}/?{one.query}", 303, headers=_HEADERS)


def _pressed(preview: Preview, one: Wish, verb: str, form: dict[str, str]) -> None:
    config = preview.load()
    if verb in _ASKS:
        preview.told.append(_ASKS[verb](preview, config, one, form))
        return
    now = preview.clock()
    picture = preview.tools.picture
    seen = form.get("to_come", "")
    to_come = int(seen) if seen.isdecimal() and len(seen) < 10 else None
    editing.act(
        verb,
        editing.Edit(
            preview.database, config, one.newsletter, one.number, form, now, to_come, done=preview.done, picture=picture
        ),
    )


def _send(preview: Preview, config: Config, one: Wish, form: dict[str, str]) -> str:
    if preview.tools.send is None:
        raise HTTPException(404)
    to = form.get("to", "").strip()
    if not to:
        raise UserError("nobody to send it to", hint="write an address beside the button")
    return f"sent to {to}: {preview.tools.send(config, preview.database, one.newsletter, preview.shown(one), to)}"


def _lookup(preview: Preview, config: Config, one: Wish, form: dict[str, str]) -> str:
    if preview.tools.lookup is None:
        raise HTTPException(404)
    addresses = bench.addresses(preview.shown(one).rendered.html, home=config.imprint(one.newsletter).base_url)
    wrong = preview.tools.lookup(config, addresses)
    if not wrong:
        return f"all {len(addresses)} links answer"
    return "; ".join(f"{url} {why}" for url, why in wrong.items()) + f" (of {len(addresses)} links)"


def _spam(preview: Preview, config: Config, one: Wish, form: dict[str, str]) -> str:
    if preview.tools.spam is None:
        raise HTTPException(404)
    found = preview.tools.spam(_message(preview, one, preview.shown(one)))
    if found is None:
        return "no spamd answers on 127.0.0.1:783: nobody can say how the mail scores"
    points, most, rules = found
    return f"spamd gives {points:g} points, {most:g} are spam: {', '.join(rules) or 'no rule fires'}"


_ASKS: dict[str, Callable[[Preview, Config, Wish, dict[str, str]], str]] = {
    "send": _send,
    "lookup": _lookup,
    "spam": _spam,
}


async def _not_here(request: Request, *_: object) -> Response:
    return PlainTextResponse("not here\n", 404, headers=_HEADERS)


ROUTES = [
    Route("/", partial(gently, show)),
    Route("/mail/{guise}", partial(gently, mail)),
    Route("/message/{part}", partial(gently, message)),
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
    tools: Tools | None = None,
) -> Starlette:
    """The ASGI application; `load` reads the settings anew, so that a change shows at once.

    `moment` reads what the editor writes as one; UserError or ValueError where it is none.
    """
    inner = Starlette(routes=ROUTES, exception_handlers={404: _not_here})
    inner.state.preview = Preview(database, load, look, wish, token, clock, moment, tools or Tools())
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
                # A page elsewhere that knows the token: browsers say where a form was sent from.
                or (scope["method"] == "POST" and headers.get(b"sec-fetch-site", "same-origin") != "same-origin")
            ):
                await PlainTextResponse("not here\n", 404)(scope, receive, send)
                return
        await self._inner(scope, receive, send)
