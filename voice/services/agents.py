"""Writing agents. What an agent says is never edited: each save of it makes another version."""

import uuid
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from tenex.errors import Conflict, InvalidInput
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import Agent, AgentVersion, Call, NumberStatus, VoiceProfile
from voice.models.batches import OPEN
from voice.models.calls import LIVE
from voice.services import parts, templates

VERSIONED: Final = ("system_prompt", "objective", "criteria", "tools")
"""Fields that live in a version; the others are on the agent itself."""


TOOL_NAMES: Final = (
    "lookup_lead",
    "update_lead",
    "search_knowledge",
    "list_free_slots",
    "book_meeting",
    "reschedule_meeting",
    "cancel_meeting",
    "note_preferred_time",
    "transfer_to_human",
    "note_opt_out",
    "stop_recording",
    "schedule_callback",
    "end_call",
)


def create(workspace: Workspace, data: dict[str, Any], actor: str) -> Agent:
    """An agent with its first version.

    `data`: name, slug (made of the name if absent), profile_id (the first one if absent), calendar_id,
    is_default, and the versioned fields with an optional `note`.

    Raises:
        InvalidInput: a profile or calendar that is not there, a tool or a template variable that does not
            exist.
        Conflict: the slug is taken.
    """
    slug = data.get("slug") or slugify(data["name"])[:80] or "agent"
    with transaction.atomic():
        _make_room(workspace.pk, data)
        try:
            with transaction.atomic():
                agent = Agent.objects.create(
                    workspace=workspace,
                    name=data["name"],
                    slug=slug,
                    profile=_profile(workspace, data.get("profile_id")),
                    calendar=parts.calendar(workspace, data.get("calendar_id")),
                    is_default=bool(data.get("is_default")),
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


def restore(agent: Agent, version: AgentVersion, actor: str, why: str = "") -> Agent:
    """Make an old version the current one, as a new version; calls in progress keep theirs."""
    data = {name: getattr(version, name) for name in VERSIONED}
    note = f"Restored from version {version.number}" + (f": {why}" if why else "")
    return update(agent, {**data, "note": note}, actor)


def duplicate(agent: Agent, actor: str, *, name: str = "", slug: str = "") -> Agent:
    """A new agent that says and does the same; no number leads to it, and it is not the default.

    Raises:
        Conflict: the slug is taken.
    """
    name = name or f"Copy of {agent.name}"[:100]
    base = slug or slugify(name)[:70] or "agent"
    taken = set(
        Agent.objects.filter(workspace=agent.workspace, slug__startswith=base).values_list("slug", flat=True)
    )
    free = next(one for one in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if one not in taken)
    version = agent.current_version
    said = {field: getattr(version, field) for field in VERSIONED} if version else {}
    return create(
        agent.workspace,
        {
            "name": name,
            "slug": slug or free,
            "profile_id": agent.profile_id,
            "calendar_id": agent.calendar_id,
            "note": f"Copied from {agent.slug} v{version.number}" if version else "",
            **said,
        },
        actor,
    )


def archive(agent: Agent, actor: str) -> None:
    """Take an agent out of use: lists lose it, its calls keep it.

    Raises:
        Conflict: `agent_in_use`, a number leads to it, or an open batch or a live call runs it.
    """
    with transaction.atomic():
        locked = Agent.objects.select_for_update().get(pk=agent.pk)
        if locked.archived_at is not None:
            return
        uses = {
            "numbers": agent.numbers.exclude(status=NumberStatus.RELEASED).count(),
            "batches": agent.batches.filter(status__in=OPEN).count(),
            "calls": Call.objects.filter(agent_version__agent=agent, status__in=LIVE).count(),
        }
        if any(uses.values()):
            raise Conflict(
                "a number leads to the agent, or an open batch or a live call runs it",
                code="agent_in_use",
                extra=uses,
            )
        locked.archived_at, locked.is_default = timezone.now(), False
        locked.save(update_fields=["archived_at", "is_default"])
        audit.record(agent.workspace_id, actor, "agent.archived", object_type="agent", object_id=agent.id)


def _make_room(workspace_id: uuid.UUID, data: dict[str, Any]) -> None:
    """The former default agent is none any more."""
    if data.get("is_default"):
        Agent.objects.filter(workspace_id=workspace_id, is_default=True).update(is_default=False)


def _set_plain(agent: Agent, data: dict[str, Any]) -> None:
    if "name" in data:
        agent.name = data["name"]
    if "slug" in data:
        agent.slug = data["slug"]
    if "profile_id" in data:
        agent.profile = _profile(agent.workspace, data["profile_id"])
    if "calendar_id" in data:
        agent.calendar = parts.calendar(agent.workspace, data["calendar_id"])
    if "is_default" in data:
        _make_room(agent.workspace_id, data)
        agent.is_default = data["is_default"]
    try:
        with transaction.atomic():
            agent.save(update_fields=["name", "slug", "profile", "calendar", "is_default"])
    except IntegrityError as exc:
        raise Conflict("an agent with this slug exists", code="slug_taken") from exc


def _add_version(agent: Agent, data: dict[str, Any], note: str, actor: str) -> None:
    wrong = sorted(set(data.get("tools", ())) - set(TOOL_NAMES))
    if wrong:
        raise InvalidInput(f"no such tool: {wrong[0]}", loc=("body", "tools"), type_="enum")
    for field in ("system_prompt", "objective"):
        if field in data:
            templates.check(data[field], field)
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
