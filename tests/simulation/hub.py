"""Virtual time for whole processes: event loops, threads and what they wait for, in one thread and one order.

Each process has a main actor and perhaps threads, each a greenlet. Only one runs at a time, until it waits; then the
hub goes on to the next moment at which something happens. Nothing sleeps, and a seed gives the same order again.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from greenlet import greenlet

MOST_EVENTS = 60_000  # of one history, before it is taken for one that never ends


class Killed(BaseException):
    """What a process feels of `kill -9`: it is unwound, and nothing that it does on the way has an effect."""


class Endless(Exception):
    """Time goes on, or stands still, and a process never comes to its end."""


class Event:
    __slots__ = ("arguments", "call", "when")

    def __init__(self, when: float, call: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.when = when
        self.call: Callable[..., None] | None = call
        self.arguments = arguments

    def cancel(self) -> None:
        self.call = None


class Hub:
    """The order of all that happens. Seconds since the beginning of the history."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        self.actor: Actor | None = None  # who runs at this moment
        self._queue: list[tuple[float, int, Event]] = []
        self._number = 0
        self._main = greenlet.getcurrent()

    def at(self, when: float, call: Callable[..., None], *arguments: Any) -> Event:
        event = Event(max(when, self.now), call, arguments)
        self._number += 1
        heapq.heappush(self._queue, (event.when, self._number, event))
        return event

    def after(self, seconds: float, call: Callable[..., None], *arguments: Any) -> Event:
        return self.at(self.now + seconds, call, *arguments)

    def run(self, until: Callable[[], bool]) -> None:
        """Let things happen until it is so. Endless where nothing is left to happen, or far too much is."""
        while not until():
            if not self._queue:
                raise Endless("everybody waits for something that will never come")
            when, _, event = heapq.heappop(self._queue)
            if event.call is None:
                continue
            self.events += 1
            if self.events > MOST_EVENTS:
                raise Endless(f"{MOST_EVENTS} events and no end")
            self.now = max(self.now, when)
            call, event.call = event.call, None
            call(*event.arguments)

    def enter(self, actor: Actor) -> None:
        """Let an actor run until it waits."""
        before, loop = self.actor, events._get_running_loop()
        self.actor = actor
        events._set_running_loop(None)
        try:
            actor.greenlet.switch()
        finally:
            self.actor = before
            events._set_running_loop(loop)

    def leave(self) -> None:
        """Called by an actor: let others run."""
        loop = events._get_running_loop()
        try:
            self._main.switch()
        finally:
            events._set_running_loop(loop)


class Process:
    """A process of ours: what it runs, and what is done to it from outside."""

    def __init__(self, hub: Hub, name: str) -> None:
        self.hub = hub
        self.name = name
        self.actors: list[Actor] = []
        self.wires: list[Any] = []  # its open connections
        self.dead = False
        self.ended = False
        self.frozen_until = 0.0
        self.data_first = True  # what arrived is read before timers fire (asyncio), or after (uvloop)
        self.stall: tuple[int, float] | None = None  # after so many callbacks it stands still, for so many seconds
        self.result: Any = None
        self.error: BaseException | None = None
        self.loop: VirtualLoop | None = None
        self.began = self.finished = hub.now
        self.tasks = 0
        self.watchers: list[Callable[[Process], None]] = []
        self.buried: Callable[[], None] = lambda: None  # called once all of it is unwound after a kill

    def start(self, target: Callable[[], Any], *, at: float | None = None) -> None:
        def main() -> None:
            self.began = self.hub.now
            try:
                self.result = target()
            except Killed:
                pass
            except Exception as error:
                self.error = error
            except KeyboardInterrupt as error:
                self.error = error
            self.ended = True
            self.finished = self.hub.now
            for watcher in self.watchers:
                watcher(self)

        Actor(self, main).start(at)

    def freeze(self, seconds: float, *, within: int = 0) -> None:
        """Stop it where it waits, or, `within` so many callbacks, in the midst of what it does."""
        if within:
            self.stall = (within, seconds)
        else:
            self.frozen_until = max(self.frozen_until, self.hub.now + seconds)

    def kill(self) -> None:
        """From outside, or by itself: then Killed has to be raised after it."""
        if self.dead or self.ended:
            return
        self.dead = True
        for wire in list(self.wires):
            wire.process_died()
        for actor in self.actors:
            if actor is not self.hub.actor and not actor.done:
                self.hub.at(self.hub.now, actor.end)
        self.hub.at(self.hub.now, self.buried)


