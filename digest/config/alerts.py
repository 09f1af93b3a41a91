"""`[alerts]`: who tells the operator what, and when."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from digest.config.settings import Section
from digest.config.value_types import HttpHeaders, Line, Secret, Share
from digest.schedule import Schedule
from digest.schedule import parse as parse_schedule


class Alerts(Section):
    """Channels, what is told by them, and the operator's own letter. None of it is on by itself."""

    mail: Line = ""  # a plain address
    webhook: Secret | None = None  # secret, since who knows it can write there
    shape: Literal["json", "ntfy", "slack", "matrix", "discord"] = "json"
    template: str = ""  # of what a webhook is sent, in place of a shape
    headers: HttpHeaders = Field(default_factory=dict)  # secret; sent to the webhook only
    command: tuple[str, ...] = ()
    seconds: float = Field(15, gt=0, le=60)  # that a command may take
    private_addresses: bool = False  # webhook and heartbeat may be on one's own network, and over http
    heartbeat: Secret | None = None
    weekly: Line = ""  # as in "mon 08:00 Europe/Berlin"
    after_minutes: float = Field(0, ge=0, le=10_080)  # that something lasts before it is told, or told to be over
    feed_failures: int = Field(3, ge=1)
    feed_days: float = Field(2, ge=0, le=365)
    late_minutes: float = Field(60, ge=1, le=100_000)
    bounce_share: Share = 0.05
    complaint_share: Share = 0.003
    least_letters: int = Field(200, ge=1)
    disk_days: float = Field(7, ge=0, le=3650)
    certificate_days: float = Field(14, ge=0, le=365)

    @field_validator("mail")
    @classmethod
    def _plain(cls, value: str) -> str:
        if value and not re.fullmatch(r"[^\s@<>,;:\"()]{1,64}@[A-Za-z0-9.-]{1,255}", value):
            raise ValueError("must be a plain address without a name, as in ops@example.org")
        return value

    @field_validator("webhook", "heartbeat")
    @classmethod
    def _address(cls, value: SecretStr | None) -> SecretStr | None:
        url = value.get_secret_value() if value else ""
        if not url:
            return None
        try:
            parts = urlsplit(url)
            good = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            good = False
        if not good or parts.scheme not in ("https", "http") or not url.isprintable() or " " in url or "#" in url:
            raise ValueError("must be a web address, as in https://hooks.example/…")
        if parts.username is not None or parts.password is not None:
            raise ValueError("has a login in its address; put it into headers, as in Authorization")
        return value

    @field_validator("template")
    @classmethod
    def _template(cls, value: str) -> str:
        if value:
            from jinja2 import TemplateError
            from jinja2.sandbox import SandboxedEnvironment

            try:
                SandboxedEnvironment().parse(value)
            except TemplateError as error:
                raise ValueError(f"is no template: {error}") from None
        return value

    @field_validator("command")
    @classmethod
    def _program(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value and (not value[0].strip() or any("\0" in word for word in value)):
            raise ValueError("must begin with a program, as in ['/usr/local/bin/page-me', '--loud']")
        return value

    @field_validator("weekly")
    @classmethod
    def _weekly(cls, value: str) -> str:
        if value:
            parse_schedule(f"weekly {value.removeprefix('weekly ')}")
        return value.removeprefix("weekly ")

    @model_validator(mode="after")
    def _whole(self) -> Alerts:
        for name in ("webhook", "heartbeat"):
            url: SecretStr | None = getattr(self, name)
            if url and url.get_secret_value().startswith("http:") and not self.private_addresses:
                raise ValueError(
                    f"has a {name} over http: take https, or set private_addresses = true for one's own network"
                )
        if (self.template or self.headers) and not self.webhook:
            raise ValueError("has a template or headers and no webhook to use them for")
        if self.weekly and not self.mail:
            raise ValueError("has weekly and no mail to send it to")
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        """Those that are set: "mail", "webhook", "command"."""
        there = {"mail": bool(self.mail), "webhook": bool(self.webhook), "command": bool(self.command)}
        return tuple(name for name, is_there in there.items() if is_there)

    @property
    def patience(self) -> timedelta:
        return timedelta(minutes=self.after_minutes)

    @property
    def week(self) -> Schedule | None:
        return parse_schedule(f"weekly {self.weekly}") if self.weekly else None
