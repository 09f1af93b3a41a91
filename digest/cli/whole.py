"""`digest export --all` and `digest import --all`: everything, in a form that others can read too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import Options, now, print_facts, print_json
from digest.cli.options import Json
from digest.errors import UserError

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store.whole import Manifest

Everything = Annotated[
    str, typer.Option("--all", metavar="FILE", help="Everything: a ZIP of JSON lines, see `digest help moving`.")
]
_SECRET = {"smtp", "secret_key", "former_secret_keys"}


def export(
    context: typer.Context,
    everything: Everything,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Also logins of feeds, API keys, webhooks and the settings files.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write everything that is known to one file, in an open form.

    Feeds, readers with the evidence of their consent, suppressions, stories, editions, and what each reader was sent.
    `digest import --all` takes it in elsewhere. It holds addresses: you alone may read it. Senders go on meanwhile.

    Example: digest export --all digest-export.zip
    """
    from digest import __version__
    from digest.store import whole

    options: Options = context.obj
    with options.open() as (config, database):
        beside = whole.Beside(
            __version__, now(), whole.key_mark(config.lasting_key), _settings(options, config, with_secrets)
        )
        path = Path(everything)
        manifest = whole.export(database, path, beside, with_secrets=with_secrets)
    if as_json:
        print_json({"file": path, "made_at": manifest.made_at, "rows": _rows(manifest), "hidden": manifest.hidden})
        return
    print_facts({"file": path, "size": path.stat().st_size, **_rows(manifest)})
    for kind, rows in manifest.hidden.items():
        options.say(f"{rows:,} of {kind} without their secrets, as {', '.join(whole.HIDDEN[kind])} were left out")


def import_all(options: Options, everything: str, *, as_json: bool) -> None:
    """Take all of an export into an empty database."""
    from digest.store import newsletters, whole

    with options.open() as (config, database):
        taken = whole.take_in(database, Path(everything), now=now())
        newsletters.keep(database, config.newsletters, now=now())
        with database.read() as session:
            strange = sorted(newsletters.by_name(session).keys() - config.newsletters.keys())
        same_key = taken.manifest.key == whole.key_mark(config.lasting_key)
    rows = _rows(taken.manifest)
    if as_json:
        print_json({"rows": rows, "held": taken.held, "hidden": taken.manifest.hidden, "same_key": same_key})
    else:
        print_facts(rows)
    if strange:
        options.warn(f"the settings do not have {', '.join(strange)}, which it has\n  settings.json in it says how")
    if not same_key:
        options.warn(
            "secret_key is another than where it is from: links in mail that was sent lead nowhere\n"
            "  give the former one in the settings (former_secret_keys), then `digest doctor`"
        )
    for kind, count in taken.manifest.hidden.items():
        options.warn(
            f"{count:,} of {kind} came without {', '.join(whole.HIDDEN[kind])}: `digest feed set` asks for them"
        )
    if taken.held:
        options.warn(
            f"of letters that were under way {taken.held:,} {'is' if taken.held == 1 else 'are'} held\n"
            "  if they did not go out there: digest outbox list --state held, then digest outbox retry"
        )


def ask_for_one(everything: str | None, subcommand: str | None) -> None:
    """`digest import` takes a verb or --all, not both and not neither. UserError."""
    if bool(everything) == bool(subcommand):
        raise UserError(
            "say what to import" if not everything else "--all stands alone",
            hint="digest import --all FILE, digest import list; lists of readers: digest subscriber import",
        )


def _rows(manifest: Manifest) -> dict[str, int]:
    return {name: kind.rows for name, kind in manifest.kinds.items() if kind.rows}


def _settings(options: Options, config: Config, with_secrets: bool) -> dict[str, bytes]:
    """What the newsletters are, for whoever sets them up elsewhere; the files themselves where secrets may go along."""
    papers: dict[str, Any] = {
        name: paper.model_dump(mode="json", by_alias=True, exclude=_SECRET, exclude_defaults=True)
        for name, paper in config.newsletters.items()
    }
    found = {"settings.json": json.dumps({"newsletters": papers}, indent=1, ensure_ascii=False).encode() + b"\n"}
    if with_secrets:
        found["settings/digest.toml"] = options.path.read_bytes()
        found |= {f"settings/newsletters/{path.name}": path.read_bytes() for path in config.files.values()}
    return found
