"""The real Thunderbird, without a screen: opens a letter from a file, and says how its reader sees it.

Driven by Marionette, the port that Mozilla's programs open for tests: JSON arrays, each after its length.

    python tests/thunderbird.py LETTER.eml OUT.png [--dark]
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

PREFERENCES = {
    "app.update.enabled": False,
    "app.donation.eoy.version.viewed": 999,
    "browser.aboutConfig.showWarning": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "mail.account.autoadd": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mail.winsearch.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "network.proxy.type": 1,  # to nowhere: a letter is on the disk, and asks for nothing
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}
OPEN = """
const [path, done] = [arguments[0], arguments[arguments.length - 1]];
const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
file.initWithPath(path);
const url = Services.io.newFileURI(file).mutate().setQuery("type=application/x-message-display").finalize();
const features = "all,chrome,dialog=no,status,toolbar";
window.openDialog("chrome://messenger/content/messageWindow.xhtml", "_blank", features, url);
const look = () => {
  for (const one of Services.wm.getEnumerator("mail:messageWindow")) {
    const about = one.document.getElementById("messageBrowser")?.contentWindow;
    const browser = about?.getMessagePaneBrowser?.();
    const page = browser && about.msgLoaded && browser.contentDocument;
    if (page?.readyState === "complete" && [...page.images].every(image => image.complete)) {
      shoot(one, browser);
      return;
    }
  }
  setTimeout(look, 100);
};
const shoot = async (one, browser) => {
  const page = browser.contentDocument, root = page.documentElement;
  const [width, height] = [page.defaultView.innerWidth, Math.min(root.scrollHeight, 8000)];
  const whole = new DOMRect(0, 0, width, height), shown = browser.browsingContext.currentWindowGlobal;
  const bitmap = await shown.drawSnapshot(whole, 1, "white");
  const canvas = document.createElementNS("http://www.w3.org/1999/xhtml", "canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  const style = query => { const e = page.querySelector(query); return e ? getComputedStyle(e).color : ""; };
  const said = { png: canvas.toDataURL().split(",")[1], width, height, overflow: root.scrollWidth - width,
    title: style(".title"), link: style(".headline a"), text: page.body.innerText,
    pictures: [...page.images].map(image => [image.naturalWidth, image.width]) };
  one.close();
  done(said);
};
look();
"""


class Missing(Exception):
    """There is no Thunderbird here."""


class Thunderbird:
    """One that runs; `letter` shows it one after the other."""

    def __init__(self, port: int) -> None:
        self._number = 0
        deadline = time.monotonic() + 120
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self._file = self._socket.makefile("rb")
        self._receive()
        self("WebDriver:NewSession", strictFileInteractability=False)
        self("Marionette:SetContext", value="chrome")
        self("WebDriver:SetTimeouts", script=110_000)

    def __call__(self, command: str, **parameters: Any) -> Any:
        self._number += 1
        data = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(f"{len(data)}:".encode() + data)
        _kind, _number, error, result = self._receive()
        if error:
            raise RuntimeError(f"{command}: {error['message']}")
        return result

    def letter(self, path: Path) -> dict[str, Any]:
        """What is seen of an .eml file: `image`, computed colours of its title and headline, its text, its width."""
        done = self("WebDriver:ExecuteAsyncScript", script=OPEN, args=[str(path)])["value"]
        done["image"] = Image.open(BytesIO(base64.b64decode(done.pop("png")))).convert("RGB")
        return dict(done)

    def close(self) -> None:
        self("Marionette:Quit", flags=["eForceQuit"])
        self._file.close()
        self._socket.close()

    def _receive(self) -> Any:
        length = b""
        while (sign := self._file.read(1)) != b":":
            if not sign:
                raise RuntimeError("Thunderbird has gone")
            length += sign
        return json.loads(self._file.read(int(length)))


@contextmanager
def running(*, dark: bool = False) -> Iterator[Thunderbird]:
    """With an empty profile; raises `Missing`."""
    path = shutil.which("thunderbird")
    if path is None:
        raise Missing("no Thunderbird is installed here")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="digest-thunderbird-", ignore_cleanup_errors=True) as folder:
        wanted = PREFERENCES | {"marionette.port": port, "ui.systemUsesDarkTheme": int(dark)}
        wanted |= {"layout.css.prefers-color-scheme.content-override": 0 if dark else 1}
        if dark:
            wanted["extensions.activeThemeID"] = "thunderbird-compact-dark@mozilla.org"
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in wanted.items()]
        (Path(folder) / "user.js").write_text("\n".join(lines))
        command = [
            path,
            "--headless",
            "--no-remote",
            "--marionette",
            "--remote-allow-system-access",
            "--profile",
            folder,
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={
            "HOME": folder, "PATH": "/usr/bin:/bin", "MOZ_HEADLESS_WIDTH": "900", "MOZ_HEADLESS_HEIGHT": "1000",
            "LC_ALL": "C.UTF-8",
        })  # fmt: skip
        try:
            program = Thunderbird(port)
            yield program
            program.close()
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    with running(dark="--dark" in sys.argv) as shown:
        said = shown.letter(Path(sys.argv[1]).absolute())
        said.pop("image").save(sys.argv[2])
        print({key: str(value)[:200] for key, value in said.items()})
