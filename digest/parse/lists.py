"""Lists of feeds in any format: OPML, an address a line, CSV, newsboat's `urls`."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from itertools import islice

from digest.errors import BadInput
from digest.parse import characters
from digest.parse.outlines import MAX_FEEDS, MAX_FIELD, Listed, Outline, opml_list
from digest.parse.recipes import Recipe
from digest.parse.text import http_url, plain

FORMATS = ("opml", "text", "csv", "newsboat")
COLUMNS = ("url", "title", "site", "folder", "topics", "description", "select")
_SAMPLE = 200  # lines by which a format is told
_LEFT = 200  # lines that are told one by one


def read(data: bytes, form: str = "") -> Listed:
    """What a list has, read as the format `form`, or as what it looks like. Raises BadInput where it is none."""
    if form not in ("", *FORMATS):
        raise BadInput(f"{form!r} is no format of lists", hint=", ".join(FORMATS))
    if not form and data.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")[:1] == b"<":
        form = "opml"
    if form == "opml":
        return opml_list(data)
    lines = _lines(data)
    form = form or _format(lines)
    if not form:
        raise BadInput(
            "this is not an OPML list, and no other that is known by its looks",
            hint="an address a line, CSV, newsboat's urls: --from says which it is",
        )
    return {"csv": _csv, "newsboat": _newsboat, "text": _text}[form](lines)


def write(outlines: Iterable[Outline], form: str) -> str:
    """A list as text or CSV, which `read` reads back. In text there is no room for folders and recipes."""
    if form == "text":
        found = {outline.url: outline.title for outline in outlines if outline.recipe is None}
        return "".join(f"# {' '.join(title.split())}\n{url}\n" if title else f"{url}\n" for url, title in found.items())
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for one in outlines:
        select = json.dumps(one.recipe.stored(), ensure_ascii=False, sort_keys=True) if one.recipe else ""
        words = (one.title, one.site_url, one.folder, ",".join(one.topics), one.description)
        rows.writerow([one.url, *(f"'{cell}" if _FORMULA.match(cell) else cell for cell in words), select])
    return out.getvalue()


_FORMULA = re.compile(r"'{0,20}[=+@\t\r\n＝＋＠－-]")  # what a spreadsheet would work out gets an apostrophe before it


def _lines(data: bytes) -> list[str]:
    text = characters.decode(data).text.lstrip("\ufeff").replace("\0", "")
    lines = [line[:MAX_FIELD] for line in islice(io.StringIO(text), MAX_FEEDS + 1)]
    if len(lines) > MAX_FEEDS:
        raise BadInput(f"the list has more than {MAX_FEEDS:,} lines", hint="take it in in parts")
    if not any(line.strip() for line in lines):
        raise BadInput("the list is empty", hint="an address a line, OPML, CSV, or newsboat's urls")
    return lines


# ---------------------------------------------------------------- which format it is

_MADE = re.compile(r"\s*\"?(query|exec|filter):")
_TAGGED = re.compile(r"\s*\"?https?://[^\s\",;]+\"?\s+[^\s#]", re.I)
_ID = re.compile(r"(?=.*[\dA-Z])[\w-]{16,64}+")  # no word of "politics", which may stand in an address, too
_ADDRESS = re.compile(r"\s*(?:https?|feed):/?/?[^\s\",;|]+\s*", re.I)


_PLAUSIBLE = re.compile(
    r"\s*(?:[-*+•] |[0-9]{1,5}[.)] )?(?=\S{0,2000}[./@:]|(?:hn|lobsters)\s)[^\s{}\[\]\"\0-\x1f]{2,2000}\s*(?:#.*)?\Z",
    re.S,
)  # an address or a name: one word


def _format(lines: Sequence[str]) -> str:
    """What a list is by its looks, "" for none that is known."""
    said = [line for line in lines[:_SAMPLE] if line.strip() and not line.lstrip().startswith(("#", ";", "//"))]
    if any(_MADE.match(line) for line in said):
        return "newsboat"
    if _delimiter(said):
        return "csv"
    if any(_TAGGED.match(line) for line in said):
        return "newsboat"
    return "text" if sum(bool(_PLAUSIBLE.match(line)) for line in said) * 2 >= len(said) else ""


def _delimiter(lines: Sequence[str]) -> str:
    """What parts the columns of a table of feeds, or "" where the lines are none."""
    for delimiter in ("\t", ",", ";", "|"):
        try:
            rows = [row for row in csv.reader(lines, delimiter=delimiter) if any(cell.strip() for cell in row)]
        except csv.Error:
            continue
        if not rows or len(rows[0]) < 2 or any(cell.lstrip('" ')[:1] == "~" for row in rows for cell in row[1:]):
            continue
        if _header(rows[0]) or _foreign(rows):
            return delimiter
        wide = [row for row in rows if len(row) == len(rows[0])]
        told = [row for row in wide if any(_ADDRESS.fullmatch(cell) for cell in row)]
        # An address may have commas of its own.
        addresses = delimiter != "\t" and all("?" in line or not re.search(r"[\s\"]", line.strip()) for line in lines)
        if len(told) == len(rows) and not (addresses and any(re.search(r"[?&=]", "".join(row)) for row in rows)):
            return delimiter
    return ""


# ---------------------------------------------------------------- an address a line


def _text(lines: Sequence[str]) -> Listed:
    found = []
    for line in lines:
        words = re.sub(r"(?:^|\s)#.*|^(?:;|//).*", "", line.strip(), count=1)
        words = re.sub(r"^(?:[-*+•]|[0-9]{1,5}[.)])\s+", "", words).strip().strip("<>\"'")
        if words:
            found.append(Outline(words))
    return Listed("text", tuple(found))


# ---------------------------------------------------------------- CSV

_NAMES = {
    "url": ("xmlurl", "feedurl", "rssurl", "feed", "rss", "url", "address", "adresse", "link"),
    "title": ("title", "name", "text", "feedtitle", "feedname", "titel", "titre", "nom"),
    "site": ("siteurl", "htmlurl", "website", "site", "homepage", "web", "url", "link"),
    "folder": ("folder", "folders", "group", "ordner", "dossier", "category", "kategorie"),
    "topics": ("topics", "topic", "tags", "tag", "thema", "labels", "label"),
    "description": ("description", "about", "beschreibung"),
    "select": ("select",),
}


def _header(row: Sequence[str]) -> dict[str, int]:
    """Which column has what, by the names in a first row; none where that names no address."""
    names = ["".join(c for c in cell.casefold() if c.isalnum()) for cell in row]
    found: dict[str, int] = {}
    for part, known in _NAMES.items():
        place = next((names.index(name) for name in known if name in names), None)
        if place is not None and place not in found.values():
            found[part] = place
    return found if "url" in found else {}


def _foreign(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a first row names the columns in words that we do not know, as YouTube's export has them in any language.

    Then an address stands in one of them in all other rows.
    """
    here = [place for place, cell in enumerate(rows[0]) if cell.strip() and not re.search(r"[./:@]", cell)]
    return (
        len(here) == len(rows[0])
        and len(rows) > 1
        and any(all(len(row) == len(rows[0]) and _ADDRESS.fullmatch(row[place]) for row in rows[1:]) for place in here)
    )


