"""The operator's door: `digest NOUN VERB`. Commands read options and the clock, call one function, print its value.

Nothing heavy is imported at the top of a module here: `digest --help` must stay quick. A command imports
what it needs inside.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from digest.errors import Exit, UserError


class Group(TyperGroup):
    """The one place that turns a `UserError` into words and an exit code.

    Typer carries its own copy of Click, so a `click.ClickException` would pass through it as a crash.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            if ctx.parent is not None:
                raise
            _say(f"digest: {error}")
            if error.hint:
                _say(f"  {error.hint}")
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            _say("digest: stopped; what was done is stored, the next run goes on from there")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Typer would make an error of it, exit 1: a reader that has seen enough (`| head`) is none.
            if ctx.parent is not None:
                raise
            raise typer.Exit(Exit.OK) from None
        finally:
            if ctx.parent is None:
                from digest.cli.common import while_read

                with while_read():
                    sys.stdout.flush()


def _say(words: str) -> None:
    print(words, file=sys.stderr)


app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,  # importing rich would double the time of every command
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Collect many feeds and mail each subscriber one readable digest, once, provably.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from digest import DISTRIBUTION, __version__

        print(f"digest {__version__} ({DISTRIBUTION})")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="Settings file; else DIGEST_CONFIG, ./digest.toml, the user's folder.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    from digest.cli.common import Options

    context.obj = Options(config=config, quiet=quiet)


def main() -> None:
    """Run the command line; a reader that went away (`digest feed list | head`) or never was (`>&-`) is no error."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 (for the life of the process)
    app(prog_name="digest")


from digest.cli import (  # noqa: E402  (commands register themselves on `app`)
    approve,
    collect,
    edition,
    feed,
    outbox,
    story,
    subscriber,
    topic,
)
from digest.cli.audit import audit  # noqa: E402
from digest.cli.backtest import backtest  # noqa: E402
from digest.cli.demo import demo  # noqa: E402
from digest.cli.init import init  # noqa: E402
from digest.cli.preview import preview  # noqa: E402
from digest.cli.run import deliver_command, run  # noqa: E402
from digest.cli.send_test import send_test  # noqa: E402
from digest.cli.serve import serve  # noqa: E402
from digest.cli.status import status  # noqa: E402
from digest.cli.why import why  # noqa: E402

app.command()(init)
app.command()(run)
app.command()(collect.collect)
app.command("deliver")(deliver_command)
app.command()(preview)
app.command("send-test")(send_test)
app.command()(status)
app.command()(audit)
app.command()(why)
app.command()(backtest)
app.command()(serve)
app.command()(demo)
app.add_typer(feed.app, name="feed")
approve.register(edition.app)
app.add_typer(edition.app, name="edition")
app.add_typer(story.app, name="story")
app.add_typer(topic.app, name="topic")
app.add_typer(outbox.app, name="outbox")
app.add_typer(subscriber.app, name="subscriber")
