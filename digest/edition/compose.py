"""Close an edition when its slot is due: choose, render, and owe the letters, in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr

from sqlmodel import Session

from digest import curate, store
from digest.config import Config, Newsletter
from digest.errors import BadInput, ConfigError, NotFound
from digest.models import Edition, EditionState, Variant, VariantStory
from digest.models import Newsletter as NewsletterRow
from digest.render import (
    HTML_LIMIT,
    Finding,
    Page,
    Rendered,
    Section,
    Templates,
    check,
    findings_in_words,
)
from digest.render.speech import speech
from digest.store import Choices
from digest.values import Story, lightened

_TOO_BIG = f"the mail would be larger than {HTML_LIMIT:,} bytes, and these were ranked higher"


@dataclass(frozen=True)
class Draft:
    """One variant, chosen and rendered, not yet saved."""

    choices: Choices
    stories: tuple[Story, ...]
    more: int
    rendered: Rendered
    left: tuple[curate.LeftOut, ...]
    page: Page


@dataclass(frozen=True)
class Composed:
    """What a newsletter's turn came to. Without an edition `why` says so in words."""

    newsletter: str
    number: int = 0
    subject: str = ""
    stories: int = 0
    more: int = 0
    variants: int = 0
    letters: int = 0
    why: str = ""
    held: bool = False  # until the editor lets it go
    findings: tuple[Finding, ...] = ()  # what preflight had to say


def compose(session: Session, name: str, config: Config, *, now: datetime) -> Composed:
    """Compose the next edition of newsletter `name`, if it is due, and owe a letter to each subscription due.

    Edition, variants, outbox rows and watermarks are one transaction, the caller's. A slot missed by more
    than a day is not made up for: one edition holds everything since. With fewer than `min_stories` nothing
    is sent to those readers, and their stories wait for the next slot.
    """
    settings = config.newsletters[name]
    row = store.lock_newsletter(session, name)
    slots = settings.slots
    slot = slots.last_slot(now) if slots else None
    if slots and slot and slot <= row.slot_at:
        return Composed(name, why=f"not due before {slots.next_slot(now):%Y-%m-%d %H:%M} UTC")
    if slot:
        row.slot_at = slot
    session.add(row)
    assert row.id is not None
    store.end_pauses(session, now=now)
    groups = store.due_choices(session, row.id)
    if not groups:
        return Composed(name, why="no active subscribers")
    drafts = draft(session, row, settings, config, groups, note=row.note, now=now)
    if not drafts:
        return Composed(name, why=_too_few(settings))
    findings = preflight(drafts, settings)
    row.edition_number += 1
    edition = Edition(
        newsletter_id=row.id,
        number=row.edition_number,
        slot_at=slot,
        composed_at=now,
        upto_seq=row.seq,
        sender=settings.sender,
        reply_to=settings.reply_to or "",
        note=row.note,
    )
    row.note = ""
    if settings.approve:
        edition.state = EditionState.HELD
        edition.state_reason = "waits for the editor"
        edition.open_at = now + timedelta(hours=settings.approve_hours) if settings.approve_hours else None
    session.add(edition)
    session.flush()
    assert edition.id is not None
    letters = 0
    for one in drafts:
        variant = Variant(
            edition_id=edition.id,
            key=_key(one.choices),
            since_seq=one.choices.since,
            topics=sorted(one.choices.topics),
            subject=one.rendered.subject,
            html=one.rendered.html,
            text=one.rendered.text,
            story_count=len(one.stories),
            more_count=one.more,
            left_out=[[left.story.id, left.why] for left in one.left],
        )
        session.add(variant)
        session.flush()
        assert variant.id is not None
        _keep_stories(session, variant.id, one)
        letters += store.owe_letters(session, variant, one.choices, newsletter_id=row.id, now=now)
    fullest = max(drafts, key=lambda d: len(d.stories))
    composed = Composed(
        newsletter=name,
        number=row.edition_number,
        subject=fullest.rendered.subject,
        stories=len(fullest.stories),
        more=fullest.more,
        variants=len(drafts),
        letters=letters,
        held=bool(settings.approve),
        findings=tuple(findings),
    )
    if settings.approve:
        ask_editor(session, name, config, composed, now=now)
    return composed


