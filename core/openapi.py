"""The OpenAPI 3.1 description, derived from the declarations that decode and validate."""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args, get_origin

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from core.endpoint import Endpoint, Methods, Reply
from core.problems import (
    BAD_JSON,
    BAD_TOKEN,
    BUSY,
    DB_AWAY,
    FORBIDDEN,
    INVALID,
    KEY_IN_USE,
    KEY_REUSED,
    MOVED_ON,
    NO_TOKEN,
    SLOW_BODY,
    TOO_LARGE,
    WRONG_MEDIA,
    Kind,
)

PROBLEM = "application/problem+json"
SCHEMAS = "#/components/schemas/{name}"
Schema = dict[str, Any]

PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "required": ["type", "title", "status", "detail", "codigo", "request_id"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri-reference",
            "description": "The error's entry in /problemas.",
        },
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened, in Spanish, for a person."},
        "codigo": {"type": "string", "description": "What happened, for a program; it never changes."},
        "request_id": {"type": "string"},
        "error": {
            "type": "string",
            "description": "OAuth 2.0's own code (RFC 6749 section 5.2), at /login/.",
        },
        "errores": {
            "type": "array",
            "description": "What is wrong, field by field.",
            "items": {
                "type": "object",
                "required": ["campo", "mensaje"],
                "properties": {
                    "campo": {"type": "string"},
                    "mensaje": {"type": "string"},
                    "indice": {"type": "integer", "description": "The row's place in a JSON list, from 0."},
                    "linea": {"type": "integer", "description": "The line of a file, from 1."},
                },
            },
        },
    },
}

HEADERS: dict[str, Schema] = {
    "X-Request-ID": {
        "description": "Names the request in errors and logs; the client's own when it sends a sane one.",
        "schema": {"type": "string"},
    },
    "ETag": {"description": "The version of the resource, for If-Match.", "schema": {"type": "string"}},
    "Link": {
        "description": "The next page, with rel=next, while there is one.",
        "schema": {"type": "string"},
    },
    "X-Total-Count": {"description": "How many there are, when `total` asks.", "schema": {"type": "integer"}},
    "Location": {"description": "Where the new resource is.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "Says that this answer was given before.",
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds to wait before trying again.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "How to authenticate (RFC 6750).", "schema": {"type": "string"}},
    "Allow": {"description": "The methods of the path.", "schema": {"type": "string"}},
}

SECURITY: Schema = {
    "oauth2": {
        "type": "oauth2",
        "description": "Username and password become a token at /login/.",
        "flows": {"password": {"tokenUrl": "/login/", "scopes": {}}},
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of /login/.",
    },
}

IF_MATCH = ("If-Match", "Change only this version: an ETag of the resource.", '"1"')
IF_NONE_MATCH = ("If-None-Match", "Answer 304 when the resource still has this ETag.", '"0"')
IDEMPOTENCY_KEY = ("Idempotency-Key", "Names the request: repeated, it has one effect.", "venta-2026-0001")


def document(
    routes: Iterable[BaseRoute], *, title: str, version: str, introduction: str, limits: Mapping[str, int]
) -> Schema:
    """The whole description; `limits` are the least lengths of the fields that a setting bounds."""
    maps = [route.app for route in routes if isinstance(route, Route) and isinstance(route.app, Methods)]
    endpoints = [endpoint for map_ in maps for endpoint in map_.endpoints.values()]
    types = {repr(type_): type_ for endpoint in endpoints for type_ in _types(endpoint)}
    schemas, components = msgspec.json.schema_components(types.values(), ref_template=SCHEMAS)
    schema_of = dict(zip(types, map(_ecma, schemas), strict=True))
    paths: dict[str, Schema] = {}
    seen: set[str] = set()
    for map_ in maps:
        for method, endpoint in map_.endpoints.items():
            operation = _operation(endpoint, schema_of)
            if operation["operationId"] in seen:
                operation["operationId"] += "_as" + re.sub(r"\W+", "_", map_.path).rstrip("_")
            seen.add(operation["operationId"])
            paths.setdefault(map_.path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": introduction},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in _tags(endpoints).items()],
        "paths": paths,
        "components": {
            "schemas": _bounded({name: _ecma(schema) for name, schema in components.items()}, limits)
            | {"Problema": PROBLEM_SCHEMA},
            "headers": HEADERS,
            "securitySchemes": SECURITY,
        },
    }


