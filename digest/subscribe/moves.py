"""A person's other address: moved there by the operator, or by themselves with a mail that proves it is theirs.

They stay who they are: choices, history, the links in their mail and what they are owed. Letters are addressed when
they are claimed, so what is owed goes to the new address, what is under way already to the old one, each once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from sqlmodel import Session

from digest import sign
from digest.config import Config
from digest.errors import UserError
from digest.models import Subscriber, SubscriptionState, address_key
from digest.store import clock, erasures, people, suppressions
from digest.store.consent_tables import Consent, ConsentEvent
from digest.subscribe import notes, signup
from digest.subscribe.address import address, erasure_mark
from digest.subscribe.people import known
from digest.values import Evidence

_RECEIVING = (SubscriptionState.ACTIVE, SubscriptionState.PAUSED)


def move(session: Session, email: str, new: str, *, secret: str, evidence: Evidence) -> bool:
    """Write to a person at their new address from now on; False where it is theirs already.

    Lists do not bring the old address back: a keyed hash of it stays, as of one that was erased. Raises NotFound for
    who is nobody, BadInput for no address, UserError for one that is somebody's, suppressed or erased.
    """
    person, new = known(session, email), address(new)
    if person.email == new:
        return False
    states = [ours.state for ours, _paper in people.subscriptions_of(session, person, lock=True)]
    if states and set(states) == {SubscriptionState.PENDING}:
        raise UserError(
            f"{person.email} has not confirmed anything yet, and nobody else can",
            hint=f"digest subscriber add {new}",
        )
    if address_key(new) != person.key:
        _must_be_free(session, person, new, secret)
    _move(session, person, new, secret=secret, evidence=evidence)
    return True


def _somebody_at(session: Session, new: str) -> bool:
    """Does somebody have that address? Not who has confirmed nothing there: a stranger could keep any address so."""
    there = people.find(session, new)
    if there is None:
        return False
    states = {ours.state for ours, _paper in people.subscriptions_of(session, there)}
    return states != {SubscriptionState.PENDING}


def _must_be_free(session: Session, person: Subscriber, new: str, secret: str) -> None:
    if _somebody_at(session, new):
        raise UserError(f"{new} is a subscriber already", hint=f"digest subscriber remove {person.email}")
    if (stop := suppressions.find(session, new)) is not None:
        raise UserError(
            f"{new} is suppressed: {stop.reason}", hint="if they can get mail there: digest subscriber unsuppress"
        )
    mark = erasure_mark(address_key(new), secret)
    if erasures.find(session, mark) and not people.moved_from(session, person, new):
        raise UserError(
            f"{new} was erased at their own wish", hint=f"if they asked for it: digest subscriber unsuppress {new}"
        )


def _move(session: Session, person: Subscriber, new: str, *, secret: str, evidence: Evidence) -> None:
    """What nobody confirmed does not go along: a link to it went to the old address, and says nothing of the new one.

    And who has confirmed nothing at the new address is gone, since they who move there have.
    """
    old, there = person.email, people.find(session, new)
    for ours, _paper in people.subscriptions_of(session, person, lock=True):
        if ours.state is SubscriptionState.PENDING:
            session.delete(ours)
    if there is not None and there is not person:
        people.subscriptions_of(session, there, lock=True)
        session.delete(there)
    session.flush()
    if address_key(old) != address_key(new):
        erasures.note(session, erasure_mark(person.key, secret), now=evidence.at)
        erasures.lift(session, erasure_mark(address_key(new), secret))
    people.readdress(session, person, new)
    assert person.id is not None
    detail = f"{old} is {new} now"
    session.add(Consent(subscriber_id=person.id, event=ConsentEvent.MOVED, detail=detail, **asdict(evidence)))
    session.flush()


# ---------------------------------------------------------------- by the reader


def ask(session: Session, subscription_id: int, new: str, *, config: Config, evidence: Evidence) -> None:
    """A reader wants their letters at another address: owe it a mail that asks, if it may have one.

    Nothing tells whether somebody has that address already. Raises BadInput for what is no address.
    """
    new = address(new)
    found = people.subscription_by_id(session, subscription_id)
    if found is None or found[0].state not in _RECEIVING or found[1] not in config.newsletters:
        return
    if suppressions.find(session, new) is not None:
        return
    if not signup.may_mail(session, new, config=config, network=signup.network_of(evidence.ip), now=evidence.at):
        return
    subscription, newsletter = found
    person = session.get_one(Subscriber, subscription.subscriber_id)
    proof = sign.Move(subscription_id, new, _holder(person, config), evidence.at)
    mail = notes.Mail("move", newsletter, f"move/{sign.move_token(proof, key=config.imprint(newsletter).key)}", to=new)
    mark = erasure_mark(address_key(new), config.lasting_key)[:16]
    key = f"move:{subscription_id}:{mark}:{evidence.at.isoformat()}"
    notes.owe_mail(session, mail, subscription, config=config, key=key, now=evidence.at)


Outcome = Literal["moved", "unchanged", "expired", "refused"]


@dataclass(frozen=True)
class Answer:
    """What became of a link to a new address: whose it is, and for which newsletter they asked."""

    outcome: Outcome
    subscription_id: int
    newsletter: str
    email: str


def about(session: Session, token: str, *, config: Config, now: datetime, lock: bool = False) -> Answer | None:
    """What `confirm` would do; None for a link that is not ours, or whose subscription or newsletter is gone."""
    proof = sign.read_move(token, keys=config.all_keys)
    found = people.subscription_by_id(session, proof.subscription_id, lock=lock) if proof else None
    if proof is None or found is None or found[1] not in config.newsletters:
        return None
    if sign.read_move(token, keys=config.imprint(found[1]).keys) != proof:
        return None  # signed by the key of another newsletter
    person = session.get_one(Subscriber, found[0].subscriber_id)
    outcome: Outcome = "moved"
    late = now - proof.at > signup.VALID_FOR or proof.at - now > clock.TOLERANCE  # or asked by a clock that was wrong
    if person.email == proof.email:
        outcome = "unchanged"
    elif late or _holder(person, config) != proof.holder:
        outcome = "expired"  # or they have moved since, which is the later word
    elif suppressions.find(session, proof.email) is not None or (
        address_key(proof.email) != person.key and _somebody_at(session, proof.email)
    ):
        outcome = "refused"
    return Answer(outcome, proof.subscription_id, found[1], proof.email)


def confirm(session: Session, token: str, *, config: Config, evidence: Evidence) -> Answer | None:
    """Move whom a link names to the address that it was sent to, and tell the old one; twice is once."""
    answer = about(session, token, config=config, now=evidence.at, lock=True)
    if answer is None or answer.outcome != "moved":
        return answer
    subscription, newsletter = people.subscription_by_id(session, answer.subscription_id) or (None, "")
    assert subscription is not None
    person = session.get_one(Subscriber, subscription.subscriber_id)
    old = person.email
    _move(session, person, answer.email, secret=config.lasting_key, evidence=evidence)
    key = f"moved:{answer.subscription_id}:{evidence.at.isoformat()}"
    mail = notes.Mail("moved", newsletter, "", to=old)
    notes.owe_mail(session, mail, subscription, config=config, key=key, now=evidence.at)
    return answer


def _holder(person: Subscriber, config: Config) -> str:
    """A mark of the address that they had when they asked: a link is void once they have another."""
    return erasure_mark(person.key, config.lasting_key)[:16]
