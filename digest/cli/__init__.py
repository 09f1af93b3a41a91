"""The operator's door: `digest NOUN VERB`. Commands read options and the clock, call one function, print its value.

A command is imported when it is called for (`digest.cli.nouns`), and nothing heavy at the top of a module here:
`digest --help` must stay quick. A command imports what it needs inside.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib.util import find_spec
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from digest.cli import garbage, terminal
from digest.cli.nouns import Nouns
from digest.errors import Exit


class Group(TyperGroup):
    """The one place that turns errors into words and an exit code, and all that is printed into mere text.

    Typer carries its own copy of Click, so a `click.ClickException` would pass through it as a crash.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = self._nouns = Nouns(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Click would make each command for its line."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._nouns.lines().items()))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with terminal.streams():
            return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        if ctx.parent is not None:
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except typer.Abort:  # Ctrl-C, or no answer, at a question: Typer would make 1 of it
            print("\ndigest: stopped at the question; nothing more was done", file=sys.stderr)
            raise typer.Exit(130) from None
        except KeyboardInterrupt:
            print("digest: stopped; what was done is stored, the next run goes on from there", file=sys.stderr)
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Typer would make an error of it, exit 1: a reader that has seen enough (`| head`) is none.
            raise typer.Exit(Exit.OK) from None
        except terminal.OutputLost:
            raise  # told once, where the streams end
        except Exception as error:
            told = terminal.in_words(error)
            if told is None:
                raise
            terminal.tell(told)
            raise typer.Exit(told.exit_code) from None


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
    from digest import means
    from digest.cli.common import Options

    means.ask()
    context.obj = Options(config=config, quiet=quiet)


def main() -> None:
    """Run the command line; a reader that went away (`digest feed list | head`) or never was (`>&-`) is no error.

    What is a mistake of ours shows its traceback, and exits 70: 1 says something else, see `digest audit`.
    """
    garbage.start()
    # Pydantic would read what every package of the environment says of itself, to find plugins of its own.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Processes that Python starts for us would import this one's script, and commands with it: not that of `-m digest`.
    sys.modules["__main__"].__spec__ = find_spec("digest.__main__")
    terminal.open_standard_streams()
    try:
        app(prog_name="digest")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        told = terminal.in_words(error)
        if told is not None:
            terminal.tell(told)
            sys.exit(told.exit_code)
        import traceback

        traceback.print_exc()
        print("digest: this is a mistake of ours, please tell us of it; what was stored is kept", file=sys.stderr)
        sys.exit(Exit.SOFTWARE)
    finally:
        garbage.end()
        # All is done and told. Python, while it ends, would tell of Ctrl-C with a traceback.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, lambda *_: os._exit(130))
