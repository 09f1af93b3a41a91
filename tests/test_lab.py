"""What the mail looks like in its clients, and what it goes through on its way to them."""

from __future__ import annotations

import mailbox
import os
import pty
import re
import select
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser

import chromium
import lab
import pytest
import test_collect
import test_pictures
import thunderbird
from chromium import Chromium, Screen
from conftest import MONDAY
from lab import GOLDEN
from PIL import Image
from test_mail import FILLER
from test_render import page, story

from digest import render
from digest.colours import contrast
from digest.letter import Attached, Recipient, Sender, Template
from digest.render import HTML_LIMIT, Marker, Templates
from digest.values import Source

LONG = os.environ.get("DIGEST_TESTS") == "long"
WRITE = os.environ.get("DIGEST_GOLDEN") == "write"
site, database, served = test_collect.site, test_collect.database, test_pictures.served


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    try:
        with chromium.running() as running:
            yield running
    except chromium.Missing as why:
        pytest.skip(str(why))


# ---------------------------------------------------------------- how it looks


def test_the_mail_looks_in_each_client_as_it_did(browser, tmp_path):
    """DIGEST_GOLDEN=write DIGEST_TESTS=long pytest -n 0 tests/test_lab.py  writes all anew, for a change on purpose."""
    known = {} if WRITE and LONG else lab.known()
    wrong: list[str] = []
    for look in lab.looks() if LONG else lab.FEW if WRITE else lab.FEW[::3]:
        seen = lab.seen(browser, look)
        wrong += [f"{look.name}: {found}" for found in lab.unread(seen.facts)]
        if WRITE:
            known[look.name] = seen.facts
            if look in lab.FEW:
                lab.kept(seen.image, GOLDEN / f"{look.name}.png")
            continue
        found = lab.differences(known[look.name], seen.facts)
        if look in lab.FEW:
            was, now = Image.open(GOLDEN / f"{look.name}.png"), lab.small(seen.image)
            share, apart = lab.tiles(was, now)
            if share > lab.SHARE:
                found.append(f"{share:.0%} of the picture")
        if found:
            folder = tmp_path / look.name
            folder.mkdir()
            seen.image.save(folder / "now.png")
            if look in lab.FEW:
                was.resize((was.width * lab.SCALE, was.height * lab.SCALE)).save(folder / "was.png")
                apart.save(folder / "difference.png")
            wrong.append(f"{look.name} (pictures in {folder}): {'; '.join(found[:6])}")
    if WRITE:
        names = {look.name for look in lab.looks()}
        kept = {name: facts for name, facts in known.items() if name in names}
        (GOLDEN / "looks.json").write_text(lab.told(kept), encoding="utf-8")
    assert wrong == [], "\n".join(wrong)
    assert browser.asked() == [], "no mail asks anybody for anything"


def test_golden_pictures_are_those_of_the_looks_and_small():
    assert {path.stem for path in GOLDEN.glob("*.png")} == {look.name for look in lab.FEW}
    assert set(lab.known()) == {look.name for look in lab.looks()}
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < 600_000


CHANGES = (
    ("#a03a12", "#12a03a"),  # an accent
    ("padding-left:40px", "padding-left:20px"),
    ("font-size:27px", "font-size:24px"),
    ("font-family:Georgia,'Times New Roman',serif;", ""),
    ("max-width:600px", "max-width:900px"),
    ('align="left"', 'align="center"'),
    ("width:96px", "width:64px"),
)


@pytest.mark.long
def test_a_change_of_look_is_seen(browser):
    look = lab.FEW[0]
    known, html = lab.known()[look.name], lab.mail(look.edition, look.theme)
    for was, is_ in CHANGES:
        assert was in html
        browser.show(lab.greeked(lab.embedded(html.replace(was, is_), lab.pictures())), look.screen)
        assert lab.differences(known, lab.looked(browser, look.screen).facts), was


