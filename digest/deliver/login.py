"""Coming to terms with a mail server: greeting, EHLO, STARTTLS, AUTH. TLS is verified, and never given up."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import shlex
import socket
import ssl
from dataclasses import field
from pathlib import Path
from typing import Protocol

from digest.config import Relay, Smtp
from digest.dataclass import dataclass
from digest.deliver.replies import Reply
from digest.errors import ConfigError, RelayDown
from digest.means import lacking

NUL = "\0"
TOKEN_SECONDS = 300.0  # for which a token is taken to be good; most live for an hour
TOKEN_PATIENCE = 60
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


class Unusable(RelayDown):
    """The server cannot be used at this moment, or, where `final`, not without a change of the settings."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class TokenCommand:
    """A program of the operator's that prints an access token; asked again when that has been used for a while."""

    def __init__(self, command: str) -> None:
        self._words = shlex.split(command)
        self._token = ""
        self._fresh_until = 0.0
        self._asking = asyncio.Lock()  # connections open at once, and one answer does for all

    async def token(self) -> str:
        """Unusable where there is none. What it prints to stderr goes to ours, as it is meant for the operator."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if now >= self._fresh_until:
                self._token = await self._run()
                self._fresh_until = now + TOKEN_SECONDS
            return self._token

    async def _run(self) -> str:
        name = self._words[0]
        try:
            process = await asyncio.create_subprocess_exec(
                *self._words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
            )
        except OSError as error:
            raise Unusable(f"the token_command {name} cannot be run: {error.strerror}", final=True) from None
        try:
            async with asyncio.timeout(TOKEN_PATIENCE):
                printed, _ = await process.communicate()
        except TimeoutError:
            raise Unusable(
                f"the token_command {name} printed nothing in {TOKEN_PATIENCE} seconds", final=True
            ) from None
        finally:
            if process.returncode is None:  # too slow, or we are asked to stop
                process.kill()
                await process.wait()
        token = printed.decode("utf-8", "replace").strip()
        if process.returncode:
            raise Unusable(f"the token_command {name} failed with exit code {process.returncode}", final=True)
        if not token or not token.isprintable():
            raise Unusable(f"the token_command {name} printed no token", final=True)
        return token


@dataclass(frozen=True)
class Server:
    """Where and as whom to connect; timeouts in seconds."""

    scheme: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    auth: str  # "", "plain", "login" or "xoauth2"
    hello: str  # what we call ourselves, or ""
    timeout: float  # for a reply to a command
    data_timeout: float  # for the reply to the end of the data
    context: ssl.SSLContext | None = field(repr=False)
    token: TokenCommand | None = None
    label: str = ""  # what it is called where its place alone does not tell it from another

    @classmethod
    def of(cls, relay: Relay, settings: Smtp, *, label: str = "") -> Server:
        url = relay.server
        return cls(
            scheme=url.scheme,
            host=url.host,
            port=url.port or _PORTS[url.scheme],
            user=url.user,
            password=url.password,
            auth=relay.auth or ("xoauth2" if relay.token_command else ""),
            hello=settings.hello,
            timeout=settings.timeout_seconds,
            data_timeout=settings.data_timeout_seconds,
            # One for all connections: it holds the certificates of every authority there is.
            context=None if url.scheme == "smtp" else trust(settings.ca_file),
            token=TokenCommand(relay.token_command) if relay.token_command else None,
            label=label,
        )

    @property
    def name(self) -> str:
        """For people: where; and who, only where there are several."""
        return self.label or f"{self.host}:{self.port}"


def trust(ca_file: Path | None, *, of: str = "smtp") -> ssl.SSLContext:
    """ConfigError where the file is gone or spoilt since the settings were judged."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # an SSLError is one
        if (lack := lacking(error)) is not None:
            raise lack from error
        raise ConfigError(f"{of}.ca_file: cannot use {ca_file}", hint="a PEM file with certificates to trust") from None


def name_of(relay: Relay) -> str:
    """A relay's name for people and for its counts, without connecting to it."""
    url = relay.server
    return f"{url.host}:{url.port or _PORTS[url.scheme]}"


