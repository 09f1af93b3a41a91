"""Excerpts: prose or nothing, and never cut where it hurts."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Collection, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.curate import excerpts as ex
from digest.graphemes import width
from digest.parse import gist
from digest.parse.gist import Gist
from digest.parse.text import clean_html, plain

PROSE = "Postgres now keeps a list of pages to visit, so that a vacuum of a large table takes minutes instead of hours."
TITLE = "Vacuum in minutes"


def prose(summary: str, content: str, *, title: str, known: Collection[str] = ()) -> str:
    return ex.prose_of(Gist(gist.lines_of(summary), gist.lines_of(content)), title=title, known=known)


def residue(texts: Iterable[str]) -> frozenset[str]:
    return ex.repeated_lines(map(gist.lines_of, texts))


@pytest.mark.parametrize(
    "boilerplate",
    [
        f"<p>{PROSE}</p><p>The post <a href='x'>Vacuum</a> appeared first on <a href='y'>Ada's blog</a>.</p>",
        f"<p>Introduction</p><p>{PROSE}</p>",
        f"<h2>Introduction</h2><p>{PROSE}</p>",
        f"Introduction {PROSE}",
        f"Hi everyone, {PROSE}",
        f"Hello friends! {PROSE}",
        f"TL;DR: {PROSE}",
        f"By Ada Lovelace | {PROSE}",
        f"Posted on March 3, 2026 by Ada. {PROSE}".replace(" by Ada.", ""),
        f"5 min read {PROSE}",
        f"Reading time: 12 minutes. {PROSE}",
        f'title: "Vacuum in minutes" published: false tags: postgres, sql {PROSE}',
        f"<p>Photo by Ada Lovelace on Unsplash</p><p>{PROSE}</p>",
        f"<figure><img src=x><figcaption>A vacuum</figcaption></figure><p>{PROSE}</p>",
        f"<p>{PROSE}</p><p>Continue reading Vacuum in minutes →</p>",
        f"{PROSE} Continue reading…",
        f"{PROSE} Read more",
        f"{PROSE} [link] [comments]",
        f"<p>{PROSE}</p><p>submitted by /u/ada to r/postgres <br> [link] [comments]</p>",
        f"<p>{PROSE}</p><p>This post was originally published in Ada's blog.</p>",
        f"<p>{PROSE}</p><p>Subscribe to our newsletter to get more of it</p>",
        f"<p>Subscribe to our newsletter and never miss an update!</p><p>{PROSE}</p>",
        f"<p>{PROSE}</p><p>This work is licensed under a Creative Commons Attribution 4.0 licence.</p>",
        f"<p>{PROSE}</p><p>© 2026 Ada Lovelace. All rights reserved.</p>",
        *(
            f"<p>{PROSE}</p><p>{foot}</p>"
            for foot in (
                "L'articolo Fari. Da vedere a Nord sembra essere il primo su Costa viva.",
                "L’articolo Fari da vedere proviene da Costa viva.",
                "Der Beitrag Türme. Im Norden erschien zuerst auf Küste.example.",
                "L’article Phares du nord est apparu en premier sur La côte.",
                "La entrada Faros del norte aparece primero en Costa viva.",
                "O post Faróis do norte apareceu primeiro em Costa viva.",
                "Het bericht Vuurtorens verscheen eerst op De kust.",
                "Artykuł Latarnie północy pochodzi z serwisu Wybrzeże.",
                "Inlägget Fyrar i norr dök först upp på Kusten.",
                "Сообщение Маяки севера появились сначала на Берег.",
                "投稿 北の灯台 は 海岸の日記 に最初に表示されました。",
                "北方的灯塔最先出现在海岸日记。",
                "Kuzey fenerleri yazısı ilk önce Kıyı üzerinde ortaya çıktı.",
                "ظهرت المقالة منارات الشمال أولاً على الساحل.",
                "Innlegget Fyr i nord dukket opp først på Kysten.",
                "Indlægget Fyr i nord blev først udgivet på Kysten.",
                "Допис Маяки півночі з’явився спочатку на Берег.",
                "Artikkeli Majakat pohjoisessa ilmestyi ensin Rannikko.",
                "Artikel Mercusuar di utara pertama kali tampil pada Pantai.",
                "북쪽의 등대 게시물은 해안에서 처음 등장했습니다.",
                "نوشته فانوس‌های شمال اولین بار در ساحل پدیدار شد.",
                "הפוסט מגדלורים בצפון הופיע לראשונה בחוף.",
            )
        ),
        f"<p>Author(s): Ada Lovelace, B. Quill</p><p>{PROSE}</p><p>[J. Sea 25, 064066] Published Mon Jun 22, 2026</p>",
        f"Author(s): Ada Lovelace<br>{PROSE}<br>DOI: 10.1000/182",
        f"<p>Sea Letters, Volume 38, Issue 45, 13 August 2026.</p><p>{PROSE}</p>",
        f"<p>EP</p><p>{PROSE}</p>",
        f"December 11, 2025 {PROSE}",
        f"Preface # Sails & Ropes # 航海指南 # Why we vacuum # {PROSE}",
        f"The sea ¶ {PROSE}",
        f"...{PROSE}",
        f"{PROSE} <https://ada.example/vacuum#206>".replace("<", "&lt;").replace(">", "&gt;"),
        f"Image: Ada Lovelace / Sea Pictures. {PROSE}",
        f"Photo: NASA. {PROSE}",
        f"Source: The Sea Letters. {PROSE}",
        f"Figure 3: A table before and after. {PROSE}",
        f"<p>{PROSE}</p><p>Photo: J. Quill of the Harbour Office</p>",
        f"<p>{PROSE} Photo by Ada Lovelace.</p>",
        f"<p>{PROSE} [Photo courtesy of B. Quill]</p>",
        f"<p>Tags: postgres, vacuum</p><p>{PROSE}</p>",
        f"<p>{{{{ page.title }}}}</p><p>{PROSE}</p>",
        f"[caption id='1' width='300']{PROSE}[/caption]",
        f"<p>{TITLE}</p><p>{PROSE}</p>",
        f"{TITLE}. {PROSE}",
        f"https://ada.example/vacuum {PROSE}",
        f"&lt;p&gt;{PROSE}&lt;/p&gt;",
        f"<p>Comments</p><p>{PROSE}</p>",
        f"<pre>SELECT 1</pre><p>{PROSE}</p>",
    ],
)
def test_boilerplate_is_taken_away_and_the_prose_stays(boilerplate: str) -> None:
    assert prose(boilerplate, "", title=TITLE) == PROSE


@pytest.mark.parametrize(
    "nothing",
    [
        "",
        "Comments",
        '<a href="https://news.example/item?id=1">Comments</a>',
        "<p>Article URL: <a href=x>https://ada.example/</a></p><p>Comments URL: https://news.example/1</p>"
        "<p>Points: 12</p><p># Comments: 3</p>",
        "submitted by /u/ada [link] [comments]",
        'submitted by <a href="https://www.reddit.com/user/ada">\n /u/ada </a> to <a href="https://www.reddit.com/r/x/">\n'
        ' r/x </a> <br> <span><a href="https://ada.example/">[link]</a></span> <span><a href="y">[comments]</a></span>',
        "[link] [comments]",
        "Introduction",
        TITLE,
        "A short note.",
        f"3 min 43 sec - Apr 20, 2007 - {TITLE} (YAPC 2007)",
        "<p>Publication date: Available online 20 August 2026</p><p><b>Source:</b> Matter</p><p>Author(s): Ada "
        "Lovelace, Brian Quill, Cornelia Tern, Dagmar Hall, Erik Oyster</p>",
        "The manual: https://ada.example/1 The code: https://ada.example/2 Talks: https://ada.example/3 and the rest",
        "... --- ...",
        "null",
    ],
)
def test_what_says_nothing_gives_no_excerpt(nothing: str) -> None:
    assert ex.cut(prose(nothing, "", title=TITLE), 150) == ""


@pytest.mark.parametrize(
    "kept",
    [
        "Introduction to vacuum is a course in five parts for people who run large databases.",
        "Comments in code are a sign of respect for those who come after you, says a new study.",
        "Points of view differ on how a table should be vacuumed when it never rests at all.",
        "By default Postgres vacuums a table when a fifth of its rows have changed since the last time.",
        "Share nothing architectures are back in fashion, and nobody knows quite why that should be.",
        "Dear Postgres users had asked for this for years, and it is finally in the tree this week.",
        "这种病毒最早出现在2019年的武汉，后来传到了世界各地。研究人员说，人们对它的来源仍然知道得很少，还需要更多的研究。",
        "这篇小说最早发表于1956年的一本杂志。它讲述了一个守灯塔的人和他的狗的故事，后来被译成二十多种语言。",
        "이 등대는 1990년 만화에 처음 등장했습니다. 그 뒤로 삼십 년 동안 독자들의 사랑을 받았고 이제 영화가 됩니다.",
        "投稿された写真は昨日ここに最初に公開されました。多くの人がそれを見て、灯台の保存を求める声を上げました。",
        "Запись концерта появилась впервые на радио в 1987 году, и с тех пор её слушали миллионы людей во всём мире.",
        "Het bericht over de storm verscheen eerst op televisie en pas daarna in de kranten. Dat zegt de omroep zelf.",
        "El artículo 155 apareció primero en el borrador de 1978 y nadie pensó que se usaría. Se usó en 2017.",
        "L'articolo 18 dello statuto proviene da una lunga stagione di lotte e nessuno lo ha mai davvero dimenticato.",
        "Journal: today we walked to the lighthouse and met its last keeper. He told us about the storm of 1953.",
        "Authors: we ask that you send your manuscripts before the end of March. Late ones will be read next year.",
        "Autor: ein Beruf, von dem kaum jemand leben kann. Wir haben zwölf von ihnen nach ihrem Einkommen gefragt.",
        "Image: a world in which every picture is drawn by a machine. We asked six painters what they make of it.",
        "Source: a person close to the deal. The two banks have been talking for most of a year, and will go on.",
        "Photo: how to take one that you still like in ten years. Twelve photographers tell what they look at first.",
        "Picture by picture the archive goes online. The last one of twelve thousand will be there by the end of May.",
        "The image by itself tells nothing of how it was made. That is what the new label on it is there for.",
        "C # Developers should not be afraid of pointers. Here is how we use them in a service that never rests.",
        "The manual is at <https://ada.example/vacuum>, and nobody has read it yet. We did, and it took us a week.",
        "See <https://ada.example/vacuum> for all of it; what follows are the parts that surprised us the most.",
    ],
)
def test_prose_that_looks_like_boilerplate_is_kept(kept: str) -> None:
    kept = kept.replace("<", "&lt;").replace(">", "&gt;")
    assert prose(kept, "", title=TITLE) == html.unescape(kept)


@pytest.mark.parametrize("word", ["NASA", "IBM", "EP"])
def test_a_word_of_capitals_is_an_agency_only_before_the_text(word: str) -> None:
    assert prose(f"<p>{word}</p><p>{PROSE}</p>", "", title=TITLE) == PROSE
    listed = f"<p>{PROSE}</p><ul><li>{word}</li><li>others</li></ul>"
    assert prose(listed, "", title=TITLE) == f"{PROSE} {word} others"


def test_a_short_summary_is_followed_by_the_first_sentences_of_the_text() -> None:
    assert prose("Good news.", f"<p>{PROSE}</p>", title=TITLE) == f"Good news. {PROSE}"


def test_an_empty_summary_gives_way_to_the_content() -> None:
    assert ex.cut(prose("Comments", f"<p>{PROSE}</p>", title=TITLE), 200) == PROSE


def test_a_line_that_a_feed_repeats_is_its_own_and_not_the_entrys() -> None:
    motto = "The magazine for people who like their databases large and their tables clean."
    known = residue([f"<p>{motto}</p><p>Story {n} tells something else.</p>" for n in range(3)])
    assert known == {motto}
    assert prose(f"<p>{motto}</p><p>{PROSE}</p>", "", title=TITLE, known=known) == PROSE


def test_a_sentence_that_a_feed_puts_before_every_text_is_left_out() -> None:
    call = "Want to start a startup? Get funded by us."
    known = residue([f"{call} Essay {n} says something else." for n in range(3)])
    assert prose(f"{call} {PROSE}", "", title=TITLE, known=known) == PROSE


def test_a_summary_cut_by_its_publisher_ends_in_an_ellipsis() -> None:
    assert prose("A vacuum of a large table takes minutes instead of [&#8230;]", "", title=TITLE) == (
        "A vacuum of a large table takes minutes instead of…"
    )


def test_an_excerpt_is_as_wide_in_every_script() -> None:
    japanese = "分散データベースは、止まらないことを約束する仕組みです。"  # 28 signs, a whole sentence
    assert prose(japanese, "", title="分散データベース") == japanese
    assert prose("とても短い。", "", title="分散データベース") == ""
    said = ex.cut(japanese * 6, 150)
    assert said == japanese * 2 and width(said) <= 150 < width(japanese * 3)
    latin = "A distributed database promises that it will not stop working. " * 6
    assert width(ex.cut(latin, 150)) > 100 and width(ex.cut("数据" * 200, 150)) == 149
    assert ex.cut("नमस्ते दुनिया", 150) == "नमस्ते दुनिया"


def test_a_text_that_its_publisher_cut_within_a_word_goes_back_to_the_last_whole_one() -> None:
    text = "At first a few hundred connections were fine, and then one morning all of them went away w"
    for dots in ("…", "...", "…</p>", "… Read more"):
        assert prose(f"<p>{text}{dots}", "", title=TITLE) == text.removesuffix(" w") + "…"
    assert prose(f"{text} …", "", title=TITLE) == f"{text}…"  # cut between words
    short = "And after all of that work we simply waited…"
    assert prose(short, "", title=TITLE) == short


@pytest.mark.parametrize(
    "residue",
    [
        'title: "What others call it" published: false description:',
        "description:",
        "layout: post tags: [one, two]",
        "title: 'It' draft: true summary:",
        "slug: a-vacuum cover_image: https://a.example/one.png excerpt:",
    ],
)
def test_front_matter_goes_and_what_it_describes_stays(residue: str) -> None:
    assert prose(f"{residue} {PROSE}", "", title=TITLE) == PROSE


def test_what_has_no_title_is_called_by_its_first_words_and_goes_on_after_them() -> None:
    first, rest = "Today I mended the kettle.", "It took three hours and two friends, and now it whistles in D minor."
    title, excerpt = ex.titled("", f"{first} {rest}", 150)
    assert not excerpt.startswith(title.removesuffix("…"))
    assert ex.titled("", first, 150) == (first, "")
    assert ex.titled("Kettle", f"{first} {rest}", 150) == ("Kettle", f"{first} {rest}")


@pytest.mark.parametrize("unit", ["w", "word ", "数据库", "a\u0301", "&amp; "])
def test_a_title_that_is_a_text_is_cut_where_it_is_made(unit: str) -> None:
    title, excerpt = ex.titled((unit * 1_000)[:1_000], PROSE, 150)
    assert width(title) <= ex.LONGEST_TITLE and title.endswith("…") and excerpt == ex.cut(PROSE, 150)
    whole = (unit * 1_000)[: 60 // len(unit) * len(unit)].strip()
    assert ex.titled(whole, PROSE, 150)[0].startswith(whole)


def test_a_cut_prefers_a_sentence_then_a_word() -> None:
    text = "A vacuum takes minutes instead of hours. Nobody asked how long it would take to write this text about it."
    assert ex.cut(text, 60) == "A vacuum takes minutes instead of hours."
    assert ex.cut(text, 90).endswith("…") and text.startswith(ex.cut(text, 90)[:-1])
    assert ex.cut("See e.g. the manual, or ask somebody who knows the whole of it by heart", 40) == (
        "See e.g. the manual, or ask somebody…"
    )


ENOUGH = " This sentence is here so that there is enough prose to be an excerpt at all."


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("A number of up to 2<sup>64</sup> fits.", "A number of up to 2⁶⁴ fits."),
        ("<p>H<sub>2</sub>O, x<sup>n</sup>, e<sup>iπ</sup>, a<sub>b&lt;c</sub>.</p>", "H₂O, xⁿ, e^(iπ), a_(b<c)."),
        ("<p>The 1<sup>st</sup> of May<sup><a href='#f'>1</a></sup>, Acme<sup>TM</sup>.</p>", "The 1st of May, Acme™."),
        ("-40 is the same in both scales.", "-40 is the same in both scales."),
        (".NET 9 is out.", ".NET 9 is out."),
        ("<p>--help prints it.</p>", "--help prints it."),
        ("<p>#include &lt;stdio.h&gt; comes first.</p>", "#include <stdio.h> comes first."),
        ("<p>|x| is a length.</p>", "|x| is a length."),
        ("<p>- A dash alone is none of it.</p>", "A dash alone is none of it."),
        ("<del>100</del> 80 seats are left.", "80 seats are left."),
        ("Only <s>100</s> <strike>90</strike> 80 are left.", "Only 80 are left."),
        ("Stop using &lt;div&gt; for everything.", "Stop using <div> for everything."),
        ("<p>Stop using <code>&lt;div&gt;&lt;/div&gt;</code> at all.</p>", "Stop using <div></div> at all."),
        ("<p><code>&amp;amp;</code> is how one writes &amp;.</p>", "&amp; is how one writes &."),
        ("&lt;p&gt;Doubly &lt;a href=&quot;x&quot;&gt;escaped&lt;/a&gt;.&lt;/p&gt;", "Doubly escaped."),
        ("<p>Seen.<span hidden>Not seen.</span></p>", "Seen."),
        ("<p>Seen.<span style='color:red; display : none'>Not <span>seen</span>.</span></p>", "Seen."),
        ("<p>Seen.<i style='visibility:hidden'>Not seen.</i></p>", "Seen."),
        ("<p>Seen <span style='display:none'>to the end.</p>", "Seen to the end."),
        ("<p>A fact<sup>[1]</sup>, one<a href='#fn2'>[2]</a> and A<sup>*</sup>.</p>", "A fact, one and A*."),
        ("<p>Now <span style='text-decoration: line-through'>100</span> 80.</p>", "Now 80."),
        ("<p>2<span style='vertical-align:super'>64</span> is it.</p>", "2⁶⁴ is it."),
        ("<p>It is <ruby>明日<rp>(</rp><rt>あした</rt><rp>)</rp></ruby> then.</p>", "It is 明日 then."),
        ("<p>He said <q>no</q>.</p>", "He said “no”."),
        ("<p>A <img src='x.png' alt='😀'> and <img src='a.example/latex.php?x' alt='a/b'>.</p>", "A 😀 and a/b."),
        ("<![CDATA[<p>In a section.</p>]]>", "In a section."),
        ("<p>;) is a face, == a question, and |> a pipe.</p>", ";) is a face, == a question, and |> a pipe."),
        ("<table><tr><td>A letter in a frame.</td></tr></table>", "A letter in a frame."),
        ("<table><tr><td>a</td><td><table><tr><td>b</td></tr></table></td><td>c</td></tr></table>Seen.", "Seen."),
        ("<p>See <a href='#note-3'>3</a> of them<a href='#n'>[a]</a>.</p>", "See 3 of them[a]."),
        ("<p>A fact<a href='#note-3'>3</a>, two<a href='#fn4'><sup>4</sup></a>.</p>", "A fact, two."),
        ("<dialog>Not seen.</dialog><p>Seen.</p>", "Seen."),
        ("<p>Seen.</p><details><summary>More</summary>Not seen.</details>", "Seen."),
        (
            "<p>So <m:math xmlns:m='x'><m:mfrac><m:mi>a</m:mi><m:mi>b</m:mi></m:mfrac></m:math> is it.</p>",
            "So … is it.",
        ),
        (
            "<p>A loss of <math><semantics><mi>L</mi><mo>=</mo><mn>2</mn>"
            '<annotation encoding="application/x-tex">L=2</annotation></semantics></math> is shown.</p>',
            "A loss of L=2 is shown.",
        ),
        ("<p>So <math alttext='a/b'><mfrac><mi>a</mi><mi>b</mi></mfrac></math> is it.</p>", "So a/b is it."),
        ("<p>So <math><mfrac><mi>a</mi><mi>b</mi></mfrac></math> is it.</p>", "So … is it."),
        ("<p>So <math><mi>a</mi><mo>&lt;</mo><mi>b</mi></math> is it.</p>", "So a<b is it."),
        (
            "<p>Of <span class='katex'><span class='katex-mathml'><math><mi>x</mi>"
            "<annotation encoding='application/x-tex'>x</annotation></math></span>"
            "<span class='katex-html' aria-hidden='true'><span>x</span></span></span> once.</p>",
            "Of x once.",
        ),
    ],
)
def test_an_excerpt_says_what_a_reader_of_the_markup_sees(markup: str, shown: str) -> None:
    told = prose(clean_html(markup + ENOUGH, base="https://a.example/"), "", title="Another thing")
    assert told == shown + ENOUGH


@pytest.mark.parametrize(
    "hiding",
    [
        *("hidden", "HIDDEN", "hidden='until-found'", "data-x='a>b' hidden", "style=display:none", "class=sr-only"),
        *(f"class='x {one}'" for one in ("visually-hidden", "visuallyhidden", "invisible", "off-screen", "d-none")),
        *(
            f"style='{one}'"
            for one in (
                *("display:none!important", "visibility: collapse", "opacity:0", "font-size:0px", "color:transparent"),
                *("position:absolute;left:-9999px", "position:absolute;clip:rect(0 0 0 0)", "text-indent:-999em"),
                *("max-height:0;overflow:hidden", "clip-path: inset(50%)", "mso-hide:all", "display&#58;none"),
            )
        ),
    ],
)
def test_what_is_hidden_in_any_way_is_not_shown(hiding: str) -> None:
    for tag in ("span", "p", "div", "li"):
        told = clean_html(f"<p>Seen.</p><{tag} {hiding}>Not <b>this</b>.</{tag}><p>Seen too.</p>", base="")
        assert prose(told + ENOUGH, "", title="T") == f"Seen. Seen too.{ENOUGH}"
    for tag in ("noscript", "template", "object", "video", "textarea", "select", "button"):
        told = clean_html(f"<p>Seen.</p><{tag}>Not this.</{tag}>{ENOUGH}", base="")
        assert prose(told, "", title="T") == f"Seen.{ENOUGH}"


@pytest.mark.parametrize(
    "seen", ["aria-hidden=true", "title=\"hidden style='display:none'\"", "data-hidden", "class='hidden md:block'"]
)
def test_what_only_looks_hidden_is_shown(seen: str) -> None:
    assert prose(clean_html(f"<p>One <i {seen}>two</i>.</p>{ENOUGH}", base=""), "", title="T") == f"One two.{ENOUGH}"


def test_a_picture_that_is_loaded_late_stays_though_nobody_sees_its_noscript() -> None:
    markup = "<noscript>Turn scripts on. <img src='https://a.example/a.png'></noscript><p>Seen.</p>"
    assert clean_html(markup, base="") == '<img src="https://a.example/a.png"><p>Seen.</p>'


def test_a_title_says_what_a_reader_of_its_markup_sees() -> None:
    for markup, shown in (
        ("2<sup>64</sup> is big", "2⁶⁴ is big"),
        ("Now <del>100</del> 80", "Now 80"),
        ("Seen<span hidden>not</span>", "Seen"),
        ("Fact<sup><a href='#fn1'>1</a></sup>", "Fact"),
    ):
        assert plain(markup, markup=True) == shown


def test_a_title_is_taken_off_and_the_sign_of_what_follows_is_not() -> None:
    for following in ("-40 degrees were measured in that one night.", ".NET has what all the others have, and a cat."):
        told = prose(f"<p>Cold and colder</p><p>{following}</p>", "", title="Cold and colder")
        assert told == following


PIECES = st.lists(
    st.sampled_from(
        [
            ("<sup>64</sup>", "64"),
            ("<sub>n</sub>", "n"),
            ("<del>gone</del>", ""),
            ("<code>&lt;b&gt;</code>", "<b>"),
            ("<b>bold</b>", "bold"),
            ("<span hidden>unseen</span>", ""),
            (" -40 ", "-40"),
            (" .NET ", ".NET"),
            ("<math><mi>x</mi></math>", "x"),
            ("</p><p>", " "),
            (" word", "word"),
            ("<br>", " "),
            (" &amp;lt; ", "&lt;"),
        ]
    ),
    min_size=1,
    max_size=12,
)


@given(PIECES)
def test_what_is_shown_is_a_run_of_the_visible_text(pieces: list[tuple[str, str]]) -> None:
    def bare(text: str) -> str:
        return "".join(c for c in unicodedata.normalize("NFKC", text) if c.isalnum() or c in "<>&;")

    markup = "".join(markup for markup, _seen in pieces)
    told = prose(clean_html(f"<p>Begin {markup}</p><p>{ENOUGH}</p>", base="https://a.example/"), "", title="T")
    assert bare(told) == bare("Begin" + "".join(seen for _markup, seen in pieces) + ENOUGH)


def test_bidi_pairs_are_closed() -> None:
    text = "\u2067שלום עולם זה טקסט ארוך מאוד שנחתך באמצע\u2069 and more"
    short = ex.cut(text, 20)
    assert short.endswith("…\u2069") and len(short) <= 20


@pytest.mark.parametrize("unit", ["👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "e\u0301", "한", "&amp;", "नि"])
def test_a_character_of_several_code_points_stays_whole(unit: str) -> None:
    for length in range(1, 40):
        short = ex.cut(unit * 60, length).rstrip("…")
        assert len(short) % len(unit) == 0, (length, short)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300), st.integers(1, 200))
def test_an_excerpt_is_never_longer_than_asked(text: str, length: int) -> None:
    short = ex.cut(text, length)
    assert width(short) <= length and len(short) <= length * 6  # marks take no column, and have a bound
    assert not ex._open(short)


@given(
    st.lists(
        st.sampled_from(["e\u0301", "👩‍👩‍👧‍👦", "🇩🇪", "&lt;", "word", " ", ". ", "\u2067", "\u2069", "漢"]), max_size=80
    )
)
def test_a_cut_falls_between_characters_and_entities(parts: list[str]) -> None:
    text = "".join(parts)
    short = ex.cut(text, 50)
    body = re.sub(r"[\u2067\u2069…]", "", short)
    rest = re.sub(r"[\u2067\u2069…]", "", text)
    assert rest.startswith(body)
    after = rest[len(body) :]
    if body and after and len(text) > 50:
        assert not unicodedata.combining(after[0]) and after[0] != "\u200d" and body[-1] != "\u200d"
        assert not any(m.start() < len(body) < m.end() for m in re.finditer("&lt;", rest))


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=60))
def test_no_text_is_a_crash(summary: str, content: str, title: str) -> None:
    said = ex.cut(prose(summary, content, title=title), 150)
    assert said == "" or len(said) <= 150


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://ada.example/vacuum.jpg", True),
        ("http://ada.example/vacuum.jpg", False),
        ("https://pixel.wp.com/b.gif?x=1", False),
        ("https://feeds.feedburner.com/~r/ada/~4/xyz", False),
        ("https://ada.example/images/spacer.gif", False),
        ("https://secure.gravatar.com/avatar/abc", False),
        ("data:image/gif;base64,R0", False),
        ("https://[broken", False),
    ],
)
def test_a_picture_is_the_entrys_own_and_no_tracker(url: str, kept: bool) -> None:
    assert bool(ex.image(url)) is kept


def test_reading_time_is_in_minutes_and_unknown_for_a_few_words() -> None:
    assert ex.reading_minutes("<p>Too short to tell.</p>") == 0
    assert ex.reading_minutes("<p>" + "word " * 1150 + "</p>") == 5


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("1781463498", True),
        ("2026-03-02", True),
        ("(untitled)", True),
        ("Ohne Titel", True),
        ("...", True),
        ("1984", False),
        ("404", False),
        ("Untitled goose", False),
    ],
)
def test_a_title_without_words_gives_way_to_the_first_words(title: str, shown: bool) -> None:
    found, _excerpt = ex.titled(title, PROSE, 150)
    assert (found != title) is shown and (PROSE.startswith(found.rstrip("…")) is shown)
    assert ex.titled(title, "", 150) == (title, "")


@pytest.mark.parametrize(
    "said",
    ["Dune 3.20 mends crashes, and Merlin is faster", "dune 3.20 mends crashes", "Week 36: DUNE 3.20 mends crashes!"],
)
def test_what_stands_in_the_title_is_not_said_again(said: str) -> None:
    assert prose(said, "", title="Week 36: Dune 3.20 mends crashes, and Merlin is faster") == ""
    assert prose(said, f"<p>{PROSE}</p>", title="Week 36: Dune 3.20 mends crashes, and Merlin is faster") == PROSE


def test_a_name_that_a_feed_puts_after_each_text_is_not_shown() -> None:
    texts = [
        f"<p>Lamp {n} is lit by whoever comes first, and put out by nobody at all. Coast News UK</p>" for n in range(3)
    ]
    known = residue(texts)
    assert prose(texts[1], "", title="Lamps", known=known).endswith("nobody at all.")
    once = "<p>Lamps are lit by whoever comes first, and put out by nobody at all. Lit again</p>"
    assert prose(once, "", title="Lamps", known=known).endswith("Lit again")
