"""Bytes to text: decoded as declared where that can be true, guessed where nothing true is declared.

A mark at the beginning counts first, then what HTTP says, then what the document says of itself (RFC 7303 §3); where
these two differ, what makes words of the bytes. Bytes that are UTF-8 are UTF-8, whatever is said: other text is so by
chance only when it is a few letters. A byte that breaks the encoding becomes U+FFFD, and costs nobody else a letter.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable

from digest.dataclass import dataclass

MAX_SAMPLE = 50_000  # bytes by which an encoding is guessed
MANY = 10_000  # broken bytes among which it is not asked whether they are letters that were cut
_DEFAULTS = frozenset(("iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1"))  # of web servers and programs
_FEW = 0.1  # of what is not ASCII, what may be broken in a text that is still in the encoding it declares

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What a first character of ASCII tells (XML 1.0 appendix F, RFC 4627 section 3): which of four bytes are zero.
_WIDE: dict[tuple[int, ...], str] = {
    (1, 0, 0, 0): "utf-32-le",
    (0, 0, 0, 1): "utf-32-be",
    (1, 0, 1, 0): "utf-16-le",
    (0, 1, 0, 1): "utf-16-be",
}
_JAPANESE_MAIL = re.compile(rb"\x1b\$[@B](?:[!-~]{2})+\x1b\([BJ]")  # ISO-2022-JP (RFC 1468)
_LANGUAGE = re.compile(
    rb"<(?:dc:)?language>\s*+([A-Za-z-]{2,12})|xml:lang=[\"']([A-Za-z-]{2,12})[\"']|\"language\"\s*+:\s*+\"([A-Za-z-]{2,12})\""
)


@dataclass(frozen=True)
class Decoded:
    """A document as text, without its mark. `broken` counts the places that became U+FFFD; `trouble` is in words."""

    text: str
    encoding: str
    broken: int = 0
    trouble: tuple[str, ...] = ()


def decode(body: bytes, labels: Iterable[str] = (), *, language: str = "") -> Decoded:
    """A document's text. `labels` is what is said of its encoding, the word that counts most first.

    `language` helps to guess where no label is true.
    """
    body, name = _by_mark(body)
    if name:
        return _decoded(body, name)
    body = with_whole_characters(body)
    labels = list(dict.fromkeys(label for label in labels if label))
    refused = tuple(f'says it is in "{label[:40]}", which is not read' for label in labels if codec(label) is None)
    said = [name for name in map(codec, labels) if name]
    # No other text has these: ESC is not allowed in XML, and JSON escapes it.
    if b"\x1b" in body and ("iso2022_jp" in said or (body.isascii() and _JAPANESE_MAIL.search(body))):
        return _decoded(body, "iso2022_jp", refused)
    if body.isascii() or _is_utf8(body, spoken_for="utf-8" in said or not said):
        return _decoded(body, "utf-8", refused)
    broken: dict[str, int] = {}  # by encoding; a text is not kept, it may be large
    defaults = frozenset(filter(None, map(codec, _DEFAULTS.intersection(label.lower() for label in labels))))
    others = list(dict.fromkeys(name for name in said if name not in ("utf-8", "iso2022_jp")))
    for name in others if len(others) < 2 else _likeliest(body, others, defaults, language):
        found = _decoded(body, name, refused)
        if name == "cp1252" and len(set(said)) > 1 and not western(found.text):
            continue  # a web server's default, and nobody's word for this document
        if found.broken <= _FEW * _beyond_ascii(found.text):
            return _doubted(found, body, language) if name == "cp1252" else found
        broken[name] = found.broken
        del found
    name = _guessed(body, language)
    told = (*refused, f"is not in the encoding that it says; read as {name}" if said else f"is read as {name}, a guess")
    found = _decoded(body, name, told)
    least = min(broken, key=lambda name: broken[name], default=name)
    return _decoded(body, least, refused) if broken.get(least, found.broken) < found.broken else found


def _by_mark(body: bytes) -> tuple[bytes, str]:
    """The encoding that a text shows by how it begins, "" where it does not; and the text without a mark that lies."""
    mark, said = next((found for found in MARKS if body.startswith(found[0])), (b"", ""))
    start = body[len(mark) : len(mark) + 4]
    name = _WIDE.get(tuple(min(byte, 1) for byte in start), "")
    if name:
        return body[len(mark) :], name
    # A mark that stayed when the text was written anew in another encoding.
    if said == "utf-8" and not _is_utf8(body, spoken_for=True):
        return body[len(mark) :], ""
    if said[:6] in ("utf-16", "utf-32") and start[:1] in (b"<", b"{") and start.isascii() and b"\0" not in start:
        return body[len(mark) :], ""
    return body, said


def feed_text(body: bytes, content_type: str) -> Decoded:
    """The text of a feed, whatever its format."""
    spoken = _LANGUAGE.search(body, 0, 10_000)
    language = next(filter(None, spoken.groups())).decode("ascii") if spoken else ""
    return decode(body, (header_label(content_type), xml_label(body)), language=language)


def header_label(content_type: str) -> str:
    """The `charset` of a Content-Type header, or ""."""
    found = re.search(r"charset\s{0,9}+=\s{0,9}+[\"']?([A-Za-z0-9._:-]{1,40})", content_type, re.I)
    return found[1] if found else ""


_XML_LABEL = re.compile(rb"\A\s*+<\?xml\b[^>]{0,200}?\bencoding\s*+=\s*+[\"']\s*+([A-Za-z0-9._:-]{1,40})")


def xml_label(body: bytes) -> str:
    """The encoding that an XML declaration names, or ""."""
    found = _XML_LABEL.match(body.removeprefix(codecs.BOM_UTF8), 0, 1_000)
    return found[1].decode("ascii") if found else ""


_META = re.compile(rb"charset\s{0,9}+=\s{0,9}+[\"']?\s{0,9}+([A-Za-z0-9._:-]{2,40})", re.I)


def page_label(page: bytes) -> str:
    """The encoding that a web page says in a `<meta>`, or ""."""
    found = _META.search(page, 0, 4_096)
    return found[1].decode("ascii") if found else ""


# ---------------------------------------------------------------- labels

# What is read: the encodings of the WHATWG's standard, UTF-32, and two of DOS that old Cyrillic and German feeds have.
# Not read are those in which text can be hidden from whoever looks at its bytes (UTF-7, HZ, ISO-2022-KR), those of the
# old Macintosh, which nobody means, and those that are no ASCII (EBCDIC).
_READ_WORDS = (
    "utf-8 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp866 cp850 cp874 koi8-r koi8-u iso8859-2 "
    "iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-10 iso8859-13 iso8859-14 iso8859-15 "
    "iso8859-16 gb18030 big5hkscs cp932 euc_jp iso2022_jp cp949"
)
_READ = frozenset(_READ_WORDS.split())
# What a label means, where that is more than the encoding of that name (encoding.spec.whatwg.org/#names-and-labels).
_MEANS = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "cp950": "big5hkscs",
    "euc_kr": "cp949",
    "johab": "",
    "shift_jis": "cp932",
    "shift_jisx0213": "cp932",
    "shift_jis_2004": "cp932",
    "euc_jis_2004": "euc_jp",
    "iso2022_jp_1": "iso2022_jp",
    "iso2022_jp_2": "iso2022_jp",
    "iso2022_jp_ext": "iso2022_jp",
    "utf-8-sig": "utf-8",
    "koi8-t": "",
}
# Labels that Python does not know, or takes for something else.
_LABELS = {
    "x-sjis": "cp932",
    "x-ms-cp932": "cp932",
    "windows-31j": "cp932",
    "sjis": "cp932",
    "shift-jis": "cp932",
    "x-euc-jp": "euc_jp",
    "x-euc": "euc_jp",
    "x-gbk": "gb18030",
    "gb_2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gb2312-80": "gb18030",
    "x-euc-cn": "gb18030",
    "euc-cn": "gb18030",
    "csgb2312": "gb18030",
    "chinese": "gb18030",
    "x-x-big5": "big5hkscs",
    "cn-big5": "big5hkscs",
    "x-big5": "big5hkscs",
    "big-5": "big5hkscs",
    "ks_c_5601": "cp949",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601-1989": "cp949",
    "ksc_5601": "cp949",
    "ksc5601": "cp949",
    "windows-949": "cp949",
    "windows-936": "gb18030",
    "windows-932": "cp932",
    "windows-950": "big5hkscs",
    "windows-874": "cp874",
    "dos-874": "cp874",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "logical": "iso8859-8",
    "visual": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "koi": "koi8-r",
    "koi8": "koi8-r",
    "koi8-ru": "koi8-u",
    "x-unicode20utf8": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "utf8mb4": "utf-8",
    "unicode": "utf-8",
    "ansi": "cp1252",
    "ansi_x3.110-1983": "cp1252",
    "x-ansi": "cp1252",
    "iso-8859": "cp1252",
    "iso8859": "cp1252",
    "iso_8859_1": "cp1252",
    "latin": "cp1252",
    "cp65001": "utf-8",
}
_BEYOND_ASCII = bytes(range(128, 256))
# They say nothing about bytes beyond ASCII: ASCII itself, and UTF-16 where a label can be read at all.
_IDLE = re.compile(
    r"(us-?)?ascii|ansi_x3\.4-19\d\d|iso646-us|iso-?10646-ucs-2|csunicode|ucs-?[24]|utf-?(16|32)([lb]e|-[lb]e)?|binary|none|default|auto"
)


def codec(label: str) -> str | None:
    """Python's name for what a label means; "" where that says nothing beyond ASCII, None for what is not read."""
    label = label.strip().strip("\"'").lower()
    if _IDLE.fullmatch(label):
        return ""
    name = _LABELS.get(label)
    if name is None:
        label = re.sub(r"\Ax-(?=cp|windows)", "", label).replace("windows_", "windows-")
        try:
            name = codecs.lookup(re.sub(r"\Awin(?:dows)?-?(?=125\d)", "cp", label)).name
        except (LookupError, ValueError):
            return None
        if name == "ascii":
            return ""
        name = _MEANS.get(name, name)
    return name if name in _READ else None


