"""Do the links in letters work for whoever gets them? Asked as mail programs do (RFC 8058), by a link of nobody."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

from digest.doctor.checking import Check
from digest.doctor.findings import Cure, Finding, Level, Place
from digest.errors import FetchError, Unreachable

SECTION = "links"
SOON, AT_ONCE = timedelta(days=21), timedelta(days=3)  # before a certificate's end: warned of; as good as over
# method, address, headers, body: the status and the beginning of what was answered. Raises FetchError.
Ask = Callable[[str, str, Mapping[str, str], bytes], Awaitable[tuple[int, bytes]]]


@dataclass(frozen=True)
class Site:
    """Where links lead: `under` is the table of the settings that says so, `nobodys` a path that is signed for nobody.

    `expects` is in the answer where it is from this installation, with its key.
    """

    base_url: str
    nobodys: str
    expects: bytes
    under: str = ""
    file: str = "digest.toml"
    domain: str = ""  # of the sender
    private: bool = False  # may it be one that only this network reaches?


def checks(sites: list[Site], ask: Ask, *, now: datetime, seconds: float) -> list[Check]:
    made = []
    for site in sites:
        name = urlsplit(site.base_url).netloc
        made.append(Check(SECTION, f"address {name}", partial(_address, site, name), seconds))
        made.append(Check(SECTION, f"one-click {name}", partial(_one_click, site, name, ask), seconds))
        if site.base_url.startswith("https:"):
            made.append(Check(SECTION, f"certificate {name}", partial(_certificate, site, name, now), seconds))
    return made


async def _address(site: Site, name: str) -> list[Finding]:
    """Can others reach it at all, by what is written?"""
    host = urlsplit(site.base_url).hostname or ""
    where = f"address {name}"
    if not site.private and _is_here(host):
        mend = Cure(f'base_url = "https://{site.domain}"', Place.SETTINGS, site.under, site.file)
        seen = f"links in letters lead to {site.base_url}, which no reader reaches; name the host of your website"
        return [Finding(SECTION, where, Level.FAIL, seen, mend)]
    if not site.base_url.startswith("https:"):
        mend = Cure(f'base_url = "https:{site.base_url.partition(":")[2]}"', Place.SETTINGS, site.under, site.file)
        seen = f"{site.base_url} is not encrypted, and mail programs click on https links only (RFC 8058)"
        return [Finding(SECTION, where, Level.FAIL, seen, mend)]
    return [Finding(SECTION, where, Level.OK, site.base_url)]


def _is_here(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))


async def _one_click(site: Site, name: str, ask: Ask) -> list[Finding]:
    url, where = site.base_url + site.nobodys, f"one-click {name}"
    serve = Cure("digest serve")
    try:
        shown, page = await ask("GET", url, {"Accept": "text/html"}, b"")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        done, answer = await ask("POST", url, form, b"List-Unsubscribe=One-Click")
    except Unreachable as error:
        seen = f"nobody can leave: {site.base_url} {error.reason}; is digest serve running, and the proxy before it?"
        return [Finding(SECTION, where, Level.FAIL, seen, serve)]
    except FetchError as error:
        return [Finding(SECTION, where, Level.FAIL, f"nobody can leave: {site.base_url} {error.reason}", serve)]
    if 300 <= done < 400 or 300 <= shown < 400:
        seen = "the link to leave is answered with a redirect, which mail programs do not follow (RFC 8058 §3.1)"
        return [Finding(SECTION, where, Level.FAIL, seen, serve)]
    if done in (401, 403, 407):
        seen = f"one click is answered {done}: something before digest serve wants a login, or blocks robots"
        return [Finding(SECTION, where, Level.FAIL, seen, serve)]
    if done == 404 and shown == 404:
        seen = (
            "the server does not know a link that is signed with the key of these settings: start digest serve anew, "
            "with these settings, or it is another server"
        )
        return [Finding(SECTION, where, Level.FAIL, seen, serve)]
    if done // 100 != 2 or shown // 100 != 2:
        return [Finding(SECTION, where, Level.FAIL, f"one click is answered {done}, and the page {shown}", serve)]
    if site.expects not in answer or site.expects not in page:
        seen = "something else than this digest answers for the link to leave, and says that all is well"
        return [Finding(SECTION, where, Level.FAIL, seen, serve)]
    return [Finding(SECTION, where, Level.OK, f"{site.base_url} takes one click (RFC 8058); nobody was unsubscribed")]


async def _certificate(site: Site, name: str, now: datetime) -> list[Finding]:
    parts = urlsplit(site.base_url)
    where = f"certificate {name}"
    try:
        ends = await certificate_end(parts.hostname or "", parts.port or 443)
    except ssl.SSLCertVerificationError as error:
        seen = f"readers are warned of the website: {error.verify_message}"
        return [Finding(SECTION, where, Level.FAIL, seen, Cure("certbot renew"))]
    except OSError as error:
        seen = f"cannot be seen: {error.strerror or error}"
        return [Finding(SECTION, where, Level.UNKNOWN, seen)]
    return [certificate(SECTION, where, ends, now=now, cure=Cure("certbot renew"))]


def certificate(section: str, name: str, ends: datetime, *, now: datetime, cure: Cure | None) -> Finding:
    """What the end of a certificate means."""
    left = ends - now
    level = Level.FAIL if left < AT_ONCE else Level.WARN if left < SOON else Level.OK
    when = f"{ends:%Y-%m-%d}"
    seen = f"the certificate ended on {when}" if left < timedelta(0) else f"the certificate ends on {when}"
    if level is not Level.OK and left >= timedelta(0):
        seen += f", in {left.days} days, and nobody has renewed it"
    return Finding(section, name, level, seen, None if level is Level.OK else cure)


async def certificate_end(host: str, port: int) -> datetime:
    """When the certificate of a server ends, verified as others do. Raises OSError, of which an SSLError is one."""
    context = ssl.create_default_context()
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    try:
        return not_after(writer.get_extra_info("peercert") or {})
    finally:
        writer.transport.abort()


def not_after(certificate: Mapping[str, object]) -> datetime:
    """The end of a certificate as `ssl` tells it. OSError where it tells none."""
    said = certificate.get("notAfter")
    if not isinstance(said, str):
        raise OSError("the server shows no certificate")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(said), UTC)
