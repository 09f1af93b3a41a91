"""A parsing process that stops at entries that say so: light, for each such process imports it anew."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection

from digest.parse import gist, worker


def serve(connection: Connection, memory_bytes: int) -> None:
    """As `worker.serve`."""
    made = gist.of

    def of(summary: str, content: str) -> gist.Gist:
        if "deadly" in summary + content:
            os._exit(9)
        return made(summary, content)

    gist.of = of
    worker.serve(connection, memory_bytes)
