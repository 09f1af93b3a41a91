"""`digest outbox …`: the letters themselves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from digest.cli.common import Options, count, in_words, now, print_facts, print_json, print_rows
from digest.cli.options import All, DryRun, EditionNumber, Json, NewsletterName, Newsletters

app = typer.Typer(no_args_is_help=True, help="The outbox: who is owed a letter, who got it, and who did not.")


@app.command("list")
def list_letters(
    context: typer.Context,
    newsletter: Newsletters = None,
    every: All = False,
    edition: Annotated[int | None, typer.Option(help="Only this edition's letters.")] = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="owed, claimed, sending, sent, refused, dropped or held.")
    ] = None,
    in_doubt: Annotated[bool, typer.Option("--in-doubt", help="Only those a server may have taken unheard.")] = False,
    after: Annotated[int, typer.Option(metavar="ID", help="Go on after this letter.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    as_json: Json = False,
) -> None:
    """List letters with their state and the mail server's last reply.

    Example: digest outbox list --state refused
    """
    from digest.errors import UserError
    from digest.models import OutboxState
    from digest.store import letters

    options: Options = context.obj
    try:
        wanted = OutboxState(state) if state else None
    except ValueError:
        raise UserError(f"{state!r} is not a state of a letter", hint="one of: " + ", ".join(OutboxState)) from None
    with options.open() as (config, database), database.read() as session:
        names = config.chosen(newsletter, every=every)
        if names is None and edition and not every:
            names = [config.newsletter(None)[0]]
        found = letters.lines(
            session,
            newsletters=names,
            edition=edition,
            state=wanted,
            in_doubt=in_doubt or None,
            after=after,
            limit=limit,
        )
    if as_json:
        print_json([asdict(line) for line in found])
        return
    columns = ("id", "newsletter", "edition", "email", "state", "attempts", "when", "reply")
    rows = []
    for line in found:
        reply = f"{line.code or ''} {line.reply}".strip() + (" (in doubt)" if line.in_doubt else "")
        when = line.settled_at or line.due_at
        what = line.edition if line.edition is not None else f"“{line.subject}”"
        rows.append((line.id, line.newsletter, what, line.email, line.state, line.attempts, when, reply))
    print_rows(columns, rows)
    if len(found) == limit:
        options.say(f"the first {limit}; for more: --after {found[-1].id}")


@app.command()
def show(
    context: typer.Context,
    letter: Annotated[int, typer.Argument(metavar="ID", help="From `digest outbox list`.")],
    as_json: Json = False,
) -> None:
    """Show one letter: to whom, its attempts, the last reply. Its Message-ID finds it in the logs of servers.

    Example: digest outbox show 4711
    """
    from digest import sign
    from digest.errors import NotFound
    from digest.letter import domain
    from digest.store import letters

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        found = letters.lines(session, letter_id=letter, limit=1)
        if not found:
            raise NotFound(f"there is no letter {letter}", hint="`digest outbox list` shows their ids")
        sender, written_at = letters.sender(session, letter)
    key, smtp = config.lasting_key, config.imprint(found[0].newsletter).smtp
    facts = asdict(found[0]) | {
        "message_id": sign.message_id(letter, key=key, domain=domain(sender), written_at=written_at),
        "mail_from": sign.verp(
            letter, key=key, domain=smtp.envelope_domain or domain(sender), mailbox=config.mail.address
        ),
    }
    print_facts(facts, as_json=as_json)


@app.command()
def retry(
    context: typer.Context,
    ids: Annotated[list[int] | None, typer.Argument(metavar="ID", help="From `digest outbox list`.")] = None,
    newsletter: NewsletterName = None,
    edition: Annotated[int | None, typer.Option(help="All of this edition that are in --state.")] = None,
    state: Annotated[str, typer.Option(metavar="STATE", help="held, refused or owed (now instead of later).")] = "held",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Owe letters anew that were held or refused. They go out with the next `digest deliver`.

    A letter in doubt may be with its reader already: you decide that it goes out again. One that was sent is
    never sent again, and one that was refused stays so while its reader is suppressed.

    Example: digest outbox retry --edition 12 --state refused
    """
    from digest.errors import NotFound, UserError
    from digest.models import OutboxState
    from digest.store import editions, letters, newsletters

    options: Options = context.obj
    if bool(ids) == (edition is not None):
        raise UserError("say which letters", hint="their ids, or --edition N")
    allowed = (OutboxState.HELD, OutboxState.REFUSED, OutboxState.OWED)
    if state not in allowed:
        raise UserError(f"a letter that is {state!r} cannot be retried", hint="one of: " + ", ".join(allowed))
    states = allowed if ids else (OutboxState(state),)
    with options.open() as (config, database), database.latest() as session:
        edition_id, name = None, ""
        if edition is not None:
            name, _ = config.newsletter(newsletter)
            line = editions.line(session, newsletters.find(session, name).id or 0, edition)
            if line is None:
                raise NotFound(f"{name} has no edition {edition}", hint="`digest edition list` shows what there is")
            edition_id = line.id
        done = letters.retry(session, letter_ids=tuple(ids or ()), edition_id=edition_id, states=states, now=now())
        if dry_run:
            session.rollback()
    lift = "who is suppressed may be written to again after `digest subscriber unsuppress`, and then retry"
    suppressed = "suppressed" in done.alone
    if ids and not done.owed:
        raise UserError(
            f"none of these letters can be owed again: {in_words(done.alone)}",
            hint=lift if suppressed else "`digest outbox list` shows what there is",
        )
    if as_json:
        print_json({"owed_again": done.owed, "left_alone": done.alone, "dry_run": dry_run})
    if done.owed:
        words = "would be" if dry_run else "is" if done.owed == 1 else "are"
        options.say(f"{count(done.owed, 'letter')} {words} owed again")
    elif not done.alone:
        options.say(f"no letter of {name} No. {edition} is {state}: nothing is owed again")
    if done.alone:
        options.say(f"left alone: {in_words(done.alone)}")
    if suppressed:
        options.say(lift)


