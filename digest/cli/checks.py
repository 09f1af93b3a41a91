"""The offline half of `digest doctor`: settings and their files, clock, names, topics, database, templates, letters.

`digest config check` is this half, and `digest run` goes through the cheap part of it before it composes.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digest import DISTRIBUTION
from digest.cli import files
from digest.cli.common import count, edition_words, in_words
from digest.cli.names import lost
from digest.doctor.checking import Check
from digest.doctor.findings import Cure, Finding, Level, Place
from digest.errors import ConfigError, UserError, WrongClock

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store import Database
    from digest.store.looking import Stuck

LARGE = 64 << 20  # bytes of free pages, or of a WAL, from which on they are worth a word
SCARCE = 200_000_000  # bytes left on a disk that is as good as full
DAYS = 30  # for which the disk should do
LATE = timedelta(hours=2)  # after a slot, for a run to have come
PATIENT = {"database": 300.0, "templates": 120.0}  # seconds for what goes through all there is
RARE = timedelta(hours=26)  # between two runs, where cron calls them at all
OFFLINE = ("settings", "clock", "names", "topics", "database", "templates")
HERE = ("feeds", "cron", "letters", "disk")  # these need no network either, and are no matter of the settings


@dataclass(frozen=True)
class Scene:
    """What is looked at. `database` is None where it cannot be opened, or is of another revision than the program."""

    path: Path
    config: Config
    database: Database | None
    now: datetime
    trouble: tuple[Finding, ...] = ()  # why there is no database

    def file_of(self, newsletter: str) -> tuple[str, str]:
        """The settings file of a newsletter, and what its tables begin with there."""
        own = self.config.files.get(newsletter)
        return (str(own), "") if own else (str(self.path), f"newsletters.{newsletter}")

    def smtp_of(self, newsletter: str) -> tuple[str, str]:
        """The settings file and the table that say by which relays its letters go."""
        if self.config.newsletters[newsletter].smtp is None:
            return str(self.path), "smtp"
        file, prefix = self.file_of(newsletter)
        return file, ".".join(filter(None, (prefix, "smtp")))


def checks(scene: Scene, *, seconds: float) -> list[Check]:
    """All that needs no network."""
    asked = {
        ("settings", "settings"): settings,
        ("clock", "clock"): clock,
        ("names", "names"): names,
        ("topics", "topics"): topics,
        ("database", "database"): database,
        ("templates", "templates"): templates,
        ("feeds", "feeds"): feeds,
        ("cron", "cron"): cron,
        ("letters", "letters"): letters,
        ("disk", "disk"): disk,
    }
    return [
        Check.working(section, name, partial(look, scene), max(seconds, PATIENT.get(section, 0)))
        for (section, name), look in asked.items()
        if scene.database is not None or section in ("settings", "topics", "database", "templates")
    ]


# ---------------------------------------------------------------- settings and their files


def settings(scene: Scene) -> Iterator[Finding]:
    config, section = scene.config, "settings"
    bad = 0
    for name, words in config.broken.items():
        bad += 1
        yield Finding(section, f"newsletter {name}", Level.FAIL, words.replace("\n", "; "))
    for one in (*_exposed(scene), *_unseen_pictures(scene)):
        bad += 1
        yield one
    for found in files.check(config, templates=False):
        bad += 1
        yield _of_file(section, found)
    if not bad:
        many = "newsletter" if len(config.newsletters) == 1 else "newsletters"
        yield Finding(section, "settings", Level.OK, f"{scene.path}, {len(config.newsletters)} {many}")


def _unseen_pictures(scene: Scene) -> Iterator[Finding]:
    """Pictures that are to be served from where no reader gets any."""
    from digest.config.hosts import reachable

    for name, paper in scene.config.newsletters.items():
        home = scene.config.imprint(name).base_url
        if paper.images != "none" and not scene.config.attaches(name) and not reachable(home):
            file, under = scene.file_of(name)
            seen = f"pictures are to be served from {home}, where no reader gets them; let letters bring them along"
            cure = Cure('image_source = "attached"', Place.SETTINGS, under, file)
            yield Finding("settings", f"pictures of {name}", Level.WARN, seen, cure)


def _of_file(section: str, found: files.Finding) -> Finding:
    words = f"{found.words}; {found.hint}" if found.hint and not found.cure else found.words
    cure = Cure(found.cure) if found.cure else None
    return Finding(section, found.setting, Level.WARN if found.warning else Level.FAIL, words, cure)


def _exposed(scene: Scene) -> Iterator[Finding]:
    """What everybody on the machine can read, and should not."""
    from digest import config

    for path in (scene.path, *scene.config.files.values()):
        if config.exposed(path):
            words = f"everybody on this machine can read the secrets in {path}"
            yield Finding("settings", f"mode {path.name}", Level.WARN, words, Cure(f"chmod 600 {_quoted(path)}"))
    file = _sqlite_file(scene.config)
    if file is not None and file.exists() and file.stat().st_mode & 0o004:
        words = f"everybody on this machine can read the addresses in {file}"
        yield Finding("settings", f"mode {file.name}", Level.WARN, words, Cure(f"chmod 600 {_quoted(file)}"))


def _sqlite_file(config: Config) -> Path | None:
    url = config.database_url
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else None


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


# ---------------------------------------------------------------- clock, names, topics


def clock(scene: Scene) -> Iterator[Finding]:
    from digest.store import clock, healing

    assert scene.database is not None
    with scene.database.read() as session:
        trouble = clock.verdict(session, now=scene.now)
        ahead = healing.ahead(session, healing.Scene.of(scene.config), now=scene.now)
    if trouble:
        yield Finding("clock", "clock", Level.FAIL, f"{trouble}; {WrongClock.cure}", Cure("digest clock --right"))
    elif ahead:
        seen = f"a clock was wrong: what it stored lies further ahead than any rule puts it ({in_words(ahead)})"
        yield Finding("clock", "clock", Level.WARN, seen, Cure("digest clock --right"))
    else:
        yield Finding("clock", "clock", Level.OK, f"{scene.now:%Y-%m-%d %H:%M} UTC")
    for name, paper in scene.config.newsletters.items():
        if paper.slots is not None and (upcoming := paper.slots.next_slot(scene.now)) is not None:
            local = upcoming.astimezone(paper.slots.zone)
            yield Finding("clock", f"zone {name}", Level.OK, f"next at {local:%Y-%m-%d %H:%M} {paper.slots.zone}")


def names(scene: Scene) -> Iterator[Finding]:
    from digest import curate
    from digest.store import newsletters, renames

    assert scene.database is not None
    found = lost(scene.config, scene.database)
    with scene.database.read() as session:
        rows = newsletters.by_name(session)
        fresh = [
            name for name in scene.config.newsletters if name not in rows or not renames.begun(session, rows[name])
        ]
        topics_of = {
            name: {
                slug
                for slug in curate.headings(paper.topics)
                if name in rows and not (uses := renames.uses(session, rows[name], slug)).readers and not uses.stories
            }
            for name, paper in scene.config.newsletters.items()
            if any(one.newsletter == name for one in found)
        }
    for one in found:
        readers = f"{one.readers:,} {'reader' if one.readers == 1 else 'readers'}"
        if not one.topic:
            new = _near(one.newsletter, fresh)
            seen = f"{readers} of {one.newsletter} get nothing: the settings have no such newsletter"
            command = f"newsletter rename {one.newsletter} {new}" if new else f"newsletter end {one.newsletter}"
            seen += f"; if it is called {new} now, they follow" if new else "; put it back into the settings, or end it"
            yield Finding("names", f"newsletter {one.newsletter}", Level.FAIL, seen, Cure(f"digest {command}"))
            continue
        new = _near(one.topic, topics_of.get(one.newsletter, ()))
        seen = f"{readers} of {one.newsletter} chose the topic {one.topic}, which the settings no longer have"
        seen += f"; if it is called {new} now, they follow" if new else ""
        command = f"topic rename {one.topic} {new}" if new else f"topic drop {one.topic}"
        cure = Cure(f"digest {command} -n {one.newsletter}")
        yield Finding("names", f"topic {one.topic} of {one.newsletter}", Level.WARN, seen, cure)
    more = list(_feeds_of_gone(scene, fresh, told={(one.newsletter, one.topic) for one in found}))
    yield from more
    if not found and not more:
        yield Finding("names", "names", Level.OK, "nobody waits for a newsletter or topic that is gone")


def _feeds_of_gone(scene: Scene, fresh: list[str], *, told: set[tuple[str, str]]) -> Iterator[Finding]:
    """Feeds that no newsletter reads any more, and those that are all about a topic which is gone."""
    from digest import curate
    from digest.store import looking

    assert scene.database is not None
    with scene.database.read() as session:
        known = {*scene.config.newsletters, *scene.config.broken}
        nobodys = looking.feeds_of_nobody(session, known)
        about = looking.topics_of_feeds(session)
    for old, urls in nobodys.items():
        if (old, "") in told:
            continue
        new = _near(old, fresh)
        many = "feed is" if len(urls) == 1 else "feeds are"
        seen = f"{len(urls):,} {many} read by {old} alone, and the settings have no such newsletter"
        command = f"newsletter rename {old} {new}" if new else f"feed remove {shlex.quote(urls[0])}"
        yield Finding("names", f"feeds of {old}", Level.WARN, seen, Cure(f"digest {command}"))
    for name, (_, topics) in about.items():
        paper = scene.config.newsletters.get(name)
        headings = curate.headings(paper.topics) if paper else {}
        for topic in sorted(topics - {"", curate.OTHER, *headings}) if paper else ():
            if (name, topic) in told:
                continue
            new = _near(topic, headings)
            seen = (
                f"a feed of {name} is all about {topic}, which the settings no longer have, and is judged by its words"
            )
            command = f"topic merge {topic} {new}" if new else f"topic drop {topic}"
            cure = Cure(f"digest {command} -n {name}")
            yield Finding("names", f"feeds about {topic} of {name}", Level.WARN, seen, cure)


def _near(old: str, among: Iterable[str]) -> str:
    """The name that it probably has now: one that is alike, and that nothing is under yet."""
    return next(iter(get_close_matches(old, sorted(among), 1, cutoff=0.5)), "")


def topics(scene: Scene) -> Iterator[Finding]:
    from digest.curate.barren import Feeds, barren
    from digest.store import looking

    known: dict[str, tuple[list[tuple[str, str]], set[str]]] | None = None
    if scene.database is not None:
        with scene.database.read() as session:
            known = looking.topics_of_feeds(session)
    quiet = True
    for name, paper in scene.config.newsletters.items():
        about = Feeds(*known.get(name, ((), ()))) if known is not None else None
        for one in barren(paper, about):
            quiet = False
            cure = None
            if one.key and one.value is not None:
                file, prefix = scene.file_of(name)
                value = toml_value(one.value)
                under = ".".join(filter(None, (prefix, one.table)))
                cure = Cure(f"{one.key} = {value}", Place.SETTINGS, under, file)
            yield Finding("topics", f"{name}: {one.name}", Level.WARN, one.why, cure)
    if quiet:
        yield Finding("topics", "topics", Level.OK, "every keyword and rule can match")
    if scene.config.curate.semantic:
        yield from _meanings(scene)


def _meanings(scene: Scene) -> Iterator[Finding]:
    """Whether the model reads a title of ours. What it does not read is judged by its words: nothing fails."""
    from digest import meanings

    model = scene.config.curate.scorer
    try:
        read = meanings.reader(scene.config)
    except ConfigError:
        return  # the settings' own finding
    if read is not None and any(read(["A title that says something"])):
        yield Finding("topics", "scorer", Level.OK, f"{model} reads what titles mean, on this machine")
    else:
        seen = f"{model} reads nothing: its process ends, or takes too long; titles are judged by their words"
        yield Finding(
            "topics", "scorer", Level.WARN, seen, Cure('scorer = ""', Place.SETTINGS, "curate", str(scene.path))
        )


def toml_value(value: tuple[str, ...] | str) -> str:
    """As it stands behind a key of the settings."""
    import json

    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return "[" + ", ".join(json.dumps(one, ensure_ascii=False) for one in value) + "]"


# ---------------------------------------------------------------- database and disk


def database(scene: Scene, *, thorough: bool = True) -> Iterator[Finding]:
    from digest.store import looking, replica
    from digest.store.database import head

    yield from scene.trouble
    if scene.database is None:
        return
    with scene.database.read() as session:
        wrong = looking.damage(session) if thorough else ""
        size = looking.size(scene.database, session, now=scene.now)
    if wrong:
        file = _sqlite_file(scene.config)
        cure = Cure(f"sqlite3 {_quoted(file or Path())} .recover | sqlite3 {_quoted(file or Path())}.saved")
        yield Finding(
            "database", "integrity", Level.FAIL, f"it is damaged ({wrong}); a backup can take its place", cure
        )
    elif thorough:
        yield Finding("database", "integrity", Level.OK, f"sound, of revision {head()}")
    seen = f"{_bytes(size.all)}, {_bytes(size.growth)} more a day, {_bytes(size.free)} of it free"
    wide = size.free > LARGE and size.free * 4 > size.all
    level = Level.WARN if wide else Level.OK
    yield Finding("database", "size", level, seen, _vacuum(scene.config) if wide else None)
    yield from _kept(scene)
    if (copy := replica.standing(scene.database, scene.config.database_read_url)) is not None:
        level = Level.WARN if copy.trouble else Level.OK
        yield Finding("database", "replica", level, f"{scene.config.database_read_name} {copy}")
    if size.log:
        large = size.log > max(LARGE, size.all)
        seen = f"{_bytes(size.log)} wait beside it to be written into it (WAL)"
        cure = _by_sqlite(scene.config, "PRAGMA wal_checkpoint(TRUNCATE)")
        yield Finding("database", "wal", Level.WARN if large else Level.OK, seen, cure if large else None)


def _kept(scene: Scene) -> Iterator[Finding]:
    """How far pruning is, and what it holds back."""
    from digest.cli.prune import held_words
    from digest.store import keeping, kept

    assert scene.database is not None
    with scene.database.read() as session:
        done = kept.standings(session)
        fixed = scene.database.engine.dialect.name == "sqlite" and not keeping.gives_back(session)
    told = ", ".join(f"{one.rows:,} {one.kind}" for one in done if one.rows) or "nothing"
    yield Finding("database", "pruned", Level.OK, f"so far {told} ([keep])")
    if held := held_words({one.kind: one.held for one in done}):
        yield Finding("database", "kept", Level.OK, "; ".join(held))
    if fixed:
        seen = "what is pruned is filled anew, and the file never grows smaller: it was made by an older release"
        yield Finding("database", "shrinks", Level.OK, f"{seen}; `digest db prune --compact`, once, changes that")


def _vacuum(config: Config) -> Cure:
    if _sqlite_file(config) is None:
        return Cure(f"psql {shlex.quote(config.database_name)} -c VACUUM")
    return _by_sqlite(config, "VACUUM")


def _by_sqlite(config: Config, words: str) -> Cure:
    """By Python's own SQLite: its command line is not installed everywhere."""
    code = f"import sqlite3; sqlite3.connect({str(_sqlite_file(config))!r}).execute({words!r})"
    return Cure(f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}")


