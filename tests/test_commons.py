"""Several passes on one PostgreSQL keep together to what the settings say of relays, and hear what each learnt."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from conftest import MONDAY
from mailing import owe, readers, sound, tallied
from mailserver import MailServer

from digest import deliver
from digest.config import Relay
from digest.deliver import commons
from digest.deliver.attempt import Lease, Waiting
from digest.deliver.commons import RelayAsk, Who, divided, heard, leased, part_of
from digest.deliver.domains import MOST_PARKED, Domains
from digest.deliver.judge import Case, Judge
from digest.deliver.ledger import CLAIM_LEASE
from digest.deliver.login import Server
from digest.deliver.pace import CHUNK, Pace, Quota, Turns
from digest.deliver.relays import Route
from digest.deliver.replies import Reply, Step
from digest.deliver.shares import Share
from digest.errors import TryAgain
from digest.models import OutboxState
from digest.store import letters, newsletters, open_database, outbox, runs, sharing

ASK = RelayAsk("r", 8, 0.0, 0, 0, wish=8, open=0, turns=0, held=0, letters=100, paced=0, domain_limit=0)


@pytest.fixture
def server():
    with MailServer() as started:
        yield started


@pytest.fixture
def shared(upgraded_postgres_url, config, clock):
    opened = open_database(upgraded_postgres_url)
    newsletters.keep(opened, config.newsletters, now=clock())
    yield opened
    opened.close()


class Table:
    """Rows of one relay, as several passes see them who ask in turn."""

    def __init__(self) -> None:
        self.state = sharing.Relay("r")
        self.seats: dict[str, sharing.Seat] = {}

    def asks(self, name: str, now: float, ask: RelayAsk = ASK, hours=None, **who) -> commons.RelayPart:
        others = [seat for holder, seat in sorted(self.seats.items()) if holder != name and seat.until > now]
        me = Who(name, **({"urgent": False, "gives_way": False, "since": float(ord(name[0]))} | who))
        quota = Quota(ask.per_hour, ask.per_day, hours or {})
        part, self.seats[name] = part_of(self.state, others, ask, me, quota=quota, now=now, at=MONDAY)
        return part


def together(database, config, clock, passes: int, **share) -> list[deliver.Report]:
    """So many passes at the same time, as so many processes do: nothing but the rows is common to them."""
    reports = [deliver.Report() for _ in range(passes)]
    threads = [
        threading.Thread(
            target=deliver.run,
            args=(database, config),
            kwargs={"clock": clock, "rng": random.Random(1), "share": Share(**share), "report": report},
        )
        for report in reports
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return reports


# ---------------------------------------------------------------- what is decided under the lock


def test_connections_are_divided_evenly_and_what_is_urgent_comes_first():
    seats = [
        sharing.Seat("r", name, name == "d", float(ord(name)), wish)
        for name, wish in zip("abcd", (9, 9, 1, 9), strict=True)
    ]
    assert divided(seats, 8) == {"a": 2, "b": 2, "c": 1, "d": 3}
    assert divided(seats, 2) == {"a": 1, "b": 0, "c": 0, "d": 1}
    assert divided(seats, 8, most=1) == {"a": 0, "b": 0, "c": 0, "d": 8}


@pytest.mark.parametrize("passes", [2, 4])
def test_passes_never_have_more_connections_together_than_the_relay_allows(passes):
    table, rng = Table(), random.Random(7)
    open_ = Counter[str]()
    for step in range(200):
        name = rng.choice("abcd"[:passes])
        part = table.asks(name, step * 0.1, replace(ASK, open=open_[name], wish=rng.choice((0, 1, 8))))
        open_[name] = max(part.seats, open_[name] - rng.randint(0, 3))  # connections end when they are done
        assert sum(open_.values()) <= ASK.total


def test_of_a_pass_that_was_killed_others_have_its_part_once_its_lease_is_over():
    table = Table()
    assert table.asks("a", 0.0).seats == 8
    assert table.asks("b", 1.0).seats == 0
    assert table.asks("b", sharing.LEASE + 1).seats == 8


def test_a_pass_whose_process_was_killed_on_this_machine_is_known_at_once():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        mine = sharing.new_holder()
        place, _number, _start, name = mine.split(" ")
        other = f"{place} {runs.process(process.pid).partition(' ')[2]} {name}"
        assert not sharing.killed(mine) and not sharing.killed(other)
        process.kill()
    assert sharing.killed(other)
    assert not sharing.killed(other.replace(place, "another/kernel")) and not sharing.killed("a")


@pytest.mark.parametrize("passes", [1, 2, 4])
def test_turns_of_all_passes_lie_a_gap_apart(passes):
    table, moments = Table(), []
    ask = replace(ASK, rate=5.0, turns=3)
    for step in range(40):
        for name in "abcd"[:passes]:
            now = 0.1 * step
            for delay, number in table.asks(name, now, replace(ask, open=table.seats[name].seats if step else 0)).turns:
                moments += [now + delay + turn / ask.rate for turn in range(number)]
    moments.sort()
    assert len(moments) > 40
    assert min(after - before for before, after in pairwise(moments)) >= 1 / ask.rate - 1e-9


def went_out(passes: int, *, gap: float, seconds: int, urgent: bool = False) -> list[tuple[float, str]]:
    """When letters begin, and whose: of passes that ask each second, end after a minute, and begin anew."""
    table, sent, turns = Table(), list[tuple[float, str]](), dict[str, Turns]()
    ask = replace(ASK, total=40, rate=1 / gap, turns=1)
    for now in range(seconds):
        for number, name in enumerate("abcdefghijklmnop"[:passes]):
            me = f"{name}{(now + number * 7) // 60}"
            for old in [one for one in turns if one[0] == name and one != me]:
                table.state.next_at -= turns.pop(old).left(now) * gap
                table.seats.pop(old)
            mine, seat = turns.setdefault(me, Turns(1 / gap)), table.seats.get(me)
            if mine.allows(now):
                mine.take()
                sent.append((now, me))
            wants = 0 if mine.left(now) else 1
            part = table.asks(
                me, now, replace(ask, open=seat.seats if seat else 0, turns=wants), urgent=urgent and name == "b"
            )
            for delay, number_of in part.turns:
                mine.lease(now + delay, number_of)
    return sent


@pytest.mark.parametrize(("passes", "gap", "seconds"), [(1, 150.0, 3000), (4, 150.0, 3000), (16, 20.0, 400)])
def test_of_a_rate_below_one_letter_a_minute_nothing_is_lost_with_passes_that_end(passes, gap, seconds):
    moments = [moment for moment, _ in went_out(passes, gap=gap, seconds=seconds)]
    assert min(after - before for before, after in pairwise(moments)) >= gap - 1
    assert seconds / gap - 1 <= len(moments) <= seconds / gap + 1


def test_of_a_slow_rate_who_is_urgent_has_the_next_turn():
    assert {who[0] for _, who in went_out(4, gap=20.0, seconds=300, urgent=True)[1:]} == {"b"}


def test_turns_that_a_wrong_clock_put_far_ahead_are_forgotten():
    assert leased(400 * 86400.0, 1.0, 2, 10.0) == (((0.0, 2),), 12.0)


def test_what_a_clock_that_was_ahead_wrote_stops_nobody_once_it_is_right_again():
    day = 86_400.0
    table = Table()
    table.asks("a", day, replace(ASK, fewer=True, open=1, refuses={3: "not from here"}))
    table.seats.clear()
    late = table.asks("b", 10.0, since=5.0)
    assert not late.refuses and late.limited
    table.asks("b", 20.0)
    assert table.asks("b", 11.0 + commons.ONE_MORE).seats == 2
    row = sharing.Domain("r", "slow.example", at=20.0)
    heard(row, 0, 3, 15.0)
    assert row.at == 15.0 and row.pace["gap"] >= 0


def test_an_hour_has_no_more_letters_than_it_may_whoever_sends_them():
    table = Table()
    ask, hour = replace(ASK, per_hour=10, letters=8), MONDAY.replace(minute=0, second=0, microsecond=0)
    assert [table.asks(name, 0.0, ask).allowance for name in "ab"] == [8, 2]
    # Three of those of a were taken and counted: what it holds and what is counted are not given twice.
    assert table.asks("a", 1.0, replace(ask, held=5), {hour: 3}).allowance == 5
    assert table.asks("b", 1.0, replace(ask, held=2), {hour: 3}).allowance == 2


def test_a_relay_that_lets_us_have_no_more_connections_is_asked_for_one_more_a_while_later():
    table = Table()
    table.asks("a", 0.0, replace(ASK, total=4))
    part = table.asks("a", 1.0, replace(ASK, total=4, open=2, fewer=True))
    assert (part.seats, part.limited) == (2, True)
    assert table.asks("b", 2.0, replace(ASK, total=4)).seats == 0  # who comes is told of it, and has to wait
    assert table.asks("a", 1.0 + commons.ONE_MORE, replace(ASK, total=4, open=1)).seats == 3


def test_a_limit_to_one_domain_is_divided_before_another_begins():
    table, ask = Table(), replace(ASK, domain_limit=2, wish=2)
    assert (table.asks("a", 0.0, ask).among, table.asks("b", 0.0, ask).seats) == (1, 0)  # a divides by 1 yet
    assert table.asks("a", 0.5, replace(ask, open=2)).among == 2
    assert (table.asks("b", 1.0, ask).seats, table.asks("c", 1.0, ask).seats) == (2, 0)


def test_where_several_send_editions_one_connection_is_left_to_what_somebody_waits_for():
    table = Table()
    assert table.asks("a", 0.0, gives_way=True).seats == 7
    assert table.asks("u", 0.1, urgent=True).seats == 1


def test_a_confirmation_has_the_one_connection_of_a_relay_before_an_edition_goes_on():
    one = replace(ASK, total=1)
    table = Table()
    assert table.asks("a", 0.0, one, gives_way=True).seats == 1
    assert table.asks("u", 0.1, one, urgent=True).seats == 0
    assert table.asks("a", 0.5, replace(one, open=1), gives_way=True).seats == 0
    assert table.asks("u", 0.6, one, urgent=True).seats == 0  # its connection is not closed yet
    assert table.asks("a", 1.0, one, gives_way=True).seats == 0
    assert table.asks("u", 1.1, one, urgent=True).seats == 1


def test_a_pace_is_the_same_whoever_heard_the_answers():
    row, alone = sharing.Domain("r", "slow.example"), Pace(wary=True)
    for second in range(1, 40):
        heard(row, 0, 1, float(second))
        alone.answered(float(second), busy=True)
    assert row.pace == alone.stored() and row.pace["interval"] == alone.interval > 0
    for second in range(40, 400):
        heard(row, 1, 0, float(second))
    assert row.pace["interval"] < alone.interval


def test_turns_that_were_not_used_are_lost_and_those_to_come_are_waited_for():
    turns = Turns(10.0)
    turns.lease(100.0, 30)
    assert (turns.allows(99.9), turns.allows(100.0), turns.allows(100.55)) == (0, 1, 6)
    turns.take(6)
    assert turns.allows(100.55) == 0
    assert turns.allows(102.5) == 10 + 1  # a second's worth, of two
    turns.take(11)
    assert turns.left(102.5) == 30 - 6 - 9 - 11 and turns.allows(103.0) == 4


def test_letters_to_a_domain_with_a_pace_wait_for_turns():
    domains = Domains(limit=0, behind="r")
    domains.told("slow.example", 0.5, [])
    assert domains.wants(0.0) == {"slow.example": 0} and not domains.idle
    domains.told("slow.example", 0.0, [])
    assert domains.idle


def test_a_domain_whose_letters_wait_longer_than_claims_last_has_them_all_the_same():
    domains, sent = Domains(limit=0), Counter[str]()
    again = range(MOST_PARKED)
    for second in range(300):
        now, moment = float(second), MONDAY + timedelta(seconds=second)
        domains.told("slow.example", 1.0, [(now, 1)])
        lapsed = 0
        for waiting in domains.unpark(now, moment):
            begins = waiting.lease.left(now, moment) > 0
            sent["begun"] += begins
            lapsed += not begins
        for _ in (*again, *range(lapsed)):  # claimed anew, as all at first
            domains.turn(Waiting(None, Lease(now, moment, CLAIM_LEASE), "slow.example"), now)
        again = ()
    assert sent["begun"] > 90


def test_no_more_turns_are_leased_than_a_seconds_however_often_they_are_asked_for():
    row_next, alone, moments = 0.0, Pace(0.1, turns=Turns(10.0)), []
    for step in range(100):
        now = 0.5 * step
        turns, row_next = leased(row_next, alone.interval, alone.wants(now, 500), now)
        for delay, number in turns:
            alone.turns.lease(now + delay, number)
        moments.append(row_next - now)
        while alone.turns.allows(now + 0.4):
            alone.turns.take()
    assert max(moments) <= 2 * CHUNK  # else who comes later, with a confirmation, would wait for all of them
    assert Pace(0.0).wants(0.0, 7) == 7  # how fast it goes the rows may know


def test_what_is_heard_of_a_domain_is_forgotten_once_it_is_old_or_of_a_moment_to_come(shared):
    with shared.write() as session:
        now = sharing.moment(session)
        ages = {"new": 0.0, "old": 2 * commons.FRESH, "ahead": -sharing.LEASE - 9, "far.ahead": -86_400.0}
        sharing.keep_domains(session, [sharing.Domain("r", name, {"interval": 1.0}, at=now - age)
                                       for name, age in ages.items()])  # fmt: skip
        kept = {row.domain for row in sharing.domains(session, "r", (), lock=False, fresh_for=300.0, now=now) if row.at}
        sharing.forget_domains(session, fresh_for=commons.FRESH)
        left = {row.domain for row in sharing.domains(session, "r", (), lock=False, fresh_for=1e9, now=now)}
    assert kept == {"new"} and left == {"new", "ahead"}


def test_a_domain_that_rows_forgot_goes_as_fast_as_it_likes(shared):
    domains = Domains(limit=0, behind="r")
    domains.told("slow.example", 0.5, [])
    with shared.write() as session:
        found = commons._paces(session, "r", domains.wants(0.0), {}, sharing.moment(session))
    for name, (interval, turns) in found.items():
        domains.told(name, interval, turns)
    assert domains.idle


def test_a_judge_counts_what_others_heard_once():
    one, other, refused = Judge(), Judge(), 0
    case = Case(1, 1, None, "x.example", Reply(550, "5.1.1", "no such user"), Step.RCPT)
    for judge, refusals in ((one, 3), (other, 4), (one, 2)):
        for _ in range(refusals):
            judge.refused("r", case)
        news = judge.news()
        refused += news["x.example"][1]
        judge.told(news, {"x.example": (0, refused, refused, 0)})
    assert refused == 9 and not one.news()
    assert other.news() == {}


class Dispatcher:
    """Who hands out the letters, as far as `commons` and a route ask."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def failed(self, error):
        self.errors.append(error)

    def wake(self):
        pass


