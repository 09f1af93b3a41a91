"""What strangers write costs them, and nobody else: entries set aside, stories left out, and no text under a lock."""

from __future__ import annotations

import io
import re
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any

import pytest
from conftest import MONDAY, Clock, on_sqlite
from people import enrol
from sqlmodel import select
from starlette.testclient import TestClient

from digest import edition, parse, sign, subscribe, web
from digest.config import Config
from digest.errors import BadInput
from digest.models import Feed, NewsletterFeed, Subscription
from digest.parse import gist, text
from digest.store import Database, feed_entries, newsletters
from digest.store.story_tables import Admission, Entry, Story
from digest.subscribe import columns, sheet

NEWS = {"title": "Daily", "from": "Daily <news@news.example>", "postal_address": "1 Example Street"}


def add(database: Database, *titles: str, feed: str = "Ada", **values: Any) -> None:
    """Entries of a feed, as an older release stored them: without their gists."""
    with database.write() as session:
        paper = newsletters.find(session, "daily")
        url = f"https://{feed.lower()}.example/feed"
        row = session.exec(select(Feed).where(Feed.url == url)).first()
        if row is None:
            row = Feed(url=url, title=feed, added_at=MONDAY, next_at=MONDAY)
            session.add(row)
            session.flush()
            session.add(NewsletterFeed(newsletter_id=paper.id, feed_id=row.id, added_at=MONDAY))
        for title in titles:
            link = f"https://{feed.lower()}.example/{len(title)}/{hash(title) % 10**6}"
            text = {"summary": f"<p>{title} is what this is about, and it is told in a sentence or two.</p>"} | values
            session.add(Entry(feed_id=row.id, key=title, url=link, title=title, seen_at=MONDAY, **text))


def join(database: Database, *names: str) -> None:
    with database.write() as session:
        for name in names:
            enrol(
                session,
                f"{name}@example.org",
                newsletter="daily",
                known_topics=(),
                how="test",
                now=MONDAY,
                secret="s",
            )


def run(database: Database, config: Config, **days: float) -> edition.Composed:
    now = MONDAY + timedelta(**(days or {"days": 1}))
    edition.take_in(database, "daily", config.newsletters["daily"], config.curate, now=now)
    return edition.take_turn(database, "daily", config, now=now)


# ---------------------------------------------------------------- no text under a lock


class Locked:
    """Writes down whatever works on text while this thread is in a transaction that writes.

    That is any pattern of `re`, and any function of the rooms that judge, clean and render, but for those that only
    hand over what was worked out before (`spoken` asks which of our languages a reader's is).
    """

    ROOMS = ("digest/curate/", "digest/parse/", "digest/render/")
    ALLOWED = frozenset({"parts", "usable", "shown_date", "<genexpr>", "still", "spoken"})

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.worked: set[str] = set()
        self.locks = 0
        self._inside = threading.local()
        write = Database.write

        @contextmanager
        def watched(database: Database) -> Iterator[Any]:
            with write(database) as session:
                self.locks += 1
                self._inside.yes = getattr(self._inside, "yes", 0) + 1
                before = sys.getprofile()
                sys.setprofile(self._see)
                try:
                    yield session
                finally:
                    self._inside.yes -= 1
                    sys.setprofile(before)

        monkeypatch.setattr(Database, "write", watched)

    def _see(self, frame: Any, event: str, argument: Any) -> None:
        if not getattr(self._inside, "yes", 0):
            return
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if event == "call" and any(room in file for room in self.ROOMS) and name not in self.ALLOWED:
            self.worked.add(f"{Path(file).name}:{name}")
        if event == "c_call" and "/digest/" in file and isinstance(getattr(argument, "__self__", None), re.Pattern):
            self.worked.add(f"{Path(file).name}:{name} tries {argument.__self__.pattern[:40]!r}")


