"""Reading CSV as people have it: encoding, separator, line ends and stray quotes found out, not asked for."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from typing import BinaryIO, NamedTuple

from digest.errors import BadInput
from digest.subscribe import charset
from digest.subscribe.charset import Charset
from digest.subscribe.rewriting import MOST_LINES, rewritten, unfinished, unwrapped

SEPARATORS = ",;\t|"
HEAD_BYTES = 65_536
EMAIL_TITLES = (
    *("email", "emailaddress", "mail", "mailaddress", "subscriberemail"),
    *("emailadresse", "mailadresse", "adresseemail", "adressemail", "courriel", "correo", "correoelectronico"),
    *("indirizzoemail", "enderecodeemail", "endereçodeemail", "adresemail", "epost", "epostadress"),
    *(
        "eposta",
        "epostaadresi",
        "почта",
        "электроннаяпочта",
        "邮箱",
        "电子邮件",
        "電子郵件",
        "メール",
        "メールアドレス",
    ),
    *("eメール", "이메일", "useremail", "primaryemail", "contactemail"),
)
_FOREIGN_TITLES = frozenset(title for title in EMAIL_TITLES if not title.isascii())
MAX_LINE = 100_000  # characters, of a line and of a record
BELOW = "it stands below"  # a reason to refuse a row that nothing in the row tells
REFUSED = ("line", "reason")  # the first titles of a file of refused rows
LEAD = 12  # lines that a report may put before its header
MAX_LINES = 200  # of a record: notes have several, a quote that nobody closed swallows the rest of the file

_UNSEEN = " \t\r\n\u00a0\u200b\u2060\ufeff"  # around a title
_SEP_LINE = re.compile(r'\s*"?sep=(.)"?[\s,;]*', re.IGNORECASE)  # Excel's own first line


class Record(NamedTuple):
    """One row: its cells, and the lines it stands on. `problem` is set where they cannot be trusted.

    `above` are the comments and headings that stand between it and the row before it, a line each.
    """

    line: int
    last_line: int
    cells: list[str]
    problem: str = ""
    above: str = ""


@dataclass(frozen=True)
class Sheet:
    """A file as it was found. `header` is empty where the first row is a subscriber already."""

    charset: Charset
    separator: str  # "" for a plain list of addresses
    header: list[str]
    first: list[str]  # the cells of the first row, header or not
    records: Iterator[Record]
    text: io.TextIOWrapper  # kept, for it closes the file when it goes
    lead: tuple[str, ...] = ()  # lines of a report, or comments, before it all


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(charset.MIXED, _as_windows_1252)


def read(stream: BinaryIO, *, name: str, found: Charset | None = None) -> Sheet:
    """Open a seekable CSV file; BadInput where it is none: empty, a spreadsheet, something else.

    The encoding is `found` (as it was said, or read before), or else found out: UTF-8 and UTF-16 by BOM or by their
    bytes, others by the words that come of it (`charset.guess`).
    """
    head = stream.read(HEAD_BYTES)
    if not head.strip(b"\0\xef\xbb\xbf\xff\xfe \t\r\n"):
        raise BadInput(f"{name} is empty", hint="a list has a heading line and a row for each subscriber")
    if what := _no_list(head):
        raise BadInput(f"{name} is {what[0]}, not CSV", hint=what[1])
    found = found or _charset(head, stream)
    stream.seek(0)
    text = io.TextIOWrapper(
        stream, found.codec, errors=charset.MIXED if found.codec == "utf-8-sig" else "replace", newline=""
    )
    lines = _Lines(text)
    separator, first, lead = _separator(lines)
    if all(_speaks_of_address(cell) for cell in first if cell.strip()) or _pasted_names(first, separator):
        return Sheet(found, "", [], first[:1], _plain_list(lines), text, lead)
    titled = not any(_like_address(cell.strip().strip("<>")) for cell in first)
    records = _records(lines, separator, titled=titled)
    if not titled:
        return Sheet(found, separator, [], first, records, text, lead)
    header = next(records, Record(1, 1, first)).cells
    below = next(records, None)
    if below is None and any(map(_speaks_of_address, header)):
        # Its lines end as those of no CSV do (U+2028, a vertical tab), or it has but one.
        raise BadInput(
            f"{name} has addresses in its line of titles, and no row below", hint="end each row with a line feed"
        )
    records = chain([below] if below else (), records)
    return Sheet(found, separator, [cell.strip(_UNSEEN) for cell in header], first, records, text, lead)


_OPENED = "open it and save it as CSV (UTF-8)"
_KINDS: tuple[tuple[tuple[bytes, ...], tuple[str, str]], ...] = (
    ((b"PK\x03\x04", b"\xd0\xcf\x11\xe0"), ("a spreadsheet, or an archive", _OPENED)),
    (
        (b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"7z\xbc\xaf", b"Rar!", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"),
        ("an archive", "unpack it, and take the list that is in it"),
    ),
    ((b"%PDF",), ("a PDF", "ask for the list as CSV; what a PDF shows cannot be told apart")),
    ((b"SQLite format 3\0",), ("a database", "export its table as CSV")),
)
_TEXTS = (
    (re.compile(rb"BEGIN:VCARD\b", re.IGNORECASE), "an address book (vCard)"),
    (re.compile(rb"(?:version: ?1\s+)?dn::? ?\S", re.IGNORECASE), "an address book (LDIF)"),
    (
        re.compile(
            rb"(?:from|received|return-path|delivered-to|mime-version): [^\n]{1,200}\n[\w-]{2,40}: ", re.IGNORECASE
        ),
        "a mail",
    ),
    (re.compile(rb"date \d{1,12}\r?\n(?:\w{1,20} [^\n]{0,60}\n){0,4}?email \S"), "a dump of Sympa's"),
)
_MARKUP = re.compile(rb"<(?:!doctype|html|head|body|table|\?xml)[\s>]", re.IGNORECASE)
_JSON = re.compile(rb"(?:\[\s*)?\{\s*\"")


def _no_list(head: bytes) -> tuple[str, str] | None:
    """What a file is that is none of ours, by its first bytes, and what to do about it."""
    for begins, what in _KINDS:
        if head.startswith(begins):
            return what
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if _MARKUP.match(text):
        return "a page (HTML or XML)", "it may be what a service shows in place of a list: open it in a browser"
    for begins_text, called in _TEXTS:
        if begins_text.match(text):
            return called, "export the list as CSV"
    return ("JSON", "export the list as CSV") if _JSON.match(text) else None


def _charset(head: bytes, stream: BinaryIO) -> Charset:
    """The encoding. Reads the whole stream where it must be sure of UTF-8."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return Charset("UTF-32", "utf-32")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Charset("UTF-16", "utf-16")
    if head.count(0, 1) and head[1::2].count(0) > len(head) // 4:
        return Charset("UTF-16", "utf-16-le")
    if head[0::2].count(0) > len(head) // 4:
        return Charset("UTF-16", "utf-16-be")
    decoder = codecs.getincrementaldecoder("utf-8")()
    stream.seek(0)
    try:
        while chunk := stream.read(1 << 20):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        stream.seek(0)
        return charset.guess(iter(lambda: stream.readline(MAX_LINE), b""), _FOREIGN_TITLES)
    return Charset("UTF-8", "utf-8-sig")


