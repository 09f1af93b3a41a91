"""`digest init`: settings and an empty database, ready to use."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.common import Options, while_read
from digest.errors import StorageError, UserError


def init(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Where to put them; made if need be. Else the folder you are in."),
    ] = None,
    newsletter: Annotated[
        str, typer.Option("--newsletter", metavar="NAME", help="What the newsletter is called.")
    ] = "",
    title: Annotated[str, typer.Option("--title", help="Its title.")] = "",
    sender: Annotated[str, typer.Option("--from", metavar="ADDRESS", help='As in "Daily <news@example.org>".')] = "",
    reply_to: Annotated[str, typer.Option("--reply-to", metavar="ADDRESS", help="Where answers go.")] = "",
    schedule: Annotated[str, typer.Option("--schedule", help='As in "daily 07:00 Europe/Berlin".')] = "",
    language: Annotated[str, typer.Option("--language", help="Of its fixed words, as in de.")] = "",
    postal_address: Annotated[str, typer.Option("--postal-address", help="For the footer.")] = "",
    base_url: Annotated[str, typer.Option("--base-url", metavar="URL", help="Where readers find its pages.")] = "",
    relay: Annotated[
        str, typer.Option("--relay", metavar="URL", help="The mail server, without a password: smtps://user@host.")
    ] = "",
    contact: Annotated[str, typer.Option("--contact", help="Shown to the sites that are asked.")] = "",
    database: Annotated[str, typer.Option("--database", metavar="PATH", help="Or postgresql://user@host/name.")] = "",
    field: Annotated[
        str,
        typer.Option("--field", help="Topics to begin with: cooking, games, local, music, politics, science or tech."),
    ] = "",
    cron: Annotated[bool, typer.Option("--cron", help="Only print lines for `crontab -e`.")] = False,
    systemd: Annotated[bool, typer.Option("--systemd", help="Only print a unit for `digest serve`.")] = False,
    run_service: Annotated[bool, typer.Option("--run-service", help="Only print a unit for `digest run`.")] = False,
    timer: Annotated[bool, typer.Option("--timer", help="Only print the timer that starts it.")] = False,
    nginx: Annotated[bool, typer.Option("--nginx", help="Only print what nginx needs to stand before it.")] = False,
    caddy: Annotated[bool, typer.Option("--caddy", help="Only print what Caddy needs to stand before it.")] = False,
    logrotate: Annotated[bool, typer.Option("--logrotate", help="Only print how cron's log is kept short.")] = False,
) -> None:
    """Write a commented digest.toml and make the database. Run again, it changes nothing.

    Nothing is asked: what no option says is there to be changed in digest.toml. With --cron, --systemd and the others
    that only print, nothing is made: what the machine must be told is printed, with the paths of this installation.

    Example: digest init ~/newsletter --from "Daily <news@example.org>" --schedule "weekdays 07:00 Europe/Berlin"
    """
    from digest import config
    from digest.store import open_database

    options: Options = context.obj
    if folder and options.config:
        raise UserError("both a folder and --config say where the settings go", hint="leave one of them out")
    printed = {
        "cron": cron,
        "systemd": systemd,
        "run-service": run_service,
        "timer": timer,
        "nginx": nginx,
        "caddy": caddy,
        "logrotate": logrotate,
    }
    given = {
        "newsletter": newsletter,
        "title": title,
        "sender": sender,
        "reply_to": reply_to,
        "schedule": schedule,
        "language": language,
        "postal_address": postal_address,
        "base_url": base_url,
        "relay": relay,
        "contact": contact,
        "database": database,
        "field": field,
    }
    said = {name: value for name, value in given.items() if value}
    if wanted := [name for name, on in printed.items() if on]:
        if len(wanted) > 1 or said:
            words = f"--{wanted[0]} only prints, and stands alone"
            raise UserError(words, hint="what each prints goes to another place")
        _print_for_machine(options, folder, wanted[0])
        return
    path = Path(options.config) if options.config else (folder or Path()) / config.FILE
    path = path / config.FILE if path.is_dir() else path
    _write(options, path, said)
    settings = config.load(path)
    there = Options(config=str(path), quiet=options.quiet)
    keeper = there.keeper(settings)
    open_database(settings.database_url, create=True, before=keeper).close()
    there.tell_upgrade(keeper)
    options.say(f"the database is {settings.database_name}")
    command = "digest" if path == Path(config.FILE) else f"digest -c {shlex.quote(str(path))}"
    options.say("next:")
    for words in ("feed add https://example.org/feed.xml", "subscriber add you@example.org", "run"):
        print(f"{command} {words}")


def _write(options: Options, path: Path, said: Mapping[str, str]) -> None:
    """The settings, where there are none yet."""
    from digest import config
    from digest.cli import answers

    text = (Path(__file__).parent / "init.toml").read_text(encoding="utf-8")
    text = answers.settings(text.replace("@secret_key@", config.new_secret()), said, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # O_EXCL: two at once, or a file that is there already, and the first one stands.
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        if said:
            raise UserError(f"{path} is there already: nothing was written", hint="change it with an editor") from None
        options.say(f"{path} is there already: left as it is")
        return
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}", hint="choose a folder you may write to") from None
    try:
        with os.fdopen(file, "w", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)  # else the next `init` would leave half of it as it is
        raise StorageError(f"cannot write {path}: {(error.strerror or str(error)).lower()}", hint="make room") from None
    options.say(f"wrote {path}")


def _print_for_machine(options: Options, folder: Path | None, what: str) -> None:
    """By the settings in `folder`, or else by those that any command would take."""
    from digest import config
    from digest.cli import machine

    named = str(folder / config.FILE) if folder else options.config
    path = config.find(Path(named) if named else None, os.environ)
    place = machine.place(path, config.load(path))
    with while_read():
        print(machine.MAKERS[what](place), end="")
