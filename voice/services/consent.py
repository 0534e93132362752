"""Whether a call may be recorded, and what has to be said first: by workspace, and by where they are.

A workspace has a mode, and may have others for countries and states. A person who may be in several places
(a number of one, an address in another) gets the strictest of them.
"""

from collections.abc import Mapping
from typing import Final

from tenex.workspaces.models import RecordingConsent, Workspace
from voice.models import AgentVersion, Call, Direction
from voice.models.calls import RecordingAnswer, RecordingAsked
from voice.outbound import whereabouts

_STRICTNESS: Final = (RecordingConsent.ANNOUNCE, RecordingConsent.EXPLICIT, RecordingConsent.OFF)


def mode(
    workspace: Workspace, *, phone: str, stated_zone: str = "", country: str = "", region: str = ""
) -> RecordingConsent:
    """What holds for a person with this number, stated zone and address."""
    found = whereabouts.of(phone=phone, stated_zone=stated_zone, country=country, region=region)
    return strictest(
        RecordingConsent(workspace.recording_consent), workspace.recording_consent_places, found.places
    )


def strictest(
    usual: RecordingConsent, of_places: Mapping[str, str], places: tuple[tuple[str, str], ...]
) -> RecordingConsent:
    """Of the modes of these places (country, region); `usual` holds where none is named. A state goes before
    its country; a number that tells no state is taken for the strictest one of its country."""
    modes = [mode for place in places for mode in _of_place(usual, of_places, *place)]
    return max(modes or [usual], key=_STRICTNESS.index)


def _of_place(
    usual: RecordingConsent, of_places: Mapping[str, str], country: str, region: str
) -> list[RecordingConsent]:
    own = of_places.get(f"{country}-{region}") if region else None
    if own is not None:
        return [RecordingConsent(own)]
    modes = [RecordingConsent(of_places[country])] if country in of_places else [usual]
    if not region:
        modes += [RecordingConsent(one) for key, one in of_places.items() if key.startswith(f"{country}-")]
    return modes


def possible(workspace: Workspace) -> list[RecordingConsent]:
    """Every mode that some call of this workspace may have."""
    found = {workspace.recording_consent, *workspace.recording_consent_places.values()}
    return [RecordingConsent(one) for one in sorted(found)]


def of_call(call: Call) -> RecordingConsent:
    """What holds for this call: as it was settled, or as it would be now. Reads workspace and lead of it."""
    if call.recording_asked:
        return RecordingConsent(call.recording_asked)
    phone = call.remote_number
    if call.direction == Direction.INBOUND:
        # Whoever withholds their number is taken to be where the number is that they call.
        there = phone if whereabouts.number_facts(phone) else call.to_number
        return mode(call.workspace, phone=there)
    lead = call.lead
    if lead is None:
        return mode(call.workspace, phone=phone)
    return mode(
        call.workspace, phone=phone, stated_zone=lead.time_zone, country=lead.country, region=lead.region
    )


def settle(call: Call, *, recordable: bool = True) -> RecordingConsent:
    """Fix what holds for this call, whatever the settings become. `recordable`: somebody could record it."""
    if not call.recording_asked:
        call.recording_asked = RecordingAsked(of_call(call) if recordable else RecordingConsent.OFF)
        Call.objects.filter(pk=call.pk, recording_asked="").update(recording_asked=call.recording_asked)
    return RecordingConsent(call.recording_asked)


def language_of(call: Call) -> str:
    """That of the agent who takes it."""
    if call.agent_version_id is None:
        return ""
    version = call.agent_version if Call.agent_version.is_cached(call) else None
    if version is not None and AgentVersion.agent.is_cached(version):
        return version.agent.profile.language
    found = AgentVersion.objects.filter(pk=call.agent_version_id)
    return str(found.values_list("agent__profile__language", flat=True).first() or "")


def expected(call: Call) -> bool:
    """Whether a recording of this call should come in."""
    asked = call.recording_asked or call.workspace.recording_consent
    refused = call.recording_answer == RecordingAnswer.NO
    unanswered = asked == RecordingConsent.EXPLICIT and not call.recording_answer
    return bool(call.answered_at) and asked != RecordingConsent.OFF and not refused and not unanswered