def _bytes(number: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:,.1f} GB"


def disk(scene: Scene) -> Iterator[Finding]:
    from digest.store import looking

    assert scene.database is not None
    file = _sqlite_file(scene.config)
    if file is None:
        seen = "the database is on a server whose disk is not seen from here: df -h there"
        yield Finding("disk", "disk", Level.UNKNOWN, seen)
        return
    with scene.database.read() as session:
        size = looking.size(scene.database, session, now=scene.now)
    free, needed = shutil.disk_usage(file.absolute().parent).free, size.growth * DAYS
    folder = file.absolute().parent
    seen = f"{_bytes(free)} free in {folder}, {_bytes(needed)} needed for {DAYS} days at the present growth"
    level = Level.FAIL if free < needed else Level.WARN if free < max(2 * needed, SCARCE) else Level.OK
    cure = _vacuum(scene.config) if size.free > needed else Cure(f"du -xh -d 2 {_quoted(folder)} | sort -h | tail")
    yield Finding("disk", "disk", level, seen, None if level is Level.OK else cure)


# ---------------------------------------------------------------- templates


def templates(scene: Scene) -> Iterator[Finding]:
    """Those that an operator has written are read; then each newsletter's mail is made of stories that are made up."""
    from digest import edition, render

    config = scene.config
    bad: set[str] = set()
    offline = {(one.setting, one.words) for one in files.check(config, templates=False)}
    for found in files.check(config):
        if (found.setting, found.words) not in offline:
            bad.add(found.newsletter)
            yield _of_template(scene, _of_file("templates", found), found.newsletter)
    for name in config.newsletters:
        if name in bad or "" in bad:
            continue
        try:
            made = edition.sample(name, config, now=scene.now)
        except ConfigError as error:
            words = f"{error}; {error.hint}" if error.hint else str(error)
            found_one = Finding("templates", f"newsletter {name}", Level.FAIL, words)
            yield _of_template(scene, found_one, name)
            continue
        worst = [one for one in render.check(made) if one.level == "error"]
        if worst:
            seen = render.findings_in_words(worst)
            cure = Cure(f"digest preview --no-open -n {name}")
            yield Finding("templates", f"newsletter {name}", Level.WARN, seen, cure)
        else:
            yield Finding("templates", f"newsletter {name}", Level.OK, f"a sample has {len(made.html):,} bytes")


