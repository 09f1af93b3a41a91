"""The mail as readers get it: every kind of edition under the same checks, and the golden files of its look."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from functools import cache
from pathlib import Path

import browser
import editions
import pytest
from conftest import MONDAY
from corpus import CORPUS
from lxml import html as parser
from test_render import page, rendered, story

from digest import render, schedule
from digest.colours import DARK_SHEET, contrast, on_dark
from digest.letter import Recipient, Sender, Template
from digest.render import HTML_LIMIT, Marker, Templates
from digest.render.inline import inline, premail
from digest.render.speech import speech
from digest.values import Source

GOLDEN = Path(__file__).parent / "golden"
FINE = render.Finding("css", "ok", "only what mail clients know")
SUBJECT = "{{ newsletter.title }}: {{ lead.title }}"
WORDS = "Reads that never touch the leader, measured over six weeks in three regions: what lease reads buy…"
ARABIC = "قاعدة البيانات التي قالت الحقيقة متأخرة عشرة أجزاء من الألف من الثانية"
CHINESE = "数据库副本说了实话，只是晚了十毫秒，而客户看到的是一个空的购物车。"


def many(count: int, **changes):
    topics = ("databases", "security", "ai", "distributed")
    also = (Source("Site & Sons", "https://other.example/a"),)
    return [
        story(n, topic=topics[n % 4], title=f"Story number {n} about something", excerpt=WORDS, also=also, **changes)
        for n in range(1, count + 1)
    ]


def tongue(language: str, text: str, count: int = 12):
    return [story(n, title=f"{text} {n}", excerpt=text * 2, source=text[:12], language=language) for n in range(count)]


MADE_UP = {
    "one story": page(story(1, title="The only story of a quiet day")),
    "200 stories": page(
        *many(200), title="The Distributed Daily", more=7, view_url="https://digest.example/editions/1"
    ),
    "Arabic": page(*tongue("ar", ARABIC), language="ar", title="النشرة اليومية"),
    "Arabic in English": page(*tongue("ar", ARABIC), title="The Distributed Daily"),
    "Chinese": page(*tongue("zh", CHINESE), language="zh", title="分布式日报"),
    "a note, an image, a rhythm": page(
        *many(9, image_url="https://img.example/a.png"),
        title="The Distributed Daily",
        note="First.\n\nSecond <b>one</b>.",
        schedule=schedule.parse("weekdays 07:00 Europe/Berlin"),
        topics=("Databases", "AI"),
        postal_address="1 Example Street",
    ),
}


NAMES = ("demo", "real feeds", *MADE_UP)
THEMES = ("paper", "plain", "compact", "magazine")


@cache
def edition_named(name: str):
    if name in MADE_UP:
        return MADE_UP[name]
    if name == "real feeds" and not (CORPUS / "feeds").is_dir():
        pytest.skip("the corpus is not here")
    with tempfile.TemporaryDirectory() as folder:
        feeds = editions.demo_feeds() if name == "demo" else editions.real_feeds(CORPUS)
        return editions.page_of(Path(folder), feeds, max_stories=60)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_every_edition_is_fit_in_every_theme(name):
    edition = edition_named(name)
    for theme in THEMES:
        mail = Templates().render(dataclasses.replace(edition, theme=theme), subject=SUBJECT)
        assert [f for f in render.check(mail) if f.level == "error" or f.check == "css"] == [FINE], theme
        assert render.size(mail.html, mail.marks, edition.home) <= HTML_LIMIT
        assert all(render.width(line) <= 72 or "://" in line for line in mail.text.splitlines())


FILLER = "\u034f\u00a0"


@pytest.mark.parametrize("name", ["Arabic", "Arabic in English", "Chinese", "a note, an image, a rhythm"])
def test_language_and_direction_are_said_where_webmails_keep_them(name):
    """Gmail and others keep what is within `<body>` and nothing around it."""
    edition = edition_named(name)
    for theme in THEMES:
        mail = Templates().render(dataclasses.replace(edition, theme=theme), subject=SUBJECT)
        body = parser.document_fromstring(mail.html).body
        outer = [element for element in body if isinstance(element.tag, str)]
        assert [(e.get("lang"), e.get("dir")) for e in outer] == [(edition.language, edition.dir)]
        tongues = {story.url: story.language or edition.language for story in edition.stories}
        told = {(url, tongue, render.direction(tongue)) for url, tongue in tongues.items()}
        ways = body.xpath("//a[@class='story' or @class='line']")
        around = [way.xpath("ancestor-or-self::*[@lang]")[-1] for way in ways]
        found = {(way.get("href"), one.get("lang"), one.get("dir")) for way, one in zip(ways, around, strict=True)}
        assert found == told


def note_in(language: str):
    words = ("الرسالة", language, "تأكيد", "تأكيد", "كلمات", "نعم", "https://digest.example/confirm/x", "بعد")
    return Templates().note(render.Note(*words, postal_address="1 Example Street"))


def test_a_mail_to_one_person_says_its_language_and_direction_within_its_body_too():
    (outer,) = [e for e in parser.document_fromstring(note_in("ar").html).body if isinstance(e.tag, str)]
    assert (outer.get("lang"), outer.get("dir")) == ("ar", "rtl")


def test_the_inbox_shows_the_preheader_and_then_nothing_of_the_mail():
    for theme in THEMES:
        mail = Templates().render(dataclasses.replace(edition_named("one story"), theme=theme), subject=SUBJECT)
        shown = parser.document_fromstring(mail.html).body.text_content().lstrip()
        preheader, _, rest = shown.partition(FILLER)
        assert preheader.strip() == edition_named("one story").preheader
        begins = re.search(r"[^\s\u034f]", rest).start()
        assert begins >= 250, "as many characters as any inbox shows"
        assert "\u034f" not in mail.text
        hidden = parser.document_fromstring(mail.html).find_class("preheader")
        assert all("display:none" in e.get("style").replace(" ", "") for e in hidden) and len(hidden) == 2


def test_what_follows_the_stories_is_a_signature_to_who_reads_text():
    for text in (Templates().render(edition_named("one story"), subject=SUBJECT).text, note_in("en").text):
        assert text.count("\n-- \n") == 1 and "1 Example Street" not in text.partition("\n-- \n")[0]
        raw = Template(render.Rendered("s", "", text), Sender("n@news.example", MONDAY)).fill(
            Recipient("ada@example.org", ""), mail_from="b@news.example", message_id="<1@news.example>"
        )
        assert b"\r\n--=20\r\n" in raw.content, "a space at the end of a line is lost on the way"


def test_what_does_not_fit_falls_from_the_end_and_is_counted():
    stories = many(200)
    whole = page(*stories, more=7, view_url="https://digest.example/e")
    mail = Templates().render(whole, subject=SUBJECT, best_first=[s.id for s in stories])
    assert 0 < len(mail.dropped) < 190
    assert {s.id for s in mail.dropped} == {s.id for s in stories[-len(mail.dropped) :]}
    assert f"{7 + len(mail.dropped)} more stories on the web" in mail.html
    assert len(mail.html.encode()) > HTML_LIMIT * 0.9  # and no more of them than must


def test_styles_written_by_path_are_those_premailer_writes(monkeypatch):
    whole = {}
    monkeypatch.setattr("digest.render.templates.inline", lambda html: whole.setdefault("html", html))
    rendered(*many(8), note="A note.", more=2)
    fast, slow = (parser.document_fromstring(do(whole["html"])) for do in (inline, premail))

    def looks(tree):
        def rules(element):
            said = (element.get("style") or "").replace('"', "'").replace(", ", ",")
            said = re.sub(r"#(\w)(\w)(\w)(?!\w)", r"#\1\1\2\2\3\3", said)
            return sorted(part.strip() for part in said.split(";") if part.strip())

        return [(e.tag, e.get("class"), rules(e)) for e in tree.body.iter() if isinstance(e.tag, str)]

    assert looks(fast) == looks(slow)


def test_a_rule_that_asks_for_more_than_a_path_goes_through_premailer():
    html = "<html><head><style>p + p { color: #112233 }</style></head><body><p>a</p><p>b</p></body></html>"
    assert inline(html).count("color:#112233") == inline(html).count("style=") == 1


def test_a_mail_speaks_the_language_it_is_asked_to():
    monday = schedule.parse("weekly mon 08:00 Europe/Berlin")
    mail = rendered(*many(5), language="de", topics=("A", "B"), schedule=monday)
    assert "Montag, 23. November 2026" in mail.html and "Nr. 7" in mail.html
    assert "vor\xa05\xa0Std." in mail.html and "5 Beiträge" in mail.text and "aus 2 Quellen" in mail.text
    assert "Daily kommt jeden Montag um 08:00 Uhr (Mitteleuropäische Zeit)." in mail.html
    assert "Themen A und B" in mail.html
    assert speech("de").ngettext("%(num)s story", "%(num)s stories", 1) == "%(num)s Beitrag"


@pytest.mark.parametrize(
    ("words", "language", "said"),
    [
        ("daily 07:00,18:00 UTC", "en", "D comes every day at 7:00 AM and 6:00 PM (UTC)."),
        ("fortnightly mon 08:00", "de", "D kommt jede zweite Woche am Montag um 08:00 Uhr (UTC)."),
        ("monthly 1 08:00", "fr", "D paraît chaque mois le 1 à 08:00 (UTC)."),
        ("monthly last 08:00", "es", "D llega cada mes el último día a las 8:00 (UTC)."),
        ("monthly last fri 08:00", "ar", "تصدر D كل شهر يوم الجمعة الأخير في الساعة 8:00 ص (UTC)."),
        ("monthly second tue 08:00", "zh", "D 每月第二个星期二 08:00（UTC）送达。"),
        ("weekly wed 08:00", "ru", "D выходит каждую неделю в среду в 08:00 (UTC)."),
        ("monthly second tue 08:00", "ru", "D выходит каждый месяц во второй вторник в 08:00 (UTC)."),
        ("monthly first sun 08:00", "ru", "D выходит каждый месяц в первое воскресенье в 08:00 (UTC)."),
        ("fortnightly sat 08:00", "pl", "D przychodzi co dwa tygodnie w sobotę o 08:00 (UTC)."),
        ("monthly last wed 08:00", "pl", "D przychodzi co miesiąc w ostatnią środę o 08:00 (UTC)."),
        ("monthly first sun 08:00", "it", "D arriva ogni mese la prima domenica alle 08:00 (UTC)."),
        ("monthly last sat 08:00", "pt", "D chega todo mês no último sábado, às 08:00 (UTC)."),
        ("weekly mon 08:00", "pt-PT", "D chega toda semana na segunda-feira, às 08:00 (UTC)."),
        ("monthly third fri 08:00", "tr", "D her ay üçüncü Cuma günü 08:00 saatinde gelir (UTC)."),
        ("monthly 15 08:00", "ja", "「D」は毎月15日の8:00（UTC）に届きます。"),
        ("monthly last mon 08:00", "hi", "D हर महीने आख़िरी सोमवार को 8:00 am (UTC) पर आता है।"),
    ],
)
def test_a_rhythm_is_a_sentence_in_every_language(words, language, said):
    assert " ".join(speech(language).rhythm(schedule.parse(words), "D").split()) == said


def test_ten_lines_change_colours_and_masthead(tmp_path):
    (tmp_path / "edition.html").write_text(
        '{% extends "plain.html" %}\n{% set ground = "#eef2f5" %}\n'
        "{% block styles %}{{ super() }}\n.title { color: #0b5d7a; }\n{% endblock %}\n"
        "{% block title %}The {{ page.title }} of Berlin{% endblock %}\n"
    )
    mail = Templates(tmp_path).render(page(*many(3)), subject=SUBJECT)
    assert ">The Daily of Berlin</h1>" in mail.html
    assert "color:#0b5d7a" in mail.html and 'bgcolor="#eef2f5"' in mail.html


def test_chinese_is_wrapped_by_the_columns_it_takes():
    lines = render.wrap(CHINESE * 5).splitlines()
    assert len(lines) > 3 and all(len(line) <= 36 for line in lines)
    assert "".join(lines) == CHINESE * 5


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda m: dataclasses.replace(m, html=m.html.replace("</h1>", "</h1><h1>x</h1>")), "structure"),
        (lambda m: dataclasses.replace(m, html=m.html.replace("</h1>", '</h1><a href="/x">Read more</a>')), "links"),
        (lambda m: dataclasses.replace(m, html=m.html.replace("</h1>", "</h1><img src='x'>")), "images"),
        (lambda m: dataclasses.replace(m, html=m.html.replace("color:#625e55", "color:#c9c7c0")), "contrast, light"),
        (lambda m: dataclasses.replace(m, html=m.html.replace("#b0ada5", "#55534f")), "contrast, dark"),
        (lambda m: dataclasses.replace(m, html=m.html.replace("margin:0", "float:left")), "css"),
        (lambda m: dataclasses.replace(m, html=m.html + " " * 110_000), "size"),
        (lambda m: dataclasses.replace(m, text=m.text + "x " * 60), "text part"),
        (lambda m: dataclasses.replace(m, text=m.text.replace(m.marks.address(Marker.UNSUBSCRIBE), "")), "unsubscribe"),
        (lambda m: dataclasses.replace(m, subject="One \u202e two"), "subject"),
    ],
)
def test_each_check_finds_what_it_is_for(change, name):
    mail = rendered(*many(3), title="The Distributed Daily")
    assert [f.check for f in render.check(change(mail)) if f.level == "error"] == [name]


def test_an_accent_is_as_light_in_the_dark_as_it_must_be():
    for colour in ("#a03a12", "#000000", "#0b5d7a", "#7a0bd0"):
        assert contrast(on_dark(colour), DARK_SHEET) >= 5.5
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize(
    ("name", "theme", "stories"), [("demo", "paper", 30), ("plain", "plain", 8), ("compact", "compact", 8)]
)
def test_the_demo_looks_as_in_the_golden_files(name, theme, stories, tmp_path):
    """DIGEST_GOLDEN=write pytest tests/test_mail.py -k golden  writes them anew, for a change of look on purpose."""
    page = editions.page_of(tmp_path, editions.demo_feeds(), theme=theme, max_stories=stories)
    mail = Templates().render(dataclasses.replace(page, note="A word before the stories."), subject=SUBJECT)
    for suffix, content in (("html", mail.html), ("txt", mail.text)):
        path = GOLDEN / f"{name}.{suffix}"
        if os.environ.get("DIGEST_GOLDEN") == "write":
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
        assert content == path.read_text(encoding="utf-8"), f"{path.name} differs"


AXE = """
import {chromium} from 'playwright-core'; import {readFileSync} from 'fs';
const flags=['--no-sandbox','--disable-gpu','--disable-quic','--no-first-run','--disable-background-networking',
  '--disable-component-update','--disable-sync','--disable-dev-shm-usage'];
