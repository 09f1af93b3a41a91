"""Why a letter was not delivered, and whose trouble that is: from status, code and the words of servers. Pure.

Words go before numbers where they are plain: servers give 5.1.1 for a full mailbox and 5.7.1 for one that is none.
What says that a mailbox does not exist is believed only of words, or of codes, that say just that.
"""

from __future__ import annotations

import re

from digest.hear.addresses import without
from digest.hear.report import Kind, Reason
from digest.hear.words import less, says, small

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_CODE = re.compile(r"(?<![\d.\w/-])([245][0-7]\d)(?![\d.\w/@]|-\d\d)")
_SPACE = re.compile(r"[\s_]+")

_GONE = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10"})  # RFC 3463 §3.2, RFC 7505; of 1.0 nothing follows


def _says(text: str, name: str) -> bool:
    return says(text, "reasons", name)


def status_in(text: str) -> str:
    """The enhanced status code in a server's words that says most, or ""."""
    found = [match.group() for match in _STATUS.finditer(text[:5000]) if match[1] != "2"]
    subjects = [one for one in found if not one.endswith(".0.0")]
    telling = [one for one in subjects if not one.endswith(".0")]
    return (telling or subjects or found or [""])[0]


def code_in(text: str) -> int:
    """The first SMTP code in a server's words that tells a failure, or 0."""
    return next((int(match[1]) for match in _CODE.finditer(text[:5000]) if match[1][0] in "45"), 0)


def judge(words: str, *, status: str = "", code: int = 0, action: str = "") -> tuple[Kind, Reason]:
    """What became of one recipient. `status` and `code` are what the report says, else what stands in the words."""
    action = action.lower()
    if action.startswith(("delivered", "relayed", "expanded", "deliverable")):
        return Kind.DELIVERED, Reason.NONE
    text = _SPACE.sub(" ", small(without(words[:5000])))
    reason = _reason(text, status, code)
    if action.startswith("delay"):
        return Kind.DELAYED, reason
    return _kind(reason, status, code, action, told=bool(code or text.strip())), reason


def _kind(reason: Reason, status: str, code: int, action: str, *, told: bool) -> Kind:
    if reason in (Reason.NO_MAILBOX, Reason.NO_DOMAIN, Reason.MOVED):
        # "Not now" is not "never": a domain whose name servers are down comes back.
        return Kind.SOFT if status.startswith("4") or (not status and 400 <= code < 500) else Kind.HARD
    if reason is Reason.UNSAID:
        # For good, and nobody says why: permanent, but nobody is barred for it at once (see `policy`).
        return Kind.HARD if action.startswith("fail") and status[:1] != "4" and not told else Kind.SOFT
    return Kind.POLICY if reason in (Reason.POLICY, Reason.SIZE) else Kind.SOFT


def _plainly(text: str, kind: str, code: int) -> bool:
    """Is "unknown" said so that a mailbox must be meant: by its number, at RCPT, of a directory, or in strong words?

    Filters say "user unknown" of letters that they do not like. `kind` is the status behind its class, "" unsaid.
    """
    if kind in _GONE or _says(text, "asked") or _says(text, "directory"):
        return True
    if _says(text, "late"):  # taken at RCPT, and called unknown after the letter was read
        return "user doesn't have a" in text
    if kind == "0.0" and not code:  # some machine's words, and no server's answer
        return False
    text = _less(text, "weak")
    return _says(text if code else _less(text, "bare"), "no_mailbox")


def _less(text: str, name: str) -> str:
    return less(text, "reasons", name)


def _other(text: str) -> bool:
    """Is there another reason in the words than that somebody does not exist?"""
    return any(_says(text, name) for name in ("policy", "size", "suspended", "server"))


def _reason(text: str, status: str, code: int) -> Reason:
    kind = status.partition(".")[2]
    subject = kind.partition(".")[0]
    temporary = status.startswith("4") or (not status and 400 <= code < 500)
    if _says(text, "full"):
        return Reason.FULL
    if "my name was rejected" in text or "sender address rejected" in text:  # of what we said first, whatever follows
        return Reason.POLICY
    if _says(text, "moved"):
        return Reason.MOVED
    if _other(text):
        text = _less(text, "guessed")
    gone = _says(text, "no_mailbox") or (_says(text, "asked") and _says(text, "perhaps") and not _other(text))
    if _says(text, "sender") and (kind not in _GONE or not _says(_less(text, "sender"), "no_mailbox")):
        return Reason.POLICY  # it is the sender's address or domain that does not exist
    if gone and subject != "7" and not _plainly(text, kind, code):
        return Reason.FILTERED
    plain = {"7": "plain_at_7", "4": "plain_at_4" if kind == "4.1" else ""}.get(subject)
    if plain and not temporary and _says(text, plain):
        return Reason.NO_MAILBOX
    if gone and kind not in _GONE and subject != "7" and _says(text, "suspended"):
        return Reason.SUSPENDED
    if kind in _GONE and not temporary and (gone or not _other(text)):
        return Reason.NO_DOMAIN if kind in ("1.2", "1.10") and not gone else Reason.NO_MAILBOX
    if subject == "7" or kind in ("1.7", "1.8"):
        return Reason.POLICY
    if kind == "2.2":
        return Reason.FULL
    if kind == "4.4" and not temporary and not _says(text, "server"):
        return Reason.NO_DOMAIN
    if kind == "2.3" or kind == "3.4" or _says(text, "size"):
        return Reason.SIZE
    if gone:
        return Reason.NO_MAILBOX
    if _says(text, "no_domain") and subject != "5":  # of the protocol: what we said, not to whom
        return Reason.NO_DOMAIN
    if kind == "2.1" and _says(text, "idle"):
        return Reason.SUSPENDED
    if _says(text, "policy") or subject == "6":
        return Reason.POLICY
    if kind == "2.1" or _says(text, "suspended"):
        return Reason.SUSPENDED
    if subject in ("4",) or _says(text, "expired"):
        return Reason.EXPIRED
    if subject == "3" or _says(text, "server"):
        return Reason.SERVER
    return Reason.UNSAID
