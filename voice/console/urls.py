from django.urls import URLPattern, path

from voice.console import (
    agent_text,
    agent_versions,
    agents,
    batch_edit,
    batches,
    call,
    call_actions,
    calls,
    credentials,
    dashboard,
    holds,
    leads,
    live,
    persons,
    recordings,
    samples,
    shared,
    start,
    talk,
)

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

_CREDENTIALS: list[URLPattern] = [
    path("credentials", credentials.Credentials.as_view(), name="credentials"),
    path("credentials/<str:kind>", credentials.CredentialSet.as_view(), name="credential_set"),
    path("credentials/<str:kind>/check", credentials.CredentialCheck.as_view(), name="credential_check"),
    path("credentials/<str:kind>/forget", credentials.CredentialRemove.as_view(), name="credential_remove"),
]

urlpatterns: list[URLPattern] = [
    *_CALLS,
    *_CREDENTIALS,
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

urlpatterns += [
    path("agents", agents.AgentList.as_view(), name="agents"),
    path("agents/new", agents.NewAgent.as_view(), name="agent_new"),
    path("agents/<uuid:agent_id>", agent_text.AgentPage.as_view(), name="agent"),
    path("agents/<uuid:agent_id>/preview", agent_text.AgentPreview.as_view(), name="agent_preview"),
    path("agents/<uuid:agent_id>/settings", agents.AgentSettings.as_view(), name="agent_settings"),
    path("agents/<uuid:agent_id>/publish", agent_versions.AgentPublish.as_view(), name="agent_publish"),
    path("agents/<uuid:agent_id>/versions", agent_versions.AgentVersions.as_view(), name="agent_versions"),
    path("agents/<uuid:agent_id>/compare", agent_versions.AgentCompare.as_view(), name="agent_compare"),
    path(
        "agents/<uuid:agent_id>/versions/<int:number>/restore",
        agent_versions.AgentRestore.as_view(),
        name="agent_restore",
    ),
    *(
        path(f"agents/<uuid:agent_id>/{act}", agents.AgentAction.as_view(), {"act": act}, name=f"agent_{act}")
        for act in ("duplicate", "archive")
    ),
]

urlpatterns += [
    path("setup", start.SetUp.as_view(), name="setup"),
    path("voices/<uuid:profile_id>/sample.wav", samples.voice_sample, name="voice_sample"),
    path("start", start.Start.as_view(), name="start"),
    path("start/number", start.StartNumber.as_view(), name="start_number"),
    path("start/ring", start.StartRing.as_view(), name="start_ring"),
    path("start/demo/remove", start.StartDemo.as_view(), name="start_demo_remove"),
]

# What is kept of calls and persons.
urlpatterns += [
    path("recordings", recordings.RecordingsPage.as_view(), name="recordings"),
    path("recordings/<uuid:recording_id>/again", recordings.TryAgain.as_view(), name="recording_again"),
    path("recordings/<uuid:recording_id>/accept", recordings.Accept.as_view(), name="recording_accept"),
    path("calls/<uuid:call_id>/hold", holds.HoldCall.as_view(), name="hold_call"),
    path("leads/<uuid:lead_id>/hold", holds.HoldLead.as_view(), name="hold_lead"),
    path("holds/<uuid:hold_id>/release", holds.HoldRelease.as_view(), name="hold_release"),
    *(
        path(f"{place}/person{suffix}", view.as_view(), name=f"person_of_{kind}{name}")
        for kind, place in (("lead", "leads/<uuid:lead_id>"), ("call", "calls/<uuid:call_id>"))
        for suffix, view, name in (
            ("", persons.PersonPage, ""),
            ("/export", persons.PersonExport, "_export"),
            ("/erase", persons.PersonErase, "_erase"),
        )
    ),
]
