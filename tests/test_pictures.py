"""Pictures of stories: which is taken, what is made of it, and that no mail or page asks a stranger for one."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import cache
from io import BytesIO
from random import Random
from typing import Any

import pytest
import test_collect
from people import enrol
from PIL import Image
from sqlmodel import select
from test_collect import MONDAY, Reply, Site, add, run

from digest import collect, line
from digest.config import Config, from_values
from digest.curate.pictures import candidates, possible
from digest.edition.compose import compose
from digest.models import Entry, Story, Variant
from digest.parse import pictures as looking
from digest.parse.pictures import Made, NotPicture, Raw
from digest.store import Database, pictures
from digest.store.picture_tables import EntryPicture

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


def settings(site: Site, *, images: str = "all", source: str = "served", base: str = "", **more: Any) -> Config:
    values = {
        "database": "digest.db",
        "base_url": base or "https://news.example/digest",
        "secret_key": "0123456789abcdef",
        "collect": {"allow_private_addresses": True, "contact": "https://news.example/", "host_gap_seconds": 0},
        "curate": {"newest_of_new_feed": 40, "settle_minutes": 0, "per_feed": 40, "per_topic": 40},
        "newsletters": {
            "daily": {"title": "Daily", "from": "news@example.org", "images": images, "image_source": source}
        },
    }
    return from_values(values | more, test_collect.Path("digest.toml"), environment=False)


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


def mail(database: Database, config: Config, at: datetime = MONDAY) -> Variant:
    with database.write() as session:
        enrol(session, "ada@example.org")
    with database.write() as session:
        composed = compose(session, "daily", config, now=at)
        assert composed.letters == 1, composed.why
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
        ids = list(session.exec(select(Story.id)))
        assert pictures.of_stories(session, ids) == {}


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
    config = settings(site, pictures={"per_run": 2})
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
