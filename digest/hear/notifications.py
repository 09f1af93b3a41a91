"""Bounces and complaints as services tell them in JSON: Amazon SES, by mail or by webhook. Pure.

What is here says what a notification means. Whether it really comes from the service, whoever took it in must know.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from digest.hear import reasons
from digest.hear.mime import Mail, inert
from digest.hear.report import Failed, Kind, Report, Returned, merged, worst

_MOST = 200_000  # characters


def report(mail: Mail) -> Report | None:
    """The notification that a mail is, or None where it is none."""
    text = next((part.text for part in mail.parts if part.text.strip()), "").lstrip().replace("!\n ", "")
    if not text.startswith("{") or len(text) > _MOST:
        return None
    data = parsed(text)
    return ses(data) if data else None


def parsed(text: str, *, envelope: bool = False) -> dict[str, Any]:
    """The object at the beginning of a text; what follows it (how to unsubscribe, say) is no part of it.

    Out of the envelope of SNS, unless that is what is wanted.
    """
    try:
        found, _end = json.JSONDecoder(strict=False).raw_decode(text.lstrip("\ufeff \t\r\n"))
        if not envelope and isinstance(found, dict) and isinstance(found.get("Message"), str):
            found, _end = json.JSONDecoder(strict=False).raw_decode(found["Message"].lstrip())
        return _inert(found) if isinstance(found, dict) else {}
    except (ValueError, RecursionError):
        return {}


def _inert(value: Any) -> Any:
    """By its escapes JSON has texts that no database keeps."""
    if isinstance(value, str):
        return inert(value)
    if isinstance(value, list):
        return [_inert(one) for one in value]
    return {inert(name): _inert(one) for name, one in value.items()} if isinstance(value, dict) else value


def ses(data: dict[str, Any]) -> Report | None:
    """A notification of Amazon SES, taken out of its envelope, or None where it is none."""
    kind = str(data.get("notificationType") or data.get("eventType") or "").lower()
    sent = table(data.get("mail"))
    source = (("return-path", str(sent.get("source", ""))[:320]),)  # where our bounce address is
    headers = Returned(
        source
        + tuple((str(one.get("name", "")).lower(), str(one.get("value", ""))) for one in objects(sent.get("headers")))
    )
    if kind == "bounce":
        bounce = table(data.get("bounce"))
        lasting = str(bounce.get("bounceType", "")).lower() == "permanent"
        found = merged([_bounced(one, lasting) for one in objects(bounce.get("bouncedRecipients"))])
        return Report(worst(found) if found else Kind.SOFT, found, returned=headers)
    if kind == "deliverydelay":
        late = objects(table(data.get("deliveryDelay")).get("delayedRecipients"))
        waiting = merged([replace(_bounced(one, False), kind=Kind.DELAYED) for one in late])
        return Report(Kind.DELAYED, waiting, returned=headers)
    if kind == "complaint":
        said = table(data.get("complaint"))
        who = [str(one.get("emailAddress", "")) for one in objects(said.get("complainedRecipients"))]
        feedback = str(said.get("complaintFeedbackType") or "abuse")[:40]
        complained = merged([Failed(one, Kind.COMPLAINT) for one in who if one])
        return Report(Kind.COMPLAINT, complained, returned=headers, feedback=feedback)
    if kind == "delivery":
        to = table(data.get("delivery")).get("recipients")
        arrived = merged([Failed(str(one), Kind.DELIVERED) for one in (to if isinstance(to, list) else [])[:100]])
        return Report(Kind.DELIVERED, arrived, returned=headers)
    return None


def _bounced(one: dict[str, Any], lasting: bool) -> Failed:
    words = str(one.get("diagnosticCode", ""))[:2000]
    status = reasons.status_in(str(one.get("status", ""))) or reasons.status_in(words)
    code = reasons.code_in(words)
    action = str(one.get("action", "failed" if lasting else ""))[:40]
    kind, reason = reasons.judge(words, status=status, code=code, action=action)
    if kind is Kind.HARD and not lasting:
        kind = Kind.SOFT
    return Failed(str(one.get("emailAddress", ""))[:320], kind, reason, status, code, action, words)


def table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def objects(value: Any, *, most: int = 200) -> list[dict[str, Any]]:
    return [one for one in value[:most] if isinstance(one, dict)] if isinstance(value, list) else []
