"""What a server says of its limits: how long to stay away, and how far apart requests should be. Pure.

Read are Retry-After (RFC 9110 §10.2.3), `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11),
the fields of that draft's older versions, and `X-RateLimit-…` as they are found in the wild.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from digest.dataclass import dataclass

MAX_HOLD = timedelta(days=1)  # whatever a server says
MAX_PACE = timedelta(hours=1)
FIRST_PACE = timedelta(minutes=1)  # after a 429 that says no more than that
FEW = 5  # requests left, or allowed at all: from here on they are spread over the time they are for
_LONGEST = 1000  # characters of a field that are read
_ITEM = re.compile(r"(\"[^\"]*\"|[^\s;,\"]+)((?:[ \t]*;[^,;\"]*(?:\"[^\"]*\")?)*)")
_PARAMETER = re.compile(r";\s*([a-z*][\w*.-]*)\s*=\s*\"?([^\s;,\"]*)", re.I)
_EPOCH = 1_000_000_000  # a reset beyond this is a moment, in seconds since 1970, or in milliseconds


@dataclass(frozen=True)
class Said:
    """What an answer says: stay away for `hold`, and keep `pace` between requests. None where it says nothing."""

    hold: timedelta | None = None
    pace: timedelta | None = None


def said(status: int, headers: Mapping[str, str], *, now: datetime) -> Said:
    """What an answer says of the host's limits; Retry-After, where an error has one, goes before the rest."""
    hold, pace = _quota(headers, now)
    if status >= 400:
        asked = retry_after(headers.get("retry-after", ""), now=now)
        hold = asked if asked is not None else hold
    return Said(hold and min(hold, MAX_HOLD), pace and min(pace, MAX_PACE))


def retry_after(value: str, *, now: datetime) -> timedelta | None:
    """How long the server asks us to stay away, at most `MAX_HOLD`, or None where it does not say.

    Seconds or an HTTP-date (RFC 9110 §10.2.3), or what is found in their place: parts of seconds, a moment since 1970,
    a date of ISO 8601. One in the past counts as zero.
    """
    value = value[:_LONGEST].strip()
    if (number := _number(value)) is not None:
        if number > _EPOCH * 1000:
            number /= 1000
        if number > _EPOCH:
            number = max(number - now.timestamp(), 0.0)
        return min(timedelta(seconds=min(number, 1e9)), MAX_HOLD)
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            until = read(value)
            until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
            return min(max(until - now, timedelta(0)), MAX_HOLD)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def slower(pace: timedelta | None, told: Said, *, served: int) -> timedelta | None:
    """The pace after a 429: as told, else what the host was seen to bear, else twice as slow as we were.

    `served` are the requests it answered since it was asked last to wait: so many it takes in the time of `told.hold`.
    """
    if told.pace is not None:
        return told.pace
    if pace is not None:
        return min(pace * 2, MAX_PACE)
    if told.hold is None:
        return FIRST_PACE
    return min(told.hold / served, MAX_PACE) if served else None


def _quota(headers: Mapping[str, str], now: datetime) -> tuple[timedelta | None, timedelta | None]:
    """Hold and pace by what is left of the quotas, the strictest of several."""
    holds: list[timedelta] = []
    paces: list[timedelta] = []
    for left, reset in _left(headers, now):
        if left <= 0:
            holds.append(reset)
        elif left <= FEW:
            paces.append(reset / left)
    for quota, window in _policies(headers):
        if 0 < quota <= FEW:
            paces.append(window / quota)
    # A quota of so many a day says nothing about how far apart, until it runs out.
    return max(holds, default=None), max((pace for pace in paces if pace <= MAX_PACE), default=None)


def _left(headers: Mapping[str, str], now: datetime) -> Iterator[tuple[float, timedelta]]:
    """What is left of each quota, and for how long that must do."""
    windows = {name: window for name, _, window in _named_policies(headers)}
    for name, value in _items(headers.get("ratelimit", "")):
        left, reset = _number(value.get("r", "")), retry_after(value.get("t", ""), now=now)
        reset = reset if reset is not None else windows.get(name)
        if left is not None and reset is not None:
            yield left, reset
    # draft-07 had one field of three parts, and before that each part was a field.
    seventh = dict(re.findall(r"\b(remaining|reset)\s*=\s*(\d{1,12})", headers.get("ratelimit", "")[:_LONGEST]))
    fields = [(seventh.get("remaining", ""), seventh.get("reset", ""))]
    for start in ("ratelimit-", "x-ratelimit-", "x-rate-limit-"):
        after = headers.get(f"{start}reset", "") or headers.get(f"{start}reset-after", "")
        fields.append((headers.get(f"{start}remaining", ""), after))
    for remaining, after in fields:
        left, reset_in = _number(remaining), retry_after(after, now=now)
        if left is not None and reset_in is not None:
            yield left, reset_in


def _policies(headers: Mapping[str, str]) -> Iterator[tuple[float, timedelta]]:
    """How many requests are allowed in which time."""
    yield from ((quota, window) for _, quota, window in _named_policies(headers))
    for field in ("ratelimit-policy", "ratelimit-limit", "x-ratelimit-limit"):  # `10;w=1, 50;w=60`, before draft-08
        for name, value in _items(headers.get(field, "")):
            quota, window = _number(name), _number(value.get("w", ""))
            if quota is not None and window:
                yield quota, timedelta(seconds=min(window, 1e9))


def _named_policies(headers: Mapping[str, str]) -> Iterator[tuple[str, float, timedelta]]:
    for name, value in _items(headers.get("ratelimit-policy", "")):
        quota, window = _number(value.get("q", "")), _number(value.get("w", ""))
        if quota is not None and window and value.get("qu", "requests") == "requests":
            yield name, quota, timedelta(seconds=min(window, 1e9))


def _items(field: str) -> Iterator[tuple[str, dict[str, str]]]:
    """A list of items with parameters (RFC 9651 §3.1), read as far as it can be read."""
    for found in _ITEM.finditer(field[:_LONGEST]):
        yield found[1].strip('"'), {name.lower(): value for name, value in _PARAMETER.findall(found[2])}


def _number(value: str) -> float | None:
    """A number that is not negative; some count in halves. The first of a list counts."""
    found = re.match(r"\s*([0-9]{1,40}(?:\.[0-9]{1,9})?)\s*(?:[,;]|$)", value)
    return float(found[1]) if found else None
