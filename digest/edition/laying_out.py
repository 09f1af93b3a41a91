"""Lay out a large edition in steps: no transaction is long, and no letter may go out before all are there.

First the edition's row, `laying_out` and held; then its variants, rendered and stored some at a time, so that no more
of them are in memory; then the letters of some readers at a time, each with how far that reader has read; and at last
the edition opens. Killed anywhere, the next run finds by the rows what is left: it goes on with the readers who are due
by the edition's own moment and are owed no letter of it. What a reader, an editor or another composer changed between
two steps counts for what is not written yet.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from itertools import islice

from sqlmodel import Session

from digest import curate
from digest.config import Config
from digest.dataclass import dataclass
from digest.edition import following, pictures
from digest.edition.compose import (
    Moved,
    flattened,
    note,
    opened,
    too_few,
    turns_of,
    wait_for_editor,
)
from digest.edition.report import Composed
from digest.edition.turns import not_now
from digest.edition.variants import TRIES, Frozen, Press, matter_of, muted_all, still, variants_of
from digest.errors import ConfigError
from digest.models import Edition, EditionState
from digest.models import Newsletter as NewsletterRow
from digest.render import Finding
from digest.schedule import Turn
from digest.store import Database, edition_stories, editions, newsletters, pauses, recipients, stories, tallies, waking

_AT_A_TIME = 200  # variants rendered, and stored in one transaction
_READERS = (500, 10_000)  # whose letters are owed in one transaction: of the first and at least, and at most
_LASTS = 0.25  # seconds that one is to last
NOBODY_LEFT = "nobody was left with anything to read in it"  # why it is cancelled at its end


class _Over(Exception):
    """The edition is not being laid out any more: another composer came to its end."""


@dataclass
class _Seen:
    """What a look at the rows came to: of which readers, and which variants they are to get."""

    edition_id: int = 0  # 0: there is none yet
    turns: dict[recipients.Hours, list[Turn]] = field(default_factory=dict)
    press: Press | None = None
    wanted: Mapping[recipients.VariantKey, Sequence[recipients.Group]] = field(default_factory=dict)
    stored: dict[recipients.VariantKey, int] = field(default_factory=dict)
    spared: Sequence[recipients.Group] = ()  # who mutes all of it
    cuts: Mapping[str, curate.Cut] = field(default_factory=dict)
    decided: bytes = b""  # what editors had decided by then: see `stories.decided`
    missing: Iterator[recipients.VariantKey] = field(default_factory=lambda: iter(()))  # what is not rendered yet
    made: Sequence[Frozen] = ()  # what is rendered, and not stored yet
    few: set[recipients.VariantKey] = field(default_factory=set)  # choices that have too few stories
    known: dict[recipients.Group, int | None] = field(default_factory=dict)  # see `_map`
    upto: int = 0  # the last story that it had to choose from


def lay_out(database: Database, name: str, config: Config, *, now: datetime) -> Composed:
    """Compose the next edition of a newsletter, or go on where its letters are half written.

    As `compose` does in one transaction, and what it says of slots, `min_stories` and mutes holds. Who joins meanwhile
    gets the next one; who leaves gets no letter; who chooses something else gets what they chose, as far as they are
    owed no letter yet. ConfigError where template or settings are wrong: what was begun stays closed till they are not.
    """
    try:
        return _lay_out(database, name, config, now=now)
    except ConfigError as error:
        with database.read() as session:
            half = editions.laying_out(session, newsletters.find(session, name).id or 0)
        if half is None:
            raise
        then = f"No. {half.number} is laid out in part, and goes on once this is mended"
        raise ConfigError(str(error), hint=f"{error.hint}; {then}" if error.hint else then) from None


def _lay_out(database: Database, name: str, config: Config, *, now: datetime) -> Composed:
    findings: dict[str, Finding] = {}
    for _ in range(TRIES):
        seen = _look(database, name, config, now=now)
        if seen is None:
            return _none_due(database, name, config, now=now)
        if not seen.edition_id and not seen.made:
            return _nothing(database, seen, name, config, now=now)
        try:
            if not seen.edition_id:
                flat = flattened(seen.wanted, seen.press.matter, config.newsletters[name], seen.cuts)  # type: ignore[union-attr]
                findings |= {finding.check: finding for finding in flat}
                seen.edition_id = _begin(database, seen, name, config, now=now)
            return _go_on(database, seen, name, config, now=now, findings=findings)
        except Moved:
            continue
        except _Over:
            return Composed(name, why="another process laid it out")
    return Composed(name, why="stories or note changed again and again while it was rendered; the next run composes it")


def _look(
    database: Database,
    name: str,
    config: Config,
    *,
    now: datetime,
    few: set[recipients.VariantKey] | None = None,
) -> _Seen | None:
    """Who is due and owed no letter yet, with the first mails that are missing rendered; None where nobody may be.

    Who comes back at this moment does so now, where the edition has not begun yet. In a later look, `few` are choices
    that have too few stories.
    """
    settings = config.newsletters[name]
    with database.read() as session:
        row = newsletters.find(session, name)
        if few is None and not_now(session, row, settings, now=now):
            return None
        begun = editions.laying_out(session, row.id or 0)
    if not begun:
        pauses.end_all(database, now=now)
    with database.read() as session:
        row = newsletters.find(session, name)
        assert row.id is not None
        edition = editions.laying_out(session, row.id)
        at, first = (edition.composed_at, edition.number == 1) if edition else (now, None)
        seen = _Seen(edition.id or 0 if edition else 0)
        seen.turns = turns_of(session, row, settings, now=at, first=first)
        with recipients.laid_out(session, row.id or 0, seen.turns):
            groups = recipients.due_groups(session, row.id, edition=edition)
        if edition:
            choices = recipients.VariantKey
            seen.stored = {choices.of(one): one.id or 0 for one in editions.variants(session, seen.edition_id)}
        seen.known = {_plain(group): None for group in groups}
        if not groups:
            return seen if edition else None
        matter = matter_of(session, row, groups, config=config, now=at, held=edition)
        matter = pictures.pictured(session, matter, settings.images)
        seen.press, seen.upto, seen.decided = Press(name, settings, config, matter), matter.upto, matter.decided
        seen.cuts = seen.press.cut(session, row.id, groups)
    seen.wanted = variants_of(groups, matter.stories, settings, seen.cuts, kept=seen.stored.keys())
    seen.spared = muted_all(groups, matter.stories, settings, seen.cuts)
    seen.few = set(few or ())
    missing = [one for one in seen.wanted if one not in seen.stored and one not in seen.few]
    # The fullest first, and one of each kind with it: a template that is wrong is so before an edition begins.
    kinds = {(one.language, one.plain): one for one in reversed(missing)}
    seen.missing = iter(dict.fromkeys([*missing[:1], *kinds.values(), *missing]))
    _render(seen)
    return seen


def _render(seen: _Seen) -> None:
    """Render the next of the mails that are missing, until there is something to store; `made` is empty at the end."""
    seen.made = ()
    while seen.press and not seen.made and (some := list(islice(seen.missing, _AT_A_TIME))):
        seen.made = seen.press.make(some)
        seen.few.update(choices for choices in some if seen.press.made[choices] is None)
        seen.press.made.clear()


def _none_due(database: Database, name: str, config: Config, *, now: datetime) -> Composed:
    settings = config.newsletters[name]
    with database.write() as session:
        row = newsletters.lock(session, name)
        if why := not_now(session, row, settings, now=now):
            return Composed(name, why=why)
        if editions.laying_out(session, row.id or 0) is None:
            row.slot_at = _slot(config, name, now) or now
            session.add(row)
    return Composed(name, why="no subscriber wants one now")


def _slot(config: Config, name: str, at: datetime) -> datetime | None:
    slots = config.newsletters[name].slots
    return slots.last_slot(at) if slots else None


def _nothing(database: Database, seen: _Seen, name: str, config: Config, *, now: datetime) -> Composed:
    """There is too little for anybody: their slot has passed, and the stories wait."""
    slot = _slot(config, name, now)
    _map(seen)
    _owe_left(database, seen, name, marks=slot is not None, now=now)
    with database.write() as session:
        row = newsletters.lock(session, name)
        row.slot_at = max(row.slot_at, slot or now)
        session.add(row)
    return Composed(name, why=too_few(config.newsletters[name]))


def _begin(database: Database, seen: _Seen, name: str, config: Config, *, now: datetime) -> int:
    """The edition's row, with nothing in it; Moved where somebody decided something since it was looked at."""
    settings, press = config.newsletters[name], seen.press
    assert press is not None
    with database.write() as session:
        row = newsletters.lock(session, name)
        assert row.id is not None
        if not_now(session, row, settings, now=now) or editions.laying_out(session, row.id):
            raise Moved
        if not still(session, row, seen.known, press.matter, config=config, now=now):
            raise Moved
        edition = opened(session, row, settings, press.matter, slot=_slot(config, name, now), in_steps=True)
        following.keep(session, row.id, press.matter.found)
        session.add(row)
        session.flush()
        seen.decided = stories.decided(session, row.id, since=press.matter.since, upto=press.matter.upto)
        return edition.id or 0


