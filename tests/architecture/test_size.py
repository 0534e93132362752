"""Modules stay small enough to read (docs/architecture.md): no file above 500 lines, no function above 60."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = [
    path
    for top in ("tenex", "crm", "voice", "bench", "prove")
    for path in sorted((ROOT / top).rglob("*.py"))
    if "migrations" not in path.parts
]


def test_there_is_code_to_measure() -> None:
    assert len(CODE) > 50


def test_no_module_is_longer_than_500_lines() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in CODE}
    assert {name: lines for name, lines in long.items() if lines > 500} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    long = {}
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body
                documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
                start = body[0].end_lineno if documented and len(body) > 1 else node.lineno
                lines = (node.end_lineno or 0) - (start or 0)
                if lines > 60:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert long == {}


def test_there_is_no_drawer_called_utils() -> None:
    names = {path.stem for path in CODE} | {path.parent.name for path in CODE}
    assert not names & {"utils", "util", "common", "helpers", "helper", "misc", "manager", "managers"}
