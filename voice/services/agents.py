"""Writing agents. What an agent says is never edited: each save of it makes another version."""

import uuid
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from crm.models import Calendar
from tenex.errors import Conflict, InvalidInput
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import Agent, AgentVersion, VoiceProfile

VERSIONED: Final = ("system_prompt", "objective", "criteria", "tools")
"""Fields that live in a version; the others are on the agent itself."""

TOOL_NAMES: Final = (
    "lookup_lead",
    "update_lead",
    "search_knowledge",
    "list_free_slots",
    "book_meeting",
    "transfer_to_human",
    "note_opt_out",
    "schedule_callback",
    "end_call",
)


def create(workspace: Workspace, data: dict[str, Any], actor: str) -> Agent:
    """An agent with its first version.

    `data`: name, slug (made of the name if absent), profile_id (the first one if absent), calendar_id,
    and the versioned fields with an optional `note`.

    Raises:
        InvalidInput: a profile or calendar that is not there, or a tool that does not exist.
        Conflict: the slug is taken.
    """
    slug = data.get("slug") or slugify(data["name"])[:80] or "agent"
    with transaction.atomic():
        try:
            with transaction.atomic():
                agent = Agent.objects.create(
                    workspace=workspace,
                    name=data["name"],
                    slug=slug,
                    profile=_profile(workspace, data.get("profile_id")),
                    calendar=_calendar(workspace, data.get("calendar_id")),
                )
        except IntegrityError as exc:
            raise Conflict("an agent with this slug exists", code="slug_taken") from exc
        _add_version(agent, data, data.get("note", ""), actor)
        audit.record(workspace.id, actor, "agent.created", object_type="agent", object_id=agent.id)
    return agent


def update(agent: Agent, data: dict[str, Any], actor: str) -> Agent:
    """Change an agent. If one of the versioned fields really changes, that is a new version.

    Raises:
        InvalidInput, Conflict: as in :func:`create`.
    """
    with transaction.atomic():
        agent = (
            Agent.objects.select_for_update(of=("self",)).select_related("current_version").get(pk=agent.pk)
        )
        _set_plain(agent, data)
        current = agent.current_version
        wanted: dict[str, Any] = {name: data[name] for name in VERSIONED if name in data}
        if current is None or any(getattr(current, name) != value for name, value in wanted.items()):
            before: dict[str, Any] = {name: getattr(current, name) for name in VERSIONED} if current else {}
            _add_version(agent, {**before, **wanted}, data.get("note", ""), actor)
        audit.record(
            agent.workspace_id,
            actor,
            "agent.updated",
            object_type="agent",
            object_id=agent.id,
            data={"fields": sorted(data)},
        )
    return agent


def restore(agent: Agent, version: AgentVersion, actor: str) -> Agent:
    """Make an old version the current one, as a new version."""
    data = {name: getattr(version, name) for name in VERSIONED}
    return update(agent, {**data, "note": f"Restored from version {version.number}"}, actor)


def archive(agent: Agent, actor: str) -> None:
    """Take an agent out of use: lists and numbers lose it, its calls keep it."""
    with transaction.atomic():
        if Agent.objects.filter(pk=agent.pk, archived_at=None).update(archived_at=timezone.now()):
            agent.numbers.update(agent=None)
            audit.record(agent.workspace_id, actor, "agent.archived", object_type="agent", object_id=agent.id)


def _set_plain(agent: Agent, data: dict[str, Any]) -> None:
    if "name" in data:
        agent.name = data["name"]
    if "slug" in data:
        agent.slug = data["slug"]
    if "profile_id" in data:
        agent.profile = _profile(agent.workspace, data["profile_id"])
    if "calendar_id" in data:
        agent.calendar = _calendar(agent.workspace, data["calendar_id"])
    try:
        with transaction.atomic():
            agent.save(update_fields=["name", "slug", "profile", "calendar"])
    except IntegrityError as exc:
        raise Conflict("an agent with this slug exists", code="slug_taken") from exc


def _add_version(agent: Agent, data: dict[str, Any], note: str, actor: str) -> None:
    wrong = sorted(set(data.get("tools", ())) - set(TOOL_NAMES))
    if wrong:
        raise InvalidInput(f"no such tool: {wrong[0]}", loc=("body", "tools"), type_="enum")
    last = agent.versions.order_by("-number").values_list("number", flat=True).first() or 0
    agent.current_version = AgentVersion.objects.create(
        agent=agent,
        number=last + 1,
        note=note[:300],
        created_by=actor[:200],
        **{name: data[name] for name in VERSIONED if name in data},
    )
    agent.save(update_fields=["current_version"])


def _profile(workspace: Workspace, profile_id: uuid.UUID | None) -> VoiceProfile:
    profiles = VoiceProfile.objects.filter(workspace=workspace)
    if profile_id is None:
        profile = profiles.order_by("created_at").first()
        return profile or VoiceProfile.objects.create(workspace=workspace, name="Default")
    profile = profiles.filter(pk=profile_id).first()
    if profile is None:
        raise InvalidInput("no such voice profile", loc=("body", "profile_id"), type_="missing")
    return profile


def _calendar(workspace: Workspace, calendar_id: uuid.UUID | None) -> Calendar | None:
    if calendar_id is None:
        return None
    calendar = Calendar.objects.filter(workspace=workspace, pk=calendar_id).first()
    if calendar is None:
        raise InvalidInput("no such calendar", loc=("body", "calendar_id"), type_="missing")
    return calendar
