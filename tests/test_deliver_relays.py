"""Several relays, limits, canaries, editions that stop, and a database that is in the way."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections import Counter, defaultdict
from datetime import timedelta
from functools import partial
from itertools import pairwise

import pytest
from conftest import MONDAY
from mailing import PEOPLE, owe, readers, send, sound, states, tallied
from mailserver import DROP, MailServer
from sqlmodel import select
from typer.testing import CliRunner

from digest import deliver
from digest.cli import app
from digest.deliver.ledger import PUT_OFF_WHY, Ledger
from digest.deliver.pace import Bucket, Pace, Quota, finish
from digest.deliver.relays import Route
from digest.errors import StorageError
from digest.models import Edition, EditionState, OutboxRow
from digest.store import edition_states, letters, newsletters, open_database, people, suppressions


@pytest.fixture
def server():
    with MailServer() as server:
        yield server


@pytest.fixture
def other():
    with MailServer() as server:
        yield server


def edition(database) -> Edition:
    with database.read() as session:
        return session.exec(select(Edition)).one()


def pause_after(letters: int, database, server) -> None:
    """Somebody pauses the first edition when the server has taken so many letters."""

    def answer(taken) -> str:
        if len(server.taken) == letters:
            with database.write() as session:
                edition_states.set_state(session, 1, EditionState.PAUSED, "by hand")
        return "250 2.0.0 Ok"

    server.on_body = answer


# ---------------------------------------------------------------- relays


def test_relays_share_letters_by_weight(box, configure, server, other, clock):
    relays = [{"url": server.url, "weight": 3, "connections": 6}, {"url": other.url, "connections": 6}]
    config = configure(smtp={"relays": relays})
    owe(box, config, *readers(80))
    # Both take their time, as servers do: else whose thread gets the processor would decide who is busy.
    server.on_body = other.on_body = lambda taken: time.sleep(0.05) or "250 2.0.0 Ok"
    assert send(box, config, clock).sent == 80
    assert len(server.taken) + len(other.taken) == 80
    assert len(server.taken) > 2 * len(other.taken) > 0
    assert not set(server.recipients) & set(other.recipients)


def test_a_relay_of_a_higher_order_waits_until_it_is_needed(box, configure, server, other, clock):
    config = configure(smtp={"relays": [{"url": other.url, "order": 2}, {"url": server.url, "order": 1}]})
    owe(box, config, *readers(20))
    assert send(box, config, clock).sent == 20
    assert len(server.taken) == 20 and other.taken == []


@pytest.mark.parametrize("how", ["refuses the sender", "is busy", "is not there"])
def test_another_relay_takes_over_and_doubles_nothing(box, configure, server, other, clock, how):
    if how == "refuses the sender":
        server.on_mail = lambda sender, number: "550 5.7.1 not you"  # of two letters, which wait a while then
    elif how == "is busy":
        server.on_mail = lambda sender, number: "250 Ok" if len(server.taken) < 10 else "421 4.3.2 busy"
    else:
        server.vanish()
    relays = [{"url": server.url, "order": 1}, {"url": other.url, "order": 2}]
    config = configure(smtp={"relays": relays})
    owe(box, config, *readers(60))
    report = send(box, config, clock)
    assert (report.sent, report.owed) == (60, 0)
    assert sorted(server.recipients + other.recipients) == sorted(readers(60))
    assert other.taken


@pytest.mark.parametrize("words", ["421 4.3.2 closing", "550 5.1.8 bad sender"])
def test_what_one_relay_saw_of_a_letter_is_what_the_other_gets(box, configure, server, other, clock, words):
    seen: dict[str, list[bytes]] = defaultdict(list)

    def answer(taken, words="250 2.0.0 Ok") -> str:
        clock.pass_(seconds=1)  # no two attempts in one second
        seen[taken.recipient].append(taken.content)
        return words

    server.on_body, other.on_body = partial(answer, words=words), answer
    relays = [{"url": server.url, "order": 1, "connections": 1}, {"url": other.url, "order": 2, "connections": 1}]
    owe(box, config := configure(smtp={"relays": relays}), *readers(6))
    send(box, config, clock)
    clock.pass_(hours=2)
    send(box, config, clock)
    assert sorted(other.recipients) == sorted(readers(6))
    assert max(map(len, seen.values())) > 1 and all(len(set(bodies)) == 1 for bodies in seen.values())


def test_a_letter_in_doubt_is_not_handed_to_the_other_relay(box, configure, server, other, clock):
    server.on_body = lambda taken: DROP
    config = configure(smtp={"relays": [{"url": server.url, "order": 1}, {"url": other.url, "order": 2}]})
    owe(box, config, *readers(20))
    report = send(box, config, clock)
    assert report.sent + report.owed == 20
    assert not set(server.recipients) & set(other.recipients)
    with box.read() as session:
        doubtful = {line.email for line in letters.lines(session) if line.in_doubt}
    assert set(server.recipients) <= doubtful


def test_the_next_relay_takes_over_when_the_first_has_used_up_its_limit(box, configure, server, other, clock):
    config = configure(smtp={"relays": [{"url": server.url, "per_hour": 10}, {"url": other.url, "order": 2}]})
    owe(box, config, *readers(30))
    report = send(box, config, clock)
    assert (report.sent, len(server.taken), len(other.taken)) == (30, 10, 20)


@pytest.mark.parametrize("lacking", ["SMTPUTF8", "SIZE"])
def test_what_one_relay_cannot_carry_goes_by_another(box, configure, server, other, clock, lacking):
    server.extensions = ("PIPELINING", "8BITMIME") if lacking == "SMTPUTF8" else ("PIPELINING", "SMTPUTF8", "SIZE 900")
    config = configure(smtp={"relays": [{"url": server.url}, {"url": other.url, "order": 2}]})
    people = [*readers(5), "jürgen@example.org"]
    owe(box, config, *people)
    other.vanish()
    report = send(box, config, clock)
    waiting = ["jürgen@example.org"] if lacking == "SMTPUTF8" else people
    assert (report.sent, report.owed, report.refused) == (6 - len(waiting), len(waiting), 0)
    other.listen()
    clock.pass_(minutes=10)
    report = send(box, config, clock)
    assert (report.sent, report.owed, report.refused) == (len(waiting), 0, 0)
    assert sorted(other.recipients) == sorted(waiting) and not set(server.recipients) & set(waiting)
    with box.read() as session:
        assert {line.attempts for line in letters.lines(session) if line.email in waiting} == {2}


def test_a_limit_per_hour_holds_over_runs(database, configure, server, clock):
    clock.pass_(minutes=30)
    config = configure(smtp={"relays": [{"url": server.url, "per_hour": 10}], "max_lateness_hours": 1000})
    owe(database, config, *readers(25))
    report = send(database, config, clock)
    assert (report.sent, report.owed) == (10, 15) and "all that the settings allow" in report.stopped
    assert send(database, config, clock).sent == 0
    clock.pass_(hours=1)
    assert send(database, config, clock).sent == 5  # half of the hour before still counts
    clock.pass_(hours=2)
    assert send(database, config, clock).sent == 10
    assert tallied(database) == {"sent": 25}


def test_a_rate_per_second_gives_so_many_and_no_more():
    bucket = Bucket(5)
    assert bucket.allows(100.0) == 5
    bucket.take(5)
    assert bucket.allows(100.1) == 0
    assert bucket.allows(100.5) == 2
    assert Bucket(0).allows(0) > 1000


def test_limits_per_hour_and_day_slide():
    hour = MONDAY.replace(minute=0)
    quota = Quota(10, 100, {hour: 4, hour - timedelta(hours=1): 10})
    assert quota.allows(hour + timedelta(minutes=30)) == 1
    assert quota.allows(hour + timedelta(minutes=59)) == 5
    assert Quota(0, 20, {hour - timedelta(hours=n): 2 for n in range(10)}).allows(hour) == 0
    assert Quota(0, 0, {hour: 10**6}).allows(hour) > 1000


def test_a_wary_pace_slows_at_the_first_word_and_comes_back():
    pace = Pace(wary=True)
    pace.answered(10.0, busy=True)
    assert not pace.ready(10.0) and pace.ready(10.2)
    slow = pace.interval
    pace.answered(10.5, busy=True)
    assert pace.interval == 2 * slow
    for n in range(200):
        pace.answered(11.0 + n, busy=False)
    assert pace.interval == 0
    pace.begin(300.0)
    assert not pace.ready(300.0, limit=1) and pace.ready(300.0)


def played(share: float, *, seconds: float = 60.0, gap: float = 0.001) -> float:
    """Letters taken a second by a server that puts off this share of them, whatever we do, and answers at once."""
    pace, rng, now, taken = Pace(), random.Random(4), 0.0, 0
    while now < seconds:
        now = max(now + gap, pace.next_at)
        pace.begin(now)
        busy = rng.random() < share
        pace.answered(now, busy=busy)
        taken += not busy
    return taken / seconds


def test_a_server_that_puts_off_a_fifth_gets_letters_at_more_than_half_the_rate():
    assert played(0.2) > played(0.0) * 0.8 / 1.3
    assert played(0.9) < 20


def test_a_pace_finds_the_rate_that_a_server_takes_and_climbs_when_it_takes_more():
    pace, now, allowed, at, taken = Pace(), 0.0, 20.0, 0.0, Counter[int]()
    while now < 300:
        now = max(now + 0.001, pace.next_at)
        pace.begin(now)
        allowed_now = min(allowed, (now - at) * (20.0 if now < 200 else 500.0))
        busy = allowed_now < 1
        if not busy:
            at = max(at, now - 1.0) + 1 / (20.0 if now < 200 else 500.0)
            taken[int(now // 10)] += 1
        pace.answered(now, busy=busy)
    assert all(taken[tens] >= 100 for tens in range(20))  # half of what it takes, at least
    assert taken[29] > 1000


def test_a_relay_that_asks_for_patience_gets_its_letters_one_at_a_time(box, configure, server, clock, monkeypatch):
    begun = []
    expect = Route.expect

    def noted(route, now) -> None:
        begun.append((now, route.pace.interval))
        expect(route, now)

    monkeypatch.setattr(Route, "expect", noted)
    monkeypatch.setattr("digest.deliver.relays.PATIENCE", 3600)  # with a server that takes nothing
    monkeypatch.setattr("digest.deliver.pace.SLOWEST", 0.1)

    asked = []

    def answer(sender, number) -> str:
        """Once it has taken some, it takes nothing for a while, too short for one to be put off; then two of five."""
        asked.append(number)
        taken = len(asked) <= 5 or (len(asked) > 20 and len(asked) % 5 >= 3)
        return "250 Ok" if taken else "421 4.3.2 slow down"

    server.on_mail = answer
    # With "hold" none is marked before it can go: else all may be when the pace changes, where commits are slow.
    smtp = {"url": server.url, "connections": 4, "after_crash": "hold"}
    owe(box, config := configure(smtp=smtp), *readers(20))
    assert send(box, config, clock).sent == 20
    slowed = [(next_at - at, interval) for (at, interval), (next_at, _) in pairwise(begun) if interval]
    assert slowed and all(gap >= interval * 0.999 for gap, interval in slowed)


def test_a_forecast_looks_beyond_what_the_limits_let_out_now():
    quota = Quota(100, 1200, {})
    assert quota.hourly == 50 and Quota(0, 0, {}).hourly > 10**9
    soon = {"per_second": 10.0, "room": 500, "hourly": 50.0}
    assert finish(MONDAY, left=300, **soon) == MONDAY + timedelta(seconds=30)
    assert finish(MONDAY, left=600, **soon) == MONDAY + timedelta(hours=2)
    assert finish(MONDAY, left=600, per_second=0, room=500, hourly=50) is None


@pytest.mark.long
def test_progress_is_told_and_ends_with_all_that_was_due(box, configure, server, clock):
    config = configure(smtp={"url": server.url, "connections": 2})
    owe(box, config, *readers(60))
    told = []
    server.on_body = lambda taken: time.sleep(0.05) or "250 2.0.0 Ok"
    send(box, config, clock, progress=told.append)
    assert (told[-1].settled, told[-1].due) == (60, 60)
    assert told[-1].finish == MONDAY and max(p.finish for p in told if p.finish) < MONDAY + timedelta(minutes=1)


def test_a_slow_domain_holds_up_nobody_else_and_gets_its_letters(box, configure, server, clock):
    seen: Counter[str] = Counter()

    def answer(address: str) -> str:
        seen[address] += 1
        slow = address.endswith("slow.example") and seen[address] == 1 and len(seen) % 2
        return "451 4.7.1 slow down" if slow else "250 2.1.5 Ok"

    server.on_rcpt = answer
    config = configure(smtp={"url": server.url, "per_domain": 2})
    people = readers(30) + readers(10, "slow.example")
    owe(box, config, *people)
    report = send(box, config, clock)
    assert {r for r in server.recipients if r.endswith("example.org")} == set(readers(30))
    clock.pass_(hours=1)
    send(box, config, clock)
    assert report.stopped == "" and tallied(box) == {"sent": 40} and len(server.taken) == 40


def test_a_limit_for_a_domain_puts_nobody_off(box, configure, server, clock):
    config = configure(smtp={"url": server.url, "per_domain": 2, "connections": 4})
    owe(box, config, *readers(200), *(f"reader@host{n}.example" for n in range(200)))
    report = send(box, config, clock)
    assert (report.sent, report.owed) == (400, 0)


@pytest.mark.long
def test_letters_in_line_for_their_domain_outlive_their_claim(box, configure, server, clock):
    def answer(taken) -> str:
        if len(server.taken) in (5, 25):
            clock.pass_(minutes=3)
        return "250 2.0.0 Ok"

    server.on_body = answer
    config = configure(smtp={"url": server.url, "per_domain": 1, "connections": 4})
    owe(box, config, *readers(60))
    assert send(box, config, clock).sent == 60 == len(server.taken)


def test_asked_to_stop_it_gives_back_what_waits_for_its_domain(box, configure, server, clock):
    config = configure(smtp={"url": server.url, "per_domain": 1, "connections": 4})
    owe(box, config, *readers(60))
    report = send(box, config, clock, stop=lambda: len(server.taken) >= 5)
    assert report.interrupted and 5 <= report.sent < 60
    assert tallied(box) == {"sent": report.sent, "owed": 60 - report.sent}
    assert send(box, config, clock).sent == 60 - report.sent


def test_what_is_too_much_for_a_slow_domain_is_put_off(box, configure, server, clock, monkeypatch):
    monkeypatch.setattr("digest.deliver.domains.MOST_PARKED", 3)
    busy = Counter()

    def answer(address: str) -> str:
        busy[address] += 1
        return "451 4.7.1 slow down" if sum(busy.values()) <= 4 else "250 2.1.5 Ok"

    server.on_rcpt = answer
    config = configure(smtp={"url": server.url, "connections": 2})
    owe(box, config, *readers(40))
    report = send(box, config, clock)
    assert report.sent == len(server.taken) < 36 and report.owed == 40 - report.sent
    with box.read() as session:
        never_tried = [line for line in letters.lines(session) if line.state == "owed" and not line.attempts]
    assert {line.reply for line in never_tried} == {PUT_OFF_WHY}
    assert {line.due_at for line in never_tried} == {clock() + timedelta(minutes=5)}
    for _ in range(20):
        clock.pass_(minutes=10)
        send(box, config, clock)
    assert tallied(box) == {"sent": 40} and len(server.taken) == 40


def test_a_paused_edition_leaves_its_domains_to_the_others(box, configure, server, clock):
    pause_after(5, box, server)
    config = configure(smtp={"url": server.url, "per_domain": 1, "connections": 4})
    owe(box, config, *readers(30))
    owe(box, config)
    report = send(box, config, clock)
    assert report.left.stopped.letters == report.owed == 60 - report.sent and report.sent >= 30


# ---------------------------------------------------------------- editions that stop


def test_a_canary_that_fares_well_lets_the_rest_follow(database, configure, server, clock):
    config = configure(smtp={"url": server.url, "canary": "10%", "max_refused": "34%"})
    owe(database, config, *readers(50))
    seen = []
    server.on_body = lambda taken: seen.append(tallied(database)["sent"]) or "250 2.0.0 Ok"
    assert send(database, config, clock).sent == 50
    assert sorted(server.recipients) == sorted(readers(50))
    # The sixth letter went out when the first five were settled.
    assert sorted(seen)[5] >= 5


def test_a_canary_that_is_refused_pauses_the_edition(database, configure, server, clock):
    server.on_body = lambda taken: "554 5.7.1 looks like spam"
    config = configure(smtp={"url": server.url, "canary": "10%", "max_refused": "34%"})
    owe(database, config, *readers(50))
    report = send(database, config, clock)
    assert (report.refused, report.owed) == (5, 45)
    assert (
        edition(database).state is EditionState.PAUSED and "canary: 5 of the first 5" in edition(database).state_reason
    )
    assert report.paused[0][:2] == ("daily", 1)
    assert send(database, config, clock).sent == 0


def test_one_dead_mailbox_is_no_reason_to_keep_a_short_list_waiting(database, configure, server, clock):
    server.on_rcpt = lambda address: "550 5.1.1 nobody" if address == readers(1)[0] else "250 2.1.5 Ok"
    config = configure(smtp={"url": server.url, "canary": "1%"})
    owe(database, config, *readers(30))
    report = send(database, config, clock)
    assert (report.sent, report.refused, report.paused) == (29, 1, [])


def test_a_resumed_edition_begins_with_a_canary_anew(database, configure, server, clock):
    server.on_rcpt = lambda address: "550 5.1.1 nobody"
    config = configure(smtp={"url": server.url, "canary": "10%", "max_refused": "34%"})
    owe(database, config, *readers(30))
    assert send(database, config, clock).refused == 3
    clock.pass_(minutes=1)
    server.on_rcpt = lambda address: "250 2.1.5 Ok"
    with database.write() as session:
        assert edition_states.set_state(session, edition(database).id, EditionState.OPEN, "", opened_at=clock())
    report = send(database, config, clock)
    assert (report.sent, report.owed) == (27, 0)


def test_the_rest_follows_a_canary_that_was_put_off_at_first(database, configure, server, clock):
    server.on_rcpt = lambda address: "450 4.2.1 later"
    config = configure(smtp={"url": server.url, "canary": "10%", "max_refused": "34%"})
    owe(database, config, *readers(30))
    report = send(database, config, clock)
    assert (report.deferred, report.owed, report.left.due.letters) == (3, 30, 27)
    clock.pass_(minutes=10)
    server.on_rcpt = lambda address: "250 2.1.5 Ok"
    assert send(database, config, clock).sent == 30


def test_content_that_many_refuse_pauses_the_edition_and_marks_nobody(database, configure, server, clock):
    server.on_body = lambda taken: "552 5.7.0 message blocked"
    config = configure(smtp={"url": server.url, "connections": 2})
    owe(database, config, *readers(200))
    report = send(database, config, clock)
    assert 10 <= report.refused < 150 and report.sent == 0
    assert (
        edition(database).state is EditionState.PAUSED and "552 5.7.0 message blocked" in edition(database).state_reason
    )
    with database.read() as session:
        assert not any(suppressions.find(session, reader) for reader in readers(200))
    assert sound(database)


def test_a_late_edition_is_held_and_goes_out_when_a_person_says_so(database, configure, server, clock):
    config = configure(smtp={"url": server.url, "max_lateness_hours": 12})
    owe(database, config, *PEOPLE)
    clock.pass_(hours=13)
    notices = deliver.run(database, config, clock=clock, rng=random.Random(1), share=deliver.NOTICES)
    assert server.connections == 0, "there is no notice to open a relay for"
    assert (notices.late, edition(database).state) == ([], EditionState.OPEN), "left to who tells the operator"
    report = send(database, config, clock)
    assert (report.sent, report.late) == (0, [("daily", 1)])
    assert edition(database).state is EditionState.HELD and "late" in edition(database).state_reason
    with database.write() as session:
        assert edition_states.set_state(session, edition(database).id, EditionState.OPEN, "", opened_at=clock())
    clock.pass_(hours=1)
    assert send(database, config, clock).sent == 3


def test_an_edition_that_its_relay_takes_slowly_is_not_late(database, configure, server, clock):
    config = configure(smtp={"relays": [{"url": server.url, "per_hour": 1}], "max_lateness_hours": 24})
    owe(database, config, *PEOPLE)
    clock.pass_(hours=20)
    assert send(database, config, clock).sent == 1
    with database.write() as session:
        for row in session.exec(select(OutboxRow)):
            row.due_at = MONDAY  # of a larger edition, most would never have been claimed yet
    clock.pass_(hours=10)
    report = send(database, config, clock)
    assert (report.sent, report.late) == (1, [])
    with database.write() as session:
        for row in session.exec(select(OutboxRow)):
            row.due_at = MONDAY
    clock.pass_(hours=30)
    assert send(database, config, clock).late == [("daily", 1)]


def test_an_edition_paused_from_outside_stops_within_a_moment(database, configure, server, clock):
    config = configure(smtp={"url": server.url, "connections": 1})
    owe(database, config, *readers(300))
    pause_after(20, database, server)
    report = send(database, config, clock)
    assert 20 <= report.sent < 250 and report.sent == len(server.taken)
    assert tallied(database) == {"sent": report.sent, "owed": 300 - report.sent}


@pytest.fixture
def cli(configure, tmp_path, server):
    """The command line on a settings file that sends to `server`."""
    (tmp_path / "digest.toml").write_text(
        'database = "digest.db"\nsecret_key = "a key for tests, long enough"\nbase_url = "https://digest.example"\n'
        f'[smtp]\nmax_lateness_hours = 1000000\n[[smtp.relays]]\nurl = "{server.url}"\n'
        '[newsletters.daily]\ntitle = "Daily"\nfrom = "Daily <news@news.example>"\n'
    )

    def run(*words: str, code: int = 0):
        result = CliRunner().invoke(app, ["-c", str(tmp_path / "digest.toml"), *words])
        assert result.exit_code == code, result.output
        return result

    return run


def _due_long_ago(box) -> None:
    """The command line reads the real clock."""
    with box.write() as session:
        for row in session.exec(select(OutboxRow)):
            row.due_at = MONDAY - timedelta(days=1000)


def test_pause_resume_cancel_and_audit_from_the_command_line(box, config, cli, server):
    owe(box, config, *PEOPLE)
    _due_long_ago(box)
    paused = json.loads(cli("edition", "pause", "1", "--reason", "wrong subject", "--json").stdout)
    assert paused == {
        "newsletter": "daily", "number": 1, "was": "open", "owed": 3, "state": "paused", "dropped": 0, "dry_run": False,
    }  # fmt: skip
    assert "3 wait for editions held or paused" in cli("deliver").stderr and server.taken == []
    assert '"state": "paused"' in cli("edition", "show", "1", "--json").stdout
    assert "\tpaused\t" in cli("edition", "list").stdout
    cli("edition", "resume", "1")
    server.on_rcpt = lambda address: "450 4.2.0 later" if address.startswith("bob") else "250 Ok"
    said = cli("deliver", code=75).stderr
    assert "2 sent, 1 deferred; 1 put off by a mail server, the last until" in said and ".eml" not in said
    assert len(server.taken) == 2
    assert "1 letter it still owes would be dropped" in cli("edition", "cancel", "1", "--dry-run").stderr
    assert tallied(box) == {"sent": 2, "owed": 1}
    assert cli("edition", "cancel", "1").stderr == "daily No. 1 is cancelled now\n1 letter dropped\n"
    cli("edition", "cancel", "1")
    assert tallied(box) == {"sent": 2, "dropped": 1}
    told = json.loads(cli("edition", "cancel", "1", "--json").stdout)
    assert (told["was"], told["state"], told["dropped"]) == ("cancelled", "cancelled", 0)
    cli("edition", "resume", "1", code=64)
    assert "yes" in cli("audit", "1").stdout
    cli("audit", "7", code=66)
    with box.write() as session:
        session.delete(session.exec(select(OutboxRow)).first())
    result = cli("audit", code=1)
    assert "3 letters were owed, 2 are in the outbox" in result.output


def test_a_letter_is_shown_and_retried_from_the_command_line(box, config, cli, server):
    owe(box, config, *PEOPLE)
    _due_long_ago(box)
    server.on_body = lambda taken: "554 5.7.1 no" if taken.recipient.startswith("ada") else "250 Ok"
    cli("deliver")
    with box.read() as session:
        (refused,) = [line for line in letters.lines(session) if line.state.value == "refused"]
    shown = json.loads(cli("outbox", "show", str(refused.id), "--json").stdout)
    assert (shown["email"], shown["subject"], shown["code"]) == (PEOPLE[0], "News", 554)
    (listed,) = cli("outbox", "list", "--edition", "1", "--state", "refused").stdout.splitlines()[1:]
    assert listed.split("\t")[3:5] == [PEOPLE[0], "refused"] and listed.endswith("554 5.7.1 no")
    assert json.loads(cli("outbox", "list", "--in-doubt", "--json").stdout) == []
    cli("outbox", "show", "999", code=66)
    cli("outbox", "retry", code=64)
    cli("outbox", "retry", "--edition", "9", code=66)
    cli("outbox", "retry", str(refused.id), "--state", "sent", code=64)
    server.on_body = lambda taken: "250 Ok"
    cli("outbox", "retry", "--edition", "1", "--state", "refused", "--dry-run")
    assert tallied(box)["refused"] == 1
    done = cli("outbox", "retry", "--edition", "1", "--state", "refused", "--json")
    assert json.loads(done.stdout) == {"owed_again": 1, "left_alone": {}, "dry_run": False}
    assert "left alone: not there any more: 1" in cli("outbox", "retry", str(refused.id), "999").stderr
    cli("deliver")
    assert tallied(box) == {"sent": 3} and len(server.taken) == 3
    (last,) = [taken for taken in server.taken if taken.recipient == PEOPLE[0]]
    assert f"Message-ID: {shown['message_id']}\r\n".encode() in last.content
    assert "sent: 1" in cli("outbox", "retry", str(refused.id), code=64).stderr  # and stays so
    nothing = cli("outbox", "retry", "--edition", "1").stderr
    assert nothing == "no letter of daily No. 1 is held: nothing is owed again\n"
    cli("deliver")
    assert len(server.taken) == 3
    assert "owes nobody" in cli("edition", "cancel", "1", code=64).stderr


# ---------------------------------------------------------------- two at once, and a database in the way


def test_two_runs_at_once_send_each_letter_once(database, configure, server, clock):
    config = configure(smtp={"url": server.url, "connections": 3})
    owe(database, config, *readers(120))
    reports = []
    threads = [threading.Thread(target=lambda: reports.append(send(database, config, clock))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.sent for report in reports) == 120
    assert sorted(server.recipients) == sorted(readers(120))
    assert tallied(database) == {"sent": 120} and sound(database)


def test_no_letter_begins_whose_lease_could_end_before_its_answer_comes(database, configure, server, clock):
    config = configure(smtp={"url": server.url, "connections": 1, "data_timeout_seconds": 600})
    owe(database, config, *readers(6))
    with MailServer() as other:
        another = configure(smtp={"url": other.url, "connections": 1})

        def answer(taken) -> str:
            first = not server.taken  # the next one is marked already, and must go back
            clock.pass_(minutes=25 if first else 9)
            if not first:
                send(database, another, clock)
            return "250 2.0.0 Ok"

        server.on_body = answer
        send(database, config, clock)
        assert sorted(server.recipients + other.recipients) == sorted(readers(6))
    assert tallied(database) == {"sent": 6} and sound(database)


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_is_set_in_the_middle_doubles_and_loses_nothing(box, configure, server, clock, hours):
    clock.pass_(hours=4)

    def answer(taken) -> str:
        if len(server.taken) == 30:
            clock.pass_(hours=hours)
        return "250 2.0.0 Ok"

    server.on_body = answer
    config = configure(smtp={"url": server.url, "connections": 3})
    owe(box, config, *readers(100))
    send(box, config, clock)
    clock.pass_(hours=4)
    send(box, config, clock)
    assert sorted(server.recipients) == sorted(readers(100)) and tallied(box) == {"sent": 100}


def test_a_locked_database_delays_letters_and_loses_and_doubles_none(box, configure, server, clock, monkeypatch):
    monkeypatch.setattr("digest.store.sqlite_file.BUSY_MS", 100)
    config = configure(smtp={"url": server.url, "connections": 2})
    owe(box, config, *readers(60))
    impatient = open_database(config.database_url)
    moments = [0, 10, 30]  # letters taken: the first is before anything is claimed

    def held() -> None:
        moments.pop(0)
        has_it = threading.Event()

        def hold() -> None:
            with box.write() as session:
                session.connection()
                has_it.set()
                time.sleep(0.7)

        threading.Thread(target=hold).start()
        assert has_it.wait(10)

    def answer(taken) -> str:
        if moments and len(server.taken) >= moments[0]:
            held()
        return "250 2.0.0 Ok"

    def look() -> bool:
        if moments[:1] == [0]:
            held()
        return False

    server.on_body = answer
    report = send(impatient, config, clock, stop=look)
    impatient.close()
    assert moments == [] and (report.sent, report.owed, report.in_doubt) == (60, 0, 0)
    assert sorted(server.recipients) == sorted(readers(60)) and sound(box)


def test_letters_whose_claim_ran_out_before_their_turn_are_claimed_again(box, configure, server, clock):
    config = configure(smtp={"url": server.url, "connections": 1})
    owe(box, config, *readers(40))

    def answer(taken) -> str:
        if len(server.taken) > 20:
            clock.pass_(minutes=3)
        return "250 2.0.0 Ok"

    server.on_body = answer
    report = send(box, config, clock)
    assert (report.sent, report.owed) == (40, 0) and sorted(server.recipients) == sorted(readers(40))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB of our own."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("a file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_while_sending_stops_the_run_and_doubles_only_what_is_in_doubt(
    small_disk, configure, server, clock, monkeypatch
):
    monkeypatch.setattr("digest.deliver.writer.PATIENCE", 1.0)
    config = configure(smtp={"url": server.url, "connections": 2}, database=str(small_disk / "digest.db"))
    database = open_database(config.database_url, create=True)
    newsletters.keep(database, config.newsletters, now=clock())
    owe(database, config, *readers(100))
    ballast = small_disk / "ballast"
    filled = threading.Event()

    def answer(taken) -> str:
        if len(server.taken) >= 10 and not filled.is_set():
            filled.set()
            with pytest.raises(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
        return "250 2.0.0 Ok " + "x" * 400

    server.on_body = answer
    try:
        send(database, config, clock)
    except StorageError as error:
        assert "disk is full" in str(error) or "disk I/O" in str(error)
    ballast.unlink()
    clock.pass_(hours=2)
    send(database, config, clock)
    assert tallied(database) == {"sent": 100} and sound(database)
    with database.read() as session:
        doubtful = {line.email for line in letters.lines(session) if line.in_doubt}
    assert {r for r, copies in Counter(server.recipients).items() if copies > 1} <= doubtful
    assert set(server.recipients) == set(readers(100))
    database.close()


def test_a_database_that_cannot_be_written_sends_nothing(small_disk, configure, server, clock):
    config = configure(smtp={"url": server.url}, database=str(small_disk / "digest.db"))
    database = open_database(config.database_url, create=True)
    newsletters.keep(database, config.newsletters, now=clock())
    owe(database, config, *PEOPLE)
    database.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    try:
        with pytest.raises(StorageError, match="cannot be"):
            reading = open_database(config.database_url)
            send(reading, config, clock)
        assert server.taken == []
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)


def test_a_copy_that_has_no_room_is_told_and_leaves_nothing(small_disk, box, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    with pytest.raises(OSError), (small_disk / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 65536)
    with pytest.raises(StorageError, match=f"cannot be copied to {small_disk}.*full") as told, box.copied():
        raise AssertionError("there was room")
    assert "TMPDIR" in told.value.hint and [path.name for path in small_disk.iterdir()] == ["ballast"]


def test_a_database_that_takes_no_claim_for_a_moment_is_asked_again(box, configure, server, clock, monkeypatch):
    config = configure(smtp={"url": server.url})
    owe(box, config, *readers(40))
    commit, refused = Ledger.commit, Counter()

    def refusing(ledger, batch):
        for what in ("wish", "marks"):
            if getattr(batch, what) and not refused[what]:
                refused[what] += 1
                raise StorageError("the database is locked")
        return commit(ledger, batch)

    monkeypatch.setattr(Ledger, "commit", refusing)
    assert send(box, config, clock).sent == 40 == len(server.taken)
    assert refused == {"wish": 1, "marks": 1}


def test_a_letter_that_cannot_be_written_is_held_and_the_others_go_out(database, configure, server, clock):
    config = configure(smtp={"url": server.url})
    owe(database, config, *PEOPLE)
    with database.write() as session:
        people.find(session, "bob@example.org").email = "bob smith@example.org"
    report = send(database, config, clock)
    assert (report.sent, report.held) == (2, 1) and "could not be written" in report.refusals[0]
    assert sorted(states(database).values()) == ["held", "sent", "sent"]
