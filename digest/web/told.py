"""What a public page says of itself to search engines, and to who shares it: title, words, picture, structured data.

Open Graph (ogp.me), Twitter cards, and JSON-LD by schema.org. A script of data is run by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from digest.render.speech import Speech

_MOST = 200  # characters of a description: what search engines show
_LOCALES = {"en": "en_US", "de": "de_DE", "fr": "fr_FR", "es": "es_ES", "zh": "zh_CN", "ar": "ar_AR"}


@dataclass(frozen=True)
class Told:
    """A page as others show it. `picture` is an address, or "" without; `data` what JSON-LD adds to the usual."""

    title: str
    address: str
    description: str = ""
    site: str = ""
    kind: str = "website"
    at: datetime | None = None
    picture: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def tags(self, said: Speech) -> Markup:
        """As elements of `<head>`."""
        words = shortened(self.description)
        open_graph = {
            "og:type": self.kind,
            "og:title": self.title,
            "og:description": words,
            "og:url": self.address,
            "og:site_name": self.site,
            "og:locale": _LOCALES.get(said.language, said.language),
            "og:image": self.picture,
            "og:image:width": "1200" if self.picture else "",
            "og:image:height": "630" if self.picture else "",
            "og:image:alt": self.title if self.picture else "",
            "article:published_time": self.at.isoformat(timespec="seconds") if self.at else "",
        }
        named = {
            "description": words,
            "twitter:card": "summary_large_image" if self.picture else "summary",
        }
        lines = [_meta("name", name, value) for name, value in named.items() if value]
        lines += [_meta("property", name, value) for name, value in open_graph.items() if value]
        return Markup("\n").join([*lines, self._json(said)])

    def _json(self, said: Speech) -> Markup:
        about = {
            "@context": "https://schema.org",
            "@type": "WebPage",
            "name": self.title,
            "url": self.address,
            "description": shortened(self.description),
            "inLanguage": said.language,
            "datePublished": self.at.isoformat(timespec="seconds") if self.at else "",
            "image": self.picture,
            **self.data,
        }
        text = htmlsafe_json_dumps({key: value for key, value in about.items() if value}, ensure_ascii=False)
        return Markup('<script type="application/ld+json">{}</script>').format(text)


def shortened(words: str) -> str:
    """As much as is shown, cut between two words."""
    plain = " ".join(words.split())
    return plain if len(plain) <= _MOST else plain[: _MOST - 1].rsplit(" ", 1)[0] + "…"


def _meta(kind: str, name: str, value: str) -> Markup:
    return Markup('<meta {}="{}" content="{}">').format(kind, name, value)
