"""`digest webhook …`: who is told what happens."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Annotated
from urllib.parse import urlsplit

import typer

from digest.cli.common import Options, now, print_facts, print_json, print_rows
from digest.cli.key import papers
from digest.cli.options import Json, Papers
from digest.errors import Exit

app = typer.Typer(no_args_is_help=True, help="Webhooks: who is told what happens.")

Which = Annotated[int, typer.Argument(metavar="WEBHOOK", help="The number of `digest webhook list`.")]


@app.command()
def add(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent to.")],
    event: Annotated[
        list[str] | None,
        typer.Option(
            "--event",
            metavar="EVENT",
            help="Which: subscribed, confirmed, left, sent, bounced, complained; again for more. Else all.",
        ),
    ] = None,
    newsletter: Papers = None,
    json: Json = False,
) -> None:
    """Tell an address what happens from now on, and print the secret that signs it. It is shown this once.

    Example: digest webhook add https://shop.example/hooks --event subscribed --event left -n daily
    """
    from digest.collect.guard import Guard
    from digest.deliver import hooks as mail
    from digest.errors import BadInput, FetchError
    from digest.store import hooks

    options: Options = context.obj
    with options.open() as (config, database):
        private = config.web.webhook_private_addresses
        url = mail.checked_url(url, private=private)
        try:
            Guard(allow_private=private).check_literal(urlsplit(url).hostname or "")
        except FetchError as error:
            raise BadInput(f"{url[:100]} {error}", hint="[web] webhook_private_addresses = true lets it be") from None
        secret = mail.new_secret()
        events = event or [one.value for one in hooks.OFFERED]
        chosen = papers(config, newsletter)
        with database.write() as session:
            row = hooks.add(session, url, events=events, newsletters=chosen, secret=secret, now=now())
            facts = {"id": row.id, "url": url, "secret": secret, "events": row.events, "newsletters": row.newsletters}
    if json:
        print_json(facts)
    else:
        print(secret)
    options.say(f"webhook {facts['id']} is told: {', '.join(events)}; its secret is shown this once")


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """List webhooks: what each is told, and how it does.

    Example: digest webhook list
    """
    from digest.store import hooks

    options: Options = context.obj
    with options.open() as (_config, database), database.read() as session:
        found = [asdict(one) for one in hooks.listed(session)]
    columns = ("id", "url", "events", "newsletters", "waiting", "given_up", "ok_at", "failing_since", "disabled_at")
    rows = [[one[name] or ["*"] if name == "newsletters" else one[name] for name in columns] for one in found]
    print_rows(columns, rows, as_json=json)


@app.command()
def show(context: typer.Context, webhook: Which, json: Json = False) -> None:
    """Show one webhook, and what went wrong last.

    Example: digest webhook show 1
    """
    from digest.store import hooks

    options: Options = context.obj
    with options.open() as (_config, database), database.read() as session:
        hooks.find(session, webhook)
        (facts,) = (asdict(one) for one in hooks.listed(session) if one.id == webhook)
    print_facts(facts | {"newsletters": facts["newsletters"] or ["*"]}, as_json=json)


@app.command()
def remove(context: typer.Context, webhook: Which) -> None:
    """Tell an address nothing any more; what waits for it is dropped.

    Example: digest webhook remove 1
    """
    from digest.store import hooks

    options: Options = context.obj
    with options.open() as (_config, database), database.write() as session:
        hooks.remove(session, webhook)
    options.say(f"webhook {webhook} is told nothing any more")


@app.command()
def test(context: typer.Context, webhook: Which) -> None:
    """Send a test event, now. Where it is taken, a webhook that was disabled goes on. Exit 69 where it is not.

    Example: digest webhook test 1
    """
    from digest import line
    from digest.store import hooks

    options: Options = context.obj
    with options.open() as (config, database):
        with database.write() as session:
            hooks.find(session, webhook)
            message = hooks.test(session, webhook, now=now())
        rng = random.Random()  # noqa: S311  (jitter, not a secret)
        line.tell_webhooks(database, config, clock=now, rng=rng)
        with database.read() as session:
            status, error = hooks.answer_to(session, webhook, message)
    if error or not status:
        options.warn(f"webhook {webhook} did not take it: {error or 'another process has it in hand'}")
        raise typer.Exit(Exit.UNAVAILABLE)
    options.say(f"webhook {webhook} took it, and answered {status}")
