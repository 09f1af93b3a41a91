"""A connection to an IMAP server (RFC 3501), as far as a mailbox is read: verified TLS, a login, commands.

Written here, since what a server says is bounded here: in time and in bytes, by line, literal and command.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from digest.config import ServerUrl
from digest.errors import ConfigError, Unavailable

PORTS = {"imap": 143, "imap+starttls": 143, "imaps": 993}
NUL = "\0"
_LINE = 16_000_000  # bytes: a SEARCH tells the numbers of two million mails in so many
MOST_LITERALS = 16_000_000  # bytes of one reply
_REPLY = 100  # bytes that are counted of each, however short it is: a run of them is held
_SLOWEST = 20_000  # bytes in a second: mails may take so long, where they come at all
_LITERAL = re.compile(rb"\{(\d{1,12})\+?\}$")
_CODE = re.compile(r"\[([A-Z-]{1,40})(?: ([^\]\[]{0,200}))?\]", re.IGNORECASE)


class Lost(Unavailable):
    """The server is gone, silent, or says what no IMAP server says; what was read is kept, and the rest waits."""


@dataclass(frozen=True)
class Server:
    """Where and as whom to read. `token` gives what stands for the password, where a program makes it."""

    url: ServerUrl
    auth: str = ""  # "", "plain", "login" or "xoauth2"
    token: Callable[[], str] | None = field(default=None, repr=False)
    context: Callable[[], ssl.SSLContext] = field(default=ssl.create_default_context, repr=False)
    seconds: float = 60.0  # for the connection, and for each command

    @property
    def name(self) -> str:
        """For people: where, without who."""
        return f"{self.url.host}:{self.url.port or PORTS[self.url.scheme]}"


@dataclass(frozen=True)
class Said:
    """One reply: its words without the literals, and those. A literal's place is left as {}."""

    text: str
    literals: tuple[bytes, ...] = ()

    def code(self, name: str) -> str | None:
        """What a response code like [UIDVALIDITY 7] has, "" where it has nothing, None where it is not there."""
        for match in _CODE.finditer(self.text[:500]):
            if match[1].upper() == name:
                return match[2] or ""
        return None


