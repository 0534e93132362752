"""A lead's page, and what is done from it."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone

from crm.models import Consent, ConsentPurpose, Lead, SuppressionSource
from crm.selectors import consents as read_consents
from crm.selectors import fields
from crm.selectors import leads as read
from crm.services import consents, suppressions
from crm.services import leads as write
from tenex.errors import Conflict, InvalidInput
from tenex.pages.views import PageView
from tenex.rest.pagination import page
from voice.console import contacting
from voice.models import Agent, PhoneNumber
from voice.selectors import agents as read_agents
from voice.selectors import calls as read_calls
from voice.selectors import decisions as read_decisions
from voice.selectors import retention as read_retention
from voice.services import dialing

CALLS = 20
DECISIONS = 10


class LeadPage(PageView):
    scope = "leads:read"
    nav = "leads"

    def get(self, request: HttpRequest, lead_id: uuid.UUID) -> HttpResponse:
        return self.shown(read.get(self.workspace.pk, lead_id))

    def shown(self, lead: Lead, more: dict[str, Any] | None = None, *, status: int = 200) -> HttpResponse:
        timeline = page(
            read.timeline(self.workspace.pk, lead.pk), self.request.GET, bound_to=f"timeline:{lead.pk}"
        )
        now = timezone.now()
        context = {
            "lead": lead,
            "timeline": [(_words(entry.type), entry) for entry in timeline.items],
            "next_cursor": timeline.next_cursor,
            "custom": _custom(lead),
            "consents": _with_state(read_consents.of_lead(self.workspace.pk, lead.pk)[:50], now),
            "purposes": ConsentPurpose.choices,
            "follow_ups": read.follow_ups(self.workspace.pk, lead_id=lead.pk)[:20],
            "agents": read_agents.talking(self.workspace)[:200],
            "numbers": read_agents.calling(self.workspace)[:200],
            "may_call": self.principal.allows("calls:write"),
            "may_change": self.principal.allows("leads:write"),
            "may_hold": self.principal.allows("settings:write"),
            "may_forget": self.principal.allows("persons:admin"),
            "holds": read_retention.holds_of_lead(self.workspace, lead.pk),
            "sent": {},
            "wrong": {},
            "now_text": f"{timezone.localtime():%Y-%m-%dT%H:%M}",
        }
        if self.principal.allows("calls:read"):
            context |= self._calls(lead)
        return self.page("console/lead.html", {**context, **(more or {})}, status=status)

    def _calls(self, lead: Lead) -> dict[str, Any]:
        calls = read_calls.listed(self.workspace).filter(lead=lead).order_by("-created_at", "-id")
        found = read_decisions.all_of(self.workspace).filter(lead_id=lead.pk)
        return {
            "calls": calls[:CALLS],
            "decisions": found.order_by("-created_at", "-id")[:DECISIONS],
            "standing": contacting.standing(self.workspace, lead),
        }


def _words(type_: str) -> str:
    """`lead.opted_out` as people say it."""
    return type_.replace(".", " ").replace("_", " ").capitalize()


def _custom(lead: Lead) -> list[tuple[str, Any]]:
    """What the workspace's own fields say, by their labels; defined ones first."""
    known = fields.by_key(lead.workspace_id)
    named = [(str(one), lead.custom[key]) for key, one in known.items() if key in lead.custom]
    return [*named, *((key, value) for key, value in lead.custom.items() if key not in known)]


def _with_state(rows: Iterable[Consent], now: datetime) -> list[Consent]:
    """The consents, each with the state that it is in."""
    found = list(rows)
    for one in found:
        one.state = read_consents.state(one, now)  # type: ignore[attr-defined]
    return found


class _Action(LeadPage):
    """Does one thing and goes back; what was wrong is said on the lead's page, at the form it came from."""

    http_method_names = ("post",)
    scope = "leads:write"
    form = ""
    anchor = ""

    def post(self, request: HttpRequest, lead_id: uuid.UUID, **more: Any) -> HttpResponseBase:
        lead = read.get(self.workspace.pk, lead_id)
        try:
            said = self.act(request, lead, **more)
        except InvalidInput as exc:
            wrong = {str(exc.loc[-1]): exc.detail, "form": self.form}
            return self.shown(lead, {"wrong": wrong, "sent": request.POST}, status=422)
        if said:
            messages.success(request, said)
        return HttpResponseRedirect(f"/console/leads/{lead_id}{self.anchor}")

    def act(self, request: HttpRequest, lead: Lead, **more: Any) -> str:
        raise NotImplementedError


class AddNote(_Action):
    form = "note"
    anchor = "#timeline"

    def act(self, request: HttpRequest, lead: Lead, **more: Any) -> str:
        write.note(self.workspace, lead.pk, request.POST.get("text", ""), actor=self.principal.actor)
        return "The note is in the timeline."


