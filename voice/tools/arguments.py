"""Arguments of tools: strict, nothing extra, and the JSON schema that the model sees."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Arguments(BaseModel):
    """Base of every tool's arguments: unknown names and wrong types are errors, not guesses."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)


class NoArguments(Arguments):
    pass


def schema(arguments: type[Arguments]) -> dict[str, Any]:
    """A flat JSON schema: no `$ref`, no titles, `additionalProperties` false at every level."""
    raw = arguments.model_json_schema()
    flat = _flatten(raw, raw.pop("$defs", {}))
    assert isinstance(flat, dict)  # noqa: S101 - the schema of a model is an object
    flat.setdefault("properties", {})
    flat.setdefault("required", [])
    return flat


def _flatten(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_flatten(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = str(node["$ref"]).rsplit("/", 1)[-1]
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return _flatten({**definitions[name], **rest}, definitions)
    flat: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":  # names of fields, one of which may be "title"
            flat[key] = {name: _flatten(field, definitions) for name, field in value.items()}
        elif key not in {"title", "default"}:
            flat[key] = _flatten(value, definitions)
    if flat.get("type") == "object":
        flat["additionalProperties"] = False
    return flat
