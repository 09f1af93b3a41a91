"""What the API answers where something went wrong: problem+json (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from digest.web.site import PRIVATE

MEDIA_TYPE = "application/problem+json"
_MOST_ERRORS = 20
_LONGEST = 300  # characters of what is said about one


class Problem(Exception):
    """A request that is refused, and why."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more


def answer(status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    text = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return Response(text, status, headers=PRIVATE | dict(headers or {}), media_type=MEDIA_TYPE)


def unfit(error: ValidationError, where: str) -> Problem:
    """What is wrong with a body, or a query: each with a JSON Pointer (RFC 6901), and nothing of what was sent."""
    said = [
        {"pointer": _pointer(one["loc"]), "detail": one["msg"][:_LONGEST]}
        for one in error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_ERRORS]
    ]
    if said[0]["pointer"] == "" and any(one["type"] == "json_invalid" for one in error.errors()):
        return Problem(400, f"the {where} is not JSON")
    return Problem(422, f"the {where} is not as it should be", errors=said)


def _pointer(place: Sequence[int | str]) -> str:
    return "".join("/" + str(step)[:_LONGEST].replace("~", "~0").replace("/", "~1") for step in place)
