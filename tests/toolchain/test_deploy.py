"""What operators copy names every setting, and waits longer than a drain takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
DEPLOY = PROJECT / "deploy"
# Read by a library of ours, not by settings.py.
OF_LIBRARIES = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "FORWARDED_ALLOW_IPS", "TENEX_POSTGRES_ACCOUNT"}
DRAIN_TIMEOUT_S = 3600


def test_environment_example_names_exactly_the_settings() -> None:
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z0-9_]+)\"", (PROJECT / "tenex" / "settings.py").read_text()))
    named = set(re.findall(r"^#?([A-Z0-9_]+)=", (DEPLOY / "tenex.env.example").read_text(), re.MULTILINE))
    assert named == read | OF_LIBRARIES


def test_media_unit_waits_longer_than_a_drain() -> None:
    unit = (DEPLOY / "systemd" / "tenex-media@.service").read_text()
    stop = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert stop is not None
    assert int(stop[1]) > DRAIN_TIMEOUT_S
    assert "KillSignal=SIGTERM" in unit
    assert "KillMode=mixed" in unit


@pytest.mark.parametrize("unit", sorted(path.name for path in (DEPLOY / "systemd").glob("*.service")))
def test_units_call_commands_that_exist(unit: str) -> None:
    text = (DEPLOY / "systemd" / unit).read_text()
    command = re.search(r"^ExecStart=/opt/tenex/\.venv/bin/python (.*)$", text, re.MULTILINE)
    assert command is not None
    words = command[1].split()
    if words[0] == "manage.py":
        assert (PROJECT / "tenex" / "management" / "commands" / f"{words[1]}.py").exists()
    else:
        assert words[:3] == ["-m", "celery", "--app"]
        assert words[3] == ("tenex.scheduler" if "beat" in unit else "tenex")


def test_target_starts_every_role() -> None:
    wanted = (DEPLOY / "systemd" / "tenex.target").read_text()
    assert all(f"tenex-{role}" in wanted for role in ("web", "media", "worker", "beat"))
    assert wanted.count("tenex-media@") >= 2


def test_compose_file_runs_every_role_and_lets_media_drain() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert {"web", "media-1", "media-2", "worker", "beat", "prepare", "postgres", "valkey"} <= set(services)
    for name in ("media-1", "media-2"):
        minutes = re.fullmatch(r"(\d+)m", services[name]["stop_grace_period"])
        assert minutes is not None
        assert int(minutes[1]) * 60 > DRAIN_TIMEOUT_S
