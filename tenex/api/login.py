"""`POST /api/v1/users/login`."""

from django.conf import settings
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.errors import Unauthorized
from tenex.lib import limits
from tenex.rest import throttling
from tenex.rest.permissions import Public
from tenex.rest.schema import operation
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView
from tenex.workspaces.services import tokens

TAG = "Users and keys"


class LoginIn(Input):
    """E-mail address and password."""

    email = f.EmailField(max_length=254)
    password = f.CharField(max_length=256, trim_whitespace=False)


class TokenOut(Output):
    """A token to send as `Authorization: Bearer …`."""

    access_token = f.CharField()
    token_type = f.ChoiceField(choices=["bearer"])
    expires_in = f.IntegerField(help_text="Seconds.")


def admit_password_check(request: Request, account: str) -> None:
    """Passwords can be tried so often a minute from one address, and so often for one account.

    Raises:
        RateLimited: no more of them now.
    """
    throttling.admit(f"login:{throttling.address_key(request)}", limit=limits.SIGN_INS_PER_MINUTE)
    throttling.admit(f"login:{account.lower()}", limit=limits.SIGN_INS_PER_MINUTE)


def signed_in(token: str) -> dict[str, object]:
    return {"access_token": token, "token_type": "bearer", "expires_in": settings.JWT_TTL_S}


class Login(ApiView):
    permission_classes = [Public]
    authentication_classes = []

    @operation(
        "users_login",
        "Sign in",
        "A token for an hour. Wrong address and wrong password have the same answer (401).",
        tag=TAG,
        request=LoginIn,
        response=TokenOut,
        public=True,
    )
    def post(self, request: Request) -> Response:
        data = self.body(LoginIn)
        admit_password_check(request, data["email"])
        token = tokens.login(data["email"], data["password"])
        if token is None:
            raise Unauthorized("the address or the password is wrong")
        return Response(signed_in(token))