# ---------------------------------------------------------------- decoding

# What Java and old databases call UTF-8: an emoji in two halves, each as a character (CESU-8).
_SURROGATES = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")


def with_whole_characters(body: bytes) -> bytes:
    """UTF-8 as it should be: no character in two halves."""
    return _SURROGATES.sub(_one_character, body) if b"\xed" in body else body


def _one_character(match: re.Match[bytes]) -> bytes:
    halves = match[0].decode("utf-8", "surrogatepass")
    return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le").encode()


def _doubted(found: Decoded, body: bytes, language: str) -> Decoded:
    """A text that is said to be in what programs say by default, read otherwise where that alone makes words of it."""
    if western(found.text):
        return found
    name = _guessed(body, language)
    if name == "cp1252":
        return found
    some = _sample(body)
    odd, less = (_oddities(some.decode(one, "replace")) for one in ("cp1252", name))
    spoken_for = name in _BY_LANGUAGE.get(language.lower().partition("-")[0], ()) or name == _japanese(some)
    if not (spoken_for and less <= odd) and (less * 4 >= odd or odd * _RARELY < _beyond_ascii(found.text)):
        return found
    return _decoded(body, name, (f"is not in the encoding that it says; read as {name}",))


_CUT = re.compile(
    rb"[\xe0-\xef][\x80-\xbf](?![\x80-\xbf])|[\xf0-\xf4][\x80-\xbf]{1,2}(?![\x80-\xbf])|[\xc2\xc3\xe2](?=\s*+(?:<|\.\.|\]\]|\Z))"
)


