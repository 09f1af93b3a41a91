"""Asking hubs to tell us of feeds (W3C WebSub §5): subscribed in time, renewed before the lease ends, and left again.

What they say afterwards comes to the door of `digest.web.websub`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from random import Random
from urllib.parse import urlencode

from digest.collect import rhythm
from digest.collect.fetch import Fetcher
from digest.collect.guard import Resolve, resolve
from digest.collect.hosts import Held, Hosts
from digest.collect.leases import Shared
from digest.collect.manner import Manner
from digest.config import Config
from digest.errors import FetchError, Unreachable
from digest.store import Database, hosts, websub

MOST = 50  # hubs that are asked in one run; the others' turn is in the next


async def ask_hubs(
    database: Database,
    config: Config,
    *,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    rng: Random | None = None,
    most: int = MOST,
) -> int:
    """Ask hubs that are due to subscribe us, or to let us go; how many took it. What goes wrong is tried later.

    A hub asks back before it does so: `digest serve` answers, and until then nothing is believed.
    """
    now, rng = clock(), rng or Random()  # noqa: S311
    wanted = config.collect.websub
    with database.read() as session:
        if not websub.any_due(session, now=now, wanted=wanted):
            return 0
    with database.write() as session:
        known = hosts.records(session, now=now)
        # Within half an hour it has asked back, or it is asked again, later each time.
        claims = websub.claim(
            session,
            now=now,
            limit=most,
            wait=lambda failures: rhythm.backoff(now, failures, rng=rng) - now,
            wanted=wanted,
        )
    ledger = Hosts(config.collect, clock=clock, known=known, shared=Shared(database))
    async with Fetcher(config, ledger, resolve=resolve) as fetcher:
        asked = (_ask(database, config, fetcher, claim, clock=clock, rng=rng) for claim in claims)
        taken = sum(await asyncio.gather(*asked))
    with database.write() as session:
        hosts.keep(session, ledger.changed())
    return taken


async def _ask(
    database: Database,
    config: Config,
    fetcher: Fetcher,
    claim: websub.Claim,
    *,
    clock: Callable[[], datetime],
    rng: Random,
) -> bool:
    """Ask as its feed is asked, but for what is secret: that was given to another origin."""
    now, unheard = clock(), False
    _, way = Manner(claim.feed_url, claim.headers, claim.proxy, claim.ca_file).to(claim.hub)
    said = {"hub.mode": claim.mode, "hub.topic": claim.topic, "hub.callback": f"{config.base_url}/websub/{claim.token}"}
    if claim.mode == "subscribe":
        said |= {"hub.secret": claim.secret, "hub.lease_seconds": str(int(websub.LEASE.total_seconds()))}
    try:
        await fetcher.post(claim.hub, urlencode(said).encode(), now=now, way=way)
        return True
    except Held as held:
        until, failures, error = held.until, claim.failures, held.reason
    except FetchError as trouble:
        failures, error = claim.failures + 1, trouble.reason
        unheard = isinstance(trouble, Unreachable) and not trouble.refused
        until = rhythm.after_failure(clock(), failures, trouble, rng=rng)
    with database.write() as session:
        websub.put_off(session, claim, until=until, failures=failures, error=error[:300], unheard=unheard)
    return False
