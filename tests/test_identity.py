"""Who an entry is: told by what its feed was seen to do, kept over upgrades; when it is taken, and what taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import churn
import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from digest import config, edition, identity, parse
from digest.collect import kinship
from digest.edition.admit import Moved
from digest.identity import Evidence, Known, Marks
from digest.models import Feed, NewsletterFeed
from digest.parse import xmlfeed
from digest.store import Database, feed_entries, newsletters, stories, why
from digest.store.story_tables import Entry, Story

MONDAY = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
URL = "https://old.example/r/news/.rss"
PAPER = config.Newsletter(**{"title": "Daily", "from": "Daily <news@example.org>"})
CURATE = config.Curate(newest_of_new_feed=100, new_feed_days=1000)
MINUTE = timedelta(minutes=1)


def item(title: str, *, guid: str = "", link: str = "", at: datetime | None = None, text: str = "") -> str:
    parts = [f"<title>{title}</title>", f"<description>{text}</description>"]
    parts += [f"<link>{link}</link>"] if link else []
    parts += [f"<guid>{guid}</guid>"] if guid else []
    parts += [f"<pubDate>{at:%a, %d %b %Y %H:%M:%S} GMT</pubDate>"] if at else []
    return f"<item>{''.join(parts)}</item>"


def rss(*items: str, head: str = "") -> bytes:
    return f'<rss version="2.0"><channel><title>Ours</title>{head}{"".join(items)}</channel></rss>'.encode()


class Reader:
    """One feed, read again and again in process, for one newsletter."""

    def __init__(self, database: Database) -> None:
        self.database = database
        newsletters.keep(database, ["daily"], now=MONDAY)
        with database.write() as session:
            session.add(Feed(id=1, url=URL, added_at=MONDAY, next_at=MONDAY))
            session.flush()
            paper = newsletters.find(session, "daily").id or 0
            session.add(NewsletterFeed(newsletter_id=paper, feed_id=1, added_at=MONDAY))

    def fetch(self, body: bytes, *, now: datetime = MONDAY, url: str = URL) -> feed_entries.Saved:
        parsed = parse.feed(body, url=url, now=now)
        rows = [
            vars(entry) | {"categories": [], "enclosures": [asdict(e) for e in entry.enclosures]}
            for entry in reversed(parsed.entries)
        ]
        with self.database.write() as session:
            return feed_entries.save_entries(session, 1, rows, now=now, tombstones=parsed.withdrawn)

    def admit(self, now: datetime = MONDAY) -> list[str]:
        """The titles of all stories so far."""
        edition.take_in(self.database, "daily", PAPER, CURATE, now=now)
        with self.database.read() as session:
            return [story.title for story in session.exec(select(Story).order_by(col(Story.seq)))]

    def entries(self) -> list[Entry]:
        with self.database.read() as session:
            return list(session.exec(select(Entry).order_by(col(Entry.id))))

    def fate(self, url: str, now: datetime) -> dict[str, Any]:
        with self.database.read() as session:
            (found,) = why.entries_at(session, newsletters.find(session, "daily").id or 0, url)
            return edition.explain_entry(found, settle=CURATE.settle, now=now)


@pytest.fixture
def reader(database: Database) -> Reader:
    return Reader(database)


@pytest.mark.long
def test_no_entry_is_lost_or_told_twice_whatever_publishers_change(tmp_path: Path) -> None:
    """A share of `benchmarks/identity.py`, which has all patterns and 60 days."""
    names = [
        "guid scheme flips",
        "guids renumbered",
        "one guid for all, one link",
        "token in link and guid",
        "all translated, but for the dates",
        "papers: tokens, and re-dated on three days",
        "deleted and restored under another guid",
        "latest only, one guid",
        "each twice, under two guids",
        "mended within the day: title, slug and text",
        "a series of one title, daily, no guid",
        "three titles, new each day, nothing else stays",
        "status page: incidents that are written on",
        "all well: one entry, new each day",
    ]
    fates = churn.simulate(tmp_path, days=8, names=names)
    assert {name: (fate.lost, fate.mailed_twice, fate.twice) for name, fate in fates.items()} == dict.fromkeys(
        names, (0, 0, 0)
    )


@pytest.mark.parametrize("guid", ["-EnH75xLjtQ", "t3_abc", "post/7", "?p=7", "/news/7"])
def test_an_id_is_joined_with_no_address(reader: Reader, guid: str) -> None:
    body = rss(item("Episode", guid=guid, text="Something long enough to be told."))
    (entry,) = parse.feed(body, url=URL, now=MONDAY).entries
    assert (entry.key, entry.guid, entry.url) == (guid, guid, "")
    assert reader.fetch(body).new == 1
    assert reader.fetch(body, url="https://new.example/elsewhere/feed").new == 0


def test_a_guid_that_is_a_whole_address_still_serves_for_a_link() -> None:
    (entry,) = parse.feed(rss(item("One", guid="https://a.example/1")), url=URL, now=MONDAY).entries
    assert (entry.key, entry.url) == ("https://a.example/1", "https://a.example/1")


FORMER = [
    item("Alpha of the first", guid="t3_abc", link="https://a.example/1", at=MONDAY),
    item("Beta of the second", guid="-EnH75xLjtQ", at=MONDAY - MINUTE, text="Words enough to tell it by."),
    item("Gamma of the third", guid="tag:a.example,2026:3", link="https://a.example/3", at=MONDAY - 2 * MINUTE),
    item("Delta of the fourth", link="https://a.example/4?utm_source=rss", at=MONDAY - 3 * MINUTE),
    item("Epsilon of the fifth", at=MONDAY - 4 * MINUTE, text="Neither guid nor link are here."),
    item("Zeta of the sixth", guid="https://a.example/6", at=MONDAY - 5 * MINUTE),
    item("Eta of the seventh", guid="eta/7", link="https://a.example/7"),
]


@pytest.mark.parametrize("moved", [False, True])
def test_the_keys_of_a_former_release_stay_valid(reader: Reader, moved: bool) -> None:
    """An upgrade, and a move after it, make nothing new of what was stored with ids joined to the feed's address."""
    reader.fetch(rss(*FORMER))
    with reader.database.write() as session:
        for entry in session.exec(select(Entry)):
            if entry.guid and ":" not in entry.guid:
                entry.key = urljoin(URL, entry.guid)
            entry.guid, entry.text_hash, entry.changed_at = None, "", None
            session.add(entry)
        session.execute(sa.update(Feed).values(evidence={}, window=[]))
    before = reader.admit()
    url = "https://new.example/feed" if moved else URL
    retitled = FORMER[-1].replace("Eta of the seventh", "Another title").replace("example/7<", "example/another<")
    for day in range(3):
        # The last one has kept nothing but its guid.
        saved = reader.fetch(rss(*FORMER[:-1], retitled), now=MONDAY + timedelta(days=day), url=url)
        assert (saved.new, saved.edited, saved.withdrawn) == (0, day == 0, 0)
    assert reader.admit(MONDAY + timedelta(days=3)) == before
    assert len(before) == len(FORMER) - 1  # a new feed's undated entry is not taken


