"""The sound of a voice profile, for the player on its page."""

import asyncio
import uuid

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from tenex.errors import Forbidden, TenexError
from tenex.pages.views import membership_of
from tenex.workspaces.models import User
from tenex.workspaces.services import people
from voice.selectors import agents as read
from voice.services import voice_samples


@require_GET
async def voice_sample(request: HttpRequest, profile_id: uuid.UUID) -> HttpResponse:
    """Made in a thread of its own: the first rendering takes seconds, in which other pages are answered."""
    try:
        sample = await sync_to_async(_asked)(request, profile_id)
        body = await asyncio.to_thread(voice_samples.wav, sample)
    except TenexError as exc:
        return HttpResponse(exc.detail, status=exc.status, content_type="text/plain")
    return HttpResponse(body, content_type="audio/wav", headers={"Cache-Control": "private, max-age=60"})


def _asked(request: HttpRequest, profile_id: uuid.UUID) -> voice_samples.Sample:
    """
    Raises:
        Forbidden: nobody is signed in, or they may not see agents.
        NotFound: no such profile in their workspace.
    """
    if not isinstance(request.user, User) or not request.user.is_active:
        raise Forbidden("sign in first")
    by = people.principal(membership_of(request, request.user))
    if not by.allows("agents:read"):
        raise Forbidden("your role does not allow this (agents:read)")
    return voice_samples.of(by.workspace, read.profile(by.workspace, profile_id))
