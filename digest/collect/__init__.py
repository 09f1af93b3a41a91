"""Ask feeds for what is new: politely, within bounds, and none at the cost of another.

`run` is the pass over due feeds; `sources` adds, removes, imports and exports them, `look` finds and mends them;
`guard`, `fetch`, `hosts` and `workers` are how a stranger is asked, `rhythm` decides when and how a feed is doing.
"""

from digest.collect.look import Found as Found
from digest.collect.look import Remedy as Remedy
from digest.collect.look import Repair as Repair
from digest.collect.look import diagnose as diagnose
from digest.collect.look import look as look
from digest.collect.look import repair as repair
from digest.collect.rhythm import Health as Health
from digest.collect.rhythm import Vitals as Vitals
from digest.collect.rhythm import health as health
from digest.collect.run import Change as Change
from digest.collect.run import CollectReport as CollectReport
from digest.collect.run import Failure as Failure
from digest.collect.run import Progress as Progress
from digest.collect.run import run as run
from digest.collect.sources import *  # noqa: F403