class AddConsent(_Action):
    form = "consent"
    anchor = "#consents"

    def act(self, request: HttpRequest, lead: Lead, **more: Any) -> str:
        sent = request.POST
        source = sent.get("source", "").strip()
        if not source:
            raise InvalidInput("say where it was given", loc=("body", "source"), type_="missing")
        if sent.get("purpose") not in ConsentPurpose.values:
            raise InvalidInput("choose a purpose", loc=("body", "purpose"), type_="enum")
        given_at = _instant(sent.get("given_at", ""), "given_at")
        if given_at is None:
            raise InvalidInput("when was it given?", loc=("body", "given_at"), type_="missing")
        consents.add(
            self.workspace,
            lead.pk,
            purpose=sent["purpose"],
            source=source[:120],
            proof=sent.get("proof", "")[:4096],
            given_at=given_at,
            expires_at=_instant(sent.get("expires_at", ""), "expires_at"),
            actor=self.principal.actor,
        )
        return "The consent was recorded."


def _instant(text: str, name: str) -> datetime | None:
    """What a field of date and time holds, on the workspace's clock."""
    if not text.strip():
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise InvalidInput("not a date and time", loc=("body", name)) from exc
    if not 1970 <= found.year < 2200:
        raise InvalidInput("not in this century", loc=("body", name))
    zone = timezone.get_current_timezone()
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


class RevokeConsent(_Action):
    anchor = "#consents"

    def act(self, request: HttpRequest, lead: Lead, **more: Any) -> str:
        reason = request.POST.get("reason", "").strip()
        consents.revoke(
            self.workspace, lead.pk, more["consent_id"], reason=reason, actor=self.principal.actor
        )
        return "The consent was revoked: it allows nothing any more."


class DoNotCall(_Action):
    """There is no way back: who asked not to be called is not called again (docs/contactability.md)."""

    def act(self, request: HttpRequest, lead: Lead, **more: Any) -> str:
        reason = request.POST.get("reason", "").strip()[:300]
        actor = self.principal.actor
        suppressions.add(
            self.workspace.pk,
            lead.phone,
            source=SuppressionSource.API,
            reason=reason,
            lead_id=lead.pk,
            actor=actor,
        )
        return "Nobody will be dialed at this number any more."


class Archive(_Action):
    def act(self, request: HttpRequest, lead: Lead, **more: Any) -> str:
        write.archive(self.workspace, lead.pk, actor=self.principal.actor)
        return "The lead is archived: it is in no list and no batch any more."


class Unarchive(_Action):
    def act(self, request: HttpRequest, lead: Lead, **more: Any) -> str:
        try:
            write.unarchive(self.workspace, lead.pk, actor=self.principal.actor)
        except Conflict as exc:
            messages.error(request, f"Not brought back: {exc.detail}.")
            return ""
        return "The lead is back."


class CallNow(_Action):
    """Asks as the dialer asks. What has to wait is not called now; it can be queued until then."""

    scope = "calls:write"
    form = "call"
    anchor = "#calls"

    def act(self, request: HttpRequest, lead: Lead, **more: Any) -> str:
        sent = request.POST
        agent, number = self._named(sent.get("agent_id", ""), sent.get("number_id", ""))
        queued = sent.get("when") == "later"
        try:
            call = dialing.place(
                self.workspace,
                lead=lead,
                agent=agent,
                number=number,
                objective=sent.get("objective", "").strip()[:4000],
                only_now=not queued,
            )
        except Conflict as exc:
            messages.error(request, _refusal(exc))
            return ""
        what = "waits in the queue" if queued else "is being dialed"
        return f"{lead} {what}. The call is {str(call.pk)[:8]}… in the list of calls."

    def _named(self, agent_id: str, number_id: str) -> tuple[Agent | None, PhoneNumber | None]:
        agent_pk, number_pk = _id(agent_id, "agent_id"), _id(number_id, "number_id")
        agent = read_agents.agents(self.workspace).filter(pk=agent_pk).first() if agent_pk else None
        number = read_agents.numbers(self.workspace).filter(pk=number_pk).first() if number_pk else None
        if agent_id and agent is None:
            raise InvalidInput("there is no such agent", loc=("body", "agent_id"), type_="missing")
        if number_id and number is None:
            raise InvalidInput("there is no such number", loc=("body", "number_id"), type_="missing")
        return agent, number


def _id(text: str, name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError as exc:
        raise InvalidInput("not an id", loc=("body", name), type_="uuid_parsing") from exc


def _refusal(exc: Conflict) -> str:
    """Why nobody was dialed, and until when."""
    reason = contacting.said(exc.detail)
    until = exc.extra.get("until")
    if not until or exc.code in contacting.PASSING:
        return f"Not called: {reason}"
    at = datetime.fromisoformat(str(until)).astimezone(timezone.get_current_timezone())
    return f"Not called now: {reason} It may be called from {at:%a %b %-d, %H:%M} ({at.tzname()})."
