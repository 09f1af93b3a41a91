"""What an edition is made of, and its mails: chosen and rendered, each variant once, and not stored yet."""

from __future__ import annotations

import hmac
import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from functools import partial

from sqlmodel import Session

from digest import curate, render, spans
from digest.colours import on_dark
from digest.config import Config, Newsletter
from digest.curate import tongues
from digest.curate.following import Before
from digest.dataclass import dataclass
from digest.edition import following, logos, pictures
from digest.edition.matter import Matter as Matter
from digest.errors import ConfigError
from digest.models import Edition, packed
from digest.models import Newsletter as NewsletterRow
from digest.render import HTML_LIMIT, Finding, Page, Rendered, Section, Templates, check, findings_in_words
from digest.render.scripts import told_in
from digest.render.speech import speech
from digest.schedule import LONGEST
from digest.store import editions, recipients, stories, tastes
from digest.values import Source, Story

TRIES = 3  # to render an edition that others change meanwhile
_TOO_BIG = f"the mail would be larger than {HTML_LIMIT:,} bytes, and these were ranked higher"


@dataclass(frozen=True)
class Draft:
    """One variant, chosen and rendered, not yet saved."""

    choices: recipients.VariantKey
    stories: tuple[Story, ...]
    more: int
    rendered: Rendered
    left: tuple[curate.LeftOut, ...]
    page: Page


@dataclass(frozen=True)
class Frozen:
    """A draft as it is stored. Thousands are kept at a time, so the mail is compressed already."""

    key: str
    choices: recipients.VariantKey
    subject: str
    html: bytes
    text: bytes
    marks: str
    stories: tuple[int, ...]
    more: int
    left: bytes
    attached: tuple[str, ...] = ()  # copies of pictures that its letters bring along
    shows: tuple[str, ...] = ()  # all that its mail names

    @property
    def row(self) -> dict[str, object]:
        return {
            "key": self.key,
            "since_seq": self.choices.since,
            "chosen_from": dict(self.choices.chosen_from),
            "topics": sorted(self.choices.topics),
            "language": self.choices.language,
            "plain": self.choices.plain,
            "max_stories": self.choices.max_stories,
            "muted": sorted(self.choices.muted),
            "moved": sorted(map(list, self.choices.moved)),
            "subject": self.subject,
            "html": self.html,
            "text": self.text,
            "marks": self.marks,
            "story_count": len(self.stories),
            "more_count": self.more,
            "left_out": self.left,
            "attached": list(self.attached),
        }


