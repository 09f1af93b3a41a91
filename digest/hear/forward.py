"""What people write is passed on to whom the settings name: as a note of ours that says who wrote what.

No mail goes in circles: robots are no people (`robots`, RFC 3834), a note says `Auto-Submitted` itself, what the
receiver writes is not passed on, nor more than so many in a day; each mail once. A note is about nobody's subscription:
it is sent from a bounce address of its own, and what comes back of it changes no reader.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from digest.config import Config
from digest.hear.addresses import address_in, addresses_in
from digest.hear.report import Report
from digest.models import address_key
from digest.store import newsletters, outbox, reports, suppressions

A_DAY = 50  # notes; what else people write waits in `digest mail asks`
_TEXT = 4000  # characters


def forward(session: Session, config: Config, report: Report, report_id: int, *, now: datetime) -> str:
    """Owe a note about what a person wrote; to whom, or "" where none is to go."""
    to, writer = config.mail.forward_to, address_in(report.sender)
    if not to or report.robot or not writer or address_key(writer) == address_key(to):
        return ""
    if reports.forwarded_since(session, now - timedelta(days=1)) >= A_DAY or suppressions.find(session, to) is not None:
        return ""
    name = _newsletter(config, report)
    subject = " ".join(report.subject.split())[:200] or "(no subject)"
    text = (
        f"{' '.join(report.sender.split())[:300]} wrote to {config.newsletters[name].title}:\n\n"
        f"{subject}\n\n{report.text[:_TEXT].strip()}\n\n"
        f"Answer them at {writer}; an answer to this note is not passed on.\n"
        f"The mail itself: digest mail show {report_id} --original\n"
    )
    number = newsletters.find(session, name).id
    note = outbox.NewNotice(to, config.newsletters[name].sender, f"[reply] {subject}", text, newsletter_id=number)
    return to if outbox.owe_notice(session, note, key=f"{reports.FORWARD}{report_id}", now=now) else ""


def _newsletter(config: Config, report: Report) -> str:
    """Which one they wrote to, by its sender or where its answers go; else the first."""
    to = {one.lower() for name in ("to", "cc") for value in report.headers.all(name) for one in addresses_in(value)}
    named = {
        name: {address_in(settings.sender).lower(), address_in(settings.reply_to or "").lower()} - {""}
        for name, settings in config.newsletters.items()
    }
    return next((name for name, theirs in named.items() if theirs & to), next(iter(config.newsletters)))
