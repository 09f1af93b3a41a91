from __future__ import annotations

import dataclasses
import html
import multiprocessing
import re
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import MONDAY
from hypothesis import given
from hypothesis import strategies as st
from lxml.html import fromstring

from digest import recordings, render
from digest.errors import ConfigError
from digest.graphemes import width
from digest.render import Note, Page, Section, Templates, apart
from digest.render.speech import speech
from digest.values import Recording, Source, Story


def story(seq: int = 1, **changes) -> Story:
    values = {
        "id": seq,
        "seq": seq,
        "topic": "databases",
        "url": f"https://site.example/{seq}",
        "title": f"Story number {seq}",
        "source": "A Site",
        "author": "",
        "excerpt": "An excerpt of some length that says what it is about.",
        "language": "en",
        "image_url": "",
        "reading_minutes": 4,
        "published_at": MONDAY - timedelta(hours=5),
        "rank": 1.0,
        "pinned": False,
        "feed_id": 1,
    }
    fields = {f.name for f in dataclasses.fields(Story)}
    return Story(**{k: v for k, v in (values | changes).items() if k in fields})


def page(*stories: Story, **changes) -> Page:
    lead, *rest = stories
    topics = dict.fromkeys(s.topic for s in rest)
    values = {
        "title": "Daily",
        "language": "en",
        "number": 7,
        "date": MONDAY,
        "lead": lead,
        "sections": tuple(Section(t, t.title(), tuple(s for s in rest if s.topic == t)) for t in topics),
        "more": 0,
        "topics": (),
        "postal_address": "",
        "home": "https://digest.example",
    }
    return Page(**(values | changes))


def rendered(*stories: Story, subject: str = "{{ newsletter.title }}: {{ lead.title }}", **changes):
    return Templates().render(page(*stories, **changes), subject=subject)


def test_what_feeds_say_is_text_and_never_markup_or_template():
    mail = rendered(
        story(
            title="<script>alert(1)</script> {{ 7*7 }} and everything",
            excerpt="<img src=x onerror=alert(1)>",
            source="A & <b>B</b>",
        )
    )
    assert "<script" not in mail.html and "<img" not in mail.html and "<b>" not in mail.html
    assert "{{ 7*7 }}" in mail.html and "49" not in mail.subject
    assert "<script>alert(1)</script>" in mail.text  # the text part is no markup: said as it was


def test_styles_are_inline_and_the_dark_block_is_left_alone():
    mail = rendered(story())
    without = re.sub(r"<style.*?</style>", "", mail.html, flags=re.S)
    assert 'style="' in without and "Georgia" in without and "max-width:600px" in without
    assert "@media (prefers-color-scheme: dark)" in mail.html and "!important" in mail.html
    assert "[data-ogsc]" in mail.html
    assert mail.html.lstrip().lower().startswith("<!doctype html>")
    assert "<!--[if mso]>" in mail.html


def test_the_lead_comes_first_and_then_each_topic_with_its_stories():
    mail = rendered(story(1), story(2, topic="security"), story(3))
    order = [mail.text.index(word) for word in ("number 1", "SECURITY", "number 2", "DATABASES", "number 3")]
    assert order == sorted(order)
    assert 'href="#security"' in mail.html and 'id="security"' in mail.html


def test_other_sources_are_named_and_counted():
    also = tuple(Source(f"Site {n}", f"https://s{n}.example/") for n in range(5))
    mail = rendered(story(also=also))
    assert 'href="https://s0.example/"' in mail.html and "2 more" in mail.html
    assert "1 story from 6 sources" in mail.html


def test_a_right_to_left_story_is_set_right_in_a_left_to_right_mail():
    mail = rendered(story(1), story(2, language="he", title="שלום עולם"))
    assert re.search(r'<td[^>]* lang="he" dir="rtl" align="right"', mail.html)
    assert '<span dir="ltr" lang="en">5\xa0h\xa0ago</span>' in mail.html
    assert '<html lang="en" dir="ltr"' in mail.html


