"""Figures for Prometheus: which there are, that they are true, and who may have them."""

from __future__ import annotations

import re
import socket
import sys
from contextlib import ExitStack
from datetime import timedelta
from urllib.request import urlopen

import pytest
from mailing import owe
from prometheus_client.parser import text_string_to_metric_families
from sqlmodel import select
from starlette.testclient import TestClient

from digest.errors import StorageError, UserError
from digest.models import Edition, EditionState, Feed, OutboxRow, OutboxState
from digest.observe import metrics
from digest.store import runs
from digest.store.replica import Standing
from digest.web import application

serving = sys.modules["digest.cli.serve"]
TOKEN = "a-token-of-the-tests"


def read(text):
    """Value by name and labels."""
    families = text_string_to_metric_families(text)
    return {(one.name, *sorted(one.labels.values())): one.value for family in families for one in family.samples}


def told(database, config, clock):
    return read(metrics.exposition(database, config, clock=clock).decode())


def test_figures_are_what_is_stored_and_name_nobody(database, config, clock):
    owe(database, config, "ada@example.org", "bob@example.org", "cyd@example.org")
    with database.write() as session:
        for url, failures in (("a", 0), ("b", 99)):
            feed = Feed(url=f"https://{url}.example/", added_at=clock(), next_at=clock(), failures=failures)
            session.add(feed)
        first = session.exec(select(OutboxRow).order_by(OutboxRow.id).limit(1)).one()
        first.state, first.settled_at = OutboxState.SENT, clock()
        session.add(first)
        runs.begin(session, name="a", command="run", process="", now=clock())
        runs.end(session, "a", runs.Deed(75, letters={"sent": 1, "deferred": 4}), now=clock.pass_(seconds=30))
        runs.begin(session, name="b", command="run", process="", now=clock())
    ended = clock().timestamp()
    clock.pass_(minutes=5)
    found = told(database, config, clock)
    assert found["digest_feeds", "new"] == 1 and found["digest_feeds", "failing"] == 1
    assert found["digest_feeds", "ok"] == 0  # what there is none of is 0, not missing
    assert found["digest_subscribers", "active", "daily"] == 3 and found["digest_subscribers", "daily", "paused"] == 0
    assert found["digest_letters", "owed"] == 2 and found["digest_letters", "sent"] == 1
    totals = [found[f"digest_letters_{name}_total",] for name in ("sent", "refused", "deferred")]
    assert totals == [1, 0, 4]
    assert found["digest_queue_age_seconds",] == 330 and found["digest_database_size_bytes",] > 10_000
    assert found["digest_last_run_timestamp_seconds",] == ended
    assert found["digest_last_run_duration_seconds",] == 30 and found["digest_last_run_exit_code",] == 75
    assert found["digest_stories_waiting", "daily"] >= 0
    text = metrics.exposition(database, config, clock=clock).decode()
    assert "@" not in text and "example.org" not in text and "http" not in text
    assert text.isascii() and all(re.match(r"digest_[a-z_]+[ {]", one) for one in text.splitlines() if one[0] != "#")


def test_a_letter_that_waits_for_a_person_makes_the_queue_no_older(box, config, clock):
    owe(box, config, "ada@example.org")
    clock.pass_(hours=1)
    assert told(box, config, clock)["digest_queue_age_seconds",] == 3600
    with box.write() as session:
        edition = session.exec(select(Edition)).one()
        edition.state = EditionState.PAUSED
        session.add(edition)
    assert told(box, config, clock)["digest_queue_age_seconds",] == 0


def test_an_installation_that_never_ran_has_no_last_run(box, config, clock):
    found = told(box, config, clock)
    assert ("digest_last_run_exit_code",) not in found and found["digest_letters_sent_total",] == 0


def test_how_a_replica_stands_is_told_where_there_is_one(box, config, clock):
    def found(standing):
        return read(metrics.exposition(box, config, clock=clock, copy=lambda: standing).decode())

    late = found(Standing(70.0, "is 70 seconds behind"))
    assert (late["digest_replica_read",], late["digest_replica_lag_seconds",]) == (0, 70)
    unknown = found(Standing())
    assert unknown["digest_replica_read",] == 1 and ("digest_replica_lag_seconds",) not in unknown
    assert not any("replica" in name for name, *_ in told(box, config, clock))


def test_a_database_that_cannot_be_read_is_told_as_a_figure(box, config, clock, monkeypatch):
    def gone(*_given, **_named):
        raise StorageError("it is gone")

    assert told(box, config, clock)["digest_up",] == 1
    monkeypatch.setattr(metrics, "figures", gone)
    assert {name for name, *_ in told(box, config, clock)} == {"digest_up"}


def test_a_textfile_is_replaced_in_one_step_and_can_be_read_by_others(digest, tmp_path):
    digest("init")
    folder = tmp_path / "collector"
    folder.mkdir()
    file = folder / "digest.prom"
    file.write_text("old")
    with file.open() as reading:
        assert digest("metrics", "--textfile", file).returncode == 0
        assert reading.read() == "old"
    assert list(folder.iterdir()) == [file] and file.stat().st_mode & 0o777 == 0o644
    assert read(file.read_text()).keys() == read(digest("metrics").stdout).keys()
    assert "end in .prom" in digest("metrics", "--textfile", folder / "x.txt").stderr
    done = digest("metrics", "--textfile", tmp_path / "none" / "x.prom")
    assert done.returncode == 74 and "cannot write" in done.stderr


def test_without_the_library_it_is_said_which_to_install(digest, monkeypatch):
    digest("init")
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    done = digest("metrics")
    assert done.returncode == 78 and "digest-newsletter[metrics]" in done.stderr


def test_the_page_is_for_who_shows_the_token(box, configure, clock):
    client = TestClient(application(box, configure(web={"metrics_token": TOKEN}), clock=clock))
    for headers in (
        {}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}, {"Authorization": "Bearer "},
        {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer ä".encode("latin-1")},
    ):  # fmt: skip
        refused = client.get(f"/metrics?token={TOKEN}", headers=headers)
        assert refused.status_code == 401 and "digest_feeds" not in refused.text
    answer = client.get("/metrics", headers={"Authorization": f"bearer {TOKEN}"})
    assert answer.status_code == 200 and answer.headers["content-type"] == metrics.CONTENT_TYPE
    assert read(answer.text)["digest_letters_sent_total",] == 0


def test_without_a_token_in_the_settings_there_is_no_page(box, config, clock):
    client = TestClient(application(box, config, clock=clock))
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize("token", ["short", "with spaces in it, long", "ünïcödé-and-long-enough"])
def test_a_token_that_no_header_could_hold_is_refused(configure, token):
    with pytest.raises(Exception, match="metrics_token"):
        configure(web={"metrics_token": token})


def test_a_port_of_loopback_has_the_same_and_a_taken_one_is_said(box, configure):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = configure(web={"metrics_port": taken.getsockname()[1]})
        with pytest.raises(UserError, match="it is taken"), ExitStack() as stack:
            stack.enter_context(serving._metrics(config, box, None))
    with serving._metrics(config, box, None), urlopen(f"http://127.0.0.1:{config.web.metrics_port}/metrics") as answer:
        assert "digest_letters_sent_total" in answer.read().decode()


def test_totals_are_counted_through_passes_and_never_fall(box, clock):
    with box.write() as session:
        runs.tally(session, {"sent": 2, "refused": -1, "other": 7})
        runs.tally(session, {"sent": 3})
        runs.forget(session, keep=timedelta(0), now=clock())
    with box.read() as session:
        assert runs.totals(session) == {"sent": 5, "refused": 0, "deferred": 0}
