"""Why a story is where it is, and why a reader got it or not: read from what was stored when it was decided."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from digest import config
from digest.curate import Paper, leading, tongues
from digest.curate.topics import MEANING
from digest.edition import pruned
from digest.edition.full_text import from_page
from digest.edition.variants import sieve_of
from digest.errors import NotFound
from digest.models import Newsletter, OutboxState, Subscription, SubscriptionState
from digest.store import (
    earlier,
    editions,
    entries,
    full_texts,
    people,
    pictures,
    recipients,
    stories,
    suppressions,
    why,
)
from digest.store.story_tables import Story
from digest.taste import Taste

_STEPS = {
    "moved": "an editor moved it there",
    "rule": "the operator's rule",
    "feed": "its feed has one topic",
    "category": "its category",
    "words": "its words, as learnt from what is labelled",
    "keywords": "its keywords",
    "none": "no topic was clear enough",
}


_BEFORE_HER_CHOICE = "it came before she chose its topic, in an edition before the last one then"


def _step(story: Story) -> str:
    words = dict(story.reasons.get("topic", {}).get("words", ()))
    if story.topic_step == "words" and MEANING in words:
        return f"its words and what it means ({MEANING}), as learnt from keywords and from what is labelled"
    return _STEPS.get(story.topic_step, story.topic_step)


def explain(session: Session, story: Story, *, settings: config.Newsletter | None = None) -> dict[str, Any]:
    """All reasons kept with a story: topic, who tells it and why they count as one, rank part by part, editions.

    The `settings` of the newsletter say what becomes of its language.
    """
    assert story.id is not None
    topic = story.reasons.get("topic", {})
    tellings = why.tellings(session, story.id)
    return {
        "id": story.id,
        "title": story.title,
        "url": story.url,
        "topic": story.topic,
        "topic_step": story.topic_step,
        "topic_why": f"{_step(story)}: {topic.get('why', '')}".removesuffix(": "),
        "topic_words": dict(topic.get("words", ())),
        "rules": story.reasons.get("rules", []),
        "told_by": [
            {
                "feed": t.source,
                "title": t.title,
                "url": t.url,
                "why": ("represents it" if t.entry_id == story.entry_id else t.reason) + _taken_back(t.withdrawn_at),
            }
            for t in tellings
        ],
        "language": tongues.told(story.language, settings) if settings else story.language,
        "excerpt_from": _excerpt_from(session, story),
        "excerpt_why": _excerpt_why(story),
        "picture": _picture(session, story),
        "related": story.reasons.get("related", []),
        "continues": _continues(session, story),
        "rank": story.rank,
        "rank_parts": story.reasons.get("rank", {}),
        "independent": story.reasons.get("told_by", []),
        "linked_by": story.reasons.get("linked_by", []),
        "as_lead": _as_lead(session, story),
        "pinned": story.pinned,
        "dropped": story.dropped,
        "published_at": story.published_at,
        "admitted_at": story.admitted_at,
        "editions": why.editions_with(session, story.id),
        "left_out": {
            f"No. {number}": reason
            for number, reason in why.left_out_of(session, story.newsletter_id, seq=story.seq, story_id=story.id)
        },
    }


def _continues(session: Session, story: Story) -> str:
    """Which earlier story it continues, where that is, and why; or why none."""
    said = story.reasons.get("earlier")
    if said is None:
        upto = editions.composed_upto(session, story.newsletter_id)
        return "" if story.seq <= upto else "not looked for yet: the next edition does"
    if not said["story"]:
        return f"nothing: {said['why']}"
    place = earlier.places(session, [said["story"]]).get(said["story"])
    if place is None:
        return f"story {said['story']}, which no edition shows any more ({said['why']})"
    where = f"No. {place.number}" if place.number else "no edition that everybody sees"
    return f"story {said['story']} of {where}, {place.at:%Y-%m-%d}: {place.title} ({said['why']})"


def _as_lead(session: Session, story: Story) -> str:
    """What spoke against a story as the lead when it came, whatever the newsletter's language and rhythm."""
    found = leading.faults(stories.told(session, story), Paper(), now=story.admitted_at)
    return f"only where nothing better is there: it {', '.join(found)}" if found else "may lead, by its rank"


