"""What mail clients make of an HTML part before they show it, as far as is known: approximations, each a function.

After caniemail.com (late 2026) and what their makers say. A client changes; what is here says what we count on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from lxml import etree
from lxml import html as parser

_STYLE = re.compile(r"<style\b.*?</style>", re.DOTALL)
_SOURCE = re.compile(r'(<img\b[^>]*?)\ssrc="[^"]*"')
_FOR_WORD = re.compile(r"<!--\[if (?:gte )?mso[^\]]*\]>(.*?)<!\[endif\]-->", re.DOTALL)
_NOT_FOR_WORD = re.compile(r"<!--\[if !mso\]><!-->.*?<!--<!\[endif\]-->", re.DOTALL)
# What Word's engine leaves out wherever it stands.
_LOST_IN_WORD = re.compile(
    r"max-|min-|float$|background-image$|border-radius$|opacity$|box-shadow$|text-shadow$|overflow|position$|transform"
    r"|word-break$|object-fit$|animation|flex|grid|hyphens$|-webkit-"
)
_CELLS = ("td", "th")
_SIZED = (*_CELLS, "table")  # pictures go by their attributes


def plain(html: str) -> str:
    """A browser, Apple Mail, and others that show a mail as it is."""
    return html


def blocked(html: str) -> str:
    """Before its reader says that pictures may be loaded."""
    return _SOURCE.sub(r"\1", html)


def gmail(html: str) -> str:
    """Gmail with an account of somebody else's (GANGA): no `<style>`, no `<html>`, no `<body>`, other names."""
    return _in_webmail(_renamed(_body_of(_STYLE.sub("", html))), "#ffffff")


def webmail(html: str) -> str:
    """Gmail's own and others that keep `<style>`, but for what stands between `<html>` and the first of the body."""
    sheets = "".join(re.findall(r"<style[^>]*>(.*?)</style>", html, re.DOTALL))
    # It knows widths, and no scheme: what is for the dark it leaves out.
    named = re.sub(r"\.([a-z][\w-]*)(?=[^{}]*\{)", r".m_7\1", _without_dark(sheets))
    return f"<style>{named}</style>" + _in_webmail(_renamed(_body_of(_STYLE.sub("", html))), "#ffffff")


def word(html: str) -> str:
    """Outlook for Windows, whose engine is Word's. Its fonts begin anew in each table."""
    said = _FOR_WORD.sub(r"\1", _NOT_FOR_WORD.sub("", html))
    tree = parser.document_fromstring(_STYLE.sub("", re.sub(r"<xml>.*?</xml>", "", said, flags=re.DOTALL)))
    for element in tree.iter(etree.Element):
        kept = [f"{name}:{value}" for name, value in _styles(element) if _known_to_word(str(element.tag), name, value)]
        element.attrib.pop("style", None)
        if kept:
            element.set("style", ";".join(kept))
    head = tree.find("head")
    assert head is not None
    base = parser.fragment_fromstring(
        "<style>td{font-family:'Lab Lost';font-size:16px}img{vertical-align:bottom}</style>"
    )
    head.append(base)
    return "<!doctype html>" + parser.tostring(tree, encoding="unicode")


def thunderbird_dark(html: str) -> str:
    """Thunderbird's dark message mode (153, as `test_lab.py` looks at it): it sets every mail's own colours aside.

    Links are sky-blue, and words nearly white; pictures, the bar and borders stay as they were.
    """
    rules = (
        "html,body{background:#18181b!important;color:#eeeef0!important}"
        "body *{color:#eeeef0!important}body *:not(.bar){background-color:transparent!important}"
        "a[href],a[href] *{color:#58c9ff!important}"
    )
    return html.replace("</head>", f"<style>{rules}</style></head>", 1)


def forwarded(html: str) -> str:
    """Quoted by whoever passes it on: within their own mail, after their words."""
    return (
        "<!doctype html><html><head><meta charset='utf-8'></head><body style=\"font-family:'Lab Sans'\">"
        "<div>Worth your minute.</div><div><br></div><blockquote type='cite' "
        "style='margin:0 0 0 8px;border-left:2px solid #1010ff;padding-left:8px'>"
        f"<div>---------- Forwarded message ----------</div>{_body_of(_STYLE.sub('', html))}</blockquote></body></html>"
    )


CLIENTS: dict[str, Callable[[str], str]] = {
    "plain": plain,
    "blocked": blocked,
    "gmail": gmail,
    "webmail": webmail,
    "word": word,
    "thunderbird": thunderbird_dark,
    "forwarded": forwarded,
}


def _body_of(html: str) -> str:
    return html.partition("<body")[2].partition(">")[2].rpartition("</body>")[0]


def _renamed(html: str) -> str:
    """With classes, ids and the links to these under other names, as webmails keep mails apart."""
    return re.sub(
        r'\b(class|id)="([^"]*)"|\bhref="#([^"]*)"',
        lambda m: f'href="#m_7{m[3]}"' if m[1] is None else f'{m[1]}="{" ".join("m_7" + n for n in m[2].split())}"',
        html,
    )


def _in_webmail(inside: str, ground: str) -> str:
    return (
        "<!doctype html><html><head><meta charset='utf-8'></head>"
        f"<body style=\"margin:0;background:{ground};font-family:'Lab Lost';font-size:13px\">"
        f"<div class='a3s'><u></u><div>{inside}</div></div></body></html>"
    )


def _without_dark(sheets: str) -> str:
    at = sheets.find("@media (prefers-color-scheme")
    if at < 0:
        return re.sub(r"\[data-[^{}]*\{[^{}]*\}", "", sheets)
    depth, end = 1, sheets.index("{", at) + 1
    while depth:
        depth += {"{": 1, "}": -1}.get(sheets[end], 0)
        end += 1
    return _without_dark(sheets[:at] + sheets[end:])


def _styles(element: etree._Element) -> Iterator[tuple[str, str]]:
    for part in (element.get("style") or "").split(";"):
        name, colon, value = part.partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


def _known_to_word(tag: str, name: str, value: str) -> bool:
    if _LOST_IN_WORD.search(name) or "auto" in value.split():
        return False
    if name == "display":
        return value == "none"
    if name.startswith("padding"):
        return tag in _CELLS
    if name in ("width", "height"):
        return tag in _SIZED
    return True
