"""Routes of the health checks and of what monitoring reads, below /healthz/."""

from django.urls import path

from tenex.monitoring import doors
from tenex.server import views

urlpatterns = [
    path("live", views.live, name="healthz-live"),
    path("ready", views.ready, name="healthz-ready"),
    path("metrics", doors.of_process, name="healthz-metrics"),
    path("metrics/system", doors.of_installation, name="healthz-metrics-system"),
]
