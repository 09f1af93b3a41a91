"""One page, one key; and where an aggregator's entry really leads."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.curate import urls
from digest.parse import gist

PAGE = "https://ada.example/2026/vacuum"


def real_link(url: str, original_url: str, markup: str) -> str:
    return urls.leads_to(url, original_url, gist.links(markup))


@pytest.mark.parametrize(
    "same",
    [
        "http://ada.example/2026/vacuum",
        "https://www.ada.example/2026/vacuum/",
        "https://m.ada.example/2026/vacuum",
        "https://amp.ada.example/2026/vacuum",
        "https://ada.example:443/2026/vacuum",
        "HTTPS://ADA.example/2026/vacuum",
        "https://ada.example/2026/vacuum#comments",
        "https://ada.example/2026/vacuum?utm_source=rss&utm_medium=feed",
        "https://ada.example/2026/vacuum?fbclid=IwAR0&gclid=1",
        "https://ada.example/2026/vacuum?source=rss----abc---4",
        "https://ada.example/2026/vacuum/amp/",
        "https://ada.example/2026/vacuum/index.html",
        "https://ada.example//2026//vacuum",
        "https://ada.example/2026/v%61cuum",
        " https://ada.example/2026/vacuum ",
        "https://www.google.com/amp/s/ada.example/2026/vacuum",
        "https://ada-example.cdn.ampproject.org/c/s/ada.example/2026/vacuum",
    ],
)
def test_one_page_has_one_key(same: str) -> None:
    assert urls.normalise(same) == PAGE


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://youtu.be/abc-DEF_123?t=5", "https://youtube.com/watch?v=abc-DEF_123"),
        ("https://m.youtube.com/watch?v=abc-DEF_123&list=x", "https://youtube.com/watch?v=abc-DEF_123"),
        ("https://www.youtube.com/embed/abc-DEF_123", "https://youtube.com/watch?v=abc-DEF_123"),
        ("https://arxiv.org/pdf/2401.00001v2.pdf", "https://arxiv.org/abs/2401.00001"),
        ("http://export.arxiv.org/abs/2401.00001v1", "https://arxiv.org/abs/2401.00001"),
        ("https://old.reddit.com/r/x/comments/1/y/", "https://reddit.com/r/x/comments/1/y"),
        ("https://en.m.wikipedia.org/wiki/Vacuum", "https://en.wikipedia.org/wiki/Vacuum"),
        ("https://ada.example/?p=12&utm_source=x", "https://ada.example?p=12"),
        ("https://ada.example/?b=2&a=1", "https://ada.example?a=1&b=2"),
        ("https://ada.example/", "https://ada.example"),
        ("mailto:ada@ada.example", ""),
        ("javascript:alert(1)", ""),
        ("", ""),
        ("https://[broken", ""),
        ("https://ada.example:port/", ""),
    ],
)
def test_known_sites_and_strange_links(url: str, key: str) -> None:
    assert urls.normalise(url) == key


def test_different_pages_stay_different() -> None:
    pages = [
        "https://ada.example/a",
        "https://ada.example/A",
        "https://ada.example/a?id=1",
        "https://ada.example/a?id=2",
        "https://ada.example/b",
        "https://blog.ada.example/a",
        "https://ada.example:8443/a",
    ]
    assert len({urls.normalise(page) for page in pages}) == len(pages)


@given(
    st.builds(
        "{}://{}{}{}{}".format,
        st.sampled_from(["http", "https", "HTTP"]),
        st.sampled_from(["www.", "m.", "amp.", "www.m.", "www.google.com/amp/s/", "x.cdn.ampproject.org/c/s/", ""]),
        st.sampled_from(["ada.example", "youtu.be", "arxiv.org/pdf", "en.m.wikipedia.org", "[::1]:80", "twitter.com"]),
        st.text(alphabet="/abcé.%25?=&#;v1-_ ampindex.html", max_size=30),
        st.sampled_from(["", "?utm_source=x", "#top", "/amp/", "/index.html", "?a=%2F&b=+", "/%ff"]),
    )
    | st.text(max_size=60).map("https://ada.example/".__add__)
)
def test_a_key_is_its_own_key(url: str) -> None:
    key = urls.normalise(url)
    assert urls.normalise(key) == key


@given(st.text(max_size=80))
def test_no_text_is_a_crash(text: str) -> None:
    assert urls.normalise(text) == urls.normalise(urls.normalise(text))
    real_link(text, text, text)


@pytest.mark.parametrize(
    "markup",
    [
        '<p>Article URL: <a href="https://ada.example/2026/vacuum?a=1&amp;b=2">https://ada.example/…</a></p>'
        '<p>Comments URL: <a href="https://news.example/item?id=1">…</a></p>',
        "Article URL: https://ada.example/2026/vacuum?a=1&amp;b=2 Comments URL: https://news.example/item?id=1",
        'submitted by <a href="https://reddit.com/user/ada">/u/ada</a> '
        '<span><a href="https://ada.example/2026/vacuum?a=1&amp;b=2">[link]</a></span> '
        '<span><a href="https://reddit.com/r/x/comments/1">[comments]</a></span>',
    ],
)
def test_an_aggregators_text_tells_where_its_entry_leads(markup: str) -> None:
    assert real_link("https://news.example/item?id=1", "", markup) == f"{PAGE}?a=1&b=2"


def test_the_feeds_own_word_on_the_real_link_comes_first_and_its_link_last() -> None:
    assert real_link("https://proxy.example/1", PAGE, "") == PAGE
    assert real_link(PAGE, "", "<p>Nothing to see.</p>") == PAGE
    assert real_link(PAGE, "", "Article URL: javascript:alert(1)") == PAGE


def test_a_tag_full_of_addresses_is_looked_at_once() -> None:
    markup = f"<a href='{PAGE}' title=\"" + "href='x' " * 100_000 + '">here</a>'
    assert real_link(PAGE, "", markup) == PAGE
    assert real_link(PAGE, "", markup.replace(">here", "<>here")) == PAGE


@pytest.mark.parametrize(
    ("host", "whose"),
    [
        ("feeds.ada.example", "ada.example"),
        ("ada.example", "ada.example"),
        ("news.bbc.co.uk", "bbc.co.uk"),
        ("ada.github.io", "ada.github.io"),
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("", ""),
    ],
)
def test_hosts_of_one_owner_are_one_family(host: str, whose: str) -> None:
    assert urls.family(host) == whose


_PARTS = st.sampled_from(
    ["a", "É", "b.example", "github.com", "@ada", "~bob", "[::1]", ":80", "\t", "\n", " ", *"/?#.-@%"]
)


@given(
    st.tuples(st.sampled_from(["https://", "http://", "//", ""]), st.lists(_PARTS, max_size=9).map("".join)).map(
        "".join
    )
)
def test_a_plain_address_has_the_host_and_the_first_step_that_any_has(key: str) -> None:
    try:
        parts = urlsplit(key)
    except ValueError:
        with pytest.raises(ValueError, match=r"\w"):
            urls.site(key)
        return
    assert urls._front(key) == (parts.netloc, parts.path.lstrip("/").partition("/")[0])


def test_where_a_plain_address_stands_is_known_at_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "urlsplit", None)
    assert urls.site("https://ada.example/2026/vacuum?id=1") == "ada.example"
    assert urls.site("https://github.com/ada/vacuum") == "github.com/ada"