def _go_on(
    database: Database, seen: _Seen, name: str, config: Config, *, now: datetime, findings: dict[str, Finding]
) -> Composed:
    """Variants, letters, and again for who changed something meanwhile; then it opens. Who changes still waits."""
    for turn in range(TRIES):
        _store(database, seen, name, now=now, findings=findings)
        seen.press = None  # nobody needs it any more, and it is large
        _owe_left(database, seen, name, marks=not turn and config.newsletters[name].slots is not None, now=now)
        if turn == TRIES - 1 or not _more(database, seen, name, config):
            break
        again = _look(database, name, config, now=now, few=seen.few)
        if again is None or again.edition_id != seen.edition_id:
            raise _Over
        seen = again
    return _end(database, seen, name, config, now=now, findings=tuple(findings.values()))


def _more(database: Database, seen: _Seen, name: str, config: Config) -> bool:
    """Is somebody owed something who was not when it was looked at: who chose something since, or came back?"""
    with database.read() as session:
        row, edition = newsletters.find(session, name), session.get(Edition, seen.edition_id)
        if edition is None:
            return False
        settings, first = config.newsletters[name], edition.number == 1
        turns = turns_of(session, row, settings, now=edition.composed_at, first=first, unread=edition.upto_seq)
        with recipients.laid_out(session, row.id or 0, turns):
            groups = recipients.groups_left(session, row.id or 0, edition)
    return any(seen.known.get(_plain(group), recipients.MUTED) is not None for group in groups)


