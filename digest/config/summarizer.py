"""`[summarizer]`: where summaries by a machine are asked for, and what they may take of a run."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from digest.config.section import Section
from digest.config.value_types import FilePath, Line, Secret, server_url


def _address(value: str) -> str:
    if not value:
        return value
    if any(sign in value for sign in "@?#"):
        raise ValueError("must have no user, password, ? or # in it; a key goes into `key`")
    there = server_url(value, settings="")
    if there.scheme not in ("http", "https") or not there.host:
        raise ValueError("must be the http(s) address of an OpenAI-compatible service, up to its /v1")
    return value.rstrip("/")


def _at_home(host: str) -> bool:
    """Whether a host is this machine, or of its network."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_private
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal", ".home.arpa"))


class Summarizer(Section):
    """An OpenAI-compatible service, and the bounds of asking any summarizer, in all newsletters together."""

    url: Annotated[Line, AfterValidator(_address)] = ""
    model: Line = ""
    key: Secret | None = None
    key_file: FilePath | None = None  # whose first line is the key
    stories: int = Field(8, ge=1, le=100)  # the best of each choice of topics
    per_run: int = Field(10, ge=0, le=1000)  # requests; 0: none
    seconds: float = Field(30, ge=0, le=600)  # of a run
    request_seconds: float = Field(15, gt=0, le=300)
    tokens_per_run: int = Field(20_000, ge=0)  # read and written
    # Money, in the currency that the prices are in, for a million tokens.
    input_price: float = Field(0, ge=0)
    output_price: float = Field(0, ge=0)
    cost_per_run: float = Field(0.05, ge=0)

    @model_validator(mode="after")
    def _kept_secret(self) -> Summarizer:
        if self.key is not None and self.key_file is not None:
            raise ValueError("has key and key_file; one of them is enough")
        there = server_url(self.url, settings="") if self.url else None
        secret = self.key is not None or self.key_file is not None
        if secret and there is not None and there.scheme == "http" and not _at_home(there.host):
            raise ValueError("would send its key over http, where everybody on the way reads it; write https://")
        return self
