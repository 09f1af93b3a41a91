"""Is what a feed gives of an entry its text, or only a stub of it? Pure."""

from __future__ import annotations

import re

from digest.curate import excerpts
from digest.parse.gist import Gist, Line, count

LEAST_WORDS = 60  # fewer are a stub, wherever they end
_END = 120  # characters of a text in which it says that there is more
_MORE = re.compile(
    r"\b(?:read (?:more|on|the (?:full|rest|whole))|continue reading|keep reading|full (?:story|article|text)|"
    r"weiterlesen|mehr lesen|mehr erfahren|lire (?:la suite|plus)|en savoir plus|leer m[áa]s|seguir leyendo|"
    r"sigue leyendo|leggi (?:tutto|di pi[uù])|continua a leggere|lees (?:meer|verder)|l[äa]s mer|les mer|"
    r"czytaj (?:dalej|wi[ęe]cej)|читать (?:далее|полностью))\b|続きを読む|阅读全文|閱讀全文",
    re.IGNORECASE,
)


def reason(said: Gist, *, title: str) -> str:
    """Why what a feed gives of an entry is a stub, as the end of a sentence that begins with it; "" for a text."""
    lines = max(said.content, said.summary, key=lambda lines: sum(len(line.said) for line in lines))
    words = count(line.kept.rstrip(" [(….)]") for line in lines)
    if not words:
        return "gives no text"
    if not excerpts.prose_of(said, title=title) and _begins_alike(lines, title):
        return "gives no text besides its title"
    if _cut(lines):
        return f"gives the beginning only, {words} words"
    if words < LEAST_WORDS and not said.minutes:
        return f"gives {words} words only"
    return ""


def _begins_alike(lines: tuple[Line, ...], title: str) -> bool:
    begins = " ".join(line.kept for line in lines if line.kept).casefold()[:40]
    return bool(title) and title.casefold().startswith(begins[: len(title)])


def _cut(lines: tuple[Line, ...]) -> bool:
    """Whether a text ends with dots, or with a way to more of it."""
    last = lines[-1].said[-_END:] if lines else ""
    kept = next((line.kept for line in reversed(lines) if line.kept), "")
    return excerpts.cut_off(kept) or (bool(_MORE.search(last)) and len(lines[-1].said) <= _END)
