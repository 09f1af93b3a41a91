"""Past issues, as other services export them: Substack's and Mailchimp's ZIP, Ghost's JSON, Buttondown's emails. Pure.

Where the forms come from: Substack's `posts.csv` and `posts/ID.SLUG.html`, Ghost's `db[0].data.posts` and Buttondown's
front matter and API are those of programs that read or write them; of Mailchimp's ZIP it is known that campaigns lie in
it as HTML, and what its reports call their columns.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath
from typing import Any

from digest.dataclass import dataclass
from digest.errors import BadInput
from digest.parse.archives import unpacked
from digest.parse.leaving import MAX_FILE
from digest.parse.text import MAX_HTML, clean_html, escape, plain

TOOLS = ("substack", "ghost", "buttondown", "mailchimp")
MAX_ISSUES = 5_000

_LIST = re.compile(r"(?i)(email_list|subscribers?|(un|non)?subscribed|cleaned|members)\b.*\.csv")
_MERGE = re.compile(r"\*\|[A-Za-z0-9:_ ]{1,80}\|\*|\{\{[^{}]{0,200}\}\}|\{%[^{}%]{0,200}%\}")
_BODY = re.compile(r"(?is)<body\b[^>]*>(.*?)(?:</body>|\Z)")
_TITLE = re.compile(r"(?i)<title\b[^>]{0,200}>([^<]{1,2000})")
_BLOCK = re.compile(r"(?i)</(?:p|h[1-6]|li|div|tr|blockquote|pre)>|<br\s*/?>")
_SENT = {"true", "yes", "1", "sent", "published", "imported", "archived"}


@dataclass(frozen=True)
class Issue:
    """One of them, cleaned: it can do nothing, and names nobody."""

    title: str
    at: datetime
    html: str
    text: str


@dataclass
class Past:
    """Past issues, the first first; lists of readers that lay among them, by name; `notes` tell what is not taken."""

    issues: list[Issue] = field(default_factory=list)
    lists: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Raw:
    title: str
    at: str
    markup: str
    sent: str = "true"  # the service's word for it
    audience: str = ""
    is_: str = ""  # of what kind


def is_archive(tool: str, content: bytes) -> bool:
    """Whether a file is an export of issues, or holds one, and no list of readers."""
    head = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:4_000]
    if head.startswith((b"PK\x03\x04", b"{", b"[", b"---", b"<")):
        return tool in TOOLS
    first = head.split(b"\n", 1)[0].lower()
    return b"email_address" not in first and (b"post_id" in first or (b"subject" in first and b"body" in first))


def read(tool: str, files: Mapping[str, bytes], *, now: datetime) -> Past:
    """The issues among files of a service. Raises BadInput where one is not what it should be."""
    found, past = dict[str, bytes](), Past()
    for name, content in unpacked(files, _matters, members=2 * MAX_ISSUES, size=MAX_FILE):
        if _LIST.fullmatch(PurePosixPath(name.rpartition(": ")[2]).name):
            past.lists[PurePosixPath(name.rpartition(": ")[2]).name] = content
        else:
            found[name] = content
    kept = Keeping(past, now)
    for one in _READERS[tool](found):
        kept.take(one)
    past.issues.sort(key=lambda issue: issue.at)
    kept.told()
    return past


class Keeping:
    """Which of the issues are taken, and how many are not, by why."""

    def __init__(self, past: Past, now: datetime) -> None:
        self._past, self._now = past, now
        self._left: dict[str, int] = {}
        self._known: set[tuple[str, datetime]] = set()

    def take(self, raw: _Raw) -> None:
        title = plain(raw.title, markup=True, limit=300)
        at = _moment(raw.at)
        if raw.sent.lower() not in _SENT:
            self._leave("not sent")
        elif raw.audience and raw.audience.lower() not in ("everyone", "public", "all"):
            self._leave("not for everybody")
        elif raw.is_ and raw.is_.lower() in ("page", "thread", "podcast", "private", "premium"):
            self._leave("no issue")
        elif at is None or at.year < 1980 or at > self._now:
            self._leave("without a date that was")
        elif (title, at) not in self._known:
            html = clean_html(_MERGE.sub("", _body(raw.markup))[:MAX_HTML], base="")
            if not html:
                self._leave("empty")
                return
            if len(self._past.issues) >= MAX_ISSUES:
                raise BadInput(f"there are more than {MAX_ISSUES:,} issues")
            self._known.add((title, at))
            self._past.issues.append(Issue(title or "—", at, html, as_text(html)))

    def _leave(self, why: str) -> None:
        self._left[why] = self._left.get(why, 0) + 1

    def told(self) -> None:
        self._past.notes += [f"{number} past issues: {why}" for why, number in self._left.items()]


def as_text(html: str) -> str:
    """Clean HTML as text, a block a line."""
    lines = (plain(line, markup=True, limit=10_000) for line in _BLOCK.sub("\n", html).split("\n"))
    return "\n\n".join(line for line in lines if line)


def _body(markup: str) -> str:
    found = _BODY.search(markup)
    return found[1] if found else markup


def _moment(text: str) -> datetime | None:
    """A date as these services write it; without a zone it is UTC."""
    text = text.strip()[:80]
    for form in (datetime.fromisoformat, _written, parsedate_to_datetime):
        try:
            at = form(text)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def _written(text: str) -> datetime:
    """As in Mailchimp's reports: Nov 20, 2026 07:00 am."""
    for form in ("%b %d, %Y %I:%M %p", "%b %d, %Y", "%m/%d/%Y %H:%M", "%Y-%m-%d %H:%M:%S"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ValueError(text)


# ---------------------------------------------------------------- each service


def _substack(files: Mapping[str, bytes]) -> Iterator[_Raw]:
    pages = {PurePosixPath(name).stem: content for name, content in files.items() if name.lower().endswith(".html")}
    listed = [row for name, content in files.items() if name.lower().endswith(".csv") for row in _rows(name, content)]
    if not listed and pages:
        raise BadInput("there is no posts.csv beside the posts", hint="give the whole ZIP that Substack exports")
    by_number = {stem.partition(".")[0]: content for stem, content in pages.items()}
    for row in listed:
        name = row.get("post_id", "")
        content = pages.get(name) or by_number.get(name.partition(".")[0])
        if content is None:
            continue  # a draft without a word, or a recording
        title = row.get("title", "")
        subtitle = f"<p><em>{plain(row['subtitle'])}</em></p>" if row.get("subtitle") else ""
        yield _Raw(
            title,
            row.get("email_sent_at") or row.get("post_date") or "",
            subtitle + _text(name, content),
            row.get("is_published") or "",
            row.get("audience") or "",
            row.get("type") or "",
        )


def _ghost(files: Mapping[str, bytes]) -> Iterator[_Raw]:
    for name, content in files.items():
        if not _is_json(name, content):
            continue
        data = _json(name, content)
        try:
            posts = data["db"][0]["data"]["posts"] if "db" in data else data["posts"]
            rows = [post for post in posts if isinstance(post, dict)]
        except (KeyError, IndexError, TypeError):
            raise BadInput(f"{name} is no export of Ghost: there is no list of posts in it") from None
        for post in rows:
            is_ = str(post.get("type") or ("page" if post.get("page") in (1, True) else "post"))
            markup = str(post.get("html") or "") or f"<p>{escape(str(post.get('plaintext') or ''))}</p>"
            at = str(post.get("published_at") or "")
            yield _Raw(
                str(post.get("title") or ""),
                at,
                markup,
                str(post.get("status") or ""),
                str(post.get("visibility") or ""),
                is_,
            )


def _buttondown(files: Mapping[str, bytes]) -> Iterator[_Raw]:
    for name, content in files.items():
        end = name.lower().rpartition(".")[2]
        if _is_json(name, content):
            data = _json(name, content)
            rows = data.get("results") or data.get("emails") if isinstance(data, dict) else data
            if not isinstance(rows, list):
                raise BadInput(f"{name} is no export of Buttondown: there is no list of emails in it")
            yield from (_email({k: str(v or "") for k, v in row.items()}) for row in rows if isinstance(row, dict))
        elif end == "csv":
            yield from map(_email, _rows(name, content))
        elif end in ("md", "markdown"):
            head, body = _front_matter(_text(name, content))
            yield _email(head | {"body": body})


def _email(row: Mapping[str, str]) -> _Raw:
    return _Raw(
        row.get("subject") or row.get("title") or "",
        row.get("publish_date") or row.get("date") or row.get("creation_date") or "",
        _marked(row.get("body") or row.get("content") or ""),
        row.get("status") or "sent",
        is_=row.get("email_type") or "",
    )


def _mailchimp(files: Mapping[str, bytes]) -> Iterator[_Raw]:
    """Campaigns are HTML; when they were sent stands in a report, by title, subject or number."""
    reports = [row for name, content in files.items() if name.lower().endswith(".csv") for row in _rows(name, content)]
    sent: dict[str, tuple[str, str]] = {}
    for row in reports:
        at = row.get("send date") or row.get("send time") or row.get("send_time") or row.get("sent") or ""
        title = row.get("subject") or row.get("subject line") or row.get("title") or ""
        for key in (row.get("unique id"), row.get("id"), row.get("title"), row.get("campaign name"), title):
            if key and at:
                sent.setdefault(_bare(key), (title, at))
    for name, content in files.items():
        if not name.lower().endswith((".html", ".htm")):
            continue
        markup = _text(name, content)
        own = _TITLE.search(markup)
        title = own[1] if own and not _MERGE.fullmatch(own[1].strip()) else ""
        stem = PurePosixPath(name).stem
        number, _, words = stem.partition("_")
        known = next((sent[key] for key in map(_bare, (stem, words, number, title)) if key in sent), None)
        yield _Raw(title or (known[0] if known else words or stem), known[1] if known else "", markup)


def _bare(words: str) -> str:
    return "".join(c for c in words.casefold() if c.isalnum())


_READERS = {"substack": _substack, "ghost": _ghost, "buttondown": _buttondown, "mailchimp": _mailchimp}


# ---------------------------------------------------------------- files


def _marked(text: str) -> str:
    """Markdown as HTML; what is HTML stays it."""
    if re.match(r"(?:<!--[^>]{0,80}-->\s*+)?<(?:p|div|h[1-6]|table|figure)\b", text.lstrip()):
        return text
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": True}).render(text[:MAX_HTML]))


def _front_matter(text: str) -> tuple[dict[str, str], str]:
    head, _, body = text.lstrip().removeprefix("---").partition("\n---")
    pairs = (line.partition(":") for line in head.splitlines() if line[:1].isalpha())
    return {key.strip().lower(): value.strip().strip("'\"") for key, _, value in pairs}, body.lstrip("-")


def _rows(name: str, content: bytes) -> Iterator[dict[str, str]]:
    csv.field_size_limit(MAX_FILE)
    try:
        rows = csv.DictReader(io.StringIO(_text(name, content), newline=""))
        for row in rows:
            yield {str(key).strip().lower(): value or "" for key, value in row.items() if isinstance(value, str | None)}
    except csv.Error as error:
        raise BadInput(f"{name} is no table: {error}", hint="export it again") from None


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{name} is not in UTF-8", hint="save it in UTF-8; these services write it so") from None


def _is_json(name: str, content: bytes) -> bool:
    return name.lower().endswith(".json") or content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def _json(name: str, content: bytes) -> Any:
    try:
        return json.loads(_text(name, content))
    except RecursionError:
        raise BadInput(f"{name} is nested too deep to be an export") from None
    except ValueError as error:
        raise BadInput(f"{name} is broken: {str(error)[:100]}", hint="export it again") from None


def _matters(name: str) -> bool:
    path = name.lower()
    return path.endswith((".html", ".htm", ".json", ".md", ".csv")) and not path.endswith(
        (".opens.csv", ".delivers.csv")
    )
