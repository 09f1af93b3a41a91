"""How each request of the API is judged before it is answered: key, rate, method, scope, media types, fields, once.

What changes something is one transaction: the change, the line in the person's history, the events of webhooks, and the
answer that is kept for whoever asks again.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ValidationError
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from digest.config import Newsletter
from digest.errors import BadInput, NotFound, StorageError, UserError
from digest.store import keys, once
from digest.store.keys import Key
from digest.subscribe.signup import network_of
from digest.web import api_problem
from digest.web.api_problem import Problem
from digest.web.rates import Rate
from digest.web.site import PRIVATE, Site, TooLarge, body_of, site_of

JSON = "application/json"
_BEARER = re.compile(r"bearer +(\S{1,200})", re.IGNORECASE)
_ONCE = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')  # RFC 8941 string, or bare
_HALF = re.compile(r"\s*([\w!#$&^.+*-]+)/([\w!#$&^.+*-]+)\s*((?:;[^,]*)?)")
_NO_WEIGHT = re.compile(r";\s*q\s*=\s*0(?:\.0{0,3})?\s*(?:;|$)", re.IGNORECASE)
_log = logging.getLogger("digest.web")


@dataclass(frozen=True)
class Answer:
    """What came of a request: a value of `api_shapes`, or none."""

    status: int
    value: BaseModel | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    person: str = ""  # `address_key` of whom it tells
    erased: bool = False  # somebody was, and SQLite's log is to be emptied


@dataclass(frozen=True)
class Endpoint:
    """One method of one path: what it takes and gives. Routes and the OpenAPI document are both made from these."""

    method: str
    path: str  # below /api/v1, as OpenAPI has it
    does: Callable[[Call], Answer]
    summary: str
    answers: Mapping[int, tuple[str, type[BaseModel] | None]]
    verbs: tuple[str, ...] = ()  # any of them will do; none: each key may
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    may_lack_body: bool = False
    public: bool = False
    for_pages: bool = False  # pages of `[web] api_origins` may ask it from the browser

    @property
    def changes(self) -> bool:
        return self.method != "GET"


@dataclass(frozen=True)
class Call:
    """A request that was found good, and the transaction in which it is answered."""

    endpoint: Endpoint
    request: Request
    site: Site
    key: Key | None
    query: Any = None
    body: Any = None
    session: Any = None

    @property
    def newsletter(self) -> tuple[str, Newsletter]:
        name = self.request.path_params["newsletter"]
        return name, self.site.config.newsletters[name]

    @property
    def asker(self) -> Key:
        assert self.key is not None
        return self.key

    def need(self, verb: str) -> None:
        """403 for a key without this verb."""
        if verb not in self.asker.verbs:
            raise Problem(403, f"the key lacks the scope {verb}", scope=verb)

    def must_match(self, value: BaseModel) -> None:
        """412 where If-Match names another state than this (RFC 9110 §13.1.1)."""
        wanted = self.request.headers.get("if-match")
        if wanted is not None and wanted.strip() != "*" and etag(written(value)) not in _tags(wanted):
            raise Problem(412, "it has changed since it was read: read it again, and decide anew")


class Resource:
    """An ASGI application: all methods of one path."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self._by_method = {one.method: one for one in endpoints}
        self._for_pages = any(one.for_pages for one in endpoints)
        methods = sorted({*self._by_method, *(["HEAD"] if "GET" in self._by_method else [])})
        self._allow = ", ".join([*methods, *(["OPTIONS"] if self._for_pages else [])])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        site, rates = _everywhere(site_of(request)), dict[str, str]()
        try:
            response = await self._answer(request, site, rates)
        except Problem as problem:
            response = api_problem.answer(problem.status, problem.detail, headers=problem.headers, **problem.more)
        except TooLarge:
            response = api_problem.answer(413, "the body is larger than 64 kB")
        except StorageError as error:
            _log.error("%s", error)
            words = "the database cannot be reached for the moment"
            response = api_problem.answer(503, words, headers={"Retry-After": "60"})
        except HTTPException as error:  # of what pages and the API share
            words = "there is no such thing here" if error.status_code == 404 else error.detail
            response = api_problem.answer(error.status_code, words, headers=error.headers)
        except UserError as error:  # a lock that was lost, files that ran out: the same may do in a moment
            _log.error("%s", error)
            response = api_problem.answer(503, "not now: ask again in a moment", headers={"Retry-After": "2"})
        except ClientDisconnect:
            response = api_problem.answer(400, "the request ended before its end")  # to nobody
        response.headers.update(rates)
        if self._for_pages:
            response.headers.update(_for_pages(request, site))
        await response(scope, receive, send)

    async def _answer(self, request: Request, site: Site, rates: dict[str, str]) -> Response:
        endpoint = self._by_method.get("GET" if request.method == "HEAD" else request.method)
        asks_before = request.method == "OPTIONS" and "access-control-request-method" in request.headers
        if asks_before and self._for_pages and len(_for_pages(request, site)) > 1:
            # What a browser asks before it asks; it says nothing of a key.
            return Response(status_code=204, headers=PRIVATE | {"Allow": self._allow})
        key = None
        if not (self._by_method and all(one.public for one in self._by_method.values())):
            key, stale, rate = await run_in_threadpool(_known, request, site)
            # One of those who ask at once writes it down: all of them would take the threads of who only reads.
            if stale and site.rates.take(f"use of {key.id}", limit=1, now=site.clock()).allowed:
                await site.change(_note_use, site, key)
            rates.update(rate.headers)
            if not rate.allowed:
                raise Problem(429, f"the key may ask {rate.limit} times a minute")
        if not self._by_method:
            raise Problem(404, "there is no such address")
        if endpoint is None:
            raise Problem(405, f"{request.method} does not work here", headers={"Allow": self._allow})
        _permit(endpoint, request, site, key)
        if not _takes(request.headers.getlist("accept"), JSON):
            raise Problem(406, f"what is here is {JSON}")
        query = _query(endpoint, request.query_params)
        raw = await body_of(request) if endpoint.changes else b""
        call = Call(endpoint, request, site, key, query, _body(endpoint, request, raw))
        if endpoint.changes:
            return await site.change(_change, call, raw)
        return await run_in_threadpool(_read, call)


