"""A mail server whose every answer a test decides: real sockets on loopback, one thread per connection."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

DROP = "drop"  # in place of a reply: the connection ends
EVERYTHING = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10000000", "ENHANCEDSTATUSCODES")


@dataclass
class Taken:
    """A message as it was accepted, or as far as it came."""

    sender: str
    recipient: str
    content: bytes


@dataclass
class MailServer:
    """Takes everything, unless told otherwise. Callbacks get what is asked and say the reply."""

    extensions: tuple[str, ...] = EVERYTHING
    in_clear: tuple[str, ...] | None = None  # offered in place of those before the encryption
    knows_ehlo: bool = True
    banner: str | None = "220 test ESMTP"  # None: says nothing
    context: ssl.SSLContext | None = None
    implicit_tls: bool = False
    early: bytes = b""  # said in clear right after the 220 to STARTTLS
    login: Callable[[list[str]], bool] | None = None  # gets what was sent for AUTH, in order
    on_mail: Callable[[str, int], str] = lambda sender, number: "250 2.1.0 Ok"  # number: of the envelope here
    on_rcpt: Callable[[str], str] = lambda recipient: "250 2.1.5 Ok"
    on_data: Callable[[str], str] = lambda recipient: "354 go on"
    on_body: Callable[[Taken], str] = lambda taken: "250 2.0.0 Ok: queued"
    on_reset: Callable[[], str] = lambda: "250 2.0.0 Ok"
    mid_data: Callable[[str], bool] = lambda recipient: False  # end the connection in the middle of the body?
    keep_354: bool = False  # answer DATA with 354 also where no recipient was accepted
    most_connections: int = 1000
    byte_by_byte: bool = False
    port: int = 0
    taken: list[Taken] = field(default_factory=list)  # accepted with 2yz, or before a DROP
    log: list[str] = field(default_factory=list)
    connections: int = 0
    at_once: int = 0
    rode_along: int = 0  # envelopes that came with the body before them
    hurried: int = 0  # commands that came before the reply to the one before them

    def __enter__(self) -> MailServer:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self.listen()
        return self

    def listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False, backlog=200)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.vanish()

    def vanish(self) -> None:
        """Close the port and every connection, until `listen()`."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def recipients(self) -> list[str]:
        return [taken.recipient for taken in self.taken]

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self.at_once += 1
            self._sockets.add(connection)
        try:
            with connection:
                _Talk(self, connection).run()
        except (OSError, EOFError, ssl.SSLError):
            pass
        finally:
            with self._lock:
                self.at_once -= 1
                self._sockets.discard(connection)

    def keep(self, taken: Taken) -> None:
        with self._lock:
            self.taken.append(taken)


@contextlib.contextmanager
def scripted(talk: Callable[[socket.socket, BinaryIO], None]) -> Iterator[str]:
    """The host and port of a server that treats each connection as `talk` does, for what `MailServer` would not do."""

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as lines:
            talk(connection, lines)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


