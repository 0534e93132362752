"""The description says what is there: valid OpenAPI 3.1, every route, every operation complete."""

from typing import Any

import jsonschema
import pytest
from django.core.management import call_command

from tests.api.routes import all_routes
from tests.api.world import Api, Tenant

METHODS = {"get", "post", "put", "patch", "delete"}
NO_BODY_ANSWERS = {"204"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    answer = Api().get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(p, m, o) for p, item in document["paths"].items() for m, o in item.items() if m in METHODS]


def test_it_describes_every_route_and_no_other(document: dict[str, Any]) -> None:
    described = {(path, method.upper()) for path, method, _ in operations(document)}
    routed = {(route.path, method) for route in all_routes() for method in route.methods}
    assert described == routed


def test_every_operation_is_complete(document: dict[str, Any]) -> None:
    seen = set()
    for path, method, one in operations(document):
        where = f"{method} {path}"
        assert one["operationId"] not in seen, where
        seen.add(one["operationId"])
        assert one["summary"], where
        assert one["description"], where
        assert one["tags"], where
        assert one["security"] or path.endswith("/media"), where
        assert "429" in one["responses"] or path.endswith("/media"), where
        if "{" in path:
            assert "404" in one["responses"], where
        if "requestBody" in one:
            assert {"400", "413", "415", "422"} <= set(one["responses"]), where
        for parameter in one.get("parameters", []):
            described = parameter.get("description") or parameter["in"] == "path"
            assert described, f"{where}: {parameter['name']}"
        for status, answer in one["responses"].items():
            assert answer.get("content") or status in NO_BODY_ANSWERS, f"{where} {status}"


def test_every_scope_that_is_asked_for_exists(document: dict[str, Any]) -> None:
    from tenex.workspaces.scopes import SCOPES

    asked = {
        scope
        for _, _, one in operations(document)
        for requirement in one["security"]
        for scopes in requirement.values()
        for scope in scopes
    }
    of_pages = {scope for scope in SCOPES if scope.startswith("live:")}
    assert asked == set(SCOPES) - of_pages


def test_no_schema_says_anything_goes(document: dict[str, Any]) -> None:
    allowed = {"TranscriptItemOut.output"}  # what a tool answered: any JSON
    for name, schema in document["components"]["schemas"].items():
        for field, inner in schema.get("properties", {}).items():
            said = set(inner) - {"description", "readOnly", "title", "default"}
            assert said or f"{name}.{field}" in allowed, f"{name}.{field}"


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    known = document["components"]["schemas"]
    used: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                used.add(node["$ref"].rsplit("/", 1)[1])
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    walk(document)
    assert used <= set(known)
    for schema in known.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_real_answers_fit_their_schema(document: dict[str, Any], alice: Tenant) -> None:
    from tests.api.test_tenants import fill, ids

    for route in all_routes():
        if "GET" not in route.methods or route.path.endswith(("/stream", "/media", "/export")):
            continue
        answer = alice.api.get(fill(route, ids(alice)))
        assert answer.status_code == 200
        said = document["paths"][route.path]["get"]["responses"]["200"]["content"]["application/json"][
            "schema"
        ]
        schema = {**said, "components": document["components"]}
        jsonschema.validate(answer.json(), schema)


def test_it_is_cached_and_revalidated() -> None:
    first = Api().get("/openapi.json")
    assert Api().get("/openapi.json", If_None_Match=first["ETag"]).status_code == 304


def test_the_docs_page_needs_no_other_host() -> None:
    page = Api().get("/docs")
    assert page.status_code == 200
    assert "default-src 'self'" in page["Content-Security-Policy"]
    assert b"http://" not in page.content
    assert b"https://" not in page.content
    assert Api().get("/").url == "/console/"


def test_the_published_document_is_this_one() -> None:
    call_command("openapi", "--check")


def test_every_body_and_every_answer_has_an_example_that_fits(document: dict[str, Any]) -> None:
    for path, method, one in operations(document):
        bodies = [("request", one["requestBody"])] if "requestBody" in one else []
        for where, described in [*bodies, *one["responses"].items()]:
            for kind, content in described.get("content", {}).items():
                if kind != "application/json":
                    continue
                shown = [content["example"]] if "example" in content else content["examples"].values()
                for value in shown:
                    schema = {**content["schema"], "components": document["components"]}
                    try:
                        jsonschema.validate(value, schema, format_checker=jsonschema.FormatChecker())
                    except jsonschema.ValidationError as exc:
                        raise AssertionError(f"{method} {path} {where}: {exc.message}") from exc
        for status, answer in one["responses"].items():
            assert answer["description"], f"{method} {path} {status}"


def test_the_security_scheme_that_operations_name_is_there(document: dict[str, Any]) -> None:
    named = {name for _, _, one in operations(document) for way in one["security"] for name in way}
    assert named == set(document["components"]["securitySchemes"]) == {"bearer"}
