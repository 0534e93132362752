"""Opening the media stream of a call: who may, and all that the live call needs to know, read once.

Synchronous, run in threads by the bridge. What happens in the call afterwards: `voice.services.live_store`.
"""

import secrets
import uuid
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from crm.selectors import knowledge
from tenex.errors import Forbidden
from tenex.workspaces.models import RecordingConsent
from tenex.workspaces.services import vault
from voice.models import Call, Direction, SessionStatus, StreamToken, Turn, VoiceSession
from voice.models.calls import LIVE, RecordingAnswer, RecordingAsked
from voice.opening.sound import NoVoice
from voice.services import accounts, calls, consent, journal, model_access, openings, prompt, returns
from voice.session.script import Script
from voice.telephony import signature
from voice.telephony.client import Account
from voice.telephony.errors import CarrierNotConfigured
from voice.wire import stream_token
from voice.wire.model_access import ModelAccess

log = structlog.get_logger(__name__)

_KEY_ID = "1"
_HISTORY_TURNS = 60


Channel = Literal["phone", "browser", "stream"]


class StreamRefused(Forbidden):
    """This socket may not have this call. The peer is told nothing more than that."""

    code = "stream_refused"


@dataclass(frozen=True, slots=True)
class Voice:
    """How the agent sounds and takes turns: the profile's values as plain data."""

    model: str = ""
    voice: str = "marin"
    speed: float = 1.0
    language: str = "en"
    turn_detection: str = "server_vad"
    vad_threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    eagerness: str = "auto"
    noise_reduction: str = ""
    keywords: tuple[str, ...] = ()
    greeting: str = ""
    silence_reprompt_s: int = 12
    silence_reprompts: int = 2
    max_duration_s: int = 1800
    speaks_first: bool = True
    idle_timeout_ms: int | None = None
    noise_reduction_strength: float | None = None
    transcription_model: str = ""
    transcription_prompt: str = ""
    reasoning_effort: str = ""
    max_output_tokens: int | None = None
    retention_ratio: float = 0.8


@dataclass(frozen=True, slots=True)
class CallContext:
    """All that a live call needs to know, read once. No rows, so it is safe on any thread."""

    call_id: uuid.UUID
    workspace_id: uuid.UUID
    session_id: uuid.UUID
    session_number: int
    owner: str
    direction: Literal["inbound", "outbound"]
    call_sid: str
    stream_sid: str
    remote_number: str
    instructions: str
    greeting: str = ""
    tools: tuple[str, ...] = ()
    voice: Voice = field(default_factory=Voice)
    history: tuple[tuple[Literal["caller", "agent"], str], ...] = ()
    resumed: bool = False
    off_record: bool = False
    """They have objected to being recorded in an earlier stream of this call."""
    next_position: int = 0
    next_session_number: int = 2
    """Number of the row that a reconnect makes."""
    spent_s: float = 0.0
    """Seconds since the call was answered: a resumed call does not start its clock again."""
    amd_expected: bool = False
    answered_by: str = ""
    lead_name: str = ""
    transfer_number: str = ""
    """Who takes a transferred call; empty means nobody."""
    number: str = ""
    """Our own number of this call."""
    channel: Channel = "phone"
    """`phone` is the carrier's. Any other call has a socket of its own and ends with it."""
    usage: dict[str, Any] = field(default_factory=dict)
    """Summed usage of earlier sessions of this call."""
    latency: dict[str, Any] = field(default_factory=dict)
    """What was measured in the call's streams before this one."""
    script: Script | None = None
    """What an outbound call says of its own accord; the sounds of it are in `sounds`, by line."""
    sounds: dict[str, str] = field(default_factory=dict)
    """Base64 µ-law."""
    model_access: ModelAccess | None = None
    """The workspace's own key for the model; None: that of the settings."""
    account: Account | None = None
    """The workspace's own account at the carrier, which has this call; None: that of the settings."""

    @property
    def by_carrier(self) -> bool:
        """Whether the carrier has the phone's side of this call."""
        return self.channel == "phone"


