from django.urls import URLPattern, path

from voice.console import call, call_actions, calls, live, shared, talk

_CALLS: list[URLPattern] = [
    path("calls", calls.CallList.as_view(), name="calls"),
    path("calls.csv", calls.CallExport.as_view(), name="calls_csv"),
    path("calls/<uuid:call_id>", call.CallPage.as_view(), name="call"),
    path("calls/<uuid:call_id>/state", call.CallState.as_view(), name="call_state"),
    path("calls/<uuid:call_id>/peaks", call.CallPeaks.as_view(), name="call_peaks"),
    path("calls/<uuid:call_id>/recording", call.CallRecordingLink.as_view(), name="call_recording"),
    path("calls/<uuid:call_id>/transcript.txt", call.CallTranscript.as_view(), {"form": "txt"}, "call_txt"),
    path("calls/<uuid:call_id>/transcript.vtt", call.CallTranscript.as_view(), {"form": "vtt"}, "call_vtt"),
    path("calls/<uuid:call_id>/journal", call.CallJournal.as_view(), name="call_journal"),
    path("calls/<uuid:call_id>/verdict", call_actions.CallVerdict.as_view(), name="call_verdict"),
    path("calls/<uuid:call_id>/shares", call_actions.CallShares.as_view(), name="call_shares"),
    path(
        "calls/<uuid:call_id>/shares/<uuid:share_id>/revoke",
        call_actions.CallShareRevoke.as_view(),
        name="call_share_revoke",
    ),
    path(
        "calls/<uuid:call_id>/recording/delete",
        call_actions.CallRecordingDelete.as_view(),
        name="call_recording_delete",
    ),
    path("shared/<str:token>", shared.SharedCall.as_view(), name="shared_call"),
    path("shared/<str:token>/peaks", shared.SharedPeaks.as_view(), name="shared_peaks"),
    path("shared/<str:token>/recording", shared.SharedRecordingLink.as_view(), name="shared_recording"),
]

urlpatterns: list[URLPattern] = [*_CALLS]

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
