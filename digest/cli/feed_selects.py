"""What `digest feed add` and `digest feed set` say of a page that is no feed: where its entries are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from digest.cli.common import now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlmodel import Session

    from digest.models import Feed
    from digest.parse import Recipe


def selections(
    item: str | None,
    title: str | None,
    link: str | None,
    date: str | None,
    text: str | None,
    **others: str | None,
) -> dict[str, str]:
    """What was given of the options, by the names of a recipe's parts."""
    given = {"item": item, "title": title, "link": link, "date": date, "text": text}
    given |= {name.rstrip("_"): value for name, value in others.items()}
    return {name: value.strip() for name, value in given.items() if value is not None}


def recipe_of(selects: Mapping[str, str], before: Recipe | None = None) -> Recipe | None:
    """The recipe that was chosen, changed from the one `before`; None where it is a feed. Raises BadInput."""
    from digest.errors import BadInput
    from digest.parse import Recipe

    if not selects:
        return before
    if selects.get("item") == "":
        return None
    if before is None and "item" not in selects:
        raise BadInput("where the entries are is not said", hint="--select 'article', and then its parts")
    kind, said = before.kind if before else "html", dict(selects)
    if "item" in said:
        kind, item = _kind(said["item"])
        said["item"] = item
    found = replace(before, **said, kind=kind) if before else Recipe(**said, kind=kind)
    if not found.item:
        raise BadInput("where the entries are is not said", hint="e.g. --select 'article'")
    found.check()
    return found


def _kind(item: str) -> tuple[str, str]:
    for kind in ("json", "xml"):
        if item.startswith(f"{kind}:"):
            return kind, item.removeprefix(f"{kind}:") or "$"
    return "html", item


def set_selections(session: Session, feed: Feed, selects: Mapping[str, str]) -> str:
    """Change what a stored feed is read by; what was done, in words. Raises BadInput."""
    from digest import collect
    from digest.parse import Recipe

    recipe = recipe_of(selects, Recipe.of(feed.recipe))
    collect.read_by(feed, recipe, now=now())
    session.add(feed)
    how = f"as a page: {', '.join(f'{k} {v!r}' for k, v in recipe.told().items())}" if recipe else "as a feed"
    return f"feed {feed.id}, {feed.title or feed.url}, is read {how}"
