"""The list of calls."""

from django.http import HttpRequest, HttpResponse, QueryDict

from tenex.errors import InvalidInput
from tenex.pages.forms import filled, problems
from tenex.pages.views import PageView
from tenex.rest import filters as strict
from tenex.rest.errors import QueryInvalid
from tenex.rest.pagination import Page, page
from voice.api.filters import CallFilters
from voice.models import Call, Direction, Outcome
from voice.selectors import agents as read_agents
from voice.selectors import calls as read


class CallList(PageView):
    """Filters as the API's list has them; what makes no sense is said above the list, which is then empty."""

    scope = "calls:read"
    nav = "calls"

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = filled(request.GET)
        context = {
            "asked": asked,
            "outcomes": Outcome.choices,
            "directions": Direction.choices,
            "agents": read_agents.agents(self.workspace)[:200],
        }
        try:
            found = self._page(asked)
        except (InvalidInput, QueryInvalid) as exc:
            return self.page("console/calls.html", {**context, "problems": problems(exc)}, status=422)
        return self.page(
            "console/calls.html", {**context, "calls": found.items, "next_cursor": found.next_cursor}
        )

    def _page(self, asked: QueryDict) -> Page[Call]:
        rows = strict.apply(CallFilters, asked, read.listed(self.workspace))
        q = asked.get("q", "").strip()
        return page(read.matching(rows, q) if q else rows, asked, bound_to=f"calls:{self.workspace.pk}")
