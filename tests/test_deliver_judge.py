"""Whose trouble it is: one odd reply costs its letter, and only many of them stop a relay or an edition."""

from __future__ import annotations

import re
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from conftest import MONDAY
from mailing import PEOPLE, notice, owe, readers, send, sound, states, tallied
from mailserver import DROP, MailServer
from sqlmodel import select, update
from typer.testing import CliRunner

from digest.cli import app
from digest.cli.common import Options
from digest.cli.progress import tell_delivery
from digest.deliver.ledger import Ledger
from digest.deliver.replies import Blame, ReplyReader, Step, suspect
from digest.deliver.report import Report
from digest.errors import CommitUnknown, Exit, TryAgain
from digest.line import delivery_code
from digest.models import Edition, EditionState, OutboxRow, Subscription, SubscriptionState, Suppression
from digest.store import Database, edition_states, letters, newsletters, people, refusals, suppressions
from digest.store.clock import APART
from digest.store.refusal_tables import RefusalCount


@pytest.fixture
def server():
    with MailServer() as started:
        yield started


@pytest.fixture
def config(configure, server):
    return configure(smtp={"url": server.url, "connections": 4})


def spread(number: int, domains: int = 6) -> list[str]:
    """Readers of several domains, in turn."""
    return [f"reader{n}@d{n % domains}.example" for n in range(number)]


def reply(text: str):
    (found,) = ReplyReader().feed(f"{text}\r\n".encode())
    return found


def suppressed(database) -> int:
    with database.read() as session:
        return len(session.exec(select(Suppression)).all())


def state_of(database, number: int = 1) -> EditionState:
    with database.read() as session:
        return session.exec(select(Edition.state).where(Edition.number == number)).one()


@pytest.mark.parametrize(
    ("text", "step", "blame"),
    [
        ("550 5.1.1 no such user", Step.RCPT, Blame.GONE),
        ("550 5.1.10 null MX", Step.RCPT, Blame.GONE),
        ("550 4.1.1 unverified", Step.RCPT, Blame.MAILBOX),
        ("550 5.1.1 no such user", Step.MAIL, Blame.OURS),
        ("553 5.1.2 no such domain", Step.MAIL, Blame.OURS),
        ("552 5.2.2 over quota", Step.MAIL, Blame.OURS),
        ("554 5.4.0 no", Step.MAIL, Blame.OURS),
        ("550 5.4.5 Daily user sending limit exceeded.", Step.BODY, Blame.OURS),
        ("550 5.1.90 you've reached your daily limit for message recipients", Step.BODY, Blame.OURS),
        ("550 5.1.1 User unknown in relay recipient table", Step.RCPT, Blame.GONE),
        ("550 5.1.1 Mailbox quota exceeded", Step.RCPT, Blame.MAILBOX),
        ("550 5.1.1 undeliverable address: host mx said: 554 5.7.1 Relay access denied", Step.RCPT, Blame.MAILBOX),
        ("550 5.1.1 no such user", Step.BODY, Blame.MAILBOX),
        ("553 5.1.7 bad sender address", Step.RCPT, Blame.OURS),
        ("550 5.1.8 bad sender domain", Step.MAIL, Blame.OURS),
        ("552 5.2.2 mailbox full", Step.RCPT, Blame.MAILBOX),
        ("552 5.2.2 mailbox full", Step.BODY, Blame.MAILBOX),
        ("554 5.2.1 disabled", Step.BODY, Blame.MAILBOX),
        ("552 5.3.4 too large", Step.MAIL, Blame.EDITION),
        ("452 4.3.1 no room here", Step.RCPT, Blame.RELAY),
        ("451 4.3.0 later", Step.BODY, Blame.RELAY),
        ("451 4.4.1 its host does not answer", Step.RCPT, Blame.DOMAIN),
        ("550 5.4.1 Recipient address rejected: Access denied", Step.RCPT, Blame.MAILBOX),
        ("550 5.4.1 its host does not answer", Step.BODY, Blame.DOMAIN),
        ("450 4.7.1 greylisted", Step.RCPT, Blame.DOMAIN),
        ("554 5.7.1 relay access denied", Step.RCPT, Blame.RELAY),
        ("554 5.7.1 looks like spam", Step.BODY, Blame.EDITION),
        ("550 5.7.1 you may not send as this", Step.MAIL, Blame.OURS),
        ("530 5.7.0 authenticate first", Step.BODY, Blame.OURS),
        ("535 5.7.8 who are you", Step.RCPT, Blame.OURS),
        ("554 relay access denied", Step.RCPT, Blame.RELAY),
        ("550 no", Step.RCPT, Blame.LETTER),
        ("550 no", Step.BODY, Blame.EDITION),
        ("552 no", Step.RCPT, Blame.MAILBOX),
        ("421 closing", Step.RCPT, Blame.RELAY),
        ("451 later", Step.RCPT, Blame.DOMAIN),
        ("555 5.6.7 no SMTPUTF8", Step.MAIL, Blame.LETTER),
    ],
)
def test_a_reply_speaks_of_somebody(text, step, blame):
    assert suspect(reply(text), step) is blame


