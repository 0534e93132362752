"""Query counts are pinned: a list costs the same for one row as for many, and each route what the file says.

After a change that is meant: `PIN_QUERIES=1 pytest tests/api/test_queries.py` writes the file anew.
"""

import json
import os
import uuid
from pathlib import Path

from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.services import import_run
from tests.api.routes import Route, all_routes
from tests.api.test_tenants import fill, ids
from tests.api.world import Tenant, decided, finished_call
from voice.models import Batch, Recipient

PINNED = Path(__file__).with_name("query_counts.json")
READ = [
    r for r in all_routes() if "GET" in r.methods and not r.path.endswith(("/stream", "/media", "/export"))
]


def count(tenant: Tenant, route: Route) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert tenant.api.get(fill(route, ids(tenant))).status_code == 200
    return len(queries)


def grow(tenant: Tenant) -> None:
    """Nine more of what is listed."""
    for n in range(9):
        call = finished_call(tenant.workspace, tenant.agent, tenant.number, tenant.lead)
        batch = Batch.objects.create(
            workspace=tenant.workspace, objective="o", agent=tenant.agent, number=tenant.number
        )
        made = tenant.api.post(
            "/api/v1/crm/leads", {"first_name": f"L{n}", "organization": f"Firm {n}"}
        ).json()
        Recipient.objects.create(workspace=tenant.workspace, batch=batch, lead=tenant.lead, position=1)
        row = Recipient.objects.create(
            workspace=tenant.workspace, batch=tenant.batch, lead_id=made["id"], position=n + 2
        )
        type(call).objects.filter(pk=call.pk).update(batch=tenant.batch, recipient=row)
        decided(row, call)
        for path, body in (
            ("voice/agents", {"name": f"A{n}", "system_prompt": "x"}),
            ("voice/profiles", {"name": f"P{n}"}),
            ("voice/numbers", {"e164": f"+1415555020{n}", "configure": False}),
            ("voice/webhooks", {"url": "http://127.0.0.1:9/x"}),
            ("crm/suppressions", {"phone": f"+1415555030{n}"}),
            ("crm/organizations", {"name": f"More {n}"}),
            ("crm/custom-fields", {"key": f"key_{n}", "type": "text"}),
            ("crm/segments", {"name": f"S{n}", "kind": "rules", "rules": {"all": []}}),
            (
                f"crm/leads/{tenant.lead.id}/consents",
                {"purpose": "marketing", "source": "form", "given_at": "2026-01-01T00:00:00Z"},
            ),
            ("admin/api-keys", {"name": "k"}),
        ):
            assert tenant.api.post(f"/api/v1/{path}", body).status_code == 201, path
        members = f"/api/v1/crm/segments/{tenant.crm['segment_id']}/leads"
        assert tenant.api.post(members, {"lead_ids": [made["id"]]}).json() == {"changed": 1}
        csv = b"name,phone\nA,x\nB,y\n"
        sent = tenant.api.post("/api/v1/crm/leads/imports", csv, content_type="text/csv")
        assert sent.status_code == 202
        tenant.api.patch(f"/api/v1/voice/agents/{tenant.agent.id}", {"objective": f"o{n}"})


def test_reads_cost_what_is_pinned_however_many_rows(alice: Tenant) -> None:
    alice.api.get("/api/v1/voice/settings")  # the key's first use is noted
    few = {route.path: count(alice, route) for route in READ}
    grow(alice)
    import_run.run(uuid.UUID(alice.crm["import_id"]), slice_s=60)
    many = {route.path: count(alice, route) for route in READ}
    assert many == few, "a list costs more with more rows"
    if os.environ.get("PIN_QUERIES"):
        PINNED.write_text(json.dumps(few, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    assert few == json.loads(PINNED.read_text(encoding="utf-8"))