def issue_token(call: Call) -> str:
    """A single-use token for one media stream of `call`, good for `stream_token.TTL_S` seconds."""
    expires_at = timezone.now() + timedelta(seconds=stream_token.TTL_S)
    nonce = secrets.token_hex(16)
    StreamToken.objects.create(nonce=nonce, call=call, expires_at=expires_at)
    claims = stream_token.StreamClaims(
        workspace=call.workspace_id.hex, call=call.pk.hex, nonce=nonce, expires_at=int(expires_at.timestamp())
    )
    return stream_token.issue(claims, key_id=_KEY_ID, key=settings.STREAM_TOKEN_KEY)


def forged(token: str) -> str:
    """Why this token is none of ours, or has run out; empty if it is good as far as its text says."""
    claims = stream_token.verify(token, keys={_KEY_ID: settings.STREAM_TOKEN_KEY}, now=_unix())
    return claims.reason if isinstance(claims, stream_token.TokenFault) else ""


def genuine_for(token: str, path: str, signature_: str) -> bool:
    """Whether the account of the token's call has signed the upgrade of a socket at `path`. In a thread.

    The token is looked at only; :func:`open_stream` burns it.
    """
    claims = stream_token.verify(token, keys={_KEY_ID: settings.STREAM_TOKEN_KEY}, now=_unix())
    if isinstance(claims, stream_token.TokenFault):
        return False
    owner = accounts.of_call(uuid.UUID(claims.call))
    return owner is not None and signature.genuine_socket(path, signature_, tokens=accounts.tokens(owner))


def open_stream(
    token: str,
    call_sid: str,
    stream_sid: str,
    owner: str,
    *,
    by_carrier: bool = True,
    own_account: bool = False,
) -> CallContext:
    """Take the call for this process: token burnt, lease set, session row, everything read.

    `by_carrier` says which socket asks: the carrier's, or that of provisioned sessions; `own_account` that it
    was signed by the workspace's own account at the carrier. Each opens its own kind of calls only.

    Raises:
        StreamRefused: the token is bad, used or of another call, or the call is over. `code` of the
            cause is in `extra["reason"]`, for logs only.
    """
    claims = stream_token.verify(token, keys={_KEY_ID: settings.STREAM_TOKEN_KEY}, now=_unix())
    if isinstance(claims, stream_token.TokenFault):
        raise StreamRefused(extra={"reason": claims.reason})
    _burn(claims, stream_sid)
    try:
        with transaction.atomic():
            channel = channel_of(claims.call)
            if (channel == "phone") is not by_carrier:
                raise StreamRefused(extra={"reason": "other-door"})
            call = _claim(claims, call_sid if by_carrier else None, owner)
            if by_carrier and bool(call.account_sid) is not own_account:
                raise StreamRefused(extra={"reason": "other-account"})
            # Whoever has a socket of their own has the sound of it: nobody records a call that comes in so.
            consent.settle(call, recordable=by_carrier or call.direction == Direction.OUTBOUND)
            _note_notice(call)
            session, number = _session(call, channel)
            context = _context(call, session, number, stream_sid, owner)
            calls.answer(call.pk)
        prepared = openings.load(call)  # from memory or the storage: it was made before the call was dialed
    except NoVoice as exc:
        raise StreamRefused(extra={"reason": "no-voice"}) from exc
    except IntegrityError as exc:
        raise StreamRefused(extra={"reason": "sid-taken"}) from exc
    except (vault.Unreadable, CarrierNotConfigured) as exc:
        raise StreamRefused(extra={"reason": exc.code}) from exc
    if prepared is None:
        return context
    return replace(context, script=prepared.script, sounds=prepared.sounds)


def _note_notice(call: Call) -> None:
    """The carrier has spoken the notice of an incoming call before it connected us; the recording is on."""
    if call.direction == Direction.INBOUND and call.recording_asked == RecordingAsked.ANNOUNCE:
        noted = Call.objects.filter(pk=call.pk, recording_answer="").update(
            recording_answer=RecordingAnswer.TOLD
        )
        if noted:
            data = {"state": "started", "asked": call.recording_asked, "answer": RecordingAnswer.TOLD}
            journal.append(call.pk, [journal.Line("call.recording", data)])