ODD = (
    "550 5.1.8 bad sender",
    "553 5.1.7 bad sender",
    "530 5.7.0 log in",
    "535 5.7.8 who",
    "554 5.7.1 denied",
    "550 no",
)


@pytest.mark.thin(3)
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("where", ["first", "spread"])
def test_an_odd_reply_to_a_few_costs_these_and_nobody_else(box, config, server, clock, odd, where):
    people = spread(60)
    few = set(people[:3] if where == "first" else people[::20])
    server.on_rcpt = lambda address: odd if address in few else "250 2.1.5 Ok"
    owe(box, config, *people)
    report = send(box, config, clock)
    assert (report.sent, report.refused, report.stopped) == (57, 3, "")
    assert {email for email, state in states(box).items() if state == "refused"} == few
    assert suppressed(box) == 0 and delivery_code(report) is Exit.OK


@pytest.mark.parametrize("odd", ["550 5.1.8 bad sender", "535 5.7.8 who"])
def test_an_odd_reply_to_the_first_of_a_small_list_holds_up_nobody(box, config, server, clock, odd):
    people = spread(8)
    server.on_rcpt = lambda address: odd if address == people[0] else "250 2.1.5 Ok"
    owe(box, config, *people)
    report = send(box, config, clock)
    assert (report.sent, report.refused, report.stopped) == (7, 1, "")


@pytest.mark.long
@pytest.mark.parametrize("odd", ["503 5.5.1 order", "421 4.7.0 slow"])
def test_connections_that_end_over_the_first_few_hold_up_nobody(box, config, server, clock, odd):
    people = spread(14, 20)
    server.on_rcpt = lambda address: odd if address in people[:6] else "250 2.1.5 Ok"
    owe(box, config, *people)
    report = send(box, config, clock)
    assert (report.sent, report.deferred, report.stopped) == (8, 6, "")
    with box.read() as session:
        assert all(line.attempts for line in letters.lines(session))


@pytest.mark.long
def test_connections_that_end_over_letters_that_come_alone_hold_up_nobody(box, configure, server, clock):
    """Of an edition each: they are put off one by one, and before others are at hand the server was left alone."""
    papers = {name: {"title": name, "from": "News <news@news.example>"} for name in ("a", "b", "c")}
    config = configure(smtp={"url": server.url, "connections": 2}, newsletters=papers)
    newsletters.keep(box, papers, now=MONDAY)
    bad, worse, *good = spread(7, 7)
    server.on_rcpt = lambda address: "421 4.7.0 slow" if address in (bad, worse) else "250 2.1.5 Ok"
    for name, whose in zip(papers, ([bad], [worse], good), strict=True):
        owe(box, config, *whose, newsletter=name)
    report = send(box, config, clock)
    assert (report.sent, report.deferred, report.stopped) == (5, 2, "")


