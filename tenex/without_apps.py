"""A process that needs settings and logs but no rows: it starts in a fraction of the time, with a fraction of
the memory, of one that loads every app.
"""

from importlib import import_module

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.log import configure_logging

from tenex.apps import hide_secrets

COMMANDS = {"rehearse": "voice.management.commands.rehearse"}
"""Commands of ours that load no app, by name."""


def start() -> None:
    """What `django.setup` does, without the apps."""
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)
    hide_secrets()


def run(argv: list[str]) -> None:
    """One of COMMANDS, as `manage.py` was given it."""
    start()
    command: BaseCommand = import_module(COMMANDS[argv[1]]).Command()
    command.run_from_argv(argv)
