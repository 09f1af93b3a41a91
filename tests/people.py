"""Readers for tests: `subscribe.add` with the settings and the evidence that no test asks about."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Any

from conftest import MONDAY
from sqlmodel import Session
from typer.testing import CliRunner

from digest import subscribe
from digest.cli import app
from digest.subscribe import Evidence, Preferences

SECRET = "a key for tests, long enough"
SETTINGS = f"""
secret_key = "{SECRET}"
[newsletters.daily]
title = "Daily"
from = "Daily <news@news.example>"
[newsletters.daily.topics.ai]
[newsletters.daily.topics.web]
"""


def typed(folder: Path, database: Path, *before: str) -> Callable[..., Any]:
    """Commands about people as an operator types them, in a folder with settings and an empty database of its own."""
    (folder / "digest.toml").write_text(SETTINGS)
    shutil.copy(database, folder)

    def run(*words: object, stdin: str | None = None, code: int = 0) -> Any:
        done = CliRunner().invoke(app, ["-c", str(folder), *before, *map(str, words)], input=stdin)
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done

    return run


def enrol(
    session: Session,
    email: str,
    *,
    newsletter: str = "daily",
    known_topics: Collection[str] = (),
    secret: str = SECRET,
    welcome: bool = False,
    how: str = "test",
    now: datetime = MONDAY,
    vouched_by: str = "",
    name: str = "",
    tags: Collection[str] = (),
    again: bool = False,
    **chosen: Any,
) -> subscribe.Added:
    """Subscribe somebody who `chosen` so: fields of `Preferences`."""
    return subscribe.add(
        session,
        email,
        subscribe.Joining(newsletter, known_topics, secret, welcome=welcome),
        evidence=Evidence(how, now, vouched_by=vouched_by),
        preferences=preferences(**chosen),
        name=name,
        tags=tags,
        again=again,
    )


def preferences(*, topics: Collection[str] = (), **chosen: Any) -> Preferences:
    return Preferences(topics=tuple(topics), **chosen)
