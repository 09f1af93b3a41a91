"""Places by the names that people call them: `@user@host`, `r/name`, `owner/repo`, a channel's or a shop's page.

Pure: a name or address goes in, the places that it may mean come out, each with the addresses at which its feed is
likely to be. Nothing is asked here, and nothing is believed until `look` has found a feed there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

from digest.dataclass import dataclass
from digest.parse.text import http_url, plain

MAX_NAME = 300  # characters of a name
MAX_ANSWER = 256_000  # bytes of an answer that names a feed

# Where everything is asked; a test has its own.
BASES: Mapping[str, str] = MappingProxyType(
    {
        "fediverse": "https://{host}",
        "bluesky": "https://bsky.app",
        "youtube": "https://www.youtube.com",
        "reddit": "https://www.reddit.com",
        "github": "https://github.com",
        "itunes": "https://itunes.apple.com",
        "hackernews": "https://news.ycombinator.com",
        "lobsters": "https://lobste.rs",
        "medium": "https://medium.com",
        "arxiv": "https://rss.arxiv.org",
        # A host of its own for each: {host} is what stands in the address.
        "site": "https://{host}",
    }
)


@dataclass(frozen=True)
class Place:
    """What a name may mean. `feeds` are addresses of its feed, the likeliest first; with `page` of a page naming it.

    `ask` is an address whose answer, read by `named`, says where the feed is, before `feeds`.
    """

    what: str
    feeds: tuple[str, ...] = ()
    ask: str = ""
    reader: str = ""
    page: bool = False

    @property
    def sure(self) -> bool:
        """Whether the feed's address is known without asking anybody."""
        return bool(self.feeds) and not self.ask and not self.page


class _Where(NamedTuple):
    """An address in its parts, as rules look at it."""

    host: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    bases: Mapping[str, str]

    def base(self, name: str) -> str:
        return self.bases[name].format(host=self.host)


Rule = Callable[[_Where], list[Place]]


def places(words: str, bases: Mapping[str, str] = BASES) -> list[Place]:
    """The places that a name or address may mean: one where that is clear, several to be asked about, or none.

    None is also what is said of an address of something else, or of a feed.
    """
    words = words.strip()
    if not words or len(words) > MAX_NAME or re.search(r"\s", words):
        return []
    found = _meant(words, bases)
    # A name in a stranger's list is a stranger's text.
    return [replace(p, what=plain(p.what, limit=200), feeds=tuple(filter(None, map(http_url, p.feeds)))) for p in found]


def _meant(words: str, bases: Mapping[str, str]) -> list[Place]:
    bare = re.fullmatch(r"(?:https?://)?([a-z0-9.-]+\.[a-z]{2,24})(?::443|:80)?(?:[/?#].*)?", words, re.I | re.S)
    if bare is None or words.startswith("@"):
        return _by_name(words, bases)
    parts = urlsplit(words if "://" in words else f"https://{words}")
    host = bare[1].lower().rstrip(".")
    path = tuple(piece for piece in parts.path.split("/") if piece)
    query = (
        {name: values[0] for name, values in parse_qs(parts.query, max_num_fields=20).items()} if parts.query else {}
    )
    for pattern, rule in _RULES:
        if pattern.fullmatch(host):
            return rule(_Where(host, path, query, bases))
    return []


def named(reader: str, body: bytes) -> tuple[str, ...]:
    """The addresses of a feed, or of a page that names it, in the answer of a service; none where it says none."""
    try:
        said = json.loads(body[:MAX_ANSWER])
    except (ValueError, RecursionError):
        return ()
    return tuple(_READERS[reader](said)) if isinstance(said, dict) else ()


# ---------------------------------------------------------------- names

_HANDLE = r"[\w.-]{1,100}"
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}", re.A)
_HOST = re.compile(r"(?=.{4,253}\Z)[\w-]+(\.[\w-]+)+(:\d{1,5})?")
_ARXIV = re.compile(r"[a-z-]{2,12}(\.[A-Za-z-]{2,12})?(\+[a-z-]{2,12}(\.[A-Za-z-]{2,12})?){0,20}")
_PREFIXES = {
    "reddit": "reddit.com/",
    "github": "github.com/",
    "gitlab": "gitlab.com/",
    "codeberg": "codeberg.org/",
    "youtube": "youtube.com/",
    "bluesky": "bsky.app/profile/",
    "medium": "medium.com/",
}


