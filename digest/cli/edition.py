"""`digest edition …`: what was composed, and how its letters stand."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from digest.cli.common import (
    Options,
    count,
    edition_words,
    in_words,
    left_words,
    now,
    print_facts,
    print_json,
    print_rows,
    reply_status,
)
from digest.cli.options import All, Domain, DryRun, Json, Limit, NewsletterName, Newsletters, Number, Status, Why
from digest.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="Editions: what was composed, and how its letters stand.")


@app.command("list")
def list_editions(
    context: typer.Context,
    newsletter: Newsletters = None,
    every: All = False,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List editions, the newest first.

    Example: digest edition list --limit 5
    """
    from digest.store import editions

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        found = editions.lines(session, newsletters=config.chosen(newsletter, every=every), limit=limit)
    columns = ("newsletter", "number", "composed_at", "state", "stories", "variants", "letters", "subject")
    rows = [
        (
            e.newsletter,
            e.number,
            e.composed_at,
            e.state,
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
    number: Number,
    newsletter: NewsletterName = None,
    as_json: Json = False,
) -> None:
    """Show one edition: its stories, variants and letters.

    Example: digest edition show 12
    """
    from digest.store import edition_states, edition_stories, editions, letters, newsletters

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        name, _ = config.newsletter(newsletter)
        found = editions.line(session, newsletters.find(session, name).id or 0, number)
        if found is None:
            raise NotFound(f"{name} has no edition {number}", hint="`digest edition list` shows what there is")
        stories = edition_stories.stories_of(session, found.id)
        (account,) = edition_states.accounts(session, newsletters=[name], number=number)
        left = letters.left(session, edition_id=found.id, now=now())
    facts = {
        "newsletter": found.newsletter,
        "number": found.number,
        "subject": found.subject,
        "composed_at": found.composed_at,
        "state": found.state if as_json or not found.reason else f"{found.state}: {found.reason}",
        "variants": found.variants,
        "letters": found.letters if as_json else _words(found.letters),
        "owed_at_first": account.owed,
        "in_doubt": account.in_doubt,
        "still_owed": asdict(left) if as_json else "; ".join(left_words(left)),
    }
    columns = ("id", "topic", "title", "source", "url")
    rows = [(s.id, s.topic, s.title, s.source, s.url) for s in stories]
    if as_json:
        print_json(facts | {"stories": [dict(zip(columns, row, strict=True)) for row in rows]})
    else:
        print_facts(facts)
        print()
        print_rows(columns, rows)


@app.command()
def pause(
    context: typer.Context,
    number: Number,
    newsletter: NewsletterName = None,
    reason: Why = "by hand",
    as_json: Json = False,
) -> None:
    """Stop an edition: what is on the wire is finished, the rest waits. Twice is once.

    Example: digest edition pause 12 --reason "wrong subject"
    """
    _move(context, number, newsletter, "paused", reason, as_json=as_json)


@app.command()
def resume(
    context: typer.Context,
    number: Number,
    newsletter: NewsletterName = None,
    as_json: Json = False,
) -> None:
    """Let an edition that is held or paused go out. The next `digest deliver` sends it, however late it is.

    Example: digest edition resume 12
    """
    _move(context, number, newsletter, "open", "", as_json=as_json)


@app.command()
def cancel(
    context: typer.Context,
    number: Number,
    newsletter: NewsletterName = None,
    reason: Why = "by hand",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Drop what an edition still owes, for good. Letters that were sent cannot be called back.

    Example: digest edition cancel 12 --dry-run
    """
    _move(context, number, newsletter, "cancelled", reason, dry_run=dry_run, as_json=as_json)


@app.command()
def resend(
    context: typer.Context,
    number: Number,
    only: Annotated[str, typer.Option("--only", metavar="STATE", help="refused: who got it never gets it again.")],
    newsletter: NewsletterName = None,
    status: Status = "",
    domain: Domain = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Owe again what mail servers refused of an edition. With it what was dropped since its reader was suppressed.

    For after a bad day of a mail server. Nobody gets it who has it, or may have it, who left, or who is suppressed:
    `digest subscriber unsuppress --since` comes first.

    Example: digest edition resend 12 --only refused --status 5.1.1 --dry-run
    """
    from digest import subscribe
    from digest.errors import UserError
    from digest.models import EditionState
    from digest.store import editions, letters

    options: Options = context.obj
    if only != "refused":
        raise UserError(f"--only {only}: nothing but what was refused goes out again", hint="write --only refused")
    status, place = reply_status(status), subscribe.domain_of(domain) if domain else ""
    with options.open() as (config, database), database.latest() as session:
        name, _ = config.newsletter(newsletter)
        row = editions.row(session, name, number)
        if row is None or row.id is None:
            raise NotFound(f"{name} has no edition {number}", hint="`digest edition list` shows what there is")
        state = row.state
        if state is EditionState.CANCELLED:
            raise UserError(f"{name} No. {number} is cancelled", hint="a cancelled edition stays cancelled")
        if row.pruned:
            raise UserError(
                f"{name} No. {number} is pruned", hint="its mails are gone; `mails_days` in [keep] says when"
            )
        found = letters.resend(session, row.id, status=status, domain=place, now=now())
        if dry_run:
            session.rollback()
    again = [letter for letter in found if not letter.left_alone]
    alone = Counter(letter.left_alone for letter in found if letter.left_alone)
    columns = ("id", "email", "was", "code", "reply")
    rows = [(letter.id, letter.email, letter.state, letter.code, letter.reply) for letter in again]
    if as_json:
        told = [dict(zip(columns, row, strict=True)) for row in rows]
        facts = {"newsletter": name, "number": number, "dry_run": dry_run, "owed_again": len(again)}
        print_json(facts | {"left_alone": alone, "letters": told})
    else:
        print_rows(columns, rows)
    many = count(len(again), "letter")
    will = "would be" if dry_run else "is" if len(again) == 1 else "are"
    options.say(f"{many} of {name} No. {number} {will} owed again")
    if alone:
        options.say(f"left alone: {in_words(alone)}")
    if alone["suppressed"]:
        options.say("who is suppressed may be written to again after `digest subscriber unsuppress`, and then resend")
    if again and state is not EditionState.OPEN:
        options.say(f"it is {state}; `digest edition resume {edition_words(config, name, number)}` lets it go out")


def _move(
    context: typer.Context,
    number: int,
    newsletter: str | None,
    to: str,
    reason: str,
    *,
    dry_run: bool = False,
    as_json: bool,
) -> None:
    from digest.errors import UserError
    from digest.models import Edition, EditionState
    from digest.store import edition_states, editions, newsletters

    options: Options = context.obj
    wanted = EditionState(to)
    moment = now()
    opening = wanted is EditionState.OPEN
    with options.open() as (config, database):
        with database.latest() if opening else database.write() as session:
            name, _ = config.newsletter(newsletter)
            found = editions.line(session, newsletters.find(session, name).id or 0, number)
            if found is None:
                raise NotFound(f"{name} has no edition {number}", hint="`digest edition list` shows what there is")
            state = found.state
            owed = sum(found.letters.get(s, 0) for s in ("owed", "claimed", "sending"))
            told = {"newsletter": name, "number": number, "was": state, "owed": owed}
            owes = owed or found.letters.get("held") or session.get_one(Edition, found.id).laying_out
            if wanted is not EditionState.OPEN and state is not wanted and not owes:
                raise UserError(f"{name} No. {number} owes nobody a letter any more", hint="what was sent is sent")
            if dry_run:
                options.say(f"{name} No. {number} is {state}; {count(owed, 'letter')} it still owes would be dropped")
                if as_json:
                    print_json(told | {"state": state, "dropped": owed, "dry_run": True})
                return
            opened_at = moment if wanted is EditionState.OPEN else None
            if state is wanted:
                options.say(f"{name} No. {number} is {state} already")
            elif not edition_states.set_state(session, found.id, wanted, reason, opened_at=opened_at):
                cancelled = state is EditionState.CANCELLED
                raise UserError(
                    f"{name} No. {number} is {state} and cannot become {wanted}"
                    + (f": {found.reason}" if found.reason and not cancelled else ""),
                    hint="a cancelled edition stays cancelled; its stories are in `digest edition show`"
                    if cancelled
                    else "wait until all its letters are there",
                )
            else:
                left = "" if wanted is EditionState.CANCELLED else f"; {count(owed, 'letter')} still owed"
                options.say(f"{name} No. {number} is {wanted} now{left}")
        dropped = edition_states.drop_cancelled(database, now=moment) if wanted is EditionState.CANCELLED else 0
        if dropped:
            options.say(f"{count(dropped, 'letter')} dropped")
    if as_json:
        print_json(told | {"state": wanted, "dropped": dropped, "dry_run": False})


def _words(letters: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in letters.items()) or "none"
