"""Another picture for a story, by an editor's word: asked for as a run does, judged, copied, and taken back."""

# ruff: noqa: F811
from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlmodel import select
from starlette.testclient import TestClient
from test_collect import MONDAY, Reply, database, site  # noqa: F401
from test_pictures import JPEG, collected, found, item, mail, media, picture, settings

from digest import edition
from digest.cli import pictures as door
from digest.cli.preview import look
from digest.edition import pictures as pages
from digest.edition import variants
from digest.errors import BadInput, NotFound
from digest.store import newsletters, pictures, recipients
from digest.store.picture_tables import EntryPicture
from digest.store.story_tables import Story
from digest.web import preview as editor


@pytest.fixture
def config(site, database):
    """A story with two pictures, of which a run took the first; a third one is elsewhere."""
    config = settings(site, images="all")
    for name, seed in (("one", 1), ("two", 2), ("three", 3)):
        site.pages[f"/{name}.jpg"] = Reply(picture(1200, 800, seed), headers=JPEG)
    collected(database, site, config, item(site, 1, media(site, "/one.jpg"), media(site, "/two.jpg", "thumbnail", "")))
    found(database, config)
    return config


def row(database) -> Story:
    with database.read() as session:
        return session.exec(select(Story)).one()


def choose(database, config, words: str) -> None:
    had = door.asked(config, database, "daily", row(database).id, words)
    with database.write() as session:
        edition.reword(session, "daily", row(database).id, edition.Rewording(picture=had))


def offered(database) -> list[tuple[str, str, bool]]:
    with database.read() as session:
        return [(one.url.rpartition("/")[2], one.words, one.shown) for one in edition.choices(session, row(database))]


def why(database) -> str:
    with database.read() as session:
        return edition.explain(session, row(database))["picture"]


def test_what_was_rendered_before_an_editor_chose_or_took_back_is_rendered_anew(site, database, config):
    def matter():
        with database.read() as session:
            paper = newsletters.find(session, "daily")
            groups = [recipients.Group(0, "[]", "", plain=False)]
            found = variants.matter_of(session, paper, groups, config=config, now=MONDAY)
            return found, pages.pictured(session, found, "all")

    before = matter()
    choose(database, config, site.base + "/two.jpg")
    chosen = matter()
    choose(database, config, "auto")
    after = matter()
    assert not before[1].still(chosen[0]) and not chosen[1].still(after[0])
    assert before[1].still(after[0]) and chosen[1].still(chosen[0])


def test_an_editor_chooses_another_picture_or_none_or_the_found_one_again(site, database, config):
    assert offered(database) == [("one.jpg", "1200 × 800", True), ("two.jpg", "not asked for yet", False)]
    choose(database, config, site.base + "/two.jpg")
    assert site.paths().count("/two.jpg") == 1 and "/three.jpg" not in site.paths()
    assert offered(database) == [("one.jpg", "1200 × 800", False), ("two.jpg", "1200 × 800", True)]
    assert "an editor chose it" in why(database) and "two.jpg" in why(database)
    with database.read() as session:
        found_itself, chosen = session.exec(select(EntryPicture)).one(), pictures.chosen(row(database).reasons)
    variant = mail(database, config)
    assert chosen.hero.name in variant.html and found_itself.hero not in variant.html
    assert site.base not in variant.html.replace(f'href="{site.base}', "")  # of the publisher there are links alone
    choose(database, config, "none")
    assert why(database) == "none: an editor took it away" and not any(one[2] for one in offered(database))
    choose(database, config, "auto")
    assert why(database).startswith(site.base + "/one.jpg") and "picture" not in row(database).reasons


def test_copies_that_are_pruned_are_not_named_by_a_mail(site, database, config):
    choose(database, config, site.base + "/three.jpg")
    with database.write() as session:
        session.execute(sa.delete(EntryPicture))
        session.execute(sa.delete(pictures.PictureFile))
    assert "<img" not in mail(database, config).html


