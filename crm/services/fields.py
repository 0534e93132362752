"""Definitions of custom fields. Values that leads have already stay as they are."""

import uuid
from typing import Any

from django.db import IntegrityError, transaction

from crm.models import CustomField, FieldType, Segment, SegmentKind
from crm.selectors import conditions
from crm.selectors import fields as read
from crm.services.custom_values import KEY
from tenex.errors import Conflict, InvalidInput
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit

MAX_FIELDS = 100
MAX_CHOICES = 200


def create(
    workspace: Workspace,
    *,
    key: str,
    type_: str,
    label: str = "",
    choices: list[str] | None = None,
    actor: str,
) -> CustomField:
    """Define a key. From now on what is written under it must be of that type.

    Raises:
        InvalidInput: a key that is none, choices that do not fit the type.
        Conflict: `field_exists`, `too_many_fields`.
    """
    if not KEY.fullmatch(key):
        raise InvalidInput(
            "must be small letters, digits and underscores, with a letter first",
            loc=("body", "key"),
            type_="key",
        )
    with transaction.atomic():
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)  # counts and rules hold still
        if read.all_of(workspace.id).count() >= MAX_FIELDS:
            raise Conflict(f"a workspace has at most {MAX_FIELDS} custom fields", code="too_many_fields")
        field = CustomField(workspace=workspace, key=key, type=type_, label=label)
        field.choices = _choices(field, choices or [])
        try:
            with transaction.atomic():
                field.save(force_insert=True)
        except IntegrityError as exc:
            raise Conflict("a field with this key is defined", code="field_exists") from exc
        _note(field, actor, "created")
    return field


def update(
    workspace: Workspace,
    field_id: uuid.UUID,
    *,
    label: str | None = None,
    choices: list[str] | None = None,
    actor: str,
) -> CustomField:
    """Change label or choices; key and type stay, for leads hold values of it.

    Raises:
        NotFound, InvalidInput.
        Conflict: `field_in_use`: a segment asks for a choice that would be gone.
    """
    with transaction.atomic():
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        field = read.get(workspace.id, field_id)
        if label is not None:
            field.label = label
        if choices is not None:
            field.choices = _choices(field, choices)
            _refuse_if_asked_for(workspace, {**read.by_key(workspace.id), field.key: field})
        field.save(update_fields=["label", "choices"])
        _note(field, actor, "updated")
    return field


def delete(workspace: Workspace, field_id: uuid.UUID, *, actor: str) -> None:
    """Forget a definition. The leads keep what they have under the key, as free JSON.

    Raises:
        NotFound.
        Conflict: `field_in_use`; `extra["segment_id"]` is a segment that asks for it.
    """
    with transaction.atomic():
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        field = read.get(workspace.id, field_id)
        rest = read.by_key(workspace.id)
        del rest[field.key]
        _refuse_if_asked_for(workspace, rest)
        _note(field, actor, "deleted")
        field.delete()


def _refuse_if_asked_for(workspace: Workspace, customs: conditions.Customs) -> None:
    for segment in Segment.objects.filter(workspace=workspace, kind=SegmentKind.RULES):
        try:
            conditions.compile_rules(segment.rules, customs)
        except InvalidInput as exc:
            raise Conflict(
                f"the segment {segment.name} asks for it",
                code="field_in_use",
                extra={"segment_id": str(segment.id)},
            ) from exc


def _choices(field: CustomField, choices: list[str]) -> list[str]:
    loc = ("body", "choices")
    if field.type != FieldType.CHOICE:
        if choices:
            raise InvalidInput("only a choice has choices", loc=loc, type_="extra_forbidden")
        return []
    if not choices:
        raise InvalidInput("a choice needs choices", loc=loc, type_="missing")
    if len(choices) > MAX_CHOICES:
        raise InvalidInput(f"at most {MAX_CHOICES}", loc=loc, type_="too_long")
    if len({one.lower() for one in choices}) < len(choices):
        raise InvalidInput("one of them is there twice", loc=loc, type_="duplicate")
    return choices


def _note(field: CustomField, actor: str, what: str) -> None:
    data: dict[str, Any] = {"key": field.key, "type": field.type, "choices": field.choices}
    audit.record(
        field.workspace_id,
        actor,
        f"custom_field.{what}",
        object_type="custom_field",
        object_id=field.pk,
        data=data,
    )
