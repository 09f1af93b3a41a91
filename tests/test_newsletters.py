"""Many newsletters in one installation: files of their own, relays of their own, hosts and keys of their own."""

from __future__ import annotations

import json
import random
import re
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import sqlalchemy as sa
from conftest import MONDAY, Done, on_sqlite
from mailing import notice, owe, send, sound, states, tallied
from mailserver import MailServer
from people import enrol
from sqlalchemy.event import listen
from starlette.testclient import TestClient

from digest import config as settings
from digest import deliver, line, sign
from digest.config import Config, Imprint
from digest.deliver import Share
from digest.deliver.lanes import Lane
from digest.deliver.ledger import Ledger
from digest.errors import ConfigError, Exit, NotFound, UserError
from digest.models import Notice, Subscription
from digest.sign import Purpose
from digest.store import Database, archive, healing, keys, letters, newsletters, outbox
from digest.store import relays as stored_relays
from digest.web import application
from digest.web.frozen import as_text

COMMON = 'secret_key = "sixteen characters at least"\n'
PAPER = 'title = "Daily"\nfrom = "Daily <news@news.example>"\n'
KEY = "a key of its own, long enough"


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """`digest.toml` with newsletters beside it, by their files."""

    def write(text: str = "", **files: str) -> Path:
        (tmp_path / "digest.toml").write_text(COMMON + text, encoding="utf-8")
        (tmp_path / "newsletters").mkdir(exist_ok=True)
        for name, content in files.items():
            (tmp_path / "newsletters" / f"{name}.toml").write_text(content, encoding="utf-8")
        return tmp_path / "digest.toml"

    return write


def paper(name: str, **own: object) -> dict[str, object]:
    return {"title": name.title(), "from": f"{name.title()} <{name}@{name}.example>", **own}


def known(database: Database, config: Config) -> None:
    newsletters.keep(database, config.newsletters, now=MONDAY)


def dead() -> str:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"smtp://127.0.0.1:{listener.getsockname()[1]}"


# ---------------------------------------------------------------- files of their own


def test_each_file_of_the_folder_is_a_newsletter_by_its_name(folder, tmp_path):
    path = folder(
        f"[newsletters.daily]\n{PAPER}", weekly=PAPER, b=PAPER, a=PAPER + 'name = "alpha"\ntemplates = "mine"'
    )
    for left in (".weekly2.toml", "x.toml~", "x.toml.bak", "#x.toml#", "notes.txt", ".#weekly.toml"):
        (tmp_path / "newsletters" / left).write_text("= no TOML")
    (tmp_path / "newsletters" / "old.toml").mkdir()
    found = settings.load(path)
    assert list(found.newsletters) == ["daily", "alpha", "b", "weekly"]
    assert found.files["alpha"] == tmp_path / "newsletters" / "a.toml" and "daily" not in found.files
    assert found.newsletters["alpha"].templates == tmp_path / "newsletters" / "mine"


def test_the_environment_goes_before_a_file_of_the_folder(folder, monkeypatch):
    monkeypatch.setenv("DIGEST_NEWSLETTERS__WEEKLY__TITLE", "Monthly")
    monkeypatch.setenv("DIGEST_NEWSLETTERS__WEEKLY__SMTP__URL", "smtp://there.example")
    found = settings.load(folder(weekly=PAPER)).newsletters["weekly"]
    assert (found.title, found.smtp.servers[0].server.host) == ("Monthly", "there.example")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"weekly": PAPER + "\n# pale\naccent = '#eeeeee'"}, r"weekly.toml, line 5: accent is too pale"),
        ({"weekly": PAPER + "max_story = 3"}, r"weekly.toml, line 3: max_story is not a setting; did you mean max_st"),
        ({"weekly": 'title = "x"'}, r"weekly.toml: from is missing"),
        (
            {"weekly": PAPER + "[smtp]\n\nulr = 'x'"},
            r"weekly.toml, line 5: smtp.ulr is not a setting; did you mean url",
        ),
        (
            {"weekly": PAPER + "[[rules]]\nfeed='x'\nmute=true\n[[rules]]\nfeed='x'"},
            r"weekly.toml, line 6: rules.1 does n",
        ),
        ({"weekly": PAPER + "[topics.ai]\nkeywords = 3"}, r"weekly.toml, line 4: topics.ai.keywords must be"),
        ({"weekly": "= 1"}, r"weekly.toml is not valid TOML: .*line 1"),
        ({"Weekly": PAPER}, r"Weekly.toml: no newsletter can be called 'Weekly'"),
        ({"weekly": "[newsletters.weekly]\n" + PAPER}, r"weekly.toml: newsletters is not a setting here"),
        ({"daily": PAPER}, r"daily is in both .*digest.toml and .*newsletters/daily.toml"),
        ({"a": PAPER + "name = 'x'", "b": PAPER + "name = 'x'"}, r"x is in both .*a.toml and .*b.toml"),
        ({"weekly": PAPER + "secret_key = 'short'"}, r"weekly.toml, line 3: secret_key must have at least 16"),
        ({"weekly": PAPER + "base_url = 'ftp://x'"}, r"weekly.toml, line 3: base_url must be the http"),
        (
            {"weekly": PAPER + "[smtp]\nuser = 'x'"},
            r"weekly.toml, line 3: smtp has a user and no url to use it for .together with",
        ),
    ],
)
def test_a_mistake_in_a_file_is_told_with_file_line_and_key(folder, files, said):
    path = folder(f"[newsletters.daily]\n{PAPER}", **files)
    with pytest.raises(ConfigError, match=said) as caught:
        settings.load(path)
    assert caught.value.hint and "\n" not in str(caught.value)


