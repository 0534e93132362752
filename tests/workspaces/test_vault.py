"""Envelope encryption: key encryption key -> data key of a workspace -> columns of its rows."""

import base64
import os
import threading

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from pytest_django import Settings

from tenex import env
from tenex.lib import sealed
from tenex.workspaces.models import DataKey, Workspace
from tenex.workspaces.services import vault
from tests import rows

K1, K2 = os.urandom(32), os.urandom(32)
PLACE = "crm_connector.credentials:1"


@pytest.fixture(autouse=True)
def keys(settings: Settings) -> None:
    settings.SECRETS_KEYS = {"k1": K1}
    vault.forget()


@pytest.fixture
def space(db: None) -> Workspace:
    return rows.workspace()


def test_a_secret_comes_back_and_stands_nowhere_in_plain(space: Workspace) -> None:
    text = vault.seal(space.pk, PLACE, "Grüße an 10ex")
    assert vault.unseal(space.pk, PLACE, text) == "Grüße an 10ex"
    key = DataKey.objects.get(workspace=space)
    assert sealed.key_id_of(text) == key.pk.hex
    assert sealed.key_id_of(key.wrapped) == "k1"


def test_one_data_key_a_workspace_and_kind(space: Workspace) -> None:
    other = rows.workspace("other")
    first, second = vault.seal(space.pk, "a", "x"), vault.seal(space.pk, "b", "y")
    third = vault.seal(other.pk, "a", "x")
    vault.data_key(space.pk, "recordings")
    assert sealed.key_id_of(first) == sealed.key_id_of(second) != sealed.key_id_of(third)
    assert DataKey.objects.count() == 3


def test_a_text_that_was_moved_is_refused(space: Workspace) -> None:
    other = rows.workspace("other")
    text = vault.seal(space.pk, PLACE, "x")
    for workspace_id, place in ((other.pk, PLACE), (space.pk, "crm_connector.credentials:2")):
        with pytest.raises(vault.Unreadable):
            vault.unseal(workspace_id, place, text)
    with pytest.raises(vault.Unreadable):
        vault.unseal(space.pk, PLACE, "plain, from before")


def test_a_missing_or_another_key_encryption_key_is_an_error_with_a_name(
    space: Workspace, settings: Settings
) -> None:
    text = vault.seal(space.pk, PLACE, "x")
    vault.forget()
    settings.SECRETS_KEYS = {"k2": K2}
    with pytest.raises(vault.Unreadable, match="k1 is not in SECRETS_KEYS"):
        vault.unseal(space.pk, PLACE, text)
    with pytest.raises(vault.Unreadable):  # nothing new is sealed by a key that nobody could open
        vault.seal(space.pk, PLACE, "y")
    settings.SECRETS_KEYS = {"k1": K2}
    with pytest.raises(vault.Unreadable, match="another one"):
        vault.unseal(space.pk, PLACE, text)
    settings.SECRETS_KEYS = {"k2": K2, "k1": K1}
    assert vault.unseal(space.pk, PLACE, text) == "x"


@pytest.mark.django_db(transaction=True)
def test_a_key_is_kept_in_memory_only_when_it_is_sure_to_exist() -> None:
    space = rows.workspace()
    with transaction.atomic():
        vault.seal(space.pk, PLACE, "x")
        transaction.set_rollback(True)
    assert not DataKey.objects.exists()
    text = vault.seal(space.pk, PLACE, "y")
    assert vault.unseal(space.pk, PLACE, text) == "y"
    with connection.execute_wrapper(_no_queries):
        assert vault.unseal(space.pk, PLACE, text) == "y"


def _no_queries(*_: object) -> None:
    raise AssertionError("the key is in memory")


@pytest.mark.django_db(transaction=True)
def test_the_first_secrets_of_a_workspace_at_once_share_a_key() -> None:
    space = rows.workspace()
    texts: list[str] = []

    def one() -> None:
        with transaction.atomic():
            texts.append(vault.seal(space.pk, PLACE, "x"))
        connection.close()

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 8
    assert len({sealed.key_id_of(text) for text in texts}) == 1
    assert DataKey.objects.count() == 1


def test_keys_of_files_differ_by_purpose_and_stay_readable_by_their_id(space: Workspace) -> None:
    key_id = vault.file_key_id(space.pk)
    key = vault.data_key(space.pk, "recordings")
    assert key == vault.data_key(space.pk, "recordings", key_id)
    assert key != vault.data_key(space.pk, "exports")
    assert len(key) == 32
    with pytest.raises(vault.Unreadable):
        vault.data_key(rows.workspace("other").pk, "recordings", key_id)


def test_the_variable_is_read_strictly_and_its_errors_repeat_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    good = base64.b64encode(K1).decode()
    monkeypatch.setenv("KEYS", f"new:{good}, old:{base64.urlsafe_b64encode(K2).decode()}")
    assert list(env.keys("KEYS").items()) == [("new", K1), ("old", K2)]
    for wrong, said in (
        (good, "has no id"),
        (f"a b:{good}", "has no id"),
        ("k1:" + good[:-8], "must be 32 bytes"),
        ("k1:not/base64!", "not base64"),
        (f"k1:{good},k1:{good}", "twice"),
    ):
        monkeypatch.setenv("KEYS", wrong)
        with pytest.raises(ImproperlyConfigured, match=said) as caught:
            env.keys("KEYS")
        assert good[:20] not in str(caught.value)
