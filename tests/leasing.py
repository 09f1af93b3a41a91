"""A process that asks one host: for `forked`, so little is imported before it is there."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any


def asking(url: str, at: datetime, addresses: list[str], told: Connection, terms: dict[str, Any]) -> None:
    """Ask for these addresses as the line does, one connection at a time; say before and after that it does."""
    from digest.collect import leases
    from digest.collect.fetch import Fetcher
    from digest.collect.hosts import Hosts
    from digest.config import Collect, Config
    from digest.store import database as store

    leases.LOOK, leases.LOOKS = 0.02, 9_000  # however busy the machine is
    store.server_ahead = lambda session, now: at - now  # PostgreSQL's clock is as late as ours
    settings = Collect(**terms)
    database = store.open_database(url)

    async def at_home(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    async def ask(fetcher: Fetcher, address: str) -> None:
        async with AsyncExitStack() as hold:
            await fetcher.fetch(address, now=at, hold=hold)

    async def all_of_them() -> None:
        hosts = Hosts(settings, clock=lambda: at, shared=leases.Shared(database))
        async with Fetcher(Config.model_construct(collect=settings, base_url=""), hosts, resolve=at_home) as fetcher:
            told.send("ready")
            told.recv()
            await asyncio.gather(*(ask(fetcher, address) for address in addresses))

    asyncio.run(all_of_them())
    told.send("done")
