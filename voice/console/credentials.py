"""A workspace's own accounts and keys. What was set is never shown again, nor put back into a form."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from tenex.errors import Conflict, InvalidInput, NotFound, TenexError
from tenex.pages.views import PageView
from voice.models import CredentialKind
from voice.selectors import credentials as read
from voice.services import credentials as write

_LABELS = {
    "account_sid": "Account SID",
    "auth_token": "Auth token",
    "auth_token_secondary": "Secondary auth token",
    "api_key_sid": "API key SID",
    "api_key_secret": "API key secret",
    "api_key": "API key",
    "organization": "Organization",
    "project": "Project",
}
_HELP = {
    "auth_token": "Checks the signatures of Twilio’s requests, so it is needed with an API key, too.",
    "auth_token_secondary": "Only while you change tokens: signatures of both count then.",
    "api_key_sid": "Optional: requests go out with this key instead of the token.",
    "organization": "Optional.",
    "project": "Optional.",
}
_PLAIN = frozenset({"account_sid", "api_key_sid", "organization", "project"})
_NEEDED = frozenset({"account_sid", "auth_token", "api_key"})
_ABOUT = {
    CredentialKind.TWILIO: "Numbers that you buy or import from now on belong to this account; their calls "
    "and recordings too. Numbers that you have stay with the account that they came from.",
    CredentialKind.OPENAI: "Calls that begin from now on, verdicts and the agent’s voice use this key.",
}


class _Page(PageView):
    scope = "credentials:admin"
    nav = "credentials"

    def shown(
        self,
        *,
        kind: str = "",
        errors: dict[str, str] | None = None,
        conflict: Conflict | None = None,
        status: int = 200,
    ) -> HttpResponse:
        rows = {row.kind: row for row in read.all_of(self.workspace)}
        shared = read.shared_kinds(self.workspace)
        cards = [
            {
                "kind": one.value,
                "label": one.label,
                "about": _ABOUT[one],
                "row": rows.get(one.value),
                "shared": shared[one],
                "endings": self._endings(rows.get(one.value)),
                "fields": self._fields(one, errors if kind == one.value else None),
                "conflict": conflict if kind == one.value else None,
                "open": kind == one.value,
            }
            for one in CredentialKind
        ]
        return self.page("console/credentials.html", {"cards": cards}, status=status)

    def _endings(self, row: Any) -> list[tuple[str, str]]:
        kept = row.endings if row is not None else {}
        return [(_LABELS[name], ending) for name, ending in kept.items() if name in _LABELS]

    def _fields(self, kind: CredentialKind, errors: dict[str, str] | None) -> list[dict[str, Any]]:
        """Secret parts are never filled in, also not after a mistake."""
        return [
            {
                "name": name,
                "label": _LABELS[name],
                "help": _HELP.get(name, ""),
                "secret": name not in _PLAIN,
                "needed": name in _NEEDED,
                "value": self.request.POST.get(name, "") if errors is not None and name in _PLAIN else "",
                "error": (errors or {}).get(name, ""),
            }
            for name in write.FIELDS[kind]
        ]


class Credentials(_Page):
    """What is set, and forms to set it."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.shown()


class CredentialSet(_Page):
    def post(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        chosen = _kind(kind)
        given = {name: request.POST.get(name, "") for name in write.FIELDS[chosen]}
        force = request.POST.get("force") == "1"
        try:
            row = write.put(self.workspace, chosen, given, self.principal.actor, force=force)
        except InvalidInput as exc:
            errors = {str(exc.loc[-1]): f"{exc.detail[:1].upper()}{exc.detail[1:]}."}
            return self.shown(kind=kind, errors=errors, status=422)
        except Conflict as exc:
            return self.shown(kind=kind, errors={}, conflict=exc, status=409)
        messages.success(request, f"{chosen.label} is set: {row.get_state_display().lower()}.")
        return redirect("credentials")


class CredentialCheck(_Page):
    def post(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        found = read.one(self.workspace, _kind(kind))
        try:
            row = write.check(found, self.principal.actor)
        except TenexError as exc:
            messages.error(request, f"{exc.detail}.".capitalize())
        else:
            good = row.state == "verified"
            said = f"{row.get_kind_display()}: {row.get_state_display().lower()}. {row.state_detail}"
            (messages.success if good else messages.warning)(request, said)
        return redirect("credentials")


class CredentialRemove(_Page):
    def post(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        chosen = _kind(kind)
        try:
            write.remove(self.workspace, chosen, self.principal.actor, force=request.POST.get("force") == "1")
        except Conflict as exc:
            return self.shown(kind=kind, conflict=exc, status=409)
        messages.success(request, f"{chosen.label} is forgotten; the workspace uses the system’s again.")
        return redirect("credentials")


def _kind(text: str) -> CredentialKind:
    """Raises:
    NotFound: there is no such kind.
    """
    if text not in CredentialKind.values:
        raise NotFound("there is no such thing here")
    return CredentialKind(text)