def _tags(endpoints: Iterable[Endpoint]) -> dict[str, str]:
    """The modules of the handlers, and what each says it is about."""
    modules = {
        endpoint.name.partition(".")[0]: sys.modules[endpoint.handler.__module__] for endpoint in endpoints
    }
    return {name: (module.__doc__ or "").strip() for name, module in modules.items()}


def _types(endpoint: Endpoint) -> Iterator[Any]:
    """The types of the body and the answer that have a JSON Schema."""
    if endpoint.body_type is not None:
        yield endpoint.body_type
    if (answer := body_of(endpoint)) is not None:
        yield answer


def body_of(endpoint: Endpoint) -> Any:
    """What the endpoint answers with its own status; None for a stream."""
    answer = endpoint.answer
    if get_origin(answer) is Reply:
        (answer,) = get_args(answer)
    return None if inspect.isclass(answer) and issubclass(answer, Response) else answer


def example_of(body_type: Any) -> Any:
    """A body that works; of a list, one with a single row."""
    if get_origin(body_type) is list:
        return [example_of(item) for item in get_args(body_type)]
    return getattr(body_type, "EXAMPLE", {})


def _operation(endpoint: Endpoint, schema_of: Mapping[str, Schema]) -> Schema:
    summary, _, description = inspect.cleandoc(endpoint.handler.__doc__ or "").partition("\n")
    operation: Schema = {
        "operationId": endpoint.name.replace(".", "_"),
        "tags": [endpoint.name.partition(".")[0]],
        "summary": summary.rstrip("."),
        "description": "\n\n".join(
            filter(None, [description.strip(), "For an admin." if endpoint.admin else ""])
        ),
        "security": [] if endpoint.public else [{"oauth2": []}, {"bearer": []}],
        "parameters": list(_parameters(endpoint)),
        "responses": _responses(endpoint, schema_of),
    }
    if endpoint.body_type is not None:
        content = {"schema": schema_of[repr(endpoint.body_type)], "example": example_of(endpoint.body_type)}
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(endpoint.media, content)}
    elif endpoint.streams:
        contents = {
            media: {"schema": {"type": "string"}, "example": example}
            for media, example in endpoint.examples.items()
        }
        operation["requestBody"] = {"required": True, "content": contents}
    return {name: value for name, value in operation.items() if value or name == "security"}


