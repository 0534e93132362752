"""API keys: `tnx_<prefix>_<secret><checksum>`.

8 characters of prefix (public, unique), 43 of secret (256 bits in base 62), 6 of CRC-32 over all before it.
At rest there is only an HMAC-SHA-256 of the secret under a server-side pepper: a random secret of 256 bits
needs no slow hash. The row is read on each request, so that a revocation counts from the next one on.
"""

import hashlib
import hmac
import re
import secrets
import uuid
import zlib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tenex.errors import Forbidden, InvalidInput
from tenex.workspaces import scopes as known
from tenex.workspaces.models import ApiKey, Workspace
from tenex.workspaces.principal import Principal
from tenex.workspaces.services import audit

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX_LENGTH = 8
_SECRET_LENGTH = 43
_CHECKSUM_LENGTH = 6
_FORM = re.compile(r"tnx_([0-9A-Za-z]{8})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")


def create(
    workspace: Workspace,
    name: str,
    scopes: Sequence[str],
    actor: str,
    expires_at: datetime | None = None,
    *,
    created_by_id: uuid.UUID | None = None,
) -> tuple[ApiKey, str]:
    """Mint a key; the second value is its whole text and exists nowhere afterwards.

    Raises:
        InvalidInput: an unknown or no scope, or an expiry that has passed.
    """
    wrong = known.unknown(scopes)
    if wrong or not scopes:
        raise InvalidInput(
            f"unknown scope: {wrong[0]}" if wrong else "at least one scope is needed",
            loc=("body", "scopes"),
            type_="scope",
        )
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidInput("must lie in the future", loc=("body", "expires_at"))
    while True:
        prefix = _random(_PREFIX_LENGTH)
        secret = _random(_SECRET_LENGTH)
        try:
            with transaction.atomic():
                key = ApiKey.objects.create(
                    workspace=workspace,
                    name=name,
                    prefix=prefix,
                    digest=digest(secret),
                    scopes=sorted(set(scopes)),
                    expires_at=expires_at,
                    created_by_id=created_by_id,
                )
                audit.record(
                    workspace.id,
                    actor,
                    "api_key.created",
                    object_type="api_key",
                    object_id=key.id,
                    data={"prefix": prefix, "scopes": key.scopes},
                )
        except IntegrityError:
            if not ApiKey.objects.filter(prefix=prefix).exists():
                raise
            continue  # one in 10**14: this prefix is taken
        return key, text_of(prefix, secret)


def verify(text: str) -> Principal | None:
    """The holder of a key, or None if there is no such key, or it is revoked or expired.

    A text that is not a key (typing error, other format) is refused by its checksum, without the database.
    """
    parts = parse(text)
    return None if parts is None else holder(parts[0], digest(parts[1]))


def holder(prefix: str, digest_: bytes) -> Principal | None:
    """As :func:`verify`, of a key in parts. One query; the row is read each time."""
    key = _row(prefix)
    if key is None or not hmac.compare_digest(bytes(key.digest), digest_):
        return None
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= timezone.now()):
        return None
    name = f"key:{key.prefix}"
    return Principal(workspace=key.workspace, scopes=frozenset(key.scopes), actor=name, rate_key=name)


def mint(
    by: Principal, name: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """:func:`create` for somebody who asks through a door: nobody hands out more than they have.

    Raises:
        Forbidden: `by` lacks one of the scopes (`forbidden_scope`).
        InvalidInput: as :func:`create`.
    """
    lacking = [scope for scope in scopes if not by.allows(scope)]
    if lacking:
        raise Forbidden(f"you lack the scope {lacking[0]} yourself", code="forbidden_scope")
    return create(by.workspace, name, scopes, by.actor, expires_at, created_by_id=by.user_id)


def rename(key: ApiKey, name: str, actor: str) -> ApiKey:
    """Change the name: all of a key that can be changed."""
    with transaction.atomic():
        before, key.name = key.name, name
        key.save(update_fields=["name"])
        audit.record(
            key.workspace_id,
            actor,
            "api_key.renamed",
            object_type="api_key",
            object_id=key.pk,
            data={"prefix": key.prefix, "from": before, "to": name},
        )
    return key


def revoke(key: ApiKey, actor: str) -> bool:
    """Make a key worthless from the next request on; False if it already was revoked."""
    with transaction.atomic():
        now = timezone.now()
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
            return False
        key.revoked_at = now
        audit.record(
            key.workspace_id,
            actor,
            "api_key.revoked",
            object_type="api_key",
            object_id=key.pk,
            data={"prefix": key.prefix},
        )
    return True


def text_of(prefix: str, secret: str) -> str:
    """The whole key of its parts, checksum included."""
    head = f"tnx_{prefix}_{secret}"
    return head + _checksum(head)


def parse(text: str) -> tuple[str, str] | None:
    """(prefix, secret) of a well-formed key with a right checksum, else None. Touches nothing.

    Clients of the published convention build `tnx_<prefix>_<secret>` from the two fields of the mint answer.
    Our `secret` field already is the whole key, so that form arrives with the head twice: it is accepted.
    """
    if text[:13] == text[13:26]:
        text = text[13:]
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    prefix, secret, checksum = match.groups()
    if checksum != _checksum(f"tnx_{prefix}_{secret}"):
        return None
    return prefix, secret


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(head: str) -> str:
    """CRC-32 in six base-62 digits (62**6 > 2**32)."""
    value = zlib.crc32(head.encode("ascii"))
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        value, rest = divmod(value, 62)
        digits = _ALPHABET[rest] + digits
    return digits


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return hmac.new(settings.API_KEY_PEPPER, secret.encode("ascii"), hashlib.sha256).digest()


def _row(prefix: str) -> ApiKey | None:
    """The key and its workspace. It is asked at each request: building the query anew with the ORM takes five
    times as long as asking it (promises.md D5), so it is written down once.
    """
    with connection.cursor() as cursor:
        cursor.execute(_statement(), [prefix])
        found = cursor.fetchone()
    if found is None:
        return None
    width = len(ApiKey._meta.concrete_fields)
    key = _built(ApiKey, found[:width])
    key.workspace = _built(Workspace, found[width:])
    return key


@cache
def _statement() -> str:
    quote = connection.ops.quote_name
    key, space = quote(ApiKey._meta.db_table), quote(Workspace._meta.db_table)
    columns = [
        f"{quote(model._meta.db_table)}.{quote(str(field.column))}"
        for model in (ApiKey, Workspace)
        for field in model._meta.concrete_fields
    ]
    return (
        f"SELECT {', '.join(columns)} FROM {key} JOIN {space} ON {space}.id = {key}.workspace_id"  # noqa: S608
        f" WHERE {key}.prefix = %s"
    )


def _built[T: (ApiKey, Workspace)](model: type[T], values: Sequence[Any]) -> T:
    """A row of the model, its values converted as the ORM does."""
    fields = model._meta.concrete_fields
    converted = list(values)
    for place, field in enumerate(fields):
        for convert in field.get_db_converters(connection):
            converted[place] = convert(converted[place], None, connection)
    return model.from_db(connection.alias, [str(field.attname) for field in fields], converted)
