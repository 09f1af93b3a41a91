"""Turns: so many at a time, and no more than so many who wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.exceptions import HTTPException


class Turns:
    """Lets `at_once` in, keeps `most` waiting, and sends the others away (503, RFC 9110 §15.6.4)."""

    def __init__(self, at_once: int, *, most: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._most = most
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        if self._waiting >= self._most:
            raise HTTPException(503, headers={"Retry-After": "5"})
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()
