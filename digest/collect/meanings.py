"""Meanings of texts, made in a process of its own with bounds of time and memory: what is too much for it has none."""

from __future__ import annotations

from collections.abc import Sequence

from digest.collect import workers
from digest.parse.meaning import Meant

MEMORY = 500_000_000  # bytes the process may hold: a model is 300 MB at work
BATCH = 16  # texts that are read together
SECONDS = 20.0  # for one batch, which takes a fifth of a second; the first one loads the model
SETBACKS = 2  # batches in a row that bring the process down, after which no more are read


def vectors(model: str, texts: Sequence[str], *, seconds: float = SECONDS) -> list[bytes]:
    """A vector for each text, b"" where it was too much to read. Shorter than `texts` where no more could be read."""
    found: list[bytes] = []
    read = 0  # of these, up to the end of the last batch that was read
    process: workers.Worker | None = None
    setbacks = 0
    while len(found) < len(texts) and setbacks < SETBACKS:
        batch = tuple(texts[len(found) : len(found) + BATCH])
        process = process or workers.Worker(MEMORY)
        try:
            answer = process.ask(Meant(model, batch), seconds, workers.MOST_TIMES * seconds)
        except (TimeoutError, EOFError, OSError):
            answer = MemoryError()
        if isinstance(answer, list) and len(answer) == len(batch):
            found += answer
            read, setbacks = len(found), 0
            continue
        process.kill()
        process = None
        setbacks += 1
        found += [b""] * len(batch)
    if process:
        process.hang_up()
        process.kill()
    # It is not the texts that were too much where one batch fails after the other, or nothing was read at all.
    return found[:read] if setbacks == SETBACKS or not read else found