def test_what_is_wrong_with_one_newsletter_leaves_the_others(folder):
    files = {"a": "= 1", "b": PAPER + "max_story = 1", "c": PAPER, "d": PAPER + "[smtp]\npassword = 'x'"}
    found = settings.load(folder(f"[newsletters.e]\n{PAPER}accent = 'red'", **files), partly=True)
    assert list(found.newsletters) == ["c"] and sorted(found.broken) == ["a", "b", "d", "e"]
    assert "b.toml, line 3: max_story" in found.broken["b"] and "digest.toml: newsletters.e.accent" in found.broken["e"]
    with pytest.raises(ConfigError):  # nothing is left
        settings.load(folder(c="= 1"), partly=True)
    with pytest.raises(ConfigError, match=r"base_url|max_story"):  # not of a newsletter
        settings.load(folder("base_url = 'x'", c=PAPER), partly=True)


def test_a_secret_in_a_file_that_everybody_can_read_is_warned_of(digest, folder, tmp_path):
    folder(weekly=PAPER + f"secret_key = '{KEY}'")
    (tmp_path / "digest.toml").chmod(0o600)
    (tmp_path / "newsletters" / "weekly.toml").chmod(0o644)
    assert "chmod 600" in digest("newsletter", "list").stderr or "weekly.toml" in digest("status").stderr


# ---------------------------------------------------------------- what is inherited

GLOBAL = {"url": "smtps://me:sesame@mail.example:465", "hello": "host.example", "canary": "1%", "connections": 3}


@pytest.mark.parametrize(
    ("own", "login", "host"),
    [
        ({"envelope_domain": "b.example"}, ("me", "sesame"), "mail.example"),
        ({"user": "daily"}, ("daily", "sesame"), "mail.example"),
        ({"user": "daily", "password": "open"}, ("daily", "open"), "mail.example"),
        ({"token_command": "print-token"}, ("me", ""), "mail.example"),
        ({"url": "smtps://other.example"}, ("", ""), "other.example"),
        ({"url": "smtps://other.example", "user": "you"}, ("you", ""), "other.example"),
        ({"relays": [{"url": "smtp://r.example"}]}, ("", ""), "r.example"),
    ],
)
def test_a_newsletter_inherits_what_it_does_not_say_but_no_password_for_another_server(configure, own, login, host):
    config = configure(smtp=GLOBAL, newsletters={"daily": paper("daily", smtp=own), "other": paper("other")})
    smtp = config.imprint("daily").smtp
    (relay,) = smtp.servers
    assert ((relay.server.user, relay.server.password), relay.server.host) == (login, host)
    assert (smtp.hello, smtp.canary) == ("host.example", 0.01)
    assert config.imprint("other").smtp is config.smtp and config.imprint("gone").smtp is config.smtp


def test_an_empty_url_keeps_the_letters_of_a_newsletter_in_the_maildir(configure):
    config = configure(smtp=GLOBAL, newsletters={"daily": paper("daily", smtp={"url": ""})})
    assert config.imprint("daily").smtp.servers == ()