def test_a_status_page_of_one_title_and_one_link_tells_each_incident(reader: Reader) -> None:
    incidents = [
        item(
            "Service disruption", link="https://status.example/now", at=MONDAY - timedelta(hours=9 * n), text=f"No. {n}"
        )
        for n in range(4)
    ]
    assert reader.fetch(rss(*incidents)).new == 4
    assert len(reader.admit(MONDAY + timedelta(hours=1))) == 4
    edited = [incidents[0].replace("No. 0", "No. 0, solved"), *incidents[1:]]
    assert reader.fetch(rss(*edited), now=MONDAY + timedelta(hours=2)).new == 0


def test_parameters_made_anew_are_learnt_and_do_not_count(reader: Reader) -> None:
    for day in range(3):
        items = [
            item(f"Paper number {n} on fish", link=f"https://j.example/doi?id={n}&amp;token={day}{n}") for n in range(5)
        ]
        reader.fetch(rss(*items), now=MONDAY + timedelta(days=day))
    assert len(reader.entries()) == 5
    with reader.database.read() as session:
        evidence = Evidence.of(session.get_one(Feed, 1).evidence)
    assert evidence.volatile == {"token"}
    assert identity.carried_by(evidence) == "link"
    assert any("parameter token is made anew" in words for words in identity.in_words(evidence))


def test_an_operators_choice_goes_before_all_that_was_learnt(reader: Reader) -> None:
    with reader.database.write() as session:
        session.get_one(Feed, 1).identity = identity.choice("Title+LINK")
    one = item("Alpha", guid="1", link="https://a.example/1", at=MONDAY, text="A text that is long enough to count.")
    other = one.replace("Alpha", "Beta")
    assert reader.fetch(rss(one)).new == 1
    assert reader.fetch(rss(other)).new == 1  # else an edit: its guid, link, date and text are the same
    assert reader.fetch(rss(other.replace(">1<", ">2<"))).new == 0


@pytest.mark.parametrize("words", ["", "id", "guid+", "link+link", "auto+guid"])
def test_a_choice_that_is_none_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="write AUTO"):
        identity.choice(words)


def marks(*titles: str) -> list[Marks]:
    return [Marks(t, t, f"https://a.example/{t}", t, MONDAY - n * MINUTE, f"text:{t}") for n, t in enumerate(titles)]


