"""DMARC (RFC 7489): what a domain asks receivers to do, and whose signature or bounce domain counts for it.

The organizational domain is found by asking upwards in the DNS, as newer receivers do, and not in a list of public
suffixes: the record that stands highest belongs to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from digest.doctor.dkim_key import tags
from digest.doctor.dns import Lookup

_STEPS = 8  # names that are asked on the way up
POLICIES = ("none", "quarantine", "reject")


@dataclass(frozen=True)
class Policy:
    """A record. `at` is the domain that it stands at, `org` the organizational domain."""

    at: str
    org: str
    policy: str  # that holds for the domain asked about
    strict_dkim: bool = False
    strict_spf: bool = False
    reports: bool = False  # does somebody get them (rua=)?
    text: str = ""


class Unusable(ValueError):
    """There is a record, and receivers must pass over it."""


def parse(text: str, *, at: str, org: str, domain: str) -> Policy:
    """What a record says for `domain`. Raises Unusable."""
    try:
        found = tags(text)
    except ValueError as error:
        raise Unusable(str(error)) from None
    policy = found.get("p", "").lower()
    if policy not in POLICIES:
        if not found.get("rua"):
            raise Unusable("has no p=none, p=quarantine or p=reject" if not policy else f"has p={policy[:20]}")
        policy = "none"  # §6.6.3: whoever wants reports has at least that
    own = found.get("sp", "").lower()
    if domain != at and own in POLICIES:
        policy = own
    strict = [found.get(name, "r").lower() == "s" for name in ("adkim", "aspf")]
    return Policy(at, org, policy, strict[0], strict[1], bool(found.get("rua")), text)


async def find(lookup: Lookup, domain: str) -> Policy | None:
    """The policy that receivers go by, or None. Raises Unusable, and NoAnswer."""
    domain = domain.lower().rstrip(".")
    org = await organization(lookup, domain)
    for at in dict.fromkeys((domain, org)):
        found = await _records(lookup, at)
        if len(found) > 1:
            raise Unusable(f"_dmarc.{at} has {len(found)} records, and may have one")
        if found:
            return parse(found[0], at=at, org=org, domain=domain)
    return None


async def organization(lookup: Lookup, domain: str) -> str:
    """The highest domain on the way up that has a record; the domain itself where none has."""
    highest = domain
    for at in above(domain):
        texts = await _records(lookup, at)
        if not texts:
            continue
        try:
            own = tags(texts[0]).get("psd", "").lower()
        except ValueError:
            own = ""
        if own == "y":
            break  # a public suffix, as of a registry: whoever is below it is on their own
        highest = at
        if own == "n":
            break
    return highest


def above(domain: str) -> Iterator[str]:
    """The domain, and what is above it, down to two labels and the last one; of a long name only its end."""
    labels = domain.split(".")
    yield domain
    start = max(1, len(labels) - (_STEPS - 1))
    for at in range(start, len(labels)):
        yield ".".join(labels[at:])


async def _records(lookup: Lookup, domain: str) -> list[str]:
    texts = await lookup.txt(f"_dmarc.{domain}")
    return [text for text in texts if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)]


async def aligned(lookup: Lookup, one: str, other: str, *, strict: bool) -> bool:
    """Do two domains count as the same sender (§3.1)?"""
    one, other = one.lower().rstrip("."), other.lower().rstrip(".")
    if one and one == other:
        return True
    if strict or not one or not other:
        return False
    if one.endswith(f".{other}") or other.endswith(f".{one}"):
        return True  # nobody signs as a public suffix, so the upper one is the organization's
    return await organization(lookup, one) == await organization(lookup, other) != ""


def mended(text: str, **changed: str) -> str:
    """A record with other values of some tags; those that it has not are added at its end."""
    try:
        found = tags(text)
    except ValueError:
        found = {}
    rest = {name: value for name, value in found.items() if name not in ("v", "p")}
    policy = found.get("p", "none").lower()
    first = {"v": "DMARC1", "p": policy if policy in POLICIES else "none"}
    return "; ".join(f"{name}={value}" for name, value in (first | rest | changed).items())
