"""Correcting verdicts and sharing calls over the API."""

from datetime import timedelta

from django.conf import settings
from django.test import Client
from django.utils import timezone

from tenex.workspaces.models import ApiKey
from tests.api.world import Api, Tenant
from voice.models import Verdict, VerdictCorrection

C = "/api/v1/voice/calls"


def test_a_correction_is_seen_by_every_later_read(alice: Tenant) -> None:
    name = Verdict.objects.get(call=alice.call).criteria[0]["name"]
    sent = {"qualification": "unqualified", "criteria": [{"name": name, "met": False}], "reason": "No money."}
    answer = alice.api.post(f"{C}/{alice.call.id}/verdict", sent, Idempotency_Key="k")
    assert answer.status_code == 200, answer.content
    assert alice.api.post(f"{C}/{alice.call.id}/verdict", sent, Idempotency_Key="k").json() == answer.json()
    assert VerdictCorrection.objects.count() == 1, "one key, one correction"
    read = alice.api.get(f"{C}/{alice.call.id}").json()
    assert (read["outcome"], read["verdict"]["qualification"]) == ("unqualified", "unqualified")
    assert read["verdict"]["criteria"][0]["met"] is False
    assert read["verdict"]["corrected_at"] is not None
    assert VerdictCorrection.objects.get().actor == f"key:{alice.key_prefix}"


def test_a_correction_says_what_is_wrong(alice: Tenant) -> None:
    path = f"{C}/{alice.call.id}/verdict"
    for body, loc in (
        ({"qualification": "unqualified"}, ["body", "reason"]),
        ({"qualification": "maybe", "reason": "x"}, ["body", "qualification"]),
        (
            {"qualification": "qualified", "criteria": [{"name": "shoe size", "met": True}], "reason": "x"},
            ["body", "criteria"],
        ),
    ):
        answer = alice.api.post(path, body)
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, loc)
    Verdict.objects.filter(call=alice.call).delete()
    answer = alice.api.post(path, {"qualification": "qualified", "reason": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_verdict")


def test_a_link_lives_as_long_as_the_key_that_made_it(alice: Tenant) -> None:
    path = f"{C}/{alice.call.id}/shares"
    made = alice.api.post(path, {"hours": 2, "with_audio": False})
    assert made.status_code == 201, made.content
    url = made.json()["url"].removeprefix(settings.PUBLIC_BASE_URL)
    assert Client().get(url).status_code == 200
    listed = alice.api.get(path).json()["items"]
    assert [item["opened"] for item in listed if item["id"] == made.json()["id"]] == [1]
    assert "url" not in listed[0]
    ApiKey.objects.filter(prefix=alice.key_prefix).update(revoked_at=timezone.now())
    assert Client().get(url).status_code == 410


def test_a_revoked_link_is_void_and_a_key_lends_no_more_than_it_has(alice: Tenant) -> None:
    path = f"{C}/{alice.call.id}/shares"
    made = alice.api.post(path, {"hours": 2}).json()
    url = made["url"].removeprefix(settings.PUBLIC_BASE_URL)
    for _ in range(2):
        assert alice.api.delete(f"{path}/{made['id']}").status_code == 204
    assert Client().get(url).status_code == 410
    weak = alice.api.post(
        "/api/v1/admin/api-keys", {"name": "weak", "scopes": ["calls:read", "calls:share"]}
    ).json()
    answer = Api(weak["secret"]).post(path, {"hours": 2, "with_audio": True})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")
    assert Api(weak["secret"]).post(f"{C}/{alice.call.id}/verdict", {}).status_code == 403


def test_several_outcomes_in_one_filter(alice: Tenant) -> None:
    from voice.models import Call

    Call.objects.filter(pk=alice.call.pk).update(created_at=timezone.now() - timedelta(days=1))
    for asked, count in (("qualified,busy", 1), ("busy,failed", 0), (alice.call.outcome or "", 1)):
        assert len(alice.api.get(f"{C}?outcome={asked}").json()["items"]) == count
    assert alice.api.get(f"{C}?outcome=qualified,nonsense").status_code == 422
    assert alice.api.get(f"{C}?version=0").status_code == 422
    assert len(alice.api.get(f"{C}?version=1&number_id={alice.number.id}").json()["items"]) >= 1
    assert alice.api.get(f"{C}?needs_review=true").json()["items"] == []
