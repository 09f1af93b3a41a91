"""The wire: every server that is slow, rude, broken or not what it says it is."""

from __future__ import annotations

import base64
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path

import pytest
import trustme
from conftest import MONDAY
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from mailing import LEAVE, MARKS, PEOPLE, enlarge_for, notice, owe, readers, send, sound, states, tallied
from mailserver import DROP, EVERYTHING, MailServer, scripted

from digest import deliver
from digest.deliver.replies import Blame, Garbled, ReplyReader, Step, Verdict, suspect, verdict
from digest.errors import Refused, RelayDown
from digest.letter import Sender
from digest.letter.quoted import stuffed, unstuffed
from digest.render import Rendered
from digest.store import letters, suppressions


@pytest.fixture
def server():
    with MailServer() as server:
        yield server


@pytest.fixture
def mailing(configure, server):
    def make(**smtp):
        return configure(smtp={"url": server.url, "data_timeout_seconds": 5, "timeout_seconds": 5} | smtp)

    return make


def test_the_next_envelope_rides_with_the_body(box, mailing, server, clock):
    config = mailing(connections=1)
    owe(box, config, *readers(40))
    assert send(box, config, clock).sent == 40
    assert server.rode_along >= 30
    assert sorted(server.recipients) == sorted(readers(40))


@pytest.mark.parametrize("missing", [{"PIPELINING"}, {"8BITMIME", "SMTPUTF8"}, set(EVERYTHING)])
def test_nothing_is_used_that_was_not_offered(box, mailing, server, clock, missing):
    server.extensions = tuple(word for word in EVERYTHING if word.split()[0] not in {m.split()[0] for m in missing})
    config = mailing(connections=2)
    owe(box, config, *readers(20))
    assert send(box, config, clock).sent == 20
    assert server.hurried == 0
    if "PIPELINING" in missing:
        assert server.rode_along == 0
    if len(missing) == len(EVERYTHING):
        assert not any("SIZE" in line for line in server.log)


def test_replies_may_come_in_pieces_and_in_many_lines(box, mailing, server, clock):
    server.byte_by_byte = True
    server.on_body = lambda taken: "250-2.0.0 Ok\n250-2.0.0 queued\n250 2.0.0 as 4711"
    config = mailing()
    owe(box, config, *readers(10))
    assert send(box, config, clock).sent == 10
    with box.read() as session:
        assert {line.reply for line in letters.lines(session)} == {"2.0.0 Ok queued as 4711"}


def test_an_address_that_needs_smtputf8_is_refused_in_words_where_it_is_not_offered(box, mailing, server, clock):
    config = mailing()
    notice(box, "zoë@example.org")
    assert send(box, config, clock).sent == 1
    assert server.log[-1].endswith("BODY=8BITMIME SMTPUTF8")
    server.extensions = ("PIPELINING",)
    notice(box, "zoé@example.org")
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert (report.sent, report.refused) == (3, 1)
    assert "no SMTPUTF8" in report.refusals[0]


def test_a_single_letter_goes_by_the_relay_that_can_carry_it(configure, server):
    def one(*relays: dict) -> str:
        config = configure(smtp={"relays": [{"url": server.url, "order": 2}, *relays]})
        return deliver.send_one(config, letter)

    config = configure(smtp={"url": server.url})
    rendered = Rendered("News", f'<p>News</p><a href="{LEAVE}">u</a>', f"News\n{LEAVE}\n", marks=MARKS)
    sender = Sender("News <news@news.example>", MONDAY, "", "daily")
    letter = deliver.for_one(config, rendered, sender=sender, to="jürgen@example.org", number=1)
    with MailServer(extensions=("PIPELINING",)) as plain:
        assert f":{server.port}: 250" in one({"url": plain.url})
        server.vanish()
        with pytest.raises(RelayDown, match="no connection"):
            one({"url": plain.url})
        with pytest.raises(Refused, match="no SMTPUTF8"):
            deliver.send_one(configure(smtp={"url": plain.url}), letter)
    assert len(server.taken) == 1 and not plain.taken


def test_an_edition_that_is_too_large_for_every_server_is_paused_before_its_first_letter(box, mailing, server, clock):
    server.extensions = ("PIPELINING", "SIZE 500")
    config = mailing()
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    ((_, _, why),) = report.paused
    assert "the mail server takes 500" in why and report.owed == 3
    assert server.log == server.taken == []


