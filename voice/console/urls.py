from django.urls import URLPattern, path

from voice.console import batch_edit, batches, calls, dashboard, leads, live

urlpatterns: list[URLPattern] = [
    path("", live.Live.as_view(), name="live"),
    path("calls", calls.CallList.as_view(), name="calls"),
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
