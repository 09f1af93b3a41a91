"""Decisions about what strangers send: bytes in, clean values out; no clock, network or database.

`feeds` reads RSS, RDF, Atom and JSON Feed: `characters` and `documents` look at the bytes first, `xmlfeed` and
`jsonfeed` read them, `dates` reads their dates (with `months` and `zones`), `garbled` mends texts, `entries` is what
comes out. `outlines` reads OPML, `pages` finds feeds in web pages, `text` cleans, `gist` makes what curation needs of a
text, and `language` tells or guesses in which language a text is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest import lazily

if TYPE_CHECKING:
    from digest.parse import lists as lists
    from digest.parse import sitemaps as sitemaps
    from digest.parse.documents import WEB_PAGE as WEB_PAGE
    from digest.parse.entries import Enclosure as Enclosure
    from digest.parse.entries import NotAFeed as NotAFeed
    from digest.parse.entries import ParsedEntry as ParsedEntry
    from digest.parse.entries import ParsedFeed as ParsedFeed
    from digest.parse.entries import TooDear as TooDear
    from digest.parse.entries import Watch as Watch
    from digest.parse.feeds import feed as feed
    from digest.parse.outlines import Include as Include
    from digest.parse.outlines import Listed as Listed
    from digest.parse.outlines import Outline as Outline
    from digest.parse.outlines import opml as opml
    from digest.parse.outlines import write_opml as write_opml
    from digest.parse.pages import COMMON_PATHS as COMMON_PATHS
    from digest.parse.pages import Candidate as Candidate
    from digest.parse.pages import choices as choices
    from digest.parse.pages import feed_links as feed_links
    from digest.parse.pages import hub_links as hub_links
    from digest.parse.pages import refreshed as refreshed
    from digest.parse.recipes import Recipe as Recipe

lazily.offer(__name__)
