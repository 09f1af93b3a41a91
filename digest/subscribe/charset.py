"""Which encoding the bytes of a list are in, and the words of it that say so.

charset-normalizer reads long texts well; a list of names has few letters that are not ASCII. So the names decide first:
a reading is good where each word could be one of a language that was written in that encoding (its own letters and no
others, one script, no capital within), and charset-normalizer is asked between readings that are equally good.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from digest.errors import BadInput

MOST = 65_536  # bytes of lines that are not ASCII, looked at
ENOUGH = 2_000  # bytes from which statistics of a language tell more than the order of our table
MIXED = "digest-windows-1252"  # the name of the error handler that reads windows-1252 between UTF-8


@dataclass(frozen=True)
class Charset:
    """An encoding: its name for people, Python's codec, and the words in the file that show how it was read."""

    name: str
    codec: str
    shown: tuple[str, ...] = ()


_WEST = ("äöüß", "éèêëàâçîïôùûüœæÿ", "áéíóúñüªº", "áâãàçéêíóôõúü", "àèéìíîòóùú", "åäöé", "æøåéü", "áéíóúýþæöð",
         "ëïéèüöáíóê", "àéèíòóúüçï", "õäöüšž")  # fmt: skip
_CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "čćđšž", "ăâîşţșț", "äöüß")
_CYRILLIC = ("абвгдеёжзийклмнопрстуфхцчшщъыьэюя", "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя’'",
             "абвгдђежзијклљмнњопрстћуфхцчџш", "абвгдеёжзійклмнопрстуўфхцчшыьэюя’'",
             "абвгдѓежзѕијклљмнњопрстќуфхцчџш")  # fmt: skip
_VOWELS = frozenset("аеёиоуыэюяіїєАЕЁИОУЫЭЮЯІЇЄ")
_GREEK = ("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",)
_TURKISH = ("çğıİöşüâîû",)
_BALTIC = ("āčēģīķļņšūž", "ąčęėįšųūž")
# In the order in which they are taken where nothing else decides.
_ALPHABETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cp1252": ("windows-1252", _WEST),
    "cp1250": ("windows-1250", _CENTRAL),
    "cp1251": ("windows-1251", _CYRILLIC),
    "mac_roman": ("MacRoman", _WEST),
    "cp932": ("Shift-JIS", ()),
    "gb18030": ("GB18030", ()),
    "koi8_u": ("KOI8", _CYRILLIC),
    "cp1254": ("windows-1254", _TURKISH),
    "cp1253": ("windows-1253", _GREEK),
    "cp1257": ("windows-1257", _BALTIC),
    "euc_jp": ("EUC-JP", ()),
    "big5": ("Big5", ()),
    "cp949": ("EUC-KR", ()),
    "cp866": ("cp866", _CYRILLIC),
    "mac_cyrillic": ("MacCyrillic", _CYRILLIC),
    "iso8859_2": ("ISO-8859-2", _CENTRAL),
    "cp850": ("cp850", _WEST),
    "cp852": ("cp852", _CENTRAL),
}
_EAST = {"cp932", "gb18030", "euc_jp", "big5", "cp949"}
_WORD = re.compile(r"[^\s,;|\"'<>()\[\]{}@/:=.\-0-9_]+")


def named(name: str) -> Charset:
    """The encoding that somebody asked for; BadInput for what is none."""
    try:
        found = codecs.lookup(name)
        "".encode(found.name)
        if not isinstance(b"".decode(found.name), str):
            raise LookupError
    except (LookupError, UnicodeError, ValueError):
        raise BadInput(
            f"{name[:40]!r} is no encoding that we know",
            hint="as in utf-8, cp1250, cp1251, shift_jis, gb18030, mac_roman",
        ) from None
    return Charset(_ALPHABETS.get(found.name.replace("-", "_"), (name, ()))[0], found.name)


def guess(lines: Iterable[bytes], titles: frozenset[str] = frozenset()) -> Charset:
    """The encoding of lines that are not all UTF-8: as good a reading as there is, windows-1252 where none is better.

    Lines that are ASCII say nothing, and from 64 KB of others on nothing more is asked. A reading in which one of
    `titles` stands, in small letters, is likelier; the old Macintosh's are where lines end in CR, and not in CR LF.
    """
    telling: list[bytes] = []
    size = 0
    for line in lines:
        if not line.isascii():
            telling.append(line[:1_000])
            size += len(telling[-1])
            if size > MOST:
                break
    some = b"\n".join(telling)
    mixed = some.decode("utf-8", MIXED)
    scores: dict[str, float] = {}
    for codec in _ALPHABETS:
        # Files that were pasted together hold UTF-8 and windows-1252 both.
        text = mixed if codec == "cp1252" else _decoded(telling, codec)
        scores[codec] = _likeness(text, codec) if text is not None else 0.0
        if scores[codec] and not titles.isdisjoint(word.lower() for word in _WORD.findall((text or "")[:1_000])):
            scores[codec] += 0.5
        if codec.startswith("mac_") and b"\r" in some:
            scores[codec] += -0.05 if telling[0].endswith(b"\r\n") else 0.05
    best = max(scores.values())
    equal = [codec for codec, score in scores.items() if score >= best - 0.02]
    # One language in all of a file is likelier than one for each name; and the first of the table is the likeliest.
    agree = {
        codec: _agreement(mixed if codec == "cp1252" else _decoded(telling, codec) or "", codec) for codec in equal
    }
    equal = [codec for codec in equal if agree[codec] >= max(agree.values()) - 0.02]
    chosen = equal[0]
    if len(some) > ENOUGH and len({_decoded(telling, codec) for codec in equal}) > 1:
        chosen = _asked(some, equal) or chosen
    if chosen == "cp1252" or best == 0:
        return Charset("windows-1252", "utf-8-sig", _shown(mixed))
    return Charset(_ALPHABETS[chosen][0], chosen, _shown(_decoded(telling, chosen) or ""))


