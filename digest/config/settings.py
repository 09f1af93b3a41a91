"""The sections of the settings, each with its defaults and what it refuses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr, SecretStr, field_validator, model_validator

from digest.config.look import Look, Tint
from digest.config.section import Section as Section
from digest.config.smtp import OwnSmtp
from digest.config.value_types import (
    OTHER,
    TOPICS,
    BaseUrl,
    FilePath,
    HostName,
    HttpHeaders,
    Languages,
    Line,
    Mailbox,
    Network,
    Origin,
    Person,
    ProxyUrl,
    Secret,
    SecretKey,
    Slug,
    name_server,
)
from digest.schedule import Schedule
from digest.schedule import parse as parse_schedule


class FeedHost(Section):
    """What is otherwise at one host and its subdomains. None: as everywhere."""

    gap_seconds: float | None = Field(None, ge=0, le=3600)
    connections: int | None = Field(None, ge=1, le=50)
    headers: HttpHeaders = Field(default_factory=dict)  # secret; sent to this host only, and not after a redirect


class Collect(Section):
    """How feeds are fetched, and the bounds nothing gets past."""

    contact: Line = ""  # an address or page for the User-Agent; without it, `base_url`
    allow_private_addresses: bool = False
    connections: int = Field(100, ge=1, le=500)
    host_connections: int = Field(2, ge=1, le=50)  # to one host at once; this machine itself has no such limit
    host_gap_seconds: float = Field(0.5, ge=0, le=60)  # between two requests to one host
    address_connections: int = Field(0, ge=0, le=50)  # to one address at once, whatever its hosts; 0: as to one host
    hosts: dict[HostName, FeedHost] = Field(default_factory=dict)
    proxy: ProxyUrl = SecretStr("")  # "": as http_proxy and https_proxy say; "none": never
    timeout_seconds: float = Field(30, gt=0, le=600)
    max_bytes: int = Field(10_000_000, ge=10_000)
    parse_seconds: float = Field(10, gt=0, le=120)
    interval_minutes: float = Field(15, ge=0, le=10_000_000)  # a feed is not asked more often; 0 asks at each run
    max_interval_hours: float = Field(6, gt=0, le=168)  # and, while healthy, not less often than this
    workers: int = Field(2, ge=1, le=64)
    # Pages that are read where a feed gives stubs (`feed set --full-text`): so long, and so many, in a run.
    full_text_seconds: float = Field(20, ge=0, le=600)
    full_text_pages: int = Field(40, ge=0, le=1000)
    points: bool = False  # ask Hacker News and Lobsters what votes new entries have, where the feed does not say
    websub: bool = False  # let hubs tell us of feeds, at `base_url`; `digest serve` must be reachable there

    @property
    def interval(self) -> timedelta:
        return timedelta(minutes=self.interval_minutes)

    def of_host(self, host: str) -> FeedHost:
        """How a host is asked: by the settings of the longest name that it is or ends in, else the general ones."""
        names = [name for name in self.hosts if host == name or host.endswith(f".{name}")] if self.hosts else []
        own = self.hosts[max(names, key=len)] if names else FeedHost()
        gap = self.host_gap_seconds if own.gap_seconds is None else own.gap_seconds
        return FeedHost.model_construct(
            gap_seconds=gap, connections=own.connections or self.host_connections, headers=own.headers
        )

    @property
    def max_interval(self) -> timedelta:
        return max(self.interval, timedelta(hours=self.max_interval_hours))


class Curate(Section):
    """What a feed may contribute, and what makes a story come first."""

    # A first run gives an edition and not an archive: the rest of a new or flooding feed is marked seen.
    newest_of_new_feed: int = Field(3, ge=0)
    new_feed_days: float = Field(14, gt=0, le=365_000)
    flood: int = Field(20, ge=1)
    newest_of_flood: int = Field(5, ge=0)
    # Publishers post, mend and withdraw within minutes: an entry is taken once it was left alone for so long.
    settle_minutes: float = Field(5, ge=0, le=10_080)
    # A loud feed does not fill the mail.
    per_feed: int = Field(3, ge=1)
    per_author: int = Field(2, ge=1)
    per_topic: int = Field(8, ge=1)
    excerpt_length: int = Field(150, ge=60, le=1000)
    excerpts: Literal["first", "central"] = "first"  # of a text: its first words, or the sentences that say most
    # What each part of a rank is worth at most (see `curate.rank`).
    weight_sources: float = Field(2.0, ge=0)
    weight_fresh: float = Field(1.0, ge=0)
    weight_topic: float = Field(0.5, ge=0)
    weight_excerpt: float = Field(0.5, ge=0)
    weight_points: float = Field(0.5, ge=0)
    weight_taste: float = Field(1.0, ge=0)  # of each level by which a reader wants more or less of a story
    fresh_hours: float = Field(48, gt=0, le=10_000_000)
    earlier_days: int = Field(60, ge=0, le=1000)  # in which an earlier story is looked for that one continues; 0: never
    precision: float = Field(0.9, ge=0.5, le=0.999)
    scorer: Line = ""  # one of `parse.meaning.MODELS`, such as "semantic", or "package.module:function"
    summarizer: Line = ""  # "openai" (see `[summarizer]`), or "package.module:function"; "": none

    @property
    def semantic(self) -> bool:
        return bool(self.scorer) and ":" not in self.scorer

    @property
    def settle(self) -> timedelta:
        return timedelta(minutes=self.settle_minutes)


class Web(Section):
    """The pages of `digest serve`."""

    signups_per_network: int = Field(10, ge=1)  # mails an hour that one network may cause
    signups_per_hour: int = Field(500, ge=1)  # and all of them together
    proxies: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1"))

    api_per_minute: int = Field(120, ge=1, le=1_000_000)  # requests of one key
    api_origins: tuple[Origin, ...] = ()  # whose pages may ask for a sign-up in the browser (CORS)
    webhook_private_addresses: bool = False
    webhook_days: float = Field(5, gt=0, le=365)  # that a webhook may fail before it is told nothing more
    metrics_token: Secret | None = None  # with which `/metrics` is answered
    metrics_port: int = Field(0, ge=0, le=65535)  # of loopback, where it is answered to everybody; 0: none

    @field_validator("metrics_token")
    @classmethod
    def _metrics_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9._~+/=-]{16,200}", value.get_secret_value()):
            raise ValueError(
                "must have 16 to 200 letters, digits and . _ ~ + / = -, as in the header of a Bearer token"
            )
        return value

    @property
    def webhook_patience(self) -> timedelta:
        return timedelta(days=self.webhook_days)

    @field_validator("proxies", mode="before")
    @classmethod
    def _proxies(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            raise ValueError('must be a list of addresses and networks, as in ["127.0.0.1", "10.0.0.0/8"]')
        try:
            return tuple(ipaddress.ip_network(one if isinstance(one, Network) else str(one)) for one in value)
        except ValueError as error:
            raise ValueError(f"has something that is no address or network: {error}") from None


class Log(Section):
    """What is written down of what is done, besides what is said."""

    file: FilePath | None = None
    format: Literal["text", "json"] = "text"
    addresses: bool = False  # of readers and visitors
    history_days: int = Field(90, ge=1, le=3650)  # that runs are remembered
    otlp: Line = ""  # where spans go, as OTLP over HTTP: http://127.0.0.1:4318
    otlp_headers: dict[Line, SecretStr] = Field(default_factory=dict)  # what a collector asks for, a token say

    @field_validator("otlp")
    @classmethod
    def _otlp(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", value):
            raise ValueError(
                "is no address of a collector; write http://127.0.0.1:4318, a token goes into otlp_headers"
            )
        return value

    @property
    def history(self) -> timedelta:
        return timedelta(days=self.history_days)


class Doctor(Section):
    """What `digest doctor` cannot know by itself."""

    nameserver: Line = ""  # "": the system's
    addresses: tuple[str, ...] = ()  # that letters leave from, where those are not the relay's own
    seconds: float = Field(10, gt=0, le=300)  # for each question

    @field_validator("nameserver")
    @classmethod
    def _nameserver(cls, value: str) -> str:
        if value:
            name_server(value)
        return value

    @field_validator("addresses")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(ipaddress.ip_address(one.strip())) for one in value)
        except ValueError:
            raise ValueError('must be IP addresses, as in ["192.0.2.25", "2001:db8::25"]') from None


class Topic(Section):
    """A heading. Without `keywords` one of the packaged topics keeps its own; `more_keywords` adds to them."""

    title: Line = ""
    accent: Tint = ""  # of what stands under it; "": the newsletter's
    keywords: tuple[Line, ...] | None = None
    more_keywords: tuple[Line, ...] = ()
    categories: tuple[Line, ...] = ()


class Rule(Section):
    """The operator's word on entries that fit all of its patterns.

    A pattern is found anywhere at the bounds of words, in capitals or not; `*` stands for anything.
    """

    feed: Line = ""
    url: Line = ""
    author: Line = ""
    title: Line = ""
    category: Line = ""
    topic: Slug | None = None
    mute: bool = False
    pin: bool = False
    boost: float = Field(0, ge=-10, le=10)

    @model_validator(mode="after")
    def _says_something(self) -> Rule:
        if not (self.feed or self.url or self.author or self.title or self.category):
            raise ValueError("has no pattern; give it a feed, url, author, title or category")
        if not (self.topic or self.mute or self.pin or self.boost):
            raise ValueError("does nothing; give it a topic, mute = true, pin = true or a boost")
        return self


class Newsletter(Look):
    """One newsletter: who sends it, when, how much, and under which headings."""

    title: Line
    reply_to: Mailbox | None = None
    base_url: BaseUrl = ""  # where its pages are; "": the common one
    secret_key: SecretKey | None = None  # what its links are signed with
    former_secret_keys: tuple[SecretStr, ...] = ()
    smtp: OwnSmtp | None = None  # of settings that were read, with all that `[smtp]` says besides
    schedule: str | None = None
    holidays: tuple[Line, ...] = ()  # dates and places that have no edition
    language: Line = "en"
    languages: Languages = ()  # of stories; none is all
    other_languages: Literal["out", "apart"] = "out"  # what becomes of stories in others
    images: Literal["none", "lead", "all"] = "lead"  # which stories are shown with their picture
    image_source: Literal["", "served", "attached"] = ""  # "": served where `base_url` is https and not this machine
    preflight: Literal["warn", "stop"] = "warn"
    approve: bool = False
    editor: Person | None = None
    approve_hours: float = Field(0, ge=0, le=240)
    max_stories: int = Field(30, ge=1, le=500)
    in_short: int = Field(12, ge=0, le=500)  # stories from which on a mail begins with five of them in a line; 0: never
    min_stories: int = Field(1, ge=1)
    ask_taste: bool = True  # offer under stories to say that there should be more or less of such
    most_orders: int = Field(200, ge=0, le=100_000)  # of an edition, for readers who said so; beyond: the common one
    welcome: bool = True  # who confirms gets the latest edition at once
    welcome_mail: bool = False  # and before it a mail of words alone
    goodbye: bool = False  # who leaves by themselves gets a mail that says so
    postal_address: str = ""
    about: str = ""
    signup: bool = True
    remind_days: int = Field(3, ge=0, le=6)  # after which who has not confirmed is reminded, once; 0: never
    templates: FilePath | None = None
    archive: bool = True
    topics: dict[Slug, Topic] = Field(default_factory=dict)
    gone_topics: Literal["all", "none"] = "all"  # what they get who chose only topics that are no more
    rules: tuple[Rule, ...] = ()
    feed_categories: dict[str, dict[str, Slug]] = Field(default_factory=dict)
    feed_weights: dict[str, float] = Field(default_factory=dict)
    _shared_templates: Path | None = PrivateAttr(None)  # `templates` of the settings, which are for all newsletters

    @field_validator("topics")
    @classmethod
    def _topics(cls, value: dict[str, Topic]) -> dict[str, Topic]:
        if OTHER in value:
            raise ValueError("has a topic 'other'; that name is kept for stories without a heading")
        return value

    @field_validator("schedule")
    @classmethod
    def _schedule(cls, value: str | None) -> str | None:
        if value:
            parse_schedule(value)
        return value or None

    @model_validator(mode="after")
    def _bounds(self) -> Newsletter:
        if self.holidays and not self.schedule:
            raise ValueError("has holidays and no schedule that would skip them; add one, or take them away")
        _ = self.slots  # which also says what is wrong with holidays
        if self.min_stories > self.max_stories:
            raise ValueError("min_stories is larger than max_stories")
        if self.approve and not self.editor:
            raise ValueError("has approve = true and no editor to ask; add editor = 'name@example.org'")
        known = {*self.known_topics, OTHER}
        for number, rule in enumerate(self.rules, 1):
            if rule.topic and rule.topic not in known:
                raise ValueError(f"rule {number} names the topic {rule.topic!r}, which it does not have")
        for feed, names in self.feed_categories.items():
            if strange := [slug for slug in names.values() if slug not in known]:
                raise ValueError(f"feed_categories of {feed!r} name the topic {strange[0]!r}, which it does not have")
        return self

    @property
    def known_topics(self) -> Mapping[str, str]:
        """The titles of its topics by their slugs, in the order of the mail: its own, or else those of the package."""
        return {slug: topic.title or TOPICS.get(slug, "") for slug, topic in self.topics.items()} or TOPICS

    def wanted(self, chosen: Iterable[str]) -> frozenset[str]:
        """What a choice of topics comes to: none is all, and so is one of which nothing is left (`gone_topics`)."""
        topics = frozenset(chosen)
        return frozenset() if self.gone_topics == "all" and topics.isdisjoint(self.known_topics) else topics

    @property
    def template_folders(self) -> tuple[Path, ...]:
        """The folders whose files go before our templates, the first before the others."""
        return tuple(folder for folder in (self.templates, self._shared_templates) if folder is not None)

    def sharing(self, templates: Path | None) -> Newsletter:
        """The same with a folder of templates that all newsletters have."""
        mine = self.model_copy()
        mine._shared_templates = templates
        return mine

    @property
    def slots(self) -> Schedule | None:
        return parse_schedule(self.schedule, self.holidays) if self.schedule else None

    @property
    def domain(self) -> str:
        """The domain of the sender, on which Message-ID, List-Id and VERP addresses stand."""
        return parseaddr(self.sender)[1].rpartition("@")[2].lower()
