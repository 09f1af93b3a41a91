"""One connection to a mail server (RFC 5321), written for speed: the next letter's envelope rides with this one's body.

With PIPELINING a letter costs one round trip: its MAIL, RCPT and DATA go out in one write with the body of the
letter before it (RFC 2920 §3.1), and its own body when all three are answered. Without it, and after any
refusal, the two sides go in step. One recipient per envelope, so that each reply is about one person.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol, cast

from digest.deliver import login
from digest.deliver.attempt import Attempt
from digest.deliver.login import Server, Unusable
from digest.deliver.replies import BODY, BUSY, DATA, MAIL, OK, RCPT, Garbled, Reply, ReplyReader, Step, Verdict, verdict

HURRIED = 2.0  # seconds for an answer, where we were asked to stop and no letter is in doubt by leaving
HURRIED_BODY = 60.0  # and where one would be; who asked waits for longer, as a rule
READ_FIRST = 3  # rounds of the event loop, each of which reads what has come


_ENVELOPE = (MAIL, RCPT, DATA)


class _Other(StrEnum):
    """Commands that belong to no letter."""

    RSET = "RSET"
    VOID = "the empty message"
    QUIT = "QUIT"


class Handler(Protocol):
    """Who gives a connection its letters and hears what became of them."""

    def take(self, connection: Connection) -> Attempt | None:
        """The next letter, or None: then `Connection.start` is called when there is one again."""

    def idle(self, connection: Connection) -> None:
        """There was no next letter, and nothing is in flight."""

    def may_begin(self, attempt: Attempt) -> bool:
        """Asked at the last moment: is this letter still ours to send?"""

    def beyond(self, connection: Connection, attempt: Attempt, reply: Reply) -> None:
        """This server cannot carry the letter, so it was not asked to; `reply` is what it would have said."""

    def answered(
        self, connection: Connection, attempt: Attempt, verdict: Verdict, reply: Reply, step: Step
    ) -> None: ...

    def lost(self, connection: Connection, attempt: Attempt, *, in_doubt: bool, why: str) -> None:
        """The connection ended without an answer; `in_doubt` once the body was on its way (RFC 1047)."""

    def closed(self, connection: Connection, why: str) -> None:
        """`why` is "" where we ended it ourselves."""


class Connection(asyncio.Protocol):
    """`await Connection.open(…)`, then `start()` whenever there are letters, and `quit()` at the end."""

    def __init__(self, server: Server, handler: Handler, clock: Callable[[], float]) -> None:
        self.server = server
        self.extensions: dict[str, str] = {}
        self._pipelining = self._tells_size = self._utf8 = False
        self._largest = math.inf  # bytes
        self.begun = 0  # envelopes so far
        self.deadline = math.inf
        self._handler = handler
        self._clock = clock
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._reader = ReplyReader()
        self._greeting: deque[Reply] | None = deque()  # None once letters may flow
        self._waiter: asyncio.Future[None] | None = None
        self._expected: deque[Step | _Other] = deque()
        self._envelope: Attempt | None = None  # MAIL, RCPT or DATA not answered yet
        self._refusal: tuple[Verdict, Reply, Step] | None = None  # of that envelope
        self.past_mail = False  # its MAIL was accepted: the server has its reader before it
        self._named = False  # its RCPT was accepted
        self._body: Attempt | None = None  # on its way, not answered yet
        self._ending = False
        self._why = ""
        self._quitting = False
        self._judging = self._ended = self._hurried = False

    # ------------------------------------------------------------ opening

    @classmethod
    async def open(cls, server: Server, handler: Handler) -> Connection:
        """Connect, greet, secure, log in. Unusable says which of them failed; a password is never in it."""
        loop = asyncio.get_running_loop()
        self = cls(server, handler, loop.time)
        secure: dict[str, Any] = {"ssl": server.context} if server.scheme == "smtps" else {}
        try:
            async with asyncio.timeout(min(server.timeout, 60)):
                await loop.create_connection(lambda: self, server.host, server.port, **secure)
        except TimeoutError:
            raise Unusable(f"no connection to {server.name}: it does not answer") from None
        except ssl.SSLError as error:
            raise login.tls_failed(server, error) from None
        except OSError as error:
            raise Unusable(f"no connection to {server.name}: {error.strerror or error}") from None
        try:
            self.extensions = await login.greet(server, self)
        except BaseException:
            self.abort("the greeting failed")
            raise
        size = self.extensions.get("SIZE", "")
        self._pipelining = "PIPELINING" in self.extensions
        self._tells_size = "SIZE" in self.extensions
        self._utf8 = "SMTPUTF8" in self.extensions
        self._largest = (int(size) if size.isdigit() else 0) or math.inf  # no number, or 0: no limit (RFC 1870 §4)
        self._greeting = None
        return self

    async def ask(self, command: str | None = None) -> Reply:
        """While greeting: send a command (None: nothing), wait for a reply. Unusable where none comes."""
        assert self._greeting is not None
        if command is not None:
            self._transport.write(f"{command}\r\n".encode())
        try:
            async with asyncio.timeout(self.server.timeout):
                while not self._greeting:
                    if self._ending:
                        ended = f"{self.server.name} ended the connection: {self._why or 'no reason given'}"
                        raise Unusable(self._why if self._why.startswith(self.server.name) else ended)
                    self._waiter = asyncio.get_running_loop().create_future()
                    await self._waiter
        except TimeoutError:
            raise Unusable(f"{self.server.name} does not answer") from None
        return self._greeting.popleft()

    async def secure(self) -> None:
        """After the 220 to STARTTLS: go on encrypted. What came early was not said by the server we verify."""
        if self._greeting or not self._reader.empty:
            raise Unusable(f"{self.server.name} sent data before the encryption began; somebody may be in between")
        loop = asyncio.get_running_loop()
        assert self.server.context is not None
        try:
            transport = await loop.start_tls(
                self._transport, self, self.server.context, server_hostname=self.server.host,
                ssl_handshake_timeout=self.server.timeout,
            )  # fmt: skip
        except ssl.SSLError as error:
            raise login.tls_failed(self.server, error) from None
        except (OSError, TimeoutError) as error:
            raise Unusable(f"no TLS with {self.server.name}: {error}") from None
        assert transport is not None
        self._transport = transport

    @property
    def own_address(self) -> str:
        """The address we connect from, as a literal of RFC 5321 §4.1.3."""
        host = str(self._transport.get_extra_info("sockname", ("127.0.0.1",))[0])
        return f"[IPv6:{host}]" if ":" in host else f"[{host}]"

    def of_transport(self, name: str) -> Any:
        """What asyncio tells of the connection: `peername`, `peercert` … None where there is none."""
        return self._transport.get_extra_info(name)

    # ------------------------------------------------------------ letters

    @property
    def ended(self) -> bool:
        return self._ending

    @property
    def busy(self) -> bool:
        return bool(self._expected) or self._ending

    def start(self) -> bool:
        """Begin with the next letter; False if there is none, or this connection is at work or at its end."""
        if self.busy:
            return False
        attempt = self._take()
        if attempt is None:
            self.deadline = math.inf
            self._handler.idle(self)
            return False
        self._transport.write(self._begin(attempt))
        self._wait()
        return True

    def quit(self) -> None:
        """End in good order once nothing is in flight."""
        if not self.busy:
            self._ending = self._quitting = True
            self._expected.append(_Other.QUIT)
            self._transport.write(b"QUIT\r\n")
            self.deadline = self._clock() + min(5, self.server.timeout)

    def abort(self, why: str) -> None:
        """End at once; what was in flight is lost or in doubt."""
        self._why = self._why or why
        self._ending = self._ended = True
        self._expected.clear()
        self._transport.abort()

    def check(self, *, hurry: bool = False) -> None:
        """Give up on a server that has not answered in its time (RFC 5321 §4.5.3.2), or, in a `hurry`, soon.

        Where we were frozen or the machine slept, its answer waits in the socket: what came is read first.
        """
        if hurry and not self._hurried:
            self._hurried = True
            self.deadline = min(self.deadline, self._clock() + self._longest())
        if self._clock() > self.deadline and not self._judging:
            self._judging = True
            self._read_first(READ_FIRST)

    def _read_first(self, rounds: int) -> None:
        if rounds:
            asyncio.get_running_loop().call_soon(self._read_first, rounds - 1)
            return
        self._judging = False
        if self._clock() > self.deadline and not self._ended:
            waited_for = self._expected[0] if self._expected else "anything"
            self.abort(f"no answer to {waited_for} in time")

    def _take(self) -> Attempt | None:
        """The next letter that this server can carry at all."""
        while (attempt := self._handler.take(self)) is not None:
            letter = attempt.letter
            if not self._utf8 and letter.smtputf8:
                reply = Reply(553, "5.6.7", "the mail server cannot send to an address like this one (no SMTPUTF8)")
            elif letter.size > self._largest:
                words = f"the letter has {letter.size} bytes, the mail server takes {self._largest}"
                reply = Reply(552, "5.3.4", words)
            else:
                return attempt
            self._handler.beyond(self, attempt, reply)
        return None

    def _begin(self, attempt: Attempt) -> bytes:
        """Write down what is expected of this envelope; the bytes to send now."""
        letter = attempt.letter
        self.begun += 1
        self._envelope, self._refusal, self.past_mail, self._named = attempt, None, False, False
        options = f" SIZE={letter.size}" if self._tells_size else ""
        if self._utf8 and letter.smtputf8:
            options += " BODY=8BITMIME SMTPUTF8"
        mail = f"MAIL FROM:<{letter.mail_from}>{options}\r\n"
        if not self._pipelining:
            self._expected.append(MAIL)
            return mail.encode()
        self._expected.extend(_ENVELOPE)
        return f"{mail}RCPT TO:<{letter.rcpt_to}>\r\nDATA\r\n".encode()

    def _answer(self, reply: Reply) -> None:
        if not self._expected:
            self.abort(f"{self.server.name} said {reply}")  # 421: it was idle for too long, or is going down
            return
        step = self._expected.popleft()
        if step is MAIL or step is RCPT:
            self._envelope_answered(reply, step)
        elif step is DATA:
            self._data_answered(reply)
        elif step is BODY:
            self._body_answered(reply)
        else:
            self._answer_other(step, reply)

    def _answer_other(self, step: Step | _Other, reply: Reply) -> None:
        if step is _Other.QUIT:
            self._transport.close()
        elif step is _Other.VOID:
            self._refused()
        elif reply.code >= 300:
            self.abort(f"{self.server.name} said {reply} to RSET")
        else:
            self.start()

    def _envelope_answered(self, reply: Reply, step: Step) -> None:
        meaning = verdict(reply, step)
        if meaning is OK:
            self.past_mail = True
            self._named = self._named or step is RCPT
            if not self._pipelining:
                self._next_command(step)
            return
        self._refusal = self._refusal or (meaning, reply, step)
        # 503 is what follows a refused MAIL, when RCPT went out with it: only as the first refusal is it news.
        leaving = reply.code == 421 or self._refusal[0] is BUSY
        if leaving or not self._pipelining:
            self._refused(close=leaving)

    def _next_command(self, step: Step) -> None:
        """In step with a server that wants one command at a time."""
        assert self._envelope is not None
        if step is MAIL:
            self._expected.append(RCPT)
            self._transport.write(f"RCPT TO:<{self._envelope.letter.rcpt_to}>\r\n".encode())
        else:
            self._expected.append(DATA)
            self._transport.write(b"DATA\r\n")

    def _data_answered(self, reply: Reply) -> None:
        if self._refusal is None:
            meaning = verdict(reply, DATA)
            if meaning is OK:
                self._send_body()
                return
            self._refusal = (meaning, reply, DATA)
        elif reply.code == 354:
            if self._named:
                # Refused at MAIL, yet somebody is named: the empty message might be delivered to them.
                self._refused(close=True)
                return
            # It takes data for nobody; RFC 2920 §3.1 has us send none.
            self._expected.append(_Other.VOID)
            self._transport.write(b".\r\n")
            return
        self._refused()

    def _send_body(self) -> None:
        attempt = self._envelope
        assert attempt is not None
        if not self._handler.may_begin(attempt):
            self.abort("the letter is not ours any more")  # nothing but the end of the connection takes DATA back
            return
        self._envelope, self._body, attempt.shown = None, attempt, True
        self._expected.append(BODY)
        following = self._take() if self._pipelining else None
        if following is None:
            self._transport.writelines(attempt.letter.parts)
        else:
            self._transport.writelines((*attempt.letter.parts, self._begin(following)))

    def _body_answered(self, reply: Reply) -> None:
        meaning = verdict(reply, BODY)
        if meaning is BUSY and reply.code != 421:
            self.abort(f"{self.server.name} said {reply} to the end of the data")  # which says neither yes nor no
            return
        attempt, self._body = self._body, None
        assert attempt is not None
        self._handler.answered(self, attempt, meaning, reply, BODY)
        if meaning is BUSY:
            self.abort(str(reply))
        elif not self._expected:
            self.start()

    def _refused(self, *, close: bool = False) -> None:
        """This envelope leads nowhere: say so, and come back into step with the server."""
        attempt, self._envelope = self._envelope, None
        assert attempt is not None and self._refusal is not None
        meaning, reply, step = self._refusal
        if close or meaning is BUSY:
            self._ending = True
            self._handler.answered(self, attempt, meaning, reply, step)
            self.abort(str(reply))
            return
        self._expected.append(_Other.RSET)
        self._transport.write(b"RSET\r\n")
        self._handler.answered(self, attempt, meaning, reply, step)

    def _wait(self) -> None:
        if not self._expected:
            self.deadline = math.inf
            return
        step = self._expected[0]
        limit = self.server.timeout
        if step is BODY:
            limit = self.server.data_timeout
        elif step is DATA:
            limit = min(limit, 120)
        if self._hurried:
            limit = min(limit, self._longest())
        self.deadline = self._clock() + limit

    def _longest(self) -> float:
        """Seconds to wait for an answer where we were asked to stop: what is not begun is let go of."""
        return HURRIED_BODY if self._body is not None else HURRIED

    # ------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        whole = False
        try:
            for reply in self._reader.feed(data):
                if self._greeting is not None:
                    self._greeting.append(reply)
                    self._wake()
                    continue
                whole = True
                self._answer(reply)
                if self._ending and not self._expected:
                    return
            # Only a whole reply begins a new wait: one that drips in must come to its end in time.
            if whole and not self._ending:
                self._wait()
        except Garbled as error:
            self.abort(f"{self.server.name} sent {error}")

    def connection_lost(self, error: Exception | None) -> None:
        self._ending = self._ended = True
        self._why = self._why or (str(error) if error else "the server ended the connection")
        self._wake()
        if self._greeting is not None:
            return
        body, self._body = self._body, None
        envelope, self._envelope = self._envelope, None
        if body is not None:
            self._handler.lost(self, body, in_doubt=True, why=self._why)
        if envelope is not None and self._refusal is not None:
            self._handler.answered(self, envelope, *self._refusal)  # refused, and then it hung up
        elif envelope is not None:
            self._handler.lost(self, envelope, in_doubt=False, why=self._why)
        self._handler.closed(self, "" if self._quitting else self._why)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
