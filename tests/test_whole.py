"""Everything out in an open form, and back: no row is lost on the way, nothing is sent again, no secret goes along."""

from __future__ import annotations

import json
import os
import random
import signal
import zipfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from conftest import MONDAY, on_sqlite
from mailing import owe, send
from people import enrol
from sqlmodel import select
from test_clock import fill
from test_migrate import Site, item, rss

from digest import line
from digest.errors import BadInput, UserError
from digest.models import Feed, Newsletter, OutboxRow, OutboxState, Variant
from digest.store import Database, feeds, newsletters, open_database, pruned, rolls, whole
from digest.store.feed_tables import FeedList, Undecided
from digest.store.lasting_tables import LastingId
from digest.store.mail_tables import MailFeed
from digest.store.name_tables import FormerName
from digest.store.rolls import Rolled
from digest.store.story_tables import Entry, Story, VariantStory
from digest.store.witness_tables import WitnessedEntry

DOCS = Path(__file__).parent.parent / "docs"
BESIDE = whole.Beside("1.0", MONDAY, whole.key_mark("a key of the test"), {"settings.json": b"{}\n"})


def furnish(database: Database, config) -> None:
    """A row in each table, with what is hard to write down."""
    fill(database, config)
    with database.write() as session:
        feed = session.exec(select(Feed)).one()
        feed.headers, feed.proxy, feed.weight = {"Authorization": "Basic hush"}, "http://u:hush@proxy.example", -0.5
        feed.recipe = {"entries": "article > h2"}
        entry = session.exec(select(Entry)).one()
        entry.gist, entry.title = bytes(range(256)), 'Ünïcode \u2028 "quoted"\nand \U0001f600'
        story = session.exec(select(Story)).one()
        story.pinned, story.topic, story.reasons = True, "ai", {"topic": ["moved", 1.5, None]}
        session.add_all((feed, entry, story))
        session.add(WitnessedEntry(newsletter_id=0, mark="m", seq=3))
        paper = session.exec(select(Newsletter)).one()
        session.merge(Undecided(newsletter_id=paper.id, entry_id=entry.id))
        session.add(FormerName(newsletter_id=paper.id, kind="newsletter", old="before"))
        session.merge(
            LastingId(newsletter_id=paper.id, tag="tag:news.example,2026-11-23:i/1", home="h", number=1, seq=2)
        )
        session.add(FeedList(newsletter_id=paper.id, url="https://lists.example/", folders=["a", "b"]))
        session.add(MailFeed(feed_id=feed.id, senders=["from:x@example.org"]))
        variant = session.exec(select(Variant)).first()
        session.add(VariantStory(variant_id=variant.id, position=0, story_id=story.id))
        pruned.note(session, pruned.OF_FEEDS, [1, (1 << 63) - 1])
        session.add(
            rolls.roll_of(variant.edition_id, [Rolled(900 + n, 1, variant.id, n, -5, 250, n % 2) for n in range(3)])
        )
        for row in session.exec(select(OutboxRow)).all():
            row.state, row.settled_at, row.code = OutboxState.SENT, MONDAY, 250
            session.add(row)


def rows(database: Database, *, with_secrets: bool = True) -> dict[str, list[tuple]]:
    with database.read() as session:
        found = {}
        for table in whole.kinds(with_secrets=with_secrets):
            query = sa.select(table).order_by(*table.primary_key.columns)
            found[table.name] = [tuple(row) for row in session.execute(query)]
    return found


def empty(path: Path, upgraded_sqlite: Path) -> Database:
    path.write_bytes(upgraded_sqlite.read_bytes())
    return open_database(f"sqlite:///{path}")


def test_all_that_is_promised_comes_back_equal_by_way_of_both_databases(
    box, config, tmp_path, upgraded_sqlite, postgres_url
):
    furnish(box, config)
    there = open_database(postgres_url)
    here = empty(tmp_path / "here.db", upgraded_sqlite)
    whole.export(box, tmp_path / "one.zip", BESIDE, with_secrets=True)
    whole.take_in(there, tmp_path / "one.zip", now=MONDAY)
    whole.export(there, tmp_path / "two.zip", BESIDE, with_secrets=True)
    whole.take_in(here, tmp_path / "two.zip", now=MONDAY)
    wanted = rows(box)
    assert [name for name, found in wanted.items() if not found] == []
    assert rows(there) == wanted
    assert rows(here) == wanted
    for other in (there, here):  # and both count on from there
        owe(other, config, "new@example.org")
        other.close()


