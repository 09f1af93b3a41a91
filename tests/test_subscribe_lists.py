"""subscribe: whole lists, from other services and back again."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import MONDAY
from corpus import CORPUS
from hypothesis import given
from hypothesis import strategies as st
from people import enrol

from digest import subscribe
from digest.errors import BadInput, UserError
from digest.models import Edition, Newsletter
from digest.store import history, imports, listing, newsletters, open_database, people
from digest.subscribe import Evidence, columns, sheet

DATA = Path(__file__).parent / "data" / "subscribers"
SECRET = "a key for tests, long enough"


def terms(name="list.csv", **more):
    return subscribe.Terms(
        **{"name": name, "now": MONDAY, "known_topics": {"ai", "web"}, "secret": SECRET, "vouched_by": "Abe"} | more
    )


def take(database, source, *, rejects=None, mapping=None, dry_run=False, agree=lambda plan: None, **more):
    """Import a file of `DATA`, or text, into `daily`."""
    if isinstance(source, Path):
        name, stream = source.name, io.BytesIO(source.read_bytes())
    else:
        name, stream = "list.csv", io.BytesIO(source.encode())
    return subscribe.import_csv(
        database,
        stream,
        terms(name, mapping=mapping or {}, **more),
        newsletter="daily",
        rejects=rejects,
        dry_run=dry_run,
        agree=agree,
    )


def exported(database):
    """Every line of the export but its head: address → (state, name, tags, why suppressed)."""
    with database.read() as session:
        return {
            line.email: (line.state, line.name, line.tags, line.suppressed) for line in listing.roll(session, "daily")
        }


def export(database, **options):
    out = io.StringIO()
    subscribe.export_csv(database, out, newsletter="daily", **options)
    return out.getvalue()


SERVICES = {
    "mailchimp_subscribed.csv": {"mina": "active"},
    "mailchimp_unsubscribed.csv": {"jonathan": "unsubscribed", "renfield": "unsubscribed complained"},
    "mailchimp_cleaned.csv": {"lucy": " bounced"},
    "listmonk.csv": {"mina": "active", "lucy": " blocklisted", "jonathan": "unsubscribed"},
    "substack.csv": {"mina": "active", "jonathan": "unsubscribed"},
    "buttondown.csv": {
        "mina": "active",
        "arthur": "pending",
        "jonathan": "unsubscribed",
        "lucy": " bounced",
        "renfield": " complained",
    },
    "ghost.csv": {"mina": "active", "jonathan": "unsubscribed"},
    "phplist.tsv": {"mina": "active", "arthur": "pending", "lucy": " blocklisted"},
    "klaviyo.csv": {"mina": "active", "jonathan": "unsubscribed", "arthur": "pending", "lucy": " bounced"},
    "shopify.csv": {"mina": "active", "jonathan": "unsubscribed"},
    "brevo.csv": {"mina": "active", "lucy": " blocklisted", "arthur": "pending"},
    "mailerlite.csv": {"mina": "active", "jonathan": "unsubscribed", "renfield": " complained"},
    "sendgrid.csv": {"lucy": " bounced"},
    "constantcontact.csv": {"mina": "active", "jonathan": "unsubscribed", "arthur": "pending"},
    "wordpress.csv": {
        "mina": "active",
        "arthur": "pending",
        "jonathan": "unsubscribed",
        "lucy": " bounced",
        "renfield": " complained",
    },
    "mailman.csv": {"mina": "active", "lucy": " bounced", "arthur": "paused"},
    "sendy.csv": {
        "mina": "active",
        "arthur": "pending",
        "lucy": " bounced",
        "renfield": " complained",
        "jonathan": "unsubscribed",
    },
    "hubspot.csv": {"mina": "active", "jonathan": "unsubscribed"},
    "activecampaign.csv": {"mina": "active", "arthur": "pending", "jonathan": "unsubscribed", "lucy": " bounced"},
    "beehiiv.csv": {"mina": "active", "arthur": "pending", "jonathan": "unsubscribed"},
    "substack_new.csv": {"mina": "active"},
    "kit.csv": {"mina": "active", "arthur": "pending", "jonathan": "unsubscribed", "lucy": " bounced"},
}


@pytest.mark.thin(4)
@pytest.mark.parametrize("file", SERVICES)
def test_a_list_of_another_service_says_who_is_who(database, file):
    done = take(database, DATA / file)
    found = {email.split("@")[0]: f"{p[0]} {p[3]}" for email, p in exported(database).items()}
    found = {name: words.removesuffix(f" (import {file})").rstrip() for name, words in found.items()}
    assert found == SERVICES[file]
    assert done.refused == 0
    seen = []
    before = export(database)
    again = take(database, DATA / file, agree=seen.append)
    assert seen[0].service.lower().replace(" ", "").startswith(file.partition(".")[0].partition("_")[0])
    assert again.known + again.no_letters == again.rows and again.suppressed == 0
    assert export(database) == before


FORMS = {
    "german_excel.csv": {"juergen@example.com": "Jürgen Müßig", "zoe@example.com": "Zoë Ångström"},
    "unicode_text.csv": {"lev@example.com": "Лев Николаевич"},
    "old_mac.csv": {"mina@example.com": "Mina", "lucy@example.com": "Lucy"},
    "sep_line.csv": {"mina@example.com": "Mina"},
    "no_header.csv": {"mina@example.com": "Mina", "lucy@example.com": "Lucy"},
    "pasted.txt": {
        "mina@example.com": "",
        "lucy@example.com": "Lucy Westenra",
        "arthur@example.com": "",
        "jonathan@example.com": "",
    },
}


@pytest.mark.parametrize("file", FORMS)
def test_encoding_separator_and_columns_are_found_out(file):
    found = sheet.read(io.BytesIO((DATA / file).read_bytes()), name=file)
    where = columns.Columns.find(found.header, found.first, {}, terms())
    assert {p.email: p.name for p in map(where.person, found.records)} == FORMS[file]


def test_tags_and_consent_come_along(database):
    take(database, DATA / "mailchimp_subscribed.csv")
    with database.read() as session:
        mina = subscribe.known(session, "mina@example.com")
        (moment,) = history.moments(session, mina)
    assert mina.tags == ["night owl", "vip"] and mina.name == "Mina Harker"
    assert moment.at == datetime(2024, 5, 3, 10, 1, tzinfo=UTC)
    assert (moment.event, moment.how, moment.vouched_by, moment.ip) == (
        "subscribed",
        "import mailchimp_subscribed.csv",
        "Abe",
        "192.0.2.8",
    )


def test_bad_rows_are_named_by_line_and_kept_and_the_good_ones_stored(database, tmp_path):
    rejects = tmp_path / "rejects.csv"
    done = take(database, DATA / "mixed.csv", rejects=rejects)
    assert [(r.line, r.reason) for r in done.refused_first] == [
        (4, "the state 'gone fishing' is not one we know"),
        (5, "the state is empty, so nothing says that they want it"),
        (6, "'nobody' is not an address: there is no @ in it"),
    ]
    assert {e: p[0] for e, p in exported(database).items()} == {
        "jonathan@example.com": "active",
        "mina@example.com": "unsubscribed",
    }
    assert done.rows == 6 and done.duplicates == 1 and done.refused == 3
    assert rejects.stat().st_mode & 0o777 == 0o600
    mended = rejects.read_text().replace("gone fishing", "subscribed")
    assert take(database, mended).added == 1
    assert exported(database)["lucy@example.com"][:2] == ("active", "Lucy")


def test_a_quote_that_is_never_closed_costs_its_own_line_only(database):
    done = take(database, DATA / "ragged.csv")
    assert [(r.line, r.reason) for r in done.refused_first] == [(6, "a quote is opened and not closed")]
    assert set(exported(database)) == {"mina@example.com", "lucy@example.com", "arthur@example.com"}


def test_of_two_rows_that_say_the_same_of_a_person_the_first_counts(database):
    assert take(database, "email,name\nmina@example.com,Mina\nMINA@example.com,Another\n").duplicates == 1
    assert [(line["email"], line["name"]) for line in csv.DictReader(io.StringIO(export(database)))] == [
        ("mina@example.com", "Mina")
    ]


def test_refused_rows_of_a_pasted_list_can_be_mended_too(database, tmp_path):
    rejects = tmp_path / "rejects.csv"
    assert take(database, "mina@example.com\nlucy(at)example.com\n", rejects=rejects).refused == 1
    assert take(database, rejects.read_text().replace("(at)", "@")).added == 1
    assert set(exported(database)) == {"mina@example.com", "lucy@example.com"}


def test_an_unclosed_quote_far_from_the_end_costs_its_own_line_only(database):
    many = "".join(f"r{i}@example.com,R {i}\n" for i in range(500))
    done = take(database, f'email,name\n"mina@example.com,Mina\n{many}')
    assert (done.added, [r.line for r in done.refused_first]) == (500, [2])


def test_a_note_of_several_lines_with_an_inch_in_it_is_one_row(database):
    done = take(database, 'email,size,note\nmina@example.com,6" pipe,"one\ntwo"\nlucy@example.com,,\n')
    assert (done.added, done.refused) == (2, 0)


def test_a_quote_too_many_never_hides_other_people_in_a_name(database):
    done = take(database, 'email,name\nmina@example.com,"Mina\nlucy@example.com,Lucy"\narthur@example.com,A\n')
    assert done.refused_first[0].reason.endswith("is a quote missing? (lines 2 to 3)")
    assert set(exported(database)) == {"arthur@example.com"}


def test_a_dry_run_counts_and_changes_nothing(database, tmp_path):
    before = export(database)
    rehearsed = take(database, DATA / "mixed.csv", dry_run=True, rejects=tmp_path / "rejects.csv")
    assert export(database) == before and not (tmp_path / "rejects.csv").exists()
    assert rehearsed == take(database, DATA / "mixed.csv")


def test_a_failure_at_the_end_leaves_the_list_as_it_was(database, monkeypatch):
    take(database, "email\nlucy@example.com\n")
    before = export(database)

    def fail(*_args, **_more):
        raise KeyboardInterrupt

    settle = imports.settle
    monkeypatch.setattr(imports, "settle", lambda *a, **k: (settle(*a, **k), fail()))
    with pytest.raises(KeyboardInterrupt):
        take(database, "email\nmina@example.com\n")
    monkeypatch.undo()
    assert export(database) == before
    assert take(database, "email\nmina@example.com\n").added == 1


def test_who_left_stays_gone(database):
    take(database, "email\nmina@example.com\nlucy@example.com\narthur@example.com\njonathan@example.com\n")
    with database.write() as session:
        subscribe.remove(session, "mina@example.com", newsletter="daily", evidence=Evidence("web", MONDAY))
        subscribe.suppress(session, "vlad@example.com", reason="bounced", evidence=Evidence("bounce", MONDAY))
        subscribe.erase(session, "lucy@example.com", secret=SECRET, now=MONDAY)
    done = take(
        database,
        "email,status\nMina@example.com,subscribed\nLUCY@example.com,subscribed\nvlad@example.com,subscribed\n"
        "arthur@example.com,unsubscribed\njonathan@example.com,subscribed\n",
    )
    assert (done.stays_gone, done.stays_erased, done.stays_suppressed, done.ended, done.known) == (1, 1, 1, 1, 1)
    found = {email: state for email, (state, *_rest) in exported(database).items()}
    assert found == {
        "arthur@example.com": "unsubscribed",
        "jonathan@example.com": "active",
        "mina@example.com": "unsubscribed",
        "vlad@example.com": "",
    }


def test_choices_made_here_outlive_an_import(database):
    take(database, "email,name,topics\nmina@example.com,Mina,ai\n")
    done = take(database, 'email,name,topics,tags\nmina@example.com,Someone,"web,ai",vip\n')
    assert done.known == 1
    with database.read() as session:
        mina = subscribe.known(session, "mina@example.com")
        (standing,) = history.standings(session, mina)
    assert (mina.name, mina.tags, standing.topics) == ("Mina", [], ("ai",))


def test_the_unconfirmed_get_nothing_until_somebody_says_that_they_confirmed(database):
    assert take(database, "email,status\nmina@example.com,pending\n").pending == 1
    assert exported(database)["mina@example.com"][0] == "pending"
    assert take(database, "email,status\nmina@example.com,pending\n", confirmed=True).confirmed == 1
    assert exported(database)["mina@example.com"][0] == "active"


def test_newcomers_start_where_the_last_edition_ended(database):
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        paper.seq = 50
        session.add(Edition(newsletter_id=paper.id, number=1, composed_at=MONDAY, upto_seq=41, sender="a@news.example"))
    take(database, "email\nmina@example.com\n")
    with database.read() as session:
        mina = subscribe.known(session, "mina@example.com")
        paper: Newsletter = newsletters.find(session, "daily")
        assert people.subscription(session, mina, paper).read_until == 41


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"  \n\n", "is empty"),
        (b"PK\x03\x04rest of a zip", "spreadsheet"),
        (b"name,town\nMina,Whitby\n", "no column of e-mail addresses; its columns are: 'name', 'town'"),
        (b"\x00\x01\x02\x03\x04\x05\x06\x07", "no column of e-mail addresses"),
        (b"x" * 300_000, "too long"),
        *((f"email,name{end}a@example.com,A{end}".encode(), "no row below") for end in "\u2028\u2029\u0085\v\f"),
    ],
)
def test_what_is_no_list_is_one_clear_sentence(content, words):
    with pytest.raises(BadInput, match=words):
        found = sheet.read(io.BytesIO(content), name="list.csv")
        columns.Columns.find(found.header, found.first, {}, terms())


def test_columns_are_mapped_by_title_or_number(database):
    text = "who,called,state of mind\nmina@example.com,Mina,happy\n"
    with pytest.raises(BadInput, match="no column of e-mail"):
        take(database, text)
    with pytest.raises(BadInput, match="no such column"):
        take(database, text, mapping={"email": "nowhere"})
    assert take(database, text, mapping={"email": "Who", "name": "2"}).added == 1
    assert exported(database)["mina@example.com"][1] == "Mina"


def test_unknown_topics_are_refused_with_those_known(database):
    done = take(database, "email,topics\nmina@example.com,cats\n")
    assert done.refused_first[0].reason == "there is no topic 'cats'; the settings know: ai, web"


def test_rejects_that_cannot_be_written_stop_it_all(database, tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        take(database, "email\nmina@example.com\nbad\n", rejects=tmp_path / "no" / "rejects.csv")
    assert exported(database) == {}


def test_an_export_makes_the_same_list_again(database, tmp_path):
    take(database, DATA / "mailchimp_subscribed.csv")
    take(database, DATA / "buttondown.csv")
    names = ["=1+1", "'=1+1", "+2", "-2", "@x", "'plain", 'a "b", c', "'", "＝x", "Ж"]
    with database.write() as session:
        for i, name in enumerate(names):
            enrol(
                session,
                f"{'=' if i % 2 else ''}{i}@example.com",
                name=name,
                topics=["web", "ai"] if i % 3 else [],
                tags=["=tag", f"tag {i}"],
                newsletter="daily",
                how="=cmd()",
                known_topics={"ai", "web"},
                secret=SECRET,
                now=MONDAY,
            )
        subscribe.pause(session, "0@example.com", newsletter="daily", until=None, evidence=Evidence("web", MONDAY))
        until = datetime(2027, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
        subscribe.pause(session, "2@example.com", newsletter="daily", until=until, evidence=Evidence("web", MONDAY))
        subscribe.suppress(session, "4@example.com", reason="=bounced", evidence=Evidence("bounce", MONDAY))
        subscribe.remove(session, "6@example.com", newsletter="daily", evidence=Evidence("web", MONDAY))
    for raw in (False, True):
        written = export(database, raw=raw)
        copy = open_database(f"sqlite:///{tmp_path / f'copy-{raw}.db'}", create=True)
        newsletters.keep(copy, ["daily"], now=MONDAY)
        done = take(copy, written, raw=raw)
        assert done.refused == 0
        assert export(copy, raw=raw) == written
        copy.close()


def test_no_exported_cell_is_a_formula(database):
    take(database, 'email,name\nmina@example.com,"=HYPERLINK(""http://x"")"\n=cmd@example.com,+1\n')
    rows = list(csv.reader(io.StringIO(export(database))))
    assert not [cell for row in rows for cell in row if cell.startswith(tuple("=+-@\t\r"))]
    assert "=cmd@example.com" in export(database, raw=True)


@given(st.text(alphabet="'=+-@\t\r\n＝ab", max_size=8) | st.text())
def test_quoting_against_formulas_is_undone_exactly(cell):
    shown = columns.to_text(cell)
    assert columns.from_text(shown) == cell
    assert not shown.startswith(tuple("=+-@\t\r\n＝＋－＠"))


@given(st.binary(max_size=400) | st.text(alphabet='a@.,;"\n\r\t\0 é', max_size=400).map(str.encode))
def test_any_bytes_are_a_list_or_refused_in_words(content):
    try:
        found = sheet.read(io.BytesIO(content), name="list.csv")
        where = columns.Columns.find(found.header, found.first, {}, terms())
    except UserError:
        return
    for record in found.records:
        try:
            where.person(record)
        except BadInput:
            pass


@given(st.lists(st.lists(st.text(alphabet='ab,;"\n\r ', max_size=6), min_size=2, max_size=3), max_size=8))
def test_rows_are_what_the_csv_module_wrote(rows):
    out = io.StringIO()
    csv.writer(out).writerows([["email", "name"], *rows])
    found = sheet.read(io.BytesIO(out.getvalue().encode()), name="list.csv")
    assert [record.cells for record in found.records] == [row for row in rows if any(row)]


@pytest.mark.skipif(not (CORPUS / "subscribers").is_dir(), reason="no corpus beside the repository")
@pytest.mark.parametrize(
    "file", sorted(p.name for p in (CORPUS / "subscribers").glob("*.*") if p.suffix in (".csv", ".txt"))
)
def test_every_file_of_the_corpus_is_counted_or_refused_in_words(file):
    try:
        found = sheet.read(io.BytesIO((CORPUS / "subscribers" / file).read_bytes()), name=file)
        where = columns.Columns.find(found.header, found.first, {}, terms())
    except BadInput:
        assert file in ("nasty-empty.csv", "nasty-not-csv.csv")
        return
    for record in found.records:
        try:
            person = where.person(record)
        except BadInput as error:
            assert str(error)
        else:
            assert person.email.count("@") == 1
            assert "unsubscribed" not in file or person.state == "unsubscribed"


def test_others_can_write_while_a_list_is_read(database):
    def somebody_writes(_size, rows):
        with database.write() as session:
            newsletters.lock(session, "daily").seq = rows

    stream = io.BytesIO(b"email\nmina@example.com\n")
    subscribe.import_csv(database, stream, terms(), newsletter="daily", progress=somebody_writes)
    with database.read() as session:
        assert newsletters.find(session, "daily").seq == 1