@pytest.mark.skipif(not LONG, reason="another browser: with DIGEST_TESTS=long")
def test_a_machine_with_one_font_and_no_settings_sees_the_same(browser, tmp_path):
    shutil.copy(dumped("fc-match", "-f", "%{file}", "monospace"), tmp_path)
    places = f"<dir>{tmp_path}</dir><cachedir>{tmp_path}</cachedir>"
    (tmp_path / "fonts.conf").write_text(f"<fontconfig>{places}</fontconfig>")
    look = lab.Look("pictures", "magazine")
    here = lab.seen(browser, look)
    with chromium.running(FONTCONFIG_FILE=str(tmp_path / "fonts.conf")) as other:
        there = lab.seen(other, look)
    assert lab.differences(here.facts, there.facts) == []
    assert lab.tiles(lab.small(here.image), lab.small(there.image))[0] == 0


def test_words_that_do_not_stand_out_are_seen_and_what_is_too_wide(browser):
    pale = (
        "<p class='fine' style=\"font:14px/20px 'Lab Sans';color:#b0b0b0;width:900px\">Who can read this in a mail?</p>"
    )
    browser.show(lab.greeked(f"<!doctype html><html><head></head><body>{pale}</body></html>"), Screen(375))
    said = " ".join(lab.unread(lab.looked(browser, Screen(375)).facts))
    assert "too wide" in said and "fine #b0b0b0 on #ffffff" in said


def test_two_pictures_are_the_same_but_for_what_a_reader_would_see():
    was = Image.new("RGB", (160, 400), "#ffffff")
    was.paste("#333333", (20, 40, 140, 60))
    now = was.copy()
    now.paste("#2a2a2a", (20, 40, 140, 60))
    assert lab.tiles(was, now)[0] <= lab.SHARE
    now.paste("#a03a12", (20, 100, 140, 120))
    assert lab.tiles(was, now)[0] > lab.SHARE


@pytest.mark.skipif(not LONG, reason="Thunderbird takes ten seconds to start: with DIGEST_TESTS=long")
@pytest.mark.parametrize("dark", [False, True])
def test_thunderbird_itself_shows_it(dark, tmp_path):
    """In the dark it sets aside what every mail says of colours: only pictures and borders are ours."""
    whole = Templates().render(lab.edition("demo"), subject=lab.SUBJECT)
    names = [name for name in lab.pictures() if name in whole.html]
    html = re.sub(r"https://digest\.example/p/(\w{64})\.jpg", r"cid:\1@pictures", whole.html)
    letter = posted(replace(whole, html=html), [Attached(name, lab.pictures()[name]) for name in names])
    (tmp_path / "letter.eml").write_bytes(letter)
    try:
        with thunderbird.running(dark=dark) as program:
            seen = program.letter(tmp_path / "letter.eml")
    except thunderbird.Missing as why:
        pytest.skip(str(why))
    seen["image"].save(tmp_path / "seen.png")
    assert seen["overflow"] <= 0 and "The Distributed Daily" in seen["text"] and "Unsubscribe" in seen["text"]
    assert len(seen["pictures"]) == 3 and all(natural and shown for natural, shown in seen["pictures"])
    ground = seen["image"].getpixel((5, 5))
    assert (ground == (244, 242, 236)) != dark
    title, link = (re.findall(r"\d+", seen[name]) for name in ("title", "link"))
    ratio = [contrast(lab.hexed(tuple(map(int, ink))), lab.hexed(ground)) for ink in (title, link)]
    assert min(ratio) > 7
    assert (title == link) != dark, "where it no longer paints links itself, clients.py has to follow"


# ---------------------------------------------------------------- what is asked for


@pytest.mark.long
def test_no_mail_and_no_page_asks_a_foreign_host_for_anything(browser, served):
    """Whatever Chromium asks for is written down; a name that is not of loopback would not be found either."""
    base, variant, _config, database = served
    evil = f'{test_pictures.HOSTILE}<img src="{test_pictures.EVIL}/a.jpg">'
    assert len(asked_by(browser, evil)) > 2, "what the watch sees, so that it can be trusted where it sees nothing"
    pictures = asked_by(browser, variant.html)
    assert pictures and all(url.startswith(f"{base}/p/") for url in pictures)
    public = f"{base}/newsletters/daily"
    pages = test_pictures.pages_of(base, variant)
    for url in (*pages, f"{public}/search?q=story", f"{public}/latest", f"{base}/subscribe/daily"):
        for screen in (Screen(1000), Screen(375, dark=True)):
            asked = asked_by(browser, url, screen)
            assert asked and all(one.startswith(f"{base}/") for one in asked), url
    # As a former release, and another service, had it.
    with database.write() as session:
        row = session.merge(variant)
        row.html = row.html.replace("<h2", f"{evil}<h2", 1)
    for url in pages[2:4]:
        asked = asked_by(browser, url)
        assert asked and all(one.startswith(f"{base}/") for one in asked), url


