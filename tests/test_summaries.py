"""Summaries by a machine: asked within bounds, believed where the text says so, and never at the cost of an edition."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import on_sqlite
from pydantic import ValidationError
from test_admit import NOW, Desk

from digest import edition, line, summaries
from digest.cli.checks import Scene
from digest.cli.doctor import summarizer_check
from digest.cli.preview import look
from digest.collect import summaries as machine
from digest.collect.summaries import Spending
from digest.config import Config
from digest.store import Database
from digest.store import summaries as stored
from digest.told import Summaries

TEXT = (
    "The council of Elmstead decided on Tuesday to build a bridge over the River Alder. Ada Lovelace, who leads the "
    "council, said that it costs 1,500 pounds a day. The old bridge is said to be tired and should rest for a while. "
    "Nobody in the town could tell how many buses cross it in a week, for nobody had ever counted them so far. "
    "A man with a dog said that he will miss the old bridge, since he proposed there to the woman who is now his wife. "
    "The council meets again next week to talk of paint, which is said to be what councils like to talk about most."
)
TRUE = "Elmstead wants to build a bridge over the River Alder. Ada Lovelace said that it costs 1,500 pounds a day."
LIE = "Elmstead wants to build a bridge over the River Thames. Ada Lovelace said that it costs 1,500 pounds a day."


class Service:
    """An OpenAI-compatible service on loopback, which answers as it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.reply: Callable[[BaseHTTPRequestHandler], None] | bytes = said(TRUE)
        self.status, self.headers = 200, {}
        self.hold = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.asked.append((self.path, dict(self.headers.items()), body))
                if callable(service.reply):
                    service.reply(self)
                    return
                self.send_response(service.status)
                for name, value in service.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(service.reply)

            do_GET = do_POST

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()


def said(text: object, **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}], **more}).encode()


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()
    yield found
    found.close()


def config(service: Service | None = None, summarizer: str = "openai", **terms: Any) -> Config:
    there = {"url": service.url, "model": "tiny", "key": "not-for-others"} if service else {}
    return Config.model_validate(
        {
            "secret_key": "0123456789abcdef",
            "collect": {"allow_private_addresses": True},
            "curate": {"summarizer": summarizer, "settle_minutes": 0},
            "summarizer": there | terms,
            "newsletters": {"daily": {"title": "Daily", "from": "news@example.org"}},
        }
    )


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def gazette(desk: Desk, settings: Config, *titles: str) -> None:
    """Stories whose texts are long enough."""
    feed = desk.old_feed("Gazette")
    for title in titles or ("News from the river",):
        desk.entry(feed, title, summary=f"<p>{TEXT} {title}.</p>", language="en")
    line.admit(desk.database, settings, "daily", now=NOW)


def written(desk: Desk, settings: Config) -> Any:
    told: list[Any] = []
    summaries.write(desk.database, settings, "daily", clock=lambda: NOW, tell=told.append)
    return next((one.report for one in told if isinstance(one, Summaries)), None)


def why(desk: Desk) -> str:
    with desk.database.read() as session:
        return str(edition.explain(session, desk.stories()[-1])["excerpt_why"])


def shown(desk: Desk, settings: Config) -> Any:
    with desk.database.read() as session:
        found = edition.preview(session, "daily", settings, now=NOW)
    assert found is not None
    return found.rendered


@on_sqlite
def test_a_summary_is_asked_for_once_shown_as_a_machines_and_let_go_of(desk: Desk, service: Service) -> None:
    settings = config(service)
    gazette(desk, settings)
    before = desk.stories()[-1]
    report = written(desk, settings)
    assert (report.asked, report.taken, report.dropped, report.failed) == (1, 1, 0, 0)
    story = desk.stories()[-1]
    assert story.excerpt == TRUE and story.rank == before.rank
    assert why(desk) == "a machine wrote it (tiny, 2026-03-02 08:00 UTC) of the text alone"
    path, headers, body = service.asked[0]
    assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer not-for-others"
    assert body["model"] == "tiny" and "Ada Lovelace" in body["messages"][1]["content"]
    mail = shown(desk, settings)
    assert "(Summary by a machine)" in mail.html and "(Summary by a machine)" in mail.text
    assert written(desk, settings) is None and len(service.asked) == 1
    with desk.database.write() as session:
        assert stored.prune(session, now=NOW + timedelta(days=9), days=0, limit=9) == 0
        assert stored.prune(session, now=NOW + timedelta(days=9), days=7, limit=9) == 1


