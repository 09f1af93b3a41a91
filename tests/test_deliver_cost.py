"""What a letter costs, counted and not timed; and that what is made quickly is what was made slowly."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy, quoprimime
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from conftest import MONDAY, on_sqlite
from hypothesis import example, given
from hypothesis import strategies as st
from mailing import MARKS, owe, send
from sqlmodel import select

from digest import sign
from digest.deliver import content
from digest.deliver.delivery import Delivery
from digest.deliver.in_hand import MOST
from digest.deliver.ledger import Batch, Committed, Ledger, Wish
from digest.deliver.papers import Papers
from digest.deliver.writer import Writer
from digest.letter import Encoder, Folded, Recipient, Sender, Template, folded
from digest.letter.quoted import stuffed
from digest.models import Edition, OutboxRow, OutboxState, Variant
from digest.render import Marker, Rendered
from digest.store import outbox, witness
from digest.store import outbox_words as words
from digest.store.journal import Journal
from digest.store.witness import Witness

READERS = [f"reader{n}@example.org" for n in range(60)]
VARIANTS = 12


# ---------------------------------------------------------------- the same bytes


@given(st.lists(st.text(st.sampled_from("a=. \t\r\n\x0b\x85\u2028é日\x7f")) | st.sampled_from(["x" * 74, "=" * 30])))
@example(["x" * 75 + " "])
@example(["x" * 76 + "\t"])
@example(["é" * 60])
@example([".\n..\n", "x" * 75 + ".", "\n.\n", "x" * 75 + "."])
def test_quoted_printable_is_what_the_library_writes(pieces):
    text, encoder = "".join(pieces), Encoder()
    written = quoprimime.body_encode(text.encode().decode("latin-1"), 76, "\r\n").encode("ascii")
    wire = stuffed(written)
    assert encoder.encode(text.encode()) == (wire, len(wire) - len(written))
    assert encoder.encode(text.encode()) == (wire, len(wire) - len(written))  # of what it remembers


def test_an_encoder_forgets_and_stays_right(monkeypatch):
    monkeypatch.setattr("digest.letter.quoted.REMEMBERED", 1_000)
    encoder, text = Encoder(), "".join(f"{'.' * (n % 3)}line {n} = {'é' * 40}\n" for n in range(30))
    assert encoder.encode(text.encode()) == encoder.encode(text.encode()) == Encoder().encode(text.encode())


@given(
    st.text(st.sampled_from("a=%./")).map("https://".__add__),
    st.text(st.sampled_from("aZ09-_"), min_size=1),
    st.text("b=@%."),
)
@example("https://" + "b" * 60, "a" * 32, "")
@example("https://" + "b" * 64 + "=", "a" * 170, "=" * 30)
def test_an_address_folded_around_a_token_is_the_address_folded(before, token, after):
    assert Folded(before, len(token), after).around(token.encode()) == folded(before + token + after)


def slowly(config, template: Template, claimed: outbox.Claimed):
    """A letter as it is described: each address made by itself."""
    imprint, mail = config.imprint("daily"), config.mail
    ours = {"domain": imprint.smtp.envelope_domain or template.domain, "mailbox": mail.address}
    lasting = config.lasting_key
    links, leave, written_at = {}, "", template.sender.date
    if claimed.notice_id is None:
        number, written_at = claimed.subscription_id, None
        links = {
            marker: f"{imprint.base_url}/{marker}/" + sign.token(sign.Purpose(marker), number, key=imprint.key)
            for marker in (Marker.UNSUBSCRIBE, Marker.PREFERENCES)
        }
        links[Marker.CHOICES] = links[Marker.PREFERENCES]
        if mail.comes_back:
            common = config.keys[0]
            leave = sign.at_mailbox(f"leave+{sign.mail_token(sign.Purpose.LEAVE, number, key=common)}", **ours)
            links[Marker.CHOICES] = sign.choices_address(number, key=common, **ours)
    mail_from = sign.verp(claimed.id, key=lasting, **ours)
    returned = mail_from.partition("@")[0] if mail.webhooks.postmark_secret else ""
    return template.fill(
        Recipient(claimed.email, claimed.name, links, leave, returned),
        mail_from=mail_from,
        message_id=sign.message_id(claimed.id, key=lasting, domain=template.domain, written_at=written_at),
    )


NAMES = ("Ada", "", "Ada  B", "A" * 60, 'O\'Neil "x"', "Zoë", "two\nlines", "Name " * 20)
EMAILS = ("ada@example.org", "ü@example.org", *(f"{'q' * n}@example.org" for n in range(54, 60)))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"base_url": "https://news.example/" + "path=/" * 9 + "%41."},
        {"smtp": {"url": "smtp://127.0.0.1", "envelope_domain": "bounces.example"}},
        {"mail": {"source": "maildir:/nowhere", "address": "box@news.example"}},
        {"mail": {"source": "maildir:/nowhere"}},
        {"mail": {"webhooks": {"postmark_secret": "a word that nobody knows"}}},
    ],
)
def test_a_letter_filled_quickly_is_the_letter_filled_slowly(configure, settings):
    config = configure(**settings)
    contents = content.Contents(Papers(config, {1: "daily"}, frozenset()))
    text = "Hello.\n.\n" + "".join(f"{MARKS.address(marker)}\n.dots\n" for marker in (*Marker, Marker.UNSUBSCRIBE))
    html = f"<p style='a'>{'long – ' * 90}</p>" + "".join(f'<a href="{MARKS.address(marker)}">' for marker in Marker)
    sender = Sender("The Daily <news@news.example>", datetime(2026, 1, 2, tzinfo=UTC), newsletter="daily", number=7)
    edition = Template(Rendered("Grüße", html, text, marks=MARKS), sender)
    note = Template(Rendered("Hello", "", "Hello.\n"), Sender(sender.mailbox, sender.date))
    for number, (name, email) in enumerate((name, email) for name in NAMES for email in EMAILS):
        letter = outbox.Claimed(977 * number + 1, 1, 1, None, 31 * number + 5, email, name, 0, None, False, MONDAY, 1)
        notice = letter._replace(edition_id=None, variant_id=None, notice_id=4)
        assert contents.fill(edition, letter) == slowly(config, edition, letter)
        assert contents.fill(note, notice) == slowly(config, note, notice)
    with pytest.raises(ValueError, match="space, bracket"):
        contents.fill(edition, letter._replace(email="a b@example.org"))


# ---------------------------------------------------------------- how often, how much


@pytest.fixture
def scattered(database, configure, inbox):
    """Letters of one edition whose variants do not follow each other."""
    config = configure(smtp={"url": inbox.url, "connections": 2})
    owe(database, config, *READERS)
    with database.write() as session:
        first = session.exec(select(Variant)).one()
        values = first.model_dump(exclude={"id", "key", "text"})
        session.add_all(Variant(**values, key=f"{n}", text=f"{first.text}Variant {n}.\n") for n in range(1, VARIANTS))
        session.flush()
        words = sa.text("UPDATE outbox SET variant_id = :first + id % :all")
        session.execute(words, {"first": first.id, "all": VARIANTS})
    return config


@pytest.fixture
def built(monkeypatch):
    """Of which variants templates were made."""
    found: list[str] = []
    make = content._template

    def count(kit, rendered, *more):
        found.append(rendered.text)
        return make(kit, rendered, *more)

    monkeypatch.setattr(content, "_template", count)
    return found


def test_what_a_variant_says_is_made_once_in_a_run_however_small_its_claims_are(
    database, scattered, inbox, clock, built, monkeypatch
):
    monkeypatch.setattr("digest.deliver.in_hand.MOST", 7)
    assert send(database, scattered, clock).sent == len(READERS)
    assert len(built) == VARIANTS == len(set(built))
    bodies = Counter(message.content.rpartition(b"Variant ")[2][:3] for message in inbox.messages)
    assert len(bodies) == VARIANTS and set(bodies.values()) == {len(READERS) // VARIANTS}


def test_what_is_kept_of_templates_has_a_bound_in_bytes(database, scattered, inbox, clock, built, monkeypatch):
    monkeypatch.setattr(content, "KEPT", 1)
    monkeypatch.setattr("digest.deliver.in_hand.MOST", 7)
    assert send(database, scattered, clock).sent == len(READERS)
    assert len(set(built)) == VARIANTS
    assert len(built) <= 2 * VARIANTS  # one that two connections share may be made for each
    bodies = Counter(message.content.rpartition(b"Variant ")[2][:3] for message in inbox.messages)
    assert set(bodies.values()) == {len(READERS) // VARIANTS}


def test_a_claim_of_many_variants_makes_no_template_before_a_letter_goes_out(database, scattered, clock, built):
    contents = content.Contents(Papers(scattered, {1: "daily"}, frozenset()))
    with database.write() as session:
        claim = outbox.claim(
            session,
            outbox.Wanted(1, len(READERS)),
            now=clock(),
            lease=timedelta(hours=1),
            lifetime=timedelta(days=9),
            hold_doubtful=False,
        )
        loaded = contents.load(session, claim.letters)
    fillers = list(contents.fillers(loaded, claim.letters).values())
    assert len(fillers) == len(READERS) and len({filler.words for filler in fillers}) == VARIANTS
    assert not built
    for filler in fillers[:2]:
        filler.fill()
    assert len(built) == len({filler.words for filler in fillers[:2]})


def test_letters_of_one_moment_are_claimed_variant_by_variant_and_older_ones_first(database, scattered, clock):
    with database.write() as session:
        late = session.exec(select(OutboxRow).order_by(OutboxRow.id.desc()).limit(3)).all()
        for row in late:
            row.due_at = MONDAY.replace(year=2024)
        ids = sorted((row.variant_id, row.id) for row in late)
    taken = []
    for _ in range(4):
        with database.write() as session:
            some = outbox.claim(
                session,
                outbox.Wanted(1, 15),
                now=clock(),
                lease=timedelta(hours=1),
                lifetime=timedelta(days=9),
                hold_doubtful=False,
            )
        taken.append({(letter.variant_id, letter.id) for letter in some.letters})
    assert set(ids) <= taken[0]
    taken[0] -= set(ids)
    assert [one for some in taken for one in sorted(some)] == sorted(one for some in taken for one in some)


@on_sqlite
def test_a_commit_costs_few_statements_however_many_letters_it_has(database, scattered, inbox, clock):
    statements: Counter[str] = Counter()

    def count(connection, cursor, statement, values, context, many):
        assert not many, statement
        statements[" ".join(statement.split()[:3])] += 1

    sa.event.listen(database.engine, "before_cursor_execute", count)
    assert send(database, scattered, clock).sent == len(READERS)
    marked = statements["UPDATE OR FAIL"]
    assert 2 <= marked <= 2 * (len(READERS) // 4), statements  # settled and marked, some at a time
    assert statements["SELECT variant.id, variant.subject,"] <= 4, statements
    assert statements.total() <= 12 * statements["BEGIN IMMEDIATE"], statements


@on_sqlite
def test_the_row_of_a_letter_is_changed_twice_marked_and_settled(database, scattered, inbox, clock):
    with database.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE changed (id, state)")
        what = "INSERT INTO changed VALUES (new.id, new.state)"
        session.connection().exec_driver_sql(f"CREATE TRIGGER told AFTER UPDATE ON outbox BEGIN {what}; END")
    assert send(database, scattered, clock).sent == len(READERS)
    with database.read() as session:
        counted = session.connection().exec_driver_sql("SELECT state, count(*) FROM changed GROUP BY state").all()
    assert dict(map(tuple, counted)) == {"sending": len(READERS), "sent": len(READERS)}


@pytest.mark.parametrize("limit", [0, 2])
def test_a_commit_waits_for_more_answers_only_while_some_are_to_come_without_it(
    database, scattered, inbox, clock, monkeypatch, limit
):
    """Neither where all connections wait for letters that are marked by it, nor where letters wait for their domain."""
    waited, asked = [], Delivery._more_to_come

    def ask(delivery):
        more = asked(delivery)
        waited.append((more, sum(len(route.ready) + route.in_flight for route in delivery._routes)))
        return more

    monkeypatch.setattr(Delivery, "_more_to_come", ask)
    config = scattered.model_copy(
        update={"smtp": scattered.smtp.model_copy(update={"connections": 2, "per_domain": limit})}
    )
    assert send(database, config, clock).sent == len(READERS)
    assert all(work and not limit for more, work in waited if more)


def test_a_commit_waits_for_sixty_four_answers_where_more_are_on_their_way():
    """With half as many each letter costs a tenth more of the processor: pages and commits are shared by fewer."""
    committed: list[int] = []

    class Kept:
        def commit(self, batch):
            committed.append(len(batch.outcomes))
            return Committed(batch)

    async def answer() -> None:
        landed, loop = asyncio.Event(), asyncio.get_running_loop()
        writer = Writer(Kept(), committed=lambda done: landed.set(), failed=pytest.fail, more=lambda: True)
        writer.start()
        for number in range(64):
            writer.batch.outcomes.append(outbox.Outcome(number, 1, OutboxState.SENT))
            writer._started = loop.time()  # as if all came at once
            writer.kick()
            assert writer._patient is (number < 63)
        await landed.wait()
        writer.close(timeout=2)

    asyncio.run(answer())
    assert committed == [64]


def test_no_letter_has_its_place_at_a_relay_before_the_commit_that_marks_it(
    database, scattered, inbox, clock, monkeypatch
):
    """Chosen while a commit waits for answers, they would take half of a window, and connections wait for letters."""
    early, booked = [], Delivery.booked

    def book(delivery, *told):
        early.append(bool(delivery._marking) and not delivery._writer._working)
        booked(delivery, *told)

    monkeypatch.setattr(Delivery, "booked", book)
    assert send(database, scattered, clock).sent == len(READERS)
    assert len(early) == len(READERS) and not any(early)


@on_sqlite
def test_letters_that_are_marked_alike_are_one_row_of_the_answer(database, scattered, clock, monkeypatch):
    """Between two rows Python's lock is let go of, and the loop that sends would take it for each."""
    rows, run = [], words.run

    def counted(session, statement, *more):
        found = run(session, statement, *more)
        if "json_group_array" in statement:
            rows.extend(found.cursor.fetchall())
            found = SimpleNamespace(cursor=SimpleNamespace(fetchall=lambda: rows))
        return found

    monkeypatch.setattr(words, "run", counted)
    with database.write() as session:
        terms = {"lease": timedelta(minutes=1), "now": clock()}
        wanted = outbox.Wanted(1, 40, written=False)
        letters = outbox.claim(session, wanted, **terms, lifetime=timedelta(days=9), hold_doubtful=False).letters
        tried, stood = letters[0].id, clock() - timedelta(hours=1)
        values = {"attempts": 2, "dated_at": stood}
        session.execute(sa.update(OutboxRow).where(OutboxRow.id == tried).values(**values))
        marks = outbox.mark_dated(session, letters, **terms, found_at=clock())
    assert len(rows) == 2
    assert marks.keys() == {letter.id for letter in letters}
    assert {number: mark[:2] for number, mark in marks.items() if mark.attempt > 1} == {tried: (3, stood)}
    assert {mark[:2] for number, mark in marks.items() if number != tried} == {(1, clock())}


