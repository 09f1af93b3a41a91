"""`digest doctor --mail`: what receivers write about a mail, in their own forms; names are made up."""

from __future__ import annotations

import json

import pytest

from digest.doctor import results
from digest.doctor.results import Received

OURS = b"""\
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=news.example; s=digest;
 t=1764000000; bh=YWJj;
 h=from:to:subject:date:message-id:list-id:list-unsubscribe:
  list-unsubscribe-post:from;
 b=ZGVm
From: The Daily <daily@news.example>
To: you@there.example
Subject: Daily
List-Unsubscribe: <https://news.example/unsubscribe/abc>, <mailto:leave@news.example>
List-Unsubscribe-Post: List-Unsubscribe=One-Click

Hello.
"""
GMAIL = b"""\
Delivered-To: you@gmail.example
Received: by 2002:a05:6a20:1234:b0:1:2:3 with SMTP id x1;
        Tue, 24 Nov 2026 07:00:02 -0800 (PST)
X-Received: by 2002:a17:902:1 with SMTP id y2; Tue, 24 Nov 2026 07:00:02 -0800 (PST)
ARC-Seal: i=1; a=rsa-sha256; t=1764000002; cv=none; d=google.com; s=arc-20240605; b=abc
ARC-Authentication-Results: i=1; mx.google.com;
       dkim=pass header.i=@news.example header.s=digest header.b=ZGVm;
       spf=pass smtp.mailfrom=b-1@bounces.news.example
Return-Path: <b-1@bounces.news.example>
Received: from mail.news.example (mail.news.example. [192.0.2.25])
        by mx.google.com with ESMTPS id z3 for <you@gmail.example>
        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);
        Tue, 24 Nov 2026 07:00:01 -0800 (PST)
Received-SPF: pass (google.com: domain of b-1@bounces.news.example designates 192.0.2.25 as permitted sender)
Authentication-Results: mx.google.com;
       dkim=pass header.i=@news.example header.s=digest header.b=ZGVm;
       spf=pass (google.com: domain of b-1@bounces.news.example designates 192.0.2.25 as permitted sender) smtp.mailfrom=b-1@bounces.news.example;
       dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=news.example
"""  # noqa: E501
OUTLOOK = b"""\
Received: from SN1.prod.example (2603:10b6:1::1) by SN2.prod.example with HTTPS; Tue, 24 Nov 2026 15:00:02 +0000
Authentication-Results: spf=pass (sender IP is 192.0.2.25)
 smtp.mailfrom=bounces.news.example; dkim=pass (signature was verified)
 header.d=news.example;dmarc=pass action=none
 header.from=news.example;compauth=pass reason=100
Received-SPF: Pass (protection.outlook.com: domain of bounces.news.example designates 192.0.2.25 as permitted sender)
Received: from mail.news.example (192.0.2.25) by SN3.mail.protection.example with Microsoft SMTP Server
 (version=TLS1_3, cipher=TLS_AES_256_GCM_SHA384) id 15.20; Tue, 24 Nov 2026 15:00:01 +0000
"""
YAHOO = b"""\
X-Apparently-To: you@yahoo.example; Tue, 24 Nov 2026 15:00:02 +0000
Return-Path: <b-1@bounces.news.example>
Authentication-Results: atlas-production.v2-mail-prod1-gq1.omega.yahoo.example;
 dkim=pass header.i=@news.example header.s=digest;
 spf=pass smtp.mailfrom=bounces.news.example;
 dmarc=pass(p=NONE,sp=NULL,dis=none) header.from=news.example;
Received: from 192.0.2.25 (EHLO mail.news.example)
 by 10.1.2.3 with SMTPs
 (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384);
 Tue, 24 Nov 2026 15:00:01 +0000
"""
FASTMAIL = b"""\
Received: from phl-compute-01.internal (phl-compute-01.nyi.internal [10.0.0.1])
\t by sloti1.internal (Cyrus) with LMTPA; Tue, 24 Nov 2026 10:00:02 -0500
ARC-Seal: i=1; a=rsa-sha256; cv=none; d=messagingengine.example; s=fm1; t=1764000002; b=abc
ARC-Authentication-Results: i=1; mx5.messagingengine.example; arc=none (no signatures found);
    dkim=pass (2048-bit rsa key sha256) header.d=news.example
Authentication-Results: mx5.messagingengine.example;
    arc=none (no signatures found)
Authentication-Results: mx5.messagingengine.example;
    bimi=skipped (DMARC Policy is not at enforcement)
Authentication-Results: mx5.messagingengine.example;
    dkim=pass (2048-bit rsa key sha256) header.d=news.example
    header.i=@news.example header.b=ZGVm header.a=rsa-sha256
    header.s=digest x-bits=2048;
    dmarc=pass policy.published-domain-policy=none
    policy.applied-disposition=none policy.evaluated-disposition=none
    (p=none,d=none,d.eval=none) policy.policy-from=p
    header.from=news.example;
    iprev=pass smtp.remote-ip=192.0.2.25 (mail.news.example);
    spf=pass smtp.mailfrom=b-1@bounces.news.example
    smtp.helo=mail.news.example
X-ME-VSScore: 0
Received-SPF: pass (bounces.news.example: 192.0.2.25 is authorized) receiver=mx5.messagingengine.example
Received: from mail.news.example (mail.news.example [192.0.2.25])
\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))
\tby mx5.messagingengine.example (Postfix) with ESMTPS id 1234; Tue, 24 Nov 2026 10:00:01 -0500
"""
RSPAMD = b"""\
Return-Path: <b-1@bounces.news.example>
Received: from mail.news.example (mail.news.example [192.0.2.25])
\tby mx.there.example (Postfix) with ESMTPS id 5678; Tue, 24 Nov 2026 16:00:01 +0100
Authentication-Results: mx.there.example;
\tdkim=pass header.d=news.example header.s=digest header.b=ZGVm;
\tspf=pass (mx.there.example: domain of "b-1@bounces.news.example" designates 192.0.2.25 as permitted sender) smtp.mailfrom="b-1@bounces.news.example";
\tdmarc=pass (policy=none) header.from=news.example
X-Spamd-Result: default: False [-3.10 / 15.00]
"""  # noqa: E501
OPENDKIM = b"""\
Authentication-Results: mx.there.example; dmarc=pass (p=none dis=none) header.from=news.example
Authentication-Results: mx.there.example; spf=pass smtp.mailfrom=bounces.news.example
Authentication-Results: mx.there.example;
\tdkim=pass (2048-bit key; unprotected) header.d=news.example header.i=@news.example header.b="ZGVm; x";
\tdkim-atps=neutral
Received: from mail.news.example (mail.news.example [192.0.2.25])
\tby mx.there.example (Postfix) with ESMTPS id 5678; Tue, 24 Nov 2026 16:00:01 +0100
"""
FORMS = {
    "mx.google.com": GMAIL,
    "Microsoft": OUTLOOK,
    "atlas-production.v2-mail-prod1-gq1.omega.yahoo.example": YAHOO,
    "mx5.messagingengine.example": FASTMAIL,
    "mx.there.example": RSPAMD,
    "mx.there.example ": OPENDKIM,
}


