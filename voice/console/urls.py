from django.urls import URLPattern, path

from voice.console import batch_edit, batches, call, call_actions, calls, dashboard, leads, live, shared

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
urlpatterns += [
    path("dashboard", dashboard.Dashboard.as_view(), name="dashboard"),
    path("dashboard/<slug:key>.csv", dashboard.DashboardCsv.as_view(), name="dashboard_csv"),
    path("leads/<uuid:lead_id>", leads.LeadPage.as_view(), name="lead"),
    path("leads/<uuid:lead_id>/call", leads.CallNow.as_view(), name="lead_call"),
    path("leads/<uuid:lead_id>/notes", leads.AddNote.as_view(), name="lead_note"),
    path("leads/<uuid:lead_id>/consents", leads.AddConsent.as_view(), name="lead_consent"),
    path(
        "leads/<uuid:lead_id>/consents/<uuid:consent_id>/revoke",
        leads.RevokeConsent.as_view(),
        name="lead_consent_revoke",
    ),
    path("leads/<uuid:lead_id>/do-not-call", leads.DoNotCall.as_view(), name="lead_do_not_call"),
    path("leads/<uuid:lead_id>/archive", leads.Archive.as_view(), name="lead_archive"),
    path("leads/<uuid:lead_id>/unarchive", leads.Unarchive.as_view(), name="lead_unarchive"),
    path("batches", batches.BatchList.as_view(), name="batches"),
    path("batches/new", batch_edit.BatchNew.as_view(), name="batch_new"),
    path("batches/versions", batch_edit.BatchVersions.as_view(), name="batch_versions"),
    path("batches/calling", batches.CallingPaused.as_view(), name="calling_paused"),
    path("batches/<uuid:batch_id>", batches.BatchPage.as_view(), name="batch"),
    path("batches/<uuid:batch_id>/edit", batch_edit.BatchEdit.as_view(), name="batch_edit"),
    path("batches/<uuid:batch_id>/preview", batches.BatchPreview.as_view(), name="batch_preview"),
    path("batches/<uuid:batch_id>/prospects", batches.BatchProspects.as_view(), name="batch_prospects"),
    path("batches/<uuid:batch_id>/results.csv", batches.BatchResults.as_view(), name="batch_results"),
    path("batches/<uuid:batch_id>/start", batches.BatchStart.as_view(), name="batch_start"),
    path("batches/<uuid:batch_id>/pause", batches.BatchPause.as_view(), name="batch_pause"),
    path("batches/<uuid:batch_id>/resume", batches.BatchResume.as_view(), name="batch_resume"),
    path("batches/<uuid:batch_id>/cancel", batches.BatchCancel.as_view(), name="batch_cancel"),
    path(
        "batches/<uuid:batch_id>/recipients/<uuid:recipient_id>/withdraw",
        batches.RecipientOut.as_view(),
        name="recipient_out",
    ),
]
