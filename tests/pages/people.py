"""Browsers of people who are signed in, without the door: it lets only so many a minute through."""

from django.test import Client

from tenex.workspaces.models import Membership, Role, User, Workspace


def member(
    role: Role | None, space: Workspace, email: str = "ava@example.com", *, csrf: bool = False
) -> Client:
    """A person of that role (None: of no workspace). `csrf`: forms need their token, as in life."""
    user = User.objects.create_user(email, "correct horse battery")
    if role:
        Membership.objects.create(user=user, workspace=space, role=role)
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client
