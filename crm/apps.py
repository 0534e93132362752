from django.apps import AppConfig


class CrmConfig(AppConfig):
    name = "crm"
    verbose_name = "CRM"

    def ready(self) -> None:
        from crm.models import CalendarAccount
        from tenex.workspaces.services import vault

        vault.register(CalendarAccount, "credentials")
