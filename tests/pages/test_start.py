"""The first run: the first owner's link, the demo call, and steps that turn done by themselves."""

import re
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from crm.models import Lead
from tenex.workspaces.models import Membership, Role, User, Workspace
from tenex.workspaces.services import first_owner
from tests import rows
from tests.pages.test_access import person
from voice.models import Call, PhoneNumber
from voice.services import demo_call

PERSON = {
    "company": "Acme Robots",
    "name": "Ava",
    "email": "Ava@Example.com",
    "password": "correct horse battery",
    "time_zone": "Europe/Zurich",
}


def printed() -> str:
    """The token of the link that the command prints."""
    from io import StringIO

    out = StringIO()
    call_command("first_owner", stdout=out)
    (token,) = re.findall(r"token=(\S+)", out.getvalue())
    return str(token)


def states(client: Client) -> list[bool]:
    text = client.get("/console/start").content.decode()
    return [
        "data-done" in one
        for one in re.findall(r"<li( data-done)?(?: aria-current=\"step\")?><span class=\"mark", text)
    ]


@pytest.mark.django_db
def test_the_first_owner_signs_up_by_the_link_and_nobody_after_them() -> None:
    assert "Nobody has an account yet" in Client().get("/console/login").content.decode()
    token, client = printed(), Client()
    assert client.get(f"/console/setup?token={token}").status_code == 200
    answer: Any = client.post("/console/setup", {**PERSON, "token": token})
    assert (answer.status_code, answer["Location"]) == (302, "/console/start")
    user = User.objects.get()
    assert (user.email, user.is_superuser) == ("ava@example.com", True)
    seat = Membership.objects.select_related("workspace").get()
    assert (seat.role, seat.workspace.name, seat.workspace.time_zone) == (
        "owner",
        "Acme Robots",
        "Europe/Zurich",
    )
    shown = client.get("/console/start").content.decode()
    assert "Open the demo call" in shown
    late = Client().post("/console/setup", {**PERSON, "email": "b@example.com", "token": token})
    assert late.status_code == 410
    assert User.objects.count() == 1
    assert Client().get(f"/console/setup?token={token}").status_code == 410
    with pytest.raises(CommandError, match="somebody already"):
        call_command("first_owner")


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["", "owner", "x:y:z"])
def test_without_the_link_nobody_signs_up(token: str) -> None:
    assert Client().get(f"/console/setup?token={token}").status_code == 410
    assert Client().post("/console/setup", {**PERSON, "token": token}).status_code == 410
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value"),
    [("company", " "), ("email", "nobody"), ("password", "short"), ("password", "password123")],
)
def test_what_is_wrong_is_said_at_the_field_and_the_rest_is_kept(field: str, value: str) -> None:
    answer = Client().post("/console/setup", {**PERSON, field: value, "token": printed()})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.content.decode()
    assert 'value="Ava"' in answer.content.decode()
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_sign_up_at_once_one_is_first() -> None:
    token = first_owner.link().split("token=")[1]
    made = rows.together(
        *(
            lambda n=n: first_owner.create(
                token,
                company="Acme",
                name="",
                email=f"{n}@example.com",
                password=PERSON["password"],
                time_zone="UTC",
            )
            for n in range(3)
        )
    )
    assert sum(isinstance(one, Membership) for one in made) == 1
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_steps_turn_done_by_themselves(settings: Any) -> None:
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN, settings.OPENAI_API_KEY = "", "t", "k"
    space = rows.workspace()
    client = person(Role.OWNER, space)
    assert states(client) == [False] * 5
    text = client.get("/console/start").content.decode()
    assert "<code>TWILIO_ACCOUNT_SID</code>" in text
    assert "OPENAI_API_KEY" not in text
    settings.TWILIO_ACCOUNT_SID = "AC"
    version = rows.version(space)
    assert states(client) == [True, True, False, False, False]
    number = PhoneNumber.objects.create(workspace=space, e164="+14155550100")
    assert "leads to nobody" in client.get("/console/start").content.decode()
    PhoneNumber.objects.filter(pk=number.pk).update(agent=version.agent)
    rows.lead(space)
    demo_call.seed(space, version, "system:test")
    assert states(client) == [True, True, True, True, False], "the demo is no call of theirs"
    rows.call(space, agent=version)
    assert states(client) == [True] * 5
    assert "All done" in client.get("/console/start").content.decode()


@pytest.mark.django_db
def test_the_demo_call_goes_and_nothing_else() -> None:
    space = rows.workspace()
    version = rows.version(space)
    mine, lead = rows.call(space, agent=version), rows.lead(space)
    made = demo_call.seed(space, version, "system:test")
    assert demo_call.seed(space, version, "system:test") == made, "only one"
    assert made.verdict.criteria[0]["evidence"]["quote"] in made.turns.get(item_id="item_5").text
    viewer = person(Role.VIEWER, space, "v@example.com")
    assert viewer.post("/console/start/demo/remove").status_code == 403
    owner = person(Role.OWNER, space)
    assert owner.post("/console/start/demo/remove").status_code == 302
    assert list(Call.objects.all()) == [mine]
    assert list(Lead.objects.all()) == [lead]


@pytest.mark.django_db
def test_no_rehearsal_no_rehearsal_call() -> None:
    space = rows.workspace()
    version = rows.version(space)
    number = PhoneNumber.objects.create(workspace=space, e164="+14155550100", agent=version.agent)
    client = person(Role.OPERATOR, space)
    answer = client.post("/console/start/ring", {"number": str(number.pk)}, follow=True)
    assert "no rehearsal" in answer.content.decode()
    assert not Call.objects.exists()


@pytest.mark.django_db
def test_a_workspace_is_switched_where_there_are_several(space_pair: tuple[Workspace, Workspace]) -> None:
    first, second = space_pair
    client = person(Role.OWNER, first)
    assert "workspace-switch" not in client.get("/console/start").content.decode()
    Membership.objects.create(user=User.objects.get(), workspace=second, role=Role.VIEWER)
    assert "workspace-switch" in client.get("/console/start").content.decode()
    client.post("/console/workspace", {"workspace": str(second.pk)})
    assert f'value="{second.pk}" selected' in client.get("/console/start").content.decode()


@pytest.fixture
def space_pair(db: None) -> tuple[Workspace, Workspace]:
    return rows.workspace("first"), rows.workspace("second")