def exchanged(database, clock, before=lambda *_: None, meanwhile=lambda route: None, **limits):
    """Ask once for a part of a relay that takes 5 letters an hour; `meanwhile` is done while the rows are asked."""

    async def ask():
        settings = Relay(url="smtp://relay.example:25", **(limits or {"per_hour": 5}))
        dispatcher, judge = Dispatcher(), Judge()
        server = Server("smtp", "relay.example", 25, "", "", "", "", 1.0, 1.0, None)
        route, domains = Route(settings, server, dispatcher, careful=False), Domains(limit=0, behind="relay.example:25")
        mine = commons.Commons(database, [route], clock=clock, urgent=False, gives_way=False)
        mine.hears([domains], judge, dispatcher)
        before(route, domains, judge)
        mine.step(mine._loop.time(), 100)
        meanwhile(route)
        await asyncio.wait([mine._task])
        await asyncio.sleep(0)
        await mine.leave()
        return route, domains, dispatcher

    return asyncio.run(ask())


def test_a_letter_that_another_sender_had_is_not_counted_by_the_rate_of_a_relay():
    async def lost(letters: int) -> int:
        settings = Relay(url="smtp://relay.example:25", per_second=5)
        server = Server("smtp", "relay.example", 25, "", "", "", "", 1.0, 1.0, None)
        route = Route(settings, server, Dispatcher(), careful=False)
        assert route.bucket.allows(100.0) == 5
        for _ in range(5):
            route.expect(100.0)
        for _ in range(letters):
            route.forgo()
        return route.bucket.allows(100.0)

    assert asyncio.run(lost(0)) == 0 and asyncio.run(lost(3)) == 3


