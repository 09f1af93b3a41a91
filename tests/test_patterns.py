"""Every pattern of the package takes steps in proportion to the text, whatever the text is."""

from __future__ import annotations

import html
import os
import re

import pytest
from patterns import Found, files, patterns
from steps import Drive, Program, TooManySteps, hostile

from digest.curate import rules

# Characters, and steps for each of them: a pattern that looks a fixed way ahead from each may take some hundreds. Full
# lengths take minutes; what is no worse than its square shows at a hundredth of them as well.
SHORT, LONG, STEPS = (1_000, 40_000, 300) if os.environ.get("DIGEST_PATTERNS") == "long" else (80, 1_000, 200)
WORST = 1  # of the short texts, by the steps they took, that is driven at full length as well

# They read mails and styles of ours. What strangers wrote is in a mail escaped, and in no style.
MAILS = (
    *("render/check.py", "render/inline.py", "web/archive.py", "web/bench.py", "web/clients.py", "web/frozen.py"),
    *("web/guises.py", "web/preview.py"),
)
FILES = files()


def steps(program: Program, how: str, text: str) -> int:
    drive = Drive(program, text, STEPS * len(text))
    if how == "search":
        drive.all()
    else:
        drive.once(whole=how == "fullmatch")
    return drive.steps


def drive(found: Found, *, escaped: bool = False) -> None:
    program = Program(found.pattern, found.flags)
    for how in found.how:
        tried = []
        for number, text in enumerate(hostile(program, SHORT)):
            tried.append((steps(program, how, html.escape(text) if escaped else text), number))
        worst = {number for _steps, number in sorted(tried, reverse=True)[:WORST]}
        for number, text in enumerate(hostile(program, LONG)):
            if number in worst:
                steps(program, how, html.escape(text) if escaped else text)


@pytest.mark.long
@pytest.mark.parametrize("file", FILES)
def test_patterns_take_steps_in_proportion_to_the_text(file: str) -> None:
    worse: list[str] = []
    for found in patterns(file):
        try:
            drive(found, escaped=file in MAILS)
        except TooManySteps as error:
            worse.append(f"{found.where}: {error}")
    assert not worse


def test_what_an_operator_writes_with_stars_takes_steps_in_proportion_too() -> None:
    parts: set[tuple[str, int]] = set()
    for words in ("a*a*a*a*a*a*b", "*" * 50 + "x", "*a*" * 30, "((((a+)+)+)+)*b", ".*.*.*=.*"):
        parts |= {(part.pattern, part.flags) for part in rules._pattern(words)}
    for pattern, flags in parts:
        drive(Found("a rule", pattern, flags, frozenset({"search"})))


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?:a+)+b",
        r"(?:a|a)*b",
        r"(?:title\s*:\s*(?:[^\s:]+(?:,\s*[^\s:]+){0,20}(?=\s+[\w-]+:|\s*$))\s*){2,20}",
        r"\s+$",
        r"<!--.*?-->",
        r"\s*,\s*",
        r"x*y*x*z",
    ],
)
def test_a_pattern_that_is_worse_than_that_would_be_found(pattern: str) -> None:
    with pytest.raises(TooManySteps):
        drive(Found("here", pattern, int(re.DOTALL), frozenset({"search"})))


def test_the_counting_matcher_finds_what_re_finds() -> None:
    text = "Hi all, the 2nd part: <b>Ünïcode</b> «x» (see [more…]) a@b.example"
    text += " -- 12:30, “so” it.\tEnd...  \n\n Ça va? 日本。 title: x y: z"
    text += " <a href='x' style=\"a:b\">t</a> {b:c} 1.2.3 Part IV"
    for found in (found for file in FILES for found in patterns(file)):
        if isinstance(found.pattern, bytes):
            continue
        counted = Drive(Program(found.pattern, found.flags), text, 10**7)
        assert counted.all() == len(list(re.finditer(found.pattern, text, found.flags))), found
