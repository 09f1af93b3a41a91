"""Pictures of stories: which is taken, what is made of it, and that no mail or page asks a stranger for one."""

from __future__ import annotations

import asyncio
import dataclasses
import email
import email.policy
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import dkim
import httpx
import pytest
import sqlalchemy as sa
import test_collect
import test_letter
import test_render
import uvicorn
from lxml.html import fromstring
from mailing import MARKS
from people import enrol
from PIL import Image
from sqlmodel import select
from test_collect import MONDAY, Reply, Site, add, run

from digest import collect, deliver, edition, line
from digest.config import Config, from_values
from digest.curate.pictures import candidates, possible
from digest.edition import pictures as showing
from digest.edition.compose import compose
from digest.letter import Attached, Recipient, Sender, Signer, Template
from digest.models import Variant
from digest.parse import pictures as looking
from digest.parse.pictures import Made, NotPicture, Raw
from digest.render import Marker, Rendered, Templates, check
from digest.render.inline import inline
from digest.render.templates import template_folder
from digest.store import Database, pictures, stories
from digest.store.picture_tables import EntryPicture, PictureFile
from digest.store.story_tables import Entry
from digest.store.story_tables import Story as StoryRow
from digest.values import Picture, Shot, Story
from digest.web import application
from digest.web.guises import guise

site, database = test_collect.site, test_collect.database

HOUR = timedelta(hours=1)
JPEG = {"Content-Type": "image/jpeg"}


@cache
def picture(width: int, height: int, seed: int = 1, kind: str = "JPEG", **saved: Any) -> bytes:
    """Something to look at: patches of colour, another for each seed."""
    patches = Image.frombytes("RGB", (12, 9), Random(seed).randbytes(12 * 9 * 3))
    out = BytesIO()
    patches.resize((width, height), Image.Resampling.BICUBIC).save(out, kind, **saved)
    return out.getvalue()


def made(body: bytes, url: str = "https://a.example/p.jpg") -> Made:
    return looking.read(Raw(body, url))


def opened(file: looking.File) -> Image.Image:
    return Image.open(BytesIO(file.data))


def refused(body: bytes, url: str = "https://a.example/p.jpg") -> str:
    with pytest.raises(NotPicture) as caught:
        made(body, url)
    return caught.value.reason


def settings(
    site: Site, *, images: str = "all", source: str = "served", base: str = "", theme: str = "paper", **more: Any
) -> Config:
    values: dict[str, Any] = {
        "database": "digest.db",
        "base_url": base or "https://news.example/digest",
        "secret_key": "0123456789abcdef",
        "collect": {
            "allow_private_addresses": True,
            "contact": "https://news.example/",
            "host_gap_seconds": 0,
            "parse_seconds": 120,
        },
        "pictures": {"seconds": 600},
        "curate": {"newest_of_new_feed": 40, "settle_minutes": 0, "per_feed": 40, "per_topic": 40},
        "newsletters": {
            "daily": {
                "title": "Daily",
                "from": "a@news.example",
                "images": images,
                "image_source": source,
                "theme": theme,
            }
        },
    }
    return from_values(values | more, Path("digest.toml"), environment=False)


def item(site: Site, number: int, *inside: str, text: str = "") -> str:
    words = f"Story number {number} about {('lakes', 'rivers', 'bridges', 'towers')[number % 4]} {number}"
    return (
        f"<item><title>{words}</title><guid>{number}</guid><link>{site.base}/{number}</link>"
        f"<description><![CDATA[{text or f'What number {number} tells at length to whoever reads.'}]]></description>"
        f"<pubDate>{format_datetime(MONDAY - timedelta(minutes=number))}</pubDate>{''.join(inside)}</item>"
    )


def feed(*items: str) -> bytes:
    names = 'xmlns:media="http://search.yahoo.com/mrss/"'
    return f'<rss version="2.0" {names}><channel><title>Gazette</title>{"".join(items)}</channel></rss>'.encode()


def media(site: Site, path: str, name: str = "content", more: str = 'medium="image"') -> str:
    url = path if "://" in path else site.base + path
    return f'<media:{name} url="{url}" {more}/>'


def collected(database: Database, site: Site, config: Config, *items: str, at: datetime = MONDAY) -> None:
    site.pages["/feed"] = Reply(feed(*items))
    if at == MONDAY:
        add(database, site.base + "/feed")
    run(database, config, now=at, force=True)
    line.admit(database, config, "daily", now=at)


def found(database: Database, config: Config, at: datetime = MONDAY) -> collect.PictureReport:
    return line.pictures(database, config, "daily", clock=lambda: at)


def of(database: Database, number: int) -> EntryPicture:
    with database.read() as session:
        entry = session.exec(select(Entry).where(Entry.title.startswith(f"Story number {number} "))).one()
        return session.exec(select(EntryPicture).where(EntryPicture.entry_id == entry.id)).one()


