"""Keys of the API: made, found by what is shown of them, compared, revoked."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.errors import NotFound, UserError
from digest.store.api_tables import ApiKey
from digest.store.newsletters import by_name

# What a key may do. Who may write may not vouch: that somebody wants letters is their own word, or needs one more.
VERBS = {
    "signup": "ask for somebody to be signed up, and see nothing: for a page that everybody can read",
    "subscribers:read": "see readers",
    "subscribers:write": "sign up, change and end subscriptions",
    "subscribers:vouch": "subscribe people who do not confirm it by mail",
    "subscribers:erase": "forget a person, in all newsletters",
    "editions:read": "read what the public archive shows",
}
_TOKEN = re.compile(r"(dgk_[0-9a-f]{8})_[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[\w.-]{1,60}")
_TO_THE = timedelta(hours=1)  # how exactly it is kept when a key was last used: each note is a write


@dataclass(frozen=True)
class Key:
    """Who asks, and what for they may."""

    id: int
    name: str
    newsletters: frozenset[str]  # none is all
    verbs: frozenset[str]

    def covers(self, newsletter: str) -> bool:
        return not self.newsletters or newsletter in self.newsletters


def add(
    session: Session,
    name: str,
    *,
    newsletters: Sequence[str],
    verbs: Sequence[str],
    expires_at: datetime | None,
    now: datetime,
) -> tuple[ApiKey, str]:
    """A new key, and its whole text, which is nowhere but in the answer. UserError for what cannot be one."""
    if not _NAME.fullmatch(name):
        raise UserError(f"{name[:60]!r} is no name for a key", hint="letters, digits and . _ - only, at most 60")
    if strange := [verb for verb in verbs if verb not in VERBS]:
        raise UserError(f"there is no verb {strange[0]!r}", hint="verbs are: " + ", ".join(VERBS))
    if not verbs:
        raise UserError("a key without a verb may do nothing", hint="--verb one of: " + ", ".join(VERBS))
    if expires_at is not None and expires_at <= now:
        raise UserError(f"{expires_at:%Y-%m-%d %H:%M %Z} is over already", hint="a key expires in the future")
    if session.exec(select(ApiKey).where(ApiKey.name == name)).first() is not None:
        raise UserError(f"there is, or was, a key {name}", hint="histories name keys, so each has a name of its own")
    prefix = f"dgk_{secrets.token_hex(4)}"
    token = f"{prefix}_{secrets.token_urlsafe(32)}"
    row = ApiKey(
        name=name,
        prefix=prefix,
        hash=_hash(token),
        newsletters=sorted(set(newsletters)),
        verbs=[verb for verb in VERBS if verb in verbs],
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row, token


def find(session: Session, token: str, *, now: datetime) -> tuple[Key, bool] | None:
    """Whose token this is, and whether its use is to be noted; None where it is nobody's, revoked or expired."""
    shown = _TOKEN.fullmatch(token)
    if shown is None:
        return None
    row = session.exec(select(ApiKey).where(ApiKey.prefix == shown[1])).first()
    if row is None or not hmac.compare_digest(row.hash, _hash(token)):
        return None
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    assert row.id is not None
    stale = row.used_at is None or abs(now - row.used_at) >= _TO_THE
    return Key(row.id, row.name, frozenset(row.newsletters), frozenset(row.verbs)), stale


def hold(session: Session, key_id: int, *, now: datetime) -> bool:
    """Is a key that was found still good? Whoever revokes it meanwhile waits until this transaction has ended."""
    row = session.exec(select(ApiKey).where(ApiKey.id == key_id).with_for_update(read=True)).one_or_none()
    return row is not None and row.revoked_at is None and (row.expires_at is None or row.expires_at > now)


def note_use(session: Session, key_id: int, *, now: datetime) -> None:
    session.execute(sa.update(ApiKey).where(col(ApiKey.id) == key_id).values(used_at=now))


def listed(session: Session) -> list[ApiKey]:
    return list(session.exec(select(ApiKey).order_by(col(ApiKey.id))))


def revoke(session: Session, which: str, *, now: datetime) -> tuple[ApiKey, bool]:
    """End a key by its name or prefix; False where it had ended. NotFound where there is none."""
    found = session.exec(select(ApiKey).where(sa.or_(col(ApiKey.name) == which, col(ApiKey.prefix) == which))).first()
    if found is None:
        raise NotFound(f"there is no key {which[:60]!r}", hint="digest key list")
    if found.revoked_at is not None:
        return found, False
    found.revoked_at = now
    session.add(found)
    return found, True


def covers_all(session: Session, key: Key) -> bool:
    """Whether there is no newsletter, and was none, that a key does not cover: what is a person's own is beyond it."""
    return not key.newsletters or key.newsletters >= by_name(session).keys()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
