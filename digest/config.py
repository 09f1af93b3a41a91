"""Settings: `digest.toml`, each value overridable by environment, read once into a frozen `Config`.

    digest.toml                 environment
    base_url = "…"              DIGEST_BASE_URL
    [smtp] url = "…"            DIGEST_SMTP__URL
    [newsletters.daily] title   DIGEST_NEWSLETTERS__DAILY__TITLE

Relative paths are relative to the file, so that the working directory of cron does not matter.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import shlex
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from digest.errors import ConfigError, NotFound
from digest.schedule import Schedule
from digest.schedule import parse as parse_schedule
from digest.values import contrast

FILE = "digest.toml"
# The topics of the package (`curate/topics.toml`), and the name of what has none.
TOPICS = (
    "ai",
    "security",
    "databases",
    "distributed",
    "devops",
    "web",
    "languages",
    "systems",
    "mobile",
    "hardware",
    "games",
    "practices",
)
OTHER = "other"
SLUG = r"^[a-z0-9][a-z0-9_-]{0,39}$"
Slug = Annotated[str, Field(pattern=SLUG)]


def _mailbox(value: str) -> str:
    """`Name <address>` or `address`, on one line (RFC 5322 §3.4)."""
    if any(c in value for c in "\r\n\0"):
        raise ValueError("has a line break in it")
    _name, address = parseaddr(value)
    local, at, domain = address.rpartition("@")
    if not (local and at and domain):
        raise ValueError("is not an address; write e.g. 'Daily <news@example.org>'")
    return value


def _one_line(value: str) -> str:
    if any(c in value for c in "\r\n\0"):
        raise ValueError("has a line break in it")
    return value


Mailbox = Annotated[str, AfterValidator(_mailbox)]
Line = Annotated[str, AfterValidator(_one_line)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _smtp_url(value: SecretStr) -> SecretStr:
    url = urlsplit(value.get_secret_value())
    if url.scheme not in ("smtp", "smtp+starttls", "smtps") or not url.hostname:
        raise ValueError("must look like smtp+starttls://user:password@mail.example.org:587 (or smtp://, smtps://)")
    try:
        _ = url.port
    except ValueError:
        raise ValueError("has a port that is not a number from 1 to 65535") from None
    return value


def _share(value: object) -> object:
    """0.01 or "1%"."""
    if isinstance(value, str) and value.rstrip().endswith("%"):
        try:
            return float(value.rstrip()[:-1]) / 100
        except ValueError:
            raise ValueError('must be a share like "1%" or 0.01') from None
    return value


def _check_token_command(command: str, url: SecretStr | None) -> None:
    if not command:
        return
    parts = urlsplit(url.get_secret_value() if url else "")
    if not parts.username:
        raise ValueError("has a token_command and nobody to log in: write the user into its url, as in user@host")
    if parts.password:
        raise ValueError("has both a password in its url and a token_command; take one away")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"has a token_command that cannot be read: {error}") from None
    if not words:
        raise ValueError("has an empty token_command")


SmtpUrl = Annotated[SecretStr, AfterValidator(_smtp_url)]
Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]


class Relay(Section):
    """A mail server that takes our letters. A limit of 0 is none; those per hour and day outlive the process."""

    url: SmtpUrl
    auth: Literal["", "plain", "login", "xoauth2"] = ""  # "": plain or login, whichever is offered
    token_command: Line = ""  # prints what stands for the password, an access token unless `auth` says otherwise
    order: int = 1  # a relay of a higher order is used only while all of a lower one are down
    weight: float = Field(1, gt=0)  # its share among relays of the same order
    connections: int = Field(8, ge=1, le=200)
    per_second: float = Field(0, ge=0)
    per_hour: int = Field(0, ge=0)
    per_day: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _token(self) -> Relay:
        _check_token_command(self.token_command, self.url)
        return self


class Dkim(Section):
    """Sign letters here, for relays that do not. `domain` is by default the sender's."""

    selector: Line
    key_file: Path
    domain: Line = ""


