from django.urls import URLPattern, path

from crm.pages import bulk, connectors, imports, leads, meetings

urlpatterns: list[URLPattern] = [
    path("leads", leads.LeadList.as_view(), name="leads"),
    path("leads/new", leads.LeadNew.as_view(), name="lead_new"),
    path("leads/bulk", bulk.BulkLeads.as_view(), name="leads_bulk"),
    path("leads/segments", leads.SegmentOfFilters.as_view(), name="lead_segment"),
    path("leads/import", imports.ImportNew.as_view(), name="lead_import"),
    path("leads/import/columns", imports.ImportColumns.as_view(), name="lead_import_columns"),
    path("leads/imports/<uuid:import_id>", imports.ImportPage.as_view(), name="lead_import_page"),
    path("leads/imports/<uuid:import_id>/cancel", imports.ImportCancel.as_view(), name="lead_import_cancel"),
    path(
        "leads/imports/<uuid:import_id>/errors.csv",
        imports.ImportErrorsCsv.as_view(),
        name="lead_import_errors",
    ),
    path("leads/<uuid:lead_id>/edit", leads.LeadEdit.as_view(), name="lead_edit"),
    # --- calendars ---
    path("connectors", connectors.ConnectorList.as_view(), name="connectors"),
    path("connectors/new", connectors.ConnectorNew.as_view(), name="connector_new"),
    path("connectors/google/callback", connectors.GoogleCallback.as_view(), name="google_callback"),
    path("connectors/<uuid:connector_id>", connectors.ConnectorPage.as_view(), name="connector"),
    path(
        "connectors/<uuid:connector_id>/access",
        connectors.ConnectorAccess.as_view(),
        name="connector_access",
    ),
    path(
        "connectors/<uuid:connector_id>/choose",
        connectors.ConnectorChoice.as_view(),
        name="connector_choice",
    ),
    path("connectors/<uuid:connector_id>/test", connectors.ConnectorTest.as_view(), name="connector_test"),
    path(
        "connectors/<uuid:connector_id>/delete",
        connectors.ConnectorDelete.as_view(),
        name="connector_delete",
    ),
    path("connectors/<uuid:connector_id>/google", connectors.GoogleStart.as_view(), name="google_start"),
    path(
        "connectors/meetings/<uuid:meeting_id>/cancel",
        meetings.MeetingCancel.as_view(),
        name="meeting_cancel",
    ),
    path(
        "connectors/meetings/<uuid:meeting_id>/move",
        meetings.MeetingReschedule.as_view(),
        name="meeting_move",
    ),
]
