"""Choices by mail, for readers without a browser: what they wrote is done, and answered once with what now holds.

The signed address is the proof, whoever the mail says it is from; the answer goes to the subscriber's address alone.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlmodel import Session

from digest import curate, sign
from digest.colours import on_dark
from digest.config import Config, Newsletter
from digest.errors import UserError
from digest.models import Subscriber, Subscription, SubscriptionState
from digest.render import Note, Templates
from digest.render.speech import Speech, speech
from digest.schedule import DAYS
from digest.store import outbox, people, reports, suppressions
from digest.subscribe.people import choose_one, come_back, leave_one, pause_one, resume_one
from digest.subscribe.plain_words import Wishes, understood
from digest.subscribe.preferences import Preferences, checked
from digest.values import Evidence, Followed, Wished

ANSWERS, WITHIN = 5, timedelta(days=1)  # that one reader gets
_RECEIVING = (SubscriptionState.ACTIVE, SubscriptionState.PAUSED)
_CHOICES = ("topics", "cadence", "hour", "zone", "language", "plain")


def answer(session: Session, config: Config, mail: Wished, *, now: datetime) -> Followed:
    """Do what a mail asks for, and owe its answer. A robot's changes nothing and gets none."""
    found = people.subscription_by_id(session, mail.subscription_id, lock=True)
    if found is None or found[1] not in config.newsletters:
        return Followed("none", "nobody is subscribed by that address any more")
    subscription, name = found
    if mail.robot:
        return Followed("none", "a robot wrote, which asks for nothing", subscriber_id=subscription.subscriber_id)
    settings = config.newsletters[name]
    titles = _titles(settings, speech(subscription.language or settings.language))
    weekday = subscription.cadence.partition(" ")[2][:3]
    wishes = understood(mail.text, mail.subject, topics=titles, weekday=weekday if weekday in DAYS else DAYS[0])
    was = _standing(subscription)
    said = Evidence(f"mail {mail.report_id}", now)
    done, refused = _do(session, subscription, wishes, titles, said)
    before = _before(subscription, was)
    person = session.get_one(Subscriber, subscription.subscriber_id)
    answered = _owe(session, config, subscription, person, name, wishes, refused, mail.report_id, now)
    why = f"they asked for {', '.join(done)}" if done else "nothing in it was understood" if wishes.strange else "help"
    why += f"; not understood: {'; '.join(wishes.strange)}" if done and wishes.strange else ""
    why += "" if answered else "; not answered: they had enough answers today"
    return Followed("chose" if before else "none", why, before, person.id)


def _titles(settings: Newsletter, said: Speech) -> dict[str, str]:
    return curate.titles(settings.topics, said.gettext)


# ---------------------------------------------------------------- done


def _do(
    session: Session, subscription: Subscription, wishes: Wishes, titles: dict[str, str], said: Evidence
) -> tuple[list[str], bool]:
    """What was done, in a word each; and whether something was understood that cannot be."""
    done, refused = [], False
    receives = subscription.state in (*_RECEIVING, SubscriptionState.PENDING)
    if wishes.state == "back":
        try:
            back = subscription.state is SubscriptionState.PAUSED and resume_one(session, subscription, said)
            back = back or (subscription.id is not None and come_back(session, subscription.id, evidence=said))
            done += ["back"] if back or subscription.state is SubscriptionState.ACTIVE else []
            receives = receives or back
        except UserError:
            refused = True  # we have stopped writing to them
    if wishes.choices and receives:
        chosen = checked(Preferences(**wishes.choices), titles)
        choose_one(session, subscription, chosen, said, only=wishes.choices)
        done += wishes.choices
    elif wishes.choices:
        refused = True
    if wishes.state == "leave":
        leave_one(session, subscription, said)
        done.append("leave")
    if wishes.state == "pause":
        until = said.at + timedelta(days=wishes.days) if wishes.days else None
        if wishes.until is not None:
            until = datetime.combine(wishes.until, time(0), UTC)
        lasts = until is None or timedelta(0) < until - said.at <= timedelta(days=367)
        if subscription.state in _RECEIVING and lasts:
            pause_one(session, subscription, until, said)
            done.append("pause")
        else:
            refused = True
    return done, refused


def _standing(subscription: Subscription) -> dict[str, Any]:
    until = subscription.paused_until
    return {
        "state": str(subscription.state),
        "paused_until": until.isoformat() if until else None,
        "choices": {name: getattr(subscription, name) for name in _CHOICES},
    }


def _before(subscription: Subscription, was: dict[str, Any]) -> dict[str, Any] | None:
    """What `reports.undo` puts back: of the state and of the choices, each where it changed."""
    now, before = _standing(subscription), {}
    if (now["state"], now["paused_until"]) != (was["state"], was["paused_until"]):
        before = {"state": was["state"], "paused_until": was["paused_until"], "became": now["state"]}
    changed = [name for name in _CHOICES if now["choices"][name] != was["choices"][name]]
    if changed:
        before["choices"] = {name: was["choices"][name] for name in changed}
        before["chose"] = {name: now["choices"][name] for name in changed}
    return {"subscription": subscription.id, **before} if before else None


