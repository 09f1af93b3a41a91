"""`digest init --cron`, `--systemd`, `--nginx` …: what the machine must be told, with this installation's own paths.

The files in `examples/` (and `crontab.example`) are for `/srv/newsletter` and the user `news`, so that they can be read
and quoted as they are; here those words are put in the place of which ours stand.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import digest
from digest.cli import shipped
from digest.errors import UserError

if TYPE_CHECKING:
    from digest.config import Config

_FOLDER = "/srv/newsletter"
_BACKUPS = f"{_FOLDER}/backups"
_COMMAND, _SETTINGS, _LOG = f"{_FOLDER}/venv/bin/digest", f"{_FOLDER}/digest.toml", f"{_FOLDER}/digest.log"
_HOMES = ("/home", "/root", "/run/user")  # what ProtectHome=true hides
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  (what PrivateTmp=true replaces)


@dataclass(frozen=True)
class Place:
    """Where things are, all paths absolute: how digest is started, its settings, what it writes, and its pages' URL."""

    command: tuple[str, ...]
    settings: Path
    written: tuple[Path, ...]
    base_url: str

    @property
    def base_path(self) -> str:
        """Percent-encoded, as in "/news", or ""."""
        return urlsplit(self.base_url).path.rstrip("/")

    @property
    def folder(self) -> Path:
        return self.settings.parent

    @property
    def log(self) -> Path:
        return self.folder / "digest.log"


def place(settings: Path, config: Config) -> Place:
    """Where this installation is, by the Python that runs it and the settings file. UserError for an odd path."""
    settings = settings.absolute()
    beside = Path(sys.executable).with_name("digest")
    command = (str(beside),) if beside.is_file() else (sys.executable, "-m", "digest")
    url = config.database_url
    database = [Path(url.removeprefix("sqlite:///")).absolute().parent] if url.startswith("sqlite") else []
    witness = config.witness(settings) if config.keep.witness else None
    elsewhere = [witness.parent] if witness else []
    if config.keep.upgrade_folder:
        elsewhere.append(config.upgrade_folder(settings).parent)
    written = tuple(dict.fromkeys([settings.parent, *database, *elsewhere]))
    found = Place(command, settings, written, config.base_url)
    for path in (*command, *found.written):
        if not str(path).isprintable():
            raise UserError(
                f"no file of the system can name {str(path)!r}", hint="move it to a path without such signs"
            )
    return found


def cron(place: Place) -> str:
    """Lines for `crontab -e`."""
    ours = {_COMMAND: place.command, _SETTINGS: (str(place.settings),), _LOG: (str(place.log),)}
    ours[_BACKUPS] = (str(place.folder / "backups"),)

    def quoted(words: tuple[str, ...]) -> str:
        return shlex.join(words).replace("%", r"\%")  # cron makes a line end of a bare %

    return _filled(shipped.example("crontab.example"), ours, quoted)


def systemd(place: Place) -> str:
    """A unit for `digest serve`, run by who asks for it."""
    return _unit("digest.service", place)


def run_service(place: Place) -> str:
    """A unit for one `digest run`, which the timer starts."""
    return _unit("digest-run.service", place)


def timer(_place: Place) -> str:
    """A timer in place of cron's line."""
    return shipped.example("digest-run.timer")


def logrotate(place: Place) -> str:
    """What keeps the log of cron's line short."""
    text = shipped.example("logrotate.conf").replace(_LOG, _quoted(str(place.log)))
    return text.replace("news news", f"{_user()} {_group()}")


def caddy(place: Place) -> str:
    """A site for the host that `base_url` names: all of it, or what is below its path."""
    text = shipped.example("Caddyfile").replace("news.example.org", urlsplit(place.base_url).netloc)
    path = _quoted(f"{unquote(place.base_path)}/*") if place.base_path else ""
    return text.replace("reverse_proxy", f"reverse_proxy {path}".rstrip())


def _unit(name: str, place: Place) -> str:
    """One of our units, with the paths of this installation, and hiding nothing that it needs."""
    ours = {_COMMAND: place.command, _SETTINGS: (str(place.settings),)}
    text = _filled(shipped.example(name), ours, lambda words: " ".join(map(_systemd_word, words)))
    lines = {
        "User": _user(),
        "WorkingDirectory": str(place.folder).replace("%", "%%"),
        "ReadWritePaths": " ".join(_systemd_word(str(path)).replace("$$", "$") for path in place.written),
    }
    needed = [*place.written, *map(Path, (place.command[0], sys.base_prefix, digest.__file__))]
    if any(path.is_relative_to(home) for path in needed for home in _HOMES):
        lines["ProtectHome"] = "read-only"  # but for ReadWritePaths
    if any(path.is_relative_to(folder) for path in needed for folder in _TEMPORARY):
        lines["PrivateTmp"] = "false"
    return re.sub(rf"^({'|'.join(lines)})=.*$", lambda found: f"{found[1]}={lines[found[1]]}", text, flags=re.MULTILINE)


def nginx(place: Place) -> str:
    """A `location` for the host that `base_url` names: the whole of it, or below its path."""
    if not place.base_path:
        return shipped.example("nginx.conf")
    path = _quoted(unquote(place.base_path) + "/")
    return shipped.example("nginx-below.conf").replace("/news/", path)


def _filled(text: str, ours: Mapping[str, tuple[str, ...]], quoted: Callable[[tuple[str, ...]], str]) -> str:
    """The text with our words in place of the example's, all at once, so that none is looked for in another."""
    names = re.compile("|".join(map(re.escape, ours)))
    return names.sub(lambda found: quoted(ours[found[0]]), text)


def _systemd_word(word: str) -> str:
    word = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w@%$+=:,./-]+", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _quoted(path: str) -> str:
    """As nginx, Caddy and logrotate read it."""
    if re.fullmatch(r"[\w./~*-]+", path):
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _group() -> str:
    import grp

    try:
        return grp.getgrgid(os.getgid()).gr_name
    except KeyError:
        return str(os.getgid())


# What is printed by `digest init --NAME`.
MAKERS: Mapping[str, Callable[[Place], str]] = {
    "cron": cron,
    "systemd": systemd,
    "run-service": run_service,
    "timer": timer,
    "nginx": nginx,
    "caddy": caddy,
    "logrotate": logrotate,
}
