"""What servers send besides feeds: odd packing, odd headers, cookies, trouble with TLS, challenges, proxies."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import socket
import ssl
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import brotli
import pytest
import test_collect
import trustme
import zstandard
from test_collect import MONDAY, Reply, Site, add, at_home, fails, feed, rss, run, settings

from digest import collect
from digest.collect import challenge, fetch, packing, wire
from digest.errors import FetchError
from digest.store import Database

site, database, digest = test_collect.site, test_collect.database, test_collect.digest
BODY = rss("one", "two")


@contextmanager
def raw(*answers: bytes, secure: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers each request with these bytes and closes: its port, and what it was asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
                if secure is not None:
                    connection = secure.wrap_socket(connection, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            with connection:
                asked.append(connection.recv(65536))
                try:
                    for answer in answers:
                        connection.sendall(answer)
                except OSError:
                    pass

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], asked
    listener.close()


def unpacked(pieces: list[bytes], encoding: str) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def scenario() -> bytes:
        found = [piece async for piece in packing.decompress(chunks(), encoding, url="https://a.example/")]
        assert max(map(len, found), default=0) <= 9_000_000
        return b"".join(found)

    return asyncio.run(scenario())


# ---------------------------------------------------------------- packing

GZIP = gzip.compress(BODY)
TWO = gzip.compress(BODY[:99]) + gzip.compress(BODY[99:])
ZSTD = zstandard.compress(BODY)

PACKED = [
    (GZIP, "gzip"),
    (GZIP, "x-gzip"),
    (GZIP, "GZIP"),
    (GZIP, ""),
    (GZIP, "identity"),
    (GZIP, "utf-8"),
    (GZIP, "gzip, identity"),
    (gzip.compress(GZIP), "gzip"),
    (gzip.compress(GZIP), "gzip, gzip"),
    (TWO, "gzip"),
    (TWO, ""),
    (GZIP + b"\0" * 50, "gzip"),
    (GZIP + b"\x1f", "gzip"),
    (BODY, "gzip"),
    (BODY, "deflate"),
    (BODY, "br"),
    (BODY, "zstd"),
    (BODY, "none"),
    (BODY, "utf-8"),
    (BODY, "UTF8"),
    (BODY, "binary"),
    (BODY, "identity"),
    (BODY, '"identity"'),
    (BODY, "8bit"),
    (BODY, "something-new"),
    (b'{"version": 1}', "something-new"),
    (b"\xef\xbb\xbf<a/>", "something-new"),
    (b"<a/>", "gzip"),
    (zlib.compress(BODY), "deflate"),
    (zlib.compress(BODY), "gzip"),
    (zlib.compress(BODY, 1), "deflate"),
    (zlib.compress(BODY)[2:-4], "deflate"),
    (brotli.compress(BODY), "br"),
    (ZSTD, "zstd"),
    (ZSTD + zstandard.compress(b"<!-- more -->"), "zstd"),
    (gzip.compress(brotli.compress(BODY)), "br, gzip"),
    (brotli.compress(BODY), "gzip"),
    (brotli.compress(BODY), "zstd"),
    (brotli.compress(BODY), "brotli"),
    (ZSTD, "gzip"),
    (ZSTD, "br"),
    (ZSTD, "zstandard"),
    (ZSTD, ""),
    (gzip.compress(ZSTD), "gzip"),
    (zlib.compress(BODY), "zlib"),
    (GZIP, "gz"),
    (b"We are closed today, come back", "gzip"),
    ("<a>é</a>".encode("utf-16"), "gzip"),
    (b"\xff\xd8\xff\xe0 of a JPEG", "gzip"),
    (b"\x89PNG\r\n\x1a\n", "zstd"),
    (GZIP, "br"),
    (GZIP, "zstd"),
    (GZIP, "deflate"),
    (GZIP, "something-new"),
    (b"", ""),
    (b"x", ""),
]


@pytest.mark.parametrize(("body", "encoding"), PACKED)
def test_a_body_is_unpacked_however_it_is_packed_called_and_cut(body: bytes, encoding: str) -> None:
    expected = BODY if len(body) > 99 else body
    expected += b"<!-- more -->" if body == ZSTD + zstandard.compress(b"<!-- more -->") else b""
    for size in (1, 2, 3, 7, 100, 1 << 20):
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        assert unpacked(pieces, encoding) == expected


@pytest.mark.parametrize(
    ("body", "encoding", "reason"),
    [
        (GZIP[:-9], "gzip", "ends in the middle of its gzip data"),
        (GZIP[:-9], "", "ends in the middle of its gzip data"),
        (TWO[:-3], "gzip", "ends in the middle of its gzip data"),
        (brotli.compress(BODY)[:-3], "br", "ends in the middle of its br data"),
        (ZSTD[:-3], "zstd", "ends in the middle of its zstd data"),
        (GZIP[:10] + b"\xff" * 99, "gzip", "sends damaged gzip data"),  # a kind of block that there is not
        (b"\xff" * 99, "br", "sends damaged br data"),
        (ZSTD[:9] + b"\xff" * 99, "zstd", "sends damaged zstd data"),
        (b"\x00\x01" * 99, "compress", "answers in an encoding that was not asked for (compress)"),
        (GZIP, "gzip, gzip, gzip, gzip", "is packed 4 times over"),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_named(body: bytes, encoding: str, reason: str) -> None:
    for size in (1, 1 << 20):
        with pytest.raises(FetchError) as error:
            unpacked([body[start : start + size] for start in range(0, len(body), size)], encoding)
        assert error.value.reason == reason


@pytest.mark.parametrize(
    ("pack", "encoding"),
    [
        (gzip.compress, "gzip"),
        (gzip.compress, ""),
        (lambda data: gzip.compress(gzip.compress(data)), "gzip"),
        (zlib.compress, "deflate"),
        (lambda data: brotli.compress(data, quality=3), "br"),
        (zstandard.compress, "zstd"),
    ],
)
def test_a_small_body_that_unpacks_to_a_huge_one_is_taken_out_in_small_pieces(
    database: Database, site: Site, pack: Callable[[bytes], bytes], encoding: str
) -> None:
    body = pack(b" " * 12_000_000)
    site.pages["/feed"] = Reply(body, headers={"Content-Encoding": encoding} if encoding else {})
    reason = fails(database, site.base + "/feed", config=settings(max_bytes=20_000))
    assert reason == "is larger than 0.02 MB"
    for piece in _pieces(body, encoding):
        assert len(piece) < 9_000_000  # and not all of it at once


def _pieces(body: bytes, encoding: str) -> list[bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        yield body

    async def scenario() -> list[bytes]:
        return [piece async for piece in packing.decompress(chunks(), encoding, url="")]

    return asyncio.run(scenario())


def test_only_what_can_be_unpacked_is_asked_for(
    database: Database, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pages["/feed"] = Reply(BODY)
    add(database, site.base + "/feed")
    run(database)
    assert site.asked[0][1]["accept-encoding"] == "gzip, deflate, br, zstd"
    monkeypatch.setattr(packing, "import_module", _missing)
    assert packing._library("brotli") is None
    assert packing.accepted(None, None) == "gzip, deflate"


def _missing(name: str) -> Any:
    raise ImportError(name)


# ---------------------------------------------------------------- odd headers


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\nContent-Type: text/xml\nContent-Length: %d\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\nContent-Length: %d\r\n\n",
        b"HTTP/1.1 200 OK\r\nThis is no header\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nPHP Warning:  date(): odd\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Odd : x\r\nContent-Length : %d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: empty\r\nX-Nul: a\0b\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Folded: a\r\n  b: c\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded before any\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: unknown\r\nX-Length: %d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Latin: caf\xe9\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 200\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nX-Length: %d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 203 Changed\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 218 This is fine\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nBad line\r\n\r\nHTTP/1.1 200 OK\r\nBad line\r\nContent-Length: %d\r\n\r\n",
    ],
)
def test_a_head_is_read_as_far_as_it_is_one(database: Database, head: bytes) -> None:
    whole = (head % len(BODY)) + BODY
    for pieces in ([whole], [bytes([byte]) for byte in whole[:250]] + [whole[250:]]):
        with raw(*pieces) as (port, _):
            add(database, f"http://127.0.0.1:{port}/feed")
            report = run(database, now=MONDAY + timedelta(hours=len(pieces)))
        assert report.failures == []
        assert report.new == 2


@pytest.mark.parametrize(
    "coding", ["chunked", "Chunked\r\nTransfer-Encoding: chunked", "gzip, chunked", "identity, chunked"]
)
def test_a_body_in_pieces_is_read_whatever_else_is_said_of_them(database: Database, coding: str) -> None:
    body = GZIP if "gzip" in coding else BODY
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\nContent-Length: 7\r\n\r\n".encode()
    with raw(head, b"%x\r\n" % len(body), body, b"\r\n0\r\n\r\n") as (port, _):
        add(database, f"http://127.0.0.1:{port}/feed")
        assert run(database).new == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"<html>no head at all</html>",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    ],
)
def test_what_is_no_answer_of_http_is_named(database: Database, answer: bytes) -> None:
    with raw(answer) as (port, _):
        reason = fails(database, f"http://127.0.0.1:{port}/feed")
    assert reason.startswith(("does not speak HTTP properly", "broke the connection"))


def test_a_long_head_of_spaces_takes_no_time() -> None:
    head = b"HTTP/1.1 200 OK\r\n" + (b"a:" + b" " * 20_000 + b"\x01\r\n") * 4 + b"\r\n"
    assert wire.mended(head) == b"HTTP/1.1 200 OK\r\n\r\n"


# ---------------------------------------------------------------- cookies


def cookie_wall(handler: Any) -> None:
    """Sends back to the same address with a cookie until it comes."""
    ok = "seen=yes" in handler.headers.get("Cookie", "")
    body = BODY if ok else b""
    handler.send_response(200 if ok else 302)
    if not ok:
        handler.send_header("Set-Cookie", "seen=yes; Path=/; HttpOnly")
        handler.send_header("Location", handler.path)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_a_cookie_that_a_redirect_sets_is_sent_back_within_this_fetch_only(database: Database, site: Site) -> None:
    site.pages["/feed"] = cookie_wall
    add(database, f"http://wall.example:{site.port}/feed")
    for day in range(2):
        report = run(database, settings(host_gap_seconds=0), now=MONDAY + timedelta(days=day), resolve=at_home)
        assert report.failures == []
    assert [headers.get("cookie") for _, headers in site.asked] == [None, "seen=yes"] * 2


def test_a_cookie_goes_to_no_other_host_not_even_to_one_of_its_domain(database: Database, site: Site) -> None:
    def leads(place: str) -> Reply:
        headers = {"Set-Cookie": "id=7; Domain=wall.example; Path=/", "Location": f"http://{place}:{site.port}/end"}
        return Reply(status=302, headers=headers)

    places = ["other.example", "sub.wall.example", "127.0.0.1"]
    for place in places:
        site.pages[f"/{place}"] = leads(place)
    site.pages["/end"] = Reply(BODY)
    add(database, *(f"http://wall.example:{site.port}/{place}" for place in places))
    assert run(database, settings(host_gap_seconds=0), resolve=at_home).failures == []
    assert len(site.asked) == 6
    assert not any("cookie" in headers for _, headers in site.asked)


def test_a_cookie_of_our_own_goes_beside_the_one_that_was_set(database: Database, site: Site) -> None:
    site.pages["/feed"] = cookie_wall
    add(database, f"http://wall.example:{site.port}/feed")
    config = settings(hosts={"wall.example": {"headers": {"cookie": "mine=1"}}}, host_gap_seconds=0)
    assert run(database, config, resolve=at_home).failures == []
    assert [headers.get("cookie") for _, headers in site.asked] == ["mine=1", "mine=1; seen=yes"]


# ---------------------------------------------------------------- https, and without


def looked(words: str, **options: Any) -> collect.Found:
    return asyncio.run(collect.look(words, settings(), clock=lambda: MONDAY, resolve=at_home, **options))


def test_an_address_without_a_scheme_is_asked_over_http_where_nothing_listens_for_https(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = free.getsockname()[1]
    really = wire._Pinned.connect_tcp

    async def connect(self: Any, host: str, port: int, *rest: Any, **more: Any) -> Any:
        return await really(self, host, {443: nobody, 80: site.port}.get(port, port), *rest, **more)

    monkeypatch.setattr(wire._Pinned, "connect_tcp", connect)
    site.pages["/feed"] = Reply(BODY)
    assert looked("example.org/feed").url == "http://example.org/feed"
    for words, options in (
        ("https://example.org/feed", {}),
        ("feed:https://example.org/feed", {}),
        ("example.org/feed", {"headers": {"Authorization": "Basic x"}}),
    ):
        with pytest.raises(FetchError, match=r"cannot be reached \(connection refused\)"):
            looked(words, **options)
    # Something listens, and there is trouble with TLS: that is none to be passed over.
    nobody = site.port
    with pytest.raises(FetchError, match="does not speak TLS at this port"):
        looked("example.org/feed")
    assert [path for path in site.paths() if path.startswith("/")] == ["/feed"]


def certificate(authority: trustme.CA, **options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("feeds.example", **options).configure_cert(context)
    return context


def too_old(authority: trustme.CA) -> ssl.SSLContext:
    context = certificate(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("host", "make", "trusted", "reason"),
    [
        ("feeds.example", certificate, True, ""),
        (
            "feeds.example",
            lambda authority: certificate(authority, not_after=datetime(2020, 1, 1)),
            True,
            "has a certificate that has expired",
        ),
        ("other.example", certificate, True, "has a certificate for another name: "),
        ("feeds.example", certificate, False, "has a certificate "),
        ("feeds.example", too_old, True, "speaks only a version of TLS that is too old to be safe"),
    ],
)
def test_trouble_with_tls_is_told_in_plain_words(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    make: Callable[[trustme.CA], ssl.SSLContext],
    trusted: bool,
    reason: str,
) -> None:
    authority = trustme.CA()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
    with authority.cert_pem.tempfile() as file, raw(answer, secure=make(authority)) as (port, _):
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", file)
        add(database, f"https://{host}:{port}/feed")
        failures = run(database, resolve=at_home).failures
    assert [failure.reason for failure in failures][:1] == [] if not reason else True
    if reason:
        assert failures[0].reason.startswith(reason)
        assert "_ssl" not in failures[0].reason and "[" not in failures[0].reason


# ---------------------------------------------------------------- challenges


def page(inside: str) -> bytes:
    return f"<!DOCTYPE html><html><head><title>A page</title></head><body>{inside}</body></html>".encode()


CHALLENGES: list[tuple[str, Reply]] = [
    ("Cloudflare", Reply(page("x"), 403, {"cf-mitigated": "challenge"})),
    ("Cloudflare", Reply(page("<script>window._cf_chl_opt={}</script>"), 503)),
    (
        "Cloudflare",
        Reply(gzip.compress(page("").replace(b"A page", b"Just a moment...")), 403, {"Content-Encoding": "gzip"}),
    ),
    ("Akamai", Reply(page("Reference #18.1 https://errors.edgesuite.net/18.1"), 403)),
    ("Akamai", Reply(page("Access Denied"), 403, {"Server": "AkamaiGHost"})),
    ("Anubis", Reply(page('<script id="anubis_challenge" type="application/json">{}</script>'), 200)),
    ("Anubis", Reply(page('<script src="/.within.website/x/cmd/anubis/static/js/main.mjs"></script>'), 401)),
    ("DataDome", Reply(page("<script src='https://ct.captcha-delivery.com/c.js'></script>"), 403)),
    ("DataDome", Reply(b"{}", 403, {"X-DataDome": "protected"})),
    ("Imperva", Reply(page('<iframe src="/_Incapsula_Resource?SWUDNSAI=31">Request unsuccessful.</iframe>'), 200)),
    ("HUMAN (PerimeterX)", Reply(page('<div id="px-captcha"></div>'), 403)),
    ("AWS WAF", Reply(b"", 405, {"x-amzn-waf-action": "captcha"})),
    ("Vercel", Reply(page("x"), 429, {"x-vercel-mitigated": "challenge"})),
    ("DDoS-Guard", Reply(page("").replace(b"A page", b"DDoS-Guard"), 403)),
]


@pytest.mark.parametrize(("who", "reply"), CHALLENGES)
def test_a_challenge_is_named_with_the_way_out_and_no_other_path_is_guessed(
    database: Database, site: Site, who: str, reply: Reply
) -> None:
    site.pages["/"] = reply
    reason = fails(database, site.base + "/")
    assert reason.startswith(f"answers with a challenge of {who}, meant for browsers; ask its publisher")
    with pytest.raises(FetchError) as error:
        asyncio.run(collect.look(site.base, settings(), clock=lambda: MONDAY))
    assert error.value.challenge == who
    assert site.paths() == ["/", "/"]


def test_a_challenge_at_a_guessed_path_ends_the_guessing(site: Site) -> None:
    site.pages["/"] = Reply(page("a site without a feed"))
    first = page('<div id="px-captcha"></div>')

    class Everywhere(dict[str, Any]):
        def get(self, path: str, default: Any = None) -> Any:
            return Reply(page("a site")) if path == "/" else Reply(first, 403)

    site.pages = Everywhere()
    with pytest.raises(FetchError, match="challenge of HUMAN"):
        asyncio.run(collect.look(site.base, settings(), clock=lambda: MONDAY))
    assert len(site.asked) == 2


def test_a_page_that_asks_for_consent_is_named(database: Database, site: Site) -> None:
    there = f"http://consent.paper.example:{site.port}/?back=feed"
    site.pages["/feed"] = Reply(status=302, headers={"Location": there})
    site.pages["/?back=feed"] = Reply(page("We value your privacy"))
    reason = fails(database, f"http://paper.example:{site.port}/feed", resolve=at_home)
    assert reason.startswith("leads to a page that asks for consent, which only a browser can give")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(page("the script that it leaves in any page: /cdn-cgi/challenge-platform/scripts/jsd/main.js")),
        Reply(page("protected"), headers={"X-DataDome": "protected", "Server": "DataDome"}),
        Reply(page("I wrote about Anubis, Cloudflare and DataDome")),
        Reply(rss("Just a moment... window._cf_chl_opt px-captcha captcha-delivery.com")),
        Reply(page("not found"), 404),
        Reply(b"forbidden", 403),
    ],
)
def test_what_only_looks_like_a_challenge_is_none(database: Database, site: Site, reply: Reply) -> None:
    site.pages["/"] = reply
    add(database, site.base + "/")
    assert not any("challenge" in failure.reason for failure in run(database).failures)


def test_an_error_whose_page_never_ends_is_told_as_that_error(database: Database, site: Site) -> None:
    over = threading.Event()

    def hang(handler: Any) -> None:
        handler.send_response(503)
        handler.send_header("Content-Length", "99")
        handler.end_headers()
        handler.wfile.flush()
        over.wait(20)

    site.pages["/"] = hang
    reason = fails(database, site.base + "/", config=settings(timeout_seconds=1))
    over.set()
    assert reason == "answers 503 (unavailable)"


def test_a_challenge_is_looked_for_in_a_page_and_in_its_beginning_only() -> None:
    assert challenge.maker(200, {}, page(" " * challenge.READ + '<div id="px-captcha">'), url="") == ""
    assert challenge.is_page(b"\xef\xbb\xbf\n<!-- a comment -->\n<HTML>")
    assert not challenge.is_page(b"<?xml version='1.0'?><rss>")


# ---------------------------------------------------------------- who asks, and by which way


@pytest.mark.parametrize(
    ("contact", "base_url", "said"),
    [
        ("", "http://localhost:8000", "(no contact given)"),
        ("", "http://127.0.0.1:8000", "(no contact given)"),
        ("", "http://192.168.1.7", "(no contact given)"),
        ("", "http://news", "(no contact given)"),
        ("", "http://[::1]:8000", "(no contact given)"),
        ("http://localhost:8000", "http://localhost:8000", "(no contact given)"),
        ("", "http://mail.local", "(no contact given)"),
        ("", "https://news.example", "(+https://news.example)"),
        ("news@example.org", "http://localhost:8000", "(+news@example.org)"),
        ("Ada <ada@example.org>", "http://localhost:8000", "(+Ada <ada@example.org>)"),
        ("https://example.org/about", "https://news.example", "(+https://example.org/about)"),
    ],
)
def test_who_asks_names_a_contact_or_says_that_there_is_none(contact: str, base_url: str, said: str) -> None:
    assert fetch.user_agent(contact, base_url).partition(" ")[2] == said


class Proxy(Site):
    """A site that is asked for whole addresses."""


@pytest.mark.parametrize("how", ["setting", "environment", "all"])
def test_a_proxy_is_asked_and_given_its_login(
    database: Database, site: Site, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    site.pages["http://paper.example/feed"] = Reply(BODY)
    address = f"http://ada:p%40ss@127.0.0.1:{site.port}"
    if how != "setting":
        monkeypatch.setenv({"environment": "http_proxy", "all": "ALL_PROXY"}[how], address)
    add(database, "http://paper.example/feed")

    async def never(host: str, _port: int) -> list[str]:
        raise AssertionError(f"{host} is for the proxy to find")

    config = settings(proxy=address if how == "setting" else "", allow_private_addresses=False)
    report = run(database, config, resolve=never)
    assert (report.new, report.failures) == (2, [])
    login = base64.b64encode(b"ada:p@ss").decode()
    assert [(path, h["proxy-authorization"]) for path, h in site.asked] == [
        ("http://paper.example/feed", f"Basic {login}")
    ]
    assert "p%40ss" not in repr(config)


@pytest.mark.parametrize("how", ["none", "no_proxy", "this machine"])
def test_no_proxy_is_asked_where_none_is_wanted(
    database: Database, site: Site, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    site.pages["/feed"] = Reply(BODY)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    if how == "no_proxy":
        monkeypatch.setenv("no_proxy", "other.example,.paper.example")
    host = "127.0.0.1" if how == "this machine" else "www.paper.example"
    add(database, f"http://{host}:{site.port}/feed")
    report = run(database, settings(proxy="none" if how == "none" else ""), resolve=at_home)
    assert (report.new, report.failures) == (2, [])


def test_an_address_that_is_private_as_written_is_asked_through_no_proxy(database: Database, site: Site) -> None:
    config = settings(proxy=site.base, allow_private_addresses=False)
    hosts = ["10.0.0.1", "169.254.169.254", "[fd00::1]", "0x0a000001", "167772161", "10.1", "10.0.0.1."]
    hosts += ["localhost", "x.localhost", "localhost."]
    add(database, *(f"http://{host}/feed" for host in hosts))
    report = run(database, config)
    assert report.failed == len(hosts)
    assert all("leads to a private address" in reason for reason in report.reasons)
    assert site.asked == []


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("http://127.0.0.1:9", "cannot be reached through the proxy (connection refused)"),
        ("socks5://127.0.0.1:9", "cannot be asked through the proxy (its kind, socks5, is not spoken here"),
        ("http://user:p@ss@127.0.0.1:9", "cannot be asked through the proxy (the address of the proxy "),
    ],
)
def test_trouble_with_a_proxy_is_named_and_no_password_told(
    database: Database, monkeypatch: pytest.MonkeyPatch, proxy: str, reason: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    told = fails(database, "http://paper.example/feed", resolve=at_home)
    assert told.startswith(reason)
    assert "p@ss" not in told


@pytest.mark.parametrize("proxy", ["socks5://a:1", "http://u:p@x@a:1", "http://", "ftp://a/"])
def test_a_slip_in_the_proxy_is_named(proxy: str) -> None:
    with pytest.raises(ValueError, match=r"http://user:password@|percent-encoded"):
        settings(proxy=proxy)


def test_https_goes_through_the_proxy_as_a_tunnel_and_is_verified_behind_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    answer = b"HTTP/1.1 200 OK\nBad line\nContent-Length: %d\n\n" % len(BODY) + BODY
    with authority.cert_pem.tempfile() as file, raw(answer, secure=certificate(authority)) as (port, asked):
        monkeypatch.setenv("SSL_CERT_FILE", file)
        with tunnel(port) as (proxy, connects):
            add(database, "https://feeds.example/feed", "https://other.example/feed")
            report = run(database, settings(proxy=f"http://127.0.0.1:{proxy}"))
    assert sorted(connects) == [b"CONNECT feeds.example:443 HTTP/1.1", b"CONNECT other.example:443 HTTP/1.1"]
    assert report.new == 2
    assert [failure.reason[:33] for failure in report.failures] == ["has a certificate for another nam"]
    assert len(asked) == 1


@contextmanager
def tunnel(port: int) -> Iterator[tuple[int, list[bytes]]]:
    """A proxy that connects whoever asks to one port of ours."""
    listener = socket.create_server(("127.0.0.1", 0))
    connects: list[bytes] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            connects.append(near.recv(65536).split(b"\r\n")[0])
            near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            far = socket.create_connection(("127.0.0.1", port))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=pump, args=(one, other), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], connects
    listener.close()


# ---------------------------------------------------------------- one feed


def test_one_feed_is_asked_as_it_was_set_and_no_secret_is_shown(database: Database, site: Site, digest: Any) -> None:
    site.pages["/feed"] = Reply(BODY)
    add(database, f"http://paper.example:{site.port}/feed")
    done = digest(
        "feed", "set", "1", "--header", "X-Key", "--header", "X-Two", "--cookie", "--auth", "--user-agent", "Mine/1",
        "--interval", "60", stdin="k3y\ntw0\nid=c00kie\nada\np4ss\n",
    )  # fmt: skip
    assert done.exit_code == 0
    run(database, resolve=at_home)
    _, sent = site.asked[0]
    login = base64.b64encode(b"ada:p4ss").decode()
    assert [sent[name] for name in ("x-key", "x-two", "cookie", "authorization", "user-agent")] == [
        "k3y", "tw0", "id=c00kie", f"Basic {login}", "Mine/1",
    ]  # fmt: skip
    assert timedelta(minutes=56) < test_collect.feed(database).next_at - MONDAY <= timedelta(hours=1)
    shown = digest("feed", "show", "1", "--json").stdout
    facts = json.loads(shown)
    assert facts["secret_headers"] == ["Authorization", "Cookie", "User-Agent", "X-Key", "X-Two"]
    assert (facts["user_agent"], facts["interval_minutes"]) == ("Mine/1", 60)
    assert not any(secret in shown + done.output for secret in ("k3y", "tw0", "c00kie", "p4ss", login))
    # One at a time, and back to the settings.
    assert digest("feed", "set", "1", "--without", "cookie", "--user-agent", "", "--interval", "0").exit_code == 0
    assert digest("feed", "set", "1", "--header", "x-key", stdin=" new \n").exit_code == 0
    run(database, now=MONDAY + timedelta(days=1), resolve=at_home)
    _, sent = site.asked[1]
    assert (sent["x-key"], sent["x-two"], sent.get("cookie"), sent["user-agent"][:7]) == ("new", "tw0", None, "digest/")


def test_one_feed_has_a_proxy_of_its_own_and_another_has_none(database: Database, site: Site, digest: Any) -> None:
    site.pages["http://paper.example/feed"] = site.pages["/feed"] = Reply(BODY)
    add(database, "http://paper.example/feed", f"http://near.example:{site.port}/feed")
    proxy = f"http://ada:p4ss@127.0.0.1:{site.port}"
    assert digest("feed", "set", "1", "--proxy", "login", stdin=proxy + "\n").exit_code == 0
    assert digest("feed", "set", "2", "--proxy", "none").exit_code == 0
    report = run(database, settings(proxy="http://127.0.0.1:9"), resolve=at_home)
    assert (report.failures, report.new, len(site.asked)) == ([], 4, 2)
    shown = digest("feed", "show", "1", "--json").stdout
    assert "p4ss" not in shown and f"127.0.0.1:{site.port}" in json.loads(shown)["proxy"]


def test_certificates_of_one_feed_are_trusted_for_its_own_origin_only(
    database: Database, digest: Any, tmp_path: Any
) -> None:
    authority = trustme.CA()
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
    with raw(answer, secure=certificate(authority)) as (port, _):
        away = b"HTTP/1.1 302 Found\r\nLocation: https://feeds.example:%d/\r\nContent-Length: 0\r\n\r\n" % port
        with raw(away, secure=certificate(authority)) as (start, _):
            add(database, f"https://feeds.example:{port}/", f"https://feeds.example:{start}/")
            for number in "12":
                assert digest("feed", "set", number, "--ca-file", path).exit_code == 0
            report = run(database, resolve=at_home)
    assert report.new == 2
    [failure] = report.failures
    assert (failure.feed_id, failure.reason[:17]) == (2, "has a certificate")
    assert json.loads(digest("feed", "show", "1", "--json").stdout)["ca_file"] == str(path)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--ca-file", "/nowhere.pem"), "cannot use /nowhere.pem: no such file or directory"),
        (("--ca-file", __file__), "no certificate in pem is in it"),
        (("--proxy", "socks5://x:1"), "the proxy must look like http://"),
        (("--proxy", "http://ada:p4ss@x:1"), "--proxy login asks for the address"),
        (("--user-agent", "a\nb"), "is no line of plain ASCII"),
        (("--header", "Bad Name"), "cannot be the name of one"),
        *((("--header", name), f"{name}, which follows from the request") for name in ("Host", "upgrade", "TE")),
        (("--cookie",), "no value of Cookie was given"),
        (("--interval", "-1"), "--interval"),
    ],
)
def test_a_slip_in_how_a_feed_is_to_be_asked_is_named(
    database: Database, digest: Any, words: tuple[str, ...], told: str
) -> None:
    add(database, "http://paper.example/feed")
    done = digest("feed", "set", "1", *words)
    assert done.exit_code != 0
    assert told in done.output
    assert "p4ss" not in done.output and "Traceback" not in done.output


def test_a_value_that_no_header_can_have_is_refused_and_not_shown(database: Database, digest: Any) -> None:
    add(database, "http://paper.example/feed")
    done = digest("feed", "set", "1", "--header", "X-Key", stdin="caf\u00e9 s3cret\n")
    assert (done.exit_code, "plain ASCII" in done.output, "s3cret" in done.output) == (65, True, False)
    assert digest("feed", "set", "1", "--header", "X_Key.1", stdin="s3cret \n").exit_code == 0
    assert feed(database).headers == {"X_Key.1": "s3cret"}


def test_an_interval_of_its_own_is_taken_back_by_itself_and_a_slip_changes_nothing(
    database: Database, digest: Any
) -> None:
    add(database, "http://paper.example/feed")

    def now_is() -> tuple[int, str]:
        found = feed(database)
        return found.interval_minutes, found.identity

    assert digest("feed", "set", "1", "--interval", "60", "--identity", "link").exit_code == 0
    assert now_is() == (60, "link")
    for slip in (("--ca-file", "/nowhere.pem"), ("--settle", "soon")):
        assert digest("feed", "set", "1", "--interval", "5", "--identity", "title", *slip).exit_code == 65
        assert now_is() == (60, "link")
    assert digest("feed", "set", "1", "--interval", "0").exit_code == 0
    assert now_is() == (0, "link")
