from django.apps import AppConfig


class WorkspacesConfig(AppConfig):
    name = "tenex.workspaces"
    label = "workspaces"
