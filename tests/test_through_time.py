"""What happened next, and whose week it was: stories over several editions, on real databases."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import fill_once, on_sqlite
from people import enrol
from sqlmodel import select
from starlette.testclient import TestClient

from digest import edition, upkeep
from digest.config import Config
from digest.curate import following
from digest.errors import BadInput
from digest.models import Edition, EditionState, Feed, NewsletterFeed, Variant
from digest.store import Database, earlier, newsletters
from digest.store.story_tables import Entry, Story, VariantStory
from digest.web import application

DAY = timedelta(days=1)
SUNDAY = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
WORDS = """
amber basalt cedar delta ember fjord granite harbour indigo juniper kelp lagoon marble nectar opal pebble quartz reed
saffron thistle umber violet willow yarrow zinc barley copper dune elder flint
""".split()  # noqa: SIM905

NEWSLETTER = {"title": "Daily", "from": "Daily <news@news.example>", "topics": {"town": {"title": "Town"}}}
BEFORE = "Brightmail outage: pharmacies cannot read prescriptions"
AFTER = "Brightmail explains how pharmacies lost all prescriptions"

# ---------------------------------------------------------------- does one continue the other?

CONTINUED = [
    (
        "Brightmail outage: pharmacies cannot read prescriptions",
        "Brightmail explains how pharmacies lost all prescriptions",
    ),
    ("Tarn Valley dam is closed after cracks", "Engineers blame frost for cracks in Tarn Valley dam wall"),
    ("Oberon drops the Meridian licence for a paid one", "Oberon backs down: Meridian licence returns after protest"),
    ("Writing a shell in Zig, part 1", "Writing a shell in Zig, part 2"),
    (
        "Pharmacies Cannot Read Prescriptions After Brightmail Outage",
        "Brightmail Explains How Pharmacies Lost All Prescriptions in Outage",
    ),
    ("Rebuilding the Hollow Creek signal box", "Rebuilding the Hollow Creek signal box: part 2"),
]
APART = [
    ("Rust 1.80 is out", "Rust 1.81 is out"),  # each is news of its own
    ("Oberon 4.1 released with Meridian tables", "Oberon 4.2 released with faster Meridian tables"),
    ("Kubernetes operators for Postgres", "Kubernetes operators, and why Postgres wants none"),  # a subject
    ("How to harden a Meridian server with Oberon", "Meridian attacks Oberon in court over server names"),
    ("Weekly links: Oberon, Meridian, Tarn", "Weekly links: Oberon, Meridian, Brightmail"),
    ("Podcast 41: Ada Quint on Oberon and Meridian", "Podcast 42: Ada Quint on Oberon and Meridian again"),
    ("Oberon report for June: Meridian grows", "Oberon report for July: Meridian grows slower"),
    ("Tarn Valley Radio: the morning in pictures", "Tarn Valley Radio: an evening in sounds"),
    ("Ada Quint on growing old", "Ada Quint opens a bakery"),  # one name
    ("A deep dive into brute force attacks", "How we stopped brute force attacks"),
    ("Weekly: Meridian, Tarn and Oberon", "Weekly: Meridian, Tarn and Oberon"),  # nothing new in it
    ("Writing a shell in Zig, part 1", "Writing a shell in Zig, part 4"),
    # A round-up names several stories.
    (
        "Oberon drops the Meridian licence",
        "Tarn Valley floods again, Oberon and Meridian settle, Brightmail licence ends",
    ),
    # Where all words have capitals, none of them is a name for that.
    ("Surface Waves in Acoustic Metamaterial Lattices", "Acoustic Surface Wave Sensors for Detection in Blood"),
    ("Veri Hatlarında Algoritmik Optimizasyon Stratejileri", "Veri Boyutu Azaltma Stratejileri ve Algoritmik Derinlik"),
]


def continued(before: str, after: str, *, sites: str = "ab", days: int = 3, **values: Any) -> str:
    one = following.Telling(1, before, f"https://{sites[0]}.example/1", day=100)
    two = following.Telling(2, after, f"https://{sites[1]}.example/2", day=100 + days, **values)
    seen = dict.fromkeys(one.known_by, 1)
    found = following.latest(two, [one], seen)
    return found.why if found else ""


@pytest.mark.parametrize(("before", "after"), CONTINUED)
def test_what_happened_next_is_known_by_what_two_titles_share(before: str, after: str) -> None:
    sites = "aa" if "part" in after else "ab"
    assert continued(before, after, sites=sites)


@pytest.mark.parametrize(("before", "after"), APART)
@pytest.mark.parametrize("sites", ["ab", "aa"])
def test_one_subject_a_series_or_the_next_release_is_no_continuation(before: str, after: str, sites: str) -> None:
    assert not continued(before, after, sites=sites)


def test_a_link_tells_what_two_titles_hardly_do_but_no_list_of_links() -> None:
    pair = ("Cracks in the Tarn dam", "Frost was it, says the Tarn office")
    links = frozenset(["https://a.example/1"])
    assert continued(*pair) == ""
    assert "links to it" in continued(*pair, links=links)
    assert continued(*pair, links=links | {f"https://c.example/{n}" for n in range(12)}) == ""
    assert continued("Cracks in the wall", "What we read", links=links) == ""


def test_of_several_the_latest_is_pointed_to_and_a_common_word_leads_nowhere() -> None:
    some = [following.Telling(n, f"{BEFORE} in {n} towns", f"https://s{n}.example/", day=n) for n in (1, 2)]
    new = following.Telling(3, AFTER, "https://s3.example/", day=3)
    found = following.latest(new, some, dict.fromkeys(new.known_by, 2))
    assert found is not None and found.id == 2
    assert following.latest(new, some, dict.fromkeys(new.known_by, following.COMMON)) is None


def test_two_that_share_too_little_are_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most earlier stories that are looked at are such, and each has an excerpt."""
    one = following.Telling(1, "Amber basalt beats cedar", "https://a.example/1", text="Long words of it. " * 40)
    two = following.Telling(2, "Amber basalt in the fjord", "https://b.example/2", text="And others of it. " * 40)
    monkeypatch.setattr(following, "_small", None)
    assert following.latest(two, [one], dict.fromkeys(two.known_by, 1)) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("京都大学が新しい素材を開発したと発表しました", "京都大学の新しい素材の開発について発表しました"),
        ("پاکستان اور امریکہ کے تعلقات", "امریکہ اور پاکستان ایک دوسرے کا کیا بگاڑ سکتے ہیں"),
    ],
)
def test_scripts_without_capitals_ask_for_more(before: str, after: str) -> None:
    assert not continued(before, after)


