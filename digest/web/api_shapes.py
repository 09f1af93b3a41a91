"""The shapes of what the API takes and gives, as pydantic models: by them requests are judged and described.

What a reader chooses is taken from `subscribe.Preferences`, so that a choice that is added there is here too.
"""

from __future__ import annotations

import ipaddress
import types
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from digest.models import Subscriber, Subscription
from digest.subscribe import Changes, Preferences

_MOST = 100  # of what is a list
_LONGEST = 200  # characters of what is a line
_INT = 2**31 - 1
_WORDS = {
    "topics": "slugs of the newsletter's topics; none is all",
    "cadence": "daily, weekdays, `weekly mon`, `fortnightly mon`, `monthly 1`, `monthly last fri`; empty is each one",
    "hour": "0 to 23 on the clock of `zone`; null is when the edition comes",
    "zone": "IANA name, as in Europe/Berlin; empty is the newsletter's",
    "language": "of dates and fixed words; empty is the newsletter's",
    "format": "text alone, or HTML beside it",
}

State = Literal["pending", "active", "paused", "unsubscribed", "suppressed"]
Format = Literal["html", "text"]


class Shape(BaseModel):
    """What is sent to us: no more fields than there are, and no value taken for another's."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Given(BaseModel):
    """What we send. A field may be added; none goes, and none means something else."""

    model_config = ConfigDict(frozen=True)


# ---------------------------------------------------------------- what a reader chooses


def _bounded(kind: Any) -> Any:
    """A type of `Preferences` with bounds on what may be sent for it."""
    if kind is str:
        return Annotated[str, Field(max_length=_LONGEST)]
    if kind is int:
        return Annotated[int, Field(ge=-_INT, le=_INT)]
    if get_origin(kind) is tuple:
        return Annotated[list[_bounded(get_args(kind)[0])], Field(max_length=_MOST)]  # type: ignore[misc]
    if get_origin(kind) in (Union, types.UnionType):
        return Union[tuple(map(_bounded, get_args(kind)))]  # noqa: UP007 (made of values)
    return kind


def _choices() -> dict[str, tuple[Any, Any]]:
    """The fields of `Preferences` by the names that they have outside, each with its type and what it is unsaid."""
    found, kinds = {}, get_type_hints(Preferences)
    for one in fields(Preferences):
        name, kind = ("format", Format) if one.name == "plain" else (one.name, _bounded(kinds[one.name]))
        unsaid = "html" if one.name == "plain" else list(one.default) if isinstance(one.default, tuple) else one.default
        found[name] = (kind, unsaid)
    return found


CHOICES = _choices()


def _taken() -> Any:
    return {
        name: (kind, Field(default=unsaid, description=_WORDS.get(name))) for name, (kind, unsaid) in CHOICES.items()
    }


def chosen(shape: Shape) -> Changes:
    """The choices that were sent, as `subscribe` takes them."""
    changes: dict[str, Any] = {}
    for name in CHOICES.keys() & shape.model_fields_set:
        value = getattr(shape, name)
        if name == "format":
            changes["plain"] = value == "text"
        else:
            changes[name] = tuple(value) if isinstance(value, list) else value
    return cast(Changes, changes)


def _stored(subscription: Subscription) -> dict[str, Any]:
    values = {name: getattr(subscription, name) for name in CHOICES if name != "format"}
    found = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return found | {"format": "text" if subscription.plain else "html"}


# ---------------------------------------------------------------- taken


def _ip(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("must be an address as in 192.0.2.1 or 2001:db8::1") from None


def _page(value: str) -> str:
    if not value.startswith(("https://", "http://")) or not value.isprintable() or " " in value:
        raise ValueError("must be the address of a page, as in https://shop.example/checkout")
    return value


def _digits(value: Any) -> Any:
    """A number of a query; what is written otherwise is left to be refused."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else value


Email = Annotated[str, Field(min_length=3, max_length=320, description="An address, in one form or another.")]
Name = Annotated[str, Field(max_length=_LONGEST)]
Tags = Annotated[list[Annotated[str, Field(min_length=1, max_length=60)]], Field(max_length=_MOST)]


class Client(Shape):
    """Where the person was when they asked: kept with their consent. `ip` is what the limits of sign-ups count."""

    ip: Annotated[str, Field(max_length=45), AfterValidator(_ip)] | None = None
    page: Annotated[str, Field(max_length=500), AfterValidator(_page)] | None = None
    at: AwareDatetime | None = Field(None, description="when they asked, where that is not now; within thirty days")


class _SignUp(Shape):
    """Somebody who is to get letters. Without `confirmed` they are asked by mail, as by the sign-up page."""

    email: Email
    name: Name = ""
    client: Client = Client()
    confirmed: bool = Field(False, description="whoever asks vouches for them (scope subscribers:vouch): no mail asks")
    again: bool = Field(False, description="with `confirmed`: who left has asked to come back")
    tags: Tags = Field([], description="with `confirmed`: words about them")


