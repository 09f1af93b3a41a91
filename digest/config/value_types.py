"""Types of the values that settings have: names, lines, addresses, shares, networks."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import field, replace
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from digest.config.hosts import as_ascii
from digest.dataclass import dataclass
from digest.errors import BadInput

# The topics of the package with their titles (`curate/topics.toml`), and the name of what has none.
TOPICS = {
    "ai": "AI and data science",
    "security": "Security",
    "databases": "Databases",
    "distributed": "Distributed systems",
    "devops": "DevOps and cloud",
    "web": "Web",
    "languages": "Programming languages",
    "systems": "Operating systems",
    "mobile": "Mobile",
    "hardware": "Hardware",
    "games": "Games and graphics",
    "practices": "Craft and teams",
}
OTHER = "other"
SLUG = r"^[a-z0-9][a-z0-9_-]{0,39}$"
Slug = Annotated[str, Field(pattern=SLUG)]


def _person(value: str) -> str:
    """`Name <address>` or `address`, on one line (RFC 5322 §3.4); its domain comes out as A-labels."""
    if any(c in value for c in "\r\n\0"):
        raise ValueError("has a line break in it")
    _name, address = parseaddr(value)
    local, at, domain = address.rpartition("@")
    if not (local and at and domain):
        raise ValueError("is not an address; write e.g. 'Daily <news@example.org>'")
    if domain.isascii():
        return value
    if f"@{domain}" not in value:
        raise ValueError("has an address that is not plainly written; write e.g. 'Daily <news@example.org>'")
    return value.replace(f"@{domain}", f"@{as_ascii(domain)}")


def _mailbox(value: str) -> str:
    """One that letters come from or go back to: each server on their way has to take it, also without SMTPUTF8."""
    value = _person(value)
    local = parseaddr(value)[1].rpartition("@")[0]
    if not local.isascii():
        raise ValueError(f"has letters beyond ASCII before the @ ({local}), which many mail servers refuse of a sender")
    return value


def _domain(value: str) -> str:
    """A domain as the network has it."""
    return as_ascii(_one_line(value))


def _one_line(value: str) -> str:
    if any(c in value for c in "\r\n\0"):
        raise ValueError("has a line break in it")
    return value


def _path(value: Path) -> Path:
    _one_line(str(value))
    return value


def _secret(value: SecretStr) -> SecretStr:
    if any(c in value.get_secret_value() for c in "\r\n\0"):
        raise ValueError("has a line break in it")
    return value


def _languages(value: tuple[str, ...]) -> tuple[str, ...]:
    for one in value:
        if not re.fullmatch(r"[a-zA-Z]{2,3}([-_][a-zA-Z0-9]{2,8})*", one.strip()):
            raise ValueError(f'has {one!r}, which is no language; write codes, as in ["en", "de"]')
    return tuple(dict.fromkeys(re.split("[-_]", one.strip().lower())[0] for one in value))


Mailbox = Annotated[str, AfterValidator(_mailbox)]
Person = Annotated[str, AfterValidator(_person)]
Domain = Annotated[str, AfterValidator(_domain)]
Line = Annotated[str, AfterValidator(_one_line)]
Languages = Annotated[tuple[str, ...], AfterValidator(_languages)]  # without their countries
FilePath = Annotated[Path, AfterValidator(_path)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]


@dataclass(frozen=True)
class ServerUrl:
    """A server's address with who logs in there. `port` is None where none is named, `rest` the path and query."""

    scheme: str
    user: str
    password: str = field(repr=False)
    host: str
    port: int | None
    rest: str = field(repr=False)  # a password may stand in a query too

    @property
    def place(self) -> str:
        """Host and port for an address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def is_here(self) -> bool:
        """Is it this machine, by what is written?"""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


_ENCODE = (
    "has a character in its user or password that must be percent-encoded (@ as %40, : as %3A, / as %2F, # as %23, "
    "? as %3F); or leave them out of it and give them as settings of their own, {}"
)
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.,-]*)(?::([0-9]*))?")


def server_url(text: str, *, settings: str) -> ServerUrl:
    """Read `scheme://user:password@host:port/…`. ValueError says what is wrong, and nothing of what stands there.

    Stricter than `urlsplit`, which takes a piece of a password with an unescaped sign for a host, a port or a path,
    and so would have it printed. `settings` names those in which user and password may stand instead.
    """
    scheme, _, rest = text.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, at, place = authority.rpartition("@")
    user, _, password = login.partition(":")
    beyond = rest[len(authority) :]
    if rest.count("@") > len(at) or re.search(r"[^!-~]|[\[\]]", login):
        raise ValueError(_ENCODE.format(settings))
    found = _PLACE.fullmatch(place)
    if found is None or (found[2] and not 0 < int(found[2][:6]) < 65536):
        raise ValueError("has a port that is not a number from 1 to 65535, or a host that is none")
    port = int(found[2]) if found[2] else None
    return ServerUrl(scheme, unquote(user), unquote(password), found[1].strip("[]").lower(), port, beyond)


def smtp_server(url: str) -> ServerUrl:
    """The address of a mail server; ValueError says what is wrong with it."""
    found = server_url(url, settings="user and password")
    found = replace(found, host=as_ascii(found.host))
    if found.scheme not in ("smtp", "smtp+starttls", "smtps") or not found.host or found.rest not in ("", "/"):
        raise ValueError("must look like smtp+starttls://user:password@mail.example.org:587 (or smtp://, smtps://)")
    return found


def imap_server(url: str) -> ServerUrl:
    """The address of a mailbox on an IMAP server; ValueError says what is wrong with it."""
    found = server_url(url, settings="user and password")
    if found.scheme not in ("imap", "imap+starttls", "imaps") or not found.host or re.search(r"[?#]", found.rest):
        raise ValueError("must be a Maildir, an mbox, or look like imaps://user@mail.example.org/INBOX")
    return found


def name_server(words: str) -> tuple[str, int]:
    """`192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`. ValueError for anything else."""
    host, port = words, "53"
    if words.startswith("["):
        host, _, port = words[1:].partition("]")
        port = port.removeprefix(":") or "53"
    elif words.count(":") == 1:
        host, _, port = words.partition(":")
    try:
        number = int(port) if port.isdecimal() and len(port) < 6 else 0
        if not 0 < number < 65536:
            raise ValueError
        return str(ipaddress.ip_address(host)), number
    except ValueError:
        raise ValueError("must be the address of a name server, as in 192.0.2.53 or 127.0.0.1:5353") from None


def _smtp_url(value: SecretStr) -> SecretStr:
    smtp_server(value.get_secret_value())
    return value


def _base_url(value: str) -> str:
    """Without a slash at its end, and with its host as A-labels: so it stands in mails."""
    if any(sign in value for sign in "@?#"):
        raise ValueError("must have no user, password, ? or # in it: readers see it")
    there = server_url(value, settings="")
    if there.scheme not in ("http", "https") or not there.host:
        raise ValueError("must be the http(s) address under which `digest serve` is reached")
    if not there.host.isascii():
        scheme, _, rest = value.partition("://")
        place = re.split("/", rest, maxsplit=1)[0]
        port = f":{there.port}" if there.port else ""
        value = f"{scheme}://{as_ascii(there.host)}{port}{rest[len(place) :]}"
    return value.rstrip("/")


def _secret_key(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 16:
        raise ValueError("must have at least 16 characters; `digest init` makes a good one")
    return value


def _share(value: object) -> object:
    """0.01 or "1%"."""
    if isinstance(value, str) and value.rstrip().endswith("%"):
        try:
            return float(value.rstrip()[:-1]) / 100
        except ValueError:
            raise ValueError('must be a share like "1%" or 0.01') from None
    return value


BaseUrl = Annotated[str, AfterValidator(_base_url)]
SecretKey = Annotated[SecretStr, AfterValidator(_secret_key)]
SmtpUrl = Annotated[SecretStr, AfterValidator(_smtp_url)]
Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _host_name(value: str) -> str:
    """A host in small letters, without scheme, port and path."""
    host = value.strip().lower().rstrip(".")
    if not re.fullmatch(r"[\w-]+(?:\.[\w-]+)*|[0-9a-f:.]+", host):
        raise ValueError('must be a host like "example.org", without https:// and path')
    return host


def _origin(value: str) -> str:
    """An origin as browsers say it (RFC 6454 §6.2): scheme, host and perhaps a port, in small letters."""
    origin = value.strip().lower().rstrip("/")
    if not re.fullmatch(r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", origin):
        raise ValueError('must be an origin like "https://www.example.org", without a path')
    return origin


def _http_headers(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, secret in value.items():
        checked_header(name, secret.get_secret_value())
    return value


def checked_header(name: str, value: str = "") -> None:
    """Raise ValueError, which says nothing of the value, for a header that nobody may add to a request of ours."""
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise ValueError(f"has a header {name!r}, which cannot be the name of one")
    if name.lower() in _OURS:
        raise ValueError(f"has the header {name}, which follows from the request")
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        raise ValueError(f"has a value of {name} that is no line of plain ASCII")


def _proxy_url(value: SecretStr) -> SecretStr:
    if value.get_secret_value() in ("", "none"):
        return value
    found = server_url(value.get_secret_value(), settings="the environment, as https_proxy")
    if found.scheme not in ("http", "https") or not found.host or found.rest not in ("", "/"):
        raise ValueError('must look like http://user:password@proxy.example.org:3128, or be "none"')
    return value


def asked_through(proxy: str) -> str:
    """A proxy as a person gives it for one feed. Raises BadInput, which says nothing of its password."""
    try:
        return _proxy_url(SecretStr(proxy)).get_secret_value()
    except ValueError as error:
        raise BadInput(f"the proxy {error}") from None


_OURS = ("host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "upgrade")
Origin = Annotated[str, AfterValidator(_origin)]
HostName = Annotated[str, AfterValidator(_host_name)]
HttpHeaders = Annotated[dict[str, SecretStr], AfterValidator(_http_headers)]
ProxyUrl = Annotated[SecretStr, AfterValidator(_proxy_url)]
