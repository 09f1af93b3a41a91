"""Real parts for the tests: a database file, a PostgreSQL where there is one, a mail server on loopback."""

from __future__ import annotations

import os
import sys
from collections import Counter

# The command line is started a hundred times: where bytecode may not be kept, each would compile everything anew, and
# each of us what is imported from here on.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# What styles come to is found out once, for all themes and languages; by itself premailer keeps the last hundred.
os.environ["PREMAILER_CACHE_MAXSIZE"] = "20000"

import gc
import importlib
import shutil
import signal
import sqlite3
import ssl
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import forked
import httpx._transports.default as httpx_transports
import hypothesis
import postgres
import pydantic._internal._fields as pydantic_fields
import pytest
import sqlalchemy as sa
import typer.main
from anyio.from_thread import start_blocking_portal
from cryptography.hazmat.primitives import serialization
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from starlette.testclient import TestClient
from typer.testing import CliRunner

from digest import collect
from digest.cli import app
from digest.cli.nouns import Nouns
from digest.config import Config, from_values
from digest.demo.catcher import Catcher
from digest.render import apart
from digest.render import inline as inlining
from digest.store import Database, newsletters, open_database, sqlite_file
from digest.store import database as store_database

MONDAY = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)

# For a test of the `database` fixture to which it is all the same how rows are kept.
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

# A shell lets what it starts in the background ignore Ctrl-C, and so would what tests start and interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What is imported while a test has set the clock of the commands would keep that clock.
list(Nouns({}).values())

# A proxy of the machine's is none of the tests'.
for _name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    os.environ.pop(_name)

# Settings hold secrets, and a command warns where everybody may read them: tests write them as they should be.
os.umask(0o077)

# Thousands of small files are written and thrown away, each commit waiting for the disk: in memory that costs a fifth.
MEMORY = "/dev/shm"
if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK):
    _about = os.statvfs(MEMORY)
    if _about.f_bavail * _about.f_frsize > 2e9 and not _about.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = tempfile.tempdir = MEMORY

# A server of our own is as slow as the machine is busy: by itself httpx would give it five seconds.
for _name in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, _name, 120.0)

