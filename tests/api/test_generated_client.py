"""A client that somebody else's generator makes of our description works against the real server."""

import importlib
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.api.live_server import serve
from tests.api.world import PASSWORD, Tenant

pytestmark = pytest.mark.django_db(transaction=True)
# What is no JSON the generator leaves out and says so: sound and event streams have clients of their own.
_OTHER_MEDIA = ("audio/wav", "text/event-stream", "text/csv", "text/vtt", "application/octet-stream")


class Generated:
    """The client's package: `of("leads.leads_create")` is an operation, `model("LeadIn")` a class."""

    def __init__(self, base_url: str, token: str = "") -> None:
        self._url, self._token = base_url, token

    def call(self, operation: str, /, **arguments: Any) -> Any:
        """The status and the decoded answer."""
        kit = importlib.import_module("generated_tenex")
        module = importlib.import_module(f"generated_tenex.api.{operation}")
        made = kit.AuthenticatedClient(self._url, self._token) if self._token else kit.Client(self._url)
        with made as client:
            answer = module.sync_detailed(client=client, **arguments)
        return answer.status_code.value, answer.parsed


def model(name: str, /, **fields: Any) -> Any:
    return getattr(importlib.import_module("generated_tenex.models"), name)(**fields)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Generated out of the document that we publish."""
    folder = tmp_path_factory.mktemp("client")
    document = folder / "openapi.json"
    call_command("openapi", str(document))
    tools = str(Path(sys.executable).parent)
    command = [f"{tools}/openapi-python-client", "generate", f"--path={document}", "--meta=none"]
    made = subprocess.run(
        [*command, f"--output-path={folder / 'generated_tenex'}"],
        cwd=folder,
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    complaints = [one for one in made.stdout.split("WARNING")[1:] if not any(m in one for m in _OTHER_MEDIA)]
    assert complaints == []
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.startswith("generated_tenex")]:
        del sys.modules[name]


@pytest.fixture
def server(package: Path) -> Iterator[str]:
    with serve() as url:
        yield url


def test_it_signs_in_mints_a_key_and_works_with_it(server: str, alice: Tenant) -> None:
    status, token = Generated(server).call(
        "users_and_keys.users_login", body=model("LoginIn", email=alice.owner.email, password=PASSWORD)
    )
    assert status == 200
    signed_in = Generated(server, token.access_token)
    status, key = signed_in.call("users_and_keys.api_keys_create", body=model("ApiKeyIn", name="generated"))
    assert status == 201
    api = Generated(server, key.secret)

    status, lead = api.call(
        "leads.leads_create",
        body=model("LeadIn", first_name="Grace", phone="+14155550190"),
        idempotency_key="generated-1",
    )
    assert (status, lead.first_name, lead.phone) == (201, "Grace", "+14155550190")
    status, again = api.call(
        "leads.leads_create",
        body=model("LeadIn", first_name="Grace", phone="+14155550190"),
        idempotency_key="generated-1",
    )
    assert (status, again.id) == (201, lead.id)

    wanted = model("BatchIn", lead_ids=[lead.id], objective="Book a demo")
    status, batch = api.call("batches.batches_create", body=wanted)
    assert (status, [one.code for one in batch.rejected]) == (201, ["no_consent"])
    models = importlib.import_module("generated_tenex.models")
    agreed = models.ConsentIn.from_dict(
        {"purpose": "marketing", "source": "form", "given_at": datetime.now(UTC).isoformat()}
    )
    status, consent = api.call("consents.consents_create", lead_id=lead.id, body=agreed)
    assert (status, consent.state) == (201, "active")
    status, batch = api.call("batches.batches_create", body=wanted)
    assert (status, batch.accepted) == (201, 1)
    status, decided = api.call("decisions.decisions_list", lead_id=lead.id)
    assert [one.code for one in decided.items][-1] == "no_consent"
    status, results = api.call("batches.batches_results", batch_id=batch.id)
    assert [one.lead_id for one in results.items] == [lead.id]


def test_it_walks_a_list_by_cursor_and_reads_a_call(server: str, alice: Tenant) -> None:
    api = Generated(server, alice.api.token)
    for number in range(3):
        api.call("leads.leads_create", body=model("LeadIn", first_name=f"Lead {number}"))
    seen: list[uuid.UUID] = []
    cursor: dict[str, str] = {}
    while True:
        status, page = api.call("leads.leads_list", limit=2, **cursor)
        assert status == 200
        seen += [one.id for one in page.items]
        if page.next_cursor is None:
            break
        cursor = {"cursor": page.next_cursor}
    assert len(seen) == len(set(seen)) == 4
    status, call = api.call("calls.calls_get", call_id=alice.call.pk)
    assert (status, call.id, call.verdict.qualification) == (200, alice.call.pk, "qualified")
    status, told = api.call("calls.calls_transcript", call_id=alice.call.pk)
    assert [one.type_ for one in told.items]


def test_errors_come_as_their_types(server: str, alice: Tenant, charlie: Tenant) -> None:
    api = Generated(server, alice.api.token)
    status, missing = api.call("leads.leads_get", lead_id=charlie.lead.pk)
    assert (status, missing.code) == (404, "not_found")
    status, wrong = api.call("leads.leads_create", body=model("LeadIn", phone="12"))
    assert (status, wrong.detail[0].loc) == (422, ["body", "phone"])
    status, nobody = Generated(server, "tnx_nobody").call("leads.leads_list")
    assert (status, nobody.code) == (401, "unauthorized")