@dataclass
class Press:
    """The variants of one edition, each made once. None is made for choices that have fewer than `min_stories`."""

    name: str
    settings: Newsletter
    config: Config
    matter: Matter
    made: dict[recipients.VariantKey, Frozen | None] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    unfit: dict[int, str] = field(default_factory=dict)  # stories left out: what their own text does to a mail
    cuts: dict[str, curate.Cut] = field(default_factory=dict)  # what tastes come to, by their keys
    _checked: set[tuple[str, bool, int]] = field(default_factory=set)

    def cut(self, session: Session, newsletter_id: int, groups: Iterable[recipients.Group]) -> Mapping[str, curate.Cut]:
        """What the tastes of these groups come to, of the stories of this edition; each is asked for once."""
        missing = {group.taste for group in groups if group.taste} - self.cuts.keys()
        if missing:
            sieve = sieve_of(session, self.matter.stories)
            for key, wanted in tastes.by_key(session, newsletter_id, missing):
                cut = sieve.cut(wanted)
                # What moves nothing makes no mail of its own.
                self.cuts[key] = cut if self.config.curate.weight_taste else replace(cut, moved=NO_MOVES)
        return self.cuts

    def make(self, wanted: Iterable[recipients.VariantKey]) -> list[Frozen]:
        """Those of these choices that have something to read, made now or before.

        With `preflight = "stop"` a story whose own text makes the mail unfit is left out of it; ConfigError where
        template or settings do, and nobody's text.
        """
        missing = [choices for choices in wanted if choices not in self.made]
        if missing:
            with spans.span("render", newsletter=self.name, variants=len(missing)):
                for choices, draft in self._drafts(missing):
                    fit = self._fit(choices, draft)
                    self.made[choices] = None if fit is None else self._freeze(fit)
        return [one for choices in wanted if (one := self.made[choices]) is not None]

    def draft(self, choices: recipients.VariantKey) -> Draft | None:
        """The mail for these choices as `make` would have it, also where that would stop the edition."""
        ((_choices, draft),) = self._drafts([choices])
        try:
            return self._fit(choices, draft)
        except ConfigError:
            return draft

    def _drafts(self, wanted: Iterable[recipients.VariantKey]) -> Iterator[tuple[recipients.VariantKey, Draft | None]]:
        return drafts(self.name, self.settings, self.config, self.matter, wanted, self.unfit)

    def _fit(self, choices: recipients.VariantKey, draft: Draft | None) -> Draft | None:
        while draft is not None and (wrong := self._wrong(draft)):
            if self.settings.preflight != "stop":
                break
            if ours := unfit_by_itself(draft.page, self.settings):
                raise ConfigError(
                    "preflight found the mail unfit: " + findings_in_words(ours),
                    hint='nothing was sent; `digest preview --check` tells all, preflight = "warn" sends anyway',
                )
            guilty = unfit_stories(draft.page, self.settings)
            if not guilty:
                break  # several together, and nobody's fault: it is told, and goes out
            self.unfit |= {story.id: why for story, why in guilty}
            self.findings |= {
                f"story {story.id}": Finding(f"story {story.id}", "error", f"left out, {why} ({story.source})")
                for story, why in guilty
            }
            ((_choices, draft),) = self._drafts([choices])
        else:
            return draft
        self.findings |= {finding.check: finding for finding in wrong}
        return draft

    def _wrong(self, one: Draft) -> list[Finding]:
        # What is wrong with a mail is wrong with its template or with one of its stories, so each story is looked at
        # once in each language, and not again in thousands of mails.
        seen = {(one.choices.language, one.choices.plain, story.id) for story in one.stories}
        if seen <= self._checked:
            return []
        found = errors(one.rendered)
        if not found or self.settings.preflight != "stop":
            self._checked |= seen
        return found

    def _freeze(self, one: Draft) -> Frozen:
        shows = () if one.choices.plain else pictures.named(one.rendered.html, one.page)
        return Frozen(
            key=_key(self.name, self.matter.number, one.choices, self.config),
            choices=one.choices,
            subject=one.rendered.subject,
            html=packed(one.rendered.html),
            text=packed(one.rendered.text),
            marks=one.rendered.marks.nonce if one.rendered.marks else "",
            stories=tuple(story.id for story in one.stories),
            more=one.more,
            left=packed(json.dumps([[left.story.id, left.why] for left in one.left])),
            attached=shows if self.config.attaches(self.name) else (),
            shows=shows,
        )


def matter_of(
    session: Session,
    row: NewsletterRow,
    groups: Collection[recipients.Group] | Collection[recipients.VariantKey],
    *,
    config: Config,
    now: datetime,
    before: Matter | None = None,
    held: Edition | None = None,
) -> Matter:
    """Of the edition to come, or of one that is `held`; what was worked out `before` of its stories holds."""
    assert row.id is not None
    number = held.number if held else row.edition_number + 1
    upto = held.upto_seq if held else before.upto if before else row.seq
    since = min(group.since for group in groups)
    decided = stories.decided(session, row.id, since=since, upto=upto)  # before: what is decided meanwhile is seen
    fresh = stories.since(session, row.id, since=since, upto=upto)
    if held:
        found: Mapping[int, Before] = {}
    else:
        found = before.found if before else following.decide(session, row.id, fresh, config, now=now)
    fresh_ids = {story.id for story in fresh if story.follows is None}
    found = {id_: one for id_, one in found.items() if id_ in fresh_ids}
    told = following.told(session, row.name, fresh, config, found)
    past = editions.past(session, row.id, since=since, before=number)
    return Matter(number, upto, told, held.note if held else row.note, now, tuple(past), found, since, decided)