def mail(database: Database, config: Config, at: datetime = MONDAY, letters: int = 1) -> Variant:
    with database.write() as session:
        enrol(session, "ada@example.org")
    with database.write() as session:
        composed = compose(session, "daily", config, now=at)
        assert composed.letters == letters, composed.why
    with database.read() as session:
        return session.exec(select(Variant).order_by(Variant.id.desc())).first()


# ---------------------------------------------------------------- what a picture is


def test_a_picture_becomes_a_hero_and_two_squares_of_bounded_bytes():
    one = made(picture(1600, 900))
    assert one.hero is not None
    assert [(f.width, f.height) for f in (one.hero, one.thumb, one.small)] == [(1040, 585), (192, 192), (96, 96)]
    assert len(one.hero.data) <= looking.HERO_BYTES and len(one.thumb.data) <= looking.THUMB_BYTES
    assert re.fullmatch("#[0-9a-f]{6}", one.ground)
    assert len(one.hero.name) == 64 and one.hero.name != one.thumb.name


@pytest.mark.parametrize(
    ("width", "height", "shape"), [(1200, 3000, 4 / 3), (3600, 1000, 21 / 9), (900, 900, 4 / 3), (1600, 1000, 1.6)]
)
def test_portraits_and_panoramas_are_cut_to_a_shape_that_can_be_read_past(width, height, shape):
    hero = made(picture(width, height)).hero
    assert hero is not None and hero.width / hero.height == pytest.approx(shape, abs=0.01)


def test_few_pixels_are_never_blown_up():
    one = made(picture(400, 300))
    assert one.hero is None and one.thumb.width == 192
    assert made(picture(130, 110)).thumb.width == 110
    assert made(picture(700, 500)).hero.width == 700


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (picture(1, 1, kind="GIF"), "tracking dot"),
        (picture(800, 2, kind="PNG"), "tracking dot"),
        (picture(64, 64, kind="PNG"), "icon"),
        (picture(728, 90, kind="PNG"), "strip"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='900' height='900'/>", "SVG"),
        (b"<!doctype html><title>Not found</title>", "a web page"),
        (b"", "0 bytes"),
        (picture(600, 400)[:700], "broken"),
        (b"\x89PNG\r\n\x1a\n" + bytes(90), "is no picture|is broken"),
    ],
)
def test_what_is_no_picture_of_a_story_is_refused_in_words(body, why):
    assert re.search(why, refused(body))


def test_placeholders_logos_and_what_is_cut_out_are_refused():
    plain, out = Image.new("RGB", (800, 500), "#d8d8d8"), BytesIO()
    plain.save(out, "PNG")
    assert "one colour" in refused(out.getvalue())
    for name in ("/img/logo-2x.png", "/no-image.png", "/apple-touch-icon.png", "/assets/placeholder.jpg"):
        assert "by its name" in refused(picture(300, 250), f"https://a.example{name}")
    assert made(picture(1200, 700), "https://a.example/new-logo-of-the-town.jpg").hero is not None
    cut, out = Image.new("RGBA", (600, 600), (0, 0, 0, 0)), BytesIO()
    cut.paste(Image.open(BytesIO(picture(300, 300))), (0, 0))
    cut.save(out, "PNG")
    assert "transparent" in refused(out.getvalue())


def test_a_bomb_costs_one_sentence_and_is_never_unpacked():
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side in (5_000, 30_000, 100_000):
        head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        bomb = (
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
        )
        assert "million pixels" in refused(bomb)


def test_copies_are_turned_as_the_camera_said_and_tell_nothing_else():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x9286] = 6, "Secretive Cameras", "in my garden"
    body = picture(1200, 800, exif=exif.tobytes(), comment="Secretive words")
    one = made(body)
    assert (one.width, one.height) == (800, 1200)  # as it is seen
    for file in (one.hero, one.thumb, one.small):
        assert file is not None and b"Secretive" not in file.data and b"garden" not in file.data
        assert not opened(file).getexif() and not {"exif", "comment", "icc_profile", "xmp"} & set(opened(file).info)


def test_of_what_moves_the_first_picture_is_shown_and_every_usual_format_is_read():
    frames = [Image.open(BytesIO(picture(600, 400, seed=n))).convert("P") for n in (1, 2)]
    out = BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], loop=0)
    moving, still = made(out.getvalue()), made(picture(600, 400, seed=1))
    assert moving.print == still.print
    for kind in ("PNG", "WEBP", "AVIF"):
        assert made(picture(600, 400, kind=kind)).format == kind
    for mode in ("L", "CMYK", "P", "1", "LA", "I;16"):
        out = BytesIO()
        image = Image.open(BytesIO(picture(600, 400)))
        image = image.convert("L").convert("I;16") if mode == "I;16" else image.convert(mode)
        image.save(out, "JPEG" if mode == "CMYK" else "PNG")
        with Image.open(BytesIO(made(out.getvalue()).thumb.data)) as copy:
            assert (copy.format, copy.mode) == ("JPEG", "RGB")


