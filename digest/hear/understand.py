"""What is this mail? Bytes in, a frozen `Report` out: bounded, and never an error whatever the bytes are. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from digest.hear import dsn, mime, notifications, reasons, robots, shapes
from digest.hear.addresses import address_in, addresses_in, without
from digest.hear.mime import Headers, Mail
from digest.hear.report import Failed, Kind, Reason, Report, Returned, merged, worst

TEXT = 4000  # characters that are kept of what a person would read
END = 1000  # of them those at its end
_OURS = re.compile(r"\d{1,9}:[^:\s]{1,100}:edition:")
_LEAVE = re.compile(r"(?:^|[+.=_-])leave[+=-][a-z2-7]{20,80}@", re.IGNORECASE)
_CHOICES = re.compile(r"(?:^|[+.=_-])prefs[+=-][a-z2-7]{20,80}@", re.IGNORECASE)
_FEED = re.compile(r"(?:^|[+.=_-])feed[+=-][a-z0-9-]{1,40}-[a-z2-7]{12}@", re.IGNORECASE)
_TAGS = re.compile(r"<[^<>]{0,500}>")


def understand(raw: bytes, envelope_to: tuple[str, ...] = ()) -> Report:
    """What a mail is. `envelope_to`: to whom it was delivered, where that is known from outside."""
    mail = mime.read(raw)
    passed_on = "" if robots.from_server(mail) else shapes.passed_on(mail, _words(mail))
    notice = shapes.apart(passed_on or _words(mail))
    returned = (*((not passed_on and _returned(mail)) or notice.returned), *_senders(mail))
    report = _report(mail, replace(notice, passed_on=bool(passed_on)), returned, raw, envelope_to)
    return Report(
        kind=report.kind,
        recipients=tuple(_inert(one) for one in report.recipients if one.email),
        headers=Returned(mail.headers),
        returned=report.returned if report.returned.headers else Returned(returned),
        sent_at=date_of(mail.get("date")),
        text=_kept(notice.text.strip() or (_words(mail).strip() if report.kind is Kind.REPLY else "")),
        feedback=report.feedback,
        robot=robots.unanswered(mail)
        if report.kind is Kind.CHOICES
        else report.kind is not Kind.REPLY or robots.automatic(mail),
        cut=mail.cut,
    )


def _kept(text: str) -> str:
    """As much of a text as is kept: where it is longer its end, too, since many answer below a mail of ours."""
    if len(text) <= TEXT:
        return text
    head = text[: TEXT - END - 10]
    head = head.rpartition("\n")[0] or head
    tail = text[-END:].partition("\n")[2] or text[-END:]
    quoted = head.rpartition("\n")[2].lstrip().startswith(">")
    return f"{head}\n{'> ' if quoted else ''}[\u2026]\n{tail}"


def _inert(one: Failed) -> Failed:
    """Without signs that no column keeps: a text may have them by the ways of JSON, or of odd character sets."""
    email, original, words = mime.inert(one.email), mime.inert(one.original), mime.inert(one.diagnostic)
    return replace(one, email=email, original=original, diagnostic=words, action=mime.inert(one.action))


def _report(mail: Mail, notice: shapes.Notice, returned: Headers, raw: bytes, envelope_to: tuple[str, ...]) -> Report:
    """The kind and whom it is about; the rest of the report is the caller's."""
    if (kind := _addressed_for(mail, envelope_to)) is not None:
        return Report(kind)
    if (feedback := _complaint(mail, returned)) is not None:
        return feedback
    if (kind := _statistics(mail)) is not None:
        return Report(kind)
    if (told := notifications.report(mail)) is not None:
        return told
    status = [one for part in mail.parts if part.status for one in dsn.recipients(part.text)]
    if not status and _status_lines(mail) and _of_machines(mail, notice, returned):
        # People quote such fields, too, and take the address out: without one it is a word of theirs.
        texts = (notice.text, "\n".join(part.text for part in mail.parts))
        found = ([one for one in dsn.recipients(text) if one.email] for text in texts)
        status = next((some for some in found if some), [])
    if status:
        return _status_report(_named(status, returned), notice.text)
    if _OURS.match(mail.get("feedback-id")) and mail.get("list-id"):
        return Report(Kind.LOOP)
    if any(_LEAVE.search(address) for address in (*envelope_to, *_addressed(mail))):
        return Report(Kind.UNSUBSCRIBE)
    return _by_words(mail, notice, returned, raw)


def _addressed_for(mail: Mail, envelope_to: tuple[str, ...]) -> Kind | None:
    """What comes to an address that is for one thing is that thing, whatever its words are like."""
    if mail.type == "multipart/report":
        return None
    here = (*envelope_to, *_addressed(mail))
    if any(_CHOICES.search(address) for address in here):
        return Kind.CHOICES
    feed = any(_FEED.search(address) for address in here) and not robots.from_server(mail)
    return Kind.FEED if feed else None