class Smtp(Section):
    """Where letters go. Without `url` or `relays` they are written to a Maildir beside the database."""

    url: SmtpUrl | None = None  # short for one relay with the settings of `Relay`
    relays: tuple[Relay, ...] = ()
    token_command: Line = ""
    connections: int = Field(8, ge=1, le=200)
    envelope_domain: Line = ""
    hello: Line = ""  # our name in EHLO; else the machine's, if it has a full one, or its address
    ca_file: Path | None = None
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
    max_lateness_hours: float = Field(24, gt=0)

    @field_validator("url", mode="before")
    @classmethod
    def _no_url(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _one_way(self) -> Smtp:
        if self.url and self.relays:
            raise ValueError("has both url and relays; move url into a [[smtp.relays]] of its own")
        if self.relays and self.token_command:
            raise ValueError("has token_command beside relays; move it into the [[smtp.relays]] it is for")
        _check_token_command(self.token_command, self.url)
        return self

    @property
    def servers(self) -> tuple[Relay, ...]:
        if self.url:
            return (Relay(url=self.url, connections=self.connections, token_command=self.token_command),)
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


class Collect(Section):
    """How feeds are fetched, and the bounds nothing gets past."""

    contact: Line = ""  # an address or page for the User-Agent; without it, `base_url`
    allow_private_addresses: bool = False
    connections: int = Field(50, ge=1, le=500)
    host_connections: int = Field(2, ge=1, le=50)  # to one host at once; this machine itself has no such limit
    host_gap_seconds: float = Field(0.5, ge=0, le=60)  # between two requests to one host
    timeout_seconds: float = Field(30, gt=0, le=600)
    max_bytes: int = Field(10_000_000, ge=10_000)
    parse_seconds: float = Field(10, gt=0, le=120)
    interval_minutes: float = Field(15, ge=0)  # a feed is not asked more often; 0 asks at each run
    max_interval_hours: float = Field(6, gt=0, le=168)  # and, while healthy, not less often than this
    workers: int = Field(2, ge=1, le=64)

    @property
    def interval(self) -> timedelta:
        return timedelta(minutes=self.interval_minutes)

    @property
    def max_interval(self) -> timedelta:
        return max(self.interval, timedelta(hours=self.max_interval_hours))


class Curate(Section):
    """What a feed may contribute, and what makes a story come first."""

    # A first run gives an edition and not an archive: the rest of a new or flooding feed is marked seen.
    newest_of_new_feed: int = Field(3, ge=0)
    new_feed_days: float = Field(14, gt=0)
    flood: int = Field(20, ge=1)
    newest_of_flood: int = Field(5, ge=0)
    # A loud feed does not fill the mail.
    per_feed: int = Field(3, ge=1)
    per_author: int = Field(2, ge=1)
    per_topic: int = Field(8, ge=1)
    excerpt_length: int = Field(150, ge=60, le=1000)
    # What each part of a rank is worth at most (see `curate.rank`).
    weight_sources: float = Field(2.0, ge=0)
    weight_fresh: float = Field(1.0, ge=0)
    weight_topic: float = Field(0.5, ge=0)
    weight_excerpt: float = Field(0.5, ge=0)
    fresh_hours: float = Field(48, gt=0)
    precision: float = Field(0.9, ge=0.5, le=0.999)
    scorer: Line = ""


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Web(Section):
    """The pages of `digest serve`."""

    signups_per_network: int = Field(10, ge=1)  # mails an hour that one network may cause
    signups_per_hour: int = Field(500, ge=1)  # and all of them together
    proxies: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1"))

    @field_validator("proxies", mode="before")
    @classmethod
    def _proxies(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            raise ValueError('must be a list of addresses and networks, as in ["127.0.0.1", "10.0.0.0/8"]')
        try:
            return tuple(ipaddress.ip_network(one if isinstance(one, Network) else str(one)) for one in value)
        except ValueError as error:
            raise ValueError(f"has something that is no address or network: {error}") from None


class Topic(Section):
    """A heading. Without `keywords` one of the packaged topics keeps its own; `more_keywords` adds to them."""

    title: Line = ""
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


class Newsletter(Section):
    """One newsletter: who sends it, when, how much, and under which headings."""

    title: Line
    sender: Mailbox = Field(alias="from")
    reply_to: Mailbox | None = None
    subject: Line = "{{ newsletter.title }}: {{ lead.title }}"
    schedule: str | None = None
    language: Line = "en"
    theme: Literal["paper", "plain", "compact"] = "paper"
    accent: Line = "#a03a12"
    preflight: Literal["warn", "stop"] = "warn"
    approve: bool = False
    editor: Mailbox | None = None
    approve_hours: float = Field(0, ge=0, le=240)
    max_stories: int = Field(30, ge=1, le=500)
    min_stories: int = Field(1, ge=1)
    welcome: bool = True  # who confirms gets the latest edition at once
    postal_address: str = ""
    about: str = ""
    signup: bool = True
    templates: Path | None = None
    archive: bool = True
    topics: dict[Slug, Topic] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    feed_categories: dict[str, dict[str, Slug]] = Field(default_factory=dict)
    feed_weights: dict[str, float] = Field(default_factory=dict)

    @field_validator("topics")
    @classmethod
    def _topics(cls, value: dict[str, Topic]) -> dict[str, Topic]:
        if OTHER in value:
            raise ValueError("has a topic 'other'; that name is kept for stories without a heading")
        return value

    @field_validator("accent")
    @classmethod
    def _accent(cls, value: str) -> str:
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
            raise ValueError("is not a colour; write six hex digits, as in '#a03a12'")
        # Against the darkest light ground of the packaged themes (WCAG 2.2, 1.4.3).
        if (ratio := contrast(value, "#fffdf8")) < 4.5:
            raise ValueError(f"is too pale to be read on paper: contrast {ratio:.1f}, and 4.5 is needed")
        return value.lower()

    @field_validator("schedule")
    @classmethod
    def _schedule(cls, value: str | None) -> str | None:
        if value:
            parse_schedule(value)
        return value or None

    @model_validator(mode="after")
    def _bounds(self) -> Newsletter:
        if self.min_stories > self.max_stories:
            raise ValueError("min_stories is larger than max_stories")
        if self.approve and not self.editor:
            raise ValueError("has approve = true and no editor to ask; add editor = 'name@example.org'")
        known = {*(self.topics or TOPICS), OTHER}
        for number, rule in enumerate(self.rules, 1):
            if rule.topic and rule.topic not in known:
                raise ValueError(f"rule {number} names the topic {rule.topic!r}, which it does not have")
        for feed, names in self.feed_categories.items():
            if strange := [slug for slug in names.values() if slug not in known]:
                raise ValueError(f"feed_categories of {feed!r} name the topic {strange[0]!r}, which it does not have")
        return self

    @property
    def slots(self) -> Schedule | None:
        return parse_schedule(self.schedule) if self.schedule else None

    @property
    def domain(self) -> str:
        """The domain of the sender, on which Message-ID, List-Id and VERP addresses stand."""
        return parseaddr(self.sender)[1].rpartition("@")[2].lower()


class Config(BaseSettings):
    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="DIGEST_", env_nested_delimiter="__", env_ignore_empty=False
    )

    database: str = "digest.db"
    base_url: str = "http://localhost:8000"
    secret_key: SecretStr
    former_secret_keys: tuple[SecretStr, ...] = ()
    smtp: Smtp = Smtp()
    collect: Collect = Collect()
    curate: Curate = Curate()
    web: Web = Web()
    newsletters: dict[Slug, Newsletter] = Field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """What links are read with; the first is what they are signed with."""
        return tuple(key.get_secret_value() for key in (self.secret_key, *self.former_secret_keys))

    @property
    def lasting_key(self) -> str:
        """The oldest key: of what must stay the same when the key is changed, Message-IDs and marks of the erased."""
        return self.keys[-1]

    @field_validator("secret_key")
    @classmethod
    def _secret_key(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 16:
            raise ValueError("must have at least 16 characters; `digest init` makes a good one")
        return value

    @field_validator("database")
    @classmethod
    def _database(cls, value: str) -> str:
        scheme = value.partition("://")[0].partition("+")[0]
        if "://" in value and scheme not in ("sqlite", "postgresql", "postgres"):
            raise ValueError("must be a path (SQLite) or postgresql://user:password@host/name")
        return value

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        url = urlsplit(value)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("must be the http(s) address under which `digest serve` is reached")
        return value.rstrip("/")

    @field_validator("newsletters")
    @classmethod
    def _newsletters(cls, value: dict[str, Newsletter]) -> dict[str, Newsletter]:
        if not value:
            raise ValueError("is empty; a newsletter needs at least [newsletters.NAME] with title and from")
        return value

    @property
    def base_path(self) -> str:
        """The path of `base_url`: "" or, below a path of a host, as in "/news"."""
        return urlsplit(self.base_url).path

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL; a bare path is SQLite, `postgresql://` is read with psycopg."""
        if "://" not in self.database:
            return f"sqlite:///{self.database}"
        if self.database.startswith(("postgresql://", "postgres://")):
            return "postgresql+psycopg://" + self.database.partition("://")[2]
        return self.database

    @property
    def database_name(self) -> str:
        """For people: the path, or the URL without its password."""
        if "://" not in self.database:
            return self.database
        url = urlsplit(self.database)
        return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()

    @property
    def maildir(self) -> Path:
        """Where letters go while no SMTP server is set: beside the database."""
        base = Path(self.database) if "://" not in self.database else Path.cwd() / "digest.db"
        return base.parent / "maildir"

    def newsletter(self, name: str | None) -> tuple[str, Newsletter]:
        """The newsletter `name`, or the only one there is."""
        if name is None:
            if len(self.newsletters) > 1:
                raise ConfigError(
                    "there are several newsletters: " + ", ".join(self.newsletters), hint="say which with --newsletter"
                )
            name = next(iter(self.newsletters))
        if name not in self.newsletters:
            raise NotFound(
                f"there is no newsletter {name!r}", hint="the settings know: " + ", ".join(sorted(self.newsletters))
            )
        return name, self.newsletters[name]

    # The TOML file is what is handed to the constructor, and the environment goes before it.
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def find(option: Path | None, environ: Mapping[str, str]) -> Path:
    """The settings file: `--config`, `DIGEST_CONFIG`, `./digest.toml`, then the user's config folder."""
    import platformdirs

    user = platformdirs.user_config_path("digest") / FILE
    named = option or (Path(environ["DIGEST_CONFIG"]) if environ.get("DIGEST_CONFIG") else None)
    if named is not None:
        path = named / FILE if named.is_dir() else named
        if not path.is_file():
            raise NotFound(f"there is no settings file {path}", hint="`digest init` makes one")
        return path
    for path in (Path(FILE), user):
        if path.is_file():
            return path
    raise NotFound(
        f"no settings file: neither ./{FILE} nor {user} is there",
        hint="`digest init` makes one; --config or DIGEST_CONFIG names another",
    )


def load(path: Path) -> Config:
    """Read the settings file, then the environment; ConfigError names the file, the key and the cure."""
    path = path.absolute()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"there is no settings file {path}", hint="`digest init` makes one") from None
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}", hint="let the user who runs digest read it"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", hint="see the line named; text wants quotes") from None
    return from_values(values, path)


