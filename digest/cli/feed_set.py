"""`digest feed set`: how one feed is asked and read, and secrets that are asked for."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli import feed_reading
from digest.cli.common import Options, now, print_facts
from digest.cli.feed_selects import selections, set_selections
from digest.cli.options import (
    DryRun,
    Json,
    NewsletterName,
    Select,
    SelectAuthor,
    SelectDate,
    SelectId,
    SelectImage,
    SelectLink,
    SelectTags,
    SelectText,
    SelectTitle,
    WhichFeed,
)

if TYPE_CHECKING:
    from sqlmodel import Session

    from digest.models import Feed
    from digest.store import Database

SecretHeader = Annotated[
    list[str] | None, typer.Option("--header", metavar="NAME", help="Ask for the value of a header to send.")
]
Without = Annotated[
    list[str] | None, typer.Option("--without", metavar="NAME", help="Send this header no more, e.g. Cookie.")
]
Keep = Annotated[
    list[str] | None,
    typer.Option("--keep", metavar="RULE", help='Take only what fits; again for more, "" for all.'),
]
Drop = Annotated[
    list[str] | None,
    typer.Option("--drop", metavar="RULE", help='Leave out what fits; again for more, "" for none.'),
]
Identity = Annotated[
    str | None,
    typer.Option("--identity", metavar="MARKS", help="What tells its entries apart: AUTO, guid, link, link+title …"),
]
Settle = Annotated[
    str | None,
    typer.Option("--settle", metavar="MINUTES", help="How long an entry must be left alone; 0 is not at all; or AUTO."),
]


def register(feeds: typer.Typer) -> None:
    """Stand among the commands of `digest feed`."""
    feeds.command("set")(set_)


def set_(
    context: typer.Context,
    feed: WhichFeed,
    header: SecretHeader = None,
    cookie: Annotated[bool, typer.Option("--cookie", help="Ask for the value of a cookie, name=value.")] = False,
    auth: Annotated[bool, typer.Option("--auth", help="Ask for a user and password (HTTP Basic).")] = False,
    user_agent: Annotated[str | None, typer.Option("--user-agent", help="Call ourselves so.")] = None,
    without: Without = None,
    proxy: Annotated[
        str | None, typer.Option("--proxy", help='Ask through it; "login" asks for an address, "none": without.')
    ] = None,
    ca_file: Annotated[str | None, typer.Option("--ca-file", help="Trust these certificates (PEM) for it.")] = None,
    interval: Annotated[
        int | None, typer.Option("--interval", min=0, max=10_080, help="Minutes between two requests; 0: as usual.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help='Call it so; "" as its publisher does.')] = None,
    topic: Annotated[
        str | None, typer.Option("--topic", "-t", help='Put all its entries under this topic; "" under none.')
    ] = None,
    newsletter: NewsletterName = None,
    weight: Annotated[
        str | None, typer.Option("--weight", metavar="NUMBER", help="Added to its stories' rank, -10 to 10; or AUTO.")
    ] = None,
    full_text: Annotated[
        bool | None, typer.Option("--full-text/--no-full-text", help="Read the pages of entries that are stubs.")
    ] = None,
    keep: Keep = None,
    drop: Drop = None,
    identity: Identity = None,
    settle: Settle = None,
    select: Select = None,
    select_title: SelectTitle = None,
    select_link: SelectLink = None,
    select_date: SelectDate = None,
    select_text: SelectText = None,
    select_author: SelectAuthor = None,
    select_image: SelectImage = None,
    select_tags: SelectTags = None,
    select_id: SelectId = None,
    any_sender: Annotated[
        bool, typer.Option("--any-sender", help="Of a feed by mail: forget who writes it; the next one does.")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Change how one feed is asked and read; without an option, show it.

    What is not named stays as it is. AUTO or "" goes back to the settings, and so does --interval 0. The --keep or
    --drop given now take the place of all before.

    Secrets are asked for, or read from stdin a line each in the order of the options here.

    Example: digest feed set 12 --cookie --interval 60
    Example: digest feed set 12 --drop 'title=sponsored*' --weight 0.5 --dry-run
    """
    from digest.store import feeds

    options: Options = context.obj
    asked = bool(header or cookie or auth or without)  # for the others "" and 0 are values
    asked |= any(value is not None for value in (user_agent, proxy, ca_file, interval))
    wish = feed_reading.Wish(title, topic, weight, full_text, keep, drop, identity, settle)
    selects = selections(
        select,
        select_title,
        select_link,
        select_date,
        select_text,
        author=select_author,
        image=select_image,
        tags=select_tags,
        id_=select_id,
    )
    with options.open() as (config, database):
        if not asked and not wish and not selects and not any_sender:
            _print(database, feed, as_json=as_json)
            return
        # A slip in any option changes nothing: all are judged and all secrets asked for, and then there is one change.
        with database.read() as session:
            feeds.find(session, feed)
        change = feed_reading.judged(wish, config, newsletter) if wish else None
        headers, without = _headers(header or [], cookie, auth, user_agent, without or [])
        manner = _manner(headers, without, proxy, ca_file, interval) if asked else {}
        with database.rehearse() if dry_run else nullcontext(database) as into, into.write() as session:
            done = _changed(session, feeds.find(session, feed), selects, manner, any_sender, change)
    for words in done:
        options.say(f"would say: {words}" if dry_run else words)


