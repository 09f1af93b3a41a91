"""A read replica: what is answered from it, what never is, and what happens where it is late, down, or another's."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import postgres
import pytest
import sqlalchemy as sa
from conftest import MONDAY, Clock
from starlette.testclient import TestClient
from test_flow import join

from digest import alerts, sign
from digest.alerts.conditions import Lines, Seen
from digest.config import Config
from digest.errors import ConfigError, StorageError, TryAgain
from digest.models import Edition, Subscription, Variant
from digest.store import Database, newsletters, open_database, people, replica
from digest.store.replica import AGAIN, EVERY, MOST_BEHIND, Replica, Standing
from digest.values import Watched
from digest.web import application

NEWS = """
secret_key = "a key for tests, long enough"
[newsletters.daily]
title = "Daily"
from = "d@news.example"
"""


class Still(Replica):
    """A copy whose standing is as a test says."""

    standing = Standing(0.0)

    def _judged(self) -> Standing:
        return self.standing


def went_out(database: Database, config: Config, *emails: str) -> None:
    """Two editions, and who may read them."""
    for email in emails:
        join(database, config, email)
    with database.write() as session:
        paper = newsletters.find(session, "daily")
        for number in (1, 2):
            edition = Edition(
                newsletter_id=paper.id, number=number, composed_at=MONDAY, upto_seq=0, sender="d@a.example"
            )
            session.add(edition)
            session.flush()
            words = {"subject": f"Daily: No. {number}", "html": "<body>News</body>", "text": "News\n", "marks": "n"}
            session.add(Variant(edition_id=edition.id, key="x", since_seq=0, story_count=1, more_count=0, **words))


@pytest.fixture
def two(box: Database, config: Config, clock: Clock) -> Iterator[tuple[Database, Database]]:
    """A database with two editions that went out, and a copy in which the second has not come yet."""
    went_out(box, config, "ada@a.example")
    there = Path(config.database_url.removeprefix("sqlite:///"))
    with box.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql(f"VACUUM INTO '{there}.copy'")
    copy = open_database(f"sqlite:///{there}.copy")
    with copy.write() as session:
        session.execute(sa.text("UPDATE edition SET state = 'held' WHERE number = 2"))
    yield box, copy
    copy.close()


@pytest.fixture
def copy(two: tuple[Database, Database]) -> Still:
    return Still(*two)


@pytest.fixture
def client(two: tuple[Database, Database], copy: Still, config: Config, clock: Clock) -> TestClient:
    app = application(two[0], config, clock=clock, replica=copy)
    return TestClient(app, base_url="http://localhost:8000", follow_redirects=False)


def editions(client: TestClient) -> list[str]:
    return [number for number in "12" if f"/editions/{number}</loc>" in client.get("/sitemap.xml").text]


def chosen(database: Database, email: str) -> Subscription:
    with database.read() as session:
        person = people.find(session, email)
        assert person is not None
        return people.subscriptions_of(session, person)[0][0]


def page_of(database: Database, config: Config, email: str) -> str:
    token = sign.token(sign.Purpose.PREFERENCES, chosen(database, email).id or 0, key=config.keys[0])
    return f"/preferences/{token}"


# ---------------------------------------------------------------- what is answered from where


def test_what_everybody_may_read_is_answered_from_the_copy_and_what_it_lacks_from_the_database(client, copy):
    assert editions(client) == ["1"]
    assert client.get("/latest").headers["location"].endswith("/editions/1")
    # A letter leads to the edition that was just sent, and a mail shows its pictures.
    assert client.get("/newsletters/daily/editions/2").status_code == 200
    assert client.get("/newsletters/daily/editions/9").status_code == 404
    copy.standing = Standing(trouble="is late")
    copy._next = 0.0
    assert editions(client) == ["1", "2"]


def test_who_has_changed_something_sees_it_whatever_the_copy_has(client, two, config):
    ours, copy = two
    page = page_of(ours, config, "ada@a.example")
    answer = client.post(page, data={"format": "text"}, headers={"Origin": "null"})
    assert answer.status_code == 303
    assert re.search(r'value="text"\s+checked', client.get(page).text)
    assert [chosen(database, "ada@a.example").plain for database in two] == [True, False]
    copy.close()
    Path(copy.engine.url.database or "").write_bytes(b"no database" * 500)
    assert client.get(page).status_code == 200


def test_every_page_that_is_read_from_a_copy_may_be_kept_by_anybody_and_none_is_one_readers(client, two, copy, config):
    """Whatever is added to the site: a page is either public, or answered by the database alone."""
    own = ("/preferences", "/unsubscribe", "/confirm", "/subscribe", "/api", "/hear", "/websub", "/metrics", "/move")
    asked: list[Database] = []
    copy.read = lambda do: asked.append(do(two[1])) or None  # type: ignore[method-assign, func-returns-value]
    for route in client.app.routes:  # type: ignore[attr-defined]
        path, before = route.path, len(asked)
        for name, value in (("newsletter", "daily"), ("number", "1"), ("topic", "security"), ("key", "x")):
            path = path.replace(f"{{{name}:word}}", value).replace(f"{{{name}:number}}", value)
        path = path.replace("{name:picture}", "0" * 64).replace("{token}", "x").replace("{token:word}", "x")
        if "GET" in (getattr(route, "methods", None) or ()):
            client.get(path)
        assert not (path.startswith(own) and len(asked) > before), path
    assert len(asked) >= 12


@pytest.mark.parametrize("error", [StorageError("the database is gone"), sa.exc.OperationalError("x", {}, Exception())])
def test_a_copy_that_fails_in_mid_page_costs_nobody_the_page_and_is_left_alone_for_a_while(client, copy, error):
    def broken(_: Database) -> None:
        raise error

    assert copy.read(lambda database: "there") == "there"
    assert copy.read(broken) is None
    assert "cannot be read" in copy._standing.trouble
    assert editions(client) == ["1", "2"]
    copy._next = 0.0  # AGAIN has passed
    assert editions(client) == ["1"]


def test_a_page_whose_rows_were_let_go_of_while_it_was_read_says_nothing_against_the_copy(copy):
    def conflict(_: Database) -> None:
        raise TryAgain("canceled")

    assert copy.read(conflict) is None and not copy.look().trouble


def test_ready_tells_of_the_copy_and_sends_nobody_away_for_it(client, copy):
    assert (client.get("/ready").status_code, client.get("/ready").text) == (
        200, "ok\nthe replica is 0.0 seconds behind\n",
    )  # fmt: skip
    copy.standing, copy._next = Standing(70.0, "is 70 seconds behind"), 0.0
    assert (client.get("/ready").status_code, client.get("/ready").text) == (
        200, "ok\nthe replica is 70 seconds behind\n",
    )  # fmt: skip


# ---------------------------------------------------------------- how it stands


class Servers:
    """What both say of themselves, and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.database: Any = (100, None, "0038", "a")
        self.copy: Any = (100, 3600.0, "0038", "a")
        self.asked = 0
        self.really_asked, self._really, self.answer = 0, replica._point, self._point
        monkeypatch.setattr(replica, "_point", lambda there, query: self.answer(there, query))
        self.replica = Replica(None, None, timer=lambda: self.now)  # type: ignore[arg-type]

    def _point(self, there: object, query: str) -> replica._Point:
        if isinstance(there, Database):
            self.really_asked += 1
            return self._really(there, query)
        self.asked += 1
        found = self.database if query is replica._PRIMARY else self.copy
        if isinstance(found, Exception):
            raise found
        return replica._Point(*found)

    def after(self, seconds: float, database: int, copy: int) -> Standing:
        self.now += seconds
        self.database, self.copy = (database, *self.database[1:]), (copy, *self.copy[1:])
        return self.replica.look()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    return Servers(monkeypatch)


