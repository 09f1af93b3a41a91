"""subscribe: one person at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest import subscribe
from digest.errors import BadInput
from digest.models import address_key


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada@Example.COM", "Ada@example.com"),
        ("ada+digest@example.com", "ada+digest@example.com"),
        ("ada@bücher.example.com", "ada@xn--bcher-kva.example.com"),
        ("ada@xn--bcher-kva.example.com", "ada@xn--bcher-kva.example.com"),
        ("жанна@example.org", "жанна@example.org"),
        ("jose\u0301@example.net", "josé@example.net"),
        ("\u200b\ufeffada@example.com\u00a0 ", "ada@example.com"),
        ("o'hara@example.com", "o'hara@example.com"),
        ("x" * 64 + "@example.com", "x" * 64 + "@example.com"),
    ],
)
def test_an_address_has_one_form(typed, kept):
    assert subscribe.address(typed) == kept
    assert subscribe.address(kept) == kept


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "empty"),
        ("plain", "no @"),
        ("@example.com", "before the @"),
        ("ada@", "after the @"),
        ("a@b@c", "two @"),
        ("ada@example.com,eve@example.com", "two @"),
        ("ada@example.com\r\nBcc: eve@example.com", "line break"),
        ("ada@example.com\n", "line break"),
        ("ada@example.com\0", "line break"),
        ("ada(comment)@example.com", "comment"),
        ("ada@example.com(comment)", "comment"),
        ("ada@[192.0.2.1]", "domain literal"),
        ('"ada eve"@example.com', "quoted"),
        ("ada eve@example.com", "SPACE"),
        ("ada@localhost", "period"),
        ("ada@example..com", "periods"),
        ("ada.@example.com", "period"),
        ("ada@-example.com", "hyphen"),
        ("x" * 65 + "@example.com", "64 octets"),
        ("ж" * 33 + "@example.com", "64 octets"),
        ("a@" + ".".join(["d" * 60] * 4) + ".example.com", "too long"),
        ("ada\udce9@example.com", "unsafe"),
    ],
)
def test_what_is_no_address_is_refused_in_words(typed, words):
    with pytest.raises(BadInput, match=words) as refusal:
        subscribe.address(typed)
    assert all(c.isprintable() for c in str(refusal.value))


@given(st.text(max_size=80) | st.emails())
def test_any_text_is_an_address_in_its_one_form_or_is_refused(text):
    try:
        form = subscribe.address(text)
    except BadInput:
        return
    assert subscribe.address(form) == form
    assert address_key(address_key(form)) == address_key(form)
    assert form.count("@") == 1 and not any(c.isspace() for c in form)
    assert form.rpartition("@")[2].isascii()


@given(st.text(max_size=300))
def test_a_name_never_breaks_a_line(text):
    try:
        name = subscribe.display_name(text)
    except BadInput:
        return
    assert subscribe.display_name(name) == name
    assert name.isprintable() or set(name) & {"\u200c", "\u200d"}
    assert "\n" not in name and "\r" not in name