def test_the_text_part_is_wrapped_and_has_no_trailing_blanks():
    mail = rendered(story(excerpt="word " * 80), more=3, postal_address="1 Example Street")
    lines = mail.text.splitlines()
    assert all(len(line) <= 72 for line in lines if "http" not in line)
    assert [line for line in lines if line != line.rstrip()] == ["-- "], "the mark of a signature (RFC 3676 §4.3)"
    assert "3 more stories there was no room for" in mail.text and "1 Example Street" in mail.text


def test_the_unsubscribe_link_is_a_marker_in_both_parts():
    mail = rendered(story())
    marker = mail.marks.address(render.Marker.UNSUBSCRIBE)
    assert mail.html.count(f'href="{marker}"') == mail.html.count(marker) == 1
    assert mail.text.split().count(marker) == mail.text.count(marker) == 1


def test_a_subject_is_one_clean_line():
    mail = rendered(story(title="One\r\nBcc: x ‮ two " + "word " * 60))
    assert "\n" not in mail.subject and "‮" not in mail.subject
    assert len(mail.subject) <= render.SUBJECT_LENGTH and mail.subject.endswith("…")


def test_a_subject_is_text_and_not_markup():
    assert rendered(story(title="AT&T <3 C++")).subject == "Daily: AT&T <3 C++"


def test_an_operators_template_replaces_ours(tmp_path):
    (tmp_path / "edition.txt").write_text("Hi: {{ page.lead.title }}\n")
    assert Templates(tmp_path).render(page(story()), subject="s").text == "Hi: Story number 1\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ page.title }}\n{% if %}", r"edition\.txt, line 2"),
        ("{{ page.title }}\n{{ page.nothing }}", r"edition\.txt, line 2"),
        ("\n\n{{ page.title.nothing() }}", r"edition\.txt, line 3"),
        ("{{ ''.__class__.__mro__ }}", r"edition\.txt, line 1"),
    ],
)
def test_a_mistake_in_a_template_is_told_with_file_and_line(tmp_path, source, said):
    (tmp_path / "edition.txt").write_text(source)
    with pytest.raises(ConfigError, match=said):
        Templates(tmp_path).render(page(story()), subject="s")


def test_a_mistake_in_the_subject_is_told_as_such():
    with pytest.raises(ConfigError, match="the subject"):
        rendered(story(), subject="{{ nothing }}")


@given(st.text(max_size=300), st.integers(2, 120))
def test_shortening_never_gets_longer_than_asked(text, length):
    assert render.width(render.shorten(text, length)) <= length


def test_ages_in_words():
    def said(**span: float) -> str:
        return speech("en").ago(MONDAY - timedelta(**span), MONDAY)

    assert [said(seconds=10), said(minutes=59), said(hours=5), said(hours=26)] == [
        "1 min ago", "59 min ago", "5 h ago", "yesterday",
    ]  # fmt: skip
    assert said(days=3) == "3 days ago" and said(days=40) == "Oct 14, 2026"
    assert said(hours=-5) == "1 min ago"  # dated in the future


# What a template can do that takes for ever, or all memory: in loops of ours, of Jinja2's and of C.
ENDLESS = {
    "a loop in a loop": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a macro": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "a number": "{{ 9 ** (9 ** 9) }}",
    "a filter": "{% set a = (range(99999)|list) * 999 %}{{ a|map('string')|join(',')|wordcount }}",
}
TOO_MUCH = {
    "a range": ("{% for a in range(10 ** 9) %}{% endfor %}", "Range too big"),
    "a text": ("{{ ('x' * 10 ** 9)|length }}", "MB of memory"),
    "itself": ("{% include 'edition.txt' %}", "in a circle"),
}


