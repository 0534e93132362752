#!/usr/bin/env python
"""Command line of the project. Starts the embedded engines if a command needs them and no address is set."""

import os
import sys

from tenex.engines import EngineError
from tenex.engines.bootstrap import command_needs_engines, ensure_environment, fail


def main() -> None:
    """Run the command named on the command line."""
    if command_needs_engines(sys.argv[1:]):
        try:
            ensure_environment()
        except EngineError as error:
            fail(str(error))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
    from tenex import without_apps

    if sys.argv[1:] and sys.argv[1] in without_apps.COMMANDS:
        without_apps.run(sys.argv)
        return
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
