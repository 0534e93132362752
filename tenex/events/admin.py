from django.contrib import admin
from django.utils.safestring import SafeString

from tenex.adminsite import Evidence, in_words
from tenex.events.models import Event


@admin.register(Event)
class EventAdmin(Evidence):
    resource = "calls"
    list_display = ("occurred_at", "type", "workspace", "seq", "call_id", "relayed_at")
    list_filter = ("type", "workspace")
    search_fields = ("id", "call_id")
    date_hierarchy = "occurred_at"
    list_select_related = ("workspace",)
    fields = ("id", "workspace", "seq", "type", "call_id", "occurred_at", "relayed_at", "content")
    readonly_fields = ("content",)

    @admin.display(description="data")
    def content(self, event: Event) -> SafeString:
        return in_words(event.data)
