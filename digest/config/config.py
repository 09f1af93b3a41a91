"""All settings together, and what follows from several of them."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from digest.config.alerts import Alerts
from digest.config.hosts import reachable
from digest.config.keep import Keep
from digest.config.mail import Mail
from digest.config.pictures import Pictures
from digest.config.section import unsaid
from digest.config.settings import Collect, Curate, Doctor, Log, Newsletter, Web
from digest.config.smtp import Smtp
from digest.config.summarizer import Summarizer
from digest.config.value_types import BaseUrl, FilePath, Line, Mailbox, Secret, SecretKey, ServerUrl, Slug, server_url
from digest.dataclass import dataclass
from digest.errors import ConfigError, NotFound, UserError

# And what else they are called in a newsletter.
_COMMON = {"sender": ("from",), "reply_to": (), "postal_address": (), "images": (), "image_source": ()}
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")


def _database_server(url: str) -> ServerUrl:
    return server_url(url, settings="database_user and database_password")


def _with_login(url: str, user: str, password: str) -> str:
    """As SQLAlchemy takes it."""
    there = _database_server(url)
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    return f"postgresql+psycopg://{login}{'@' if login else ''}{there.place}{there.rest}"


def _without_login(url: str) -> str:
    there = _database_server(url)
    return f"postgresql://{there.place}{there.rest.partition('?')[0].partition('#')[0]}"


@dataclass(frozen=True)
class Imprint:
    """What a newsletter's mail says of where it comes from, and how it goes: its own settings, else the common ones."""

    base_url: str
    keys: tuple[str, ...] = field(repr=False)  # what its links are read with; the first is what they are signed with
    smtp: Smtp

    @property
    def key(self) -> str:
        return self.keys[0]

    @property
    def base_path(self) -> str:
        """The path of `base_url`: "" or, below a path of a host, as in "/news"."""
        return urlsplit(self.base_url).path


class Misplaced(ValueError):
    """What is wrong with a setting of one newsletter, found where all settings are seen together."""

    def __init__(self, where: tuple[str, ...], words: str) -> None:
        super().__init__(words)
        self.where = where


