"""The demo's web: the bundled sample feeds on loopback, as fresh as if they had just been published.

The files in `feeds/` are templates. Their one placeholder stands for a moment, told from the `now` that is
passed in: `{{ ago 5h20m }}`, `{{ ago 9d }}`, and `{{ in 3d }}` for what lies ahead. It becomes the form that the
format of the file wants: RFC 822 in RSS 2.0, RFC 3339 in Atom, RDF and JSON Feed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Thread
from typing import Any
from xml.sax.saxutils import quoteattr

from digest.demo.pictures import drawn

# File, title, topic: None where one feed writes about many things.
FEEDS: tuple[tuple[str, str, str | None], ...] = (
    ("quorum-notes.rss", "Quorum Notes", "distributed"),
    ("index-scan.atom", "Index Scan", "databases"),
    ("perimeter.rdf", "Perimeter", "security"),
    ("loss-curve.json", "Loss Curve", "ai"),
    ("devbench.rss", "Devbench", None),
    ("front-lane.rss", "Front Lane", None),
    ("planet-uptime.atom", "Planet Uptime", None),
    ("platform-ledger.rss", "The Platform Ledger", None),
)
BROKEN = ("broken.xml", "Yesterday's Outage", None)

_TYPES = {
    "rss": "application/rss+xml; charset=utf-8",
    "atom": "application/atom+xml; charset=utf-8",
    "rdf": "application/rdf+xml; charset=utf-8",
    "json": "application/feed+json",
    "opml": "text/x-opml; charset=utf-8",
}
_PICTURE = re.compile(
    r"(?:https://[a-z]{1,40}\.example|(?<=src=&quot;)|(?<=src=\"))/(?:[a-z]{1,20}/){1,3}([a-z0-9-]{1,40}\.(?:jpg|png))"
)
_DRAWN = re.compile(r"/img/([a-z0-9-]{1,40})\.(?:jpg|png)")
_MOMENT = re.compile(r"\{\{ (?P<way>ago|in) (?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)? \}\}")


def render(template: str, *, now: datetime, form: Callable[[datetime], str]) -> str:
    """`template` with its moments told from `now` and written by `form`; other braces stay as they are."""

    def moment(match: re.Match[str]) -> str:
        distance = timedelta(**{unit: int(match[unit] or 0) for unit in ("days", "hours", "minutes")})
        return form(now - distance if match["way"] == "ago" else now + distance)

    return _MOMENT.sub(moment, template)


def sample(name: str, *, now: datetime) -> str:
    """The bundled feed `name` as it stands at `now`."""
    template = files("digest.demo").joinpath("feeds", name).read_text(encoding="utf-8")
    return render(template, now=now.astimezone(UTC), form=_rfc822 if name.endswith(".rss") else _rfc3339)


def opml(feeds: list[tuple[str, str, str | None]], *, now: datetime) -> str:
    """The (url, title, topic) of `feeds` as an OPML 2.0 list; a topic is a folder."""
    lines = []
    for url, title, topic in feeds:
        outline = f'<outline type="rss" text={quoteattr(title)} xmlUrl={quoteattr(url)}/>'
        lines.append(f"<outline text={quoteattr(topic)}>{outline}</outline>" if topic else outline)
    head = f"<head><title>The demo's feeds</title><dateCreated>{_rfc822(now)}</dateCreated></head>"
    body = "\n".join(lines)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<opml version="2.0">{head}<body>\n{body}\n</body></opml>\n'


class FeedSite:
    """Serves the sample feeds on a free port of 127.0.0.1 for as long as the `with` block lasts.

    `urls` has (url, title, topic or None) of each feed; the last one, `/broken.xml`, answers 500.
    `opml_url` is a list of them all. Feeds have an ETag and answer 304 to who knows it (RFC 9110 §13.1.2).
    """

    urls: list[tuple[str, str, str | None]]
    opml_url: str

    def __init__(self, now: datetime) -> None:
        self._now = now

    def __enter__(self) -> FeedSite:
        pages: dict[str, _Page] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, pages))
        base = f"http://127.0.0.1:{self._server.server_port}"
        for name, _title, _topic in FEEDS:
            # The demo asks nobody beyond this machine: what stories show is drawn here.
            pages[f"/{name}"] = _page(name, _PICTURE.sub(rf"{base}/img/\1", sample(name, now=self._now)))
        self.urls = [(f"{base}/{name}", title, topic) for name, title, topic in (*FEEDS, BROKEN)]
        self.opml_url = f"{base}/feeds.opml"
        pages["/feeds.opml"] = _page("feeds.opml", opml(self.urls, now=self._now))
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@dataclass(frozen=True)
class _Page:
    type: str
    body: bytes
    etag: str


def _page(name: str, text: str) -> _Page:
    body = text.encode()
    return _Page(_TYPES[name.rpartition(".")[2]], body, f'"{hashlib.sha256(body).hexdigest()[:16]}"')


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, pages: Mapping[str, _Page], *args: Any) -> None:
        self._pages = pages  # before the rest: the base class answers the request while it is constructed
        super().__init__(*args)

    def do_GET(self) -> None:
        page = self._pages.get(self.path)
        if (picture := _DRAWN.fullmatch(self.path)) is not None:
            body = drawn(picture[1])
            page = _Page("image/jpeg", body, f'"{picture[1]}"')
        if page is None:
            broken = self.path == f"/{BROKEN[0]}"
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR if broken else HTTPStatus.NOT_FOUND)
            return
        known = page.etag in (tag.strip() for tag in self.headers.get("If-None-Match", "").split(","))
        self.send_response(HTTPStatus.NOT_MODIFIED if known else HTTPStatus.OK)
        self.send_header("ETag", page.etag)
        if not known:
            self.send_header("Content-Type", page.type)
            self.send_header("Content-Length", str(len(page.body)))
        self.end_headers()
        if not known:
            self.wfile.write(page.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: stderr belongs to the command."""


def _rfc822(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
