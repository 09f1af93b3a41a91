"""Which stories the variants of an edition carry, and variants as they are written with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import Edition, Variant
from digest.store.filling import fill
from digest.store.story_tables import Story, VariantStory


def add_variants(
    session: Session, edition: Edition, rows: Sequence[dict[str, Any]], stories: Mapping[str, Sequence[int]]
) -> dict[str, int]:
    """Store variants, as rows with a `key` each, and which `stories` (ids, by key) they carry; {key: id}."""
    connection = session.connection()
    connection.execute(sa.insert(Variant), [row | {"edition_id": edition.id} for row in rows])
    query = sa.select(col(Variant.key), col(Variant.id)).where(
        col(Variant.edition_id) == edition.id, col(Variant.key).in_([row["key"] for row in rows])
    )
    ids = {row.key: row.id for row in connection.execute(query)}
    keep_stories(session, {ids[row["key"]]: stories[row["key"]] for row in rows})
    return ids


def keep_stories(session: Session, stories: Mapping[int, Sequence[int]]) -> None:
    """Fill variants (by id) with stories (ids, in order)."""
    rows = [
        {"variant_id": variant_id, "position": position, "story_id": story_id}
        for variant_id, carried in stories.items()
        for position, story_id in enumerate(carried)
    ]
    fill(session, VariantStory.__table__, rows)  # type: ignore[attr-defined]


def change_variant(session: Session, variant_id: int, row: Mapping[str, Any], stories: Sequence[int]) -> None:
    """Put another mail, with other stories (ids, in order), in a variant's place."""
    connection = session.connection()
    connection.execute(sa.update(Variant).where(col(Variant.id) == variant_id).values(**row))
    connection.execute(sa.delete(VariantStory).where(col(VariantStory.variant_id) == variant_id))
    keep_stories(session, {variant_id: stories})


def story_id_at(session: Session, newsletter_id: int, seq: int, *, title: str) -> int | None:
    """The story admitted as number `seq`, if that is its title."""
    query = select(Story.id).where(Story.newsletter_id == newsletter_id, Story.seq == seq, Story.title == title)
    return session.exec(query).first()


def story_ids_at(session: Session, newsletter_id: int, seqs: Collection[int]) -> dict[int, int]:
    """The ids of stories by their numbers of admission; of what is there no more there is none."""
    possible = [seq for seq in seqs if seq < 2**31]  # a larger one is an error to PostgreSQL, and of no story
    query = select(Story.seq, Story.id).where(Story.newsletter_id == newsletter_id, col(Story.seq).in_(possible))
    return {seq: id_ for seq, id_ in session.exec(query) if id_ is not None}


def story_ids(session: Session, variant_id: int) -> list[int]:
    """Its stories in their order."""
    query = select(VariantStory.story_id).where(VariantStory.variant_id == variant_id)
    return list(session.exec(query.order_by(col(VariantStory.position))))


def stories_of(session: Session, edition_id: int) -> list[Story]:
    """Every story that some variant of the edition carries, in the order of the fullest one."""
    query = (
        select(Story, sa.func.min(VariantStory.position))
        .join(VariantStory, col(VariantStory.story_id) == col(Story.id))
        .join(Variant, col(Variant.id) == col(VariantStory.variant_id))
        .where(Variant.edition_id == edition_id)
        .group_by(col(Story.id))
        .order_by(sa.func.min(VariantStory.position), col(Story.id))
    )
    return [story for story, _ in session.exec(query)]