def _named(status: list[Failed], returned: Headers) -> list[Failed]:
    """Those whose addresses a report hides are whom the letter that came back was to, where that is one."""
    to = {one for name, value in returned if name == "to" for one in addresses_in(value)}
    return [replace(one, email="".join(to)) if not one.email and len(to) == 1 else one for one in status]


def _status_report(status: list[Failed], text: str) -> Report:
    """A delivery status; where it gives no reason, the words beside it may."""
    found = merged(status)
    about = shapes.paragraphs(text, [one.email for one in found])
    alone = len(found) == 1
    told = []
    for one in found:
        theirs = about.get(one.email.lower(), "")
        heard = _told(one, theirs + (f"\n{text}" if alone else ""))
        if heard.kind is Kind.HARD and heard.reason is Reason.UNSAID and _reason_given(theirs, one.email):
            heard = replace(heard, kind=Kind.SOFT)  # a reason that we do not know, and not none
        told.append(heard)
    return Report(worst(tuple(told)), tuple(told))


def _reason_given(paragraph: str, email: str) -> bool:
    """Does more than their address stand in the lines about a recipient?"""
    _before, _address, below = paragraph.lower().partition(email.lower())
    return any(c.isalpha() for c in without(below))


def _told(one: Failed, words: str) -> Failed:
    """What is said of a recipient for people, where machines are told nothing, or not when it was said."""
    if one.kind is Kind.HARD and one.reason is Reason.NO_MAILBOX:
        kind, reason = reasons.judge(f"{one.diagnostic}\n{words}", status=one.status, code=one.code, action=one.action)
        return replace(one, kind=kind, reason=reason) if reason is Reason.FILTERED else one
    if one.reason is Reason.FILTERED and words.strip():  # where it was said may stand beside it
        kind, reason = reasons.judge(f"{one.diagnostic}\n{words}", status=one.status, code=one.code, action=one.action)
        return replace(one, kind=kind, reason=reason) if reason is Reason.NO_MAILBOX else one
    if one.reason is not Reason.UNSAID or not words.strip():
        return one
    status = reasons.status_in(words) if one.status[2:] in ("", "0.0") else one.status
    code = one.code or reasons.code_in(words)
    kind, reason = reasons.judge(words, status=status or one.status, code=code, action=one.action)
    if reason is Reason.UNSAID:
        return one
    return replace(
        one, kind=kind, reason=reason, status=status or one.status, diagnostic=one.diagnostic or words[:1000]
    )


def _by_words(mail: Mail, notice: shapes.Notice, returned: Headers, raw: bytes) -> Report:
    """A mail without a part for machines."""
    server = notice.passed_on or robots.from_server(mail) or robots.says_undelivered(notice.text)
    # People write of failures, too, and quote them: without a letter that came back it is a person's word.
    seems = server or (robots.failure_subject(mail) and (bool(returned) or robots.automatic(mail)))
    if not seems and robots.challenge(mail, notice.text):
        return Report(Kind.CHALLENGE)
    if not seems and robots.away(mail):
        return Report(Kind.VACATION)
    if any(part.type == "message/disposition-notification" for part in mail.parts):
        return Report(Kind.VACATION)
    if seems or returned:
        ours = _ours(mail) | _writers(returned)
        named = shapes.Notice(notice.text, returned, notice.passed_on)
        found = merged(shapes.failed(mail, named, raw, ours, server=robots.surely_failed(mail, notice.text)))
        if found:
            return Report(worst(found), found)
        kind, reason = reasons.judge(said := robots.plain(notice.text), status=reasons.status_in(said))
        through_list = mail.get("list-post") or mail.get("x-beenthere")  # what is about us comes straight to us
        if server and reason is not Reason.UNSAID and not robots.away(mail) and not through_list:
            return Report(kind)
    if robots.away(mail):
        return Report(Kind.VACATION)
    return Report(Kind.UNKNOWN if server or robots.automatic(mail) or not mail.get("from") else Kind.REPLY)


def _ours(mail: Mail) -> frozenset[str]:
    """Whom a report is from and for, in small letters: of whom it does not speak, as a rule."""
    names = ("to", "from", "delivered-to", "return-path", "x-original-to", "envelope-to")
    return frozenset(one.lower() for name in names for value in mail.all(name) for one in addresses_in(value))


def _writers(returned: Headers) -> frozenset[str]:
    """Who wrote the letter that came back, and what looks like an address and is its number."""
    names = ("from", "sender", "return-path", "reply-to", "message-id")
    to = {one.lower() for name, value in returned if name == "to" for one in addresses_in(value)}
    return frozenset(one.lower() for name, value in returned if name in names for one in addresses_in(value)) - to


