"""Somebody whom we call: the phone of a live-call promise, rung by a row of ours and picked up.

The call is made as the dialer leaves it: placed at the carrier, its attempt waiting for the answer.
"""

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from tests.prove.live_phone import OUR_NUMBER, Phone

if TYPE_CHECKING:
    from tests.prove.live_system import LiveSystem

OPENING = ("identity", "purpose", "recording")
OURS = (*OPENING, "screening", "voicemail", "opted_out")


class CalledPhone(Phone):
    """`run` picks up; the words of our own lines are told apart by their sound."""

    def __init__(self, system: "LiveSystem", remote: str) -> None:
        super().__init__(system.base_url, remote, system.http, scale=system.scale)
        self.system = system
        self.fields: dict[str, Any] = {}
        """More of the call's row."""
        self.profile: dict[str, Any] = {}
        """An agent of its own, with these fields of its voice."""
        self.call_id: uuid.UUID | None = None
        self.lines: dict[str, str] = {}
        """Words of our lines by name."""
        self._attempt: uuid.UUID | None = None

    async def prepare(self) -> None:
        """The rows, and the sounds: as they are when a phone rings."""
        self.call_id, self._attempt, self.lines, sounds = await self.system.rows(self._make)
        self._clips |= {payload: name for name, payload in sounds.items()}

    async def run(self) -> None:
        if self._attempt is None:
            await self.prepare()
        self.status, self.answered_at = "in-progress", asyncio.get_running_loop().time()
        document = await self._post(f"/twilio/outbound/{self._attempt}", self._fields())
        while document and not self.ended_at:
            document = await self._follow(document)
        if not self.ended_at:
            await self.end("end of instructions")

    def first(self, *what: str) -> float | None:
        """When the first of these sounds began. What was cleared before its turn came was none."""
        heard = (sound for sound in self.sounds if sound.what in what and sound.ends > sound.starts)
        return next((sound.starts for sound in heard), None)

    def heard_ms(self, what: str) -> float:
        """How much of one of our lines this ear has had, all its pieces together."""
        return sum(
            (sound.ends - sound.starts) * 1000 * self._scale for sound in self.sounds if sound.what == what
        )

    def _fields(self, status: str = "in-progress") -> dict[str, str]:
        return super()._fields(status) | {
            "From": OUR_NUMBER,
            "To": self.remote,
            "Direction": "outbound-api",
        }

    async def _callback(self) -> None:
        fields = self._fields("completed") | {
            "CallDuration": str(max(1, round(self.ended_at - self.answered_at))),
            "SequenceNumber": "3",
        }
        await self._post(f"/twilio/status/{self._attempt}", fields)

    def _make(self) -> tuple[uuid.UUID, uuid.UUID, dict[str, str], dict[str, str]]:
        from django.utils import timezone

        from voice.models import Call, CallStatus, DialAttempt, DialState, Direction, PhoneNumber
        from voice.opening.wording import compose
        from voice.services import openings

        number = PhoneNumber.objects.select_related("workspace", "agent__current_version").get(
            e164=OUR_NUMBER
        )
        version = self._version(number)
        now = timezone.now()
        call = Call.objects.create(
            workspace=number.workspace,
            direction=Direction.OUTBOUND,
            status=CallStatus.RINGING,
            from_number=OUR_NUMBER,
            to_number=self.remote,
            number=number,
            agent_version=version,
            provider_sid=self.sid,
            placed_at=now,
            **self.fields,
        )
        attempt = DialAttempt.objects.create(
            workspace=number.workspace,
            call=call,
            number=1,
            state=DialState.PLACED,
            fence_until=now,
            posted_at=now,
            provider_sid=self.sid,
        )
        openings.prepare(attempt.pk)
        prepared = openings.load(call)
        assert prepared is not None
        return call.pk, attempt.pk, compose(openings.wish_of(call)).all, prepared.sounds

    def _version(self, number: Any) -> Any:
        from voice.models import Agent, AgentVersion, VoiceProfile

        shared = number.agent.current_version
        if not self.profile:
            return shared
        name = "-".join(str(value) for value in self.profile.values())
        agent = Agent.objects.filter(workspace=number.workspace, slug=name).first()
        if agent is None:
            profile = VoiceProfile.objects.create(workspace=number.workspace, name=name, **self.profile)
            agent = Agent.objects.create(workspace=number.workspace, name="Ava", slug=name, profile=profile)
            agent.current_version = AgentVersion.objects.create(
                agent=agent, number=1, system_prompt="You are Ava.", tools=shared.tools
            )
            agent.save()
        return agent.current_version