@pytest.mark.parametrize("readers", [1, 2, 3])
def test_a_login_refused_for_the_few_there_are_leaves_them_owed(box, config, server, clock, readers):
    server.on_rcpt = lambda address: "530 5.7.0 log in"
    owe(box, config, *spread(readers))
    report = send(box, config, clock)
    assert (report.owed, report.refused) == (readers, 0) and "refuses" in report.stopped


def test_a_letter_that_is_put_off_at_mail_again_and_again_holds_up_nobody(box, config, server, clock):
    odd: list[str] = []

    def answer(sender: str, number: int) -> str:
        odd[:] = odd or [sender]
        return "451 4.3.0 try again" if sender in odd else "250 Ok"

    server.on_mail = answer
    owe(box, config, *spread(40))
    report = send(box, config, clock)
    assert (report.sent, report.deferred, report.owed) == (39, 1, 1)


@pytest.mark.parametrize("no", ["550 relay access denied", "554 5.7.1 relay access denied", "550 5.1.8 bad sender"])
def test_a_relay_that_takes_no_letter_is_left_alone_with_every_letter_owed(box, config, server, clock, no):
    server.on_rcpt = lambda address: no
    owe(box, config, *spread(60))
    report = send(box, config, clock)
    assert report.owed == 60 and "refuses" in report.stopped and delivery_code(report) is Exit.UNAVAILABLE
    assert set(states(box).values()) == {"owed"} and len(server.log) < 40
    server.on_rcpt = lambda address: "250 2.1.5 Ok"
    with box.read() as session:  # what was taken back counts no more
        assert all((c.refused, c.content) == (0, 0) for c in session.exec(select(RefusalCount)))
    clock.pass_(hours=1)
    assert send(box, config, clock).sent == 60 and sound(box)


@pytest.mark.parametrize("no", ["550 relay access denied", "554 5.7.1 relay access denied"])
def test_an_edition_that_the_only_domain_refuses_is_paused(box, config, server, clock, no):
    server.on_rcpt = lambda address: no
    owe(box, config, *readers(60))
    report = send(box, config, clock)
    assert state_of(box) is EditionState.PAUSED and delivery_code(report) is Exit.UNAVAILABLE
    assert report.owed >= 40 and sound(box)


def test_one_domain_that_refuses_everybody_holds_up_nobody_else(box, config, server, clock):
    blocked = readers(300, "blocked.example")
    server.on_rcpt = lambda address: "550 not from you" if address in set(blocked) else "250 2.1.5 Ok"
    owe(box, config, *blocked, *spread(30))
    for _ in range(3):
        send(box, config, clock)
        clock.pass_(minutes=10)
    assert set(spread(30)) <= set(server.recipients)


def test_a_small_edition_that_nobody_took_is_no_success(box, config, server, clock):
    server.on_body = lambda taken: "554 5.7.1 spam"
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert report.unreached == [("daily", 1, 3)] and delivery_code(report) is Exit.UNAVAILABLE


@pytest.mark.parametrize(("names", "which"), [(("daily",), "3"), (("daily", "weekly"), "3 -n daily")])
def test_each_cure_names_its_newsletter_where_there_are_several(configure, capsys, names, which):
    config = configure(newsletters={name: {"title": name, "from": "News <news@news.example>"} for name in names})
    report = Report(late=[("daily", 3)], paused=[("daily", 3, "why")], unreached=[("daily", 3, 5)])
    tell_delivery(Options(), config, report)
    tell_delivery(Options(), config, Report(quarantined=[("daily", 3, 12, "why")]))
    cures = re.findall(r"`digest (.*?)`", capsys.readouterr().err)
    assert cures == [
        f"edition resume {which}",
        f"edition resume {which}",
        f"edition resend {which} --only refused",
        f"outbox release {which}",
        f"outbox believe {which}",
    ]


def test_full_mailboxes_pause_nothing(box, config, server, clock):
    people = spread(60)
    server.on_rcpt = lambda address: "552 5.2.2 mailbox full" if address in set(people[::4]) else "250 2.1.5 Ok"
    owe(box, config, *people)
    report = send(box, config, clock)
    assert (report.sent, report.refused, report.paused) == (45, 15, []) and suppressed(box) == 0


