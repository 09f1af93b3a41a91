"""`digest subscriber suppress` and `unsuppress`: addresses and domains that nobody writes to."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from digest.cli.common import Options, moment, print_json, print_rows, reply_status
from digest.cli.many import Whom, do, for_many, one
from digest.cli.options import Domain, Json, Status
from digest.cli.subscriber import evidence

EmailOrDomain = Annotated[
    str | None,
    typer.Argument(
        metavar="[EMAIL|@DOMAIN]",
        help="An address, or @ and a domain; for many, --where or --file.",
        show_default=False,
    ),
]


def register(subscribers: typer.Typer) -> None:
    """Stand among the commands of `digest subscriber`."""
    subscribers.command()(suppress)
    subscribers.command()(unsuppress)


@for_many
def suppress(
    context: typer.Context,
    email: EmailOrDomain = None,
    reason: Annotated[str, typer.Option("--reason", metavar="WORDS", help="Why, for the list.")] = "by hand",
    *,
    whom: Whom,
) -> None:
    """Never write to an address again, or to a domain. `unsuppress` ends it.

    A domain with its @ bars all who have an address there, now and later: no import, sign-up or `add` takes them in,
    and letters that they are owed are dropped. Domains below it are not meant.
    Example: digest subscriber suppress @example.org --reason "asked by their postmaster"
    """
    from digest import subscribe
    from digest.store import suppressions
    from digest.subscribe import many

    options: Options = context.obj
    with options.open() as (config, database):
        whom = whom.of_any(config)
        if (address := one(email, whom)) is None:
            do(options, database, whom, partial(many.suppress, reason=reason, evidence=evidence()), "suppressed")
            return
        address = subscribe.address_or_domain(address)
        with database.write() as session:
            done = subscribe.suppress(session, address, reason=reason, evidence=evidence())
            theirs = suppressions.at(session, address) if suppressions.of_domain(address) else 0
            if whom.dry_run:
                session.rollback()
    will = "would get" if whom.dry_run else "gets"
    who = f"nobody at {address[1:]} {will} letters any more" if suppressions.of_domain(address) else ""
    options.say((who or f"{address} {will} no letters any more") if done else f"{address} was suppressed already")
    if theirs:
        options.say(f"subscribers there: {theirs:,}; digest subscriber list --where domain={address[1:]}")


@for_many
def unsuppress(
    context: typer.Context,
    email: EmailOrDomain = None,
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="All that mail servers had suppressed from then on.")
    ] = "",
    until: Annotated[str, typer.Option("--until", metavar="WHEN", help="And before then; of a day, to its end.")] = "",
    status: Status = "",
    domain: Domain = "",
    reason: Annotated[
        str, typer.Option("--reason", metavar="WORDS", help="Those of this reason instead, as the list shows it.")
    ] = "",
    json: Json = False,
    *,
    whom: Whom,
) -> None:
    """Let an address, or a domain, get letters again. An erased person can then be added.

    With --since it undoes what a bad day of a mail server did to many; whom a person suppressed, or who complained,
    stays so, unless --reason names it. `digest edition resend` then owes them what they missed.

    Example: digest subscriber unsuppress --since 2026-11-23T07:00 --status 5.1.1 --dry-run
    """
    from digest.errors import UserError
    from digest.subscribe import many

    options: Options = context.obj
    narrow = until or status or domain or reason
    if whom.many:
        if email or since or narrow or json:
            raise UserError("say whom", hint="--where and --file stand alone, with --dry-run and --yes")
        with options.open() as (config, database):
            whom = whom.of_any(config)
            do(options, database, whom, partial(many.unsuppress, evidence=evidence()), "let be written to again")
        return
    if bool(email) == bool(since) or (email and (narrow or json)):
        raise UserError("say whom", hint="an address, --where, --file, or --since with what else narrows it")
    if email:
        _unsuppress(options, email, dry_run=whom.dry_run)
        return
    span = {"since": moment(since), "until": moment(until, end=True) if until else None}
    which = {"reason": reason, "status": reply_status(status, enhanced=True), "domain": domain}
    _unsuppress_since(options, {key: value for key, value in (span | which).items() if value}, whom.dry_run, json)


def _unsuppress_since(options: Options, which: dict[str, Any], dry_run: bool, json: bool) -> None:
    """Lift what was suppressed within a span of time, and say which editions these addresses missed."""
    from digest import subscribe
    from digest.store import suppressions

    with options.open() as (_config, database), database.write() as session:
        lifted = subscribe.unsuppress_all(session, **which, evidence=evidence())
        missed = suppressions.missed_editions(session, [one.key for one in lifted])
        if dry_run:
            session.rollback()
    rows = [(one.key, one.reason, one.status, one.suppressed_at) for one in lifted]
    columns = ("email", "reason", "status", "suppressed_at")
    if json:
        editions = [dict(zip(("newsletter", "number", "letters"), one, strict=True)) for one in missed]
        addresses = [dict(zip(columns, row, strict=True)) for row in rows]
        print_json({"dry_run": dry_run, "lifted": len(lifted), "addresses": addresses, "missed": editions})
    else:
        print_rows(columns, rows)
    many = "1 address" if len(lifted) == 1 else f"{len(lifted):,} addresses"
    options.say(f"{many} {'would' if dry_run else 'may'} get letters again")
    for paper, number, letters in missed:
        options.say(
            f"  {letters:,} missed {paper} No. {number}: digest edition resend {number} -n {paper} --only refused"
        )


def _unsuppress(options: Options, email: str, *, dry_run: bool) -> None:
    from digest import subscribe

    with options.open() as (config, database), database.write() as session:
        done = subscribe.unsuppress(session, email, secret=config.lasting_key, evidence=evidence())
        if dry_run:
            session.rollback()
    options.say(f"{email} {'would' if dry_run else 'may'} get letters again" if done else f"nothing barred {email}")
