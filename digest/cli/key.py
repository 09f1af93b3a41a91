"""`digest key …`: who may ask the API, and what for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import Options, moment, now, print_json, print_rows
from digest.cli.options import Json, Papers

if TYPE_CHECKING:
    from digest.config import Config

app = typer.Typer(no_args_is_help=True, help="Keys of the API: who may ask, and what for.")


@app.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is; histories of readers name it.")],
    newsletter: Papers = None,
    verb: Annotated[
        list[str] | None,
        typer.Option(
            "--verb",
            metavar="VERB",
            help="What it may do: signup, subscribers:read, subscribers:write, subscribers:vouch, subscribers:erase, "
            "editions:read; again for more.",
        ),
    ] = None,
    expires: Annotated[str, typer.Option("--expires", metavar="WHEN", help="To the end of that day.")] = "",
    json: Json = False,
) -> None:
    """Make a key and print it. It is shown this once: only a hash of it is kept.

    A key with the verb signup alone may stand in a page that everybody can read.
    Example: digest key add shop -n daily --verb subscribers:read --verb subscribers:write
    """
    from digest.store import keys

    options: Options = context.obj
    with options.open() as (config, database), database.write() as session:
        row, token = keys.add(
            session,
            name,
            newsletters=papers(config, newsletter),
            verbs=verb or (),
            expires_at=moment(expires, end=True) if expires else None,
            now=now(),
        )
        facts = {"name": row.name, "key": token, "newsletters": row.newsletters, "verbs": row.verbs}
    if json:
        print_json(facts | {"prefix": row.prefix, "expires_at": row.expires_at})
    else:
        print(token)
    options.say(f"this is the key of {name}; it is shown this once, and may {', '.join(row.verbs)}")


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """List keys, also those that have ended. When one was used last is known to the hour.

    Example: digest key list
    """
    from digest.store import keys

    options: Options = context.obj
    columns = ("name", "prefix", "newsletters", "verbs", "created_at", "used_at", "expires_at", "revoked_at")
    with options.open() as (_config, database), database.read() as session:
        rows = [
            (k.name, k.prefix, k.newsletters or ["*"], k.verbs, k.created_at, k.used_at, k.expires_at, k.revoked_at)
            for k in keys.listed(session)
        ]
    print_rows(columns, rows, as_json=json)


@app.command()
def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="NAME", help="Its name, or the beginning that the list shows.")],
) -> None:
    """End a key, at once and for good, also for a `digest serve` that is running.

    Example: digest key revoke shop
    """
    from digest.store import keys

    options: Options = context.obj
    with options.open() as (_config, database), database.write() as session:
        row, done = keys.revoke(session, key, now=now())
    options.say(f"the key {row.name} is good for nothing any more" if done else f"the key {row.name} had ended already")


def papers(config: Config, named: list[str] | None) -> list[str]:
    """The newsletters that `-n` names, [] for all, those to come too; where there is one, it need not be said."""
    from digest.errors import UserError

    if not named:
        if len(config.newsletters) > 1:
            raise UserError(
                "say for which newsletters", hint=f"-n one of: {', '.join(config.newsletters)}; or -n '*' for all"
            )
        return [config.newsletter(None)[0]]
    words = [word.strip() for one in named for word in one.split(",") if word.strip()]
    return [] if "*" in words else [config.newsletter(word)[0] for word in words]
