"""`digest mail …`: what came back, what followed from each mail, and taking it back; `digest bounce …`: the figures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import Options, count, moment, myself, now, print_facts, print_json, print_rows, while_read
from digest.cli.options import DryRun, Json, Limit
from digest.cli.progress import heard_words, stop_between_letters
from digest.errors import BadInput, Exit, NotFound, UserError

if TYPE_CHECKING:
    from digest.config import Config
    from digest.hear import Source
    from digest.store import Database
    from digest.store.mail_tables import MailReport

app = typer.Typer(no_args_is_help=True, help="Mail that came back: bounces, complaints, answers.")
bounces = typer.Typer(no_args_is_help=True, help="What bounced, and how often.")

Number = Annotated[int, typer.Argument(metavar="ID", help="Of the mail, as `digest mail list` shows it.")]
Numbers = Annotated[list[int] | None, typer.Argument(metavar="[ID]…", help="Mails, as `digest mail list` shows them.")]
Since = Annotated[str, typer.Option("--since", metavar="WHEN", help="Only what was read from then on.")]
FromSource = Annotated[str, typer.Option("--source", metavar="SOURCE", help="Only what was read there.")]
COLUMNS = ("id", "read_at", "kind", "address", "reason", "status", "proof", "act", "why", "undone")
RECEIVERS = (0.001, 0.003)  # complaints of what was delivered: where large receivers begin to mind, and to refuse


@app.command()
def read(
    context: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]…",
            help="A Maildir, an mbox, imaps://user@host/INBOX, or - for a mail on standard input; else [mail] source.",
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="ADDRESS", help="To whom it was delivered, where a pipe knows it."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only connect, log in and say what is there; nothing is changed.")
    ] = False,
    json: Json = False,
) -> None:
    """Read mail that came back, and let follow what follows. Each mail counts once, however often it is read.

    In an alias of a mail server: `bounces: "|digest -c FILE mail read -"`. Then it exits 0 where the mail is stored, 65
    where there is none, and 75 where the server is to try again later.

    Example: digest mail read ~/Maildir
    """
    from digest import hear, line

    options: Options = context.obj
    piped = sources == ["-"]
    with _for_a_mail_server() if piped else while_read(), options.open() as (config, database):
        places = sources or ([config.mail.source] if config.mail.source else [])
        if not places:
            raise UserError("no mailbox is named", hint="name one, or set source in [mail]")
        if "-" in places and not piped:
            raise UserError("standard input is read alone", hint="digest mail read -")
        found = []
        for place in places:
            if place == "-":
                source: Source = hear.stdin(sys.stdin.buffer, envelope_to=tuple(to or ()))
            else:
                source = line.mailbox(config, place)
            if check:
                _look(options, database, source)
            else:
                found.append(_read(options, config, database, source, quiet=piped))
    if json and not check:
        print_json([asdict(one) for one in found])


@contextmanager
def _for_a_mail_server() -> Iterator[None]:
    """What a mail server understands: what stops us for now is 75, else it would tell the sender that all failed."""
    try:
        yield
    except BadInput:
        raise
    except UserError as error:
        print(f"digest: {error}" + (f"\n  {error.hint}" if error.hint else ""), file=sys.stderr)
        raise typer.Exit(Exit.TEMPFAIL) from None
    except Exception as error:
        print(f"digest: this is a mistake of ours, and the mail stays with the mail server: {error!r}", file=sys.stderr)
        raise typer.Exit(Exit.TEMPFAIL) from None


def _look(options: Options, database: Database, source: Source) -> None:
    from digest.store import reports

    with closing(source):
        with database.read() as session:
            mark = reports.mark(session, source.name)
        options.say(f"{source.name}: {source.look(mark)}")


def _read(options: Options, config: Config, database: Database, source: Source, *, quiet: bool) -> Any:
    from digest import hear, line

    try:
        with options.progress("mail", elapsed=True) as bar, stop_between_letters(options) as stop:
            readings = hear.read(
                database,
                config,
                source,
                clock=now,
                progress=lambda done: bar(done.read, None, f"{done.changed} changed"),
                stop=stop,
                rooms=line.rooms(),
            )
    finally:
        source.close()
    if not quiet:
        options.say(f"{source.name}: {heard_words(readings)}")
    return readings


@app.command("list")
def list_(
    context: typer.Context,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="hard, soft, policy, complaint, reply, …; again for more."),
    ] = None,
    act: Annotated[
        list[str] | None,
        typer.Option("--act", metavar="ACT", help="suppress, pause, unproven, doubted, …; again for more."),
    ] = None,
    email: Annotated[
        str, typer.Option("--address", metavar="EMAIL", help="Only what is about, or from, an address.")
    ] = "",
    since: Since = "",
    source: FromSource = "",
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """List mails that came back, the newest first: what each was, what it proves, what followed and why.

    Example: digest mail list --act suppress --since 2026-11-23
    """
    from digest.store.reports import Which

    which = Which(tuple(kind or ()), tuple(act or ()), source, moment(since) if since else None, email)
    _list(context.obj, which, limit, json)


def _list(options: Options, which: Any, limit: int, json: bool) -> None:
    from digest.store import reports

    with options.open() as (_config, database), database.read() as session:
        rows = [_row(one) for one in reports.find(session, which, limit=limit)]
    print_rows(COLUMNS, rows, as_json=json)


def _row(one: MailReport) -> tuple[Any, ...]:
    return (
        one.id, one.read_at, one.kind, one.address, one.reason, one.status, one.proof, one.act, one.why, one.undone_at
    )  # fmt: skip


@app.command()
def show(
    context: typer.Context,
    report: Number,
    original: Annotated[bool, typer.Option("--original", help="The mail itself, as it came.")] = False,
    json: Json = False,
) -> None:
    """Show one mail: what was understood, what it proves, what followed, and the mail itself while it is kept.

    Example: digest mail show 12 --original
    """
    import zlib

    from digest.store import reports

    options: Options = context.obj
    with options.open() as (_config, database), database.read() as session:
        row = reports.get(session, report)
        if row is None:
            raise NotFound(f"there is no mail {report}", hint="digest mail list")
        told = [name for name in type(row).model_fields if name not in ("raw", "hash", "before")]
        facts = {name: getattr(row, name) for name in told} | {"kept": row.raw is not None}
        raw = zlib.decompress(row.raw) if row.raw else None
    if original:
        if raw is None:
            raise NotFound(f"the mail {report} is not kept any more", hint="[mail] keep_days says for how long it is")
        with while_read():
            print(raw.decode("utf-8", "replace"))
        return
    print_facts(facts, as_json=json)


@app.command()
def undo(
    context: typer.Context,
    ids: Numbers = None,
    since: Since = "",
    source: FromSource = "",
    dry_run: DryRun = False,
) -> None:
    """Take back what followed from mails: suppressions, pauses, choices, ended subscriptions. What changed since stays.

    Example: digest mail undo --since 2026-11-23T07:00 --dry-run
    """
    from digest import hear
    from digest.store import reports
    from digest.store.reports import Which

    if bool(ids) == bool(since or source):
        raise UserError("say which mails", hint="their numbers, or --since and --source")
    options: Options = context.obj
    with options.open() as (_config, database):
        with database.read() as session:
            if ids:
                rows = [row for one in ids if (row := reports.get(session, one)) is not None]
                if missing := sorted(set(ids) - {row.id for row in rows}):
                    raise NotFound(f"there is no mail {missing[0]}", hint="digest mail list")
            else:
                rows = reports.find(
                    session, Which(source=source, since=moment(since) if since else None, undoable=True)
                )
            todo = [row.id for row in rows if row.id is not None and row.before and row.undone_at is None]
        done = todo if dry_run else hear.undo(database, todo, how=f"undone by {myself()}", now=now())
    options.say(f"{count(len(done), 'mail')} {'would be' if dry_run else ''} taken back".replace("  ", " "))


@app.command()
def asks(context: typer.Context, limit: Limit = 20, json: Json = False) -> None:
    """List people who wrote, and who seems to want to leave. Nothing was done: `digest mail do` unsubscribes one.

    Newsletters that want a subscription to be confirmed are of kind `confirmation`, with their link: open it yourself.

    Example: digest mail asks
    """
    from digest.store import reports
    from digest.store.reports import Which

    options: Options = context.obj
    with options.open() as (_config, database), database.read() as session:
        rows = [
            (one.id, one.read_at, one.kind, one.sender, one.subject, one.why, one.text)
            for one in reports.find(session, Which(acts=("ask",), open=True), limit=limit)
        ]
    print_rows(("id", "read_at", "kind", "sender", "subject", "why", "text"), rows, as_json=json)


@app.command("do")
def do_(
    context: typer.Context,
    ids: Annotated[list[int], typer.Argument(metavar="ID…", help="Asks, mails that were doubted, or set aside.")],
    only_close: Annotated[bool, typer.Option("--close", help="Only take it off the list: it is answered.")] = False,
) -> None:
    """Do what a mail asks for, at your word: unsubscribe who wrote, or believe a bounce that was doubted.

    Of a mail to a feed that was set aside, its sender is accepted, and the mail becomes an entry while it is kept.

    Example: digest mail do 12
    """
    options: Options = context.obj
    with options.open() as (config, database):
        for report in ids:
            done = "" if only_close else _accept(database, config, report)
            options.say(done or _do(database, report, close=only_close))


def _accept(database: Database, config: Config, report: int) -> str:
    """Accept the sender of a mail that was set aside; "" where it was not."""
    from digest import hear, line

    accepted = hear.accept(database, config, report, line.rooms(), now=now())
    if accepted is None:
        return ""
    sender, done = accepted
    if not sender:
        raise NotFound(f"the mail {report} is not kept any more", hint="the next one of its sender can be accepted")
    return f"{report}: {sender} is accepted; it is {done.why if done else 'not kept any more'}"


def _do(database: Database, report: int, *, close: bool) -> str:
    from digest import hear, subscribe
    from digest.store import people, reports

    said = subscribe.Evidence(f"mail {report}, done by {myself()}", now())
    with database.write() as session:
        row = reports.get(session, report)
        if row is not None and row.kind == "confirmation" and not close:
            raise UserError(f"mail {report}: {row.why}", hint=f"open it yourself; digest mail do {report} --close")
        if row is None or row.act not in ("ask", "doubted", "aside"):
            raise NotFound(f"the mail {report} asks for nothing", hint="digest mail asks")
        if close:
            reports.finish(session, report, done_at=said.at)
            return f"{report}: closed"
        if row.act == "doubted":
            return (
                f"{report}: {row.address} is suppressed"
                if hear.believe(session, report, how=said.how, now=said.at)
                else f"{report}: nothing to do"
            )
        person = people.find(session, row.address) if row.address else None
        if person is None:
            raise NotFound(f"{row.address or 'who wrote'} is not a subscriber", hint=f"digest mail do {report} --close")
        ended = subscribe.leave_all(session, person, evidence=said)
        reports.finish(session, report, done_at=said.at)
        return f"{report}: {person.email} is unsubscribed from {count(ended, 'newsletter', 'newsletters')}"


# ---------------------------------------------------------------- figures


@bounces.command("list")
def list_bounces(
    context: typer.Context,
    by: Annotated[str, typer.Option("--by", metavar="edition|relay|domain", help="Figures instead of mails.")] = "",
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Of how many days.")] = 30,
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """List bounces and complaints that prove a letter of ours, or their figures by edition, relay or domain of readers.

    Example: digest bounce list --by domain
    """
    from digest.store import reports
    from digest.store.reports import Which

    options: Options = context.obj
    since = now() - timedelta(days=days)
    if not by:
        kinds = ("hard", "soft", "delayed", "policy", "complaint")
        _list(options, Which(kinds, since=since, proven=True), limit, json)
        return
    if by not in ("edition", "relay", "domain"):
        raise UserError(f"{by!r} is nothing to count by", hint="--by edition, --by relay, or --by domain")
    with options.open() as (_config, database), database.read() as session:
        found = reports.figures(session, by=by, since=since)[:limit]
    columns = (by, "delivered", "refused", "hard", "soft", "policy", "complained", "left", "complaint_rate")
    rows = [(*asdict(one).values(), round(one.complaint_rate, 5)) for one in found]
    print_rows(columns, rows, as_json=json)
    for one in found:
        if words := rate_words(one.complained, one.delivered):
            options.say(f"{one.name}: {words}")


@bounces.command("show")
def show_bounce(context: typer.Context, report: Number, json: Json = False) -> None:
    """Show one bounce or complaint; the same as `digest mail show`.

    Example: digest bounce show 12
    """
    show(context, report, original=False, json=json)


def rate_words(complained: int, delivered: int) -> str:
    """What large receivers think of so many complaints, or "". Of few letters a rate says nothing."""
    if complained < 2 or not delivered:
        return ""
    rate = complained / delivered
    if rate < RECEIVERS[0]:
        return ""
    minds = "refuse letters" if rate >= RECEIVERS[1] else "begin to mind"
    bound = RECEIVERS[rate >= RECEIVERS[1]]
    return f"{rate:.2%} of what was delivered is complained of; large receivers {minds} from {bound:.1%} on"


def tell_heard(options: Options, acts: dict[str, int], asks: int, complained: int, delivered: int) -> None:
    """One line of `digest status`, where there is something to tell."""
    if acts or asks:
        shown = [f"{number:,} {act}" for act, number in sorted(acts.items()) if act not in ("none", "ask")]
        waits = f"; {count(asks, 'person', 'people')} wrote: `digest mail asks`" if asks else ""
        options.say(
            f"mail in 30 days: {sum(acts.values()):,} read" + (f", {', '.join(shown)}" if shown else "") + waits
        )
    if words := rate_words(complained, delivered):
        options.warn(f"{words}; `digest bounce list --by domain` says where")
