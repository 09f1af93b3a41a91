"""Judging one entry by a newsletter's rules, categories and words; what its labels teach, kept between runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import cast

from sqlmodel import Session

from digest import config
from digest.curate import excerpts, feed_rules, learning, rules, topics, urls
from digest.errors import ConfigError
from digest.parse import gist, meaning
from digest.parse.gist import Gist
from digest.store import Database, entries, learned, newsletters

JUDGED = 320  # characters of prose by which a topic is judged; more is shown only where it is set so
NONE: Mapping[int, Gist] = {}
Meanings = Callable[[Sequence[str]], list[bytes]]  # a vector for each text, or for the first of them


class Gists:
    """What entries say: as it is stored, or made now where an older release stored nothing (`made`, packed)."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.made: dict[int, bytes] = {}

    def of(self, ids: Iterable[int], had: Mapping[int, Gist] = NONE) -> Iterator[tuple[int, Gist]]:
        """Each entry's, some at a time; those that the caller `had` before are not unpacked once more."""
        for id_, stored in entries.gists(self._session, ids):
            found = had.get(id_) or gist.unpack(self.made.get(id_, stored))
            if found is None:
                found = gist.of(*entries.text(self._session, id_))
                self.made[id_] = gist.pack(found)
            yield id_, found


class Judge:
    """Rules, category maps and the words of a newsletter. It learns when it is first asked about words.

    What a run before has learnt is taken until much else is said (`learning.Kept.serves`); `stale` is whether it is to
    be learnt anew for the next run, by `relearn`. What was learnt now is `learnt`, to be stored.
    """

    def __init__(
        self,
        session: Session,
        newsletter_id: int,
        settings: config.Newsletter,
        curate_settings: config.Curate,
        gists: Gists | None = None,
        meanings: Meanings | None = None,
    ) -> None:
        self._gists = gists or Gists(session)
        self._session = session
        self._newsletter_id = newsletter_id
        self._settings = settings
        self._curate = curate_settings
        self._meanings = meanings
        self.learnt = b""
        self.stale = False

    @cached_property
    def placer(self) -> topics.Placer:
        trainer = scorer(self._curate.scorer)
        stored = learned.of(self._session, self._newsletter_id)
        kept = learning.Kept.unpacked(stored, self._headings) if stored else None
        if kept is not None and (not self._curate.scorer or self._model):
            labels = self._topics
            if kept.serves(self._mark, labels):
                self.stale = not kept.fits(labels)
                return kept.placer
            if self._model and kept.mark == self._mark and not self._meant:
                return kept.placer  # nobody to read with: what was learnt of other labels is better than words alone
        return self._learn(trainer)

    def relearn(self) -> None:
        """Learn anew whatever is kept, unless words alone would take the place of what entries mean."""
        if not self._model or self._meant:
            self._learn(scorer(self._curate.scorer))

    def _learn(self, trainer: topics.Trainer) -> topics.Placer:
        if meant := self._meant:
            from digest.curate import semantic

            trainer = semantic.Meaning(meant, trainer)
        precision = self._curate.precision
        placer = learning.train(self._headings, self._labels(self._rows), precision=precision, trainer=trainer)
        # Where some keywords could not be read today, they may be tomorrow.
        whole = bool(meant) and all(map(all, meant.values()))
        if placer.scorer and (not self._curate.scorer or whole):
            self.learnt = learning.Kept(self._mark, self._topics, placer).packed()
        return placer

    @cached_property
    def _headings(self) -> Mapping[str, topics.Heading]:
        return topics.headings(self._settings.topics)

    @cached_property
    def _rows(self) -> Mapping[int, entries.Labelled]:
        return {
            row.entry_id: row
            for row in entries.labelled(self._session, self._newsletter_id)
            if row.topic in self._headings or row.topic == config.OTHER
        }

    @property
    def _topics(self) -> dict[int, str]:
        return {id_: row.topic for id_, row in self._rows.items()}

    @property
    def _mark(self) -> str:
        # A model by its own name: what another one learnt says nothing of its vectors.
        judged_by = meaning.MODELS[self._model].name if self._model else self._curate.scorer
        return learning.mark(self._headings, precision=self._curate.precision, scorer=judged_by)

    @property
    def _model(self) -> str:
        return self._curate.scorer if self._curate.scorer in meaning.MODELS else ""

    @cached_property
    def _meant(self) -> dict[str, list[bytes]]:
        """What the keywords of each topic mean, b"" for those that were not read; {} where nobody reads."""
        if not self._model or self._meanings is None:
            return {}
        from digest.curate import semantic

        said = [(slug, phrase) for slug, heading in self._headings.items() for phrase in semantic.phrases(heading)]
        found: dict[str, list[bytes]] = {}
        vectors = self._meanings([phrase for _slug, phrase in said])
        unread = [b""] * (len(said) - len(vectors))
        for (slug, _phrase), vector in zip(said, [*vectors, *unread], strict=True):
            found.setdefault(slug, []).append(vector)
        return found if any(vectors) else {}

    def _labels(self, rows: Mapping[int, entries.Labelled]) -> list[topics.Label]:
        return [
            topics.Label(
                topics.Text.of(
                    row.title,
                    excerpts.prose_of(said, title=row.title)[:JUDGED],
                    row.url,
                    language=row.language,
                    vector=meaning.vector(said.meaning, self._curate.scorer),
                ),
                row.topic,
                urls.site(urls.normalise(row.url)),
            )
            for id_, said in self._gists.of(rows)
            for row in (rows[id_],)
        ]

    def place(self, title: str, prose: str, url: str) -> topics.Placement:
        """Where the words alone, and what they mean, would put an entry."""
        found = self._meanings([meaning.said(title, prose)]) if self._model and self._meanings else []
        return self.placer.place(topics.Text.of(title, prose[:JUDGED], url, vector=b"".join(found)))

    def judge(
        self, entry: entries.Waiting, feed: entries.Reading, url: str, prose: str, *, meant: str = ""
    ) -> rules.Verdict:
        """`meant` is the meaning as it stands in the entry's gist."""
        about = subject(entry, feed, url)
        if reason := feed_rules.dropped(feed.keep, feed.drop, about):
            return rules.Verdict(muted=reason, step="rule", why=reason)
        vector = meaning.vector(meant, self._curate.scorer)
        text = topics.Text.of(entry.title, prose[:JUDGED], url, language=entry.language, vector=vector)
        return rules.judge(about, text, settings=self._settings, placer=self.placer)


