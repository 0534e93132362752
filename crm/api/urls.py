"""Routes under /api/v1/crm."""

from django.urls import URLPattern, path

from crm.api import leads

urlpatterns: list[URLPattern] = [
    path("leads", leads.LeadList.as_view()),
    path("leads/<uuid:lead_id>", leads.LeadDetail.as_view()),
    path("leads/<uuid:lead_id>/timeline", leads.LeadTimeline.as_view()),
    path("suppressions", leads.SuppressionList.as_view()),
]
