"""`digest story …`: what newsletters are made of, and the editor's hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from digest import writers
from digest.cli import pictures
from digest.cli.common import Options, print_facts, print_json, print_rows
from digest.cli.options import Json, Limit, NewsletterName, WhichStory

if TYPE_CHECKING:
    from sqlmodel import Session

    from digest.config import Config
    from digest.store import Database
    from digest.store.story_tables import Story

app = typer.Typer(no_args_is_help=True, help="Stories: list, look at, pin, drop, move, arrange and edit them.")


@app.command("list")
def list_stories(
    context: typer.Context,
    newsletter: NewsletterName = None,
    topic: Annotated[str, typer.Option("--topic", "-t", metavar="SLUG", help="Only these.")] = "",
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits for the next edition.")] = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List stories, the newest first.

    Example: digest story list --waiting --topic databases
    """
    from digest.store import newsletters, why

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        name, _ = config.newsletter(newsletter)
        paper = newsletters.find(session, name)
        found = why.lines(session, paper.id or 0, topic=topic, waiting=waiting, limit=limit)
    columns = ("id", "topic", "title", "source", "sources", "rank", "published_at", "state")
    rows = [(s.id, s.topic, s.title, s.source, s.sources, s.rank, s.published_at, s.state) for s in found]
    print_rows(columns, rows, as_json=as_json)


@app.command()
def show(context: typer.Context, story: WhichStory, newsletter: NewsletterName = None, as_json: Json = False) -> None:
    """Show one story as readers get it.

    Example: digest story show 231
    """
    from digest import edition

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        name, _ = config.newsletter(newsletter)
        found = edition.find(session, name, story)
        why = edition.explain(session, found)
        offered = [{"url": one.url, "words": one.words, "shown": one.shown} for one in edition.choices(session, found)]
    facts = {
        "id": found.id,
        "topic": found.topic,
        "title": found.title,
        "url": found.url,
        "source": found.source,
        "author": writers.named(found.author, found.source, found.url),
        "excerpt": found.excerpt,
        "image_url": found.image_url,
        "picture": why["picture"],
        "pictures": offered if as_json else "; ".join(f"{one['url']} ({one['words']})" for one in offered),
        "reading_minutes": found.reading_minutes,
        "language": found.language,
        "published_at": found.published_at,
        "rank": found.rank,
        "pinned": found.pinned,
        "dropped": found.dropped,
        "also": sorted({t["feed"] for t in why["told_by"]} - {found.source}),
        "editions": why["editions"],
    }
    print_facts(facts, as_json=as_json)


@app.command()
def pin(
    context: typer.Context,
    story: WhichStory,
    newsletter: NewsletterName = None,
    off: Annotated[bool, typer.Option("--off", help="Let it stand where its rank puts it again.")] = False,
    as_json: Json = False,
) -> None:
    """Put a story before all others in the next edition.

    An edition that is held with it is made anew, and none that went out.

    Example: digest story pin 231
    """
    from digest import edition

    pinned = partial(edition.pin, story_id=story, pinned=not off)
    _edit(context.obj, newsletter, story, pinned, "no longer pinned" if off else "pinned", as_json=as_json)


@app.command()
def drop(
    context: typer.Context,
    story: WhichStory,
    newsletter: NewsletterName = None,
    off: Annotated[bool, typer.Option("--off", help="Take it back.")] = False,
    as_json: Json = False,
) -> None:
    """Leave a story out of every edition to come.

    An edition that is held with it is made anew, and none that went out.

    Example: digest story drop 231
    """
    from digest import edition

    dropped = partial(edition.drop, story_id=story, dropped=not off)
    _edit(context.obj, newsletter, story, dropped, "taken back" if off else "dropped", as_json=as_json)


@app.command()
def move(
    context: typer.Context,
    story: WhichStory,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="A topic's slug, or other.")],
    newsletter: NewsletterName = None,
    as_json: Json = False,
) -> None:
    """Put a story under another topic; what is moved teaches.

    An edition that is held with it is made anew, and none that went out.

    Example: digest story move 231 databases
    """
    from digest import curate, edition

    options: Options = context.obj
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        moved = partial(edition.move, name=name, story_id=story, topic=topic, topics=curate.headings(settings.topics))
        _follow(options, database, config, name, story, moved, f"now under {topic}", as_json=as_json)