# ---------------------------------------------------------------- over several editions


class Town:
    """A newsletter with feeds, at whose editions one looks."""

    def __init__(self, database: Database, config: Config) -> None:
        self.database, self.config = database, config
        self.feeds: dict[str, int] = {}

    def tells(self, title: str, *feeds: str, now: datetime, link: str = "", text: str = "") -> None:
        """Some feeds tell a story, all with one link."""
        for feed in feeds or ("a",):
            with self.database.write() as session:
                if feed not in self.feeds:
                    weight = 0.5 if feed == "big" else None
                    url = f"https://{feed}.example/feed"
                    row = Feed(url=url, title=feed.upper(), added_at=now, next_at=now, weight=weight)
                    session.add(row)
                    session.flush()
                    self.feeds[feed] = row.id or 0
                    paper = newsletters.find(session, "daily").id
                    session.add(NewsletterFeed(newsletter_id=paper, feed_id=row.id, topic="town", added_at=now))
                key = f"{title} {feed}"
                url = link or f"https://{feeds[0] if feeds else 'a'}.example/{title.replace(' ', '-')}"
                session.add(
                    Entry(
                        feed_id=self.feeds[feed],
                        key=key,
                        url=url,
                        title=title,
                        summary=text or f"<p>{' '.join(random.Random(key).choices(WORDS, k=24))}.</p>",
                        published_at=now,
                        seen_at=now,
                    )
                )

    def composes(self, now: datetime) -> edition.Composed:
        settings = self.config.newsletters["daily"]
        edition.take_in(self.database, "daily", settings, self.config.curate, now=now)
        composed = edition.take_turn(self.database, "daily", self.config, now=now)
        upkeep.make_findable(self.database)
        return composed

    def variants(self, number: int) -> list[Variant]:
        with self.database.read() as session:
            query = select(Variant).join(Edition, Edition.id == Variant.edition_id)  # type: ignore[arg-type]
            return list(session.exec(query.where(Edition.number == number).order_by(Variant.since_seq)))

    def story(self, title: str) -> Story:
        with self.database.read() as session:
            return session.exec(select(Story).where(Story.title == title)).one()

    def why(self, title: str) -> dict[str, Any]:
        with self.database.read() as session:
            return edition.explain(session, self.story(title))


