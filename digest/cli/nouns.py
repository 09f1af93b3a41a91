"""What `digest` knows by its first word, and where it is: nothing of it is imported before it is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, MutableMapping
from functools import cache
from importlib import import_module
from typing import Any

import typer.main

from digest.dataclass import dataclass


@dataclass(frozen=True)
class Noun:
    """A command, or a group of commands (`typer.Typer`), and the line about it in `digest --help`."""

    module: str  # of `digest.cli`
    name: str  # there
    help: str
    more: tuple[str, ...] = ()  # modules whose `register` adds commands to the group


NOUNS = {  # in the order of `digest --help`; a new one needs its line here and nothing else
    "init": Noun("init", "init", "Write a commented digest.toml and make the database."),
    "run": Noun("run", "run", "Collect, curate, compose and deliver."),
    "collect": Noun("collect", "collect", "Ask the feeds that are due and store what is new."),
    "deliver": Noun("run", "deliver_command", "Send the letters that are owed and due."),
    "worker": Noun("worker", "app", "Work with others on one PostgreSQL, until asked to stop."),
    "preview": Noun("preview", "preview", "Render the edition that the next run would send."),
    "send-test": Noun("send_test", "send_test", "Send what `digest preview` shows to one address, now."),
    "status": Noun("status", "status", "Show feeds, readers, stories waiting, next slot and letters."),
    "audit": Noun("audit", "audit", "Prove from the rows that every letter is accounted for."),
    "history": Noun("history", "history", "Show the last runs, and how they ended."),
    "metrics": Noun("metrics", "metrics", "Print figures for Prometheus, or put them in a file."),
    "clock": Noun("clock", "clock", "Show whether the clock is right, and always was."),
    "doctor": Noun("doctor", "doctor", "Name what is wrong anywhere, with the line that mends it."),
    "why": Noun("why", "why", "Say why a story is where it is, or why a reader got it."),
    "backtest": Noun("backtest", "backtest", "Print what other settings would have changed."),
    "backup": Noun("backup", "backup", "Back up database, settings and keys in one archive."),
    "restore": Noun("restore", "restore", "Put a backup in the database's place, and resend nothing."),
    "migrate": Noun("migrate", "migrate", "Move here from another tool, without sending again."),
    "export": Noun("whole", "export", "Write everything that is known to one file, in an open form."),
    "serve": Noun("serve", "serve", "Serve sign-up, readers' choices, the archive and its feeds."),
    "demo": Noun("demo", "demo", "See everything work, with no set-up and no network."),
    "help": Noun("help", "help_command", "Show a page of the guide."),
    "feed": Noun("feed", "app", "The feeds that newsletters read.", ("feed_add", "feed_lists", "feed_set")),
    "newsletter": Noun("newsletter", "app", "Newsletters: what there is of them, and what they are called."),
    "edition": Noun("edition", "app", "Editions: what was composed, and how its letters stand.", ("approve",)),
    "story": Noun("story", "app", "Stories: list, look at, pin, drop, move, arrange and edit them."),
    "topic": Noun("topic", "app", "Topics: the headings, and how entries get there."),
    "outbox": Noun("outbox", "app", "The outbox: who is owed a letter, who got it, and who did not."),
    "relay": Noun("relay", "app", "The mail servers that letters go by."),
    "db": Noun("db", "app", "The database as a whole: upgrade, check, prune or move it.", ("prune",)),
    "config": Noun("doctor", "config_app", "Settings, and whether they are right."),
    "import": Noun("imports", "app", "Lists that were taken in; and all of another installation."),
    "key": Noun("key", "app", "Keys of the API: who may ask, and what for."),
    "webhook": Noun("webhook", "app", "Webhooks: who is told what happens."),
    "alerts": Noun("alerts", "app", "Alerts: what is the matter, and who is told."),
    "mail": Noun("mail", "app", "Mail that came back: bounces, complaints, answers."),
    "bounce": Noun("mail", "bounces", "What bounced, and how often."),
    "subscriber": Noun(
        "subscriber",
        "app",
        "The people who get the newsletters.",
        ("subscriber_bars", "subscriber_csv", "subscriber_address"),
    ),
}


class Nouns(MutableMapping[str, Any]):
    """Commands by their first word, each made when it is asked for: {word: command of Click}."""

    def __init__(self, made: MutableMapping[str, Any]) -> None:
        self._made = dict(made)  # what stood on the root itself

    def __getitem__(self, word: str) -> Any:
        if word not in self._made:
            self._made[word] = _make(word, NOUNS[word])
        return self._made[word]

    def __setitem__(self, word: str, command: Any) -> None:
        self._made[word] = command

    def __delitem__(self, word: str) -> None:
        del self._made[word]

    def __contains__(self, word: object) -> bool:
        return word in NOUNS or word in self._made

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*NOUNS, *self._made)))

    def __len__(self) -> int:
        return len(set(NOUNS) | set(self._made))

    def lines(self) -> dict[str, str]:
        """What each is for, said without a look at it."""
        return {word: NOUNS[word].help if word in NOUNS else self[word].get_short_help_str(1000) for word in self}


@cache
def _found(noun: Noun) -> Any:
    found = getattr(import_module(f"digest.cli.{noun.module}"), noun.name)
    for module in noun.more:
        import_module(f"digest.cli.{module}").register(found)
    return found


def _make(word: str, noun: Noun) -> Any:
    found = _found(noun)
    root = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    root.callback()(lambda: None)  # so that it is a group, of one command too
    if isinstance(found, typer.Typer):
        root.add_typer(found, name=word)
    else:
        root.command(word)(found)
    return _whole_examples(typer.main.get_command(root).commands[word])  # type: ignore[attr-defined]


def _whole_examples(command: Any) -> Any:
    """The same, with each example of its help, and of those below it, in a line of its own, as it would be typed.

    Click would fill it into a paragraph, and break it within an option: `--dry-` and `run`.
    """
    lines: list[str] = []
    within = False
    for line in inspect.cleandoc(command.help or "").splitlines():
        if line.startswith("Example: "):
            lines += [line] if within else ["", "\b", line]  # a paragraph that Click leaves as it is
            within = True
        elif within and line:
            lines[-1] += f" {line}"
        else:
            lines.append(line)
            within = False
    command.help = "\n".join(lines)
    for below in getattr(command, "commands", {}).values():
        _whole_examples(below)
    return command
