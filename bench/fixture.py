"""Rows for a bench: a scratch database, a workspace with an agent, and calls that wait for their media."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit


@contextmanager
def scratch_database() -> Iterator[str]:
    """A migrated database of its own; yields its DATABASE_URL and removes it."""
    import django

    django.setup()
    from django.conf import settings
    from django.db import connection

    before = connection.settings_dict["NAME"]
    name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
    parts = urlsplit(settings.DATABASE_URL)
    try:
        yield urlunsplit(parts._replace(path=f"/{name}"))
    finally:
        connection.creation.destroy_test_db(before, verbosity=0)


@dataclass(slots=True)
class Fixture:
    """What one run talks about."""

    number: str
    """Of ours, for callers to dial."""
    calls: list[dict[str, str]]
    """call_id, call_sid and the token of its stream."""


def with_new_tokens(rows: Fixture) -> Fixture:
    """The same calls, whose tokens are good for a minute from now."""
    from voice.models import Call
    from voice.services import live

    for one in rows.calls:
        one["token"] = live.issue_token(Call.objects.get(pk=one["call_id"]))
    return rows


def calls(count: int, tools: Sequence[str] = ("lookup_lead",)) -> Fixture:
    """`count` ringing calls of an agent with these tools, each with a token for its stream."""
    from django.utils import timezone

    from tenex.workspaces.models import Workspace
    from voice.models import Agent, AgentVersion, Call, CallStatus, Direction, PhoneNumber, VoiceProfile
    from voice.services import live

    name = f"bench-{secrets.token_hex(4)}"
    workspace = Workspace.objects.create(
        name=name,
        slug=name,
        webhook_secret="bench",  # noqa: S106
        max_concurrent_calls=1000,
    )
    profile = VoiceProfile.objects.create(workspace=workspace, name="bench")
    agent = Agent.objects.create(workspace=workspace, name="Ava", slug="ava", profile=profile)
    version = AgentVersion.objects.create(
        agent=agent, number=1, system_prompt="You qualify leads. " * 40, tools=list(tools)
    )
    agent.current_version = version
    agent.save()
    number = PhoneNumber.objects.create(
        workspace=workspace, e164=f"+1415{secrets.randbelow(10**7):07d}", agent=agent
    )
    made = []
    for turn in range(count):
        call = Call.objects.create(
            workspace=workspace,
            direction=Direction.INBOUND,
            status=CallStatus.RINGING,
            from_number=f"+1415555{turn:04d}",
            to_number=number.e164,
            number=number,
            agent_version=version,
            provider_sid=f"CA{secrets.token_hex(16)}",
            placed_at=timezone.now(),
        )
        made.append(
            {
                "call_id": str(call.pk),
                "call_sid": call.provider_sid or "",
                "token": live.issue_token(call),
            }
        )
    return Fixture(number.e164, made)