def test_guids_given_to_other_entries_lead_nobody_astray() -> None:
    here = marks("a", "b", "c")
    stored = [Known(n, replace(one, guid=g, key=g)) for n, (one, g) in enumerate(zip(here, "123", strict=True))]
    now = [replace(one, guid=g, key=g) for one, g in zip([*marks("new"), *here], "1234", strict=True)]
    assert identity.link(now, stored, Evidence()) == [None, 0, 1, 2]


# ---------------------------------------------------------------- settling, and what was taken back


def posts(*numbers: int) -> list[str]:
    """Entries a day apart, the highest number the newest, of this minute."""
    return [
        item(f"Post {n}", guid=f"p{n}", link=f"https://a.example/{n}", at=MONDAY - timedelta(days=9 - n))
        for n in numbers
    ]


def test_an_entry_is_taken_once_it_was_left_alone(reader: Reader) -> None:
    reader.fetch(rss(*posts(2, 1)))
    assert reader.admit() == ["Post 1", "Post 2"]
    fresh = posts(9)[0]
    reader.fetch(rss(fresh, *posts(2, 1)), now=MONDAY + MINUTE)
    assert reader.admit(MONDAY + 2 * MINUTE) == ["Post 1", "Post 2"]
    assert reader.fate("https://a.example/9", MONDAY + 2 * MINUTE)["outcome"] == "settling"
    mended = fresh.replace("Post 9", "Post 9, mended")
    reader.fetch(rss(mended, *posts(2, 1)), now=MONDAY + 4 * MINUTE)
    assert len(reader.admit(MONDAY + 8 * MINUTE)) == 2
    assert reader.admit(MONDAY + 9 * MINUTE) == ["Post 1", "Post 2", "Post 9, mended"]


def test_an_entry_changed_again_and_again_is_taken_all_the_same(reader: Reader) -> None:
    for minute in range(0, 40, 4):
        now = MONDAY + minute * MINUTE
        reader.fetch(
            rss(item(f"Live, minute {minute}", guid="live", link="https://a.example/live", at=MONDAY)), now=now
        )
        if stories := reader.admit(now):
            break
    assert stories == ["Live, minute 32"]


def test_a_feed_may_settle_in_its_own_time(reader: Reader) -> None:
    reader.fetch(rss(*posts(9)))
    with reader.database.write() as session:
        session.get_one(Feed, 1).settle_minutes = 60
    assert reader.admit(MONDAY + 59 * MINUTE) == []
    assert reader.admit(MONDAY + 60 * MINUTE) == ["Post 9"]


TOMBSTONE = '<at:deleted-entry xmlns:at="http://purl.org/atompub/tombstones/1.0" ref="p9" when="2026-03-02T07:05:00Z"/>'


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("tombstone", [False, True])
def test_what_is_withdrawn_before_it_was_sent_is_not_sent(reader: Reader, settled: bool, tombstone: bool) -> None:
    """Before it was admitted, or after; and it comes back where its publisher brings it back."""
    reader.fetch(rss(*posts(9, 2, 1)))
    before = MONDAY + (10 if settled else 1) * MINUTE
    assert reader.admit(before) == ["Post 1", "Post 2", *["Post 9"] * settled]
    saved = reader.fetch(rss(*posts(2, 1), head=TOMBSTONE * tombstone), now=before + MINUTE)
    assert saved.withdrawn == 1
    assert reader.admit(before + 30 * MINUTE) == ["Post 1", "Post 2"]
    fate = reader.fate("https://a.example/9", before + 30 * MINUTE)
    assert fate["outcome"] == "withdrawn" and "took it back" in fate["why"]
    assert reader.fetch(rss(*posts(9, 2, 1)), now=before + 40 * MINUTE).new == 0
    assert reader.admit(before + 60 * MINUTE) == ["Post 1", "Post 2", "Post 9"]


WINDOWS: dict[str, tuple[Sequence[int], Sequence[int]]] = {
    "pushed out by newer ones": ((8, 7, 6, 5), (9, 8, 7, 6)),
    "the window shrinks": ((8, 7, 6, 5, 4, 3), (8, 7)),
    "all is new": ((5, 4, 3), (8, 7, 6)),
    "an empty document": ((8, 7, 6), ()),
    "one is pinned": ((1, 7, 6, 5), (1, 9, 8, 7)),
    "many are gone at once": ((9, 8, 7, 6, 5, 4, 3), (9, 3)),
    "it ranks, and does not go by date": ((7, 9, 5, 8, 6), (5, 9, 8, 6)),
}


@pytest.mark.parametrize("case", WINDOWS)
def test_what_only_left_the_window_is_not_withdrawn(reader: Reader, case: str) -> None:
    before, after = WINDOWS[case]
    reader.fetch(rss(*posts(*before)))
    assert reader.fetch(rss(*posts(*after)), now=MONDAY + MINUTE).withdrawn == 0


