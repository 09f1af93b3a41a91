"""SPF (RFC 7208): may an address send for a domain, and how many look-ups does its record cost?"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote

from digest.doctor.dns import Lookup, NoAnswer, known_names

LOOKUPS, VOIDS = 10, 2  # §4.6.4: of these more are an error
_FAR = 60  # look-ups after which a survey has seen enough
_NAMES = 10  # of mail servers, and of an address
_TERM = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?![\w.=-])(.*)", re.IGNORECASE | re.DOTALL)
_MODIFIER = re.compile(r"([a-z][a-z0-9._-]*)=(.*)", re.IGNORECASE | re.DOTALL)
_MACRO = re.compile(r"%(?:\{([slodiphcrtv])(\d*)(r?)([.\-+,/_=]*)\}|([%_-]))", re.IGNORECASE)


class Result(StrEnum):
    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


_OF = {"": Result.PASS, "+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}


@dataclass(frozen=True)
class Term:
    """One piece of a record. `domain` may have macros; `bits` are the prefixes of an IPv4 and of an IPv6 address."""

    name: str
    result: Result
    domain: str = ""
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    bits: tuple[int, int] = (32, 128)
    text: str = ""


@dataclass(frozen=True)
class Record:
    terms: tuple[Term, ...]
    redirect: str = ""


@dataclass(frozen=True)
class Sender:
    """Who is judged: the address that connects, and what it says."""

    address: str
    mail_from: str  # local@domain
    hello: str = "unknown"


@dataclass(frozen=True)
class Verdict:
    """`lookups` and `voids` were needed up to the answer; `term` is what matched, `why` is what is wrong."""

    result: Result
    lookups: int = 0
    voids: int = 0
    term: str = ""
    why: str = ""
    domains: frozenset[str] = frozenset()  # whose records were read


class Broken(Exception):
    """The record cannot be used (permerror), or nobody answered (temperror)."""

    def __init__(self, words: str, result: Result = Result.PERMERROR) -> None:
        super().__init__(words)
        self.result = result


def records(texts: list[str]) -> list[str]:
    """Those of the TXT records that are SPF's (§4.5)."""
    return [text for text in texts if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


def parse(text: str) -> Record:
    """Read a record. Raises Broken."""
    terms: list[Term] = []
    redirects, explanations = [], 0
    for word in text.split(" ")[1:]:
        if not word:
            continue
        modifier = _MODIFIER.fullmatch(word)
        if modifier and "=" in word and not _TERM.fullmatch(word):
            name = modifier[1].lower()
            if name == "redirect":
                redirects.append(modifier[2])
            explanations += name == "exp"
            continue
        terms.append(_term(word))
    if len(redirects) > 1 or explanations > 1:
        raise Broken("has redirect= or exp= more than once")
    if redirects and not redirects[0]:
        raise Broken("has redirect= without a domain")
    return Record(tuple(terms), redirects[0] if redirects else "")


def _term(word: str) -> Term:
    found = _TERM.fullmatch(word)
    if found is None:
        raise Broken(f"has something that is no part of SPF: {word[:60]}")
    name, rest = found[2].lower(), found[3]
    result = _OF[found[1]]
    if name in ("ip4", "ip6"):
        try:
            network = ipaddress.ip_network(rest.removeprefix(":"), strict=False)
        except ValueError:
            network = None
        if network is None or not rest.startswith(":") or f"ip{network.version}" != name:
            raise Broken(f"has no network where one should be: {word[:60]}")
        return Term(name, result, network=network, text=word)
    domain, slash, cidr = rest.partition("/") if name in ("a", "mx") else (rest, "", "")
    if domain and (not domain.startswith(":") or len(domain) < 2 or name == "all"):
        raise Broken(f"has a part that cannot be read: {word[:60]}")
    if name in ("include", "exists") and not domain:
        raise Broken(f"has {name} without a domain")
    return Term(name, result, domain.removeprefix(":"), None, _bits(word, cidr) if slash else (32, 128), word)


def _bits(word: str, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,2})?(?://(\d{1,3}))?", text) or re.fullmatch(r"()/(\d{1,3})", text)
    four, six = int((found and found[1]) or 32), int((found and found[2]) or 128)
    if found is None or not text or four > 32 or six > 128:
        raise Broken(f"has a prefix that is none: {word[:60]}")
    return four, six


async def evaluate(lookup: Lookup, sender: Sender) -> Verdict:
    """What a receiver makes of it (check_host, §4)."""
    domain = sender.mail_from.rpartition("@")[2]
    asking = _Asking(lookup, sender)
    try:
        result, term = await asking.host(domain)
        return Verdict(result, asking.lookups, asking.voids, term)
    except Broken as error:
        return Verdict(error.result, asking.lookups, asking.voids, why=str(error))


async def survey(lookup: Lookup, domain: str) -> Verdict:
    """What a record costs at the most, whoever sends: all its terms followed. PASS where nothing is wrong with it."""
    asking = _Asking(lookup, None)
    try:
        result, _ = await asking.host(domain)
    except Broken as error:
        return Verdict(error.result, asking.lookups, asking.voids, why=str(error), domains=frozenset(asking.read))
    result = Result.NONE if result is Result.NONE else Result.PASS
    return Verdict(result, asking.lookups, asking.voids, domains=frozenset(asking.read))


@dataclass
class _Asking:
    """One evaluation, which counts. Without a `sender` nothing matches, and everything is followed."""

    lookup: Lookup
    sender: Sender | None
    lookups: int = 0
    voids: int = 0
    read: set[str] = field(default_factory=set)
    _within: list[str] = field(default_factory=list)

    async def host(self, domain: str) -> tuple[Result, str]:
        domain = domain.lower().rstrip(".")
        if domain in self._within:
            raise Broken(f"leads in a circle, at {domain}")
        found = records(await self._txt(domain))
        if not found:
            return Result.NONE, ""
        if len(found) > 1:
            raise Broken(f"{domain} has {len(found)} records that begin with v=spf1, and may have one")
        record = parse(found[0])
        self._within.append(domain)
        self.read.add(domain)
        try:
            return await self._record(record, domain)
        finally:
            self._within.pop()

    async def _record(self, record: Record, domain: str) -> tuple[Result, str]:
        for term in record.terms:
            if term.name == "all":
                return term.result, term.text
            if await self._matches(term, domain):
                return term.result, term.text
        if not record.redirect:
            return Result.NEUTRAL, ""
        self._count()
        result, text = await self.host(await self._expanded(record.redirect, domain))
        if result is Result.NONE:
            raise Broken(f"redirect={record.redirect} leads to a domain without a record")
        return result, text

    async def _matches(self, term: Term, domain: str) -> bool:
        if term.network is not None:
            address = self._address
            return address is not None and address.version == term.network.version and address in term.network
        self._count()
        target = await self._expanded(term.domain, domain) if term.domain else domain
        if term.name == "include":
            result, _ = await self.host(target)
            if result is Result.NONE:
                raise Broken(f"{term.text} leads to a domain without a record")
            return result is Result.PASS and self.sender is not None
        if term.name == "exists":
            return bool(await self._addresses(target, v6=False)) and self.sender is not None
        if term.name == "ptr":
            return await self._named(target)
        hosts = [target]
        if term.name == "mx":
            hosts = await self._mx(target)
            if len(hosts) > _NAMES:
                raise Broken(f"{term.text} has more than {_NAMES} mail servers")
        found = [one for host in hosts for one in await self._addresses(host, counts=term.name == "a")]
        return any(self._near(one, term.bits) for one in found)

    def _near(self, found: str, bits: tuple[int, int]) -> bool:
        mine, other = self._address, ipaddress.ip_address(found)
        if mine is None or mine.version != other.version:
            return False
        prefix = bits[0] if mine.version == 4 else bits[1]
        return mine in ipaddress.ip_network(f"{other}/{prefix}", strict=False)

    @property
    def _address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        if self.sender is None:
            return None
        found = ipaddress.ip_address(self.sender.address)
        return getattr(found, "ipv4_mapped", None) or found

    def _count(self) -> None:
        self.lookups += 1
        if self.lookups > (LOOKUPS if self.sender else _FAR):
            raise Broken(f"needs more than {LOOKUPS} look-ups")

    def _void(self) -> None:
        self.voids += 1
        if self.sender and self.voids > VOIDS:
            raise Broken(f"asks for more than {VOIDS} names that are not there")

    async def _txt(self, name: str) -> list[str]:
        try:
            return await self.lookup.txt(name)
        except NoAnswer as error:
            raise Broken(str(error), Result.TEMPERROR) from None

    async def _mx(self, name: str) -> list[str]:
        try:
            found = [host for host in await self.lookup.mx(name) if host]
        except NoAnswer as error:
            raise Broken(str(error), Result.TEMPERROR) from None
        if not found:
            self._void()
        return found

    async def _addresses(self, name: str, *, v6: bool | None = None, counts: bool = True) -> list[str]:
        mine = self._address
        try:
            found = await self.lookup.addresses(name, v6=mine.version == 6 if v6 is None and mine else v6)
        except NoAnswer as error:
            raise Broken(str(error), Result.TEMPERROR) from None
        if not found and counts:
            self._void()
        return found

    async def _named(self, target: str) -> bool:
        if self.sender is None:
            return False
        try:
            names = await known_names(self.lookup, self.sender.address, most=_NAMES)
        except NoAnswer:
            return False
        return any(name == target.lower() or name.endswith(f".{target.lower()}") for name in names)

    async def _expanded(self, text: str, domain: str) -> str:
        """A domain with its macros filled in (§7). Of nobody in particular, they stand for a plain example."""
        if "%" not in text:
            return text
        sender = self.sender or Sender("192.0.2.1", f"postmaster@{domain}")
        return "".join(_pieces(text, domain, sender))[-253:].lstrip(".")


def _pieces(text: str, domain: str, sender: Sender) -> Iterator[str]:
    address = ipaddress.ip_address(sender.address)
    dotted = ".".join(address.exploded.replace(":", "")) if address.version == 6 else str(address)
    local, _, place = sender.mail_from.rpartition("@")
    values = {
        "s": sender.mail_from, "l": local or "postmaster", "o": place, "d": domain, "i": dotted, "p": "unknown",
        "v": "ip6" if address.version == 6 else "in-addr", "h": sender.hello, "c": str(address), "r": "unknown",
        "t": "0",
    }  # fmt: skip
    at = 0
    for found in _MACRO.finditer(text):
        if "%" in text[at : found.start()]:
            break
        yield text[at : found.start()]
        at = found.end()
        if found[5]:
            yield {"%": "%", "_": " ", "-": "%20"}[found[5]]
            continue
        parts = re.split(f"[{re.escape(found[4] or '.')}]", values[found[1].lower()])
        parts = parts[::-1] if found[3] else parts
        value = ".".join(parts[-int(found[2]) :] if found[2] else parts)
        yield quote(value, safe="") if found[1].isupper() else value
    if "%" in text[at:]:
        raise Broken(f"has a macro that cannot be read: {text[:60]}")
    yield text[at:]


def for_addresses(addresses: list[str], *, includes: Sequence[str] = (), end: str = "~all") -> str:
    """A record that lets these send."""
    words = [f"ip{ipaddress.ip_address(one).version}:{one}" for one in addresses]
    return " ".join(["v=spf1", *words, *(f"include:{one}" for one in includes), end])


def together(texts: Sequence[str]) -> str:
    """One record in place of several: what each of them allows, and the mildest of what they say of others."""
    words = [word for text in texts for word in text.split(" ")[1:] if word]
    ends = [word for word in words if re.fullmatch(r"[+?~-]?all", word, re.IGNORECASE)]
    kept = dict.fromkeys(word for word in words if word not in ends and not word.lower().startswith("redirect="))
    return " ".join(["v=spf1", *kept, "-all" if ends and all(end == "-all" for end in ends) else "~all"])


def allowing(text: str, words: list[str]) -> str:
    """The record with more in it, before what it says of all others."""
    parts = [part for part in text.split(" ") if part]
    at = next((n for n, part in enumerate(parts) if re.fullmatch(r"[+?~-]?all|redirect=.*", part, re.IGNORECASE)), None)
    end = parts[at:] if at is not None else ["~all"]
    return " ".join([*(parts[:at] if at is not None else parts), *words, *end])
