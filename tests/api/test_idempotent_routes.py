"""Every POST that dials, spends or creates takes an Idempotency-Key (contract.md 3)."""

from typing import Any

import pytest

from tests.api import matrix
from tests.api.matrix import Operation
from tests.api.test_tenants import asker, ids
from tests.api.world import Tenant

POSTS = [one for one in matrix.operations() if one.method == "POST"]

WITHOUT = {
    "users_login": "changes nothing but the time of the last sign-in",
    "users_me_password": "the second time the current password is another one",
    "invitations_accept": "an invitation is good once",
    "batches_start": "a batch is started once",
    "batches_preview": "nothing changes",
    "batches_pause": "pausing again changes nothing",
    "batches_resume": "resuming again changes nothing",
    "batches_cancel": "a canceled batch stays canceled",
    "connectors_authorize": "an address has no effect until somebody says yes there",
    "connectors_authorized": "a code of Google's is good once",
    "connectors_discover": "what is chosen already stays chosen",
    "connectors_test": "nothing changes but the health that is noted",
    "meetings_cancel": "a canceled meeting stays canceled",
    "meetings_reschedule": "a meeting that is there already stays there",
    "persons_known": "nothing changes",
    "persons_export": "nothing changes but that it is noted who took it",
    "retention_holds_release": "a hold is released once",
    "consents_revoke": "a consent is revoked once",
    "lead_imports_cancel": "a canceled import stays canceled",
    "knowledge_search": "nothing changes",
    "leads_unarchive": "a lead that is back stays back",
    "segments_add": "a lead is in a segment once",
    "segments_remove": "a lead that is not in it stays out",
    "calls_hangup": "a call ends once",
    "events_stream_token": "a token has no effect until it is used, and opens what is there",
    "sessions_stream_url": "another address of the same session; only the newest opens it",
    "calls_stream_token": "a token has no effect until it is used, and opens what is there",
}
"""POSTs that neither dial, spend nor create, or can be done only once: why they need no key."""


def takes_the_header(one: Operation) -> bool:
    return any(parameter["name"] == "Idempotency-Key" for parameter in one.parameters("header"))


def test_every_post_takes_the_header_or_has_a_reason() -> None:
    lacking = {one.id for one in POSTS if not takes_the_header(one)}
    assert lacking - set(WITHOUT) == set(), "make it idempotent, or say here why it need not be"
    assert {"sessions_create", "batches_create", "leads_create", "api_keys_create"} & lacking == set()


@pytest.mark.parametrize("one", [one for one in POSTS if takes_the_header(one)], ids=lambda one: one.id)
def test_what_documents_the_header_obeys_it(alice: Tenant, one: Operation) -> None:
    """A key that makes no sense is refused wherever the header is documented."""
    asked = matrix.plain(one, ids(alice))
    answer: Any = alice.api.request(
        asked.method, asked.path, asked.body, content_type=asked.content_type, Idempotency_Key="ä"
    )
    assert answer.status_code == 422, answer.content
    assert answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]


def test_the_world_can_be_asked_again(alice: Tenant) -> None:
    one = next(one for one in POSTS if one.id == "leads_create")
    assert asker(alice.api)(matrix.plain(one, ids(alice))).status == 201