def still(
    session: Session,
    row: NewsletterRow,
    groups: Collection[recipients.Group],
    matter: Matter,
    *,
    config: Config,
    now: datetime,
) -> bool:
    """Has nobody decided anything since this was worked out, and does it have what these groups may read?"""
    since = min(group.since for group in groups)
    same = (matter.number, matter.note, matter.at) == (row.edition_number + 1, row.note, now)
    if same and since == matter.since:
        decided = stories.decided(session, row.id or 0, since=since, upto=matter.upto)
        if decided == matter.decided:  # nearly always: all that is not read a second time
            return True
    return same and matter.still(matter_of(session, row, groups, config=config, now=now, before=matter))


def sieve_of(session: Session, some: Sequence[Story]) -> curate.Sieve:
    """These stories as mutes see them."""
    return curate.Sieve(some, tastes.places(session, {feed for story in some for feed in story.feeds}))


NO_CUTS: Mapping[str, curate.Cut] = {}


def variants_of(
    groups: Iterable[recipients.Group],
    stories: Sequence[Story],
    settings: Newsletter,
    cuts: Mapping[str, curate.Cut] = NO_CUTS,
    kept: Collection[recipients.VariantKey] = (),
) -> dict[recipients.VariantKey, list[recipients.Group]]:
    """Which groups share a variant, the fullest first; those with nothing to read are in none.

    Whoever has the same stories unread shares one, also where one of them read up to an earlier story of other topics.
    A language without words of ours, and the newsletter's own, are the newsletter's. What a taste comes to is in
    `cuts`, by its key: who mutes what is not there shares the mail of who mutes nothing, and so does who wants more of
    that. Of the orders that this makes the `most_orders` with most readers are kept, those that are `kept` from before
    first; the others get the common one.
    """
    found: defaultdict[recipients.VariantKey, list[recipients.Group]] = defaultdict(list)
    offers = _Offers(stories, settings, cuts)
    for group in groups:
        key = offers.key(group)
        if key is not None:
            found[key].append(group)
    for key in _beyond(found, settings.most_orders, kept):
        found[replace(key, moved=NO_MOVES)] += found.pop(key)
    # Of those with as many stories the common order is first: it stands for the edition.
    fullest = sorted(found.items(), key=lambda item: (-offers.number(item[1][0]), item[0].since, bool(item[0].moved)))
    return dict(fullest)


def muted_all(
    groups: Iterable[recipients.Group], stories: Sequence[Story], settings: Newsletter, cuts: Mapping[str, curate.Cut]
) -> list[recipients.Group]:
    """The groups that would have something to read, and mute all of it."""
    offers = _Offers(stories, settings, cuts)
    some = (group for group in groups if group.taste)
    return [group for group in some if offers.key(group) is None and offers.key(group._replace(taste="")) is not None]


def _beyond(
    found: Mapping[recipients.VariantKey, Sequence[recipients.Group]],
    most: int,
    kept: Collection[recipients.VariantKey] = (),
) -> Sequence[recipients.VariantKey]:
    """The variants with an order of their own that are too many: those with the fewest readers."""
    own = [key for key in found if key.moved and key not in kept]
    most = max(0, most - sum(bool(key.moved) for key in kept))
    if len(own) <= most:
        return ()

    def place(key: recipients.VariantKey) -> tuple[object, ...]:
        # The same each time, whoever asks: what was rendered before must be what is wanted in the end.
        readers = sum(group.readers for group in found[key])
        return -readers, -key.since, sorted(key.topics), sorted(key.moved), sorted(key.muted), repr(key)

    return sorted(own, key=place)[most:]