def _everywhere(site: Site) -> Site:
    """The API is one at all our addresses: which newsletters it shows is said by the key, not by the host."""
    return replace(site, house=None)


def _known(request: Request, site: Site) -> tuple[Key, bool, Rate]:
    """Whose key came with a request, whether its use is to be noted, and its rate; 401 without one that is good."""
    said = request.headers.getlist("authorization")
    token = _BEARER.fullmatch(said[0].strip()) if len(said) == 1 else None
    now, found = site.clock(), None
    if token:
        with site.database.read() as session:
            found = keys.find(session, token[1], now=now)
    if found is None:
        raise _not_good() if token else _no_key("a key is wanted: Authorization: Bearer dgk_…")
    key, stale = found
    return key, stale, _rate(request, site, key)


def _not_good() -> Problem:
    return _no_key("the key is unknown, revoked or expired", ', error="invalid_token"')


def _no_key(words: str, error: str = "") -> Problem:
    return Problem(401, words, headers={"WWW-Authenticate": f'Bearer realm="digest"{error}'})


def _note_use(site: Site, key: Key) -> None:
    try:
        with site.database.write() as session:
            keys.note_use(session, key.id, now=site.clock())
    except StorageError as error:
        _log.warning("when the key %s was used is not noted: %s", key.name, error)


def _rate(request: Request, site: Site, key: Key) -> Rate:
    """Count a request. A key that stands in a page is everybody's, so there each network counts for itself."""
    who = f"{key.id}"
    if key.verbs == {"signup"}:
        who += f" {network_of(site.client(request))}"
    return site.rates.take_of_all(who, limit=site.config.web.api_per_minute, now=site.clock())