@pytest.fixture
def town(database: Database, configure: Callable[..., Config]) -> Town:
    """Two editions: the second continues a story of the first. Ada is in both."""
    made = Town(database, configure(newsletters={"daily": NEWSLETTER}))

    def begin() -> None:
        with database.write() as session:
            enrol(session, "ada@a.example", now=SUNDAY - DAY)
        made.tells(BEFORE, now=SUNDAY)
        made.tells("A bakery opens in Mill Lane", "c", now=SUNDAY)
        assert made.composes(SUNDAY + timedelta(hours=1)).number == 1

    fill_once(database, "town", begin)
    made.feeds = {"a": 1, "c": 2}
    return made


def goes_on(town: Town, now: datetime = SUNDAY + 2 * DAY) -> None:
    town.tells(AFTER, "b", now=now)
    town.tells("The bus to Mill Lane is late again", "c", now=now)
    assert town.composes(now + timedelta(hours=1)).number == 2


THERE = "https://digest.example/newsletters/daily/editions/1#story-"


def test_a_mail_says_what_it_continues_and_so_do_pages_feeds_and_why(town: Town) -> None:
    goes_on(town)
    (variant,) = town.variants(2)
    link = f"{THERE}{town.story(BEFORE).id}"
    said = re.findall(r'<a [^>]*href="([^"]+)"[^>]*title="([^"]+)"[^>]*>(Earlier[^<]+)<', variant.html)
    assert said == [(link, escape(BEFORE), "Earlier: No. 1, Mar 1")]
    assert f"Earlier: No. 1, Mar 1:\n- {BEFORE}\n  {link}\n" in variant.text
    told = town.why(AFTER)["continues"]
    assert told.startswith(f"story {town.story(BEFORE).id} of No. 1, 2026-03-01: {BEFORE} (both say: ")
    web = TestClient(
        application(town.database, town.config, clock=lambda: SUNDAY + 3 * DAY), base_url="https://digest.example"
    )
    page = web.get("/newsletters/daily/editions/1").text
    assert re.search(rf'<a id="story-{town.story(BEFORE).id}" [^>]*>{escape(BEFORE)}', page)
    for path in ("topics/town", "topics/town/feed.atom", "feed.atom", "feed.json", "editions/2"):
        shown = web.get(f"/newsletters/daily/{path}").text
        assert shown.count("Earlier: No. 1") == 1 and link in shown.replace("&amp;", "&"), path


@pytest.mark.thin(4)
@pytest.mark.parametrize(
    ("theme", "language", "words"),
    [
        ("paper", "de", "Zuvor: Nr. 1, 1. März"),
        ("plain", "ar", "سابقًا: العدد 1، "),
        ("compact", "ja", "以前の記事：第1号、3月1日"),
        ("magazine", "ru", "Ранее: № 1, 1 мар"),
    ],
)
@on_sqlite
def test_every_theme_says_it_in_the_readers_language(
    town: Town, configure: Callable[..., Config], theme: str, language: str, words: str
) -> None:
    town.config = configure(newsletters={"daily": NEWSLETTER | {"theme": theme, "language": language}})
    goes_on(town)
    (variant,) = town.variants(2)
    assert words in variant.html and words in variant.text


