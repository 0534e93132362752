from django.urls import URLPattern, path

from crm.pages import imports, knowledge, leads

urlpatterns: list[URLPattern] = [
    path("leads", leads.LeadList.as_view(), name="leads"),
    path("leads/new", leads.LeadNew.as_view(), name="lead_new"),
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
