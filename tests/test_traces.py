"""Spans: what a collector is told of a run, what it is never told, and that a dead one delays and breaks nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from test_migrate import Site, item, rss

from digest import spans
from digest.errors import UserError
from digest.observe import traces
from digest.store import open_database

TOKEN = "a token of the tests, long enough"


class Collector:
    """OTLP over HTTP as a collector takes it: protobuf in a POST to /v1/traces. `silent` ones never answer."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        self.status = 200
        self.silent = False
        self.over = Event()

    def __enter__(self) -> Collector:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answer, self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def spans(self) -> list:
        """All that came, parsed."""
        found = []
        for path, _token, body in self.requests:
            assert path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {one.key: one.value.string_value for one in resource.resource.attributes}
                assert names["service.name"] == "digest"
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found


class _Answer(BaseHTTPRequestHandler):
    def __init__(self, collector: Collector, *rest: object) -> None:
        self._collector = collector
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_POST(self) -> None:
        import gzip

        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self._collector.requests.append((self.path, self.headers.get("Authorization", ""), body))
        if self._collector.silent:
            self._collector.over.wait()
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(self._collector.status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
def home(tmp_path, digest, inbox):
    """An installation whose spans go to an address; what it is called with runs the whole line there."""

    def configure(otlp: str) -> None:
        log = f'[log]\notlp = "{otlp}"\notlp_headers = {{ Authorization = "Bearer {TOKEN}" }}\n' if otlp else ""
        (tmp_path / "digest.toml").write_text(
            'database = "digest.db"\nbase_url = "https://digest.example"\nsecret_key = "a key for tests, long enough"\n'
            f'{log}[collect]\nallow_private_addresses = true\n[smtp]\nurl = "{inbox.url}"\n'
            '[newsletters.daily]\ntitle = "Daily"\nfrom = "Daily <news@news.example>"\nmin_stories = 1\n'
        )
        (tmp_path / "digest.toml").chmod(0o600)

    def run(otlp: str, *words: str):
        configure(otlp)
        return digest(*(words or ("run",)))

    configure("")
    open_database(f"sqlite:///{tmp_path / 'digest.db'}", create=True).close()
    assert digest("subscriber", "add", "ada@example.org").returncode == 0
    return run


def test_a_run_is_a_trace_of_feeds_parsing_composing_rendering_and_smtp(home, collector, digest, inbox):
    with Site() as site:
        site.pages["/secret-path.xml"] = rss(item("Fresh news", guid="n"))
        assert home(collector.url, "feed", "add", f"{site.base}/secret-path.xml").returncode == 0
        assert not collector.requests  # who keeps no record makes no spans
        done = home(collector.url)
    assert done.returncode == 0, done.stderr
    assert len(inbox.messages) == 1
    found = collector.spans
    by_id = {span.span_id: span for span in found}
    paths = set()
    for span in found:
        path = [span.name]
        while span.parent_span_id:
            span = by_id[span.parent_span_id]
            path.insert(0, span.name)
        paths.add("/".join(path))
    assert {
        "run",
        "run/collect/feed/parse",
        "run/curate",
        "run/compose/render",
        "run/deliver/smtp",
    } <= paths
    assert len({span.trace_id for span in found}) == 1
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano > 0 for span in found)
    facts = {one.key: one.value for span in found for one in span.attributes}
    assert facts["digest.newsletter"].string_value == "daily" and facts["digest.deliver.sent"].int_value == 1
    assert collector.requests[0][1] == f"Bearer {TOKEN}"
    everything = b"".join(body for _path, _token, body in collector.requests)
    for word in (b"example.org", b"news.example", b"secret-path", b"127.0.0.1", b"Fresh news", b"token"):
        assert word not in everything, word
    assert not any("@" in one.value.string_value for span in found for one in span.attributes)


def test_what_goes_wrong_is_told_by_its_kind_alone(collector, configure):
    config = configure(log={"otlp": collector.url})
    found = traces.Traces(config.log, "run", "abc")
    with spans.heard_by(found, found.root), pytest.raises(UserError), spans.span("feed", url="https://a.example/x"):
        raise UserError("ada@example.org is no mailbox of ours")
    assert found.finish({}, exit_code=69) == ""
    feed, root = collector.spans
    assert feed.status.message == "UserError" and root.status.code == 2
    assert b"example" not in collector.requests[0][2]


def closed() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("how", ["closed", "refusing", "silent"])
def test_a_collector_that_is_dead_is_told_of_once_and_stops_nothing(how, home, collector, digest, monkeypatch):
    monkeypatch.setattr(traces, "PATIENCE", 1.2)
    collector.status, collector.silent = (400 if how == "refusing" else 200), how == "silent"
    done = home(closed() if how == "closed" else collector.url)
    assert done.returncode == 0
    assert done.stderr.count("does not have the spans of this run") == 1
    assert TOKEN not in done.stderr and "Traceback" not in done.stderr


def test_a_run_of_very_many_spans_keeps_the_first_and_says_so(collector, configure, monkeypatch):
    monkeypatch.setattr(traces, "MOST", 7)
    found = traces.Traces(configure(log={"otlp": collector.url}).log, "run", "abc")
    with spans.heard_by(found, found.root):
        for number in range(10):
            spans.begin("feed", feed=number)()
    found.finish({}, exit_code=0)
    told = collector.spans
    assert [span.name for span in told] == ["feed"] * 7 + ["run"]
    assert {one.key: one.value.int_value for one in told[-1].attributes}["digest.spans_not_kept"] == 3


def test_nothing_of_it_is_imported_where_no_collector_is_named(tmp_path):
    code = (
        "import sys\nfrom digest.cli import app\n"
        "from digest import line, spans\nfrom digest.cli import record\n"
        "with spans.span('feed', feed=1) as facts:\n    facts['bytes'] = 1\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry') or name == 'digest.observe.traces'])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("otlp", ["127.0.0.1:4318", "http://user:word@host/", "http://host/?token=x", "ftp://host"])
def test_an_address_that_is_none_is_refused_in_words(otlp, home):
    done = home(otlp, "status")
    assert done.returncode == 78 and "is no address of a collector" in done.stderr and "word" not in done.stderr


def test_without_the_library_a_sentence_says_what_to_install(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    done = home(closed())
    assert done.returncode == 78 and "[otel]" in done.stderr
