from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "tenex.webhooks"
    label = "webhooks"

    def ready(self) -> None:
        from tenex.events import services as events
        from tenex.lib.wake import wake
        from tenex.webhooks.services import secrets

        secrets.register()
        events.on_recorded(lambda: wake("tenex.webhooks.relay"))
