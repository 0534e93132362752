"""What a workspace calls its own fields of a lead."""

from django.db import models

from tenex.lib.models import Row
from tenex.workspaces.models import Workspace


class FieldType(models.TextChoices):
    TEXT = "text", "Text"
    NUMBER = "number", "Number"
    BOOLEAN = "boolean", "Yes or no"
    DATE = "date", "Date"
    CHOICE = "choice", "One of a list"


class CustomField(Row):
    """Definition of one key of `Lead.custom`. Keys without a definition hold any JSON."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="custom_fields")
    key = models.CharField(max_length=50, help_text="As in `custom`: small letters, digits, underscores.")
    label = models.CharField(max_length=100, blank=True, help_text="For people, and in CSV headers.")
    type = models.CharField(max_length=10, choices=FieldType.choices)
    choices = models.JSONField(default=list, blank=True, help_text="The allowed values, if it is a choice.")

    class Meta:
        ordering = ("key",)
        constraints = [
            models.UniqueConstraint(fields=("workspace", "key"), name="custom_field_key_once"),
            models.CheckConstraint(
                condition=models.Q(key__regex=r"^[a-z][a-z0-9_]{0,49}$"), name="custom_field_key_form"
            ),
            models.CheckConstraint(
                condition=models.Q(type="choice") | models.Q(choices=[]),
                name="custom_field_choices_of_choice",
            ),
        ]

    def __str__(self) -> str:
        return self.label or self.key