def test_trouble_of_the_relay_does_not_slow_down_a_domain(box, config, server, clock):
    met: Counter[str] = Counter()

    def answer(address: str) -> str:
        met[address] += 1
        return "451 4.3.0 try later" if address == "reader0@d0.example" else "250 2.1.5 Ok"

    server.on_rcpt = answer
    owe(box, config, *readers(300, "d0.example"))
    report = send(box, config, clock)
    assert (report.sent, report.deferred) == (299, 1)


# ---------------------------------------------------------------- dead mailboxes


def test_a_few_dead_mailboxes_are_believed_at_once(box, config, server, clock):
    people = spread(200)
    dead = set(people[::25])
    server.on_rcpt = lambda address: "550 5.1.1 no such user" if address in dead else "250 2.1.5 Ok"
    owe(box, config, *people)
    report = send(box, config, clock)
    assert (report.sent, report.refused, suppressed(box)) == (192, 8, 8)
    assert delivery_code(report) is Exit.OK


def test_a_bad_day_of_the_relay_bars_nobody_and_one_command_mends_it(box, config, server, clock, tmp_path, monkeypatch):
    server.on_rcpt = lambda address: "550 5.1.1 no such user"
    owe(box, config, *spread(300))
    report = send(box, config, clock)
    assert suppressed(box) == 0 and state_of(box) is EditionState.PAUSED
    assert delivery_code(report) is Exit.UNAVAILABLE and report.refused == 0
    assert tallied(box)["held"] >= 10 and tallied(box)["refused"] == 0 and sound(box)
    ((_, number, letters, why),) = report.quarantined
    assert number == 1 and letters == tallied(box)["held"] and "no mailbox" in why
    server.on_rcpt = lambda address: "250 2.1.5 Ok"
    with box.write() as session:
        edition_id = session.exec(select(Edition.id)).one()
        refusals.release(session, edition_id, now=clock())
        assert edition_states.resume_paused(session, edition_id, now=clock())
    assert send(box, config, clock).sent == 300 and sound(box)


@pytest.mark.parametrize("behind", [timedelta(0), timedelta(minutes=110)])
def test_whose_clock_opened_an_edition_does_not_say_who_stays_suppressed(
    box, config, server, clock, monkeypatch, behind
):
    """On PostgreSQL another host may have, and be ahead of the one that sends."""
    monkeypatch.setattr(refusals, "apart", lambda session: APART)
    clock.now = MONDAY - behind
    server.on_rcpt = lambda address: "550 5.1.1 no such user"
    owe(box, config, *spread(30))
    with box.write() as session:
        session.execute(update(OutboxRow).values(due_at=clock.now))
    assert send(box, config, clock).quarantined and suppressed(box) == 0
    assert tallied(box)["held"] >= 10 and not tallied(box)["refused"]


def test_quarantined_letters_are_released_or_believed_at_the_command_line(
    box, configure, server, clock, tmp_path, monkeypatch
):
    config = configure(smtp={"url": server.url})
    (tmp_path / "digest.toml").write_text(
        'secret_key = "a key for tests, long enough"\n[newsletters.daily]\ntitle = "Daily"\n'
        f'from = "Daily <news@news.example>"\n[smtp]\nurl = "{server.url}"\n'
    )
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    server.on_rcpt = lambda address: "550 5.1.1 no such user"
    for number, verb in ((1, "release"), (2, "believe")):
        owe(box, config, *spread(40))
        send(box, config, clock)
        held = tallied(box)["held"]
        assert held >= 10
        dry = run.invoke(app, ["outbox", verb, str(number), "--dry-run"])
        assert dry.exit_code == 0 and tallied(box)["held"] == held
        done = run.invoke(app, ["outbox", verb, str(number), "--json"])
        assert done.exit_code == 0 and f'"letters": {held}, "resumed": true' in done.stdout
        assert run.invoke(app, ["outbox", verb, str(number)]).exit_code == Exit.NOINPUT
        if verb == "release":
            server.on_rcpt = lambda address: "250 2.1.5 Ok"
            clock.now = datetime.now(UTC) + timedelta(minutes=1)  # the command's own clock
            assert send(box, config, clock).sent == 40
            clock.now = MONDAY
            server.on_rcpt = lambda address: "550 5.1.1 no such user"
    assert suppressed(box) == held and tallied(box)["refused"] == held


