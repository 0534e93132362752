"""What the generator cannot see: the routes that are plain async views, and the tags' order."""

from typing import Any

from tenex.api import openapi_streams

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
    paths["/api/v1/voice/calls/{call_id}/stream"] = {"get": openapi_streams.CALL}
    paths["/api/v1/voice/stream"] = {"get": openapi_streams.WORKSPACE}
    paths["/api/v1/voice/recordings/{recording_id}/media"] = {"get": _MEDIA}
    result["paths"] = dict(sorted(paths.items()))
    return _named_as_written(result)


def _named_as_written(document: dict[str, Any]) -> dict[str, Any]:
    """Inputs under the names of their classes, and as strict as they are: no other fields.

    The generator calls them `PatchedLeadPatchInRequest`, to tell them from outputs of the same class.
    """
    schemas = document["components"]["schemas"]
    names = {name: name.removeprefix("Patched").removesuffix("Request") for name in schemas}
    for name, schema in schemas.items():
        if name.endswith("InRequest"):
            schema["additionalProperties"] = False
    document["components"]["schemas"] = {names[name]: schemas[name] for name in sorted(schemas)}
    _rename(document, names)
    return document


def _rename(node: Any, names: dict[str, str]) -> None:
    """References in place."""
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _rename(inner, names)
    if isinstance(node, dict) and isinstance(ref := node.get("$ref"), str):
        head, _, name = ref.rpartition("/")
        node["$ref"] = f"{head}/{names.get(name, name)}"