class Config(BaseSettings):
    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="DIGEST_", env_nested_delimiter="__", env_ignore_empty=False
    )

    database: Line = Field("digest.db", repr=False)  # a password may stand in it
    database_user: Line = ""
    database_password: Secret | None = None
    database_read: Line = Field("", repr=False)  # a read replica, see `store.replica`
    base_url: BaseUrl = "http://localhost:8000"
    # What a newsletter says that does not say it itself.
    sender: Mailbox | None = None
    reply_to: Mailbox | None = None
    postal_address: str = ""
    images: Literal["none", "lead", "all"] = "lead"
    image_source: Literal["", "served", "attached"] = ""
    secret_key: SecretKey
    former_secret_keys: tuple[SecretStr, ...] = ()
    smtp: Smtp = unsaid()
    collect: Collect = unsaid()
    curate: Curate = unsaid()
    web: Web = unsaid()
    mail: Mail = unsaid()
    pictures: Pictures = unsaid()
    summarizer: Summarizer = unsaid()
    doctor: Doctor = unsaid()
    keep: Keep = unsaid()
    log: Log = unsaid()
    alerts: Alerts = unsaid()
    templates: FilePath | None = None  # a folder for all newsletters, see `Newsletter.template_folders`
    newsletters: dict[Slug, Newsletter] = Field(default_factory=dict)
    _files: Mapping[str, Path] = PrivateAttr(default_factory=dict)
    _broken: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _only: tuple[str, ...] | None = PrivateAttr(default=None)

    @property
    def files(self) -> Mapping[str, Path]:
        """Newsletters that have a file of their own, by name."""
        return self._files

    @property
    def broken(self) -> Mapping[str, str]:
        """Newsletters that were left out since something is wrong with their settings: what, by name."""
        return self._broken

    @property
    def turn(self) -> tuple[str, ...]:
        """Newsletters that are worked for: those of the settings, or those of them that were asked for."""
        return tuple(self.newsletters) if self._only is None else self._only

    @property
    def narrowed(self) -> bool:
        return self._only is not None

    def only(self, names: Sequence[str] | None) -> Config:
        """The same settings, to work for these newsletters alone; None: for all. See `chosen`."""
        if names is None:
            return self
        found = self.model_copy()
        found._only, found._broken = tuple(names), {}
        return found

    def left_out(self, files: Mapping[str, Path], broken: Mapping[str, str]) -> Config:
        """The same settings, knowing which newsletters are defined where, and which are missing."""
        found = self.model_copy()
        found._files, found._broken = files, broken
        return found

    @property
    def keys(self) -> tuple[str, ...]:
        """What links are read with; the first is what they are signed with."""
        return tuple(key.get_secret_value() for key in (self.secret_key, *self.former_secret_keys))

    @property
    def all_keys(self) -> tuple[str, ...]:
        """Of the installation and of each newsletter: what a link may have been signed with, whose ever it is."""
        found = dict.fromkeys(self.keys)
        for name in self.newsletters:
            found.update(dict.fromkeys(self.imprint(name).keys))
        return tuple(found)

    def imprint(self, newsletter: str | None) -> Imprint:
        """How letters of a newsletter are made and sent; of one that the settings do not have, as of all."""
        own = self.newsletters.get(newsletter or "")
        if own is None:
            return Imprint(self.base_url, self.keys, self.smtp)
        former = tuple(key.get_secret_value() for key in own.former_secret_keys)
        if own.secret_key is None:
            keys = (self.keys[0], *former, *self.keys[1:])
        else:
            keys = (own.secret_key.get_secret_value(), *former, *self.keys)
        return Imprint(own.base_url or self.base_url, keys, own.smtp or self.smtp)

    def page_of(self, newsletter: str) -> str:
        """The address of a newsletter's page in the archive."""
        return f"{self.imprint(newsletter).base_url}/newsletters/{newsletter}"

    def attaches(self, newsletter: str) -> bool:
        """Do letters of a newsletter bring their pictures along, since nobody is served them?"""
        source = self.newsletters[newsletter].image_source
        return source == "attached" if source else not reachable(self.imprint(newsletter).base_url)

    def asks_taste(self, newsletter: str) -> bool:
        """Are there links under stories by which readers say that they want more or less of such?

        Where nobody serves the pages that such links lead to, there is none.
        """
        return self.newsletters[newsletter].ask_taste and reachable(self.imprint(newsletter).base_url)

    @property
    def lasting_key(self) -> str:
        """The oldest key: of what must stay the same when the key is changed, Message-IDs and marks of the erased."""
        return self.keys[-1]

    @field_validator("database")
    @classmethod
    def _database(cls, value: str) -> str:
        scheme = value.partition("://")[0]
        path = "://" not in value
        if value.startswith("sqlite:///") or (path and ":" not in value.rpartition("@")[0]):
            return value
        # What has a user and a password before an @ is an address with a slip in it, and is not told as a path.
        if path or scheme not in _POSTGRES:
            raise ValueError("must be a path (SQLite) or postgresql://user:password@host/name")
        _database_server(value)
        return value

    @field_validator("database_read")
    @classmethod
    def _database_read(cls, value: str) -> str:
        if value and value.partition("://")[0] not in _POSTGRES:
            raise ValueError("must be postgresql://host/name, a replica that PostgreSQL itself keeps up to date")
        if value:
            _database_server(value)
        return value

    @field_validator("newsletters")
    @classmethod
    def _newsletters(cls, value: dict[str, Newsletter]) -> dict[str, Newsletter]:
        if not value:
            raise ValueError("is empty; a newsletter needs at least [newsletters.NAME] with title and from")
        return value

    @model_validator(mode="before")
    @classmethod
    def _common(cls, values: Any) -> Any:
        """A newsletter has the sender, reply_to and postal_address of all, where it says none."""
        papers = values.get("newsletters") if isinstance(values, dict) else None
        if not isinstance(papers, dict):
            return values
        filled = {}
        for name, paper in papers.items():
            more = {}
            for key, others in _COMMON.items():
                if values.get(key) and isinstance(paper, dict) and not paper.keys() & {key, *others}:
                    more[key] = values[key]
            filled[name] = {**more, **paper} if more else paper
        return {**values, "newsletters": filled}

    @model_validator(mode="after")
    def _own_smtp(self) -> Config:
        for name, paper in self.newsletters.items():
            if paper.smtp is not None:
                try:
                    whole = paper.smtp.over(self.smtp)
                except ValidationError as error:
                    first = error.errors()[0]
                    words = first.get("ctx", {}).get("error", first["msg"])
                    raise Misplaced(("newsletters", name, "smtp"), f"{words} (together with [smtp])") from None
                self.newsletters[name] = paper.model_copy(update={"smtp": whole})
        return self

    @model_validator(mode="after")
    def _database_login(self) -> Config:
        password = self.database_password.get_secret_value() if self.database_password else ""
        if not (self.database_user or password):
            return self
        if self.database.partition("://")[0] not in _POSTGRES:
            raise ValueError("has a database_user or database_password, which a SQLite database has not")
        there = _database_server(self.database)
        if (there.user and self.database_user) or (there.password and password):
            raise ValueError("has the user or password of the database twice, in its URL too; take one away")
        if password and not (there.user or self.database_user):
            raise ValueError("has a database_password and no database_user")
        return self

    @model_validator(mode="after")
    def _replica(self) -> Config:
        if self.database_read and self.database.partition("://")[0] not in _POSTGRES:
            raise ValueError("has a database_read, and SQLite has no replicas; its readers wait for no writer")
        return self

    @model_validator(mode="after")
    def _machine(self) -> Config:
        name, there = self.curate.summarizer, self.summarizer
        if name == "openai" and not (there.url and there.model):
            raise Misplaced(("curate", "summarizer"), "is 'openai', and [summarizer] lacks url or model")
        if name and name != "openai" and ":" not in name:
            raise Misplaced(("curate", "summarizer"), "must be 'openai' or 'package.module:function'")
        return self

    @model_validator(mode="after")
    def _hubs(self) -> Config:
        host = urlsplit(self.base_url).hostname or ""
        try:
            reached = ipaddress.ip_address(host).is_global
        except ValueError:
            reached = "." in host and not host.endswith((".localhost", ".local", ".internal", ".invalid"))
        if self.collect.websub and not (reached or self.collect.allow_private_addresses):
            raise ValueError(f"has websub = true in [collect], and no hub reaches base_url, which is {self.base_url}")
        return self

    @property
    def base_path(self) -> str:
        """The path of `base_url`: "" or, below a path of a host, as in "/news"."""
        return urlsplit(self.base_url).path

    @property
    def _path(self) -> Path:
        return Path(self.database.removeprefix("sqlite:///"))

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL; a path is SQLite, a link's what it leads to; `postgresql://` is read with psycopg."""
        if "://" not in self.database or self.database.startswith("sqlite"):
            return f"sqlite:///{real_file(self._path)}"
        return _with_login(self.database, *self._login)

    @property
    def database_read_url(self) -> str:
        """The same of the replica, where the database's user logs in if its URL names none; "" without one."""
        if not self.database_read:
            return ""
        there = _database_server(self.database_read)
        return _with_login(self.database_read, *((there.user, there.password) if there.user else self._login))

    @property
    def _login(self) -> tuple[str, str]:
        """User and password of a PostgreSQL database, whether they stand in its URL or beside it."""
        there = _database_server(self.database)
        secret = self.database_password.get_secret_value() if self.database_password else ""
        return there.user or self.database_user, there.password or secret

    @property
    def database_name(self) -> str:
        """For people: the path, or the URL without its user, password and options."""
        if "://" not in self.database or self.database.startswith("sqlite"):
            return self.database
        return _without_login(self.database)

    @property
    def database_read_name(self) -> str:
        """The same of the replica, "" without one."""
        return _without_login(self.database_read) if self.database_read else ""

    @property
    def maildir(self) -> Path:
        """Where letters go while no SMTP server is set: beside the database."""
        base = Path(self.database) if "://" not in self.database else Path.cwd() / "digest.db"
        return base.parent / "maildir"

    def witness(self, beside: Path) -> Path | None:
        """The folder of the witness, None where there is to be none; on PostgreSQL it is beside the settings file."""
        if self.keep.witness == "none":
            return None
        if self.keep.witness:
            return (beside.parent / Path(self.keep.witness).expanduser()).absolute()
        return self._beside(beside, ".witness")

    def upgrade_folder(self, beside: Path) -> Path:
        """Where backups lie that are made before an upgrade; on PostgreSQL beside the settings file, too."""
        if self.keep.upgrade_folder:
            return (beside.parent / Path(self.keep.upgrade_folder).expanduser()).absolute()
        return self._beside(beside, ".upgrades")

    def _beside(self, settings: Path, suffix: str) -> Path:
        if not self.database_url.startswith("sqlite"):
            return settings.with_name(f"{settings.name}{suffix}").absolute()
        there, by_link = (Path(f"{path}{suffix}").absolute() for path in (real_file(self._path), self._path))
        return there if there.exists() or not by_link.exists() else by_link  # where releases before had it

    def chosen(self, names: Sequence[str] | None, *, every: bool = False) -> list[str] | None:
        """What `-n a,b -n c` means: each of them once; None for all of them, which `every` says too.

        NotFound for one that there is not, ConfigError for one with which something is wrong.
        """
        found = dict.fromkeys(part.strip() for word in names or () for part in word.split(","))
        if not found:
            return None
        if every:
            raise UserError("either --all or --newsletter, not both", hint="--all is what goes without saying")
        for name in found:
            if name in self.broken:
                raise ConfigError(self.broken[name].partition("\n")[0])
            if name not in self.newsletters:
                raise self._unknown(name)
        return list(found)

    def _unknown(self, name: str) -> NotFound:
        near = difflib.get_close_matches(name, self.newsletters, 3, cutoff=0.6)
        known = sorted(self.newsletters)
        some = ", ".join(known[:8]) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
        hint = f"did you mean {' or '.join(near)}?" if near else f"the settings know: {some}"
        return NotFound(f"there is no newsletter {name!r}", hint=hint)

    def newsletter(self, name: str | None) -> tuple[str, Newsletter]:
        """The newsletter `name`, or the only one there is."""
        if name is not None and "," in name:
            raise UserError("this takes one newsletter at a time", hint=f"say it for each of {name}")
        if name is None:
            if len(self.newsletters) > 1:
                raise ConfigError(
                    "there are several newsletters: " + ", ".join(self.newsletters), hint="say which with --newsletter"
                )
            name = next(iter(self.newsletters))
        if name not in self.newsletters:
            raise self._unknown(name)
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


def database_at(text: str) -> str:
    """SQLAlchemy's URL of a database as somebody types it. UserError says what is wrong with that."""
    try:
        if not text.strip():
            raise ValueError("is empty")
        Config._database(text)  # as that of the settings is judged
    except ValueError as error:
        raise UserError(f"the address of a database {error}") from None
    if "://" in text and not text.startswith("sqlite"):
        return Config.model_construct(database=text, database_user="", database_password=None).database_url
    return f"sqlite:///{Path(text.removeprefix('sqlite:///')).expanduser().absolute()}"


def real_file(path: Path) -> Path:
    """Of a link what it leads to, else the path as it is.

    What is kept beside a database (log, locks, room, witness) is then the same for all, by whatever path they come.
    """
    return path.resolve() if path.is_symlink() else path
