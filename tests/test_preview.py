"""Looking at an edition before it goes out: command, page, approval, and the page in a browser."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import signal
import socket
import stat
import threading
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from conftest import MONDAY, fill_once, on_sqlite
from forked import Command
from people import enrol
from sqlmodel import select
from starlette.testclient import TestClient

from digest import edition, render, web
from digest.cli import preview_ask, preview_mail
from digest.cli.common import moment
from digest.cli.preview import look
from digest.config import Curate as CurateSettings
from digest.config import load as load_settings
from digest.edition import full_text
from digest.errors import BadInput, ConfigError, UserError
from digest.models import Edition, EditionState, Feed, NewsletterFeed, Notice, OutboxRow
from digest.store import archive, edition_states, editions, newsletters, open_database
from digest.store.story_tables import Entry, Story
from digest.web import bench, clients
from digest.web import preview as editor

NEWS = {"title": "The Daily", "from": "The Daily <news@news.example>", "max_stories": 4}
ASKS = NEWS | {"approve": True, "editor": "Ed <ed@news.example>", "approve_hours": 2}
TITLES = ("A database index", "A query planner", "Postgres and SQL", "A TLS attack", "An LLM prompt", "A kernel")


@pytest.fixture
def config(configure):
    return configure(newsletters={"daily": NEWS})


@pytest.fixture
def filled(database, config):
    """Six entries of three feeds wait, and one subscriber."""
    fill_once(database, "six entries", lambda: fill(database, config))
    return database


def fill(database, config):
    with database.write() as session:
        paper = newsletters.find(session, "daily")
        for number, title in enumerate(TITLES):
            if number % 2 == 0:
                feed = Feed(url=f"https://f{number}.example/", title=f"Feed {number}", added_at=MONDAY, next_at=MONDAY)
                session.add(feed)
                session.flush()
                session.add(NewsletterFeed(newsletter_id=paper.id, feed_id=feed.id, added_at=MONDAY))
            session.add(
                Entry(
                    feed_id=feed.id,
                    key=title,
                    url=f"https://site.example/{number}",
                    title=title,
                    summary=f"<p>What there is to say about {title}, in a sentence that is long enough.</p>",
                    published_at=MONDAY - timedelta(hours=number + 1),
                    seen_at=MONDAY,
                )
            )
        enrol(
            session,
            "ada@example.org",
            newsletter="daily",
            how="test",
            secret=config.secret_key.get_secret_value(),
            known_topics=(),
            now=MONDAY - timedelta(days=1),
        )


def composed(database, config):
    with database.write() as session:
        edition.admit(session, "daily", config.newsletters["daily"], config.curate, now=MONDAY)
        return edition.compose(session, "daily", config, now=MONDAY)


def held(database, config):
    with database.read() as session:
        return edition.shown(session, "daily", 1)


def page(database, config, clock, tools=editor.Tools(message=preview_mail.message), **wish) -> TestClient:
    asked = editor.Wish("daily", **wish)
    application = editor.application(
        database, load=lambda: config, look=look, wish=asked, token="secret", clock=clock, tools=tools
    )
    return TestClient(application, base_url="http://127.0.0.1", follow_redirects=False)


def rows(database) -> int:
    with database.read() as session:
        return len(session.exec(select(Story)).all()) + len(session.exec(select(OutboxRow)).all())


def test_looking_shows_every_guise_and_changes_nothing(filled, config, clock):
    client = page(filled, config, clock)
    answer = client.get("/secret/")
    assert answer.status_code == 200 and "contrast, dark" in answer.text and "TLS" in answer.text
    for guise in editor.GUISES:
        mail = client.get(f"/secret/mail/{guise}")
        assert mail.status_code == 200 and "sandbox" in mail.headers["content-security-policy"]
    assert "<style" not in client.get("/secret/mail/no-style").text
    assert client.get("/secret/version").json() == client.get("/secret/version").json()
    assert rows(filled) == 0


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/wrong/", {}),
        ("/secret/", {"host": "rebound.example"}),
        ("/secret/", {"origin": "https://evil.example"}),
    ],
)
def test_nobody_else_gets_in(filled, config, clock, path, headers):
    assert page(filled, config, clock).get(path, headers=headers).status_code == 404


def test_a_browser_says_who_posts_to_us_and_nothing_to_whom_the_mail_links(filled, config, clock):
    client = page(filled, config, clock)
    # Under "no-referrer" a browser posts with `Origin: null`, and no button would work.
    assert client.get("/secret/").headers["referrer-policy"] == "same-origin"
    for strange in ({"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}):
        assert client.post("/secret/do/note", data={"note": ""}, headers=strange).status_code == 404
    assert client.post("/secret/do/note", data={"note": ""}, headers={"origin": "http://127.0.0.1"}).status_code == 303
    assert client.get("/secret/mail/desktop").headers["referrer-policy"] == "no-referrer"


def test_a_button_pins_what_was_seen_and_a_get_does_not(filled, config, clock):
    client = page(filled, config, clock)
    with filled.rehearse() as rehearsal:
        last = look(rehearsal, config, "daily", number=None, reader=None, at=MONDAY).stories[-1]
    form = {"seq": str(last.seq), "title": last.title}
    assert client.get("/secret/do/pin").status_code == 405 and rows(filled) == 0
    assert client.post("/secret/do/pin", data=form | {"title": "another"}).status_code == 409
    assert client.post("/secret/do/pin", data=form).status_code == 303
    assert look(filled, config, "daily", number=None, reader=None, at=MONDAY).stories[0].title == last.title
    assert client.post("/secret/do/note", data={"note": "A word."}).status_code == 303
    assert "A word." in client.get("/secret/mail/desktop").text


def test_a_wrong_moment_is_told_in_the_page(filled, config, clock):
    assert "is no moment" in page(filled, config, clock).get("/secret/?at=tomorrow").text


def test_an_edition_waits_for_its_editor_who_is_asked_by_mail(filled, configure, clock):
    config = configure(newsletters={"daily": ASKS})
    found = composed(filled, config)
    assert found.held and found.letters == 1
    with filled.read() as session:
        row = session.exec(select(Edition)).one()
        assert row.state is EditionState.HELD and row.open_at == MONDAY + timedelta(hours=2)
        notice = session.exec(select(Notice)).one()
        assert notice.email == "ed@news.example" and "digest edition approve 1" in notice.text
    with filled.write() as session:
        edition.approve(session, "daily", 1, now=clock())
    with filled.write() as session, pytest.raises(BadInput, match="not held"):
        edition.approve(session, "daily", 1, now=clock())


def test_a_held_edition_is_composed_anew_when_the_editor_changes_it(filled, configure, clock):
    config = configure(newsletters={"daily": ASKS})
    composed(filled, config)
    before = held(filled, config)
    client = page(filled, config, clock, number=1)
    gone, last = before.stories[0], before.stories[-1]
    assert client.post("/secret/do/drop?edition=1", data={"seq": gone.seq, "title": gone.title}).status_code == 303
    assert client.post("/secret/do/pin?edition=1", data={"seq": last.seq, "title": last.title}).status_code == 303
    assert client.post("/secret/do/note?edition=1", data={"note": "From me."}).status_code == 303
    after = held(filled, config)
    assert gone.title not in [s.title for s in after.stories] and after.stories[0].title == last.title
    assert "From me." in after.rendered.html and after.number == 1
    assert client.post("/secret/do/approve?edition=1").status_code == 303
    assert client.post("/secret/do/drop?edition=1", data={"seq": last.seq, "title": last.title}).status_code == 409
    assert last.title in held(filled, config).rendered.text


def test_dropping_all_of_a_held_edition_is_refused_and_changes_nothing(filled, configure, clock):
    config = configure(newsletters={"daily": ASKS | {"max_stories": 1}})
    composed(filled, config)
    with filled.write() as session:
        for story in session.exec(select(Story)):
            story.dropped = True
            session.add(story)
    with pytest.raises(BadInput, match="get nothing"):
        edition.annotate(filled, "daily", config, "x", number=1)


def test_preflight_stops_an_unfit_mail_or_tells_of_it(filled, configure, tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "edition.txt").write_text("no way out\n")
    broken = NEWS | {"templates": "t"}
    with pytest.raises(ConfigError, match="unsubscribe"):
        composed(filled, configure(newsletters={"daily": broken | {"preflight": "stop"}}))
    assert [f.check for f in composed(filled, configure(newsletters={"daily": broken})).findings] == ["unsubscribe"]


def test_the_links_in_the_mail_lead_to_the_frozen_page_and_what_had_no_room(filled, config, clock):
    composed(filled, config)
    with filled.read() as session:
        row = session.exec(select(Edition)).one()
        variant = editions.variants(session, row.id)[0]
        left = [found.title for found in archive.variant_in_browser(session, "daily", 1, variant.key).rest]
    assert f"https://digest.example/editions/daily/1/{variant.key}" in variant.html and len(left) == 2
    client = TestClient(web.application(filled, config, clock=clock))
    answer = client.get(f"/editions/daily/1/{variant.key}")
    assert answer.status_code == 200 and all(title in answer.text for title in left) and 'id="more"' in answer.text
    assert "digest.invalid" not in answer.text and "you subscribed" not in answer.text
    assert "Pause" in variant.html and "Pause" not in answer.text and "noindex" in answer.headers["x-robots-tag"]
    assert client.get("/editions/daily/1/0000").status_code == 404


def test_every_reason_is_told_with_its_story(filled, config):
    found = look(filled, config, "daily", number=None, reader="ada@example.org", at=MONDAY)
    assert len(found.stories) == 4 and len(found.left) == 2
    assert all(story.why for story in found.stories) and all(why for _seq, _title, why in found.left)
    assert dataclasses.asdict(found.stories[0])["seq"] > 0


def test_an_edition_that_waited_long_for_its_editor_is_not_late(filled, configure, clock):
    config = configure(newsletters={"daily": NEWS | {"approve": True, "editor": "Ed <ed@news.example>"}})
    composed(filled, config)
    now = clock.pass_(days=3)
    with filled.write() as session:
        edition.approve(session, "daily", 1, now=now)
    with filled.write() as session:
        assert edition_states.hold_late(session, now=now, max_lateness=timedelta(hours=24)) == []
        assert edition_states.hold_late(session, now=now + timedelta(days=2), max_lateness=timedelta(hours=24))


def test_an_odd_request_gets_an_answer(config, clock):
    application = editor.application(
        None, load=lambda: config, look=look, wish=editor.Wish("daily"), token="secret", clock=clock
    )
    statuses = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        statuses.append(message.get("status", 404))

    for method in ("OPTIONS", "GET", "TRACE", "get"):
        for path in ("*", "", "/", "//", "/secret", "/secret/../x", "secret", "/\udcff", "/" + "a" * 9000):
            scope = {
                "type": "http",
                "method": method,
                "path": path,
                "raw_path": b"",
                "headers": [],
                "query_string": b"",
            }
            scope |= {"http_version": "1.1", "scheme": "http", "client": None, "server": None, "root_path": ""}
            asyncio.run(application(scope, receive, send))
    assert set(statuses) == {404}


@on_sqlite
def test_a_moment_out_of_reach_is_told_in_the_page(filled, config, clock):
    made = editor.application(
        filled,
        load=lambda: config,
        look=look,
        wish=editor.Wish("daily"),
        token="secret",
        clock=clock,
        moment=moment,
    )
    client = TestClient(made, base_url="http://127.0.0.1")
    for query in ("at=9999-12-31", "at=0001-01-01", "at=2026-11-23T07:00%2B99:00", "at=%00"):
        for place in ("", "mail/desktop", "version"):
            assert client.get(f"/secret/{place}?{query}").status_code == 200
        assert re.search("out of reach|is no moment", client.get(f"/secret/?{query}").text)
    assert client.get(f"/secret/?edition={'9' * 30}").status_code == 200


def seen(database, config, reader=None):
    with database.rehearse() as rehearsal:
        return look(rehearsal, config, "daily", number=None, reader=reader, at=MONDAY)


def form_of(story, **more) -> dict[str, str]:
    return {"seq": str(story.seq), "title": story.title, **more}


def test_the_mail_comes_before_all_else_on_the_page(filled, config, clock):
    text = page(filled, config, clock).get("/secret/").text
    places = [text.index(mark) for mark in ('id="inbox"', 'class="pane desktop"', 'id="checks"', 'id="stories"')]
    assert places == sorted(places) and text.count('name="tab"') == len(editor.GUISES) + 1  # and the headers


def test_an_inbox_shows_what_its_client_would(filled, config, clock):
    shown = seen(filled, config)
    gmail, apple = bench.inbox("The Daily <news@news.example>", shown.rendered.subject, shown.rendered.html)
    assert (gmail.sender, gmail.subject) == ("The Daily", shown.rendered.subject)
    assert apple.snippet.startswith(shown.stories[1].title) and "\u200c" not in apple.snippet
    unpadded = (
        "<html><head><title>x</title></head><body><style>p{}</style><p>One</p><p>two &amp; three</p></body></html>"
    )
    assert bench.snippet(unpadded) == "Onetwo & three"
    assert bench.inbox("a@b.example", "S" * 300, "<p></p>")[0].snippet == ""


def test_a_finding_leads_to_what_it_is_about():
    mail = (
        "<html><body><p>Fine</p><a href='https://a.example/x'>here</a><img src='http://a.example/i.png'></body></html>"
    )
    found = {one.finding.check: one for one in bench.placed(render.check(render.Rendered("S", mail, "t")), mail)}
    assert found["subject"].tab == found["preheader"].tab == "inbox" and found["text part"].tab == "text"
    for check, before in (("links", "<a "), ("images", "<img ")):
        assert found[check].marked and found[check].tab == "desktop"
        pointed = bench.pointing(mail, found[check].finding)
        assert re.search(rf'{before}[^>]*outline|id="{bench.FOUND}"[^>]*></span>{before}[^>]*outline', pointed)
        assert pointed.count(f'id="{bench.FOUND}"') == 1
    assert bench.pointing(mail, render.Finding("size", "error", "too much")) == mail


def test_the_message_is_there_as_a_file_and_its_headers_to_read(filled, config, clock):
    client = page(filled, config, clock)
    file = client.get("/secret/message/eml")
    assert file.headers["content-type"] == "message/rfc822" and ".eml" in file.headers["content-disposition"]
    headers = client.get("/secret/message/headers").text
    assert (
        "List-Unsubscribe:" in headers
        and "\n " not in headers
        and f"Subject: {seen(filled, config).rendered.subject}" in headers
    )


def test_words_of_a_story_are_changed_and_given_back(filled, config, clock):
    client = page(filled, config, clock)
    lead = seen(filled, config).stories[0]
    new = form_of(lead, new_title="A better\r\n\u202etitle", excerpt="Said <b>anew</b>.")
    assert client.post("/secret/do/edit", data=new).status_code == 303
    after = seen(filled, config)
    changed = next(story for story in after.stories if story.seq == lead.seq)
    assert (changed.title, changed.excerpt, changed.edited) == ("A better title", "Said <b>anew</b>.", True)
    assert "Said &lt;b&gt;anew&lt;/b&gt;." in after.rendered.html and "A better title" in after.rendered.text
    assert client.post("/secret/do/edit", data=form_of(changed, new_title="x" * 301)).status_code == 409
    assert client.post("/secret/do/edit", data=form_of(changed, new_title="", excerpt="")).status_code == 303
    back = next(story for story in seen(filled, config).stories if story.seq == lead.seq)
    assert (back.title, back.excerpt, back.edited) == (lead.title, lead.excerpt, False)


def test_the_note_of_an_edition_is_marked_up_in_both_parts(filled, config, clock):
    client = page(filled, config, clock)
    client.post("/secret/do/note", data={"note": "All *about* [this](https://a.example/)."})
    made = seen(filled, config).rendered
    assert (
        "All <em>about</em>" in re.sub(r' style="[^"]*"', "", made.html)
        and "All about this (https://a.example/)." in made.text
    )


def test_a_test_is_sent_links_are_looked_up_and_spamd_is_asked_on_wish_only(filled, config, clock):
    asked: list[object] = []

    def note(what, answer):
        return lambda *args, **_named: (asked.append((what, args[-1])), answer)[1]

    tools = editor.Tools(
        message=lambda *_args, **_named: b"Subject: x\r\n\r\n",
        send=note("send", "250 taken <b>"),
        lookup=note("lookup", {"https://site.example/1": "answers 404"}),
        spam=note("spam", (1.5, 5.0, ("HTML_MESSAGE",))),
    )
    client = page(filled, config, clock, tools=tools)
    client.get("/secret/")
    assert not asked and client.post("/secret/do/send", data={"to": " "}).status_code == 409
    for verb, said in (
        ("send", "sent to me@example.org: 250 taken &lt;b&gt;"),
        ("lookup", "https://site.example/1 answers 404 (of "),
        ("spam", "spamd gives 1.5 points, 5 are spam: HTML_MESSAGE"),
    ):
        assert client.post(f"/secret/do/{verb}", data={"to": "me@example.org"}).status_code == 303
        assert said in client.get("/secret/").text and said not in client.get("/secret/").text
    assert [what for what, _ in asked] == ["send", "lookup", "spam"]
    links = asked[1][1]
    assert links and all(link.startswith("https://site.example/") for link in links)
    assert page(filled, config, clock, tools=editor.Tools()).post("/secret/do/spam").status_code == 404


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; -0.2 / 5.0\r\n\r\nA_RULE,B_RULE\r\n", (-0.2, 5.0, ("A_RULE", "B_RULE"))),
        (b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 7 / 5.0\r\n\r\n", (7.0, 5.0, ())),
        (b"nonsense", None),
        (b"", None),
    ],
)
def test_spamd_is_asked_in_its_own_words(answer, found):
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                while piece := connection.recv(65536):
                    heard.append(piece)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        at = listener.getsockname()
        if found is None:
            with pytest.raises(UserError):
                preview_ask.spam(b"Subject: x\r\n\r\ny", at=at)
        else:
            assert preview_ask.spam(b"Subject: x\r\n\r\ny", at=at) == found
        thread.join()
    assert b"".join(heard).startswith(b"SYMBOLS SPAMC/1.5\r\nContent-length: 15\r\n\r\nSubject: x")
    assert preview_ask.spam(b"", at=at) is None


def test_what_clients_drop_is_told_with_the_day_it_was_written_down():
    html = "<style>@media (prefers-color-scheme: dark) { a { color: red } }</style><p style='x' ></p>"
    html += '<p style="max-width:3px;border-radius:2px">max-height: word-break</p>'
    found = {one.name: one for one in clients.lost(html)}
    assert {"max-width", "border-radius", "@media"} <= found.keys() and "word-break" not in found
    assert all(one.no or one.partly for one in found.values()) and date.fromisoformat(clients.AS_OF)
    assert clients.lost("<p>plain</p>") == []


def test_an_edition_is_seen_beside_the_one_before(filled, config, clock):
    composed(filled, config)
    client = page(filled, config, clock)
    assert "Beside No." not in client.get("/secret/?edition=1").text
    one = held(filled, config)
    twice = bench.compared(one, one)
    assert twice.number == 1 and len(twice.again) == len(one.stories)
    assert ("stories", "4", "4") in twice.rows


def test_why_names_the_words_that_counted(filled, config, clock):
    shown = seen(filled, config)
    told = next(story for story in shown.stories if story.words)
    text = page(filled, config, clock).get("/secret/").text
    assert all(f"<span>{word} <i>" in text for word, _weight in told.words) and story_parts(shown)


def story_parts(shown) -> bool:
    return all(story.parts for story in shown.stories)


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/fine" else 404)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


def test_links_are_looked_up_as_feeds_are_asked(config, configure):
    with HTTPServer(("127.0.0.1", 0), Answers) as server, socket.create_server(("127.0.0.1", 0)) as closed:
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        closed.close()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        home = f"http://127.0.0.1:{server.server_port}"
        wrong = preview_ask.lookup(config, [f"{home}/fine", f"{home}/gone", gone])
        private = configure(collect={"allow_private_addresses": False})
        kept_out = preview_ask.lookup(private, [f"{home}/fine"])
        server.shutdown()
        thread.join()
    assert list(wrong) == [f"{home}/gone", gone] and "404" in wrong[f"{home}/gone"]
    assert list(kept_out) == [f"{home}/fine"]


@pytest.fixture
def opened(digest, monkeypatch, tmp_path):
    """What a browser was started with."""
    (tmp_path / "digest.toml").write_text(
        'secret_key = "sixteen characters at least"\nbase_url = "https://digest.example"\n[newsletters.daily]\n'
        'title = "Daily"\nfrom = "Daily <news@news.example>"\n'
    )
    assert digest("init").returncode == 0
    calls = []
    monkeypatch.setattr("webbrowser.open", lambda url: calls.append(url) or True)
    return calls


def test_no_browser_opens_in_a_pipe_unless_it_is_asked_for(opened, digest):
    assert digest("preview", "--mail", "confirm").returncode == 0 and not opened
    assert digest("preview", "--mail", "confirm", "--json").returncode == 0 and not opened
    assert digest("preview", "--mail", "confirm", "--open").returncode == 0 and len(opened) == 1


@pytest.mark.parametrize(
    "words", [(), ("--text",), ("--eml",), ("--out", "m.html"), ("--check",), ("--text", "--out", "m")]
)
def test_json_is_json_whatever_stands_beside_it(opened, digest, tmp_path, words):
    done = digest("preview", "--mail", "confirm", "--json", *words)
    said = json.loads(done.stdout)
    assert done.returncode == 0 and not opened
    if words != ("--check",):
        assert said["newsletter"] == "daily" and ("eml" in said) == ("--eml" in words)
        assert ("path" in said) == ("--out" in words) and all(
            (tmp_path / said[key]).exists() for key in said if key == "path"
        )


def test_the_page_is_told_as_json_too(opened, digest, monkeypatch):
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    said = json.loads(digest("preview", "--serve", "--json", "--port", 0).stdout)
    assert said["newsletter"] == "daily" and said["url"].startswith("http://127.0.0.1:") and not opened


def test_what_an_editor_wrote_outlives_the_page_of_its_stub():
    settings = CurateSettings()
    story = Story(newsletter_id=1, seq=1, entry_id=1, topic="other", url="u", title="t", source="s", excerpt="Mine.")
    story.reasons = {"edited": {"excerpt": "Theirs."}, "rank": {}}
    full_text._change(story, full_text.Change(1, 1, "The page's own words.", 3), settings)
    assert (story.excerpt, story.reading_minutes) == ("Mine.", 3)
    assert story.reasons["edited"] == {"excerpt": "The page's own words."}  # and is what they get who take it away


def test_what_a_machine_wrote_of_a_stub_is_no_label_for_the_words_of_its_page():
    settings = CurateSettings()
    story = Story(newsletter_id=1, seq=1, entry_id=1, topic="other", url="u", title="t", source="s", excerpt="Its.")
    story.reasons = {"summary": {"how": "machine", "why": "a machine wrote it", "mark": "m"}, "rank": {}}
    full_text._change(story, full_text.Change(1, 1, "The page's own words.", 3), settings)
    assert story.excerpt == "The page's own words." and "summary" not in story.reasons


def test_the_token_stands_in_no_process_list(tmp_path):
    """The browser is started with a file that leads to the page, and that nobody else can read."""
    (tmp_path / "browser").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "browser").chmod(0o700)
    settings = tmp_path / "digest.toml"
    settings.write_text(
        'secret_key = "0123456789abcdef"\n[newsletters.daily]\ntitle = "Daily"\nfrom = "news@news.example"\n'
    )
    settings.chmod(0o600)
    found = load_settings(settings)
    open_database(found.database_url, create=True).close()
    environment = os.environ | {"BROWSER": str(tmp_path / "browser")}
    words = ("-c", settings, "preview", "--serve", "--port", 0, "--open")
    with Command(*words, cwd=tmp_path, env=environment) as run:
        try:
            url = run.stdout.readline().strip()
            token = url.split("/")[3]
            argv = run.stdout.readline().strip()  # the browser says what it was started with
            assert token and token not in argv and token not in Path(f"/proc/{run.pid}/cmdline").read_text()
            file = Path(argv.split("file://")[1])
            assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
            assert re.findall(r"https?://[^\"\s]*", file.read_text())[0] == url
        finally:
            run.send_signal(signal.SIGINT)
    assert not file.exists()
