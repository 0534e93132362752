from django.urls import URLPattern, path

from voice.console import call, call_actions, calls, live, shared

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

urlpatterns: list[URLPattern] = [
    *_CALLS,
    path("", live.Live.as_view(), name="live"),
]