def recompose(session: Session, name: str, config: Config, number: int) -> Composed:
    """Choose and render a held edition once more, after the editor pinned, dropped, moved or wrote a note.

    Who gets it, and up to where they have read, stays as it was. BadInput where it is no longer held, or where
    nothing would be left of it.
    """
    settings = config.newsletters[name]
    row = store.lock_newsletter(session, name)
    edition = held_edition(session, name, number)
    assert edition.id is not None and row.id is not None
    variants = {variant.key: variant for variant in store.edition_variants(session, edition.id)}
    groups = [Choices(v.since_seq, frozenset(v.topics)) for v in variants.values()]
    at_least_one = settings.model_copy(update={"min_stories": 1})
    drafts = draft(session, row, at_least_one, config, groups, note=edition.note, now=edition.composed_at, held=edition)
    if len(drafts) < len(variants):
        raise BadInput(
            f"without it, some readers of No. {number} would get nothing", hint="`digest edition cancel` drops it all"
        )
    for one in drafts:
        variant = variants[_key(one.choices)]
        variant.subject, variant.html, variant.text = one.rendered.subject, one.rendered.html, one.rendered.text
        variant.story_count, variant.more_count = len(one.stories), one.more
        variant.left_out = [[left.story.id, left.why] for left in one.left]
        session.add(variant)
        assert variant.id is not None
        store.forget_stories(session, variant.id)
        _keep_stories(session, variant.id, one)
    fullest = max(drafts, key=lambda d: len(d.stories))
    return Composed(name, number, fullest.rendered.subject, len(fullest.stories), fullest.more, len(drafts), held=True)


def held_edition(session: Session, name: str, number: int) -> Edition:
    """An edition that waits for its editor; NotFound or BadInput say why it is none."""
    edition = store.edition_row(session, name, number)
    if edition is None:
        raise NotFound(f"{name} has no edition {number}", hint="`digest edition list` shows what there is")
    if edition.state is not EditionState.HELD:
        raise BadInput(f"No. {number} of {name} is {edition.state}, not held", hint="what is open is being sent")
    return edition


def approve(session: Session, name: str, number: int) -> None:
    """Let a held edition go."""
    edition = held_edition(session, name, number)
    edition.state, edition.state_reason, edition.open_at = EditionState.OPEN, "", None
    session.add(edition)


def annotate(session: Session, name: str, config: Config, text: str, *, number: int | None = None) -> None:
    """Write the editor's note: for the edition to come, or into the one that is held under `number`."""
    if number is None:
        row = store.lock_newsletter(session, name)
        row.note = text.strip()
        session.add(row)
        return
    edition = held_edition(session, name, number)
    edition.note = text.strip()
    session.add(edition)
    recompose(session, name, config, number)


def preflight(drafts: Iterable[Draft], settings: Newsletter) -> list[Finding]:
    """What is wrong with these mails; ConfigError, and so nothing sent, where the settings say "stop"."""
    findings = {f.check: f for one in drafts for f in check(one.rendered) if f.level == "error"}
    if findings and settings.preflight == "stop":
        raise ConfigError(
            "preflight found the mail unfit: " + findings_in_words(list(findings.values())),
            hint='nothing was sent; `digest preview --check` tells all, preflight = "warn" sends anyway',
        )
    return list(findings.values())


def ask_editor(session: Session, name: str, config: Config, composed: Composed, *, now: datetime) -> None:
    """Owe the editor of a held edition a letter that says how to look at it and let it go."""
    settings = config.newsletters[name]
    edition = held_edition(session, name, composed.number)
    assert settings.editor is not None and edition.id is not None
    label, address = parseaddr(settings.editor)
    first = next(iter(store.edition_variants(session, edition.id)), None)
    until = (
        f"It goes out by itself on {edition.open_at:%Y-%m-%d at %H:%M} UTC."
        if edition.open_at
        else "It waits until you let it go."
    )
    view = f"{config.base_url}/editions/{name}/{composed.number}/{first.key}" if first else config.base_url
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
    store.owe_notice(
        session,
        to=address,
        name=label,
        subject=f"To approve: {settings.title} No. {composed.number}",
        text=text,
        sender=settings.sender,
        key=f"approve:{edition.id}",
        now=now,
    )


