"""Calls in progress."""

from django.http import HttpRequest, HttpResponse

from tenex.pages.views import PageView
from voice.selectors import calls as read


class Live(PageView):
    scope = "calls:read"
    nav = "live"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page("console/live.html", {"calls": read.live(self.workspace)})
