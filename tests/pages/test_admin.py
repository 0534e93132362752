"""The admin: who sees and changes what, what services refuse, and no form reaches into a running call."""

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from crm.models import Lead
from tenex.workspaces.models import ApiKey, AuditEntry, Membership, Role, User, Workspace
from tenex.workspaces.services import keys
from tests import rows
from tests.pages.test_access import person
from tests.workspaces.test_admin import form
from voice.models import Agent, Call, PhoneNumber, Verdict, VoiceProfile


@pytest.fixture
def space(db: None) -> Workspace:
    return rows.workspace()


admin.autodiscover()  # the tests below look at all pages


def list_of(model: str) -> str:
    return f"/admin/{model.replace('.', '/')}/"


def change(client: Client, page: str, **fields: Any) -> Any:
    """The form as it stands, with some fields changed; disabled ones are not sent by browsers."""
    sent = {name: value for name, value in form(client, page).items() if value is not False}
    sent = {name: "on" if value is True else value for name, value in sent.items()}
    return client.post(page, {**sent, **fields})


# --- roles


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.ADMIN, Role.OWNER])
def test_a_role_sees_and_changes_what_its_scopes_say(space: Workspace, role: Role) -> None:
    client = person(role, space)
    writes = {
        "voice.agent": {Role.OPERATOR, Role.ADMIN, Role.OWNER},
        "crm.lead": {Role.OPERATOR, Role.ADMIN, Role.OWNER},
        "voice.phonenumber": {Role.OPERATOR, Role.ADMIN, Role.OWNER},
        "webhooks.webhooksubscription": {Role.OPERATOR, Role.ADMIN, Role.OWNER},
        "workspaces.apikey": {Role.ADMIN, Role.OWNER},
        "voice.call": set(),
        "voice.verdict": set(),
        "workspaces.auditentry": set(),
        "workspaces.workspace": set(),
    }
    for model, who in writes.items():
        page = list_of(model)
        seen = 403 if model == "workspaces.apikey" and role not in who else 200
        assert client.get(page).status_code == seen, (role, model)
        assert client.get(f"{page}add/").status_code == (200 if role in who else 403), (role, model)
    for model in ("workspaces.user", "voice.callingswitch", "voice.carrieraccount"):
        assert client.get(list_of(model)).status_code == 403, "the installation is its operator's"


@pytest.mark.django_db
def test_who_is_a_member_of_nothing_stays_outside(space: Workspace) -> None:
    assert person(None, space).get("/admin/").status_code == 302
    assert Client().get("/admin/voice/call/").status_code == 302


def test_rows_of_other_workspaces_are_not_there(space: Workspace) -> None:
    """Every list, every row: nothing of others, not in filters and choices either."""
    other = rows.workspace("other-people")
    version = rows.version(other)
    foreign = version.agent
    Agent.objects.filter(pk=foreign.pk).update(name="Foreign agent")
    call = rows.call(other, agent=version)
    lead = rows.lead(other, first_name="Foreign lead")
    rows.version(space)
    client = person(Role.OWNER, space)
    for model, page in admin.site._registry.items():
        if not getattr(page, "resource", ""):
            continue
        answer = client.get(list_of(f"{model._meta.app_label}.{model._meta.model_name}"))
        assert answer.status_code == 200, model
        text = answer.content.decode()
        assert "Foreign" not in text, model
        assert "other-people" not in text, model
    for path in (
        f"voice/agent/{foreign.pk}", f"voice/call/{call.pk}", f"crm/lead/{lead.pk}",
        f"workspaces/workspace/{other.pk}", f"voice/agentversion/{version.pk}",
    ):  # fmt: skip
        assert client.get(f"/admin/{path}/change/").status_code == 302, path
    assert client.get(f"/admin/workspaces/workspace/{other.pk}/retention/").status_code == 404
    added = client.get("/admin/voice/phonenumber/add/").content.decode()
    assert "Foreign agent" not in added
    found = client.get("/admin/autocomplete/?app_label=crm&model_name=followup&field_name=lead&term=Foreign")
    assert found.json()["results"] == []


def test_a_row_is_not_moved_into_another_workspace(space: Workspace) -> None:
    other = rows.workspace("other")
    client = person(Role.OWNER, space)
    sent = {"workspace": str(other.pk), "name": "Voice", "voice": "marin", "turn_detection": "server_vad"}
    answer = client.post("/admin/voice/voiceprofile/add/", sent)
    assert answer.status_code == 200
    assert not VoiceProfile.objects.exists()


def test_superusers_see_all_workspaces(space: Workspace) -> None:
    rows.version(rows.workspace("other"))
    client = person(Role.VIEWER, space)
    User.objects.update(is_superuser=True)
    assert "Other" in client.get("/admin/workspaces/workspace/").content.decode()
    assert client.get("/admin/voice/callingswitch/").status_code == 200