def _csv(lines: Sequence[str]) -> Listed:
    sample = [line for line in lines[:_SAMPLE] if line.strip()]
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=_delimiter(sample) or ",")]
    except csv.Error as error:
        raise BadInput(f"the table cannot be read: {error}", hint="its quotes must close") from None
    rows = [row for row in rows if any(row) and not (len(row) == 1 and row[0].startswith("#"))]
    if not rows:
        raise BadInput("the table is empty", hint=f"columns: {', '.join(COLUMNS)}")
    places = _header(rows[0])
    if places:
        rows = rows[1:]
    elif _foreign(rows):
        rows = rows[1:]
        places = {part: place for part, place in _guessed(rows).items() if part in ("url", "title")}
    else:
        places = _guessed(rows)
    found, left = [], []
    for number, row in enumerate(rows, 1):
        says = {part: _cell(row[place]) if place < len(row) else "" for part, place in places.items()}
        outline, why = _of_row(says)
        if outline:
            found.append(outline)
        else:
            left.append(f"row {number}: {why}")
    return Listed("csv", tuple(found), left=_told(left))


def _guessed(rows: Sequence[Sequence[str]]) -> dict[str, int]:
    """Where the addresses are is seen; the other columns of words are titles, topics and folders, in this order."""
    width = max(map(len, rows))
    counts = [sum(place < len(row) and bool(_ADDRESS.fullmatch(row[place])) for row in rows) for place in range(width)]
    url = counts.index(max(counts))
    others = [place for place in range(width) if place != url and counts[place] * 2 < len(rows)]
    ids = [at for at in others if all(at < len(row) and _ID.fullmatch(row[at]) and row[at] in row[url] for row in rows)]
    others = [place for place in others if place not in ids]  # a channel's, which stands in its address
    return {"url": url} | dict(zip(("title", "topics", "folder"), others, strict=False))


