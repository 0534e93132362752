from django.urls import URLPattern, path

from voice.console import calls, dashboard, leads, live

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
]
