"""Spans for OpenTelemetry, by its own library, which is imported only here: the extra `otel`.

They are kept while a command works, which waits for nobody, and handed to the collector at its end: within `PATIENCE`,
or not at all. A command that made more than `MOST` keeps the first of them, and says how many there were.
"""

from __future__ import annotations

import logging
import re
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from digest import DISTRIBUTION, __version__
from digest.config.settings import Log
from digest.errors import ConfigError
from digest.spans import Facts

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

MOST = 10_000
PATIENCE = 3.0  # seconds, for all of them together
_AT_ONCE = 500
_PLAIN = re.compile(r"[\w .:/+-]{0,64}")


class Traces:
    """The spans of one command. ConfigError where the library is not there."""

    def __init__(self, settings: Log, command: str, run: str) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
            from opentelemetry.sdk.trace.sampling import ALWAYS_ON
        except ImportError:
            raise ConfigError(
                "spans for OpenTelemetry need packages that are not installed beside digest",
                hint=f"pip install '{DISTRIBUTION}[otel]', or leave [log] otlp out",
            ) from None
        self._settings = settings
        self._kept: list[ReadableSpan] = []
        self._over = 0
        traces = self

        class Kept(SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                traces._keep(span)

        resource = Resource.create({"service.name": "digest", "service.version": __version__})
        provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(Kept())
        self._tracer = provider.get_tracer("digest", __version__)
        self.root = self.begin(command, None, {"run": run})

    def _keep(self, span: ReadableSpan) -> None:
        if len(self._kept) < MOST or span.parent is None:
            self._kept.append(span)
        else:
            self._over += 1

    # ------------------------------------------------------------ `spans.Listener`

    def begin(self, name: str, parent: Any, facts: Facts) -> Any:
        from opentelemetry.context import Context
        from opentelemetry.trace import set_span_in_context

        context = Context() if parent is None else set_span_in_context(parent, Context())
        return self._tracer.start_span(name, context=context, attributes=_plain(facts))

    def end(self, span: Any, facts: Facts, *, failed: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        span.set_attributes(_plain(facts))
        if failed:
            span.set_status(Status(StatusCode.ERROR, _words(failed)))
        span.end()

    # ------------------------------------------------------------ its end

    def finish(self, facts: Facts, *, exit_code: int) -> str:
        """End the command's own span and hand all over; "" or, in words, why the collector does not have them."""
        over = {"spans_not_kept": self._over} if self._over else {}
        self.end(self.root, {**facts, **over, "exit_code": exit_code}, failed="" if exit_code == 0 else "exit code")
        answers: list[str] = []
        sending = Thread(target=self._send, args=(answers,), daemon=True, name="digest-otlp")
        sending.start()
        sending.join(PATIENCE)
        why = answers[0] if answers else f"it did not take them in {PATIENCE:.0f} seconds"
        return f"the collector {_host(self._settings.otlp)} does not have the spans of this run: {why}" if why else ""

    def _send(self, answers: list[str]) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SpanExportResult

        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)  # what there is to say is said once, by us
        headers = {name: value.get_secret_value() for name, value in self._settings.otlp_headers.items()}
        try:
            exporter = OTLPSpanExporter(_endpoint(self._settings.otlp), headers=headers, timeout=PATIENCE - 1)
            for start in range(0, len(self._kept), _AT_ONCE):
                if exporter.export(self._kept[start : start + _AT_ONCE]) is not SpanExportResult.SUCCESS:
                    answers.append("it cannot be reached, or refuses them")
                    return
        except Exception as error:  # of a library: whatever it is, the work is done
            answers.append(type(error).__name__)
            return
        answers.append("")


def _endpoint(url: str) -> str:
    return url if urlsplit(url).path.strip("/") else url.rstrip("/") + "/v1/traces"


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _plain(facts: Facts) -> dict[str, int | float | bool | str]:
    return {f"digest.{name}": _words(one) if isinstance(one, str) else one for name, one in facts.items()}


def _words(text: str) -> str:
    """A name of ours. What looks like anything else is not said: no address, nothing of strangers."""
    return text if _PLAIN.fullmatch(text) and "://" not in text else "…"
