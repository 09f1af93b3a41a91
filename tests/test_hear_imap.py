"""A mailbox on an IMAP server: read by UID, marked once it is stored, and never a reason for a run to fail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import count

import hearing
import pytest
import trustme
from conftest import MONDAY, on_sqlite
from imapserver import DROP, HANG, ImapServer
from test_hear_reading import ADA, BOB, kept, standing

from digest import hear, line
from digest.errors import ConfigError, Exit, NotFound, Unavailable, UserError
from digest.hear import imap_wire, mime
from digest.store import reports, suppressions

REPLY = hearing.person("hello", sender="Eve <eve@example.org>")


@pytest.fixture
def config(configure):
    return configure(mail={"address": "bounces@news.example"})


@pytest.fixture
def letters(database, config, clock):
    return hearing.letters(database, config, clock, ADA, BOB)


@pytest.fixture
def server():
    with ImapServer() as server:
        yield server


@pytest.fixture
def read(database, configure):
    """Read the mailbox of a server, with more settings of [mail]."""

    def do(url, *, bounds=hear.Bounds(), seconds=20.0, **more):
        config = configure(mail={"address": "bounces@news.example", "source": url, **more})
        source = line.mailbox(config, url)
        source.server = replace(source.server, seconds=seconds)
        with closing(source):
            return hear.read(database, config, source, clock=lambda: MONDAY, bounds=bounds)

    return do


def mark(database, server, **more):
    with database.read() as session:
        return reports.mark(session, f"imap://back@127.0.0.1:{server.port}/INBOX")


@on_sqlite
def test_what_was_understood_is_seen_and_moved_what_was_not_stays_and_is_flagged(database, server, read, letters):
    server.add(hearing.bounce(letters[ADA]), REPLY)
    found = read(server.url(), move_to="Gelesen", keyword="digest")
    assert (found.read, found.acts) == (2, {"suppress": 1, "ask": 1})
    assert standing(database, ADA) == ("active", suppressions.BOUNCED)
    assert server.flags == ["\\Flagged \\Seen"]
    assert [one.flags for one in server.boxes["Gelesen"]] == [{"\\Seen", "digest"}]
    assert not server.commands("UID EXPUNGE")
    assert "a pass word" not in mark(database, server)
    assert read(server.url()).read == 0


@on_sqlite
def test_without_move_a_copy_is_made_and_only_the_mail_itself_is_taken_away(server, read, letters):
    server.capabilities = ("IMAP4rev1", "UIDPLUS")
    server.add(hearing.bounce(letters[ADA]), REPLY, REPLY.replace(b"hello", b"again"))
    server.boxes["INBOX"][2].flags.add("\\Deleted")  # by another program, which has not expunged it yet
    read(server.url(), move_to="Read")
    assert [one.uid for one in server.boxes["INBOX"]] == [2, 3]
    assert len(server.boxes["Read"]) == 1
    assert server.commands("UID EXPUNGE") == ["UID EXPUNGE 1"]


@on_sqlite
def test_a_server_that_can_move_nothing_is_told_of_before_anything_is_read(database, server, read):
    server.capabilities = ("IMAP4rev1",)
    server.add(REPLY)
    with pytest.raises(Unavailable, match="cannot move"):
        read(server.url(), move_to="Read")
    assert not kept(database)
    assert read(server.url()).read == 1


@on_sqlite
def test_reading_goes_on_where_it_was_left_whatever_others_flag(database, server, read):
    server.add(REPLY, REPLY.replace(b"hello", b"two"))
    server.boxes["INBOX"][0].flags.add("\\Seen")  # before the mailbox was first read
    assert read(server.url()).read == 1
    assert mark(database, server).startswith("7 2 ")
    server.add(REPLY.replace(b"hello", b"three"))
    server.boxes["INBOX"][2].flags.add("\\Seen")  # a person looked at it before we did
    assert read(server.url()).read == 1
    assert read(server.url()).read == 0
    assert len(kept(database)) == 2


@on_sqlite
def test_what_was_stored_and_not_marked_is_marked_by_the_next_reader(database, server, read, letters):
    server.add(hearing.bounce(letters[ADA]), REPLY)
    server.answer = lambda command: DROP if command.startswith("UID STORE") else None
    with pytest.raises(Unavailable, match="ended the connection"):
        read(server.url())
    assert len(kept(database)) == 2
    assert server.flags == ["", ""]
    server.answer = lambda command: None
    assert read(server.url()).copies == 2
    assert server.flags == ["\\Seen", "\\Flagged \\Seen"]
    assert read(server.url()).read == 0


@on_sqlite
def test_other_numbers_begin_anew_and_nothing_counts_twice(database, server, read, letters):
    server.add(hearing.bounce(letters[ADA]), REPLY)
    read(server.url())
    server.validity, server.boxes["INBOX"] = 8, []
    server.add(REPLY, hearing.bounce(letters[ADA]), hearing.bounce(letters[BOB]))  # restored, without its flags
    found = read(server.url())
    assert (found.read, found.copies, found.acts) == (3, 2, {"suppress": 1})
    assert len(kept(database)) == 3
    assert mark(database, server).startswith("8 5 ")


def test_two_readers_at_once_count_each_mail_once(database, server, read):
    server.add(*(REPLY.replace(b"hello", b"%d" % number) for number in range(70)))
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: read(server.url(), move_to="Read"), range(2)))
    assert len(kept(database)) == 70
    assert sum(one.read - one.copies for one in found) == 70
    assert set(server.flags) == {"\\Flagged \\Seen"}


@on_sqlite
def test_a_connection_that_is_lost_in_mid_reading_keeps_what_was_stored(database, server, read):
    server.add(*(REPLY.replace(b"hello", b"%d" % number) for number in range(60)))
    fetched = []

    def second(command):
        fetched.extend([command] * ("BODY.PEEK" in command))
        return b"* 9 FETCH (UID 51 BODY[]<0> {900}\r\nhalf" if len(fetched) == 2 and "PEEK" in command else None

    server.answer = second
    with pytest.raises(Unavailable, match="has not answered in"):
        read(server.url(), seconds=0.5)
    assert len(kept(database)) == 50
    server.answer = lambda command: None
    assert read(server.url()).read == 10


@on_sqlite
def test_a_server_that_is_silent_is_given_up(server, read):
    server.add(REPLY)
    for word in ("CAPABILITY", "AUTHENTICATE", "SELECT", "UID SEARCH", "UID FETCH"):
        server.answer = lambda command, word=word: HANG if command.startswith(word) else None
        with pytest.raises(Unavailable, match=r"has not answered in 0\.2 seconds"):
            read(server.url(), seconds=0.2)


ODD = [
    ("CAPABILITY", b"HTTP/1.1 400 Bad Request\r\n", "says what no IMAP server says"),
    ("SELECT", b"* 1 EXISTS\r\nTAG OK done\r\n", "does not number its mails"),
    ("SELECT", b"* BYE too busy\r\n", "ends the connection"),
    ("SELECT", b"TAG NO [NONEXISTENT] none\r\n", "refuses SELECT"),
    ("UID SEARCH", b"TAG BAD what\r\n", "refuses SEARCH"),
    ("UID FETCH", b"* 1 FETCH (UID 1 BODY[] {99999999999}\r\n", "a literal of 99,999,999,999 bytes"),
    ("UID FETCH", b"* 1 FETCH (UID 1 \x1b]0;x\xff\r\nnonsense\r\n", "says what no IMAP server says"),
]


@on_sqlite
def test_odd_answers_are_told_in_a_sentence(database, server, read):
    server.add(REPLY)
    for word, says, told in ODD:
        server.answer = lambda command, word=word, says=says: says if command.startswith(word) else None
        with pytest.raises(UserError, match=told) as error:
            read(server.url())
        assert "\x1b" not in str(error.value)
    assert not kept(database)


GONE = [
    b"TAG OK nothing\r\n",
    b"* 1 FETCH (UID 99 BODY[]<0> {2}\r\nhi)\r\n* 7 EXPUNGE\r\nTAG OK\r\n",
    b"* 1 FETCH (FLAGS (\\Seen))\r\n* 2 FETCH\r\n* SEARCH\r\nTAG OK\r\n",
    b"* 1 FETCH (UID 1 BODY[] NIL)\r\nTAG OK\r\n",
]


@on_sqlite
def test_a_mail_that_the_server_does_not_give_is_passed_over(database, server, read):
    server.add(REPLY)
    for says in GONE:
        server.answer = lambda command, says=says: says if "BODY" in command else None
        assert read(server.url()).read == 0
    assert not kept(database)


@on_sqlite
def test_a_mail_in_quotes_is_one(server, read):
    server.add(REPLY)
    server.answer = lambda command: (
        b'* 1 FETCH (UID 1 BODY[]<0> "From: \\"Eve\\" <e@example.org>")\r\nTAG OK\r\n' if "BODY" in command else None
    )
    assert read(server.url()).read == 1


@on_sqlite
def test_a_mail_that_is_too_large_is_read_in_part_and_told_of(database, server, read, letters):
    server.add(hearing.bounce(letters[ADA]) + b"x" * (2 * mime.MOST_BYTES))
    found = read(server.url())
    assert (found.cut, found.acts) == (1, {"suppress": 1})
    assert f"<0.{mime.MOST_BYTES + 1}>" in server.commands("UID FETCH")[1]


@on_sqlite
def test_a_mailbox_that_may_only_be_read_is_read_once(server, read):
    server.read_only = True
    server.add(REPLY)
    assert read(server.url()).read == 1
    assert read(server.url()).read == 0
    assert not server.commands("UID STORE")


@on_sqlite
def test_a_run_reads_so_many_and_goes_on_later(server, read):
    server.add(*(REPLY.replace(b"hello", b"%d" % number) for number in range(5)))
    assert [read(server.url(), bounds=hear.Bounds(2)).read for _ in range(4)] == [2, 2, 1, 0]


# ---------------------------------------------------------------- servers that do what they must not


def only(uid, says):
    """An answer to what asks for this mail's text; `says` where others are asked for together with it."""

    def answer(command):
        if "BODY.PEEK" not in command:
            return None
        numbers = command.split(" ")[2]
        return says if uid in _numbers(numbers) else None

    return answer


