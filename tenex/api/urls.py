"""Routes of the platform under /api/v1: users, keys, webhooks, settings."""

from django.urls import URLPattern, path

from tenex.api import keys, login, webhook_deliveries, webhooks, workspace_settings

urlpatterns: list[URLPattern] = [
    path("users/login", login.Login.as_view()),
    path("admin/api-keys", keys.ApiKeyList.as_view()),
    path("admin/api-keys/<str:key>", keys.ApiKeyDetail.as_view()),
    path("voice/webhooks", webhooks.WebhookList.as_view()),
    path("voice/webhooks/<uuid:webhook_id>", webhooks.WebhookDetail.as_view()),
    path("voice/webhooks/workspace-secret/rotate", webhooks.WorkspaceSecretRotation.as_view()),
    path("voice/webhooks/<uuid:webhook_id>/rotate-secret", webhooks.WebhookRotation.as_view()),
    path("voice/webhooks/<uuid:webhook_id>/test", webhook_deliveries.WebhookTest.as_view()),
    path("voice/webhooks/<uuid:webhook_id>/deliveries", webhook_deliveries.WebhookDeliveries.as_view()),
    path(
        "voice/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>",
        webhook_deliveries.WebhookDelivery.as_view(),
    ),
    path(
        "voice/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/replay",
        webhook_deliveries.WebhookDeliveryReplay.as_view(),
    ),
    path("voice/webhooks/<uuid:webhook_id>/replay", webhook_deliveries.WebhookReplay.as_view()),
    path("voice/webhooks/<uuid:webhook_id>/replays", webhook_deliveries.WebhookReplays.as_view()),
    path(
        "voice/webhooks/<uuid:webhook_id>/replays/<uuid:replay_id>",
        webhook_deliveries.WebhookReplayDetail.as_view(),
    ),
    path("voice/settings", workspace_settings.Settings.as_view()),
]