def _of_template(scene: Scene, found: Finding, newsletter: str) -> Finding:
    """With the cure: the file of which it is said steps aside, and ours takes its place."""
    from dataclasses import replace

    from digest import render

    config = scene.config
    papers = [config.newsletters[newsletter]] if newsletter in config.newsletters else [*config.newsletters.values()]
    for folder in dict.fromkeys(folder for paper in papers for folder in paper.template_folders):
        for file, language in sorted(render.Templates(folder).replaced() if folder.is_dir() else ()):
            path = folder / language / file
            if str(path) in found.seen or (file in found.seen and found.cure is None):
                shipped = file if (render.template_folder() / file).is_file() else f"note{path.suffix}"
                ours = shlex.quote(f'{{% extends "ours/{shipped}" %}}')
                cure = Cure(f"mv {_quoted(path)} {_quoted(path)}.off && echo {ours} > {_quoted(path)}")
                return replace(found, seen=f"{found.seen}; set aside, ours takes its place", cure=cure)
    return found


# ---------------------------------------------------------------- feeds, cron, letters


def feeds(scene: Scene) -> Iterator[Finding]:
    from digest import collect
    from digest.store import feeds

    assert scene.database is not None
    with scene.database.read() as session:
        listed = [feed for feed, _ in feeds.listed(session)]
    counts: Counter[str] = Counter()
    told = 0
    for feed in listed:
        vitals = collect.Vitals(
            feed.state, feed.failures, feed.ok_at, feed.entry_at, timedelta(seconds=feed.gap_seconds) or None
        )
        health = collect.health(vitals, now=scene.now)
        counts[health.value] += 1
        if health in (collect.Health.FAILING, collect.Health.RETIRED) and told < 10:
            told += 1
            gone = health is collect.Health.RETIRED
            since = f" since {feed.failing_since:%Y-%m-%d}" if feed.failing_since else ""
            seen = f"{feed.title or feed.url} {'is gone' if gone else 'fails'}{since}: {feed.error or 'without a word'}"
            cure = Cure(f"digest feed remove {shlex.quote(feed.url)}" if gone else "digest feed doctor --apply")
            yield Finding("feeds", f"feed {feed.id}", Level.WARN, seen, cure)
    if not listed:
        cure = Cure("digest feed add https://example.org/feed.xml")
        yield Finding("feeds", "feeds", Level.WARN, "there are no feeds, so there will be no edition", cure)
        return
    words = ", ".join(f"{number:,} {word}" for word, number in counts.items())
    failing = counts[collect.Health.FAILING.value]
    all_fail = failing > 2 and failing == len(listed) - counts[collect.Health.RETIRED.value]
    seen = f"{words}; none answers, so is the network there?" if all_fail else words
    again = Cure("digest collect --force") if all_fail else None
    yield Finding("feeds", "feeds", Level.FAIL if all_fail else Level.OK, seen, again)