def _keep_stories(session: Session, variant_id: int, one: Draft) -> None:
    session.add_all(
        VariantStory(variant_id=variant_id, position=position, story_id=story.id)
        for position, story in enumerate(one.stories)
    )


def preview(
    session: Session, name: str, config: Config, *, now: datetime, choices: Choices | None = None
) -> Draft | None:
    """The edition that would be composed at this moment, due or not, for `choices` or for most readers.

    None where there are not enough stories. Where nobody subscribes yet, what the first reader would get.
    """
    settings = config.newsletters[name]
    row = store.newsletter(session, name)
    assert row.id is not None
    if choices is None:
        groups = store.due_choices(session, row.id)
        everything = Choices(since=store.composed_upto(session, row.id), topics=frozenset())
        choices = max(groups, key=lambda group: group.count, default=everything)
    drafts = draft(session, row, settings, config, [choices], note=row.note, now=now)
    return drafts[0] if drafts else None


def draft(
    session: Session,
    row: NewsletterRow,
    settings: Newsletter,
    config: Config,
    groups: list[Choices],
    *,
    note: str,
    now: datetime,
    held: Edition | None = None,
) -> list[Draft]:
    """Choose and render for each group of readers that has `min_stories` to read.

    For the edition to come, or once more for one that is `held`: with its number, and no story newer than it.
    """
    assert row.id is not None
    since = min(group.since for group in groups)
    number, upto = (held.number, held.upto_seq) if held else (row.edition_number + 1, row.seq)
    stories = store.stories_since(session, row.id, since=since, upto=upto)
    templates = Templates(settings.templates)
    titles = {slug: heading.title for slug, heading in curate.headings(settings.topics).items()}
    drafts = []
    for choices in groups:
        unread = [story for story in stories if story.seq > choices.since]
        selection = curate.pick(
            unread, topics=choices.topics, limit=settings.max_stories, curate=config.curate, now=now
        )
        if selection.lead is None or len(selection.stories) < settings.min_stories:
            continue
        page = Page(
            title=settings.title,
            language=settings.language,
            number=number,
            date=now.astimezone(settings.slots.zone) if settings.slots else now,
            lead=selection.lead,
            sections=_sections(selection, titles, settings.language),
            more=selection.more,
            topics=tuple(title for slug, title in titles.items() if slug in choices.topics),
            postal_address=settings.postal_address,
            home=config.base_url,
            view_url=f"{config.base_url}/editions/{row.name}/{number}/{_key(choices)}",
            note=note,
            theme=settings.theme,
            accent=settings.accent,
            accent_dark=lightened(settings.accent, "#1c1f23", 5.5),
            schedule=settings.slots,
        )
        best_first = [story.id for story in selection.stories]
        rendered = templates.render(page, subject=settings.subject, best_first=best_first)
        too_much = tuple(curate.LeftOut(story, _TOO_BIG) for story in rendered.dropped)
        page = page.without(frozenset(story.id for story in rendered.dropped))
        drafts.append(Draft(choices, page.stories, page.more, rendered, (*too_much, *selection.left), page))
    return drafts


def _sections(selection: curate.Selection, titles: Mapping[str, str], language: str) -> tuple[Section, ...]:
    """The stories after the lead under their headings; what has none comes last."""
    found = selection.sections(list(titles))
    unnamed = speech(language).gettext("More stories" if len(found) > 1 else "Stories")
    return tuple(Section(slug, titles.get(slug, unnamed), stories) for slug, stories in found)


def _key(choices: Choices) -> str:
    text = json.dumps([choices.since, sorted(choices.topics)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _too_few(settings: Newsletter) -> str:
    if settings.min_stories == 1:
        return "nothing new for any subscriber"
    return f"fewer than {settings.min_stories} new stories for any subscriber; they wait for the next edition"
