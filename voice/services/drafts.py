"""Drafts: what an agent will say, while people still write it.

There is one draft of an agent at most. Each state of the text that one can begin to write from has a token:
the draft's, or that of the published version where there is no draft. Who saves names the token that they
began with; if it is not the one of now, somebody else has saved, published or discarded meanwhile, and
nothing is written (Conflict `draft_conflict`): the two texts are then put beside each other by whoever asked.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from tenex.errors import Conflict, InvalidInput
from tenex.workspaces.services import audit
from voice.models import Agent, AgentDraft, AgentVersion
from voice.services import agents, templates

EMPTY: Final[dict[str, Any]] = {"system_prompt": "", "objective": "", "criteria": [], "tools": []}


@dataclass(frozen=True, slots=True)
class State:
    """What is written now, whether it is a draft, and whose last word it is."""

    content: dict[str, Any]
    """The fields of `agents.VERSIONED`."""
    token: str
    is_draft: bool
    published: int
    """Number of the version that calls run now; 0: none."""
    base: int = 0
    """Number of the version that the draft was begun from."""
    updated_by: str = ""
    updated_at: datetime | None = None

    @property
    def outdated(self) -> bool:
        """Somebody has published since the draft was begun."""
        return self.is_draft and self.base != self.published


def state(agent: Agent) -> State:
    """The draft, or what is published if nobody has begun one."""
    current = agent.current_version
    published = current.number if current else 0
    draft = AgentDraft.objects.filter(agent=agent).select_related("base").first()
    if draft is None:
        return State(content_of(current), f"v{published}", is_draft=False, published=published)
    return State(
        content_of(draft),
        draft.token,
        is_draft=True,
        published=published,
        base=draft.base.number if draft.base else 0,
        updated_by=draft.updated_by,
        updated_at=draft.updated_at,
    )


def content_of(row: AgentVersion | AgentDraft | None) -> dict[str, Any]:
    """The versioned fields of a version or a draft."""
    return {name: getattr(row, name) for name in agents.VERSIONED} if row else {**EMPTY}


def save(agent: Agent, content: dict[str, Any], token: str, actor: str) -> State:
    """Write the draft; unfinished texts too: they are checked when they are published.

    Raises:
        Conflict: `draft_conflict`, the text is not the one of `token` any more.
    """
    with transaction.atomic():
        agent = _locked(agent)
        now = state(agent)
        if _same(now.content, content):  # two people who wrote the same have no conflict
            return now
        _hold(now, token)
        AgentDraft.objects.update_or_create(
            agent=agent,
            defaults={**content, "token": secrets.token_hex(16), "updated_by": actor[:200]},
            create_defaults={
                **content,
                "agent": agent,
                "base": agent.current_version,
                "token": secrets.token_hex(16),
                "updated_by": actor[:200],
            },
        )
        return state(agent)


def discard(agent: Agent, token: str, actor: str) -> State:
    """Throw the draft away; what is published stays.

    Raises:
        Conflict: `draft_conflict`.
    """
    with transaction.atomic():
        agent = _locked(agent)
        now = state(agent)
        _hold(now, token)
        if now.is_draft:
            AgentDraft.objects.filter(agent=agent).delete()
            audit.record(
                agent.workspace_id, actor, "agent.draft_discarded", object_type="agent", object_id=agent.id
            )
        return state(agent)


def publish(agent: Agent, token: str, note: str, actor: str, *, against: int) -> AgentVersion:
    """Make the draft the version that calls run from now on; calls in progress keep theirs.

    `against`: number of the version that its differences were shown to.

    Raises:
        InvalidInput: no note, an empty prompt, an unknown variable or tool.
        Conflict: `draft_conflict`, or `draft_none`: nothing has been changed.
    """
    with transaction.atomic():
        agent = _locked(agent)
        now = state(agent)
        _hold(now, token)
        if now.published != against:
            raise Conflict("another version has been published meanwhile", code="draft_conflict")
        if not note.strip():
            raise InvalidInput("say why", loc=("body", "note"), type_="missing")
        if not now.content["system_prompt"].strip():
            raise InvalidInput("the prompt is empty", loc=("body", "system_prompt"), type_="missing")
        agent = agents.update(agent, {**now.content, "note": note.strip()}, actor)
        made = agent.current_version
        if made is None or made.number == now.published:
            raise Conflict("nothing differs from what is published", code="draft_none")
        AgentDraft.objects.filter(agent=agent).delete()
        return made


def problems(content: dict[str, Any]) -> list[tuple[str, templates.Problem]]:
    """What would keep a text from being published, field by field."""
    return [
        (name, problem)
        for name in ("system_prompt", "objective")
        for problem in templates.problems(content[name])
    ]


def _locked(agent: Agent) -> Agent:
    rows = Agent.objects.select_for_update(of=("self",)).select_related("current_version", "workspace")
    return rows.get(pk=agent.pk)


def _hold(now: State, token: str) -> None:
    if now.token != token:
        raise Conflict(
            f"{now.updated_by.removeprefix('user:') or 'somebody else'} has changed this meanwhile",
            code="draft_conflict",
        )


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[name] == other[name] for name in agents.VERSIONED)