@pytest.mark.thin(3)
@on_sqlite
@pytest.mark.parametrize(
    ("reply", "status", "headers", "reason"),
    [
        (said(LIE), 200, {}, "dropped: it says 'Thames', which the text does not"),
        (said("Visit https://evil.example/ now."), 200, {}, "dropped: it names an address"),
        (said("x" * 5_000), 200, {}, "dropped: it is longer than 2,000 characters"),
        (said(None), 200, {}, "dropped: it says nothing"),
        (said("y" * 300_000), 200, {}, "answers with more than 200,000 bytes"),
        (b"<html>Hello</html>", 200, {}, "in another form than chat completions have"),
        (b"[" * 100_000, 200, {}, "in another form"),
        (b'{"choices": []}', 200, {}, "in another form"),
        (b"7", 200, {}, "in another form"),
        (b"{}", 500, {}, "answers 500"),
        (b"{}", 307, {"Location": "/elsewhere"}, "answers 307, and is not followed"),
    ],
)
def test_what_is_wrong_with_an_answer_is_told_and_the_excerpt_stays(
    desk: Desk, service: Service, reply: bytes, status: int, headers: dict[str, str], reason: str
) -> None:
    service.reply, service.status, service.headers = reply, status, headers
    settings = config(service)
    gazette(desk, settings)
    before = desk.stories()[-1]
    report = written(desk, settings)
    story = desk.stories()[-1]
    assert (story.excerpt, story.rank) == (before.excerpt, before.rank) and report.taken == 0
    assert reason in (report.trouble or why(desk)) and "not-for-others" not in report.trouble
    assert len(service.asked) == 1  # nobody is followed
    written(desk, settings)
    assert len(service.asked) == (1 if "dropped" in reason else 2)  # what failed is asked again, what lied is not


@on_sqlite
@pytest.mark.parametrize("slow", ["silent", "dripping"])
def test_a_slow_one_costs_a_run_its_seconds_and_no_more(desk: Desk, service: Service, slow: str) -> None:
    def wait(handler: BaseHTTPRequestHandler) -> None:
        if slow == "dripping":
            handler.wfile.write(b"HTTP/1.0 200 OK\r\n")
            while not service.hold.wait(0.02):
                try:
                    handler.wfile.write(b"X: y\r\n")
                except OSError:
                    return
        service.hold.wait()

    service.reply = wait
    settings = config(service, request_seconds=0.2, seconds=30)
    gazette(desk, settings, "One of them", "Two of these", "Three of those")
    report = written(desk, settings)
    assert (report.asked, report.failed, report.taken) == (2, 2, 0)  # two in a row are enough
    assert report.trouble == "the summarizer does not answer within 0.2 seconds"


@on_sqlite
def test_time_requests_tokens_and_money_are_bounded_and_a_service_that_lies_of_them_is_not_believed(
    desk: Desk, service: Service
) -> None:
    service.reply = said(TRUE, usage={"prompt_tokens": -5, "completion_tokens": "none"})
    settings = config(service)
    gazette(desk, settings, "One of them", "Two of these", "Three of those")
    for terms in ({"per_run": 0}, {"seconds": 0}):
        assert written(desk, config(service, **terms)) is None
    for terms in ({"tokens_per_run": 100}, {"input_price": 1000.0, "cost_per_run": 0.001}):
        report = written(desk, config(service, **terms))
        assert report.asked == 0 and report.trouble == "the bounds of a run are reached"
    assert written(desk, config(service, per_run=1)).asked == 1
    report = written(desk, config(service, tokens_per_run=900, output_price=1.0))
    assert report.asked == 1 and 350 < report.tokens < 900 and report.cost > 0
    service.reply = said(TRUE, usage={"prompt_tokens": 900_000, "completion_tokens": 900_000})
    report = written(desk, settings)
    assert report.tokens == 1_800_000


