"""A reader's whole way in a real browser: sign up, confirm, choose, read, leave. And a robot that only looks."""

from __future__ import annotations

import email
import email.policy
import json
import random
import re
import socket
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import browser
import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from conftest import MONDAY, Clock, on_sqlite
from sqlmodel import select
from test_flow import add_feeds, join, run

from digest import deliver, edition, sign
from digest.config import Config
from digest.demo.catcher import Catcher, Message
from digest.demo.site import FeedSite
from digest.models import Subscription
from digest.store import Database
from digest.store.schema import tables as all_tables
from digest.store.story_tables import Story
from digest.subscribe import signup
from digest.web import application

BROWSE = """
import {readFileSync} from 'node:fs'; import {chromium} from 'playwright-core';
const flags=['--no-sandbox','--disable-gpu','--disable-quic','--no-first-run','--disable-background-networking',
  '--disable-component-update','--disable-sync','--disable-dev-shm-usage'];
const browser=await chromium.launch({executablePath:process.env.CHROMIUM,args:flags});
const context=await browser.newContext({javaScriptEnabled:true,viewport:{width:375,height:740}});
const page=await context.newPage(); const wrong=[];
const axe=readFileSync('node_modules/axe-core/axe.min.js','utf8');
page.on('console',m=>{ if (m.type()=='error') wrong.push(m.text()); });
const judge=async()=>{ for (const colorScheme of ['light','dark']) { await page.emulateMedia({colorScheme});
  const wide=await page.evaluate(()=>document.documentElement.scrollWidth-innerWidth);
  if (wide>0) wrong.push(page.url()+' is '+wide+' px too wide');
  await page.evaluate(axe);
  const {violations}=await page.evaluate(()=>axe.run({runOnly:['wcag2a','wcag2aa','wcag21aa','wcag22aa']}));
  for (const v of violations) wrong.push(page.url()+' '+v.id+' '+v.nodes[0].html.slice(0,160)); } };
for (const [verb,what,value] of JSON.parse(process.argv[2])) {
  if (verb=='goto') await page.goto(what);
  else if (verb=='fill') await page.getByLabel(what).fill(value);
  else if (verb=='check') await page.getByLabel(what,{exact:true}).first().check();
  else if (verb=='choose') await page.getByLabel(what,{exact:true}).selectOption(value);
  else if (verb=='press') await page.getByRole('button',{name:what,exact:true}).click();
  else if (verb=='follow') await page.getByRole('link',{name:what}).first().click();
  await page.waitForLoadState();
  if (verb!='fill'&&verb!='check'&&verb!='choose') await judge();
}
console.log(JSON.stringify({text:await page.innerText('main'),url:page.url(),cookies:await context.cookies(),wrong}));
await browser.close();
"""


def browse(*steps: tuple[str, ...]) -> dict[str, Any]:
    """What the last page says, after looking at each page on a phone in light and dark."""
    said: dict[str, Any] = browser.run(BROWSE, json.dumps(steps))
    assert said["wrong"] == [] and said["cookies"] == []
    return said


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def config(configure: Callable[..., Config], inbox: Catcher, listener: socket.socket) -> Config:
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    return configure(base_url=base_url, smtp={"url": inbox.url}, curate={"newest_of_new_feed": 12})


@pytest.fixture
def pages(database: Database, config: Config, clock: Clock, listener: socket.socket) -> Iterator[str]:
    """The address of the pages, served as `digest serve` does."""

    def mail_now() -> None:
        signup.answer_all(database, config, now=clock())
        deliver.run(database, config, clock=clock, rng=random.Random(1), share=deliver.NOTICES)

    app = application(database, config, clock=clock, mail_now=mail_now)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield config.base_url
    server.should_exit = True
    thread.join()


def parsed(message: Message) -> EmailMessage:
    return email.message_from_bytes(message.content, policy=email.policy.default)


def everything(database: Database) -> dict[str, list[str]]:
    """Every row of every table."""
    with database.read() as session:
        tables = all_tables().sorted_tables
        return {table.name: sorted(map(repr, session.execute(sa.select(table)))) for table in tables}


