"""What was sent, by its words: of a newsletter for everybody, and for a reader of what they were sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from digest.curate import lexemes
from digest.store import finding
from digest.web.archive import NEWSLETTER, Paper, paper_of, shown
from digest.web.public import public
from digest.web.site import NUMBER, site_of, visited

PAGE_OF_FOUND = 30
_MOST_ASKED = 200  # characters


@dataclass(frozen=True)
class Asked:
    """What a query asks for: its words as they were typed, and which of what was found was seen already."""

    text: str
    before: int | None

    @classmethod
    def of(cls, request: Request) -> Asked:
        given = request.query_params
        before = given.get("before", "")
        text = " ".join(given.get("q", "").replace("\0", " ").split())[:_MOST_ASKED]
        return cls(text, int(before) if re.fullmatch(NUMBER, before) else None)

    @property
    def words(self) -> list[str]:
        return lexemes.of_question(self.text)


@dataclass(frozen=True)
class Answer:
    """A page of what was found, and where the next one begins."""

    rows: Sequence[finding.Found]
    older: int | None

    @classmethod
    def of(cls, found: Sequence[finding.Found]) -> Answer:
        rows = found[:PAGE_OF_FOUND]
        return cls(rows, rows[-1].story.seq if len(found) > PAGE_OF_FOUND else None)


def search(request: Request) -> Response:
    site, asked = site_of(request), Asked.of(request)
    with site.database.read() as session:
        one = paper_of(site, session, request)
        found = finding.stories(
            session, asked.words, one.id, upto=one.upto, before=asked.before, limit=PAGE_OF_FOUND + 1
        )
    html = shown(
        site,
        "search.html",
        one.said,
        f"{one.path}/search",
        paper=one,
        asked=asked,
        answer=Answer.of(found),
        days=days(one, found),
        now=site.clock(),
    )
    return public(request, html)


def days(one: Paper, found: Sequence[finding.Found]) -> dict[int, str]:
    """The day of each edition, as the newsletter's own clock has it."""
    return {row.number: one.said.date(one.on(row.at)) for row in found}


ROUTES = [Route(f"{NEWSLETTER}/search", visited(search))]