@on_sqlite
def test_what_a_commit_does_for_each_letter_more_is_a_few_calls(database, scattered, clock, tmp_path):
    database.witness = Witness(Journal(tmp_path / "witness"), clock=clock)
    papers = Papers(scattered, {1: "daily"}, frozenset())
    ledger = Ledger(database, content.Contents(papers), papers, clock=clock)
    letters = list(ledger.commit(Batch(wish=Wish(outbox.Source(1, 1), MOST))).claim.letters)
    ledger.commit(Batch(marks=[letters.pop()]))  # what is done once is done
    calls = []
    for some in (letters[:8], letters[8:48]):
        for batch in (Batch(marks=some), Batch(outcomes=[outbox.Outcome(one.id, 1, OutboxState.SENT) for one in some])):
            count = 0

            def counted(frame, event, arg):
                nonlocal count
                count += event in ("call", "c_call")

            sys.setprofile(counted)
            ledger.commit(batch)
            sys.setprofile(None)
            calls.append(count)
    each = (calls[2] - calls[0] + calls[3] - calls[1]) / 32  # to mark one and to settle it
    assert each < 8


@on_sqlite
def test_marking_and_settling_keep_no_copies_of_pages_to_undo_a_statement(database, scattered, tmp_path, clock):
    """SQLite would keep them where a statement that changes many rows may fail halfway, or asks a list made of JSON."""
    pages: list[str] = []

    def plan(connection, cursor, statement, values, context, many):
        if statement.lstrip().startswith("UPDATE"):
            pages.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", plan)
    with database.write() as session:
        terms = {"lease": timedelta(minutes=1), "now": clock()}
        wanted = outbox.Wanted(1, 9, written=False)
        letters = outbox.claim(session, wanted, **terms, lifetime=timedelta(days=9), hold_doubtful=False).letters
        marked = outbox.mark_dated(session, letters, **terms, found_at=clock())
        assert len(marked) == 9
        ended = [outbox.Outcome(number, mark.attempt, OutboxState.SENT) for number, mark in marked.items()]
        assert outbox.settle(session, ended, now=clock())[OutboxState.SENT] == 9
    assert len(pages) == 2
    for statement in pages:
        assert statement.lstrip().startswith("UPDATE OR FAIL outbox")
        assert not re.search(r"json|EXISTS|RETURNING", statement), statement


