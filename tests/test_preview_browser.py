"""The editor's page in a real browser: by keyboard, by drag, on a narrow screen, and judged by axe."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import browser
import pytest
import uvicorn
from conftest import on_sqlite
from test_preview import config, filled, look, preview_mail  # noqa: F401  (the first two are fixtures)

from digest.web import preview as editor

SCRIPT = """
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
const require = createRequire(import.meta.url);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf-8");
const url = process.argv[2];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
const strangers = [];
page.on("request", (request) => { if (!request.url().startsWith(url)) strangers.push(request.url()); });
const titles = () => page.$$eval("#stories > li .what > b", (found) => found.map((one) => one.textContent));
const answer = { strangers };
await page.goto(url);
answer.top = await page.$eval(".pane.desktop iframe", (one) => one.getBoundingClientRect().top);
await page.evaluate(axe);
const judged = async () => (await page.evaluate(() => axe.run({ iframes: false }))).violations.map(
  (one) => `${one.id}: ${one.nodes[0].html}`);
await page.$$eval("details", (all) => all.forEach((one) => { one.open = true; }));
answer.axe = await judged();
answer.before = await titles();
await page.focus("#stories > li:nth-child(4) .handle");
await Promise.all([page.waitForNavigation(), page.keyboard.press("Alt+ArrowUp")]);
answer.byKey = await titles();
answer.focus = await page.evaluate(
  () => document.activeElement.closest("li")?.querySelector(".what > b").textContent ?? "");
await Promise.all([page.waitForNavigation(), page.dragAndDrop("#stories > li:nth-child(4) .what > b",
  "#stories > li:nth-child(1)", { targetPosition: { x: 90, y: 4 } })]);
answer.byDrag = await titles();
for (const _ of [1, 2]) {
  await page.evaluate(() => document.activeElement.blur());
  await Promise.all([page.waitForNavigation(), page.keyboard.press("u")]);
}
answer.undone = await titles();
await page.setViewportSize({ width: 375, height: 800 });
await page.evaluate(() => sessionStorage.clear());
await page.goto(url);
answer.narrowTop = await page.$eval(".pane.phone iframe", (one) => one.getBoundingClientRect().top);
await page.$$eval("details", (all) => all.forEach((one) => { one.open = true; }));
answer.wide = await page.evaluate(() => document.documentElement.scrollWidth);
await page.evaluate(axe);
answer.narrowAxe = await judged();
console.log(JSON.stringify(answer));
await browser.close();
"""


@pytest.fixture
def served(filled, config, clock) -> Iterator[str]:  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as listener:
        page = editor.application(
            filled,
            load=lambda: config,
            look=look,
            wish=editor.Wish("daily"),
            token="secret",
            clock=clock,
            tools=editor.Tools(preview_mail.message, lambda *_: "", lambda *_: {}, lambda *_: None),
        )
        server = uvicorn.Server(uvicorn.Config(page, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/secret/"
        server.should_exit = True
        thread.join()


@on_sqlite
def test_an_editor_works_by_keyboard_by_drag_and_on_a_phone(served):
    found = browser.run(SCRIPT, served)
    one, two, three, four = found["before"]
    assert found["byKey"] == [one, two, four, three] and found["focus"] == four
    assert found["byDrag"] == [three, one, two, four]
    assert found["undone"] == found["before"]
    assert found["top"] < 260 and found["narrowTop"] < 200 and found["wide"] <= 375
    assert found["axe"] == found["narrowAxe"] == found["strangers"] == []
