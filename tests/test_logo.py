"""A newsletter's logo: what is one, how mails and pages show it by day and by night, and that it goes where they go."""

# ruff: noqa: F811
from __future__ import annotations

import email
import email.policy
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
from lxml.html import fromstring
from people import enrol
from PIL import Image, ImageDraw
from sqlmodel import select
from starlette.testclient import TestClient
from test_collect import MONDAY, Reply, database, site  # noqa: F401
from test_pictures import JPEG, collected, found, item, media, picture, settings

from digest import deliver
from digest.cli import files
from digest.config import from_values
from digest.edition import logos
from digest.edition.compose import compose
from digest.models import Variant
from digest.parse import logo as looking
from digest.parse.logo import NotLogo
from digest.render import Rendered, check, marks
from digest.store import pictures
from digest.web import application


def drawn(width=800, height=160, ink="#1d3a5f", kind="PNG", ground=(0, 0, 0, 0)) -> bytes:
    """A shape on a ground that one sees through."""
    made = Image.new("RGBA", (width, height), ground)
    ImageDraw.Draw(made).rounded_rectangle((0, 0, width // 2, height - 1), height // 3, fill=ink)
    ImageDraw.Draw(made).ellipse((width * 2 // 3, 0, width - 1, height - 1), fill=ink)
    out = BytesIO()
    made.convert("RGB" if kind == "JPEG" else "RGBA").save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_logo_of_any_usual_format_is_a_small_png_of_twice_its_size(kind):
    made = looking.read(drawn(kind=kind))
    copy = Image.open(BytesIO(made.data))
    assert (made.width, made.height, copy.format, copy.size) == (300, 60, "PNG", (600, 120))
    assert len(made.data) <= looking.MOST and made.cut_out == (kind != "JPEG")


def test_few_pixels_are_not_blown_up_and_a_photograph_is_kept_small():
    assert (looking.read(drawn(120, 40)).width, looking.read(drawn(300, 300)).height) == (120, 72)
    noise = looking.read(picture(2000, 480, kind="PNG"))
    assert len(noise.data) <= looking.MOST and not noise.cut_out


def clear(width=200, height=50, mode="RGBA") -> bytes:
    out = BytesIO()
    Image.new(mode, (width, height)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "is SVG, which most mail programs do"),
        (b"hello", "is no PNG, JPEG, GIF or WebP"),
        (b"", "is no PNG, JPEG, GIF or WebP"),
        (b"<!doctype html><p>", "is no PNG, JPEG, GIF or WebP"),
        (drawn()[:900], "is broken"),
        (drawn(40, 8), "is 40 × 8"),
        (drawn(1000, 20), "too long to be shown"),
        (clear(), "shows nothing"),
        (clear(5000, 4000, "1"), "million pixels"),
    ],
    ids=["svg", "text", "empty", "page", "broken", "tiny", "strip", "clear", "bomb"],
)
def test_what_is_no_logo_is_said_in_a_sentence_and_the_title_stands_there(tmp_path, body, why):
    with pytest.raises(NotLogo, match=why):
        looking.read(body)
    (tmp_path / "logo.png").write_bytes(body)
    config = branded(tmp_path, logo="logo.png")
    [finding] = files.check(config)
    assert finding.warning and why in finding.words and finding.setting == "newsletters.daily.logo"
    assert logos.brand(config.newsletters["daily"], home="", attached=False).light is None


def test_a_logo_that_is_not_there_and_one_for_the_night_alone_are_told(tmp_path):
    (tmp_path / "dark.png").write_bytes(drawn())
    words = [str(one) for one in files.check(branded(tmp_path, logo="no.png", logo_dark="dark.png"))]
    assert len(words) == 1 and "no such file" in words[0]
    words = [str(one) for one in files.check(branded(tmp_path, logo_dark="dark.png"))]
    assert words == ["newsletters.daily.logo_dark: is not shown without a logo"]


def branded(folder: Path, **look):
    daily = {"title": "The Daily", "from": "The Daily <a@news.example>"} | look
    values = {"base_url": "https://news.example", "secret_key": "0123456789abcdef", "newsletters": {"daily": daily}}
    return from_values(values | {"database": str(folder / "d.db")}, folder / "digest.toml", environment=False)


def brand(folder: Path, **look):
    return logos.brand(branded(folder, **look).newsletters["daily"], home="https://news.example", attached=False)


def test_by_night_a_logo_is_another_or_has_a_ground_to_stand_out_from(tmp_path):
    for name, ink in (("ink", "#1d1b16"), ("snow", "#ffffff")):
        (tmp_path / f"{name}.png").write_bytes(drawn(ink=ink))
    assert brand(tmp_path, logo="ink.png").plated and not brand(tmp_path, logo="snow.png").plated
    both = brand(tmp_path, logo="ink.png", logo_dark="snow.png")
    assert both.dark.name != both.light.name and not both.plated
    banner = brand(tmp_path, logo="ink.png", logo_dark="snow.png", masthead="banner", accent="#1d3a5f")
    assert (banner.light.name, banner.dark, banner.plated) == (both.dark.name, None, False)
    assert brand(tmp_path, logo="ink.png", masthead="banner", accent="#1d3a5f").plated
    assert brand(tmp_path, logo="ink.png", masthead="slim").light.height == 40
    look = {"logo": "ink.png", "logo_dark": "snow.png", "masthead": "banner", "accent": "#1d3a5f"}
    page = logos.on_page(branded(tmp_path, **look).newsletters["daily"], "")
    assert (page.light.name, page.dark.name) == (both.light.name, both.dark.name)  # a page is no banner


@pytest.mark.parametrize("source", ["served", "attached"])
def test_letters_and_pages_show_the_logo_from_where_pictures_come(database, site, tmp_path, inbox, source):
    (tmp_path / "ink.png").write_bytes(drawn())
    (tmp_path / "snow.png").write_bytes(drawn(ink="#ffffff"))
    config = settings(site, source=source, smtp={"url": inbox.url})
    look = {"logo": tmp_path / "ink.png", "logo_dark": tmp_path / "snow.png", "tagline": "News of lakes"}
    daily = config.newsletters["daily"].model_copy(update=look)
    config = config.model_copy(update={"newsletters": {"daily": daily}})
    site.pages["/p.jpg"] = Reply(picture(1200, 800), headers=JPEG)
    collected(database, site, config, item(site, 1, media(site, "/p.jpg")))
    found(database, config)
    with database.write() as session:
        enrol(session, "ada@example.org")
    with database.write() as session:
        assert compose(session, "daily", config, now=MONDAY).letters == 1
    with database.read() as session:
        variant = session.exec(select(Variant)).one()
        html = variant.html
        names = [one.name for one in (logos.brand(daily, home="", attached=False).light,)]
        assert set(pictures.data(session, names)) == set(names)  # stored with the first mail that shows it
        assert (set(names) <= set(variant.attached)) == (source == "attached")
    day, night = fromstring(html).xpath("//h1//img")
    assert (day.get("alt"), day.get("width"), day.get("height")) == ("Daily", "300", "60")
    assert "display:none" in night.getparent().get("style") and "mso-hide:all" in night.getparent().get("style")
    dark = html[html.index("prefers-color-scheme: dark)") :]
    assert ".day { display: none !important; }" in dark and "[data-ogsc] .night { display: inline" in dark
    assert html.index("<!--[if !mso]><!-->") < html.index('class="night"')
    start = "cid:" if source == "attached" else "https://news.example/digest/p/"
    assert day.get("src").startswith(start) and night.get("src").startswith(start)
    assert not [
        one
        for one in check(Rendered(variant.subject, html, variant.text, marks=marks(variant.marks)))
        if one.level == "error"
    ]
    logos._data.clear()  # as in another process, some time later
    assert deliver.run(database, config, clock=lambda: MONDAY, rng=Random(1)).sent == 1
    read = email.message_from_bytes(inbox.messages[0].content, policy=email.policy.default)
    images = [part for part in read.walk() if part.get_content_type() == "image/png"]
    assert len(images) == (2 if source == "attached" else 0)
    assert all(one.get_content().startswith(b"\x89PNG") for one in images)
    client = TestClient(application(database, config, clock=lambda: MONDAY), base_url="http://localhost:8000")
    answer = client.get(f"/p/{names[0]}.png")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    for path in ("/newsletters/daily", "/subscribe/daily"):
        page = client.get(path)
        assert page.status_code == 200
        shown = fromstring(page.text).xpath("//img[starts-with(@class, 'logo')]")[0]
        assert (shown.get("alt"), shown.get("width"), shown.get("height")) == ("Daily", "300", "60")
        assert client.get(shown.get("src").removeprefix("/digest")).headers["content-type"] == "image/png"
        assert 'media="(prefers-color-scheme: dark)"' in page.text and "News of lakes" in page.text
    archived = client.get("/newsletters/daily/editions/1").text
    assert f"/p/{names[0]}" in archived and "cid:" not in archived
