"""The editor's note: what of Markdown is obeyed, and that nothing of it is lost or runs."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml.html import fragments_fromstring, tostring

from digest import edition
from digest.errors import BadInput
from digest.render.marked import marked, noted, noted_text, unmarked


def test_a_note_may_have_some_markdown_and_nothing_that_runs():
    said = (
        "A *b* **c** `d` [page](https://a.example/?x=1&y=2), <script>x</script> [j](javascript:alert(1)) [d](data:x,y)"
    )
    html = marked(said)
    assert "<em>b</em> <strong>c</strong> <code>d</code>" in html and 'href="https://a.example/?x=1&amp;y=2"' in html
    assert html.count('class="link"') == html.count("<a ") == 1  # coloured as the mail's other links are, by night too
    assert "<script" not in html and html.count("<a ") == 1
    assert unmarked(said).startswith("A b c d page (https://a.example/?x=1&y=2), <script>")
    assert unmarked("[ada@x.example](mailto:ada@x.example)") == "ada@x.example"


NOTE = """Good *morning*.

- one, [here](https://a.example/x)
- two
  1. inside
  2. again

7. seven

   and more of it
8. eight

Bye, <b>all</b>."""


def test_lists_and_paragraphs_stand_in_both_parts():
    html = str(noted(NOTE)).replace("\n", "")
    assert html.startswith('<p class="word">Good <em>morning</em>.</p><ul class="points"><li class="point">one, <a')
    inner = '<ol class="points"><li class="point">inside</li><li class="point">again</li></ol>'
    assert f'<li class="point">two{inner}</li></ul>' in html
    assert '<ol start="7" class="points">' in html and html.endswith("Bye, &lt;b&gt;all&lt;/b&gt;.</p>")
    assert noted_text(NOTE).split("\n") == [
        "  Good morning.",
        "",
        "  - one, here (https://a.example/x)",
        "  - two",
        "    1. inside",
        "    2. again",
        "",
        "  7. seven",
        "",
        "     and more of it",
        "",
        "  8. eight",
        "",
        "  Bye, <b>all</b>.",
    ]


def test_a_long_point_hangs_under_its_words():
    said = noted_text("- " + "word " * 40 + "\n- https://a.example/" + "x" * 90)
    assert [line[:6] for line in said.split("\n")] == ["  - wo", "    wo", "    wo", "    wo", "  - ht"]


def letters(words: str) -> str:
    return "".join(sign for sign in words if sign.isalpha())


SIGNS = [
    "\n",
    "\n\n",
    "  ",
    "    ",
    "\t",
    "- ",
    "* ",
    "+ ",
    "1. ",
    "12) ",
    "*",
    "**",
    "_",
    "`",
    "``",
    "\\",
    "[",
    "]",
    "(",
    ")",
]
MORE = [
    "(",
    ")",
    "](https://x.example/q)",
    "](javascript:q)",
    "<https://x.example>",
    "<b>",
    "&amp;",
    "![",
    "#",
    "> ",
    "---",
]
pieces = st.sampled_from([*"abZéא ", *SIGNS, *MORE])
DEEP = "".join("  " * depth + "- a\n" for depth in range(60))


@given(st.lists(pieces, max_size=60).map("".join))
@example(DEEP)
@example("- " * 400 + "a")
@example("1. " * 400 + "a")
@example("-\n-\n1.")
@example("- a\\\nb")
@example("![<https://x.example>](https://x.example/q)")
@example("- [a <https://x.example> *<https://y.example>* b](https://x.example/q) <https://z.example>")
def test_all_that_was_written_is_shown_and_nothing_else_is_obeyed(text):
    found = fragments_fromstring(f"<div>{noted(text)}</div>")[0]
    allowed = {"div", "p", "ul", "ol", "li", "em", "strong", "code", "a"}
    for element in found.iter():
        assert element.tag in allowed and set(element.attrib) <= {"class", "href", "start"}
        if element.tag == "a":
            assert element.get("href").startswith(("https://", "mailto:"))
            if element.text_content() != element.get("href"):
                element.tail = f"({element.get('href')}){element.tail or ''}"
    assert letters(found.text_content()) == letters(noted_text(text)), tostring(found)
    if "](" not in text:
        assert letters(found.text_content()) == letters(text)


def test_a_note_that_no_mail_can_hold_is_refused(database, config):
    with pytest.raises(BadInput, match="10,001 characters"):
        edition.annotate(database, "daily", config, "x" * 10_001)
    assert "<em>" not in noted("*a*" + "[" * 12_000)  # of an older release: shown as it is, in no time


def test_lines_of_a_point_are_one_however_they_end():
    for end in ("\n", "\\\n", "  \n"):
        text = f"- one{end}two\n- three"
        assert noted_text(text).split() == ["-", "one", "two", "-", "three"] and "<br" not in noted(text)
