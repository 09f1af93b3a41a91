"""Mails to one person that are no edition: in the look of their newsletter, and in the operator's own words if any.

Whatever the operator's templates do, somebody who is to have a mail has one: where they fail it is said in ours.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from sqlmodel import Session

from digest import curate, sign
from digest.colours import on_dark
from digest.config import Config, Newsletter
from digest.errors import ConfigError
from digest.models import Subscriber, Subscription
from digest.render import Fields, Note, Reader, Rendered, Templates
from digest.render.speech import speech
from digest.store import outbox

_log = logging.getLogger("digest.mails")
# Somebody made up, of whom much is known.
SAMPLE = Reader("ada@example.org", "Ada Lovelace", Fields({"city": "London", "plan": "gold"}), cadence="weekly mon")


@dataclass(frozen=True)
class Mail:
    """Which mail: a kind of `render.MAILS`, of a newsletter, with a link to `path` of the web pages."""

    kind: str
    newsletter: str
    path: str  # "" for the start page
    to: str = ""  # else the person's address


def owe(
    session: Session, kind: str, ours: Subscription, newsletter: str, config: Config, *, key: str, now: datetime
) -> bool:
    """Owe a mail about a subscription that asks to confirm it, or leads to its choices; False as in `owe_mail`."""
    assert ours.id is not None
    own = config.imprint(newsletter).key
    if kind in ("confirm", "reminder"):
        path = f"confirm/{sign.confirm_token(ours.id, at=now, key=own)}"
    else:
        path = f"preferences/{sign.token(sign.Purpose.PREFERENCES, ours.id, key=own)}"
    return owe_mail(session, Mail(kind, newsletter, path), ours, config=config, key=key, now=now)


def owe_mail(session: Session, mail: Mail, ours: Subscription, *, config: Config, key: str, now: datetime) -> bool:
    """Owe a mail about a subscription, once for each `key`; False where it was owed before.

    In the reader's language, or the newsletter's.
    """
    settings = config.newsletters[mail.newsletter]
    person = session.get_one(Subscriber, ours.subscriber_id)
    reader = reader_of(person, ours, settings)
    if mail.to not in ("", person.email):
        # It goes to an address that is not theirs: not yet, or no longer. Nobody there is told anything of them.
        reader = Reader(email=mail.to, language=reader.language, format=reader.format)
    made = rendered(settings, note(mail, config, reader, language=ours.language))
    to = mail.to or person.email
    letter = outbox.NewNotice(to=to, sender=settings.sender, subject=made.subject, text=made.text, html=made.html)
    return outbox.owe_notice(session, letter, key=key, subscription_id=ours.id, now=now)


def rendered(settings: Newsletter, note: Note) -> Rendered:
    """By the operator's templates, or where they fail by ours, which is told."""
    if settings.template_folders:
        try:
            return Templates(*settings.template_folders).note(note)
        except ConfigError as error:
            _tell(f"the mail {note.kind!r} of {settings.title} went out in our own words: {error}")
    return Templates().note(note)


@lru_cache(maxsize=200)
def _tell(words: str) -> None:
    """Once: a list of a thousand people has the same to tell of each."""
    _log.warning("digest: %s", words)


def reader_of(person: Subscriber, ours: Subscription, settings: Newsletter) -> Reader:
    """What templates are told of a person."""
    titles = curate.titles(settings.topics, speech(ours.language or settings.language).gettext)
    return Reader(
        email=person.email,
        called=person.name,
        fields=Fields(person.fields),
        topics=tuple(titles[slug] for slug in ours.topics if slug in titles),
        cadence=ours.cadence,
        hour=ours.hour,
        language=ours.language,
        format="text" if ours.plain else "html",
    )


def sample(kind: str, newsletter: str, config: Config, *, language: str = "", reader: Reader = SAMPLE) -> Note:
    """A mail as somebody could get it, whose link leads to nobody's page."""
    paths = {"confirm": "confirm", "reminder": "confirm", "move": "move", "moved": ""}
    page = paths.get(kind, "preferences")
    return note(Mail(kind, newsletter, page and f"{page}/EXAMPLE"), config, reader, language=language)


def note(mail: Mail, config: Config, reader: Reader, *, language: str = "") -> Note:
    """What its templates are given: our words, in a language that was chosen or the newsletter's."""
    settings, home = config.newsletters[mail.newsletter], config.imprint(mail.newsletter).base_url
    asked = language or settings.language
    said = _said(mail.kind, asked, settings.title, mail.to or reader.email)
    return Note(
        title=settings.title,
        language=speech(asked).language,
        subject=said.subject,
        heading=said.heading,
        words=said.words,
        act=said.act,
        url=f"{home}/{mail.path}" if mail.path else home,
        after=said.after,
        postal_address=settings.postal_address,
        accent=settings.accent,
        accent_dark=on_dark(settings.accent),
        kind=mail.kind,
        asked=asked,
        home=home,
        reader=reader,
    )


class _Said(NamedTuple):
    subject: str
    heading: str
    words: str
    act: str
    after: str


def _said(kind: str, language: str, title: str, email: str) -> _Said:
    t, facts = speech(language).gettext, {"title": title, "email": email}
    week = t("The link works for seven days. If it was not you, do nothing, and nothing more will come.")
    choices = t("There you choose topics and days, pause, or leave.")
    changed = t(
        "Somebody, hopefully you, changed it by a link in a letter to %(email)s. If not, please answer this mail."
    )
    some_days = t("Somebody, hopefully you, asked for %(title)s at %(email)s some days ago. This is the only reminder.")
    match kind:
        case "confirm":
            words = t("Somebody, hopefully you, asked for %(title)s at %(email)s.") % facts
            subject = t("Please confirm: %(title)s") % facts
            return _Said(subject, t("Confirm your subscription"), words, t("Confirm"), week)
        case "reminder":
            subject = t("A reminder, please confirm: %(title)s") % facts
            return _Said(subject, t("Confirm your subscription"), some_days % facts, t("Confirm"), week)
        case "welcome":
            words = t("You get %(title)s at %(email)s from now on.") % facts
            return _Said(t("Welcome to %(title)s") % facts, t("Welcome"), words, t("Your choices"), choices)
        case "goodbye":
            words = t("%(title)s comes to %(email)s no more.") % facts
            after = t("If it was a mistake, or somebody else, you can come back there.")
            return _Said(t("You have left %(title)s") % facts, t("Goodbye"), words, t("Your choices"), after)
        case "already":
            words = t("Somebody, hopefully you, asked for %(title)s at %(email)s, where it goes already.") % facts
            subject = t("%(title)s: you are subscribed") % facts
            return _Said(subject, t("You are subscribed already"), words, t("Your choices"), choices)
        case "move":
            words = t("Somebody, hopefully you, wants the letters of %(title)s to come to %(email)s.") % facts
            subject = t("Please confirm your new address: %(title)s") % facts
            return _Said(subject, t("Confirm your new address"), words, t("Confirm"), week)
        case "moved":
            subject = t("%(title)s goes to another address now") % facts
            return _Said(subject, t("Your letters go to another address now"), changed % facts, title, "")
    raise ValueError(f"there is no mail {kind!r}")