class Actor:
    """One thread of control of a process."""

    def __init__(self, process: Process, target: Callable[[], None]) -> None:
        self.process = process
        self.hub = process.hub
        self.done = False
        self._parked = True
        self._timer: Event | None = None
        self._waiters: list[Actor] = []
        self._target = target
        self.greenlet = greenlet(self._run)
        process.actors.append(self)

    def start(self, at: float | None = None) -> None:
        self.hub.at(self.hub.now if at is None else at, self._resume)

    def _run(self) -> None:
        try:
            if not self.process.dead:
                self._target()
        except Killed:
            pass
        finally:
            self.done = True
            for waiter in self._waiters:
                waiter.wake()

    def park(self, until: float | None = None) -> None:
        """Wait for a `wake`, or for that moment."""
        if self.process.dead:
            raise Killed
        self._parked = True
        if until is not None:
            self._timer = self.hub.at(until, self._resume)
        self.hub.leave()
        if self.process.dead:
            raise Killed

    def sleep(self, seconds: float) -> None:
        end = self.hub.now + seconds
        while self.hub.now < end:
            self.park(end)

    def wake(self) -> None:
        if self._parked and not self.done:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.hub.at(self.hub.now, self._resume)

    def _resume(self) -> None:
        if not self._parked or self.done:
            return
        if self.process.frozen_until > self.hub.now and not self.process.dead:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.hub.at(self.process.frozen_until, self._resume)
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._parked = False
        self.hub.enter(self)

    def end(self) -> None:
        """Unwind it: its process is dead, so Killed is raised where it waits."""
        if self._parked and not self.done:
            self._parked = False
            self.hub.enter(self)

    def join(self, timeout: float | None) -> None:
        """Called by another actor."""
        me = self.hub.actor
        if me is None or me.process.dead:
            return
        end = None if timeout is None else self.hub.now + timeout
        self._waiters.append(me)
        while not self.done and (end is None or self.hub.now < end):
            me.park(end)


# ---------------------------------------------------------------- what stands for `threading` and `queue`


class Threads:
    """As the module `threading`, for the process that is running."""

    def __init__(self, hub: Callable[[], Hub]) -> None:
        class Thread:
            def __init__(self, target: Callable[[], None], name: str = "", daemon: bool = False) -> None:
                self._target = target
                self._actor: Actor | None = None

            def start(self) -> None:
                me = hub().actor
                assert me is not None
                self._actor = Actor(me.process, self._target)
                self._actor.start()

            def join(self, timeout: float | None = None) -> None:
                if self._actor is not None:
                    self._actor.join(timeout)

            def is_alive(self) -> bool:
                return self._actor is not None and not self._actor.done

        class Flag:
            def __init__(self) -> None:
                self._set = False
                self._waiters: list[Actor] = []

            def set(self) -> None:
                self._set = True
                for waiter in self._waiters:
                    waiter.wake()

            def is_set(self) -> bool:
                return self._set

            def wait(self, timeout: float | None = None) -> bool:
                me = hub().actor
                assert me is not None
                end = None if timeout is None else hub().now + timeout
                self._waiters.append(me)
                while not self._set and (end is None or hub().now < end):
                    me.park(end)
                self._waiters.remove(me)
                return self._set

        self.Thread = Thread
        self.Event = Flag


class Queues:
    """As the module `queue`."""

    def __init__(self, hub: Callable[[], Hub]) -> None:
        class SimpleQueue:
            def __init__(self) -> None:
                self._items: deque[Any] = deque()
                self._waiters: list[Actor] = []

            def put(self, item: Any) -> None:
                self._items.append(item)
                for waiter in self._waiters:
                    waiter.wake()

            def get(self) -> Any:
                me = hub().actor
                assert me is not None
                self._waiters.append(me)
                while not self._items:
                    me.park()
                self._waiters.remove(me)
                return self._items.popleft()

            def __class_getitem__(cls, _: Any) -> Any:
                return cls

        self.SimpleQueue = SimpleQueue