@on_sqlite
def test_a_function_of_ones_own_may_write_and_may_fail(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "my_machine.py").write_text(
        "import threading\n"
        "def good(title, text, language):\n"
        f"    assert 'Ada' in text and title and language == 'en'\n    return {TRUE!r}\n"
        "def bad(*_said):\n    raise RuntimeError('no more paper')\n"
        "def hangs(*_said):\n    threading.Event().wait(5)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings = config(summarizer="my_machine:good")
    gazette(desk, settings)
    for name, trouble in (
        ("my_machine:bad", "the summarizer failed: RuntimeError: no more paper"),
        ("my_machine:hangs", "the summarizer does not answer within 0.1 seconds"),
        ("my_machine:none", "curate.summarizer 'my_machine:none' cannot be loaded"),
        ("nowhere:none", "curate.summarizer 'nowhere:none' cannot be loaded"),
    ):
        report = written(desk, config(summarizer=name, request_seconds=0.1))
        assert report.taken == 0 and report.trouble.startswith(trouble)
    assert written(desk, settings).taken == 1
    assert desk.stories()[-1].excerpt == TRUE and "my_machine:good" in why(desk)


@on_sqlite
def test_nothing_is_asked_for_what_an_edition_had_or_an_editor_wrote(desk: Desk, service: Service) -> None:
    settings = config(service)
    gazette(desk, settings)
    story_id = desk.stories()[-1].id
    assert story_id is not None
    with desk.database.write() as session:
        edition.reword(session, "daily", story_id, edition.Rewording(excerpt="What the editor says of it."))
    assert written(desk, settings) is None and service.asked == []
    assert why(desk) == "an editor wrote it"
    with desk.database.write() as session:
        edition.reword(session, "daily", story_id, edition.Rewording(excerpt=""))
    assert written(desk, settings).taken == 1
    with desk.database.write() as session:
        edition.reword(session, "daily", story_id, edition.Rewording(excerpt="What the editor says of it."))
    assert "Summary by a machine" not in shown(desk, settings).html


@on_sqlite
def test_a_run_asks_before_it_composes_where_the_settings_want_it(desk: Desk, service: Service) -> None:
    settings = config(service)
    gazette(desk, settings)
    line.to_letters(desk.database, settings, "daily", clock=lambda: NOW, due=False)
    assert len(service.asked) == 1 and desk.stories()[-1].excerpt == TRUE


@on_sqlite
def test_a_preview_shows_what_is_known_by_now_and_asks_nobody(desk: Desk, service: Service) -> None:
    settings = config(service)
    gazette(desk, settings)
    wanted = edition.wanting_summaries(desk.database, "daily", settings, now=NOW)
    machine.ask_for(desk.database, settings, wanted, clock=lambda: NOW, left=Spending.of(settings))
    assert desk.stories()[-1].excerpt != TRUE and len(service.asked) == 1
    shown = look(desk.database, settings, "daily", number=None, reader=None, at=NOW)
    assert "(Summary by a machine)" in shown.rendered.text and desk.stories()[-1].excerpt != TRUE
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"curate": {"summarizer": "openai"}}, "lacks url or model"),
        ({"curate": {"summarizer": "clever"}}, "must be 'openai' or"),
        ({"summarizer": {"url": "http://api.example.com/v1", "key": "x1234567"}}, "over http"),
        ({"summarizer": {"url": "https://user@api.example.com/v1"}}, "no user"),
        ({"summarizer": {"url": "ftp://api.example.com/v1"}}, "http(s) address"),
        ({"summarizer": {"key": "x1234567", "key_file": "/x"}}, "one of them is enough"),
    ],
)
def test_settings_that_cannot_work_or_would_tell_the_key_are_refused(values: dict[str, Any], words: str) -> None:
    common = {"secret_key": "0123456789abcdef", "newsletters": {"daily": {"title": "Daily", "from": "a@example.org"}}}
    with pytest.raises((ValidationError, ValueError)) as caught:
        Config.model_validate(common | values)
    assert words in str(caught.value)


def test_the_key_may_stand_in_a_file(service: Service, tmp_path: Any) -> None:
    (tmp_path / "key").write_text("of-a-file\n")
    settings = config(service, key=None, key_file=tmp_path / "key")
    service.reply = said("The council of Elmstead decided to build a bridge over the River Alder.")
    assert machine.tried(settings, seconds=5) == ""
    assert service.asked[0][1]["Authorization"] == "Bearer of-a-file"
    service.reply = said(LIE)
    assert "which the text does not" in machine.tried(settings, seconds=5)


def test_the_doctor_asks_once_and_nothing_of_it_is_worse_than_a_warning(service: Service) -> None:
    def row(settings: Config) -> tuple[str, str]:
        [found] = summarizer_check(Scene(Path("digest.toml"), settings, None, NOW))
        return found.level.value, found.seen

    service.reply = said("The council of Elmstead decided to build a bridge over the River Alder.")
    assert row(config(service)) == ("ok", f"{service.url}, tiny wrote a summary that can be shown")
    service.reply = said(LIE)
    level, seen = row(config(service))
    assert level == "warn" and "what it wrote of a text of ours is not shown" in seen
    service.status = 401
    assert row(config(service)) == ("warn", f"is not to be had: {service.url}, tiny answers 401")
    assert len(service.asked) == 3
    assert row(config(summarizer="nowhere:none"))[0] == "warn"