@pytest.mark.thin(4)
@pytest.mark.parametrize("what", ENDLESS)
def test_a_template_that_does_not_come_to_an_end_is_ended(tmp_path, monkeypatch, what):
    monkeypatch.setattr(apart, "SECONDS", 0.3)
    (tmp_path / "edition.txt").write_text(ENDLESS[what])
    with pytest.raises(ConfigError, match=r"take longer than 0\.3 seconds|MB of memory"):
        Templates(tmp_path).render(page(story()), subject="s")
    assert Templates().render(page(story()), subject="s").text  # ours are rendered at home
    if what == "a number":
        with pytest.raises(ConfigError, match="take longer"):
            Templates(tmp_path / ".").judge("s")


@pytest.mark.thin(4)
@pytest.mark.parametrize("what", TOO_MUCH)
def test_a_template_that_takes_too_much_is_told(tmp_path, what):
    template, said = TOO_MUCH[what]
    (tmp_path / "edition.txt").write_text(template)
    with pytest.raises(ConfigError, match=said):
        Templates(tmp_path).render(page(story()), subject="s")


def test_a_subject_and_a_note_have_the_same_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(apart, "SECONDS", 0.3)
    with pytest.raises(ConfigError, match="templates of the subject take longer"):
        Templates().render(page(story()), subject=ENDLESS["a loop in a loop"])
    (tmp_path / "note.txt").write_text(ENDLESS["a loop in a loop"])
    note = Note("Daily", "en", "s", "h", "w", "a", "https://x.example/", "x")
    with pytest.raises(ConfigError, match="take longer"):
        Templates(tmp_path).note(note)
    with pytest.raises(ConfigError, match="take longer"):
        Templates(tmp_path).note(note)  # at once: nobody waits for it anew


def test_the_same_mail_comes_out_of_the_process_beside_us(tmp_path, monkeypatch):
    # Started as `digest` starts it; all other tests fork one.
    monkeypatch.setattr(apart, "multiprocessing", multiprocessing)
    monkeypatch.setattr(apart, "_worker", None)
    (tmp_path / "mine.txt").write_text("unused")
    mine, ours = (
        Templates(folder).render(page(*(story(n) for n in range(1, 9))), subject="{{ lead.title }}")
        for folder in (tmp_path, None)
    )
    assert (mine.subject, mine.html, mine.text, mine.dropped) == (ours.subject, ours.html, ours.text, ours.dropped)


@pytest.mark.parametrize(
    ("recording", "language", "said"),
    [
        (Recording("https://pod.example/7.mp3", "audio", "audio/mpeg", 2520, 38_000_000), "en", ("Listen", "42 min")),
        (Recording("https://pod.example/7.mp3", "audio", "audio/mpeg", 20), "en", ("Listen", "1 min")),
        (Recording("https://pod.example/7.mp3", "audio", "audio/mpeg", 0, 38_400_000), "en", ("Listen", "38 MB")),
        (Recording("https://pod.example/7.mp3", "audio", "audio/mpeg", 0, 1), "en", ("Listen", "")),
        (Recording("https://pod.example/7.mp4", "video", "video/mp4", 5700), "de", ("Ansehen", "95 Min.")),
        (Recording("https://pod.example/7.mp3", "audio", "audio/mpeg", 0, 38_400_000), "fr", ("Écouter", "38 Mo")),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_what_can_be_heard_or_watched_is_linked_and_its_length_told_in_both_parts(recording, language, said, place):
    stories = [story(1), story(2), story(3)]
    stories[place] = story(stories[place].seq, recording=recording)
    mail = rendered(*stories, language=language)
    word, length = said
    mail_text = mail.text.replace("\xa0", " ").replace("\u202f", " ")
    assert f"{word}{f' ({length})' if length else ''}: {recording.url}\n" in mail_text
    assert mail.html.count(f'href="{recording.url}"') == 1
    shown = html.unescape(re.sub(r"<[^>]+>", "", mail.html)).replace("\xa0", " ").replace("\u202f", " ")
    assert f"{word} · {length}\n" in shown if length else f"{word}\n" in shown
    assert [f for f in render.check(mail) if f.level == "error"] == []


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("2520", 2520), ("42:00", 2520), ("1:02:03", 3723), ("01:02:03.5", 3723), (" 61:30 ", 3690), ("PT1H2M3S", 3723),
        ("42:00:00", 2520), ("", 0), ("0", 0), ("-5", 0), ("42 min", 0), ("1:2:3:4", 0), ("99999999", 0), ("PT", 0),
        ("9" * 5000, 0), ("४२", 42),
    ],
)  # fmt: skip
def test_a_length_is_read_in_all_its_forms_and_nonsense_is_none(words, seconds):
    assert recordings.seconds(words) == seconds


