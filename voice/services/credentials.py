"""Writing what a workspace entrusts to us, and asking the provider whether it works.

Write-only: what is set is sealed at once and given to nobody again. A credential that the provider refuses is
not kept; one that could not be asked about is, and says so.
"""

import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from tenex.errors import Conflict, InvalidInput, existing
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit, vault
from voice.models import Call, Credential, CredentialKind, CredentialState, PhoneNumber, Recording
from voice.models.calls import LIVE
from voice.models.evidence import RecordingStatus
from voice.models.numbers import HELD
from voice.services import entrusted
from voice.services.entrusted import Entrusted
from voice.telephony.client import Account, Carrier
from voice.telephony.errors import CarrierError, CarrierRejected
from voice.wire.model_access import ModelAccess

log = structlog.get_logger(__name__)

_ASK_S: Final = 8.0
"""For one question to a provider, while somebody waits for the answer."""
FORMS: Final = {
    "account_sid": (r"AC[0-9a-f]{32}", "AC and 32 characters of 0-9 and a-f"),
    "api_key_sid": (r"SK[0-9a-f]{32}", "SK and 32 characters of 0-9 and a-f"),
    "auth_token": (r"[!-~]{16,128}", "the token as Twilio shows it"),
    "auth_token_secondary": (r"[!-~]{16,128}", "the token as Twilio shows it"),
    "api_key_secret": (r"[!-~]{16,128}", "the secret as Twilio has shown it"),
    "api_key": (r"[!-~]{16,400}", "the key as OpenAI has shown it"),
    "organization": (r"[A-Za-z0-9_-]{1,64}", "an id such as org-…"),
    "project": (r"[A-Za-z0-9_-]{1,64}", "an id such as proj_…"),
}
"""Part -> regular expression of all of it, and the same in words."""
FIELDS: Final = {
    CredentialKind.TWILIO: (
        "account_sid", "auth_token", "auth_token_secondary", "api_key_sid", "api_key_secret",
    ),
    CredentialKind.OPENAI: ("api_key", "organization", "project"),
}  # fmt: skip
_NEEDED: Final = {
    CredentialKind.TWILIO: ("account_sid", "auth_token"),
    CredentialKind.OPENAI: ("api_key",),
}
_SECRET: Final = ("auth_token", "auth_token_secondary", "api_key_secret", "api_key")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said. `field`: which part it does not take."""

    state: CredentialState
    detail: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class InUse:
    """What at the carrier still belongs to an account."""

    numbers: int
    calls: int
    recordings: int

    def __bool__(self) -> bool:
        return bool(self.numbers or self.calls or self.recordings)


@dataclass(slots=True)
class _Given:
    account: str = ""
    project: str = ""
    api_key_sid: str = ""
    secrets: dict[str, str] = field(default_factory=dict, repr=False)


def put(
    workspace: Workspace, kind: CredentialKind, data: dict[str, str], actor: str, *, force: bool = False
) -> Credential:
    """Set all of a credential, in place of the one before. The system goes by it from the next use on.

    `force`: also if numbers, calls or recordings belong to the account that is replaced.

    Raises:
        InvalidInput: a part is missing or not of its form, or the provider refuses it (`credential_refused`).
        Conflict: the account that is replaced is in use (`account_in_use`).
    """
    given = _checked(kind, data)
    answer = _ask(kind, given)
    if answer.state == CredentialState.REFUSED:
        raise InvalidInput(answer.detail, loc=("body", answer.field), type_="credential_refused")
    with transaction.atomic():
        _one_at_a_time(workspace.pk)
        row = Credential.objects.filter(workspace=workspace, kind=kind).first()
        replaced = row.account if row is not None else ""
        if row is not None and kind == CredentialKind.TWILIO and replaced != given.account:
            _refuse_if_used(row, force)
        row = row or Credential(workspace=workspace, kind=kind)
        row.account, row.project, row.api_key_sid = given.account, given.project, given.api_key_sid
        row.sealed = vault.seal(workspace.pk, vault.place(row, "sealed"), json.dumps(given.secrets))
        row.endings = {name: secret[-4:] for name, secret in given.secrets.items()}
        row.set_at, row.set_by, row.last_used_at = timezone.now(), actor, None
        _note(row, answer)
        row.save()
        _audit(
            row, actor, "credential.set", parts=sorted(given.secrets), state=answer.state.value,
            **({"replaced": replaced, "forced": force} if replaced not in ("", given.account) else {}),
        )  # fmt: skip
    return row


def remove(workspace: Workspace, kind: CredentialKind, actor: str, *, force: bool = False) -> None:
    """Forget it: the workspace uses that of the settings again, if there is one.

    Raises:
        NotFound: there is none.
        Conflict: the account is in use (`account_in_use`); with `force` its numbers stay unusable.
    """
    with transaction.atomic():
        _one_at_a_time(workspace.pk)
        row = existing(Credential.objects.filter(workspace=workspace, kind=kind).first())
        if kind == CredentialKind.TWILIO:
            _refuse_if_used(row, force)
        _audit(row, actor, "credential.removed", forced=force)
        row.delete()


def check(row: Credential, actor: str) -> Credential:
    """Ask the provider whether it works, and write down what it says.

    Raises:
        vault.Unreadable: it cannot be opened.
    """
    opened = entrusted.open_row(row)
    answer = _ask(CredentialKind(row.kind), _of(opened))
    with transaction.atomic():
        fields = _note(row, answer)
        # Only what was asked about: somebody may have set another one meanwhile.
        Credential.objects.filter(pk=row.pk, sealed=row.sealed).update(
            **{name: getattr(row, name) for name in fields}
        )
        _audit(row, actor, "credential.checked", state=answer.state.value)
    return row


def in_use(row: Credential) -> InUse:
    """Of a Twilio account: what would be out of reach without it."""
    mine = {"workspace_id": row.workspace_id, "account_sid": row.account}
    waiting = (RecordingStatus.PENDING, RecordingStatus.STORED, RecordingStatus.DELETED)
    return InUse(
        numbers=PhoneNumber.objects.filter(**mine, status__in=HELD).count(),
        calls=Call.objects.filter(**mine, status__in=LIVE).count(),
        recordings=Recording.objects.filter(
            workspace_id=row.workspace_id,
            call__account_sid=row.account,
            status__in=waiting,
            carrier_deleted_at=None,
        ).count(),
    )


def _checked(kind: CredentialKind, data: dict[str, str]) -> _Given:
    named = {name: str(data.get(name) or "").strip() for name in FIELDS[kind]}
    for name in _NEEDED[kind]:
        if not named[name]:
            raise InvalidInput("this field is required", loc=("body", name), type_="missing")
    for name, value in named.items():
        form, said = FORMS[name]
        if value and re.fullmatch(form, value) is None:
            raise InvalidInput(f"must be {said}", loc=("body", name), type_="form")
    if kind == CredentialKind.TWILIO and bool(named["api_key_sid"]) is not bool(named["api_key_secret"]):
        lacking = "api_key_secret" if named["api_key_sid"] else "api_key_sid"
        raise InvalidInput("an API key has a SID and a secret", loc=("body", lacking), type_="missing")
    return _Given(
        account=named.get("account_sid", "") or named.get("organization", ""),
        project=named.get("project", ""),
        api_key_sid=named.get("api_key_sid", ""),
        secrets={name: named[name] for name in _SECRET if named.get(name)},
    )


def _of(opened: Entrusted) -> _Given:
    return _Given(opened.account, opened.project, opened.api_key_sid, opened.secrets)


def _one_at_a_time(workspace_id: uuid.UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"credential:{workspace_id}"]
        )


def _refuse_if_used(row: Credential, force: bool) -> None:
    used = in_use(row)
    if used and not force:
        raise Conflict(
            "numbers, live calls or recordings belong to this account; give the numbers up, or force it",
            code="account_in_use",
            extra={"numbers": used.numbers, "calls": used.calls, "recordings": used.recordings},
        )


def _note(row: Credential, answer: Answer) -> list[str]:
    row.state, row.state_detail, row.checked_at = answer.state, answer.detail[:300], timezone.now()
    return ["state", "state_detail", "checked_at"]


def _audit(row: Credential, actor: str, action: str, **data: Any) -> None:
    audit.record(
        row.workspace_id,
        actor,
        action,
        object_type="credential",
        object_id=row.pk,
        data={"kind": row.kind, "account": row.account, **data},
    )


# --- asking the provider --------------------------------------------------------------------------


def _ask(kind: CredentialKind, given: _Given) -> Answer:
    return _ask_twilio(given) if kind == CredentialKind.TWILIO else _ask_openai(given)


def _ask_twilio(given: _Given) -> Answer:
    """One cheap GET with each of the parts."""
    detail = ""
    for name in ("auth_token", "auth_token_secondary", "api_key_secret"):
        if name not in given.secrets:
            continue
        of_key = name == "api_key_secret"
        user = given.api_key_sid if of_key else given.account
        account = Account(
            sid=given.account,
            username=user,
            password=given.secrets[name],
            base_url=settings.TWILIO_API_BASE_URL,
            timeout_s=min(_ASK_S, settings.TWILIO_TIMEOUT_S),
        )
        try:
            if of_key:
                Carrier(account).numbers("+10000000000")
                continue
            found = Carrier(account).look()
        except CarrierRejected as exc:
            said = f"Twilio refuses it: {exc.detail} ({exc.provider_code})"
            missing = exc.http_status == 404
            return Answer(CredentialState.REFUSED, said, "account_sid" if missing else name)
        except CarrierError as exc:
            return Answer(CredentialState.UNREACHABLE, exc.detail)
        if found.status != "active":
            said = f"the account is {found.status}"
            return Answer(CredentialState.REFUSED, said, "account_sid")
        detail = f"{found.name} ({found.status})"
    return Answer(CredentialState.VERIFIED, detail)


def _ask_openai(given: _Given) -> Answer:
    """The list of models, which costs nothing."""
    import openai

    access = ModelAccess(settings.OPENAI_BASE_URL, given.secrets["api_key"], given.account, given.project)
    try:
        with openai.OpenAI(**access.sdk(), timeout=_ASK_S, max_retries=0) as client:
            models = {model.id for model in client.models.list()}
    except (openai.AuthenticationError, openai.PermissionDeniedError) as exc:
        said = f"OpenAI refuses it: {exc.code or exc.status_code}"
        return Answer(CredentialState.REFUSED, said, "api_key")
    except openai.APIStatusError as exc:
        return Answer(CredentialState.UNREACHABLE, f"the server answered {exc.status_code}")
    except (openai.OpenAIError, ValueError) as exc:
        return Answer(CredentialState.UNREACHABLE, f"the server did not answer ({type(exc).__name__})")
    lacking = [name for name in (settings.REALTIME_MODEL, settings.VERDICT_MODEL) if name not in models]
    without = f", none of them {' or '.join(lacking)}" if lacking else ""
    return Answer(CredentialState.VERIFIED, f"{len(models)} models{without}")
