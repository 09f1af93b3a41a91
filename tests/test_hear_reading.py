"""Mailboxes read: each mail once, only what is proven changes somebody, and all of it can be taken back."""

from __future__ import annotations

import email
import json
import mailbox
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import hearing
import pytest
import sqlalchemy as sa
from conftest import MONDAY, on_sqlite
from hearing import hears
from mailing import owe, send
from sqlmodel import col, select

from digest import hear, line, sign, subscribe
from digest.errors import NotFound, StorageError, UserError
from digest.hear import forward, sources
from digest.hear.policy import Act
from digest.models import Notice, OutboxRow, SubscriptionState
from digest.store import doubts, history, hooks, pauses, people, refusals, reports, suppressions
from digest.store.api_tables import WebhookEvent
from digest.store.consent_tables import ConsentEvent
from digest.store.reports import Which

ADA, BOB = "ada@example.org", "bob@example.org"


@pytest.fixture
def config(configure):
    return configure(mail={"address": "bounces@news.example"})


@pytest.fixture
def letters(database, config, clock):
    """Letters to Ada and Bob, as they went out."""
    return hearing.letters(database, config, clock, ADA, BOB)


def standing(database, email):
    """The state of somebody's subscription, and why nothing goes to them."""
    with database.read() as session:
        person = people.find(session, email)
        stop = suppressions.find(session, email)
        return people.subscriptions_of(session, person)[0][0].state.value, stop.reason if stop else ""


def events(database, email):
    with database.read() as session:
        return [(m.event, m.how) for m in history.moments(session, people.find(session, email))][1:]


def kept(database, **which):
    with database.read() as session:
        return reports.find(session, Which(**which))


def edition_again(database, config, clock, *, days):
    """Another edition to everybody, so many days later."""
    clock.pass_(days=days)
    owe(database, config)
    with database.write() as session:
        session.execute(sa.update(OutboxRow).where(col(OutboxRow.tried_at).is_(None)).values(due_at=clock()))
    send(database, config, clock)
    return hearing.sent(config)


def test_a_proven_bounce_suppresses_its_reader_and_is_taken_back(database, config, letters):
    found = hears(database, config, hearing.bounce(letters[ADA]))
    assert found.acts == {Act.SUPPRESS: 1}
    assert standing(database, ADA) == ("active", suppressions.BOUNCED)
    assert standing(database, BOB) == ("active", "")
    (row,) = kept(database)
    assert events(database, ADA) == [("suppressed", f"mail {row.id}")]
    assert (row.proof, row.reason, row.status, row.address) == ("verp", "no such mailbox", "5.1.1", ADA)

    assert hear.undo(database, [row.id], how="test", now=MONDAY) == [row.id]
    assert standing(database, ADA) == ("active", "")
    assert hear.undo(database, [row.id], how="test", now=MONDAY) == []
    assert [event for event, _ in events(database, ADA)] == ["suppressed", "unsuppressed"]


@pytest.mark.parametrize(
    ("how", "make"),
    [
        ("verp", lambda letter: hearing.bounce(letter, returned="")),
        ("verp", lambda letter: hearing.bounce(letter, to=letter.mail_from.upper(), returned="")),
        ("message-id", lambda letter: hearing.bounce(letter, to="bounces@news.example")),
        ("link", lambda letter: hearing.complaint(letter, redacted=True).replace(b"Message-ID", b"X-Was")),
    ],
)  # fmt: skip
@on_sqlite
def test_each_proof_will_do(database, config, letters, how, make):
    hears(database, config, make(letters[ADA]))
    assert [row.proof for row in kept(database)] == [how]
    assert standing(database, ADA)[1] in (suppressions.BOUNCED, "complaint")


@on_sqlite
def test_who_is_dead_behind_an_address_bars_it_at_the_second_edition_only(database, config, clock, letters):
    raw = hearing.bounce(letters[ADA], who="eve@elsewhere.example")
    assert hears(database, config, raw).acts == {Act.NONE: 1}
    again = hearing.bounce(edition_again(database, config, clock, days=7)[ADA], who="eve@elsewhere.example")
    assert hears(database, config, again, now=clock()).acts == {Act.SUPPRESS: 1}


