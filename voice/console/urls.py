from django.urls import URLPattern, path

from voice.console import calls, dashboard, live

urlpatterns: list[URLPattern] = [
    path("", live.Live.as_view(), name="live"),
    path("calls", calls.CallList.as_view(), name="calls"),
]
urlpatterns += [
    path("dashboard", dashboard.Dashboard.as_view(), name="dashboard"),
    path("dashboard/<slug:key>.csv", dashboard.DashboardCsv.as_view(), name="dashboard_csv"),
]
