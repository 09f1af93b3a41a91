"""One polite request: conditional, few redirects, bounded in time and in bytes after decompression."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from digest import __version__
from digest.collect import challenge, trouble
from digest.collect.addresses import host_of
from digest.collect.client import httpx
from digest.collect.guard import Guard, Resolve, is_this_machine, resolve
from digest.collect.hosts import Hosts
from digest.collect.packing import ACCEPTED, decompress
from digest.collect.rate_limits import retry_after
from digest.collect.wire import Proxies, Transport, Way, refused
from digest.config import Config
from digest.dataclass import dataclass
from digest.errors import FetchError, Unreachable
from digest.origin import downgrades, same, shown
from digest.parse.text import http_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MAX_REDIRECTS = 5
SMALL = 256 * 1024  # bytes; a body beyond this waits for one of a few seats, so that memory stays bounded
SEATS = 3
CONNECT_SECONDS = 10
PAGE_SECONDS = 5  # for the page of an error, which tells who made it
_FIRST_FEEDS = datetime(1990, 1, 1, tzinfo=UTC)
MAX_COOKIES = 8192  # bytes that go with one request
_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.5"
)
_AS_SET = Way()
_REASONS = {
    202: "accepted, and not ready yet",
    204: "no content",
    206: "a part of it, which was not asked for",
    300: "several choices",
    400: "bad request",
    401: "login required",
    402: "payment required",
    403: "forbidden",
    404: "not found",
    406: "not acceptable",
    410: "gone for good",
    429: "too many requests",
    451: "withheld for legal reasons",
    500: "server error",
    502: "bad gateway",
    503: "unavailable",
    504: "gateway timeout",
}


@dataclass(frozen=True)
class Answer:
    """What a server said: 200 with a body, or 304 (nothing new) without.

    `url` is where the body came from in the end; `moved_to` where permanent redirects alone lead, else "". A way that
    leaves https is no lasting one, whatever the server calls it: who changes what goes in clear could say so. `link` is
    the field of that name (RFC 8288), as it came.
    """

    url: str
    status: int
    body: bytes = b""
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""
    max_age: timedelta | None = None
    moved_to: str = ""
    link: str = ""


class _Time:
    """What a server has of time in all. It stands still while we wait for what is ours: a turn, or room."""

    def __init__(self, limit: asyncio.Timeout, seconds: float) -> None:
        self._limit = limit
        self._left = seconds

    def go(self) -> None:
        if self._limit.when() is None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._left)

    def stop(self) -> None:
        until = self._limit.when()
        if until is not None:
            self._left = until - asyncio.get_running_loop().time()
            self._limit.reschedule(None)


@dataclass
class _Asking:
    """One fetch on its way along redirects."""

    start: str
    url: str
    now: datetime
    hold: AsyncExitStack
    conditions: dict[str, str]
    secrets: dict[str, str]
    way: Way
    form: bytes = b""
    time: _Time = field(init=False)
    jars: dict[str, httpx.Cookies] = field(default_factory=dict)  # by host
    turns: set[str] = field(default_factory=set)  # hosts at which this fetch had its turn
    allowed: Callable[[str], Awaitable[None]] | None = None
    moved_to: str = ""
    lasting: bool = True

    def follow(self, response: httpx.Response) -> None:
        """Go on where a redirect leads. Raises FetchError."""
        self.jars.setdefault(host_of(self.url), httpx.Cookies()).extract_cookies(response)
        target = http_url(response.headers.get_list("location")[0], self.url)  # of several the first, as browsers do
        if not target:
            raise FetchError(self.start, f"redirects to what is no web address ({_short(response)})")
        if self.form and (response.status_code not in (307, 308) or downgrades(self.url, target)):
            raise FetchError(self.start, f"redirects what is posted ({response.status_code})")
        fragment = urlsplit(self.url).fragment  # inherited (RFC 9110 §10.2.2): by it a page is two feeds
        if fragment and "#" not in target:
            target = f"{target}#{fragment}"
        permanent = response.status_code in (301, 308)
        self.lasting = self.lasting and permanent and not downgrades(self.url, target)
        self.moved_to = target if self.lasting else self.moved_to
        self.url = target
        if not same(target, self.start):
            self.secrets, self.way = {}, replace(self.way, ca_file="")


class Fetcher:
    """What asks, for the length of a run. An async context manager.

    A turn at the host that is asked, and a connection to its address, are taken for each step of a way along
    redirects, and given back before the next one.
    """

    def __init__(
        self,
        config: Config,
        hosts: Hosts,
        *,
        resolve: Resolve = resolve,
        connections: int | None = None,
        accept: str = _ACCEPT,
    ) -> None:
        settings = config.collect
        self._seconds = settings.timeout_seconds
        self._max_bytes = settings.max_bytes
        self._hosts = hosts
        self._connections = asyncio.Semaphore(connections or settings.connections)
        self._seats = asyncio.Semaphore(SEATS)
        self._guard = Guard(allow_private=settings.allow_private_addresses, resolve=resolve)
        self._proxies = Proxies(settings.proxy.get_secret_value())
        self._transport = Transport()
        self.begun: set[str] = set()  # the addresses that were given to `fetch` and had their turn
        self._headers = {
            "User-Agent": user_agent(settings.contact, config.base_url),
            "Accept": accept,
            "Accept-Encoding": ACCEPTED,
        }
        timeout = httpx.Timeout(self._seconds, connect=min(CONNECT_SECONDS, self._seconds))
        self._extensions = {"timeout": timeout.as_dict()}

    async def __aenter__(self) -> Fetcher:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._hosts.close()

    async def fetch(
        self,
        url: str,
        *,
        now: datetime,
        hold: AsyncExitStack,
        etag: str = "",
        last_modified: str = "",
        headers: Mapping[str, str] | None = None,
        way: Way = _AS_SET,
        allowed: Callable[[str], Awaitable[None]] | None = None,
    ) -> Answer:
        """Ask for `url`; `hold` keeps what a large body needs until the caller is done with it.

        Each step of the way waits for `allowed`, which raises FetchError where it is not to be taken.

        `headers` (secrets) go to the origin of `url` (scheme, host and port) only, and so do those that the settings
        have for its host. A redirect to another one ends them for good, also where that leads back: it would choose
        the path; the certificates of `way` are trusted for as long. Cookies last as long as this call, each for the
        host that set it. Raises FetchError, of which Held is that a host is not asked now.
        """
        conditions = {}
        if etag:
            conditions["If-None-Match"] = etag
        if last_modified and " 1970 " not in last_modified:  # as an older release kept it
            conditions["If-Modified-Since"] = last_modified
        secrets = self._hosts.headers(url) | dict(headers or {})
        return await self._in_time(_Asking(url, url, now, hold, conditions, secrets, way, allowed=allowed))

    async def post(self, url: str, form: bytes, *, now: datetime, way: Way = _AS_SET) -> Answer:
        """Post a form to `url` as `fetch` asks there; no body of what is answered is read. Raises FetchError."""
        async with AsyncExitStack() as hold:
            return await self._in_time(_Asking(url, url, now, hold, {}, self._hosts.headers(url), way, form))

    async def _in_time(self, asking: _Asking) -> Answer:
        url = asking.start
        try:
            async with asyncio.timeout(None) as limit:
                asking.time = _Time(limit, self._seconds)
                return await self._follow(asking)
        except TimeoutError:
            raise Unreachable(url, f"took longer than {self._seconds:g} seconds") from None
        except FetchError as error:
            error.url = url
            error.answered_by = host_of(asking.url)
            raise
        except httpx.TimeoutException:
            raise Unreachable(url, "does not answer") from None
        except httpx.ConnectError as error:
            raise Unreachable(url, trouble.in_words(error), refused=refused(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise FetchError(url, trouble.in_words(error)) from error
        except (OSError, UnicodeError, ValueError) as error:
            # What sockets, IDNA and TLS raise past the client's own errors.
            raise FetchError(url, trouble.in_words(error)) from error

    async def _follow(self, asking: _Asking) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            if asking.allowed is not None:
                await asking.allowed(asking.url)
            async with self._asked(asking) as response:
                if response.status_code in (301, 302, 303, 307, 308) and "location" in response.headers:
                    asking.follow(response)
                    continue
                return await self._answer(response, asking)
        raise FetchError(asking.start, f"redirects more than {MAX_REDIRECTS} times")

    @asynccontextmanager
    async def _asked(self, asking: _Asking) -> AsyncIterator[httpx.Response]:
        """The answer to one request, its body still to come; turn and connection last as long as the block."""
        request = self._request(asking)
        host = request.url.host
        scheme, port = request.url.scheme, request.url.port or {"http": 80, "https": 443}[request.url.scheme]
        proxy = self._proxies.of(scheme, host, port, own=asking.way.proxy)
        async with AsyncExitStack() as permits:
            ours = is_this_machine(host)  # which is asked without ceremony
            if not ours:
                await permits.enter_async_context(self._hosts.turn(host, again=host in asking.turns))
                asking.turns.add(host)
            asking.time.go()
            addresses = [] if proxy else await self._guard.addresses(host, port)
            if proxy:
                self._guard.check_literal(host)
            address = addresses[0] if addresses else ""
            if not ours or self._connections.locked():
                asking.time.stop()
            if address and not ours:
                await permits.enter_async_context(self._hosts.seat(host, address))
            await permits.enter_async_context(self._connections)
            self._hosts.check(host, address)
            asking.time.go()
            self.begun.add(asking.start)
            try:
                response = await self._transport.send(
                    request, addresses=addresses, proxy=proxy, ca_file=asking.way.ca_file
                )
            except httpx.ConnectError as error:
                if proxy and refused(error):
                    raise FetchError(asking.url, "cannot be reached through the proxy (connection refused)") from error
                raise
            permits.push_async_callback(response.aclose)
            rest = self._hosts.heard(host, address, response.status_code, response.headers)
            response.extensions["rest"] = rest
            yield response
            asking.time.stop()

    def _request(self, asking: _Asking) -> httpx.Request:
        headers: dict[str, str] | httpx.Headers = self._headers | asking.conditions
        if asking.way.user_agent:
            headers["User-Agent"] = asking.way.user_agent
        if asking.secrets:
            headers = httpx.Headers(headers)
            headers.update(asking.secrets)
        if asking.form:
            headers = httpx.Headers(headers)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        request = httpx.Request(
            "POST" if asking.form else "GET",
            asking.url,
            headers=headers,
            content=asking.form or None,
            extensions=self._extensions,
        )
        if asking.jars and (jar := asking.jars.get(host_of(asking.url))):
            own = request.headers.pop("Cookie", "")
            jar.set_cookie_header(request)
            cookies = "; ".join(one for one in (own, request.headers.get("Cookie", "")) if one)
            request.headers["Cookie"] = cookies if len(cookies) <= MAX_COOKIES else own
        return request

    async def _answer(self, response: httpx.Response, asking: _Asking) -> Answer:
        status, url = response.status_code, asking.url
        says = dict(response.headers.items())  # all at once: each that is looked up goes through all of them
        if asking.form and 200 <= status < 300:
            return Answer(url, status)
        if status != 304 and not _has_it_all(status, says):
            raise await self._error(response, asking)
        if status == 304 and not response.request.headers.keys() & {"if-none-match", "if-modified-since"}:
            raise FetchError(url, "answers 304 (not modified) although we have nothing of it yet", status=304)
        body = b"" if status == 304 else await self._body(response, asking)
        if body and (who := challenge.maker(status, says, body, url=url)):
            raise FetchError(url, challenge.in_words(who), status=status, challenge=who)
        return Answer(
            url=url,
            status=304 if status == 304 else 200,
            body=body,
            content_type=says.get("content-type", ""),
            etag=_validator(says.get("etag", "")),
            last_modified=_modified(says.get("last-modified", ""), asking),
            max_age=max_age(says.get("cache-control", "")),
            moved_to=asking.moved_to,
            link=says.get("link", ""),
        )

    async def _error(self, response: httpx.Response, asking: _Asking) -> FetchError:
        """What an answer that is an error comes to, whose page is looked at for who made it."""
        status, says = response.status_code, response.headers
        page = b"" if status in (404, 410) else await self._page(response)
        who = challenge.maker(status, says, page, url=asking.url)
        words = _REASONS.get(status, "")
        reason = challenge.in_words(who) if who else f"answers {status}{f' ({words})' if words else ''}"
        wait = retry_after(says.get("retry-after", ""), now=asking.now)
        if status == 429:
            wait = response.extensions["rest"] or wait
        if status == 410 and not asking.lasting:
            status = 404  # where a way leads for now is gone, and not what was asked for
        return FetchError(asking.url, reason, status=status, retry_after=wait, challenge=who)

    async def _page(self, response: httpx.Response) -> bytes:
        """The beginning of an error's page, as far as it comes soon and can be read."""
        page = bytearray()
        try:
            async with asyncio.timeout(min(PAGE_SECONDS, self._seconds / 2)):
                async for piece in decompress(
                    response.aiter_raw(), response.headers.get("content-encoding", ""), url=str(response.url)
                ):
                    page += piece
                    if len(page) >= challenge.READ:
                        break
        except (FetchError, httpx.HTTPError, TimeoutError):
            pass
        return bytes(page)

    async def _body(self, response: httpx.Response, asking: _Asking) -> bytes:
        body = bytearray()
        seated = False
        encoding = response.headers.get("content-encoding", "")
        async for piece in decompress(response.aiter_raw(), encoding, url=str(response.url)):
            body += piece
            if len(body) > self._max_bytes:
                raise FetchError(str(response.url), f"is larger than {self._max_bytes / 1e6:g} MB")
            if len(body) > SMALL and not seated:
                # The server is not to blame while we wait for room.
                asking.time.stop()
                await asking.hold.enter_async_context(self._seats)
                asking.time.go()
                seated = True
        return bytes(body)


