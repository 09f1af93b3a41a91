"""A real browser for the tests: Chromium, driven by Playwright, with axe-core at hand to judge what it shows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest


def run(script: str, *words: object) -> Any:
    """What a script for Node.js prints, which is JSON; it finds the browser's path in `process.env.CHROMIUM`.

    Skips the test without Chromium, Node.js, or DIGEST_AXE, a folder where `npm install axe-core playwright-core`
    was run; the script is run there.
    """
    tools = Path(os.environ.get("DIGEST_AXE", "/nowhere"))
    chromium, node = shutil.which("chromium"), shutil.which("node")
    if not (chromium and node and (tools / "node_modules" / "axe-core").is_dir()):
        pytest.skip("no Chromium, Node.js, or axe-core in DIGEST_AXE")
    file = tools / f"digest-{os.getpid()}.mjs"
    file.write_text(script)
    try:
        command = [node, file, *map(str, words)]
        environment = os.environ | {"CHROMIUM": chromium}
        done = subprocess.run(command, cwd=tools, env=environment, capture_output=True, text=True)
    finally:
        file.unlink()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
