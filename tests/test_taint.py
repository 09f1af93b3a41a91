"""What a stranger, a reader or an editor says is text: nothing that our own code and templates know works in it.

Whatever stands in our sources is said in every field of feeds, names, notes and titles, and goes down the whole line.
The mail must have the shape of a mail that says something harmless of the same length, and no reader's token may
stand anywhere but where a template put it.
"""

from __future__ import annotations

import json
import random
import re
import shlex
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import feedparser
import pytest
import sqlalchemy as sa
from conftest import MONDAY, Clock
from lxml import html as parser
from mailing import owe
from people import enrol
from sqlmodel import col, select
from starlette.testclient import TestClient
from taint import BY_HAND, literals, special
from test_render import page, story

from digest import deliver, edition, parse, render, sign
from digest.cli import common, feed_add
from digest.cli.preview import look
from digest.collect.look import Found
from digest.config import Config, from_values
from digest.graphemes import width
from digest.letter import Recipient, Sender, Template
from digest.models import Feed, NewsletterFeed, Subscriber, Subscription, Variant
from digest.parse import text
from digest.parse.pages import Candidate
from digest.render import Marker, Marks, Note, Page, Rendered, Section, Templates
from digest.render.ranks import Band, Block, Places
from digest.store import Database, feed_entries, newsletters, open_database
from digest.store.story_tables import Entry, Story
from digest.values import Recording, Source
from digest.web import application
from digest.web import preview as editor

SUBJECT = "{{ newsletter.title }}: {{ lead.title }}"
EVIL, HARMLESS = "https://evil.example/", "https://harmless.example/"
LINKS = {Marker.UNSUBSCRIBE: "https://digest.example/u/TOKEN-U", Marker.PREFERENCES: "https://digest.example/p/TOKEN-P"}
NEVER_SAID = re.compile("[\0\ud800-\udfff]")  # by settings: no TOML holds it
HAND = " ".join(NEVER_SAID.sub("", " ".join(BY_HAND)).split())
STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
SENDER = Sender("Daily <news@news.example>", MONDAY, newsletter="daily", number=7)
# An operator's layout that says foreign words where ours does not.
OWN_LAYOUT = """{% extends "plain.html" %}
{% block story %}
<tr><td class="pad item" title='{{ story.title }}'>
<h3 class="name"><a class="story" title="{{ story.excerpt }}" href="{{ story.url }}">{{ story.title }}</a></h3>
<img src="{{ story.image_url }}" alt="{{ story.source }}" width="20">
<p class="excerpt">{{ story.excerpt }}</p><p class="excerpt">{{ story.author }}</p>
<p><a class="foot" href='{{ page.preferences_url }}'>{{ story.title }} {{ page.preferences_url }}</a></p>
</td></tr>
{% endblock %}
"""
# And one that premailer has to see whole.
WHOLE_LAYOUT = OWN_LAYOUT.replace(
    '<p class="excerpt">{{ story.author', '<p class="excerpt" style="color: #333">{{ story.author'
)


@cache
def everything() -> str:
    """All literals in one line, as a title has it."""
    return " ".join(NEVER_SAID.sub("", " ".join(literals())).split())


# ---------------------------------------------------------------- mails that say it, and their harmless twins


def url_of(literal: str, number: int) -> str:
    """A literal as an address, as a part of one, or behind its start: as far as parsing lets it through."""
    shapes = (literal, EVIL + literal, f"{EVIL}?u={literal}", f"{EVIL}#{literal}", f"https://{literal}/")
    return text.http_url(shapes[number % len(shapes)], EVIL) or f"{EVIL}{number}"


