"""The API's verbs on subscribers: each by the functions that commands and pages use."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from sqlmodel import Session

from digest import curate, subscribe
from digest.errors import BadInput, NotFound, UserError
from digest.models import Subscriber, Subscription
from digest.store import keys, listing, suppressions
from digest.store.consent_tables import ConsentEvent
from digest.subscribe import goodbyes, signup
from digest.subscribe.people import record
from digest.web import api_shapes as shapes
from digest.web.api_calls import Answer, Call, Endpoint
from digest.web.api_problem import Problem

_OLDEST = timedelta(days=30)  # that a client may say that somebody asked ago
_AHEAD = timedelta(hours=1)  # that its clock may be
_UNKNOWN = "nobody with this address has a subscription to this newsletter"
_READ, _WRITE = "subscribers:read", "subscribers:write"


def read_many(call: Call) -> Answer:
    name, _settings = call.newsletter
    query: shapes.Subscribers = call.query
    email = ""
    if query.email:
        try:
            email = subscribe.key(query.email)
        except BadInput:
            return Answer(200, shapes.SubscriberPage(items=[], next=None))
    asked = listing.Members(name, after=_after(query.after), limit=query.limit, state=query.state or "", key=email)
    found = listing.members(call.session, asked)
    items: list[Any] = [shapes.subscriber(p, s, name, barred=barred) for p, s, barred in found[: query.limit]]
    more = _cursor(found[query.limit - 1][0].key) if len(found) > query.limit else None
    return Answer(200, shapes.SubscriberPage.model_construct(items=items, next=more))


def read(call: Call) -> Answer:
    person, ours = _found(call)
    return Answer(200, _shown(call, person, ours))


def add(call: Call) -> Answer:
    """As the sign-up page does it, or, where the key may vouch, at once."""
    body: Any = call.body
    if body.confirmed:
        return _vouched(call)
    if body.again or body.tags:
        raise Problem(422, "`again` and `tags` are for who is `confirmed` by you")
    name, settings = call.newsletter
    if call.asker.verbs.isdisjoint((_WRITE,)):
        if not settings.signup:
            raise Problem(404, "there is no such newsletter, or the key is not for it")
        if body.client.ip or body.client.at:
            call.need(_WRITE)  # what everybody can send is no evidence
        ip = call.site.client(call.request)
    else:
        ip = body.client.ip or ""
    taken = signup.ask(
        call.session,
        body.email,
        newsletter=name,
        config=call.site.config,
        evidence=_evidence(call, body.client, ip=ip),
        known_topics=curate.headings(settings.topics),
        name=body.name,
        choices=shapes.chosen(body),
    )
    if taken == "full":
        words = "too many ask at this moment; nothing was kept"
        problem = shapes.ProblemShape(type="about:blank", title="Too Many Requests", status=429, detail=words)
        return Answer(429, problem, {"Retry-After": "3600"})
    return Answer(202, shapes.Asked(mail=taken))


def _vouched(call: Call) -> Answer:
    call.need("subscribers:vouch")
    body: Any = call.body
    name, settings = call.newsletter
    known = curate.headings(settings.topics)
    email = subscribe.address(body.email)
    said = _evidence(call, body.client, vouched=True)
    try:
        added = subscribe.add(
            call.session,
            email,
            subscribe.Joining(name, known, call.site.config.lasting_key, welcome=settings.welcome),
            evidence=said,
            preferences=subscribe.Preferences(**shapes.chosen(body)),
            name=body.name,
            tags=body.tags,
            again=body.again,
        )
    except (BadInput, NotFound):
        raise
    except UserError:
        # Why, other newsletters may have to do with.
        words = "they left, or may not be written to; `again` says that they asked to come back"
        raise Problem(409, words) from None
    call.session.flush()
    person, ours = subscribe.find(call.session, email, name)
    there = f"{call.site.config.base_url}/api/v1/newsletters/{name}/subscribers?email={_quoted(person.email)}"
    status = 200 if added.outcome == "unchanged" else 201
    return Answer(status, _shown(call, person, ours), {"Location": there} if status == 201 else {}, person.key)


def change(call: Call) -> Answer:
    person, ours = _found(call, lock=True)
    call.must_match(_shown(call, person, ours))
    body: Any = call.body
    name, settings = call.newsletter
    sent, before = body.model_fields_set, (person.name, list(person.tags))
    said = _evidence(call, shapes.Client())
    subscribe.change(
        call.session,
        person.email,
        newsletter=name,
        evidence=said,
        known_topics=curate.headings(settings.topics),
        name=body.name if "name" in sent else None,
        tags=body.tags if "tags" in sent else None,
        choices=shapes.chosen(body),
    )
    told = [f"name {person.name}"] if person.name != before[0] else []
    told += [f"tags {' '.join(person.tags)}"] if person.tags != before[1] else []
    if told:
        record(call.session, ours, ConsentEvent.TAGGED, said, detail=", ".join(told))
    call.session.flush()
    return Answer(200, _shown(call, person, ours), person=person.key)


def leave(call: Call) -> Answer:
    person, ours = _found(call, lock=True)
    call.must_match(_shown(call, person, ours))
    body: shapes.Leave = call.body
    assert ours.id is not None
    goodbyes.leave(call.session, ours.id, config=call.site.config, evidence=_evidence(call, body.client))
    call.session.flush()
    return Answer(200, _shown(call, person, ours), person=person.key)


def erase(call: Call) -> Answer:
    """A person is one in all newsletters, so whoever forgets them must be for all of these."""
    if not keys.covers_all(call.session, call.asker):
        words = "to forget a person is to forget them in all newsletters, and the key is for some"
        raise Problem(403, words, scope="subscribers:erase")
    site = call.site
    try:
        email = subscribe.address(call.request.path_params["email"])
        subscribe.erase(call.session, email, secret=site.config.lasting_key, now=site.clock())
    except (BadInput, NotFound):
        raise Problem(404, "nothing is known of this address") from None
    return Answer(204, erased=True)


# ---------------------------------------------------------------- what they share


def _found(call: Call, *, lock: bool = False) -> tuple[Subscriber, Subscription]:
    """Whom the address names; 404 in the same words for whoever is not here, wherever else they are."""
    name, email = call.newsletter[0], call.request.path_params["email"]
    try:
        if lock:
            person, ours = subscribe.find(call.session, email, name)
            # As they are now, whoever changed them while we waited; and ours, also by way of another newsletter.
            call.session.refresh(person, with_for_update={"key_share": True})
            return person, ours
        found = listing.members(call.session, listing.Members(name, limit=1, key=subscribe.key(email)))
    except (BadInput, NotFound):
        raise Problem(404, _UNKNOWN) from None
    if not found:
        raise Problem(404, _UNKNOWN)
    return found[0][0], found[0][1]


def _shown(call: Call, person: Subscriber, ours: Subscription) -> shapes.Given:
    session: Session = call.session
    barred = suppressions.find(session, person.email) is not None
    return shapes.subscriber(person, ours, call.newsletter[0], barred=barred)


def _evidence(call: Call, client: shapes.Client, *, ip: str | None = None, vouched: bool = False) -> subscribe.Evidence:
    """What is kept of how somebody asked: the key, and where and when they were, as whoever has it says."""
    now = call.site.clock()
    how = f"API key {call.asker.name}"
    if client.page:
        how += f", {client.page}"
    if client.at:
        if not -_AHEAD <= now - client.at <= _OLDEST:
            raise Problem(422, "`client.at` is in the future, or long ago")
        how += f", {client.at.isoformat(timespec='seconds')}"
    by = f"API key {call.asker.name}" if vouched else ""
    return subscribe.Evidence(how, now, vouched_by=by, ip=(client.ip or "") if ip is None else ip)


def _cursor(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _after(cursor: str) -> str:
    try:
        found = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise Problem(422, "`after` is no `next` of ours") from None
    if "\0" in found:
        raise Problem(422, "`after` is no `next` of ours")
    return found


def _quoted(email: str) -> str:
    return quote(email, safe="@")


_MANY = "/newsletters/{newsletter}/subscribers"
_ONE = _MANY + "/{email}"
_GIVEN = {200: ("The subscriber.", shapes.SubscriberShape)}

ENDPOINTS = (
    Endpoint(
        "GET",
        _MANY,
        read_many,
        "List subscribers, by address",
        {200: ("Some of them.", shapes.SubscriberPage)},
        verbs=(_READ,),
        query=shapes.Subscribers,
    ),
    Endpoint(
        "POST",
        _MANY,
        add,
        "Sign somebody up: a mail asks them to confirm",
        {
            202: ("Asked. The same for everybody, whoever is subscribed already.", shapes.Asked),
            201: ("With `confirmed`: subscribed.", shapes.SubscriberShape),
            200: ("With `confirmed`: was subscribed already, and is as before.", shapes.SubscriberShape),
        },
        verbs=("signup", _WRITE),
        body=shapes.SignUp,
        for_pages=True,
    ),
    Endpoint("GET", _ONE, read, "Read a subscriber", _GIVEN, verbs=(_READ,)),
    Endpoint("PATCH", _ONE, change, "Change choices, name and tags", _GIVEN, verbs=(_WRITE,), body=shapes.Change),
    Endpoint(
        "POST",
        _ONE + "/leave",
        leave,
        "End a subscription; twice is once",
        _GIVEN,
        verbs=(_WRITE,),
        body=shapes.Leave,
        may_lack_body=True,
    ),
    Endpoint(
        "DELETE",
        "/subscribers/{email}",
        erase,
        "Forget a person, in all newsletters",
        {204: ("Forgotten; a keyed hash keeps lists from bringing them back.", None)},
        verbs=("subscribers:erase",),
    ),
)
