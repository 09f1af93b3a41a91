"""The line: what `digest run` does, as steps that every door calls; for all, or for one newsletter, batch or share.

Steps give back values and tell them as they come. Words, terminals, signals and the clock are the door's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from digest import alerts, edition, event_loop, hear, meanings, spans
from digest import collect as feeds
from digest import deliver as mail
from digest.collect.report import CollectReport, FullTextReport, PictureReport
from digest.config import Config, imap_server

# Rooms of work are imported as rooms, and their values from where these are light: a run with nothing to do imports no
# more of them (`digest.lazily`). What has a whole file to itself is imported where it is used.
from digest.dataclass import dataclass
from digest.deliver.report import EventsTold, Report
from digest.deliver.shares import ALL, Share
from digest.edition.report import Admitted, Composed
from digest.errors import BadInput, ConfigError, Exit, RelayDown, Unavailable, UserError, WrongClock
from digest.store import Database, clock, disk_space, feed_claims, healing, idle, newsletters, replica
from digest.told import Begins as Begins
from digest.told import BrokeOff as BrokeOff
from digest.told import Clock as Clock
from digest.told import Deaf as Deaf
from digest.told import Pictures as Pictures
from digest.told import Summaries as Summaries
from digest.told import Taken as Taken
from digest.told import Texts as Texts
from digest.told import Unfit as Unfit
from digest.told import nobody as nobody
from digest.upkeep import make_findable as make_findable
from digest.upkeep import prune as prune
from digest.upkeep import tidy as tidy

if TYPE_CHECKING:
    from digest.summaries import Spending
    from digest.told import Tell as Tell
    from digest.told import Told as Told


# ---------------------------------------------------------------- what it comes to


@dataclass
class Outcome:
    """What each step did."""

    collect: CollectReport
    curate: dict[str, Admitted] = field(default_factory=dict)
    compose: list[Composed] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)  # newsletters whose edition could not be made
    deliver: Report | None = None
    webhooks: EventsTold = field(default_factory=EventsTold)
    healed: Mapping[str, int] = field(default_factory=dict)  # moments of a clock that was wrong, by kind
    heard: hear.Readings | None = None
    deaf: bool = False  # what came back could not be read

    @property
    def exit_code(self) -> Exit:
        """78 where an edition could not be made, 69 where no feed or no relay can be had, 75 while letters wait."""
        if self.unfit:
            return Exit.CONFIG
        delivered = Exit.OK if self.deliver is None else delivery_code(self.deliver)
        code = collection_code(self.collect) or delivered
        look = self.deaf or (self.heard is not None and self.heard.acts.get(hear.Act.DOUBTED))
        return Exit.UNAVAILABLE if look and code in (Exit.OK, Exit.TEMPFAIL) else code


def collection_code(report: CollectReport) -> Exit:
    """69 where feeds were asked and not one can be had."""
    return Exit.UNAVAILABLE if report.failed and report.failed == report.asked else Exit.OK


def delivery_code(report: Report) -> Exit:
    """74 where the disk is full, 69 where somebody has to look, 75 where the next run goes on by itself."""
    if report.full:
        return Exit.IOERR
    broken = (report.stopped and not report.interrupted) or report.sick
    if broken or report.held or report.late or report.paused or report.quarantined or report.unreached:
        return Exit.UNAVAILABLE
    waits = report.deferred or report.put_off or report.interrupted or report.left.due.letters
    return Exit.TEMPFAIL if waits else Exit.OK


def code_of(report: Report, newsletter: str) -> Exit:
    """The same for one newsletter alone: 69 where somebody has to look, 75 where letters wait."""
    done = report.newsletters.get(newsletter)
    looked_for = {told[0] for told in (*report.late, *report.paused, *report.quarantined, *report.unreached)}
    if newsletter in looked_for or (done and (done.trouble or done.held)):
        return Exit.UNAVAILABLE
    if done is None:
        return Exit.OK
    return Exit.TEMPFAIL if done.deferred or done.due else Exit.OK


# ---------------------------------------------------------------- the whole


def run(
    database: Database,
    config: Config,
    *,
    clock: Callable[[], datetime],
    rng: random.Random,
    force: bool = False,
    broken: Mapping[str, str] | None = None,
    stopping: Callable[[], AbstractContextManager[Callable[[], bool]]] = lambda: nullcontext(lambda: False),
    tell: Tell = nobody,
) -> Outcome:
    """The main job, on any database: `digest run` and the demo. The clock is to be asked first: see `heal`.

    `broken` is as in `all_but_sending`. `stopping` is entered while letters go out, and gives what is asked whether
    they are to stop.
    """
    database.require_latest()
    heard = listen(database, config, clock=clock, tell=tell)  # first: who has gone is owed nothing
    outcome = all_but_sending(database, config, clock=clock, force=force, broken=broken, tell=tell)
    outcome.heard, outcome.deaf = heard, bool(config.mail.source) and heard is None
    with stopping() as stop:
        share = share_of(config)
        outcome.deliver = deliver(database, config, clock=clock, rng=rng, stop=stop, share=share, tell=tell)
        outcome.webhooks = tell_webhooks(database, config, clock=clock, rng=rng, stop=stop, tell=tell)
        make_findable(database)
        if not stop() and not (outcome.deliver and outcome.deliver.full):
            prune(database, config, clock=clock, stop=stop)
    ask_hubs(database, config, clock=clock)
    return outcome


def share_of(config: Config) -> Share:
    """The letters of those newsletters that are worked for."""
    return Share(newsletters=frozenset(config.turn)) if config.narrowed else ALL


def all_but_sending(
    database: Database,
    config: Config,
    *,
    clock: Callable[[], datetime],
    force: bool = False,
    broken: Mapping[str, str] | None = None,
    tell: Tell = nobody,
) -> Outcome:
    """From feeds to letters that are owed: what a rehearsal does.

    `broken` says what is wrong with newsletters that cannot be composed: their stories wait, the others go out.
    """
    outcome = Outcome(collect(database, config, clock=clock, force=force, tell=tell))
    now = clock()
    tidy(database, config, now=now)
    answer_signups(database, config, now=now)
    left = Left(feeds.Bounds.of(config), feeds.Bounds.of_pictures(config))
    outcome.unfit += config.broken
    for name in config.turn:
        why = (broken or {}).get(name, "")
        outcome.curate[name], made = to_letters(database, config, name, left=left, clock=clock, broken=why, tell=tell)
        if isinstance(made, Unfit):
            outcome.unfit.append(name)
        elif made is not None:
            outcome.compose.append(made)
    return outcome


@dataclass
class Left:
    """What is left of the bounds of a run."""

    texts: feeds.Bounds
    pictures: feeds.Bounds
    summaries: Spending | None = None  # None: all of it


def to_letters(
    database: Database,
    config: Config,
    name: str,
    *,
    left: Left | None = None,
    clock: Callable[[], datetime],
    broken: str = "",
    due: bool = True,
    tell: Tell = nobody,
) -> tuple[Admitted, Composed | Unfit | None]:
    """One newsletter, from entries to letters that are owed; an edition is composed only where one may be `due`."""
    left, now = left or Left(feeds.Bounds.of(config), feeds.Bounds.of_pictures(config)), clock()
    with database.read() as session:
        waits = idle.waits(session, name)
    if waits.unconfirmed:
        remind(database, config, name, now=now, tell=tell)
    if waits.entries:
        admitted = admit(database, config, name, now=now, tell=tell)
    else:
        admitted = Admitted()
        tell(Taken(name, admitted))
    if waits.texts:
        left.texts = left.texts.without(full_texts(database, config, name, clock=clock, bounds=left.texts, tell=tell))
    if waits.entries or waits.stories:
        seen = pictures(database, config, name, clock=clock, bounds=left.pictures, tell=tell)
        left.pictures = left.pictures.without(seen)
    if config.curate.summarizer and (waits.entries or waits.stories):
        from digest.summaries import write

        left.summaries = write(database, config, name, clock=clock, left=left.summaries, tell=tell)
    if waits.welcomes:
        welcome(database, config, name, now=now, tell=tell)
    return admitted, compose(database, config, name, now=now, broken=broken, tell=tell) if due else None


# ---------------------------------------------------------------- its steps


def heal(
    database: Database, config: Config, *, now: datetime, refuse: bool = True, tell: Tell = nobody
) -> Mapping[str, int]:
    """Before work by the clock begins: WrongClock where it cannot be right (told only, unless we `refuse`).

    What a clock that was wrong once has stored is put back; what it came to, by kind.
    """
    with database.read() as session:
        trouble = clock.verdict(session, now=now)
        last = clock.last_run(session, now=now)
    if trouble and refuse:
        raise WrongClock(f"nothing is done: {trouble}", hint=WrongClock.cure)
    if trouble:
        tell(Clock(trouble=trouble))
        return {}
    if last is not None and now - last > clock.LATELY:
        tell(Clock(idle_since=last))
    healed = healing.heal(database, healing.Scene.of(config), now=now)
    if healed:
        tell(Clock(healed=healed))
    return healed


def rooms() -> hear.Rooms:
    """Who does what mails ask for that are no answer to a letter: choices of readers, and entries of feeds."""
    from digest.collect import mailed
    from digest.subscribe import by_mail

    return hear.Rooms(
        choose=lambda session, config, mail, now: by_mail.answer(session, config, mail, now=now),
        read=mailed.read,
        keep=mailed.keep,
        admit=mailed.admit,
    )


def listen(
    database: Database, config: Config, *, clock: Callable[[], datetime], tell: Tell = nobody
) -> hear.Readings | None:
    """Read the mailbox of the settings, within its bounds, and forget old mails. None where there is none to read."""
    with database.read() as session:
        old = idle.old_mails(session, before=clock() - timedelta(days=config.mail.keep_days))
    if old:
        hear.prune(database, config, now=clock(), steps=2)
    if not config.mail.source:
        return None
    tell(Begins("mail"))
    readings = None
    try:
        bounds = hear.Bounds(config.mail.per_run, config.mail.seconds)
        with closing(mailbox(config, config.mail.source)) as source:
            readings = hear.read(database, config, source, clock=clock, bounds=bounds, rooms=rooms())
    except UserError as error:
        trouble = "is not read" if readings is None else "was read, but not all could be done"
        tell(Deaf(f"what came back {trouble}: {error}" + (f"\n  {error.hint}" if error.hint else "")))
    if readings is not None:
        tell(readings)
    return readings


def mailbox(config: Config, place: str) -> hear.Source:
    """The source of a name. What logs in to the mailbox of the settings is told to no other server."""
    if place.partition("://")[0] not in ("imap", "imap+starttls", "imaps"):
        return hear.opened(place)
    from digest.deliver.login import TokenCommand, trust  # only where it is used
    from digest.hear.imap import Imap
    from digest.hear.imap_wire import Server

    mine = place == config.mail.source
    try:
        url = config.mail.server if mine else imap_server(place)
    except ValueError as error:
        raise BadInput(f"the address {error}") from None
    command = config.mail.token_command if mine else ""

    def token() -> str:
        try:
            return event_loop.run(TokenCommand(command).token)
        except RelayDown as error:
            raise Unavailable(str(error), hint="token_command in [mail]") from None

    server = Server(
        url,
        auth=config.mail.auth if mine else "",
        token=token if command else None,
        context=lambda: trust(config.mail.ca_file, of="mail"),
    )
    return Imap(server, move_to=config.mail.move_to if mine else "", keyword=config.mail.keyword if mine else "")


def collect(
    database: Database,
    config: Config,
    *,
    clock: Callable[[], datetime],
    force: bool = False,
    most: int | None = None,
    part: feed_claims.Part = feed_claims.WHOLE,
    tell: Tell = nobody,
) -> CollectReport:
    """Ask the feeds that are due (with `force` all), or `most` of a part of them; who else asks gets others."""
    tell(Begins("collect"))
    report, now = CollectReport(), clock()
    with database.read() as session:
        due = feed_claims.count_due(session, now=now, asked_before=now, regardless=force, part=part)
        by_mail = idle.feeds_by_mail(session)
    if due:
        with spans.span("collect"):
            batch = feeds.Batch(most, part)
            report = event_loop.run(
                lambda: feeds.run(database, config, clock=clock, force=force, progress=tell, batch=batch)
            )
    if by_mail and part.number == 0:
        from digest.collect import mailed

        report.changes += mailed.silences(database, now=clock())
    tell(report)
    return report


def ask_hubs(database: Database, config: Config, *, clock: Callable[[], datetime]) -> int:
    """Subscribe to feeds at their hubs as far as it is time, or leave them; how many hubs took it.

    No part of `collect`, which is rehearsed, too: what a hub is told it believes.
    """
    with database.read() as session:
        if not idle.hubs(session):
            return 0
        from digest.store import websub

        if not websub.any_due(session, now=clock(), wanted=config.collect.websub):
            return 0
    return event_loop.run(lambda: feeds.ask_hubs(database, config, clock=clock))


def answer_signups(database: Database, config: Config, *, now: datetime) -> int:
    """Owe the mails that answer sign-ups, as far as the limits allow; how many have to wait on."""
    with database.read() as session:
        if not idle.signups(session):
            return 0
    from digest.subscribe import signup

    return signup.answer_all(database, config, now=now)


def remind(database: Database, config: Config, newsletter: str, *, now: datetime, tell: Tell = nobody) -> int:
    """Owe who was asked to confirm some days ago one more mail; how many. Not by a clock that may have leapt.

    Where template or settings are wrong they wait until they are not, and it is told.
    """
    with database.read() as session:
        if not clock.ran_lately(session, now=now):
            return 0
    from digest.subscribe import asks

    try:
        return asks.remind(database, newsletter, config=config, now=now)
    except ConfigError as error:
        words = f"{newsletter}: nobody is reminded: {error}" + (f"\n  {error.hint}" if error.hint else "")
        tell(Unfit(newsletter, words))
        return 0


def admit(database: Database, config: Config, newsletter: str, *, now: datetime, tell: Tell = nobody) -> Admitted:
    """Decide about the entries that wait for a newsletter. ConfigError where `curate.scorer` cannot be loaded."""
    database.require_latest()
    with spans.span("curate", newsletter=newsletter):
        admitted = meanings.take_in(database, config, newsletter, now=now)
    tell(Taken(newsletter, admitted))
    return admitted


def full_texts(
    database: Database,
    config: Config,
    newsletter: str,
    *,
    clock: Callable[[], datetime],
    bounds: feeds.Bounds | None = None,
    tell: Tell = nobody,
) -> FullTextReport:
    """Read the pages of stubs among the stories that stand for the next edition, and give these what they say.

    Within its bounds, and in no transaction: what is not there in time goes out with its feed's own excerpt.
    """
    bounds = bounds or feeds.Bounds.of(config)
    report = FullTextReport()
    stubs = edition.wanting(database, newsletter, config, now=clock())
    if stubs:
        report = feeds.full_texts(database, config, stubs, clock=clock, bounds=bounds)
        if report.asked or report.missing:
            tell(Texts(newsletter, report))
    edition.use_full_texts(database, newsletter, config.curate)
    return report


def pictures(
    database: Database,
    config: Config,
    newsletter: str,
    *,
    clock: Callable[[], datetime],
    bounds: feeds.Bounds | None = None,
    tell: Tell = nobody,
) -> PictureReport:
    """Find the pictures of stories that stand for the next edition, within bounds and in no transaction.

    What is not there in time is not shown.
    """
    if config.newsletters[newsletter].images == "none":
        return PictureReport()
    bounds = bounds or feeds.Bounds.of_pictures(config)
    wanted = edition.wanting_pictures(database, newsletter, config, now=clock())
    if not wanted:
        return PictureReport()
    with spans.span("pictures", newsletter=newsletter):
        report = feeds.pictures_of(database, config, wanted, clock=clock, bounds=bounds)
    if report.taken or report.none:
        tell(Pictures(newsletter, report))
    return report


def read_ahead(
    database: Database, config: Config, newsletter: str, *, clock: Callable[[], datetime], tell: Tell = nobody
) -> None:
    """Read pages of stubs, and pictures, of what waits for a newsletter before it is admitted: for who looks at it now.

    Which entries these are a rehearsal tells; the pages are kept, so that nobody asks for them again.
    """
    with database.rehearse() as rehearsal:
        admit(rehearsal, config, newsletter, now=clock())
        stubs = edition.wanting(rehearsal, newsletter, config, now=clock())
        wanted = edition.wanting_pictures(rehearsal, newsletter, config, now=clock())
    if stubs:
        tell(Texts(newsletter, feeds.full_texts(database, config, stubs, clock=clock, bounds=feeds.Bounds.of(config))))
    if wanted:
        bounds = feeds.Bounds.of_pictures(config)
        tell(Pictures(newsletter, feeds.pictures_of(database, config, wanted, clock=clock, bounds=bounds)))


def welcome(database: Database, config: Config, newsletter: str, *, now: datetime, tell: Tell = nobody) -> int:
    """Owe the latest edition of a newsletter to those who have just come; how many letters.

    Where template or settings are wrong they wait until they are not, and it is told.
    """
    database.require_latest()
    try:
        return edition.welcome(database, newsletter, config, now=now)
    except ConfigError as error:
        tell(
            Unfit(
                newsletter, f"{newsletter}: nobody is welcomed: {error}" + (f"\n  {error.hint}" if error.hint else "")
            )
        )
        return 0


def compose(
    database: Database, config: Config, newsletter: str, *, now: datetime, broken: str = "", tell: Tell = nobody
) -> Composed | Unfit:
    """Compose the edition of a newsletter that is due, if one is, and owe its letters.

    Where something is `broken` already, or a template or setting of the newsletter turns out to be wrong, its stories
    wait, and the others go out.
    """
    database.require_latest()
    made: Composed | Unfit
    if broken:
        made = Unfit(newsletter, broken)
    else:
        try:
            with spans.span("compose", newsletter=newsletter) as facts:
                with database.read() as session:
                    row = newsletters.find(session, newsletter)
                    why = edition.not_now(session, row, config.newsletters[newsletter], now=now)
                made = (
                    Composed(newsletter, why=why) if why else edition.take_turn(database, newsletter, config, now=now)
                )
                facts |= {"edition": made.number, "variants": made.variants, "letters": made.letters}
        except ConfigError as error:
            made = Unfit(newsletter, f"{newsletter}: {error}" + (f"\n  {error.hint}" if error.hint else ""))
    tell(made)
    return made


def deliver(
    database: Database,
    config: Config,
    *,
    clock: Callable[[], datetime],
    rng: random.Random,
    stop: Callable[[], bool] = lambda: False,
    share: Share = ALL,
    report: Report | None = None,
    tell: Tell = nobody,
) -> Report:
    """Send the letters that are due, or a share of them; `deliver.run` says the rest.

    However it ends, what was done is told, and what may follow from it.
    """
    database.require_latest()
    report = Report() if report is None else report
    tell(Begins("deliver"))
    try:
        with spans.span("deliver"):
            mail.run(database, config, clock=clock, rng=rng, progress=tell, stop=stop, share=share, report=report)
    except BaseException:
        tell(BrokeOff(report))
        raise
    tell(report)
    return report


def tell_webhooks(
    database: Database,
    config: Config,
    *,
    clock: Callable[[], datetime],
    rng: random.Random,
    stop: Callable[[], bool] = lambda: False,
    tell: Tell = nobody,
) -> EventsTold:
    """Send the events that are owed to webhooks and due; how many, and whether some wait on."""
    with database.read() as session:
        if not idle.webhooks(session):
            return EventsTold()
    from digest.collect.posting import Poster
    from digest.deliver import hooks as events
    from digest.store import hooks

    with database.write() as session:
        now = clock()
        hooks.note_sent(session, now=now)
        hooks.tidy(session, now=now)
    post = Poster(allow_private=config.web.webhook_private_addresses, proxy=config.collect.proxy.get_secret_value())
    means = events.Means(post, clock, rng, stop, config.web.webhook_patience)
    told = event_loop.run(lambda: events.run(database, means))
    tell(told)
    return told


# ---------------------------------------------------------------- the operator


def seen(
    database: Database,
    config: Config,
    *,
    now: datetime,
    outcome: Outcome | None = None,
    looked: alerts.Looked | None = None,
) -> alerts.Seen:
    """What can be seen besides what is stored: this machine, how a run went, and what servers showed who looked."""
    with database.read() as session:
        begun = clock.first_run(session)
        slots = edition.overdue(session, config, now=now)
    free, growth = disk_space.outlook(database, days=(now - begun).days if begun else 0)
    copy = replica.standing(database, config.database_read_url)
    found = alerts.Seen(database="", clock="", free=free, growth=growth, slots=slots)
    found = replace(found, replica=f"{config.database_read_name} {copy}" if copy and copy.trouble else "")
    if looked is not None:
        found = replace(
            found,
            relays=looked.relays,
            certificates=looked.certificates,
            unseen=looked.unseen,
            websites=looked.websites,
        )
    if outcome is None:
        return found
    broken = {name: config.broken.get(name, "its edition cannot be made") for name in outcome.unfit}
    deaf = "the last run said why" if outcome.deaf else ""
    return replace(found, broken=broken, mailbox=deaf, relays=_relays(config, outcome.deliver))


def _relays(config: Config, report: Report | None) -> Mapping[str, str]:
    """Whose letters were to be handed over, and why they were not, or "": see `alerts.Seen`."""
    if report is None:
        return {}
    if report.stopped and not report.interrupted and not report.full:
        return {"": report.stopped}
    worked = {name: "" for name, done in report.newsletters.items() if done.sent or done.refused or done.deferred}
    found = worked | {name: why for name, why in report.sick.items() if name not in config.broken}
    return found | ({"": ""} if worked else {})


def alert(
    database: Database,
    config: Config,
    *,
    clock: Callable[[], datetime],
    rng: random.Random,
    seen: alerts.Seen,
) -> alerts.Told:
    """Judge what is the matter, tell the operator what they do not know, and send the letters that are theirs.

    PutBack where this is an older copy: what was told since nobody knows yet.
    """
    database.require_latest()
    told = alerts.tell(database, config, seen, clock=clock, means=alert_means(config))
    told.mails += alerts.owe_weekly(database, config, now=clock())
    if told.mails and not any((seen.relays or {}).values()):
        deliver(database, config, clock=clock, rng=rng, share=mail.NOTICES)
    return told


def alert_means(config: Config) -> alerts.Means:
    """By what is told: requests under the guard."""
    from digest.collect.posting import Poster

    private = config.alerts.private_addresses
    return alerts.Means(Poster(allow_private=private, proxy=config.collect.proxy.get_secret_value()))
