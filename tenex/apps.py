from django.apps import AppConfig


class TenexConfig(AppConfig):
    name = "tenex"
    label = "tenex"
    verbose_name = "Tenex"

    def ready(self) -> None:
        from tenex import celery  # noqa: F401 - the app that wake-ups are sent through
