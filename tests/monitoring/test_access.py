"""Who may read the figures, and what a reader finds where."""

import runpy

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django import Settings as SettingsWrapper

from tenex.monitoring import listener, text
from tenex.server.roles import ServerRole, answers
from tenex.settings import BASE_DIR
from tests.monitoring.scrapes import RIGHT, TOKEN, get, value

BOTH = ("/healthz/metrics", "/healthz/metrics/system")


@pytest.mark.parametrize("path", BOTH)
def test_without_a_token_of_the_settings_there_is_nothing(path: str, client: Client) -> None:
    assert client.get(path).status_code == 404
    assert client.get(path, headers={"Authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", TOKEN, f"Bearer {TOKEN}x", "Bearer é", f"Basic {TOKEN}"]
)
def test_without_the_token_nobody_reads(
    path: str, given: str, client: Client, settings: SettingsWrapper
) -> None:
    settings.METRICS_TOKEN = TOKEN
    answer = client.get(path, headers={"Authorization": given} if given else {})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer.content == b""


def test_figures_of_the_process_need_no_database(
    client: Client, settings: SettingsWrapper, db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.METRICS_TOKEN = TOKEN
    settings.ROLE = "media"
    with django_assert_num_queries(0):
        answer = client.get(BOTH[0], headers=RIGHT)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert value(answer.content.decode(), "tenex_process_live_calls", role="media") == 0
    assert client.post(BOTH[0], headers=RIGHT).status_code == 405


def test_a_media_process_leaves_the_installation_to_others(client: Client, settings: SettingsWrapper) -> None:
    settings.METRICS_TOKEN = TOKEN
    settings.ROLE = "media"
    assert client.get(BOTH[1], headers=RIGHT).status_code == 404
    assert all(answers(role, "http", BOTH[0]) for role in ServerRole)


@pytest.mark.django_db
def test_both_formats_are_spoken(client: Client, settings: SettingsWrapper) -> None:
    settings.METRICS_TOKEN = TOKEN
    for path in BOTH:
        plain = client.get(path, headers=RIGHT)
        assert plain["Content-Type"].startswith("text/plain; version=0.0.4")
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        new = client.get(path, headers=RIGHT | accept)
        assert new["Content-Type"].startswith("application/openmetrics-text")
        assert new.content.endswith(b"# EOF\n")


def test_a_port_of_its_own_is_guarded_alike(settings: SettingsWrapper) -> None:
    settings.METRICS_TOKEN = TOKEN
    server = listener.listen("127.0.0.1", 0)
    try:
        at = f"http://127.0.0.1:{server.server_address[1]}"
        assert get(f"{at}{BOTH[0]}", "wrong") == (401, "")
        assert get(f"{at}/admin/")[0] == get(f"{at}{BOTH[1]}")[0] == 404
        status, told = get(f"{at}{BOTH[0]}")
        assert status == 200
        assert value(told, "tenex_process_live_calls", role=text.role_here()) == 0
        settings.METRICS_TOKEN = ""
        assert get(f"{at}{BOTH[0]}") == (404, "")
    finally:
        server.shutdown()
        server.server_close()


def test_a_short_token_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_TOKEN", "guessme")
    with pytest.raises(ImproperlyConfigured, match="METRICS_TOKEN must have 20 characters"):
        runpy.run_path(str(BASE_DIR / "tenex" / "settings.py"))
