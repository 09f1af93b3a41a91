"""A mailbox on an IMAP server: read by UID from where it was left; flagged and moved once it is stored.

What is flagged as seen when the mailbox is first read is left alone, as in a Maildir. From then on each mail
is read, whatever others flag. `mark` is `UIDVALIDITY UID DONE`: mails after DONE up to UID are stored, and perhaps
not flagged yet; those that are not are read again, and known.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import unquote

from digest.errors import NotFound, Unavailable, UserError
from digest.hear.imap_wire import MOST_LITERALS, WAITS, Lost, Refused, Said, Server, Wire, folder_name
from digest.hear.mime import MOST_BYTES
from digest.hear.sources import Incoming

_SOME = 50  # mails whose sizes are asked at a time
_SOME_BYTES = 2_000_000  # of mails that are fetched at a time
_SLACK = 1_000_000  # servers give sizes that are a little wrong
_WITHHELD = 20  # mails in a row that may be refused, before it is the mailbox that is
_FETCH = re.compile(r"\d+ FETCH \((.*)\)$", re.DOTALL)
_UID = re.compile(r"\bUID (\d{1,10})")
_SIZE = re.compile(r"RFC822\.SIZE (\d{1,20})")
_SHORT = re.compile(r'BODY\[\](?:<0>)? "((?:[^"\\]|\\.)*)"')
_MARK = re.compile(r"(\d{1,10}) (\d{1,10}) (\d{1,10})")
_KEYWORD = re.compile(r"[A-Za-z0-9$_.-]{1,60}")
_NUMBER = re.compile(r"[0-9]{1,10}")
_DIGITS = re.compile(r" (\d{1,10})(?= |$)")


@dataclass(frozen=True)
class Opened:
    """A mailbox that is selected."""

    validity: int
    mails: int
    read_only: bool


@dataclass
class Imap:
    """`move_to`: where what was understood goes, else it stays; `keyword`: what it is flagged with besides \\Seen."""

    server: Server
    move_to: str = ""
    keyword: str = ""
    name: str = ""
    _wire: Wire | None = None
    _opened: Opened | None = None
    _waiting: list[tuple[int, bool]] = field(default_factory=list)  # (UID, understood) of what is stored
    _upto: int = 0  # as far as all is stored, or at hand
    _done: int = 0  # as far as all is flagged
    _withheld: int = 0  # mails in a row that the server refused to give
    _stays: bool = False  # nothing can be moved
    _trouble: UserError | None = None  # told at the end: it keeps nothing from being read

    def __post_init__(self) -> None:
        url = self.server.url
        self.folder = unquote(url.rest.strip("/")) or "INBOX"
        self.name = self.name or f"{url.scheme}://{url.user + '@' if url.user else ''}{url.place}/{self.folder}"

    # ---------------------------------------------------------------- reading

    def mails(self, mark: str) -> Iterator[Incoming | None]:
        wire, opened = self._open()
        uids = self._unread(wire, opened, mark)
        for at in range(0, len(uids), _SOME):
            self._flush()
            sizes = self._sizes(wire, list(uids[at : at + _SOME]))
            for some in _groups(sizes):
                for uid, raw in self._fetched(wire, some, sizes):
                    self._flush()
                    yield Incoming(raw, handle=uid, mark=self._mark(opened, uid))
                yield None  # a server may take its time for each of them, or give none
            yield None
        self._flush()

    def _mark(self, opened: Opened, uid: int) -> str:
        self._upto = max(self._upto, uid)
        return f"{opened.validity} {self._upto} {min(self._done, self._upto)}"

    def _open(self, *, look: bool = False) -> tuple[Wire, Opened]:
        self._wire = wire = Wire(self.server)
        if self.move_to and not {"MOVE", "UIDPLUS"} & wire.capabilities and not look:
            raise Unavailable(
                f"{self.server.name} cannot move mails (neither MOVE nor UIDPLUS)",
                hint="take move_to out of [mail]: what was read is flagged as seen",
            )
        try:
            replies = wire.ask(f"{'EXAMINE' if look else 'SELECT'} {folder_name(self.folder)}")
        except Refused as error:
            raise NotFound(f"{error}", hint=f"is there a folder {self.folder}? [mail] source names it") from None
        validity = next((code for said in replies if (code := said.code("UIDVALIDITY"))), "")
        if not _NUMBER.fullmatch(validity):
            raise Lost(f"{self.server.name} does not number its mails (no UIDVALIDITY)", hint="use another server")
        exists = [int(said.text.split()[0]) for said in replies if re.fullmatch(r"\d{1,10} EXISTS", said.text)]
        read_only = replies[-1].code("READ-ONLY") is not None
        self._opened = Opened(int(validity), max(exists, default=0), read_only)
        return wire, self._opened

    def _unread(self, wire: Wire, opened: Opened, mark: str) -> array[int]:
        """UIDs in their order: those that may lack their flags, and the new ones."""
        match = _MARK.fullmatch(mark)
        if match is None or int(match[1]) != opened.validity:
            self._upto = self._done = 0
            return self._search(wire, opened, "UNSEEN", 0)
        upto, self._done = int(match[2]), int(match[3])
        self._upto = upto
        left: array[int] = array("Q")
        if self._done < upto and not opened.read_only:
            found = self._search(wire, opened, f"UID {self._done + 1}:{upto} UNSEEN", self._done)
            left = array("Q", (uid for uid in found if uid <= upto))
        # n:* is the last mail also where its number is lower.
        return left + self._search(wire, opened, f"UID {upto + 1}:*", upto)

    def _search(self, wire: Wire, opened: Opened, what: str, after: int) -> array[int]:
        """In their order, each once, and packed: of a hundred thousand mails, numbers are what is held of all."""
        found = array("Q")
        if not opened.mails:
            return found
        for said in self._ask(wire, f"UID SEARCH {what}"):
            if said.text[:6].upper() == "SEARCH":
                found.extend(uid for word in _DIGITS.finditer(said.text) if (uid := int(word[1])) > after)
        if any(one >= other for one, other in pairwise(found)):
            found = array("Q", sorted(set(found)))
        return found

    def _sizes(self, wire: Wire, uids: list[int]) -> dict[int, int]:
        """How much of each mail is fetched, by UID; one that is gone meanwhile is not there."""
        wanted, found = set(uids), dict[int, int]()
        for said in self._ask(wire, f"UID FETCH {_set(uids)} (UID RFC822.SIZE)"):
            body = _FETCH.match(said.text)
            uid, size = _number(_UID, body), _number(_SIZE, body)
            if uid in wanted and uid is not None:
                found[uid] = min(size or 0, MOST_BYTES + 1)
        return dict(sorted(found.items()))

    def _fetched(self, wire: Wire, uids: list[int], sizes: dict[int, int]) -> Iterator[tuple[int, bytes]]:
        """Each mail, cut beyond `MOST_BYTES`; held together, since we talk between them.

        One that a server refuses to give (it cannot read it any more, say) does not stand before the others.
        """
        try:
            found = self._bodies(wire, uids, sizes)
            self._withheld = 0
        except Refused as error:
            if len(uids) > 1:
                for uid in uids:
                    yield from self._fetched(wire, [uid], sizes)
                return
            self._withheld += 1
            if self._withheld > _WITHHELD:
                raise
            self._trouble = self._trouble or Unavailable(
                f"{error}; the mail with UID {uids[0]} was left out",
                hint="it is flagged: look at it with a mail program, and at what the server says of it",
            )
            self._waiting.append((uids[0], False))
            return
        yield from sorted(found)

    def _bodies(self, wire: Wire, uids: list[int], sizes: dict[int, int]) -> list[tuple[int, bytes]]:
        wanted, found = set(uids), list[tuple[int, bytes]]()
        # One of them may be larger than the server has said.
        most = 2 * sum(sizes[one] for one in uids) + MOST_BYTES + _SLACK
        for said in self._ask(wire, f"UID FETCH {_set(uids)} (UID BODY.PEEK[]<0.{MOST_BYTES + 1}>)", most=most):
            uid, raw = _number(_UID, _FETCH.match(said.text)), _body(said)
            if uid in wanted and uid is not None and raw is not None:
                wanted.discard(uid)
                found.append((uid, raw[: MOST_BYTES + 1]))
        return found

    def _ask(self, wire: Wire, command: str, *, most: int = MOST_LITERALS) -> list[Said]:
        """The replies; Lost where the server says meanwhile that its numbers mean other mails now."""
        replies = wire.ask(command, most=most)
        for said in replies:
            other = said.code("UIDVALIDITY") if said.text[:3].upper() == "OK " else None
            if other is not None and self._opened is not None and other != str(self._opened.validity):
                wire.broken = True
                raise Lost(f"{wire.server.name} has numbered its mails anew", hint=WAITS)
        return replies

    # ---------------------------------------------------------------- marking

    def done(self, mail: Incoming, *, understood: bool) -> None:
        assert isinstance(mail.handle, int)
        self._waiting.append((mail.handle, understood))

    def _flush(self) -> None:
        """Flag and move what is stored, and know how far that is."""
        if not self._waiting or self._wire is None or self._opened is None:
            return
        waiting, self._waiting = self._waiting, []
        understood = sorted(uid for uid, known in waiting if known)
        strange = sorted(uid for uid, known in waiting if not known)
        if not self._opened.read_only:
            self._flag(self._wire, understood, self._also)
            self._flag(self._wire, strange, " \\Flagged")
            if self.move_to:
                self._move(self._wire, understood)
        self._done = max(self._done, *understood, *strange) if waiting else self._done

    @property
    def _also(self) -> str:
        return f" {self.keyword}" if _KEYWORD.fullmatch(self.keyword) else ""

    def _flag(self, wire: Wire, uids: list[int], also: str) -> None:
        if not uids:
            return
        store = f"UID STORE {_set(uids)} +FLAGS.SILENT"
        try:
            self._ask(wire, f"{store} (\\Seen{also})")
        except Refused:
            if also:  # a server that has no keywords
                with suppress(Refused):
                    self._ask(wire, f"{store} (\\Seen)")

    def _move(self, wire: Wire, uids: list[int]) -> None:
        """RFC 6851; else by a copy, of which only ourselves are taken away (RFC 4315), else not at all.

        Where it cannot be, what was read stays and is flagged: it is told at the end, and not tried again until then.
        """
        if not uids or self._stays:
            return
        numbers, there = _set(uids), folder_name(self.move_to)
        copying = "MOVE" not in wire.capabilities
        try:
            self._into(wire, f"UID {'COPY' if copying else 'MOVE'} {numbers} {there}", there)
            if copying:
                self._ask(wire, f"UID STORE {numbers} +FLAGS.SILENT (\\Deleted)")
                self._ask(wire, f"UID EXPUNGE {numbers}")
        except Refused as error:
            self._stays = True
            full = "OVERQUOTA" in str(error).upper()
            hint = "make room there" if full else f"is {self.move_to} a folder? move_to in [mail] names it"
            self._trouble = self._trouble or NotFound(f"{error}; what was read stays, marked as seen", hint=hint)

    def _into(self, wire: Wire, command: str, there: str) -> None:
        """Have mails put into a folder, which is made where it is not there."""
        try:
            self._ask(wire, command)
        except Refused:
            try:
                self._ask(wire, f"CREATE {there}")
            except Refused:
                made = False
            else:
                made = True
            if not made:  # the first answer says more than that it is there
                raise
            self._ask(wire, command)

    # ---------------------------------------------------------------- the end, and a look

    def close(self) -> None:
        """What is stored and not flagged is flagged; UserError where it cannot be: then the next reader does it.

        Also for what kept nothing else from being read: a mail that was not given, a folder that takes nothing.
        """
        wire = self._wire
        if wire is None:
            return
        try:
            if not wire.broken:
                self._flush()
                with suppress(Lost):
                    wire.ask("LOGOUT")
                if self._trouble is not None:
                    raise self._trouble
        finally:
            self._wire, self._opened, self._waiting, self._trouble = None, None, [], None
            wire.close()

    def look(self, mark: str) -> str:
        """What is there, in a sentence; nothing is changed."""
        wire, opened = self._open(look=True)
        number = len(self._unread(wire, Opened(opened.validity, opened.mails, read_only=True), mark))
        plain = self.server.url.scheme == "imap" and self.server.url.is_here
        return (
            f"{opened.mails:,} mails, {number:,} of them to read, {'in clear, on this machine' if plain else 'by TLS'}"
            + self._moving(wire)
        )

    def _moving(self, wire: Wire) -> str:
        if not self.move_to:
            return ""
        if not {"MOVE", "UIDPLUS"} & wire.capabilities:
            return f"; nothing is read: the server cannot move mails to {self.move_to}"
        folders = wire.ask(f'LIST "" {folder_name(self.move_to)}')
        there = any(said.text.upper().startswith("LIST ") for said in folders)
        return f"; what is understood moves to {self.move_to}" + ("" if there else ", which will be made")


def _set(uids: list[int]) -> str:
    """Numbers as 1:3,7 — in their order."""
    found: list[list[int]] = []
    for uid in uids:
        if found and uid == found[-1][1] + 1:
            found[-1][1] = uid
        else:
            found.append([uid, uid])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in found)


def _groups(sizes: dict[int, int]) -> Iterator[list[int]]:
    """UIDs to fetch together: few enough to be held."""
    some, held = list[int](), 0
    for uid, size in sizes.items():
        if some and held + size > _SOME_BYTES:
            yield some
            some, held = [], 0
        some.append(uid)
        held += size
    if some:
        yield some


def _number(pattern: re.Pattern[str], body: re.Match[str] | None) -> int | None:
    match = pattern.search(body[1]) if body else None
    return int(match[1]) if match else None


def _body(said: Said) -> bytes | None:
    if said.literals:
        return said.literals[0]
    short = _SHORT.search(said.text)
    return re.sub(r"\\(.)", r"\1", short[1]).encode("utf-8", "replace") if short else None
