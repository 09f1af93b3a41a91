"""Libraries whose insides we override: which of their releases we know, and what keeps us from overriding others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

# Releases (major.minor) with which our overriding was tried. `tests/test_versions.py` says what to look at before one
# is added. With any other the library is used as it is.
KNOWN: dict[str, tuple[str, ...]] = {
    "feedparser": ("6.0",),
    "h11": ("0.16",),
    "uvicorn": tuple(f"0.{minor}" for minor in range(34, 55)),
}

Insides = Mapping[str, Iterable[str]]  # names, by the class or module (`module:name`) that has or assigns them


def misfit(*libraries: str, insides: Insides) -> str:
    """Why what is installed of these libraries cannot be overridden, in words; "" where it can."""
    return next(filter(None, (*(unknown(one) for one in libraries), lacking(insides))), "")


def unknown(library: str) -> str:
    """That the installed release is not one of those we know, in words; "" where it is."""
    try:
        installed = version(library)
    except PackageNotFoundError:
        return f"{library} is of an unknown release"
    known = KNOWN[library]
    if ".".join(installed.split(".")[:2]) in known:
        return ""
    span = known[0] if len(known) == 1 else f"{known[0]} to {known[-1]}"
    return f"{library} {installed} is none of the releases that digest knows ({span})"


def lacking(insides: Insides) -> str:
    """The first of these names that is not there, in words; "" where all are."""
    for place, names in insides.items():
        owner = _found(place)
        for name in names:
            if owner is None or not (hasattr(owner, name) or _assigns(owner, name)):
                return f"{place.replace(':', '.')} has no {name}"
    return ""


def _found(place: str) -> object | None:
    module, _, name = place.partition(":")
    try:
        found = import_module(module)
    except ImportError:
        return None
    return getattr(found, name, None) if name else found


def _assigns(owner: object, name: str) -> bool:
    """Do instances of a class get that name when they are made?"""
    code = getattr(getattr(owner, "__init__", None), "__code__", None)
    return name in getattr(code, "co_names", ())