def test_a_variant_that_is_too_large_for_every_server_is_held_and_the_others_go_out(box, mailing, server, clock):
    server.extensions = ("PIPELINING", "SIZE 2000")
    config = mailing()
    owe(box, config, *readers(30))
    enlarge_for(box, "reader3@example.org", "reader4@example.org")
    report = send(box, config, clock)
    assert (report.sent, report.held, report.owed) == (28, 2, 0)
    assert {email for email, state in states(box).items() if state == "held"} == {
        "reader3@example.org",
        "reader4@example.org",
    }


@pytest.mark.parametrize("keep_354", [False, True])
@pytest.mark.parametrize("pipelining", [True, False])
def test_a_refusal_keeps_both_sides_in_step(box, mailing, server, clock, keep_354, pipelining):
    if not pipelining:
        server.extensions = ("8BITMIME",)
    server.keep_354 = keep_354
    server.on_rcpt = lambda address: "550 5.1.1 nobody" if int(address[6:].split("@")[0]) % 3 == 0 else "250 Ok"
    config = mailing(connections=2, max_refused=1.0)
    owe(box, config, *readers(30))
    report = send(box, config, clock)
    assert (report.sent, report.refused, report.owed) == (20, 10, 0)
    assert server.connections <= 2, "one that is out of step can only be given up"
    assert sorted(server.recipients) == sorted(r for r in readers(30) if int(r[6:].split("@")[0]) % 3)
    assert sound(box)


@pytest.mark.parametrize("keep_354", [False, True])
@pytest.mark.parametrize("pipelining", [True, False])
def test_a_refusal_before_the_reader_is_named_keeps_both_sides_in_step_too(
    box, mailing, server, clock, keep_354, pipelining
):
    if not pipelining:
        server.extensions = ("8BITMIME",)
    server.keep_354 = keep_354
    turns = count()
    server.on_mail = lambda sender, number: "552 5.3.4 too big" if next(turns) % 3 == 0 else "250 Ok"
    config = mailing(connections=2, max_refused=1.0)
    owe(box, config, *readers(30))
    report = send(box, config, clock)
    assert (report.sent, report.refused, report.owed) == (20, 10, 0)
    assert server.connections <= 2, "the second may come when all is done"
    assert sound(box)


def _greet(connection, lines, *extensions: str) -> None:
    connection.sendall(b"220 test\r\n")
    lines.readline()
    connection.sendall("".join(f"250-{word}\r\n" for word in ("test", *extensions)).encode() + b"250 HELP\r\n")


def _envelope(connection, lines, replies: bytes) -> None:
    """Take MAIL, RCPT and DATA, and answer them together."""
    if all(lines.readline() for _ in range(3)):
        connection.sendall(replies)


def _body(lines) -> None:
    while lines.readline() not in (b".\r\n", b""):
        pass


def test_who_is_named_after_a_refused_sender_is_sent_nothing(box, mailing, clock):
    came = []

    def talk(connection, lines) -> None:
        _greet(connection, lines, "PIPELINING")
        _envelope(connection, lines, b"552 5.3.4 no\r\n250 Ok\r\n354 go on\r\n")
        came.append(lines.readline())

    with scripted(talk) as where:
        config = mailing(url=f"smtp://{where}", connections=1)
        owe(box, config, *PEOPLE)
        report = send(box, config, clock)
    assert (report.refused, came) == (3, [b"", b"", b""]), "an empty message would be delivered"


def test_a_server_of_the_old_kind_is_greeted_in_its_way(box, mailing, server, clock):
    server.knows_ehlo = False
    config = mailing()
    owe(box, config, *PEOPLE)
    assert send(box, config, clock).sent == 3 and server.hurried == 0


def test_a_greeting_that_is_refused_stops_the_run(box, mailing, clock):
    def talk(connection, lines) -> None:
        connection.sendall(b"220 test\r\n")
        lines.readline()
        connection.sendall(b"550 5.7.1 not you\r\n")
        lines.readline()

    with scripted(talk) as where:
        config = mailing(url=f"smtp://{where}")
        owe(box, config, *PEOPLE)
        report = send(box, config, clock)
    assert report.owed == 3 and "refuses our greeting: 550 5.7.1 not you" in report.stopped


def test_a_refused_reset_ends_the_connection_and_nothing_else(box, mailing, server, clock):
    server.on_rcpt = lambda address: "550 5.7.1 no" if address == PEOPLE[0] else "250 Ok"
    server.on_reset = lambda: "502 5.5.1 what?"
    config = mailing(connections=1)
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert (report.sent, report.refused, server.connections) == (2, 1, 2)


