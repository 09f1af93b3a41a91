"""The editor's page in a real browser: by keyboard, by drag, on a narrow screen, and judged by axe."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import browser
import pytest
import uvicorn
from conftest import on_sqlite
from test_preview import composed, config, filled, look, preview_mail  # noqa: F401  (two of them are fixtures)

from digest.store import newsletters
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


# As somebody works who has no mouse; a run composes while they write; and a page elsewhere knows the whole address.
BY_KEYBOARD = """
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const { chromium } = require("playwright-core");
const [url, elsewhere] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const context = await browser.newContext({ viewport: { width: 375, height: 800 }, colorScheme: "dark" });
const page = await context.newPage();
const answer = {};
const focused = () => page.evaluate(() => {
  const one = document.activeElement;
  const style = getComputedStyle(one);
  return [one.tagName, one.name ?? "", one.textContent.trim().slice(0, 20), style.outlineStyle !== "none"];
});
const tabTo = async (wanted) => {
  for (let steps = 0; steps < 90; steps += 1) {
    const [tag, name, text, seen] = await focused();
    if (`${tag} ${name} ${text}`.includes(wanted)) return seen;
    await page.keyboard.press("Tab");
  }
  throw new Error(`no way to ${wanted}`);
};
const lead = () => page.$eval("#stories > li .what > b", (one) => one.textContent);
await page.goto(url);
answer.before = await lead();
answer.seen = [await tabTo("SUMMARY  Change")];
await page.keyboard.press("Enter");
answer.seen.push(await tabTo("INPUT new_title"));
await page.keyboard.press("Control+A");
await page.keyboard.type("Said by hand");
answer.seen.push(await tabTo("INPUT picture"));
await page.keyboard.press("ArrowDown");
answer.seen.push(await tabTo("BUTTON  Save"));
await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
answer.after = await lead();
const facts = await page.$eval("#stories > li .what > .soft", (one) => one.textContent);
answer.bare = facts.includes("without its picture");
answer.wide = await page.evaluate(() => document.documentElement.scrollWidth);
await Promise.all([page.waitForNavigation(), page.keyboard.press("Control+z")]);
answer.undone = await lead();
const hostile = await context.newPage();
await hostile.goto(`${elsewhere}?${encodeURIComponent(url)}`);
await hostile.waitForFunction(() => document.title === "done");
await hostile.close();
await page.reload();
answer.note = await page.$eval("#note", (one) => one.value);
await page.focus("#note");
await page.keyboard.type("*Long* thoughts");
await page.request.get(`${elsewhere}compose`);
await page.waitForSelector("#changed:not([hidden])");
answer.kept = await page.$eval("#note", (one) => one.value);
await tabTo("BUTTON  Save the note");
await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
answer.said = await page.textContent("main");
answer.leads = await page.$$eval("main a", (all) => all.map((one) => one.getAttribute("href")));
answer.written = await page.$eval("textarea", (one) => one.value);
console.log(JSON.stringify(answer));
await browser.close();
"""
HOSTILE = """<!doctype html><title>wait</title>
<iframe name="hole" sandbox="allow-forms"></iframe><iframe name="other"></iframe>
<script>
const url = decodeURIComponent(location.search.slice(1));
const body = new URLSearchParams({ note: "Buy pills", to_come: "1" });
for (const target of ["hole", "other"]) {
  const form = Object.assign(document.createElement("form"), { method: "post", action: url + "do/note", target });
  form.innerHTML = '<input name="note" value="Buy pills">';
  document.body.append(form);
  form.submit();
}
navigator.sendBeacon(url + "do/note", body);
const all = ["no-cors", "cors"].map((mode) => fetch(url + "do/note", { method: "POST", mode, body }).catch(() => 0));
Promise.all(all).then(() => setTimeout(() => { document.title = "done"; }, 300));
</script>"""


@pytest.fixture
def elsewhere(filled, config) -> Iterator[str]:  # noqa: F811
    """A site of somebody else, who can also let a run compose the edition."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/compose":
                composed(filled, config)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(HOSTILE.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


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


@on_sqlite
def test_who_has_no_mouse_edits_a_run_meanwhile_loses_nothing_and_a_page_elsewhere_writes_nothing(
    served,
    elsewhere,
    filled,  # noqa: F811
):
    found = browser.run(BY_KEYBOARD, served, elsewhere)
    assert found["after"] == "Said by hand" and found["bare"] and found["undone"] == found["before"]
    assert all(found["seen"]) and found["wide"] <= 375  # and where one is can be seen
    assert found["note"] == "" and found["kept"] == found["written"] == "*Long* thoughts"
    assert found["leads"] == ["../?edition=1", "../?"]
    assert "No. 1 of daily was made meanwhile, and nothing was changed" in found["said"]
    with filled.read() as session:
        assert newsletters.find(session, "daily").note == ""
