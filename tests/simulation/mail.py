"""Mail servers in memory, which do what a script says, and the wires to them.

What they log is the truth about who was sent what: it knows nothing of our database.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from .hub import Event, Hub, Process, VirtualLoop

_FEEDBACK = re.compile(rb"^Feedback-ID: (\d+):([^:]*):", re.MULTILINE)
_MESSAGE_ID = re.compile(rb"^Message-ID: (.*?)\r\n", re.MULTILINE)
_TALE = re.compile(rb"Tale (\d+) of")
_SUBJECT = re.compile(rb"^Subject: (.*?)\r\n", re.MULTILINE)

Key = tuple[str, int, str]  # newsletter ("" for a notice), number, recipient: who moved is the same person still
MOVED = "moved."  # before the address of who has another one now


# ---------------------------------------------------------------- what a server may do


@dataclass(frozen=True)
class Move:
    """An answer, or what is done in the place of one.

    `kind`: "say" the words; "drip" them, a byte in `pace` seconds; "cut" the connection, "silent" from now on.
    `taken`: at the end of the data, was the letter accepted all the same?
    """

    kind: str
    words: str = ""
    taken: bool = False
    pace: float = 1.0
    wait: float = 0.0  # seconds before it

    def __str__(self) -> str:
        told = {"say": f"says “{self.words}”", "drip": f"drips “{self.words}”", "cut": "cuts the connection"}
        text = told.get(self.kind, "falls silent")
        if self.kind in ("cut", "silent") and self.taken:
            text = f"takes the letter and {text}"
        return f"{text} after {self.wait:g} s" if self.wait else text


def say(words: str, *, wait: float = 0.0) -> Move:
    return Move("say", words, wait=wait)


@dataclass(frozen=True)
class Rule:
    """A move at a step, for some recipients, for a time, with some chance."""

    step: str  # CONNECT, BANNER, EHLO, AUTH, MAIL, RCPT, DATA, BODY
    move: Move
    who: frozenset[str] | None = None  # addresses or domains; None is everybody
    start: float = 0.0
    end: float = float("inf")
    chance: float = 1.0
    after: int = 0  # only in sessions that have had so many envelopes
    grey: float = 0.0  # only for so many seconds after the recipient was first seen

    def __str__(self) -> str:
        text = f"at {self.step} {self.move}"
        if self.who is not None:
            text += " for " + ", ".join(sorted(self.who)[:4]) + (" …" if len(self.who) > 4 else "")
        if self.chance < 1:
            text += f", {self.chance:.0%} of the time"
        if self.grey:
            text += f" in the first {self.grey:g} s"
        if self.after:
            text += f" once {self.after} envelopes were had in a session"
        if self.start or self.end != float("inf"):
            text += f", from {self.start:.0f} to {self.end:.0f} s"
        return text


_GOOD = {
    "EHLO": "250 hello",
    "AUTH": "235 2.7.0 welcome",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    "BODY": "250 2.0.0 queued",
}


@dataclass
class Seen:
    """Something about one letter, as a server saw it."""

    at: float
    relay: str
    process: Process
    step: str  # RCPT or BODY
    recipient: str
    mail_from: str
    reply: str
    code: int
    taken: bool = False  # the letter is with its reader
    key: Key | None = None
    message_id: bytes = b""
    content: bytes = b""  # its hash
    tales: frozenset[int] = frozenset()  # which stories it tells
    lead: int = 0  # of these, the first
    heard_at: float | None = None  # when the answer lay ready for us to read
    session: Session | None = None

    @property
    def trouble(self) -> bool:
        """Did the server end this session, fall silent or speak no SMTP in it, or take very long?"""
        return self.session is not None and self.session.trouble


class Relay:
    """A server: what it offers, and the rules it acts by, the first that fits."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        hub: Hub,
        seed: str,
        pipelining: bool = True,
        size: int | None = None,
        smtputf8: bool = False,
        latency: float = 0.005,
        think: float = 0.01,
        most: int = 0,
        most_words: str = "421 4.7.0 too many connections",
    ) -> None:
        self.host, self.port = host, port
        self.name = f"{host}:{port}"
        self.hub = hub
        self.rng = random.Random(f"{seed} {self.name}")
        self.pipelining, self.size, self.smtputf8 = pipelining, size, smtputf8
        self.latency, self.think = latency, think
        self.most, self.most_words = most, most_words
        self.rules: list[Rule] = []
        self.log: list[Seen] = []
        self.sessions: list[Session] = []
        self.at_once = 0  # sessions
        self.first_seen: dict[str, float] = {}
        self.counts: dict[str, int] = defaultdict(int)
        self.watch: Callable[[str, Session], None] = lambda what, session: None

    def decide(self, step: str, *, recipient: str = "", envelopes: int = 0) -> Move | None:
        """What a rule says; None: all is well."""
        now, domain = self.hub.now, recipient.rpartition("@")[2]
        for rule in self.rules:
            if rule.step != step or not rule.start <= now < rule.end or envelopes < rule.after:
                continue
            if rule.who is not None and recipient not in rule.who and domain not in rule.who:
                continue
            if rule.grey and now - self.first_seen.setdefault(recipient, now) >= rule.grey:
                continue
            if rule.chance < 1 and self.rng.random() >= rule.chance:
                continue
            return rule.move
        return None

    def offers(self) -> list[str]:
        lines = ["hello"]
        if self.pipelining:
            lines.append("PIPELINING")
        if self.size is not None:
            lines.append(f"SIZE {self.size}" if self.size else "SIZE")
        if self.smtputf8:
            lines += ["SMTPUTF8", "8BITMIME"]
        return [*lines, "AUTH PLAIN LOGIN", "ENHANCEDSTATUSCODES"]


