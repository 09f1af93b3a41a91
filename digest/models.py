"""The tables: what we remember. Rows stay inside a session; steps hand each other frozen values.
Here are those that nearly every command asks; a start pays for each. The others are in `store/…_tables.py`.

feed ── entry ──┐── full_text, entry_picture   robots   picture_file   summary
  ├ websub      │
  └ newsletter_feed ─ newsletter ── admission ── story ── variant_story ── variant ── edition ── refusal_count
                          ├ former_name, feed_list, feed_seen, learned, undecided ── entry
                          └ subscription ── subscriber ── outbox ── variant   suppression  import_change ── list_import
                                          ├ consent     └ notice       erasure    relay_hour    signup_mail    run_day
          └ signup_wait             mail_report ── outbox       signup_refusal    host           mail_source
api_key ── api_answer   webhook ── webhook_event   alert   alert_telling
installation              witnessed_entry                                  mail_feed ── feed
run   tally   pruning   pruned_mark   edition ── letter_roll   arrival, lasting_id ── newsletter   archive_words
worker   relay_state   relay_seat   domain_state   host_lease   rate_window               story_word
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Index,
    MetaData,
    UniqueConstraint,
    text,
)
from sqlalchemy import false as sa_false
from sqlmodel import Field, SQLModel

from digest.column_types import Packed, PackedJson, letter_field, only
from digest.column_types import UtcTime as UtcTime
from digest.column_types import json_field as _json
from digest.column_types import packed as packed
from digest.column_types import state_field as _state
from digest.column_types import time_field as _time
from digest.taste import Tasting

# Named constraints, so that a migration can alter them on both databases.
SQLModel.metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# Rows of tables are not validated; what would do it is made where a row is written out as a whole, which is seldom.
SQLModel.model_config["defer_build"] = True


# ---------------------------------------------------------------- feeds


class FeedState(StrEnum):
    ACTIVE = "active"
    RETIRED = "retired"  # the server said 410, or the operator did


class Feed(SQLModel, table=True):
    """A source we ask for entries (RFC 4287 calls it a feed, whatever its format)."""

    __tablename__ = "feed"

    id: int | None = Field(default=None, primary_key=True)
    url: str = Field(unique=True)
    host: str = Field(default="", index=True)  # of `url`
    answered_by: str = Field(default="", sa_column_kwargs={"server_default": ""})  # the host after redirects
    title: str = ""  # as it is shown: the operator's, where their list had another than the publisher's
    published_title: str = Field(default="", sa_column_kwargs={"server_default": ""})  # as the feed itself says
    site_url: str = ""
    language: str = ""
    state: FeedState = _state(FeedState, default=FeedState.ACTIVE)
    added_at: datetime = _time()
    # How it is asked, where otherwise than the settings say.
    headers: dict[str, str] = _json(default_factory=dict)  # secret: sent with each request, never shown
    proxy: str = Field(default="", sa_column_kwargs={"server_default": ""})  # secret, "none": without one
    ca_file: str = Field(default="", sa_column_kwargs={"server_default": ""})  # trusted for its own origin only
    interval_minutes: int = Field(default=0, sa_column_kwargs={"server_default": "0"})  # 0: as its rhythm is
    # How it is read, in all newsletters.
    full_text: bool = Field(default=False, sa_column_kwargs={"server_default": sa_false()})  # its stubs are followed
    weight: float | None = Field(default=None, nullable=True)  # added to a rank, in place of that of the settings
    keep: list[str] = _json(default_factory=list, sa_column_kwargs={"server_default": "[]"})  # see curate.feed_rules
    drop: list[str] = _json(default_factory=list, sa_column_kwargs={"server_default": "[]"})
    # Where it has been: [{"url", "until"}]; and where a permanent redirect led once, until a second run agrees.
    former_urls: list[dict[str, str]] = _json(default_factory=list)
    moved_to: str = ""
    # What the last answer told us, for the next conditional request (RFC 9110 §13).
    etag: str = ""
    last_modified: str = ""
    body_hash: str = ""
    # When to ask. A claim sets both: `next_at` keeps other runs away, `claimed_at` those that ask regardless.
    next_at: datetime = _time(index=True)  # not asked before this moment; also the lease of who is asking
    claimed_at: datetime | None = _time(default=None, nullable=True)
    ttl_seconds: int = 0  # how long its publisher asks us to wait, 0 unsaid
    skip: list[str] = _json(default_factory=list)  # when it has nothing new, UTC: "h0" to "h23", "d0" (Monday) to "d6"
    gap_seconds: int = 0  # usual time between two entries, 0 unknown
    entry_at: datetime | None = _time(default=None, nullable=True)  # of the newest entry
    # Health.
    checked_at: datetime | None = _time(default=None, nullable=True, index=True)  # who was asked longest ago is first
    ok_at: datetime | None = _time(default=None, nullable=True)
    failing_since: datetime | None = _time(default=None, nullable=True)
    failures: int = 0  # in a row
    error: str = ""  # the last one, in words
    trouble: list[str] = _json(default_factory=list, sa_column_kwargs={"server_default": "[]"})  # see ParsedFeed
    told: str = ""  # the health that the operator was told of last
    # Who its entries are (see `digest.identity`): the operator's choice, "" for AUTO; what it was seen to do; and the
    # ids of the entries that were in it last.
    identity: str = Field(default="", sa_column_kwargs={"server_default": ""})
    evidence: dict[str, Any] = _json(default_factory=dict, sa_column_kwargs={"server_default": "{}"})
    window: list[int] = _json(default_factory=list, sa_column_kwargs={"server_default": "[]"})
    entry_count: int = Field(default=0, sa_column_kwargs={"server_default": "0"})  # how many came
    settle_minutes: float | None = Field(default=None, nullable=True)  # in place of that of the settings
    # How its entries are found where it is no feed but a page (see `parse.recipes`); {} for a feed.
    recipe: dict[str, str] = _json(default_factory=dict, sa_column_kwargs={"server_default": "{}"})


class Host(SQLModel, table=True):
    """A server that asked us for something, by its host (that answered, after redirects) or by its address."""

    __tablename__ = "host"

    name: str = Field(primary_key=True)
    held_until: datetime | None = _time(default=None, nullable=True)  # as it said, no longer
    pace_seconds: float = 0  # between two requests, as it said or as was learnt; 0 not known
    asked_at: datetime | None = _time(default=None, nullable=True)  # last, where it has a pace
    said: str = ""  # in words, what this was learnt from
    said_at: datetime | None = _time(default=None, nullable=True)


# ---------------------------------------------------------------- newsletters


class Newsletter(SQLModel, table=True):
    """The standing thing. Its settings are in digest.toml; here is what must be counted."""

    __tablename__ = "newsletter"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    seq: int = 0  # of the story admitted last
    edition_number: int = 0  # of the edition composed last
    slot_at: datetime = _time()  # the slot that was looked at last, or when the newsletter began
    note: str = ""  # the editor's, for the edition to come


class NewsletterFeed(SQLModel, table=True):
    """A newsletter reads a feed; `topic` is set where all its entries belong under one heading."""

    __tablename__ = "newsletter_feed"

    newsletter_id: int = Field(foreign_key="newsletter.id", primary_key=True, ondelete="CASCADE")
    feed_id: int = Field(foreign_key="feed.id", primary_key=True, index=True, ondelete="CASCADE")
    topic: str = ""
    folder: str = ""  # the OPML folders it came from, joined by "/"
    # Where it stood in the list it came from, for export: [{"folders", "topics", "description"}]
    places: list[dict[str, Any]] = _json(default_factory=list, sa_column_kwargs={"server_default": "[]"})
    added_at: datetime = _time()


# ---------------------------------------------------------------- editions


UNFOUND = text("NOT findable AND state = 'open'")
LAYING_OUT = text("laying_out")


class EditionState(StrEnum):
    """held → open ⇄ paused, and from each → cancelled. Letters are claimed from open editions only."""

    HELD = "held"  # composed, waits for the editor; or being laid out
    OPEN = "open"
    PAUSED = "paused"
    CANCELLED = "cancelled"


class Edition(SQLModel, table=True):
    """One issue of a newsletter, frozen when composed."""

    __tablename__ = "edition"
    __table_args__ = (
        UniqueConstraint("newsletter_id", "number"),
        UniqueConstraint("newsletter_id", "slot_at"),
        CheckConstraint("NOT laying_out OR state <> 'open'", name="laid_out_before_open"),
        Index("ix_edition_upto", "newsletter_id", "upto_seq", "number"),
        # Those with letters that have not ended, or that nobody has counted yet.
        Index("ix_edition_live", "id", info=only("tally IS NULL")),
        Index("ix_edition_unfound", "id", info=only(UNFOUND)),
        Index("ix_edition_laying_out", "newsletter_id", info=only(LAYING_OUT)),
        Index("ix_edition_unsaid", "id", info=only("tally IS NOT NULL AND last_at IS NULL")),
    )

    id: int | None = Field(default=None, primary_key=True)
    newsletter_id: int = Field(foreign_key="newsletter.id", ondelete="CASCADE")
    number: int
    slot_at: datetime | None = _time(default=None, nullable=True)  # None: no schedule, cron is the schedule
    composed_at: datetime = _time()
    title: str = Field(default="", sa_column_kwargs={"server_default": ""})  # of the newsletter then, in List-Id
    upto_seq: int
    note: str = ""  # the editor's
    state: EditionState = _state(EditionState, default=EditionState.OPEN)
    state_reason: str = ""  # why it is held, paused or cancelled
    open_at: datetime | None = _time(default=None, nullable=True)  # a held edition opens by itself then
    sender: str  # From:, Reply-To: and the domain of Message-ID stay what they were, at every attempt
    reply_to: str = ""
    pruned: bool = Field(default=False, sa_column_kwargs={"server_default": sa_false()})  # see `store.pruning`
    # Its letters by state, once all of them have ended, see `store.tallies`; None while one has not.
    tally: dict[str, int] | None = Field(default=None, sa_type=JSON(none_as_null=True), nullable=True)
    last_at: datetime | None = _time(default=None, nullable=True)  # of a counted one: no letter was tried later
    # Its letters are being written, in steps, and nobody may have one yet: see `edition.laying_out`. It is held
    # meanwhile, as older releases understand it, and the database lets nobody open it.
    laying_out: bool = Field(default=False, sa_column_kwargs={"server_default": sa_false()})
    # Whether its stories can be found by their words, see `store.finding`.
    findable: bool = Field(default=False, sa_column_kwargs={"server_default": sa_false()})


class Variant(SQLModel, table=True):
    """An edition as rendered for one set of choices. Personal links are markers, with a nonce of its own."""

    __tablename__ = "variant"
    __table_args__ = (
        UniqueConstraint("edition_id", "key"),
        Index("ix_variant_letters", "edition_id", "letters"),
        Index("ix_variant_fullest", "edition_id", "story_count", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    edition_id: int = Field(foreign_key="edition.id", ondelete="CASCADE")
    key: str  # a hash of the choices
    since_seq: int
    chosen_from: dict[str, int] = _json(default_factory=dict, sa_column_kwargs={"server_default": "{}"})
    topics: list[str] = _json(default_factory=list)  # [] is all
    language: str = Field(default="", sa_column_kwargs={"server_default": ""})  # "" is the newsletter's
    plain: bool = Field(default=False, sa_column_kwargs={"server_default": sa_false()})  # sent as text alone
    max_stories: int = Field(default=0, sa_column_kwargs={"server_default": "0"})  # its readers' maximum, 0 for none
    muted: list[int] = _json(default_factory=list, sa_column_kwargs={"server_default": "[]"})  # seqs left out for them
    moved: list[list[int]] = _json(default_factory=list, sa_column_kwargs={"server_default": "[]"})  # [seq, level]
    subject: str
    html: str = Field(sa_type=Packed)
    text: str = Field(sa_type=Packed)
    marks: str = Field(default="", sa_column_kwargs={"server_default": ""})  # the nonce; "" of a release without
    story_count: int
    more_count: int
    # [story id, why] of what was due and did not fit
    left_out: list[list[Any]] = Field(default_factory=list, sa_type=PackedJson, nullable=False)
    letters: int = 0  # how many were owed when it was composed: what `digest audit` holds the outbox to
    attached: list[str] = _json(default_factory=list, sa_column_kwargs={"server_default": "[]"})  # pictures in its mail


# ---------------------------------------------------------------- people


def address_key(email: str) -> str:
    """What makes two addresses one person: the address in small letters.

    RFC 5321 §2.4 lets a mailbox tell `Ada` from `ada`; none in use does, and people type both. Letters go to the
    address as it was given; who somebody is, and whether we may write, is asked by key. Not `casefold`: ß is not ss.
    """
    return email.lower()


def _own_key(context: Any) -> str:
    return address_key(context.get_current_parameters()["email"])


class Subscriber(SQLModel, table=True):
    """A person: one row per address, however its letters are cased."""

    __tablename__ = "subscriber"

    id: int | None = Field(default=None, primary_key=True)
    email: str  # where letters go: domain in small letters and IDNA, local part as given; see subscribe.address
    key: str = Field(default=None, unique=True, nullable=False, sa_column_kwargs={"default": _own_key})
    name: str = ""
    tags: list[str] = _json(default_factory=list, nullable=False)  # the operator's words about them, sorted
    fields: dict[str, str] = _json(default_factory=dict, nullable=False, sa_column_kwargs={"server_default": "{}"})
    created_at: datetime = _time()


class SubscriptionState(StrEnum):
    """pending → active ⇄ paused, and from each → unsubscribed. Letters are composed for active ones only."""

    PENDING = "pending"  # they have not confirmed that they want it
    ACTIVE = "active"
    PAUSED = "paused"  # until `paused_until`, or until they say so
    UNSUBSCRIBED = "unsubscribed"


class Subscription(Tasting, SQLModel, table=True):
    """A person's consent and choices for one newsletter."""

    __tablename__ = "subscription"
    __table_args__ = (
        UniqueConstraint("subscriber_id", "newsletter_id"),
        Index("ix_subscription_due", "newsletter_id", "state", "read_until"),
        Index("ix_subscription_taste", "newsletter_id", "taste_key", info=only("taste_key <> ''")),
        # SQLite would give the number of one that was deleted last to the next, and with it all links in their mail.
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    subscriber_id: int = Field(foreign_key="subscriber.id", ondelete="CASCADE")
    newsletter_id: int = Field(foreign_key="newsletter.id", ondelete="CASCADE")
    state: SubscriptionState = _state(SubscriptionState, default=SubscriptionState.ACTIVE)
    paused_until: datetime | None = _time(default=None, nullable=True)
    topics: list[str] = _json(default_factory=list)  # sorted slugs; [] is all
    # When they want it, as `schedule` says it; what is unsaid is as the newsletter has it.
    cadence: str = Field(default="", sa_column_kwargs={"server_default": ""})
    hour: int | None = None  # local time, 0 to 23
    zone: str = Field(default="", sa_column_kwargs={"server_default": ""})  # IANA name, as in Europe/Berlin
    language: str = Field(default="", sa_column_kwargs={"server_default": ""})  # BCP 47, of the fixed words
    plain: bool = Field(default=False, sa_column_kwargs={"server_default": sa_false()})  # text without HTML
    # A maximum, mutes and leanings as `taste.Taste` has them, and the key by which those of the same taste are found.
    taste: dict[str, Any] = _json(default_factory=dict, sa_column_kwargs={"server_default": "{}"})
    taste_key: str = Field(default="", sa_column_kwargs={"server_default": ""})
    read_until: int = 0  # the seq up to which stories were offered
    # Up to which seq a topic that they chose later told nothing to them; "*" is each that is not named.
    chosen_from: dict[str, int] = _json(default_factory=dict, sa_column_kwargs={"server_default": "{}"})
    # They have come, and the latest edition is to be rendered for their choices: see `edition.welcome`.
    awaits_welcome: bool = Field(default=False, sa_column_kwargs={"server_default": sa_false()})
    offered_at: datetime | None = _time(default=None, nullable=True)  # their own slot that the last letter was for
    consent: str = ""  # how they came to be here: "command line", "import FILE", …
    created_at: datetime = _time()
    changed_at: datetime = _time()  # of the state
    # When the latest of those of their letters was taken that are in rolls, and that nothing came back of.
    arrived_at: datetime | None = _time(default=None, nullable=True)


class Suppression(SQLModel, table=True):
    """An address we will not write to, or a whole domain (its key is `@example.org`), and why."""

    __tablename__ = "suppression"

    key: str = Field(primary_key=True)  # of `address_key`: join it with Subscriber.key, see `suppressions.bars`
    reason: str
    status: str = ""  # the enhanced status code (RFC 3463) that decided it
    created_at: datetime = _time()


# ---------------------------------------------------------------- outbox


class OutboxState(StrEnum):
    """owed → claimed → sending → sent | refused | held, and back to owed when deferred.

    From owed and claimed also → dropped. What was merely claimed when its sender died is owed as before; what was
    sending is in doubt.
    """

    OWED = "owed"
    CLAIMED = "claimed"  # a sender has it until `due_at`, and has not begun
    SENDING = "sending"  # an attempt is under way, and its body may be on the wire, until `due_at`
    SENT = "sent"
    REFUSED = "refused"  # 5yz, or its lifetime ran out
    DROPPED = "dropped"  # consent ended before the claim, or the edition was cancelled
    HELD = "held"  # in doubt after a crash and `after_crash = "hold"`: a person decides


class Notice(SQLModel, table=True):
    """The content of a letter that belongs to no edition: a confirmation, a note to the editor.

    Its outbox row owns the state. It goes with the subscription it is about, so an erased person leaves none.
    """

    __tablename__ = "notice"

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)  # what it is for: the same key twice is one letter
    email: str
    address: str = Field(index=True)  # `address_key(email)`: join it with Suppression.key
    name: str = ""
    sender: str  # From:
    subject: str
    text: str
    html: str = ""
    subscription_id: int | None = Field(default=None, foreign_key="subscription.id", index=True, ondelete="CASCADE")
    created_at: datetime = _time()  # also in its Message-ID


