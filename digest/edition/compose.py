"""Close an edition when its slot is due: choose, render, and owe the letters, in one transaction.

Rendering thousands of variants takes minutes, and on SQLite a transaction that writes shuts out all others. So
`prepare` renders them beforehand, in no transaction, and `compose` uses what still fits and makes the rest.
"""

from __future__ import annotations

import hmac
import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parseaddr

from sqlmodel import Session

from digest import curate, render, schedule, store
from digest.config import Config, Newsletter
from digest.errors import BadInput, ConfigError, NotFound
from digest.models import Edition, EditionState, packed
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
from digest.schedule import Schedule, Turn
from digest.store import Choices, Database, Group, Hours
from digest.values import Story, lightened

_TOO_BIG = f"the mail would be larger than {HTML_LIMIT:,} bytes, and these were ranked higher"
_AT_A_TIME = 500  # variants stored
_FEW = 100  # variants that may be rendered while a write lock is held
_TRIES = 3


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
class Matter:
    """What an edition is made of: its number, the stories to choose from in the order of their admission, the note."""

    number: int
    upto: int
    stories: tuple[Story, ...]
    note: str
    at: datetime

    def still(self, other: Matter) -> bool:
        """Has nobody decided anything since? That another source told a story meanwhile is no reason to begin anew."""

        def decided(matter: Matter) -> list[tuple[object, ...]]:
            return [(story.seq, story.topic, story.pinned) for story in matter.stories]

        same = (self.number, self.upto, self.note, self.at) == (other.number, other.upto, other.note, other.at)
        return same and decided(self) == decided(other)


@dataclass(frozen=True)
class Frozen:
    """A draft as it is stored. Thousands are kept at a time, so the mail is compressed already."""

    key: str
    choices: Choices
    subject: str
    html: bytes
    text: bytes
    stories: tuple[int, ...]
    more: int
    left: bytes

    @property
    def row(self) -> dict[str, object]:
        return {
            "key": self.key,
            "since_seq": self.choices.since,
            "topics": sorted(self.choices.topics),
            "language": self.choices.language,
            "plain": self.choices.plain,
            "subject": self.subject,
            "html": self.html,
            "text": self.text,
            "story_count": len(self.stories),
            "more_count": self.more,
            "left_out": self.left,
        }


@dataclass
class Press:
    """The variants of one edition, each made once. None is made for choices that have fewer than `min_stories`."""

    name: str
    settings: Newsletter
    config: Config
    matter: Matter
    made: dict[Choices, Frozen | None] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    _checked: set[tuple[str, bool, int]] = field(default_factory=set)

    def make(self, wanted: Iterable[Choices]) -> list[Frozen]:
        """Those of these choices that have something to read, made now or before; ConfigError as `preflight` has it."""
        missing = [choices for choices in wanted if choices not in self.made]
        for choices, draft in drafts(self.name, self.settings, self.config, self.matter, missing):
            self.made[choices] = None if draft is None else self._freeze(draft)
        return [one for choices in wanted if (one := self.made[choices]) is not None]

    def _freeze(self, one: Draft) -> Frozen:
        # What is wrong with a mail is wrong with its template or with one of its stories, so each story is looked at
        # once in each language, and not again in thousands of mails.
        seen = {(one.choices.language, one.choices.plain, story.id) for story in one.stories}
        if not seen <= self._checked:
            self._checked |= seen
            self.findings |= {finding.check: finding for finding in preflight(one.rendered, self.settings)}
        return Frozen(
            key=_key(self.name, self.matter.number, one.choices, self.config),
            choices=one.choices,
            subject=one.rendered.subject,
            html=packed(one.rendered.html),
            text=packed(one.rendered.text),
            stories=tuple(story.id for story in one.stories),
            more=one.more,
            left=packed(json.dumps([[left.story.id, left.why] for left in one.left])),
        )


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


class Moved(Exception):
    """What was rendered is no longer what an edition is to be made of, and to render it anew takes too long here."""


