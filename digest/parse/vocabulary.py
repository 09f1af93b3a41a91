"""What `parse.quick` knows of feedparser's words: its namespaces, the names that it handles, the keys that it fills.

Each of these is feedparser's own (6.0); a test compares them with the installed one.
"""

from __future__ import annotations

# Namespaces, in small letters, and what feedparser calls them: "" for those of the formats themselves.
_FORMATS = """
http://backend.userland.com/rss http://blogs.law.harvard.edu/tech/rss http://purl.org/rss/1.0/
http://my.netscape.com/rdf/simple/0.9/ http://example.com/newformat# http://example.com/necho http://purl.org/echo/
uri/of/echo/namespace# http://purl.org/pie/ http://purl.org/atom/ns# http://www.w3.org/2005/atom
http://purl.org/rss/1.0/modules/rss091#
"""
_OTHERS = """
admin http://webns.net/mvcb/
ag http://purl.org/rss/1.0/modules/aggregation/
annotate http://purl.org/rss/1.0/modules/annotate/
audio http://media.tangent.org/rss/1.0/
blogChannel http://backend.userland.com/blogchannelmodule
cc http://creativecommons.org/ns#license http://web.resource.org/cc/
creativeCommons http://cyber.law.harvard.edu/rss/creativecommonsrssmodule.html
creativeCommons http://backend.userland.com/creativecommonsrssmodule
co http://purl.org/rss/1.0/modules/company
content http://purl.org/rss/1.0/modules/content/
cp http://my.theinfo.org/changed/1.0/rss/
dc http://purl.org/dc/elements/1.1/
dcterms http://purl.org/dc/terms/
email http://purl.org/rss/1.0/modules/email/
ev http://purl.org/rss/1.0/modules/event/
feedburner http://rssnamespace.org/feedburner/ext/1.0
fm http://freshmeat.net/rss/fm/
foaf http://xmlns.com/foaf/0.1/
geo http://www.w3.org/2003/01/geo/wgs84_pos#
georss http://www.georss.org/georss
gml http://www.opengis.net/gml
icbm http://postneo.com/icbm/
image http://purl.org/rss/1.0/modules/image/
itunes http://www.itunes.com/dtds/podcast-1.0.dtd http://example.com/dtds/podcast-1.0.dtd
l http://purl.org/rss/1.0/modules/link/
media http://search.yahoo.com/mrss http://search.yahoo.com/mrss/
pingback http://madskills.com/public/xml/rss/module/pingback/
prism http://prismstandard.org/namespaces/1.2/basic/
rdf http://www.w3.org/1999/02/22-rdf-syntax-ns#
rdfs http://www.w3.org/2000/01/rdf-schema#
ref http://purl.org/rss/1.0/modules/reference/
reqv http://purl.org/rss/1.0/modules/richequiv/
search http://purl.org/rss/1.0/modules/search/
slash http://purl.org/rss/1.0/modules/slash/
soap http://schemas.xmlsoap.org/soap/envelope/
ss http://purl.org/rss/1.0/modules/servicestatus/
str http://hacks.benhammersley.com/rss/streaming/
sub http://purl.org/rss/1.0/modules/subscription/
sy http://purl.org/rss/1.0/modules/syndication/
szf http://schemas.pocketsoap.com/rss/mydescmodule/
taxo http://purl.org/rss/1.0/modules/taxonomy/
thr http://purl.org/rss/1.0/modules/threading/
ti http://purl.org/rss/1.0/modules/textinput/
trackback http://madskills.com/public/xml/rss/module/trackback/
wfw http://wellformedweb.org/commentapi/
wiki http://purl.org/rss/1.0/modules/wiki/
xhtml http://www.w3.org/1999/xhtml
xlink http://www.w3.org/1999/xlink
xml http://www.w3.org/xml/1998/namespace
psc http://podlove.org/simple-chapters
"""
SPACES: dict[str, str] = dict.fromkeys(_FORMATS.split(), "") | {
    uri: name for name, *uris in map(str.split, _OTHERS.strip().splitlines()) for uri in uris
}
PREFIXES = frozenset(name.lower() for name in SPACES.values()) - {""}

# What it has a handler for, as "name" or "prefix_name".
_HANDLED = """
abstract author body category cc_license channel cloud content content_encoded contributor copyright created
creativecommons_license dc_author dc_contributor dc_creator dc_date dc_description dc_language dc_publisher dc_rights
dc_subject dc_title dcterms_created dcterms_issued dcterms_modified dcterms_valid description email enclosure entry
expirationdate feed feedburner_browserfriendly fullitem generator geom georss_box georss_line georss_point
georss_polygon georss_where georssgeom gml_exterior gml_linearring gml_linestring gml_point gml_polygon gml_pos
gml_poslist guid height homepage id image info issued item itunes_author itunes_block itunes_category itunes_email
itunes_explicit itunes_image itunes_keywords itunes_link itunes_name itunes_owner itunes_subtitle itunes_summary
keywords language lastbuilddate link managingeditor media_category media_content media_credit media_description
media_group media_keywords media_license media_player media_rating media_restriction media_thumbnail media_title
modified name newlocation psc_chapter psc_chapters pubdate published rights rss source subtitle summary tagline tags
textinput title updated uri url webmaster where width xhtml_body
"""
HANDLED = frozenset(_HANDLED.split())