# Letters that ended otherwise than delivered. Queries say it in the same words.
UNHAD = text("settled_at IS NOT NULL AND state <> 'sent'")


class OutboxRow(SQLModel, table=True):
    """A letter owed to one person: of an edition, or a notice.

    The unique constraint is the promise that nobody gets an edition twice.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("edition_id", "subscriber_id"),
        CheckConstraint("(notice_id IS NULL) = (edition_id IS NOT NULL)", name="edition_or_notice"),
        CheckConstraint("(variant_id IS NULL) = (edition_id IS NULL)", name="variant_of_edition"),
        # What is not settled, by whose it is: a claim reads the head of one edition and nothing else, and those of one
        # moment variant by variant, since what each says is made once then.
        Index("ix_outbox_due", "edition_id", "due_at", "variant_id", "id", info=only("settled_at IS NULL")),
        # And of notices, by the newsletter whose relays carry them.
        Index(
            "ix_outbox_notices",
            "newsletter_id",
            "due_at",
            "id",
            info=only("settled_at IS NULL AND edition_id IS NULL"),
        ),
        # The few that wait for a person, who is told of them at each run.
        Index("ix_outbox_held", "id", info=only("state = 'held'")),
        # What was not delivered, and what a server may have taken without our hearing of it: few of all.
        Index("ix_outbox_unhad", "state", "id", info=only(UNHAD)),
        Index("ix_outbox_doubt", "id", info=only("in_doubt")),
        # SQLite would give the number of one that was deleted last to the next, and with it the bounces of that one.
        {"sqlite_autoincrement": True},
    )

    id: int | None = letter_field(default=None, primary_key=True)
    edition_id: int | None = Field(default=None, foreign_key="edition.id", ondelete="CASCADE", nullable=True)
    variant_id: int | None = Field(
        default=None, foreign_key="variant.id", index=True, ondelete="CASCADE", nullable=True
    )
    notice_id: int | None = Field(default=None, foreign_key="notice.id", unique=True, ondelete="CASCADE", nullable=True)
    newsletter_id: int | None = None  # of a notice; an edition knows its own
    # None once the person is erased: the letter stays, so that the sums of its edition do.
    subscriber_id: int | None = Field(
        default=None, foreign_key="subscriber.id", index=True, ondelete="SET NULL", nullable=True
    )
    subscription_id: int | None = Field(
        default=None, foreign_key="subscription.id", index=True, ondelete="SET NULL", nullable=True
    )
    state: OutboxState = _state(OutboxState, default=OutboxState.OWED)
    due_at: datetime = _time()  # when it may be claimed; while claimed or sending, when the lease runs out
    attempts: int = 0
    created_at: datetime = _time()
    tried_at: datetime | None = _time(default=None, nullable=True)  # the first attempt: its lifetime counts from here
    # Its Date: the first attempt that may have reached a server. Its lifetime may start over, this stays.
    dated_at: datetime | None = _time(default=None, nullable=True)
    settled_at: datetime | None = _time(default=None, nullable=True)  # set in the final states only
    code: int = 0  # the last SMTP reply
    reply: str = ""  # its text, or why it was dropped
    in_doubt: bool = False  # an attempt ended without a reply: the server may have taken it
    relay: str = Field(default="", sa_column_kwargs={"server_default": ""})  # whose that reply is, by its name
    # What its reader was called before, where that changed while it was on its way; None nearly always.
    named: str | None = None


class RelayHour(SQLModel, table=True):
    """How many letters a relay took in one hour, for limits that outlive the process."""

    __tablename__ = "relay_hour"

    relay: str = Field(primary_key=True)  # host:port, without who logs in
    hour: datetime = Field(sa_type=UtcTime, primary_key=True)
    letters: int = 0