def _permit(endpoint: Endpoint, request: Request, site: Site, key: Key | None) -> None:
    """403 for a key without the scope. What it is not for is to it as what is not there."""
    if key is None:
        return
    if endpoint.verbs and key.verbs.isdisjoint(endpoint.verbs):
        raise Problem(403, f"the key lacks the scope {' or '.join(endpoint.verbs)}", scope=endpoint.verbs[-1])
    name = request.path_params.get("newsletter")
    if name is not None and (name not in site.config.newsletters or not key.covers(name)):
        raise Problem(404, "there is no such newsletter, or the key is not for it")


# ---------------------------------------------------------------- what was sent


def _takes(accept: list[str], media_type: str) -> bool:
    """Whether an Accept lets through what we have (RFC 9110 §12.5.1); one that cannot be read does."""
    ours, best = media_type.split("/"), (-1, True)
    found = False
    for word in ",".join(accept)[:1000].split(","):
        half = _HALF.fullmatch(word)
        if half is None:
            continue
        found = True
        kind, sub = half[1].lower(), half[2].lower()
        if kind in ("*", ours[0]) and sub in ("*", ours[1]) and not (kind == "*" and sub != "*"):
            best = max(best, ((kind != "*") + (sub != "*"), not _NO_WEIGHT.search(half[3])))
    return not found or (best[0] >= 0 and best[1])


def _query(endpoint: Endpoint, params: QueryParams) -> BaseModel | None:
    if endpoint.query is None:
        if params:
            raise Problem(422, "there is nothing to ask in the query here")
        return None
    if len(params.multi_items()) != len(params):
        raise Problem(422, "the query says one thing twice")
    try:
        return endpoint.query.model_validate(dict(params))
    except ValidationError as error:
        raise api_problem.unfit(error, "query") from None


def _body(endpoint: Endpoint, request: Request, raw: bytes) -> BaseModel | None:
    if endpoint.body is None:
        if raw:
            raise Problem(422, "there is nothing to be sent here")
        return None
    if not raw and endpoint.may_lack_body:
        return endpoint.body()
    kind, *parameters = [part.strip().lower() for part in request.headers.get("content-type", "").split(";")]
    charset = [one.partition("=")[2].strip('"') for one in parameters if one.startswith("charset=")]
    if (
        kind != JSON
        or charset not in ([], ["utf-8"])
        or request.headers.get("content-encoding", "identity") != "identity"
    ):
        raise Problem(415, f"the body is to be {JSON} in UTF-8, and not packed", headers={"Accept": JSON})
    try:
        return endpoint.body.model_validate_json(raw)
    except ValidationError as error:
        raise api_problem.unfit(error, "body") from None


# ---------------------------------------------------------------- what is answered


def written(value: BaseModel) -> bytes:
    return value.model_dump_json().encode()


def etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def _tags(words: str) -> list[str]:
    return [one.strip() for one in words[:2000].split(",")]


def _read(call: Call) -> Response:
    with call.site.database.read() as session:
        answer = _done(call, session)
    body = written(answer.value) if answer.value is not None else b""
    headers = PRIVATE | dict(answer.headers) | {"ETag": etag(body)}
    known = call.request.headers.get("if-none-match")
    if answer.status == 200 and known is not None:
        tags = [tag.removeprefix("W/") for tag in _tags(known)]
        if headers["ETag"] in tags or "*" in tags:
            return Response(status_code=304, headers=headers)
    return Response(body, answer.status, headers=headers, media_type=JSON)


