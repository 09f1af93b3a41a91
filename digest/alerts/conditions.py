"""What is the matter, from what was seen: one condition for each thing that somebody has to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from digest.values import Condition, Watched

_NAMED = 10  # feeds, at most, in one alert
_NO_LETTER = "After it no letter goes there; it is renewed on the mail server."
_KEPT_FREE = 200_000_000  # bytes that a disk should have at least


@dataclass(frozen=True)
class Lines:
    """From where on something is the matter; as `[alerts]` has it."""

    feed_failures: int = 3
    feed_days: float = 2
    late: timedelta = timedelta(hours=1)
    bounces: float = 0.05  # of the letters of a week
    complaints: float = 0.003
    least_letters: int = 200  # below which a share says nothing
    disk_days: float = 7
    certificate_days: float = 14


@dataclass(frozen=True)
class Looked:
    """What servers showed whoever connected to them, without a letter.

    `relays` as in `Seen`, None where that was not asked; `certificates` when they end, of relays and of `websites`;
    `unseen` those of which that could not be seen.
    """

    relays: Mapping[str, str] | None
    certificates: Mapping[str, datetime]
    unseen: frozenset[str] = frozenset()
    websites: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Seen:
    """What is not in the database: how a run went, and this machine. None: nobody looked, and nothing is known."""

    # Newsletters ("" is all) whose letters were to be handed over: why they cannot be, "" where they can.
    relays: Mapping[str, str] | None = None
    broken: Mapping[str, str] | None = None  # newsletters, and what is wrong with their settings
    mailbox: str | None = None  # why what came back cannot be read, "" where it can
    clock: str | None = None  # why the clock cannot be right, "" where it can
    database: str | None = None  # what is the matter with it, "" where nothing is
    replica: str | None = None  # why it is not read, "" where it is, or there is none
    free: int | None = None  # bytes on the disk of the database
    growth: float = 0  # bytes a day
    certificates: Mapping[str, datetime] | None = None  # when those of relays and websites end
    unseen: frozenset[str] = frozenset()  # those of which nobody knows: who did not answer
    websites: frozenset[str] = frozenset()  # those that are of websites
    slots: Mapping[str, datetime] = field(default_factory=dict)  # newsletters whose slot passed, and nothing came: when

    def unknown(self, key: str) -> bool:
        """Of what kind of trouble can nothing be said?"""
        looked = {
            "relay": self.relays,
            "settings": self.broken,
            "mailbox": self.mailbox,
            "clock": self.clock,
            "database": self.database,
            "replica": self.replica,
            "disk": self.free,
            "certificate": self.certificates,
        }
        kind, _, name = key.partition(":")
        if kind == "relay" and self.relays is not None:
            return name not in self.relays
        if kind == "certificate" and name in self.unseen:
            return True
        return kind in looked and looked[kind] is None


def conditions(watched: Watched, seen: Seen, lines: Lines, *, now: datetime) -> list[Condition]:
    """All that is the matter, by what somebody has to do."""
    return [
        *_feeds(watched, lines, now),
        *_relays(seen),
        *_editions(watched, seen, lines, now),
        *_letters(watched, lines, now),
        *_shares(watched, lines),
        *_machine(seen, lines, now),
    ]


def _feeds(watched: Watched, lines: Lines, now: datetime) -> Iterator[Condition]:
    """All that fail in one, and all that are silent."""
    since = now - timedelta(days=lines.feed_days)
    failing = [
        one for one in watched.failing if one.failures >= lines.feed_failures and one.since and one.since <= since
    ]
    for key, feeds, does in (("feeds:failing", failing, "cannot be read"), ("feeds:silent", watched.silent, "silent")):
        if not feeds:
            continue
        names = tuple(one.name for one in feeds)
        verb = does if does == "cannot be read" else ("is silent" if len(feeds) == 1 else "are silent")
        shown = "\n".join(f"- {one.name}{': ' + one.error if one.error else ''}" for one in feeds[:_NAMED])
        more = f"\nand {len(feeds) - _NAMED} more" if len(feeds) > _NAMED else ""
        count = f"{len(feeds)} {'feed' if len(feeds) == 1 else 'feeds'}"
        # How long each of them has been so is older than the alert: no damping.
        begun = min((one.since for one in feeds if one.since), default=None)
        yield Condition(key, f"{count} {verb}", f"{shown}{more}", "digest feed list", names=names, since=begun)


def _relays(seen: Seen) -> Iterator[Condition]:
    for name, why in (seen.relays or {}).items():
        if not why:
            continue
        key = f"relay:{name}" if name else "relay"
        whose = f" of {name}" if name else ""
        yield Condition(key, f"no mail server takes the letters{whose}", why, "digest deliver")


def _editions(watched: Watched, seen: Seen, lines: Lines, now: datetime) -> Iterator[Condition]:
    for one in watched.editions:
        what = f"{one.newsletter} No. {one.number}"
        verb = "approve" if one.reason == "waits for the editor" else "resume"
        cure = f"digest edition {verb} {one.number} -n {one.newsletter}"
        key = f"edition:{one.newsletter}:{one.number}"
        yield Condition(key, f"{what} is {one.state}", one.reason or f"it is {one.state}", cure, since=one.since)
    for name, slot in seen.slots.items():
        if now - slot >= lines.late:
            words = f"its edition of {slot:%Y-%m-%d %H:%M} UTC was not composed"
            yield Condition(
                f"late:{name}", f"the edition of {name} is late", words, f"digest run -n {name}", since=slot
            )
    for name, why in (seen.broken or {}).items():
        yield Condition(f"settings:{name}", f"{name} is left out: its settings are wrong", why, "digest status")


def _letters(watched: Watched, lines: Lines, now: datetime) -> Iterator[Condition]:
    if watched.doubtful:
        count = f"{watched.doubtful:,} {'letter is' if watched.doubtful == 1 else 'letters are'}"
        words = "A process died while they were sent: a mail server may have them, or not."
        yield Condition("doubt", f"{count} in doubt", words, "digest outbox list --state held")
    if watched.overdue and watched.oldest and now - watched.oldest >= lines.late:
        words = f"{watched.overdue:,} were due and never tried, the first at {watched.oldest:%Y-%m-%d %H:%M} UTC."
        yield Condition("overdue", "letters do not go out", words, "digest deliver", since=watched.oldest)


def _shares(watched: Watched, lines: Lines) -> Iterator[Condition]:
    if watched.sent < lines.least_letters:
        return
    of = f"of {watched.sent:,} letters in a week"
    for key, number, line, what, cure in (
        ("bounces", watched.bounced, lines.bounces, "came back", "digest bounce list --by domain"),
        ("complaints", watched.complained, lines.complaints, "were called unwanted", "digest mail list"),
    ):
        if number > line * watched.sent:
            share = f"{number:,} ({number / watched.sent:.1%}) {of} {what}; the line is {line:.1%}"
            yield Condition(key, f"too many letters {what}", share, cure)


def _machine(seen: Seen, lines: Lines, now: datetime) -> Iterator[Condition]:
    if seen.free is not None and seen.free < max(_KEPT_FREE, seen.growth * lines.disk_days):
        days = f", enough for {seen.free / seen.growth:.0f} days" if seen.growth else ""
        yield Condition("disk", "the disk is nearly full", f"{seen.free / 1e6:,.0f} MB are left{days}", "df -h")
    for name, end in (seen.certificates or {}).items():
        if end - now < timedelta(days=lines.certificate_days):
            verb = "ends" if end > now else "ended"
            title = f"the certificate of {name} {verb} on {end:%Y-%m-%d}"
            website = name in seen.websites
            after = "After it readers are warned of links, and nobody can leave." if website else _NO_LETTER
            mend = "digest doctor --only links" if website else f"digest relay test --relay {name}"
            yield Condition(f"certificate:{name}", title, after, mend)
    plain: Sequence[tuple[str, str | None, str, str]] = (
        ("mailbox", seen.mailbox, "what came back cannot be read", "digest mail read"),
        ("clock", seen.clock, "the clock of this machine is wrong", "digest clock"),
        ("database", seen.database, "the database is in trouble", "digest status"),
        ("replica", seen.replica, "pages are not read from the replica of the database", "digest status"),
    )
    for key, words, title, cure in plain:
        if words:
            yield Condition(key, title, words, cure)