def test_heads_made_once_have_their_own_mails_subject_and_boundary():
    sender = Sender("The Daily <news@news.example>", MONDAY, newsletter="daily", number=7)
    for subject, text in (("News", "One"), ("News", "Two"), ("Other", "One"), ("News", "One")):
        for html in ("", f"<p>{text}</p>"):
            letter = Template(Rendered(subject, html, f"{text}\n"), sender).fill(
                Recipient("ada@example.org", "Ada"), mail_from="b@news.example", message_id="<1@news.example>"
            )
            found = message_from_bytes(letter.content, policy=policy.default)
            assert found["Subject"] == subject
            assert [part.get_content().strip() for part in found.walk() if not part.is_multipart()] == (
                [text, html] if html else [text]
            )


def test_of_a_letter_its_own_lines_are_new_bytes_and_the_rest_is_its_variants(configure):
    config = configure()
    contents = content.Contents(Papers(config, {1: "daily"}, frozenset()))
    html = f"<p>{'long ' * 8_000}</p>" + "".join(f'<a href="{MARKS.address(marker)}">' for marker in Marker)
    sender = Sender("The Daily <news@news.example>", MONDAY, newsletter="daily", number=7)
    template = Template(Rendered("News", html, "News.\n", marks=MARKS), sender)
    parts = [
        contents.fill(
            template, outbox.Claimed(n, 1, 1, None, n, f"reader{n}@example.org", "Ada", 0, None, False, MONDAY, 1)
        ).parts
        for n in (1, 2)
    ]
    shared = {id(part) for part in parts[0]} & {id(part) for part in parts[1]}
    copied = [sum(len(part) for part in letter if id(part) not in shared) for letter in parts]
    assert max(copied) < 2_000 < 40_000 < min(sum(map(len, letter)) for letter in parts)


