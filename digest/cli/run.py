"""`digest run`: the whole line, what cron calls; and `digest deliver`, its last step."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from digest.cli.collect import progress_bar, tell
from digest.cli.common import Options, edition_words, heed_clock, left_words, now, print_json, while_read
from digest.cli.options import DryRun, Force, Json
from digest.errors import ConfigError, Exit

if TYPE_CHECKING:
    from digest import collect, deliver, edition
    from digest.config import Config
    from digest.store import Database


@dataclass
class Outcome:
    """What each step did."""

    collect: collect.CollectReport
    curate: dict[str, edition.Admitted] = field(default_factory=dict)
    compose: list[edition.Composed] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)  # newsletters whose edition could not be made
    deliver: deliver.Report | None = None
    healed: Mapping[str, int] = field(default_factory=dict)  # moments of a clock that was wrong, by kind

    @property
    def exit_code(self) -> Exit:
        """78 where an edition could not be made, 69 where no feed or no relay can be had, 75 while letters wait."""
        if self.unfit:
            return Exit.CONFIG
        if self.collect.failed and self.collect.failed == self.collect.asked:
            return Exit.UNAVAILABLE
        return Exit.OK if self.deliver is None else delivery_code(self.deliver)


def delivery_code(report: deliver.Report) -> Exit:
    """74 where the disk is full, 69 where somebody has to look, 75 where the next run goes on by itself."""
    if report.full:
        return Exit.IOERR
    broken = report.stopped and not report.interrupted
    if broken or report.held or report.late or report.paused or report.quarantined or report.unreached:
        return Exit.UNAVAILABLE
    waits = report.deferred or report.put_off or report.interrupted or report.left.due.letters
    return Exit.TEMPFAIL if waits else Exit.OK


def run(
    context: typer.Context,
    dry_run: DryRun = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Collect, curate, compose and deliver. Editions are composed when they are due.

    This is what cron calls; it can be killed, and run twice at once, without losing or doubling a letter.
    With --dry-run feeds are asked and an edition is composed, but nothing is stored and nothing is sent.

    Example: digest run --dry-run
    """
    options: Options = context.obj
    with options.open() as (config, database):
        broken = options.judge(config)
        if dry_run:
            with database.rehearse() as rehearsal:
                healed = heed_clock(options, config, rehearsal)
                outcome = line(rehearsal, config, options, force=force, send=False, broken=broken)
                if not as_json:
                    with while_read():
                        _show_editions(rehearsal, outcome)
        else:
            healed = heed_clock(options, config, database)
            outcome = line(database, config, options, force=force, broken=broken)
    outcome.healed = healed
    if as_json:
        print_json(asdict(outcome))
    raise typer.Exit(outcome.exit_code)


def deliver_command(context: typer.Context, as_json: Json = False) -> None:
    """Send the letters that are owed and due. It is the last step of `digest run`.

    Example: digest deliver
    """
    options: Options = context.obj
    with options.open() as (config, database):
        healed = heed_clock(options, config, database)
        options.judge(config, templates=False)
        report = deliver_step(database, config, options)
    if as_json:
        print_json(asdict(report) | {"healed": healed})
    raise typer.Exit(delivery_code(report))


def line(
    database: Database,
    config: Config,
    options: Options,
    *,
    force: bool = False,
    send: bool = True,
    broken: Mapping[str, str] | None = None,
) -> Outcome:
    """The main job, on any database: `run`, its rehearsal and the demo all come through here.

    `broken` says what is wrong with newsletters that cannot be composed: their stories wait, the others go out.
    """
    from digest import collect, edition, loop
    from digest.store import clock
    from digest.subscribe import signup

    with progress_bar(options, "collect") as progress:
        collected = loop.run(lambda: collect.run(database, config, clock=now, force=force, progress=progress))
    tell(options, collected)
    outcome = Outcome(collected)
    moment = now()
    with database.write() as session:
        # What nobody confirmed is gone for good, so one leap of a clock may not decide that it is old.
        if clock.ran_lately(session, now=moment):
            signup.tidy(session, now=moment)
    for name, settings in config.newsletters.items():
        admitted = edition.take_in(database, name, settings, config.curate, now=moment)
        outcome.curate[name] = admitted
        options.say(
            f"curate: {name}, {count(admitted.stories, 'new story', 'new stories')}, "
            f"{admitted.joined:,} joined to others, {admitted.held:,} held back, {admitted.muted:,} muted"
        )
        if broken and name in broken:
            outcome.unfit.append(name)
            options.warn(broken[name])
            continue
        try:
            composed = edition.take_turn(database, name, config, now=moment)
        except ConfigError as error:
            # A template or setting of one newsletter is wrong: its stories wait, the others go out.
            outcome.unfit.append(name)
            options.warn(f"{name}: {error}" + (f"\n  {error.hint}" if error.hint else ""))
            continue
        outcome.compose.append(composed)
        options.say(f"compose: {name}, {_composed_words(composed)}")
        for finding in composed.findings:
            options.warn(f"{name} No. {composed.number}: {finding.check}: {finding.words}")
    if send:
        outcome.deliver = deliver_step(database, config, options)
    return outcome