def _unix() -> float:
    return timezone.now().timestamp()


def _burn(claims: stream_token.StreamClaims, stream_sid: str) -> None:
    """Use up the nonce, in a transaction of its own: also if the call then does not fit.

    So a stolen token is good for one try, and that try spoils it.
    """
    now = timezone.now()
    burnt = StreamToken.objects.filter(
        nonce=claims.nonce, call_id=uuid.UUID(claims.call), used_at=None, expires_at__gt=now
    ).update(used_at=now, stream_sid=stream_sid[:64])
    if not burnt:
        raise StreamRefused(extra={"reason": "token-used"})


def channel_of(call_id: uuid.UUID | str) -> Channel:
    """How a call reaches us: by the carrier, unless its first session was provisioned for another socket."""
    first = VoiceSession.objects.filter(call_id=call_id).order_by("number")
    channel: Channel | None = first.values_list("channel", flat=True).first()  # type: ignore[assignment]
    return channel or "phone"


def _claim(claims: stream_token.StreamClaims, call_sid: str | None, owner: str) -> Call:
    """Check that the token's call is live and has this sid (or none yet), and set the lease."""
    now = timezone.now()
    call = (
        Call.objects.select_for_update(of=("self",))
        .select_related("workspace", "agent_version__agent__profile", "lead__company", "batch", "number")
        .filter(pk=uuid.UUID(claims.call))
        .first()
    )
    if call is None or call.status not in LIVE or call.agent_version is None:
        raise StreamRefused(extra={"reason": "call-over"})
    if call.provider_sid is None:
        call.provider_sid = call_sid
    elif call.provider_sid != call_sid:
        raise StreamRefused(extra={"reason": "other-call"})
    call.lease_owner = owner[:80]
    call.lease_until = now + timedelta(seconds=settings.CALL_LEASE_S)
    call.sweep_at = call.lease_until
    call.save(update_fields=["provider_sid", "lease_owner", "lease_until", "sweep_at"])
    return call


def _session(call: Call, channel: Channel) -> tuple[VoiceSession, int]:
    """The session row of this stream (a provisioned one if there is), and the next free number."""
    last = call.sessions.aggregate(last=Max("number"))["last"] or 0
    session = call.sessions.filter(status=SessionStatus.PROVISIONED).order_by("number").first()
    if session is None:
        last += 1
        session = VoiceSession.objects.create(
            workspace_id=call.workspace_id, call=call, number=last, channel=channel, model=_model(call)
        )
    return session, last + 1


def _model(call: Call) -> str:
    version = call.agent_version
    return (version.agent.profile.model if version else "") or settings.REALTIME_MODEL


def _context(call: Call, session: VoiceSession, number: int, stream_sid: str, owner: str) -> CallContext:
    version = call.spoken
    assert version is not None  # _claim refused it  # noqa: S101
    profile = version.agent.profile
    history = _history(call)
    resumed = bool(history) or call.resumes > 0
    tools = tuple(str(name) for name in version.tools)
    voice = Voice(
        model=_model(call),
        **{
            name: getattr(profile, name)
            for name in Voice.__dataclass_fields__
            if name not in {"model", "keywords"}
        },
        keywords=tuple(str(word) for word in profile.keywords),
    )
    last_position = call.turns.aggregate(last=Max("position"))["last"]
    return CallContext(
        call_id=call.pk,
        workspace_id=call.workspace_id,
        session_id=session.pk,
        session_number=session.number,
        owner=owner[:80],
        direction="inbound" if call.direction == Direction.INBOUND else "outbound",
        call_sid=call.provider_sid or "",
        stream_sid=stream_sid,
        remote_number=call.remote_number,
        instructions=instructions_of(call, tools, resumed=resumed),
        greeting=prompt.fill(profile.greeting, values_of(call)),
        tools=tools,
        voice=voice,
        history=history,
        resumed=resumed,
        off_record=call.off_record_at is not None,
        next_position=0 if last_position is None else last_position + 1,
        next_session_number=number,
        spent_s=(timezone.now() - call.answered_at).total_seconds() if call.answered_at else 0.0,
        amd_expected=bool(
            call.direction == Direction.OUTBOUND
            and call.batch
            and call.batch.machine_detection
            and not call.answered_by
        ),
        answered_by=call.answered_by,
        lead_name=call.lead.name if call.lead else "",
        transfer_number=_transfer_number(call) if session.channel == "phone" else "",
        number=call.number.e164 if call.number else "",
        usage=dict(call.usage),
        channel=session.channel,  # type: ignore[arg-type]  # one of the three, as we made it
        latency=dict(call.latency),
        model_access=model_access.of(call.workspace_id),
        account=accounts.account_of(call.workspace_id, call.account_sid) if call.account_sid else None,
    )


