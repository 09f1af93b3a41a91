"""Whether a story is worth the first place and the subject line. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from digest.config import OTHER
from digest.curate import unfit
from digest.dataclass import dataclass
from digest.graphemes import width
from digest.values import Story

LEAST_TEXT = 60  # characters of an excerpt; with fewer nobody knows what it is about
_FRESH = timedelta(days=3)  # news, however often the newsletter comes
_RHYTHMS = 2  # editions back that still count as fresh
_RARE = timedelta(hours=36)  # from one edition to the next, from which all between them is equally new

_I = re.IGNORECASE
_JOB_PATH = re.compile(r"/(?:jobs?|careers?|vacanc(?:y|ies)|stellen(?:angebote)?)/", _I)
# Not a release of some software, which has a tag as well.
_LISTING_PATH = re.compile(
    r"(?<!/releases)(?<!/-)(?<!/src)/(?:(?:tags?|categor(?:y|ies)|labels?|kategorien?|schlagwort|authors?)(?:/[^/]{1,60})?|archives?(?:/(?:19|20)\d\d)?)"
    r"/?(?:index\.html?)?$",
    _I,
)
# Pages that a site's generator puts into its feed beside what was written.
_PAGE = re.compile(
    r"^(?:about(?: (?:me|us))?|archives?|categories|contact|home|impressum|imprint|posts|search|tags)$", _I
)
# What "this feed has moved" leads to, where it is no story of a site's move: the feed, or nowhere but the front page.
_A_FEED = re.compile(r"^/?$|(?:^|/)(?:index\.xml|feed|rss|atom)(?:/|\.(?:xml|rss|atom|json))?$|\.(?:rss|atom)$", _I)
_LISTED_TITLE = 4  # words; who writes of a category writes more than its name
# What the same news of the local machine would lead to.
_OWN_NAMES = re.compile(
    r"^(?:localhost|.{0,200}\.(?:localhost|localdomain|local|internal|intranet|lan|home|corp|invalid|test|onion)|"
    r"(?:0x[0-9a-f]+|\d{1,10})(?:\.(?:0x[0-9a-f]+|\d{1,10})){0,3})$",  # an address of numbers in another form
    _I,
)


@dataclass(frozen=True)
class Paper:
    """Of a newsletter, what its lead has to fit: its language ("": any), and the time from one edition to the next."""

    language: str = ""
    rhythm: timedelta = timedelta(days=1)

    def stale_before(self, now: datetime) -> datetime:
        """What was published before is no news here."""
        return now - max(_FRESH, _RHYTHMS * self.rhythm)

    @property
    def one_piece(self) -> timedelta:
        """For how long back all is equally new: who reads once a week wants its greatest news, not its last day's."""
        return self.rhythm if self.rhythm > _RARE else timedelta(0)


def listing(title: str, url: str) -> bool:
    """Whether something is a page of a site's tags, categories or archive, or about it, and no text of its own."""
    path = _path(url)
    if unfit.LISTING.search(title.strip()) or (_PAGE.search(title.strip()) and path.strip("/").count("/") <= 1):
        return True
    return len(title.split()) <= _LISTED_TITLE and _LISTING_PATH.search(path) is not None


def no_story(title: str, url: str) -> str:
    """Why an entry is no story at all, as the end of a sentence that begins with it; "" where it may be one."""
    if listing(title, url):
        return "is a page of tags or an archive of its site"
    if unfit.MOVED.search(title) and _A_FEED.search(_path(url)):
        return "says that a feed moved, and leads to no more than the feed"
    if title.count("\ufffd") > 1:
        return "has a title whose letters are lost"
    return ""


@lru_cache(maxsize=4096)  # asked for each variant
def never(title: str, url: str, excerpt: str) -> str:
    """Why such a story never leads, as the end of a sentence that begins with it; "" where it may."""
    if listing(title, url) or _LISTING_PATH.search(_path(url)):
        return "is a page of tags or an archive"
    if unfit.MOVED.search(title):
        return "says that a feed or site moved"
    if unfit.JOB.search(title) or _JOB_PATH.search(_path(url)):
        return "is a job advert"
    if unfit.ADVERT.search(title):
        return "is an advertisement"
    if unfit.EMPTY.search(title.strip()):
        return "has a title that says nothing"
    if unfit.broken(title) or unfit.broken(excerpt):
        return "has broken letters"
    if _nowhere(url):
        return "leads to an address that readers cannot open"
    return ""


def faults(story: Story, paper: Paper, *, now: datetime) -> tuple[str, ...]:
    """What speaks against a story as the lead, as ends of sentences that begin with it."""
    found = [never(story.title, story.url, story.excerpt)]
    if _stale(story, paper, now=now):
        found.append("is old" if story.dated else "has no date")
    if _foreign(story, paper):
        found.append(f"is in another language ({story.language})")
    if width(story.excerpt) < LEAST_TEXT:
        found.append("has no text to show")
    if story.topic == OTHER:
        found.append("is under no heading")
    return tuple(fault for fault in found if fault)


def lead(stories: Sequence[Story], paper: Paper, *, now: datetime) -> Story:
    """Which of these, best first, leads: what an editor pinned, else the best with the least against it.

    Where all are old, the newest that has a text: an edition of old feeds is a beginning.
    """
    if stories[0].pinned:
        return stories[0]
    old = all(_stale(story, paper, now=now) for story in stories)

    def worse(at: int) -> tuple[bool, bool, bool, int, float, int]:
        story = stories[at]
        untold = width(story.excerpt) < LEAST_TEXT
        return (
            bool(never(story.title, story.url, story.excerpt)),
            not old and _stale(story, paper, now=now),
            _foreign(story, paper),
            untold if old else untold + (story.topic == OTHER),
            -story.published_at.timestamp() if old and story.dated else 0.0,
            at,
        )

    return stories[min(range(len(stories)), key=worse)]


def beginning(stories: Sequence[Story], paper: Paper, *, now: datetime) -> bool:
    """Whether nothing of these is news: an edition made of what feeds had before."""
    return bool(stories) and all(_stale(story, paper, now=now) for story in stories)


def _stale(story: Story, paper: Paper, *, now: datetime) -> bool:
    return not story.dated or story.published_at < paper.stale_before(now)


def _foreign(story: Story, paper: Paper) -> bool:
    spoken, ours = (language.lower().partition("-")[0] for language in (story.language, paper.language))
    return bool(spoken and ours) and spoken != ours


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _nowhere(url: str) -> bool:
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return True
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or _OWN_NAMES.match(host) is not None