def test_sender_reply_to_and_postal_address_may_be_said_once_for_all(configure):
    config = configure(
        sender="All <all@news.example>",
        reply_to="re@news.example",
        postal_address="Elm 1",
        newsletters={"a": {"title": "A"}, "b": {"title": "B", "from": "b@b.example", "reply_to": "b@b.example"}},
    )
    a, b = config.newsletters["a"], config.newsletters["b"]
    assert (a.sender, a.reply_to, a.postal_address) == ("All <all@news.example>", "re@news.example", "Elm 1")
    assert (b.sender, b.reply_to, b.postal_address) == ("b@b.example", "b@b.example", "Elm 1")


# ---------------------------------------------------------------- names beyond ASCII


def test_a_domain_beyond_ascii_goes_out_as_the_network_has_it(box, configure, inbox, clock):
    own = {"envelope_domain": "prallströme.example", "hello": "Bücher.example"}
    names = paper("daily", base_url="https://Bücher.example:8443/a", smtp=own)
    names |= {"from": "Bücher <news@Bücher.example>", "reply_to": "answers@bücher.example"}
    config = configure(smtp={"url": inbox.url}, newsletters={"daily": names})
    assert config.imprint("daily").base_url == "https://xn--bcher-kva.example:8443/a"
    assert config.imprint("daily").smtp.hello == "xn--bcher-kva.example"
    owe(box, config, "ada@example.org")
    send(box, config, clock)
    (mail,) = inbox.messages
    assert mail.sender.endswith("@xn--prallstrme-lcb.example")
    assert mail.content.isascii()
    message = message_from_bytes(mail.content, policy=policy.default)
    assert message["From"].addresses[0].addr_spec == "news@xn--bcher-kva.example"
    assert message["From"].addresses[0].display_name == "Bücher"
    assert message["Message-ID"].endswith("@xn--bcher-kva.example>")
    assert message["List-Id"] == "Bücher <daily.xn--bcher-kva.example>"
    assert "<https://xn--bcher-kva.example:8443/a/unsubscribe/" in message["List-Unsubscribe"]


@pytest.mark.parametrize(
    ("sender", "said"),
    [("Jürgen <jürgen@news.example>", "beyond ASCII before the @"), ("a@bü..cher.example", "no name server knows")],
)
def test_a_sender_that_servers_refuse_is_told_of_when_the_settings_are_read(configure, sender, said):
    with pytest.raises(ConfigError, match=said):
        configure(newsletters={"daily": {"title": "x", "from": sender}})


def test_people_read_a_domain_as_it_is_written():
    assert settings.address_as_read("news@xn--bcher-kva.example") == "news@bücher.example"
    assert settings.address_as_read("news@xn--.example") == "news@xn--.example"


# ---------------------------------------------------------------- relays of their own


@pytest.mark.long
def test_twenty_newsletters_and_three_relays_one_dead(box, folder, clock, tmp_path):
    with MailServer() as one, MailServer() as two:
        relays = [one.url, two.url, dead()]
        files = {
            f"paper{n}": PAPER.replace("news@", f"paper{n}@") + f"[smtp]\nurl = '{relays[n % 3]}'" for n in range(20)
        }
        config = settings.load(folder(**files))
        known(box, config)
        for name in config.newsletters:
            owe(box, config, *(f"{name}-{n}@example.org" for n in range(2)), newsletter=name)
        report = send(box, config, clock)
        sick = {f"paper{n}" for n in range(2, 20, 3)}
        everybody = {f"{name}-{n}@example.org": name in sick for name in files for n in range(2)}
        assert sorted(one.recipients + two.recipients) == sorted(who for who, waits in everybody.items() if not waits)
        assert set(report.sick) == sick and line.delivery_code(report) is Exit.UNAVAILABLE
        assert {report.newsletters[name].left for name in sick} == {2} and report.left.letters == 2 * len(sick)
        assert {report.newsletters[name].sent for name in files if name not in sick} == {2}
        for server, rest in ((one, 0), (two, 1)):
            assert {int(re.search(rb"<paper(\d+)@", taken.content)[1]) % 3 for taken in server.taken} == {rest}
        assert states(box) == {who: "owed" if waits else "sent" for who, waits in everybody.items()} and sound(box)