class _Talk:
    def __init__(self, server: MailServer, connection: socket.socket) -> None:
        self.server = server
        self.connection = connection
        # Else the second of two replies would wait for the client's delayed acknowledgement of the first, 40 ms each.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def line(self) -> str:
        while b"\n" not in self.buffer:
            self.fill()
        line, _, self.buffer = self.buffer.partition(b"\n")
        assert line.endswith(b"\r"), f"a bare line feed: {line!r}"
        assert b"\r" not in line[:-1], f"a bare carriage return: {line!r}"
        return line[:-1].decode()

    def fill(self) -> None:
        data = self.connection.recv(65536)
        if not data:
            raise EOFError
        self.buffer += data

    def say(self, reply: str) -> None:
        if reply == DROP:
            raise EOFError
        data = "".join(f"{line}\r\n" for line in reply.split("\n")).encode()
        if self.server.byte_by_byte:
            for at in range(len(data)):
                self.connection.sendall(data[at : at + 1])
        else:
            self.connection.sendall(data)

    def pending(self) -> bool:
        return bool(self.buffer) or bool(select.select([self.connection], [], [], 0)[0])

    def run(self) -> None:
        server = self.server
        if server.implicit_tls:
            assert server.context is not None
            self.connection = server.context.wrap_socket(self.connection, server_side=True)
        if server.banner is None:
            time.sleep(30)
            return
        if server.at_once > server.most_connections:
            self.say("421 4.7.0 too many connections")
            return
        self.say(server.banner)
        number, sender, recipients, refused_sender, under_way = 0, "", [], False, False
        while True:
            line = self.line()
            verb = line.split(" ")[0].upper()
            if verb in ("MAIL", "RCPT", "DATA") and "PIPELINING" not in server.extensions and self.pending():
                server.hurried += 1
            if verb == "EHLO" and server.knows_ehlo:
                secure = isinstance(self.connection, ssl.SSLSocket)
                offers = [*(server.extensions if secure or server.in_clear is None else server.in_clear)]
                if server.context is not None and not secure:
                    offers.append("STARTTLS")
                if server.login is not None:
                    offers.append("AUTH PLAIN LOGIN XOAUTH2")
                lines = ["test greets you", *offers]
                self.say("\n".join(f"250{'-' if n < len(lines) - 1 else ' '}{text}" for n, text in enumerate(lines)))
            elif verb == "STARTTLS" and server.context is not None:
                self.connection.sendall(b"220 2.0.0 go ahead\r\n" + server.early)
                self.connection = server.context.wrap_socket(self.connection, server_side=True)
                self.buffer = b""
            elif verb == "AUTH":
                self.log_in(line)
            elif verb == "MAIL":
                number += 1
                match = re.match(r"MAIL FROM:<(.*?)>", line)
                assert match is not None
                server.log.append(line)
                reply = "503 5.5.1 nested MAIL" if under_way else server.on_mail(match[1], number)
                sender, recipients, refused_sender = match[1], [], not reply.startswith("2")
                under_way = under_way or not refused_sender
                self.say(reply)
                if reply.startswith("421"):
                    return
            elif verb == "RCPT":
                match = re.match(r"RCPT TO:<(.*)>$", line)
                assert match is not None
                reply = "503 5.5.1 no sender" if refused_sender else server.on_rcpt(match[1])
                if reply.startswith("2"):
                    recipients.append(match[1])
                self.say(reply)
                if reply.startswith("421"):
                    return
            elif verb == "DATA":
                if not recipients and not server.keep_354:
                    self.say("554 5.5.1 no valid recipients")
                    continue
                reply = server.on_data(recipients[0] if recipients else "")
                self.say(reply)
                if reply.startswith("354"):
                    self.body(sender, recipients)
                    under_way = False
                recipients = []
            elif verb == "RSET":
                recipients, under_way = [], False
                self.say(server.on_reset())
            elif verb == "QUIT":
                self.say("221 2.0.0 Bye")
                return
            elif verb == "HELO":
                self.say("250 test")
            else:
                self.say("502 5.5.2 what?")

    def body(self, sender: str, recipients: list[str]) -> None:
        recipient = recipients[0] if recipients else ""
        while not (self.buffer.startswith(b".\r\n") or b"\r\n.\r\n" in self.buffer):
            self.fill()
            if recipient and self.server.mid_data(recipient):
                raise EOFError
        if self.buffer.startswith(b".\r\n"):
            content, self.buffer = b"", self.buffer[3:]
        else:
            content, _, self.buffer = self.buffer.partition(b"\r\n.\r\n")
            content += b"\r\n"
        assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
        self.server.rode_along += self.buffer.startswith(b"MAIL")
        content = re.sub(rb"(?m)^\.", b"", content)
        if not recipients:
            assert content == b"", "a letter for nobody"
            self.say("554 5.5.1 no valid recipients")
            return
        taken = Taken(sender, recipient, content)
        reply = self.server.on_body(taken)
        if reply.startswith("2") or reply == DROP:
            self.server.keep(taken)
        self.say(reply)
        if reply.startswith("421"):
            raise EOFError

    def log_in(self, line: str) -> None:
        words = line.split(" ")[1:]
        assert self.server.login is not None
        if words[0] == "LOGIN":
            for _ in range(2):
                self.say("334 bW9yZQ==")
                words.append(self.line())
        accepted = self.server.login(words)
        if not accepted and words[0] == "XOAUTH2":
            self.say("334 e30=")
            assert self.line() == ""
        self.say("235 2.7.0 welcome" if accepted else "535 5.7.8 wrong " + " ".join(words))
