from django.urls import URLPattern, path

from crm.pages import bulk, imports, leads

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
]
