"""`digest serve`: who is asking, behind which proxy, under which path, and how it starts and ends."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import ConfigError
from digest.web.client import client_address

OURS = [ipaddress.ip_network(n) for n in ("127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "who"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # a stranger's word
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what the visitor wrote there itself
        ("127.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),  # as a header of its own
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),  # two proxies of ours
        ("127.0.0.1", ["10.1.2.3"], "10.1.2.3"),  # from our own network
        ("127.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, unknown"], "127.0.0.1"),
        ("127.0.0.1", ["6.6.6.6, <script>"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("::1", ["2001:db8::7"], "2001:db8::7"),
        ("::1", ['"[2001:DB8::7]:4711"'], "2001:db8::7"),
        ("fd00::2", ["6.6.6.6, 2001:db8::7, fd00::9"], "2001:db8::7"),
        ("::ffff:127.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),  # a socket that speaks both
        ("2001:db8::7", ["198.51.100.1"], "2001:db8::7"),
        ("", ["198.51.100.1"], "198.51.100.1"),  # a unix socket
        ("", [], ""),
    ],
)
def test_a_visitor_is_the_last_on_the_way_who_is_no_proxy_of_ours(peer, forwarded, who):
    assert client_address(peer, forwarded, OURS) == who


@given(st.ip_addresses().filter(lambda a: not any(a in n for n in OURS)), st.lists(st.text(max_size=40)))
def test_nothing_a_visitor_writes_changes_who_they_are(visitor, words):
    told = str(getattr(visitor, "ipv4_mapped", None) or visitor)
    if not any(ipaddress.ip_address(told) in n for n in OURS):
        assert client_address(str(visitor), words, OURS) == told
        assert client_address("127.0.0.1", [*words, str(visitor)], OURS) == told


def test_proxies_that_are_no_addresses_are_refused_in_words(configure):
    assert [str(n) for n in configure(web={"proxies": ["127.0.0.1", "fd00::/8"]}).web.proxies] == [
        "127.0.0.1/32",
        "fd00::/8",
    ]
    for wrong in (["nginx"], ["10.0.0.1/8"], "127.0.0.1"):
        with pytest.raises(ConfigError, match=r"web\.proxies"):
            configure(web={"proxies": wrong})
