"""`digest subscriber …`, as an operator types it."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime

import pytest
from people import typed
from typer.testing import CliRunner

from digest.cli import app
from digest.store import newsletters, open_database, signup
from digest.values import Evidence


@pytest.fixture
def digest(tmp_path, upgraded_sqlite):
    return typed(tmp_path, upgraded_sqlite, "subscriber")


def rows(done):
    return json.loads(done.stdout)


def test_a_person_comes_chooses_pauses_and_leaves(digest):
    digest("add", "Ada@Example.org", "--name", "Ada", "--topic", "ai", "--tag", "vip", "--vouched-by", "Charles")
    assert "already" in digest("add", "ada@example.org").stderr
    digest("set", "ada@example.org", "--topic", "web", "--topic", "ai", "--no-tags")
    assert "nothing to change" in digest("set", "ada@example.org", "--name", "Ada").stderr
    digest("pause", "ada@example.org", "--weeks", "2")
    assert [r["state"] for r in rows(digest("list", "--json"))] == ["paused"]
    digest("resume", "ada@example.org")
    assert "would get no more" in digest("remove", "ada@example.org", "--dry-run").stderr
    assert [r["state"] for r in rows(digest("list", "--json"))] == ["active"]
    digest("remove", "ada@example.org")
    assert "had left" in digest("remove", "ada@example.org").stderr
    shown = rows(digest("show", "ada@example.org", "--json"))
    assert (shown["email"], shown["name"], shown["tags"]) == ("Ada@example.org", "Ada", [])
    assert shown["subscriptions"][0]["topics"] == ["ai", "web"]
    assert [m["event"] for m in shown["history"]] == ["subscribed", "chose", "paused", "resumed", "unsubscribed"]
    assert shown["history"][0]["vouched_by"] == "Charles"
    assert shown["letters"] == []
    assert rows(digest("list", "--count", "--json")) == [
        {"newsletter": "daily", "state": "unsubscribed", "subscribers": 1}
    ]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("add", "a@b@c"), 65, "two @"),
        (("add", "ada@example.org", "--topic", "cats"), 65, "there is no topic 'cats'"),
        (("add", "ada@example.org", "--newsletter", "weekly"), 66, "there is no newsletter 'weekly'"),
        (("show", "ada@example.org"), 66, "is not a subscriber"),
        (("remove", "ada@example.org"), 66, "is not a subscriber"),
        (("erase", "ada@example.org"), 66, "nothing is known of"),
        (("list", "--state", "happy"), 65, "is not a state"),
        (("import", "nowhere.csv"), 66, "there is no file nowhere.csv"),
        (("import", "."), 65, "cannot read ."),
        (("import", "-", "--map", "mail"), 64, "write FIELD=COLUMN"),
        (("add", "ada@example.org", "--cadence", "hourly"), 65, "'hourly' is not a cadence"),
        (("add", "ada@example.org", "--cadence", "weekly"), 65, "'weekly' does not say on which day"),
        (("add", "ada@example.org", "--cadence", "monthly"), 65, "'monthly' does not say on which day"),
        (("add", "ada@example.org", "--hour", "25"), 65, "25 is not an hour"),
        (("add", "ada@example.org", "--hour", "noon"), 65, "'noon' is not an hour"),
        (("add", "ada@example.org", "--zone", "Berlin"), 65, "'Berlin' is not a time zone"),
        (("add", "ada@example.org", "--language", "tlh"), 65, "'tlh' is not a language we have words in"),
        (("add", "ada@example.org", "--format", "pdf"), 65, "'pdf' is not a format"),
        (("list", "--cadence", "yearly"), 65, "'yearly' is not a cadence"),
    ],
)
def test_a_mistake_is_one_sentence_and_a_code(digest, words, code, says):
    assert says in digest(*words, code=code).stderr


def test_when_and_how_somebody_wants_it_is_theirs_to_choose_and_to_undo(digest):
    digest("add", "ada@example.org", "--cadence", "weekly Monday", "--hour", "0", "--zone", "Asia/Tokyo")
    digest("add", "eve@example.org", "--language", "de_AT", "--format", "text", "--cadence", "weekdays")
    digest("add", "bob@example.org")
    assert [r["email"] for r in rows(digest("list", "--cadence", "weekly", "--json"))] == ["ada@example.org"]
    assert [r["email"] for r in rows(digest("list", "--cadence", "every edition", "--json"))] == ["bob@example.org"]
    assert rows(digest("list", "--cadence", "weekdays", "--count", "--json"))[0]["subscribers"] == 1
    digest("set", "bob@example.org", "--cadence", "Monthly last Friday")
    assert rows(digest("list", "--cadence", "monthly", "--json"))[0]["cadence"] == "monthly last fri"
    ada, eve = (rows(digest("show", f"{who}@example.org", "--json"))["subscriptions"][0] for who in ("ada", "eve"))
    assert (ada["cadence"], ada["hour"], ada["zone"], ada["format"]) == ("weekly mon", 0, "Asia/Tokyo", "html")
    assert (eve["cadence"], eve["language"], eve["format"]) == ("weekdays", "de-AT", "text")
    digest("set", "ada@example.org", "--cadence", "", "--hour", "", "--zone", "")
    assert "nothing to change" in digest("set", "ada@example.org", "--cadence", "").stderr
    shown = rows(digest("show", "ada@example.org", "--json"))
    assert (shown["subscriptions"][0]["cadence"], shown["subscriptions"][0]["hour"]) == ("", None)
    assert shown["history"][-1]["detail"] == "every edition, zone of the newsletter, whenever it comes"


def test_status_counts_sign_ups_that_wait_and_those_turned_away(digest, tmp_path):
    now, database = datetime.now(UTC), open_database(f"sqlite:///{tmp_path / 'digest.db'}")
    digest("add", "ada@example.org")  # which makes the newsletter's row
    with database.write() as session:
        asked = signup.Asked("daily", "eve@example.org", "", {}, Evidence("sign-up page", now), "a network")
        signup.wait(session, newsletters.find(session, "daily").id, asked)
        for _ in range(2):
            signup.note_refusal(session, now=now)
    database.close()
    runner = CliRunner()
    assert "sign-ups: 1 wait for their mail" in runner.invoke(app, ["-c", str(tmp_path), "status"]).output
    told = runner.invoke(app, ["-c", str(tmp_path), "status", "--json"])
    assert rows(told)["signups"] == {"waiting": 1, "turned_away": 2}


def test_choices_come_and_go_with_a_list(digest, tmp_path):
    digest("add", "ada@example.org", "--cadence", "weekly mon", "--hour", "0", "--zone", "Asia/Tokyo", "--topic", "ai")
    digest("add", "eve@example.org", "--language", "de", "--format", "text", "--cadence", "fortnightly tue")
    digest("add", "bea@example.org", "--cadence", "monthly 1")
    out = tmp_path / "out.csv"
    digest("export", "--out", out)
    (tmp_path / "digest.db").unlink()
    open_database(f"sqlite:///{tmp_path / 'digest.db'}", create=True).close()
    digest("import", out)
    assert digest("export").stdout == out.read_text()
    foreign = "email,timezone,language\nbob@example.org,Eastern Time,ko\nkim@example.org,Asia/Seoul,fr\n"
    digest("import", "-", stdin=foreign)
    kim, bob = (rows(digest("show", f"{who}@example.org", "--json"))["subscriptions"][0] for who in ("kim", "bob"))
    assert (bob["zone"], bob["language"], kim["zone"], kim["language"]) == ("", "", "Asia/Seoul", "fr")
    wrong = "email,cadence,hour,zone\na@example.org,hourly,,\nb@example.org,daily,24,\nc@example.org,daily,7,Mars\n"
    done = digest("import", "-", "--rejects", tmp_path / "r.csv", stdin=wrong, code=65)
    assert "line 2: 'hourly' is not a cadence" in done.stderr and "line 4: 'Mars' is not a time zone" in done.stderr
    assert "line 3: 'daily' '24' is no cadence and hour" in done.stderr


def test_a_list_without_addresses_is_refused_in_one_sentence(digest):
    said = digest("import", "-", stdin="name,town\nAda,London\n", code=65).stderr
    assert said.splitlines() == [
        "digest: standard input has no column of e-mail addresses; its columns are: 'name', 'town'",
        "  say which it is with --map email=COLUMN (a title, or a number from 1)",
    ]


def test_an_import_counts_names_bad_rows_and_may_be_repeated(digest, tmp_path):
    file = tmp_path / "list.csv"
    file.write_text("email;topics\nada@example.org;ai\nnobody;\neve@example.org;cats\n", encoding="utf-16")
    rehearsed = digest("import", file, "--dry-run", "--json", code=65)
    assert rows(digest("list", "--json")) == []
    done = digest("import", file, "--json", code=65)
    assert rows(rehearsed) | {"import": 1} == rows(done)
    counts = rows(done)
    assert (counts["rows"], counts["added"], counts["refused"], counts["separator"]) == (3, 1, 2, ";")
    assert "list.csv, line 3: 'nobody' is not an address" in done.stderr
    assert "list.csv, line 4: there is no topic 'cats'; the settings know: ai, web" in done.stderr
    rejects = tmp_path / "list.csv.rejects.csv"
    assert len(rejects.read_text().splitlines()) == 3
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    assert "is the list itself" in digest("import", file, "--rejects", file, code=64).stderr
    again = rows(digest("import", file, "--json", code=65))
    assert (again["added"], again["known"]) == (0, 1)


def test_an_export_is_private_and_comes_back_as_it_was(digest, tmp_path):
    digest("import", "-", stdin='email,name\nada@example.org,"=1+1"\neve@example.org,Éve\n')
    digest("suppress", "mallory@example.org", "--reason", "complained")
    out = tmp_path / "out.csv"
    digest("export", "--out", out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert digest("export").stdout == out.read_text() and "'=1+1" in out.read_text()
    assert ",=1+1," in digest("export", "--raw").stdout
    digest("export", "--out", os.devnull)
    assert not os.path.isfile(os.devnull)  # noqa: PTH113
    (tmp_path / "digest.db").unlink()
    open_database(f"sqlite:///{tmp_path / 'digest.db'}", create=True).close()
    digest("import", out)
    assert digest("export").stdout == out.read_text()


def test_erased_people_are_not_brought_back_but_by_their_own_wish(digest):
    digest("add", "ada@example.org")
    assert "would be forgotten" in digest("erase", "ada@example.org", "--dry-run").stderr
    digest("show", "ada@example.org")
    digest("erase", "ada@example.org")
    assert "erased before" in digest("erase", "ada@example.org").stderr
    assert "was erased" in digest("add", "ada@example.org", code=64).stderr
    assert rows(digest("import", "-", "--json", stdin="email\nADA@example.org\n"))["stays_erased"] == 1
    digest("unsuppress", "ada@example.org")
    digest("add", "ada@example.org")


def test_a_page_says_where_the_next_one_begins(digest):
    digest("import", "-", stdin="\n".join(["email", *(f"r{i}@example.org" for i in range(5))]))
    first = digest("list", "--limit", "2", "--json")
    assert [r["email"] for r in rows(first)] == ["r0@example.org", "r1@example.org"]
    assert first.stderr == "more: --after r1@example.org\n"
    last = digest("list", "--limit", "3", "--after", "r1@example.org")
    assert len(last.stdout.splitlines()) == 4 and last.stderr == ""


def test_an_import_asks_those_who_never_confirmed(digest):
    listed = "email,status\nada@example.org,unconfirmed\nbob@example.org,subscribed\n"
    assert rows(digest("import", "-", "--ask", "--json", stdin=listed))["asked"] == 1
    assert rows(digest("import", "-", "--ask", "--json", stdin=listed))["asked"] == 0
    shown = rows(digest("show", "ada@example.org", "--json"))
    assert [letter["subject"] for letter in shown["letters"]] == ["Please confirm: Daily"]
    assert shown["subscriptions"][0]["state"] == "pending"


def test_an_import_shows_its_plan_before_it_is_done_and_in_a_dry_run(digest, tmp_path):
    file = tmp_path / "list.csv"
    file.write_text("email,city,Abgemeldet\nada@example.org,Zürich,nein\neve@example.org,,ja\n", encoding="cp1252")
    for options in (("--dry-run",), ()):
        said = digest("import", file, *options).stderr
        assert "list.csv is read as windows-1252 (in it: Zürich; --encoding says another), separated by ','" in said
        assert "city       → fields (kept with each person)" in said
        assert "Abgemeldet → left (by its title, and every value is understood (nein, ja))" in said
        assert "'ja' ×1: unsubscribed" in said
        assert "2 rows; added: 1, left: 1" in said
        assert "line 3: eve@example.org | unsubscribed | new" in said
    plan = rows(digest("import", file, "--dry-run", "--json"))["plan"]
    assert [column["field"] for column in plan["columns"]] == ["email", "fields", "left"]


@pytest.mark.parametrize(
    ("text", "options", "code", "says"),
    [
        (
            "email,Einwilligung\na@example.org,vielleicht\n",
            (),
            65,
            "the column 'Einwilligung' of standard input",
        ),
        ("email,joined\na@example.org,03/04/2021\n", (), 65, "--dates day-first or --dates month-first"),
        ("email\na@example.org\n", ("--from", "pigeon"), 64, "we know no service 'pigeon'"),
        ("email\na@example.org\n", ("--as", "happy"), 64, "one of active, pending, unsubscribed, suppressed"),
        ("email\na@example.org\n", ("--dates", "2021"), 64, "one of day-first, month-first"),
        ("email\na@example.org\n", ("--update", "state"), 64, "--update state: there is no such word"),
        ("email\na@example.org\n", ("--encoding", "klingon"), 65, "'klingon' is no encoding that we know"),
        ("email\na@example.org\n", ("--ignore-column", "x"), 65, "--ignore-column x: there is no such column"),
    ],
)
def test_what_an_import_cannot_know_is_one_sentence_and_a_way_out(digest, text, options, code, says):
    said = digest("import", "-", *options, stdin=text, code=code).stderr
    assert says in said and len(said.splitlines()) == 2
    assert rows(digest("list", "--json")) == []


def test_a_file_that_changes_much_of_the_list_wants_a_word(digest):
    everybody = [f"r{i}@example.org" for i in range(15)]
    digest("import", "-", stdin="\n".join(["email", *everybody]))
    gone = "\n".join(["email,unsubscribed_at", *(f"{address},2021-02-03" for address in everybody)])
    said = digest("import", "-", stdin=gone, code=64).stderr
    assert "standard input would end 15, where the list has 15" in said and "--yes" in said
    assert "without --dry-run it wants --yes" in digest("import", "-", "--dry-run", stdin=gone).stderr
    assert rows(digest("list", "--count", "--json"))[0]["state"] == "active"
    assert rows(digest("import", "-", "--yes", "--json", stdin=gone))["ended"] == 15
    nothing = gone.replace("2021-02-03", "NULL")
    assert rows(digest("import", "-", "--json", stdin=nothing))["ended"] == 0


def test_an_import_has_a_number_and_is_taken_back_by_it(digest, tmp_path):
    def imports(*words, code=0):
        done = CliRunner().invoke(app, ["-c", str(tmp_path), "import", *words])
        assert done.exit_code == code, done.output
        return done

    digest("import", "-", stdin="email\nada@example.org\n")
    assert "digest import undo 2 takes it back" in digest("import", "-", stdin="email\neve@example.org\n").stderr
    nothing = digest("import", "-", stdin="email\neve@example.org\n").stderr
    assert "takes it back" not in nothing and "nothing was changed by it" in nothing
    assert "there is nothing of import 3 to take back" in imports("undo", "3", "--dry-run").stderr
    assert [(r["number"], r["name"], r["added"]) for r in rows(imports("list", "--json"))[1:]] == [
        (2, "standard input", 1),
        (1, "standard input", 1),
    ]
    assert "people made: 1" in imports("show", "2").stderr
    assert rows(imports("undo", "2", "--dry-run", "--json")) == {"people made": 1, "subscriptions made": 1, "kept": 0}
    assert rows(imports("undo", "2", "--json"))["people made"] == 1
    assert [r["email"] for r in rows(digest("list", "--json"))] == ["ada@example.org"]
    assert "was taken back on" in imports("undo", "2", code=64).stderr
    assert "there is no import 9" in imports("show", "9", code=66).stderr


def test_on_a_terminal_what_is_open_is_asked(digest, tmp_path, monkeypatch):
    monkeypatch.setattr("digest.cli.import_plan.attended", lambda: True)
    dated = tmp_path / "list.csv"
    dated.write_text("email,joined\n" + "".join(f"r{i}@example.org,03/04/2021\n" for i in range(12)))
    assert "month/day" in digest("import", dated, stdin="month\n").stderr
    assert rows(digest("list", "--json"))[0]["since"].startswith("2021-03-04")
    bare = tmp_path / "unsubscribed.txt"
    bare.write_text("".join(f"r{i}@example.org\n" for i in range(12)))
    said = digest("import", bare, stdin="unsubscribed\nn\n", code=64).stderr
    assert "would end 12, where the list has 12. Go on?" in said and "nothing of unsubscribed.txt was stored" in said
    assert rows(digest("list", "--count", "--json"))[0]["state"] == "active"
    digest("import", bare, stdin="unsubscribed\ny\n")
    assert rows(digest("list", "--count", "--json"))[0]["state"] == "unsubscribed"
    assert "sounds as if nobody did" in digest("import", bare, stdin="stop\n", code=65).stderr