def cron(scene: Scene) -> Iterator[Finding]:
    """When was the last run, by what it left? A cron that does not run cannot say so."""
    from digest.store import looking

    assert scene.database is not None
    with scene.database.read() as session:
        last = looking.last_sign(session, now=scene.now)
        busy = looking.at_work(session, now=scene.now)
    if twice := _started_twice(scene.path):
        yield Finding("cron", "crontab", Level.WARN, f"cron starts the same twice, beside itself: {twice}", _ONCE)
    run = Cure("digest run")
    if last is None:
        yield Finding(
            "cron", "last run", Level.WARN, "digest has not run yet; `digest init --cron` prints its line", run
        )
        return
    at = f"{last:%Y-%m-%d %H:%M} UTC" if last.time() != datetime.min.time() else f"{last:%Y-%m-%d}"
    missed = [
        f"{name} at {slot:%Y-%m-%d %H:%M} UTC"
        for name, paper in scene.config.newsletters.items()
        if paper.slots is not None and (slot := paper.slots.next_slot(_upto(last))) and slot + LATE < scene.now
    ]
    if missed:
        seen = f"the last run was {at}, and missed {', '.join(missed[:3])}; is cron there?"
        yield Finding("cron", "last run", Level.FAIL, seen, run)
    elif scene.now - _upto(last) > RARE:
        yield Finding("cron", "last run", Level.FAIL, f"the last run was {at}, over a day ago; is cron there?", run)
    else:
        now = f"; one is at work now ({busy:,} letters and feeds in hand)" if busy else ""
        yield Finding("cron", "last run", Level.OK, f"{at}{now}")


