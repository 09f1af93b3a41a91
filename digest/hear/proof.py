"""Does a mail prove that it is about a letter of ours, and about which? Pure; rows are asked by whoever calls.

| what is in the mail | proves |
| --- | --- |
| our bounce address (VERP) among the addresses it came to, whatever became of it (`sign.verp_in`) | its letter |
| the same in the letter that came back (Return-Path), or in a complaint (Original-Mail-From) | its letter |
| the Message-ID of one of the named readers' letters | that letter |
| the signed link to leave by, in the headers of the letter that came back | its subscription's letter |
| our signed address for choices, or for a feed, among the addresses it came to | its subscription, or that feed |
| anything else: an address, a name, a subject, who it says it is from | nothing |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from digest import sign
from digest.hear.addresses import addresses_in
from digest.hear.report import Report

MOST = 60  # addresses of one mail that are looked at
_HERE = (
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "x-envelope-to",
    "x-real-to",
    "x-rcpt-to",
    "to",
    "cc",
    "resent-to",
)
_THERE = (
    "return-path",
    "x-return-path",
    "x-original-return-path",
    "errors-to",
    "original-mail-from",
    "x-original-mail-from",
    "x-postfix-sender",
    "x-envelope-from",
)
_LINK = re.compile(r"/unsubscribe/([A-Za-z0-9_-]{32})(?![A-Za-z0-9_-])")
_LEAVE = re.compile(r"(?<![a-z0-9])leave[+=-]([a-z2-7]{32})(?![a-z0-9])")
_CHOICES = re.compile(r"(?<![a-z0-9])prefs[+=-]([a-z2-7]{32})(?![a-z0-9])")
_FEEDBACK = re.compile(r"(\d{1,9}):([a-z0-9-]{1,100}):edition:")


@dataclass(frozen=True)
class Clues:
    """What a mail has that may prove something; a letter's number is proven already."""

    letter_id: int | None = None  # by our bounce address
    leaves: int | None = None  # the subscription that its address asks to end
    choices: int | None = None  # the subscription whose choices its address is for
    feed: str | None = None  # the name of the feed that its address is for
    subscription_id: int | None = None  # by the signed link in the letter that came back
    message_id: str = ""  # of the letter that came back; to be compared with the letters of
    readers: tuple[str, ...] = ()  # these addresses
    edition: tuple[str, int] | None = None  # newsletter and number, as the letter that came back says


@dataclass(frozen=True)
class Candidate:
    """A letter that a Message-ID may be of. `written_at` is as `sign.message_id` wants it."""

    letter_id: int
    written_at: datetime | None


def clues(report: Report, envelope_to: Sequence[str], *, keys: Sequence[str]) -> Clues:
    """All that a mail has to say for itself."""
    here = [*envelope_to, *_addresses(report.headers.headers, _HERE)][:MOST]
    there = _addresses(report.returned.headers, _THERE)
    letter = next((row for one in (*here, *there) if (row := sign.verp_in(one, keys=keys)) is not None), None)
    return Clues(
        letter_id=letter,
        leaves=next((row for one in here if (row := leaving(one, keys=keys)) is not None), None),
        choices=next((row for one in here if (row := choosing(one, keys=keys)) is not None), None),
        feed=next((name for one in here if (name := sign.feed_in(one, keys=keys)) is not None), None),
        subscription_id=_linked(report, keys),
        message_id=report.returned.message_id,
        readers=tuple(_readers(report))[:MOST],
        edition=_edition(report),
    )


def leaving(address: str, *, keys: Sequence[str]) -> int | None:
    """The subscription that a mail to this address ends, or None for any other address."""
    match = _LEAVE.search(address[:1000].lower())
    return sign.read_mail_token(sign.Purpose.LEAVE, match[1], keys=keys) if match else None


def choosing(address: str, *, keys: Sequence[str]) -> int | None:
    """The subscription whose choices a mail to this address is about, or None for any other address."""
    match = _CHOICES.search(address[:1000].lower())
    return sign.read_mail_token(sign.Purpose.CHOICES, match[1], keys=keys) if match else None


def by_message_id(found: Clues, letters: Sequence[Candidate], *, keys: Sequence[str]) -> int | None:
    """Which of these letters has the Message-ID that came back."""
    return next(
        (
            one.letter_id
            for one in letters
            if sign.same_message_id(found.message_id, one.letter_id, keys=keys, written_at=one.written_at)
        ),
        None,
    )


def _addresses(headers: Sequence[tuple[str, str]], names: Sequence[str]) -> Iterator[str]:
    for name, value in headers:
        if name in names:
            yield from (value[:2000].replace("<", " ").replace(">", " ").split())[:20]


def _linked(report: Report, keys: Sequence[str]) -> int | None:
    for value in report.returned.all("list-unsubscribe")[:3]:
        for match in _LINK.finditer(value[:4000]):
            if (row := sign.read_token(sign.Purpose.UNSUBSCRIBE, match[1], keys=keys)) is not None:
                return row
        if (row := leaving(value, keys=keys)) is not None:
            return row
    return None


def _readers(report: Report) -> Iterator[str]:
    seen = set()
    named = [one for failed in report.recipients for one in (failed.original, failed.email) if one]
    for one in (*named, *(a for value in report.returned.all("to")[:3] for a in addresses_in(value))):
        if one.lower() not in seen:
            seen.add(one.lower())
            yield one


def _edition(report: Report) -> tuple[str, int] | None:
    match = _FEEDBACK.match(report.returned.get("feedback-id").strip())
    return (match[2], int(match[1])) if match else None