def test_a_server_that_ends_an_idle_connection_is_no_trouble(box, mailing, clock):
    bodies, idle = count(), threading.Event()

    def talk(connection, lines) -> None:
        _greet(connection, lines)  # no PIPELINING, so that the second letter takes a second connection
        for reply in (b"250 Ok\r\n", b"250 Ok\r\n", b"354 go on\r\n"):
            if not lines.readline().startswith((b"MAIL", b"RCPT", b"DATA")):
                return
            connection.sendall(reply)
        _body(lines)
        if next(bodies) == 0:
            connection.sendall(b"250 Ok\r\n421 4.4.2 idle for too long\r\n")
            idle.set()
        else:
            idle.wait(60)
            connection.sendall(b"250 Ok\r\n")
            lines.readline()

    with scripted(talk) as where:
        config = mailing(url=f"smtp://{where}", connections=2)
        owe(box, config, *PEOPLE[:2])
        report = send(box, config, clock)
    assert (report.sent, report.in_doubt, report.stopped) == (2, 0, "")


@pytest.mark.parametrize("reply", ["354 go on", "503 5.5.1 what?"])
def test_what_answers_the_end_of_the_data_neither_way_leaves_the_letter_in_doubt(box, mailing, server, clock, reply):
    server.on_body = lambda taken: reply if taken.recipient == PEOPLE[0] else "250 Ok"
    config = mailing(connections=1)
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert (report.sent, report.in_doubt, report.owed) == (2, 1, 1)


def test_a_letter_whose_acceptance_came_with_garbage_is_sent(box, mailing, server, clock):
    server.on_body = lambda taken: "250 2.0.0 Ok\nHTTP/1.1 200 OK"
    config = mailing(connections=1)
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert (report.sent, report.in_doubt, len(server.taken)) == (3, 0, 3)


def test_a_server_that_resets_the_connection_after_each_letter_gets_each_once(box, mailing, clock):
    def talk(connection, lines) -> None:
        _greet(connection, lines, "PIPELINING")
        _envelope(connection, lines, b"250 Ok\r\n250 Ok\r\n354 go on\r\n")
        _body(lines)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(b"250 Ok\r\n")

    with scripted(talk) as where:
        config = mailing(url=f"smtp://{where}", connections=2)
        owe(box, config, *readers(8))
        for _ in range(2):
            report = send(box, config, clock)
            clock.pass_(hours=1)
    assert (report.owed, tallied(box)) == (0, {"sent": 8})


def test_a_reply_that_drips_in_must_end_in_time(box, mailing, clock):
    def talk(connection, lines) -> None:
        _greet(connection, lines, "PIPELINING")
        _envelope(connection, lines, b"250-")
        while True:
            connection.sendall(b"more\r\n250-")
            time.sleep(0.05)

    with scripted(talk) as where:
        config = mailing(url=f"smtp://{where}", connections=1, timeout_seconds=0.3)
        owe(box, config, "ada@example.org")
        patience = time.monotonic() + 60
        report = send(box, config, clock, stop=lambda: time.monotonic() > patience)
    assert (report.owed, report.interrupted) == (1, False) and "no answer to MAIL in time" in report.refusals[0]


def test_a_server_that_worked_and_then_takes_nothing_more_is_waited_for_and_given_up(
    box, mailing, server, clock, monkeypatch
):
    monkeypatch.setattr("digest.deliver.relays.PATIENCE", 0.5)
    server.on_mail = lambda sender, number: "250 Ok" if len(server.taken) < 5 else "421 4.3.2 busy"
    config = mailing(connections=2)
    owe(box, config, *readers(20))
    patience = time.monotonic() + 60
    report = send(box, config, clock, stop=lambda: time.monotonic() > patience)
    assert not report.interrupted and "421" in report.stopped and report.sent == len(server.taken) >= 5
    assert report.owed == 20 - report.sent


@pytest.mark.long
def test_all_kinds_of_replies_at_a_tenth_each_end_as_they_must(database, mailing, server, clock):
    kinds = [
        "421 4.3.0 busy",
        "451 4.7.1 later",
        "452 4.2.2 full",
        "550 5.1.1 nobody",
        "552 5.2.2 full",
        "554 5.7.1 no",
    ]
    tried: dict[str, int] = {}

    def answer(address: str, at: str) -> str:
        number = int(address[6:].split("@")[0])
        kind = kinds[number % 10] if number % 10 < len(kinds) else ""
        if not kind or at != ("body" if number % 20 >= 10 else "rcpt"):
            return "250 2.0.0 Ok"
        tried[address] = tried.get(address, 0) + 1
        temporary = kind.startswith("4") and tried[address] > 1
        return "250 2.0.0 Ok" if temporary else kind

    server.on_rcpt = lambda address: answer(address, "rcpt")
    server.on_body = lambda taken: answer(taken.recipient, "body")
    config = mailing(connections=4, max_refused=1.0)
    owe(database, config, *readers(60))
    for _ in range(4):
        report = send(database, config, clock)
        clock.pass_(hours=1)
    assert report.owed == 0
    assert tallied(database) == {"sent": 42, "refused": 18}
    assert sorted(server.recipients) == sorted(r for r in readers(60) if int(r[6:].split("@")[0]) % 10 not in (3, 4, 5))
    with database.read() as session:
        suppressed = [r for r in readers(60) if suppressions.find(session, r)]
    assert suppressed == [r for r in readers(60) if int(r[6:].split("@")[0]) % 20 == 3]  # 550 5.1.1 at RCPT only
    assert sound(database)


