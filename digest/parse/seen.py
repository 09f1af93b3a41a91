"""What a reader of markup sees: nothing that is hidden, powers and formulas as such, nothing that was struck out. Pure.

Judged by what stands in the markup itself, as a mail or a feed reader shows it, which has none of the site's styles.
`aria-hidden` hides from ears alone, so it hides nothing here.
"""

from __future__ import annotations

import html
import re

_LONG_REFERENCE = re.compile(r"&#[0-9]{100,}+;?")
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*+)((?:[^<>\"']++|\"[^<\"]*+\"|'[^<']*+')*+>|[^>]*+(?:>|\Z))")
_ATTRIBUTE = re.compile(r"([^\s=/>\"']++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++)))?")
_ANY_TAG = re.compile(r"<[^>]*+(?:>|\Z)")
_IMG = re.compile(r"<img\b[^<>]*+>", re.IGNORECASE)

_MATH = re.compile(r"<math\b([^>]*+)>(.*?)(?:</math\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_PREFIXED = re.compile(r"<(/?)(?:m|mml|mathml):(?=[a-z])", re.IGNORECASE)
_ANNOTATION = re.compile(r"<annotation\b(?=[^<>]*?tex)[^>]*+>([^<]*+)<", re.IGNORECASE)
_OTHER_FORM = re.compile(r"<annotation(?:-xml)?\b.*?(?:</annotation(?:-xml)?\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_ALTTEXT = re.compile(r"\salttext=[\"']([^\"'<>]*+)[\"']", re.IGNORECASE)
_STRUCTURE = re.compile(r"<m(?:frac|sqrt|root|su[bp]|subsup|under|over|underover|multiscripts|table)\b", re.IGNORECASE)

# Words of which one is in any markup that hides something; a look for plain words is many times as fast as a pattern.
_HINTS = (
    *("hidden", "none", "sr-only", "screen", "offscreen", "off-screen", "assistive", "invisible", "katex-html"),
    *("collapse", "opacity", "font-size", "absolute", "fixed", "clip", "indent", "transparent", "overflow", "for-sr"),
    *("mso-hide", "line-through", "vertical-align", "hide", "preheader"),
    *("<noscript", "<template", "<object", "<audio", "<video", "<iframe", "<canvas", "<textarea", "<select", "<button"),
    *("<details", "<dialog", "<progress", "<meter", "<datalist"),
)
# What a browser shows in place of their text, or a mail nothing of.
_NEVER_TEXT = frozenset(
    """
    noscript template object audio video iframe canvas textarea select button progress meter datalist
    """.split()  # noqa: SIM905
)
_HIDING_CLASSES = frozenset(
    """
    a11y-hidden assistive-text clip-hide d-none display-none element-invisible hidden hidden-visually hide invisible
    is-hidden is-visually-hidden katex-html mjx_assistive_mathml offscreen off-screen preheader screen-reader
    screen-reader-only screen-reader-text screenreader-only show-for-sr sr-only u-hidden u-hidden-visually
    u-visually-hidden uk-hidden vh visually-hidden visuallyhidden
    """.split()  # noqa: SIM905
)
_SHOWN_AGAIN = re.compile(r"(?:^|:|-)(?:block|inline|flex|grid|inline-block|visible|not-sr-only)$")
_STYLES = {
    "display": re.compile("none"),
    "visibility": re.compile("hidden|collapse"),
    "opacity": re.compile(r"0(?:\.0)?%?$"),
    "font-size": re.compile(r"0(?:\.0)?(?:px|pt|em|rem|%)?$"),
    "text-indent": re.compile(r"-\d{3,}"),
    "color": re.compile("transparent"),
    "clip": re.compile(r"rect\([01]"),
    "clip-path": re.compile(r"inset\((?:50|100)%"),
    "mso-hide": re.compile("all"),
    "text-decoration": re.compile("line-through"),
    "text-decoration-line": re.compile("line-through"),
    "content-visibility": re.compile("hidden"),
}
_FAR = re.compile(r"-\d{3,}")
_NO_ROOM = re.compile(r"[01](?:px|em|rem|%)?$")
_OPEN_ENDED = frozenset(["p", "li", "dd", "dt", "option"])
_EMPTY = frozenset(
    """
    area base br col embed hr img input link meta param source track wbr
    """.split()  # noqa: SIM905
)
_BLOCKS = frozenset(
    """
    address article aside blockquote body center dd details div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6
    header hr li main nav ol p pre section table tbody td th tr ul
    """.split()  # noqa: SIM905
)
_MOST_STYLE = 2_000  # characters of one that are read

_SUPERSCRIPT = str.maketrans("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")
_SUBSCRIPT = str.maketrans("0123456789+-−=()aeoxhklmnpstijruv", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₒₓₕₖₗₘₙₚₛₜᵢⱼᵣᵤᵥ")
_INLINE_SUPERSCRIPT = frozenset(
    ["st", "nd", "rd", "th", "er", "re", "e", "ème", "o", "a", "os", "as", "®", "℠", "*", "†", "‡", "'", "′", "″", "°"]
)
_NOTE_MARK = re.compile(r"(?:\[\s*+[\w*†‡]{1,4}+\s*+\][\s,]*+)++")
_RAISED = re.compile(r"<(su[bp])\b[^<>]*>(.*?)(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_STRUCK = re.compile(r"<(del|s|strike)\b[^<>]*>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_READING = re.compile(r"<(r[tp]|rtc)\b[^<>]*>.*?(?:</\1\s*>|(?=<r[tpb]\b)|(?=</ruby)|\Z)", re.IGNORECASE | re.DOTALL)
# A bare number is a mark only where it stands upon a word: "see chapter <a>3</a>" is none.
_FOOTNOTE = re.compile(
    r"<a\b[^<>]*?href=\"[^\"<>]*?#_?(?:fn|ftn|footnote|endnote|edn|note|cite|reference)[^\"<>]*+\"[^<>]*>"
    r"\s*+(?:<sup\b[^<>]*>)?+\s*+(?:\[\s*+[\w*†‡]{1,4}\s*+\]|[\d*†‡]{1,4}(?P<bare>))\s*+(?:</sup>)?+\s*+</a>",
    re.IGNORECASE,
)
_QUOTE = re.compile(r"<(/?)q\b[^<>]*>", re.IGNORECASE)
_ALT = re.compile(r"\salt=\"([^\"]*+)\"", re.IGNORECASE)
_DRAWN_FORMULA = re.compile(r"\ssrc=\"[^\"]*?(?:latex|mathtex|codecogs|/math/|math/render|[?&]cht=tx)", re.IGNORECASE)
_SHORT_ALT = 12  # characters that may be a sign somebody drew: an emoji of several


def unescape(text: str) -> str:
    """`html.unescape`, for a stranger's text: Python refuses to make a number of thousands of digits."""
    return html.unescape(_LONG_REFERENCE.sub("\ufffd", text)) if "&" in text else text


# ---------------------------------------------------------------- of any markup


def shown(markup: str) -> str:
    """Markup without what is hidden in it, and with its formulas as text."""
    if "<![CDATA[" in markup:  # which a browser takes for the beginning of a comment
        markup = markup.replace("<![CDATA[", "").replace("]]>", "")
    return _without_hidden(_spelt_out(markup))


def _spelt_out(markup: str) -> str:
    """Formulas as text: the TeX that MathML may carry with it, what its `alttext` says, or nothing that misleads.

    A mail shows no MathML (MathML Core, W3C), and its letters alone, one after the other, are another formula.
    """
    small = markup.lower()
    if ":math" in small:
        markup = _PREFIXED.sub(r"<\1", markup)
    elif "<math" not in small:
        return markup
    return _MATH.sub(_formula, markup)


def _formula(found: re.Match[str]) -> str:
    said = _ANNOTATION.search(found[2]) or _ALTTEXT.search(found[1])
    if said:
        return f"<code>{html.escape(unescape(said[1]).strip(), quote=False)}</code>"
    plain_parts = _OTHER_FORM.sub("", found[2])
    parts = _ANY_TAG.sub("", plain_parts) if _STRUCTURE.search(found[2]) is None else "…"
    return f"<code>{' '.join(parts.split())}</code>"


def _without_hidden(markup: str) -> str:
    """Without elements that nobody sees; one that is never closed is left, since nobody knows where it ends."""
    small = markup.lower()
    if not any(hint in small for hint in _HINTS):
        return markup
    kept: list[str] = []
    start, since = 0, 0
    ending: _End | None = None
    for tag in _TAG.finditer(markup):
        name = tag[2].lower()
        if ending is not None:
            if over := ending.at(name, closing=bool(tag[1]), empty=tag[3].endswith("/>")):
                kept.append(markup[start:since])
                if ending.name == "noscript":  # where the pictures of pages stand that load them late
                    kept += _IMG.findall(markup, since, tag.start())
                start = tag.end() if over == "with" else tag.start()
                ending = None
            if ending is not None or start == tag.end():
                continue
        if not tag[1] and name not in _EMPTY:
            if _hides(name, tag[3]):
                since, ending = tag.start(), _End(name)
            elif _raises(tag[3]):
                kept += (markup[start : tag.end()], _raises(tag[3]))
                start = tag.end()
    return "".join(kept) + markup[start:]


class _End:
    """Where an element ends that has begun: with its own tag, or, where that may be missing, before another's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._depth = 1
        self._lists = 0

    def at(self, name: str, *, closing: bool, empty: bool) -> str:
        """Whether it ends "with" this tag or "before" it; "" where it goes on."""
        if self.name == "p":
            return "with" if closing and name == "p" else "before" if name in _BLOCKS else ""
        if self.name in _OPEN_ENDED:
            if name in ("ul", "ol", "dl", "select"):
                self._lists += -1 if closing else 1
            if self._lists < 0 or (not self._lists and name in _OPEN_ENDED - {"p"} and not closing):
                return "before"
            return "with" if closing and name == self.name and not self._lists else ""
        if name == self.name and not empty:
            self._depth += -1 if closing else 1
        return "" if self._depth else "with"


def _attributes(told: str) -> dict[str, str]:
    found = _ATTRIBUTE.findall(told[:_MOST_STYLE])
    return {name.lower(): unescape(one or two or three).lower() for name, one, two, three in reversed(found)}


def _styles(told: str) -> dict[str, str]:
    parts = (part.partition(":") for part in told.split(";"))
    return {name.strip(): "".join(value.replace("!important", "").split()) for name, _, value in parts}


def _hides(name: str, told: str) -> bool:
    if name in _NEVER_TEXT:
        return True
    if name in ("details", "dialog"):
        return "open" not in _attributes(told)
    if len(told) < 3:
        return False
    attributes = _attributes(told)
    if "hidden" in attributes:
        return True
    classes = attributes.get("class", "").split()
    if not _HIDING_CLASSES.isdisjoint(classes) and not any(map(_SHOWN_AGAIN.search, classes)):
        return True
    return "style" in attributes and _hidden_by(_styles(attributes["style"]))


def _hidden_by(styles: dict[str, str]) -> bool:
    for name, value in styles.items():
        if name in _STYLES and value and _STYLES[name].match(value):
            return True
    away = styles.get("position") in ("absolute", "fixed")
    if away and any(_FAR.match(styles.get(side, "")) for side in ("left", "top", "right", "bottom")):
        return True
    if styles.get("overflow", "").startswith(("hidden", "clip")):
        return any(_NO_ROOM.match(styles.get(side, "")) for side in ("height", "max-height", "width", "max-width"))
    return False


def _raises(told: str) -> str:
    """The tag that says what a style says: raised, or lowered."""
    if "vertical-align" not in told.lower():
        return ""
    way = _styles(_attributes(told).get("style", "")).get("vertical-align", "")
    return {"super": "<sup>", "sub": "<sub>"}.get(way, "")


# ---------------------------------------------------------------- of clean HTML


def spoken(markup: str) -> str:
    """Clean HTML with what has a meaning as such in words: powers, quotations, drawn signs; without what is struck
    out, marks of footnotes, and the readings beside Chinese signs."""
    if "<a" in markup and "#" in markup:
        markup = _FOOTNOTE.sub(_noted, markup)
    if "<su" in markup.lower():
        markup = _RAISED.sub(_raised, markup)
    if "<r" in markup:
        markup = _READING.sub("", markup)
    if "<q" in markup:
        markup = _QUOTE.sub(lambda found: "”" if found[1] else "“", markup)
    if "<img" in markup:
        markup = _IMG.sub(_drawn, markup)
    return _STRUCK.sub("", markup)


def _noted(found: re.Match[str]) -> str:
    upon = found.string[found.start() - 1 : found.start()]
    marks = found["bare"] is None or "<sup" in found[0].lower() or not (upon.isspace() or upon in "(>")
    return "" if marks else found[0]


def _drawn(found: re.Match[str]) -> str:
    """What a picture within a sentence stands for: a formula, an emoji; any other stays a picture."""
    alt = _ALT.search(found[0])
    if alt is None or not alt[1].strip():
        return found[0]
    said = unescape(alt[1]).strip()
    sign = len(said) <= _SHORT_ALT and not any(letter.isalnum() or letter.isascii() for letter in said)
    if sign or _DRAWN_FORMULA.search(found[0]):
        return html.escape(said, quote=False)
    return found[0]


def _raised(found: re.Match[str]) -> str:
    """A superscript or subscript as text: "2⁶⁴", "H₂O", "e^(iπ)"; the number of a footnote is none of the prose."""
    if "<a" in found[2].lower():
        return ""
    said = " ".join(unescape(_ANY_TAG.sub("", found[2])).split())
    if not said or _NOTE_MARK.fullmatch(said):
        return ""
    up = found[1].lower() == "sup"
    small = said.translate(_SUPERSCRIPT if up else _SUBSCRIPT)
    if all(new != old for new, old in zip(small, said, strict=True)):
        return small
    if said.casefold() == "tm":
        return "™"
    if up and said.casefold() in _INLINE_SUPERSCRIPT:
        return html.escape(said, quote=False)
    mark = "^" if up else "_"
    return html.escape(mark + said if len(said) == 1 else f"{mark}({said})", quote=False)
