"""One conversation with the mail server (RFC 5321), on the standard library's client."""

from __future__ import annotations

import re
import smtplib
import ssl
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import unquote, urlsplit

from digest.config import Smtp
from digest.errors import Deferred, Refused, RelayDown
from digest.letter import Letter

_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b\s*")
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


@dataclass(frozen=True)
class Reply:
    """A server's answer: code, enhanced status (RFC 3463) or "", and the words."""

    code: int
    status: str
    text: str

    @classmethod
    def read(cls, answer: tuple[int, bytes]) -> Reply:
        code, raw = answer
        lines = [line.strip() for line in raw.decode("utf-8", "replace").splitlines()]
        match = _ENHANCED.match(lines[0]) if lines else None
        if match:
            lines = [_ENHANCED.sub("", line) for line in lines]
        return cls(code, match[1] if match else "", " ".join(lines).strip())


class Relay:
    """The server of `smtp.url`. Each failure is one of Refused, Deferred and RelayDown."""

    def __init__(self, settings: Smtp) -> None:
        assert settings.url is not None
        url = urlsplit(settings.url.get_secret_value())
        self.scheme = url.scheme
        self.host = url.hostname or ""
        self.port = url.port or _PORTS[url.scheme]
        self.user = unquote(url.username or "")
        self._password = unquote(url.password or "")
        self._settings = settings
        self._server: smtplib.SMTP | None = None

    @property
    def name(self) -> str:
        """For people: where, without who."""
        return f"{self.host}:{self.port}"

    def __enter__(self) -> Relay:
        self._connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        try:
            server.quit()
        except (smtplib.SMTPException, OSError):
            server.close()

    def send(self, letter: Letter) -> Reply:
        """Hand over one letter; returns the server's acceptance.

        A connection that was lost before DATA is made anew once. One that is lost after the body went out
        raises Deferred with `in_doubt`: the server may have taken the letter (RFC 5321 §4.5.4.1, RFC 1047).
        """
        for last in (self._server is None, True):
            try:
                return self._transaction(letter)
            except _Lost as lost:
                if last:
                    raise Deferred(421, f"the connection was lost: {lost}", status="4.4.2") from None
        raise AssertionError("the second try is the last")

    def _transaction(self, letter: Letter) -> Reply:
        server = self._server or self._connect()
        options = []
        if letter.smtputf8:
            if not server.has_extn("smtputf8"):
                raise Refused(
                    553,
                    "the mail server cannot send to an address like this one (no SMTPUTF8)",
                    status="5.6.7",
                    at="MAIL",
                )
            options.append("SMTPUTF8")
        if server.has_extn("size"):
            options.append(f"SIZE={len(letter.content)}")
        if server.has_extn("8bitmime"):
            options.append("BODY=8BITMIME")
        server.command_encoding = "utf-8" if letter.smtputf8 else "ascii"
        try:
            self._expect(server, "MAIL", f"FROM:<{letter.mail_from}> {' '.join(options)}".rstrip(), 250)
            self._expect(server, "RCPT", f"TO:<{letter.rcpt_to}>", 250, 251, 252)
            self._expect(server, "DATA", "", 354)
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            self._drop()
            raise _Lost(str(error) or type(error).__name__) from None
        try:
            server.send(_stuffed(letter.content))
            reply = Reply.read(server.getreply())
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            self._drop()
            raise Deferred(
                421, f"no reply to the end of the data: {error}", status="4.4.2", at="DATA", in_doubt=True
            ) from None
        if reply.code == 250:
            return reply
        if reply.code == 421:
            self._drop()
        raise self._refusal(reply, "DATA")

    def _expect(self, server: smtplib.SMTP, command: str, argument: str, *codes: int) -> None:
        reply = Reply.read(server.docmd(command, argument))
        if reply.code in codes:
            return
        if reply.code == 421:  # the server closes, for reasons of its own (RFC 5321 §3.8): not this letter's fault
            self._drop()
            raise _Lost(f"421 {reply.text}")
        server.docmd("RSET")
        raise self._refusal(reply, command)

    def _refusal(self, reply: Reply, command: str) -> Refused | Deferred | RelayDown:
        # The sender or our right to send is at fault, and so would be every other letter.
        if reply.code in (530, 535) or (command == "MAIL" and 500 <= reply.code < 600 and reply.code != 552):
            return RelayDown(f"{self.name} refuses the sender: {reply.code} {reply.status} {reply.text}")
        if 500 <= reply.code < 600:
            return Refused(reply.code, reply.text, status=reply.status, at=command)
        return Deferred(reply.code, reply.text, status=reply.status, at=command)

    def _connect(self) -> smtplib.SMTP:
        """Connect, secure, log in. RelayDown says which of them failed; a password is never in it."""
        context = ssl.create_default_context(cafile=self._settings.ca_file)
        timeout = self._settings.timeout_seconds
        server: smtplib.SMTP
        try:
            if self.scheme == "smtps":
                server = smtplib.SMTP_SSL(self.host, self.port, timeout=timeout, context=context)
            else:
                server = smtplib.SMTP(self.host, self.port, timeout=timeout)
                if self.scheme == "smtp+starttls":
                    server.starttls(context=context)
            server.ehlo_or_helo_if_needed()
            if self.user:
                server.login(self.user, self._password)
        except ssl.SSLCertVerificationError as error:
            raise RelayDown(f"the certificate of {self.name} is not trusted: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise RelayDown(f"no TLS with {self.name}: {error.reason or error}") from None
        except smtplib.SMTPNotSupportedError as error:
            raise RelayDown(f"{self.name} cannot do what the settings ask: {error}") from None
        except smtplib.SMTPAuthenticationError as error:
            raise RelayDown(f"{self.name} refuses the login of {self.user}: {error.smtp_code}") from None
        except smtplib.SMTPException as error:
            raise RelayDown(f"{self.name} does not speak SMTP with us: {error}") from None
        except OSError as error:
            raise RelayDown(f"no connection to {self.name}: {error.strerror or error}") from None
        self._server = server
        return server

    def _drop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


class _Lost(Exception):
    """The connection ended before the letter's body was on its way."""


def _stuffed(content: bytes) -> bytes:
    """The body as it goes over the wire: dots doubled at the line's start, the end marked (RFC 5321 §4.5.2)."""
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