def rows(raw: bytes) -> dict[str, results.Finding]:
    return {one.name: one for one in results.judge(Received.of(raw))}


@pytest.mark.parametrize("who", FORMS)
@pytest.mark.parametrize("crlf", [False, True])
def test_a_mail_that_passed_is_read_in_the_form_of_each_receiver(who, crlf):
    raw = FORMS[who] + OURS
    found = rows(raw.replace(b"\n", b"\r\n") if crlf else raw)
    assert found["receiver"].seen.startswith(who.strip())
    levels = {name: found[name].level for name in ("spf", "dkim", "dmarc", "one-click", "tls")}
    assert set(levels.values()) == {"ok"}, found
    assert "bounces.news.example" in found["spf"].seen and "news.example" in found["dkim"].seen


@pytest.mark.parametrize("who", FORMS)
@pytest.mark.parametrize("method", ["spf", "dkim", "dmarc"])
def test_what_a_receiver_did_not_pass_fails_in_each_form(who, method):
    fails = FORMS[who].replace(f"{method}=pass".encode(), f"{method}=fail".encode())
    found = rows(fails + OURS)
    assert found[method].level == "fail" and found[method].cure is not None, found
    others = {"spf", "dkim", "dmarc"} - {method}
    assert all(found[name].level == "ok" for name in others)


@pytest.mark.parametrize(
    ("said", "name", "level"),
    [
        ("spf=softfail (not allowed) smtp.mailfrom=x@news.example", "spf", "fail"),
        ("spf=temperror smtp.mailfrom=news.example", "spf", "unknown"),
        ("spf=none smtp.mailfrom=news.example", "spf", "fail"),
        ("dkim=none (message not signed)", "dkim", "fail"),
        ("dkim=neutral (body hash did not verify) header.d=news.example", "dkim", "fail"),
        ('dkim=permerror reason="key; not (found)" header.d=news.example', "dkim", "fail"),
        ("dkim=pass header.d=relay.example", "dkim", "warn"),
        ("dkim=fail header.d=other.example; dkim=pass header.d=news.example", "dkim", "ok"),
        ("dkim=pass header.i=@mail.news.example", "dkim", "ok"),
        ("dkim=pass header.d=evilnews.example", "dkim", "warn"),
        ("dmarc=none header.from=news.example", "dmarc", "fail"),
        ("dmarc=bestguesspass action=none header.from=news.example", "dmarc", "warn"),
        ("dmarc=temperror", "dmarc", "unknown"),
        ("dkim=pass header.d=news.example", "dmarc", "unknown"),
        ("spf=pass smtp.mailfrom=relay.example; dkim=none", "dmarc", "warn"),
        ("none", "spf", "unknown"),
        ("compauth=fail reason=001", "compauth", "warn"),
        ("iprev=fail policy.iprev=192.0.2.25", "iprev", "warn"),
        ("arc=fail (signature failed)", "arc", "warn"),
        ("DKIM = Pass (good (nested \\) comment; here)) Header.D = News.Example", "dkim", "ok"),
        ("spf/1=pass smtp.mailfrom=<b-1@bounces.news.example>", "spf", "ok"),
    ],
)
def test_each_outcome_is_judged(said, name, level):
    found = rows(f"Authentication-Results: mx.there.example 1; {said}\n".encode() + OURS)
    assert found[name].level == level, found[name]


