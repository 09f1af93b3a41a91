"""Memory: every query under the name a person would say, in the order of the line.

`database` opens and upgrades; the others hold the queries: `newsletters`, `feeds`, `stories`, `turns`, `editions`,
`archive`, `people`, `signup`, `imports`, `outbox`, `letters`, `sending`, `refusals`; `room` keeps some of the disk
free, and `clock` mends what a wrong one has stored. All take a session of `Database.read()` or `Database.write()`; the
block's end commits, never a query.
"""

from digest.store import clock as clock
from digest.store.archive import *  # noqa: F403
from digest.store.database import Database as Database
from digest.store.database import head as head
from digest.store.database import open_database as open_database
from digest.store.database import revision as revision
from digest.store.database import shared_now as shared_now
from digest.store.editions import *  # noqa: F403
from digest.store.entries import *  # noqa: F403
from digest.store.feeds import *  # noqa: F403
from digest.store.history import *  # noqa: F403
from digest.store.imports import *  # noqa: F403
from digest.store.letters import *  # noqa: F403
from digest.store.listing import *  # noqa: F403
from digest.store.newsletters import *  # noqa: F403
from digest.store.outbox import *  # noqa: F403
from digest.store.people import *  # noqa: F403
from digest.store.refusals import *  # noqa: F403
from digest.store.relays import *  # noqa: F403
from digest.store.room import Room as Room
from digest.store.sending import *  # noqa: F403
from digest.store.signup import *  # noqa: F403
from digest.store.stories import *  # noqa: F403
from digest.store.suppressions import *  # noqa: F403
from digest.store.turns import *  # noqa: F403
from digest.store.why import *  # noqa: F403
