"""`digest edition …`: what was composed, and how its letters stand."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.common import Json, NewsletterName, Options, print_facts, print_json, print_rows
from digest.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="Editions: what was composed, and how its letters stand.")


@app.command("list")
def list_editions(
    context: typer.Context,
    newsletter: NewsletterName = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List editions, the newest first.

    Example: digest edition list --limit 5
    """
    from digest import store

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        name = config.newsletter(newsletter)[0] if newsletter else None
        found = store.edition_lines(session, newsletter=name, limit=limit)
    columns = ("newsletter", "number", "composed_at", "stories", "variants", "letters", "subject")
    rows = [
        (
            e.newsletter,
            e.number,
            e.composed_at,
            e.stories,
            e.variants,
            e.letters if as_json else _words(e.letters),
            e.subject,
        )
        for e in found
    ]
    print_rows(columns, rows, as_json=as_json)


@app.command()
def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(help="The number in the masthead.")],
    newsletter: NewsletterName = None,
    as_json: Json = False,
) -> None:
    """Show one edition: its stories in order, its variants, its letters by state.

    Example: digest edition show 12
    """
    from digest import store

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        name, _ = config.newsletter(newsletter)
        found = store.edition_line(session, store.newsletter(session, name).id or 0, number)
        if found is None:
            raise NotFound(f"{name} has no edition {number}", hint="`digest edition list` shows what there is")
        stories = store.edition_stories(session, found.id)
    facts = {
        "newsletter": found.newsletter,
        "number": found.number,
        "subject": found.subject,
        "composed_at": found.composed_at,
        "variants": found.variants,
        "letters": found.letters if as_json else _words(found.letters),
    }
    columns = ("id", "topic", "title", "source", "url")
    rows = [(s.id, s.topic, s.title, s.source, s.url) for s in stories]
    if as_json:
        print_json(facts | {"stories": [dict(zip(columns, row, strict=True)) for row in rows]})
    else:
        print_facts(facts)
        print()
        print_rows(columns, rows)


def _words(letters: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in letters.items()) or "none"
