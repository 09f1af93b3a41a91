from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from conftest import MONDAY
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from digest import sign

KEY = "a key for tests"
IDS = st.integers(1, 2**63 - 1)


@given(IDS)
def test_a_bounce_address_survives_an_upcasing_relay(row_id):
    address = sign.verp(row_id, key=KEY, domain="news.example")
    assert sign.verp_in(address.upper(), keys=[KEY]) == row_id
    assert len(address.partition("@")[0]) <= 64


@given(IDS, st.text(max_size=80))
def test_a_bounce_address_that_is_not_ours_names_no_letter(row_id, noise):
    assert sign.verp_in(noise, keys=[KEY]) is None
    assert sign.verp_in(sign.verp(row_id, key=KEY, domain="x.example"), keys=["another key"]) is None


@given(IDS)
def test_a_link_names_its_subscription_and_only_with_our_key(row_id):
    token = sign.token(sign.Purpose.UNSUBSCRIBE, row_id, key=KEY)
    assert sign.read_token(sign.Purpose.UNSUBSCRIBE, token, keys=["new key", KEY]) == row_id
    assert sign.read_token(sign.Purpose.UNSUBSCRIBE, token, keys=["another key"]) is None
    assert sign.read_token(sign.Purpose.UNSUBSCRIBE, token[:-1], keys=[KEY]) is None
    assert sign.read_token(sign.Purpose.PREFERENCES, token, keys=[KEY]) is None


@pytest.mark.parametrize("behind", [".", ")", ">.", "”,", " ", "。"])
def test_what_is_copied_along_behind_a_link_does_not_break_it(behind):
    asked, moved = sign.Asked(7, MONDAY), sign.Move(7, "new@example.org", "mark", MONDAY)
    link = sign.token(sign.Purpose.PREFERENCES, 7, key=KEY) + behind
    assert sign.read_token(sign.Purpose.PREFERENCES, link, keys=[KEY]) == 7
    assert sign.read_confirm(sign.confirm_token(7, at=MONDAY, key=KEY) + behind, keys=[KEY]) == asked
    assert sign.read_move(sign.move_token(moved, key=KEY) + behind, keys=[KEY]) == moved


def test_a_link_does_not_tell_which_row_it_is_for():
    made = [sign.token(sign.Purpose.UNSUBSCRIBE, number, key=KEY) for number in range(1, 100)]
    assert {len(token) for token in made} == {32}
    hidden = [base64_decode(token)[16:] for token in made]
    assert len(set(hidden)) == len({one[:3] for one in hidden}) == 99, "neighbours have nothing in common"


def test_links_in_the_first_release_s_mails_still_work():
    value = base64_encode("4711")
    signer = URLSafeSerializer(KEY, salt="digest.unsubscribe", signer_kwargs={"digest_method": hashlib.sha256})
    assert signer.dumps(4711).encode().startswith(value)
    assert sign.read_token(sign.Purpose.UNSUBSCRIBE, signer.dumps(4711), keys=[KEY]) == 4711
    assert sign.read_token(sign.Purpose.PREFERENCES, signer.dumps(4711), keys=[KEY]) is None


@given(IDS, st.integers(0, 2**33))
def test_a_link_to_confirm_says_when_it_was_made(row_id, seconds):
    at = datetime.fromtimestamp(seconds, UTC)
    text = sign.confirm_token(row_id, at=at, key=KEY)
    assert sign.read_confirm(text, keys=[KEY]) == sign.Asked(row_id, at)
    assert sign.read_confirm(text, keys=["another key"]) is None
    assert sign.read_confirm(sign.token(sign.Purpose.CONFIRM, row_id, key=KEY), keys=[KEY]) is None


@given(st.text(max_size=80))
def test_a_made_up_link_is_refused_without_a_crash(noise):
    assert sign.read_token(sign.Purpose.UNSUBSCRIBE, noise, keys=[KEY]) is None
    assert sign.read_confirm(noise, keys=[KEY]) is None


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_our_mac_is_the_library_s(key, message):
    assert sign._Keyed(key).digest(message) == hmac.digest(key, message, "sha256")


def test_message_ids_are_stable_distinct_and_on_our_domain():
    one, again, two = (sign.message_id(n, key=KEY, domain="news.example") for n in (1, 1, 2))
    assert one == again != two
    assert one.startswith("<") and one.endswith("@news.example>")