def take_turn(database: Database, name: str, config: Config, *, now: datetime) -> Composed:
    """`compose` in a transaction of its own, with the mails rendered before it begins."""
    for _ in range(_TRIES):
        press = prepare(database, name, config, now=now)
        try:
            with database.write() as session:
                return compose(session, name, config, now=now, press=press)
        except Moved:
            continue
    return Composed(name, why="stories or note changed again and again while it was rendered; the next run composes it")


def prepare(database: Database, name: str, config: Config, *, now: datetime) -> Press | None:
    """Render what `compose` would store at this moment, in no transaction; None where nothing is due.

    Who comes back at this moment does so now, for it is rendered for them too.
    """
    settings = config.newsletters[name]
    with database.read() as session:
        if settings.slots and _due_slot(session, store.newsletter(session, name), settings.slots, now=now) is None:
            return None
    with database.write() as session:
        store.end_pauses(session, now=now)
    with database.read() as session:
        row = store.newsletter(session, name)
        assert row.id is not None
        with store.laid_out(session, _turns(session, row, settings, now=now)):
            groups = store.due_groups(session, row.id)
        if not groups:
            return None
        matter = _matter(session, row, groups, note=row.note, now=now, upto=row.seq)
    press = Press(name, settings, config, matter)
    press.make(variants_of(groups, matter.stories, settings))
    return press


def compose(session: Session, name: str, config: Config, *, now: datetime, press: Press | None = None) -> Composed:
    """Compose the next edition of newsletter `name`, if it is due, and owe a letter to each subscription due.

    Edition, variants, outbox rows and watermarks are one transaction, the caller's. A slot missed by more
    than a day is not made up for: one edition holds everything since. With fewer than `min_stories` nothing
    is sent to those readers, and their stories wait for the next slot. What `press` has from `prepare` at the same
    `now` is used, and stories admitted since then wait for the next edition; Moved where it is true no more.
    """
    settings = config.newsletters[name]
    row = store.lock_newsletter(session, name)
    assert row.id is not None
    slots = settings.slots
    slot = _due_slot(session, row, slots, now=now) if slots else None
    if slots and slot is None:
        return Composed(name, why=f"not due before {slots.next_slot(now):%Y-%m-%d %H:%M} UTC")
    store.lock_readers(session, row.id)
    if press is None:
        store.end_pauses(session, now=now)
    turns = _turns(session, row, settings, now=now)
    row.slot_at = slot or now
    session.add(row)
    session.flush()
    if not turns:
        return Composed(name, why="no active subscribers")
    with store.laid_out(session, turns):
        groups = store.due_groups(session, row.id)
        if not groups:
            return Composed(name, why="no subscriber wants one now")
        matter = _matter(session, row, groups, note=row.note, now=now, upto=press.matter.upto if press else row.seq)
        wanted = variants_of(groups, matter.stories, settings)
        if press is not None and not press.matter.still(matter):
            if len(wanted) > _FEW:
                raise Moved
            press = None
            matter = _matter(session, row, groups, note=row.note, now=now, upto=row.seq)
            wanted = variants_of(groups, matter.stories, settings)
        press = press or Press(name, settings, config, matter)
        made = press.make(wanted)
        if not made:
            if slot:
                store.mark_turns(session, row.id, edition=None, now=now)
            return Composed(name, why=_too_few(settings))
        edition = _open(session, row, settings, matter, slot=slot)
        variants: dict[Group, int] = {}
        for start in range(0, len(made), _AT_A_TIME):
            some = made[start : start + _AT_A_TIME]
            ids = store.add_variants(
                session, edition, [one.row for one in some], {one.key: one.stories for one in some}
            )
            variants |= {group: ids[one.key] for one in some for group in wanted[one.choices]}
        letters = store.owe_letters(session, edition, variants, now=now)
        store.mark_turns(session, row.id, edition=edition, now=now)
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
        findings=tuple(press.findings.values()),
    )
    if settings.approve:
        ask_editor(session, name, config, composed, now=now)
    return composed