def test_letters_that_an_hour_counts_while_rows_are_asked_make_no_room_for_others(shared, clock):
    def taken(route, domains, judge):
        route._uncounted = 5

    route, _, _ = exchanged(shared, clock, taken, meanwhile=lambda route: route.committed(5))
    assert route.held == 0 and route.part.allowance == 0


@pytest.mark.parametrize(("per_second", "ahead"), [(0.01, 0.0), (1.5, 2 / 1.5)])
def test_a_pass_that_ends_gives_back_the_turn_of_a_slow_rate_and_no_other(shared, clock, per_second, ahead):
    """Of a quick one others may have leased what comes after."""
    exchanged(shared, clock, per_second=per_second)
    with shared.write() as session:
        state, now = sharing.locked(session, "relay.example:25")
    assert state.next_at - now < ahead + 1e-6 and state.next_at - now > ahead - 60


def test_what_could_not_be_told_is_told_the_next_time(shared, clock, monkeypatch):
    def learnt(route, domains, judge):
        route.part.refuses, route.part.per_connection, route.part.news = {3: "not from here"}, 20, [2, 1]
        domains.answered("slow.example", 1.0, busy=True)

    monkeypatch.setattr(sharing, "locked", lambda *_: (_ for _ in ()).throw(TryAgain("two waited", hint="again")))
    route, domains, dispatcher = exchanged(
        shared, clock, learnt, meanwhile=lambda route: route.part.news.__setitem__(0, 1)
    )
    assert (route.part.refuses, route.part.per_connection, route.part.news) == ({3: "not from here"}, 20, [3, 1])
    assert domains.news == {"slow.example": [0, 1]} and not dispatcher.errors


