"""Letters owed, sent and looked at: what the tests of delivery have in common."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO

from conftest import MONDAY, Clock, fill_once
from sqlmodel import col, select

from digest import deliver, subscribe
from digest.config import Config
from digest.models import Edition, OutboxRow, Subscriber, Variant
from digest.render import Marker, Marks
from digest.schedule import Turn
from digest.store import Database, edition_states, letters, newsletters, outbox, recipients

MARKS = Marks("a nonce of the tests")
LEAVE = MARKS.address(Marker.UNSUBSCRIBE)
PEOPLE = ("ada@example.org", "bob@example.org", "cyd@example.org")


def readers(number: int, domain: str = "example.org") -> list[str]:
    return [f"reader{n}@{domain}" for n in range(number)]


def owe(database: Database, config: Config, *emails: str, newsletter: str = "daily") -> None:
    """Subscribe people and owe each a letter of one small edition."""
    sender, secret = config.newsletters[newsletter].sender, config.secret_key.get_secret_value()
    what = f"{newsletter}, of {sender}, with {secret}, to {emails}"
    fill_once(database, what, lambda: _owe(database, newsletter, sender, secret, emails))


def _owe(database: Database, newsletter: str, sender: str, secret: str, emails: Sequence[str]) -> None:
    # Imported, which is quicker than adding one after the other: hundreds of readers are made again and again.
    terms = subscribe.Terms("test", MONDAY, (), secret=secret, vouched_by="test")
    subscribe.import_csv(database, BytesIO("\n".join(["email", *emails]).encode()), terms, newsletter=newsletter)
    with database.write() as session:
        paper = newsletters.lock(session, newsletter)
        paper.edition_number += 1
        edition = Edition(
            newsletter_id=paper.id,
            number=paper.edition_number,
            composed_at=MONDAY,
            upto_seq=paper.seq,
            sender=sender,
        )
        session.add(edition)
        session.flush()
        variant = Variant(
            edition_id=edition.id,
            key="all",
            since_seq=0,
            subject="News",
            html=f'<p>.dot</p><a href="{LEAVE}">Unsubscribe</a>',
            text=f".\n..\n{LEAVE}\n",
            marks=MARKS.nonce,
            story_count=1,
            more_count=0,
        )
        session.add(variant)
        session.flush()
        with recipients.laid_out(session, paper.id, {("", None, ""): [Turn(MONDAY, MONDAY)]}):
            all_ = {recipients.Group(0, "[]", "", False): variant.id}
            upto = edition.upto_seq
            recipients.owe(session, paper.id, all_, edition=edition, upto=upto, marks=False, now=MONDAY)


def enlarge_for(database: Database, *emails: str) -> None:
    """Give these readers a variant of their own, of 5 kB."""
    with database.write() as session:
        found = session.exec(select(OutboxRow).join(Subscriber).where(col(Subscriber.email).in_(emails))).all()
        known = session.get_one(Variant, found[0].variant_id)
        values = known.model_dump(exclude={"id"}) | {"key": "large", "html": known.html * 50, "letters": len(found)}
        large = Variant(**values)
        session.add(large)
        session.flush()
        known.letters -= len(found)
        for row in found:
            row.variant_id = large.id


def send(database: Database, config: Config, clock: Clock, **options) -> deliver.Report:
    return deliver.run(database, config, clock=clock, rng=random.Random(1), **options)


def notice(
    database: Database, to: str, *, subscription_id: int | None = None, now: datetime = MONDAY, **values
) -> bool:
    said = {"sender": "Daily <news@news.example>", "subject": "Please confirm", "text": "Here."} | values
    mail, key = outbox.NewNotice(to, **said), f"confirm:{to}"
    with database.write() as session:
        return outbox.owe_notice(session, mail, key=key, subscription_id=subscription_id, now=now)


def states(database: Database) -> dict[str, str]:
    with database.read() as session:
        return {line.email: line.state.value for line in letters.lines(session)}


def tallied(database: Database) -> Counter[str]:
    """How many letters are in each state."""
    with database.read() as session:
        return Counter(line.state.value for line in letters.lines(session, limit=100_000))


def sound(database: Database) -> bool:
    """Does every account add up?"""
    with database.read() as session:
        return all(account.adds_up for account in edition_states.accounts(session))
