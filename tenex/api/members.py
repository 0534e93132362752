"""Members of the workspace, their roles, and invitations."""

import uuid
from typing import Any, ClassVar

from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.api.login import TAG, TokenOut, admit_password_check, signed_in
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.permissions import Public
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView, created, no_content
from tenex.workspaces.models import Invitation, Role
from tenex.workspaces.selectors import members as read
from tenex.workspaces.services import members as write
from tenex.workspaces.services import tokens


class MemberOut(Output):
    """Somebody who belongs to the workspace."""

    id = f.UUIDField(source="user_id", help_text="Of the user.")
    email = f.CharField(source="user.email")
    name = f.CharField(source="user.name")
    role = f.ChoiceField(choices=Role.choices)
    active = f.BooleanField(source="user.is_active", help_text="False: may not sign in at all.")
    joined_at = f.DateTimeField(source="created_at")
    last_login_at = f.DateTimeField(source="user.last_login", allow_null=True)


class MemberPatchIn(Input):
    """Another role."""

    role = f.ChoiceField(choices=Role.choices)


class InvitationIn(Input):
    """Whom to invite, and as what."""

    email = f.EmailField(max_length=254)
    role = f.ChoiceField(choices=Role.choices)


class InvitationOut(Output):
    """An invitation, without its token."""

    id = f.UUIDField()
    email = f.CharField()
    role = f.ChoiceField(choices=Role.choices)
    invited_by = f.CharField()
    created_at = f.DateTimeField()
    expires_at = f.DateTimeField()
    accepted_at = f.DateTimeField(allow_null=True)
    revoked_at = f.DateTimeField(allow_null=True, help_text="Also when a later invitation replaced it.")


class CreatedInvitationOut(InvitationOut):
    """The new invitation. `token` is shown this once."""

    token = f.SerializerMethodField(help_text="Hand it to the person; good for seven days, once.")

    def get_token(self, invitation: Invitation) -> str:
        return str(self.context["token"])


class AcceptIn(Input):
    """The token of an invitation, and the password of the account."""

    token = f.CharField(max_length=100)
    password = f.CharField(
        max_length=256,
        trim_whitespace=False,
        help_text="Of the account that the address has; a new one of 10 characters at least if it has none.",
    )
    name = f.CharField(max_length=200, required=False, allow_blank=True, default="")


class AcceptedOut(TokenOut):
    """A token to send as `Authorization: Bearer …`, and the workspace that you are in now."""

    company_id = f.UUIDField()


class MemberList(ApiView):
    scopes: ClassVar = {"GET": "users:read"}

    @operation(
        "users_list",
        "List members",
        "Members of the workspace, the newest first.",
        tag=TAG,
        response=page_of(MemberOut),
        parameters=PAGE,
    )
    def get(self, request: Request) -> Response:
        self.known_query(PAGE_PARAMETERS)
        found = page(read.all_of(self.workspace), self.query, bound_to=f"members:{self.workspace.pk}")
        return Response(found.as_json(MemberOut))


class MemberDetail(ApiView):
    scopes: ClassVar = {"GET": "users:read", "PATCH": "users:write", "DELETE": "users:write"}

    @operation("users_get", "Get a member", "One member.", tag=TAG, response=MemberOut, errors=(404,))
    def get(self, request: Request, user_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(MemberOut(read.one(self.workspace, user_id)).data)

    @operation(
        "users_update",
        "Change a role",
        "Holds from the member's next request on. Nobody gives or takes more than they have, only owners "
        "make or unmake owners (403 `forbidden_role`), and the last owner stays one (409 `last_owner`).",
        tag=TAG,
        request=MemberPatchIn,
        response=MemberOut,
        errors=(404, 409),
    )
    def patch(self, request: Request, user_id: uuid.UUID) -> Response:
        member, changes = read.one(self.workspace, user_id), self.body(MemberPatchIn)
        if "role" in changes:
            member = write.change_role(member, changes["role"], self.principal)
        return Response(MemberOut(member).data)

    @operation(
        "users_remove",
        "Remove a member",
        "Their next request is refused; keys that they minted stay. The account itself stays too. Never the "
        "last owner (409 `last_owner`).",
        tag=TAG,
        status=204,
        errors=(404, 409),
    )
    def delete(self, request: Request, user_id: uuid.UUID) -> Response:
        write.remove(read.one(self.workspace, user_id), self.principal)
        return no_content()


class InvitationList(ApiView):
    scopes: ClassVar = {"GET": "users:read", "POST": "users:write"}

    @operation(
        "invitations_list",
        "List invitations",
        "Open and past ones, the newest first.",
        tag=TAG,
        response=page_of(InvitationOut),
        parameters=PAGE,
    )
    def get(self, request: Request) -> Response:
        self.known_query(PAGE_PARAMETERS)
        rows = read.invitations(self.workspace)
        found = page(rows, self.query, bound_to=f"invitations:{self.workspace.pk}")
        items: Any = InvitationOut(found.items, many=True).data
        return Response({"items": items, "next_cursor": found.next_cursor})

    @operation(
        "invitations_create",
        "Invite somebody",
        "Nothing is mailed: hand the `token` over. An open invitation of the same address is replaced. 409 "
        "`already_member`; 403 `forbidden_role` for more than you have yourself.",
        tag=TAG,
        request=InvitationIn,
        response=CreatedInvitationOut,
        status=201,
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        data = self.body(InvitationIn)
        made, token = write.invite(self.workspace, data["email"], data["role"], self.principal)
        return created(CreatedInvitationOut(made, context={"token": token}).data)


class InvitationDetail(ApiView):
    scopes: ClassVar = {"DELETE": "users:write"}

    @operation(
        "invitations_revoke",
        "Revoke an invitation",
        "Its token is worthless from then on. One that was accepted stays as it is.",
        tag=TAG,
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, invitation_id: uuid.UUID) -> Response:
        write.revoke(read.invitation(self.workspace, invitation_id), self.principal)
        return no_content()


class InvitationAccept(ApiView):
    permission_classes = [Public]
    authentication_classes = []

    @operation(
        "invitations_accept",
        "Accept an invitation",
        "Makes the account if the address has none, and signs in. 404 `invitation_invalid` for a token that "
        "is unknown, used, revoked or too old.",
        tag=TAG,
        request=AcceptIn,
        response=AcceptedOut,
        status=201,
        errors=(404,),
        public=True,
    )
    def post(self, request: Request) -> Response:
        data = self.body(AcceptIn)
        admit_password_check(request, write.addressee(data["token"]) or data["token"])
        member = write.accept(data["token"], data["password"], data["name"])
        token = signed_in(tokens.issue(member.user))
        return created(AcceptedOut({**token, "company_id": member.workspace_id}).data)