# --- running calls


def test_no_form_reaches_into_a_running_call(space: Workspace) -> None:
    """Whatever is posted to whatever page of a call: its row stays as it was."""
    version = rows.version(space)
    call = rows.call(space, agent=version)
    before = Call.objects.values().get(pk=call.pk)
    client = person(Role.OWNER, space)
    User.objects.update(is_superuser=True, is_staff=True)
    page = f"/admin/voice/call/{call.pk}"
    sent = {
        "status": "ended",
        "outcome": "qualified",
        "end_reason": "silence",
        "lease_owner": "",
        "_save": "1",
    }
    assert client.get(f"{page}/change/").status_code == 200
    assert client.post(f"{page}/change/", sent).status_code == 403
    assert client.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    assert client.post("/admin/voice/call/add/", sent).status_code == 403
    asked = {"action": "delete_selected", "_selected_action": [str(call.pk)], "post": "yes"}
    for model in ("voice/call", "voice/agent", "voice/agentversion", "voice/phonenumber", "crm/lead"):
        client.post(f"/admin/{model}/", asked)
    for path in (f"voice/agent/{version.agent.pk}", f"voice/phonenumber/{call.number_id}",
                 f"workspaces/workspace/{space.pk}"):  # fmt: skip
        assert client.post(f"/admin/{path}/delete/", {"post": "yes"}).status_code == 403, path
    assert Call.objects.values().get(pk=call.pk) == before
    archived = {"action": "archive", "_selected_action": [str(version.agent.pk)]}
    assert (
        "or a live call runs it" in client.post("/admin/voice/agent/", archived, follow=True).content.decode()
    )


def test_evidence_is_only_shown() -> None:
    for model in (Call, Verdict, AuditEntry):
        page: Any = admin.site._registry[model]
        assert page.writes is False


# --- agents, voices, numbers: the API's checks


def test_a_prompt_is_edited_in_the_admin_with_the_same_checks(space: Workspace) -> None:
    agent = rows.version(space).agent
    client = person(Role.OPERATOR, space)
    page = f"/admin/voice/agent/{agent.pk}/change/"
    criteria = "need: Has a problem\n\nbudget: Has money"
    refused = change(client, page, system_prompt="Hello {{lead.compny}}", criteria=criteria)
    assert refused.status_code == 200
    assert "Unknown variable lead.compny" in refused.content.decode()
    agent.refresh_from_db()
    assert agent.current_version is not None
    assert agent.current_version.number == 1
    saved = change(
        client, page, system_prompt="Hello {{lead.company}}\r\nBye", criteria=criteria, note="Why not",
        tools=["end_call", "lookup_lead"],
    )  # fmt: skip
    assert saved.status_code == 302
    agent.refresh_from_db()
    version = agent.current_version
    assert (version.number, version.note, version.created_by) == (2, "Why not", "user:ava@example.com")
    assert version.system_prompt == "Hello {{lead.company}}\nBye"
    assert version.criteria[1] == {"name": "budget", "description": "Has money"}
    assert set(version.tools) == {"end_call", "lookup_lead"}
    change(client, page, name="Renamed")
    agent.refresh_from_db()
    assert (agent.name, agent.current_version.number) == ("Renamed", 2), "no version for a name"


def test_every_setting_of_a_voice_is_explained_with_range_and_default(space: Workspace) -> None:
    profile = rows.version(space).agent.profile
    client = person(Role.OPERATOR, space)
    page = f"/admin/voice/voiceprofile/{profile.pk}/change/"
    found: Any = client.get(page)
    fields = found.context["adminform"].form.fields
    settings = {one.name for one in VoiceProfile._meta.fields} - {"id", "created_at", "workspace"}
    assert settings <= {*fields}
    assert all(fields[name].help_text for name in settings)
    assert "From 0.25 to 1.5. Unless set: 1.0." in fields["speed"].help_text
    refused = change(client, page, idle_timeout_ms="6000", turn_detection="semantic_vad")
    assert "needs turn_detection server_vad" in refused.content.decode().lower()
    assert change(client, page, speed="0.9", keywords="Acme\n Ava ").status_code == 302
    profile.refresh_from_db()
    assert (profile.speed, profile.keywords) == (0.9, ["Acme", "Ava"])
    assert AuditEntry.objects.get(action="profile.updated").data == {"fields": ["keywords", "speed"]}


def test_a_number_says_in_words_who_answers(space: Workspace) -> None:
    agent = rows.version(space).agent
    client = person(Role.OPERATOR, space)
    page = "/admin/voice/phonenumber/add/"
    assert change(client, page, e164="nonsense").status_code == 200
    assert change(client, page, e164="(415) 555-0100", agent=str(agent.pk)).status_code == 302
    number = PhoneNumber.objects.get()
    assert number.e164 == "+14155550100"
    shown = client.get(f"/admin/voice/phonenumber/{number.pk}/change/").content.decode()
    assert "Ava answers (version 1), at any hour of any day." in shown
    assert "there is no fallback number" in shown


