"""Events of services that send for us, as reports: SendGrid, Postmark, Mailgun, and Amazon SES by SNS. Pure.

That they are the service's own, whoever took them in must know (`signatures`). They prove no more than mail does: the
Message-ID of a letter, or our bounce address, where the service gives it back. What tells of no trouble is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from digest.hear import reasons
from digest.hear.notifications import objects, parsed, ses, table
from digest.hear.report import Failed, Kind, Reason, Report, Returned
from digest.hear.sources import Incoming
from digest.hear.understand import understand

_WORDS = 2000  # characters of a server's words
_POSTMARK = {
    "HardBounce": Kind.HARD,
    "BadEmailAddress": Kind.HARD,
    "SoftBounce": Kind.SOFT,
    "DnsError": Kind.SOFT,
    "Unknown": Kind.SOFT,
    "Transient": Kind.DELAYED,
    "SpamNotification": Kind.POLICY,
    "VirusNotification": Kind.POLICY,
    "DMARCPolicy": Kind.POLICY,
    "Blocked": Kind.POLICY,
    "SpamComplaint": Kind.COMPLAINT,
    "AutoResponder": Kind.VACATION,
    "ChallengeVerification": Kind.CHALLENGE,
    "Unsubscribe": Kind.UNSUBSCRIBE,
}
_SENDGRID = {
    "deferred": Kind.DELAYED,
    "spamreport": Kind.COMPLAINT,
    "unsubscribe": Kind.UNSUBSCRIBE,
    "group_unsubscribe": Kind.UNSUBSCRIBE,
}
_MAILGUN = {"complained": Kind.COMPLAINT, "unsubscribed": Kind.UNSUBSCRIBE}
# Why the services send nothing to an address any more.
_DROPPED = {
    "bounced address": Kind.HARD,
    "invalid smtpapi": Kind.POLICY,  # what we sent, and nobody's address
    "invalid": Kind.HARD,
    "unsubscribed address": Kind.UNSUBSCRIBE,
    "spam reporting address": Kind.COMPLAINT,
}
_SUPPRESSED = {
    "suppress-bounce": Kind.HARD,
    "suppress-unsubscribe": Kind.UNSUBSCRIBE,
    "suppress-complaint": Kind.COMPLAINT,
}


def amazon(message: str) -> list[Incoming]:
    """What SES tells in the message of a notification."""
    data = parsed(message)
    report = ses(data) if data else None
    if report is None or report.kind is Kind.DELIVERED:
        return []
    return [_incoming("ses", data, report)]


def sendgrid(body: bytes) -> list[Incoming] | None:
    """A request of the Event Webhook; None where it is none."""
    events = _list(body)
    if events is None:
        return None
    return [_incoming("sendgrid", one, report) for one in events if (report := _sendgrid(one)) is not None]


def _sendgrid(event: dict[str, Any]) -> Report | None:
    name, words = _text(event, "event"), _text(event, "reason") or _text(event, "response")
    back = Returned((("message-id", _text(event, "smtp-id")),))
    if name == "bounce":
        status = reasons.status_in(words) or _text(event, "status")
        kind = Kind.SOFT if _text(event, "type") == "blocked" else Kind.HARD
        part = _failed(_text(event, "email"), kind, words, status=status)
    elif name == "dropped":
        low = words.lower()
        why = next((kind for said, kind in _DROPPED.items() if low.startswith(said)), Kind.POLICY)
        part = _plainly(_text(event, "email"), why, words)
    elif name in _SENDGRID:
        part = _plainly(_text(event, "email"), _SENDGRID[name], words)
    else:
        return None
    return _report(part, back, event.get("timestamp"))


def postmark(body: bytes) -> list[Incoming] | None:
    """A request of the webhooks for bounces, complaints and changes of subscriptions; None where it is none."""
    event = parsed(body.decode("utf-8", "replace"))
    if not event:
        return None
    record, kind = _text(event, "RecordType"), _POSTMARK.get(_text(event, "Type"))
    if record == "SubscriptionChange":
        theirs = event.get("SuppressSending") is True and _text(event, "Origin") == "Recipient"
        kind = Kind.UNSUBSCRIBE if theirs and _text(event, "SuppressionReason") == "ManualSuppression" else None
    elif record == "SpamComplaint":
        kind = Kind.COMPLAINT
    elif record not in ("Bounce", ""):
        kind = None
    if kind is None:
        return []
    email, words = _text(event, "Email") or _text(event, "Recipient"), _text(event, "Details")
    bounced = kind in (Kind.HARD, Kind.SOFT, Kind.POLICY)
    part = _failed(email, kind, words) if bounced else _plainly(email, kind, words)
    content = _text(event, "Content", most=300_000)
    letter = understand(content.encode("utf-8", "replace")).returned.headers if content else ()
    return [_incoming("postmark", event, _report(part, Returned((*_given(event, "Metadata"), *letter)), None))]


def mailgun(body: dict[str, Any], token: str) -> list[Incoming] | None:
    """A request of a webhook; None where it is none. The token may come once, since nothing else of it is signed."""
    event = table(body.get("event-data"))
    name, why = _text(event, "event"), _text(event, "reason")
    if not name:
        return None
    sent = table(table(event.get("message")).get("headers"))
    sender = ("return-path", _text(table(event.get("envelope")), "sender"))
    back = Returned((("message-id", _text(sent, "message-id")), sender, *_given(event, "user-variables")))
    email = _text(event, "recipient")
    if name == "failed":
        said = table(event.get("delivery-status"))
        words = f"{_text(said, 'message')} {_text(said, 'description')}".strip()
        if _text(event, "severity") != "permanent":
            part = _plainly(email, Kind.DELAYED, words)
        elif why.startswith("suppress-"):
            part = _plainly(email, _SUPPRESSED.get(why, Kind.POLICY), words or why)
        else:
            code = said.get("code")
            status = _text(said, "enhanced-code") or reasons.status_in(words)
            known = code if isinstance(code, int) and 400 <= code < 600 else 0
            part = _failed(email, Kind.HARD, words, status=status, code=known)
    elif name in _MAILGUN:
        part = _plainly(email, _MAILGUN[name], why)
    else:
        return []
    return [_incoming("mailgun", event, _report(part, back, event.get("timestamp")), once=f"mailgun {token}")]


# ---------------------------------------------------------------- pieces


def _failed(email: str, most: Kind, words: str, *, status: str = "", code: int = 0) -> Failed:
    """What a server's words say, and no worse than what the service says of them."""
    status, code = status or reasons.status_in(words), code or reasons.code_in(words)
    kind, reason = reasons.judge(words, status=status, code=code, action="failed")
    if most is Kind.POLICY or (most is Kind.SOFT and kind is Kind.HARD):
        kind = most
    return Failed(email, kind, reason, status, code, "failed", words)