def test_a_mistake_in_what_is_made_of_an_answer_ends_the_pass(shared, clock):
    def wrong(route, domains, judge):
        judge.told = lambda news, heard: 1 / 0

    _, _, dispatcher = exchanged(shared, clock, wrong)
    assert [type(error) for error in dispatcher.errors] == [ZeroDivisionError]


# ---------------------------------------------------------------- at a server


@pytest.mark.parametrize("passes", [2, 4])
def test_several_passes_keep_to_the_connections_of_a_relay_and_send_each_letter_once(
    shared, configure, server, clock, passes
):
    config = configure(smtp={"url": server.url, "connections": 3})
    owe(shared, config, *readers(60))
    most: list[int] = []
    server.on_rcpt = lambda recipient: most.append(server.at_once) or "250 2.1.5 Ok"
    together(shared, config, clock, passes)
    assert max(most) <= 3
    assert sorted(server.recipients) == sorted(readers(60)) and tallied(shared) == {"sent": 60} and sound(shared)


def test_several_passes_keep_to_the_rate_of_a_relay(shared, configure, server, clock):
    config = configure(smtp={"relays": [{"url": server.url, "connections": 4, "per_second": 40}]})
    owe(shared, config, *readers(30))
    came: list[float] = []
    server.on_body = lambda taken: came.append(time.monotonic()) or "250 2.0.0 Ok"
    began = time.monotonic()
    together(shared, config, clock, 4)
    assert len(came) == 30
    # Counted from the beginning, no more than the rate: on a slow machine fewer.
    assert all(count <= 1 + 40 * (at - began) for count, at in enumerate(sorted(came), 1))


