"""Mails that come back, made of letters that were really sent: reports, complaints, answers. All of our own making."""

from __future__ import annotations

import email
import os
import signal
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from conftest import MONDAY, Clock, fill_once
from mailing import owe, send

from digest import hear, line
from digest.config import Config
from digest.hear import run
from digest.store import Database, open_database


@dataclass(frozen=True)
class Sent:
    """A letter as it lies in the Maildir of a service without a mail server."""

    mail_from: str
    to: str
    head: str

    def header(self, name: str) -> str:
        return str(email.message_from_string(self.head)[name] or "")


def sent(config: Config) -> dict[str, Sent]:
    """The latest letter to each reader."""
    found = {}
    for path in sorted((config.maildir / "new").iterdir(), key=lambda path: path.stat().st_mtime_ns):
        head = path.read_bytes().partition(b"\r\n\r\n")[0].decode().replace("\r\n", "\n")
        message = email.message_from_string(head)
        to = str(message["Delivered-To"])
        del message["Return-Path"], message["Delivered-To"]
        found[to] = Sent(
            str(email.message_from_string(head)["Return-Path"]).strip("<>"), to, message.as_string().strip()
        )
    return found


_mails: dict[str, list[bytes]] = {}


def letters(database: Database, config: Config, clock: Clock, *people: str) -> dict[str, Sent]:
    """Letters to these people, as they went out: once for all tests of a process with the same settings."""
    folder = config.maildir / "new"
    what = f"letters to {people} with {config.secret_key.get_secret_value()} and {config!r}"
    what = what.replace(str(folder.parent.parent), "").replace(str(database.engine.url), "")

    def write() -> None:
        owe(database, config, *people)
        send(database, config, clock)
        _mails[what] = [path.read_bytes() for path in sorted(folder.iterdir())]

    fill_once(database, what, write)
    if not folder.exists():
        folder.mkdir(parents=True)
        for number, mail in enumerate(_mails[what]):
            (folder / f"{number}").write_bytes(mail)
    return sent(config)


def bounce(
    letter: Sent,
    *,
    status: str = "5.1.1",
    words: str = "550 5.1.1 no such user here",
    to: str | None = None,
    action: str = "failed",
    returned: str | None = None,
    at: datetime = MONDAY,
    who: str = "",
) -> bytes:
    """A report as RFC 3464 wants it, to the address that the letter came from."""
    back = letter.head if returned is None else returned
    return f"""Return-Path: <>
Received: from mx.example.org by news.example; {format_datetime(at)}
From: Mail Delivery System <mailer-daemon@mx.example.org>
To: {letter.mail_from if to is None else to}
Subject: Undelivered Mail
Date: {format_datetime(at)}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="parts"

--parts
Content-Type: text/plain

A letter could not be brought to its reader.

--parts
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; {who or letter.to}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {words}

--parts
Content-Type: text/rfc822-headers

{back}

--parts--
""".encode()


def complaint(letter: Sent, *, feedback: str = "abuse", to: str | None = None, redacted: bool = False) -> bytes:
    """A complaint as RFC 5965 has it; a redacted one names nobody."""
    back = letter.head.replace(letter.to, "redacted@example.org") if redacted else letter.head
    who = "" if redacted else f"Original-Rcpt-To: <{letter.to}>\n"
    return f"""From: feedback@mailbox.example
To: {"abuse@news.example" if to is None else to}
Subject: a complaint
Date: {format_datetime(MONDAY)}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="parts"

--parts
Content-Type: text/plain

Somebody pressed a button.

--parts
Content-Type: message/feedback-report

Feedback-Type: {feedback}
User-Agent: Button/1
Version: 1
{who}
--parts
Content-Type: message/rfc822

{back}

Hello.

--parts--
""".encode()


def person(
    text: str,
    *,
    sender: str = "Ada <ada@example.org>",
    to: str = "news@news.example",
    subject: str = "hello",
    more: str = "",
) -> bytes:
    """A mail that somebody wrote, or something: `more` are headers."""
    return f"From: {sender}\nTo: {to}\nSubject: {subject}\nDate: {format_datetime(MONDAY)}\n{more}\n{text}\n".encode()


def hears(
    database: Database, config: Config, *mails: bytes, now: datetime = MONDAY, name: str = "test"
) -> hear.Readings:
    """Read these mails."""
    source = hear.Given(name, [hear.Incoming(raw) for raw in mails])
    return hear.read(database, config, source, clock=lambda: now)


def killed(config: Config, place: str, *, at: str, after: int) -> None:
    """A process of its own reads this place, and gets SIGKILL there: `at` a "mail" that it is handed, in the
    transaction ("commit") that stores one, or before one that is stored is marked ("mark"); `after` so many of these.
    """
    here, there = os.pipe()
    child = os.fork()
    if not child:
        _read_until(config, place, at, after, there)
    os.close(there)
    with os.fdopen(here, "rb") as told:
        reached = told.read(1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert reached, "it has ended before"


def _read_until(config: Config, place: str, at: str, after: int, there: int) -> None:
    try:
        database = open_database(config.database_url)
        source = line.mailbox(config, place)
        of, name = {"mail": (run, "prepare"), "commit": (run.reports, "finish"), "mark": (source, "done")}[at]
        real, number = getattr(of, name), iter(range(after))

        def counted(*given: object, **named: object) -> object:
            if next(number, None) is None:
                os.write(there, b"x")
                signal.pause()
            return real(*given, **named)

        setattr(of, name, counted)
        hear.read(database, config, source, clock=lambda: MONDAY)
    finally:
        os._exit(1)
