"""The API: its table of endpoints, of which the routes are made and the OpenAPI document."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import Route

from digest.web import api_editions, api_subscribers
from digest.web.api_calls import Answer, Call, Endpoint, Resource
from digest.web.api_openapi import Document, document

BASE = "/api/v1"


class _Address(Convertor[str]):
    """An address, as it came: a slash may stand before its @."""

    regex = "[^\0]+@[^/\0]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _Anything(Convertor[str]):
    regex = r"(?:/[\s\S]*)?"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("address", _Address())
register_url_convertor("anything", _Anything())
_KINDS = {"newsletter": "word", "email": "address", "number": "number"}


def _openapi(call: Call) -> Answer:
    return Answer(200, _document(f"{call.site.config.base_url}{BASE}"))


@lru_cache(maxsize=4)
def _document(home: str) -> Document:
    """Made once: everybody may ask for it."""
    return Document(document(ENDPOINTS, home=home))


ENDPOINTS: tuple[Endpoint, ...] = (
    *api_subscribers.ENDPOINTS,
    *api_editions.ENDPOINTS,
    Endpoint("GET", "/openapi.json", _openapi, "This document", {200: ("OpenAPI 3.1.", None)}, public=True),
)


def _routes() -> list[Route]:
    by_path: dict[str, list[Endpoint]] = defaultdict(list)
    for endpoint in ENDPOINTS:
        by_path[endpoint.path].append(endpoint)
    found = []
    for path, endpoints in sorted(by_path.items(), key=lambda item: -len(item[0])):  # …/leave before an address
        for name, kind in _KINDS.items():
            path = path.replace(f"{{{name}}}", f"{{{name}:{kind}}}")
        found.append(Route(BASE + path, Resource(*endpoints)))
    return [*found, Route("/api{rest:anything}", Resource())]


ROUTES = _routes()
