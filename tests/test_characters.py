"""From bytes to letters: what is declared, what is true, and what is mended."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from digest import parse
from digest.parse import characters, documents
from digest.parse.garbled import Repairs

NOW = datetime(2026, 11, 28, 7, 0, tzinfo=UTC)
URL = "https://example.org/feed"
GERMAN = "Zürich: Äpfel, Öl und größere Füße"
RUSSIAN = "Учёные нашли воду на Луне и рассказали об этом"
JAPANESE = "新しいニュースをお届けします"
CHINESE = "今天的新闻：经济增长放缓，专家这样说"
KOREAN = "오늘의 뉴스를 전해 드립니다"
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy"


def read(body: bytes, content_type: str = "") -> parse.ParsedFeed:
    return parse.feed(body, url=URL, content_type=content_type, now=NOW)


def feed(title: str, *, declared: str = "", language: str = "", more: str = "") -> str:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    spoken = f"<language>{language}</language>" if language else ""
    return (
        f'{head}<rss version="2.0"><channel><title>T</title>{spoken}<item><title>{title}</title>'
        f"<link>https://example.org/1</link><description>{more}</description></item></channel></rss>"
    )


def title(body: bytes, content_type: str = "") -> str:
    return read(body, content_type).entries[0].title


# ---------------------------------------------------------------- one bad byte

BAD = [b"\xff", b"\x80", b"\xe2\x80", b"\xc3", b"\xf0\x9f\x98", b"\xe4\xbd"]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("words", [GERMAN, RUSSIAN, JAPANESE, "Zürich"])
@pytest.mark.parametrize("declared", ["", "utf-8"])
def test_a_byte_that_is_broken_costs_itself_and_no_other_letter(bad: bytes, words: str, declared: str) -> None:
    body = feed(words, declared=declared, more="An excerpt cut @").encode().replace(b"@", bad)
    found = read(body)
    assert found.entries[0].title == words
    assert found.entries[0].summary == "An excerpt cut \ufffd"
    assert any("no utf-8 at 1 places" in said for said in found.trouble)


def test_a_cut_letter_alone_does_not_make_another_encoding_of_a_feed_in_plain_ascii() -> None:
    assert read(feed("a", declared="utf-8", more="He said \u201c@").encode().replace(b"\x9c@", b"")).entries[
        0
    ].summary == ("He said \ufffd")


@pytest.mark.parametrize(
    ("name", "words", "bad"),
    [
        ("gb2312", CHINESE, b"\xff"),
        ("shift_jis", JAPANESE, b"\xfd"),
        ("euc-kr", KOREAN, b"\xff"),
        ("big5", "今天的新聞", b"\xff"),
    ],
)
def test_a_broken_byte_in_a_declared_encoding_costs_one_letter_too(name: str, words: str, bad: bytes) -> None:
    body = feed(words * 3, declared=name, more="@").encode(characters.codec(name) or "").replace(b"@", bad)
    assert title(body) == words * 3


def test_an_emoji_in_two_halves_is_one_and_costs_nothing() -> None:
    body = feed("@ Zürich @").encode().replace(b"@", "\ud83d\ude00".encode("utf-8", "surrogatepass"))
    assert (title(body), read(body).trouble) == ("😀 Zürich 😀", ())
    assert title(body.replace("ü".encode(), b"u")) == "😀 Zurich 😀"


def test_one_bad_byte_does_not_lose_a_json_feed_or_a_list_or_a_page() -> None:
    document = {
        "version": "https://jsonfeed.org/version/1.1",
        "items": [{"id": "1", "title": GERMAN, "content_text": "@"}],
    }
    body = json.dumps(document, ensure_ascii=False).encode().replace(b"@", b"\xff")
    assert title(body) == GERMAN
    opml = f'<opml><body><outline text="{GERMAN}" title="{GERMAN}" description="@" xmlUrl="https://e.example/"/></body></opml>'
    assert parse.opml(opml.encode().replace(b"@", b"\xff"))[0].title == GERMAN
    page = f'<link rel="alternate" type="application/rss+xml" title="{GERMAN}" href="/rss"><p>@'
    assert parse.feed_links(page.encode().replace(b"@", b"\xff"), url=URL)[0].title == GERMAN


# ---------------------------------------------------------------- who is believed

LABELS = [
    ("iso-8859-1", "cp1252", "“Zürich” – 5 €"),
    ("latin1", "cp1252", "“Zürich” – 5 €"),
    ("ISO8859-1", "cp1252", "“Zürich”"),
    ("windows-1252", "cp1252", "“Zürich”"),
    ("iso-8859-9", "cp1254", "Ağustos’ta"),
    ("iso-8859-2", "iso8859-2", CZECH),
    ("windows-1250", "cp1250", CZECH),
    ("win-1251", "cp1251", RUSSIAN),
    ("koi8-r", "koi8-r", RUSSIAN),
    ("gb2312", "gb18030", "朱镕基 鎔 €"),
    ("gbk", "gb18030", "鎔"),
    ("x-gbk", "gb18030", "鎔"),
    ("big5", "big5hkscs", "今天的新聞"),
    ("ks_c_5601-1987", "cp949", "똠방각하"),
    ("euc-kr", "cp949", "똠방각하"),
    ("shift_jis", "cp932", "①髙﨑"),
    ("x-sjis", "cp932", "①髙﨑"),
    ("euc-jp", "euc_jp", JAPANESE),
    ("iso-2022-jp", "iso2022_jp", JAPANESE),
    ("tis-620", "cp874", "ข่าววันนี้ …"),
    ("iso-8859-8-i", "iso8859-8", "שלום עולם"),
    ("windows-1256", "cp1256", "أخبار اليوم"),
    ("utf8", "utf-8", JAPANESE),
]


@pytest.mark.parametrize(("label", "really", "words"), LABELS, ids=[label for label, *_ in LABELS])
def test_a_label_means_what_those_who_write_it_mean(label: str, really: str, words: str) -> None:
    assert title(feed(words, declared=label).encode(really)) == words
    assert title(feed(words).encode(really), f"text/xml; charset={label}") == words
    assert read(feed(words, declared=label).encode(really)).trouble == ()


def test_a_mark_counts_before_the_header_and_the_header_before_the_declaration() -> None:
    assert title(b"\xef\xbb\xbf" + feed(GERMAN, declared="koi8-r").encode(), "text/xml; charset=koi8-r") == GERMAN
    assert title(feed(RUSSIAN, declared="koi8-r").encode("utf-16"), "text/xml; charset=koi8-r") == RUSSIAN
    body = feed(RUSSIAN, declared="koi8-r").encode("cp1251")
    assert title(body, "application/rss+xml; charset=windows-1251") == RUSSIAN


def test_a_web_server_s_default_is_not_believed_against_the_document_s_own_word() -> None:
    assert title(feed(RUSSIAN, declared="windows-1251").encode("cp1251"), "text/xml; charset=ISO-8859-1") == RUSSIAN
    assert title(feed(CZECH, declared="iso-8859-2").encode("iso8859-2"), "text/xml; charset=utf-8") == CZECH


GREEK, HEBREW, POLISH = "Καλημέρα σε όλους τους αναγνώστες", "שלום לכל הקוראים שלנו היום", "Zażółć gęślą jaźń w sobotę"
JAPANESE, CHINESE, KOREAN = "日本語の記事の題名と要約です", "今天的新闻摘要和评论文章", "오늘의 뉴스 요약과 논평"
REALLY = [
    *((name, RUSSIAN) for name in ("windows-1251", "koi8-r", "iso-8859-5")),
    *((name, GERMAN) for name in ("iso-8859-1", "windows-1252")),
    *[("windows-1250", POLISH), ("iso-8859-2", POLISH), ("windows-1253", GREEK), ("windows-1255", HEBREW)],
    *[("shift_jis", JAPANESE), ("euc-jp", JAPANESE), ("gb2312", CHINESE), ("euc-kr", KOREAN)],
]
DEFAULTS = ["windows-1251", "koi8-r", "iso-8859-2", "windows-1252", "windows-1256", "gb2312", "shift_jis"]


@pytest.mark.parametrize(("really", "words"), REALLY)
def test_of_a_header_and_a_declaration_that_differ_the_one_counts_that_makes_words(really: str, words: str) -> None:
    for other in DEFAULTS:
        assert title(feed(words, declared=really).encode(really), f"text/xml; charset={other}") == words, other
        assert title(feed(words, declared=other).encode(really), f"text/xml; charset={really}") == words, other


NOT_READ = """x-mac-roman macintosh x-mac-cyrillic mac_latin2 hz-gb-2312 utf-7 UTF_7 iso-2022-kr cp037 rot13 punycode
unicode_escape zlib idna base64 nonsense"""


@pytest.mark.parametrize("declared", ["windows-1251", "koi8-r", "iso-8859-7", "iso-8859-5", "windows-1250"])
def test_a_header_counts_before_a_declaration_where_there_are_too_few_letters_to_tell_words_by(declared: str) -> None:
    body = f"<?xml version='1.0' encoding='{declared}'?><rss>caf\u00e9</rss>".encode("iso-8859-15")
    assert "caf\u00e9" in characters.decode(body, ("iso-8859-15", declared)).text


# Few letters beyond ASCII each, in what they really are.
FEW = {
    "windows-1252": "café|Zürich|5 € off|A – B|It’s on|“Quote”|São Paulo|½ price|à la|Ótimas notícias",
    "windows-1250": "Łódź|Gdańsk|Příbram|Škoda",
    "iso-8859-2": "Gdańsk|Škoda",
    "windows-1251": "Мир|Я|Привет",
    "koi8-r": "Мир|Привет",
    "windows-1254": "Beşiktaş|Muğla",
    "windows-1257": "Rīga",
    "shift_jis": "日本|東京の",
    "big5": "新聞",
}


@pytest.mark.parametrize("really", FEW)
def test_a_few_letters_are_read_by_the_word_that_is_no_default_and_mixes_no_alphabets(really: str) -> None:
    central = really[-1] in "047" or really[-2:] == "-2"  # which no sign tells from another Latin one
    defaults = ["utf-8", "iso-8859-1", *([] if central else ["windows-1251", "koi8-r"])]
    for words in FEW[really].split("|"):
        for other in defaults:
            assert title(feed(words, declared=really).encode(really), f"text/xml; charset={other}") == words, other
            assert title(feed(words, declared=other).encode(really), f"text/xml; charset={really}") == words, other


@pytest.mark.parametrize(
    ("really", "words", "language"),
    [
        ("cp1251", RUSSIAN, ""),
        ("koi8-r", RUSSIAN, "ru"),
        ("cp1250", CZECH, "cs"),
        ("cp1253", GREEK, ""),
        ("cp1255", HEBREW, "he"),
        ("gb18030", CHINESE, ""),
        ("cp932", JAPANESE, ""),
        ("cp1254", "Başbakan açıkladı", "tr"),
    ],
)
def test_what_programs_say_by_default_is_not_believed_where_it_makes_no_words(
    really: str, words: str, language: str
) -> None:
    for label in ("iso-8859-1", "windows-1252"):
        found = read(feed(words, declared=label, language=language).encode(really))
        assert found.entries[0].title == words
        assert any("read as" in said for said in found.trouble)
        assert title(feed(words, language=language).encode(really), f"text/xml; charset={label}") == words


@pytest.mark.parametrize("start", ["", "\n", " \r\n"])
@pytest.mark.parametrize("wide", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_characters_without_a_mark_are_known_by_the_first(wide: str, start: str) -> None:
    assert title((start + feed(RUSSIAN)).encode(wide)) == RUSSIAN
    document = json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": [{"id": 1, "title": "я"}]})
    assert title((start + document).encode(wide)) == "я"


@pytest.mark.parametrize(
    ("mark", "really", "declared"),
    [
        ("utf-16-le", "utf-8", ""),
        ("utf-16-be", "utf-8", "utf-16"),
        ("utf-16-be", "utf-16-le", ""),
        ("utf-8", "utf-16-le", ""),
        ("utf-8", "cp1251", "windows-1251"),
    ],
)
def test_a_mark_that_lies_is_passed_over(mark: str, really: str, declared: str) -> None:
    body = "\ufeff".encode(mark) + feed(RUSSIAN, declared=declared).encode(really)
    assert title(body) == RUSSIAN


@pytest.mark.parametrize("label", NOT_READ.split())
def test_what_hides_text_or_is_no_encoding_of_text_is_never_decoded_by(label: str) -> None:
    assert characters.codec(label) is None
    found = read(feed("~{:Ky2;~} +ADw-script+AD4- \\x41", declared=label).encode())
    assert found.entries[0].title == "~{:Ky2;~} +ADw-script+AD4- \\x41"
    assert any(label in said and "not read" in said for said in found.trouble)
    assert title(feed(GERMAN, declared=label).encode("cp1252")) == GERMAN
    assert label.encode() not in documents.as_utf8(feed("a", declared=label).encode(), "")[0]  # a parser would try it


# ---------------------------------------------------------------- where nothing true is said


@pytest.mark.parametrize(
    ("really", "words", "language"),
    [
        ("cp1252", GERMAN, ""),
        ("cp1252", "café", ""),
        ("cp1252", "L’été à la plage : où dormir ?", "en-US"),
        ("cp1251", RUSSIAN, ""),
        ("cp1251", RUSSIAN, "en"),
        ("koi8-r", RUSSIAN, ""),
        ("koi8-r", "Новости", "ru"),
        ("cp866", RUSSIAN, "ru"),
        ("cp932", JAPANESE, ""),
        ("euc_jp", JAPANESE, ""),
        ("gb18030", CHINESE, ""),
        ("gb18030", "新闻", "zh-CN"),
        ("cp949", KOREAN, ""),
        ("cp1250", CZECH, ""),
        ("cp1250", "Zażółć gęślą jaźń", "pl"),
        ("iso8859-2", "Zażółć gęślą jaźń", "pl"),
        ("cp1253", "Τα νέα της ημέρας σήμερα", ""),
        ("cp1254", "Bugünün haberleri: İstanbul’da yağış", "tr"),
        ("cp1255", "חדשות היום בישראל ובעולם", ""),
        ("cp1256", "أخبار اليوم من كل مكان", "ar"),
        ("cp874", "ข่าววันนี้ทั่วประเทศ", "th"),
    ],
)
@pytest.mark.parametrize("declared", ["", "utf-8", "us-ascii"])
def test_an_encoding_that_nobody_names_truly_is_guessed(really: str, words: str, language: str, declared: str) -> None:
    found = read(feed(words, declared=declared, language=language).encode(really))
    assert found.entries[0].title == words
    assert any("guess" in said or "not in the encoding" in said for said in found.trouble)


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from(["", "utf-8", "gb2312", "iso-2022-jp", "big5", "euc-jp", "x-mac-roman", "utf-16"]),
)
@example(b"\xff\xfe\x00\xd8", "")
@example(b"\x00\x00\xfe\xff\xff\xff\xff\xff", "")
def test_any_bytes_become_text_that_can_be_written(body: bytes, label: str) -> None:
    characters.decode(body, (label,)).text.encode()


# ---------------------------------------------------------------- garbled before it came

GARBLED = [
    ("donâ€™t", "don’t"),
    ("ZÃ¼rich: Ã„pfel und grÃ¶ÃŸere FÃ¼ÃŸe", "Zürich: Äpfel und größere Füße"),
    ("L’Ã©tÃ© Ã\xa0 la plage", "L’été à la plage"),
    ("â€œQuotedâ€\x9d textâ€¦", "“Quoted” text…"),
    ("ÐŸÑ€Ð¸Ð²ÐµÑ‚, Ð¼Ð¸Ñ€", "Привет, мир"),
    ("Ã¢â‚¬Å“twiceÃ¢â‚¬Â\x9d", "“twice”"),
]


@pytest.mark.parametrize(("came", "meant"), GARBLED)
def test_a_text_that_was_garbled_before_it_came_is_mended_and_told(came: str, meant: str) -> None:
    found = read(feed(came, more=f"&lt;p&gt;{came}&lt;/p&gt;").encode())
    [entry] = found.entries
    assert (entry.title, entry.summary) == (meant, f"<p>{meant}</p>")
    assert any("2 texts are mended" in said for said in found.trouble)


FINE = """SÃO PAULO: AÇÃO|Â|L’Âge d’or|Été à Évian|“Æ” and ‘Ð’|ÀÉÎÕÜ|Đà Nẵng: Điện|naïve café – €5|Αθήνα
İstanbul’da|Ãlvaro|¿Qué? ¡Olé!"""


@pytest.mark.parametrize("words", [GERMAN, RUSSIAN, JAPANESE, CHINESE, KOREAN, CZECH, *re.split(r"[|\n]", FINE)])
def test_a_text_that_is_as_it_should_be_stays_so(words: str) -> None:
    repairs = Repairs()
    assert repairs.of(words) == words
    assert repairs.trouble() == []


def test_an_entry_is_known_by_its_text_as_it_came_so_that_mending_makes_no_new_one() -> None:
    came = feed("donâ€™t").replace("<link>https://example.org/1</link>", "").encode()
    [entry] = read(came).entries
    other = parse.entries._hash("entry", "donâ€™t", "")
    assert (entry.title, entry.key) == ("don’t", other)


def test_what_mending_brings_to_light_cannot_turn_the_text_around_it() -> None:
    hidden = "donâ€™t " + "\u202e".encode().decode("cp1252", "replace").replace("\ufffd", "") + " â€®"
    assert "\u202e" not in title(feed(hidden).encode())


C1 = re.compile("[\x80-\x9f]")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=100))
@example("\xe0\x85\x80")
@example("\xc3\x85\x80")
@example("\u0420\u2028\x85\x80")
def test_mending_never_crashes_and_is_done_in_one_go(words: str) -> None:
    once = Repairs().of(words)
    assert Repairs().of(once) == once or len(once) < len(words)
    assert len(C1.findall(once)) <= len(C1.findall(words))


@pytest.mark.parametrize(
    ("words", "really", "declared"),
    [
        ("日本語の新しいニュースです、東京で大きな会議が開かれました", "iso2022_jp", ""),
        ("日本語の新しいニュースです、東京で大きな会議が開かれました", "iso2022_jp", "utf-8"),
        ("Сегодня в Москве состоялась важная встреча", "iso8859_5", ""),
        ("Сегодня в Москве состоялась важная встреча", "iso8859_5", "utf-8"),
        ("Сегодня в Москве состоялась важная встреча", "koi8_r", "utf-8"),
        ("Сегодня в Москве состоялась важная встреча", "cp1251", "utf-8"),
        ("Сегодня в Москве состоялась важная встреча", "cp866", "utf-8"),
    ],
)
def test_what_makes_words_in_one_encoding_only_is_read_by_that_one(words: str, really: str, declared: str) -> None:
    assert characters.decode(f"<rss><title>{words}</title></rss>".encode(really), [declared]).text[12:-14] == words
