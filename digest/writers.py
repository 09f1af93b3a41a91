"""What readers are told of who wrote something: a name, and not "admin", a feed's own title or an address."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

# A mail or web address, with what holds it: "Ada (mailto:ada@example.org)", "Ada <ada@example.org>".
_ADDRESS = re.compile(
    r"[(<\[]?\s?(?:mailto:)?(?:https?://[^\s()<>\[\]]++|[\w.+-]{1,64}+@[\w-]{1,64}+(?:\.[\w-]{1,64}+){1,5})\s?[)>\]]?",
    re.I,
)
_BEFORE = re.compile(r"(?:by|von|par|por|di|door|от)[\s:]++", re.I)
# "Von Miller", "Par Nilsson", "von Neumann" are called so: of these, only with a colon, or before two names.
_CALLED_SO = re.compile(r"(?i:von|par|por|di|door|от)\s++(?!(?:[^\W\da-zß-ÿа-яё][\w.'’-]*\s?){2,4}$)")
_SIGNS = " ,;:|-–—"
_HOST = re.compile(r"(?:[\w-]{1,63}+\.){1,5}[\w-]{2,63}+(?:\s|$)")  # and no "J. K. Rowling"
_AROUND = re.compile(r"[(\[<]?([^()\[\]<>]*+)[)\]>]?")
_WORD = re.compile(r"[^\W_]+")
# What stands for whoever it was. Only where a name is nothing but these, or these and its site's name.
_NOBODY = frozenset(
    """
    admin administrator administrador administrateur anonym anonyme anonymous anonimo anónimo author autor auteur
    autore blog blogger blogs contact contributor contributors default editor editora editeur editorial editors feed
    guest hostmaster info mail me moderator news newsdesk newsletter newsroom no nobody none noreply null
    office owner postmaster press publisher redacción redaccion redaktion redakcja redazione rédaction reply root rss
    site sitename staff super superadmin superuser support sysadmin system team test undefined unknown user username
    web webadmin webmaster webteam website wordpress wp writer wpadmin
    админ администратор автор аноним редактор редакция 管理员 管理員 匿名 编辑 編輯 編集部 作者 管理人 名無し
    관리자 편집부 익명
    مدير المشرف محرر admins und the
    """.split()  # noqa: SIM905
)
_LITTLE = frozenset("and at by com de der die for from la le net of org the und".split())  # noqa: SIM905


@lru_cache(maxsize=4096)  # asked for each variant
def named(author: str, source: str = "", url: str = "") -> str:
    """The author as readers are told of them, without addresses; "" where nobody is named.

    `source` is the title of the feed and `url` the address of what they wrote: who is called as these are is no person.
    """
    said = _bare(author)
    words = {word for word in _WORD.findall(said.casefold()) if not word.isdecimal()}
    if not words or words <= _NOBODY or said.casefold() == source.casefold():
        return ""
    own = _names_of(source, url)
    telling = words - _NOBODY - _LITTLE
    # "Ada's Team" of adas.example, "adas.example": the site itself. A person may be called as their site is.
    whole = not telling - own and (telling != words or _HOST.search(said) is not None)
    return "" if whole else said


def _bare(author: str) -> str:
    """A name without addresses, signs around it and "by" before it."""
    said = " ".join(_ADDRESS.sub(" ", author).split()).strip(_SIGNS)
    if found := _AROUND.fullmatch(said):  # and not "Ada (she/her)"
        said = found[1].strip(_SIGNS)
    found = _BEFORE.match(said)  # and not in "Abby Lee"
    rest = said[found.end() :] if found else said
    kept = _CALLED_SO.match(said) and not _NOBODY.issuperset(_WORD.findall(rest.casefold()))
    return said if kept else rest


def source(title: str, url: str) -> str:
    """What a feed is called: its title, else its site's name, since its address says nothing to readers."""
    if title:
        return title
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.") or url
    except ValueError:
        return url


def _names_of(source: str, url: str) -> set[str]:
    """The words by which a site calls itself."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    parts = host.removeprefix("www.").split(".")
    return {*_WORD.findall(source.casefold()), *parts, ".".join(parts), "".join(parts[:-1])}