def _excerpt_from(session: Session, story: Story) -> str:
    """Where a story's excerpt and reading time are from, and why not from its page where that was asked for."""
    fate = next(iter(full_texts.fates(session, entry_id=story.entry_id)), None)
    if from_page(story.reasons):
        return f"its page, read {fate.asked_at:%Y-%m-%d %H:%M} UTC" if fate else "its page"
    if fate is None:
        return "its feed"
    if fate.taken:
        return "its feed: the page came when an edition had the story already, or is no longer wished for"
    return f"its feed: {fate.why or 'its page is being asked for'}"


def _excerpt_why(story: Story) -> str:
    """Which words of its text an excerpt is, and who chose or wrote them."""
    if "excerpt" in story.reasons.get("edited", {}):
        return "an editor wrote it"
    return (story.reasons.get("summary") or {}).get("why") or "the first words"


def _picture(session: Session, story: Story) -> str:
    """Which picture a story has, or why each that it might have had is not taken."""
    if story.reasons.get("bare"):
        return "none: an editor took it away"
    if mine := pictures.chosen_found(story.reasons):
        gone = "" if pictures.sizes(session, [mine.thumb]) else "; not shown, since its copies are pruned"
        return f"{mine.url}, {mine.width} × {mine.height}, an editor chose it{gone}"
    fate = pictures.fate(session, story.entry_id)
    if fate is None:
        return "none: it was not asked for"
    why = "; ".join(f"{url} {why}".strip() for url, why in fate.tried if why)
    if fate.url:
        same = "; not shown, since others of its feed have the same" if fate.repeated else ""
        before = f"; before it {why}" if why else ""
        return f"{fate.url}, {fate.width} × {fate.height}, read {fate.asked_at:%Y-%m-%d %H:%M} UTC{same}{before}"
    return f"none: {why or 'it is being asked for'}"


def explain_for(
    session: Session,
    paper: Newsletter,
    story: Story,
    email: str,
    *,
    now: datetime,
    settings: config.Newsletter | None = None,
) -> str:
    """What became of a story for one reader, in a sentence; NotFound where nobody has that address.

    The `settings` of the newsletter say which topics there are still.
    """
    person = people.find(session, email)
    if person is None or person.id is None:
        raise NotFound(f"nobody has the address {email}", hint="`digest subscriber list` shows who is here")
    assert story.id is not None and paper.id is not None
    letters = why.letters_about(session, paper.id, person.id, story_seq=story.seq, story_id=story.id)
    for letter in letters:
        if letter.position is not None:
            place = "as the lead" if letter.position == 0 else f"as story {letter.position + 1}"
            state = _state(letter.state, letter.settled_at)
            if letter.state is OutboxState.OWED and letter.due_at > now:
                state = f"for {letter.due_at:%Y-%m-%d %H:%M} UTC"
            moved = _moved(session, people.subscription(session, person, paper), story, letter.moved)
            return f"in edition {letter.number}, {place}; that letter is {state}{moved}"
    if story.dropped:
        return "an editor dropped it"
    tellings = why.tellings(session, story.id)
    if tellings and all(telling.withdrawn_at for telling in tellings):
        return f"not sent{_taken_back(max(t.withdrawn_at for t in tellings if t.withdrawn_at))}"
    for letter in letters:
        if letter.topics and story.topic not in letter.topics:
            return (
                f"not her topic: edition {letter.number} was made for {', '.join(letter.topics)}, "
                f"and this is {story.topic}"
            )
        if story.seq <= recipients.counts_from(letter.chosen_from, story.topic):
            return _BEFORE_HER_CHOICE
        if letter.left_out:
            moved = _moved(session, people.subscription(session, person, paper), story, letter.moved)
            return f"left out of edition {letter.number}: {letter.left_out}{moved}"
        if story.seq in letter.muted:
            return _muted(session, people.subscription(session, person, paper), story, letter.number)
        if letter.pruned:
            return f"edition {letter.number} had it to choose from; what that letter carried is pruned"
        return f"edition {letter.number} had it to choose from and does not carry it: the mail had no room for it"
    if stopped := suppressions.find(session, email):
        return f"no letters go to this address: {stopped.reason}"
    subscription = people.subscription(session, person, paper)
    if subscription is None:
        return f"does not get {paper.name}"
    if subscription.state != SubscriptionState.ACTIVE:
        return f"the subscription is {subscription.state.value}"
    topics = frozenset(subscription.topics)
    if settings is not None:
        topics = settings.wanted(topics)
    if topics and story.topic not in topics:
        return f"not her topic: she gets {', '.join(subscription.topics)}, and this is {story.topic}"
    unread = story.seq > subscription.read_until or story.admitted_at >= subscription.created_at
    muted = spared_by(session, subscription, story)
    if muted and (unread or why.was_owed(session, paper.id, person.id, story_seq=story.seq)):
        return f"she mutes {muted}"
    if story.seq <= subscription.read_until:
        return (
            f"it came before she subscribed, or while she did not read or muted it ({subscription.created_at:%Y-%m-%d})"
        )
    if story.seq <= recipients.counts_from(subscription.chosen_from, story.topic):
        return _BEFORE_HER_CHOICE
    if story.seq <= editions.composed_upto(session, paper.id):
        if subscription.cadence or subscription.hour is not None:
            return f"comes with her next letter: she wants {_wish(subscription)}"
        return "rolled over: there were too few stories for her in the last edition, this one comes with the next"
    return "waits for the next edition"


