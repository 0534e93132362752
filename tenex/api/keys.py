"""API keys: mint, list, rename, revoke."""

from typing import ClassVar

from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.api.login import TAG
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView, created, no_content
from tenex.workspaces.models import ApiKey
from tenex.workspaces.scopes import ALL, SCOPES
from tenex.workspaces.selectors import keys as read
from tenex.workspaces.services import keys as write


class ApiKeyIn(Input):
    """A key to mint."""

    name = f.CharField(max_length=100)
    scopes = f.ListField(
        child=f.ChoiceField(choices=[ALL, *SCOPES]),
        min_length=1,
        max_length=50,
        required=False,
        help_text='What the key may do; `["*"]` if absent.',
    )
    expires_at = f.DateTimeField(required=False, allow_null=True)


class ApiKeyPatchIn(Input):
    """A new name. Scopes and expiry of a key stay what they are: mint another one."""

    name = f.CharField(max_length=100)


class ApiKeyOut(Output):
    """A key, without its secret."""

    id = f.UUIDField()
    prefix = f.CharField()
    name = f.CharField()
    scopes = f.ListField(child=f.CharField())
    created_at = f.DateTimeField()
    expires_at = f.DateTimeField(allow_null=True)
    last_used_at = f.DateTimeField(allow_null=True, help_text="Brought up to date once a minute.")
    last_used_ip = f.CharField(allow_null=True, help_text="Address that the last use came from.")
    revoked_at = f.DateTimeField(allow_null=True)


class MintedKeyOut(ApiKeyOut):
    """The new key. `secret` is shown this once."""

    secret = f.SerializerMethodField(help_text="The whole key: send it as `Authorization: Bearer <secret>`.")

    def get_secret(self, key: ApiKey) -> str:
        return str(self.context["secret"])


class ApiKeyList(ApiView):
    scopes: ClassVar = {"GET": "keys:admin", "POST": "keys:admin"}

    @operation(
        "api_keys_list",
        "List keys",
        "Keys of the workspace, revoked ones too, the newest first.",
        tag=TAG,
        response=page_of(ApiKeyOut),
        parameters=PAGE,
    )
    def get(self, request: Request) -> Response:
        self.known_query(PAGE_PARAMETERS)
        found = page(read.all_of(self.workspace), self.query, bound_to=f"api-keys:{self.workspace.pk}")
        return Response(found.as_json(ApiKeyOut))

    @operation(
        "api_keys_create",
        "Mint a key",
        "The secret is shown once and kept nowhere. A key cannot have a scope that its maker lacks.",
        tag=TAG,
        request=ApiKeyIn,
        response=MintedKeyOut,
        status=201,
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        data = self.body(ApiKeyIn)
        key, secret = write.mint(
            self.principal, data["name"], data.get("scopes", [ALL]), data.get("expires_at")
        )
        return created(MintedKeyOut(key, context={"secret": secret}).data)


class ApiKeyDetail(ApiView):
    scopes: ClassVar = {"GET": "keys:admin", "PATCH": "keys:admin", "DELETE": "keys:admin"}

    @operation(
        "api_keys_get",
        "Get a key",
        "One key, by id or by prefix, without its secret.",
        tag=TAG,
        response=ApiKeyOut,
        errors=(404,),
    )
    def get(self, request: Request, key: str) -> Response:
        self.known_query()
        return Response(ApiKeyOut(read.find(self.workspace, key)).data)

    @operation(
        "api_keys_update",
        "Rename a key",
        "By id or by prefix.",
        tag=TAG,
        request=ApiKeyPatchIn,
        response=ApiKeyOut,
        errors=(404,),
    )
    def patch(self, request: Request, key: str) -> Response:
        row, changes = read.find(self.workspace, key), self.body(ApiKeyPatchIn)
        if "name" in changes:
            row = write.rename(row, changes["name"], self.principal.actor)
        return Response(ApiKeyOut(row).data)

    @operation(
        "api_keys_revoke",
        "Revoke a key",
        "By id or by prefix. The very next request with it is refused. Revoking it again changes nothing.",
        tag=TAG,
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, key: str) -> Response:
        write.revoke(read.find(self.workspace, key), self.principal.actor)
        return no_content()
