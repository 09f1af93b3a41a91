"""`digest alerts …`: what is the matter, who was told, and whether they can be."""

from __future__ import annotations

import random

import typer

from digest.cli.common import Options, now, print_json, print_rows
from digest.cli.looked import look
from digest.cli.options import Json
from digest.errors import ConfigError, Exit

app = typer.Typer(no_args_is_help=True, help="Alerts: what is the matter, and who is told.")


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List what is the matter now, and since when it is known and told. Nothing is told by it.

    What only a run can see, a mail server that is down say, is listed as the last run left it.

    Example: digest alerts list
    """
    from digest import alerts as room
    from digest import line
    from digest.store import alerts

    options: Options = context.obj
    moment = now()
    with options.open(partly=True) as (config, database):
        seen = line.seen(database, config, now=moment)
        with database.read() as session:
            wrong = {one.key: one for one in room.now_wrong(session, config, seen, now=moment)}
            known = alerts.standing(session)
    rows: list[tuple[object, ...]] = []
    for key in dict.fromkeys((*known, *wrong)):
        alert, one = known.get(key), wrong.get(key) or known.get(key)
        if one is None or (key not in wrong and alert is not None and alert.well_at):
            continue
        since, told_at = (alert.since, alert.told_at) if alert else (None, None)
        rows.append((key, one.title, one.words, one.cure, since, told_at))
    print_rows(("key", "title", "words", "cure", "since", "told_at"), rows, as_json=as_json)


@app.command()
def check(context: typer.Context, as_json: Json = False) -> None:
    """Judge what is the matter now and tell what was not told, as each `digest run` does at its end.

    It connects to relays and to the website of links: what it cannot use is told without a letter that waits.
    Exit 69 where a channel cannot be told.

    Example: digest alerts check
    """
    from digest import line

    options: Options = context.obj
    with options.open(partly=True) as (config, database):
        _want(config.alerts.channels)
        seen = line.seen(database, config, now=now(), looked=look(config))
        rng = random.Random()  # noqa: S311  (jitter, not a secret)
        told = line.alert(database, config, clock=now, rng=rng, seen=seen)
    if as_json:
        print_json({"told": [word.name for word in told.words], "failed": told.failed})
    for word in told.words:
        options.say(f"{word.state}: {word.title}")
    _tell_failed(options, told.failed)


@app.command()
def test(context: typer.Context, as_json: Json = False) -> None:
    """Tell a test by each channel now. Exit 69 where one cannot be told.

    Example: digest alerts test
    """
    from digest import alerts as room
    from digest import deliver, line

    options: Options = context.obj
    with options.open(partly=True) as (config, database):
        _want(config.alerts.channels)
        found = dict(room.test(database, config, clock=now, means=line.alert_means(config)))
        if found.get("mail") == "":
            rng = random.Random()  # noqa: S311  (jitter, not a secret)
            report = line.deliver(database, config, clock=now, rng=rng, share=deliver.NOTICES)
            found["mail"] = report.stopped
    if as_json:
        print_json(found)
    for channel in (channel for channel, why in found.items() if not why):
        options.say(f"{channel}: told")
    _tell_failed(options, {channel: why for channel, why in found.items() if why})


def _want(channels: tuple[str, ...]) -> None:
    if not channels:
        raise ConfigError("nobody is told of anything", hint="[alerts] mail, webhook or command; digest help alerts")


def _tell_failed(options: Options, failed: dict[str, str]) -> None:
    for channel, why in failed.items():
        options.warn(f"{channel} was not told: {why}")
    if failed:
        raise typer.Exit(Exit.UNAVAILABLE)