def in_common_order(
    wanted: Mapping[recipients.VariantKey, Sequence[recipients.Group]],
    stories: Sequence[Story],
    settings: Newsletter,
    cuts: Mapping[str, curate.Cut],
) -> int:
    """How many readers have an order of their own that is beyond `most_orders`, and so get the common one."""
    if sum(bool(key.moved) for key in wanted) < settings.most_orders or not settings.most_orders:
        return 0
    offers = _Offers(stories, settings, cuts)
    theirs = (group for key, groups in wanted.items() if not key.moved for group in groups if group.taste)
    return sum(group.readers for group in theirs if (own := offers.key(group)) is not None and own.moved)


class _Offers:
    """Which of the stories are offered to whom."""

    def __init__(self, stories: Sequence[Story], settings: Newsletter, cuts: Mapping[str, curate.Cut]) -> None:
        self._stories, self._settings, self._cuts = stories, settings, cuts
        self._topics: dict[str, tuple[frozenset[str], list[int]]] = {}
        self._languages: dict[str, str] = {}

    def _of(self, group: recipients.Group) -> tuple[frozenset[str], list[int]]:
        if group.topics not in self._topics:
            topics = self._settings.wanted(json.loads(group.topics))
            seqs = [s.seq for s in self._stories if not topics or s.topic in topics]
            self._topics[group.topics] = topics, seqs
        return self._topics[group.topics]

    def number(self, group: recipients.Group) -> int:
        """How many there are under their topics, read or not."""
        return len(self._of(group)[1])

    def key(self, group: recipients.Group) -> recipients.VariantKey | None:
        """What their variant is made for; None where nothing is left to read."""
        topics, theirs = self._of(group)
        if group.language not in self._languages:
            spoken = render.spoken(group.language)
            self._languages[group.language] = "" if spoken == self._settings.language else spoken
        theirs = theirs[bisect_right(theirs, group.since) :]
        later = tuple(sorted(json.loads(group.chosen_from).items()))
        if later:
            count = {s.seq for s in self._stories if s.seq > recipients.counts_from(dict(later), s.topic)}
            counted = [seq for seq in theirs if seq in count]
            # Where the rest is what came since a certain story, they share the mail of who read up to there.
            later = later if counted and counted != [seq for seq in theirs if seq >= counted[0]] else ()
            theirs = counted
        cut = self._cuts.get(group.taste, curate.WHOLE)
        left = [seq for seq in theirs if seq not in cut.muted] if cut.muted else theirs
        if not left:
            return None
        since, language = left[0] - 1, self._languages[group.language]
        muted = cut.muted.intersection(seq for seq in theirs if seq > since) if len(left) < len(theirs) else _NONE
        most = cut.max_stories if cut.max_stories < min(len(left), self._settings.max_stories) else 0
        moved = _moves(cut, left) if cut.moved and self._settings.most_orders else NO_MOVES
        return recipients.VariantKey(since, topics, language, group.plain, later, most, muted, moved)


_NONE: frozenset[int] = frozenset()
NO_MOVES: frozenset[tuple[int, int]] = frozenset()


def _moves(cut: curate.Cut, offered: Sequence[int]) -> frozenset[tuple[int, int]]:
    """How these stories move for a taste; where all of them move alike, none does."""
    theirs = set(offered)
    moved = frozenset(move for move in cut.moved if move[0] in theirs)
    return NO_MOVES if len(moved) == len(theirs) and len({level for _seq, level in moved}) == 1 else moved


