"""`POST /v1/audio/speech` of the offline OpenAI server: a text as 24 kHz PCM, with the service's refusals."""

import orjson
from aiohttp import web

from voice.rehearsal.http_api import check_key
from voice.rehearsal.model.shapes import Refusal
from voice.rehearsal.model.state import MODEL
from voice.rehearsal.model.steps import Voice

MODELS = ("gpt-4o-mini-tts", "tts-1", "tts-1-hd")
VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer",
    "verse",
)  # fmt: skip
_KEYS = {"model", "input", "voice", "instructions", "response_format", "speed", "stream_format"}
_MAX_CHARS = 4096


def add_routes(app: web.Application, voice: Voice) -> None:
    async def speak(request: web.Request) -> web.Response:
        check_key(request, request.app[MODEL].options)
        wish = _checked(await request.read())
        sound = await voice.speak(wish, "audio/pcm")
        return web.Response(body=sound, content_type="audio/pcm")

    app.router.add_post("/v1/audio/speech", speak)


def _checked(body: bytes) -> str:
    """The text to be spoken.

    Raises:
        Refusal: the service would refuse it, too. Only `pcm` is rendered here.
    """
    try:
        wish = orjson.loads(body)
    except orjson.JSONDecodeError:
        wish = None
    if not isinstance(wish, dict):
        raise Refusal("We could not parse the JSON body of your request.")
    for key in wish:
        if key not in _KEYS:
            raise Refusal(f"Unknown parameter: '{key}'.", code="unknown_parameter", param=key)
    text, voice = wish.get("input"), wish.get("voice")
    if not isinstance(text, str) or not 0 < len(text) <= _MAX_CHARS:
        raise Refusal("Invalid 'input': a text of 1 to 4096 characters.", param="input")
    own = isinstance(voice, dict) and isinstance(voice.get("id"), str)
    if voice not in VOICES and not own:
        raise Refusal("Invalid 'voice'.", code="invalid_value", param="voice")
    if wish.get("model") not in MODELS:
        raise Refusal("The model does not exist.", code="model_not_found", param="model", status=404)
    if wish.get("response_format") != "pcm":
        raise Refusal("The rehearsal renders pcm only.", code="invalid_value", param="response_format")
    speed = wish.get("speed", 1.0)
    if not isinstance(speed, int | float) or not 0.25 <= speed <= 4.0:
        raise Refusal("Invalid 'speed': 0.25 to 4.", code="invalid_value", param="speed")
    return text
