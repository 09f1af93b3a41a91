"""`digest serve`: the pages that links in the mail lead to, and the archive."""

from __future__ import annotations

import errno
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import Options, now
from digest.cli.options import LogFile, LogFormat
from digest.cli.progress import heed_clock
from digest.cli.record import Record, recorded
from digest.errors import Exit, UserError
from digest.means import fitting

if TYPE_CHECKING:
    from types import FrameType

    import uvicorn

    from digest.config import Config
    from digest.store import Database
    from digest.store.replica import Replica
    from digest.web.courier import Courier
    from digest.web.logged import Asked

_CONNECTIONS = 500  # at a time, where there are files for so many; more are told to come back
_BESIDE = 64  # files: the database's connections, the loop, mail on its way
_KEEP_ALIVE_SECONDS = 15
_SHUTDOWN_SECONDS = 10  # for those who are being served when the signal to stop comes
_HEADER_BYTES = 16_384


class CannotListen(UserError):
    exit_code = Exit.UNAVAILABLE


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; a proxy with TLS stands before it.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    unix_socket: Annotated[
        Path | None, typer.Option("--unix-socket", metavar="PATH", help="Listen on a unix socket instead.")
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Tell each request on stderr, without the tokens of its address.")
    ] = False,
    drain: Annotated[
        float,
        typer.Option(
            min=0, max=600, metavar="SECONDS", help="Serve on for so long once told to stop, while /ready answers 503."
        ),
    ] = 0,
    log: LogFile = None,
    log_format: LogFormat = None,
) -> None:
    """Serve sign-up, readers' choices, the archive and its feeds. The links in the mail lead there.

    Example: digest serve --port 8000
    """
    import uvicorn

    from digest.store import replica
    from digest.web import application
    from digest.web.timeouts import http_protocol

    options: Options = context.obj
    connections = fitting(_CONNECTIONS, each=1, beside=_BESIDE, what="serving", least=16)
    # What is wrong with one newsletter keeps no reader of another from leaving.
    with (
        recorded(options, "serve", now, log, log_format) as record,
        options.open(partly=True) as (config, database),
        replica.opened(database, config.database_read_url) as copy,
        _metrics(config, database, copy),
    ):
        database.require_writable()  # or it would serve who only looks, and that also once there is room again
        # Whoever wants to leave can, whatever the time is.
        heed_clock(options, config, database, refuse=False)
        for words in options.judge(config).values():
            options.warn(words)
        if copy is not None and (why := copy.look().trouble):
            options.warn(f"pages are read from the database itself: the replica {config.database_read_name} {why}")
        listener = _unix(unix_socket) if unix_socket else _listener(host, port)
        # uvicorn stops gently at a signal, and then raises it anew: to be asked to stop is no failure.
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, _stop)
        told = (lambda asked: _tell(record, asked)) if access_log else None
        courier, herald = _couriers(record, database, config)
        app = application(
            database,
            config,
            clock=now,
            mail_now=courier.wake,
            tell_now=herald.wake,
            log=told,
            replica=copy,
        )
        server = _stoppable(drain, app.state.site.stops)(
            uvicorn.Config(
                app,
                http=http_protocol(),
                ws="none",
                lifespan="off",
                log_level="error",
                access_log=False,  # its lines would hold the tokens
                proxy_headers=False,  # web.client reads them
                server_header=False,
                limit_concurrency=connections,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
                h11_max_incomplete_event_size=_HEADER_BYTES,
            )
        )
        shown = str(unix_socket) if unix_socket else f"http://{f'[{host}]' if ':' in host else host}:{port}"
        options.say(f"serving {config.base_url} on {shown}")
        try:
            with courier, herald:
                courier.wake()  # for who asked before we were ended
                herald.wake()
                server.run(sockets=[listener])
        finally:
            listener.close()
            if unix_socket:
                unix_socket.unlink(missing_ok=True)


def _couriers(record: Record, database: Database, config: Config) -> tuple[Courier, Courier]:
    """Who sends the letters that somebody waits for, and who tells webhooks what happened."""
    import random

    from digest import line
    from digest.deliver import NOTICES
    from digest.web.courier import Courier

    rng = random.Random()  # noqa: S311  (jitter, not a secret)

    def send(stop: Callable[[], bool]) -> bool:
        """Answer who asked, as the limits allow; do some have to wait?"""
        wait = line.answer_signups(database, config, now=now())
        record.sent(database, line.deliver(database, config, clock=now, rng=rng, stop=stop, share=NOTICES))
        return bool(wait)

    def tell(stop: Callable[[], bool]) -> bool:
        """Tell webhooks what happened; do they have to be told more?"""
        return line.tell_webhooks(database, config, clock=now, rng=rng, stop=stop).waiting

    return Courier(send), Courier(tell, what="webhooks were not told what happened")


def _stoppable(
    drain: float, stops: threading.Event, *, timer: Callable[[], float] = time.monotonic
) -> type[uvicorn.Server]:
    """uvicorn's server; once told to stop it goes on for a while, in which a load balancer sees it by `stops`."""
    import uvicorn

    class Server(uvicorn.Server):
        _ends = math.inf

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if stops.is_set() or not drain:  # who says it twice means it
                super().handle_exit(sig, frame)
                return
            stops.set()
            self._ends = timer() + drain

        async def on_tick(self, counter: int) -> bool:
            self.should_exit = self.should_exit or timer() >= self._ends
            return await super().on_tick(counter)

    return Server


def _tell(record: Record, asked: Asked) -> None:
    """A request, on stderr and in the log."""
    if record.note_request(asked):
        print(asked, file=sys.stderr, flush=True)


@contextmanager
def _metrics(config: Config, database: Database, copy: Replica | None) -> Iterator[None]:
    """Figures on a port of loopback of their own, where the settings name one."""
    port = config.web.metrics_port
    if not port:
        yield
        return
    from digest.observe.metrics import registry

    figures = registry(database, config, clock=now, copy=lambda: copy.look() if copy is not None else None)
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=figures)
    except OSError as error:
        raise cannot_listen(error, f"127.0.0.1 port {port}", "metrics_port in [web] names another") from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _stop(*_: object) -> None:
    raise SystemExit(Exit.OK)


def _listener(host: str, port: int) -> socket.socket:
    """A listening TCP socket; CannotListen says why there is none."""
    try:
        family, *_rest, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((str(address[0]), port), family=family, backlog=2048)
    except OSError as error:
        raise cannot_listen(
            error, f"{host} port {port}", "--port names another; is `digest serve` running already?"
        ) from None


def _unix(path: Path) -> socket.socket:
    """A listening unix socket in place of one that a process left behind."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o666)  # who may reach it is said by the mode of its folder
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise cannot_listen(
            error, str(path), "is `digest serve` running already? --unix-socket names another path"
        ) from None
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def cannot_listen(error: OSError, where: str, in_use: str) -> CannotListen:
    if error.errno == errno.EADDRINUSE:
        return CannotListen(f"cannot listen on {where}: it is taken", hint=in_use)
    if error.errno in (errno.EACCES, errno.EPERM):
        return CannotListen(
            f"cannot listen on {where}: not allowed",
            hint="a port below 1024 is for root: take a higher one, and let a web server with TLS stand before it",
        )
    # What Python adds to it ("while attempting to bind …") says again where.
    reason = (os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)).lower()
    return CannotListen(f"cannot listen on {where}: {reason}", hint="give an address of this machine, or 0.0.0.0")
