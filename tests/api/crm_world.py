"""One of everything that the CRM has, for a tenant."""

import io
from datetime import timedelta

from django.utils import timezone

from crm.calendars.availability import Period
from crm.models import Chunk, Lead, OnDuplicate
from crm.services import calendars, connectors, consents, fields, imports, knowledge, segments
from crm.services.imports import Options
from tenex.workspaces.models import Workspace

CSV = b"first name,phone\nBea,+14155550177\nNobody,12\n"


def make(workspace: Workspace, lead: Lead) -> dict[str, str]:
    """Path parameter -> the tenant's own."""
    field = fields.create(
        workspace, key="plan", type_="choice", choices=["free", "pro"], actor="system:tests"
    )
    segment = segments.create(workspace, name="By hand", kind="static", actor="system:tests")
    segments.add(workspace, segment.id, [lead.id])
    consent = consents.add(
        workspace,
        lead.id,
        purpose="marketing",
        source="web form",
        proof="I agree to be called.",
        given_at=timezone.now(),
        actor="system:tests",
    )
    options = Options(on_duplicate=OnDuplicate.SKIP)
    row = imports.create(
        workspace, io.BytesIO(CSV), file_name="leads.csv", options=options, actor="system:tests"
    )
    calendar = connectors.create(workspace, {"name": "By hand", "time_zone": "UTC"}, actor="system:tests")
    start = (timezone.now() + timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
    meeting = calendars.book(
        calendar, Period(start, start + timedelta(minutes=30)), lead, now=timezone.now(), title="Meeting"
    )
    document = knowledge.create_text(
        workspace, title="Terms", text="# Refunds\nWe refund within thirty days.", actor="system:tests"
    )
    return {
        "document_id": str(document.pk),
        "chunk_id": str(Chunk.objects.get(document=document).pk),
        "connector_id": str(calendar.id),
        "meeting_id": str(meeting.id),
        "organization_id": str(lead.company_id),
        "field_id": str(field.id),
        "segment_id": str(segment.id),
        "consent_id": str(consent.id),
        "import_id": str(row.id),
    }
