"""Which place each story has in a mail, how much of it is said there, and by what a newsletter is known again."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import pytest
from lxml import html as parser
from test_render import MONDAY, page, story

from digest import render
from digest.colours import PALETTES, contrast, on_dark
from digest.config import from_values
from digest.edition import variants
from digest.errors import ConfigError
from digest.graphemes import clamp, unheaped, width
from digest.render import Identity, Section, Templates, ranks
from digest.render.templates import template_folder
from digest.values import Earlier, Picture, Recording, Shot, Source, Story
from digest.web.frozen import named, whole

TOPICS = ("ai", "databases", "security", "web")
TITLES = {"ai": "AI", "databases": "Databases", "security": "Security", "web": "Web"}
NOTE = (
    "Reminder to self: the backup that nobody has ever restored is a rumour with a cron job, and rumours do not boot."
)
THEMES = ("paper", "plain", "compact", "magazine")


def mixed(count: int, sources: int = 9):
    """Stories of all kinds, the best first."""
    stories = []
    for n in range(1, count + 1):
        said = {"title": f"Number {n} of them happened", "source": f"Source {n % sources}", "rank": 100.0 - n}
        if n % 8 == 3:
            said |= {"title": f"Number {n}. {NOTE}"[:60] + "…", "excerpt": f"Number {n}. {NOTE}"}
        if n % 8 == 5:
            said |= {"title": f"tool-{n} 1.{n}.0", "url": f"https://github.com/a/b/releases/tag/v1.{n}"}
        if n % 8 == 7:
            said |= {"title": f"On the Number {n}", "url": f"https://arxiv.org/abs/2611.{n:05}"}
        stories.append(story(n, topic=TOPICS[n % 4], author="Ada" if n % 6 == 0 else "", **said))
    return stories


def shown(mail: render.Rendered) -> Counter[str]:
    """How often the HTML part leads to each address of a story."""
    tree = parser.document_fromstring(mail.html)
    return Counter(a.get("href") for a in tree.iter("a") if a.get("class") in ("story", "line"))


def made(*stories, theme="paper", subject="{{ lead.title }}", **changes):
    return Templates().render(page(*stories, theme=theme, **changes), subject=subject)


@pytest.mark.parametrize("count", [1, 2, 5, 6, 9, 10, 13, 14, 31, 80])
@pytest.mark.parametrize("sources", [1, 2, 9])
def test_every_story_stands_in_a_mail_once_whatever_its_rank(count, sources):
    stories = mixed(count, sources)
    mail = made(*stories, theme=THEMES[count % 4])
    assert shown(mail) == dict.fromkeys((s.url for s in stories), 1)
    assert all(mail.text.count(f"\n{s.url}\n") + mail.text.count(f"\n  {s.url}\n") == 1 for s in stories)


def test_a_mail_leads_from_what_counts_most_to_lines():
    stories = mixed(40)
    whole_page = page(*stories)
    places = whole_page.places
    assert len(places.seconds) == 3 and len({s.source for s in (stories[0], *places.seconds)}) == 4
    told = [s for band in places.bands for b in band.blocks if b.kind == "story" for s in b.stories]
    lines = [s for band in places.bands for b in band.blocks for s in (b.more if b.kind == "story" else b.stories)]
    assert 4 <= len(told) <= 6 and len(lines) + len(places.briefs) == 40 - 1 - 3 - len(told)
    assert min(s.rank for s in places.seconds) > max(s.rank for s in told if not ranks.saying(s))
    assert render.size(made(*stories).html, render.Marks(""), "") < 40 * 1_100  # bytes: a line is no story told


def test_the_order_of_an_edition_decides_before_ranks():
    stories = mixed(20)
    best = [s.id for s in reversed(stories)]
    assert {s.id for s in replace(page(*stories), order=tuple(best)).places.seconds} <= set(best[:6])


def test_few_stories_are_all_told():
    stories = [story(n, rank=float(-n)) for n in range(1, 10)]
    assert [len(page(*stories[:n]).places.seconds) for n in (1, 5, 6, 9)] == [0, 0, 2, 2]
    blocks = [b for band in page(*stories).places.bands for b in band.blocks]
    assert {b.kind for b in blocks} == {"story"} and not any(b.more for b in blocks)


@pytest.mark.parametrize(
    "title",
    [
        NOTE[:60] + "…",
        NOTE[:60] + "...",
        NOTE[:45],
        NOTE,
        f"“{NOTE[:50]}…",
        NOTE[:64].upper(),
        NOTE[:50] + " […]",
        NOTE[:9] + "…",
    ],
)
@pytest.mark.parametrize("place", ["lead", "story"])
def test_a_note_is_quoted_once_and_not_said_in_its_title_too(title, place):
    note = story(1, title=title, excerpt=NOTE)
    mail = made(note) if place == "lead" else made(story(2, title="Another one"), note)
    text = " ".join(parser.document_fromstring(mail.html.partition("<h1")[2]).text_content().split())
    for part in (text, " ".join(mail.text.split())):
        assert part.casefold().count(NOTE[:9].casefold()) == 1 and part.count(NOTE[-20:]) == 1


@pytest.mark.parametrize(
    ("title", "excerpt", "said"),
    [
        (
            "A note that is longer than…",
            "…a title is. It ends here.",
            "A note that is longer than a title is. It ends here.",
        ),
        ("First one thing that was…", "…, then another.", "First one thing that was, then another."),
        (
            "深夜の障害対応をやめるために…",
            "…私たちがアラートを半分にした話。",
            "深夜の障害対応をやめるために私たちがアラートを半分にした話。",
        ),
    ],
)
def test_a_note_that_was_cut_into_title_and_excerpt_is_one_again(title, excerpt, said):
    one = story(1, title=title, excerpt=excerpt)
    assert ranks.saying(one) == said
    assert made(one).text.count(said[-6:]) == 1


def test_an_excerpt_that_begins_with_the_title_goes_on_after_it():
    one = story(
        1, title="The query planner is no enemy", excerpt="The query  planner is no enemy: it knows what you forgot."
    )
    assert ranks.saying(one) == "" and ranks.beyond(one) == "it knows what you forgot."
    for mail in (made(one), made(story(2, title="Another"), one)):
        assert (
            mail.html.count("planner is no\xa0enemy") + mail.html.count("planner is no enemy") <= 2
        )  # and the preheader
        assert mail.text.count("planner is no enemy") == 1 and "headline" in mail.html
    assert ranks.beyond(story(1, title="Postgres", excerpt="Postgres is a database.")) == "Postgres is a database."


def test_a_title_of_its_own_is_no_quotation():
    for title, excerpt in (
        ("Postgres", "Postgres is a database."),
        ("A long title that says it all", NOTE),
        ("Hi", ""),
    ):
        assert ranks.saying(story(1, title=title, excerpt=excerpt)) == ""


@pytest.mark.parametrize(
    ("title", "url", "kind"),
    [
        ("v1.2.3", "https://github.com/a/b/releases/tag/v1.2.3", "releases"),
        ("Django 5.2.1 released", "https://djangoproject.example/weblog/1", "releases"),
        ("requests 2.33.0", "https://pypi.org/project/requests/2.33.0/", "releases"),
        ("Version 3", "https://gitlab.example/a/b/-/tags/v3", "releases"),
        ("Announcing Rust 1.80.0: what is new in it for you", "https://blog.example/rust", ""),
        ("We moved from 3.11 to 3.14 in one night", "https://blog.example/move", ""),
        ("On Consensus", "https://arxiv.org/abs/2611.00001", "papers"),
        ("On Consensus", "https://doi.org/10.1145/12345.678", "papers"),
        ("On Consensus", "https://www.pnas.example/doi/10.1073/pnas.1", "papers"),
        ("Press releases of the week", "https://town.example/press-releases/4", ""),
    ],
)
def test_releases_and_papers_are_known_by_where_they_are_and_what_they_are_called(title, url, kind):
    assert ranks.kind_of(story(1, title=title, url=url)) == kind


def test_what_is_alike_is_listed_together_unless_all_is_alike():
    some = [story(n, title=f"Story {n}", source=f"S{n}", rank=9.0 - n) for n in range(1, 9)]
    papers = [story(n, title=f"On {n}", url=f"https://arxiv.org/abs/{n}") for n in range(20, 24)]
    assert "Papers" in made(*some, *papers).html and "Papers" in made(*some, *papers).text
    assert "Papers" not in made(*some[:2], *papers).html


def test_several_items_of_one_source_or_author_stand_under_one_of_them():
    stories = [story(n, topic="ai", title=f"Story {n}", source=f"S{n}", rank=50.0 - n) for n in range(1, 20)]
    stories[15] = replace(stories[15], source="S5")
    stories[4], stories[16] = (replace(stories[n], author="Ada L.") for n in (4, 16))
    blocks = [b for band in page(*stories).places.bands for b in band.blocks if b.more]
    assert [(b.source, [s.id for s in b.more]) for b in blocks] == [("S5", [16, 17])]
    assert "More from S5" in made(*stories).html and "More from S5" in made(*stories).text
    arabic = made(*stories, language="ar").html
    assert 'المزيد من <span dir="auto">S5</span>' in arabic, "dots of a name that is cut stay at its own end"


def test_headings_with_a_line_under_them_are_gathered_in_one():
    stories = [story(n, topic=f"t{n}", title=f"Story {n}", source=f"S{n}", rank=50.0 - n) for n in range(1, 30)]
    places = page(*stories).places
    assert len(places.bands) == 4 and len(places.briefs) == 29 - 1 - 3 - 4
    assert made(*stories).html.count("In brief") == 2  # in the index and above them
    tree = parser.document_fromstring(made(*stories).html)
    assert {a.get("href")[1:] for a in tree.find_class("jump")} == {h.get("id") for h in tree.find_class("topic")}


def test_a_masthead_of_ones_own_may_lead_to_every_topic(tmp_path):
    (tmp_path / "edition.html").write_text(
        '{% extends "base.html" %}{% block title %}{% for s in page.counted %}<a class="jump" href="#{{ s.slug }}">'
        "{{ s.title }}</a>{% endfor %}{% endblock %}"
    )
    templates = Templates(tmp_path, at_home=True)
    for count in (7, 30):
        some = [story(n, topic=f"t{n}", title=f"Story {n}", source=f"S{n}", rank=50.0 - n) for n in range(count)]
        mail = templates.render(page(*some), subject="{{ lead.title }}")
        assert [f.words for f in render.check(mail) if f.check in ("links", "structure") and f.level == "error"] == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", ["en", "ar"])
def test_pictures_stand_where_a_theme_has_them_and_each_says_its_size(theme, language):
    def shot(n, size, alt=""):
        return Shot("", size, size // 2, "#445566", alt, f"cid:{n}-{size}@p", "#ffffff")

    def seen(one):
        picture = Picture(shot(one.id, 520, "A hill"), shot(one.id, 96)) if one.id % 2 or one.id < 8 else Picture()
        return replace(one, picture=picture)

    some = [seen(story(n, title=f"Story {n}", source=f"S{n}", rank=50.0 - n)) for n in range(1, 14)]
    mail = Templates(at_home=True).render(
        page(*some, theme=theme, language=language, title="Daily"), subject="{{ lead.title }}"
    )
    assert [f for f in render.check(mail) if f.level == "error" or (f.check == "css" and f.level != "ok")] == []
    tree = parser.document_fromstring(mail.html)
    shown_ = {image.get("src").partition("@")[0].removeprefix("cid:") for image in tree.iter("img")}
    assert ("1-520" in shown_) and (theme != "magazine" or {"7-96", "3-520"} <= shown_)
    assert all(image.get("width") and image.get("height") for image in tree.iter("img"))
    assert all(image.getparent().get("href", "").startswith("https://site.example/") for image in tree.iter("img"))


# ---------------------------------------------------------------- how much is said

FAMILY, FLAG, WAVE = "👩\u200d👩\u200d👧\u200d👦", "🇩🇪", "👋🏽"


@pytest.mark.parametrize(
    "unit", ["word ", "数据库", "ข้อมูล", "कि", "a\u0301", FAMILY, FLAG, WAVE, "مرحبا ", "שָׁלוֹם ", "x", "1\ufe0f\u20e3"]
)
def test_what_is_cut_keeps_to_its_columns_and_within_no_character(unit):
    for columns in (1, 2, 5, 20, 70):
        cut = clamp(unit * 100, columns)
        assert width(cut) <= max(columns, 1) and cut.endswith("…")
        kept = cut[:-1].rstrip()
        whole_units, rest = divmod(len(kept), len(unit)) if " " not in unit else (0, 0)
        if unit in (FAMILY, FLAG, WAVE, "a\u0301", "1\ufe0f\u20e3", "कि"):
            assert not rest and kept == unit * whole_units, (columns, ascii(cut))
    assert clamp(unit, 70) == " ".join(unit.split())


def test_a_heap_of_marks_is_bounded_and_every_script_keeps_its_own():
    for marks in ("".join(map(chr, range(0x300, 0x340))), "\u0e47" * 30, "\u0489" * 30, "\u20dd\u0336" * 20):
        assert len(unheaped(f"Z{marks}algo")) <= 5 + 4
    for said in (
        "Việt Nam phẩm",
        "שָׁלוֹם",
        "कि्षि",
        "ประเทศไทยที่นี่",
        "1\ufe0f\u20e3",
        FAMILY,
        "é",
        "e\u0301\u0323",
        "…—“”",
        "مُحَمَّدٌ",
    ):
        assert unheaped(said) == said
    zalgo = "".join(f"{c}{'̶̷͜͠͡' * 9}" for c in "story")
    others = (Source(zalgo, "https://other.example/"),)
    some = [story(n, title=zalgo, excerpt=zalgo, source=zalgo, also=others, related=others) for n in (1, 2)]
    mail = made(*some, title="Daily")
    assert not re.search("[\u0300-\u036f]{3}", mail.html + mail.text + mail.subject)


LONG = (
    "An account of everything that happened to the replica between the night of Tuesday and the morning on which " * 2
)


def test_a_long_title_is_cut_in_the_mail_and_whole_on_its_page():
    stories = [story(n, title=f"{n} <b> {LONG}", source=f"S{n}") for n in range(1, 30)]
    mail = made(*stories)
    tree, page_ = parser.document_fromstring(mail.html), parser.document_fromstring(whole(mail.html))
    for found, cut in ((tree, True), (page_, False)):
        links = [a for name in ("story", "line") for a in found.find_class(name)]
        texts = [" ".join(a.text_content().split()) for a in links]
        assert len(texts) == 29 and all((width(text) <= 160 and text.endswith("…")) is cut for text in texts)
        assert all(
            (a.get("title") or text) in {" ".join(s.title.split()) for s in stories} | {s.title for s in stories}
            for a, text in zip(links, texts, strict=True)
        )
    assert " ".join(LONG.split())[:-1] in " ".join(mail.text.split())  # the text part has it whole too


def test_an_age_stands_on_one_line():
    mail = made(*mixed(8))
    assert "5\xa0h\xa0ago" in mail.html and "4\xa0min" in mail.html and "5 h ago" not in mail.html


@pytest.mark.parametrize(
    "title",
    [
        "A checkpoint moved too early and a mailing queue lost one reader in seven because nobody had looked at it",
        "数据库副本说了实话只是晚了十毫秒" * 4,
        "word " * 40,
        "👩\u200d👩\u200d👧\u200d👦" * 50,
        "قاعدة البيانات التي قالت الحقيقة متأخرة " * 3,
    ],
)
def test_the_preheader_goes_on_where_the_subject_was_cut(title):
    stories = [story(1, title=title), *(story(n, title=f"The next of them, {n}") for n in (2, 3))]
    for before in ("", "Daily: "):
        mail = made(*stories, subject=before + "{{ lead.title }}")
        assert width(mail.subject) <= 70 and mail.subject.endswith("…")
        said = parser.document_fromstring(mail.html).find_class("preheader")[0].text_content()
        begun = mail.subject.removeprefix(before).rstrip("…")
        assert said.startswith("…") and " ".join(title.split()).replace(" ", "").startswith(
            (begun + said[1:9]).replace(" ", "")
        )
        assert "The next" not in mail.subject


def test_a_subject_that_says_all_is_followed_by_the_next_titles():
    mail = made(
        story(1, title="A short one"), story(2, title="The second of them"), story(3, title="The third of them")
    )
    assert mail.subject == "A short one"
    assert (
        parser.document_fromstring(mail.html)
        .find_class("preheader")[0]
        .text_content()
        .startswith("The second of them · ")
    )


# ---------------------------------------------------------------- identity


@pytest.mark.parametrize("name", PALETTES)
def test_every_colour_of_a_palette_can_be_read_on_every_ground_of_it(name):
    one = PALETTES[name]
    for ink, ground in itertools.product((one.accent, one.ink, one.text, one.soft), (one.sheet, one.band, one.ground)):
        assert contrast(ink, ground) >= 4.5, (ink, ground)
    dark = (on_dark(one.accent), one.dark_ink, one.dark_text, one.dark_soft)
    for ink, ground in itertools.product(dark, (one.dark_sheet, one.dark_band, one.dark_ground)):
        assert contrast(ink, ground) >= 4.5, (ink, ground)
    assert contrast(one.accent, "#ffffff") >= 4.5  # on the banner


@pytest.mark.long
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("masthead", ["standard", "centred", "banner", "slim"])
def test_every_masthead_and_palette_is_fit_to_be_sent(masthead, number):
    """Each with each theme, and with both directions."""
    tints = {slug: ("#0b6e4f", on_dark("#0b6e4f")) for slug in TOPICS}
    language = ["en", "ar"][(len(masthead) + number) % 2]
    theme, palette = THEMES[number], list(PALETTES)[number]
    known = Identity(
        palette, masthead, "Every <morning>", TITLES, tints, "https://digest.example/subscribe/d", True, True
    )
    accent = PALETTES[palette].accent
    mail = made(
        *mixed(14),
        theme=theme,
        identity=known,
        accent=accent,
        accent_dark=on_dark(accent),
        language=language,
        title="The Daily",
        view_url="https://digest.example/e",
    )
    assert [f for f in render.check(mail) if f.level == "error" or (f.check == "css" and f.level != "ok")] == []
    assert "Every &lt;morning&gt;" in mail.html and "Every <morning>" in mail.text
    assert (
        mail.html.count("https://digest.example/subscribe/d")
        == mail.text.count("https://digest.example/subscribe/d")
        == 1
    )
    assert "color:#0b6e4f" in mail.html and on_dark("#0b6e4f") in mail.html


def test_a_mail_with_many_topics_keeps_its_style_small():
    tints = {f"t{n}": (f"#0b{n:02}4f", "#aabbcc") for n in range(10, 50)}
    stories = [story(n, topic=f"t{n}", source=f"S{n}") for n in range(10, 50)]
    assert [
        f.level for f in render.check(made(*stories, identity=Identity(tints=tints))) if f.check == "style block"
    ] == ["ok"]


def settings(**newsletter: object):
    values = {"title": "Daily", "from": "Daily <daily@digest.example>"} | newsletter
    return from_values(
        {
            "database": "x.db",
            "base_url": "https://digest.example",
            "secret_key": "a key for tests, long enough",
            "newsletters": {"daily": values},
        },
        Path("digest.toml"),
        environment=False,
    ).newsletters["daily"]


def test_the_subject_names_the_newsletter_only_where_from_does_not():
    assert settings().subject == "{{ lead.title }}"
    assert settings(**{"from": "daily@digest.example"}).subject == "{{ newsletter.title }}: {{ lead.title }}"
    assert settings(subject="No. {{ edition.number }}").subject == "No. {{ edition.number }}"


def test_an_accent_is_its_palettes_and_what_cannot_be_read_is_refused():
    assert (
        settings().accent == PALETTES["paper"].accent and settings(palette="slate").accent == PALETTES["slate"].accent
    )
    assert settings(topics={"ai": {"accent": "#0B6E4F"}}).topics["ai"].accent == "#0b6e4f"
    for wrong in (
        {"accent": "#f0a0a0"},
        {"topics": {"ai": {"accent": "#f0a0a0"}}},
        {"palette": "neon"},
        {"masthead": "x"},
    ):
        with pytest.raises(ConfigError):
            settings(**wrong)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", ["en", "de", "zh", "ar"])
def test_a_long_mail_begins_with_the_best_of_its_topics_in_a_line_each(theme, language):
    stories = [story(1, topic="ai", title="The lead is about whales", rank=99.0)]
    stories += [story(2, topic="ai", title="Whales are what the lead is about", rank=98.0)]  # its words again
    stories += [
        story(n, topic=TOPICS[n % 4], title=f"Topic{n} happened because of reason{n}", rank=90.0 - n)
        for n in range(3, 14)
    ]
    mail = made(*stories, theme=theme, language=language, short=13)
    rows = parser.document_fromstring(mail.html).xpath('//td[p[@class="listed"]]')
    links = rows[0].xpath('.//a[@class="line"]')
    said = [a.text_content().replace("\xa0", " ") for a in links]
    assert said == [f"Topic{n} happened because of reason{n}" for n in (3, 4, 5, 6, 7)]  # all topics, the best first
    assert [a.get("href") for a in links] == [stories[n].url for n in (2, 3, 4, 5, 6)]
    heading = rows[0].xpath('./p[@class="listed"]')[0].text_content()
    assert mail.text.index(f"{heading}:\n\n- {said[0]}\n  {stories[2].url}") < mail.text.index(
        "The lead is about whales"
    )
    assert not made(*stories, theme=theme, short=14).html.count("In short")
    assert not made(*stories, theme=theme, short=0).html.count("In short")


def test_lines_at_the_head_are_few_and_none_where_they_say_nothing_new():
    lead = story(1, title="Whales came back to the bay")
    same = [story(n, title=f"Whales came back to the bay, says witness number {n}") for n in range(2, 20)]
    assert ranks.in_short(same, lead, ()) == ()
    japanese = [
        story(2, title="鯨が湾に戻る"),
        *(story(n, title=f"第{n}の{chr(0x6C00 + 3 * n)}{chr(0x6C01 + 3 * n)}話題") for n in range(3, 9)),
    ]
    found = ranks.in_short(japanese, story(1, title="鯨が湾に戻ってきた"), ())
    assert 3 <= len(found) <= 5 and found[0].id != 2
    strangers = [replace(one, language="de") for one in mixed(9)[1:4]]
    adverts = [story(n, title=f"Lamps of kind{n}: save {n} % off", rank=99.0) for n in range(60, 63)]
    told = ("Gulls", "Ferry fares", "Cranes", "Tide tables", "Salt", "Ropes", "Buoys", "Nets", "Kelp", "Dunes", "Piers")
    fit = [story(n, title=f"{what} news{n}", source=f"Source {n}", rank=50.0 - n) for n, what in enumerate(told, 30)]
    rest = [*adverts, *strangers, *fit]
    assert not {one.id for one in ranks.in_short(rest, lead, ())} & {one.id for one in (*adverts, *strangers)}
    places = ranks.place([("databases", "Databases", rest)], lead, ())
    assert len(places.seconds) == 3
    assert not {one.id for one in places.seconds} & {one.id for one in (*adverts, *strangers)}
    assert len(ranks.place([("databases", "Databases", [*strangers, *adverts])], lead, ()).seconds) == 2
    assert ranks.in_short(mixed(40)[1:], mixed(40)[0], ()) == tuple(ranks.in_short(mixed(40)[1:], mixed(40)[0], ()))


def test_lines_at_the_head_and_lines_at_the_end_are_called_otherwise_in_every_language():
    from digest.render.speech import speech

    for language in ("en", "ar", "de", "es", "fr", "he", "hi", "it", "ja", "pl", "pt", "ru", "tr", "zh"):
        say = speech(language).gettext
        assert len({say("In short"), say("In brief"), say("Summary by a machine")}) == 3
        assert language == "en" or say("In short") != "In short" != say("Summary by a machine")


def test_nothing_that_a_mail_tells_is_pointed_to_and_no_page_twice_from_one_story():
    told, capped, liked = (
        Source(f"The {name} one", f"https://{name}.example/1") for name in ("told", "capped", "like")
    )
    before = Earlier(
        90, "What was before", "https://digest.example/editions/1#story-90", MONDAY, 1, "http://www.old.example/"
    )
    old = Source("It was before", "https://old.example/?utm_source=feed")
    twice = Source("Again, as capped", f"{capped.url}?utm_source=x")
    others = {"more_by": (old, told, capped), "related": (told, old, twice, liked), "earlier": before, "author": "Ada"}
    mail = made(story(1, **others), story(2, url=told.url, topic="web", title="Told, and at length"))
    addresses = re.findall(r'href="([^"#]+)', mail.html)
    assert [addresses.count(one.url) for one in (told, capped, liked)] == [1, 1, 1]
    assert old.url not in addresses and twice.url not in addresses and before.url in mail.html
    assert [mail.text.count(one) for one in (told.url, capped.url, liked.url, old.url, before.url)] == [1, 1, 1, 0, 1]
    itself = made(story(1, **others), story(90, topic="web"))  # what happened before is in the same mail
    assert "Earlier" not in itself.html and "Earlier" not in itself.text and old.url in itself.html


def test_what_a_mail_has_no_room_for_is_pointed_to_all_the_same():
    last = story(400, topic="web", title="The last of them", excerpt="A long word. " * 30)
    some = [story(n, topic=f"t{n}", title=f"Story {n} " * 12, excerpt="Words. " * 99) for n in range(2, 300)]
    lead = story(1, more_by=(Source(last.title, last.url),), author="Ada")
    mail = Templates().render(page(lead, *some, last), subject="x", best_first=[s.id for s in (lead, *some, last)])
    assert last in mail.dropped and mail.html.count(last.url) == 1


@pytest.mark.parametrize("theme", THEMES)
def test_both_parts_point_to_the_same_under_every_story_that_is_more_than_a_line(theme):
    stories = [
        story(n, topic=TOPICS[n % 4], source=f"S{n}", author=f"A{n}", title=f"Story {n}, on {n}") for n in range(1, 31)
    ]
    for field in ("more_by", "related"):
        others = {s.id: Source(f"Other {s.id}", f"https://other.example/{s.id}") for s in stories}
        mail = made(*(replace(s, **{field: (others[s.id],)}) for s in stories), theme=theme)
        html, text = (
            {o.url for o in others.values() if f"{o.url}{end}" in part}
            for part, end in ((mail.html, '"'), (mail.text, "\n"))
        )
        if theme != "compact":  # which says less under each
            assert html == text and len(html) >= 8, (field, html ^ text)
        assert html <= text


def test_a_line_takes_away_no_story_that_another_could_point_to():
    stories = mixed(31)
    one = page(*stories)
    block = next(block for band in one.places.bands for block in band.blocks if block.kind == "briefs")
    line = block.stories[0]
    last = next(s for s in one.places.seconds if one.stories.index(s) > one.stories.index(line))
    other = Source("Alike", "https://alike.example/")
    some = [replace(s, related=(other,)) if s.id in (line.id, last.id) else s for s in stories]
    assert page(*some).see_also == {last.id: other}


@pytest.mark.parametrize("theme", THEMES)
def test_another_page_points_to_where_a_story_is_told_and_not_to_the_head_of_its_mail(theme):
    words = ("".join(word) for word in itertools.permutations("abcde"))
    stories = [replace(s, title=f"{next(words)} {next(words)}", excerpt="") for s in mixed(31)]
    one = page(*stories, theme=theme, short=12)
    mail = Templates().render(one, subject="x")
    tree = parser.document_fromstring(named(whole(mail.html), [(s.id, s.url) for s in stories]))
    assert {a.get("id") for a in tree.iter("a")} >= {f"story-{s.id}" for s in stories} and one.in_short
    cells = [next(tree.get_element_by_id(f"story-{s.id}").iterancestors("td")) for s in one.in_short]
    assert not [cell for cell in cells if "In short" in cell.text_content()]


def test_no_word_of_strangers_is_in_a_mail_that_is_looked_at_without_them():
    bad = "\u202eWICKED"
    said = {f.name: bad for f in fields(Story) if f.type == "str" and f.name not in ("topic", "language")}
    others = dict.fromkeys(("also", "related", "more_by"), (Source(bad, bad),))
    full = story(**said | others, earlier=Earlier(1, bad, bad, MONDAY, page=bad), recording=Recording(bad, "audio"))
    assert "WICKED" not in repr(variants._neutral(full)) and variants._neutral(full).more_by


def test_of_a_story_without_a_topic_no_line_says_so():
    titles = {"ai": "AI", "web": "Web", "other": "More stories"}
    topics = ["ai"] * 14 + ["other", "web"]
    stories = [story(n, topic=topic, source=f"S{n}", rank=50.0 - n) for n, topic in enumerate(topics, 1)]
    for best in (stories, [stories[0], stories[-2], *stories[1:-2], stories[-1]]):  # in brief, and as a second
        sections = tuple(Section(t, titles[t], tuple(s for s in best[1:] if s.topic == t)) for t in titles)
        one = replace(page(best[0]), sections=sections, order=tuple(s.id for s in best))
        mail = Templates().render(one, subject="x", best_first=one.order)
        assert one.places.briefs or one.places.seconds[0] == stories[-2]
        assert ">AI</span>" in mail.html and ">More stories</span>" not in mail.html
        assert "More stories: " not in mail.text and ("Web: " in mail.text) == bool(one.places.briefs)


@pytest.mark.parametrize("language", ["en", "ar", "ja"])
def test_no_line_of_the_text_part_is_wider_than_it_is_read_whatever_it_points_to(language):
    long = {"en": "amber basalt cedar delta " * 9, "ar": "سماء قمر كتاب " * 9, "ja": "深夜の障害対応をやめる" * 9}[
        language
    ].strip()
    other = Source(long, "https://o.example/1")
    before = Earlier(99, long, "https://o.example/2", MONDAY, 3)
    values = {"also": (other,) * 5, "source": long, "author": long, "summary": "machine", "earlier": before}
    values |= {"more_by": (Source(long, "https://o.example/3"),) * 9, "related": (Source(long, "https://o.example/4"),)}
    stories = [story(n, topic=TOPICS[n % 4], title=long, excerpt=f"{long} {n}", **values) for n in range(1, 16)]
    view = "https://digest.example/editions/daily/7/0123456789abcdef"
    mail = made(*stories, language=language, asks=True, note=f"- {long}\n\n{long}", short=1, more=3, view_url=view)
    wide = [line for line in mail.text.split("\n") if width(re.sub(r"https?://\S+", "", line)) > 74]
    assert mail.text.count(long[:6]) > 30 and not wide


# Which macros a base.html has that operators copied long ago.
LONG_KNOWN = "minutes tongue ours said meta heard player turned also titled tint brief dateline anchors rule second"


@pytest.mark.parametrize("theme", THEMES)
def test_a_base_of_an_operators_own_that_knows_no_newer_macro_carries_every_theme(tmp_path, theme):
    base = (template_folder() / "base.html").read_text(encoding="utf-8")
    newer = set(re.findall(r"{% macro (\w+)\(", base)) - {*LONG_KNOWN.split()}
    for macro in newer:
        base = re.sub(rf"\b{macro}\(", f"their_{macro}(", base)
    (tmp_path / "base.html").write_text(base, encoding="utf-8")
    shots = Picture(Shot("a.jpg", 520, 290, "#333333"), Shot("b.jpg", 96, 96, "#333333"))
    one = page(*(replace(s, picture=shots) for s in mixed(31)), theme=theme, short=12, asks=True)
    mail = Templates(tmp_path, at_home=True).render(one, subject="x")
    assert {"ask", "brand"} <= newer and shown(mail)[one.lead.url]
