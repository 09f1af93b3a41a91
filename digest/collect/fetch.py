"""One polite request: conditional, few redirects, bounded in time and in bytes after decompression."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from digest import __version__
from digest.collect.addresses import without_login
from digest.collect.guard import Guard, Resolve, Transport, resolve
from digest.config import Config
from digest.errors import FetchError, Unreachable
from digest.means import lacking
from digest.origin import downgrades, same, shown
from digest.parse.text import http_url

MAX_REDIRECTS = 5
MAX_RETRY_AFTER = timedelta(days=1)
SMALL = 256 * 1024  # bytes; a body beyond this waits for one of a few seats, so that memory stays bounded
SEATS = 3
CONNECT_SECONDS = 10
_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.5"
)
_REASONS = {
    400: "bad request",
    401: "login required",
    403: "forbidden",
    404: "not found",
    406: "not acceptable",
    410: "gone for good",
    429: "too many requests",
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


class Fetcher:
    """What asks, for the length of a run. An async context manager."""

    def __init__(self, config: Config, *, resolve: Resolve = resolve) -> None:
        settings = config.collect
        self._seconds = settings.timeout_seconds
        self._max_bytes = settings.max_bytes
        self._seats = asyncio.Semaphore(SEATS)
        # httpx's transport without its client: cookies, logins and proxies of the environment have no place here,
        # redirects are followed below with our own checks, and a third of the time per request is saved.
        self._transport = Transport(Guard(allow_private=settings.allow_private_addresses, resolve=resolve))
        self._headers = {
            "User-Agent": f"digest/{__version__} (+{settings.contact or config.base_url})",
            "Accept": _ACCEPT,
            "Accept-Encoding": "gzip, deflate",
        }
        timeout = httpx.Timeout(self._seconds, connect=min(CONNECT_SECONDS, self._seconds))
        self._extensions = {"timeout": timeout.as_dict()}

    async def __aenter__(self) -> Fetcher:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._transport.aclose()

    async def fetch(
        self,
        url: str,
        *,
        now: datetime,
        hold: AsyncExitStack,
        etag: str = "",
        last_modified: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask for `url`; `hold` keeps what a large body needs until the caller is done with it.

        `headers` (secrets) go to the origin of `url` (scheme, host and port) only. A redirect to another one ends
        them for good, also where that leads back: it would choose the path. Raises FetchError.
        """
        conditions = {}
        if etag:
            conditions["If-None-Match"] = etag
        if last_modified:
            conditions["If-Modified-Since"] = last_modified
        try:
            async with asyncio.timeout(self._seconds) as limit:
                return await self._follow(url, conditions, dict(headers or {}), now, hold, limit)
        except TimeoutError:
            raise Unreachable(url, f"took longer than {self._seconds:g} seconds") from None
        except FetchError as error:
            error.url = url
            raise
        except httpx.TimeoutException:
            raise Unreachable(url, "does not answer") from None
        except httpx.ConnectError as error:
            raise Unreachable(url, _in_words(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise FetchError(url, _in_words(error)) from error
        except (OSError, UnicodeError, ValueError) as error:
            # What sockets, IDNA and TLS raise past the client's own errors.
            raise FetchError(url, _in_words(error)) from error

    async def _follow(
        self,
        url: str,
        conditions: dict[str, str],
        secrets: dict[str, str],
        now: datetime,
        hold: AsyncExitStack,
        limit: asyncio.Timeout,
    ) -> Answer:
        start, moved_to, lasting = url, "", True
        for _ in range(MAX_REDIRECTS + 1):
            secrets = secrets if same(url, start) else {}
            headers = self._headers | conditions | secrets
            request = httpx.Request("GET", url, headers=headers, extensions=self._extensions)
            response = await self._transport.handle_async_request(request)
            try:
                if response.status_code in (301, 302, 303, 307, 308) and "location" in response.headers:
                    target, _ = without_login(http_url(response.headers["location"], url))
                    if not target:
                        raise FetchError(start, f"redirects to what is no web address ({_short(response)})")
                    lasting = lasting and response.status_code in (301, 308) and not downgrades(url, target)
                    moved_to = target if lasting else moved_to
                    url = target
                    continue
                return await self._answer(response, url, moved_to, now, hold, limit)
            finally:
                await response.aclose()
        raise FetchError(start, f"redirects more than {MAX_REDIRECTS} times")

    async def _answer(
        self,
        response: httpx.Response,
        url: str,
        moved_to: str,
        now: datetime,
        hold: AsyncExitStack,
        limit: asyncio.Timeout,
    ) -> Answer:
        status, says = response.status_code, response.headers
        if status not in (200, 203, 226, 304):
            words = _REASONS.get(status, "")
            raise FetchError(
                url,
                f"answers {status}{f' ({words})' if words else ''}",
                status=status,
                retry_after=retry_after(says.get("retry-after", ""), now=now),
            )
        if status == 304 and not response.request.headers.keys() & {"if-none-match", "if-modified-since"}:
            raise FetchError(url, "answers 304 (not modified) although we have nothing of it yet", status=304)
        body = b"" if status == 304 else await self._body(response, hold, limit)
        return Answer(
            url=url,
            status=304 if status == 304 else 200,
            body=body,
            content_type=says.get("content-type", ""),
            etag=_validator(says.get("etag", "")),
            last_modified=_validator(says.get("last-modified", "")),
            max_age=max_age(says.get("cache-control", "")),
            moved_to=moved_to,
            link=says.get("link", ""),
        )

    async def _body(self, response: httpx.Response, hold: AsyncExitStack, limit: asyncio.Timeout) -> bytes:
        body = bytearray()
        seated = False
        async for piece in decompress(response, self._max_bytes):
            body += piece
            if len(body) > self._max_bytes:
                raise FetchError(str(response.url), f"is larger than {self._max_bytes / 1e6:g} MB")
            if len(body) > SMALL and not seated:
                # The server is not to blame while we wait for room.
                loop = asyncio.get_running_loop()
                began, deadline = loop.time(), limit.when()
                limit.reschedule(None)
                await hold.enter_async_context(self._seats)
                limit.reschedule(deadline and deadline + loop.time() - began)
                seated = True
        return bytes(body)


async def decompress(response: httpx.Response, max_bytes: int) -> AsyncIterator[bytes]:
    """The body unpacked piece by piece, no piece larger than `max_bytes` + 1: 64 kB of gzip may hold 64 MB.

    A body that says gzip and is not comes as it is (some hosts do that). Raises FetchError.
    """
    url = str(response.url)
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        async for chunk in response.aiter_raw():
            yield chunk
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise FetchError(url, f"answers in an encoding that was not asked for ({encoding[:20]})")
    unpack: zlib._Decompress | None = None
    plain = False
    total = 0
    async for chunk in response.aiter_raw():
        if unpack is None and not plain:
            if encoding == "deflate":
                # RFC 9110 §8.4.1.2 means zlib's format, some servers send the bare one.
                unpack = zlib.decompressobj(15 if chunk[:1] == b"\x78" else -15)
            elif chunk[:2] == b"\x1f\x8b":
                unpack = zlib.decompressobj(31)
            else:
                plain = True
        if unpack is None:
            yield chunk
            continue
        data = chunk
        while data:
            try:
                piece = unpack.decompress(data, max(1, max_bytes + 1 - total))
            except zlib.error:
                raise FetchError(url, f"sends damaged {encoding} data") from None
            total += len(piece)
            yield piece
            data = unpack.unconsumed_tail
            if unpack.eof:
                data = unpack.unused_data
                if data[:2] != b"\x1f\x8b":
                    break  # padding after the end
                unpack = zlib.decompressobj(31)
    if unpack is not None and not unpack.eof:
        raise FetchError(url, f"ends in the middle of its {encoding} data")


def retry_after(value: str, *, now: datetime) -> timedelta | None:
    """How long the server asks us to stay away, at most `MAX_RETRY_AFTER`, or None where it does not say.

    Seconds or an HTTP-date (RFC 9110 §10.2.3); a date in the past counts as zero.
    """
    value = value.strip()
    if re.fullmatch(r"\d{1,9}", value):
        return min(timedelta(seconds=int(value)), MAX_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    return min(max(until - now, timedelta(0)), MAX_RETRY_AFTER)


def max_age(cache_control: str) -> timedelta | None:
    """`max-age` of Cache-Control (RFC 9111 §5.2.2.1), or None where it is not said or not to be used."""
    if re.search(r"\bno-(cache|store)\b", cache_control, re.I):
        return None
    found = re.search(r"\bmax-age\s*=\s*\"?(\d{1,9})", cache_control, re.I)
    return timedelta(seconds=int(found[1])) if found else None


def _validator(value: str) -> str:
    """A validator to send back as it came; what could not be a header of ours is forgotten."""
    return value if value.isascii() and value.isprintable() and len(value) <= 500 else ""


def _short(response: httpx.Response) -> str:
    target = shown(response.headers["location"])
    return "".join(c if c.isprintable() else "?" for c in target[:80])


def _in_words(error: Exception) -> str:
    """A transport's error as the end of a sentence that begins with the feed."""
    if (lack := lacking(error)) is not None:
        raise lack from error  # which is not this feed's fault
    said = str(error).strip()
    chain: BaseException | None = error
    while chain is not None:
        if "CERTIFICATE_VERIFY_FAILED" in str(chain):
            return "has a certificate that does not verify: " + str(chain).rpartition(": ")[2].partition(" (_ssl")[0]
        chain = chain.__cause__ or chain.__context__
    match error:
        case httpx.ConnectError():
            return "cannot be reached" + (f" ({said})" if said and "All connection attempts" not in said else "")
        case httpx.RemoteProtocolError():
            return "ends before its announced end" if "complete" in said else f"does not speak HTTP properly ({said})"
        case httpx.ReadError() | httpx.WriteError():
            return "broke the connection"
        case httpx.InvalidURL():
            return f"is no web address ({said})"
        case _:
            return f"cannot be fetched ({said or type(error).__name__})"
