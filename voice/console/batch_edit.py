"""Making a batch, and changing one."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase

from crm.models import OnDuplicate
from crm.pages import column_form
from crm.selectors import segments as read_segments
from tenex.errors import Conflict, Forbidden, InvalidInput
from tenex.pages.views import PageView
from tenex.workspaces.models import CallingPurpose
from voice.api.batches import parts
from voice.console import batch_form, call_links
from voice.console.batch_form import BatchForm, FormInvalid
from voice.models import Agent, AgentVersion, Batch, BatchStatus, VoicemailPolicy
from voice.selectors import agents as read_agents
from voice.selectors import batches as read
from voice.services import batch_uploads
from voice.services import batches as write


class _Form(PageView):
    scope = "batches:write"
    nav = "batches"

    def shown(self, form: BatchForm, batch: Batch | None, *, status: int = 200) -> HttpResponse:
        context = {
            "form": form,
            "batch": batch,
            "is_draft": batch is None or batch.status == BatchStatus.DRAFT,
            "agents": read_agents.talking(self.workspace)[:200],
            "numbers": read_agents.calling(self.workspace)[:200],
            "segments": read_segments.all_of(self.workspace.pk)[:200],
            "purposes": CallingPurpose.choices,
            "policies": VoicemailPolicy.choices,
            "days": batch_form.DAYS,
            "weights": batch_form.weights(form, self.versions(str(form.given.get("agent_id", "")))),
            "may_upload": self.principal.allows("leads:write"),
            "cps": self.workspace.calls_per_second,
        }
        return self.page("console/batch_form.html", context, status=status)

    def versions(self, agent_id: str) -> list[AgentVersion]:
        """The published versions of an agent, the newest first; none of one that is not there."""
        agent = self._agent(agent_id)
        return list(read_agents.versions(agent).order_by("-number")[:10]) if agent else []

    def _agent(self, agent_id: str) -> Agent | None:
        try:
            wanted = uuid.UUID(agent_id)
        except ValueError:
            return None
        return read_agents.talking(self.workspace).filter(pk=wanted).first()

    def tried(self, do: Callable[[], Batch], batch: Batch | None) -> HttpResponse | Batch:
        """The batch, or the form with what is wrong."""
        try:
            return do()
        except FormInvalid as exc:
            errors, status = exc.errors, 422
        except (InvalidInput, Conflict) as exc:
            errors, status = batch_form.problem(exc), exc.status
        return self.shown(batch_form.typed(self.request.POST, errors), batch, status=status)


class BatchNew(_Form):
    """Always a draft at first: its page says who would be called, and starts it."""

    def get(self, request: HttpRequest) -> HttpResponse:
        agent = self._agent(request.GET.get("agent_id", "")) or read_agents.talking(self.workspace).first()
        form = batch_form.fresh(agent, self.workspace.default_purpose)
        form.given["segment_id"] = request.GET.get("segment_id", "")
        return self.shown(form, None)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        made = self.tried(self._make, None)
        if isinstance(made, HttpResponse):
            return made
        messages.success(request, "A draft: look at the preview, then start it.")
        return HttpResponseRedirect(call_links.batch(made.pk))

    def _make(self) -> Batch:
        sent = self.request.POST
        source = sent.get("leads_from", "segment")
        data = batch_form.checked(sent, patch=False)
        if source == "segment":
            data["segment_id"] = batch_form.segment_id(sent)
        given = {**parts(self.workspace, data), "draft": True}
        actor = self.principal.actor
        if source != "file":
            return write.create(self.workspace, actor=actor, **given).batch
        if not self.principal.allows("leads:write"):
            raise Forbidden("your role does not allow to add leads (leads:write)")
        file = column_form.file_of(self.request)
        options = column_form.options_of(sent, standard=OnDuplicate.UPDATE)
        made = batch_uploads.create(
            self.workspace,
            column_form.stream(file),
            file_name=file.name or "",
            options=options,
            parts=given,
            actor=actor,
        )
        return made.batch


class BatchEdit(_Form):
    def get(self, request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
        batch = read.whole(self.workspace, batch_id)
        return self.shown(batch_form.of_batch(batch), batch)

    def post(self, request: HttpRequest, batch_id: uuid.UUID) -> HttpResponseBase:
        batch = read.whole(self.workspace, batch_id)
        done = self.tried(lambda: self._change(batch), batch)
        if isinstance(done, HttpResponse):
            return done
        messages.success(request, "Saved. It holds from the next call on.")
        return HttpResponseRedirect(call_links.batch(batch_id))

    def _change(self, batch: Batch) -> Batch:
        is_draft = batch.status == BatchStatus.DRAFT
        fixed = frozenset() if is_draft else batch_form.ONLY_IN_DRAFT
        if not is_draft and "starts_at" not in self.request.POST:
            fixed |= {"starts_at"}
        data = batch_form.checked(self.request.POST, patch=True, fixed=fixed)
        return write.update(batch, parts(self.workspace, data, of=batch), self.principal.actor)


class BatchVersions(_Form):
    """A part of the form: the versions of the chosen agent, to be weighed against each other."""

    def get(self, request: HttpRequest) -> HttpResponse:
        agent_id = request.GET.get("agent_id", "")
        form = batch_form.typed(request.GET, {})
        context: dict[str, Any] = {"weights": batch_form.weights(form, self.versions(agent_id)), "form": form}
        return self.page("console/batch_versions_part.html", context)
