"""What whoever watches over the service asks: is it there, and can it work?"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from digest.errors import StorageError
from digest.store import clock, healing
from digest.store.database import head, revision
from digest.web.site import PRIVATE, Site, site_of


def health(request: Request) -> Response:
    return PlainTextResponse("ok\n", headers=PRIVATE)


def ready(request: Request) -> Response:
    site = site_of(request)
    try:
        wrong = "is stopping" if site.stops.is_set() else trouble(site)
    except StorageError as error:
        wrong = str(error)
    # What is wrong with a replica sends nobody away: its pages are read from the database.
    more = f"the replica {site.replica.look()}\n" if site.replica is not None and not wrong else ""
    return PlainTextResponse(f"{wrong or 'ok'}\n{more}", 503 if wrong else 200, headers=PRIVATE)


def trouble(site: Site) -> str:
    """Why the pages cannot be served as they should be, "" where they can."""
    now = site.clock()
    with site.database.read() as session:
        found = revision(session.connection())
        wrong = clock.verdict(session, now=now)
        scene, kinds = healing.Scene.of(site.config), ("feeds", "newsletters")
        if not wrong and (ahead := healing.ahead(session, scene, now=now, kinds=kinds)):
            wrong = f"nothing is due before a clock that was wrong once ({ahead}): `digest run` mends it"
    if found != head():
        wrong = f"the database is of revision {found}, and this release wants {head()}"
    return wrong


ROUTES = [
    Route("/health", health),
    Route("/ready", ready),
]
