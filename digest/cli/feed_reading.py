"""How one feed is read, as `digest feed set` changes and `digest feed show` tells it: title, topic, rules, weight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from digest.origin import shown

if TYPE_CHECKING:
    from sqlmodel import Session

    from digest.config import Config, Newsletter
    from digest.models import Feed
    from digest.store import feeds

WEIGHT = 10.0  # at most, and as little below 0: as the `boost` of a rule
TRIED = 500  # stored entries of a feed on which its rules are tried


@dataclass(frozen=True)
class Wish:
    """What an operator said of how a feed is read, as it was typed; None leaves as it is."""

    title: str | None = None
    topic: str | None = None
    weight: str | None = None
    full_text: bool | None = None
    keep: Sequence[str] | None = None
    drop: Sequence[str] | None = None
    identity: str | None = None
    settle: str | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in vars(self).values())


@dataclass(frozen=True)
class Change:
    """The same, judged: columns of the feed, and the topic under which a newsletter puts it."""

    columns: dict[str, Any]
    newsletter: str = ""
    topic: str | None = None


def judged(wish: Wish, config: Config, newsletter: str | None) -> Change:
    """What a wish comes to. Raises BadInput for a slip, Unavailable where the extra for full texts is not installed."""
    from digest import identity as identities
    from digest.curate import feed_rules
    from digest.errors import BadInput
    from digest.parse.text import plain

    columns: dict[str, Any] = {}
    if wish.title is not None:
        columns["title"] = plain(wish.title, limit=200)
    if wish.weight is not None:
        columns["weight"] = _weight(wish.weight)
    if wish.full_text is not None:
        columns["full_text"] = wish.full_text
        if wish.full_text:
            need_full_text()
    for kind, rules in (("keep", wish.keep), ("drop", wish.drop)):
        if rules is not None:
            columns[kind] = feed_rules.checked([rule for rule in rules if rule.strip()])
    if wish.identity is not None:
        try:
            columns["identity"] = identities.choice(wish.identity) if wish.identity else ""
        except ValueError as error:
            raise BadInput(f"{wish.identity!r} {error}") from None
    if wish.settle is not None:
        columns["settle_minutes"] = _minutes(wish.settle)
    if wish.topic is None:
        return Change(columns)
    name, settings = config.newsletter(newsletter)
    known_topic(wish.topic, settings)
    return Change(columns, name, wish.topic)


def known_topic(topic: str, settings: Newsletter) -> None:
    """BadInput for a topic that a newsletter does not have."""
    from digest.errors import BadInput

    if topic and topic not in settings.known_topics:
        raise BadInput(f"there is no topic {topic!r}", hint="the settings know: " + ", ".join(settings.known_topics))


def need_full_text() -> None:
    """Unavailable where pages cannot be read here."""
    from digest.errors import Unavailable
    from digest.parse import article

    if not article.available():
        raise Unavailable(
            "the pages of stubs cannot be read here: the extra for full texts is not installed",
            hint="pip install 'digest-newsletter[fulltext]'",
        )


def any_sender(session: Session, feed: Feed) -> str:
    """Forget who writes a feed by mail: the first who does from now on is its sender. BadInput for any other feed."""
    from digest.collect import mailed
    from digest.errors import BadInput
    from digest.store import feeds

    if not mailed.is_mail(feed.url):
        raise BadInput(f"feed {feed.id} does not come by mail", hint="digest feed show ID")
    feeds.set_senders(session, feed.id or 0, ())
    return f"feed {feed.id} takes the next who writes for its sender"


def apply(session: Session, feed: Feed, change: Change) -> list[str]:
    """Change how a feed is read; what to say of it. Raises NotFound where the newsletter does not read it."""
    from digest.store import feeds, newsletters

    number, before = feed.id or 0, (list(feed.keep), list(feed.drop))
    for name, value in change.columns.items():
        setattr(feed, name, value)
    feed.title = feed.title or feed.published_title
    if change.topic is not None:
        newsletter_id = newsletters.find(session, change.newsletter).id or 0
        feeds.set_topic(session, newsletter_id, number, change.topic)
    session.add(feed)
    session.flush()
    words = [f"feed {number}: {_in_words(feed, change)}"]
    if {"keep", "drop"} & change.columns.keys():
        words.append(_tried(session, feed, before))
    return words


def _in_words(feed: Feed, change: Change) -> str:
    said = {
        "title": f"called {feed.title or 'as its publisher calls it, once that is known'}",
        "weight": "weighs as in the settings" if feed.weight is None else f"weighs {feed.weight:+g}",
        "full_text": "its stubs are followed to their pages" if feed.full_text else "its own texts do",
        "keep": f"{len(feed.keep)} rules to keep",
        "drop": f"{len(feed.drop)} rules to drop",
        "identity": f"identity {identity_in_words(feed)}",
        "settle_minutes": f"entries {_settling(feed)}",
    }
    words = [said[name] for name in said if name in change.columns]
    if change.topic is not None:
        words.append(
            f"topic {change.topic} in {change.newsletter}" if change.topic else f"no topic in {change.newsletter}"
        )
    return "; ".join(words)


def _settling(feed: Feed) -> str:
    if feed.settle_minutes is None:
        return "settle as in the settings"
    return f"settle {feed.settle_minutes:g} minutes" if feed.settle_minutes else "are taken at once"


def _tried(session: Session, feed: Feed, before: tuple[list[str], list[str]]) -> str:
    """What a feed's rules would have done to what is stored of it, now and before."""
    from digest.curate import feed_rules, rules
    from digest.store import entries

    stored = entries.for_rules(session, feed.id or 0, limit=TRIED)
    subjects = [
        rules.Subject(feed.title, feed.url, "", row.original_url or row.url, row.author, row.title, row.categories)
        for row in stored
    ]
    now_, then = (
        sum(bool(feed_rules.dropped(keep, drop, one)) for one in subjects)
        for keep, drop in ((feed.keep, feed.drop), before)
    )
    return f"  would drop {now_} of {len(subjects)} stored (before: {then}); what was decided already stays"


