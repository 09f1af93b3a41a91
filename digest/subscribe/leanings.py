"""What a reader wants more of, and less: said of one story after the other, and taken back.

It is said by buttons alone. What somebody opens or clicks is noted nowhere.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from sqlmodel import Session

from digest import taste
from digest.models import Subscription
from digest.store import people
from digest.subscribe.people import choose_one
from digest.subscribe.preferences import Preferences, checked
from digest.taste import Taste
from digest.values import Evidence

Way = Literal["more", "less", ""]  # "": neither, as before anything was said


def lean(
    session: Session,
    subscription_id: int,
    about: str,
    way: Way,
    *,
    known_topics: Collection[str],
    evidence: Evidence,
) -> bool:
    """Let there be more of what `about` says (see `taste.leaning`) for one reader, or less, or neither.

    False where it was so, or they are gone. What was said of it before holds no more. BadInput for what cannot be
    chosen, or where there is no room for more of it. Topics that are no more fall away.
    """
    found = people.subscription_by_id(session, subscription_id, lock=True)
    if found is None:
        return False
    theirs = Taste.of(found[0].taste)
    more, less = (
        [one for one in taste.without(some, [about]) if _known(one, known_topics)]
        for some in (theirs.more_of, theirs.less_of)
    )
    if way:
        (more if way == "more" else less).append(about)
    return _keep(session, found[0], Preferences(more_of=tuple(more), less_of=tuple(less)), known_topics, evidence)


def forget(session: Session, subscription_id: int, *, evidence: Evidence) -> bool:
    """Let a reader's order be the common one again; False where it is, or they are gone."""
    found = people.subscription_by_id(session, subscription_id, lock=True)
    return found is not None and _keep(session, found[0], Preferences(), (), evidence)


def _known(leaning: str, topics: Collection[str]) -> bool:
    kind, _, what = leaning.partition(":")
    return kind != "topic" or what in topics


def _keep(
    session: Session, subscription: Subscription, chosen: Preferences, topics: Collection[str], evidence: Evidence
) -> bool:
    return choose_one(session, subscription, checked(chosen, topics), evidence, only=("more_of", "less_of"))
