"""Two tenants that have the same of everything, and a client that speaks as a key of either."""

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

import orjson
from django.contrib.auth.hashers import make_password
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from crm.models import Calendar, Lead, Segment
from crm.services import leads, suppressions
from tenex.webhooks.services import replays, subscriptions
from tenex.workspaces.models import Invitation, Membership, Role, User, Workspace
from tenex.workspaces.services import keys, workspaces
from tests import rows
from tests.api import crm_world
from voice.models import (
    Agent,
    Batch,
    Call,
    CallShare,
    CallStatus,
    Decision,
    EndReason,
    Erasure,
    LegalHold,
    PhoneNumber,
    Recipient,
    Recording,
    Speaker,
    ToolCall,
    Turn,
    TurnStatus,
    Verdict,
    VoiceProfile,
    VoiceSession,
)
from voice.models.retention import PERSON
from voice.services import agents, calls, holds, journal, profiles, retention

PASSWORD = "a long enough password"
WAV = b"RIFF" + bytes(range(256)) * 40


@dataclass(slots=True)
class Api:
    """Requests with a bearer credential; answers are decoded."""

    token: str = ""
    client: Client = field(
        default_factory=lambda: Client(raise_request_exception=False, enforce_csrf_checks=True)
    )

    def request(self, method: str, path: str, body: object = None, **headers: str) -> HttpResponse:
        extra = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        raw = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        kind = headers.pop("content_type", "application/json")
        sent: Any = self.client.generic(
            method,
            path,
            raw,
            content_type=kind,
            headers={**extra, **{k.replace("_", "-"): v for k, v in headers.items()}},
        )
        return sent  # type: ignore[no-any-return]

    def get(self, path: str, **headers: str) -> Any:
        return self.request("GET", path, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> Any:
        return self.request("POST", path, body, **headers)

    def put(self, path: str, body: object = None, **headers: str) -> Any:
        return self.request("PUT", path, body, **headers)

    def patch(self, path: str, body: object = None, **headers: str) -> Any:
        return self.request("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.request("DELETE", path, **headers)


@dataclass(slots=True)
class Tenant:
    workspace: Workspace
    owner: User
    api: Api
    key_prefix: str
    profile: VoiceProfile
    agent: Agent
    number: PhoneNumber
    calendar: Calendar
    lead: Lead
    call: Call
    session: VoiceSession
    recording: Recording
    share: CallShare
    batch: Batch
    recipient: Recipient
    segment: Segment
    webhook_id: uuid.UUID
    invitation: Invitation
    crm: dict[str, str]
    """Path parameter -> the tenant's own, of the CRM beyond its lead."""
    delivery_id: uuid.UUID
    replay_id: uuid.UUID
    hold: LegalHold
    """A released one: it keeps nothing."""
    erasure: Erasure
    """A finished one, of nobody who is here."""


def make(slug: str, seat: int) -> Tenant:
    """A workspace with one of everything. `seat` (0–9) keeps phone numbers of tenants apart."""
    workspace = Workspace.objects.create(name=slug.title(), slug=slug)
    workspaces.give_secret(workspace)
    owner = person(f"owner@{slug}.example")
    Membership.objects.create(workspace=workspace, user=owner, role=Role.OWNER)
    key, secret = keys.create(workspace, "tests", ["*"], "system:tests")
    profile = profiles.create(workspace, {"name": "Marin"}, "system:tests")
    calendar = Calendar.objects.create(workspace=workspace, name="Sales")
    agent = agents.create(
        workspace,
        {
            "name": "Ava",
            "profile_id": profile.id,
            "system_prompt": "You qualify leads.",
            "objective": "Book a demo",
            "criteria": [{"name": "budget", "description": "Has a budget"}],
            "tools": ["book_meeting", "end_call"],
        },
        "system:tests",
    )
    number = PhoneNumber.objects.create(workspace=workspace, e164=f"+1415555{seat}100", agent=agent)
    lead = leads.create(
        workspace,
        actor="system:tests",
        first_name="Maria",
        last_name="Lopez",
        phone=f"+1415555{seat}101",
        company_name=f"Firm of {slug}",
    )
    rows.agree(lead)
    invitation = Invitation.objects.create(
        workspace=workspace,
        email=f"late@{slug}.example",
        role=Role.VIEWER,
        digest=bytes([seat]) * 32,
        invited_by="system:tests",
        expires_at=timezone.now() + timedelta(days=7),
    )
    suppressions.add(workspace.id, f"+1415555{seat}199", source="api")
    call = finished_call(workspace, agent, number, lead)
    batch = Batch.objects.create(
        workspace=workspace, objective="Book a demo", agent=agent, number=number, name="May"
    )
    recipient = Recipient.objects.create(workspace=workspace, batch=batch, lead=lead, position=1)
    decided(recipient, call)
    segment = Segment.objects.create(workspace=workspace, name="Everybody", kind="static")
    webhook, _ = subscriptions.create(workspace, url="http://127.0.0.1:9/hook", actor="system:tests")
    delivery = subscriptions.send_test(webhook, "system:tests")
    now = timezone.now()
    replay = replays.create(
        webhook, kind="all", since=now - timedelta(hours=1), until=None, actor="system:tests"
    )
    replays.prepare()
    return Tenant(
        workspace=workspace,
        owner=owner,
        api=Api(secret),
        key_prefix=key.prefix,
        profile=profile,
        agent=agent,
        number=number,
        calendar=calendar,
        lead=lead,
        call=call,
        session=VoiceSession.objects.get(call=call),
        recording=Recording.objects.get(call=call),
        share=CallShare.objects.create(
            workspace=workspace,
            call=call,
            digest=bytes([seat]) * 32,
            created_by="system:tests",
            issuer=f"user:{owner.id}",
            expires_at=now + timedelta(days=1),
        ),
        batch=batch,
        recipient=recipient,
        segment=segment,
        webhook_id=webhook.id,
        invitation=invitation,
        crm=crm_world.make(workspace, lead),
        delivery_id=delivery.id,
        replay_id=replay.id,
        hold=released_hold(workspace, call),
        erasure=finished_erasure(workspace),
    )


def released_hold(workspace: Workspace, call: Call) -> LegalHold:
    made = holds.hold(workspace, reason="court order", actor="system:tests", call_id=call.pk)
    holds.release(made, actor="system:tests")
    return made


def finished_erasure(workspace: Workspace) -> Erasure:
    """With its receipt, as if somebody unknown had asked."""
    now = timezone.now()
    link = retention.receipt(workspace, PERSON, [], {"erasures": 1}, now)
    return Erasure.objects.create(
        workspace=workspace, asked_by="system:tests", finished_at=now, counts={}, receipt=link
    )


@cache
def _hash() -> str:
    """The password's slow hash, made once."""
    return make_password(PASSWORD)


def person(email: str) -> User:
    return User.objects.create(email=email, password=_hash())


def decided(recipient: Recipient, call: Call) -> Decision:
    """Why somebody was called."""
    return Decision.objects.create(
        workspace_id=recipient.workspace_id,
        lead_id=recipient.lead_id,
        batch_id=recipient.batch_id,
        recipient=recipient,
        call=call,
        stage="dial",
        allowed=True,
        inputs={"purpose": "marketing"},
        at=timezone.now(),
    )


def live_call(workspace: Workspace, agent: Agent, number: PhoneNumber, lead: Lead | None = None) -> Call:
    """An inbound call in progress."""
    now = timezone.now()
    return Call.objects.create(
        workspace=workspace,
        direction="inbound",
        status="in_progress",
        from_number=lead.phone if lead and lead.phone else "+14155550777",
        to_number=number.e164,
        number=number,
        agent_version=agent.current_version,
        lead=lead,
        provider_sid=f"CA{uuid.uuid4().hex}",
        placed_at=now,
        answered_at=now,
        lease_until=now + timedelta(seconds=30),
    )


def finalize(call: Call, outcome: str = "qualified") -> None:
    calls.end(call.pk, EndReason.CALLER_HANGUP)
    calls.move(call.pk, CallStatus.FINALIZING)
    calls.move(call.pk, CallStatus.FINALIZED, outcome=outcome, finalized_at=timezone.now())
    call.refresh_from_db()


def finished_call(workspace: Workspace, agent: Agent, number: PhoneNumber, lead: Lead) -> Call:
    """A finalized call with two turns, a tool call, a recording and a verdict."""
    call = live_call(workspace, agent, number, lead)
    VoiceSession.objects.create(workspace=workspace, call=call, model="gpt-realtime-2.1", status="closed")
    for position, (speaker, text, heard, cut) in enumerate(
        [
            (Speaker.AGENT, "Hello, this is Ava. How may I help you today?", "Hello, this is Ava.", True),
            (Speaker.CALLER, "I have a <budget> & a plan.", "", False),
        ]
    ):
        Turn.objects.create(
            workspace=workspace,
            call=call,
            item_id=f"item_{position}",
            position=position,
            speaker=speaker,
            text=text,
            heard_text=heard,
            start_ms=1000 + 3000 * position,
            end_ms=3000 + 3000 * position,
            interrupted=cut,
            status=TurnStatus.COMPLETED,
        )
    ToolCall.objects.create(
        workspace=workspace,
        call=call,
        tool_call_id="call_1",
        name="book_meeting",
        arguments={"slot_id": "s1"},
        output={"booked": True},
        status="succeeded",
        at_ms=3500,
        duration_ms=40,
    )
    name = default_storage.save(f"{workspace.slug}/{call.pk}.wav", ContentFile(WAV))
    Recording.objects.create(
        workspace=workspace,
        call=call,
        provider_sid=f"RE{uuid.uuid4().hex}",
        source_url="https://example.com/rec",
        status="stored",
        file=name,
        channels=2,
        size_bytes=len(WAV),
    )
    Verdict.objects.create(
        workspace=workspace,
        call=call,
        qualification="qualified",
        confidence=0.9,
        summary="Has a budget.",
        reasons=["budget"],
        criteria=[{"name": "budget", "met": True, "evidence": {"quote": "a budget", "item_id": "item_1"}}],
        follow_up={"needed": False, "reasons": [], "callback_at": None},
    )
    journal.append(call.pk, [journal.Line("turn.updated", {"item_id": "item_0"})])
    finalize(call)
    return call