def test_what_somebody_else_wrote_into_the_mail_is_not_believed():
    """Headers of the same name below, of another server or before it came there, prove nothing."""
    true = b"Authentication-Results: mx.there.example; spf=fail smtp.mailfrom=news.example; dkim=none; dmarc=fail\n"
    hop = b"Received: from elsewhere by mx.there.example with SMTP; Tue, 24 Nov 2026 16:00:01 +0100\n"
    for forged in (
        b"Authentication-Results: mx.there.example; dkim=pass header.d=news.example; dmarc=pass\n",
        b"Authentication-Results: other.example; dkim=pass header.d=news.example; dmarc=pass\n",
        b"ARC-Authentication-Results: i=9; other.example; dkim=pass header.d=news.example; dmarc=pass\n",
    ):
        found = rows(true + hop + forged + OURS)
        assert {found[name].level for name in ("spf", "dkim", "dmarc")} == {"fail"}, forged
    other_id = rows(true + b"Authentication-Results: x.example; dmarc=pass; dkim=pass header.d=news.example\n" + OURS)
    assert other_id["dmarc"].level == other_id["dkim"].level == "fail"
    within = rows(
        b'Authentication-Results: mx.example; spf=fail (says "spf=pass; dmarc=pass") smtp.mailfrom=x.example\n' + OURS
    )
    assert (within["spf"].level, within["dmarc"].level) == ("fail", "warn")


def test_a_forwarded_mail_is_read_by_its_last_seal():
    seals = b"""\
ARC-Seal: i=2; a=rsa-sha256; cv=pass; d=list.example; s=a; b=abc
ARC-Authentication-Results: i=2; list.example; arc=pass (i=1); dkim=pass header.d=news.example; spf=pass smtp.mailfrom=news.example; dmarc=pass
ARC-Seal: i=1; a=rsa-sha256; cv=none; d=first.example; s=a; b=abc
ARC-Authentication-Results: i=1; first.example; dkim=fail header.d=news.example
"""  # noqa: E501
    found = rows(seals + OURS)
    assert "list.example" in found["receiver"].seen and "ARC" in found["receiver"].seen
    assert found["dkim"].level == "ok" and found["arc"].seen == "pass, 2 seals"


def test_a_button_to_leave_wants_both_headers_signed():
    passed = b"Authentication-Results: mx.example; dkim=pass header.d=news.example; spf=pass; dmarc=pass\n"
    for change in (
        (b"list-unsubscribe:\n  list-unsubscribe-post:", b"list-unsubscribe:"),
        (b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\n", b""),
        (b"<https://news.example/unsubscribe/abc>, ", b""),
        (b"d=news.example; s=digest", b"d=other.example; s=digest"),
    ):
        assert change[0] in OURS
        assert rows(passed + OURS.replace(*change))["one-click"].level == "warn", change
    assert rows(passed + OURS)["one-click"].level == "ok"


def test_a_mail_without_results_says_nothing_and_one_that_is_none_is_refused(digest, tmp_path):
    mail = tmp_path / "mail.eml"
    mail.write_bytes(OURS)
    done = digest("doctor", "--mail", mail, "--json")
    assert done.returncode == 0 and [row["level"] for row in json.loads(done.stdout)] == ["unknown"]
    mail.write_bytes(GMAIL + OURS)
    done = digest("doctor", "--mail", mail)
    assert done.returncode == 0 and "mx.google.com" in done.stdout
    mail.write_bytes(GMAIL.replace(b"dmarc=pass", b"dmarc=fail") + OURS)
    assert digest("doctor", "--mail", mail).returncode == 69
    for raw, code in ((b"\x00\xff" * 99, 65), (b"", 65), (b"no mail at all", 65)):
        mail.write_bytes(raw)
        done = digest("doctor", "--mail", mail)
        assert done.returncode == code and "is no mail" in done.stderr
    assert digest("doctor", "--mail", tmp_path / "nowhere.eml").returncode == 66


def test_a_header_made_to_take_years_takes_none():
    for piece in (b"(", b'"', b"a=b ", b";", b"\\", b"x=(", b"a" * 50 + b" ", b"a.", b"= "):
        long = b"Authentication-Results: " + piece * (100_000 // len(piece)) + b"\n"
        rows(long * 3 + OURS)
