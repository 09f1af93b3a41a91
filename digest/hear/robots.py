"""Who wrote this: a robot for its master, a robot that asks us something, a mail server, or a person? Pure."""

from __future__ import annotations

import re

from digest.hear import reasons
from digest.hear.mime import Mail
from digest.hear.words import listed, says, small

_SPACE = re.compile(r"\s+")
_BEFORE_OURS = re.compile("[:：|(（\\[【–—]| - ")  # between an absence and the subject of the letter that it answers


def plain(text: str) -> str:
    """Small letters, white space as one blank."""
    return _SPACE.sub(" ", small(text[:20_000])).strip()


def from_server(mail: Mail) -> bool:
    """Does a mail server speak, by who sent it and how?"""
    sender = plain(mail.get("from") + " " + mail.get("sender"))
    if says(sender, "robots", "daemon") or mail.get("x-failed-recipients"):
        return True
    if mail.type == "multipart/report" and mail.params.get("report-type", "").lower() == "delivery-status":
        return True
    path = mail.all("return-path")
    # Old programs for who is away answer from nobody, too, and as people do.
    return bool(path) and path[0].strip() in ("<>", "") and not away(mail) and not _answers(plain(mail.get("subject")))


def failure_subject(mail: Mail) -> bool:
    subject = plain(mail.get("subject"))
    return says(subject, "robots", "failure") and not _answers(subject)


def says_undelivered(text: str) -> bool:
    """Do the first words say that a letter was not delivered, as people do not say it?"""
    said = plain(text[:1500])
    return says(said, "robots", "undelivered")


def surely_failed(mail: Mail, text: str) -> bool:
    """Does a mail server speak of a failure, by its subject, first words or numbers? People write of failures, too."""
    if not from_server(mail) or away(mail):
        return False
    daemon = says(plain(mail.get("from")), "robots", "daemon")
    numbers = daemon and bool(reasons.status_in(text) or reasons.code_in(text))
    return numbers or failure_subject(mail) or says_undelivered(text)


def automatic(mail: Mail) -> bool:
    """Does it say, or look as if, no person sent it? Nobody answers such a mail (RFC 3834 §2)."""
    submitted = mail.get("auto-submitted").strip().lower()
    if submitted and not submitted.startswith("no"):
        return True
    if mail.get("precedence").strip().lower() in ("bulk", "junk", "list", "auto_reply", "auto-reply"):
        return True
    if any(name in ("list-id", "list-unsubscribe", "x-failed-recipients") for name, _ in mail.headers):
        return True
    path = mail.all("return-path")
    return away(mail) or (bool(path) and path[0].strip() == "<>")


def unanswered(mail: Mail) -> bool:
    """Must nobody answer this mail, whatever it asks for? A robot's, a list's, a server's, or who asked for silence."""
    silence = {word.strip().lower() for word in mail.get("x-auto-response-suppress").split(",")}
    return automatic(mail) or from_server(mail) or not mail.get("from").strip() or bool(silence - {"", "none"})


def away(mail: Mail) -> bool:
    """Is it the automatic answer of somebody who is away (RFC 3834, and what was usual before)?"""
    submitted = mail.get("auto-submitted").strip().lower()
    if submitted.startswith(("auto-replied", "auto-notified")):
        return True
    if mail.get("precedence").strip().lower() in ("auto_reply", "auto-reply"):
        return True
    names = {name for name, _ in mail.headers}
    if names & {
        "x-autoreply",
        "x-autorespond",
        "x-auto-reply",
        "x-autoresponder",
        "x-autoreply-from",
        "x-mail-autoreply",
    }:
        return True
    return _away_subject(mail)


def _away_subject(mail: Mail) -> bool:
    subject = plain(mail.get("subject"))
    if _answers(subject):
        return False
    # Whoever writes that their copy is to wait while they are away is a person, and is to be read by one.
    alone = _BEFORE_OURS.split(subject, maxsplit=1)[0].rstrip()
    return says(subject[:40], "robots", "away") or alone in listed("robots", "absent")


def _answers(subject: str) -> bool:
    """Does a person answer or pass on a letter, whatever its subject? `Re[2]:`, `RE :` and `回复：` are one sign."""
    head, colon, _ = subject[:30].replace("：", ":").partition(":")
    return bool(colon) and head.rstrip(" ]0123456789[^*") in listed("robots", "answers")


def challenge(mail: Mail, text: str) -> bool:
    """Does a robot ask the sender to prove to be a person?"""
    said = plain(mail.get("subject") + " " + mail.get("from") + " " + text[:3000])
    return any(name.startswith("x-tmda") for name, _ in mail.headers) or says(said, "robots", "challenge")
