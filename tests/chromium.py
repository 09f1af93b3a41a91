"""Chromium without a driver: told what to do through a pipe, in the words of the Chrome DevTools Protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-quic", "--hide-scrollbars",
    "--font-render-hinting=none", "--disable-lcd-text", "--force-color-profile=srgb", "--no-proxy-server",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
)  # fmt: skip
# Its ends of the pipe are the descriptors 3 and 4, whatever ours are.
START = """
import fcntl, os, sys
asked, answered = (fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3])
os.dup2(asked, 3); os.dup2(answered, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
LOADED = """Promise.all([document.fonts.ready,
  ...[...document.images].map(i => i.getAttribute('src') ? i.decode().catch(() => 0) : 0)]).then(() => 0)"""
# As far as Chromium takes a picture of, in pixels.
TALLEST = 16_000


class Missing(Exception):
    """There is no Chromium here."""


@dataclass(frozen=True)
class Screen:
    """What a page is shown on; `forced` is a browser's own dark mode, for pages that have none."""

    width: int = 680
    dark: bool = False
    forced: bool = False


class Chromium:
    """One browser with one page. No name but those of loopback is found by it."""

    def __init__(self, path: str, folder: str, environment: Mapping[str, str]) -> None:
        theirs_read, self._write = os.pipe()
        self._read, theirs_write = os.pipe()
        command = [
            sys.executable, "-c", START, str(theirs_read), str(theirs_write), path, *FLAGS,
            f"--user-data-dir={folder}", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command,
            pass_fds=(theirs_read, theirs_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        os.close(theirs_read)
        os.close(theirs_write)
        self._waiting = b""
        self._number = 0
        self._session = ""
        self._asked: dict[str, str] = {}
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self(f"{domain}.enable")
        self._frame = self("Page.getFrameTree")["frameTree"]["frame"]["id"]

    def __call__(self, method: str, **parameters: Any) -> Any:
        """What it answers. Events that come before are looked through for requests."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._send(message)
        while True:
            told = self._next()
            if told.get("id") == self._number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']['message']}")
                return told["result"]
            self._noted(told)

    def wait_for(self, event: str) -> None:
        while (told := self._next()).get("method") != event:
            self._noted(told)

    def show(self, html: str, screen: Screen = Screen()) -> None:
        """A page, until its fonts and pictures are there."""
        self._fit(screen, 800)
        self("Page.setDocumentContent", frameId=self._frame, html=html)
        self.evaluate(LOADED)

    def go(self, url: str, screen: Screen = Screen()) -> None:
        self._fit(screen, 800)
        self("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")
        self.evaluate(LOADED)

    def asked(self) -> list[str]:
        """The addresses of all that was asked for since the last time, but for what stood in the page itself."""
        self.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        found = list(self._asked.values())
        self._asked.clear()
        return found

    def evaluate(self, script: str) -> Any:
        done = self("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            raise RuntimeError(done["exceptionDetails"]["exception"]["description"])
        return done["result"].get("value")

    def picture(self, screen: Screen, height: int | None = None) -> Image.Image:
        """What is seen, from top to end or as far as `height` says."""
        tall = height or min(TALLEST, int(self.evaluate("document.documentElement.scrollHeight")))
        self._fit(screen, tall)
        shot = self("Page.captureScreenshot", format="png")
        return Image.open(BytesIO(base64.b64decode(shot["data"]))).convert("RGB")

    def close(self) -> None:
        self._session = ""
        self("Browser.close")
        self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def _fit(self, screen: Screen, height: int) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if screen.dark else "light"}
        self("Emulation.setEmulatedMedia", features=[scheme])
        self("Emulation.setAutoDarkModeOverride", **({"enabled": True} if screen.forced else {}))
        size = {"width": screen.width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self("Emulation.setDeviceMetricsOverride", **size)

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._waiting:
            part = os.read(self._read, 1 << 20)
            if not part:
                raise RuntimeError("Chromium has gone")
            self._waiting += part
        told, _, self._waiting = self._waiting.partition(b"\0")
        return json.loads(told)

    def _noted(self, told: dict[str, Any]) -> None:
        about = told.get("params", {})
        if told.get("method") == "Network.requestWillBeSent":
            url = about["request"]["url"]
            if not url.startswith(("data:", "about:", "blob:")):
                self._asked[about["requestId"]] = url
        elif told.get("method") == "Network.loadingFailed" and about.get("blockedReason"):
            self._asked.pop(about["requestId"], None)  # its policy forbids it: nothing was sent


@contextmanager
def running(**environment: str) -> Iterator[Chromium]:
    """A browser to look with; raises `Missing`."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise Missing("no Chromium is installed here")
    with tempfile.TemporaryDirectory(prefix="digest-lab-", ignore_cleanup_errors=True) as folder:
        browser = Chromium(path, folder, os.environ | environment)
        try:
            yield browser
        finally:
            browser.close()
