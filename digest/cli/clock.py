"""`digest clock`: is the clock right, and what has one stored that was not?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import Options, in_words, now, print_facts
from digest.cli.options import Json
from digest.errors import Exit, WrongClock

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store import Database


def clock(
    context: typer.Context,
    right: Annotated[
        bool, typer.Option("--right", help="This clock is right: put back what a wrong one has stored.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show whether the clock is right, and always was.

    Exit 69 where there is something. Each run puts such things back by itself. Only where it cannot tell which clock is
    wrong, it does nothing and says so; then set the clock, or say with --right that it is the one to go by.

    Example: digest clock
    """
    from digest.store import clock, healing
    from digest.store.database import shared_now

    options: Options = context.obj
    moment = now()
    with options.open() as (config, database):
        facts: dict[str, Any] = {"put_back": _put_back(database, config, moment)} if right else {}
        with database.read() as session:
            trouble = clock.verdict(session, now=moment)
            lies_ahead = healing.ahead(session, healing.Scene.of(config), now=moment)
            facts = {
                "clock": moment,
                "clock_of_the_database": shared_now(session, moment),
                "trouble": trouble,
                "last_run_before_today": clock.last_run(session, now=moment),
                "ahead": lies_ahead,
            } | facts
    print_facts(facts if as_json else _for_people(facts), as_json=as_json)
    if trouble:
        options.say(WrongClock.cure)
    if trouble or lies_ahead:
        raise typer.Exit(Exit.UNAVAILABLE)


def _put_back(database: Database, config: Config, moment: datetime) -> Mapping[str, int]:
    from digest.store import clock, healing

    if moment < clock.MADE:
        raise WrongClock(
            f"a clock that says {moment:%Y-%m-%d} is not right: digest was not made then", hint=WrongClock.cure
        )
    with database.write() as session:
        clock.forget_days(session, now=moment)
    return healing.heal(database, healing.Scene.of(config), now=moment)


def _for_people(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: in_words(value) if isinstance(value, dict) else value for name, value in facts.items()}