def _store(database: Database, seen: _Seen, name: str, *, now: datetime, findings: dict[str, Finding]) -> None:
    """Store what is made, and make the next; Moved where somebody decided something since it was looked at."""
    while seen.press:
        findings |= seen.press.findings  # of what is stored now, or was made last and came to nothing
        if not seen.made:
            break
        some, matter = {one.key: one for one in seen.made}, seen.press.matter
        with database.write() as session:
            row, edition = _locked(session, seen, name)
            if seen.decided != stories.decided(session, row.id or 0, since=matter.since, upto=matter.upto):
                raise Moved
            there = editions.variant_ids(session, seen.edition_id, some)  # of another composer
            new = [one for key, one in some.items() if key not in there]
            if new:
                carried = {one.key: one.stories for one in new}
                there |= edition_stories.add_variants(session, edition, [one.row for one in new], carried)
                pictures.used(session, new, now=now)
        seen.stored |= {some[key].choices: id_ for key, id_ in there.items()}
        database.give_way()
        _render(seen)
    _map(seen)


def _locked(session: Session, seen: _Seen, name: str) -> tuple[NewsletterRow, Edition]:
    row = newsletters.lock(session, name)
    # Ours alone, too: else who cancels it on PostgreSQL while we open it would be told so, and it would go out.
    edition = session.get(Edition, seen.edition_id, with_for_update={"key_share": True})
    if edition is None or not edition.laying_out:
        raise _Over
    return row, edition


def _map(seen: _Seen) -> None:
    """Which variant (its id) each group gets; MUTED for who mutes all of it, None for who has nothing to read."""
    seen.known.update((_plain(group), recipients.MUTED) for group in seen.spared)
    for choices, groups in seen.wanted.items():
        if id_ := seen.stored.get(choices):
            seen.known.update((_plain(group), id_) for group in groups)


