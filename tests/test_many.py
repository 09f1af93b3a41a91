"""The same for many people: who is meant, counted first, in steps, with a line in each history."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from conftest import MONDAY, fill_once
from people import SECRET, enrol, typed
from postgres import wait_until_somebody_waits
from sqlmodel import select

from digest import subscribe
from digest.cli.many import days
from digest.errors import BadInput
from digest.models import Edition, OutboxRow, Subscriber, Subscription, Suppression, Variant
from digest.store import history, import_log, listing, newsletters, open_database, recipients, search
from digest.store.consent_tables import Consent
from digest.subscribe import Evidence, fields, many

SAID = Evidence("command line", MONDAY)
TOPICS = ("ai", "web")


def whom(*where, newsletter="daily"):
    return subscribe.search(where=where, newsletter=newsletter, moments=days)


def described(session, email, *words):
    return fields.keep(session, subscribe.known(session, email), fields.said(words), SAID)


def names(database, wanted):
    return [key.partition("@")[0] for key in many.first(database, wanted, 50)]


@pytest.fixture
def readers(database):
    """On both kinds of database: for what is asked in SQL."""
    return filled(database)


@pytest.fixture
def local(box):
    return filled(box)


def filled(database):
    fill_once(database, "people to choose from", lambda: fill(database))
    return database


def fill(database):
    newsletters.keep(database, ["daily", "weekly"], now=MONDAY)
    with database.write() as session:
        enrol(session, "Ada@example.org", known_topics=TOPICS, topics=["ai"], tags=["VIP"])
        enrol(session, "bob@example.org", known_topics=TOPICS, cadence="weekly mon", now=MONDAY - timedelta(days=400))
        enrol(session, "eve@sub.example.org", known_topics=TOPICS, topics=["web"], language="de")
        enrol(session, "kim@example.com", known_topics=TOPICS, tags=["vip", "it's 100%"])
        enrol(session, "lea@example.com", newsletter="weekly")
        subscribe.suppress(session, "kim@example.com", reason="by telephone", evidence=SAID)
        described(session, "ada@example.org", "Plan=gold", "city=Zürich", 'said=a, b; "plan": "silver"')
        described(session, "bob@example.org", "plan=silver", "gold=yes", "x=100%_")
        paper = newsletters.find(session, "daily")
        edition = Edition(newsletter_id=paper.id, number=1, composed_at=MONDAY, upto_seq=1, sender="x@example.com")
        session.add(edition)
        session.flush()
        variant = Variant(
            edition_id=edition.id, key="k", since_seq=0, subject="", html="", text="", story_count=1, more_count=0
        )
        session.add(variant)
        session.flush()
        ada = session.exec(select(Subscription).join(Subscriber).where(Subscriber.key == "ada@example.org")).one()
        session.add(
            OutboxRow(
                edition_id=edition.id,
                variant_id=variant.id,
                subscriber_id=ada.subscriber_id,
                subscription_id=ada.id,
                state="sent",
                due_at=MONDAY,
                created_at=MONDAY,
                settled_at=MONDAY,
            )
        )


FOUND = [
    ([], ["ada", "bob", "eve", "kim"]),
    (["state=active"], ["ada", "bob", "eve"]),
    (["state=suppressed"], ["kim"]),
    (["state=active,suppressed"], ["ada", "bob", "eve", "kim"]),
    (["state!=active"], ["kim"]),
    (["topic=ai"], ["ada", "bob", "kim"]),
    (["topic!=ai"], ["eve"]),
    (["topic=ai,web", "state=active"], ["ada", "bob", "eve"]),
    (["cadence=weekly"], ["bob"]),
    (["cadence=weekly Monday"], ["bob"]),
    (["cadence=every edition", "tag!=vip"], ["eve"]),
    (["tag=vip"], ["ada", "kim"]),
    (["tag=it's 100%"], ["kim"]),
    (["field.plan=gold"], ["ada"]),
    (["field.PLAN=GOLD"], ["ada"]),
    (["field.plan!=gold"], ["bob", "eve", "kim"]),
    (["field.plan=gol"], []),
    (["field.lan=gold"], []),
    (["field.plan=silver"], ["bob"]),
    (["field.plan!=gold", "field=plan"], ["bob"]),
    (["field!=plan"], ["eve", "kim"]),
    (["field=gold"], ["bob"]),
    (["field.city=zürich"], ["ada"]),
    (["field.CITY=ZÜRICH"], ["ada"]),
    (['field.said=a, b; "plan": "silver"'], ["ada"]),
    (["field.x=100%_"], ["bob"]),
    (["field.x=100__"], []),
    (["domain=example.org"], ["ada", "bob"]),
    (["domain!=EXAMPLE.org"], ["eve", "kim"]),
    (["domain=example.org,example.com"], ["ada", "bob", "kim"]),
    (["address~%"], []),
    (["address~SUB."], ["eve"]),
    (["address=ADA@example.org"], ["ada"]),
    (["address!=ada@example.org,bob@example.org"], ["eve", "kim"]),
    ([f"joined<{MONDAY:%Y-%m-%d}"], ["bob"]),
    ([f" joined <= {MONDAY:%Y-%m-%d} "], ["ada", "bob", "eve", "kim"]),
    ([f"joined={MONDAY:%Y-%m-%d}"], ["ada", "eve", "kim"]),
    ([f"joined>{MONDAY:%Y-%m-%d}"], []),
    (["joined>=2026-01-01", "domain=example.org"], ["ada"]),
    (["delivered=never", "state=active"], ["bob", "eve"]),
    (["delivered>2026-01-01"], ["ada"]),
    (["delivered<2027-01-01"], ["ada"]),
]


def test_who_is_meant_is_said_in_one_small_language(readers):
    with readers.read() as session:
        for where, found in FOUND:
            wanted = whom(*where)
            assert names(readers, wanted) == found, where
            assert search.count(session, wanted) == len(found), where
            page = listing.listed(session, wanted, limit=50)
            assert sorted({line.email.partition("@")[0].lower() for line in page.rows}) == found, where


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("vip", "is no condition"),
        ("hair=red", "there is no field 'hair'"),
        ("state=happy", "'happy' is not a state"),
        ("state<active", "state takes != ="),
        ("state=", "says nothing after the ="),
        ("cadence=hourly", "'hourly' is not a cadence"),
        ("domain=a b", "is not an address"),
        ("joined<soon", "'soon' is no moment"),
        ("joined<2025-01-01,2026-01-01", "takes one day"),
        ("delivered<never", "is no order"),
        ("tag~v", "tag takes"),
        ("field.plan~g", "field takes"),
        ("field.plan=", "says nothing after the ="),
        ("field.=x", "there is no field 'field.'"),
    ],
)
def test_what_is_no_condition_is_one_sentence(where, says):
    with pytest.raises(BadInput, match=says):
        whom(where)


def lines(database, key):
    with database.read() as session:
        person = session.exec(select(Subscriber).where(Subscriber.key == key)).one()
        return [(m.event, m.newsletter, m.detail) for m in history.moments(session, person)]


VERBS = {
    "removed": lambda w: many.remove(w, evidence=SAID),
    "paused": lambda w: many.pause(w, until=None, evidence=SAID),
    "chose": lambda w: many.choose(w, {"cadence": "daily"}, known_topics=TOPICS, evidence=SAID),
    "tagged": lambda w: many.label(w, add=["New"], remove=["vip"], evidence=SAID),
    "suppressed": lambda w: many.suppress(w, reason="moved on", evidence=SAID),
}


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_done_once_to_each_in_steps_with_one_line_of_history(local, monkeypatch, verb):
    monkeypatch.setattr(many, "STEP", 2)
    wanted = whom("domain=example.org,sub.example.org")
    before = {key: len(lines(local, key)) for key in ("ada@example.org", "bob@example.org", "kim@example.com")}
    told = []
    assert many.each(local, VERBS[verb](wanted), progress=told.append) == 3
    assert told == [2, 3]
    assert many.each(local, VERBS[verb](wanted)) == 0  # the same again finds nobody, or changes nothing
    assert [len(lines(local, key)) - n for key, n in before.items()] == [1, 1, 0]
    event, _paper, detail = lines(local, "ada@example.org")[-1]
    assert (event, detail) == {
        "removed": ("unsubscribed", ""),
        "paused": ("paused", "until they say so"),
        "chose": ("chose", "daily"),
        "tagged": ("tagged", "+New -VIP"),
        "suppressed": ("suppressed", "moved on"),
    }[verb]


def test_who_is_stopped_half_way_goes_on_where_it_ended(local, monkeypatch):
    monkeypatch.setattr(many, "STEP", 1)

    def stop(_done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        many.each(local, many.remove(whom("state=active"), evidence=SAID), progress=stop)
    assert names(local, whom("state=unsubscribed")) == ["ada"]
    assert many.each(local, many.remove(whom(), evidence=SAID)) == 3
    assert names(local, whom("state=unsubscribed")) == ["ada", "bob", "eve"]


def test_a_pause_said_again_is_the_same_and_shortens_nobody_s_own(readers):
    weeks = timedelta(weeks=2)
    with readers.write() as session:
        for who, until in (("ada", None), ("bob", MONDAY + 3 * weeks)):
            email, own = f"{who}@example.org", Evidence("page", MONDAY)
            subscribe.pause(session, email, newsletter="daily", until=until, evidence=own)
    first = many.pause(whom(), until=MONDAY + weeks, evidence=SAID)
    assert names(readers, first.whom) == ["eve", "kim"] and many.each(readers, first) == 2
    again = many.pause(whom(), until=MONDAY + weeks + timedelta(hours=1), evidence=SAID)
    assert (many.count(readers, again.whom), many.each(readers, again)) == (0, 0)
    assert [len(lines(readers, f"{who}@example.org")) for who in ("ada", "bob")] == [3, 3]
    longer = many.pause(whom(), until=MONDAY + 4 * weeks, evidence=SAID)
    assert names(readers, longer.whom) == ["bob", "eve", "kim"]
    for_good = many.pause(whom(), until=None, evidence=SAID)
    assert names(readers, for_good.whom) == ["bob", "eve", "kim"]


def test_two_who_suppress_the_same_people_at_once_suppress_each_once(readers):
    """Each sees whom it is to suppress before the other has: it is asked again in the step."""
    wanted = whom("domain=example.org", newsletter="")
    one, two = (many.suppress(wanted, reason=reason, evidence=SAID) for reason in ("one", "two"))
    keys = many.first(readers, two.whom)
    assert many.each(readers, one) == 2
    with readers.write() as session:
        assert two.step(session, two.whom, keys) == 0
    assert [event for event, *_ in lines(readers, "ada@example.org")].count("suppressed") == 1


@pytest.mark.parametrize("verb", ["erase", "tag"])
def test_many_take_their_locks_in_the_order_of_a_composition_on_postgres(upgraded_postgres_url, verb):
    """A composition has readers' subscriptions, and owes letters to the people whose they are."""
    database = filled(open_database(upgraded_postgres_url))
    verbs = {
        "erase": many.erase(whom(), secret=SECRET, now=MONDAY),
        "tag": many.label(whom(), add=["new"], evidence=SAID),
    }
    with ThreadPoolExecutor(1) as other:
        with database.write() as session:
            recipients.lock_readers(session, newsletters.find(session, "daily").id)
            done = other.submit(many.each, database, verbs[verb])
            if verb == "erase":
                wait_until_somebody_waits(database)
            else:
                assert done.result() == 4, "who gets a letter may get a tag meanwhile"
            session.execute(select(Subscriber.id).with_for_update(read=True, key_share=True)).all()
        assert done.result() == 4
    database.close()


