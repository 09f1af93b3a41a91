"""`/metrics`: figures for Prometheus, for who shows the token of the settings."""

from __future__ import annotations

import hmac

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from digest.errors import ConfigError
from digest.web.site import PRIVATE, site_of


def metrics(request: Request) -> Response:
    from digest.observe.metrics import CONTENT_TYPE, exposition

    site = site_of(request)
    token = site.config.web.metrics_token
    if token is None or not token.get_secret_value():
        raise HTTPException(404)
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(shown.strip().encode("latin-1", "replace"), token.get_secret_value().encode())
    if scheme.lower() != "bearer" or not same:
        asks = {**PRIVATE, "WWW-Authenticate": 'Bearer realm="digest"'}
        return PlainTextResponse("a token is wanted: Authorization: Bearer …\n", 401, headers=asks)
    try:
        return Response(
            exposition(
                site.database, site.config, clock=site.clock, copy=lambda: site.replica.look() if site.replica else None
            ),
            headers={**PRIVATE, "Content-Type": CONTENT_TYPE},
        )
    except ConfigError as error:
        return PlainTextResponse(f"{error}\n", 503, headers=PRIVATE)


ROUTES = [Route("/metrics", metrics)]
