"""What other settings would have made of the entries already judged."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from digest import config
from digest.curate import excerpts, urls
from digest.dataclass import dataclass
from digest.edition.judge import Gists, Judge
from digest.store import entries, newsletters, why
from digest.store.story_tables import Decision


@dataclass(frozen=True)
class Difference:
    """One entry that other settings would have treated otherwise."""

    story: int | None
    title: str
    was: str
    would_be: str
    why: str


@dataclass(frozen=True)
class Backtest:
    """How many entries were looked at, and those that come out otherwise."""

    entries: int
    differences: tuple[Difference, ...]


def backtest(
    session: Session, name: str, settings: config.Newsletter, curate_settings: config.Curate, *, since: datetime
) -> Backtest:
    """Judge the entries decided about from `since` on by other settings. Changes nothing.

    What an editor moved stays where it was put. Which entries tell one story, and what was held of a flood,
    does not depend on rules and topics and is taken as it was.
    """
    newsletter = newsletters.find(session, name)
    assert newsletter.id is not None
    feeds = entries.readings(session, newsletter.id)
    gists = Gists(session)
    judge = Judge(session, newsletter.id, settings, curate_settings, gists)
    decided = {d.entry.id: d for d in why.decided_since(session, newsletter.id, since) if d.entry.feed_id in feeds}
    found = []
    for id_, said in gists.of(decided):
        before = decided[id_]
        entry = before.entry
        if before.topic_step == "moved":
            continue
        url = urls.leads_to(entry.url, entry.original_url, said.links)
        verdict = judge.judge(
            entry, feeds[entry.feed_id], url, excerpts.prose_of(said, title=entry.title), meant=said.meaning
        )
        was = "muted" if before.decision == Decision.MUTED else before.topic + (", pinned" if before.pinned else "")
        would_be = "muted" if verdict.muted else verdict.topic + (", pinned" if verdict.pinned else "")
        if was != would_be:
            found.append(Difference(before.story_id, entry.title, was, would_be, verdict.muted or verdict.why))
    return Backtest(len(decided), tuple(found))