def tainted(*, largest: bool) -> Page:
    """A page whose stories say what our code knows, each in all fields or (most) in one; its titles say all."""
    rest = [one for one in special() if one not in BY_HAND] if largest else []
    said = [(one,) * 4 for one in BY_HAND] + list(zip(*(rest[n::4] for n in range(4)), strict=False))
    stories = []
    for number, fields in enumerate(said):
        title, source, author, excerpt = (text.plain(one) or "nothing" for one in fields)
        url = url_of(fields[number % 4], number)
        stories.append(
            story(
                number,
                topic=f"topic-{number % 4}",
                title=title,
                source=source,
                author=author,
                excerpt=excerpt,
                url=url,
                image_url=url.replace("http:", "https:"),
                also=(Source(excerpt, url),) if number % 3 else (),
                related=(Source(source, url + "x"),) if number % 5 == 0 else (),
                recording=Recording(url, "audio", author, 60, 0) if number % 2 else None,
            )
        )
    lead, *others = stories
    titles = everything() if largest else HAND
    sections = [Section(f"topic-{n}", HAND, tuple(s for s in others if s.topic == f"topic-{n}")) for n in range(4)]
    return replace(
        page(lead),
        short=1,
        title=titles,
        sections=tuple(sections),
        more=3,
        topics=(HAND, titles),
        postal_address=HAND,
        note=as_text(NEVER_SAID.sub("", "\n\n".join(BY_HAND)) + "\n\n" + titles),
        view_url="https://digest.example/editions/daily/7/key",
    )


def harmless(words: str) -> str:
    """Words of the same length that mean nothing; what is wrapped by its signs, or never, stays what it is."""
    return re.sub(
        r"\S+",
        lambda word: word[0] if width(word[0]) != len(word[0]) or "://" in word[0] else "x" * len(word[0]),
        words,
    )


def twin(one: Page) -> Page:
    """The same page with harmless words in every place."""
    urls: dict[str, str] = {}

    def address(url: str) -> str:
        return urls.setdefault(url, f"{HARMLESS}{len(urls)}") if url else ""

    def sources(told: tuple[Source, ...]) -> tuple[Source, ...]:
        return tuple(Source(harmless(other.title), address(other.url)) for other in told)

    def told(other: Any) -> Any:
        return replace(
            other,
            **{name: harmless(getattr(other, name)) for name in ("title", "source", "author", "excerpt")},
            url=address(other.url),
            image_url=address(other.image_url),
            also=sources(other.also),
            related=sources(other.related),
            recording=other.recording and replace(other.recording, url=address(other.recording.url), type=""),
        )

    return replace(
        one,
        title=harmless(one.title),
        lead=told(one.lead),
        sections=tuple(Section(s.slug, harmless(s.title), tuple(map(told, s.stories))) for s in one.sections),
        topics=tuple(map(harmless, one.topics)),
        postal_address=harmless(one.postal_address),
        note=as_text(harmless(re.sub(r"\\([\\*_`\[\]<])", r"\1", one.note))),  # see `as_text`
    )


def shape(html: str) -> list[Any]:
    """All of a page but what it says and where it leads."""
    said = {"href", "src", "alt", "title"}
    words = re.compile("description|title|alt")
    found: list[Any] = []
    for element in parser.document_fromstring(html).iter():
        if not isinstance(element.tag, str):
            found.append(element.text)
            continue
        named = element.get("name", "") + element.get("property", "")
        told = {*said, "content"} if element.tag == "meta" and words.search(named) else said
        attributes = {name: "" if name in told else value for name, value in element.attrib.items()}
        found.append((element.tag, attributes, element.text if element.tag == "style" else ""))
    return found


def addresses(html: str) -> list[str]:
    tree = parser.document_fromstring(html)
    return [str(value) for value in tree.xpath("//@href | //@src")]


def as_text(note: str) -> str:
    """A note of which no sign is Markdown, which an editor may write; the addresses in `<…>` are no links then."""
    return re.sub(r"([\\*_`\[\]<])", r"\\\1", note)


LINKED = ("story", "line")  # what leads to a story


def said_of(one: Any) -> tuple[str, str]:
    """The title of a story, and what is shown in its place."""
    return one.title, render.shorten(quoted(one), 280) or one.title


def bare(mail: Rendered, body: str) -> str:
    """A part with markers that say nothing of its nonce."""
    assert mail.marks is not None
    return Marks("any").joined(*mail.marks.cut(body))


@pytest.fixture
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digest.render.templates.HTML_LIMIT", 10**9)


def quoted(other: Any) -> str:
    return other.excerpt if other.id % 7 == 3 else ""


