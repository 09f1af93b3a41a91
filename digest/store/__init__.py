"""Memory: every query in the room of its noun, and addressed by it: `from digest.store import outbox`.

`database` opens and upgrades; the others hold the queries, here in the order of the line: `newsletters`, `feeds`,
`entries`, `stories`, `why`; `recipients`, `editions`, `edition_stories`, `archive`; `people`, `history`, `listing`,
`suppressions`, `erasures`, `signup`, `imports`; `outbox`, `letters`, `edition_states`, `refusals`, `relays`; `keys`,
`once`, `hooks` of the API.
`witness` tells a `journal` outside the database what goes out, `restores` goes on from a copy by it, `backups` makes
one. `upgrades`, `soundness` and `copies` are of the database as a whole, whose tables are in `schema`. `alerts` and
`weekly` are for the operator. `disk_space` keeps some of the disk free, and `clock` mends what a wrong one has stored.
All take a session of `Database.read()` or `Database.write()`; the block's end commits, never a query.
"""

from digest.store.database import Database as Database
from digest.store.database import open_database as open_database
