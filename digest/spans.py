"""Spans: when parts of the work begin and end, told to who listens. Nobody does unless a door says so (`heard_by`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

Facts = Mapping[str, int | float | bool | str]


class Listener(Protocol):
    """Who is told. `parent` and what `begin` gives are its own; facts are numbers and names of ours, no addresses."""

    def begin(self, name: str, parent: Any, facts: Facts) -> Any: ...

    def end(self, span: Any, facts: Facts, *, failed: str) -> None: ...


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
_around: ContextVar[Any] = ContextVar("around", default=None)
End = Callable[..., None]


def begin(name: str, **facts: int | float | bool | str) -> End:
    """Something begins that ends elsewhere: by a call of what this gives, with facts and how it `failed`."""
    listener = _listener.get()
    if listener is None:
        return _nobody
    span = listener.begin(name, _around.get(), facts)

    def end(*, failed: str = "", **more: int | float | bool | str) -> None:
        listener.end(span, more, failed=failed)

    return end


def _nobody(**_facts: object) -> None:
    pass


@contextmanager
def span(name: str, **facts: int | float | bool | str) -> Iterator[dict[str, int | float | bool | str]]:
    """Something that goes on while the block does; what is put into the dictionary is told at its end."""
    listener = _listener.get()
    more: dict[str, int | float | bool | str] = {}
    if listener is None:
        yield more
        return
    here = listener.begin(name, _around.get(), facts)
    outside = _around.set(here)
    failed = ""
    try:
        yield more
    except BaseException as error:
        failed = type(error).__name__  # not what it says: there may be an address in it
        raise
    finally:
        _around.reset(outside)
        listener.end(here, more, failed=failed)


@contextmanager
def heard_by(listener: Listener, around: Any = None) -> Iterator[None]:
    """Who listens while the block goes on."""
    mine, outside = _listener.set(listener), _around.set(around)
    try:
        yield
    finally:
        _listener.reset(mine)
        _around.reset(outside)
