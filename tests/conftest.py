"""Before anything reads the settings: engines of this run's own, unless the environment names others.

The settings module is named here and not in pyproject.toml, because pytest-django reads it before it reads
this file.
"""

import os

import django
import pytest
from django.conf import settings

from tenex.engines.bootstrap import ensure_environment

if ensure_environment(throwaway=True) is not None and settings.configured:
    raise pytest.UsageError(
        "The settings were read before the engines had addresses: unset DJANGO_SETTINGS_MODULE."
    )
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
django.setup()
