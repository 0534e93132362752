"""What a workspace entrusts to us. Write-only: what is answered are endings, instants and states."""

from typing import Any, ClassVar

from django.core.validators import RegexValidator
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.errors import InvalidInput
from tenex.rest.idempotency import idempotent
from tenex.rest.schema import operation
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView, no_content
from voice.models import CredentialKind, CredentialState
from voice.selectors import credentials as read
from voice.services import credentials as write

TAG = "Credentials"
_CHECKED = "A request that costs nothing. What came back is in `state` and `state_detail`."


class Formed(f.CharField):
    """A part of a credential, of the form that the provider gives it."""

    def __init__(self, part: str, **options: Any) -> None:
        super().__init__(**options)
        form, said = write.FORMS[part]
        self.validators.append(RegexValidator(f"^{form}$", f"must be {said}", code="form"))


class TwilioCredentialIn(Input):
    """An account at Twilio."""

    account_sid = Formed("account_sid", max_length=34)
    auth_token = Formed(
        "auth_token", max_length=128, help_text="Also checks the signatures of Twilio's requests."
    )
    auth_token_secondary = Formed(
        "auth_token_secondary",
        max_length=128,
        required=False,
        allow_blank=True,
        help_text="Its signatures count too, while tokens are changed.",
    )
    api_key_sid = Formed(
        "api_key_sid",
        max_length=34,
        required=False,
        allow_blank=True,
        help_text="With `api_key_secret`: for requests to Twilio in place of the token.",
    )
    api_key_secret = Formed("api_key_secret", max_length=128, required=False, allow_blank=True)
    force = f.BooleanField(
        required=False,
        help_text="Also if numbers, live calls or recordings belong to the account that is replaced.",
    )

    together: ClassVar[dict[str, Any]] = {
        "if": {"required": ["api_key_sid"], "properties": {"api_key_sid": {"minLength": 1}}},
        "then": {"required": ["api_key_secret"], "properties": {"api_key_secret": {"minLength": 1}}},
        "else": {"properties": {"api_key_secret": {"maxLength": 0}}},
    }


class OpenAICredentialIn(Input):
    """A key of OpenAI."""

    api_key = Formed("api_key", max_length=400)
    organization = Formed("organization", max_length=64, required=False, allow_blank=True)
    project = Formed("project", max_length=64, required=False, allow_blank=True)


class CredentialOut(Output):
    """A credential of the workspace, without its secret parts."""

    kind = f.ChoiceField(choices=CredentialKind.choices)
    account = f.CharField(help_text="Twilio: the account's SID; OpenAI: the organization.")
    project = f.CharField(help_text="OpenAI: the project.")
    api_key_sid = f.CharField(help_text="Twilio: of the API key.")
    endings = f.DictField(child=f.CharField(), help_text="Secret part -> its last four characters.")
    set_at = f.DateTimeField()
    set_by = f.CharField()
    last_used_at = f.DateTimeField(allow_null=True, help_text="Exact to a minute.")
    state = f.ChoiceField(
        choices=CredentialState.choices, help_text="What the provider said when it was asked last."
    )
    state_detail = f.CharField()
    checked_at = f.DateTimeField(allow_null=True)


class CredentialsOut(Output):
    """One of a kind at most. A kind that is missing is that of the settings."""

    items = CredentialOut(many=True)


class CredentialList(ApiView):
    scopes: ClassVar = {"GET": "credentials:admin"}

    @operation(
        "credentials_list",
        "List credentials",
        "The workspace's own accounts and keys: that they are set, by whom, and whether they work. Never the "
        "secret parts.",
        tag=TAG,
        response=CredentialsOut,
    )
    def get(self, request: Request) -> Response:
        self.known_query()
        return Response({"items": CredentialOut(read.all_of(self.workspace), many=True).data})


class _OfKind(ApiView):
    kind: ClassVar[CredentialKind]
    scopes: ClassVar = {"PUT": "credentials:admin", "DELETE": "credentials:admin"}

    def remove(self, *, force: bool = False) -> Response:
        write.remove(self.workspace, self.kind, self.principal.actor, force=force)
        return no_content()


class TwilioCredential(_OfKind):
    kind = CredentialKind.TWILIO

    @operation(
        "credentials_put_twilio",
        "Use an account of one's own at Twilio",
        "Twilio is asked first: what it refuses is not kept (422 `credential_refused`). Numbers that are "
        "bought or imported from now on belong to this account, and so do their calls and recordings; those "
        "that the workspace has already stay with the account that they came from. Replaces the credential "
        "before it, all parts of it; another account only if nothing belongs to the one before (409 "
        "`account_in_use`).",
        tag=TAG,
        request=TwilioCredentialIn,
        response=CredentialOut,
        errors=(409,),
    )
    def put(self, request: Request) -> Response:
        data = self.body(TwilioCredentialIn)
        force = bool(data.pop("force", False))
        row = write.put(self.workspace, self.kind, data, self.principal.actor, force=force)
        return Response(CredentialOut(row).data)

    @operation(
        "credentials_delete_twilio",
        "Forget the account at Twilio",
        "The workspace uses the account of the settings again.",
        tag=TAG,
        status=204,
        parameters=[
            OpenApiParameter(
                "force",
                bool,
                default=False,
                description="Also if numbers, live calls or recordings belong to the account.",
            )
        ],
        errors=(404, 409),
    )
    def delete(self, request: Request) -> Response:
        self.known_query(("force",))
        asked = self.query.get("force", "false")
        if asked not in ("true", "false"):
            raise InvalidInput("must be true or false", loc=("query", "force"), type_="enum")
        return self.remove(force=asked == "true")


class OpenAICredential(_OfKind):
    kind = CredentialKind.OPENAI

    @operation(
        "credentials_put_openai",
        "Use a key of one's own for the speech model",
        "OpenAI is asked first: what it refuses is not kept (422 `credential_refused`). Calls that begin "
        "from now on, and verdicts, use this key.",
        tag=TAG,
        request=OpenAICredentialIn,
        response=CredentialOut,
    )
    def put(self, request: Request) -> Response:
        row = write.put(self.workspace, self.kind, self.body(OpenAICredentialIn), self.principal.actor)
        return Response(CredentialOut(row).data)

    @operation(
        "credentials_delete_openai",
        "Forget the key",
        "The workspace uses the key of the settings again.",
        tag=TAG,
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request) -> Response:
        self.known_query()
        return self.remove()


class _Check(ApiView):
    kind: ClassVar[CredentialKind]
    scopes: ClassVar = {"POST": "credentials:admin"}

    def ask(self) -> Response:
        row = write.check(read.one(self.workspace, self.kind), self.principal.actor)
        return Response(CredentialOut(row).data)


class TwilioCheck(_Check):
    kind = CredentialKind.TWILIO

    @operation(
        "credentials_check_twilio",
        "Ask Twilio whether the credential works",
        _CHECKED,
        tag=TAG,
        response=CredentialOut,
        errors=(404, 503),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        return self.ask()


class OpenAICheck(_Check):
    kind = CredentialKind.OPENAI

    @operation(
        "credentials_check_openai",
        "Ask OpenAI whether the key works",
        _CHECKED,
        tag=TAG,
        response=CredentialOut,
        errors=(404, 503),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        return self.ask()
