"""Several machines on one PostgreSQL: jobs only wake work, and what is to be done stands in the rows."""

from __future__ import annotations

import asyncio
import gc
import random
import runpy
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pooler
import pytest
import sqlalchemy as sa
from conftest import MONDAY
from house import ROOT
from mailing import notice, owe, readers, sound, tallied
from mailserver import MailServer
from people import enrol

from digest import collect, event_loop
from digest.demo.site import FeedSite
from digest.errors import ConfigError, Exit, StorageError, TryAgain
from digest.models import Edition, Feed
from digest.observe import metrics
from digest.store import database as stored
from digest.store import feed_claims, newsletters, open_database, workers
from digest.workers import engine, tables, wanted
from digest.workers.wanted import Job
from digest.workers.work import Work

GIVEN_UP = "given up"
DAILY = {"daily": {"title": "Daily", "from": "Daily <news@news.example>"}}


@pytest.fixture
def server():
    with MailServer() as started:
        yield started


@pytest.fixture
def shared(upgraded_postgres_url, config, clock, monkeypatch):
    """A PostgreSQL with the tables of jobs, whose clock is the test's."""
    monkeypatch.setattr("digest.store.database.server_ahead", lambda session, now: timedelta())
    opened = open_database(upgraded_postgres_url)
    newsletters.keep(opened, config.newsletters, now=clock())
    tables.ensure(opened)
    yield opened
    opened.close()


def work_of(database, config, clock) -> Work:
    return Work(database, config, clock=clock, rng=random.Random(1))


def idle_worker(database, config, clock, told, **terms) -> engine.Worker:
    """A worker that looks what there is to do, and ends once no job waits."""
    asked = engine.Terms(wait=False, **terms)
    return engine.Worker(
        work_of(database, config, clock), asked, warn=told.append, give_up=lambda: told.append(GIVEN_UP)
    )


def go(worker: engine.Worker) -> None:
    event_loop.run(worker.run)


def waiting(database) -> list[str]:
    with database.read() as session:
        todo = "status = 'todo' AND queue_name <> 'tick'"
        query = f"SELECT lock FROM procrastinate_jobs WHERE {todo} ORDER BY priority DESC, id"
        return list(session.execute(sa.text(query)).scalars())


def dropped(database) -> None:
    with database.write() as session:
        session.execute(
            sa.text(
                "DROP TABLE procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs,"
                " procrastinate_workers CASCADE"
            )
        )


# ---------------------------------------------------------------- what there is to do


def test_nothing_is_woken_but_what_rows_cannot_tell_of(shared, config, clock):
    with shared.read() as session:
        daily = newsletters.find(session, "daily").id
    locks = [job.lock for job in wanted.wanted(shared, config, now=clock())]
    assert locks == [f"digest/newsletter/{daily}", "digest/deliver/0", "digest/upkeep"]


def test_letters_that_are_due_wake_every_share_of_the_relays_and_none_is_woken_twice(shared, configure, clock):
    config = configure(smtp={"url": "smtp://relay.example", "connections": 4})
    owe(shared, config, *readers(2))
    jobs = [job for job in wanted.wanted(shared, config, now=clock()) if job.name == "deliver"]
    assert [dict(job.numbers) for job in jobs] == [{"share": number} for number in range(4)]
    with shared.write() as session:  # one is woken by the letters themselves
        assert [tables.defer(session, job) for job in (*jobs, *jobs)] == [False] + [True] * 3 + [False] * 4
    assert waiting(shared) == [f"digest/deliver/{number}" for number in range(4)]


def test_what_somebody_waits_for_is_begun_before_editions(shared):
    with shared.write() as session:
        for job in reversed(wanted.JOBS):
            tables.defer(session, job)
    assert waiting(shared)[0] == "digest/notices"


