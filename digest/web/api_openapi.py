"""The OpenAPI 3.1 document, made from the same table as the routes: it cannot say what they do not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, RootModel
from pydantic.json_schema import models_json_schema

from digest.store.keys import VERBS
from digest.web import api_problem
from digest.web.api_calls import JSON, Endpoint
from digest.web.api_shapes import ProblemShape

Document = RootModel[dict[str, Any]]
_REF = "#/components/schemas/{model}"
_PATH = {
    "newsletter": ({"type": "string", "minLength": 1}, "Its name in the settings."),
    "email": (
        {"type": "string", "minLength": 3, "maxLength": 320},
        "An address, percent-encoded. One that is no address is nobody's.",
    ),
    "number": ({"type": "integer", "minimum": 0, "maximum": 999_999_999}, "The number in the masthead."),
}
_ALWAYS = {
    401: "No key that is good.",
    403: "The key lacks a scope, which is named.",
    404: "Not there, or not for this key: these are the same.",
    405: "Not with this method.",
    406: "Accept wants something else than JSON.",
    422: "A field or a parameter that is not as it should be.",
    429: "Too often, or too many sign-ups. Retry-After says when.",
    500: "A mistake of ours.",
    503: "Not now.",
}
_OF_CHANGES = {
    400: "No JSON, or an Idempotency-Key that is none.",
    409: "It may not be, or is being done at this moment.",
    412: "If-Match: it has changed.",
    413: "More than 64 kB.",
    415: "No application/json.",
}
_ONCE = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "In quotes, or bare. The same request with it is done once, and has the same answer for 24 hours.",
    "schema": {"type": "string", "maxLength": 257, "pattern": r'^("[ !#-\[\]-~]{1,255}"|[!#-~]{1,255})$'},
}


def document(endpoints: Iterable[Endpoint], *, home: str) -> dict[str, Any]:
    """The document as JSON would have it; `home` is the address below which the paths are."""
    endpoints = list(endpoints)
    schemas, names = _schemas(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, names)
    return {
        "openapi": "3.1.0",
        "info": {"title": "digest", "version": "1", "description": "Subscribers and editions of newsletters."},
        "servers": [{"url": home}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "Scopes: " + ", ".join(VERBS)}
            },
        },
    }


def _operation(one: Endpoint, names: dict[type[BaseModel], str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": one.does.__name__.strip("_"),
        "summary": one.summary,
        "responses": {str(status): given for status, given in sorted(_responses(one, names).items())},
    }
    if parameters := _parameters(one):
        found["parameters"] = parameters
    if one.body is not None:
        content = {JSON: {"schema": {"$ref": _REF.format(model=names[one.body])}}}
        found["requestBody"] = {"required": not one.may_lack_body, "content": content}
    # Any of several scopes will do: one requirement for each.
    found["security"] = [] if one.public else [{"key": [verb]} for verb in one.verbs] or [{"key": []}]
    return found


def _responses(one: Endpoint, names: dict[type[BaseModel], str]) -> dict[int, dict[str, Any]]:
    problem = {api_problem.MEDIA_TYPE: {"schema": {"$ref": _REF.format(model=names[ProblemShape])}}}
    words = {405: _ALWAYS[405], 406: _ALWAYS[406], 422: _ALWAYS[422], 500: _ALWAYS[500]} if one.public else _ALWAYS
    words = words | (_OF_CHANGES if one.changes else {})
    found: dict[int, dict[str, Any]] = {
        status: {"description": said, "content": problem} for status, said in words.items()
    }
    for status, (said, shape) in one.answers.items():
        found[status] = {"description": said}
        if shape is not None:
            found[status]["content"] = {JSON: {"schema": {"$ref": _REF.format(model=names[shape])}}}
        elif status == 200:
            found[status]["content"] = {JSON: {"schema": {"type": "object"}}}
    if not one.changes:
        found[304] = {"description": "If-None-Match: it is as you have it."}
    return found


def _parameters(one: Endpoint) -> list[dict[str, Any]]:
    found = []
    for name in re.findall(r"{(\w+)}", one.path):
        schema, words = _PATH[name]
        found.append({"name": name, "in": "path", "required": True, "description": words, "schema": schema})
    if one.query is not None:
        for name, schema in one.query.model_json_schema()["properties"].items():
            found.append({"name": name, "in": "query", "required": False, "schema": schema})
    if one.changes:
        found.append(_ONCE)
    return found


def _schemas(endpoints: list[Endpoint]) -> tuple[dict[str, Any], dict[type[BaseModel], str]]:
    """All shapes by name, and the name of each: taken ones as they are judged, given ones as they are written."""
    taken = {one.body for one in endpoints if one.body is not None}
    given = {shape for one in endpoints for _said, shape in one.answers.values() if shape is not None}
    order = [(shape, "validation") for shape in taken] + [(shape, "serialization") for shape in given | {ProblemShape}]
    order.sort(key=lambda pair: pair[0].__name__)
    refs, schema = models_json_schema(order, ref_template=_REF)  # type: ignore[arg-type]
    names = {shape: ref["$ref"].rpartition("/")[2] for (shape, _mode), ref in refs.items()}
    return schema["$defs"], names  # type: ignore[return-value]