def _due_slot(session: Session, row: NewsletterRow, slots: Schedule, *, now: datetime) -> datetime | None:
    """The slot whose edition is to be composed now, if any: on the newsletter's clock, one a day.

    A schedule that was moved to a later hour has another slot on the day whose edition is with its readers already.
    """
    assert row.id is not None
    slot = slots.last_slot(now)
    before = store.last_edition_slot(session, row.id)
    today = before is not None and before.astimezone(slots.zone).date() == slot.astimezone(slots.zone).date()
    return None if today or slot <= row.slot_at else slot


def _turns(session: Session, row: NewsletterRow, settings: Newsletter, *, now: datetime) -> dict[Hours, list[Turn]]:
    """Who of which schedule gets the edition that is due now, and when."""
    assert row.id is not None
    found = {}
    for cadence, hour, zone in store.readers_hours(session, row.id):
        own = schedule.own(cadence, hour, zone, settings.slots)
        if slots := settings.slots:
            turns = schedule.turns(own, slot=slots.last_slot(now), following=slots.next_slot(now), now=now)
        else:
            turns = schedule.turns_of_run(own, hour=hour is not None, since=row.slot_at, now=now)
        found[cadence, hour, zone] = turns
    return found


def _matter(
    session: Session,
    row: NewsletterRow,
    groups: Collection[Group] | Collection[Choices],
    *,
    note: str,
    now: datetime,
    upto: int,
    held: Edition | None = None,
) -> Matter:
    """Of the edition to come, or of one that is `held`; with no story newer than `upto`."""
    assert row.id is not None
    number = held.number if held else row.edition_number + 1
    stories = store.stories_since(session, row.id, since=min(group.since for group in groups), upto=upto)
    return Matter(number, upto, tuple(stories), note, now)


def _open(
    session: Session, row: NewsletterRow, settings: Newsletter, matter: Matter, *, slot: datetime | None
) -> Edition:
    """The row of the next edition, held where the editor is to see it first. It takes the newsletter's note."""
    assert row.id is not None
    row.edition_number = matter.number
    edition = Edition(
        newsletter_id=row.id,
        number=matter.number,
        slot_at=slot,
        composed_at=matter.at,
        upto_seq=matter.upto,
        sender=settings.sender,
        reply_to=settings.reply_to or "",
        note=matter.note,
    )
    row.note = ""
    if settings.approve:
        edition.state = EditionState.HELD
        edition.state_reason = "waits for the editor"
        edition.open_at = matter.at + timedelta(hours=settings.approve_hours) if settings.approve_hours else None
    session.add(edition)
    session.flush()
    return edition


def variants_of(groups: Iterable[Group], stories: Sequence[Story], settings: Newsletter) -> dict[Choices, list[Group]]:
    """Which groups share a variant, the fullest first; those with nothing to read are in none.

    Whoever has the same stories unread shares one, also where one of them read up to an earlier story of other topics.
    A language without words of ours, and the newsletter's own, are the newsletter's.
    """
    offered: dict[str, list[int]] = {}
    languages: dict[str, str] = {}
    found: defaultdict[Choices, list[Group]] = defaultdict(list)
    for group in groups:
        topics = frozenset(json.loads(group.topics))
        if group.topics not in offered:
            offered[group.topics] = [s.seq for s in stories if not topics or s.topic in topics]
        if group.language not in languages:
            spoken = render.spoken(group.language)
            languages[group.language] = "" if spoken == settings.language else spoken
        theirs = offered[group.topics]
        first = bisect_right(theirs, group.since)
        if first < len(theirs):
            since = theirs[first] - 1
            found[Choices(since, topics, languages[group.language], group.plain)].append(group)
    return dict(sorted(found.items(), key=lambda item: (-len(offered[item[1][0].topics]), item[0].since)))


