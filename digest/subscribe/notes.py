"""Mails to one person that are no edition: in the look of their newsletter, and owed like any letter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from sqlmodel import Session

from digest.colours import on_dark
from digest.config import Newsletter
from digest.render import Note, Templates
from digest.render.speech import speech
from digest.store import outbox


def in_look(settings: Newsletter, *, language: str = "") -> Callable[..., Note]:
    """What makes a note in a newsletter's look, in its language or another; subject, words and link are left to say."""
    return partial(
        Note,
        title=settings.title,
        language=speech(language or settings.language).language,
        postal_address=settings.postal_address,
        accent=settings.accent,
        accent_dark=on_dark(settings.accent),
    )


def owe(
    session: Session, settings: Newsletter, note: Note, *, to: str, key: str, subscription_id: int, now: datetime
) -> bool:
    """Owe a note to an address, once for each `key`; False where it was owed before."""
    mail = Templates(settings.templates).note(note)
    letter = outbox.NewNotice(to=to, sender=settings.sender, subject=mail.subject, text=mail.text, html=mail.html)
    return outbox.owe_notice(session, letter, key=key, subscription_id=subscription_id, now=now)
