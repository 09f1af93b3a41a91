"""`@dataclass` as Python's own, but that compiles no method before it is called: a start defines a hundred classes.

Python writes the text of six methods for each frozen class and compiles it, which was a tenth of a start. Here those
that compare, hash and show are the same for all, told only which fields they are for; `__init__`, which must be quick,
is compiled when it is first asked for: by the first value, or by `inspect` and `help`. Fields, `replace`, `asdict` and
`match` are Python's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from dataclasses import dataclass as _bare
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, *, eq=True, frozen=False, slots=False):
        """As `dataclasses.dataclass`, of which these options are used."""
        if cls is None:
            return lambda kind: _made(kind, eq, frozen, slots)
        return _made(cls, eq, frozen, slots)


def _made(kind: type, eq: bool, frozen: bool, slots: bool) -> type:
    kind.__doc__ = kind.__doc__ or kind.__name__  # Python would work out a signature for it
    hashes = kind.__dict__.get("__hash__") is not None  # its own; without one, Python notes None beside its `__eq__`
    cls: type = _bare(init=False, repr=False, eq=False, slots=slots)(kind)
    there = fields(cls)
    if "__init__" not in cls.__dict__:
        cls.__init__ = _Init(cls, frozen)  # type: ignore[misc]
    methods = [_repr([one.name for one in there if one.repr])]
    if eq:
        methods.append(_eq(_values([one.name for one in there if one.compare])))
        if frozen and not hashes:
            methods.append(
                _hash(_values([one.name for one in there if (one.compare if one.hash is None else one.hash)]))
            )
        elif not hashes:
            cls.__hash__ = None  # type: ignore[assignment]
    if frozen:
        methods += _frozen(cls, {one.name for one in there})
        if slots:
            methods += _state([one.name for one in there])
    for method in methods:
        if method.__name__ not in cls.__dict__ or method.__name__ == "__hash__":
            method.__qualname__ = f"{cls.__qualname__}.{method.__name__}"
            setattr(cls, method.__name__, method)
    return cls


def _values(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What takes these fields' values out of an object, as a tuple also where there is one."""
    if len(names) > 1:
        return attrgetter(*names)
    return (lambda self: (getattr(self, names[0]),)) if names else lambda self: ()


def _eq(values: Callable[[Any], tuple[Any, ...]]) -> Callable[..., Any]:
    def __eq__(self: Any, other: Any) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _hash(values: Callable[[Any], tuple[Any, ...]]) -> Callable[..., Any]:
    def __hash__(self: Any) -> int:
        return hash(values(self))

    return __hash__


def _repr(names: list[str]) -> Callable[..., Any]:
    def __repr__(self: Any) -> str:
        return f"{self.__class__.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return recursive_repr()(__repr__)


def _frozen(cls: Any, names: set[str]) -> list[Callable[..., Any]]:
    def __setattr__(self: Any, name: str, value: Any) -> None:
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return [__setattr__, __delattr__]


def _state(names: list[str]) -> list[Callable[..., Any]]:
    """For pickles of what has slots and lets none of them be set."""

    def __getstate__(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def __setstate__(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return [__getstate__, __setstate__]


class _Init:
    """Stands for the `__init__` of a class until somebody asks for it, and then makes way for it."""

    def __init__(self, cls: Any, frozen: bool) -> None:
        self.cls, self.frozen = cls, frozen

    def __get__(self, value: Any, kind: type | None = None) -> Any:
        # Two threads may both compile it, and it is the same.
        self.cls.__init__ = made = _compiled(self.cls, self.frozen)
        return made if value is None else made.__get__(value, kind)


def _compiled(cls: type, frozen: bool) -> Callable[..., Any]:
    """The `__init__` that Python would make."""
    scope: dict[str, Any] = {"__name__": cls.__module__, "_set": object.__setattr__, "_unsaid": MISSING}
    heads, body = ["self"], []
    for one in fields(cls):
        default, value = _default(one, scope), one.name
        if one.default_factory is not MISSING:
            value = f"_made_{value}()" + f" if {value} is _unsaid else {value}" * one.init
        elif not one.init:
            continue  # `__post_init__` gives it
        if one.init:
            heads.append(f"{one.name}{default}")
        body.append(f"  _set(self, {one.name!r}, {value})" if frozen else f"  self.{one.name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("  self.__post_init__()")
    exec(f"def __init__({', '.join(heads)}):\n" + "\n".join(body or ["  pass"]), scope)  # noqa: S102  (our own names)
    method: Callable[..., Any] = scope["__init__"]
    method.__qualname__ = f"{cls.__qualname__}.__init__"
    method.__annotations__ = {one.name: one.type for one in fields(cls) if one.init} | {"return": None}
    return method


def _default(field: Field[Any], scope: dict[str, Any]) -> str:
    """How a field's default is written; `scope` gets what is written so."""
    if field.default_factory is not MISSING:
        scope[f"_made_{field.name}"] = field.default_factory
        return "=_unsaid"
    if field.default is not MISSING:
        scope[f"_default_{field.name}"] = field.default
        return f"=_default_{field.name}"
    return ""
