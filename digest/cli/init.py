"""`digest init`: settings and an empty database, ready to use."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from digest.cli.common import Options, while_read
from digest.errors import StorageError, UserError


def init(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Where to put them; made if need be. Else the folder you are in."),
    ] = None,
    cron: Annotated[bool, typer.Option("--cron", help="Only print lines for `crontab -e`.")] = False,
    systemd: Annotated[bool, typer.Option("--systemd", help="Only print a unit for `digest serve`.")] = False,
    nginx: Annotated[bool, typer.Option("--nginx", help="Only print what nginx needs to stand before it.")] = False,
) -> None:
    """Write a commented digest.toml and make the database. Run again, it changes nothing.

    With --cron, --systemd or --nginx nothing is made: what the machine must be told is printed, with the paths of this
    installation.

    Example: digest init ~/newsletter
    """
    from digest import config
    from digest.store import open_database

    options: Options = context.obj
    if folder and options.config:
        raise UserError("both a folder and --config say where the settings go", hint="leave one of them out")
    if cron or systemd or nginx:
        if cron + systemd + nginx > 1:
            raise UserError(
                "one of --cron, --systemd and --nginx at a time", hint="what they print goes to three places"
            )
        _print_for_machine(options, folder, "cron" if cron else "systemd" if systemd else "nginx")
        return
    path = Path(options.config) if options.config else (folder or Path()) / config.FILE
    if path.is_dir():
        path /= config.FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # O_EXCL: two at once, or a file that is there already, and the first one stands.
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        options.say(f"{path} is there already: left as it is")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}", hint="choose a folder you may write to") from None
    else:
        text = (Path(__file__).parent / "init.toml").read_text(encoding="utf-8")
        with os.fdopen(file, "w", encoding="utf-8") as out:
            out.write(text.replace("@secret_key@", config.new_secret()))
        options.say(f"wrote {path}")
    settings = config.load(path)
    open_database(settings.database_url, create=True).close()
    options.say(f"the database is {settings.database_name}")
    command = "digest" if path == Path(config.FILE) else f"digest -c {shlex.quote(str(path))}"
    options.say("next:")
    for words in ("feed add https://example.org/feed.xml", "subscriber add you@example.org", "run"):
        print(f"{command} {words}")


def _print_for_machine(options: Options, folder: Path | None, what: Literal["cron", "systemd", "nginx"]) -> None:
    """By the settings in `folder`, or else by those that any command would take."""
    from digest import config
    from digest.cli import machine

    named = str(folder / config.FILE) if folder else options.config
    path = config.find(Path(named) if named else None, os.environ)
    place = machine.place(path, config.load(path))
    makers = {"cron": machine.cron, "systemd": machine.systemd, "nginx": machine.nginx}
    with while_read():
        print(makers[what](place), end="")
