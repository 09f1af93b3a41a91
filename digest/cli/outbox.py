"""`digest outbox …`: the letters themselves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from digest.cli.common import Json, NewsletterName, Options, print_json, print_rows

app = typer.Typer(no_args_is_help=True, help="The outbox: who is owed a letter, who got it, who did not and why.")


@app.command("list")
def list_letters(
    context: typer.Context,
    newsletter: NewsletterName = None,
    edition: Annotated[int | None, typer.Option(help="Only this edition's letters.")] = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="owed, sending, sent, refused, dropped or held.")
    ] = None,
    after: Annotated[int, typer.Option(metavar="ID", help="Go on after this letter.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    as_json: Json = False,
) -> None:
    """List letters with their state and the mail server's last reply.

    Example: digest outbox list --state refused
    """
    from digest import store
    from digest.errors import UserError
    from digest.models import OutboxState

    options: Options = context.obj
    try:
        wanted = OutboxState(state) if state else None
    except ValueError:
        raise UserError(f"{state!r} is not a state of a letter", hint="one of: " + ", ".join(OutboxState)) from None
    with options.open() as (config, database), database.read() as session:
        name = config.newsletter(newsletter)[0] if newsletter or edition else None
        found = store.outbox_lines(session, newsletter=name, edition=edition, state=wanted, after=after, limit=limit)
    if as_json:
        print_json([asdict(line) for line in found])
        return
    columns = ("id", "newsletter", "edition", "email", "state", "attempts", "when", "reply")
    rows = []
    for line in found:
        reply = f"{line.code or ''} {line.reply}".strip() + (" (in doubt)" if line.in_doubt else "")
        when = line.settled_at or line.due_at
        rows.append((line.id, line.newsletter, line.edition, line.email, line.state, line.attempts, when, reply))
    print_rows(columns, rows)
    if len(found) == limit:
        options.say(f"the first {limit}; for more: --after {found[-1].id}")
