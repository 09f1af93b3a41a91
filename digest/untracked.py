"""Addresses as they are shown to readers: without what says where somebody came from. Pure."""

from __future__ import annotations

import re

# Names that say where a reader came from and nothing else; and names that may, by what they say.
_CAME_FROM = re.compile(
    r"(?:utm|at|pk|mtm|piwik|matomo|hsa|itm|stm|wt|ns|oly|guce|vero|trk)_\w*|__?hs\w+|(?:fb|[gdy]|tw|tt|li_fat_|s|irg)?clid"
    r"|msclkid|mc_[ce]id|gbraid|wbraid|igshid|igsh|mkt_tok|wickedid|s_cid|ncid|cmp(?:id)?|xtor|smid|smtyp|spm|trk"
    r"|trkcampaign|twsrc|fsrc|ref_?src|ref_?url|ck_subscriber_id|guccounter|__twitter_impression|hss_channel"
    r"|_branch_\w+|__s|dm_i|ito|rss",
    re.I,
).fullmatch
_MAY_SAY = re.compile(
    r"ref_?|referrer|source|src|via|from|feed|cid|campaign(?:_?id)?|partner|medium|share", re.I
).fullmatch
_A_FEED = re.compile(r"(?:rss|atom|feed|newsletter|e-?mail|twitter|facebook|hn|hackernews)(?![^\W_]).*", re.I).fullmatch
_SPARE = re.compile(r"(?:(?:www\d?|m|mobile|amp)\.)(?=[^./]+\.[^/])", re.I)


def untracked(url: str) -> str:
    """The address without tracking parameters, also in its fragment; all else is as it was written."""
    whole, mark, fragment = url.partition("#")
    if mark and all(map(_came_from, fragment.split("&"))):
        mark = fragment = ""
    address, asked, query = whole.partition("?")
    if asked:
        query = "&".join(pair for pair in query.split("&") if not _came_from(pair))
        whole = f"{address}?{query}" if query else address
    return whole + mark + fragment


def page_key(url: str) -> str:
    """What two addresses have in common that show a reader one page, whatever their scheme, spare host and tracking."""
    whole, _, fragment = untracked(url).partition("#")
    address, _, query = whole.partition("://")[2].partition("?")
    host, _, path = _SPARE.sub("", address, count=1).partition("/")
    kept = "&".join(sorted(query.split("&"))) if query else ""
    return f"{host.lower()}/{path.rstrip('/')}?{kept}" + (f"#{fragment}" if fragment.startswith(("!", "/")) else "")


def _came_from(pair: str) -> bool:
    name, _, value = pair.partition("=")
    return bool(_CAME_FROM(name) or (_MAY_SAY(name) and _A_FEED(value)))