def test_what_goes_along_and_what_stays_is_told_of_each_table():
    page = (DOCS / "moving.md").read_text(encoding="utf-8")
    for table in whole.kinds(with_secrets=True):
        assert f"`{table.name}`" in page, f"docs/moving.md does not tell what {table.name}.jsonl is"
    for name in whole.STAYS:
        assert f"`{name}`" in page, f"docs/moving.md does not tell that {name} stays"


def test_secrets_go_along_only_where_they_are_asked_for(box, config, tmp_path, upgraded_sqlite):
    furnish(box, config)
    told = whole.export(box, tmp_path / "open.zip", BESIDE)
    with zipfile.ZipFile(tmp_path / "open.zip") as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
        assert not {"api_key.jsonl", "webhook.jsonl", "websub.jsonl"} & set(archive.namelist())
    assert b"hush" not in content
    assert told.hidden == {"feed": 1}
    assert (tmp_path / "open.zip").stat().st_mode & 0o777 == 0o600
    here = empty(tmp_path / "here.db", upgraded_sqlite)
    whole.take_in(here, tmp_path / "open.zip", now=MONDAY)
    assert rows(here)["api_key"] == []
    here.close()


def test_a_number_of_a_letter_that_is_gone_is_not_given_again(box, config, tmp_path, upgraded_sqlite):
    owe(box, config, "ada@example.org", "bob@example.org")
    with box.write() as session:
        last = session.exec(sa.select(sa.func.max(OutboxRow.id))).scalar_one()
        session.execute(sa.delete(OutboxRow))
    whole.export(box, tmp_path / "one.zip", BESIDE)
    here = empty(tmp_path / "here.db", upgraded_sqlite)
    whole.take_in(here, tmp_path / "one.zip", now=MONDAY)
    owe(here, config, "cyd@example.org")
    with here.read() as session:
        assert min(session.exec(select(OutboxRow.id)).all()) > last
    here.close()


@on_sqlite
def test_letters_under_way_are_held_there_and_those_sent_stay_sent(
    database, configure, clock, inbox, tmp_path, upgraded_sqlite
):
    config = configure(smtp={"url": inbox.url})
    owe(database, config, "ada@example.org", "bob@example.org")
    with database.write() as session:
        settled = session.exec(select(OutboxRow)).first()
        settled.state, settled.settled_at = OutboxState.SENT, MONDAY
    whole.export(database, tmp_path / "one.zip", BESIDE)
    here = empty(tmp_path / "here.db", upgraded_sqlite)
    assert whole.take_in(here, tmp_path / "one.zip", now=MONDAY).held == 1
    send(here, config, clock)
    assert inbox.messages == []
    here.close()


def spoilt(path: Path, name: str, change) -> None:
    """The archive with one file changed, as somebody's editor might leave it."""
    with zipfile.ZipFile(path) as archive:
        files = {one: archive.read(one) for one in archive.namelist()}
    files[name] = change(files[name])
    with zipfile.ZipFile(path, "w") as archive:
        for one, content in files.items():
            if content is not None:
                archive.writestr(one, content)


