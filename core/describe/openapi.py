"""The OpenAPI 3.1 description, derived from the declarations that decode and validate."""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, get_args, get_origin

import msgspec
from starlette.routing import BaseRoute, Route

from core.describe.components import (
    HEADERS,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    PARAMETERS,
    REQUEST_ID,
    security,
)
from core.describe.problem_schemas import JSON, RATE_LIMIT, components, named, response
from core.describe.schemas import Schema, bounded, describe, parameters
from core.http.answers import Reply
from core.http.endpoint import Endpoint
from core.http.oauth import arms
from core.http.routing import Methods
from core.http.streams import Download
from core.http.validation import row_type
from core.problems import (
    BAD_JSON,
    BAD_TOKEN,
    BUSY,
    CODED_BODY,
    FORBIDDEN,
    INVALID,
    KEY_IN_USE,
    KEY_REUSED,
    KINDS,
    MOVED_ON,
    NEEDS_FACTOR,
    NO_TOKEN,
    NOT_MIGRATED,
    OUT_OF_SCOPE,
    SLOW_BODY,
    THROTTLED,
    TOO_LARGE,
    WRONG_MEDIA,
    Kind,
)

FILE = {"type": "string", "format": "binary"}
PATH_ID = {"type": "integer", "format": "int64", "minimum": 1, "maximum": 2**63 - 1}
DATABASE = [kind for kind in KINDS.values() if kind.codigo.startswith("bd_") and kind is not NOT_MIGRATED]


def document(
    routes: Iterable[BaseRoute], *, info: Schema, limits: Mapping[str, int], base: str = ""
) -> Schema:
    """The whole description; `limits` are the least lengths of the fields that a setting bounds.

    `base` is what a proxy puts before every path, like /api."""
    maps = [route.app for route in routes if isinstance(route, Route) and isinstance(route.app, Methods)]
    endpoints = [endpoint for map_ in maps for endpoint in map_.endpoints.values()]
    bodies, taken = describe((arm for e in endpoints for arm in arms(e.body_type)), sent=False)
    answers, sent = describe((type_ for e in endpoints for type_ in answers_of(e).values()), sent=True)
    paths: dict[str, Schema] = {}
    seen: set[str] = set()
    for map_ in maps:
        path = map_.path
        for method, endpoint in map_.endpoints.items():
            operation = _operation(endpoint, bodies, answers)
            if operation["operationId"] in seen:
                operation["operationId"] += "_as_" + re.sub(r"\W+", "_", path.rpartition("/")[2])
            seen.add(operation["operationId"])
            paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": info,
        "servers": [{"url": base or "/"}],
        "tags": [{"name": name, "description": about} for name, about in _tags(endpoints).items()],
        "paths": paths,
        "components": {
            "schemas": bounded(sent | taken, limits)
            | components((kind, e.oauth) for e in endpoints for kind in _problems(e)),
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "securitySchemes": security(base),
        },
    }


def answers_of(endpoint: Endpoint) -> Mapping[str, Any]:
    """What the endpoint answers with its own status: the type of each media type."""
    if isinstance(endpoint.produces, Mapping):
        return endpoint.produces
    if endpoint.produces:
        return dict.fromkeys(endpoint.produces, str)
    answer = endpoint.answer
    return {JSON: get_args(answer)[0] if get_origin(answer) is Reply else answer}


def example_of(body_type: Any) -> Any:
    """A body that works; of a list, one with a single row, and of a union its first member's."""
    row = row_type(body_type)
    return [row.EXAMPLE] if row else arms(body_type)[0].EXAMPLE


def _tags(endpoints: Iterable[Endpoint]) -> dict[str, str]:
    """The modules of the handlers, and what each says it is about."""
    modules = {endpoint.tag: sys.modules[endpoint.handler.__module__] for endpoint in endpoints}
    return {name: (module.__doc__ or "").strip() for name, module in modules.items()}