class _FileOnly(Config):
    @classmethod
    def settings_customise_sources(  # type: ignore[override]
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        **_: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def from_values(values: dict[str, Any], path: Path, *, environment: bool = True) -> Config:
    """Check `values` as if they stood in `path`, together with the environment unless that is not wanted."""
    if environment:
        _refuse_strange_variables(os.environ)
    try:
        config = Config(**values) if environment else _FileOnly(**values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, path), hint=_HINT) from None
    except Exception as error:  # pydantic-settings wraps what it cannot decode from the environment
        if type(error).__name__ != "SettingsError":
            raise
        raise ConfigError(f"an environment variable does not fit: {error}", hint=_HINT) from None
    base = path.parent
    newsletters = {
        name: n.model_copy(update={"templates": base / n.templates}) if n.templates else n
        for name, n in config.newsletters.items()
    }
    smtp = config.smtp
    if smtp.ca_file:
        smtp = smtp.model_copy(update={"ca_file": base / smtp.ca_file.expanduser()})
    dkim = tuple(d.model_copy(update={"key_file": base / d.key_file.expanduser()}) for d in smtp.dkim)
    smtp = smtp.model_copy(update={"dkim": dkim})
    database = config.database if "://" in config.database else str(base / Path(config.database).expanduser())
    return config.model_copy(update={"database": database, "newsletters": newsletters, "smtp": smtp})


