"""`digest restore`: a backup in the database's place, and going on from there so that nobody gets a letter twice."""

from __future__ import annotations

import shutil
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.backup import Identity, facts
from digest.cli.common import Options, agree, count, now, print_facts, print_json, print_rows
from digest.cli.options import DryRun, Json, Yes
from digest.errors import BadInput, NotFound, StorageError, UserError

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store import Database
    from digest.store.backups import Manifest
    from digest.store.restores import Accepted, Known, Terms
    from digest.store.witness import Standing, Witness


def restore(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="FILE|accept", help="A backup; or go on with one that was put back.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Unpack all of it there, and replace nothing.")
    ] = None,
    identity: Identity = None,
    resend: Annotated[bool, typer.Option("--resend", help="Who is in doubt gets the letter, perhaps again.")] = False,
    hold: Annotated[bool, typer.Option("--hold", help="Letters in doubt are held for a person to decide.")] = False,
    drop_rest: Annotated[
        bool, typer.Option("--drop-rest", help="Of editions that went out in part the rest is dropped.")
    ] = False,
    witness: Annotated[
        list[Path] | None,
        typer.Option("--witness", metavar="FOLDER", help="The witness of another machine that sends; again for more."),
    ] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Without those of machines that are no more.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Put a backup in the database's place, and resend nothing.

    What is there is put aside, never deleted. With --to all of a backup is unpacked into a new folder: settings, keys
    and database. Where letters went out after it was made, nothing is composed or sent until it is accepted: then what
    the witness knows is worked in. Letters that went out are settled, editions that it does not have are passed by, who
    left since has left. Who is in doubt is treated as `after_crash` of [smtp] says, unless --resend, --hold or
    --drop-rest says otherwise. Killed half way it has done nothing; again it does it all.

    Example: digest restore accept --dry-run
    """
    from digest.store import restores

    options: Options = context.obj
    if what == "accept":
        if to or identity:
            raise UserError("--to and --identity are for a backup", hint="digest restore FILE --to FOLDER")
        if resend + hold + drop_rest > 1:
            raise UserError("one of --resend, --hold and --drop-rest", hint="they say three things of the same letters")
        chosen = restores.Rest.RESEND if resend else restores.Rest.HOLD if hold else restores.Rest.DROP
        how = _How(chosen if resend or hold or drop_rest else None, tuple(witness or ()), alone, dry_run, yes, as_json)
        _accept(options, how)
    elif resend or hold or drop_rest or witness or alone:
        raise UserError("these options are for `digest restore accept`", hint="first put the backup in its place")
    elif to is not None:
        _unpack(options, Path(what), to, identity, dry_run=dry_run, as_json=as_json)
    else:
        _put_back(options, Path(what), identity, dry_run=dry_run, yes=yes, as_json=as_json)


# ---------------------------------------------------------------- a backup in the database's place


def _unpack(options: Options, file: Path, to: Path, identity: Path | None, *, dry_run: bool, as_json: bool) -> None:
    from digest.store import backups

    with backups.opened(file, identity=identity) as (manifest, folder):
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise UserError(f"{to} is there and not empty", hint="name a folder that is not there yet")
        if not dry_run:
            try:
                to.parent.mkdir(parents=True, exist_ok=True)
                if to.exists():
                    to.rmdir()
                shutil.copytree(folder, to.with_name(f".{to.name}.partial"), dirs_exist_ok=True)
                to.with_name(f".{to.name}.partial").replace(to)
            except OSError as error:
                raise StorageError(
                    f"cannot write {to}: {error.strerror or error}", hint="choose another place"
                ) from None
        _say_what(file, manifest, as_json=as_json, more={"to": None if dry_run else str(to)})
        for name, place in sorted(manifest.places.items()):
            if name.startswith("files/"):
                options.say(f"{name} was {place}")


def _put_back(options: Options, file: Path, identity: Path | None, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    from digest.store import backups
    from digest.store.database import head

    config = options.load(partly=True)
    sqlite = config.database_url.startswith("sqlite")
    beside = Path(config.database_url.removeprefix("sqlite:///")).absolute().parent if sqlite else None
    with backups.opened(file, identity=identity, beside=beside) as (manifest, folder):
        if sqlite is not (manifest.database == backups.SQLITE):
            kinds = {True: "SQLite", False: "PostgreSQL"}
            raise BadInput(
                f"{file} is of a {kinds[not sqlite]} database, and the settings name one of {kinds[sqlite]}",
                hint="`digest restore FILE --to FOLDER` unpacks it",
            )
        if manifest.revision > head():
            raise StorageError(
                f"{file} is of a newer digest (revision {manifest.revision}, this release knows {head()})",
                hint=f"use release {manifest.version} again",
            )
        if not dry_run and not yes and not as_json:
            _say_what(file, manifest)
            agree(f"Put it in the place of {config.database_name}?")
        aside: Path | None = None
        copy = folder / manifest.database
        if not dry_run and sqlite:
            _must_not_be_sending(config)
            aside = backups.place_sqlite(copy, Path(config.database_url.removeprefix("sqlite:///")), now=now())
        elif not dry_run:
            name = f"{options.path.name}.before-{now():%Y%m%dT%H%M%SZ}.dump"
            aside = backups.place_postgres(copy, config.database_url, options.path.with_name(name))
    if as_json or yes or dry_run:
        _say_what(file, manifest, as_json=as_json, more={"aside": str(aside) if aside else None, "dry_run": dry_run})
    elif aside:
        options.say(f"what was there is {aside}")
    if not dry_run:
        _look(options)


def _must_not_be_sending(config: Config) -> None:
    """Unavailable where a sender has letters in hand: of a PostgreSQL database its connections tell."""
    from digest.errors import DigestError
    from digest.store import backups, letters, open_database
    from digest.store.database import head, revision

    try:
        database = open_database(config.database_url, upgrade=False)
        try:
            with database.read() as session:
                ours = revision(session.connection()) == head()  # of tables of another release nobody asks that
                in_hand = letters.left(session, now=now()).in_hand.letters if ours else 0
        finally:
            database.close()
    except DigestError:  # it is gone, or damaged: that is what the backup is for
        return
    if in_hand:
        raise backups.in_use(config.database_name)


def _look(options: Options) -> None:
    """Exit 69 where letters went out since the backup was made."""
    with options.open(partly=True) as (_config, database):
        if database.witness is None:
            options.warn("there is no witness ([keep] witness = 'none'): letters sent since are owed again")
            return
        with database.read() as session:
            database.witness.require(session)
    options.say("nothing was sent since it was made: the next `digest run` goes on from it")


def _say_what(file: Path, manifest: Manifest, *, as_json: bool = False, more: dict[str, Any] | None = None) -> None:
    if as_json:
        print_json({"path": file, **vars(manifest), **(more or {})})
    else:
        print_facts(facts(file, manifest) | {key: value for key, value in (more or {}).items() if value})


# ---------------------------------------------------------------- going on with it


@dataclass(frozen=True)
class _How:
    rest: str | None
    witnesses: tuple[Path, ...]
    alone: bool
    dry_run: bool
    yes: bool
    as_json: bool


def _accept(options: Options, how: _How) -> None:
    with options.open(partly=True) as (config, database):
        teller = database.witness
        if teller is None:
            raise NotFound("there is no witness to ask: [keep] witness = 'none'", hint="nothing holds up this database")
        with database.read() as session:
            standing = teller.standing(session)
            if standing.is_ != "older":
                options.say("this database is not older than what was sent: there is nothing to accept")
                return
            options.say(teller.words(session, standing))
        heard = _heard(database, teller, standing, how)
        terms = _terms(config, how.rest)
        with database.copied() as rehearsal:
            done = _work_in(rehearsal, heard, standing, terms)
        if not how.dry_run:
            if not (how.yes or how.as_json):
                _show(options, done)
                agree("Go on with this database?")
            done = _work_in(database, heard, standing, terms)
    if how.as_json:
        print_json(asdict(done) | {"dry_run": how.dry_run})
    elif how.dry_run or how.yes:
        _show(options, done)
    options.say("nothing was changed" if how.dry_run else "done: the next `digest run` goes on from here")


def _heard(database: Database, teller: Witness, standing: Standing, how: _How) -> Known:
    from digest.store import restores
    from digest.store.journal import Journal

    journals = [teller.journal]
    for folder in how.witnesses:
        journals.append(Journal(folder))
        top = journals[-1].top()
        if top is None or top.installation != standing.witness:
            raise NotFound(
                f"{folder} is no witness of this installation", hint="it holds files like 000001-2026-11.jsonl"
            )
    with database.read() as session:
        missing = teller.others(session) if not how.alone else []
    if len(missing) > len(how.witnesses):
        raise UserError(
            f"letters went out from other machines too, each with its own witness: {', '.join(missing)}",
            hint="copy these folders here and name them with --witness; --alone goes on without",
        )
    after = standing.tick if standing.witness == standing.installation else -1
    return restores.known((journal.read() for journal in journals), after=after)


def _terms(config: Config, chosen: str | None) -> Terms:
    from digest.store.restores import Rest, Terms

    if chosen is not None:
        return Terms({"": Rest(chosen)}, now())
    return Terms({name: Rest(config.imprint(name).smtp.after_crash) for name in ("", *config.newsletters)}, now())


def _work_in(database: Database, heard: Known, standing: Standing, terms: Terms) -> Accepted:
    from digest.store import restores

    with database.write() as session:
        return restores.accept(session, heard, standing, terms)


def _show(options: Options, done: Accepted) -> None:
    columns = ("newsletter", "passed_by", "settled", "in_doubt", "dropped", "read_on", "stories_known")
    print_rows(
        columns,
        [(paper.newsletter, _numbers(paper.editions), *astuple(paper)[2:]) for paper in done.papers],
    )
    for what, number in sorted(done.gone.items()):
        options.say(f"{what} again: {count(number, 'reader', 'readers')}")
    if done.unknown_readers:
        options.say(
            f"{count(done.unknown_readers, 'reader', 'readers')} of these letters came after the copy was made and "
            "are not in it: who gave their address since has to give it again"
        )
    for name in done.unknown_newsletters:
        options.warn(f"letters of the newsletter {name} went out, and this database has none of that name")


def _numbers(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