def test_what_is_withdrawn_while_it_is_being_judged_is_not_taken(reader: Reader) -> None:
    reader.fetch(rss(*posts(9, 2, 1)))
    later = MONDAY + 10 * MINUTE
    with reader.database.read() as session:
        proposal = edition.propose(session, "daily", PAPER, CURATE, now=later)
    reader.fetch(rss(*posts(2, 1)), now=later)
    with reader.database.write() as session, pytest.raises(Moved):
        edition.admit(session, "daily", PAPER, CURATE, now=later, proposal=proposal)


def test_what_cannot_be_read_for_once_is_not_withdrawn(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rss(*posts(9, 8, 7, 6, 5, 4, 3, 2, 1))
    reader.fetch(whole)
    really = xmlfeed._entry

    def breaks(entry: Any, **rest: Any) -> Any:
        return 1 / 0 if entry.get("id") == "p8" else really(entry, **rest)

    monkeypatch.setattr(xmlfeed, "_entry", breaks)
    saved = reader.fetch(whole, now=MONDAY + MINUTE)
    assert (saved.set_aside, saved.withdrawn) == (1, 0)


def test_a_story_withdrawn_after_it_was_sent_is_known_as_such(reader: Reader) -> None:
    reader.fetch(rss(*posts(9, 2, 1)))
    reader.admit(MONDAY + 10 * MINUTE)
    reader.fetch(rss(*posts(2, 1)), now=MONDAY + 20 * MINUTE)
    with reader.database.read() as session:
        rows = [(story, 1) for story in session.exec(select(Story).order_by(col(Story.seq)))]
        assert [told.withdrawn for told in stories.as_told(session, rows)] == [False, False, True]
        told = edition.explain(session, rows[-1][0])["told_by"]
        assert "took it back" in told[0]["why"]


# ---------------------------------------------------------------- is what is found elsewhere the feed that was lost?


def lost(reader: Reader, **values: Any) -> feed_entries.Remembered:
    reader.fetch(rss(*posts(9, 8, 7, 6)))
    with reader.database.read() as session:
        return replace(feed_entries.remembered(session, 1), **values)


def found(*items: str, title: str = "Company", site: str = "https://company.example/") -> parse.ParsedFeed:
    body = rss(*items, head=f"<link>{site}</link>").replace(b"<title>Ours<", f"<title>{title}<".encode())
    return parse.feed(body, url="https://company.example/feed", now=MONDAY)


def others(*numbers: int) -> list[str]:
    return [one.replace("Post", "Quarter").replace("a.example", "company.example") for one in posts(*numbers)]


NEW = "https://company.example/feed.xml"


def test_a_repair_needs_something_in_common(reader: Reader) -> None:
    alice = lost(
        reader, url="https://company.example/~alice/feed.xml", site_url="https://company.example/", titles=("Alice",)
    )
    strange = [one.replace("p", "q", 1).replace(">p", ">q") for one in others(9, 8, 7)]
    assert not kinship.judge(alice, NEW, found(*strange)).sure
    mixed = [*posts(9), *(one.replace("<guid>p", "<guid>q") for one in others(8, 7, 6, 5))]
    few = kinship.judge(alice, NEW, found(*mixed))
    assert not few.sure and "only 1 of" in few.why
    moved = kinship.judge(replace(alice, url="https://a.example/feed.xml"), NEW, found(*posts(9, 8, 7)))
    assert moved.sure and "3 of 3 entries" in moved.why


def test_a_title_of_its_own_will_do_and_one_that_is_anybodys_will_not(reader: Reader) -> None:
    gone = lost(reader, url="https://a.example/feed.xml", site_url="https://a.example/", titles=("Ada on engines", ""))
    assert kinship.judge(gone, NEW, found(title="Ada on engines")).sure
    assert not kinship.judge(replace(gone, titles=("Blog", "")), NEW, found(title="Blog")).sure


def test_an_id_in_json_is_one_however_its_number_is_written_and_what_is_no_number_is_no_id() -> None:
    items = ",".join(
        f'{{"id": {said}, "url": "https://s.example/{n}"}}'
        for n, said in enumerate(("7", '"7"', "7.0", "70e-1", "7.5", "NaN", "1e999", "true", "null", "[7]"))
    )
    body = f'{{"version": "https://jsonfeed.org/version/1.1", "title": "t", "items": [{items}]}}'.encode()
    found = parse.feed(body, url="https://s.example/feed", now=datetime(2026, 3, 2, tzinfo=UTC))
    assert [entry.guid for entry in found.entries] == ["7", "7", "7", "7", "7.5", *[""] * 5]
