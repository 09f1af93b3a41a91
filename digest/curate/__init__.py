"""What a newsletter makes of entries: topic, story, rank, excerpt, and a reason for each. Values in, values out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest import lazily

if TYPE_CHECKING:
    from digest.config import OTHER as OTHER
    from digest.curate.leading import Paper as Paper
    from digest.curate.leading import beginning as beginning
    from digest.curate.rank import LeftOut as LeftOut
    from digest.curate.rank import Selection as Selection
    from digest.curate.rank import pick as pick
    from digest.curate.sieve import WHOLE as WHOLE
    from digest.curate.sieve import Cut as Cut
    from digest.curate.sieve import Sieve as Sieve
    from digest.curate.title_words import telling as telling
    from digest.curate.topics import Heading as Heading
    from digest.curate.topics import headings as headings
    from digest.curate.topics import titles as titles

lazily.offer(__name__)