# ---------------------------------------------------------------- connections that end


def test_a_drop_before_or_in_the_middle_of_the_body_is_tried_again_and_one_after_it_is_in_doubt(
    database, mailing, server, clock
):
    once = set()

    def first(address: str) -> bool:
        return address not in once and not once.add(address)

    server.on_rcpt = lambda a: DROP if a == "reader3@example.org" and first("rcpt") else "250 2.1.5 Ok"
    server.on_data = lambda a: DROP if a == "reader5@example.org" and first("data") else "354 go on"
    server.mid_data = lambda a: a == "reader7@example.org" and first("mid")
    server.on_body = lambda t: DROP if t.recipient == "reader9@example.org" and first("body") else "250 2.0.0 Ok"
    config = mailing(connections=2)
    owe(database, config, *readers(20))
    report = send(database, config, clock)
    assert (report.sent, report.owed) == (18, 2)  # the body of two was on its way
    clock.pass_(hours=1)
    assert send(database, config, clock).sent == 2
    with database.read() as session:
        doubtful = [line.email for line in letters.lines(session) if line.in_doubt]
    assert doubtful == ["reader7@example.org", "reader9@example.org"]
    copies = [t for t in server.taken if t.recipient == "reader9@example.org"]
    assert len(copies) == 2 and copies[0] == copies[1]
    assert len(server.taken) == 21
    assert sound(database)


def test_a_server_that_says_nothing_at_the_banner_stops_the_run_in_time(box, mailing, server, clock):
    server.banner = None
    config = mailing(timeout_seconds=0.3)
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert report.owed == 3 and "does not answer" in report.stopped
    assert set(states(box).values()) == {"owed"}


def test_one_answer_that_never_comes_holds_up_nobody_else(box, mailing, server, clock):
    release = threading.Event()

    def slow(taken) -> str:
        if taken.recipient == "reader1@example.org":
            release.wait(10)
            return DROP
        return "250 2.0.0 Ok"

    server.on_body = slow
    config = mailing(connections=3, data_timeout_seconds=1)
    owe(box, config, *readers(30))
    report = send(box, config, clock)
    release.set()
    assert (report.sent, report.in_doubt, report.owed) == (29, 1, 1)
    assert "in time" in report.refusals[0]


def test_a_server_that_is_gone_for_a_while_is_waited_for(box, mailing, server, clock):
    gone = threading.Event()

    def vanish() -> None:
        server.vanish()
        threading.Timer(1.2, server.listen).start()

    def answer(taken) -> str:
        if len(server.taken) >= 10 and not gone.is_set():
            gone.set()
            threading.Thread(target=vanish).start()
        return "250 2.0.0 Ok"

    server.on_body = answer
    config = mailing(connections=2)
    owe(box, config, *readers(40))
    send(box, config, clock)
    clock.pass_(hours=1)
    report = send(box, config, clock)
    assert gone.is_set() and report.owed == 0
    with box.read() as session:
        doubtful = {line.email for line in letters.lines(session) if line.in_doubt}
    twice = {r for r in server.recipients if server.recipients.count(r) > 1}
    assert twice <= doubtful and len(doubtful) <= 2
    assert set(server.recipients) == set(readers(40))


def test_garbage_in_place_of_a_reply_loses_nobody(box, mailing, server, clock):
    server.on_mail = lambda sender, number: "HTTP/1.1 200 OK"
    config = mailing(connections=1)
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert report.sent == 0 and report.owed == 3
    assert server.taken == []


@pytest.mark.parametrize("banner", ["* OK IMAP4rev1 ready", "+OK POP3 ready", "HTTP/1.1 400 Bad Request"])
def test_a_server_of_another_kind_is_told_by_what_it_says(box, mailing, clock, banner):
    with scripted(lambda connection, lines: (connection.sendall(f"{banner}\r\n".encode()), lines.readline())) as where:
        config = mailing(url=f"smtp://{where}")
        owe(box, config, *PEOPLE)
        report = send(box, config, clock)
    assert report.owed == 3 and report.stopped == f"{where} sent no SMTP reply: {banner.encode()!r}"