def test_several_passes_keep_to_what_an_hour_may_have(shared, configure, server, clock):
    config = configure(smtp={"relays": [{"url": server.url, "connections": 4, "per_hour": 20}]})
    owe(shared, config, *readers(50))
    together(shared, config, clock, 4)
    assert len(server.taken) == 20 and tallied(shared) == {"sent": 20, "owed": 30}


def test_what_one_pass_had_proved_of_a_relay_no_other_tries_again(shared, configure, server, clock):
    config = configure(smtp={"url": server.url, "connections": 4})
    owe(shared, config, *readers(60))
    server.on_mail = lambda sender, number: "550 5.7.1 sender not allowed"
    together(shared, config, clock, 4)
    assert tallied(shared)["owed"] == 60 and not server.taken


def test_a_big_edition_does_not_hold_up_a_small_one(shared, configure, server, clock):
    both = {name: {"title": name, "from": f"{name} <news@news.example>"} for name in ("big", "small")}
    config = configure(newsletters=both, smtp={"url": server.url, "connections": 1})
    newsletters.keep(shared, config.newsletters, now=clock())
    owe(shared, config, *readers(80, "big.example"), newsletter="big")
    owe(shared, config, *readers(4, "small.example"), newsletter="small")
    together(shared, config, clock, 1)
    assert len(server.recipients) == 84
    assert max(n for n, to in enumerate(server.recipients) if to.endswith("small.example")) < 60