@pytest.mark.parametrize(
    ("type_", "url", "kind"),
    [
        ("audio/mpeg", "https://a.example/x", "audio"), ("video", "https://a.example/x", "video"),
        ("", "https://a.example/x.MP3?y", "audio"), ("application/octet-stream", "http://a.example/x.m4v#t", "video"),
        ("image/jpeg", "https://a.example/x.mp3", ""), ("", "https://a.example/x.mp3.html", ""),
        ("audio/mpeg", "ftp://a.example/x.mp3", ""), ("application/pdf", "https://a.example/x.pdf", ""),
        ("AUDIO/ogg; codecs=opus", "https://a.example/x", "audio"), ("audiobook", "https://a.example/x", ""),
    ],
)  # fmt: skip
def test_a_file_is_heard_or_watched_by_what_its_feed_says_of_it(type_, url, kind):
    assert recordings.kind(type_, url) == kind


def test_a_beginning_and_more_by_an_author_are_said_in_html_and_text() -> None:
    others = (Source("What the ferry cost", "https://ada.example/cost"),)
    mail = rendered(story(author="Ada Example", more_by=others), beginning=True)
    for part in (mail.html, mail.text):
        assert "A beginning:" in part and "More by Ada Example" in part and "https://ada.example/cost" in part
    assert "A beginning:" not in rendered(story()).text


@pytest.mark.parametrize("language", ["en", "de", "ar", "ja", "ru"])
def test_others_of_an_author_take_two_lines_at_most_and_the_rest_is_a_link_to_all(language) -> None:
    """However many there are and however long their titles: 120 columns, and how many more."""
    for title in ("A title of some length that goes on and on beyond any bound", "Short", "日本の長い題名" * 9):
        others = tuple(Source(f"{title} {n}", f"https://ada.example/{n}") for n in range(40))
        mail = rendered(
            story(author="Ada " * 30, more_by=others), language=language, view_url="https://news.example/e/1"
        )
        line = next(one for one in fromstring(mail.html).iter("p") if one.xpath(".//a[@href='https://ada.example/0']"))
        links = line.findall("a")
        assert links[-1].get("href") == "https://news.example/e/1#more"
        assert str(40 - len(links) + 1) in links[-1].text_content() and len(links) > 1
        before = line.text_content().removesuffix(links[-1].text_content())
        assert width(" ".join(before.split())) <= 124, before
        assert (
            mail.text.count("https://ada.example/") == len(links) - 1 and "https://news.example/e/1#more" in mail.text
        )


def test_names_of_ours_stand_where_their_page_begins() -> None:
    """A Latin title over Arabic words is at the right, as these are: its direction is its own, its side the page's."""
    root = Path(__file__).parent.parent
    for file in [*(root / "templates").rglob("*.html"), *(root / "digest" / "web" / "templates").rglob("*.html")]:
        text = file.read_text(encoding="utf-8")
        wrong = re.findall(r'<p class="(?:from|fine|tagline)\b[^>]*\bdir="auto"[^>]*>', text)
        assert not wrong, f"{file.name}: {wrong}: put the direction on a span within"
