"""What the editor's page asks on wish: whether links answer, and what spamd makes of the message."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from digest import event_loop
from digest.cli.common import now
from digest.errors import FetchError, Unavailable

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store import Database

SPAMD = ("127.0.0.1", 783)
_SECONDS = 20.0  # for an answer of spamd, which asks block lists itself
_MOST = 64_000  # bytes of an answer
_AT_ONCE = 8
_VERDICT = re.compile(r"^Spam: *\w+ *; *(-?\d+(?:\.\d+)?) */ *(-?\d+(?:\.\d+)?)", re.MULTILINE | re.IGNORECASE)


def lookup(config: Config, addresses: list[str], database: Database | None = None) -> dict[str, str]:
    """Ask for each page as a run asks for feeds, private addresses left alone; why each that does not answer."""
    return event_loop.run(lambda: _lookup(config, addresses, database))


async def _lookup(config: Config, addresses: list[str], database: Database | None) -> dict[str, str]:
    from digest.collect.fetch import Fetcher
    from digest.collect.hosts import Hosts
    from digest.collect.leases import Shared

    turns = asyncio.Semaphore(_AT_ONCE)
    shared = Shared(database) if database is not None else None
    hosts = Hosts(config.collect, clock=now, by_hand=True, shared=shared)
    async with Fetcher(config, hosts, accept="text/html,*/*;q=0.5") as fetcher:

        async def ask(url: str) -> str:
            async with turns, AsyncExitStack() as hold:
                try:
                    await fetcher.fetch(url, now=now(), hold=hold)
                except FetchError as error:
                    return str(error).removeprefix(url).lstrip(": ") or "does not answer"
            return ""

        said = await asyncio.gather(*map(ask, addresses))
    return {url: why for url, why in zip(addresses, said, strict=True) if why}


def spam(message: bytes, *, at: tuple[str, int] = SPAMD) -> tuple[float, float, tuple[str, ...]] | None:
    """Points, how many are spam, and the rules that fire (SPAMC protocol 1.5, SYMBOLS); None where no spamd listens.

    Unavailable where it answers what cannot be read, or not in time.
    """
    try:
        connection = socket.create_connection(at, timeout=_SECONDS)
    except OSError:
        return None
    with connection:
        try:
            connection.sendall(b"SYMBOLS SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % len(message) + message)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while len(answer) < _MOST and (piece := connection.recv(8192)):
                answer += piece
        except OSError as error:
            raise Unavailable(f"spamd does not answer: {error}", hint="is it too busy? try again") from None
    head, _, body = answer.decode("utf-8", "replace").replace("\r\n", "\n").partition("\n\n")
    found = _VERDICT.search(head)
    if found is None:
        raise Unavailable(f"spamd answers {head[:80]!r}", hint="it may not let this machine ask: see its -A")
    return float(found[1]), float(found[2]), tuple(rule for rule in re.split(r"[,\s]+", body) if rule)
