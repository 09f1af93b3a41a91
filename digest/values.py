"""Frozen values that one step hands to the next, where both ends must know them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Literal

from digest import writers
from digest.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """Another place that tells a story: "also covered by"."""

    title: str
    url: str


@dataclass(frozen=True)
class Earlier:
    """What happened before: the story that another continues.

    `url` is its place in the archive's page of edition `number`; the story's own (and 0) where none shows it.
    `page` is always its own.
    """

    id: int
    title: str
    url: str
    at: datetime  # when that edition was composed, or the story came
    number: int = 0
    page: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """What can be heard or watched of a story: a file that its feed encloses. A mail links to it, and loads nothing."""

    url: str
    kind: str  # "audio" or "video"
    type: str = ""  # its media type, where it is known
    seconds: int = 0  # 0: its feed does not say
    size_bytes: int = 0  # the same


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture as it is shown: `width` and `height` in pixels of the page, `ground` its colour where it is blocked.

    `src` is an address of ours, or names a part of the mail; `alt` is "" where it only adorns.
    """

    name: str  # of a `PictureFile`
    width: int
    height: int
    ground: str
    alt: str = ""
    src: str = ""
    ink: str = "#000000"  # words on `ground`
    bytes: int = 0  # of the file


@dataclass(frozen=True, slots=True)
class Picture:
    """What a mail may show of a story's picture: over the column, as a square beside the text, and that with less."""

    hero: Shot | None = None
    thumb: Shot | None = None
    small: Shot | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """A story as it is chosen and rendered. `topic` is a slug of the newsletter's settings, or "other"."""

    id: int
    seq: int
    topic: str
    url: str
    title: str
    source: str
    author: str
    excerpt: str
    language: str
    image_url: str
    reading_minutes: int
    published_at: datetime
    rank: float  # without freshness, see `curate.pick`
    pinned: bool
    feed_id: int
    also: tuple[Source, ...] = ()  # who else tells it
    related: tuple[Source, ...] = ()  # other stories that are alike, not the same
    dated: bool = True  # else `published_at` is when we saw it, which says nothing about its age
    withdrawn: bool = False  # everyone who told it took it back
    feeds: tuple[int, ...] = ()  # the ids of all that tell it and did not take it back
    recording: Recording | None = None  # of a podcast, or a film
    picture: Picture = Picture()  # before `edition.pictured` what an editor chose, which may be there no more
    placed: int = 0  # where an editor put it among what is pinned, from 1; 0: before those, by its rank
    edited: bool = False  # an editor gave it another title or excerpt
    bare: bool = False  # an editor took its picture away
    chosen: str = ""  # the address of the picture that an editor chose
    summary: Literal["", "central", "machine"] = ""  # its excerpt is whole sentences: of its text, or of a machine's
    more_by: tuple[Source, ...] = ()  # all others of its author that are capped, see `curate.pick`
    follows: int | None = None  # the id of the story that it continues; 0: of none; None: nobody has looked yet
    earlier: Earlier | None = None  # the same, where it can be pointed to

    @property
    def writer(self) -> str:
        """Its author as readers are told of them: "" where nobody is named, as by "admin"."""
        return writers.named(self.author, self.source, self.url)


@dataclass(frozen=True)
class Stub:
    """An entry whose page is to be read, since its feed gives a stub: `why`, and what it `said` in plain words.

    `headers` are the feed's own and secret, for its origin only, as are the certificates of `ca_file`.
    """

    entry_id: int
    url: str
    title: str
    said: str
    why: str
    feed_url: str
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    proxy: str = field(repr=False, default="")
    ca_file: str = ""


@dataclass(frozen=True)
class Pictured:
    """An entry whose picture is to be found: addresses that it may have, the best first.

    `headers` and `ca_file` as of a `Stub`.
    """

    entry_id: int
    feed_id: int
    urls: tuple[str, ...]
    feed_url: str
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    proxy: str = field(repr=False, default="")
    ca_file: str = ""


@dataclass(frozen=True)
class Evidence:
    """How we know what a person said, or somebody in their place: kept in their history with what they said."""

    how: str  # "command line", "import FILE", "preference page", …
    at: datetime  # when they said it
    vouched_by: str = ""  # who says that the person wants it, where they did not say so themselves
    ip: str = ""  # the network address it came from


@dataclass(frozen=True)
class Wished:
    """A mail to the signed address at which a reader says what they choose; `robot`: nobody must answer it."""

    report_id: int  # of its row
    subscription_id: int
    subject: str
    text: str
    robot: bool


@dataclass(frozen=True)
class Mailed:
    """A mail to the address of a feed, as far as a feed is made of it. Strangers' words, not cleaned yet."""

    feed: str  # its name: the feed is `mail:name`
    subject: str
    sender: str  # From:
    list_id: str
    message_id: str  # or what stands for it
    date: datetime | None
    archived_at: str  # RFC 5064
    html: str
    text: str
    now: datetime  # when it was read


@dataclass(frozen=True)
class Followed:
    """What followed from a mail: in a word, why, and what `undo` puts back."""

    act: str
    why: str
    before: dict[str, Any] | None = None
    subscriber_id: int | None = None


# ---------------------------------------------------------------- alerts


@dataclass(frozen=True)
class WatchedFeed:
    """A feed with which something is the matter."""

    name: str
    since: datetime | None
    failures: int = 0
    error: str = ""


@dataclass(frozen=True)
class WatchedEdition:
    """An edition that waits for a person: "held" or "paused", and why."""

    newsletter: str
    number: int
    state: str
    reason: str
    since: datetime


@dataclass(frozen=True)
class Watched:
    """What is stored that an operator may have to hear of. Letters are those of the last week."""

    failing: tuple[WatchedFeed, ...] = ()
    silent: tuple[WatchedFeed, ...] = ()
    editions: tuple[WatchedEdition, ...] = ()
    doubtful: int = 0  # letters that wait for a person after a crash
    overdue: int = 0  # letters that are due and were never tried,
    oldest: datetime | None = None  # the first of them since
    sent: int = 0
    bounced: int = 0
    complained: int = 0


@dataclass(frozen=True)
class Condition:
    """Something that is the matter: a key, words, the command that mends it, whom it is about, since when if known."""

    key: str
    title: str
    words: str
    cure: str = ""
    names: tuple[str, ...] = ()
    since: datetime | None = None


@dataclass(frozen=True)
class Alert:
    """How a condition stands with those who are told.

    Not told yet (`told_at` is None), told, told and away (`gone_at`), or over (`well_at`).
    """

    key: str
    since: datetime
    title: str = ""
    words: str = ""
    cure: str = ""
    names: tuple[str, ...] = ()  # that were told
    told_at: datetime | None = None  # that it began
    last_at: datetime | None = None  # that it began, or still is, in this turn or the one before
    gone_at: datetime | None = None
    well_at: datetime | None = None
    turns: int = 0  # how often it came and went since `last_at`


@dataclass(frozen=True)
class AlertWord:
    """What is said once: `name` is the same wherever and however often it is said."""

    name: str
    key: str
    state: str  # "trouble", "still", "well" or "test"
    title: str
    words: str
    cure: str
    since: datetime
    at: datetime


@dataclass(frozen=True)
class Saved:
    """What was stored of a feed: how many of its entries."""

    new: int = 0
    edited: int = 0
    set_aside: int = 0  # of the new ones
    withdrawn: int = 0