def test_letters_that_come_to_hand_when_their_relays_are_gone_hold_up_nobody(box, configure, inbox, clock, monkeypatch):
    """The claim was under way when the last hope of them went."""
    papers = {name: paper(name, smtp={"url": inbox.url, "hello": f"{name}.example"}) for name in ("daily", "weekly")}
    config = configure(newsletters=papers)
    known(box, config)
    for name in papers:
        owe(box, config, f"{name}@example.org", newsletter=name)
    claiming, ended, ticks = threading.Event(), threading.Event(), iter(range(100))
    commit, hopeless = Ledger.commit, Lane.hopeless

    def slow(ledger, batch):
        if batch.wish is not None and batch.wish.source.newsletter_id == 2:
            claiming.set()
            assert ended.wait(60)
        return commit(ledger, batch)

    def gone(lane, now):
        if lane.number != 2 or not claiming.is_set():
            return hopeless(lane, now)
        ended.set()
        return "its relay is gone"

    monkeypatch.setattr(Ledger, "commit", slow)
    monkeypatch.setattr(Lane, "hopeless", gone)
    report = send(box, config, clock, stop=lambda: next(ticks, None) is None)
    assert not report.interrupted and set(report.sick) == {"weekly"}
    assert states(box) == {"daily@example.org": "sent", "weekly@example.org": "owed"} and sound(box)


def test_a_mail_about_a_newsletter_goes_by_its_relays(database, configure, inbox, clock):
    own = {"mine": paper("mine", smtp={"url": inbox.url})}
    config = configure(smtp={"url": dead()}, newsletters={"daily": paper("daily"), **own})
    known(database, config)
    with database.write() as session:
        added = enrol(session, "ada@example.org", newsletter="mine")
        assert added.outcome == "added"
        (ours,) = session.exec(sa.select(Subscription.id)).one()
    notice(database, "ada@example.org", subscription_id=ours)
    notice(database, "bob@example.org")
    report = send(database, config, clock)
    assert inbox.recipients == ["ada@example.org"] and set(report.sick) == {""}
    with database.read() as session:
        assert [found.newsletter for found in letters.lines(session)] == ["mine", ""]
        assert outbox.due_sources(session, now=clock()) == [outbox.Source(None, None)]


def test_newsletters_at_one_relay_share_what_it_may_take_in_an_hour(box, configure, clock):
    with MailServer() as server:
        relay = {"url": server.url, "connections": 1}
        papers = {
            "daily": paper("daily", smtp={"relays": [relay | {"per_hour": 3}]}),
            "weekly": paper("weekly", smtp={"relays": [relay | {"per_hour": 5}]}),
        }
        config = configure(newsletters=papers)
        known(box, config)
        for name in papers:
            owe(box, config, *(f"{name}{n}@example.org" for n in range(4)), newsletter=name)
        report = send(box, config, clock)
        assert len(server.taken) == 3 and report.left.letters == 5
        assert "took all that the settings allow" in report.stopped
        with box.read() as session:
            assert sum(stored_relays.hours(session, now=clock())[server.url.removeprefix("smtp://")].values()) == 3


def test_who_logs_in_as_somebody_else_at_one_host_has_counts_of_their_own(configure):
    both = {name: paper(name, smtp={"url": f"smtp://{name}:x@127.0.0.1:1"}) for name in ("a", "b")}
    config = configure(newsletters=both)
    relays = deliver.Relays()
    for name in both:
        relays.add(config.imprint(name).smtp)
    assert [joint.name for joint in relays.found.values()] == ["127.0.0.1:1", "b@127.0.0.1:1"]


def test_two_passwords_for_one_login_stop_the_second_newsletter_only(box, configure, inbox, clock):
    at = inbox.url.removeprefix("smtp://")
    papers = {
        "daily": paper("daily", smtp={"url": f"smtp://{at}"}),
        "b": paper("b", smtp={"url": "smtp://me:x@127.0.0.1:1"}),
        "c": paper("c", smtp={"url": "smtp://me:y@127.0.0.1:1"}),
    }
    config = configure(newsletters=papers)
    known(box, config)
    owe(box, config, "ada@example.org")
    owe(box, config, "cyd@example.org", newsletter="c")
    report = send(box, config, clock)
    assert inbox.recipients == ["ada@example.org"]
    assert set(report.sick) == {"c"} and "different passwords" in report.sick["c"] and ":y@" not in report.sick["c"]


def test_a_sender_that_a_shared_relay_refuses_holds_up_no_other(database, configure, clock):
    with MailServer(on_mail=lambda sender, _: "550 5.7.1 not you" if "bad.example" in sender else "250 Ok") as server:
        papers = {"bad": paper("bad"), "daily": paper("daily"), "good": paper("good")}
        config = configure(smtp={"url": server.url, "connections": 2}, newsletters=papers)
        known(database, config)
        # So many of the others that most of them are still to come when the relay's word on the one is proved.
        many = {"bad": 3, "daily": 50, "good": 50}
        for name, number in many.items():
            owe(database, config, *(f"{name}{n}@d{n}.example" for n in range(number)), newsletter=name)
        report = send(database, config, clock)
        assert sorted(server.recipients) == sorted(f"{n}{i}@d{i}.example" for n in ("daily", "good") for i in range(50))
        assert set(report.sick) == {"bad"} and "refuses login or sender" in report.sick["bad"]
        assert tallied(database) == {"sent": 100, "owed": 3} and sound(database)


