"""What was sent, for everybody: editions as they were frozen, without anybody's personal links."""

from __future__ import annotations

import re
from functools import partial

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from digest import store
from digest.render import Marker
from digest.web.site import PRIVATE, Site


def routes(site: Site) -> list[Route]:
    def edition(request: Request) -> Response:
        asked = request.path_params
        with site.database.read() as session:
            found = store.variant_in_browser(session, asked["newsletter"], asked["number"], asked["key"])
            if found is None:
                return site.unknown()
            variant, more = found
            html = variant.html
            rest = site.html("more.html", stories=more, look=partial(_look, html))
        for marker in Marker:  # a frozen page is nobody's own: its personal links have no reader to serve
            html = re.sub(rf'<a\b[^>]*href="{re.escape(marker)}[^"]*"[^>]*>.*?</a>', "", html, flags=re.DOTALL)
        html = re.sub(r'<span class="yours".*?</span>', "", html, flags=re.DOTALL)
        headers = PRIVATE | {
            "Content-Security-Policy": PRIVATE["Content-Security-Policy"] + "; img-src https:",
            "X-Robots-Tag": "noindex",
        }
        return HTMLResponse(html.replace("</body>", rest + "</body>"), headers=headers)

    return [Route("/editions/{newsletter}/{number:int}/{key}", edition)]


def _look(html: str, names: str) -> Markup:
    """The style of the first element of these classes in a mail, so that what follows it looks like it."""
    found = re.search(rf'<[a-z0-9]+\b[^>]*\sclass="{names}"[^>]*?(\sstyle="[^"]*")', html)
    return Markup(found[1]) if found else Markup("")  # noqa: S704 (our own frozen HTML)