def _numbers(text):
    pairs = [(piece.partition(":")[0], piece.rpartition(":")[2]) for piece in text.split(",")]
    return {one for low, high in pairs for one in range(int(low), int(high) + 1)}


@on_sqlite
def test_a_mail_that_the_server_refuses_to_give_stands_before_no_other_and_is_told(database, server, read):
    server.add(*(REPLY.replace(b"hello", b"%d" % number) for number in range(5)))
    server.answer = only(2, b"TAG NO [SERVERBUG] it cannot be converted\r\n")
    with pytest.raises(Unavailable, match="the mail with UID 2 was left out"):
        read(server.url())
    assert len(kept(database)) == 4
    assert server.flags[1] == "\\Flagged \\Seen"
    assert read(server.url()).read == 0  # and is not told again
    server.add(REPLY)
    server.answer = lambda command: b"TAG NO [NONEXISTENT] renamed\r\n" if "BODY.PEEK" in command else None
    with pytest.raises(Unavailable, match="renamed"):
        read(server.url())


@on_sqlite
def test_a_mailbox_that_is_gone_in_mid_reading_is_not_asked_for_each_of_its_mails(server, read):
    server.add(*(REPLY.replace(b"hello", b"%d" % number) for number in range(60)))
    server.answer = lambda command: b"TAG NO no such mailbox\r\n" if "BODY.PEEK" in command else None
    with pytest.raises(Unavailable, match="no such mailbox"):
        read(server.url())
    assert len(server.commands("UID FETCH")) < 30