@pytest.mark.parametrize(
    "forge",
    [
        lambda letter: hearing.bounce(letter, to="bounces@news.example", returned=""),
        lambda letter: hearing.bounce(letter, to="b-0123456789abcdef1@news.example", returned=f"To: {letter.to}"),
        lambda letter: hearing.bounce(letter, to="x@n.example", returned=f"To: {letter.to}\nMessage-ID: <0@n.example>"),
        lambda letter: hearing.complaint(letter).partition(b"Message-ID")[0],
        lambda letter: hearing.person("unsubscribe", sender=letter.to),
        lambda letter: hearing.person("", sender=letter.to, to="bounces+leave+" + "a" * 32 + "@news.example"),
    ],
)  # fmt: skip
@on_sqlite
def test_without_proof_nobody_is_changed(database, config, letters, forge):
    raw = forge(letters[ADA]).replace(b"List-Unsubscribe", b"X-Was")
    found = hears(database, config, raw)
    assert found.read == 1
    assert found.changed == 0
    assert standing(database, ADA) == ("active", "")
    assert events(database, ADA) == []


def test_copies_count_once_however_they_come(database, config, letters):
    raw = hearing.bounce(letters[ADA], status="5.2.2", words="mailbox full")
    again = b"Received: from another by news.example\nDelivered-To: bounces@news.example\n" + raw.replace(
        b"\n", b"\r\n"
    )
    assert hears(database, config, raw, raw).copies == 1
    assert hears(database, config, again, name="another").copies == 1
    assert [row.copies for row in kept(database)] == [2]


@on_sqlite
def test_two_reports_of_one_letter_are_one_trouble(database, config, letters):
    for hours in range(6):
        raw = hearing.bounce(letters[ADA], status="5.2.2", words="mailbox full", at=MONDAY + timedelta(hours=hours))
        assert hears(database, config, raw).acts == {Act.NONE: 1}
    with database.read() as session:
        (figures,) = reports.figures(session, by="domain", since=MONDAY - timedelta(days=1))
    assert (figures.name, figures.delivered, figures.soft) == ("example.org", 2, 1)


@on_sqlite
def test_a_full_mailbox_is_paused_after_weeks_and_goes_on_when_a_letter_arrives(database, config, clock, letters):
    for days in (0, 8, 8):
        if days:
            letters = edition_again(database, config, clock, days=days)
        raw = hearing.bounce(letters[ADA], status="5.2.2", words="mailbox full", at=clock())
        hears(database, config, raw, now=clock())
    assert standing(database, ADA)[0] == "paused"
    clock.pass_(days=31)
    with database.write() as session:
        assert pauses.end_pauses(session, now=clock()) == 1
    letters = edition_again(database, config, clock, days=0)  # arrives
    letters = edition_again(database, config, clock, days=9)
    raw = hearing.bounce(letters[ADA], status="5.2.2", words="mailbox full", at=clock())
    assert hears(database, config, raw, now=clock()).acts == {Act.NONE: 1}


@on_sqlite
def test_policy_is_counted_against_the_edition_and_never_the_reader(database, config, letters):
    found = hears(database, config, hearing.bounce(letters[ADA], status="5.7.1", words="554 5.7.1 spam"))
    assert found.acts == {Act.OURS: 1}
    assert standing(database, ADA) == ("active", "")
    with database.write() as session:
        (row,) = reports.find(session, Which())
        assert refusals.count(session, row.edition_id, refusals.Refusals()).content == 1


@pytest.mark.parametrize("redacted", [False, True])
@on_sqlite
def test_a_complaint_ends_the_subscription_and_bars_the_address_until_it_is_undone(database, config, letters, redacted):
    found = hears(database, config, hearing.complaint(letters[ADA], redacted=redacted))
    assert found.acts == {Act.COMPLAINT: 1}
    assert standing(database, ADA) == ("unsubscribed", "complaint")
    (row,) = kept(database)
    hear.undo(database, [row.id], how="test", now=MONDAY)
    assert standing(database, ADA) == ("active", "")


