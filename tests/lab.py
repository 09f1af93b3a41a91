"""A lab of mail clients: what an edition looks like in each, as pictures to look at and as facts to compare.

    python tests/lab.py --out /tmp/look                  # all of it, in this machine's own typefaces
    python tests/lab.py --out /tmp/look arabic word      # what has these words in its name
    python tests/lab.py --out /tmp/look --greek demo     # in the tests' typeface, as the golden pictures are
    python tests/lab.py --write docs/mail.png            # the picture in the README

The tests (`tests/test_lab.py`) set all text in bars (`tests/greek.py`), so that nothing hangs on which fonts a machine
has, and compare with what stands in `tests/golden/lab`: facts of each look, and for some a small picture.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import chromium
import greek
from chromium import Chromium, Screen
from clients import CLIENTS
from PIL import Image, ImageChops

from digest.colours import contrast
from digest.demo.pictures import drawn
from digest.render import Page, Templates
from digest.render.shown import embedded
from digest.values import Picture, Shot, Story

GOLDEN = Path(__file__).parent / "golden" / "lab"
SUBJECT = "{{ newsletter.title }}: {{ lead.title }}"
THEMES = ("paper", "plain", "compact", "magazine")

ARABIC = (
    "قاعدة البيانات التي قالت الحقيقة متأخرة عشرة أجزاء من الألف من الثانية",
    "نسخ احتياطية لم يستعدها أحد قط ليست سوى إشاعة",
    "ما الذي يحدث في SQLite عندما يمتلئ القرص",
)
CHINESE = ("数据库副本说了实话，只是晚了十毫秒", "没有人恢复过的备份只是一个传言", "磁盘写满时 SQLite 会做什么")
GERMAN = (
    "Datenbankwiederherstellungszeitpunkt: was das Zusammenspiel der Sicherungen wirklich kostet",
    "Warum die Rechtsschutzversicherungsgesellschaft ihre Warteschlangen verlor",
    "Ein Kraftfahrzeughaftpflichtversicherungsvergleich, der nachts um drei ausfiel",
)
ENGLISH = (
    "Raft without the leader tax",
    "We searched our own build logs for secrets and found two hundred and fourteen of them",
    "The query planner is no enemy: reading a plan before it reads you",
)
MORE = {
    "en": "Reads that never touch the leader, measured for six weeks in three regions: what lease reads buy, and when.",
    "de": "Sechs Wochen lang in drei Rechenzentren gemessen: was eine Lesebestätigung kostet, und wer sie bezahlt.",
    "ar": "قراءات لا تمس القائد أبدا، مقيسة على مدى ستة أسابيع في ثلاث مناطق، وما الذي تشتريه فعلا.",
    "zh": "从不经过主节点的读取，在三个区域测量了六个星期：租约读取带来了什么，又在什么时候没有用处。",
}
TITLES = {"en": ENGLISH, "de": GERMAN, "ar": ARABIC, "zh": CHINESE}
NAMES = {"en": "The Distributed Daily", "de": "Der Verteilte Tag", "ar": "النشرة اليومية", "zh": "分布式日报"}
HEADINGS = {
    "en": ("Databases", "Security", "AI and data science", "Distributed systems"),
    "de": ("Datenbanken", "Sicherheit", "KI und Datenwissenschaft", "Verteilte Systeme"),
    "ar": ("قواعد البيانات", "الأمن", "الذكاء الاصطناعي", "الأنظمة الموزعة"),
    "zh": ("数据库", "安全", "人工智能与数据", "分布式系统"),
}


def made_up(count: int, language: str = "en", *, pictures: int = 0) -> Page:
    """An edition of so many stories, of which every so manieth has a picture (0: none)."""
    from test_render import page, story

    topics = ("databases", "security", "ai", "distributed")
    stories = [
        story(
            n,
            topic=topics[n % 4],
            title=TITLES[language][n % 3] + (f" ({n})" if n > 2 else ""),
            excerpt=MORE[language],
            language=language,
            source=f"{('Quorum Notes', 'Index Scan', 'Perimeter', 'Loss Curve')[n % 4]} {n % 7}",
            rank=500.0 - n,
        )
        for n in range(count)
    ]
    whole = page(
        *stories,
        language=language,
        title=NAMES[language],
        view_url="https://digest.example/editions/daily/7",
        postal_address="1 Example Street, 10115 Berlin",
    )
    named = dict(zip(topics, HEADINGS[language], strict=True))
    whole = replace(whole, sections=tuple(replace(s, title=named[s.slug]) for s in whole.sections))
    return dressed(whole, {s.id for s in stories if pictures and s.id % pictures == 0})


def demo() -> Page:
    import editions

    with tempfile.TemporaryDirectory() as folder:
        whole = editions.page_of(Path(folder), editions.demo_feeds(), max_stories=30)
    return dressed(whole, {story.id for story in (whole.lead, *whole.places.seconds[:2])})


EDITIONS = {
    "demo": demo,
    "one": lambda: made_up(1),
    "thirty": lambda: made_up(30),
    "two-hundred": lambda: made_up(200),
    "pictures": lambda: made_up(14, pictures=1),
    "arabic": lambda: made_up(12, "ar", pictures=2),
    "chinese": lambda: made_up(12, "zh", pictures=2),
    "german": lambda: made_up(12, "de", pictures=2),
}


def dressed(page: Page, ids: set[int]) -> Page:
    """With pictures for these stories: six in turn."""
    turn = {story.id: n for n, story in enumerate(story for story in page.stories if story.id in ids)}

    def of(story: Story) -> Story:
        if story.id not in turn:
            return story
        wide, square = (sha256(data).hexdigest() for data in _hills(turn[story.id] % 6))
        hero = Shot(wide, 520, 292, "#4a6076", "Hills before a sky", _SRC.format(wide), "#ffffff")
        thumb = Shot(square, 96, 96, "#4a6076", "", _SRC.format(square), "#ffffff")
        return replace(story, picture=Picture(hero, thumb, thumb))

    sections = tuple(replace(s, stories=tuple(map(of, s.stories))) for s in page.sections)
    return replace(page, lead=of(page.lead), sections=sections)


_SRC = "https://digest.example/p/{}.jpg"


@cache
def _hills(number: int) -> tuple[bytes, bytes]:
    """Over the column, and a square of that."""
    wide = Image.open(BytesIO(drawn(f"hills-{number}"))).reduce(2)
    square = wide.crop(((wide.width - wide.height) // 2, 0, (wide.width + wide.height) // 2, wide.height))
    files = BytesIO(), BytesIO()
    wide.save(files[0], "JPEG", quality=70)
    square.resize((192, 192)).save(files[1], "JPEG", quality=70)
    return files[0].getvalue(), files[1].getvalue()


@cache
def pictures() -> Mapping[str, bytes]:
    """The files of all that `dressed` shows, by name."""
    return {sha256(data).hexdigest(): data for number in range(6) for data in _hills(number)}


@cache
def edition(name: str) -> Page:
    return EDITIONS[name]()


@cache
def mail(name: str, theme: str) -> str:
    """The HTML part."""
    return Templates().render(replace(edition(name), theme=theme), subject=SUBJECT).html


DESK = Screen()


@dataclass(frozen=True)
class Look:
    """An edition in a theme, in a client, on a screen."""

    edition: str
    theme: str = "paper"
    client: str = "plain"
    screen: Screen = DESK

    @property
    def name(self) -> str:
        screen = f"{self.screen.width}{'-dark' if self.screen.dark else ''}{'-forced' if self.screen.forced else ''}"
        return f"{self.edition}-{self.theme}-{self.client}-{screen}"


# With a picture, every third in each run of the tests; the others with DIGEST_TESTS=long, by their facts alone.
FEW = (
    Look("demo"),
    Look("demo", screen=Screen(375, dark=True)),
    Look("demo", client="gmail", screen=Screen(forced=True)),
    Look("demo", client="word"),
    Look("demo", client="thunderbird"),
    Look("pictures", "magazine", "blocked", Screen(320)),
    Look("pictures", "magazine"),
    Look("pictures", "magazine", "gmail", Screen(375)),
    Look("arabic", client="gmail", screen=Screen(375)),
    Look("chinese", "plain", screen=Screen(375)),
    Look("german", "compact", screen=Screen(320)),
)
SCREENS = (
    ("plain", Screen()),
    ("plain", Screen(dark=True)),
    ("plain", Screen(375)),
    ("plain", Screen(320, dark=True)),
    ("blocked", Screen(375)),
    ("gmail", Screen(320)),
    ("gmail", Screen(forced=True)),
    ("webmail", Screen(375)),
    ("word", Screen()),
    ("thunderbird", Screen()),
    ("forwarded", Screen()),
)
OFTEN = (SCREENS[0], SCREENS[3], SCREENS[4], SCREENS[6], SCREENS[8])  # of these all themes


def looks() -> Iterator[Look]:
    """All of them: every edition in every client, and every theme."""
    yield from FEW
    for name in EDITIONS:
        for client, screen in SCREENS:
            for theme in THEMES if name in ("demo", "pictures") and (client, screen) in OFTEN else THEMES[:1]:
                if (look := Look(name, theme, client, screen)) not in FEW:
                    yield look


_FAMILY = re.compile(r"font-family:([^;\"}]*)")


def greeked(html: str) -> str:
    """Set in bars: in one kind where serifs are asked for, in another without, in a third where nothing is."""
    said = _FAMILY.sub(lambda m: m[0] if "Lab" in m[1] else f"font-family:{_bars(m[1])}", html)
    # No bar is moved or widened to whole pixels, as fonts are by the settings of some machines.
    rules = "*{text-rendering:geometricPrecision!important}html{font-family:'Lab Lost'}"
    return said.replace("<head>", f"<head><style>{greek.sheet()}{rules}</style>", 1)


def _bars(family: str) -> str:
    return "'Lab Sans'" if family.rstrip().endswith("sans-serif") else "'Lab Serif'"


def html(look: Look, *, bars: bool = True) -> str:
    """What a browser has to show for it."""
    seen = embedded(CLIENTS[look.client](mail(look.edition, look.theme)), pictures())
    return greeked(seen) if bars else seen


# ---------------------------------------------------------------- facts

PARTS = (
    "sheet", "bar", "dateline", "title", "sum", "index", "hero", "framing", "headline", "kicker", "meta", "opening",
    "also", "deck", "thumb", "beside", "band", "topic", "name", "excerpt", "saying", "brief", "line", "by", "names",
    "fine", "foot",
)  # fmt: skip
MEASURE = """(parts => { const found = {};
  for (const part of parts) {
    const all = [...document.querySelectorAll(`[class~="${part}"],[class~="m_7${part}"]`)].filter(e => e.offsetParent);
    if (!all.length) continue;
    const box = all[0].getBoundingClientRect(), style = getComputedStyle(all[0]);
    const lines = e => { const range = document.createRange(); range.selectNodeContents(e);
      const high = parseFloat(getComputedStyle(e).lineHeight) || 1e9;
      return Math.max(1, Math.round(range.getBoundingClientRect().height / high)); };
    found[part] = {n: all.length, box: [box.x, box.y, box.width, box.height].map(Math.round),
      lines: all.slice(0, 40).map(lines).reduce((a, b) => a + b, 0),
      font: style.fontFamily.replaceAll('"', '').split(',')[0] + ' ' + style.fontSize, side: style.textAlign};
    if (getComputedStyle(all[0]).direction == 'rtl') found[part].side += ' rtl';
  }
  const root = document.documentElement;
  const wide = [...document.body.querySelectorAll('*')].filter(e => e.offsetParent && e.getClientRects().length &&
    (e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1)).length;
  const small = [...document.querySelectorAll('a[class~="story"],a[class~="m_7story"],.jump,.foot,.m_7jump,.m_7foot')]
    .filter(e => e.getBoundingClientRect().height < 24).length;
  return {height: root.scrollHeight, overflow: Math.max(0, root.scrollWidth - innerWidth), wide, small, parts: found};
})"""
TEXTS = ("title", "sum", "headline", "kicker", "opening", "deck", "topic", "name", "excerpt", "line", "fine", "foot")


@dataclass(frozen=True)
class Seen:
    """A look as it came out: measures of its parts, and the picture of all of it."""

    facts: dict[str, Any]
    image: Image.Image


def seen(browser: Chromium, look: Look) -> Seen:
    browser.show(html(look), look.screen)
    return looked(browser, look.screen)


def looked(browser: Chromium, screen: Screen) -> Seen:
    """At what the browser shows."""
    facts = browser.evaluate(f"{MEASURE}({json.dumps(PARTS)})")
    image = browser.picture(screen)
    for name, part in facts["parts"].items():
        x, y, width, height = part["box"]
        area = (max(0, x), y, min(image.width, x + width), min(image.height, y + height, y + 120))
        if area[2] - area[0] > 1 and area[3] - area[1] > 1 and name not in ("hero", "thumb", "framing"):
            part["ground"], part["ink"] = _colours(image.crop(area))
    return Seen(facts, image)


def _colours(area: Image.Image) -> tuple[str, str]:
    """The two that cover most of it: ground and ink. What only softens the edges of another counts for none."""
    colours = area.getcolors(area.width * area.height) or []
    counted = sorted(((colour, count) for count, colour in colours), key=lambda one: -one[1])[:12]
    ground = counted[0][0]
    ink = next((c for c, _ in counted[1:] if max(abs(a - b) for a, b in zip(c, ground, strict=True)) > 24), ground)
    return hexed(ground), hexed(ink)


def hexed(colour: tuple[int, ...]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)


def unread(facts: Mapping[str, Any]) -> list[str]:
    """What of it can hardly be read: words that do not stand out, and what is wider than the screen."""
    wrong = [f"{facts['overflow']} px too wide"] if facts["overflow"] else []
    for name in TEXTS:
        part = facts["parts"].get(name)
        if part is None or "ink" not in part:
            continue
        pixels = float(part["font"].rpartition(" ")[2].removesuffix("px"))
        ratio = contrast(part["ink"], part["ground"])
        # The edge of a bar is softer than its middle, and of small ones there is little middle.
        if ratio < (3.0 if pixels >= 24 else 4.4):
            wrong.append(f"{name} {part['ink']} on {part['ground']} is {ratio:.1f}")
    return wrong


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """How two looks differ by more than a browser's next release would make of them."""
    found = [f"{key} {was[key]} → {now[key]}" for key in ("overflow", "small") if now[key] > was[key]]
    if not _near(was["height"], now["height"]):
        found.append(f"height {was['height']} → {now['height']}")
    for name in dict.fromkeys((*was["parts"], *now["parts"])):
        before, after = was["parts"].get(name), now["parts"].get(name)
        if before is None or after is None:
            found.append(f"{name} {'is gone' if after is None else 'is new'}")
            continue
        other = [key for key in ("n", "lines", "font", "side") if before[key] != after[key]]
        other += [key for key in ("ground", "ink") if not _alike(before.get(key, ""), after.get(key, ""))]
        found += [f"{name} {key} {before.get(key)} → {after.get(key)}" for key in other]
        if not all(map(_near, before["box"], after["box"])):
            found.append(f"{name} box {before['box']} → {after['box']}")
    return found