class _TooLong(Exception):
    """A line, or a record, that goes on and on."""


class _Lines:
    """The lines of a text, counted; those taken for the record under way can be given back but for the first."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._back: deque[str] = deque()
        self.taken: list[str] = []
        self.number = 0  # of the line read last
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else self._text.readline(MAX_LINE)
        if line[-1:] in "\x1a\0":  # nothing more, or no end of line: DOS ends a file so
            line = line.rstrip("\x1a\0")
            if not line:
                self.ended = True
                raise StopIteration
        self.number += 1
        taken = self.taken
        taken.append(line)
        if len(line) == MAX_LINE and line[-1] not in "\r\n":
            while (more := self._text.readline(MAX_LINE)) and more[-1] not in "\r\n":
                pass
            raise _TooLong
        if len(taken) > 1 and (sum(map(len, taken)) > MAX_LINE or len(taken) > MAX_LINES):
            raise _TooLong
        return line

    def begin(self) -> None:
        """Begin a record."""
        self.taken.clear()

    def give_back(self, keep: int) -> None:
        """Read again, later, all that was taken but for the first `keep` lines."""
        again = self.taken[keep:]
        self._back.extendleft(reversed(again))
        self.number -= len(again)
        self.ended = self.ended and not again
        del self.taken[keep:]


def _separator(lines: _Lines) -> tuple[str, list[str], tuple[str, ...]]:
    """The separator, the cells of the first row, which stays to be read, and the lines before it."""
    lines.begin()
    try:
        first = next((line for line in lines if line.strip()), "")
        told = _SEP_LINE.fullmatch(first)
        separators = told[1] if told else SEPARATORS
        if told:
            lines.begin()
            first = next((line for line in lines if line.strip()), "")
    except _TooLong:
        raise BadInput("the first line is too long for a CSV file", hint="save the list as CSV (UTF-8)") from None
    lines.give_back(len(lines.taken) - 1)
    best, cells = _cut(first, separators)
    if any(_known(cell) for cell in cells):
        return best, cells, ()
    return _behind_lead(lines, first, separators) or (best, cells, ())


def _cut(line: str, separators: str) -> tuple[str, list[str]]:
    """The separator of a line, and its cells."""
    ways = {separator: next(csv.reader([line], delimiter=separator), []) for separator in separators}
    best = max(ways, key=lambda s: (any(_known(cell) for cell in ways[s]), len(ways[s])))
    for separator in SEPARATORS:
        inner = unwrapped(ways[best], separator)
        if inner and any(_known(cell) for cell in inner) and not any(_known(cell) for cell in ways[best]):
            return separator, inner
    return best, ways[best]


def _behind_lead(lines: _Lines, first: str, separators: str) -> tuple[str, list[str], tuple[str, ...]] | None:
    """The same of the header where lines of a report or comments stand before it, which are left out; else None."""
    lines.begin()
    lead: list[str] = []
    try:
        for line in islice(lines, LEAD):
            best, cells = _cut(line, separators)
            said = [cell for cell in cells if cell.strip()]
            header = any(bare(cell) in EMAIL_TITLES for cell in cells) and not (len(said) < 2 and "@" in "".join(lead))
            if header or (_remark(first) and not _remark(line) and _has_address(cells)):
                lines.give_back(len(lines.taken) - 1)
                return best, cells, tuple(lead)
            # "Members for news@example.org" is the title of a report.
            address = "@" in line and (len(said) > 1 or "<" in line or _known(said[0]))
            if not _remark(line) and (address or len(said) > 2):
                break
            lead.append(line.strip())
    except _TooLong:
        pass
    lines.give_back(0)
    return None


def _remark(line: str) -> bool:
    """Whether a line is a comment; the title of a column of numbers is "#" as well."""
    return line.startswith("#") and line[1:2] not in (*SEPARATORS, '"')


def _pasted_names(first: list[str], separator: str) -> bool:
    """Whether a first row is `Last, First <address>`, or several such, as mail programs copy them."""
    mailboxes = len(_BRACKETED.findall(separator.join(first)))
    return mailboxes > 1 or (mailboxes == 1 and separator == "," and len(first) == 2 and "<" in first[1])


_BRACKETED = re.compile(r"<[^<>\s@]{1,64}@[^<>\s@]{1,255}>")


def _has_address(cells: list[str]) -> bool:
    """Whether one of them is an address, or all speak of one."""
    said = [cell for cell in cells if cell.strip()]
    return any(map(_known, said)) or (bool(said) and all(map(_speaks_of_address, said)))


def _known(cell: str) -> bool:
    """That a cell of the first row, cut out by the right separator, says e-mail or is an address."""
    return bare(cell) in EMAIL_TITLES or _like_address(cell.strip())


def _like_address(word: str) -> bool:
    """Something, one @, and something with a dot in it."""
    local, at, domain = word.partition("@")
    return bool(local and at) and "@" not in domain and "." in domain[1:-1] and word.split() == [word]


def _speaks_of_address(cell: str) -> bool:
    """Whether what looks like an address stands anywhere in a cell."""
    for word in cell.split():
        parts = word.split("@")
        if any(local and "." in domain[1:-1] for local, domain in pairwise(parts)):
            return True
    return False


_HINT = re.compile(r"[\[(](?:required|optional|read only|pflichtfeld|obligatoire|obligatorio)[\])]", re.IGNORECASE)


def without_hint(title: str) -> str:
    """A title without what a form says to who fills it in: "Email Address [Required]"."""
    return _HINT.sub("", title) if "[" in title or "(" in title else title


def bare(title: str) -> str:
    """A column's title in small letters, without anything but letters and digits."""
    return re.sub(r"[\W_]+", "", without_hint(title).lower())


