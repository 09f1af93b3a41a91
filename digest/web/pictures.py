"""Our copies of pictures and logos: `/p/HASH.jpg` and `.png`, for mails and pages; nobody is told where from."""

from __future__ import annotations

from sqlmodel import Session
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from digest.edition import logos
from digest.letter.attached import media_type
from digest.store import pictures
from digest.web.site import PRIVATE, site_of, visited

_NAME = "[0-9a-f]{64}"
# What it is never changes, so whoever has it keeps it; it is shown in mails, wherever these are read.
_HEADERS = {name: PRIVATE[name] for name in ("Referrer-Policy", "X-Content-Type-Options")} | {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def picture(request: Request) -> Response:
    """404 for what is not there any more, which may be kept for a short time only."""
    name = request.path_params["name"]
    tag = f'"{name}"'
    known = request.headers.get("if-none-match", "")
    with site_of(request).database.read() as session:
        if tag in (one.strip().removeprefix("W/") for one in known.split(",")) and _known(session, name):
            return Response(status_code=304, headers=_HEADERS | {"ETag": tag})
        found = pictures.data(session, [name]).get(name) or logos.data([name]).get(name)
    if found is None:
        raise HTTPException(404)
    return Response(found, media_type=media_type(found), headers=_HEADERS | {"ETag": tag})


def _known(session: Session, name: str) -> bool:
    return bool(pictures.sizes(session, [name]) or logos.data([name]))


class _Name(StringConvertor):
    regex = _NAME


register_url_convertor("picture", _Name())
ROUTES = [Route(f"/p/{{name:picture}}.{end}", visited(picture)) for end in ("jpg", "png")]