@on_sqlite
def test_what_somebody_said_since_is_not_undone(database, config, letters):
    hears(database, config, hearing.complaint(letters[ADA]))
    (row,) = kept(database)
    with database.write() as session:
        person = people.find(session, ADA)
        said = subscribe.Evidence("web", MONDAY)
        suppressions.lift(session, ADA, mark="x")
        subscription = people.subscriptions_of(session, person)[0][0]
        subscribe.come_back(session, subscription.id, evidence=said)
        subscribe.pause(session, ADA, newsletter="daily", until=None, evidence=said)
    hear.undo(database, [row.id], how="test", now=MONDAY)
    assert standing(database, ADA) == (SubscriptionState.PAUSED, "")


@on_sqlite
@pytest.mark.parametrize("since", ["moved", "suppressed anew"])
def test_undoing_lifts_no_suppression_that_came_since(database, config, letters, since):
    hears(database, config, hearing.bounce(letters[ADA]))
    (row,) = kept(database)
    later, now = MONDAY + timedelta(days=1), ADA
    with database.write() as session:
        if since == "moved":
            people.find(session, ADA).email = now = "ada@example.net"
        else:
            suppressions.lift(session, ADA, mark="")
        suppressions.add(session, now, reason=suppressions.BOUNCED, now=later)
    hear.undo(database, [row.id], how="test", now=later)
    with database.read() as session:
        assert suppressions.own(session, now) is not None
        assert since != "moved" or suppressions.own(session, ADA) is None


@on_sqlite
def test_an_ancient_report_changes_nobody(database, config, letters):
    late = MONDAY + timedelta(days=400)
    for raw in (hearing.bounce(letters[ADA]), hearing.complaint(letters[BOB])):
        assert hears(database, config, raw, now=late).acts == {Act.NONE: 1}
    assert standing(database, ADA) == standing(database, BOB) == ("active", "")


@on_sqlite
def test_who_came_back_is_not_barred_by_a_letter_of_before(database, config, clock, letters):
    raw, again = hearing.bounce(letters[ADA]), hearing.bounce(letters[ADA], at=MONDAY + timedelta(hours=3))
    hears(database, config, raw)
    clock.pass_(hours=2)
    hear.undo(database, [kept(database)[0].id], how="test", now=clock())
    assert hears(database, config, again, now=clock()).acts == {Act.NONE: 1}
    assert standing(database, ADA) == ("active", "")


@on_sqlite
def test_nobody_is_barred_where_a_server_denies_everybody(database, config, clock):
    many = [f"reader{n}@example.org" for n in range(12)]
    owe(database, config, *many)
    send(database, config, clock)
    sent = hearing.sent(config)
    found = hears(database, config, *(hearing.bounce(sent[one]) for one in many))
    assert found.acts[Act.DOUBTED] == 3
    assert not any(standing(database, one)[1] for one in many)
    doubted = kept(database, acts=(Act.DOUBTED,))
    assert len(doubted) == 12
    with database.write() as session:
        assert hear.believe(session, doubted[0].id, how="test", now=MONDAY)
    assert sum(bool(standing(database, one)[1]) for one in many) == 1


DENIED = {"status": "5.4.1", "words": "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)"}


def denied_twice(database, config, clock, letters, days, *emails):
    """What follows from the second of two editions that these people's servers deny, so many days apart."""
    hears(database, config, *(hearing.bounce(letters[one], **DENIED) for one in emails))
    letters = edition_again(database, config, clock, days=days)
    return hears(database, config, *(hearing.bounce(letters[one], **DENIED) for one in emails), now=clock()).acts


def test_a_company_whose_server_denies_everybody_loses_nobody(database, config, clock):
    some = [f"reader{n}@corp.example" for n in range(4)]
    others = [f"reader{n}@mail.example" for n in range(30)]
    letters = hearing.letters(database, config, clock, *some, *others)
    acts = denied_twice(database, config, clock, letters, 7, *some, others[0])
    assert acts == {Act.SUPPRESS: 3, Act.DOUBTED: 2}  # two were believed, until a third was denied
    assert not any(standing(database, one)[1] for one in some)
    assert [one for one in others if standing(database, one)[1]] == others[:1]


