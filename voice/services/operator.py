"""What a person may do to a live call: end it, make the agent say something, hand the caller over."""

from django.db import transaction
from django.utils import timezone

from tenex.errors import Conflict
from tenex.lib import phone
from tenex.lib.wake import wake
from tenex.workspaces.services import audit
from voice.models import Call, CallStatus, EndReason
from voice.models.calls import LIVE
from voice.services import calls, control, journal, live


def hang_up(call: Call, *, actor: str = "") -> None:
    """End the call. One that was not dialled yet is canceled at once; a live one ends in a moment.

    The intent is a row first (`end_hint`, and the sweeper looks at the call now); the live session and the
    carrier are told after that, so that nothing depends on their hearing it.

    Raises:
        Conflict: it is over.
    """
    with transaction.atomic():
        now = Call.objects.select_for_update().get(pk=call.pk)
        if now.status not in LIVE:
            raise Conflict("the call is over", code="call_over")
        _audit(call, actor, "call.hangup")
        if now.status == CallStatus.QUEUED or (now.status == CallStatus.RINGING and now.provider_sid is None):
            calls.end(now.pk, EndReason.CANCELED)
            return
        calls.hint_end(now.pk, EndReason.OPERATOR_HANGUP)
        if now.status == CallStatus.IN_PROGRESS and now.lease_until and now.lease_until > timezone.now():
            transaction.on_commit(
                lambda: control.send(now.pk, "hangup", reason=EndReason.OPERATOR_HANGUP.value, by=actor)
            )
            return
        Call.objects.filter(pk=now.pk).update(sweep_at=timezone.now())
        if now.provider_sid:
            wake("voice.outbound.drop", now.provider_sid, str(now.workspace_id), now.account_sid)
        wake("voice.sweep")


def say(call: Call, text: str, *, actor: str = "") -> None:
    """Let the agent say `text` as soon as it may speak.

    Raises:
        Conflict: nobody is on the line. Unavailable: the live session cannot be told.
    """
    _must_be_live(call)
    with transaction.atomic():
        _audit(call, actor, "call.say", chars=len(text))
        control.send(call.pk, "say", text=text, by=actor)


def whisper(call: Call, text: str, *, actor: str = "") -> None:
    """Give the agent an instruction that the caller does not hear.

    Raises:
        Conflict: nobody is on the line. Unavailable: the live session cannot be told.
    """
    _tell(call, "whisper", "call.whisper", {"chars": len(text)}, actor, text=text)


def mute(call: Call, *, actor: str = "") -> None:
    """The agent says and answers nothing until :func:`unmute`; the caller hears silence.

    Raises:
        Conflict: nobody is on the line. Unavailable: the live session cannot be told.
    """
    _tell(call, "mute", "call.mute", {}, actor)


def unmute(call: Call, *, actor: str = "") -> None:
    """Let the agent speak again.

    Raises:
        Conflict: nobody is on the line. Unavailable: the live session cannot be told.
    """
    _tell(call, "unmute", "call.unmute", {}, actor)


def listen(call: Call, *, actor: str = "") -> None:
    """Note that somebody hears this call from now on; nobody in the call is told.

    Raises:
        Conflict: nobody is on the line.
    """
    _must_be_live(call)
    with transaction.atomic():
        _audit(call, actor, "call.listen")
        journal.append(call.pk, [journal.Line("operator.listened", {"by": actor, "audible": False})])


def take_over(call: Call, desk: str, *, actor: str = "") -> None:
    """Let a person talk in the agent's place; `desk` names the connection of their microphone.

    Raises:
        Conflict: nobody is on the line. Unavailable: the live session cannot be told.
    """
    _tell(call, "take_over", "call.take_over", {}, actor, desk=desk)


def give_back(call: Call, desk: str = "", *, note: str = "", lost: bool = False, actor: str = "") -> None:
    """Let the agent go on, after `desk` or whoever talks. `note` is what it should know.

    Raises:
        Unavailable: the live session cannot be told.
    """
    with transaction.atomic():
        _audit(call, actor, "call.give_back", lost=lost)
        control.send(call.pk, "give_back", desk=desk, note=note, lost=lost, by=actor)


def type_text(call: Call, text: str) -> None:
    """Words of the other side of a test call, in writing.

    Raises:
        Conflict: nobody is on the line, or it is no test. Unavailable: the live session cannot be told.
    """
    _must_be_live(call)
    if not call.is_test:
        raise Conflict("only who tries an agent out may write", code="no_test_call")
    control.send(call.pk, "type", text=text)


def _tell(
    call: Call,
    command: control.CommandName,
    action: str,
    noted: dict[str, object],
    actor: str,
    **data: object,
) -> None:
    _must_be_live(call)
    with transaction.atomic():
        _audit(call, actor, action, **noted)
        control.send(call.pk, command, by=actor, **data)


def transfer(call: Call, to: str, *, reason: str = "", actor: str = "") -> str:
    """Hand the caller over to a person at `to` (empty: the workspace's transfer number); returns the number.

    Raises:
        Conflict: nobody is on the line, it is no phone's, or there is no number to transfer to.
        InvalidInput: `to` is not a phone number. Unavailable: the live session cannot be told.
    """
    _must_be_live(call)
    if live.channel_of(call.pk) != "phone":
        raise Conflict("this call has no phone line that could be connected", code="no_phone_line")
    workspace = call.workspace
    target = (
        phone.normalize(to, region=workspace.default_region, loc=("body", "to"))
        if to
        else workspace.transfer_number
    )
    if not target:
        raise Conflict("the workspace has no transfer number", code="no_transfer_number")
    with transaction.atomic():
        _audit(call, actor, "call.transfer", to=target, reason=reason)
        control.send(call.pk, "transfer", number=target, reason=reason, by=actor)
    return target


def wrap_up(call: Call, *, seconds: float = 30.0, reason: str = "", actor: str = "") -> None:
    """Ask the agent to bring the call to its end; it is over in `seconds`.

    Raises:
        Conflict: nobody is on the line. Unavailable: the live session cannot be told.
    """
    _must_be_live(call)
    with transaction.atomic():
        _audit(call, actor, "call.wrap_up", seconds=seconds, reason=reason)
        control.send(call.pk, "wrap_up", seconds=seconds, reason=reason)


def _must_be_live(call: Call) -> None:
    if call.status != CallStatus.IN_PROGRESS:
        code = "call_over" if call.status not in LIVE else "call_not_answered"
        raise Conflict("nobody is on the line", code=code)
    if call.lease_until is None or call.lease_until <= timezone.now():
        raise Conflict("the media connection is being resumed; try again", code="call_not_connected")


def _audit(call: Call, actor: str, action: str, **data: object) -> None:
    audit.record(
        call.workspace_id,
        actor or "system:operator",
        action,
        object_type="call",
        object_id=call.pk,
        data={name: value for name, value in data.items() if value != ""},
    )
