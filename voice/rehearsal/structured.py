"""Structured outputs: is this JSON Schema strict, and an answer poured into it."""

from typing import cast

from voice.rehearsal.model.shapes import Json, Refusal

_NOT_PERMITTED = (
    "allOf",
    "oneOf",
    "not",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "then",
    "else",
    "patternProperties",
    "default",
)


def check_strict(schema: Json) -> None:
    """What the service demands of a `strict` schema: closed objects, all properties required, plain words.

    Raises:
        Refusal: `invalid_json_schema`.
    """
    if not isinstance(schema, dict) or schema.get("type") != "object" or "anyOf" in schema:
        raise _invalid((), "schema must be a JSON Schema of 'type: \"object\"'")
    _walk(schema, ())


def _invalid(context: tuple[str, ...], problem: str) -> Refusal:
    return Refusal(
        f"Invalid schema for response_format: In context={context}, {problem}.",
        code="invalid_json_schema",
        param="text.format.schema",
    )


def _walk(schema: Json, context: tuple[str, ...]) -> None:
    if not isinstance(schema, dict):
        return
    for word in _NOT_PERMITTED:
        if word in schema:
            raise _invalid(context, f"'{word}' is not permitted")
    if "$ref" in schema and set(schema) - {"$ref", "$defs", "definitions"}:
        raise _invalid(context, "$ref cannot have keywords beside it")
    properties = cast(dict[str, Json], schema.get("properties") or {})
    if schema.get("type") == "object" or properties:
        if schema.get("additionalProperties") is not False:
            raise _invalid(context, "'additionalProperties' is required to be supplied and to be false")
        left_out = [name for name in properties if name not in cast(list[Json], schema.get("required") or [])]
        if left_out:
            raise _invalid(
                context,
                "'required' is required to be supplied and to be an array including every key in properties. "
                f"Missing '{left_out[0]}'",
            )
    for name, member in properties.items():
        _walk(member, (*context, "properties", name))
    for name, member in cast(dict[str, Json], schema.get("$defs") or {}).items():
        _walk(member, ("$defs", name))
    _walk(schema.get("items"), (*context, "items"))
    for index, member in enumerate(cast(list[Json], schema.get("anyOf") or [])):
        _walk(member, (*context, "anyOf", str(index)))


def fit(schema: dict[str, Json], value: Json) -> Json:
    """`value` in the shape that `schema` asks for: known keys are taken over, the rest is empty."""
    return _fit(schema, value, cast(dict[str, dict[str, Json]], schema.get("$defs") or {}))


def _fit(schema: dict[str, Json], value: Json, defs: dict[str, dict[str, Json]]) -> Json:
    if "$ref" in schema:
        return _fit(defs[cast(str, schema["$ref"]).rpartition("/")[2]], value, defs)
    if "anyOf" in schema:
        branches = [_resolved(branch, defs) for branch in cast("list[dict[str, Json]]", schema["anyOf"])]
        chosen = next((branch for branch in branches if _suits(branch, value)), branches[-1])
        return _fit(chosen, value, defs)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        allowed = cast(list[Json], schema["enum"])
        return value if value in allowed else allowed[-1]
    kinds = schema.get("type")
    names = cast(list[str], kinds if isinstance(kinds, list) else [kinds])
    if not any(_is(name, value) for name in names):
        value = None if "null" in names else value
        if "null" in names:
            return None
    match names[0]:
        case "object":
            known = value if isinstance(value, dict) else {}
            properties = cast(dict[str, dict[str, Json]], schema.get("properties") or {})
            return {name: _fit(member, known.get(name), defs) for name, member in properties.items()}
        case "array":
            members = cast(dict[str, Json], schema.get("items") or {})
            return [_fit(members, entry, defs) for entry in (value if isinstance(value, list) else [])]
        case "string":
            return value if isinstance(value, str) else ""
        case "boolean":
            return value if isinstance(value, bool) else False
        case "number" | "integer":
            return value if _is(names[0], value) else 0
        case _:
            return value


def _resolved(schema: dict[str, Json], defs: dict[str, dict[str, Json]]) -> dict[str, Json]:
    return defs[cast(str, schema["$ref"]).rpartition("/")[2]] if "$ref" in schema else schema


def _suits(schema: dict[str, Json], value: Json) -> bool:
    if "enum" in schema:
        return value in cast(list[Json], schema["enum"])
    kinds = schema.get("type")
    return any(_is(name, value) for name in cast(list[str], kinds if isinstance(kinds, list) else [kinds]))


def _is(name: str | None, value: Json) -> bool:
    match name:
        case "null":
            return value is None
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return False
