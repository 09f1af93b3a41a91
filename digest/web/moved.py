"""Where an address leads whose newsletter or topic was called otherwise before, or is at home at another host."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from digest.store import renames
from digest.web.site import PRIVATE, site_of

_NEWSLETTER, _TOPIC = 2, 4  # where they stand among the parts of a path: /newsletters/NAME/topics/SLUG


def led_on(request: Request) -> Response | None:
    """To the same page under its present name, or at its newsletter's host; None where there is none.

    The host is that of the settings, whatever was asked for.
    """
    site, given = site_of(request), request.scope.get("path_params", {})
    name, topic = given.get("newsletter"), given.get("topic")
    if not name or "\0" in name:
        return None
    parts = request.scope["path"].removeprefix(request.scope["root_path"]).split("/")
    with site.database.read() as session:
        if name not in site.config.newsletters:
            called, place = renames.newsletter_called(session, name), _NEWSLETTER
        elif topic and site.shows(name):
            called, place = renames.topic_called(session, name, topic), _TOPIC
        elif not site.shows(name) and request.method in ("GET", "HEAD"):
            called, place = name, _NEWSLETTER
        else:
            return None
    settings = site.config.newsletters.get(called or "") if place == _NEWSLETTER else site.config.newsletters[name]
    if called is None or settings is None or not (settings.archive or settings.signup):
        return None
    parts[place] = called
    home = name if place == _TOPIC else called
    there = (site.root if site.shows(home) else site.base_of(home)) + quote("/".join(parts))
    if request.url.query and called == name:
        there += f"?{request.url.query}"
    return RedirectResponse(there, 308, headers=PRIVATE)
