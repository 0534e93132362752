from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "tenex.events"
    label = "events"