def _near(was: int, now: int) -> bool:
    return abs(was - now) <= 3 + abs(was) // 200


def _alike(was: str, now: str) -> bool:
    if not (was and now):
        return was == now
    return all(abs(int(was[n : n + 2], 16) - int(now[n : n + 2], 16)) <= 16 for n in (1, 3, 5))


KEYS = ("n", "lines", "box", "font", "side", "ink", "ground")


def told(facts: Mapping[str, Mapping[str, Any]]) -> str:
    """As JSON with a line for each part, so that a change can be read."""
    rows = []
    for name, one in sorted(facts.items()):
        head = {key: value for key, value in one.items() if key != "parts"}
        said = {part: [values.get(key, "") for key in KEYS] for part, values in one["parts"].items()}
        parts = ",\n".join(f" {json.dumps(part)}: {json.dumps(values)}" for part, values in said.items())
        rows.append(f'{json.dumps(name)}: {json.dumps(head)[:-1]}, "parts": {{\n{parts}}}}}')
    return "{\n" + ",\n".join(rows) + "\n}\n"


def known() -> dict[str, dict[str, Any]]:
    """What `told` has written, by the names of looks."""
    found: dict[str, dict[str, Any]] = json.loads((GOLDEN / "looks.json").read_text(encoding="utf-8"))
    for one in found.values():
        one["parts"] = {part: dict(zip(KEYS, values, strict=True)) for part, values in one["parts"].items()}
    return found


