"""`digest topic …`: the headings, and what would be put under them."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.common import Options, print_facts, print_rows
from digest.cli.options import Json, NewsletterName
from digest.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="Topics: the headings, and how entries get there.")


@app.command("list")
def list_topics(context: typer.Context, newsletter: NewsletterName = None, as_json: Json = False) -> None:
    """List the topics in the order of the mail. Each with what is known of it.

    A topic with 20 labelled entries is judged by all its words, with fewer by its keywords only.

    Example: digest topic list
    """
    from digest import curate, edition
    from digest.store import entries, newsletters, stories

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        name, settings = config.newsletter(newsletter)
        paper = newsletters.find(session, name)
        assert paper.id is not None
        labels = entries.label_counts(session, paper.id)
        counts = stories.topic_counts(session, paper.id)
        placer = edition.Judge(session, paper.id, settings, config.curate).placer
        headings = curate.headings(settings.topics)
    columns = ("topic", "title", "keywords", "labelled", "judged_by", "stories")
    rows = [
        (
            slug,
            heading.title,
            len(heading.keywords),
            labels.get(slug, 0),
            "words" if slug in placer.trained else "keywords",
            counts.get(slug, 0),
        )
        for slug, heading in headings.items()
    ]
    rows.append((curate.OTHER, "", 0, labels.get(curate.OTHER, 0), "", counts.get(curate.OTHER, 0)))
    print_rows(columns, rows, as_json=as_json)


@app.command()
def show(
    context: typer.Context,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Its slug.")],
    newsletter: NewsletterName = None,
    as_json: Json = False,
) -> None:
    """Show one topic, and the keywords and rules that lead to it.

    Example: digest topic show databases
    """
    from digest import curate

    options: Options = context.obj
    name, settings = options.load().newsletter(newsletter)
    headings = curate.headings(settings.topics)
    if topic not in headings:
        raise NotFound(f"{topic!r} is no topic of {name}", hint="one of " + ", ".join(headings))
    own = settings.topics.get(topic)
    facts = {
        "topic": topic,
        "title": headings[topic].title,
        "keywords": headings[topic].keywords,
        "categories": own.categories if own else (),
        "rules": [number for number, rule in enumerate(settings.rules, 1) if rule.topic == topic],
    }
    print_facts(facts, as_json=as_json)


@app.command("test")
def test_(
    context: typer.Context,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="As it would stand in a feed.")],
    excerpt: Annotated[str, typer.Option("--excerpt", metavar="TEXT", help="What it would say.")] = "",
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Where it would lead.")] = "",
    newsletter: NewsletterName = None,
    as_json: Json = False,
) -> None:
    """Show where a title would go, and which of its words count.

    Example: digest topic test "Postgres 19 learns to vacuum in parallel"
    """
    from digest import edition
    from digest.store import newsletters

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        name, settings = config.newsletter(newsletter)
        paper = newsletters.find(session, name)
        found = edition.Judge(session, paper.id or 0, settings, config.curate).place(title, excerpt, url)
    words = {word: round(weight, 2) for word, weight in found.words}
    facts = {
        "topic": found.topic,
        "step": found.step,
        "why": found.why,
        "best": found.best,
        "score": round(found.score, 2),
        "words": words if as_json else ", ".join(f"{word} {weight:+.2f}" for word, weight in words.items()),
    }
    print_facts(facts, as_json=as_json)
