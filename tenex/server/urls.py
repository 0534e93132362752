"""Routes of the health checks, below /healthz/."""

from django.urls import path

from tenex.server import views

urlpatterns = [
    path("live", views.live, name="healthz-live"),
    path("ready", views.ready, name="healthz-ready"),
]
