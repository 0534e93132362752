"""What people do with finished calls: correct a verdict, show a call to outsiders."""

import uuid
from typing import Any, ClassVar

from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import page
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView, created, no_content
from voice.api.outputs import VerdictOut
from voice.models import CallShare, Verdict
from voice.postcall import correction
from voice.selectors import call_page as read
from voice.selectors import calls as read_calls
from voice.services import shares

TAG = "Calls"


class CriterionIn(Input):
    """One criterion of the verdict, by its name."""

    name = f.CharField(max_length=200)
    met = f.BooleanField(allow_null=True, help_text="null: the call does not tell.")


class VerdictIn(Input):
    """What the verdict should have said."""

    qualification = f.ChoiceField(choices=list(correction.QUALIFICATIONS))
    criteria = CriterionIn(many=True, required=False, help_text="Those that change; others stay.")
    reason = f.CharField(max_length=correction.REASON_CHARS, help_text="Why: kept with the correction.")


class ShareIn(Input):
    """A link that shows a call."""

    hours = f.IntegerField(min_value=1, max_value=shares.HOURS_MOST, help_text="How long it is good.")
    with_audio = f.BooleanField(
        required=False, default=False, help_text="It plays the recording, too; needs `recordings:read`."
    )


class ShareOut(Output):
    """A link that shows a call to whoever has it."""

    id = f.UUIDField()
    call_id = f.UUIDField()
    with_audio = f.BooleanField()
    created_at = f.DateTimeField()
    created_by = f.CharField()
    expires_at = f.DateTimeField()
    revoked_at = f.DateTimeField(allow_null=True)
    opened = f.IntegerField(help_text="How often its page was opened.")
    last_opened_at = f.DateTimeField(allow_null=True)


class NewShareOut(ShareOut):
    """A link with its address, which is told this one time."""

    url = f.SerializerMethodField()

    def get_url(self, share: CallShare) -> str:
        return shares.url(self.context["token"])


class CallVerdict(ApiView):
    scopes: ClassVar = {"POST": "verdicts:write"}

    @operation(
        "verdicts_correct",
        "Correct a verdict",
        "A person's word in place of the model's: the call's outcome, its lead and `verdict.corrected` "
        "follow, the original is kept. Without a change it is a confirmation, and `needs_review` is off.",
        tag=TAG,
        request=VerdictIn,
        response=VerdictOut,
        errors=(404, 409),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, call_id: uuid.UUID) -> Response:
        sent: dict[str, Any] = self.body(VerdictIn)
        call = read_calls.bare(self.workspace, call_id)
        correction.correct(
            call.pk,
            qualification=sent["qualification"],
            met={one["name"]: one["met"] for one in sent.get("criteria", [])},
            reason=sent["reason"],
            actor=self.principal.actor,
        )
        verdict: Verdict | None = read_calls.one(self.workspace, call_id).verdict
        return Response(VerdictOut(verdict).data)


class CallShareList(ApiView):
    scopes: ClassVar = {"GET": "calls:share", "POST": "calls:share"}

    @operation(
        "shares_list",
        "List links",
        "Links that show this call, the newest first, also those that are void.",
        tag=TAG,
        response=page_of(ShareOut),
        parameters=PAGE,
        errors=(404,),
    )
    def get(self, request: Request, call_id: uuid.UUID) -> Response:
        self.known_query(("limit", "cursor"))
        call = read_calls.bare(self.workspace, call_id)
        found = page(read.shares(call), self.query, bound_to=f"shares:{call.pk}")
        return Response(found.as_json(ShareOut))

    @operation(
        "shares_create",
        "Share a call by a link",
        "Whoever has the link sees the words and the verdict without signing in, and nothing else of the "
        "workspace. It ends with its hours, when it is revoked, or with the rights of who made it.",
        tag=TAG,
        request=ShareIn,
        response=NewShareOut,
        status=201,
        errors=(404, 409),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, call_id: uuid.UUID) -> Response:
        sent = self.body(ShareIn)
        call = read_calls.bare(self.workspace, call_id)
        share, token = shares.create(call, self.principal, hours=sent["hours"], with_audio=sent["with_audio"])
        return created(NewShareOut(share, context={"token": token}).data)


class CallShareDetail(ApiView):
    scopes: ClassVar = {"DELETE": "calls:share"}

    @operation(
        "shares_revoke",
        "Revoke a link",
        "It is void from now on, and says so to whoever opens it. Doing it twice changes nothing.",
        tag=TAG,
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, call_id: uuid.UUID, share_id: uuid.UUID) -> Response:
        shares.revoke(read.share(self.workspace, call_id, share_id), self.principal.actor)
        return no_content()