def test_the_same_picture_has_the_same_print_at_any_size():
    assert made(picture(1200, 800)).print == made(picture(600, 400)).print
    assert made(picture(1200, 800)).print != made(picture(1200, 800, seed=2)).print


# ---------------------------------------------------------------- which may be one


def test_trackers_and_what_is_no_picture_are_not_even_asked_for():
    for url in (
        "https://pixel.wp.com/b.gif?v=1", "http://feeds.feedburner.com/~r/x/~4/y", "https://a.example/spacer.gif",
        "https://secure.gravatar.com/avatar/1.jpg", "https://a.example/p.svg", "data:image/png;base64,AAAA",
        "//a.example/x.jpg", "javascript:alert(1)", "https://a.example/counter.php", "https://a.example/i/1x1.gif",
        "https://a.example/" + "x" * 2_000 + ".jpg", "https://[bad/x.jpg", "file:///etc/passwd", "",
    ):  # fmt: skip
        assert not possible(url), url
    for url in (
        "https://a.example/news/2026/pixels-of-light/lake.jpg",
        "http://a.example/i?id=7",
        "https://a.example/1.png",
    ):
        assert possible(url), url


def test_what_a_feed_declares_goes_before_what_stands_in_its_text():
    text = '<p><img src="https://a.example/tiny.png" width="16" height="16"><img src="https://a.example/in-text.jpg?a=1&amp;b=2"></p>'
    enclosed = [
        {"url": "https://a.example/film.mp4", "type": "video/mp4"},
        {"url": "https://a.example/big.jpg", "type": "image/jpeg"},
    ]
    assert candidates("https://a.example/thumb.jpg", enclosed, [text], "https://a.example/og.jpg") == (
        "https://a.example/big.jpg",
        "https://a.example/og.jpg",
        "https://a.example/thumb.jpg",
        "https://a.example/in-text.jpg?a=1&b=2",
    )
    assert candidates("https://a.example/logo.jpg", [], [], repeated={"https://a.example/logo.jpg"}) == ()


# ---------------------------------------------------------------- asking


def test_each_picture_is_asked_for_once_and_the_best_of_an_entry_is_taken(database, site):
    config = settings(site)
    site.pages |= {
        "/thumb.jpg": Reply(picture(240, 135, seed=3), headers=JPEG),
        "/big.jpg": Reply(picture(1400, 900, seed=4), headers=JPEG),
        "/c.png": Reply(picture(1, 1, kind="PNG")),
        "/other.jpg": Reply(picture(300, 200, seed=5)),
    }
    text = f'Words of the entry. <img src="{site.base}/c.png"> <img src="{site.base}/other.jpg">'
    collected(
        database,
        site,
        config,
        item(site, 1, media(site, "/thumb.jpg", "thumbnail", 'width="240"'), media(site, "/big.jpg")),
        item(site, 2, text=text),
        item(site, 3),
    )
    report = found(database, config)
    assert (report.wanted, report.asked, report.taken, report.none) == (2, 3, 2, 0)
    one, two = of(database, 1), of(database, 2)
    assert (one.url, one.width, one.hero_width, one.hero != "") == (site.base + "/big.jpg", 1400, 1040, True)
    assert (two.url, two.hero) == (site.base + "/other.jpg", "")
    assert [why for _url, why in two.tried] == ["is a tracking dot, 1 × 1", ""]
    with database.read() as session:
        told = [edition.explain(session, story)["picture"] for story in session.exec(select(StoryRow))]
    assert any(f"{site.base}/big.jpg, 1400 × 900, read" in words for words in told)
    assert any("/c.png is a tracking dot, 1 × 1" in words for words in told) and "none: it was not asked for" in told
    assert sorted(site.paths()[1:]) == ["/big.jpg", "/c.png", "/other.jpg", "/robots.txt"]  # no thumb.jpg: enough
    assert found(database, config, MONDAY + HOUR).asked == 0


def test_a_picture_of_several_entries_is_asked_for_once_and_later_conditionally(database, site):
    config = settings(site)
    site.pages["/same.jpg"] = Reply(picture(900, 600, seed=6), headers=JPEG | {"ETag": '"v1"'})
    first = item(site, 1, media(site, "/same.jpg"))
    collected(database, site, config, first)
    found(database, config)
    collected(database, site, config, first, item(site, 2, media(site, "/same.jpg")), at=MONDAY + HOUR)
    assert found(database, config, MONDAY + HOUR).taken == 1
    assert site.paths().count("/same.jpg") == 1
    later = MONDAY + timedelta(days=10)
    with database.write() as session:
        session.delete(session.exec(select(EntryPicture).order_by(EntryPicture.entry_id.desc())).first())
    assert found(database, config, later).taken == 1
    [headers] = [headers for path, headers in site.asked if path == "/same.jpg"][1:]
    assert headers["if-none-match"] == '"v1"'
    assert of(database, 1).hero == of(database, 2).hero != ""


