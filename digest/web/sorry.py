"""What is answered where something went wrong, in the visitor's language."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from digest.errors import StorageError
from digest.web import api_problem
from digest.web.moved import led_on
from digest.web.site import PRIVATE, TooLarge, site_of

_log = logging.getLogger("digest.web")


def sorry(request: Request, status: int, headers: Mapping[str, str] | None = None) -> Response:
    site = site_of(request)
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    if path == "/api" or path.startswith("/api/"):  # who asks there is a program
        return api_problem.answer(status, _words(status, str)[1], headers=headers)
    said = site.said_to(request)
    title, words = _words(status, said.gettext)
    answer = site.spoken(said, "sorry.html", status, title=title, words=words, home=f"{site.root}/")
    answer.headers.update(headers or {})
    return answer


def _refused(request: Request, error: HTTPException) -> Response:
    path = request.scope["path"].removeprefix(request.scope["root_path"])
    if error.status_code == 404 and path.endswith("/") and path.strip("/"):
        # Ours end in none. Never a whole address: whoever asked could choose its host.
        there = f"{site_of(request).root}/{quote(path.strip('/'))}"
        return RedirectResponse(there, 308, headers=PRIVATE)
    if error.status_code == 404 and (present := led_on(request)) is not None:
        return present
    return sorry(request, error.status_code, error.headers)


def _out_of_reach(request: Request, error: StorageError) -> Response:
    _log.error("%s", error)
    return sorry(request, 503, {"Retry-After": "60"})


def _words(status: int, t: Callable[[str], str]) -> tuple[str, str]:
    """A heading and a sentence about what went wrong."""
    known = {
        400: (t("That cannot be read"), t("What was sent is not what our form sends. Please go back and try again.")),
        403: (t("This came from elsewhere"), t("Another site sent you here to change something. Nothing was changed.")),
        404: (t("There is no such page"), t("The address is incomplete, or what was here is gone.")),
        405: (t("That does not work here"), t("This page is for reading; there is nothing to send to it.")),
        408: (t("That took too long"), t("The request did not arrive in time. Please try again.")),
        413: (t("That is too much"), t("What was sent is larger than this page takes.")),
        429: (t("Not now"), t("That was very often. Please try again in a minute.")),
        500: (t("Something went wrong"), t("It is our mistake, and it was noted. Please try again later.")),
        503: (t("Not now"), t("The pages cannot be reached for the moment. Please try again in a minute.")),
    }
    return known.get(status, known[404 if status < 500 else 500])


HANDLERS: dict[Any, Callable[[Request, Any], Response]] = {
    HTTPException: _refused,
    TooLarge: lambda request, error: sorry(request, 413),
    ClientDisconnect: lambda request, error: sorry(request, 400),  # to nobody
    StorageError: _out_of_reach,
    Exception: lambda request, error: sorry(request, 500),
}
