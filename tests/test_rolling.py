"""An upgrade under load: workers of two releases beside each other on one database, and nothing lost or doubled."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import alembic.command
import pytest
import sqlalchemy as sa
from mailserver import MailServer, Taken

from digest.store import open_database
from digest.store.database import alembic_settings, head

ROOT = Path(__file__).parent.parent
# Ten seconds are left: each five a worker looks of which release the tables are.
LETTERS, BEFORE, PER_SECOND = 700, 70, 60
LATER = '''"""What the release after this one adds."""

import sqlalchemy as sa
from alembic import op

revision = "{later}"
down_revision = "{now}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("later", sa.String(), nullable=False, server_default=""))
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
'''


@pytest.fixture
def bench() -> dict[str, Any]:
    """What the benchmark lays out, starts and judges."""
    found = runpy.run_path(str(ROOT / "benchmarks" / "scale.py"))
    found["owe"].__globals__["SIZE"] = 800  # bytes of a letter
    return found


@pytest.fixture
def after(tmp_path: Path) -> Path:
    """A folder with the release after this one: the same, but for a column and a table more."""
    there, later = tmp_path / "after", f"{int(head()) + 1:04}"
    shutil.copytree(ROOT / "digest", there / "digest", ignore=shutil.ignore_patterns("__pycache__"))
    migration = there / "digest" / "migrations" / "versions" / f"{later}_later.py"
    migration.write_text(LATER.format(later=later, now=head()))
    return there


class Came:
    """The letters that came, as the benchmark counts them."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    def taken(self) -> list[tuple[float, str]]:
        return [(0.0, to) for to in self._server.recipients]


@pytest.fixture
def goes_on() -> Iterator[threading.Event]:
    found = threading.Event()
    yield found
    found.set()


@pytest.fixture
def server(goes_on: threading.Event) -> Iterator[MailServer]:
    """It answers some letters, and the next ones once it is told to: whatever the machine has to do meanwhile."""

    def answer(_: Taken) -> str:
        if len(started.recipients) >= BEFORE:
            goes_on.wait(300)
        return "250 2.0.0 Ok: queued"

    with MailServer(on_body=answer) as started:
        yield started


def until(there: Any) -> None:
    for _ in range(2400):
        if there():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


@pytest.mark.long
def test_letters_go_on_while_the_tables_are_upgraded_and_old_workers_end_with_a_sentence(
    postgres_url: str,
    bench: dict[str, Any],
    after: Path,
    server: MailServer,
    goes_on: threading.Event,
    tmp_path: Path,
) -> None:
    config = bench["settings"](tmp_path, postgres_url, server.port, per_second=PER_SECOND)
    emails = bench["owe"](postgres_url, config, LETTERS)
    with ExitStack() as ends:
        old = [bench["begin"](config, "--queues", "deliver", log="old.log") for _ in range(2)]
        for process in old:
            ends.callback(process.kill)
        until(lambda: len(server.recipients) >= BEFORE)
        command = [sys.executable, "-m", "digest", "-c", str(config), "db", "upgrade", "--no-backup"]
        subprocess.run(command, cwd=after, check=True, capture_output=True)
        assert len(server.recipients) < LETTERS  # letters are on their way
        goes_on.set()
        new = bench["begin"](config, "--queues", "deliver", release=after, log="new.log")
        ends.callback(new.kill)
        assert [process.wait(60) for process in old] == [74, 74]
        until(lambda: len(server.recipients) >= LETTERS)
        new.terminate()
        assert new.wait(60) == 0
    said = (tmp_path / "old.log").read_text()
    assert said.count(f"newer digest (revision {int(head()) + 1:04}, this release knows {head()})") == 2
    assert "Traceback" not in said + (tmp_path / "new.log").read_text()
    found = bench["verdict"](postgres_url, Came(server), emails)
    assert found == dict.fromkeys(("missing", "unexpected", "duplicates", "unflagged", "not_settled_as_sent"), 0)


@pytest.mark.long
def test_an_upgrade_and_who_sends_meanwhile_do_not_wait_for_each_other(postgres_url):
    """A statement takes its tables one by one, and holds those it has while it waits for one that is rewritten."""
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        alembic.command.upgrade(alembic_settings(connection), "0038")

    def waits() -> int:
        with engine.connect() as connection:
            here = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'outbox'::regclass"
            return int(connection.exec_driver_sql(here).scalar() or 0)

    def ask() -> None:
        with engine.connect() as connection:
            owed = "SELECT 1 FROM outbox WHERE edition_id = edition.id"
            connection.exec_driver_sql(f"SELECT id FROM edition WHERE EXISTS ({owed})").all()

    with ThreadPoolExecutor() as threads, engine.connect() as reader:
        reader.exec_driver_sql("SELECT id FROM outbox").all()
        upgrade = threads.submit(lambda: open_database(postgres_url).close())
        until(waits)
        sender = threads.submit(ask)
        until(lambda: waits() > 1 or sender.done())
        reader.rollback()
        sender.result(60)
        upgrade.result(60)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == head()
    engine.dispose()
