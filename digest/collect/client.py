"""httpx without its own command line, which would bring rich and pygments into each run: twice as long to import."""

from __future__ import annotations

import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # as where these are not installed

import httpx as httpx  # noqa: E402