def spared_by(session: Session, subscription: Subscription, story: Story) -> str:
    """Which of a reader's mutes takes a story away by now, in words; "" where none does."""
    if not subscription.taste:
        return ""
    sieve = sieve_of(session, [stories.told(session, story)])
    return sieve.why(Taste.of(subscription.taste), story.seq)


def _moved(session: Session, subscription: Subscription | None, story: Story, moved: list[list[int]]) -> str:
    """How a letter had a story higher or lower for what its reader wanted, and what they say of it by now."""
    level = next((level for seq, level in moved if seq == story.seq), 0)
    more: list[str] = []
    less: list[str] = []
    if subscription is not None and (subscription.more_of or subscription.less_of):
        sieve = sieve_of(session, [stories.told(session, story)])
        more, less = sieve.moves(Taste.of(subscription.taste), story.seq)
    wants = " and ".join(
        f"she wants {way} of {', '.join(some)}" for way, some in (("more", more), ("less", less)) if some
    )
    if level:
        steps = f"{abs(level)} {'level' if abs(level) == 1 else 'levels'} {'up' if level > 0 else 'down'}"
        return f"; her taste moved it {steps} (`weight_taste` each): {wants or 'by what she said then, and no more'}"
    if wants:
        return (
            f"; {wants}, and it stands as for all: a welcome, said later, beyond `most_orders`, or no other moves less"
        )
    return ""


def _muted(session: Session, subscription: Subscription | None, story: Story, number: int) -> str:
    """Why an edition left a story out for somebody, as far as they say the same now."""
    reason = spared_by(session, subscription, story) if subscription else ""
    if reason:
        return f"she mutes {reason}: left out of edition {number}"
    return f"she muted it when edition {number} was made, and does no more: her history tells what she chose"


def _wish(subscription: Subscription) -> str:
    cadence = subscription.cadence or "every edition"
    hour = "" if subscription.hour is None else f" at {subscription.hour}:00 {subscription.zone}".rstrip()
    return cadence + hour


def _taken_back(at: datetime | None) -> str:
    return f"; its publisher took it back, seen {at:%Y-%m-%d %H:%M} UTC" if at else ""


def pruned_words(session: Session, url: str, paper: Newsletter) -> str:
    """What is known of something with a link that is here no more, in a sentence; "" where nothing is."""
    if paper.id is None or not pruned.was_here(session, paper.id, url):
        return ""
    return "it was decided about long ago and pruned since, with the reasons for it (`entries_days` in [keep])"


def explain_entry(found: why.EntryFate, *, settle: timedelta, now: datetime) -> dict[str, Any]:
    """What became of an entry that is no story of its own. `settle` is how long entries wait by the settings."""
    settles = entries.settles_at(found.changed_at, found.seen_at, found.own_minutes, settle)
    if found.decision is None and found.withdrawn_at is not None:
        outcome = "withdrawn"
        reason = f"its publisher took it back before it was sent, seen {found.withdrawn_at:%Y-%m-%d %H:%M} UTC"
    elif found.decision is None and settles is not None and settles > now:
        outcome = "settling"
        reason = (
            f"changed at {found.changed_at:%Y-%m-%d %H:%M} UTC; left alone, it is taken from {settles:%H:%M} UTC on"
        )
    elif found.decision is None:
        outcome, reason = "waiting", "no decision yet: the next `digest run` makes it"
    else:
        outcome, reason = found.decision.value, found.reason
    return {
        "entry": found.entry_id,
        "title": found.title,
        "url": found.url,
        "feed": found.source,
        "outcome": outcome,
        "why": reason,
        "story": found.story_id,
    }


def _state(state: OutboxState, at: datetime | None) -> str:
    return f"{state.value} ({at:%Y-%m-%d %H:%M} UTC)" if at else state.value