@on_sqlite
def test_a_mail_that_is_larger_than_the_server_has_said_is_read(server, read, letters):
    server.add(hearing.bounce(letters[ADA]) + b"x" * 1_900_000, REPLY)
    server.answer = lambda command: (
        b"* 1 FETCH (UID 1 RFC822.SIZE 0)\r\n* 2 FETCH (UID 2 RFC822.SIZE 99999999999999999999)\r\nTAG OK\r\n"
        if "RFC822.SIZE" in command
        else None
    )
    assert read(server.url()).acts == {"suppress": 1, "ask": 1}


@on_sqlite
def test_a_folder_that_takes_nothing_stops_no_reading(database, server, read, letters):
    server.add(hearing.bounce(letters[ADA]), *(REPLY.replace(b"hello", b"%d" % number) for number in range(60)))
    server.add(hearing.bounce(letters[BOB]))
    server.boxes["Read"] = []
    says = b"TAG NO [OVERQUOTA] quota exceeded\r\n"
    server.answer = lambda command: (
        says if command.startswith("UID MOVE") else b"TAG NO exists\r\n" if command.startswith("CREATE") else None
    )
    with pytest.raises(NotFound, match=r"OVERQUOTA.*stays, marked as seen") as error:
        read(server.url(), move_to="Read")
    assert error.value.hint == "make room there"
    assert len(kept(database)) == 62
    assert len(server.commands("UID MOVE")) == 1
    assert set(server.flags) == {"\\Seen", "\\Flagged \\Seen"}
    assert read(server.url(), move_to="Read").read == 0