def _change(call: Call, raw: bytes) -> Response:
    """Do it in one transaction, once for each Idempotency-Key."""
    site, asked = call.site, _to_be_done_once(call, raw)
    attempt = 0
    if asked is not None:
        with site.database.write() as session:
            _hold_key(call, session)
            begun = _begin(session, asked, call)
        if isinstance(begun, once.Kept):
            headers = PRIVATE | begun.headers | {"Idempotency-Replayed": "true"}
            return _response(begun.status, begun.body.encode(), headers)
        attempt = begun
    try:
        with site.database.write() as session:
            _hold_key(call, session)
            answer = _done(call, session)
            session.flush()
            body = written(answer.value) if answer.value is not None else b""
            headers = dict(answer.headers)
            if asked is not None and answer.status < 400:
                kept = once.Kept(answer.status, headers, body.decode(), answer.person)
                if not once.finish(session, asked, attempt, kept):
                    raise Problem(
                        409, "the same request is being answered at this moment", headers={"Retry-After": "1"}
                    )
            elif asked is not None:
                once.forget(session, asked, attempt)
    except Exception:
        if asked is not None:
            with site.database.write() as session:
                once.forget(session, asked, attempt)
        raise
    if answer.erased and not site.database.checkpoint():
        _log.warning("somebody was erased while the database was read: its log keeps the bytes until it is emptied")
    return _response(answer.status, body, PRIVATE | headers)


def _response(status: int, body: bytes, headers: Mapping[str, str]) -> Response:
    kind = api_problem.MEDIA_TYPE if status >= 400 else JSON
    return Response(body, status, headers=dict(headers), media_type=kind if body else None)


def _hold_key(call: Call, session: Session) -> None:
    """401 for a key that was revoked, or expired, while the rest of its request was on the way."""
    if call.key is not None and not keys.hold(session, call.key.id, now=call.site.clock()):
        raise _not_good()


def _begin(session: Session, asked: once.Request, call: Call) -> once.Kept | int:
    try:
        return once.begin(session, asked, now=call.site.clock())
    except once.Different:
        raise Problem(422, "this Idempotency-Key came with another request: take a new one") from None
    except once.UnderWay:
        words = "the same request is being answered at this moment"
        raise Problem(409, words, headers={"Retry-After": "1"}) from None


def _to_be_done_once(call: Call, raw: bytes) -> once.Request | None:
    said = call.request.headers.getlist("idempotency-key")
    if not said:
        return None
    found = _ONCE.fullmatch(said[0].strip()) if len(said) == 1 else None
    if found is None:
        raise Problem(400, "an Idempotency-Key is 1 to 255 characters of ASCII, in quotes or without spaces")
    scope, heads = call.request.scope, call.request.headers
    parts = [call.request.method, scope["path"], scope["query_string"].decode("latin-1"), heads.get("if-match", "")]
    about = "\0".join(parts).encode() + b"\0" + raw
    secret = call.site.config.lasting_key.encode()
    # The addresses in them are few enough to be tried, so a plain hash would tell them.
    fingerprint = hmac.digest(secret, b"api\0" + about, hashlib.sha256).hex()
    mark = hashlib.sha256((found[1] or found[2]).encode()).hexdigest()
    return once.Request(call.asker.id, mark, fingerprint)


def _done(call: Call, session: Session) -> Answer:
    """What the endpoint answers; what `digest` refuses, in the words that it has for it."""
    try:
        return call.endpoint.does(replace(call, session=session))
    except NotFound as error:
        raise Problem(404, str(error)) from None
    except BadInput as error:
        raise Problem(422, f"{error}" + (f" ({error.hint})" if error.hint else "")) from None
    except StorageError:
        raise
    except UserError as error:
        raise Problem(409, str(error)) from None


def _for_pages(request: Request, site: Site) -> dict[str, str]:
    """What lets a page of the site's own read the answer (Fetch, CORS); nothing for any other."""
    origin = request.headers.get("origin", "")
    if origin not in site.config.web.api_origins:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
        "Access-Control-Expose-Headers": "RateLimit, RateLimit-Policy, Retry-After",
        "Access-Control-Max-Age": "600",
    }
