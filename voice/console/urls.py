from django.urls import URLPattern, path

from voice.console import calls, live, talk

urlpatterns: list[URLPattern] = [
    path("calls", calls.CallList.as_view(), name="calls"),
]

urlpatterns += [
    path("", live.Live.as_view(), name="live"),
    path("live/<uuid:call_id>", live.LiveCall.as_view(), name="live_call"),
    path("live/<uuid:call_id>/whisper", live.Whisper.as_view(), name="live_whisper"),
    path("live/<uuid:call_id>/say", live.Say.as_view(), name="live_say"),
    path("live/<uuid:call_id>/mute", live.Mute.as_view(), name="live_mute"),
    path("live/<uuid:call_id>/unmute", live.Unmute.as_view(), name="live_unmute"),
    path("live/<uuid:call_id>/transfer", live.Transfer.as_view(), name="live_transfer"),
    path("live/<uuid:call_id>/hangup", live.HangUp.as_view(), name="live_hangup"),
    path("agents/<uuid:agent_id>/talk", talk.Talk.as_view(), name="agent_talk"),
    path("agents/<uuid:agent_id>/talk/<uuid:call_id>/type", talk.TypeText.as_view(), name="agent_type"),
]
