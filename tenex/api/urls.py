"""Routes of the platform under /api/v1: users, keys, webhooks, settings."""

from django.urls import URLPattern, path

from tenex.api import event_stream, keys, login, webhooks, workspace_settings

urlpatterns: list[URLPattern] = [
    path("users/login", login.Login.as_view()),
    path("admin/api-keys", keys.ApiKeyList.as_view()),
    path("admin/api-keys/<str:key>", keys.ApiKeyDetail.as_view()),
    path("voice/stream", event_stream.workspace_stream),
    path("voice/stream-token", event_stream.EventStreamToken.as_view()),
    path("voice/webhooks", webhooks.WebhookList.as_view()),
    path("voice/webhooks/<uuid:webhook_id>", webhooks.WebhookDetail.as_view()),
    path("voice/webhooks/<uuid:webhook_id>/deliveries", webhooks.WebhookDeliveries.as_view()),
    path("voice/settings", workspace_settings.Settings.as_view()),
]
