"""The operator's door: `digest NOUN VERB`. Commands read options and the clock, call one function, print its value.

Nothing heavy is imported at the top of a module here: `digest --help` must stay quick. A command imports
what it needs inside.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from digest.cli import terminal
from digest.errors import Exit


class Group(TyperGroup):
    """The one place that turns errors into words and an exit code, and all that is printed into mere text.

    Typer carries its own copy of Click, so a `click.ClickException` would pass through it as a crash.
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with terminal.streams():
            return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        if ctx.parent is not None:
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort):  # Typer would make 1 of the latter, Ctrl-C at a question
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


from digest.cli import (  # noqa: E402  (commands register themselves on `app`)
    alerts,
    approve,
    collect,
    edition,
    feed,
    feed_add,
    feed_lists,
    feed_set,
    imports,
    key,
    mail,
    newsletter,
    outbox,
    prune,
    relay,
    story,
    subscriber,
    subscriber_address,
    subscriber_bars,
    subscriber_csv,
    topic,
    webhook,
)
from digest.cli.audit import audit  # noqa: E402
from digest.cli.backtest import backtest  # noqa: E402
from digest.cli.backup import backup  # noqa: E402
from digest.cli.clock import clock  # noqa: E402
from digest.cli.demo import demo  # noqa: E402
from digest.cli.doctor import config_app, doctor  # noqa: E402
from digest.cli.help import help_command  # noqa: E402
from digest.cli.history import history  # noqa: E402
from digest.cli.init import init  # noqa: E402
from digest.cli.metrics import metrics  # noqa: E402
from digest.cli.migrate import migrate  # noqa: E402
from digest.cli.preview import preview  # noqa: E402
from digest.cli.restore import restore  # noqa: E402
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
app.command()(history)
app.command()(metrics)
app.command()(clock)
app.command()(doctor)
app.command()(why)
app.command()(backtest)
app.command()(backup)
app.command()(restore)
app.command()(migrate)
app.command()(serve)
app.command()(demo)
app.command("help")(help_command)
app.add_typer(feed.app, name="feed")
app.add_typer(newsletter.app, name="newsletter")
approve.register(edition.app)
app.add_typer(edition.app, name="edition")
app.add_typer(story.app, name="story")
app.add_typer(topic.app, name="topic")
app.add_typer(outbox.app, name="outbox")
app.add_typer(relay.app, name="relay")
app.add_typer(prune.app, name="db")
app.add_typer(config_app, name="config")
subscriber_bars.register(subscriber.app)
subscriber_csv.register(subscriber.app)
feed_add.register(feed.app)
feed_lists.register(feed.app)
feed_set.register(feed.app)
subscriber_address.register(subscriber.app)
app.add_typer(imports.app, name="import")
app.add_typer(key.app, name="key")
app.add_typer(webhook.app, name="webhook")
app.add_typer(alerts.app, name="alerts")
app.add_typer(mail.app, name="mail")
app.add_typer(mail.bounces, name="bounce")
app.add_typer(subscriber.app, name="subscriber")
