"""Links to one call for people without an account."""

from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from tenex.workspaces.models import AuditEntry, Membership, Role, Workspace
from tests import rows
from tests.pages import desk
from tests.pages.calls.looks import L, member, shared
from voice.models import CallShare
from voice.services import recording_files

pytestmark = pytest.mark.django_db


def test_a_link_shows_words_and_verdict_without_a_session_and_nothing_else(
    space: Workspace, client: Client, media: Path
) -> None:
    call = desk.judged(space, lead=rows.lead(space, last_name="Lopez"))
    desk.recorded(call, desk.wav([], 1000))
    path = shared(client, call)
    answer = Client().get(path)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "two thousand dollars" in page
    assert "Maria Lopez" in page
    for hidden in ("415", "slots", "$0.", "<audio", "ava@example.com", "Raw events"):
        assert hidden not in page, hidden
    assert answer["X-Robots-Tag"].startswith("noindex")
    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert Client().get(f"{path}/peaks").status_code == 404
    assert Client().get(f"{path}/recording").status_code == 404
    row = CallShare.objects.get()
    assert row.opened == 1
    assert path.rsplit("/", 1)[1] not in str(bytes(row.digest)), "the token is not kept"
    assert AuditEntry.objects.filter(action="call.shared").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_link_with_sound_plays_until_the_recording_is_deleted(
    space: Workspace, client: Client, media: Path
) -> None:
    call = desk.judged(space)
    row = desk.recorded(call, desk.wav([], 1000))
    path = shared(client, call, audio="on")
    url = Client().get(f"{path}/recording").json()["url"]
    assert url.startswith(f"/api/v1/voice/recordings/{row.pk}/media?token=")
    assert url in Client().get(path).context["audio"] or "<audio" in Client().get(path).content.decode()
    recording_files.delete(row, "user:x")
    page = Client().get(path)
    assert "The recording was deleted" in page.content.decode()
    assert Client().get(f"{path}/recording").status_code == 410
    assert Client().get(url).status_code == 410


def test_links_end(space: Workspace, client: Client) -> None:
    call = desk.judged(space)
    path = shared(client, call)
    row = CallShare.objects.get()
    assert client.post(f"{L}/{call.pk}/shares/{row.pk}/revoke").status_code == 302
    gone = Client().get(path)
    assert (gone.status_code, "This link was revoked." in gone.content.decode()) == (410, True)
    assert gone["X-Robots-Tag"].startswith("noindex")
    assert AuditEntry.objects.filter(action="call.share_revoked").count() == 1

    path = shared(client, call)
    CallShare.objects.filter(revoked_at=None).update(expires_at=timezone.now())
    gone = Client().get(path)
    assert (gone.status_code, "This link has expired." in gone.content.decode()) == (410, True)

    path = shared(member(Role.OPERATOR, space, "op@example.com"), call)
    Membership.objects.filter(role=Role.OPERATOR).delete()
    assert Client().get(path).status_code == 410, "it lends the rights of who made it"
    assert Client().get("/console/shared/nonsense").status_code == 404


@pytest.mark.parametrize("hours", ["0", "721", "", "-1", "1.5", "9999999"])
def test_a_link_is_for_an_hour_to_thirty_days(space: Workspace, client: Client, hours: str) -> None:
    call = desk.judged(space)
    assert client.post(f"{L}/{call.pk}/shares", {"hours": hours}).status_code == 422
    assert not CallShare.objects.exists()
