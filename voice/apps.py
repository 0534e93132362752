from django.apps import AppConfig


class VoiceConfig(AppConfig):
    name = "voice"
    verbose_name = "Voice"

    def ready(self) -> None:
        from django.conf import settings

        from tenex.lib import failpoint

        failpoint.arm(settings.FAILPOINT)

        from crm.knowledge.embedding import engines
        from crm.services import suppressions
        from tenex.workspaces.services import vault
        from voice.models import Credential
        from voice.services import model_access, stopping

        vault.register(Credential, "sealed")
        suppressions.on_stop(stopping.stop_calls)
        engines.pay_with(model_access.for_vectors)