def _upto(last: datetime) -> datetime:
    """The latest moment that it can have been: of a day alone, its end."""
    return last + timedelta(days=1) if last.time() == datetime.min.time() else last


_ONCE = Cure("crontab -l | awk '/^#/ || !seen[$0]++' | crontab -")


def _started_twice(settings: Path) -> str:
    """A line of this user's crontab that stands there twice, or "". Where there is no cron, nothing is said."""
    if shutil.which("crontab") is None:
        return ""
    try:
        done = subprocess.run(["crontab", "-l"], capture_output=True, text=True, timeout=5, check=False)  # noqa: S607
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    lines = Counter(line.strip() for line in done.stdout.splitlines() if line.strip() and not line.startswith("#"))
    return next((line[:200] for line, times in lines.items() if times > 1 and "digest" in line), "")


def letters(scene: Scene) -> Iterator[Finding]:
    from digest.store import looking, refusals

    assert scene.database is not None
    with scene.database.read() as session:
        found = looking.stuck(session, now=scene.now)
        quarantined = {one: refusals.quarantined(session, one.newsletter, one.edition) for one in found if one.held}
    for one in found:
        yield from _stuck(scene, one, quarantined.get(one, 0))
    if not found:
        yield Finding("letters", "letters", Level.OK, "none is stuck")


