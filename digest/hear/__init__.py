"""Hear: what came back. Mails are understood, believed where they prove a letter of ours, and something follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest import lazily

if TYPE_CHECKING:
    from digest.hear.happened import Happened as Happened
    from digest.hear.happened import happened as happened
    from digest.hear.policy import Act as Act
    from digest.hear.report import Failed as Failed
    from digest.hear.report import Kind as Kind
    from digest.hear.report import Reason as Reason
    from digest.hear.report import Report as Report
    from digest.hear.report import Returned as Returned
    from digest.hear.run import Bounds as Bounds
    from digest.hear.run import CameBefore as CameBefore
    from digest.hear.run import Readings as Readings
    from digest.hear.run import Rooms as Rooms
    from digest.hear.run import accept as accept
    from digest.hear.run import believe as believe
    from digest.hear.run import prune as prune
    from digest.hear.run import read as read
    from digest.hear.run import undo as undo
    from digest.hear.sources import Given as Given
    from digest.hear.sources import Incoming as Incoming
    from digest.hear.sources import Source as Source
    from digest.hear.sources import opened as opened
    from digest.hear.sources import stdin as stdin
    from digest.hear.understand import understand as understand

lazily.offer(__name__)