def test_without_an_archive_it_points_to_the_source_and_of_what_is_gone_to_nothing(
    town: Town, configure: Callable[..., Config]
) -> None:
    town.config = configure(newsletters={"daily": NEWSLETTER | {"archive": False}})
    goes_on(town)
    (variant,) = town.variants(2)
    assert f'href="{town.story(BEFORE).url}"' in variant.html and "Earlier: Mar 1<" in variant.html
    with town.database.write() as session:
        entry = session.get_one(Entry, town.story(BEFORE).entry_id)
        session.delete(entry)
    assert "which no edition shows any more" in town.why(AFTER)["continues"]


@pytest.mark.parametrize("state", [EditionState.HELD, EditionState.CANCELLED])
def test_an_edition_that_did_not_go_out_is_pointed_to_by_none(town: Town, state: EditionState) -> None:
    with town.database.write() as session:
        session.exec(select(Edition)).one().state = state
    goes_on(town)
    assert "Earlier" not in town.variants(2)[0].html


def test_who_is_sent_both_in_one_mail_is_not_pointed_back(database: Database, configure: Callable[..., Config]) -> None:
    town = weekly(database, configure, "daily 08:00")
    town.tells(BEFORE, now=SUNDAY + timedelta(hours=1))
    assert town.composes(SUNDAY + DAY).number == 2
    town.tells(AFTER, "b", now=SUNDAY + 6 * DAY)
    assert town.composes(SUNDAY + 7 * DAY).number == 3
    eves, adas = town.variants(3)
    assert eves.story_count == 2 and "Earlier" not in eves.html
    assert adas.story_count == 1 and "Earlier: No. 2, Mar 2" in adas.html


def test_an_editor_takes_it_away_points_elsewhere_and_takes_that_back(town: Town) -> None:
    goes_on(town)
    after, bakery = town.story(AFTER).id or 0, town.story("A bakery opens in Mill Lane").id or 0

    def says(earlier: int) -> str:
        with town.database.write() as session:
            edition.reword(session, "daily", after, edition.Rewording(earlier=earlier))
        return str(town.why(AFTER)["continues"])

    found = town.why(AFTER)["continues"]
    assert says(0) == "nothing: an editor took it away"
    assert f"story {bakery} of No. 1" in says(bakery) and says(-1) == found
    with pytest.raises(BadInput, match="came no earlier"):
        says(after)


def test_what_an_editor_said_before_the_edition_stands(town: Town) -> None:
    now = SUNDAY + 2 * DAY
    town.tells(AFTER, "b", now=now)
    settings = town.config.newsletters["daily"]
    edition.take_in(town.database, "daily", settings, town.config.curate, now=now + timedelta(minutes=30))
    with town.database.read() as session:  # what the editor looks at says what the edition will
        draft = edition.preview(session, "daily", town.config, now=now + timedelta(minutes=30))
        assert draft is not None and "Earlier: No. 1" in draft.rendered.html
    with town.database.write() as session:
        edition.reword(session, "daily", town.story(AFTER).id or 0, edition.Rewording(earlier=0))
    town.composes(now + timedelta(hours=1))
    assert "Earlier" not in town.variants(2)[0].html


@pytest.mark.parametrize(("days", "said"), [(60, True), (1, False), (0, False)])
def test_earlier_days_bound_how_far_back_is_looked(
    town: Town, configure: Callable[..., Config], days: int, said: bool
) -> None:
    town.config = configure(newsletters={"daily": NEWSLETTER}, curate={"earlier_days": days})
    goes_on(town)
    assert ("Earlier" in town.variants(2)[0].html) == said


