"""JSON Schemas (2020-12) of the types that go over the wire, as the description shows them."""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

Schema = dict[str, Any]

TEMPLATE = "#/components/schemas/{name}"
ASTRAL = re.compile("[\U00010000-\U0010ffff](-[\U00010000-\U0010ffff])?")


def reference(name: str) -> Schema:
    return {"$ref": TEMPLATE.format(name=name)}


def describe(types: Iterable[Any], *, sent: bool) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """The schema of each type, by its repr, and the components that they refer to.

    Of what the API itself has `sent`, a field that has a default is there too."""
    by_name = {repr(type_): type_ for type_ in types}
    schemas, components = msgspec.json.schema_components(by_name.values(), ref_template=TEMPLATE)
    components = {name: _plain(schema, sent=sent) for name, schema in components.items()}
    shown = {name: polished(schema) for name, schema in components.items()}
    return dict(zip(by_name, map(polished, schemas), strict=True)), shown


def parameters(query_type: Any) -> dict[str, tuple[bool, Schema]]:
    """Each parameter of a query, whether it is required, and its schema. No query has a null: it is there or not.

    What is meant without it stands in its description: a `default` is what generated clients would send."""
    (name,), components = msgspec.json.schema_components([query_type], ref_template="{name}")
    query = components[name["$ref"]]
    return {
        name: (name in query["required"], _without_default(polished(_without_null(schema))))
        for name, schema in query["properties"].items()
    }


def bounded(components: dict[str, Schema], limits: Mapping[str, int]) -> dict[str, Schema]:
    """The components, with the least lengths that settings give some fields of new rows."""
    for schema in components.values():
        for name, least in limits.items():
            field = schema.get("properties", {}).get(name, {})
            if "minLength" in field:
                field["minLength"] = least
    return components


def polished(schema: Any) -> Any:
    """A schema that says what msgspec leaves out: the type of an enumeration, that integers have 64 bits.

    Patterns are such as ECMAScript reads without its `u` flag: its $ is
    Python's \\Z, and what lies beyond U+FFFF is left out of classes, though still refused."""
    if isinstance(schema, list):
        return [polished(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    shown = {name: polished(value) for name, value in schema.items()}
    if isinstance(shown.get("pattern"), str):
        shown["pattern"] = ASTRAL.sub("", shown["pattern"]).removesuffix(r"\Z") + "$"
    if isinstance(shown.get("description"), str):
        shown["description"] = inspect.cleandoc(shown["description"])
    if isinstance(shown.get("enum"), list):
        shown = {"type": "string"} | shown
    if shown.get("type") == "integer":
        shown["format"] = "int64"
    return shown


def _plain(schema: Schema, *, sent: bool) -> Schema:
    """The schema without defaults, which some generators take for fields that are required."""
    fields = schema.get("properties", {})
    required = [name for name in fields if (sent and "default" in fields[name]) or name in schema["required"]]
    bare = {
        name: {key: value for key, value in field.items() if key != "default"}
        for name, field in fields.items()
    }
    return schema | {"properties": bare, "required": required} if fields else schema


def _without_default(schema: Schema) -> Schema:
    if not schema.get("default"):
        return {key: value for key, value in schema.items() if key != "default"}
    told = f"`{schema.pop('default')}` unless given"
    return schema | {"description": f"{schema['description']}; {told}" if "description" in schema else told}


def _without_null(schema: Schema) -> Schema:
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    default = {"default": schema["default"]} if schema.get("default") is not None else {}
    return (kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}) | rest | default
