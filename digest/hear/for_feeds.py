"""A mail to the address of a feed, taken apart for the room that reads feeds. Pure, and bounded as all mail is."""

from __future__ import annotations

from datetime import datetime

from digest.hear import mime
from digest.hear.understand import date_of
from digest.values import Mailed


def mailed(raw: bytes, *, feed: str, hash: str, now: datetime) -> Mailed:
    """`hash` stands for the Message-ID of a mail without one."""
    mail = mime.read(raw)
    shown = [part for part in mail.parts if not part.returned and not part.status and not part.name]
    html = max((part.text for part in shown if part.type == "text/html"), key=len, default="")
    text = next((part.text for part in shown if part.type in ("text/plain", "text/unknown") and part.text.strip()), "")
    return Mailed(
        feed=feed,
        subject=mail.get("subject")[:2000],
        sender=mail.get("from")[:1000],
        list_id=mail.get("list-id")[:1000],
        message_id=mail.get("message-id").strip()[:1000] or f"<{hash}>",
        date=date_of(mail.get("date")),
        archived_at=mail.get("archived-at").strip("<> ")[:2000],
        html=mime.inert(html),
        text=mime.inert(text),
        now=now,
    )
