"""Routes under /api/v1/crm."""

from django.urls import URLPattern, path

from crm.api import (
    bulk,
    consents,
    custom_fields,
    export,
    imports,
    leads,
    organizations,
    segments,
    suppressions,
)

urlpatterns: list[URLPattern] = [
    path("leads", leads.LeadList.as_view()),
    path("leads/bulk", bulk.LeadBulk.as_view()),
    path("leads/export", export.LeadExport.as_view()),
    path("leads/imports", imports.ImportList.as_view()),
    path("leads/imports/<uuid:import_id>", imports.ImportDetail.as_view()),
    path("leads/imports/<uuid:import_id>/cancel", imports.ImportCancel.as_view()),
    path("leads/imports/<uuid:import_id>/errors", imports.ImportErrors.as_view()),
    path("leads/<uuid:lead_id>", leads.LeadDetail.as_view()),
    path("leads/<uuid:lead_id>/consents", consents.LeadConsents.as_view()),
    path("leads/<uuid:lead_id>/consents/<uuid:consent_id>/revoke", consents.ConsentRevocation.as_view()),
    path("leads/<uuid:lead_id>/timeline", leads.LeadTimeline.as_view()),
    path("leads/<uuid:lead_id>/unarchive", leads.LeadUnarchive.as_view()),
    path("custom-fields", custom_fields.CustomFieldList.as_view()),
    path("custom-fields/<uuid:field_id>", custom_fields.CustomFieldDetail.as_view()),
    path("organizations", organizations.OrganizationList.as_view()),
    path("organizations/<uuid:organization_id>", organizations.OrganizationDetail.as_view()),
    path("segments", segments.SegmentList.as_view()),
    path("segments/<uuid:segment_id>", segments.SegmentDetail.as_view()),
    path("segments/<uuid:segment_id>/leads", segments.SegmentLeads.as_view()),
    path("segments/<uuid:segment_id>/leads/remove", segments.SegmentRemoval.as_view()),
    path("suppressions", suppressions.SuppressionList.as_view()),
]
