"""From `digest.toml` and the environment to settings, or to one sentence about what is wrong with them."""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError

from digest.config import settings
from digest.config.config import Config, Misplaced
from digest.config.folder import Sheet, line_of, read, sheets
from digest.config.settings import Section
from digest.config.smtp import Dkim, OwnSmtp, Relay, Smtp
from digest.errors import ConfigError, NotFound

FILE = "digest.toml"


def find(option: Path | None, environ: Mapping[str, str]) -> Path:
    """The settings file: `--config`, `DIGEST_CONFIG`, `./digest.toml`, then the user's config folder."""
    named = option or (Path(environ["DIGEST_CONFIG"]) if environ.get("DIGEST_CONFIG") else None)
    if named is not None:
        path = named / FILE if named.is_dir() else named
        if not path.is_file():
            raise NotFound(f"there is no settings file {path}", hint="`digest init` makes one")
        return path
    if Path(FILE).is_file():
        return Path(FILE)
    import platformdirs

    user = platformdirs.user_config_path("digest") / FILE
    if user.is_file():
        return user
    raise NotFound(
        f"no settings file: neither ./{FILE} nor {user} is there",
        hint="`digest init` makes one; --config or DIGEST_CONFIG names another",
    )


def load(path: Path, *, partly: bool = False) -> Config:
    """Read the settings file and the folder beside it, then the environment.

    ConfigError names the file, the key and the cure. With `partly`, what is wrong with single newsletters stops none
    of the others: they are left out, and `broken` says why.
    """
    path = path.absolute()
    try:
        _, values = read(path)
    except FileNotFoundError:
        raise NotFound(f"there is no settings file {path}", hint="`digest init` makes one") from None
    return _together(values, path, sheets(path), partly=partly)


def _together(values: dict[str, Any], path: Path, found: list[Sheet], *, partly: bool) -> Config:
    papers = values.get("newsletters", {})
    if isinstance(papers, dict):
        for sheet in found:
            if sheet.name in papers:
                raise ConfigError(
                    f"the newsletter {sheet.name} is in both {path} and {sheet.path}", hint="take one of the two away"
                )
        papers = papers | {sheet.name: sheet.values for sheet in found if sheet.error is None}
        if papers or found:
            values = {**values, "newsletters": papers}
    files = {sheet.name: sheet for sheet in found}
    broken = {sheet.name: sheet.error for sheet in found if sheet.error is not None}
    if broken and not (partly and papers):
        raise next(iter(broken.values()))
    while True:
        try:
            config = from_values(values, path, files=files)
        except _Wrong as wrong:
            if not isinstance(papers, dict):
                raise
            names = wrong.newsletters & values["newsletters"].keys() if partly and wrong.newsletters else set()
            rest = {name: paper for name, paper in values.get("newsletters", {}).items() if name not in names}
            if not names or not rest:
                raise
            broken |= {name: wrong.of(name) for name in sorted(names)}
            values = {**values, "newsletters": rest}
        else:
            told = {name: str(error) + (f"\n  {error.hint}" if error.hint else "") for name, error in broken.items()}
            return config.left_out({name: sheet.path for name, sheet in files.items()}, told)


