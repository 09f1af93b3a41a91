"""A database that was put back: nobody gets a letter twice, nobody is lost, who left stays gone."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from email import message_from_bytes, policy
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sqlalchemy as sa
from conftest import MONDAY, Clock, Done
from mailing import notice, owe, readers, send, tallied
from mailserver import MailServer, Taken
from sqlmodel import col, select

from digest import alerts as room
from digest.config import Config
from digest.deliver.content import Contents
from digest.deliver.ledger import Batch, Ledger, Wish
from digest.deliver.papers import Papers
from digest.demo.catcher import Catcher
from digest.errors import FetchError, PutBack
from digest.models import OutboxRow, OutboxState, Subscription
from digest.store import Database, backups, letters, open_database, outbox, restores
from digest.store.clock import utc_day
from digest.store.journal import Journal
from digest.store.run_tables import RunDay
from digest.store.witness import Standing, Witness, note_left, notice_mark

PEOPLE = ("ada@example.org", "bob@example.org", "cyd@example.org")


class House:
    """An installation in a folder: one feed, whose entries a test writes, and commands at a time of its own."""

    def __init__(self, folder: Path, digest: Callable[..., Done], at: Callable[..., None], inbox: Catcher) -> None:
        self.folder, self._digest, self._at, self.inbox = folder, digest, at, inbox
        self.now = MONDAY
        self.titles: list[str] = []
        self.set_up()

    def set_up(self, more: str = "") -> None:
        (self.folder / "digest.toml").write_text(
            f"""
            secret_key = "a key for tests, long enough"
            base_url = "https://digest.example"
            {more}
            [smtp]
            url = "{self.inbox.url}"
            [curate]
            newest_of_new_feed = 50
            new_feed_days = 3000
            flood = 500
            [newsletters.daily]
            title = "Daily"
            from = "Daily <news@news.example>"
            schedule = "daily 07:00"
            """
        )

    @property
    def database(self) -> Path:
        return self.folder / "digest.db"

    def __call__(self, *words: object, code: int | None = 0) -> Done:
        self._at(self.now)
        done = self._digest(*words)
        assert code is None or done.returncode == code, (words, done)
        return done

    def feed(self) -> bytes:
        """The last fifty entries, the newest first."""
        items = []
        for number, title in reversed(list(enumerate(self.titles))[-50:]):
            when = format_datetime(MONDAY + timedelta(minutes=number))
            items.append(
                f"<item><title>{title}</title><guid>{title}</guid><link>https://a.example/{title}</link>"
                f"<pubDate>{when}</pubDate><description>{title} and {title}</description></item>"
            )
        return f"<rss version='2.0'><channel><title>A</title>{''.join(items)}</channel></rss>".encode()

    def day(self, *titles: str, code: int = 0) -> Done:
        """A day later, something new, and a run."""
        self.now += timedelta(days=1)
        self.titles += titles
        return self("run", "--force", code=code)

    def had(self) -> dict[str, Counter[str]]:
        """Which stories each reader has got, and how often."""
        found: dict[str, Counter[str]] = {}
        for mail in self.inbox.messages:
            text = message_from_bytes(mail.content, policy=policy.default).get_body(("plain",)).get_content()
            theirs = found.setdefault(mail.recipient, Counter())
            theirs.update(title for title in self.titles if f"https://a.example/{title}" in text)
        return found

    def letters(self) -> Counter[str]:
        return Counter(self.inbox.recipients)

    def copy(self, name: str = "copy.db") -> Path:
        with sqlite3.connect(self.database) as source, sqlite3.connect(self.folder / name) as target:
            source.backup(target)
        source.close()
        target.close()
        return self.folder / name

    def put_back(self, copy: Path) -> None:
        for path in self.folder.glob("digest.db-*"):
            path.unlink()
        shutil.copy(copy, self.database)


@pytest.fixture
def house(tmp_path, digest, at, inbox) -> Iterator[House]:
    house = House(tmp_path, digest, at, inbox)

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = house.feed()
            self.send_response(200)
            self.send_header("Content-Type", "application/rss+xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        house("init")
        house.titles.append("first")
        house("feed", "add", f"http://127.0.0.1:{server.server_port}/feed.xml")
        for who in PEOPLE:
            house("subscriber", "add", who)
        yield house
        server.shutdown()
        thread.join()


def test_a_copy_put_back_is_noticed_and_once_accepted_nobody_gets_anything_twice(house):
    house.day("quokka")
    copy = house.copy()
    house.day("marimba", "isotope")
    house.day("lighthouse")
    assert house.letters() == dict.fromkeys(PEOPLE, 3)
    house.put_back(copy)
    for words in (("run",), ("deliver",), ("run", "--dry-run")):
        said = house(*words, code=69).stderr
        assert "it ends at edition 1 of daily, and letters of 2 and 3 went out since" in said
        assert "digest restore accept" in said
    assert "older than what was sent" in house("status", code=69).stderr
    tried = house("restore", "accept", "--dry-run")
    assert "nothing was changed" in tried.stderr
    house("run", code=69)
    house("restore", "accept", "--yes")
    house("run", "--force")
    assert house.letters() == dict.fromkeys(PEOPLE, 3)
    house.day("tundra")
    assert house.letters() == dict.fromkeys(PEOPLE, 4)
    assert all(set(theirs.values()) == {1} and len(theirs) == 6 for theirs in house.had().values()), house.had()
    assert "nothing to accept" in house("restore", "accept").stderr
    listed = json.loads(house("edition", "list", "--json").stdout)
    assert [line["number"] for line in listed] == [4, 3, 2, 1]


def test_in_a_copy_put_back_no_command_lets_letters_go_and_looking_harms_nothing(house):
    """Each command that opens an edition or owes letters again refuses; collecting and a test letter are safe."""
    house.day("one")
    copy = house.copy()
    house.day("two")
    house.day("three")
    before = house.letters()
    house.put_back(copy)
    for words in (
        ("edition", "resume", "1"),
        ("edition", "approve", "1"),
        ("edition", "resend", "1", "--only", "refused"),
        ("outbox", "retry", "1"),
        ("outbox", "release", "1"),
        ("outbox", "believe", "1"),
        ("run",),
        ("deliver",),
    ):
        refused = house(*words, code=69)
        assert "digest restore accept" in refused.stderr, words
    assert house.letters() == before
    house("collect", "--force")
    house("send-test", "operator@example.org")
    assert house.letters() == before + Counter({"operator@example.org": 1})
    house("restore", "accept", "--yes")
    house.day("four")
    for who, stories in house.had().items():
        if who in PEOPLE:
            assert stories == Counter(dict.fromkeys(("first", "one", "two", "three", "four"), 1)), who


@pytest.mark.long
def test_a_copy_from_before_letters_were_rolled_up_is_gone_on_with_as_any_other(house):
    copy = house.copy()
    for title in ("quokka", "marimba", "isotope", "lighthouse"):
        house.day(title)
    with closing(open_database(f"sqlite:///{house.database}")) as database, database.write() as session:
        days = [{"day": utc_day(house.now) + timedelta(days=n)} for n in range(1, 100)]
        session.connection().execute(sa.insert(RunDay), days)  # digest was at work on each
    house.now += timedelta(days=100)
    assert json.loads(house("db", "prune", "--json").stdout)["kinds"]["letters"]["rows"] > 0
    house.put_back(copy)
    house("run", code=69)
    house("restore", "accept", "--yes")
    house.day("tundra")
    assert all(set(theirs.values()) == {1} and len(theirs) == 6 for theirs in house.had().values()), house.had()
    house("audit", "--full")


@pytest.mark.long
def test_who_reads_weekly_gets_all_that_they_had_not(house):
    house("subscriber", "set", PEOPLE[2], "--cadence", "weekly sun")
    house.day("quokka")  # Tuesday
    copy = house.copy()
    for title in ("marimba", "isotope", "lighthouse"):
        house.day(title)
    house.put_back(copy)
    house("restore", "accept", "--yes")
    for title in ("tundra", "velvet", "gondola"):  # until Monday
        house.day(title)
    had = house.had()
    assert all(set(theirs.values()) == {1} for theirs in had.values()), had
    assert set(had[PEOPLE[2]]) == {"first", "quokka", "marimba", "isotope", "lighthouse", "tundra", "velvet"}
    assert house.letters()[PEOPLE[2]] == 1
    assert all(set(had[who]) == set(house.titles) for who in PEOPLE[:2])


@pytest.mark.parametrize("also", [False, True])
def test_a_copy_from_before_another_was_gone_on_with_tells_nothing_twice(house, also):
    """The second copy owes an edition that the first did not have, and whose stories went out from there since."""
    house.day("quokka")
    first = house.copy("first.db")
    settings, away = (house.folder / "digest.toml").read_text(), "smtp://127.0.0.1:1"
    settings = settings.replace("[smtp]", "[smtp]\nmax_lateness_hours = 96")
    (house.folder / "digest.toml").write_text(settings.replace(house.inbox.url, away))
    house.day("marimba", code=69)
    second = house.copy("second.db")
    house.put_back(first)
    house("restore", "accept", "--yes")
    if also:  # what was composed there stays owed as well, and the stories of the other go out first
        house.day("isotope", code=69)
        third = house.copy("third.db")
    (house.folder / "digest.toml").write_text(settings)
    if not also:
        house.day("isotope")
    house.put_back(second)
    house("restore", "accept", "--yes")
    if also:
        house("deliver")
        house.put_back(third)
        house("restore", "accept", "--yes")
    house.day("tundra")
    assert all(theirs == Counter(house.titles) for theirs in house.had().values()), house.had()


def test_of_which_editions_of_a_copy_others_took_the_place():
    """Copies that went on one after the other, each with where it ends; asked of one of tick 8, with editions to 4."""

    def line(*accepted: tuple[int, int, int]) -> int | None:
        said = [{"k": "accepted", "t": t, "copied": copied, "ends": {"1": end}} for t, copied, end in accepted]
        heard = restores.known([[*said, {"k": "letters", "marked": {"1/9": "1"}, "t": 99}]], after=8)
        return heard.issue("1/9").line

    assert line() is None
    assert line((20, 5, 2)) == 2  # a copy from before it
    assert line((20, 9, 5)) is None  # one from after it
    assert line((20, 5, 2), (30, 25, 7)) == 2  # one of what that became
    assert line((20, 5, 2), (30, 9, 5)) is None  # or one of its own again
    assert line((20, 5, 2), (30, 25, 7), (40, 3, 1)) == 1
    old = {"k": "accepted", "t": 20}  # of a release that did not say
    assert restores.known([[old]], after=8).issue("1/9").line is None


def test_who_left_was_suppressed_or_erased_since_stays_so(house):
    house.day("quokka")
    copy = house.copy()
    house.day("marimba")
    house("subscriber", "remove", PEOPLE[0])
    house("subscriber", "suppress", PEOPLE[1])
    house("subscriber", "erase", PEOPLE[2], "--yes")
    house.put_back(copy)
    said = house("run", code=69).stderr
    assert "3 readers have left" in said
    house("restore", "accept", "--yes")
    house.day("isotope")
    assert house.letters() == dict.fromkeys(PEOPLE, 2)
    shown = house("subscriber", "show", PEOPLE[0]).stdout
    assert "unsubscribed" in shown and "known from the witness" in shown
    assert "suppressed" in house("subscriber", "show", PEOPLE[1]).stdout
    house("subscriber", "show", PEOPLE[2], code=66)
    assert "was erased" in house("subscriber", "add", PEOPLE[2], code=64).stderr


def test_an_unsubscribe_alone_is_noticed(house):
    house.day("quokka")
    copy = house.copy()
    house("subscriber", "remove", PEOPLE[0])
    house.put_back(copy)
    assert "1 reader has left" in house("run", code=69).stderr
    house("restore", "accept", "--yes")
    house.day("marimba")
    assert house.letters() == {PEOPLE[0]: 1, PEOPLE[1]: 2, PEOPLE[2]: 2}


def witness(house: House) -> Path:
    return house.folder / "digest.db.witness"


def test_a_witness_that_is_lost_begins_anew_and_says_so_once(house):
    house.day("quokka")
    shutil.rmtree(witness(house))
    assert "is gone and begins anew" in house("deliver").stderr
    assert not house("deliver").stderr.count("witness")
    house("subscriber", "remove", PEOPLE[0])
    shutil.rmtree(witness(house))
    assert "is gone and begins anew" in house("subscriber", "remove", PEOPLE[1]).stderr


def test_a_witness_of_another_installation_is_set_aside_in_so_many_words(house, tmp_path):
    house.day("quokka")
    house("-c", "other/digest.toml", "init")
    with sqlite3.connect(tmp_path / "other" / "digest.db") as connection:
        connection.execute("UPDATE installation SET id = 'another'")
    connection.close()
    shutil.copytree(witness(house), tmp_path / "other" / "digest.db.witness")
    done = house("-c", "other/digest.toml", "deliver")
    assert "is of another installation: set aside as digest.db.witness.of-" in done.stderr
    assert len(list((tmp_path / "other").glob("digest.db.witness.of-*"))) == 1
    assert not house("-c", "other/digest.toml", "deliver").stderr.count("witness")


def test_a_copy_made_by_a_release_before_the_witness_is_noticed(house):
    house.day("quokka")
    copy = house.copy()
    with sqlite3.connect(copy) as connection:
        connection.executescript(
            "DROP TABLE installation; DROP TABLE witnessed_entry; UPDATE alembic_version SET version_num = '0021';"
            "DROP TABLE run; DROP TABLE tally; DROP TABLE feed_seen; DROP TABLE alert; DROP TABLE alert_telling;"
            "DROP TABLE letter_roll; DROP TABLE pruned_mark; DROP TABLE pruning;"
            "ALTER TABLE edition DROP COLUMN pruned; ALTER TABLE subscription DROP COLUMN arrived_at;"
            "DROP INDEX ix_outbox_held; DROP TABLE undecided; ALTER TABLE feed DROP COLUMN entry_count;"
            "DROP INDEX ix_edition_unsaid; DROP INDEX ix_edition_live; ALTER TABLE edition DROP COLUMN tally;"
            "DROP INDEX ix_outbox_unhad; DROP INDEX ix_outbox_doubt; DROP INDEX ix_entry_url;"
            "DROP INDEX ix_story_label;"
            "DROP INDEX ix_entry_original_url; DROP INDEX ix_entry_feed_id_seen_at; DROP INDEX ix_variant_fullest;"
            "DROP INDEX ix_admission_held; DROP INDEX ix_admission_decided_at; DROP INDEX ix_edition_upto;"
            "DROP INDEX ix_entry_changed_at;"
            "DROP TABLE lasting_id; ALTER TABLE outbox DROP COLUMN dated_at; ALTER TABLE edition DROP COLUMN title;"
            "DROP TABLE arrival; DROP TABLE learned;"
            "DROP TABLE story_word; DROP TABLE archive_index; DROP TABLE archive_words; DROP INDEX ix_edition_unfound;"
            "ALTER TABLE edition DROP COLUMN findable;"
            "DROP TABLE entry_picture; DROP TABLE picture_file; DROP TABLE summary;"
            "DROP TABLE worker; DROP TABLE relay_state; DROP TABLE relay_seat; DROP TABLE domain_state;"
            "DROP TABLE host_lease; DROP TABLE rate_window;"
            "ALTER TABLE full_text DROP COLUMN image_url; ALTER TABLE variant DROP COLUMN attached;"
            "ALTER TABLE variant DROP COLUMN moved;"
            "DROP INDEX ix_edition_laying_out; ALTER TABLE edition DROP COLUMN laying_out;"
            "ALTER TABLE outbox DROP COLUMN named;"
            "ALTER TABLE edition DROP COLUMN last_at"
        )
    connection.close()
    house.day("marimba")
    house.put_back(copy)
    said = house("run", code=69).stderr
    assert "older than what was sent" in said and "digest.db.witness away" in said
    house("restore", "accept", "--yes")
    house("run", "--force")
    assert house.letters() == dict.fromkeys(PEOPLE, 2)


def test_nothing_is_sent_where_the_witness_cannot_be_told(house):
    witness(house).write_text("a file")
    said = house.day("quokka", code=74).stderr
    assert "witness" in said and not house.inbox.messages
    witness(house).unlink()
    house.day()
    assert house.letters() == dict.fromkeys(PEOPLE, 1)


@pytest.mark.long
def test_a_witness_elsewhere_and_none_at_all(house, tmp_path):
    house.set_up('[keep]\nwitness = "far/away"')
    house.day("quokka")
    assert list((tmp_path / "far" / "away").glob("000001-*.jsonl")) and not witness(house).exists()
    house.set_up('[keep]\nwitness = "none"')
    copy = house.copy()
    house.day("marimba")
    house.put_back(copy)
    house("run", "--force")
    assert house.letters() == dict.fromkeys(PEOPLE, 3)  # as was asked for
    assert "no witness" in house("restore", "accept", code=66).stderr


def test_options_of_two_kinds_do_not_go_together(house):
    assert "one of --resend" in house("restore", "accept", "--hold", "--resend", code=64).stderr
    assert "digest restore accept" in house("restore", "x.tar", "--hold", code=64).stderr
    assert "for a backup" in house("restore", "accept", "--to", "x", code=64).stderr
    house("restore", "x.tar", code=66)
    assert "nothing to accept" in house("restore", "accept").stderr


# ---------------------------------------------------------------- letters of an edition that the copy has


@pytest.mark.parametrize("rest", ["resend", "hold", "drop"])
def test_of_an_edition_that_went_out_in_part_each_letter_is_known(box, config, clock, tmp_path, rest):
    """Ten letters: one was sent, one put off, two under way as the machine died, six not begun."""
    owe(box, config, *readers(10))
    backups.copy_sqlite(Path(config.database), tmp_path / "copy.db")
    box.witness = Witness(Journal(tmp_path / "witness"), clock=clock)
    papers = Papers(config, {1: "daily"}, frozenset())
    ledger = Ledger(box, Contents(papers), papers, clock=clock)
    claimed = ledger.commit(Batch(wish=Wish(outbox.Source(1, 1), 4))).claim
    assert claimed is not None
    marked = ledger.commit(Batch(marks=list(claimed.letters))).marked
    sent, put_off, *_ = marked.items()
    ended = [outbox.Outcome(*sent, OutboxState.SENT, 250, "2.0.0 queued")]
    ended.append(outbox.Outcome(*put_off, OutboxState.OWED, 450, "4.2.2 full", due_at=clock() + timedelta(hours=1)))
    ledger.commit(Batch(outcomes=ended))
    box.close()
    shutil.copy(tmp_path / "copy.db", config.database)
    with closing(open_database(config.database_url)) as database:
        database.witness = Witness(box.witness.journal, clock=clock)
        for _ in range(2):
            with pytest.raises(PutBack, match="letters of 1 went out since"):
                database.require_latest()
            with pytest.raises(PutBack):
                ledger_of(database, config, clock).commit(Batch(marks=list(claimed.letters[:1])))
        with database.write() as session:
            standing = database.witness.standing(session)
            heard = restores.known([database.witness.journal.read()], after=standing.tick)
            done = restores.accept(session, heard, standing, restores.Terms({"": restores.Rest(rest)}, clock()))
        (paper,) = done.papers
        assert (paper.settled, paper.doubtful) == (1, 2)
        database.require_latest()
        found = tallied(database)
        assert found["sent"] == 1 and found["held"] == (0 if rest == "resend" else 2)
        assert found["owed"] + found["claimed"] == (9 if rest == "resend" else 7 if rest == "hold" else 0)
        assert found["dropped"] == (7 if rest == "drop" else 0)
        with database.read() as session:
            assert len(letters.lines(session, in_doubt=True)) == 2


@pytest.mark.parametrize("put_off", [False, True])
@pytest.mark.parametrize("what", ["a letter", "a notice"])
def test_what_goes_again_from_a_copy_is_the_same_letter_and_its_doubt_stays(
    box, configure, clock, tmp_path, what, put_off
):
    """A server had seen all of it since the copy was made: it did not take it, or nobody heard whether it did."""
    with MailServer() as server:
        config = configure(smtp={"url": server.url})
        owe(box, config, "ada@example.org") if what == "a letter" else notice(box, "ada@example.org")
        backups.copy_sqlite(Path(config.database), tmp_path / "copy.db")
        box.witness = Witness(Journal(tmp_path / "witness"), clock=clock)
        seen: list[bytes] = []

        def reply(taken: Taken) -> str:
            seen.append(taken.content)
            return "451 4.3.0 later" if put_off and len(seen) == 1 else "250 2.0.0 queued"

        server.on_body = reply
        clock.pass_(minutes=17)
        send(box, config, clock)
        box.close()
        if not put_off:
            for path in (tmp_path / "witness").glob("*.jsonl"):  # the machine died before
                told = [json.loads(line) for line in path.read_text().splitlines()]
                kept = [one for one in told if "sent" not in one and "sent" not in one.get("notices", ())]
                assert len(kept) == len(told) - 1
                path.write_text("".join(f"{json.dumps(one)}\n" for one in kept))
        for _ in range(2):
            shutil.copy(tmp_path / "copy.db", config.database)
            with closing(open_database(config.database_url)) as database:
                go_on(database, Witness(Journal(tmp_path / "witness"), clock=clock), clock)
                clock.pass_(hours=2)
                give_an_attempt_back(database, clock)
                send(database, config, clock)
                with database.read() as session:
                    (line,) = letters.lines(session)
                assert (line.state, line.in_doubt) == (OutboxState.SENT, not put_off)
    assert len(seen) == 2 and len(set(seen)) == 1


def test_what_the_witness_tells_is_worked_in_on_either_database(database, config, clock):
    """As on a copy, in which nothing had gone out: by the records of a journal."""
    owe(database, config, *readers(4))
    for who in ("ada", "bob"):
        notice(database, f"{who}@example.org")
    with database.read() as session:
        by_person = {line.email: line.id for line in letters.lines(session)}
        key = f"{outbox.due_sources(session, now=clock())[-1].newsletter_id}/1"
    bob = by_person["bob@example.org"]
    hashes = [[by_person[who], notice_mark(f"confirm:{who}")] for who in ("ada@example.org", "bob@example.org")]
    marks = {"k": "letters", "at": "", "box": bob, "marked": {key: "1-4"}, "notices": {"marked": hashes}}
    old, now = MONDAY - timedelta(hours=9), MONDAY + timedelta(minutes=3)
    first = marks | {"dated": now.isoformat(), "dates": {old.isoformat(): {key: "2", "": f"{bob}"}}, "t": 1}
    ends = {"k": "letters", "sent": {key: "1"}, "back": {key: "2"}, "notices": {"sent": hashes[:1]}, "t": 2}
    again = {"k": "letters", "at": "", "box": 1, "marked": {key: "3"}, "dated": now.isoformat(), "t": 3}
    heard = restores.known([[first, ends, again, {"k": "letters", "sent": {key: "3"}, "t": 4}]], after=0)
    with database.write() as session:
        done = restores.accept(session, heard, Standing("older", 0, "x", 4, "x"), restores.Terms({}, clock()))
    assert [(paper.settled, paper.doubtful) for paper in done.papers] == [(2, 1)]
    with database.read() as session:
        rows = session.exec(select(OutboxRow).order_by(col(OutboxRow.id))).all()
    found = {who: (r.state, r.in_doubt, r.dated_at, r.attempts) for who, r in zip(by_person, rows, strict=True)}
    sent, owed = OutboxState.SENT, OutboxState.OWED
    assert found == {
        "reader0@example.org": (sent, False, now, 1),
        "reader1@example.org": (owed, False, old, 1),
        "reader2@example.org": (sent, True, now, 2),
        "reader3@example.org": (owed, True, now, 1),
        "ada@example.org": (sent, False, now, 1),
        "bob@example.org": (owed, True, old, 1),
    }


def test_who_had_another_edition_instead_is_not_owed_this_one_on_either_database(database, config, clock):
    owe(database, config, *readers(2))
    with database.read() as session:
        newsletter = outbox.due_sources(session, now=clock())[-1].newsletter_id
    then, key = clock().isoformat(), f"{newsletter}/2"
    said = [
        {"k": "accepted", "t": 5, "copied": 0, "ends": {f"{newsletter}": 0}},
        {"k": "edition", "t": 6, "key": key, "name": "daily", "slot": None, "composed": then, "upto": 7}
        | {"turns": [], "tape": []},
        {"k": "letters", "t": 7, "at": then, "box": 9, "marked": {key: "1"}, "dated": then},
        {"k": "letters", "t": 8, "sent": {key: "1"}},
    ]
    with database.write() as session:
        heard = restores.known([said], after=0)
        done = restores.accept(session, heard, Standing("older", 0, "x", 8, "x"), restores.Terms({}, clock()))
    assert [(paper.editions, paper.dropped, paper.moved) for paper in done.papers] == [([2], 1, 1)]
    with database.read() as session:
        found = session.exec(select(OutboxRow.state, OutboxRow.in_doubt).order_by(col(OutboxRow.id))).all()
        assert found == [(OutboxState.DROPPED, False), (OutboxState.OWED, False)]
        assert session.exec(select(Subscription.read_until).where(col(Subscription.id) == 1)).one() == 7


def go_on(database: Database, witness: Witness, clock: Clock) -> None:
    database.witness = witness
    with database.write() as session:
        standing = witness.standing(session)
        heard = restores.known([witness.journal.read()], after=standing.tick)
        restores.accept(session, heard, standing, restores.Terms({}, clock()))


def give_an_attempt_back(database: Database, clock: Clock) -> None:
    """Letters that are due are marked, and no connection comes about."""
    with database.write() as session:
        for source in outbox.due_sources(session, now=clock()):
            wanted = outbox.Wanted(source.edition_id, 9, newsletter_id=source.newsletter_id)
            lease, lifetime = timedelta(minutes=1), timedelta(days=2)
            claim = outbox.claim(session, wanted, now=clock(), lease=lease, lifetime=lifetime, hold_doubtful=False)
            marked = outbox.mark(session, claim.letters, now=clock(), lease=lease)
            outbox.unmark(session, marked.items(), now=clock())


def ledger_of(database: Database, config: Config, clock: Clock) -> Ledger:
    papers = Papers(config, {1: "daily"}, frozenset())
    ledger = Ledger(database, Contents(papers), papers, clock=clock)
    ledger.commit(Batch(wish=Wish(outbox.Source(1, 1), 4)))
    return ledger


def test_where_the_witness_is_full_nothing_goes_out_and_nothing_is_in_doubt(
    box, configure, inbox, clock, tmp_path, monkeypatch
):
    config = configure(smtp={"url": inbox.url})
    owe(box, config, *readers(30))
    box.witness = Witness(Journal(tmp_path / "witness"), clock=clock)
    really, calls = Journal._append, []

    def full(self: Journal, *arguments: object) -> None:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        really(self, *arguments)

    monkeypatch.setattr(Journal, "_append", full)
    report = send(box, config, clock)
    assert report.full and "witness" in report.stopped and report.sent + report.owed == 30
    assert tallied(box)["owed"] == report.owed and not report.in_doubt
    with box.read() as session:
        assert not letters.lines(session, in_doubt=True)
    monkeypatch.undo()
    clock.pass_(minutes=5)
    assert send(box, config, clock).owed == 0
    assert len(inbox.recipients) == len(set(inbox.recipients)) == 30


OLDER = "UPDATE installation SET tick = 0"
BEFORE_IT = f"{OLDER}; DELETE FROM outbox; DELETE FROM variant; DELETE FROM edition"  # was composed


@pytest.mark.parametrize("copy", [OLDER, BEFORE_IT], ids=["with the edition", "without it"])
def test_a_copy_put_back_under_a_sender_at_work_ends_it(box, configure, inbox, clock, tmp_path, copy):
    config = configure(smtp={"url": inbox.url, "connections": 2})
    owe(box, config, *readers(200))
    box.witness = Witness(Journal(tmp_path / "witness"), clock=clock)

    def put_back(_told: object) -> None:
        if len(inbox.recipients) > 5:
            with closing(sqlite3.connect(config.database)) as connection, connection:
                connection.executescript(copy)

    with pytest.raises(PutBack):
        send(box, config, clock, progress=put_back)
    before = len(inbox.recipients)
    assert 0 < before < 200
    with pytest.raises(PutBack):
        box.require_latest()


def test_a_commit_beside_the_question_is_no_alarm(box, config, clock, tmp_path):
    """While the witness is looked at, others commit: what the database says is asked after it."""
    box.witness = Witness(Journal(tmp_path / "witness"), clock=clock)
    owe(box, config, "ada@example.org")
    really = box.witness.journal.top

    def top() -> object:
        box.witness.journal.top = really
        with box.write() as session:
            note_left(session, "paused", subscriptions="1")
        return really()

    box.witness.journal.top = top
    box.require_latest()
    box.require_latest()


def test_reminders_and_confirmations_that_went_out_do_not_again(box, configure, inbox, clock, tmp_path):
    config = configure(smtp={"url": inbox.url})
    backups.copy_sqlite(Path(config.database), tmp_path / "before.db")
    box.witness = Witness(Journal(tmp_path / "witness"), clock=clock)
    notice(box, "ada@example.org")
    backups.copy_sqlite(Path(config.database), tmp_path / "owed.db")
    assert send(box, config, clock).sent == 1
    box.close()
    for name in ("before.db", "owed.db"):
        shutil.copy(tmp_path / name, config.database)
        with closing(open_database(config.database_url)) as database:
            go_on(database, Witness(box.witness.journal, clock=clock), clock)
            notice(database, "ada@example.org")
            assert send(database, config, clock).sent == 0
    assert inbox.recipients == ["ada@example.org"]


def test_a_notice_that_went_out_from_another_copy_under_another_number_does_not_again(
    box, configure, inbox, clock, tmp_path
):
    config = configure(smtp={"url": inbox.url})
    box.witness = Witness(Journal(tmp_path / "witness"), clock=clock)
    backups.copy_sqlite(Path(config.database), tmp_path / "first.db")
    notice(box, "ada@example.org")
    with box.write() as session:
        note_left(session, "paused", subscriptions="1")  # so that both copies are older
    backups.copy_sqlite(Path(config.database), tmp_path / "second.db")
    with box.write() as session:
        note_left(session, "paused", subscriptions="1")
    box.close()
    for name, wanted in (("first.db", ("bob", "ada")), ("second.db", ("bob", "ada", "cyd"))):
        shutil.copy(tmp_path / name, config.database)
        with closing(open_database(config.database_url)) as database:
            go_on(database, Witness(box.witness.journal, clock=clock), clock)
            for who in wanted:
                notice(database, f"{who}@example.org")
            send(database, config, clock)
    assert sorted(inbox.recipients) == [f"{who}@example.org" for who in ("ada", "bob", "cyd")]


def test_what_was_told_of_a_trouble_after_the_copy_is_known_and_what_was_not_said_is_said(
    box, configure, clock, tmp_path
):
    config = configure(alerts={"webhook": "https://hooks.example/x", "mail": "ops@example.org"})
    box.witness = Witness(Journal(tmp_path / "witness"), clock=clock)
    heard, deaf = [], []

    async def post(url, headers, body, *, method="POST"):
        if deaf:
            raise FetchError(url, "does not answer")
        heard.append(json.loads(body)["id"].split("/")[::2])
        return 204

    def tell(into=box, **seen) -> int:
        clock.pass_(days=2)
        return room.tell(into, config, room.Seen(**seen), clock=clock, means=room.Means(post)).mails

    assert tell(clock="", mailbox="shut") == 1
    copy = tmp_path / "copy.db"
    backups.copy_sqlite(Path(config.database_url.removeprefix("sqlite:///")), copy)
    assert tell(clock="wrong", mailbox="") == 2  # one begins, one is over
    deaf.append(1)
    assert tell(clock="wrong", mailbox="", database="ill") == 1  # which the webhook does not hear
    box.close()
    for beside in Path(config.database_url.removeprefix("sqlite:///")).parent.glob("digest.db-*"):
        beside.unlink()
    shutil.copy(copy, config.database_url.removeprefix("sqlite:///"))
    there = open_database(config.database_url)
    there.witness = Witness(Journal(tmp_path / "witness"), clock=clock)
    with there.write() as session:
        standing = there.witness.standing(session)
        known = restores.known([there.witness.journal.read()], after=standing.tick)
        restores.accept(session, known, standing, restores.Terms({}, clock()))
    deaf.clear()
    before = len(heard)
    # Three letters of these were owed, and none had gone out; what is said by the webhook is what was not.
    assert tell(there, clock="wrong", mailbox="", database="ill") == 3
    assert heard[before:] == [["database", "trouble"]]
    tell(there, clock="", mailbox="", database="")
    there.close()
    assert sorted(heard[before + 1 :]) == [["clock", "well"], ["database", "well"]]