def deliver_step(database: Database, config: Config, options: Options) -> deliver.Report:
    """Deliver with progress on a terminal and one line at the end; the first Ctrl-C ends it between two letters."""
    from digest import deliver

    report = deliver.Report()
    try:
        with options.progress("deliver") as tell, _stop_between_letters(options) as stop:
            deliver.run(
                database,
                config,
                clock=now,
                rng=random.Random(),  # noqa: S311  (jitter, not a secret)
                progress=lambda done: tell(done.settled, done.due, _forecast(done)),
                stop=stop,
                report=report,
            )
    except BaseException:
        # However it ends, this is what was done, and what may follow from it.
        options.warn(f"delivery broke off: {_broken_off_words(report)}")
        raise
    _tell_delivery(report, config, options)
    return report


def _tell_delivery(report: deliver.Report, config: Config, options: Options) -> None:
    """One line of figures, and what somebody has to know or do."""
    parts = [f"{report.sent:,} sent"]
    parts += [
        f"{n:,} {word}"
        for word in ("refused", "deferred", "dropped", "held", "in doubt")
        if (n := getattr(report, word.replace(" ", "_")))
    ]
    if report.sent and not config.smtp.servers:
        parts.append(f"kept as .eml files in {report.where}, since no smtp.url is set")
    if report.in_doubt and config.smtp.after_crash == "resend":
        parts.append(f"up to {count(report.in_doubt, 'letter', 'letters')} may come twice")
    options.say(f"deliver: {'; '.join([', '.join(parts), *left_words(report.left)])}")
    for refusal in report.refusals:
        options.say(f"  {refusal}")
    for newsletter, number in report.late:
        which = edition_words(config, newsletter, number)
        options.warn(
            f"{newsletter} No. {number} is late and was held; `digest edition resume {which}` sends it all the same"
        )
    doubted = {(newsletter, number) for newsletter, number, _, _ in report.quarantined}
    for newsletter, number, letters, why in report.quarantined:
        which = edition_words(config, newsletter, number)
        options.warn(
            f"{newsletter} No. {number}: {why}, more than this list has seen; "
            f"{count(letters, 'letter is', 'letters are')} held, and nobody is barred. "
            f"`digest outbox release {which}` sends them again, "
            f"`digest outbox believe {which}` takes the servers at their word"
        )
    for newsletter, number, why in report.paused:
        if (newsletter, number) not in doubted:
            which = edition_words(config, newsletter, number)
            options.warn(
                f"{newsletter} No. {number} was paused: {why}; `digest edition resume {which}` goes on with it"
            )
    for newsletter, number, letters in report.unreached:
        if (newsletter, number) in doubted:
            continue
        which = edition_words(config, newsletter, number)
        options.warn(
            f"{newsletter} No. {number} reached nobody: {count(letters, 'letter', 'letters')} and not one was taken; "
            f"`digest edition resend {which} --only refused` owes them again, once the cause is mended"
        )
    if report.stopped:
        options.warn(f"delivery stopped: {report.stopped}; every letter stays owed, the next run goes on")


def _broken_off_words(report: deliver.Report) -> str:
    owed = max(0, report.owed - report.tried)
    words = f"{report.sent:,} sent and written down, {owed:,} still owed"
    return f"{words}, of which up to {report.twice:,} may come twice" if report.twice else f"{words}, none in doubt"


@contextmanager
def _stop_between_letters(options: Options) -> Iterator[Callable[[], bool]]:
    """SIGINT, SIGTERM and SIGHUP ask to stop; a second one stops at once, with the last line told all the same."""
    asked: list[int] = []

    def ask(number: int, _frame: Any) -> None:
        asked.append(number)
        for again in before:
            signal.signal(again, signal.default_int_handler)
        options.say("stopping, once what is under way is answered; asked again, at once")

    # Who was started to outlive its terminal (nohup) goes on ignoring that it went away.
    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }
    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _forecast(done: deliver.Progress) -> str:
    """When it will be finished, by the operator's clock; the day too where that is not today's."""
    if done.finish is None:
        return ""
    local = done.finish.astimezone()
    return (
        f"done about {local:%H:%M}"
        if local.date() == now().astimezone().date()
        else f"done about {local:%a %d %b %H:%M}"
    )


def count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _composed_words(composed: edition.Composed) -> str:
    if composed.why:
        return composed.why
    more = f" and {composed.more:,} more" if composed.more else ""
    return (
        f"No. {composed.number} “{composed.subject}”, {count(composed.stories, 'story', 'stories')}{more}, "
        f"{count(composed.variants, 'variant', 'variants')}, {count(composed.letters, 'letter', 'letters')}"
    )


def _show_editions(database: Database, outcome: Outcome) -> None:
    """What would be sent, story by story."""
    from digest.store import editions, newsletters

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
            for story in editions.stories_of(session, found.id):
                print(f"  [{story.topic}] {story.title} ({story.source})")
