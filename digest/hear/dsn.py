"""The part of a report that machines read: delivery status (RFC 3464, RFC 6533) and feedback (RFC 5965). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from digest.hear import reasons
from digest.hear.addresses import address_in
from digest.hear.mime import Headers, fields
from digest.hear.report import Failed, Reason

MOST_RECIPIENTS = 100
_XTEXT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_FIELDS = ("final-recipient", "original-recipient", "x-actual-recipient", "action")


def recipients(text: str) -> list[Failed]:
    """The recipients of a delivery status, in their order; one whose address is hidden has none."""
    found = []
    for block in _blocks(text):
        if any(name in ("final-recipient", "original-recipient", "action", "status") for name, _ in block):
            one = _recipient(dict(reversed(block)))
            if one is not None:
                found.append(one)
        if len(found) >= MOST_RECIPIENTS:
            break
    return found


def _blocks(text: str) -> Iterator[Headers]:
    """Groups of fields. Some forget the empty line before the next recipient."""
    gathered: list[tuple[str, str]] = []
    for line_block in text[:200_000].split("\n\n"):
        for name, value in fields(line_block):
            if name == "final-recipient" and any(key == "final-recipient" for key, _ in gathered):
                yield tuple(gathered)
                gathered = []
            gathered.append((name, value))
        if any(name in _FIELDS for name, _ in gathered) or not gathered:
            yield tuple(gathered)
        gathered = []


def _recipient(field: dict[str, str]) -> Failed | None:
    final, original = typed(field.get("final-recipient", "")), typed(field.get("original-recipient", ""))
    actual = typed(field.get("x-actual-recipient", ""))
    email = final or original or actual
    if not email and "action" not in field:
        return None
    said = field.get("diagnostic-code", "")
    diagnostic = said.partition(";")[2].strip() if ";" in said[:30] else said
    diagnostic = diagnostic or field.get("x-display-reason", "") or field.get("x-notes", "")
    status = reasons.status_in(field.get("status", "").replace(" ", ""))
    told = reasons.status_in(diagnostic)
    if told and (not status or status.endswith(".0.0") or (status[0] == told[0] and status[2] == "0")):
        status = told
    code = reasons.code_in(diagnostic)
    if status.endswith(".0.0") and code and str(code)[0] != status[0] and status[0] == "5":
        code = 0  # tried until it gave up: for good, whatever the last answer was
    action = field.get("action", "").lower().split(" ")[0]
    kind, reason = reasons.judge(diagnostic, status=status, code=code, action=action)
    if reason is Reason.POLICY and not told and code >= 500:
        # Their server gave no enhanced status: ours made one up, and the words decide.
        heard = reasons.judge(diagnostic, code=code, action=action)
        kind, reason = heard if heard[1] is Reason.NO_MAILBOX else (kind, reason)
    return Failed(email, kind, reason, status, code, action, diagnostic[:2000], original if original != email else "")


def typed(value: str) -> str:
    """The address in `rfc822; ada@example.org`, or in `utf-8; …` with its escapes (RFC 6533 §3), or ""."""
    rest = value.rpartition(";")[2] if ";" in value[:20] else value
    rest = _XTEXT.sub(lambda match: _character(match[1]), rest)
    return address_in(rest)


def _character(digits: str) -> str:
    number = int(digits, 16)
    return chr(number) if 0x20 < number < 0x110000 and not 0xD800 <= number < 0xE000 else ""


def feedback(text: str) -> dict[str, list[str]]:
    """The fields of a feedback report: each may come more than once."""
    found: dict[str, list[str]] = {}
    for name, value in fields(text):
        found.setdefault(name, []).append(value)
    return found
