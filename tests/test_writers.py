"""Who wrote something, as readers are told."""

from __future__ import annotations

import pytest

from digest import writers


@pytest.mark.parametrize(
    "author",
    [
        *("admin", "Admin", "root", "Webmaster", "editor", "The Editors", "nobody", "Redaktion", "wp-admin", "管理员"),
        *("ops@shore.example", "https://shore.example/ada", "<ops@shore.example>", "Shore Notes", "shore.example"),
        *(
            "Shore Notes Team",
            "No reply shore.example",
            "Posted by: admin",
            "",
            "  ",
            "12",
            "by editor",
            "Von Redaktion",
            "por admin",
            "(admin)",
        ),
    ],
)
def test_who_is_nobody_is_not_named(author: str) -> None:
    found = writers.named(author.removeprefix("Posted "), "Shore Notes", "https://shore.example/1")
    assert found == ""


@pytest.mark.parametrize(
    ("author", "name"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("by Ada Lovelace", "Ada Lovelace"),
        ("Ada (mailto:ada@shore.example)", "Ada"),
        ("ada@shore.example (Ada Lovelace)", "Ada Lovelace"),
        ("Ada <ada@shore.example>", "Ada"),
        ("shore", "shore"),  # as their site is called
        ("Ada Press", "Ada Press"),
        ("Web Developer Advocate Ada", "Web Developer Advocate Ada"),
        ("佐藤", "佐藤"),
        ("Abby Lee", "Abby Lee"),
        ("Heidi Shore", "Heidi Shore"),
        ("(Ada Lovelace)", "Ada Lovelace"),
        ("Ada Lovelace (@ada)", "Ada Lovelace (@ada)"),
        ("Ada (she/her) <ada@shore.example>", "Ada (she/her)"),
        # A name that begins as "by" does in some language.
        ("Von Miller", "Von Miller"),
        ("von Neumann", "von Neumann"),
        ("Par Nilsson", "Par Nilsson"),
        ("Di Stefano", "Di Stefano"),
        ("Von Ada Lovelace", "Ada Lovelace"),
        ("von: Ada", "Ada"),
        ("par Ada Lovelace", "Ada Lovelace"),
        ("S. Notes", "S. Notes"),  # an initial is no host
        ("Shore N. Notes", "Shore N. Notes"),
    ],
)
def test_who_is_somebody_is_named_without_addresses(author: str, name: str) -> None:
    assert writers.named(author, "Shore Notes", "https://shore.example/1") == name


def test_a_feed_without_a_title_is_called_by_its_site() -> None:
    assert writers.source("Shore", "https://www.shore.example/feed.xml") == "Shore"
    assert writers.source("", "https://www.shore.example/feeds/7.xml") == "shore.example"
    assert writers.source("", "mail:shore") == "mail:shore"
