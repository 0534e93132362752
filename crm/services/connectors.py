"""Calendars of a workspace: made, changed, taken out of use. Passwords come in and never go out."""

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models, transaction
from django.utils import timezone

from crm.calendars import hours as working
from crm.models import (
    HOLDS_TIME,
    AccountState,
    Calendar,
    CalendarAccount,
    CalendarKind,
    Meeting,
    MeetingStatus,
)
from crm.services import calendar_health, calendar_ports
from tenex.errors import Conflict, InvalidInput
from tenex.lib import guarded_http, storable, zones
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit

MOST: Final = 200
"""Of a workspace."""
RULES: Final = (
    "name", "time_zone", "hours", "slot_minutes", "buffer_before_minutes", "buffer_after_minutes",
    "notice_minutes", "horizon_days", "daily_limit", "join_url", "organizer_email", "sends_invitations",
    "is_default",
)  # fmt: skip
"""What every calendar has."""
ACCESS: Final = ("url", "user_name", "password")
"""How a CalDAV server is reached."""


def create(
    workspace: Workspace, given: Mapping[str, Any], *, actor: str, kind: str = CalendarKind.BUILT_IN
) -> Calendar:
    """Make a calendar of `RULES`, and for CalDAV of `ACCESS`. Which calendar of the account it is, is chosen
    afterwards (:mod:`crm.services.connector_checks`).

    Raises:
        InvalidInput.
        Conflict: as many as a workspace may have.
    """
    values = _checked(given)
    if not values.get("name"):
        raise InvalidInput("a name is needed", loc=("body", "name"), type_="missing")
    access = _access(given, kind)
    with transaction.atomic():
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        mine = Calendar.objects.filter(workspace=workspace, archived_at=None)
        if mine.count() >= MOST:
            raise Conflict(f"a workspace has at most {MOST} calendars", code="too_many_connectors")
        if values.get("is_default"):
            mine.update(is_default=False)
        calendar = Calendar.objects.create(
            workspace=workspace, kind=kind, **{"time_zone": workspace.time_zone, **values}
        )
        if calendar.is_remote:
            account = CalendarAccount.objects.create(calendar=calendar, workspace=workspace)
            _reach(account, access)
        _note(calendar, actor, "connector.created", {"kind": kind, "fields": sorted(values)})
    return calendar


def update(calendar: Calendar, given: Mapping[str, Any], *, actor: str) -> Calendar:
    """Change `RULES` or `ACCESS`, or choose the calendar (`address`, and `address_name` for people).

    Raises:
        InvalidInput.
    """
    values = _checked(given)
    access = _access(given, calendar.kind, of=calendar)
    with transaction.atomic():
        locked = Calendar.objects.select_for_update(no_key=True).get(pk=calendar.pk)
        if values.get("is_default"):
            others = Calendar.objects.filter(workspace=calendar.workspace_id).exclude(pk=calendar.pk)
            others.update(is_default=False)
        for name, value in values.items():
            setattr(locked, name, value)
        if values:
            locked.save(update_fields=[*values])
        if access or "address" in given:
            account = CalendarAccount.objects.select_for_update().get(pk=calendar.pk)
            _reach(account, access)
            if "address" in given:
                choose(account, str(given["address"]), str(given.get("address_name", "")))
        changed = sorted({*values, *access, *({"address"} & set(given))})
        if changed:
            _note(locked, actor, "connector.updated", {"fields": changed})
    return Calendar.objects.select_related("account", "workspace").get(pk=calendar.pk)


def archive(calendar: Calendar, *, actor: str) -> None:
    """Take a calendar out of use, and forget how it is reached. Its meetings stay in the leads' histories.

    Raises:
        Conflict: meetings in it are to come, or are still being written there.
    """
    now = timezone.now()
    with transaction.atomic():
        locked = Calendar.objects.select_for_update(no_key=True).get(pk=calendar.pk)
        rows = Meeting.objects.filter(calendar=locked)
        to_come = rows.filter(status__in=[MeetingStatus.REQUESTED, *HOLDS_TIME], ends_at__gt=now).count()
        unsettled = rows.exclude(sync_at=None).count()
        if to_come or unsettled:
            raise Conflict(
                "meetings in this calendar are to come: cancel them or let them pass first",
                code="connector_in_use",
                extra={"to_come": to_come, "unsettled": unsettled},
            )
        locked.archived_at, locked.is_default = now, False
        locked.save(update_fields=["archived_at", "is_default"])
        CalendarAccount.objects.filter(pk=locked.pk).delete()
        _note(locked, actor, "connector.deleted", {"kind": locked.kind})