def test_notices_to_dead_mailboxes_by_the_dozen_bar_few(box, config, server, clock):
    for address in spread(40):
        notice(box, address)
    server.on_rcpt = lambda address: "550 5.1.1 no such user"
    assert send(box, config, clock).refused == 40 and suppressed(box) < 10


def test_a_domain_without_any_mailbox_is_held_and_the_edition_goes_on(box, config, server, clock):
    people = [*spread(300), *readers(20, "closed.example")]
    server.on_rcpt = lambda address: "550 5.1.1 unknown" if address.endswith("closed.example") else "250 2.1.5 Ok"
    owe(box, config, *people)
    report = send(box, config, clock)
    assert report.sent == 300 and report.paused == [] and suppressed(box) == 0
    assert tallied(box) == {"sent": 300, "held": 20}


def test_a_server_that_goes_wrong_in_the_middle_bars_nobody_by_then(box, config, server, clock):
    server.on_rcpt = lambda address: "250 2.1.5 Ok" if len(server.taken) < 600 else "550 5.1.1 unknown"
    owe(box, config, *spread(900))
    send(box, config, clock)
    assert suppressed(box) == 0 and state_of(box) is EditionState.PAUSED


def test_dead_mailboxes_are_counted_for_all_senders_together(box, config, server, clock):
    people = spread(60)
    server.on_rcpt = lambda address: "550 5.1.1 unknown" if address in set(people[:6] + people[30:36]) else "250 Ok"
    owe(box, config, *people)
    with box.write() as session:  # half of it is another sender's
        refusals.count(session, 1, refusals.Refusals(sent=0, refused=6, gone=6))
    report = send(box, config, clock)
    assert report.quarantined and state_of(box) is EditionState.PAUSED


def test_dead_mailboxes_of_which_each_sender_hears_too_few_are_not_believed(box, config, server, clock, monkeypatch):
    people = spread(60)
    server.on_rcpt = lambda address: "550 5.1.1 unknown" if address in set(people[:4]) else "250 Ok"
    owe(box, config, *people)
    ours, counted = refusals.count, []

    def at_once(session, edition_id, more):
        if more.gone and not counted:  # another sender's answers come in between
            counted.append(ours(session, edition_id, refusals.Refusals(sent=2, refused=8, gone=8)))
        return ours(session, edition_id, more)

    monkeypatch.setattr(refusals, "count", at_once)
    report = send(box, config, clock)
    assert report.quarantined and state_of(box) is EditionState.PAUSED and suppressed(box) == 0


# ---------------------------------------------------------------- consent, and what is too old


def test_who_leaves_between_claim_and_mark_gets_no_letter(database, config, server, clock, monkeypatch):
    owe(database, config, *PEOPLE)
    notice(database, "dan@example.org")
    commit, left = Ledger.commit, []

    def leaving(ledger, batch):
        if batch.marks and not left:
            left.append(1)
            with database.write() as session:
                ada = people.find(session, "ada@example.org")
                theirs = select(Subscription).where(Subscription.subscriber_id == ada.id)
                session.exec(theirs).one().state = SubscriptionState.UNSUBSCRIBED
                for address in ("bob@example.org", "dan@example.org"):
                    suppressions.add(session, address, reason="complaint", now=clock())
        return commit(ledger, batch)

    monkeypatch.setattr(Ledger, "commit", leaving)
    report = send(database, config, clock)
    assert left and server.recipients == ["cyd@example.org"] and (report.sent, report.dropped) == (1, 3)