def asked_by(browser: Chromium, shown: str, screen: Screen = lab.DESK) -> list[str]:
    """The addresses that a mail, or the page at an address, lets a browser ask for."""
    browser.asked()
    if shown.startswith("http"):
        browser.go(shown, screen)
    else:
        browser.show(shown, screen)
    return browser.asked()


# ---------------------------------------------------------------- what inlining leaves

MEASURES = re.compile(r"(?:^|;)\s*(width|height|background-color|text-align)\s*:\s*([^;]+)")
SAME = {"width": "width", "height": "height", "background-color": "bgcolor", "text-align": "align"}


class Tags(HTMLParser):
    """What is wrong with the attributes of a document as it stands, before any browser mends it."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attributes]
        values = {name: value or "" for name, value in attributes}
        self.wrong += [f"<{tag}> has {name} twice" for name in set(names) if names.count(name) > 1]
        for name in ("width", "height"):
            if name in values and not re.fullmatch(r"[1-9]\d{0,3}%?", values[name]):
                self.wrong.append(f"<{tag} {name}={values[name]!r}>")
        if "bgcolor" in values and not re.fullmatch("#[0-9a-f]{6}", values["bgcolor"]):
            self.wrong.append(f"<{tag} bgcolor={values['bgcolor']!r}>")
        if values.get("align", "left") not in ("left", "right", "center"):
            self.wrong.append(f"<{tag} align={values['align']!r}>")
        style = values.get("style")
        if style is None:
            return
        said = [part.partition(":")[0].strip() for part in style.split(";")]
        self.wrong += [f"<{tag}> declares {name} twice" for name in set(said) if said.count(name) > 1]
        if not all(re.fullmatch(r"[a-z-]+", name) for name in said) or "!important" in style:
            self.wrong.append(f"<{tag} style={style!r}>")
        for name, value in MEASURES.findall(style):
            other = values.get(SAME[name])
            if other is not None and name in ("background-color", "text-align") and other != value.strip():
                self.wrong.append(f"<{tag}> is {name} {value} and {SAME[name]} {other}")


def test_no_tag_says_a_thing_twice_or_two_things_after_inlining():
    for name, theme in (("pictures", "magazine"), ("demo", "paper"), ("arabic", "paper"), ("german", "compact")):
        tags = Tags()
        tags.feed(lab.mail(name, theme))
        assert tags.wrong == [], name
    tags.feed(
        '<td width="1" width="2" height="0" bgcolor="red" style="color:#fff;color:#000;text-align:left" align="right">'
    )
    assert len(tags.wrong) == 5


# ---------------------------------------------------------------- the way there


LINKS = dict.fromkeys(Marker, "https://digest.example/u/" + "x" * 90)


def posted(mail: render.Rendered, attached: Sequence[Attached] = ()) -> bytes:
    """A letter as it goes out."""
    template = Template(mail, Sender("Daily <news@news.example>", MONDAY), attached=attached)
    reader = Recipient("ada@example.org", "Ada", LINKS)
    return template.fill(reader, mail_from="b@news.example", message_id="<1@news.example>").content


def from_the_first_word_on() -> bytes:
    words = "From here on it goes down. From there it goes up."
    stories = [story(n, title=f"Story number {n}", excerpt=words) for n in range(1, 5)]
    whole = page(*stories, note="From the first line on.\n\nFrom the second on.")
    return posted(Templates().render(whole, subject=lab.SUBJECT))


def test_an_mbox_gives_a_letter_back_as_it_was(tmp_path):
    """Who keeps mail in an mbox writes ">From " where a line begins with "From ", and a signature breaks."""
    content = from_the_first_word_on().replace(b"\r\n", b"\n")  # as it lies on a disk
    box = mailbox.mbox(tmp_path / "inbox")
    for _ in range(2):
        box.add(content)
    box.flush()
    assert b"\n>From" not in (tmp_path / "inbox").read_bytes()
    assert [box.get_bytes(n) for n in range(2)] == [content] * 2
    box.close()


def dumped(*command: str, **options: object) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} is installed here")
    return subprocess.run(command, capture_output=True, check=True, **options).stdout.decode()


@pytest.mark.parametrize("name", ["demo", "arabic"])
def test_w3m_shows_every_title_and_the_way_out(name):
    edition = lab.edition(name)
    said = dumped(
        "w3m", "-dump", "-cols", "78", "-T", "text/html", "-I", "UTF-8", "-O", "UTF-8", "-o", "display_image=0",
        input=lab.mail(name, "paper").encode(),
    )  # fmt: skip
    flat = re.sub(r"\s", "", said)
    assert edition.title in said
    assert all(re.sub(r"\s", "", one.title)[:20] in flat for one in (edition.lead, *edition.places.seconds))
    shown = [line for line in said.splitlines() if FILLER not in line]
    assert max(map(render.width, shown)) <= 80
    assert len(said.splitlines()) < 12 * len(edition.stories)


def test_mutt_shows_the_text_part(tmp_path):
    if shutil.which("mutt") is None:
        pytest.skip("no mutt is installed here")
    box = mailbox.mbox(tmp_path / "inbox")
    box.add(from_the_first_word_on())
    box.close()
    (tmp_path / "muttrc").write_text(
        f"set folder={tmp_path}\nset pipe_decode\nset wait_key=no\nset charset=utf-8\nset header_cache=''\nignore *\n"
        f'push "<display-message><pipe-message>cat > {tmp_path}/shown<enter><exit><exit>"\n'
    )
    command = ["mutt", "-R", "-n", "-F", str(tmp_path / "muttrc"), "-f", str(tmp_path / "inbox")]
    in_terminal(command, {"HOME": str(tmp_path), "TERM": "vt100", "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
    said = (tmp_path / "shown").read_text(encoding="utf-8")
    assert "Story number 1" in said and "https://site.example/1" in said and "<td" not in said
    assert "\nFrom here on" in said or "From here on it goes down" in " ".join(said.split())
    assert "Unsubscribe" in said


def in_terminal(command: list[str], environment: dict[str, str]) -> None:
    """Run a program that wants a terminal, until it ends."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, environment)
    try:
        while select.select([terminal], [], [], 60)[0] and os.read(terminal, 65_536):
            pass
    except OSError:
        pass  # the other end is closed
    os.close(terminal)
    os.waitpid(pid, 0)


