"""How far a workspace is on its way to the first call: what is there, and what is missing."""

from dataclasses import dataclass

from django.conf import settings

from crm.models import Consent, Lead
from tenex.workspaces.models import Workspace
from voice.models import Agent, Call, Credential, CredentialKind, NumberStatus, PhoneNumber


@dataclass(frozen=True, slots=True)
class FirstSteps:
    missing: tuple[str, ...]
    """Settings without which no phone rings: names of environment variables."""
    agent: Agent | None
    number: PhoneNumber | None
    """One that an agent answers, else any."""
    lead: Lead | None
    agreed: bool
    """Somebody has agreed to be called."""
    call: Call | None
    demo: Call | None

    @property
    def done(self) -> tuple[bool, ...]:
        answered = self.number is not None and self.number.agent_id is not None
        return (
            not self.missing,
            self.agent is not None,
            answered,
            self.lead is not None,
            self.call is not None,
        )

    @property
    def next(self) -> int:
        """The step that is next, counted from 1; behind the last one when all are done."""
        return next((at for at, done in enumerate(self.done, 1) if not done), len(self.done) + 1)


def of(workspace: Workspace, *, demo_mark: str) -> FirstSteps:
    """`demo_mark`: the variable by which a demo call is known (voice.services.demo_call)."""
    own = set(Credential.objects.filter(workspace=workspace).values_list("kind", flat=True))
    needed = {
        "TWILIO_ACCOUNT_SID": settings.TWILIO_ACCOUNT_SID or CredentialKind.TWILIO in own,
        "TWILIO_AUTH_TOKEN": settings.TWILIO_AUTH_TOKEN or CredentialKind.TWILIO in own,
        "OPENAI_API_KEY": settings.OPENAI_API_KEY or CredentialKind.OPENAI in own,
    }
    calls = Call.objects.filter(workspace=workspace)
    leads = Lead.objects.filter(workspace=workspace, archived_at=None).exclude(source=demo_mark)
    numbers = PhoneNumber.objects.filter(workspace=workspace, status=NumberStatus.ACTIVE)
    agents = Agent.objects.filter(workspace=workspace, archived_at=None, current_version__isnull=False)
    return FirstSteps(
        missing=tuple(name for name, value in needed.items() if not value),
        agent=agents.order_by("created_at").first(),
        number=numbers.filter(agent__isnull=False).first() or numbers.first(),
        lead=leads.order_by("created_at").first(),
        agreed=Consent.objects.filter(workspace=workspace, revoked_at=None).exists(),
        call=calls.exclude(variables__has_key=demo_mark).order_by("-created_at").first(),
        demo=calls.filter(variables__has_key=demo_mark).first(),
    )