def test_a_copy_is_behind_since_there_is_something_that_it_has_not_replayed(servers):
    assert servers.replica.look() == Standing(0.0)
    assert servers.after(3600, 100, 100) == Standing(0.0)  # nothing happened
    assert servers.after(5, 200, 100) == Standing(5.0)  # at most: it may have been written right after the last look
    assert servers.after(5, 300, 100) == Standing(10.0)
    assert servers.after(5, 400, 200) == Standing(10.0)
    assert servers.after(MOST_BEHIND - 10, 400, 200) == Standing(MOST_BEHIND)
    late = servers.after(5, 400, 200)
    assert late.behind == MOST_BEHIND + 5 and late.trouble == "is 65 seconds behind"
    assert servers.after(EVERY, 400, 400) == Standing(0.0)


def test_what_was_written_while_the_database_answered_a_copy_is_not_believed_to_have(servers, monkeypatch):
    def slowly(_: object, query: str) -> replica._Point:
        servers.now += 20 * (query is replica._PRIMARY)
        return servers._point(_, query)

    assert servers.replica.look() == Standing(0.0)
    monkeypatch.setattr(replica, "_point", slowly)
    assert servers.after(EVERY, 100, 100) == Standing(0.0)
    assert servers.after(EVERY, 200, 100) == Standing(2 * 20 + EVERY)