def _by_name(words: str, bases: Mapping[str, str]) -> list[Place]:
    service, colon, name = words.partition(":")
    if colon and service.lower() in _PREFIXES and "//" not in name:
        name = name.removeprefix("@") if service.lower() == "bluesky" else name
        return places(f"https://{_PREFIXES[service.lower()]}{name}", bases)
    if colon and service.lower() == "arxiv":
        return _arxiv_feed(name, bases)
    if words.lower() in ("hn", "hackernews", "hacker-news"):
        return _hacker_news(_Where("news.ycombinator.com", (), {}, bases))
    if words.lower() == "lobsters":
        return _lobsters(_Where("lobste.rs", (), {}, bases))
    if match := re.fullmatch(rf"(?:acct:@?|@)({_HANDLE})@([^\s/@]+)", words):
        return _fediverse(match[1], match[2], bases) if _HOST.fullmatch(match[2]) else []
    if re.fullmatch(r"/?(r|u|user)/[\w+-]{1,100}(/(new|hot|top|rising))?/?", words, re.A):
        return _reddit(_Where("reddit.com", tuple(filter(None, words.split("/"))), {}, bases))
    if re.fullmatch(r"UC[\w-]{22}", words, re.A):
        return _youtube(_Where("youtube.com", ("channel", words), {}, bases))
    if match := re.fullmatch(rf"@({_HANDLE})", words):
        return _handle(match[1], bases)
    if re.fullmatch(r"[A-Za-z0-9-]{1,39}/[\w.-]{1,100}(/(releases|tags|commits))?", words, re.A):
        return _github(_Where("github.com", tuple(words.split("/")), {}, bases))
    return []


def _handle(name: str, bases: Mapping[str, str]) -> list[Place]:
    """`@name` alone: a host belongs to it, or the service must be said."""
    if name.endswith(".bsky.social"):
        return _bluesky(_Where("bsky.app", ("profile", name), {}, bases))
    found = _youtube(_Where("youtube.com", (f"@{name}",), {}, bases))
    if "." in name:
        return found + _bluesky(_Where("bsky.app", ("profile", name), {}, bases))
    return found + _medium(_Where("medium.com", (f"@{name}",), {}, bases))


def _fediverse(name: str, host: str, bases: Mapping[str, str]) -> list[Place]:
    base = bases["fediverse"].format(host=host)
    account = quote(f"acct:{name}@{host}", safe=":@")
    feeds = (f"{base}/@{name}.rss", f"{base}/@{name}")
    ask = f"{base}/.well-known/webfinger?resource={account}"
    return [Place(f"@{name}@{host} (Mastodon and the like)", feeds, ask, "webfinger")]


def _webfinger(said: Mapping[str, object]) -> Iterator[str]:
    """A profile's feed, by RFC 7033: the page for people first, then the actor's address."""
    links = [link for link in _list(said.get("links")) if isinstance(link, dict)][:50]
    for relation in ("http://webfinger.net/rel/profile-page", "self"):
        for link in links:
            href = link.get("href")
            page = http_url(href) if link.get("rel") == relation and isinstance(href, str) else ""
            if page:
                yield f"{page.rstrip('/')}.rss"
                yield page


def _itunes(said: Mapping[str, object]) -> Iterator[str]:
    for result in _list(said.get("results"))[:5]:
        feed = result.get("feedUrl") if isinstance(result, dict) else None
        if isinstance(feed, str) and (url := http_url(feed)):
            yield url


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


_READERS = {"webfinger": _webfinger, "itunes": _itunes}


# ---------------------------------------------------------------- addresses


def _youtube(at: _Where) -> list[Place]:
    feeds = f"{at.base('youtube')}/feeds/videos.xml"
    if playlist := at.query.get("list", ""):
        if re.fullmatch(r"(PL|UU|OL|FL)[\w-]{8,60}", playlist, re.A):
            return [Place(f"the playlist {playlist} at YouTube", (f"{feeds}?playlist_id={playlist}",))]
        return []
    first, second = _two(at)
    if first == "channel" and re.fullmatch(r"UC[\w-]{22}", second, re.A):
        return [Place(f"the channel {second} at YouTube", (f"{feeds}?channel_id={second}",))]
    if first == "user" and second:
        return [Place(f"{second} at YouTube", (f"{feeds}?user={quote(second)}",))]
    # A handle's channel has a number, which its page names.
    if first.startswith("@") and len(first) > 1:
        return [Place(f"{first} at YouTube", (f"{at.base('youtube')}/{quote(first, safe='@%')}",), page=True)]
    if first == "c" and second:
        return [Place(f"{second} at YouTube", (f"{at.base('youtube')}/c/{quote(second, safe='%')}",), page=True)]
    return []