def test_what_a_site_gives_to_each_entry_at_another_address_and_size_is_not_taken(database, site):
    config = settings(site)
    for number in range(1, 6):
        site.pages[f"/og-{number}.jpg"] = Reply(picture(600 + 100 * number, (600 + 100 * number) * 2 // 3, seed=7))
    items = [item(site, n, media(site, f"/og-{n}.jpg")) for n in range(1, 6)]
    collected(database, site, config, *items)
    found(database, config)
    with database.read() as session:
        told = [stories.told(session, story) for story in session.exec(select(StoryRow))]
        assert len(told) == 5 and pictures.of_stories(session, told) == {}


def test_robots_txt_bounds_and_refusals_are_heard_and_what_passes_is_tried_again(database, site):
    config = settings(site)
    site.pages |= {
        "/robots.txt": Reply(b"User-agent: *\nDisallow: /private/\n"),
        "/private/a.jpg": Reply(picture(900, 600)),
        "/large.jpg": Reply(bytes(9_000_000)),
        "/broken.jpg": Reply(status=503),
        "/away.jpg": Reply(status=302, headers={"Location": "/private/a.jpg"}),
    }
    paths = ("/private/a.jpg", "/large.jpg", "/broken.jpg", "/away.jpg", "/gone.jpg")
    collected(database, site, config, *(item(site, n, media(site, path)) for n, path in enumerate(paths, 1)))
    assert found(database, config).none == 5
    told = [of(database, n).tried[0][1] for n in range(1, 6)]
    assert "robots.txt" in told[0] and "larger than 8 MB" in told[1] and "503" in told[2] and "robots.txt" in told[3]
    assert "404" in told[4] and "/private/a.jpg" not in site.paths()
    site.pages["/broken.jpg"] = Reply(picture(900, 600, seed=8))
    assert found(database, config, MONDAY + 2 * HOUR).taken == 1
    assert site.paths().count("/gone.jpg") == 1


def test_private_addresses_are_refused_for_pictures_as_for_feeds(database, site):
    config = settings(site)
    collected(database, site, config, item(site, 1, media(site, "http://10.0.0.7/a.jpg")))
    guarded = config.model_copy(
        update={"collect": config.collect.model_copy(update={"allow_private_addresses": False})}
    )
    assert found(database, guarded).none == 1
    assert "private" in of(database, 1).tried[0][1]


def test_so_many_are_asked_for_in_a_run_and_the_rest_in_the_next(database, site):
    config = settings(site, pictures={"per_run": 2, "seconds": 600})
    for number in range(1, 6):
        site.pages[f"/{number}.jpg"] = Reply(picture(900, 600, seed=20 + number))
    collected(database, site, config, *(item(site, n, media(site, f"/{n}.jpg")) for n in range(1, 6)))
    asked = [found(database, config, MONDAY + n * HOUR).asked for n in range(4)]
    assert asked == [2, 2, 1, 0]


def test_without_images_nobody_is_asked_and_with_the_lead_alone_few(database, site):
    for number in range(1, 9):
        site.pages[f"/{number}.jpg"] = Reply(picture(900, 600, seed=30 + number))
    config = settings(site, images="none")
    collected(database, site, config, *(item(site, n, media(site, f"/{n}.jpg")) for n in range(1, 9)))
    assert found(database, config).wanted == 0
    assert found(database, settings(site, images="lead")).wanted == 3
    assert found(database, settings(site)).wanted == 5


# ---------------------------------------------------------------- in the mail

EVIL = "https://evil.example"
HOSTILE = (
    f'<p style="background:url({EVIL}/css.png)">Words <img srcset="{EVIL}/set.png 2x" src="//evil.example/r.png">'
    f'<img src="data:image/png;base64,AAAA"><img src="{EVIL}/v.svg"><table background="{EVIL}/bg.png"><td>x</table>'
    f'<picture><source srcset="{EVIL}/source.webp"><img src="{EVIL}/inner.jpg"></picture><video poster="{EVIL}/f.jpg">'
    f'<input type=image src="{EVIL}/i.png"><link rel=stylesheet href="{EVIL}/s.css"><svg><image href="{EVIL}/i"/></svg>'
)
LOADS = ("src", "srcset", "background", "poster", "data", "lowsrc", "dynsrc", "xlink:href")


def loaded(html: str) -> set[str]:
    """The addresses that are asked for by who opens this."""
    found, styles = set(), ""
    for element in fromstring(html).iter():
        if isinstance(element.tag, str):
            found |= {value for name, value in element.attrib.items() if name in LOADS}
            found |= {element.get("href", "")} if element.tag in ("link", "image", "use") else set()
            styles += element.get("style", "") + (element.text or "" if element.tag == "style" else "")
    return found | set(re.findall(r"url\(([^)]*)|@import([^;]*)", styles))


def tags(html: str) -> list[str]:
    return re.findall(r"<img\b(?:[^>\"]|\"[^\"]*\")*>", html)


def hostile(database: Database, site: Site, config: Config) -> None:
    """Two stories with a picture, and what strangers write around it."""
    site.pages |= {f"/{n}.jpg": Reply(picture(600, 400, seed=60 + n), headers=JPEG) for n in (1, 2)}
    evil = (f"{EVIL}/a.jpg", "//evil.example/b.jpg", f"{EVIL}/c.svg", "data:image/gif;base64,R0lGODlhAQABAAAAACw=")
    items = [item(site, n, media(site, f"/{n}.jpg"), text=f"{HOSTILE} of {n}") for n in (1, 2)]
    items += [item(site, n, media(site, url) if "://" in url else "", text=HOSTILE) for n, url in enumerate(evil, 3)]
    items[0] = items[0].replace("<title>", '<title>"&gt;&lt;img src="cid:x"&gt; ')
    collected(database, site, config, *items)

    async def nowhere(host: str, _port: int) -> list[str]:
        return ["127.0.0.1"] if host == "127.0.0.1" else []

    wanted = edition.wanting_pictures(database, "daily", config, now=MONDAY)
    read = collect.read_pictures(database, config, wanted, clock=lambda: MONDAY, seconds=600, most=99, resolve=nowhere)
    assert asyncio.run(read).taken == 2


@pytest.mark.parametrize("source", ["served", "attached"])
@pytest.mark.parametrize("theme", ["paper", "compact"])
def test_a_mail_of_hostile_feeds_loads_nothing_from_elsewhere(database, site, source, theme):
    config = settings(site, source=source, theme=theme)
    hostile(database, site, config)
    variant = mail(database, config)
    ours = re.compile(
        r"https://news\.example/digest/p/[0-9a-f]{64}\.jpg" if source == "served" else "cid:[0-9a-f]{64}@pictures"
    )
    assert loaded(variant.html), "no picture at all"
    assert [url for url in loaded(variant.html) if not ours.fullmatch(url)] == []
    assert "/1.jpg" not in variant.html and "evil.example" not in "".join(tags(variant.html))
    assert sorted(variant.attached) == ([] if source == "served" else sorted(url[4:68] for url in loaded(variant.html)))


def test_a_hero_is_linked_and_has_its_size_its_words_and_its_ground_once(database, site):
    config = settings(site)
    hostile(database, site, config)
    variant = mail(database, config)
    tag, thumb = tags(variant.html)
    assert 'width="96" height="96"' in thumb and 'alt=""' in thumb
    names = re.findall(r"\s([a-z-]+)=", re.sub(r'"[^"]*"', '""', tag))
    assert sorted(names) == ["alt", "class", "height", "src", "style", "width"]
    assert 'width="520"' in tag and 'height="347"' in tag and "height:auto" in tag
    around = variant.html[: variant.html.index(tag)]
    assert re.search(rf'<a class="open" href="{re.escape(site.base)}/\d"[^>]*>$', around)
    assert re.search(r'<td class="frame"[^>]*bgcolor="#[0-9a-f]{6}"[^>]*><a [^>]*>$', around)
    [alt] = re.findall(r'alt="([^"]*)"', tag)
    assert alt and alt in variant.html.replace(tag, "").replace("\xa0", " ")


def test_images_of_all_stories_or_of_the_lead_or_none_and_an_own_address_of_a_newsletter(database, site):
    hostile(database, site, settings(site))
    shown = {}
    for images in ("none", "lead", "all"):
        config = settings(site, images=images)
        with database.read() as session:
            page = edition.preview(session, "daily", config, now=MONDAY).page
        shown[images] = [(bool(s.picture.hero), bool(s.picture.thumb), s.image_url) for s in page.stories]
    nothing = (False, False, "")
    assert shown["none"] == [nothing] * 6
    assert shown["lead"] == [(True, True, ""), *[nothing] * 5]
    assert sorted(shown["all"]) == [nothing] * 4 + [(True, True, "")] * 2


def test_where_nobody_can_be_served_letters_bring_their_pictures_along():
    def attaches(base: str, source: str = "") -> bool:
        config = settings(Site.__new__(Site), source=source, base=base)
        return config.attaches("daily")

    for base in (
        "http://localhost:8000",
        "http://news.example",
        "https://127.0.0.1",
        "https://box.local",
        "https://nas",
    ):
        assert attaches(base), base
    assert not attaches("https://news.example/digest")
    assert attaches("https://news.example", "attached") and not attaches("http://localhost:8000", "served")


def story_with(number: int, *, heavy: bool = True) -> Story:
    bytes_ = (
        {"hero": 120_000, "thumb": 18_000, "small": 7_000} if heavy else {"hero": 9_000, "thumb": 900, "small": 300}
    )
    shots = {
        name: Shot(
            f"{number:03d}{name:_<5}".encode().hex().ljust(64, "0"),
            520 if name == "hero" else 96,
            96,
            "#123456",
            bytes=size,
        )
        for name, size in bytes_.items()
    }
    return dataclasses.replace(test_render.story(number), picture=Picture(**shots))


THUMBS = """<p>{{ page.unsubscribe_url }}</p><img src="{{ page.lead.picture.hero.src if page.lead.picture.hero }}">
{% for story in page.stories[1:] %}{% if story.picture.thumb %}<img src="{{ story.picture.thumb.src }}">{% endif %}
{% endfor %}"""


def test_a_mail_that_brings_pictures_along_has_500_kb_at_most(tmp_path):
    (tmp_path / "edition.html").write_text(THUMBS)
    render = partial(Templates(tmp_path, at_home=True).render, subject="Hello")
    for count, heavy in ((40, True), (12, True), (40, False)):
        page = test_render.page(*(story_with(n, heavy=heavy) for n in range(1, count + 1)))
        page, rendered = showing.rendered(page, render, "all", attached=True)
        names = set(showing.named(rendered.html, page))
        shots = (shot for s in page.stories for shot in (s.picture.hero, s.picture.thumb, s.picture.small) if shot)
        sizes = {shot.name: shot.bytes for shot in shots}
        attached = [Attached(name, bytes(sizes[name])) for name in names]
        letter = Template(rendered, Sender("a@example.org", MONDAY), attached=attached).fill(
            Recipient("b@example.org", "B", dict.fromkeys(Marker, "https://news.example/" + "x" * 150)),
            mail_from="a@example.org",
            message_id="<1@example.org>",
        )
        assert letter.size <= 500_000
        assert page.lead.picture.hero is not None
        assert len(names) == (count if not heavy or count == 12 else len(names)) and len(names) > 10


def test_a_letter_with_pictures_is_whole_signed_and_shows_them():
    pem, record = test_letter.rsa_key()
    signer = Signer(pem, domain="news.example", selector="s1")
    jpeg = [made(picture(900, 600, seed=n)).thumb for n in (80, 81)]
    attached = [Attached(file.name, file.data) for file in jpeg]
    shown = "".join(f'<img src="cid:{file.name}@pictures" width="96" alt="">' for file in jpeg)
    leave = MARKS.address(Marker.UNSUBSCRIBE)
    rendered = Rendered("Hello", f'<p>{shown}<a href="{leave}">x</a></p>', f"Hello\n.dot\n{leave}\n", marks=MARKS)
    sender = Sender("Daily <a@news.example>", MONDAY, newsletter="daily", number=3)
    template = Template(rendered, sender, signers=[signer], attached=attached)
    links = dict.fromkeys(Marker, "https://news.example/leave/1")
    letter = template.fill(
        Recipient("b@example.org", "B", links), mail_from="a@news.example", message_id="<1@news.example>"
    )
    assert letter.size == len(letter.content)
    assert dkim.verify(letter.content, dnsfunc=lambda name, timeout=5: record)
    assert all(len(line) <= 998 for line in letter.content.split(b"\r\n")) and b"\n" not in letter.content.replace(
        b"\r\n", b""
    )
    read = email.message_from_bytes(letter.content, policy=email.policy.default)
    assert [part.get_content_type() for part in read.walk()] == [
        "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/jpeg", "image/jpeg",
    ]  # fmt: skip
    assert not read.defects and not [defect for part in read.walk() for defect in part.defects]
    images = [part for part in read.walk() if part.get_content_type() == "image/jpeg"]
    assert [part.get_content() for part in images] == [file.data for file in jpeg]
    cids = [f"cid:{part['Content-ID'][1:-1]}" for part in images]
    assert cids == [tag.split('"')[1] for tag in tags(read.get_body(("html",)).get_content())]
    # The bytes of a picture are the same object in the letters of all readers and variants.
    other = Template(rendered, sender, attached=attached).fill(
        Recipient("c@example.org", "C", links), mail_from="a@news.example", message_id="<2@news.example>"
    )
    assert {id(part) for part in letter.parts} & {id(part) for part in other.parts} >= {
        id(one.part) for one in attached
    }


def test_an_edition_goes_out_with_its_pictures_and_they_are_read_once(database, site, inbox):
    config = settings(site, source="attached", smtp={"url": inbox.url})
    hostile(database, site, config)
    with database.write() as session:
        for name in ("bob", "cyd"):
            enrol(session, f"{name}@example.org")
    variant = mail(database, config, letters=3)
    report = deliver.run(database, config, clock=lambda: MONDAY, rng=Random(1))
    assert report.sent == 3
    for message in inbox.messages:
        read = email.message_from_bytes(message.content, policy=email.policy.default)
        images = [part for part in read.walk() if part.get_content_type() == "image/jpeg"]
        for image, name in zip(images, variant.attached, strict=True):
            assert image["Content-ID"] == f"<{name}@pictures>"
            assert hashlib.sha256(image.get_content()).hexdigest() == name
        assert len(message.content) < 500_000


def test_a_letter_whose_picture_is_gone_goes_out_without_it(database, site, inbox):
    config = settings(site, source="attached", smtp={"url": inbox.url})
    hostile(database, site, config)
    mail(database, config)
    with database.write() as session:
        session.execute(sa.delete(PictureFile))
    assert deliver.run(database, config, clock=lambda: MONDAY, rng=Random(1)).sent == 1
    read = email.message_from_bytes(inbox.messages[0].content, policy=email.policy.default)
    assert [part.get_content_type() for part in read.walk()][-1] == "text/html"


# ---------------------------------------------------------------- on pages


@pytest.fixture
def served(database, site) -> Iterator[tuple[str, Variant, Config, Database]]:
    """An edition with a picture, as `digest serve` shows it, at an address of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = settings(site, base=base)
        hostile(database, site, config)
        variant = mail(database, config)
        app = application(database, config, clock=lambda: MONDAY + HOUR)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield base, variant, config, database
        server.should_exit = True
        thread.join()


def test_a_picture_is_served_for_good_and_what_is_not_there_is_not_found(served):
    base, variant, _config, database = served
    url = min(loaded(variant.html))
    answer = httpx.get(url)
    headers = answer.headers
    assert (answer.status_code, headers["content-type"]) == (200, "image/jpeg")
    assert hashlib.sha256(answer.content).hexdigest() == url[-68:-4]
    assert "immutable" in headers["cache-control"] and "max-age=31536000" in headers["cache-control"]
    assert headers["x-content-type-options"] == "nosniff" and "set-cookie" not in headers
    assert httpx.get(url, headers={"If-None-Match": headers["etag"]}).status_code == 304
    assert httpx.head(url).status_code == 200
    for other in (
        f"{base}/p/{'0' * 64}.jpg",
        f"{base}/p/{'0' * 63}.jpg",
        f"{base}/p/{'0' * 64}.png",
    ):
        gone = httpx.get(other)
        assert gone.status_code == 404 and "immutable" not in gone.headers["cache-control"]
    with database.write() as session:
        session.execute(sa.delete(PictureFile))
    assert httpx.get(url, headers={"If-None-Match": headers["etag"]}).status_code == 404


def pages_of(base: str, variant: Variant) -> list[str]:
    public = f"{base}/newsletters/daily"
    return [
        f"{base}/",
        public,
        f"{public}/editions/1",
        f"{base}/editions/daily/1/{variant.key}",
        f"{public}/topics/other",
    ]


def test_no_page_shows_or_may_load_a_picture_from_elsewhere(served):
    base, variant, _config, database = served
    # As a former release, and another service, had it.
    with database.write() as session:
        row = session.exec(select(Variant)).one()
        row.html = row.html.replace("<h2", f'{HOSTILE}<img alt="A lake" src="{EVIL}/a.jpg"><h2', 1)
        session.add(row)
    for url in pages_of(base, variant):
        answer = httpx.get(url)
        assert answer.status_code == 200, url
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "https:" not in policy
        assert "evil.example" not in "".join(tags(answer.text))
    assert re.search(r'<img[^>]* src="/p/[0-9a-f]{64}\.jpg"', httpx.get(pages_of(base, variant)[2]).text)
    assert "<span>A lake</span>" in httpx.get(pages_of(base, variant)[2]).text


def test_the_pages_of_a_mail_that_brings_its_pictures_along_are_served_them(served):
    base, variant, _config, database = served
    names = [url[-68:-4] for url in loaded(variant.html)]
    with database.write() as session:
        row = session.exec(select(Variant)).one()
        for name in names:
            row.html = row.html.replace(f"{base}/p/{name}.jpg", f"cid:{name}@pictures")
        session.add(row)
    shown = httpx.get(pages_of(base, variant)[2]).text
    assert names and all(f'src="/p/{name}.jpg"' in shown for name in names)
    with database.read() as session:
        html = session.exec(select(Variant)).one().html
    seen = edition.seen(database, html)
    assert 'src="data:image/jpeg;base64,' in seen and 'src="cid:' not in seen


# ---------------------------------------------------------------- what is kept


def test_copies_go_when_nobody_showed_them_for_long_or_there_are_too_many(database):
    with database.write() as session:
        for number in range(10):
            session.add(
                PictureFile(
                    name=f"{number:064d}", size=1_000, data=bytes(1_000), used_at=MONDAY - timedelta(days=20 * number)
                )
            )
    with database.write() as session:
        assert pictures.prune(session, now=MONDAY, days=150, most=10**9, limit=100) == 2
        assert pictures.prune(session, now=MONDAY, days=150, most=5_000, limit=2) == 2
        assert pictures.prune(session, now=MONDAY, days=150, most=5_000, limit=100) == 1
        assert pictures.prune(session, now=MONDAY, days=150, most=0, limit=100) == 4
        assert len(session.exec(select(PictureFile)).all()) == 1  # it was used this week


def test_what_stands_in_a_mail_counts_as_used(database, site):
    config = settings(site)
    hostile(database, site, config)
    later = MONDAY + timedelta(days=5)
    variant = mail(database, config, at=later)
    names = {url[-68:-4] for url in loaded(variant.html)}
    with database.read() as session:
        used = {row.name for row in session.exec(select(PictureFile)) if row.used_at == later}
    assert used == names and len(names) == 2  # the lead's, and a square beside the second


# ---------------------------------------------------------------- who looks


def test_a_mail_with_pictures_passes_its_checks_and_guises_show_it_blocked_or_not(database, site):
    for source in ("served", "attached"):
        config = settings(site, source=source)
        if source == "served":
            hostile(database, site, config)
        with database.read() as session:
            draft = edition.preview(session, "daily", config, now=MONDAY)
        assert [f for f in check(draft.rendered) if f.level != "ok" and f.check == "images"] == []
        assert [f for f in check(draft.rendered) if f.level == "error"] == []
        assert "src=" in tags(edition.seen(database, guise(draft.rendered, "desktop")))[0]
        blocked, beside = tags(edition.seen(database, guise(draft.rendered, "no-images")))
        assert ' src="' not in blocked + beside and 'width="520"' in blocked and "alt=" in blocked


def test_an_address_of_its_own_in_the_settings_of_all_holds_for_each_newsletter():
    both = from_values(
        {
            "database": "digest.db",
            "secret_key": "0123456789abcdef",
            "images": "none",
            "newsletters": {
                "a": {"title": "A", "from": "a@news.example"},
                "b": {"title": "B", "from": "b@news.example", "images": "all"},
            },
        },
        Path("digest.toml"),
        environment=False,
    )
    assert [paper.images for paper in both.newsletters.values()] == ["none", "all"]


def test_a_size_that_a_tag_says_itself_is_not_said_twice_nor_auto():
    html = (
        "<html><head><style>.p { width: 100%; max-width: 520px; height: auto } .q { width: 90px; height: 40px }</style>"
        '</head><body><img class="p" src="x" width="520" height="300" alt=""><img class="q" src="y" alt="">'
        '<img class="p" src="z" alt="width=">MORE</body></html>'
    )
    for whole in (html, html.replace("MORE", '<p style="color: red">its own</p>')):
        first, second, third = tags(inline(whole))
        for tag in (first, second, third):
            names = re.findall(r"\s([a-z-]+)=", re.sub(r'"[^"]*"', '""', tag))
            assert len(names) == len(set(names)), tag
            assert 'height="auto"' not in tag
        assert 'width="520"' in first and 'height="300"' in first
        assert 'width="90"' in second and 'height="40"' in second


def test_thumbnails_are_links_that_only_the_eye_sees_and_pass_the_checks(tmp_path):
    ours = (template_folder() / "base.html").read_text(encoding="utf-8")
    beside = "{{ pictures.thumb(story) }}{% block excerpt scoped %}"
    (tmp_path / "base.html").write_text(ours.replace("{% block excerpt scoped %}", beside))
    page = test_render.page(*(story_with(n) for n in range(1, 4)))
    render = partial(Templates(tmp_path, at_home=True).render, subject="What the council decided on Tuesday")
    _page, mail = showing.rendered(page, render, "all", attached=False)
    assert [f for f in check(mail) if f.level == "error"] == []
    tags_ = tags(mail.html)
    assert len(tags_) == 3 and all('alt="" ' in tag and 'width="96" height="96"' in tag for tag in tags_[1:])
    unseen = mail.html.replace(' aria-hidden="true"', "")
    assert [f.check for f in check(dataclasses.replace(mail, html=unseen)) if f.level == "error"] == ["links"]
