"""`digest feed add`: a feed, a site, a place by its name, or a page by selectors; looked at before it is stored."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import Options, now, print_rows
from digest.cli.feed_reading import Change, apply, known_topic, need_full_text
from digest.cli.feed_selects import recipe_of, selections
from digest.cli.feed_set import secrets
from digest.cli.options import (
    DryRun,
    Header,
    Login,
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
)
from digest.origin import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digest.collect import Found, Wish
    from digest.config import Config
    from digest.parse import Candidate, Recipe
    from digest.store import Database

SHOWN = 5  # entries of a page, before it is stored


def register(feeds: typer.Typer) -> None:
    """Stand among the commands of `digest feed`."""
    feeds.command("add")(add)


def add(
    context: typer.Context,
    url: Annotated[
        str, typer.Argument(help="Address of a feed or a site; or @user@host, r/name, owner/repo …; or mail:NAME.")
    ],
    newsletter: NewsletterName = None,
    topic: Annotated[str, typer.Option("--topic", "-t", help="Put all its entries under this topic.")] = "",
    login: Login = False,
    header: Header = None,
    full_text: Annotated[bool, typer.Option("--full-text", help="Read the pages of entries that are stubs.")] = False,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Ask the address first; it must be a feed.")] = True,
    sitemap: Annotated[
        bool, typer.Option("--sitemap", help="Where there is no feed, look for a sitemap of news in robots.txt.")
    ] = False,
    select: Select = None,
    select_title: SelectTitle = None,
    select_link: SelectLink = None,
    select_date: SelectDate = None,
    select_text: SelectText = None,
    select_author: SelectAuthor = None,
    select_image: SelectImage = None,
    select_tags: SelectTags = None,
    select_id: SelectId = None,
    dry_run: DryRun = False,
) -> None:
    """Let a newsletter read a feed, or a page by what is selected in it. Adding it twice is safe.

    mail:NAME is a newsletter that comes by mail: the address to subscribe it with is printed.

    Secrets are asked for, or read from stdin a line each, so that no process list shows them.

    Example: digest feed add https://example.org/ --topic ai
    Example: digest feed add https://example.org/news --select article --select-title h2 --dry-run
    """
    from digest import collect
    from digest.collect import mailed
    from digest.store import feeds

    options: Options = context.obj
    recipe = recipe_of(
        selections(
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
    )
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        known_topic(topic, settings)
        if mailed.is_mail(url):
            with database.rehearse() if dry_run else nullcontext(database) as into:
                by_mail = mailed.add(into, config, url, newsletter=name, topic=topic, now=now())
            options.say(f"feed {by_mail.feed_id} is what comes to this address; subscribe to the newsletter with it:")
            print(mailed.address(config, by_mail.url, newsletter=name))
            return
        if full_text:
            need_full_text()
        headers = secrets(login, header)
        title = ""
        if check:
            wish = collect.Wish(recipe, sitemap)
            found, headers = _choose(url, config, headers, wish, database)
            if found.became:
                options.say(f"{shown(url)} is {found.became}: {found.url}")
            if recipe is not None:
                _preview(found, recipe, options)
            url, title = found.url, found.feed.title if found.feed else ""
        else:
            url = _unasked(url, recipe, options)
        with database.rehearse() if dry_run else nullcontext(database) as into, into.write() as session:
            added = collect.add(
                session, url, newsletter=name, now=now(), title=title, topic=topic, headers=headers, recipe=recipe
            )
            if full_text:
                apply(session, feeds.find(session, str(added.feed_id)), Change({"full_text": True}))
    done = "added" if added.created else "now read" if added.read else "asked again" if added.woken else "known already"
    options.say(
        f"would be {done}: {title or added.url}; nothing was stored"
        if dry_run
        else f"feed {added.feed_id}, {title or added.url}, is {done}"
    )


def _preview(found: Found, recipe: Recipe, options: Options) -> None:
    """Show what selectors find in a page. Raises BadInput where that is nothing."""
    from digest.errors import BadInput

    entries = found.feed.entries if found.feed else ()
    if not entries:
        raise BadInput(
            f"nothing is found in {shown(found.url)} where {recipe.item!r} looks for it",
            hint="a page that is made by a script in the browser has nothing in it",
        )
    count = len(entries)
    options.say(
        f"{count:,} {'entry is' if count == 1 else 'entries are'} found" + (", the first:" if count > 1 else ":")
    )
    rows = [[e.title, e.url, e.published_at] for e in entries[:SHOWN]]
    print_rows(["title", "link", "date"], rows)
    assert found.feed is not None
    lacking = [what for what in ("url", "published_at") if not any(getattr(e, what) for e in entries)]
    words = {"url": "a link", "published_at": "a date"}
    for what in [*(f"no entry has {words[name]}" for name in lacking), *found.feed.trouble]:
        options.say(f"  {what}")


def _unasked(words: str, recipe: Recipe | None, options: Options) -> str:
    """The address that a name stands for, where nobody need be asked. Raises BadInput."""
    from digest.collect import places
    from digest.errors import BadInput

    found = [] if recipe is not None else places.places(words)
    if len(found) > 1:
        raise _which(words, [(place.feeds[0], place.what) for place in found if place.feeds])
    if len(found) == 1 and found[0].sure:
        options.say(f"{shown(words)} is {found[0].what}: {found[0].feeds[0]}")
        return found[0].feeds[0]
    if found and "://" not in words:
        raise BadInput(f"{shown(words)} is {found[0].what}, whose feed must be asked for", hint="without --no-check")
    return words


def _which(words: str, choices: Sequence[tuple[str, str]]) -> Exception:
    from digest.errors import BadInput

    lines = "\n  ".join(f"digest feed add {shlex.quote(url)}{f'  # {what}' if what else ''}" for url, what in choices)
    return BadInput(f"{shown(words)} names {len(choices)} feeds; add one of them", hint=lines)


def _choose(
    url: str, config: Config, headers: dict[str, str], wish: Wish, database: Database | None
) -> tuple[Found, dict[str, str]]:
    """The feed at `url`, the operator's choice where a page names several, and its secrets.

    What was given for one origin is not given to another that its page names.
    """
    from digest.collect.addresses import address
    from digest.origin import same, without_login

    found = look_at(url, config, headers, hint="--no-check adds it anyway", wish=wish, database=database)
    given, login = without_login(address(url)) if address(url) else ("", {})
    headers = login | headers
    if found.feed is not None:
        return found, headers if same(found.url, given) else {}
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise _which(given or url, [(c.url, c.title) for c in found.choices])
    chosen = _ask(found.choices).url
    return _choose(chosen, config, headers if same(chosen, given) else {}, wish, database)


def _ask(choices: Sequence[Candidate]) -> Candidate:
    for place, choice in enumerate(choices, 1):
        typer.echo(f"  {place}  {choice.title or '(no title)'}  {choice.url}", err=True)
    number: int = typer.prompt("Which one", type=int, default=1, err=True)
    return choices[min(max(number, 1), len(choices)) - 1]


def look_at(
    url: str,
    config: Config,
    headers: dict[str, str],
    *,
    hint: str = "",
    wish: Wish | None = None,
    database: Database | None = None,
) -> Found:
    """What is at an address or a place. Raises BadInput, or Unavailable where nobody answers."""
    from digest import collect, event_loop
    from digest.collect.hosts import Held
    from digest.errors import BadInput, FetchError, Unavailable, Unreachable

    try:
        return event_loop.run(
            lambda: collect.look(
                url, config, clock=now, headers=headers, wish=wish or collect.Wish(), database=database
            )
        )
    except FetchError as error:
        hint = "--login asks for user and password" if error.status == 401 and hint else hint
        if hint and error.reason.endswith("no feed was found there"):
            hint = "--select 'article' reads the page itself, --sitemap looks for news in its sitemaps"
        if isinstance(error, Held):
            hint = "nothing is wrong with the address: try again later"
        kind = Unavailable if isinstance(error, Unreachable | Held) else BadInput
        raise kind(f"{shown(error.url)} {error.reason}", hint=hint) from None
