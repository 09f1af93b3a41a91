"""What one reader was sent, behind their signed link: each of their letters, and their stories by words."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from digest.store import finding
from digest.web.preferences import PREFERENCES
from digest.web.readers import page, reader_of
from digest.web.search import PAGE_OF_FOUND, Answer, Asked
from digest.web.site import site_of

PAGE_OF_LETTERS = 20


def show(request: Request) -> Response:
    site, asked = site_of(request), Asked.of(request)
    with site.database.read() as session:
        reader = reader_of(site, session, PREFERENCES, request)
        if reader is None:
            return site.unknown(request)
        letters = finding.Letters([], None)
        found: list[finding.Found] = []
        if asked.words:
            found = finding.stories_sent(
                session,
                asked.words,
                reader.subscription.newsletter_id,
                reader.id,
                before=asked.before,
                limit=PAGE_OF_FOUND + 1,
            )
        else:
            letters = finding.letters(session, reader.id, before=asked.before, limit=PAGE_OF_LETTERS)
    rows = [replace(one, subject=one.subject.removeprefix(f"{reader.title}: ")) for one in letters.found]
    moments = {one.number: one.at for one in letters.found} | {one.number: one.at for one in found}
    return page(
        site,
        reader,
        "had.html",
        here=site.path_of(PREFERENCES, reader.id, reader.newsletter),
        editions=f"{site.root if site.shows(reader.newsletter) else site.base_of(reader.newsletter)}"
        f"/editions/{reader.newsletter}",
        asked=asked,
        letters=rows,
        answer=Answer.of(found),
        older=letters.older,
        days={number: reader.said.date(at.astimezone(reader.zone)) for number, at in moments.items()},
        nt=reader.said.ngettext,
        now=site.clock(),
    )


ROUTES = [Route("/preferences/{token}/sent", show)]
