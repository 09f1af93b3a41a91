"""SPF, DKIM keys, DMARC and names of addresses: judged without a network, and asked of a real name server."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from dnsserver import DnsServer

from digest.config import name_server
from digest.doctor import Level, dkim_key, dmarc, run, senders, spf
from digest.doctor.dns import Known, NoAnswer, Resolver

US, THEM = "192.0.2.25", "198.51.100.9"


def zone(**names: Any) -> Known:
    """`a_example={"TXT": […]}` is a.example; a plain text is its one TXT record."""
    records = {}
    for name, kinds in names.items():
        for kind, values in ({"TXT": [kinds]} if isinstance(kinds, str) else kinds).items():
            records[name.replace("__", "-").replace("_", "."), kind] = values
    return Known(records)


def judged(known: Known, address: str = US, *, mail_from: str = "bounces@a.example") -> spf.Verdict:
    return asyncio.run(spf.evaluate(known, spf.Sender(address, mail_from, "mail.a.example")))


# Names of ours; what is said of US, and of THEM.
RECORDS = [
    ("v=spf1 ip4:192.0.2.0/24 -all", "pass", "fail"),
    ("v=spf1 ip4:192.0.2.25 ~all", "pass", "softfail"),
    ("V=SPF1 IP4:192.0.2.25 ?ALL", "pass", "neutral"),
    ("v=spf1", "neutral", "neutral"),
    ("v=spf1 a -all", "pass", "fail"),
    ("v=spf1 a/16 -all", "pass", "fail"),
    ("v=spf1 a:other.example/24 -all", "fail", "pass"),
    ("v=spf1 mx -all", "pass", "fail"),
    ("v=spf1 mx:other.example//64 mx/32 -all", "pass", "fail"),
    ("v=spf1 include:inner.example -all", "pass", "fail"),
    ("v=spf1 ?include:inner.example -all", "neutral", "fail"),
    ("v=spf1 redirect=inner.example", "pass", "softfail"),
    ("v=spf1 -all redirect=nowhere.example", "fail", "fail"),
    ("v=spf1 exists:%{ir}.list.example -all", "pass", "fail"),
    ("v=spf1 exists:%{l1r-}.%{d2}.flags.example -all", "pass", "pass"),
    ("v=spf1 ptr:a.example -all", "pass", "fail"),
    ("v=spf1 some-modifier=anything ip4:192.0.2.25 exp=why.example -all", "pass", "fail"),
    ("v=spf1 ip6:2001:db8::/32 -all", "fail", "fail"),
    ("v=spf10 ip4:192.0.2.25 -all", "none", "none"),
    ("v=spf1 ip4:192.0.2.300 -all", "permerror", "permerror"),
    ("v=spf1 ip4:2001:db8::1 -all", "permerror", "permerror"),
    ("v=spf1 ipv4:192.0.2.25 -all", "permerror", "permerror"),
    ("v=spf1 include -all", "permerror", "permerror"),
    ("v=spf1 include:nowhere.example -all", "permerror", "permerror"),
    ("v=spf1 include:circle.example -all", "permerror", "permerror"),
    ("v=spf1 redirect=nowhere.example", "permerror", "permerror"),
    ("v=spf1 redirect=a.example redirect=a.example", "permerror", "permerror"),
    ("v=spf1 exists:%{y}.example -all", "permerror", "permerror"),
    ("v=spf1 a/33 -all", "permerror", "permerror"),
    ("v=spf1 include:silent.example -all", "temperror", "temperror"),
]


@pytest.mark.parametrize(("record", "us", "them"), RECORDS, ids=[row[0] for row in RECORDS])
def test_spf_says_what_a_receiver_would_say(record, us, them):
    known = zone(
        a_example={"TXT": ["some=other", record], "A": [US], "MX": ["mail.a.example"]},
        mail_a_example={"A": [US]},
        other_example={"A": ["198.51.100.1"], "MX": ["mail.other.example"]},
        mail_other_example={"AAAA": ["2001:db8::7"]},
        inner_example="v=spf1 ip4:192.0.2.25 ~all",
        circle_example="v=spf1 include:a.example -all",
    )
    known.records["25.2.0.192.list.example", "A"] = ["127.0.0.2"]
    known.records["bounces.a.example.flags.example", "A"] = ["127.0.0.2"]
    known.records[US, "PTR"] = ["mail.a.example"]
    known.records[THEM, "PTR"] = ["mail.a.example"]  # which does not lead back
    known.silent = frozenset({"silent.example"})
    assert (judged(known).result, judged(known, THEM).result) == (us, them)


def test_spf_knows_an_ipv6_address_and_one_that_is_mapped():
    known = zone(a_example="v=spf1 ip6:2001:db8::/64 ip4:192.0.2.25 -all")
    for address, result in (("2001:db8::9", "pass"), ("2001:db8:1::9", "fail"), ("::ffff:192.0.2.25", "pass")):
        assert judged(known, address).result == result
    known = zone(a_example="v=spf1 exists:%{ir}.%{v}.list.example -all")
    judged(known, "2001:db8::9")
    nibbles = "9." + "0." * 23 + "8.b.d.0.1.0.0.2"
    assert (f"{nibbles}.ip6.list.example", "A") in known.asked


def test_spf_counts_ten_look_ups_and_two_that_lead_nowhere():
    many = {f"n{n}_example": f"v=spf1 ip4:198.51.100.{n} -all" for n in range(11)}
    ten = zone(a_example=f"v=spf1 {' '.join(f'include:n{n}.example' for n in range(10))} ip4:{US} -all", **many)
    assert (judged(ten).result, judged(ten).lookups) == ("pass", 10)
    eleven = zone(a_example=f"v=spf1 {' '.join(f'include:n{n}.example' for n in range(11))} ip4:{US} -all", **many)
    assert judged(eleven).result == "permerror" and "more than 10" in judged(eleven).why
    early = zone(a_example=f"v=spf1 ip4:{US} {' '.join(f'include:n{n}.example' for n in range(11))} -all", **many)
    assert judged(early).result == "pass"
    whole = asyncio.run(spf.survey(early, "a.example"))
    assert (whole.result, whole.lookups) == ("pass", 11), "a survey counts what stands after a match too"
    two = zone(a_example=f"v=spf1 a:x.example a:y.example ip4:{US} -all")
    assert judged(two).result == "pass"
    three = zone(a_example=f"v=spf1 a:x.example a:y.example exists:z.example ip4:{US} -all")
    assert judged(three).result == "permerror" and "not there" in judged(three).why
    twice = zone(a_example={"TXT": ["v=spf1 -all", f"v=spf1 ip4:{US} -all"]})
    assert judged(twice).result == "permerror"


def test_a_chain_without_an_end_is_left_after_a_while():
    class Endless(Known):
        async def txt(self, name: str) -> list[str]:
            return [f"v=spf1 include:x.{name} include:y.{name} -all"]

    whole = asyncio.run(spf.survey(Endless(), "a.example"))
    assert whole.result == "permerror" and whole.lookups < 100


def test_records_of_ours_let_our_addresses_send_and_keep_what_others_said():
    assert spf.for_addresses([US, "2001:db8::1"], includes=["x.example"]) == (
        f"v=spf1 ip4:{US} ip6:2001:db8::1 include:x.example ~all"
    )
    assert spf.allowing("v=spf1 mx  -all", ["ip4:1.2.3.4"]) == "v=spf1 mx ip4:1.2.3.4 -all"
    assert spf.allowing("v=spf1 mx", ["ip4:1.2.3.4"]) == "v=spf1 mx ip4:1.2.3.4 ~all"
    assert spf.allowing("v=spf1 redirect=x.example", ["mx"]) == "v=spf1 mx redirect=x.example"
    assert spf.together(["v=spf1 mx -all", "v=spf1 a mx ~all"]) == "v=spf1 mx a ~all"


# ---------------------------------------------------------------- DKIM


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    return {
        "rsa": generate_private_key(65537, 2048),
        "other": generate_private_key(65537, 2048),
        "short": generate_private_key(65537, 1024),
        "ed25519": Ed25519PrivateKey.generate(),
    }


def pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_published_key_is_compared_with_the_one_that_signs(keys):
    for kind in ("rsa", "ed25519"):
        ours = dkim_key.private(pem(keys[kind]))
        p = ours.public
        good = [
            ours.record,
            f"k={kind}; p={p}",
            f"v=DKIM1;k={kind};p={p[:30]} {p[30:]};",
            f"v=DKIM1; k={kind}; h=sha1:sha256; s=email; t=s; n=made by us; p={p}",
        ]
        assert [dkim_key.faults([text], ours) for text in good] == [""] * len(good)
        bad = {
            "is not there": [],
            "is there 2 times": [ours.record, ours.record],
            "revoked": [f"v=DKIM1; k={kind}; p="],
            "another key": [dkim_key.private(pem(keys["other"])).record],
            "no p=": [f"v=DKIM1; k={kind}"],
            "no base64": [f"v=DKIM1; k={kind}; p=%%%"],
            "does not begin": [f"v=DKIM2; k={kind}; p={p}"],
            "SHA-256": [f"v=DKIM1; h=sha1; k={kind}; p={p}"],
            "not for mail": [f"v=DKIM1; s=tlsrpt; k={kind}; p={p}"],
            "nobody knows": [f"v=DKIM1; k=dsa; p={p}"],
            "no tag": ["v=DKIM1; hello"],
            "twice": [f"v=DKIM1; k={kind}; k={kind}; p={p}"],
        }
        for words, texts in bad.items():
            assert words in dkim_key.faults(texts, ours), (kind, words)
    cut = dkim_key.private(pem(keys["rsa"]))
    assert "no public key" in dkim_key.faults([f"v=DKIM1; p={cut.public[:40]}"], cut)
    bare = keys["rsa"].public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert dkim_key.faults([f"v=DKIM1; p={base64.b64encode(bare).decode()}"], cut) == ""
    with pytest.raises(ValueError, match="PEM"):
        dkim_key.private(b"no key")


def test_a_long_key_stands_in_a_zone_in_pieces(keys):
    record = dkim_key.private(pem(keys["rsa"])).record
    line = dkim_key.zone_line("s._domainkey.a.example", record)
    assert all(len(piece) <= 255 for piece in line.split('"')[1::2]) and "".join(line.split('"')[1::2]) == record
    with DnsServer([line]) as server:
        assert asyncio.run(Resolver(server.address).txt("s._domainkey.a.example")) == [record]


# ---------------------------------------------------------------- DMARC


def policy(known: Known, domain: str = "news.a.example") -> dmarc.Policy | None:
    return asyncio.run(dmarc.find(known, domain))


def dmarc_at(**texts: Any) -> Known:
    return Known({(f"_dmarc.{name.replace('_', '.')}", "TXT"): [text] for name, text in texts.items()})


def test_the_policy_of_a_domain_is_its_own_or_that_of_the_organization():
    own = policy(dmarc_at(news_a_example="v=DMARC1; p=reject", a_example="v=DMARC1; p=none; sp=quarantine"))
    assert own is not None and (own.policy, own.at, own.org) == ("reject", "news.a.example", "a.example")
    upper = policy(dmarc_at(a_example="v=DMARC1; p=none; sp=quarantine; rua=mailto:x@a.example; adkim=s"))
    assert upper is not None and (upper.policy, upper.at) == ("quarantine", "a.example")
    assert (upper.strict_dkim, upper.strict_spf, upper.reports) == (True, False, True)
    assert policy(dmarc_at()) is None
    assert policy(dmarc_at(a_example="v=spf1 -all")) is None
    suffix = dmarc_at(example="v=DMARC1; p=reject; psd=y", a_example="v=DMARC1; p=none")
    assert asyncio.run(dmarc.organization(suffix, "news.a.example")) == "a.example"
    reports_alone = policy(dmarc_at(news_a_example="v=DMARC1; rua=mailto:x@a.example"))
    assert reports_alone is not None and reports_alone.policy == "none"


@pytest.mark.parametrize("text", ["v=DMARC1", "v=DMARC1; p=maybe", "v=DMARC1; reject", "v=DMARC1; p=none; p=reject"])
def test_a_policy_that_receivers_pass_over_is_none(text):
    with pytest.raises(dmarc.Unusable):
        policy(dmarc_at(news_a_example=text))
    twice = Known({("_dmarc.news.a.example", "TXT"): ["v=DMARC1; p=none", "v=DMARC1; p=reject"]})
    with pytest.raises(dmarc.Unusable, match="2 records"):
        policy(twice)


def test_two_domains_are_aligned_strictly_or_by_their_organization():
    known = dmarc_at(a_example="v=DMARC1; p=none")

    def aligned(one: str, other: str, *, strict: bool = False) -> bool:
        return asyncio.run(dmarc.aligned(known, one, other, strict=strict))

    assert aligned("a.example", "A.example.", strict=True)
    assert aligned("news.a.example", "mail.a.example")
    assert aligned("news.a.example", "a.example")
    assert not aligned("news.a.example", "a.example", strict=True)
    assert not aligned("a.example", "b.example") and not aligned("a.example", "aa.example")


# ---------------------------------------------------------------- findings about a sender


def found(known: Any, **changed: Any) -> dict[str, Any]:
    one = senders.Sender(**{"domain": "a.example", "envelope": "a.example", "addresses": (US,), "sure": True} | changed)
    checks = senders.checks(known, [one], seconds=30)
    return {finding.name: finding for finding in asyncio.run(run(checks))}


def test_what_a_silent_name_server_does_not_say_is_not_known_and_told_once_as_a_fault():
    known = Known(silent=frozenset({"a.example", "_dmarc.a.example", "_mta-sts.a.example", US}))
    rows = found(known)
    assert rows["name server"].level is Level.FAIL
    rest = {name: row.level for name, row in rows.items() if name != "name server"}
    assert set(rest.values()) == {Level.UNKNOWN}, rest


def test_a_service_that_sends_for_us_must_be_included_and_its_addresses_are_its_own():
    known = zone(a_example="v=spf1 mx -all", sendgrid_net="v=spf1 ip4:203.0.113.0/24 -all")
    row = found(known, includes=("sendgrid.net",), addresses=("8.8.8.8",), sure=False)["spf a.example"]
    assert row.level is Level.WARN and row.cure.text == ('a.example. IN TXT "v=spf1 mx include:sendgrid.net -all"')
    known.records["a.example", "TXT"] = ["v=spf1 include:sendgrid.net -all"]
    row = found(known, includes=("sendgrid.net",), addresses=("8.8.8.8",), sure=False)["spf a.example"]
    assert row.level is Level.OK
    assert senders.service_of("smtp.sendgrid.net") == "sendgrid.net" and senders.service_of("sendgrid.net.evil") == ""
    assert senders.service_of("email-smtp.eu-west-1.amazonaws.com") == "amazonses.com"


@pytest.mark.parametrize(
    ("record", "level", "words", "cure"),
    [
        ("v=spf1 -all", "fail", "192.0.2.25: fail", "v=spf1 ip4:192.0.2.25 -all"),
        ("v=spf1 ip4:192.0.2.25 +all", "warn", "everybody", "v=spf1 ip4:192.0.2.25 ~all"),
        ("v=spf1 ip5:x -all", "fail", "cannot be used as a whole", "v=spf1 ip4:192.0.2.25 ~all"),
        (
            "v=spf1 " + " ".join(f"include:n{n}.example" for n in range(11)) + " ip4:192.0.2.25 -all",
            "fail",
            "11 look-ups",
            "v=spf1 ip4:192.0.2.25 ~all",
        ),
        (
            "v=spf1 a:x.example a:y.example a:z.example ip4:192.0.2.25 -all",
            "fail",
            "3 names",
            "v=spf1 ip4:192.0.2.25 ~all",
        ),
    ],
)
def test_a_record_that_does_not_let_us_send_has_a_line_that_does(record, level, words, cure):
    many = {f"n{n}_example": "v=spf1 -all" for n in range(11)}
    known = zone(a_example=record, **many)
    row = found(known)["spf a.example"]
    assert (row.level, row.cure.text) == (level, f'a.example. IN TXT "{cure}"') and words in row.seen
    known.records["a.example", "TXT"] = [cure]
    assert found(known)["spf a.example"].level is Level.OK


def test_a_relay_of_somebody_else_may_send_from_other_addresses_and_one_of_ours_not():
    known = zone(a_example="v=spf1 include:inner.example -all", inner_example="v=spf1 ip4:203.0.113.0/24 -all")
    named = {"addresses": ("8.8.8.8",), "sure": False}
    theirs = found(known, relays=("smtp.provider.example",), **named)
    assert {theirs[name].level for name in ("spf a.example", "ptr 8.8.8.8")} == {Level.UNKNOWN}
    ours = found(known, relays=("mail.a.example",), **named)
    assert {ours[name].level for name in ("spf a.example", "ptr 8.8.8.8")} == {Level.WARN}
    sure = found(known, relays=("smtp.provider.example",), **named | {"sure": True})
    assert {sure[name].level for name in ("spf a.example", "ptr 8.8.8.8")} == {Level.FAIL}


def test_what_stands_behind_what_lets_us_send_is_a_warning():
    row = found(zone(a_example=f"v=spf1 ip4:{US} include:gone.example -all"))["spf a.example"]
    assert row.level is Level.WARN and "gone.example leads to a domain without a record" in row.seen


def test_mail_servers_that_lead_nowhere_are_told():
    for kinds, level in (
        ({"MX": ["mail.a.example"]}, "fail"),
        ({"MX": [""]}, "fail"),
        ({"A": [US]}, "warn"),
        ({}, "fail"),
    ):
        row = found(zone(a_example=kinds), host="mx.host.example")["mx a.example"]
        assert row.level == level and row.cure is not None, kinds
    row = found(zone(a_example={"MX": ["mail.a.example"]}, mail_a_example={"AAAA": ["2001:db8::1"]}))["mx a.example"]
    assert row.level is Level.OK


def test_a_name_that_does_not_lead_back_is_told_with_the_line_that_does():
    known = zone()
    assert "has no name" in found(known, hello="mail.a.example")[f"ptr {US}"].seen
    known.records[US, "PTR"] = ["host.provider.example"]
    row = found(known)[f"ptr {US}"]
    assert row.level is Level.FAIL and row.cure.text == f"host.provider.example. IN A {US}"
    known.records["host.provider.example", "A"] = [US]
    assert found(known)[f"ptr {US}"].level is Level.OK
    six = "2001:db8::25"
    row = found(known, addresses=(six,), hello="mail.a.example")[f"ptr {six}"]
    assert row.cure.text.endswith("8.b.d.0.1.0.0.2.ip6.arpa. IN PTR mail.a.example.")


def test_a_short_key_and_a_test_are_told(keys):
    for kind, extra, level in (("short", "", "warn"), ("rsa", "; t=y", "warn"), ("rsa", "", "ok")):
        key = senders.Key("a.example", "s", pem(keys[kind]), "dkim.pem")
        record = dkim_key.private(key.pem).record + extra
        rows = found(Known({("s._domainkey.a.example", "TXT"): [record]}), keys=(key,))
        assert rows["dkim s._domainkey.a.example"].level == level


# ---------------------------------------------------------------- a real name server


def test_the_name_server_is_asked_once_for_each_thing_and_nothing_is_told_from_no_answer():
    # fmt: off
    lines = ['a.example. IN TXT "one" "two"', "a.example. IN A 192.0.2.1", "a.example. IN MX 20 b.example.",
             "a.example. IN MX 10 c.example.", "1.2.0.192.in-addr.arpa. IN PTR A.example.", "d.example. IN MX 0 ."]
    # fmt: on
    with DnsServer(lines) as server:
        server.broken, server.silent = {"broken.example."}, {"silent.example."}

        async def ask() -> list[Any]:
            lookup = Resolver(server.address, 60)  # which nothing here takes
            quick = Resolver(server.address, 0.2)
            told = [
                *await asyncio.gather(lookup.txt("a.example"), lookup.txt("A.example.")),
                await lookup.addresses("a.example"),
                await lookup.mx("a.example"),
                await lookup.mx("d.example"),
                await lookup.names("192.0.2.1"),
                await lookup.txt("nothing.example"),
                await lookup.mx("mail.a.example"),
            ]
            for one, name in ((quick, "silent.example"), (quick, "broken.example")):
                with pytest.raises(NoAnswer, match=name):
                    await one.txt(name)
            return told

        answers = asyncio.run(ask())
        assert answers == [
            ["onetwo"],
            ["onetwo"],
            ["192.0.2.1"],
            ["c.example", "b.example"],
            [""],
            ["a.example"],
            [],
            [],
        ]
        assert server.asked.count(("a.example.", "TXT")) == 1


def test_the_address_of_a_name_server_is_read():
    assert [name_server(words) for words in ("192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:53")] == [
        ("192.0.2.1", 53), ("192.0.2.1", 5353), ("2001:db8::1", 53), ("2001:db8::1", 53),
    ]  # fmt: skip
    for words in ("dns.example", "192.0.2.1:0", "192.0.2.1:x", ""):
        with pytest.raises(ValueError):
            name_server(words)
