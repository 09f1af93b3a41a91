from __future__ import annotations

import random
import re
import shutil
from collections import Counter, defaultdict
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from io import BytesIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from conftest import MONDAY, Clock, on_sqlite
from mailing import PEOPLE, notice, owe, send, states, tallied
from mailserver import MailServer
from sqlmodel import Session, select

from digest import deliver, subscribe
from digest.cli.common import left_words
from digest.config import Config
from digest.deliver.content import Contents
from digest.deliver.ledger import Batch, Ledger, Wish
from digest.deliver.maildir import Maildir
from digest.deliver.papers import Papers
from digest.deliver.shares import ALL, Share
from digest.errors import CommitUnknown, ConfigError, StorageError
from digest.models import Edition, EditionState, Notice, OutboxRow, OutboxState, Subscription, SubscriptionState
from digest.store import Database, edition_states, import_log, letters, outbox, people, suppressions
from digest.store.outbox import Outcome
from digest.subscribe import Evidence


@pytest.fixture
def mailing(configure, inbox):
    """Settings that send to `inbox`."""

    def make(**smtp) -> Config:
        return configure(smtp={"url": inbox.url} | smtp)

    return make


def test_everyone_gets_one_letter_and_a_second_run_sends_none(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    report = send(database, config, clock)
    assert (report.sent, report.owed, report.stopped) == (3, 0, "")
    assert sorted(inbox.recipients) == sorted(PEOPLE)
    assert send(database, config, clock).sent == 0
    assert len(inbox.messages) == 3


def test_each_letter_carries_its_own_links_and_bounce_address(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    send(database, config, clock)
    assert len({m.sender for m in inbox.messages}) == 3
    bodies = [message_from_bytes(m.content, policy=policy.default) for m in inbox.messages]
    links = {m["list-unsubscribe"].strip().partition(">")[0][1:] for m in bodies}
    assert len(links) == 3
    for message in bodies:
        link = message["list-unsubscribe"].strip().partition(">")[0][1:]
        assert all(link in part.get_content() for part in message.iter_parts())
        assert "digest.invalid" not in str(message)


def test_a_refused_recipient_is_suppressed_and_the_rest_are_served(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    inbox.refuse["bob@example.org"] = "550 5.1.1 no such mailbox"
    report = send(database, config, clock)
    assert (report.sent, report.refused) == (2, 1)
    assert states(database)["bob@example.org"] == "refused"
    with database.read() as session:
        assert suppressions.find(session, "bob@example.org").status == "5.1.1"


def test_a_refusal_of_the_content_never_marks_the_person(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    inbox.refuse_data["bob@example.org"] = "554 5.7.1 looks like spam"
    inbox.refuse["cyd@example.org"] = "552 5.2.2 mailbox full"
    assert send(database, config, clock).refused == 2
    with database.read() as session:
        assert suppressions.find(session, "bob@example.org") is None
        assert suppressions.find(session, "cyd@example.org") is None


def test_a_deferred_letter_is_tried_again_later_and_is_the_same_letter(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    inbox.refuse_data["bob@example.org"] = "451 4.7.1 greylisted, come back"
    report = send(database, config, clock)
    assert (report.sent, report.deferred, report.owed) == (2, 1, 1)
    clock.pass_(minutes=1)
    assert send(database, config, clock).sent == 0
    first = inbox.messages[:]
    inbox.refuse_data.clear()
    clock.pass_(minutes=10)
    assert send(database, config, clock).sent == 1
    assert [m.recipient for m in inbox.messages[len(first) :]] == ["bob@example.org"]
    assert set(states(database).values()) == {"sent"}


def test_a_letter_is_given_up_when_its_lifetime_is_over(database, mailing, inbox, clock):
    config = mailing(lifetime_hours=2)
    owe(database, config, "ada@example.org")
    inbox.refuse["*"] = "450 4.2.1 busy"
    for _ in range(10):
        send(database, config, clock)
        clock.pass_(minutes=75)
    assert states(database) == {"ada@example.org": "refused"}


def test_a_lifetime_begins_with_the_first_try_and_not_with_the_edition(database, mailing, inbox, clock):
    inbox.refuse["*"] = "450 4.2.1 busy"
    config = mailing(lifetime_hours=2, max_lateness_hours=1000)
    owe(database, config, "ada@example.org")
    clock.now = MONDAY + timedelta(hours=30)
    assert send(database, config, clock).deferred == 1


def test_who_leaves_before_the_claim_gets_no_letter(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    with database.write() as session:
        subscribe.remove(session, "ada@example.org", newsletter="daily", evidence=Evidence("test", clock()))
        suppressions.add(session, "BOB@example.org", reason="complained", now=clock())
    report = send(database, config, clock)
    assert (report.sent, report.dropped, report.owed) == (1, 2, 0)
    assert inbox.recipients == ["cyd@example.org"]
    assert states(database) == {"ada@example.org": "dropped", "bob@example.org": "dropped", "cyd@example.org": "sent"}


def test_a_notice_is_one_letter_without_list_headers(database, mailing, inbox, clock):
    config = mailing()
    assert notice(database, "New@example.org", name="Zoë", html="<p>Here.</p>")
    assert not notice(database, "New@example.org")
    assert send(database, config, clock).sent == 1
    (message,) = [message_from_bytes(m.content, policy=policy.default) for m in inbox.messages]
    assert message["auto-submitted"] == "auto-generated" and message["subject"] == "Please confirm"
    assert message["list-id"] is None and message["list-unsubscribe"] is None and message["precedence"] is None
    assert message["to"].addresses[0].display_name == "Zoë"
    assert send(database, config, clock).sent == 0


def test_a_notice_goes_to_a_pending_subscription_but_never_to_a_suppressed_address(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    with database.write() as session:
        for subscription in session.exec(select(Subscription)):
            subscription.state = SubscriptionState.PENDING
        suppressions.add(session, "BOB@example.org", reason="complained", now=clock())
        ada = people.find(session, "ada@example.org")
        (held,) = session.exec(select(Subscription.id).where(Subscription.subscriber_id == ada.id))
    notice(database, "ada@example.org", subscription_id=held)
    notice(database, "bob@example.org")
    report = send(database, config, clock)
    assert (report.sent, report.dropped) == (1, 4)
    assert inbox.recipients == ["ada@example.org"]


def test_a_notice_goes_with_the_subscription_it_is_about(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, "ada@example.org")
    with database.write() as session:
        (held,) = session.exec(select(Subscription.id))
    notice(database, "ada@example.org", subscription_id=held)
    with database.write() as session:
        session.delete(people.find(session, "ada@example.org"))
    report = send(database, config, clock)
    assert (report.sent, report.dropped) == (0, 1)
    with database.read() as session:
        assert session.exec(select(Notice)).all() == []


@pytest.mark.parametrize("state", [EditionState.HELD, EditionState.PAUSED, EditionState.CANCELLED])
def test_letters_go_out_from_open_editions_only(database, mailing, inbox, clock, state):
    config = mailing()
    owe(database, config, *PEOPLE)
    with database.write() as session:
        session.exec(select(Edition)).one().state = state
    assert send(database, config, clock).sent == 0
    assert inbox.messages == []


def test_a_held_edition_opens_when_its_moment_has_come(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    with database.write() as session:
        edition = session.exec(select(Edition)).one()
        edition.state, edition.open_at = EditionState.HELD, MONDAY + timedelta(hours=1)
    assert send(database, config, clock).sent == 0
    clock.pass_(hours=1)
    assert send(database, config, clock).sent == 3


def claim(database: Database, clock: Clock, limit: int = 1) -> tuple[outbox.Claimed, ...]:
    with database.write() as session:
        return claim_in(session, clock, limit)


def claim_in(session: Session, clock: Clock, limit: int = 1) -> tuple[outbox.Claimed, ...]:
    (edition,) = [s.edition_id for s in outbox.due_sources(session, now=clock())] or [None]
    lease = timedelta(minutes=10)
    return outbox.claim(
        session,
        outbox.Wanted(edition, limit),
        now=clock(),
        lease=lease,
        lifetime=timedelta(days=2),
        hold_doubtful=False,
    ).letters


def test_letters_in_doubt_are_held_once_nothing_else_is_due_and_never_claimed_again(database, mailing, clock):
    owe(database, mailing(), *PEOPLE)
    (doubtful,) = claim(database, clock)
    mark(database, clock, doubtful)
    clock.pass_(minutes=11)  # its sender died
    taken, held = [], []
    for _ in range(4):
        with database.write() as session:
            wanted, terms = outbox.Wanted(doubtful.edition_id, 1), {"lease": timedelta(1), "lifetime": timedelta(2)}
            found = outbox.claim(session, wanted, now=clock(), **terms, hold_doubtful=True)
        taken.append([letter.id for letter in found.letters])
        held.append(found.doubtful)
    assert taken == [[2], [3], [], []] and held == [0, 0, 1, 0]
    assert states(database)[PEOPLE[0]] == "held"


def mark(database: Database, clock: Clock, *letters: outbox.Claimed) -> dict[int, int]:
    with database.write() as session:
        return outbox.mark(session, letters, now=clock(), lease=timedelta(minutes=10))


@pytest.mark.parametrize("at", ["rcpt", "body"])
def test_of_a_person_who_is_erased_in_flight_nothing_is_written_down_again(database, configure, clock, at):
    def answer(where: str, address: str) -> str:
        if where != at or address != "ada@example.org":
            return "250 2.0.0 Ok"
        with database.write() as session:
            subscribe.erase(session, address, secret="a key for tests, long enough", now=clock())
        return f"550 5.1.1 <{address}> is unknown here"

    with MailServer() as server:
        server.on_rcpt = lambda address: answer("rcpt", address)
        server.on_body = lambda taken: answer("body", taken.recipient)
        config = configure(smtp={"url": server.url, "connections": 1, "max_refused": 1.0})
        owe(database, config, *PEOPLE)
        report = send(database, config, clock)
    assert (report.sent, report.refused, report.owed) == (2, 1, 0)
    with database.read() as session:
        assert suppressions.find(session, "ada@example.org") is None
        (line,) = [line for line in letters.lines(session) if line.email == "(erased)"]
    assert (line.state, line.code, line.reply) == ("refused", 550, "")


def test_two_senders_at_once_never_hold_the_same_letter(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, *(f"reader{n}@example.org" for n in range(12)))
    seen = [letter.email for _ in range(12) for letter in claim(database, clock)]  # two runs, claiming in turn
    assert len(seen) == len(set(seen)) == 12
    assert send(database, config, clock).sent == 0


def test_a_worker_that_slept_past_its_lease_settles_nothing(database, mailing, clock):
    owe(database, mailing(), "ada@example.org")
    (slept,) = claim(database, clock)
    first = mark(database, clock, slept)[slept.id]
    clock.pass_(minutes=11)
    (fresh,) = claim(database, clock)
    assert fresh.in_doubt
    second = mark(database, clock, fresh)[fresh.id]
    with database.write() as session:
        late = outbox.Outcome(slept.id, first, OutboxState.REFUSED)
        assert not outbox.settle(session, [late], now=clock()).total()
        assert outbox.settle(session, [outbox.Outcome(fresh.id, second, OutboxState.SENT)], now=clock()).total() == 1


def test_an_attempt_that_is_given_back_does_not_count(database, mailing, clock):
    owe(database, mailing(), "ada@example.org")

    def attempt() -> tuple[int, int]:
        (letter,) = claim(database, clock)
        (marked,) = mark(database, clock, letter).items()
        return marked

    def give_back(*attempts: tuple[int, int]) -> tuple[int, datetime | None]:
        with database.write() as session:
            outbox.unmark(session, attempts, now=clock())
            row = session.exec(select(OutboxRow)).one()
            return row.attempts, row.tried_at

    assert give_back(attempt()) == (0, None), "and its lifetime has not begun"
    letter_id, number = attempt()
    with database.write() as session:
        outbox.settle(session, [outbox.Outcome(letter_id, number, OutboxState.OWED, due_at=clock())], now=clock())
    tried_at = clock()
    clock.pass_(hours=1)
    assert give_back(attempt()) == (1, tried_at)
    assert give_back((letter_id, 1)) == (1, tried_at), "it is in nobody's hands"


def test_a_letter_claimed_by_two_is_sent_by_one(database, mailing, clock):
    owe(database, mailing(), "ada@example.org")
    (slept,) = claim(database, clock)
    clock.pass_(minutes=11)
    (fresh,) = claim(database, clock)
    assert not fresh.in_doubt  # it was claimed and nothing more
    assert mark(database, clock, fresh) == {fresh.id: 1}
    assert mark(database, clock, slept) == {}


def ledger_of(database: Database, config: Config, clock: Clock, share: Share = ALL) -> Ledger:
    papers = Papers(config, {1: "daily"}, frozenset())
    return Ledger(database, Contents(papers), papers, clock=clock, share=share)


def looked_for(ledger: Ledger, *, canary: bool = False) -> list[outbox.Claimed]:
    done = ledger.commit(Batch(wish=Wish(outbox.Source(1, 1), 9, canary)))
    assert done.claim is not None
    return list(done.claim.letters)


@on_sqlite
def test_on_sqlite_a_claim_writes_nothing_and_whoever_marks_a_letter_first_has_it(database, mailing, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    ours, theirs = ledger_of(database, config, clock), ledger_of(database, config, clock)
    letters = looked_for(ours)
    assert [letter.email for letter in letters] == list(PEOPLE)
    assert looked_for(ours) == [], "those in hand are not found again"
    assert looked_for(theirs) == letters and set(states(database).values()) == {"owed"}
    ada, bob, cyd = letters
    assert ours.commit(Batch(marks=[ada])).marked == {ada.id: 1}
    assert theirs.commit(Batch(marks=[ada, bob])).marked == {bob.id: 1}
    again = Outcome(ada.id, 1, OutboxState.OWED, 450, "4.2.2 full", clock() + timedelta(minutes=5))
    ours.commit(Batch(outcomes=[again], marks=[cyd]))
    theirs.commit(Batch(unclaimed=[ada]))
    clock.pass_(minutes=1)
    assert theirs.commit(Batch(put_off=[cyd])).marked == {} and states(database)["cyd@example.org"] == "sending"
    clock.pass_(minutes=5)
    (found,) = looked_for(theirs)
    assert (found.id, found.attempts) == (ada.id, 1), "bob's is theirs, and under way"
    assert theirs.commit(Batch(marks=[found])).marked == {ada.id: 2}


def lose_the_answer(monkeypatch, since, *, stored):
    """Of the next commit, which is `stored` or not; `since` is what happens before it is asked about."""
    write = Database.write

    @contextmanager
    def losing(self):
        with suppress(ZeroDivisionError), write(self) as session:
            yield session
            if not stored:
                raise ZeroDivisionError
        monkeypatch.undo()
        since()
        raise CommitUnknown("the database was lost during a COMMIT")

    monkeypatch.setattr(Database, "write", losing)


@pytest.mark.parametrize("meanwhile", ["nobody", "another", "not stored"])
def test_what_was_given_back_by_a_commit_whose_answer_is_lost_is_not_given_back_twice(
    database, mailing, clock, monkeypatch, meanwhile
):
    """Another may have marked it since, under the number that it had with us: its mark would be undone."""
    config = mailing()
    owe(database, config, "ada@example.org")
    ours, theirs = ledger_of(database, config, clock), ledger_of(database, config, clock)
    (ada,) = looked_for(ours)
    assert ours.commit(Batch(marks=[ada])).marked == {ada.id: 1}
    back = Batch(unmarked=[(ada.id, 1)])

    def since():
        clock.pass_(seconds=1)
        if meanwhile == "another":
            assert theirs.commit(Batch(marks=looked_for(theirs))).marked == {ada.id: 1}

    lose_the_answer(monkeypatch, since, stored=meanwhile != "not stored")
    if meanwhile == "not stored":
        with pytest.raises(StorageError, match="lost what was being written"):
            ours.commit(back)
        assert set(states(database).values()) == {"sending"}
    ours.commit(back)
    assert set(states(database).values()) == {"sending" if meanwhile == "another" else "owed"}


@pytest.mark.parametrize("meanwhile", ["nobody", "another"])
def test_a_mark_whose_answer_is_lost_is_not_taken_for_that_of_another(database, mailing, clock, monkeypatch, meanwhile):
    """It was not stored, and theirs has the number that ours would have had: both would send."""
    config = mailing()
    owe(database, config, "ada@example.org")
    ours, theirs = ledger_of(database, config, clock), ledger_of(database, config, clock)
    (ada,) = looked_for(ours)

    def since():
        clock.pass_(hours=1)
        if meanwhile == "another":
            assert theirs.commit(Batch(marks=looked_for(theirs))).marked == {ada.id: 1}

    lose_the_answer(monkeypatch, since, stored=meanwhile == "nobody")
    if meanwhile == "nobody":
        assert ours.commit(Batch(marks=[ada])).marked == {ada.id: 1}
        return
    with pytest.raises(StorageError, match="lost what was being written"):
        ours.commit(Batch(marks=[ada]))
    assert ours.commit(Batch(marks=[ada])).marked == {}


@on_sqlite
def test_a_letter_that_another_put_off_or_that_is_given_back_is_not_marked_from_an_old_claim(database, mailing, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    ours, theirs = ledger_of(database, config, clock), ledger_of(database, config, clock)
    ada, bob, cyd = looked_for(ours)
    looked_for(theirs)
    clock.pass_(seconds=1)
    theirs.commit(Batch(put_off=[ada]))
    clock.pass_(minutes=1)
    assert ours.commit(Batch(marks=[ada, bob])).marked == {bob.id: 1}
    ours.commit(Batch(unclaimed=[ada], lapsed=defaultdict(list, {clock(): [cyd]})))
    assert looked_for(ours) == [cyd]
    clock.pass_(minutes=5)
    assert [letter.id for letter in looked_for(ours)] == [ada.id]


@on_sqlite
def test_what_a_dead_sender_had_is_taken_in_writing_and_only_what_it_marked_is_in_doubt(database, mailing, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    (claimed,) = claim(database, clock)  # as releases do that know of no other way
    dead = ledger_of(database, config, clock)
    marked, _ = looked_for(dead)
    dead.commit(Batch(marks=[marked]))
    heir = ledger_of(database, config, clock)
    assert [letter.email for letter in looked_for(heir)] == ["cyd@example.org"], "found at once: nobody marked it"
    clock.pass_(minutes=31)
    found = {letter.id: letter.in_doubt for letter in looked_for(heir)}
    assert found == {claimed.id: False, marked.id: True}
    assert sorted(states(database).values()) == ["claimed", "claimed", "owed"]
    assert looked_for(ledger_of(database, config, clock))[0].email == "cyd@example.org"


@on_sqlite
def test_what_was_taken_in_writing_from_a_dead_sender_is_given_back_in_writing(database, mailing, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    claim(database, clock)
    clock.pass_(minutes=31)
    ledger = ledger_of(database, config, clock)
    letters = looked_for(ledger)
    assert sorted(states(database).values()) == ["claimed", "owed", "owed"]
    ledger.commit(Batch(unclaimed=letters))
    assert set(states(database).values()) == {"owed"}
    assert looked_for(ledger_of(database, config, clock)) == letters, "at once, and not when the lease is over"


def test_what_a_batch_gives_back_may_be_claimed_by_it(database, mailing, clock):
    """Whoever finds nothing does not look again: what was returned meanwhile would wait for the next pass."""
    config = mailing()
    owe(database, config, *PEOPLE)
    ledger = ledger_of(database, config, clock)
    letters = looked_for(ledger)
    marked = ledger.commit(Batch(marks=letters)).marked
    wish = Wish(letters[0].source, 9)
    done = ledger.commit(Batch(unmarked=list(marked.items()), wish=wish))
    assert done.claim is not None and [letter.id for letter in done.claim.letters] == [letter.id for letter in letters]
    assert ledger.commit(Batch(marks=letters)).marked.keys() == marked.keys()


@on_sqlite
@pytest.mark.parametrize("why", ["a share", "a canary"])
def test_letters_that_are_counted_before_they_are_marked_are_claimed_in_writing(database, mailing, clock, why):
    config = mailing(canary=0.5 if why == "a canary" else 0)
    owe(database, config, *PEOPLE, *(f"{n}@example.org" for n in range(40)))
    ledger = ledger_of(database, config, clock, Share(most=9) if why == "a share" else ALL)
    assert len(looked_for(ledger, canary=why == "a canary")) == 9
    assert tallied(database)["claimed"] == 9


def test_a_letter_whose_edition_is_paused_after_the_claim_does_not_go_out(database, mailing, clock):
    owe(database, mailing(), "ada@example.org")
    (letter,) = claim(database, clock)
    with database.write() as session:
        edition_states.set_state(session, letter.edition_id, EditionState.PAUSED, "by hand")
    assert mark(database, clock, letter) == {}


def test_a_server_that_drops_before_the_data_costs_a_reconnect_and_nothing_else(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    inbox.drop_before_data.add("bob@example.org")
    report = send(database, config, clock)
    assert (report.sent, report.deferred, report.in_doubt) == (2, 1, 0)


@pytest.mark.parametrize("after_crash", ["resend", "hold"])
def test_a_server_that_drops_after_the_data_leaves_the_letter_in_doubt(database, mailing, inbox, clock, after_crash):
    config = mailing(after_crash=after_crash)
    owe(database, config, *PEOPLE)
    inbox.drop_after_data.add("bob@example.org")
    report = send(database, config, clock)
    assert report.sent == 2
    with database.read() as session:
        (line,) = [line for line in letters.lines(session) if line.in_doubt]
    assert (line.email, line.state) == ("bob@example.org", "owed" if after_crash == "resend" else "held")


def test_what_a_dead_sender_had_marked_is_kept_back_and_told_where_it_is_to_be_held(database, mailing, inbox, clock):
    config = mailing(after_crash="hold")
    owe(database, config, *PEOPLE)
    (letter,) = claim(database, clock)
    mark(database, clock, letter)
    clock.pass_(minutes=11)
    report = send(database, config, clock)
    assert (report.sent, report.held, report.in_doubt) == (2, 1, 1)
    assert letter.email not in inbox.recipients and states(database)[letter.email] == "held"


def test_a_letter_that_waits_for_a_slow_domain_is_told_from_one_that_waits_for_its_hour(database, mailing, clock):
    owe(database, mailing(), *PEOPLE)
    later = clock() + timedelta(minutes=5)
    with database.write() as session:
        outbox.unclaim(session, claim_in(session, clock, limit=2), due_at=later)
    with database.write() as session:
        outbox.unclaim(session, claim_in(session, clock), due_at=later, why="its domain asked for patience")
        waiting = letters.left(session, now=clock())
    assert (waiting.hour.letters, waiting.put_off.letters) == (2, 1)


def test_a_claim_that_lapsed_is_given_back_unless_another_has_the_letter_by_now(database, mailing, clock):
    owe(database, mailing(), *PEOPLE)
    begun, lapsed = clock(), clock() + timedelta(minutes=10)

    def give_back(letter: outbox.Claimed) -> str:
        with database.write() as session:
            outbox.unclaim(session, [letter], due_at=clock(), now=clock(), lease_end=lapsed)
        return states(database)[letter.email]

    first, second = claim(database, clock, limit=2)
    assert give_back(first) == "owed"  # by the database's clock it was claimed still
    clock.pass_(minutes=11)
    assert clock() - begun > timedelta(minutes=10) and second in claim(database, clock, limit=3)
    assert give_back(second) == "claimed"


def test_no_server_stops_the_run_with_every_letter_owed(database, configure, clock):
    config = configure(smtp={"url": "smtp://127.0.0.1:1"})
    owe(database, config, *PEOPLE)
    report = send(database, config, clock)
    assert (report.sent, report.owed) == (0, 3) and "no connection to 127.0.0.1:1" in report.stopped
    with database.read() as session:
        assert {line.attempts for line in letters.lines(session)} == {0}


def test_a_refused_sender_stops_after_one_try_with_every_letter_owed(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    inbox.refuse_data["*"] = "530 5.7.0 authenticate first"
    report = send(database, config, clock)
    assert report.owed == 3 and report.stopped
    assert set(states(database).values()) == {"owed"}


@on_sqlite
def test_what_a_letter_costs_does_not_grow_with_its_edition(database, mailing, clock):
    # SQLite plans without knowing sizes: a long list of ids once made it walk through the edition for each commit.
    owe(database, mailing(), "ada@example.org")
    steps = []

    def explain(connection, cursor, statement, values, context, many) -> None:
        with closing(cursor.connection.cursor()) as planner:
            planner.execute(f"EXPLAIN QUERY PLAN {statement}", values[0] if many else values)
            steps.extend(words for *_, words in planner.fetchall() if re.match(r"\w+ (outbox|o)\b", words))

    sa.event.listen(database.engine, "before_cursor_execute", explain)
    (letter,) = claim(database, clock, limit=500)
    letters = [letter._replace(id=number) for number in range(letter.id, letter.id + 500)]
    attempts = mark(database, clock, *letters)
    with database.write() as session:
        outbox.unmark(session, attempts.items(), now=clock())
        outbox.unclaim(session, letters, due_at=clock())
        outbox.settle(session, [outbox.Outcome(letter.id, 1, OutboxState.SENT) for letter in letters], now=clock())
    assert (
        attempts == {letter.id: 1} and len(steps) == 13
    )  # those of 128 letters at a time are settled in one statement
    assert {step.split(" USING ")[1] for step in steps} == {
        "INTEGER PRIMARY KEY (rowid=?)",
        "INDEX ix_outbox_due (edition_id=? AND due_at<?)",
    }


def test_what_is_left_is_told_by_what_it_waits_for(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, *PEOPLE)
    owe(database, config)
    notice(database, "fay@example.org")
    inbox.refuse["bob@example.org"] = "451 4.7.1 come back later"
    with database.write() as session:
        (first, second) = session.exec(select(Edition.id).order_by(Edition.id))
        (taken,) = outbox.claim(
            session,
            outbox.Wanted(first, 1),
            now=clock(),
            lease=timedelta(minutes=2),
            lifetime=timedelta(days=2),
            hold_doubtful=False,
        ).letters
        edition_states.set_state(session, second, EditionState.PAUSED, "by hand")
    report = send(database, config, clock)
    with database.read() as session:
        (put_off,) = (line for line in letters.lines(session, edition=1) if line.email == "bob@example.org")
    assert (taken.email, report.sent, report.owed) == ("ada@example.org", 2, 5)
    assert report.left.in_hand == letters.Later(1, clock() + timedelta(minutes=2))
    assert report.left.put_off == letters.Later(1, put_off.due_at) and report.left.stopped.letters == 3
    assert report.left.due.letters == report.left.hour.letters == 0
    assert left_words(report.left)[1].startswith("1 in another sender's hands, or due again, if it died, at 2026-")
    clock.pass_(minutes=2)
    with database.read() as session:
        assert letters.left(session, edition_id=first, now=clock()).due.letters == 1


def test_a_stop_is_heeded_and_what_is_in_flight_is_settled(database, mailing, inbox, clock):
    config = mailing(connections=1)
    owe(database, config, *(f"reader{n}@example.org" for n in range(50)))
    report = send(database, config, clock, stop=lambda: len(inbox.messages) >= 5)
    assert report.stopped == "asked to" and report.sent + report.owed == 50
    assert report.sent == len(inbox.messages) < 50
    assert set(states(database).values()) == {"sent", "owed"}
    assert send(database, config, clock).owed == 0
    assert len(inbox.messages) == len(set(inbox.recipients)) == 50


def test_without_a_server_letters_are_kept_in_a_maildir_beside_the_database(database, config, clock):
    owe(database, config, *PEOPLE)
    report = send(database, config, clock)
    assert report.sent == 3
    files = sorted(Path(config.maildir, "new").iterdir())
    assert len(files) == 3
    message = message_from_bytes(files[0].read_bytes(), policy=policy.default)
    assert message["delivered-to"] in PEOPLE and message["subject"] == "News"


def test_a_maildir_takes_what_can_be_written_until_it_is_asked_to_stop(database, config, clock):
    owe(database, config, *PEOPLE)
    with database.write() as session:
        people.find(session, "bob@example.org").email = "bob smith@example.org"
    report = send(database, config, clock, stop=lambda: True)
    assert (report.interrupted, report.sent, tallied(database)) == (True, 0, {"owed": 3})
    report = send(database, config, clock)
    assert (report.sent, report.held) == (2, 1) and "could not be written" in report.refusals[0]


def test_a_maildir_that_cannot_be_written_costs_no_letter(database, config, clock):
    owe(database, config, *PEOPLE)
    Path(config.maildir).write_text("in the way")
    report = send(database, config, clock)
    assert report.stopped == f"cannot write to the Maildir {config.maildir}: Not a directory" and report.owed == 3
    Path(config.maildir).unlink()
    assert send(database, config, clock).sent == 3
    owe(database, config, *PEOPLE)
    shutil.rmtree(Path(config.maildir, "new"))
    Path(config.maildir, "new").symlink_to("nowhere")
    report = send(database, config, clock)
    assert "cannot write to the Maildir" in report.stopped and tallied(database) == {"sent": 3, "owed": 3}


@pytest.mark.parametrize("pem", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_signing_key_that_is_none_is_told_before_anything_is_sent(database, mailing, inbox, clock, tmp_path, pem):
    (tmp_path / "dkim.pem").write_text(pem)
    config = mailing(dkim=[{"selector": "s1", "key_file": "dkim.pem"}])
    owe(database, config, *PEOPLE)
    with pytest.raises(ConfigError, match=r"the DKIM key .*dkim.pem"):
        send(database, config, clock)
    assert (inbox.messages, set(states(database).values())) == ([], {"owed"})


def test_delays_grow_and_are_jittered():
    rng = random.Random(7)
    minutes = [deliver.retry_delay(attempt, rng).total_seconds() / 60 for attempt in range(1, 8)]
    for delay, base in zip(minutes, (5, 10, 20, 40, 60, 60, 60), strict=True):
        assert base * 0.8 <= delay <= base * 1.2
    assert len(set(minutes[-3:])) == 3


# ---------------------------------------------------------------- the moment of a letter


def dates(inbox) -> list[tuple[str, str, datetime]]:
    """Of each mail that came: to whom, its Message-ID, its Date."""
    found = [message_from_bytes(m.content, policy=policy.default) for m in inbox.messages]
    return [(m["to"].addresses[0].addr_spec, m["message-id"], m["date"].datetime) for m in found]


def test_a_letter_that_waits_for_its_readers_hour_is_dated_when_it_goes_out(database, mailing, inbox, clock):
    config = mailing(max_lateness_hours=1000)
    owe(database, config, "ada@example.org", "bob@example.org")
    evening = clock() + timedelta(hours=22)
    with database.write() as session:
        row = session.exec(select(OutboxRow).order_by(OutboxRow.id)).first()
        row.due_at = evening
    notice(database, "new@example.org", now=clock())
    clock.pass_(minutes=7)
    send(database, config, clock)
    early = clock()
    clock.now = evening
    send(database, config, clock)
    (ada,) = [at for who, _, at in dates(inbox) if who == "ada@example.org"]
    assert ada == evening
    assert {at for who, _, at in dates(inbox) if who != "ada@example.org"} == {early}, "a notice has its moment too"


@pytest.mark.parametrize("kind", ["edition", "notice"])
def test_every_copy_of_a_letter_has_the_same_bytes_however_late_it_comes(database, mailing, inbox, clock, kind):
    """Put off, in doubt, held, and owed anew by a person: the Date stays that of the first attempt."""
    config = mailing(after_crash="hold")
    if kind == "edition":
        owe(database, config, "ada@example.org")
    else:
        notice(database, "ada@example.org")
    clock.pass_(minutes=3)
    first = clock()
    inbox.refuse_data["ada@example.org"] = "451 4.7.1 greylisted, come back"
    assert send(database, config, clock).deferred == 1
    inbox.refuse_data.clear()
    clock.pass_(minutes=30)
    inbox.drop_after_data.add("ada@example.org")
    assert send(database, config, clock).held == 1
    inbox.drop_after_data.clear()
    for _copy in range(2):
        clock.pass_(hours=5)
        with database.write() as session:
            (letter_id,) = session.exec(select(OutboxRow.id)).all()
            states = [OutboxState.HELD, OutboxState.SENT]
            assert letters.owe_again(session, letter_ids=[letter_id], states=states, now=clock()) == 1
        assert send(database, config, clock).sent == 1
    assert len({message.content for message in inbox.messages}) == 1 < len(inbox.messages)
    assert {at for _who, _id, at in dates(inbox)} == {first}


def listed(database: Database, config: Config, name: str, at: datetime) -> int:
    """A list that calls a reader so; the import's number."""
    secret = config.secret_key.get_secret_value()
    terms = subscribe.Terms("list", at, (), secret=secret, vouched_by="test", update=["name"])
    lines = f"email,name\nada@example.org,{name}".encode()
    return subscribe.import_csv(database, BytesIO(lines), terms, newsletter="daily").number


def called(database: Database, name: str, at: datetime) -> None:
    said = Evidence("test", at)
    with database.write() as session:
        subscribe.change(session, "ada@example.org", newsletter="daily", evidence=said, known_topics=(), name=name)


@pytest.mark.parametrize("door", ["command", "list", "taken back"])
def test_a_letter_goes_to_its_reader_by_the_name_of_its_first_attempt(database, mailing, inbox, clock, door):
    config = mailing()
    owe(database, config, "ada@example.org")
    number = listed(database, config, "Ada Byron", clock())
    owe(database, config, "ada@example.org")
    inbox.drop_after_data.add("ada@example.org")
    assert send(database, config, clock).in_doubt == 2
    inbox.drop_after_data.clear()
    clock.pass_(hours=2)
    if door == "command":
        called(database, "Ada Lovelace", clock())
    elif door == "list":
        listed(database, config, "Ada Lovelace", clock())
    else:
        import_log.undo(database, number, evidence=Evidence("test", clock()))
    assert send(database, config, clock).sent == 2
    attempts = Counter(message.content for message in inbox.messages)
    assert sorted(attempts.values()) == [2, 2], "two letters, each twice the same"
    owe(database, config, "ada@example.org")
    assert send(database, config, clock).sent == 1
    after = {"taken back": "ada@example.org"}.get(door, "Ada Lovelace <ada@example.org>")
    assert f"\nTo: {after}\r".encode() in inbox.messages[-1].content, "the next edition knows the new one"


def test_who_is_erased_leaves_no_former_name_behind(database, mailing, clock):
    config = mailing()
    owe(database, config, "ada@example.org")
    listed(database, config, "Ada Byron", clock())
    called(database, "Ada Lovelace", clock())
    called(database, "Countess", clock())
    owe(database, config, "ada@example.org")
    called(database, "Lady Ada", clock())
    with database.write() as session:
        assert session.exec(select(OutboxRow.named).order_by(OutboxRow.id)).all() == ["", "Countess"]
        ada = people.find(session, "ada@example.org")
        assert subscribe.everything(session, ada)[0]["called_before"] == ["Countess"]
        people.erase(session, "ada@example.org", mark="mark", now=clock())
    with database.read() as session:
        assert session.exec(select(OutboxRow.named)).all() == [None, None]


def test_a_letter_that_was_given_back_before_it_went_out_has_no_date_yet(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, "ada@example.org")
    (letter,) = claim(database, clock)
    attempts = mark(database, clock, letter)
    with database.write() as session:
        outbox.unmark(session, attempts.items(), now=clock())
    clock.pass_(hours=3)
    assert send(database, config, clock).sent == 1
    assert dates(inbox)[0][2] == clock()


def test_a_letter_that_a_server_had_and_would_not_take_stays_as_it_was_seen(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, "ada@example.org")
    first = clock()
    for shown in (True, False):
        (letter,) = claim(database, clock)
        attempts = mark(database, clock, letter)
        with database.write() as session:
            outbox.unmark(session, attempts.items(), now=clock(), shown=shown)
        clock.pass_(hours=3)
    assert send(database, config, clock).sent == 1
    assert dates(inbox)[0][2] == first
    with database.read() as session:
        row = session.exec(select(OutboxRow)).one()
    assert (row.attempts, row.tried_at) == (2, first), "its lifetime counts from when it was first seen"


def test_who_takes_over_a_letter_dates_it_as_whoever_had_it_first(database, mailing, inbox, clock):
    config = mailing()
    owe(database, config, "ada@example.org")
    (slept,) = claim(database, clock)
    clock.pass_(minutes=11)
    (fresh,) = claim(database, clock)
    first = clock()
    marked = mark(database, clock, fresh)
    with database.write() as session:
        outbox.settle(session, [outbox.Outcome(*marked.popitem(), OutboxState.OWED, due_at=clock())], now=clock())
    clock.pass_(minutes=11)
    claim(database, clock)
    with database.write() as session:
        (mark_,) = outbox.mark_dated(session, [slept], now=clock(), lease=timedelta(minutes=10)).values()
    assert slept.dated_at is None and mark_[:2] == (2, first), "the row is asked, not what was claimed long ago"


def test_a_letter_in_a_maildir_is_one_file_also_where_its_writer_is_broken_off(database, config, clock, monkeypatch):
    owe(database, config, "ada@example.org", "bob@example.org")
    write = Maildir.write

    def broken_off(maildir, letter):
        write(maildir, letter)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Maildir, "write", broken_off)
        send(database, config, clock)
    clock.pass_(hours=2)
    assert send(database, config, clock).sent == 2
    kept = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in (config.maildir / "new").iterdir()]
    assert sorted(mail["to"].addresses[0].addr_spec for mail in kept) == ["ada@example.org", "bob@example.org"]
    assert sorted(mail["date"].datetime for mail in kept) == [clock() - timedelta(hours=2), clock()]


def test_letters_in_a_maildir_are_dated_when_they_are_put_there(database, config, clock):
    owe(database, config, "ada@example.org")
    clock.pass_(hours=2)
    send(database, config, clock)
    (path,) = (config.maildir / "new").iterdir()
    assert message_from_bytes(path.read_bytes(), policy=policy.default)["date"].datetime == clock()
