"""`[smtp]`: the mail servers that letters go by, who logs in there, and what is signed; a newsletter's own beside."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from digest.config.section import Section
from digest.config.value_types import (
    Domain,
    FilePath,
    Line,
    Secret,
    ServerUrl,
    Share,
    SmtpUrl,
    smtp_server,
)


def _check_login(url: SecretStr | None, user: str, password: SecretStr | None, command: str) -> None:
    """ValueError where it is not clear who logs in and how."""
    secret = password.get_secret_value() if password else ""
    if url is None:
        if given := [name for name, value in (("user", user), ("password", secret)) if value]:
            raise ValueError(f"has a {given[0]} and no url to use it for")
        if command:
            raise ValueError("has a token_command and nobody to log in: give it a url and a user")
        return
    check_logins(smtp_server(url.get_secret_value()), user, secret, command, named="url")


def check_logins(there: ServerUrl, user: str, secret: str, command: str, *, named: str) -> None:
    if (there.user and user) or (there.password and secret):
        raise ValueError(f"has the {'user' if user else 'password'} twice, in its {named} and beside it; take one away")
    if (secret or there.password) and not (user or there.user):
        raise ValueError("has a password and no user")
    if command:
        if not (user or there.user):
            raise ValueError("has a token_command and nobody to log in: give the user, as in user@host")
        if secret or there.password:
            raise ValueError("has both a password and a token_command; take one away")
        _check_command(command)


def _check_command(command: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"has a token_command that cannot be read: {error}") from None
    if not words:
        raise ValueError("has an empty token_command")


class Relay(Section):
    """A mail server that takes our letters. A limit of 0 is none; those per hour and day outlive the process."""

    url: SmtpUrl
    user: Line = ""  # who logs in, where `url` does not say it
    password: Secret | None = None
    auth: Literal["", "plain", "login", "xoauth2"] = ""  # "": plain or login, whichever is offered
    token_command: Line = ""  # prints what stands for the password, an access token unless `auth` says otherwise
    order: int = 1  # a relay of a higher order is used only while all of a lower one are down
    weight: float = Field(1, gt=0)  # its share among relays of the same order
    connections: int = Field(8, ge=1, le=200)
    per_second: float = Field(0, ge=0)
    per_hour: int = Field(0, ge=0)
    per_day: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _login(self) -> Relay:
        _check_login(self.url, self.user, self.password, self.token_command)
        return self

    @property
    def server(self) -> ServerUrl:
        """Where it is, and who logs in there, wherever that was said."""
        found = smtp_server(self.url.get_secret_value())
        password = self.password.get_secret_value() if self.password else ""
        return replace(found, user=found.user or self.user, password=found.password or password)


class Dkim(Section):
    """Sign letters here, for relays that do not. `domain` is by default the sender's."""

    selector: Line
    key_file: FilePath
    domain: Domain = ""


class Smtp(Section):
    """Where letters go. Without `url` or `relays` they are written to a Maildir beside the database."""

    url: SmtpUrl | None = None  # short for one relay with the settings of `Relay`
    user: Line = ""
    password: Secret | None = None
    relays: tuple[Relay, ...] = ()
    token_command: Line = ""
    connections: int = Field(8, ge=1, le=200)
    envelope_domain: Domain = ""
    hello: Domain = ""  # our name in EHLO; else the machine's, if it has a full one, or its address
    ca_file: FilePath | None = None
    dkim: tuple[Dkim, ...] = ()
    # How long a server may take to answer a command, and the end of the data (RFC 5321 §4.5.3.2).
    timeout_seconds: float = Field(300, gt=0, le=600)
    data_timeout_seconds: float = Field(600, gt=0, le=1200)
    lifetime_hours: float = Field(48, gt=0, le=240)
    after_crash: Literal["resend", "hold"] = "resend"
    per_domain: int = Field(0, ge=0)  # letters at a time to one domain of recipients; 0: no limit
    # The share of an edition that goes out first, and what share of refusals lets the rest follow.
    canary: Share = 0.0
    max_refused: Share = 0.05
    # An edition with letters that were due longer ago and never tried waits for a person.
    max_lateness_hours: float = Field(24, gt=0, le=10_000_000)

    @field_validator("url", mode="before")
    @classmethod
    def _no_url(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _one_way(self) -> Smtp:
        if self.url and self.relays:
            raise ValueError("has both url and relays; move url into a [[smtp.relays]] of its own")
        for name in ("token_command", "user", "password") if self.relays else ():
            if getattr(self, name):
                raise ValueError(f"has {name} beside relays; move it into the [[smtp.relays]] it is for")
        _check_login(self.url, self.user, self.password, self.token_command)
        return self

    @property
    def servers(self) -> tuple[Relay, ...]:
        if self.url:
            both = Relay.model_fields.keys() & Smtp.model_fields.keys()
            return (Relay(**{name: getattr(self, name) for name in both}),)
        return self.relays

    @property
    def lifetime(self) -> timedelta:
        return timedelta(hours=self.lifetime_hours)

    @property
    def max_lateness(self) -> timedelta:
        return timedelta(hours=self.max_lateness_hours)

    @property
    def lease(self) -> timedelta:
        """How long an attempt may take, before another sender may think that this one died.

        A letter's envelope may wait for the reply to the body before it, then it waits for its own.
        """
        return timedelta(seconds=3 * self.data_timeout_seconds)


_WAY = ("url", "user", "password", "token_command", "relays")  # where letters go, and who logs in there


class OwnSmtp(Smtp):
    """`[newsletters.NAME.smtp]`: what is otherwise for one newsletter. Judged as a whole once `over` has made one."""

    @model_validator(mode="after")
    def _one_way(self) -> OwnSmtp:
        return self

    def over(self, common: Smtp) -> OwnSmtp:
        """The whole: each value as it is given here, else as in `[smtp]`. Raises ValidationError.

        Who names a server of their own (`url` or `relays`) takes none, and no login, of the common ones: a password is
        never said to a server that it was not meant for.
        """
        own = {name: getattr(self, name) for name in self.model_fields_set}
        rest = {name: getattr(common, name) for name in Smtp.model_fields}
        if "url" in own or "relays" in own:
            rest = {name: value for name, value in rest.items() if name not in _WAY}
        elif common.url and own.keys() & set(_WAY):
            there = smtp_server(common.url.get_secret_value())
            rest["url"] = SecretStr(f"{there.scheme}://{there.place}")
            rest["user"] = there.user or common.user
            rest["password"] = SecretStr(there.password) if there.password else common.password
            if self.token_command:
                rest["password"] = None
            if self.password:
                rest["token_command"] = ""
        whole = Smtp(**(rest | own))
        return OwnSmtp.model_construct(**{name: getattr(whole, name) for name in Smtp.model_fields})