def test_what_was_put_off_for_longer_than_its_lifetime_is_not_tried_again(database, config, server, clock):
    owe(database, config, *PEOPLE)
    server.on_rcpt = lambda address: "450 4.2.0 later" if address == PEOPLE[0] else "250 2.1.5 Ok"
    server.on_body = lambda taken: DROP if taken.recipient == PEOPLE[1] else "250 2.0.0 Ok"
    send(database, config, clock)
    server.on_rcpt, server.on_body = (lambda address: "250 2.1.5 Ok"), (lambda taken: "250 2.0.0 Ok")
    before = len(server.taken)
    clock.pass_(days=20)
    report = send(database, config, clock)
    assert len(server.taken) == before and (report.refused, report.held) == (1, 1)
    assert states(database) == {PEOPLE[0]: "refused", PEOPLE[1]: "held", PEOPLE[2]: "sent"}
    assert delivery_code(report) is Exit.UNAVAILABLE
    with database.read() as session:
        (given_up,) = letters.lines(session, newsletters=["daily"], state="refused")
    assert given_up.reply == "4.2.0 later (given up: its lifetime is over)"


def test_a_notice_that_nobody_waits_for_any_more_is_dropped(database, config, server, clock):
    notice(database, "ada@example.org")
    clock.pass_(days=30)
    report = send(database, config, clock)
    assert server.taken == [] and (report.dropped, report.owed) == (1, 0)


# ---------------------------------------------------------------- storage


def test_a_transaction_that_another_stopped_is_done_again_and_nothing_comes_twice(
    box, config, server, clock, monkeypatch
):
    owe(box, config, *readers(40))
    commit, stopped = Ledger.commit, Counter()

    def deadlocked(ledger, batch):
        for what in ("outcomes", "marks", "wish"):
            if getattr(batch, what) and stopped[what] < 2:
                stopped[what] += 1
                raise TryAgain("the database stopped one of two that waited for each other")
        return commit(ledger, batch)

    monkeypatch.setattr(Ledger, "commit", deadlocked)
    assert send(box, config, clock).sent == 40 == len(server.taken)
    assert set(stopped.values()) == {2} and sound(box)


@pytest.mark.parametrize("stored", [True, False])
def test_a_commit_whose_answer_is_lost_is_read_back(box, config, server, clock, monkeypatch, stored):
    owe(box, config, *readers(40))
    commits, write = Counter(), Database.write

    @contextmanager
    def losing(database):
        commits["all"] += 1
        if commits["all"] % 3:
            with write(database) as session:
                yield session
            return
        try:
            with write(database) as session:
                yield session
                if not stored:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        raise CommitUnknown("the database was lost during a COMMIT")

    monkeypatch.setattr(Database, "write", losing)
    report = send(box, config, clock)
    monkeypatch.undo()
    assert commits["all"] > 3 and len(server.taken) == 40
    assert report.sent == 40 and tallied(box) == {"sent": 40} and sound(box)


# ---------------------------------------------------------------- relays


def test_too_many_connections_is_no_end_while_some_are_at_work(box, configure, server, clock):
    server.most_connections = 2
    config = configure(smtp={"url": server.url, "connections": 8})
    owe(box, config, *readers(100))
    server.on_body = lambda taken: time.sleep(0.005) or "250 2.0.0 Ok"
    report = send(box, config, clock)
    assert (report.sent, report.stopped) == (100, "")


def test_a_relay_that_is_silent_delays_no_letter_through_another(box, configure, server, clock):
    with MailServer(banner=None) as silent:
        relays = [{"url": server.url, "order": 1}, {"url": silent.url, "order": 2}]
        config = configure(smtp={"relays": relays, "timeout_seconds": 30})
        owe(box, config, *PEOPLE)
        began = time.monotonic()
        assert send(box, config, clock).sent == 3
        assert time.monotonic() - began < 30, "it waited for the silent one"


def test_asked_to_stop_at_a_silent_banner_it_stops(box, configure, clock):
    with MailServer(banner=None) as silent:
        config = configure(smtp={"url": silent.url, "timeout_seconds": 300})
        owe(box, config, *PEOPLE)
        report = send(box, config, clock, stop=lambda: silent.connections > 0)
    assert report.interrupted and set(states(box).values()) == {"owed"}
