"""Ask feeds for what is new: politely, within bounds, and none at the cost of another.

`run` is the pass over due feeds; `sources` adds, removes, imports and exports feeds; `guard`, `fetch`, `hosts` and
`workers` are how a stranger is asked, `rhythm` decides when and how a feed is doing.
"""

from digest.collect.rhythm import Health as Health
from digest.collect.run import Change as Change
from digest.collect.run import CollectReport as CollectReport
from digest.collect.run import Failure as Failure
from digest.collect.run import Progress as Progress
from digest.collect.run import run as run
from digest.collect.sources import *  # noqa: F403