def choose(account: CalendarAccount, address: str, name: str = "") -> None:
    """Which calendar of the account it is.

    Raises:
        InvalidInput: of CalDAV: not an address that we would connect to.
    """
    if account.calendar.kind == CalendarKind.CALDAV and address:
        _check_url(address, "address")
    account.address, account.address_name = storable.text(address)[:500], storable.text(name)[:200]
    account.state = AccountState.UNFINISHED
    account.save(update_fields=["address", "address_name", "state"])
    calendar_health.reset(account.pk)


def _reach(account: CalendarAccount, access: Mapping[str, str]) -> None:
    if not access:
        return
    moved = "url" in access and access["url"] != account.url
    account.url = access.get("url", account.url)
    account.user_name = access.get("user_name", account.user_name)
    if moved:  # a calendar of another server, and a password for another one
        account.address = account.address_name = ""
    account.state = AccountState.UNFINISHED
    account.save(update_fields=["url", "user_name", "address", "address_name", "state"])
    if "password" in access:
        calendar_ports.keep_credentials(account, {"password": access["password"]})
    elif moved:
        calendar_ports.keep_credentials(account, {})
    calendar_health.reset(account.pk)


def _access(given: Mapping[str, Any], kind: str, *, of: Calendar | None = None) -> dict[str, str]:
    found = {name: storable.text(str(given[name])) for name in ACCESS if name in given}
    if found and kind != CalendarKind.CALDAV:
        name = next(iter(found))
        raise InvalidInput("only a CalDAV calendar has this", loc=("body", name), type_="extra_forbidden")
    if kind == CalendarKind.CALDAV and of is None:
        for name in ACCESS:
            if not found.get(name):
                raise InvalidInput("is needed for CalDAV", loc=("body", name), type_="missing")
    for name, value in found.items():
        if not value:
            raise InvalidInput("is empty", loc=("body", name), type_="too_short")
    if "url" in found:
        _check_url(found["url"], "url")
    if ":" in found.get("user_name", ""):
        raise InvalidInput("a user name has no colon", loc=("body", "user_name"))
    if of is not None and "url" in found and "password" not in found:
        known = CalendarAccount.objects.filter(pk=of.pk).values_list("url", flat=True).first()
        if known != found["url"]:
            # Whoever may change the address must not have the password sent to one of their own.
            raise InvalidInput(
                "a new address needs the password again", loc=("body", "password"), type_="missing"
            )
    return found


def _check_url(url: str, field: str) -> None:
    try:
        guarded_http.check(url, calendar_ports.policy(), timeout_s=3.0)
    except guarded_http.AddressRefused as exc:
        raise InvalidInput(str(exc), loc=("body", field), type_="url_refused") from exc
    except guarded_http.ExchangeFailed:
        return  # it may resolve later


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `RULES` that are given, each as the database wants it."""
    found: dict[str, Any] = {}
    for name in RULES:
        if name not in given:
            continue
        value, loc = given[name], ("body", name)
        if isinstance(value, str):
            value = storable.text(value).strip()
        if name == "hours":
            try:
                value = working.checked(value)
            except working.BadHours as exc:
                kind = "extra_forbidden" if exc.unknown else "value_error"
                raise InvalidInput(str(exc), loc=(*loc, exc.day) if exc.day else loc, type_=kind) from exc
        elif name == "time_zone" and zones.zone(value) is None:
            raise InvalidInput("not a time zone: write it like America/New_York", loc=loc, type_="time_zone")
        elif name == "organizer_email" and value:
            _valid(validate_email, value, loc)
        field: models.Field[Any, Any] = Calendar._meta.get_field(name)  # type: ignore[assignment]
        if name != "hours" and value not in ("", None):
            _valid(lambda one, its_field=field: its_field.run_validators(one), value, loc)
        if name == "name" and not value:
            raise InvalidInput("a name is needed", loc=loc, type_="too_short")
        found[name] = value
    return found


def _valid(validate: Any, value: Any, loc: tuple[str | int, ...]) -> None:
    try:
        validate(value)
    except ValidationError as exc:
        raise InvalidInput(exc.messages[0].rstrip(".").lower(), loc=loc) from exc


def _note(calendar: Calendar, actor: str, action: str, data: dict[str, Any]) -> None:
    audit.record(
        calendar.workspace_id, actor, action, object_type="connector", object_id=calendar.pk, data=data
    )