def drafts(
    name: str,
    settings: Newsletter,
    config: Config,
    matter: Matter,
    wanted: Iterable[recipients.VariantKey],
    unfit: Mapping[int, str],
) -> Iterator[tuple[recipients.VariantKey, Draft | None]]:
    """Choose and render for each of these choices; None for those that have fewer than `min_stories` to read.

    Stories that are `unfit` (ids, each with the reason) are left out.
    """
    templates = Templates(*settings.template_folders)
    unfit = {story.id: why for story in matter.stories if (why := tongues.kept_out(story.language, settings))} | dict(
        unfit
    )
    rhythm = settings.slots.rhythm(matter.at) if settings.slots else timedelta(days=1)
    accent_dark, home = on_dark(settings.accent), config.imprint(name).base_url
    for choices in wanted:
        unread = [
            story
            for story in matter.stories
            if choices.counts(story.seq, story.topic) and story.seq not in choices.muted
        ]
        own = max(rhythm, min(matter.span(choices.since), LONGEST))  # theirs may be once a week where it comes each day
        paper = curate.Paper(choices.language or settings.language, own)
        pick = partial(
            curate.pick,
            [story for story in unread if story.id not in unfit],
            topics=choices.topics,
            limit=settings.max_stories,
            curate=config.curate,
            now=matter.at,
            paper=paper,
        )
        selection = pick(moved=dict(choices.moved))
        if choices.moved and len(selection.stories) < settings.min_stories:
            selection = pick()  # caps let through fewer in this order: nobody gets no letter for what they like
        selection = tongues.led(selection, settings)
        if selection.lead is None or len(selection.stories) < settings.min_stories:
            yield choices, None
            continue
        lead, language = selection.stories[0], choices.language or settings.language
        if choices.max_stories:
            selection = selection.at_most(choices.max_stories)
        titles = _titles(settings, language)
        page = Page(
            title=settings.title,
            language=language,
            number=matter.number,
            date=matter.at.astimezone(settings.slots.zone) if settings.slots else matter.at,
            lead=_told(lead, language),
            sections=_sections(selection, titles, language, settings),
            more=selection.more,
            short=settings.in_short,
            topics=tuple(title for slug, title in titles.items() if slug in choices.topics),
            postal_address=settings.postal_address,
            home=home,
            view_url=f"{home}/editions/{name}/{matter.number}/{_key(name, matter.number, choices, config)}",
            note=matter.note,
            theme=settings.theme,
            accent=settings.accent,
            accent_dark=accent_dark,
            schedule=settings.slots,
            by_mail=config.mail.comes_back,
            identity=_identity(name, settings, titles, home, attached=config.attaches(name)),
            asks=config.asks_taste(name),
            beginning=matter.number == 1 and curate.beginning(selection.stories, paper, now=matter.at),
        )
        best_first = [story.id for story in selection.stories]
        render_ = partial(templates.render, subject=settings.subject, best_first=best_first)
        page, rendered = pictures.rendered(page, render_, settings.images, attached=config.attaches(name))
        too_much = tuple(curate.LeftOut(story, _TOO_BIG) for story in rendered.dropped)
        theirs = [story for story in unread if not choices.topics or story.topic in choices.topics]
        too_much += tuple(curate.LeftOut(story, unfit[story.id]) for story in theirs if story.id in unfit)
        page = page.without(frozenset(story.id for story in rendered.dropped))
        yield choices, Draft(choices, page.stories, page.more, rendered, (*too_much, *selection.left), page)


def _identity(
    name: str, settings: Newsletter, titles: Mapping[str, str], home: str, *, attached: bool
) -> render.Identity:
    brand = logos.brand(settings, home=home, attached=attached)
    return render.Identity(
        palette=settings.palette,
        masthead=settings.masthead,
        tagline=settings.tagline,
        titles=titles,
        tints={slug: (t.accent, on_dark(t.accent)) for slug, t in settings.topics.items() if t.accent},
        subscribe_url=f"{home}/subscribe/{name}" if settings.share and settings.signup and home else "",
        share=settings.share,
        replies=settings.reply_to is not None,
        logo=brand.light,
        logo_dark=brand.dark,
        plated=brand.plated,
    )


def errors(mail: Rendered) -> list[Finding]:
    """What readers of a mail would suffer from."""
    return [finding for finding in check(mail) if finding.level == "error"]


def unfit_by_itself(page: Page, settings: Newsletter) -> list[Finding]:
    """What is wrong with a mail whoever wrote the stories: its template or its settings are to blame."""
    neutral = replace(
        page,
        lead=_neutral(page.lead),
        sections=tuple(replace(s, stories=tuple(map(_neutral, s.stories))) for s in page.sections),
    )
    return errors(_rendered(neutral, settings))