def test_a_list_that_adds_tags_beside_a_command_that_does_loses_none_on_postgres(upgraded_postgres_url):
    database = filled(open_database(upgraded_postgres_url))
    terms = subscribe.Terms("l.csv", MONDAY, TOPICS, secret=SECRET, vouched_by="Ada", update=frozenset({"tags"}))
    list_ = io.BytesIO(b"email,tags\nbob@example.org,listed\n")
    with ThreadPoolExecutor(1) as other:
        with database.write() as session:
            verb = many.label(whom("address=bob@example.org", newsletter=""), add=["typed"], evidence=SAID)
            assert verb.step(session, verb.whom, ["bob@example.org"]) == 1
            session.flush()
            done = other.submit(subscribe.import_csv, database, list_, terms, newsletter="daily")
            wait_until_somebody_waits(database)
        assert done.result().updated == 1
    with database.read() as session:
        assert session.exec(select(Subscriber.tags).where(Subscriber.key == "bob@example.org")).one() == [
            "listed", "typed",
        ]  # fmt: skip
    import_log.undo(database, 1, evidence=SAID)
    assert names(database, whom("tag=typed", newsletter="")) == ["bob"]
    database.close()


def test_who_pauses_resumes_and_is_lifted_are_those_whom_it_changes_something_for(readers):
    assert (
        many.each(readers, many.pause(whom("domain=example.org"), until=MONDAY + timedelta(days=9), evidence=SAID)) == 2
    )
    assert many.each(readers, many.resume(whom(), evidence=SAID)) == 2
    lifted = many.unsuppress(subscribe.search(where=["tag=vip"], moments=days), evidence=SAID)
    assert many.each(readers, lifted) == 1
    assert lines(readers, "kim@example.com")[-1] == ("unsuppressed", "", "by telephone")
    assert many.each(readers, many.erase(whom("topic=web"), secret=SECRET, now=MONDAY)) == 3
    assert names(readers, whom(newsletter="")) == ["ada", "lea"]


