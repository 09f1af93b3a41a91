"""A bad day of a mail server, undone: whom it had suppressed, and what they did not get."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from conftest import MONDAY, on_sqlite
from mailing import owe, send, sound, states
from sqlmodel import col, select

from digest import subscribe
from digest.models import EditionState, OutboxRow
from digest.store import edition_states, editions, people, suppressions
from digest.store.consent_tables import Consent
from digest.subscribe import Evidence

GONE = "550 5.1.1 no such user here"
PEOPLE = ("ada@example.org", "bob@example.org", "cyd@example.org", "eve@other.example", "fay@example.org")
DAY = timedelta(days=1)
LATER = MONDAY + timedelta(hours=3)


@pytest.fixture
def config(configure, inbox):
    return configure(smtp={"url": inbox.url})


@pytest.fixture
def operator(digest, database, tmp_path, at):
    """Commands on `database`, some hours after its letters went out."""
    (tmp_path / "digest.toml").write_text(
        'secret_key = "a key for tests, long enough"\n'
        '[newsletters.daily]\ntitle = "Daily"\nfrom = "Daily <news@news.example>"\n'
    )
    at(LATER)
    url = database.engine.url.render_as_string(hide_password=False)

    def run(*words: object, code: int = 0):
        done = digest(*words, DIGEST_DATABASE=url)
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.fixture
def bad_day(database, config, inbox, clock):
    """Two editions: of the first one letter is sent and four are refused; the second is dropped for three of them."""
    with database.write() as session:
        subscribe.suppress(session, "mallory@example.org", reason="by hand", evidence=Evidence("test", MONDAY))
        suppressions.add(session, "carol@example.org", reason="complaint", now=MONDAY)
        suppressions.add(session, "dave@example.org", reason="no such mailbox", now=MONDAY)  # so a person said it
        suppressions.add(session, "old@example.org", reason="no such mailbox", status="5.1.1", now=MONDAY - 9 * DAY)
    owe(database, config, *PEOPLE)
    owe(database, config, *PEOPLE)
    for who in ("bob@example.org", "cyd@example.org", "eve@other.example"):
        inbox.refuse[who] = GONE
    inbox.refuse["fay@example.org"] = "550 5.7.1 not today"
    with database.write() as session:
        second = editions.row(session, "daily", 2)
        edition_states.set_state(session, second.id, EditionState.PAUSED, "test")
    assert send(database, config, clock).refused == 4
    with database.write() as session:
        edition_states.set_state(session, second.id, EditionState.OPEN, "", opened_at=MONDAY)
    report = send(database, config, clock)
    assert (report.sent, report.dropped, report.refused) == (1, 3, 1)
    inbox.refuse.clear()
    clock.now = LATER


def suppressed(run) -> set[str]:
    return {row["email"] for row in json.loads(run("subscriber", "list", "--state", "suppressed", "--json").stdout)}


def test_a_bad_day_is_undone_in_two_commands(bad_day, operator, database, config, inbox, clock):
    before = suppressed(operator)
    rehearsal = operator("subscriber", "unsuppress", "--since", "2026-11-23", "--status", "5.1.1", "--dry-run")
    assert "3 addresses would get letters again" in rehearsal.stderr and suppressed(operator) == before
    assert [line.split("\t")[0] for line in rehearsal.stdout.splitlines()[1:]] == [
        "bob@example.org",
        "cyd@example.org",
        "eve@other.example",
    ]
    done = operator("subscriber", "unsuppress", "--since", "2026-11-23", "--status", "5.1.1", "--json")
    told = json.loads(done.stdout)
    assert told["lifted"] == 3 and [one["number"] for one in told["missed"]] == [1, 2]
    assert "3 missed daily No. 2: digest edition resend 2 -n daily --only refused" in done.stderr
    # Whom a person suppressed, or who complained, or who was not there long before, stays so.
    kept = {f"{who}@example.org" for who in ("mallory", "carol", "dave", "old")}
    assert suppressed(operator) == kept
    with database.read() as session:
        bob = people.find(session, "bob@example.org")
        (line,) = session.exec(select(Consent).where(Consent.subscriber_id == bob.id, Consent.event == "unsuppressed"))
        assert (line.how, line.detail) == ("command line", "no such mailbox 5.1.1")

    assert (
        "3 letters of daily No. 1 would be owed again"
        in operator("edition", "resend", 1, "--only", "refused", "--status", "5.1.1", "--dry-run").stderr
    )
    for number in (1, 2):
        done = operator("edition", "resend", number, "--only", "refused", "--status", "5.1.1", "--json")
        assert json.loads(done.stdout)["owed_again"] == 3
        again = operator("edition", "resend", number, "--only", "refused", "--status", "5.1.1", "--json")
        assert json.loads(again.stdout)["owed_again"] == 0
    assert send(database, config, clock).sent == 6
    assert sorted(inbox.recipients) == sorted(2 * PEOPLE[:4])
    assert sound(database)


def test_who_left_may_have_it_or_is_suppressed_is_left_alone(bad_day, operator, database, config, clock):
    operator("subscriber", "unsuppress", "--since", "2026-11-23", "--domain", "EXAMPLE.org")
    assert "eve@other.example" in suppressed(operator)
    operator("subscriber", "remove", "bob@example.org")
    with database.write() as session:
        cyd = people.find(session, "cyd@example.org")
        theirs = select(OutboxRow).where(OutboxRow.subscriber_id == cyd.id, OutboxRow.edition_id == 1)
        letter = session.exec(theirs).one()
        letter.in_doubt = True
        session.add(letter)
    operator("subscriber", "pause", "fay@example.org", "--weeks", 1)
    done = operator("edition", "resend", 1, "--only", "refused", "--json")
    told = json.loads(done.stdout)
    assert told["owed_again"] == 0
    assert told["left_alone"] == {"left": 1, "in doubt": 1, "suppressed": 1, "paused": 1}
    assert "left alone: " in done.stderr
    operator("subscriber", "erase", "cyd@example.org")
    again = json.loads(operator("edition", "resend", 1, "--only", "refused", "--json").stdout)
    assert again["left_alone"] == {"left": 2, "suppressed": 1, "paused": 1}
    assert send(database, config, clock).sent == 0


def test_what_a_resend_is_narrowed_to(bad_day, operator):
    def owed(*words: str) -> int:
        done = operator("edition", "resend", 1, "--only", "refused", "--dry-run", "--json", *words)
        return json.loads(done.stdout)["owed_again"]

    operator("subscriber", "unsuppress", "--since", "2026-11-23T07:00+00:00", "--until", "2026-11-23")
    assert "dave@example.org" in suppressed(operator)
    assert (owed(), owed("--status", "5.1.1"), owed("--status", "5.7.1"), owed("--status", "550")) == (4, 3, 1, 4)
    assert (owed("--domain", "other.example"), owed("--domain", "@example.org")) == (1, 3)
    assert owed("--status", "552") == 0


def test_who_was_suppressed_by_hand_is_asked_for_by_name(bad_day, operator):
    operator("subscriber", "unsuppress", "--since", "2026-11-01", "--reason", "by hand")
    operator("subscriber", "unsuppress", "carol@example.org")
    assert suppressed(operator) == {*PEOPLE[1:4], "dave@example.org", "old@example.org"}
    operator("subscriber", "unsuppress", "--since", "2026-11-01", "--until", "2026-11-20")
    assert "old@example.org" not in suppressed(operator)


@on_sqlite
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("subscriber", "unsuppress"), 64, "say whom"),
        (("subscriber", "unsuppress", "ada@example.org", "--since", "2026-11-23"), 64, "say whom"),
        (("subscriber", "unsuppress", "ada@example.org", "--json"), 64, "say whom"),
        (("subscriber", "unsuppress", "--status", "5.1.1"), 64, "say whom"),
        (("subscriber", "unsuppress", "--since", "yesterday"), 65, "'yesterday' is no moment"),
        (("subscriber", "unsuppress", "--since", "2026-11-23", "--until", "9999-12-31"), 65, "is out of reach"),
        (("subscriber", "unsuppress", "--since", "2026-11-23", "--until", "2026-11-20"), 65, "is not after"),
        (("subscriber", "unsuppress", "--since", "2026-11-23", "--status", "550"), 64, "no status of a mail server"),
        (("subscriber", "unsuppress", "--since", "2026-11-23", "--domain", "a b"), 65, "is not an address"),
        (("edition", "resend", 1), 2, "--only"),
        (("edition", "resend", 1, "--only", "sent"), 64, "nothing but what was refused"),
        (("edition", "resend", 1, "--only", "refused", "--status", "bad"), 64, "no status of a mail server"),
        (("edition", "resend", 7, "--only", "refused"), 66, "daily has no edition 7"),
    ],
)
def test_a_mistake_is_one_sentence_and_a_code(operator, words, code, says):
    assert says in operator(*words, code=code).stderr


@on_sqlite
def test_a_cancelled_edition_stays_cancelled_and_a_paused_one_waits(bad_day, operator, database):
    operator("subscriber", "unsuppress", "--since", "2026-11-23")
    with database.write() as session:
        edition_states.set_state(session, 1, EditionState.PAUSED, "test")
    assert "`digest edition resume 1` lets it go out" in operator("edition", "resend", 1, "--only", "refused").stderr
    with database.write() as session:
        edition_states.set_state(session, 1, EditionState.CANCELLED, "test")
    assert "is cancelled" in operator("edition", "resend", 1, "--only", "refused", code=64).stderr
    assert states(database)


@pytest.mark.long
@on_sqlite
def test_a_thousand_are_undone_as_one(operator, database, config):
    people = [f"r{n}@example.org" for n in range(1200)]
    owe(database, config, *people)
    with database.write() as session:
        for who in people:
            suppressions.add(session, who, reason=suppressions.BOUNCED, status="5.1.1", now=MONDAY)
        refused = {"state": "refused", "code": 550, "reply": "5.1.1 gone", "settled_at": MONDAY}
        session.execute(OutboxRow.__table__.update().where(col(OutboxRow.edition_id) == 1).values(refused))
    told = json.loads(operator("subscriber", "unsuppress", "--since", "2026-11-23", "--json").stdout)
    assert told["lifted"] == 1200 and told["missed"] == [{"newsletter": "daily", "number": 1, "letters": 1200}]
    assert json.loads(operator("edition", "resend", 1, "--only", "refused", "--json").stdout)["owed_again"] == 1200
    assert sound(database)


def test_who_is_suppressed_is_not_owed_again_by_a_retry_but_told(bad_day, operator, database):
    """It would be dropped, and what the server said of it lost."""
    before = states(database)
    by_hand = operator("outbox", "retry", "--edition", "1", "--state", "refused", "--dry-run").stderr
    assert by_hand.startswith("1 letter would be owed again\nleft alone: suppressed: 3\n"), by_hand
    with database.read() as session:
        ids = session.exec(select(OutboxRow.id).where(OutboxRow.state == "refused", OutboxRow.reply == GONE[4:])).all()
    refused = operator("outbox", "retry", *ids, code=64).stderr
    assert "none of these letters can be owed again: suppressed: 3" in refused and "unsuppress" in refused
    assert states(database) == before
    operator("subscriber", "unsuppress", "bob@example.org")
    assert "1 letter is owed again\nleft alone: suppressed: 2" in operator("outbox", "retry", *ids).stderr