@on_sqlite
@pytest.mark.parametrize(("days", "barred"), [(1, False), (7, True)])
def test_a_denial_is_believed_when_it_is_said_again_a_week_later(database, config, clock, letters, days, barred):
    denied_twice(database, config, clock, letters, days, ADA)
    assert bool(standing(database, ADA)[1]) is barred and not standing(database, BOB)[1]


@on_sqlite
def test_ten_readers_at_one_domain_who_are_all_gone_are_doubted_in_a_large_list_too(database, config, clock):
    some = [f"reader{n}@corp.example" for n in range(11)]
    others = [f"reader{n}@mail.example" for n in range(150)]
    letters = hearing.letters(database, config, clock, *some, *others)
    hears(database, config, *(hearing.bounce(letters[one]) for one in (*some, *others[:3])))
    barred = [one for one in (*some, *others) if standing(database, one)[1]]
    assert barred == others[:3]


@on_sqlite
def test_readers_of_a_domain_are_counted_only_where_it_may_matter(database, config, clock, monkeypatch):
    """It is a look through the whole list, and a dirty one has dead mailboxes at a thousand domains."""
    counted, count = [], doubts.readers_at
    monkeypatch.setattr(doubts, "readers_at", lambda *args, **more: counted.append(args[2]) or count(*args, **more))
    many = [f"reader{n}@mail{n % 2}.example" for n in range(18)]  # nine at each
    some = [f"reader{n}@corp.example" for n in range(11)]
    letters = hearing.letters(database, config, clock, *many, *some, *(f"x{n}@big.example" for n in range(270)))
    hears(database, config, *(hearing.bounce(letters[one]) for one in (*many, *some)))
    assert set(counted) == {"corp.example"} and len(counted) == 1


@on_sqlite
def test_what_a_person_believed_of_a_storm_stays_believed(database, config, clock):
    emails = [f"reader{n}@example.org" for n in range(13)]
    owe(database, config, *emails)
    send(database, config, clock)
    letters = hearing.sent(config)
    hears(database, config, *(hearing.bounce(letters[email]) for email in emails[:12]))
    (doubted, *_rest) = kept(database, acts=("doubted",))
    with database.write() as session:
        assert hear.believe(session, doubted.id, how="test", now=MONDAY)
    hears(database, config, hearing.bounce(letters[emails[12]]))
    assert [one.id for one in kept(database, acts=("suppress",))] == [doubted.id]


@on_sqlite
def test_a_mail_to_the_signed_address_leaves_and_a_forged_one_does_not(database, config, letters):
    header = letters[ADA].header("List-Unsubscribe")
    address = header.partition("<mailto:")[2].partition(">")[0]
    assert address.startswith("bounces+leave+")
    found = hears(database, config, hearing.person("", sender=f"Bob <{BOB}>", to=address.upper()))
    assert found.acts == {Act.LEAVE: 1}
    assert standing(database, ADA) == ("unsubscribed", "")
    assert standing(database, BOB) == ("active", "")
    assert hears(database, config, hearing.person("again", to=address)).acts == {Act.LEAVE: 1}
    assert len(events(database, ADA)) == 1


def test_no_address_to_leave_by_is_offered_where_nobody_reads_mail(box, configure, clock):
    config = configure()
    owe(box, config, ADA)
    send(box, config, clock)
    letter = hearing.sent(config)[ADA]
    assert "mailto:" not in letter.header("List-Unsubscribe")
    assert letter.mail_from.endswith("@news.example")


@on_sqlite
def test_people_who_write_are_shown_and_nothing_is_done(database, config, letters):
    found = hears(database, config, hearing.person("Please unsubscribe me"), hearing.person("Great issue"))
    assert found.acts == {Act.ASK: 2}
    assert [row.why for row in kept(database, acts=(Act.ASK,))] == ["a person wrote", "they seem to want to leave"]
    assert standing(database, ADA) == ("active", "")