def test_a_list_of_addresses_narrows_and_suppresses_also_whom_nobody_knows(readers):
    with readers.pinned() as private:
        assert many.lay_down(private, ["ADA@example.org", "ada@example.org", "new@example.net", "kim@example.com"]) == 3
        listed = search.Search(given=True, newsletter="daily")
        assert names(private, listed) == ["ada", "kim"]
        verb = many.suppress(search.Search(given=True), reason="a list", evidence=SAID)
        assert (many.count(private, verb.whom), many.each(private, verb)) == (2, 2)
        with pytest.raises(BadInput, match="two @"):
            many.lay_down(private, ["a@b@c"])
    with readers.read() as session:
        assert set(session.exec(select(Suppression.key))) == {"ada@example.org", "new@example.net", "kim@example.com"}
        assert session.exec(select(sa.func.count()).select_from(Consent).where(Consent.detail == "a list")).one() == 1


# ---------------------------------------------------------------- as an operator types it


@pytest.fixture
def operator(tmp_path, upgraded_sqlite):
    run = typed(tmp_path, upgraded_sqlite)
    for who in ("ada@example.org", "bob@example.org", "eve@example.com"):
        run("subscriber", "add", who)
    return run


def states(operator):
    rows = json.loads(operator("subscriber", "list", "--json").stdout)
    return {row["email"].partition("@")[0]: row["state"] for row in rows}


