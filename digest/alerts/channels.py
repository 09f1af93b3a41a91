"""The channels that are no mail: a request, and a program. Each is bounded, and says why it could not say something."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from digest import event_loop
from digest.alerts import shapes
from digest.config.alerts import Alerts
from digest.errors import BadInput, FetchError
from digest.values import AlertWord


class Post(Protocol):
    """One request, and the status of its answer. Raises FetchError."""

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes, *, method: str = ...) -> Awaitable[int]: ...


Call = Callable[[Sequence[str], bytes, float], str]  # a program, its input, seconds: what went wrong, or ""


def called(command: Sequence[str], given: bytes, seconds: float) -> str:
    """Run a program. What it prints is nobody's business."""
    try:
        done = subprocess.run(  # noqa: S603  (the operator's own program)
            list(command),
            input=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not end within {seconds:g} seconds"
    except (OSError, ValueError) as error:
        return f"{command[0]} cannot be run: {getattr(error, 'strerror', None) or error}"
    return f"{command[0]} failed with exit code {done.returncode}" if done.returncode else ""


@dataclass(frozen=True)
class Means:
    """By what is told."""

    post: Post
    call: Call = called


def say(word: AlertWord, channel: str, settings: Alerts, means: Means) -> str:
    """Say a word by a channel, "webhook" or "command": why it could not be said, or ""."""
    if channel == "command":
        return means.call(settings.command, json.dumps(shapes.values(word)).encode(), settings.seconds)
    assert settings.webhook is not None
    url = settings.webhook.get_secret_value()
    try:
        request = shapes.request(word, url, settings.shape, settings.template)
    except BadInput as error:
        return str(error)
    headers = {**request.headers, **{name: value.get_secret_value() for name, value in settings.headers.items()}}
    return _sent(means, request.url, headers, request.body, request.method)


def beat(settings: Alerts, code: int, means: Means) -> str:
    """Tell who waits for it that a run ended: why it could not be told, or "". 75 is a run that goes on later."""
    if settings.heartbeat is None:
        return ""
    url, good = settings.heartbeat.get_secret_value(), code in (0, 75)
    if not good:
        parts = urlsplit(url)
        url = parts._replace(path=parts.path.rstrip("/") + "/fail").geturl()
    return _sent(means, url, {"Content-Type": "text/plain"}, f"digest run: exit code {code}".encode(), "POST")


def _sent(means: Means, url: str, headers: Mapping[str, str], body: bytes, method: str) -> str:
    """Errors name the host and nothing else of an address: what it holds is secret."""
    host = urlsplit(url).hostname or "it"

    async def send() -> int:
        return await means.post(url, headers, body, method=method)

    try:
        status = event_loop.run(send)
    except FetchError as error:
        return f"{host}: {error.reason.replace(url, host)}"
    return "" if 200 <= status < 300 else f"{host} answers {status}"
