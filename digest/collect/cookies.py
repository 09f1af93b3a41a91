"""Cookies that redirects set, for as long as one fetch lasts: imported where there is one."""

from __future__ import annotations

from collections.abc import Sequence

from digest.collect.client import httpx

Raw = Sequence[tuple[bytes, bytes]]


class Jar:
    """The cookies of one host."""

    def __init__(self) -> None:
        self._cookies = httpx.Cookies()

    def take(self, url: str, headers: Raw) -> None:
        """Keep what an answer from there sets."""
        request = httpx.Request("GET", url)
        self._cookies.extract_cookies(httpx.Response(200, headers=list(headers), request=request))

    def given(self, url: str) -> str:
        """The Cookie field of a request to there, or ""."""
        request = httpx.Request("GET", url)
        self._cookies.set_cookie_header(request)
        return str(request.headers.get("Cookie", ""))