def _complaint(mail: Mail, returned: Headers) -> Report | None:
    """A feedback report (RFC 5965), also where it is not labelled as one."""
    labelled = mail.type == "multipart/report" and mail.params.get("report-type", "").lower() == "feedback-report"
    texts = [part.text for part in mail.parts if part.type == "message/feedback-report"]
    if not texts and labelled:
        texts = [part.text for part in mail.parts if "feedback-type:" in part.text[:5000].lower()]
    if not texts and not labelled:
        hotmail = next((value for name, value in returned if name == "x-hmxmroriginalrecipient"), "")
        if not hotmail or not mail.get("from").lower().rstrip(">").endswith(("hotmail.com", "live.com", "outlook.com")):
            return None
        return Report(Kind.COMPLAINT, (Failed(address_in(hotmail), Kind.COMPLAINT),), feedback="abuse")
    said = dsn.feedback("\n".join(texts))
    kind = (said.get("feedback-type") or ["abuse"])[0].strip().lower().split(" ")[0]
    named = said.get("original-rcpt-to", []) + said.get("redacted-address", []) + said.get("removal-recipient", [])
    emails = [dsn.typed(one) for one in named] or [
        one for name, value in returned if name == "to" for one in addresses_in(value)
    ]
    emails = emails or [one for name, value in returned if name == "delivered-to" for one in addresses_in(value)]
    found = merged([Failed(one, Kind.COMPLAINT, action=kind) for one in emails[:20] if one])
    sender = tuple(("original-mail-from", one) for one in said.get("original-mail-from", [])[:3])
    return Report(Kind.COMPLAINT, found, feedback=kind[:40], returned=Returned(sender + returned))


def _statistics(mail: Mail) -> Kind | None:
    """Daily reports about TLS (RFC 8460) and DMARC (RFC 7489 §7.2.1.1): figures, and about nobody."""
    kinds = {part.type for part in mail.parts} | {mail.type}
    if mail.get("tls-report-domain") or mail.params.get("report-type", "").lower() == "tlsrpt":
        return Kind.TLS_REPORT
    if kinds & {"application/tlsrpt+gzip", "application/tlsrpt+json"}:
        return Kind.TLS_REPORT
    subject = mail.get("subject").lower()
    names = [part.name.lower() for part in mail.parts if part.name]
    packed = [name for name in names if name.count("!") >= 3 and name.endswith((".zip", ".gz", ".xml"))]
    if packed or ("report domain:" in subject and ("submitter:" in subject or "report-id:" in subject)):
        return Kind.DMARC_REPORT
    return None


def _of_machines(mail: Mail, notice: shapes.Notice, returned: Headers) -> bool:
    """Whether more than its words says that a mail is no person's, who may quote a delivery status and ask of it."""
    told = mail.type == "multipart/report" or notice.passed_on or returned or robots.from_server(mail)
    return bool(told) or robots.failure_subject(mail) or robots.says_undelivered(notice.text) or robots.automatic(mail)


def _status_lines(mail: Mail) -> bool:
    """Do the fields of a delivery status stand in a part that is not labelled so?"""
    labelled = mail.type == "multipart/report"
    for part in mail.parts:
        low = part.text[:50_000].lower()
        if not part.returned and "final-recipient:" in low and ("action:" in low or "status:" in low):
            return True
        if labelled and not part.returned and "original-recipient:" in low and "action:" in low:
            return True
    return False


def _words(mail: Mail) -> str:
    """What a person would read: plain text, else HTML without its tags."""
    shown = [part for part in mail.parts if not part.returned and not part.status]
    plain = [part.text for part in shown if part.type in ("text/plain", "multipart/mixed", "text/unknown")]
    if not any(text.strip() for text in plain):
        plain = [_TAGS.sub(" ", _broken(part.text)) for part in shown if part.type.startswith("text/")]
    return "\n".join(plain)[: mime.MOST_TEXT]


def _broken(html: str) -> str:
    for mark in ("<br", "</p", "</div", "</tr", "<BR", "</P", "</DIV", "</TR", "</td"):
        html = html.replace(mark, "\n" + mark)
    for name, sign in (
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&nbsp;", " "),
        ("&quot;", '"'),
        ("&#39;", "'"),
        ("&middot;", "·"),
        ("&amp;", "&"),
    ):
        html = html.replace(name, sign) if name not in ("&lt;", "&gt;") else html.replace(name, " ")
    return html


def _returned(mail: Mail) -> Headers:
    """The headers of the letter that came back, of the part that has them."""
    return next((part.headers for part in mail.parts if part.returned and part.headers), ())


def _senders(mail: Mail) -> Headers:
    """Who sent the letter that came back, where the part for machines says so: our bounce address may be lost else."""
    fields = [field for part in mail.parts if part.status for field in mime.fields(part.text)]
    return tuple((name, value) for name, value in fields if name in ("x-postfix-sender", "x-original-mail-from"))[:5]


def _addressed(mail: Mail) -> list[str]:
    """To whom a mail is, by its own headers."""
    names = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to", "cc")
    return [one for name in names for value in mail.all(name)[:10] for one in addresses_in(value)]


def date_of(value: str) -> datetime | None:
    """A Date: header as a moment, or None for one that says none, or none that can be."""
    try:
        found = parsedate_to_datetime(value[:100])
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return found if 1980 <= found.year <= 2200 else None
