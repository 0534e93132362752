"""The page, the rules and the endpoint speak of the same figures."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from prometheus_client.samples import Sample
from pytest_django import Settings as SettingsWrapper

import tenex.asgi  # noqa: F401 - what a server has loaded
import voice.postcall.judge
import voice.postcall.pipeline  # noqa: F401 - what a worker has loaded
from tenex.monitoring import counts
from tests.monitoring.scrapes import RIGHT, TOKEN, samples

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "tenex.rules.yml"
OF_PROMETHEUS = {"up"}
_MATCHER = re.compile(r"(tenex_\w+|up)(?:\{([^}]*)\})?")


@pytest.fixture
def told(client: Client, settings: SettingsWrapper, db: None) -> str:
    settings.METRICS_TOKEN = TOKEN
    paths = ("/healthz/metrics", "/healthz/metrics/system")
    return "".join(client.get(path, headers=RIGHT).content.decode() for path in paths)


def _rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def test_the_page_has_every_figure_in_the_words_of_the_endpoint(told: str) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    written = dict(re.findall(r"^\| `(tenex_\w+)` \| [^|]* \| (.*) \|$", page, re.MULTILINE))
    assert written == dict(re.findall(r"^# HELP (tenex_\w+) (.*)$", told, re.MULTILINE))


def test_the_page_has_every_label(told: str) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(tenex_\w+)` \| ([^|]*) \| .* \|$", page, re.MULTILINE)
    written = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    for one in samples(told):
        name = re.sub(r"_(bucket|count|sum)$", "", one.name) if one.name not in written else one.name
        if name in written:
            assert set(one.labels) - {"role", "le"} == written[name], one.name
    assert all(name.endswith("_total") or not _is_counter(told, name) for name in written)


def _is_counter(told: str, name: str) -> bool:
    return f"# TYPE {name} counter" in told


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: str(rule["alert"]))
def test_a_rule_asks_for_what_is_there(rule: dict[str, Any], told: str) -> None:
    """Each name, each label and each value that it looks for; a word of why somebody should get up."""
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert {"summary", "reason"} == set(rule["annotations"])
    found = samples(told)
    looked_for = _MATCHER.findall(rule["expr"])
    assert looked_for
    for name, matchers in looked_for:
        if name in OF_PROMETHEUS:
            continue
        mine = [one for one in found if one.name == name] or _without_samples(name)
        assert mine, name
        for label, how, wanted in re.findall(r'(\w+)(=~?)"([^"]*)"', matchers):
            have = {one.labels.get(label, "") for one in mine}
            for value in wanted.split("|"):
                matches = re.fullmatch if how == "=~" else lambda text, other: text == other
                assert label == "role" or any(matches(value, other) for other in have), (name, label, value)


def _without_samples(name: str) -> list[Sample]:
    """Of histograms whose children appear with the first observation: their names alone."""
    made = {
        f"{metric._name}{end}" for metric in (counts.TOOL_RUN, counts.TASKS) for end in ("_bucket", "_count")
    }
    return [Sample(name, {}, 0.0)] if name in made else []


def test_the_example_scrapes_what_the_units_serve() -> None:
    jobs = yaml.safe_load((RULES.parent / "prometheus.yml").read_text(encoding="utf-8"))
    assert jobs["rule_files"] == [RULES.name]
    by_name = {job["job_name"]: job for job in jobs["scrape_configs"]}
    assert {name: job["metrics_path"] for name, job in by_name.items()} == {
        "tenex": "/healthz/metrics",
        "tenex-system": "/healthz/metrics/system",
    }
    targets = {
        name: {target for group in job["static_configs"] for target in group["targets"]}
        for name, job in by_name.items()
    }
    units = ROOT / "deploy" / "systemd"
    web = re.search(r"--port (\d+)", (units / "tenex-web.service").read_text())
    wanted = re.findall(r"tenex-(media|worker)@(\d+)", (units / "tenex.target").read_text())
    worker = re.search(r"WORKER_METRICS_PORT=(\d+)%i", (units / "tenex-worker@.service").read_text())
    assert web is not None
    assert worker is not None
    ports = {web[1], *(place if role == "media" else worker[1] + place for role, place in wanted)}
    assert targets["tenex"] == {f"127.0.0.1:{port}" for port in ports}
    assert targets["tenex-system"] == {f"127.0.0.1:{web[1]}"}
    for name in ("Caddyfile", "Caddyfile.compose"):
        assert "handle /healthz/metrics* {\n\t\trespond 404" in (ROOT / "deploy" / name).read_text()
