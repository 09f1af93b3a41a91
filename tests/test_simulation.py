"""Some histories of each family, the same ones each time; `python -m tests.simulation` plays as many as one likes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.bugs import BUGS, ROOT
from tests.simulation.history import Verdict, play
from tests.simulation.plan import FAMILIES
from tests.simulation.world import Theatre, installed

LONG = ("line", "laying-out", "pace")  # what a second of CPU is too much for here


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    with installed():
        yield Theatre()


@pytest.mark.thin(2)
@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in LONG])
def test_what_was_promised_is_kept_in_histories_of(theatre: Theatre, family: str) -> None:
    verdict = play(theatre, 1, family)
    assert not verdict.wrong, "\n".join(verdict.words())
    assert verdict.runs and verdict.words()[-1] == "all promises were kept"


def test_a_seed_gives_the_same_history_again(theatre: Theatre) -> None:
    def told(verdict: Verdict) -> list[str]:
        return [f"{at:.9f} {words}" for at, words in verdict.log]

    other = play(theatre, 8, "mixed")  # the first history of a process connects for the first time, which asks for more
    once, again = play(theatre, 7, "mixed"), play(theatre, 7, "mixed")
    assert told(once) == told(again)
    assert told(once) != told(other)


def test_an_error_put_in_on_purpose_is_found(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here one that can be put in without a copy of the package: `--bugs` tries all of them."""
    from digest.store import outbox_words as words

    bug = next(bug for bug in BUGS if bug.name == "the mark does not ask whether they still want it")
    assert bug.old in words.MARKABLE
    monkeypatch.setattr(words, "MARKABLE", words.MARKABLE.replace(bug.old, bug.new))
    wrong = play(theatre, 4, "consent").wrong
    assert any("begun though nobody wants it any more" in words for words in wrong)


def test_no_error_put_in_on_purpose_is_stale() -> None:
    stale = [bug.name for bug in BUGS if bug.old not in (ROOT / "digest" / bug.file).read_text(encoding="utf-8")]
    assert not stale
