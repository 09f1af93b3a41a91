"""From `digest.toml` and the environment to settings, or to one sentence about what is wrong with them."""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError

from digest.config import settings
from digest.config.config import Config
from digest.config.settings import Section
from digest.errors import ConfigError, NotFound

FILE = "digest.toml"


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


def exposed(path: Path) -> bool:
    """May everybody on this machine read the file, and is there a secret in it?

    By its own mode: that a folder above it is closed today says nothing about a copy, or about tomorrow.
    """
    try:
        open_to_all = path.stat().st_mode & 0o004
        return bool(open_to_all) and _secret(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return False


def _secret(values: object, key: str = "") -> bool:
    if isinstance(values, Mapping):
        return any(_secret(value, str(name)) for name, value in values.items())
    if isinstance(values, list):
        return any(_secret(value, key) for value in values)
    named = key in (
        "secret_key", "former_secret_keys", "password", "database_password", "postmark_secret", "mailgun_key"
    )  # fmt: skip
    return (
        isinstance(values, str)
        and bool(values)
        and (named or ("://" in values and ":" in values.partition("://")[2].rpartition("@")[0]))
    )


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
    except SettingsError as error:  # what cannot be decoded from the environment
        raise ConfigError(
            f"the environment variable {_undecoded(error)} cannot be read",
            hint="lists and tables are JSON in the environment; DIGEST_SMTP__URL names one setting of a section",
        ) from None

    def placed(named: Path) -> Path:
        try:
            return path.parent / named.expanduser()
        except RuntimeError:  # no such user, or no HOME and nobody of our number
            raise ConfigError(f"{path}: nobody knows whose home the ~ of {named} is", hint=_WHOLE) from None

    newsletters = {
        name: n.model_copy(update={"templates": placed(n.templates)}) if n.templates else n
        for name, n in config.newsletters.items()
    }
    smtp = config.smtp
    if smtp.ca_file:
        smtp = smtp.model_copy(update={"ca_file": placed(smtp.ca_file)})
    dkim = tuple(d.model_copy(update={"key_file": placed(d.key_file)}) for d in smtp.dkim)
    smtp = smtp.model_copy(update={"dkim": dkim})
    database = config.database if "://" in config.database else str(placed(Path(config.database)))
    mail = config.mail
    if mail.source and "://" not in mail.source:
        mail = mail.model_copy(update={"source": str(placed(Path(mail.source)))})
    if mail.ca_file:
        mail = mail.model_copy(update={"ca_file": placed(mail.ca_file)})
    return config.model_copy(update={"database": database, "newsletters": newsletters, "smtp": smtp, "mail": mail})


_WHOLE = "write the whole path, from / on"
_HINT = "`digest help settings` lists every setting; an environment variable DIGEST_… goes before the file"


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
    sections = [name.upper() for name, field in Config.model_fields.items() if isinstance(field.default, Section)]
    for variable in sorted(environ):
        name = variable.upper().partition("__")[0]
        if not name.startswith("DIGEST_") or name in known:
            continue
        section = next((one for one in sections if name.startswith(f"DIGEST_{one}_")), "")
        close = difflib.get_close_matches(name, known, 1, cutoff=0.9)
        if section:
            meant = f"DIGEST_{section}__{name.removeprefix(f'DIGEST_{section}_')}"
        elif close:
            meant = close[0] + variable.upper()[len(name) :]
        else:
            continue
        raise ConfigError(f"the environment variable {variable} is not a setting; did you mean {meant}?", hint=_HINT)


def _undecoded(error: SettingsError) -> str:
    """The variables among which the one is that pydantic-settings could not decode: it names the field alone."""
    field = str(error).split('"')[1]
    start = f"DIGEST_{field}".upper()
    return " or ".join(name for name in sorted(os.environ) if name.upper().partition("__")[0] == start)


_PLACES: dict[type[BaseModel], str] = {
    Config: "at the top of the file, before the first [section]",
    settings.Smtp: "in [smtp]",
    settings.Relay: "in [[smtp.relays]]",
    settings.Dkim: "in [[smtp.dkim]]",
    settings.Collect: "in [collect]",
    settings.FeedHost: 'in [collect.hosts."HOST"]',
    settings.Curate: "in [curate]",
    settings.Web: "in [web]",
    settings.Newsletter: "in [newsletters.NAME]",
    settings.Topic: "in [newsletters.NAME.topics.SLUG]",
    settings.Rule: "in [[newsletters.NAME.rules]]",
}


def _near(where: list[str]) -> str:
    """What was meant by a key that is not known there: one that stands elsewhere, or one spelt much like it."""
    import difflib

    places: dict[str, list[str]] = {}
    for model, place in _PLACES.items():
        for name, field in model.model_fields.items():
            places.setdefault(field.alias or name, []).append(place)
    if where[-1] in places:
        return f"; it stands {' or '.join(places[where[-1]])}"
    close = difflib.get_close_matches(where[-1], sorted(places), 1)
    return f"; did you mean {close[0]}?" if close else ""


def new_secret() -> str:
    return secrets.token_urlsafe(32)
