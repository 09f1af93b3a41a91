"""One letter outside the outbox, for a person who waits for the answer: `digest send-test`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from digest import event_loop
from digest.config import Config
from digest.deliver.login import Server, Unusable, name_of
from digest.deliver.maildir import Maildir
from digest.deliver.replies import Blame, Reply, Step, Verdict, suspect
from digest.deliver.smtp import Connection
from digest.errors import Deferred, Refused, RelayDown
from digest.letter import Letter


def send_one(config: Config, letter: Letter, *, newsletter: str | None = None, relay: str = "") -> str:
    """Send now, as letters of a newsletter go, or by one `relay` of theirs; where it went, and what the server said.

    Raises Refused, Deferred or RelayDown.
    """
    smtp = config.imprint(newsletter).smtp
    if not smtp.servers:
        with Maildir(config.maildir) as folder:
            return f"{folder.name}: {folder.write(letter).text}"
    why: list[str] = []
    beyond: _Beyond | None = None
    for one in sorted(smtp.servers, key=lambda one: one.order):
        if relay and name_of(one) != relay:
            continue
        server = Server.of(one, smtp)
        try:
            reply = event_loop.run(partial(_send, server, letter))
        except Unusable as error:
            why.append(str(error))
        except _Beyond as error:
            beyond = error
        else:
            return f"{server.name}: {reply}"
    if beyond is not None and not why:
        raise beyond
    raise RelayDown("; ".join(why))


async def _send(server: Server, letter: Letter) -> Reply:
    sending = _One(letter)
    connection = await Connection.open(server, sending)
    connection.start()
    while not sending.answer.done():
        connection.check()
        await asyncio.wait([sending.answer], timeout=0.2)
    verdict, reply, step = sending.answer.result()
    connection.quit()
    await asyncio.wait([sending.ended], timeout=2)
    if verdict is Verdict.OK:
        return reply
    if verdict is Verdict.REFUSED and suspect(reply, step) is Blame.OURS:
        raise Unusable(f"{server.name} refuses login or sender: {reply}")
    if verdict is Verdict.REFUSED:
        raise Refused(str(reply))
    raise Deferred(str(reply))


class _Beyond(Refused):
    """This relay cannot carry the letter; another may."""


class _One:
    """A `smtp.Handler` with a single letter."""

    def __init__(self, letter: Letter) -> None:
        self.letter = letter
        self.answer: asyncio.Future[tuple[Verdict, Reply, Step]] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._given = False

    def take(self, connection: Connection) -> Any:
        given, self._given = self._given, True
        return None if given else self

    def idle(self, connection: Connection) -> None:
        pass

    def may_begin(self, attempt: Any) -> bool:
        return True

    def beyond(self, connection: Connection, attempt: Any, reply: Reply) -> None:
        self.answer.set_exception(_Beyond(str(reply)))

    def answered(self, connection: Connection, attempt: Any, verdict: Verdict, reply: Reply, step: Step) -> None:
        if not self.answer.done():
            self.answer.set_result((verdict, reply, step))

    def lost(self, connection: Connection, attempt: Any, *, in_doubt: bool, why: str) -> None:
        self.answered(connection, attempt, Verdict.DEFERRED, Reply(0, "", f"the connection was lost: {why}"), Step.BODY)

    def closed(self, connection: Connection, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
