"""Keys are changed while the system runs, whoever dies meanwhile; `--check` says what can be read."""

import os
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from tenex.lib import failpoint, sealed
from tenex.lib.failpoint import FailpointReached
from tenex.webhooks.models import WebhookSubscription
from tenex.webhooks.services import secrets, subscriptions
from tenex.workspaces.models import AuditEntry, DataKey, KeyKind, KeyRotation, Workspace
from tenex.workspaces.services import key_rotation, vault, workspaces
from tests import own_accounts
from voice.models import CredentialKind
from voice.services import entrusted

pytestmark = pytest.mark.django_db(transaction=True)
K1, K2 = os.urandom(32), os.urandom(32)


@pytest.fixture(autouse=True)
def keys(settings: Settings) -> None:
    settings.SECRETS_KEYS = {"k1": K1}
    vault.forget()


@pytest.fixture
def spaces() -> list[Workspace]:
    """Three, with secrets of every kind."""
    found = []
    for slug in ("anna", "boris", "clara"):
        space = workspaces.create({"name": slug, "slug": slug}, "system:tests")
        own_accounts.openai(space, f"sk-of-{slug}-{'x' * 20}")
        for number in range(3):
            lane, _ = subscriptions.create(space, url=f"http://127.0.0.1:9/{number}", actor="system:tests")
            if number:
                subscriptions.rotate_secret(lane, "system:tests")
        vault.data_key(space.pk, "recordings")
        found.append(space)
    return found


def run(*arguments: str) -> str:
    said = StringIO()
    call_command("rotate_keys", *arguments, stdout=said)
    return said.getvalue()


def opened(spaces: list[Workspace]) -> list[Any]:
    """Everything in plain."""
    vault.forget()
    lanes = WebhookSubscription.objects.order_by("pk")
    return [
        *[secrets.of_workspace(Workspace.objects.get(pk=space.pk)) for space in spaces],
        *[secrets.of_subscription(lane) for lane in lanes],
        *[secrets.of(lane, "previous_secret", lane.workspace_id) for lane in lanes],
        *[entrusted.load(space.pk, CredentialKind.OPENAI) for space in spaces],
        *[vault.data_key(space.pk, "recordings") for space in spaces],
    ]


def columns() -> list[str]:
    return [
        text
        for column in vault.registered()
        for text in column.model._default_manager.values_list(column.name, flat=True)
        if text
    ]


def test_another_key_encryption_key_seals_the_data_keys_anew_and_no_column(
    spaces: list[Workspace], settings: Settings
) -> None:
    before, texts = opened(spaces), columns()
    settings.SECRETS_KEYS = {"k2": K2, "k1": K1}
    assert "would be 6 rewrapped" in run("--dry-run")
    assert {sealed.key_id_of(key.wrapped) for key in DataKey.objects.all()} == {"k1"}
    assert "6 rewrapped, 0 current" in run()
    assert {sealed.key_id_of(key.wrapped) for key in DataKey.objects.all()} == {"k2"}
    assert columns() == texts
    assert AuditEntry.objects.filter(action="data_key.rewrapped").count() == 6
    said = run("--check")
    assert "key k1 can be taken out of SECRETS_KEYS" in said
    assert "every secret can be read" in said
    settings.SECRETS_KEYS = {"k2": K2}
    assert opened(spaces) == before
    assert "0 rewrapped, 6 current" in run()


def test_new_data_keys_seal_every_column_anew(spaces: list[Workspace]) -> None:
    before, texts = opened(spaces), columns()
    old = set(DataKey.objects.filter(kind=KeyKind.FIELDS).values_list("pk", flat=True))
    said = run("--data-keys", "--dry-run")
    assert "would be 3 replaced" in said
    assert f"would be {len(texts)} resealed" in said
    assert columns() == texts
    said = run("--data-keys")
    assert "3 replaced" in said
    assert f"{len(texts)} resealed" in said
    assert not {sealed.key_id_of(text) for text in columns()} & {one.hex for one in old}
    assert opened(spaces) == before
    assert AuditEntry.objects.filter(action="data_key.replaced").count() == 3
    run_ = KeyRotation.objects.get()
    assert run_.finished_at is not None
    assert run_.counts["resealed"] == len(texts)
    # Retired keys go when they have been so for a day and nothing refers to them.
    DataKey.objects.filter(pk__in=old).update(retired_at=timezone.now() - key_rotation.KEPT_RETIRED * 2)
    assert "3 deleted" in run("--data-keys")
    assert not DataKey.objects.filter(pk__in=old).exists()
    assert DataKey.objects.filter(kind=KeyKind.FILES).count() == 3
    assert opened(spaces) == before