# ---------------------------------------------------------------- the witness


@given(st.lists(st.integers(1, 2_000)))
def test_numbers_told_by_an_older_release_are_read_too(numbers):
    from digest.store.journal import numbers_of, ranges

    plain = ",".join(str(number) for number in sorted(set(numbers)))
    assert list(numbers_of(plain)) == list(numbers_of(ranges(numbers))) == sorted(set(numbers))


def test_numbers_of_one_variant_in_forty_take_few_bytes():
    from digest.store.journal import ranges

    assert len(ranges(range(1_000_007, 1_040_007, 40))) < 4_100  # 1,000 numbers
    assert json.dumps(ranges(range(5, 505))) == '"5-504"'


@on_sqlite
def test_the_witness_of_a_commit_is_one_statement_one_record_and_no_reading_of_its_folder(
    database, scattered, inbox, clock, tmp_path, monkeypatch
):
    journal = Journal(tmp_path / "witness")
    database.witness = Witness(journal, clock=clock)
    with database.write() as session:
        edition = session.exec(select(Edition)).one()
        witness.note_edition(session, edition.id)
    os.utime(journal.folder, (0, 0))
    (path,) = journal.files()
    before, said = path.stat().st_size, Counter[str]()

    def count(connection, cursor, statement, values, context, many):
        said["commits"] += statement.startswith("BEGIN IMMEDIATE")
        said["asked"] += "installation" in statement

    sa.event.listen(database.engine, "before_cursor_execute", count)
    monkeypatch.setattr(Path, "iterdir", None)  # what would read the folder
    assert send(database, scattered, clock).sent == len(READERS)
    records = [record for record in journal.read() if record["k"] == "letters"]
    assert len(records) <= said["commits"]
    assert said["asked"] <= said["commits"] + 2, said  # is it where it was, at the beginning and at the end
    assert path.stat().st_size - before <= 200 * len(records) + 2 * 8 * len(READERS)
