"""Who looks at calls, and what they see."""

from typing import Any

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tenex.workspaces.models import Membership, Role, User, Workspace
from voice.models import Call

L = "/console/calls"


def member(role: Role, space: Workspace, email: str = "ava@example.com") -> Client:
    user = User.objects.create(email=email)
    Membership.objects.create(user=user, workspace=space, role=role)
    made = Client()
    made.force_login(user)
    return made


def text_of(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.content.decode()[-2000:]
    return str(answer.content.decode())


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        text_of(client, path)
    return len(captured)


def correct(client: Client, call: Call, **fields: str) -> Any:
    sent = {
        "qualification": "unqualified",
        "criterion": ["budget", "need"],
        "met-1": "no",
        "met-2": "unknown",
        "reason": "Two thousand rupees.",
        **fields,
    }
    return client.post(f"{L}/{call.pk}/verdict", sent)


def shared(client: Client, call: Call, **fields: str) -> str:
    """The path of a new link."""
    answer = client.post(f"{L}/{call.pk}/shares", {"hours": "24", **fields})
    assert answer.status_code == 201, answer.content.decode()[-1500:]
    return str(answer.context["sharing"]["url"]).removeprefix(settings.PUBLIC_BASE_URL)