@on_sqlite
def test_a_copy_that_cannot_be_taken_away_is_told(server, read, letters):
    server.capabilities = ("IMAP4rev1", "UIDPLUS")
    server.add(hearing.bounce(letters[ADA]))
    server.answer = lambda command: b"TAG NO read only flag\r\n" if "Deleted" in command else None
    with pytest.raises(NotFound, match="refuses STORE"):
        read(server.url(), move_to="Read")
    assert len(server.boxes["INBOX"]) == 1


@on_sqlite
def test_flags_that_are_refused_stop_nothing(database, server, read, letters):
    server.add(hearing.bounce(letters[ADA]), REPLY)
    server.answer = lambda command: b"TAG NO [NOPERM] no\r\n" if command.startswith("UID STORE") else None
    assert read(server.url(), keyword="digest").read == 2
    again = read(server.url(), keyword="digest")
    assert again.read == again.copies


@on_sqlite
def test_numbers_that_change_while_it_is_read_flag_and_move_nothing(database, server, read, letters):
    server.add(hearing.bounce(letters[ADA]), REPLY)
    server.answer = lambda command: (
        b"* OK [UIDVALIDITY 8] anew\r\nTAG OK\r\n" if command.startswith("UID FETCH") and "PEEK" in command else None
    )
    with pytest.raises(Unavailable, match="has numbered its mails anew"):
        read(server.url(), move_to="Read")
    assert server.flags == ["", ""]
    assert not server.commands("UID MOVE")


@on_sqlite
def test_what_others_change_meanwhile_is_no_mail_of_ours(database, server, read, letters):
    server.add(hearing.bounce(letters[ADA]), REPLY)
    meanwhile = b"* 1 EXPUNGE\r\n* 1 EXISTS\r\n* 1 RECENT\r\n* 1 FETCH (FLAGS (\\Seen))\r\n* OK [ALERT] soon\r\n"
    given = hearing.bounce(letters[ADA])
    fetched = b"* 2 FETCH (FLAGS () UID 1 BODY[]<0> {%d}\r\n%b)\r\n" % (len(given), given)
    server.answer = lambda command: (
        meanwhile + fetched + fetched + meanwhile + b"TAG OK [EXPUNGEISSUED] done\r\n" if "PEEK" in command else None
    )
    found = read(server.url())
    assert (found.read, found.acts) == (1, {"suppress": 1})