# ---------------------------------------------------------------- limits that are learnt


def test_how_many_letters_a_connection_takes_is_learnt(box, mailing, server, clock):
    server.on_mail = lambda sender, number: "250 Ok" if number <= 5 else "421 4.7.0 too many messages"
    config = mailing(connections=2)
    owe(box, config, *readers(60))
    report = send(box, config, clock)
    assert (report.sent, report.deferred, report.owed) == (60, 0, 0)
    assert len(server.taken) == 60
    refused = [line for line in server.log if line]
    assert len(refused) < 60 + 8  # two connections ran into it to learn; the rest quit in time


def test_how_many_connections_are_allowed_is_learnt(box, mailing, server, clock):
    server.most_connections = 2
    config = mailing(connections=8)
    owe(box, config, *readers(60))
    report = send(box, config, clock)
    assert (report.sent, report.deferred, report.owed) == (60, 0, 0)


def test_a_busy_server_is_left_alone_and_the_readers_are_not_to_blame(box, mailing, server, clock):
    server.on_mail = lambda sender, number: "421 4.3.2 shutting down"
    config = mailing(connections=2)
    owe(box, config, *readers(10))
    report = send(box, config, clock)
    assert report.owed == 10 and "421" in report.stopped
    with box.read() as session:
        assert {(line.state.value, line.attempts) for line in letters.lines(session)} == {("owed", 0)}


@pytest.mark.parametrize("at", ["rcpt", "data", "body"])
def test_a_421_costs_a_connection_and_counts_against_no_reader(box, mailing, server, clock, at):
    once = ["421 4.3.2 busy"]
    setattr(server, f"on_{at}", lambda _: once.pop() if once else "354 go on" if at == "data" else "250 2.0.0 Ok")
    config = mailing(connections=1)
    owe(box, config, *readers(12))
    report = send(box, config, clock)
    assert (report.sent, report.deferred, report.owed) == (12, 0, 0) and server.connections == 2
    assert sorted(server.recipients) == sorted(readers(12))
    with box.read() as session:
        assert {line.attempts for line in letters.lines(session)} == {1}


def test_a_letter_that_meets_a_busy_server_again_and_again_is_not_put_off(box, mailing, server, clock):
    met: Counter[str] = Counter()

    def answer(sender: str, number: int) -> str:
        met[sender] += 1
        return "421 4.3.2 busy" if sender == [*met][:6][-1] and len(met) > 5 and met[sender] <= 6 else "250 Ok"

    server.on_mail = answer
    config = mailing(connections=1)
    owe(box, config, *readers(9))
    report = send(box, config, clock)
    assert max(met.values()) > 6 and (report.sent, report.deferred, report.owed) == (9, 0, 0)


# ---------------------------------------------------------------- login and TLS


def _decoded(word: str) -> str:
    return base64.b64decode(word).decode()


@pytest.mark.parametrize("auth", ["plain", "login", "xoauth2"])
def test_each_way_to_log_in(box, configure, server, clock, auth):
    seen = []
    server.login = lambda words: not seen.append(words)
    url = f"smtp://ada:se%40cret@127.0.0.1:{server.port}"
    config = configure(smtp={"relays": [{"url": url, "auth": auth}]})
    owe(box, config, *PEOPLE)
    assert send(box, config, clock).sent == 3
    assert "se@cret" in " ".join(map(_decoded, seen[0][1:]))


@pytest.mark.parametrize("auth", ["plain", "login", "xoauth2"])
def test_a_refused_login_stops_after_one_try_and_tells_no_password(box, configure, server, clock, auth):
    tries = []
    server.login = lambda words: bool(tries.append(words))
    url = f"smtp://ada:se%40cret@127.0.0.1:{server.port}"
    config = configure(smtp={"relays": [{"url": url, "auth": auth}]})
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert report.owed == 3 and len(tries) == 1 and server.taken == []
    assert "refuses the login of ada: 535" in report.stopped
    assert "se@cret" not in report.stopped and base64.b64encode(b"se@cret").decode() not in report.stopped
    with box.read() as session:
        assert {(line.state.value, line.attempts) for line in letters.lines(session)} == {("owed", 0)}


def _token_command(tmp_path, says: str) -> str:
    script = tmp_path / "token.sh"
    script.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/asked\n{says}\n")
    script.chmod(0o700)
    return str(script)