class Aside:
    """As the module `asyncio`, but that what is done aside is done by an actor."""

    def __init__(self, hub: Callable[[], Hub]) -> None:
        self._threads = Threads(hub)

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def to_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def tell(end: Callable[[Any], None], value: Any) -> None:
            if not done.done():
                end(value)

        def work() -> None:
            try:
                found = call(*arguments)
            except Exception as error:
                end: tuple[Callable[[Any], None], Any] = done.set_exception, error
            else:
                end = done.set_result, found
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell, *end)

        self._threads.Thread(target=work).start()
        return await done


# ---------------------------------------------------------------- the event loop


class _Task(asyncio.Task[Any]):
    """Known by its number, so that a set of tasks has the same order each time."""

    def __init__(self, coroutine: Any, *, loop: VirtualLoop, **rest: Any) -> None:
        loop.tasks += 1
        self._number = loop.tasks
        super().__init__(coroutine, loop=loop, **rest)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.BaseEventLoop):
    """asyncio's own loop, but for the clock, and for sockets, which a `network` makes."""

    def __init__(self, process: Process, network: Any) -> None:
        super().__init__()
        self.process = process
        self.hub = process.hub
        self.tasks = 0
        self.incoming: list[asyncio.Handle] = []  # what a selector would say next
        self._actor: Actor | None = None
        self._network = network
        self.troubles: list[dict[str, Any]] = []
        self.interrupt = False  # Ctrl-C: asked for from outside
        self.set_task_factory(lambda loop, coroutine, **rest: _Task(coroutine, loop=self, **rest))
        self.set_exception_handler(lambda _, context: self.troubles.append(context))

    def time(self) -> float:
        return self.hub.now

    def arrived(self, handle: asyncio.Handle) -> None:
        """Something to read: heard of when the loop looks next."""
        self.incoming.append(handle)
        if self._actor is not None:
            self._actor.wake()

    def _write_to_self(self) -> None:
        if self._actor is not None and self.hub.actor is not self._actor:
            self._actor.wake()

    def _run_once(self) -> None:
        if self.process.dead:
            raise Killed
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
        if not ready and not self.incoming and not self._stopping:  # type: ignore[attr-defined]
            until = scheduled[0]._when if scheduled else None
            if until is None or until > self.hub.now:
                self._actor = self.hub.actor
                assert self._actor is not None
                self._actor.park(until)
        if self.interrupt:
            self.interrupt = False
            raise KeyboardInterrupt
        read, self.incoming = self.incoming, []
        if self.process.data_first:
            ready.extend(read)
        while scheduled and scheduled[0]._when <= self.hub.now:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not handle._cancelled:
                ready.append(handle)
        if not self.process.data_first:
            ready.extend(read)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if self.process.stall is not None:
                self._stall()
            if not handle._cancelled:
                handle._run()
                if self.process.dead:
                    raise Killed

    def _stall(self) -> None:
        assert self.process.stall is not None and self.hub.actor is not None
        left, seconds = self.process.stall
        self.process.stall = (left - 1, seconds)
        if left <= 0:
            self.process.stall = None
            self.process.freeze(seconds)
            self._actor = self.hub.actor
            self._actor.sleep(seconds)

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        return await self._network.connect(self, protocol_factory, host, port)

    def shut(self) -> None:
        """As `asyncio.Runner` does at its end: whoever is still at work is cancelled."""
        left = sorted((task for task in asyncio.all_tasks(self)), key=hash)
        for task in left:
            task.cancel()
        if left and not self.process.dead:
            self.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        for task in left:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.close()


def run(process: Process, network: Any, make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """In the place of `digest.event_loop.run`."""
    loop = process.loop = VirtualLoop(process, network)
    hooks = sys.get_asyncgen_hooks()
    try:
        return loop.run_until_complete(make())
    finally:
        sys.set_asyncgen_hooks(*hooks)
        loop.shut()
