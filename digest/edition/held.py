"""A held edition: what its editor is told of it, changes in it, and lets go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from email.utils import parseaddr
from typing import TypeVar

from sqlmodel import Session

from digest.config import Config
from digest.edition import editor, pictures
from digest.edition.report import Composed
from digest.edition.variants import TRIES, Matter, Press, matter_of
from digest.errors import BadInput, NotFound
from digest.models import Edition, EditionState, Newsletter
from digest.store import Database, edition_states, edition_stories, editions, newsletters, outbox, recipients

MOST_NOTE = 10_000  # characters

Kept = TypeVar("Kept")
_Variants = dict[recipients.VariantKey, int]


def recompose(
    database: Database, name: str, config: Config, number: int, change: Callable[[Session], object]
) -> Composed:
    """Let `change` do what an editor wants (pin, drop, move, write a note), and make a held edition anew with it.

    Its mails are rendered between two transactions: the first shows what the change comes to and is rolled back, so
    `change` is called more than once. Who gets the edition, and up to where they have read, stays as it was. BadInput
    where it is no longer held, where it was held on its way (late), or where nothing would be left of it for some
    readers; nothing is changed then.
    """
    return _anew(database, name, config, lambda _session: [number], change)[1][0]


def follow(
    database: Database, name: str, config: Config, story_ids: Collection[int], change: Callable[[Session], Kept]
) -> tuple[Kept, list[int]]:
    """Let `change` do what an editor wants with these stories, and make held editions anew with it, all or none.

    What it gave, and the numbers of these editions: those that had one of the stories to choose from and went out to
    nobody yet. BadInput as in `recompose`, also while one of them is laid out; nothing is changed then.
    """

    def held(session: Session) -> list[int]:
        newsletter = newsletters.lock(session, name)
        assert newsletter.id is not None
        seqs = [editor.find(session, name, story_id).seq for story_id in story_ids]
        return edition_states.held_over(session, newsletter.id, seqs)

    given, made = _anew(database, name, config, held, change)
    return given, [one.number for one in made]


def _anew(
    database: Database,
    name: str,
    config: Config,
    which: Callable[[Session], Sequence[int]],
    change: Callable[[Session], Kept],
) -> tuple[Kept, list[Composed]]:
    """What `change` gave, and the editions (`which`: their numbers) that were made anew with it, in one transaction."""
    pressed: dict[int, tuple[_Variants, Press]] = {}
    for _ in range(TRIES):
        with database.write() as session:
            numbers = which(session)
            given = change(session)
            seen: dict[int, tuple[_Variants, Matter]] = {}
            for number in numbers:
                matter, variants = _held_matter(session, name, config, number)
                seen[number] = variants, pictures.pictured(session, matter, config.newsletters[name].images)
            if pressed.keys() == seen.keys() and all(
                variants == pressed[number][0] and pressed[number][1].matter.still(matter)
                for number, (variants, matter) in seen.items()
            ):
                return given, [_changed(session, name, number, *pressed[number]) for number in numbers]
            session.rollback()
        pressed = {}
        for number, (variants, matter) in seen.items():
            press = Press(name, config.newsletters[name].model_copy(update={"min_stories": 1}), config, matter)
            if len(press.make(variants)) < len(variants):
                raise BadInput(
                    f"without it, some readers of No. {number} would get nothing",
                    hint="`digest edition cancel` drops it all",
                )
            pressed[number] = variants, press
    raise BadInput(
        f"what is held of {name} was changed by others again and again while it was rendered", hint="try once more"
    )


def _changed(session: Session, name: str, number: int, variants: _Variants, press: Press) -> Composed:
    made = press.make(variants)
    for one in made:
        edition_stories.change_variant(session, variants[one.choices], one.row, one.stories)
    pictures.used(session, made, now=press.matter.at)
    fullest = max(made, key=lambda one: len(one.stories))
    return Composed(name, number, fullest.subject, len(fullest.stories), fullest.more, len(made), held=True)


def _held_matter(session: Session, name: str, config: Config, number: int) -> tuple[Matter, _Variants]:
    """What a held edition is made of, and its variants (ids) by the choices they are made for.

    It stays held until the transaction ends: who lets it go at this moment waits.
    """
    row = newsletters.lock(session, name)
    edition = held_edition(session, name, number, lock=True)
    assert edition.id is not None
    if edition_states.begun(session, edition.id):
        raise BadInput(
            f"No. {number} of {name} went out to some of its readers, and stays as they have it",
            hint="`digest edition approve` lets it go on, `digest edition cancel` drops it",
        )
    variants = {recipients.VariantKey.of(v): v.id or 0 for v in editions.variants(session, edition.id)}
    matter = matter_of(session, row, variants, config=config, now=edition.composed_at, held=edition)
    return matter, variants


def held_edition(session: Session, name: str, number: int, *, lock: bool = False) -> Edition:
    """An edition that waits for its editor; NotFound or BadInput say why it is none."""
    edition = editions.row(session, name, number, lock=lock)
    if edition is None:
        raise NotFound(f"{name} has no edition {number}", hint="`digest edition list` shows what there is")
    if edition.laying_out:
        raise BadInput(f"No. {number} of {name} is being laid out", hint="wait until all its letters are there")
    if edition.state is not EditionState.HELD:
        raise BadInput(f"No. {number} of {name} is {edition.state}, not held", hint="what is open is being sent")
    return edition


def approve(session: Session, name: str, number: int, *, now: datetime) -> None:
    """Let a held edition go. It counts as opened now: however long it waited for its editor, it is not late."""
    edition = held_edition(session, name, number, lock=True)
    edition.state, edition.state_reason, edition.open_at = EditionState.OPEN, "", now
    session.add(edition)


def still_to_come(session: Session, name: str, number: int | None) -> Newsletter:
    """The newsletter's row, locked; BadInput where the edition that was to come as `number` was made by now."""
    row = newsletters.lock(session, name)
    if number is not None and row.edition_number + 1 != number:
        made = editions.row(session, name, number)
        held = made is not None and made.state is EditionState.HELD
        raise BadInput(
            f"No. {number} of {name} was made meanwhile, and nothing was changed",
            hint=f"it is held: look at No. {number}, and change it there" if held else "what waits now is the next one",
        )
    return row


