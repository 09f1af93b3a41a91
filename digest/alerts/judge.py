"""What of all that is the matter is told now: each once when it begins and once when it is over. Pure.

What comes and goes is damped: it has to last for as long as the settings say before it is told, or told to be over, and
it is told to begin at most once a day, with how often it came and went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from digest.values import Alert, AlertWord, Condition

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Judgement:
    """All alerts as they stand now, by key, and what is to be said."""

    alerts: Mapping[str, Alert]
    words: tuple[AlertWord, ...]


def judge(
    alerts: Mapping[str, Alert],
    conditions: Iterable[Condition],
    *,
    now: datetime,
    patience: timedelta,
    unknown: Callable[[str], bool] = lambda _key: False,
) -> Judgement:
    """From how alerts stood and what is the matter now to how they stand, and what is to be said.

    Of a key that is `unknown` nothing was seen this time: it stays as it was. Moments ahead of `now`, of a
    clock that was wrong, are taken for now.
    """
    there = {condition.key: condition for condition in conditions}
    found: dict[str, Alert] = {}
    words: list[AlertWord] = []
    for key in dict.fromkeys((*alerts, *there)):
        alert = _bounded(alerts[key], now) if key in alerts else None
        if key in there:
            alert, said = _there(alert, there[key], now=now, patience=patience)
        elif alert is not None and unknown(key):
            said = None
        else:
            assert alert is not None
            alert, said = _gone(alert, now=now, patience=patience)
        if alert is not None:
            found[key] = alert
        if said is not None:
            words.append(said)
    return Judgement(found, tuple(words))


def _bounded(alert: Alert, now: datetime) -> Alert:
    def by_now(moment: datetime | None) -> datetime | None:
        return min(moment, now) if moment else None

    return replace(
        alert,
        since=min(alert.since, now),
        told_at=by_now(alert.told_at),
        last_at=by_now(alert.last_at),
        gone_at=by_now(alert.gone_at),
        well_at=by_now(alert.well_at),
    )


def _there(
    alert: Alert | None, condition: Condition, *, now: datetime, patience: timedelta
) -> tuple[Alert, AlertWord | None]:
    if alert is None:
        alert = Alert(condition.key, since=min(condition.since or now, now))
    elif alert.well_at:  # it is back
        alert = replace(alert, since=now, well_at=None, turns=alert.turns + 1)
    elif alert.gone_at:  # it was away for less than the patience
        alert = replace(alert, gone_at=None, turns=alert.turns + 1)
    alert = replace(alert, title=condition.title, words=condition.words, cure=condition.cure)
    rested = alert.last_at is None or now - alert.last_at >= DAY
    if alert.told_at is None:
        state = "trouble" if rested and now - alert.since >= patience else ""
    else:
        more = alert.turns or not set(condition.names) <= set(alert.names)
        state = "still" if rested and more else ""
    if not state:
        return alert, None
    said = _word(alert, state, now)
    told_at = alert.told_at or now
    return replace(alert, told_at=told_at, last_at=now, names=condition.names, turns=0), said


def _gone(alert: Alert, *, now: datetime, patience: timedelta) -> tuple[Alert | None, AlertWord | None]:
    """Forgotten once nothing of it bears on what is told next: how it was told last counts for a day."""
    if alert.told_at is None:
        if alert.last_at is None or now - alert.last_at >= DAY:
            return None, None
        return replace(alert, well_at=alert.well_at or now), None
    alert = replace(alert, gone_at=alert.gone_at or now)
    assert alert.gone_at is not None
    if now - alert.gone_at < patience:
        return alert, None
    said = _word(alert, "well", now)
    return replace(alert, told_at=None, gone_at=None, well_at=now, turns=0), said


def _word(alert: Alert, state: str, now: datetime) -> AlertWord:
    """The name of what is said is made of what it is about, so that what is told twice is known to be the same."""
    name = f"{alert.key}/{alert.since.astimezone(UTC):%Y%m%dT%H%M%S.%f}/{state}"
    if state == "still":
        name += f"/{now.astimezone(UTC):%Y%m%dT%H%M}"
    words = alert.words
    if state != "well" and alert.turns:
        words += f"\nIt came and went {alert.turns} {'time' if alert.turns == 1 else 'times'} since it was told last."
    if state == "well":
        words = f"It is over. It was, since {alert.since:%Y-%m-%d %H:%M} UTC: {alert.words}"
    return AlertWord(
        name, alert.key, state, alert.title, words, "" if state == "well" else alert.cure, alert.since, now
    )
