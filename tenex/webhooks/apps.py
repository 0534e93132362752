from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "tenex.webhooks"
    label = "webhooks"