def test_a_command_prints_the_token_and_is_asked_once_for_all_connections(box, configure, server, clock, tmp_path):
    seen = []
    server.login = lambda words: not seen.append(words)
    command = _token_command(tmp_path, "echo ya29.t0ken")
    url = f"smtp://ada%40example.org@127.0.0.1:{server.port}"
    owe(box, config := configure(smtp={"url": url, "token_command": command, "connections": 4}), *readers(40))
    assert send(box, config, clock).sent == 40
    assert {words[0] for words in seen} == {"XOAUTH2"} and len(seen) == server.connections
    assert _decoded(seen[0][1]) == "user=ada@example.org\1auth=Bearer ya29.t0ken\1\1"
    assert (tmp_path / "asked").read_text() == "asked\n"


@pytest.mark.parametrize(
    ("says", "why"),
    [("echo s3cret; exit 3", "failed with exit code 3"), ("true", "printed no token"), (None, "cannot be run")],
)
def test_without_a_token_nothing_is_sent_and_nothing_secret_is_said(
    box, configure, server, clock, tmp_path, capfd, says, why
):
    server.login = lambda words: True
    command = _token_command(tmp_path, says) if says else str(tmp_path / "nowhere")
    url = f"smtp://ada@127.0.0.1:{server.port}"
    config = configure(smtp={"relays": [{"url": url, "token_command": command}]})
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert report.owed == 3 and why in report.stopped and server.taken == []
    assert "s3cret" not in report.stopped + "".join(capfd.readouterr())


def test_a_password_never_leaves_the_machine_in_clear(box, configure, server, clock):
    seen = []
    server.login = lambda words: not seen.append(words)
    config = configure(smtp={"url": f"smtp://ada:secret@0.0.0.0:{server.port}"})  # leads here, and is not said to
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert (report.owed, seen, server.log, server.connections) == (3, [], [], 1)
    assert "would go out in clear" in report.stopped and "secret" not in report.stopped


def test_a_server_that_knows_no_login_gets_no_password_and_no_letter(box, configure, server, clock):
    config = configure(smtp={"url": f"smtp://ada:secret@127.0.0.1:{server.port}"})
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert (report.owed, server.log) == (3, []) and "offers no login by PLAIN or LOGIN" in report.stopped


@pytest.mark.parametrize("reply", ["552 5.2.2 over quota", "550 5.1.1 who are you", "553 5.1.2 no", "554 5.4.7 no"])
def test_what_a_relay_says_of_the_sender_costs_no_reader_their_letter_whatever_its_number(
    box, mailing, server, clock, reply
):
    server.on_mail = lambda sender, number: reply
    config = mailing(connections=1)
    owe(box, config, *readers(6))
    report = send(box, config, clock)
    assert (report.refused, report.owed) == (0, 6) and "refuses login or sender" in report.stopped


@pytest.mark.parametrize("words", ["550 5.4.5 Daily user sending limit exceeded.", "550 5.2.1 id 4711: account closed"])
@pytest.mark.parametrize("step", ["rcpt", "body"])
def test_who_comes_after_the_relay_let_us_send_no_more_is_owed_their_letter(box, mailing, server, clock, step, words):

    def full() -> bool:
        return len(server.taken) >= 20

    if step == "rcpt":
        server.on_rcpt = lambda recipient: words if full() else "250 Ok"
    else:
        server.on_body = lambda taken: words if full() else "250 Ok"
    config = mailing(connections=1)
    owe(box, config, *(f"reader{n}@d{n % 5}.example" for n in range(50)))
    report = send(box, config, clock)
    assert (report.sent, report.refused, report.owed) == (20, 0, 30) and words[-8:] in report.stopped
    server.on_rcpt, server.on_body = (lambda recipient: "250 Ok"), (lambda taken: "250 Ok")
    clock.pass_(hours=24)
    assert send(box, config, clock).sent == 30 and len(set(server.recipients)) == len(server.taken) == 50


@pytest.mark.parametrize("reply", ["552 5.5.3 too many recipients", "552 Too many recipients this hour"])
def test_too_many_recipients_is_said_for_now(box, mailing, server, clock, reply):
    server.on_rcpt = lambda recipient: reply if recipient == PEOPLE[0] else "250 Ok"
    config = mailing(connections=1)
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert (report.sent, report.refused, report.owed) == (2, 0, 1)


