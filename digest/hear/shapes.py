"""Reports that people were meant to read: who is meant, and what is said of each. Pure.

flufl.bounce knows many of these shapes and goes first; where it is silent, the lines themselves tell: an address at the
beginning of a line, after words that announce it, or in what a server said.
"""

from __future__ import annotations

import email
import logging
import re
from dataclasses import dataclass, replace

from digest.hear import reasons
from digest.hear.addresses import address_in, addresses_in
from digest.hear.mime import Headers, Mail, fields, lines
from digest.hear.report import Failed, Kind, Reason
from digest.hear.robots import plain
from digest.hear.words import less, says

logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)  # it tells of each thing that it tries
FLUFL_BYTES = 60_000  # its patterns go back and forth over a line
FLUFL_LINE = 400
_HEADER = re.compile(
    r"(?:return-path|received|from|to|subject|date|message-id|mime-version|content-type|x-[a-z0-9-]{1,40}|reply-to|sender):",
    re.IGNORECASE,
)
_FROM = ("from", "von", "de", "da")
_ABOUT_OTHERS = (
    "from:", "sender", "message-id", "mailto:", "contact", "postmaster@", "help@", "support@", "http",
)  # fmt: skip
_ANSWER = re.compile(r"(?:>>>|<<<|[245]\d\d[ -])")
_BEGINS = re.compile(r"[\s>*\-\[]{0,20}<?[^\s<>()\[\],;:\"]{1,200}@[^\s<>()\[\],;:\"@]{1,255}")


@dataclass(frozen=True)
class Notice:
    """The words of a report, without the letter that came back below them, and that letter's headers."""

    text: str
    returned: Headers = ()
    passed_on: bool = False  # a person forwarded a server's mail


def passed_on(mail: Mail, text: str) -> str:
    """What a server said, where a person forwarded it, quoted or attached; else ""."""
    for part in mail.parts:
        sender = next((value for name, value in part.headers if name == "from"), "")
        if part.returned and says(plain(sender), "robots", "daemon"):
            return part.text.partition("\n\n")[2]
    found = list(lines(text))
    for at, line in enumerate(found[:200]):
        if not says(plain(line), "shapes", "passed_on"):
            continue
        quoted = [line.removeprefix(">").removeprefix(" ") for line in found[at + 1 :]]
        rest = "\n".join(quoted).lstrip("\n")
        head, _, body = rest.partition("\n\n")
        sender = next((value for name, value in fields(head.replace("*", "")) if name in _FROM), "")
        return body if says(plain(sender), "robots", "daemon") else ""
    return ""


def apart(text: str) -> Notice:
    """Cut a text where the letter that came back begins: two of its headers, one under the other."""
    found = list(lines(text))
    for at in range(1, len(found) - 1):
        quoted = found[at][:1] in ("> |")
        if not _HEADER.match(found[at].lstrip("> |")):
            continue
        if found[at][:1] == " " and not found[at].lstrip().lower().startswith(("received:", "return-path:")):
            continue  # a list of facts, indented
        here = [line.lstrip("> |") if quoted else line for line in found[at : at + 60]]
        headers = 0
        for line in here:
            if _HEADER.match(line):
                headers += 1
            elif not line.strip() or (line[:1] not in " \t" and ":" not in line[:40]):
                break
        before = found[at - 1].strip()
        begins = here[0].lower().startswith(("return-path:", "received:", "message-id:"))
        if headers >= 3 or (headers >= 2 and (begins or not before or before.endswith((":", "-", "="))) and at > 2):
            rest = "\n".join(line.lstrip("> |") if quoted else line for line in found[at:])
            return Notice("\n".join(found[:at]), fields(rest.partition("\n\n")[0], unfold=True))
    return Notice("\n".join(found))


def failed(mail: Mail, notice: Notice, raw: bytes, ours: frozenset[str], *, server: bool = False) -> list[Failed]:
    """The recipients of a report without machine-readable part. `ours`: addresses that it is from and for.

    `server`: it surely is one, in whatever language.
    """
    text = notice.text
    said = plain(text)
    delayed = says(said, "shapes", "delay") and not says(less(said, "shapes", "not_yet"), "shapes", "given_up")
    header = [one for value in mail.all("x-failed-recipients") for one in addresses_in(value)]
    lasting: dict[str, str] = {}
    perhaps = False
    found = header
    if not found:
        temporary, permanent = _flufl(raw) if not notice.passed_on else ([], [])
        # It does not know where the letter that came back begins, whose addresses are not said to have failed.
        low = text.lower()
        named = [one for one in (*temporary, *permanent) if one.lower() in low]
        found = [one for one in named if one.lower() not in ours] or named
        lasting = dict.fromkeys(permanent, "failed")
        perhaps = bool(temporary) and not permanent
        found = _with_neighbours(text, found, ours)
    if not found:
        found = _by_lines(text, ours)
    if not found:  # some mail programs have the recipient in X-Original-To
        found = _by_lines(text, ours - {one.lower() for one in addresses_in(mail.get("x-original-to"))})
        found = found or list(lasting)
    if not found and server:
        found = _the_only(text, ours)
    if not found and not mail.get("list-post") and not mail.get("x-beenthere"):
        found = [one for name, value in notice.returned if name == "to" for one in addresses_in(value)][:1]
        if not says(said, "shapes", "fails"):
            return []
    about = paragraphs(text, found)
    action = "delayed" if delayed else ""
    judged = [_judged(one, about.get(one.lower(), ""), said, action, lasting.get(one, "")) for one in found]
    # What flufl.bounce takes for a warning is one, unless another reason stands there.
    late = (Reason.UNSAID, Reason.EXPIRED, Reason.SERVER)
    return [
        replace(one, kind=Kind.DELAYED) if perhaps and one.reason in late and one.code < 500 else one for one in judged
    ]