@pytest.mark.parametrize(
    ("smtp", "shares"),
    [
        ({}, 1),
        ({"url": "smtp://a.example", "connections": 90}, 32),
        ({"relays": [{"url": "smtp://a.example", "connections": 9}, {"url": "smtp://b.example", "connections": 2}]}, 2),
    ],
    ids=lambda value: str(value),
)
def test_no_more_passes_are_woken_than_each_relay_has_connections(configure, smtp, shares):
    assert wanted.shares(configure(smtp=smtp)) == shares


def test_without_a_schedule_an_edition_is_composed_once_an_hour(shared, configure, clock):
    config = configure(newsletters=DAILY)
    with shared.write() as session:
        row = newsletters.find(session, "daily")
        assert wanted.may_compose(session, config, row, now=MONDAY)
        session.add(Edition(newsletter_id=row.id, number=1, composed_at=MONDAY, upto_seq=0, sender="a@news.example"))
        session.flush()
        assert not wanted.may_compose(session, config, row, now=MONDAY + timedelta(minutes=1))
        assert wanted.may_compose(session, config, row, now=MONDAY + timedelta(hours=1))


def test_each_feed_is_in_one_part_and_with_it_all_that_its_host_answers_for(shared):
    with shared.write() as session:
        for number in range(40):
            about = {"host": f"h{number % 20}.example", "answered_by": "cdn.example" if number < 10 else ""}
            url = f"https://{about['host']}/{number}"
            session.add(Feed(url=url, added_at=MONDAY, next_at=MONDAY, **about))
    found: list[set[int]] = []
    for number in range(wanted.PARTS):
        part = feed_claims.Part(number, wanted.PARTS)
        with shared.write() as session:
            due = feed_claims.count_due(session, now=MONDAY, asked_before=MONDAY, part=part)
            among, lease = feed_claims.Among(part=part), timedelta(minutes=9)
            feeds = feed_claims.claim(session, now=MONDAY, limit=99, lease=lease, asked_before=MONDAY, among=among)
        assert len(feeds) == due > 0
        found.append({feed.answered_by or feed.host for feed in feeds})
        assert sum(feed.answered_by == "cdn.example" for feed in feeds) in (0, 10)
    assert len(set.union(*found)) == sum(map(len, found)) == 21


# ---------------------------------------------------------------- in our transactions


def test_a_job_is_there_with_its_rows_or_not_at_all(shared):
    with pytest.raises(ZeroDivisionError), shared.write() as session:
        assert tables.defer(session, wanted.UPKEEP)
        raise ZeroDivisionError
    assert waiting(shared) == []


def test_a_letter_that_somebody_waits_for_wakes_a_worker_in_the_transaction_that_owes_it(shared):
    assert notice(shared, "ada@example.org") and notice(shared, "bob@example.org")
    assert waiting(shared) == ["digest/notices"]
    dropped(shared)
    assert notice(shared, "cyd@example.org")  # whose row is kept all the same


def test_a_rehearsal_wakes_nobody_and_holds_up_nobody_who_wakes(shared):
    with shared.rehearse() as rehearsal:
        assert notice(rehearsal, "ada@example.org")
        assert notice(shared, "bob@example.org")
    assert waiting(shared) == ["digest/notices"]


def test_who_is_woken_sees_what_woke_him(shared):
    with shared.write() as session:
        tables.defer(session, wanted.NOTICES)
    take = "SELECT id FROM procrastinate_jobs WHERE status = 'todo' FOR UPDATE SKIP LOCKED"
    with shared.write() as session:
        assert not tables.defer(session, wanted.NOTICES)
        with shared.write() as other:
            assert other.execute(sa.text(take)).all() == []
    with shared.write() as session:
        assert len(session.execute(sa.text(take)).all()) == 1


def test_the_first_share_wakes_the_others_before_it_begins(shared, configure, clock):
    config = configure(smtp={"url": "smtp://relay.example", "connections": 3})
    work = work_of(shared, config, clock)
    assert work.before("deliver", {"share": 0}) == []
    owe(shared, config, "ada@example.org")
    assert [job.lock for job in work.before("deliver", {"share": 0})] == ["digest/deliver/1", "digest/deliver/2"]
    assert work.before("deliver", {"share": 1}) == []


