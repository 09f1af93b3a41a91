"""Drive the API of a real `digest serve` by requests that schemathesis makes of its OpenAPI document.

python .ci/drive_api.py DIGEST SCHEMATHESIS [EXAMPLES]      both are programs; exits 1 where something is not as it says
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

SETTINGS = """
database = "digest.db"
base_url = "http://127.0.0.1:{port}"
secret_key = "a key for tests, long enough"
[web]
api_per_minute = 1000000
[newsletters.daily]
title = "Daily"
from = "news@news.example"
[newsletters.weekly]
title = "Weekly"
from = "news@news.example"
"""
# Random data is refused, or accepted, by words that no schema says: whether an address is one, or a zone.
LEFT_OUT = "positive_data_acceptance"
VERBS = ("signup", "subscribers:read", "subscribers:write", "subscribers:vouch", "subscribers:erase", "editions:read")


def main(digest: str, schemathesis: str, examples: str = "25") -> int:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        home = Path(folder)
        subprocess.run([digest, "init", str(home)], check=True, capture_output=True)
        (home / "digest.toml").write_text(SETTINGS.format(port=port))
        command = [digest, "-q", "-c", str(home / "digest.toml")]
        for who in ("ada@example.org", "bob@example.org"):
            subprocess.run([*command, "subscriber", "add", who, "-n", "daily"], check=True, capture_output=True)
        verbs = [word for verb in VERBS for word in ("--verb", verb)]
        made = subprocess.run(
            [*command, "key", "add", "ci", "-n", "*", *verbs], check=True, capture_output=True, text=True
        )
        log = (home / "log").open("w+")
        server = subprocess.Popen([*command, "serve", "--port", str(port)], stderr=log)
        try:
            code = drive(f"http://127.0.0.1:{port}/api/v1", made.stdout.strip(), home, schemathesis, examples)
        finally:
            server.terminate()
            server.wait()
        log.seek(0)
        said = log.read()
        if "Traceback" in said:
            print(said)
            code = 1
        return code


def drive(url: str, key: str, home: Path, schemathesis: str, examples: str) -> int:
    document = json.loads(fetch(f"{url}/openapi.json"))
    for path in document["paths"].values():
        for operation in path.values():
            for one in operation.get("parameters", ()):
                # Where nothing is there, little is asked; an address may be anybody's, or none.
                if one["name"] == "newsletter":
                    one["schema"]["enum"] = ["daily", "weekly"]
                if one["name"] == "email" and one["in"] == "path":
                    one["schema"] = {"anyOf": [one["schema"], {"enum": ["ada@example.org", "bob@example.org"]}]}
    (home / "openapi.json").write_text(json.dumps(document))
    words = ["run", str(home / "openapi.json"), "--url", url, "-H", f"Authorization: Bearer {key}"]
    words += ["--max-examples", examples, "--seed", "1", "--exclude-checks", LEFT_OUT, "--continue-on-failure"]
    return subprocess.run([schemathesis, *words], cwd=home, check=False).returncode


def fetch(url: str) -> bytes:
    for _ in range(300):
        try:
            with urllib.request.urlopen(url) as answer:
                return bytes(answer.read())
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
