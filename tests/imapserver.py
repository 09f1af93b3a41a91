"""An IMAP server of a few words, whose every answer a test may decide: real sockets on loopback, a thread each."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

HANG = b"hang"  # in place of an answer: nothing comes, until the server ends
DROP = b"drop"  # the connection ends


@dataclass
class Stored:
    uid: int
    raw: bytes
    flags: set[str] = field(default_factory=set)


@dataclass
class ImapServer:
    """Mailboxes in memory. `answer` gets each command and may say the bytes to answer with, HANG or DROP."""

    capabilities: tuple[str, ...] = ("IMAP4rev1", "AUTH=PLAIN", "MOVE", "UIDPLUS")
    after_tls: tuple[str, ...] | None = None
    greeting: bytes = b"* OK ready"
    context: ssl.SSLContext | None = None
    implicit_tls: bool = False
    user: str = "back"
    password: str = "a pass word"
    validity: int = 7
    read_only: bool = False
    answer: Callable[[str], bytes | None] = lambda command: None
    injected: bytes = b""  # said in clear right behind the OK to STARTTLS
    boxes: dict[str, list[Stored]] = field(default_factory=lambda: {"INBOX": []})
    log: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    next_uid: int = 1

    def __enter__(self) -> ImapServer:
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def add(self, *mails: bytes) -> None:
        for raw in mails:
            self.boxes["INBOX"].append(Stored(self.next_uid, raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")))
            self.next_uid += 1

    def url(self, scheme: str = "imap", user: str = "back:a%20pass%20word@", path: str = "") -> str:
        return f"{scheme}://{user}127.0.0.1:{self.port}{path}"

    @property
    def flags(self) -> list[str]:
        """Of the mails in INBOX, in their order."""
        return [" ".join(sorted(one.flags)) for one in self.boxes["INBOX"]]

    def commands(self, word: str) -> list[str]:
        return [one for one in self.log if one.startswith(word)]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError, ssl.SSLError):
            if self.implicit_tls and self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection:
                _Talk(self, connection).run()


class _Talk:
    def __init__(self, server: ImapServer, connection: socket.socket) -> None:
        self.server, self.connection = server, connection
        self.lines = connection.makefile("rb")
        self.capabilities = server.capabilities
        self.box: list[Stored] = []

    def say(self, *lines: bytes) -> None:
        self.connection.sendall(b"".join(line + b"\r\n" for line in lines))

    def run(self) -> None:
        self.say(self.server.greeting)
        while line := self.lines.readline():
            tag, _, command = line.decode().rstrip("\r\n").partition(" ")
            self.server.log.append(command if not command.startswith("LOGIN") else "LOGIN …")
            given = self.server.answer(command)
            if given == HANG:
                self.server._ended.wait()
                return
            if given == DROP:
                return
            if given is not None:
                self.connection.sendall(given.replace(b"TAG", tag.encode()))
                continue
            with self.server._lock:
                self.do(tag.encode(), command)
            if command == "LOGOUT":
                return

    def do(self, tag: bytes, command: str) -> None:
        word, _, rest = command.partition(" ")
        if word == "UID":
            word, _, rest = rest.partition(" ")
        done = getattr(self, word.lower())(tag, rest)
        if done != b"":
            self.say(tag + (b" OK done" if done is None else done))

    def capability(self, _tag: bytes, _rest: str) -> None:
        self.say(b"* CAPABILITY " + " ".join(self.capabilities).encode())

    def starttls(self, tag: bytes, _rest: str) -> bytes:
        self.connection.sendall(tag + b" OK begin\r\n" + self.server.injected)
        assert self.server.context is not None
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.lines = self.connection.makefile("rb")
        self.capabilities = self.server.after_tls or self.capabilities
        return b""

    def login(self, _tag: bytes, rest: str) -> bytes | None:
        user, password = re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
        return self._in(user, re.sub(r"\\(.)", r"\1", password))

    def authenticate(self, _tag: bytes, way: str) -> bytes | None:
        self.say(b"+ ")
        words = base64.b64decode(self.lines.readline()).decode()
        if way == "PLAIN":
            return self._in(*words.split("\0")[1:])
        user, bearer = words.split("\1")[:2]
        if (refused := self._in(user.removeprefix("user="), bearer.removeprefix("auth=Bearer "))) is not None:
            self.say(b"+ eyJzdGF0dXMiOiI0MDAifQ==")
            self.lines.readline()
        return refused

    def _in(self, user: str, password: str) -> bytes | None:
        self.server.logins.append(f"{user} {password}")
        right = (user, password) == (self.server.user, self.server.password)
        return None if right else b" NO [AUTHENTICATIONFAILED] wrong: " + password.encode()

    def select(self, _tag: bytes, rest: str) -> bytes | None:
        name = rest.strip('"')
        if name not in self.server.boxes:
            return b" NO [NONEXISTENT] no such mailbox"
        self.box = self.server.boxes[name]
        self.say(b"* FLAGS (\\Seen)", b"* %d EXISTS" % len(self.box))
        self.say(b"* OK [UIDVALIDITY %d] ok" % self.server.validity)
        return b" OK [READ-ONLY] selected" if self.server.read_only else b" OK [READ-WRITE] selected"

    examine = select

    def search(self, _tag: bytes, rest: str) -> None:
        found = self.box
        if match := re.search(r"UID (\S+)", rest):
            found = self._of(match[1])
        if "UNSEEN" in rest:
            found = [one for one in found if "\\Seen" not in one.flags]
        self.say(b"* SEARCH " + " ".join(str(one.uid) for one in found).encode())

    def _of(self, numbers: str) -> list[Stored]:
        last = max((one.uid for one in self.box), default=0)
        wanted = set()
        for piece in numbers.split(","):
            low, _, high = piece.partition(":")
            a = int(low)
            b = last if high == "*" else int(high or low)
            wanted |= set(range(min(a, b), max(a, b) + 1))
        return [one for one in self.box if one.uid in wanted]

    def fetch(self, _tag: bytes, rest: str) -> None:
        numbers, _, items = rest.partition(" ")
        cut = re.search(r"<0\.(\d+)>", items)
        for number, one in enumerate(self._of(numbers), 1):
            if cut:
                raw = one.raw[: int(cut[1])]
                self.say(b"* %d FETCH (UID %d BODY[]<0> {%d}\r\n%b)" % (number, one.uid, len(raw), raw))
            else:
                self.say(b"* %d FETCH (UID %d RFC822.SIZE %d)" % (number, one.uid, len(one.raw)))

    def store(self, _tag: bytes, rest: str) -> None:
        match = re.match(r"(\S+) \+FLAGS.SILENT \((.*)\)", rest)
        assert match
        for one in self._of(match[1]):
            one.flags |= set(match[2].split())

    def copy(self, _tag: bytes, rest: str) -> bytes | None:
        numbers, _, name = rest.partition(" ")
        if name.strip('"') not in self.server.boxes:
            return b" NO [TRYCREATE] no such mailbox"
        self.server.boxes[name.strip('"')] += [Stored(one.uid, one.raw, set(one.flags)) for one in self._of(numbers)]
        return None

    def move(self, tag: bytes, rest: str) -> bytes | None:
        if (refused := self.copy(tag, rest)) is not None:
            return refused
        gone = self._of(rest.partition(" ")[0])
        self.box[:] = [one for one in self.box if one not in gone]
        return None

    def create(self, _tag: bytes, rest: str) -> None:
        self.server.boxes[rest.strip('"')] = []

    def list(self, _tag: bytes, rest: str) -> None:
        name = rest.split(" ")[-1].strip('"')
        if name in self.server.boxes:
            self.say(b'* LIST () "/" ' + name.encode())

    def expunge(self, _tag: bytes, rest: str) -> None:
        gone = [one for one in self._of(rest) if "\\Deleted" in one.flags]
        self.box[:] = [one for one in self.box if one not in gone]

    def logout(self, _tag: bytes, _rest: str) -> None:
        self.say(b"* BYE")