def _weight(words: str) -> float | None:
    from digest.errors import BadInput

    if words.strip().casefold() in ("", "auto"):
        return None
    try:
        weight = float(words)
    except ValueError:
        weight = math.nan
    if not -WEIGHT <= weight <= WEIGHT:
        raise BadInput(
            f"{words!r} is no weight of a feed",
            hint=f"a number from -{WEIGHT:g} to {WEIGHT:g}, or AUTO for the settings",
        )
    return weight


def _minutes(words: str) -> float | None:
    from digest.errors import BadInput

    if words.strip().casefold() in ("", "auto"):
        return None
    try:
        minutes = float(words)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes <= 10_080:
        raise BadInput(f"{words!r} is no number of minutes", hint="0 (at once) to 10080, which is a week, or AUTO")
    return minutes


def identity_in_words(feed: Feed) -> str:
    """Who a feed's entries are told by, as the operator chose or as it was learnt."""
    from digest.identity import Evidence, carried_by

    learnt = carried_by(Evidence.of(feed.evidence))
    return feed.identity or f"AUTO ({learnt})".replace(" ()", "")


# ---------------------------------------------------------------- told


def set_facts(feed: Feed, readers: Sequence[feeds.Reader]) -> dict[str, Any]:
    """All that `feed set` changes, as it is; secrets by their names."""
    from digest.parse import Recipe

    recipe = Recipe.of(feed.recipe)
    return {
        "title": feed.title,
        "topics": [f"{r.newsletter}/{r.topic}" for r in readers if r.topic],
        "weight": feed.weight,
        "full_text": feed.full_text,
        "keep": list(feed.keep),
        "drop": list(feed.drop),
        "identity": identity_in_words(feed),
        "settle_minutes": feed.settle_minutes,
        "interval_minutes": feed.interval_minutes or None,
        "secret_headers": sorted(feed.headers),
        "user_agent": next((v for name, v in feed.headers.items() if name.lower() == "user-agent"), ""),
        "proxy": shown(feed.proxy),
        "ca_file": feed.ca_file,
        "selects": [f"{part}: {said}" for part, said in recipe.told().items()] if recipe else [],
    }


def page_facts(session: Session, feed: Feed) -> dict[str, Any]:
    """What became of the pages of a feed's stubs, the latest first; {} where they were never followed."""
    from digest.store import full_texts

    taken, refused = full_texts.counts(session, feed.id or 0)
    if not feed.full_text and not taken and not refused:
        return {}
    fates = full_texts.fates(session, feed_id=feed.id or 0)
    return {
        "pages_taken": taken,
        "pages_refused": refused,
        "pages": [f"{fate.title or 'an entry'}: {page_in_words(fate)}" for fate in fates],
    }


def page_in_words(fate: Any) -> str:
    """What became of one page."""
    if fate.taken:
        return f"excerpt and reading time are of its page, read {fate.asked_at:%Y-%m-%d %H:%M} UTC"
    return fate.why or "its page is being asked for"