def test_nothing_is_done_to_many_before_somebody_was_asked_or_said_yes(operator):
    words = ("subscriber", "remove", "--where", "domain=example.org")
    assert "2 people to be removed" in (dry := operator(*words, "--dry-run").stderr)
    assert "ada@example.org" in dry and "eve" not in dry
    assert "nothing was changed" in operator(*words, code=64).stderr
    assert set(states(operator).values()) == {"active"}
    assert "2 people: removed" in operator(*words, "--yes").stderr
    assert "0 people to be removed, of 2 found" in operator(*words, "--yes").stderr
    assert states(operator) == {"ada": "unsubscribed", "bob": "unsubscribed", "eve": "active"}


def test_a_file_says_who_is_meant_and_a_wrong_line_does_nothing(operator, tmp_path):
    file = tmp_path / "people.txt"
    file.write_bytes('\ufeffemail,name\n# those who wrote\n"Ada@example.org",Ada\n\neve@example.com; Eve\n'.encode())
    assert "2 people: paused" in operator("subscriber", "pause", "--file", file, "--weeks", 2, "--yes").stderr
    assert states(operator) == {"ada": "paused", "bob": "active", "eve": "paused"}
    exported = operator("subscriber", "export", "--file", file).stdout
    assert exported.count("@") == 2 and "ada@example.org" in exported
    assert "bob@" in operator("subscriber", "export", "--where", "state=active").stdout
    wrong = "bob@example.org\nnobody\n"
    assert (
        "line 2: 'nobody' is not an address"
        in operator("subscriber", "suppress", "--file", "-", "--yes", stdin=wrong, code=65).stderr
    )
    assert states(operator)["bob"] == "active"


