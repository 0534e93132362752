"""What the generator cannot see: the routes that are plain async views, and the tags' order."""

from copy import deepcopy
from http import HTTPStatus
from typing import Any

from tenex.api import openapi_streams
from tenex.rest.examples import example
from tenex.rest.schema import error_examples

_ERROR = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ApplicationError"}}}}
_MEDIA: dict[str, Any] = {
    "operationId": "recordings_media",
    "summary": "Play a recording",
    "description": "The `url` of `GET /calls/{id}/recording`. Takes range requests; the token is the "
    "credential.",
    "tags": ["Calls"],
    "security": [],
    "parameters": [
        {
            "in": "path",
            "name": "recording_id",
            "required": True,
            "schema": {"type": "string", "format": "uuid"},
        },
        {
            "in": "query",
            "name": "token",
            "required": True,
            "schema": {"type": "string"},
            "description": "Of the link.",
        },
        {"in": "header", "name": "Range", "schema": {"type": "string"}, "description": "One range of bytes."},
    ],
    "responses": {
        "200": {"description": "The whole file.", "content": {"audio/wav": {"schema": {"type": "string"}}}},
        "206": {"description": "The range.", "content": {"audio/wav": {"schema": {"type": "string"}}}},
        "401": {**_ERROR, "description": "The link is not valid (any more)."},
        "404": {**_ERROR, "description": "There is no such recording."},
        "410": {**_ERROR, "description": "It was deleted or its retention is over (`recording_expired`)."},
        "416": {**_ERROR, "description": "The range lies outside the file (`range_not_satisfiable`)."},
    },
}


def finish(result: dict[str, Any], generator: object, request: object, public: bool) -> dict[str, Any]:
    """drf-spectacular's last step."""
    paths = result["paths"]
    paths["/api/v1/voice/calls/{call_id}/stream"] = {"get": deepcopy(openapi_streams.CALL)}
    paths["/api/v1/voice/stream"] = {"get": deepcopy(openapi_streams.WORKSPACE)}
    paths["/api/v1/voice/recordings/{recording_id}/media"] = {"get": _MEDIA}
    result["paths"] = dict(sorted(paths.items()))
    _named_as_written(result)
    for item in result["paths"].values():
        for operation in item.values():
            _complete(operation, result["components"]["schemas"])
    return result


def _complete(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """An example for every body, what each answer is, an example for each parameter."""
    if "requestBody" in operation:
        operation["requestBody"]["required"] = _needed(operation["requestBody"]["content"], schemas)
        for content in operation["requestBody"]["content"].values():
            _with_example(content, schemas)
    for status, answer in operation["responses"].items():
        answer["description"] = answer.get("description") or HTTPStatus(int(status)).phrase + "."
        for kind, content in answer.get("content", {}).items():
            if kind != "application/json":
                continue
            known = error_examples(status, answer["description"])
            if known is None:
                _with_example(content, schemas)
            else:
                content["example"] = known
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            made = example(parameter["schema"], schemas, name=parameter["name"])
            parameter.setdefault("example", made)
            parameter.setdefault("description", f"Id of the {parameter['name'].removesuffix('_id')}.")


def _needed(content: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Whether a request must have a body. One of which no field is required may be left out."""
    schema = content.get("application/json", {}).get("schema", {})
    named = schemas.get(schema.get("$ref", "").rpartition("/")[2])
    return named is None or bool(named.get("required") or {"if", "anyOf"} & set(named))


def _with_example(content: dict[str, Any], schemas: dict[str, Any]) -> None:
    """One that was written by hand stays."""
    if "example" not in content and "examples" not in content:
        content["example"] = example(content["schema"], schemas)


def _named_as_written(document: dict[str, Any]) -> None:
    """Inputs under the names of their classes, and as strict as they are: no other fields.

    The generator calls them `PatchedLeadPatchInRequest`, to tell them from outputs of the same class.
    """
    schemas = document["components"]["schemas"]
    names = {name: name.removeprefix("Patched").removesuffix("Request") for name in schemas}
    for name, schema in schemas.items():
        if name.endswith("InRequest"):
            schema["additionalProperties"] = False
            _no_nul(schema)
    document["components"]["schemas"] = {names[name]: schemas[name] for name in sorted(schemas)}
    _rename(document, names)


def _no_nul(node: Any) -> None:
    """PostgreSQL cannot keep U+0000, so no text of a request may hold it."""
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _no_nul(inner)
    if (
        isinstance(node, dict)
        and (node.get("type") == "string" or node.get("type") == ["string", "null"])
        and not {"enum", "pattern", "format", "const"} & set(node)
    ):
        node["pattern"] = "^[^\\u0000]*$"


def _rename(node: Any, names: dict[str, str]) -> None:
    """References in place."""
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _rename(inner, names)
    if isinstance(node, dict) and isinstance(ref := node.get("$ref"), str):
        head, _, name = ref.rpartition("/")
        node["$ref"] = f"{head}/{names.get(name, name)}"