class Line(Protocol):
    """The connection, as far as greeting needs it."""

    async def ask(self, command: str | None = None) -> Reply: ...

    async def secure(self) -> None: ...

    @property
    def own_address(self) -> str: ...


async def greet(server: Server, line: Line) -> dict[str, str]:
    """From the banner to the login; the extensions that hold for the letters. Unusable where it ends early."""
    banner = await line.ask()
    if banner.code != 220:
        raise Unusable(f"{server.name} does not let us in: {banner}", final=banner.code >= 500)
    name = server.hello or _own_name(line)
    extensions = await _ehlo(server, line, name)
    if server.scheme == "smtp+starttls":
        if "STARTTLS" not in extensions:
            raise Unusable(f"{server.name} offers no STARTTLS, and nothing is sent in clear", final=True)
        reply = await line.ask("STARTTLS")
        if reply.code != 220:
            raise Unusable(f"{server.name} refuses STARTTLS: {reply}", final=reply.code >= 500)
        await line.secure()
        extensions = await _ehlo(server, line, name)  # what was said in clear is forgotten (RFC 3207 §4.2)
    if server.user:
        await _log_in(server, line, extensions)
    return extensions


def tls_failed(server: Server, error: ssl.SSLError) -> Unusable:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unusable(f"the certificate of {server.name} is not trusted: {error.verify_message}", final=True)
    return Unusable(f"no TLS with {server.name}: {error.reason or error}", final=True)


async def _ehlo(server: Server, line: Line, name: str) -> dict[str, str]:
    reply = await line.ask(f"EHLO {name}")
    if reply.code == 250:
        return extensions_of(reply)
    if reply.code in (500, 502) and server.scheme == "smtp" and not server.user:
        reply = await line.ask(f"HELO {name}")
        if reply.code == 250:
            return {}
    raise Unusable(f"{server.name} refuses our greeting: {reply}", final=reply.code >= 500)


def extensions_of(reply: Reply) -> dict[str, str]:
    """{keyword: its parameters} of a reply to EHLO; each line after the first is one."""
    found: dict[str, str] = {}
    for text in reply.lines[1:]:
        keyword, _, parameters = text.partition(" ")
        if keyword.upper().startswith("AUTH="):  # an old spelling that some servers still add
            keyword, parameters = "AUTH", f"{keyword[5:]} {parameters}"
        found[keyword.upper()] = f"{found.get(keyword.upper(), '')} {parameters}".strip()
    return found


async def _log_in(server: Server, line: Line, extensions: dict[str, str]) -> None:
    if server.scheme == "smtp" and not _is_loopback(server.host):
        raise Unusable(
            f"the password for {server.name} would go out in clear; use smtp+starttls:// or smtps://", final=True
        )
    offered = extensions.get("AUTH", "").upper().split()
    wanted = [server.auth.upper()] if server.auth else ["PLAIN", "LOGIN"]
    way = next((word for word in wanted if word in offered), None)
    if way is None:
        raise Unusable(f"{server.name} offers no login by {' or '.join(wanted)}", final=True)
    password = server.password if server.token is None else await server.token.token()
    if way == "PLAIN":
        reply = await line.ask(f"AUTH PLAIN {_b64(NUL.join(('', server.user, password)))}")
    elif way == "LOGIN":
        reply = await line.ask("AUTH LOGIN")
        for secret in (server.user, password):
            if reply.code == 334:
                reply = await line.ask(_b64(secret))
    else:
        bearer = f"user={server.user}\1auth=Bearer {password}\1\1"
        reply = await line.ask(f"AUTH XOAUTH2 {_b64(bearer)}")
        if reply.code == 334:  # an explanation in base64; the reply proper comes after an empty response
            reply = await line.ask("")
    if reply.code != 235:
        # Said by code alone: a server may repeat what we sent.
        raise Unusable(
            f"{server.name} refuses the login of {server.user}: {reply.code} {reply.status}".rstrip(),
            final=reply.code >= 500,
        )


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _own_name(line: Line) -> str:
    name = socket.gethostname()
    return name if "." in name and name.isascii() else line.own_address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
