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
    site, more = site_of(request), ""
    try:
        wrong = "is stopping" if site.stops.is_set() else trouble(site)
        # What follows sends nobody away.
        if not wrong and (found := _revision(site)) != head():
            more += f"the database is of a newer digest (revision {found}): start that one in place of this one\n"
        if not wrong and site.replica is not None:  # whose pages are read from the database, where it is in trouble
            more += f"the replica {site.replica.look()}\n"
    except StorageError as error:
        wrong = str(error)
    return PlainTextResponse(f"{wrong or 'ok'}\n{more}", 503 if wrong else 200, headers=PRIVATE)


def trouble(site: Site) -> str:
    """Why the pages cannot be served as they should be, "" where they can.

    They can on tables of a newer release, which only has more of them: in an upgrade, old processes serve until new
    ones stand in their place.
    """
    now = site.clock()
    with site.database.read() as session:
        wrong = clock.verdict(session, now=now)
        scene, kinds = healing.Scene.of(site.config), ("feeds", "newsletters")
        if not wrong and (ahead := healing.ahead(session, scene, now=now, kinds=kinds)):
            wrong = f"nothing is due before a clock that was wrong once ({ahead}): `digest run` mends it"
    found = _revision(site)
    if found is None or not found.isdigit() or found < head():
        wrong = f"the database is of revision {found}, and this release wants {head()}"
    return wrong


def _revision(site: Site) -> str | None:
    with site.database.read() as session:
        return revision(session.connection())


ROUTES = [
    Route("/health", health),
    Route("/ready", ready),
]