def test_a_copy_that_stays_behind_for_days_costs_no_more_memory(servers, monkeypatch):
    for step in range(1, 3 * replica._MARKS):
        servers.after(EVERY, 100 + step, 50)
    assert len(servers.replica._marks) == replica._MARKS
    # It may count as later than it is, and never as earlier.
    assert servers.after(EVERY, 10**6, 100 + 3 * replica._MARKS - 2).behind == 2 * EVERY


def test_of_one_that_never_was_seen_to_catch_up_the_age_of_what_it_has_is_believed(servers):
    servers.copy = (50, 3600.0, "0038", "a")
    assert servers.replica.look().behind == 3600
    servers.copy = (50, None, "0038", "a")
    assert servers.after(AGAIN, 100, 50).trouble
    slept: list[float] = []
    servers.copy = (50, 3600.0, "0038", "a")

    def catch_up(seconds: float) -> None:
        slept.append(seconds)
        servers.copy = (100, 1.0, "0038", "a")

    fresh = Replica(None, None, timer=lambda: servers.now)  # type: ignore[arg-type]
    assert (fresh.settled(catch_up), slept) == (Standing(0.0), [replica.SOON])


@pytest.mark.parametrize(
    ("copy", "why"),
    [
        ((None, None, "0038", "a"), "is written to itself"),
        ((100, 1.0, "0037", "a"), "revision 0037, and the database of 0038"),
        ((100, 1.0, "0038", "b"), "the copy of another database"),
        (StorageError("the database x does not answer: refused"), "does not answer: refused"),
    ],
)
def test_a_copy_that_must_not_be_read_says_why(servers, copy, why):
    servers.copy = copy
    assert why in servers.replica.look().trouble
    assert servers.replica.read(lambda database: "read") is None


def test_where_the_database_itself_is_gone_the_copy_is_read(servers):
    servers.database = StorageError("gone")
    assert servers.replica.read(lambda database: "read") == "read"


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes a connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield f"postgresql+psycopg://127.0.0.1:{door.getsockname()[1]}/digest"


def test_a_database_that_hangs_is_waited_for_once_and_the_copy_is_read(silent, servers):
    ahead = replica.open_copy(silent)
    copy = Replica(ahead, None, timer=lambda: servers.now, patience=0.05)  # type: ignore[arg-type]
    for _ in range(3):
        servers.now += EVERY
        assert copy.read(lambda database: "read") == "read" and copy.look() == Standing()
    assert servers.asked == 3 and servers.really_asked == 1  # which was given up, and is waited for by nobody
    ahead.close()