@pytest.mark.parametrize("point", ["rotation.replaced", "rotation.resealed"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_rotation_that_dies_is_gone_on_with(spaces: list[Workspace], point: str, at: int) -> None:
    before = opened(spaces)
    failpoint.arm(f"{point}:raise@{at}")
    try:
        with pytest.raises(FailpointReached):
            key_rotation.replace("system:tests")
    finally:
        failpoint.arm("")
    assert opened(spaces) == before, "everything can be read in the middle of it"
    replaced = DataKey.objects.filter(kind=KeyKind.FIELDS).count()
    key_rotation.replace("system:tests")
    assert opened(spaces) == before
    assert KeyRotation.objects.count() == 1, "the same one"
    made = DataKey.objects.filter(kind=KeyKind.FIELDS)
    assert made.count() == 6 >= replaced
    assert {sealed.key_id_of(text) for text in columns()} == {
        one.hex for one in made.filter(retired_at=None).values_list("pk", flat=True)
    }


def test_a_rotation_that_is_killed_by_the_system_is_gone_on_with(spaces: list[Workspace]) -> None:
    """A real process, and a real kill -9."""
    before = opened(spaces)
    keys = ",".join(f"{name}:{_b64(key)}" for name, key in {"k1": K1}.items())
    name = connection.settings_dict["NAME"]
    environment = {
        **os.environ,
        "SECRETS_KEYS": keys,
        "DATABASE_URL": _url(name),
        "FAILPOINT": "rotation.resealed:kill@4",
        "DEBUG": "1",
    }
    command = [sys.executable, "manage.py", "rotate_keys", "--data-keys"]
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert opened(spaces) == before
    environment["FAILPOINT"] = ""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert opened(spaces) == before
    assert len({sealed.key_id_of(text) for text in columns()}) == 3


def test_what_cannot_be_read_is_named_and_left(spaces: list[Workspace], settings: Settings) -> None:
    lane = WebhookSubscription.objects.order_by("pk").first()
    assert lane is not None
    WebhookSubscription.objects.filter(pk=lane.pk).update(secret_sealed=spaces[1].pk.hex)
    with pytest.raises(CommandError, match="1 cannot be read"):
        run("--check")
    with pytest.raises(CommandError, match="1 cannot be read"):
        run("--data-keys")
    settings.SECRETS_KEYS = {"k9": K2}
    vault.forget()
    said = StringIO()
    with pytest.raises(CommandError):
        call_command("rotate_keys", "--check", stdout=said)
    assert "key k1 is MISSING" in said.getvalue()
    with pytest.raises(CommandError, match="cannot be read"):
        run()


def test_when_the_key_is_lost_the_workspaces_can_begin_again(
    spaces: list[Workspace], settings: Settings
) -> None:
    settings.SECRETS_KEYS = {"k2": K2}
    vault.forget()
    with pytest.raises(vault.Unreadable):
        vault.seal(spaces[0].pk, "a", "x")
    with pytest.raises(CommandError, match="cannot be read"):
        run("--data-keys")
    assert vault.unseal(spaces[0].pk, "a", vault.seal(spaces[0].pk, "a", "x")) == "x"
    assert len(vault.data_key(spaces[0].pk, "recordings")) == 32
    lane = WebhookSubscription.objects.order_by("pk")[0]
    _, fresh = subscriptions.rotate_secret(lane, "system:tests", overlap_s=0)
    assert secrets.of_subscription(WebhookSubscription.objects.get(pk=lane.pk)) == fresh


def test_a_secret_that_is_written_during_a_rotation_is_not_lost(spaces: list[Workspace]) -> None:
    """Between the new key and the second pass somebody rotates a webhook's secret."""
    lane = WebhookSubscription.objects.filter(workspace=spaces[0]).first()
    assert lane is not None
    made: list[str] = []
    seal = vault.seal

    def meanwhile(*arguments: Any) -> str:
        if not made:
            made.append("")
            made[0] = subscriptions.rotate_secret(lane, "system:tests")[1]
        return seal(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vault, "seal", meanwhile)
        key_rotation.replace("system:tests")
    assert secrets.of_subscription(WebhookSubscription.objects.get(pk=lane.pk)) == made[0]


def _b64(key: bytes) -> str:
    import base64

    return base64.b64encode(key).decode()


def _url(name: str) -> str:
    from urllib.parse import urlsplit, urlunsplit

    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))
