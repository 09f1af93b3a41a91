"""All settings together, and what follows from several of them."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import quote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from digest.config.settings import Collect, Curate, Newsletter, Smtp, Web
from digest.config.value_types import Line, Secret, ServerUrl, Slug, server_url
from digest.errors import ConfigError, NotFound

_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")


def _database_server(url: str) -> ServerUrl:
    return server_url(url, settings="database_user and database_password")


class Config(BaseSettings):
    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="DIGEST_", env_nested_delimiter="__", env_ignore_empty=False
    )

    database: Line = Field("digest.db", repr=False)  # a password may stand in it
    database_user: Line = ""
    database_password: Secret | None = None
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
        scheme = value.partition("://")[0]
        path = "://" not in value
        if value.startswith("sqlite:///") or (path and ":" not in value.rpartition("@")[0]):
            return value
        # What has a user and a password before an @ is an address with a slip in it, and is not told as a path.
        if path or scheme not in _POSTGRES:
            raise ValueError("must be a path (SQLite) or postgresql://user:password@host/name")
        _database_server(value)
        return value

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        if any(sign in value for sign in "@?#"):
            raise ValueError("must have no user, password, ? or # in it: readers see it")
        there = server_url(value, settings="")
        if there.scheme not in ("http", "https") or not there.host:
            raise ValueError("must be the http(s) address under which `digest serve` is reached")
        return value.rstrip("/")

    @field_validator("newsletters")
    @classmethod
    def _newsletters(cls, value: dict[str, Newsletter]) -> dict[str, Newsletter]:
        if not value:
            raise ValueError("is empty; a newsletter needs at least [newsletters.NAME] with title and from")
        return value

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
    def database_url(self) -> str:
        """The SQLAlchemy URL; a bare path is SQLite, `postgresql://` is read with psycopg."""
        if "://" not in self.database:
            return f"sqlite:///{self.database}"
        if self.database.startswith("sqlite"):
            return self.database
        there = _database_server(self.database)
        secret = self.database_password.get_secret_value() if self.database_password else ""
        user, password = there.user or self.database_user, there.password or secret
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        return f"postgresql+psycopg://{login}{'@' if login else ''}{there.place}{there.rest}"

    @property
    def database_name(self) -> str:
        """For people: the path, or the URL without its user, password and options."""
        if "://" not in self.database or self.database.startswith("sqlite"):
            return self.database
        there = _database_server(self.database)
        return f"postgresql://{there.place}{there.rest.partition('?')[0].partition('#')[0]}"

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