# ---------------------------------------------------------------- how much it is

HOSTILE = (
    "W" * 400,
    "e" + "\u0301" * 300,
    "&<>\"'" * 60,
    "👩‍👩‍👧‍👦" * 60,
    "ﷺ" * 200,
    "\u202eback" * 40,
    "x" * 5 + "\u200b" * 400,
)


@pytest.mark.long
@pytest.mark.parametrize("theme", ["paper", "magazine"])
def test_a_mail_keeps_to_its_bound_whatever_strangers_say(theme):
    stories = [
        story(
            n,
            topic=f"topic-{n % 40}",
            title=f"{n} {HOSTILE[n % 7]}",
            excerpt=HOSTILE[(n + 1) % 7] * 3,
            source=HOSTILE[(n + 2) % 7],
            author=HOSTILE[(n + 3) % 7],
            url=f"https://site.example/{n}?" + "q=%26" * 100,
            also=tuple(Source(HOSTILE[(n + k) % 7], f"https://s{k}.example/{n}?" + "&" * 200) for k in range(5)),
            rank=900.0 - n,
        )
        for n in range(200)
    ]
    whole = page(*stories, theme=theme, note=" ".join(HOSTILE), view_url="https://digest.example/e", title="Daily")
    whole = lab.dressed(whole, {one.id for one in stories})
    mail = Templates().render(whole, subject=lab.SUBJECT)
    assert render.size(mail.html, mail.marks, whole.home) <= HTML_LIMIT <= 100_000
    assert mail.dropped and f"{len(mail.dropped)} more stories" in mail.html
    assert all(len(line) <= 998 for line in mail.text.splitlines())
