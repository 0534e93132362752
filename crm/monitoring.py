"""What operators' monitoring is told of knowledge, calendars and imports (docs/monitoring.md)."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import Metric

from crm.models import DocumentStatus
from crm.models.calendars import AccountState
from tenex.monitoring.families import gauge, gauge_by, row, rows

PART: Final = "crm"


def families() -> Iterator[Metric]:
    yield from _knowledge()
    yield from _calendars()
    yield from _imports()


def _knowledge() -> Iterator[Metric]:
    yield gauge_by(
        "status",
        "tenex_knowledge_documents",
        "Documents, by the state of their newest version.",
        dict(rows("SELECT status, count(*) FROM crm_document GROUP BY status")),
        DocumentStatus.values,
    )
    (oldest,) = row("SELECT now() - min(created_at) FROM crm_documentversion WHERE status = 'pending'")
    yield gauge(
        "tenex_knowledge_pending_oldest_seconds", "How long the oldest version waits to be indexed.", oldest
    )


def _calendars() -> Iterator[Metric]:
    found = rows(
        "SELECT a.state, count(*) FROM crm_calendaraccount a JOIN crm_calendar c ON c.id = a.calendar_id"
        " WHERE c.archived_at IS NULL GROUP BY a.state"
    )
    yield gauge_by(
        "state",
        "tenex_calendar_connections",
        "Connections to calendars elsewhere: `failing` do not answer, `refused` want to be connected anew.",
        dict(found),
        AccountState.values,
    )
    due, oldest = row(
        "SELECT count(*) FILTER (WHERE sync_at <= now()), now() - min(sync_since)"
        " FROM crm_meeting WHERE sync_at IS NOT NULL"
    )
    yield gauge("tenex_meetings_to_tell", "Meetings that a calendar elsewhere has to be told of now.", due)
    yield gauge("tenex_meetings_to_tell_oldest_seconds", "How long the oldest of them is not told.", oldest)
    mails, late = row(
        "SELECT count(*), now() - min(next_at) FROM crm_meetingmail"
        " WHERE status = 'pending' AND next_at <= now()"
    )
    yield gauge("tenex_meeting_mails_due", "Invitations and cancellations to be sent now.", mails)
    yield gauge("tenex_meeting_mails_due_oldest_seconds", "How long the oldest of them is due.", late)


def _imports() -> Iterator[Metric]:
    count, oldest = row(
        "SELECT count(*), now() - min(created_at) FROM crm_leadimport WHERE status IN ('queued', 'running')"
    )
    yield gauge("tenex_imports_open", "Files of leads that are being read.", count)
    yield gauge("tenex_imports_open_oldest_seconds", "How long ago the first of them was uploaded.", oldest)