def signed(path: Path, name: str, content: bytes) -> None:
    """The same, with a manifest that agrees: what another program might write."""
    import hashlib

    spoilt(path, f"{name}.jsonl", lambda _: content)
    kind = {"rows": content.count(b"\n"), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def agree(said: bytes) -> bytes:
        manifest = json.loads(said)
        manifest["kinds"][name] = kind
        return json.dumps(manifest).encode()

    spoilt(path, whole.MANIFEST, agree)


def flip(path: Path) -> None:
    """One bit of its largest file."""
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda one: one.compress_size)
    content = bytearray(path.read_bytes())
    content[largest.header_offset + 80 + largest.compress_size // 2] ^= 1
    path.write_bytes(content)


def renamed(said: bytes) -> bytes:
    manifest = json.loads(said)
    manifest["kinds"]["pigeons"] = manifest["kinds"]["subscriber"]
    return json.dumps(manifest).encode()


DAMAGE = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "no archive": lambda path: path.write_text("email\nada@example.org\n"),
    "a bit flipped": lambda path: flip(path),
    "a row added": lambda path: spoilt(path, "subscriber.jsonl", lambda said: said + said),
    "a file gone": lambda path: spoilt(path, "consent.jsonl", lambda _: None),
    "no manifest": lambda path: spoilt(path, whole.MANIFEST, lambda _: None),
    "a manifest of nothing": lambda path: spoilt(path, whole.MANIFEST, lambda _: b"[]"),
    "a manifest without counts": lambda path: spoilt(path, whole.MANIFEST, lambda _: b'{"format": 1}'),
    "a newer form": lambda path: spoilt(path, whole.MANIFEST, lambda said: said.replace(b'mat": 1', b'mat": 2')),
    "a kind of a newer release": lambda path: spoilt(path, whole.MANIFEST, renamed),
    "rows that are none": lambda path: signed(path, "subscriber", b"7\n"),
    "half a row": lambda path: signed(path, "subscriber", b'{"id": 1, "email": \n'),
    "a column that is unknown": lambda path: signed(path, "subscriber", b'{"id": 1, "wings": 2}\n'),
    "a row without its address": lambda path: signed(path, "subscriber", b'{"id": 1, "email": null, "key": null}\n'),
    "a moment that is none": lambda path: signed(path, "suppression", b'{"key": "", "reason": "", "created_at": ""}\n'),
    "a state that is none": lambda path: signed(path, "feed", b'{"id": 1, "url": "u", "state": "asleep"}\n'),
    "a row of nobody": lambda path: signed(
        path, "consent", b'{"id": 1, "subscriber_id": 99, "at": "2026-01-01T00:00:00Z", "event": "chose", "how": ""}\n'
    ),
}  # fmt: skip


@pytest.mark.thin(4)
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_archive_gets_one_sentence_and_stores_nothing(kind, box, config, tmp_path, upgraded_sqlite):
    owe(box, config, "ada@example.org")
    path = tmp_path / "one.zip"
    whole.export(box, path, BESIDE)
    DAMAGE[kind](path)
    here = empty(tmp_path / "here.db", upgraded_sqlite)
    before = rows(here)
    with pytest.raises(BadInput) as refused:
        whole.take_in(here, path, now=MONDAY)
    assert "is no whole export of digest" in str(refused.value) and "\n" not in str(refused.value)
    assert rows(here) == before
    here.close()


@pytest.mark.parametrize("fault", [KeyError("id"), TypeError("no"), ValueError("no"), OSError("no")])
def test_a_fault_of_our_own_while_rows_are_stored_is_not_told_as_the_files(
    fault, box, config, tmp_path, upgraded_sqlite
):
    whole.export(box, tmp_path / "one.zip", BESIDE)
    here = empty(tmp_path / "here.db", upgraded_sqlite)

    def stumble(kind: str) -> None:
        raise fault

    with pytest.raises(type(fault)) as raised:
        whole.take_in(here, tmp_path / "one.zip", now=MONDAY, progress=stumble)
    assert raised.value is fault
    here.close()


def test_columns_of_a_later_release_have_their_defaults(box, config, tmp_path, upgraded_sqlite):
    whole.export(box, tmp_path / "one.zip", BESIDE)
    person = {"id": 4, "email": "ada@example.org", "key": "ada@example.org", "created_at": MONDAY.isoformat()}
    signed(tmp_path / "one.zip", "subscriber", json.dumps(person).encode() + b"\n")
    here = empty(tmp_path / "here.db", upgraded_sqlite)
    whole.take_in(here, tmp_path / "one.zip", now=MONDAY)
    assert rows(here)["subscriber"] == [(4, "ada@example.org", "ada@example.org", "", [], {}, MONDAY)]
    here.close()


def test_a_database_in_use_is_not_filled_and_a_file_in_the_way_is_left(box, config, tmp_path):
    owe(box, config, "ada@example.org")
    whole.export(box, tmp_path / "one.zip", BESIDE)
    with pytest.raises(UserError, match="not empty"):
        whole.take_in(box, tmp_path / "one.zip", now=MONDAY)
    with pytest.raises(UserError, match="there already"):
        whole.export(box, tmp_path / "one.zip", BESIDE)