const browser=await chromium.launch({executablePath:process.env.CHROMIUM,args:flags});
const axe=readFileSync('node_modules/axe-core/axe.min.js','utf8'); const said=[];
const all={runOnly:['wcag2a','wcag2aa','wcag21aa','wcag22aa','best-practice'],
  rules:{'target-size':{enabled:true},region:{enabled:false},'landmark-one-main':{enabled:false}}};
const measure=phone=>{ const wrong=[];
  const wide=document.documentElement.scrollWidth-innerWidth; if (wide>0) wrong.push(wide+' px too wide');
  const told=document.querySelectorAll('.story,.line').length, tall=document.documentElement.scrollHeight;
  if (!phone && told>=30 && tall>100*told) wrong.push(tall+' px for '+told+' stories');
  for (const a of document.querySelectorAll('.story,.jump,.foot')) {
    const {height}=a.getBoundingClientRect(); if (height<24) wrong.push(height+' px high: '+a.textContent); }
  for (const p of document.querySelectorAll('.excerpt,.opening,.word,.saying a')) {
    if (parseFloat(getComputedStyle(p).fontSize)<15) wrong.push('small: '+p.textContent);
    if (phone) continue;
    const text=p.firstChild, range=document.createRange(); let top=0, from=0, last=0;
    const most=/[\u0600-\u06ff]/.test(text.data)?90:80;  // Arabic letters are narrower
    for (const {index} of text.data.matchAll(/\\S+/g)) { range.setStart(text,index); range.setEnd(text,index+1);
      const y=range.getBoundingClientRect().top;
      if (y>top+2) { if (last-from>most) wrong.push('long: '+text.data.slice(from,last));
        top=y; from=index; }
      last=index; } }
  return wrong; };
