"""Summaries asked of a machine: an OpenAI-compatible service, or a function of the operator's own.

Bounded in time, tokens and money, and never at the cost of an edition: what is not there in time is not shown. What it
answers is judged (`curate.summaries`) and kept, so that it is asked once of each text.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, cast

from digest import __version__, event_loop
from digest.collect import trouble
from digest.collect.client import httpx
from digest.collect.report import SummaryReport
from digest.config import Config
from digest.curate.summaries import MOST_TOKENS, Matter, judged, messages, tokens
from digest.dataclass import dataclass
from digest.errors import ConfigError, FetchError
from digest.store import Database, summaries
from digest.store.summary_tables import Summary

MOST_BYTES = 200_000  # of an answer
FAILURES = 2  # in a row, after which nobody is asked any more in a run
_HINT = "[summarizer] in the settings; without one, excerpts are of the texts alone"


class Wanted(Protocol):
    """As `edition.summaries.Wanted`."""

    @property
    def mark(self) -> str: ...
    @property
    def matter(self) -> Matter: ...


@dataclass(frozen=True)
class Spending:
    """What is left of a run's bounds."""

    seconds: float
    requests: int
    tokens: int
    money: float

    @classmethod
    def of(cls, config: Config) -> Spending:
        terms = config.summarizer
        return cls(terms.seconds, terms.per_run, terms.tokens_per_run, terms.cost_per_run)

    def without(self, report: SummaryReport) -> Spending:
        return Spending(
            self.seconds - report.seconds,
            self.requests - report.asked,
            self.tokens - report.tokens,
            self.money - report.cost,
        )


@dataclass(frozen=True)
class Answer:
    """What was answered, and the tokens that were read and written for it: never fewer than its texts have."""

    text: object
    read: int
    written: int


def ask_for(
    database: Database, config: Config, wanted: Sequence[Wanted], *, clock: Callable[[], datetime], left: Spending
) -> SummaryReport:
    """Ask for these summaries, the first ones first, within what is left, and keep what is said. StorageError only."""
    report = SummaryReport(wanted=len(wanted))
    if wanted and left.seconds > 0 and left.requests > 0:
        event_loop.run(lambda: _ask_all(database, config, wanted, clock, left, report))
    return report


async def _ask_all(
    database: Database,
    config: Config,
    wanted: Sequence[Wanted],
    clock: Callable[[], datetime],
    left: Spending,
    report: SummaryReport,
) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    terms = config.summarizer
    failures = 0
    for one in wanted:
        report.seconds = loop.time() - began
        now = left.without(report)
        read = _asked(one.matter)
        price = _price(config, read, MOST_TOKENS)
        if now.requests <= 0 or now.seconds <= 0 or failures >= FAILURES:
            break
        if read + MOST_TOKENS > now.tokens or (price > 0 and price > now.money):
            report.trouble = report.trouble or "the bounds of a run are reached"
            break
        report.asked += 1
        try:
            answer = await ask(config, one.matter, seconds=min(terms.request_seconds, now.seconds))
        except FetchError as error:
            failures += 1
            report.failed += 1
            report.tokens += read
            report.cost += _price(config, read, 0)
            report.trouble = f"the summarizer {error.reason}"
            continue
        failures = 0
        report.tokens += answer.read + answer.written
        report.cost += _price(config, answer.read, answer.written)
        said = judged(answer.text, one.matter)
        report.taken += bool(said.text)
        report.dropped += not said.text
        by = terms.model if config.curate.summarizer == "openai" else config.curate.summarizer
        with database.write() as session:
            row = Summary(mark=one.mark, made_at=clock(), model=by, tokens=answer.read + answer.written)
            row.text, row.why = said.text, said.why
            summaries.keep(session, row)
    report.seconds = loop.time() - began


def _asked(matter: Matter) -> int:
    """Tokens that asking takes."""
    return sum(tokens(message["content"]) for message in messages(matter))


def _price(config: Config, read: int, written: int) -> float:
    terms = config.summarizer
    return (read * terms.input_price + written * terms.output_price) / 1_000_000


async def ask(config: Config, matter: Matter, *, seconds: float) -> Answer:
    """Ask for one summary. FetchError, whose `reason` goes on after "the summarizer", also where it takes too long.

    Raises ConfigError where the function of the settings cannot be loaded, or the key cannot be read.
    """
    try:
        async with asyncio.timeout(seconds):
            if config.curate.summarizer == "openai":
                return await _of_service(config, matter, seconds)
            said = await _of_function(summarizer(config.curate.summarizer), matter)
            written = tokens(said) if isinstance(said, str) else 0
            return Answer(said, _asked(matter), written)
    except TimeoutError:
        raise FetchError(_place(config), f"does not answer within {seconds:g} seconds") from None


