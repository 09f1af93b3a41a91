"""The sections of the settings, each with its defaults and what it refuses."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr, SecretStr, field_validator, model_validator

from digest.config.look import Look, Tint
from digest.config.section import Section as Section
from digest.config.section import unsaid
from digest.config.value_types import (
    OTHER,
    TOPICS,
    BaseUrl,
    Domain,
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
    ServerUrl,
    Share,
    Slug,
    SmtpUrl,
    imap_server,
    name_server,
    smtp_server,
)
from digest.schedule import Schedule
from digest.schedule import parse as parse_schedule


def _check_login(url: SecretStr | None, user: str, password: SecretStr | None, command: str) -> None:
    """ValueError where it is not clear who logs in and how."""
    secret = password.get_secret_value() if password else ""
    if url is None:
        if given := [name for name, value in (("user", user), ("password", secret)) if value]:
            raise ValueError(f"has a {given[0]} and no url to use it for")
        if command:
            raise ValueError("has a token_command and nobody to log in: give it a url and a user")
        return
    _check_logins(smtp_server(url.get_secret_value()), user, secret, command, named="url")


def _check_logins(there: ServerUrl, user: str, secret: str, command: str, *, named: str) -> None:
    if (there.user and user) or (there.password and secret):
        raise ValueError(f"has the {'user' if user else 'password'} twice, in its {named} and beside it; take one away")
    if (secret or there.password) and not (user or there.user):
        raise ValueError("has a password and no user")
    if command:
        if not (user or there.user):
            raise ValueError("has a token_command and nobody to log in: give the user, as in user@host")
        if secret or there.password:
            raise ValueError("has both a password and a token_command; take one away")
        _check_command(command)


def _check_command(command: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"has a token_command that cannot be read: {error}") from None
    if not words:
        raise ValueError("has an empty token_command")


class Relay(Section):
    """A mail server that takes our letters. A limit of 0 is none; those per hour and day outlive the process."""

    url: SmtpUrl
    user: Line = ""  # who logs in, where `url` does not say it
    password: Secret | None = None
    auth: Literal["", "plain", "login", "xoauth2"] = ""  # "": plain or login, whichever is offered
    token_command: Line = ""  # prints what stands for the password, an access token unless `auth` says otherwise
    order: int = 1  # a relay of a higher order is used only while all of a lower one are down
    weight: float = Field(1, gt=0)  # its share among relays of the same order
    connections: int = Field(8, ge=1, le=200)
    per_second: float = Field(0, ge=0)
    per_hour: int = Field(0, ge=0)
    per_day: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _login(self) -> Relay:
        _check_login(self.url, self.user, self.password, self.token_command)
        return self

    @property
    def server(self) -> ServerUrl:
        """Where it is, and who logs in there, wherever that was said."""
        found = smtp_server(self.url.get_secret_value())
        password = self.password.get_secret_value() if self.password else ""
        return replace(found, user=found.user or self.user, password=found.password or password)


class Dkim(Section):
    """Sign letters here, for relays that do not. `domain` is by default the sender's."""

    selector: Line
    key_file: FilePath
    domain: Domain = ""


