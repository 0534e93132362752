"""What is so of the installation, out of rows."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client.metrics_core import Metric
from pytest_django import Settings as SettingsWrapper

import tenex.webhooks.monitoring
import voice.monitoring
from crm.models import (
    Calendar,
    CalendarAccount,
    CalendarKind,
    Document,
    DocumentVersion,
    LeadImport,
    Meeting,
    MeetingStatus,
)
from tenex.events import services as events
from tenex.monitoring import installation
from tenex.webhooks.models import Delivery, WebhookSubscription
from tenex.webhooks.services import relay
from tenex.workspaces.models import Workspace
from tests import rows
from tests.monitoring.scrapes import RIGHT, TOKEN, samples, value
from voice.models import (
    Batch,
    Call,
    CallingSwitch,
    CallStatus,
    CarrierAccount,
    DialAttempt,
    Direction,
    Erasure,
    LegalHold,
    MediaProcess,
    PhoneNumber,
    Recipient,
    Recording,
)

pytestmark = pytest.mark.django_db
AGO = timedelta(minutes=10)
Scrape = Callable[..., float | None]


@pytest.fixture
def space() -> Workspace:
    return rows.workspace()


@pytest.fixture
def scrape(client: Client, settings: SettingsWrapper) -> Scrape:
    """`scrape(name, label=…)`: its value now."""
    settings.METRICS_TOKEN = TOKEN

    def read(name: str, **labels: str) -> float | None:
        answer = client.get("/healthz/metrics/system", headers=RIGHT)
        assert answer.status_code == 200
        return value(answer.content.decode(), name, **labels)

    return read


def _about(seconds: float) -> Any:
    return pytest.approx(seconds, abs=30)


def test_calls_by_direction_and_status(space: Workspace, scrape: Scrape) -> None:
    version = rows.version(space)
    rows.call(space, agent=version)
    late = timezone.now() - AGO
    rows.call(space, agent=version, status=CallStatus.RINGING, answered_at=None, sweep_at=late)
    rows.call(
        space,
        agent=version,
        status=CallStatus.QUEUED,
        direction=Direction.OUTBOUND,
        placed_at=None,
        answered_at=None,
    )
    rows.end(rows.call(space, agent=version))
    assert scrape("tenex_calls_live", direction="inbound", status="in_progress") == 1
    assert scrape("tenex_calls_live", direction="inbound", status="ringing") == 1
    assert scrape("tenex_calls_live", direction="outbound", status="queued") == 1
    assert scrape("tenex_calls_live") == 3
    assert scrape("tenex_call_sweep_late_seconds") == _about(600)
    assert scrape("tenex_slots_in_use", kind="media") == 2
    assert scrape("tenex_postcall_calls_waiting", tries="first") == 1
    assert scrape("tenex_postcall_oldest_seconds") == _about(60)


def test_media_processes_and_their_room(scrape: Scrape, settings: SettingsWrapper) -> None:
    settings.MODEL_SLOTS, settings.CARRIER_MAX_CALLS = 7, 0
    now = timezone.now()
    for name, draining, alive in (("a", False, True), ("b", True, True), ("c", False, False)):
        until = now + AGO if alive else now - AGO
        MediaProcess.objects.create(
            name=name, capacity=50, draining=draining, started_at=now, alive_until=until
        )
    assert scrape("tenex_media_processes", state="taking") == 1
    assert scrape("tenex_media_processes", state="draining") == 1
    assert scrape("tenex_slots", kind="media") == 50
    assert scrape("tenex_slots", kind="model") == 7
    assert scrape("tenex_slots", kind="lines") == float("inf")


def test_dialing(space: Workspace, scrape: Scrape, settings: SettingsWrapper) -> None:
    call = rows.call(space, status=CallStatus.DIALING, direction=Direction.OUTBOUND, answered_at=None)
    past = timezone.now() - AGO
    DialAttempt.objects.create(
        workspace=space, call=call, number=1, state="unknown", fence_until=past, posted_at=past, next_at=past
    )
    until_s = timezone.now().timestamp() + 40
    CarrierAccount.objects.create(sid="AC1", strikes=9, hold_until_s=until_s)
    CarrierAccount.objects.create(sid="AC2", strikes=1)
    settings.CARRIER_CALLS_PER_SECOND = 5
    assert scrape("tenex_calling_stopped") == 0
    CallingSwitch.objects.create(stopped_at=past)
    space.calling_paused_at = past
    space.save()
    assert scrape("tenex_dial_attempts_open", state="unknown") == 1
    assert scrape("tenex_dial_attempts_open") == 1
    assert scrape("tenex_dial_attempts_open_oldest_seconds", state="unknown") == _about(600)
    assert scrape("tenex_carrier_accounts_in_trouble") == 1
    assert scrape("tenex_carrier_hold_seconds") == pytest.approx(40, abs=20)
    assert scrape("tenex_carrier_starts_per_second_limit") == pytest.approx(5, rel=0.01)
    assert scrape("tenex_calling_stopped") == 1
    assert scrape("tenex_calling_paused_workspaces") == 1


def test_batches_and_whose_time_has_come(space: Workspace, scrape: Scrape) -> None:
    version = rows.version(space)
    number = PhoneNumber.objects.create(workspace=space, e164="+14155550100")

    def batch(**fields: Any) -> Batch:
        return Batch.objects.create(workspace=space, agent=version.agent, number=number, **fields)

    running, paused = batch(status="running"), batch(status="paused", pause_code="failures_jumped")
    batch(status="draft")
    batch(status="running", is_standing=True)
    now = timezone.now()
    waits = [(running, None), (running, now - AGO), (running, now + AGO), (paused, None)]
    for position, (whose, next_at) in enumerate(waits):
        lead = rows.lead(space, phone=f"+1415555020{position}")
        Recipient.objects.create(workspace=space, batch=whose, lead=lead, position=position, next_at=next_at)
    lead = rows.lead(space, phone="+14155550209")
    Recipient.objects.create(workspace=space, batch=running, lead=lead, position=9, status="calling")
    assert scrape("tenex_recipients_due") == 2
    assert scrape("tenex_recipients_calling") == 1
    assert scrape("tenex_batches_open", status="running") == 1
    assert scrape("tenex_batches_open", status="paused") == 1
    assert scrape("tenex_batches_paused", code="failures_jumped") == 1
    assert scrape("tenex_batches_paused", code="operator") == 0


def _finalized(space: Workspace, days: int, **fields: Any) -> Call:
    call = rows.end(rows.call(space, agent=fields.pop("agent")))
    at = timezone.now() - timedelta(days=days)
    Call.objects.filter(pk=call.pk).update(
        status="finalized", outcome="no-answer", finalized_at=timezone.now(), ended_at=at, answered_at=None,
        placed_at=None, **fields,
    )  # fmt: skip
    call.refresh_from_db()
    return call


def _recording(call: Call, **fields: Any) -> Recording:
    return Recording.objects.create(
        workspace_id=call.workspace_id, call=call, provider_sid=f"RE{Recording.objects.count()}", **fields
    )


def test_recordings(space: Workspace, scrape: Scrape) -> None:
    call = rows.call(space)
    old = _recording(call, problem="storage")
    Recording.objects.filter(pk=old.pk).update(created_at=timezone.now() - AGO)
    _recording(call)
    _recording(call, status="stored", file="a.wav")
    _recording(call, status="stored", file="b.wav", problem="altered", leftovers=["c.wav"])
    assert scrape("tenex_recordings_waiting") == 2
    assert scrape("tenex_recordings_waiting_failed") == 1
    assert scrape("tenex_recordings_waiting_oldest_seconds") == _about(600)
    assert scrape("tenex_recordings_problem", problem="storage") == 1
    assert scrape("tenex_recordings_problem", problem="altered") == 1
    assert scrape("tenex_recordings_problem", problem="missing") == 0
    assert scrape("tenex_recordings_unverified") == 1
    assert scrape("tenex_recordings_leftover") == 1


def test_what_should_be_deleted_by_now_and_is_not_held(space: Workspace, scrape: Scrape) -> None:
    version = rows.version(space)
    longest = max(
        space.transcript_retention_days, space.journal_retention_days, space.evidence_retention_days
    )
    past, held = (_finalized(space, longest + 2, agent=version) for _ in range(2))
    _finalized(space, longest + 2, agent=version, purged=7)
    _finalized(space, longest - 2, agent=version)
    late = timezone.now() - AGO
    for call in (past, held):
        _recording(call, status="stored", file=f"{call.pk}.wav", purge_after=late)
    LegalHold.objects.create(workspace=space, call=held, reason="court", held_by="test")
    assert scrape("tenex_purge_waiting", kind="recordings") == 1
    assert scrape("tenex_purge_late_seconds", kind="recordings") == _about(600)
    assert scrape("tenex_purge_waiting", kind="texts") == 1
    assert scrape("tenex_purge_late_seconds", kind="texts") == pytest.approx(2 * 86_400, abs=60)
    LegalHold.objects.create(workspace=space, reason="everything", held_by="test")
    assert scrape("tenex_purge_waiting") == 0
    asked = Erasure.objects.create(workspace=space, asked_by="test", phone="+14155550199")
    Erasure.objects.filter(pk=asked.pk).update(created_at=late)
    assert scrape("tenex_erasures_open") == 1
    assert scrape("tenex_erasures_open_oldest_seconds") == _about(600)


def test_knowledge_calendars_and_imports(space: Workspace, scrape: Scrape) -> None:
    waiting = Document.objects.create(workspace=space, title="A")
    Document.objects.create(workspace=space, title="B", status="failed")
    version = DocumentVersion.objects.create(workspace=space, document=waiting, number=1)
    DocumentVersion.objects.filter(pk=version.pk).update(created_at=timezone.now() - AGO)
    for name, state, gone in (
        ("x", "failing", None),
        ("y", "refused", None),
        ("z", "failing", timezone.now()),
    ):
        calendar = Calendar.objects.create(
            workspace=space, name=name, kind=CalendarKind.CALDAV, archived_at=gone
        )
        CalendarAccount.objects.create(calendar=calendar, workspace=space, state=state)
    late = timezone.now() - AGO
    meeting = Meeting.objects.create(
        workspace=space, calendar=calendar, uid="1", starts_at=late, ends_at=late + AGO, sync_at=late,
        sync_since=late, status=MeetingStatus.BOOKED,
    )  # fmt: skip
    meeting.mails.create(kind="request", sequence=0, next_at=late)
    LeadImport.objects.create(
        workspace=space, actor="t", encoding="utf-8", delimiter=",", columns=[], on_duplicate="skip",
        size_bytes=1, next_byte=0, next_line=1,
    )  # fmt: skip
    assert scrape("tenex_knowledge_documents", status="pending") == 1
    assert scrape("tenex_knowledge_documents", status="failed") == 1
    assert scrape("tenex_knowledge_pending_oldest_seconds") == _about(600)
    assert scrape("tenex_calendar_connections", state="failing") == 1
    assert scrape("tenex_calendar_connections", state="refused") == 1
    assert scrape("tenex_meetings_to_tell") == scrape("tenex_meeting_mails_due") == 1
    assert scrape("tenex_meetings_to_tell_oldest_seconds") == _about(600)
    assert scrape("tenex_meeting_mails_due_oldest_seconds") == _about(600)
    assert scrape("tenex_imports_open") == 1
    assert scrape("tenex_imports_open_oldest_seconds") == _about(0)


def test_events_and_deliveries(space: Workspace, scrape: Scrape) -> None:
    well = WebhookSubscription.objects.create(workspace=space, url="https://example.com/a")
    ill = WebhookSubscription.objects.create(
        workspace=space, url="https://example.com/b", failing_since=timezone.now(), failures=3
    )
    events.record(workspace_id=space.pk, type="lead.updated", data={})
    assert scrape("tenex_outbox_events_waiting") == 1
    assert scrape("tenex_outbox_oldest_seconds") == _about(0)
    assert relay.relay() == 1
    assert scrape("tenex_outbox_events_waiting") == 0
    assert scrape("tenex_webhook_deliveries_waiting", kind="new") == 2
    Delivery.objects.filter(subscription=ill).update(next_at=timezone.now() - 10 * AGO)
    Delivery.objects.filter(subscription=well).update(next_at=timezone.now() - AGO)
    assert scrape("tenex_webhook_due_oldest_seconds") == _about(
        600
    )  # the receiver's own fault does not count
    assert scrape("tenex_webhook_subscriptions", state="active") == 1
    assert scrape("tenex_webhook_subscriptions", state="failing") == 1


def test_who_and_how_many_stay_out_of_the_labels(space: Workspace, scrape: Scrape, client: Client) -> None:
    """Few series, whatever the installation holds, and nothing in them of a tenant or a person."""
    for number in range(5):
        other = rows.workspace(f"space-{number}")
        own = PhoneNumber.objects.create(workspace=other, e164=f"+1415555099{number}")
        rows.end(rows.call(other, number=own))
        Document.objects.create(workspace=other, title="Secret plan")
    told = "".join(
        client.get(path, headers=RIGHT).content.decode()
        for path in ("/healthz/metrics", "/healthz/metrics/system")
    )
    assert scrape("tenex_knowledge_documents", status="pending") == 5
    found = samples(told)
    allowed = {
        "code", "direction", "kind", "le", "level", "part", "problem", "reason", "result", "role", "stage",
        "state", "status", "step", "task", "tool", "tries", "use",
    }  # fmt: skip
    assert {label for one in found for label in one.labels} <= allowed
    values = {value for one in found for label, value in one.labels.items() if label != "le"}
    assert not [value for value in values if re.search(r"\d{4}|[0-9a-f]{8}-|space-|Secret", value)]
    assert len(found) < 700


def test_a_slow_part_costs_itself_alone(
    client: Client, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow() -> Iterator[Metric]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(10)")
        yield from ()

    settings.METRICS_TOKEN = TOKEN
    monkeypatch.setattr(installation, "STATEMENT_S", 0.1)
    monkeypatch.setattr(tenex.webhooks.monitoring, "families", slow)
    answer = client.get("/healthz/metrics/system", headers=RIGHT)
    assert answer.status_code == 200
    told = answer.content.decode()
    assert value(told, "tenex_system_part_up", part="webhooks") == 0
    assert value(told, "tenex_system_part_up", part="voice") == 1
    assert value(told, "tenex_system_part_up", part="broker") == 1
    assert value(told, "tenex_calls_live") == 0


def test_without_a_database_there_is_nothing_to_say(
    client: Client, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def away() -> Iterator[Metric]:
        asked.append(1)
        raise OperationalError("connection refused")

    settings.METRICS_TOKEN = TOKEN
    monkeypatch.setattr(voice.monitoring, "families", away)
    answer = client.get("/healthz/metrics/system", headers=RIGHT)
    assert (answer.status_code, answer.content) == (503, b"the database does not answer\n")
    assert asked == [1]


def test_without_a_broker_the_rest_is_said(scrape: Scrape, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from celery import current_app

    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"redis://127.0.0.1:{closed.getsockname()[1]}/0"
    monkeypatch.setattr(current_app.conf, "broker_read_url", address)
    monkeypatch.setattr(current_app.conf, "broker_url", address)
    assert scrape("tenex_broker_up") == 0
    assert scrape("tenex_system_part_up", part="voice") == 1