def test_without_the_tables_of_jobs_a_sentence_is_told_and_our_rows_are_kept(shared):
    dropped(shared)
    with shared.write() as session:
        session.execute(sa.text("UPDATE newsletter SET seq = 7"))
        with pytest.raises(StorageError, match="no worker can be woken"):
            tables.defer(session, wanted.COLLECT)
    with shared.read() as session:
        assert newsletters.find(session, "daily").seq == 7


# ---------------------------------------------------------------- the whole


def test_workers_bring_feeds_to_inboxes_once(shared, configure, server, clock):
    config = configure(newsletters=DAILY, smtp={"url": server.url, "connections": 2})
    with FeedSite(MONDAY) as site:
        for url, title, topic in site.urls[:2]:
            collect.add_feed(shared, url, newsletter="daily", title=title, topic=topic or "", now=MONDAY)
        with shared.write() as session:
            for email in readers(5):
                enrol(session, email, newsletter="daily", secret=config.lasting_key)
        told = []
        go(idle_worker(shared, config, clock, told, concurrency=1))  # by priority: feeds, then the edition
    assert told == []
    assert sorted(server.recipients) == sorted(readers(5)) and sound(shared)
    clock.pass_(hours=1)
    go(idle_worker(shared, config, clock, told))
    assert len(server.taken) == 5


@pytest.mark.long
def test_jobs_that_were_dropped_are_woken_again_by_the_rows(shared, configure, server, clock):
    config = configure(smtp={"url": server.url, "connections": 1})
    owe(shared, config, *readers(6))
    work = replace(work_of(shared, config, clock), stop=lambda: len(server.taken) >= 2)
    work.do("deliver", {"share": 0})
    with shared.write() as session:
        tables.defer(session, wanted.share_of_relays(0))
    dropped(shared)
    told = []
    go(idle_worker(shared, config, clock, told))
    assert told == []
    assert sorted(server.recipients) == sorted(readers(6)) and tallied(shared) == {"sent": 6}


