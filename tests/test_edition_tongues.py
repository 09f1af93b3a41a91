"""A newsletter of certain languages: what is left out, what stands apart, what leads, and the reasons."""

from datetime import UTC, datetime

import editions
import pytest
from conftest import on_sqlite
from test_admit import Desk, desk  # noqa: F401

from digest import edition
from digest.config import Newsletter
from digest.curate import Selection, titles, tongues
from digest.render import Templates
from digest.render.speech import speech
from digest.store.story_tables import Decision
from digest.values import Story

ITEM = "<item><title>{}</title><link>https://{}.example/{}</link><description>{}</description></item>"
FEED = '<?xml version="1.0"?><rss version="2.0"><channel><title>{0}</title><language>{0}</language>{1}</channel></rss>'
SAID = {
    "fr": [
        "Le noyau Linux est sorti avec de nouveaux pilotes pour les vieux appareils",
        "Une faille de sécurité dans les bases de données",
    ],
    "en": ["A kernel with new drivers for old devices is out", "What SQLite does when the disk is full"],
    "ar": ["مقدمة في قواعد البيانات للمبتدئين في البرمجة"],
}
LONG = "Ce texte est un peu plus long, et il dit ce que les lecteurs de la lettre veulent savoir. "


def told(*languages):
    """A feed of each language; the French entries, with an excerpt, rank before all others."""
    for language in languages:
        more = LONG * 3 if language == "fr" else ""
        items = [ITEM.format(title, language, n, more) for n, title in enumerate(SAID[language])]
        yield f"https://{language}.example/feed", "", "", FEED.format(language, "".join(items)).encode()


def settings(**values):
    return Newsletter(**{"title": "D", "from": "d@example.org"} | values)


def a_story(id_, language, *, pinned=False):
    return Story(
        id_, id_, "other", f"https://x.example/{id_}", "Title", "X", "", "", language, "", 1,
        datetime(2026, 11, 23, tzinfo=UTC), 1.0, pinned, id_,
    )  # fmt: skip


def test_stories_in_other_languages_stand_under_a_heading_of_their_own_at_the_end(tmp_path):
    ours = {"languages": ["en"], "other_languages": "apart", "language": "en-GB"}
    page = editions.page_of(tmp_path, told("fr", "en", "ar"), **ours)
    assert page.lead.language == "en"
    last = page.counted[-1]
    assert (last.slug, last.title) == (tongues.APART, "In other languages")
    assert sorted(story.language for story in last.stories) == ["ar", "fr", "fr"]
    assert {story.language for section in page.counted[:-1] for story in section.stories} == {"en"}
    mail = Templates().render(page, subject="{{ lead.title }}")
    assert (
        'id="other-languages"' in mail.html
        and ">In other languages</h2>" in mail.html
        and "IN OTHER LANGUAGES" in mail.text
    )
    assert mail.subject == page.lead.title in SAID["en"]
    assert 'lang="ar" dir="rtl" align="right"' in mail.html


@on_sqlite
def test_or_they_stay_out_and_are_told_why(desk: Desk):  # noqa: F811
    desk.settings = settings(languages=["en", "de"])
    feed = desk.old_feed("Ada")
    away = desk.entry(feed, "Le noyau est là", language="fr")
    desk.entry(feed, "Der Kernel", language="de-AT")
    desk.entry(feed, "Who knows")
    assert desk.admit().muted == 1
    assert desk.titles()[-2:] == ["Der Kernel", "Who knows"]
    said = desk.admission(away)
    assert said.decision is Decision.MUTED and said.reason == "it is in fr, and the newsletter's languages are en, de"
    with desk.database.read() as session:
        here = [edition.explain(session, story, settings=desk.settings)["language"] for story in desk.stories()[-2:]]
    assert here == ["de: leads only where no story in en does", "not known"]


@pytest.mark.parametrize(
    ("values", "lead"),
    [
        ({}, 1),  # nobody said which language it is of
        ({"language": "en"}, 3),
        ({"language": "fr-CA"}, 1),
        ({"language": "ja"}, 1),  # there is none
        ({"language": "ja", "languages": ["de", "en"]}, 3),
        ({"language": "en", "languages": ["de", "en"]}, 3),
        ({"languages": ["de"]}, 3),  # the mail is English where nothing is said
        ({"languages": ["ar"], "language": "he"}, 2),
    ],
)
def test_what_leads_is_in_the_language_of_the_newsletter(values, lead):
    told = Selection((a_story(1, "fr"), a_story(2, "ar"), a_story(3, "en-US"), a_story(4, "de")))
    found = tongues.led(told, settings(**values))
    assert found.stories[0].id == lead
    assert [story.id for story in found.stories[1:]] == [id_ for id_ in (1, 2, 3, 4) if id_ != lead]


def test_a_pin_leads_in_any_language():
    told = Selection((a_story(1, "fr", pinned=True), a_story(2, "en")))
    assert tongues.led(told, settings(language="en")) is told


def test_titles_of_our_topics_are_in_the_language_of_the_mail():
    say = speech("fr").gettext
    ours = settings(topics={"databases": {}, "security": {"title": "Security"}, "bread": {"title": "Hardware"}})
    assert titles(ours.topics, say) == {"databases": "Bases de données", "security": "Security", "bread": "Hardware"}
    assert list(titles({}, say))[:2] == ["ai", "security"] and titles({}, say)["hardware"] == "Matériel"


def test_languages_are_codes():
    assert settings(languages=["en-GB", "de", "DE_at"]).languages == ("en", "de")
    apart = settings(languages=["en"], other_languages="apart")
    assert tongues.kept_out("fr", apart) == ""
    assert tongues.told("fr", apart) == "fr, none of en: under the heading of other languages"
    assert tongues.kept_out("nb", settings(languages=["no"])) == tongues.kept_out("", settings(languages=["no"])) == ""
    with pytest.raises(ValueError, match="is no language"):
        settings(languages=["english please"])