def test_what_people_write_is_passed_on_once_never_in_circles_and_forgotten_with_them(
    database, configure, clock, monkeypatch
):
    mail = {"address": "bounces@news.example", "forward_to": "editor@news.example"}
    config = configure(mail=mail)
    monkeypatch.setattr(forward, "A_DAY", 2)
    owe(database, config, ADA)
    kind = hearing.person("I liked it.\n.\nFrom me", subject="Re: News\n of today")
    robots = [
        hearing.person("I am away", subject="Re: hello", more="Auto-Submitted: auto-replied\n"),
        hearing.person("[reply] hello", sender="Daily <news@news.example>", more="Auto-Submitted: auto-generated\n"),
        hearing.person("Thanks", sender="Editor <EDITOR@news.example>", subject="Re: [reply] hello"),
        hearing.person("Please unsubscribe me"),
        hearing.person("There is no such user", sender="Mailer-Daemon <mailer-daemon@x.example>"),
    ]
    assert hears(database, config, kind, kind, *robots).read == 7
    send(database, config, clock)
    (noted,) = [one for to, one in hearing.sent(config).items() if to == "editor@news.example"]
    assert noted.header("Subject") == "[reply] Re: News of today"
    assert noted.header("Auto-Submitted") == "auto-generated"
    assert noted.mail_from != hearing.sent(config)[ADA].mail_from
    assert sorted(one.why for one in kept(database, acts=("ask",), open=True)) == [
        "a person wrote",  # the editor
        "they seem to want to leave",
    ]
    hears(database, config, hearing.bounce(noted))  # the note itself comes back
    assert (standing(database, ADA), len(kept(database, acts=("suppress",)))) == (("active", ""), 0)
    hears(database, config, *(hearing.person(f"hello {n}", sender="Eve <eve@example.org>") for n in range(3)))
    assert len(kept(database, acts=("ask",), open=True)) == 4  # two a day, here
    with database.write() as session:
        subscribe.erase(session, ADA, secret=config.lasting_key, now=MONDAY)
        assert "I liked" not in "".join(session.exec(select(Notice.text)))


@on_sqlite
def test_an_erased_reader_is_in_no_mail_any_more(database, config, letters):
    hears(database, config, hearing.bounce(letters[ADA]), hearing.person("hello"))
    with database.write() as session:
        subscribe.erase(session, ADA, secret=config.lasting_key, now=MONDAY)
    rows = kept(database)
    assert len(rows) == 2
    assert not any(row.raw or row.address or row.sender or row.subject or row.text for row in rows)


@on_sqlite
def test_mails_are_forgotten_when_the_settings_say(database, config, letters):
    hears(database, config, hearing.bounce(letters[ADA]), hearing.person("hello"))
    assert hear.prune(database, config, now=MONDAY + timedelta(days=29)) == 0
    assert hear.prune(database, config, now=MONDAY + timedelta(days=31)) == 2
    assert [(row.kind, row.raw) for row in kept(database)] == [("hard", None)]
    assert hears(database, config, hearing.bounce(letters[ADA])).copies == 1


def test_odd_signs_are_kept_by_either_database(database, config, letters):
    odd = b"From: x\x00y <a\xff@example.org>\nSubject: =?utf-7?q?+2AA-?=\n\nzero \x00, half +2AA-"
    again = (
        b"From: MAILER-DAEMON@x.example\n\n"
        + rb'{"notificationType":"Bounce","bounce":{"bouncedRecipients":['
        + (rb'{"emailAddress":"a\u0000@example.org","diagnosticCode":"550 \ud800"}]},"mail":{}}')
    )
    assert hears(database, config, odd, again).read == 2


@on_sqlite
def test_mails_that_prove_nothing_do_not_pile_up(database, config, monkeypatch):
    monkeypatch.setattr(reports, "_UNPROVEN", 3)
    hears(database, config, *(hearing.person(f"{number}") for number in range(9)))
    assert hear.prune(database, config, now=MONDAY) == 6
    assert len(kept(database)) == 3


