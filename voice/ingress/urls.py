"""Twilio's addresses, under /twilio/. A test holds them together with voice.telephony.addresses."""

from django.urls import path

from voice.ingress import callbacks, voice

app_name = "ingress"
urlpatterns = [
    path("voice", voice.incoming, name="voice"),
    path("outbound/<uuid:attempt_id>", voice.answered, name="answer"),
    path("resume/<uuid:call_id>", voice.resume, name="resume"),
    path("dial/<uuid:call_id>", voice.dialed, name="after_dial"),
    path("fallback", voice.fallback, name="fallback"),
    path("status", callbacks.number_status, name="number_status"),
    path("status/<uuid:attempt_id>", callbacks.attempt_status, name="attempt_status"),
    path("amd/<uuid:attempt_id>", callbacks.answered_by, name="answered_by"),
    path("recording/<uuid:call_id>", callbacks.recording, name="recording"),
    path("stream/<uuid:call_id>", callbacks.stream, name="stream_status"),
]