def _plain(group: recipients.Group) -> recipients.Group:
    return group._replace(readers=0)


def _owe_left(database: Database, seen: _Seen, name: str, *, marks: bool, now: datetime) -> None:
    """Owe what is not written yet, in steps as large as are done in a moment."""
    ids = _left(database, seen, name, marks=marks)
    at, size = 0, _READERS[0]
    while at < len(ids):
        began = time.monotonic()
        _step(database, seen, name, ids[at : at + size], marks=marks, now=now)
        lasted = time.monotonic() - began
        at += size
        database.give_way()
        size = _next_size(size, lasted)


def _next_size(size: int, lasted: float) -> int:
    """Of how many readers the next step is, after one that took so many seconds: twice as many at the most."""
    least, most = _READERS
    fitting = 2 * size if 2 * lasted <= _LASTS else int(size * _LASTS / lasted)
    return max(least, min(most, fitting))


def _left(database: Database, seen: _Seen, name: str, *, marks: bool) -> Sequence[int]:
    """Whose letters are not written yet. With `marks` also whose slot passes without one."""
    variants = {group: id_ or None for group, id_ in seen.known.items() if id_ is not None}
    if not variants and not marks:
        return ()
    with database.read() as session:
        row = newsletters.find(session, name)
        edition = session.get(Edition, seen.edition_id) if seen.edition_id else None
        with recipients.laid_out(session, row.id or 0, seen.turns):
            return recipients.left_to_lay(session, edition, row.id or 0, variants, marks=marks)


def _step(database: Database, seen: _Seen, name: str, some: Sequence[int], *, marks: bool, now: datetime) -> None:
    """Owe these readers what they are due, as they are now, and count it as read.

    Who chose something meanwhile that nothing was rendered for is left for the next look.
    """
    with database.write() as session:
        row, edition = _locked(session, seen, name) if seen.edition_id else (newsletters.lock(session, name), None)
        with recipients.laid_out(session, row.id or 0, seen.turns):
            recipients.owe(
                *(session, row.id or 0, seen.known),
                edition=edition,
                upto=seen.upto,
                marks=edition.slot_at is not None if edition else marks,
                now=now,
                some=some,
            )


def _end(
    database: Database, seen: _Seen, name: str, config: Config, *, now: datetime, findings: tuple[Finding, ...]
) -> Composed:
    """All letters are there: the edition opens, or waits for its editor, or stays cancelled.

    Without a mail, since all its stories were taken out meanwhile or all its readers left, it is cancelled: no page is
    to show an empty one.
    """
    settings = config.newsletters[name]
    with database.write() as session:
        row, edition = _locked(session, seen, name)
        edition.laying_out = False
        variants, letters = editions.promised(session, seen.edition_id)
        if edition.state is EditionState.HELD and not variants:
            edition.state, edition.state_reason = EditionState.CANCELLED, NOBODY_LEFT
        elif edition.state is EditionState.HELD:
            edition.state, edition.state_reason = EditionState.OPEN, ""
            wait_for_editor(edition, settings, since=now)
        row.slot_at = max(row.slot_at, edition.slot_at or edition.composed_at)
        session.add(edition)
        session.add(row)
        session.flush()
        tallies.reopen(session, editions=[seen.edition_id])
        note(session, edition, seen.turns)
        waking.wake(session, waking.DELIVER)
        if not variants:
            return Composed(name, why=f"No. {edition.number} is cancelled: {NOBODY_LEFT}")
        fullest = editions.fullest_variant(session, seen.edition_id)
        composed = Composed(
            newsletter=name,
            number=edition.number,
            subject=fullest.subject if fullest else "",
            stories=fullest.story_count if fullest else 0,
            more=fullest.more_count if fullest else 0,
            variants=variants,
            letters=letters,
            held=edition.state is EditionState.HELD,
            findings=findings,
        )
        if composed.held:
            from digest.edition.held import ask_editor  # only where one is to see it

            ask_editor(session, name, config, composed, now=now)
    return composed
