"""Pages that stand before a feed and are meant for browsers: challenges, blocks, consent. Pure.

A page is named by what only such a page has: what its maker's scripts leave in any page of a site is no sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

READ = 64 * 1024  # bytes of a page in which its maker is looked for
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html)\b", re.I | re.S
)

# (maker, header and what stands in it): the server itself says so.
_HEADERS = (
    ("Cloudflare", "cf-mitigated", "challenge"),
    ("AWS WAF", "x-amzn-waf-action", ""),
    ("Vercel", "x-vercel-mitigated", ""),
    ("Sucuri", "x-sucuri-block", ""),
    ("DataDome", "x-dd-b", ""),
    ("Kasada", "x-kpsdk-ct", ""),
)
# Only where the answer is an error, since ordinary answers have them too.
_OF_ERRORS = (
    ("DataDome", "server", "datadome"),
    ("DataDome", "x-datadome", ""),
)
_MARKS: tuple[tuple[str, bytes], ...] = (
    ("Anubis", rb"id=[\"']anubis_|/\.within\.website/x/(?:cmd|xess)/|techaro\.lol-anubis"),
    (
        "Cloudflare",
        rb"_cf_chl_opt|<title>(?:Just a moment\.\.\.|Attention Required! \| Cloudflare)|cf-chl-|cf-error-details",
    ),
    ("Akamai", rb"errors\.edgesuite\.net|sec-if-cpt-container|[?&]bm-verify=|sec-bc-tile-container"),
    ("DataDome", rb"captcha-delivery\.com"),
    ("Imperva", rb"Incapsula incident ID|<iframe[^>]{0,200}_Incapsula_Resource"),
    ("HUMAN (PerimeterX)", rb"id=[\"']px-captcha|px-captcha-wrapper"),
    ("AWS WAF", rb"window\.gokuProps|\.awswaf\.com/[^\"']{0,200}/challenge\.js"),
    ("Sucuri", rb"sucuri_cloudproxy_js|<title>Sucuri WebSite Firewall"),
    ("DDoS-Guard", rb"<title>DDoS-Guard|/\.well-known/ddos-guard/js-challenge"),
    ("Vercel", rb"<title>Vercel Security Checkpoint"),
    ("Kasada", rb"KPSDK\.(?:scriptStart|now)|/ips\.js\?KP_UIDz"),
    ("go-away", rb"/\.well-known/\.git\.gammaspectra\.live/|<title>Checking you are not a bot"),
    ("Bunny Shield", rb"/\.bunny-shield/|<title>Establishing a secure connection"),
    ("F5", rb"The requested URL was rejected\. Please consult with your administrator"),
    (
        "its host",
        rb"<title>(?:Checking your browser|Are you (?:a )?(?:human|robot)|Robot or human|Bot verification)",
    ),
)
_SIGNS = tuple((maker, re.compile(mark, re.I)) for maker, mark in _MARKS)
_CONSENT_HOSTS = re.compile(r"(?:consent|guce|myprivacy|privacy-mgmt|cmp|zustimmung|cookiewall)\.")
_CONSENT_PATHS = re.compile(
    r"/(?:collectConsent|consent|zustimmung|cookiewall|cookie-consent|privacy-?(?:wall|gate))(?:[/?.]|$)", re.I
)


def is_page(body: bytes) -> bool:
    """Whether a body is a web page, by how it begins."""
    return _HTML.match(body[:2048]) is not None


def maker(status: int, headers: Mapping[str, str], body: bytes, *, url: str) -> str:
    """Whose challenge page an answer is, or "" where it is none; `url` is where it came from in the end."""
    page = is_page(body)
    if not page and status < 400:
        return ""
    for who, header, value in _HEADERS + (_OF_ERRORS if status >= 400 else ()):
        if value in headers.get(header, "-").lower() and header in headers:
            return who
    if not page:
        return ""
    start = body[:READ]
    for who, sign in _SIGNS:
        if sign.search(start):
            return who
    if "akamaighost" in headers.get("server", "").lower() and status == 403:
        return "Akamai"
    parts = urlsplit(url)
    if _CONSENT_HOSTS.match(parts.hostname or "") or _CONSENT_PATHS.search(parts.path):
        return "consent"
    return ""


def in_words(who: str) -> str:
    """Such a page as the end of a sentence that begins with the feed, with the way out."""
    if who == "consent":
        return (
            "leads to a page that asks for consent, which only a browser can give; ask its publisher for an address "
            "without it, or give the cookie that consent leaves: [collect.hosts] headers"
        )
    return (
        f"answers with a challenge of {who}, meant for browsers; ask its publisher to let feed readers through, or "
        "give a User-Agent or cookie that it lets pass: [collect.hosts] headers"
    )
