"""MCP tools about who asks, and about API keys."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from rest_framework import serializers as f

from tenex.api.keys import ApiKeyIn, ApiKeyOut, MintedKeyOut
from tenex.mcp.forms import NoArguments, PageArguments, one_page
from tenex.mcp.registry import Tool
from tenex.rest.schema import page_of
from tenex.rest.serializers import Input, Output
from tenex.workspaces.principal import Principal
from tenex.workspaces.scopes import ALL
from tenex.workspaces.selectors import keys as read
from tenex.workspaces.services import keys


class WhoamiOut(Output):
    """Who the credential speaks for, and what it may do."""

    company_id = f.UUIDField(help_text="The workspace.")
    workspace = f.CharField(help_text="Its name.")
    actor = f.CharField(help_text="`key:<prefix>` or `user:<e-mail>`, as in the audit log.")
    scopes = f.ListField(child=f.CharField())
    requests_per_minute = f.IntegerField()


def _whoami(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "company_id": principal.workspace.pk,
        "workspace": principal.workspace.name,
        "actor": principal.actor,
        "scopes": sorted(principal.scopes),
        "requests_per_minute": settings.RATE_LIMIT_PER_MINUTE,
    }


def _list_api_keys(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    workspace = principal.workspace
    return one_page(read.all_of(workspace), ApiKeyOut, arguments, bound_to=f"api-keys:{workspace.pk}")


def _mint_api_key(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    key, secret = keys.mint(
        principal, arguments["name"], arguments.get("scopes", [ALL]), arguments.get("expires_at")
    )
    return MintedKeyOut(key, context={"secret": secret}).data


class RevokeIn(Input):
    """The key to revoke."""

    prefix = f.CharField(max_length=36, help_text="The key's prefix of 8 characters, or its id.")
    confirm = f.BooleanField(
        required=False, default=False, help_text="true revokes; without it you are told what would happen."
    )


class RevokedOut(Output):
    """What has happened, or would."""

    revoked = f.BooleanField(help_text="Whether the key is worthless now.")
    detail = f.CharField()
    key = ApiKeyOut()


def _revoke_api_key(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    key = read.find(principal.workspace, arguments["prefix"])
    own = " It is the key that you are using." if principal.actor == f"key:{key.prefix}" else ""
    if not arguments["confirm"] and key.revoked_at is None:
        detail = f"Nothing has changed. confirm: true would make this key worthless at once.{own}"
    else:
        changed = keys.revoke(key, principal.actor)
        detail = f"The key is worthless from now on.{own}" if changed else "It had been revoked before."
    return {"revoked": key.revoked_at is not None, "detail": detail, "key": ApiKeyOut(key).data}


TOOLS = (
    Tool(
        name="whoami",
        title="Who am I",
        description="The workspace, the credential and its scopes.",
        arguments=NoArguments,
        answer=WhoamiOut,
        run=_whoami,
        scope=None,
        read_only=True,
    ),
    Tool(
        name="list_api_keys",
        title="List API keys",
        description="API keys of the workspace without their secrets, revoked ones too, the newest first.",
        arguments=PageArguments,
        answer=page_of(ApiKeyOut),
        run=_list_api_keys,
        scope="keys:admin",
        read_only=True,
    ),
    Tool(
        name="mint_api_key",
        title="Mint an API key",
        description="A new API key. Its secret is in this answer and nowhere afterwards. It cannot have a "
        "scope that you lack.",
        arguments=ApiKeyIn,
        answer=MintedKeyOut,
        run=_mint_api_key,
        scope="keys:admin",
    ),
    Tool(
        name="revoke_api_key",
        title="Revoke an API key",
        description="Makes a key worthless from the next request on; this cannot be undone. Without "
        "`confirm: true` it only tells what would happen.",
        arguments=RevokeIn,
        answer=RevokedOut,
        run=_revoke_api_key,
        scope="keys:admin",
        destructive=True,
        idempotent=True,
    ),
)