def _records(lines: _Lines, separator: str, *, titled: bool) -> Iterator[Record]:
    """The rows, blank ones left out. A quote that is never closed costs its own line and no other.

    Where the first one is a header (`titled`) it is given once, though it may stand there again. Below another header
    nobody is taken: what their cells say the first one does not tell.
    """
    reader = csv.reader(lines, delimiter=separator)
    taken = lines.taken
    header: list[str] = []
    other = 0  # the line of a header of other columns
    above = ""
    while True:
        taken.clear()
        start = lines.number + 1
        problem, cells = "", [""]
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (_TooLong, csv.Error):
            problem = _UNCLOSED if len(taken) > 1 else "the line is too long"
        else:
            if lines.ended:  # in the middle of a record
                problem = _UNCLOSED
        line = taken[0]
        if '"' in line or problem or len(taken) > 1:
            cells, problem = _quoted(lines, cells, problem, separator, header if header or not titled else None)
        if any(cells):
            if cells == header or (cells[0][:1] == "\ufeff" and _behind_mark(cells) == header):
                other = 0
                continue  # as where files were put one behind the other
            if titled:
                header, titled = cells, False
            elif "@" not in line and header and _other_header(cells, header):
                other = start
            if other and not problem:
                problem = f"{BELOW} line {other}, a header of other columns: import that list by itself"
            yield Record(start, lines.number, cells, problem, above)
            above = "" if "@" in line or any(cells[1:]) else cells[0].strip()