def _of_row(says: dict[str, str]) -> tuple[Outline | None, str]:
    if not says["url"]:
        return None, "it has no address"
    recipe = None
    if select := says.get("select", ""):
        try:
            said = json.loads(select)
            recipe = Recipe.of(said) if isinstance(said, dict) else None
            if recipe is None:
                raise ValueError
            recipe.check()
        except (ValueError, RecursionError):
            return None, "what it selects is no JSON with an item"
        except BadInput as error:
            return None, str(error)
    folders = tuple(plain(name.replace("∕", "/")) for name in says.get("folder", "").split("/") if name.strip())
    topics = tuple(filter(None, (plain(topic).strip("/") for topic in re.split("[,;]", says.get("topics", "")))))
    title, about = (plain(says.get(name, "")) for name in ("title", "description"))
    return Outline(says["url"], title, http_url(says.get("site", "")), folders, topics, about, recipe), ""


def _cell(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


# ---------------------------------------------------------------- newsboat

_TOKEN = re.compile(r"\"((?:[^\"\\]|\\.)*+)\"?|([^\s\"#][^\s\"]*+)|(#.*)")
_NOT_TAKEN = {
    "query": "is a search in other feeds: write a rule for its topic in the settings",
    "exec": "would run a program: let that write its feed to a server, and add its address",
    "filter": "would run a program over a feed: add its address, and write a rule in the settings",
    "file": "is a file on this machine: serve it, and add its address",
}


def _newsboat(lines: Sequence[str]) -> Listed:
    found, left = [], []
    for number, line in enumerate(lines, 1):
        words = [re.sub(r"\\(.)", r"\1", m[1]) if m[2] is None else m[2] for m in _TOKEN.finditer(line) if m[3] is None]
        if not words or not words[0]:
            continue
        kind = words[0].partition(":")[0].lower()
        if kind in _NOT_TAKEN and ":" in words[0]:
            left.append(f"line {number}: {plain(words[0], limit=80)!r} {_NOT_TAKEN[kind]}")
            continue
        title = next((plain(word[1:]) for word in words[1:] if word[:1] == "~"), "")
        tags = (plain(word) for word in words[1:] if word[:1] not in ("~", "!"))
        found.append(Outline(words[0], title, topics=tuple(tag for tag in dict.fromkeys(tags) if tag)))
    return Listed("newsboat", tuple(found), left=_told(left))


def _told(left: Sequence[str]) -> tuple[str, ...]:
    more = (f"and {len(left) - _LEFT:,} more",) if len(left) > _LEFT else ()
    return (*left[:_LEFT], *more)