def test_a_job_done_twice_or_at_once_does_nothing_twice(shared, configure, server, clock):
    config = configure(smtp={"url": server.url, "connections": 1})
    owe(shared, config, *readers(4))
    work = work_of(shared, config, clock)
    threads = [threading.Thread(target=work.do, args=("deliver", {"share": 0})) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work.do("deliver", {"share": 0})
    assert sorted(server.recipients) == sorted(readers(4))


def test_two_workers_at_once_send_each_letter_once(shared, configure, server, clock):
    config = configure(smtp={"url": server.url, "connections": 3})
    owe(shared, config, *readers(30))
    told = []
    workers = [idle_worker(shared, config, clock, told, concurrency=2) for _ in range(2)]
    threads = [threading.Thread(target=go, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [] and sorted(server.recipients) == sorted(readers(30)) and tallied(shared) == {"sent": 30}


def test_what_the_settings_do_not_know_any_more_is_let_be(shared, config, clock):
    assert work_of(shared, config, clock).do("newsletter", {"newsletter": 999_999}) == []
    assert work_of(shared, config, clock).do("deliver", {"share": 77}) == []


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.long
@pytest.mark.parametrize("registered", [True, False], ids=["silent", "unknown"])
def test_jobs_of_a_dead_worker_hold_up_nobody(shared, configure, server, clock, registered):
    config = configure(smtp={"url": server.url, "connections": 1})
    owe(shared, config, "ada@example.org")
    with shared.write() as session:
        number = None
        if registered:
            old = "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id"
            number = session.execute(sa.text(old)).scalar_one()
        tables.defer(session, wanted.share_of_relays(0))
        session.execute(
            sa.text("UPDATE procrastinate_jobs SET status = 'doing', worker_id = :number"), {"number": number}
        )
    told = []
    go(idle_worker(shared, config, clock, told))
    assert told == []
    assert server.recipients == ["ada@example.org"]


def test_a_job_that_fails_is_told_of_and_holds_up_no_other(shared, configure, server, clock):
    config = configure(smtp={"url": server.url, "connections": 1})
    owe(shared, config, "ada@example.org")
    worker = idle_worker(shared, config, clock, told := [])
    real = Work.do

    def do(work, name, numbers):
        if name == "upkeep":
            raise TryAgain("the disk is busy", hint="wait")
        return real(work, name, numbers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Work, "do", do)
        go(worker)
    assert set(told) == {"upkeep: the disk is busy\n  wait"} and server.recipients == ["ada@example.org"]
    assert waiting(shared) == []


def test_a_mistake_of_ours_is_told_whatever_the_engine_makes_of_it(shared, config, clock, monkeypatch):
    def wrong(work, name, numbers):
        raise {"upkeep": ZeroDivisionError("ada@example.org"), "alerts": OSError(28, "No space left")}[name]

    monkeypatch.setattr(Work, "do", wrong)
    worker = idle_worker(shared, config, clock, told := [])
    for name in ("upkeep", "alerts"):
        worker._deed(name)()
    monkeypatch.setattr(Work, "look", lambda work: wrong(work, "upkeep", {}))
    worker._look()
    first = [words.splitlines()[0] for words in told]
    assert [words.partition(":")[0] for words in first] == ["upkeep", "alerts", "tick"]
    assert "a mistake of ours" in first[0] and "ZeroDivisionError in engine.py, line " in first[0]
    assert first[1] == "alerts: cannot go on: no space left" and "ada@" not in str(told)


def test_workers_that_were_killed_are_forgotten_though_none_ever_ends(shared, config, clock):
    mine = workers.Worker("host/1", "1.0", "0038", "mail")
    with shared.write() as session:
        for name, age in (("host/1", 0), ("host/2", 2 * workers.FORGOTTEN), ("host/3", -2 * workers.FORGOTTEN)):
            workers.beat(session, replace(mine, name=name))
            session.execute(sa.text(f"UPDATE worker SET beat = beat - {age} WHERE name = '{name}'"))
    work_of(shared, config, clock).look()
    with shared.read() as session:
        assert [one.worker.name for one in workers.seen(session, now=clock())] == ["host/1"]


def test_a_worker_whose_name_a_killed_one_had_is_no_older_than_itself(shared, config, clock):
    worker = idle_worker(shared, config, clock, [])
    with shared.write() as session:
        workers.beat(session, worker._self)
        session.execute(sa.text("UPDATE worker SET began = began - 86400"))
    ages = []
    real = worker._say

    def say():
        real()
        with shared.read() as session:
            ages.extend(clock() - one.began for one in workers.seen(session, now=clock()))

    worker._say = say
    go(worker)
    assert ages and max(ages) < timedelta(hours=1)


def test_jobs_are_woken_in_the_order_of_their_locks(shared, config, clock, monkeypatch):
    woken = []
    monkeypatch.setattr(tables, "defer", lambda session, job: woken.append(job.lock))
    idle_worker(shared, config, clock, [])._wake([wanted.NOTICES, wanted.share_of_relays(1), wanted.ALERTS])
    assert woken == sorted(woken) and len(woken) == 3


def test_a_worker_is_seen_while_it_is_there_and_told_from_a_dead_one(shared, config, clock):
    mine = workers.Worker("host/1", "1.0", "0038", "mail", doing="notices", done={"notices": 3})
    with shared.write() as session:
        workers.beat(session, mine)
        workers.beat(session, replace(mine, name="host/2"))
        session.execute(sa.text("UPDATE worker SET beat = beat - 60 WHERE name = 'host/2'"))
    with shared.read() as session:
        assert [(one.worker.name, one.dead) for one in workers.seen(session, now=clock())] == [
            ("host/1", False),
            ("host/2", True),
        ]
    said = metrics.exposition(shared, config, clock=clock).decode()
    assert 'digest_worker_jobs_total{job="notices",worker="host/1"} 3.0' in said
    worker = idle_worker(shared, config, clock, [])
    worker._say()
    with shared.read() as session:
        assert len(workers.seen(session, now=clock())) == 3
    worker._farewell()
    with shared.read() as session:
        assert len(workers.seen(session, now=clock())) == 2


def test_a_worker_that_is_too_old_stops_with_a_sentence(shared, config, clock):
    with shared.write() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="newer digest"):
        go(idle_worker(shared, config, clock, []))


@pytest.mark.parametrize("stopped", [False, True])
def test_a_database_that_is_gone_for_all_parts_of_a_worker_is_told_in_a_sentence(
    shared, config, clock, monkeypatch, caplog, stopped
):
    from procrastinate import App
    from procrastinate.exceptions import ConnectorException

    told: list[str] = []
    worker = engine.Worker(work_of(shared, config, clock), engine.Terms(), warn=told.append, give_up=lambda: None)

    def warn(words: str) -> None:
        told.append(words)
        worker.ask_to_stop()

    async def fails(*_: object, **__: object) -> None:
        if stopped:
            worker.ask_to_stop()
            await asyncio.sleep(0)
        raise ConnectorException("gone")

    monkeypatch.setattr(worker, "_warn", warn)
    monkeypatch.setattr(worker, "_beat", fails)
    monkeypatch.setattr(App, "run_worker_async", fails)
    go(worker)
    gc.collect()  # which is when asyncio tells of an error that nobody heard
    assert told == ["the engine stopped, and starts anew in 5 seconds: gone"] or (stopped and not told)
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_a_job_that_does_not_end_is_left_after_the_time_that_was_given(shared, config, clock):
    over, told = threading.Event(), []
    asked = engine.Terms(wait=False, grace=0.0)

    def give_up():
        told.append(GIVEN_UP)
        over.set()

    worker = engine.Worker(work_of(shared, config, clock), asked, warn=told.append, give_up=give_up)

    def do(work, name, numbers):
        worker._loop.call_soon_threadsafe(worker.ask_to_stop)
        over.wait(60)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Work, "do", do)
        go(worker)
    assert told == [GIVEN_UP]


def test_tables_of_another_release_of_the_engine_are_made_anew_once_its_workers_are_gone(shared):
    assert tables.ensure(shared) is False
    with shared.write() as session:
        session.execute(sa.text("COMMENT ON TABLE procrastinate_jobs IS 'another'"))
        session.execute(sa.text("INSERT INTO procrastinate_workers DEFAULT VALUES"))
    with pytest.raises(TryAgain, match="another release"):
        tables.ensure(shared)
    with shared.write() as session:
        session.execute(sa.text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'"))
    assert tables.ensure(shared) is True and tables.ensure(shared) is False


def test_sqlite_has_no_workers_and_says_what_does_their_work(box):
    with pytest.raises(ConfigError, match="SQLite") as raised:
        engine.require(box)
    assert "digest run" in raised.value.hint and raised.value.exit_code is Exit.CONFIG


def test_the_command_refuses_sqlite_and_queues_that_are_not_known(digest):
    assert digest("init", "news").returncode == 0
    refused = digest("-c", "news/digest.toml", "worker")
    assert refused.returncode == Exit.CONFIG and "digest run" in refused.stderr
    assert "release" in digest("-c", "news/digest.toml", "worker", "list").stdout
    refused = digest("-c", "news/digest.toml", "worker", "--queues", "mail,post")
    assert refused.returncode == Exit.DATAERR and "'post'" in refused.stderr


def test_every_job_can_be_done_and_has_a_queue_that_workers_know(shared, config, clock):
    work = work_of(shared, config, clock)
    for job in wanted.JOBS:
        assert job.queue in wanted.QUEUES
        with pytest.raises(KeyError):
            work.do(f"{job.name}?", {})
    assert Job("a", "mail", 1, {"b": 2, "a": 1}).lock == "digest/a/1/2"


# ---------------------------------------------------------------- the plan


def test_the_plan_goes_by_the_figures_that_are_put_in():
    plan = runpy.run_path(str(ROOT / "benchmarks" / "plan.py"))
    given = plan["read"](["window_hours=1", "letters_per_second=500", "second_process=0.5"])
    found = plan["plan"](3_600_000, given)
    assert (found.letters_per_second, found.processes, found.connections) == (1000, 3, 500)
    for words in ("speed=1", "window_hours=soon", "window_hours=0", "warmer_by=1", "window_hours=nan"):
        with pytest.raises(ValueError):
            plan["read"]([words])


def test_the_page_shows_what_the_plan_comes_to():
    plan = runpy.run_path(str(ROOT / "benchmarks" / "plan.py"))
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    for letters in plan["SIZES"]:
        found = plan["plan"](letters, plan["Given"]())
        assert f"{found.letters_per_second:,.0f}" in page and f"{found.addresses}; {found.warm_up_days}" in page
        assert f"{found.of_one_database:.0%}".replace("%", " %") in page


# ---------------------------------------------------------------- behind a pooler

# Of this database: others that are tested beside it have theirs.
LOCKS = sa.text(
    "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database"
    " WHERE locktype = 'advisory' AND datname = current_database()"
)


def locks_left(database):
    """Advisory locks that stay: one whose connection was closed goes once the server has seen that it was."""
    for _ in range(200):
        with database.read() as session:
            left = session.execute(LOCKS).scalar()
        if not left:
            break
        time.sleep(0.05)
    return left


@pytest.mark.long
@pytest.mark.skipif(pooler.PROGRAM is None, reason="no pgbouncer on this machine")
def test_behind_a_pooler_that_gives_each_transaction_any_session_all_is_the_same(
    upgraded_postgres_url, config, configure, server, clock, monkeypatch
):
    monkeypatch.setattr("digest.store.database.server_ahead", lambda session, now: timedelta())
    with pooler.pooled(upgraded_postgres_url) as url:
        opened = open_database(url)
        newsletters.keep(opened, config.newsletters, now=clock())
        with pytest.raises(ConfigError, match="pooler") as refused, opened.pinned():
            pass
        assert "DIGEST_DATABASE" in refused.value.hint
        direct = open_database(upgraded_postgres_url)
        config = configure(smtp={"url": server.url, "connections": 3})
        owe(direct, config, *readers(40))
        direct.close()
        told = []
        workers = [idle_worker(opened, config, clock, told, concurrency=2) for _ in range(2)]
        threads = [threading.Thread(target=go, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with opened.read() as session:
            left = session.execute(sa.text("SELECT count(*) FROM pg_prepared_statements")).scalar()
        assert (told, left, locks_left(opened)) == ([], 0, 0)
        assert sorted(server.recipients) == sorted(readers(40)) and sound(opened)
        opened.close()


@pytest.mark.skipif(pooler.PROGRAM is None, reason="no pgbouncer on this machine")
def test_tables_are_made_through_a_pooler_and_no_lock_is_left(postgres_url):
    with pooler.pooled(postgres_url, size=3) as url:
        opened = open_database(url, create=True)
        assert locks_left(opened) == 0
        opened.close()


def test_a_server_that_ends_idle_transactions_lets_no_two_upgrade_at_once(postgres_url):
    opened, said = open_database(postgres_url), []
    sa.event.listen(opened.engine, "before_cursor_execute", lambda *words: said.append(words[2]))
    with stored._turn(opened):
        assert said.index("SET LOCAL idle_in_transaction_session_timeout = 0") == 0
        assert "pg_try_advisory_xact_lock" in said[-1]
    opened.close()