def _reddit(at: _Where) -> list[Place]:
    if not at.path or at.path[-1] in (".rss", ".json") or at.path[-1].endswith(".rss"):
        return []
    kind, name = _two(at)
    base = at.base("reddit")
    if kind == "r" and re.fullmatch(r"[\w+-]{1,100}", name, re.A):
        order = [word for word in at.path[2:3] if word in ("new", "hot", "top", "rising", "controversial")]
        span = f"?t={at.query['t']}" if at.query.get("t", "") in ("hour", "day", "week", "month", "year", "all") else ""
        if at.path[2:3] == ("comments",):
            place = "/".join(quote(piece, safe="%") for piece in at.path[2:5])
            return [Place(f"a discussion in r/{name} at Reddit", (f"{base}/r/{name}/{place}/.rss",))]
        if len(at.path) > 2 and not order:
            return []
        return [Place(f"r/{name} at Reddit", (f"{base}/{'/'.join(['r', name, *order])}/.rss{span}",))]
    if kind in ("u", "user") and re.fullmatch(r"[\w-]{1,100}", name, re.A):
        return [Place(f"u/{name} at Reddit", (f"{base}/user/{name}/.rss",))]
    return []


_OF_THE_SITE = (
    "about api apps collections customer-stories dashboard enterprise explore features groups help issues login "
    "marketplace new notifications org organizations orgs pricing pulls search security settings signup site sponsors "
    "stars topics trending user users"
)
_NOT_OWNERS = frozenset(_OF_THE_SITE.split())


def _github(at: _Where) -> list[Place]:
    owner, name = _two(at)
    if owner in _NOT_OWNERS or not _OWNER.fullmatch(owner) or not re.fullmatch(r"[\w.-]{1,100}", name or "-", re.A):
        return []
    name = name.removesuffix(".git")
    base = f"{at.base('github')}/{owner}"
    if not name:
        return [] if owner.endswith(".atom") else [Place(f"what {owner} does at GitHub", (f"{base}.atom",))]
    repo, rest = f"{base}/{name}", at.path[2:]
    releases = Place(f"the releases of {owner}/{name} at GitHub", (f"{repo}/releases.atom",))
    tags = Place(f"the tags of {owner}/{name} at GitHub", (f"{repo}/tags.atom",))
    if not rest:
        commits = Place(f"the commits of {owner}/{name} at GitHub", (f"{repo}/commits.atom",))
        return [releases, tags, commits]
    if rest[-1].endswith(".atom"):
        return []
    if rest[0] in ("releases", "tags"):
        return [releases if rest[0] == "releases" else tags]
    if rest[0] in ("commits", "commit", "tree"):
        branch = "/".join(quote(piece, safe="%") for piece in rest[1:])
        address = f"{repo}/commits/{branch}.atom" if branch and rest[0] != "commit" else f"{repo}/commits.atom"
        return [Place(f"the commits of {owner}/{name} at GitHub", (address,))]
    if rest[0] == "discussions":
        return [Place(f"the discussions of {owner}/{name} at GitHub", (f"{repo}/discussions.atom",))]
    return []


def _gitlab(at: _Where) -> list[Place]:
    path = list(at.path)
    project, rest = (path[: path.index("-")], path[path.index("-") + 1 :]) if "-" in path else (path, [])
    if len(project) < 2 or project[0] in _NOT_OWNERS or project[-1].endswith(".atom"):
        return []
    name = "/".join(project)
    base = f"{at.base('site')}/{quote(name, safe='/%')}"
    releases = Place(f"the releases of {name} at GitLab", (f"{base}/-/releases.atom", f"{base}/-/tags?format=atom"))
    tags = Place(f"the tags of {name} at GitLab", (f"{base}/-/tags?format=atom",))
    branch = "/".join(quote(piece, safe="%") for piece in rest[1:]) if rest[:1] in (["commits"], ["tree"]) else ""
    commits = Place(f"the commits of {name} at GitLab", (f"{base}/-/commits/{branch or 'HEAD'}?format=atom",))
    found = {"releases": [releases], "tags": [tags], "commits": [commits], "tree": [commits]}
    if at.query.get("format") == "atom" or (rest and rest[-1].endswith(".atom")):
        return []
    return found.get(rest[0], []) if rest else [releases, tags, commits]


