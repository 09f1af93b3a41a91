"""Leaving at one's own wish, which the newsletter may answer with a mail (`goodbye = true`)."""

from __future__ import annotations

from sqlmodel import Session

from digest.config import Config
from digest.models import Subscriber, Subscription, SubscriptionState
from digest.store import people
from digest.subscribe import notes
from digest.subscribe.people import leave_one
from digest.values import Evidence

_HAD_LETTERS = (SubscriptionState.ACTIVE, SubscriptionState.PAUSED)


def leave(session: Session, subscription_id: int, *, config: Config, evidence: Evidence) -> bool:
    """End the subscription that a signed link names, as `people.leave` does; True where a mail about it is owed."""
    found = people.subscription_by_id(session, subscription_id, lock=True)
    return found is not None and _leave(session, *found, config, evidence)


def leave_all(session: Session, person: Subscriber, *, config: Config, evidence: Evidence) -> bool:
    """End all subscriptions of a person; True where a mail about one is owed."""
    ours = people.subscriptions_of(session, person, lock=True)
    return sum(_leave(session, subscription, name, config, evidence) for subscription, name in ours) > 0


def _leave(session: Session, ours: Subscription, newsletter: str, config: Config, evidence: Evidence) -> bool:
    had = ours.state in _HAD_LETTERS
    if not leave_one(session, ours, evidence) or not had:
        return False
    settings = config.newsletters.get(newsletter)
    if settings is None or not settings.goodbye:
        return False
    # One a day: whoever goes to and fro, or has a link of somebody else's, fills no mailbox by it.
    key = f"goodbye:{ours.id}:{evidence.at:%Y-%m-%d}"
    return notes.owe(session, "goodbye", ours, newsletter, config, key=key, now=evidence.at)
