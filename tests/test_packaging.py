"""What is installed with us: under our own name, and without holes that are known."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
KNOWN = tomllib.loads((Path(__file__).parent / "data" / "advisories.toml").read_text(encoding="utf-8"))
BOUNDS = {canonicalize_name(one.name): one.specifier for one in map(Requirement, PROJECT["dependencies"])}


def lowest(package: str) -> Version | None:
    """The oldest release that our bounds let in, None where there is no bound."""
    found = [Version(bound.version) for bound in BOUNDS.get(package, ()) if bound.operator == ">="]
    return max(found, default=None)


@pytest.mark.parametrize("hole", KNOWN["advisory"], ids=lambda hole: hole["id"])
def test_no_release_with_a_known_hole_can_be_installed(hole):
    oldest = lowest(hole["package"])
    assert oldest is not None and oldest >= Version(hole["fixed"]), f"{hole['package']}: {hole['what']}"
    assert hole["published"] <= KNOWN["checked"]


def test_every_dependency_has_a_lower_bound():
    assert [name for name in BOUNDS if lowest(name) is None] == []


@pytest.mark.parametrize("file", ["README.md", "digest/cli/init.toml", "digest/store/database.py"])
def test_nobody_is_told_to_install_the_other_program_of_our_name(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    assert PROJECT["name"] == "digest-newsletter"
    assert "'digest[" not in text and "install digest" not in text and "-U digest" not in text