# How long an example takes says how busy the machine is, and nothing about what is tested. Fifteen of them in each run
# of the suite and twenty times as many in CI's long steps, always the same: what fails there fails for who changed
# something, not for who comes by. DIGEST_EXAMPLES=5000 looks for what nobody has seen: so many, others each time.
SEARCHED = int(os.environ.get("DIGEST_EXAMPLES", "0"))
EXAMPLES = SEARCHED or (300 if os.environ.get("DIGEST_TESTS") == "long" else 15)
hypothesis.settings.register_profile(
    "digest",
    deadline=None,
    derandomize=not SEARCHED,
    max_examples=EXAMPLES,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("digest")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two more than the processors that are ours: a test waits now and then, and each worker costs a start."""
    affinity = getattr(os, "sched_getaffinity", None)
    return 2 + (len(affinity(0)) if affinity else os.cpu_count() or 1)


# What is imported and collected stays for as long as the tests run: to look through it for garbage, be it once, would
# be a good part of their time. Tests make garbage as before, and that is looked through.
gc.disable()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin with another part of the modules in each worker: so each is compiled by one of them, where none is yet."""
    mine = getattr(session.config, "workerinput", None)
    here = Path(__file__).parent
    if mine is None or [Path(name).resolve() for name in session.config.args] != [here]:
        return
    for path in sorted(here.glob("test_*.py"))[int(mine["workerid"].removeprefix("gw")) :: mine["workercount"]]:
        with suppress(Exception, pytest.skip.Exception):  # collecting will say it
            importlib.import_module(path.stem)


# What both databases have of their own is asked here of both. DIGEST_ENGINES=other asks the rest on PostgreSQL, that
# alone; DIGEST_ENGINES=all asks everything.
ON_BOTH = ("test_store", "test_line", "test_api")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only repeats on PostgreSQL what is asked on SQLite, or all but that; and what is `long`."""
    engines = os.environ.get("DIGEST_ENGINES", "")
    if engines == "all":
        return
    short = os.environ.get("DIGEST_TESTS") != "long" and engines != "other"
    # One that is asked for by its name is wanted, however long it takes.
    short = short and not any("::" in argument for argument in config.invocation_params.args)
    names = {item.nodeid for item in items}

    def twin(item: pytest.Item) -> bool:
        path, _, parameters = item.nodeid.partition("[")
        chosen = getattr(item, "callspec", None)
        on_postgres = chosen is not None and chosen.params.get("database") == "postgres"
        named = Path(path.partition("::")[0]).stem in ON_BOTH
        return on_postgres and not named and f"{path}[{parameters.replace('postgres', 'sqlite', 1)}" in names

    seen: Counter[str] = Counter()

    def dear(item: pytest.Item) -> bool:
        """Is it `long`, or one of the many cases of a `thin` test of which each so many-th is asked?"""
        thin = item.get_closest_marker("thin")
        case = item.nodeid.partition("[")[0]
        seen[case] += 1
        return item.get_closest_marker("long") is not None or (thin is not None and seen[case] % thin.args[0] != 1)

    left_out = [item for item in items if twin(item) == (engines != "other") or (short and dear(item))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(map(id, left_out))
        items[:] = [item for item in items if id(item) not in gone]


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()
    gc.set_threshold(50_000)  # as commands do


def pytest_unconfigure() -> None:
    gc.freeze()  # pytest has looked, and would once more


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes do not name a test: packed ones hold the time, and each process would have a name of its own for it."""
    return "bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """Each test opens a database of its own, and SQLAlchemy keeps what it makes of a statement by its dialect object.

    The dialect of the first database of a kind that answered serves all others of that kind.
    """
    kept: dict[str, tuple[sa.Dialect, dict[Any, Any]]] = {}
    really = store_database.create_engine

    def create_engine(url: str, **options: Any) -> sa.Engine:
        engine = really(url, **options)
        if engine.name in kept:
            engine.dialect, compiled = kept[engine.name]
            engine.update_execution_options(compiled_cache=compiled)
        else:

            @sa.event.listens_for(engine, "engine_connect")
            def _answered(_connection: sa.Connection) -> None:
                kept.setdefault(engine.name, (engine.dialect, {}))

        return engine

    with pytest.MonkeyPatch.context() as patch:
        for module in (store_database, sqlite_file):
            patch.setattr(module, "create_engine", create_engine)
        yield


@pytest.fixture(scope="session", autouse=True)
def commands_built_once() -> Iterator[None]:
    """Typer builds all commands of their signatures for each that is run, which takes longer than most of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session", autouse=True)
def parsers_forked() -> Iterator[None]:
    """Who reads feeds is a process of its own, here too, but forked from one that has imported everything, and kept.

    What is run as a process, the demo for one, starts them as `digest collect` does.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collect.workers, "multiprocessing", SimpleNamespace(get_context=lambda _kind: forked.context()))
        patch.setattr(collect.workers, "Worker", KeptWorker.another)
        yield
    for one in KeptWorker.idle:
        one.end()


class KeptWorker(collect.workers.Worker):
    """One that has nothing more to do reads for the next test: to fork it costs more than what most give it to read."""

    idle: ClassVar[list[KeptWorker]] = []
    _turn = threading.Lock()  # of the threads that start them

    @classmethod
    def another(cls, memory: int = 0) -> KeptWorker:
        kind = memory or collect.workers.MEMORY, collect.workers.serve
        with cls._turn:
            one = next((one for one in cls.idle if one._kind == kind and one._process.is_alive()), None)
            if one is not None:
                cls.idle.remove(one)
        one = one or cls(kind[0])
        one.tasks = 0
        return one

    def __init__(self, memory: int) -> None:
        super().__init__(memory)
        self._kind = memory, collect.workers.serve
        self._answered = self._leaves = False

    def ask(self, *args: Any) -> Any:
        self._answered = False
        answer = super().ask(*args)
        self._answered = not isinstance(answer, MemoryError)
        return answer

    def hang_up(self) -> None:
        self._leaves = self._answered
        if not self._leaves:
            super().hang_up()

    def kill(self) -> int | None:
        if not self._leaves:
            return super().kill()
        self._leaves = False
        self.idle.append(self)
        return None

    def end(self) -> None:
        super().hang_up()
        super().kill()


@pytest.fixture(scope="session", autouse=True)
def templates_forked() -> Iterator[None]:
    """So is who renders an operator's own templates; `test_render.py` starts one of them anew, as `digest` does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apart, "multiprocessing", SimpleNamespace(get_context=lambda _kind: forked.context()))
        yield


@pytest.fixture(scope="session", autouse=True)
def asked_in_one_loop() -> Iterator[None]:
    """By itself a client of the pages has an event loop and threads of its own for each request."""
    with start_blocking_portal() as portal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(TestClient, "portal", portal)
        yield


@pytest.fixture(scope="session", autouse=True)
def found_out_once() -> Iterator[None]:
    """What libraries find out again and again, and is the same each time.

    Pydantic for each row whether a default takes arguments, httpx for each client whom it trusts, and OpenSSL for each
    signer whether a key of ours is one: that alone takes longer than most of what is done with it.
    """
    inlining._KEPT_SHEETS = 1000
    takes, trusted = pydantic_fields.takes_validated_data_argument, httpx_transports.create_ssl_context
    kept: dict[bool, ssl.SSLContext] = {}

    def create_ssl_context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        if verify is not True or cert is not None or {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys():
            return trusted(verify, cert, trust_env)
        return kept.setdefault(trust_env, kept.get(trust_env) or trusted())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pydantic_fields, "takes_validated_data_argument", cache(takes))
        patch.setattr(httpx_transports, "create_ssl_context", create_ssl_context)
        patch.setattr(serialization, "load_pem_private_key", cache(serialization.load_pem_private_key))
        yield


class Clock:
    """Time that moves only when told to."""

    def __init__(self, now: datetime = MONDAY) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def no_hidden_crash(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What breaks inside a callback of the event loop is only logged, and a new connection may cover it up."""
    yield
    assert not [record.getMessage() for record in caplog.get_records("call") if record.name == "asyncio"]


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Config]:
    """Settings as a file in `tmp_path` would give them; keywords replace whole sections."""

    def make(**sections: Any) -> Config:
        values: dict[str, Any] = {
            "database": "digest.db",
            "base_url": "https://digest.example",
            "secret_key": "a key for tests, long enough",
            "collect": {"allow_private_addresses": True},
            "newsletters": {"daily": {"title": "Daily", "from": "Daily <news@news.example>"}},
        }
        return from_values(values | sections, tmp_path / "digest.toml", environment=False)

    return make


@pytest.fixture
def config(configure: Callable[..., Config]) -> Config:
    return configure()


@pytest.fixture(scope="session")
def lobby(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def postgres_server(lobby: Path) -> Iterator[str]:
    """The URL of a PostgreSQL of our own, without a database name; one for all workers of a run."""
    with ExitStack() as running:
        try:
            url = running.enter_context(postgres.shared(lobby / "postgres"))
        except postgres.Missing as why:
            pytest.skip(str(why))
        yield url


@pytest.fixture
def postgres_url(postgres_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database."""
    with postgres.fresh(postgres_server, request.node.nodeid) as url:
        yield url


@pytest.fixture(scope="session")
def upgraded_postgres(postgres_server: str) -> Iterator[str]:
    """The name of an upgraded database, to be copied: making the tables takes longer than most tests."""
    with postgres.fresh(postgres_server, "upgraded") as url:
        open_database(url).close()
        yield str(sa.make_url(url).database)


@pytest.fixture(scope="session")
def upgraded_sqlite(lobby: Path) -> Path:
    """The same as a file, made by the first worker that asks for it."""
    path = lobby / "upgraded" / "digest.db"
    with postgres.alone(lobby):
        if not path.exists():
            open_database(f"sqlite:///{path}", create=True).close()
    return path


@pytest.fixture
def upgraded_postgres_url(
    postgres_server: str, upgraded_postgres: str, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The URL of a database that is upgraded, and empty but for that."""
    with postgres.fresh(postgres_server, request.node.nodeid, template=upgraded_postgres) as url:
        yield url


@pytest.fixture(scope="session")
def kept_postgres(postgres_server: str, upgraded_postgres: str) -> Iterator[str]:
    """The URL of an upgraded database that tests of one process have after each other, each of them empty."""
    with postgres.fresh(postgres_server, "kept", template=upgraded_postgres) as url:
        yield url


_begun: dict[tuple[str, ...], bytes] = {}


def begun(path: Path, names: Iterable[str], *, now: datetime, upgraded: Path) -> Database:
    """An upgraded file that knows these newsletters, open; what others had the same is kept as bytes."""
    same = now.isoformat(), *names
    if same not in _begun:
        shutil.copy(upgraded, path)
        opened = open_database(f"sqlite:///{path}")
        newsletters.keep(opened, names, now=now)
        opened.close()
        _begun[same] = path.read_bytes()
    else:
        path.write_bytes(_begun[same])
    return open_database(f"sqlite:///{path}")


def _begun_by(config: Config, clock: Clock, upgraded: Path) -> Database:
    path = Path(config.database_url.removeprefix("sqlite:///"))
    return begun(path, config.newsletters, now=clock(), upgraded=upgraded)


@pytest.fixture(params=["sqlite", "postgres"])
def database(
    request: pytest.FixtureRequest, config: Config, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """An empty, upgraded database that knows the newsletter `daily`; each test runs on both kinds.

    PostgreSQL's clock, by which leases go, is whatever the test says.
    """
    monkeypatch.setattr("digest.store.database.server_ahead", lambda session, now: timedelta())
    if request.param == "postgres":
        url = request.getfixturevalue("kept_postgres")
        postgres.emptied(url)
        opened = open_database(url)
        newsletters.keep(opened, config.newsletters, now=clock())
    else:
        opened = _begun_by(config, clock, request.getfixturevalue("upgraded_sqlite"))
    yield opened
    opened.close()


@pytest.fixture
def box(config: Config, clock: Clock, upgraded_sqlite: Path) -> Iterator[Database]:
    """The same as a file only: for tests whose promise does not hang on the kind of database."""
    opened = _begun_by(config, clock, upgraded_sqlite)
    yield opened
    opened.close()


_filled: dict[tuple[str, int], sqlite3.Connection] = {}


def fill_once(database: Database, what: str, fill: Callable[[], object]) -> None:
    """Fill a database, where it is a file with what the first test of this process got that asked for `what` as it is.

    For what takes longer to fill than most tests take that look at it, and is the same for all of them.
    """
    if database.engine.name != "sqlite":
        fill()
        return
    raw = database.engine.raw_connection()
    here = cast(sqlite3.Connection, raw.driver_connection)
    same = what, hash(here.serialize())
    if same in _filled:
        _filled[same].backup(here)
    else:
        fill()
        if len(_filled) < 100:  # a megabyte each
            _filled[same] = sqlite3.connect(":memory:", check_same_thread=False)
            here.backup(_filled[same])
    raw.close()


_upgrade = store_database._upgrade


@pytest.fixture(scope="session", autouse=True)
def begun_as_copies(upgraded_sqlite: Path) -> Iterator[None]:
    """A new SQLite file begins as a copy of the upgraded one, as an installation of its own."""
    content = upgraded_sqlite.read_bytes()
    with closing(sqlite3.connect(upgraded_sqlite)) as connection:
        mine = connection.execute("SELECT id FROM installation").fetchone()[0].encode()
    one_at_a_time = threading.Lock()

    def copy(database: Database, before: Callable[[Database, str], None] | None = None) -> None:
        path = Path(database.engine.url.database or "")
        with one_at_a_time:
            if database.engine.name == "sqlite" and path.stat().st_size == 0:
                path.write_bytes(content.replace(mine, str(uuid.uuid4()).encode()))
        _upgrade(database, before)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_database, "_upgrade", copy)
        yield


@pytest.fixture(scope="module")
def really_upgraded(begun_as_copies: None) -> Iterator[None]:
    """New files are upgraded from nothing: for the tests of migrations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_database, "_upgrade", _upgrade)
        yield


@dataclass(frozen=True)
class Done:
    """What a command came to, told as `subprocess` tells it."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Run a command in an empty folder, as a shell would; in this process, which has imported everything already."""
    for name in os.environ:
        if name.startswith("DIGEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DIGEST_COLLECT__ALLOW_PRIVATE_ADDRESSES", "true")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("BROWSER", "true")
    monkeypatch.chdir(tmp_path)

    def run(*words: object, **environment: str) -> Done:
        # An exception that is no exit is a bug and ends the test.
        done = CliRunner().invoke(app, [*map(str, words)], env=environment, prog_name="digest", catch_exceptions=False)
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the clock of the commands, and of a PostgreSQL beside them."""

    def set_(moment: datetime) -> None:
        for name, module in list(sys.modules.items()):
            if name.startswith("digest.cli.") and hasattr(module, "now"):
                monkeypatch.setattr(module, "now", lambda: moment)
        monkeypatch.setattr("digest.store.database.server_ahead", lambda session, now: moment - now)

    return set_


@pytest.fixture
def inbox() -> Iterator[Catcher]:
    """A mail server on loopback: keeps what it is given, refuses what a test tells it to."""
    with Catcher() as catcher:
        yield catcher
