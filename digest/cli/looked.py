"""What servers show whoever looks: can relays be used, and when do certificates end? For alerts; `doctor` says more."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from digest.cli.common import now

if TYPE_CHECKING:
    from digest.alerts import Looked
    from digest.config import Config, Relay, Smtp
    from digest.deliver.look import Seen

SECONDS = 5.0  # for one server; all are asked beside each other
DAY = timedelta(days=1)
End = Callable[[str, int], Awaitable[datetime]]


def look(config: Config, *, certificates_only: bool = False) -> Looked:
    """Connect to each relay as a letter would, and to the website of links. Nothing is sent."""
    from digest import event_loop

    return event_loop.run(lambda: _look(config, certificates_only=certificates_only))


def daily(config: Config) -> Looked | None:
    """What a run looks at once a day: certificates alone, since relays are seen when letters go there."""
    mark, at = config.maildir.parent / "digest-alert-looked", now()
    try:
        if mark.exists() and abs(at.timestamp() - mark.stat().st_mtime) < DAY.total_seconds():
            return None
        mark.touch(mode=0o600)
        os.utime(mark, (at.timestamp(), at.timestamp()))
    except OSError:
        return None
    return look(config, certificates_only=True)


async def _look(config: Config, *, certificates_only: bool) -> Looked:
    from digest.alerts import Looked
    from digest.deliver.login import name_of

    ways: dict[str, tuple[Relay, Smtp]] = {}
    uses: dict[str, list[str]] = {}
    for name in config.turn:
        smtp = config.imprint(name).smtp
        for relay in smtp.servers:
            if certificates_only and relay.server.scheme == "smtp":
                continue
            uses.setdefault(name, []).append(name_of(relay))
            ways.setdefault(name_of(relay), (relay, smtp))
    sites = {urlsplit(config.imprint(name).base_url).netloc: config.imprint(name).base_url for name in config.turn}
    sites = {name: url for name, url in sites.items() if url.startswith("https:")}
    answers = await asyncio.gather(
        *(_relay(relay, smtp) for relay, smtp in ways.values()), *(_site(url) for url in sites.values())
    )
    relays = dict(zip(ways, answers, strict=False))
    ends = {name: one.certificate_end for name, one in relays.items() if not isinstance(one, str | datetime | None)}
    ends |= {name: one for name, one in zip(sites, answers[len(ways) :], strict=True) if isinstance(one, datetime)}
    seen = {name: end for name, end in ends.items() if end is not None}
    clear = {name for name, end in ends.items() if end is None}  # which have none
    unseen = frozenset(({*ways, *sites} - seen.keys()) - clear)
    whys = {name: one for name, one in relays.items() if isinstance(one, str)}
    return Looked(None if certificates_only else _trouble(uses, whys), seen, unseen, frozenset(sites))


def _trouble(uses: dict[str, list[str]], whys: dict[str, str]) -> dict[str, str]:
    """By newsletter why none of its relays can be used, or ""; under "" that of all: see `alerts.Seen`."""
    found = {
        name: "; ".join(dict.fromkeys(whys[one] for one in its)) if all(one in whys for one in its) else ""
        for name, its in uses.items()
    }
    if found and all(found.values()):
        return {"": "; ".join(dict.fromkeys(found.values()))}
    return {**found, "": ""} if found else {}


async def _relay(relay: Relay, smtp: Smtp) -> Seen | str:
    from digest.deliver import look
    from digest.errors import ConfigError, RelayDown

    try:
        async with asyncio.timeout(2 * SECONDS):
            return await look.at(relay, smtp, seconds=SECONDS)
    except TimeoutError:
        return f"no answer within {2 * SECONDS:.0f} seconds"
    except (RelayDown, ConfigError) as error:
        return str(error)


async def _site(url: str) -> datetime | None:
    """When the certificate of a website ends, also where it has; None where nothing is seen."""
    from digest.doctor.links import certificate_end

    parts = urlsplit(url)
    place = (parts.hostname or "", parts.port or 443)
    try:
        async with asyncio.timeout(SECONDS):
            return await certificate_end(*place)
    except ssl.SSLCertVerificationError:
        return await _ended(place)
    except (OSError, TimeoutError):
        return None


async def _ended(place: tuple[str, int]) -> datetime | None:
    """The end of one that nobody trusts, where that is why. What else is wrong with it `digest doctor` says."""
    from cryptography.x509 import load_pem_x509_certificate

    try:
        async with asyncio.timeout(SECONDS):
            pem = await asyncio.to_thread(ssl.get_server_certificate, place, timeout=SECONDS)
        ends = load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    except (OSError, TimeoutError, ValueError):
        return None
    return ends if ends <= now() else None