def _asked(some: bytes, codecs_: list[str]) -> str:
    """What charset-normalizer takes it for, of these."""
    from charset_normalizer import from_bytes

    best = from_bytes(some, cp_isolation=codecs_, preemptive_behaviour=False, language_threshold=0.05).best()
    return best.encoding if best is not None and best.encoding in codecs_ else ""


def _decoded(lines: list[bytes], codec: str) -> str | None:
    """The text, or None where more than one line in fifty is none in this encoding."""
    wrong = 0
    text = []
    for line in lines:
        try:
            text.append(line.decode(codec))
        except UnicodeDecodeError:
            wrong += 1
            if wrong * 50 > len(lines):
                return None
            text.append(line.decode(codec, "replace"))
    return "\n".join(text)


def _likeness(text: str, codec: str) -> float:
    """The share of the words with other letters than ASCII that could be words, 0 to 1."""
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    if not words:
        return 0.0
    good = _eastern(codec) if codec in _EAST else _western(codec)
    return sum(map(good, words)) / len(words)


def _agreement(text: str, codec: str) -> float:
    """The share of the words that the best single language of an encoding could have."""
    words = [{letter for letter in word if letter.isalpha() and not letter.isascii()} for word in _WORD.findall(text)]
    words = [letters for letters in words if letters]
    alphabets = [frozenset(a + a.upper()) for a in _ALPHABETS[codec][1]]
    if not words or not alphabets:
        return 1.0
    return max(sum(map(alphabet.issuperset, words)) for alphabet in alphabets) / len(words)


def _shown(text: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for word in _WORD.findall(text):
        if not word.isascii() and word.isprintable():
            found[word[:30]] = None
            if len(found) == 3:
                break
    return tuple(found)


@cache
def _western(codec: str) -> Callable[[str], float]:
    alphabets = [frozenset(a + a.upper()) for a in _ALPHABETS[codec][1]]
    latin = _ALPHABETS[codec][1] is not _CYRILLIC and _ALPHABETS[codec][1] is not _GREEK

    def good(word: str) -> float:
        core = word.strip("’‘“”„«»–—…¿¡!?*+&%#~\\^`")
        if core.isascii():
            return 0.5  # punctuation of typographers is much the same in all of them
        if not core.isalpha() and not core.replace("’", "").isalpha():
            return 0.0
        ours = [letter for letter in core if not letter.isascii() and letter != "’"]
        if not latin and len(ours) < len(core.replace("’", "")):
            return 0.0
        if any(a.islower() and b.isupper() and not b.isascii() for a, b in pairwise(core)):
            return 0.0
        if any(a.isupper() and b.isupper() for a, b in pairwise(core[1:])) and not core.isupper():
            return 0.0
        if latin and len(ours) > 2 and len(ours) * 2 > len(core):
            return 0.0
        if _ALPHABETS[codec][1] is _CYRILLIC and len(core) > 4 and sum(map(_VOWELS.__contains__, core)) * 5 < len(core):
            return 0.0
        if not any(alphabet.issuperset(ours) for alphabet in alphabets):
            return 0.0
        return 1.0

    return good


@cache
def _eastern(codec: str) -> Callable[[str], float]:
    def good(word: str) -> float:
        if any(letter.isascii() and letter.isalpha() for letter in word):
            return 0.0
        return sum(_usual(letter, codec) for letter in word) / len(word)

    return good


def _usual(letter: str, codec: str) -> float:
    """How usual a character is in the language of an encoding: kana, hangul, and the first plane of its ideographs."""
    if "\u3040" <= letter <= "\u30ff":
        return 1.0 if codec in ("cp932", "euc_jp") else 0.0
    if "\uac00" <= letter <= "\ud7a3":
        return 1.0 if codec == "cp949" else 0.0
    if "\uff66" <= letter <= "\uff9f" or not ("\u3005" <= letter <= "\u9fff"):
        return 0.5 if "\uff01" <= letter <= "\uff5e" or "\u3000" <= letter <= "\u3011" else 0.0
    try:
        match codec:
            case "gb18030":
                first, low, high, rare = letter.encode("gb2312")[0], 0xB0, 0xD7, 0.6
            case "cp932":
                first, low, high, rare = letter.encode("euc_jp")[0], 0xB0, 0xCF, 0.6
            case "euc_jp":
                first, low, high, rare = letter.encode("euc_jp")[0], 0xB0, 0xCF, 0.6
            case "big5":
                first, low, high, rare = letter.encode("big5")[0], 0xA4, 0xC6, 0.5
            case _:
                return 0.2  # hanja
    except UnicodeEncodeError:
        return 0.1
    return 1.0 if low <= first <= high else rare