def test_a_newsletter_whose_key_is_spoilt_is_named_and_the_others_go_out(box, configure, inbox, clock, tmp_path):
    (tmp_path / "dkim.pem").write_text("no key")
    spoilt = paper("spoilt", smtp={"dkim": [{"selector": "s", "key_file": "dkim.pem"}]})
    config = configure(smtp={"url": inbox.url}, newsletters={"daily": paper("daily"), "spoilt": spoilt})
    known(box, config)
    owe(box, config, "ada@example.org")
    owe(box, config, "bob@example.org", newsletter="spoilt")
    report = send(box, config, clock)
    assert inbox.recipients == ["ada@example.org"] and "dkim.pem" in report.sick["spoilt"]
    assert line.delivery_code(report) is Exit.UNAVAILABLE and states(box)["bob@example.org"] == "owed"


def test_only_the_newsletters_that_were_asked_for_are_delivered(box, configure, inbox, clock):
    config = configure(smtp={"url": inbox.url}, newsletters={name: paper(name) for name in ("daily", "b", "c")})
    known(box, config)
    for name in config.newsletters:
        owe(box, config, f"{name}@example.org", newsletter=name)
    share = Share(newsletters=frozenset({"b", "c"}))
    report = send(box, config, clock, share=share)
    assert sorted(inbox.recipients) == ["b@example.org", "c@example.org"]
    assert (report.left.letters, line.delivery_code(report)) == (0, Exit.OK)
    assert states(box)["daily@example.org"] == "owed"


def test_each_newsletter_says_when_its_letters_are_too_late(database, configure, inbox, clock):
    papers = {"daily": paper("daily"), "b": paper("b", smtp={"max_lateness_hours": 100})}
    config = configure(smtp={"url": inbox.url}, newsletters=papers)
    known(database, config)
    for name in papers:
        owe(database, config, f"{name}@example.org", newsletter=name)
    clock.pass_(hours=30)
    report = send(database, config, clock)
    assert report.late == [("daily", 1)] and inbox.recipients == ["b@example.org"]
    assert states(database) == {"daily@example.org": "owed", "b@example.org": "sent"}


def test_a_lease_is_as_long_as_the_slowest_newsletter_needs(configure):
    config = configure(newsletters={"daily": paper("daily", smtp={"data_timeout_seconds": 1200}), "b": paper("b")})
    assert healing.Scene.of(config).lease == timedelta(hours=1) == deliver.Papers(config, {1: "daily"}).lease


def test_letters_without_a_relay_are_files_while_others_go_by_theirs(box, configure, inbox, clock):
    config = configure(newsletters={"daily": paper("daily"), "b": paper("b", smtp={"url": inbox.url})})
    known(box, config)
    owe(box, config, "ada@example.org")
    owe(box, config, "bob@example.org", newsletter="b")
    report = send(box, config, clock)
    assert inbox.recipients == ["bob@example.org"] and report.sent == 2
    assert len(list((config.maildir / "new").iterdir())) == 1
    assert {name: done.sent for name, done in report.newsletters.items()} == {"daily": 1, "b": 1}


@on_sqlite
def test_a_claim_of_notices_looks_at_those_of_its_newsletter_alone(database):
    asked = []
    listen(database.engine, "before_cursor_execute", lambda c, cursor, text, values, *_: asked.append((text, values)))
    with database.write() as session:
        wanted = outbox.Wanted(None, 5, newsletter_id=1)
        found = {"lease": timedelta(minutes=1), "lifetime": timedelta(days=1), "hold_doubtful": False}
        outbox.claim(session, wanted, now=MONDAY, **found)
        (text, values) = next(one for one in asked if "UPDATE outbox" in one[0])
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all()
    assert any("ix_outbox_notices (newsletter_id=?" in row[-1] for row in plan), plan


# ---------------------------------------------------------------- keys and hosts of their own