def _stuck(scene: Scene, one: Stuck, quarantined: int) -> Iterator[Finding]:
    which = edition_words(scene.config, one.newsletter, one.edition)
    name = f"No. {one.edition} of {one.newsletter}"
    if one.stopped:
        seen = f"{name} is held or paused, and its letters wait for you"
        yield Finding("letters", f"{name}, stopped", Level.WARN, seen, Cure(f"digest edition resume {which}"))
    if quarantined:
        some = count(quarantined, "letter")
        seen = f"held of {name}: {some}, for so many readers were said to have no mailbox at once"
        yield Finding("letters", f"{name}, held", Level.WARN, seen, Cure(f"digest outbox release {which}"))
    elif one.held:
        seen = f"held of {name}: {count(one.held, 'letter')}, left in doubt by a crash, which can go out again"
        number = f"--edition {one.edition}" + (f" -n {one.newsletter}" if len(scene.config.newsletters) > 1 else "")
        yield Finding("letters", f"{name}, held", Level.WARN, seen, Cure(f"digest outbox retry {number}"))
    if one.doubtful:
        seen = f"in doubt of {name}: {count(one.doubtful, 'letter')}, which a server may have already"
        yield Finding("letters", f"{name}, in doubt", Level.WARN, seen, Cure("digest deliver"))
    if one.overdue and not one.stopped:
        seen = f"overdue of {name}: {count(one.overdue, 'letter')}, due over a day ago, and nobody sends"
        yield Finding("letters", f"{name}, overdue", Level.FAIL, seen, Cure("digest deliver"))


# ---------------------------------------------------------------- opening, and the cheap part for each run


def opened(config: Config) -> tuple[Any, tuple[Finding, ...]]:
    """The database as it is, without an upgrade; or None and why not."""
    from digest.store import open_database
    from digest.store.database import head, must_be_here, revision

    try:
        found = open_database(config.database_url, upgrade=False)
        try:
            with found.read() as session:
                says = revision(session.connection())
                if says == head():
                    must_be_here(session)
        except UserError:
            found.close()
            raise
    except UserError as error:
        words = f"{error}; {error.hint}" if error.hint else str(error)
        file = _sqlite_file(config)
        cure = Cure("digest init") if file is not None and not file.exists() else None
        return None, (Finding("database", "database", Level.FAIL, words, cure),)
    if says == head():
        return found, ()
    found.close()
    if (says or "0000") > head():
        words = f"the database is of a newer digest (revision {says}, this release knows {head()}): use that release"
        upgrade = Cure(f"{shlex.quote(sys.executable)} -m pip install --upgrade {DISTRIBUTION}")
        return None, (Finding("database", "revision", Level.FAIL, words, upgrade),)
    words = f"the tables are of revision {says or 'none'}, this release wants {head()}"
    return None, (Finding("database", "revision", Level.WARN, words, Cure("digest db upgrade")),)
