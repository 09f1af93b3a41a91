"""The API's newsletters and editions: what the public archive shows, and never what is one reader's own."""

from __future__ import annotations

from dataclasses import asdict

from digest import curate
from digest.store import archive
from digest.values import Story
from digest.web import api_shapes as shapes
from digest.web.api_calls import Answer, Call, Endpoint
from digest.web.api_problem import Problem
from digest.web.archive import paper_of
from digest.web.frozen import as_text, in_browser
from digest.web.health import trouble
from digest.web.site import Site


def newsletters(call: Call) -> Answer:
    items = [
        shapes.NewsletterShape(
            name=name,
            title=settings.title,
            language=settings.language,
            about=settings.about,
            topics={slug: heading.title for slug, heading in curate.headings(settings.topics).items()},
        )
        for name, settings in call.site.config.newsletters.items()
        if call.asker.covers(name)
    ]
    return Answer(200, shapes.Newsletters(items=items))


def editions(call: Call) -> Answer:
    query: shapes.Editions = call.query
    paper = paper_of(call.site, call.session, call.request)
    found = archive.editions(call.session, paper.id, before=query.before, limit=query.limit + 1)
    items = [_line(call.site, paper.name, one) for one in found[: query.limit]]
    return Answer(200, shapes.EditionPage(items=items, next=items[-1].number if len(found) > query.limit else None))


def edition(call: Call) -> Answer:
    paper, number = paper_of(call.site, call.session, call.request), int(call.request.path_params["number"])
    found = archive.edition(call.session, paper.id, number)
    if found is None and archive.cancelled(call.session, paper.id, number):
        raise Problem(410, "this edition was cancelled, and will not come again")
    if found is None:
        raise Problem(404, "there is no such edition in the archive")
    frozen = archive.frozen(call.session, found.variant_id) if found.variant_id else None
    line = _line(call.site, paper.name, found)
    shown = shapes.EditionShape(
        number=line.number,
        at=line.at,
        subject=line.subject,
        url=line.url,
        stories=[_story(story) for story in archive.told_in(call.session, found)],
        html=in_browser(call.site, paper.name, number, frozen) if frozen else "",
        text=as_text(call.site, paper.name, number, frozen) if frozen else "",
    )
    return Answer(200, shown)


def health(call: Call) -> Answer:
    wrong = trouble(call.site)
    return Answer(503 if wrong else 200, shapes.Health(status="unavailable" if wrong else "ok", detail=wrong))


def _line(site: Site, name: str, found: archive.OpenEdition) -> shapes.EditionLine:
    return shapes.EditionLine(
        number=found.number,
        at=found.at,
        subject=found.subject,
        stories=found.stories,
        url=f"{site.base_of(name)}/newsletters/{name}/editions/{found.number}",
    )


def _story(story: Story) -> shapes.Story:
    same = ("title", "url", "topic", "source", "excerpt", "summary", "language", "image_url")
    return shapes.Story(
        **{name: getattr(story, name) for name in same},
        author=story.writer,
        reading_minutes=story.reading_minutes,
        published_at=story.published_at,
        dated=story.dated,
        withdrawn=story.withdrawn,
        also=[shapes.Source(title=one.title, url=one.url) for one in story.also],
        recording=shapes.Recording(**asdict(story.recording)) if story.recording else None,
    )


_EDITIONS = "/newsletters/{newsletter}/editions"
_READ = ("editions:read",)

ENDPOINTS = (
    Endpoint(
        "GET", "/newsletters", newsletters, "The newsletters that the key is for", {200: ("They.", shapes.Newsletters)}
    ),
    Endpoint(
        "GET",
        _EDITIONS,
        editions,
        "List editions, the newest first",
        {200: ("Some of them.", shapes.EditionPage)},
        verbs=_READ,
        query=shapes.Editions,
    ),
    Endpoint(
        "GET",
        _EDITIONS + "/{number}",
        edition,
        "Read an edition as the archive shows it",
        {200: ("The edition.", shapes.EditionShape), 410: ("It was cancelled.", shapes.ProblemShape)},
        verbs=_READ,
    ),
    Endpoint(
        "GET",
        "/health",
        health,
        "Is it well?",
        {200: ("It is.", shapes.Health), 503: ("It is not, and why.", shapes.Health)},
        public=True,
    ),
)
