"""`digest topic …`: the headings, and what would be put under them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from digest.cli import terminal
from digest.cli.common import Options, now, print_facts, print_json, print_rows, uses_words, while_read
from digest.cli.options import DryRun, Json, NewsletterName, OldName
from digest.errors import NotFound, UserError

app = typer.Typer(no_args_is_help=True, help="Topics: the headings, and how entries get there.")


@app.command("list")
def list_topics(context: typer.Context, newsletter: NewsletterName = None, as_json: Json = False) -> None:
    """List the topics in the order of the mail. Each with what is known of it.

    A topic with 20 labelled entries is judged by all its words beside its keywords, with fewer by its keywords only.
    `precision` is the share of what is put under it that belongs there and `share` the share of what belongs there
    that is put there, both measured on labelled entries that were not learnt from; `cut` is how sure words must be.
    With `scorer = "semantic"` what entries mean is judged beside their words, by keywords and all labels there are.

    Example: digest topic list
    """
    from digest import curate, edition, meanings
    from digest.store import entries, newsletters, stories

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        name, settings = config.newsletter(newsletter)
        paper = newsletters.find(session, name)
        assert paper.id is not None
        labels = entries.label_counts(session, paper.id)
        counts = stories.topic_counts(session, paper.id)
        placer = edition.Judge(session, paper.id, settings, config.curate, meanings=meanings.reader(config)).placer
        headings = curate.headings(settings.topics)
    how = "words, meaning" if config.curate.semantic else "words"
    columns = ("topic", "title", "keywords", "labelled", "judged_by", "cut", "precision", "share", "stories")
    rows = [
        (
            slug,
            heading.title,
            len(heading.keywords),
            labels.get(slug, 0),
            how if slug in placer.trained else "keywords",
            round(placer.cut, 2) if slug in placer.trained else None,
            _rounded(expected.precision) if (expected := placer.expected.get(slug)) else None,
            _rounded(expected.share) if expected else None,
            counts.get(slug, 0),
        )
        for slug, heading in headings.items()
    ]
    rows.append((curate.OTHER, "", 0, labels.get(curate.OTHER, 0), "", None, None, None, counts.get(curate.OTHER, 0)))
    print_rows(columns, rows, as_json=as_json)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 2)


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
    from digest import edition, meanings
    from digest.store import newsletters

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        name, settings = config.newsletter(newsletter)
        paper = newsletters.find(session, name)
        judge = edition.Judge(session, paper.id or 0, settings, config.curate, meanings=meanings.reader(config))
        found = judge.place(title, excerpt, url)
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


@app.command()
def suggest(context: typer.Context, newsletter: NewsletterName = None, as_json: Json = False) -> None:
    """Propose headings by what the newsletter's own feeds bring. Tables with keywords, to be put into the settings.

    Up to 20,000 entries that are stored are read, the newest: words of titles and categories that keep company make a
    heading. Each is shown with five of the stories that it would get. Nothing is changed; it is a first draft: look at
    it, name the headings, take words away. The same entries give the same headings, in any language.

    Example: digest topic suggest > headings.toml
    """
    from digest import curate
    from digest.curate import fields
    from digest.curate import suggest as suggesting
    from digest.store import newsletters, samples

    options: Options = context.obj
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        with database.read() as session:
            paper = newsletters.find(session, name)
            found = samples.openings(session, paper.id or 0, limit=suggesting.MOST)
            read = [suggesting.Sample(one.feed_id, one.title, one.categories, one.opening) for one in found]
    taken = (*settings.topics, *curate.headings({}))
    with options.progress("reading") as told:
        proposed = suggesting.suggest(read, taken=taken, told=told)
    if as_json:
        print_json(asdict(proposed))
        return
    if proposed.why:
        options.say(f"no heading to propose for {name}: {proposed.why}")
        options.say("`digest init --field` has some to begin with, and `digest collect` brings more entries")
        return
    under = "topics" if name in config.files else f"newsletters.{name}.topics"
    with while_read():
        for one in proposed.headings:
            notes = [f"{one.entries:,} of {proposed.entries:,} entries, as", *(f"  {title}" for title in one.examples)]
            print(fields.as_table(under, one.slug, one.title, one.keywords, notes=map(terminal.inert, notes)))
    options.say(f"{proposed.placed:,} of {proposed.entries:,} entries would have a heading")


@app.command()
def lint(context: typer.Context, newsletter: NewsletterName = None, as_json: Json = False) -> None:
    """Tell which keywords never match, match nearly all, or overlap.

    Each is told with the line of the settings that mends it. Stored entries are asked, the newest 20,000 at most. Exit
    code 1 where something wants mending; that none of the entries has a keyword is told and counts for nothing.

    Example: digest topic lint
    """
    from digest.cli.checks import Scene, toml_value
    from digest.curate import lint as linting
    from digest.curate.barren import Feeds
    from digest.curate.suggest import MOST, Sample
    from digest.store import looking, newsletters, samples

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        name, settings = config.newsletter(newsletter)
        paper = newsletters.find(session, name)
        about = Feeds(*looking.topics_of_feeds(session).get(name, ((), ())))
        found = samples.openings(session, paper.id or 0, limit=MOST)
        texts = (Sample(one.feed_id, one.title, one.categories, one.opening).text() for one in found)
        flaws, number = linting.lint(settings, about, texts)
        file, prefix = Scene(options.path, config, database, now()).file_of(name)
    rows = [
        {
            "kind": flaw.kind,
            "topic": flaw.topic,
            "name": flaw.what.name,
            "why": flaw.what.why,
            "share": flaw.share,
            "line": f"{flaw.what.key} = {toml_value(flaw.what.value)}" if flaw.what.value is not None else "",
            "table": ".".join(filter(None, (prefix, flaw.what.table))),
            "file": file,
        }
        for flaw in flaws
    ]
    faults = sum(flaw.fault for flaw in flaws)
    if as_json:
        print_json({"entries": number, "faults": faults, "found": rows})
    else:
        with while_read():
            for row in rows:
                print(f"{row['kind']:<8} {row['name']}: {row['why']}")
                if row["line"]:
                    print(f"         {row['line']}    # in [{row['table']}] of {row['file']}")
        options.say(
            f"{faults:,} to mend, by {number:,} entries" if faults else f"nothing to mend, by {number:,} entries"
        )
    if faults:
        raise typer.Exit(1)


@app.command()
def trends(
    context: typer.Context,
    newsletter: NewsletterName = None,
    weeks: Annotated[int, typer.Option("--weeks", min=2, max=520, help="How far back to look.")] = 8,
    as_json: Json = False,
) -> None:
    """Tell what rises and what falls. Words and names, topics, sources, each against its own past.

    The last quarter of the weeks is held against those before, by shares of all stories. What is told rarely counts
    for nothing, so that small numbers do not dance. Only what is kept counts (`entries_days` in [keep]): from when on
    that is, stands before it.

    Example: digest topic trends --weeks 8
    """
    from digest import curate
    from digest.cli.trends import in_words
    from digest.curate import trends as trending
    from digest.store import newsletters
    from digest.store import trends as kept

    options: Options = context.obj
    moment = now()
    with options.open() as (config, database), database.read() as session:
        name, settings = config.newsletter(newsletter)
        paper = newsletters.find(session, name)
        since = moment - timedelta(weeks=weeks)
        whole = kept.whole_since(session, entries_days=config.keep.entries_days, now=moment)
        rows = kept.told(session, paper.id or 0, since=max(since, whole or since), limit=trending.MOST)
        told = [
            trending.Told(row.decided_at, row.title, row.source, row.story_id, row.topic, row.url, row.rank)
            for row in rows
        ]
        titles = curate.titles(settings.topics, str)
    found = trending.trends(told, titles, now=moment, weeks=weeks)
    if as_json:
        print_json({"newsletter": name, "weeks": weeks} | asdict(found))
        return
    with while_read():
        for line in in_words(name, found, weeks):
            print(line)


@app.command()
def rename(
    context: typer.Context,
    old: OldName,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its slug now, as the settings have it.")],
    newsletter: NewsletterName = None,
    dry_run: DryRun = False,
) -> None:
    """Let all that was under a topic follow its new name in the settings. Readers, stories, feeds, links.

    Example: digest topic rename databases storage
    """
    _follow(context.obj, old, new, newsletter, merge=False, dry_run=dry_run)


@app.command()
def merge(
    context: typer.Context,
    old: OldName,
    into: Annotated[str, typer.Argument(metavar="INTO", help="The slug of the topic that takes it in.")],
    newsletter: NewsletterName = None,
    dry_run: DryRun = False,
) -> None:
    """Let all that was under a topic go to another that is there already. What was under both cannot be told apart.

    Example: digest topic merge search web
    """
    _follow(context.obj, old, into, newsletter, merge=True, dry_run=dry_run)


@app.command()
def drop(context: typer.Context, old: OldName, newsletter: NewsletterName = None, dry_run: DryRun = False) -> None:
    """Take a topic that has left the settings from all who chose it. Who chose nothing else gets all.

    Example: digest topic drop databases
    """
    _follow(context.obj, old, "", newsletter, merge=True, dry_run=dry_run)


def _follow(options: Options, old: str, new: str, newsletter: str | None, *, merge: bool, dry_run: bool) -> None:
    from digest import curate, subscribe
    from digest.store import newsletters, renames, signup

    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        known = curate.headings(settings.topics)
        if new and new not in known:
            raise NotFound(f"{new!r} is no topic of {name}", hint="one of " + ", ".join(known))
        if old in known:
            raise UserError(
                f"the settings of {name} still have the topic {old}", hint="change them first, this follows them"
            )
        with database.write() as session:
            signup.lock(session)
            paper = newsletters.lock(session, name)
            if not renames.uses(session, paper, old).anything:
                if new and renames.topic_called(session, name, old) == new:
                    options.say(f"{old} is {new} already: there is nothing to do")
                    return
                raise NotFound(f"nothing of {name} is under {old!r}, and nobody chose it", hint="digest topic list")
            there = renames.uses(session, paper, new)
            if not merge and (there.readers or there.stories):
                raise UserError(
                    f"{new} is in use already: {uses_words(there)}",
                    hint=f"digest topic merge {old} {new} -n {name}",
                )
            done = renames.rename_topic(session, paper, old, new, subscribe.Evidence("command line", now()))
            if dry_run:
                session.rollback()
    will = "would be" if dry_run else "is"
    options.say(f"{old} {will} {new or 'no more'} in {name}: {uses_words(done)}")