def test_one_address_or_many_is_said_and_not_both(operator):
    for verb in ("remove", "pause", "resume", "erase", "suppress", "unsuppress"):
        assert "say whom" in operator("subscriber", verb, code=64).stderr
        assert "say whom" in operator("subscriber", verb, "ada@example.org", "-w", "state=active", code=64).stderr
    assert "say what to choose" in operator("subscriber", "set", "-w", "state=active", "--name", "Ada", code=64).stderr
    assert "say which tag" in operator("subscriber", "tag", "ada@example.org", code=64).stderr
    assert "1 person: tagged" in operator("subscriber", "tag", "ada@example.org", "--add", "vip").stderr
    operator("subscriber", "set", "-w", "tag=VIP", "--cadence", "weekly mon", "--yes")
    rows = json.loads(operator("subscriber", "list", "-w", "cadence=weekly", "--json").stdout)
    assert [(row["email"], row["tags"]) for row in rows] == [("ada@example.org", ["vip"])]
    assert "2 people: forgotten" in operator("subscriber", "erase", "-w", "domain=example.org", "-y").stderr
    assert states(operator) == {"eve": "active"}


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("plan", "is no field"),
        ("=gold", "is no field"),
        (f"{'x' * 61}=1", "is too long"),
        (f"x={'y' * 501}", "too long"),
    ],
)
def test_what_is_no_field_is_one_sentence(word, says):
    with pytest.raises(BadInput, match=says):
        fields.said([word])


def test_fields_are_set_and_taken_away_with_a_line_in_the_history(local):
    with local.write() as session:
        ada = subscribe.known(session, "ada@example.org")
        before = dict(ada.fields)
        assert described(session, "ada@example.org", "plan=silver", "city=", "new = two  words\x1b[2J")
        assert ada.fields == {"Plan": "silver", "said": before["said"], "new": "two words[2J"}
        assert not described(session, "ada@example.org", "PLAN=silver", "nothing=")
        assert history.moments(session, ada)[-1].detail == "Plan: silver, city: gone, new: two words[2J"
        with pytest.raises(BadInput, match="more than 50 fields"):
            described(session, "ada@example.org", *(f"f{number}=1" for number in range(50)))


def test_fields_of_many_are_set_and_come_back_from_an_export(digest, tmp_path):
    (tmp_path / "digest.toml").write_text(
        'secret_key = "a key for tests, long enough"\n[newsletters.daily]\ntitle = "Daily"\nfrom = "d@news.example"\n'
    )
    (tmp_path / "list.csv").write_text("email,plan,note\nada@example.org,gold,=1+1\nbob@example.org,,x\n")
    assert digest("init").returncode == 0
    assert digest("subscriber", "import", "list.csv", "--yes").returncode == 0
    assert (
        digest("subscriber", "set", "ada@example.org", "--field", "city=Rome", "--field", "Note=NULL").returncode == 0
    )
    done = digest("subscriber", "set", "--where", "field!=plan", "--field", "plan=none", "--yes")
    assert done.returncode == 0 and "changed" in done.stderr
    assert digest("subscriber", "set", "--where", "field=plan", "--yes").returncode == 64
    assert digest("subscriber", "export", "--out", "all.csv").returncode == 0
    shown = digest("subscriber", "show", "ada@example.org")
    assert "city: Rome, note: NULL, plan: gold" in shown.stdout
    listed = json.loads(digest("subscriber", "list", "--where", "field.plan=none", "--json").stdout)
    assert [one["email"] for one in listed] == ["bob@example.org"]
    for path in tmp_path.glob("digest.db*"):
        path.unlink()
    assert digest("init").returncode == 0
    assert digest("subscriber", "import", "all.csv", "--yes").returncode == 0
    kept = json.loads(digest("subscriber", "show", "ada@example.org", "--json").stdout)["fields"]
    assert kept == {"city": "Rome", "note": "NULL", "plan": "gold"}
