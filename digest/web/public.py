"""Answers that anybody may keep for some minutes, and what tells who has one already."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from starlette.requests import Request
from starlette.responses import Response

from digest.web.site import PRIVATE

_PUBLIC = PRIVATE | {"Cache-Control": "public, max-age=300"}
_HTML = "text/html; charset=utf-8"


def public(
    request: Request,
    body: bytes,
    *,
    media_type: str = _HTML,
    modified: datetime | None = None,
) -> Response:
    """An answer that anybody may keep, or 304 for who has it already (RFC 9110 §13.2.2)."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    headers = _PUBLIC | {"Content-Security-Policy": PRIVATE["Content-Security-Policy"], "ETag": tag}
    if modified is not None:
        headers["Last-Modified"] = format_datetime(modified.astimezone(UTC), usegmt=True)
    if _has_it(request, tag, modified):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def _has_it(request: Request, tag: str, modified: datetime | None) -> bool:
    known = request.headers.get("if-none-match")
    if known is not None:
        tags = [one.strip().removeprefix("W/") for one in known.split(",")]
        return tag in tags or "*" in tags
    since = request.headers.get("if-modified-since")
    if since is None or modified is None:
        return False
    try:
        return modified.replace(microsecond=0) <= parsedate_to_datetime(since).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return False
