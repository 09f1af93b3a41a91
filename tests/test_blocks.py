"""Domains that nobody writes to: who is there is not taken in, not composed for, and not sent what is owed."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from conftest import MONDAY
from people import SECRET, enrol
from sqlmodel import select
from test_many import days

from digest import subscribe
from digest.errors import BadInput, NotFound, UserError
from digest.models import Edition, Notice, OutboxRow, Subscriber, Variant
from digest.store import listing, newsletters, outbox, people, recipients, suppressions
from digest.subscribe import Evidence, Terms, signup

SAID = Evidence("command line", MONDAY)
LEASE = {"lease": timedelta(hours=1), "lifetime": timedelta(days=2), "hold_doubtful": False}


@pytest.fixture
def blocked(database):
    with database.write() as session:
        for email in ("Ada@example.org", "bob@example.com", "eve@sub.example.org"):
            enrol(session, email)
        assert subscribe.suppress(session, "@EXAMPLE.org", reason="their postmaster asked", evidence=SAID)
        assert not subscribe.suppress(session, "@example.org", reason="again", evidence=SAID)
    return database


def test_nobody_at_a_blocked_domain_is_added_imported_or_asked(blocked, config):
    with blocked.write() as session:
        with pytest.raises(UserError, match=r"suppressed since 2026-11-23: @example.org: their postmaster") as refused:
            enrol(session, "new@example.org")
        assert refused.value.hint.endswith("unsuppress @example.org")
        for email in ("new@example.org", "new@example.com"):
            signup.ask(session, email, newsletter="daily", config=config, evidence=SAID, known_topics=())
            signup.answer_waiting(session, config=config, now=SAID.at)
        assert session.exec(select(Notice.email)).all() == ["new@example.com"]
    terms = Terms(name="list.csv", now=MONDAY, known_topics=(), secret=SECRET, vouched_by="Abe")
    done = subscribe.import_csv(
        blocked,
        io.BytesIO(b"email\nlea@example.org\nlea@sub.example.org\nlea@example.com\n"),
        terms,
        newsletter="daily",
    )
    assert (done.added, done.stays_suppressed) == (2, 1)


def test_a_block_is_listed_shown_and_lifted_by_its_own_name(blocked):
    def listed(*where):
        with blocked.read() as session:
            page = listing.listed(session, subscribe.search(where=where, moments=days), limit=9)
            return [(row.email, row.state, row.reason) for row in page.rows]

    why = "their postmaster asked"
    assert listed("state=suppressed") == [("@example.org", "suppressed", why), ("Ada@example.org", "suppressed", why)]
    assert [row[:2] for row in listed()] == [
        ("Ada@example.org", "suppressed"), ("bob@example.com", "active"), ("eve@sub.example.org", "active"),
    ]  # fmt: skip
    with blocked.write() as session:
        facts, _parts = subscribe.everything(session, people.find(session, "ada@example.org"))
        assert facts["suppressed"] == "@example.org: their postmaster asked"
        with pytest.raises(UserError, match=r"all of example.org is suppressed"):
            subscribe.unsuppress(session, "ada@example.org", secret=SECRET, evidence=SAID)
        with pytest.raises(BadInput):
            subscribe.suppress(session, "@not a domain", reason="", evidence=SAID)
        assert subscribe.unsuppress(session, "@example.org", secret=SECRET, evidence=SAID)
    assert listed("state=suppressed") == []
    assert [line[1] for line in listed()] == ["active"] * 3


def test_the_block_of_a_domain_outlives_who_is_erased_there(blocked):
    with blocked.write() as session:
        assert subscribe.erase(session, "ada@example.org", secret=SECRET, now=MONDAY)
        with pytest.raises(NotFound):
            subscribe.erase(session, "nobody@example.org", secret=SECRET, now=MONDAY)
        assert suppressions.own(session, "@example.org") is not None


def test_letters_are_neither_composed_for_a_blocked_domain_nor_sent_when_they_are_owed(blocked):
    with blocked.write() as session:
        paper = newsletters.find(session, "daily")
        assert sum(group.readers for group in recipients.all_groups(session, paper.id)) == 2
        edition = Edition(newsletter_id=paper.id, number=1, composed_at=MONDAY, upto_seq=1, sender="x@example.com")
        session.add(edition)
        session.flush()
        mail = {"subject": "", "html": "", "text": "", "story_count": 1, "more_count": 0}
        variant = Variant(edition_id=edition.id, key="k", since_seq=0, **mail)
        session.add(variant)
        session.flush()
        for person in session.exec(select(Subscriber)).all():
            ours = people.subscription(session, person, paper)
            owed = {"edition_id": edition.id, "variant_id": variant.id, "due_at": MONDAY, "created_at": MONDAY}
            session.add(OutboxRow(subscriber_id=person.id, subscription_id=ours.id, **owed))
        note = outbox.NewNotice(to="new@example.org", sender="news@news.example", subject="s", text="t")
        assert outbox.owe_notice(session, note, key="k", now=MONDAY)
        edition_id = edition.id
    with blocked.write() as session:
        claim = outbox.claim(session, outbox.Wanted(edition_id, 9), now=MONDAY, **LEASE)
        assert ([letter.email for letter in claim.letters], claim.dropped) == (
            ["bob@example.com", "eve@sub.example.org"], 1,
        )  # fmt: skip
        assert outbox.claim(session, outbox.Wanted(None, 9), now=MONDAY, **LEASE).dropped == 1
        said = select(OutboxRow.reply).where(OutboxRow.state == "dropped")
        assert session.exec(said).all() == ["suppressed: their postmaster asked"] * 2
        subscribe.suppress(session, "@example.com", reason="too", evidence=SAID)  # between the claim and the mark
        marked = outbox.mark(session, claim.letters, now=MONDAY, lease=timedelta(hours=1))
        assert set(marked) == {letter.id for letter in claim.letters if letter.email == "eve@sub.example.org"}