def _judged(address: str, paragraph: str, whole: str, action: str, known: str) -> Failed:
    """What is said of one recipient: in the paragraph about them, else in all of the notice."""
    for words in (paragraph, whole):
        status, code = reasons.status_in(words), reasons.code_in(words)
        kind, reason = reasons.judge(words, status=status, code=code, action=action)
        if reason is not Reason.UNSAID:
            break
    if reason is Reason.UNSAID and known and kind is Kind.SOFT and not (400 <= code < 500):
        kind, action = Kind.HARD, known
    return Failed(address, kind, reason, status, code, action, (paragraph or whole)[:2000].strip())


def _by_lines(text: str, ours: frozenset[str]) -> list[str]:
    """Addresses that a notice is about: those with the best place win."""
    ranked: dict[str, int] = {}
    introduced = 0
    for line in lines(text, 300):
        low = line.lower()
        for address in addresses_in(line):
            if address.lower() in ours or "." not in address.rpartition("@")[2]:
                continue
            score = 0
            if _BEGINS.match(line):
                score += 2
            if introduced or says(low, "shapes", "announced"):
                score += 2
            if reasons.code_in(line) or "rcpt to" in low:
                score += 1
            if any(word in low for word in _ABOUT_OTHERS):
                score -= 3
            ranked[address] = max(score, ranked.get(address, -9))
        if says(low, "shapes", "introduces"):
            introduced = 4
        elif line.strip():
            introduced = max(0, introduced - 1)
    best = max(ranked.values(), default=0)
    found: dict[str, str] = {}
    for address, score in ranked.items():
        if score >= 2 and score >= best - 1:
            found.setdefault(address.lower(), address)
    return list(found.values())[:100]


def _with_neighbours(text: str, found: list[str], ours: frozenset[str]) -> list[str]:
    """Those that stand alone in a line as one of these does: flufl.bounce stops at the first in some shapes."""
    alone, before = dict[str, str](), ""
    for line in lines(text, 300):
        words = line.strip(' \t<>":;*-')
        others = any(word in f"{before} {words}".lower() for word in _ABOUT_OTHERS)
        if "@" in words and addresses_in(words) == [words] and not others:
            alone.setdefault(words.lower(), words)
        before = line if line.strip() else before
    known = {one.lower() for one in found}
    if not known & set(alone):
        return found
    return [*found, *(line for low, line in alone.items() if low not in ours | known)]


def _the_only(text: str, ours: frozenset[str]) -> list[str]:
    """The one address in a server's words that is neither theirs nor ours nor somebody to be asked, if there is one."""
    found = dict[str, str]()
    for line in lines(text, 300):
        low = line.lower()
        if any(word in low for word in _ABOUT_OTHERS):
            continue
        for address in addresses_in(line):
            if address.lower() not in ours and "." in address.rpartition("@")[2]:
                found.setdefault(address.lower(), address)
    return list(found.values()) if len(found) == 1 else []


def paragraphs(text: str, found: list[str]) -> dict[str, str]:
    """What stands in the lines of each address and below them, up to the next one's."""
    keys = {one.lower() for one in found}
    said: dict[str, list[str]] = {}
    about: list[str] = []
    last = command = ""
    for line in lines(text, 500):
        low = line.lower()
        command = line if low.startswith(">>>") else command
        here = [key for key in keys if key in low] if "@" in low else []
        if here:
            about = here
            for key in here:
                said.setdefault(key, []).append(last if len(keys) == 1 else command if low.startswith("<<<") else "")
        elif len(keys) > 1 and _ANSWER.match(line):
            about = []  # a server speaks of somebody else
        for key in about:
            if len(said[key]) < 40:
                said[key].append(line)
        if line.strip():
            last = line
    return {key: "\n".join(some).strip() for key, some in said.items()}


def _flufl(raw: bytes) -> tuple[list[str], list[str]]:
    """What flufl.bounce makes of it: addresses that failed for now, and for good."""
    from flufl.bounce import all_failures

    data = b"\n".join(line[:FLUFL_LINE] for line in raw[:FLUFL_BYTES].splitlines())
    try:
        temporary, permanent = all_failures(email.message_from_bytes(data))
    except Exception:  # it was written for mails that are mails, and raises what it likes: then our own rules speak
        return [], []
    both = [
        sorted({address_in(one.decode("utf-8", "replace")) for one in some} - {""}) for some in (temporary, permanent)
    ]
    return both[0], both[1]
