"""subscribe: one person at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people import enrol
from sqlalchemy import func
from sqlmodel import select

from digest import subscribe
from digest.errors import BadInput, NotFound, UserError
from digest.models import Edition, OutboxRow, Subscriber, Variant, address_key
from digest.store import history, listing, newsletters, outbox, pauses, people
from digest.store.schema import tables as all_tables
from digest.subscribe import Evidence


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada@Example.COM", "Ada@example.com"),
        ("ada+digest@example.com", "ada+digest@example.com"),
        ("ada@bücher.example.com", "ada@xn--bcher-kva.example.com"),
        ("ada@xn--bcher-kva.example.com", "ada@xn--bcher-kva.example.com"),
        ("жанна@example.org", "жанна@example.org"),
        ("jose\u0301@example.net", "josé@example.net"),
        ("\u200b\ufeffada@example.com\u00a0 ", "ada@example.com"),
        ("o'hara@example.com", "o'hara@example.com"),
        ("x" * 64 + "@example.com", "x" * 64 + "@example.com"),
    ],
)
def test_an_address_has_one_form(typed, kept):
    assert subscribe.address(typed) == kept
    assert subscribe.address(kept) == kept


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "empty"),
        ("plain", "no @"),
        ("@example.com", "before the @"),
        ("ada@", "after the @"),
        ("a@b@c", "two @"),
        ("ada@example.com,eve@example.com", "two @"),
        ("ada@example.com\r\nBcc: eve@example.com", "line break"),
        ("ada@example.com\n", "line break"),
        ("ada@example.com\0", "line break"),
        ("ada(comment)@example.com", "comment"),
        ("ada@example.com(comment)", "comment"),
        ("ada@[192.0.2.1]", "domain literal"),
        ('"ada eve"@example.com', "quoted"),
        ("ada eve@example.com", "SPACE"),
        ("jos\ufffd@example.com", "a letter of it was lost"),
        ("ada@localhost", "period"),
        ("ada@example..com", "periods"),
        ("ada.@example.com", "period"),
        ("ada@-example.com", "hyphen"),
        ("x" * 65 + "@example.com", "64 octets"),
        ("ж" * 33 + "@example.com", "64 octets"),
        ("a@" + ".".join(["d" * 60] * 4) + ".example.com", "too long"),
        ("ada\udce9@example.com", "unsafe"),
    ],
)
def test_what_is_no_address_is_refused_in_words(typed, words):
    with pytest.raises(BadInput, match=words) as refusal:
        subscribe.address(typed)
    assert all(c.isprintable() for c in str(refusal.value))


@given(st.text(max_size=80) | st.emails())
def test_any_text_is_an_address_in_its_one_form_or_is_refused(text):
    try:
        form = subscribe.address(text)
    except BadInput:
        return
    assert subscribe.address(form) == form
    assert address_key(address_key(form)) == address_key(form)
    assert form.count("@") == 1 and not any(c.isspace() for c in form)
    assert form.rpartition("@")[2].isascii()


@given(st.text(max_size=300))
def test_a_name_never_breaks_a_line(text):
    try:
        name = subscribe.display_name(text)
    except BadInput:
        return
    assert subscribe.display_name(name) == name
    assert name.isprintable() or set(name) & {"\u200c", "\u200d"}
    assert "\n" not in name and "\r" not in name


# ---------------------------------------------------------------- one person's way through it

MONDAY = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
SECRET = "a key for tests, long enough"


def join(database, email, **more):
    with database.write() as session:
        options = {"newsletter": "daily", "how": "web", "now": MONDAY, "secret": SECRET, "known_topics": {"ai"}}
        return enrol(session, email, **(options | more))


def state(database, email):
    with database.read() as session:
        (standing,) = history.standings(session, subscribe.known(session, email))
    return standing.state


def events_of(database, email):
    with database.read() as session:
        return [(m.event, m.how, m.vouched_by) for m in history.moments(session, subscribe.known(session, email))]


def test_who_is_subscribed_already_stays_as_they_are_and_who_comes_back_may_say_their_name(database):
    join(database, "ada@example.com")
    assert join(database, "ada@example.com", name="Ada").outcome == "unchanged"
    with database.read() as session:
        assert subscribe.known(session, "ada@example.com").name == ""
    with database.write() as session:
        ada = subscribe.known(session, "ada@example.com")
        assert subscribe.leave_all(session, ada, evidence=Evidence("web", MONDAY)) == 1
    assert join(database, "ada@example.com", name="Ada", again=True).outcome == "returned"
    with database.read() as session:
        assert subscribe.known(session, "ada@example.com").name == "Ada"


def test_one_person_has_one_row_however_they_are_typed(database):
    assert join(database, "Ada@Example.com", name="Ada").outcome == "added"
    again = join(database, "ada@example.COM", name="Countess")
    assert (again.outcome, again.email) == ("unchanged", "Ada@example.com")
    with database.read() as session:
        assert session.exec(select(func.count()).select_from(Subscriber)).one() == 1
        assert subscribe.known(session, "ADA@example.com").name == "Ada"


def test_who_vouched_is_kept(database):
    join(database, "ada@example.com", how="command line", vouched_by="Charles")
    assert events_of(database, "ada@example.com") == [("subscribed", "command line", "Charles")]


def test_an_unknown_topic_is_refused_with_those_known(database):
    with pytest.raises(BadInput, match="there is no topic 'cats'") as refusal:
        join(database, "ada@example.com", topics=["cats"])
    assert refusal.value.hint == "the settings know: ai"


def test_who_left_comes_back_only_when_they_ask(database):
    join(database, "ada@example.com")
    with database.write() as session:
        assert subscribe.remove(session, "ada@example.com", newsletter="daily", evidence=Evidence("web", MONDAY))
        assert not subscribe.remove(session, "ada@example.com", newsletter="daily", evidence=Evidence("web", MONDAY))
    with pytest.raises(UserError, match="left daily on 2026-11-23"):
        join(database, "ada@example.com")
    assert join(database, "ada@example.com", again=True).outcome == "returned"
    assert [event for event, _how, _who in events_of(database, "ada@example.com")] == [
        "subscribed",
        "unsubscribed",
        "subscribed",
    ]


def test_a_suppressed_address_is_refused_and_shown_as_such_until_it_is_lifted(database):
    join(database, "ada@example.com")
    with database.write() as session:
        assert subscribe.suppress(session, "ADA@example.com", reason="asked us", evidence=Evidence("telephone", MONDAY))
        assert not subscribe.suppress(
            session, "ada@example.com", reason="again", evidence=Evidence("telephone", MONDAY)
        )
        assert listing.listed(session, subscribe.search(state="active"), limit=9).rows == ()
        (line,) = listing.listed(session, subscribe.search(state="suppressed"), limit=9).rows
        assert listing.counted(session, subscribe.search()) == [("daily", "suppressed", 1)]
    assert (line.email, line.reason) == ("ada@example.com", "asked us")
    with pytest.raises(UserError, match="suppressed since 2026-11-23: asked us"):
        join(database, "ada@example.com")
    with database.write() as session:
        assert subscribe.unsuppress(session, "ada@example.com", secret=SECRET, evidence=Evidence("telephone", MONDAY))
    assert join(database, "ada@example.com").outcome == "unchanged"
    assert state(database, "ada@example.com") == "active"


def test_a_pause_ends_when_it_is_over_and_makes_nothing_up(database):
    join(database, "ada@example.com")
    join(database, "eve@example.com")
    until = MONDAY + timedelta(weeks=2)
    with database.write() as session:
        assert subscribe.pause(
            session, "ada@example.com", newsletter="daily", until=until, evidence=Evidence("web", MONDAY)
        )
        assert not subscribe.pause(
            session, "ada@example.com", newsletter="daily", until=until, evidence=Evidence("web", MONDAY)
        )
        paper = newsletters.find(session, "daily")
        session.add(Edition(newsletter_id=paper.id, number=1, composed_at=MONDAY, upto_seq=17, sender="x@example.com"))
    assert state(database, "ada@example.com") == "paused"
    with database.write() as session:
        assert pauses.end_pauses(session, now=until - timedelta(seconds=1)) == 0
        assert pauses.end_pauses(session, now=until) == 1
        paper = newsletters.find(session, "daily")
        ada = people.subscription(session, subscribe.known(session, "ada@example.com"), paper)
        assert (ada.state, ada.read_until, ada.paused_until) == ("active", 17, None)
    assert [event for event, *_ in events_of(database, "ada@example.com")] == ["subscribed", "paused", "resumed"]


def test_only_who_gets_letters_can_pause(database):
    join(database, "ada@example.com")
    with database.write() as session:
        subscribe.remove(session, "ada@example.com", newsletter="daily", evidence=Evidence("web", MONDAY))
        with pytest.raises(UserError, match="left daily"):
            subscribe.pause(
                session, "ada@example.com", newsletter="daily", until=None, evidence=Evidence("web", MONDAY)
            )
        with pytest.raises(UserError, match="left daily"):
            subscribe.resume(session, "ada@example.com", newsletter="daily", evidence=Evidence("web", MONDAY))
        with pytest.raises(NotFound, match="not a subscriber"):
            subscribe.resume(session, "eve@example.com", newsletter="daily", evidence=Evidence("web", MONDAY))


def test_erasing_leaves_the_letters_counted_and_nobody_named(database, config):
    join(database, "Forgotten@example.com", name="Nameless One", tags=["secret tag"])
    join(database, "stays@example.com")
    with database.write() as session:
        paper = newsletters.find(session, "daily")
        one = people.subscription(session, subscribe.known(session, "forgotten@example.com"), paper)
        for number, outcome in enumerate(("sent", "refused", "owed", "held", "dropped"), start=1):
            edition = Edition(
                newsletter_id=paper.id, number=number, composed_at=MONDAY, upto_seq=1, sender="x@y.example"
            )
            session.add(edition)
            session.flush()
            variant = Variant(
                edition_id=edition.id, key="", since_seq=0, subject="", html="", text="", story_count=1, more_count=0
            )
            session.add(variant)
            session.flush()
            session.add(
                OutboxRow(
                    edition_id=edition.id,
                    variant_id=variant.id,
                    subscriber_id=one.subscriber_id,
                    subscription_id=one.id,
                    state=outcome,
                    due_at=MONDAY,
                    created_at=MONDAY,
                    code=550 if outcome == "refused" else 0,
                    reply="550 5.1.1 <Forgotten@example.com> who?" if outcome == "refused" else "",
                )
            )
        subscribe.suppress(session, "forgotten@example.com", reason="bounced", evidence=Evidence("bounce", MONDAY))
        notice = outbox.NewNotice(to="Forgotten@example.com", sender="x@y.org", subject="Confirm", text="x")
        outbox.owe_notice(session, notice, key="k", now=MONDAY)
        letters = history.posts(session, subscribe.known(session, "forgotten@example.com"))
        assert {post.edition for post in letters} == {None, 1, 2, 3, 4, 5}
    with database.write() as session:
        erased = subscribe.erase(session, "forgotten@example.com", secret=SECRET, now=MONDAY)
        assert (erased.subscriptions, erased.letters, erased.dropped) == (1, 5, 2)
    with database.write() as session:
        assert subscribe.erase(session, "forgotten@example.com", secret=SECRET, now=MONDAY) is None
        rows = session.exec(select(OutboxRow).order_by(OutboxRow.id)).all()
        assert [r.state for r in rows] == ["sent", "refused", "dropped", "dropped", "dropped"]
        assert {(r.subscriber_id, r.subscription_id) for r in rows} == {(None, None)}
        assert [r.code for r in rows] == [0, 550, 0, 0, 0]
        everything = [
            str(row)
            for table in all_tables().sorted_tables
            for row in session.connection().execute(table.select()).all()
        ]
    assert not [row for row in everything if "forgotten" in row.lower() or "Nameless" in row or "secret tag" in row]
    with pytest.raises(UserError, match="was erased"):
        join(database, "forgotten@example.com")
    assert state(database, "stays@example.com") == "active"
    if database.engine.dialect.name == "sqlite":
        assert database.checkpoint()
        for path in Path(database.engine.url.database).parent.glob("digest.db*"):
            content = path.read_bytes().lower()
            assert b"forgotten" not in content and b"nameless" not in content, path
            assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_erased_of_a_stranger(database):
    with database.write() as session, pytest.raises(NotFound, match="nothing is known"):
        subscribe.erase(session, "stranger@example.com", secret=SECRET, now=MONDAY)


def test_lists_go_on_after_the_last_address_and_are_narrowed(database):
    for i in range(7):
        join(database, f"R{i}@example.com", topics=["ai"] if i % 2 else [], tags=["é", "vip"] if i == 3 else [])
    join(database, "100%@example.com")
    with database.write() as session:
        subscribe.pause(session, "r5@example.com", newsletter="daily", until=None, evidence=Evidence("web", MONDAY))

        def found(limit=50, after="", **search):
            page = listing.listed(session, subscribe.search(**search), after=after, limit=limit)
            return [line.email.split("@")[0] for line in page.rows], page.more

        assert found(limit=3) == (["100%", "R0", "R1"], "R1@example.com")
        assert found(limit=3, after="r1@EXAMPLE.com") == (["R2", "R3", "R4"], "R4@example.com")
        assert found(limit=3, after="R4@example.com") == (["R5", "R6"], "")
        assert found(part="%") == (["100%"], "")
        assert found(tag="é") == found(tag="VIP") == (["R3"], "")
        assert found(state="paused") == (["R5"], "")
        assert found(state="paused", newsletter="nowhere") == ([], "")
        assert found(topic="ai", part="r") == ([f"R{i}" for i in range(7)], "")
        assert found(topic="web", part="r") == (["R0", "R2", "R4", "R6"], "")
        assert listing.counted(session, subscribe.search()) == [("daily", "active", 7), ("daily", "paused", 1)]
    with pytest.raises(BadInput, match="not a state"):
        subscribe.search(state="happy")
