"""Admission on real databases: each entry is decided about once, and every decision can be asked for its reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import on_sqlite
from people import enrol
from sqlmodel import select

from digest import config as settings_file
from digest import curate, edition
from digest.curate import learning
from digest.edition.admit import FEEDS
from digest.errors import BadInput, ConfigError, NotFound
from digest.models import Edition, Feed, NewsletterFeed
from digest.parse import article, gist
from digest.store import Database, entries, full_texts, newsletters, stories, why
from digest.store.story_tables import Admission, Decision, Entry, Story
from digest.untracked import page_key, untracked

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SETTINGS = settings_file.Newsletter(**{"title": "Daily", "from": "Daily <news@example.org>"})
CURATE = settings_file.Curate()


class Desk:
    """Feeds and entries for one newsletter, and its admissions."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.settings = SETTINGS
        self.count = 0

    def feed(self, title: str, **reading: Any) -> int:
        with self.database.write() as session:
            feed = Feed(
                url=f"https://{title.lower().replace(' ', '-')}.example/feed", title=title, added_at=NOW, next_at=NOW
            )
            session.add(feed)
            session.flush()
            newsletter_id = newsletters.find(session, "daily").id
            session.add(NewsletterFeed(newsletter_id=newsletter_id, feed_id=feed.id, added_at=NOW, **reading))
            assert feed.id is not None
            return feed.id

    def entry(self, feed_id: int, title: str = "", **values: Any) -> int:
        self.count += 1
        values = {
            "published_at": NOW - timedelta(hours=1),
            "seen_at": NOW,
            "url": f"https://site{feed_id}.example/{self.count}",
        } | values
        with self.database.write() as session:
            entry = Entry(
                feed_id=feed_id, key=str(self.count), title=title or f"Something number {self.count}", **values
            )
            session.add(entry)
            session.flush()
            assert entry.id is not None
            return entry.id

    def admit(self, now: datetime = NOW) -> edition.Admitted:
        with self.database.write() as session:
            return edition.admit(session, "daily", self.settings, CURATE, now=now)

    def old_feed(self, title: str, **reading: Any) -> int:
        """A feed about which a decision was made before."""
        feed_id = self.feed(title, **reading)
        self.entry(feed_id, f"First light of {title}", published_at=NOW - timedelta(days=20))
        self.admit(NOW - timedelta(days=20))
        return feed_id

    def stories(self) -> list[Story]:
        with self.database.read() as session:
            return list(session.exec(select(Story).order_by(Story.seq)))

    def titles(self) -> list[str]:
        return [story.title for story in self.stories()]

    def admission(self, entry_id: int) -> Admission:
        with self.database.read() as session:
            return session.exec(select(Admission).where(Admission.entry_id == entry_id)).one()


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def test_an_entry_is_decided_about_once(desk: Desk) -> None:
    desk.entry(desk.feed("Ada"), "Postgres 19 is out")
    assert desk.admit() == edition.Admitted(stories=1)
    assert desk.admit() == edition.Admitted()
    assert desk.titles() == ["Postgres 19 is out"]


def test_a_new_feed_brings_its_newest_few_and_the_rest_is_marked_seen(desk: Desk) -> None:
    feed = desk.feed("Archive")
    for age in range(40):
        desk.entry(feed, f"Day {age}", published_at=NOW - timedelta(days=age))
    assert desk.admit() == edition.Admitted(stories=3, held=37)
    assert desk.titles() == ["Day 2", "Day 1", "Day 0"]


@pytest.mark.parametrize(
    "date", [None, datetime(1, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)]
)
def test_a_new_feed_without_usable_dates_brings_its_first_entries(desk: Desk, date: datetime | None) -> None:
    feed = desk.feed("Undated")
    for place in range(10):
        desk.entry(feed, f"Place {place}", published_at=date)
    desk.admit()
    assert desk.titles() == ["Place 0", "Place 1", "Place 2"]
    assert all(story.published_at == NOW for story in desk.stories())


