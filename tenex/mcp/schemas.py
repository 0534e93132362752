"""JSON Schema of what goes into a tool and comes out of it, from the classes that REST has.

The same mapping makes the OpenAPI document, so the two doors cannot describe one class in two ways.
"""

from typing import Any

from drf_spectacular.plumbing import ComponentRegistry

from tenex.rest.schema import Schema
from tenex.rest.serializers import Input, Output

_REF = "#/components/schemas/"


def of_input(form: type[Input]) -> dict[str, Any]:
    """An object with these arguments and no others."""
    return _schema(form, "request")


def of_output(form: type[Output]) -> dict[str, Any]:
    return _schema(form, "response")


class _NoView:
    """The mapping asks its view for the serializer's context, and for nothing else."""

    def get_serializer_context(self) -> dict[str, Any]:
        return {}


def _schema(form: type[Input] | type[Output], direction: str) -> dict[str, Any]:
    mapper: Any = Schema()
    mapper.registry = ComponentRegistry()
    mapper.view, mapper.path, mapper.method = _NoView(), "/mcp", "POST"
    root = mapper._map_serializer(form(), direction)
    parts = {name: component.schema for (name, _), component in mapper.registry._components.items()}
    schema: dict[str, Any] = _plain({"type": "object", "properties": {}, **root}, parts)
    schema.pop("description", None)  # the tool has its own
    return schema


def _plain(node: Any, parts: dict[str, Any]) -> Any:
    """A copy without what only OpenAPI has; references are replaced, objects closed.

    Many clients hand a schema to their model as it is, so nothing stands in it twice.
    """
    match node:
        case {"$ref": str(ref), **beside}:
            return {**_plain(parts[ref.removeprefix(_REF)], parts), **_plain(beside, parts)}
        case {"allOf": [only], **beside}:
            return {**_plain(only, parts), **_plain(beside, parts)}
        case {"type": [str(kind), "null"], **beside}:  # not every client takes a list of types
            about = {"description": beside.pop("description")} if "description" in beside else {}
            return {"anyOf": [_plain({"type": kind, **beside}, parts), {"type": "null"}], **about}
        case {"oneOf": [some, {"type": "null"}], **beside}:
            return {"anyOf": [_plain(some, parts), {"type": "null"}], **_plain(beside, parts)}
        case {"properties": dict(fields), **beside}:
            inner = {name: _plain(field, parts) for name, field in fields.items()}
            return {"additionalProperties": False, **_plain(beside, parts), "properties": inner}
        case {"enum": _, "description": str(text), **beside}:
            said = "\n".join(line for line in text.splitlines() if not line.startswith("* `")).strip()
            return _plain(beside, parts) | {"enum": node["enum"]} | ({"description": said} if said else {})
        case dict():
            return {
                k: _plain(v, parts) for k, v in node.items() if k != "readOnly" and not k.startswith("x-")
            }
        case list():
            return [_plain(inner, parts) for inner in node]
        case _:
            return node
