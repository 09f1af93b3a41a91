"""Alerts: each is told once when it begins and once when it is over, by channels that do not share a fate."""

from __future__ import annotations

import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from conftest import MONDAY, Clock, on_sqlite
from pydantic import ValidationError
from sqlmodel import col, select
from test_webhooks import Shop

from digest import alerts as room
from digest import line
from digest.alerts import Means, Seen, channels, conditions, judge, shapes, telling
from digest.cli import alarms
from digest.collect.posting import Poster
from digest.config import Config
from digest.errors import ConfigError, FetchError
from digest.models import Edition, EditionState, Feed, Newsletter, Notice
from digest.store import Database, alerts
from digest.values import Alert, AlertWord, Condition, Watched, WatchedFeed

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WORD = AlertWord("disk/1/trouble", "disk", "trouble", 'a "title" & <b>', "line\ntwo\\", "df -h", MONDAY, MONDAY)
SAID = Condition("disk", "the disk is nearly full", "1 MB is left")


class Ears:
    """Whoever is told, by a request or a program; what it says may fail, or the process may die after it."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, bytes]] = []
        self.deaf = False
        self.dies: Callable[[], bool] = lambda: False

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, method: str = "POST") -> int:
        if self.deaf:
            raise FetchError(url, "does not answer")
        self.heard.append((method, url, body))
        if self.dies():
            raise KeyboardInterrupt
        return 204

    def call(self, command: Sequence[str], given: bytes, seconds: float) -> str:
        self.heard.append(("command", command[0], given))
        return ""

    @property
    def means(self) -> Means:
        return Means(self.post, self.call)

    @property
    def names(self) -> list[str]:
        return [json.loads(body)["id"] for _, _, body in self.heard]


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.close()


def ringing(configure: Callable[..., Config], **own: Any) -> Config:
    return configure(alerts={"webhook": "https://hooks.example/secret-of-ours"} | own)


def judged(steps: Sequence[bool], every: timedelta, **how: Any) -> list[str]:
    """What is told where a condition is there, or not, at each look."""
    standing: Mapping[str, Alert] = {}
    said = []
    for number, there in enumerate(steps):
        given = {"patience": timedelta(), **how}
        made = judge(standing, [SAID] if there else [], now=MONDAY + number * every, **given)
        standing = made.alerts
        said += [word.state for word in made.words]
    return said


# ---------------------------------------------------------------- what is told when


def test_what_lasts_is_told_once_and_its_end_once():
    assert judged([True] * 100 + [False] * 100, HOUR) == ["trouble", "well"]


def test_what_does_not_last_for_the_patience_is_never_told():
    assert judged([True, False] * 50, HOUR, patience=2 * HOUR) == []


def test_what_comes_and_goes_is_told_once_a_day_at_most():
    said = judged([True, False] * 36, HOUR)
    assert said.count("trouble") == 3 and len(said) <= 6


def test_what_is_away_for_less_than_the_patience_is_summed_up_after_a_day():
    said = judged([True] * 4 + [False] + [True] * 40 + [False] * 9, HOUR, patience=2 * HOUR)
    assert said == ["trouble", "still", "well"]


def test_what_nobody_looked_at_is_not_told_to_be_over():
    standing = judge({}, [SAID], now=MONDAY, patience=timedelta()).alerts
    made = judge(standing, [], now=MONDAY + HOUR, patience=timedelta(), unknown=Seen().unknown)
    assert made.words == () and made.alerts == standing


def test_a_clock_that_was_ahead_keeps_nothing_back_for_longer_than_a_day():
    standing = judge({}, [SAID], now=MONDAY + 400 * DAY, patience=timedelta()).alerts
    gone = judge(standing, [], now=MONDAY, patience=timedelta())
    assert [word.state for word in gone.words] == ["well"]
    again = judge(gone.alerts, [SAID], now=MONDAY + DAY, patience=timedelta())
    assert [word.state for word in again.words] == ["trouble"]


def test_feeds_that_fail_are_one_alert_and_those_that_follow_are_told_a_day_later():
    def look(number: int, at: datetime, standing: Mapping[str, Alert]) -> Any:
        feeds = tuple(WatchedFeed(f"feed {n}", MONDAY - 9 * DAY, 5, "answers 404") for n in range(number))
        wrong = conditions(Watched(failing=feeds), Seen(), room.Lines(), now=at)
        assert len(wrong) == 1 and len(wrong[0].words.splitlines()) <= 11
        return judge(standing, wrong, now=at, patience=HOUR)

    first = look(40, MONDAY, {})
    assert [word.title for word in first.words] == ["40 feeds cannot be read"]
    soon = look(41, MONDAY + HOUR, first.alerts)
    assert not soon.words
    late = look(41, MONDAY + DAY, soon.alerts)
    assert [(word.state, word.title) for word in late.words] == [("still", "41 feeds cannot be read")]
    assert not look(40, MONDAY + 3 * DAY, late.alerts).words  # one that is well again is no news


def test_a_relay_that_no_letter_waited_for_is_not_known_to_be_well():
    def states(relays: Mapping[str, str] | None, standing: Mapping[str, Alert]) -> Any:
        seen = Seen(relays=relays)
        wrong = conditions(Watched(), seen, room.Lines(), now=MONDAY)
        return judge(standing, wrong, now=MONDAY, patience=timedelta(), unknown=seen.unknown)

    down = states({"": "refuses the password"}, {})
    assert [word.key for word in down.words] == ["relay"]
    assert not states({}, down.alerts).words and not states(None, down.alerts).words
    assert [word.state for word in states({"": ""}, down.alerts).words] == ["well"]


@pytest.mark.parametrize(
    ("seen", "key"),
    [
        (Seen(free=10_000_000), "disk"),
        (Seen(free=10**9, growth=2e8), "disk"),
        (Seen(certificates={"mx": MONDAY + DAY}), "certificate:mx"),
        (Seen(clock="says 1970"), "clock"),
        (Seen(mailbox="refuses"), "mailbox"),
        (Seen(database="is broken"), "database"),
        (Seen(slots={"daily": MONDAY - 2 * HOUR}), "late:daily"),
        (Seen(broken={"daily": "no template"}), "settings:daily"),
    ],
)
def test_what_is_seen_of_the_machine_is_told_by_its_key(seen, key):
    assert [one.key for one in conditions(Watched(), seen, room.Lines(), now=MONDAY)] == [key]
    assert not seen.unknown(key) and (Seen().unknown(key) or key.startswith("late"))


def test_shares_are_judged_by_enough_letters_only():
    for watched, keys in (
        (Watched(sent=199, bounced=199), []),
        (Watched(sent=1000, bounced=51, complained=4), ["bounces", "complaints"]),
        (Watched(sent=1000, bounced=50, complained=3), []),
    ):
        assert [one.key for one in conditions(watched, Seen(), room.Lines(), now=MONDAY)] == keys


# ---------------------------------------------------------------- what is stored


def test_what_is_stored_is_told_and_its_end_too(database, configure, clock, ears):
    config = ringing(configure, mail="ops@example.org", command=["page-me"])
    with database.write() as session:
        daily = session.exec(select(Newsletter)).one().id
        edition = Edition(newsletter_id=daily, number=7, composed_at=clock(), upto_seq=0, sender="a@b.example")
        edition.state, edition.state_reason = EditionState.PAUSED, "half of it was refused"
        feed = Feed(url="https://gone.example/feed", added_at=clock(), next_at=clock(), failures=9, error="answers 404")
        feed.failing_since = clock() - 3 * DAY
        session.add_all([edition, feed])
    for _ in range(3):
        room.tell(database, config, Seen(), clock=clock, means=ears.means)
        clock.pass_(hours=1)
    told = Counter(name.partition("/")[0] for name in ears.names)
    assert told == {"feeds:failing": 2, "edition:daily:7": 2}  # a webhook and a command
    with database.write() as session:
        session.exec(select(Edition)).one().state = EditionState.OPEN
        session.exec(select(Feed)).one().failures = 0
    ears.heard.clear()
    for _ in range(2):
        room.tell(database, config, Seen(), clock=clock, means=ears.means)
    assert len(ears.heard) == 4 and all(json.loads(body)["state"] == "well" for _, _, body in ears.heard)
    with database.read() as session:
        subjects = [one.subject for one in session.exec(select(Notice).order_by(col(Notice.id)))]
    assert len(subjects) == 4 and "[!] digest: daily No. 7 is paused" in subjects


def test_a_channel_that_fails_is_tried_by_the_next_run_and_told_by_status(database, configure, clock, ears):
    config, seen = ringing(configure, command=["page-me"]), Seen(clock="says 1970")
    ears.deaf = True
    told = room.tell(database, config, seen, clock=clock, means=ears.means)
    assert told.failed == {"webhook": "hooks.example: does not answer"} and told.said == 1
    with database.read() as session:
        (failing,) = alerts.failing(session, now=clock())
    assert failing.channel == "webhook" and "secret" not in failing.error
    ears.deaf = False
    clock.pass_(minutes=1)
    room.tell(database, config, seen, clock=clock, means=ears.means)
    assert len(ears.heard) == 2 and len(set(ears.names)) == 1
    with database.read() as session:
        assert alerts.failing(session, now=clock()) == []


def test_a_dead_relay_is_told_by_the_other_channel_and_its_end_by_both(box, configure, clock, ears):
    config = ringing(configure, mail="ops@example.org")
    down, up = Seen(relays={"": "refuses us"}), Seen(relays={"": ""})
    assert room.tell(box, config, down, clock=clock, means=ears.means).mails == 0 and len(ears.heard) == 1
    assert room.tell(box, config, up, clock=clock, means=ears.means).mails == 1 and len(ears.heard) == 2
    alone = configure(alerts={"mail": "ops@example.org"})
    clock.pass_(days=2)
    assert room.tell(box, alone, down, clock=clock, means=ears.means).mails == 1


# ---------------------------------------------------------------- a year


@on_sqlite
def test_a_year_tells_each_trouble_once_and_each_recovery_once(database, configure, clock, ears):
    """Troubles come and go at random; runs come in twos, one within the other, and are killed after they spoke."""
    config, rng = ringing(configure, mail="ops@example.org"), random.Random(7)
    there: dict[str, bool] = dict.fromkeys(("clock", "mailbox", "settings:daily"), False)
    begun, over, kills = Counter[str](), Counter[str](), 0

    def seen() -> Seen:
        return Seen(
            clock="wrong" * there["clock"],
            mailbox="shut" * there["mailbox"],
            broken={"daily": "none"} if there["settings:daily"] else {},
        )

    def tell(who: Ears) -> None:
        room.tell(database, config, seen(), clock=clock, means=who.means)

    def dies() -> bool:
        nonlocal kills
        if rng.random() < 0.3:
            kills += 1
            return True
        if rng.random() < 0.5:  # another run, while we speak
            other = threading.Thread(target=tell, args=(quiet,))
            other.start()
            other.join()
        return False

    quiet = Ears()
    ears.dies = dies
    for _look in range(73):  # every five days
        key = rng.choice(sorted(there))
        if rng.random() < 0.5:
            there[key] = not there[key]
            (begun if there[key] else over)[key] += 1
        with suppress(KeyboardInterrupt):
            tell(ears)
        clock.pass_(days=5)
    ears.dies = lambda: False
    tell(ears)
    heard = ears.names + quiet.names
    states = Counter(tuple(name.split("/")[::2]) for name in set(heard))
    assert states == {**{(k, "trouble"): n for k, n in begun.items()}, **{(k, "well"): n for k, n in over.items()}}
    assert kills > 5 and len(heard) <= len(set(heard)) + kills  # what was said twice was said by a process that died
    with database.read() as session:
        mails = [one.key.removeprefix("alert:") for one in session.exec(select(Notice))]
    assert sorted(mails) == sorted(set(heard))


def test_two_runs_at_once_decide_once(database, configure, clock, ears, monkeypatch):
    config, seen = ringing(configure), Seen(clock="says 1970")
    real, nested = alerts.lock, []

    def between(session: Any) -> None:
        """The other run has judged, and said so, before this one has the lock."""
        if not nested and session.get_bind().dialect.name == "postgresql":
            nested.append(1)
            room.tell(database, config, seen, clock=clock, means=ears.means)
        real(session)

    monkeypatch.setattr(telling.alerts, "lock", between)
    room.tell(database, config, seen, clock=clock, means=ears.means)
    room.tell(database, config, seen, clock=clock, means=ears.means)
    assert len(ears.heard) == 1


# ---------------------------------------------------------------- shapes and channels


@pytest.mark.parametrize("shape", ["json", "slack", "discord", "matrix"])
def test_each_shape_is_json_that_says_it_all(shape):
    made = shapes.request(WORD, "https://chat.example/room", shape)
    told = json.dumps(json.loads(made.body), ensure_ascii=False)
    assert "title" in told and "df -h" in told and "two" in told
    assert made.method == ("PUT" if shape == "matrix" else "POST")
    if shape == "matrix":
        assert made.url == "https://chat.example/room/disk%2F1%2Ftrouble"
    if shape == "slack":
        assert "<b>" not in told


def test_ntfy_has_the_title_in_a_header_whatever_it_says():
    made = shapes.request(WORD, "https://ntfy.example/t", "ntfy")
    assert made.headers["Title"] == '[!] digest: a "title" & <b>' and made.body.startswith(b"line")
    strange = AlertWord("n", "k", "well", "Zürich\r\nX-Evil: 1", "w", "", MONDAY, MONDAY)
    title = shapes.request(strange, "https://ntfy.example/t", "ntfy").headers["Title"]
    assert title.isascii() and "\n" not in title


def test_a_template_cannot_be_broken_by_what_it_is_given():
    template = '{"a": "{{ title }}", "b": {{ message | tojson }}, "id": "{{ id }}"}'
    told = json.loads(shapes.request(WORD, "https://x.example", "json", template).body)
    assert told["a"] == WORD.title and told["b"].startswith("line\ntwo\\") and told["id"] == WORD.name


@pytest.mark.parametrize("template", ["{{ nobody }}", "{{ 1 // 0 }}", "{{ title.x.y }}", "{{ ''.__class__.mro() }}"])
def test_a_template_that_fails_is_a_channel_that_fails(template, configure, ears):
    own = ringing(configure, template=template).alerts
    assert "template" in channels.say(WORD, "webhook", own, ears.means) and not ears.heard


def test_a_program_has_the_word_on_its_input_and_says_by_its_code_how_it_went(tmp_path):
    out = tmp_path / "out"
    code = f"import sys; open({str(out)!r}, 'wb').write(sys.stdin.buffer.read()); sys.exit(3)"
    said = channels.called([sys.executable, "-c", code], b'{"id": 1}', 30)
    assert said.endswith("exit code 3") and out.read_bytes() == b'{"id": 1}'
    assert "cannot be run" in channels.called([str(tmp_path / "nobody")], b"", 30)
    assert channels.called(["sleep", "60"], b"", 0.01).endswith("seconds")


def test_webhook_and_heartbeat_go_over_the_wire_under_the_guard(shop, configure):
    own = configure(alerts={"webhook": shop.url, "heartbeat": f"{shop.url}/beat?x=1", "private_addresses": True}).alerts
    means = Means(Poster(allow_private=True))
    assert channels.say(WORD, "webhook", own, means) == ""
    assert json.loads(shop.got[0][1])["key"] == "disk"
    assert [room.beat(own, code, means) for code in (0, 75, 69)] == ["", "", ""]
    assert shop.got[-1][1] == b"digest run: exit code 69"
    guarded = Means(Poster(allow_private=False))
    assert "127.0.0.1" in room.beat(own, 0, guarded)
    shop.answers = [500]
    assert channels.say(WORD, "webhook", own, means) == "127.0.0.1 answers 500"


def test_a_good_run_is_one_beat_and_a_failed_one_says_so(configure, ears):
    own = configure(alerts={"heartbeat": "https://hc.example/uuid?a=b"}).alerts
    for code in (0, 75, 69, 78):
        room.beat(own, code, ears.means)
    beats = [url for _, url, _ in ears.heard]
    assert beats == ["https://hc.example/uuid?a=b"] * 2 + ["https://hc.example/uuid/fail?a=b"] * 2


def test_a_database_in_trouble_is_told_once_a_day_and_its_end_once(configure, ears, tmp_path, clock):
    config = ringing(configure)
    for hours in (0, 1, 2, 25):
        alarms._without_database(config, "it is locked", ears.means, at=clock() + hours * HOUR)
    assert len(ears.heard) == 2
    alarms._recovered(config, ears.means)
    alarms._recovered(config, ears.means)
    assert [json.loads(body)["state"] for _, _, body in ears.heard] == ["trouble", "trouble", "well"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook": "ftp://x.example"},
        {"webhook": "http://x.example"},
        {"webhook": "https://me:secret@x.example"},
        {"webhook": "https://x.example", "template": "{% if %}"},
        {"template": "x"},
        {"mail": "Ops <ops@example.org>"},
        {"weekly": "mon 08:00"},
        {"mail": "ops@example.org", "weekly": "someday"},
        {"shape": "pigeon"},
        {"command": [""]},
    ],
)
def test_settings_that_could_not_work_are_refused(wrong, configure):
    with pytest.raises((ConfigError, ValidationError)) as told:
        configure(alerts=wrong)
    assert "secret" not in str(told.value)


# ---------------------------------------------------------------- the whole


def test_the_letter_of_the_week_goes_once_a_week(box, configure, clock):
    config = configure(alerts={"mail": "ops@example.org", "weekly": "mon 08:00 UTC"})
    owed = 0
    for _ in range(24 * 3):
        owed += room.owe_weekly(box, config, now=clock.pass_(hours=7))
    assert owed == 3
    with box.read() as session:
        letter = session.exec(select(Notice)).first()
    assert letter and "letters went out" in letter.text and letter.html


def test_the_line_judges_itself_and_sends_what_it_owes(box: Database, configure: Any, clock: Clock) -> None:
    daily = {"title": "Daily", "from": "Daily <news@news.example>", "schedule": "daily 07:00 UTC"}
    config = configure(alerts={"mail": "ops@example.org"}, newsletters={"daily": daily})
    clock.pass_(days=2)
    seen = line.seen(box, config, now=clock())
    assert "daily" in seen.slots and seen.free
    told = line.alert(box, config, clock=clock, rng=random.Random(1), seen=seen)
    assert told.mails == 1 and len(list(config.maildir.glob("new/*"))) == 1
    assert not line.alert(box, config, clock=clock, rng=random.Random(1), seen=seen).words
