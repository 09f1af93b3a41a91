"""`digest why`: the reasons kept with a story, and what became of it for one reader."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from digest.cli.common import Options, now, print_facts, print_json
from digest.cli.options import Json, NewsletterName
from digest.errors import NotFound


def why(
    context: typer.Context,
    story: Annotated[str, typer.Argument(metavar="STORY", help="The number of `digest story list`, or a link.")],
    subscriber: Annotated[
        str | None, typer.Option("--subscriber", "-s", metavar="EMAIL", help="What became of it for this reader.")
    ] = None,
    newsletter: NewsletterName = None,
    as_json: Json = False,
) -> None:
    """Say why a story is where it is, or why a reader got it. A link also finds what became no story.

    Example: digest why 231
    Example: digest why 231 --subscriber ada@example.org
    Example: digest why https://example.org/post
    """
    from digest import edition
    from digest.store import newsletters, why

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        name, settings = config.newsletter(newsletter)
        paper = newsletters.find(session, name)
        assert paper.id is not None
        answers: list[dict[str, Any]] = []
        if story.isdecimal():
            answers.append(edition.explain(session, edition.find(session, name, int(story)), settings=settings))
        else:
            fates = why.entries_at(session, paper.id, story)
            if not fates and (words := edition.pruned_words(session, story, paper)):
                raise NotFound(
                    f"nothing is kept of the link {story}: {words}", hint="should it come again, it is not told again"
                )
            if not fates:
                raise NotFound(
                    f"no feed of {name} has an entry with the link {story}",
                    hint="`digest story list` has the numbers, `digest feed list` the feeds",
                )
            told = dict.fromkeys(fate.story_id for fate in fates if fate.story_id is not None)
            answers += [edition.explain(session, edition.find(session, name, id_), settings=settings) for id_ in told]
            answers += [
                edition.explain_entry(fate, settle=config.curate.settle, now=now())
                for fate in fates
                if fate.story_id is None
            ]
        if subscriber is not None:
            for answer in answers:
                if "outcome" in answer:
                    answer["reader"] = answer["why"]
                else:
                    found = edition.find(session, name, answer["id"])
                    answer["reader"] = edition.explain_for(
                        session, paper, found, subscriber, now=now(), settings=settings
                    )
    if as_json:
        print_json(answers[0] if story.isdecimal() else answers)
        return
    for number, answer in enumerate(answers):
        if number:
            print()
        print_facts({"title": answer["title"], subscriber: answer["reader"]} if subscriber else _in_lines(answer))


def _in_lines(answer: dict[str, Any]) -> dict[str, Any]:
    """Nested reasons as one line each."""
    if "outcome" in answer:
        return answer
    return answer | {
        "topic_words": ", ".join(f"{word} {weight:+.2f}" for word, weight in answer["topic_words"].items()),
        "told_by": "; ".join(f"{t['feed']} ({t['why']})" for t in answer["told_by"]),
        "related": "; ".join(f"{r['title']} ({r['why']})" for r in answer["related"]),
        "rank_parts": ", ".join(f"{part} {worth:g}" for part, worth in answer["rank_parts"].items()),
        "independent": ", ".join(answer["independent"]),
        "linked_by": ", ".join(answer["linked_by"]),
        "editions": ", ".join(map(str, answer["editions"])),
        "left_out": "; ".join(f"of {edition}: {why}" for edition, why in answer["left_out"].items()),
    }