def test_under_the_write_lock_no_text_is_worked_on(
    database: Database, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    join(database, "ada", "bob")
    add(database, "Postgres 19 is out", "A word on queues")
    add(database, "Postgres 19 is out now", feed="Bob")
    run(database, config)
    add(database, "Postgres 19 is here, told once more", "Something else again")
    locked = Locked(monkeypatch)
    done = run(database, config, days=2)
    assert done.letters == 2 and locked.locks >= 3
    assert locked.worked == set()


def test_what_is_worked_on_under_a_lock_would_be_seen(
    database: Database, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(database, "Postgres 19 is out")
    locked = Locked(monkeypatch)
    with database.write() as session:
        edition.admit(session, "daily", config.newsletters["daily"], config.curate, now=MONDAY)
    assert any(name.startswith("excerpts.py") for name in locked.worked)
    assert any("tries" in name for name in locked.worked)


def test_a_mail_that_turns_out_to_be_missing_is_rendered_before_the_lock_too(
    database: Database, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    join(database, "ada")
    add(database, "Postgres 19 is out")
    now = MONDAY + timedelta(days=1)
    edition.take_in(database, "daily", config.newsletters["daily"], config.curate, now=now)
    prepare = edition.prepare
    came = iter([lambda: add_reader(database)])

    def and_then_somebody_comes(*given: Any, **named: Any) -> Any:
        press = prepare(*given, **named)
        next(came, lambda: None)()
        locked.worked.clear()  # of the test's own
        return press

    locked = Locked(monkeypatch)
    monkeypatch.setattr(sys.modules["digest.edition.compose"], "prepare", and_then_somebody_comes)
    done = edition.take_turn(database, "daily", config, now=now)
    assert done.letters == 2 and done.variants == 2 and locked.worked == set()


def add_reader(database: Database) -> None:
    with database.write() as session:
        enrol(session, "eve@example.org", newsletter="daily", known_topics=(), how="test", now=MONDAY, secret="s")
        session.exec(select(Subscription).order_by(Subscription.id.desc())).first().plain = True


def test_what_two_decide_about_at_once_is_decided_about_once(database: Database, config: Config) -> None:
    add(database, "Postgres 19 is out")
    settings = config.newsletters["daily"]
    with database.read() as session:
        proposal = edition.propose(session, "daily", settings, config.curate, now=MONDAY)
    assert edition.take_in(database, "daily", settings, config.curate, now=MONDAY).stories == 1
    moved = sys.modules["digest.edition.admit"].Moved
    with pytest.raises(moved), database.write() as session:
        edition.admit(session, "daily", settings, config.curate, now=MONDAY, proposal=proposal)
    assert edition.take_in(database, "daily", settings, config.curate, now=MONDAY).stories == 0


def test_what_an_older_release_stored_is_read_once(database: Database, config: Config) -> None:
    add(database, "Postgres 19 is out", summary="<p>It has learnt to vacuum in parallel, which took ten years.</p>")
    edition.take_in(database, "daily", config.newsletters["daily"], config.curate, now=MONDAY)
    with database.read() as session:
        stored = session.exec(select(Entry.gist)).one()
        assert session.exec(select(Story.excerpt)).one().startswith("It has learnt")
    found = gist.unpack(stored)
    assert found is not None and found.summary[0].said.startswith("It has learnt")


# ---------------------------------------------------------------- entries set aside


def test_an_entry_that_was_set_aside_is_no_story_and_says_why(database: Database, config: Config) -> None:
    add(database, "A good one")
    add(database, "A dear one", fault="it takes too long to read")
    done = edition.take_in(database, "daily", config.newsletters["daily"], config.curate, now=MONDAY)
    assert (done.stories, done.held) == (1, 1)
    with database.read() as session:
        reasons = session.exec(select(Admission.reason)).all()
    assert "set aside: it takes too long to read" in reasons


def watching(dear: Callable[[], object]) -> parse.Watch:
    """A watch under which each entry does `dear` first."""

    @contextmanager
    def bound() -> Iterator[None]:
        dear()
        yield

    return parse.Watch(bound)


RSS = (
    b"<rss version='2.0'><channel><title>F</title>"
    + b"".join(
        b"<item><title>Item %d</title><link>https://f.example/%d</link><description>Text &lt;b&gt;</description></item>"
        % (n, n)
        for n in range(5)
    )
    + b"</channel></rss>"
)
JSON = (
    b'{"version": "https://jsonfeed.org/version/1.1", "title": "F", "items": ['
    + b",".join(b'{"id": "%d", "title": "Item %d", "url": "https://f.example/%d"}' % (n, n, n) for n in range(5))
    + b"]}"
)


@pytest.mark.parametrize("body", [RSS, JSON], ids=["rss", "json"])
@pytest.mark.parametrize("error", [parse.TooDear, MemoryError, RecursionError, ValueError])
def test_an_entry_that_breaks_its_bound_costs_itself_only(body: bytes, error: type[BaseException]) -> None:
    count = iter(range(10))

    def dear() -> None:
        if next(count) == 2:
            raise error

    found = parse.feed(body, url="https://f.example/feed", now=MONDAY, watch=watching(dear))
    assert [entry.title for entry in found.entries] == [f"Item {n}" for n in range(5)]
    assert [bool(entry.fault) for entry in found.entries] == [False, False, True, False, False]
    (aside,) = [entry for entry in found.entries if entry.fault]
    assert aside.url == "https://f.example/2" and aside.gist is None and aside.key.startswith("fault:")


@pytest.mark.parametrize("body", [RSS, JSON, RSS.replace(b"</channel></rss>", b"")], ids=["rss", "json", "cut short"])
def test_a_document_read_entry_by_entry_says_the_same(body: bytes) -> None:
    seen: list[int] = []
    whole = parse.feed(body, url="https://f.example/feed", now=MONDAY)
    apart = parse.feed(body, url="https://f.example/feed", now=MONDAY, watch=parse.Watch(apart=True, at=seen.append))
    assert apart == whole and seen == [0, 1, 2, 3, 4] and len(whole.entries) == 5


@pytest.mark.parametrize("body", [RSS, JSON], ids=["rss", "json"])
def test_an_entry_that_brought_a_process_down_is_passed_over(body: bytes) -> None:
    watch = parse.Watch(apart=True, known={3: "it stopped the process that read it"})
    found = parse.feed(body, url="https://f.example/feed", now=MONDAY, watch=watch)
    assert [e.fault for e in found.entries if e.fault] == ["it stopped the process that read it"]
    assert [e.title for e in found.entries] == [f"Item {n}" for n in range(5)]


def test_a_mended_entry_is_a_new_one() -> None:
    watch = parse.Watch(apart=True, known={0: "it takes too long"})
    aside = parse.feed(RSS, url="https://f.example/feed", now=MONDAY, watch=watch).entries[0]
    mended = parse.feed(RSS, url="https://f.example/feed", now=MONDAY).entries[0]
    assert aside.title == mended.title and aside.key != mended.key and aside.twin != mended.twin


# ---------------------------------------------------------------- stories that make a mail unfit

UNFIT = {
    "Here": "a title that says nothing",
    "https://bank.example/login": "a title that looks like another address",
}


@pytest.mark.parametrize("title", UNFIT)
def test_a_story_whose_text_makes_the_mail_unfit_is_left_out_and_the_others_go_out(
    database: Database, configure: Callable[..., Config], title: str
) -> None:
    config = configure(newsletters={"daily": NEWS | {"preflight": "stop"}})
    join(database, "ada")
    add(database, "A good story about the harbour", "Another about the market")
    add(database, title, feed="Bob")
    done = run(database, config)
    assert (done.stories, done.letters) == (2, 1)
    assert [finding.check for finding in done.findings] == [f"story {id_of(database, title)}"]
    with database.read() as session:
        story = edition.find(session, "daily", id_of(database, title))
        answer = edition.explain(session, story)
        paper = newsletters.find(session, "daily")
        hers = edition.explain_for(session, paper, story, "ada@example.org", now=MONDAY + timedelta(days=1))
    assert "its own text makes the mail unfit" in answer["left_out"]["No. 1"]
    assert "left out of edition 1: its own text" in hers


def id_of(database: Database, title: str) -> int:
    with database.read() as session:
        found = session.exec(select(Story.id).where(Story.title == title)).one()
    assert found is not None
    return found


@on_sqlite
@pytest.mark.parametrize("title", UNFIT)
def test_with_a_warning_it_goes_out_all_the_same(database: Database, config: Config, title: str) -> None:
    join(database, "ada")
    add(database, "A good story about the harbour", title)
    done = run(database, config)
    assert done.stories == 2 and [finding.check for finding in done.findings] == ["links"]


SIGNS = {
    "hash": "a3f5c9e17b2d4860" * 6,
    "letters": "ä" * 90,
    "marks": "x\u0327\u0301" * 40,
    "host": "www." + "x" * 100,
    "all": "e\u0301" * 500,
}


@pytest.mark.long
@on_sqlite
@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
def test_a_long_word_is_mended(database: Database, configure: Callable[..., Config], sign: str) -> None:
    config = configure(newsletters={"daily": NEWS | {"preflight": "stop"}})
    join(database, "ada")
    add(database, f"Commit {sign} is signed", "A good story about the harbour")
    add(
        database,
        "Another about the market",
        feed=sign,
        summary=f"<p>Somebody wrote {sign} and nothing else of note.</p>",
    )
    done = run(database, config)
    assert (done.stories, done.letters, done.findings) == (3, 1, ())


@on_sqlite
def test_a_template_that_is_unfit_stops_its_edition_whatever_the_stories_are(
    database: Database, configure: Callable[..., Config], tmp_path: Path
) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "edition.txt").write_text("no way out\n")
    config = configure(newsletters={"daily": NEWS | {"templates": "t", "preflight": "stop"}})
    join(database, "ada")
    add(database, "Here", "A good story about the harbour")
    with pytest.raises(Exception, match="unsubscribe"):
        run(database, config)


@on_sqlite
def test_where_every_story_is_unfit_nothing_goes_out_and_the_next_ones_do(
    database: Database, configure: Callable[..., Config], clock: Clock
) -> None:
    config = configure(newsletters={"daily": NEWS | {"preflight": "stop"}})
    join(database, "ada")
    add(database, "Here")
    assert run(database, config).letters == 0
    add(database, "A good story about the harbour", feed="Bob")
    assert run(database, config, days=2).stories == 1


# ---------------------------------------------------------------- strangers' texts, as they come

FRONT = "title: " + ",".join("abcdefghijklmnopqrstuvwxyz" * 2) + " and then the text of the post goes on as usual."
DECLARED = '<?xml version="1.0"?>'
HOSTILE = {
    "front matter": FRONT,
    "dots": "." * 5_900,
    "comments": "&lt;!--" * 40_000,
    "open tags": "<a" * 20_000,
    "open comments": "<!--" * 20_000,
    "spaces": "Contents" + " " * 20_000 + "x",
    "a long number": "&#" + "1" * 5_000 + ";",
    "marks": "e" + "\u0301" * 20_000,
    "brackets": "[" * 20_000,
    "greetings": "Hi, " * 5_000,
    "quotes": 'title: "' * 5_000,
}


@pytest.mark.thin(3)
@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_read_and_told_like_any_other(box: Database, config: Config, said: str) -> None:
    item = (
        "<item><title>{0}</title><guid>{1}</guid><dc:creator>{0}</dc:creator><category>{0}</category>"
        "<description>{0}</description></item>"
    )
    items = "".join(item.format(escape(said), n) for n in range(2))
    head = "<rss version='2.0' xmlns:dc='http://purl.org/dc/elements/1.1/'><channel><title>F</title>"
    body = f"{head}{items}</channel></rss>"
    found = parse.feed(body.encode(), url="https://f.example/feed", now=MONDAY)
    assert len(found.entries) == 2 and not any(entry.fault for entry in found.entries)
    join(box, "ada")
    add(box, "A good story about the harbour")
    with box.write() as session:
        feed = session.exec(select(Feed.id)).one()
        rows = [vars(entry) | {"categories": list(entry.categories), "enclosures": []} for entry in found.entries]
        feed_entries.save_entries(session, feed, rows, now=MONDAY)
    assert run(box, config).letters == 1


@pytest.mark.parametrize(
    ("before", "within"),
    [
        ("", "<description>" + "encoding=&quot; encoding=' " * 10_000 + "</description>"),
        ("<?xml version='1.0' " + "encoding='" * 10_000 + "?>", ""),
        ("<?xml version='1.0'?><!DOCTYPE rss [" + " \n" * 50_000 + "]>", ""),
        ("", "<author>" + "." * 100_000 + "</author>"),
        ("", "<dc:creator>" + "a@" * 50_000 + "</dc:creator>"),
    ],
    ids=["first line", "declaration", "empty lines", "author", "creator"],
)
def test_feedparser_gets_through_long_lines_and_long_names(before: str, within: str) -> None:
    head = "<rss version='2.0' xmlns:dc='http://purl.org/dc/elements/1.1/'><channel><title>F</title>"
    body = f"{before or DECLARED}{head}<item><title>T</title>{within}</item></channel></rss>"
    begun = time.process_time()
    found = parse.feed(body.encode(), url="https://f.example/feed", now=MONDAY)
    assert [entry.title for entry in found.entries] == ["T"] and not found.entries[0].fault
    assert time.process_time() - begun < 2, "it took ten and more"


# ---------------------------------------------------------------- length before work


@pytest.fixture
def no_long_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever normalises, maps or validates refuses what is long: its steps grow with the square of the length."""
    import email_validator
    import nh3

    def short(function: Callable[..., Any], place: int, most: int) -> Callable[..., Any]:
        def asked(*given: Any, **named: Any) -> Any:
            assert len(given[place]) <= most
            return function(*given, **named)

        return asked

    monkeypatch.setattr(unicodedata, "normalize", short(unicodedata.normalize, 1, 2_000))
    monkeypatch.setattr(email_validator, "validate_email", short(email_validator.validate_email, 0, 400))
    monkeypatch.setattr(nh3, "clean", short(nh3.clean, 0, 20_000))


MARKS = "e" + "\u0301" * 20_000


@pytest.mark.parametrize(
    "text",
    [MARKS, f"{MARKS}@example.org", f"ada@{MARKS}.org", "ada@" + "x." * 30_000 + "org", "a" * 300 + "é@example.org"],
    ids=["marks", "before the @", "after the @", "labels", "long"],
)
def test_the_length_of_an_address_is_asked_first(no_long_work: None, text: str) -> None:
    with pytest.raises(BadInput, match="too long"):
        subscribe.address(text)


def test_the_length_of_a_name_is_asked_first(no_long_work: None) -> None:
    with pytest.raises(BadInput, match="longer than 200"):
        subscribe.display_name(MARKS)
    assert subscribe.display_name("Ada" + " " * 500 + "Lovelace") == "Ada Lovelace"


def test_the_length_of_a_title_is_asked_first(no_long_work: None) -> None:
    assert len(text.plain("<b>" * 100_000 + "x", markup=True)) <= 1_000
    assert len(text.plain("&amp;" * 100_000)) <= 1_000


@pytest.mark.parametrize(
    "line", ["x" * 60_000, "x@" * 30_000, "[" * 60_000, "," * 60_000, "email," + "x" * 60_000, '"' * 60_000]
)
def test_a_list_whose_first_line_is_long_is_read_or_refused(no_long_work: None, line: str) -> None:
    sheet_file = io.BytesIO(f"{line}\nada@example.org\n".encode())
    try:
        found = sheet.read(sheet_file, name="list.csv")
        assert len(list(found.records)) <= 2
    except BadInput:
        pass


def test_a_cell_that_is_too_long_costs_its_own_row(no_long_work: None) -> None:
    terms = columns.Terms("list.csv", MONDAY, (), "secret", "test")
    for field, cell in {"name": "x" * 50_000, "topics": "[" * 9_000, "tags": "[" * 50_000}.items():
        found = columns.Columns.find(["email", field], [], {}, terms)
        with pytest.raises(BadInput):
            found.person(sheet.Record(2, 2, ["ada@example.org", cell]))
    assert found.person(sheet.Record(2, 2, ["Ada <ada@example.org>", ""])).name == "Ada"


@pytest.mark.parametrize("field", ["email", "name", "topic", "cadence", "zone", "language", "hour", "format"])
def test_a_form_with_a_long_field_is_answered_without_work_on_it(
    box: Database, config: Config, clock: Clock, no_long_work: None, field: str
) -> None:
    join(box, "ada")
    application = web.application(box, config, clock=clock)
    visitor = TestClient(application, base_url=config.base_url, follow_redirects=False)
    token = sign.token(sign.Purpose.PREFERENCES, 1, key=config.keys[0])
    filled = {"email": "eve@example.org", "cadence": "daily", "format": "html", "zone": ""} | {field: MARKS[:10_000]}
    for page in ("/subscribe/daily", f"/preferences/{token}"):
        assert visitor.post(page, data=filled).status_code in (303, 422)


def test_a_page_that_hides_its_feed_in_nested_links_is_looked_through_once() -> None:
    page = b"<a href='/feed.xml'>" * 2_000 + b"feed" + b"</a>" * 2_000
    assert parse.feed_links(page, url="https://e.example/")[0].url == "https://e.example/feed.xml"
