"""Before anything reads the settings: engines of this run's own, unless the environment names others.

The settings module is named here and not in pyproject.toml, because pytest-django reads it before it reads
this file.
"""

import os

import django

from tenex.engines.bootstrap import ensure_environment

ensure_environment(throwaway=True)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
django.setup()
