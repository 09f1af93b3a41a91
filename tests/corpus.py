"""Real feeds and lists, which are others' and stay outside the project: tests over them run where they are named."""

from __future__ import annotations

import os
from pathlib import Path

CORPUS = Path(os.environ.get("DIGEST_CORPUS", "nowhere"))
