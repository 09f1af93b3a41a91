"""The identity of a link: two addresses of one page give one key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

# Who sent the reader, not what is read.
_TRACKING = frozenset(
    """
    fbclid gclid dclid gbraid wbraid msclkid yclid igshid igsh mc_cid mc_eid _hsenc _hsmi mkt_tok oly_anon_id
    oly_enc_id vero_id wickedid s_cid ncid cmpid ref ref_ ref_src ref_url referrer source src via feature share
    shared spm si sk trk trkcampaign ck_subscriber_id guccounter guce_referrer guce_referrer_sig amp outputtype
    __twitter_impression twclid ttclid rss feed cid campaign_id xtor at_medium at_campaign smid smtyp partner gi
    responsesopen hss_channel _branch_match_id _branch_referrer fsrc linkid
    """.split()  # noqa: SIM905
)
_TRACKING_PREFIX = ("utm_", "pk_", "mtm_", "hsa_", "itm_", "wt_", "ns_", "__hs", "at_custom", "stm_", "piwik_", "wt.")
_SPARE_HOST = re.compile(r"^(?:www\d?|m|mobile|amp)\.(?=[^.]+\.)")
_INNER_MOBILE = re.compile(r"^([a-z-]{2,12})\.m\.(?=[^.]+\.)")  # en.m.wikipedia.org
_INDEX = re.compile(r"/(?:index|default)\.(?:html?|php|aspx?)$", re.IGNORECASE)
_AMP_END = re.compile(r"(?:/amp|\.amp(?=\.html$|$))$|/amp(?=\.html$)", re.IGNORECASE)
_ARXIV = re.compile(r"^/(?:abs|pdf|html|ps|format)/(?:arxiv:)?(.+?)(?:v\d+)?(?:\.pdf)?$", re.IGNORECASE)
_YOUTUBE = re.compile(r"^/(?:shorts|embed|live|v)/([\w-]{6,})")
_SAFE = "!$&'()*+,;=:@~-._"


@lru_cache(maxsize=1024)  # an entry's address and its feed's are asked for again and again while it is judged
def normalise(url: str) -> str:
    """The key of `url`, itself an https address; "" where there is no http(s) link in it.

    Scheme, www/m/amp, default ports, tracking parameters, fragments, trailing slashes and index pages do not
    count; AMP caches, YouTube's and arXiv's forms are brought to one. Idempotent.
    """
    key = _once(url)
    if key == url:
        return key
    # What one step uncovers (an AMP cache of a mobile page) may hold the next; each step but the last shortens it.
    for _ in range(16):
        again = _once(key)
        if again == key:
            return key
        key = again
    return key


def leads_to(url: str, original_url: str, told: Iterable[str]) -> str:
    """Where an entry really leads: what its feed says, what an aggregator writes into its text, else its own link.

    `told` are the links of its gist.
    """
    if normalise(original_url):
        return original_url
    return next((link for link in told if normalise(link)), url)


def site(key: str) -> str:
    """The host of a key, or, where many write on one host, host and writer: "medium.com/@ada"."""
    host, first = _front(key)
    if first and (first.startswith(("@", "~")) or host in ("github.com", "gitlab.com", "dev.to", "codeberg.org")):
        return f"{host}/{first}"
    return host


def _front(key: str) -> tuple[str, str]:
    """The host of a key and the first step of its path. Most keys are plain, and thousands are asked for."""
    host, _, path = key.removeprefix("https://").partition("/")
    first = path.partition("/")[0].partition("?")[0].partition("#")[0]
    plain = host.isascii() and host.replace(".", "").replace("-", "").isalnum()
    if plain and key.startswith("https://") and first.isprintable() and not path.startswith("/"):
        return host, first
    parts = urlsplit(key)
    return parts.netloc, parts.path.lstrip("/").partition("/")[0]


# Where anybody gets a host of their own.
_HOSTED = frozenset(
    """
    github.io gitlab.io codeberg.page blogspot.com wordpress.com substack.com medium.com tumblr.com netlify.app
    vercel.app pages.dev web.app firebaseapp.com hashnode.dev bearblog.dev micro.blog ghost.io livejournal.com
    typepad.com neocities.org sourceforge.io readthedocs.io herokuapp.com hatenablog.com posthaven.com
    write.as svbtle.com wixsite.com weebly.com squarespace.com over-blog.com
    """.split()  # noqa: SIM905
)
_SECOND_LEVEL = frozenset(["ac", "co", "com", "edu", "gov", "gob", "go", "ne", "net", "or", "org"])


def family(host: str) -> str:
    """What a host belongs to: "example.com" of "feeds.example.com". A guess without the list of public suffixes."""
    labels = host.partition(":")[0].split(".")
    if len(labels) < 3 or labels[-1].isdigit():
        return host
    size = 3 if ".".join(labels[-2:]) in _HOSTED or (len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL) else 2
    return ".".join(labels[-size:])


def bare(key: str) -> bool:
    """Whether a key is a site's front page: shared by everything that site writes, so nobody's identity."""
    parts = urlsplit(key)
    return not parts.path.strip("/") and not parts.query


def _once(url: str) -> str:
    try:
        parts = urlsplit(url.encode("utf-8", "ignore").decode().strip())
        host = (parts.hostname or "").rstrip(".")
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme.lower() not in ("http", "https") or not host:
        return ""
    inner = _amp_cache(host, parts)
    if inner:
        return inner
    host = _SPARE_HOST.sub("", host)
    host = _INNER_MOBILE.sub(r"\1.", host)
    if ":" in host:
        host = f"[{host}]"
    if port not in (None, 80, 443):
        host = f"{host}:{port}"
    path = _path(parts.path)
    pairs = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name.lower() not in _TRACKING and not name.lower().startswith(_TRACKING_PREFIX)
    ]
    host, path, pairs = _known_site(host, path, pairs)
    query = urlencode(sorted(pairs), quote_via=quote)
    return f"https://{host}{path}" + (f"?{query}" if query else "")


def _path(path: str) -> str:
    path = quote(unquote(path, errors="surrogateescape"), safe=_SAFE + "/", errors="surrogateescape")
    path = re.sub(r"/{2,}", "/", path)
    while True:
        shorter = _AMP_END.sub("", _INDEX.sub("", path.rstrip("/")))
        if shorter == path:
            return path
        path = shorter


def _amp_cache(host: str, parts: SplitResult) -> str:
    """The page inside google.com/amp/s/… and ….cdn.ampproject.org/c/s/…, else ""."""
    found = None
    if re.fullmatch(r"(?:www\.)?google\.[a-z.]{2,6}", host):
        found = re.match(r"^/amp/(?:s/)?(.+\..+)$", parts.path)
    elif host.endswith(".cdn.ampproject.org"):
        found = re.match(r"^/[a-z]/(?:s/)?(.+\..+)$", parts.path)
    if found is None:
        return ""
    return f"https://{found[1]}" + (f"?{parts.query}" if parts.query else "")


def _known_site(host: str, path: str, pairs: list[tuple[str, str]]) -> tuple[str, str, list[tuple[str, str]]]:
    if host == "youtu.be" and len(path) > 1:
        return "youtube.com", "/watch", [("v", path[1:].partition("/")[0])]
    if host in ("youtube.com", "music.youtube.com", "youtube-nocookie.com"):
        if found := _YOUTUBE.match(path):
            return "youtube.com", "/watch", [("v", found[1])]
        if path == "/watch":
            return "youtube.com", path, [pair for pair in pairs if pair[0] == "v"]
    if host in ("arxiv.org", "export.arxiv.org", "ar5iv.org", "ar5iv.labs.arxiv.org") and (found := _ARXIV.match(path)):
        return "arxiv.org", f"/abs/{found[1]}", []
    if host in ("old.reddit.com", "new.reddit.com", "np.reddit.com"):
        return "reddit.com", path, pairs
    if host == "twitter.com":
        return "x.com", path, pairs
    return host, path, pairs