@on_sqlite
def test_a_bounce_of_a_former_address_says_nothing_of_the_new_one(database, config, clock, letters):
    with database.write() as session:
        person = people.find(session, ADA)
        said = subscribe.Evidence("test", clock.pass_(hours=1))
        people.readdress(session, person, "ada@example.net")
        reports._say(session, person.id, None, ConsentEvent.MOVED, said, f"{ADA} to ada@example.net")
    assert hears(database, config, hearing.bounce(letters[ADA]), now=clock()).acts == {Act.NONE: 1}
    assert standing(database, "ada@example.net") == ("active", "")


# ---------------------------------------------------------------- mailboxes


def maildir(tmp_path, *mails):
    box = mailbox.Maildir(tmp_path / "Maildir")
    for raw in mails:
        box.add(raw)
    return sources.opened(str(tmp_path / "Maildir"))


def read(database, config, source, **bounds):
    return hear.read(database, config, source, clock=lambda: MONDAY, bounds=hear.Bounds(**bounds))


@on_sqlite
def test_a_maildir_is_read_once_and_keeps_everything(database, config, letters, tmp_path):
    source = maildir(tmp_path, hearing.bounce(letters[ADA]), hearing.person("hello"), b"")
    assert read(database, config, source, mails=2).more
    assert read(database, config, source).read == 1
    assert read(database, config, source).read == 0
    flags = sorted(path.name.partition(":2,")[2] for path in (tmp_path / "Maildir" / "cur").iterdir())
    assert flags == ["FS", "FS", "S"]


@on_sqlite
def test_one_file_that_cannot_be_read_keeps_no_other_from_it(database, config, letters, tmp_path):
    source = maildir(tmp_path, hearing.bounce(letters[ADA]))
    (tmp_path / "Maildir" / "new" / "0.folder").mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        read(database, config, source)
    assert standing(database, ADA)[1] == suppressions.BOUNCED


@on_sqlite
def test_an_mbox_is_read_on_from_where_it_was_left_and_anew_where_it_changed(database, config, letters, tmp_path):
    path = tmp_path / "mbox"
    box = mailbox.mbox(path)
    box.add(hearing.bounce(letters[ADA]))
    box.add(hearing.person("From me to you\n\nFrom time to time", sender=BOB))
    box.flush()
    before = path.read_bytes()
    source = sources.opened(str(path))
    assert read(database, config, source).read == 2
    assert read(database, config, source).read == 0
    box.add(hearing.bounce(letters[BOB]))
    box.flush()
    assert (read(database, config, source).acts, path.read_bytes().startswith(before)) == ({Act.SUPPRESS: 1}, True)
    path.write_bytes(b"From x Mon Nov 23 07:00:00 2026\n" + hearing.bounce(letters[BOB]) + b"\n")
    found = read(database, config, source)
    assert (found.read, found.copies) == (1, 1)


@on_sqlite
def test_an_mbox_that_a_mail_program_has_cleaned_and_that_grew_again_is_read_anew(database, config, tmp_path):
    def written(*numbers):
        some = (hearing.person(f"hello {n}" + " and so on" * 600, sender="Eve <eve@example.org>") for n in numbers)
        return b"".join(b"From eve@example.org Mon Nov 23 07:00:00 2026\n" + raw + b"\n" for raw in some)

    path = tmp_path / "mbox"
    path.write_bytes(written(10, 11, 12))
    assert read(database, config, sources.opened(str(path))).read == 3
    path.write_bytes(written(10, 12, 13, 14))  # it begins as before, and is longer
    found = read(database, config, sources.opened(str(path)))
    assert (found.read, found.copies) == (4, 2)
    assert len(kept(database)) == 5
    assert read(database, config, sources.opened(str(path))).read == 0