class Smtp(Section):
    """Where letters go. Without `url` or `relays` they are written to a Maildir beside the database."""

    url: SmtpUrl | None = None  # short for one relay with the settings of `Relay`
    user: Line = ""
    password: Secret | None = None
    relays: tuple[Relay, ...] = ()
    token_command: Line = ""
    connections: int = Field(8, ge=1, le=200)
    envelope_domain: Domain = ""
    hello: Domain = ""  # our name in EHLO; else the machine's, if it has a full one, or its address
    ca_file: FilePath | None = None
    dkim: tuple[Dkim, ...] = ()
    # How long a server may take to answer a command, and the end of the data (RFC 5321 §4.5.3.2).
    timeout_seconds: float = Field(300, gt=0, le=600)
    data_timeout_seconds: float = Field(600, gt=0, le=1200)
    lifetime_hours: float = Field(48, gt=0, le=240)
    after_crash: Literal["resend", "hold"] = "resend"
    per_domain: int = Field(0, ge=0)  # letters at a time to one domain of recipients; 0: no limit
    # The share of an edition that goes out first, and what share of refusals lets the rest follow.
    canary: Share = 0.0
    max_refused: Share = 0.05
    # An edition with letters that were due longer ago and never tried waits for a person.
    max_lateness_hours: float = Field(24, gt=0, le=10_000_000)

    @field_validator("url", mode="before")
    @classmethod
    def _no_url(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _one_way(self) -> Smtp:
        if self.url and self.relays:
            raise ValueError("has both url and relays; move url into a [[smtp.relays]] of its own")
        for name in ("token_command", "user", "password") if self.relays else ():
            if getattr(self, name):
                raise ValueError(f"has {name} beside relays; move it into the [[smtp.relays]] it is for")
        _check_login(self.url, self.user, self.password, self.token_command)
        return self

    @property
    def servers(self) -> tuple[Relay, ...]:
        if self.url:
            both = Relay.model_fields.keys() & Smtp.model_fields.keys()
            return (Relay(**{name: getattr(self, name) for name in both}),)
        return self.relays

    @property
    def lifetime(self) -> timedelta:
        return timedelta(hours=self.lifetime_hours)

    @property
    def max_lateness(self) -> timedelta:
        return timedelta(hours=self.max_lateness_hours)

    @property
    def lease(self) -> timedelta:
        """How long an attempt may take, before another sender may think that this one died.

        A letter's envelope may wait for the reply to the body before it, then it waits for its own.
        """
        return timedelta(seconds=3 * self.data_timeout_seconds)


_WAY = ("url", "user", "password", "token_command", "relays")  # where letters go, and who logs in there


class OwnSmtp(Smtp):
    """`[newsletters.NAME.smtp]`: what is otherwise for one newsletter. Judged as a whole once `over` has made one."""

    @model_validator(mode="after")
    def _one_way(self) -> OwnSmtp:
        return self

    def over(self, common: Smtp) -> OwnSmtp:
        """The whole: each value as it is given here, else as in `[smtp]`. Raises ValidationError.

        Who names a server of their own (`url` or `relays`) takes none, and no login, of the common ones: a password is
        never said to a server that it was not meant for.
        """
        own = {name: getattr(self, name) for name in self.model_fields_set}
        rest = {name: getattr(common, name) for name in Smtp.model_fields}
        if "url" in own or "relays" in own:
            rest = {name: value for name, value in rest.items() if name not in _WAY}
        elif common.url and own.keys() & set(_WAY):
            there = smtp_server(common.url.get_secret_value())
            rest["url"] = SecretStr(f"{there.scheme}://{there.place}")
            rest["user"] = there.user or common.user
            rest["password"] = SecretStr(there.password) if there.password else common.password
            if self.token_command:
                rest["password"] = None
            if self.password:
                rest["token_command"] = ""
        whole = Smtp(**(rest | own))
        return OwnSmtp.model_construct(**{name: getattr(whole, name) for name in Smtp.model_fields})


class FeedHost(Section):
    """What is otherwise at one host and its subdomains. None: as everywhere."""

    gap_seconds: float | None = Field(None, ge=0, le=3600)
    connections: int | None = Field(None, ge=1, le=50)
    headers: HttpHeaders = Field(default_factory=dict)  # secret; sent to this host only, and not after a redirect


class Collect(Section):
    """How feeds are fetched, and the bounds nothing gets past."""

    contact: Line = ""  # an address or page for the User-Agent; without it, `base_url`
    allow_private_addresses: bool = False
    connections: int = Field(50, ge=1, le=500)
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

    api_per_minute: int = Field(120, ge=1, le=1_000_000)  # requests of one key to one process
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


class MailWebhooks(Section):
    """Services that tell `digest serve` what came back. Each is heard only where its setting is there."""

    ses_topics: tuple[Line, ...] = ()  # ARNs of SNS topics
    sendgrid_key: Line = ""  # the public key of the signed Event Webhook
    postmark_secret: Secret | None = None  # a password of ours: Postmark signs nothing
    mailgun_key: Secret | None = None  # the HTTP webhook signing key

    @field_validator("ses_topics")
    @classmethod
    def _topics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}", one):
                raise ValueError("must be ARNs of SNS topics, as in arn:aws:sns:eu-west-1:123456789012:bounces")
        return value

    @field_validator("sendgrid_key")
    @classmethod
    def _public_key(cls, value: str) -> str:
        words = re.sub(r"-----(BEGIN|END) PUBLIC KEY-----|\s", "", value)
        if value and not re.fullmatch(r"[A-Za-z0-9+/]{80,200}={0,2}", words):
            raise ValueError("must be the verification key that SendGrid shows, a line of base64")
        return words

    @field_validator("postmark_secret", "mailgun_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and 0 < len(value.get_secret_value()) < 16:
            raise ValueError("must have at least 16 characters")
        return value if value is not None and value.get_secret_value() else None

    @property
    def any(self) -> bool:
        return bool(self.ses_topics or self.sendgrid_key or self.postmark_secret or self.mailgun_key)


class Mail(Section):
    """What comes back: bounces, complaints, answers."""

    source: Line = Field("", repr=False)  # where `digest run` reads it: a Maildir, an mbox, or imaps://user@host/INBOX
    user: Line = ""  # who logs in there, where `source` does not say it
    password: Secret | None = None
    auth: Literal["", "plain", "login", "xoauth2"] = ""
    token_command: Line = ""  # prints what stands for the password, as that of a relay
    ca_file: FilePath | None = None
    move_to: Line = ""  # the folder of an IMAP server for what was understood; else it stays
    keyword: str = Field("", pattern=r"^[A-Za-z0-9$_.-]{0,60}$")  # what it is flagged with there besides as seen
    address: Line = ""  # one mailbox for all that comes back, which takes what stands behind a plus too
    forward_to: Line = ""  # who is told of what people write; else it waits in `digest mail asks`
    keep_days: int = Field(30, ge=1, le=3650)  # the mails themselves
    per_run: int = Field(2000, ge=1, le=1_000_000)  # mails that `digest run` reads, at most
    seconds: float = Field(60, gt=0, le=3600)  # and for how long
    webhooks: MailWebhooks = unsaid()

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z0-9._-]{1,25}@[A-Za-z0-9.-]{1,255}", value):
            raise ValueError(
                "must be a plain address without a name and a plus, with at most 25 letters before its @, as in "
                "bounces@news.example"
            )
        return value

    @field_validator("forward_to")
    @classmethod
    def _plain(cls, value: str) -> str:
        if value and not re.fullmatch(r"[^\s@<>,;:\"()]{1,64}@[A-Za-z0-9.-]{1,255}", value):
            raise ValueError("must be a plain address without a name, as in editor@news.example")
        return value

    @model_validator(mode="after")
    def _no_circle(self) -> Mail:
        local, _, domain = self.forward_to.lower().partition("@")
        if self.address and f"{local.partition('+')[0]}@{domain}" == self.address.lower():
            raise ValueError("has its own address as forward_to: what people write would come round")
        return self

    @model_validator(mode="after")
    def _login(self) -> Mail:
        secret = self.password.get_secret_value() if self.password else ""
        if "://" not in self.source:
            given = {"user": self.user, "password": secret, "token_command": self.token_command, "auth": self.auth}
            if names := [name for name, value in given.items() if value]:
                raise ValueError(f"has a {names[0]} and no IMAP server as source to use it for")
            if self.move_to or self.keyword:
                raise ValueError("has move_to or keyword, which only a mailbox on an IMAP server knows")
            return self
        there = imap_server(self.source)
        _check_logins(there, self.user, secret, self.token_command, named="source")
        return self

    @property
    def server(self) -> ServerUrl:
        """Where an IMAP server is, and who logs in there, wherever that was said."""
        found = imap_server(self.source)
        password = self.password.get_secret_value() if self.password else ""
        return replace(found, user=found.user or self.user, password=found.password or password)

    @property
    def comes_back(self) -> bool:
        """Does somebody read what is written to the addresses in our letters?"""
        return bool(self.source or self.address)


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
