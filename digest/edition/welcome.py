"""Welcome who has just come: with the latest edition, rendered for what they chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session

from digest import curate, schedule
from digest.config import Config, Newsletter
from digest.dataclass import dataclass
from digest.edition import pictures
from digest.edition.variants import NO_MOVES, Matter, Press, matter_of, variants_of
from digest.store import Database, edition_stories, editions, newsletters, recipients

WELCOME_FOR = timedelta(days=7)
_AT_A_TIME = 200  # people, whose mails are rendered between two transactions


@dataclass(frozen=True)
class _Seen:
    """What welcomes them, and which mail (none: too little to read) who of which choices is to have."""

    edition_id: int
    start: int
    matter: Matter
    choices: dict[recipients.Group, recipients.VariantKey]
    cuts: Mapping[str, curate.Cut]


def welcome(database: Database, name: str, config: Config, *, now: datetime) -> int:
    """Owe the latest edition to those who have come since; how many letters.

    It is the edition as regular readers of the same choices got it, made for them where there were none. What was
    not in it does not count as read: with fewer than `min_stories` it all waits for the next edition. It stands for
    the slot of theirs that has passed. Where there is no edition to welcome with, none comes later either.
    Mails are rendered in no transaction. ConfigError where template or settings are wrong.
    """
    letters = 0
    while True:
        with database.read() as session:
            seen = _look(session, name, config, now=now)
        if seen is None:
            return letters
        press = Press(name, config.newsletters[name], config, seen.matter)
        press.make(dict.fromkeys(seen.choices.values()))
        with database.write() as session:
            people, owed = _owe(session, press, seen, now=now)
        letters += owed
        if not people:  # all of them changed something meanwhile: it is the next run's
            return letters


def _look(session: Session, name: str, config: Config, *, now: datetime) -> _Seen | None:
    """None where nobody waits, or all wait for the letters of others."""
    row = newsletters.find(session, name)
    assert row.id is not None
    waiting = recipients.to_welcome(session, row.id, limit=_AT_A_TIME)
    if not waiting or editions.laying_out(session, row.id):
        return None  # the latest edition is not there yet
    found = recipients.welcoming(session, row.id, since=_since(config.newsletters[name], now))
    if found is None:
        return _Seen(0, 0, Matter(0, 0, (), "", now), {}, {})
    edition = found.edition
    groups = [recipients.group_of(subscription, since=found.start) for subscription in waiting]
    matter = matter_of(session, row, groups, config=config, now=edition.composed_at, held=edition)
    matter = pictures.pictured(session, matter, config.newsletters[name].images)
    cuts = Press(name, config.newsletters[name], config, matter).cut(session, row.id, groups)
    # Who comes sees the edition as it was; orders of single readers, who come by and by, would have no bound.
    cuts = {key: replace(cut, moved=NO_MOVES) for key, cut in cuts.items()}
    wanted = variants_of(groups, matter.stories, config.newsletters[name], cuts)
    choices = {group: choices for choices, theirs in wanted.items() for group in theirs}
    return _Seen(edition.id or 0, found.start, matter, choices, cuts)


def _owe(session: Session, press: Press, seen: _Seen, *, now: datetime) -> tuple[int, int]:
    """How many people were dealt with, and how many of them get a letter."""
    row = newsletters.lock(session, press.name)
    assert row.id is not None
    found = recipients.welcoming(session, row.id, since=_since(press.settings, now))
    people = recipients.to_welcome(session, row.id, limit=_AT_A_TIME, lock=True)
    if (found.edition.id if found else 0) != seen.edition_id or editions.laying_out(session, row.id):
        return 0, 0  # another edition came meanwhile
    dealt = letters = 0
    for subscription in people:
        group = recipients.group_of(subscription, since=seen.start)
        choices = seen.choices.get(group)
        if found is not None and choices is None and not _nothing(group, seen, press.settings):
            continue  # they chose something else meanwhile
        dealt += 1
        subscription.awaits_welcome = False
        session.add(subscription)
        if found is None or choices is None or recipients.had(session, subscription, found.edition):
            continue
        made = press.made[choices]
        if made is None:  # too few stories
            subscription.read_until = min(subscription.read_until, found.start)
            continue
        variant_id = editions.variant_id(session, seen.edition_id, made.key)
        if variant_id is None:
            added = edition_stories.add_variants(session, found.edition, [made.row], {made.key: made.stories})
            variant_id = added[made.key]
            pictures.used(session, [made], now=now)
        letters += recipients.owe_welcome(session, subscription, found.edition, variant_id, now)
        own = schedule.own(subscription.cadence, subscription.hour, subscription.zone, press.settings.slots)
        subscription.offered_at = own.counts_for(now) if own else None
    session.flush()
    return dealt, letters


def _since(settings: Newsletter, now: datetime) -> datetime:
    """What is older is no welcome, unless it is what comes but once a month, and no slot has passed since."""
    return min(now - WELCOME_FOR, settings.slots.last_slot(now)) if settings.slots else now - WELCOME_FOR


def _nothing(group: recipients.Group, seen: _Seen, settings: Newsletter) -> bool:
    """Has the edition no story for them? Of a taste that nobody had before, nobody knows."""
    if group.taste and group.taste not in seen.cuts:
        return False
    return not variants_of([group], seen.matter.stories, settings, seen.cuts)
