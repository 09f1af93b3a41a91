"""Close an edition when its slot is due: choose, render, and owe the letters, in one transaction.

Rendering thousands of variants takes minutes, and on SQLite a transaction that writes shuts out all others. So
`prepare` renders them beforehand, in no transaction, and `compose` uses what still fits and makes the rest. The letters
of more than AT_ONCE readers take too long, too: they are laid out in steps, see `edition.laying_out`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session

from digest import curate, schedule
from digest.config import Config, Newsletter
from digest.edition import following, pictures
from digest.edition.report import Composed
from digest.edition.turns import not_now
from digest.edition.variants import (
    TRIES,
    Frozen,
    Matter,
    Press,
    in_common_order,
    matter_of,
    muted_all,
    still,
    variants_of,
)
from digest.models import Edition, EditionState
from digest.models import Newsletter as NewsletterRow
from digest.render import Finding
from digest.schedule import Turn
from digest.store import Database, edition_stories, editions, newsletters, pauses, recipients, witness

AT_ONCE = 2_000  # readers whose letters are owed in one transaction, and no steps
LAYING_OUT = "its letters are being laid out"  # why an edition is held meanwhile
_AT_A_TIME = 500  # variants stored


class Moved(Exception):
    """What was rendered is no longer what an edition is to be made of, or not all of it: nothing is rendered here."""


def take_turn(database: Database, name: str, config: Config, *, now: datetime) -> Composed:
    """`compose` in a transaction of its own, with the mails rendered before it begins; for many readers in steps."""
    with database.read() as session:
        number = newsletters.find(session, name).id or 0
        in_steps = recipients.many(session, number, most=AT_ONCE) or editions.laying_out(session, number)
    if in_steps:
        from digest.edition.laying_out import lay_out  # only where there are many

        return lay_out(database, name, config, now=now)
    press = None
    for _ in range(TRIES):
        press = prepare(database, name, config, now=now, before=press)
        try:
            with database.write() as session:
                return compose(session, name, config, now=now, press=press, prepared=True)
        except Moved:
            continue
    return Composed(name, why="stories or note changed again and again while it was rendered; the next run composes it")


def prepare(
    database: Database, name: str, config: Config, *, now: datetime, before: Press | None = None
) -> Press | None:
    """Render what `compose` would store at this moment, in no transaction; None where nothing is due.

    What was rendered `before` is used again where nobody decided anything since.
    Who comes back at this moment does so now, for it is rendered for them too.
    """
    settings = config.newsletters[name]
    with database.read() as session:
        row = newsletters.find(session, name)
        if not_now(session, row, settings, now=now):
            return None
    pauses.end_all(database, now=now)
    with database.read() as session:
        row = newsletters.find(session, name)
        assert row.id is not None
        with recipients.laid_out(session, row.id, turns_of(session, row, settings, now=now)):
            groups = recipients.due_groups(session, row.id)
        if not groups:
            return None
        matter = matter_of(session, row, groups, config=config, now=now)
        matter = pictures.pictured(session, matter, settings.images)
    if before is not None and before.matter.still(matter):
        press, matter = before, before.matter
    else:
        press = Press(name, settings, config, matter)
    with database.read() as session:
        cuts = press.cut(session, row.id, groups)
    press.make(variants_of(groups, matter.stories, settings, cuts))
    return press


def compose(
    session: Session,
    name: str,
    config: Config,
    *,
    now: datetime,
    press: Press | None = None,
    prepared: bool = False,
) -> Composed:
    """Compose the next edition of newsletter `name`, if it is due, and owe a letter to each subscription due.

    Edition, variants, outbox rows and watermarks are one transaction, the caller's. A slot missed by more
    than a day is not made up for: one edition holds everything since. With fewer than `min_stories` nothing
    is sent to those readers, and their stories wait for the next slot. What `press` has from `prepare` at the same
    `now` is used, and stories admitted since then wait for the next edition. What is missing is rendered here, unless
    all was to be `prepared`: then Moved is raised, for texts are not worked on while others wait for the write lock.
    """
    settings = config.newsletters[name]
    row = newsletters.lock(session, name)
    assert row.id is not None
    if why := not_now(session, row, settings, now=now):
        return Composed(name, why=why)
    if half := editions.laying_out(session, row.id):
        return Composed(name, why=f"No. {half.number} is being laid out")
    slot = settings.slots.last_slot(now) if settings.slots else None
    recipients.lock_readers(session, row.id)
    if press is None:
        pauses.end_pauses(session, now=now)
    due = turns_of(session, row, settings, now=now)
    row.slot_at = slot or now
    session.add(row)
    session.flush()
    if not due:
        return Composed(name, why="no active subscribers")
    with recipients.laid_out(session, row.id, due):
        groups = recipients.due_groups(session, row.id)
        if not groups:
            return Composed(name, why="no subscriber wants one now")
        if press is not None and not still(session, row, groups, press.matter, config=config, now=now):
            press = None
        if prepared and press is None:
            raise Moved
        if press is None:
            matter = matter_of(session, row, groups, config=config, now=now)
            press = Press(name, settings, config, pictures.pictured(session, matter, settings.images))
        matter = press.matter
        cuts = press.cut(session, row.id, groups)
        wanted = variants_of(groups, matter.stories, settings, cuts)
        if prepared and not wanted.keys() <= press.made.keys():
            raise Moved
        made = press.make(wanted)
        muted = dict.fromkeys(muted_all(groups, matter.stories, settings, cuts), recipients.MUTED)
        gets: dict[recipients.Group, int | None] = dict.fromkeys(groups) | muted
        if not made:
            recipients.owe(session, row.id, gets, edition=None, upto=matter.upto, marks=slot is not None, now=now)
            return Composed(name, why=too_few(settings))
        edition = opened(session, row, settings, matter, slot=slot)
        following.keep(session, row.id, matter.found)
        gets |= _store(session, edition, made, wanted)
        pictures.used(session, made, now=now)
        marks = slot is not None
        letters = recipients.owe(session, row.id, gets, edition=edition, upto=matter.upto, marks=marks, now=now)
    note(session, edition, due)
    fullest = max(made, key=lambda one: len(one.stories))
    composed = Composed(
        newsletter=name,
        number=edition.number,
        subject=fullest.subject,
        stories=len(fullest.stories),
        more=fullest.more,
        variants=len(made),
        letters=letters,
        held=bool(settings.approve),
        findings=(*press.findings.values(), *flattened(wanted, matter, settings, cuts)),
    )
    if settings.approve:
        from digest.edition.held import ask_editor  # only where one is to see it

        ask_editor(session, name, config, composed, now=now)
    return composed


def _store(
    session: Session,
    edition: Edition,
    made: Sequence[Frozen],
    wanted: Mapping[recipients.VariantKey, Iterable[recipients.Group]],
) -> dict[recipients.Group, int]:
    """Store the variants of an edition; which one (its id) a group gets."""
    found: dict[recipients.Group, int] = {}
    for start in range(0, len(made), _AT_A_TIME):
        some = made[start : start + _AT_A_TIME]
        rows, carried = [one.row for one in some], {one.key: one.stories for one in some}
        ids = edition_stories.add_variants(session, edition, rows, carried)
        found |= {group: ids[one.key] for one in some for group in wanted[one.choices]}
    return found


def turns_of(
    session: Session,
    row: NewsletterRow,
    settings: Newsletter,
    *,
    now: datetime,
    first: bool | None = None,
    unread: int | None = None,
) -> dict[recipients.Hours, list[Turn]]:
    """Who of which schedule gets the edition that is due now, and when. Is it the `first`? None: as the row says.

    With `unread` only schedules of those who have not read up to that seq.
    """
    assert row.id is not None
    first = not row.edition_number if first is None else first
    found = {}
    for cadence, hour, zone in recipients.readers_hours(session, row.id, unread=unread):
        own = schedule.own(cadence, hour, zone, settings.slots)
        if slots := settings.slots:
            theirs = schedule.turns(own, slots, now=now, since=row.slot_at)
        else:
            theirs = schedule.turns_of_run(own, hour=hour is not None, since=row.slot_at, now=now)
        if first:  # nobody missed an edition of what had none yet
            theirs = [replace(turn, known=None) for turn in theirs]
        found[cadence, hour, zone] = theirs
    return found


def note(session: Session, edition: Edition, due: Mapping[recipients.Hours, Iterable[Turn]]) -> None:
    """Let the witness know of an edition before a letter of it can go out."""
    # Whose day was spent has this one a day later: a restore need not know it, they had one for the day it counts as.
    slots_had = ((*own, turn.slot) for own, theirs in due.items() for turn in theirs if turn.spent is None)
    witness.note_edition(session, edition.id or 0, slots_had)


def opened(
    session: Session,
    row: NewsletterRow,
    settings: Newsletter,
    matter: Matter,
    *,
    slot: datetime | None,
    in_steps: bool = False,
) -> Edition:
    """The row of the next edition, held where the editor is to see it first. It takes the newsletter's note."""
    assert row.id is not None
    row.edition_number = matter.number
    edition = Edition(
        newsletter_id=row.id,
        number=matter.number,
        slot_at=slot,
        composed_at=matter.at,
        title=settings.title,
        upto_seq=matter.upto,
        sender=settings.sender,
        reply_to=settings.reply_to or "",
        note=matter.note,
    )
    row.note = ""
    if in_steps:
        edition.laying_out, edition.state, edition.state_reason = True, EditionState.HELD, LAYING_OUT
    else:
        wait_for_editor(edition, settings, since=matter.at)
    session.add(edition)
    session.flush()
    return edition


def wait_for_editor(edition: Edition, settings: Newsletter, *, since: datetime) -> None:
    """Hold an edition whose letters are all there, where its editor is to see it first."""
    if settings.approve:
        edition.state = EditionState.HELD
        edition.state_reason = "waits for the editor"
        edition.open_at = since + timedelta(hours=settings.approve_hours) if settings.approve_hours else None


def flattened(
    wanted: Mapping[recipients.VariantKey, Sequence[recipients.Group]],
    matter: Matter,
    settings: Newsletter,
    cuts: Mapping[str, curate.Cut],
) -> Iterable[Finding]:
    number = in_common_order(wanted, matter.stories, settings, cuts)
    if number:
        words = f"{number:,} readers got the common order: there are more than most_orders = {settings.most_orders}"
        yield Finding("orders", "warning", words)


def too_few(settings: Newsletter) -> str:
    if settings.min_stories == 1:
        return "nothing new for any subscriber"
    return f"fewer than {settings.min_stories} new stories for any subscriber; they wait for the next edition"
