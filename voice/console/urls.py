from django.urls import URLPattern, path

from voice.console import calls, live

urlpatterns: list[URLPattern] = [
    path("", live.Live.as_view(), name="live"),
    path("calls", calls.CallList.as_view(), name="calls"),
]
