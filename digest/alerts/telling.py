"""From the database to the channels: what is the matter is judged in one transaction, and then said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from digest.alerts import shapes
from digest.alerts.channels import Means, say
from digest.alerts.conditions import Lines, Seen, conditions
from digest.alerts.judge import Judgement, judge
from digest.config import Config
from digest.store import Database, alerts, newsletters, outbox
from digest.values import AlertWord, Condition

_RELAY = "relay"


@dataclass
class Told:
    """What was decided to be told, whether letters are owed for it, and what could not be said, by channel."""

    words: list[AlertWord] = field(default_factory=list)
    mails: int = 0
    said: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def now_wrong(session: Session, config: Config, seen: Seen, *, now: datetime) -> list[Condition]:
    """All that is the matter now, told or not."""
    own = config.alerts
    lines = Lines(
        feed_failures=own.feed_failures,
        feed_days=own.feed_days,
        late=timedelta(minutes=own.late_minutes),
        bounces=own.bounce_share,
        complaints=own.complaint_share,
        least_letters=own.least_letters,
        disk_days=own.disk_days,
        certificate_days=own.certificate_days,
    )
    return conditions(alerts.watched(session, now=now), seen, lines, now=now)


def tell(database: Database, config: Config, seen: Seen, *, clock: Callable[[], datetime], means: Means | None) -> Told:
    """Judge, and say what is to be said by each channel; what one could not say, a later run says.

    Without `means` it is judged only. Two at once say nothing twice; who dies between saying and writing it
    down lets the next say it again, under the same name.
    """
    told = Told()
    if not config.alerts.channels:
        return told
    now = clock()
    told.mails += _mails_of_before(database, config, now=now)
    with database.read() as session:
        quiet = not _judged(session, config, seen, now)[1]
    if not quiet:
        with database.write() as session:
            alerts.lock(session)
            judgement, _ = _judged(session, config, seen, now)
            alerts.keep(session, judgement.alerts)
            alerts.prune(session, now=now)
            told.words += judgement.words
            # By mail of a mail server that takes none: only where there is no other way.
            for word in judgement.words:
                told.mails += _owe(session, config, word, now=now)
    if means is not None:
        _say_all(database, config, told, clock=clock, means=means)
    return told


def _judged(session: Session, config: Config, seen: Seen, now: datetime) -> tuple[Judgement, bool]:
    """The judgement, and whether it changes anything."""
    before = alerts.standing(session)
    wrong = now_wrong(session, config, seen, now=now)
    judgement = judge(before, wrong, now=now, patience=config.alerts.patience, unknown=seen.unknown)
    return judgement, judgement.alerts != before


def _owe(session: Session, config: Config, word: AlertWord, *, now: datetime) -> int:
    """Owe a word to each channel; how many of them are letters."""
    channels = config.alerts.channels
    others = [name for name in channels if name != "mail"]
    alerts.owe(session, word, others, now=now)
    of_relays = word.key.partition(":")[0] == _RELAY and word.state != "well"
    if "mail" not in channels or (of_relays and others):
        return 0
    alerts.note_owed(session, word, ["mail"])
    return _mail_word(session, config, word, now=now)


def _mail_word(session: Session, config: Config, word: AlertWord, *, now: datetime) -> int:
    return int(mail(session, config, shapes.title(word), shapes.text(word), key=f"alert:{word.name}", now=now))


def _mails_of_before(database: Database, config: Config, *, now: datetime) -> int:
    """Letters that were owed when an older copy took the database's place: once more, unless they went out."""
    with database.read() as session:
        if "mail" not in config.alerts.channels or not alerts.any_owed(session):
            return 0
    with database.write() as session:
        owed = 0
        for taken in alerts.take(session, ["mail"], now=now):
            owed += _mail_word(session, config, taken.word, now=now)
            alerts.settle(session, taken, error="", now=now)
        return owed


def mail(session: Session, config: Config, subject: str, text: str, *, key: str, now: datetime, html: str = "") -> bool:
    """Owe a letter to the operator, once for each key; False where it was owed, or no newsletter can send it."""
    if not config.newsletters:
        return False
    rows = newsletters.by_name(session)
    name = next((name for name in config.newsletters if name in rows), None)
    if name is None:
        return False
    letter = outbox.NewNotice(
        config.alerts.mail, config.newsletters[name].sender, subject, text, html, newsletter_id=rows[name].id
    )
    return outbox.owe_notice(session, letter, key=key, now=now)


def _say_all(database: Database, config: Config, told: Told, *, clock: Callable[[], datetime], means: Means) -> None:
    others = [name for name in config.alerts.channels if name != "mail"]
    with database.read() as session:
        if not others or not alerts.any_owed(session):
            return
    dead: set[str] = set()
    while there := [name for name in others if name not in dead]:
        # One at a time: its lease is to outlast its saying, whatever those before it took.
        with database.write() as session:
            taken = alerts.take(session, there, now=clock(), most=1)
        if not taken:
            return
        error = say(taken[0].word, taken[0].channel, config.alerts, means)
        with database.write() as session:
            alerts.settle(session, taken[0], error=error, now=clock())
        if error:  # the next run tries it again
            dead.add(taken[0].channel)
            told.failed[taken[0].channel] = error
        else:
            told.said += 1


def test(database: Database, config: Config, *, clock: Callable[[], datetime], means: Means) -> Mapping[str, str]:
    """Say a test by each channel now: why it could not be said, or "", by channel. That of a mail says it is owed."""
    now = clock()
    word = AlertWord(
        f"test/{now:%Y%m%dT%H%M%S.%f}", "test", "test", "a test", "Whoever reads this hears of alerts.", "", now, now
    )
    found: dict[str, str] = {}
    for channel in config.alerts.channels:
        if channel == "mail":
            with database.write() as session:
                owed = mail(session, config, shapes.title(word), shapes.text(word), key=f"alert:{word.name}", now=now)
            found[channel] = "" if owed else "there is no newsletter whose sender it could have"
        else:
            found[channel] = say(word, channel, config.alerts, means)
    return found
