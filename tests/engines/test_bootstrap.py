"""Which entry points start engines, and what they leave in the environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tenex.engines.account import Account, can_walk_to
from tenex.engines.bootstrap import command_needs_engines, ensure_environment

PROJECT = Path(__file__).resolve().parents[2]
SHOW = """
import json, os, subprocess, sys
from tenex.engines.bootstrap import ensure_environment
ensure_environment()
names = ("DATABASE_URL", "REDIS_URL", "TENEX_ENGINES")
found = {name: os.environ[name] for name in names}
if len(sys.argv) > 1:
    command = [sys.executable, "-c", sys.argv[1]]
    print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
else:
    print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("up", True),
        ("migrate", True),
        ("shell", True),
        ("check", True),
        ("collectstatic --noinput", False),
        ("help migrate", False),
        ("migrate --help", False),
        ("--version", False),
        ("", False),
    ],
)
def test_command_needs_engines(line: str, needed: bool) -> None:
    assert command_needs_engines(line.split()) is needed


def test_addresses_from_outside_keep_the_engines_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://somewhere/else")
    monkeypatch.setenv("REDIS_URL", "redis://somewhere/0")
    monkeypatch.setenv("TENEX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("TENEX_ENGINES", raising=False)
    assert ensure_environment() is None
    assert not (tmp_path / "data").exists()


def _environment(data_dir: Path, **more: str) -> dict[str, str]:
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "REDIS_URL", "TENEX_ENGINES")
    }
    return env | {"TENEX_DATA_DIR": str(data_dir), "PYTHONPATH": str(PROJECT)} | more


def test_only_the_missing_engine_is_started(tmp_path: Path) -> None:
    env = _environment(tmp_path, DATABASE_URL="postgres://somewhere/else")
    done = subprocess.run([sys.executable, "-c", SHOW], env=env, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["DATABASE_URL"] == "postgres://somewhere/else"
    assert found["REDIS_URL"].startswith("redis://")
    assert not (tmp_path / "postgres").exists()


def test_child_uses_and_holds_its_parents_engines(tmp_path: Path) -> None:
    env = _environment(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SHOW, SHOW], env=env, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["TENEX_ENGINES"] == f"postgres+valkey:{tmp_path}"
    assert "host=%2F" in found["DATABASE_URL"], "a Unix socket"


def test_engine_that_cannot_start_ends_the_command_in_one_line(tmp_path: Path) -> None:
    cluster = tmp_path / "postgres" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9\n")
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate"],
        cwd=PROJECT,
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("tenex: ")
    assert "Traceback" not in done.stderr


def test_can_walk_to_asks_every_folder_above(tmp_path: Path) -> None:
    stranger = Account("stranger", 54321, 54321)
    open_folder = tmp_path / "open"
    closed = open_folder / "closed"
    closed.mkdir(parents=True)
    (closed / "file").touch()
    closed.chmod(0o700)
    assert not can_walk_to(stranger, closed / "file")
    assert can_walk_to(Account("owner", closed.stat().st_uid, 0), Path("/usr/bin/env"))
