"""Whose account at the carrier something belongs to: a number, and by it every call, recording and request.

A workspace may have an account of its own (voice.models.credentials). What was bought or called before it had
one still is the other account's, so rows say where they belong: `account_sid`, empty for the account of the
settings. Requests go out with that account's credentials, and requests that come in are believed only if that
account signed them: by the account of the number or call that they are about, never by any that we know.
"""

import uuid
from dataclasses import dataclass
from typing import Final

import structlog
from django.conf import settings
from django.db.models import QuerySet

from tenex.workspaces.services import vault
from voice.models import Call, Credential, CredentialKind, PhoneNumber
from voice.models.numbers import HELD
from voice.services import entrusted
from voice.telephony import client
from voice.telephony.client import Account, Carrier
from voice.telephony.errors import CarrierNotConfigured

log = structlog.get_logger(__name__)

SETTINGS: Final = ""
"""`account_sid` of what belongs to the account of the settings."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Of something at the carrier."""

    workspace_id: uuid.UUID
    account_sid: str


# --- asking the carrier ---------------------------------------------------------------------------


def own_sid(workspace_id: uuid.UUID) -> str:
    """The workspace's own account, where its next number belongs; SETTINGS without one."""
    row = Credential.objects.filter(workspace_id=workspace_id, kind=CredentialKind.TWILIO)
    return row.values_list("account", flat=True).first() or SETTINGS


def account_of(workspace_id: uuid.UUID, account_sid: str) -> Account:
    """Credentials for the account; an API key is preferred to the token.

    Raises:
        CarrierNotConfigured: there are none (any more), or they cannot be opened.
    """
    if account_sid == SETTINGS:
        return client.configured_account()
    own = _own(workspace_id, account_sid)
    if own is None:
        raise CarrierNotConfigured(
            "the workspace has no credentials (any more) for the account of this number"
        )
    return _account(own)


def carrier_of(workspace_id: uuid.UUID, account_sid: str) -> Carrier:
    """This thread's client of the account.

    Raises:
        CarrierNotConfigured: as :func:`account_of`.
    """
    return client.carrier(account_of(workspace_id, account_sid))


def of_workspace(workspace_id: uuid.UUID) -> tuple[str, Carrier]:
    """The account for what is new in this workspace: its sid as rows keep it, and its client.

    Raises:
        CarrierNotConfigured: as :func:`account_of`.
    """
    sid = own_sid(workspace_id)
    return sid, carrier_of(workspace_id, sid)


def asker(workspace_id: uuid.UUID, account_sid: str) -> Carrier | None:
    """As :func:`carrier_of`; None without credentials."""
    try:
        return carrier_of(workspace_id, account_sid)
    except CarrierNotConfigured as exc:
        log.warning("carrier not asked", workspace_id=str(workspace_id), reason=exc.detail)
        return None


def usable(workspace_id: uuid.UUID, account_sid: str) -> bool:
    """Whether there are credentials for it that can be opened."""
    if account_sid == SETTINGS:
        return client.configured()
    try:
        return _own(workspace_id, account_sid) is not None
    except CarrierNotConfigured:
        return False


def may_dial(workspace_id: uuid.UUID, account_sid: str) -> bool:
    """Whether a call over this account may be claimed. Where nobody has one, the tick claims nothing anyway."""
    return usable(workspace_id, account_sid) or (account_sid == SETTINGS and not any_usable())


def any_usable() -> bool:
    """Whether anybody could place a call."""
    return client.configured() or Credential.objects.filter(kind=CredentialKind.TWILIO).exists()


def _own(workspace_id: uuid.UUID, account_sid: str) -> entrusted.Entrusted | None:
    try:
        own = entrusted.load(workspace_id, CredentialKind.TWILIO)
    except vault.Unreadable as exc:
        raise CarrierNotConfigured("the account's credentials cannot be read") from exc
    return own if own is not None and own.account == account_sid else None


def _account(own: entrusted.Entrusted) -> Account:
    key = bool(own.api_key_sid and own.secrets.get("api_key_secret"))
    return Account(
        sid=own.account,
        username=own.api_key_sid if key else own.account,
        password=own.secrets["api_key_secret"] if key else own.secrets["auth_token"],
        base_url=settings.TWILIO_API_BASE_URL,
        timeout_s=settings.TWILIO_TIMEOUT_S,
    )


# --- being asked by the carrier -------------------------------------------------------------------


def tokens(owner: Owner | None) -> list[str]:
    """What the carrier may have signed a request about this with; of the settings' account if it is nobody's.

    Empty if the credentials cannot be had: then nothing is genuine.
    """
    if owner is None or owner.account_sid == SETTINGS:
        return [one for one in (settings.TWILIO_AUTH_TOKEN, settings.TWILIO_AUTH_TOKEN_SECONDARY) if one]
    try:
        own = _own(owner.workspace_id, owner.account_sid)
    except CarrierNotConfigured:
        return []
    parts = own.secrets if own is not None else {}
    return [parts[name] for name in ("auth_token", "auth_token_secondary") if parts.get(name)]


def signed(owner: Owner | None, call: Call) -> bool:
    """Whether who signed for `owner` (see :func:`tokens`) may speak for this call."""
    if owner is None or owner.account_sid == SETTINGS:
        return call.account_sid == SETTINGS
    return (call.workspace_id, call.account_sid) == (owner.workspace_id, owner.account_sid)


def of_call(call_id: uuid.UUID) -> Owner | None:
    return _owner(Call.objects.filter(pk=call_id))


def of_attempt(attempt_id: uuid.UUID) -> Owner | None:
    return _owner(Call.objects.filter(attempts=attempt_id))


def of_sid(call_sid: str) -> Owner | None:
    """Of the call that the carrier has under this id."""
    return _owner(Call.objects.filter(provider_sid=call_sid)) if call_sid else None


def of_number(e164: str) -> Owner | None:
    """Of the number that is called: whoever holds it, else whoever held it last."""
    rows = PhoneNumber.objects.filter(e164=e164)
    found = rows.filter(status__in=HELD).order_by().values_list("workspace_id", "account_sid").first()
    found = found or rows.order_by("-created_at").values_list("workspace_id", "account_sid").first()
    return Owner(*found) if found else None


def _owner(calls: QuerySet[Call]) -> Owner | None:
    found = calls.order_by().values_list("workspace_id", "account_sid").first()
    return Owner(*found) if found else None
