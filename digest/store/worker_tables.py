"""The tables of what processes have in common: relays, receivers' domains, hosts, rates, and each other.

Moments in them are seconds since 1970 by the database's clock, which all of them share: a clock that leapt is told by
those who read them (`sharing.sane`), and nothing in here lasts longer than minutes. On SQLite all are empty but
`host_lease`.
"""

from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel


class RelayState(SQLModel, table=True):
    """A relay, for all who send by it. Its row is the lock under which its connections and its rate are divided."""

    __tablename__ = "relay_state"

    relay: str = Field(primary_key=True)
    next_at: float = 0.0  # before which no letter may begin that has no turn yet, where the settings limit its rate
    most: int = 0  # connections that it let us have in all; 0: as many as the settings say
    most_at: float = 0.0  # when that was learnt, or one more was tried
    per_connection: int = 0  # letters that it takes on one; 0 not known
    refuses: dict[str, Any] = Field(sa_type=JSON, default_factory=dict, nullable=False)  # {newsletter: [why, when]}


class RelaySeat(SQLModel, table=True):
    """What one pass of delivery has of a relay, until its lease is over."""

    __tablename__ = "relay_seat"

    relay: str = Field(primary_key=True)
    holder: str = Field(primary_key=True)  # a pass, by a name of its own
    urgent: bool = False  # it sends what somebody waits for
    since: float
    wish: int = 0  # connections that it could use
    seats: int = 0  # that it may have, or has still
    open: int = 0
    among: int = 0  # among how many passes it divides what goes to one domain
    allowance: int = 0  # letters that it may begin, or has begun, and that no hour counts yet
    until: float


class DomainState(SQLModel, table=True):
    """A domain of receivers behind the same relays, as long as it asks for patience or refuses letters."""

    __tablename__ = "domain_state"

    behind: str = Field(primary_key=True)  # names of relays; "": what its servers refused, whoever brought it
    domain: str = Field(primary_key=True)
    pace: dict[str, Any] = Field(sa_type=JSON, default_factory=dict, nullable=False)  # of `deliver.pace.Pace`
    next_at: float = 0.0  # as that of a relay
    taken: int = 0
    refused: int = 0
    gone: int = 0
    ours: int = 0
    at: float  # news of it came last


class WorkerRow(SQLModel, table=True):
    """A process of `digest worker`, while its heart beats."""

    __tablename__ = "worker"

    name: str = Field(primary_key=True)  # host and number of the process
    release: str
    revision: str  # of the tables, that it knows
    queues: str  # with commas
    began: float
    beat: float
    doing: str = ""  # jobs with their numbers, with commas
    done: dict[str, Any] = Field(sa_type=JSON, default_factory=dict, nullable=False)  # jobs by name, since it began


class HostLease(SQLModel, table=True):
    """A stranger's host, and which process asks it now."""

    __tablename__ = "host_lease"
    __table_args__ = ({"sqlite_with_rowid": False},)

    name: str = Field(primary_key=True)
    holder: str = ""  # one run or job, by a name of its own; "": nobody
    until: float = 0.0
    next_at: float = 0.0  # before which whoever has it next begins no request
    wanted: bool = False  # somebody waits for it


class RateWindow(SQLModel, table=True):
    """A minute of somebody's requests, of which each `digest serve` takes some at a time."""

    __tablename__ = "rate_window"
    __table_args__ = ({"sqlite_with_rowid": False},)

    who: str = Field(primary_key=True)
    began: float
    taken: int