def test_a_copy_that_hangs_is_not_read_until_it_answers_and_what_it_said_late_is_not_believed(servers):
    late = threading.Event()

    def slowly(there: object, query: str) -> replica._Point:
        if query is replica._COPY:
            late.wait(5)
        return replica._Point(100, 1.0, "0038", "a")

    servers.answer = slowly
    copy = Replica(None, None, timer=lambda: servers.now, patience=0.05)  # type: ignore[arg-type]
    assert copy.look().trouble == "cannot be read: it does not answer"
    servers.now += AGAIN
    assert copy.read(lambda database: "read") is None
    late.set()
    thread = next(one for one in threading.enumerate() if one.name == "digest-replica")
    thread.join(5)
    servers.now += AGAIN
    assert copy.look() == Standing(0.0)


def test_where_no_thread_can_be_started_to_ask_in_the_database_is_read_until_one_can(servers, monkeypatch):
    def full(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", full)
        assert servers.replica.read(lambda database: "read") is None
        assert servers.replica.look().trouble == "cannot be read: can't start new thread"
    servers.now += AGAIN
    assert servers.replica.look() == Standing(0.0)


def test_the_servers_are_asked_every_few_seconds_and_seldom_where_there_is_trouble(servers):
    def asked(seconds: float) -> int:
        servers.now += seconds
        before = servers.asked
        for _ in range(50):
            servers.replica.look()
        return servers.asked - before

    assert (asked(0), asked(EVERY / 2), asked(EVERY / 2)) == (2, 0, 2)
    servers.copy = StorageError("gone")
    assert (asked(EVERY), asked(EVERY), asked(AGAIN)) == (2, 0, 2)


def test_an_alert_begins_and_ends_with_the_trouble_and_without_a_replica_there_is_none():
    seen = [Seen(replica=why) for why in ("postgresql://b/x is 70 seconds behind", "")]
    found = [alerts.conditions(Watched(), one, Lines(), now=MONDAY) for one in seen]
    assert [[one.key for one in each] for each in found] == [["replica"], []]
    assert Seen().unknown("replica") and not seen[1].unknown("replica")


# ---------------------------------------------------------------- settings


def test_the_replica_is_asked_by_who_asks_the_database_unless_it_says_otherwise(configure):
    def read(there: str, **more: str) -> str:
        return str(configure(database="postgresql://a.example/digest", database_read=there, **more).database_read_url)

    login = {"database_user": "m e", "database_password": "p@"}
    assert read("") == ""
    assert read("postgresql://b/digest") == "postgresql+psycopg://b/digest"
    assert read("postgresql://b/digest", **login) == "postgresql+psycopg://m%20e:p%40@b/digest"
    assert read("postgresql://you@b/digest", **login) == "postgresql+psycopg://you@b/digest"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"database_read": "copy.db"}, "must be postgresql://"),
        ({"database_read": "postgresql://b/x"}, "SQLite has no replicas"),
        ({"database": "postgresql://a/x", "database_read": "postgresql://me:p@ss@b/x"}, "percent-encoded"),
    ],
)
def test_what_cannot_be_a_replica_is_refused_in_a_sentence_without_its_password(configure, more, why):
    with pytest.raises(ConfigError, match=why) as refused:
        configure(**more)
    assert "p@ss" not in str(refused.value)


def test_a_replica_that_does_not_answer_is_told_of_by_each_who_is_asked(upgraded_postgres_url, digest, tmp_path):
    ours = upgraded_postgres_url.replace("+psycopg", "")
    (tmp_path / "digest.toml").write_text(
        f'database = "{ours}"\ndatabase_read = "postgresql://127.0.0.1:1/digest"\n{NEWS}'
    )
    status = digest("status", "--json")
    assert status.returncode == 0 and "pages are read from the database itself" in status.stderr, status
    told = json.loads(status.stdout)["replica"]
    assert told["database"] == "postgresql://127.0.0.1:1/digest" and "cannot be read" in told["trouble"]
    doctor = digest("doctor", "--only", "database", "--json")
    [row] = [one for one in json.loads(doctor.stdout) if one["name"] == "replica"]
    assert row["level"] == "warn" and "127.0.0.1:1" in row["seen"]


