"""What the DNS says of those who send: SPF, DKIM, DMARC, bounces, reverse names. Asked of a `Lookup`, judged here."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from digest.doctor import dkim_key, dmarc, spf
from digest.doctor.checking import Check
from digest.doctor.dns import Lookup, NoAnswer, known_names
from digest.doctor.findings import Cure, Finding, Level, Place

SECTION = "dns"
# Services that send from addresses of their own, by the name of their relay, and what a record includes for them.
SERVICES = {
    "amazonaws.com": "amazonses.com",
    "brevo.com": "spf.brevo.com",
    "fastmail.com": "spf.messagingengine.com",
    "gmail.com": "_spf.google.com",
    "mailgun.org": "mailgun.org",
    "mailjet.com": "spf.mailjet.com",
    "mandrillapp.com": "spf.mandrillapp.com",
    "office365.com": "spf.protection.outlook.com",
    "outlook.com": "spf.protection.outlook.com",
    "postmarkapp.com": "spf.mtasv.net",
    "sendgrid.net": "sendgrid.net",
    "smtp2go.com": "spf.smtp2go.com",
}


@dataclass(frozen=True)
class Key:
    """A key that we sign with, `pem` as it stands in its file."""

    domain: str
    selector: str
    pem: bytes
    file: str

    @property
    def name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True)
class Sender:
    """One way in which letters go out: From:, MAIL FROM, our names and addresses, keys.

    `sure` where the operator named the addresses: those of a relay need not be the ones that letters leave from, least
    of all where it is somebody else's; `relays` are their names. `host` is where mail to us could go, for a record that
    is not there.
    """

    domain: str
    envelope: str
    hello: str = ""
    addresses: tuple[str, ...] = ()
    sure: bool = False
    keys: tuple[Key, ...] = ()
    includes: tuple[str, ...] = ()
    relays: tuple[str, ...] = ()
    host: str = ""
    file: str = "digest.toml"  # of the settings, and the table there that says how it is sent
    table: str = "smtp"

    @property
    def public(self) -> tuple[str, ...]:
        """Addresses that a receiver can see; where the operator named them, all."""
        return tuple(one for one in self.addresses if self.sure or ipaddress.ip_address(one).is_global)


def service_of(host: str) -> str:
    """What an SPF record includes for a relay that is a known service, or ""."""
    return next((name for end, name in SERVICES.items() if host == end or host.endswith(f".{end}")), "")


def checks(lookup: Lookup, senders: list[Sender], *, seconds: float, where: str = "the name server") -> list[Check]:
    """One check for each question about each domain or address; what several share is asked once."""
    made: dict[str, Check] = {}

    def add(name: str, ask: Callable[[], object]) -> None:
        made.setdefault(name, Check(SECTION, name, ask, seconds))  # type: ignore[arg-type]

    for one in senders:
        add("name server", partial(_answers, lookup, one, where))
        add(f"spf {one.envelope}", partial(_spf, lookup, one))
        for key in one.keys:
            add(f"dkim {key.name}", partial(_dkim, lookup, key))
        if not one.keys:
            add(f"dkim {one.domain}", partial(_not_ours, one))
        add(f"dmarc {one.domain}", partial(_dmarc, lookup, one))
        add(f"alignment {one.domain}", partial(_alignment, lookup, one))
        for domain in dict.fromkeys((one.envelope, one.domain)):
            add(f"mx {domain}", partial(_mx, lookup, one, domain))
        add(f"mta-sts {one.envelope}", partial(_hints, lookup, one.envelope))
        for address in one.public:
            add(f"ptr {address}", partial(_reverse, lookup, one, address))
        if one.hello and one.sure:
            add(f"hello {one.hello}", partial(_hello, lookup, one))
    return list(made.values())


def _finding(name: str, level: Level, seen: str, cure: Cure | None = None) -> Finding:
    return Finding(SECTION, name, level, seen, cure)


def _line(text: str) -> Cure:
    return Cure(text, Place.DNS)


def _silent(name: str, error: Exception) -> Finding:
    return _finding(name, Level.UNKNOWN, f"{error}; ask again: digest doctor --only dns")


async def _answers(lookup: Lookup, one: Sender, where: str) -> list[Finding]:
    try:
        await lookup.txt(one.domain)
    except NoAnswer as error:
        seen = f"{error}: nothing can be said of the DNS; [doctor] nameserver names another"
        return [_finding("name server", Level.FAIL, seen, Cure('nameserver = "9.9.9.9"', Place.SETTINGS, "doctor"))]
    return [_finding("name server", Level.OK, f"{where} answers")]


# ---------------------------------------------------------------- SPF


async def _spf(lookup: Lookup, one: Sender) -> list[Finding]:
    name = f"spf {one.envelope}"
    try:
        texts = spf.records(await lookup.txt(one.envelope))
    except NoAnswer as error:
        return [_silent(name, error)]
    if not texts:
        cure = _line(dkim_key.zone_line(one.envelope, spf.for_addresses(list(one.public), includes=one.includes)))
        seen = f"{one.envelope} says not who may send for it (no TXT record that begins with v=spf1)"
        mail = _line(dkim_key.zone_line(one.envelope, "v=spf1 mx ~all"))  # nothing is known but who takes its mail
        return [_finding(name, Level.FAIL, seen, cure if one.public or one.includes else mail)]
    if len(texts) > 1:
        seen = f"{one.envelope} has {len(texts)} SPF records, and receivers then take none; one must say all"
        return [_finding(name, Level.FAIL, seen, _line(dkim_key.zone_line(one.envelope, spf.together(texts))))]
    found = await _counted(lookup, one, texts[0], name)
    return [found] if found is not None else [await _allowed(lookup, one, texts[0], name)]


async def _counted(lookup: Lookup, one: Sender, text: str, name: str) -> Finding | None:
    """What is wrong with the record itself, whoever sends; None where nothing is."""
    whole = await spf.survey(lookup, one.envelope)
    if whole.result is spf.Result.TEMPERROR:
        return _silent(name, Exception(whole.why))
    level = Level.WARN if one.public and await _passes(lookup, one) else Level.FAIL
    passing = [*one.public, *[include for include in one.includes if include in whole.domains]]
    line = spf.for_addresses(list(one.public), includes=one.includes)
    mend = _line(dkim_key.zone_line(one.envelope, line)) if passing else Cure("digest relay test")
    if whole.why:
        return _finding(name, level, f"the record cannot be used as a whole: it {whole.why}", mend)
    if whole.lookups > spf.LOOKUPS:
        seen = (
            f"the record takes {whole.lookups} look-ups, and receivers give up after {spf.LOOKUPS}; if digest alone "
            "sends for the domain, a shorter one does"
        )
        return _finding(name, level, seen, mend)
    if whole.voids > spf.VOIDS:
        seen = f"the record asks for {whole.voids} names that are not there, and receivers give up after {spf.VOIDS}"
        return _finding(name, level, seen, mend)
    if any(word.lower() in ("all", "+all", "?all") for word in text.split(" ")):
        words = " ".join("~all" if word.lower() in ("all", "+all", "?all") else word for word in text.split(" "))
        seen = "the record lets everybody send in the domain's name"
        return _finding(name, Level.WARN, seen, _line(dkim_key.zone_line(one.envelope, words)))
    return None


async def _passes(lookup: Lookup, one: Sender) -> bool:
    """Do letters pass as it is, however bad the rest of the record?"""
    senders = [spf.Sender(address, f"bounces@{one.envelope}", one.hello or one.envelope) for address in one.public]
    return all([(await spf.evaluate(lookup, sender)).result is spf.Result.PASS for sender in senders])


async def _allowed(lookup: Lookup, one: Sender, text: str, name: str) -> Finding:
    """Does the record let our letters out?"""
    whole = await spf.survey(lookup, one.envelope)
    for include in one.includes:
        if include not in whole.domains:
            seen = f"the record does not include {include}, the servers of your relay"
            more = spf.allowing(text, [f"include:{include}"])
            return _finding(name, Level.WARN, seen, _line(dkim_key.zone_line(one.envelope, more)))
    if not one.public:
        if one.includes:
            return _finding(name, Level.OK, f"includes {', '.join(one.includes)}, {whole.lookups} look-ups")
        seen = "which addresses letters leave from is not known here: name them in [doctor] addresses"
        return _finding(name, Level.UNKNOWN, seen)
    bad: dict[str, spf.Verdict] = {}
    for address in one.public:
        sender = spf.Sender(address, f"bounces@{one.envelope}", one.hello or one.envelope)
        verdict = await spf.evaluate(lookup, sender)
        if verdict.result is spf.Result.TEMPERROR:
            return _silent(name, Exception(verdict.why))
        if verdict.result is not spf.Result.PASS:
            bad[address] = verdict
    if not bad or (one.includes and not one.sure):
        seen = f"lets {', '.join(one.public)} send, {whole.lookups} of {spf.LOOKUPS} look-ups"
        return _finding(name, Level.OK, seen)
    words = [f"ip{ipaddress.ip_address(address).version}:{address}" for address in bad]
    said = ", ".join(f"{address}: {verdict.result}" for address, verdict in bad.items())
    unless = "" if one.sure else "; if letters leave from elsewhere, name that in [doctor] addresses"
    level = await _how_bad(lookup, one)
    if level is Level.UNKNOWN:
        seen = f"the record does not let {', '.join(bad)} send, the addresses of the relay; it may send from others"
        return _finding(name, level, f"{seen}: name those in [doctor] addresses, or digest doctor --mail tells")
    mend = _line(dkim_key.zone_line(one.envelope, spf.allowing(text, words)))
    return _finding(name, level, f"the record does not let our letters out ({said}){unless}", mend)


async def _how_bad(lookup: Lookup, one: Sender) -> Level:
    """What trouble with our addresses means: the less, the less sure it is that they are ours."""
    if one.sure:
        return Level.FAIL
    try:
        own = [host for host in one.relays if await dmarc.aligned(lookup, host, one.domain, strict=False)]
    except NoAnswer:
        own = []
    return Level.WARN if own or not one.relays else Level.UNKNOWN


# ---------------------------------------------------------------- DKIM


async def _dkim(lookup: Lookup, key: Key) -> list[Finding]:
    name = f"dkim {key.name}"
    try:
        ours = dkim_key.private(key.pem)
    except ValueError as error:
        return [_finding(name, Level.FAIL, f"{key.file} {error}", Cure(f"openssl genrsa -out {key.file} 2048"))]
    try:
        texts = await lookup.txt(key.name)
    except NoAnswer as error:
        return [_silent(name, error)]
    line = _line(dkim_key.zone_line(key.name, ours.record))
    if wrong := dkim_key.faults(texts, ours):
        return [_finding(name, Level.FAIL, f"the key at {key.name} {wrong}: our signatures do not hold", line)]
    if ours.kind == "rsa" and ours.bits < dkim_key.SHORT:
        level = Level.WARN if ours.bits >= dkim_key.LEAST else Level.FAIL
        seen = f"the key has {ours.bits} bits, and should have {dkim_key.SHORT}; a new one needs a new record too"
        return [_finding(name, level, seen, Cure(f"openssl genrsa -out {key.file} {dkim_key.SHORT}"))]
    if dkim_key.parse(texts[0]).testing:
        return [_finding(name, Level.WARN, "says t=y, a test: receivers may pass over our signatures", line)]
    return [_finding(name, Level.OK, f"{ours.kind}, {ours.bits} bits, is the other half of {key.file}")]


async def _not_ours(one: Sender) -> list[Finding]:
    seen = (
        "digest does not sign, so its relay must; to see it: digest relay test --send with an address of yours, save "
        "what came, and digest doctor --mail with that file"
    )
    return [_finding(f"dkim {one.domain}", Level.UNKNOWN, seen)]


# ---------------------------------------------------------------- DMARC


async def _dmarc(lookup: Lookup, one: Sender) -> list[Finding]:
    name, at = f"dmarc {one.domain}", f"_dmarc.{one.domain}"
    fresh = f"v=DMARC1; p=none; rua=mailto:postmaster@{one.domain}"
    try:
        found = await dmarc.find(lookup, one.domain)
    except NoAnswer as error:
        return [_silent(name, error)]
    except dmarc.Unusable as error:
        seen = f"receivers pass over the DMARC record: it {error}"
        return [_finding(name, Level.FAIL, seen, _line(dkim_key.zone_line(at, fresh)))]
    if found is None:
        seen = f"neither {one.domain} nor what is above it has a DMARC record, which Gmail, Yahoo and Microsoft ask for"
        return [_finding(name, Level.FAIL, seen, _line(dkim_key.zone_line(at, fresh)))]
    remark = "" if found.reports else "; nobody gets its reports (rua=)"
    return [_finding(name, Level.OK, f"p={found.policy}, at {found.at}{remark}")]


async def _alignment(lookup: Lookup, one: Sender) -> list[Finding]:
    name = f"alignment {one.domain}"
    try:
        found = await dmarc.find(lookup, one.domain)
        strict = (found.strict_spf, found.strict_dkim) if found else (False, False)
        by_spf = await dmarc.aligned(lookup, one.envelope, one.domain, strict=strict[0])
        by_dkim = [key for key in one.keys if await dmarc.aligned(lookup, key.domain, one.domain, strict=strict[1])]
        loosely = await dmarc.aligned(lookup, one.envelope, one.domain, strict=False) or [
            key for key in one.keys if await dmarc.aligned(lookup, key.domain, one.domain, strict=False)
        ]
    except NoAnswer as error:
        return [_silent(name, error)]
    except dmarc.Unusable:
        return [_finding(name, Level.UNKNOWN, "the DMARC record must be mended first")]
    ways = ["SPF"] * by_spf + ["DKIM"] * bool(by_dkim)
    if ways:
        return [
            _finding(name, Level.OK, f"{' and '.join(ways)} {'speak' if len(ways) > 1 else 'speaks'} for {one.domain}")
        ]
    if not one.keys:
        seen = f"bounces go to {one.envelope}, which is not {one.domain}: the relay's signature must be of {one.domain}"
        return [_finding(name, Level.UNKNOWN, f"{seen}; digest doctor --mail tells")]
    seen = f"neither the bounce domain {one.envelope} nor a signature counts for From: {one.domain}"
    if loosely and found is not None:
        line = dkim_key.zone_line(f"_dmarc.{found.at}", dmarc.mended(found.text, adkim="r", aspf="r"))
        return [_finding(name, Level.FAIL, f"{seen}, since its DMARC record is strict (adkim, aspf)", _line(line))]
    mend = Cure(f'envelope_domain = "{one.domain}"', Place.SETTINGS, one.table, one.file)
    return [_finding(name, Level.FAIL, seen, mend)]


# ---------------------------------------------------------------- where mail comes back, and names of addresses


async def _mx(lookup: Lookup, one: Sender, domain: str) -> list[Finding]:
    name = f"mx {domain}"
    what = "bounces" if domain == one.envelope else "answers"
    line = _line(f"{domain}. IN MX 10 {one.host}.") if one.host else None
    try:
        hosts = await lookup.mx(domain)
        if hosts == [""]:
            seen = f"{domain} takes no mail (a null MX), so {what} are lost and some receivers refuse our letters"
            return [_finding(name, Level.FAIL, seen, line)]
        reached = [host for host in hosts if await lookup.addresses(host)]
        direct = await lookup.addresses(domain) if not hosts else []
    except NoAnswer as error:
        return [_silent(name, error)]
    if reached:
        return [_finding(name, Level.OK, f"{what} go to {', '.join(reached[:3])}")]
    if hosts:
        seen = f"the mail server {hosts[0]} of {domain} has no address"
        mend = _line(f"{hosts[0]}. IN {_kind(one.public[0])} {one.public[0]}") if one.public else line
        return [_finding(name, Level.FAIL, seen, mend)]
    if direct:
        seen = f"{domain} has no MX; {what} go to its own address {direct[0]}, if a mail server is there"
        return [_finding(name, Level.WARN, seen, line)]
    seen = f"{domain} has no mail server, so {what} are lost and some receivers refuse our letters"
    return [_finding(name, Level.FAIL, seen, line)]


async def _hints(lookup: Lookup, domain: str) -> list[Finding]:
    """MTA-STS (RFC 8461) and TLS reports (RFC 8460) are for mail that comes in: nobody asks senders for them."""
    name = f"mta-sts {domain}"
    try:
        sts = [text for text in await lookup.txt(f"_mta-sts.{domain}") if text.startswith("v=STSv1")]
        reports = [text for text in await lookup.txt(f"_smtp._tls.{domain}") if text.startswith("v=TLSRPTv1")]
    except NoAnswer as error:
        return [_silent(name, error)]
    has = [word for word, there in (("MTA-STS", sts), ("TLS-RPT", reports)) if there]
    seen = f"has {' and '.join(has)}" if has else "has neither MTA-STS nor TLS-RPT, which would guard what comes back"
    return [_finding(name, Level.OK, seen)]


async def _reverse(lookup: Lookup, one: Sender, address: str) -> list[Finding]:
    name = f"ptr {address}"
    host = one.hello or f"mail.{one.envelope}"
    try:
        level = await _how_bad(lookup, one)
        names = await lookup.names(address)
        if not names:
            pointer = ipaddress.ip_address(address).reverse_pointer
            seen = f"{address} has no name (PTR), and large receivers refuse mail from such addresses"
            return [_finding(name, level, seen, _line(f"{pointer}. IN PTR {host}."))]
        back = await known_names(lookup, address)
    except NoAnswer as error:
        return [_silent(name, error)]
    if back:
        return [_finding(name, Level.OK, f"{address} is {back[0]}, and back")]
    seen = f"{address} is called {names[0]}, which does not lead back to it"
    return [_finding(name, level, seen, _line(f"{names[0]}. IN {_kind(address)} {address}"))]


async def _hello(lookup: Lookup, one: Sender) -> list[Finding]:
    name = f"hello {one.hello}"
    try:
        found = await lookup.addresses(one.hello)
    except NoAnswer as error:
        return [_silent(name, error)]
    known = {ipaddress.ip_address(address) for address in found}
    missing = [address for address in one.addresses if ipaddress.ip_address(address) not in known]
    if not missing:
        return [_finding(name, Level.OK, f"{one.hello} (EHLO) is {', '.join(found)}")]
    seen = f"our name in EHLO, {one.hello}, does not lead to {missing[0]}, from which we send"
    return [_finding(name, Level.WARN, seen, _line(f"{one.hello}. IN {_kind(missing[0])} {missing[0]}"))]


def _kind(address: str) -> str:
    return "A" if ipaddress.ip_address(address).version == 4 else "AAAA"
