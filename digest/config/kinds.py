"""Values of another kind than their setting asks: `true` for a number, 1 for yes, "30", 30.0. None is made to fit.

What pydantic takes for the same would count as what nobody wrote: `max_stories = true` as a single story.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, BeforeValidator

Where = tuple[str, ...]
_ASKED = {bool: "true or false", int: "a whole number", float: "a number"}


def misfits(model: type[BaseModel], values: Any, where: Where = ()) -> Iterator[tuple[Where, str]]:
    """Where a value stands that is of another kind, and what it must be; values that are no table say nothing."""
    if not isinstance(values, dict):
        return
    names = {field.alias or name: name for name, field in model.model_fields.items()}
    for key, value in values.items():
        field = model.model_fields.get(names.get(str(key), str(key)))
        if field is not None and not (isinstance(value, str) and _reads_words(field.metadata)):
            yield from _misfits(field.annotation, value, (*where, str(key)))


def _misfits(kind: Any, value: Any, where: Where) -> Iterator[tuple[Where, str]]:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        if not (isinstance(value, str) and _reads_words(parts[1:])):
            yield from _misfits(parts[0], value, where)
    elif NoneType in parts and value is not None:
        others = [part for part in parts if part is not NoneType]
        if len(others) == 1:
            yield from _misfits(others[0], value, where)
    elif isinstance(value, dict) and len(parts) == 2:
        for key, one in value.items():
            yield from _misfits(parts[1], one, (*where, str(key)))
    elif isinstance(value, list) and parts:
        for number, one in enumerate(value):
            yield from _misfits(parts[0], one, (*where, str(number)))
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from misfits(kind, value, where)
    elif kind in _ASKED and _unfit(kind, value, where):
        yield where, f"must be {_ASKED[kind]}, not {_as_written(value)}"


def _unfit(kind: type, value: Any, where: Where) -> bool:
    if isinstance(value, str):  # all that the environment has is words
        return f"DIGEST_{'__'.join(where)}".upper() not in {name.upper() for name in os.environ}
    return type(value) is not kind and not (kind is float and type(value) is int)


def _reads_words(metadata: Any) -> bool:
    """Is it for a type of ours to say what words mean, as "1%"?"""
    return any(isinstance(one, BeforeValidator) for one in metadata)


def _as_written(value: object) -> str:
    """A value as it stands in the file; what may be a secret in the wrong place is not repeated."""
    for kind, words in ((dict, "a table"), (list, "a list"), (str, "words in quotes")):
        if isinstance(value, kind):
            return words
    return str(value).lower()[:40]