@app.command()
def release(
    context: typer.Context,
    edition: EditionNumber,
    newsletter: NewsletterName = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send an edition's quarantined letters again, and go on.

    So many readers at once were said to have no mailbox that it was not believed: their letters were held, and
    nobody was barred. Where the mail server had a bad day, this is the cure.

    Example: digest outbox release 12
    """
    _end_quarantine(context.obj, edition, newsletter, believe=False, dry_run=dry_run, as_json=as_json)


@app.command()
def believe(
    context: typer.Context,
    edition: EditionNumber,
    newsletter: NewsletterName = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Believe that quarantined readers have no mailbox, and go on.

    Their letters of this edition are refused, nobody of them is written to again, and the rest of the edition goes on.
    `digest subscriber unsuppress` lets an address be written to again.

    Example: digest outbox believe 12 --dry-run
    """
    _end_quarantine(context.obj, edition, newsletter, believe=True, dry_run=dry_run, as_json=as_json)


def _end_quarantine(
    options: Options, number: int, newsletter: str | None, *, believe: bool, dry_run: bool, as_json: bool
) -> None:
    from digest import deliver
    from digest.errors import NotFound
    from digest.store import editions, newsletters

    with options.open() as (config, database), database.latest() as session:
        name, _ = config.newsletter(newsletter)
        line = editions.line(session, newsletters.find(session, name).id or 0, number)
        if line is None:
            raise NotFound(f"{name} has no edition {number}", hint="`digest edition list` shows what there is")
        letters, resumed = deliver.end_quarantine(session, line.id, believe=believe, now=now())
        if dry_run:
            session.rollback()
    if not letters:
        raise NotFound(
            f"{name} No. {number} has no quarantined letters", hint="`digest outbox list --state held` shows others"
        )
    if as_json:
        print_json({"newsletter": name, "edition": number, "letters": letters, "resumed": resumed, "dry_run": dry_run})
        return
    would = "would be" if dry_run else "is" if letters == 1 else "are"
    what = "refused, and not written to again" if believe else "owed again"
    options.say(f"{count(letters, 'letter')} {would} {what}" + ("; the edition goes on" if resumed else ""))
