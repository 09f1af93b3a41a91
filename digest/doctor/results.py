"""What a receiver saw of a mail of ours: `Authentication-Results` (RFC 8601), also within ARC (RFC 8617). Pure.

Anybody can write such a header into a mail. Believed is what the last server on the way wrote: the topmost one, and
those beside it by the same server, down to the next `Received`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from email.utils import parseaddr

from digest.doctor.findings import Cure, Finding, Level

SECTION = "mail"
MOST_BYTES = 2_000_000  # of a file: all that is read stands in the head of a mail
_LONG = 20_000  # characters of a header
_PAIR = re.compile(
    r"(?<![\w.-])([A-Za-z][\w.-]{0,60})\s{0,3}(?:/\s{0,3}\d{1,3}\s{0,3})?=\s{0,3}"
    r"(\"(?:[^\"\\]|\\.){0,500}\"|[^\s;\"]{1,500})"
)
_DNS = Cure("digest doctor --only dns")


@dataclass(frozen=True)
class Outcome:
    """One method and what it came to, with its properties: `header.d`, `smtp.mailfrom`, `reason` …"""

    method: str
    result: str
    properties: dict[str, str] = field(default_factory=dict)
    comment: str = ""

    @property
    def domain(self) -> str:
        """The domain that was judged, as far as it was said."""
        for name in ("header.d", "header.i", "smtp.mailfrom", "smtp.mail", "header.from", "smtp.helo"):
            if said := self.properties.get(name):
                return said.rpartition("@")[2].strip("<>").lower().rstrip(".")
        return ""


@dataclass(frozen=True)
class Results:
    """One header. `server` is "" where it does not say who wrote it, as those of Microsoft."""

    server: str
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Received:
    """A mail as it arrived, as far as it is judged here. Header names are in small letters, in their order."""

    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, raw: bytes) -> Received:
        raw = raw[:MOST_BYTES].lstrip()
        if raw.startswith(b"From "):  # an mbox's first line
            raw = raw.partition(b"\n")[2]
        parsed = BytesHeaderParser().parsebytes(raw)
        return cls(tuple((name.lower(), " ".join(str(value)[:_LONG].split())) for name, value in parsed.items()))

    def all(self, name: str) -> list[str]:
        return [value for one, value in self.headers if one == name]

    def first(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    @property
    def domain(self) -> str:
        """Of From:, on which all is judged."""
        return parseaddr(self.first("from"))[1].rpartition("@")[2].lower().rstrip(".")


def parse(value: str) -> Results:
    """Read a header, with or without the instance of ARC before it. What cannot be read is passed over."""
    plain, comments = _without_comments(value[:_LONG])
    pieces = [piece.strip() for piece in _split(plain)]
    if pieces and re.fullmatch(r"i\s*=\s*\d+", pieces[0]):
        pieces = pieces[1:]
    server = ""
    if pieces and not _PAIR.match(pieces[0]):
        server, pieces = pieces[0].partition(" ")[0].strip('"').lower(), pieces[1:]
    found = []
    for piece in pieces:
        pairs = [(name.lower(), _unquoted(said)) for name, said in _PAIR.findall(piece)]
        if pairs:
            mark = re.search(r"\x00(\d+)", piece)
            comment = comments[int(mark[1])] if mark else ""
            result = pairs[0][1].split("\x00")[0].lower()
            found.append(Outcome(pairs[0][0], result, dict(pairs[1:]), comment))
    return Results(server, tuple(found))


def _without_comments(text: str) -> tuple[str, list[str]]:
    """The text with a mark for each comment (RFC 5322 §3.2.2, they nest), and the comments."""
    plain, comments, held, depth, quoted, at = list[str](), list[str](), list[str](), 0, False, 0
    text = text.replace("\x00", " ")
    while at < len(text):
        sign = text[at]
        if sign == "\\" and (depth or quoted) and at + 1 < len(text):
            (held if depth else plain).append(text[at : at + 2])
            at += 2
            continue
        if sign == '"' and not depth:
            quoted = not quoted
        if sign == "(" and not quoted:
            depth += 1
            if depth == 1:
                held = []
                at += 1
                continue
        if sign == ")" and depth:
            depth -= 1
            if not depth:
                plain.append(f" \x00{len(comments)} ")
                comments.append("".join(held))
                at += 1
                continue
        (held if depth else plain).append(sign)
        at += 1
    return "".join(plain), comments


def _split(text: str) -> Iterator[str]:
    """At each ; that is not in quotes."""
    start, quoted, skip = 0, False, False
    for at, sign in enumerate(text):
        if skip:
            skip = False
        elif sign == "\\" and quoted:
            skip = True
        elif sign == '"':
            quoted = not quoted
        elif sign == ";" and not quoted:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if len(text) > 1 and text[0] == text[-1] == '"' else text


def believed(mail: Received) -> Results | None:
    """What the last server said, in all of its headers; where it said nothing, what the last seal of ARC has."""
    found: list[Results] = []
    for name, value in mail.headers:
        if name == "received" and found:
            break
        if name == "authentication-results":
            said = parse(value)
            if found and said.server != found[0].server:
                break
            found.append(said)
    if found:
        return Results(found[0].server, tuple(one for said in found for one in said.outcomes))
    sealed = mail.all("arc-authentication-results")
    numbered = [(int(match[1]), value) for value in sealed if (match := re.match(r"\s*i\s*=\s*(\d{1,3})", value))]
    return parse(max(numbered)[1]) if numbered else None


def judge(mail: Received) -> list[Finding]:
    """A finding for each thing that receivers look at."""
    said = believed(mail)
    if said is None:
        seen = "the mail has no Authentication-Results: its server writes none, or it was saved without its headers"
        return [Finding(SECTION, "receiver", Level.UNKNOWN, f"{seen}; send one to an address at Gmail or Outlook")]
    who = said.server or ("Microsoft" if any(one.method == "compauth" for one in said.outcomes) else "the last server")
    by_arc = not mail.all("authentication-results")
    seen = f"{who} says what it saw of From: {mail.domain or 'nobody'}" + (" (as sealed by ARC)" if by_arc else "")
    found = [Finding(SECTION, "receiver", Level.OK, seen), _spf(mail, said), *_dkim(mail, said), _dmarc(mail, said)]
    found += _others(said, mail)
    return [*found, _one_click(mail, said), _encrypted(mail)]


def same_owner(one: str, other: str) -> bool:
    """Are two domains aligned, as far as their names tell? One is the other, or below it."""
    return bool(one and other) and (one == other or one.endswith(f".{other}") or other.endswith(f".{one}"))


def _outcomes(said: Results, method: str) -> list[Outcome]:
    return [one for one in said.outcomes if one.method == method]


def _finding(name: str, level: Level, seen: str, cure: Cure | None = None) -> Finding:
    return Finding(SECTION, name, level, seen, cure)


def _spf(mail: Received, said: Results) -> Finding:
    found = _outcomes(said, "spf")
    if not found:
        return _finding("spf", Level.UNKNOWN, "the receiver says nothing of SPF")
    best = next((one for one in found if one.result == "pass"), found[0])
    why = f" ({best.comment.strip()})" if best.comment else ""
    if best.result != "pass":
        level = Level.UNKNOWN if best.result == "temperror" else Level.FAIL
        return _finding("spf", level, f"{best.result} for {best.domain or 'its sender'}{why}", _DNS)
    if not same_owner(best.domain, mail.domain):
        return _finding("spf", Level.OK, f"pass, for {best.domain or 'its sender'}, which does not count for From:")
    return _finding("spf", Level.OK, f"pass, for {best.domain}")


def _dkim(mail: Received, said: Results) -> list[Finding]:
    found = _outcomes(said, "dkim")
    if not found or all(one.result == "none" for one in found):
        signed = bool(mail.all("dkim-signature"))
        seen = "the receiver saw no signature" if found or not signed else "the receiver says nothing of DKIM"
        return [_finding("dkim", Level.FAIL if found or not signed else Level.UNKNOWN, seen, _DNS)]
    ours = [one for one in found if one.result == "pass" and same_owner(one.domain, mail.domain)]
    if ours:
        return [_finding("dkim", Level.OK, f"pass, signed by {ours[0].domain}")]
    passed = [one for one in found if one.result == "pass"]
    if passed:
        seen = f"pass, signed by {passed[0].domain or 'somebody'}, which does not count for From: {mail.domain}"
        return [_finding("dkim", Level.WARN, seen, _DNS)]
    worst = found[0]
    why = f" ({worst.comment.strip() or worst.properties.get('reason', '')})".replace(" ()", "")
    level = Level.UNKNOWN if worst.result == "temperror" else Level.FAIL
    return [_finding("dkim", level, f"{worst.result} for {worst.domain or 'its signature'}{why}", _DNS)]


def _dmarc(mail: Received, said: Results) -> Finding:
    found = _outcomes(said, "dmarc")
    if found and found[0].result in ("pass", "bestguesspass"):
        words = "pass" if found[0].result == "pass" else "passes by a guess, since there is no policy"
        level = Level.OK if found[0].result == "pass" else Level.WARN
        return _finding("dmarc", level, words, None if level is Level.OK else _DNS)
    if found and found[0].result == "temperror":
        return _finding("dmarc", Level.UNKNOWN, "the receiver could not ask for the policy", _DNS)
    if found:
        words = "there is no policy" if found[0].result == "none" else f"{found[0].result} for {mail.domain}"
        return _finding("dmarc", Level.FAIL, words, _DNS)
    ways = [
        one.method
        for one in said.outcomes
        if one.method in ("spf", "dkim") and one.result == "pass" and same_owner(one.domain, mail.domain)
    ]
    if ways:
        seen = f"the receiver says nothing of DMARC; by {' and '.join(dict.fromkeys(ways))} it would pass"
        return _finding("dmarc", Level.UNKNOWN, seen)
    seen = "the receiver says nothing of DMARC, and neither SPF nor DKIM counts for From:"
    return _finding("dmarc", Level.WARN, seen, _DNS)


def _others(said: Results, mail: Received) -> list[Finding]:
    """What only some receivers say."""
    found = []
    for one in _outcomes(said, "compauth")[:1]:
        level = Level.OK if one.result in ("pass", "softpass") else Level.WARN
        seen = f"{one.result} (all signs together), reason {one.properties.get('reason', 'unsaid')}"
        found.append(_finding("compauth", level, seen, None if level is Level.OK else _DNS))
    for one in _outcomes(said, "iprev")[:1]:
        level = Level.OK if one.result == "pass" else Level.WARN
        seen = f"{one.result}: the name of {one.properties.get('smtp.remote-ip', 'the address')}, there and back"
        found.append(_finding("iprev", level, seen, None if level is Level.OK else _DNS))
    seals = len(mail.all("arc-seal"))
    for one in _outcomes(said, "arc")[:1]:
        if one.result == "fail":
            found.append(_finding("arc", Level.WARN, "the chain of seals by those who forwarded it is broken"))
        elif seals:
            found.append(_finding("arc", Level.OK, f"{one.result}, {seals} {'seal' if seals == 1 else 'seals'}"))
    return found


def _one_click(mail: Received, said: Results) -> Finding:
    """RFC 8058 §4: both headers, covered by a signature that holds."""
    link, post = mail.first("list-unsubscribe"), mail.first("list-unsubscribe-post")
    name = "one-click"
    if "https:" not in link.lower() or "one-click" not in post.lower():
        seen = "the mail has no List-Unsubscribe by https with List-Unsubscribe-Post, so no button stands beside it"
        return _finding(name, Level.WARN, seen, Cure("digest doctor --only links"))
    held = {one.domain for one in _outcomes(said, "dkim") if one.result == "pass"}
    for signature in mail.all("dkim-signature"):
        tags = dict(re.findall(r"\b([a-z]+)\s*=\s*([^;]*)", signature))
        signed = {word.strip().lower() for word in re.sub(r"\s", "", tags.get("h", "")).split(":")}
        if tags.get("d", "").strip().lower() in held and {"list-unsubscribe", "list-unsubscribe-post"} <= signed:
            return _finding(name, Level.OK, "both headers are there, and signed")
    seen = "the headers are there, and no signature that holds covers both, so that no button may stand beside the mail"
    return _finding(name, Level.WARN, seen, _DNS)


def _encrypted(mail: Received) -> Finding:
    """How it came to the receiver, as far as the topmost hop from elsewhere says."""
    hops: Sequence[str] = [value for value in mail.all("received") if value.lower().startswith("from ")]
    secret = [hop for hop in hops if re.search(r"\bwith (?:UTF8)?E?SMTPSA?\b|\bTLS", hop, re.IGNORECASE)]
    if secret:
        return _finding("tls", Level.OK, "it came encrypted")
    return _finding("tls", Level.UNKNOWN, "no server on its way says that it came encrypted")