# ---------------------------------------------------------------- wires


class Wire(asyncio.Transport):
    """Our end of a connection."""

    def __init__(self, loop: VirtualLoop, protocol: Any, relay: Relay, rng: random.Random) -> None:
        super().__init__()
        self._loop, self._protocol, self._relay, self._rng = loop, protocol, relay, rng
        self.process = loop.process
        self.session = Session(relay, self)
        self.process.wires.append(self)
        self._flying: list[tuple[Event, bytes]] = []
        self._buffer = bytearray()
        self._heard: list[Seen] = []
        self._ended = False  # by the server
        self._reading = False
        self._closing = False
        self._lost = False

    # ours

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 40000) if name == "sockname" else default

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: Any) -> None:
        if self._closing or self.process.dead or not data:
            return
        self._flying = [pair for pair in self._flying if pair[0].call is not None]
        event = self._relay.hub.after(self._relay.latency, self.session.received, bytes(data))
        self._flying.append((event, bytes(data)))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        self._shut(None)

    def abort(self) -> None:
        # What is on the way may arrive, or be thrown away by a server that hears of the end first.
        if self._rng.random() < 0.5:
            for event, _ in self._flying:
                event.cancel()
        self._shut(None)

    def _shut(self, error: Exception | None) -> None:
        if self._closing:
            return
        self._closing = True
        if self in self.process.wires:
            self.process.wires.remove(self)
        self._relay.hub.after(self._relay.latency, self.session.gone)
        if not self._lost and not self.process.dead:
            self._lost = True
            self._loop.call_soon(self._protocol.connection_lost, error)

    def process_died(self) -> None:
        """The kernel sends what it has, or a part of it; then the connection is at its end."""
        self._closing = self._lost = True
        if self._flying and self._rng.random() < 0.5:
            event, data = self._flying[-1]
            if event.call is not None:
                event.arguments = (data[: self._rng.randrange(len(data))],)
        if self in self.process.wires:
            self.process.wires.remove(self)
        self._relay.hub.after(self._relay.latency, self.session.gone)

    # the server's

    def deliver(self, data: bytes, heard: list[Seen]) -> None:
        """Bytes arrive; whether the process is awake or not, they lie in its socket."""
        if self._closing:
            return
        self._buffer += data
        for seen in heard:
            seen.heard_at = self._relay.hub.now
        self._tell()

    def hang_up(self) -> None:
        if not self._closing:
            self._ended = True
            self._tell()

    def _tell(self) -> None:
        if not self._reading:
            self._reading = True
            self._loop.arrived(asyncio.Handle(self._read, (), self._loop, None))

    def _read(self) -> None:
        """One look at the socket: what is in it first, its end at the next look."""
        self._reading = False
        if self._closing:
            return
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            if self._ended:
                self._tell()
            self._protocol.data_received(data)
        elif self._ended:
            keep = self._protocol.eof_received()
            if not keep:
                self._shut(None)