def _forgejo(at: _Where) -> list[Place]:
    owner, name = _two(at)
    if not owner or owner in _NOT_OWNERS or at.path[-1].endswith((".rss", ".atom")):
        return []
    base, rest = f"{at.base('site')}/{quote(owner)}", at.path[2:]
    if not name:
        return [Place(f"what {owner} does at {at.host}", (f"{base}.rss",))]
    repo = f"{base}/{quote(name)}"
    releases = Place(f"the releases of {owner}/{name} at {at.host}", (f"{repo}/releases.rss",))
    tags = Place(f"the tags of {owner}/{name} at {at.host}", (f"{repo}/tags.rss",))
    if not rest:
        return [releases, tags, Place(f"what is done in {owner}/{name} at {at.host}", (f"{repo}.rss",))]
    return {"releases": [releases], "tags": [tags]}.get(rest[0], [])


def _bluesky(at: _Where) -> list[Place]:
    kind, name = _two(at)
    if kind != "profile" or len(at.path) != 2 or not re.fullmatch(r"[\w.:-]{3,253}", name, re.A):
        return []
    return [Place(f"@{name} at Bluesky", (f"{at.base('bluesky')}/profile/{name}/rss",))]


def _podcast(at: _Where) -> list[Place]:
    number = next((m[1] for piece in reversed(at.path) if (m := re.fullmatch(r"id([0-9]{3,15})", piece, re.A))), "")
    ask = f"{at.base('itunes')}/lookup?id={number}&entity=podcast"
    return [Place(f"the podcast {number} at Apple", (), ask, "itunes")] if number else []


def _hacker_news(at: _Where) -> list[Place]:
    known = {"": "rss", "news": "rss", "show": "showrss", "ask": "askrss", "best": "bestrss"}
    what = at.path[0] if at.path else ""
    if len(at.path) > 1 or what not in known:
        return []
    return [Place("Hacker News", (f"{at.base('hackernews')}/{known[what]}",))]


def _lobsters(at: _Where) -> list[Place]:
    first, second = _two(at)
    base = at.base("lobsters")
    if not first:
        return [Place("Lobsters", (f"{base}/rss",))]
    if first == "t" and second and not second.endswith((".rss", ".json")):
        return [Place(f"{second} at Lobsters", (f"{base}/t/{quote(second, safe=',%')}.rss",))]
    if first == "newest" and len(at.path) == 1:
        return [Place("the newest at Lobsters", (f"{base}/newest.rss",))]
    if first.startswith("~") and len(first) > 1:
        return [Place(f"{first} at Lobsters", (f"{base}/newest/{quote(first[1:])}.rss",))]
    return []


def _medium(at: _Where) -> list[Place]:
    if at.host not in ("medium.com", "www.medium.com"):
        return [] if at.path else [Place(f"{at.host} at Medium", (f"{at.base('site')}/feed",))]
    first, second = _two(at)
    base = f"{at.base('medium')}/feed"
    if not first or first in ("feed", "m", "me", "search", "explore-topics"):
        return []
    if first == "tag" and second:
        return [Place(f"the tag {second} at Medium", (f"{base}/tag/{quote(second, safe='%')}",))]
    if second == "tagged" and len(at.path) > 2:
        tagged = "/".join(quote(piece, safe="@%") for piece in (first, second, at.path[2]))
        return [Place(f"{first} at Medium, {at.path[2]}", (f"{base}/{tagged}",))]
    return [Place(f"{first} at Medium", (f"{base}/{quote(first, safe='@%')}",))] if len(at.path) == 1 else []


def _substack(at: _Where) -> list[Place]:
    if at.path[:1] not in ((), ("archive",), ("about",)):
        return []
    return [Place(f"{at.host}", (f"{at.base('site')}/feed",))]


