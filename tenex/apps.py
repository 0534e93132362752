from django.apps import AppConfig


class TenexConfig(AppConfig):
    name = "tenex"
    label = "tenex"
    verbose_name = "Tenex"