def exposed(path: Path) -> bool:
    """May everybody on this machine read the file, and is there a secret in it?

    By its own mode: that a folder above it is closed today says nothing about a copy, or about tomorrow.
    """
    try:
        open_to_all = path.stat().st_mode & 0o004
        return bool(open_to_all) and _secret(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
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


@cache
def _file_only() -> type[Config]:
    """The settings as they are without the environment: made when they are wanted, which is seldom."""

    class FileOnly(Config):
        @classmethod
        def settings_customise_sources(  # type: ignore[override]
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            **_: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (init_settings,)

    return FileOnly


class _Wrong(ConfigError):
    """Values that cannot be; `newsletters` are those that are to blame, empty where something else is."""

    def __init__(self, error: ValidationError, path: Path, files: Mapping[str, Sheet]) -> None:
        self._all, self._path, self._files = error.errors(), path, files
        super().__init__(_sentence(self._all, path, files), hint=_HINT)
        owners = {_owner(problem) for problem in self._all}
        self.newsletters = set() if "" in owners else owners

    def of(self, newsletter: str) -> ConfigError:
        """What is wrong with one of them alone."""
        mine = [problem for problem in self._all if _owner(problem) == newsletter]
        return ConfigError(_sentence(mine, self._path, self._files), hint=_HINT)


def from_values(
    values: dict[str, Any], path: Path, *, environment: bool = True, files: Mapping[str, Sheet] | None = None
) -> Config:
    """Check `values` as if they stood in `path`, together with the environment unless that is not wanted.

    `files` are the newsletters among them that stand in files of their own.
    """
    if environment:
        _refuse_strange_variables(os.environ)
    try:
        config = Config(**values) if environment else _file_only()(**values)
        if flags := list(_flags(values, config)):
            raise ValidationError.from_exception_data("Config", flags)
    except ValidationError as error:
        raise _Wrong(error, path, files or {}) from None
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

    shared = placed(config.templates) if config.templates else None

    def sending(smtp: Smtp) -> dict[str, Any]:
        dkim = tuple(d.model_copy(update={"key_file": placed(d.key_file)}) for d in smtp.dkim)
        return {"dkim": dkim, "ca_file": placed(smtp.ca_file) if smtp.ca_file else None}

    newsletters = {
        name: n.model_copy(
            update={
                "templates": placed(n.templates) if n.templates else None,
                "logo": placed(n.logo) if n.logo else None,
                "logo_dark": placed(n.logo_dark) if n.logo_dark else None,
                "smtp": n.smtp.model_copy(update=sending(n.smtp)) if n.smtp else None,
            }
        ).sharing(shared)
        for name, n in config.newsletters.items()
    }
    smtp = config.smtp.model_copy(update=sending(config.smtp))
    database = config.database if "://" in config.database else str(placed(Path(config.database)))
    mail = config.mail
    if mail.source and "://" not in mail.source:
        mail = mail.model_copy(update={"source": str(placed(Path(mail.source)))})
    if mail.ca_file:
        mail = mail.model_copy(update={"ca_file": placed(mail.ca_file)})
    placed_now = {"database": database, "newsletters": newsletters, "smtp": smtp, "mail": mail, "templates": shared}
    return config.model_copy(update=placed_now)


def _flags(said: object, made: object, where: tuple[str | int, ...] = ()) -> Iterator[InitErrorDetails]:
    """Where true or false stands for a number: pydantic takes them for 1 and 0, which nobody means."""
    if isinstance(said, bool):
        if isinstance(made, int | float) and not isinstance(made, bool):
            yield InitErrorDetails(type="float_type" if isinstance(made, float) else "int_type", loc=where, input=said)
    elif isinstance(said, Mapping):
        fields = type(made).model_fields if isinstance(made, BaseModel) else {}
        names = {field.alias: name for name, field in fields.items() if field.alias}
        for key, value in said.items():
            inside = made.get(key) if isinstance(made, Mapping) else getattr(made, names.get(key, str(key)), None)
            yield from _flags(value, inside, (*where, key))
    elif isinstance(said, list) and isinstance(made, list | tuple):
        for at, (value, inside) in enumerate(zip(said, made, strict=False)):
            yield from _flags(value, inside, (*where, at))


_WHOLE = "write the whole path, from / on"
_HINT = "`digest help settings` lists every setting; an environment variable DIGEST_… goes before the file"


# What pydantic calls by Python's names.
_LIST, _TABLE, _NUMBER = 'a list, as in ["one", "two"]', "a table, as in [section] or {name = value}", "a whole number"
_SHAPES = {
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type"), _LIST),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "mapping_type"), _TABLE),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), _NUMBER),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("string_type", "path_type"), "text in quotes"),
}


def _owner(problem: ErrorDetails) -> str:
    """The newsletter whose settings are wrong, "" where it is another's."""
    where = _where(problem)
    return where[1] if len(where) > 1 and where[0] == "newsletters" else ""


def _where(problem: ErrorDetails) -> list[str]:
    found = problem.get("ctx", {}).get("error")
    return list(found.where) if isinstance(found, Misplaced) else [str(p) for p in problem["loc"] if p != "[key]"]


def _sentence(problems: list[ErrorDetails], path: Path, files: Mapping[str, Sheet]) -> str:
    """The first thing wrong, in words: which file (or variable), which key, what it must be."""
    # What is made of a value that is wrong cannot be made either, and is no mistake more.
    problems = [found for found in problems if found["type"] != "default_factory_not_called"] or problems
    # A mistyped key often makes others missing: it is the one to name.
    problem = min(problems, key=lambda found: found["type"] != "extra_forbidden")
    where = _where(problem)
    key = ".".join(where) or "the file"
    variable = "DIGEST_" + "__".join(where).upper()
    source = str(path)
    more = f" ({len(problems) - 1} more like it)" if len(problems) > 1 else ""
    if variable in os.environ:
        source = variable
    elif sheet := files.get(_owner(problem)):
        line = line_of(sheet.text, where[2:])
        source = f"{sheet.path}, line {line}" if line else str(sheet.path)
        key = ".".join(where[2:]) or "the newsletter"
    match problem["type"]:
        case "missing":
            return f"{source}: {key} is missing{more}"
        case "extra_forbidden":
            return f"{source}: {key} is not a setting{_near(where)}{more}"
        case "value_error":
            return f"{source}: {key} {problem['ctx']['error']}{more}"
        case "string_pattern_mismatch":
            return f"{source}: {key}: a name has small letters, digits, '-' and '_' only{more}"
        case kind if kind in _SHAPES:
            return f"{source}: {key} must be {_SHAPES[kind]}{more}"
        case _:
            words = problem["msg"].lower().partition(", unable to parse")[0].replace("input should be", "must be")
            return f"{source}: {key} {words}{more}"


def _refuse_strange_variables(environ: Mapping[str, str]) -> None:
    """ConfigError for a DIGEST_ variable meant for a setting and spelt so that it would not count, as DIGEST_SMTP_URL.

    Others may be of other programs, or of ours: DIGEST_CONFIG.
    """
    import difflib

    known = [f"DIGEST_{name}".upper() for name in Config.model_fields]
    sections = [name.upper() for name, field in Config.model_fields.items() if _is_section(field.annotation)]
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


def _is_section(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, Section)


def _undecoded(error: SettingsError) -> str:
    """The variables among which the one is that pydantic-settings could not decode: it names the field alone."""
    field = str(error).split('"')[1]
    start = f"DIGEST_{field}".upper()
    return " or ".join(name for name in sorted(os.environ) if name.upper().partition("__")[0] == start)


_PLACES: dict[type[BaseModel], str] = {
    Config: "at the top of the file, before the first [section]",
    Smtp: "in [smtp]",
    Relay: "in [[smtp.relays]]",
    Dkim: "in [[smtp.dkim]]",
    settings.Collect: "in [collect]",
    settings.FeedHost: 'in [collect.hosts."HOST"]',
    settings.Curate: "in [curate]",
    settings.Web: "in [web]",
    settings.Newsletter: "in [newsletters.NAME]",
    OwnSmtp: "in [newsletters.NAME.smtp]",
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
        places[where[-1]] = [place for place in places[where[-1]] if place != _PLACES[OwnSmtp]]
        return f"; it stands {' or '.join(places[where[-1]])}"
    close = difflib.get_close_matches(where[-1], sorted(places), 1)
    return f"; did you mean {close[0]}?" if close else ""


def new_secret() -> str:
    return secrets.token_urlsafe(32)
