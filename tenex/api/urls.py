"""Routes of the platform under /api/v1: users, keys, webhooks, settings."""

from django.urls import URLPattern, path

from tenex.api import (
    event_stream,
    keys,
    login,
    members,
    users,
    webhook_deliveries,
    webhooks,
    workspace_settings,
)

urlpatterns: list[URLPattern] = [
    path("users/login", login.Login.as_view()),
    path("users/me", users.Me.as_view()),
    path("users/me/password", users.MyPassword.as_view()),
    path("users", members.MemberList.as_view()),
    path("users/invitations", members.InvitationList.as_view()),
    path("users/invitations/accept", members.InvitationAccept.as_view()),
    path("users/invitations/<uuid:invitation_id>", members.InvitationDetail.as_view()),
    path("users/<uuid:user_id>", members.MemberDetail.as_view()),
    path("admin/api-keys", keys.ApiKeyList.as_view()),
    path("admin/api-keys/<str:key>", keys.ApiKeyDetail.as_view()),
    path("voice/stream", event_stream.workspace_stream),
    path("voice/stream-token", event_stream.EventStreamToken.as_view()),
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
