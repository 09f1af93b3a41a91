"""The language of `--where`: `FIELD=VALUE`, as it is typed, read into the conditions of a search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from digest.errors import BadInput
from digest.models import SubscriptionState
from digest.store.search import Condition, Search, Value
from digest.store.suppressions import SUPPRESSED
from digest.subscribe.address import domain_of
from digest.subscribe.preferences import Preferences, checked

# The signs of each field. Longer ones stand first, so that `<=` is not read as `<` and something with an `=`.
_EQUAL, _ORDER = ("!=", "="), ("<=", ">=", "<", ">", "=")
_SIGNS = ("!=", "<=", ">=", "=", "<", ">", "~")
FIELDS = {
    "state": _EQUAL,
    "topic": _EQUAL,
    "cadence": _EQUAL,
    "tag": _EQUAL,
    "field": _EQUAL,  # a name, for all who have it; `field.NAME` takes a value
    "joined": _ORDER,
    "delivered": _ORDER,
    "domain": _EQUAL,
    "address": ("!=", "=", "~"),
}
_HOW = "write FIELD=VALUE, as in state=active, domain!=example.org, 'joined<2025-01-01'; fields: " + ", ".join(FIELDS)
NEVER = "never"

Moments = Callable[[str], tuple[datetime, datetime]]  # the two ends of a day, or of a moment, as it is typed


_SHORT = {
    "part": "address~",
    "state": "state=",
    "topic": "topic=",
    "cadence": "cadence=",
    "tag": "tag=",
    "field": "field=",
}


def search(*, where: Iterable[str] = (), newsletter: str = "", moments: Moments | None = None, **said: str) -> Search:
    """Whom to find: all that is said must be so. BadInput for what is no condition, with what would be one.

    Short for a condition each: `part` of the address, `state`, `topic`, `cadence` ("weekly" without a day, "every
    edition"), `tag`, and `field` (NAME=VALUE, or a name). Days of `where` are read by `moments`.
    """
    shorts = {_SHORT[name]: value for name, value in said.items()}
    wanted = [_condition(text.rstrip("~="), text[-1], [value]) for text, value in shorts.items() if value]
    wanted += [_read(text, moments) for text in where]
    return Search(tuple(wanted), newsletter)


def _read(text: str, moments: Moments | None) -> Condition:
    places = [(at, -len(sign), sign) for sign in _SIGNS if (at := text.find(sign)) >= 0]
    if not places:
        raise BadInput(f"{text[:80]!r} is no condition", hint=_HOW)
    at, _length, sign = min(places)
    field, value = text[:at].strip().lower(), text[at + len(sign) :].strip()
    if field.startswith("field.") and (name := text[:at].strip()[len("field.") :].strip()):
        field, value = "field", value and f"{name}={value}"  # a field of the operator's own by its name
    if field not in FIELDS:
        raise BadInput(f"{text[:80]!r}: there is no field {field[:40]!r}", hint=_HOW)
    if sign not in FIELDS[field]:
        raise BadInput(f"{text[:80]!r}: {field} takes {' '.join(FIELDS[field])}", hint=_HOW)
    if not value:
        raise BadInput(f"{text[:80]!r} says nothing after the {sign}", hint=_HOW)
    values = (
        [value] if field in ("cadence", "tag", "field") else [one.strip() for one in value.split(",") if one.strip()]
    )
    return _condition(field, sign, values, moments)


def _condition(field: str, sign: str, values: Sequence[str], moments: Moments | None = None) -> Condition:
    checks: dict[str, Callable[[str], Value]] = {"state": _state, "cadence": _cadence, "domain": domain_of}
    if field in ("joined", "delivered"):
        assert moments is not None
        if sign != "=" and len(values) > 1:
            raise BadInput(f"{field}{sign} takes one day", hint=_HOW)
        return Condition(field, sign, tuple(_days(field, sign, value, moments) for value in values))
    check = checks.get(field, str)
    return Condition(field, sign, tuple(check(value) for value in values))


def _state(value: str) -> str:
    states = [*SubscriptionState, SUPPRESSED]
    if value not in states:
        raise BadInput(f"{value!r} is not a state", hint="states are: " + ", ".join(states))
    return str(value)


def _cadence(value: str) -> str:
    return (
        value
        if value in ("weekly", "fortnightly", "monthly", "every edition")
        else checked(Preferences(cadence=value), ()).cadence
    )


def _days(field: str, sign: str, value: str, moments: Moments) -> Value:
    if field == "delivered" and value == NEVER:
        if sign != "=":
            raise BadInput(f"delivered{sign}never is no order", hint="delivered=never, or a day")
        return None
    return moments(value)
