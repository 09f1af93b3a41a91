"""Other services' exports, known by their titles: what their columns are called, and what their words mean.

Where they come from: phpList's, listmonk's and Ghost's are those of their source (phpList's `structure.php` and
`export.php`, listmonk's handler of exports, Ghost's tests of its own); Mailchimp's and Substack's stand in several
public programs that read their exports; Buttondown's and Kit's are the names of their APIs, and no export of theirs was
seen; Klaviyo's, Brevo's, Shopify's, Constant Contact's and MailerLite's (its older one) were compared with what
programs that read such exports expect. Sendy's own export has no titles at all, but a name and an address, and the name
of the file says whose they are: the ones here are of lists that were made of its screens. All others, SendGrid's among
them, are as we remember them. A service that changes its titles, or that we remember wrongly, is read like any other
list: what smells of consent and is not understood stops the import.

What several of them share is in `titles`. A title here is one that `sheet.bare` makes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from digest.errors import UserError
from digest.models import SubscriptionState
from digest.subscribe.titles import ACTIVE, BLOCKED, BOUNCED, COMPLAINED, LEFT, PAUSED, PENDING


@dataclass(frozen=True)
class Service:
    """How one service writes lists."""

    title: str
    known_by: tuple[frozenset[str], ...]  # one of these sets of titles is there
    columns: Mapping[str, str] = field(default_factory=dict)  # title → field
    ignored: Mapping[str, str] = field(default_factory=dict)  # title → why it says nothing
    words: Mapping[str, SubscriptionState | str | None] = field(default_factory=dict)  # None says nothing
    everyone: Mapping[str, SubscriptionState | str] = field(default_factory=dict)  # titles that alone say it of all


def _is(*titles: str) -> frozenset[str]:
    return frozenset(titles)


def _ignored(why: str, *titles: str) -> dict[str, str]:
    return dict.fromkeys(titles, why)


_NUMBER, _STATISTICS, _PAID = "a number of theirs", "statistics", "of the paid plan"
_CAMPAIGN, _CHANNEL, _REASON = "of one campaign", "of another channel than mail", "a reason in words"

SERVICES: dict[str, Service] = {
    "digest": Service(
        "digest",
        (_is("email", "state", "topics", "consent", "suppressed"),),
        columns={
            "consent": "consent",
            "suppressed": "suppressed",
            "suppressedat": "suppressed_at",
            "suppressedstatus": "suppressed_status",
        },
    ),
    "listmonk": Service(
        "listmonk",
        (_is("uuid", "attributes", "status"), _is("email", "name", "attributes")),
        columns={"attributes": "fields"},
        ignored=_ignored(_NUMBER, "uuid") | {"updatedat": "a date of theirs"},
    ),
    "mailchimp": Service(
        "Mailchimp",
        (_is("leid", "euid"), _is("memberrating", "optintime")),
        ignored=_ignored(_NUMBER, "leid", "euid")
        | _ignored(_STATISTICS, "memberrating", "latitude", "longitude", "gmtoff", "dstoff", "lastchanged")
        | _ignored(_CAMPAIGN, "cleancampaigntitle", "cleancampaignid", "unsubcampaigntitle", "unsubcampaignid")
        | _ignored(_REASON, "unsubreasonother"),
        columns={"unsubreason": "unsub_reason", "optinip": "ip"},
        everyone={"cleantime": BOUNCED, "unsubtime": LEFT},
    ),
    "substack": Service(
        "Substack",
        (_is("emaildisabled", "activesubscription"), _is("emaildisabled", "plan"), _is("stripeplan", "startdate")),
        columns={"emaildisabled": "left_at"},
        ignored=_ignored(
            _PAID,
            "activesubscription",
            "expiry",
            "canceldate",
            "plan",
            "stripeplan",
            "type",
            "firstpaymentat",
            "paidupgradedate",
            "revenue",
            "bestseller",
            "subscriptionsourcepaid",
            "subscriptioninterval",
            "canseepaidcontent",
            "firstpaiddate",
            "expirationdate",
        )
        | _ignored("where they came from", "subscriptionsourcefree")
        | _ignored(_STATISTICS, "emailsreceived6mo", "emailsopened6mo", "subscriptionsgifted", "groupmembership"),
    ),
    "buttondown": Service(
        "Buttondown",
        (_is("type", "creationdate", "emailaddress"),),
        columns={"type": "state", "metadata": "fields"},
        words={"churning": ACTIVE, "past-due": ACTIVE},  # they pay for the last time, or late: readers all the same
        ignored=_ignored(_NUMBER, "id", "secondaryid")
        | _ignored("where they came from", "source", "referrerurl")
        | _ignored(_REASON, "unsubscriptionreason"),
    ),
    "ghost": Service(
        "Ghost",
        (_is("subscribedtoemails"),),
        columns={"deletedat": "left_at", "emaildisabled": "blocked"},
        ignored=_ignored(_NUMBER, "id", "stripecustomerid") | _ignored(_PAID, "complimentaryplan", "tiers", "giftid"),
    ),
    "kit": Service("Kit", (_is("emailaddress", "state"),), words={"inactive": PENDING}),
    "phplist": Service(
        "phpList",
        (_is("blacklisted", "confirmed", "email"), _is("isthissubscriberblacklisted"), _is("isthisuserblacklisted")),
        columns={
            "isthissubscriberconfirmed": "confirmed",
            "isthisuserconfirmed": "confirmed",
            "confirmed": "confirmed",
            "isthissubscriberblacklisted": "blocked",
            "isthisuserblacklisted": "blocked",
            "blacklisted": "blocked",
            "isthisaccountdisabled": "left_at",
            "isthissubscriberdisabled": "left_at",
            "disabled": "left_at",
            "entered": "since",
        },
        ignored=_ignored(_NUMBER, "id", "uniqueidforsubscriber", "uniqueidforuser", "uniqid", "uuid", "foreignkey")
        | _ignored(_STATISTICS, "numberofbounces", "bouncecount", "lastmodified", "modified")
        | _ignored("how they confirmed", "didthissubscribermanuallyconfirm", "didthisusermanuallyconfirm", "optedin")
        | _ignored(
            "of their own pages",
            "whichpagewasusedtosubscribe",
            "subscribepage",
            "rssfrequency",
            "sendthissubscriberhtmlemails",
            "sendthisuserhtmlemails",
            "htmlemail",
        )
        | _ignored("a secret", "password", "lasttimepasswordwaschanged", "passwordchanged"),
    ),
    "klaviyo": Service(
        "Klaviyo",
        (_is("klaviyoid"), _is("emailmarketingconsent")),
        columns={
            "emailmarketingconsent": "state",
            "consent": "state",
            "emailsuppressions": "blocked",
            "suppressions": "blocked",
            "emailmarketingconsenttimestamp": "since",
            "datejoined": "since",
            "consenttimestamp": "since",
            **dict.fromkeys(("consentmethod", "consentformid", "consentformversion", "doubleoptin"), "fields"),
            "emailmarketingconsentmethod": "fields",
        },
        ignored=_ignored(_NUMBER, "klaviyoid", "id")
        | _ignored(_CHANNEL, "smsmarketingconsent", "smsmarketingconsenttimestamp", "smstransactionalconsent")
        | _ignored(_STATISTICS, "lastopen", "lastclick", "lastactive", "firstactive"),
        words={
            "email": ACTIVE,
            "sms": PENDING,
            "web": PENDING,
            "mobile": PENDING,
            "directmail": PENDING,
            "unsubscribe": LEFT,
            "hard-bounce": BOUNCED,
            "invalid-email": BOUNCED,
            "marked-as-spam": COMPLAINED,
            "spam-complaint": COMPLAINED,
            "user-suppressed": BLOCKED,
        },
    ),
    "brevo": Service(
        "Brevo",
        (
            _is("contactid", "addedtime"),
            _is("addedtime", "modifiedtime"),
            _is("emailblacklisted"),
            _is("doubleoptin", "optin"),
        ),
        columns={
            "emailblacklisted": "blocked",
            "blacklisted": "blocked",
            "blocklisted": "blocked",
            "doubleoptin": "confirmed",
            "addedtime": "since",
            "emailmarketing": "state",
            "createdat": "since",
        },
        ignored=_ignored(_NUMBER, "contactid", "listids")
        | _ignored(
            _CHANNEL, "smsblacklisted", "sms", "whatsapp", "smsmarketing", "whatsappblacklisted", "landlinenumber"
        )
        | _ignored("a date of theirs", "modifiedtime", "modifiedat"),
        words={"2": PENDING},
    ),
    "shopify": Service(
        "Shopify",
        (
            _is("acceptsemailmarketing"),
            _is("acceptsmarketing", "totalspent"),
            _is("emailmarketingstatus", "totalspent"),
        ),
        columns={"acceptsemailmarketing": "state", "acceptsmarketing": "state", "emailmarketingstatus": "state"},
        ignored=_ignored(_NUMBER, "customerid", "id")
        | _ignored(
            _CHANNEL, "acceptssmsmarketing", "acceptswhatsappmarketing", "smsmarketingstatus", "smsmarketinglevel"
        )
        | _ignored("of the shop", "totalspent", "totalorders", "taxexempt", "state")
        | _ignored(
            "how it was given",
            "emailmarketinglevel",
            "marketingoptinlevel",
            "emailmarketingupdatedat",
            "acceptsmarketingupdatedat",
        ),
    ),
    "mailerlite": Service(
        "MailerLite",
        (_is("subscriber", "subscribed"), _is("subscriber", "status"), _is("email", "subscribed", "opened", "clicked")),
        columns={
            "subscriber": "email",
            "subscribed": "since",
            "status": "state",
            "type": "state",
            "signuptimestamp": "since",
            "confirmationtimestamp": "since",
            "signupip": "ip",
            "confirmationip": "ip",
        },
        ignored=_ignored(
            _STATISTICS, "opened", "clicked", "sent", "location", "opensrate", "clicksrate", "lastchanged"
        ),
    ),
    "sendgrid": Service(
        "SendGrid",
        (
            _is("status", "reason", "email", "created"),
            _is("reason", "email", "created"),
            _is("contactid", "primaryemail"),
        ),
        columns={"created": "changed_at", "primaryemail": "email"},
        ignored={"status": "the code of a bounce", "reason": _REASON, "contactid": _NUMBER, "updatedat": _STATISTICS},
        everyone={"reason": BOUNCED},
    ),
    "constantcontact": Service(
        "Constant Contact",
        (_is("emailstatus", "emailpermissionstatus"), _is("emailpermissionstatus"), _is("emailupdatesource")),
        columns={
            "emailstatus": "state",
            "emailpermissionstatus": "state",
            "confirmedoptoutdate": "left_at",
            "emailoptoutdate": "left_at",
            "optoutdate": "left_at",
            "createdat": "since",
            "confirmedoptindate": "since",
        },
        ignored=_ignored(
            _REASON,
            "confirmedoptoutreason",
            "confirmedoptoutsource",
            "emailupdatesource",
            "sourcename",
            "optoutreason",
            "optoutsource",
            "confirmedoptinsource",
        )
        | _ignored("a date of theirs", "updatedat", "lastupdatedate")
        | {"emaillists": "their own lists"},
        words={
            "express": ACTIVE,
            "implied": ACTIVE,
            "explicit": ACTIVE,
            "implicit": ACTIVE,
            "confirmed": ACTIVE,
            "pending": PENDING,
            "not-set": PENDING,
            "temporary-hold": PENDING,
            "none-given": PENDING,
            "no-permissions-set": PENDING,
            "pending-confirmation": PENDING,
            "non-subscriber": PENDING,
        },
    ),
    "wordpress": Service(
        "WordPress",
        (
            _is("email", "name", "surname", "status"),
            _is("userlogin", "useremail"),
            _is("email", "globalstatus"),
            _is("email", "firstname", "surname", "status"),
            _is("email", "liststatus"),
        ),
        columns={
            "status": "state",
            "globalstatus": "state",
            "liststatus": "state",
            "useremail": "email",
            "displayname": "name",
            "userregistered": "since",
            "subscribedat": "since",
            "created": "since",
        },
        ignored=_ignored(_NUMBER, "id", "wpuserid", "token")
        | _ignored("of the site", "userstatus", "roles", "userpass", "useractivationkey", "usernicename", "userurl"),
        words={"c": ACTIVE, "s": PENDING, "u": LEFT, "b": BOUNCED, "p": COMPLAINED},
    ),
    "mailman": Service(
        "Mailman",
        (_is("nomail"), _is("deliverystatus"), _is("deliverymode")),
        columns={
            "nomail": "state",
            "deliverystatus": "state",
            "role": "state",
            "email": "email",
            "emailaddress": "email",
        },
        ignored=_ignored(
            "of discussion lists",
            "mod",
            "hide",
            "ack",
            "notmetoo",
            "nodupes",
            "digest",
            "plain",
            "deliverymode",
            "moderationaction",
            "moderated",
            "listid",
            "subscriptionmode",
        ),
        words={
            "": ACTIVE,
            "off": ACTIVE,
            "0": ACTIVE,
            "no": ACTIVE,
            "false": ACTIVE,
            "n": ACTIVE,
            "on": PAUSED,
            "1": PAUSED,
            "yes": PAUSED,
            "true": PAUSED,
            "y": PAUSED,
            "[u]": PAUSED,
            "[a]": PAUSED,
            "[?]": PAUSED,
            "u": PAUSED,
            "a": PAUSED,
            "[b]": BOUNCED,
            "b": BOUNCED,
            "enabled": ACTIVE,
            "unknown": PAUSED,
            "member": ACTIVE,  # owners and non-members are refused: they may stand there as members too
        },
    ),
    "googlegroups": Service(
        "Google Groups",
        (_is("groupstatus", "emailpreference"), _is("groupstatus", "emailstatus")),
        columns={"groupstatus": "state", "emailstatus": "state", "emailpreference": "state"},
        ignored=_ignored("of discussion lists", "postingpermissions"),
        words={
            "": None,
            **dict.fromkeys(("member", "owner", "manager"), ACTIVE),
            **dict.fromkeys(("invited", "not-a-member"), PENDING),
            **dict.fromkeys(("email", "all-email", "each-email", "digest", "abridged", "daily-summary"), ACTIVE),
            **dict.fromkeys(("no-email", "none", "web-only"), PAUSED),
            "bouncing": BOUNCED,
        },
    ),
    "mailgun": Service(
        "Mailgun",
        (_is("address", "code", "error"),),
        columns={"address": "email"},
        ignored={"code": "the code of a bounce", "error": _REASON},
        everyone={"code": BOUNCED},
    ),
    "mailjet": Service(
        "Mailjet",
        (_is("isexcludedfromcampaigns"), _is("email", "isunsubscribed")),
        columns={"isexcludedfromcampaigns": "left_at", "isunsubscribed": "left_at"},
    ),
    "sendy": Service(
        "Sendy",
        (_is("email", "lastactivity", "status"), _is("email", "lastactivity", "joined")),
        columns={"joined": "since", "status": "state"},
        ignored={"lastactivity": _STATISTICS, "lastcampaign": _STATISTICS},
        words={"marked-as-spam": COMPLAINED},
    ),
    "beehiiv": Service(
        "beehiiv",
        (_is("email", "status", "subscriptionpremiumtiernames"), _is("email", "status", "acquisitionsource")),
        columns={"status": "state"},
        ignored={"subscriptionpremiumtiernames": _PAID, "acquisitionsource": _STATISTICS},
    ),
    "hubspot": Service(
        "HubSpot",
        (_is("unsubscribedfromallemail"), _is("recordid", "email", "marketingcontactstatus")),
        columns={"unsubscribedfromallemail": "left_at", "createdate": "since"},
        ignored={"recordid": _NUMBER, "marketingcontactstatus": "what HubSpot bills"},
    ),
    "activecampaign": Service(
        "ActiveCampaign",
        (_is("email", "status", "contactid"), _is("email", "status", "subscriberid")),
        columns={"status": "state"},
        ignored={"contactid": _NUMBER, "subscriberid": _NUMBER},
        words={"0": PENDING, "1": ACTIVE, "2": LEFT, "3": BOUNCED},
    ),
}


def named(name: str) -> Service:
    """The service that `--from` names; UserError for one that we do not know."""
    found = SERVICES.get(name.lower().replace(" ", "").replace("-", ""))
    if found is None:
        raise UserError(f"we know no service {name!r}", hint="one of " + ", ".join(SERVICES))
    return found


def recognised(titles: Collection[str]) -> Service | None:
    """The service whose titles these are, the one with the most of them that must be there."""
    there = frozenset(titles)
    found = [(len(some), service) for service in SERVICES.values() for some in service.known_by if some <= there]
    return max(found, key=lambda one: one[0])[1] if found else None