class Network:
    """Which servers there are, and how a loop gets a connection to one."""

    def __init__(self, hub: Hub, relays: Collection[Relay], rng: random.Random) -> None:
        self.hub = hub
        self.relays = {(relay.host, relay.port): relay for relay in relays}
        self.rng = rng

    async def connect(self, loop: VirtualLoop, protocol_factory: Callable[[], Any], host: str, port: int) -> Any:
        relay = self.relays[host, port]
        move = relay.decide("CONNECT")
        wait = relay.latency * 2 if move is None or move.kind != "silent" else float("inf")
        if wait == float("inf"):
            await loop.create_future()
        came = loop.create_future()
        self.hub.after(wait, loop.arrived, asyncio.Handle(_set, (came,), loop, None))
        await came
        if move is not None:
            raise ConnectionRefusedError(111, "Connection refused")
        protocol = protocol_factory()
        wire = Wire(loop, protocol, relay, self.rng)
        protocol.connection_made(wire)
        wire.session.greet()
        return wire, protocol


def _set(future: Any) -> None:
    if not future.done():
        future.set_result(None)


# ---------------------------------------------------------------- the server's side of a connection


class Session:
    """Reads commands, answers by the relay's rules."""

    def __init__(self, relay: Relay, wire: Wire) -> None:
        self.relay, self.wire, self.hub = relay, wire, relay.hub
        relay.sessions.append(self)
        self.closed = False
        self.trouble = False
        self._silent = False
        self._buffer = b""
        self._out = b""
        self._seen: list[Seen] = []
        self._busy = False
        self._data = False
        self._mail_from = ""
        self._recipient = ""
        self._mail_ok = self._rcpt_ok = False
        self._login = 0
        self.envelopes = 0

    def greet(self) -> None:
        there = sum(not one.closed for one in self.relay.sessions)
        self.relay.at_once = max(self.relay.at_once, there)
        too_many = self.relay.most and there > self.relay.most
        move = self.relay.decide("BANNER")
        if move is None:
            move = say(self.relay.most_words) if too_many else say("220 mail.example ready")
        self._do(move)
        if move.kind == "say" and not move.words.startswith("2"):
            self.hub.after(self.relay.latency, self._end)
        self._flush()

    def received(self, data: bytes) -> None:
        if self.closed or self._silent:
            return
        self._buffer += data
        if not self._busy:
            self._work()

    def gone(self) -> None:
        """We ended it."""
        if not self.closed:
            self.closed = True
            self.relay.sessions.remove(self)

    # ------------------------------------------------------------

    def _work(self) -> None:
        while not (self.closed or self._silent or self._busy):
            if self._data:
                void = self._buffer.startswith(b".\r\n")
                end = 0 if void else self._buffer.find(b"\r\n.\r\n")
                if end < 0:
                    break
                body = b"" if void else self._buffer[: end + 2]
                self._buffer = self._buffer[3 if void else end + 5 :]
                self._data = False
                self._body(body)
                continue
            line, found, rest = self._buffer.partition(b"\r\n")
            if not found:
                break
            self._buffer = rest
            self._command(line.decode("utf-8", "replace"))
        self._flush()

    def _command(self, line: str) -> None:
        relay, verb = self.relay, line[:4].upper()
        if self._login:
            self._login -= 1
            self._do(say("334 UGFzc3dvcmQ6") if self._login else relay.decide("AUTH") or say(_GOOD["AUTH"]))
        elif verb in ("EHLO", "HELO"):
            move = relay.decide("EHLO")
            lines = relay.offers() if verb == "EHLO" else ["hello"]
            text = "\r\n".join(f"250{' ' if i == len(lines) - 1 else '-'}{line}" for i, line in enumerate(lines))
            self._do(move or say(text))
        elif verb == "AUTH":
            if line.upper().startswith("AUTH LOGIN"):
                self._login = 2
                self._do(say("334 VXNlcm5hbWU6"))
            else:
                self._do(relay.decide("AUTH") or say(_GOOD["AUTH"]))
        elif verb == "MAIL":
            self._mail(line)
        elif verb == "RCPT":
            self._rcpt(line)
        elif verb == "DATA":
            self._data_command()
        elif verb == "RSET":
            self._mail_ok = self._rcpt_ok = False
            self._do(say("250 2.0.0 ok"))
        elif verb == "QUIT":
            self._do(say("221 2.0.0 bye"))
            self._end()
        else:
            self._do(say("502 5.5.2 what?"))

    def _mail(self, line: str) -> None:
        self._mail_from = line[line.index("<") + 1 : line.index(">")]
        self._rcpt_ok = False
        move = self.relay.decide("MAIL", envelopes=self.envelopes)
        size = re.search(r" SIZE=(\d+)", line)
        if move is None and self.relay.size and size and int(size[1]) > self.relay.size:
            move = say("552 5.3.4 message size exceeds fixed limit")
        self.envelopes += 1
        self._mail_ok = move is None or move.words.startswith("2")
        self._do(move or say(_GOOD["MAIL"]))

    def _rcpt(self, line: str) -> None:
        self._recipient = line[line.index("<") + 1 : line.rindex(">")]
        if not self._mail_ok:
            self._do(say("503 5.5.1 need MAIL first"))
            return
        move = self.relay.decide("RCPT", recipient=self._recipient, envelopes=self.envelopes)
        if move is None and not self._recipient.isascii() and not self.relay.smtputf8:
            move = say("553 5.6.7 no SMTPUTF8 here")
        self._rcpt_ok = move is None or move.words.startswith("2")
        self._note("RCPT", move or say(_GOOD["RCPT"]))
        self.relay.watch("RCPT", self)

    def _data_command(self) -> None:
        if not (self._mail_ok and self._rcpt_ok):
            self._do(say("503 5.5.1 no valid recipients"))
            return
        move = self.relay.decide("DATA", recipient=self._recipient)
        if move is None or move.words.startswith("354"):
            self._data = True
        self._do(move or say(_GOOD["DATA"]))
        if self._data:
            self.relay.watch("DATA", self)

    def _body(self, body: bytes) -> None:
        self._mail_ok = False
        relay = self.relay
        move = relay.decide("BODY", recipient=self._recipient)
        if move is None and relay.size and len(body) > relay.size:
            move = say("552 5.3.4 message too big")
        move = move or say(_GOOD["BODY"])
        taken = move.taken or move.words.startswith("2")
        # Accepted now, whatever becomes of the answer.
        seen = self._seen_now("BODY", move, taken)
        if b"Tale" in body:
            told = [int(n) for n in _TALE.findall(body.replace(b"=\r\n", b""))]
            seen.tales, seen.lead = frozenset(told), told[0] if told else 0
        number = _FEEDBACK.search(body)
        message_id, subject = _MESSAGE_ID.search(body), _SUBJECT.search(body)
        seen.message_id = message_id[1] if message_id else b""
        seen.content = hashlib.blake2b(body, digest_size=12).digest()
        if number:
            seen.key = (number[2].decode(), int(number[1]), self._recipient.removeprefix(MOVED))
        else:
            seen.key = (subject[1].decode("latin-1") if subject else "", 0, self._recipient.removeprefix(MOVED))
        relay.counts["bodies"] += 1
        relay.watch("BODY", self)
        if self.closed:
            return
        self._busy = True
        self.hub.after(relay.think, self._answer_body, move, seen)

    def _answer_body(self, move: Move, seen: Seen) -> None:
        self._busy = False
        if self.closed:
            return
        self._do(move, seen)
        self._work()
        self.relay.watch("ANSWERED", self)

    # ------------------------------------------------------------

    def _note(self, step: str, move: Move) -> None:
        self._do(move, self._seen_now(step, move, False))

    def _seen_now(self, step: str, move: Move, taken: bool) -> Seen:
        code = int(move.words[:3]) if move.words[:3].isdigit() else 0
        seen = Seen(
            self.hub.now, self.relay.name, self.wire.process, step, self._recipient, self._mail_from,
            str(move) if not move.words else move.words, code, taken, session=self,
        )  # fmt: skip
        self.relay.log.append(seen)
        return seen

    def _do(self, move: Move, seen: Seen | None = None) -> None:
        if move.wait or move.kind != "say" or not move.words[:3].isdigit() or move.words.startswith("421"):
            self.trouble = True
        if move.wait:
            self._flush()
            self._busy = True
            self.hub.after(move.wait, self._later, Move(move.kind, move.words, move.taken, move.pace), seen)
        elif move.kind == "say":
            self._out += move.words.encode() + b"\r\n"
            if seen is not None:
                self._seen.append(seen)
        elif move.kind == "cut":
            self._end()
        elif move.kind == "drip":
            self._flush()
            for i, byte in enumerate(move.words.encode()):
                self.hub.after(self.relay.latency + i * move.pace, self.wire.deliver, bytes([byte]), [])
            self._silent = True
        else:
            self._flush()
            self._silent = True

    def _later(self, move: Move, seen: Seen | None) -> None:
        self._busy = False
        if not self.closed:
            self._do(move, seen)
            self._work()

    def _flush(self) -> None:
        if self._out:
            out, self._out = self._out, b""
            seen, self._seen = self._seen, []
            self.hub.after(self.relay.latency, self.wire.deliver, out, seen)

    def _end(self) -> None:
        self._flush()
        if not self.closed:
            self.closed = True
            self.relay.sessions.remove(self)
            self.hub.after(self.relay.latency, self.wire.hang_up)