def relearn(
    database: Database,
    name: str,
    settings: config.Newsletter,
    curate_settings: config.Curate,
    meanings: Meanings | None = None,
) -> None:
    """Learn anew what a newsletter's labels teach, for whoever places its entries next; under no lock."""
    with database.read() as session:
        judge = Judge(session, newsletters.find(session, name).id or 0, settings, curate_settings, meanings=meanings)
        judge.relearn()
    if judge.learnt:
        with database.write() as session:
            learned.keep(session, newsletters.find(session, name), judge.learnt)


def scorer(name: str) -> topics.Trainer:
    """The scorer of the settings, "package.module:train", or ours of words. ConfigError where it cannot be loaded.

    Ours as well for those that read meanings, which are judged beside the words.
    """
    if name in meaning.MODELS:
        if absent := meaning.missing(name):
            raise ConfigError(
                f"curate.scorer {name!r} needs {', '.join(absent)}, which {'is' if len(absent) == 1 else 'are'} not "
                "installed",
                hint=f"pip install 'digest-newsletter[{name}]'",
            )
        return learning.NaiveBayes
    if not name:
        return learning.NaiveBayes
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
        if not callable(found):
            raise TypeError(f"{function} is no function")
    except Exception as error:  # it is the operator's code: whatever is wrong with it, they read of it here
        raise ConfigError(
            f"curate.scorer {name!r} cannot be loaded: {error}",
            hint=f"write {' or '.join(meaning.MODELS)}, or 'package.module:function' of a package that is installed",
        ) from None
    return cast(topics.Trainer, found)


def subject(entry: entries.Waiting, feed: entries.Reading, url: str) -> rules.Subject:
    """What rules look at."""
    return rules.Subject(
        feed.title, feed.url, feed.topic, url, entry.author, entry.title, tuple(map(str, entry.categories or ()))
    )
