"""`digest run`: the whole line, what cron calls; and `digest deliver`, its last step."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from digest.cli.common import Options, count, now, print_json, while_read
from digest.cli.names import lost, tell_lost
from digest.cli.options import All, DryRun, Force, Json, LogFile, LogFormat, Newsletters
from digest.cli.progress import heed_clock, stop_between_letters, telling
from digest.cli.record import recorded
from digest.errors import Exit

if TYPE_CHECKING:
    from digest.config import Config
    from digest.line import Outcome
    from digest.store import Database


def run(
    context: typer.Context,
    dry_run: DryRun = False,
    force: Force = False,
    newsletter: Newsletters = None,
    every: All = False,
    as_json: Json = False,
    log: LogFile = None,
    log_format: LogFormat = None,
) -> None:
    """Collect, curate, compose and deliver. Editions are composed when they are due.

    This is what cron calls; it can be killed, and run twice at once, without losing or doubling a letter.
    With -n only these newsletters are composed and delivered; feeds are asked for all.
    What is wrong with one newsletter stops no other: it is named, and the exit code is that of the worst.
    With --dry-run feeds are asked and an edition is composed, but nothing is stored and nothing is sent.

    Example: digest run --dry-run
    """
    from digest import line
    from digest.cli import alarms

    options: Options = context.obj
    with (
        recorded(options, "run", now, log, log_format) as record,
        options.open(newsletter, every=every, partly=True) as (config, database),
    ):
        broken = options.judge(config)
        if barren := barren_words(config):
            options.warn(barren)
        tell_lost(options, config, lost(config, database))
        if dry_run:
            database.require_latest()
            with database.rehearse() as rehearsal:
                healed = heed_clock(options, config, rehearsal)
                with telling(options, config) as tell:
                    outcome = line.all_but_sending(rehearsal, config, clock=now, force=force, broken=broken, tell=tell)
                if not as_json:
                    with while_read():
                        _show_editions(rehearsal, outcome)
        else:
            with alarms.when_it_breaks(options, config, database):
                database.require_latest()
                healed = heed_clock(options, config, database)
                with record.stored(database):
                    outcome = whole_line(options, config, database, force=force, broken=broken)
                    record.ends(outcome.exit_code)
            alarms.after(options, config, database, outcome)
        record.ends(outcome.exit_code)
    outcome.healed = healed
    if as_json:
        print_json(asdict(outcome) | {"newsletters": by_newsletter(config, outcome)})
    raise typer.Exit(outcome.exit_code)


def deliver_command(
    context: typer.Context,
    newsletter: Newsletters = None,
    every: All = False,
    as_json: Json = False,
    log: LogFile = None,
    log_format: LogFormat = None,
) -> None:
    """Send the letters that are owed and due. It is the last step of `digest run`.

    A newsletter whose relays or settings are in trouble is named, and holds up no other.

    Example: digest deliver
    """
    from digest import line

    options: Options = context.obj
    with (
        recorded(options, "deliver", now, log, log_format) as record,
        options.open(newsletter, every=every, partly=True) as (config, database),
    ):
        database.require_latest()
        healed = heed_clock(options, config, database)
        options.judge(config, templates=False)
        rng = random.Random()  # noqa: S311  (jitter, not a secret)
        with record.stored(database), telling(options, config) as tell, stop_between_letters(options) as stop:
            share = line.share_of(config)
            report = line.deliver(database, config, clock=now, rng=rng, stop=stop, share=share, tell=tell)
            code = Exit.CONFIG if config.broken else line.delivery_code(report)
            record.ends(code)
    if as_json:
        print_json(asdict(report) | {"healed": healed})
    raise typer.Exit(code)


def by_newsletter(config: Config, outcome: Outcome) -> dict[str, dict[str, object]]:
    """What a run did for each newsletter, and the code that it alone would end with."""
    from digest import line

    composed = {made.newsletter: made for made in outcome.compose}
    found: dict[str, dict[str, object]] = {}
    for name in dict.fromkeys((*config.turn, *config.broken)):
        done = outcome.deliver.newsletters.get(name) if outcome.deliver else None
        trouble = config.broken.get(name) or (done.trouble if done else "")
        code = line.code_of(outcome.deliver, name) if outcome.deliver else Exit.OK
        made = composed.get(name)
        found[name] = {
            "edition": made.number if made and not made.why else None,
            "stories": outcome.curate[name].stories if name in outcome.curate else 0,
            **{key: getattr(done, key) if done else 0 for key in ("sent", "refused", "deferred", "held", "left")},
            "trouble": trouble or ("its edition cannot be made" if name in outcome.unfit else ""),
            "exit_code": Exit.CONFIG if name in outcome.unfit else code,
        }
    return found


def whole_line(
    options: Options,
    config: Config,
    database: Database,
    *,
    force: bool = False,
    broken: Mapping[str, str] | None = None,
) -> Outcome:
    """`line.run` by this machine's clock, told on this terminal; Ctrl-C ends it between two letters."""
    from digest import line

    with telling(options, config) as tell:
        return line.run(
            database,
            config,
            clock=now,
            rng=random.Random(),  # noqa: S311  (jitter, not a secret)
            force=force,
            broken=broken,
            stopping=lambda: stop_between_letters(options),
            tell=tell,
        )


def _show_editions(database: Database, outcome: Outcome) -> None:
    """What would be sent, story by story."""
    from digest.store import edition_stories, editions, newsletters

    with database.read() as session:
        for composed in outcome.compose:
            if composed.why:
                continue
            row = newsletters.find(session, composed.newsletter)
            found = editions.line(session, row.id or 0, composed.number)
            if found is None:
                continue
            print(f"{composed.newsletter} No. {composed.number}: {composed.subject}")
            print(f"to {count(composed.letters, 'subscriber', 'subscribers')}; nothing was stored or sent")
            for story in edition_stories.stories_of(session, found.id):
                print(f"  [{story.topic}] {story.title} ({story.source})")


def barren_words(config: Config) -> str:
    """How many keywords and rules can never match, or "". Cheap: it looks at the settings alone."""
    papers = [config.newsletters[name] for name in config.turn if name in config.newsletters]
    if not any(paper.topics or paper.rules for paper in papers):
        return ""
    from digest.curate.barren import barren

    number = sum(len(barren(paper)) for paper in papers)
    if not number:
        return ""
    many = "keyword or rule never matches" if number == 1 else "keywords or rules never match"
    return f"{number:,} {many}; `digest config check` names them"