def _decoded(body: bytes, name: str, trouble: tuple[str, ...] = ()) -> Decoded:
    text = body.decode(name, "replace").lstrip("\ufeff")
    broken = text.count("\ufffd") if "\ufffd" in text else 0
    if broken and name == "utf-8":
        broken -= body.count(b"\xef\xbf\xbd")  # which the publisher sent
    if broken:
        trouble = (*trouble, f"has bytes that are no {name} at {broken:,} places, shown as \ufffd")
    return Decoded(text, name, broken, trouble)


def _is_utf8(body: bytes, *, spoken_for: bool) -> bool:
    """Whether a text is UTF-8, but for a few bytes at most that are broken or cut."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        text = body.decode("utf-8", "replace")
        broken = text.count("\ufffd") - body.count(b"\xef\xbf\xbd")
        whole = _beyond_ascii(text) + body.count(b"\xef\xbf\xbd")
        cut = len(_CUT.findall(body)) if broken < MANY else 0
        # Words of a person who writes in another encoding are nearly all broken, and whole by chance only.
        return whole + cut >= (1 if spoken_for else 3) * max(1, broken - cut)
    return True


def _beyond_ascii(text: str) -> int:
    return len(text) - len(text.encode("ascii", "ignore")) - text.count("\ufffd")


_ALPHABETS = [
    frozenset(letters + letters.upper())
    for letters in (
        "äöüßéàè",
        "àâæçéèêëîïôœùûüÿ",
        "áéíñóúüçªº",
        "áâãàçéêíóôõúüªº",
        "åäöéü",
        "æøåéèòôü",
        "àèéìíòóùú",
        "éëïóöüèáíúàêâô",
        "áéíóúàèòçïüñ",
        "áðéíóúýþæö",
        "áéíóú",
    )
]
_SIGN_IN_A_WORD = re.compile("[a-z][\xa1-\xa3\xa5\xb3\xb6\xb9\xbc-\xbf][a-z]|[a-z][\xb3\xb9\xbe]\\b")
_WORD = re.compile(r"(?:[^\W\d_²³¹¼-¾])+")
_MOST = 2_000  # words by which a text is judged


def western(text: str) -> bool:
    """Whether text is plausibly of one Western European language: its letters are, and stand among plain ones."""
    letters: Counter[str] = Counter()
    odd = words = 0
    for match, _ in zip((m for m in _WORD.finditer(text) if not m[0].isascii()), range(_MOST), strict=False):
        beyond = [c for c in match[0] if not c.isascii()]
        letters.update(beyond)
        words += 1
        odd += len(match[0]) > 2 and len(beyond) == len(match[0])
    most = max(sum(letters[c] for c in alphabet) for alphabet in _ALPHABETS)
    return most >= 0.97 * letters.total() and odd * 4 <= words and not _SIGN_IN_A_WORD.search(text)


# In which encodings text of a language may be, where its feed does not say so truly.
_CYRILLIC = ("cp1251", "koi8-r", "koi8-u", "cp866", "iso8859-5")
_MIDDLE = ("cp1250", "iso8859-2")
_SEVERAL: dict[str, tuple[str, ...]] = {
    "en de fr es it pt nl sv da nb no nn fi is ca gl eu ga af sq": ("cp1252",),
    "pl cs sk hu sl hr ro bs": _MIDDLE,
    "ru uk be bg mk sr": _CYRILLIC,
    "lt lv et": ("cp1257",),
}
_BY_LANGUAGE = {language: names for several, names in _SEVERAL.items() for language in several.split()} | {
    "el": ("cp1253", "iso8859-7"),
    "tr": ("cp1254",),
    "he": ("cp1255", "iso8859-8"),
    "ar": ("cp1256",),
    "fa": ("cp1256",),
    "th": ("cp874",),
    "vi": ("cp1258",),
    "ja": ("cp932", "euc_jp"),
    "zh": ("gb18030", "big5hkscs"),
    "ko": ("cp949",),
}
# What chardet calls them.
_CHARDET = {"cp932": "shift_jis_2004", "euc_jp": "euc_jis_2004"}
_RARE = ("cp866", "iso8859-5", "iso8859-7", "iso8859-8")  # only where the language speaks for them
_ALL = sorted({name for names in _BY_LANGUAGE.values() for name in names} - set(_RARE))


def _likeliest(body: bytes, said: list[str], defaults: frozenset[str], language: str) -> list[str]:
    """What is said of one document in two ways, the likelier first: a web server has one default for all of its own."""
    some = _sample(body)
    odd = {name: _oddities(some.decode(name, "replace")) for name in said}
    first, second = sorted(said, key=lambda name: odd[name])[:2]
    if odd[first] * 4 >= odd[second]:
        first = _detected(some, said) if _letters(some) >= _ENOUGH else _own_word(said, defaults, language)
    return [first, *(name for name in said if name != first)]


_RARELY = 12  # letters beyond ASCII for one oddity, in a text that is in another encoding
_ENOUGH = 4  # letters beyond ASCII by which words are known: one "café" may be Greek


def _letters(some: bytes) -> int:
    return len(some) - len(some.translate(None, _BEYOND_ASCII))


def _own_word(said: list[str], defaults: frozenset[str], language: str) -> str:
    """Of two words for the same few letters the one that somebody chose: for the language, or else no default."""
    spoken = _BY_LANGUAGE.get(language.lower().partition("-")[0], ())
    of_language = [name for name in said if name in spoken and name != "cp1252"]
    return (of_language or [name for name in said if name not in defaults] or said)[0]


def _detected(some: bytes, said: list[str]) -> str:
    import chardet

    names = {_CHARDET.get(name, name): name for name in said}
    found = chardet.detect(some, include_encodings=list(names), compat_names=False)["encoding"]
    return names.get(found or "", said[0])


_ASIAN = "\u0e00-\u0e7f\u3041-\u30ff\u3400-\u9fff\uac00-\ud7af\ufe30-\ufe6f\uff00-\uffef"
_ALPHABETIC = ("A-Za-zÀ-ÖØ-öø-ɏ", "Ͱ-Ͽ", "Ѐ-ԯ", "\u0590-\u06ff")
_SIGNS = "\xa2-\xa9\xac-\xb6\xb8\xb9\xbc-\xbe\u02b0-\u02ff"
_MIXED = "|".join(f"[{one}][{other}]" for one in _ALPHABETIC for other in _ALPHABETIC if one != other)
# What hardly any text has: two alphabets in a word, a capital that is not ASCII behind a small letter, words of accents
# alone, numbers and signs that touch such letters, one letter of another alphabet alone, and boxes.
_ODD = re.compile(
    f"{_MIXED}|[A-Za-z][{_ASIAN}]|[{_ASIAN}][A-Za-z]"
    "|[\x80-\x9f\xa4\u2219\u221a\u2248\u2320\u2321\u2500-\u25ff\ue000-\uf8ff\ufffd]"
    "|[a-zß-öø-ÿа-яёα-ω][À-ÖØ-ÞА-ЯЁΑ-Ω]|[à-öø-ÿа-яα-ω][A-Z]|\\b[А-ЯЁ]{2}[а-яё]|\\b[À-ÖØ-öø-ž]{3,}\\b"
    "|[0-9][À-ÖØ-öø-žͰ-ԯ]|[À-ÖØ-öø-žͰ-ԯ][0-9]|\\b[Ͱ-ԯ]\\b(?= [a-z])|\\b[ßъьы]"
    f"|[a-zÀ-ÖØ-öø-ž][{_SIGNS}]|[{_SIGNS}\xaa][a-zÀ-ÖØ-öø-ž]"
    "|[A-Za-z][\xa1\xab\xbb\xbf][A-Za-z]|[\xa8\xaf\xb4\xb8\u02b0-\u02ff](?=\\s|\\Z)",
)


def _oddities(text: str) -> int:
    """How often there is in a text what hardly any has."""
    return len(_ODD.findall(text))


def _sample(body: bytes) -> bytes:
    """Of a document the texts that are not ASCII, as far as they tell enough."""
    sample = bytearray()
    for match in re.finditer(rb"[^<>\n]+", body):
        if not match[0].isascii():
            sample += match[0] + b"\n"
            if len(sample) > MAX_SAMPLE:
                break
    return bytes(sample[:MAX_SAMPLE])


def _guessed(body: bytes, language: str) -> str:
    """The encoding that is likeliest, by a sample of the texts that are not ASCII."""
    some = _sample(body)
    likely = _BY_LANGUAGE.get(language.lower().partition("-")[0], ())
    if (name := _japanese(some)) is not None:
        return name
    # Many a feed says "en" because its program did; another language is said on purpose.
    if likely in ((), ("cp1252",)) and (
        western(some.decode("cp1252", "replace")) or (likely and not language.lower().startswith("en"))
    ):
        return "cp1252"
    fitting = [name for name in likely if name != "cp1252" and _breaks(some, name) <= len(some) // 200]
    if len(fitting) == 1:
        return fitting[0]
    import chardet  # a megabyte of what letters follow which, wanted by few feeds

    names = {_CHARDET.get(name, name): name for name in fitting or _ALL}
    said = chardet.detect(some, include_encodings=["utf-8", *names], compat_names=False)["encoding"]
    name = _cyrillic(some, names.get(said or "", "cp1252"))
    return name if _breaks(some, name) <= len(some) // 50 else "cp1252"


_KANA = re.compile("[\u3041-\u30ff]")


def _japanese(sample: bytes) -> str | None:
    """Kana in numbers come of nothing else: detectors need more text than a title to see that."""
    for name in ("cp932", "euc_jp"):
        text = sample.decode(name, "replace")
        if text.count("\ufffd") <= len(text) // 200 and len(_KANA.findall(text)) * 3 >= max(3, _beyond_ascii(text)):
            return name
    return None


# A capital after a small letter, and what is neither ASCII nor a letter or sign of Cyrillic texts.
_UNLIKELY = re.compile("[а-яёіїєґў][А-ЯЁІЇЄҐЎ]|[^\0-\x7fа-яёА-ЯЁіїєґўІЇЄҐЎ«»„“”—–…№’\xa0]")


def _cyrillic(sample: bytes, name: str) -> str:
    """Of the Cyrillic encodings another one than was guessed, where the guess makes no words and the other does."""
    if name not in _CYRILLIC:
        return name
    unlikely = {one: len(_UNLIKELY.findall(sample.decode(one, "replace"))) for one in _CYRILLIC}
    least = min(unlikely, key=lambda one: unlikely[one])
    return least if unlikely[least] * 4 < unlikely[name] else name


def _breaks(sample: bytes, name: str) -> int:
    return sample.decode(name, "replace").count("\ufffd")