# ---------------------------------------------------------------- a real one


@pytest.mark.long
def test_a_streaming_replica_is_read_catches_up_and_is_left_when_it_is_down(configure, clock, digest, tmp_path):
    try:
        servers = postgres.replicated()
        url, _, copy_url, folder = servers.__enter__()
    except postgres.Missing as missing:
        pytest.skip(str(missing))
    with contextlib.ExitStack() as ends:
        ends.push(servers)
        ours = ends.enter_context(postgres.fresh(url, "replicated"))
        name = sa.make_url(ours).database
        theirs = sa.make_url(copy_url).set(database=name).render_as_string(hide_password=False)
        plain = {key: one.replace("+psycopg", "") for key, one in (("database", ours), ("database_read", theirs))}
        config = configure(**plain)
        database = open_database(ours)
        ends.callback(database.close)
        newsletters.keep(database, config.newsletters, now=clock())
        went_out(database, config, "ada@a.example")
        now = [1000.0]  # goes on as the test says, however long the servers take beside other work
        copy = ends.enter_context(replica.opened(database, theirs, timer=lambda: now[0]))
        assert copy is not None
        copy._patience = 60.0
        client = TestClient(application(database, config, clock=clock, replica=copy), base_url="http://localhost:8000")

        def until(holds: Callable[[], bool], times: int = 1200) -> bool:
            return any(holds() or replica.time.sleep(0.05) for _ in range(times))

        def level() -> bool:
            copy._next = 0.0
            return copy.look() == Standing(0.0)

        def at(there: Database, where: str) -> int:
            with there.engine.connect() as connection:
                return int(connection.exec_driver_sql(f"SELECT pg_wal_lsn_diff({where}, '0/0')").scalar_one())

        def of_the_copy() -> list[str]:
            found = editions(client)
            assert not copy.look().trouble, "the database itself was read"
            return found

        assert until(level)
        with pytest.raises(StorageError, match="cannot be written"), copy._copy.write() as session:
            session.execute(sa.text("UPDATE installation SET tick = 1"))

        # While it does not replay, what is new is not on public pages; a reader sees their own all the same.
        assert of_the_copy() == ["1", "2"]
        with copy._copy.engine.connect() as connection:
            connection.exec_driver_sql("SELECT pg_wal_replay_pause()")
        with database.write() as session:
            session.execute(sa.text("UPDATE edition SET state = 'held' WHERE number = 2"))
        assert of_the_copy() == ["1", "2"]
        join(database, config, "new@n.example")
        page = page_of(database, config, "new@n.example")
        assert client.get(page).status_code == 200
        now[0] += MOST_BEHIND + 1
        assert "seconds behind" in copy.look().trouble and editions(client) == ["1"]
        with copy._copy.engine.connect() as connection:
            connection.exec_driver_sql("SELECT pg_wal_replay_resume()")
        written = at(database, "pg_current_wal_flush_lsn()")
        assert until(lambda: at(copy._copy, "pg_last_wal_replay_lsn()") >= written)
        assert until(level) and of_the_copy() == ["1"]

        (tmp_path / "digest.toml").write_text(
            f'database = "{plain["database"]}"\ndatabase_read = "{plain["database_read"]}"\n{NEWS}'
        )

        def told() -> str:
            done = digest("status", "--json")
            assert done.returncode == 0, done
            return str(json.loads(done.stdout)["replica"]["trouble"])

        assert until(lambda: told() == "", 10)  # it tells of its moment, in which a server may be slow to answer

        # It is stopped in mid work: pages go on, and once it is back it is read again.
        postgres.leave_off(folder)
        assert editions(client) == ["1"] and "cannot be read" in copy.look().trouble
        assert "pages are read from the database itself" in digest("status").stderr
        postgres.follow(folder)
        assert until(level) and of_the_copy() == ["1"]
