"""Composition root of HTTP."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView

from tenex.api import docs
from tenex.rest import errors

admin.autodiscover()

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(url="/console/")),
    path("docs", docs.docs),
    path("openapi.json", docs.openapi),
    path("api/v1/voice/", include("voice.api.urls")),
    path("api/v1/crm/", include("crm.api.urls")),
    path("api/v1/knowledge/", include("crm.api.knowledge_urls")),
    path("api/v1/", include("crm.api.connector_urls")),
    path("api/v1/", include("tenex.api.urls")),
    re_path(r"^api(?:/|$)", errors.django_not_found),  # also with a line break in the address
    path("console/", include("tenex.pages.urls")),
    path("console/", include("voice.console.urls")),
    path("console/", include("crm.pages.urls")),
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),
    path("admin/", admin.site.urls),
    path("healthz/", include("tenex.server.urls")),
    path("twilio/", include("voice.ingress.urls")),
]
handler400 = errors.django_bad_request
handler404 = errors.django_not_found
handler500 = errors.django_failed