def user_agent(contact: str, base_url: str) -> str:
    """Who asks, and where that one can be reached; an address that only we can reach is none."""
    for place in (contact, base_url):
        if place and _reachable(place):
            return f"digest/{__version__} (+{place})"
    return f"digest/{__version__} (no contact given)"


def _reachable(place: str) -> bool:
    """Whether a contact may mean something to a stranger: an address of mail or the web beyond this machine."""
    host = (urlsplit(place).hostname or "") if "://" in place else place.rpartition("@")[2].strip("<> ").lower()
    if is_this_machine(host) or host.endswith((".localhost", ".local", ".internal", ".invalid")):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host or " " in place


def max_age(cache_control: str) -> timedelta | None:
    """`max-age` of Cache-Control (RFC 9111 §5.2.2.1), or None where it is not said or not to be used."""
    if re.search(r"\bno-(cache|store)\b", cache_control, re.I):
        return None
    found = re.search(r"\bmax-age\s*=\s*\"?(\d{1,9})", cache_control, re.I)
    return timedelta(seconds=int(found[1])) if found else None


def _has_it_all(status: int, says: Mapping[str, str]) -> bool:
    """Whether an answer has what was asked for: a success of whatever number (RFC 9110 §15.3), and not in part."""
    if status == 206:
        part = re.fullmatch(r"bytes 0-(\d{1,15})/(\d{1,15})", says.get("content-range", ""))
        return part is not None and int(part[1]) + 1 == int(part[2])
    return 200 <= status < 300 and status not in (202, 204, 205)


def _modified(value: str, asking: _Asking) -> str:
    """When a document was changed, to send back as it came.

    It is forgotten where it cannot be true: who says 1970 or tomorrow says it of every change, and answers 304 to it.
    """
    if value == asking.conditions.get("If-Modified-Since"):  # and nearly always it is
        return value
    try:
        moment = parsedate_to_datetime(value)
        told = moment.replace(tzinfo=moment.tzinfo or UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return _validator(value)
    return _validator(value) if _FIRST_FEEDS <= told <= asking.now + timedelta(days=1) else ""


def _validator(value: str) -> str:
    """A validator to send back as it came; what could not be a header of ours is forgotten."""
    return value if value.isascii() and value.isprintable() and len(value) <= 500 else ""


def _short(response: httpx.Response) -> str:
    target = shown(response.headers.get_list("location")[0])
    return "".join(c if c.isprintable() else "?" for c in target[:80])
