"""A quick reader of the feeds that nearly everybody publishes: it is sure of a document, or leaves it to feedparser.

What it reads is what feedparser would say, in the shape that feedparser gives it, for an eighth of the time. Whatever
is not usual (a document type, a tag within a text, an extension under a borrowed name, a broken byte) it does not
judge: it answers None. feedparser is the measure in every doubt, its oddities too; tests compare the two.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from xml.parsers import expat

from digest.parse.quirks import join, looks_like_html, mended, name_and_email, steady, unwrapped, with_href
from digest.parse.vocabulary import HANDLED, KEPT, KEYS, Names, Unsure

MAX_DEPTH = 200  # of tags; real feeds nest some twenty
BUFFER = 64 * 1024

_XHTML = "application/xhtml+xml"
_TYPES = {
    "text": "text/plain",
    "plain": "text/plain",
    "html": "text/html",
    "xhtml": _XHTML,
    "text/plain": "text/plain",
    "text/html": "text/html",
    _XHTML: _XHTML,
}
_RSS_VERSIONS = {"0.91": "rss091u", "0.92": "rss092", "0.93": "rss093", "0.94": "rss094"}
_ATOM_VERSIONS = {"0.1": "atom01", "0.2": "atom02", "0.3": "atom03"}

Attributes = dict[str, str]
_NONE: Attributes = {}


class Document(NamedTuple):
    """A feed as feedparser gives it: its `version`, and plain mappings of what is said of it and of each entry.

    `complaint` says why it is not well-formed; what `read` gives is.
    """

    version: str
    feed: dict[str, Any]
    entries: list[dict[str, Any]]
    complaint: str = ""


def read(document: bytes, url: str, *, most: int) -> Document | None:
    """What feedparser would make of a document in UTF-8 from `url`; None where that is not certain.

    Nor is it where there are more entries than `most`.
    """
    try:
        return _Reader(url, most).read(document)
    except (Unsure, expat.ExpatError, UnicodeError, RecursionError):
        return None


class _Reader:
    """One document on its way. A leaf is an element whose text is kept, or none of whose insides are.

    `place` holds the names that mean something where we are. `ends` has what is to be done at the end of each open
    element, and `scopes` which base and language hold again then.
    """

    def __init__(self, url: str, most: int) -> None:
        self.most = most
        self.base = steady(join(url, url))
        self.language: str | None = None
        self.feed: dict[str, Any] = {}
        self.entries: list[dict[str, Any]] = []
        self.entry: dict[str, Any] | None = None
        self.in_channel = False
        self.depth = 0
        self.title_depth = -1
        self.depths: dict[str, int] = {}  # by key, at which depth the entry's value stood
        self.has_content = False
        self.place: _Place = _ROOT
        self.ends: list[tuple[_End, str, Any]] = []
        self.scopes: list[tuple[int, str, str | None]] = []
        self.names = Names()
        self.leaf = False
        self.nested = 0  # tags of XHTML that are open within a text
        self.pieces: list[str] = []
        self.author_pieces: list[str] | None = None
        self.parser: Any = expat.ParserCreate("utf-8", " ")

    def read(self, document: bytes) -> Document:
        parser = self.parser
        parser.buffer_text, parser.buffer_size = True, BUFFER
        parser.StartElementHandler, parser.EndElementHandler = self.start, self.end
        parser.StartNamespaceDeclHandler = self.declared
        parser.StartDoctypeDeclHandler = _refuse
        try:
            parser.Parse(document, True)
        finally:  # it holds our methods, and we hold it
            parser.StartElementHandler = parser.EndElementHandler = parser.StartNamespaceDeclHandler = None
            parser.CharacterDataHandler = None
        if not self.names.version:
            raise Unsure
        return Document(self.names.version, self.feed, self.entries)

    # ------------------------------------------------------------ what the parser calls

    def declared(self, prefix: str | None, uri: str | None) -> None:
        self.names.declare(prefix, uri or "", outermost=not self.depth)

    def normal(self, tag: str, attributes: Attributes) -> Attributes:
        """Attributes as feedparser has them; what they say of base and language holds from here to the end."""
        found = {}
        for key, value in attributes.items():
            key = Names.of_attribute(key)
            found[key] = value.lower() if key in ("rel", "type") else value
        base = found.get("xml:base", found.get("base"))
        language = found.get("xml:lang", found.get("lang"))
        if base is not None or language is not None:
            self.scopes.append((self.depth, self.base, self.language))
            if base:
                self.base = steady(join(self.base, base))
            if language is not None:
                self.language = language or None
                if language and tag in ("feed", "rss"):
                    self.feed["language"] = language.replace("_", "-")
        return found

    def start(self, name: str, attributes: Attributes) -> None:
        self.depth += 1
        if self.leaf:
            self.markup(name, attributes)
            return
        tag = self.names.of(name)
        if attributes:
            attributes = self.normal(tag, attributes)
        (self.place.get(tag) or _Reader.unknown)(self, tag, attributes)
        if self.depth > MAX_DEPTH:
            raise Unsure

    def end(self, _name: str) -> None:
        if self.nested:
            self.nested -= 1
            self.pieces.append(f"</{_name.rpartition(' ')[2].lower()}>")
        else:
            if self.leaf:
                self.leaf = False
                self.parser.CharacterDataHandler = self.author_pieces.append if self.author_pieces is not None else None
            close, tag, detail = self.ends.pop()
            close(self, tag, detail)
        if self.scopes and self.scopes[-1][0] == self.depth:
            _, self.base, self.language = self.scopes.pop()
        self.depth -= 1

    def markup(self, name: str, attributes: Attributes) -> None:
        """A tag within a text, which is fine in XHTML: it is written down as feedparser does."""
        detail = self.ends[-1][2]
        uri, _, local = name.rpartition(" ")
        tag = local.lower()
        if not isinstance(detail, dict) or detail.get("type") != _XHTML or uri != "http://www.w3.org/1999/xhtml":
            raise Unsure
        if tag in ("body", "svg", "math") or self.depth > MAX_DEPTH:
            raise Unsure
        own = self.normal("", attributes) if attributes else _NONE
        marks = "".join(f' {key}="{_escaped(value).replace(chr(34), "&quot;")}"' for key, value in own.items())
        self.pieces.append(f"<{tag}{marks}>")
        self.nested += 1

    # ------------------------------------------------------------ leaves and places

    def text_of(self, tag: str, close: _End, detail: Any = None) -> None:
        """Keep the text of this element, which `close` is called with."""
        pieces: list[str] = []
        self.pieces = pieces
        self.leaf = True
        add: Callable[[str], None] = pieces.append
        if isinstance(detail, dict) and detail.get("type") == _XHTML:
            self.parser.CharacterDataHandler = lambda text: add(_escaped(text))
        else:
            self.parser.CharacterDataHandler = add
        self.ends.append((close, tag, detail))

    def enter(self, tag: str, place: _Place) -> None:
        self.ends.append((_Reader.leave, tag, self.place))
        self.place = place

    def leave(self, _tag: str, before: _Place) -> None:
        self.place = before

    def nothing(self, _tag: str, _detail: Any) -> None:
        pass

    def ignored(self, tag: str, _attributes: Attributes) -> None:
        """A leaf that says nothing we read."""
        self.leaf = True
        self.ends.append((_Reader.nothing, tag, None))

    def unknown(self, tag: str, attributes: Attributes) -> None:
        """What feedparser has no handler for it keeps under its name, which must be none that is read."""
        if tag in HANDLED or tag in KEYS or self.place in _CLOSED:
            raise Unsure
        if self.place is not _AUTHOR:
            self.enter(tag, _UNKNOWN)
        elif attributes:  # what it says is taken for the author's
            self.enter(tag, _NOTHING)
        else:
            self.parser.CharacterDataHandler = None
            self.ignored(tag, attributes)

    @property
    def context(self) -> dict[str, Any]:
        return self.feed if self.entry is None else self.entry

    def store(self, key: str, value: str) -> None:
        """A value of an entry gives way to one that stands no deeper."""
        if self.entry is None:
            self.feed[key] = value
            return
        before = self.depths.get(key)
        if before is None or self.depth <= before:
            self.depths[key] = self.depth
            self.entry[key] = value

    def output(self, detail: dict[str, Any] | None = None) -> str:
        """The text of the leaf that ends here; `detail` says its type, and is told where it is HTML all the same."""
        pieces = self.pieces
        if detail is not None and detail["type"] == _XHTML and self.names.version == "atom10":
            pieces = unwrapped(pieces)
        text = "".join(pieces).strip()
        if (
            detail is not None
            and detail["type"] == "text/plain"
            and not self.names.version.startswith("atom")
            and looks_like_html(text)
        ):
            detail["type"] = "text/html"
        return mended(text)

    # ------------------------------------------------------------ the document

    def rss(self, tag: str, attributes: Attributes) -> None:
        if not self.names.version.startswith("rss"):
            said = attributes.get("version", "")
            self.names.version = _RSS_VERSIONS.get(said) or ("rss20" if said.startswith("2.") else "rss")
        self.enter(tag, _RSS)

    def rdf(self, tag: str, _attributes: Attributes) -> None:
        self.enter(tag, _RDF)

    def atom(self, tag: str, attributes: Attributes) -> None:
        self.names.version = self.names.version or _ATOM_VERSIONS.get(attributes.get("version", ""), "atom")
        self.channel(tag, attributes)

    def channel(self, tag: str, attributes: Attributes) -> None:
        if "href" in attributes or "lastmod" in attributes:
            raise Unsure
        self.in_channel = True
        self.ends.append((_Reader.end_channel, tag, self.place))
        self.place = _FEED

    def end_channel(self, _tag: str, before: _Place) -> None:
        self.in_channel = False
        self.place = before

    def item(self, tag: str, attributes: Attributes) -> None:
        if "href" in attributes or "lastmod" in attributes:
            raise Unsure
        if len(self.entries) >= self.most:
            raise Unsure
        self.entry = {}
        self.entries.append(self.entry)
        self.depths = {}
        self.title_depth = -1
        if about := attributes.get("rdf:about"):
            self.entry["id"] = about
        self.ends.append((_Reader.end_item, tag, self.place))
        self.place = _ENTRY

    def end_item(self, _tag: str, before: _Place) -> None:
        self.entry = None
        self.has_content = False
        self.place = before

    # ------------------------------------------------------------ texts

    def params(self, attributes: Attributes, default: str) -> dict[str, Any]:
        kind = _TYPES.get(attributes.get("type", default).lower())
        if kind is None or attributes.get("mode") == "base64" or "src" in attributes:
            raise Unsure
        language = self.language.replace("_", "-") if self.language else self.language
        return {"type": kind, "language": language, "base": self.base}

    def title(self, tag: str, attributes: Attributes) -> None:
        self.text_of(tag, _Reader.end_title, self.params(attributes, "text/plain"))

    def end_title(self, tag: str, detail: dict[str, Any]) -> None:
        value = self.output(detail)
        if not -1 < self.title_depth <= self.depth:
            self.store("title", value)
            self.context["title_detail"] = detail | {"value": value}
        if value and tag != "media_title":
            self.title_depth = self.depth

    def other_title(self, tag: str, attributes: Attributes) -> None:
        """Of what is not the entry: a picture, or the source."""
        self.text_of(tag, _Reader.end_other_title, self.params(attributes, "text/plain"))

    def end_other_title(self, _tag: str, _detail: Any) -> None:
        if "".join(self.pieces).strip():
            self.title_depth = self.depth

    def description(self, tag: str, attributes: Attributes) -> None:
        self.summed_up(tag, attributes, "text/html")

    def summary(self, tag: str, attributes: Attributes) -> None:
        self.summed_up(tag, attributes, "text/plain")

    def summed_up(self, tag: str, attributes: Attributes, default: str) -> None:
        """The first that is said of an entry is its summary, and the second its content."""
        if "summary" in self.context and not self.has_content:
            self.content(tag, attributes)
        else:
            self.text_of(tag, _Reader.end_summary, self.params(attributes, default))

    def end_summary(self, tag: str, detail: dict[str, Any]) -> None:
        value = self.output(detail)
        if self.entry is None:
            if tag == "itunes_summary":
                self.feed["summary"] = value
            return
        self.store("summary", value)
        self.entry["summary_detail"] = detail | {"value": value}

    def content(self, tag: str, attributes: Attributes, default: str = "text/plain") -> None:
        self.has_content = True
        self.text_of(tag, _Reader.end_content, self.params(attributes, default))

    def encoded(self, tag: str, attributes: Attributes) -> None:
        self.content(tag, attributes, "text/html")

    def end_content(self, _tag: str, detail: dict[str, Any]) -> None:
        value = self.output(detail)
        if self.entry is not None:
            self.entry.setdefault("content", []).append(detail | {"value": value})
        self.context.setdefault("summary", value)

    # ------------------------------------------------------------ links, names and dates

    def link(self, tag: str, attributes: Attributes) -> None:
        found = {**attributes}
        found.setdefault("rel", "alternate")
        found.setdefault("type", "application/atom+xml" if found["rel"] == "self" else "text/html")
        found = with_href(found)
        links = self.context.setdefault("links", [])
        links.append(found)
        if "href" not in found:
            self.text_of(tag, _Reader.end_link)
            return
        found["href"] = join(self.base, found["href"])
        if found["rel"] == "alternate" and _TYPES.get(found["type"]) in ("text/html", _XHTML):
            self.context["link"] = found["href"]
        self.ignored(tag, attributes)

    def end_link(self, _tag: str, _detail: Any) -> None:
        text = "".join(self.pieces).strip()
        text = mended(join(self.base, text) if text else text)
        if self.entry is not None:
            text = text.replace("&amp;", "&")
        if "&" in text:
            text = re.sub("&([A-Za-z0-9_]+);", r"&\g<1>", text)
        context = self.context
        context["link"] = text
        if text or self.entry is None:
            context["links"][-1]["href"] = text

    def guid(self, tag: str, attributes: Attributes) -> None:
        self.text_of(tag, _Reader.end_guid, attributes.get("ispermalink", "true") == "true")

    def end_guid(self, _tag: str, is_link: bool) -> None:
        value, context = self.output(), self.context
        self.store("id", value)
        context.setdefault("guidislink", is_link and "link" not in context)
        if is_link:
            context.setdefault("link", value)

    def kept(self, tag: str, attributes: Attributes) -> None:
        """Text that is kept under its name; feedparser does so only where it has no attributes."""
        if attributes:
            raise Unsure
        self.text_of(tag, _Reader.end_kept)

    def end_kept(self, tag: str, _detail: Any) -> None:
        self.store(KEPT.get(tag, tag), self.output())

    def handled(self, tag: str, _attributes: Attributes) -> None:
        """The same for what feedparser has a handler for."""
        self.text_of(tag, _Reader.end_kept)

    def category(self, tag: str, attributes: Attributes) -> None:
        scheme = attributes.get("scheme", attributes.get("domain"))
        if tag == "media_category":
            scheme = attributes.get("scheme", "http://search.yahoo.com/mrss/category_schema")
        self.add_tag(attributes.get("term"), scheme, attributes.get("label"))
        self.text_of(tag, _Reader.end_category)

    def itunes_category(self, tag: str, attributes: Attributes) -> None:
        self.add_tag(attributes.get("text"), "http://www.itunes.com/", None)
        self.text_of(tag, _Reader.end_category)

    def end_category(self, _tag: str, _detail: Any) -> None:
        if value := self.output():
            tags = self.context["tags"]
            if tags and not tags[-1]["term"]:
                tags[-1]["term"] = value
            else:
                self.add_tag(value, None, None)

    def keywords(self, tag: str, attributes: Attributes) -> None:
        if attributes:
            raise Unsure
        self.text_of(tag, _Reader.end_keywords)

    def end_keywords(self, tag: str, _detail: Any) -> None:
        scheme = "http://www.itunes.com/" if tag == "itunes_keywords" else None
        for term in self.output().split(","):
            if term.strip():
                self.add_tag(term.strip(), scheme, None)

    def add_tag(self, term: str | None, scheme: str | None, label: str | None) -> None:
        tags = self.context.setdefault("tags", [])
        value = {"term": term, "scheme": scheme, "label": label}
        if (term or scheme or label) and value not in tags:
            tags.append(value)

    # ------------------------------------------------------------ people

    def author(self, tag: str, _attributes: Attributes) -> None:
        assert self.entry is not None
        self.entry.setdefault("authors", []).append({})
        self.author_pieces = []
        self.parser.CharacterDataHandler = self.author_pieces.append
        self.ends.append((_Reader.end_author, tag, self.place))
        self.place = _AUTHOR

    def end_author(self, _tag: str, before: _Place) -> None:
        self.pieces = self.author_pieces or []
        self.author_pieces = None
        self.parser.CharacterDataHandler = None
        self.place = before
        self.store("author", self.output())
        self.sync_author()

    def of_author(self, tag: str, _attributes: Attributes) -> None:
        self.text_of(tag, _Reader.end_of_author)

    def end_of_author(self, tag: str, _detail: Any) -> None:
        assert self.entry is not None
        key = tag.removeprefix("itunes_") if tag in ("name", "email", "itunes_name", "itunes_email") else "href"
        value = "".join(self.pieces).strip()
        self.entry.setdefault("author_detail", {})[key] = value
        self.sync_author()
        self.entry["authors"][-1][key] = value

    def sync_author(self) -> None:
        """Name and address of an author, who may be given as "Jane Doe (jane@example.org)"."""
        assert self.entry is not None
        detail = self.entry["authors"][-1]
        if detail:
            name, email = detail.get("name"), detail.get("email")
            if name or email:
                self.entry["author"] = f"{name} ({email})" if name and email else name or email
            return
        author: str = self.entry.get("author") or ""
        name, email = name_and_email(author)
        if author:
            self.entry.setdefault("author_detail", detail)
        detail |= {key: value for key, value in (("name", name), ("email", email)) if value}

    # ------------------------------------------------------------ media

    def enclosure(self, tag: str, attributes: Attributes) -> None:
        self.context.setdefault("links", []).append(with_href({**attributes}) | {"rel": "enclosure"})
        self.ignored(tag, attributes)

    def medium(self, tag: str, attributes: Attributes) -> None:
        self.context.setdefault("media_content", []).append({**attributes})
        self.enter(tag, _MEDIUM)

    def of_medium(self, tag: str, _attributes: Attributes) -> None:
        self.text_of(tag, _Reader.end_of_medium)

    def end_of_medium(self, tag: str, _detail: Any) -> None:
        if said := "".join(self.pieces).strip():
            self.context.setdefault(tag, said)

    def thumbnail(self, tag: str, attributes: Attributes) -> None:
        found = {**attributes}
        self.context.setdefault("media_thumbnail", []).append(found)
        self.text_of(tag, _Reader.end_thumbnail, (found,))

    def end_thumbnail(self, _tag: str, detail: tuple[Attributes]) -> None:
        text = "".join(self.pieces).strip()
        if text and "url" not in detail[0]:
            detail[0]["url"] = mended(join(self.base, text))

    def picture(self, tag: str, attributes: Attributes) -> None:
        if address := attributes.get("href") or attributes.get("url"):
            self.context["image"] = {"href": address}
        self.ignored(tag, attributes)

    # ------------------------------------------------------------ what is walked through only

    def channel_image(self, tag: str, _attributes: Attributes) -> None:
        self.title_depth = -1
        self.enter(tag, _IMAGE)

    def source(self, tag: str, _attributes: Attributes) -> None:
        self.title_depth = -1
        self.enter(tag, _SOURCE)


_Start = Callable[[_Reader, str, Attributes], None]
_End = Callable[[_Reader, str, Any], None]


class _Place(dict[str, _Start]):
    """What each name means in one place; names that are not there may be feedparser's, or nobody's."""

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__


def _into(place: _Place) -> _Start:
    return lambda reader, tag, _attributes: reader.enter(tag, place)


def _names(words: str, start: _Start) -> dict[str, _Start]:
    return dict.fromkeys(words.split(), start)


_IGNORED_MEDIA = _names("media_credit media_rating media_player media_restriction media_license", _Reader.ignored)
_OF_MEDIA = _Place(
    {
        **_IGNORED_MEDIA,
        "media_category": _Reader.category,
        "media_keywords": _Reader.keywords,
        "media_thumbnail": _Reader.thumbnail,
    }
)
_UNKNOWN = _Place()  # where feedparser keeps nothing that is read
_NOTHING = _Place()  # where nothing should be
_ROOT = _Place({"rss": _Reader.rss, "rdf_rdf": _Reader.rdf, "feed": _Reader.atom})
_RSS = _Place({"channel": _Reader.channel, "item": _Reader.item})
_RDF = _Place({**_RSS, **_names("image textinput", _Reader.channel_image)})
_IMAGE = _Place({"title": _Reader.other_title, **_names("description height link name url width", _Reader.ignored)})
_PERSON = _Place(_names("name email uri url homepage itunes_name itunes_email", _Reader.ignored))
_AUTHOR = _Place(_names("name email uri url homepage itunes_name itunes_email", _Reader.of_author))
_CATEGORIES = _Place()
_CATEGORIES["itunes_category"] = _into(_CATEGORIES)
_SOURCE = _Place(
    {
        "title": _Reader.other_title,
        **_names("author contributor", _into(_PERSON)),
        **_names("category generator id link published rights subtitle updated icon logo", _Reader.ignored),
    }
)
_MEDIUM = _Place({**_OF_MEDIA, **_names("media_title media_description", _Reader.of_medium)})
_GROUP = _Place(
    {
        **_OF_MEDIA,
        "media_content": _Reader.medium,
        "media_description": _Reader.description,
        "media_title": _Reader.title,
    }
)
_IGNORED = (
    "copyright dc_contributor dc_publisher dc_rights generator georss_box georss_line georss_point georss_polygon"
    " itunes_block itunes_explicit itunes_subtitle rights webmaster"
)
_ENTRY = _Place(
    {
        **_GROUP,
        **_names("author dc_author dc_creator itunes_author managingeditor", _Reader.author),
        **_names("category dc_subject", _Reader.category),
        **_names("created dc_date dc_language dcterms_created dcterms_issued dcterms_modified", _Reader.handled),
        **_names("issued language modified pubdate published updated", _Reader.handled),
        **_names(_IGNORED, _Reader.ignored),
        **_names("description dc_description", _Reader.description),
        **_names("guid id", _Reader.guid),
        **_names("summary itunes_summary", _Reader.summary),
        **_names("title dc_title", _Reader.title),
        "content": _Reader.content,
        "content_encoded": _Reader.encoded,
        "contributor": _into(_PERSON),
        "enclosure": _Reader.enclosure,
        **_names("feedburner_origlink itunes_duration itunes_title slash_comments thr_total", _Reader.kept),
        "itunes_category": _Reader.itunes_category,
        "itunes_image": _Reader.picture,
        "itunes_keywords": _Reader.keywords,
        "link": _Reader.link,
        "media_group": _into(_GROUP),
        "source": _Reader.source,
    }
)
_FEED = _Place(
    {
        **_IGNORED_MEDIA,
        **_names("category cloud created dc_date dc_subject itunes_image itunes_keywords", _Reader.ignored),
        **_names("lastbuilddate media_category media_keywords media_thumbnail modified pubdate", _Reader.ignored),
        **_names("published subtitle tagline updated dcterms_modified info", _Reader.ignored),
        **_names("feedburner_browserfriendly dcterms_created dcterms_issued issued", _Reader.ignored),
        **_names(_IGNORED, _Reader.ignored),
        **_names("author contributor dc_author dc_creator itunes_author itunes_owner managingeditor", _into(_PERSON)),
        **_names("description dc_description", _Reader.description),
        **_names("guid id", _Reader.guid),
        **_names("image textinput", _Reader.channel_image),
        **_names("item entry", _Reader.item),
        **_names("items skiphours skipdays", _into(_UNKNOWN)),
        **_names("itunes_new-feed-url sy_updatefrequency sy_updateperiod ttl", _Reader.kept),
        **_names("language dc_language", _Reader.handled),
        **_names("title dc_title", _Reader.title),
        "itunes_category": _into(_CATEGORIES),
        "itunes_summary": _Reader.summary,
        "link": _Reader.link,
    }
)


_CLOSED = (_ROOT, _RSS, _RDF, _IMAGE, _NOTHING)  # where an unknown name may change what the others mean


def _refuse(*_: Any) -> None:
    raise Unsure


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