def recompose(
    database: Database, name: str, config: Config, number: int, change: Callable[[Session], object]
) -> Composed:
    """Let `change` do what an editor wants (pin, drop, move, write a note), and make a held edition anew with it.

    Its mails are rendered between two transactions: the first shows what the change comes to and is rolled back, so
    `change` is called more than once. Who gets the edition, and up to where they have read, stays as it was. BadInput
    where it is no longer held, or where nothing would be left of it for some readers; nothing is changed then.
    """
    seen: dict[Choices, int] | None = None
    press: Press | None = None
    for _ in range(_TRIES):
        with database.write() as session:
            change(session)
            matter, variants = _held_matter(session, name, number)
            if press is not None and seen == variants and press.matter.still(matter):
                made = press.make(variants)
                for one in made:
                    store.change_variant(session, variants[one.choices], one.row, one.stories)
                fullest = max(made, key=lambda one: len(one.stories))
                return Composed(name, number, fullest.subject, len(fullest.stories), fullest.more, len(made), held=True)
            session.rollback()
        seen = variants
        press = Press(name, config.newsletters[name].model_copy(update={"min_stories": 1}), config, matter)
        if len(press.make(variants)) < len(variants):
            raise BadInput(
                f"without it, some readers of No. {number} would get nothing",
                hint="`digest edition cancel` drops it all",
            )
    raise BadInput(
        f"No. {number} of {name} was changed by others again and again while it was rendered", hint="try once more"
    )


def _held_matter(session: Session, name: str, number: int) -> tuple[Matter, dict[Choices, int]]:
    """What a held edition is made of, and its variants (ids) by the choices they are made for."""
    row = store.lock_newsletter(session, name)
    edition = held_edition(session, name, number)
    assert edition.id is not None
    variants = {
        Choices(v.since_seq, frozenset(v.topics), v.language, v.plain): v.id or 0
        for v in store.edition_variants(session, edition.id)
    }
    matter = _matter(
        session, row, variants, note=edition.note, now=edition.composed_at, upto=edition.upto_seq, held=edition
    )
    return matter, variants


def held_edition(session: Session, name: str, number: int) -> Edition:
    """An edition that waits for its editor; NotFound or BadInput say why it is none."""
    edition = store.edition_row(session, name, number)
    if edition is None:
        raise NotFound(f"{name} has no edition {number}", hint="`digest edition list` shows what there is")
    if edition.state is not EditionState.HELD:
        raise BadInput(f"No. {number} of {name} is {edition.state}, not held", hint="what is open is being sent")
    return edition


def approve(session: Session, name: str, number: int, *, now: datetime) -> None:
    """Let a held edition go. It counts as opened now: however long it waited for its editor, it is not late."""
    edition = held_edition(session, name, number)
    edition.state, edition.state_reason, edition.open_at = EditionState.OPEN, "", now
    session.add(edition)


def annotate(database: Database, name: str, config: Config, text: str, *, number: int | None = None) -> None:
    """Write the editor's note: for the edition to come, or into the one that is held under `number`."""

    def write(session: Session) -> None:
        row = store.lock_newsletter(session, name) if number is None else held_edition(session, name, number)
        row.note = text.strip()
        session.add(row)
        session.flush()

    if number is not None:
        recompose(database, name, config, number, write)
        return
    with database.write() as session:
        write(session)


def preflight(mail: Rendered, settings: Newsletter) -> list[Finding]:
    """What is wrong with a mail; ConfigError, and so nothing sent, where the settings say "stop"."""
    findings = [finding for finding in check(mail) if finding.level == "error"]
    if findings and settings.preflight == "stop":
        raise ConfigError(
            "preflight found the mail unfit: " + findings_in_words(findings),
            hint='nothing was sent; `digest preview --check` tells all, preflight = "warn" sends anyway',
        )
    return findings


def ask_editor(session: Session, name: str, config: Config, composed: Composed, *, now: datetime) -> None:
    """Owe the editor of a held edition a letter that says how to look at it and let it go."""
    settings = config.newsletters[name]
    edition = held_edition(session, name, composed.number)
    assert settings.editor is not None and edition.id is not None
    label, address = parseaddr(settings.editor)
    first = store.fullest_variant(session, edition.id)
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