class Wire:
    """A connection that is logged in. Every method raises Lost, or ConfigError where settings must be changed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.capabilities: frozenset[str] = frozenset()
        self.broken = False
        self._number = 0
        self._got, self._at = b"", 0  # what has come, and as far as it was read
        self._until = time.monotonic() + server.seconds
        self._socket = self._connect()
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    # ---------------------------------------------------------------- commands

    def ask(self, command: str, *, most: int = MOST_LITERALS) -> list[Said]:
        """The replies to a command, its end last; Refused where it is not OK. So many bytes of literals at most."""
        tag = self._send(command)
        self._until += (
            most / _SLOWEST if most < MOST_LITERALS else 0
        )  # of what was asked for, it is known how much it is
        word = command.removeprefix("UID ").split(" ")[0]
        replies, size = list[Said](), 0
        while True:
            said = self._reply(most)
            most -= sum(map(len, said.literals))
            size += len(said.text) + _REPLY
            if said.text.startswith(tag + " "):
                end = Said(said.text[len(tag) + 1 :], said.literals)
                if not end.text.upper().startswith("OK"):
                    raise Refused(f"{self.server.name} refuses {word}: {_shown(end.text)}")
                return [*replies, end]
            if said.text.startswith("* "):
                if said.text.upper().startswith("* BYE") and word != "LOGOUT":
                    raise self._lost(f"ends the connection: {_shown(said.text[2:])}")
                replies.append(Said(said.text[2:], said.literals))
            elif not said.text.startswith("+"):
                raise self._odd(said.text)
            if size > _LINE:
                raise self._odd("replies without end")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def _send(self, command: str) -> str:
        self._number += 1
        tag = f"D{self._number}"
        self._until = time.monotonic() + self.server.seconds
        self._write(f"{tag} {command}\r\n".encode())
        return tag

    # ---------------------------------------------------------------- the beginning

    def _connect(self) -> socket.socket:
        url = self.server.url
        try:
            plain = socket.create_connection((url.host, url.port or PORTS[url.scheme]), self.server.seconds)
        except (OSError, UnicodeError) as error:  # of a name that DNS can have nowhere
            why = getattr(error, "strerror", "") or error
            raise Lost(f"{self.server.name} cannot be reached: {why}", hint=WAITS) from None
        return self._secured(plain) if url.scheme == "imaps" else plain

    def _secured(self, plain: socket.socket) -> socket.socket:
        try:
            return self.server.context().wrap_socket(plain, server_hostname=self.server.url.host)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            raise ConfigError(
                f"the certificate of {self.server.name} is not trusted: {error.verify_message}",
                hint="ca_file in [mail] names a PEM file with certificates to trust",
            ) from None
        except OSError as error:  # an SSLError is one
            plain.close()
            reason = getattr(error, "reason", "") or error.strerror or error
            raise Lost(f"no TLS with {self.server.name}: {reason}", hint="is it imaps:// or imap://?") from None

    def _begin(self) -> None:
        url = self.server.url
        greeting = self._reply(MOST_LITERALS)
        if not greeting.text.upper().startswith(("* OK", "* PREAUTH")):
            raise Lost(f"{self.server.name} does not let us in: {_shown(greeting.text)}", hint=WAITS)
        self._learn(self.ask("CAPABILITY"))
        if url.scheme == "imap+starttls" or (url.scheme == "imap" and not url.is_here):
            if "STARTTLS" not in self.capabilities:
                raise ConfigError(
                    f"{self.server.name} offers no STARTTLS, and nothing is read in clear", hint="is it imaps://?"
                )
            self.ask("STARTTLS")
            if rest := self._rest():  # said in clear by whoever stands between (CVE-2011-0411)
                raise self._odd(rest.decode("latin-1"))
            self._socket = self._secured(self._socket)
            self._learn(self.ask("CAPABILITY"))  # what was said in clear is forgotten
        if url.user and greeting.text.upper().startswith("* OK"):
            self._log_in()
            self._learn(self.ask("CAPABILITY"))

    def _learn(self, replies: list[Said]) -> None:
        for said in replies:
            if said.text.upper().startswith("CAPABILITY "):
                self.capabilities = frozenset(said.text.upper().split()[1:])

    def _log_in(self) -> None:
        """By SASL where it is offered, which has passwords of any letters, else by LOGIN."""
        server, user = self.server, self.server.url.user
        way = server.auth or ("xoauth2" if server.token else "plain" if "AUTH=PLAIN" in self.capabilities else "login")
        if way != "login" and f"AUTH={way.upper()}" not in self.capabilities:
            raise ConfigError(f"{server.name} offers no login by {way}", hint="auth in [mail] names another way")
        if way == "login" and "LOGINDISABLED" in self.capabilities:
            raise ConfigError(f"{server.name} offers no login by a password", hint="auth in [mail] names another way")
        secret = server.token() if server.token else server.url.password
        try:
            if way == "login":
                self.ask(f"LOGIN {_quoted(user)} {_quoted(secret)}")
            elif way == "plain":
                self._authenticate("PLAIN", NUL.join(("", user, secret)))
            else:
                self._authenticate("XOAUTH2", f"user={user}\1auth=Bearer {secret}\1\1")
        except Refused as error:
            # Nothing of its words: a server may repeat what we sent.
            if error.temporary:
                raise Lost(f"{server.name} cannot let {user} in for now", hint=WAITS) from None
            raise ConfigError(
                f"{server.name} refuses the login of {user}", hint="user and password, or token_command, in [mail]"
            ) from None

    def _authenticate(self, way: str, text: str) -> None:
        tag = self._send(f"AUTHENTICATE {way}")
        answers = [base64.b64encode(text.encode()), b"", b"*"]  # an empty one ends XOAUTH2's explanation
        for _ in range(20):
            said = self._reply(MOST_LITERALS)
            if said.text.startswith("+") and answers:
                self._write(answers.pop(0) + b"\r\n")
            elif said.text.startswith(tag + " "):
                if not said.text[len(tag) + 1 :].upper().startswith("OK"):
                    raise Refused(said.text[len(tag) + 1 :])
                return
            elif not said.text.startswith("* "):
                break
        raise self._odd("no end of the login")

    # ---------------------------------------------------------------- bytes

    def _reply(self, most: int) -> Said:
        """A line with its literals."""
        words, literals = b"", list[bytes]()
        while True:
            line = self._line()
            match = _LITERAL.search(line)
            if match is None:
                return Said((words + line).decode("utf-8", "replace"), tuple(literals))
            size = int(match[1])
            if size > most or len(literals) > 1000:
                raise self._odd(f"a literal of {size:,} bytes")
            most -= size
            words += line[: match.start()] + b"{}"
            if len(words) > _LINE:
                raise self._odd("a line without end")
            literals.append(self._take(size))

    def _line(self) -> bytes:
        pieces, size = list[bytes](), 0
        while (end := self._got.find(b"\n", self._at)) < 0:
            pieces.append(self._rest())
            size += len(pieces[-1])
            if size > _LINE:
                raise self._odd("a line without end")
            self._got = self._receive()
        pieces.append(self._got[self._at : end])
        self._at = end + 1
        return b"".join(pieces).rstrip(b"\r")

    def _take(self, size: int) -> bytes:
        pieces = [self._rest()]
        have = len(pieces[0])
        while have < size:
            pieces.append(self._receive())
            have += len(pieces[-1])
        data = b"".join(pieces)
        self._got = data[size:]
        return data[:size]

    def _rest(self) -> bytes:
        """What has come and was not read; it is read now."""
        rest, self._got, self._at = self._got[self._at :], b"", 0
        return rest

    def _receive(self) -> bytes:
        self._socket.settimeout(self._left())
        try:
            data = self._socket.recv(65_536)
        except TimeoutError:
            raise self._silent() from None
        except OSError as error:
            raise self._gone(error) from None
        if not data:
            raise self._lost("has ended the connection")
        return data

    def _write(self, data: bytes) -> None:
        self._socket.settimeout(self._left())
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise self._silent() from None
        except OSError as error:
            raise self._gone(error) from None

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise self._silent()
        return min(left, self.server.seconds)

    def _lost(self, words: str, hint: str = "") -> Lost:
        self.broken = True
        return Lost(f"{self.server.name} {words}", hint=hint or WAITS)

    def _silent(self) -> Lost:
        return self._lost(f"has not answered in {self.server.seconds:g} seconds")

    def _gone(self, error: OSError) -> Lost:
        return self._lost(f"is lost: {error.strerror or error}")

    def _odd(self, words: str) -> Lost:
        return self._lost(f"says what no IMAP server says: {_shown(words)}", hint="is it one?")


class Refused(Lost):
    """NO or BAD to one command."""

    @property
    def temporary(self) -> bool:
        return "[UNAVAILABLE]" in str(self).upper() or "[INUSE]" in str(self).upper()


WAITS = "what lies in the mailbox waits; the next run reads it"


def _shown(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text[:200])


def _quoted(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ConfigError("a login with other letters than those of ASCII wants a server with AUTH=PLAIN")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def folder_name(name: str) -> str:
    """A mailbox's name as it goes over the wire, quoted: what is not ASCII in modified UTF-7 (RFC 3501 §5.1.3)."""
    found = ""
    for piece in re.findall(r"[ -~]+|[^ -~]+", name):
        if piece.isascii() and piece.isprintable():
            found += piece.replace("&", "&-")
        else:
            packed = base64.b64encode(piece.encode("utf-16-be")).decode().rstrip("=")
            found += f"&{packed.replace('/', ',')}-"
    return _quoted(found)