def annotate(
    database: Database,
    name: str,
    config: Config,
    text: str,
    *,
    number: int | None = None,
    to_come: int | None = None,
) -> None:
    """Write the editor's note: for the edition to come, or into the one that is held under `number`.

    `to_come` is the number under which that edition was seen, if it was; see `still_to_come`. BadInput where the note
    is too long for a mail.
    """
    if len(text.strip()) > MOST_NOTE:
        raise BadInput(f"that note has {len(text.strip()):,} characters", hint=f"at most {MOST_NOTE:,} fit into a mail")

    def write(session: Session) -> None:
        row = still_to_come(session, name, to_come) if number is None else held_edition(session, name, number)
        row.note = text.strip()
        session.add(row)
        session.flush()

    if number is not None:
        recompose(database, name, config, number, write)
        return
    with database.write() as session:
        write(session)


def ask_editor(session: Session, name: str, config: Config, composed: Composed, *, now: datetime) -> None:
    """Owe the editor of a held edition a letter that says how to look at it and let it go."""
    settings = config.newsletters[name]
    edition = held_edition(session, name, composed.number)
    assert settings.editor is not None and edition.id is not None
    label, address = parseaddr(settings.editor)
    first = editions.fullest_variant(session, edition.id)
    until = (
        f"It goes out by itself on {edition.open_at:%Y-%m-%d at %H:%M} UTC."
        if edition.open_at
        else "It waits until you let it go."
    )
    home = config.imprint(name).base_url
    view = f"{home}/editions/{name}/{composed.number}/{first.key}" if first else home
    option = f" -n {name}" if len(config.newsletters) > 1 else ""
    wrong = "".join(f"  ! {f.check}: {f.words}\n" for f in composed.findings)
    text = (
        f"{settings.title} No. {composed.number} is composed and waits for you.\n{until}\n\n"
        f"Subject:     {composed.subject}\n"
        f"Stories:     {composed.stories}, and {composed.more} more on the web\n"
        f"Subscribers: {composed.letters}\n{wrong}\n"
        f"Look at it:\n  {view}\n  digest preview{option} --edition {composed.number} --serve\n\n"
        f"Let it go:\n  digest edition approve {composed.number}{option}\n\n"
        f'Change it:\n  digest edition note {composed.number} "A word before the stories."{option}\n'
    )
    subject = f"To approve: {settings.title} No. {composed.number}"
    notice = outbox.NewNotice(
        to=address,
        sender=settings.sender,
        subject=subject,
        text=text,
        name=label,
        newsletter_id=edition.newsletter_id,
    )
    outbox.owe_notice(session, notice, key=f"approve:{edition.id}", now=now)