def test_copies_that_are_pruned_give_way_to_what_was_found(site, database, config):
    choose(database, config, site.base + "/three.jpg")
    with database.write() as session:
        session.delete(session.get_one(pictures.PictureFile, pictures.chosen(row(database).reasons).thumb.name))
    with database.read() as session:
        [kept] = session.exec(select(EntryPicture)).all()
    assert kept.hero in mail(database, config).html and "its copies are pruned" in why(database)


@pytest.mark.thin(4)
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("BASE/dot.gif", "is a tracking dot"),
        ("BASE/page", "is no picture that can be shown"),
        ("BASE/gone.jpg", "answered 404|answers 404|404"),
        ("BASE/forbidden/x.jpg", "robots.txt does not let it be read"),
        ("file:///etc/passwd", "is no address of a picture"),
        ("javascript:alert(1)", "is no address of a picture"),
        ("https://", "is no address of a picture"),
        ("https://a.example/a b.jpg", "is no address of a picture"),
        ("https://[::1/x.jpg", "is no address of a picture"),
        ("https://ada:secret@a.example/p.jpg", "with a login"),
        ("https://a.example/" + "x" * 2000, "characters"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence_and_nothing_changes(site, database, config, words, sentence):
    site.pages["/dot.gif"] = Reply(picture(1, 1, kind="GIF"))
    site.pages["/page"] = Reply(b"<!doctype html><p>Hello")
    site.pages["/robots.txt"] = Reply(b"User-agent: *\nDisallow: /forbidden/\n")
    before = row(database).reasons
    with pytest.raises(BadInput, match=sentence) as caught:
        choose(database, config, words.replace("BASE", site.base))
    assert "secret" not in str(caught.value) and row(database).reasons == before


def test_a_private_address_is_not_asked_for_an_editor_either(site, database, config):
    closed = config.model_copy(update={"collect": config.collect.model_copy(update={"allow_private_addresses": False})})
    asked = len(site.asked)
    with pytest.raises(BadInput, match=r"private|this machine|not public"):
        choose(database, closed, site.base + "/two.jpg")
    assert len(site.asked) == asked
    with pytest.raises(NotFound):
        door.asked(config, database, "daily", 77, site.base + "/two.jpg")


def test_the_editors_page_offers_pictures_asks_for_the_chosen_one_and_takes_it_back(site, database, config):
    tools = editor.Tools(picture=door.had)
    application = editor.application(
        database,
        load=lambda: config,
        look=look,
        wish=editor.Wish("daily"),
        token="secret",
        clock=lambda: MONDAY,
        tools=tools,
    )
    client = TestClient(application, base_url="http://127.0.0.1", follow_redirects=False)
    text = client.get("/secret/").text
    assert f'value="{site.base}/two.jpg"' in text and text.count("data:image/jpeg;base64,") == 1
    form = {"seq": "1", "title": row(database).title, "to_come": "1", "picture_was": "auto"}
    assert client.post("/secret/do/edit", data=form | {"picture": site.base + "/two.jpg"}).status_code == 303
    text = client.get("/secret/").text
    assert "· another picture" in text and text.count("data:image/jpeg;base64,") == 2
    asked = len(site.asked)
    again = form | {"picture": site.base + "/two.jpg", "picture_was": site.base + "/two.jpg", "new_title": "Anew"}
    assert client.post("/secret/do/edit", data=again).status_code == 303 and len(site.asked) == asked
    assert client.post("/secret/do/undo", data={"to_come": "1"}).status_code == 303
    assert client.post("/secret/do/undo", data={"to_come": "1"}).status_code == 303
    assert "picture" not in row(database).reasons and "Anew" not in row(database).title
    answer = client.post("/secret/do/edit", data=form | {"other": site.base + "/nothing.jpg", "new_title": "Mine"})
    assert answer.status_code == 409 and "404" in answer.text and "Mine" in answer.text
    assert row(database).title != "Mine"
