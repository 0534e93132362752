"""Keys: what is stored, what is refused before the database is asked, how soon a revocation counts."""

import random
import string
from datetime import timedelta

import pytest
import redis
from django.conf import settings
from django.test import Client
from django.utils import timezone

from tenex.errors import InvalidInput
from tenex.workspaces.models import ApiKey, AuditEntry, Workspace
from tenex.workspaces.services import key_uses, keys
from tests.api.world import Tenant

KEYS = "/api/v1/admin/api-keys"
ME = "/api/v1/users/me"


@pytest.fixture
def workspace(db: None) -> Workspace:
    return Workspace.objects.create(name="Acme", slug="acme", webhook_secret="x")


def test_a_key_is_shown_once_and_stored_as_a_digest(workspace: Workspace) -> None:
    key, text = keys.create(workspace, "crm", ["calls:read"], "system:test")
    assert len(text) == 4 + 8 + 1 + 43 + 6
    secret = text.split("_")[2]
    stored = ApiKey.objects.filter(pk=key.pk).values_list()[0]
    assert not any(secret[:20] in str(value) for value in stored)
    assert AuditEntry.objects.get(action="api_key.created").object_id == str(key.pk)


def test_its_holder_gets_workspace_and_scopes(workspace: Workspace) -> None:
    key, text = keys.create(workspace, "crm", ["calls:write"], "system:test")
    principal = keys.verify(text)
    assert principal is not None
    assert principal.workspace == workspace
    assert principal.actor == f"key:{key.prefix}"
    assert principal.allows("calls:write")
    assert principal.allows("calls:read"), "write includes read of the same things"
    assert not principal.allows("leads:read")
    assert not principal.allows("keys:admin")


def test_the_form_that_clients_build_of_prefix_and_secret_works(workspace: Workspace) -> None:
    key, text = keys.create(workspace, "crm", ["*"], "system:test")
    assert keys.verify(f"tnx_{key.prefix}_{text}") is not None


@pytest.mark.parametrize("spoil", ["revoked", "expired", "deleted"])
def test_a_dead_key_is_refused_at_once(workspace: Workspace, spoil: str) -> None:
    key, text = keys.create(workspace, "crm", ["*"], "system:test")
    assert keys.verify(text)
    match spoil:
        case "revoked":
            assert keys.revoke(key, "system:test")
            assert not keys.revoke(key, "system:test")
        case "expired":
            ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        case _:
            ApiKey.objects.all().delete()
    assert keys.verify(text) is None


def test_a_right_prefix_with_another_secret_is_refused(workspace: Workspace) -> None:
    mine, _ = keys.create(workspace, "a", ["*"], "system:test")
    _, theirs = keys.create(workspace, "b", ["*"], "system:test")
    forged = keys.text_of(mine.prefix, theirs.split("_")[2][:43])
    assert keys.parse(forged) is not None, "well formed"
    assert keys.verify(forged) is None


def test_a_typing_error_never_reaches_the_database(
    workspace: Workspace, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    _, text = keys.create(workspace, "crm", ["*"], "system:test")
    with django_assert_num_queries(0):  # type: ignore[operator]
        for index in range(4, len(text)):
            other = "a" if text[index] != "a" else "b"
            assert keys.verify(text[:index] + other + text[index + 1 :]) is None


def test_random_texts_are_no_keys_and_own_keys_are() -> None:
    chance = random.Random(7)
    alphabet = string.ascii_letters + string.digits
    for _ in range(20_000):
        body = "".join(chance.choices(alphabet, k=49))
        assert keys.parse(f"tnx_{body[:8]}_{body[:43]}{body[43:]}") is None
    for _ in range(2_000):
        secret = "".join(chance.choices(alphabet, k=43))
        assert keys.parse(keys.text_of("abcdEFGH", secret)) == ("abcdEFGH", secret)


def test_use_is_noted_without_a_write_in_the_request(
    workspace: Workspace, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    key, text = keys.create(workspace, "crm", ["*"], "system:test")
    with django_assert_num_queries(1):  # type: ignore[operator]
        assert Client().get(ME, headers={"Authorization": f"Bearer {text}"}).status_code == 200
    assert ApiKey.objects.filter(pk=key.pk, last_used_at=None).exists()
    assert key_uses.carry_over() == 1
    used = ApiKey.objects.get(pk=key.pk)
    assert used.last_used_at
    assert timezone.now() - used.last_used_at < timedelta(minutes=1)
    assert used.last_used_ip == "127.0.0.1"
    assert key_uses.carry_over() == 0, "carried over once"


def test_notes_of_a_task_that_died_are_carried_over(workspace: Workspace) -> None:
    key, _ = keys.create(workspace, "crm", ["*"], "system:test")
    at = timezone.now().replace(microsecond=0) - timedelta(minutes=5)
    valkey = redis.Redis.from_url(settings.REDIS_URL)
    valkey.hset(f"{key_uses.NOTES}:taken", key.prefix, f"{int(at.timestamp())} not an address")
    assert key_uses.carry_over() == 1
    key.refresh_from_db()
    assert (key.last_used_at, key.last_used_ip) == (at, None)
    valkey.hset(key_uses.NOTES, key.prefix, f"{int(at.timestamp()) - 60} ::1")
    assert key_uses.carry_over() == 0, "an older note changes nothing"
    valkey.close()


def test_a_key_is_read_as_the_orm_reads_it(workspace: Workspace) -> None:
    key, _ = keys.create(workspace, "crm", ["calls:read", "leads:write"], "system:test")
    read = keys._row(key.prefix)
    assert read is not None
    for row, field in ((read, ApiKey), (read.workspace, Workspace)):
        told = field._default_manager.get(pk=row.pk)
        for column in field._meta.concrete_fields:
            mine, theirs = getattr(row, column.attname), getattr(told, column.attname)
            assert mine == theirs, column.attname
            assert type(mine) is type(theirs), column.attname


def test_a_key_is_got_renamed_and_listed(alice: Tenant) -> None:
    made = alice.api.post(KEYS, {"name": "crm", "expires_at": "2099-01-01T00:00:00Z"}).json()
    for name in (made["id"], made["prefix"]):
        got = alice.api.get(f"{KEYS}/{name}").json()
        assert (got["name"], got["expires_at"]) == ("crm", "2099-01-01T00:00:00Z")
        assert "secret" not in got
    renamed = alice.api.patch(f"{KEYS}/{made['prefix']}", {"name": "billing"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "billing")
    assert AuditEntry.objects.filter(action="api_key.renamed").exists()
    assert alice.api.get(f"{KEYS}/nothing").status_code == 404
    assert alice.api.get(f"{KEYS}/%00").status_code == 404


@pytest.mark.parametrize("scopes", [[], ["calls:fly"], ["*", "nothing"]])
def test_scopes_that_do_not_exist_are_refused(workspace: Workspace, scopes: list[str]) -> None:
    with pytest.raises(InvalidInput):
        keys.create(workspace, "crm", scopes, "system:test")
