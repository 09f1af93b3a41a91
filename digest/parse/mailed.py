"""A newsletter's mail as an entry: its HTML as clean as any feed's, its links leading where they say. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import parseaddr
from html import escape
from typing import NamedTuple

from digest.dataclass import dataclass
from digest.parse import gist, text
from digest.parse.dates import Dates
from digest.parse.entries import Described, Notes, ParsedEntry, first_image, parsed_entry
from digest.parse.unwrap import sealed, unwrap
from digest.values import Mailed

MOST_LINKS = 2_000  # of one mail that are unwrapped
_ANCHOR = re.compile(r'<a\b([^>]*?)\bhref="([^"]*)"([^>]*)>((?:(?!</a>).){0,2000})</a>', re.DOTALL)
_HREF = re.compile(r'(<a\b[^>]*?\bhref=")([^"]*)(")')
_PIXEL = re.compile(r'<img\b(?=[^>]*\b(?:width|height)="[01]")[^>]*>')
_HEADING = re.compile(r"<h[1-3]\b[^<>]*+>((?:[^<]++|<(?!/?h[1-3]\b)){0,300}+)</h[1-3]>")
_PERSONAL = re.compile(
    r"(?:utm_\w+|mc_[ce]id|e|token|r|_hs\w+|mkt_tok|ck_subscriber_id|subscriber\w*|sid|uid|email|recipient\w*|"
    r"contact\w*|jwt|publication_id|isFreemail|triedRedirect|submitLike|action)"
).fullmatch
_VIEW = (
    "view in browser", "view in your browser", "view this email in your browser", "view this email", "view online",
    "view it in your browser", "read online", "read in browser", "read in app", "open in browser", "view web version",
    "web version", "webversion", "see this email in your browser",
    "view as a web page", "view on web", "online version",
    "read on the web", "read it online", "im browser", "onlineversion", "online-version", "webansicht", "online lesen",
    "dans votre navigateur", "dans le navigateur", "version en ligne",
    "voir en ligne", "lire en ligne", "en el navegador",
    "en su navegador",
    "en tu navegador", "ver en línea", "versión web", "在浏览器中", "在线查看", "网页版", "في المتصفح",
    "عرض في",
)  # fmt: skip
_LEAVE = (
    "unsubscribe", "opt out", "opt-out", "optout", "manage preferences", "manage your", "update your preferences",
    "email preferences", "update profile", "abmelden", "abbestellen", "désabonner", "désinscri", "se désinscrire",
    "darse de baja", "cancelar suscripción", "退订", "取消订阅", "إلغاء الاشتراك",
)  # fmt: skip
_ASKS = (
    "confirm your subscription", "please confirm",
    "confirm your email", "confirm subscription", "confirm your address",
    "confirm your sign", "verify your email", "verify your subscription", "activate your subscription",
    "complete your subscription", "subscription confirmation", "confirmation required", "opt-in", "double opt",
    "anmeldung bestätigen", "bestätigen sie", "bestätige dein",
    "bitte bestätige", "newsletter-anmeldung", "abonnement bestätigen",
    "confirmez votre", "confirmer votre", "confirmer mon", "veuillez confirmer", "confirmation d'inscription",
    "confirme su", "confirma tu", "confirmar su", "confirmar tu", "por favor, confirme", "confirme tu", "confirma su",
    "确认订阅", "确认您的", "请确认", "確認訂閱", "تأكيد اشتراك", "أكد اشتراك", "تأكيد الاشتراك", "تأكيد بريدك",
)  # fmt: skip
_ACT = re.compile(
    r"confirm|verif|activat|opt-?in|bestätig|bestaetig|valid|确认|確認|أكد|تأكيد|subscribe", re.IGNORECASE
)
_LIST = re.compile(r"<([^<>\s]{1,255})>\s*$")


class Link(NamedTuple):
    """A link of clean HTML: where it leads, and its words in small letters."""

    url: str
    words: str


@dataclass(frozen=True)
class Posted:
    """What was read of a mail. `senders` name who sent it: its list, its address; the first is whom it is bound to.

    `asks`: it wants to be confirmed, by `confirm` where that link was found.
    """

    entry: ParsedEntry
    title: str  # of the newsletter
    senders: tuple[str, ...]
    asks: bool = False
    confirm: str = ""


def senders(mail: Mailed) -> tuple[str, ...]:
    """Who sent a mail, as it says: its List-Id (RFC 2919), and its From."""
    match = _LIST.search(mail.list_id.strip())
    listed = (match[1] if match else mail.list_id.strip()).lower()[:255]
    address = parseaddr(mail.sender)[1].lower()[:320]
    return tuple(name for name in (f"list:{listed}" if listed else "", f"from:{address}" if address else "") if name)


def read(mail: Mailed) -> Posted:
    """A mail as an entry. For a process of its own: what strangers write may take long, or much."""
    given = text.clean_html(mail.html, base="") if mail.html.strip() else _as_html(mail.text)
    content = _unwrapped(_PIXEL.sub("", given))
    links = list(_links(content))
    asks = _asks(mail, content)
    title = text.plain(mail.subject) or text.words(content, limit=100)
    name = text.plain(parseaddr(mail.sender)[0]) or _list_words(mail.list_id) or parseaddr(mail.sender)[1]
    who = senders(mail)
    described = Described(
        guid=f"{who[0] if who else ''} {mail.message_id}",
        url=_page(mail, links, content),
        original_url="",
        title=title,
        author=name,
        summary="",
        content=_without_leaving(content),
        categories=(),
        declared="",
        image_url=first_image(content),
        enclosures=(),
        published=min(mail.date or mail.now, mail.now),
        updated=None,
    )
    entry = parsed_entry(described, Notes(Dates(mail.now)))
    entry = ParsedEntry(**(vars(entry) | {"gist": gist.pack(gist.of(entry.summary, entry.content))}))
    return Posted(entry, name, who, asks, _confirms(links) if asks else "")


def _as_html(words: str) -> str:
    """Paragraphs, with addresses as links."""
    parts = [part.strip() for part in re.split(r"\n[ \t]*\n", words[: text.MAX_HTML].replace("\r", "")) if part.strip()]
    linked = (
        re.sub(r"https?://[^\s<>\"'()]{4,2000}", lambda m: f'<a href="{m[0]}">{m[0]}</a>', escape(p, quote=False))
        for p in parts
    )
    return text.clean_html("".join(f"<p>{part}</p>" for part in linked), base="")


def _unwrapped(content: str) -> str:
    """The same HTML, each link leading where it says that it leads in the end."""
    left = MOST_LINKS

    def one(match: re.Match[str]) -> str:
        nonlocal left
        left -= 1
        url = text.unescape(match[2])
        if left < 0 or not url.startswith(("http://", "https://")):
            return match[0]
        target = unwrap(url)
        return match[1] + (escape(target) if target != url else match[2]) + match[3]

    return _HREF.sub(one, content)


def _links(content: str) -> Iterator[Link]:
    for number, match in enumerate(_ANCHOR.finditer(content)):
        if number >= MOST_LINKS:
            return
        if url := text.http_url(text.unescape(match[2])):
            yield Link(url, text.words(match[4], limit=200).casefold().replace("\u2019", "'"))


def _leaves(link: Link) -> bool:
    """Would whoever follows it end our own subscription, or change it?"""
    return any(word in link.words for word in _LEAVE) or "unsubscribe" in link.url.lower()


def _without_leaving(content: str) -> str:
    """Without links by which readers could end the subscription that we have."""

    def one(match: re.Match[str]) -> str:
        link = Link(text.unescape(match[2]), text.words(match[4], limit=200).casefold().replace("\u2019", "'"))
        return match[4] if _leaves(link) else match[0]

    return _ANCHOR.sub(one, content)


def _page(mail: Mailed, links: list[Link], content: str) -> str:
    """Where the mail stands on the web: by its own link, its header, or the heading that is its subject; else "".

    Who opens a link of ours must not be taken for us: what names the subscriber is left out of it.
    """
    for link in links:
        if any(words in link.words for words in _VIEW) and len(link.words) < 100 and not sealed(link.url):
            return _impersonal(link.url)
    if archived := text.http_url(unwrap(mail.archived_at)):
        return archived
    subject = _letters(mail.subject)
    for heading in _HEADING.finditer(content):
        found = list(_links(heading[1]))
        if found and subject and _letters(found[0].words) == subject and not sealed(found[0].url):
            return _impersonal(found[0].url)
    return ""


def _letters(words: str) -> str:
    return "".join(c for c in words.casefold() if c.isalnum())


def _impersonal(url: str) -> str:
    from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not _PERSONAL(name)]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(kept), ""))


def _list_words(list_id: str) -> str:
    return text.plain(list_id.partition("<")[0].strip(' "')) if "<" in list_id else ""


def _asks(mail: Mailed, content: str) -> bool:
    """Does it want us to confirm a subscription, by its subject, or by first words of a short mail?"""
    subject = mail.subject.casefold().replace("\u2019", "'")
    if any(words in subject for words in _ASKS):
        return True
    said = text.words(content, limit=3_000).casefold().replace("\u2019", "'")
    return len(said) < 1_500 and any(words in said for words in _ASKS)


def _confirms(links: list[Link]) -> str:
    """The link by which one confirms: its words say so, else its address, else it is the only one."""
    others = [link for link in links if not _leaves(Link(link.url.replace("unsubscribe", ""), link.words))]
    for test in (_acts_by_words, _acts_by_url):
        for link in others:
            if test(link):
                return link.url
    return others[0].url if len({link.url for link in others}) == 1 else ""


def _acts_by_words(link: Link) -> bool:
    return bool(_ACT.search(link.words))


def _acts_by_url(link: Link) -> bool:
    return bool(_ACT.search(link.url))
