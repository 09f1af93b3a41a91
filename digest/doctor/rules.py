"""What Gmail, Yahoo and Microsoft ask of who sends 5,000 letters a day: met, not met, or not to be seen here. Pure.

Sources: Google's "Email sender guidelines" (2024), Yahoo's Sender Hub "Best practices" (2024), Microsoft's
"Strengthening Email Ecosystem: Outlook's New Requirements for High-Volume Senders" (2025).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from digest.doctor.findings import Cure, Finding, Level

SECTION = "rules"
_GMAIL, _YAHOO, _MICROSOFT = "Gmail", "Yahoo", "Microsoft"
_ALL = (_GMAIL, _YAHOO, _MICROSOFT)


@dataclass(frozen=True)
class Rule:
    """What is asked. It is met where all findings whose names begin with one of `by` are well."""

    name: str
    words: str
    whose: Sequence[str]
    by: Sequence[str] = ()
    how: str = ""  # to find out, where that cannot be seen here


_MAIL = "digest doctor --mail, with a test mail that came there"
_LINKS = "digest doctor --only links"
_SNDS = "https://sendersupport.olc.protection.outlook.com/snds/"
_CFL = "https://senders.yahooinc.com/ (Complaint Feedback Loop)"
_TWO = (_GMAIL, _YAHOO)
RULES = (
    Rule("spf", "SPF passes", _ALL, ("dns spf",), _MAIL),
    Rule("dkim", "DKIM passes", _ALL, ("dns dkim",), _MAIL),
    Rule("dmarc", "a DMARC policy, p=none at least", _ALL, ("dns dmarc",), "digest doctor --only dns"),
    Rule("alignment", "From: agrees with SPF or DKIM", _ALL, ("dns alignment",), _MAIL),
    Rule("ptr", "names of sending addresses, there and back", _TWO, ("dns ptr",), "ask who runs your relay"),
    Rule("one-click", "leaving with one click (RFC 8058)", _TWO, ("links one-click",), _LINKS),
    Rule("two days", "who leaves gets nothing after two days", _TWO, ("links one-click",), _LINKS),
    Rule("answers", "From: takes answers", (_MICROSOFT,), ("dns mx",), "write to the address"),
    Rule("unsubscribe", "a link to leave that works", (_MICROSOFT,), ("links one-click",), _LINKS),
    Rule("tls", "TLS on the way to them", (_GMAIL,), (), "the details of a mail there, and your relay's log"),
    Rule("spam rate", "complaints below 0.3 %, better 0.1 %", (_GMAIL,), (), "https://postmaster.google.com/"),
    Rule("spam rate", "complaints below 0.3 %", (_YAHOO,), (), _CFL),
    Rule("reputation", "few complaints and dead addresses", (_MICROSOFT,), (), _SNDS),
)


def judge(findings: Iterable[Finding], *, domains: Sequence[str], note: str = "") -> list[Finding]:
    """A finding for each rule of each of the three. `note` is what is known here of complaints."""
    listed = list(findings)
    found = [_own_name(whose, domains) for whose in _ALL]
    for rule in RULES:
        level, bad = _met(rule, listed)
        why = bad.name if bad else ""
        cure = Cure(f"digest doctor --only {bad.section}") if bad else None
        for whose in rule.whose:
            seen = {
                Level.OK: f"met: {rule.words}",
                Level.WARN: f"not met: {rule.words} ({why})",
                Level.UNKNOWN: f"not to be seen from here: {rule.words}; how to find out: {rule.how}",
            }[level]
            if rule.name in ("spam rate", "reputation") and note:
                seen += f" ({note})"
            found.append(Finding(SECTION, f"{whose} {rule.name}", level, seen, cure))
    return sorted((one for one in found if one), key=lambda one: _ALL.index(one.name.split(" ")[0]))


def _met(rule: Rule, findings: Sequence[Finding]) -> tuple[Level, Finding | None]:
    mine = [one for one in findings for start in rule.by if f"{one.section} {one.name}".startswith(start)]
    if bad := next((one for one in mine if one.level is Level.FAIL), None):
        return Level.WARN, bad
    if not mine or any(one.level is not Level.OK for one in mine):
        return Level.UNKNOWN, None
    return Level.OK, None


_FREE = {
    _GMAIL: ("gmail.com", "googlemail.com"),
    _YAHOO: ("yahoo.com", "aol.com", "ymail.com"),
    _MICROSOFT: ("outlook.com", "hotmail.com", "live.com", "msn.com"),
}


def _own_name(whose: str, domains: Sequence[str]) -> Finding:
    """Nobody may send in the name of their customers."""
    theirs = [domain for domain in domains if domain in _FREE[whose]]
    if theirs:
        seen = f"not met: From: is an address at {theirs[0]}, and {whose} lets nobody else send in its name"
        return Finding(SECTION, f"{whose} own domain", Level.WARN, seen)
    return Finding(SECTION, f"{whose} own domain", Level.OK, "met: From: is a domain of your own")