def killed(work) -> None:
    """Do it in a process that ends itself by SIGKILL."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


@pytest.mark.long
@pytest.mark.parametrize("kind", ["feed", "variant", "outbox", "import_change"])
def test_whoever_is_killed_meanwhile_begins_again(kind, box, config, tmp_path, upgraded_sqlite):
    furnish(box, config)

    def die(name: str) -> None:
        if name == kind:
            os.kill(os.getpid(), signal.SIGKILL)

    box.close()
    path = tmp_path / "one.zip"
    killed(lambda: whole.export(box, path, BESIDE, progress=die))
    assert not path.exists()
    whole.export(box, path, BESIDE)
    here = empty(tmp_path / "here.db", upgraded_sqlite)
    here.close()
    killed(lambda: whole.take_in(here, path, now=MONDAY, progress=die))
    whole.take_in(here, path, now=MONDAY)
    wanted = rows(box, with_secrets=False)
    found = rows(here, with_secrets=False)
    assert {name for name in wanted if found[name] != wanted[name]} == {"feed"}  # without its secrets
    here.close()


def test_elsewhere_the_commands_say_what_is_missing_there(digest, tmp_path, at, clock):
    at(clock())
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    for place, key, name in (("old", "the key of the old one", "daily"), ("new", "another key, as long", "evening")):
        (tmp_path / place / "digest.toml").write_text(
            f'database = "digest.db"\nbase_url = "https://digest.example"\nsecret_key = "{key}"\n'
            f'[smtp]\nurl = "smtp://user:hush@127.0.0.1"\n[newsletters.{name}]\ntitle = "D"\nfrom = "a@news.example"\n'
        )
        (tmp_path / place / "digest.toml").chmod(0o600)
        open_database(f"sqlite:///{tmp_path / place / 'digest.db'}", create=True).close()
    old, new = ("-c", tmp_path / "old" / "digest.toml"), ("-c", tmp_path / "new" / "digest.toml")
    assert digest(*old, "subscriber", "add", "ada@example.org", "--name", "Ada").returncode == 0
    done = digest(*old, "export", "--all", "all.zip", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"]["subscriber"] == 1
    with zipfile.ZipFile("all.zip") as archive:
        assert json.loads(archive.read("settings.json"))["newsletters"]["daily"]["title"] == "D"
        assert not any(b"hush" in archive.read(name) for name in archive.namelist())
    done = digest(*new, "import", "--all", "all.zip")
    assert done.returncode == 0, done.stderr
    assert "do not have daily" in done.stderr and "secret_key is another" in done.stderr
    again = digest(*new, "import", "--all", "all.zip")
    assert again.returncode == 64 and "not empty" in again.stderr
    assert "--all stands alone" in digest(*new, "import", "--all", "all.zip", "list").stderr
    assert digest(*old, "export", "--all", "kept.zip", "--with-secrets").returncode == 0
    with zipfile.ZipFile("kept.zip") as archive:
        assert b"hush" in archive.read("settings/digest.toml")


def test_the_first_run_elsewhere_sends_only_what_came_since(box, configure, tmp_path, upgraded_sqlite, clock, inbox):
    config = configure(smtp={"url": inbox.url}, collect={"allow_private_addresses": True})
    with Site() as site:
        old, new = item("Old news", guid="1", days=0.5), item("Fresh news", guid="2", days=9)
        site.pages["/a.xml"] = rss(old)
        terms = {"how": "test", "secret": "key of the test", "known_topics": (), "now": MONDAY}
        with box.write() as session:
            enrol(session, "ada@example.org", newsletter="daily", **terms)
            feed = Feed(url=f"{site.base}/a.xml", host="127.0.0.1", added_at=MONDAY, next_at=MONDAY)
            session.add(feed)
            session.flush()
            feeds.read(session, newsletters.find(session, "daily").id, feed.id, topic="", folder="", now=MONDAY)
        line.run(box, config, clock=clock, rng=random.Random(1))
        assert [b"Old news" in mail.content for mail in inbox.messages] == [True]
        whole.export(box, tmp_path / "one.zip", BESIDE)
        here = empty(tmp_path / "here.db", upgraded_sqlite)
        whole.take_in(here, tmp_path / "one.zip", now=clock.pass_(hours=30))
        site.pages["/a.xml"] = rss(new, old)
        line.run(here, config, clock=clock, rng=random.Random(1))
        line.run(here, config, clock=clock, rng=random.Random(1))
    assert [(b"Old news" in mail.content, b"Fresh news" in mail.content) for mail in inbox.messages[1:]] == [
        (False, True)
    ]
    here.close()
