"""Ask feeds for what is new: politely, within bounds, and none at the cost of another.

`run` is the pass over due feeds; `sources` adds, removes, imports and exports them, `look` finds and mends them;
`guard`, `fetch`, `hosts` and `workers` are how a stranger is asked, `rhythm` decides when and how a feed is doing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest import lazily

if TYPE_CHECKING:
    from digest.collect.ahead import full_texts as full_texts
    from digest.collect.ahead import picture_of as picture_of
    from digest.collect.ahead import pictures_of as pictures_of
    from digest.collect.bounds import Bounds as Bounds
    from digest.collect.full_text import read_full_texts as read_full_texts
    from digest.collect.lists import Plan as Plan
    from digest.collect.lists import gather as gather
    from digest.collect.lists import refresh as refresh
    from digest.collect.look import Found as Found
    from digest.collect.look import Remedy as Remedy
    from digest.collect.look import Repair as Repair
    from digest.collect.look import Wish as Wish
    from digest.collect.look import diagnose as diagnose
    from digest.collect.look import look as look
    from digest.collect.look import repair as repair
    from digest.collect.pictures import read_pictures as read_pictures
    from digest.collect.report import Change as Change
    from digest.collect.report import CollectReport as CollectReport
    from digest.collect.report import Failure as Failure
    from digest.collect.report import FullTextReport as FullTextReport
    from digest.collect.report import PictureReport as PictureReport
    from digest.collect.report import Progress as Progress
    from digest.collect.rhythm import Health as Health
    from digest.collect.rhythm import Vitals as Vitals
    from digest.collect.rhythm import health as health
    from digest.collect.run import Batch as Batch
    from digest.collect.run import run as run
    from digest.collect.sources import Added as Added
    from digest.collect.sources import ImportReport as ImportReport
    from digest.collect.sources import add as add
    from digest.collect.sources import add_feed as add_feed
    from digest.collect.sources import ask_so as ask_so
    from digest.collect.sources import export_feeds as export_feeds
    from digest.collect.sources import exported as exported
    from digest.collect.sources import import_feeds as import_feeds
    from digest.collect.sources import read_by as read_by
    from digest.collect.sources import remove_feed as remove_feed
    from digest.collect.sources import topic_of as topic_of
    from digest.collect.websub import ask_hubs as ask_hubs

lazily.offer(__name__)
