"""Where letters go while no mail server is set: `.eml` files in a Maildir, readable by any mail program."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType

from digest.deliver.smtp import Reply
from digest.errors import RelayDown
from digest.letter import Letter


class Maildir:
    """A relay that keeps. A letter written twice is one file: its name comes from its content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = str(folder)

    def __enter__(self) -> Maildir:
        try:
            for name in ("tmp", "new", "cur"):
                (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise RelayDown(f"cannot write to the Maildir {self.folder}: {error.strerror}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def send(self, letter: Letter) -> Reply:
        envelope = f"Return-Path: <{letter.mail_from}>\r\nDelivered-To: {letter.rcpt_to}\r\n".encode()
        name = hashlib.sha256(envelope + letter.content).hexdigest()[:32] + ".eml"
        try:
            with (self.folder / "tmp" / name).open("wb") as file:
                file.write(envelope + letter.content)
                file.flush()
                os.fsync(file.fileno())
            (self.folder / "tmp" / name).replace(self.folder / "new" / name)
        except OSError as error:
            raise RelayDown(f"cannot write to the Maildir {self.folder}: {error.strerror}") from None
        return Reply(250, "2.0.0", f"kept as {name}")
