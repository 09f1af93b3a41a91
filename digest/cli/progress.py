"""What the steps of the line tell, put in words on stderr; and how Ctrl-C asks letters to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, assert_never

from digest.cli.common import Options, count, edition_words, in_words, left_words, now
from digest.errors import WrongClock

if TYPE_CHECKING:
    from digest import deliver, edition, hear
    from digest.collect import CollectReport
    from digest.config import Config
    from digest.line import Clock, Pictures, Summaries, Taken, Tell, Texts, Told
    from digest.store import Database


@contextmanager
def telling(options: Options, config: Config) -> Iterator[Tell]:
    """Whom the steps tell: a bar while one of them goes on, on a terminal; then a line, and what somebody has to do."""
    from digest import collect, deliver, edition, hear, line
    from digest.deliver.report import EventsTold

    bar: Callable[..., None] = _no_bar
    with ExitStack() as bars:

        def put(told: Told) -> None:
            nonlocal bar
            if not isinstance(told, collect.Progress | deliver.Progress):
                bars.close()
            match told:
                case line.Begins():
                    bar = bars.enter_context(options.progress(told.step, elapsed=told.step == "collect"))
                case collect.Progress():
                    failed = f", {told.failed} failed" if told.failed else ""
                    bar(told.done, told.due, f"{told.new} new{failed}")
                case deliver.Progress():
                    bar(told.settled, told.due, _forecast(told))
                case line.Clock():
                    _tell_clock(options, told)
                case collect.CollectReport():
                    _tell_collected(options, told)
                case line.Taken():
                    options.say(_taken_words(told))
                case line.Texts():
                    options.say(_texts_words(told))
                case line.Pictures():
                    options.say(_pictures_words(told))
                case line.Summaries():
                    options.say(_summaries_words(told))
                case line.Unfit():
                    options.warn(told.words)
                case edition.Composed():
                    _tell_composed(options, told)
                case deliver.Report():
                    tell_delivery(options, config, told)
                case EventsTold():
                    if told.sent or told.failed:
                        failed = f", {told.failed} not taken (digest webhook list)" if told.failed else ""
                        options.say(f"webhooks: {told.sent} events told{failed}")
                case hear.Readings():
                    options.say(f"mail: {heard_words(told)}")
                    if doubted := told.acts.get(hear.Act.DOUBTED):
                        options.warn(
                            f"{count(doubted, 'bounce is', 'bounces are')} not believed, too many of one edition say "
                            "that there is no such mailbox; `digest mail list --act doubted`, `digest mail do ID`"
                        )
                case line.Deaf():
                    options.warn(told.words)
                case line.BrokeOff():
                    options.warn(f"delivery broke off: {_broken_off_words(told.report)}")
                case _:
                    assert_never(told)

        yield put if options.record is None else options.record.listening(put)


def _no_bar(done: int, total: int, words: str = "") -> None:
    """Before a step says that it begins."""


def heed_clock(options: Options, config: Config, database: Database, *, refuse: bool = True) -> Mapping[str, int]:
    """Before work by the clock begins: see `line.heal`."""
    from digest import line

    with telling(options, config) as tell:
        return line.heal(database, config, now=now(), refuse=refuse, tell=tell)


@contextmanager
def stop_between_letters(options: Options) -> Iterator[Callable[[], bool]]:
    """SIGINT, SIGTERM and SIGHUP ask to stop; a second one stops at once, with the last line told all the same.

    It is told when what is given is asked next: the signal may come in the midst of a line.
    """
    from digest import event_loop

    asked: list[int] = []
    told = False

    def ask(number: int, frame: Any) -> None:
        asked.append(number)
        if len(asked) > 1:
            event_loop.break_off(number, frame)

    def stop() -> bool:
        nonlocal told
        if len(asked) > 1 and not event_loop.runs():
            raise KeyboardInterrupt  # what the handler raised may have been lost, in a finalizer for one
        if asked and not told:
            told = True
            options.say("stopping, once what is under way is answered; asked again, at once")
        return bool(asked)

    # Who was started to outlive its terminal (nohup) goes on ignoring that it went away.
    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }
    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ---------------------------------------------------------------- clock


def _tell_clock(options: Options, clock: Clock) -> None:
    if clock.trouble:
        options.warn(f"{clock.trouble}\n  {WrongClock.cure}")
    if clock.idle_since is not None:
        options.warn(f"digest ran last on {clock.idle_since:%Y-%m-%d}, by this machine's clock; is it right?")
    if clock.healed:
        options.warn(
            f"a clock was wrong: what lay further ahead than any rule puts it is put back ({in_words(clock.healed)})"
        )


# ---------------------------------------------------------------- collect


def _tell_collected(options: Options, report: CollectReport) -> None:
    """One line for the run, and one for each feed whose state changed; bad news even when quiet."""
    from digest.collect import Health

    options.say(_collected_words(report))
    for change in report.changes:
        line = f"  feed {change.feed_id}, {_shown(change.feed)}, {_shown(change.words)}"
        if change.health in (Health.FAILING, Health.RETIRED):
            options.warn(line, sign="")
        else:
            options.say(line)


def _collected_words(report: CollectReport) -> str:
    """`collect: 257 feeds asked, 7,721 new entries, 3 failed (2 × answers 404 (not found), …)`"""
    if not report.asked and not report.held:
        return "collect: no feed is due"
    words = [f"{report.asked:,} {'feed' if report.asked == 1 else 'feeds'} asked"]
    words.append(f"{report.new:,} new {'entry' if report.new == 1 else 'entries'}")
    if report.set_aside:
        words.append(f"{report.set_aside:,} set aside (`digest status` says of which feed)")
    if report.edited:
        words.append(f"{report.edited:,} edited")
    if report.unchanged:
        words.append(f"{report.unchanged:,} unchanged")
    if report.held:
        words.append(f"{report.held:,} not asked, as their host wishes")
    if report.failed:
        common = [f"{count} × {_shown(reason)}" for reason, count in report.reasons.most_common(3)]
        more = ", …" if len(report.reasons) > 3 else ""
        words.append(f"{report.failed:,} failed ({', '.join(common)}{more})")
    return "collect: " + ", ".join(words)


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


# ---------------------------------------------------------------- curate and compose


def _texts_words(told: Texts) -> str:
    """`pages: daily: 12 of 14 asked for, 9 taken`"""
    report = told.report
    if report.missing:
        return (
            f"pages: {told.newsletter}: none of {report.wanted:,} is read, since the extra for it is not installed: "
            "pip install 'digest-newsletter[fulltext]'"
        )
    return f"pages: {told.newsletter}: {report.asked:,} of {report.wanted:,} asked for, {report.taken:,} taken"


def _pictures_words(told: Pictures) -> str:
    """`pictures: daily: 14 asked for, 9 stories have one, 3 have none`"""
    report = told.report
    found = count(report.taken, "story has one", "stories have one")
    return f"pictures: {told.newsletter}: {report.asked:,} asked for, {found}, {report.none:,} none"


def _summaries_words(told: Summaries) -> str:
    """`summaries: daily: 5 asked for, 4 taken, 1 dropped`"""
    report = told.report
    trouble = f"; {report.trouble}" if report.trouble else ""
    return (
        f"summaries: {told.newsletter}: {report.asked:,} of {report.wanted:,} asked for, {report.taken:,} taken, "
        f"{report.dropped:,} dropped{trouble}"
    )


def _taken_words(taken: Taken) -> str:
    admitted = taken.admitted
    return (
        f"curate: {taken.newsletter}, {count(admitted.stories, 'new story', 'new stories')}, "
        f"{admitted.joined:,} joined to others, {admitted.held:,} held back, {admitted.muted:,} muted"
    )


def _tell_composed(options: Options, composed: edition.Composed) -> None:
    options.say(f"compose: {composed.newsletter}, {_composed_words(composed)}")
    for finding in composed.findings:
        options.warn(f"{composed.newsletter} No. {composed.number}: {finding.check}: {finding.words}")


def _composed_words(composed: edition.Composed) -> str:
    if composed.why:
        return composed.why
    more = f" and {composed.more:,} more" if composed.more else ""
    return (
        f"No. {composed.number} “{composed.subject}”, {count(composed.stories, 'story', 'stories')}{more}, "
        f"{count(composed.variants, 'variant', 'variants')}, {count(composed.letters, 'letter', 'letters')}"
    )


# ---------------------------------------------------------------- deliver


def tell_delivery(options: Options, config: Config, report: deliver.Report) -> None:
    """One line of figures, and what somebody has to know or do."""
    parts = [f"{report.sent:,} sent"]
    parts += [
        f"{n:,} {word}"
        for word in ("refused", "deferred", "dropped", "held", "in doubt")
        if (n := getattr(report, word.replace(" ", "_")))
    ]
    relays = [config.smtp, *(config.imprint(name).smtp for name in config.turn)]
    if report.sent and not any(smtp.servers for smtp in relays):
        parts.append(f"kept as .eml files in {report.where}, since no smtp.url is set")
    if report.in_doubt and any(smtp.after_crash == "resend" for smtp in relays):
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
    for name, why in report.sick.items():
        if name not in config.broken and why != report.stopped:  # of which more was said when the settings were read
            whose = f"{name} is held up" if name else "mails that belong to no newsletter are held up"
            left = count(report.of(name).left, "letter waits", "letters wait")
            options.warn(f"{whose}, {left}: {why}")
    if report.stopped:
        options.warn(f"delivery stopped: {report.stopped}; every letter stays owed, the next run goes on")


def _broken_off_words(report: deliver.Report) -> str:
    owed = max(0, report.owed - report.tried)
    words = f"{report.sent:,} sent and written down, {owed:,} still owed"
    return f"{words}, of which up to {report.twice:,} may come twice" if report.twice else f"{words}, none in doubt"


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


def heard_words(told: hear.Readings) -> str:
    """What was read, and what followed."""
    told_acts = {
        "suppress": "suppressed", "complaint": "complained", "pause": "paused", "leave": "left", "ours": "ours to mend",
        "doubted": "not believed", "ask": "to answer", "unproven": "unproven",
    }  # fmt: skip
    followed = ", ".join(f"{told.acts.get(act, 0):,} {words}" for act, words in told_acts.items() if told.acts.get(act))
    copies = f", {told.copies:,} known before" if told.copies else ""
    more = f"; {count(told.cut, 'was', 'were')} too large to be read whole" if told.cut else ""
    more += "; there is more" if told.more else ""
    return f"{count(told.read, 'mail', 'mails')} read{copies}" + (f": {followed}" if followed else "") + more
