"""What pictures cost a run: processor time for each feed, with and without them.

    python benchmarks/pictures.py [--feeds 40] [--json]

So many feeds, each with one new entry and a JPEG of 1,600 × 1,000 pixels, are served on loopback and collected, with
`images = "none"` and with "all". Processor time is of this process and its workers together. Nothing is sent.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from digest import collect, event_loop, line
from digest.config import Config
from digest.store import newsletters, open_database


def picture(seed: int) -> bytes:
    """Something of about 300 kB, as publishers give it."""
    patches = Image.frombytes("RGB", (160, 100), Random(seed).randbytes(160 * 100 * 3))
    out = BytesIO()
    patches.resize((1600, 1000), Image.Resampling.BICUBIC).save(out, "JPEG", quality=85)
    return out.getvalue()


def serve(feeds: int) -> ThreadingHTTPServer:
    """In a process of its own, whose work is not counted, would be better; what it does is little."""
    pictures = [picture(number) for number in range(feeds)]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, _, number = self.path.strip("/").partition("/")
            base = f"http://127.0.0.1:{self.server.server_address[1]}"
            body = b""
            if kind == "picture":
                body = pictures[int(number)]
            elif kind == "feed":
                body = (
                    f'<rss version="2.0"><channel><title>Feed {number}</title><item><title>Story {number} of its '
                    f"own kind</title><link>{base}/story/{number}</link><guid>{number}</guid><description>Words of "
                    f'{number}.</description><enclosure url="{base}/picture/{number}" type="image/jpeg" length="1"/>'
                    "</item></channel></rss>"
                ).encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def spent() -> float:
    """Seconds of processor so far, ours and those of workers that have ended."""
    own, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + theirs.ru_utime + theirs.ru_stime


def measure(base: str, feeds: int, images: str, folder: Path) -> dict[str, float]:
    config = Config.model_validate(
        {
            "secret_key": "0123456789abcdef",
            "collect": {"allow_private_addresses": True, "host_gap_seconds": 0},
            "curate": {"settle_minutes": 0, "per_topic": 500},
            "pictures": {"seconds": 600, "per_run": 1000},
            "newsletters": {
                "daily": {"title": "Daily", "from": "news@example.org", "images": images, "max_stories": 500}
            },
        }
    )

    def clock() -> datetime:
        return datetime.now(UTC)

    database = open_database(f"sqlite:///{folder / images}.db", create=True)
    newsletters.keep(database, ["daily"], now=clock())
    for number in range(feeds):
        collect.add_feed(database, f"{base}/feed/{number}", newsletter="daily", now=clock())
    begun = spent()
    event_loop.run(lambda: collect.run(database, config, clock=clock, rng=Random(1)))
    line.admit(database, config, "daily", now=clock())
    collected = spent()
    report = line.pictures(database, config, "daily", clock=clock)
    done = spent()
    database.close()
    size = (folder / f"{images}.db").stat().st_size
    return {
        "collect_ms_a_feed": 1000 * (collected - begun) / feeds,
        "pictures_ms_a_feed": 1000 * (done - collected) / feeds,
        "pictures": report.taken,
        "database_mb": size / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    server = serve(asked.feeds)
    base = f"http://127.0.0.1:{server.server_address[1]}"
    with tempfile.TemporaryDirectory() as folder:
        found = {images: measure(base, asked.feeds, images, Path(folder)) for images in ("none", "all")}
    if asked.json:
        print(json.dumps(found))
        return
    for images, figures in found.items():
        print(f'images = "{images}":', ", ".join(f"{name} {value:.1f}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
