"""Fields of the operator's own about a person: `plan=gold`, and what else they keep of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from sqlmodel import Session

from digest.errors import BadInput
from digest.models import Subscriber
from digest.store.consent_tables import Consent, ConsentEvent
from digest.subscribe.address import display_name
from digest.values import Evidence

MOST = 50  # kept with a person
LONGEST = 500  # characters of one of them,
LONGEST_NAME = 60  # and of its name

Said = Mapping[str, str]  # by name; an empty value takes a field away


def said(words: Iterable[str]) -> Said:
    """`NAME=VALUE`, as it is typed; BadInput for what is none, or too long."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        name, value = display_name(name), " ".join(value.split())
        if not equals or not name:
            raise BadInput(f"{word[:60]!r} is no field", hint="write NAME=VALUE, as in plan=gold; plan= takes it away")
        if len(name) > LONGEST_NAME or len(value) > LONGEST:
            raise BadInput(
                f"the field {name[:60]!r} is too long",
                hint=f"a name has up to {LONGEST_NAME} characters, a value {LONGEST}",
            )
        found[name] = value if value.isprintable() else "".join(c for c in value if c.isprintable())
    return found


def keep(session: Session, person: Subscriber, wanted: Said, evidence: Evidence) -> bool:
    """Set these fields of a person; False where they were so. BadInput where they would be too many.

    Capitals and small letters are one name, which stays as it was written first.
    """
    after = dict(person.fields)
    names = {name.casefold(): name for name in after}
    for name, value in wanted.items():
        name = names.setdefault(name.casefold(), name)
        if value:
            after[name] = value
        else:
            after.pop(name, None)
    if after == person.fields:
        return False
    if len(after) > max(MOST, len(person.fields)):
        raise BadInput(f"{person.email} would have more than {MOST} fields", hint="take some away: --field NAME=")
    both = sorted({*after, *person.fields})
    changed = [f"{name}: {after.get(name, 'gone')}" for name in both if after.get(name) != person.fields.get(name)]
    person.fields = after
    session.add(person)
    assert person.id is not None
    detail = ", ".join(changed)
    session.add(Consent(subscriber_id=person.id, event=ConsentEvent.TAGGED, detail=detail, **asdict(evidence)))
    return True