def test_a_feed_that_floods_gives_its_newest_few(desk: Desk) -> None:
    feed = desk.old_feed("Loud")
    entries = [desk.entry(feed, f"Flood {n}", published_at=NOW - timedelta(minutes=n)) for n in range(30)]
    assert desk.admit() == edition.Admitted(stories=5, held=25)
    assert "30 entries at once" in desk.admission(entries[29]).reason


def test_an_old_entry_of_a_known_feed_is_a_story_all_the_same(desk: Desk) -> None:
    feed = desk.old_feed("Back-dater")
    entry = desk.entry(feed, "Written long ago", published_at=NOW - timedelta(days=900))
    assert desk.admit().stories == 1
    assert desk.admission(entry).decision == Decision.STORY


KAFKA = "http://www.kafka.example/5/"


def test_who_else_tells_a_story_is_named_once_for_each_page_and_always_in_one_order(desk: Desk) -> None:
    feeds = [desk.old_feed(name) for name in ("Ada", "Bob", "Cyd", "Dan", "Eve")]
    pages = ("kafka.example/5", "b.example/k", "www.b.example/k/?utm_medium=rss", "d.example/?p=5", "e.example/k#x")
    for feed, page in zip(feeds, pages, strict=True):
        desk.entry(feed, "Kafka 5 is out", url=f"https://{page}", original_url=KAFKA)
    desk.admit()
    with desk.database.read() as session:
        newsletter = newsletters.find(session, "daily")
        told = [stories.since(session, newsletter.id, since=0, upto=newsletter.seq)[-1].also for _ in range(2)]
    assert [source.title for source in told[0]] == ["Bob", "Dan", "Eve"]
    assert told[0] == told[1] and len({page_key(source.url) for source in told[0]}) == 3


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/x?utm_source=rss&utm_medium=feed", "https://a.example/x"),
        ("https://a.example/x?id=5&fbclid=q&b=%C3%BC+%2f", "https://a.example/x?id=5&b=%C3%BC+%2f"),
        ("https://a.example/x?source=rss----abc---4", "https://a.example/x"),
        ("https://a.example/x?source=energy&ref=17", "https://a.example/x?source=energy&ref=17"),
        ("https://a.example/x?at_medium=RSS&at_campaign=rss#top", "https://a.example/x#top"),
        ("https://a.example/x#xtor=RSS-3208", "https://a.example/x"),
        ("https://a.example/x?UTM_Source=x&v=1#utm_source=x", "https://a.example/x?v=1"),
        ("https://a.example/x?ref=rss&CMP=Share&mc_cid=1&mc_eid=2&gclid=3", "https://a.example/x"),
        ("https://a.example/x?", "https://a.example/x"),
        ("https://a.example/?attachment_id=3&p=1", "https://a.example/?attachment_id=3&p=1"),
        ("mailto:x@a.example", "mailto:x@a.example"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_what_only_tracks_its_reader(url: str, shown: str) -> None:
    assert untracked(url) == shown == untracked(shown)


def test_stories_are_read_by_seq_and_name_who_else_tells_them(desk: Desk) -> None:
    one, two, three = (desk.old_feed(name) for name in ("Ada", "Bob", "Cyd"))
    desk.entry(one, "Kafka 5 is out", url="https://kafka.example/5?utm_source=rss")
    desk.entry(two, "Kafka 5 is out", url="https://bob.example/kafka?utm_source=rss&id=5", original_url=KAFKA)
    desk.entry(three, "Kafka 5 is out", url=KAFKA)
    assert desk.admit() == edition.Admitted(stories=1, joined=2)
    with desk.database.read() as session:
        newsletter = newsletters.find(session, "daily")
        assert newsletter.id is not None
        (story,) = stories.since(session, newsletter.id, since=newsletter.seq - 1, upto=newsletter.seq)
    # Cyd's is the page of the title, and a reader who follows both has been there.
    assert [(source.title, source.url) for source in story.also] == [("Bob", "https://bob.example/kafka?id=5")]
    chosen = curate.pick([story], topics=frozenset(), limit=10, curate=CURATE, now=NOW)
    assert chosen.lead == story and chosen.more == 0


# ---------------------------------------------------------------- telling again


def test_a_story_told_again_later_keeps_its_place_and_is_not_sent_again(desk: Desk) -> None:
    one, two = desk.old_feed("Ada"), desk.old_feed("Bob")
    desk.entry(one, "Kafka 5 is out", url="https://kafka.example/5")
    desk.admit()
    (seq,) = [story.seq for story in desk.stories() if story.title == "Kafka 5 is out"]
    again = desk.entry(
        two, "A word on Kafka", url="https://kafka.example/5?utm_source=bob", seen_at=NOW + timedelta(days=90)
    )
    assert desk.admit(NOW + timedelta(days=90)) == edition.Admitted(joined=1)
    assert [story.seq for story in desk.stories() if story.title == "Kafka 5 is out"] == [seq]
    assert desk.admission(again).reason == "same link"


def test_the_original_site_takes_the_aggregators_place_while_the_story_has_not_gone_out(desk: Desk) -> None:
    pointer, ada = desk.old_feed("Pointers"), desk.old_feed("Ada")
    markup = 'submitted by /u/x <a href="https://ada.example/vacuum">[link]</a> <a href="y">[comments]</a>'
    desk.entry(pointer, "Vacuum in minutes", url="https://pointers.example/r/1", content=markup)
    desk.admit()
    before = desk.stories()[-1]
    assert (before.url, before.source, before.excerpt) == ("https://ada.example/vacuum", "Pointers", "")
    desk.entry(
        ada, "Vacuum in minutes!", url="https://ada.example/vacuum", summary="A vacuum of a large table takes minutes."
    )
    desk.admit()
    after = desk.stories()[-1]
    assert (after.id, after.seq, after.source) == (before.id, before.seq, "Ada")
    assert after.excerpt == "A vacuum of a large table takes minutes." and after.rank > before.rank


def test_other_words_make_no_other_rank_and_whoever_takes_them_away_gets_what_its_source_says_by_then(
    desk: Desk,
) -> None:
    pointer, third, ada = map(desk.old_feed, ("Pointers", "Third", "Ada"))
    desk.entry(pointer, "Vacuum in minutes", url="https://ada.example/vacuum", summary="Short.")
    desk.admit()
    before = desk.stories()[-1]
    with desk.database.write() as session:  # as a machine does, and then an editor
        story = session.get_one(Story, before.id)
        story.excerpt, story.reasons = "A machine says much. " * 9, story.reasons | {"summary": {"how": "machine"}}
        edition.reword(session, "daily", story.id or 0, edition.Rewording(title="Ours", excerpt="Of ours. " * 20))
    desk.entry(third, "Vacuum, soon", url="https://ada.example/vacuum")
    desk.admit()
    worth, was = (one.reasons["rank"] for one in (desk.stories()[-1], before))
    assert worth["excerpt"] == was["excerpt"] and worth["sources"] > was["sources"]
    desk.entry(
        ada, "Vacuum in minutes!", url="https://ada.example/vacuum", summary="A vacuum of its own table takes minutes."
    )
    desk.admit()
    assert (desk.stories()[-1].title, desk.stories()[-1].source) == ("Ours", "Ada")
    with desk.database.write() as session:
        edition.reword(session, "daily", before.id or 0, edition.Rewording(title="", excerpt=""))
    after = desk.stories()[-1]
    assert (after.title, after.excerpt) == ("Vacuum in minutes!", "A vacuum of its own table takes minutes.")
    assert stories.summary_of(after.reasons) == "" and "edited" not in after.reasons


def test_a_story_that_has_gone_out_stays_as_it_was_sent(desk: Desk) -> None:
    pointer, ada = desk.old_feed("Pointers"), desk.old_feed("Ada")
    desk.entry(pointer, "Vacuum in minutes", url="https://ada.example/vacuum")
    desk.admit()
    with desk.database.write() as session:
        paper = newsletters.find(session, "daily")
        session.add(Edition(newsletter_id=paper.id or 0, number=1, composed_at=NOW, upto_seq=paper.seq, sender="x"))
    desk.entry(ada, "Vacuum in minutes!", url="https://ada.example/vacuum")
    desk.admit()
    assert desk.stories()[-1].source == "Pointers"


def test_a_muted_entry_is_remembered_with_the_rule_that_muted_it(desk: Desk) -> None:
    desk.settings = SETTINGS.model_copy(update={"rules": (settings_file.Rule(title="sponsored", mute=True),)})
    feed = desk.old_feed("Ada")
    entry = desk.entry(feed, "Sponsored: a mattress")
    assert desk.admit().muted == 1
    assert desk.admission(entry).reason == "muted by rule 1 (title 'sponsored')"


def test_an_entry_with_nothing_to_show_is_no_story(desk: Desk) -> None:
    feed = desk.old_feed("Ada")
    with desk.database.write() as session:
        session.add(Entry(feed_id=feed, key="empty", seen_at=NOW))
    assert desk.admit() == edition.Admitted(held=1)


def test_a_page_of_tags_is_no_story_and_says_so(desk: Desk) -> None:
    feed = desk.old_feed("Ada")
    tags = desk.entry(feed, "databases", url="https://ada.example/tags/databases/")
    desk.entry(feed, "Why the old bridge is to be replaced by a ferry", url="https://ada.example/bridge")
    assert desk.admit() == edition.Admitted(stories=1, held=1)
    assert desk.admission(tags).reason == "it is a page of tags or an archive of its site"


def test_only_sources_that_speak_for_themselves_count(desk: Desk) -> None:
    """Not two feeds of one owner, and not a copy of a feed at another address."""
    title, link = "Kafka adds tiered storage to its brokers", "https://ada.example/kafka"
    text = "<p>The brokers of Kafka can keep what is old in a store of objects, and nobody has to buy disks.</p>"
    homes = {"one": "ada.example", "two": "blog.ada.example", "copy": "planet.example", "other": "bob.example"}
    feeds = [desk.old_feed(name) for name in homes]
    with desk.database.write() as session:
        for feed_id, home in zip(feeds, homes.values(), strict=True):
            session.get_one(Feed, feed_id).site_url = f"https://{home}/"
    for feed_id in feeds[:3]:
        desk.entry(feed_id, title, url=link, content=text)
    desk.entry(feeds[3], title, url=link, content="<p>At last: we waited for years, and our budget for disks too.</p>")
    desk.admit()
    story = desk.stories()[-1]
    assert len(story.reasons["told_by"]) == 2 and "bob.example" in story.reasons["told_by"]
    assert story.reasons["rank"]["sources"] == 1.0
    with desk.database.read() as session:
        why = edition.explain(session, session.get_one(Story, story.id))
    assert why["independent"] == story.reasons["told_by"] and why["as_lead"] == "may lead, by its rank"


def test_who_links_to_a_story_from_another_is_a_witness_of_it_once_a_site(desk: Desk) -> None:
    def feed(name: str, home: str) -> int:
        feed_id = desk.old_feed(name)
        with desk.database.write() as session:
            session.get_one(Feed, feed_id).site_url = f"https://{home}/"
        return feed_id

    def links(feed_id: int, to: str, *, now: datetime = NOW) -> None:
        words = ("Seven recipes for soup", "A walk along the canal", "Why bridges hum", "On chairs", "Letters to owls")
        title = f"{words[desk.count % 5]} {desk.count}"
        desk.entry(feed_id, title, content=f'<p>As <a href="{to}">Ada says</a>, so it is.</p>', seen_at=now)

    ada, sister = feed("Ada", "ada.example"), feed("Sister", "news.ada.example")
    bob, eve = feed("Bob", "bob.example"), feed("Eve", "eve.example")
    url = "https://ada.example/kafka"
    desk.entry(ada, "Kafka adds tiered storage to its brokers", url=url, content="<p>It does.</p>")
    for feed_id in (ada, sister, bob, bob):
        links(feed_id, f"http://www.ada.example/kafka/?utm_source=bob{desk.count}&amp;utm_medium=x")
    links(eve, "https://ada.example/")
    desk.admit()

    def story() -> Story:
        return next(s for s in desk.stories() if s.url == url)

    assert story().reasons["linked_by"] == ["bob.example"] and story().reasons["told_by"] == ["ada.example"]
    assert story().reasons["rank"]["linked"] == CURATE.weight_sources / 2
    before = story().rank
    links(eve, url)
    desk.admit(NOW + timedelta(hours=1))  # who comes later counts as well
    assert story().reasons["linked_by"] == ["bob.example", "eve.example"] and story().rank > before
    assert story().rank == pytest.approx(sum(story().reasons["rank"].values()))
    desk.entry(bob, "Kafka adds tiered storage to its brokers", url=url, content="<p>Read this, my friends.</p>")
    desk.admit(NOW + timedelta(hours=2))  # who tells it is not counted twice
    assert story().reasons["linked_by"] == ["eve.example"] and len(story().reasons["told_by"]) == 2
    with desk.database.read() as session:
        assert edition.explain(session, session.get_one(Story, story().id))["linked_by"] == ["eve.example"]


def test_why_says_what_speaks_against_a_story_as_the_lead(desk: Desk) -> None:
    feed = desk.old_feed("Ada")
    desk.entry(feed, "Example Ltd. is hiring", published_at=NOW - timedelta(days=900))
    desk.admit()
    with desk.database.read() as session:
        said = edition.explain(session, session.get_one(Story, desk.stories()[-1].id))["as_lead"]
    assert "is a job advert" in said and "is old" in said and "has no text" in said


def test_a_note_without_a_title_is_called_by_its_first_words(desk: Desk) -> None:
    feed = desk.old_feed("Notes")
    with desk.database.write() as session:
        session.add(
            Entry(
                feed_id=feed, key="note", seen_at=NOW, content="<p>Saw a vacuum clean a table of ten billion rows.</p>"
            )
        )
    desk.admit()
    story = desk.stories()[-1]
    assert story.title == "Saw a vacuum clean a table of ten billion rows." and story.excerpt == ""
    assert story.url == "https://notes.example/feed"


# ---------------------------------------------------------------- the editor's questions


def test_moving_a_story_is_remembered_and_teaches(desk: Desk) -> None:
    desk.entry(desk.old_feed("Ada"), "Postgres 19 is out")
    desk.admit()
    story = desk.stories()[-1]
    assert (story.topic, story.topic_step) == ("databases", "keywords")
    with desk.database.write() as session:
        edition.move(session, "daily", story.id or 0, "web", topics=curate.headings({}))
    with desk.database.read() as session:
        paper = newsletters.find(session, "daily")
        (label,) = entries.labelled(session, paper.id or 0)
        why = edition.explain(session, edition.find(session, "daily", story.id or 0))
    assert (label.title, label.topic) == ("Postgres 19 is out", "web")
    assert why["topic_why"] == "an editor moved it there: before, it was under databases (keywords)"
    with desk.database.write() as session, pytest.raises(BadInput):
        edition.move(session, "daily", story.id or 0, "nonsense", topics=curate.headings({}))
    with desk.database.read() as session, pytest.raises(NotFound):
        edition.find(session, "daily", 999)


def test_entries_of_a_feed_with_one_topic_are_labels_even_where_they_were_held(desk: Desk) -> None:
    feed = desk.feed("Db", topic="databases")
    for n in range(30):
        desk.entry(feed, f"Held {n}", published_at=NOW - timedelta(days=100 + n))
    desk.admit()
    with desk.database.read() as session:
        assert entries.label_counts(session, newsletters.find(session, "daily").id or 0) == {"databases": 30}
    assert [story.topic_step for story in desk.stories()] == ["feed"]


def test_why_names_the_words_the_sources_and_the_parts_of_the_rank(desk: Desk) -> None:
    one, two = desk.old_feed("Ada"), desk.old_feed("Bob")
    desk.entry(one, "Kafka adds tiered storage to its brokers")
    desk.entry(two, "Tiered storage comes to the brokers of Kafka")
    desk.admit()
    story = desk.stories()[-1]
    with desk.database.read() as session:
        why = edition.explain(session, edition.find(session, "daily", story.id or 0))
    assert why["topic"] == "distributed" and "kafka" in why["topic_words"]
    assert sorted(t["feed"] for t in why["told_by"]) == ["Ada", "Bob"]
    assert any(t["why"].startswith("title 0.") and "kafka" in t["why"] for t in why["told_by"])
    assert why["rank"] == pytest.approx(sum(why["rank_parts"].values())) and why["rank_parts"]["sources"] == 1.0


def test_every_story_has_an_answer_for_every_reader(desk: Desk, configure: Any) -> None:
    daily = {"title": "Daily", "from": "Daily <news@news.example>", "max_stories": 1}
    config = configure(newsletters={"daily": daily})
    desk.settings = config.newsletters["daily"]
    first, second = desk.old_feed("Ada"), desk.old_feed("Bob")

    def subscribe_to(email: str, *topics: str) -> None:
        with desk.database.write() as session:
            enrol(
                session,
                email,
                newsletter="daily",
                name="",
                topics=topics,
                tags=(),
                how="test",
                vouched_by="test",
                again=False,
                known_topics=curate.headings({}),
                secret="a key for tests, long enough",
                now=NOW,
            )

    subscribe_to("all@example.org")
    subscribe_to("web@example.org", "web")
    desk.entry(first, "Postgres 19 is out", summary="It vacuums a large table in minutes instead of hours, says Ada.")
    desk.entry(second, "MySQL is out")
    desk.entry(first, "SQLite is dropped")
    desk.admit()
    by_title = {story.title: story for story in desk.stories()}
    with desk.database.write() as session:
        edition.drop(session, "daily", by_title["SQLite is dropped"].id or 0, dropped=True)

    def why(title: str, email: str) -> str:
        with desk.database.read() as session:
            story = edition.find(session, "daily", by_title[title].id or 0)
            return edition.explain_for(session, newsletters.find(session, "daily"), story, email, now=NOW)

    assert why("MySQL is out", "all@example.org") == "waits for the next edition"
    with desk.database.write() as session:
        assert edition.compose(session, "daily", config, now=NOW).letters == 1
    assert why("Postgres 19 is out", "all@example.org").startswith("in edition 1, as the lead; that letter is owed")
    assert why("MySQL is out", "all@example.org").startswith("left out of edition 1: there was room for 1")
    assert why("SQLite is dropped", "all@example.org") == "an editor dropped it"
    assert why("Postgres 19 is out", "web@example.org") == "not her topic: she gets web, and this is databases"
    subscribe_to("late@example.org")
    assert "before she subscribed" in why("Postgres 19 is out", "late@example.org")
    with pytest.raises(NotFound):
        why("MySQL is out", "nobody@example.org")


def test_a_link_tells_the_fate_of_what_is_no_story(desk: Desk) -> None:
    feed = desk.feed("Archive")
    for age in range(5):
        desk.entry(feed, f"Day {age}", published_at=NOW - timedelta(days=age), url=f"https://a.example/{age}")
    desk.admit()
    desk.entry(feed, "Today", url="https://a.example/today")

    def fate(url: str) -> dict[str, Any]:
        with desk.database.read() as session:
            (found,) = why.entries_at(session, newsletters.find(session, "daily").id or 0, url)
            return edition.explain_entry(found, settle=timedelta(minutes=5), now=NOW)

    assert fate("https://a.example/4")["outcome"] == "held" and "newest 3" in fate("https://a.example/4")["why"]
    assert fate("https://a.example/today")["outcome"] == "waiting"


def test_a_backtest_says_what_other_rules_would_change_and_changes_nothing(desk: Desk) -> None:
    feed = desk.old_feed("Ada")
    desk.entry(feed, "Postgres 19 is out")
    desk.entry(feed, "A mattress")
    desk.admit()
    before = [(story.title, story.topic, story.pinned) for story in desk.stories()]
    rules = (
        settings_file.Rule(title="mattress", mute=True),
        settings_file.Rule(title="postgres", topic="web", pin=True),
    )
    other = SETTINGS.model_copy(update={"rules": rules})
    with desk.database.read() as session:
        result = edition.backtest(session, "daily", other, CURATE, since=NOW - timedelta(days=30))
    assert result.entries == 3
    assert [(d.title, d.was, d.would_be) for d in result.differences] == [
        ("Postgres 19 is out", "databases", "web, pinned"),
        ("A mattress", "other", "muted"),
    ]
    assert [(story.title, story.topic, story.pinned) for story in desk.stories()] == before


@pytest.fixture
def learnt(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many labels was learnt, each time."""
    found: list[int] = []
    train = learning.train

    def counted(headings: Any, labels: Any, **more: Any) -> Any:
        found.append(len(labels))
        return train(headings, labels, **more)

    monkeypatch.setattr(learning, "train", counted)
    return found


WORDS = {"security": "lock key thief alarm vault", "web": "page link form style colour"}


def test_labels_are_learnt_once_and_not_again_for_every_new_entry(desk: Desk, learnt: list[int]) -> None:
    for topic, said in WORDS.items():
        feed = desk.feed(topic.title(), topic=topic)
        for n in range(24):
            desk.entry(feed, f"{said} {n}", published_at=NOW - timedelta(days=n))
    news = desk.old_feed("News")

    def run(title: str) -> Story:
        desk.entry(news, title)
        edition.take_in(desk.database, "daily", desk.settings, CURATE, now=NOW)
        return desk.stories()[-1]

    first = run("thief opens vault with key, alarm silent")
    again = run("alarm and vault: thief lost the key")
    assert (first.topic, again.topic, again.topic_step) == ("security", "security", "words")
    since = len(learnt)
    run("a thief, an alarm, a lock")
    assert learnt[since:] == []
    other = desk.feed("Other", topic="web")
    for n in range(30):
        desk.entry(other, f"page and form and style {n}", published_at=NOW - timedelta(days=n))
    run("the vault alarm of a thief")
    assert len(learnt) == since + 1, "the labels are others now"


def test_of_a_busy_day_the_run_learns_once_and_a_look_ahead_places_as_the_run_does(
    desk: Desk, learnt: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries.labelled, "__kwdefaults__", {"per_feed": 24, "limit": 48})
    feeds = {topic: desk.old_feed(topic.title(), topic=topic) for topic in WORDS}
    news = desk.old_feed("News")
    titles = ("vault door stuck", "alarm silent", "thief takes key", "colour of form", "key and lock and alarm")

    def day(number: int, hours: int = 20) -> None:
        for n in range(hours):
            for topic, said in WORDS.items():
                desk.entry(feeds[topic], f"{said} day {number} hour {n}")
        desk.entry(news, titles[number - 1])

    def take_in(database: Database) -> list[tuple[str, str, Any]]:
        edition.take_in(database, "daily", desk.settings, CURATE, now=NOW)
        with database.read() as session:
            found = session.exec(select(Story).order_by(Story.seq)).all()
            return [(story.title, story.topic, story.reasons) for story in found]

    day(1), day(2)
    take_in(desk.database)
    learnt.clear()
    day(3), day(4)
    for _look in range(2):
        with desk.database.rehearse() as rehearsal:
            ahead = take_in(rehearsal)
    assert learnt == []
    assert take_in(desk.database) == ahead
    assert learnt == [48], "by the run, for the next one"
    day(5, hours=8)
    placed = {title: topic for title, topic, _reasons in take_in(desk.database)}
    assert (placed[titles[2]], placed[titles[3]]) == ("security", "web")
    assert learnt == [48], "most of those are among the newest still"


def test_a_scorer_that_cannot_be_loaded_is_a_mistake_in_the_settings(desk: Desk) -> None:
    desk.entry(desk.feed("Ada"), "Postgres 19 is out")
    with desk.database.write() as session, pytest.raises(ConfigError, match="nowhere:train"):
        edition.admit(session, "daily", SETTINGS, settings_file.Curate(scorer="nowhere:train"), now=NOW)
    assert desk.stories() == []


def test_an_admission_that_dies_leaves_nothing_decided(desk: Desk) -> None:
    desk.entry(desk.feed("Ada"), "Postgres 19 is out")
    with pytest.raises(RuntimeError), desk.database.write() as session:
        edition.admit(session, "daily", SETTINGS, CURATE, now=NOW)
        raise RuntimeError("the machine stopped")
    assert desk.stories() == []
    assert desk.admit().stories == 1


def test_the_page_of_a_stub_is_in_one_hand_and_is_tried_so_often_on_either_database(desk: Desk) -> None:
    number = desk.entry(desk.feed("Ada"), "Postgres 19 is out")
    hour = timedelta(hours=1)

    def claim(now: datetime) -> bool:
        with desk.database.write() as session:
            return full_texts.claim(session, number, lease=hour, now=now)

    assert [claim(NOW), claim(NOW), claim(NOW + hour)] == [True, False, True]
    with desk.database.write() as session:
        full_texts.release(session, number, next_at=NOW)
        full_texts.refuse(session, number, "its page is slow", next_at=NOW)
    assert [claim(NOW), claim(NOW + hour), claim(NOW + 9 * hour)] == [True, True, False]
    with desk.database.write() as session:
        full_texts.keep(session, number, article.Article("Text", b"gist"), link="https://a.example/1")
        full_texts.refuse(session, number, "too late", next_at=None)
        full_texts.keep_robots(session, "https://a.example", "disallow /", now=NOW)
        full_texts.keep_robots(session, "https://a.example", "allow /", now=NOW)
    with desk.database.read() as session:
        assert [(fate.taken, fate.why) for fate in full_texts.fates(session, entry_id=number)] == [(True, "")]
        assert full_texts.text(session, number) == "Text"
        assert full_texts.robots(session, ["https://a.example"], now=NOW) == {"https://a.example": "allow /"}


@on_sqlite
def test_admission_asks_no_more_often_for_more_feeds_of_some(desk: Desk) -> None:
    statements: list[str] = []
    sa.event.listen(desk.database.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    asked = []
    for number in (2, FEEDS, 3 * FEEDS):
        feeds = [desk.feed(f"Feed {number} {n}") for n in range(number)]
        with desk.database.write() as session:
            values = {"key": "1", "points": 3, "seen_at": NOW, "gist": gist.pack(gist.of("", "A text."))}
            session.add_all(
                Entry(feed_id=feed, title=f"Entry {feed}", url=f"https://a.example/{feed}", **values) for feed in feeds
            )
        statements.clear()
        assert edition.take_in(desk.database, "daily", SETTINGS, CURATE, now=NOW).stories == number
        asked.append(len(statements))
    few, some, many = asked
    assert some == few
    assert many - some == 2 * 4, (
        asked
    )  # for each more of some: the latest, their gists, the votes, the gists of what came


@on_sqlite
def test_who_still_waits_is_looked_up_by_key_and_not_feed_by_feed(desk: Desk) -> None:
    waiting = [desk.entry(desk.feed(f"Feed {n}")) for n in range(3)]
    said: list[tuple[str, Any]] = []
    sa.event.listen(desk.database.engine, "before_cursor_execute", lambda *told: said.append((told[2], told[3])))
    with desk.database.read() as session:
        newsletter_id = newsletters.find(session, "daily").id or 0
        said.clear()
        assert entries.still_waiting(session, newsletter_id, waiting)
        plans = [
            row[3]
            for statement, values in list(said)
            for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    assert [plan for plan in plans if "entry" in plan and "PRIMARY KEY" not in plan and "admission" not in plan] == []
    assert not [plan for plan in plans if plan.startswith("SCAN")], plans


def test_what_no_longer_waits_is_known_whatever_happened_to_it(desk: Desk) -> None:
    decided, gone, kept = (desk.entry(desk.feed(f"Feed {n}")) for n in range(3))
    alone = desk.feed("Left")
    left = desk.entry(alone)
    with desk.database.write() as session:
        newsletter_id = newsletters.find(session, "daily").id or 0
        session.add(Admission(newsletter_id=newsletter_id, entry_id=decided, decision=Decision.HELD, decided_at=NOW))
        session.get_one(Entry, gone).withdrawn_at = NOW
        session.delete(session.get_one(NewsletterFeed, (newsletter_id, alone)))
    with desk.database.read() as session:
        waits = [entries.still_waiting(session, newsletter_id, {kept, one}) for one in (kept, decided, gone, left, 99)]
    assert waits == [True, False, False, False, False]