def _changed(
    session: Session,
    feed: Feed,
    selects: dict[str, str],
    manner: dict[str, Any],
    any_sender: bool,
    change: feed_reading.Change | None,
) -> list[str]:
    """Change a feed by all that was said of it; what was done, in words."""
    from digest import collect

    done = []
    if selects:
        done.append(set_selections(session, feed, selects))
    if manner:
        collect.ask_so(session, feed, now=now(), **manner)
        done.append(f"feed {feed.id}, {feed.title or feed.url}, is asked so at the next run")
    if any_sender:
        done.append(feed_reading.any_sender(session, feed))
    return [*done, *(feed_reading.apply(session, feed, change) if change else ())]


def _print(database: Database, feed: str, *, as_json: bool) -> None:
    from digest.store import feeds

    with database.read() as session:
        found = feeds.find(session, feed)
        readers = next(r for f, r in feeds.listed(session) if f.id == found.id)
        print_facts({"id": found.id, "url": found.url} | feed_reading.set_facts(found, readers), as_json=as_json)


def _headers(
    named: list[str], cookie: bool, auth: bool, user_agent: str | None, without: list[str]
) -> tuple[dict[str, str], list[str]]:
    """The headers to send from now on, those that are secret asked for; and the names of those sent no more."""
    headers: dict[str, str] = {}
    for name in named:
        headers |= secrets(False, name)
    if cookie:
        headers |= secrets(False, "Cookie")
    headers |= secrets(auth, None)
    if user_agent:
        headers["User-Agent"] = _line(user_agent)
    return headers, [*without, "User-Agent"] if user_agent == "" else without


def _manner(
    headers: dict[str, str], without: list[str], proxy: str | None, ca_file: str | None, interval: int | None
) -> dict[str, Any]:
    """How a feed is to be asked, as `collect.ask_so` takes it. Raises BadInput for a slip."""
    from digest.config.value_types import asked_through
    from digest.errors import BadInput

    if proxy == "login":
        proxy = secret("address of the proxy")
    elif "@" in (proxy or ""):
        raise BadInput("a password does not belong on the command line", hint="--proxy login asks for the address")
    return {
        "headers": headers,
        "without": without,
        "proxy": None if proxy is None else asked_through(proxy),
        "ca_file": None if ca_file is None else _certificates(ca_file),
        "interval_minutes": interval,
    }


def _line(value: str) -> str:
    from digest.errors import BadInput

    if not (value.isascii() and value.isprintable()) or value != value.strip():
        raise BadInput("that User-Agent is no line of plain ASCII", hint='e.g. "MyReader/1.0 (news@example.org)"')
    return value


def _certificates(path: str) -> str:
    """The full path of a file of certificates, which can be read; "" for none."""
    import ssl

    from digest.errors import BadInput

    if not path:
        return ""
    full = Path(path).expanduser().resolve()
    try:
        ssl.create_default_context(cafile=str(full))
    except (OSError, ValueError) as error:
        said = "no certificate in PEM is in it" if isinstance(error, ssl.SSLError) else getattr(error, "strerror", "")
        raise BadInput(f"cannot use {full}: {str(said or error).lower()}") from None
    return str(full)


def secrets(login: bool, header: str | None) -> dict[str, str]:
    """The headers that a login and a named header make; their values are typed, or come on stdin a line each."""
    from base64 import b64encode

    headers = {}
    if login:
        user, password = secret("user", hidden=False), secret("password")
        headers["Authorization"] = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
    if header is not None:
        headers[header] = _value_of(header)
    return headers


def _value_of(header: str) -> str:
    """What a named header says, which is asked for. Raises BadInput for one that cannot be sent."""
    from digest.config.value_types import checked_header
    from digest.errors import BadInput

    try:
        checked_header(header)
        value = secret(f"value of {header}").strip()  # what is around it is not of it (RFC 9110 §5.5)
        checked_header(header, value)
    except ValueError as error:
        raise BadInput(f"the feed {error}", hint="e.g. X-Api-Key; its value is asked for") from None
    return value


def secret(what: str, *, hidden: bool = True) -> str:
    """Something that no process list shows: typed, or the next line on stdin."""
    import getpass

    from digest.errors import BadInput

    if sys.stdin.isatty():
        value = getpass.getpass(f"{what}: ") if hidden else typer.prompt(what, err=True)
    else:
        value = sys.stdin.readline().rstrip("\r\n")
    if not value or not value.isprintable():
        raise BadInput(f"no {what} was given", hint="type it, or give it on stdin, one line each")
    return str(value)
