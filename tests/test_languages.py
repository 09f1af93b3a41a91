"""The languages that mail and pages speak: whole catalogues, plurals as CLDR has them, and what scripts ask for."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from babel import Locale
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

import digest
from digest import curate, render
from digest.render.scripts import direction, fonts, told_in
from digest.render.speech import FOLDER, speech

OURS = sorted(path.stem for path in FOLDER.glob("*.po"))
PLACE = re.compile(r"%\(\w+\)s")
# What is the same word in both, or a sign.
ALIKE = {"%(stories)s %(sources)s", "%(n)s min", "Newsletters", "Format", "Web", "Mobile", "Hardware", "Pages", "Pause"}
ALIKE |= {"No. %(number)s", "Sources"}


def messages(language):
    """All of a catalogue, by context and id; an id of two has a plural."""
    with (FOLDER / f"{language}.po").open("rb") as file:
        return {(m.context or "", m.id): m for m in read_po(file, locale=language) if m.id}


def said_in_templates():
    web = Path(digest.__file__).parent / "web" / "templates"
    names = {"_": None, "t": None, "gettext": None, "ngettext": (1, 2), "nt": (1, 2)}
    for path in [*render.template_folder().iterdir(), *web.rglob("*.html")]:
        with path.open("rb") as file:
            for _line, _name, message, _comments in babel_extract(file, names, (), {}):
                strings = message if isinstance(message, tuple) else (message,)
                yield strings[0] if len([one for one in strings if isinstance(one, str)]) == 1 else strings[:2]


def said_in_code():
    for path in Path(digest.__file__).parent.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if "gettext" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            words = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if name in ("t", "gettext") and words:
                yield words[0]
            elif name in ("nt", "ngettext") and len(words) > 1:
                yield tuple(words[:2])


@cache
def used():
    headings = {heading.title for heading in curate.headings({}).values()}
    return {*said_in_templates(), *said_in_code(), "More stories", "Stories"} | headings


@pytest.mark.parametrize("language", OURS)
def test_every_word_of_mail_and_pages_is_in_every_catalogue(language):
    known = messages(language)
    plain = {id_ for context, id_ in known if not context}
    assert not {one for one in used() if one not in plain}
    assert plain == {id_ for context, id_ in messages("de") if not context}  # and none has more than another
    for (context, id_), message in known.items():
        said = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(said) and not message.fuzzy, id_
        wanted = set(PLACE.findall(id_[0] if isinstance(id_, tuple) else id_))
        found = [set(PLACE.findall(one)) for one in said]
        if context:  # a day's own words, which may name it
            assert id_ in plain or context == "on", id_
            assert found[0] <= wanted, id_
            continue
        assert not list(message.check()), id_
        # Some languages have words of their own for one and two.
        assert found[-1] == wanted and all(one <= wanted for one in found), id_


@pytest.mark.parametrize("language", OURS)
def test_nothing_is_left_in_english(language):
    left = [id_ for (_context, id_), message in messages(language).items() if message.string == id_]
    assert set(left) <= ALIKE


@pytest.mark.parametrize("language", OURS)
def test_plurals_are_those_of_cldr(language):
    count, locale = speech(language).ngettext, Locale.parse(language)
    some = next(id_ for _context, id_ in messages(language) if isinstance(id_, tuple) and "sources" in id_[1])
    forms = {}
    for number in [*range(200), 1000, 1001, 1002]:
        forms.setdefault(locale.plural_form(number), set()).add(count(*some, number))
    assert all(len(found) == 1 for found in forms.values()), forms
    # Each form that is written is used.
    assert len(set.union(*forms.values())) == len(set(messages(language)["", some].string))


def test_a_language_is_spoken_whichever_country_it_is_of():
    assert render.spoken("pt-BR") == "pt-BR" and speech("pt-BR").gettext("Unsubscribe") == "Cancelar inscrição"
    assert {"ar", "he"} == {language for language in render.languages() if direction(language) == "rtl"}


def test_capitals_and_quotation_marks_are_those_of_the_language():
    assert speech("tr").upper("İşletim sistemleri") == "İŞLETİM SİSTEMLERİ"
    assert speech("de").upper("titel") == "TITEL"
    quoted = {language: speech(language).quoted("x") for language in ("en", "de", "fr", "pl", "ja", "ru", "zh")}
    assert quoted == {
        "en": "“x”", "de": "„x“", "fr": "«\u202fx\u202f»", "pl": "„x”", "ja": "「x」", "ru": "«x»", "zh": "“x”",
    }  # fmt: skip


def test_a_script_has_fonts_before_those_that_have_it_badly():
    families = "Georgia, 'Times New Roman', serif"
    assert fonts(families, "en") == fonts(families, "de-AT") == families
    assert fonts(families, "ar") == "Georgia, 'Geeza Pro', 'Noto Naskh Arabic', 'Times New Roman', serif"
    assert "TC" in fonts(families, "zh-TW") and "SC" in fonts(families, "zh-CN")
    assert fonts(fonts(families, "ja"), "ja") == fonts(families, "ja")
    assert "Gothic" in fonts("Arial, sans-serif", "ja")


@pytest.mark.parametrize(
    ("text", "language", "around", "told"),
    [
        ("Kernel release notes for everybody", "ar", "ar", "und-Latn"),  # an English item in an Arabic feed
        ("Kernel release notes for everybody", "", "he", "und-Latn"),
        ("Kernel release notes for everybody", "en", "ar", "en"),
        ("نواة جديدة للنظام", "", "en", "und-Arab"),
        ("נקודת תורפה חדשה", "en", "en", "und-Hebr"),
        ("نواة جديدة للنظام", "ar", "en", "ar"),
        ("Kubernetes: دليل البدء السريع للمبتدئين", "ar", "ar", "ar"),  # begins with a name
        ("Kubernetes: دليل البدء السريع", "ar", "en", "ar"),
        ("The word سلام in English novels", "en", "en", "en"),
        ("分布式系统", "", "en", ""),
        ("2026: 100 %", "ar", "ar", "ar"),
        ("", "", "ar", ""),
    ],
)
def test_a_story_runs_the_way_its_letters_do(text, language, around, told):
    assert told_in(text, language, around) == told