_HINT = "the README lists every setting; an environment variable DIGEST_… goes before the file"


def _sentence(error: ValidationError, path: Path) -> str:
    """The first thing wrong, in words: which file (or variable), which key, what it must be."""
    # A mistyped key often makes others missing: it is the one to name.
    problem = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    where = [str(part) for part in problem["loc"] if part != "[key]"]
    key = ".".join(where) or "the file"
    variable = "DIGEST_" + "__".join(where).upper()
    source = variable if variable in os.environ else str(path)
    more = f" ({error.error_count() - 1} more like it)" if error.error_count() > 1 else ""
    match problem["type"]:
        case "missing":
            return f"{source}: {key} is missing{more}"
        case "extra_forbidden":
            return f"{source}: {key} is not a setting{_near(where)}{more}"
        case "value_error":
            return f"{source}: {key} {problem['ctx']['error']}{more}"
        case "string_pattern_mismatch":
            return f"{source}: {key}: a name has small letters, digits, '-' and '_' only{more}"
        case _:
            words = problem["msg"].lower().partition(", unable to parse")[0].replace("input should be", "must be")
            return f"{source}: {key} {words}{more}"


def _refuse_strange_variables(environ: Mapping[str, str]) -> None:
    """ConfigError for a DIGEST_ variable meant for a setting and spelt so that it would not count, as DIGEST_SMTP_URL.

    Others may be of other programs, or of ours: DIGEST_CONFIG.
    """
    import difflib

    known = [f"DIGEST_{name}".upper() for name in Config.model_fields]
    for variable in sorted(environ):
        name = variable.upper().partition("__")[0]
        if not name.startswith("DIGEST_") or name in known:
            continue
        section = next((one for one in ("SMTP", "COLLECT", "CURATE", "WEB") if name.startswith(f"DIGEST_{one}_")), "")
        close = difflib.get_close_matches(name, known, 1, cutoff=0.9)
        if section:
            meant = f"DIGEST_{section}__{name.removeprefix(f'DIGEST_{section}_')}"
        elif close:
            meant = close[0] + variable.upper()[len(name) :]
        else:
            continue
        raise ConfigError(f"the environment variable {variable} is not a setting; did you mean {meant}?", hint=_HINT)


def _near(where: list[str]) -> str:
    """`; did you mean …?` for a mistyped key."""
    import difflib

    models: list[type[BaseModel]] = [Config, *Section.__subclasses__()]
    known = {field.alias or name for model in models for name, field in model.model_fields.items()}
    close = difflib.get_close_matches(where[-1], sorted(known), 1)
    return f"; did you mean {close[0]}?" if close else ""


def new_secret() -> str:
    return secrets.token_urlsafe(32)