# ---------------------------------------------------------------- pictures

SCALE, TILE = 4, 8  # pixels of the look to one of the golden picture, and of that to a tile's side
SLIGHT, PLAIN, SHARE = 14, 48, 0.02


def small(image: Image.Image) -> Image.Image:
    return image.reduce(SCALE)


def kept(image: Image.Image, path: Path) -> None:
    """As a golden picture: small, and of few colours."""
    small(image).quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def tiles(was: Image.Image, now: Image.Image) -> tuple[float, Image.Image]:
    """The share of tiles whose mean colour is another, 1.0 where one plainly is; and what differs, as a picture."""
    width, height = min(was.width, now.width), min(was.height, now.height)
    pair = [one.convert("RGB").crop((0, 0, width, height)) for one in (was, now)]
    means = [one.reduce(TILE) for one in pair]
    apart = ImageChops.difference(*means)
    most = [max(pixel) for pixel in zip(*[iter(apart.tobytes())] * 3, strict=True)]
    share = sum(one > SLIGHT for one in most) / max(1, len(most))
    shown = apart.point(lambda value: min(255, value * 4)).resize((width, height), Image.Resampling.NEAREST)
    return (1.0 if max(most, default=0) > PLAIN else share), shown


# ---------------------------------------------------------------- to look at