const page=await browser.newPage();
await page.route('**/*',r=>r.request().url().startsWith('file:')?r.continue():r.abort());
for (const file of process.argv.slice(2)) for (const [scheme,width] of [['light',375],['dark',375],['light',680]]) {
  await page.setViewportSize({width,height:800}); await page.emulateMedia({colorScheme:scheme});
  await page.goto('file://'+file); const found=await page.evaluate(measure,width<600);
  if (width<600) { await page.evaluate(axe);
    const asked=scheme=='light'?all:{runOnly:{type:'rule',values:['color-contrast']}};
    const {violations}=await page.evaluate(o=>axe.run(o),asked);
    for (const v of violations) found.push(v.id+' '+v.nodes[0].html.slice(0,160)); }
  said.push(...found.map(one=>[file.split('/').pop(),scheme,width,one].join(' ')));
}
console.log(JSON.stringify(said)); await browser.close();
"""


def test_a_browser_and_axe_find_nothing_wrong(tmp_path):
    files = []
    for name, theme in [*((name, "paper") for name in NAMES), *(("demo", theme) for theme in THEMES[1:])]:
        if name == "real feeds" and not (CORPUS / "feeds").is_dir():
            continue
        mail = Templates().render(dataclasses.replace(edition_named(name), theme=theme), subject=SUBJECT)
        files.append(tmp_path / f"{theme} {name}.html".replace(" ", "-"))
        files[-1].write_text(mail.html, encoding="utf-8")
    assert browser.run(AXE, *files) == []
