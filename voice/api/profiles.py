"""Voice profiles."""

import uuid
from typing import ClassVar

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.views import ApiView, created, no_content
from voice.api.agent_inputs import ProfileIn, ProfilePatchIn
from voice.api.agent_outputs import ProfileOptionsOut, ProfileOut
from voice.selectors import agents as read
from voice.services import profiles as write
from voice.wire import realtime_models

TAG = "Voice profiles"


class ProfileList(ApiView):
    scopes: ClassVar = {"GET": "agents:read", "POST": "agents:write"}

    @operation(
        "profiles_list",
        "List voice profiles",
        "Voice profiles, the newest first.",
        tag=TAG,
        response=page_of(ProfileOut),
        parameters=PAGE,
    )
    def get(self, request: Request) -> Response:
        self.known_query(PAGE_PARAMETERS)
        found = page(read.profiles(self.workspace), self.query, bound_to=f"profiles:{self.workspace.pk}")
        return Response(found.as_json(ProfileOut))

    @operation(
        "profiles_create",
        "Create a voice profile",
        "What is not given is a value that works well on the phone.",
        tag=TAG,
        request=ProfileIn,
        response=ProfileOut,
        status=201,
        errors=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        profile = write.create(self.workspace, self.body(ProfileIn), self.principal.actor)
        return created(ProfileOut(profile).data)


class ProfileOptions(ApiView):
    scopes: ClassVar = {"GET": "agents:read"}

    @operation(
        "profiles_options",
        "What profiles may name",
        "Voices, speech models and transcription models, and what each of them takes.",
        tag=TAG,
        response=ProfileOptionsOut,
    )
    def get(self, request: Request) -> Response:
        self.known_query()
        known = {
            "default_model": settings.REALTIME_MODEL,
            "default_transcription_model": settings.TRANSCRIPTION_MODEL,
            "voices": realtime_models.VOICES,
            "models": realtime_models.MODELS,
            "transcription_models": realtime_models.TRANSCRIBERS,
        }
        return Response(ProfileOptionsOut(known).data)


class ProfileDetail(ApiView):
    scopes: ClassVar = {"GET": "agents:read", "PATCH": "agents:write", "DELETE": "agents:write"}

    @operation(
        "profiles_get",
        "Get a voice profile",
        "One voice profile.",
        tag=TAG,
        response=ProfileOut,
        errors=(404,),
    )
    def get(self, request: Request, profile_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(ProfileOut(read.profile(self.workspace, profile_id)).data)

    @operation(
        "profiles_update",
        "Change a voice profile",
        "Holds from the next call on.",
        tag=TAG,
        request=ProfilePatchIn,
        response=ProfileOut,
        errors=(404, 409),
    )
    def patch(self, request: Request, profile_id: uuid.UUID) -> Response:
        profile = read.profile(self.workspace, profile_id)
        changed = write.update(profile, self.body(ProfilePatchIn), self.principal.actor)
        return Response(ProfileOut(changed).data)

    @operation(
        "profiles_delete",
        "Delete a voice profile",
        "Only one that no agent uses (409 `profile_in_use`).",
        tag=TAG,
        status=204,
        errors=(404, 409),
    )
    def delete(self, request: Request, profile_id: uuid.UUID) -> Response:
        write.delete(read.profile(self.workspace, profile_id), self.principal.actor)
        return no_content()