def test_leads_are_written_as_by_the_api(space: Workspace) -> None:
    client = person(Role.OPERATOR, space)
    page = "/admin/crm/lead/add/"
    assert "phone" in change(client, page, phone="12").content.decode()
    assert change(client, page, first_name="Ada", phone="(415) 555-0123").status_code == 302
    lead = Lead.objects.get()
    assert lead.phone == "+14155550123"
    assert lead.timeline.filter(type="lead.created").exists()
    double = change(client, page, first_name="Twin", phone="+14155550123")
    assert double.status_code == 200
    assert Lead.objects.count() == 1
    at = f"/admin/crm/lead/{lead.pk}/change/"
    assert change(client, at, first_name="Ada B.").status_code == 302
    lead.refresh_from_db()
    assert lead.first_name == "Ada B."


# --- keys, retention


def test_a_key_is_shown_once_and_scopes_are_explained(space: Workspace) -> None:
    client = person(Role.OWNER, space)
    page = "/admin/workspaces/apikey/add/"
    text = client.get(page).content.decode()
    assert "Place calls and steer live ones" in text
    answer = client.post(
        page,
        {"workspace": str(space.pk), "name": "CRM", "scopes": ["leads:read"], "expires_at_0": "",
         "expires_at_1": ""},
        follow=True,
    )  # fmt: skip
    shown = answer.content.decode()
    key = ApiKey.objects.get()
    (token,) = shown.split('data-copy="')[1:]
    token = token.split('"')[0]
    assert keys.verify(token) is not None
    assert (key.scopes, key.created_by_id) == (["leads:read"], User.objects.get().pk)
    assert token not in client.get("/admin/workspaces/apikey/").content.decode()
    client.post("/admin/workspaces/apikey/", {"action": "revoke", "_selected_action": [str(key.pk)]})
    assert keys.verify(token) is None


def test_a_shorter_retention_says_what_it_deletes_and_is_asked_for_twice(space: Workspace) -> None:
    call = rows.call(space)
    rows.say(call, ("caller", "Hello"))
    rows.end(call, ago_s=10 * 86_400)
    Call.objects.filter(pk=call.pk).update(
        status="finalized", outcome="unqualified", finalized_at=call.ended_at or None
    )
    call.refresh_from_db()
    Call.objects.filter(pk=call.pk).update(finalized_at=call.ended_at)
    client = person(Role.OWNER, space)
    page = f"/admin/workspaces/workspace/{space.pk}/change/"
    part = client.get(f"/admin/workspaces/workspace/{space.pk}/retention/?transcript_retention_days=5")
    assert "1 call" in part.content.decode()
    refused = change(client, page, transcript_retention_days="5")
    assert refused.status_code == 200
    assert "would delete: Transcript, tool arguments and results of 1 call" in refused.content.decode()
    space.refresh_from_db()
    assert space.transcript_retention_days == 90
    assert change(client, page, transcript_retention_days="5", confirm_deletion="on").status_code == 302
    space.refresh_from_db()
    assert space.transcript_retention_days == 5
    entry = AuditEntry.objects.get(action="workspace.updated")
    assert (entry.data["before"], entry.data["after"]) == (
        {"transcript_retention_days": 90}, {"transcript_retention_days": 5},
    )  # fmt: skip
    viewer = person(Role.VIEWER, space, "viewer@example.com")
    assert viewer.post(page, {"name": "x"}).status_code == 403


def test_the_voice_of_a_profile_can_be_heard(space: Workspace) -> None:
    profile = rows.version(space).agent.profile
    client = person(Role.VIEWER, space)
    answer = client.get(f"/console/voices/{profile.pk}/sample.wav")
    assert (answer.status_code, answer["Content-Type"]) == (200, "audio/wav")
    assert answer.content[:4] == b"RIFF"
    assert len(answer.content) > 16_000, "a second at least"
    foreign = rows.version(rows.workspace("other")).agent.profile
    assert client.get(f"/console/voices/{foreign.pk}/sample.wav").status_code == 404
    assert Client().get(f"/console/voices/{profile.pk}/sample.wav").status_code == 403


def test_an_operators_switch_of_dialing_is_in_the_audit(space: Workspace) -> None:
    client = person(Role.ADMIN, space)
    Membership.objects.filter(role=Role.ADMIN).exists()
    client.post(
        "/admin/workspaces/workspace/", {"action": "stop_dialing", "_selected_action": [str(space.pk)]}
    )
    space.refresh_from_db()
    assert space.calling_paused_at is not None
    assert AuditEntry.objects.filter(action="workspace.updated", actor="user:ava@example.com").exists()
