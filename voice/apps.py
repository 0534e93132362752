from django.apps import AppConfig


class VoiceConfig(AppConfig):
    name = "voice"
    verbose_name = "Voice"

    def ready(self) -> None:
        from django.conf import settings

        from tenex.lib import failpoint

        failpoint.arm(settings.FAILPOINT)

        from crm.services import suppressions
        from voice.services import stopping

        suppressions.on_stop(stopping.stop_calls)