def test_earlier_stories_are_looked_up_and_never_walked_through(town: Town) -> None:
    """However many editions there are: each question is answered from an index."""
    goes_on(town)
    with town.database.write() as session:
        paper = newsletters.find(session, "daily").id or 0
        if town.database.engine.name == "postgresql":
            session.execute(sa.text("SET LOCAL enable_seqscan = off"))
        asked: list[tuple[str, Any]] = []
        listening = (session.connection().engine, "before_cursor_execute")

        def note(_c: Any, _k: Any, statement: str, values: Any, *_more: Any) -> None:
            asked.append((statement, values))

        sa.event.listen(*listening, note)
        first = earlier.first_since(session, paper, SUNDAY - DAY) or 0
        seen = earlier.seen(session, paper, ["pharmaci"], first=first)
        having = earlier.having(session, paper, ["pharmaci"], first=first)
        earlier.linked(session, paper, ["https://a.example/x"], first=first)
        sa.event.remove(*listening, note)
        assert seen == {"pharmaci": 2} and len(having["pharmaci"]) == 2
        explain = "EXPLAIN QUERY PLAN " if town.database.engine.name == "sqlite" else "EXPLAIN "
        for statement, values in asked:
            plan = str(session.connection().exec_driver_sql(explain + statement, values).all())
            assert "SCAN " not in plan.replace("CONSTANT ROW", "").upper().replace("INDEX SCAN", "") or (
                "INDEX" in plan.upper() and "SEQ SCAN" not in plan.upper()
            ), plan


def test_a_carried_story_is_known_by_its_words_once_its_edition_is_open(town: Town) -> None:
    with town.database.read() as session:
        words = session.execute(sa.text("SELECT word FROM story_word ORDER BY word")).scalars().all()
        carried = session.exec(select(VariantStory.story_id)).all()
    assert len(carried) == 2 and {"brightmail", "prescription", "bakery"} <= set(words)


# ---------------------------------------------------------------- the week's biggest

SMALL = (
    """
Lanterns for the harbour | A choir looks for tenors | Chess club moves upstairs | New paint at the station
Cherry harvest begins early | Museum shows old kites | Ducks return to Fern Pond | Two benches for the park
Library lends out tools | Milk cart celebrates birthday
""".strip()
    .replace("\n", " | ")
    .split(" | ")
)


def weekly(database: Database, configure: Callable[..., Config], schedule: str) -> Town:
    """After its first edition, on a Sunday. Ada has each; Eve, of a daily newsletter, Sunday's."""
    town = Town(database, configure(newsletters={"daily": NEWSLETTER | {"schedule": schedule}}))
    with database.write() as session:
        newsletters.find(session, "daily").slot_at = SUNDAY - 70 * DAY
        enrol(session, "ada@a.example", now=SUNDAY - 40 * DAY)
        if schedule.startswith("daily"):
            enrol(session, "eve@e.example", now=SUNDAY - 40 * DAY, cadence="weekly sun")
    town.tells("A quiet beginning", now=SUNDAY - DAY)
    assert town.composes(SUNDAY).number == 1
    return town


@pytest.mark.parametrize(
    ("schedule", "days"),
    [("weekly sun 08:00", 7), ("fortnightly sun 08:00", 14), ("monthly 1 08:00", 31), ("daily 08:00", 1)],
)
@on_sqlite
def test_the_biggest_of_a_first_day_leads_at_the_end(
    database: Database, configure: Callable[..., Config], schedule: str, days: int
) -> None:
    town, last = weekly(database, configure, schedule), SUNDAY
    big = "The old bridge falls into the river"
    town.tells(big, "big", now=last + timedelta(hours=3))
    step = timedelta(days=days, hours=-10) / 10
    for n in range(1, 11):
        town.tells(SMALL[n - 1], f"f{n % 5}", now=last + timedelta(hours=4) + n * step)
    assert town.composes(last + timedelta(days=days)).number == 2
    assert all(big in variant.subject for variant in town.variants(2))


def test_a_weekly_reader_of_a_daily_newsletter_has_the_weeks_biggest_first(
    database: Database, configure: Callable[..., Config]
) -> None:
    town = weekly(database, configure, "daily 08:00")
    big = "The old bridge falls into the river"
    town.tells(big, "big", now=SUNDAY + timedelta(hours=5))
    for n in range(1, 8):
        town.tells(SMALL[n - 1], f"f{n}", now=SUNDAY + n * DAY - timedelta(hours=2))
        assert town.composes(SUNDAY + n * DAY).number == n + 1
    subjects = [variant.subject for variant in town.variants(8)]
    assert len(subjects) == 2 and big in subjects[0] and SMALL[6] in subjects[1]
