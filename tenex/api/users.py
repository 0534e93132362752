"""Who am I, and my password."""

import uuid

from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.api.login import TAG, TokenOut, admit_password_check, signed_in
from tenex.errors import Forbidden
from tenex.rest.permissions import AnyCredential
from tenex.rest.schema import operation
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView
from tenex.workspaces.models import Role
from tenex.workspaces.selectors import members as read
from tenex.workspaces.services import people, tokens


class WhoamiOut(Output):
    """Whose credential this is, in which workspace, and what it may do."""

    company_id = f.UUIDField(help_text="The workspace.")
    workspace = f.CharField(help_text="Its slug.")
    actor = f.CharField(help_text="As in the audit log: `user:<e-mail>` or `key:<prefix>`.")
    scopes = f.ListField(child=f.CharField(), help_text='`["*"]` is everything.')
    role = f.ChoiceField(choices=Role.choices, allow_null=True, help_text="Null for an API key.")
    user_id = f.UUIDField(allow_null=True, help_text="Null for an API key.")
    email = f.CharField(allow_null=True)
    name = f.CharField(allow_null=True)


class MePatchIn(Input):
    """Changes of one's own account."""

    name = f.CharField(max_length=200, required=False, allow_blank=True)


class PasswordIn(Input):
    """The password that is, and the one that shall be."""

    current_password = f.CharField(max_length=256, trim_whitespace=False)
    new_password = f.CharField(max_length=256, trim_whitespace=False, help_text="10 characters at least.")


class Me(ApiView):
    permission_classes = [AnyCredential]

    @operation("users_me", "Who am I", "Of a key or of a token. Needs no scope.", tag=TAG, response=WhoamiOut)
    def get(self, request: Request) -> Response:
        self.known_query()
        return self._shown()

    @operation(
        "users_me_update",
        "Change my account",
        "Your name, in every workspace. Not with an API key.",
        tag=TAG,
        request=MePatchIn,
        response=WhoamiOut,
    )
    def patch(self, request: Request) -> Response:
        user_id, changes = in_person(self), self.body(MePatchIn)
        if "name" in changes:
            people.rename(user_id, changes["name"])
        return self._shown()

    def _shown(self) -> Response:
        principal = self.principal
        user = read.one(self.workspace, principal.user_id).user if principal.user_id else None
        return Response(
            WhoamiOut(
                {
                    "company_id": self.workspace.pk,
                    "workspace": self.workspace.slug,
                    "actor": principal.actor,
                    "scopes": sorted(principal.scopes),
                    "role": principal.role,
                    "user_id": user.pk if user else None,
                    "email": user.email if user else None,
                    "name": user.name if user else None,
                }
            ).data
        )


class MyPassword(ApiView):
    permission_classes = [AnyCredential]

    @operation(
        "users_me_password",
        "Change my password",
        "Every token of yours is worthless from then on; the answer is a new one. Not with an API key.",
        tag=TAG,
        request=PasswordIn,
        response=TokenOut,
    )
    def post(self, request: Request) -> Response:
        user_id, data = in_person(self), self.body(PasswordIn)
        admit_password_check(request, self.principal.actor.removeprefix("user:"))
        user = people.change_password(user_id, data["current_password"], data["new_password"], self.principal)
        return Response(signed_in(tokens.issue(user)))


def in_person(view: ApiView) -> uuid.UUID:
    """The person that asks.

    Raises:
        Forbidden: it is a key.
    """
    user_id = view.principal.user_id
    if user_id is None:
        raise Forbidden("only a person who has signed in can do that, not a key")
    return user_id