@pytest.fixture
def three(configure: Callable[..., Config]) -> Config:
    return configure(
        former_secret_keys=["a former key, long enough"],
        newsletters={
            "daily": paper("daily"),
            "own": paper(
                "own", base_url="https://own.example", secret_key=KEY, former_secret_keys=["its former key, long"]
            ),
            "near": paper("near", base_url="https://Digest.example:443/"),
            "far": paper("far", base_url="https://far.example/letters", secret_key="quite another key, long"),
        },
    )


def subscription(database: Database, newsletter: str) -> int:
    with database.write() as session:
        enrol(session, "ada@example.org", newsletter=newsletter)
        row = newsletters.find(session, newsletter)
        return session.exec(sa.select(Subscription.id).where(Subscription.newsletter_id == row.id)).one()[0]


def test_a_letter_is_signed_by_the_key_of_its_newsletter_and_leads_to_its_host(box, three, clock, inbox):
    config = three.model_copy(update={"smtp": settings.Smtp(url=inbox.url)})
    known(box, config)
    owe(box, config, "ada@example.org", newsletter="own")
    send(box, config, clock)
    link = message_from_bytes(inbox.messages[0].content)["List-Unsubscribe"].strip().partition(">")[0].removeprefix("<")
    base, _, token = link.rpartition("/")
    assert base == "https://own.example/unsubscribe"
    assert sign.read_token(Purpose.UNSUBSCRIBE, token, keys=[KEY]) and not sign.read_token(
        Purpose.UNSUBSCRIBE, token, keys=three.keys
    )


@pytest.mark.parametrize("purpose", [Purpose.UNSUBSCRIBE, Purpose.PREFERENCES])
def test_a_link_is_read_by_the_keys_of_its_newsletter_and_the_common_ones_alone(box, three, clock, purpose):
    known(box, three)
    number = {name: subscription(box, name) for name in ("daily", "own")}
    client = TestClient(application(box, three, clock=clock), base_url="https://own.example")

    def opens(name: str, key: str) -> bool:
        return client.get(f"/{purpose}/{sign.token(purpose, number[name], key=key)}").status_code == 200

    for key in (KEY, "its former key, long", *three.keys):
        assert opens("own", key)
    assert not opens("own", "quite another key, long") and not opens("daily", KEY)
    assert opens("daily", three.keys[0]) and opens("daily", three.keys[1])


def test_links_to_confirm_and_to_move_are_bound_to_the_newsletter_too(box, three, clock):
    from digest.subscribe import moves, signup

    known(box, three)
    number = subscription(box, "own")
    for key, good in ((KEY, True), (three.keys[0], True), ("quite another key, long", False)):
        with box.read() as session:
            token = sign.confirm_token(number, at=MONDAY, key=key)
            assert bool(signup.about(session, token, config=three, now=MONDAY)) is good
            token = sign.move_token(sign.Move(number, "new@example.org", "", MONDAY), key=key)
            assert bool(moves.about(session, token, config=three, now=MONDAY)) is good


@pytest.mark.parametrize(
    ("host", "path", "status", "there"),
    [
        ("digest.example", "/newsletters/daily", 200, ""),
        ("digest.example", "/subscribe/daily", 200, ""),
        ("digest.example", "/newsletters/own", 308, "https://own.example/newsletters/own"),
        ("digest.example", "/subscribe/own?later=1", 308, "https://own.example/subscribe/own?later=1"),
        ("digest.example", "/newsletters/own/feed.atom", 308, "https://own.example/newsletters/own/feed.atom"),
        ("digest.example", "/editions/own/1/key", 308, "https://own.example/editions/own/1/key"),
        ("own.example", "/newsletters/own", 200, ""),
        ("OWN.example.:443", "/newsletters/own/feed.json", 200, ""),
        ("own.example", "/newsletters/daily", 308, "https://digest.example/newsletters/daily"),
        ("own.example", "/newsletters/far", 308, "https://far.example/letters/newsletters/far"),
        ("far.example", "/letters/newsletters/far", 200, ""),
        ("far.example", "/newsletters/far", 200, ""),  # a proxy took the path off
        ("127.0.0.1:8000", "/newsletters/own", 200, ""),
        ("evil.example", "/subscribe/own", 200, ""),
        ("evil.example", "/newsletters/none", 404, ""),
        ("own.example@evil.example", "/newsletters/own", 200, ""),
        ("digest.example:8443", "/newsletters/near", 200, ""),  # one address, written otherwise
    ],
)
def test_a_newsletter_is_found_at_its_own_host_and_nowhere_else(box, three, clock, host, path, status, there):
    known(box, three)
    client = TestClient(application(box, three, clock=clock), base_url="https://x.example", follow_redirects=False)
    answer = client.get(path, headers={"Host": host})
    assert (answer.status_code, answer.headers.get("location", "")) == (status, there)
    assert "evil" not in answer.text