def _place(config: Config) -> str:
    return config.summarizer.url if config.curate.summarizer == "openai" else config.curate.summarizer


async def _of_service(config: Config, matter: Matter, seconds: float) -> Answer:
    terms = config.summarizer
    url = f"{terms.url}/chat/completions"
    body = {
        "model": terms.model,
        "messages": messages(matter),
        "max_tokens": MOST_TOKENS,
        "temperature": 0,
        "stream": False,
    }
    says = {"User-Agent": f"digest/{__version__}", "Accept": "application/json", "Accept-Encoding": "identity"}
    if key := key_of(config):
        says["Authorization"] = f"Bearer {key}"
    try:
        async with (
            httpx.AsyncClient(timeout=seconds, trust_env=False, follow_redirects=False) as client,
            client.stream("POST", url, json=body, headers=says) as response,
        ):
            if response.status_code != 200:
                moved = ", and is not followed" if response.is_redirect else ""
                raise FetchError(url, f"answers {response.status_code}{moved}", status=response.status_code)
            raw = b""
            async for chunk in response.aiter_raw():
                raw += chunk
                if len(raw) > MOST_BYTES:
                    raise FetchError(url, f"answers with more than {MOST_BYTES:,} bytes")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise FetchError(url, trouble.in_words(error)) from None
    return _understood(raw, matter, url)


def _understood(raw: bytes, matter: Matter, url: str) -> Answer:
    """What a service answered, in the form of OpenAI's chat completions."""
    try:
        told: Any = json.loads(raw)
        text = told["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise FetchError(url, "answers in another form than chat completions have") from None
    usage = told.get("usage") if isinstance(told, dict) else None
    read, written = (_number(usage, name) for name in ("prompt_tokens", "completion_tokens"))
    least = tokens(text) if isinstance(text, str) else 0
    return Answer(text, max(read, _asked(matter)), max(written, least))


def _number(usage: object, name: str) -> int:
    found = usage.get(name) if isinstance(usage, dict) else 0
    return min(found, 10_000_000) if isinstance(found, int) and found > 0 else 0


def key_of(config: Config) -> str:
    """The key of the service, "" for none. ConfigError where its file cannot be read."""
    terms = config.summarizer
    if terms.key is not None:
        return terms.key.get_secret_value()
    if terms.key_file is None:
        return ""
    try:
        first = terms.key_file.read_text(encoding="utf-8").strip().splitlines()[:1]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror or "it cannot be read" if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"summarizer.key_file {terms.key_file}: {why}", hint=_HINT) from None
    return first[0].strip() if first else ""


def summarizer(name: str) -> Callable[[str, str, str], object]:
    """The function of the settings, "package.module:function". ConfigError where it cannot be loaded."""
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
        if not callable(found):
            raise TypeError(f"{function} is no function")
    except Exception as error:  # the operator's code: whatever is wrong with it, they read of it here
        raise ConfigError(
            f"curate.summarizer {name!r} cannot be loaded: {error}",
            hint="write \"openai\", or 'package.module:function' of a package installed beside digest",
        ) from None
    return cast(Callable[[str, str, str], object], found)


async def _of_function(function: Callable[[str, str, str], object], matter: Matter) -> object:
    """What it returns. It runs in a thread that nobody waits for: one that hangs ends with the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[object, str]] = loop.create_future()

    def tell(said: object, why: str) -> None:
        if not done.done():
            done.set_result((said, why))

    def work() -> None:
        said, why = None, ""
        try:
            said = function(matter.title, matter.text, matter.language)
        except Exception as error:  # as above
            why = f"failed: {type(error).__name__}: {error}"[:200]
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, said, why)

    threading.Thread(target=work, name="summarizer", daemon=True).start()
    said, why = await done
    if why:
        raise FetchError("", why)
    return said


TRIAL = Matter(
    "A bridge for Elmstead",
    "The council of Elmstead decided on Tuesday to build a bridge over the River Alder. Ada Lovelace, who leads the "
    "council, said that the old bridge cannot carry a bus. Work begins in March, and the town pays for all of it.",
    "en",
    300,
)


def tried(config: Config, *, seconds: float) -> str:
    """Ask once, of a text of ours: what is wrong with the answer, "" where it would be shown. Raises as `ask`."""
    answer = event_loop.run(lambda: ask(config, TRIAL, seconds=seconds))
    return judged(answer.text, TRIAL).why