# What `parse.xmlfeed` reads of an entry or a feed, what that is made from, and what feedparser takes for such a key.
_KEYS = """
authors author author_detail category content content_detail created created_parsed description description_detail
enclosures feedburner_origlink guid guidislink href id image issued itunes_duration itunes_new-feed-url itunes_title
language license link links media_content media_description media_thumbnail media_title modified published
slash_comments source sourcedata summary summary_detail sy_updatefrequency sy_updateperiod tags thr_total title
title_detail ttl updated url date version contributors
"""
KEYS = frozenset(_KEYS.split())

# What it calls the texts of some elements.
KEPT = {
    "dc_date": "updated",
    "dc_language": "language",
    "dcterms_created": "created",
    "dcterms_issued": "published",
    "dcterms_modified": "updated",
    "issued": "published",
    "modified": "updated",
    "pubdate": "published",
}

# The tags that its judgement whether a text is HTML accepts.
_HTML = """
a abbr acronym address area article aside audio b big blockquote br button canvas caption center cite code col colgroup
command datagrid datalist dd del details dfn dialog dir div dl dt em event-source fieldset figcaption figure font footer
form h1 h2 h3 h4 h5 h6 header hr i img input ins kbd keygen label legend li m map menu meter multicol nav nextid
noscript ol optgroup option output p pre progress q s samp section select small sound source spacer span strike strong
sub sup table tbody td textarea tfoot th thead time tr tt u ul var video
"""
HTML = frozenset(_HTML.split())

_SPECIAL = frozenset(("xml", "xmlns", "xhtml", "xlink", "rdf"))


class Unsure(Exception):
    """Something is not as usual."""


class Names:
    """What the elements of one document are called, and of which `version` its namespaces show it to be."""

    def __init__(self) -> None:
        self.version = ""
        self._found: dict[str, str] = {}
        self._prefixes: dict[str, str] = {}
        self._spaces: set[str] = set()  # those of feedparser's that are declared, by its names
        self._strangers: dict[str, str] = {}  # other namespaces, and what they are called here

    def declare(self, prefix: str | None, uri: str, *, outermost: bool) -> None:
        """A namespace: one that feedparser knows, under a name that is none of another's; or another, for its name."""
        if not uri:
            return
        lower = uri.lower()
        if not self.version:
            if (prefix, lower) == (None, "http://my.netscape.com/rdf/simple/0.9/"):
                self.version = "rss090"
            elif lower == "http://purl.org/rss/1.0/":
                self.version = "rss10"
            elif lower == "http://www.w3.org/2005/atom":
                self.version = "atom10"
        known = _space(lower)
        name = prefix.lower() if prefix else ""
        if known is None:
            # It goes by the first name that it finds for such an address, and by the name alone.
            if name in _SPECIAL or (name and name in self._spaces) or any(c.isspace() for c in uri):
                raise Unsure
            if self._strangers.setdefault(uri, name) != name:
                raise Unsure
        else:
            known = known.lower()
            self._spaces.add(known)
            if (name in PREFIXES and name != known) or (known and known in self._strangers.values()):
                raise Unsure
            if known == "xlink" and not outermost:
                raise Unsure
        if name and self._prefixes.setdefault(name, uri) != uri:
            raise Unsure

    def of(self, name: str) -> str:
        """An element that expat calls "address name" or "name", as feedparser's handlers are called."""
        found = self._found.get(name)
        if found is None:
            uri, _, local = name.rpartition(" ")
            space = _space(uri.lower()) if uri else ""
            prefix = self._strangers[uri] if space is None else space
            found = self._found[name] = (f"{prefix}_{local}" if prefix else local).lower()
        return found

    @staticmethod
    def of_attribute(name: str) -> str:
        """The same for an attribute; of a namespace that feedparser does not know it goes by its own name alone."""
        if " " in name:
            uri, _, local = name.rpartition(" ")
            prefix = _space(uri.lower())
            name = f"{prefix}:{local}" if prefix else local
        return name.lower()


def _space(lower: str) -> str | None:
    """What feedparser calls a namespace; it takes any of Userland's for RSS."""
    return "" if "backend.userland.com/rss" in lower else SPACES.get(lower)