def test_no_statement_that_letters_cost_goes_through_the_whole_outbox(shared, configure, clock):
    config = configure(smtp={"url": "smtp://relay.example"})
    owe(shared, config, *readers(3))
    many = """
        INSERT INTO outbox (edition_id, variant_id, subscriber_id, subscription_id, state, attempts, created_at, due_at,
            settled_at, code, reply, in_doubt, relay)
        SELECT edition_id, variant_id, NULL, NULL, 'sent', 1, created_at, due_at, due_at, 250, '', false, ''
        FROM outbox, generate_series(1, 300)
    """
    with shared.write() as session:
        session.execute(sa.text(many))
    with shared.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    seen: list[str] = []
    with shared.write() as session:
        number = session.execute(sa.text("SELECT edition_id FROM outbox LIMIT 1")).scalar_one()
        plain = session.connection()
        plain.exec_driver_sql("SET LOCAL enable_seqscan = off")  # of so few rows it would be right

        def note(connection, cursor, statement, parameters, *_):
            if "outbox" in statement and not statement.startswith("EXPLAIN"):
                rows = cursor.connection.execute(f"EXPLAIN {statement}", parameters)
                seen.extend(row[0] for row in rows)

        sa.event.listen(plain, "before_cursor_execute", note)
        outbox.due_sources(session, now=clock())
        letters.any_due(session, now=clock(), notices=False)
        lease = timedelta(minutes=2)
        terms = {"lease": lease, "lifetime": timedelta(days=5), "hold_doubtful": False}
        claim = outbox.claim(session, outbox.Wanted(number, 3), now=clock(), **terms)
        marked = outbox.mark(session, claim.letters, now=clock(), lease=lease)
        assert len(marked) == 3
        outbox.settle(session, [outbox.Outcome(one, 1, OutboxState.SENT) for one in marked], now=clock())
    assert sum("Update on outbox" in line for line in seen) == 3
    assert seen and not [line for line in seen if "Seq Scan on outbox" in line]


def test_a_claim_goes_on_where_the_last_one_ended_and_then_takes_what_was_given_back_before_it(shared, config, clock):
    owe(shared, config, *(f"{name}@example.org" for name in "abcdef"))
    terms = {"lease": timedelta(minutes=2), "lifetime": timedelta(days=5), "hold_doubtful": False}
    with shared.write() as session:
        number = session.execute(sa.text("SELECT edition_id FROM outbox LIMIT 1")).scalar_one()
        first = outbox.claim(session, outbox.Wanted(number, 2), now=clock(), **terms)
        outbox.unclaim(session, first.letters, due_at=MONDAY - timedelta(hours=1))
        assert first.last is not None and first.last.id == first.letters[-1].id
        second = outbox.claim(session, outbox.Wanted(number, 3, after=first.last), now=clock(), **terms)
        rest = outbox.claim(session, outbox.Wanted(number, 9, after=second.last), now=clock(), **terms)
    assert [one.email[0] for one in second.letters] == ["c", "d", "e"]
    assert sorted(one.email[0] for one in rest.letters) == ["a", "b", "f"]