def _plainly(email: str, kind: Kind, words: str) -> Failed:
    """What the service says itself: no server's word of this letter."""
    reason = {Kind.POLICY: Reason.POLICY, Kind.HARD: Reason.UNSAID}.get(kind, Reason.NONE)
    return Failed(email, kind, reason, diagnostic=words)


def _report(part: Failed, back: Returned, at: object) -> Report:
    feedback = "abuse" if part.kind is Kind.COMPLAINT else ""
    return Report(part.kind, (part,) if part.email else (), returned=back, sent_at=_moment(at), feedback=feedback)


def _incoming(service: str, event: dict[str, Any], report: Report, *, once: str = "") -> Incoming:
    raw = f"{service}\n\n{json.dumps(event, indent=1, sort_keys=True)}\n".encode()
    return Incoming(raw, report=report, once=once)


def _given(event: dict[str, Any], name: str) -> Iterator[tuple[str, str]]:
    """What was sent along with a letter, our bounce address among it."""
    for value in list(table(event.get(name)).values())[:20]:
        if isinstance(value, str):
            yield "return-path", value[:500]


def _list(body: bytes) -> list[dict[str, Any]] | None:
    """All of them: what is answered 200 is told to nobody again, and how large a request may be is bounded."""
    data = parsed('{"events":' + body.decode("utf-8-sig", "replace") + "}")
    events = data.get("events")
    return objects(events, most=len(events)) if isinstance(events, list) else None


def _text(event: dict[str, Any], name: str, *, most: int = _WORDS) -> str:
    value = event.get(name)
    return value[:most] if isinstance(value, str) else ""


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) and 0 < value < 2**32 else None
    except (ValueError, OverflowError, OSError):
        return None
