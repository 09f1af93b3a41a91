"""Close an edition when its slot is due: choose, render, and owe the letters, in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from digest import curate, store
from digest.config import Config, Newsletter
from digest.models import Edition, Variant, VariantStory
from digest.models import Newsletter as NewsletterRow
from digest.render import Page, Rendered, Section, Templates
from digest.store import Choices
from digest.values import Story


@dataclass(frozen=True)
class Draft:
    """One variant, chosen and rendered, not yet saved."""

    choices: Choices
    stories: tuple[Story, ...]
    more: int
    rendered: Rendered
    left: tuple[curate.LeftOut, ...] = ()


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
    drafts = draft(session, row, settings, config, groups, now=now)
    if not drafts:
        return Composed(name, why=_too_few(settings))
    row.edition_number += 1
    edition = Edition(
        newsletter_id=row.id,
        number=row.edition_number,
        slot_at=slot,
        composed_at=now,
        upto_seq=row.seq,
        sender=settings.sender,
        reply_to=settings.reply_to or "",
    )
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
        session.add_all(
            VariantStory(variant_id=variant.id, position=position, story_id=story.id)
            for position, story in enumerate(one.stories)
        )
        letters += store.owe_letters(session, variant, one.choices, newsletter_id=row.id, now=now)
    fullest = max(drafts, key=lambda d: len(d.stories))
    return Composed(
        newsletter=name,
        number=row.edition_number,
        subject=fullest.rendered.subject,
        stories=len(fullest.stories),
        more=fullest.more,
        variants=len(drafts),
        letters=letters,
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
    drafts = draft(session, row, settings, config, [choices], now=now)
    return drafts[0] if drafts else None


def draft(
    session: Session, row: NewsletterRow, settings: Newsletter, config: Config, groups: list[Choices], *, now: datetime
) -> list[Draft]:
    """Choose and render for each group of readers that has `min_stories` to read."""
    assert row.id is not None
    since = min(group.since for group in groups)
    stories = store.stories_since(session, row.id, since=since, upto=row.seq)
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
            number=row.edition_number + 1,
            date=now,
            lead=selection.lead,
            sections=_sections(selection, titles),
            more=selection.more,
            topics=tuple(title for slug, title in titles.items() if slug in choices.topics),
            postal_address=settings.postal_address,
            home=config.base_url,
        )
        rendered = templates.render(page, subject=settings.subject)
        drafts.append(Draft(choices, page.stories, page.more, rendered, selection.left))
    return drafts


def _sections(selection: curate.Selection, titles: Mapping[str, str]) -> tuple[Section, ...]:
    """The stories after the lead under their headings; what has none comes last."""
    found = selection.sections(list(titles))
    unnamed = "More stories" if len(found) > 1 else "Stories"
    return tuple(Section(slug, titles.get(slug, unnamed), stories) for slug, stories in found)


def _key(choices: Choices) -> str:
    text = json.dumps([choices.since, sorted(choices.topics)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _too_few(settings: Newsletter) -> str:
    if settings.min_stories == 1:
        return "nothing new for any subscriber"
    return f"fewer than {settings.min_stories} new stories for any subscriber; they wait for the next edition"