def unfit_stories(page: Page, settings: Newsletter) -> list[tuple[Story, str]]:
    """The stories whose own text makes a mail unfit, as its lead or further down, each with what it does.

    For a mail that is not `unfit_by_itself`.
    """
    found = []
    slug, title = (page.sections[0].slug, page.sections[0].title) if page.sections else ("", "")
    for story in page.stories:
        as_lead = replace(page, lead=story, sections=())
        below = replace(page, lead=_neutral(page.lead), sections=(Section(slug, title, (story,)),))
        wrong = errors(_rendered(as_lead, settings)) or errors(_rendered(below, settings))
        if wrong:
            found.append((story, f"its own text makes the mail unfit: {findings_in_words(wrong)}"))
    return found


def _rendered(page: Page, settings: Newsletter) -> Rendered:
    best_first = [story.id for story in page.stories]
    return Templates(*settings.template_folders).render(page, subject=settings.subject, best_first=best_first)


def _neutral(story: Story) -> Story:
    """A story of the same form, in words of ours."""
    place = f"https://example.org/{story.id}"
    return replace(
        story,
        url=place,
        title="What the town council decided on Tuesday",
        source="Example Gazette",
        author="Ada Example" if story.author else "",
        excerpt="It met in the evening, and the hall was full of people." if story.excerpt else "",
        image_url="",
        chosen="",
        picture=replace(story.picture, hero=story.picture.hero and replace(story.picture.hero, alt="The town hall")),
        also=tuple(Source("Example Herald", place) for _ in story.also),
        related=tuple(Source("What the council decided before", f"{place}/before") for _ in story.related),
        more_by=tuple(
            Source("What else the council decided", f"{place}/else/{n}") for n, _ in enumerate(story.more_by)
        ),
        earlier=story.earlier
        and replace(story.earlier, title="What the council decided then", url=f"{place}/then", page=""),
        recording=replace(story.recording, url=f"{place}.mp3") if story.recording else None,
    )


def _sections(
    selection: curate.Selection, titles: Mapping[str, str], language: str, settings: Newsletter
) -> tuple[Section, ...]:
    """The stories after the lead under their headings; what has none comes last, and then what stands apart."""
    apart = tuple(story for story in selection.stories[1:] if tongues.stands_apart(story, settings))
    own = tuple(story for story in selection.stories if story not in apart) if apart else selection.stories
    found = replace(selection, stories=own).sections(list(titles))
    say = speech(language).gettext
    unnamed = say("More stories" if len(found) > 1 else "Stories")
    named = [(slug, titles.get(slug, unnamed), stories) for slug, stories in found]
    named += [(tongues.APART, say("In other languages"), apart)] if apart else []
    return tuple(Section(slug, title, tuple(_told(story, language) for story in some)) for slug, title, some in named)


def _titles(settings: Newsletter, language: str) -> dict[str, str]:
    return curate.titles(settings.topics, speech(language).gettext)


def _told(story: Story, around: str) -> Story:
    """A story as it stands among words of a language: in its own, and running the way its letters do."""
    language = told_in(f"{story.title} {story.excerpt}", story.language, around)
    return story if language == story.language else replace(story, language=language)


def _key(newsletter: str, number: int, choices: recipients.VariantKey, config: Config) -> str:
    """Where a variant is in a browser: not to be guessed, for an edition may be held."""
    parts = [newsletter, number, choices.since, sorted(choices.topics), choices.language, choices.plain]
    if choices.chosen_from:
        parts.append(choices.chosen_from)
    if choices.max_stories or choices.muted:
        parts.append([choices.max_stories, sorted(choices.muted)])
    if choices.moved:
        parts.append({"moved": sorted(choices.moved)})
    mac = hmac.digest(config.lasting_key.encode(), b"variant\0" + json.dumps(parts).encode(), "sha256")
    return mac.hex()[:16]