def shown(words: Iterable[str], folder: Path, *, bars: bool) -> None:
    """Pictures of all looks whose names have these words."""
    wanted = [look for look in looks() if all(word in look.name.split("-") for word in words)]
    folder.mkdir(parents=True, exist_ok=True)
    with chromium.running() as browser:
        for look in wanted:
            browser.show(html(look, bars=bars), look.screen)
            path = folder / f"{look.name}.png"
            browser.picture(look.screen).save(path)
            print(path)


def written(path: Path) -> None:
    """The demo's first mail as it arrives: on a screen, and on a phone in the dark."""
    from conftest import MONDAY
    from typer.testing import CliRunner

    from digest.cli import app
    from digest.cli.nouns import Nouns

    list(Nouns({}).values())
    for name, module in list(sys.modules.items()):
        if name.startswith("digest.cli.") and hasattr(module, "now"):
            module.now = lambda: MONDAY  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder, chromium.running() as browser:
        done = CliRunner().invoke(app, ["demo", "--no-open", "--out", folder], catch_exceptions=False)
        if done.exit_code:
            raise SystemExit(done.output)
        page = (Path(folder) / "mail.html").read_text(encoding="utf-8")
        sides = []
        for screen in (Screen(680), Screen(375, dark=True)):
            browser.show(page, screen)
            sides.append(browser.picture(screen, 1320))
    whole = Image.new("RGB", (680 + 20 + 375, 1320), "#ffffff")
    for side, at in zip(sides, (0, 700), strict=True):
        whole.paste(side, (at, 0))
    whole.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1000} kB")


def main() -> None:
    options = argparse.ArgumentParser(description="Look at the mail in many clients.")
    options.add_argument("words", nargs="*", help="of a look's name: edition, theme, client, width, dark, forced")
    options.add_argument("--out", type=Path, help="folder for the pictures")
    options.add_argument("--greek", action="store_true", help="in bars, as the tests set it")
    options.add_argument("--write", type=Path, metavar="PNG", help="the picture of the demo's mail")
    asked = options.parse_args()
    try:
        if asked.write:
            written(asked.write)
        elif asked.out:
            shown(asked.words, asked.out, bars=asked.greek)
        else:
            print("\n".join(look.name for look in looks()))
    except chromium.Missing as error:
        raise SystemExit(f"lab: {error}") from None


if __name__ == "__main__":
    main()