@on_sqlite
def test_a_server_that_gives_nothing_is_left_when_the_time_is_up(database, configure, server):
    ticks = count()
    server.answer = lambda command: (
        b"* SEARCH " + b" ".join(b"%d" % uid for uid in range(1, 5001)) + b"\r\nTAG OK\r\n"
        if "SEARCH" in command
        else b"TAG OK\r\n"
        if "FETCH" in command
        else None
    )
    server.add(REPLY)
    config = configure(mail={"address": "bounces@news.example", "source": server.url()})
    with closing(line.mailbox(config, server.url())) as source:
        clock = lambda: MONDAY + timedelta(seconds=next(ticks))  # noqa: E731
        found = hear.read(database, config, source, clock=clock, bounds=hear.Bounds(None, 5))
    assert (found.read, found.more) == (0, True)
    assert len(server.commands("UID FETCH")) < 10


ENDLESS = [
    ("CAPABILITY", b"+\r\n" * 6000),
    ("SELECT", b"* OK\r\n" * 6000),
    ("UID SEARCH", b"* SEARCH 1 {0}\r\n" * 2000),
    ("UID FETCH", b"* 1 FETCH (UID 1 X " + b"y" * 300_000 + b"{0}\r\n" + b"y" * 300_000 + b"{0}\r\n"),
    ("SELECT", "* OK [UIDVALIDITY \u00b2]\r\nTAG OK\r\n".encode()),
]


@on_sqlite
def test_answers_without_end_are_cut_off(server, read, monkeypatch):
    monkeypatch.setattr(imap_wire, "_LINE", 500_000)
    server.add(REPLY)
    for word, says in ENDLESS:
        server.answer = lambda command, word=word, says=says: says if command.startswith(word) else None
        with pytest.raises(Unavailable, match=r"what no IMAP server says|does not number"):
            read(server.url())


@on_sqlite
def test_long_words_of_greeting_and_a_reader_who_is_known_already_are_taken(server, read):
    server.add(REPLY)
    server.greeting = b"* OK " + b"x" * 100_000
    assert read(server.url()).read == 1
    server.greeting = b"* PREAUTH welcome"
    assert read(server.url()).read == 0
    assert len(server.logins) == 1


# ---------------------------------------------------------------- who is let in