def _transfer_number(call: Call) -> str:
    return call.workspace.transfer_number or (call.number.fallback_number if call.number else "")


def _history(call: Call) -> tuple[tuple[Literal["caller", "agent"], str], ...]:
    """What was heard so far, oldest first: the model of a resumed call starts from it."""
    turns = Turn.objects.filter(call=call).order_by("-position")[:_HISTORY_TURNS]
    said: list[tuple[Literal["caller", "agent"], str]] = []
    for turn in reversed(turns):
        # What a colleague said in the agent's place was said from its side.
        text = turn.text if turn.speaker == "caller" else turn.heard_text
        if text:
            said.append(("caller" if turn.speaker == "caller" else "agent", text))
    return tuple(said)


def values_of(call: Call) -> dict[str, object]:
    """What `{{…}}` may name, in this call."""
    lead, version = call.lead, call.spoken
    given = {str(key): value for key, value in call.variables.items()}
    return {
        **given,
        "variables": given,
        "objective": call.objective or (version.objective if version else ""),
        "agent": {"name": version.agent.name if version else ""},
        "workspace": {"name": call.workspace.name},
        "call": {"direction": call.direction, "number": call.remote_number},
        "lead": {
            **{str(key): value for key, value in lead.custom.items()},
            "custom": {str(key): value for key, value in lead.custom.items()},
            "first_name": lead.first_name,
            "last_name": lead.last_name,
            "name": lead.name,
            "title": lead.title,
            "company": lead.company.name if lead.company else "",
            "email": lead.email or "",
            "phone": lead.phone or "",
            "time_zone": lead.time_zone,
        }
        if lead
        else {},
    }


def instructions_of(call: Call, tools: tuple[str, ...], *, resumed: bool) -> str:
    """What the model is told at the beginning of this call."""
    version, lead, workspace = call.spoken, call.lead, call.workspace
    assert version is not None  # noqa: S101
    told = knowledge.guidance(workspace.pk)
    facts = prompt.Facts(
        now=timezone.now(),
        remote_number=call.remote_number,
        direction=call.direction,
        zone=(lead.time_zone if lead else "") or workspace.time_zone,
        zone_assumed=not (lead and lead.time_zone),
        agent_name=version.agent.name,
        company_name=workspace.name,
        language=version.agent.profile.language,
        objective=prompt.fill(call.objective or version.objective, values_of(call)),
        lead={
            "name": lead.name,
            "title": lead.title,
            "company": lead.company.name if lead.company else "",
            "stage": lead.stage,
            "qualification": lead.qualification,
            "last_outcome": lead.last_outcome,
            "notes": lead.notes,
        }
        if lead
        else {},
        criteria=tuple(
            (str(item.get("name", "")), str(item.get("description", "")))
            for item in version.criteria
            if isinstance(item, dict)
        ),
        tools=tools,
        recorded=consent.of_call(call) == RecordingConsent.ANNOUNCE,
        opened=call.direction == Direction.OUTBOUND,
        asked_to_record=consent.of_call(call) == RecordingConsent.EXPLICIT,
        positioning=told.positioning,
        do_not_say=told.do_not_say,
        returning=returns.facts_of(call),
        resumed=resumed,
    )
    return prompt.render(version.system_prompt, values_of(call), facts)
