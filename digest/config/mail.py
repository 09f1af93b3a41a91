"""`[mail]`: what comes back, where it is read, and the services that tell of it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from digest.config.section import Section, unsaid
from digest.config.smtp import check_logins
from digest.config.value_types import (
    FilePath,
    Line,
    Secret,
    ServerUrl,
    imap_server,
)


class MailWebhooks(Section):
    """Services that tell `digest serve` what came back. Each is heard only where its setting is there."""

    ses_topics: tuple[Line, ...] = ()  # ARNs of SNS topics
    sendgrid_key: Line = ""  # the public key of the signed Event Webhook
    postmark_secret: Secret | None = None  # a password of ours: Postmark signs nothing
    mailgun_key: Secret | None = None  # the HTTP webhook signing key

    @field_validator("ses_topics")
    @classmethod
    def _topics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}", one):
                raise ValueError("must be ARNs of SNS topics, as in arn:aws:sns:eu-west-1:123456789012:bounces")
        return value

    @field_validator("sendgrid_key")
    @classmethod
    def _public_key(cls, value: str) -> str:
        words = re.sub(r"-----(BEGIN|END) PUBLIC KEY-----|\s", "", value)
        if value and not re.fullmatch(r"[A-Za-z0-9+/]{80,200}={0,2}", words):
            raise ValueError("must be the verification key that SendGrid shows, a line of base64")
        return words

    @field_validator("postmark_secret", "mailgun_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and 0 < len(value.get_secret_value()) < 16:
            raise ValueError("must have at least 16 characters")
        return value if value is not None and value.get_secret_value() else None

    @property
    def any(self) -> bool:
        return bool(self.ses_topics or self.sendgrid_key or self.postmark_secret or self.mailgun_key)


class Mail(Section):
    """What comes back: bounces, complaints, answers."""

    source: Line = Field("", repr=False)  # where `digest run` reads it: a Maildir, an mbox, or imaps://user@host/INBOX
    user: Line = ""  # who logs in there, where `source` does not say it
    password: Secret | None = None
    auth: Literal["", "plain", "login", "xoauth2"] = ""
    token_command: Line = ""  # prints what stands for the password, as that of a relay
    ca_file: FilePath | None = None
    move_to: Line = ""  # the folder of an IMAP server for what was understood; else it stays
    keyword: str = Field("", pattern=r"^[A-Za-z0-9$_.-]{0,60}$")  # what it is flagged with there besides as seen
    address: Line = ""  # one mailbox for all that comes back, which takes what stands behind a plus too
    forward_to: Line = ""  # who is told of what people write; else it waits in `digest mail asks`
    keep_days: int = Field(30, ge=1, le=3650)  # the mails themselves
    per_run: int = Field(2000, ge=1, le=1_000_000)  # mails that `digest run` reads, at most
    seconds: float = Field(60, gt=0, le=3600)  # and for how long
    webhooks: MailWebhooks = unsaid()

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z0-9._-]{1,25}@[A-Za-z0-9.-]{1,255}", value):
            raise ValueError(
                "must be a plain address without a name and a plus, with at most 25 letters before its @, as in "
                "bounces@news.example"
            )
        return value

    @field_validator("forward_to")
    @classmethod
    def _plain(cls, value: str) -> str:
        if value and not re.fullmatch(r"[^\s@<>,;:\"()]{1,64}@[A-Za-z0-9.-]{1,255}", value):
            raise ValueError("must be a plain address without a name, as in editor@news.example")
        return value

    @model_validator(mode="after")
    def _no_circle(self) -> Mail:
        local, _, domain = self.forward_to.lower().partition("@")
        if self.address and f"{local.partition('+')[0]}@{domain}" == self.address.lower():
            raise ValueError("has its own address as forward_to: what people write would come round")
        return self

    @model_validator(mode="after")
    def _login(self) -> Mail:
        secret = self.password.get_secret_value() if self.password else ""
        if "://" not in self.source:
            given = {"user": self.user, "password": secret, "token_command": self.token_command, "auth": self.auth}
            if names := [name for name, value in given.items() if value]:
                raise ValueError(f"has a {names[0]} and no IMAP server as source to use it for")
            if self.move_to or self.keyword:
                raise ValueError("has move_to or keyword, which only a mailbox on an IMAP server knows")
            return self
        there = imap_server(self.source)
        check_logins(there, self.user, secret, self.token_command, named="source")
        return self

    @property
    def server(self) -> ServerUrl:
        """Where an IMAP server is, and who logs in there, wherever that was said."""
        found = imap_server(self.source)
        password = self.password.get_secret_value() if self.password else ""
        return replace(found, user=found.user or self.user, password=found.password or password)

    @property
    def comes_back(self) -> bool:
        """Does somebody read what is written to the addresses in our letters?"""
        return bool(self.source or self.address)
