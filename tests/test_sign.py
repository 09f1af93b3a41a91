from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from digest import sign

KEY = "a key for tests"
IDS = st.integers(1, 2**63 - 1)


@given(IDS)
def test_a_bounce_address_survives_an_upcasing_relay(row_id):
    address = sign.verp(row_id, key=KEY, domain="news.example")
    assert sign.read_verp(address.upper(), key=KEY) == row_id
    assert len(address.partition("@")[0]) <= 64


@given(IDS, st.text(max_size=80))
def test_a_bounce_address_that_is_not_ours_names_no_letter(row_id, noise):
    assert sign.read_verp(noise, key=KEY) is None
    assert sign.read_verp(sign.verp(row_id, key=KEY, domain="x.example"), key="another key") is None


@given(IDS)
def test_a_link_names_its_subscription_and_only_with_our_key(row_id):
    token = sign.token(sign.Purpose.UNSUBSCRIBE, row_id, key=KEY)
    assert sign.read_token(sign.Purpose.UNSUBSCRIBE, token, key=KEY) == row_id
    assert sign.read_token(sign.Purpose.UNSUBSCRIBE, token, key="another key") is None
    assert sign.read_token(sign.Purpose.UNSUBSCRIBE, token[:-1], key=KEY) is None


@given(st.text(max_size=80))
def test_a_made_up_link_is_refused_without_a_crash(noise):
    assert sign.read_token(sign.Purpose.UNSUBSCRIBE, noise, key=KEY) is None


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_our_mac_is_the_library_s(key, message):
    assert sign._Keyed(key).digest(message) == hmac.digest(key, message, "sha256")


def test_message_ids_are_stable_distinct_and_on_our_domain():
    one, again, two = (sign.message_id(n, key=KEY, domain="news.example") for n in (1, 1, 2))
    assert one == again != two
    assert one.startswith("<") and one.endswith("@news.example>")
