"""`digest.dataclass` makes what Python does: of each class that it is used for, and of samples of all it knows."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pickle
import pydoc
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, asdict, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

import digest
from digest.dataclass import _compiled, _Init, dataclass

PACKAGE = Path(digest.__file__).parent
OURS = "from digest.dataclass import dataclass\n"
METHODS = ("repr", "eq", "hash", "setattr", "delattr", "getstate", "setstate", "match_args", "slots", "init")


def pairs() -> Iterator[tuple[type, type]]:
    """Each class of the package that ours made, and what Python makes of the same source."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if OURS not in source:
            continue
        name = ".".join(("digest", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        module, twin = importlib.import_module(name), ModuleType(f"{name}_")
        twin.__file__ = str(path)
        sys.modules[twin.__name__] = twin
        try:
            exec(compile(source.replace(OURS, "from dataclasses import dataclass\n"), str(path), "exec"), vars(twin))
        finally:
            del sys.modules[twin.__name__]
        for known, made in vars(module).items():
            if isinstance(made, type) and made.__module__ == name and "__dataclass_fields__" in vars(made):
                yield made, vars(twin)[known]


def filled(cls: Any, first: int) -> Any:
    """An object with a number in each field."""
    made = object.__new__(cls)
    for number, one in enumerate(dataclasses.fields(cls), first):
        object.__setattr__(made, one.name, number)
    return made


def frozen(made: Any, name: str) -> bool:
    try:
        setattr(made, name, 1)
    except FrozenInstanceError:
        return True
    return False


def shown(cls: Any) -> list[Any]:
    """What can be seen of a class, and of objects of it."""
    kept = vars(cls)
    there = [name for name in METHODS if f"__{name}__" in kept]
    one, same, other = filled(cls, 1), filled(cls, 1), filled(cls, 2)
    name = next(iter(kept["__dataclass_fields__"]), "a")
    return [
        there,
        kept.get("__match_args__"),
        kept.get("__slots__"),
        repr(one),
        (one == same, one == other, one == 1) if "__eq__" in kept else None,
        hash(one) if kept.get("__hash__") else kept.get("__hash__", ""),
        frozen(one, name) if "__setattr__" in kept else None,
        # Of a class with slots Python knows the one without them, and stumbles.
        "__setattr__" in kept and ("__slots__" in kept or frozen(one, "unheard_of")),
        [(f.name, f.type, f.repr, f.compare, f.hash, f.init, f.kw_only) for f in dataclasses.fields(cls)],
    ]


def parameters(method: Any) -> list[Any]:
    found = inspect.signature(method).parameters.values()
    empty = inspect.Parameter.empty
    return [(one.name, one.kind, one.default is empty) for one in found]


def test_each_class_is_what_python_would_make():
    seen = 0
    for made, twin in pairs():
        seen += 1
        assert shown(made) == shown(twin), made
        assert parameters(_compiled(made, False)) == parameters(twin.__init__), made
    assert seen > 100


@dataclass(frozen=True)
class Point:
    """Frozen, with each kind of default."""

    x: int
    y: int = 2
    more: list[int] = field(default_factory=list)
    aside: str = field(default="", compare=False, repr=False)
    EDGE: ClassVar[int] = 9


@dataclass(frozen=True)
class Deep(Point):
    """One more."""

    z: int = 3


@dataclass(frozen=True)
class Noted:
    a: int
    note: str = field(default="", compare=False)


@dataclass
class Loose:
    a: int
    doubled: int = field(init=False)
    made: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.doubled = 2 * self.a


@dataclass(frozen=True, slots=True)
class Thin:
    a: int
    b: str = "b"


@dataclass(slots=True)
class Wide:
    a: int
    b: str = "b"


@dataclass(eq=False)
class Itself:
    a: int = 0


@dataclass(frozen=True)
class Named:
    a: int

    def __repr__(self) -> str:
        return "named"

    def __hash__(self) -> int:
        return 7


def test_values_are_made_as_they_are_called():
    assert Point(1) == Point(x=1, y=2, more=[]) != Point(1, 3)
    assert repr(Point(1, aside="x")) == "Point(x=1, y=2, more=[])"
    assert Point(1, aside="x") == Point(1)
    assert len({Noted(1), Noted(1, "noted"), Noted(2)}) == 2
    assert Point(1).more is not Point(1).more
    assert Deep(1, z=4) != Deep(1)
    assert Deep(1) != Point(1)
    assert asdict(Deep(1, z=4)) == {"x": 1, "y": 2, "more": [], "aside": "", "z": 4}
    assert replace(Deep(1), y=5) == Deep(1, 5)
    assert (Loose(4).doubled, Loose(4).made, Loose(4)) == (8, [], Loose(4))
    assert {Thin(1), Thin(1, "b")} == {Thin(1)}
    assert Itself() != Itself()
    assert len({Itself(), Itself()}) == 2
    assert (repr(Named(1)), hash(Named(1))) == ("named", 7)
    match Deep(1, 2):
        case Deep(x, y):
            assert (x, y) == (1, 2)


def test_what_is_frozen_stays_so():
    for made, name in ((Point(1), "x"), (Point(1), "new"), (Deep(1), "x"), (Thin(1), "a")):
        with pytest.raises(FrozenInstanceError, match=name):
            setattr(made, name, 2)
        with pytest.raises(FrozenInstanceError, match=name):
            delattr(made, name)
    loose = Loose(1)
    loose.a = 2
    assert (loose.a, loose.doubled) == (2, 2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(loose)


def test_a_class_of_which_no_value_was_made_yet_knows_those_of_another_process():
    @dataclass(frozen=True)
    class Fresh:
        a: int

    made = object.__new__(Fresh)
    made.__dict__["a"] = 1
    assert made == made.__class__(1)
    for value in (Point(1), Deep(1), Loose(2), Thin(1), Wide(1)):
        assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value


@pytest.mark.parametrize("ask", [inspect.signature, pydoc.render_doc, lambda cls: cls(1), lambda cls: cls.__init__])
def test_an_init_is_there_for_whoever_asks(ask):
    """Before any value was made: nothing of how it is put off is to be seen, in signatures, help and debuggers."""

    @dataclass(frozen=True)
    class Base:
        a: int

    @dataclass(frozen=True)
    class Fresh(Base):
        b: str = "b"

        def said(self) -> str:
            return super().__repr__()

    class Plain(Fresh):
        def __init__(self, a: int) -> None:
            super().__init__(a, "plain")

    assert isinstance(vars(Fresh)["__init__"], _Init)
    shown = ask(Fresh)
    assert inspect.isfunction(vars(Fresh)["__init__"])
    if ask in (inspect.signature, pydoc.render_doc):
        assert "(a: 'int', b: 'str' = 'b') -> None" in str(shown)
    assert (vars(Fresh)["__init__"].__module__, Fresh.__init__.__qualname__[-14:]) == (__name__, "Fresh.__init__")
    assert ask is pydoc.render_doc or isinstance(vars(Base)["__init__"], _Init)  # nobody asked for that
    assert (Plain(1).b, Base(1).a, Fresh(1).said()[-10:]) == ("plain", 1, "Fresh(a=1)")


def test_threads_that_make_the_first_value_together_each_get_theirs():
    for _ in range(20):

        @dataclass(frozen=True)
        class Fresh:
            a: int

        start = threading.Barrier(4)

        def make(number: int, cls: Any = Fresh, start: threading.Barrier = start) -> int:
            start.wait()
            return cls(number).a

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(make, range(4))) == [0, 1, 2, 3]


def test_what_is_missing_or_too_much_is_told_as_ever():
    with pytest.raises(TypeError, match=r"Point\.__init__\(\) missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'q'"):
        Thin(1, q=2)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="mutable default"):
        dataclass(type("Odd", (), {"__annotations__": {"a": list}, "a": []}))