class _Change(Shape):
    """What changes; what is not sent stays. `name` and `tags` are the person's, in all newsletters."""

    name: Name = ""
    tags: Tags = []


SignUp: type[_SignUp] = create_model("SignUp", __base__=_SignUp, __doc__=_SignUp.__doc__, **_taken())
Change: type[_Change] = create_model("Change", __base__=_Change, __doc__=_Change.__doc__, **_taken())


class Leave(Shape):
    """How they said so."""

    client: Client = Client()


class Subscribers(Shape):
    """Which subscribers, from where on."""

    after: Annotated[str, Field(max_length=600, description="`next` of the page before")] = ""
    limit: Annotated[int, BeforeValidator(_digits), Field(ge=1, le=200)] = 50
    state: State | None = None
    email: Annotated[str, Field(max_length=320, description="only who has this address")] = ""


class Editions(Shape):
    """Which editions, the newest first."""

    before: Annotated[int, BeforeValidator(_digits), Field(ge=1, le=999_999_999, description="a number")] | None = None
    limit: Annotated[int, BeforeValidator(_digits), Field(ge=1, le=100)] = 20


# ---------------------------------------------------------------- given


class Asked(Given):
    """The same for everybody. A mail goes to the address now, or within a day where the limits of sign-ups say so."""

    status: Literal["asked"] = "asked"
    mail: Literal["now", "later"]


class _Subscriber(Given):
    """A person and their subscription to one newsletter."""

    email: str
    newsletter: str
    state: State
    name: str
    tags: list[str]
    paused_until: datetime | None
    since: datetime
    changed_at: datetime = Field(description="of the state")


# How they come is not what may be sent: what is stored is true, whatever bounds say.
_SHOWN: Any = {name: (kind, Field(description=_WORDS.get(name))) for name, (kind, _unsaid) in CHOICES.items()}
SubscriberShape: type[_Subscriber] = create_model(
    "Subscriber", __base__=_Subscriber, __doc__=_Subscriber.__doc__, **_SHOWN
)


def subscriber(person: Subscriber, ours: Subscription, newsletter: str, *, barred: bool) -> Given:
    return SubscriberShape.model_construct(
        email=person.email,
        newsletter=newsletter,
        state="suppressed" if barred else ours.state.value,
        name=person.name,
        tags=person.tags,
        paused_until=ours.paused_until,
        since=ours.created_at,
        changed_at=ours.changed_at,
        **_stored(ours),
    )


class SubscriberPage(Given):
    """Some subscribers, by address, and where it goes on."""

    items: list[SubscriberShape]
    next: str | None


class NewsletterShape(Given):
    name: str
    title: str
    language: str
    about: str
    topics: dict[str, str] = Field(description="titles by slug")


class Newsletters(Given):
    """Those that the key is for."""

    items: list[NewsletterShape]


class EditionLine(Given):
    """An edition, as the archive shows it to everybody."""

    number: int
    at: datetime
    subject: str
    stories: int
    url: str


class EditionPage(Given):
    items: list[EditionLine]
    next: int | None = Field(description="`before` of the next page")


class Source(Given):
    title: str
    url: str


class Recording(Given):
    url: str
    kind: Literal["audio", "video"]
    type: str
    seconds: int = Field(description="0 where its feed does not say")
    size_bytes: int = Field(description="0 where its feed does not say")


class Story(Given):
    title: str
    url: str
    topic: str
    source: str
    author: str
    excerpt: str
    summary: Literal["", "central", "machine"] = Field(
        description="what the excerpt is, where not the first words: sentences of the text, or words of a machine"
    )
    language: str
    image_url: str
    reading_minutes: int
    published_at: datetime
    dated: bool = Field(description="false: its feed says no date, and `published_at` is when it was first seen")
    withdrawn: bool
    also: list[Source] = Field(description="who else tells it")
    recording: Recording | None = Field(description="what can be heard or watched of it")


class EditionShape(Given):
    """What the archive shows of an edition: its stories, and the mail without links that are anybody's own."""

    number: int
    at: datetime
    subject: str
    url: str
    stories: list[Story]
    html: str = Field(description="empty where no mail went to readers of all topics")
    text: str


class Health(Given):
    status: Literal["ok", "unavailable"]
    detail: str


class ProblemShape(Given):
    """RFC 9457. `errors` say where in the body or the query, by JSON Pointers."""

    type: str
    title: str
    status: int
    detail: str
    scope: str | None = Field(None, description="the scope that the key lacks")
    errors: list[Mapping[str, str]] | None = None