def preview(
    session: Session, name: str, config: Config, *, now: datetime, choices: Choices | None = None
) -> Draft | None:
    """The edition that would be composed at this moment, due or not, for `choices` or for most readers.

    None where there are not enough stories. Where nobody subscribes yet, what the first reader would get.
    """
    settings = config.newsletters[name]
    row = store.newsletter(session, name)
    assert row.id is not None
    everything = Group(store.composed_upto(session, row.id), "[]", "", plain=False)
    if choices is not None:
        groups = [Group(choices.since, json.dumps(sorted(choices.topics)), choices.language, choices.plain)]
    else:
        groups = store.all_groups(session, row.id) or [everything]
    matter = _matter(session, row, groups, note=row.note, now=now, upto=row.seq)
    shared = variants_of(groups, matter.stories, settings)
    if not shared:
        return None
    commonest = max(shared, key=lambda one: sum(group.readers for group in shared[one]))
    (found,) = drafts(name, settings, config, matter, [commonest])
    return found[1]


def drafts(
    name: str, settings: Newsletter, config: Config, matter: Matter, wanted: Iterable[Choices]
) -> Iterator[tuple[Choices, Draft | None]]:
    """Choose and render for each of these choices; None for those that have fewer than `min_stories` to read."""
    templates = Templates(settings.templates)
    titles = {slug: heading.title for slug, heading in curate.headings(settings.topics).items()}
    accent_dark = lightened(settings.accent, "#1c1f23", 5.5)
    for choices in wanted:
        unread = [story for story in matter.stories if story.seq > choices.since]
        selection = curate.pick(
            unread, topics=choices.topics, limit=settings.max_stories, curate=config.curate, now=matter.at
        )
        if selection.lead is None or len(selection.stories) < settings.min_stories:
            yield choices, None
            continue
        language = choices.language or settings.language
        page = Page(
            title=settings.title,
            language=language,
            number=matter.number,
            date=matter.at.astimezone(settings.slots.zone) if settings.slots else matter.at,
            lead=selection.lead,
            sections=_sections(selection, titles, language),
            more=selection.more,
            topics=tuple(title for slug, title in titles.items() if slug in choices.topics),
            postal_address=settings.postal_address,
            home=config.base_url,
            view_url=f"{config.base_url}/editions/{name}/{matter.number}/{_key(name, matter.number, choices, config)}",
            note=matter.note,
            theme=settings.theme,
            accent=settings.accent,
            accent_dark=accent_dark,
            schedule=settings.slots,
        )
        best_first = [story.id for story in selection.stories]
        rendered = templates.render(page, subject=settings.subject, best_first=best_first)
        too_much = tuple(curate.LeftOut(story, _TOO_BIG) for story in rendered.dropped)
        page = page.without(frozenset(story.id for story in rendered.dropped))
        yield choices, Draft(choices, page.stories, page.more, rendered, (*too_much, *selection.left), page)


def _sections(selection: curate.Selection, titles: Mapping[str, str], language: str) -> tuple[Section, ...]:
    """The stories after the lead under their headings; what has none comes last."""
    found = selection.sections(list(titles))
    unnamed = speech(language).gettext("More stories" if len(found) > 1 else "Stories")
    return tuple(Section(slug, titles.get(slug, unnamed), stories) for slug, stories in found)


def _key(newsletter: str, number: int, choices: Choices, config: Config) -> str:
    """Where a variant is in a browser: not to be guessed, for an edition may be held."""
    parts = [newsletter, number, choices.since, sorted(choices.topics), choices.language, choices.plain]
    mac = hmac.digest(config.lasting_key.encode(), b"variant\0" + json.dumps(parts).encode(), "sha256")
    return mac.hex()[:16]


def _too_few(settings: Newsletter) -> str:
    if settings.min_stories == 1:
        return "nothing new for any subscriber"
    return f"fewer than {settings.min_stories} new stories for any subscriber; they wait for the next edition"