def fixed_places(sections: Any, lead: Any, order: Any) -> Places:
    """Some stories in every place there is, by their number and whatever they say: what they say has its own place."""
    bands, seconds, briefs = [], [], []
    for slug, title, stories in sections:
        first, more, told, *lists = (stories[at : at + 4] for at in range(0, 24, 4))
        blocks = [Block("story", first[:1], first[0].source, more), *(Block("story", (one,)) for one in told)]
        for kind, source, some in zip(("briefs", "releases", "papers"), ("who?", "", ""), lists, strict=True):
            blocks += [Block(kind, some, some[0].source if source else "")] if some else []
        bands.append(Band(slug, title, (*blocks, *([Block("briefs", stories[30:])] if stories[30:] else []))))
        seconds += first[1:]
        briefs += stories[24:30]
    return Places(tuple(seconds), tuple(bands), tuple(briefs))


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a text says is one reason for its place in the mail: here it has none of it."""
    monkeypatch.setattr("digest.render.ranks.place", fixed_places)
    monkeypatch.setattr("digest.render.ranks.saying", quoted)
    monkeypatch.setattr("digest.render.ranks.in_short", lambda rest, lead, order: tuple(rest[:5]))


@pytest.mark.thin(3)
@pytest.mark.parametrize("layout", ["", OWN_LAYOUT, WHOLE_LAYOUT], ids=["ours", "own", "whole"])
def test_a_mail_has_the_shape_of_one_that_says_something_harmless(layout, tmp_path, unbounded, placed):
    if layout:
        (tmp_path / "edition.html").write_text(layout, encoding="utf-8")
    templates = Templates(tmp_path if layout else None, at_home=True)  # where `unbounded` holds
    one = tainted(largest=not layout)
    mail, other = templates.render(one, subject=SUBJECT), templates.render(twin(one), subject=SUBJECT)
    assert mail.marks != other.marks
    html, plain = bare(mail, mail.html), bare(mail, mail.text)
    other_html, other_plain = bare(other, other.html), bare(other, other.text)
    assert shape(html) == shape(other_html)
    for place, (ours, theirs) in enumerate(zip(addresses(html), addresses(other_html), strict=True)):
        assert (ours == theirs) is not theirs.startswith(HARMLESS), (place, ours, theirs)
    assert len(plain.splitlines()) == len(other_plain.splitlines())
    for ours, theirs in zip(plain.splitlines(), other_plain.splitlines(), strict=True):
        assert ours == theirs or re.search(r"xx?|[Xx]|\d|harmless", theirs), (ours, theirs)

    def marked(one: Rendered) -> list[list[Marker]]:
        return [one.marks.cut(part)[1] for part in (one.html, one.text)]

    assert marked(mail) == marked(other)
    tree = parser.document_fromstring(html)
    named = {" ".join((a.get("title") or a.text_content()).split()) for name in LINKED for a in tree.find_class(name)}
    ways = [{" ".join(text.split()) for text in said_of(one)} for one in one.stories]
    assert layout or (all(way & named for way in ways) and named <= set().union(*ways)), "said as they said it"
    assert {" ".join(e.text_content().split()) for e in tree.find_class("name")} <= set().union(*ways)
    questions = {"style block", "structure", "contrast, light", "contrast, dark", "css", "unsubscribe"}
    answers, others = ({f.check: f.level for f in render.check(one)} for one in (mail, other))
    assert {name: answers[name] for name in questions} == {name: others[name] for name in questions}
    for name in ("desktop", "dark"):
        assert STYLE.sub("", editor.guise(mail, name)) == STYLE.sub("", mail.html)
    assert shape(editor.guise(mail, "no-images")) == shape(editor.guise(other, "no-images"))


def test_a_letter_holds_its_readers_links_where_the_template_put_them_and_nowhere_else(unbounded):
    mail = Templates().render(tainted(largest=False), subject=SUBJECT)
    letter = Template(mail, SENDER).fill(
        Recipient("ada@example.org", "Ada", LINKS), mail_from="b@news.example", message_id="<1@news.example>"
    )
    message = message_from_bytes(letter.content, policy=policy.default)
    plain, html = (part.get_content().replace("\r\n", "\n") for part in message.iter_parts())
    for body, rendered in ((plain, mail.text), (html, mail.html)):
        pieces, markers = mail.marks.cut(rendered)
        meant = "".join(p + LINKS[m] for p, m in zip(pieces, markers, strict=False)) + pieces[-1]
        assert body.rstrip("\n") == meant.rstrip("\n")
    assert (html.count("TOKEN-U"), html.count("TOKEN-P")) == (1, 2)
    assert (plain.count("TOKEN-U"), plain.count("TOKEN-P")) == (1, 1)
    assert str(message).count("/u/TOKEN-U>") == 1 and "TOKEN" not in str(message["subject"])


def test_a_subject_and_a_name_are_never_more_than_themselves():
    def made(words: str) -> tuple[list[str], bytes, str]:
        subject = render.subject_line(words)
        letter = Template(Rendered(subject, "", "x"), SENDER).fill(
            Recipient("ada@example.org", words, LINKS), mail_from="b@x.example", message_id="<1@x>"
        )
        head, _, body = letter.content.partition(b"\r\n\r\n")
        headers = [line.partition(":") for line in re.sub(r"\r\n(?=[ \t])", "", head.decode("ascii")).split("\r\n")]
        assert "".join(value for _, _, value in headers).isprintable(), words
        (said,) = (value for name, _, value in headers if name == "Subject")
        assert str(make_header(decode_header(said.strip()))) == subject, words
        return [name for name, _, _ in headers], body, letter.rcpt_to

    usual = made("Ada")
    assert usual[0].count("To") == usual[0].count("Subject") == 1
    for literal in literals():
        assert made(re.sub("[\ud800-\udfff]", "", literal)) == usual, literal


def test_a_subject_is_made_of_its_template_once():
    for literal in BY_HAND:
        said = Templates().render(page(story(title=text.plain(literal))), subject="{{ lead.title }}").subject
        assert said == render.subject_line(text.plain(literal))


def test_a_notice_says_what_it_is_given_and_has_nothing_to_fill_in():
    def made(words: str) -> Rendered:
        note = Note(words, "en", words, words, words, words, "https://digest.example/confirm/TOKEN", words, words)
        return Templates().note(note)

    mail, other = made(everything()), made(harmless(everything()))
    assert mail.marks is None and shape(mail.html) == shape(other.html)
    assert addresses(mail.html) == addresses(other.html)
    letter = Template(mail, replace(SENDER, newsletter="")).fill(
        Recipient("ada@example.org", "Ada", LINKS), mail_from="b@x.example", message_id="<1@x>"
    )
    assert b"TOKEN-U" not in letter.content and b"TOKEN-P" not in letter.content


def test_a_line_on_a_terminal_is_a_line_of_text(capsys):
    common.print_rows(("said", "list"), [(literal, [literal]) for literal in literals()])
    common.print_facts({str(n): [literal, literal] for n, literal in enumerate(literals())})
    lines = capsys.readouterr().out.split("\n")
    assert len(lines) == 2 * len(literals()) + 2
    assert all(line.replace("\t", "").isprintable() for line in lines)


def test_a_command_to_copy_is_one_command(monkeypatch):
    choices = tuple(Candidate(text.http_url(f"{EVIL}{literal}"), text.plain(literal)) for literal in special())
    found = Found(EVIL, choices=choices)
    monkeypatch.setattr(feed_add, "look_at", lambda *_args, **_named: found)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(Exception, match="names") as told:
        feed_add._choose(EVIL, None, {}, None, None)
    for line in told.value.hint.split("\n"):
        assert len(shlex.split(line, comments=True)) == 4, line


# ---------------------------------------------------------------- markers


def test_the_same_stories_make_the_same_bytes_and_others_have_other_markers():
    one, again, other = (Templates().render(page(story(title=t)), subject=SUBJECT) for t in ("One", "One", "Two"))
    assert one == again
    assert one.marks != other.marks


def test_a_marker_copied_out_of_a_mail_is_text_in_the_next():
    """An editor sees the source of a preview, and writes what stands there into the note."""
    note = "A word."
    for _ in range(3):
        mail = Templates().render(page(story(), note=note), subject=SUBJECT)
        assert [len(mail.marks.cut(part)[1]) for part in (mail.html, mail.text)] == [3, 2]
        note = f"See {mail.marks.address(Marker.PREFERENCES)} and {note}"


# ---------------------------------------------------------------- mails that an older release rendered


def former(mail: Rendered) -> Rendered:
    """As releases before nonces rendered it."""
    old = render.marks("")
    html, plain = (old.joined(*mail.marks.cut(part)) for part in (mail.html, mail.text))
    return replace(mail, html=html, text=plain, marks=old)


def hostile(**changes: str) -> Page:
    wanted = [f"https://digest.invalid/{marker}" for marker in Marker]
    said = [*wanted, *(f"see {one} now" for one in wanted), "--", 'class="pad footer"']
    stories = [
        story(n, title=words, excerpt=words, source=words, url=url, image_url=url)
        for n, (words, url) in enumerate((words, url) for words in said for url in (*wanted, f"{EVIL}?u={wanted[1]}"))
    ]
    return page(*stories, **changes)


def test_an_edition_of_an_older_release_is_filled_in_in_its_footer_only():
    mail = former(Templates().render(hostile(), subject=SUBJECT))
    html, plain = ("".join(mail.marks.cut(part)[0][:1]) for part in (mail.html, mail.text))
    assert [len(mail.marks.cut(part)[1]) for part in (mail.html, mail.text)] == [3, 2]
    assert html.count("digest.invalid") > 50 and plain.count("digest.invalid") > 50  # all of it before the footer
    assert html.count("You get this because") == plain.count("You get this because") == 1
    assert [f.level for f in render.check(mail) if f.check == "unsubscribe"] == ["ok"]


def test_in_an_older_layout_without_our_footer_a_whole_address_leads_to_ourselves_or_nowhere(tmp_path):
    (tmp_path / "edition.html").write_text(
        '<!DOCTYPE html><html><body><a href="{{ page.unsubscribe_url }}">Leave</a>'
        '{% for story in page.stories %}<a href="{{ story.url }}">{{ story.title }}</a>{% endfor %}</body></html>'
    )
    mail = former(Templates(tmp_path).render(hostile(), subject=SUBJECT))
    pieces, markers = mail.marks.cut(mail.html)
    assert markers[0] is Marker.UNSUBSCRIBE and pieces[0].endswith('<a href="')
    for before, after in pairwise(pieces):
        assert before[-1] in '">' and after[0] in '"<'
    assert f"{EVIL}?u=https://digest.invalid/preferences" in mail.html


# ---------------------------------------------------------------- the whole line


def chunks(count: int) -> list[str]:
    """All literals, in so many texts."""
    said = [" ".join(one.split()) for one in literals()]
    return [" ".join(said[n::count]) for n in range(count)]


def as_rss(told: list[str]) -> bytes:
    def item(number: int, words: str) -> str:
        words = re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]", "", words)
        safe, url = escape(words), quoteattr(url_of(words[:300], number))
        return (
            f"<item><title>R{number} {safe}</title><guid isPermaLink='false'>{number} {safe[:200]}</guid>"
            f"<link>{url[1:-1]}</link><author>{safe[:300]}</author><category>{safe[:90]}</category>"
            f"<source url={url}>{safe}</source><comments>{url[1:-1]}</comments>"
            f"<description>{safe}</description><content:encoded>{escape(f'<p>{safe}</p>')}</content:encoded>"
            f'<media:content url={url} medium="image" type="image/png" width="900" height="600"/>'
            f'<enclosure url={url} type="image/png" length="1"/></item>'
        )

    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/" '
        'xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>'
        f"<title>{escape(HAND)}</title><link>{EVIL}</link>"
        f"{''.join(item(n, words) for n, words in enumerate(told))}</channel></rss>"
    ).encode("utf-8", "replace")


def as_json(told: list[str]) -> bytes:
    def item(number: int, words: str) -> dict[str, Any]:
        url = url_of(words[:300], number)
        return {
            "id": f"{number} {words}",
            "url": url,
            "external_url": url,
            "title": f"J{number} {words}",
            "summary": words,
            "content_html": f"<p>{words}</p>",
            "image": url,
            "authors": [{"name": words}],
            "tags": [words, words[:80]],
            "language": words[:20],
            "attachments": [{"url": url, "mime_type": words}],
        }

    items = [item(number, words) for number, words in enumerate(told)]
    return json.dumps({"version": "https://jsonfeed.org/version/1.1", "title": HAND, "items": items}).encode()


NAMES = {"ada@example.org": HAND[:150], "bob@example.org": BY_HAND[1], "cyd@example.org": "{{ 7 * 7 }} %(title)s [red]"}


@dataclass(frozen=True)
class Sent:
    """What went down the line, and to whom."""

    database: Database
    config: Config
    clock: Clock
    draft: edition.Draft
    letters: dict[str, EmailMessage]
    tokens: dict[str, dict[Marker, str]]  # by address


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory, upgraded_sqlite: Path) -> Iterator[Sent]:
    """An edition of hostile feeds, under hostile titles and with a hostile note, to readers with hostile names."""
    folder = tmp_path_factory.mktemp("taint")
    plenty = dict.fromkeys(("newest_of_new_feed", "per_feed", "per_author", "per_topic", "flood"), 10_000)
    news = {
        "title": HAND,
        "from": "Daily <news@news.example>",
        "postal_address": HAND,
        "max_stories": 100,
        "in_short": 0,  # what stands there goes by the words of titles: see `placed`
        "topics": {"systems": {"title": HAND, "keywords": []}, "web": {"title": HAND, "keywords": []}},
    }
    values = {
        "database": "digest.db",
        "base_url": "https://digest.example",
        "secret_key": "a key for tests, long enough",
        "curate": plenty,
        "newsletters": {"daily": news},
    }
    config = from_values(values, folder / "digest.toml", environment=False)
    shutil.copy(upgraded_sqlite, folder / "digest.db")
    database = open_database(config.database_url)
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("digest.render.templates.HTML_LIMIT", 10**9)
        newsletters.keep(database, config.newsletters, now=MONDAY)
        entries = _collect(database)
        for email, name in NAMES.items():
            _join(database, config, email, name)
        with database.write() as session:
            admitted = edition.admit(session, "daily", config.newsletters["daily"], config.curate, now=MONDAY)
            newsletters.find(session, "daily").note = as_text(
                NEVER_SAID.sub("", "\n\n".join(BY_HAND)) + "\n\n" + everything()
            )
        # A title of our own literals may say that a feed moved: such a one is no story, whoever wrote it.
        assert entries == admitted.stories + admitted.joined + admitted.held == 2 * CHUNKS + len(BY_HAND)
        assert admitted.held < 10
        with database.read() as session:
            draft = edition.preview(session, "daily", config, now=MONDAY)
        with database.write() as session:
            composed = edition.compose(session, "daily", config, now=MONDAY)
    assert draft is not None and composed.letters == 3 and composed.stories == 100
    assert deliver.run(database, config, clock=clock, rng=random.Random(1)).sent == 3
    mails = [message_from_bytes(p.read_bytes(), policy=policy.default) for p in config.maildir.glob("new/*")]
    with database.read() as session:
        ids = dict(
            session.execute(
                sa.select(col(Subscriber.email), col(Subscription.id)).join(
                    Subscriber, col(Subscriber.id) == col(Subscription.subscriber_id)
                )
            ).all()
        )
    tokens = {
        email: {m: sign.token(sign.Purpose(m), id_, key=config.keys[0]) for m in LINKS} for email, id_ in ids.items()
    }
    yield Sent(database, config, clock, draft, {m["to"].addresses[0].addr_spec: m for m in mails}, tokens)
    database.close()


CHUNKS = 60  # of all literals, in each of two feeds


def _collect(database: Database) -> int:
    """What `collect` stores of three feeds; how many entries."""
    bodies = {
        "rss": as_rss(chunks(CHUNKS)),
        "json": as_json(chunks(CHUNKS)),
        "whole.json": as_json(list(BY_HAND)),
    }
    count = 0
    with database.write() as session:
        paper = newsletters.find(session, "daily")
        for name, body in bodies.items():
            url = f"https://feeds.example/{name}"
            parsed = parse.feed(body, url=url, now=MONDAY)
            told = Feed(url=url, title=parsed.title, host="feeds.example", added_at=MONDAY, next_at=MONDAY)
            session.add(told)
            session.flush()
            topic = "systems" if name == "rss" else ""
            session.add(NewsletterFeed(newsletter_id=paper.id, feed_id=told.id, topic=topic, added_at=MONDAY))
            rows = [
                vars(one) | {"categories": list(one.categories), "enclosures": [asdict(e) for e in one.enclosures]}
                for one in parsed.entries
            ]
            feed_entries.save_entries(session, told.id, rows, now=MONDAY)
            count += len(rows)
    return count


def _join(database: Database, config: Config, email: str, name: str) -> None:
    with database.write() as session:
        enrol(
            session,
            email,
            newsletter="daily",
            name=name,
            known_topics=("systems", "web"),
            topics=("systems",) if email.startswith("cyd") else (),
            language="de" if email.startswith("cyd") else "",
            plain=email.startswith("bob"),
            how="test",
            secret=config.lasting_key,
            now=MONDAY,
        )


def parts(message: EmailMessage) -> dict[str, str]:
    found = [part for part in message.walk() if not part.is_multipart()]
    return {part.get_content_subtype(): part.get_content().replace("\r\n", "\n") for part in found}


def test_the_whole_line_gives_each_reader_their_own_links_and_nobody_elses(sent):
    assert set(sent.letters) == set(NAMES)
    for email, message in sent.letters.items():
        wanted = {"plain": {"unsubscribe": 1, "preferences": 1}, "html": {"unsubscribe": 1, "preferences": 2}}
        for subtype, body in parts(message).items():
            found = {marker: body.count(token) for marker, token in sent.tokens[email].items()}
            asked = len(re.findall(rf"/preferences/{sent.tokens[email][Marker.PREFERENCES]}/story/[0-9]+", body))
            assert asked > 0, "under stories, more and less of such"
            found[Marker.PREFERENCES] -= asked
            assert found == wanted[subtype], (email, subtype)
            assert body.count("https://digest.invalid/unsubscribe") > 1, "foreign words are said as they were"
        whole = str(message)
        assert not [t for other, mine in sent.tokens.items() if other != email for t in mine.values() if t in whole]
        headers = str(list(message.items()))
        assert headers.count(sent.tokens[email][Marker.UNSUBSCRIBE]) == 1
        assert sent.tokens[email][Marker.PREFERENCES] not in headers
        written, address = parseaddr(re.sub(r"\n(?= )", "", str(message_from_bytes(bytes(message))["to"])))
        assert (str(make_header(decode_header(written))), address) == (NAMES[email], email)
        assert [name for name, count in Counter(message.keys()).items() if count > 1] == []
    assert set(parts(sent.letters["bob@example.org"])) == {"plain"}


def test_what_is_stored_is_what_was_previewed_and_has_the_shape_of_something_harmless(sent, unbounded):
    with sent.database.read() as session:
        stored = edition.shown(session, "daily", 1, email="ada@example.org").rendered
    mail = sent.draft.rendered
    assert (stored.subject, stored.html, stored.text, stored.marks) == (mail.subject, mail.html, mail.text, mail.marks)
    other = Templates().render(twin(sent.draft.page), subject=SUBJECT)
    assert shape(bare(mail, mail.html)) == shape(bare(other, other.html))


def with_harmless_stories(sent: Sent, path: Path) -> Database:
    """The same database, but for what feeds say of their stories; the mails are as they were sent."""
    with closing(sqlite3.connect(sent.config.database)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)
    database = open_database(f"sqlite:///{path}")
    with database.write() as session:
        rows = [
            *((row, ("title", "source", "author", "excerpt")) for row in session.exec(select(Story))),
            *((row, ("title",)) for kind in (Entry, Feed) for row in session.exec(select(kind))),
        ]
        for row, names in rows:
            for name in names:
                setattr(row, name, harmless(getattr(row, name)))
            if not isinstance(row, Feed):
                row.url = f"{HARMLESS}{row.id}" if row.url else ""
            session.add(row)
    return database


def test_pages_and_feeds_for_everybody_hold_nobodys_links_and_say_what_was_said(sent, tmp_path):
    with sent.database.read() as session:
        variants = session.exec(select(Variant)).all()
        titles = {row.title for row in session.exec(select(Story))}
        keys, nonces = {v.key for v in variants}, {v.marks for v in variants}
        topics = set(session.exec(select(Story.topic)))
    assert len(nonces) == len(variants) == 3 and all(nonces)
    paper = "/newsletters/daily"
    lists = [f"{paper}/topics/{topic}" for topic in topics]
    feeds = [f"{one}/feed.{kind}" for one in (paper, *lists) for kind in ("atom", "json")]
    pages = ["/", paper, f"{paper}/editions/1", *lists, *(f"/editions/daily/1/{key}" for key in keys)]
    with TestClient(application(sent.database, sent.config, clock=sent.clock)) as client:
        answers = {path: client.get(path) for path in (*pages, *feeds)}
    for path, answer in answers.items():
        assert answer.status_code == 200, path
        assert not [t for mine in sent.tokens.values() for t in mine.values() if t in answer.text], path
        assert not [nonce for nonce in nonces if nonce in answer.text], path
    with (
        closing(with_harmless_stories(sent, tmp_path / "harmless.db")) as other,
        TestClient(application(other, sent.config, clock=sent.clock)) as client,
    ):
        for path in pages:
            # A mail names its stories by where they lead, which is another place in the one that is harmless.
            said, expected = (re.sub(r' id="story-\d+"', "", one.text) for one in (answers[path], client.get(path)))
            assert shape(said) == shape(expected), path
        for path in (one for one in feeds if one.endswith("json")):
            said, expected = answers[path].json()["items"], client.get(path).json()["items"]
            assert [shape(one["content_html"]) for one in said] == [shape(one["content_html"]) for one in expected]
    frozen = parser.document_fromstring(answers[f"{paper}/editions/1"].text)
    assert sum(len(frozen.find_class(name)) for name in LINKED) > 100  # those without room among them
    assert len(frozen.xpath("//main")) == len(frozen.xpath("//body")) == 1 and not frozen.find_class("yours")
    for path in feeds:
        if path.endswith("json"):
            items = answers[path].json()["items"]
            assert path.startswith(f"{paper}/feed") or {item["title"] for item in items} <= titles
        else:
            read = feedparser.parse(answers[path].content)
            assert not read.bozo and len(read.entries) == len(answers[path[:-4] + "json"].json()["items"])


@pytest.mark.long
def test_an_editors_pages_say_what_was_said(sent, unbounded):
    page = editor.application(
        sent.database,
        load=lambda: sent.config,
        look=look,
        wish=editor.Wish("daily", 1),
        token="secret",
        clock=sent.clock,
    )
    client = TestClient(page, base_url="http://127.0.0.1")
    tree = parser.document_fromstring(client.get("/secret/").text)
    assert len(tree.xpath("//script")) == 1 and len(tree.xpath("//iframe")) == len(editor.GUISES)
    assert len(tree.xpath("//ol[@class='stories']/li")) >= 100
    assert client.get("/secret/mail/source").text == sent.draft.rendered.html
    assert client.get("/secret/mail/text").text == sent.draft.rendered.text


def test_an_edition_of_an_older_release_is_delivered_and_shown_without_telling_a_link(box, config, clock):
    """Composed by the release before, sent and looked at with this one."""
    old = former(Templates().render(hostile(view_url="https://digest.example/editions/daily/1/all"), subject=SUBJECT))
    owe(box, config, "ada@example.org", "bob@example.org")
    with box.write() as session:
        session.execute(sa.update(Variant).values(html=old.html, text=old.text, marks=""))
        ids = list(session.exec(select(Subscription.id)))
    assert deliver.run(box, config, clock=clock, rng=random.Random(1)).sent == 2
    tokens = [{m: sign.token(sign.Purpose(m), id_, key=config.keys[0]) for m in LINKS} for id_ in ids]
    for path in config.maildir.glob("new/*"):
        found = parts(message_from_bytes(path.read_bytes(), policy=policy.default))
        (mine,) = [one for one in tokens if one[Marker.UNSUBSCRIBE] in found["plain"]]
        assert {m: found["html"].count(t) for m, t in mine.items()} == {"unsubscribe": 1, "preferences": 2}
        assert {m: found["plain"].count(t) for m, t in mine.items()} == {"unsubscribe": 1, "preferences": 1}
    with TestClient(application(box, config, clock=clock)) as client:
        shown = client.get("/editions/daily/1/all").text
    tree = parser.document_fromstring(shown)
    assert sum(len(tree.find_class(name)) for name in LINKED) == len(hostile().stories) and not tree.find_class("foot")
