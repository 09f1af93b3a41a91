"""Deliver: claim letters, hand them to the mail servers, settle the replies. Nobody twice, nobody lost.

`run` is one pass over all newsletters (`papers`). `delivery` lets the others talk: `lanes` (each newsletter's own way,
so that none holds up another), `in_hand` (what is claimed; `canary`: what goes first), `domains`
and `pace` (how fast), `relays`, `smtp` and `login` (the servers), `replies` (what one reply means), `judge` (whose
trouble many are), `booking`, `ledger` and `writer` (what is written down), `content` (the letters). `maildir` keeps
letters while no server is set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest import lazily

if TYPE_CHECKING:
    from digest.deliver.content import for_one as for_one
    from digest.deliver.papers import Papers as Papers
    from digest.deliver.papers import Relays as Relays
    from digest.deliver.replies import retry_delay as retry_delay
    from digest.deliver.report import Done as Done
    from digest.deliver.report import Progress as Progress
    from digest.deliver.report import Report as Report
    from digest.deliver.run import end_quarantine as end_quarantine
    from digest.deliver.run import run as run
    from digest.deliver.shares import ALL as ALL
    from digest.deliver.shares import NOTICES as NOTICES
    from digest.deliver.shares import Share as Share
    from digest.deliver.single import send_one as send_one

lazily.offer(__name__)
