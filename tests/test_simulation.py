"""Some histories of each family, the same ones each time; `python -m tests.simulation` plays as many as one likes."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.simulation import oracles
from tests.simulation.bugs import BUGS, ROOT
from tests.simulation.history import Player, Verdict, play
from tests.simulation.mail import Rule, Seen, say
from tests.simulation.plan import FAMILIES, Plan, Start, Trigger
from tests.simulation.world import Shape, Theatre, installed

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


@pytest.mark.parametrize(
    ("tried_at", "let_go", "old"),
    [
        ((0, 4), (), False),
        ((0, 20), (), True),
        ((0, 20, 24), (7,), False),  # its lifetime starts over, with the first attempt since
        ((0, 20, 40), (7,), True),
        ((0, 20), ("another", 7), True),
    ],
)
def test_a_letter_is_too_old_from_the_first_attempt_since_an_operator_let_it_go(tried_at, let_go, old) -> None:
    plan = Plan(0, "mixed", shape=Shape(), smtp={"lifetime_hours": 6})
    log = [Seen(3600.0 * at, "relay", None, "RCPT", "ada@alpha.example", "", "", 450) for at in tried_at]
    who = "bob@alpha.example" if "another" in let_go else "ada@alpha.example"
    gone = [(3600.0 * let_go[-1], {who})] if let_go else []
    wrong: list[str] = []
    oracles._old(SimpleNamespace(plan=plan, relays=[SimpleNamespace(log=log)], let_go=gone), {}, wrong)
    assert bool(wrong) == old


def test_what_is_let_go_on_last_comes_to_its_end_too(theatre: Theatre) -> None:
    """Its lifetime is over, in doubt, in the last run of those: it starts over with an attempt long after that."""
    smtp = {"timeout_seconds": 5, "data_timeout_seconds": 5, "lifetime_hours": 6}
    plan = Plan(0, "mixed", shape=Shape(readers=1), smtp=smtp)
    plan.fates = [Rule("BODY", say("452 4.3.1 insufficient storage"), frozenset({"reader0@alpha.example"}))]
    plan.triggers = [Trigger(0, "BODY", 1, "kill")]
    plan.starts = [Start(), Start(gap=7300.0)]
    player = Player(theatre, plan)
    verdict = player.play()
    assert not verdict.wrong, "\n".join(verdict.words())
    (let_go, who), *_ = player.let_go
    assert who == {"reader0@alpha.example"}
    tried = [seen.at for relay in player.relays for seen in relay.log if seen.step == "RCPT" and seen.at > let_go]
    assert tried[0] - let_go > 3 * 3600


def test_no_error_put_in_on_purpose_is_stale() -> None:
    stale = [bug.name for bug in BUGS if bug.old not in (ROOT / "digest" / bug.file).read_text(encoding="utf-8")]
    assert not stale