@on_sqlite
def test_tls_is_verified_and_plain_text_refused(server, read, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server.context = imap_wire.ssl.SSLContext(imap_wire.ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server.context)
    server.capabilities, server.after_tls = ("IMAP4rev1", "STARTTLS", "LOGINDISABLED"), ("IMAP4rev1", "AUTH=PLAIN")
    server.add(REPLY)
    url = server.url("imap+starttls")
    with pytest.raises(ConfigError, match="is not trusted"):
        read(url)
    assert read(url, ca_file="ca.pem").read == 1
    assert server.logins == ["back a pass word"]
    with pytest.raises(ConfigError, match="no login by a password"):
        read(server.url())
    server.injected = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"
    with pytest.raises(Unavailable, match=r"what no IMAP server says|no TLS"):
        read(url, ca_file="ca.pem")
    server.capabilities = ("IMAP4rev1", "AUTH=PLAIN")
    for greeting in (b"* OK ready", b"* PREAUTH come in"):  # said by whoever stands between
        server.greeting = greeting
        with pytest.raises(ConfigError, match="offers no STARTTLS"):
            read(url, ca_file="ca.pem")
    server.greeting = b"* OK ready"
    assert len(server.logins) == 1
    server.implicit_tls, server.injected = True, b""
    assert read(server.url("imaps"), ca_file="ca.pem").source.startswith("imaps://")


def test_in_clear_only_this_machine_is_read(server, monkeypatch):
    monkeypatch.setattr(imap_wire.ServerUrl, "is_here", False)
    with pytest.raises(ConfigError, match="nothing is read in clear"):
        imap_wire.Wire(imap_wire.Server(line.imap_server(server.url())))
    assert server.logins == []


@on_sqlite
def test_who_logs_in_may_stand_beside_the_address_or_be_a_program(server, read):
    server.add(REPLY)
    server.capabilities = ("IMAP4rev1",)
    assert read(server.url(user=""), user="back", password="a pass word").read == 1
    server.capabilities = ("IMAP4rev1", "AUTH=XOAUTH2")
    read(server.url(user="back@"), token_command="echo 'a pass word'")
    assert server.logins == ["back a pass word"] * 2
    with pytest.raises(ConfigError, match="refuses the login of back") as error:
        read(server.url(user="back@"), token_command="echo wrong")
    assert "wrong" not in str(error.value)
    with pytest.raises(Unavailable, match="failed with exit code"):
        read(server.url(user="back@"), token_command="false")
    with pytest.raises(ConfigError, match="no login by plain"):
        read(server.url(), auth="plain")


def test_what_logs_in_to_the_mailbox_of_the_settings_is_told_to_no_other(configure, server):
    config = configure(mail={"source": "imaps://back@mail.example/INBOX", "password": "a secret"})
    source = line.mailbox(config, server.url(user="back@"))
    assert source.server.url.password == ""
    assert "a secret" not in repr(config)
    assert line.mailbox(config, config.mail.source).server.url.password == "a secret"


@pytest.mark.parametrize(
    ("mail", "says"),
    [
        ({"source": "imaps://a:b@c@mail.example"}, "percent-encoded"),
        ({"source": "pop3://mail.example"}, "must be a Maildir, an mbox, or look like"),
        ({"source": "imaps://mail.example", "password": "x"}, "a password and no user"),
        ({"source": "imaps://a:x@mail.example", "token_command": "y"}, "both a password and a token_command"),
        ({"source": "Maildir", "password": "x"}, "no IMAP server"),
        ({"source": "Maildir", "move_to": "x"}, "only a mailbox on an IMAP server"),
    ],
)
def test_settings_that_cannot_be_meant_are_told(configure, mail, says):
    with pytest.raises(ConfigError, match=says) as error:
        configure(mail=mail)
    assert "b@c" not in str(error.value)


# ---------------------------------------------------------------- from outside


@on_sqlite
def test_a_look_says_what_is_there_and_changes_nothing(database, server, configure):
    server.add(REPLY)
    config = configure(mail={"source": server.url(), "move_to": "Read"})
    with closing(line.mailbox(config, config.mail.source)) as source:
        words = source.look("")
    assert words == (
        "1 mails, 1 of them to read, in clear, on this machine; what is understood moves to Read, which will be made"
    )
    assert server.commands("EXAMINE") == ['EXAMINE "INBOX"']
    assert server.flags == [""]
    assert not server.commands("UID STORE")
    with (
        pytest.raises(NotFound, match="refuses EXAMINE"),
        closing(line.mailbox(config, server.url(path="/No"))) as gone,
    ):
        gone.look("")


@on_sqlite
def test_a_run_goes_on_without_a_mailbox_that_is_dead(database, configure, clock, server):
    config = configure(mail={"source": server.url()})
    server.greeting = b"* BYE not today"
    told = []
    assert line.listen(database, config, clock=clock, tell=told.append) is None
    (deaf,) = [one for one in told if isinstance(one, line.Deaf)]
    assert "does not let us in: * BYE not today" in deaf.words
    outcome = line.Outcome(line.CollectReport(), deaf=True)
    assert outcome.exit_code is Exit.UNAVAILABLE


@pytest.mark.parametrize(
    ("name", "wire"), [("INBOX", '"INBOX"'), ("Entwürfe", '"Entw&APw-rfe"'), ("a&b", '"a&-b"'), ('a"b', '"a\\"b"')]
)
def test_names_of_folders_go_over_the_wire_as_they_must(name, wire):
    assert imap_wire.folder_name(name) == wire