@on_sqlite
def test_a_maildir_is_read_in_its_order_however_few_names_are_held(database, config, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_LISTED", 3)
    source = maildir(tmp_path, *(hearing.person(f"hello {n}", sender="Eve <eve@example.org>") for n in range(8)))
    names = sorted(path.name for path in source.folder.glob("*/*"))
    assert [mail.handle.name for mail in source.mails("")] == names  # also while nobody marks them
    assert read(database, config, source).read == 8
    assert not list(source.mails(""))


@on_sqlite
def test_lines_that_begin_with_from_divide_no_mail(database, config, tmp_path):
    path = tmp_path / "mbox"
    box = mailbox.mbox(path)
    for number in range(3):
        box.add(hearing.person(f"{number}\nFrom here\n\nFrom there\n\n>From that\n", sender=f"p{number}@example.org"))
    box.flush()
    with path.open("rb") as file:
        found = [raw for raw, _ in sources._messages(file, 0, path.stat().st_size)]
    assert len(found) == 3
    assert b"\nFrom there\n" in found[0]


def test_what_is_no_mailbox_is_said_in_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    for place, kind in [(tmp_path / "empty", NotFound), (tmp_path / "none", NotFound), ("gopher://x", UserError)]:
        with pytest.raises(kind):
            sources.opened(str(place))


@on_sqlite
@pytest.mark.parametrize("at", ["mail", "commit", "mark"])
@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_a_reader_that_gets_sigkill_in_the_middle_reads_on_and_counts_once(
    database, config, letters, tmp_path, at, kind
):
    mails = [hearing.person(f"hello {n}", sender="Eve <eve@example.org>") for n in range(58)]
    mails[52:52] = [hearing.bounce(letters[ADA]), hearing.complaint(letters[BOB])]
    place = tmp_path / "box"
    if kind == "maildir":
        box = mailbox.Maildir(place)
        for raw in mails:
            box.add(raw)
    else:
        place.write_bytes(b"".join(b"From a@b Mon Nov 23 07:00:00 2026\n" + raw + b"\n" for raw in mails))
    hearing.killed(config, str(place), at=at, after=53)
    assert len(kept(database)) == (60 if at == "mark" else 50)
    found = read(database, config, sources.opened(str(place)))
    assert found.copies == (7 if (at, kind) == ("mark", "maildir") else 0)  # stored, and not marked yet
    assert len(kept(database)) == 60
    assert [len(events(database, who)) for who in (ADA, BOB)] == [1, 2]
    assert read(database, config, sources.opened(str(place))).read == 0
    if kind == "maildir":
        assert (len(list(place.glob("new/*"))), len(list(place.glob("cur/*:2,*F*S")))) == (0, 58)
        assert len(list(place.glob("cur/*"))) == 60


def test_two_readers_at_once_do_it_once(database, config, letters, tmp_path):
    source = maildir(tmp_path, hearing.bounce(letters[ADA]), hearing.complaint(letters[BOB]))

    class Late:
        """Another reader has the same mails in hand, and comes first."""

        name = source.name

        def mails(self, mark):
            mails = list(source.mails(mark))
            other = hear.Given("other", mails)
            assert read(database, config, other).copies == 0
            yield from mails

        def done(self, mail, *, understood):
            source.done(mail, understood=understood)
            source.done(mail, understood=understood)  # the other has moved it

        def close(self):
            pass

    assert read(database, config, Late()).copies == 2
    assert [len(events(database, who)) for who in (ADA, BOB)] == [1, 2]


def test_readers_that_begin_together_do_it_once(database, config, letters, tmp_path):
    mails = [
        hearing.bounce(letters[who], status="5.2.2", words="full", at=MONDAY + timedelta(hours=n))
        for who in (ADA, BOB)
        for n in range(4)
    ]
    source = maildir(tmp_path, hearing.bounce(letters[ADA]), *mails)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: read(database, config, source), range(3)))
    assert sum(one.read - one.copies for one in found) == 9
    assert len(kept(database)) == 9
    assert len(events(database, ADA)) == 1


def test_a_letter_that_never_went_out_cannot_come_back(box, config, clock):
    owe(box, config, ADA)
    address = sign.verp(1, key=config.lasting_key, domain="news.example")
    assert hears(box, config, hearing.bounce(hearing.Sent(address, ADA, "Subject: x"))).acts == {Act.UNPROVEN: 1}


