"""Where a link of a mail really leads, as far as that stands in it. Pure: nothing is ever asked.

| form | whose |
| --- | --- |
| the address in a parameter (`url=`, `q=`, `u=`, …) of what redirects | Google, LinkedIn, Facebook, SafeLinks |
| the address in the path: `/CL0/https:%2F%2F…/1/…`, `/redirect/https://…` | Amazon SES, and who sends by it |
| Base64 of the address, as a part of the path or a parameter | Kit (ConvertKit), many |
| Base64 of JSON that has the address as `e`, `url`, `href`, `u`, or within `p` | Substack, Customer.io, Mandrill |
| Base64 of zlib of a query that has it as `l` | Mailgun |
| Base64 of a record with the address in it, below `/articles/CBM…` | Google News, as it was |
| Proofpoint: `v2/url?u=https-3A__…`, `v3/__https://…__;` | mail gateways |

All else stays as it is: numbers and sealed tokens (Mailchimp, SendGrid, HubSpot) say nothing without being asked.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from digest.parse.text import MAX_URL, http_url

_DEEP = 5  # redirects within redirects
_NAMES = (
    "url", "u", "q", "target", "dest", "destination", "redirect", "redirect_url", "redirect_to", "redirect_uri",
    "redir", "r", "link", "href", "to", "goto", "continue", "out", "murl", "ued", "l", "a", "rurl", "deeplink",
)  # fmt: skip
_REDIRECTS = re.compile(
    r"/(?:redirect|redir|r|click|clicks|clk|ck|c|track|tracking|trk|link|links|lnk|l|ls|l\.php|url|out|goto|go|away|leave|"
    r"jump|exit|e|t|cl0|l0|ss|visit|forward|v1|v2|u)(?:[/.?]|$)",
    re.IGNORECASE,
)
_HOSTS = re.compile(
    r"(?:^|\.)(?:click|clicks|clk|track|tracking|trk|links?|lnk|l|go|r|t|redirect|url|email|e|nl|newsletter|news|mail)\d*\.|"
    r"safelinks\.protection\.outlook\.com$|(?:^|\.)awstrack\.me$|linkprotect\.cudasvc\.com$",
    re.IGNORECASE,
)
_SHARES = re.compile(
    r"/(?:share|sharer|sharing|intent|submit|pin/create|compose|dialog|save|translate|login|signin)\b", re.I
)
_IN_PATH = re.compile(r"/(https?:/{1,2}[^/\s].*)", re.IGNORECASE)
_CODED = re.compile(r"[A-Za-z0-9_+/-]{12,4000}={0,2}")
_KEYS = ("e", "url", "href", "u", "target", "link", "destination", "redirect", "to", "p")
_HTTP = re.compile(rb"https?://[\x21-\x7e]{4,2000}")
_SEALED = re.compile(
    r"(?:list-manage\d*\.com|sendgrid\.net|hubspotlinks\.com|hubspotemail\.net|klclick\d*\.com|rs6\.net|sparkpostmail\d*\.com|"
    r"mailgun\.org|awstrack\.me|mandrillapp\.com|customeriomail\.com|exacttarget\.com|mailerlite\.com|cmail\d+\.com|"
    r"createsend\d*\.com|acemlnb?\.com|activehosted\.com|beehiiv\.com/(?:ss|v1)|convertkit-mail\d*\.com|sailthru\.com)",
    re.IGNORECASE,
)


def unwrap(url: str) -> str:
    """The address that a link leads to, where it stands in it; else the link itself."""
    for _ in range(_DEEP):
        inner = _inner(url) if len(url) <= 2 * MAX_URL else ""
        if not inner or inner == url:
            break
        url = inner
    return url


def sealed(url: str) -> bool:
    """Does a link go through somebody who counts, and does not say where to?"""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return bool(_SEALED.search(f"{parts.hostname or ''}{parts.path[:20]}")) and "/archive" not in parts.path


def _inner(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host or _SHARES.search(parts.path):
        return ""
    if host.startswith("urldefense."):
        return _proofpoint(parts.path, parts.query)
    fields = parse_qsl(parts.query, max_num_fields=200) if parts.query.count("&") < 150 else []
    if _HOSTS.search(host) or _REDIRECTS.search(parts.path):
        for name, value in fields:
            if name.lower() in _NAMES and (found := _plainly(value)):
                return found
    if found := _in_path(parts.path, parts.query):
        return found
    coded = [piece for piece in parts.path.split("/") if _CODED.fullmatch(piece.partition(".")[0])]
    coded += [value for name, value in fields if name.lower() in (*_NAMES, "p", "data", "d", "payload", "k")]
    for piece in coded[:20]:
        if found := _decoded(piece, news=host == "news.google.com"):
            return found
    return ""


def _plainly(value: str) -> str:
    """An address as it stands, in percent form once more perhaps."""
    for _ in range(3):
        if value.lower().startswith(("http://", "https://")):
            return http_url(value)
        value = unquote(value)
    return ""


def _in_path(path: str, query: str) -> str:
    """Behind another address in the path; what trackers put behind it is a number and a seal."""
    for piece in path.split("/")[1:]:
        if piece.lower().startswith(("http%3a", "https%3a", "http:%2f", "https:%2f")):
            return _plainly(unquote(piece))
    if (_REDIRECTS.match(path) or path.count("http") == 1) and (match := _IN_PATH.search(path)):
        if not _REDIRECTS.match(path):
            return ""  # a web archive, say, which is where the link means to lead
        target = re.sub(r"^(https?:)/+", r"\1//", match[1], flags=re.IGNORECASE)
        return http_url(target + (f"?{query}" if query else ""))
    return ""


def _decoded(piece: str, *, news: bool) -> str:
    """What Base64 may hold, by how it begins."""
    begin = piece[:6]
    if not begin.startswith(("aHR0c", "eyJ", "eJ", "eNo", "eNp", "CBM")) or len(piece) > 4 * MAX_URL:
        return ""
    data = _base64(piece.partition(".")[0] if begin.startswith("eyJ") else piece)
    if begin.startswith("aHR0c"):
        match = _HTTP.match(data)
        return http_url(match[0].decode("ascii", "replace")) if match else ""
    if begin.startswith("eyJ"):
        try:
            return next(_addresses(json.loads(data[:8000])), "")
        except (ValueError, RecursionError):
            return ""
    if begin.startswith("CBM"):
        match = _HTTP.search(data) if news else None
        return http_url(match[0].decode("ascii", "replace")) if match else ""
    try:
        text = zlib.decompressobj().decompress(data, 8000).decode("ascii", "replace")
    except zlib.error:
        return ""
    return next((_plainly(value) for name, value in parse_qsl(text, max_num_fields=50) if name in ("l", "url")), "")


def _addresses(value: Any, depth: int = 0) -> Iterator[str]:
    """Addresses in what JSON held, under the names that are known; within a text that is JSON again, too."""
    if isinstance(value, str) and depth and value.lstrip().startswith("{"):
        value = json.loads(value[:8000])
    if not isinstance(value, dict) or depth > 2:
        return
    for key in _KEYS:
        inner = value.get(key)
        if isinstance(inner, str) and (found := _plainly(inner)):
            yield found
        elif inner is not None:
            yield from _addresses(inner, depth + 1)


def _base64(piece: str) -> bytes:
    piece = piece.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4))
    except (ValueError, binascii.Error):
        return b""


def _proofpoint(path: str, query: str) -> str:
    if "/v3/__" in path + query:
        return http_url(
            re.sub(
                r"^(https?:)/+",
                r"\1//",
                (path + (f"?{query}" if query else "")).partition("/v3/__")[2].partition("__;")[0],
            )
        )
    said = dict(parse_qsl(query, max_num_fields=50) if query.count("&") < 49 else [])
    coded = said.get("u", "")
    if path.startswith("/v2/"):
        coded = coded.replace("-", "%").replace("_", "/")
    return _plainly(unquote(coded))
