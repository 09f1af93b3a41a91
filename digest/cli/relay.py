"""`digest relay …`: the mail servers that letters go by."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.common import Options, now, print_json, print_rows
from digest.cli.doctor import relay_checks, relays_of
from digest.cli.options import Json, NewsletterName
from digest.cli.send_test import handed_over
from digest.errors import Exit, NotFound

app = typer.Typer(no_args_is_help=True, help="The mail servers that letters go by.")


@app.callback()
def _relay() -> None:
    """One command, and more to come: so that it is typed with its verb."""


@app.command()
def test(
    context: typer.Context,
    send: Annotated[
        str | None, typer.Option("--send", metavar="ADDRESS", help="Send a test letter there, of made-up stories.")
    ] = None,
    relay: Annotated[str, typer.Option("--relay", metavar="NAME", help="Only this one, as in mail.example:587.")] = "",
    newsletter: NewsletterName = None,
    as_json: Json = False,
) -> None:
    """Connect to each relay as a letter would. It says what it offers; with --send one letter goes out, too.

    No story need wait, no reader and no outbox is touched. Exit 69 where a relay cannot be used.
    What came of the letter: save it where it arrived, and `digest doctor --mail FILE` says what its server saw.

    Example: digest relay test --send you@example.org
    """
    from digest import doctor, event_loop
    from digest.cli.checks import Scene

    options: Options = context.obj
    scene = Scene(options.path, options.load(partly=True), None, now())
    names = [way.name for way in relays_of(scene)]
    if relay and relay not in names:
        raise NotFound(f"there is no relay {relay!r}", hint="the settings have " + (", ".join(names) or "none"))
    checks = relay_checks(scene, only=relay)
    found = event_loop.run(lambda: doctor.run(checks))
    if as_json and send is None:
        print_json([{"name": one.name, "level": one.level, "seen": one.seen} for one in found])
    else:
        print_rows(("name", "level", "seen"), [(one.name, one.level.value, one.seen) for one in found])
    if send is not None:
        for line in _sent(options, send, relay, newsletter):
            options.say(line)
    if any(one.level == "fail" for one in found):
        raise typer.Exit(Exit.UNAVAILABLE)


def _sent(options: Options, address: str, relay: str, newsletter: str | None) -> tuple[str, ...]:
    """What the server said of a letter of made-up stories, and what to do with it."""
    from digest import deliver, edition, subscribe
    from digest.letter import Sender

    config, moment, to = options.load(partly=True), now(), subscribe.address(address)
    name = newsletter or next(iter(config.newsletters))
    name, settings = config.newsletter(name)
    rendered = edition.sample(name, config, now=moment)
    sender = Sender(settings.sender, moment, settings.reply_to or "", name, title=settings.title)
    letter = deliver.for_one(config, rendered, sender=sender, to=to, number=int(moment.timestamp()))
    said = handed_over(config, name, letter, relay=relay)
    if not config.imprint(name).smtp.servers:
        return (f"not sent to {to}: {said}",)
    return f"sent: {said}", "save it where it arrives, and: digest doctor --mail FILE"
