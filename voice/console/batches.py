"""Batches: the list, the page of one, and what is done with it."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase
from django.utils import timezone

from crm.models.imports import OPEN
from tenex.errors import Conflict, InvalidInput
from tenex.pages.forms import filled, problems
from tenex.pages.views import PageView
from tenex.rest import filters as strict
from tenex.rest.errors import QueryInvalid
from tenex.rest.pagination import page, page_in_order, page_walked
from tenex.workspaces.services import workspaces
from voice.api.batch_outputs import next_action
from voice.api.batch_previews import when_of
from voice.api.batch_results import as_csv
from voice.api.filters import BatchFilters, ResultFilters
from voice.console import batch_figures, call_links, contacting
from voice.console.reasons import words
from voice.models import Batch, BatchStatus, Call, Outcome, Recipient, RecipientStatus
from voice.outbound import forecast, foresight
from voice.selectors import agents as read_agents
from voice.selectors import batch_stats
from voice.selectors import batches as read
from voice.selectors.batches import Counters
from voice.services import batch_members, costs, switches
from voice.services import batches as write

LIST = "/console/batches"
SHOWN = 25
"""Leads on one page of a batch."""


@dataclass(frozen=True, slots=True)
class Row:
    """A batch in the list."""

    batch: Batch
    counters: Counters

    @property
    def over(self) -> int:
        """Leads that nothing more happens to."""
        return self.counters.total - self.counters.pending - self.counters.calling


class BatchList(PageView):
    scope = "batches:read"
    nav = "batches"

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = filled(request.GET)
        context: dict[str, Any] = {
            "asked": asked,
            "statuses": BatchStatus.choices,
            "agents": read_agents.every_agent(self.workspace)[:200],
            "switch": switches.state(),
            "may_stop": self.principal.allows("settings:write"),
            "may_change": self.principal.allows("batches:write"),
        }
        try:
            rows = strict.apply(BatchFilters, asked, read.all_of(self.workspace).select_related("agent"))
            found = page(rows, asked, bound_to=f"batches:{self.workspace.pk}")
        except (InvalidInput, QueryInvalid) as exc:
            return self.page("console/batches.html", {**context, "problems": problems(exc)}, status=422)
        counters = read.counters([batch.pk for batch in found.items])
        batches = [Row(batch, counters[batch.pk]) for batch in found.items]
        return self.page(
            "console/batches.html", {**context, "batches": batches, "next_cursor": found.next_cursor}
        )


class CallingPaused(PageView):
    """The workspace's kill switch."""

    scope = "settings:write"

    def post(self, request: HttpRequest) -> HttpResponseBase:
        paused = request.POST.get("paused") == "1"
        workspaces.update(self.workspace, {"calling_paused": paused}, self.principal.actor)
        if paused:
            said = "Nobody is dialed any more. What rang was taken back; whoever talks, talks on."
            messages.warning(request, said)
        else:
            messages.success(request, "Calling goes on.")
        return HttpResponseRedirect(LIST)


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the recipients: the row, its last call, what happens next, why it is not called."""

    row: Recipient
    call: Call | None
    next: str
    next_at: datetime | None
    reason: str


_NEXT = {"calling": "on the phone", "call": "call", "retry": "next try", "callback": "callback", "none": ""}


def _result(row: Any) -> Result:
    calls = list(row.calls.all())
    action = next_action(row)
    reason = words(row.refusal_code) if row.refusal_code else ""
    return Result(row, calls[0] if calls else None, _NEXT[action["type"]], action["at"], reason)


class BatchPage(PageView):
    scope = "batches:read"
    nav = "batches"

    def get(self, request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
        batch = read.whole(self.workspace, batch_id)
        asked = filled(request.GET)
        part, was = asked.pop("part", [""])[-1], asked.pop("was", [""])[-1]
        context: dict[str, Any] = {
            **self._standing(batch),
            "batch": batch,
            "asked": asked,
            "recipient_statuses": RecipientStatus.choices,
            "outcomes": Outcome.choices,
            "may_change": self.principal.allows("batches:write"),
            "moved": bool(was) and was != batch.status,
        }
        status = 200
        try:
            context |= self._recipients(batch, asked)
        except (InvalidInput, QueryInvalid) as exc:
            context["problems"], status = problems(exc), 422
        if part == "1":
            return self.page("console/batch_live.html", context)
        found = batch_stats.stats(batch)
        context |= {
            "figures": [
                batch_figures.funnel(batch, found.funnel),
                batch_figures.refusals(batch, found.refusals),
                batch_figures.hours(batch, found),
            ],
            "versions": batch_figures.versions(batch, found),
        }
        return self.page("console/batch.html", context, status=status)

    def _standing(self, batch: Batch) -> dict[str, Any]:
        """How far it is and when it would be through."""
        counters = read.counters([batch.pk])[batch.pk]
        progress = batch_stats.progress(batch)
        row = Row(batch, counters)
        uploads = read.uploads(batch)
        is_filling = batch.filling_from is not None or any(one.done_at is None for one in uploads)
        is_open = batch.status not in write.OVER
        return {
            "row": row,
            "counters": counters,
            "progress": progress,
            "expected": forecast.of(batch, progress.openings, timezone.now()) if is_open else None,
            "spent_microusd": batch.spent_microusd + progress.live_microusd,
            "uploads": uploads,
            "open_imports": OPEN,
            "is_filling": is_filling,
            "is_open": is_open,
            "is_live": is_filling or counters.calling > 0 or batch.status in _MOVING,
            "budget_spent": write.budget_spent(batch),
            "switch": switches.state(),
        }

    def _recipients(self, batch: Batch, asked: QueryDict) -> dict[str, Any]:
        code = asked.get("code", "")
        narrowed = asked.copy()
        narrowed.pop("code", None)
        rows = strict.apply(ResultFilters, narrowed, read.results(batch))
        if code:
            rows = rows.filter(refusal_code=code)
        paged = asked.copy()
        paged["limit"] = str(SHOWN)
        found = page_in_order(rows, paged, by="position", bound_to=f"results:{batch.pk}")
        return {
            "results": [_result(row) for row in found.items],
            "next_cursor": found.next_cursor,
            "code_words": words(code) if code else "",
        }


_MOVING = (BatchStatus.QUEUED, BatchStatus.RUNNING)


class BatchPreview(PageView):
    """Who would be called, by the dialer's own rules. The decisions are kept: so a form asks for it."""

    scope = "batches:read"
    nav = "batches"

    def post(self, request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
        batch = read.whole(self.workspace, batch_id)
        found = foresight.preview(batch, foresight.begins(batch, timezone.now()))
        context = {
            "batch": batch,
            "preview": found,
            "reasons": [(words(one.code), one) for one in sorted(found.reasons.values(), key=_most)],
            "not_called": [(contacting.said(one.detail), one) for one in found.not_called[:20]],
            "openings": batch_figures.openings(batch, found),
            "may_change": self.principal.allows("batches:write"),
            "is_filling": write.is_filling(batch),
            "cost": costs.minor(found.expected.cost_microusd or 0) if found.expected.cost_microusd else None,
            "cost_of_a_dial": found.expected.based_on.cost_microusd / costs.MICRO_PER_MINOR
            if found.expected.based_on
            else None,
        }
        return self.page("console/batch_preview.html", context)

    def get(self, request: HttpRequest, batch_id: uuid.UUID) -> HttpResponseBase:
        return HttpResponseRedirect(call_links.batch(batch_id))


def _most(one: foresight.Reason) -> tuple[bool, int]:
    return (not one.final, -one.count)


class BatchProspects(PageView):
    """The leads of a preview, one by one."""

    scope = "batches:read"
    nav = "batches"

    def get(self, request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
        batch = read.whole(self.workspace, batch_id)
        asked = filled(request.GET)
        when, code = asked.get("when"), asked.get("code")
        at = foresight.begins(batch, timezone.now())

        def walk(after: int) -> Iterator[tuple[int, foresight.Prospect]]:
            for one in foresight.prospects(batch, at, after=after):
                if when in (None, when_of(one)) and code in (None, one.code):
                    yield one.position, one

        found, cursor = page_walked(walk, asked, bound_to=f"preview:{batch.pk}")
        context = {
            "batch": batch,
            "asked": asked,
            "whens": [("now", "Called at once"), ("later", "Have to wait"), ("never", "Not called")],
            "prospects": [(words(one.code) if one.code else "", one) for one in found],
            "next_cursor": cursor,
        }
        return self.page("console/batch_prospects.html", context)


class _Verb(PageView):
    """One thing that is done with a batch; the page says what came of it."""

    scope = "batches:write"
    do: ClassVar[Callable[..., Batch]]
    said: ClassVar[str]
    takes_reason: ClassVar[bool] = False

    def post(self, request: HttpRequest, batch_id: uuid.UUID) -> HttpResponseBase:
        batch = read.whole(self.workspace, batch_id)
        more = {"reason": request.POST.get("reason", "").strip()[:200]} if self.takes_reason else {}
        try:
            type(self).do(batch, actor=self.principal.actor, **more)
            messages.success(request, self.said)
        except (Conflict, InvalidInput) as exc:
            messages.error(request, exc.detail)
        return HttpResponseRedirect(call_links.batch(batch_id))


class BatchStart(_Verb):
    do = staticmethod(write.start)
    said = "Started. Leads are dialed as lines and hours allow."


class BatchPause(_Verb):
    do = staticmethod(write.pause)
    said = "Paused. Nobody else is dialed; calls under way go on."
    takes_reason = True


class BatchResume(_Verb):
    do = staticmethod(write.resume)
    said = "Goes on."


class BatchCancel(_Verb):
    do = staticmethod(write.cancel)
    said = "Canceled. Nobody else is called; whoever talks, talks on."
    takes_reason = True


class BatchResults(PageView):
    """All leads of a batch with their results, as one file."""

    scope = "batches:read"

    def get(self, request: HttpRequest, batch_id: uuid.UUID) -> HttpResponseBase:
        batch = read.one(self.workspace, batch_id)
        return as_csv(read.results(batch), name=f"batch-{batch.pk}.csv")


class RecipientOut(PageView):
    """Takes one lead out of a batch."""

    scope = "batches:write"

    def post(self, request: HttpRequest, batch_id: uuid.UUID, recipient_id: uuid.UUID) -> HttpResponseBase:
        batch = read.one(self.workspace, batch_id)
        try:
            batch_members.withdraw(read.recipient(batch, recipient_id), actor=self.principal.actor)
            messages.success(request, "The lead is not called (any more).")
        except Conflict as exc:
            messages.error(request, exc.detail)
        return HttpResponseRedirect(f"{call_links.batch(batch_id)}#recipients")