def _parameters(endpoint: Endpoint) -> Iterator[Schema]:
    for name in endpoint.path_names:
        schema = {"type": "integer", "format": "int64", "minimum": 1, "maximum": 2**63 - 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if endpoint.query_type:
        (reference,), components = msgspec.json.schema_components([endpoint.query_type], ref_template=SCHEMAS)
        query = components[reference["$ref"].rpartition("/")[2]]
        for name, schema in query["properties"].items():
            yield {
                "name": name,
                "in": "query",
                "required": name in query["required"],
                "schema": _ecma(_without_null(schema)),
            } | ({"description": schema["description"]} if "description" in schema else {})
    if MOVED_ON in endpoint.problems:
        yield _header(*IF_MATCH)
    if endpoint.etag:
        yield _header(*IF_NONE_MATCH)
    if endpoint.once:
        yield _header(*IDEMPOTENCY_KEY)


def _header(name: str, description: str, example: str) -> Schema:
    return {
        "name": name,
        "in": "header",
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


def _responses(endpoint: Endpoint, schema_of: Mapping[str, Schema]) -> Schema:
    headers = ["X-Request-ID"]
    if endpoint.etag:
        headers.append("ETag")
    if endpoint.location:
        headers.append("Location")
    if endpoint.query_type and "despues" in endpoint.query_type.__struct_fields__:
        headers += ["Link", "X-Total-Count"]
    if endpoint.once:
        headers.append("Idempotent-Replayed")
    success: Schema = {"description": "Done.", "headers": _named(headers)}
    answer = body_of(endpoint)
    schema = {"type": "string"} if answer is None else schema_of[repr(answer)]
    success["content"] = {media: {"schema": schema} for media in endpoint.produces}
    responses = {str(status): success for status in (endpoint.status, *endpoint.also)}
    if endpoint.etag:
        unchanged = {
            "description": "Still the version of If-None-Match.",
            "headers": _named(["X-Request-ID", "ETag"]),
        }
        responses["304"] = unchanged
    by_status: dict[int, list[Kind]] = {}
    for kind in _problems(endpoint):
        by_status.setdefault(kind.status, []).append(kind)
    return responses | {str(status): _problem(kinds) for status, kinds in sorted(by_status.items())}


def _problems(endpoint: Endpoint) -> list[Kind]:
    """The endpoint's own problems, and those that follow from what it takes and who may call it."""
    kinds = [*endpoint.problems, INVALID]
    if endpoint.body_type is not None:
        kinds += [BAD_JSON, SLOW_BODY, TOO_LARGE, WRONG_MEDIA]
    if endpoint.streams:
        kinds += [SLOW_BODY, WRONG_MEDIA]
    if endpoint.once:
        kinds += [KEY_REUSED, KEY_IN_USE]
    if not endpoint.public:
        kinds += [NO_TOKEN, BAD_TOKEN]
    if endpoint.admin:
        kinds.append(FORBIDDEN)
    if endpoint.database:
        kinds += [DB_AWAY, BUSY]
    return list(dict.fromkeys(kinds))


def _problem(kinds: list[Kind]) -> Schema:
    status = kinds[0].status
    headers = ["X-Request-ID"]
    headers += {401: ["WWW-Authenticate"], 405: ["Allow"], 429: ["Retry-After"], 503: ["Retry-After"]}.get(
        status, []
    )
    codes = [kind.codigo for kind in kinds]
    schema = {
        "allOf": [{"$ref": SCHEMAS.format(name="Problema")}],
        "properties": {"codigo": {"enum": codes}, "status": {"const": status}},
    }
    examples = {
        kind.codigo: {
            "summary": kind.title,
            "value": {
                "type": f"/problemas#{kind.codigo}",
                "title": kind.title,
                "status": status,
                "detail": kind.cuando,
                "codigo": kind.codigo,
                "request_id": "c0ffee-1",
            },
        }
        for kind in kinds
    }
    return {
        "description": " · ".join(f"`{kind.codigo}`: {kind.title}" for kind in kinds),
        "headers": _named(headers),
        "content": {PROBLEM: {"schema": schema, "examples": examples}},
    }


def _named(headers: list[str]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}


def _without_null(schema: Schema) -> Schema:
    """A query has no null: a parameter is there or not."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default", "description")}
    default = {"default": schema["default"]} if schema.get("default") is not None else {}
    return (kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}) | rest | default


def _ecma(schema: Any) -> Any:
    """A schema whose patterns end as ECMAScript's do: its $ is Python's \\Z."""
    if isinstance(schema, dict):
        return {
            name: value.removesuffix(r"\Z") + "$"
            if name == "pattern" and isinstance(value, str)
            else _ecma(value)
            for name, value in schema.items()
        }
    return [_ecma(value) for value in schema] if isinstance(schema, list) else schema


def _bounded(components: dict[str, Schema], limits: Mapping[str, int]) -> dict[str, Schema]:
    """The components, with the least lengths that settings give some fields of new rows."""
    for schema in components.values():
        for name, least in limits.items():
            field = schema.get("properties", {}).get(name, {})
            if "minLength" in field:
                field["minLength"] = least
    return components
