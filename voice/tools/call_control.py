"""What an agent may do to the call itself. The bridge carries it out when the agent has finished speaking."""

from pydantic import Field

from tenex.errors import TenexError
from voice.models import Call
from voice.tools.arguments import Arguments, NoArguments
from voice.tools.scope import Answer, Scope


class NoTransferTarget(TenexError):
    """Nobody takes transferred calls here."""

    code = "no_transfer_target"
    status = 409


class TransferToHuman(Arguments):
    reason: str = Field("", max_length=300, description="Why the caller needs a person.")


class EndCall(Arguments):
    reason: str = Field("", max_length=300, description="Why the conversation is over.")


def transfer_to_human(scope: Scope, _: TransferToHuman) -> Answer:
    """Hand the caller to a person. Whom is a setting of the workspace, never an argument."""
    target = _target(scope.call)
    if target is None:
        raise NoTransferTarget("nobody can take the call now; offer a callback instead")
    label, number = target
    Call.objects.filter(pk=scope.call.pk).update(transfer_to=number, transfer_state="requested")
    return Answer(
        {"transferring": True, "to": label, "say": "Tell the caller that you connect them now."},
    )


def stop_recording(_scope: Scope, _: NoArguments) -> Answer:
    """From here on nothing of the call is stored."""
    return Answer({"off_record": True, "say": "Confirm it in a few words and go on."})


def end_call(_scope: Scope, _: EndCall) -> Answer:
    """Hang up after the goodbye."""
    return Answer(
        {"ending": True, "say": "Say goodbye in one short sentence."},
    )


def _target(call: Call) -> tuple[str, str] | None:
    """(label, number) of who takes transferred calls."""
    if call.workspace.transfer_number:
        return "a colleague", call.workspace.transfer_number
    if call.number and call.number.fallback_number:
        return "the office", call.number.fallback_number
    return None
