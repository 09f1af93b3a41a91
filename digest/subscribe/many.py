"""The same for many people: counted first, then done in steps.

Each step is a transaction of its own over some hundred people, in the order of their addresses: a million take a few
megabytes, and a sender at work waits for a fraction of a second. What was stopped is done again from the start and
goes on where it ended, since who has changed already is not found any more, or is left as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from digest.models import Subscriber, SubscriptionState, address_key
from digest.store import Database, people, search, signup, suppressions
from digest.store.consent_tables import Consent, ConsentEvent
from digest.store.search import Search
from digest.subscribe import fields
from digest.subscribe.address import address, display_name, erasure_mark, tag
from digest.subscribe.people import choose_one, leave_one, pause_one, resume_one
from digest.subscribe.preferences import Changes, Preferences, checked
from digest.values import Evidence

STEP = 250
_AGAIN = timedelta(days=1)  # that a command which was stopped is given again within
SHOWN = 10  # of those who are found, where nothing is done yet
Step = Callable[[Session, Search, Sequence[str]], int]  # does it for these keys; how many people it changed


@dataclass(frozen=True)
class Verb:
    """What is done to each who is found: `whom` are those of a search that it changes anything for."""

    whom: Search
    step: Step
    most: int = STEP  # people in a step


def count(database: Database, whom: Search) -> int:
    """How many are found at this moment."""
    with database.read() as session:
        return search.count(session, whom)


def first(database: Database, whom: Search, limit: int = SHOWN) -> list[str]:
    """The keys of the first of them, by address."""
    with database.read() as session:
        return search.page(session, whom, after="", limit=limit)


def each(database: Database, verb: Verb, *, progress: Callable[[int], None] = lambda done: None) -> int:
    """Do it to all who are found, in steps; how many were changed. Each is taken as they are in their step."""
    after, seen, changed = "", 0, 0
    while True:
        with database.read() as session:  # a walk through many who are not meant, without the lock
            some = search.page(session, verb.whom, after=after, limit=min(STEP, verb.most))
        if not some:
            return changed
        with database.write() as session:
            changed += verb.step(session, verb.whom, some)
        after, seen = some[-1], seen + len(some)
        progress(seen)


def lay_down(database: Database, emails: Iterable[str]) -> int:
    """Lay a list of addresses beside the people, for a search that is `given`; how many different ones there are.

    The database is to be `pinned`. BadInput for what is no address.
    """
    chunk: list[str] = []
    with database.read() as session:
        search.lay_down(session, ())
        for email in emails:
            chunk.append(address(email))
            if len(chunk) == 5_000:
                search.lay_down(session, chunk)
                chunk.clear()
        search.lay_down(session, chunk)
        found = search.look_at_list(session)
        session.commit()
    return found


# ---------------------------------------------------------------- what can be done


def remove(whom: Search, *, evidence: Evidence) -> Verb:
    def step(session: Session, whom: Search, some: Sequence[str]) -> int:
        return sum(leave_one(session, ours, evidence) for _p, ours in search.subscriptions(session, whom, some))

    left = whom.narrowed("subscription", "!=", SubscriptionState.UNSUBSCRIBED)
    return Verb(left, step)


def pause(whom: Search, *, until: datetime | None, evidence: Evidence) -> Verb:
    """Send them nothing until then. Who paused for as long or longer stays so: they said when they want letters again.

    For as long is up to a day less: "for two weeks", said again because it was stopped, is another moment.
    """

    def step(session: Session, whom: Search, some: Sequence[str]) -> int:
        return sum(pause_one(session, ours, until, evidence) for _p, ours in search.subscriptions(session, whom, some))

    before = (until - _AGAIN, until - _AGAIN) if until else None
    return Verb(whom.narrowed("back", "=", before), step)


def resume(whom: Search, *, evidence: Evidence) -> Verb:
    def step(session: Session, whom: Search, some: Sequence[str]) -> int:
        return sum(resume_one(session, ours, evidence) for _p, ours in search.subscriptions(session, whom, some))

    return Verb(whom.narrowed("subscription", "=", SubscriptionState.PAUSED), step)


def choose(whom: Search, choices: Changes, *, known_topics: Iterable[str], evidence: Evidence) -> Verb:
    """Set these choices of theirs; what is not among them stays. BadInput for one that is none."""
    chosen = checked(Preferences(**choices), frozenset(known_topics))

    def step(session: Session, whom: Search, some: Sequence[str]) -> int:
        rows = search.subscriptions(session, whom, some)
        return sum(choose_one(session, ours, chosen, evidence, only=choices) for _p, ours in rows)

    return Verb(whom, step)


def label(whom: Search, *, add: Iterable[str] = (), remove: Iterable[str] = (), evidence: Evidence) -> Verb:
    """Give them tags, and take others from them. A tag is the same in capitals and in small letters."""
    given = {kept.lower(): kept for word in add if (kept := tag(word))}
    taken = {tag(word).lower() for word in remove}

    def step(session: Session, whom: Search, some: Sequence[str]) -> int:
        changed = 0
        for person in search.people(session, whom, some):
            before = {word.lower(): word for word in person.tags}
            after = {low: word for low, word in {**given, **before}.items() if low not in taken}
            if after.keys() != before.keys():
                changed += 1
                more = [f"+{after[low]}" for low in sorted(after.keys() - before.keys())]
                less = [f"-{before[low]}" for low in sorted(before.keys() - after.keys())]
                person.tags = sorted(after.values())
                session.add(_line(person, ConsentEvent.TAGGED, evidence, detail=" ".join([*more, *less])))
        return changed

    return Verb(whom, step)


def describe(whom: Search, wanted: fields.Said, *, evidence: Evidence) -> Verb:
    """Set these fields of theirs, see `fields.keep`."""

    def step(session: Session, whom: Search, some: Sequence[str]) -> int:
        return sum(fields.keep(session, one, wanted, evidence) for one in search.people(session, whom, some))

    return Verb(whom, step)


def suppress(whom: Search, *, reason: str, evidence: Evidence) -> Verb:
    """Write to none of them again; where a list is given, also to those of it whom nobody knows."""
    reason = display_name(reason)
    searched = any(c.field not in ("address", "domain") for c in whom.wanted) or whom.newsletter

    def step(session: Session, whom: Search, some: Sequence[str]) -> int:
        new = [key for key in some if suppressions.add(session, key, reason=reason, now=evidence.at)]
        for person in search.people(session, Search(), new):
            session.add(_line(person, ConsentEvent.SUPPRESSED, evidence, detail=reason))
        return len(new)

    whom = replace(whom, among="given" if whom.given and not searched else "people")
    return Verb(whom.narrowed("barred", "!=", "yes"), step)


def unsuppress(whom: Search, *, evidence: Evidence) -> Verb:
    """Let them be written to again; of a domain that is barred, its block stays."""

    def step(session: Session, whom: Search, some: Sequence[str]) -> int:
        lifted = suppressions.lift_some(session, some)
        for person in search.people(session, Search(), list(lifted)):
            session.add(_line(person, ConsentEvent.UNSUPPRESSED, evidence, detail=lifted[person.key]))
        return len(lifted)

    return Verb(replace(whom, among="barred"), step)


def erase(whom: Search, *, secret: str, now: datetime) -> Verb:
    """Forget them, see `people.erase`."""

    def step(session: Session, whom: Search, some: Sequence[str]) -> int:
        gone = 0
        signup.lock(session)  # else who answers one of them has its request, and waits for the person that we have
        search.subscriptions(session, Search(), some)  # first, as a composition and an import take them
        for person in search.people(session, whom, some):
            mark = erasure_mark(address_key(person.email), secret)
            gone += people.erase(session, person.email, mark=mark, now=now) is not None
        return gone

    return Verb(whom, step, most=40)  # each costs a dozen statements


def _line(person: Subscriber, event: ConsentEvent, evidence: Evidence, *, detail: str) -> Consent:
    assert person.id is not None
    return Consent(subscriber_id=person.id, event=event, detail=detail, **asdict(evidence))
