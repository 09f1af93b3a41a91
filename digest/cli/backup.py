"""`digest backup`: database, settings and what they name, in one archive that is whole or not there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import Options, now, print_facts, print_json
from digest.cli.options import Json
from digest.errors import StorageError, UserError

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store.backups import Manifest

Identity = Annotated[
    Path | None, typer.Option("--identity", metavar="FILE", help="The key that opens an encrypted backup.")
]


def backup(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(metavar="[check] FILE|FOLDER", help="Where to; in a folder its name tells when it was made."),
    ],
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", min=1, help="In a folder: remove all but the newest N.")
    ] = None,
    to_age: Annotated[
        str, typer.Option("--to-age", metavar="RECIPIENT", help="Encrypt it by age, for age1… or an SSH key.")
    ] = "",
    identity: Identity = None,
    as_json: Json = False,
) -> None:
    """Back up database, settings and keys in one archive.

    Senders go on meanwhile. With it go the files and folders that the settings name, such as templates. It is a tar,
    and readable by you alone: it holds addresses and secret keys. `digest backup check FILE` says whether one is whole.
    A place that is not there yet is a folder where its name has no ending, such as .tar.

    Example: digest backup /srv/backups --keep 7
    """
    from digest.store import backups

    options: Options = context.obj
    if words[0] == "check" and len(words) == 2:
        if keep is not None or to_age:
            raise UserError("a check neither makes nor removes a backup", hint="leave --keep and --to-age out")
        path = Path(words[1])
        with backups.opened(path, identity=identity) as (manifest, _folder):
            _tell(options, path, manifest, as_json=as_json, checked=True)
        return
    if words == ["check"]:
        raise UserError("say which backup is to be checked", hint="digest backup check FILE; ./check is a place")
    if len(words) != 1:
        raise UserError("a backup goes to one file or folder", hint="digest backup FOLDER, digest backup check FILE")
    place = Path(words[0])
    config = options.load()
    # `/srv/backups` is meant as a folder before there is one, too: as a file, the first cron with --keep would fail.
    if keep is not None or words[0].endswith("/") or not (place.exists() or place.suffix):
        _make_folder(place)
    moment = now()
    path = backups.named(place, now=moment, encrypted=bool(to_age)) if place.is_dir() else place
    if not backups.may_replace(path):
        raise UserError(f"{path} is there and is no backup", hint="choose another name; it is left as it is")
    with options.progress("backup") as progress:
        manifest = backups.make(
            config.database_url, path, material(options, config, moment), recipient=to_age, progress=progress
        )
    gone = backups.forget(place, keep=keep, last=path) if keep is not None else []
    _tell(options, path, manifest, as_json=as_json, removed=[one.name for one in gone])


def _make_folder(place: Path) -> None:
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise UserError(f"{place} is a file, and no folder", hint="name a folder; --keep is for one") from None
    except OSError as error:
        raise StorageError(f"cannot make the folder {place}: {error.strerror}", hint="choose another place") from None


def material(options: Options, config: Config, moment: Any) -> Any:
    """What goes into a backup besides the database."""
    from digest import __version__
    from digest.config.leaves import leaves
    from digest.store import backups

    files = backups.material(
        options.path, config.files, list(dict.fromkeys(one for one in leaves(config) if isinstance(one, Path)))
    )
    return backups.Material(files, __version__, moment)


def facts(path: Path, manifest: Manifest) -> dict[str, Any]:
    """What a backup is, for people."""
    return {
        "backup": str(path),
        "made_at": manifest.made_at,
        "version": manifest.version,
        "revision": manifest.revision,
        "editions": ", ".join(f"{name} {number}" for name, number in sorted(manifest.editions.items())) or "none",
        "files": len(manifest.files),
        "size": path.stat().st_size,
    }


def _tell(
    options: Options,
    path: Path,
    manifest: Manifest,
    *,
    as_json: bool,
    checked: bool = False,
    removed: list[str] | None = None,
) -> None:
    if as_json:
        print_json({"path": path, **vars(manifest), "size": path.stat().st_size, "removed": removed or []})
        return
    print_facts(facts(path, manifest) | ({"removed": removed} if removed else {}))
    if checked:
        options.say("it is whole")