@app.command()
def arrange(
    context: typer.Context,
    stories: Annotated[list[int], typer.Argument(metavar="STORY…", help="Numbers of `digest story list`, in order.")],
    newsletter: NewsletterName = None,
    as_json: Json = False,
) -> None:
    """Let these stories stand first in the next edition, in this order. `digest story pin --off` ends it for one.

    An edition that is held with it is made anew, and none that went out.

    Example: digest story arrange 231 228 240
    """
    from digest import edition

    options: Options = context.obj
    with options.open() as (config, database):
        name, _ = config.newsletter(newsletter)

        def arranged(session: Session) -> list[dict[str, object]]:
            found = edition.arrange(session, name, stories)
            return [{field: getattr(one, field) for field in ("id", "title", "topic", "pinned")} for one in found]

        found, held = edition.follow(database, name, config, stories, arranged)
    if as_json:
        print_json(found)
    else:
        options.say("first now: " + "; ".join(str(one["title"]) for one in found) + _and_held(held))


@app.command()
def edit(
    context: typer.Context,
    story: WhichStory,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help='"" gives back its own.')] = None,
    excerpt: Annotated[str | None, typer.Option("--excerpt", metavar="TEXT", help='"" gives back its own.')] = None,
    picture: Annotated[
        str | None,
        typer.Option(
            "--picture",
            metavar="URL|none|auto",
            help="Another picture, of `digest story show` or elsewhere; none; or its own.",
        ),
    ] = None,
    earlier: Annotated[
        str | None,
        typer.Option("--earlier", metavar="STORY", help='The one it continues, or none; "" for what is found.'),
    ] = None,
    newsletter: NewsletterName = None,
    as_json: Json = False,
) -> None:
    """Give a story another title, excerpt, picture or earlier story. What its source says later does not undo it.

    An edition that is held with it is made anew, and none that went out.
    A picture is asked for now, judged as a run does, and shown as a copy of ours.

    Example: digest story edit 231 --title "Ferries stop at noon"
    Example: digest story edit 231 --picture none
    """
    from digest import edition
    from digest.errors import UserError

    options: Options = context.obj
    if title is None and excerpt is None and picture is None and earlier is None:
        raise UserError("nothing to change", hint="--title, --excerpt, --picture or --earlier say what")
    follows = _earlier(earlier)
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        had = pictures.asked(config, database, name, story, picture) if picture else None
        wanted = edition.Rewording(title, excerpt, had, follows)
        reworded = partial(edition.reword, name=name, story_id=story, wanted=wanted)
        _follow(options, database, config, name, story, reworded, "edited", as_json=as_json)
        if had not in (None, "none") and settings.images == "none":
            options.warn(f'{name} shows no pictures: images = "none" in its settings')


def _earlier(words: str | None) -> int | None:
    """As `edition.Rewording` has it."""
    from digest.errors import UserError

    if words is None or words.strip().lower() in ("", "none"):
        return None if words is None else 0 if words.strip() else -1
    if not (words.isascii() and words.isdigit() and 0 < int(words) < 1 << 62):
        raise UserError(f"{words!r} is no story", hint="a number of `digest story list`, or none")
    return int(words)


def _edit(
    options: Options, newsletter: str | None, story: int, do: Callable[..., Story], done: str, *, as_json: bool
) -> None:
    """Do it to a story of a newsletter, and say so."""
    with options.open() as (config, database):
        name, _ = config.newsletter(newsletter)
        _follow(options, database, config, name, story, partial(do, name=name), done, as_json=as_json)


def _follow(
    options: Options,
    database: Database,
    config: Config,
    name: str,
    story: int,
    do: Callable[..., Story],
    done: str,
    *,
    as_json: bool,
) -> None:
    """Do it to a story and to editions that are held with it; what was done, in words or as the story now stands."""
    from digest import edition

    def stands(session: Session) -> dict[str, object]:
        found = do(session)
        return {field: getattr(found, field) for field in ("id", "title", "topic", "pinned", "dropped")}

    now, held = edition.follow(database, name, config, [story], stands)
    if as_json:
        print_json(now)
    else:
        options.say(f"{done}: {now['title']}{_and_held(held)}")


def _and_held(numbers: list[int]) -> str:
    """Of which editions that are held the same is true now, as the end of a line."""
    return f" (also in No. {', '.join(map(str, numbers))}, which is held)" if numbers else ""
