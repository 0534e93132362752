"""The base of every JSON view: credential, rate limit, scope, strict bodies and queries."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.http import QueryDict
from django.http.response import HttpResponseBase
from rest_framework.exceptions import NotAuthenticated
from rest_framework.fields import empty
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenex.errors import InvalidInput
from tenex.rest import throttling
from tenex.rest.serializers import Input
from tenex.workspaces.models import Workspace
from tenex.workspaces.principal import Principal


class ApiView(APIView):
    """`scopes` maps each method to the scope that it needs; GET's also holds for HEAD."""

    scopes: ClassVar[dict[str, str]] = {}
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    _quota: throttling.Quota | None = None

    @property
    def principal(self) -> Principal:
        principal = self.request.auth
        if not isinstance(principal, Principal):
            raise NotAuthenticated
        return principal

    @property
    def workspace(self) -> Workspace:
        return self.principal.workspace

    @property
    def query(self) -> QueryDict:
        return self.request.query_params

    def perform_authentication(self, request: Request) -> None:
        """Who asks, and whether they may ask now."""
        super().perform_authentication(request)
        principal = request.auth
        key = principal.rate_key if isinstance(principal, Principal) else throttling.address_key(request)
        self._quota = throttling.admit(key, address=throttling.address(request))

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        final: HttpResponseBase = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type]
        for name, value in self._quota.headers().items() if self._quota else ():
            final[name] = value
        final["Cache-Control"] = "no-store"
        return final

    def body(self, form: type[Input], **context: object) -> dict[str, Any]:
        """The validated body. PATCH takes any subset of the fields, each of them whole.

        (`partial` of DRF would also let objects inside of a field come without their required fields.)
        """
        serializer = form(data=self.request.data, context=context)
        if self.request.method == "PATCH":
            for field in serializer.fields.values():
                field.required, field.default = False, empty
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = serializer.validated_data
        return values

    def known_query(self, names: Iterable[str] = ()) -> None:
        """Refuse query parameters that this route does not have.

        Raises:
            InvalidInput: with the first name that is not known, or that is given twice.
        """
        allowed = set(names)
        for name in self.query:
            if name not in allowed:
                raise InvalidInput("unknown parameter", loc=("query", name), type_="extra_forbidden")
            if len(self.query.getlist(name)) > 1:
                raise InvalidInput("given more than once", loc=("query", name), type_="duplicate")


def created(data: object) -> Response:
    return Response(data, status=201)


def accepted(data: object) -> Response:
    return Response(data, status=202)


def no_content() -> Response:
    return Response(status=204)
