from django.urls import URLPattern, path

from crm.pages import bulk, connectors, imports, knowledge, leads, meetings

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

urlpatterns += [
    path("knowledge", knowledge.DocumentList.as_view(), name="knowledge"),
    path("knowledge/new", knowledge.DocumentNew.as_view(), name="knowledge_new"),
    path("knowledge/search", knowledge.Search.as_view(), name="knowledge_search"),
    path("knowledge/chunks/<uuid:chunk_id>", knowledge.ChunkPlace.as_view(), name="chunk"),
    path("knowledge/<uuid:document_id>", knowledge.DocumentPage.as_view(), name="document"),
    path("knowledge/<uuid:document_id>/edit", knowledge.DocumentEdit.as_view(), name="document_edit"),
    path("knowledge/<uuid:document_id>/file", knowledge.DocumentFile.as_view(), name="document_file"),
    path(
        "knowledge/<uuid:document_id>/reingest",
        knowledge.DocumentReingest.as_view(),
        name="document_reingest",
    ),
    path("knowledge/<uuid:document_id>/delete", knowledge.DocumentDelete.as_view(), name="document_delete"),
    path(
        "knowledge/<uuid:document_id>/versions/<int:number>/source",
        knowledge.VersionSource.as_view(),
        name="document_source",
    ),
    path(
        "knowledge/<uuid:document_id>/chunks/<uuid:chunk_id>/<slug:act>",
        knowledge.ChunkAct.as_view(),
        name="chunk_act",
    ),
]