def _operation(endpoint: Endpoint, bodies: Mapping[str, Schema], answers: Mapping[str, Schema]) -> Schema:
    summary, _, description = inspect.cleandoc(endpoint.handler.__doc__ or "").partition("\n")
    operation: Schema = {
        "operationId": endpoint.name,
        "tags": [endpoint.tag],
        "summary": summary.rstrip(".").replace("`", ""),
        "description": "\n\n".join(filter(None, [description.strip(), _audience(endpoint)])),
        "security": _security(endpoint),
        "parameters": list(_parameters(endpoint)),
        "responses": _responses(endpoint, answers),
    }
    if endpoint.body_type is not None:
        choices = [bodies[repr(arm)] for arm in arms(endpoint.body_type)]
        schema = {"oneOf": choices} if len(choices) > 1 else choices[0]
        content = {"schema": schema, "example": example_of(endpoint.body_type)}
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(endpoint.media, content)}
    elif endpoint.streams:
        contents = {
            media: ({"schema": FILE} if isinstance(example, str) else {}) | {"example": example}
            for media, example in endpoint.examples.items()
        }
        operation["requestBody"] = {"required": True, "content": contents}
    return {name: value for name, value in operation.items() if value or name == "security"}


def _audience(endpoint: Endpoint) -> str:
    if endpoint.public:
        return "No login needed."
    if endpoint.ambito:
        return f"An API key needs `{endpoint.ambito}`. For whoever is logged in."
    return "For an admin." if endpoint.admin else "For whoever is logged in."


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    if endpoint.public:
        return []
    keys: list[dict[str, list[str]]] = [{"llave": [endpoint.ambito]}] if endpoint.ambito else []
    return [{"oauth2": []}, {"bearer": []}, *keys]


def _parameters(endpoint: Endpoint) -> Iterator[Schema]:
    for name in endpoint.path_names:
        yield {"name": name, "in": "path", "required": True, "schema": PATH_ID}
    for name, (required, schema) in parameters(endpoint.query_type).items() if endpoint.query_type else ():
        described = {"description": schema.pop("description")} if "description" in schema else {}
        yield {"name": name, "in": "query", "required": required} | described | {"schema": schema}
    if endpoint.etag or MOVED_ON in endpoint.problems:
        yield IF_MATCH
        yield IF_NONE_MATCH
    if endpoint.once:
        yield IDEMPOTENCY_KEY
    yield REQUEST_ID


def _responses(endpoint: Endpoint, answers: Mapping[str, Schema]) -> Schema:
    headers = ["X-Request-ID"]
    if endpoint.etag:
        headers.append("ETag")
    if endpoint.location:
        headers.append("Location")
    if endpoint.query_type and "total" in endpoint.query_type.__struct_fields__:
        headers.append("X-Total-Count")
    if endpoint.query_type and "despues" in endpoint.query_type.__struct_fields__:
        headers += ["Link", "X-Next-Cursor"]
    if endpoint.answer is Download:
        headers.append("Content-Disposition")
    if endpoint.once:
        headers.append("Idempotent-Replayed")
    if THROTTLED in endpoint.problems:
        headers += RATE_LIMIT
    content = {media: {"schema": answers[repr(type_)]} for media, type_ in answers_of(endpoint).items()}
    responses = {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "headers": named(headers),
            "content": content,
        }
        for status in (endpoint.status, *endpoint.also)
    }
    if endpoint.example:
        main = responses[str(endpoint.status)]
        main["content"] = {JSON: content[JSON] | {"example": msgspec.to_builtins(endpoint.example)}}
    if endpoint.etag:
        responses["304"] = {
            "description": "Still the version of If-None-Match.",
            "headers": named(["X-Request-ID", "ETag"]),
        }
    by_status: dict[int, list[Kind]] = {}
    for kind in _problems(endpoint):
        by_status.setdefault(kind.status, []).append(kind)
    return responses | {
        str(status): response(kinds, oauth=endpoint.oauth) for status, kinds in sorted(by_status.items())
    }


def _problems(endpoint: Endpoint) -> list[Kind]:
    """The endpoint's own problems, and those that follow from what it takes and who may call it."""
    kinds = [*endpoint.problems]
    if not endpoint.any_query:
        kinds.append(INVALID)
    if endpoint.etag:
        kinds.append(MOVED_ON)
    if endpoint.body_type is not None:
        kinds += [BAD_JSON, SLOW_BODY, TOO_LARGE, WRONG_MEDIA, CODED_BODY]
    if endpoint.streams:
        kinds += [SLOW_BODY, WRONG_MEDIA, CODED_BODY]
    if endpoint.once:
        kinds += [KEY_REUSED, KEY_IN_USE]
    if not endpoint.public:
        kinds += [NO_TOKEN, BAD_TOKEN, OUT_OF_SCOPE]
    if endpoint.admin:
        kinds += [FORBIDDEN, NEEDS_FACTOR]
    if endpoint.database:
        kinds += [*DATABASE, BUSY]
    return list(dict.fromkeys(kinds))