def _tumblr(at: _Where) -> list[Place]:
    if at.path[-1:] == ("rss",):
        return []
    if at.host in ("tumblr.com", "www.tumblr.com"):
        name = at.path[1] if at.path[:1] == ("blog",) and len(at.path) > 1 else at.path[0] if at.path else ""
        if not re.fullmatch(r"[a-z0-9-]{1,32}", name, re.A) or name in ("explore", "dashboard", "login", "tagged"):
            return []
        return [Place(f"{name} at Tumblr", (at.bases["site"].format(host=f"{name}.tumblr.com") + "/rss",))]
    if at.path[:1] == ("tagged",) and len(at.path) == 2:
        return [Place(f"{at.host}, {at.path[1]}", (f"{at.base('site')}/tagged/{quote(at.path[1], safe='%')}/rss",))]
    return [] if at.path else [Place(at.host, (f"{at.base('site')}/rss",))]


def _blogspot(at: _Where) -> list[Place]:
    feeds = f"{at.base('site')}/feeds/posts/default"
    if at.path[:2] == ("search", "label") and len(at.path) == 3:
        return [Place(f"{at.host}, {at.path[2]}", (f"{feeds}/-/{quote(at.path[2], safe='%')}",))]
    return [] if at.path else [Place(at.host, (feeds,))]


def _wordpress(at: _Where) -> list[Place]:
    if at.host in ("wordpress.com", "www.wordpress.com") or at.path[-1:] == ("feed",):
        return []
    if at.path and at.path[0] not in ("category", "tag", "author"):
        return []
    path = "".join(f"{quote(piece, safe='%')}/" for piece in at.path)
    return [Place(at.host, (f"{at.base('site')}/{path}feed/",))]


def _stack_exchange(at: _Where) -> list[Place]:
    base = f"{at.base('site')}/feeds"
    path = at.path
    if path[:2] == ("questions", "tagged") and len(path) == 3:
        tags = quote(path[2], safe="+%")
        return [Place(f"{path[2]} at {at.host}", (f"{base}/tag?tagnames={tags}&sort=newest",))]
    if path[:1] == ("tags",) and len(path) > 1:
        return [Place(f"{path[1]} at {at.host}", (f"{base}/tag?tagnames={quote(path[1], safe='%')}&sort=newest",))]
    if len(path) > 1 and path[0] in ("questions", "users") and re.fullmatch("[0-9]{1,12}", path[1], re.A):
        kind = path[0].removesuffix("s")
        return [Place(f"the {kind} {path[1]} at {at.host}", (f"{base}/{kind}/{path[1]}",))]
    return [Place(at.host, (base,))] if path in ((), ("questions",)) else []


def _arxiv(at: _Where) -> list[Place]:
    return _arxiv_feed(at.path[1], at.bases) if at.path[:1] == ("list",) and len(at.path) > 1 else []


def _arxiv_feed(name: str, bases: Mapping[str, str]) -> list[Place]:
    return [Place(f"{name} at arXiv", (f"{bases['arxiv']}/rss/{name}",))] if _ARXIV.fullmatch(name) else []


def _two(at: _Where) -> tuple[str, str]:
    first, second, *_ = (*at.path[:2], "", "")
    return first, second


_RULES: list[tuple[re.Pattern[str], Rule]] = [
    (re.compile(pattern), rule)
    for pattern, rule in (
        (r"((www|m|music)\.)?youtube\.com", _youtube),
        (r"((www|old|new|np)\.)?reddit\.com", _reddit),
        (r"(www\.)?github\.com", _github),
        (r"gitlab\.([\w-]+\.)*[a-z]+", _gitlab),
        (r"codeberg\.org|gitea\.com", _forgejo),
        (r"bsky\.app", _bluesky),
        (r"podcasts\.apple\.com|itunes\.apple\.com", _podcast),
        (r"news\.ycombinator\.com", _hacker_news),
        (r"lobste\.rs", _lobsters),
        (r"((?!api\.|help\.|policy\.)[\w-]+\.)?medium\.com", _medium),
        (r"(?!www\.|open\.|support\.)[\w-]+\.substack\.com", _substack),
        (r"([\w-]+\.)?tumblr\.com", _tumblr),
        (r"(?!www\.)[\w-]+\.blogspot\.[a-z]{2,3}(\.[a-z]{2})?", _blogspot),
        (r"[\w-]+\.wordpress\.com", _wordpress),
        (
            r"([a-z]{2}\.)?stackoverflow\.com|([\w-]+\.)*[\w-]+\.stackexchange\.com|superuser\.com|serverfault\.com|"
            r"askubuntu\.com|mathoverflow\.net|stackapps\.com",
            _stack_exchange,
        ),
        (r"(www\.)?arxiv\.org", _arxiv),
    )
]