def test_a_host_shows_its_own_newsletters_alone(box, three, clock):
    known(box, three)
    client = TestClient(application(box, three, clock=clock))

    def home(host: str) -> set[str]:
        text = client.get("/", headers={"Host": host}).text
        return {name for name in three.newsletters if f'/newsletters/{name}"' in text}

    assert (
        home("digest.example") == {"daily", "near"}
        and home("own.example") == {"own"}
        and home("far.example") == {"far"}
    )
    assert home("10.0.0.1") == {"daily", "near", "own", "far"}
    posted = client.post("/subscribe/own", headers={"Host": "digest.example"}, follow_redirects=False)
    assert posted.status_code == 404


def test_a_mail_that_a_page_causes_names_the_host_of_the_settings(box, three, clock):
    known(box, three)
    client = TestClient(application(box, three, clock=clock))
    for host, name in (("evil.example", "own"), ("far.example", "far")):
        form = {"email": f"{name}@example.org"}
        assert client.post(f"/subscribe/{name}", data=form, headers={"Host": host}, follow_redirects=False).is_redirect
    line.answer_signups(box, three, now=clock())
    with box.read() as session:
        texts = [mail.text for mail in session.exec(sa.select(Notice.text)).all()]
    assert "https://own.example/confirm/" in texts[0] and "https://far.example/letters/confirm/" in texts[1]
    assert "evil" not in "".join(texts)


def test_readers_are_shown_what_they_have_elsewhere_and_may_join_what_is_here(box, three, clock):
    known(box, three)
    token = sign.token(Purpose.PREFERENCES, subscription(box, "daily"), key=three.keys[0])
    client = TestClient(application(box, three, clock=clock))
    held = subscription(box, "own")
    page = client.get(f"/preferences/{token}", headers={"Host": "digest.example"}).text
    assert f"https://own.example/preferences/{sign.token(Purpose.PREFERENCES, held, key=KEY)}" in page
    assert 'value="far"' not in page
    asked = {"newsletter": "far"}
    refused = client.post(f"/preferences/{token}/join", data=asked, headers={"Host": "digest.example"})
    assert refused.status_code == 404


def test_the_keys_of_a_newsletter_are_shown_nowhere(three):
    assert KEY not in repr(three) and KEY not in repr(three.imprint("own"))
    assert isinstance(three.imprint("own"), Imprint) and three.lasting_key == three.keys[-1]


# ---------------------------------------------------------------- commands


def test_names_are_taken_with_commas_and_again_and_a_slip_is_told_with_what_was_meant(configure):
    config = configure(newsletters={name: paper(name) for name in ("daily", "weekly", "monthly")})
    assert config.chosen(["daily, weekly", "daily"]) == ["daily", "weekly"] and config.chosen(None, every=True) is None
    with pytest.raises(NotFound, match="no newsletter 'dialy'") as caught:
        config.chosen(["weekly,dialy"])
    assert caught.value.hint == "did you mean daily?"
    with pytest.raises(UserError, match="either --all or"):
        config.chosen(["daily"], every=True)
    with pytest.raises(UserError, match="one newsletter at a time"):
        config.newsletter("daily,weekly")


def test_a_run_goes_on_where_one_newsletter_is_broken_and_says_which(digest, folder, inbox, tmp_path):
    good = PAPER + "welcome = false\n"
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "paper.html").write_text("{{ nothing.like.it }}{% if")
    folder(f"[smtp]\nurl = '{inbox.url}'\n", a=good, b=good + "max_story = 1", c=good + "templates = '../t'")
    config = settings.load(tmp_path / "digest.toml", partly=True)
    from digest.store import open_database

    database = open_database(config.database_url, create=True)
    newsletters.keep(database, ("a", "b", "c"), now=MONDAY)
    database.close()
    done = digest("run", "--json")
    told = json.loads(done.stdout)["newsletters"]
    assert done.returncode == Exit.CONFIG and "b is left out" in done.stderr and "max_story" in done.stderr
    assert {name: one["exit_code"] for name, one in told.items()} == {"a": 0, "b": 78, "c": 78}
    assert digest("run", "-n", "a").returncode == Exit.OK
    refused = digest("run", "-n", "a,b")
    assert refused.returncode == Exit.CONFIG and "b.toml, line 4: max_story" in refused.stderr
    assert digest("run", "-n", "x").returncode == Exit.NOINPUT
    stands = digest("status", "--json")
    assert stands.returncode == Exit.CONFIG and "b" in digest("status").stderr
    assert {one["newsletter"]: bool(one["wrong"]) for one in json.loads(stands.stdout)["newsletters"]} == {
        "a": False,
        "c": True,
    }
    assert digest("deliver").returncode == Exit.CONFIG and digest("status", "-n", "a").returncode == Exit.OK
    assert digest("edition", "list").returncode == Exit.CONFIG  # what changes nothing of the kind waits