@on_sqlite
def test_a_reader_joins_chooses_reads_and_leaves(database, config, clock, inbox, pages):
    said = browse(
        ("goto", f"{pages}/"),
        ("follow", "Subscribe"),
        ("fill", "Email address", "ada@example.org"),
        ("check", "Security"),
        ("press", "Subscribe"),
    )
    assert "inbox" in said["text"] and inbox.recipients == ["ada@example.org"]

    link = re.search(rf"{pages}/confirm/\S+", parsed(inbox.messages[-1]).get_body(("plain",)).get_content())[0]
    said = browse(
        ("goto", link),
        ("press", "Confirm"),
        ("follow", "Choose topics"),
        ("check", "Databases"),
        ("choose", "Language", "de"),
        ("press", "Save"),
    )
    assert "Ihre Auswahl" in said["text"] and said["url"].endswith("?done=saved")

    join(database, config, "grace@example.org")
    with FeedSite(MONDAY) as site:
        add_feeds(database, site)
        composed, report = run(database, config, clock)
    assert (composed.letters, report.sent) == (2, 2)
    mail = next(one for one in map(parsed, inbox.messages[1:]) if one["To"] == "ada@example.org")
    html = mail.get_body(("html",)).get_content()
    assert "Abbestellen" in html and 'lang="de"' in html
    assert {h.strip() for h in re.findall(r'class="topic"[^>]*>([^<]+)', html)} <= {"Sicherheit", "Datenbanken"}

    # As a mail client does it (RFC 8058): no page, no script, no cookie.
    one_click = re.search(r"<(http[^>]+)>", mail["List-Unsubscribe"])[1]
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert httpx.post(one_click, data={"List-Unsubscribe": "One-Click"}, trust_env=False).status_code == 200
    with database.write() as session:  # as if nobody had read anything
        session.execute(sa.update(Subscription).values(read_until=0))
        composed = edition.compose(session, "daily", config, now=clock.pass_(days=1))
    before = len(inbox.messages)
    assert deliver.run(database, config, clock=clock, rng=random.Random(1)).sent == composed.letters == 1
    assert inbox.recipients[before:] == ["grace@example.org"]


@pytest.mark.long
@on_sqlite
def test_a_reader_says_what_they_want_less_of_and_takes_it_back(database, config, clock, inbox, pages):
    join(database, config, "ada@example.org")
    with FeedSite(MONDAY) as site:
        add_feeds(database, site)
        run(database, config, clock)
    with database.read() as session:
        ada = session.exec(select(Subscription.id)).one()
        story = session.exec(select(Story.id).order_by(Story.rank)).first()
    page = f"{pages}/preferences/{sign.token(sign.Purpose.PREFERENCES, ada, key=config.keys[0])}"
    said = browse(("goto", f"{page}/story/{story}?less"), ("press", "Less of it"))
    assert "Saved." in said["text"] and "Less: Stories from" in said["text"]
    said = browse(("goto", page), ("press", "Undo all of it"))
    assert "You have said nothing yet." in said["text"] and said["url"].endswith("?done=saved")


@pytest.mark.long
@on_sqlite
def test_a_robot_that_follows_every_link_of_every_mail_and_page_changes_nothing(database, config, clock, inbox, pages):
    ask = httpx.Client(base_url=pages, trust_env=False, timeout=30)
    with ask, FeedSite(MONDAY) as site:
        for name in ("ada", "grace"):
            ask.post("/subscribe/daily", data={"email": f"{name}@example.org"})
        confirm = re.search(r"/confirm/\S+", parsed(inbox.messages[-1]).get_body(("plain",)).get_content())[0]
        ask.post(confirm)
        add_feeds(database, site)
        assert run(database, config, clock)[1].sent == 1
        assert len(inbox.messages) == 3, "two that ask to confirm, of which one did, and its first edition"
        before = everything(database)

        waiting = [f"{pages}/"]
        for message in inbox.messages:
            mail = parsed(message)
            text = "".join(mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
            waiting += re.findall(rf"{pages}[^\s\"<>]*", text + (mail["List-Unsubscribe"] or ""))
        seen: set[str] = set()
        while waiting:
            url = httpx.URL(waiting.pop()).copy_with(fragment=None)
            if str(url) in seen or not str(url).startswith(pages):
                continue
            seen.add(str(url))
            ask.head(url)
            answer = ask.get(url)
            assert answer.status_code == 200, url
            if answer.headers["content-type"].startswith("text/html"):
                waiting += [str(url.join(href)) for href in re.findall(r'(?:href|action)="([^"]*)"', answer.text)
                            if not re.search(r"/(pause|resume|leave-all|return|join|move|likes)$", href)]  # fmt: skip
        kinds = {re.sub(rf"^{pages}/?([a-z]*).*", r"\1", url) for url in seen}
        assert {"", "newsletters", "subscribe", "confirm", "preferences", "unsubscribe", "editions"} <= kinds
        assert everything(database) == before
