from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    """Django's admin in our frame, with permissions by role."""

    default_site = "tenex.adminsite.Site"