def test_a_hook_is_told_in_the_same_transaction(box, config, clock, monkeypatch):
    told = []
    monkeypatch.setattr(
        hear.run, "happened", lambda session, what: told.append((what.kind, what.act, what.subscriber_id))
    )
    owe(box, config, ADA)
    send(box, config, clock)
    letter = hearing.sent(config)[ADA]
    hears(box, config, hearing.complaint(letter), hearing.bounce(letter), hearing.person("hi"))
    assert told == [("complaint", "complaint", 1), ("hard", "suppress", 1)]


def test_a_run_reads_the_mailbox_of_the_settings_within_its_bounds(box, configure, clock, tmp_path):
    config = configure(mail={"source": "Maildir", "per_run": 1})  # beside the settings
    owe(box, config, ADA, BOB)
    send(box, config, clock)
    sent = hearing.sent(config)
    maildir(tmp_path, hearing.bounce(sent[ADA]), hearing.bounce(sent[BOB]))
    told = []
    assert line.listen(box, config, clock=clock, tell=told.append).read == 1
    assert line.listen(box, config, clock=clock).read == 1
    assert isinstance(told[-1], hear.Readings)
    assert standing(box, ADA)[1] == standing(box, BOB)[1] == suppressions.BOUNCED


def test_a_mailbox_that_cannot_be_read_stops_no_run(box, configure, clock, tmp_path):
    config = configure(mail={"source": str(tmp_path / "none")})
    told = []
    assert line.listen(box, config, clock=clock, tell=told.append) is None
    assert "no mailbox" in told[-1].words


def test_the_old_bounce_address_is_read_where_a_mailbox_has_come_since(box, config, clock):
    owe(box, config, ADA)
    send(box, config, clock)
    letter = hearing.sent(config)[ADA]
    row = sign.verp_in(letter.mail_from, keys=config.keys)
    hears(
        box,
        config,
        hearing.bounce(letter, to=sign.verp(row, key=config.lasting_key, domain="news.example"), returned=""),
    )
    assert standing(box, ADA)[1] == suppressions.BOUNCED


def test_webhooks_are_told_who_bounced_complained_and_left_by_mail(database, config, letters):
    with database.write() as session:
        hooks.add(session, "https://shop.example/", events=hooks.OFFERED, newsletters=(), secret="x", now=MONDAY)
    link = email.message_from_string(letters[BOB].head)["List-Unsubscribe"]
    address = link.partition("mailto:")[2].partition(">")[0].partition("?")[0]
    mails = hearing.complaint(letters[ADA]), hearing.bounce(letters[ADA]), hearing.person("", sender=BOB, to=address)
    hears(
        database,
        config,
        *mails,
        hearing.complaint(letters[BOB], feedback="not-spam"),
        hearing.bounce(letters[BOB], status="5.7.1", words="554 5.7.1 on an rbl"),
    )
    with database.read() as session:
        told = [json.loads(one.body) for one in session.exec(select(WebhookEvent).order_by(WebhookEvent.id))]
    assert [(one["type"], one["data"]["email"], one["data"]["newsletter"]) for one in told] == [
        ("left", ADA, "daily"), ("complained", ADA, "daily"), ("bounced", ADA, "daily"), ("left", BOB, "daily"),
    ]  # fmt: skip
    assert told[2]["data"]["kind"] == "hard"


def test_a_complaint_that_is_undone_tells_webhooks_that_they_are_back(database, config, letters):
    hears(database, config, hearing.complaint(letters[ADA]))
    with database.write() as session:
        hooks.add(session, "https://shop.example/", events=hooks.OFFERED, newsletters=(), secret="x", now=MONDAY)
    hear.undo(database, [kept(database)[0].id], how="test", now=MONDAY)
    with database.read() as session:
        assert [one.event for one in session.exec(select(WebhookEvent))] == ["subscribed"]


def test_what_somebody_wrote_from_a_former_address_is_forgotten_with_them(database, config, letters):
    hears(database, config, hearing.person("Please stop", sender=ADA))
    with database.write() as session:
        people.readdress(session, people.find(session, ADA), "ada@example.net")
    with database.write() as session:
        people.erase(session, "ada@example.net", mark="m", now=MONDAY)
    (row,) = kept(database)
    assert (row.address, row.text, row.raw, row.sender) == ("", "", None, "")