def test_a_letter_of_a_broken_newsletter_goes_by_no_other_relay(box, folder, inbox, clock):
    config = settings.load(folder(f"[smtp]\nurl = '{inbox.url}'", a=PAPER, b=PAPER + f"secret_key = '{KEY}'"))
    known(box, config)
    owe(box, config, "ada@example.org", newsletter="a")
    owe(box, config, "bob@example.org", newsletter="b")
    broken = settings.load(folder(f"[smtp]\nurl = '{inbox.url}'", b=PAPER + "secret_key = 3"), partly=True)
    report = deliver.run(box, broken, clock=clock, rng=random.Random(1))
    assert inbox.recipients == ["ada@example.org"] and set(report.sick) == {"b"}


def test_a_list_says_where_each_newsletter_is_defined_and_a_new_name_begins_there(digest, folder, tmp_path):
    folder(f"[newsletters.daily]\n{PAPER}", weekly=PAPER, other=PAPER + 'name = "third"')
    from digest.store import open_database

    open_database(settings.load(tmp_path / "digest.toml").database_url, create=True).close()
    rows = json.loads(digest("newsletter", "list", "--json").stdout)
    assert {row["newsletter"]: Path(row["defined_in"]).name for row in rows} == {
        "daily": "digest.toml",
        "third": "other.toml",
        "weekly": "weekly.toml",
    }
    asked: dict[str, Done] = {
        name: digest("newsletter", "rename", name, "new") for name in ("weekly", "third", "daily")
    }
    assert "weekly.toml to new.toml" in asked["weekly"].stderr
    assert 'write name = "new" in' in asked["third"].stderr
    assert "change [newsletters.daily] in" in asked["daily"].stderr
    assert "take away" in digest("newsletter", "end", "weekly").stderr
    (tmp_path / "newsletters" / "weekly.toml").rename(tmp_path / "newsletters" / "new.toml")
    assert digest("newsletter", "rename", "weekly", "new").returncode == 0


@pytest.mark.parametrize(
    "command", [("edition", "list"), ("outbox", "list"), ("audit",), ("feed", "list"), ("status",)]
)
def test_what_lists_takes_several_newsletters_or_all(digest, folder, tmp_path, command):
    folder(a=PAPER, b=PAPER, c=PAPER)
    from digest.store import open_database

    open_database(settings.load(tmp_path / "digest.toml").database_url, create=True).close()
    assert digest(*command, "-n", "a,b", "-n", "c").returncode == 0 and digest(*command, "--all").returncode == 0
    assert digest(*command, "-n", "a,bb").returncode == Exit.NOINPUT
    assert digest(*command, "-n", "a", "--all").returncode == Exit.USAGE


@pytest.mark.parametrize("host", ["digest.example", "own.example", "far.example"])
def test_the_api_shows_the_newsletters_of_a_key_at_any_of_our_hosts(box, three, clock, host):
    known(box, three)
    for name in ("daily", "own"):
        owe(box, three, "ada@example.org", newsletter=name)
    with box.write() as session:
        made = {"verbs": ("editions:read",), "newsletters": (), "now": MONDAY, "expires_at": None}
        token = keys.add(session, "test", **made)[1]
    client = TestClient(application(box, three, clock=clock), base_url=f"https://{host}")
    for name in ("daily", "own"):
        found = client.get(f"/api/v1/newsletters/{name}/editions", headers={"Authorization": f"Bearer {token}"})
        assert (found.status_code, [one["number"] for one in found.json()["items"]]) == (200, [1])


def test_the_text_of_an_edition_in_the_api_leads_nowhere_to_itself_wherever_it_is_at_home(box, three, clock):
    text = "Hello\nIn the browser:\nhttps://own.example/editions/own/1/k\nStories\n"
    site = application(box, three, clock=clock).state.site
    found = archive.Frozen(key="k", html="", text=text, marks="", rest=())
    assert as_text(site, "own", 1, found) == "Hello\nStories\n"