# ---------------------------------------------------------------- answered


def _owe(
    session: Session,
    config: Config,
    subscription: Subscription,
    person: Subscriber,
    name: str,
    wishes: Wishes,
    refused: bool,
    report_id: int,
    now: datetime,
) -> bool:
    """Owe the answer; False where they had enough of them within a day, or nothing goes to their address."""
    assert subscription.id is not None
    if reports.answers_since(session, person.key, now - WITHIN) >= ANSWERS:
        return False
    if suppressions.find(session, person.email) is not None:
        return False
    settings = config.newsletters[name]
    said = speech(subscription.language or settings.language)
    t, facts = said.gettext, {"title": settings.title}
    words = []
    if wishes.strange:
        words.append(
            t("This was not understood: %(words)s.") % {"words": said.listed([said.quoted(w) for w in wishes.strange])}
        )
    if refused:
        words.append(t("Some of it is not possible as things stand."))
    if not wishes.any:
        words.append(t("Nothing was changed."))
    own = config.imprint(name)
    note = Note(
        title=settings.title,
        language=said.language,
        subject=t("Your choices: %(title)s") % facts,
        heading=t("What holds now"),
        words=" ".join([*words, *in_words(subscription, settings, said)]),
        act=t("Topics and frequency"),
        url=f"{own.base_url}/preferences/{sign.token(sign.Purpose.PREFERENCES, subscription.id, key=own.key)}",
        after=_how(config, subscription.id, name, said),
        postal_address=settings.postal_address,
        accent=settings.accent,
        accent_dark=on_dark(settings.accent),
        home=own.base_url,
    )
    made = Templates().note(note)
    letter = outbox.NewNotice(person.email, settings.sender, made.subject, made.text, made.html)
    return outbox.owe_notice(
        session, letter, key=f"{reports.ANSWER}{report_id}", subscription_id=subscription.id, now=now
    )


def _how(config: Config, subscription_id: int, newsletter: str, said: Speech) -> str:
    """The words that are understood, and where they are to be written."""
    settings = config.newsletters[newsletter]
    address = sign.choices_address(
        subscription_id,
        key=config.keys[0],
        domain=config.imprint(newsletter).smtp.envelope_domain or settings.sender.rpartition("@")[2].strip("> "),
        mailbox=config.mail.address,
    )
    slugs = list(_titles(settings, said))[:3]
    t = said.gettext
    words = t(
        "Write to %(address)s, as in: pause 2 weeks, back, weekly, %(topics)stext, language de, at 8, stop, help."
    )
    name = t("topics")
    return words % {"address": address, "topics": f"{name} {' '.join(slugs)}, " if slugs else ""}


def in_words(subscription: Subscription, settings: Newsletter, said: Speech) -> list[str]:
    """What holds for a reader, as sentences in their language."""
    t, facts = said.gettext, {"title": settings.title}
    state, until = subscription.state, subscription.paused_until
    if state is SubscriptionState.UNSUBSCRIBED:
        return [t("You get no letters of %(title)s any more.") % facts]
    found = []
    if state is SubscriptionState.PENDING:
        found.append(
            t("You have not confirmed yet that you want %(title)s. Please open the link in the mail that asks you to.")
            % facts
        )
    elif state is SubscriptionState.PAUSED:
        found.append(t("Paused until %(day)s.") % {"day": said.date(until)} if until else t("Paused until you resume."))
    else:
        found.append(t("You get %(title)s.") % facts)
    titles = _titles(settings, said)
    topics = said.listed([titles[slug] for slug in subscription.topics if slug in titles])
    rows = [
        (t("Topics"), topics or t("all of them")),
        (t("How often"), cadence_in_words(subscription.cadence, said)),
        (t("Hour"), t("When it comes") if subscription.hour is None else f"{subscription.hour}:00"),
        (t("Language"), said_name(subscription.language or settings.language, said)),
        (t("Format"), t("Text alone") if subscription.plain else "HTML"),
    ]
    return [*found, *(f"{name}: {value}." for name, value in rows)]


def said_name(tag: str, said: Speech) -> str:
    """A language as its readers call it."""
    return str(speech(tag).locale.get_language_name(said.locale) or tag)


def cadence_in_words(cadence: str, said: Speech) -> str:
    """How often, as the page of choices says it."""
    from babel.dates import get_day_names

    t = said.gettext
    name, _, day = cadence.partition(" ")
    plain = {"": t("Every edition"), "daily": t("At most once a day"), "weekdays": t("From Monday to Friday")}
    if name in plain:
        return plain[name]
    words = {"weekly": t("Once a week, on"), "fortnightly": t("Every second week, on"), "monthly": t("Once a month,")}
    if name == "monthly":
        from digest.schedule import days

        return f"{words[name]} {said.day_of_month(days(cadence))}"
    names = get_day_names("wide", locale=said.locale)
    return f"{words[name]} {names[DAYS.index(day[:3])]}"
