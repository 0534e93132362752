"""`POST /api/v1/users/login`."""

from django.conf import settings
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.errors import Unauthorized
from tenex.rest import throttling
from tenex.rest.permissions import Public
from tenex.rest.schema import operation
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView
from tenex.workspaces.services import tokens

ATTEMPTS_PER_MINUTE = 20
"""By address, and by account: a password check takes a tenth of a second of all cores on purpose."""


class LoginIn(Input):
    """E-mail address and password."""

    email = f.EmailField(max_length=254)
    password = f.CharField(max_length=256, trim_whitespace=False)


class TokenOut(Output):
    """A token to send as `Authorization: Bearer …`."""

    access_token = f.CharField()
    token_type = f.ChoiceField(choices=["bearer"])
    expires_in = f.IntegerField(help_text="Seconds.")


class Login(ApiView):
    permission_classes = [Public]
    authentication_classes = []

    @operation(
        "users_login",
        "Sign in",
        "A token for an hour. Wrong address and wrong password have the same answer (401).",
        tag="Users and keys",
        request=LoginIn,
        response=TokenOut,
        public=True,
    )
    def post(self, request: Request) -> Response:
        data = self.body(LoginIn)
        throttling.admit(f"login:{throttling.address_key(request)}", limit=ATTEMPTS_PER_MINUTE)
        throttling.admit(f"login:{data['email'].lower()}", limit=ATTEMPTS_PER_MINUTE)
        token = tokens.login(data["email"], data["password"])
        if token is None:
            raise Unauthorized("the address or the password is wrong")
        return Response({"access_token": token, "token_type": "bearer", "expires_in": settings.JWT_TTL_S})