def test_a_refused_sender_stops_after_two_letters_that_say_so(box, mailing, server, clock):
    server.on_mail = lambda sender, number: "550 5.7.1 you may not send as this"
    config = mailing(connections=1)
    owe(box, config, *readers(20))
    report = send(box, config, clock)
    assert report.owed == 20 and "refuses login or sender" in report.stopped
    assert len(server.log) == 2
    assert set(states(box).values()) == {"owed"}


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def _context(cert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context


def _self_signed(folder: Path) -> ssl.SSLContext:
    """A certificate that nobody vouches for but itself, right in all else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "self-signed.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
def test_letters_go_out_encrypted_to_the_server_we_know(box, configure, server, clock, authority, tmp_path, scheme):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server.context = _context(authority.issue_cert("127.0.0.1"))
    server.implicit_tls = scheme == "smtps"
    config = configure(smtp={"url": f"{scheme}://127.0.0.1:{server.port}", "ca_file": str(tmp_path / "ca.pem")})
    owe(box, config, *readers(20))
    assert send(box, config, clock).sent == 20


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
def test_an_encrypted_connection_that_is_cut_off_leaves_one_letter_in_doubt(
    box, configure, server, clock, authority, tmp_path, scheme
):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server.context = _context(authority.issue_cert("127.0.0.1"))
    server.implicit_tls = scheme == "smtps"
    cut = readers(20)[5]
    server.on_body = lambda taken: DROP if taken.recipient == cut else "250 Ok"  # TLS' own farewell is not said
    smtp = {"url": f"{scheme}://127.0.0.1:{server.port}", "ca_file": str(tmp_path / "ca.pem"), "connections": 2}
    owe(box, config := configure(smtp=smtp), *readers(20))
    report = send(box, config, clock)
    assert (report.sent, report.in_doubt, report.owed) == (19, 1, 1)
    with box.read() as session:
        assert [line.email for line in letters.lines(session) if line.in_doubt] == [cut]


def test_what_was_offered_in_clear_is_forgotten(box, configure, server, clock, authority, tmp_path):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server.context = _context(authority.issue_cert("127.0.0.1"))
    server.in_clear = ("SIZE 10",)
    config = configure(smtp={"url": f"smtp+starttls://127.0.0.1:{server.port}", "ca_file": str(tmp_path / "ca.pem")})
    owe(box, config, *PEOPLE)
    assert send(box, config, clock).sent == 3 and "SIZE" in server.log[0]


@pytest.mark.thin(4)
@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
@pytest.mark.parametrize("wrong", ["unknown authority", "self-signed", "another host", "expired"])
def test_a_certificate_that_does_not_hold_stops_the_run(
    box, configure, server, clock, authority, tmp_path, scheme, wrong
):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    if wrong == "self-signed":
        server.context = _self_signed(tmp_path)
    else:
        issuer = trustme.CA() if wrong == "unknown authority" else authority
        cert = issuer.issue_cert(
            "127.0.0.2" if wrong == "another host" else "127.0.0.1",
            not_after=datetime(2020, 1, 1, tzinfo=UTC) if wrong == "expired" else None,
        )
        server.context = _context(cert)
    server.implicit_tls = scheme == "smtps"
    config = configure(smtp={"url": f"{scheme}://127.0.0.1:{server.port}", "ca_file": str(tmp_path / "ca.pem")})
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert report.owed == 3 and "is not trusted" in report.stopped
    assert wrong != "self-signed" or "self-signed" in report.stopped
    assert server.taken == [] and server.log == [] and set(states(box).values()) == {"owed"}


@pytest.mark.parametrize("how", ["closes", "resets", "goes on in clear"])
def test_a_server_that_breaks_off_at_the_encryption_gets_nothing(box, mailing, clock, caplog, how):
    def talk(connection, lines) -> None:
        _greet(connection, lines, "STARTTLS")
        lines.readline()
        connection.sendall(b"220 go ahead\r\n")
        if how == "resets":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "goes on in clear":
            connection.sendall(b"250 Ok\r\n" * 10)
            lines.readline()

    with scripted(talk) as where:
        config = mailing(url=f"smtp+starttls://{where}", timeout_seconds=5)
        owe(box, config, *PEOPLE)
        report = send(box, config, clock)
    assert report.owed == 3 and where in report.stopped and not caplog.text
    assert set(states(box).values()) == {"owed"}


def test_without_starttls_nothing_is_sent_in_clear(box, configure, server, clock):
    config = configure(smtp={"url": f"smtp+starttls://127.0.0.1:{server.port}"})
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert report.owed == 3 and "offers no STARTTLS" in report.stopped
    assert server.taken == []


@pytest.mark.parametrize("early", [b"250-injected\r\n250 AUTH PLAIN\r\n", b"250-injected\r\n", b"250 inj"])
def test_what_is_said_before_the_encryption_began_is_refused(box, configure, server, clock, authority, tmp_path, early):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server.context = _context(authority.issue_cert("127.0.0.1"))
    server.early = early
    config = configure(smtp={"url": f"smtp+starttls://127.0.0.1:{server.port}", "ca_file": str(tmp_path / "ca.pem")})
    owe(box, config, *PEOPLE)
    report = send(box, config, clock)
    assert report.owed == 3 and "before the encryption began" in report.stopped


# ---------------------------------------------------------------- replies and dots


@given(
    st.lists(st.tuples(st.integers(200, 599), st.lists(st.text("ab 5.12", max_size=20), min_size=1, max_size=4))),
    st.data(),
)
def test_replies_read_the_same_however_they_are_cut(replies, data):
    wire = b""
    for code, lines in replies:
        for number, text in enumerate(lines):
            wire += f"{code}{' ' if number == len(lines) - 1 else '-'}{text}\r\n".encode()
    reader, found, at = ReplyReader(), [], 0
    while at < len(wire):
        step = data.draw(st.integers(1, 40))
        found += reader.feed(wire[at : at + step])
        at += step
    assert [reply.code for reply in found] == [code for code, _ in replies]
    assert [len(reply.lines) for reply in found] == [len(lines) for _, lines in replies]


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_noise_is_a_reply_or_garbled_and_never_a_crash_or_a_memory_hole(pieces):
    reader = ReplyReader()
    try:
        for piece in pieces:
            for reply in reader.feed(piece):
                assert 200 <= reply.code < 600
                assert isinstance(verdict(reply, Step.BODY), Verdict)
    except Garbled:
        pass


@pytest.mark.parametrize(
    "wire", [b"550-one\r\n250 two\r\n", b"451-one\r\n354 two\r\n", b"190 what\r\n", b"25 0\r\n", b"<html>\r\n"]
)
def test_what_breaks_the_form_of_a_reply_is_garbled(wire):
    with pytest.raises(Garbled):
        list(ReplyReader().feed(wire))


@pytest.mark.parametrize("said", ["5.1.1 no such user", "#5.1.1 no such user", "no such\r\n550 #5.1.1 user"])
def test_a_status_is_read_as_servers_write_it(said):
    [reply] = ReplyReader().feed(f"550{'-' if said.startswith('no') else ' '}{said}\r\n".encode())
    assert (reply.status, reply.text, suspect(reply, Step.RCPT)) == ("5.1.1", "no such user", Blame.GONE)


@pytest.mark.parametrize(
    ("wire", "code", "status"),
    [
        (b"250-one\r\n251 two\r\n", 251, ""),
        (b"250-2.0.0 one\r\n550 5.1.1 two\r\n", 550, "5.1.1"),
        (b"550-5.1.1 one\r\n451 4.3.0 two\r\n", 451, "4.3.0"),
        (b"451-4.7.1 one\r\n554 two\r\n", 554, "4.7.1"),
        (b"550-5.1.1 no such\r\n user here\r\n\r\n550 5.1.1 the end\r\n", 550, "5.1.1"),
        (b"250-ok\r\n250ok\r\n", 250, ""),
        (b"\r\n\r\n250 ok\r\n", 250, ""),
        (b"250 " + b"x" * 50_000 + b"\r\n", 250, ""),
        (b"550-5.7.1 " + b"x" * 50_000 + b"\r\n550 the end\r\n", 550, "5.7.1"),
    ],
)
def test_what_a_server_says_in_a_form_of_its_own_is_read_by_its_last_line(wire, code, status):
    for cut in (len(wire), 7):
        reader, found = ReplyReader(), []
        for at in range(0, len(wire), cut):
            found += reader.feed(wire[at : at + cut])
        [reply] = found
        assert (reply.code, reply.status) == (code, status) and len(reply.text) < 5_000 and reader.empty


def test_a_reply_without_end_is_given_up():
    with pytest.raises(Garbled):
        list(ReplyReader().feed(b"250-" + b"x" * 100_000))
    reader = ReplyReader()
    with pytest.raises(Garbled):
        for _ in range(1000):
            list(reader.feed(b"250-more\r\n"))


@given(st.text(".\r\nx", max_size=60))
def test_dots_are_doubled_and_halved_again(text):
    message = "\r\n".join(text.replace("\r", "").split("\n")).encode() + b"\r\n"
    wire = stuffed(message) + b".\r\n"
    assert unstuffed(wire.removesuffix(b".\r\n")) == message
    assert b"\r\n.\r\n" not in wire.removesuffix(b".\r\n") and not wire.removesuffix(b".\r\n").startswith(b".\r\n")