def _quoted(
    lines: _Lines, cells: list[str], problem: str, separator: str, header: list[str] | None
) -> tuple[list[str], str]:
    """The cells of a row with quotes, and what is wrong with it; it may have been written another way than CSV.

    `header` is None for the header itself, and empty where there is none.
    """
    line, width = lines.taken[0], len(header or ())
    if f'{separator} "' in line or any('\\"' in one for one in lines.taken):
        if again := _rewritten(lines, separator, width):
            cells, problem = again, ""
    elif line[:1] == '"' and not problem and len(cells) != width:
        inner = unwrapped(cells, separator)
        if any(map(_known, inner)) and (header is None or len(inner) == width):
            cells = inner
    if problem:
        lines.give_back(1)
        lines.ended = False
        return [line.rstrip("\r\n")], problem
    if len(lines.taken) > 1 and any("@" in rest for cell in cells for rest in _LINE_ENDS.split(cell)[1:]):
        # A quote too many makes cells of other people's rows: nobody is to vanish in a name.
        return cells, "a cell runs over several lines and holds an address: is a quote missing?"
    if any('="' in one for one in lines.taken):
        cells = [_as_shown(cell) for cell in cells]
    return cells, ""


def _rewritten(lines: _Lines, separator: str, width: int) -> list[str]:
    """The cells of the row under way by other rules than CSV's, its lines taken; empty where those are right."""
    count = len(lines.taken)
    while not (found := rewritten(lines.taken, separator, width)):
        if len(lines.taken) >= MOST_LINES or not unfinished(lines.taken, separator):
            break
        try:
            next(lines)
        except (StopIteration, _TooLong):
            break
    lines.give_back(found[1] if found else count)
    lines.ended = lines.ended and not found
    return found[0] if found else []


def _other_header(cells: list[str], header: list[str]) -> bool:
    """Whether a row without an address is a header: it says e-mail where addresses stand, or more of the titles."""
    told, titles = [bare(cell) for cell in cells], [bare(cell) for cell in header]
    if "@" in "".join(cells) or not any(title in EMAIL_TITLES for title in told):
        return False
    if " ".join(told).rstrip() == " ".join(titles).rstrip():  # the same, in other letters
        return False
    there = any(one in EMAIL_TITLES and title in EMAIL_TITLES for one, title in zip(told, titles, strict=False))
    return there or len({*told} & {*titles}) > 1


def _as_shown(cell: str) -> str:
    """What a spreadsheet shows of a cell: ="0123" is how programs have it keep the zero."""
    inner = cell.strip()
    return inner[2:-1].replace('""', '"') if len(inner) > 2 and inner.startswith('="') and inner[-1] == '"' else cell


def _behind_mark(cells: list[str]) -> list[str]:
    """A row behind the mark of byte order with which the second of two files began."""
    return [cells[0][1:].strip('"'), *cells[1:]]


_UNCLOSED = "a quote is opened and not closed"
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


def _plain_list(lines: _Lines) -> Iterator[Record]:
    """Addresses as people paste them: some in a line, `Name <address>`, `"Last, First" <address>`, comments after #."""
    above: list[str] = []
    while True:
        lines.begin()
        try:
            line = next(lines)
        except StopIteration:
            return
        except _TooLong:
            yield Record(lines.number, lines.number, [lines.taken[0][:80]], "the line is too long", "\n".join(above))
            above.clear()
            continue
        if line.lstrip().startswith("#"):
            above.append(line.strip())
            continue
        text = line.strip()
        bullet = _BULLET.match(text)
        for cell in _pasted(text[bullet.end() :] if bullet else text):
            yield Record(lines.number, lines.number, [cell], "", "\n".join(above))
            above.clear()
        if "@" not in text and text:
            above.append(text)


def _pasted(text: str) -> list[str]:
    """The people of a line: some addresses, or one with a name, or a note, beside it."""
    # A name may have a comma in it.
    apart = [part.strip() for part in text.split(";") if part.strip()]
    if len(apart) > 1 and all("<" in part and part.count("@") == 1 for part in apart):
        return apart
    parts = [part.strip() for part in re.findall(r'(?:"[^"]*"\s*<[^<>]*>|[^,;\t])+', text)]
    parts = [part for part in parts if part]
    if len(parts) > 1 and sum("@" in part for part in parts) == 1:
        return [text.strip(",;") if "<" in text else " ".join(parts)]
    found: list[str] = []
    for part in parts:
        words = part.split()
        found += words if len(words) > 1 and all(map(_like_address, words)) else [part]
    return found


_BULLET = re.compile(r"(?:[-*•‣◦·–—]|\d{1,4}[.)])[ \t]+(?=\S)")
