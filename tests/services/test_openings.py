"""What an outbound call says of its own accord: words by language, sound by voice, ready before the dial."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from tenex.workspaces.models import RecordingConsent
from tests import rows
from voice.models import Batch, Call, CallEvent, CallStatus, Direction, VoiceProfile
from voice.opening import sound
from voice.opening.wording import LANGUAGES, Wish, compose
from voice.services import openings


@pytest.fixture
def endpoint(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """A speech endpoint; what it was asked. `refuse` in the words is answered with 500."""
    asked: list[dict[str, Any]] = []

    class Door(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            wish = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(wish | {"path": self.path})
            refused = "refuse" in wish["input"]
            body = b"{}" if refused else b"\x00\x10" * 24 * 500
            self.send_response(500 if refused else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings.OPENAI_BASE_URL = f"http://127.0.0.1:{server.server_port}/v1"
    settings.OPENAI_API_KEY = "sk-test"
    settings.SPEECH_MODEL = "gpt-4o-mini-tts"
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }
    sound._kept.clear()
    sound._quiet_until.clear()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
        sound._kept.clear()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("recording", ["off", "announce", "explicit"])
def test_every_language_has_every_line(language: str, recording: Any) -> None:
    wording = compose(Wish("Acme Inc.", language, "marketing", recording, voicemail=""))
    assert list(wording.opening) == ["identity", "purpose", *(["recording"] if recording != "off" else [])]
    assert set(wording.others) == {"screening", "opted_out", "voicemail"}
    assert all("{" not in text and text.strip() for text in wording.all.values())
    identity = wording.opening["identity"]
    name_at, nine_at = identity.index("Acme Inc"), identity.index("9")
    assert name_at < nine_at
    assert len(identity[name_at:nine_at]) < 95  # seconds, not sentences
    assert compose(Wish("Acme", language, "informational")).opening["purpose"] != wording.opening["purpose"]
    assert all(len(text) < 220 for name, text in wording.all.items() if name != "voicemail")


def test_other_languages_get_english_and_names_get_no_braces() -> None:
    wording = compose(Wish("{purpose} & Söhne\n GmbH.", "sv-SE"))
    assert wording.language == "en"
    assert "this is {purpose} & Söhne GmbH." in wording.opening["identity"]


def test_a_message_says_who_called_and_how_to_stop_it() -> None:
    text = compose(Wish("Acme", "en", voicemail="Your order is ready.")).others["voicemail"]
    assert text.index("from Acme") < text.index("Your order is ready.") < text.index("say stop")


@pytest.mark.django_db
def test_it_is_made_before_the_dial_in_the_agents_voice_and_only_once(endpoint: list[dict[str, Any]]) -> None:
    call = _call(language="de", recording_consent=RecordingConsent.ANNOUNCE, legal_name="Acme AG")
    prepared = openings.load(call)
    assert prepared is not None
    assert [line.name for line in prepared.script.opening] == ["identity", "purpose", "recording"]
    assert prepared.script.opening[0].text.startswith("Guten Tag, hier ist Acme AG.")
    assert 600 < prepared.script.opening[0].ms < 640
    assert (prepared.script.language, prepared.script.recording) == ("de", "announce")
    assert {wish["voice"] for wish in endpoint} == {"marin"}
    assert all("German" in wish["instructions"] for wish in endpoint)
    before = len(endpoint)
    sound._kept.clear()  # another process
    assert openings.load(call) == prepared
    assert len(endpoint) == before


@pytest.mark.django_db
def test_without_a_voice_for_the_language_all_of_it_is_english(
    endpoint: list[dict[str, Any]], settings: Settings
) -> None:
    settings.SPEECH_MODEL = ""
    prepared = openings.load(_call(language="fr"))
    assert prepared is not None
    assert prepared.script.language == "en"
    assert all(line.ms > 500 for line in prepared.script.opening)
    assert endpoint == []


@pytest.mark.django_db
def test_an_endpoint_that_fails_leaves_the_packaged_voice(endpoint: list[dict[str, Any]]) -> None:
    call = _call(language="en", legal_name="refuse & co")
    prepared = openings.load(call)
    assert prepared is not None
    assert prepared.script.opening[0].ms > 1000
    assert len({wish["input"] for wish in endpoint}) == 1  # and is not asked again for every line
    sound._quiet_until.clear()
    before = len(endpoint)
    assert openings.load(call) == prepared  # a call that is answered waits for nobody
    assert len(endpoint) == before


@pytest.mark.django_db
def test_the_batch_says_what_for_and_what_machines_get(endpoint: list[dict[str, Any]]) -> None:
    call = _call(language="en")
    assert call.agent_version is not None
    assert call.number is not None
    call.batch = Batch.objects.create(
        workspace=call.workspace,
        objective="x",
        agent=call.agent_version.agent,
        number=call.number,
        purpose="informational",
        voicemail_policy="leave_message",
        voicemail_message="Your order is ready.",
    )
    prepared = openings.load(call)
    assert prepared is not None
    assert prepared.script.voicemail is not None
    assert "Your order is ready." in prepared.script.voicemail.text
    assert "informational" in prepared.script.opening[1].text


@pytest.mark.django_db
def test_a_call_that_was_opened_is_not_opened_again_and_incoming_ones_never(
    endpoint: list[dict[str, Any]],
) -> None:
    call = _call(language="en")
    CallEvent.objects.create(call=call, seq=1000, at_ms=0, type="call.opening", data={})
    prepared = openings.load(call)
    assert prepared is not None
    assert prepared.script.opened
    call.direction = Direction.INBOUND
    assert openings.load(call) is None


def _call(*, language: str, **workspace: Any) -> Call:
    space = rows.workspace("acme", **workspace)
    version = rows.version(space)
    VoiceProfile.objects.filter(pk=version.agent.profile_id).update(language=language)
    made = rows.call(
        space,
        agent=version,
        direction=Direction.OUTBOUND,
        status=CallStatus.RINGING,
        answered_at=None,
        from_number="+14155550100",
        to_number="+14155550101",
    )
    return Call.objects.select_related("workspace", "batch", "number", "agent_version__agent__profile").get(
        pk=made.pk
    )
